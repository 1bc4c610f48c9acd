"""Amounts as whole minor units, and the several ways in which the two systems write them."""

from decimal import ROUND_HALF_UP, Decimal

SCALES = {"JPY": 0, "KRW": 0, "VND": 0, "HUF": 2, "KWD": 3, "BHD": 3}  # decimals of a currency; two where nothing is said


def minor(amount: object, currency: str) -> int:
    """What was sent, rounded to the currency's smallest unit as Shopify does."""
    return int(Decimal(str(amount)).scaleb(SCALES.get(currency, 2)).to_integral_value(ROUND_HALF_UP))


def major(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-SCALES.get(currency, 2))


def graph_text(amount: int, currency: str) -> str:
    """As GraphQL writes a Decimal: no fixed scale, but always a point: 43.0, 33518.25."""
    text = f"{major(amount, currency).normalize():f}"
    return text if "." in text else f"{text}.0"


def rest_text(amount: int, currency: str) -> str:
    """As webhook bodies write money: with the scale of its currency: 43.00, 20."""
    return f"{major(amount, currency):f}"


def number(amount: int, currency: str) -> Decimal:
    """As Mirakl writes it: a JSON number, whole amounts now and then without decimals."""
    whole = amount % 10 ** SCALES.get(currency, 2) == 0 and amount % 3 == 0
    return Decimal(int(major(amount, currency))) if whole else major(amount, currency)


def share(amount: int, rate: Decimal) -> int:
    """That part of an amount, rounded to the minor unit."""
    return int((amount * rate).to_integral_value(ROUND_HALF_UP))


def tax_within(amount: int, rate: Decimal) -> int:
    """The tax that an amount contains."""
    return int((amount * rate / (1 + rate)).to_integral_value(ROUND_HALF_UP))
