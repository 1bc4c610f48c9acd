"""Published call ceilings, held in every window: across restarts, processes and time-outs. And the cost bucket of a GraphQL API."""

import heapq
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import anyio
import asyncpg
from aiolimiter import AsyncLimiter

from engine.adapter import Endpoint
from engine.errors import ThrottledError
from engine.metrics import Metrics
from engine.ports import Clock
from schemas.values import TenantId

SLOW = 1.0  # seconds between two calls from which on the last call is remembered durably; no restart is quicker than that
MOMENT = 0.001  # seconds; no wait is shorter, so that rounding cannot make one that never ends
LEAVING = 5.0  # seconds a call may take to be counted and to leave: the client's time-out for connecting
LATEST = 60.0  # seconds that a slow database may make of it
LONGEST = 1_800.0  # seconds that a call waits for its turn: twice the slowest ceiling but for those of one call a day

LAST_CALLS = "SELECT endpoint, last_at FROM crossdock.calls WHERE tenant = $1 AND target = $2 ORDER BY endpoint"

LAST_CALL = "SELECT last_at FROM crossdock.calls WHERE tenant = $1 AND target = $2 AND endpoint = $3"

# Whoever has not seen the last call has not waited for it, and gets nothing back.
COUNT_CALL = """
INSERT INTO crossdock.calls AS calls (tenant, target, endpoint, last_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, target, endpoint) DO UPDATE SET last_at = excluded.last_at WHERE calls.last_at = $5
RETURNING last_at
"""


@dataclass
class _Gate:
    """One endpoint. Calls pass one by one, `interval` apart."""

    spacing: AsyncLimiter  # of one call: a limiter of n calls lets 2n pass within one window
    free_at: float  # monotonic; not before
    seen: datetime | None  # the last call known to the database: it left no later than this
    leaving: float  # seconds: how much later than now that is, for a call of ours
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    waiting: int = 0
    lately: deque[float] = field(default_factory=deque)  # monotonic; calls within the window


class Limits:
    """The ceilings of one outside system. Calls are spread evenly, which keeps a ceiling in every window, not only in those of the clock.

    The last call of a slow endpoint is in the database before it leaves, so that a crash or another process cannot make it twice.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", tenant: TenantId, target: str, clock: Clock, metrics: Metrics) -> None:
        self._pool, self._tenant, self._target, self._clock, self._metrics = pool, tenant, target, clock, metrics
        self._gates: dict[str, _Gate] = {}
        self._loaded: dict[str, datetime] = {}
        self._since = clock.monotonic()

    async def load(self) -> None:
        """Read when calls were last made, so that `wait` knows it too. `admit` holds the ceiling without."""
        rows = await self._pool.fetch(LAST_CALLS, self._tenant, self._target)
        self._loaded = {row["endpoint"]: row["last_at"] for row in rows}

    def wait(self, endpoint: Endpoint) -> float:
        """Seconds until a call of this endpoint would be admitted; 0: now."""
        gate = self._gate(endpoint)
        return max(0.0, gate.free_at - self._clock.monotonic()) + gate.waiting * endpoint.interval

    async def admit(self, endpoint: Endpoint) -> None:
        """Return when a call may leave, at once; it is counted. Raises ThrottledError where that would be tomorrow."""
        gate, asked = self._gate(endpoint), self._clock.monotonic()
        gate.waiting += 1
        try:
            async with gate.lock:
                while not await self._turn(endpoint, gate):
                    pass
                await gate.spacing.acquire()
                now = self._clock.monotonic()
                gate.free_at = max(gate.free_at, now + endpoint.interval)
        finally:
            gate.waiting -= 1
        self._metrics.limiter_wait_seconds.labels(self._tenant, self._target, endpoint.code).observe(now - asked)
        gate.lately.append(now)
        while gate.lately[0] <= now - endpoint.per:
            gate.lately.popleft()
        self._metrics.outbound_ceiling_ratio.labels(self._tenant, self._target, endpoint.code).set(len(gate.lately) / endpoint.calls)

    def settled(self, endpoint: Endpoint) -> None:
        """The answer is here. A slow ceiling counts from now: on its way to the marketplace, the call may have been late."""
        if endpoint.interval >= SLOW:
            self.hold(endpoint, endpoint.interval)

    def hold(self, endpoint: Endpoint, seconds: float) -> None:
        """The marketplace asked for a pause."""
        gate = self._gate(endpoint)
        gate.free_at = max(gate.free_at, self._clock.monotonic() + seconds)

    def _gate(self, endpoint: Endpoint) -> _Gate:
        gate = self._gates.get(endpoint.code)
        if gate is None:
            spacing = AsyncLimiter(1, self._clock.loop_seconds(endpoint.interval))
            # A predecessor's last call of a quick endpoint is not known: it may have been just before we began.
            unknown = endpoint.interval if endpoint.interval < SLOW else 0.0
            gate = self._gates[endpoint.code] = _Gate(spacing, self._since + unknown, seen=None, leaving=_leaving(endpoint))
            if (last := self._loaded.get(endpoint.code)) is not None:
                self._heed(endpoint, gate, last)
        return gate

    async def _turn(self, endpoint: Endpoint, gate: _Gate) -> bool:
        """Wait until nothing holds the endpoint, and count the call. False: somebody else called meanwhile; wait again."""
        while (wait := gate.free_at - self._clock.monotonic()) > 0:
            if wait > LONGEST:
                raise ThrottledError("its turn is much later", retry_after=wait, target=self._target, endpoint=endpoint.code)
            await self._clock.sleep(max(wait, MOMENT))
        if endpoint.interval < SLOW:
            return True
        place = (self._tenant, self._target, endpoint.code)
        last = self._clock.now() + timedelta(seconds=gate.leaving)
        if await self._pool.fetchval(COUNT_CALL, *place, last, gate.seen) is None:
            if (theirs := await self._pool.fetchval(LAST_CALL, *place)) is not None:
                self._heed(endpoint, gate, theirs)
            return False
        gate.seen = last
        if self._clock.now() > last:  # the database was too slow: say a later moment
            gate.leaving = min(2.0 * gate.leaving, LATEST)
            return False
        gate.leaving = _leaving(endpoint)
        return gate.free_at <= self._clock.monotonic()

    def _heed(self, endpoint: Endpoint, gate: _Gate, last: datetime) -> None:
        """Wait out somebody else's call, but never longer than for a call of just now: the wall clock may have been set back since."""
        rest = (last - self._clock.now()).total_seconds() + endpoint.interval
        gate.seen = last
        gate.free_at = max(gate.free_at, self._clock.monotonic() + min(max(rest, 0.0), endpoint.interval + LATEST))


