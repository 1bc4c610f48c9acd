"""Returns: asked for or made, approved or declined, their goods received and disposed of, their money given back, closed or cancelled.

A return speaks of fulfilled units. Its physical side is a reverse fulfilment order; what becomes of the goods is told by dispositions.
Making a return does not change its order: no orders/updated tells of it.
"""

from datetime import UTC, datetime
from typing import Any

from ops.sandbox.money import minor
from ops.sandbox.shopify import refunds, stock, totals
from ops.sandbox.shopify.refunds import Taken, Wish
from ops.sandbox.shopify.sales import Disposition, ReturnLine, ReverseLine
from ops.sandbox.shopify.state import (
    Fulfillment,
    FulfillmentLine,
    NotSimulatedError,
    Order,
    Problem,
    RefusedError,
    Return,
    ReverseDelivery,
    ReverseOrder,
    Shop,
    number_of,
)
from ops.sandbox.shopify.webhooks import emit

Input = dict[str, Any]

REASONS = (  # number, handle, name, and the older enum's word for it
    (1, "unknown", "Unknown", "UNKNOWN"),
    (2, "size-too-small", "Size was too small", "SIZE_TOO_SMALL"),
    (3, "size-too-large", "Size was too large", "SIZE_TOO_LARGE"),
    (4, "unwanted", "Customer changed their mind", "UNWANTED"),
    (5, "not-as-described", "Item not as described", "NOT_AS_DESCRIBED"),
    (6, "wrong-item", "Received the wrong item", "WRONG_ITEM"),
    (7, "defective", "Damaged or defective", "DEFECTIVE"),
    (8, "style", "Style", "STYLE"),
    (9, "color", "Color", "COLOR"),
    (10, "other", "Other", "OTHER"),
)


# ------------------------------------------------------------------------------------------------------ made and decided


def create_return(shop: Shop, wanted: Input, at: datetime, *, requested: bool = False, by_app: bool = True) -> int:
    """Open at once, or `requested` by a customer and to be approved. Returns its number."""
    order = shop.orders.get(number_of(wanted["orderId"], "Order"))
    if order is None:
        raise _refused(("returnInput", "orderId"), "Order not found.", "NOT_FOUND")
    if wanted.get("exchangeLineItems"):
        raise NotSimulatedError("returns with exchanges are not simulated")
    if not wanted["returnLineItems"]:
        raise _refused(("returnInput", "returnLineItems"), "Return needs at least one line item.", "BLANK")
    asked: list[tuple[Fulfillment, FulfillmentLine, Input, int]] = []
    for n, one in enumerate(wanted["returnLineItems"]):
        where = ("returnInput", "returnLineItems", str(n))
        parcel, shipped = _shipped(shop, order, number_of(one["fulfillmentLineItemId"], "FulfillmentLineItem"), where)
        again = sum(known["quantity"] for _, line, known, _ in asked if line is shipped)
        if not 0 < one["quantity"] + again <= returnable(order, parcel, shipped):
            raise _refused((*where, "quantity"), "Return line item quantity is beyond what can be returned.", "INVALID")
        asked.append((parcel, shipped, one, _reason(one, where)))
    began = wanted.get("requestedAt")
    created = min(at, datetime.fromisoformat(began).astimezone(UTC)) if began else at
    made = Return(shop.new_id(), order.id, f"{order.name}-R{len(order.returns) + 1}", "REQUESTED", created, by_app)
    for parcel, shipped, one, reason in asked:
        line = ReturnLine(shop.new_id(), shipped.line_id, parcel.id, shipped.id, one["quantity"], reason, one.get("returnReasonNote") or "")
        line.customer_note = one.get("customerNote")
        line.restocking_fee = (one.get("restockingFee") or {}).get("percentage")
        shipped.in_returns += line.quantity
        made.lines.append(line)
    shop.returns[made.id] = made
    order.returns.append(made.id)
    if requested:
        emit(shop, "returns/request", (made.id,), at)
    else:
        _open(shop, made, at)
    return made.id


def _shipped(shop: Shop, order: Order, number: int, where: tuple[str, ...]) -> tuple[Fulfillment, FulfillmentLine]:
    for parcel in (shop.fulfillments[one] for one in order.fulfillments):
        for line in parcel.lines:
            if line.id == number and parcel.status == "SUCCESS":
                return parcel, line
    raise _refused((*where, "fulfillmentLineItemId"), "Fulfillment line item could not be found on this order.", "NOT_FOUND")


def returnable(order: Order, parcel: Fulfillment, shipped: FulfillmentLine) -> int:
    """Units of it that no return asks back and no refund has taken back yet."""
    line = order.line(shipped.line_id)
    if line is None or parcel.status != "SUCCESS":
        return 0
    return max(0, min(shipped.quantity - shipped.in_returns, line.fulfilled - line.returned, line.current))


