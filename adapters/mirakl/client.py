"""The calls of one seller account: what the performers and the sources are handed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from adapters.http import Expect, Http, Query, Reply
from adapters.mirakl import wire
from adapters.mirakl.endpoints import LIST_RETURNS
from adapters.mirakl.sightings import Sightings
from adapters.mirakl.together import COME_BACK, Together
from adapters.mirakl.translate.story import Place
from engine.adapter import Endpoint, Maps
from engine.errors import ThrottledError, UnavailableError, UnknownOutcomeError
from engine.metrics import Metrics
from schemas.events.channels import PlatformSeen

ASKED_TOGETHER = 100  # orders, or returns, in one call


@dataclass
class Client:
    http: Http
    metrics: Metrics
    place: Place
    maps: Maps
    shop_id: int  # sent with each call: a key that gains a second shop must not switch to it unnoticed
    list_orders: Endpoint  # OR11 with the ceiling of this account's key
    pages_count: bool  # whether each page of a list is a call by the ceiling
    settle_every: float  # seconds between two looks at a stock file's progress
    settle_within: float  # seconds after which it is given up
    platform: PlatformSeen | None = None  # as last read; None: not yet
    sightings: Sightings = field(default_factory=Sightings)

    def __post_init__(self) -> None:
        target = self.http.target
        self._orders = Together(self._orders_of, ASKED_TOGETHER, target=target, code=self.list_orders.code)
        self._returns = Together(self._returns_of, ASKED_TOGETHER, target=target, code=LIST_RETURNS.code)

    async def send(self, endpoint: Endpoint, *, query: Query = (), json: Any = None, expect: Expect, **more: Any) -> Reply:
        """One call; `json` is encoded. Raises AdapterError."""
        body = None if json is None else msgspec.json.encode(json)
        shop = ("shop_id", str(self.shop_id))
        whole: Query = (lambda: (*query(), shop)) if callable(query) else (*query, shop)
        return await self.http.send(endpoint, query=whole, json=body, expect=expect, **more)

    def read(self, endpoint: Endpoint, reply: Reply, kind: type[wire.T]) -> wire.T:
        """The answer as one of theirs; an answer of another shape is no answer."""
        return self._read(endpoint, reply, reply.body, kind)

    def _read(self, endpoint: Endpoint, reply: Reply, body: bytes | msgspec.Raw, kind: type[wire.T]) -> wire.T:
        try:
            return wire.read(body, kind)
        except msgspec.ValidationError as error:
            unread = UnavailableError if endpoint.reads else UnknownOutcomeError
            field = wire.where(error)
            raise unread(
                f"answered in an unknown shape: {field or 'the whole'}",
                target=self.http.target,
                endpoint=endpoint.code,
                request_id=reply.request_id,
                field=field,
            ) from None

    async def orders(self, query: Query, *, further: bool = False) -> tuple[wire.OrderPage, Reply]:
        """A page of OR11, in the tax mode of this account. `further`: not the first of its list."""
        mode = (("order_tax_mode", self.place.tax_mode),) if self.place.tax_mode else ()
        whole: Query = (lambda: (*query(), *mode)) if callable(query) else (*query, *mode)
        reply = await self.send(self.list_orders, query=whole, expect="json", counts=self.pages_count or not further)
        return self.read(self.list_orders, reply, wire.OrderPage), reply

    async def order(self, order_id: str, asker: UUID) -> wire.Order | None:
        """One order as it stands now, for a command. None: it is not listed. Raises AdapterError, as `Together.find`."""
        raw = await self._orders.find(order_id, asker)
        return None if raw is None else self._order(raw)

    async def order_soon(self, order_id: str, asker: UUID) -> wire.Order | None:
        """As `order`, and as fresh, but by the next poll where there is one: a call of its own would take that poll's turn.

        Raises AdapterError: a ThrottledError while that poll is waited for.
        """
        where = self.sightings.soon(order_id, asker)
        if where == "wait":
            raise ThrottledError("waits for the next poll", retry_after=COME_BACK, target=self.http.target, endpoint=self.list_orders.code)
        raw = self.sightings.last(order_id) if where == "seen" else None
        return await self.order(order_id, asker) if raw is None else self._order(raw)

    def seen(self, order_id: str) -> wire.Order | None:
        """One order as it stood at the last poll, or since; without a call. None: not known, or not readable."""
        raw = self.sightings.last(order_id)
        try:
            return None if raw is None else wire.read(raw, wire.Order)
        except msgspec.ValidationError:
            return None

    async def once(self, order_id: str, asker: UUID, holds: Callable[[wire.Order], bool]) -> wire.Order | None:
        """An order of which that holds, which once true stays so: it may be known without a call. None: it does not hold now."""
        if (seen := self.seen(order_id)) is not None and holds(seen):
            return seen
        order = await self.order(order_id, asker)
        return order if order is not None and holds(order) else None

    async def return_of(self, return_id: str, asker: UUID) -> wire.Return | None:
        """One return as it stands now, as `order`."""
        raw = await self._returns.find(return_id, asker)
        return None if raw is None else self._read(LIST_RETURNS, _UNKNOWN, raw, wire.Return)

    def _order(self, raw: bytes) -> wire.Order:
        return self._read(self.list_orders, _UNKNOWN, raw, wire.Order)

    async def _orders_of(self, ids: Callable[[], Sequence[str]]) -> Mapping[str, bytes]:
        """A filter that the marketplace does not know is no filter: what comes back is looked through."""
        page, _ = await self.orders(lambda: (("order_ids", ",".join(ids())), ("max", str(ASKED_TOGETHER))))
        found = {identity: bytes(raw) for raw in page.orders or () if (identity := wire.identity(raw)) is not None}
        for order_id, raw in found.items():
            self.sightings.saw(order_id, raw)
        return found

    async def _returns_of(self, ids: Callable[[], Sequence[str]]) -> Mapping[str, bytes]:
        limit = ("limit", str(ASKED_TOGETHER))
        reply = await self.send(LIST_RETURNS, query=lambda: (*(("return_id", each) for each in ids()), limit), expect="json")
        page = self.read(LIST_RETURNS, reply, wire.ReturnPage)
        return {identity: bytes(raw) for raw in page.data or () if (identity := wire.identity(raw, "id")) is not None}


_UNKNOWN = Reply(200, {}, b"", "")
