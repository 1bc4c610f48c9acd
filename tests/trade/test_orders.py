"""Orders by the hundred on real parts: what waits for one word goes on when it is said, each once."""

from pathlib import Path

import anyio
import pytest

from ops.sandbox.plan import Plan, Warehouse
from projections.rules import OrderRules
from tests.conftest import Database
from tests.house import House, house

pytestmark = pytest.mark.anyio

NUMBER, PARCELS = 500, 100
BY_HAND = Warehouse(pick_seconds=3e10)  # the warehouse is played by the test: about so long, and of five hundred none comes much sooner
FULL = Plan(skus=8, locations=1, least_stock=400, most_stock=500, offers_open="at_stock", warehouse=BY_HAND)
COMPANY = "Pigeon & Sons"

WAITING = """
SELECT count(*) FROM projections.exceptions
WHERE tenant = $1 AND document->>'open' = 'true' AND document->>'code' = $2 AND document->>'waits_for' = $3"""


async def until_waiting(built: House, code: str, word: str, number: int) -> None:
    """Until so many orders wait for that word, and nothing else waits."""
    with anyio.fail_after(300):
        while await built.pool.fetchval(WAITING, built.tenant, code, word) < number:
            await anyio.sleep(0.1)
    assert len(await built.open_exceptions()) == number


async def test_five_hundred_orders_wait_for_one_word_and_all_go_on_once_it_is_said(database: Database, tmp_path: Path) -> None:
    """On the way in, for a shipping method; on the way back, for a carrier."""
    methods = {"methods": {"EXP": "Royal Mail 24"}, "rules": OrderRules(orphan_minutes=10_000.0)}  # nothing else is said of whoever waits
    async with house(database.engine_url, tmp_path, plan=FULL, speed=120.0, channel=methods, shop={"map_methods": True}) as built:
        account, offers = built.sandbox.world.account, list(built.sandbox.world.account.offers)
        await built.until_on_offer()
        for n in range(NUMBER):
            built.place((offers[n % len(offers)], 1), shipping_type="STD")
        known = built.place((offers[0], 1), shipping_type="EXP")
        await until_waiting(built, "X21", "method:asos:STD", NUMBER)
        await built.until(lambda: set(built.copies()) == {known}, "what has its word waits for nobody else's")

        assert await built.desk.map("method", "asos", "STD", "Royal Mail 48", "so it is called", replace=False) == NUMBER
        await built.until(lambda: sum(bool(order.fulfillment_orders) for order in built.ours()) > NUMBER, "all are in Shopify", 300)
        await built.until_answered()
        assert built.copies() == dict.fromkeys(account.orders, 1)
        assert await built.open_exceptions() == []
        assert await built.count("shop_order_created") == NUMBER + 1 and await built.count("exception_closed") == NUMBER

        packed = list(built.ours())[:PARCELS]
        for n, order in enumerate(packed):
            built.pack(order, COMPANY, f"PS-{n:09d}")
        await until_waiting(built, "X36", f"carrier:asos:{COMPANY}", PARCELS)
        assert {order.state for order in account.orders.values()} == {"SHIPPING"}

        assert await built.desk.map("carrier", "asos", COMPANY, "YODEL", "a new contract", replace=False) == PARCELS
        await built.until_shipped(*(str(order.source_identifier) for order in packed))
        await built.until_answered()
        assert await built.open_exceptions() == []
        assert built.copies() == dict.fromkeys(account.orders, 1)
        assert await built.count("order_shipped") == PARCELS and await built.count("exception_closed") == NUMBER + PARCELS
        await built.until(lambda: not built.findings(), "the referee finds nothing")
