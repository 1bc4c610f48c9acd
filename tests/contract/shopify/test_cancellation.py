"""An order that the marketplace gave up is stopped once, with its stock put back; and tags go where the warehouse sees them."""

import pytest

from engine.adapter import Refused
from engine.errors import UnknownOutcomeError
from schemas.commands import CancelShopOrder, SignalOnOrder
from schemas.events.orders import ShopOrderCancelled, ShopOrderCreated, ShopOrderTagged
from schemas.values import ShopId
from tests.contract.shopify.shopfront import Shopfront, asked_of, command, events, look, made, order_of, perform, shopfront, stock

pytestmark = pytest.mark.anyio


def cancelling(created: ShopOrderCreated) -> CancelShopOrder:
    return CancelShopOrder(**asked_of(created), reason="asos canceled it: 12")


def done(created: ShopOrderCreated) -> list[ShopOrderCancelled]:
    return [ShopOrderCancelled(channel=created.channel, order_id=created.order_id, shop_order=created.shop_order)]


async def placed(front: Shopfront) -> ShopOrderCreated:
    stock(front.shop, "TEE-RED-M", 10)
    await front.adapter.prepare()
    return await made(front, command())


def shelf(front: Shopfront) -> tuple[int, int]:
    [levels] = front.shop.levels.values()
    [level] = levels.values()
    return level.available, level.committed


async def test_it_is_cancelled_with_its_stock_put_back_and_nobody_is_told():
    async with shopfront() as front:
        created = await placed(front)
        assert events(await perform(front, cancelling(created))) == done(created)
        order = order_of(front, created)
        assert order.cancelled_at is not None and order.staff_note == "Mirakl: asos canceled it: 12"
        assert shelf(front) == (10, 0) and len(order.transactions) == 1, "no money moved"
        sent = front.sent[front.asked.index("OrderCancel")]
        assert set(sent) == {"orderId", "staffNote"}


async def test_a_lost_answer_is_settled_by_the_order_itself():
    async with shopfront() as front:
        created = await placed(front)
        front.lost.add("OrderCancel")
        with pytest.raises(UnknownOutcomeError):
            await perform(front, cancelling(created))
        assert await look(front, cancelling(created)) is None, "it works in the background"
        front.pass_time(10)
        assert events(await look(front, cancelling(created))) == done(created)
        answer = await perform(front, cancelling(created))
        assert isinstance(answer, Refused), "whoever asks again is refused, and looks before believing it"
        assert len(front.shop.jobs) == 1


async def test_a_job_that_runs_long_is_unknown_and_one_that_fails_late_is_refused():
    async with shopfront() as front:
        created = await placed(front)
        front.shop.switches.cancel_delay = 30.0
        with pytest.raises(UnknownOutcomeError, match="still runs"):
            await perform(front, cancelling(created))
        front.pass_time(30)
        assert events(await look(front, cancelling(created))) == done(created)
        front.shop.switches.cancel_delay, front.shop.switches.cancel_fails = 2.0, 1.0
        other = await made(front, command(order_id="2"))
        assert await perform(front, cancelling(other)) == Refused("the cancellation failed in the background", "shop_order")
        assert await look(front, cancelling(other)) is None


async def test_a_parcel_that_leaves_meanwhile_is_not_called_back():
    async with shopfront() as front:
        created = await placed(front)
        [parcel] = order_of(front, created).fulfillment_orders
        front.before["Job"] = lambda: front.do("staffFulfil", parcel=parcel)
        answer = await perform(front, cancelling(created))
        assert isinstance(answer, Refused) and order_of(front, created).cancelled_at is None
        again = await perform(front, cancelling(created))
        assert isinstance(again, Refused) and await look(front, cancelling(created)) is None


async def test_an_order_that_is_not_there_cannot_be_cancelled():
    async with shopfront() as front:
        created = await placed(front)
        gone = CancelShopOrder(**asked_of(created) | {"shop_order": ShopId("gid://shopify/Order/404")}, reason="x")
        assert await look(front, gone) == Refused("there is no such order", "shop_order")
        assert isinstance(await perform(front, gone), Refused)


async def test_tags_are_added_cut_to_what_a_tag_holds_and_adding_them_again_changes_nothing():
    async with shopfront() as front:
        created = await placed(front)
        before = list(order_of(front, created).tags)
        asked = SignalOnOrder(**asked_of(created), tags=("late", "one, two", "x" * 60))
        for _ in range(2):
            assert events(await perform(front, asked)) == [
                ShopOrderTagged(channel=created.channel, order_id=created.order_id, tags=asked.tags)
            ]
        assert sorted(set(order_of(front, created).tags) - set(before)) == ["late", "one- two", "x" * 40]
        gone = SignalOnOrder(**asked_of(created) | {"shop_order": ShopId("gid://shopify/Order/404")}, tags=("late",))
        assert isinstance(await perform(front, gone), Refused)
