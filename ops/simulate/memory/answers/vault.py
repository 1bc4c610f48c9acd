"""What engine/vault.py asks of the keys."""

from collections.abc import Sequence
from datetime import datetime

from engine import vault
from ops.simulate.memory.database import Key
from ops.simulate.memory.events import utc
from ops.simulate.memory.locks import NO_KEY_UPDATE, UPDATE
from ops.simulate.memory.registry import answers
from ops.simulate.memory.transaction import Transaction


@answers(vault, "FIND_KEYS", "subject wrapped")
def find_keys(tx: Transaction, tenant: str, subjects: Sequence[str]) -> list[tuple[str, bytes | None]]:
    found = ((subject, tx.get(tx.database.keys, tenant, subject)) for subject in sorted(set(subjects)))
    return [(subject, key.wrapped) for subject, key in found if key is not None]


@answers(vault, "FIND_ANY_KEY", "wrapped")
def find_any_key(tx: Transaction, tenant: str) -> list[tuple[bytes]]:
    found = sorted((subject, key.wrapped) for subject, key in tx.scan(tx.database.keys, tenant) if key.wrapped is not None)
    return [(wrapped,) for _, wrapped in found[:1]]


@answers(vault, "FIND_ERASED", "subject")
def find_erased(tx: Transaction, tenant: str, subjects: Sequence[str]) -> list[tuple[str]]:
    return [(subject,) for subject, wrapped in find_keys(tx, tenant, subjects) if wrapped is None]


@answers(vault, "FIND_OR_ADD_KEYS", "subject wrapped", writes=True)
def find_or_add_keys(
    tx: Transaction, tenant: str, subjects: Sequence[str], fresh: Sequence[bytes], now: datetime, _alone: bool
) -> list[tuple[str, bytes | None]]:
    keys, found, new = tx.database.keys, dict[str, bytes | None](), dict[str, bytes]()
    for subject, wrapped in zip(subjects, fresh, strict=True):
        there = tx.get(keys, tenant, subject)
        if there is not None:
            found[subject] = there.wrapped
        elif tx.standing(keys, tenant, subject) is None and subject not in new:
            new[subject] = wrapped
    for subject, wrapped in new.items():
        tx.put(keys, tenant, subject, Key(wrapped, utc(now)))
    return sorted((found | new).items())


@answers(vault, "ERASE", "subject")
def erase(tx: Transaction, tenant: str, subjects: Sequence[str], now: datetime) -> list[tuple[str]]:
    keys, now, gone = tx.database.keys, utc(now), dict[str, Key]()
    for subject in sorted(subjects):
        there = tx.standing(keys, tenant, subject)
        tx.lock((keys.name, tenant, subject), UPDATE if there is None else NO_KEY_UPDATE)
        if there is None or there.wrapped is not None:
            gone[subject] = Key(None, now if there is None else there.created_at, now)
    for subject, row in gone.items():
        tx.put(keys, tenant, subject, row)
    return [(subject,) for subject in gone]
