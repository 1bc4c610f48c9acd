"""What people do with an order in Shopify is heard: holds, edits, addresses, refunds, returns."""

from typing import Any

import pytest

from adapters.shopify.translate.aftercare import mirrored_refund, mirrored_return
from engine.adapter import Heard
from schemas.commands import CancelShopOrder, RecordShopRefund, RecordShopReturn
from schemas.events.aftercare import RefundedUnits, ReturnedUnits, ShopRefundSeen, ShopReturnSeen
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import FulfilmentSeen, ShopOrderCreated, ShopOrderSeen
from schemas.values import Fee, LineId, Tax
from tests.contract.shopify.shopfront import (
    Shopfront,
    asked_of,
    command,
    gbp,
    made,
    order_line,
    order_of,
    perform,
    shopfront,
    stock,
)
from tests.contract.shopify.test_reading import about, said
from tests.examples import envelope

pytestmark = pytest.mark.anyio

LINE, SECOND = LineId("00012345-A-1"), LineId("00012345-A-2")


async def placed(front: Shopfront, *lines: Any, **more: Any) -> ShopOrderCreated:
    for sku in ("TEE-RED-M", "CAP"):
        stock(front.shop, sku, 500)
    await front.adapter.prepare()
    return await made(front, command(*lines, **more))


async def read(front: Shopfront, created: ShopOrderCreated) -> list[Heard]:
    return list(await front.adapter.readers[0].read([about(created.shop_order)]))


async def seen(front: Shopfront, created: ShopOrderCreated) -> ShopOrderSeen:
    event = said(await read(front, created))[0]
    assert isinstance(event, ShopOrderSeen)
    return event


async def refunds(front: Shopfront, created: ShopOrderCreated) -> list[ShopRefundSeen]:
    return [event for event in said(await read(front, created)) if isinstance(event, ShopRefundSeen)]


async def returned(front: Shopfront, created: ShopOrderCreated) -> list[ShopReturnSeen]:
    return [event for event in said(await read(front, created)) if isinstance(event, ShopReturnSeen)]


def send(front: Shopfront, created: ShopOrderCreated) -> None:
    for parcel in order_of(front, created).fulfillment_orders:
        if front.shop.fulfillment_orders[parcel].status != "CLOSED":
            front.do("staffFulfil", parcel=parcel)


# ---------------------------------------------------------------- how it stands


async def test_units_holds_strangers_and_an_address_that_moved_are_told():
    async with shopfront() as front:
        created = await placed(front, order_line(), order_line(2, "CAP", 3))
        order = order_of(front, created)
        before = await seen(front, created)
        assert (before.units, before.strangers, before.holds, before.address_moved) == ({LINE: 2, SECOND: 3}, 0, (), False)
        assert before.total == created.total
        front.do("staffHold", parcel=order.fulfillment_orders[0], reason="INCORRECT_ADDRESS")
        front.do("fulfillmentOrderHold", parcel=f"gid://shopify/FulfillmentOrder/{order.fulfillment_orders[0]}", wanted=OURS)
        front.do("staffEdit", order=order.id, quantities={order.lines[1].id: 1}, add=[("CAP", 4)])
        after = await seen(front, created)
        assert (after.units, after.strangers) == ({LINE: 2, SECOND: 1}, 4)
        assert after.holds == ("INCORRECT_ADDRESS", "crossdock") and not after.address_moved
        assert after.total != before.total
        front.do("staffEdit", order=order.id, address=order.shipping_address | {"address1": "2 Other Street"})
        assert (await seen(front, created)).address_moved


OURS = {"reason": "OTHER", "handle": "crossdock"}


