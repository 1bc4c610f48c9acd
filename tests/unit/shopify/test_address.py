"""An address fits Shopify's fields with nothing lost, and is known again without being kept."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.shopify import wire
from adapters.shopify.translate.address import LONGEST, digest_key, digest_of_input, moved, written
from schemas.events.orders import DeliveryAddress

KEY = digest_key("an-unguessable-piece-of-32-signs")
ANN = DeliveryAddress(
    first_name="Ann",
    last_name="Łukasz-Müller",
    street_1="1 Example Street",
    street_2="Flat 2",
    city="Leeds",
    zip_code="LS1 1AA",
    country_code="GB",
    phone="+44 113 000 0000",
)


def shown(**more: Any) -> wire.orders.Address:
    fields: dict[str, Any] = {
        "first_name": "Ann",
        "last_name": "Łukasz-Müller",
        "address1": "1 Example Street",
        "address2": "Flat 2",
        "city": "Leeds",
        "zip": "LS1 1AA",
    }
    return wire.orders.Address(**fields | more)


def kept(address: DeliveryAddress = ANN, key: bytes = KEY) -> wire.frame.MetafieldValue:
    return wire.frame.MetafieldValue(digest_of_input(key, written(address)[0]))


def test_an_ordinary_address_is_written_as_it_is():
    fields, rest = written(ANN)
    assert rest == [] and fields == {
        "firstName": "Ann",
        "lastName": "Łukasz-Müller",
        "address1": "1 Example Street",
        "address2": "Flat 2",
        "city": "Leeds",
        "zip": "LS1 1AA",
        "countryCode": "GB",
        "phone": "+44 113 000 0000",
    }


def test_provinces_are_codes_where_they_are_and_names_where_not_and_a_country_without_a_code_is_named():
    def of(state: str, country_code: str = "US") -> dict[str, str]:
        return written(DeliveryAddress(state=state, country_code=country_code, country="Somewhere"))[0]

    assert of("NY")["provinceCode"] == "NY" and of("US-NY")["provinceCode"] == "NY"
    assert of("West Yorkshire", "GB") == {"province": "West Yorkshire", "countryCode": "GB"}
    assert of("", "") == {"country": "Somewhere"}


def test_a_long_street_goes_on_in_the_second_line_and_what_is_left_in_the_note():
    street = " ".join(["Lane"] * 100)
    fields, rest = written(DeliveryAddress(street_1=street, street_2="Flat 2"))
    assert len(fields["address1"]) <= LONGEST and not fields["address1"].endswith(" ")
    assert f"{fields['address1']} {fields['address2']}" == f"{street}, Flat 2" and rest == []
    fields, [rest_of_it] = written(DeliveryAddress(street_1=street, street_2="x" * 300))
    assert rest_of_it.startswith("Address, continued: ")


words = st.text("aB é,東-", max_size=700)


@given(st.builds(DeliveryAddress, first_name=words, last_name=words, company=words, street_1=words, street_2=words, city=words))
def test_nothing_is_lost_and_nothing_too_long(address):
    fields, rest = written(address)
    assert all(len(text) <= LONGEST for text in fields.values())
    whole = "".join([*fields.values(), *(piece.partition(": ")[2] for piece in rest)]).replace(" ", "").replace(",", "")
    for name in ("first_name", "last_name", "company", "street_1", "street_2", "city"):
        letters = [letter for letter in getattr(address, name) if letter not in " ,"]
        assert all(whole.count(letter) >= letters.count(letter) for letter in set(letters))
    given_ = "".join(getattr(address, name) for name in ("first_name", "last_name", "company", "street_1", "street_2", "city"))
    assert sorted(whole) == sorted(given_.replace(" ", "").replace(",", ""))


def test_an_address_has_moved_when_somebody_lives_elsewhere_and_not_when_it_is_written_otherwise():
    assert not moved(KEY, kept(), shown())
    assert not moved(KEY, kept(), shown(zip="ls11aa", city="LEEDS", first_name="ANN", address2="FLAT 2."))
    for changed in ({"address1": "2 Example Street"}, {"last_name": "Other"}, {"zip": "LS1 1AB"}, {"address2": None}, {"company": "Ltd"}):
        assert moved(KEY, kept(), shown(**changed)), changed


def test_what_cannot_be_compared_has_not_moved():
    assert not moved(KEY, None, shown(address1="2 Example Street"))
    assert not moved(KEY, kept(), None) and not moved(KEY, kept(), wire.orders.Address())
    assert not moved(KEY, kept(key=digest_key("another")), shown(address1="2 Example Street"))


def test_a_digest_says_nothing_and_is_the_same_only_under_the_same_key():
    said = kept().value
    assert said == kept().value != kept(key=digest_key("another")).value
    assert said.partition(":")[2] != kept(DeliveryAddress(city="Leeds")).value.partition(":")[2]
    assert not {"ann", "leeds", "ls11aa"} & set(said.split(":"))
