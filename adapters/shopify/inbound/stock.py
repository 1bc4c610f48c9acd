"""How many there are of each item: of those that a hint is about, and of those that an order of ours took. Of all: sweep.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, UnfitError
from adapters.shopify.endpoints import ITEM_LEVELS, ITEMS_GET, ORDER_ITEMS
from adapters.shopify.inbound.changes import kind
from adapters.shopify.inbound.paging import batches, check_that_it_goes_on, whole
from adapters.shopify.inbound.variants import variants_of
from adapters.shopify.translate import marks, stock
from engine.adapter import Heard
from engine.metrics import Metrics
from schemas.commands import Lane
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.orders import ShopOrderCreated
from schemas.events.shop import ShopNotified
from schemas.values import Instant, ShopId, Sku, TenantId


class Known(Protocol):
    """Which SKUs were counted, but for those of which it is known that they are gone; each with the item that had it last."""

    async def counted_as(self, items: Sequence[str]) -> Mapping[Sku, ShopId]:
        """Of these items."""
        ...

    async def counted_after(self, sku: Sku, limit: int) -> Mapping[Sku, ShopId]:
        """The next ones, in the order of their code points."""
        ...


@dataclass
class Met:
    """What a reading came across."""

    skus: set[Sku] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)  # items of which nobody can say what SKU they have


class Counts:
    """Turns items into counts of their SKU. An item whose SKU is not its own alone is not counted: nobody can say how many there are."""

    def __init__(self, client: Client, tenant: TenantId, metrics: Metrics) -> None:
        self._client, self.tenant, self.metrics = client, tenant, metrics
        self.known: Known | None = None  # set once there is somebody to ask

    async def counted_after(self, sku: Sku, limit: int) -> Mapping[Sku, ShopId]:
        return await self.known.counted_after(sku, limit) if self.known is not None else {}

    async def gone(self, items: Sequence[str], met: Met, read_at: Instant) -> list[Heard]:
        """SKUs under which these items were counted, and that nothing has any more: deleted, or called otherwise."""
        before = await self.known.counted_as(items) if self.known is not None and items else {}
        return [
            stock.deleted(self.tenant, sku, item, read_at) for sku, item in before.items() if sku not in met.skus and item not in met.unread
        ]

    async def of(
        self, asked: Sequence[str], raw: Sequence[msgspec.Raw], read_at: Instant, met: Met, settled: "Settled | None" = None
    ) -> list[Heard]:
        """What was answered about these items, in their order. `met` is told of each."""
        heard: list[Heard] = []
        for place, node in enumerate(raw):
            if bytes(node) == b"null":
                self._skip("gone")
                continue
            try:
                item = msgspec.json.decode(node, type=wire.stock.Item)
                met.skus.add(marks.sku_of(item))
                heard += await self.one(item, read_at, settled)
            except (msgspec.ValidationError, UnfitError) as error:
                gid = _named(node) or next(iter(asked[place : place + 1]), "")
                met.unread.add(gid)
                heard.append(self.odd(gid, error, read_at))
        return heard

    def odd(self, gid: str, error: msgspec.ValidationError | UnfitError, read_at: Instant) -> Heard:
        """An item that cannot be read."""
        field = error.field if isinstance(error, UnfitError) else str(error).rpartition("`$")[2].strip(".`")
        return marks.unfit(self.tenant, gid, field, read_at)

    async def one(
        self, item: wire.stock.Item, read_at: Instant, settled: "Settled | None" = None, *, read_by: Instant | None = None
    ) -> list[Heard]:
        """What there is to say of it. Raises UnfitError."""
        sku = marks.sku_of(item)
        if not sku:
            return self._skip("no SKU")
        variant = stock.seen(self.tenant, item, read_at)
        if item.duplicate_sku_count > 0:
            there = (await variants_of(self._client, [sku], Lane.STOCK))[sku]
            rivals = {variant.inventory_item.id for variant in there if stock.for_sale(variant)}
            if len(rivals) > 1:
                self._skip("ambiguous SKU")
                return [stock.ambiguous(self.tenant, sku, rivals, read_at)]
            if not rivals and variant is not None and item.id == min((each.inventory_item.id for each in there), default=item.id):
                return [variant]  # none of them is for sale: one of them says so, and nobody says how many there are
            if item.id not in rivals:
                return self._skip("not for sale")
        if item.tracked:
            item = replace(item, inventory_levels=await levels_of(self._client, item))
        settled = settled or Settled()
        count = stock.counted(self.tenant, item, read_at, settled.orders(item.id), settled.names(item.id), read_by=read_by)
        return [variant, count] if variant is not None else [count]

    def _skip(self, reason: str) -> list[Heard]:
        self.metrics.stock_uncounted.labels(self.tenant, reason).inc()
        return []


def _named(node: msgspec.Raw) -> str:
    """The id of an item that cannot be read otherwise; "" where even that is missing."""
    try:
        return msgspec.json.decode(node, type=wire.frame.Ref).id
    except msgspec.ValidationError:
        return ""


@dataclass
class Settled:
    """Orders that stand in Shopify before a reading, by the items that they draw on; and under which SKUs they were bought."""

    by_item: dict[str, dict[str, tuple[Sku, ...]]] = field(default_factory=dict)  # item -> order -> the SKUs of its lines

    def orders(self, item: str) -> list[str]:
        return sorted(self.by_item.get(item, ()))

    def names(self, item: str) -> list[Sku]:
        """Any of these may be an offer that is made of the item: whose it is, is for the fold to say."""
        return sorted({sku for lines in self.by_item.get(item, {}).values() for sku in lines})


class StockReader:
    """Follows hints about items, and orders of ours that have come to be: their units are now in Shopify's numbers."""

    name, target = "shopify:stock:hints", TARGET

    def __init__(self, counts: Counts, client: Client) -> None:
        self._counts, self._client = counts, client

    def follows(self, event: Event) -> bool:
        return isinstance(event, (ShopNotified, ShopOrderCreated))

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        items: dict[str, None] = {}
        settled = Settled()
        edited: set[str] = set()  # whose SKU may be another than before
        for hint in hints:
            match hint.event:
                case ShopNotified(topic=topic, about=about):
                    told = [gid for gid in about if kind(gid) == "InventoryItem"]
                    items.update(dict.fromkeys(told))
                    edited.update(told if topic.startswith("inventory_items/") else ())
                case ShopOrderCreated(channel=channel, order_id=order_id, shop_order=order, lines=lines):
                    for item in await self._bought(order):
                        items[item] = None
                        settled.by_item.setdefault(item, {})[f"{channel}:{order_id}"] = tuple(line.sold_as or line.sku for line in lines)
        heard: list[Heard] = []
        for batch in batches(list(items)):
            read_at, met = self._client.clock.now(), Met()
            answer = await self._client.ask(ITEMS_GET, {"ids": batch}, wire.stock.ItemNodes, size=len(batch))
            heard += await self._counts.of(batch, answer.nodes, read_at, met, settled)
            missing = [gid for gid, node in zip(batch, answer.nodes, strict=False) if bytes(node) == b"null" or gid in edited]
            heard += await self._counts.gone(missing, met, read_at)
        return heard

    async def _bought(self, order: ShopId) -> list[str]:
        found: list[str] = []
        after: str | None = None
        before: wire.frame.PageInfo | None = None
        while True:
            answer = (
                await self._client.ask(ORDER_ITEMS, {"id": order, "after": after}, wire.orders.OrderNode[wire.stock.BoughtLines])
            ).order
            if answer is None:
                return found
            found += [line.variant.inventory_item.id for line in answer.line_items.nodes if line.variant]
            page = answer.line_items.page_info
            if not page.has_next_page:
                return found
            if before is not None:
                check_that_it_goes_on(before, page)
            before, after = page, page.end_cursor


async def levels_of(client: Client, item: wire.stock.Stocked, lane: Lane = Lane.STOCK) -> wire.frame.Page[wire.stock.Level]:
    """Of all locations, beyond the page that came with the item."""

    async def page(after: str | None) -> wire.frame.Page[wire.stock.Level] | None:
        answer = await client.ask(ITEM_LEVELS, {"id": item.id, "after": after}, wire.stock.ItemNode, lane=lane)
        return answer.inventory_item.inventory_levels if answer.inventory_item else None

    return await whole(item.inventory_levels, page)
