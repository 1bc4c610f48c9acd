"""What engine/runner.py and engine/rebuild.py ask: checkpoints, and tables of documents, whose statements are put together for each."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from engine import rebuild, runner
from ops.simulate.memory import copying
from ops.simulate.memory.database import Checkpoint
from ops.simulate.memory.documents import NAME, Document, Documents, Made, find, rows
from ops.simulate.memory.errors import error
from ops.simulate.memory.locks import LOOK, NO_KEY_UPDATE, UPDATE
from ops.simulate.memory.registry import MAKERS, answers, register
from ops.simulate.memory.transaction import Transaction


@answers(runner, "STANDS", "position swaps")
def stands(tx: Transaction, tenant: str, name: str) -> list[Checkpoint]:
    row = tx.get(tx.database.checkpoints, tenant, name)
    return [row] if row is not None else []


@answers(runner, "BEGIN")
def begin(tx: Transaction, tenant: str, name: str) -> int:
    if tx.standing(tx.database.checkpoints, tenant, name) is not None:
        return 0
    tx.put(tx.database.checkpoints, tenant, name, Checkpoint(0, 0))
    return 1


@answers(rebuild, "AWAIT", "position swaps")
def await_(tx: Transaction, tenant: str, name: str) -> list[Checkpoint]:
    if tx.get(tx.database.checkpoints, tenant, name) is None:
        return []
    row = tx.locked(tx.database.checkpoints, tenant, name, UPDATE)
    return [row] if row is not None else []


@answers(rebuild, "SWAPPED")
def swapped(tx: Transaction, tenant: str, name: str, position: int) -> int:
    if tx.get(tx.database.checkpoints, tenant, name) is None:
        return 0
    row = tx.locked(tx.database.checkpoints, tenant, name, NO_KEY_UPDATE)
    if row is None:
        return 0
    tx.put(tx.database.checkpoints, tenant, name, Checkpoint(position, row.swaps + 1))
    return 1


@answers(rebuild, "ALONE", "pg_try_advisory_lock", writes=False)
def alone(tx: Transaction, name: str) -> list[tuple[bool]]:
    assert tx.session is not None
    return [(tx.session.hold(name),)]


@answers(rebuild, "NOT_ALONE", "pg_advisory_unlock", writes=False)
def not_alone(tx: Transaction, name: str) -> list[tuple[bool]]:
    assert tx.session is not None
    return [(tx.session.let_go(name),)]


# ---------------------------------------------------------------- tables


def _make(tx: Transaction, name: str, *, shadow: bool) -> int:
    there = tx.standing(tx.database.catalogue, "", name)
    if there is None:
        tx.put(tx.database.catalogue, "", name, Made(Documents(name, constraint="" if shadow else f"{name}_pkey")))
    elif shadow:
        raise error("42P07", f'relation "{name}" already exists')
    return 0


def _drop(tx: Transaction, name: str) -> int:
    if tx.standing(tx.database.catalogue, "", name) is not None:
        tx.delete(tx.database.catalogue, "", name)
    return 0


def _index(tx: Transaction, name: str, *, unique: bool) -> int:
    """A key that is there twice is refused when it is put, so that none has to be looked for."""
    table = find(tx, name)
    table.constraint = table.constraint or (f"{name}_key" if unique else "")
    return 0


def _read(tx: Transaction, name: str, tenant: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    table = find(tx, name)
    found = ((key, tx.get(table, tenant, key)) for key in sorted(set(keys)))
    return [(key, row.text) for key, row in found if row is not None]


def _put(tx: Transaction, name: str, tenant: str, keys: Sequence[str], documents: Sequence[str], positions: Sequence[int]) -> int:
    table = find(tx, name)
    if not table.constraint:
        raise error("42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification")
    if len(set(keys)) < len(keys):
        raise error("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time")
    fresh = [Document(text, position) for text, position in zip(documents, positions, strict=True)]
    for key in keys:
        slot = table.slot(tenant, key)
        if slot is not None and slot.owner is not None:
            tx.lock((table.name, tenant, key), LOOK)
    for key, document in zip(keys, fresh, strict=True):
        tx.put(table, tenant, key, document)
    return len(keys)


def _move(
    tx: Transaction,
    name: str,
    tenant: str,
    keys: Sequence[str],
    documents: Sequence[str],
    positions: Sequence[int],
    projection: str,
    at: int,
    swaps: int,
    to: int,
    _durably: bool,
) -> list[tuple[int]]:
    checkpoints, wanted = tx.database.checkpoints, Checkpoint(at, swaps)
    find(tx, name)
    if tx.get(checkpoints, tenant, projection) != wanted:
        return []
    if tx.locked(checkpoints, tenant, projection, UPDATE, skip=True) != wanted:
        return []
    _put(tx, name, tenant, keys, documents, positions)
    tx.put(checkpoints, tenant, projection, Checkpoint(to, swaps))
    return [(to,)]


def _empty(tx: Transaction, name: str, tenant: str) -> int:
    table = find(tx, name)
    keys = [key for key, _ in tx.scan(table, tenant)]
    gone = [key for key in keys if tx.locked(table, tenant, key, UPDATE) is not None]
    for key in gone:
        tx.delete(table, tenant, key)
    return len(gone)


def _count(tx: Transaction, name: str, tenant: str) -> list[tuple[int]]:
    return [(sum(1 for _ in rows(tx, name, tenant)),)]


def _lines(tx: Transaction, name: str, tenant: str) -> list[tuple[str, int, str]]:
    return [(key, row.position, row.text) for key, row in sorted(rows(tx, name, tenant), key=lambda pair: pair[0])]


def _fill(tx: Transaction, name: str, other: str, tenant: str) -> int:
    there = sorted(rows(tx, other, tenant), key=lambda pair: pair[0])
    table = find(tx, name)
    for key, _ in there:
        _refuse_twin(tx, table, tenant, key)
    for key, row in there:
        tx.put(table, tenant, key, Document(row.text, row.position))
    return len(there)


def _refuse_twin(tx: Transaction, table: Documents, tenant: str, key: str) -> None:
    """A key is put that is there already."""
    if tx.standing(table, tenant, key) is None:
        return
    if not table.constraint:
        raise NotImplementedError(f"{key} is put twice into {table.name}, which may be before it has a key; the memory cannot keep both")
    raise error("23505", "duplicate key value violates unique constraint", constraint=table.constraint)


def _difference(tx: Transaction, name: str, other: str, tenant: str) -> list[tuple[Any, ...]]:
    mine, theirs = dict(rows(tx, name, tenant)), dict(rows(tx, other, tenant))
    for key in sorted(mine.keys() | theirs.keys()):
        one, two = mine.get(key), theirs.get(key)
        if one is None or two is None or (one.text, one.position) != (two.text, two.position):
            return [(key, one and one.text, two and two.text, one and one.position, two and two.position)]
    return []


def _copy_in(tx: Transaction, name: str, columns: Sequence[str], records: Sequence[Sequence[Any]]) -> int:
    table = find(tx, name)
    places = [list(columns).index(column) for column in ("tenant", "key", "document", "position")]
    for record in records:
        tenant, key, document, position = (record[place] for place in places)
        _refuse_twin(tx, table, tenant, key)
        tx.put(table, tenant, key, Document(document, int(position)))
    return len(records)


def know(name: str) -> None:
    """Every statement about one table of documents; those about two are made known with the first that names both."""
    table = runner.Table(name)
    single: dict[str, tuple[Callable[..., Any], str]] = {
        "make": (partial(_table, _make, name, shadow=False), ""),
        "make_shadow": (partial(_table, _make, name, shadow=True), ""),
        "index": (partial(_table, _index, name, unique=True), ""),
        "drop": (partial(_table, _drop, name), ""),
        "read": (partial(_table, _read, name), "key document"),
        "move": (partial(_table, _move, name), "position"),
        "put": (partial(_table, _put, name), ""),
        "empty": (partial(_table, _empty, name), ""),
        "count": (partial(_table, _count, name), "count"),
        "lines": (partial(_table, _lines, name), "key position document"),
    }
    for part, (function, columns) in single.items():
        register(getattr(table, part), f"runner.Table.{part}", function, columns)
    copied = copying.INTO.format(schema="projections", table=name)
    register(copied, "copy_to_table", partial(_table, _copy_in, name), writes=True)


def _table(function: Callable[..., Any], name: str, tx: Transaction, *arguments: Any, **options: Any) -> Any:
    return function(tx, name, *arguments, **options)


INDEX = re.compile(r"CREATE INDEX IF NOT EXISTS \w+ ON projections\.(\w+) \(")


def _find(text: str) -> None:
    if found := INDEX.match(text):
        register(text, "runner.Table.index_by", partial(_table, _index, found[1], unique=False))
        return
    names = list(dict.fromkeys(NAME.findall(text)))
    for name in names:
        know(name)
    if len(names) == 2:
        one, two = (runner.Table(name) for name in names)
        register(one.fill_from(two), "runner.Table.fill_from", partial(_pair, _fill, names))
        register(
            one.difference_from(two),
            "runner.Table.difference_from",
            partial(_pair, _difference, names),
            "key mine theirs my_position their_position",
        )


def _pair(function: Callable[..., Any], names: Sequence[str], tx: Transaction, tenant: str) -> Any:
    return function(tx, *names, tenant)


MAKERS.append(_find)
