"""crossdock.append_events and append_one: what the migrations 0001 and 0006 do, verdict for verdict and byte for byte."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from ops.simulate.memory.documents import checked
from ops.simulate.memory.errors import error
from ops.simulate.memory.events import (
    DATA,
    EVENT_ID,
    SCHEMA_VERSION,
    SEALED,
    TYPE,
    Event,
    TenantLog,
    content,
    hash_after,
    utc,
)
from ops.simulate.memory.locks import SHARE, UPDATE
from ops.simulate.memory.rows import Row
from ops.simulate.memory.transaction import Transaction

CHANNEL = "crossdock"
KEY_NAME = 8  # bytes in front of what is sealed, which name the key

Column = Sequence[Any] | None
New = tuple[str, UUID, str, int, str, str, bytes | None, datetime, datetime, UUID, UUID | None, str]  # an event before it has a place


def append_events(
    tx: Transaction,
    tenant: str,
    recorded_at: datetime,
    streams: Sequence[str],
    counts: Sequence[int] | None,
    expected: Column,
    leases: Column,
    epochs: Column,
    event_ids: Sequence[UUID],
    types: Sequence[str],
    schema_versions: Column,
    data: Sequence[str],
    subjects: Column,
    sealed: Column,
    occurred_at: Sequence[datetime],
    correlation_ids: Column,
    causation_ids: Column,
    actors: Column,
    plain: bool | None,
) -> list[tuple[Any, ...]]:
    if not event_ids:
        return [(None,) * 7]
    runs = [1] * len(streams) if counts is None else list(counts)
    if sum(runs) != len(event_ids):
        raise error("22023", "the counts of events do not add up")
    tx.lock(("advisory", tenant), UPDATE)
    fenced = [_is_fenced(tx, tenant, lease, epochs[place] if epochs else None) for place, lease in enumerate(leases)] if leases else None
    log = tx.database.log(tenant)
    recorded_at = utc(recorded_at)
    news: list[list[New]] = []
    at = 0
    for stream, run in zip(streams, runs, strict=True):
        news.append(
            [
                (
                    stream,
                    event_ids[i],
                    types[i],
                    schema_versions[i] if schema_versions else 1,
                    data[i],
                    subjects[i] if subjects else "",
                    sealed[i] if sealed else None,
                    utc(occurred_at[i]),
                    recorded_at,
                    (correlation_ids[i] if correlation_ids else None) or event_ids[i],
                    causation_ids[i] if causation_ids else None,
                    (actors[i] if actors else None) or "engine",
                )
                for i in range(at, at + run)
            ]
        )
        at += run
    group = _Group(tx, tenant, log)
    # All versions are compared at once: where one append may be anywhere, it goes the long way to the same end.
    whole = (
        plain
        and not (fenced and any(fenced))
        and not any(event_id in log.places for event_id in event_ids)
        and (not expected or list(expected) == [log.version(stream) for stream in streams])
    )
    if whole:
        for run_of in news:
            for new in run_of:
                group.add(new)
        versions = [log.version(stream) for stream in streams]
        return [(group.end(), None, None, None, versions, None, None)]
    return group.one_by_one(news, expected, fenced)


def append_one(
    tx: Transaction,
    tenant: str,
    recorded_at: datetime,
    stream: str,
    expected: int | None,
    lease: str | None,
    epoch: int | None,
    event_id: UUID,
    kind: str,
    schema_version: int,
    data: str,
    subject: str,
    sealed: bytes | None,
    occurred_at: datetime,
    correlation_id: UUID | None,
    causation_id: UUID | None,
    actor: str,
) -> list[tuple[Any, ...]]:
    tx.lock(("advisory", tenant), UPDATE)
    fenced = _is_fenced(tx, tenant, lease, epoch)
    log = tx.database.log(tenant)
    version = log.version(stream)
    if fenced or not log.has_head(tx) or expected not in (None, version) or event_id in log.places:
        return [(None,)]
    group = _Group(tx, tenant, log)
    facts = (schema_version, data, subject, sealed, utc(occurred_at), utc(recorded_at))
    group.add((stream, event_id, kind, *facts, correlation_id or event_id, causation_id, actor))
    return [([group.end(), version + 1],)]


def _is_fenced(tx: Transaction, tenant: str, lease: str | None, epoch: int | None) -> bool:
    if lease is None:
        return False
    row = tx.locked(tx.database.leases, tenant, lease, SHARE)
    return bool((row and row.epoch) != epoch)


class _Group:
    """Appends of one call, on their way into the log."""

    def __init__(self, tx: Transaction, tenant: str, log: TenantLog) -> None:
        self.tx, self.tenant, self.log = tx, tenant, log
        log.begin(tx, tenant)
        self.began = len(log.events)

    def add(self, new: New) -> Row:
        stream, event_id, kind, schema_version, data, subject, sealed, occurred_at, recorded_at, correlation_id, causation_id, actor = new
        log = self.log
        position, version = len(log.events) + 1, log.version(stream) + 1
        texts = (self.tenant, stream, kind, actor, subject, data)
        digest = sha256(content(recorded_at, occurred_at, schema_version, event_id, correlation_id, causation_id, texts, sealed)).digest()
        event = Event(
            (
                position,
                stream,
                version,
                event_id,
                kind,
                schema_version,
                data,
                subject,
                sealed,
                occurred_at,
                recorded_at,
                correlation_id,
                causation_id,
                actor,
                hash_after(log.hash, position, version, digest),
            )
        )
        log.add(event)
        return event

    def end(self) -> int | None:
        """Where the log ends now; None: nothing was added."""
        reached = len(self.log.events)
        if reached == self.began:
            return None
        for event in self.log.events[self.began :]:  # what is not taken is not looked at
            checked(event[DATA])
        self.tx.notify(CHANNEL, f"{reached} {self.tenant}")
        return reached

    def one_by_one(self, news: Sequence[Sequence[New]], expected: Column, fenced: Sequence[bool] | None) -> list[tuple[Any, ...]]:
        """A verdict each; a later append sees what an earlier one added."""
        rows = [
            ("fenced", None, None, self.log.version(run[0][0]), None, None)
            if fenced and fenced[place]
            else self._judged(run, expected[place] if expected else None)
            for place, run in enumerate(news)
        ]
        verdicts, firsts, lasts, versions, known, bodies = (list(column) for column in zip(*rows, strict=True))
        return [(self.end(), verdicts, firsts, lasts, versions, known, bodies)]

    def _judged(self, run: Sequence[New], expected: int | None) -> tuple[Any, ...]:
        log, stream = self.log, run[0][0]
        mark, version = len(log.events), log.version(stream)
        for new in run:
            known = log.places.get(new[1])
            if known is None:
                self.add(new)
                continue
            there = log.events[known - 1]
            if not _is_same(new, there, here=known > self.began):
                log.cut(mark)
                return "mismatch", known, None, version, there[EVENT_ID], there[DATA]
        if len(log.events) == mark:
            return "duplicate", log.places[run[0][1]], log.places[run[-1][1]], version, None, None
        if expected is not None and expected != version:
            log.cut(mark)
            return "conflict", None, None, version, None, None
        return "appended", mark + 1, len(log.events), log.version(stream), None, None


def _is_same(new: New, there: Row, *, here: bool) -> bool:
    """Whether a fact is told as it was before. `here`: in the same call; else in the log, perhaps the old way or under a lost key."""
    _, _, kind, schema_version, data, _, sealed, *_ = new
    if there[TYPE] != kind:
        return False
    if here:
        return bool(there[DATA] == data and there[SEALED] == sealed)
    if there[SCHEMA_VERSION] < schema_version:
        return True
    if there[DATA] != data:
        return False
    if there[SEALED] == sealed:
        return True
    return there[SEALED] is not None and sealed is not None and bool(there[SEALED][:KEY_NAME] != sealed[:KEY_NAME])
