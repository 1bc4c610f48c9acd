"""Fulfilment orders: made by routing, then held, released, moved, split, merged, put off. Whatever happens to them, the units that wait
for a parcel stay as many as their order's lines say."""

from datetime import UTC, datetime
from typing import Any, Literal

from ops.sandbox.shopify import stock
from ops.sandbox.shopify.sales import Hold
from ops.sandbox.shopify.state import FulfillmentOrder, FulfillmentOrderLine, Line, Order, Problem, RefusedError, Shop, number_of
from ops.sandbox.shopify.webhooks import emit

OPEN = ("OPEN", "IN_PROGRESS")  # what can be fulfilled
ALIVE = (*OPEN, "ON_HOLD", "SCHEDULED")
MOST_HOLDS = 10  # of one app on one fulfilment order

Input = dict[str, Any]
Units = list[tuple[FulfillmentOrderLine, int]]


def route(shop: Shop, order: Order, at: datetime) -> None:
    """One fulfilment order for each location that has some of the goods; what needs no shipping is kept apart."""
    if order.cancelled_at is not None:
        return
    order.routed = True
    places: dict[tuple[int, Literal["SHIPPING", "NONE"]], list[Line]] = {}
    for line in order.lines:
        if line.unfulfilled:
            known = line.location_id if line.claimed and shop.switches.claims_at == "routed" else None
            where = known or stock.shipping_location(shop, line.item_id, line.unfulfilled)
            places.setdefault((where, "SHIPPING" if line.requires_shipping else "NONE"), []).append(line)
    for (where, method), lines in places.items():
        made = FulfillmentOrder(shop.new_id(), order.id, where, method, [], at, at)
        made.lines = [waiting_line(shop, line, line.unfulfilled) for line in lines]
        open_order(shop, order, made)


def waiting_line(shop: Shop, line: Line, quantity: int) -> FulfillmentOrderLine:
    """With all that the order's line claims and no fulfilment order has taken over yet."""
    return FulfillmentOrderLine(shop.new_id(), line.id, quantity, quantity, min(quantity, line.claimed), line.location_id)


def open_order(shop: Shop, order: Order, made: FulfillmentOrder) -> None:
    shop.fulfillment_orders[made.id] = made
    order.fulfillment_orders.append(made.id)
    shop.ready.append(made.id)
    emit(shop, "fulfillment_orders/order_routing_complete", (made.id,), made.created_at)


def settle(shop: Shop, parcel: FulfillmentOrder, at: datetime) -> None:
    """Its status follows from what remains, what holds it and when it is due."""
    before, parcel.updated_at = parcel.status, at
    if parcel.remaining == 0:
        parcel.status = "CLOSED"
        parcel.holds.clear()
    elif parcel.holds:
        parcel.status = "ON_HOLD"
    elif parcel.fulfill_at is not None and parcel.fulfill_at > at:
        parcel.status = "SCHEDULED"
    else:
        begun = any(line.remaining < line.total for line in parcel.lines)
        parcel.status = shop.switches.partly_fulfilled if begun else "OPEN"
    if parcel.status in OPEN and before not in OPEN:
        shop.ready.append(parcel.id)


def alive(shop: Shop, order: Order) -> list[FulfillmentOrder]:
    found = (shop.fulfillment_orders[number] for number in order.fulfillment_orders)
    return [parcel for parcel in found if parcel.status in ALIVE]


# ----------------------------------------------------------------------------------------------- taken off, added to


def take_off(shop: Shop, order: Order, line: Line, quantity: int, at: datetime, *, restock: bool) -> None:
    """Units that are not wanted any more leave the fulfilment orders, those that can be sent first. Closes what becomes empty."""
    line.cancelled += quantity
    if not order.routed:
        stock.release(shop, line, None, quantity, at, restock=restock)
        return
    for parcel in sorted(alive(shop, order), key=lambda one: (one.status not in OPEN, one.id)):
        for waiting in parcel.lines:
            units = min(quantity, waiting.remaining) if waiting.line_id == line.id else 0
            if units:
                waiting.remaining -= units
                waiting.total -= units
                quantity -= units
                stock.release(shop, line, waiting, units, at, restock=restock)
                settle(shop, parcel, at)
    assert quantity == 0, "fulfilment orders hold all that is unfulfilled"


