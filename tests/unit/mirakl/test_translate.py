"""What an order says, fact by fact; and what our commands look like to Mirakl."""

import contextlib
import csv
import io
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mirakl.countries import ALPHA_2
from adapters.mirakl.translate.orders import hear
from adapters.mirakl.translate.stock import error_report, stock_file, unwritable
from adapters.mirakl.translate.story import Place
from adapters.mirakl.translate.values import UnreadableError
from engine.adapter import Heard
from schemas.envelope import event_id
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import (
    DeliveryAddress,
    DeliveryAddressGiven,
    LineStateChanged,
    OrderPlaced,
    OrderStateChanged,
    OrderTermsChanged,
)
from schemas.values import ChannelId, LineId, Money, OrderId, OrderLine, Sku, Tax, TenantId
from tests.contract.mirakl.payloads import CANCELED, Payload, address, having, line, order, without
from tests.loopback import NOW

PLACE = Place(TenantId("t"), ChannelId("asos"), "TAX_INCLUDED")


def told(payload: Payload, place: Place = PLACE) -> list[Heard]:
    return hear(msgspec.json.encode(payload), place, NOW)


def placed(payload: Payload, place: Place = PLACE) -> OrderPlaced:
    event = told(payload, place)[0].fact.event
    assert isinstance(event, OrderPlaced), event
    return event


def the_line(**more: Any) -> OrderLine:
    return placed(order(line(**more))).lines[0]


def refused(payload: Payload, place: Place = PLACE) -> str:
    event = told(payload, place)[0].fact.event
    assert isinstance(event, ExceptionOpened), event
    return event.field


def address_in(payload: Payload) -> tuple[DeliveryAddressGiven, DeliveryAddress]:
    [fact] = [each.fact for each in told(payload) if isinstance(each.fact.event, DeliveryAddressGiven)]
    assert isinstance(fact.event, DeliveryAddressGiven) and isinstance(fact.personal, DeliveryAddress)
    return fact.event, fact.personal


# ---------------------------------------------------------------- facts


def test_an_order_is_placed_stands_somewhere_and_goes_somewhere():
    facts = told(order())
    assert [type(each.fact.event) for each in facts] == [OrderPlaced, LineStateChanged, DeliveryAddressGiven, OrderStateChanged]
    assert {each.stream for each in facts} == {"order-asos:00012345-A"}
    assert facts[0].fact.event == OrderPlaced(
        channel=ChannelId("asos"),
        order_id=OrderId("00012345-A"),
        commercial_id="00012345",
        placed_at=datetime(2026, 8, 13, 8, 30, tzinfo=UTC),
        currency="GBP",
        taxes_included=True,
        lines=(
            OrderLine(
                line_id=LineId("00012345-A-1"),
                sku=Sku("TEE-RED-M"),
                quantity=2,
                unit_price=Money(2450, "GBP"),
                price=Money(4900, "GBP"),
                shipping_price=Money(395, "GBP"),
                taxes=(Tax(code="VAT", amount=Money(817, "GBP"), rate="20"),),
                shipping_taxes=(Tax(code="VAT", amount=Money(66, "GBP"), rate="20"),),
                title="Tee, red, M",
            ),
        ),
        total=Money(5295, "GBP"),
        shipping_method="STD",
        shipping_label="Standard",
        ship_by=datetime(2026, 8, 15, 22, 59, 59, 999000, tzinfo=UTC),
    )


def test_a_fact_has_the_same_id_whenever_it_is_heard():
    first, later = told(order()), told(order(last_updated_date="2026-08-14T00:00:00Z"))
    assert [each.fact.event_id for each in first] == [each.fact.event_id for each in later]
    assert first[0].fact.event_id == event_id(TenantId("t"), "mirakl:asos", "00012345-A", "order_placed")
    assert {each.fact.correlation_id for each in first} == {first[0].fact.event_id}
    assert {each.fact.actor for each in first} == {"mirakl:asos"}
    other = told(order(), Place(TenantId("t"), ChannelId("other"), "TAX_INCLUDED"))
    assert not {each.fact.event_id for each in first} & {each.fact.event_id for each in other}


