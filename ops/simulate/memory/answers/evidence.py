"""What is signed of the log, and what is done where the log is not as it was signed: engine/tiles.py and ops/evidence/."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from engine import tiles
from ops.evidence import guard, reread, resume
from ops.simulate.memory.answers.chain import hash_at
from ops.simulate.memory.answers.log import run
from ops.simulate.memory.answers.outbox import of_subject
from ops.simulate.memory.answers.stock import one as one_row
from ops.simulate.memory.answers.stock import ordered, text
from ops.simulate.memory.database import Cursor
from ops.simulate.memory.documents import checked
from ops.simulate.memory.errors import error
from ops.simulate.memory.events import CORRELATION_ID, EVENT_ID, POSITION, STREAM, TYPE, utc
from ops.simulate.memory.locks import NO_KEY_UPDATE, UPDATE
from ops.simulate.memory.outbox import Command
from ops.simulate.memory.registry import answers
from ops.simulate.memory.rows import Row
from ops.simulate.memory.transaction import Transaction

# ---------------------------------------------------------------- tiles


@answers(tiles, "EDGE", "level nth hashes")
def edge(tx: Transaction, tenant: str) -> list[tuple[int, int, bytes]]:
    last = dict[int, tuple[int, int, bytes]]()
    for (level, nth), hashes in sorted(tx.scan(tx.database.tiles, tenant)):
        last[level] = (level, nth, hashes)
    return list(last.values())


@answers(tiles, "FIND", "level nth hashes")
def find(tx: Transaction, tenant: str, levels: Sequence[int], nths: Sequence[int]) -> list[tuple[int, int, bytes]]:
    found = ((place, tx.get(tx.database.tiles, tenant, place)) for place in sorted(zip(levels, nths, strict=True)))
    return [(*place, hashes) for place, hashes in found if hashes is not None]


@answers(tiles, "PUT")
def put(tx: Transaction, tenant: str, levels: Sequence[int], nths: Sequence[int], hashes: Sequence[bytes]) -> int:
    table, longer = tx.database.tiles, dict[tuple[int, int], bytes]()
    for level, nth, new in zip(levels, nths, hashes, strict=True):
        place = level, nth
        if place in longer:
            raise error("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time")
        kept = tx.standing(table, tenant, place)
        tx.lock((table.name, tenant, place), UPDATE if kept is None else NO_KEY_UPDATE)
        if kept is None or len(kept) < len(new):
            longer[place] = new
    for place, new in longer.items():
        tx.put(table, tenant, place, new)
    return len(longer)


@answers(tiles, "FORGET")
def forget(tx: Transaction, tenant: str) -> int:
    table = tx.database.tiles
    places = [place for place, _ in tx.scan(table, tenant)]
    gone = [place for place in places if tx.locked(table, tenant, place, UPDATE) is not None]
    for place in gone:
        tx.delete(table, tenant, place)
    return len(gone)


# ---------------------------------------------------------------- the guard


@answers(guard, "AT", "head hash")
def at(tx: Transaction, tenant: str, position: int) -> list[tuple[int, bytes | None]]:
    found = hash_at(tx, tenant, position)
    return [(tx.database.log(tenant).seen(tx, tenant), found[0][0] if found else None)]


@answers(guard, "HEED_CALLS")
def heed_calls(tx: Transaction, tenant: str, now: datetime) -> int:
    calls, now = tx.database.calls, utc(now)
    places = [place for place, _ in tx.scan(calls, tenant)]
    found = [(place, tx.locked(calls, tenant, place, NO_KEY_UPDATE)) for place in places]
    there = [(place, last) for place, last in found if last is not None]
    for place, last in there:
        tx.put(calls, tenant, place, max(last, now))
    return len(there)


# ---------------------------------------------------------------- work goes on


def _may_leave(row: Command) -> bool:
    return row.state == "waiting" and row.target != "clock"


def _locked(tx: Transaction, tenant: str, command_ids: Collection[UUID], strength: int) -> Iterator[Command]:
    """Those of these commands that are there, as they are now."""
    for command_id in command_ids:
        row = tx.locked(tx.database.outbox, tenant, command_id, strength)
        if row is not None:
            yield row


@answers(resume, "WAITING", "tag number")
def waiting(tx: Transaction, tenant: str) -> list[tuple[str, int]]:
    return sorted(Counter(row.tag for _, row in tx.scan(tx.database.outbox, tenant) if _may_leave(row)).items())


@answers(resume, "UNKNOWN", "document event_id position correlation_id")
def unknown(tx: Transaction, tenant: str, after: int) -> list[tuple[Any, ...]]:
    first = dict[str, Row]()
    for event in run(tx, tenant, after, tx.database.log(tenant).seen(tx, tenant)):
        if event[TYPE] == "shop_order_seen":
            first.setdefault(event[STREAM], event)
    found = [
        (row.text, first[stream])
        for key, row in ordered(tx, "orders", tenant)
        if (stream := f"order-{key}") in first
        and row.field("shop_order") is None
        and not any(command.tag == "create_shop_order" for command in of_subject(tx, tenant, stream))
    ]
    return [(document, event[EVENT_ID], event[POSITION], event[CORRELATION_ID]) for document, event in found]


@answers(resume, "BEHIND", "name")
def behind(tx: Transaction, tenant: str) -> list[tuple[str]]:
    head = tx.database.log(tenant).seen(tx, tenant)
    return sorted((name,) for name, row in tx.scan(tx.database.checkpoints, tenant) if row.position < head)


@answers(resume, "DOUBT")
def doubt(tx: Transaction, tenant: str, now: datetime) -> int:
    now = utc(now)
    ids = [command_id for command_id, row in tx.scan(tx.database.outbox, tenant) if _may_leave(row)]
    doubted = [row for row in _locked(tx, tenant, ids, NO_KEY_UPDATE) if _may_leave(row)]
    for row in doubted:
        since = now if row.unknown_since is None else max(row.unknown_since, now)
        tx.put(tx.database.outbox, tenant, row.command_id, replace(row, unknown_since=since))
    return len(doubted)


@answers(resume, "ASKED", "command_id tag subject body attempt correlation_id")
def asked(tx: Transaction, tenant: str, tags: Collection[str]) -> list[tuple[Any, ...]]:
    def is_asked(row: Command) -> bool:
        return row.state == "waiting" and row.tag in tags

    ids = sorted(command_id for command_id, row in tx.scan(tx.database.outbox, tenant) if is_asked(row))
    found = [row for row in _locked(tx, tenant, ids, UPDATE) if is_asked(row)]
    return [(row.command_id, row.tag, row.subject, row.body, row.attempt, row.correlation_id) for row in found]


@answers(resume, "ROW", "document")
def row_of_order(tx: Transaction, tenant: str, key: str) -> list[tuple[str]]:
    return text(one_row(tx, "aftercare", tenant, key))


@answers(resume, "REWRITE")
def rewrite(tx: Transaction, tenant: str, command_id: UUID, body: str) -> int:
    checked(body)
    rows = list(_locked(tx, tenant, [command_id], NO_KEY_UPDATE))
    for row in rows:
        tx.put(tx.database.outbox, tenant, command_id, replace(row, body=body))
    return len(rows)


@answers(resume, "DROP")
def drop(tx: Transaction, tenant: str, command_ids: Collection[UUID]) -> int:
    rows = list(_locked(tx, tenant, sorted(set(command_ids)), UPDATE))
    for row in rows:
        tx.delete(tx.database.outbox, tenant, row.command_id)
    return len(rows)


# ---------------------------------------------------------------- readings


@answers(reread, "READINGS", "name cursor")
def readings(tx: Transaction, tenant: str) -> list[tuple[str, str]]:
    return sorted((name, row.cursor) for name, row in tx.scan(tx.database.cursors, tenant) if row.cursor.startswith("{"))


@answers(reread, "ANEW")
def anew(tx: Transaction, tenant: str, name: str, cursor: str) -> int:
    cursors = tx.database.cursors
    row = tx.standing(cursors, tenant, name) if tx.get(cursors, tenant, name) is not None else None
    if row is None:
        return 0
    tx.put(cursors, tenant, name, Cursor(cursor, row.committed_at))
    return 1
