"""How late and how far off a channel's stock is can be read from the metrics (R2, R58, R64, R85, R124; invariants I2, I4, I7)."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ops.sandbox.faults import Fault
from tests.conftest import Database
from tests.house import House, house
from tests.integration.test_stock import ready, shown, there
from tests.integration.test_stock_modes import count

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
    async with house(database.engine_url, tmp_path) as built:
        sku, *_ = await ready(built)
        await built.until(lambda: of(built, "stock_unpublished") == 0, "all is shown")
        assert of(built, "stock_oldest_unpublished_seconds", change="to_zero") == 0
        built.sandbox.faults.add(Fault(operation="STO01", action="http_503", count=None))
        count(built, sku, 0)
        await built.until(lambda: of(built, "stock_oldest_unpublished_seconds", change="to_zero") > 400, "it is late")
        assert of(built, "import_age_seconds") > 300 and of(built, "stock_oldest_unpublished_seconds", change="other") == 0
        built.sandbox.faults.clear()
        await built.until(lambda: shown(built, sku) == 0, "it is shown")
        await built.until(lambda: of(built, "stock_oldest_unpublished_seconds", change="to_zero") == 0, "and that is known")
        assert of(built, "import_age_seconds") == 0


async def test_a_file_that_waits_for_its_turn_only_is_timed(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, change=lambda section: slow(section, 600.0)) as built:
        sku, *_ = await ready(built)
        waited = sample(built, "stock_ceiling_wait_seconds_sum", channel="asos")
        for units in (9, 8):
            count(built, sku, units)
            await built.until(lambda units=units: shown(built, sku) == units - 3, "it is shown")  # type: ignore[misc]
        assert sample(built, "stock_ceiling_wait_seconds_sum", channel="asos") - waited > 300


def slow(section: Any, seconds: float) -> Any:
    return replace(section, publish_every=seconds)


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
