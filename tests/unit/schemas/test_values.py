"""Money is read exactly or not at all."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.values import Money, minor_digits, money

CURRENCIES = st.sampled_from(("GBP", "EUR", "USD", "JPY", "KRW", "KWD", "TND", "CLF", "XYZ"))
AMOUNTS = st.integers(min_value=-(10**17), max_value=10**17)


@given(minor=st.integers(min_value=-(10**15) + 1, max_value=10**15 - 1), currency=CURRENCIES)
def test_what_is_written_is_read_as_the_same(minor: int, currency: str) -> None:
    text = str(Money(minor, currency))
    assert money(text, currency) == money(text.encode(), currency) == money(f'"{text}"', currency) == Money(minor, currency)


@given(minor=st.integers(min_value=-(10**15) + 1, max_value=10**15 - 1), currency=CURRENCIES)
def test_the_text_says_what_the_number_says(minor: int, currency: str) -> None:
    assert Decimal(str(Money(minor, currency))) == Decimal(minor).scaleb(-minor_digits(currency))


@given(
    whole=st.integers(min_value=0, max_value=10**15 - 1),
    fraction=st.text("0123456789", max_size=12),
    sign=st.sampled_from(("", "-")),
    currency=CURRENCIES,
)
def test_a_decimal_is_read_exactly_or_refused(whole: int, fraction: str, sign: str, currency: str) -> None:
    text = f"{sign}{whole}{'.' if fraction else ''}{fraction}"
    exact = Decimal(text).scaleb(minor_digits(currency))
    if exact == exact.to_integral_value():
        assert money(text, currency).minor == int(exact)
    else:
        with pytest.raises(ValueError, match="more decimals"):
            money(text, currency)


REFUSED = [
    "",
    '"',
    '""',
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "inf",
    "1e400",
    "1E2",
    "1e0",
    "0x10",
    "1_0",
    "1,000.00",
    "1.000,00",
    "1,5",
    " 1",
    "1 ",
    "1\n",
    "\t1",
    "\u00a01",
    "+1",
    "--1",
    "-",
    "- 1",
    ".5",
    "5.",
    "01",
    "-01.00",
    "00",
    "1.2.3",
    "١٢",  # Arabic-Indic digits
    "１２",  # full-width digits
    "1२",
    "²",
    "½",
    "Ⅻ",
    "£1",
    "1 GBP",
    "null",
    "true",
    "1000000000000000",  # sixteen digits
    "1.0000000000000",  # thirteen decimals
    "43.005",
    "0.001",
    "'1'",
    '"1',
    '1"',
    '""1""',
    "1\0",
    "\ud800",
]


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_anything_that_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a decimal amount|more decimals"):
        money(text, "GBP")


def test_bytes_that_are_not_text_are_refused() -> None:
    for raw in (b"\xff", b"1\xff", b"\x00", b"\xef\xbb\xbf1"):
        with pytest.raises(ValueError, match="not a decimal amount"):
            money(raw, "GBP")


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_whatever_else_is_sent_ends_in_money_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        read = money(text, "GBP")
        assert money(str(read), "GBP") == read


@given(st.binary(max_size=30))
def test_bytes_likewise(raw: bytes) -> None:
    with suppress(ValueError):
        money(raw, "KWD")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("24.5", "GBP", 2450),
        ("24.50", "GBP", 2450),
        ("43.000", "GBP", 4300),
        ("0", "GBP", 0),
        ("-0", "GBP", 0),
        ("-0.00", "GBP", 0),
        ("0.01", "GBP", 1),
        ("-0.01", "GBP", -1),
        ("999999999999999.99", "GBP", 99999999999999999),
        ("1500", "JPY", 1500),
        ("1500.00", "JPY", 1500),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        ("12.34", "XXX", 1234),  # unknown currencies have two decimals, as nearly all
    ],
)
def test_amounts_are_counted_in_what_their_currency_is_counted_in(text: str, currency: str, minor: int) -> None:
    assert money(text, currency) == Money(minor, currency)


@pytest.mark.parametrize("currency", ["", "gbp", "GB", "GBPX", "G8P", "ＧＢＰ", "GBP\n", "£££", "ÉUR"], ids=ascii)
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(ValueError, match="not a currency"):
        money("1", currency)
    with pytest.raises(ValueError, match="not a currency"):
        str(Money(1, currency))


@given(a=AMOUNTS, b=AMOUNTS, times=st.integers(-1_000, 1_000))
def test_sums_are_of_one_currency(a: int, b: int, times: int) -> None:
    assert Money(a, "GBP") + Money(b, "GBP") == Money(a + b, "GBP") == Money(b, "GBP") + Money(a, "GBP")
    assert Money(a, "GBP") * times == Money(a * times, "GBP")
    with pytest.raises(ValueError, match="cannot add EUR to GBP"):
        Money(a, "GBP") + Money(b, "EUR")