def test_each_state_is_a_fact_of_its_own():
    shipping, shipped = told(order())[-1], told(order(order_state="SHIPPED"))[-1]
    assert shipping.fact.event_id != shipped.fact.event_id
    assert told(order(order_state_reason_code="R1"))[-1].fact.event_id == shipping.fact.event_id
    assert told(order(order_state_reason_code="R1"))[-1].otherwise != shipping.otherwise, "a reason given later is told beside"


def test_other_terms_are_told_beside_the_first():
    first, other = told(order())[0], told(order(line(quantity=3, price=73.5)))[0]
    assert first.fact.event_id == other.fact.event_id and first.fact.event != other.fact.event
    assert other.otherwise is not None and isinstance(other.otherwise.event, OrderTermsChanged)
    assert other.otherwise.event.terms == other.fact.event
    assert first.otherwise is not None and first.otherwise.event_id != other.otherwise.event_id


def test_the_marketplaces_clock_is_told():
    facts = told(order(line(order_line_state="SHIPPED", shipped_date="2026-08-13T10:00:00+0200")))
    assert [each.fact.occurred_at.isoformat() for each in facts] == [
        "2026-08-13T08:30:00+00:00",
        "2026-08-13T08:00:00+00:00",
        "2026-08-13T08:41:07.250000+00:00",
        "2026-08-13T08:41:07.250000+00:00",
    ]


# ---------------------------------------------------------------- money


def test_the_total_is_what_the_buyer_pays():
    two = (line(1), line(2, quantity=1, price=24.5, shipping_price=0))
    assert placed(order(*two)).total == Money(4900 + 395 + 2450, "GBP")
    excluded = placed(order(*two, order_tax_mode="TAX_EXCLUDED"))
    assert not excluded.taxes_included and excluded.total == Money(4900 + 395 + 2450 + 2 * (817 + 66), "GBP")


def test_amounts_keep_the_scale_of_their_currency():
    yen = line(price=4900, price_unit=2450, shipping_price=500, taxes=[], shipping_taxes=[])
    assert placed(order(yen, currency_iso_code="JPY")).total == Money(5400, "JPY")
    dinar = line(price=4.125, price_unit=2.0625, shipping_price=0, taxes=[], shipping_taxes=[])
    assert refused(order(dinar, currency_iso_code="KWD")) == "order_lines[0].price_unit"


def test_the_tax_mode_is_what_the_answer_says_or_else_what_was_asked_for():
    platform = Place(TenantId("t"), ChannelId("asos"), "")
    assert placed(without("order_tax_mode"), Place(TenantId("t"), ChannelId("asos"), "TAX_EXCLUDED")).taxes_included is False
    assert refused(without("order_tax_mode"), platform) == "order_tax_mode"
    assert placed(order(line(taxes=None, shipping_taxes=[]), order_tax_mode=None), platform).taxes_included is True, (
        "without taxes both say the same"
    )


def test_what_the_operator_pays_to_the_state_is_marked():
    parts = [{"amount": 5, "payable_to_shop": False}, {"amount": 3.17, "payable_to_shop": False}]
    remitted = {"amount": 8.17, "code": "VAT", "amount_breakdown": {"parts": parts}}
    [tax] = the_line(taxes=[remitted]).taxes
    assert tax.remitted_by_operator and tax.rate is None
    breakdowns: tuple[Any, ...] = (
        None,
        {"parts": []},
        {"parts": [*parts, {"amount": 0, "payable_to_shop": True}]},
        {"parts": [{"payable_to_shop": None}]},
    )
    for breakdown in breakdowns:
        [tax] = the_line(taxes=[remitted | {"amount_breakdown": breakdown}]).taxes
        assert not tax.remitted_by_operator


@pytest.mark.parametrize(
    ("said", "rate"), [(20, "20"), (20.0, "20"), (5.5, "5.5"), ("20.50", "20.5"), (0, "0"), (None, None), (1e22, None)]
)
def test_a_rate_reads_the_same_however_it_is_written(said: object, rate: str | None):
    assert the_line(taxes=[{"amount": 1, "code": "VAT", "rate": said}]).taxes[0].rate == rate


# ---------------------------------------------------------------- as first sold


