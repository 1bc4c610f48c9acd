"""How soon is an event in its projection? From the call of append to the commit of the row, at 200 and at 8,000 events a second."""

import statistics
from collections.abc import Callable, Sequence

import anyio

from engine.log import Append
from engine.metrics import Metrics
from engine.runner import Runner, advance
from ops.bench.life import singles
from ops.bench.place import Place, clock, settled
from ops.bench.raw import RAW_TABLE, raw_inserts
from ops.bench.row import Row
from ops.bench.size import Size
from projections.orders import orders


async def rows(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    told("appending and folding")
    await where.execute(RAW_TABLE.format(name="raw_limit"))
    slow: list[tuple[float, float, float]] = []  # of each round: raw transactions a second, p50, p99
    fast: list[tuple[float, float, float]] = []  # events a second, p50, p99
    for _ in range(size.rounds):
        await where.execute("CHECKPOINT")
        raw = await raw_inserts(where, 1, size.seconds)
        waits, _ = await _latency(where, 200, size.seconds * 2)
        slow.append((raw, _quantile(waits, 0.5), _quantile(waits, 0.99)))
        waits, reached = await _latency(where, 8000, size.seconds)
        fast.append((reached, _quantile(waits, 0.5), _quantile(waits, 0.99)))
    once = 1000 / statistics.median(raw for raw, _, _ in slow)
    note = f"reached {statistics.median(reached for reached, _, _ in fast):,.0f}/s"
    found = []
    for place, name, must, aim in ((1, "p50", 9.0, 7.0), (2, "p99", 22.0, 15.0)):
        ours, ratio = (statistics.median(each) for each in ((one[place] * 1000 for one in slow), (one[place] * one[0] for one in slow)))
        what = f"append to projected at 200/s, {name}, in raw@1 transactions"
        found.append(Row(what=what, ours=ours, unit="ms", raw=once, ratio=ratio, must=must, aim=aim, less_is_better=True))
    for place, name, must, aim in ((1, "p50", 3.0, 2.0), (2, "p99", 12.0, 6.5)):
        ours = statistics.median(one[place] for one in fast) * 1000
        found.append(Row(what=f"the same at 8,000/s, {name}", ours=ours, unit="ms", must=must, aim=aim, less_is_better=True, note=note))
    return found


async def _latency(where: Place, rate: float, seconds: float) -> tuple[list[float], float]:
    """Seconds from the call of append to the row's commit, at so many appends a second; and the rate that was reached."""
    began_at: dict[int, float] = {}  # position -> when its append was called
    folded_at: dict[int, float] = {}  # and when its row was committed
    while await advance(where.pool, where.log, orders):
        pass
    base = await where.log.head()
    work = [singles(next(where.numbers))[0] for _ in range(int(rate * seconds))]  # made beforehand: it is not ours to time

    async def fold() -> None:
        runner = Runner(where.pool, where.log, orders, clock=clock, metrics=Metrics())
        async with where.log.listen() as wake:
            while True:
                moved = await runner.advance()
                now, last = clock.monotonic(), base + len(folded_at)
                folded_at.update(dict.fromkeys(range(last + 1, last + 1 + moved), now))
                if not moved:
                    await wake(0.05)

    async def one(append: Append) -> None:
        now = clock.monotonic()
        verdict = await where.log.append(append)
        assert verdict.last is not None
        began_at[verdict.last] = now

    sent = 0
    async with anyio.create_task_group() as group:
        group.start_soon(fold)
        with settled():
            began = clock.monotonic()
            async with anyio.create_task_group() as appending:
                while sent < len(work):
                    for append in work[sent : int((clock.monotonic() - began) * rate)]:
                        appending.start_soon(one, append)
                        sent += 1
                    await clock.sleep(0.001)
            reached = sent / (clock.monotonic() - began)
            with anyio.fail_after(10):
                while len(folded_at) < sent:
                    await clock.sleep(0.01)
        group.cancel_scope.cancel()
    return [folded_at[place] - moment for place, moment in began_at.items()], reached


def _quantile(waits: Sequence[float], share: float) -> float:
    return sorted(waits)[int(len(waits) * share)]
