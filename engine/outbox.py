"""Commands not yet answered for: put, claim, finish, put back, bury, revive. Each statement works on many at once."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias, cast
from uuid import UUID

import asyncpg
from msgspec import Struct

from engine.codec import to_json
from engine.errors import ConflictError
from engine.log import Append, Fence, Log
from schemas.commands import AnyCommand, Command, Keyed, Lane, LookFirst, Repeatable, StateGuarded
from schemas.envelope import Fact, command_id, event_id
from schemas.events import Note, tag_of
from schemas.events.commands import CommandIssued
from schemas.values import Instant, TenantId

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

CLASSES: dict[type[Command], str] = {Repeatable: "A", Keyed: "B", StateGuarded: "C", LookFirst: "D"}

# How much later than its first due moment the turn of a command comes, for each number of its lane. Ageing without arithmetic at claiming:
# all grow older alike, so who overtakes whom is settled when they are put. Ships (10) that keep coming hold up stock (50) for ten minutes
# and the catalogue (70) for a quarter of an hour: stock is promised within ten minutes.
LANE_SECONDS = 15.0

# A claim ends by itself only where its process lives on without recording what came of it. A dead process's claims are void with the next
# election. So this may be long: longer than any pause a marketplace may ask for (15 min).
CLAIM_SECONDS = 1200.0

KNOWN = "SELECT event_id FROM crossdock.events WHERE tenant = $1 AND event_id = any($2) ORDER BY event_id"

PUT = """
INSERT INTO crossdock.outbox
    (tenant, command_id, target, tag, class, lane, turn, subject, issued_after, nth, body, correlation_id, issued_at, due_at)
SELECT $1, command_id, target, tag, class, lane, greatest($12::timestamptz, due_at) + lane * $13::interval, subject, issued_after, nth,
    body::json, correlation_id, $12, due_at