def add_units(shop: Shop, order: Order, line: Line, quantity: int, at: datetime) -> None:
    """Someone added units to the order: they are claimed, and a new fulfilment order holds them."""
    stock.claim(shop, line, quantity, at, sold_at=at, beside=not order.routed)
    if order.routed:
        where = line.location_id or stock.shipping_location(shop, line.item_id, quantity)
        claimed = quantity if line.location_id is not None else 0  # nothing is claimed of what is not counted
        made = FulfillmentOrder(shop.new_id(), order.id, where, "SHIPPING" if line.requires_shipping else "NONE", [], at, at)
        made.lines = [FulfillmentOrderLine(shop.new_id(), line.id, quantity, quantity, claimed, line.location_id)]
        open_order(shop, order, made)


# --------------------------------------------------------------------------------------------------- held and released


def hold(shop: Shop, parcel: str, wanted: Input, at: datetime, *, by_app: bool = True) -> tuple[int, int | None, int]:
    """Nothing of it can be sent until the hold is released. Returns fulfilment order, the one with what was not held, and the hold."""
    found = _found(shop, parcel)
    if found.status not in ALIVE:
        raise RefusedError(Problem(("id",), "The fulfillment order can't be put on hold in its state.", "FULFILLMENT_ORDER_NOT_FOUND"))
    handle = wanted.get("handle") or ""
    mine = [one for one in found.holds if one.by_app == by_app]
    if any(one.handle == handle for one in mine):
        message = "The handle provided for the fulfillment hold is already in use by this app for another hold on this fulfillment order."
        raise RefusedError(Problem(("fulfillmentHold", "handle"), message, "DUPLICATE_FULFILLMENT_HOLD_HANDLE"))
    if len(mine) >= MOST_HOLDS:
        message = f"The maximum number of fulfillment holds for this fulfillment order has been reached for this app, {MOST_HOLDS}."
        raise RefusedError(Problem(("id",), message, "FULFILLMENT_ORDER_HOLD_LIMIT_REACHED"))
    where = ("fulfillmentHold", "fulfillmentOrderLineItems")
    units = _units(found, wanted.get("fulfillmentOrderLineItems") or [], where, "INVALID_LINE_ITEM_QUANTITY")
    if units and found.holds:
        raise RefusedError(Problem(where, "The fulfillment order is not in a splittable state.", "FULFILLMENT_ORDER_NOT_SPLITTABLE"))
    rest = _part(shop, found, units, at) if units else None
    placed = Hold(shop.new_id(), wanted["reason"], wanted.get("reasonNotes"), handle, by_app)
    found.holds.append(placed)
    settle(shop, found, at)
    emit(shop, "fulfillment_orders/placed_on_hold", (found.id, placed.id, rest.id if rest else 0), at)
    emit(shop, "fulfillment_holds/added", (found.id, placed.id), at)
    return found.id, rest.id if rest else None, placed.id


def release_hold(shop: Shop, parcel: str, holds: list[str] | None, at: datetime) -> int:
    """Those named; without a word, everybody's."""
    found = _found(shop, parcel)
    wanted = {number_of(one, "FulfillmentHold") for one in holds or ()}
    gone = [one for one in found.holds if not wanted or one.id in wanted]
    if not gone:
        raise RefusedError(Problem(("id",), "The fulfillment order is not on hold.", "FULFILLMENT_ORDER_NOT_FOUND"))
    for one in gone:
        emit(shop, "fulfillment_holds/released", (found.id, one.id), at)
        found.holds.remove(one)
    settle(shop, found, at)
    if not found.holds:
        emit(shop, "fulfillment_orders/hold_released", (found.id,), at)
    return found.id


# ------------------------------------------------------------------------------------------------- moved, split, merged


