"""Fulfilment orders and fulfilments."""

from typing import Any

from ops.sandbox.shopify.connections import page
from ops.sandbox.shopify.fields.table import Call, fields, limited, plain, when
from ops.sandbox.shopify.state import (
    Fulfillment,
    FulfillmentOrder,
    Line,
    Order,
    Problem,
    Shop,
    gid,
    number_of,
)


def _order_line(shop: Shop, order_id: int, line_id: int) -> tuple[Order, Line]:
    order = shop.orders[order_id]
    return order, next(line for line in order.lines if line.id == line_id)


def _actions(parcel: FulfillmentOrder) -> list[dict[str, Any]]:
    return [{"action": "CREATE_FULFILLMENT", "externalUrl": None}] if parcel.status in ("OPEN", "IN_PROGRESS") else []


fields(
    "QueryRoot",
    fulfillmentOrder=lambda _, call, asked: call.shop.fulfillment_orders.get(number_of(asked["id"], "FulfillmentOrder")),
    fulfillment=lambda _, call, asked: call.shop.fulfillments.get(number_of(asked["id"], "Fulfillment")),
)
plain(
    "FulfillmentOrder",
    id=lambda parcel: gid("FulfillmentOrder", parcel.id),
    orderId=lambda parcel: gid("Order", parcel.order_id),
    status=lambda parcel: parcel.status,
    requestStatus=lambda parcel: "UNSUBMITTED",
    createdAt=lambda parcel: when(parcel.created_at),
    updatedAt=lambda parcel: when(parcel.updated_at),
    fulfillAt=lambda parcel: when(parcel.created_at.replace(minute=0, second=0)),
    fulfillBy=lambda parcel: None,
    deliveryMethod=lambda parcel: {"id": gid("DeliveryMethod", parcel.id), "methodType": parcel.method},
    fulfillmentHolds=lambda parcel: [],
    supportedActions=_actions,
)
fields(
    "FulfillmentOrder",
    orderName=lambda parcel, call, asked: call.shop.orders[parcel.order_id].name,
    order=lambda parcel, call, asked: call.shop.orders[parcel.order_id],
    assignedLocation=lambda parcel, call, asked: {
        "name": call.shop.locations[parcel.location_id].name,
        "location": call.shop.locations[parcel.location_id],
        "countryCode": "GB",
    },
    lineItems=lambda parcel, call, asked: page({line.id: (parcel, line) for line in parcel.lines}, asked),
)
plain(
    "FulfillmentOrderLineItem",
    id=lambda pair: gid("FulfillmentOrderLineItem", pair[1].id),
    totalQuantity=lambda pair: pair[1].total,
    remainingQuantity=lambda pair: pair[1].remaining,
    requiresShipping=lambda pair: pair[0].method == "SHIPPING",
)
fields(
    "FulfillmentOrderLineItem",
    lineItem=lambda pair, call, asked: _order_line(call.shop, pair[0].order_id, pair[1].line_id),
    sku=lambda pair, call, asked: _order_line(call.shop, pair[0].order_id, pair[1].line_id)[1].sku,
    productTitle=lambda pair, call, asked: _order_line(call.shop, pair[0].order_id, pair[1].line_id)[1].title,
    inventoryItemId=lambda pair, call, asked: _item_gid(_order_line(call.shop, pair[0].order_id, pair[1].line_id)[1]),
)


def _item_gid(line: Line) -> str | None:
    return gid("InventoryItem", line.item_id) if line.item_id else None


def _tracking(fulfillment: Fulfillment, call: Call, asked: dict[str, Any]) -> Any:
    """Numbers and addresses are paired by their place."""
    rows = max(len(fulfillment.numbers), len(fulfillment.urls), 1 if fulfillment.company else 0)
    numbers = [*fulfillment.numbers, *[None] * rows][:rows]
    urls = [*fulfillment.urls, *[None] * rows][:rows]
    paired = [{"company": fulfillment.company, "number": number, "url": url} for number, url in zip(numbers, urls, strict=True)]
    return limited(paired, asked)


plain(
    "Fulfillment",
    id=lambda parcel: gid("Fulfillment", parcel.id),
    legacyResourceId=lambda parcel: str(parcel.id),
    name=lambda parcel: parcel.name,
    status=lambda parcel: parcel.status,
    displayStatus=lambda parcel: "CANCELED" if parcel.status == "CANCELLED" else "FULFILLED",
    createdAt=lambda parcel: when(parcel.created_at),
    updatedAt=lambda parcel: when(parcel.updated_at),
    deliveredAt=lambda parcel: None,
    inTransitAt=lambda parcel: None,
    estimatedDeliveryAt=lambda parcel: None,
    totalQuantity=lambda parcel: sum(line.quantity for line in parcel.lines),
    requiresShipping=lambda parcel: True,
    service=lambda parcel: {"handle": "manual", "serviceName": "Manual", "type": "MANUAL"},
)
fields(
    "Fulfillment",
    location=lambda parcel, call, asked: call.shop.locations[parcel.location_id],
    order=lambda parcel, call, asked: call.shop.orders[parcel.order_id],
    trackingInfo=_tracking,
    fulfillmentLineItems=lambda parcel, call, asked: page({line.id: (parcel, line) for line in parcel.lines}, asked),
    fulfillmentOrders=lambda parcel, call, asked: page(
        {number: call.shop.fulfillment_orders[number] for number in sorted({line.fulfillment_order_id for line in parcel.lines})},
        asked,
    ),
)
plain(
    "FulfillmentLineItem",
    id=lambda pair: gid("FulfillmentLineItem", pair[1].id),
    quantity=lambda pair: pair[1].quantity,
)
fields(
    "FulfillmentLineItem",
    lineItem=lambda pair, call, asked: _order_line(call.shop, pair[0].order_id, pair[1].line_id),
)


def _parcel(call: Call, number: int | None, problems: list[Problem]) -> dict[str, Any]:
    return {"fulfillment": call.shop.fulfillments[number] if number else None, "userErrors": problems}


fields(
    "Mutation",
    fulfillmentCreate=lambda _, call, asked: _parcel(call, *call.attempt("fulfillmentCreate", wanted=asked["fulfillment"])),
    fulfillmentTrackingInfoUpdate=lambda _, call, asked: _parcel(
        call,
        *call.attempt("fulfillmentTrackingInfoUpdate", fulfillment=asked["fulfillmentId"], tracking=asked["trackingInfoInput"]),
    ),
    fulfillmentCancel=lambda _, call, asked: _parcel(call, *call.attempt("fulfillmentCancel", fulfillment=asked["id"])),
)
