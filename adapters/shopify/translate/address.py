"""Where a parcel goes: cut to Shopify's limits with nothing lost, and known again without being kept."""

import hashlib
import hmac
import re
import unicodedata

from adapters.shopify import wire
from schemas.events.orders import DeliveryAddress

LONGEST = 255  # characters in one field of an address
LONGEST_NOTE = 5_000  # characters

_PROVINCE_CODE = re.compile(r"[A-Z0-9]{1,3}", re.ASCII)


def written(address: DeliveryAddress) -> tuple[dict[str, str], list[str]]:
    """The fields of a MailingAddressInput, and what found no place in them, each piece with its name: that goes into the note.

    A long street goes on in the second line.
    """
    rest: list[str] = []

    def fitted(name: str, text: str) -> str:
        kept, over = _cut(text)
        if over:
            rest.append(f"{name}, continued: {over}")
        return kept

    street, more = _cut(address.street_1)
    state = address.state.removeprefix(f"{address.country_code}-") if address.country_code else address.state  # ISO 3166-2: US-CA
    fields = {
        "firstName": fitted("First name", address.first_name),
        "lastName": fitted("Last name", address.last_name),
        "company": fitted("Company", address.company),
        "address1": street,
        "address2": fitted("Address", ", ".join(part for part in (more, address.street_2) if part)),
        "city": fitted("City", address.city),
        "zip": fitted("Postcode", address.zip_code),
        "provinceCode" if _PROVINCE_CODE.fullmatch(state) else "province": fitted("Province", state),
        "countryCode": address.country_code,
        "country": "" if address.country_code else fitted("Country", address.country),
        "phone": fitted("Phone", address.phone),
    }
    return {name: text for name, text in fields.items() if text}, rest


def _cut(text: str) -> tuple[str, str]:
    """As much as fits, to the end of a word where there is one, and the rest."""
    if len(text) <= LONGEST:
        return text, ""
    blank = text.rfind(" ", LONGEST // 2, LONGEST + 1)
    end = blank if blank > 0 else LONGEST
    return text[:end].rstrip(), text[end:].lstrip()


# ---------------------------------------------------------------- known again


def digest_key(secret: str) -> bytes:
    """From a secret that only we have: whoever reads a digest cannot try addresses out on it."""
    return hmac.new(secret.encode(), b"shipping address", hashlib.sha256).digest()


def digest(key: bytes, *, names: list[str], streets: list[str], city: str, postcode: str) -> str:
    """What tells one address from another without saying either: `key:address`, both as hexadecimal digits.

    Over letters and digits alone, without case: Shopify writes postcodes and blanks its own way, and nobody moved because of that. Country
    and province are left out, since it fills in codes by itself; the key's own mark shows when a digest was made with another one.
    """
    said = "\x1f".join("".join(map(_plain, part)) for part in (names, streets, [city], [postcode]))
    return f"{hmac.new(key, b'which', hashlib.sha256).hexdigest()[:8]}:{hmac.new(key, said.encode(), hashlib.sha256).hexdigest()}"


def digest_of_input(key: bytes, fields: dict[str, str]) -> str:
    """Of an address as we send it."""
    given = fields.get
    return digest(
        key,
        names=[given("firstName", ""), given("lastName", ""), given("company", "")],
        streets=[given("address1", ""), given("address2", "")],
        city=given("city", ""),
        postcode=given("zip", ""),
    )


def moved(key: bytes, kept: wire.frame.MetafieldValue | None, shown: wire.orders.Address | None) -> bool:
    """Whether an order's address is not the one that we gave. False where that cannot be told: no digest, another key, nothing shown."""
    if kept is None or shown is None:
        return False
    names, streets = [shown.first_name, shown.last_name, shown.company], [shown.address1, shown.address2]
    if not any((*names, *streets, shown.city, shown.zip)):
        return False  # hidden from us
    now = digest(
        key,
        names=[name or "" for name in names],
        streets=[street or "" for street in streets],
        city=shown.city or "",
        postcode=shown.zip or "",
    )
    return kept.value.partition(":")[0] == now.partition(":")[0] and not hmac.compare_digest(kept.value.encode(), now.encode())


def _plain(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())
