"""Who may act, how far was read, when was called: engine/lease.py, engine/poller.py and engine/limits.py."""

from datetime import datetime
from uuid import UUID

from engine import lease, limits, poller
from ops.simulate.memory.database import Cursor, Lease
from ops.simulate.memory.events import utc
from ops.simulate.memory.locks import KEY_SHARE, NO_KEY_UPDATE, UPDATE
from ops.simulate.memory.registry import answers
from ops.simulate.memory.transaction import Transaction


def is_held(tx: Transaction, tenant: str, name: str, epoch: int) -> bool:
    """The row of a lease in this epoch, FOR KEY SHARE."""
    leases = tx.database.leases
    seen = tx.get(leases, tenant, name)
    if seen is None or seen.epoch != epoch:
        return False
    now = tx.locked(leases, tenant, name, KEY_SHARE)
    return now is not None and now.epoch == epoch


@answers(lease, "MAKE")
def make(tx: Transaction, tenant: str, name: str) -> int:
    if tx.standing(tx.database.leases, tenant, name) is not None:
        return 0
    tx.put(tx.database.leases, tenant, name, Lease(0, None, 0))
    return 1


@answers(lease, "LOOK", "epoch holder beat")
def look(tx: Transaction, tenant: str, name: str) -> list[tuple[int, UUID | None, int]]:
    row = tx.get(tx.database.leases, tenant, name)
    return [row] if row is not None else []


@answers(lease, "TAKE", "epoch")
def take(tx: Transaction, tenant: str, name: str, holder: UUID, epoch: int, beat: int, was: UUID | None) -> list[tuple[int]]:
    leases, wanted = tx.database.leases, Lease(epoch, was, beat)
    if tx.get(leases, tenant, name) != wanted or tx.locked(leases, tenant, name, UPDATE) != wanted:
        return []
    tx.put(leases, tenant, name, Lease(epoch + 1, holder, beat + 1))
    return [(epoch + 1,)]


def _of(tx: Transaction, tenant: str, name: str, holder: UUID, epoch: int) -> Lease | None:
    """The lease, locked, while it is his."""
    leases = tx.database.leases
    seen = tx.get(leases, tenant, name)
    if seen is None or seen[:2] != (epoch, holder):
        return None
    now = tx.locked(leases, tenant, name, NO_KEY_UPDATE)
    return now if now is not None and now[:2] == (epoch, holder) else None


@answers(lease, "BEAT", "beat")
def beat(tx: Transaction, tenant: str, name: str, holder: UUID, epoch: int) -> list[tuple[int]]:
    row = _of(tx, tenant, name, holder, epoch)
    if row is None:
        return []
    tx.put(tx.database.leases, tenant, name, Lease(row.epoch, row.holder, row.beat + 1))
    return [(row.beat + 1,)]


@answers(lease, "GIVE_BACK")
def give_back(tx: Transaction, tenant: str, name: str, holder: UUID, epoch: int) -> int:
    row = _of(tx, tenant, name, holder, epoch)
    if row is None:
        return 0
    tx.put(tx.database.leases, tenant, name, Lease(row.epoch, None, row.beat + 1))
    return 1


# ---------------------------------------------------------------- cursors


@answers(poller, "FIND_CURSOR", "cursor committed_at")
def find_cursor(tx: Transaction, tenant: str, name: str) -> list[tuple[str, datetime]]:
    row = tx.get(tx.database.cursors, tenant, name)
    return [row] if row is not None else []


@answers(poller, "SAVE_CURSOR", "cursor")
def save_cursor(tx: Transaction, tenant: str, name: str, cursor: str, at: datetime, lease_name: str, epoch: int) -> list[tuple[str]]:
    if not is_held(tx, tenant, lease_name, epoch):
        return []
    tx.standing(tx.database.cursors, tenant, name)
    tx.put(tx.database.cursors, tenant, name, Cursor(cursor, utc(at)))
    return [(cursor,)]


# ---------------------------------------------------------------- calls


@answers(limits, "LAST_CALLS", "endpoint last_at")
def last_calls(tx: Transaction, tenant: str, target: str) -> list[tuple[str, datetime]]:
    return sorted((endpoint, at) for (of, endpoint), at in tx.scan(tx.database.calls, tenant) if of == target)


@answers(limits, "LAST_CALL", "last_at")
def last_call(tx: Transaction, tenant: str, target: str, endpoint: str) -> list[tuple[datetime]]:
    at = tx.get(tx.database.calls, tenant, (target, endpoint))
    return [(at,)] if at is not None else []


@answers(limits, "COUNT_CALL", "last_at")
def count_call(tx: Transaction, tenant: str, target: str, endpoint: str, at: datetime, seen: datetime | None) -> list[tuple[datetime]]:
    calls, place, at = tx.database.calls, (target, endpoint), utc(at)
    there = tx.standing(calls, tenant, place)
    if there is not None:
        tx.lock((calls.name, tenant, place), NO_KEY_UPDATE)
        if there != seen:
            return []
    tx.put(calls, tenant, place, at)
    return [(at,)]
