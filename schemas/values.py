"""The values that events and commands are made of, and the only way money is read from text."""

import re
from datetime import datetime
from decimal import Decimal
from typing import NewType

from msgspec import Struct

TenantId = NewType("TenantId", str)  # one merchant: a Shopify shop and its channels
ChannelId = NewType("ChannelId", str)  # one seller account on one Mirakl marketplace, as named in the settings
OrderId = NewType("OrderId", str)  # the marketplace's order number; opaque
LineId = NewType("LineId", str)  # the marketplace's order line number; opaque, need not begin with the order's
Sku = NewType("Sku", str)  # the seller's SKU: Mirakl `offer_sku`, Shopify `sku`; compared as written
ShopId = NewType("ShopId", str)  # a Shopify GID, e.g. gid://shopify/Order/123; opaque
Instant = datetime  # always aware, always UTC

# ISO 4217 minor units where they are not 2 (list one, 2024-06-25).
_DIGITS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_AMOUNT = re.compile(r"(-?)(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,12}))?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class Money(Struct, frozen=True, array_like=True, gc=False):
    """An amount in minor units of its currency: Money(2450, "GBP") is £24.50. Stored as [2450, "GBP"]."""

    minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + other * -1

    def __mul__(self, times: int) -> "Money":
        return Money(self.minor * times, self.currency)

    def __str__(self) -> str:
        """The amount as marketplaces write it: 24.50."""
        digits = minor_digits(self.currency)
        sign, whole = ("-" if self.minor < 0 else ""), str(abs(self.minor)).rjust(digits + 1, "0")
        return f"{sign}{whole[:-digits]}.{whole[-digits:]}" if digits else f"{sign}{whole}"


def minor_digits(currency: str) -> int:
    """How many decimals a currency has; raises ValueError unless it is three capital letters."""
    if not _CURRENCY.fullmatch(currency):
        raise ValueError(f"not a currency code: {currency[:12]!r}")
    return _DIGITS.get(currency, 2)


def money(text: str | bytes, currency: str) -> Money:
    """Read an amount from its decimal text, exactly: a JSON number's literal or a JSON string.

    Refuses (ValueError) exponents, NaN, infinity, digits other than 0-9, blanks, signs other than one minus, more than 15 whole digits,
    and decimals that the currency does not have, unless they are zeros: "43.000" is £43.00, "43.005" is an error.
    """
    digits = minor_digits(currency)
    match = _literal(text)
    sign, whole, fraction = match[1], match[2], match[3] or ""
    if fraction[digits:].strip("0"):
        raise ValueError(f"{match[0][:24]!r} has more decimals than {currency} ({digits})")
    minor = int(whole + fraction[:digits].ljust(digits, "0"))
    return Money(-minor if sign else minor, currency)


def minor_units(text: str | bytes, currency: str) -> Decimal:
    """Read, as `money` does, what may be finer than the currency, as prices of one unit are: "8.3333" of GBP is 833.33 pence."""
    digits = minor_digits(currency)
    return Decimal(_literal(text)[0]).scaleb(digits)


def _literal(text: str | bytes) -> re.Match[str]:
    literal = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if len(literal) >= 2 and literal[0] == literal[-1] == '"':
        literal = literal[1:-1]
    match = _AMOUNT.fullmatch(literal)
    if match is None:
        raise ValueError(f"not a decimal amount: {literal[:24]!r}")
    return match


class Tax(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One tax on one line or on its shipping, as the marketplace computed it."""

    code: str
    amount: Money  # for the whole line, not a unit
    rate: str | None = None  # per cent, as text; None where the marketplace does not say
    remitted_by_operator: bool = False  # True: the operator pays it to the state; it never reaches the seller


class Fee(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the buyer pays for a line beside price and shipping: gift wrap, eco-contribution."""

    code: str
    amount: Money  # for the whole line


class Discount(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was taken off a line's price. The price is already without it; this only says how it came about."""

    code: str  # the campaign's or the promotion's own id
    amount: Money  # for the whole line
    funded_by: str = ""  # seller, operator; "": the marketplace does not say


class OrderLine(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was bought on one line, as first sold: before any cancelation."""

    line_id: LineId
    sku: Sku
    quantity: int  # units
    unit_price: Money  # rounded, where the marketplace's is finer than the currency
    price: Money  # for the line, exactly, without shipping
    shipping_price: Money
    taxes: tuple[Tax, ...] = ()
    shipping_taxes: tuple[Tax, ...] = ()
    title: str = ""
    fees: tuple[Fee, ...] = ()
    discounts: tuple[Discount, ...] = ()