def test_what_was_canceled_is_put_back():
    whole = placed(order())
    half = order(line(quantity=1, price=24.5, taxes=[{"amount": 4.09, "code": "VAT", "rate": 20.0}], cancelations=[CANCELED]))
    assert placed(half) == whole
    assert placed(having("order_lines.0.cancelations.0.quantity", None, half)) == whole, "its quantity is informative only"


def test_a_line_canceled_whole_is_as_it_was_sold():
    gone = CANCELED | {"amount": 49, "quantity": 2, "shipping_amount": 3.95, "taxes": [{"amount": 8.17, "code": "VAT"}]}
    gone["shipping_taxes"] = [{"amount": 0.66, "code": "VAT"}]
    canceled = the_line(
        quantity=0, price=0, shipping_price=0, taxes=[], shipping_taxes=[], cancelations=[gone], order_line_state="CANCELED"
    )
    sold = the_line()
    assert (canceled.quantity, canceled.price, canceled.shipping_price) == (sold.quantity, sold.price, sold.shipping_price)
    assert canceled.taxes[0].amount == sold.taxes[0].amount and canceled.shipping_taxes[0].amount == sold.shipping_taxes[0].amount


def test_a_cancelation_of_money_alone_takes_no_units():
    rebate = CANCELED | {"amount": 0, "shipping_amount": 3.95, "quantity": 0, "taxes": []}
    assert the_line(shipping_price=0, cancelations=[rebate]).quantity == 2


def test_refunds_take_nothing_off():
    assert the_line(refunds=[{"id": "1", "amount": 24.5, "quantity": 1}]) == the_line()


def test_lines_of_one_sku_stay_apart():
    lines = placed(order(*(line(number, quantity=1, price=24.5) for number in range(1, 7)))).lines
    assert len({each.line_id for each in lines}) == 6 and {each.sku for each in lines} == {"TEE-RED-M"}


# ---------------------------------------------------------------- addresses


def test_an_address_is_sealed_and_only_its_country_is_said():
    given_, sealed = address_in(order())
    assert given_ == DeliveryAddressGiven(channel=ChannelId("asos"), order_id=OrderId("00012345-A"), country_code="GB")
    assert sealed == DeliveryAddress(
        first_name="Robin",
        last_name="Example",
        street_1="1 Nowhere Lane",
        city="Testford",
        zip_code="ZZ1 1ZZ",
        country="United Kingdom",
        country_code="GB",
        phone="+44 20 7946 0000",
        email="x1y2z3@uk.notification.mirakl.net",
        notes="ring twice",
    )


def test_another_address_is_told_beside_the_first():
    first, moved = told(order())[2], told(order(last_updated_date="2026-08-14T00:00:00Z"))[2]
    assert first.fact.event_id == moved.fact.event_id
    assert moved.otherwise is not None and first.otherwise is not None and moved.otherwise.event_id != first.otherwise.event_id
    assert moved.otherwise.personal == moved.fact.personal and moved.otherwise.subject == moved.stream


@pytest.mark.parametrize(
    ("iso", "country", "code"),
    [
        ("GBR", None, "GB"),
        ("gbr ", None, "GB"),
        (None, "GB", "GB"),
        (None, "DEU", "DE"),
        ("FR", "Deutschland", "FR"),
        (None, "France", ""),
        (None, "UK", ""),
        ("XXX", None, ""),
        (None, None, ""),
        ("ZZZ", "IRL", "IE"),
    ],
)
def test_a_country_is_told_by_its_code_and_never_guessed(iso: str | None, country: str | None, code: str):
    event, sealed = address_in(having("customer.shipping_address", address(country_iso_code=iso, country=country)))
    assert event.country_code == sealed.country_code == code and sealed.country == (country or "")


def test_the_countries_are_those_of_the_standard():
    assert len(ALPHA_2) == 249 == len(set(ALPHA_2.values()))
    codes = ("GBR", "USA", "DEU", "FRA", "ITA", "ESP", "NLD", "IRL", "POL", "DNK", "SWE")
    assert [ALPHA_2[code] for code in codes] == ["GB", "US", "DE", "FR", "IT", "ES", "NL", "IE", "PL", "DK", "SE"]


