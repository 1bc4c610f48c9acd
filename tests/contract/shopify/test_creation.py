"""An order comes to Shopify once: whatever is lost, late, or taken."""

from datetime import timedelta
from typing import Any

import pytest

from engine.adapter import Done, Refused
from engine.errors import AuthError, RejectedError, ThrottledError, UnknownOutcomeError
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.orders import ShopOrderCreated
from schemas.values import ChannelId, ShopId, Tax
from tests.contract.shopify.shopfront import Shopfront, command, events, gbp, look, order_line, perform, shopfront, stock

pytestmark = pytest.mark.anyio


def live(front: Shopfront) -> list[int]:
    return [order.id for order in front.shop.orders.values() if order.cancelled_at is None]


async def test_an_order_arrives_with_everything_that_a_default_would_spoil():
    async with shopfront() as front:
        item = stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        answer = await perform(front, command(order_line(taxes=(Tax(code="VAT", amount=gbp(800), rate="20"),))))
        [created] = events(answer)
        [order] = front.shop.orders.values()
        assert created == ShopOrderCreated(
            channel=ChannelId("asos"),
            order_id=created.order_id,
            shop_order=ShopId(f"gid://shopify/Order/{order.id}"),
            name="ASOS-00012345-A",
            total=gbp(5160),
            lines=created.lines,
            created_at=order.created_at,
        )
        [line] = created.lines
        assert (line.line_id, line.sku, line.quantity) == ("00012345-A-1", "TEE-RED-M", 2)
        assert line.item == f"gid://shopify/LineItem/{order.lines[0].id}"
        assert order.lines[0].requires_shipping and order.taxes_included and order.financial_status == "PAID"
        assert sorted(order.tags) == ["asos", "crossdock", "mirakl", "mirakl-00012345-A", "standard"]
        assert order.attributes == [
            ("Marketplace channel", "asos"),
            ("Marketplace order", "00012345-A"),
            ("Service level", "Standard"),
            ("Dispatch by", "2026-08-15T09:00:00Z"),
        ]
        assert order.email is None and order.shipping_address is not None and order.shipping_address["countryCode"] == "GB"
        [shelf] = front.shop.levels[item.id].values()
        assert (shelf.available, shelf.committed) == (8, 2)
        assert order.transactions[0].gateway == "asos Marketplace"


async def test_an_answer_lost_after_the_order_was_made_is_found_and_not_asked_for_again():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        front.lost.add("OrderCreate")
        with pytest.raises(UnknownOutcomeError):
            await perform(front, command())
        found = await look(front, command())
        assert found is not None and isinstance(events(found)[0], ShopOrderCreated)
        assert len(front.shop.orders) == 1


@pytest.mark.parametrize("taken", ["refuse", "create_without"])
@pytest.mark.parametrize("lag", [0.0, 300.0])
async def test_one_order_stays_whatever_a_taken_id_leads_to_and_however_late_it_shows(taken, lag):
    async with shopfront() as front:
        front.shop.switches.duplicate_metafield = taken
        front.shop.switches.lookup_lag = front.shop.switches.index_lag = lag
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        front.lost.add("OrderCreate")
        with pytest.raises(UnknownOutcomeError):
            await perform(front, command())
        # Impatient, on purpose: asked again at once, as after a quiet time that was too short.
        answer: Any = None
        for attempt in range(2, 12):
            try:
                answer = await look(front, command(), attempt) or await perform(front, command(), attempt)
                break
            except (UnknownOutcomeError, RejectedError):
                front.pass_time(60.0)
        assert isinstance(answer, Done)
        front.pass_time(600.0)
        again = await look(front, command(), 12)
        assert again is not None
        front.pass_time(60.0)
        [survivor] = live(front)
        assert isinstance(events(again)[0], ShopOrderCreated)
        assert events(again)[0].shop_order.endswith(f"/{survivor}")
        [shelf] = front.shop.levels[next(iter(front.shop.levels))].values()
        assert shelf.available == 8, "a twin gives back what it claimed"


async def test_a_twin_that_was_made_without_the_id_is_cancelled_and_named():
    async with shopfront() as front:
        front.shop.switches.duplicate_metafield = "create_without"
        front.shop.switches.cancel_delay = 0.5
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        first = await perform(front, command())
        front.pass_time(60)
        second = await perform(front, command())  # as if nobody had looked
        created, opened, closed = events(second)
        assert created == events(first)[0], "the holder of the id is the order"
        assert isinstance(opened, ExceptionOpened) and opened.code == "X30"
        assert closed == ExceptionClosed(key=opened.key, reason="cancelled, its stock put back", subject="order-asos:00012345-A")
        assert len(live(front)) == 1


async def test_a_twin_that_cannot_be_cancelled_waits_for_a_person():
    async with shopfront() as front:
        front.shop.switches.duplicate_metafield = "create_without"
        front.shop.switches.cancel_delay = 3600.0
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        await perform(front, command())
        answer = await perform(front, command())
        assert [type(event) for event in events(answer)] == [ShopOrderCreated, ExceptionOpened]


async def test_an_order_that_came_to_be_without_its_id_is_found_by_its_tag_and_given_it():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        front.lost.add("OrderCreate")
        with pytest.raises(UnknownOutcomeError):
            await perform(front, command())
        [order] = front.shop.orders.values()
        order.metafields = []
        front.shop.unique_values.clear()
        assert await look(front, command()) is None, "the index does not know it yet"
        front.pass_time(60)
        found = await look(front, command())
        assert found is not None and events(found)[0].shop_order == f"gid://shopify/Order/{order.id}"
        assert [one.value for one in order.metafields] == ["00012345-A"]
        assert await look(front, command(), attempt=1) == found, "and from now on by its id"


