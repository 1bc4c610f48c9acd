"""How many orders a channel says were placed in each hour that is over: whoever counts the log beside it sees whether any was missed."""

from datetime import timedelta

import msgspec
from msgspec import Struct

from adapters.mirakl.client import Client
from adapters.mirakl.inbound.orders import OrdersSource
from adapters.mirakl.translate.story import of_channel
from engine.adapter import Sight
from engine.errors import UnavailableError
from engine.ports import Clock
from schemas.events.channels import OrdersCounted
from schemas.values import Instant

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROOM = 3  # calls of OR11 that fit between two polls, from which on one of them may count each hour; with fewer, one a day does


class Cursor(Struct, frozen=True):
    until: Instant  # counted up to here


class CountSource:
    """OR11 with max=1, for its total_count alone. It shares the poll's ceiling, so it is asked just after a poll, when the next one is far;
    where polls leave no room, and after an absence, a day is counted at once. Days are UTC's.
    """

    def __init__(self, client: Client, clock: Clock, polls: OrdersSource, *, overlap: float) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:count", f"mirakl:{client.place.channel}"
        self._client, self._clock, self._polls = client, clock, polls
        self._settled = timedelta(seconds=overlap)  # after which an hour's orders are all in the list
        self._pause = client.list_orders.interval
        self._hourly = polls.every >= ROOM * self._pause
        self.every = self._pause

    async def poll(self, cursor: str | None) -> Sight:
        now = self._clock.now()
        if cursor is None:
            self.every = self._pause
            return Sight((), _cursor(_floor(now, HOUR if self._hourly else DAY)))
        since = msgspec.json.decode(cursor, type=Cursor).until
        span = HOUR if self._hourly and now - since < DAY + HOUR else DAY
        until = min(since + span, _floor(since, DAY) + DAY)  # whoever sees what was missed knows the hours of one day
        rest = (until + self._settled - now).total_seconds()
        if rest > 0:
            self.every = min(rest, 3600.0)
            return Sight((), cursor)
        self.every = self._pause
        if not self._is_free():
            return Sight((), cursor)
        window = (("start_date", _written(since)), ("end_date", _written(until - timedelta(milliseconds=1))))
        page, _ = await self._client.orders((*window, ("max", "1")))
        if page.total_count is None:
            raise UnavailableError("a list of orders without its count", target=self.target, endpoint=self._client.list_orders.code)
        counted = OrdersCounted(channel=self._client.place.channel, since=since, until=until, count=page.total_count)
        told = of_channel(counted, self._client.place, now, since.isoformat(), until.isoformat())
        return Sight((told,), _cursor(until))

    def _is_free(self) -> bool:
        """Whether a call now is over before the next poll is due. Where polls leave no room, it goes when it may."""
        if self._polls.last_poll is None:
            return False
        next_poll = self._polls.last_poll + self._polls.every
        return not self._hourly or next_poll - self._clock.monotonic() > (ROOM - 1) * self._pause


def _cursor(until: Instant) -> str:
    return msgspec.json.encode(Cursor(until)).decode()


def _floor(now: Instant, span: timedelta) -> Instant:
    hour = now.replace(minute=0, second=0, microsecond=0)
    return hour if span == HOUR else hour.replace(hour=0)


def _written(moment: Instant) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