async def test_an_address_that_is_only_written_another_way_or_hidden_has_not_moved():
    async with shopfront() as front:
        created = await placed(front)
        order = order_of(front, created)
        order.shipping_address = order.shipping_address | {"zip": "ls11aa", "city": "LEEDS", "countryCode": None, "provinceCode": "ENG"}
        assert not (await seen(front, created)).address_moved
        front.shop.switches.protected_data = "null"
        assert not (await seen(front, created)).address_moved
        front.shop.switches.protected_data = "granted"
        [kept] = [one for one in order.metafields if one.key == "address_digest"]
        assert "leeds" not in kept.value.lower() and len(kept.value) == 8 + 1 + 64
        kept.value = f"00000000:{kept.value[9:]}"  # made with a key that is no longer ours
        order.shipping_address = order.shipping_address | {"address1": "2 Other Street"}
        assert not (await seen(front, created)).address_moved, "what cannot be compared is not called moved"


async def test_an_older_reading_that_comes_late_is_no_news():
    async with shopfront() as front:
        created = await placed(front)
        [early] = await read(front, created)
        front.pass_time(60)
        front.do("staffTag", order=order_of(front, created).id, tags=["x"])
        [late] = await read(front, created)
        assert early.same is not None and late.same is not None
        assert early.same(late.fact.event) and not late.same(early.fact.event)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (["1", "2", "3"], ("1", ("2", "3"), "https://t.example/1")),
        (["9" * 200], ("9" * 200, (), "https://t.example/1")),
        (["9" * 201], ("", (), "https://t.example/1")),
        (["9" * 3000, "2", "9" * 3000], ("2", (), "")),
    ],
)
async def test_tracking_numbers_of_one_parcel_group_are_all_told_unless_they_are_too_long(
    numbers: list[str], told: tuple[str, tuple[str, ...], str]
):
    async with shopfront() as front:
        created = await placed(front)
        [parcel] = order_of(front, created).fulfillment_orders
        front.do("staffFulfil", parcel=parcel, tracking={"company": "DPD UK", "numbers": numbers, "urls": ["https://t.example/1"]})
        [sent] = [event for event in said(await read(front, created)) if isinstance(event, FulfilmentSeen)]
        assert (sent.tracking_number, sent.further_numbers, sent.tracking_url) == told


async def test_an_order_of_many_lines_and_parcels_is_read_to_its_end():
    async with shopfront() as front:
        created = await placed(front, *(order_line(number, quantity=2) for number in range(1, 131)))
        order = order_of(front, created)
        for _ in range(12):
            newest = front.shop.fulfillment_orders[order.fulfillment_orders[-1]]
            front.do("staffSplit", parcel=newest.id, lines=[(newest.lines[0].id, 1)])
        front.do("staffHold", parcel=order.fulfillment_orders[-1])
        told = await seen(front, created)
        assert len(told.units) == 130 and set(told.units.values()) == {2}
        assert len(order.fulfillment_orders) > 5 and told.holds == ("OTHER",)


# ---------------------------------------------------------------- refunds


async def test_a_refund_is_told_with_its_lines_shipping_and_what_is_neither():
    async with shopfront() as front:
        taxed = order_line(quantity=2, taxes=(Tax(code="VAT", amount=gbp(800), rate="20"),), shipping_taxes=())
        created = await placed(front, taxed, order_line(2, "CAP", 2, 1000))
        order = order_of(front, created)
        first, second = order.lines
        front.do("staffFulfil", parcel=order.fulfillment_orders[0], lines=[(_waiting(front, order, second.id), 1)])
        front.do("staffRefund", order=order.id, lines=[(first.id, 1), (second.id, 2)], shipping=100, note="says who?")
        [told] = await refunds(front, created)
        assert told.lines == (
            RefundedUnits(line_id=LINE, quantity=1, amount=gbp(2400), tax=gbp(400), restock="CANCEL"),
            RefundedUnits(line_id=SECOND, quantity=1, amount=gbp(1000), tax=gbp(0), restock="CANCEL"),
            RefundedUnits(line_id=SECOND, quantity=1, amount=gbp(1000), tax=gbp(0), restock="RETURN"),
        )
        assert (told.shipping, told.shipping_tax, told.other) == (gbp(100), gbp(0), gbp(0))
        assert (told.mirrors, told.moved_money, told.return_id, told.reason) == ("", False, None, "")