async def test_an_order_without_id_is_never_taken_for_the_one_while_another_has_the_id():
    async with shopfront() as front:
        front.shop.switches.duplicate_metafield = "create_without"
        front.shop.switches.cancel_delay = 3600.0
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        await perform(front, command())
        await perform(front, command())
        front.pass_time(60)
        front.shop.switches.lookup_lag = 3600.0  # whoever has the id is not to be seen
        with pytest.raises(RejectedError, match="id could not be given"):
            await look(front, command())


async def test_an_order_of_another_channel_with_the_same_number_is_not_adopted():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        await perform(front, command(channel=ChannelId("zalando")))
        answer = await look(front, command())
        assert isinstance(answer, Refused) and "channel zalando" in answer.detail


async def test_an_order_whose_lines_differ_is_not_adopted():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        await perform(front, command())
        answer = await look(front, command(order_line(quantity=3)))
        assert isinstance(answer, Refused) and answer.field == "lines.0"
        assert "has 2 x TEE-RED-M, not 3 x TEE-RED-M" in answer.detail


async def test_another_total_is_told_to_finance_and_holds_nothing_up():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        created, trouble = events(await perform(front, command(total=gbp(5161))))
        assert isinstance(created, ShopOrderCreated) and created.total == gbp(5160)
        assert (trouble.code, trouble.owner, trouble.field) == ("X31", "FIN", "total")
        found = await look(front, command(total=gbp(5161)))
        assert found is not None and [type(event) for event in events(found)] == [ShopOrderCreated, ExceptionOpened]


@pytest.mark.parametrize(
    ("stocked", "asked", "says"),
    [
        ([("TEE-RED-M", "ACTIVE")], "TEE-RED-L", "SKU TEE-RED-L unknown in Shopify"),
        ([("tee-red-m", "ACTIVE")], "TEE-RED-M", "SKU TEE-RED-M unknown in Shopify"),
        ([("TEE-RED-M", "ACTIVE"), ("TEE-RED-M", "ACTIVE")], "TEE-RED-M", "SKU TEE-RED-M is that of 2 variants in Shopify"),
    ],
)
async def test_a_sku_is_one_variant_or_a_person_is_asked(stocked, asked, says):
    async with shopfront() as front:
        for sku, status in stocked:
            stock(front.shop, sku, 10, status=status)
        await front.adapter.prepare()
        answer = await perform(front, command(order_line(), order_line(2, sku=asked)) if asked != "TEE-RED-M" else command())
        field = "lines.1.sku" if asked != "TEE-RED-M" and stocked[0][0] == "TEE-RED-M" else "lines.0.sku"
        assert answer == Refused(says, field, asked)
        assert not front.shop.orders


async def test_what_is_archived_gives_way_to_what_is_for_sale():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10, status="ARCHIVED")
        new = stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        await perform(front, command())
        [order] = front.shop.orders.values()
        assert order.lines[0].item_id == new.id


async def test_without_an_address_or_in_another_currency_nothing_is_made():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        assert await perform(front, command(), address=None) == Refused("no delivery address is known", "address")
        answer = await perform(front, command(currency="EUR"))
        assert answer == Refused("the order is in EUR, the shop keeps its books in GBP", "currency")
        assert not front.shop.orders


async def test_many_lines_are_made_apart_and_all_read_back():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 500)
        await front.adapter.prepare()
        lines = [order_line(number, quantity=1) for number in range(1, 121)]
        [created] = events(await perform(front, command(*lines)))
        assert [line.line_id for line in created.lines] == [line.line_id for line in lines]
        found = await look(front, command(*lines))
        assert found is not None and events(found) == [created]


async def test_what_cannot_be_learnt_after_the_order_was_made_is_unknown_and_no_failure():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 500)
        await front.adapter.prepare()
        front.instead["OrderTerms"] = (503, {})
        lines = [order_line(number, quantity=1) for number in range(1, 61)]
        with pytest.raises(UnknownOutcomeError, match="created, but"):
            await perform(front, command(*lines))
        assert len(front.shop.orders) == 1


@pytest.mark.parametrize("answer", [{"order": {"id": 5}, "userErrors": []}, {"order": None, "userErrors": []}, None, {"userErrors": "?"}])
async def test_an_answer_that_cannot_be_understood_may_stand_for_an_order(answer):
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        front.instead["OrderCreate"] = (200, {"data": {"orderCreate": answer}})
        with pytest.raises(UnknownOutcomeError):
            await perform(front, command())


async def test_a_refusal_is_told_by_code_and_place_and_quotes_nobody():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        error = {"code": "INVALID", "field": ["order", "shippingAddress", "zip"], "message": "PII-canary is no postcode"}
        front.instead["OrderCreate"] = (200, {"data": {"orderCreate": {"order": None, "userErrors": [error]}}})
        assert await perform(front, command()) == Refused("INVALID", "order.shippingAddress.zip")
        front.instead["OrderCreate"] = (200, {"data": {"orderCreate": {"order": None, "userErrors": [error | {"code": "SHOP_DORMANT"}]}}})
        with pytest.raises(AuthError):
            await perform(front, command())


async def test_a_development_shop_is_too_busy_after_five_orders_and_says_when():
    async with shopfront() as front:
        front.shop.switches.orders_per_minute = 1
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        await perform(front, command())
        with pytest.raises(ThrottledError) as caught:
            await perform(front, command(order_id="2"))
        assert 1.0 < caught.value.retry_after < 3.0, "not before the points are back, and not all at once"
        front.clock.time += timedelta(minutes=2)
        assert isinstance(await perform(front, command(order_id="2")), Done)
