"""Goods that the marketplace says are coming back are written down in Shopify once."""

from typing import Any

import pytest

from engine.adapter import Refused
from engine.errors import RejectedError, UnknownOutcomeError
from schemas.commands import RecordShopReturn
from schemas.events.aftercare import ShopReturnRecorded
from schemas.events.orders import ShopOrderCreated
from schemas.values import LineId, ShopId
from tests.contract.shopify.shopfront import (
    Shopfront,
    asked_of,
    command,
    events,
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


async def shipped(front: Shopfront, *parcels: int) -> ShopOrderCreated:
    """An order of two units that left, in as many parcels as are said."""
    stock(front.shop, "TEE-RED-M", 10)
    await front.adapter.prepare()
    created = await made(front, command())
    for units in parcels or (2,):
        number = order_of(front, created).fulfillment_orders[-1]
        [waiting] = front.shop.fulfillment_orders[number].lines
        front.do("staffFulfil", parcel=number, lines=[(waiting.id, units)])
    return created


def recording(created: ShopOrderCreated, **more: Any) -> RecordShopReturn:
    return RecordShopReturn(**asked_of(created) | {"mirrors": "R-1", "lines": {LINE: 2}, "reason": "17"} | more)


async def test_a_return_names_what_left_in_each_parcel_and_says_whose_record_it_is():
    async with shopfront() as front:
        created = await shipped(front, 1, 1)
        [recorded] = events(await perform(front, recording(created)))
        [goods] = front.shop.returns.values()
        assert recorded == ShopReturnRecorded(
            channel=created.channel, order_id=created.order_id, mirrors="R-1", return_id=ShopId(f"gid://shopify/Return/{goods.id}")
        )
        assert goods.status == "OPEN" and [(line.quantity, line.note) for line in goods.lines] == [(1, "Mirakl return R-1 (reason 17)")] * 2
        assert {line.reason for line in goods.lines} == {10}, "Shopify's reason is `other`: the marketplace's stands in the note"


@pytest.mark.parametrize("lost", ["lost", "unheard"])
async def test_a_lost_answer_leads_to_one_return(lost):
    async with shopfront() as front:
        created = await shipped(front)
        getattr(front, lost).add("ReturnCreate")
        with pytest.raises(UnknownOutcomeError):
            await perform(front, recording(created))
        found = await look(front, recording(created))
        assert (found is None) == (lost == "unheard")
        answer = found or await perform(front, recording(created), attempt=2)
        assert events(answer) == events(await look(front, recording(created)))
        assert len(front.shop.returns) == 1


async def test_another_return_of_the_same_order_is_not_taken_for_it():
    async with shopfront() as front:
        created = await shipped(front)
        order = order_of(front, created)
        front.do("staffReturn", order=order.id, lines=[(order.lines[0].id, 1)], note="Mirakl return R-10")
        assert await look(front, recording(created, lines={LINE: 1})) is None
        assert events(await perform(front, recording(created, lines={LINE: 1})))
        assert len(front.shop.returns) == 2


async def test_what_did_not_leave_or_comes_back_already_cannot_come_back():
    async with shopfront() as front:
        created = await shipped(front, 1)
        answer = await perform(front, recording(created))
        assert answer == Refused("2 units of line 00012345-A-1 are to come back, and 1 have left and can", "return")
        order = order_of(front, created)
        front.before["ReturnCreate"] = lambda: front.do("staffReturn", order=order.id, lines=[(order.lines[0].id, 1)])
        refused = await perform(front, recording(created, lines={LINE: 1}))
        assert isinstance(refused, Refused) and refused.field == "return"
        gone = recording(created, shop_order=ShopId("gid://shopify/Order/404"))
        assert await look(front, gone) == Refused("there is no such order", "shop_order")


async def test_a_parcel_of_many_lines_is_read_to_its_end():
    async with shopfront() as front:
        stock(front.shop, "TEE-RED-M", 500)
        await front.adapter.prepare()
        lines = [order_line(number, quantity=1) for number in range(1, 141)]
        created = await made(front, command(*lines))
        front.do("staffFulfil", parcel=order_of(front, created).fulfillment_orders[0])
        wanted = {line.line_id: 1 for line in lines}
        assert events(await perform(front, recording(created, lines=wanted)))
        [goods] = front.shop.returns.values()
        assert len(goods.lines) == 140 and front.asked.count("ReturnableRest") == 2


async def test_a_shop_without_a_fitting_reason_is_told_so():
    async with shopfront() as front:
        created = await shipped(front)
        known = [{"id": "gid://shopify/ReturnReasonDefinition/1", "handle": "Other", "deleted": True}]
        front.instead["ReturnReasons"] = (200, {"data": {"returnReasonDefinitions": {"nodes": known}}})
        with pytest.raises(RejectedError, match="no return reason"):
            await perform(front, recording(created))
