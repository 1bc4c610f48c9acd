"""No window of any length of time ever holds more calls than its ceiling, whoever crashes, waits or sets a clock back."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.adapter import Endpoint
from engine.errors import ThrottledError
from engine.limits import CostBucket, Limits
from engine.metrics import Metrics
from schemas.values import TenantId


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes when there is nothing else to do, and takes none."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 1_000.0
        select: Any = self._selector.select  # type: ignore[attr-defined]

        def skip(timeout: float | None) -> Any:
            assert timeout is not None, "everybody waits for somebody else"
            self.at += max(timeout, 1e-9)  # never none at all: rounding would stop it for ever
            return select(0)

        self._selector.select = skip  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.at


class LoopClock:
    """The loop's time, and a wall clock that may be set."""

    def __init__(self) -> None:
        self.set_by = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=self.monotonic() + self.set_by)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def loop_seconds(self, seconds: float) -> float:
        return seconds


@dataclass
class Calls:
    """The table of last calls, in memory; each statement takes its time."""

    last: dict[str, datetime] = field(default_factory=dict)
    takes: float = 0.01  # seconds

    async def fetch(self, _statement: str, *_arguments: Any) -> list[dict[str, Any]]:
        return [{"endpoint": code, "last_at": at} for code, at in self.last.items()]

    async def fetchval(self, statement: str, *arguments: Any) -> datetime | None:
        await asyncio.sleep(self.takes)
        code = arguments[2]
        if statement == limits.COUNT_CALL:
            if self.last.get(code) != arguments[4]:
                return None
            self.last[code] = arguments[3]
        await asyncio.sleep(self.takes)
        return self.last.get(code)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def new(calls: Calls, clock: LoopClock) -> Limits:
    pool: Any = calls
    return Limits(pool, TenantId("acme"), "mirakl:asos", clock, Metrics())


def held(endpoint: Endpoint, departures: list[float]) -> bool:
    times = sorted(departures)
    return all(after - before >= endpoint.per - 1e-5 for before, after in zip(times, times[endpoint.calls :], strict=False))


pauses = st.sampled_from([0.0, 0.05, 0.3]) | st.floats(0.0, 40.0)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), pauses),
        st.tuples(st.just("other"), pauses),
        st.tuples(st.just("crash"), pauses),
        st.tuples(st.just("hold"), st.floats(0.0, 90.0)),
        st.tuples(st.just("set back"), st.floats(0.0, 7_200.0)),
    ),
    max_size=25,
)


@given(st.integers(1, 4), st.sampled_from([1.0, 2.0, 10.0, 60.0]), st.sampled_from([0.0, 0.01, 3.0]), steps)
@settings(max_examples=150)
def test_every_window_is_within_the_ceiling(calls: int, per: float, takes: float, schedule: list[tuple[str, float]]) -> None:
    endpoint = Endpoint("OR11", "GET", "/api/orders", calls=calls, per=per)
    departures: list[float] = []

    async def main() -> None:
        store, clock = Calls(takes=takes), LoopClock()
        ours, theirs = new(store, clock), new(store, clock)
        under_way: list[asyncio.Task[None]] = []

        async def admit(through: Limits) -> None:
            await through.admit(endpoint)
            departures.append(clock.monotonic())

        for step, seconds in schedule:
            match step:
                case "admit":
                    under_way.append(asyncio.create_task(admit(ours)))
                case "other" if endpoint.interval >= limits.SLOW:  # two processes share only what is durable
                    under_way.append(asyncio.create_task(admit(theirs)))
                case "crash":
                    for task in under_way:
                        task.cancel()
                    await asyncio.gather(*under_way, return_exceptions=True)
                    under_way.clear()
                    ours, theirs = new(store, clock), new(store, clock)
                    if int(seconds) % 2:
                        await ours.load()
                case "hold":
                    ours.hold(endpoint, seconds)
                case "set back":
                    clock.set_by -= seconds
            await asyncio.sleep(seconds)
        await asyncio.gather(*under_way)

    run(main)
    assert held(endpoint, departures), sorted(departures)


def test_calls_are_spread_and_none_is_lost() -> None:
    endpoint = Endpoint("OR31", "PUT", "/", calls=5, per=1.0)
    departures: list[float] = []

    async def main() -> None:
        it, clock = new(Calls(), LoopClock()), LoopClock()

        async def admit() -> None:
            await it.admit(endpoint)
            departures.append(clock.monotonic())

        await asyncio.gather(*(admit() for _ in range(11)))

    run(main)
    assert len(departures) == 11
    assert departures[-1] - departures[0] == pytest.approx(2.0, abs=0.01)


def test_a_restart_in_no_time_does_not_double_a_quick_ceiling() -> None:
    endpoint = Endpoint("OR31", "PUT", "/", calls=2, per=1.0)
    departures: list[float] = []

    async def main() -> None:
        store, clock = Calls(), LoopClock()
        for _ in range(4):
            await new(store, clock).admit(endpoint)
            departures.append(clock.monotonic())

    run(main)
    assert held(endpoint, departures)


def test_a_restart_waits_for_what_is_left_of_the_interval_and_knows_it_beforehand() -> None:
    endpoint = Endpoint("OR11", "GET", "/api/orders", calls=1, per=60.0)

    async def main() -> None:
        store, clock = Calls(), LoopClock()
        await new(store, clock).admit(endpoint)
        await asyncio.sleep(40.0)
        again = new(store, clock)
        await again.load()
        assert again.wait(endpoint) == pytest.approx(20.0 + limits.LEAVING, abs=0.1)
        began = clock.monotonic()
        await again.admit(endpoint)
        assert clock.monotonic() - began == pytest.approx(20.0 + limits.LEAVING, abs=0.1)

    run(main)


