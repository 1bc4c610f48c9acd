"""Every call to Mirakl, its ceiling and its source; and the client that makes them for one seller account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from adapters.http import Expect, Http, Reply
from adapters.mirakl import wire
from adapters.mirakl.translate import Place
from engine.adapter import Endpoint
from engine.errors import UnavailableError, UnknownOutcomeError
from engine.metrics import Metrics

# Ceilings: seller API reference, "Call Frequency", maximum usage, 2026-08-13. per: seconds.
LIST_ORDERS = Endpoint("OR11", "GET", "/api/orders", calls=1, per=60, reads=True)  # an External Partner's key: once every 15 minutes
SET_REFERENCES = Endpoint("OR04", "PUT", "/api/orders", calls=1, per=60, batch=100)
IMPORT_STOCK = Endpoint("STO01", "POST", "/api/offers/stock/imports", calls=1, per=60)
IMPORT_STATUS = Endpoint("STO02", "GET", "/api/offers/stock/imports/{import_id}/status", calls=1, per=15, reads=True)
IMPORT_ERRORS = Endpoint("STO03", "GET", "/api/offers/stock/imports/{import_id}/error_report", calls=1, per=60, reads=True)
ACCOUNT = Endpoint("A01", "GET", "/api/account", calls=1, per=86400, reads=True)
CARRIERS = Endpoint("SH21", "GET", "/api/shipping/carriers", calls=1, per=86400, reads=True)

# "At each event": no rate is published. Ours, so that a burst of orders stays polite.
ACCEPT_ORDER = Endpoint("OR21", "PUT", "/api/orders/{order_id}/accept", calls=10, per=1)
TRACK_ORDER = Endpoint("OR23", "PUT", "/api/orders/{order_id}/tracking", calls=10, per=1)
SHIP_ORDER = Endpoint("OR24", "PUT", "/api/orders/{order_id}/ship", calls=10, per=1)

# No frequency is published at all. Ours: they are asked by a person's check and at the start, no oftener.
VERSION = Endpoint("V01", "GET", "/api/version", calls=1, per=10, reads=True)
PLATFORM = Endpoint("PC01", "GET", "/api/platform/configuration", calls=1, per=10, reads=True)


@dataclass(frozen=True)
class Client:
    """One seller account's calls: what the performers and the source are handed."""

    http: Http
    metrics: Metrics
    place: Place
    shop_id: int  # sent with each call: a key that gains a second shop must not switch to it unnoticed
    list_orders: Endpoint  # OR11 with the ceiling of this account's key
    settle_every: float  # seconds between two looks at a stock file's progress
    carriers: Mapping[str, str]  # company as written in Shopify, without case -> the marketplace's carrier code

    async def send(
        self, endpoint: Endpoint, *, query: Sequence[tuple[str, str]] = (), json: Any = None, expect: Expect, **more: Any
    ) -> Reply:
        """One call; `json` is encoded. Raises AdapterError."""
        body = None if json is None else msgspec.json.encode(json)
        return await self.http.send(endpoint, query=(*query, ("shop_id", str(self.shop_id))), json=body, expect=expect, **more)

    def read(self, endpoint: Endpoint, reply: Reply, kind: type[wire.T]) -> wire.T:
        """The answer as one of theirs; an answer of another shape is no answer."""
        try:
            return wire.read(reply.body, kind)
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

    async def orders(self, query: Sequence[tuple[str, str]]) -> tuple[wire.OrderPage, Reply]:
        """A page of OR11, in the tax mode of this account."""
        mode = (("order_tax_mode", self.place.tax_mode),) if self.place.tax_mode else ()
        reply = await self.send(self.list_orders, query=(*query, *mode), expect="json")
        return self.read(self.list_orders, reply, wire.OrderPage), reply

    async def order(self, order_id: str) -> wire.Order | None:
        """One order as it stands now. A filter that the marketplace does not know is no filter: what comes back is looked through."""
        page, reply = await self.orders((("order_ids", order_id),))
        for raw in page.orders or ():
            if wire.identity(raw) == order_id:
                return self.read(self.list_orders, Reply(reply.status, reply.headers, bytes(raw), reply.request_id), wire.Order)
        return None
