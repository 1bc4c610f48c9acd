"""What engine/outbox.py asks of the commands that are not answered for."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from engine import outbox
from ops.simulate.memory.answers.leases import is_held
from ops.simulate.memory.documents import checked
from ops.simulate.memory.events import utc
from ops.simulate.memory.locks import NO_KEY_UPDATE, UPDATE
from ops.simulate.memory.outbox import Command
from ops.simulate.memory.registry import answers
from ops.simulate.memory.transaction import Transaction


def of_target(tx: Transaction, tenant: str, target: str) -> Iterator[Command]:
    for slot in tx.database.outbox.of_target.get((tenant, target), {}).values():
        row = tx.seen(slot)
        if row is not None:
            yield row


def of_subject(tx: Transaction, tenant: str, subject: str) -> Iterator[Command]:
    for slot in tx.database.outbox.of_subject.get((tenant, subject), {}).values():
        row = tx.seen(slot)
        if row is not None:
            yield row


@answers(outbox, "PUT")
def put(
    tx: Transaction,
    tenant: str,
    command_ids: Sequence[UUID],
    targets: Sequence[str],
    tags: Sequence[str],
    classes: Sequence[str],
    lanes: Sequence[int],
    subjects: Sequence[str],
    issued_after: Sequence[int],
    nths: Sequence[int],
    bodies: Sequence[str],
    correlation_ids: Sequence[UUID],
    now: datetime,
    lane_lasts: timedelta,
    due_at: Sequence[datetime],
) -> int:
    table, now = tx.database.outbox, utc(now)
    fresh: dict[UUID, Command] = {}
    for place, command_id in enumerate(command_ids):
        if tx.standing(table, tenant, command_id) is None and command_id not in fresh:
            fresh[command_id] = Command(
                command_id=command_id,
                target=targets[place],
                tag=tags[place],
                class_=classes[place],
                lane=lanes[place],
                turn=max(now, utc(due_at[place])) + lanes[place] * lane_lasts,
                subject=subjects[place],
                issued_after=issued_after[place],
                nth=nths[place],
                body=checked(bodies[place]),
                correlation_id=correlation_ids[place],
                issued_at=now,
                due_at=utc(due_at[place]),
            )
    for command_id, row in fresh.items():
        tx.put(table, tenant, command_id, row)
    return len(fresh)


@answers(
    outbox,
    "CLAIM",
    "command_id tag class subject body attempt failures halvings correlation_id issued_at unknown_since turn lost_at",
)
def claim(
    tx: Transaction,
    tenant: str,
    lease: str,
    epoch: int,
    tags: Collection[str],
    now: datetime,
    until: datetime,
    limit: int,
    but: Collection[UUID],
    remarks: int,
    last_turn: datetime,
) -> list[tuple[Any, ...]]:
    if not is_held(tx, tenant, lease, epoch):
        return []
    table, now, until, taken = tx.database.outbox, utc(now), utc(until), list[tuple[Any, ...]]()
    last_turn = utc(last_turn)

    def is_due(row: Command) -> bool:
        return row.turn <= last_turn and row.state == "waiting" and row.due_at <= now and row.tag in tags and row.command_id not in but

    for seen in sorted((row for row in of_target(tx, tenant, lease) if is_due(row)), key=lambda row: (row.turn, row.command_id)):
        if len(taken) == limit:
            break
        if _next_of(tx, tenant, seen.subject, remarks) != seen.command_id:
            continue
        row = tx.locked(table, tenant, seen.command_id, UPDATE, skip=True)
        if row is None or (row is not seen and not is_due(row)):
            continue
        lost_at = None if row.called_at is None else min(row.due_at, now)
        row = replace(row, attempt=row.attempt + 1, epoch=epoch, due_at=until, called_at=now)
        tx.put(table, tenant, row.command_id, row)
        taken.append(
            (
                row.command_id,
                row.tag,
                row.class_,
                row.subject,
                row.body,
                row.attempt,
                row.failures,
                row.halvings,
                row.correlation_id,
                row.issued_at,
                row.unknown_since,
                row.turn,
                lost_at,
            )
        )
    return taken


def _next_of(tx: Transaction, tenant: str, subject: str, remarks: int) -> UUID | None:
    """Which command of a subject goes next."""
    slots = tx.database.outbox.of_subject.get((tenant, subject), {})
    if len(slots) == 1:
        return next(iter(slots))
    waiting = [row for row in of_subject(tx, tenant, subject) if row.state == "waiting"]
    first = min(
        waiting,
        key=lambda row: (row.called_at is None, row.lane >= remarks, row.issued_after, row.nth, row.command_id),
        default=None,
    )
    return None if first is None else first.command_id


@answers(outbox, "RESCUE")
def rescue(tx: Transaction, tenant: str, lease: str, epoch: int, now: datetime) -> int:
    if not is_held(tx, tenant, lease, epoch):
        return 0
    table, now, rescued = tx.database.outbox, utc(now), list[Command]()

    def is_lost(row: Command) -> bool:
        return row.state == "waiting" and row.called_at is not None and row.epoch < epoch and row.due_at > now

    for seen in [row for row in of_target(tx, tenant, lease) if is_lost(row)]:
        row = tx.locked(table, tenant, seen.command_id, NO_KEY_UPDATE)
        if row is not None and is_lost(row):
            rescued.append(row)
    for row in rescued:
        tx.put(table, tenant, row.command_id, replace(row, due_at=now))
    return len(rescued)


def _still_ours(tx: Transaction, tenant: str, epoch: int, claims: Sequence[tuple[UUID, int]], strength: int) -> dict[UUID, Command]:
    """Of these claims, by command and attempt, the rows that are; locked."""
    table, ours = tx.database.outbox, dict[UUID, Command]()
    for command_id, attempt in claims:
        seen = tx.get(table, tenant, command_id)
        if seen is None or (seen.attempt, seen.epoch) != (attempt, epoch):
            continue
        row = tx.locked(table, tenant, command_id, strength)
        if row is not None and (row.attempt, row.epoch) == (attempt, epoch):
            ours[command_id] = row
    return ours


@answers(outbox, "FINISH", "command_id")
def finish(tx: Transaction, tenant: str, lease: str, epoch: int, command_ids: Sequence[UUID], attempts: Sequence[int]) -> list[tuple[UUID]]:
    row = tx.get(tx.database.leases, tenant, lease)
    if row is None or row.epoch != epoch:
        return []
    ours = _still_ours(tx, tenant, epoch, list(zip(command_ids, attempts, strict=True)), UPDATE)
    for command_id in ours:
        tx.delete(tx.database.outbox, tenant, command_id)
    return [(command_id,) for command_id in ours]


@answers(outbox, "PUT_BACK", "command_id")
def put_back(
    tx: Transaction,
    tenant: str,
    lease: str,
    epoch: int,
    command_ids: Sequence[UUID],
    attempts: Sequence[int],
    due_at: Sequence[datetime],
    failures: Sequence[int],
    halvings: Sequence[int],
    unknown_since: Sequence[datetime | None],
    states: Sequence[str],
    last_errors: Sequence[str],
) -> list[tuple[UUID]]:
    if not is_held(tx, tenant, lease, epoch):
        return []
    ours = _still_ours(tx, tenant, epoch, list(zip(command_ids, attempts, strict=True)), NO_KEY_UPDATE)
    for place, command_id in enumerate(command_ids):
        if command_id in ours:
            since = unknown_since[place]
            back = replace(
                ours[command_id],
                due_at=utc(due_at[place]),
                failures=failures[place],
                halvings=halvings[place],
                unknown_since=None if since is None else utc(since),
                state=states[place],
                last_error=last_errors[place],
                called_at=None,
            )
            tx.put(tx.database.outbox, tenant, command_id, back)
    return [(command_id,) for command_id in ours]


@answers(outbox, "REVIVE")
def revive(tx: Transaction, tenant: str, command_id: UUID, now: datetime) -> int:
    table = tx.database.outbox
    seen = tx.get(table, tenant, command_id)
    if seen is None or seen.state != "buried":
        return 0
    row = tx.locked(table, tenant, command_id, NO_KEY_UPDATE)
    if row is None or row.state != "buried":
        return 0
    tx.put(table, tenant, command_id, replace(row, state="waiting", failures=0, halvings=0, due_at=utc(now)))
    return 1


@answers(outbox, "NEXT_DUE", "min")
def next_due(
    tx: Transaction, tenant: str, target: str, tags: Collection[str], but: Collection[UUID], last_turn: datetime
) -> list[tuple[datetime | None]]:
    waiting = [row for row in of_target(tx, tenant, target) if row.state == "waiting" and row.tag in tags and row.command_id not in but]
    due = [row.due_at for row in waiting if row.turn <= utc(last_turn)]
    later = min(((row.turn, row.due_at) for row in waiting if row.turn > utc(last_turn)), default=None)
    return [(min(due if later is None else [*due, later[1]], default=None),)]


@answers(outbox, "QUEUE", "class state depth due_since")
def queue(tx: Transaction, tenant: str, now: datetime, lane_lasts: timedelta) -> list[tuple[str, str, int, datetime]]:
    kinds: dict[tuple[str, str], list[datetime]] = {}
    for _, row in tx.scan(tx.database.outbox, tenant):
        state = "unknown" if row.state != "buried" and row.unknown_since is not None else row.state
        if (first_due := row.turn - row.lane * lane_lasts) <= utc(now):
            kinds.setdefault((row.class_, state), []).append(first_due)
    return [(*kind, len(due), min(due)) for kind, due in sorted(kinds.items())]
