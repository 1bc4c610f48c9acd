"""What an order arrives with: prices, discounts, fees, shipping, and all that the warehouse must see."""

from datetime import timedelta
from typing import Any

import pytest

from adapters.shopify.translate.creation import unit_prices
from engine.adapter import Refused
from schemas.events.orders import DeliveryAddress, ShopOrderCreated
from schemas.values import ChannelId, Discount, Fee, Money, OrderLine, Tax
from tests.contract.shopify.shopfront import ADDRESS, Shopfront, command, events, gbp, look, order_line, perform, shopfront, stock
from tests.loopback import NOW

pytestmark = pytest.mark.anyio


class Said:
    """Maps that somebody has made."""

    def __init__(self, **maps: dict[str, str]) -> None:
        self.maps = maps

    async def find(self, channel: ChannelId, kind: str, name: str) -> str | None:
        return self.maps.get(kind, {}).get(name) if channel == "asos" else None


async def create(front: Shopfront, asked: Any, **more: Any) -> Any:
    """The order as it stands in the shop; its total is the one that was asked for."""
    await front.adapter.prepare()
    [created] = events(await perform(front, asked, **more))
    assert isinstance(created, ShopOrderCreated) and created.total == asked.total
    [order] = front.shop.orders.values()
    return order


def line(price: int, quantity: int, unit: int, **more: Any) -> OrderLine:
    asked = order_line(quantity=quantity, price=unit)
    fields: dict[str, Any] = {"price": gbp(price), "shipping_price": gbp(0)}
    return OrderLine(line_id=asked.line_id, sku=asked.sku, quantity=quantity, unit_price=gbp(unit), **fields | more)


@pytest.mark.parametrize(
    ("price", "quantity", "unit", "expected"),
    [
        (4800, 2, 2400, [(2, 2400)]),
        (10000, 3, 3333, [(1, 3334), (2, 3333)]),
        (9998, 3, 3333, [(2, 3333), (1, 3332)]),
        (2, 3, 1, [(2, 1), (1, 0)]),
        (0, 3, 5, [(3, 0)]),
        (999, 1, 1000, [(1, 999)]),
    ],
)
def test_units_come_to_the_lines_price_to_the_penny(price, quantity, unit, expected):
    assert unit_prices(line(price, quantity, unit)) == [(units, gbp(each)) for units, each in expected]


async def test_a_price_that_is_no_multiple_is_two_items_of_one_marketplace_line():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        asked = command(line(10000, 3, 3333, taxes=(Tax(code="VAT", amount=gbp(1667), rate="20"),)))
        order = await create(front, asked)
        assert [(one.quantity, one.price.shop, one.taxes[0].amount.shop) for one in order.lines] == [(1, 3334, 555), (2, 3333, 1112)]
        found = await look(front, asked)
        [created] = events(found)
        assert [(one.line_id, one.quantity) for one in created.lines] == [("00012345-A-1", 1), ("00012345-A-1", 2)]
        other = await look(front, command(line(10001, 3, 3333)))
        assert isinstance(other, Refused) and other.field == "lines.0.price"


async def test_discounts_are_shown_with_who_funds_them_and_taken_off_nowhere_again():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        taken = (Discount(code="SUMMER", amount=gbp(500), funded_by="operator"), Discount(code="", amount=gbp(100)))
        order = await create(front, command(line(10000, 3, 3333, discounts=taken)))
        first, second = order.lines
        assert first.properties == [
            ("_mirakl_line_id", "00012345-A-1"),
            ("_discount SUMMER", "5.00 GBP, funded by operator"),
            ("_discount", "1.00 GBP"),
        ]
        assert second.properties == [("_mirakl_line_id", "00012345-A-1")]


async def test_fees_are_shipping_lines_of_their_own_named_by_their_code():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        fees = (Fee(code="ECO", amount=gbp(10)), Fee(code="GIFT_WRAP", amount=gbp(300)), Fee(code="NONE", amount=gbp(0)))
        asked = command(order_line(fees=fees), order_line(2, fees=fees[:1]), total=gbp(4800 + 4800 + 360 + 320))
        order = await create(front, asked)
        assert [(one.title, one.code, one.source, one.price.shop) for one in order.shipping_lines] == [
            ("Standard", "STD", "asos", 360),
            ("ECO", "ECO", "asos-fee", 20),
            ("GIFT_WRAP", "GIFT_WRAP", "asos-fee", 300),
        ]


