"""An engine on a database of a test's own, with a clock that can be set forward, and an outside world of a few lines."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import anyio

from engine.adapter import Endpoint, Heard
from engine.lease import Lease
from engine.limits import Limits
from engine.log import Append, Fence, Log
from engine.metrics import Metrics
from engine.outbox import Intent, issue
from engine.perform import Standing
from engine.ports import PostgresDb, SeededRng, SystemClock
from engine.projection import Projection
from engine.runner import ensure_tables
from engine.vault import Vault
from schemas.commands import Command
from schemas.envelope import Envelope, Fact, event_id
from schemas.events import Event, tag_of
from schemas.values import TenantId
from tests.conftest import Database

TENANT = TenantId("acme")
STILL = 0.25  # seconds of the machine: what is under way has mostly come to its end by then
QUICK = Endpoint("quick", "POST", "/quick", calls=1_000, per=1.0)


class JumpClock(SystemClock):
    """The machine's clock, and all the time that a test lets pass at once."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._jumped = anyio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return super().monotonic() + self.passed

    async def sleep(self, seconds: float) -> None:
        until = self.monotonic() + seconds
        while (rest := until - self.monotonic()) > 0:
            with anyio.move_on_after(rest):
                await self._jumped.wait()
        await anyio.lowlevel.checkpoint()

    def loop_seconds(self, seconds: float) -> float:
        return min(seconds, 1.0)  # the loop itself cannot jump

    def jump(self, seconds: float) -> None:
        self.passed += seconds
        jumped, self._jumped = self._jumped, anyio.Event()
        jumped.set()


@dataclass
class Machine:
    """One process's engine; several may stand on one database."""

    pool: Any
    log: Log
    vault: Vault
    clock: JumpClock
    metrics: Metrics
    rng: SeededRng = field(default_factory=lambda: SeededRng(1))

    async def append(self, stream: str, *events: Event, fence: Fence | None = None) -> list[Envelope]:
        """Facts as an adapter would bring them; their ids count up with the stream."""
        before = len(await self.log.read_stream(stream))
        facts = tuple(
            Fact(event=event, event_id=event_id(TENANT, "test", f"{stream}:{before + place}", tag_of(event)), occurred_at=self.clock.now())
            for place, event in enumerate(events)
        )
        await self.log.append(Append(stream=stream, facts=facts, fence=fence))
        return (await self.log.read_stream(stream))[before:]

    async def issue(self, *commands: Command, cause: Envelope, fence: Fence | None = None) -> list[UUID]:
        """Commands as a policy would decide them because of one event; returns those that the outbox holds for it now."""
        intents = [
            Intent(command=command, cause=cause.event_id, position=cause.position, correlation_id=cause.correlation_id)
            for command in commands
        ]
        async with self.pool.acquire() as conn, conn.transaction():
            await issue(conn, self.log, intents, self.clock.now(), fence)
        self.log.ring()
        rows = await self.pool.fetch("SELECT command_id FROM crossdock.outbox WHERE issued_after = $1 ORDER BY nth", cause.position)
        return [row["command_id"] for row in rows]

    async def erase(self, *subjects: str) -> set[str]:
        """Destroy their keys, and tell nobody. Returns those that had not been erased."""
        async with self.pool.acquire() as conn:
            return await self.vault.erase(conn, subjects, self.clock.now())

    async def row(self, command_id: UUID) -> Any:
        return await self.pool.fetchrow("SELECT * FROM crossdock.outbox WHERE tenant = $1 AND command_id = $2", TENANT, command_id)

    async def events(self, after: int = 0) -> list[Event]:
        return [envelope.event for envelope in await self.log.read(after, 10_000)]

    async def tags(self, after: int = 0) -> list[str]:
        return [tag_of(event) for event in await self.events(after)]

    def lease(self, target: str, **more: Any) -> Lease:
        return Lease(self.pool, TENANT, target, holder=uuid4(), clock=self.clock, metrics=self.metrics, **more)

    def limits(self, target: str) -> Limits:
        return Limits(self.pool, TENANT, target, self.clock, self.metrics)

    def standing(self) -> Standing:
        return Standing(self.clock, self.rng)

    async def until(self, true: Any, seconds: float = 60.0, passing: float = 0.0) -> None:
        """Wait for something that the log will tell of, or the outbox; fails after so long.

        `passing`: seconds of the clock that go by whenever nothing has come of the last ones for a while; for what may set its own hour
        only after the test has looked.
        """
        with anyio.fail_after(seconds):
            async with self.log.listen() as wake:
                jumped = anyio.current_time() - STILL
                while not await true():
                    if passing and anyio.current_time() - jumped > STILL:
                        self.clock.jump(passing)
                        self.log.ring()
                        jumped = anyio.current_time()
                    await wake(0.02)


@asynccontextmanager
async def machine(
    database: Database, clock: JumpClock | None = None, projections: Sequence[Projection[Any]] = ()
) -> AsyncIterator[Machine]:
    """`projections`: those whose tables are there already."""
    pool = await PostgresDb(database.engine_url, size=10).pool()
    try:
        if projections:
            async with pool.acquire() as conn:
                await ensure_tables(conn, projections)
        clock, metrics = clock or JumpClock(), Metrics()
        vault = Vault(pool, TENANT, bytes(32))
        yield Machine(pool, Log(pool, TENANT, vault, clock, metrics), vault, clock, metrics)
    finally:
        with anyio.move_on_after(5, shield=True):
            await pool.close()
        pool.terminate()


def heard(stream: str, event: Event, external_id: str, **more: Any) -> Heard:
    fact = Fact(event=event, event_id=event_id(TENANT, "test", external_id, tag_of(event)), occurred_at=datetime(2026, 11, 20, tzinfo=UTC))
    return Heard(stream, fact, **more)
