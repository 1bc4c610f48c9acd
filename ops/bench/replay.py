"""How fast is the log folded again? Rebuilds by one process, by two, and with the proof beside; catching up; over COPY OUT of the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from engine.rebuild import Part, discard, rebuild
from engine.runner import advance
from ops.bench.beside import beside, peak_memory
from ops.bench.life import TENANT, append_of
from ops.bench.place import Place, timed
from ops.bench.raw import raw_out
from ops.bench.row import Row, ratio
from ops.bench.size import Size
from projections.orders import orders


async def rows(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    size_of_event = await _fill(where, size.log, told)
    events = await where.log.head()
    raw, once, twice, proved, carried = [], [], [], [], []
    for round_ in range(size.rounds):
        told(f"replaying {events:,} events, round {round_ + 1}")
        raw.append(await raw_out(where, events))

        async def anew() -> None:
            await discard(where.pool, await rebuild(where.pool, where.log, orders, upto=events))

        once.append(events / await timed(anew()))

        async with beside(where, "part") as part:

            async def fold(table: str, upto: int, shards: Sequence[int]) -> Part:
                return msgspec.json.decode(await part(table, str(upto), *map(str, shards)), type=Part)

            async def shared() -> None:
                await discard(where.pool, await rebuild(where.pool, where.log, orders, upto=events, elsewhere=[fold]))

            twice.append(events / await timed(shared()))

        async with beside(where, "prove") as proof:
            proved.append(events / await timed(_together(anew(), proof())))

        async def carry() -> None:
            while await advance(where.pool, where.log, orders, limit=1000):
                pass

        await where.execute("DELETE FROM projections.orders; DELETE FROM crossdock.checkpoints")
        carried.append(events / await timed(carry()))
    memory = await peak_memory(where)
    note = f"{size_of_event:.0f} bytes an event"
    return [
        ratio("rebuild, one process, over raw out", once, raw, must=0.50, aim=0.70, note=note),
        ratio("rebuild, two processes, over raw out", twice, raw, must=0.70, aim=0.90),
        ratio("catch-up, 1,000 a commit, over raw out", carried, raw, must=0.15, aim=0.25),
        ratio("rebuild, chain verified and sealed opened beside it, over raw out", proved, raw, must=0.30, aim=0.45),
        Row(what=f"peak memory of a rebuild of {events:,} events", ours=memory, unit="MiB", must=250, aim=150, less_is_better=True),
    ]


async def _fill(where: Place, events: int, told: Callable[[str], None]) -> float:
    """A log of so many events; returns their mean size in bytes."""
    while (head := await where.log.head()) < events:
        group = [append_of(next(where.numbers), sealed=True) for _ in range(250)]
        async with where.pool.acquire() as conn, conn.transaction():
            await where.log.append_in(conn, group)
        told(f"writing a log of {events:,} events: {head:,}")
    await where.execute("VACUUM ANALYZE crossdock.events")
    return float(
        await where.pool.fetchval("SELECT avg(length(data::text)) FROM crossdock.events WHERE tenant = $1 AND position < 10000", TENANT)
    )


async def _together(*works: Awaitable[Any]) -> None:
    await asyncio.gather(*works)
