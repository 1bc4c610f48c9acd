"""An address as people wrote it into one that a parcel can follow; and what it lacks for that."""

import re
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from adapters.mirakl import wire
from adapters.mirakl.countries import ALPHA_2, CODES, by_name
from adapters.mirakl.translate.story import Story
from adapters.mirakl.translate.values import LOST, text
from engine.adapter import Heard
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven
from schemas.values import Instant

LONGEST = 255  # characters Shopify keeps of one line of an address

# Where post finds its way without a code: those for which Mirakl asks none (contract, customer.organization.address.zip_code,
# 2026-08-13), Ireland, whose codes are voluntary, and countries that have none (Universal Postal Union, addressing guides, 2025).
_CODELESS = """
AE AG AO AW BF BH BI BJ BO BS BW BZ CD CF CG CI CK CL CM CW DJ DM EG ER FJ GA GD GH GM GN GQ GY HK IE JM KI KM KN KP KW LC LY ML MO
MR MW NR NU OM PA PE QA RW SA SB SC SL SO SR SS ST SX SY TD TG TK TL TO TV UG UY VU YE ZW
"""
CODELESS = frozenset(_CODELESS.split())
NOBODY = frozenset({"", "-", "--", ".", "_", "/", "x", "xx", "xxx", "n/a", "na", "none", "null", "undefined", "unknown"})


def address(order: wire.Order, story: Story, updated_at: Instant) -> Iterator[Heard]:
    """Where it goes, once that is disclosed. Characters lost on the way are somebody's business, but hold nothing up."""
    customer = order.customer
    if customer is None or customer.shipping_address is None:
        return
    sealed = _address(order, customer, customer.shipping_address)
    if not (sealed.street_1 or sealed.city or sealed.zip_code):
        return
    given = DeliveryAddressGiven(
        channel=story.channel,
        order_id=story.order_id,
        country_code=sealed.country_code,
        lacks=lacks(sealed),
        po_box=is_po_box(sealed),
    )
    fact = story.fact(given, updated_at, updated_at.isoformat(), personal=sealed)
    yield Heard(story.stream, fact, same=lambda last: last == given)
    if lost := next((field for field, value in msgspec.structs.asdict(sealed).items() if LOST in value), None):
        yield _lost(f"customer.shipping_address.{lost}", story, updated_at)


def _address(order: wire.Order, customer: wire.Customer, theirs: wire.Address) -> DeliveryAddress:
    first, last = named(theirs.firstname, theirs.lastname)
    if not last:
        first, last = named(customer.firstname, customer.lastname)
    streets = [line for line in (tidy(theirs.street_1), tidy(theirs.street_2)) if line]
    return folded(
        DeliveryAddress(
            first_name=first,
            last_name=last,
            company=" ".join(part for part in (tidy(theirs.company), tidy(theirs.company_2)) if part),
            street_1=streets[0] if streets else "",
            street_2=streets[1] if len(streets) > 1 else "",
            city=tidy(theirs.city),
            zip_code=tidy(theirs.zip_code),
            state=tidy(theirs.state),
            country=tidy(theirs.country),
            country_code=country_code(theirs),
            phone=tidy(theirs.phone) or tidy(theirs.phone_secondary),
            email=tidy(order.customer_notification_email),
            notes=tidy(theirs.additional_info),
        )
    )


def tidy(value: wire.Text) -> str:
    """On one line, without blanks to spare; whatever its script."""
    return " ".join("".join(" " if letter < " " or letter == "\x7f" else letter for letter in text(value)).split())


def named(first: wire.Text, last: wire.Text) -> tuple[str, str]:
    """First and last name. A whole name in one of the two is parted after its first word, so that joined again it reads as it was given;
    one that stands in both is taken once. The last name is there if anything is.
    """
    given, family = (("" if tidy(part).casefold() in NOBODY else tidy(part)) for part in (first, last))
    if given.casefold() == family.casefold() or not (given and family):
        words = (family or given).split()
        return (words[0], " ".join(words[1:])) if len(words) > 1 else ("", "".join(words))
    if family.casefold().startswith(f"{given.casefold()} "):
        return given, family[len(given) :].strip() or family
    return given, family


