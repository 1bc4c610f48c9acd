"""From an order to its parcels: routing, fulfilments, tracking, and a fulfilment taken back."""

from datetime import datetime
from typing import Any, Literal

from ops.sandbox.shopify import stock
from ops.sandbox.shopify.state import (
    Fulfillment,
    FulfillmentLine,
    FulfillmentOrder,
    FulfillmentOrderLine,
    Line,
    Order,
    Problem,
    RefusedError,
    Shop,
    number_of,
)
from ops.sandbox.shopify.webhooks import emit, touch

OPEN = ("OPEN", "IN_PROGRESS")


def route(shop: Shop, order: Order, at: datetime) -> None:
    """One fulfilment order for each location that has some of the goods; what needs no shipping is kept apart."""
    if order.cancelled_at is not None:
        return
    places: dict[tuple[int, Literal["SHIPPING", "NONE"]], list[Line]] = {}
    for line in order.lines:
        where = line.location_id or stock.shipping_location(shop, line.item_id, line.quantity)
        places.setdefault((where, "SHIPPING" if line.requires_shipping else "NONE"), []).append(line)
    for (where, method), lines in places.items():
        made = FulfillmentOrder(shop.new_id(), order.id, where, method, [], at, at)
        _open(shop, order, made, [(line.id, line.quantity) for line in lines])


def _open(shop: Shop, order: Order, made: FulfillmentOrder, lines: list[tuple[int, int]]) -> None:
    made.lines = [FulfillmentOrderLine(shop.new_id(), line, quantity, quantity) for line, quantity in lines]
    shop.fulfillment_orders[made.id] = made
    order.fulfillment_orders.append(made.id)
    shop.ready.append(made.id)
    emit(shop, "fulfillment_orders/order_routing_complete", (made.id,), made.created_at)


def create_fulfillment(shop: Shop, wanted: dict[str, Any], at: datetime) -> int:
    """Some or all of what remains in fulfilment orders of one order and one location. Returns the fulfilment's number."""
    taken = _taken(shop, wanted["lineItemsByFulfillmentOrder"])
    first = taken[0][0]
    if any((parcel.order_id, parcel.location_id) != (first.order_id, first.location_id) for parcel, _ in taken):
        raise RefusedError(Problem(("fulfillment",), "All fulfillment orders must belong to the same order and location."))
    order = shop.orders[first.order_id]
    made = Fulfillment(
        id=shop.new_id(),
        order_id=order.id,
        location_id=first.location_id,
        name=f"{order.name}-F{len(order.fulfillments) + 1}",
        lines=[],
        created_at=at,
        updated_at=at,
    )
    _track(made, wanted.get("trackingInfo") or {})
    lines = {line.id: line for line in order.lines}
    for parcel, quantities in taken:
        for waiting, quantity in quantities:
            waiting.remaining -= quantity
            lines[waiting.line_id].fulfilled += quantity
            moved = stock.ship(shop, lines[waiting.line_id], quantity, at)
            made.lines.append(FulfillmentLine(shop.new_id(), waiting.line_id, waiting.id, parcel.id, quantity, moved))
        parcel.status = "IN_PROGRESS" if any(waiting.remaining for waiting in parcel.lines) else "CLOSED"
        parcel.updated_at = at
    shop.fulfillments[made.id] = made
    order.fulfillments.append(made.id)
    emit(shop, "fulfillments/create", (made.id,), at)
    touch(shop, order, at)
    return made.id


def _taken(shop: Shop, wanted: list[dict[str, Any]]) -> list[tuple[FulfillmentOrder, list[tuple[FulfillmentOrderLine, int]]]]:
    if not wanted:
        raise RefusedError(Problem(("fulfillment",), "At least one fulfillment order must be given."))
    taken = []
    for one in wanted:
        parcel = shop.fulfillment_orders.get(number_of(one["fulfillmentOrderId"], "FulfillmentOrder"))
        if parcel is None:
            raise RefusedError(Problem(("fulfillment",), "Fulfillment order does not exist."))
        if parcel.status not in OPEN:
            message = f"Fulfillment order {parcel.id} has an unfulfillable status= {parcel.status.lower()}."
            raise RefusedError(Problem(("fulfillment",), message))
        chosen = one.get("fulfillmentOrderLineItems")
        if not chosen:
            taken.append((parcel, [(waiting, waiting.remaining) for waiting in parcel.lines if waiting.remaining]))
            continue
        lines = {waiting.id: waiting for waiting in parcel.lines}
        quantities = []
        for entry in chosen:
            waiting = lines.get(number_of(entry["id"], "FulfillmentOrderLineItem"))
            if waiting is None or not 0 < entry["quantity"] <= waiting.remaining:
                raise RefusedError(Problem(("fulfillment",), "Invalid fulfillment order line item quantity requested."))
            quantities.append((waiting, entry["quantity"]))
        taken.append((parcel, quantities))
    return taken


def _track(fulfillment: Fulfillment, tracking: dict[str, Any]) -> None:
    """The whole block at once: what is not given is gone."""
    for one, many in (("number", "numbers"), ("url", "urls")):
        if tracking.get(one) and tracking.get(many):
            raise RefusedError(Problem(("trackingInfo", one), f"{one} and {many} exclude each other."))
    fulfillment.company = tracking.get("company")
    fulfillment.numbers = list(tracking.get("numbers") or ([tracking["number"]] if tracking.get("number") else []))
    fulfillment.urls = list(tracking.get("urls") or ([tracking["url"]] if tracking.get("url") else []))


def _known(shop: Shop, fulfillment: str, where: str) -> Fulfillment:
    found = shop.fulfillments.get(number_of(fulfillment, "Fulfillment"))
    if found is None:
        raise RefusedError(Problem((where,), "Fulfillment could not be found."))
    if found.status == "CANCELLED":
        raise RefusedError(Problem((where,), "Fulfillment is cancelled."))
    return found


def change_tracking(shop: Shop, fulfillment: str, tracking: dict[str, Any], at: datetime) -> int:
    found = _known(shop, fulfillment, "fulfillmentId")
    _track(found, tracking)
    found.updated_at = at
    emit(shop, "fulfillments/update", (found.id,), at)
    touch(shop, shop.orders[found.order_id], at)
    return found.id


def cancel_fulfillment(shop: Shop, fulfillment: str, at: datetime) -> int:
    """The goods come back to new fulfilment orders; the old ones stay closed."""
    found = _known(shop, fulfillment, "id")
    found.status, found.updated_at = "CANCELLED", at
    order = shop.orders[found.order_id]
    lines = {line.id: line for line in order.lines}
    for shipped in found.lines:
        lines[shipped.line_id].fulfilled -= shipped.quantity
        stock.unship(shop, lines[shipped.line_id], shipped.off_shelf, at)
    back = [(shipped.line_id, shipped.quantity) for shipped in found.lines]
    method = shop.fulfillment_orders[found.lines[0].fulfillment_order_id].method
    _open(shop, order, FulfillmentOrder(shop.new_id(), order.id, found.location_id, method, [], at, at), back)
    emit(shop, "fulfillments/update", (found.id,), at)
    touch(shop, order, at)
    return found.id