def _reason(one: Input, where: tuple[str, ...]) -> int:
    if one.get("returnReasonDefinitionId"):
        number = number_of(one["returnReasonDefinitionId"], "ReturnReasonDefinition")
        if all(number != known for known, *_ in REASONS):
            raise _refused((*where, "returnReasonDefinitionId"), "Return reason definition not found.", "NOT_FOUND")
        return number
    word = one.get("returnReason")
    if word is None:
        raise _refused((*where, "returnReasonDefinitionId"), "Return reason can't be blank.", "BLANK")
    if word == "OTHER" and not one.get("returnReasonNote"):
        raise _refused((*where, "returnReasonNote"), "Return reason note can't be blank.", "BLANK")
    return next(number for number, _, _, known in REASONS if known == word)


def _open(shop: Shop, found: Return, at: datetime) -> None:
    found.status, found.approved_at = "OPEN", at
    lines = [ReverseLine(shop.new_id(), line.id, line.quantity) for line in found.lines]
    back = ReverseOrder(shop.new_id(), found.id, lines)
    shop.reverse_orders[back.id] = back
    shop.reverse_lines |= {line.id: back.id for line in lines}
    found.reverse_orders.append(back.id)
    emit(shop, "returns/approve", (found.id,), at)


def approve(shop: Shop, number: str, at: datetime) -> int:
    found = _found(shop, number, ("input", "id"), "REQUESTED")
    _open(shop, found, at)
    return found.id


def decline(shop: Shop, number: str, reason: str, note: str | None, at: datetime) -> int:
    found = _found(shop, number, ("input", "id"), "REQUESTED")
    found.status, found.decline_reason, found.decline_note = "DECLINED", reason, note
    _let_go(shop, found)
    emit(shop, "returns/decline", (found.id,), at)
    return found.id


# --------------------------------------------------------------------------------------------------- goods on their way


def dispose(shop: Shop, wanted: list[Input], at: datetime) -> list[int]:
    """What becomes of goods that arrived. All or none. Returns the lines of reverse orders."""
    chosen = [_disposable(shop, one, ("dispositionInputs", str(n))) for n, one in enumerate(wanted)]
    asked: dict[int, int] = {}
    for n, ((_, line), one) in enumerate(zip(chosen, wanted, strict=True)):
        asked[line.id] = asked.get(line.id, 0) + one["quantity"]
        left = line.total - sum(known.quantity for known in line.dispositions)
        if one["quantity"] < 1 or asked[line.id] > left:
            where = ("dispositionInputs", str(n), "quantity")
            raise _refused(where, "Disposition quantity is beyond what is on its way back.", "INVALID")
    told: dict[int, list[int]] = {}
    for (back, line), one in zip(chosen, wanted, strict=True):
        made = _dispose(shop, back, line, one, at)
        told.setdefault(back.id, []).append(made)
    for number, dispositions in told.items():
        back = shop.reverse_orders[number]
        if all(sum(known.quantity for known in line.dispositions) == line.total for line in back.lines):
            back.status = "CLOSED"
        emit(shop, "reverse_fulfillment_orders/dispose", (number, *dispositions), at)
    return [line.id for _, line in chosen]


def _disposable(shop: Shop, one: Input, where: tuple[str, ...]) -> tuple[ReverseOrder, ReverseLine]:
    number = number_of(one["reverseFulfillmentOrderLineItemId"], "ReverseFulfillmentOrderLineItem")
    if one["dispositionType"] == "RESTOCKED" and number_of(one.get("locationId") or "", "Location") not in shop.locations:
        raise _refused((*where, "locationId"), "Location is needed for restocked items.", "BLANK")
    if number not in shop.reverse_lines:
        raise _refused((*where, "reverseFulfillmentOrderLineItemId"), "Reverse fulfillment order line item not found.", "NOT_FOUND")
    back = shop.reverse_orders[shop.reverse_lines[number]]
    if back.status != "OPEN":
        raise _refused(where, "Reverse fulfillment order is not open.", "INVALID_STATE")
    return back, next(line for line in back.lines if line.id == number)


def _dispose(shop: Shop, back: ReverseOrder, line: ReverseLine, wanted: Input, at: datetime) -> int:
    kind, quantity = wanted["dispositionType"], wanted["quantity"]
    location = number_of(wanted["locationId"], "Location") if wanted.get("locationId") else None
    made = Disposition(shop.new_id(), kind, quantity, location, at)
    line.dispositions.append(made)
    if kind == "RESTOCKED":
        assert location is not None
        found = shop.returns[back.return_id]
        asked = next(one for one in found.lines if one.id == line.return_line_id)
        sold = shop.orders[found.order_id].line(asked.line_id)
        assert sold is not None
        stock.take_back(shop, sold, quantity, location, at)
    return made.id