FROM unnest(
    $2::uuid[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::text[], $8::bigint[], $9::int[], $10::text[], $11::uuid[],
    $14::timestamptz[]
) AS new (command_id, target, tag, class, lane, subject, issued_after, nth, body, correlation_id, due_at)
ON CONFLICT (tenant, command_id) DO NOTHING
"""

# Under the lease, which can be renewed but cannot change hands until this is committed. Of each subject, over all targets, one at a time,
# the oldest first; but remarks (the catalogue's lane) come last: a name that a marketplace will not take must not keep a parcel from
# being told.
# The table is empty one minute and long the next, so this and the statements below are written to be planned well whatever its statistics
# say: whether a row is the next of its subject is a look-up of its own, row by row as turns come; rows to be changed are named by key, how
# many they are is hidden. What is due has its turn by $10: reminders set for weeks ahead are not gone through.
CLAIM = """
WITH held AS (
    SELECT epoch FROM crossdock.leases WHERE tenant = $1 AND name = $2 AND epoch = $3 FOR KEY SHARE
), due AS (
    SELECT command_id, called_at, due_at
    FROM crossdock.outbox mine
    WHERE tenant = $1 AND target = $2 AND turn <= $10 AND state = 'waiting' AND due_at <= $5 AND tag = any($4)
        AND command_id <> all($8) AND EXISTS (SELECT FROM held)
        AND (
            SELECT every.command_id = mine.command_id
            FROM crossdock.outbox every
            WHERE every.tenant = $1 AND every.subject = mine.subject AND every.state = 'waiting'
            ORDER BY every.called_at IS NULL, every.lane >= $9, every.issued_after, every.nth, every.command_id
            LIMIT 1
        )
    ORDER BY turn, command_id
    LIMIT $7
    FOR UPDATE OF mine SKIP LOCKED
)
UPDATE crossdock.outbox o
SET attempt = o.attempt + 1, epoch = $3, due_at = $6, called_at = $5
FROM due
WHERE o.tenant = $1 AND o.command_id = any(array(SELECT command_id FROM due)) AND o.command_id = due.command_id
RETURNING o.command_id, o.tag, o.class, o.subject, o.body, o.attempt, o.failures, o.halvings, o.correlation_id,
    o.issued_at, o.unknown_since, o.turn, CASE WHEN due.called_at IS NOT NULL THEN least(due.due_at, $5) END AS lost_at
"""

# Claims of an earlier epoch fall due at once: whoever made them can record nothing any more.
RESCUE = """
WITH held AS (
    SELECT epoch FROM crossdock.leases WHERE tenant = $1 AND name = $2 AND epoch = $3 FOR KEY SHARE
)
UPDATE crossdock.outbox SET due_at = $4
WHERE tenant = $1 AND target = $2 AND state = 'waiting' AND called_at IS NOT NULL AND epoch < $3 AND due_at > $4
    AND EXISTS (SELECT FROM held)
"""

FINISH = """
DELETE FROM crossdock.outbox o
USING unnest($4::uuid[], $5::int[]) AS done (command_id, attempt)
WHERE o.tenant = $1 AND o.command_id = any(array(SELECT unnest($4::uuid[])))
    AND o.command_id = done.command_id AND o.attempt = done.attempt AND o.epoch = $3
    AND EXISTS (SELECT FROM crossdock.leases WHERE tenant = $1 AND name = $2 AND epoch = $3)
RETURNING o.command_id
"""

PUT_BACK = """
WITH held AS (
    SELECT epoch FROM crossdock.leases WHERE tenant = $1 AND name = $2 AND epoch = $3 FOR KEY SHARE
)
UPDATE crossdock.outbox o
SET due_at = back.due_at, failures = back.failures, halvings = back.halvings, unknown_since = back.unknown_since, state = back.state,
    last_error = back.last_error, called_at = NULL
FROM unnest($4::uuid[], $5::int[], $6::timestamptz[], $7::int[], $8::smallint[], $9::timestamptz[], $10::text[], $11::text[])
    AS back (command_id, attempt, due_at, failures, halvings, unknown_since, state, last_error)
WHERE o.tenant = $1 AND o.command_id = any(array(SELECT unnest($4::uuid[])))
    AND o.command_id = back.command_id AND o.attempt = back.attempt AND o.epoch = $3 AND EXISTS (SELECT FROM held)
RETURNING o.command_id
"""

REVIVE = """
UPDATE crossdock.outbox SET state = 'waiting', failures = 0, halvings = 0, due_at = $3
WHERE tenant = $1 AND command_id = $2 AND state = 'buried'
"""

# What has its turn after $5 was never claimed and falls due in the order of its lane: one of it stands for all.
NEXT_DUE = """
SELECT min(due_at) FROM (
    SELECT due_at FROM crossdock.outbox
    WHERE tenant = $1 AND target = $2 AND turn <= $5 AND state = 'waiting' AND tag = any($3) AND command_id <> all($4)
    UNION ALL (
        SELECT due_at FROM crossdock.outbox
        WHERE tenant = $1 AND target = $2 AND turn > $5 AND state = 'waiting' AND tag = any($3) AND command_id <> all($4)
        ORDER BY turn, due_at LIMIT 1
    )
) waiting
"""

# What waits for its own first due moment is not queued yet, and none of it counts as late; what is put back has been due since its first.
QUEUE = """
SELECT class, CASE WHEN state = 'buried' THEN state WHEN unknown_since IS NOT NULL THEN 'unknown' ELSE state END AS state,
    count(*) AS depth, min(turn - lane * $3::interval) AS due_since
FROM crossdock.outbox WHERE tenant = $1 AND turn - lane * $3::interval <= $2
GROUP BY 1, 2 ORDER BY 1, 2
"""


class Intent(Struct, frozen=True):
    """A command, or a note, that somebody decided on because of an event."""

    command: Command | Note
    cause: UUID  # the event's id
    position: int  # where it is in the log
    correlation_id: UUID  # its story
    actor: str = "engine"


class Claimed(Struct, frozen=True):
    """A command in a dispatcher's hands."""

    command_id: UUID
    tag: str
    letter: str  # of its class
    subject: str
    body: str
    attempt: int
    failures: int
    halvings: int
    correlation_id: UUID
    issued_at: Instant
    unknown_since: Instant | None
    lost_at: Instant | None  # whoever claimed it before left no outcome: a call may have left, no later than this


class PutBack(Struct, frozen=True):
    """A command that is not over, and when it falls due again."""

    command_id: UUID
    attempt: int
    due_at: Instant
    failures: int
    halvings: int
    unknown_since: Instant | None
    buried: bool = False
    last_error: str = ""


def class_of(kind: type[Command]) -> str:
    """A, B, C or D: what may be done when an answer is lost."""
    return next(letter for base, letter in CLASSES.items() if issubclass(kind, base))


def issued_event(tenant: TenantId, command: UUID) -> UUID:
    """The id of a command's `command_issued` event."""
    return event_id(tenant, "crossdock", str(command), tag_of(CommandIssued))


async def issue(conn: Connection, log: Log, intents: Sequence[Intent], now: datetime, fence: Fence | None = None) -> int:
    """Record commands and notes, and put the commands into the outbox, in the caller's transaction; nothing may follow but its commit.

    What was issued before, answered for or not, is left alone. Returns the position of the last new one, 0 if none is: to `log.ring` with
    after the commit. Raises ConflictError when somebody else is issuing one of them at this moment: begin again; LeaseLostError when the
    lease is in another epoch.
    """
    tenant, wanted = log.tenant, dict[UUID, Intent]()
    for intent in intents:
        twin = wanted.setdefault(_key(tenant, intent), intent)
        if twin.command != intent.command:
            raise ValueError(f"{tag_of(intent.command)} is asked in two ways because of the event at {intent.position}")
    issued = {_event_of(tenant, key, intent): key for key, intent in wanted.items()}
    known = {issued[row["event_id"]] for row in await conn.fetch(KNOWN, tenant, list(issued))}
    nth = Counter[UUID]()
    fresh: list[tuple[UUID, Intent, int]] = []
    for key, intent in wanted.items():
        if key not in known:
            fresh.append((key, intent, nth[intent.cause]))
        nth[intent.cause] += 1
    if not fresh:
        return 0
    put = [(key, intent.command, intent, number) for key, intent, number in fresh if isinstance(intent.command, Command)]
    if put:
        await conn.execute(
            PUT,
            tenant,
            [key for key, _, _, _ in put],
            [command.target for _, command, _, _ in put],
            [tag_of(command) for _, command, _, _ in put],
            [class_of(type(command)) for _, command, _, _ in put],
            [command.lane for _, command, _, _ in put],
            [command.subject for _, command, _, _ in put],
            [intent.position for _, _, intent, _ in put],
            [number for _, _, _, number in put],
            [to_json(command).decode() for _, command, _, _ in put],
            [intent.correlation_id for _, _, intent, _ in put],
            now,
            timedelta(seconds=LANE_SECONDS),
            [command.not_before or now for _, command, _, _ in put],
        )
    verdicts = await log.append_in(conn, [_issuance(log.tenant, key, intent, now, fence) for key, intent, _ in fresh])
    for verdict in verdicts:
        if verdict.outcome == "fenced":
            verdict.raise_if_refused()
        if verdict.outcome != "appended":
            raise ConflictError(verdict.append.stream, 0, verdict.version)
    return verdicts[-1].last or 0


async def claim(
    conn: Connection, tenant: TenantId, fence: Fence, tags: Sequence[str], now: datetime, *, limit: int, but: Collection[UUID] = ()
) -> list[Claimed]:
    """Take commands of the lease's outside system that are due, in their turn; none of `but`. Nothing, if the epoch is over."""
    until = now + timedelta(seconds=CLAIM_SECONDS)
    rows = await conn.fetch(CLAIM, tenant, fence.lease, fence.epoch, tags, now, until, limit, list(but), Lane.CATALOGUE, _last_turn(now))
    rows.sort(key=lambda row: (row["turn"], row["command_id"]))
    return [
        Claimed(
            command_id=row["command_id"],
            tag=row["tag"],
            letter=row["class"],
            subject=row["subject"],
            body=row["body"],
            attempt=row["attempt"],
            failures=row["failures"],
            halvings=row["halvings"],
            correlation_id=row["correlation_id"],
            issued_at=row["issued_at"],
            unknown_since=row["unknown_since"],
            lost_at=row["lost_at"],
        )
        for row in rows
    ]


async def rescue(conn: Connection, tenant: TenantId, fence: Fence, now: datetime) -> None:
    """Let whatever was claimed in earlier epochs fall due; those who claimed it are fenced off."""
    await conn.execute(RESCUE, tenant, fence.lease, fence.epoch, now)


async def finish(conn: Connection, tenant: TenantId, fence: Fence, done: Sequence[tuple[UUID, int]]) -> set[UUID]:
    """Take out commands that are answered for, by (command, attempt). Returns those that were still ours."""
    if not done:
        return set()
    rows = await conn.fetch(FINISH, tenant, fence.lease, fence.epoch, [key for key, _ in done], [attempt for _, attempt in done])
    return {row["command_id"] for row in rows}


async def put_back(conn: Connection, tenant: TenantId, fence: Fence, back: Sequence[PutBack]) -> set[UUID]:
    """Give up claims, each with the time it falls due again, or into the dead letters. Returns those that were still ours."""
    if not back:
        return set()
    rows = await conn.fetch(
        PUT_BACK,
        tenant,
        fence.lease,
        fence.epoch,
        [each.command_id for each in back],
        [each.attempt for each in back],
        [each.due_at for each in back],
        [each.failures for each in back],
        [each.halvings for each in back],
        [each.unknown_since for each in back],
        ["buried" if each.buried else "waiting" for each in back],
        [each.last_error for each in back],
    )
    return {row["command_id"] for row in rows}


async def revive(conn: Connection, tenant: TenantId, command: UUID, now: datetime) -> bool:
    """Let a buried command try again from the start; one whose last call is unanswered is looked for first. False: it is not buried."""
    return bool(await conn.execute(REVIVE, tenant, command, now) == "UPDATE 1")


async def next_due(
    conn: Connection, tenant: TenantId, target: str, tags: Sequence[str], but: Collection[UUID], *, now: datetime
) -> Instant | None:
    """When the next command falls due; in the past where one waits for something else than time."""
    due: Instant | None = await conn.fetchval(NEXT_DUE, tenant, target, tags, list(but), _last_turn(now))
    return due


def _last_turn(now: datetime) -> datetime:
    """Of whatever is due by now."""
    return now + timedelta(seconds=LANE_SECONDS * max(Lane))


def _issuance(tenant: TenantId, key: UUID, intent: Intent, now: datetime, fence: Fence | None) -> Append:
    what = intent.command
    fact = Fact(
        event=what if isinstance(what, Note) else CommandIssued(command_id=key, command=cast(AnyCommand, what)),
        event_id=_event_of(tenant, key, intent),
        occurred_at=now,
        correlation_id=intent.correlation_id,
        causation_id=intent.cause,
        actor=intent.actor,
    )
    return Append(stream=what.stream if isinstance(what, Note) else what.subject, facts=(fact,), fence=fence)


def _key(tenant: TenantId, intent: Intent) -> UUID:
    what = intent.command
    place = what.stream if isinstance(what, Note) else what.subject
    return command_id(tenant, tag_of(what), place, intent.cause, what.part)


def _event_of(tenant: TenantId, key: UUID, intent: Intent) -> UUID:
    """The id of the event that records it: a note's is its own key."""
    return key if isinstance(intent.command, Note) else issued_event(tenant, key)
