"""What people do in the merchant's admin: cancel, pay back, take returns, hold, move and split. They name things by number, and the
admin fills in the rest: amounts as they are suggested, the whole of what remains."""

from datetime import datetime
from typing import Any

from ops.sandbox.money import rest_text
from ops.sandbox.shopify import cancellation, fulfilment, refunds, returns, routing, totals
from ops.sandbox.shopify.refunds import Taken, Wish
from ops.sandbox.shopify.state import NOTHING, Order, Problem, RefusedError, Shop, gid


def cancel(shop: Shop, order: int, at: datetime, *, reason: str = "OTHER", restock: bool = True, refund: bool = True) -> int:
    """Returns the job's number."""
    wanted = {"reason": reason, "restock": restock, "refundMethod": {"originalPaymentMethodsRefund": refund}}
    return cancellation.cancel_order(shop, gid("Order", order), wanted, at, by_app=False)


def refund(
    shop: Shop,
    order: int,
    at: datetime,
    *,
    lines: list[tuple[int, int]] | None = None,
    restock: bool = True,
    amount: int | None = None,
    shipping: int = 0,
    note: str | None = None,
    location: int | None = None,
) -> int:
    """Units (line, quantity), shipping and money, in minor units of the buyer's currency. Returns the refund's number.

    Without an amount it is the suggested one. Only an amount: a refund of money alone, 0 with lines: of goods alone. Restocked, units
    that have not left come off the order, and those that have come back to the shelf.
    """
    found = _order(shop, order)
    taken: list[Taken] = []
    for number, quantity in lines or []:
        line = found.line(number)
        if line is None or quantity < 1:
            raise RefusedError(Problem(("lines",), "there is no such line"))
        place = location or line.location_id or next(iter(shop.locations))
        waiting = min(quantity, line.unfulfilled) if restock else 0
        sent = min(quantity - waiting, line.fulfilled - line.returned) if restock else 0
        for units, kind in ((waiting, "CANCEL"), (sent, "RETURN"), (quantity - waiting - sent, "NO_RESTOCK")):
            if units:
                taken.append(Taken(line, units, kind, place if kind != "NO_RESTOCK" else None))
    left = totals.shipping(found) - totals.refunded_shipping(shop, found)
    wish = Wish(
        found, lines=taken, shipping=totals.part(left, shipping, left.presentment) if shipping else NOTHING, note=note, by_app=False
    )
    if shipping > left.presentment:
        raise RefusedError(Problem(("shipping",), "so much was not paid for shipping"))
    refunds.check(shop, wish)
    suggestion = refunds.suggest(shop, found, taken, wish.shipping)
    if amount is None:
        wish.money = suggestion.money
    else:
        wish.money = _shared(shop, found, amount)
    if not (wish.lines or wish.money or wish.shipping.shop):
        raise RefusedError(Problem(("amount",), "there is nothing to refund"))
    refunds.check(shop, wish)
    return refunds.carry_out(shop, wish, at)


def _shared(shop: Shop, order: Order, amount: int) -> list[tuple[Any, Any]]:
    """An amount, taken from one payment after the other."""
    money = []
    for paid in order.transactions:
        left = totals.refundable(order, paid).presentment if paid.kind in totals.PAID and paid.status == "SUCCESS" else 0
        if (share := min(left, amount)) > 0:
            money.append((paid, refunds.in_both(paid, share)))
            amount -= share
    if amount > 0:
        raise RefusedError(Problem(("amount",), "so much was not paid"))
    return money


def take_return(
    shop: Shop, order: int, at: datetime, *, lines: list[tuple[int, int]], reason: int = 1, note: str = "", requested: bool = False
) -> int:
    """Units (line, quantity) are to come back; `requested` by the buyer, it waits for approval. Returns the return's number."""
    found = _order(shop, order)
    asked = []
    for number, quantity in lines:
        left = quantity
        for parcel in (shop.fulfillments[one] for one in found.fulfillments):
            for shipped in parcel.lines:
                units = min(left, returns.returnable(found, parcel, shipped)) if shipped.line_id == number else 0
                if units:
                    left -= units
                    asked.append({"fulfillmentLineItemId": gid("FulfillmentLineItem", shipped.id), "quantity": units})
        if left:
            raise RefusedError(Problem(("lines",), "not so many of that line can come back"))
    wanted = [one | {"returnReasonDefinitionId": gid("ReturnReasonDefinition", reason), "returnReasonNote": note} for one in asked]
    return returns.create_return(shop, {"orderId": gid("Order", order), "returnLineItems": wanted}, at, requested=requested, by_app=False)