def deliver(
    shop: Shop, reverse_order: str, lines: list[Input], at: datetime, *, tracking: Input | None = None, label: Input | None = None
) -> int:
    """A parcel on its way back is known. Returns the reverse delivery."""
    back = shop.reverse_orders.get(number_of(reverse_order, "ReverseFulfillmentOrder"))
    if back is None or back.status != "OPEN":
        raise _refused(("reverseFulfillmentOrderId",), "Reverse fulfillment order not found.", "NOT_FOUND")
    known = {line.id: line.total for line in back.lines}
    chosen = [(number_of(one["reverseFulfillmentOrderLineItemId"], "ReverseFulfillmentOrderLineItem"), one["quantity"]) for one in lines]
    if any(not 0 < quantity <= known.get(number, 0) for number, quantity in chosen):
        raise _refused(("reverseDeliveryLineItems",), "Quantity is beyond what is on its way back.", "INVALID")
    made = ReverseDelivery(shop.new_id(), back.id, chosen or list(known.items()))
    made.number, made.url = (tracking or {}).get("number"), (tracking or {}).get("url")
    made.label = (label or {}).get("fileUrl")
    shop.reverse_deliveries[made.id] = made
    emit(shop, "reverse_deliveries/attach_deliverable", (made.id,), at)
    return made.id


# ---------------------------------------------------------------------------------------------------- processed and over


def process(shop: Shop, wanted: Input, at: datetime, *, by_app: bool = True) -> int:
    """Goods are inspected, disposed of, and paid back where a transfer is asked for. Returns the return's number."""
    found = _found(shop, wanted["returnId"], ("input", "returnId"), "OPEN")
    if wanted.get("exchangeLineItems") or wanted.get("refundDuties") or wanted.get("tipLineId"):
        raise NotSimulatedError("returns processed with exchanges, duties or tips are not simulated")
    order = shop.orders[found.order_id]
    lines = {line.id: line for line in found.lines}
    asked: list[tuple[ReturnLine, Input]] = []
    for n, one in enumerate(wanted.get("returnLineItems") or []):
        line = lines.get(number_of(one["id"], "ReturnLineItem"))
        where = ("input", "returnLineItems", str(n))
        if line is None:
            raise _refused((*where, "id"), "Return line item not found.", "NOT_FOUND")
        if not 0 < one["quantity"] <= line.quantity - line.processed:
            raise _refused((*where, "quantity"), "Quantity is beyond what can be processed.", "INVALID")
        if sum(disposed["quantity"] for disposed in one.get("dispositions") or []) > one["quantity"]:
            raise _refused((*where, "dispositions"), "More is disposed of than is processed.", "INVALID")
        asked.append((line, one))
    wish = _refund(shop, order, found, asked, wanted, by_app=by_app)
    dispositions = [disposed for _, one in asked for disposed in one.get("dispositions") or []]
    if dispositions:
        dispose(shop, dispositions, at)  # refuses all of it, or nothing
    for line, one in asked:
        line.processed += one["quantity"]
        if wish is None:
            _keep_count(order, line, one["quantity"])
    if wish is not None:
        for line, one in asked:
            line.refunded += one["quantity"]
        found.refunds.append(refunds.carry_out(shop, wish, at))
    emit(shop, "returns/process", (found.id,), at)
    if shop.switches.return_closes == "by_itself" and all(line.processed == line.quantity for line in found.lines):
        _close(shop, found, at)
    return found.id


