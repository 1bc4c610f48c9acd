"""`crossdock bench --only publish`: a large shop with several channels, and fifty changes a second: does what is shown keep up?

Everything is real but the two marketplaces, which are sandboxes with enforced ceilings, and time is real, too. A tenth of the changes sell
a SKU out: for these it is measured how long the marketplaces go on showing it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec

from adapters.shopify.inbound.sweep import StockSweep, whole_at
from ops.bench.large import Large, clock, large
from ops.bench.load import CURSOR, HEAD
from ops.bench.place import Place, scratch
from ops.bench.row import Row
from ops.bench.size import Size
from ops.sandbox.catalogue import sku_of

SCENARIO = """
skus = {skus}
marketplace_orders = 0
locations = 1
[shopify]
bucket = 20000.0
restore_rate = 1000.0
[mirakl]
enforce_ceilings = true
import_wait = 5.0
import_run = 10.0
"""
SINCE = "SELECT data, recorded_at FROM crossdock.events WHERE tenant = $1 AND type = $2 AND position > $3 ORDER BY position"
COUNTED = "SELECT count(*) FROM crossdock.events WHERE tenant = $1 AND type = 'stock_counted' AND position > $2"
SETTLE = 240.0  # seconds after the last change, in which the last files end
TENANT = "large"

Found = dict[str, Any]


async def rows(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    """Fifty changes a second, for two minutes."""
    with scratch() as directory:
        found = await _publish(where, directory, skus=size.skus, channels=size.channels, rate=50, seconds=120, told=told)
    heard, what = found["heard"], f"{size.skus:,} SKUs on {size.channels} channels: "
    rows = [
        Row(what=f"{what}changes a second", ours=found["rate"], unit="/s", note=f"{found['processor']:.0%} of a processor"),
        Row(what="  from a change to the log, p99", ours=heard.get("p99"), unit="s", note=f"p50 {heard.get('p50', 0):.1f} s"),
        Row(what="  until the readers had caught up, after the last", ours=found["caught_up_seconds"], unit="s"),
        Row(what="  peak memory of serve", ours=found["memory"], unit="MiB"),
    ]
    for channel, waits in found["to_zero"].items():
        note = f"{waits['n']} of {waits['of']}; p50 {waits.get('p50', 0):.0f} s, at most {waits.get('max', 0):.0f} s"
        rows.append(Row(what=f"  {channel}: sold out until applied, p99", ours=waits.get("p99"), unit="s", note=note))
    return rows


async def _publish(
    where: Place, directory: Path, *, skus: int, channels: int, rate: int, seconds: int, told: Callable[[str], None]
) -> Found:
    pool = where.pool
    told(f"building {channels} x {skus:,} offers")
    scenario = SCENARIO.format(skus=skus)
    async with large(directory, where.engine_url, scenario, channels=channels) as house, house.serving(house.configure(TENANT)) as engine:
        while whole_at(await pool.fetchval(CURSOR, TENANT, StockSweep.name)) is None:
            told(f"loading: {await pool.fetchval(HEAD, TENANT) or 0:,} events")
            await clock.sleep(1.0)
        head, cpu, began = await pool.fetchval(HEAD, TENANT), engine.cpu(), clock.monotonic()
        changes = await _change(house, skus, rate, seconds, told)
        elapsed = clock.monotonic() - began
        busy = (engine.cpu() - cpu) / elapsed
        late = clock.monotonic()
        while (await _counted(pool, head)) < len({sku for sku, _, _ in changes}) and clock.monotonic() - late < SETTLE:
            await clock.sleep(0.25)
        caught_up = clock.monotonic() - late
        told("waiting for the last files")
        zeros = {sku: at for sku, units, at in changes if units == 0}
        until, shown = clock.monotonic() + SETTLE, dict[str, dict[str, float]]()
        while clock.monotonic() < until and sum(map(len, shown.values())) < len(zeros) * channels:
            await clock.sleep(2.0)
            shown = await _shown(pool, head, zeros)
        heard = await _heard(pool, head, changes)
        return {
            "rate": len(changes) / elapsed,
            "processor": busy,
            "caught_up_seconds": caught_up,
            "memory": engine.memory(),
            "heard": _quantiles(heard),
            "to_zero": {channel: _quantiles(list(waits.values())) | {"of": len(zeros)} for channel, waits in shown.items()},
        }


async def _change(house: Large, skus: int, rate: int, seconds: int, told: Callable[[str], None]) -> list[tuple[str, int, float]]:
    """So many changes a second, each of another SKU; one in ten to none. Returns SKU, units, and when it was (seconds since 1970)."""
    wanted = [sku_of(number * 7919 % skus) for number in range(min(skus, rate * seconds))]  # 7919: a prime, so each is another
    made: list[tuple[str, int, float]] = []
    url = f"{house.sandboxes[0][0]}/sandbox/stock"

    async def one(sku: str, units: int) -> None:
        async with house.session.post(url, json={"sku": sku, "available": units}) as reply:
            if reply.status == 200:
                made.append((sku, units, clock.now().timestamp()))

    began = clock.monotonic()
    with anyio.move_on_after(seconds * 3):
        async with anyio.create_task_group() as group:
            for number, sku in enumerate(wanted):
                if (ahead := number / rate - (clock.monotonic() - began)) > 0:
                    await clock.sleep(ahead)
                group.start_soon(one, sku, 0 if number % 10 == 0 else 61 + number % 39)
                if number % (rate * 5) == 0:
                    told(f"{number:,} changes made")
    return made


async def _counted(pool: Any, head: int) -> int:
    return int(await pool.fetchval(COUNTED, TENANT, head))


async def _heard(pool: Any, head: int, changes: list[tuple[str, int, float]]) -> list[float]:
    """Seconds from each change until it was in the log."""
    made = {sku: at for sku, _, at in changes}
    found = []
    for row in await pool.fetch(SINCE, TENANT, "stock_counted", head):
        sku = msgspec.json.decode(row["data"])["sku"]
        if sku in made:
            found.append(row["recorded_at"].timestamp() - made.pop(sku))
    return found


async def _shown(pool: Any, head: int, zeros: dict[str, float]) -> dict[str, dict[str, float]]:
    """Of each channel, seconds from a SKU's last unit until we were told that the file that says so was applied."""
    found: dict[str, dict[str, float]] = {}
    for row in await pool.fetch(SINCE, TENANT, "stock_import_finished", head):
        event = msgspec.json.decode(row["data"])
        waits = found.setdefault(event["channel"], {})
        for sku, units in event["quantities"].items():
            if units == 0 and sku in zeros and sku not in waits and event["status"] == "COMPLETE":
                waits[sku] = row["recorded_at"].timestamp() - zeros[sku]
    return found


def _quantiles(waits: list[float]) -> dict[str, float]:
    ordered = sorted(waits)
    if not ordered:
        return {"n": 0}
    return {"n": len(ordered), "p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}
