"""Who was forgotten, and who asks for it: engine/erasure.py and ops/privacy.py."""

from collections.abc import Collection

from engine import erasure
from ops import privacy
from ops.simulate.memory.answers.log import of_stream
from ops.simulate.memory.answers.stock import ordered
from ops.simulate.memory.events import SEALED, STREAM
from ops.simulate.memory.registry import answers
from ops.simulate.memory.transaction import Transaction


def _streams(tx: Transaction, tenant: str, kind: str) -> list[str]:
    """That of each event of a type, in the order of the log."""
    there = tx.database.log(tenant)
    seen = there.seen(tx, tenant)
    return [there.events[place - 1][STREAM] for place in there.types.get(kind, ()) if place <= seen]


def _has(tx: Transaction, tenant: str, stream: str, kind: str) -> bool:
    """Whether an event of this type is in the stream."""
    there = tx.database.log(tenant)
    return any(place <= there.seen(tx, tenant) for place in there.kinds.get((stream, kind), ())[:1])


# ---------------------------------------------------------------- erasure


@answers(erasure, "RESURRECTED", "subject")
def resurrected(tx: Transaction, tenant: str) -> list[tuple[str]]:
    return [subject for subject in living(tx, tenant, None) if _has(tx, tenant, subject[0], "subject_erased")]


@answers(erasure, "UNTOLD", "subject")
def untold(tx: Transaction, tenant: str) -> list[tuple[str]]:
    erased = sorted(subject for subject, key in tx.scan(tx.database.keys, tenant) if key.wrapped is None)
    return [(subject,) for subject in erased if not _has(tx, tenant, subject, "subject_erased")]


@answers(erasure, "LIVING", "subject")
def living(tx: Transaction, tenant: str, limit: int | None) -> list[tuple[str]]:
    return sorted((subject,) for subject, key in tx.scan(tx.database.keys, tenant) if key.wrapped is not None)[:limit]


@answers(erasure, "EVER", "stream")
def ever(tx: Transaction, tenant: str) -> list[tuple[str]]:
    return [(stream,) for stream in _streams(tx, tenant, "subject_erased")]


# ---------------------------------------------------------------- what is asked for


@answers(privacy, "UNANSWERED", "stream")
def unanswered(tx: Transaction, tenant: str) -> list[tuple[str]]:
    return [(stream,) for stream in _streams(tx, tenant, "privacy_asked") if not _has(tx, tenant, stream, "privacy_answered")]


@answers(privacy, "OURS", "stream")
def ours(tx: Transaction, tenant: str, shop_orders: Collection[str]) -> list[tuple[str]]:
    return [(f"order-{key}",) for key, row in ordered(tx, "orders", tenant) if row.field("shop_order") in shop_orders]


@answers(privacy, "FOLDED", "position")
def folded(tx: Transaction, tenant: str) -> list[tuple[int]]:
    row = tx.get(tx.database.checkpoints, tenant, "orders")
    return [] if row is None else [(row.position,)]


@answers(privacy, "SEALED", "count")
def sealed(tx: Transaction, tenant: str, stream: str) -> list[tuple[int]]:
    events = tx.database.log(tenant).events
    return [(sum(events[place - 1][SEALED] is not None for place in of_stream(tx, tenant, stream)),)]
