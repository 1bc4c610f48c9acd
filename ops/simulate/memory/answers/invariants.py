"""What the checks of invariants ask beside the engine."""

from typing import Any

from ops.simulate.invariants import evidence
from ops.simulate.memory.answers.privacy import ever
from ops.simulate.memory.registry import answers
from ops.simulate.memory.transaction import Transaction

_COLUMNS = "command_id target tag class lane subject state attempt epoch failures issued_at due_at called_at unknown_since body"


@answers(evidence, "KEYS", "subject lives told")
def keys(tx: Transaction, tenant: str) -> list[tuple[str, bool, bool]]:
    told = {stream for (stream,) in ever(tx, tenant)}
    return sorted((subject, key.wrapped is not None, subject in told) for subject, key in tx.scan(tx.database.keys, tenant))


@answers(evidence, "OUTBOX", _COLUMNS)
def outbox(tx: Transaction, tenant: str) -> list[tuple[Any, ...]]:
    found = sorted(tx.scan(tx.database.outbox, tenant))
    return [tuple(getattr(row, "class_" if name == "class" else name) for name in _COLUMNS.split()) for _, row in found]
