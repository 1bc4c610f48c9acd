"""What engine/vault.py asks of the keys."""

from collections.abc import Sequence
from datetime import datetime

from engine import vault
from ops.simulate.memory.database import Key
from ops.simulate.memory.events import utc
from ops.simulate.memory.locks import UPDATE
from ops.simulate.memory.registry import answers
from ops.simulate.memory.transaction import Transaction


@answers(vault, "FIND_KEYS", "subject wrapped")
def find_keys(tx: Transaction, tenant: str, subjects: Sequence[str]) -> list[tuple[str, bytes]]:
    found = ((subject, tx.get(tx.database.keys, tenant, subject)) for subject in sorted(set(subjects)))
    return [(subject, key.wrapped) for subject, key in found if key is not None]


@answers(vault, "FIND_OR_ADD_KEYS", "subject wrapped", writes=True)
def find_or_add_keys(
    tx: Transaction, tenant: str, subjects: Sequence[str], fresh: Sequence[bytes], now: datetime, _alone: bool
) -> list[tuple[str, bytes]]:
    keys, found, new = tx.database.keys, dict[str, bytes](), dict[str, bytes]()
    for subject, wrapped in zip(subjects, fresh, strict=True):
        there = tx.get(keys, tenant, subject)
        if there is not None:
            found[subject] = there.wrapped
        elif tx.standing(keys, tenant, subject) is None and subject not in new:
            new[subject] = wrapped
    for subject, wrapped in new.items():
        tx.put(keys, tenant, subject, Key(wrapped, utc(now)))
    return sorted((found | new).items())


@answers(vault, "ERASE")
def erase(tx: Transaction, tenant: str, subject: str) -> int:
    if tx.get(tx.database.keys, tenant, subject) is None or tx.locked(tx.database.keys, tenant, subject, UPDATE) is None:
        return 0
    tx.delete(tx.database.keys, tenant, subject)
    return 1
