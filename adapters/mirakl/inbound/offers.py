"""What a channel shows of its offers, read back from exports: every few minutes what changed, once a day all of it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import anyio
import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from adapters.mirakl import answers
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import EXPORT_ALL_OFFERS, EXPORT_OFFERS, OFFERS_FILE, OFFERS_STATUS
from adapters.mirakl.inbound.orders import written
from adapters.mirakl.translate.offers import FIELDS, offers_heard, readable_again
from engine.adapter import Heard, Sight
from engine.errors import RejectedError, UnavailableError
from engine.ports import Clock
from schemas.values import Instant

MEGABYTES = 10  # of a file; the least that may be asked for
LARGEST = 24 * 1024 * 1024  # bytes of a file as it is read: theirs may be counted otherwise
AT_ONCE = 1_000  # offers in one event
LOOK = 15.0  # seconds between two looks at an export; 10 are allowed
NEXT = 1.0  # seconds between two helpings of a file
LATEST = timedelta(hours=1)  # an export that is not there by then never comes
AGAIN = timedelta(minutes=5)  # after one that failed
OVERLAP = timedelta(minutes=15)  # that a reading reaches back: what was read while a file was under way says nothing, and is read again
DAY = timedelta(days=1)
EVER = datetime(2000, 1, 1, tzinfo=UTC)  # no offer is older
PATIENCE = 45.0  # seconds of the event loop that a whole export is waited for, when one was asked for within a day


class Asked(Struct, frozen=True, omit_defaults=True):
    """An export that was asked for, and how much of it has been heard."""

    tracking_id: str
    at: Instant
    file: int = 0  # of its files, the one that is being heard
    offers: int = 0  # of this file, heard
    odd: int = 0  # that could not be read


class Cursor(Struct, frozen=True, omit_defaults=True):
    read: Instant | None = None  # every change up to here was heard; None: of none yet
    whole: Instant | None = None  # when all offers were asked for last
    due: Instant | None = None  # when to ask for the next; None: at once
    odd: bool = False  # some could not be read, the last time
    asked: Asked | None = None


class OffersSource:
    """OF52, OF53, OF54. Whatever a reading finds otherwise than believed is for the fold to judge.

    The cursor is all it knows, so that it goes on where it was; no more than one file is held in memory. Nothing is read before the shop
    is known: of an offer whose SKU nobody has counted yet, nobody can say that there is none.
    """

    def __init__(self, client: Client, clock: Clock, *, every: float) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:offers", f"mirakl:{client.place.channel}"
        self.every = LOOK
        self._client, self._clock, self._interval = client, clock, timedelta(seconds=every)
        self._file: tuple[str, int, list[Raw]] | None = None  # tracking_id, number, its offers
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
            with anyio.move_on_after(PATIENCE):  # one was asked for within a day, and its answer was lost
                tracking_id = await self._export(None)
        if tracking_id is None:
            tracking_id = await self._export((known.read or EVER) - OVERLAP)
        self.every = LOOK
        return Sight((), _written(replace(known, due=None, asked=Asked(tracking_id, now))))

    async def _export(self, since: Instant | None) -> str:
        """OF52: all offers, or all that changed since."""
        endpoint = EXPORT_ALL_OFFERS if since is None else EXPORT_OFFERS
        which = {"include_inactive_offers": True} if since is None else {"last_request_date": written(since)}
        body = {"export_type": "application/json", "include_fields": FIELDS, "megabytes_per_chunk": MEGABYTES, **which}
        reply = await self._client.send(endpoint, json=body, expect="json")
        tracking_id = self._client.read(endpoint, reply, answers.ExportAccepted).tracking_id
        if not tracking_id:
            raise UnavailableError("an export was taken without a tracking_id", target=self.target, endpoint=endpoint.code)
        return str(tracking_id)

    async def _follow(self, known: Cursor, asked: Asked) -> Sight:
        offers = self._file[2] if self._file is not None and self._file[:2] == (asked.tracking_id, asked.file) else None
        if offers is None:
            try:
                urls = await self._urls(asked)
                if urls is None:
                    return self._waits(known, asked)
                if asked.file >= len(urls):
                    return self._over(known, asked)
                offers = await self._download(urls[asked.file])
            except RejectedError:  # gone, or expired: there will be another
                return self._anew(known)
            self._file = (asked.tracking_id, asked.file, offers)
        return self._helping(known, asked, offers)

    async def _urls(self, asked: Asked) -> list[str] | None:
        """The addresses of its files; None: not yet. Raises RejectedError where it never will."""
        reply = await self._client.send(OFFERS_STATUS, path={"tracking_id": asked.tracking_id}, expect="json")
        told = self._client.read(OFFERS_STATUS, reply, answers.ExportStatus)
        if told.status == "COMPLETED":
            return told.urls or []
        if told.status in ("FAILED", "CANCELED", "CANCELLED"):
            raise RejectedError("the export failed", target=self.target, endpoint=OFFERS_STATUS.code)
        if told.status != "PENDING":
            self._client.metrics.schema_unknown_enum.labels("mirakl", OFFERS_STATUS.code).inc()
        return None

    async def _download(self, url: str) -> list[Raw]:
        reply = await self._client.send(OFFERS_FILE, at=url, most=LARGEST, expect="json")
        try:
            return msgspec.json.decode(reply.body, type=list[Raw])
        except msgspec.DecodeError:
            raise UnavailableError("a file that is no list of offers", target=self.target, endpoint=OFFERS_FILE.code) from None

    def _helping(self, known: Cursor, asked: Asked, offers: list[Raw]) -> Sight:
        """The next of a file's offers. After its last one the file is forgotten."""
        told = offers[asked.offers : asked.offers + AT_ONCE]
        rest = asked.offers + AT_ONCE < len(offers)
        if not rest:
            self._file = None
        heard, odd = offers_heard(told, self._client.place, asked.at, f"{asked.tracking_id}/{asked.file}/{asked.offers}")
        file, number = (asked.file, asked.offers + AT_ONCE) if rest else (asked.file + 1, 0)
        self.every = NEXT if rest else LOOK
        return Sight(heard, _written(replace(known, asked=replace(asked, file=file, offers=number, odd=asked.odd + odd))))

    def _waits(self, known: Cursor, asked: Asked) -> Sight:
        if self._clock.now() - asked.at > LATEST:
            return self._anew(known)
        self.every = LOOK
        return Sight((), _written(known))

    def _over(self, known: Cursor, asked: Asked) -> Sight:
        now = self._clock.now()
        heard: list[Heard] = [] if asked.odd or not known.odd else [readable_again(self._client.place, now)]
        due = asked.at + self._interval
        self.every = max((due - now).total_seconds(), NEXT)
        return Sight(heard, _written(Cursor(read=asked.at, whole=known.whole, due=due, odd=asked.odd > 0)))

    def _anew(self, known: Cursor) -> Sight:
        """From where the last reading ended, after a pause."""
        self._file = None
        self.every = AGAIN.total_seconds()
        return Sight((), _written(replace(known, due=self._clock.now().replace(microsecond=0) + AGAIN, asked=None)))


def _written(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()