def test_the_buyers_own_name_stands_in_where_the_address_has_none():
    _, sealed = address_in(having("customer.shipping_address", address(firstname=None, lastname=None)))
    assert (sealed.first_name, sealed.last_name) == ("Robin", "Example")
    _, half = address_in(having("customer.shipping_address", address(firstname=None, lastname="Other")))
    assert (half.first_name, half.last_name) == ("", "Other")


def test_a_lost_character_is_somebodys_business():
    *facts, last, _ = told(having("customer.shipping_address", address(city="M\ufffdnster", company="A", company_2="B\0")))
    assert isinstance(last.fact.event, ExceptionOpened) and last.fact.event.owner == "CX"
    assert last.fact.event.field == "customer.shipping_address.city" and "nster" not in last.fact.event.summary
    sealed = facts[-1].fact.personal
    assert isinstance(sealed, DeliveryAddress) and (sealed.city, sealed.company) == ("M\ufffdnster", "A B")


@pytest.mark.parametrize("none", [None, dict.fromkeys(address()), {}, address(street_1="", street_2=None, city="", zip_code="")])
def test_no_address_is_no_fact(none: object):
    assert not any(isinstance(each.fact.event, DeliveryAddressGiven) for each in told(having("customer.shipping_address", none)))


# ---------------------------------------------------------------- into payloads


def test_a_decision_names_every_line():
    assert translate.decisions((LineId("1"), LineId("2")), (LineId("3"),)) == {
        "order_lines": [{"id": "1", "accepted": True}, {"id": "2", "accepted": True}, {"id": "3", "accepted": False}]
    }


def test_a_stock_file_is_quoted_as_rfc_4180_has_it():
    quantities = {Sku("A"): 0, Sku('B "x"; y'): 1_000_000, Sku("=cmd"): 2, Sku("é,1"): 3, Sku(" "): 1, Sku("a\r\nb"): 1, Sku("neg"): -1}
    assert stock_file(quantities).decode() == (
        '"offer-sku";"quantity";"warehouse-code";"update-delete"\r\n'
        '"A";"0";"";"update"\r\n'
        '"B ""x""; y";"1000000";"";"update"\r\n'
        '"=cmd";"2";"";"update"\r\n'
        '"é,1";"3";"";"update"\r\n'
    )
    assert set(unwritable(quantities)) == {" ", "a\r\nb", "neg"}


@given(st.dictionaries(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1), st.integers(0, 10**9)))
def test_what_is_written_is_read_back(quantities: dict[str, int]):
    by_sku = {Sku(sku): units for sku, units in quantities.items()}
    rows = list(csv.reader(io.StringIO(stock_file(by_sku).decode(), newline=""), delimiter=";"))[1:]
    left_out = unwritable(by_sku)
    assert {row[0]: int(row[1]) for row in rows} == {sku: units for sku, units in quantities.items() if sku not in left_out}


@pytest.mark.parametrize(
    "body",
    [
        b'"line-number";"error-message";"offer-sku";"quantity"\r\n2;"No; offer";"A ""1"" \xc3\xa9";"1"\r\n7;Gone;B;2\r\n',
        b"\xef\xbb\xbf2;No; offer;A\n".replace(b"No; offer;A", b'"No; offer";"A ""1"" \xc3\xa9"') + b"7;Gone;B;2",
        'Zeile;Grund;Angebot\n2;"No; offer";"A ""1"" é"\n7;Gone;B\n'.encode("latin-1"),
        'line,why,offer-sku\n2,"No; offer","A ""1"" é"\n7,Gone,B\n'.encode("utf-16"),
        b'line;why;offer-sku\n2;"No; offer";"A ""1"" \xc3\xa9"\n\nx;y;Z\n8;cut\n7;Gone;B;2;3;4\n9;none;\n',
    ],
)
def test_an_error_report_is_read_by_position(body: bytes):
    assert error_report(body) == {'A "1" é': "No; offer", "B": "Gone"}


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04", b"line;why;sku\r\n", b'2;"' + b"x" * 200_000, b"\xff\xfe\x00", b"2;why\n"])
def test_a_report_of_which_nothing_can_be_read_is_not_one_of_no_errors(body: bytes):
    with pytest.raises(UnreadableError):
        error_report(body)


@given(st.binary(max_size=200))
def test_no_error_report_is_too_strange(body: bytes):
    with contextlib.suppress(UnreadableError):
        assert error_report(body)