def move(shop: Shop, parcel: str, location: str, lines: list[Input] | None, at: datetime) -> tuple[int, int, int | None]:
    """What remains, or a part of it, is sent from elsewhere, by a new fulfilment order. Returns moved, original, remaining."""
    found, there = _found(shop, parcel), shop.locations.get(number_of(location, "Location"))
    if found.status not in ALIVE or found.holds:
        raise RefusedError(Problem(("id",), "The fulfillment order can't be moved in its state."))
    if there is None or not there.active or there.id == found.location_id:
        raise RefusedError(Problem(("newLocationId",), "The fulfillment order can't be moved there."))
    if found.status == "IN_PROGRESS" and lines is None and not any(waiting.remaining == waiting.total for waiting in found.lines):
        code = "CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS"
        raise RefusedError(Problem(("id",), "Cannot move a fulfillment order that has had progress reported.", code))
    order = shop.orders[found.order_id]
    by_id = {line.id: line for line in order.lines}
    units = _units(found, lines or [], ("fulfillmentOrderLineItems",), None) or _all(found)
    for waiting, _ in units:
        item = by_id[waiting.line_id].item_id
        if item in shop.items and shop.items[item].tracked and there.id not in shop.levels[item]:
            raise RefusedError(Problem(("newLocationId",), "The fulfillment order can't be moved: the items are not stocked there."))
    whole = sum(quantity for _, quantity in units) == found.remaining
    moved = _made_of(shop, found, units, at)
    moved.location_id = there.id
    for waiting in moved.lines:
        stock.shift(shop, by_id[waiting.line_id], waiting, there.id, at)
    settle(shop, found, at)
    if whole:
        found.moved_to = moved.id
    shop.ready.append(moved.id)
    emit(shop, "fulfillment_orders/moved", (found.id, moved.id, 0 if whole else found.id), at)
    return moved.id, found.id, None if whole else found.id


def split(shop: Shop, wanted: list[Input], at: datetime) -> list[tuple[int, int, int | None]]:
    """The lines that are named stay; the rest goes to a new fulfilment order. One that had begun is replaced by a new one as well."""
    chosen: list[tuple[FulfillmentOrder, Units]] = []
    for n, one in enumerate(wanted):
        where = ("fulfillmentOrderSplits", str(n), "fulfillmentOrderLineItems")
        found = _found(shop, one["fulfillmentOrderId"], where[:2])
        if found.status not in OPEN:
            raise RefusedError(Problem(where[:2], "The fulfillment order can't be split in its state.", "FULFILLMENT_ORDER_NOT_FOUND"))
        if not one["fulfillmentOrderLineItems"]:
            raise RefusedError(Problem(where, "No line items were given to split.", "NO_LINE_ITEMS_PROVIDED_TO_SPLIT"))
        units = _units(found, one["fulfillmentOrderLineItems"], where, "INVALID_LINE_ITEM_QUANTITY")
        if sum(quantity for _, quantity in units) >= found.remaining:
            raise RefusedError(Problem(where, "Something must remain.", "GREATER_THAN"))
        chosen.append((found, units))
    result: list[tuple[int, int, int | None]] = []
    for found, units in chosen:
        begun = any(waiting.remaining < waiting.total for waiting in found.lines)
        rest = _part(shop, found, units, at)
        shop.ready.append(rest.id)
        replacement = None
        if begun:
            replacement = _made_of(shop, found, _all(found), at)
            found.moved_to = replacement.id
            shop.ready.append(replacement.id)
        settle(shop, found, at)
        result.append((found.id, rest.id, replacement.id if replacement else None))
        emit(shop, "fulfillment_orders/split", (found.id, rest.id, replacement.id if replacement else 0), at)
    return result


def merge(shop: Shop, parcels: list[int], at: datetime) -> int:
    """What remains of the others goes into the first; all of one order and one location."""
    into, *others = [_found(shop, f"gid://shopify/FulfillmentOrder/{number}") for number in parcels]
    if any(one.status not in OPEN or (one.order_id, one.location_id) != (into.order_id, into.location_id) for one in [into, *others]):
        raise RefusedError(Problem(("fulfillmentOrderMergeInputs",), "The fulfillment orders can't be merged."))
    for other in others:
        for waiting in other.lines:
            if waiting.remaining:
                taken = FulfillmentOrderLine(
                    shop.new_id(), waiting.line_id, waiting.remaining, waiting.remaining, waiting.claimed, waiting.claimed_at
                )
                into.lines.append(taken)
                waiting.total -= waiting.remaining
                waiting.remaining = waiting.claimed = 0
        settle(shop, other, at)
        other.moved_to = into.id
    settle(shop, into, at)
    emit(shop, "fulfillment_orders/merged", (into.id, *(other.id for other in others)), at)
    return into.id