async def test_the_warehouse_sees_how_fast_it_must_go_and_by_when():
    async with shopfront(maps=Said(method={"NDD": "Express (before noon)"})) as front:
        stock(front.shop, "TEE-RED-M", 10)
        order = await create(front, command(shipping_method="NDD", test=True, deliver_by=NOW + timedelta(days=3)))
        assert order.shipping_lines[0].title == "Express (before noon)" and order.shipping_lines[0].code == "NDD"
        assert {"express-before-noon", "test", "crossdock", "mirakl", "asos"} <= set(order.tags)
        assert order.test and order.transactions[0].test
        shown = dict(order.attributes)
        assert shown["Service level"] == "Express (before noon)"
        assert (shown["Dispatch by"], shown["Deliver by"]) == ("2026-08-15T09:00:00Z", "2026-08-16T09:00:00Z")


async def test_a_method_that_nobody_has_mapped_goes_by_its_label_or_waits_where_it_must_be_mapped():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        order = await create(front, command(shipping_method="", shipping_label=""))
        assert order.shipping_lines[0].title == "Shipping"
    async with shopfront(map_methods=True, maps=Said(method={"STD": "Royal Mail 48"})) as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        assert await perform(front, command(shipping_method="NDD")) == Refused("shipping method NDD is not mapped", "method", "NDD")
        assert not front.shop.orders
        assert (await create(front, command())).shipping_lines[0].title == "Royal Mail 48"


async def test_a_mapped_sku_is_sold_under_its_own_name_and_known_again_by_it():
    async with shopfront(maps=Said(sku={"TEE-RED-M": "T-1", "CAP": "?"})) as front:
        stock(front.shop, "T-1", 10)
        await front.adapter.prepare()
        [created] = events(await perform(front, command()))
        assert [one.sku for one in created.lines] == ["T-1"]
        assert events(await look(front, command())) == [created]
        answer = await perform(front, command(order_line(1, "CAP"), order_id="2"))
        assert answer == Refused("SKU CAP, here ?, unknown in Shopify", "lines.0.sku", "CAP")


async def test_a_long_address_loses_nothing_and_notes_stay_first():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        address = DeliveryAddress(
            last_name="Example", street_1="Lane " * 120, city="Leeds", zip_code="LS1 1AA", country_code="GB", notes="Ring twice"
        )
        order = await create(front, command(), address=address)
        place = order.shipping_address
        assert all(len(text) <= 255 for text in place.values())
        assert order.note.startswith("Ring twice\nAddress, continued: ")
        assert f"{place['address1']} {place['address2']} {order.note}".count("Lane") == 120


async def test_250_lines_arrive_with_few_questions_and_one_more_is_refused_by_name():
    async with shopfront() as front:
        for number in range(1, 252):
            stock(front.shop, f"SKU-{number}", 5)
        lines = [order_line(number, f"SKU-{number}", 1) for number in range(1, 252)]
        order = await create(front, command(*lines[:250]))
        assert len(order.lines) == 250 and front.asked.count("VariantsBySku") == 10
        answer = await perform(front, command(*lines, order_id="2"))
        assert answer == Refused("the order needs 251 lines in Shopify, which takes 250", "lines")
        none = await perform(front, command(line(0, 0, 2400), order_id="3"))
        assert none == Refused("line 00012345-A-1 has no units", "lines.0.quantity")
        assert len(front.shop.orders) == 1


async def test_an_order_of_nothing_is_paid_by_nothing():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        order = await create(front, command(line(0, 2, 0)))
        assert order.transactions == [] and Money(0, "GBP") == gbp(0)


async def test_the_relay_address_is_put_on_where_the_shop_wants_it():
    address = DeliveryAddress(**{name: getattr(ADDRESS, name) for name in ("last_name", "city")}, email="abc@notification.example.com")
    for wanted in (False, True):
        async with shopfront(relay_email=wanted) as front:
            stock(front.shop, "TEE-RED-M", 10)
            order = await create(front, command(), address=address)
            assert (order.email is not None) == wanted and order.customer_id is None
