"""What an order comes to: nothing here is stored, as Shopify computes every total from unit prices too."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from ops.sandbox.shopify.sales import NOTHING, Bag, Line, Order, ShippingLine, TaxLine, Transaction
from ops.sandbox.shopify.state import Shop

PAID = ("SALE", "CAPTURE")


def summed(bags: Iterable[Bag]) -> Bag:
    return sum(bags, NOTHING)


def part(amount: Bag, units: int, of: int) -> Bag:
    """The share of so many units in an amount for all of them; shares of parts that follow each other add up to the whole."""
    return Bag(_rounded(amount.shop, units, of), _rounded(amount.presentment, units, of)) if of else NOTHING


def _rounded(amount: int, units: int, of: int) -> int:
    return int((Decimal(amount) * units / of).to_integral_value(ROUND_HALF_UP))


def taxed(taxes: Iterable[TaxLine]) -> Bag:
    return summed(tax.amount for tax in taxes)


def line_total(line: Line) -> Bag:
    """Of all that was ordered, after discounts."""
    return line.price.times(line.quantity) - line.discount


def subtotal(order: Order) -> Bag:
    return summed(line_total(line) for line in order.lines)


def gross(order: Order) -> Bag:
    return summed(line.price.times(line.quantity) for line in order.lines)


def discounts(order: Order) -> Bag:
    return summed(line.discount for line in order.lines)


def shipping(order: Order) -> Bag:
    return summed(line.price for line in order.shipping_lines)


def all_taxes(order: Order) -> list[TaxLine]:
    """The taxes of the whole order, those of the same title and rate added up."""
    found: dict[tuple[str, str], TaxLine] = {}
    carriers: list[Line | ShippingLine] = [*order.lines, *order.shipping_lines]
    for tax in [*order.taxes, *(tax for carrier in carriers for tax in carrier.taxes)]:
        known = found.get((tax.title, tax.rate))
        amount = known.amount + tax.amount if known else tax.amount
        found[(tax.title, tax.rate)] = TaxLine(tax.title, tax.rate, amount, tax.channel_liable)
    return list(found.values())


def tax(order: Order) -> Bag:
    return taxed(all_taxes(order))


def total(order: Order) -> Bag:
    """Tax is on top unless the prices contain it."""
    net = subtotal(order) + shipping(order)
    return net if order.taxes_included else net + tax(order)


# ---------------------------------------------------------------------------------- what is left after edits and refunds


def tax_of(order: Order, line: Line) -> Bag:
    """The tax of a whole line; where the order has the taxes, the line's share in them."""
    if not order.taxes:
        return taxed(line.taxes)
    whole = subtotal(order) + shipping(order)
    return part(taxed(order.taxes), line_total(line).shop, whole.shop)


def current_subtotal(order: Order) -> Bag:
    return summed(part(line_total(line), line.current, line.quantity) for line in order.lines)


def current_tax(shop: Shop, order: Order) -> Bag:
    if order.cancelled_at:
        return NOTHING
    if all(line.current == line.quantity for line in order.lines) and not order.refunds:
        return tax(order)
    kept = summed(part(tax_of(order, line), line.current, line.quantity) for line in order.lines)
    carried = summed(taxed(line.taxes) for line in order.shipping_lines)
    return kept + carried - refunded_shipping_tax(shop, order)


def current_total(shop: Shop, order: Order) -> Bag:
    """After what was taken off the order: a cancelled order comes to nothing."""
    if order.cancelled_at:
        return NOTHING
    net = current_subtotal(order) + shipping(order) - refunded_shipping(shop, order)
    return net if order.taxes_included else net + current_tax(shop, order)


def refunded_shipping(shop: Shop, order: Order) -> Bag:
    return summed(shop.refunds[number].shipping for number in order.refunds)


def refunded_shipping_tax(shop: Shop, order: Order) -> Bag:
    return summed(shop.refunds[number].shipping_tax for number in order.refunds)


# ------------------------------------------------------------------------------------------------------------------ money


def received(order: Order) -> Bag:
    return summed(paid.amount for paid in order.transactions if paid.kind in PAID and paid.status == "SUCCESS")


def refunded(order: Order, *, with_pending: bool = False) -> Bag:
    """Money that went back; also what is about to, where so asked."""
    counted = ("SUCCESS", "PENDING") if with_pending else ("SUCCESS",)
    return summed(back.amount for back in order.transactions if back.kind == "REFUND" and back.status in counted)


def refundable(order: Order, paid: Transaction) -> Bag:
    """What is left to give back of one payment."""
    given = (back.amount for back in order.transactions if back.parent_id == paid.id and back.kind == "REFUND" and back.status != "FAILURE")
    return paid.amount - summed(given)


def outstanding(shop: Shop, order: Order) -> Bag:
    bridged = summed(adjustment.amount for number in order.refunds for adjustment in shop.refunds[number].adjustments)
    return current_total(shop, order) + bridged - received(order) + refunded(order)


def financial_status(order: Order) -> str:
    """As Shopify computes it anew; until then the order keeps what it was created with."""
    paid, back = received(order).shop, refunded(order).shop
    if back:
        return "REFUNDED" if back >= paid else "PARTIALLY_REFUNDED"
    if order.cancelled_at and not paid:
        return "VOIDED"
    if paid >= total(order).shop and order.transactions:
        return "PAID"
    if paid:
        return "PARTIALLY_PAID"
    authorised = any(held.kind == "AUTHORIZATION" and held.status == "SUCCESS" for held in order.transactions)
    return "AUTHORIZED" if authorised else "PENDING"


# ---------------------------------------------------------------------------------------------------------------- parcels


def fulfillment_status(order: Order) -> str:
    """By quantities alone: UNFULFILLED, PARTIALLY_FULFILLED, FULFILLED or RESTOCKED."""
    some = any(line.fulfilled for line in order.lines)
    if all(line.unfulfilled == 0 for line in order.lines):
        return "FULFILLED" if some else "RESTOCKED"
    return "PARTIALLY_FULFILLED" if some else "UNFULFILLED"


def displayed_status(shop: Shop, order: Order) -> str:
    """The same as the admin shows it: holds and dates come in, once nothing has left."""
    by_quantity = fulfillment_status(order)
    if by_quantity == "RESTOCKED" and order.cancelled_at:
        return "UNFULFILLED"
    if by_quantity != "UNFULFILLED":
        return by_quantity
    waiting = [shop.fulfillment_orders[number].status for number in order.fulfillment_orders]
    alive = [status for status in waiting if status not in ("CLOSED", "CANCELLED")]
    for status in ("ON_HOLD", "SCHEDULED"):
        if alive and all(one == status for one in alive):
            return status
    if order.routed and not any(line.requires_shipping for line in order.lines) and shop.switches.digital_goods == "not_required":
        return "FULFILLMENT_NOT_REQUIRED"
    return by_quantity


def return_status(shop: Shop, order: Order) -> str:
    found = [shop.returns[number] for number in order.returns]
    live = [one for one in found if one.status not in ("CANCELED", "DECLINED")]
    if any(one.status == "REQUESTED" for one in live):
        return "RETURN_REQUESTED"
    open_ones = [one for one in live if one.status == "OPEN"]
    if open_ones:
        inspected = all(line.processed == line.quantity for one in open_ones for line in one.lines)
        return "INSPECTION_COMPLETE" if inspected else "IN_PROGRESS"
    return "RETURNED" if live else "NO_RETURN"
