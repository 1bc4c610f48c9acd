"""Keeping the warehouse from an order, and letting it go on; nobody else's hold is touched."""

from collections.abc import Sequence
from datetime import timedelta

from adapters.shopify import wire
from adapters.shopify.client import Client, refused
from adapters.shopify.endpoints import FULFILMENT_ORDERS, HOLD_PLACE, HOLD_RELEASE
from adapters.shopify.inbound.paging import whole
from adapters.shopify.translate.marks import HANDLE
from adapters.shopify.translate.reading import OVER, is_ours
from engine.adapter import Answer, Done, Effect, NotYet, Refused, Task
from schemas.commands import HoldShopOrder, ReleaseShopOrder
from schemas.events.orders import ShopOrderHeld, ShopOrderReleased

PATIENCE = timedelta(hours=1)  # within which an order is routed
ROUTING = 5.0  # seconds until the next look for the fulfilment orders of a new order
LONGEST_NOTE = 255  # characters; ours
# Of a hold that is refused: it is there already, or its fulfilment order went elsewhere meanwhile.
_THERE = frozenset({"DUPLICATE_FULFILLMENT_HOLD_HANDLE"})
_GONE = frozenset({"FULFILLMENT_ORDER_NOT_FOUND"})


class Holds:
    """Holds come and go with fulfilment orders, which are split, moved and made anew: they are looked up each time, never remembered."""

    async def hold(self, client: Client, tasks: Sequence[Task[HoldShopOrder]]) -> Sequence[Answer]:
        [task] = tasks
        held = await hold(client, task.command.shop_order, task.command.reason)
        if isinstance(held, Refused):
            return [held]
        if held:
            return [_held(task)]
        if client.clock.now() - task.issued_at > PATIENCE:
            return [Refused("no fulfilment order is to be seen: it is not routed, or the app lacks a scope", "shop_order")]
        return [NotYet(ROUTING)]

    async def look_held(self, client: Client, task: Task[HoldShopOrder]) -> Done | Refused | None:
        found = await _open(client, task.command.shop_order)
        if isinstance(found, Refused):
            return found
        return _held(task) if found and all(any(map(is_ours, each.fulfillment_holds)) for each in found) else None

    async def release(self, client: Client, tasks: Sequence[Task[ReleaseShopOrder]]) -> Sequence[Answer]:
        [task] = tasks
        found = await _open(client, task.command.shop_order)
        for each in found if not isinstance(found, Refused) else ():
            ours = [one.id for one in each.fulfillment_holds if is_ours(one)]
            if ours:
                payload = (
                    await client.ask(HOLD_RELEASE, {"id": each.id, "holdIds": ours}, wire.orders.HoldRelease)
                ).fulfillment_order_release_hold
                if payload.user_errors and payload.user_errors[0].code not in _GONE:
                    return [Refused(*refused(payload.user_errors))]
        return [_released(task)]

    async def look_released(self, client: Client, task: Task[ReleaseShopOrder]) -> Done | Refused | None:
        """An order of which nothing is left to do is not held either."""
        found = await _open(client, task.command.shop_order)
        if isinstance(found, Refused):
            return _released(task)
        return None if any(is_ours(one) for each in found for one in each.fulfillment_holds) else _released(task)


async def hold(client: Client, order: str, reason: str) -> bool | Refused:
    """Hold all that is still to be packed. False: the order is not routed yet, or is being routed anew; ask again soon."""
    found = await _open(client, order)
    if isinstance(found, Refused):
        return found
    settled = bool(found)
    for each in found:
        if any(map(is_ours, each.fulfillment_holds)):
            continue
        wanted = {"reason": "OTHER", "reasonNotes": reason[:LONGEST_NOTE], "handle": HANDLE, "notifyMerchant": False}
        payload = (await client.ask(HOLD_PLACE, {"id": each.id, "hold": wanted}, wire.orders.HoldPlace)).fulfillment_order_hold
        code = payload.user_errors[0].code if payload.user_errors else None
        if code in _GONE:
            settled = False
        elif payload.user_errors and code not in _THERE:
            return Refused(*refused(payload.user_errors))
    return settled


async def _open(client: Client, order: str) -> list[wire.orders.FulfillmentOrder] | Refused:
    """Fulfilment orders of which something is left to do; none: it is not routed yet. Refused: there is nothing left, or no order."""

    async def page(after: str | None) -> wire.orders.FulfillmentOrders | None:
        return (
            await client.ask(FULFILMENT_ORDERS, {"id": order, "after": after}, wire.orders.OrderNode[wire.orders.FulfillmentOrders])
        ).order

    async def parcels(after: str | None) -> wire.frame.Page[wire.orders.FulfillmentOrder] | None:
        more = await page(after)
        return more.fulfillment_orders if more else None

    first = await page(None)
    if first is None:
        return Refused("there is no such order", "shop_order")
    if first.cancelled_at is not None:
        return Refused("the order is cancelled", "shop_order")
    everything = (await whole(first.fulfillment_orders, parcels)).nodes
    left = [each for each in everything if each.status not in OVER]
    return Refused("nothing of the order is left to pack", "shop_order") if everything and not left else left


def _held(task: Task[HoldShopOrder]) -> Done:
    command = task.command
    event = ShopOrderHeld(channel=command.channel, order_id=command.order_id)
    return Done((Effect(event, f"{command.shop_order}:held:{task.command_id}"),))


def _released(task: Task[ReleaseShopOrder]) -> Done:
    command = task.command
    event = ShopOrderReleased(channel=command.channel, order_id=command.order_id)
    return Done((Effect(event, f"{command.shop_order}:released:{task.command_id}"),))
