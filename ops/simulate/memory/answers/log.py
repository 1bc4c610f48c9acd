"""What engine/log.py asks, and engine/vault.py's and everybody's questions about single events."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

from engine import log, outbox
from ops.simulate.memory.append import append_events, append_one
from ops.simulate.memory.events import (
    COLUMNS,
    CORRELATION_ID,
    DATA,
    EVENT_ID,
    POSITION,
    RECORDED_AT,
    SCHEMA_VERSION,
    SEALED,
    STREAM,
    TYPE,
)
from ops.simulate.memory.registry import answers
from ops.simulate.memory.rows import Row
from ops.simulate.memory.shards import shard_of
from ops.simulate.memory.transaction import Transaction

answers(log, "APPEND", "reached verdicts first_positions last_positions stream_versions known_events known_data", writes=True, fresh=True)(
    append_events
)
answers(log, "APPEND_ONE", "append_one", writes=True, fresh=True)(append_one)


@answers(log, "HEAD", "position")
def head(tx: Transaction, tenant: str) -> list[tuple[int]]:
    there = tx.database.log(tenant)
    seen = there.seen(tx, tenant)
    return [(seen,)] if seen or there.has_head(tx) else []


def run(tx: Transaction, tenant: str, after: int, upto: int) -> list[Row]:
    """The events after a position up to another, as this transaction sees them."""
    there = tx.database.log(tenant)
    return there.events[max(after, 0) : max(0, min(upto, there.seen(tx, tenant)))]


def of_stream(tx: Transaction, tenant: str, stream: str) -> list[int]:
    """The positions of its events."""
    there = tx.database.log(tenant)
    places = there.streams.get(stream, [])
    seen = there.seen(tx, tenant)
    return places if not places or places[-1] <= seen else [place for place in places if place <= seen]


@answers(log, "READ", COLUMNS)
def read(tx: Transaction, tenant: str, after: int, upto: int) -> list[Row]:
    return run(tx, tenant, after, upto)


@answers(log, "READ_STREAM", COLUMNS)
def read_stream(tx: Transaction, tenant: str, stream: str, after: int) -> list[Row]:
    events = tx.database.log(tenant).events
    return [events[place - 1] for place in of_stream(tx, tenant, stream)[max(after, 0) :]]


@answers(log, "READ_NAMING", COLUMNS)
def read_naming(tx: Transaction, tenant: str, after: int, upto: int, sought: Sequence[str]) -> list[Row]:
    return [event for event in run(tx, tenant, after, upto) if any(name in event[DATA] for name in sought)]


@answers(log, "READ_SEALED", COLUMNS)
def read_sealed(tx: Transaction, tenant: str, after: int, upto: int) -> list[Row]:
    return [event for event in run(tx, tenant, after, upto) if event[SEALED] is not None]


@answers(log, "LAST", f"part {COLUMNS}")
def last(tx: Transaction, tenant: str, streams: Sequence[str], parts: Sequence[str], kind: str, field: str) -> list[tuple[Any, ...]]:
    there = tx.database.log(tenant)
    seen = there.seen(tx, tenant)
    found = []
    for stream, part in zip(streams, parts, strict=True):
        for place in reversed(there.kinds.get((stream, kind), ())):
            if place <= seen and (field == "" or there.field(place, field) == part):
                found.append((part, *there.events[place - 1]))
                break
    return found


@answers(outbox, "KNOWN", "event_id")
def known(tx: Transaction, tenant: str, event_ids: Collection[UUID]) -> list[tuple[UUID]]:
    there = tx.database.log(tenant)
    seen = there.seen(tx, tenant)
    return [(each,) for each in sorted(set(event_ids)) if 0 < there.places.get(each, 0) <= seen]


# ---------------------------------------------------------------- pages


def _outdated(events: Sequence[Row], raised: Sequence[str], current: Sequence[str]) -> bool | None:
    """Whether one is not of today's shape; None: there are none."""
    if not events:
        return None
    return any(
        event[TYPE] in raised if event[SCHEMA_VERSION] == 1 else f"{event[TYPE]}:{event[SCHEMA_VERSION]}" not in current for event in events
    )


def _bodies(events: Sequence[Row]) -> str | None:
    """json_agg(data)."""
    return "[" + ", ".join([event[DATA] for event in events]) + "]" if events else None


@answers(log, "PAGE", "found last recorded_at outdated data")
def page(tx: Transaction, tenant: str, after: int, upto: int, raised: Sequence[str], current: Sequence[str]) -> list[tuple[Any, ...]]:
    events = run(tx, tenant, after, upto)
    if not events:
        return [(0, None, None, None, None)]
    recorded_at = max([event[RECORDED_AT] for event in events])
    return [(len(events), events[-1][POSITION], recorded_at, _outdated(events, raised, current), _bodies(events))]


@answers(log, "PAGE_WITH_IDS", "found last recorded_at outdated data event_ids correlation_ids")
def page_with_ids(
    tx: Transaction, tenant: str, after: int, upto: int, raised: Sequence[str], current: Sequence[str]
) -> list[tuple[Any, ...]]:
    events = run(tx, tenant, after, upto)
    ids = [event[EVENT_ID] for event in events] or None
    stories = [event[CORRELATION_ID] for event in events] or None
    return [(*page(tx, tenant, after, upto, raised, current)[0], ids, stories)]


@answers(log, "PAGE_OF_SHARDS", "found recorded_at outdated data positions")
def page_of_shards(
    tx: Transaction, tenant: str, after: int, upto: int, raised: Sequence[str], current: Sequence[str], shards: Sequence[int]
) -> list[tuple[Any, ...]]:
    events = list(_of_shards(run(tx, tenant, after, upto), shards))
    recorded_at = max((event[RECORDED_AT] for event in events), default=None)
    positions = [event[POSITION] for event in events] or None
    return [(len(events), recorded_at, _outdated(events, raised, current), _bodies(events), positions)]


@answers(log, "PAGE_SLOWLY", "type schema_version data")
def page_slowly(tx: Transaction, tenant: str, after: int, upto: int, shards: Sequence[int] | None) -> list[tuple[Any, ...]]:
    events = run(tx, tenant, after, upto)
    return [(each[TYPE], each[SCHEMA_VERSION], each[DATA]) for each in (events if shards is None else _of_shards(events, shards))]


def _of_shards(events: Sequence[Row], shards: Sequence[int]) -> Iterator[Row]:
    return (event for event in events if shard_of(event[STREAM]) in shards)
