"""Takes commands out of the outbox, has them carried out, and records what came of it. One for each outside system of a tenant.

No call is made inside a transaction. An outcome and its outbox row are committed together, under the lease's epoch: whoever has lost the
lease without noticing can neither claim nor record any more.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any
from uuid import UUID

import anyio
import asyncpg
import msgspec
from anyio.abc import TaskGroup

from engine import outbox
from engine.adapter import Heard, Performer, Task
from engine.alarm import Alarm
from engine.inbox import Story, append_heard, own_fact
from engine.limits import SLOW, Limits
from engine.log import Fence, Log
from engine.metrics import Metrics
from engine.outbox import Claimed, PutBack
from engine.perform import Held, Outcome, Performing, Standing
from engine.ports import DATABASE_AWAY, Clock
from engine.vault import Vault
from schemas.commands import AnyCommand, Command, LookFirst, StateGuarded
from schemas.envelope import Fact, event_id
from schemas.events import Personal, tag_of
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandUnknown
from schemas.values import Instant

WIDTH = 8  # calls of one endpoint under way at once; more would only wait for its ceiling, and these hold up no other endpoint
UNRECORDED = 2  # times as many commands as are carried out may wait for the database; then it sets the pace
TICK = 1.0  # seconds of the event loop; how late a wake-up that went astray is made good
GASP = 0.002  # seconds of the event loop between two looks into an empty outbox, however busy the log is
MEASURE = 15.0  # seconds of the event loop between two measurements of the queue
RECORD_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds of the event loop; a database that restarts is back within these
STATES = ("waiting", "unknown", "buried")

_commands = msgspec.json.Decoder(AnyCommand)

STOPPED = "the engine stopped before an answer was recorded"  # of a call of which the time is not known


class Dispatcher:
    """Runs under the lease of its outside system: `await lease.lead(dispatcher.run, …)`."""

    def __init__(
        self,
        *,
        pool: "asyncpg.Pool[asyncpg.Record]",
        log: Log,
        vault: Vault,
        target: str,
        performs: Mapping[type[Command], Performer[Any]],
        client: Any,
        limits: Limits,
        standing: Standing,
        clock: Clock,
        metrics: Metrics,
        width: int = WIDTH,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        """While it `may_send` nothing, nothing is claimed."""
        for kind, performer in performs.items():
            if issubclass(kind, LookFirst | StateGuarded) and performer.look is None:
                raise TypeError(f"{tag_of(kind)} cannot be looked for, but its class demands it")
        self._pool, self._log, self._vault, self._target, self._limits = pool, log, vault, target, limits
        self._clock, self._metrics, self._width = clock, metrics, width
        self._performs = {tag_of(kind): performer for kind, performer in performs.items()}
        self._standing, self._may_send = standing, may_send
        self._performing = Performing(client, limits, standing, clock, self._called_earlier)
        self._alarm = Alarm(log, clock, target, target)
        self._in_hand: dict[UUID, str] = {}  # what is being carried out or recorded: command -> tag
        self._probed: dict[UUID, None] = {}  # commands that were a probe in this outage
        self._calls = Counter[str]()  # batches being carried out: by endpoint
        self._gathered: list[Outcome] = []  # not yet recorded
        self._recording = anyio.Lock()
        self._stopping = self._nudged = False
        self._waiting = anyio.CancelScope()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is under way is recorded."""
        self._stopping = True
        self._nudge()

    async def run(self, fence: Fence) -> None:
        """Work until stopped. Raises LeaseLostError."""
        self._in_hand.clear()
        self._probed.clear()
        self._calls.clear()
        self._gathered.clear()
        self._alarm.forget()
        await self._limits.load()
        async with self._pool.acquire() as conn:
            await outbox.rescue(conn, self._log.tenant, fence, self._clock.now())
        async with anyio.create_task_group() as watching:
            watching.start_soon(self._measure)
            async with self._log.listen() as wake, anyio.create_task_group() as group:
                while not self._stopping or self._in_hand:
                    self._nudged, began = False, self._clock.monotonic()
                    offers = list(self._admissible())
                    if await self._claim(fence, offers, group):
                        continue
                    wait = await self._idle(fence, looked=bool(offers))
                    with anyio.CancelScope() as self._waiting:
                        if not self._nudged:
                            await wake(wait)
                    if offers:
                        gasp = began + GASP / self._clock.loop_seconds(1.0) - self._clock.monotonic()
                        await self._clock.sleep(max(0.0, gasp))
            watching.cancel_scope.cancel()

    def _code(self, tag: str) -> str:
        """The endpoint that a kind of command is carried out at."""
        return self._performs[tag].endpoint.code

    def _nudge(self) -> None:
        """Look again, without waiting for anything."""
        self._nudged = True
        self._waiting.cancel()

    # ------------------------------------------------------------ claim

    async def _claim(self, fence: Fence, offers: Sequence[tuple[list[str], int]], group: TaskGroup) -> int:
        """Claim what there is room for and set it going; returns how many."""
        claimed = 0
        for tags, room in offers:
            async with self._pool.acquire() as conn:
                rows = await self._due(conn, fence, tags, room)
            for batch in self._batches(rows):
                self._calls[self._code(batch[0].tag)] += 1
                self._in_hand |= {each.command_id: each.tag for each in batch}
                group.start_soon(self._carry_out, fence, batch)
            claimed += len(rows)
        return claimed

    async def _due(self, conn: Any, fence: Fence, tags: Sequence[str], room: int) -> list[Claimed]:
        """In an outage, one that was no probe before, as long as there is such a one: what a probe fails of may be its own trouble, and
        must not keep the others from finding out that the outage is over.
        """
        if not self._standing.probing:
            self._probed.clear()
        tenant, now = self._log.tenant, self._clock.now()
        rows = await outbox.claim(conn, tenant, fence, tags, now, limit=room, but=[*self._in_hand, *self._probed])
        if self._probed and not rows:
            self._probed.clear()
            rows = await outbox.claim(conn, tenant, fence, tags, now, limit=room, but=self._in_hand)
        if self._standing.probing:
            self._probed |= {each.command_id: None for each in rows}
        return rows

    def _admissible(self) -> Iterator[tuple[list[str], int]]:
        """Which commands may be called for now, and how many of them. A slow endpoint has one call at a time, a quick one its width."""
        if self._stopping or not self._may_send() or self._standing.pause > 0 or (self._standing.probing and self._in_hand):
            return
        if self._standing.probing:
            if tags := [tag for tag, performer in self._performs.items() if self._limits.wait(performer.endpoint) < SLOW]:
                yield tags, 1
            return
        held = Counter(map(self._code, self._in_hand.values()))
        quick: dict[str, int] = {}  # tag -> how many more of its endpoint there may be
        slow: dict[str, list[str]] = {}
        for tag, performer in self._performs.items():
            endpoint = performer.endpoint
            if self._limits.wait(endpoint) >= SLOW:
                continue
            if endpoint.interval >= SLOW:
                slow.setdefault(endpoint.code, []).append(tag)
                continue
            room = (self._width - self._calls[endpoint.code]) * endpoint.batch
            if room and held[endpoint.code] < UNRECORDED * self._width * endpoint.batch:
                quick[tag] = room
        for code, tags in slow.items():
            if not held[code]:
                yield tags, self._performs[tags[0]].endpoint.batch
        if quick:
            yield list(quick), min(quick.values())

    def _batches(self, claimed: Iterable[Claimed]) -> Iterator[list[Claimed]]:
        """As many of a kind as one call carries; fewer, where a batch was refused whole before."""
        kinds: dict[tuple[str, int], list[Claimed]] = {}
        for each in claimed:
            kinds.setdefault((each.tag, each.halvings), []).append(each)
        for (tag, halvings), rows in kinds.items():
            size = max(1, self._performs[tag].endpoint.batch >> halvings)
            for start in range(0, len(rows), size):
                yield rows[start : start + size]

    async def _idle(self, fence: Fence, *, looked: bool) -> float:
        """Seconds of the event loop until there may be something to do that nobody rings for; `looked`: into the outbox, in vain.

        Where nothing waits, nothing is held up: whatever was told of the system, perhaps by whoever was here before, is over.
        """
        waits = [self._standing.pause, *(self._limits.wait(performer.endpoint) - SLOW for performer in self._performs.values())]
        if looked:
            now = self._clock.now()
            async with self._pool.acquire() as conn:
                due_at = await outbox.next_due(conn, self._log.tenant, self._target, list(self._performs), self._in_hand, now=now)
            if due_at is None and not self._in_hand:
                await self._alarm.show(fence, {})
            if due_at is not None:
                waits.append((due_at - self._clock.now()).total_seconds())
        return min([TICK, *(self._clock.loop_seconds(wait) for wait in waits if wait > 0)])

    # ------------------------------------------------------------ carry out

    async def _called_earlier(self, held: Held) -> Instant | None:
        """When the log last told of another command's call for the same thing: there are two where it ceased to be called for while the
        first was under way, and is called for again.
        """
        mine = held.claimed
        return max(
            (
                each.recorded_at
                for each in await self._log.read_stream(mine.subject)
                if isinstance(each.event, CommandConfirmed | CommandUnknown)
                and (each.event.command, each.event.part) == (mine.tag, held.command.part)
                and each.event.command_id != mine.command_id
            ),
            default=None,
        )

    async def _carry_out(self, fence: Fence, batch: Sequence[Claimed]) -> None:
        held: list[Held] = []
        outcomes: list[Outcome] = []
        for each in batch:
            try:
                command = _commands.decode(each.body)
            except msgspec.MsgspecError:
                outcomes.append(self._unreadable(each))
            else:
                held.append(Held(each, command, self._task(each, command)))
        if held:
            outcomes += await self._performing.carry_out(held, self._performs[batch[0].tag])
        code = self._code(batch[0].tag)
        self._calls[code] -= 1
        if self._calls[code] == self._width - 1:
            self._nudge()
        # A call has gone out: what came of it is recorded, whoever wants us to stop.
        with anyio.CancelScope(shield=True):
            await self._record(fence, outcomes)
        await self._alarm.show(fence, self._standing.troubles)

    def _task(self, claimed: Claimed, command: Command) -> Task[Any]:
        opened = partial(self._opened, claimed.subject)
        called = claimed.unknown_since is not None or claimed.lost_at is not None
        return Task(claimed.command_id, command, claimed.attempt, called, claimed.issued_at, opened)

    async def _opened(self, stream: str, kind: type[Personal]) -> Personal | None:
        for envelope in reversed(await self._log.read_stream(stream)):
            if envelope.sealed is not None and isinstance(personal := await self._vault.open(envelope), kind):
                return personal
        return None

    def _unreadable(self, claimed: Claimed) -> Outcome:
        detail = "stored in a form that this version cannot read"
        back = PutBack(claimed.command_id, claimed.attempt, self._clock.now(), claimed.failures, 0, claimed.unknown_since, True, detail)
        buried = CommandBuried(
            command_id=claimed.command_id, command=claimed.tag, subject=claimed.subject, attempt=claimed.attempt, detail=detail
        )
        return Outcome(claimed, "buried", (), (buried,), back)

    # ------------------------------------------------------------ record

    async def _record(self, fence: Fence, outcomes: Sequence[Outcome]) -> None:
        """On return these are committed, together with those of others that came meanwhile. Raises LeaseLostError."""
        self._gathered += outcomes
        async with self._recording:
            gathered, self._gathered = self._gathered, []
            if not gathered:
                return  # somebody took them along
            for pause in RECORD_PAUSES:
                try:
                    await self._commit(fence, gathered)
                except DATABASE_AWAY:
                    await self._clock.sleep(pause / self._clock.loop_seconds(1.0))
                else:
                    return
            await self._commit(fence, gathered)  # if not even now: whoever leads next finds the claims, and looks

    async def _commit(self, fence: Fence, outcomes: Sequence[Outcome]) -> None:
        """Sent again after an answer that was lost, it finds its rows gone and does nothing."""
        tenant = self._log.tenant
        over = [(each.claimed.command_id, each.claimed.attempt) for each in outcomes if each.back is None]
        back = [each.back for each in outcomes if each.back is not None]
        async with self._pool.acquire() as conn, conn.transaction():
            ours = await outbox.finish(conn, tenant, fence, over) | await outbox.put_back(conn, tenant, fence, back)
            kept = [each for each in outcomes if each.claimed.command_id in ours]
            now = self._clock.now()
            told = [heard for each in kept for heard in self._heard(each, now)]
            reached = await append_heard(conn, self._log, told, fence, now)
        for each in outcomes:
            self._in_hand.pop(each.claimed.command_id, None)
        self._nudge()  # the news of the commit may have been here before
        if reached:
            self._log.ring(reached)
        for (letter, state), number in Counter((each.claimed.letter, each.state) for each in kept).items():
            self._metrics.commands.labels(tenant, letter, state).inc(number)
        self._metrics.retry_ratio.labels(tenant, self._target).set(self._standing.retry_ratio)
        if len(kept) < len(outcomes):
            self._metrics.lease_conflict.labels(tenant, self._target).inc()

    def _heard(self, outcome: Outcome, now: Instant) -> Iterator[Heard]:
        """What is to be told: that an earlier call was lost; what this one changed; and then, what became of the command."""
        claimed, tenant = outcome.claimed, self._log.tenant
        story = Story(correlation_id=claimed.correlation_id, causation_id=outbox.issued_event(tenant, claimed.command_id))
        if claimed.lost_at is not None:
            lost = CommandUnknown(
                command_id=claimed.command_id,
                command=claimed.tag,
                subject=claimed.subject,
                attempt=claimed.attempt - 1,
                detail=STOPPED,
            )
            yield Heard(claimed.subject, own_fact(tenant, lost, f"{claimed.command_id}:{lost.attempt}", now, **story))
        for effect in outcome.effects:
            fact = Fact(
                event=effect.event,
                event_id=event_id(tenant, self._target, effect.external_id, tag_of(effect.event)),
                occurred_at=effect.occurred_at or now,
                actor=self._target,
                **story,
            )
            yield Heard(effect.stream or claimed.subject, fact)
        given_up = outcome.back.unknown_since if outcome.state == "unknown" and outcome.back is not None else None
        for event in outcome.events:  # to record it may take long: when its answer was given up on is told, too
            yield Heard(claimed.subject, own_fact(tenant, event, f"{claimed.command_id}:{claimed.attempt}", given_up or now, **story))

    # ------------------------------------------------------------ measure

    async def _measure(self) -> None:
        """Keep depth and age of the tenant's queue, for scrapes to read."""
        tenant, depth, oldest = self._log.tenant, self._metrics.command_queue_depth, self._metrics.command_oldest_seconds
        places, lane_lasts = list(product(outbox.CLASSES.values(), STATES)), timedelta(seconds=outbox.LANE_SECONDS)
        with self._metrics.kept(*((gauge, (tenant, *place)) for gauge in (depth, oldest) for place in places)):
            while True:
                with suppress(*DATABASE_AWAY):
                    async with self._pool.acquire() as conn:
                        now = self._clock.now()
                        queue = {(row["class"], row["state"]): row for row in await conn.fetch(outbox.QUEUE, tenant, now, lane_lasts)}
                    for place in places:
                        row = queue.get(place)
                        depth.labels(tenant, *place).set(row["depth"] if row else 0)
                        oldest.labels(tenant, *place).set((now - row["due_since"]).total_seconds() if row else 0.0)
                await self._clock.sleep(MEASURE / self._clock.loop_seconds(1.0))