def test_a_clock_set_back_by_years_holds_nothing_up_for_longer_than_an_interval() -> None:
    endpoint = Endpoint("OR11", "GET", "/api/orders", calls=1, per=60.0)

    async def main() -> None:
        store, clock = Calls(), LoopClock()
        await new(store, clock).admit(endpoint)
        clock.set_by -= 86_400.0 * 700
        began = clock.monotonic()
        await new(store, clock).admit(endpoint)
        assert clock.monotonic() - began <= 60.0 + limits.LATEST + 0.1

    run(main)


def test_nobody_waits_for_tomorrow() -> None:
    """Whoever was killed after a call of which one a day is allowed was counted: its successor is told at once, and goes on."""
    daily, slowest = Endpoint("SH21", "GET", "/carriers", calls=1, per=86_400.0), Endpoint("OR11", "GET", "/orders", calls=1, per=900.0)

    async def main() -> None:
        store, clock = Calls(), LoopClock()
        for endpoint in (daily, slowest):
            await new(store, clock).admit(endpoint)
        successor = new(store, clock)
        began = clock.monotonic()
        with pytest.raises(ThrottledError) as told:
            await successor.admit(daily)
        assert clock.monotonic() - began < 1.0 and 86_000.0 < told.value.retry_after < 86_500.0
        await successor.admit(slowest)
        await asyncio.sleep(86_500.0)
        await successor.admit(daily)

    run(main)


def test_a_pause_holds_those_who_wait_already() -> None:
    endpoint = Endpoint("OR24", "PUT", "/", calls=10, per=1.0)

    async def main() -> None:
        it, clock = new(Calls(), LoopClock()), LoopClock()
        await it.admit(endpoint)
        began = clock.monotonic()
        waiting = asyncio.create_task(it.admit(endpoint))
        await asyncio.sleep(0)
        it.hold(endpoint, 30.0)
        assert it.wait(endpoint) >= 30.0
        await waiting
        assert clock.monotonic() - began == pytest.approx(30.0, abs=0.01)

    run(main)


def test_a_slow_ceiling_counts_from_the_answer() -> None:
    endpoint = Endpoint("STO01", "POST", "/", calls=1, per=60.0)

    async def main() -> None:
        it, clock = new(Calls(), LoopClock()), LoopClock()
        await it.admit(endpoint)
        await asyncio.sleep(25.0)  # a slow connection: it arrived just now
        it.settled(endpoint)
        began = clock.monotonic()
        await it.admit(endpoint)
        assert clock.monotonic() - began == pytest.approx(60.0, abs=0.1)

    run(main)


# ---------------------------------------------------------------- the cost bucket


def test_points_are_waited_for_at_the_rate_last_heard() -> None:
    async def main() -> None:
        clock = LoopClock()
        bucket = CostBucket(clock)
        async with bucket.take(100):
            bucket.observe(100, maximum=2_000.0, available=50.0, restore_rate=100.0)
        began = clock.monotonic()
        async with bucket.take(550):
            assert clock.monotonic() - began == pytest.approx(5.0, abs=0.01)

    run(main)


def test_before_the_first_answer_the_smallest_bucket_is_assumed() -> None:
    async def main() -> None:
        clock = LoopClock()
        bucket = CostBucket(clock)
        began = clock.monotonic()
        async with bucket.take(900), bucket.take(200):
            assert clock.monotonic() - began == pytest.approx(2.0, abs=0.01)

    run(main)


def test_what_is_under_way_is_not_spent_twice() -> None:
    async def main() -> None:
        clock = LoopClock()
        bucket = CostBucket(clock)
        async with bucket.take(400):
            async with bucket.take(10):
                bucket.observe(10, maximum=1_000.0, available=990.0, restore_rate=50.0)  # the 400 have not arrived yet
            assert bucket.level == pytest.approx(590.0)
        assert bucket.level == pytest.approx(590.0)

    run(main)


def test_more_than_the_bucket_holds_goes_when_it_is_full() -> None:
    async def main() -> None:
        clock = LoopClock()
        bucket = CostBucket(clock)
        began = clock.monotonic()
        async with bucket.take(500), bucket.take(5_000):
            assert clock.monotonic() - began == pytest.approx(10.0, abs=0.01)

    run(main)


def test_who_matters_more_is_served_first_and_a_cancelled_one_holds_up_nobody() -> None:
    served: list[str] = []

    async def main() -> None:
        bucket = CostBucket(LoopClock())
        async with bucket.take(1_000):
            pass

        async def ask(name: str, points: float, priority: int) -> None:
            async with bucket.take(points, priority):
                served.append(name)

        async with asyncio.TaskGroup() as group:
            dying = group.create_task(ask("dying", 100, 1))
            group.create_task(ask("stock", 10, 50))
            group.create_task(ask("second stock", 10, 50))
            group.create_task(ask("ship", 500, 10))
            await asyncio.sleep(0.1)
            dying.cancel()

    run(main)
    assert served == ["ship", "stock", "second stock"]


def test_news_of_a_fuller_bucket_wakes_who_waits() -> None:
    async def main() -> None:
        clock = LoopClock()
        bucket = CostBucket(clock)
        began = clock.monotonic()
        with anyio.fail_after(60):
            async with bucket.take(1_000), asyncio.TaskGroup() as group:
                waiting = group.create_task(_take(bucket, 900))
                await asyncio.sleep(1.0)
                bucket.observe(1_000, maximum=2_000.0, available=1_900.0, restore_rate=100.0)
                await waiting
        assert clock.monotonic() - began < 1.1

    run(main)


async def _take(bucket: CostBucket, points: float) -> None:
    async with bucket.take(points):
        pass
