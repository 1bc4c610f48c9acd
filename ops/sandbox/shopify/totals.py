"""What an order comes to: nothing here is stored, as Shopify computes every total from unit prices too."""

from collections.abc import Iterable

from ops.sandbox.shopify.state import NOTHING, Bag, Line, Order, ShippingLine, TaxLine


def summed(bags: Iterable[Bag]) -> Bag:
    return sum(bags, NOTHING)


def taxed(taxes: Iterable[TaxLine]) -> Bag:
    return summed(tax.amount for tax in taxes)


def line_total(line: Line) -> Bag:
    return line.price.times(line.quantity)


def subtotal(order: Order) -> Bag:
    return summed(line_total(line) for line in order.lines)


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


def current_subtotal(order: Order) -> Bag:
    return summed(line.price.times(line.quantity - line.cancelled) for line in order.lines)


def current_total(order: Order) -> Bag:
    """After what was taken off the order: a cancelled order comes to nothing."""
    return NOTHING if order.cancelled_at else total(order)


def received(order: Order) -> Bag:
    return summed(paid.amount for paid in order.transactions if paid.kind in ("SALE", "CAPTURE") and paid.status == "SUCCESS")


def outstanding(order: Order) -> Bag:
    return current_total(order) - received(order)


def fulfillment_status(order: Order) -> str:
    """As displayed: UNFULFILLED, PARTIALLY_FULFILLED or FULFILLED."""
    if all(line.unfulfilled == 0 for line in order.lines) and any(line.fulfilled for line in order.lines):
        return "FULFILLED"
    return "PARTIALLY_FULFILLED" if any(line.fulfilled for line in order.lines) else "UNFULFILLED"
