"""Mirakl's returns into the log: polled by the date of their last change, where the marketplace runs returns at all."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from adapters.mirakl import wire
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import LIST_RETURNS
from adapters.mirakl.inbound.orders import Cursor, written
from adapters.mirakl.translate.aftercare import hear_return
from engine.adapter import Sight
from engine.errors import UnavailableError
from engine.ports import Clock
from schemas.values import Instant

PAGE = 100  # returns; the ceiling of `limit`
PAGES = 200  # beyond, a list has no end
SOON = 60.0  # seconds until it is known whether the marketplace runs returns


class ReturnsSource:
    """RT11. Each poll reaches back beyond the last one, as for orders."""

    def __init__(self, client: Client, clock: Clock, *, every: float, overlap: float, first_look_days: int) -> None:
        self.name, self.target = f"mirakl:{client.place.channel}:returns", f"mirakl:{client.place.channel}"
        self.every = SOON
        self._client, self._clock, self._every = client, clock, every
        self._overlap, self._first_look = timedelta(seconds=overlap), timedelta(days=first_look_days)

    async def poll(self, cursor: str | None) -> Sight:
        self.every = SOON if self._client.platform is None else self._every
        if self._client.platform is None or not self._client.platform.returns:
            return Sight((), cursor or "")
        asked_at = self._clock.now().replace(microsecond=0)
        since = msgspec.json.decode(cursor, type=Cursor).until - self._overlap if cursor else asked_at - self._first_look
        theirs, until = await self._list(min(since, asked_at - self._overlap) if cursor else since), asked_at
        now = self._clock.now()
        heard = [each for raw in theirs for each in hear_return(raw, self._client.place, now)]
        return Sight(heard, msgspec.json.encode(Cursor(until)).decode())

    async def _list(self, since: Instant) -> Sequence[bytes]:
        found: list[bytes] = []
        query = (("return_last_updated_from", written(since)), ("limit", str(PAGE)))
        for _ in range(PAGES):
            page = self._client.read(LIST_RETURNS, await self._client.send(LIST_RETURNS, query=query, expect="json"), wire.ReturnPage)
            if page.data is None:
                raise UnavailableError("a list of returns without returns", target=self.target, endpoint=LIST_RETURNS.code)
            found += [bytes(raw) for raw in page.data]
            if not page.next_page_token:
                return found
            query = (("page_token", page.next_page_token), ("limit", str(PAGE)))
        raise UnavailableError("the list of returns has no end", target=self.target, endpoint=LIST_RETURNS.code)
