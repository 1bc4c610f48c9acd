"""What Shopify is read for: again because of a hint, and now and then in case no hint came. The two say the same of the same thing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec.structs import replace

from adapters.shopify import translate, wire
from adapters.shopify.client import TARGET, Client, UnfitError
from adapters.shopify.endpoints import (
    FULFILMENT_GET,
    FULFILMENT_IDS,
    FULFILMENT_LINES,
    ITEM_LEVELS,
    ITEMS_A_PAGE,
    ITEMS_GET,
    ITEMS_PAGE,
    NODES_A_CALL,
    ORDER_GET,
    ORDER_ITEMS,
    ORDERS_A_PAGE,
    ORDERS_OF,
    ORDERS_PAGE,
    VARIANTS_BY_SKU,
)
from adapters.shopify.shop import Subscriptions
from engine.adapter import Heard, Sight
from engine.metrics import Metrics
from schemas.commands import Lane
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.orders import ShopOrderCreated
from schemas.events.shop import ShopNotified
from schemas.values import Instant, ShopId, Sku, TenantId

OVERLAP = timedelta(minutes=10)  # outlasts the search index's lag and the two clocks' difference
PARTS = ("Fulfillment", "FulfillmentOrder", "Refund", "Return")  # of an order, and able to name it

log = structlog.get_logger()


def kind(gid: str) -> str:
    return gid.removeprefix("gid://shopify/").partition("/")[0]


# ---------------------------------------------------------------- orders


class Orders:
    """Reads an order of ours with all its parcels; of any other order nothing is kept."""

    def __init__(self, client: Client, tenant: TenantId) -> None:
        self._client, self._tenant = client, tenant

    async def facts(self, order: str, lane: Lane) -> list[Heard]:
        read_at = self._client.clock.now()
        try:
            state = (await self._client.ask(ORDER_GET, {"id": order}, wire.OrderNode[wire.OrderState], lane=lane)).order
            if state is None:
                return []
            whose = translate.owner(state)
            if whose is None:
                lost = translate.orphan(self._tenant, state, read_at)
                return [lost] if lost else []
            parcels = [await self._whole(parcel, lane) for parcel in await self._parcels(state, lane)]
        except UnfitError as error:
            return [translate.unfit(self._tenant, order, error.field, read_at)]
        seen = translate.order_seen(self._tenant, state, whose, read_at)
        return [seen, *(translate.fulfilment_seen(self._tenant, parcel, whose) for parcel in parcels)]

    async def _parcels(self, state: wire.OrderState, lane: Lane) -> list[wire.Fulfillment]:
        parcels = {parcel.id: parcel for parcel in state.fulfillments}
        if state.fulfillments_count is None or state.fulfillments_count.count > len(parcels):
            named = (await self._client.ask(FULFILMENT_IDS, {"id": state.id}, wire.OrderNode[wire.FulfillmentRefs], lane=lane)).order
            for ref in named.fulfillments if named else ():
                if ref.id not in parcels:
                    node = await self._client.ask(FULFILMENT_GET, {"id": ref.id}, wire.FulfillmentNode[wire.Fulfillment], lane=lane)
                    if node.fulfillment is not None:
                        parcels[ref.id] = node.fulfillment
        return list(parcels.values())

    async def _whole(self, parcel: wire.Fulfillment, lane: Lane) -> wire.Fulfillment:
        lines = parcel.fulfillment_line_items
        while lines.page_info.has_next_page:
            variables = {"id": parcel.id, "after": lines.page_info.end_cursor}
            more = (await self._client.ask(FULFILMENT_LINES, variables, wire.FulfillmentNode[wire.FulfillmentLines], lane=lane)).fulfillment
            if more is None:
                break
            lines = replace(more.fulfillment_line_items, nodes=[*lines.nodes, *more.fulfillment_line_items.nodes])
        return replace(parcel, fulfillment_line_items=lines)


class ShopOrderReader:
    """Follows hints about orders and their parts."""

    name, target = "shopify:orders:hints", TARGET
    types: frozenset[type[Event]] = frozenset({ShopNotified})

    def __init__(self, orders: Orders, client: Client) -> None:
        self._orders, self._client = orders, client

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        wanted: dict[str, None] = {}
        parts: dict[str, None] = {}
        for hint in hints:
            about = hint.event.about if isinstance(hint.event, ShopNotified) else ()
            named = [gid for gid in about if kind(gid) == "Order"]
            wanted.update(dict.fromkeys(named))
            if not named:
                parts.update(dict.fromkeys(gid for gid in about if kind(gid) in PARTS))
        wanted.update(dict.fromkeys(await self._orders_of(list(parts))))
        heard: list[Heard] = []
        for order in wanted:
            heard += await self._orders.facts(order, Lane.SHIP)
        return heard

    async def _orders_of(self, parts: list[str]) -> list[str]:
        found: list[str] = []
        for batch in _batches(parts):
            answer = await self._client.ask(ORDERS_OF, {"ids": batch}, wire.Nodes[wire.PartOfOrder], size=len(batch))
            whole = [(node.order.id if node.order else node.order_id) for node in answer.nodes if node is not None]
            found += [order for order in whole if order is not None]
        return found


class OrdersSweep:
    """Every order of ours that changed since the last sweep, hint or no hint."""

    name, target = "shopify:orders", TARGET

    def __init__(self, orders: Orders, client: Client, every: float) -> None:
        self._orders, self._client, self.every = orders, client, every

    async def poll(self, cursor: str | None) -> Sight:
        began = self._client.clock.now()
        query = f"tag:'{translate.TAG}'"
        if cursor is not None:
            since = datetime.fromisoformat(cursor) - OVERLAP
            query += f" AND updated_at:>='{since.isoformat(timespec='seconds').replace('+00:00', 'Z')}'"
        changed: dict[str, None] = {}
        after: str | None = None
        while True:
            variables = {"first": ORDERS_A_PAGE, "after": after, "query": query}
            page = (await self._client.ask(ORDERS_PAGE, variables, wire.Orders[wire.OrderVersion])).orders
            changed.update(dict.fromkeys(order.id for order in page.nodes))
            if not page.page_info.has_next_page:
                break
            after = page.page_info.end_cursor
        heard: list[Heard] = []
        for order in changed:
            heard += await self._orders.facts(order, Lane.CATALOGUE)
        return Sight(heard, began.isoformat())


# ---------------------------------------------------------------- stock


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
                heard += await self._of_item(msgspec.json.decode(node, type=wire.Item), read_at, settled)
            except (msgspec.ValidationError, UnfitError) as error:
                gid = msgspec.json.decode(node, type=wire.Ref).id
                field = error.field if isinstance(error, UnfitError) else str(error).rpartition("`$")[2].strip(".`")
                heard.append(translate.unfit(self._tenant, gid, field, read_at))
        return heard

    async def _of_item(self, item: wire.Item, read_at: Instant, settled: Mapping[Sku, Iterable[str]]) -> list[Heard]:
        sku = translate.sku_of(item)
        if not sku:
            return self._skip("no SKU")
        if item.duplicate_sku_count > 0:
            sold = [variant for variant in await variants_of(self._client, sku, Lane.STOCK) if translate.for_sale(variant)]
            rivals = {variant.inventory_item.id for variant in sold}
            if len(rivals) > 1:
                self._skip("ambiguous SKU")
                return [translate.ambiguous(self._tenant, sku, rivals, read_at)]
            if item.id not in rivals:
                return self._skip("not for sale")
        whole = replace(item, inventory_levels=await self._levels(item))
        return [translate.counted(self._tenant, whole, read_at, sorted(settled.get(sku, ())))]

    async def _levels(self, item: wire.Item) -> wire.Page[wire.Level]:
        levels = item.inventory_levels
        while item.tracked and levels.page_info.has_next_page:
            variables = {"id": item.id, "after": levels.page_info.end_cursor}
            more = (await self._client.ask(ITEM_LEVELS, variables, wire.ItemNode)).inventory_item
            if more is None:
                break
            levels = replace(more.inventory_levels, nodes=[*levels.nodes, *more.inventory_levels.nodes])
        return levels

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
        for batch in _batches(list(items)):
            read_at = self._client.clock.now()
            answer = await self._client.ask(ITEMS_GET, {"ids": batch}, wire.ItemNodes, size=len(batch))
            heard += await self._counts.of(answer.nodes, read_at, settled)
        return heard

    async def _bought(self, order: ShopId) -> list[str]:
        found: list[str] = []
        after: str | None = None
        while True:
            answer = (await self._client.ask(ORDER_ITEMS, {"id": order, "after": after}, wire.OrderNode[wire.BoughtLines])).order
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
            page = (await self._client.ask(ITEMS_PAGE, {"first": ITEMS_A_PAGE, "after": after}, wire.Items)).inventory_items
            heard += await self._counts.of(page.nodes, read_at, {})
            if not page.page_info.has_next_page:
                return Sight(translate.one_item_each(self._tenant, heard, read_at), began.isoformat())
            after = page.page_info.end_cursor


async def variants_of(client: Client, sku: Sku, lane: Lane) -> list[wire.Variant]:
    """Every variant with exactly this SKU, of products for sale and others; the search alone would take `ab-1` for `AB-1`."""
    found: list[wire.Variant] = []
    after: str | None = None
    while True:
        variables = {"query": translate.search_for_sku(sku), "after": after}
        page = (await client.ask(VARIANTS_BY_SKU, variables, wire.Variants, lane=lane)).product_variants
        found += [variant for variant in page.nodes if translate.sku_of(variant) == sku]
        if not page.page_info.has_next_page:
            return found
        after = page.page_info.end_cursor


# ---------------------------------------------------------------- our own ears


class SubscriptionsSweep:
    """Shopify takes a subscription away after eight failures. What was lost meanwhile the other sweeps read; somebody should know why."""

    name, target = "shopify:webhooks", TARGET

    def __init__(self, subscriptions: Subscriptions, client: Client, tenant: TenantId, every: float) -> None:
        self._subscriptions, self._client, self._tenant, self.every = subscriptions, client, tenant, every

    async def poll(self, cursor: str | None) -> Sight:
        now = self._client.clock.now()
        repaired = await self._subscriptions.repair()
        stream = "hint-webhooks:subscriptions"
        if repaired:
            log.warning("webhook subscriptions were missing", topics=len(repaired))
        opened = (cursor or "").startswith("repaired ")
        event: Event | None = None
        if repaired and cursor is not None:  # the first time there is nothing to miss
            summary = f"webhooks had stopped for {', '.join(repaired[:5])}{' …' if len(repaired) > 5 else ''}; subscribed again"
            event = ExceptionOpened(key="X18:webhooks", code="X18", subject=stream, summary=summary, severity=3)
        elif opened:
            event = ExceptionClosed(key="X18:webhooks", reason="all subscriptions are in place")
        heard = [Heard(stream, translate.fact(self._tenant, event, f"webhooks@{now.isoformat()}", now))] if event else []
        return Sight(heard, f"{'repaired ' if repaired and cursor is not None else ''}{now.isoformat()}")


def _batches(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + NODES_A_CALL] for start in range(0, len(ids), NODES_A_CALL)]
