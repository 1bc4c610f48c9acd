"""An order waits under our handle, and goes on; nobody else's hold is touched."""

from typing import Any

import pytest

from engine.adapter import NotYet, Refused
from engine.errors import UnknownOutcomeError
from schemas.commands import HoldShopOrder, ReleaseShopOrder
from schemas.events.orders import ShopOrderCreated, ShopOrderHeld, ShopOrderReleased
from schemas.values import ShopId
from tests.contract.shopify.shopfront import (
    Shopfront,
    asked_of,
    command,
    events,
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


def holding(created: ShopOrderCreated) -> HoldShopOrder:
    return HoldShopOrder(**asked_of(created), reason="the buyer is to be looked at first")


def releasing(created: ShopOrderCreated) -> ReleaseShopOrder:
    return ReleaseShopOrder(**asked_of(created))


def holds(front: Shopfront, created: ShopOrderCreated) -> list[tuple[str, str, bool]]:
    parcels = [front.shop.fulfillment_orders[number] for number in order_of(front, created).fulfillment_orders]
    return [(one.handle, one.reason, one.by_app) for parcel in parcels for one in parcel.holds]


OURS = ("crossdock", "OTHER", True)


async def in_two_places(front: Shopfront) -> ShopOrderCreated:
    """An order whose lines leave from two locations: two fulfilment orders."""
    leeds, york = locate(front.shop, "Leeds"), locate(front.shop, "York")
    for sku, place in (("TEE-RED-M", york), ("CAP", leeds)):
        item = stock(front.shop, sku, 10)
        front.do("staffDisconnect", sku=sku, location=place.id)
        assert len([level for level in front.shop.levels[item.id].values() if level.active]) == 1
    await front.adapter.prepare()
    return await made(front, command(order_line(), order_line(2, "CAP", 1)))


async def test_every_fulfilment_order_is_held_and_let_go_and_another_hold_stays():
    async with shopfront() as front:
        created = await in_two_places(front)
        [first, second] = order_of(front, created).fulfillment_orders
        front.do("staffHold", parcel=first, reason="INCORRECT_ADDRESS")
        assert events(await perform(front, holding(created))) == [ShopOrderHeld(channel=created.channel, order_id=created.order_id)]
        assert sorted(holds(front, created)) == [(f"by-hand-{_serial(front, first)}", "INCORRECT_ADDRESS", False), OURS, OURS]
        assert front.shop.fulfillment_orders[second].holds[0].notes == "the buyer is to be looked at first"
        assert events(await perform(front, releasing(created))) == [ShopOrderReleased(channel=created.channel, order_id=created.order_id)]
        assert [reason for _, reason, _ in holds(front, created)] == ["INCORRECT_ADDRESS"]


def _serial(front: Shopfront, parcel: int) -> str:
    return next(one.handle for one in front.shop.fulfillment_orders[parcel].holds if not one.by_app).rpartition("-")[2]


@pytest.mark.parametrize("lost", ["lost", "unheard"])
async def test_a_lost_answer_is_looked_at_and_what_is_missing_is_done(lost):
    async with shopfront() as front:
        created = await in_two_places(front)
        getattr(front, lost).add("HoldPlace")
        with pytest.raises(UnknownOutcomeError):
            await perform(front, holding(created))
        assert await look(front, holding(created)) is None, "one of two is not all of it"
        assert events(await perform(front, holding(created), attempt=2)) == events(await look(front, holding(created)))
        assert holds(front, created) == [OURS, OURS]
        getattr(front, lost).add("HoldRelease")
        with pytest.raises(UnknownOutcomeError):
            await perform(front, releasing(created))
        assert await look(front, releasing(created)) is None
        await perform(front, releasing(created), attempt=2)
        assert holds(front, created) == [] and events(await look(front, releasing(created)))


async def test_an_order_that_is_not_routed_yet_is_asked_for_again_and_one_that_never_is_is_told():
    async with shopfront() as front:
        front.shop.switches.routing_delay = 7200.0
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        created = await made(front, command())
        assert isinstance(await perform(front, holding(created)), NotYet)
        front.pass_time(3700)
        answer = await perform(front, holding(created))
        assert isinstance(answer, Refused) and "scope" in answer.detail
        assert events(await look(front, releasing(created))), "what is not there holds nobody up"


async def test_there_is_nothing_to_hold_in_an_order_that_left_or_is_over_or_is_not_there():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        created = await made(front, command())
        front.do("staffFulfil", parcel=order_of(front, created).fulfillment_orders[0])
        left = await perform(front, holding(created))
        assert isinstance(left, Refused) and "left to pack" in left.detail
        other = await made(front, command(order_id="2"))
        front.do("staffCancel", order=int(other.shop_order.rpartition("/")[2]))
        front.pass_time(10)
        assert await perform(front, holding(other)) == Refused("the order is cancelled", "shop_order")
        gone: Any = HoldShopOrder(**asked_of(created) | {"shop_order": ShopId("gid://shopify/Order/404")}, reason="x")
        assert await perform(front, gone) == Refused("there is no such order", "shop_order")
        assert events(await perform(front, releasing(created))) and events(await look(front, releasing(created)))


async def test_a_fulfilment_order_that_is_moved_meanwhile_is_held_where_it_went():
    async with shopfront() as front:
        here, there = locate(front.shop), locate(front.shop, "York")
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        created = await made(front, command())
        [parcel] = order_of(front, created).fulfillment_orders
        away = there.id if front.shop.fulfillment_orders[parcel].location_id == here.id else here.id
        front.before["HoldPlace"] = lambda: front.do("staffMove", parcel=parcel, location=away)
        assert isinstance(await perform(front, holding(created)), NotYet)
        assert events(await perform(front, holding(created))) and holds(front, created) == [OURS]


async def test_an_order_can_be_held_as_soon_as_it_is_made():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        created, held = events(await perform(front, command(hold="a person wants to see it")))
        assert held == ShopOrderHeld(channel=created.channel, order_id=created.order_id)
        assert holds(front, created) == [OURS]
        found = await look(front, command(hold="a person wants to see it"))
        assert events(found) == [created, held], "a lost answer loses no hold"


async def test_an_order_that_is_routed_late_is_made_all_the_same_and_held_by_a_command_of_its_own():
    async with shopfront() as front:
        front.shop.switches.routing_delay = 60.0
        stock(front.shop, "TEE-RED-M", 10)
        await front.adapter.prepare()
        [created] = events(await perform(front, command(hold="a person wants to see it")))
        front.pass_time(60)
        assert events(await perform(front, holding(created))) and holds(front, created) == [OURS]
