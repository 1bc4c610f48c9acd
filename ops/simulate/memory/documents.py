"""Tables of documents, as projections have them: made and dropped like any row of a catalogue."""

import re
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from ops.simulate.memory.errors import error
from ops.simulate.memory.events import text_of
from ops.simulate.memory.tables import Table
from ops.simulate.memory.transaction import Transaction

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_is_json = msgspec.json.Decoder(msgspec.Raw).decode
NAME = re.compile(r"\bprojections\.([a-z][a-z0-9_]*)")


def checked(text: str) -> str:
    """text::json. Raises InvalidTextRepresentationError."""
    try:
        _is_json(text)
    except msgspec.MsgspecError:
        raise error("22P02", "invalid input syntax for type json") from None
    return text


class Document:
    """A row; what is in its text is looked at when somebody asks."""

    __slots__ = ("_fields", "position", "text")

    def __init__(self, text: str, position: int) -> None:
        self.text, self.position = checked(text), position
        self._fields: dict[str, msgspec.Raw] | None = None

    def field(self, name: str) -> str | None:
        """document ->> name."""
        return text_of(self.raw(name))

    def raw(self, name: str) -> msgspec.Raw | None:
        """document -> name."""
        if self._fields is None:
            self._fields = _fields.decode(self.text)
        return self._fields.get(name)

    def inner(self, name: str, inside: str) -> str | None:
        """document -> name ->> inside."""
        raw = self.raw(name)
        return text_of(_fields.decode(raw).get(inside)) if raw is not None and bytes(raw)[:1] == b"{" else None


class Documents(Table[str, Document]):
    """One such table. `constraint`: by which a key is there once; '' until there is one."""

    def __init__(self, name: str, *, constraint: str) -> None:
        super().__init__(f"projections.{name}")
        self.constraint = constraint


class Made(Struct, frozen=True):
    """That a table is there."""

    table: Documents


def find(tx: Transaction, name: str) -> Documents:
    """The table of this name. Raises UndefinedTableError."""
    made = tx.get(tx.database.catalogue, "", name)
    if made is None:
        raise error("42P01", f'relation "projections.{name}" does not exist')
    return made.table


def rows(tx: Transaction, name: str, tenant: str) -> Iterator[tuple[str, Document]]:
    """All documents of a tenant, in no order that means anything."""
    return tx.scan(find(tx, name), tenant)
