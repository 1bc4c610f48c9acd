"""Parcels: fulfilments, their tracking, what carriers say of them, and one taken back. What moves a fulfilment order is in routing.py."""

from datetime import datetime
from typing import Any

from ops.sandbox.shopify import stock, totals
from ops.sandbox.shopify.routing import OPEN, open_order, settle
from ops.sandbox.shopify.sales import FulfillmentEvent
from ops.sandbox.shopify.state import (
    Fulfillment,
    FulfillmentLine,
    FulfillmentOrder,
    FulfillmentOrderLine,
    Problem,
    RefusedError,
    Shop,
    number_of,
)
from ops.sandbox.shopify.webhooks import emit, touch

Input = dict[str, Any]
Chosen = list[tuple[FulfillmentOrder, list[tuple[FulfillmentOrderLine, int]]]]

MOST_LINES = 512  # of one fulfilment order in one fulfilment


def create_fulfillment(shop: Shop, wanted: Input, at: datetime) -> int:
    taken = _taken(shop, wanted["lineItemsByFulfillmentOrder"])
    first, *others = [parcel for parcel, _ in taken]
    if any((other.order_id, other.location_id) != (first.order_id, first.location_id) for other in others):
        raise RefusedError(Problem(("fulfillment",), "All fulfillment orders must be of one order and assigned to one location."))
    order = shop.orders[first.order_id]
    made = Fulfillment(
        id=0,
        order_id=order.id,
        location_id=first.location_id,
        name=f"{order.name}-F{len(order.fulfillments) + 1}",
        lines=[],
        created_at=at,
        updated_at=at,
    )
    _track(made, wanted.get("trackingInfo") or {})
    made.id = shop.new_id()
    lines = {line.id: line for line in order.lines}
    for parcel, quantities in taken:
        for waiting, quantity in quantities:
            waiting.remaining -= quantity
            lines[waiting.line_id].fulfilled += quantity
            moved = stock.ship(shop, lines[waiting.line_id], waiting, quantity, at)
            made.lines.append(FulfillmentLine(shop.new_id(), waiting.line_id, waiting.id, parcel.id, quantity, moved))
        settle(shop, parcel, at)
    shop.fulfillments[made.id] = made
    order.fulfillments.append(made.id)
    emit(shop, "fulfillments/create", (made.id,), at)
    whole = totals.fulfillment_status(order) == "FULFILLED"
    emit(shop, "orders/fulfilled" if whole else "orders/partially_fulfilled", (order.id,), at)
    touch(shop, order, at)
    return made.id


def _taken(shop: Shop, wanted: list[Input]) -> Chosen:
    if not wanted:
        raise _refused("At least one fulfillment order must be given.")
    taken = []
    for one in wanted:
        parcel = shop.fulfillment_orders.get(number_of(one["fulfillmentOrderId"], "FulfillmentOrder"))
        if parcel is None:
            raise _refused("Fulfillment order does not exist.")
        if parcel.status not in OPEN:
            raise _refused(f"Fulfillment order {parcel.id} has an unfulfillable status= {parcel.status.lower()}.")
        chosen = one.get("fulfillmentOrderLineItems")
        if not chosen:
            taken.append((parcel, [(waiting, waiting.remaining) for waiting in parcel.lines if waiting.remaining]))
            continue
        if len(chosen) > MOST_LINES:
            raise _refused(f"A fulfillment can have at most {MOST_LINES} line items of a fulfillment order.")
        lines = {waiting.id: waiting for waiting in parcel.lines}
        quantities: dict[int, int] = {}
        for entry in chosen:
            waiting = lines.get(number_of(entry["id"], "FulfillmentOrderLineItem"))
            if waiting is None or entry["quantity"] < 1 or entry["quantity"] + quantities.get(waiting.id, 0) > waiting.remaining:
                raise _refused("Invalid fulfillment order line item quantity requested.")
            quantities[waiting.id] = quantities.get(waiting.id, 0) + entry["quantity"]
        taken.append((parcel, [(lines[number], quantity) for number, quantity in quantities.items()]))
    if len({parcel.id for parcel, _ in taken}) < len(taken):
        raise _refused("A fulfillment order can be given once only.")
    return taken


def _refused(message: str) -> RefusedError:
    return RefusedError(Problem(("fulfillment",), message))


def _track(fulfillment: Fulfillment, tracking: Input) -> None:
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


def change_tracking(shop: Shop, fulfillment: str, tracking: Input, at: datetime) -> int:
    found = _known(shop, fulfillment, "fulfillmentId")
    _track(found, tracking)
    found.updated_at = at
    emit(shop, "fulfillments/update", (found.id,), at)
    touch(shop, shop.orders[found.order_id], at)
    return found.id


def cancel_fulfillment(shop: Shop, fulfillment: str, at: datetime) -> int:
    """The goods come back to new fulfilment orders; the old ones stay closed. Refused once some of it was returned or paid back."""
    found = _known(shop, fulfillment, "id")
    order = shop.orders[found.order_id]
    lines = {line.id: line for line in order.lines}
    leaving: dict[int, int] = {}
    for shipped in found.lines:
        leaving[shipped.line_id] = leaving.get(shipped.line_id, 0) + shipped.quantity
    if any(shipped.in_returns for shipped in found.lines) or any(
        lines[number].fulfilled - quantity < lines[number].returned for number, quantity in leaving.items()
    ):
        raise RefusedError(Problem(("id",), "Fulfillment can't be cancelled: items of it were returned or refunded."))
    found.status, found.updated_at = "CANCELLED", at
    made = FulfillmentOrder(
        shop.new_id(), order.id, found.location_id, shop.fulfillment_orders[found.lines[0].fulfillment_order_id].method, [], at, at
    )
    for shipped in found.lines:
        line = lines[shipped.line_id]
        line.fulfilled -= shipped.quantity
        back = FulfillmentOrderLine(shop.new_id(), line.id, shipped.quantity, shipped.quantity)
        made.lines.append(back)
        stock.unship(shop, line, back, min(shipped.off_shelf, line.off_shelf), at, location=found.location_id)
    open_order(shop, order, made)
    emit(shop, "fulfillments/update", (found.id,), at)
    touch(shop, order, at)
    return found.id


def carrier_event(shop: Shop, fulfillment: int, status: str, at: datetime) -> int:
    """A carrier has scanned the parcel: IN_TRANSIT, OUT_FOR_DELIVERY, DELIVERED … Tracking of the order does not change by it."""
    found = _known(shop, f"gid://shopify/Fulfillment/{fulfillment}", "fulfillment")
    event = FulfillmentEvent(shop.new_id(), status, at)
    found.events.append(event)
    found.updated_at = at
    emit(shop, "fulfillment_events/create", (found.id, event.id), at)
    emit(shop, "fulfillments/update", (found.id,), at)
    return event.id
