"""Who acts for an outside system: one at a time, by election, and fenced by the election's number.

Nobody's clock is compared with another's: a challenger takes over when the holder's beat has stood still for `ttl` on its own clock.
That may be wrong (a holder can be frozen and come back), and need not be right: safety rests on the epoch, which the database checks
whenever something is claimed, finished or appended.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any
from uuid import UUID

import anyio
import asyncpg
from anyio.abc import TaskGroup

from engine.errors import LeaseLostError
from engine.log import Fence
from engine.metrics import Metrics
from engine.ports import DATABASE_AWAY, Clock
from schemas.values import TenantId

TTL = 10.0  # seconds of the event loop; two beats may be late before somebody takes over
BEATS = 3  # within a ttl
GLANCE = 1.0  # seconds of the event loop between two looks of a challenger: how soon it sees that a lease was given back
RELEASE_SECONDS = 2.0  # of the event loop; who does not give the lease back in time lets it run out

MAKE = "INSERT INTO crossdock.leases (tenant, name, epoch, holder, beat) VALUES ($1, $2, 0, NULL, 0) ON CONFLICT (tenant, name) DO NOTHING"

LOOK = "SELECT epoch, holder, beat FROM crossdock.leases WHERE tenant = $1 AND name = $2"

# An election waits for whoever relies on the present epoch to commit (they hold the key in share); a beat waits for nobody.
TAKE = """
WITH free AS (
    SELECT epoch FROM crossdock.leases
    WHERE tenant = $1 AND name = $2 AND epoch = $4 AND beat = $5 AND holder IS NOT DISTINCT FROM $6
    FOR UPDATE
)
UPDATE crossdock.leases l SET epoch = l.epoch + 1, holder = $3, beat = l.beat + 1 FROM free
WHERE l.tenant = $1 AND l.name = $2
RETURNING l.epoch
"""

BEAT = """
UPDATE crossdock.leases SET beat = beat + 1 WHERE tenant = $1 AND name = $2 AND holder = $3 AND epoch = $4 RETURNING beat
"""

GIVE_BACK = """
UPDATE crossdock.leases SET holder = NULL, beat = beat + 1 WHERE tenant = $1 AND name = $2 AND holder = $3 AND epoch = $4
"""

Work = Callable[[Fence], Coroutine[Any, Any, None]]


class Lease:
    """The right to act for one outside system of a tenant. `async with lease as fence:` waits for it, keeps it, and gives it back.

    When it is lost inside the block, the block is cancelled and LeaseLostError comes out of it, in an exception group.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        tenant: TenantId,
        name: str,
        *,
        holder: UUID,
        clock: Clock,
        metrics: Metrics,
        ttl: float = TTL,
    ) -> None:
        self._pool, self._tenant, self.name, self._holder = pool, tenant, name, holder
        self._clock, self._metrics = clock, metrics
        self._ttl = ttl / clock.loop_seconds(1.0)  # a database is not quicker because marketplaces are played fast
        self._keeping: TaskGroup | None = None
        self._fence: Fence | None = None

    async def acquire(self) -> Fence:
        """Wait until it is ours, and begin a new epoch."""
        await self._pool.execute(MAKE, self._tenant, self.name)
        seen, since = None, self._clock.monotonic()
        while True:
            row = await self._pool.fetchrow(LOOK, self._tenant, self.name)
            assert row is not None  # made above, and never deleted
            epoch, holder, beat = row["epoch"], row["holder"], row["beat"]
            if (epoch, beat) != seen:
                seen, since = (epoch, beat), self._clock.monotonic()
            if holder is None or self._clock.monotonic() - since >= self._ttl:
                ours = await self._pool.fetchval(TAKE, self._tenant, self.name, self._holder, epoch, beat, holder)
                if ours is not None:
                    self._show(leading=True, epoch=ours)
                    return Fence(self.name, ours)
            else:
                await self._clock.sleep(min(self._ttl / BEATS / 2, GLANCE / self._clock.loop_seconds(1.0)))

    async def renew(self, fence: Fence) -> None:
        """One beat. Raises LeaseLostError when another was elected."""
        if await self._pool.fetchval(BEAT, self._tenant, self.name, self._holder, fence.epoch) is None:
            raise LeaseLostError(f"{self.name}: epoch {fence.epoch} is over")

    async def release(self, fence: Fence) -> None:
        """Give it back: the next one takes it at once. The epoch stays."""
        await self._pool.execute(GIVE_BACK, self._tenant, self.name, self._holder, fence.epoch)

    async def lead(self, *works: Work) -> None:
        """Do all this work whenever the lease is ours; returns when all of it has returned, and not before."""
        while True:
            try:
                async with self as fence, anyio.create_task_group() as group:
                    for work in works:
                        group.start_soon(work, fence)
            except* LeaseLostError:
                self._metrics.lease_conflict.labels(self._tenant, self.name).inc()
            else:
                return

    async def __aenter__(self) -> Fence:
        fence = self._fence = await self.acquire()
        self._keeping = anyio.create_task_group()
        await self._keeping.__aenter__()
        self._keeping.start_soon(self._keep, fence)
        return fence

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        assert self._keeping is not None and self._fence is not None
        self._keeping.cancel_scope.cancel()
        try:
            return await self._keeping.__aexit__(kind, error, trace)
        finally:
            self._show(leading=False, epoch=self._fence.epoch)
            with suppress(*DATABASE_AWAY), anyio.move_on_after(RELEASE_SECONDS, shield=True):
                await self.release(self._fence)

    async def _keep(self, fence: Fence) -> None:
        """Beat until cancelled. When the database cannot be asked for a whole ttl, somebody else may lead by now: the lease is lost."""
        confirmed = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._ttl / BEATS)
            asked = self._clock.monotonic()
            with (
                suppress(*DATABASE_AWAY),
                anyio.move_on_after(self._clock.loop_seconds(self._ttl)),
            ):
                await self.renew(fence)
                confirmed = asked
            if self._clock.monotonic() - confirmed >= self._ttl:
                raise LeaseLostError(f"{self.name}: epoch {fence.epoch} could not be confirmed in time")

    def _show(self, *, leading: bool, epoch: int) -> None:
        self._metrics.lease_epoch.labels(self._tenant, self.name).set(epoch)
        self._metrics.leader.labels(self._tenant, self.name).set(int(leading))
