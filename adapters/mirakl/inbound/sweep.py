"""Once a day, every order that changed of late is heard once more, from an export: what a poll may have missed comes in here."""

from datetime import timedelta

import msgspec
from msgspec import Raw, Struct

from adapters.mirakl import answers
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import EXPORT_FILE, EXPORT_ORDERS, EXPORT_STATUS
from adapters.mirakl.inbound.orders import heard_of, written
from engine.adapter import Sight
from engine.errors import RejectedError, UnavailableError
from engine.ports import Clock
from schemas.values import Instant

MEGABYTES = 10  # of a file; the least that may be asked for
LARGEST = 24 * 1024 * 1024  # bytes of a file as it is read: theirs may be counted otherwise
AT_ONCE = 100  # orders heard in one go, so that nobody else waits long for the log
LOOK = 10.0  # seconds between two looks at an export; the recommended rate
NEXT = 1.0  # seconds between two helpings of a file
LATEST = timedelta(hours=6)  # an export that is not there by then never comes
AGAIN = timedelta(minutes=15)  # after one that failed
OVERLAP = timedelta(days=1)  # that a sweep reaches back beyond the last one


class Asked(Struct, frozen=True, omit_defaults=True):
    """An export that was asked for, and how much of it has been heard."""

    tracking_id: str
    at: Instant
    since: Instant
    until: Instant
    file: int = 0  # of its files, the one that is being heard
    orders: int = 0  # of this file, heard


class Cursor(Struct, frozen=True, omit_defaults=True):
    swept: Instant | None = None  # every change up to here was heard twice; None: of none yet
    due: Instant | None = None  # when to ask for the next; None: at once
    asked: Asked | None = None


class File(Struct):
    """OR15. Each order is read by itself."""

    orders: list[Raw] | None = None


class SweepSource:
    """OR13, OR14, OR15. The cursor is all it knows, so that it goes on where it was; no more than one file is held in memory, and a file is
    downloaded once unless the engine stops amid it.
    """

    def __init__(self, client: Client, clock: Clock, *, every: float, first_look_days: int) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:sweep", f"mirakl:{client.place.channel}"
        self.every = LOOK
        self._client, self._clock = client, clock
        self._interval, self._first_look = timedelta(seconds=every), timedelta(days=first_look_days)
        self._file: tuple[str, int, list[bytes]] | None = None  # tracking_id, number, its orders

    async def poll(self, cursor: str | None) -> Sight:
        known = msgspec.json.decode(cursor, type=Cursor) if cursor else Cursor()
        now = self._clock.now()
        if known.asked is not None:
            return await self._follow(known, known.asked)
        if known.due is not None and now < known.due:
            self.every = min((known.due - now).total_seconds(), 3600.0)
            return Sight((), cursor or "")
        return await self._ask(known, now.replace(microsecond=0))

    async def _ask(self, known: Cursor, now: Instant) -> Sight:
        """OR13, for all that changed since the last sweep. Its pair of dates is complete, as it must be."""
        since = known.swept - OVERLAP if known.swept is not None else now - self._first_look
        body = {"start_update_date": written(since), "end_update_date": written(now), "megabytes_per_chunk": MEGABYTES}
        if self._client.place.tax_mode:
            body["order_tax_mode"] = self._client.place.tax_mode
        reply = await self._client.send(EXPORT_ORDERS, json=body, expect="json")
        tracking_id = self._client.read(EXPORT_ORDERS, reply, answers.ExportAccepted).tracking_id
        if not tracking_id:
            raise UnavailableError("an export was taken without a tracking_id", target=self.target, endpoint=EXPORT_ORDERS.code)
        self.every = LOOK
        asked = Asked(str(tracking_id), at=now, since=since, until=now)
        return Sight((), _written(Cursor(known.swept, None, asked)))

    async def _follow(self, known: Cursor, asked: Asked) -> Sight:
        orders = self._file[2] if self._file is not None and self._file[:2] == (asked.tracking_id, asked.file) else None
        if orders is None:
            try:
                urls = await self._urls(asked)
                if urls is None:
                    return self._waits(known, asked)
                if asked.file >= len(urls):
                    return self._over(known, asked)
                orders = await self._download(urls[asked.file])
            except RejectedError:  # gone, or expired: there will be another
                return self._anew(known)
            self._file = (asked.tracking_id, asked.file, orders)
        return self._helping(known, asked, orders)

    async def _urls(self, asked: Asked) -> list[str] | None:
        """The addresses of its files; None: not yet. Raises RejectedError where it never will."""
        reply = await self._client.send(EXPORT_STATUS, path={"tracking_id": asked.tracking_id}, expect="json")
        told = self._client.read(EXPORT_STATUS, reply, answers.ExportStatus)
        if told.status == "COMPLETED":
            return told.urls or []
        if told.status in ("FAILED", "CANCELED", "CANCELLED"):
            raise RejectedError("the export failed", target=self.target, endpoint=EXPORT_STATUS.code)
        if told.status != "PENDING":
            self._client.metrics.schema_unknown_enum.labels("mirakl", EXPORT_STATUS.code).inc()
        return None

    async def _download(self, url: str) -> list[bytes]:
        reply = await self._client.send(EXPORT_FILE, at=url, most=LARGEST, expect="json")
        return [bytes(raw) for raw in self._client.read(EXPORT_FILE, reply, File).orders or ()]

    def _helping(self, known: Cursor, asked: Asked, orders: list[bytes]) -> Sight:
        """The next of a file's orders. After its last one the file is forgotten."""
        told = orders[asked.orders : asked.orders + AT_ONCE]
        rest = asked.orders + AT_ONCE < len(orders)
        if not rest:
            self._file = None
        file, heard = (asked.file, asked.orders + AT_ONCE) if rest else (asked.file + 1, 0)
        asked = msgspec.structs.replace(asked, file=file, orders=heard)
        self.every = NEXT if rest else LOOK
        return Sight(heard_of(self._client, told, self._clock.now(), "OR15"), _written(Cursor(known.swept, None, asked)))

    def _waits(self, known: Cursor, asked: Asked) -> Sight:
        if self._clock.now() - asked.at > LATEST:
            return self._anew(known)
        self.every = LOOK
        return Sight((), _written(known))

    def _over(self, known: Cursor, asked: Asked) -> Sight:
        due = asked.at + self._interval
        self.every = max((due - self._clock.now()).total_seconds(), LOOK)
        return Sight((), _written(Cursor(asked.until, due, None)))

    def _anew(self, known: Cursor) -> Sight:
        """From where the last whole sweep ended, after a pause."""
        self._file = None
        self.every = AGAIN.total_seconds()
        return Sight((), _written(Cursor(known.swept, self._clock.now().replace(microsecond=0) + AGAIN, None)))


def _written(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()
