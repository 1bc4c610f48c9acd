"""What an auditor takes away: an order's events with their proofs, or that one checkpoint continues another. verify.py reads it."""

import base64
from collections.abc import Sequence
from typing import Any

from engine.codec import to_json
from engine.errors import ChainError
from engine.log import Log
from engine.merkle import consistency, inclusion
from engine.tiles import Tree
from ops.evidence.folder import Folder, Kept
from ops.evidence.keys import signed
from ops.evidence.verify import CONSISTENCY, ORDER, statement_of
from schemas.envelope import Envelope
from schemas.events import UnknownEvent, tag_of
from schemas.values import Instant


async def order_bundle(
    pool: Any, log: Log, folder: Folder, kept: Kept, *, name: str, streams: Sequence[str], now: Instant, opened: bool
) -> dict[str, Any]:
    """All events of these streams, proved against a checkpoint that covers them; what is sealed stays so unless `opened`."""
    found: list[Envelope] = []
    for stream in streams:
        found += [each for each in await log.read_stream(stream) if each.position <= kept.checkpoint.size]
    found.sort(key=lambda each: each.position)
    paths = [inclusion(each.position - 1, kept.checkpoint.size) for each in found]
    roots = iter(await _roots(pool, log, [run for path in paths for run in path]))
    personal = await log.opened(found) if opened else [None] * len(found)
    events = []
    for envelope, path, told in zip(found, paths, personal, strict=True):
        event = _event(envelope)
        event["proof"] = [next(roots).hex() for _ in path]
        if told is not None:
            event["opened"] = to_json(told).decode()
        events.append(event)
    statement = statement_of(kept.note, name, log.tenant, now.isoformat(), events)
    return {
        "format": ORDER,
        "name": name,
        "tenant": log.tenant,
        "checkpoint": kept.note,
        "statement": signed(statement, folder.keys[-1:]),
        "rotations": folder.rotations(),
        "keys": [key.text for key in folder.keys],  # for who may compare them with what he was given
        "events": events,
    }


async def consistency_bundle(pool: Any, log: Log, folder: Folder, old: Kept, new: Kept) -> dict[str, Any]:
    """That the newer checkpoint continues the older one."""
    runs = consistency(old.checkpoint.size, new.checkpoint.size)
    return {
        "format": CONSISTENCY,
        "old": old.note,
        "new": new.note,
        "proof": [root.hex() for root in await _roots(pool, log, runs)],
        "rotations": folder.rotations(),
        "keys": [key.text for key in folder.keys],
    }


async def _roots(pool: Any, log: Log, runs: Sequence[tuple[int, int]]) -> list[bytes]:
    try:
        return await Tree(pool, log.tenant).roots(runs)
    except LookupError:
        raise ChainError(max(end for _, end in runs), "is beyond what the tree over this log reaches") from None


def _event(envelope: Envelope) -> dict[str, Any]:
    return {
        "position": envelope.position,
        "stream": envelope.stream,
        "version": envelope.version,
        "event_id": str(envelope.event_id),
        "type": envelope.event.tag if isinstance(envelope.event, UnknownEvent) else tag_of(envelope.event),
        "schema_version": envelope.schema_version,
        "occurred_at": envelope.occurred_at.isoformat(),
        "recorded_at": envelope.recorded_at.isoformat(),
        "correlation_id": str(envelope.correlation_id),
        "causation_id": str(envelope.causation_id) if envelope.causation_id else None,
        "actor": envelope.actor,
        "subject": envelope.subject,
        "data": envelope.data,
        "sealed": base64.b64encode(envelope.sealed).decode() if envelope.sealed is not None else None,
        "hash": envelope.hash.hex(),  # in the chain; the proof does without
    }
