"""What the marketplace gave back is written down in Shopify once, to the penny, and no money moves."""

from datetime import timedelta
from typing import Any

import pytest

from adapters.shopify.outbound.refunds import _about_key, refusal
from adapters.shopify.wire.refunds import KeyedError
from engine.adapter import NotYet, Refused
from engine.errors import UnknownOutcomeError
from schemas.commands import RecordShopRefund
from schemas.events.aftercare import ShopRefundRecorded
from schemas.events.orders import ShopOrderCreated
from schemas.values import LineId, ShopId, Tax
from tests.contract.shopify.shopfront import (
    Shopfront,
    asked_of,
    command,
    events,
    gbp,
    locate,
    look,
    made,
    order_line,
    order_of,
    perform,
    shopfront,
    stock,
)

pytestmark = pytest.mark.anyio

LINE = LineId("00012345-A-1")


async def placed(front: Shopfront, *lines: Any, **more: Any) -> ShopOrderCreated:
    stock(front.shop, "TEE-RED-M", 10)
    await front.adapter.prepare()
    return await made(front, command(*lines, **more))


def recording(created: ShopOrderCreated, **more: Any) -> RecordShopRefund:
    fields: dict[str, Any] = {"mirrors": "1001", "lines": {LINE: 1}, "restock": "CANCEL", "amount": gbp(2400), "shipping": gbp(0)}
    return RecordShopRefund(**asked_of(created) | fields | more)


def shelf(front: Shopfront) -> tuple[int, int]:
    [levels] = front.shop.levels.values()
    [level] = levels.values()
    return level.available, level.committed


def only(front: Shopfront) -> Any:
    [refund] = front.shop.refunds.values()
    return refund


async def test_a_cancelation_takes_units_off_the_order_and_puts_them_back_on_the_shelf_they_came_from():
    async with shopfront() as front:
        created = await placed(front)
        [recorded] = events(await perform(front, recording(created)))
        refund = only(front)
        assert recorded == ShopRefundRecorded(
            channel=created.channel, order_id=created.order_id, mirrors="1001", refund=ShopId(f"gid://shopify/Refund/{refund.id}")
        )
        assert refund.note == "Mirakl cancelation 1001" and not refund.adjustments
        [line] = refund.lines
        [place] = front.shop.locations
        assert (line.quantity, line.restock_type, line.location_id) == (1, "CANCEL", place)
        money = order_of(front, created).transactions[-1]
        assert (money.kind, money.status, money.gateway, money.amount.shop) == ("REFUND", "SUCCESS", "asos Marketplace", 2400)
        assert money.parent_id == order_of(front, created).transactions[0].id
        assert shelf(front) == (9, 1)


async def test_a_refund_of_goods_that_left_is_only_noted_and_shipping_and_money_alone_are_too():
    async with shopfront() as front:
        created = await placed(front)
        front.do("staffFulfil", parcel=order_of(front, created).fulfillment_orders[0])
        await perform(front, recording(created, restock="NO_RESTOCK", amount=gbp(2760), shipping=gbp(360)))
        refund = only(front)
        assert (refund.note, refund.lines[0].restock_type, refund.shipping.shop) == ("Mirakl refund 1001", "NO_RESTOCK", 360)
        assert not refund.adjustments, "lines and shipping come to what was given back"
        assert shelf(front) == (8, 0)
        await perform(front, recording(created, mirrors="1002", lines={}, restock="NO_RESTOCK", amount=gbp(500)), number=2)
        assert sum(one.amount.shop for one in order_of(front, created).transactions if one.kind == "REFUND") == 3260


