"""Tags on an order, where the warehouse sees them."""

from collections.abc import Sequence

from adapters.shopify import wire
from adapters.shopify.client import Client, refused
from adapters.shopify.endpoints import TAGS_ADD
from adapters.shopify.translate.marks import fit_for_a_tag
from engine.adapter import Answer, Done, Effect, Refused, Task
from schemas.commands import SignalOnOrder
from schemas.events.orders import ShopOrderTagged


async def signal(client: Client, tasks: Sequence[Task[SignalOnOrder]]) -> Sequence[Answer]:
    """Adding what is there already changes nothing."""
    [task] = tasks
    command = task.command
    tags = [tag for tag in dict.fromkeys(map(fit_for_a_tag, command.tags)) if tag]
    payload = (await client.ask(TAGS_ADD, {"id": command.shop_order, "tags": tags}, wire.orders.TagsAdd)).tags_add
    if payload.user_errors:
        return [Refused(*refused(payload.user_errors))]
    event = ShopOrderTagged(channel=command.channel, order_id=command.order_id, tags=command.tags)
    return [Done((Effect(event, f"{command.shop_order}:tags:{task.command_id}"),))]
