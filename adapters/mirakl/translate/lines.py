"""A line as first sold: what is shown, plus what was canceled since."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec import Raw
from msgspec.structs import replace

from adapters.mirakl import wire
from adapters.mirakl.translate.values import UnreadableError, amount, fine, name, rate, rounded, text, units
from schemas.values import Discount, Fee, LineId, Money, OrderLine, Sku, Tax


def line_of(line: wire.OrderLine, at: str, currency: str, odd: list[str]) -> OrderLine:
    """Raises UnreadableError. What cannot be read and is not needed joins `odd`."""
    gone = line.cancelations or []
    unit_price = fine(line.price_unit, f"{at}.price_unit", currency)
    price = _restored(line.price, f"{at}.price", currency, [each.amount for each in gone])
    shipping = _restored(line.shipping_price, f"{at}.shipping_price", currency, [each.shipping_amount for each in gone])
    taxes = [*(line.taxes or ()), *(tax for each in gone for tax in each.taxes or ())]
    shipping_taxes = [*(line.shipping_taxes or ()), *(tax for each in gone for tax in each.shipping_taxes or ())]
    quantity = _quantity(line, at, currency, price.minor, unit_price)
    discounts: tuple[Discount, ...] = ()  # they only tell how the price came about
    try:
        discounts = tuple(_discounts(line, at, currency, unit_price, quantity))
    except UnreadableError as error:
        odd.append(error.field)
    return OrderLine(
        line_id=LineId(name(line.order_line_id, f"{at}.order_line_id")),
        sku=Sku(name(line.offer_sku, f"{at}.offer_sku")),
        quantity=quantity,
        unit_price=rounded(unit_price, currency),
        price=price,
        shipping_price=shipping,
        taxes=taxes_of(taxes, f"{at}.taxes", currency),
        shipping_taxes=taxes_of(shipping_taxes, f"{at}.shipping_taxes", currency),
        title=text(line.product_title),
        fees=fees_of([*(line.fees or ()), *(fee for each in gone for fee in each.fees or ())], f"{at}.fees", currency),
        discounts=discounts,
    )


def _quantity(line: wire.OrderLine, at: str, currency: str, price: int, unit_price: Decimal) -> int:
    """Units first sold. The quantity of a cancelation is informative only: where it is missing, the amounts must tell."""
    quantity = units(line.quantity, f"{at}.quantity")
    for number, each in enumerate(line.cancelations or ()):
        where = f"{at}.cancelations[{number}]"
        canceled = units(each.quantity, f"{where}.quantity", missing=0)
        if canceled == 0 and amount(each.amount, f"{where}.amount", currency, missing=0).minor:
            quantity = round(price / unit_price) if unit_price else 0
            if not quantity or abs(unit_price * quantity - price) >= 1:  # the line's price is rounded, where the unit's is finer
                raise UnreadableError(f"{where}.quantity", "is missing")
            break
        quantity += canceled
    if quantity < 1:
        raise UnreadableError(f"{at}.quantity", "is not at least one")
    return quantity


def _restored(shown: Raw, field: str, currency: str, gone: Iterable[Raw]) -> Money:
    return sum((amount(each, field, currency, missing=0) for each in gone), start=amount(shown, field, currency))


def taxes_of(taxes: Iterable[wire.Tax], field: str, currency: str) -> tuple[Tax, ...]:
    """One for each code and payer, in the order met; what was canceled comes last and is added to its own."""
    found: dict[tuple[str, bool], Tax] = {}
    for tax in taxes:
        code = name(tax.code, f"{field}.code")
        parts = (tax.amount_breakdown.parts if tax.amount_breakdown else None) or []
        remitted = bool(parts) and all(part.payable_to_shop is False for part in parts)
        one = found.get((code, remitted)) or Tax(code=code, amount=Money(0, currency), rate=rate(tax.rate), remitted_by_operator=remitted)
        found[code, remitted] = replace(one, amount=one.amount + amount(tax.amount, f"{field}.amount", currency))
    return tuple(found.values())


def fees_of(fees: Iterable[wire.Fee], field: str, currency: str) -> tuple[Fee, ...]:
    """One for each code; those of nothing are none."""
    found: dict[str, Money] = {}
    for fee in fees:
        charged = amount(fee.amount, f"{field}.amount", currency, missing=0)
        if charged.minor:
            code = name(fee.code, f"{field}.code")
            found[code] = found.get(code, Money(0, currency)) + charged
    return tuple(Fee(code=code, amount=charged) for code, charged in found.items())


def _discounts(line: wire.OrderLine, at: str, currency: str, unit: Decimal, quantity: int) -> Iterator[Discount]:
    """What was taken off the price before we saw it. Who bears a campaign of the operator's, only the parts of the price may tell.

    A discount campaign is known by its name alone: what it took off is what is missing from the original price and is no promotion's.
    """
    parts = (line.price_amount_breakdown.parts if line.price_amount_breakdown else None) or []
    borne = any(
        part.payable_to_shop and part.debitable_from_customer is False for part in parts
    )  # the buyer does not pay it, yet we get it
    campaign = "operator" if borne else ""
    deduced = Money(0, currency)
    for number, promotion in enumerate(line.promotions or ()):
        off = amount(promotion.deduced_amount, f"{at}.promotions[{number}].deduced_amount", currency, missing=0)
        named = promotion.campaign.identifier if promotion.campaign else None
        deduced = deduced + off
        if off.minor:
            yield Discount(code=text(named) or text(promotion.id), amount=off, funded_by=campaign if named else "seller")
    if unit and line.discount_campaign and line.discount_campaign.identifier:
        original = fine(line.origin_unit_price, f"{at}.origin_unit_price", currency, missing=0)
        if (off := rounded((original - unit) * quantity, currency) - deduced).minor > 0:
            yield Discount(code=text(line.discount_campaign.identifier), amount=off, funded_by=campaign)
