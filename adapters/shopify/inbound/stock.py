"""How many there are of each item: of those that a hint is about, of those that an order of ours took, and now and then of all."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, UnfitError
from adapters.shopify.endpoints import ITEM_LEVELS, ITEMS_A_PAGE, ITEMS_GET, ITEMS_PAGE, ORDER_ITEMS
from adapters.shopify.inbound.changes import kind
from adapters.shopify.inbound.paging import batches, whole
from adapters.shopify.inbound.variants import variants_of
from adapters.shopify.translate import marks, stock
from engine.adapter import Heard, Sight
from engine.metrics import Metrics
from schemas.commands import Lane
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.orders import ShopOrderCreated
from schemas.events.shop import ShopNotified
from schemas.values import Instant, ShopId, Sku, TenantId


class Counts:
    """Turns items into counts of their SKU. An item whose SKU is not its own alone is not counted: nobody can say how many there are."""

    def __init__(self, client: Client, tenant: TenantId, metrics: Metrics) -> None:
        self._client, self._tenant, self._metrics = client, tenant, metrics

    async def of(self, raw: Iterable[msgspec.Raw], read_at: Instant, settled: Mapping[Sku, Iterable[str]]) -> list[Heard]:
        heard: list[Heard] = []
        for node in raw:
            if bytes(node) == b"null":
                self._skip("gone")
                continue
            try:
                heard += await self._of_item(msgspec.json.decode(node, type=wire.stock.Item), read_at, settled)
            except (msgspec.ValidationError, UnfitError) as error:
                gid = msgspec.json.decode(node, type=wire.frame.Ref).id
                field = error.field if isinstance(error, UnfitError) else str(error).rpartition("`$")[2].strip(".`")
                heard.append(marks.unfit(self._tenant, gid, field, read_at))
        return heard

    async def _of_item(self, item: wire.stock.Item, read_at: Instant, settled: Mapping[Sku, Iterable[str]]) -> list[Heard]:
        sku = marks.sku_of(item)
        if not sku:
            return self._skip("no SKU")
        if item.duplicate_sku_count > 0:
            sold = [variant for variant in (await variants_of(self._client, [sku], Lane.STOCK))[sku] if stock.for_sale(variant)]
            rivals = {variant.inventory_item.id for variant in sold}
            if len(rivals) > 1:
                self._skip("ambiguous SKU")
                return [stock.ambiguous(self._tenant, sku, rivals, read_at)]
            if item.id not in rivals:
                return self._skip("not for sale")
        if item.tracked:
            item = replace(item, inventory_levels=await levels_of(self._client, item))
        return [stock.counted(self._tenant, item, read_at, sorted(settled.get(sku, ())))]

    def _skip(self, reason: str) -> list[Heard]:
        self._metrics.stock_uncounted.labels(self._tenant, reason).inc()
        return []


class StockReader:
    """Follows hints about items, and orders of ours that have come to be: their units are now in Shopify's numbers."""

    name, target = "shopify:stock:hints", TARGET
    types: frozenset[type[Event]] = frozenset({ShopNotified, ShopOrderCreated})

    def __init__(self, counts: Counts, client: Client) -> None:
        self._counts, self._client = counts, client

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        items: dict[str, None] = {}
        settled: dict[Sku, set[str]] = {}
        for hint in hints:
            match hint.event:
                case ShopNotified(about=about):
                    items.update(dict.fromkeys(gid for gid in about if kind(gid) == "InventoryItem"))
                case ShopOrderCreated(channel=channel, order_id=order_id, shop_order=order, lines=lines):
                    items.update(dict.fromkeys(await self._bought(order)))
                    for line in lines:
                        settled.setdefault(line.sku, set()).add(f"{channel}:{order_id}")
        heard: list[Heard] = []
        for batch in batches(list(items)):
            read_at = self._client.clock.now()
            answer = await self._client.ask(ITEMS_GET, {"ids": batch}, wire.stock.ItemNodes, size=len(batch))
            heard += await self._counts.of(answer.nodes, read_at, settled)
        return heard

    async def _bought(self, order: ShopId) -> list[str]:
        found: list[str] = []
        after: str | None = None
        while True:
            answer = (
                await self._client.ask(ORDER_ITEMS, {"id": order, "after": after}, wire.orders.OrderNode[wire.stock.BoughtLines])
            ).order
            if answer is None:
                return found
            found += [line.variant.inventory_item.id for line in answer.line_items.nodes if line.variant]
            if not answer.line_items.page_info.has_next_page:
                return found
            after = answer.line_items.page_info.end_cursor


class StockSweep:
    """Every item there is."""

    name, target = "shopify:stock", TARGET

    def __init__(self, counts: Counts, client: Client, tenant: TenantId, every: float) -> None:
        self._counts, self._client, self._tenant, self.every = counts, client, tenant, every

    async def poll(self, cursor: str | None) -> Sight:
        began = self._client.clock.now()
        heard: list[Heard] = []
        after: str | None = None
        while True:
            read_at = self._client.clock.now()
            page = (await self._client.ask(ITEMS_PAGE, {"first": ITEMS_A_PAGE, "after": after}, wire.stock.Items)).inventory_items
            heard += await self._counts.of(page.nodes, read_at, {})
            if not page.page_info.has_next_page:
                return Sight(stock.one_item_each(self._tenant, heard, read_at), began.isoformat())
            after = page.page_info.end_cursor


async def levels_of(client: Client, item: wire.stock.Stocked, lane: Lane = Lane.STOCK) -> wire.frame.Page[wire.stock.Level]:
    """Of all locations, beyond the page that came with the item."""

    async def page(after: str | None) -> wire.frame.Page[wire.stock.Level] | None:
        answer = await client.ask(ITEM_LEVELS, {"id": item.id, "after": after}, wire.stock.ItemNode, lane=lane)
        return answer.inventory_item.inventory_levels if answer.inventory_item else None

    return await whole(item.inventory_levels, page)
