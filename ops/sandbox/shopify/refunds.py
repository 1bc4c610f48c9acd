"""Refunds: units taken back from an order, money given back for them, and what bridges the two when they differ.

A refund record is no proof of money: its transactions are. Nothing of it ever changes, save that pending money moves or does not.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

from ops.sandbox.money import minor
from ops.sandbox.shopify import payments, routing, stock, totals
from ops.sandbox.shopify.keys import once
from ops.sandbox.shopify.sales import OrderAdjustment, RefundLine
from ops.sandbox.shopify.state import NOTHING, Bag, Line, Order, Problem, Refund, RefusedError, Shop, Transaction, number_of
from ops.sandbox.shopify.webhooks import emit, touch

Input = dict[str, Any]


class Taken(Struct, frozen=True):
    """Units of a line that a refund tells of."""

    line: Line
    quantity: int
    restock_type: str
    location_id: int | None


class Wish(Struct):
    """What a refund is to be, once everything about it was found right."""

    order: Order
    lines: list[Taken] = []
    shipping: Bag = NOTHING
    money: list[tuple[Transaction, Bag]] = []  # payment, and how much of it
    note: str | None = None
    processed_at: datetime | None = None
    discrepancy: str | None = None
    by_app: bool = True
    return_id: int | None = None
    moves_stock: bool = True  # False: dispositions of a return have done it


# ---------------------------------------------------------------------------------------------------------- the app's words


def create_refund(shop: Shop, wanted: Input, key: str | None, at: datetime) -> int:
    """refundCreate. Returns the refund's number."""
    return once(shop, "refundCreate", wanted, key=key, at=at, do=lambda: carry_out(shop, _wish(shop, wanted), at))


def _wish(shop: Shop, wanted: Input) -> Wish:
    order = shop.orders.get(number_of(wanted["orderId"], "Order"))
    if order is None:
        raise _refused("orderId", "Order does not exist.")
    if wanted.get("refundMethods") or wanted.get("refundDuties"):
        raise _refused("refundMethods", "Neither store credit nor duties can be refunded on this order.")
    foreign = order.presentment_currency != order.currency
    if wanted.get("currency") not in (None, order.presentment_currency) or (foreign and not wanted.get("currency")):
        raise _refused("currency", f"Currency must be the presentment currency, {order.presentment_currency}.")
    processed = wanted.get("processedAt")
    wish = Wish(
        order,
        lines=[taken(order, one) for one in wanted.get("refundLineItems") or []],
        shipping=_shipping(shop, order, wanted.get("shipping") or {}),
        note=wanted.get("note"),
        processed_at=datetime.fromisoformat(processed).astimezone(UTC) if processed else None,
        discrepancy=wanted.get("discrepancyReason"),
    )
    for n, one in enumerate(wanted.get("transactions") or []):
        if one["kind"] != "REFUND" or number_of(one["orderId"], "Order") != order.id:
            raise _refused(("transactions", str(n)), "A refund's transactions must be of kind REFUND and of its order.")
        paid = _payment(order, one)
        if paid is None:
            raise _refused(("transactions", str(n), "parentId"), "Parent transaction is invalid.")
        wish.money.append((paid, in_both(paid, minor(one["amount"], order.presentment_currency))))
    if not (wish.lines or wish.money or wish.shipping.shop):
        raise _refused("refundLineItems", "A refund needs line items, shipping or transactions.")
    check(shop, wish, over=bool(wanted.get("allowOverRefunding")))
    return wish


def _refused(where: str | tuple[str, ...], message: str) -> RefusedError:
    return RefusedError(Problem((where,) if isinstance(where, str) else where, message))


def taken(order: Order, one: Input) -> Taken:
    line = order.line(number_of(one["lineItemId"], "LineItem"))
    if line is None:
        raise _refused("refundLineItems", "Line item does not exist on this order.")
    place = number_of(one["locationId"], "Location") if one.get("locationId") else None
    return Taken(line, one["quantity"], one.get("restockType") or "NO_RESTOCK", place)


def _shipping(shop: Shop, order: Order, wanted: Input) -> Bag:
    left = totals.shipping(order) - totals.refunded_shipping(shop, order)
    if wanted.get("fullRefund"):
        return left
    asked = minor(wanted["amount"], order.presentment_currency) if wanted.get("amount") else 0
    if asked < 0 or asked > left.presentment:
        raise _refused(("shipping", "amount"), "Shipping can't be refunded beyond what was paid for it.")
    return totals.part(left, asked, left.presentment)