async def test_units_come_off_the_fulfilment_orders_that_have_them_and_of_a_split_price_off_both_items():
    async with shopfront() as front:
        leeds = locate(front.shop, "Leeds")
        york = locate(front.shop, "York")
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        odd = order_line(quantity=3, price=3333)
        odd = type(odd)(line_id=odd.line_id, sku=odd.sku, quantity=3, unit_price=gbp(3333), price=gbp(10000), shipping_price=gbp(0))
        created = await made(front, command(odd))
        order = order_of(front, created)
        assert [(line.quantity, line.price.shop) for line in order.lines] == [(1, 3334), (2, 3333)]
        assert created.total == gbp(10000) and {line.line_id for line in created.lines} == {LINE} and len(created.lines) == 2
        [parcel] = [front.shop.fulfillment_orders[one] for one in order.fulfillment_orders]
        away = york.id if parcel.location_id == leeds.id else leeds.id
        waiting = next(line for line in parcel.lines if line.total == 2)
        front.do("staffMove", parcel=parcel.id, location=away, lines=[(waiting.id, 1)])
        await perform(front, recording(created, lines={LINE: 3}, amount=gbp(10000)))
        refund = only(front)
        assert sorted((line.quantity, line.location_id) for line in refund.lines) == sorted(
            [(1, parcel.location_id), (1, parcel.location_id), (1, away)]
        )
        assert not refund.adjustments
        assert all(level.available == 10 and level.committed == 0 for levels in front.shop.levels.values() for level in levels.values())


async def test_units_that_left_before_they_could_be_canceled_are_noted_without_a_shelf():
    async with shopfront() as front:
        created = await placed(front)
        [parcel] = order_of(front, created).fulfillment_orders
        [waiting] = front.shop.fulfillment_orders[parcel].lines
        front.do("staffFulfil", parcel=parcel, lines=[(waiting.id, 1)])
        await perform(front, recording(created, lines={LINE: 2}, amount=gbp(4800)))
        assert sorted((line.restock_type, line.quantity) for line in only(front).lines) == [("CANCEL", 1), ("NO_RESTOCK", 1)]


async def test_where_taxes_are_not_included_the_amount_is_still_what_the_buyer_gets():
    async with shopfront() as front:
        line = order_line(quantity=2, price=1000, taxes=(Tax(code="VAT", amount=gbp(400), rate="20"),), shipping_price=gbp(0))
        created = await placed(front, line, taxes_included=False, total=gbp(2400))
        await perform(front, recording(created, amount=gbp(1200)))
        assert not only(front).adjustments and only(front).lines[0].tax.shop == 200


@pytest.mark.parametrize("lost", ["lost", "unheard"])
async def test_a_lost_answer_leads_to_one_record(lost):
    async with shopfront() as front:
        created = await placed(front)
        getattr(front, lost).add("RefundCreate")
        with pytest.raises(UnknownOutcomeError):
            await perform(front, recording(created))
        front.pass_time(60)
        first = events(await perform(front, recording(created), attempt=2))
        front.clock.time += timedelta(days=3)  # long after Shopify has forgotten the key
        assert events(await perform(front, recording(created), attempt=3)) == first == events(await look(front, recording(created)))
        assert len(front.shop.refunds) == 1


async def test_the_same_key_is_used_for_twenty_hours_and_then_another():
    async with shopfront() as front:
        created = await placed(front)

        async def key(after: float) -> str:
            front.clock.time += timedelta(seconds=after)
            front.instead["RefundCreate"] = (503, {})
            with pytest.raises(UnknownOutcomeError):
                await perform(front, recording(created))
            return str(front.sent[-1]["key"])

        assert await key(0) == await key(3600) == await key(18 * 3600)
        assert await key(2 * 3600) != front.sent[0].get("key")
        keys = {sent["key"] for sent in front.sent if "key" in sent}
        assert len(keys) == 2


@pytest.mark.parametrize("where", ["user_error", "top_level"])
async def test_a_key_that_still_works_is_waited_for_and_a_burnt_one_is_followed_by_the_next(where):
    async with shopfront() as front:
        front.shop.switches.refund_key_errors = where
        created = await placed(front)
        front.shop.switches.keyed_failure = 1.0
        with pytest.raises(UnknownOutcomeError):
            await perform(front, recording(created))  # fails inside, and burns its key
        front.shop.switches.keyed_failure = 0.0
        assert events(await perform(front, recording(created), attempt=2)) and len(front.shop.refunds) == 1
        first, second, third = [sent["key"] for sent in front.sent if "key" in sent]
        assert first == second != third
        front.shop.switches.key_busy = 3600.0
        only(front).note = None  # as if the record could not be seen yet
        with pytest.raises(UnknownOutcomeError):
            await perform(front, recording(created), attempt=3)
        assert len(front.shop.refunds) == 1


