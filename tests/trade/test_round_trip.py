"""One order and one stock change, all the way round, on real parts (R1, R34-R36, R90, R109, R120; invariants O1, F1, I4, C1, C2, C5)."""

from pathlib import Path

import anyio
import asyncpg
import pytest
from prometheus_client import generate_latest

from adapters.http import Secret
from ops.sandbox.faults import Fault
from ops.trace import story
from schemas.values import ChannelId
from tests.conftest import Database
from tests.house import PATIENCE, House, house

pytestmark = pytest.mark.anyio

CHANNELS = [ChannelId("asos")]


async def told(built: House, *names: str) -> list[str]:
    """The story of each name, all as of one end of the log: an engine is at work beside us."""
    with anyio.fail_after(PATIENCE):
        while True:
            head = await built.log.head()
            async with built.pool.acquire() as conn:
                stories = [await story(conn, built.log, built.settings.tenant_id, CHANNELS, name) for name in names]
            if head == await built.log.head():
                return ["\n".join(step.what for step in steps) for steps in stories]


async def test_an_order_and_a_count_travel_all_the_way_round(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        await built.until_on_offer()
        order = built.buy()
        await built.until_shipped(order)
        assert built.copies() == {order: 1}
        there = built.order(order)
        [shopify] = [each for each in built.sandbox.truth()["shopify"]["orders"] if each["source_identifier"] == order]
        assert there["seller_reference"] == shopify["name"]
        assert there["tracking"]["number"] == shopify["fulfillments"][0]["numbers"][0]
        assert {line["sku"]: line["quantity"] for line in there["lines"]} == {line["sku"]: line["quantity"] for line in shopify["lines"]}
        assert float(shopify["total"]) == float(there["total"])

        sku = there["lines"][0]["sku"]
        built.sandbox.apply("shopify.stock", {"sku": sku, "quantity": 17, "location": None})
        truth = built.sandbox.truth
        await built.until(
            lambda: truth()["mirakl"]["offers"][sku]["quantity"] == max(0, truth()["shopify"]["stock"][sku]["available"] - 3),
            "the marketplace shows what was counted, less the buffer",
        )
        assert built.sandbox.truth()["mirakl"]["violations"] == []
        await built.until_settled()
        assert await built.open_exceptions() == []

        orders_story, *by_other_names = await told(built, order, shopify["name"], shopify["id"].rpartition("/")[2])
        for line in ("bought:", "asked: accept", "stands in Shopify as", "fulfilment SUCCESS", "the marketplace was told it left"):
            assert line in orders_story
        assert by_other_names == [orders_story, orders_story]
        [stock_story] = await told(built, sku)
        assert "Shopify counts" in stock_story and "asked: show" in stock_story and "COMPLETE" in stock_story


@pytest.mark.parametrize("duplicate_metafield", ["refuse", "create_without"])
async def test_a_reply_lost_after_an_order_was_created_makes_no_second_one(
    database: Database, tmp_path: Path, duplicate_metafield: str
) -> None:
    """The index lags, two answers are lost, a third is cut in its middle: one order each, whichever way Shopify takes a twin."""
    async with house(database.engine_url, tmp_path) as built:
        world, now = built.sandbox.world, built.clock.now
        world.switch("shopify", now(), duplicate_metafield=duplicate_metafield, index_lag=120.0, lookup_lag=60.0)
        built.sandbox.faults.add(Fault(operation="OrderCreate", action="drop", takes_effect=True, count=2))
        built.sandbox.faults.add(Fault(operation="OrderCreate", action="cut"))
        await built.until_on_offer()
        orders = [built.buy() for _ in range(3)]
        await built.until_shipped(*orders)
        assert built.copies() == dict.fromkeys(orders, 1)
        assert await built.count("command_unknown") >= 3
        assert await built.open_exceptions() == []


@pytest.mark.parametrize("operation", ["OR21", "OR24", "OR23", "OR04", "STO01"])
async def test_a_lost_reply_of_the_marketplace_is_settled(database: Database, tmp_path: Path, operation: str) -> None:
    async with house(database.engine_url, tmp_path) as built:
        await built.until_on_offer()
        built.sandbox.faults.add(Fault(operation=operation, action="drop", takes_effect=True, count=2))
        order = built.buy()
        await built.until_shipped(order)
        await built.until(lambda: built.order(order)["seller_reference"], "the reference is set")
        await built.until_answered()
        assert built.copies() == {order: 1}
        assert await built.count("command_unknown") >= 1
        assert await built.count("order_shipped") == 1
        assert await built.open_exceptions() == []


async def test_a_name_that_the_marketplace_will_not_take_holds_no_parcel_up(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        await built.until_on_offer()
        built.sandbox.faults.add(Fault(operation="OR04", action="reply", status=503, count=None))
        order = built.buy()
        await built.until_shipped(order)
        assert built.order(order)["seller_reference"] is None


async def test_two_engines_started_by_mistake_do_no_harm(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, engines=2) as built:
        await built.until_on_offer()
        orders = [built.buy() for _ in range(6)]
        await built.until_shipped(*orders)
        await built.until_answered()
        assert built.copies() == dict.fromkeys(orders, 1)
        assert await built.count("shop_order_created") == len(orders) == await built.count("order_shipped")
        assert built.sandbox.truth()["mirakl"]["violations"] == []
        led = [
            engine.metrics.registry.get_sample_value("crossdock_leader", {"tenant": built.tenant, "target": "shopify"})
            for engine in built.engines
        ]
        assert sorted(value or 0.0 for value in led) == [0.0, 1.0]


async def test_a_database_that_drops_everybody_in_the_middle_loses_nothing(database: Database, tmp_path: Path) -> None:
    admin = await asyncpg.connect(database.admin_url)
    async with house(database.engine_url, tmp_path) as built:
        await built.until_on_offer()
        orders = [built.buy() for _ in range(4)]
        for _ in range(4):
            await built.clock.sleep(45)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await admin.close()
        orders.append(built.buy())
        await built.until_shipped(*orders)
        assert built.copies() == dict.fromkeys(orders, 1)
        assert await built.open_exceptions() == []


async def test_an_engine_that_stops_hands_over_at_once(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        await built.until_on_offer()
        order = built.buy()
        built.engines[0].stop()
        await built.engine(lease_seconds=3600.0)  # would wait an hour for a dead one's leases
        await built.until_shipped(order)
        assert built.copies() == {order: 1}


async def test_nobody_named_in_an_order_is_found_outside_what_is_sealed(database: Database, tmp_path: Path) -> None:
    """P1: canaries in every personal field; the clear part of the log, the rows, the outbox and the metrics show none."""
    async with house(database.engine_url, tmp_path, seed=7) as built:
        await built.until_on_offer()
        order = built.buy()
        await built.until_shipped(order)
        assert "PII-" in str(built.order(order)["buyer"])
        for table, column in (("events", "data::text"), ("events", "stream"), ("outbox", "body::text"), ("cursors", "cursor")):
            found = await built.pool.fetchval(f"SELECT count(*) FROM crossdock.{table} WHERE {column} LIKE '%PII-%'")
            assert found == 0, (table, column)
        for projection in ("orders", "inventory", "publications", "exceptions"):
            assert await built.pool.fetchval(f"SELECT count(*) FROM projections.{projection} WHERE document::text LIKE '%PII-%'") == 0
        assert b"PII-" not in generate_latest(built.engines[0].metrics.registry)
        sealed = [envelope for envelope in await built.log.read(0) if envelope.sealed is not None]
        assert sealed and all(b"PII-" not in (envelope.sealed or b"") for envelope in sealed)
    assert repr(Secret("x" * 32)) == "Secret(…)"
