"""Things by their global ids, whatever they are."""

from collections.abc import Callable, Mapping
from typing import Any

from ops.sandbox.shopify.fields.table import Call, fields
from ops.sandbox.shopify.state import (
    Fulfillment,
    FulfillmentOrder,
    Item,
    Job,
    Location,
    NotSimulatedError,
    Order,
    Product,
    Shop,
    Subscription,
    Variant,
    number_of,
)

KINDS: Mapping[str, tuple[type, Callable[[Shop], Mapping[int, Any]]]] = {
    "Fulfillment": (Fulfillment, lambda shop: shop.fulfillments),
    "FulfillmentOrder": (FulfillmentOrder, lambda shop: shop.fulfillment_orders),
    "InventoryItem": (Item, lambda shop: shop.items),
    "Job": (Job, lambda shop: shop.jobs),
    "Location": (Location, lambda shop: shop.locations),
    "Order": (Order, lambda shop: shop.orders),
    "Product": (Product, lambda shop: shop.products),
    "ProductVariant": (Variant, lambda shop: shop.variants),
    "WebhookSubscription": (Subscription, lambda shop: shop.subscriptions),
}
EMPTY = ("Refund", "Return")  # kinds of which there are none yet


def node(shop: Shop, gid: str) -> Any:
    """None where there is nothing of that id."""
    kind = gid.removeprefix("gid://shopify/").partition("/")[0]
    if kind in EMPTY:
        return None
    if kind not in KINDS:
        raise NotSimulatedError(f"node {gid} is not simulated")
    return KINDS[kind][1](shop).get(number_of(gid, kind))


def kind_of(thing: Any) -> str:
    """The GraphQL type of what a node is."""
    for kind, (is_, _) in KINDS.items():
        if isinstance(thing, is_):
            return kind
    raise NotSimulatedError(f"{type(thing).__name__} as a node is not simulated")


def _nodes(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    return [node(call.shop, gid) for gid in asked["ids"]]


fields("QueryRoot", node=lambda _, call, asked: node(call.shop, asked["id"]), nodes=_nodes)