def _leaving(endpoint: Endpoint) -> float:
    return min(LEAVING, endpoint.interval)


class CostBucket:
    """A leaky bucket of points, as Shopify keeps one for each app and shop: every answer says how full it is, and how fast it fills.

    Between answers it is reckoned here: points go when a request leaves, and come back at the rate last heard.
    """

    # Until the first answer: the smallest bucket known (Shopify Admin API, older examples, 2026-08-13).
    FIRST_MAXIMUM, FIRST_RATE = 1000.0, 50.0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._maximum, self._rate = self.FIRST_MAXIMUM, self.FIRST_RATE
        self._level, self._at = self._maximum, clock.monotonic()
        self._under_way = 0.0  # points of requests that are not answered yet
        self._queue: list[tuple[int, int]] = []
        self._numbers = count()
        self._news = anyio.Event()

    @property
    def level(self) -> float:
        """Points there should be now."""
        return min(self._maximum, self._level + (self._clock.monotonic() - self._at) * self._rate)

    @asynccontextmanager
    async def take(self, points: float, priority: int = 50) -> AsyncIterator[None]:
        """Hold so many points while a request is under way; waits until they should be there. Lower priorities are served first.

        A request that costs more than the bucket can hold goes when it is full: the marketplace will say what it thinks of it.
        """
        await self._served(points, priority)
        self._under_way += points
        try:
            yield
        finally:
            self._under_way -= points
            self._tell()

    def observe(self, points: float, *, maximum: float, available: float, restore_rate: float) -> None:
        """What the answer to a request of so many points said; to be called while they are held.

        Requests still under way may not be in `available` yet, and are taken off.
        """
        self._maximum, self._rate = maximum, max(1.0, restore_rate)
        self._set(min(maximum, available) - max(0.0, self._under_way - points))
        self._tell()

    async def _served(self, points: float, priority: int) -> None:
        place = (priority, next(self._numbers))
        heapq.heappush(self._queue, place)
        try:
            while True:
                news = self._news
                if self._queue[0] != place:
                    await news.wait()
                elif (missing := min(points, self._maximum) - self.level) <= 0:
                    self._set(self.level - points)
                    return
                else:
                    with anyio.move_on_after(max(self._clock.loop_seconds(missing / self._rate), MOMENT)):
                        await news.wait()
        finally:
            self._queue.remove(place)
            heapq.heapify(self._queue)
            self._tell()

    def _set(self, level: float) -> None:
        self._level, self._at = level, self._clock.monotonic()

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()
