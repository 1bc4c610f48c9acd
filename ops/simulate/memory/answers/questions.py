"""What people ask beside the engine: the desk, a trace, an explanation, a report, the proof of the demo."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from ops import database, desk, explain, recompute, replay_with, report, trace
from ops.demo import proof
from ops.simulate.memory.answers.log import of_stream, run
from ops.simulate.memory.answers.outbox import of_subject
from ops.simulate.memory.answers.stock import one, ordered, text
from ops.simulate.memory.events import DATA, POSITION, RECORDED_AT, SCHEMA_VERSION, TYPE, utc
from ops.simulate.memory.registry import answers
from ops.simulate.memory.rows import Row
from ops.simulate.memory.transaction import Transaction

# ---------------------------------------------------------------- the desk


@answers(desk, "ALL", "document position")
def all_(tx: Transaction, tenant: str, closed: bool) -> list[tuple[str, int]]:
    return [(row.text, row.position) for _, row in ordered(tx, "exceptions", tenant) if closed or row.field("open") == "true"]


@answers(desk, "ONE", "document")
def one_exception(tx: Transaction, tenant: str, key: str) -> list[tuple[str]]:
    return text(one(tx, "exceptions", tenant, key))


@answers(desk, "SINCE", "recorded_at")
def since(tx: Transaction, tenant: str, positions: Collection[int]) -> list[tuple[datetime]]:
    found = (event for place in sorted(set(positions)) if place > 0 for event in run(tx, tenant, place - 1, place))
    return [(event[RECORDED_AT],) for event in found]


@answers(desk, "BURIED", "command_id tag body")
def buried(tx: Transaction, tenant: str, subject: str) -> list[tuple[UUID, str, str]]:
    return sorted((row.command_id, row.tag, row.body) for row in of_subject(tx, tenant, subject) if row.state == "buried")


@answers(desk, "WORDS_SAID", "document")
def words_said(tx: Transaction, tenant: str) -> list[tuple[str]]:
    return [(row.text,) for _, row in ordered(tx, "mappings", tenant)]


@answers(desk, "ONE_WORD", "document")
def one_word(tx: Transaction, tenant: str, key: str) -> list[tuple[str]]:
    return text(one(tx, "mappings", tenant, key))


# ---------------------------------------------------------------- single orders and SKUs


@answers(trace, "FIND_ORDER", "key")
def find_order(tx: Transaction, tenant: str, name: str) -> list[tuple[str]]:
    return [
        (key,)
        for key, row in ordered(tx, "orders", tenant)
        if name in (row.field("order_id"), row.field("shop_name"), row.field("shop_order"))
        or row.field("shop_order") == f"gid://shopify/Order/{name}"
    ]


def _events(tx: Transaction, tenant: str, stream: str, kinds: Collection[str], after: int, upto: int) -> list[Row]:
    events = tx.database.log(tenant).events
    return [events[place - 1] for place in of_stream(tx, tenant, stream) if after < place <= upto and events[place - 1][TYPE] in kinds]


def _publishes(event: Row) -> dict[str, Any] | None:
    """The command, where it is a file of quantities."""
    command = msgspec.json.decode(event[DATA]).get("command")
    return command if isinstance(command, dict) and command.get("type") == "publish_stock" else None


@answers(explain, "SENT", "position")
def sent(tx: Transaction, tenant: str, stream: str, upto: int, sku: str) -> list[tuple[int]]:
    for event in reversed(_events(tx, tenant, stream, ("command_issued",), 0, upto)):
        command = _publishes(event)
        if command is not None and isinstance(quantities := command.get("quantities"), dict) and sku in quantities:
            return [(event[POSITION],)]
    return []


@answers(explain, "FIRST_AFTER", "position")
def first_after(tx: Transaction, tenant: str, stream: str, after: int, upto: int, kinds: Collection[str]) -> list[tuple[int]]:
    return [(event[POSITION],) for event in _events(tx, tenant, stream, kinds, after, upto)[:1]]


@answers(explain, "LAST_BEFORE", "position")
def last_before(tx: Transaction, tenant: str, stream: str, upto: int, kind: str) -> list[tuple[int]]:
    return [(event[POSITION],) for event in _events(tx, tenant, stream, (kind,), 0, upto)[-1:]]


@answers(explain, "RECIPES", "kind name value")
def recipes(tx: Transaction, tenant: str, upto: int) -> list[tuple[str | None, ...]]:
    there = tx.database.log(tenant)
    return [
        tuple(there.field(event[POSITION], name) for name in ("kind", "name", "value"))
        for event in run(tx, tenant, 0, upto)
        if event[TYPE] == "mapping_set"
    ]


@answers(explain, "SKUS", "key")
def skus(tx: Transaction, tenant: str) -> list[tuple[str]]:
    return [(key,) for key, _ in ordered(tx, "inventory", tenant)]


@answers(recompute, "FILES", "position as_of")
def files(tx: Transaction, tenant: str, upto: int) -> list[tuple[int, int | None]]:
    found = ((event, _publishes(event)) for event in run(tx, tenant, 0, upto) if event[TYPE] == "command_issued")
    return [(event[POSITION], command.get("as_of")) for event, command in found if command is not None]


@answers(replay_with, "STORED", "type schema_version data")
def stored(tx: Transaction, tenant: str, after: int, upto: int) -> list[tuple[str, int, str]]:
    return [(event[TYPE], event[SCHEMA_VERSION], event[DATA]) for event in run(tx, tenant, after, upto)]


@answers(database, "FIRST_AFTER", "min")
def recorded_after(tx: Transaction, tenant: str, moment: datetime) -> list[tuple[int | None]]:
    there = tx.database.log(tenant)
    moment = utc(moment)
    return [(next((e[POSITION] for e in run(tx, tenant, 0, there.seen(tx, tenant)) if e[RECORDED_AT] > moment), None),)]


# ---------------------------------------------------------------- how things stand


@answers(report, "CHECKPOINTS", "name position")
def checkpoints(tx: Transaction, tenant: str) -> list[tuple[str, int]]:
    return sorted((name, row.position) for name, row in tx.scan(tx.database.checkpoints, tenant))


@answers(report, "QUEUE", "target class state depth")
def queue(tx: Transaction, tenant: str) -> list[tuple[str, str, str, int]]:
    found = Counter((row.target, row.class_, row.state) for _, row in tx.scan(tx.database.outbox, tenant))
    return [(*kind, number) for kind, number in sorted(found.items())]


@answers(report, "CURSORS", "name committed_at")
def cursors(tx: Transaction, tenant: str) -> list[tuple[str, datetime]]:
    return sorted((name, row.committed_at) for name, row in tx.scan(tx.database.cursors, tenant))


@answers(report, "LEASES", "name epoch held")
def leases(tx: Transaction, tenant: str) -> list[tuple[str, int, bool]]:
    return sorted((name, row.epoch, row.holder is not None) for name, row in tx.scan(tx.database.leases, tenant))


@answers(report, "OPEN", "document")
def open_(tx: Transaction, tenant: str) -> list[tuple[str]]:
    return [(row.text,) for _, row in ordered(tx, "exceptions", tenant) if row.field("open") == "true"]


@answers(proof, "COUNT_EVENTS", "type number")
def count_events(tx: Transaction, tenant: str) -> list[tuple[str, int]]:
    there = tx.database.log(tenant)
    return sorted(Counter(event[TYPE] for event in run(tx, tenant, 0, there.seen(tx, tenant))).items())


@answers(proof, "UNKNOWN", "count")
def unknown(tx: Transaction, tenant: str) -> list[tuple[int]]:
    return [(sum(row.unknown_since is not None for _, row in tx.scan(tx.database.outbox, tenant)),)]


@answers(proof, "WAITING", "count")
def waiting(tx: Transaction, tenant: str) -> list[tuple[int]]:
    return [(sum(row.target != "clock" and row.state == "waiting" for _, row in tx.scan(tx.database.outbox, tenant)),)]


@answers(proof, "OPEN", "count")
def how_many_open(tx: Transaction, tenant: str) -> list[tuple[int]]:
    return [(sum(row.field("open") == "true" for _, row in ordered(tx, "exceptions", tenant)),)]


@answers(proof, "STOCK", "document")
def stock(tx: Transaction, tenant: str) -> list[tuple[str]]:
    return [(row.text,) for _, row in ordered(tx, "inventory", tenant)]
