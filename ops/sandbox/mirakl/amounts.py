"""Parts of a line in the marketplace's two tax modes: what is asked to be given back, what is left, what commission goes with it."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from ops.sandbox.mirakl.sale import Fee, Line, Order, Refund, Tax
from ops.sandbox.mirakl.state import Account, RefusedError
from ops.sandbox.money import minor, share

LARGEST = Decimal(10) ** 15  # of any currency


class Wanted(Struct):
    """A part of a line as it was asked for, tax included whatever the mode."""

    amount: int
    shipping_amount: int
    quantity: int
    taxes: list[Tax]
    shipping_taxes: list[Tax]
    fees: list[Fee]

    @property
    def total(self) -> int:
        return self.amount + self.shipping_amount + sum(fee.amount for fee in self.fees)


def tax_of(taxes: Sequence[Tax]) -> int:
    return sum(tax.amount for tax in taxes)


def left(line: Line) -> Wanted:
    """Of the line as it stands, what was not paid back."""

    def without(taxes: list[Tax], given: list[list[Tax]]) -> list[Tax]:
        back = {tax.code: 0 for tax in taxes}
        for some in given:
            for tax in some:
                back[tax.code] = back.get(tax.code, 0) + tax.amount
        return [Tax(tax.code, tax.amount - back[tax.code], tax.rate, tax.rule) for tax in taxes]

    refunds = line.refunds
    paid_back = {fee.code: sum(given.amount for refund in refunds for given in refund.fees if given.code == fee.code) for fee in line.fees}
    return Wanted(
        line.price - sum(refund.amount for refund in refunds),
        line.shipping_price - sum(refund.shipping_amount for refund in refunds),
        line.quantity - sum(refund.quantity for refund in refunds),
        without(line.taxes, [refund.taxes for refund in refunds]),
        without(line.shipping_taxes, [refund.shipping_taxes for refund in refunds]),
        [Fee(fee.code, fee.amount - paid_back[fee.code]) for fee in line.fees],
    )


def read_part(account: Account, order: Order, line: Line, asked: dict[str, Any], tax_mode: str, *, taxes_forbidden: bool = False) -> Wanted:
    """What OR28 and OR30 ask for. Raises RefusedError where it is not written as it must be, or is more than there is left."""
    currency = asked.get("currency_iso_code")
    if currency is None and account.switches.currency != account.switches.platform_currency:
        raise RefusedError(400, "The currency ISO code is mandatory.")
    if currency not in (None, order.currency):
        raise RefusedError(400, f"The currency ISO code must be {order.currency}.")
    if taxes_forbidden and (asked.get("taxes") or asked.get("shipping_taxes")):
        raise RefusedError(400, "Taxes must not be provided with order level tax calculation and tax mode TAX_EXCLUDED.")
    rest = left(line)
    quantity = int(asked.get("quantity") or 0)
    if not 0 <= quantity <= rest.quantity:
        raise RefusedError(400, f"The quantity must be between 0 and the remaining quantity {rest.quantity}")
    amount, taxes = _priced(account, order, (line.price, line.taxes), (rest.amount, rest.taxes), Asked(asked, "", tax_mode))
    shipping, shipping_taxes = _priced(
        account,
        order,
        (line.shipping_price, line.shipping_taxes),
        (rest.shipping_amount, rest.shipping_taxes),
        Asked(asked, "shipping_", tax_mode),
    )
    wanted = Wanted(amount, shipping, quantity, taxes, shipping_taxes, _fees(order, rest.fees, asked))
    if wanted.total == 0:
        raise RefusedError(400, "The total amount must be greater than zero")
    return wanted


class Asked(Struct, frozen=True):
    """An amount with its taxes, as a call names them."""

    sent: dict[str, Any]
    what: str  # "" or "shipping_"
    mode: str


def _priced(
    account: Account, order: Order, of_line: tuple[int, list[Tax]], of_rest: tuple[int, list[Tax]], asked: Asked
) -> tuple[int, list[Tax]]:
    """The amount, tax included, and the taxes within it; `of_line` and `of_rest` are what there was and what is left."""
    (whole, all_taxes), (rest, rest_taxes), what = of_line, of_rest, asked.what
    amount = amount_of(asked.sent.get(f"{what}amount"), order.currency)
    without = asked.mode == "TAX_EXCLUDED"
    base, remaining = (whole - tax_of(all_taxes), max(0, rest - tax_of(rest_taxes))) if without else (whole, rest)
    name = "shipping amount" if what else "amount"
    if amount > remaining:
        raise RefusedError(400, f"The {name} must be lower than the remaining amount")
    given = _given(order, asked.sent.get(f"{what}taxes") or [], {tax.code for tax in all_taxes}, "tax")
    must_be_sent = account.switches.missing_refund_taxes == "refused" and amount and not account.switches.order_level_taxes
    taxes: list[Tax] = []
    for tax, left_of_it in zip(all_taxes, rest_taxes, strict=True):
        if tax.rule == "PROPORTIONAL_TO_AMOUNT" or account.switches.order_level_taxes:
            part = left_of_it.amount if amount == remaining else share(tax.amount, Decimal(amount) / base) if base else 0
            back = min(left_of_it.amount, part)
        elif tax.code in given:
            back = given[tax.code]
        elif must_be_sent:
            raise RefusedError(400, f"The amount of the tax '{tax.code}' is mandatory")
        else:
            back = 0
        if back > left_of_it.amount:
            raise RefusedError(400, f"The amount of the tax '{tax.code}' must be lower than the remaining amount")
        if back:
            taxes.append(Tax(tax.code, back, tax.rate, tax.rule))
    included = amount + tax_of(taxes) if without else amount
    if included > rest or tax_of(taxes) > included:
        raise RefusedError(400, f"The {name} and its taxes do not fit the remaining amount")
    return included, taxes


def _fees(order: Order, rest: list[Fee], asked: dict[str, Any]) -> list[Fee]:
    given = _given(order, asked.get("fees") or [], {fee.code for fee in rest}, "fee")
    for fee in rest:
        if given.get(fee.code, 0) > fee.amount:
            raise RefusedError(400, f"The amount of the fee '{fee.code}' must be lower than the remaining amount")
    return [Fee(code, amount) for code, amount in given.items() if amount]


def _given(order: Order, listed: list[dict[str, Any]], known: set[str], what: str) -> dict[str, int]:
    given: dict[str, int] = {}
    for one in listed:
        code = str(one.get("code"))
        if code not in known:
            raise RefusedError(400, f"The {what} with code '{code}' does not exist on the order line")
        if code in given:
            raise RefusedError(400, f"The {what} with code '{code}' is given twice")
        given[code] = amount_of(one.get("amount"), order.currency)
    return given


def amount_of(sent: object, currency: str) -> int:
    """Minor units of what was sent. Raises RefusedError for less than nothing, and for what is no amount."""
    try:
        amount = Decimal(str(sent or 0))
    except InvalidOperation:
        raise RefusedError(400, "Error with field amount. Please check the field datatype.") from None
    if not amount.is_finite() or abs(amount) > LARGEST:
        raise RefusedError(400, "Error with field amount. Please check the field datatype.")
    if amount < 0:
        raise RefusedError(400, "The amount must be greater than or equal to zero")
    return minor(amount, currency)


def shown(amount: int, taxes: Sequence[Tax], tax_mode: str) -> int:
    """An amount as that mode shows it."""
    return amount - tax_of(taxes) if tax_mode == "TAX_EXCLUDED" else amount


def commission_on(line: Line, price: int, shipping: int) -> tuple[int, int]:
    """The operator's share of those amounts, and the tax on it."""
    base = price + shipping * line.commission_on_shipping
    fee = share(base, Decimal(line.commission_share))
    return fee, share(fee, Decimal(line.commission_rate) / 100)


def paid_back(line: Line) -> int:
    return sum(refund.total for refund in line.refunds)


def is_paid_back(line: Line, *, settled: bool = False) -> bool:
    """Whether all of the line was refunded; `settled`: and the money has moved."""
    refunds: list[Refund] = line.refunds
    return bool(refunds) and paid_back(line) >= line.total and (not settled or all(refund.state == "REFUNDED" for refund in refunds))