def _payment(order: Order, one: Input) -> Transaction | None:
    """The payment that is named; without a name, the first of that gateway with something left."""
    parent = number_of(one["parentId"], "OrderTransaction") if one.get("parentId") else None
    for paid in order.transactions:
        if (
            paid.kind in totals.PAID
            and paid.status == "SUCCESS"
            and (paid.id == parent if parent is not None else paid.gateway == one["gateway"])
        ):
            return paid
    return None


def in_both(paid: Transaction, amount: int) -> Bag:
    """An amount in the buyer's currency, at the rate at which it was paid."""
    return Bag(totals.part(paid.amount, amount, paid.amount.presentment).shop, amount)


# ------------------------------------------------------------------------------------------------------- what is refused


def check(shop: Shop, wish: Wish, *, over: bool = False) -> None:
    """Raises RefusedError where the refund takes back more than there is."""
    order = wish.order
    by_line: dict[int, dict[str, int]] = {}
    for one in wish.lines:
        seen = by_line.setdefault(one.line.id, {"CANCEL": 0, "RETURN": 0, "NO_RESTOCK": 0})
        if one.quantity < 1 or one.restock_type not in seen:
            raise _refused("refundLineItems", "Quantity must be greater than 0, and the restock type one that can be written.")
        seen[one.restock_type] += one.quantity
        if one.restock_type != "NO_RESTOCK" and one.location_id not in shop.locations:
            raise _refused("refundLineItems", "A location is needed where items are restocked.")
    for number, seen in by_line.items():
        line = order.line(number)
        assert line is not None
        if sum(seen.values()) > line.current:
            raise _refused("refundLineItems", "Refund quantity exceeds the quantity that can be refunded.")
        if seen["CANCEL"] > line.unfulfilled or seen["RETURN"] > line.fulfilled - line.returned:
            raise _refused("refundLineItems", "Not so many of it can be cancelled or returned.")
    asked: dict[int, int] = {}
    for paid, amount in wish.money:
        asked[paid.id] = asked.get(paid.id, 0) + amount.presentment
        if amount.presentment <= 0:
            raise _refused("transactions", "Transaction amount must be greater than 0.")
        if not over and asked[paid.id] > totals.refundable(order, paid).presentment:
            raise _refused("transactions", "Refund amount exceeds what is left of the payment.")
        if shop.switches.manual_refunds == "refused" and paid.is_manual:
            raise _refused("transactions", f"The gateway {paid.gateway} does not support refunds.")


# ---------------------------------------------------------------------------------------------------------- carrying out


def carry_out(shop: Shop, wish: Wish, at: datetime) -> int:
    """Units, money, the bridge between them, and everybody is told. Returns the refund's number."""
    order = wish.order
    processed = min(at, wish.processed_at or at)
    made = Refund(
        shop.new_id(), order.id, at, processed, at, wish.note, wish.by_app, discrepancy=wish.discrepancy, return_id=wish.return_id
    )
    for one in wish.lines:
        made.lines.append(_take(shop, order, one, at, moves_stock=wish.moves_stock))
    if wish.shipping.shop:
        whole = totals.shipping(order)
        carried = totals.summed(totals.taxed(line.taxes) for line in order.shipping_lines)
        made.shipping_id, made.shipping = shop.new_id(), wish.shipping
        made.shipping_tax = totals.part(carried, wish.shipping.shop, whole.shop)
    shop.refunds[made.id] = made
    order.refunds.append(made.id)
    for paid, amount in wish.money:
        money = payments.give_back(shop, order, paid, amount, at)
        money.refund_id = made.id
        made.transactions.append(money.id)
        payments.tell(shop, order, money, at)
    bridge(shop, order, made)
    order.financial_status = totals.financial_status(order) if wish.money else order.financial_status
    emit(shop, "refunds/create", (made.id,), at)
    touch(shop, order, at)
    return made.id


def _take(shop: Shop, order: Order, one: Taken, at: datetime, *, moves_stock: bool) -> RefundLine:
    line = one.line
    subtotal = totals.part(totals.line_total(line), line.refunded + one.quantity, line.quantity)
    subtotal -= totals.part(totals.line_total(line), line.refunded, line.quantity)
    tax = totals.part(totals.tax_of(order, line), line.refunded + one.quantity, line.quantity)
    tax -= totals.part(totals.tax_of(order, line), line.refunded, line.quantity)
    line.refunded += one.quantity
    shown, restocked = one.restock_type, one.restock_type != "NO_RESTOCK"
    if one.restock_type == "CANCEL" and not moves_stock:
        shown, restocked = "NO_RESTOCK", False
    if one.restock_type == "CANCEL":
        routing.take_off(shop, order, line, one.quantity, at, restock=moves_stock)
    elif one.restock_type == "RETURN":
        line.returned += one.quantity
        if moves_stock:
            assert one.location_id is not None
            stock.take_back(shop, line, one.quantity, one.location_id, at)
    return RefundLine(shop.new_id(), line.id, one.quantity, shown, restocked, one.location_id if restocked else None, subtotal, tax)