def schedule(shop: Shop, parcel: int, until: str | None, at: datetime) -> None:
    """Not to be sent before then, an ISO 8601 moment with its offset; None: now."""
    found = _found(shop, f"gid://shopify/FulfillmentOrder/{parcel}")
    if found.status not in ALIVE:
        raise RefusedError(Problem(("id",), "The fulfillment order can't be rescheduled in its state."))
    found.fulfill_at = datetime.fromisoformat(until).astimezone(UTC) if until else None
    settle(shop, found, at)
    if found.fulfill_at is not None and found.fulfill_at > at:
        shop.agenda.put(found.fulfill_at, "due", found.id)
    emit(shop, "fulfillment_orders/rescheduled", (found.id,), at)


def fall_due(shop: Shop, parcel: int, at: datetime) -> None:
    found = shop.fulfillment_orders.get(parcel)
    if found is not None and found.status == "SCHEDULED" and found.fulfill_at is not None and found.fulfill_at <= at:
        settle(shop, found, at)
        emit(shop, "fulfillment_orders/scheduled_fulfillment_order_ready", (found.id,), at)


# ------------------------------------------------------------------------------------------------------------ in common


def _found(shop: Shop, parcel: str, where: tuple[str, ...] = ("id",)) -> FulfillmentOrder:
    found = shop.fulfillment_orders.get(number_of(parcel, "FulfillmentOrder"))
    if found is None:
        raise RefusedError(Problem(where, "Fulfillment order not found.", "FULFILLMENT_ORDER_NOT_FOUND"))
    return found


def _all(parcel: FulfillmentOrder) -> Units:
    return [(waiting, waiting.remaining) for waiting in parcel.lines if waiting.remaining]


def _units(parcel: FulfillmentOrder, wanted: list[Input], where: tuple[str, ...], code: str | None) -> Units:
    lines = {waiting.id: waiting for waiting in parcel.lines}
    found: dict[int, int] = {}
    for one in wanted:
        waiting = lines.get(number_of(one["id"], "FulfillmentOrderLineItem"))
        if waiting is None or not 0 < one["quantity"] <= waiting.remaining or waiting.id in found:
            raise RefusedError(Problem(where, "Invalid fulfillment order line item quantity requested.", code))
        found[waiting.id] = one["quantity"]
    return [(lines[number], quantity) for number, quantity in found.items()]


def _part(shop: Shop, parcel: FulfillmentOrder, kept: Units, at: datetime) -> FulfillmentOrder:
    """A new fulfilment order with all that remains besides what is kept."""
    stays = {waiting.id: quantity for waiting, quantity in kept}
    rest = [(waiting, waiting.remaining - stays.get(waiting.id, 0)) for waiting in parcel.lines]
    made = _made_of(shop, parcel, [(waiting, quantity) for waiting, quantity in rest if quantity], at)
    settle(shop, made, at)
    return made


def _made_of(shop: Shop, parcel: FulfillmentOrder, units: Units, at: datetime) -> FulfillmentOrder:
    """A new fulfilment order that takes these units over, with what they claim."""
    made = FulfillmentOrder(shop.new_id(), parcel.order_id, parcel.location_id, parcel.method, [], at, at, fulfill_at=parcel.fulfill_at)
    for waiting, quantity in units:
        claimed = min(quantity, max(0, waiting.claimed - (waiting.remaining - quantity)))
        waiting.remaining -= quantity
        waiting.total -= quantity
        waiting.claimed -= claimed
        made.lines.append(FulfillmentOrderLine(shop.new_id(), waiting.line_id, quantity, quantity, claimed, waiting.claimed_at))
    shop.fulfillment_orders[made.id] = made
    shop.orders[parcel.order_id].fulfillment_orders.append(made.id)
    return made