def _waiting(front: Shopfront, order: Any, line: int) -> int:
    parcels = (front.shop.fulfillment_orders[number] for number in order.fulfillment_orders)
    return next(waiting.id for parcel in parcels for waiting in parcel.lines if waiting.line_id == line)


async def test_money_alone_a_lower_amount_and_goods_alone_are_told_as_what_they_come_to():
    async with shopfront() as front:
        created = await placed(front)
        order = order_of(front, created)
        front.do("staffRefund", order=order.id, amount=500)
        front.do("staffRefund", order=order.id, lines=[(order.lines[0].id, 1)], amount=2000)
        front.do("staffRefund", order=order.id, lines=[(order.lines[0].id, 1)], amount=0)
        alone, lower, goods = await refunds(front, created)
        assert (alone.lines, alone.other) == ((), gbp(500))
        assert (lower.lines[0].amount, lower.other) == (gbp(2400), gbp(-400))
        assert (goods.lines[0].amount, goods.other) == (gbp(2400), gbp(-2400)), "no money is meant to go back"


@pytest.mark.parametrize("fate", ["pending", "failed", "moved"])
async def test_what_somebody_meant_to_give_back_counts_whatever_became_of_the_money(fate):
    async with shopfront() as front:
        created = await placed(front)
        front.shop.switches.manual_refunds = fate
        front.do("staffRefund", order=order_of(front, created).id, lines=[(order_of(front, created).lines[0].id, 1)])
        [told] = await refunds(front, created)
        assert (told.lines[0].amount, told.other, told.moved_money) == (gbp(2400), gbp(0), False)


async def test_money_that_went_another_way_is_noticed():
    async with shopfront() as front:
        created = await placed(front)
        order = order_of(front, created)
        order.transactions[0].gateway = "shopify_payments"
        front.do("staffRefund", order=order.id, lines=[(order.lines[0].id, 1)])
        [told] = await refunds(front, created)
        assert told.moved_money


async def test_where_taxes_come_on_top_they_stand_beside_the_amounts_and_a_fee_is_neither_line_nor_shipping():
    async with shopfront() as front:
        line = order_line(
            quantity=2,
            price=1000,
            taxes=(Tax(code="VAT", amount=gbp(400), rate="20"),),
            shipping_price=gbp(300),
            shipping_taxes=(Tax(code="VAT", amount=gbp(60), rate="20"),),
            fees=(Fee(code="GIFT_WRAP", amount=gbp(200)),),
        )
        created = await placed(front, line, taxes_included=False, total=gbp(2960))
        assert created.total == gbp(2960)
        front.do("staffRefund", order=order_of(front, created).id, lines=[(order_of(front, created).lines[0].id, 1)], shipping=500)
        [told] = await refunds(front, created)
        assert told.lines == (RefundedUnits(line_id=LINE, quantity=1, amount=gbp(1000), tax=gbp(200), restock="CANCEL"),)
        given = 1200 + told.shipping.minor + told.shipping_tax.minor + told.other.minor
        paid_back = sum(one.amount.shop for one in order_of(front, created).transactions if one.kind == "REFUND")
        assert given == paid_back
        order_of(front, created).shipping_lines[0].source = "asos-fee"  # as if it were the gift wrap that was given back
        [fee] = await refunds(front, created)
        assert (fee.shipping, fee.shipping_tax) == (gbp(0), gbp(0))
        assert fee.other == told.other + told.shipping + told.shipping_tax


