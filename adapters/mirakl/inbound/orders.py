"""Mirakl's orders into the log: polled by the date of their last change, all pages, with overlap."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import uuid5

import msgspec
from msgspec import Struct
from msgspec.structs import replace as struct

from adapters.mirakl import wire
from adapters.mirakl.client import Client
from adapters.mirakl.strangers import strangers
from adapters.mirakl.translate.orders import hear
from engine.adapter import Heard, Sight
from engine.errors import UnavailableError
from engine.ports import Clock
from schemas.envelope import Fact
from schemas.events.exceptions import ExceptionOpened
from schemas.values import Instant

PAGE = 100  # orders; the ceiling of `max`. Its default of 10 has lost orders for others
SHARED = 10  # orders that each page has in common with the one before: what leaves the list meanwhile moves the rest up
PASSES = 3  # over a list that does not hold still
FITS = 60  # orders that a poll hears of once more, so that with those that are new it gets by with a page
FITS_LONG = 460  # likewise of one poll in each overlap, where each page is a call: five of them
QUIET = timedelta(minutes=5)  # that the marketplace takes off `start_update_date` unasked
LEAST = timedelta(minutes=2)  # that a poll reaches back in any case


class Cursor(Struct, frozen=True, omit_defaults=True):
    until: Instant  # every change up to here was heard
    began: Instant | None = None  # by our clock: when the pass that heard all of it left


def polled_at(cursor: str | None) -> Instant | None:
    """When the last poll that was committed began, by our clock: what was sold before has been heard of. None: nobody knows."""
    return msgspec.json.decode(cursor, type=Cursor).began if cursor else None


class Walk(Struct, frozen=True):
    """One pass over the list of orders."""

    number: int  # which poll of its client's
    found: dict[str, bytes]  # order id -> the order
    missing: int | None  # orders that it counts and did not show; None: it broke off, or something may have slipped by between two pages
    joined: int  # orders by which its count has grown meanwhile
    answered_at: Instant | None  # their clock, as they began to answer


class OrdersSource:
    """OR11. Mirakl's index may lag and its dates are rough, so each poll reaches back beyond the last one; repeats cost nothing, unless it
    takes another page to hear them. Where so much has changed of late, most polls reach back less far.

    Nothing is asked by state: an order that moved on between two polls would be missed.
    """

    def __init__(self, client: Client, clock: Clock, *, every: float, overlap: float, first_look_days: int) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:orders", f"mirakl:{client.place.channel}"
        self.every = every
        self.last_poll: float | None = None  # monotonic, when it ended; None: not yet
        self.tell: Callable[[Sequence[Heard]], Awaitable[None]] | None = None
        self._client, self._clock = client, clock
        self._touched: dict[str, Instant] = {}  # when each order changed last, of those that did within the overlap
        self._long_at: Instant | None = None  # when a poll last reached back as far as it may
        self._left_at = clock.now()  # the first page of the pass that was begun last
        self._overlap, self._first_look = timedelta(seconds=overlap), timedelta(days=first_look_days)

    async def poll(self, cursor: str | None) -> Sight:
        asked_at = self._clock.now().replace(microsecond=0)
        start = asked_at - self._first_look
        if cursor is not None:
            start = self._beyond(min(msgspec.json.decode(cursor, type=Cursor).until, asked_at), asked_at)  # our clock may be set back
        number, orders, answered_at = await self._list(start)
        now = self._clock.now()
        until = min(now.replace(microsecond=0), answered_at or asked_at)  # neither clock is believed further than the other
        self._client.sightings.polled(orders, start, asked_at, number)
        touched = self._touched | {order: at for order, raw in orders.items() if (at := wire.touched(raw)) is not None}
        self._touched = {order: at for order, at in touched.items() if at > until - self._overlap - QUIET}
        self.last_poll = self._clock.monotonic()
        heard = not_before_its_time(heard_of(self._client, orders.values(), now), self._left_at)
        return Sight(heard, msgspec.json.encode(Cursor(until, self._left_at)).decode())

    def _beyond(self, until: Instant, now: Instant) -> Instant:
        """From where on to hear once more what was heard up to there."""
        fits, latest = FITS, sorted(self._touched.values(), reverse=True)
        if self._long_at is None or now - self._long_at >= self._overlap:
            self._long_at = now
            fits = FITS_LONG if self._client.pages_count else len(latest)
        if len(latest) <= fits:
            return until - self._overlap
        return max(until - self._overlap, min(latest[fits] + QUIET, until - LEAST))

    async def _list(self, start: Instant) -> tuple[int, Mapping[str, bytes], Instant | None]:
        """Which poll this is, every order changed since, and their clock when they began to answer. Raises UnavailableError if the list
        never holds still.

        The window has no end: a call may have waited a minute for the limiter, and would not hear what happened meanwhile.
        """
        query = (("start_update_date", written(start)),)
        seen: dict[str, bytes] = {}
        before: Mapping[str, bytes] | None = None
        for left in reversed(range(PASSES)):
            walk = await self._walk(query)
            seen |= walk.found
            # From the last pass what joined since it was begun may be missing: the next poll hears of it.
            whole = walk.missing is not None and walk.missing <= (0 if left else walk.joined)
            same = bool(walk.found) and before is not None and walk.found.keys() == before.keys()  # then it is the count that is wrong
            if whole or same:
                return walk.number, seen, walk.answered_at
            before = walk.found
        raise UnavailableError("the list of orders does not hold still", target=self.target, endpoint=self._client.list_orders.code)

    async def _walk(self, query: tuple[tuple[str, str], ...]) -> Walk:
        """One pass over all pages, oldest order first.

        The list is sorted by what never changes, so a page that begins with orders of the one before leaves nothing out between them.
        """
        found: dict[str, bytes] = {}
        begun_with: int | None = None  # orders
        offset, shared, answered_at, number = 0, 0, None, 0

        def leaves() -> Sequence[tuple[str, str]]:
            nonlocal number
            self._left_at = self._left_at if number else self._clock.now()
            number = number or self._client.sightings.begin()
            return (*query, ("sort", "dateCreated"), ("order", "asc"), ("max", str(PAGE)), ("offset", str(offset)))

        while True:
            page, reply = await self._client.orders(leaves, further=offset > 0)
            if page.orders is None or page.total_count is None:
                raise UnavailableError("a list of orders without its count", target=self.target, endpoint=self._client.list_orders.code)
            answered_at = answered_at or reply.date
            begun_with = page.total_count if begun_with is None else begun_with
            rows = {wire.identity(raw) or sha256(raw).hexdigest(): bytes(raw) for raw in page.orders}
            connected = shared == 0 or any(order in found for order in rows)
            news = [order for order in rows if order not in found]  # in the order of the page, which a set would not keep
            found |= rows
            if offset + len(page.orders) >= page.total_count:
                missing = max(0, page.total_count - len(found)) if connected else None
                return Walk(number, found, missing, page.total_count - begun_with, answered_at)
            if not (connected and news):
                return Walk(number, found, None, 0, answered_at)
            if self.tell is not None:  # the next page may be a call of its own, a minute later
                told = heard_of(self._client, (found[each] for each in news), self._clock.now())
                await self.tell(not_before_its_time(told, self._left_at))
            shared = min(SHARED, len(page.orders) - 1)
            offset += len(page.orders) - shared


def heard_of(client: Client, orders: Iterable[bytes], now: Instant, code: str = "OR11") -> list[Heard]:
    """The facts of these orders; what is new to us or cannot be read is counted. `code` is the operation that showed them."""
    heard: list[Heard] = []
    metrics, labels = client.metrics, ("mirakl", code)
    for raw in orders:
        odd: list[str] = []
        facts = hear(raw, client.place, now, odd)
        fields, values = strangers(raw)
        metrics.schema_unknown_fields.labels(*labels).inc(fields + len(odd))
        metrics.schema_unknown_enum.labels(*labels).inc(values)
        metrics.quarantined.labels(*labels).inc(int(any(_is_unreadable(each) for each in facts)))
        heard += facts
    return heard


def not_before_its_time(heard: Sequence[Heard], asked_at: Instant) -> list[Heard]:
    """What they say happened after they were asked, happened earlier than that by our clock, as far as it is compared with what was heard.

    Else, where theirs ran ahead for once, whatever truly happened until ours has caught up would be older than what is known, and no news.
    Earlier by as much as ours may be ahead of what theirs is as a rule; polls reach back so far, and hear again what was dropped for it.
    Dated so, it is a fact of its own: what was told wrongly at the same moment of theirs, and is put right later, is told once more. What
    begins a story keeps its id, by which the rest of it is known.
    """

    def late(each: Heard) -> bool:
        return each.same is not None and each.fact.occurred_at > asked_at

    at = asked_at - LEAST

    def dated(fact: Fact) -> Fact:
        begins = fact.correlation_id in (None, fact.event_id)
        return struct(fact, event_id=fact.event_id if begins else uuid5(fact.event_id, at.isoformat()), occurred_at=at)

    return [replace(each, fact=dated(each.fact)) if late(each) else each for each in heard]


def _is_unreadable(heard: Heard) -> bool:
    return isinstance(heard.fact.event, ExceptionOpened) and heard.fact.event.code == "X79"


def written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
