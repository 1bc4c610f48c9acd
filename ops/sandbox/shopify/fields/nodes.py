"""Things by their global ids, whatever they are."""

from collections.abc import Callable, Mapping
from typing import Any

from ops.sandbox.shopify import access
from ops.sandbox.shopify.fields.table import Call, fields
from ops.sandbox.shopify.state import (
    Bulk,
    Fulfillment,
    FulfillmentOrder,
    Item,
    Location,
    NotSimulatedError,
    Order,
    Product,
    Refund,
    Return,
    ReverseOrder,
    Shop,
    Subscription,
    Variant,
    number_of,
)

# A return's line is given as a pair with its return.
KINDS: Mapping[str, tuple[type, Callable[[Shop], Mapping[int, Any]]]] = {
    "Fulfillment": (Fulfillment, lambda shop: shop.fulfillments),
    "FulfillmentOrder": (FulfillmentOrder, lambda shop: shop.fulfillment_orders),
    "InventoryItem": (Item, lambda shop: shop.items),
    "BulkOperation": (Bulk, lambda shop: shop.bulk),
    "Location": (Location, lambda shop: shop.locations),
    "Order": (Order, lambda shop: shop.orders),
    "Product": (Product, lambda shop: shop.products),
    "ProductVariant": (Variant, lambda shop: shop.variants),
    "Refund": (Refund, lambda shop: shop.refunds),
    "Return": (Return, lambda shop: shop.returns),
    "ReverseFulfillmentOrder": (ReverseOrder, lambda shop: shop.reverse_orders),
    "WebhookSubscription": (Subscription, lambda shop: shop.subscriptions),
}


def node(shop: Shop, gid: str) -> Any:
    """None where there is nothing of that id."""
    kind = gid.removeprefix("gid://shopify/").partition("/")[0]
    if kind not in KINDS:
        raise NotSimulatedError(f"node {gid} is not simulated")
    return KINDS[kind][1](shop).get(number_of(gid, kind))


def _seen(call: Call, gid: str) -> Any:
    """What scopes hide is not there."""
    found = node(call.shop, gid)
    if isinstance(found, Order) and not access.visible(call.shop, found, call.at):
        return None
    return None if isinstance(found, FulfillmentOrder) and not access.sees_parcel(call.shop, found) else found


def kind_of(thing: Any) -> str:
    """The GraphQL type of what a node is."""
    if isinstance(thing, tuple):
        return "ReturnLineItem"
    for kind, (is_, _) in KINDS.items():
        if isinstance(thing, is_):
            return kind
    raise NotSimulatedError(f"{type(thing).__name__} as a node is not simulated")


def _nodes(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    return [_seen(call, gid) for gid in asked["ids"]]


fields("QueryRoot", node=lambda _, call, asked: _seen(call, asked["id"]), nodes=_nodes)