def folded(sealed: DeliveryAddress) -> DeliveryAddress:
    """A line longer than fits goes on in the next; what fits nowhere goes to the notes, so that nothing is lost."""
    first, over = _broken(sealed.street_1)
    second, rest = _broken(f"{over} {sealed.street_2}".strip())
    return replace(sealed, street_1=first, street_2=second, notes=f"{rest} {sealed.notes}".strip())


def _broken(line: str) -> tuple[str, str]:
    if len(line) <= LONGEST:
        return line, ""
    at = line.rfind(" ", 0, LONGEST + 1)
    at = at if at > 0 else LONGEST
    return line[:at].strip(), line[at:].strip()


def country_code(theirs: wire.Address) -> str:
    """ISO 3166 alpha-2, from a code in either field, or else from a name in any of the languages that are spoken there."""
    for said in (tidy(theirs.country_iso_code).upper(), tidy(theirs.country).upper()):
        if said in ALPHA_2 or said in CODES:
            return ALPHA_2.get(said, said)
    return by_name(tidy(theirs.country))


def lacks(sealed: DeliveryAddress) -> tuple[str, ...]:
    """What nothing can be delivered without."""
    there = {
        "name": bool(sealed.last_name or sealed.company),
        "street": bool(sealed.street_1),
        "city": bool(sealed.city),
        "zip_code": bool(sealed.zip_code) or sealed.country_code in CODELESS,
        "country": bool(sealed.country_code),
    }
    return tuple(field for field, is_there in there.items() if not is_there)


# ---------------------------------------------------------------- boxes that only the post reaches

# How a post office box is written, in the words of the countries that asos and its like serve, and of some more. Abbreviations that mean
# something else too count only before a number.
_BOX = re.compile(
    r"""
    \b p \W* o \W* b (?: \W* o \W* x )? \b (?! \w )      # P.O. Box, PO Box, P O B
    | \b post \s* office \s* box \b | \b postal \s* box \b | \b (?: private | locked ) \s* (?: mail \s* )? bag \b
    | \b post (?: fach | bus | box | boks | ilokero ) \b  # German, Dutch, Swedish, Danish and Norwegian, Finnish
    | \b bo[iî]te \s+ postale \b | \b (?: b \.? \s? p | c \.? \s? s | t \.? \s? s \.? \s? a ) \b \.? \s* (?: n[°ºo]? \s* )? \d
    | \b apartado \b (?: \s+ de \s+ correos | \s+ postal | \W* \d ) | \b apdo \b | \b caixa \s+ postal \b
    | \b casella \s+ postale \b
    | \b skrytka \s+ poczt | \b skr \.? \s* poczt
    | \b poštovní \s+ (?: schránka | přihrádka ) \b | \b poštanski \s+ pretinac \b | \b poštni \s+ predal \b
    | \b postafiók \b | \b c[ăa]su[țţt]a \s+ po[șşs]tal[ăa] \b | \b posta \s+ kutusu \b
    | абонентский \s+ ящик | (?<!\w) а / я (?!\w) | (?<!\w) п \. ?\s? к \. \s* \d
    | ταχ (?: υδρομική | \. )? \s* θυρίδα | (?<!\w) τ \. \s? θ \.
    | 私書箱 | [邮郵] 政? 信箱
    | صندوق \s+ بريد | (?<!\w) ص \s* \. \s* ب
    | (?<!\w) ת \.? \s? ד \.? (?!\w)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NORDIC_BOX = re.compile(r"^(?:box|boks|pl)\s+\d", re.IGNORECASE)  # elsewhere a box may be in a street of that name
_NORDIC = frozenset({"AX", "DK", "FI", "NO", "SE"})


def is_po_box(sealed: DeliveryAddress) -> bool:
    lines = (sealed.street_1, sealed.street_2, sealed.company, sealed.notes)
    if any(_BOX.search(line) for line in lines):
        return True
    return sealed.country_code in _NORDIC and any(_NORDIC_BOX.match(line) for line in lines)


# ---------------------------------------------------------------- a lost character


def _lost(field: str, story: Story, at: Instant) -> Heard:
    opened = ExceptionOpened(
        key=f"X22:{story.stream}:{field}",
        code="X22",
        subject=story.stream,
        summary=f"{field} of order {story.order_id} lost a character on its way here",
        field=field,
        owner="CX",
        severity=1,
    )
    return story.heard(opened, at, field)
