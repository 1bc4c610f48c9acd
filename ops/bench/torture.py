"""Is anything lost? Writers are killed in the middle and started again: every acknowledged event is in the log, once and in order."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import anyio

from engine import chain
from engine.log import Append, Log
from engine.metrics import Metrics
from engine.ports import PostgresDb
from engine.vault import Vault
from ops.bench.life import NOON, TENANT, life
from ops.bench.place import MASTER, Place, clock
from ops.bench.row import Row
from ops.bench.size import Size
from schemas.envelope import Fact, event_id


async def rows(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    """Four processes with 32 writers each, two of them killed in the middle and started again."""
    told("killing writers")
    seconds = size.seconds * 2
    acknowledged: list[tuple[str, int]] = []

    async def writer(name: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ops.bench", "write", where.engine_url, name, str(seconds), stdout=subprocess.PIPE
        )

    async def gather(name: str, kill: bool) -> None:
        child = await writer(name)
        assert child.stdout is not None
        with anyio.move_on_after(seconds / 2 if kill else seconds * 10):
            async for line in child.stdout:
                acknowledged.append((name, int(line)))  # noqa: PERF401 - what was read when time is up must be kept
        if kill:
            child.kill()
            acknowledged.extend([(name, int(line)) async for line in child.stdout if line.endswith(b"\n")])
        await child.wait()

    before = await where.log.head()
    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(gather, f"w{number}", number < 2)
        await clock.sleep(seconds / 2 + 0.2)
        for number in range(2):
            group.start_soon(gather, f"again{number}", False)
    after = await where.pool.fetch(
        "SELECT stream, position FROM crossdock.events WHERE tenant = $1 AND position > $2 ORDER BY position", TENANT, before
    )
    there = [row["stream"] for row in after]
    kept = frozenset(there)
    lost = sum(f"bench-{name}-{number}" not in kept for name, number in acknowledged)
    wrong = lost + (len(there) - len(kept)) + (await where.log.head() - before - len(there))
    await chain.verify(where.pool, TENANT, before)
    note = f"{len(acknowledged):,} acknowledged, {len(there):,} in the log, two kills"
    what = "lost, doubled or out of order: 4 processes, 32 writers each"
    return [Row(what=what, ours=wrong, unit="", must=0, aim=0, less_is_better=True, note=note)]


async def write(url: str, name: str, seconds: float) -> None:
    """A process of the torture: appends, and says what was acknowledged."""
    pool = await PostgresDb(url).pool()
    log = Log(pool, TENANT, Vault(pool, TENANT, MASTER), clock, Metrics())
    numbers, until = iter(range(1 << 30)), clock.monotonic() + seconds

    async def one() -> None:
        while clock.monotonic() < until:
            number = next(numbers)
            event = life(number)[1]
            identity = event_id(TENANT, name, str(number), "bench")
            await log.append(
                Append(stream=f"bench-{name}-{number}", facts=(Fact(event=event, event_id=identity, occurred_at=NOON),), expected=0)
            )
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    async with anyio.create_task_group() as group:
        for _ in range(32):
            group.start_soon(one)
    await pool.close()
