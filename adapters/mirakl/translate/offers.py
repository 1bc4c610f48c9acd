"""Offers as an export has them, into what is shown of them. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from adapters.mirakl import wire
from adapters.mirakl.translate.story import SEPARATOR, Place
from adapters.mirakl.translate.values import UnreadableError, amount, currency, digest, is_absent, name, units
from engine.adapter import Heard
from schemas.envelope import Fact, event_id
from schemas.events import Event, tag_of
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.inventory import OffersRead
from schemas.streams import offers_stream
from schemas.values import Instant, Money, Sku

FIELDS = ("shop_sku", "quantity", "active", "deleted", "currency_iso_code", "prices")  # all that is asked for, and read


def offers_heard(raw: Iterable[Raw], place: Place, read_at: Instant, identity: str) -> tuple[list[Heard], int]:
    """One event for all of them, and how many could not be read: these are named to a person, and hide none of the others.

    `identity` tells this helping from every other one.
    """
    quantities: dict[Sku, int] = {}
    inactive, deleted, prices, odd = [], [], {}, []
    for one in raw:
        try:
            offer = wire.read(one, wire.Offer)
            sku = Sku(name(offer.shop_sku, "shop_sku"))
            quantities[sku] = units(offer.quantity, "quantity", missing=0)
        except (UnreadableError, msgspec.ValidationError) as error:
            odd.append((error.field if isinstance(error, UnreadableError) else wire.where(error), digest(bytes(one))))
            continue
        if offer.deleted:
            deleted.append(sku)
        elif not offer.active:
            inactive.append(sku)
        if (price := _price(offer)) is not None:
            prices[sku] = price
    heard = [_of_offers(_trouble(place, odd), place, read_at, *sorted(key for _, key in odd))] if odd else []
    if quantities:
        read = OffersRead(
            channel=place.channel,
            read_at=read_at,
            quantities=quantities,
            inactive=tuple(inactive),
            deleted=tuple(deleted),
            prices=prices,
        )
        heard.append(_of_offers(read, place, read_at, identity))
    return heard, len(odd)


def readable_again(place: Place, at: Instant) -> Heard:
    closed = ExceptionClosed(key=_key(place), reason="every offer could be read", subject=offers_stream(place.channel))
    return _of_offers(closed, place, at, at.isoformat())


def _price(offer: wire.Offer) -> Money | None:
    """Of one unit, for whoever buys it without further terms, before any discount. None: not told, or not readable; it decides nothing."""
    plain = next((price for price in offer.prices or () if is_absent(price.context)), None)
    try:
        return None if plain is None else amount(plain.origin_price, "origin_price", currency(offer.currency_iso_code))
    except UnreadableError:
        return None


def _key(place: Place) -> str:
    return f"X79:{offers_stream(place.channel)}"


def _trouble(place: Place, odd: list[tuple[str, str]]) -> ExceptionOpened:
    fields = ", ".join(sorted({field or "the whole" for field, _ in odd}))
    return ExceptionOpened(
        key=_key(place),
        code="X79",
        subject=offers_stream(place.channel),
        summary=f"{len(odd)} offers of {place.channel} cannot be read: {fields}",
        owner="ENG",
    )


def _of_offers(event: Event, place: Place, at: Instant, *parts: str, **how: Any) -> Heard:
    identity = event_id(place.tenant, place.source, SEPARATOR.join(parts), tag_of(event))
    return Heard(offers_stream(place.channel), Fact(event=event, event_id=identity, occurred_at=at, actor=place.source), **how)