async def test_a_key_that_was_used_for_something_else_is_no_refusal_of_the_refund():
    async with shopfront() as front:
        created = await placed(front)
        await perform(front, recording(created))
        with pytest.raises(UnknownOutcomeError, match="MISMATCH"):
            await perform(front, recording(created, mirrors="1002"))
        assert len(front.shop.refunds) == 1


def test_what_is_said_of_a_key_is_told_by_code_or_words_and_never_mistaken():
    said = {
        ("IDEMPOTENCY_CONCURRENT_REQUEST", ""): "IDEMPOTENCY_CONCURRENT_REQUEST",
        (None, "A request with this idempotency key is still in progress."): "IDEMPOTENCY_CONCURRENT_REQUEST",
        (None, "The previous attempt with this idempotency key failed: use a new one."): "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED",
        (None, "The idempotency key was used before with other parameters."): "IDEMPOTENCY_KEY_PARAMETER_MISMATCH",
        (None, "Refund amount exceeds what is left of the payment."): "",
        (None, "in progress"): "",
    }
    assert {(code, words): _about_key(KeyedError(None, code, words)) for code, words in said} == said


async def test_more_than_is_left_is_refused_whether_units_or_money():
    async with shopfront() as front:
        created = await placed(front)
        too_much = await perform(front, recording(created, amount=gbp(5161)))
        assert too_much == Refused("51.61 GBP is to go back, and only 51.60 is left", "refund")
        too_many = await perform(front, recording(created, lines={LINE: 3}))
        assert too_many == Refused("3 units of line 00012345-A-1 are to go back, and 2 are left", "refund")
        unknown = await perform(front, recording(created, lines={LineId("?"): 1}))
        assert isinstance(unknown, Refused) and unknown.field == "refund"
        assert not front.shop.refunds


def test_a_refusal_for_another_cause_is_no_refund_of_somebody_else():
    assert refusal(KeyedError(field=["input", "note"], code="INVALID")) == Refused("INVALID at input.note", "input.note")
    assert refusal(KeyedError(field=["transactions", "0", "amount"])).field == "refund"
    assert refusal(KeyedError()).field == ""


async def test_somebody_who_refunds_in_between_is_found_out_by_shopify():
    async with shopfront() as front:
        created = await placed(front)
        order = order_of(front, created)
        front.before["RefundCreate"] = lambda: front.do("staffRefund", order=order.id, amount=5000)
        answer = await perform(front, recording(created))
        assert isinstance(answer, Refused) and answer.field == "refund"
        assert len(front.shop.refunds) == 1 and await look(front, recording(created)) is None


async def test_a_record_whose_money_failed_is_told_with_the_difference_and_never_made_again():
    async with shopfront() as front:
        created = await placed(front)
        front.shop.switches.manual_refunds = "failed"
        answer = await perform(front, recording(created))
        assert isinstance(answer, Refused) and answer.field == "refund" and "comes to 0.00, not 24.00 GBP" in answer.detail
        assert await perform(front, recording(created), attempt=2) == answer
        assert len(front.shop.refunds) == 1


async def test_money_that_is_pending_is_meant_all_the_same():
    async with shopfront() as front:
        created = await placed(front)
        front.shop.switches.manual_refunds = "pending"
        assert events(await perform(front, recording(created)))


async def test_without_a_sale_of_ours_without_an_order_and_before_it_is_routed_nothing_is_written():
    async with shopfront() as front:
        front.shop.switches.routing_delay = 1000.0
        created = await placed(front)
        assert isinstance(await perform(front, recording(created)), NotYet)
        order_of(front, created).transactions[0].gateway = "shopify_payments"
        answer = await perform(front, recording(created))
        assert isinstance(answer, Refused) and "no sale through our gateway" in answer.detail
        gone = recording(created, shop_order=ShopId("gid://shopify/Order/404"))
        assert await perform(front, gone) == Refused("there is no such order", "shop_order")
        assert not front.shop.refunds
