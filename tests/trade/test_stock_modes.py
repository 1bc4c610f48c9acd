"""While Shopify or the order poll is away, and in a blackout, a channel shows less, by a decision that stands in the log (I6, R40, R58)."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine.ports import SystemClock
from ops.sandbox.faults import Fault
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.shopify.switches import Noise, Switches
from projections.stock_rules import Rules, Window
from schemas.events.inventory import StockModeSet
from schemas.streams import offers_stream
from schemas.values import ChannelId
from tests.conftest import Database
from tests.house import PATIENCE, House, house
from tests.trade.test_stock import ready, shown, there

pytestmark = pytest.mark.anyio

READS_STOCK = ("ItemsPage", "ItemsGet", "BulkRun", "BulkGet")


def by(**rules: Any) -> dict[str, Rules]:
    return {"stock": Rules(**rules)}


def down(built: House, *operations: str) -> None:
    for operation in operations:
        built.sandbox.faults.add(Fault(operation=operation, action="http_503", count=None))


async def modes(built: House) -> list[tuple[str, int]]:
    events = [each.event for each in await built.log.read_stream(offers_stream(ChannelId("asos")))]
    return [(event.mode, event.step) for event in events if isinstance(event, StockModeSet)]


async def until_mode(built: House, mode: str, step: int = 0) -> None:
    with anyio.fail_after(PATIENCE):
        while (mode, step) not in await modes(built):
            await anyio.sleep(0.05)


def degraded(built: House) -> float:
    labels = {"tenant": built.tenant, "channel": "asos"}
    return built.engines[0].metrics.registry.get_sample_value("crossdock_stock_degraded_skus", labels) or 0.0


def count(built: House, sku: str, quantity: int) -> None:
    built.sandbox.apply("shopify.stock", {"sku": sku, "quantity": quantity, "location": None})


async def test_without_readings_of_shopify_less_and_less_is_shown_and_all_of_it_again_after(database: Database, tmp_path: Path) -> None:
    rules = by(stale_shop="decay", stale_shop_minutes=20.0, decay_minutes=20.0)
    async with house(database.engine_url, tmp_path, channel=rules) as built:
        first, *_ = skus = await ready(built)
        before = {sku: shown(built, sku) for sku in skus}
        down(built, *READS_STOCK)
        for step in (1, 2):
            await until_mode(built, "decay", step)
            await built.until(lambda step=step: all(shown(built, sku) <= before[sku] >> step for sku in skus), f"decayed {step} times")  # type: ignore[misc]
        assert degraded(built) == len(built.sandbox.truth()["mirakl"]["offers"])
        built.sandbox.faults.clear()
        await until_mode(built, "normal")
        count(built, first, 31)
        await built.until(lambda: all(shown(built, sku) == there(built, sku) for sku in skus), "all is shown again")
        await built.until(lambda: degraded(built) == 0, "nothing is kept back")
        assert built.sandbox.truth()["mirakl"]["violations"] == []


async def test_without_polls_of_orders_nothing_rises_and_what_falls_is_shown(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, channel=by(stale_orders_minutes=10.0)) as built:
        rises, falls, *_ = await ready(built)
        down(built, "OR11")
        await until_mode(built, "hold")
        before = shown(built, rises)
        count(built, rises, before + 40)
        count(built, falls, 5)
        await built.until(lambda: shown(built, falls) == there(built, falls), "what falls is shown")
        await built.until(lambda: degraded(built) == 1, "one SKU is held")
        assert shown(built, rises) == before
        built.sandbox.faults.clear()
        await built.until(lambda: shown(built, rises) == there(built, rises) == before + 37, "what rose is shown once orders are polled")
        assert await modes(built) == [("hold", 0), ("normal", 0)]


async def test_in_a_blackout_nothing_is_on_offer_and_after_it_all_of_it(database: Database, tmp_path: Path) -> None:
    starts = SystemClock().now() + timedelta(minutes=25)
    window = Window(name="stock-taking", starts=starts, ends=starts + timedelta(minutes=20))
    async with house(database.engine_url, tmp_path, channel=by(blackouts=(window,))) as built:
        skus = await ready(built)
        await built.until(lambda: not any(shown(built, sku) for sku in skus), "nothing is on offer")
        assert built.clock.now() >= starts
        await built.until(lambda: all(shown(built, sku) == there(built, sku) for sku in skus), "all is on offer again")
        assert built.clock.now() >= window.ends
        assert await modes(built) == [("blackout", 0), ("normal", 0)]


async def test_a_channel_whose_rule_is_zero_shows_nothing_while_its_orders_cannot_be_polled(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, channel=by(stale_orders="zero", stale_orders_minutes=10.0)) as built:
        skus = await ready(built)
        down(built, "OR11")
        await built.until(lambda: not any(shown(built, sku) for sku in skus), "nothing is on offer")
        built.sandbox.faults.clear()
        await built.until(lambda: all(shown(built, sku) == there(built, sku) for sku in skus), "all is on offer again")
        assert await modes(built) == [("zero", 0), ("normal", 0)]


async def test_after_an_absence_nothing_rises_before_the_shop_was_read_anew(database: Database, tmp_path: Path) -> None:
    """What the website sold meanwhile, nobody told us; and a number that has to rise rests on what was there before."""
    plan = Plan(skus=6, warehouse=Warehouse(pick_seconds=60.0), shopify=Switches(webhooks=Noise(drop=1.0)))
    async with house(database.engine_url, tmp_path, plan=plan) as built:
        sku, *_ = await ready(built)
        await built.until_answered()
        built.engines[0].stop()
        held = "SELECT count(*) FROM crossdock.leases WHERE tenant = $1 AND holder IS NOT NULL"
        with anyio.fail_after(PATIENCE):
            while await built.pool.fetchval(held, built.tenant):
                await anyio.sleep(0.05)
        count(built, sku, 4)
        await built.clock.sleep(400.0)  # longer than a handing over takes, and no time for a sweep yet
        built.sandbox.apply("mirakl.edit_offer", {"sku": sku, "quantity": 0})
        before = len(built.sandbox.truth()["history"]["offers"][sku])
        await built.engine()
        await built.until(lambda: shown(built, sku) == there(built, sku) == 1, "what is left is on offer again")
        since = [quantity for _, quantity, _ in built.sandbox.truth()["history"]["offers"][sku][before:]]
        assert set(since) == {1}, "and no more than that ever was"
        assert [mode for mode, _ in await modes(built)] == [], "by no mode"