def _refund(shop: Shop, order: Order, found: Return, asked: list[tuple[ReturnLine, Input]], wanted: Input, *, by_app: bool) -> Wish | None:
    """What is to be paid back for what is processed; None where no money was asked for. Checked, so that it cannot fail later."""
    asked_for = ((wanted.get("financialTransfer") or {}).get("issueRefund") or {}).get("orderTransactions")
    if asked_for is None:
        return None
    wish = Wish(order, by_app=by_app, return_id=found.id, moves_stock=False, note=wanted.get("note"))
    for line, one in asked:
        sold = order.line(line.line_id)
        assert sold is not None
        place = next((known["locationId"] for known in one.get("dispositions") or [] if known.get("locationId")), None)
        location = number_of(place, "Location") if place else None
        restocked = sum(known["quantity"] for known in one.get("dispositions") or [] if known["dispositionType"] == "RESTOCKED")
        rest = one["quantity"] - restocked
        if restocked:
            wish.lines.append(Taken(sold, restocked, "RETURN", location))
        if rest:
            wish.lines.append(Taken(sold, rest, "NO_RESTOCK", None))
    shipping = wanted.get("refundShipping") or {}
    left = totals.shipping(order) - totals.refunded_shipping(shop, order)
    if shipping.get("fullRefund"):
        wish.shipping = left
    elif amount := shipping.get("shippingRefundAmount"):
        wish.shipping = totals.part(left, minor(amount["amount"], order.presentment_currency), left.presentment)
    for n, one in enumerate(asked_for):
        paid = next((known for known in order.transactions if known.id == number_of(one["parentId"], "OrderTransaction")), None)
        if paid is None:
            where = ("input", "financialTransfer", "issueRefund", "orderTransactions", str(n), "parentId")
            raise _refused(where, "Parent transaction not found.", "NOT_FOUND")
        wish.money.append((paid, refunds.in_both(paid, minor(one["transactionAmount"]["amount"], order.presentment_currency))))
    try:
        refunds.check(shop, wish, over=bool(wanted["financialTransfer"]["issueRefund"].get("allowOverRefunding")))
    except RefusedError as refused:
        raise RefusedError(*(Problem(("input", "financialTransfer"), one.message, "INVALID") for one in refused.problems)) from None
    return wish


def _keep_count(order: Order, line: ReturnLine, quantity: int) -> None:
    """Goods that came back without money: they can neither be returned again nor be sent back as a parcel."""
    sold = order.line(line.line_id)
    assert sold is not None
    sold.returned = min(sold.fulfilled, sold.returned + quantity)


def close(shop: Shop, number: str, at: datetime) -> int:
    found = _found(shop, number, ("id",), "OPEN")
    _close(shop, found, at)
    return found.id


def _close(shop: Shop, found: Return, at: datetime) -> None:
    found.status, found.closed_at = "CLOSED", at
    emit(shop, "returns/close", (found.id,), at)


def cancel(shop: Shop, number: str, at: datetime) -> int:
    """Only while nothing of it was processed, disposed of or paid back."""
    found = _found(shop, number, ("id",), "OPEN", "REQUESTED")
    disposed = any(line.dispositions for back in found.reverse_orders for line in shop.reverse_orders[back].lines)
    if disposed or any(line.processed or line.refunded for line in found.lines):
        raise _refused(("id",), "Return can't be cancelled: items of it were processed.", "INVALID_STATE")
    found.status = "CANCELED"
    for back in found.reverse_orders:
        shop.reverse_orders[back].status = "CANCELED"
    _let_go(shop, found)
    emit(shop, "returns/cancel", (found.id,), at)
    return found.id


def reopen(shop: Shop, number: str, at: datetime) -> int:
    found = _found(shop, number, ("id",), "CLOSED")
    found.status, found.closed_at = "OPEN", None
    emit(shop, "returns/reopen", (found.id,), at)
    return found.id


def remove_units(shop: Shop, number: str, line: int, quantity: int, at: datetime) -> int:
    """Fewer come back than was said: only units that nothing has happened to yet."""
    found = _found(shop, number, ("id",), "OPEN")
    asked = next((one for one in found.lines if one.id == line), None)
    back = next((one for number in found.reverse_orders for one in shop.reverse_orders[number].lines if one.return_line_id == line), None)
    if (
        asked is None
        or back is None
        or not 0 < quantity <= asked.quantity - asked.processed - sum(one.quantity for one in back.dispositions)
    ):
        raise _refused(("returnLineItems",), "Not so many can be taken off the return.", "INVALID")
    asked.quantity -= quantity
    back.total -= quantity
    _shipped_line(shop, asked).in_returns -= quantity
    emit(shop, "returns/update", (found.id, line, quantity), at)
    return found.id


def _let_go(shop: Shop, found: Return) -> None:
    for line in found.lines:
        _shipped_line(shop, line).in_returns -= line.quantity


def _shipped_line(shop: Shop, line: ReturnLine) -> FulfillmentLine:
    return next(one for one in shop.fulfillments[line.fulfillment_id].lines if one.id == line.fulfillment_line_id)


def _found(shop: Shop, number: str, where: tuple[str, ...], *states: str) -> Return:
    found = shop.returns.get(number_of(number, "Return"))
    if found is None:
        raise _refused(where, "Return not found.", "NOT_FOUND")
    if found.status not in states:
        raise _refused(where, f"Return status is {found.status}: it must be {' or '.join(states)}.", "INVALID_STATE")
    return found


def _refused(where: tuple[str, ...], message: str, code: str) -> RefusedError:
    return RefusedError(Problem(where, message, code))