def worth(order: Order, refund: Refund) -> Bag:
    """What the lines and the shipping of a refund come to."""
    found = totals.summed(line.subtotal for line in refund.lines) + refund.shipping
    if order.taxes_included:
        return found
    return found + totals.summed(line.tax for line in refund.lines) + refund.shipping_tax


def bridge(shop: Shop, order: Order, refund: Refund) -> None:
    """One adjustment for the difference between lines and money that has moved, if there is one."""
    money = [one for one in order.transactions if one.refund_id == refund.id]
    moved = totals.summed(one.amount for one in money if one.status == "SUCCESS")
    gap = worth(order, refund) - moved
    number = refund.adjustments[0].id if refund.adjustments else 0
    refund.adjustments = []
    if gap != NOTHING:
        pending = any(one.status == "PENDING" for one in money)
        given = refund.discrepancy if refund.discrepancy in ("CUSTOMER", "DAMAGE", "RESTOCK") else None
        reason = "PENDING_REFUND_DISCREPANCY" if pending else given or "REFUND_DISCREPANCY"
        refund.adjustments.append(OrderAdjustment(number or shop.new_id(), reason, gap))


def settle(shop: Shop, order: Order, number: int, status: Literal["SUCCESS", "FAILURE"], at: datetime) -> None:
    """Money that was pending has moved, or has not."""
    money = next(one for one in order.transactions if one.id == number)
    payments.settle(shop, order, money, status, at)
    if money.refund_id is not None:
        refund = shop.refunds[money.refund_id]
        refund.updated_at = at
        bridge(shop, order, refund)


# ------------------------------------------------------------------------------------------------------------ suggestions


class Suggestion(Struct):
    lines: list[RefundLine]
    shipping: Bag
    shipping_tax: Bag
    most_shipping: Bag
    subtotal: Bag
    tax: Bag
    amount: Bag
    most: Bag
    money: list[tuple[Transaction, Bag]]


def suggest(shop: Shop, order: Order, lines: list[Taken], shipping: Bag) -> Suggestion:
    """What a refund of these would come to, and from which payments it can be given; never more than is left of them."""
    made: list[RefundLine] = []
    for one in lines:
        line, done = one.line, one.line.refunded
        whole, tax = totals.line_total(line), totals.tax_of(order, line)
        subtotal = totals.part(whole, done + one.quantity, line.quantity) - totals.part(whole, done, line.quantity)
        taxes = totals.part(tax, done + one.quantity, line.quantity) - totals.part(tax, done, line.quantity)
        restocks = one.restock_type in ("CANCEL", "RETURN")
        made.append(RefundLine(0, line.id, one.quantity, one.restock_type, restocks, one.location_id, subtotal, taxes))
    all_shipping = totals.shipping(order)
    carried = totals.summed(totals.taxed(line.taxes) for line in order.shipping_lines)
    shipping_tax = totals.part(carried, shipping.shop, all_shipping.shop)
    subtotal = totals.summed(line.subtotal for line in made)
    tax = totals.summed(line.tax for line in made) + shipping_tax
    wanted = subtotal + shipping + (NOTHING if order.taxes_included else tax)
    payable = [
        (paid, totals.refundable(order, paid)) for paid in order.transactions if paid.kind in totals.PAID and paid.status == "SUCCESS"
    ]
    most = totals.summed(left for _, left in payable)
    left_to_give = min(wanted.presentment, most.presentment)
    money: list[tuple[Transaction, Bag]] = []
    for paid, left in payable:
        share = min(left.presentment, left_to_give)
        if share > 0:
            money.append((paid, in_both(paid, share)))
            left_to_give -= share
    return Suggestion(
        lines=made,
        shipping=shipping,
        shipping_tax=shipping_tax,
        most_shipping=all_shipping - totals.refunded_shipping(shop, order),
        subtotal=subtotal,
        tax=tax,
        amount=totals.summed(amount for _, amount in money),
        most=most,
        money=money,
    )
