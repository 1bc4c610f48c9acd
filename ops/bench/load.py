"""`crossdock bench --only load`: the first load of a large shop, its time and memory, and what a kill -9 in its middle costs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.shopify.inbound.sweep import StockSweep, whole_at
from ops.bench.large import Serving, clock, large
from ops.bench.place import Place, scratch
from ops.bench.row import Row
from ops.bench.size import Size

CURSOR = "SELECT cursor FROM crossdock.cursors WHERE tenant = $1 AND name = $2"
COUNTS = "SELECT type, count(*) AS number FROM crossdock.events WHERE tenant = $1 AND type = any($2) GROUP BY type ORDER BY type"
HEAD = "SELECT position FROM crossdock.heads WHERE tenant = $1"
FOLDED = "SELECT position FROM crossdock.checkpoints WHERE tenant = $1 AND name = 'inventory'"
TOLD = ("stock_counted", "variant_seen")
FEW = 50  # events before the first item is told
PATIENCE = 3_600.0  # seconds
SCENARIO = "skus = {items}\nmarketplace_orders = 0\nlocations = 2\n[shopify]\nbucket = 20000.0\nrestore_rate = 1000.0\n"

Found = dict[str, Any]


async def rows(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    """A shop that is new to `crossdock serve`."""
    with scratch() as directory:
        found = await _load(where, directory, size.items, told)
    wrong = sum(abs(number - size.items) for of in ("whole", "killed") for number in found[f"events_{of}"].values())
    what = f"first load of {size.items:,} variants"
    killed = f"killed after {found['events_at_kill']:,} events, whole {found['seconds_after_kill']:,.0f} s after it came back"
    return [
        Row(
            what=f"{what}, from the start of serve", ours=found["seconds"], unit="s", note=f"of these {found['exporting']:,.0f} s Shopify's"
        ),
        Row(what="  peak memory of serve", ours=found["memory"], unit="MiB", note=f"{found['idle']:,.0f} MiB before"),
        Row(what="  its processor time", ours=found["cpu"], unit="s"),
        Row(what="  events lost or doubled by a kill -9", ours=wrong, unit="events", must=0, aim=0, less_is_better=True, note=killed),
    ]


async def _load(where: Place, directory: Path, items: int, told: Callable[[str], None]) -> Found:
    """The first load of a shop of so many variants by `crossdock serve`; once as it is, and once killed in the middle."""
    pool = where.pool
    told(f"building a shop of {items:,} variants")
    async with large(directory, where.engine_url, SCENARIO.format(items=items)) as house:
        told("loading")
        async with house.serving(house.configure("whole")) as engine:
            await _until(pool, "whole", engine, lambda at: at.events > FEW, told)
            exporting, idle = clock.monotonic() - engine.began, engine.memory()
            await _until(pool, "whole", engine, lambda at: at.whole, told)
            loaded = clock.monotonic() - engine.began
            await _until(pool, "whole", engine, lambda at: at.folded, told)
            found: Found = {"seconds": loaded, "memory": engine.memory(), "cpu": engine.cpu(), "exporting": exporting, "idle": idle}
        told("loading, to be killed")
        settings = house.configure("killed")
        async with house.serving(settings) as engine:
            await _until(pool, "killed", engine, lambda at: at.events >= items, told)
        found["events_at_kill"] = (await _stand(pool, "killed")).events
        async with house.serving(settings) as engine:
            await _until(pool, "killed", engine, lambda at: at.whole, told)
            found["seconds_after_kill"] = clock.monotonic() - engine.began
    for tenant in ("whole", "killed"):
        found[f"events_{tenant}"] = {row["type"]: row["number"] for row in await pool.fetch(COUNTS, tenant, TOLD)}
    return found


class _Stand:
    whole = folded = False
    events = 0


async def _stand(pool: Any, tenant: str) -> _Stand:
    at = _Stand()
    at.whole = whole_at(await pool.fetchval(CURSOR, tenant, StockSweep.name)) is not None
    at.events = await pool.fetchval(HEAD, tenant) or 0
    at.folded = at.whole and (await pool.fetchval(FOLDED, tenant) or 0) >= at.events
    return at


async def _until(pool: Any, tenant: str, engine: Serving, holds: Callable[[_Stand], bool], told: Callable[[str], None]) -> None:
    until = clock.monotonic() + PATIENCE
    while clock.monotonic() < until:
        at = await _stand(pool, tenant)
        told(f"loading: {at.events:,} events {engine.memory():.0f} MiB")
        if holds(at):
            return
        if engine.process.returncode is not None:
            raise RuntimeError("the engine ended: see its log")
        await clock.sleep(0.5)
    raise RuntimeError("not loaded within an hour")
