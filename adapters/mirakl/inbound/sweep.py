"""Once a day, every order that changed of late is heard once more, from an export: what a poll may have missed comes in here."""

from datetime import timedelta

import msgspec
from msgspec import Raw, Struct

from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import EXPORT_FILE, EXPORT_ORDERS, EXPORT_STATUS
from adapters.mirakl.inbound import export
from adapters.mirakl.inbound.export import LARGEST, NEXT, Export, Helping, State
from adapters.mirakl.inbound.orders import heard_of, written
from engine.adapter import Sight
from engine.ports import Clock
from schemas.values import Instant

AT_ONCE = 100  # orders heard in one go, so that nobody else waits long for the log
LOOK = 10.0  # seconds between two looks at an export; the recommended rate
LATEST = timedelta(hours=6)  # an export that is not there by then never comes
AGAIN = timedelta(minutes=15)  # after one that failed
OVERLAP = timedelta(days=1)  # that a sweep reaches back beyond the last one


class Asked(export.Asked, frozen=True, omit_defaults=True, kw_only=True):
    """Of orders that changed in this span."""

    since: Instant
    until: Instant


class Cursor(Struct, frozen=True, omit_defaults=True):
    swept: Instant | None = None  # every change up to here was heard twice; None: of none yet
    due: Instant | None = None  # when to ask for the next; None: at once
    asked: Asked | None = None


class File(Struct):
    """OR15. Each order is read by itself."""

    orders: list[Raw] | None = None


class SweepSource:
    """OR13, OR14, OR15. The cursor is all it knows, so that it goes on where it was."""

    def __init__(self, client: Client, clock: Clock, *, every: float, first_look_days: int) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:sweep", f"mirakl:{client.place.channel}"
        self.every = LOOK
        self._client, self._clock = client, clock
        self._interval, self._first_look = timedelta(seconds=every), timedelta(days=first_look_days)
        self._export = Export(client, EXPORT_STATUS, self._download, once=True)

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
        which = {"start_update_date": written(since), "end_update_date": written(now)}
        if self._client.place.tax_mode:
            which["order_tax_mode"] = self._client.place.tax_mode
        tracking_id = await self._export.ask(EXPORT_ORDERS, which)
        self.every = LOOK
        return Sight((), _written(Cursor(known.swept, None, Asked(tracking_id=tracking_id, at=now, since=since, until=now))))

    async def _follow(self, known: Cursor, asked: Asked) -> Sight:
        now = self._clock.now()
        match await self._export.next(asked, AT_ONCE):
            case Helping(items=orders, file=file, heard=heard, pause=pause):
                self.every = LOOK if pause else NEXT
                further = msgspec.structs.replace(asked, file=file, heard=heard, taken=not pause)
                return Sight(heard_of(self._client, orders, now, "OR15"), _written(Cursor(known.swept, None, further)))
            case State.PENDING if now - asked.at <= LATEST:
                self.every = LOOK
                return Sight((), _written(known))
            case State.FOUND:
                self.every = NEXT
                return Sight((), _written(Cursor(known.swept, None, msgspec.structs.replace(asked, taken=True))))
            case State.HEARD:
                due = asked.at + self._interval
                self.every = max((due - now).total_seconds(), LOOK)
                return Sight((), _written(Cursor(asked.until, due, None)))
        self.every = AGAIN.total_seconds()  # from where the last whole sweep ended
        return Sight((), _written(Cursor(known.swept, now.replace(microsecond=0) + AGAIN, None)))

    async def _download(self, url: str) -> list[bytes]:
        reply = await self._client.send(EXPORT_FILE, at=url, most=LARGEST, expect="json")
        return [bytes(raw) for raw in self._client.read(EXPORT_FILE, reply, File).orders or ()]


def _written(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()
