"""Stopping an order that the marketplace gave up. Shopify does it in the background, and may fail late."""

from collections.abc import Sequence

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, refused
from adapters.shopify.endpoints import JOB, ORDER_CANCEL, ORDER_STANDING
from adapters.shopify.translate.aftercare import CANCELLATION
from engine.adapter import Answer, Done, Effect, Refused, Task
from engine.errors import UnknownOutcomeError
from schemas.commands import CancelShopOrder
from schemas.events.orders import ShopOrderCancelled

LOOKS = (1.0, 2.0, 4.0, 8.0)  # seconds before each look at a cancellation that works in the background
LONGEST_NOTE = 255  # characters. Admin API, orderCancel, 2026-10


class Cancellation:
    async def perform(self, client: Client, tasks: Sequence[Task[CancelShopOrder]]) -> Sequence[Answer]:
        """A job that still runs after the last look leaves the outcome unknown: then the order is looked at before it is asked again."""
        [task] = tasks
        command = task.command
        done = await cancel(client, command.shop_order, f"{CANCELLATION}{command.reason}"[:LONGEST_NOTE])
        if isinstance(done, Refused):
            return [done]
        if not done:
            raise UnknownOutcomeError("the cancellation still runs", target=TARGET, endpoint=ORDER_CANCEL.name)
        return [_cancelled(task)]

    async def look(self, client: Client, task: Task[CancelShopOrder]) -> Done | Refused | None:
        order = (await client.ask(ORDER_STANDING, {"id": task.command.shop_order}, wire.orders.OrderNode[wire.orders.Cancelled])).order
        if order is None:
            return Refused("there is no such order", "shop_order")
        return None if order.cancelled_at is None else _cancelled(task)


async def cancel(client: Client, order: str, note: str) -> bool | Refused:
    """Stock put back, nobody told, no money moved. False: it is accepted and still runs."""
    payload = (await client.ask(ORDER_CANCEL, {"orderId": order, "staffNote": note}, wire.orders.OrderCancel)).order_cancel
    if payload.order_cancel_user_errors:
        return Refused(*refused(payload.order_cancel_user_errors))
    if payload.job_result is not None and payload.job_result.errors:
        return Refused(*refused(payload.job_result.errors))
    if payload.job is None:
        raise UnknownOutcomeError("neither a job nor a refusal", target=TARGET, endpoint=ORDER_CANCEL.name)
    over = False
    for seconds in LOOKS:
        await client.clock.sleep(seconds)
        answer = await client.ask(JOB, {"id": payload.job.id, "orderId": order}, wire.orders.JobAnswer)
        if answer.order is not None and answer.order.cancelled_at is not None:
            return True
        if over:  # and looked at once more, in case the date came later than the job's end
            return Refused("the cancellation failed in the background", "shop_order")
        over = answer.job is None or answer.job.done
    return Refused("the cancellation failed in the background", "shop_order") if over else False


def _cancelled(task: Task[CancelShopOrder]) -> Done:
    command = task.command
    event = ShopOrderCancelled(channel=command.channel, order_id=command.order_id, shop_order=command.shop_order)
    return Done((Effect(event, f"{command.shop_order}:cancelled"),))
