"""What real marketplaces once answered: each order stands in Shopify over the same sum, or is a named exception; both lists are printed.

Such answers are not part of the project: CROSSDOCK_SAMPLES names a folder with `mirakl/or11_*.json`. `pytest -s` shows the lists.
"""

import os
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from adapters.http import well_formed
from adapters.mirakl.translate.orders import hear
from adapters.mirakl.translate.story import Place
from engine.adapter import Done, Refused
from ops.sandbox.shopify import totals
from projections.order_steps import wants
from projections.order_troubles import troubles
from projections.orders import Order, evolve, initial, row_of
from projections.rules import Channel
from schemas.commands import CreateShopOrder
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven, OrderPlaced, ShopOrderCreated
from schemas.values import ChannelId, Money, OrderId, TenantId
from tests.contract.mirakl.test_payloads import Page
from tests.contract.shopify.shopfront import ADDRESS, order_of, perform, shopfront, stock
from tests.loopback import NOW

pytestmark = pytest.mark.anyio

ASOS, RULES = ChannelId("asos"), Channel()
FOLDER = os.environ.get("CROSSDOCK_SAMPLES", "")
FILES = sorted(Path(FOLDER).glob("mirakl/or11*.json")) if FOLDER else []


def orders() -> list[tuple[str, bytes]]:
    found = []
    for path in FILES:
        page = msgspec.json.decode(well_formed(path.read_bytes()), type=Page)
        found += [(path.name, bytes(raw)) for raw in page.orders] or [(path.name, path.read_bytes())]
    return found


def known(raw: bytes) -> tuple[Order | ExceptionOpened, DeliveryAddress]:
    """The row of an order as if it were to be shipped now, whatever has become of it since; or why it cannot be read."""
    heard = hear(msgspec.Raw(raw), Place(TenantId("t"), ASOS, "TAX_INCLUDED"), NOW)
    first = heard[0].fact.event
    if isinstance(first, ExceptionOpened):
        return first, ADDRESS
    assert isinstance(first, OrderPlaced)
    order, address = initial(row_of(ASOS, first.order_id)), ADDRESS
    for each in heard:
        order = evolve(order, each.fact.event)
        if isinstance(each.fact.personal, DeliveryAddress):
            address = each.fact.personal
    if not order.address_given:
        order = evolve(order, DeliveryAddressGiven(channel=ASOS, order_id=OrderId(first.order_id), country_code="GB"))
    return replace(order, state="SHIPPING", odd_state=""), address


async def created(order: Order, asked: CreateShopOrder, address: DeliveryAddress) -> Refused | Money:
    """What it comes to in Shopify, whose totals are its own."""
    async with shopfront() as front:
        front.shop.currency = asked.currency
        for sku in dict.fromkeys(line.sku for line in asked.lines):
            stock(front.shop, sku, 100)
        await front.adapter.prepare()
        answer = await perform(front, asked, address=address)
        if isinstance(answer, Refused):
            return answer
        assert isinstance(answer, Done)
        [made] = [effect.event for effect in answer.effects if isinstance(effect.event, ShopOrderCreated)]
        assert made.total == order.total == asked.total
        assert Money(totals.total(order_of(front, made)).presentment, asked.currency) == order.total
        return made.total


if FILES:

    async def test_every_real_order_comes_to_the_same_in_shopify_or_is_a_named_exception() -> None:
        there, held = [], []
        for file, raw in orders():
            order, address = known(raw)
            if isinstance(order, ExceptionOpened):
                held.append(f"{file}: {order.code} {order.summary}")
                continue
            asked = wants(order, RULES).get("create_shop_order")
            if isinstance(asked, CreateShopOrder):
                came_to = await created(order, asked, address)
                if isinstance(came_to, Refused):
                    assert came_to.field != "total", f"{file}: {order.order_id}: {came_to.detail}"
                    held.append(f"{file}: {order.order_id}, refused by Shopify: {came_to.detail}")
                else:
                    there.append(f"{file}: {order.order_id}, {came_to} {came_to.currency} on both sides")
            else:
                codes = [f"{trouble.code} {trouble.summary}" for trouble in troubles(order, RULES).values()]
                assert codes or order.dead, f"{file}: {order.order_id} is neither there nor known to anybody"
                held.append(f"{file}: {order.order_id}, {'; '.join(codes) or 'nothing of it is to be shipped any more'}")
        print("\nin Shopify", *there, "held", *held, sep="\n  ")  # noqa: T201 - shown by `pytest -s`
        assert there and len(there) + len(held) >= len(FILES)
