"""Every change that a shop knows, by its name, and what happens by itself when it falls due."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ops.sandbox.shopify import fulfilment, metafields, orders, stock, webhooks
from ops.sandbox.shopify.state import Shop

# name -> what does it; each takes the shop, the operation's arguments by name, and the time
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "metafieldDefinitionCreate": metafields.define_metafield,
    "metafieldsSet": metafields.set_metafields,
    "orderCreate": orders.create_order,
    "orderCancel": orders.cancel_order,
    "fulfillmentCreate": fulfilment.create_fulfillment,
    "fulfillmentTrackingInfoUpdate": fulfilment.change_tracking,
    "fulfillmentCancel": fulfilment.cancel_fulfillment,
    "inventorySetQuantities": stock.set_quantities,
    "inventoryAdjustQuantities": stock.adjust_quantities,
    "webhookSubscriptionCreate": webhooks.subscribe,
    "webhookSubscriptionUpdate": webhooks.change_subscription,
    "webhookSubscriptionDelete": webhooks.unsubscribe,
    "webhookDelivered": webhooks.delivered,
    "webhookNotDelivered": webhooks.not_delivered,
    "webhookHeld": webhooks.hold,
    "webhookRepeated": webhooks.repeat,
    "webhookLost": webhooks.lose,
    "checkout": orders.checkout,
    "stock": stock.stock_sku,
}


def perform(shop: Shop, operation: str, arguments: Mapping[str, Any], at: datetime) -> Any:
    shop.event += 1
    return OPERATIONS[operation](shop, **arguments, at=at)


def advance(shop: Shop, until: datetime) -> bool:
    """Lets the next due thing happen, at its own time. False if nothing is due by then."""
    due = shop.agenda.pop(until)
    if due is None:
        return False
    shop.event += 1
    match due.what:
        case "route":
            fulfilment.route(shop, shop.orders[int(due.ref)], due.at)
        case "cancel":
            orders.run_cancellation(shop, shop.jobs[int(due.ref)], due.at)
    return True
