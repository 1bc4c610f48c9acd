"""Orders on real parts: what waits for one word goes on when it is said, each once; what people do at the desk takes effect."""

from pathlib import Path

import anyio
import pytest

from ops.sandbox.plan import Basket, Plan, Warehouse
from tests.conftest import Database
from tests.house import House, house

pytestmark = pytest.mark.anyio

BY_HAND = Warehouse(pick_seconds=1e8)  # the warehouse is played by the test
SMALL = Basket(lines=(1,), quantities=(1,))


def shelves(**more) -> Plan:
    """Plenty of a few SKUs, on offer from the first moment."""
    return Plan(skus=8, least_stock=400, most_stock=500, offers_open="at_stock", basket=SMALL, warehouse=BY_HAND, **more)


WAITING = """
SELECT count(*) FROM projections.exceptions
WHERE tenant = $1 AND document->>'open' = 'true' AND document->>'waits_for' = $2"""


async def until_waiting(built: House, word: str, number: int) -> None:
    """Until so many open exceptions wait for that word."""
    with anyio.fail_after(90):
        while await built.pool.fetchval(WAITING, built.tenant, word) < number:
            await anyio.sleep(0.1)


async def test_five_hundred_orders_that_wait_for_one_carrier_all_go_on_once_it_is_said(database: Database, tmp_path: Path) -> None:
    number, company = 500, "Pigeon & Sons"
    async with house(database.engine_url, tmp_path, plan=shelves(), speed=60.0) as built:
        account = built.sandbox.world.account
        await built.until_on_offer()
        for _ in range(number):
            built.buy()
        await built.until(lambda: sum(bool(order.fulfillment_orders) for order in built.ours()) == number, "all are in Shopify", 90)
        for n, order in enumerate(list(built.ours())):
            built.pack(order, company, f"PS-{n:09d}")
        await until_waiting(built, f"carrier:asos:{company}", number)
        assert {order.state for order in account.orders.values()} == {"SHIPPING"}

        assert await built.desk.map("carrier", "asos", company, "YODEL", "a new contract", replace=False) == number
        await built.until(lambda: all(order.state == "SHIPPED" for order in account.orders.values()), "all are shipped", 90)
        await built.until_answered()
        assert await built.open_exceptions() == []
        assert built.copies() == {order: 1 for order in account.orders}
        assert await built.count("order_shipped") == number == await built.count("exception_closed")
        assert built.findings() == []
