"""The facts of one order or channel: each with an id of its own, those of one order with one correlation."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from adapters.mirakl import wire
from adapters.mirakl.translate.values import UnreadableError, digest, name, optional_instant
from engine.adapter import Heard
from schemas.envelope import Fact, event_id
from schemas.events import Event, Personal, tag_of
from schemas.events.exceptions import ExceptionOpened, RawPayload
from schemas.events.orders import OrderPlaced, OrderSignalled, OrderStateChanged
from schemas.streams import channel_stream, order_stream
from schemas.values import ChannelId, Instant, OrderId, TenantId

LEFT = frozenset({"SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED", "REFUSED", "CANCELED"})  # orders that nobody has to dispatch any more
SEPARATOR = "\x1f"  # between the parts of an external id; never in one: ids are printable


class Place(Struct, frozen=True):
    """Whose orders these are, and how they were asked for."""

    tenant: TenantId
    channel: ChannelId
    tax_mode: str = ""  # TAX_INCLUDED, TAX_EXCLUDED; "": the platform's own
    test_field: str = ""  # code of the additional field that marks a test order; "": none does
    blocklist: Mapping[str, str] = {}  # translate.buyers.buyer_mark -> the entry's name
    blocklist_key: bytes = b""

    @property
    def source(self) -> str:
        return f"mirakl:{self.channel}"


class Story:
    """Where the facts of one order go, and how they are told apart."""

    def __init__(self, place: Place, order_id: str, odd: list[str]) -> None:
        self.place, self.channel, self.order_id = place, place.channel, OrderId(order_id)
        self.odd = odd  # fields that could not be read and are not needed: passed over
        self.stream = order_stream(place.channel, OrderId(order_id))

    def fact(self, event: Event, occurred_at: Instant, *parts: str, personal: Personal | None = None) -> Fact:
        """`parts` tell this fact from others of its kind in the order."""
        return Fact(
            event=event,
            event_id=self._id(tag_of(event), *parts),
            occurred_at=occurred_at,
            personal=personal,
            subject=self.stream if personal is not None else "",
            correlation_id=self._id(tag_of(OrderPlaced)),
            actor=self.place.source,
        )

    def heard(self, event: Event, occurred_at: Instant, *parts: str, **how: Any) -> Heard:
        return Heard(self.stream, self.fact(event, occurred_at, *parts), **how)

    def version(self, event: Event, at: Instant, *parts: str, **how: Any) -> Heard:
        """A fact that replaces the one before: told when it says something else, whatever it said before that.

        `at` is when the marketplace last touched what this tells of: the same state entered again is another fact, a stale answer is none.
        """
        return self.heard(event, at, *parts, fingerprint(event), at.isoformat(), same=lambda last: last == event, **how)

    def moved(self, event: OrderStateChanged | OrderSignalled, at: Instant) -> Heard:
        """A version that says itself since when it is so: told when it says something else, not when the order was touched again."""

        def same(last: Event) -> bool:
            return isinstance(last, type(event)) and replace(last, at=None) == replace(event, at=None)

        timed = replace(event, at=at)
        return self.heard(timed, at, fingerprint(timed), at.isoformat(), same=same)

    def passed_over(self, thing: str, identity: str, body: bytes, error: UnreadableError, at: Instant) -> Heard:
        """A part of the order that cannot be read and hides none of the rest: the same fact as long as it is shown alike."""
        key, what = f"X79:{self.stream}:{thing}:{identity}", f"{thing} {identity} of order {self.order_id}"
        opened = _opened(key, self.stream, f"{what} of {self.channel}", error)
        return Heard(self.stream, self.fact(opened, at, thing, identity, error.field, digest(body), personal=_sealed(body)))

    def _id(self, kind: str, *parts: str) -> UUID:
        return event_id(self.place.tenant, self.place.source, SEPARATOR.join((self.order_id, *parts)), kind)


def fingerprint(event: Event) -> str:
    return digest(msgspec.json.encode(event))


def of_channel(event: Event, place: Place, at: Instant, *parts: str, **how: Any) -> Heard:
    """Something about a channel as a whole."""
    identity = event_id(place.tenant, place.source, SEPARATOR.join(parts), tag_of(event))
    return Heard(channel_stream(place.channel), Fact(event=event, event_id=identity, occurred_at=at, actor=place.source), **how)


def unreadable(raw: bytes | Raw, place: Place, seen_at: Instant, error: UnreadableError, thing: str = "order") -> Heard:
    """In the order's own stream, or in the channel's where not even the order is named.

    Its id covers the whole payload: the same one heard again is the same fact, another one is another.
    """
    body = bytes(raw)
    try:
        order_id = name(wire.identity(body), "order_id")
        stream, what = order_stream(place.channel, OrderId(order_id)), f"order {order_id}"
    except UnreadableError:
        stream, what = channel_stream(place.channel), "an order without a usable order_id"
    key = f"X79:{stream}" if thing == "order" else f"X79:{stream}:{thing}"
    opened = _opened(key, stream, f"{what if thing == 'order' else f'a {thing} of {what}'} of {place.channel}", error)
    opened = replace(opened, deadline=_dispatch_by(body))
    dated = (opened.deadline.isoformat(),) if opened.deadline else ()  # with it, another fact than older versions told
    external_id = SEPARATOR.join(("unreadable", error.field, digest(body), *dated))
    identity = event_id(place.tenant, place.source, external_id, tag_of(opened))
    fact = Fact(
        event=opened,
        event_id=identity,
        occurred_at=seen_at,
        personal=_sealed(body),
        subject=stream if stream != channel_stream(place.channel) else f"payload-{identity}",  # whoever it is has it to himself
        actor=place.source,
    )
    return Heard(stream, fact)


def _dispatch_by(body: bytes) -> Instant | None:
    """When what cannot be read has to leave at the latest, as far as that much can be read."""
    if wire.identity(body, "order_state") in LEFT:
        return None
    return optional_instant(wire.identity(body, "shipping_deadline"), "shipping_deadline", [])


def _opened(key: str, stream: str, what: str, error: UnreadableError) -> ExceptionOpened:
    summary = f"{what} cannot be read: {error.field} {error.why}"
    return ExceptionOpened(key=key, code="X79", subject=stream, summary=summary, field=error.field, owner="ENG")


def _sealed(body: bytes) -> RawPayload:
    return RawPayload(body=body.decode(errors="replace").replace("\0", ""))
