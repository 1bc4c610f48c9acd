"""How late and how far off a channel's stock is can be read from the metrics (R2, R58, R64, R85, R124; invariants I2, I4, I7)."""

from pathlib import Path

import anyio
import pytest

from ops.oversells import CAUSES
from ops.sandbox.faults import Fault
from projections.stock_rules import Rules
from schemas.events.inventory import PaceMeasured
from schemas.values import Sku
from tests.conftest import Database
from tests.house import PATIENCE, House, house
from tests.trade.test_stock import ready, shown, there
from tests.trade.test_stock_modes import count

pytestmark = pytest.mark.anyio


def sample(built: House, name: str, **labels: str) -> float:
    return built.engines[0].metrics.registry.get_sample_value(f"crossdock_{name}", labels) or 0.0


def of(built: House, name: str, **more: str) -> float:
    return sample(built, name, tenant=built.tenant, channel="asos", **more)


async def test_each_stage_of_a_change_is_timed_by_what_it_changes(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        zero, falls, *_ = skus = await ready(built)
        stages = ("decided", "submitted", "applied")

        def timed(stage: str, change: str, what: str = "count") -> float:
            return sample(built, f"stock_{stage}_seconds_{what}", channel="asos", change=change)

        await built.until(lambda: of(built, "stock_unpublished") == 0, "all is shown")
        assert timed("applied", "first") >= len(skus)
        before = {(stage, change): timed(stage, change) for stage in stages for change in ("to_zero", "from_zero", "other")}
        count(built, zero, 0)
        await built.until(lambda: shown(built, zero) == 0, "none is shown")
        await built.until(lambda: timed("applied", "to_zero") == before["applied", "to_zero"] + 1, "and that was timed")
        count(built, zero, 30)
        count(built, falls, 4)
        await built.until(lambda: shown(built, zero) == 27 and shown(built, falls) == 1, "both are shown")
        await built.until(lambda: timed("applied", "from_zero") == before["applied", "from_zero"] + 1, "that was timed")
        for stage in stages:
            assert timed(stage, "to_zero") == before[stage, "to_zero"] + 1
        one = [timed(stage, "to_zero", "sum") / timed(stage, "to_zero") for stage in stages]
        assert 0 <= one[0] < one[1] < one[2] < 600, "one after the other"
        assert of(built, "import_lines_total", outcome="applied") >= len(skus) + 3


async def test_what_a_file_cannot_bring_grows_older_until_one_can(database: Database, tmp_path: Path) -> None:
    """A file is given up after five minutes, and what came meanwhile is in the next one: so the world is slow enough to be looked at."""
    async with house(database.engine_url, tmp_path, speed=30.0) as built:
        sku, other, *_ = await ready(built)
        await built.until(lambda: of(built, "stock_unpublished") == of(built, "import_age_seconds") == 0, "all is shown")
        assert of(built, "stock_oldest_unpublished_seconds", change="to_zero") == 0
        built.sandbox.faults.add(Fault(operation="STO01", action="http_503", count=None))
        count(built, sku, 0)
        await built.until(lambda: of(built, "import_age_seconds") > 0, "a file is under way")
        assert of(built, "stock_oldest_unpublished_seconds", change="to_zero") >= of(built, "import_age_seconds"), (
            "and what it says is older"
        )
        assert of(built, "stock_oldest_unpublished_seconds", change="other") == 0
        count(built, other, 4)
        await built.until(
            lambda: of(built, "stock_oldest_unpublished_seconds", change="other") > 60 and of(built, "stock_unpublished") == 1,
            "so is what came meanwhile; what the file under way says is not in it",
        )
        assert of(built, "stock_oldest_unpublished_seconds", change="to_zero") > of(
            built, "stock_oldest_unpublished_seconds", change="other"
        )
        built.sandbox.faults.clear()
        await built.until(lambda: shown(built, sku) == 0 and shown(built, other) == 1, "both are shown")
        await built.until(lambda: of(built, "stock_oldest_unpublished_seconds", change="to_zero") == 0, "and that is known")
        await built.until(lambda: of(built, "import_age_seconds") == 0, "and no file is under way")


async def test_a_file_that_waits_for_its_turn_only_is_timed(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, channel={"publish_every": 600.0}) as built:
        sku, *_ = await ready(built)
        waited = sample(built, "stock_ceiling_wait_seconds_sum", channel="asos")
        for units in (9, 8):
            count(built, sku, units)
            await built.until(lambda units=units: shown(built, sku) == units - 3, "it is shown")  # type: ignore[misc]
        assert sample(built, "stock_ceiling_wait_seconds_sum", channel="asos") - waited > 300


async def test_what_a_reading_finds_otherwise_is_counted_in_offers_units_and_money(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        more, fewer, *_ = await ready(built)
        believed = {sku: shown(built, sku) for sku in (more, fewer)}
        prices = {sku: float(built.sandbox.truth()["mirakl"]["offers"][sku]["price"]) for sku in (more, fewer)}
        built.sandbox.apply("mirakl.edit_offer", {"sku": more, "quantity": believed[more] + 100})
        built.sandbox.apply("mirakl.edit_offer", {"sku": fewer, "quantity": believed[fewer] - 1})
        await built.until(lambda: of(built, "reconcile_drift_units_total") == 101, "both are counted")
        assert of(built, "reconcile_drift", kind="stock_more") == of(built, "reconcile_drift", kind="stock_fewer") == 1
        minor = round(100 * (100 * prices[more] + prices[fewer]))
        assert of(built, "reconcile_drift_minor_units_total", currency="GBP") == minor
        await built.until(lambda: all(shown(built, sku) == there(built, sku) for sku in (more, fewer)), "both are put right")
        await built.until(lambda: of(built, "reconcile_drift", kind="stock_more") == 0, "and read to be so")
        assert of(built, "reconcile_drift_units_total") == 101, "once"


@pytest.mark.parametrize("velocity", [True, False])
async def test_what_sells_fast_is_kept_back_as_far_as_the_rule_says(database: Database, tmp_path: Path, velocity: bool) -> None:
    rules = Rules(velocity=velocity, velocity_cap=40)
    async with house(database.engine_url, tmp_path, channel={"stock": rules}) as built:
        sku, *_ = await ready(built)
        count(built, sku, 900)
        await built.until(lambda: shown(built, sku) == 897, "so many are shown")
        order = built.buy(sku, quantity=400)
        await built.until_shipped(order)
        left = built.sandbox.truth()["shopify"]["stock"][sku]["available"]
        if not velocity:
            await built.until(lambda: shown(built, sku) == left - 3, "the buffer is kept back")
            await built.clock.sleep(1200)
            assert (shown(built, sku), await built.count("pace_measured")) == (left - 3, 0)
            return
        event = await pace_of(built, sku)
        assert event.hourly[Sku(sku)] == 400 and 60 < event.seconds <= 360
        kept = min(40, -(-400 * event.seconds // 3600))
        await built.until(lambda: shown(built, sku) == left - kept < left - 3, "more than the buffer is kept back")


async def pace_of(built: House, sku: str) -> PaceMeasured:
    with anyio.fail_after(PATIENCE):
        while True:
            for told in (await built.log.last([("offers-asos", "")], PaceMeasured)).values():
                if isinstance(told.event, PaceMeasured) and sku in told.event.hourly:
                    return told.event
            await anyio.sleep(0.05)


def oversold(built: House) -> dict[str, float]:
    units = {cause: sample(built, "oversell_total", tenant=built.tenant, cause=cause) for cause in CAUSES}
    return {cause: number for cause, number in units.items() if number}


async def test_what_was_sold_and_not_there_is_counted_by_what_let_it_happen(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, channel={"stock": Rules(stale_shop_minutes=90)}) as built:
        unheard, known, edited, *_ = await ready(built)
        sound = built.buy(known)
        await built.until_shipped(sound)
        assert oversold(built) == {}

        for operation in ("ItemsGet", "ItemsPage", "BulkRun", "BulkGet"):
            built.sandbox.faults.add(Fault(operation=operation, action="http_503", count=None))
        count(built, unheard, 1)
        built.place((unheard, 3), centre="HUB")  # which others ship, from a shelf of their own
        built.buy(unheard, quantity=3)
        await built.until(lambda: oversold(built) == {"unheard": 2}, "the shop had sold them, and nobody had told us")
        built.sandbox.faults.clear()

        built.sandbox.faults.add(Fault(operation="STO01", action="http_503", count=None))
        built.sandbox.apply("mirakl.edit_offer", {"sku": edited, "quantity": 900})
        count(built, known, 0)
        await built.until(lambda: of(built, "stock_oldest_unpublished_seconds", change="to_zero") > 120, "we know, and cannot tell")
        built.buy(known, quantity=2)
        await built.until(lambda: oversold(built).keys() & {"import", "ceiling"}, "that is counted otherwise")
        await built.until(lambda: of(built, "reconcile_drift", kind="stock_more") == 1, "the edit is read")
        there_is = int(built.sandbox.truth()["shopify"]["stock"][edited]["available"])
        built.buy(edited, quantity=there_is + 5)
        await built.until(lambda: oversold(built).get("edited") == 5, "and so is what somebody else had raised")
        assert oversold(built) in [{"unheard": 2.0, known_by: 2.0, "edited": 5.0} for known_by in ("import", "ceiling")]