async def test_our_own_records_are_known_by_their_notes():
    async with shopfront() as front:
        created = await placed(front)
        asked: dict[str, Any] = {"lines": {LINE: 1}, "amount": gbp(2400), "shipping": gbp(0)}
        await perform(front, RecordShopRefund(**asked_of(created), mirrors="C-7", restock="CANCEL", **asked))
        send(front, created)
        await perform(front, RecordShopRefund(**asked_of(created), mirrors="1001", restock="NO_RESTOCK", **asked), number=2)
        canceled, refunded = await refunds(front, created)
        assert (canceled.mirrors, canceled.lines[0].restock, canceled.other) == ("C-7", "CANCEL", gbp(0))
        assert (refunded.mirrors, refunded.lines[0].restock) == ("1001", "NO_RESTOCK")


async def test_what_a_cancellation_of_ours_leaves_behind_is_nobodys_refund():
    async with shopfront() as front:
        front.shop.switches.cancel_leaves_refund = True
        created = await placed(front)
        await perform(front, CancelShopOrder(**asked_of(created), reason="asos canceled it"))
        [told] = await refunds(front, created)
        assert told.mirrors == "cancel" and told.lines[0].quantity == 2
        other = await made(front, command(order_id="2"))
        front.do("staffCancel", order=order_of(front, other).id, refund=False)
        front.pass_time(10)
        [told] = await refunds(front, other)
        assert told.mirrors == "", "a person canceled it: the marketplace must hear of it"


async def test_many_refunds_of_one_order_are_all_told_and_the_same_reading_is_the_same_fact():
    async with shopfront() as front:
        created = await placed(front, *(order_line(number, quantity=1) for number in range(1, 31)))
        order = order_of(front, created)
        front.do("staffRefund", order=order.id, lines=[(line.id, 1) for line in order.lines[:25]])
        for line in order.lines[25:]:
            front.do("staffRefund", order=order.id, lines=[(line.id, 1)])
        heard = [one for one in await read(front, created) if isinstance(one.fact.event, ShopRefundSeen)]
        assert [len(one.fact.event.lines) for one in heard if isinstance(one.fact.event, ShopRefundSeen)] == [25, 1, 1, 1, 1, 1]
        front.pass_time(5)
        again = [one for one in await read(front, created) if isinstance(one.fact.event, ShopRefundSeen)]
        assert [one.fact.event_id for one in again] == [one.fact.event_id for one in heard]