def process_return(
    shop: Shop,
    number: int,
    at: datetime,
    *,
    lines: list[tuple[int, int]] | None = None,
    disposition: str = "RESTOCKED",
    refund: bool = True,
    location: int | None = None,
) -> int:
    """Goods have come: return lines and quantities (None: all that is left), and what becomes of them; their money goes back with them."""
    found = shop.returns.get(number)
    if found is None:
        raise RefusedError(Problem(("return",), "there is no such return"))
    order = shop.orders[found.order_id]
    place = gid("Location", location or next(iter(shop.locations)))
    backs = {line.return_line_id: line for back in found.reverse_orders for line in shop.reverse_orders[back].lines}
    chosen = [(line, quantity) for line in found.lines if (quantity := dict(lines or []).get(line.id, 0))]
    if lines is None:
        chosen = [(line, line.quantity - line.processed) for line in found.lines if line.quantity > line.processed]
    entries, taken = [], []
    for line, quantity in chosen:
        back = backs.get(line.id)
        open_units = back.total - sum(one.quantity for one in back.dispositions) if back else 0
        disposed = min(quantity, open_units)
        entry: dict[str, Any] = {"id": gid("ReturnLineItem", line.id), "quantity": quantity, "dispositions": []}
        if back and disposed:
            reverse = gid("ReverseFulfillmentOrderLineItem", back.id)
            kind = {"reverseFulfillmentOrderLineItemId": reverse, "quantity": disposed, "dispositionType": disposition}
            entry["dispositions"] = [kind | ({"locationId": place} if disposition == "RESTOCKED" else {})]
        entries.append(entry)
        sold = order.line(line.line_id)
        assert sold is not None
        taken.append(Taken(sold, quantity, "NO_RESTOCK", None))
    wanted: dict[str, Any] = {"returnId": gid("Return", number), "returnLineItems": entries}
    if refund:
        money = refunds.suggest(shop, order, taken, NOTHING).money
        currency = order.presentment_currency
        scaled = [(paid.id, rest_text(amount.presentment, currency)) for paid, amount in money]
        wanted["financialTransfer"] = {
            "issueRefund": {
                "orderTransactions": [
                    {"parentId": gid("OrderTransaction", paid), "transactionAmount": {"amount": text, "currencyCode": currency}}
                    for paid, text in scaled
                ]
            }
        }
    return returns.process(shop, wanted, at, by_app=False)


def hold(
    shop: Shop, parcel: int, at: datetime, *, reason: str = "OTHER", notes: str | None = None, lines: list[tuple[int, int]] | None = None
) -> int:
    """A fulfilment order, or units of it, must wait. Returns the hold's number."""
    wanted = {"reason": reason, "reasonNotes": notes, "handle": f"by-hand-{shop.last_id}", "fulfillmentOrderLineItems": _units(lines)}
    return routing.hold(shop, gid("FulfillmentOrder", parcel), wanted, at, by_app=False)[2]


def release(shop: Shop, parcel: int, at: datetime) -> int:
    """Everybody's holds, the app's too."""
    return routing.release_hold(shop, gid("FulfillmentOrder", parcel), None, at)


def move(shop: Shop, parcel: int, location: int, at: datetime, *, lines: list[tuple[int, int]] | None = None) -> int:
    """Returns the fulfilment order that was made of what moved."""
    return routing.move(shop, gid("FulfillmentOrder", parcel), gid("Location", location), _units(lines) or None, at)[0]


def split(shop: Shop, parcel: int, at: datetime, *, lines: list[tuple[int, int]]) -> int:
    """Returns the fulfilment order of the rest."""
    [made] = routing.split(shop, [{"fulfillmentOrderId": gid("FulfillmentOrder", parcel), "fulfillmentOrderLineItems": _units(lines)}], at)
    return made[1]


def fulfil(
    shop: Shop, parcel: int, at: datetime, *, lines: list[tuple[int, int]] | None = None, tracking: dict[str, Any] | None = None
) -> int:
    """A parcel leaves: units of a fulfilment order, or all that remains of it. Returns the fulfilment's number."""
    chosen: dict[str, Any] = {"fulfillmentOrderId": gid("FulfillmentOrder", parcel)}
    if lines is not None:
        chosen["fulfillmentOrderLineItems"] = _units(lines)
    return fulfilment.create_fulfillment(shop, {"lineItemsByFulfillmentOrder": [chosen], "trackingInfo": tracking or {}}, at)


def _units(lines: list[tuple[int, int]] | None) -> list[dict[str, Any]]:
    return [{"id": gid("FulfillmentOrderLineItem", number), "quantity": quantity} for number, quantity in lines or []]


def _order(shop: Shop, order: int) -> Order:
    found = shop.orders.get(order)
    if found is None:
        raise RefusedError(Problem(("order",), "there is no such order"))
    return found
