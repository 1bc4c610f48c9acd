"""Where an order goes: names, streets and countries as people write them, and what is missing."""

from typing import Any

import pytest

from adapters.mirakl.countries import ALPHA_2
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven
from schemas.values import ChannelId, OrderId
from tests.contract.mirakl.payloads import address, having, order
from tests.unit.mirakl.telling import address_in, told

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


@pytest.mark.parametrize(
    ("iso", "country", "code"),
    [
        ("GBR", None, "GB"),
        ("gbr ", None, "GB"),
        (None, "GB", "GB"),
        (None, "DEU", "DE"),
        ("FR", "Deutschland", "FR"),
        (None, "France", "FR"),
        (None, "UK", "GB"),
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
    facts = told(having("customer.shipping_address", address(city="M\ufffdnster", company="A", company_2="B\0")))
    [opened] = [each.fact.event for each in facts if isinstance(each.fact.event, ExceptionOpened)]
    assert opened.owner == "CX" and opened.field == "customer.shipping_address.city" and "nster" not in opened.summary
    [sealed] = [each.fact.personal for each in facts if isinstance(each.fact.personal, DeliveryAddress)]
    assert (sealed.city, sealed.company) == ("M\ufffdnster", "A B")


@pytest.mark.parametrize("none", [None, dict.fromkeys(address()), {}, address(street_1="", street_2=None, city="", zip_code="")])
def test_no_address_is_no_fact(none: object):
    assert not any(isinstance(each.fact.event, DeliveryAddressGiven) for each in told(having("customer.shipping_address", none)))


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("first", "last", "told_first", "told_last"),
    [
        ("Robin", "Example", "Robin", "Example"),
        (None, "Robin van der Example", "Robin", "van der Example"),
        ("Robin Example", "", "Robin", "Example"),
        ("Robin Example", "robin example", "robin", "example"),
        ("Robin", "Robin Example", "Robin", "Example"),
        (None, "Example", "", "Example"),
        ("Robin", "-", "", "Robin"),
        ("n/a", "  Example\t ", "", "Example"),
        (None, "山田太郎", "", "山田太郎"),
        ("太郎", "山田", "太郎", "山田"),
        ("محمد", "بن سلمان", "محمد", "بن سلمان"),
        ("Jose\n Maria", "Pérez  García", "Jose Maria", "Pérez García"),
    ],
)
def test_a_name_is_parted_and_joined_sanely(first: str | None, last: str, told_first: str, told_last: str):
    _, sealed = address_in(having("customer.shipping_address", address(firstname=first, lastname=last)))
    assert (sealed.first_name, sealed.last_name) == (told_first, told_last)


def test_a_company_can_be_the_name():
    nobody = {"firstname": ".", "lastname": "N/A"}
    place = having("customer.shipping_address", address(**nobody, company="Example Ltd"))
    event, sealed = address_in(place | {"customer": place["customer"] | nobody})
    assert (sealed.first_name, sealed.last_name, sealed.company, event.lacks) == ("", "", "Example Ltd", ())


# ---------------------------------------------------------------- what is missing, too long, or out of reach


@pytest.mark.parametrize(
    ("more", "lacks"),
    [
        ({}, ()),
        ({"street_1": None}, ("street",)),
        ({"street_1": " ", "street_2": "1 Nowhere Lane"}, ()),
        ({"city": None, "zip_code": ""}, ("city", "zip_code")),
        ({"zip_code": None, "country_iso_code": "IRL"}, ()),
        ({"zip_code": None, "country_iso_code": "DEU"}, ("zip_code",)),
        ({"country_iso_code": None, "country": "Ruritanien"}, ("country",)),
    ],
)
def test_what_nothing_can_be_delivered_without_is_named(more: dict[str, Any], lacks: tuple[str, ...]):
    assert address_in(having("customer.shipping_address", address(**more)))[0].lacks == lacks


def test_an_address_without_anybody_lacks_a_name():
    payload = having("customer.shipping_address", address(firstname=None, lastname=None))
    payload["customer"] |= {"firstname": None, "lastname": "-"}
    assert address_in(payload)[0].lacks == ("name",)


def test_a_long_line_goes_on_in_the_next_and_nothing_is_lost():
    words = " ".join(["Llanfairpwllgwyngyll"] * 30)
    _, sealed = address_in(having("customer.shipping_address", address(street_1=words, street_2="Flat 2")))
    assert len(sealed.street_1) <= 255 and len(sealed.street_2) <= 255
    assert f"{sealed.street_1} {sealed.street_2} {sealed.notes}" == f"{words} Flat 2 ring twice"
    _, solid = address_in(having("customer.shipping_address", address(street_1="x" * 600)))
    assert (len(solid.street_1), len(solid.street_2)) == (255, 255) and solid.notes == "x" * 90 + " ring twice"


BOXES = {
    "GBR": ("P.O. Box 12", "po box 12", "PO BOX 1, Suite 2", "Post Office Box 7", "Private Bag 3"),
    "AUS": ("Locked Bag 20", "GPO Box 5, PO Box 5"),
    "DEU": ("Postfach 10 01", "postfach 3"),
    "FRA": ("BP 123", "B.P. 45", "Boîte postale 9", "CS 70001"),
    "ESP": ("Apartado de Correos 33", "Apdo. 12", "Apartado 101"),
    "BRA": ("Caixa Postal 55",),
    "ITA": ("Casella postale 8",),
    "NLD": ("Postbus 100",),
    "POL": ("Skrytka pocztowa 4", "skr. poczt. 4"),
    "DNK": ("Postboks 9",),
    "SWE": ("Box 123",),
    "FIN": ("PL 100", "Postilokero 7"),
    "HUN": ("Postafiók 5",),
    "GRC": ("Τ.Θ. 123",),
    "RUS": ("а/я 17",),
    "JPN": ("私書箱 5号",),
    "CHN": ("邮政信箱 12",),
    "ISR": ("ת.ד. 44",),
    "ARE": ("ص.ب 123",),
}


@pytest.mark.parametrize(("country", "street"), [(country, street) for country, streets in BOXES.items() for street in streets])
def test_a_post_office_box_is_known_in_many_tongues(country: str, street: str):
    assert address_in(having("customer.shipping_address", address(street_1=street, country_iso_code=country)))[0].po_box


@pytest.mark.parametrize(
    ("country", "street"),
    [
        ("GBR", "Box Lane 12"), ("GBR", "1 Post Office Road"), ("GBR", "BP Garage, High Street"), ("DEU", "Boxhagener Straße 5"),
        ("FRA", "12 rue de Lübeck"), ("ESP", "Calle Mayor 3, apto 4"), ("GBR", "Box 12 Cottages"), ("FRA", "75 CS"), ("ITA", "Via Po 12"),
        ("NLD", "Postweg 3"), ("POL", "ul. Pocztowa 3"), ("JPN", "東京都渋谷区1-2"), ("USA", "Pobre Street 1"), ("GRC", "Θέμιδος 3"),
    ],
)  # fmt: skip
def test_a_street_is_no_box(country: str, street: str):
    assert not address_in(having("customer.shipping_address", address(street_1=street, country_iso_code=country)))[0].po_box


def test_a_box_counts_wherever_it_is_written():
    for field in ("street_2", "additional_info", "company"):
        assert address_in(having("customer.shipping_address", address(**{field: "PO Box 9"})))[0].po_box


@pytest.mark.parametrize("script", ["Αθήνα", "Москва", "東京都", "القاهرة", "ירושלים", "กรุงเทพ", "Łódź", "Straße ẞ"])
def test_every_script_is_kept_as_it_is(script: str):
    _, sealed = address_in(having("customer.shipping_address", address(city=script, street_1=f"{script} 1")))
    assert (sealed.city, sealed.street_1) == (script, f"{script} 1")