async def test_more_refunds_than_can_be_listed_are_not_passed_over_in_silence():
    async with shopfront() as front:
        created = await placed(front)
        for _ in range(4):
            front.do("staffRefund", order=order_of(front, created).id, amount=1)
        listed = {"order": {"id": created.shop_order, "refunds": [{"id": f"gid://shopify/Refund/{n}", "note": None} for n in range(250)]}}
        front.instead["RefundIds"] = (200, {"data": listed})
        [trouble] = said(await read(front, created))
        assert isinstance(trouble, ExceptionOpened) and (trouble.code, trouble.field) == ("X79", "order.refunds")


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("Mirakl refund 1001", "1001"),
        ("Mirakl cancelation 4f-2 b", "4f-2 b"),
        ("Mirakl refund 1001\nasked by Ann", "1001"),
        (" Mirakl refund 1001 ", "1001"),
        ("re: Mirakl refund 1001", ""),
        ("Mirakl return R-1", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_note_is_ours_only_as_we_write_it(note, expected):
    assert mirrored_refund(note) == expected


# ---------------------------------------------------------------- goods that come back


async def test_a_return_is_told_until_its_goods_are_there_and_its_refund_names_it():
    async with shopfront() as front:
        created = await placed(front, order_line(), order_line(2, "CAP", 2))
        send(front, created)
        order = order_of(front, created)
        number = front.do("staffReturn", order=order.id, lines=[(order.lines[0].id, 2), (order.lines[1].id, 1)], reason=2, requested=True)
        [asked] = await returned(front, created)
        assert asked.lines == (
            ReturnedUnits(line_id=LINE, quantity=2, reason="size-too-small"),
            ReturnedUnits(line_id=SECOND, quantity=1, reason="size-too-small"),
        )
        assert (asked.status, asked.received, asked.mirrors) == ("REQUESTED", {}, "")
        front.do("staffApproveReturn", number=number)
        tee, cap = front.shop.returns[number].lines
        front.do("staffProcessReturn", number=number, lines=[(tee.id, 1)], disposition="RESTOCKED")
        front.do("staffProcessReturn", number=number, lines=[(tee.id, 1)], disposition="PROCESSING_REQUIRED", refund=False)
        front.do("staffProcessReturn", number=number, lines=[(cap.id, 1)], disposition="MISSING", refund=False)
        [over] = await returned(front, created)
        assert (over.status, over.received) == ("CLOSED", {LINE: 2}), "what is missing is not received"
        [refund] = await refunds(front, created)
        assert (refund.return_id, refund.reason) == (over.return_id, "size-too-small")


async def test_a_return_that_is_opened_again_is_news_though_it_looks_as_before():
    async with shopfront() as front:
        created = await placed(front)
        send(front, created)
        order = order_of(front, created)
        number = front.do("staffReturn", order=order.id, lines=[(order.lines[0].id, 1)])
        first = (await read(front, created))[-1]
        front.pass_time(5)
        front.do("staffCloseReturn", number=number)
        closed = (await read(front, created))[-1]
        front.pass_time(5)
        front.do("staffReopenReturn", number=number)
        again = (await read(front, created))[-1]
        assert again.fact.event == first.fact.event and again.part == "return_id"
        assert again.fact.event_id != first.fact.event_id and again.same is not None and not again.same(closed.fact.event)
        assert again.same(first.fact.event)


async def test_our_own_record_of_a_return_is_known_by_its_note():
    async with shopfront() as front:
        created = await placed(front)
        send(front, created)
        await perform(front, RecordShopReturn(**asked_of(created), mirrors="R-1 b", lines={LINE: 1}, reason="17"))
        [told] = await returned(front, created)
        assert (told.mirrors, told.lines[0].reason) == ("R-1 b", "other")
        assert mirrored_return("Mirakl return R-1 b") == "R-1 b" and mirrored_return("it was torn") == ""


async def test_returns_of_many_lines_and_many_returns_are_read_to_their_end():
    async with shopfront() as front:
        created = await placed(front, *(order_line(number, quantity=4) for number in range(1, 31)))
        send(front, created)
        order = order_of(front, created)
        number = front.do("staffReturn", order=order.id, lines=[(line.id, 1) for line in order.lines])
        front.do("staffProcessReturn", number=number, refund=False)
        for line in order.lines[:7]:
            front.do("staffReturn", order=order.id, lines=[(line.id, 1)])
        told = await returned(front, created)
        assert len(told) == 8 and len(told[0].lines) == 30 and len(told[0].received) == 30


async def test_a_hint_about_any_part_leads_to_its_order_and_one_that_names_nothing_to_those_it_can_mean():
    async with shopfront() as front:
        created, other = await placed(front), await made(front, command(order_id="2"))
        send(front, created)
        order = order_of(front, created)
        front.do("staffReturn", order=order.id, lines=[(order.lines[0].id, 1)])
        number = front.do("staffRefund", order=order.id, amount=1)
        [goods], [coming] = front.shop.returns, front.shop.reverse_orders
        for kind, part in (("Refund", number), ("Return", goods), ("ReverseFulfillmentOrder", coming)):
            heard = said(await front.adapter.readers[0].read([about(f"gid://shopify/{kind}/{part}")]))
            assert {event.order_id for event in heard} == {created.order_id}, kind
        front.pass_time(60)
        nameless = envelope(about().event.__class__(topic="returns/process", about=()))
        heard = said(await front.adapter.readers[0].read([nameless, nameless]))
        assert {event.order_id for event in heard} == {created.order_id} != {other.order_id}
