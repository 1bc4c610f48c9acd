"""Fulfilment orders and fulfilments."""

from typing import Any

from ops.sandbox.shopify import access
from ops.sandbox.shopify.connections import page
from ops.sandbox.shopify.fields.stock import service_of
from ops.sandbox.shopify.fields.table import Call, fields, limited, plain, when
from ops.sandbox.shopify.sales import Hold
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


ACTIONS = {
    "OPEN": ("CREATE_FULFILLMENT", "HOLD", "MERGE", "MOVE", "SPLIT"),
    "IN_PROGRESS": ("CREATE_FULFILLMENT", "HOLD", "MERGE", "MOVE", "SPLIT"),
    "ON_HOLD": ("HOLD", "RELEASE_HOLD"),
    "SCHEDULED": ("HOLD", "MARK_AS_OPEN", "MOVE"),
}


def _actions(parcel: FulfillmentOrder) -> list[dict[str, Any]]:
    return [{"action": action, "externalUrl": None} for action in ACTIONS.get(parcel.status, ())]


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "id": gid("FulfillmentHold", hold.id),
        "handle": hold.handle,
        "reason": hold.reason,
        "reasonNotes": hold.notes,
        "displayReason": hold.reason.replace("_", " ").capitalize(),
        "heldByRequestingApp": hold.by_app,
    }


def _visible(call: Call, number: int | None) -> FulfillmentOrder | None:
    parcel = call.shop.fulfillment_orders.get(number or 0)
    return parcel if parcel is not None and access.sees_parcel(call.shop, parcel) else None


fields(
    "QueryRoot",
    fulfillmentOrder=lambda _, call, asked: _visible(call, number_of(asked["id"], "FulfillmentOrder")),
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
    fulfillAt=lambda parcel: when(parcel.fulfill_at or parcel.created_at.replace(minute=0, second=0)),
    fulfillBy=lambda parcel: None,
    deliveryMethod=lambda parcel: {"id": gid("DeliveryMethod", parcel.id), "methodType": parcel.method},
    fulfillmentHolds=lambda parcel: [_hold(hold) for hold in parcel.holds],
    supportedActions=_actions,
)
fields(
    "FulfillmentOrder",
    orderProcessedAt=lambda parcel, call, asked: when(call.shop.orders[parcel.order_id].processed_at),
    orderName=lambda parcel, call, asked: call.shop.orders[parcel.order_id].name,
    order=lambda parcel, call, asked: call.shop.orders[parcel.order_id],
    assignedLocation=lambda parcel, call, asked: {
        "name": call.shop.locations[parcel.location_id].name,
        "location": call.shop.locations[parcel.location_id],
        "countryCode": "GB",
        "city": call.shop.locations[parcel.location_id].city,
        "zip": call.shop.locations[parcel.location_id].zip,
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
    variantTitle=lambda pair, call, asked: _order_line(call.shop, pair[0].order_id, pair[1].line_id)[1].variant_title,
    vendor=lambda pair, call, asked: _order_line(call.shop, pair[0].order_id, pair[1].line_id)[1].vendor,
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


def _display(fulfillment: Fulfillment) -> str:
    """What the carrier said last, if anything."""
    if fulfillment.status == "CANCELLED":
        return "CANCELED"
    return fulfillment.events[-1].status if fulfillment.events else "FULFILLED"


def _since(fulfillment: Fulfillment, status: str) -> str | None:
    return when(next((event.happened_at for event in fulfillment.events if event.status == status), None))


plain(
    "Fulfillment",
    id=lambda parcel: gid("Fulfillment", parcel.id),
    legacyResourceId=lambda parcel: str(parcel.id),
    name=lambda parcel: parcel.name,
    status=lambda parcel: parcel.status,
    displayStatus=_display,
    createdAt=lambda parcel: when(parcel.created_at),
    updatedAt=lambda parcel: when(parcel.updated_at),
    deliveredAt=lambda parcel: _since(parcel, "DELIVERED"),
    inTransitAt=lambda parcel: _since(parcel, "IN_TRANSIT"),
    estimatedDeliveryAt=lambda parcel: None,
    totalQuantity=lambda parcel: sum(line.quantity for line in parcel.lines),
    requiresShipping=lambda parcel: True,
)
fields(
    "Fulfillment",
    service=lambda parcel, call, asked: service_of(call.shop.locations[parcel.location_id]),
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


def _held(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    done, problems = call.attempt("fulfillmentOrderHold", parcel=asked["id"], wanted=asked["fulfillmentHold"])
    parcel, rest, hold = done or (None, None, None)
    found = _visible(call, parcel)
    placed = next((_hold(one) for one in found.holds if one.id == hold), None) if found else None
    answer = {"fulfillmentHold": placed, "fulfillmentOrder": found, "remainingFulfillmentOrder": _visible(call, rest)}
    return answer | {"userErrors": problems}


def _released(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    parcel, problems = call.attempt("fulfillmentOrderReleaseHold", parcel=asked["id"], holds=asked.get("holdIds"))
    return {"fulfillmentOrder": _visible(call, parcel), "userErrors": problems}


def _moved(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    done, problems = call.attempt(
        "fulfillmentOrderMove", parcel=asked["id"], location=asked["newLocationId"], lines=asked.get("fulfillmentOrderLineItems")
    )
    moved, original, rest = done or (None, None, None)
    return {
        "movedFulfillmentOrder": _visible(call, moved),
        "originalFulfillmentOrder": _visible(call, original),
        "remainingFulfillmentOrder": _visible(call, rest),
        "userErrors": problems,
    }


def _split(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    done, problems = call.attempt("fulfillmentOrderSplit", wanted=asked["fulfillmentOrderSplits"])
    shown = [
        {
            "fulfillmentOrder": _visible(call, found),
            "remainingFulfillmentOrder": _visible(call, rest),
            "replacementFulfillmentOrder": _visible(call, replacement),
        }
        for found, rest, replacement in done or ()
    ]
    return {"fulfillmentOrderSplits": None if problems else shown, "userErrors": problems}


fields(
    "Mutation",
    fulfillmentCreate=lambda _, call, asked: _parcel(call, *call.attempt("fulfillmentCreate", wanted=asked["fulfillment"])),
    fulfillmentTrackingInfoUpdate=lambda _, call, asked: _parcel(
        call,
        *call.attempt("fulfillmentTrackingInfoUpdate", fulfillment=asked["fulfillmentId"], tracking=asked["trackingInfoInput"]),
    ),
    fulfillmentCancel=lambda _, call, asked: _parcel(call, *call.attempt("fulfillmentCancel", fulfillment=asked["id"])),
    fulfillmentOrderHold=_held,
    fulfillmentOrderReleaseHold=_released,
    fulfillmentOrderMove=_moved,
    fulfillmentOrderSplit=_split,
)
