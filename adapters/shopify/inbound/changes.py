"""Which orders to read again: those that a hint is about, and all that changed since the last sweep, hint or no hint."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client
from adapters.shopify.endpoints import ORDERS_A_PAGE, ORDERS_OF, ORDERS_PAGE, ORDERS_RETURNING
from adapters.shopify.inbound.orders import Orders
from adapters.shopify.inbound.paging import batches, whole
from adapters.shopify.translate import marks
from engine.adapter import Heard, Sight
from schemas.commands import Lane
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.exceptions import ExceptionRetried
from schemas.events.shop import ShopNotified

OVERLAP = timedelta(minutes=10)  # outlasts the search index's lag and the two clocks' difference
PARTS = ("Fulfillment", "FulfillmentOrder", "Refund", "Return", "ReverseFulfillmentOrder")  # of an order, and able to name it
NAMELESS = "returns/process"  # its body names no return
UNKNOWN = "X80"  # a status unknown to us; the exception's key ends with the parcel that has it


def kind(gid: str) -> str:
    return gid.removeprefix("gid://shopify/").partition("/")[0]


def _about(hint: Event) -> Sequence[str]:
    match hint:
        case ShopNotified(about=about):
            return about
        case ExceptionRetried(key=key, subject=subject) if key.startswith(f"{UNKNOWN}:{subject}:"):
            return (key.removeprefix(f"{UNKNOWN}:{subject}:"),)
    return ()


class ShopOrderReader:
    """Follows hints about orders and their parts; and reads a parcel whose status nobody knew again, once a person says that it works."""

    name, target = "shopify:orders:hints", TARGET

    def __init__(self, orders: Orders, client: Client) -> None:
        self._orders, self._client = orders, client

    def follows(self, event: Event) -> bool:
        return isinstance(event, ShopNotified) or bool(_about(event))

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        wanted: dict[str, None] = {}
        parts: dict[str, None] = {}
        nameless = False
        for hint in hints:
            about = _about(hint.event)
            named = [gid for gid in about if kind(gid) == "Order"]
            wanted.update(dict.fromkeys(named))
            if not named:
                parts.update(dict.fromkeys(gid for gid in about if kind(gid) in PARTS))
            nameless = nameless or (isinstance(hint.event, ShopNotified) and hint.event.topic == NAMELESS and not about)
        wanted.update(dict.fromkeys(await self._orders_of(list(parts))))
        if nameless:
            wanted.update(dict.fromkeys(await self._returning()))
        return await self._facts(wanted)

    async def _facts(self, wanted: Iterable[str]) -> list[Heard]:
        heard: list[Heard] = []
        for order in wanted:
            heard += await self._orders.facts(order, Lane.SHIP)
        return heard

    async def _orders_of(self, parts: list[str]) -> list[str]:
        found: list[str] = []
        for batch in batches(parts):
            answer = await self._client.ask(ORDERS_OF, {"ids": batch}, wire.frame.Nodes[wire.orders.PartOfOrder], size=len(batch))
            for node in answer.nodes:
                owner = (node.order or node.whose) if node is not None else None
                gid = owner.id if owner else node.order_id if node is not None else None
                found += [gid] if gid else []
        return found

    async def _returning(self) -> list[str]:
        """Orders of ours of which something is on its way back."""

        async def page(after: str | None) -> wire.frame.Page[wire.frame.Ref]:
            variables = {"after": after, "query": f"tag:'{marks.TAG}' AND return_status:'in_progress'"}
            return (await self._client.ask(ORDERS_RETURNING, variables, wire.orders.Orders[wire.frame.Ref])).orders

        return [order.id for order in (await whole(await page(None), page)).nodes]


class OrdersSweep:
    """Every order of ours that changed since the last sweep."""

    name, target = "shopify:orders", TARGET

    def __init__(self, orders: Orders, client: Client, every: float) -> None:
        self._orders, self._client, self.every = orders, client, every

    async def poll(self, cursor: str | None) -> Sight:
        began = self._client.clock.now()
        query = f"tag:'{marks.TAG}'"
        if cursor is not None:
            since = datetime.fromisoformat(cursor) - OVERLAP
            query += f" AND updated_at:>='{since.isoformat(timespec='seconds').replace('+00:00', 'Z')}'"

        async def page(after: str | None) -> wire.frame.Page[wire.orders.OrderVersion]:
            variables = {"first": ORDERS_A_PAGE, "after": after, "query": query}
            return (await self._client.ask(ORDERS_PAGE, variables, wire.orders.Orders[wire.orders.OrderVersion])).orders

        heard: list[Heard] = []
        for order in dict.fromkeys(order.id for order in (await whole(await page(None), page)).nodes):
            heard += await self._orders.facts(order, Lane.CATALOGUE)
        return Sight(heard, began.isoformat())
