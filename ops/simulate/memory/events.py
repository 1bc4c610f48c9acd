"""The log of one tenant, as it stands in the table of events and its head."""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import msgspec

from engine.chain import EPOCH, GENESIS, MICROSECOND
from ops.simulate.memory.rows import Row, row_of

if TYPE_CHECKING:
    from ops.simulate.memory.transaction import Transaction

COLUMNS = (
    "position stream version event_id type schema_version data subject sealed occurred_at recorded_at"
    " correlation_id causation_id actor hash"
)
Event = row_of(COLUMNS)
# By place, which is quicker than by name.
POSITION, STREAM, VERSION, EVENT_ID, TYPE, SCHEMA_VERSION, DATA, SUBJECT, SEALED, OCCURRED_AT, RECORDED_AT, CORRELATION_ID = range(12)
CAUSATION_ID, ACTOR, HASH = range(12, 15)

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_places = struct.Struct(">qq").pack
_first = struct.Struct(">iqiqiii16si16s").pack  # up to the id of the cause
_size = struct.Struct(">i").pack
K = TypeVar("K")
NULL = b"\xff\xff\xff\xff"


class TenantLog:
    """Events in the order of their positions. Those after `ends` belong to a transaction that is not committed: `owner`."""

    def __init__(self) -> None:
        self.events: list[Row] = []
        self.ends = 0  # position of the last one committed
        self.owner: Transaction | None = None
        self.begun = False  # whether its head has a row: from the first append on, even one that is refused
        self._begun_by_owner = False
        self.places: dict[UUID, int] = {}  # event id -> position
        self.streams: dict[str, list[int]] = {}  # stream -> positions, by version
        self.kinds: dict[tuple[str, str], list[int]] = {}  # stream and type -> positions
        self.types: dict[str, list[int]] = {}  # type -> positions
        self._fields: dict[int, dict[str, msgspec.Raw]] = {}  # position -> what is in its body, once somebody asked

    # ------------------------------------------------------------ who sees how much

    def seen(self, who: "Transaction", tenant: str) -> int:
        """The position of the last event that this transaction sees."""
        if self.owner is who:
            return len(self.events)
        return self.ends if who.snapshot is None else who.snapshot.logs.get(tenant, 0)

    def has_head(self, who: "Transaction") -> bool:
        return self.begun or (self.owner is who and self._begun_by_owner)

    @property
    def hash(self) -> bytes:
        """Of the last event, committed or not."""
        return bytes(self.events[-1][HASH]) if self.events else GENESIS

    def version(self, stream: str) -> int:
        """Of a stream, now."""
        return len(self.streams.get(stream, ()))

    def field(self, position: int, name: str) -> str | None:
        """data ->> name."""
        found = self._fields.get(position)
        if found is None:
            found = self._fields[position] = _fields.decode(self.events[position - 1][DATA])
        return text_of(found.get(name))

    # ------------------------------------------------------------ writing

    def begin(self, who: "Transaction", tenant: str) -> None:
        self.owner, who.logs[tenant] = who, self
        if not self.begun:
            self._begun_by_owner = True

    def add(self, event: Row) -> None:
        self.events.append(event)
        position, stream = event[POSITION], event[STREAM]
        self.places[event[EVENT_ID]] = position
        self.streams.setdefault(stream, []).append(position)
        self.kinds.setdefault((stream, event[TYPE]), []).append(position)
        self.types.setdefault(event[TYPE], []).append(position)

    def commit(self) -> None:
        self.ends, self.owner = len(self.events), None
        self.begun, self._begun_by_owner = self.begun or self._begun_by_owner, False

    def roll_back(self) -> None:
        self.cut(self.ends)
        self.owner, self._begun_by_owner = None, False

    def cut(self, ends: int) -> None:
        """As if nothing after this position had been."""
        while len(self.events) > ends:
            event = self.events.pop()
            del self.places[event[EVENT_ID]]
            self._fields.pop(event[POSITION], None)
            _pop(self.streams, event[STREAM])
            _pop(self.kinds, (event[STREAM], event[TYPE]))
            _pop(self.types, event[TYPE])


def _pop(index: dict[K, list[int]], key: K) -> None:
    index[key].pop()
    if not index[key]:
        del index[key]


def text_of(raw: msgspec.Raw | None) -> str | None:
    """What ->> makes of a value: a string's characters, of anything else the very text."""
    if raw is None:
        return None
    text = bytes(raw)
    if text[:1] == b'"':
        return str(msgspec.json.decode(text))
    return None if text == b"null" else text.decode()


# ---------------------------------------------------------------- the chain


def utc(instant: datetime) -> datetime:
    """As the database gives it back."""
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def _time(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


def _field(value: bytes | None) -> bytes:
    return NULL if value is None else _size(len(value)) + value


def content(
    recorded_at: datetime,
    occurred_at: datetime,
    schema_version: int,
    event_id: UUID,
    correlation_id: UUID,
    causation_id: UUID | None,
    texts: Sequence[str],  # tenant, stream, type, actor, subject, data
    sealed: bytes | None,
) -> bytes:
    """What is hashed of an event: see crossdock.content in migrations/0001_log.sql."""
    parts: list[Any] = [
        _first(
            8, _time(recorded_at), 8, _time(occurred_at), 4, schema_version, 16, event_id.bytes, 16, correlation_id.bytes,
        ),
        _field(None if causation_id is None else causation_id.bytes),
    ]  # fmt: skip
    for text in texts:
        encoded = text.encode()
        parts += (_size(len(encoded)), encoded)
    parts.append(_field(sealed))
    return b"".join(parts)


def hash_after(previous: bytes, position: int, version: int, digest: bytes) -> bytes:
    """`digest`: sha256 of the content."""
    return sha256(previous + _places(position, version) + digest).digest()
