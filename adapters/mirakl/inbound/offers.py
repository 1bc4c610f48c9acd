"""What a channel shows of its offers, read back from exports: every few minutes what changed, once a day all of it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import EXPORT_ALL_OFFERS, EXPORT_OFFERS, OFFERS_FILE, OFFERS_STATUS
from adapters.mirakl.inbound import export
from adapters.mirakl.inbound.export import LARGEST, NEXT, Export, Helping, State
from adapters.mirakl.inbound.orders import written
from adapters.mirakl.translate.offers import FIELDS, offers_heard, readable_again
from engine.adapter import Heard, Sight
from engine.errors import ThrottledError, UnavailableError
from engine.ports import Clock
from schemas.values import Instant

AT_ONCE = 1_000  # offers in one event
LOOK = 15.0  # seconds between two looks at an export; 10 are allowed
LATEST = timedelta(hours=1)  # an export that is not there by then never comes
AGAIN = timedelta(minutes=5)  # after one that failed
OVERLAP = timedelta(minutes=15)  # that a reading reaches back: what was read while a file was under way says nothing, and is read again
DAY = timedelta(days=1)
EVER = datetime(2000, 1, 1, tzinfo=UTC)  # no offer is older


WHAT = {"export_type": "application/json", "include_fields": FIELDS}


class Asked(export.Asked, frozen=True, omit_defaults=True, kw_only=True):
    odd: int = 0  # offers that could not be read


class Cursor(Struct, frozen=True, omit_defaults=True):
    read: Instant | None = None  # every change up to here was heard; None: of none yet
    whole: Instant | None = None  # when all offers were asked for last
    due: Instant | None = None  # when to ask for the next; None: at once
    odd: bool = False  # some could not be read, the last time
    asked: Asked | None = None


class OffersSource:
    """OF52, OF53, OF54. Whatever a reading finds otherwise than believed is for the fold to judge.

    The cursor is all it knows, so that it goes on where it was. Nothing is read before the shop is known: of an offer whose SKU nobody has
    counted yet, nobody can say that there is none.
    """

    def __init__(self, client: Client, clock: Clock, *, every: float) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:offers", f"mirakl:{client.place.channel}"
        self.every = LOOK
        self._client, self._clock, self._interval = client, clock, timedelta(seconds=every)
        self._export = Export(client, OFFERS_STATUS, self._download)
        self.shop_known: Callable[[], Awaitable[bool]] | None = None  # whether each SKU of the shop was counted once; None: nobody to ask

    async def poll(self, cursor: str | None) -> Sight:
        known = msgspec.json.decode(cursor, type=Cursor) if cursor else Cursor()
        now = self._clock.now()
        if known.asked is not None:
            return await self._follow(known, known.asked)
        if known.due is not None and now < known.due:
            self.every = min((known.due - now).total_seconds(), self._interval.total_seconds())
            return Sight((), cursor or "")
        if not cursor and self.shop_known is not None and not await self.shop_known():
            self.every = LOOK
            return Sight((), "")
        return await self._ask(known, now.replace(microsecond=0))

    async def _ask(self, known: Cursor, now: Instant) -> Sight:
        tracking_id = None
        if known.whole is None or now - known.whole >= DAY:
            known = replace(known, whole=now)
            with suppress(ThrottledError):  # one was asked for within a day, and its answer was lost
                tracking_id = await self._export.ask(EXPORT_ALL_OFFERS, WHAT | {"include_inactive_offers": True})
        if tracking_id is None:
            since = (known.read or EVER) - OVERLAP
            tracking_id = await self._export.ask(EXPORT_OFFERS, WHAT | {"last_request_date": written(since)})
        self.every = LOOK
        return Sight((), _written(replace(known, due=None, asked=Asked(tracking_id=tracking_id, at=now))))

    async def _follow(self, known: Cursor, asked: Asked) -> Sight:
        now = self._clock.now()
        match await self._export.next(asked, AT_ONCE):
            case Helping(items=offers, file=file, heard=number, pause=pause):
                heard, odd = offers_heard(offers, self._client.place, asked.at, f"{asked.tracking_id}/{asked.file}/{asked.heard}")
                self.every = LOOK if pause else NEXT
                return Sight(heard, _written(replace(known, asked=replace(asked, file=file, heard=number, odd=asked.odd + odd))))
            case State.PENDING if now - asked.at <= LATEST:
                self.every = LOOK
                return Sight((), _written(known))
            case State.HEARD:
                told: list[Heard] = [] if asked.odd or not known.odd else [readable_again(self._client.place, now)]
                due = asked.at + self._interval
                self.every = max((due - now).total_seconds(), NEXT)
                return Sight(told, _written(Cursor(read=asked.at, whole=known.whole, due=due, odd=asked.odd > 0)))
        self.every = AGAIN.total_seconds()  # from where the last reading ended
        return Sight((), _written(replace(known, due=now.replace(microsecond=0) + AGAIN, asked=None)))

    async def _download(self, url: str) -> list[Raw]:
        reply = await self._client.send(OFFERS_FILE, at=url, most=LARGEST, expect="json")
        try:
            return msgspec.json.decode(reply.body, type=list[Raw])
        except msgspec.DecodeError:
            raise UnavailableError("a file that is no list of offers", target=self.target, endpoint=OFFERS_FILE.code) from None


def _written(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()
