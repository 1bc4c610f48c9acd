"""The rules by which policies decide and the words that adapters look up: from the settings, from people, from a platform's own showing."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import asyncpg
import msgspec
from msgspec.structs import replace

from adapters.shopify.inbound.sweep import StockSweep, whole_at
from engine.inbox import own_fact
from engine.log import Append, Log
from engine.ports import Clock
from engine.runner import Table
from ops.settings import ChannelSection, Settings
from projections.desired import floor
from projections.mappings import Word, key_of, mappings
from projections.orders import Order, row_of
from projections.rules import Channel, Platform
from projections.stock import Stock, channel_of
from schemas.events import Event
from schemas.events.channels import PlatformSeen, RulesApplied
from schemas.events.people import MappingSet
from schemas.streams import SETTINGS, channel_stream, map_stream
from schemas.values import ChannelId, OrderId, OrderLine, ShopId, Sku

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

WORDS = Table(mappings.name).read
SAID: Mapping[str, Any] = {"reason": "the settings", "from_settings": True}
FIND_WORD = "SELECT document FROM projections.mappings WHERE tenant = $1 AND key = $2"
TICK = 1.0  # seconds of the event loop, should the wake-up go astray
FIND_ORDER_ROW = "SELECT document FROM projections.orders WHERE tenant = $1 AND key = $2"
FIND_ORDER_ROWS = "SELECT key, document FROM projections.orders WHERE tenant = $1 AND key = any($2::text[]) ORDER BY key"
FIND_STOCKS = "SELECT document FROM projections.inventory WHERE tenant = $1 AND key = any($2::text[]) ORDER BY key"
FIND_MADE_OF = """
SELECT key, document FROM projections.inventory WHERE tenant = $1 AND key = any($2::text[])
UNION ALL
SELECT key, document FROM projections.inventory
WHERE tenant = $1 AND key <> all($2::text[]) AND document->>'recipes' IS NOT NULL
    AND EXISTS (SELECT 1 FROM unnest($3::text[]) AS part WHERE strpos(document->>'recipes', part) > 0)
ORDER BY key
"""
FIND_COUNTED_AS = """
SELECT key, document->>'item' AS item FROM projections.inventory
WHERE tenant = $1 AND document->>'item' = any($2::text[]) AND document->'variant'->>'status' IS DISTINCT FROM 'DELETED' ORDER BY key
"""
NEXT_ITEMS = """
SELECT key, document->>'item' AS item FROM projections.inventory
WHERE tenant = $1 AND key > $2 AND document->>'item' IS NOT NULL AND document->'variant'->>'status' IS DISTINCT FROM 'DELETED'
ORDER BY key LIMIT $3
"""
FIND_CURSOR = "SELECT cursor FROM crossdock.cursors WHERE tenant = $1 AND name = $2"
REFRESH = 60.0  # seconds between two looks at how the platforms are configured: they change once in a year

_word, _order, _stock = msgspec.json.Decoder(Word), msgspec.json.Decoder(Order), msgspec.json.Decoder(Stock)


class Book:
    """One tenant's. Policies ask it as `projections.rules.Channels`, adapters as `engine.adapter.Maps`."""

    def __init__(self, pool: Pool, log: Log, settings: Settings) -> None:
        self._pool, self._log = pool, log
        self._channels = {ChannelId(section.id): Channel(rules=section.rules) for section in settings.channel}
        self._stock_rules = {ChannelId(section.id): section.stock_rules for section in settings.channel}

    def __call__(self, channel: ChannelId) -> Channel:
        """The rules of a channel as they are at this moment; of one that the settings no longer name, the careful ones."""
        return self._channels.get(channel, Channel())

    async def find(self, channel: ChannelId, kind: str, name: str) -> str | None:
        document = await self._pool.fetchval(FIND_WORD, self._log.tenant, key_of(kind, channel, name))
        return (_word.decode(document).value or None) if document else None

    async def waiting(self, channel: ChannelId, order_id: OrderId) -> Sequence[OrderLine] | None:
        """The lines of an order that waits for acceptance; None: it does not."""
        row = await self._order(row_of(channel, order_id))
        return row.wanted if row is not None and row.waits_for_acceptance else None

    async def recipe(self, channel: ChannelId, sku: Sku) -> Mapping[Sku, int]:
        """Units of Shopify's SKUs in one unit of the offer."""
        rows = await self._pool.fetch(FIND_STOCKS, self._log.tenant, [sku])
        return _stock.decode(rows[0]["document"]).recipe(channel) if rows else {sku: 1}

    async def spoken_for(self, channel: ChannelId, order_id: OrderId, skus: Sequence[Sku]) -> Mapping[Sku, int]:
        """Of each of Shopify's SKUs, the units that are not this order's to have.

        Earlier orders, of any channel and under any offer made of it, hold them, and Shopify does not show them as claimed yet; or they are
        kept for the shop's own customers. Buffers are there for just such an order.
        """
        mine, this = row_of(channel, order_id), await self._order(row_of(channel, order_id))
        rows, owed = await self.owed(skus)
        others = await self._orders({order for _, order, _ in owed} - {mine})
        found = {sku: self._floor(channel, rows.get(sku) or Stock(sku=sku)) for sku in skus}
        for sku, order, units in owed:
            if order in others and _is_before(others[order], this, order, mine):
                found[sku] += units
        return found

    async def owed(self, skus: Sequence[Sku]) -> tuple[dict[Sku, Stock], list[tuple[Sku, str, int]]]:
        """What orders hold of these of Shopify's SKUs that Shopify does not show as claimed yet: SKU, order, units. And the rows."""
        rows = {row.sku: row for row in await self._made_of(skus)}
        owed: list[tuple[Sku, str, int]] = []
        for row in rows.values():
            for order, lines in row.reserved.items():
                recipe, contained = row.recipe(channel_of(order)), row.contained.get(order, ())
                owed += [(sku, order, recipe[sku] * sum(lines.values())) for sku in skus if sku in recipe and sku not in contained]
        return rows, owed

    async def _made_of(self, skus: Sequence[Sku]) -> list[Stock]:
        """The rows of these SKUs, and of every offer that may have one of them in a recipe."""
        quoted = [msgspec.json.encode(sku).decode() for sku in skus]
        rows = await self._pool.fetch(FIND_MADE_OF, self._log.tenant, list(skus), quoted)
        return [_stock.decode(row["document"]) for row in rows]

    async def _orders(self, keys: Collection[str]) -> dict[str, Order]:
        rows = await self._pool.fetch(FIND_ORDER_ROWS, self._log.tenant, sorted(keys))
        return {row["key"]: order for row in rows if (order := _order.decode(row["document"])).terms is not None}

    def _floor(self, channel: ChannelId, stock: Stock) -> int:
        rules = self._stock_rules.get(channel)
        return floor(stock, rules)[1] if rules is not None else 0

    async def counted_as(self, items: Sequence[str]) -> Mapping[Sku, ShopId]:
        """As adapters.shopify.inbound.stock.Known has it."""
        return _items(await self._pool.fetch(FIND_COUNTED_AS, self._log.tenant, list(items)))

    async def counted_after(self, sku: Sku, limit: int) -> Mapping[Sku, ShopId]:
        """As adapters.shopify.inbound.stock.Known has it."""
        return _items(await self._pool.fetch(NEXT_ITEMS, self._log.tenant, sku, limit))

    async def shop_known(self) -> bool:
        """Whether every SKU in Shopify has been counted once."""
        return whole_at(await self._pool.fetchval(FIND_CURSOR, self._log.tenant, StockSweep.name)) is not None

    async def _order(self, key: str) -> Order | None:
        document = await self._pool.fetchval(FIND_ORDER_ROW, self._log.tenant, key)
        return _order.decode(document) if document else None

    async def refresh(self) -> bool:
        """Learn how the platforms were seen last. True once each of them has been."""
        seen = await self._log.last([(channel_stream(channel), "") for channel in self._channels], PlatformSeen)
        for envelope in seen.values():
            event = envelope.event
            if isinstance(event, PlatformSeen) and event.channel in self._channels:
                self._channels[event.channel] = replace(self._channels[event.channel], platform=platform_of(event))
        return len(seen) == len(self._channels)

    async def known(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin a work once each platform has been seen, be that long ago: what is asked of it depends on how it is configured."""
        async with self._log.listen() as wake:
            while not await self.refresh():
                await wake(TICK)
        await work()

    async def follow(self, clock: Clock) -> None:
        """Refresh until cancelled."""
        while True:
            await clock.sleep(REFRESH)
            await self.refresh()


def _items(rows: Sequence[Any]) -> Mapping[Sku, ShopId]:
    return {Sku(row["key"]): ShopId(row["item"]) for row in rows}


def _is_before(other: Order, this: Order | None, key: str, mine: str) -> bool:
    """Who bought first is served first; at the same moment, whose number is smaller."""
    if this is None or this.terms is None or other.terms is None:
        return True
    return (other.terms.placed_at, key) < (this.terms.placed_at, mine)


def platform_of(seen: PlatformSeen) -> Platform:
    return Platform(
        multi_shipment=seen.multi_shipment,
        automatic=seen.acceptance == "AUTOMATIC",
        returns=seen.returns,
        tracked_methods=frozenset(seen.tracked_methods),
    )


# ---------------------------------------------------------------- what the settings say, as events


def rules_of(settings: Settings) -> RulesApplied:
    """All that is decided by, of every channel."""
    rules = msgspec.json.encode({section.id: section.rules for section in settings.channel}, order="sorted").decode()
    stock = msgspec.json.encode({section.id: section.stock_rules for section in settings.channel}, order="sorted").decode()
    return RulesApplied(digest=hashlib.sha256((rules + stock).encode()).hexdigest(), rules=rules, stock=stock)


async def apply_settings(pool: Pool, log: Log, settings: Settings, clock: Clock) -> None:
    """Record the rules if they are others than before, and each mapping that the settings name, unless a person has set another one."""
    now = clock.now()
    applied = rules_of(settings)
    last = (await log.last([(SETTINGS, "")], RulesApplied)).get((SETTINGS, ""))
    if last is None or not isinstance(last.event, RulesApplied) or last.event.digest != applied.digest:
        await _append(log, SETTINGS, applied, f"{applied.digest}@{now.isoformat()}", now)
    said = [
        (key_of(kind, section.id, name), MappingSet(channel=ChannelId(section.id), kind=kind, name=name, value=value, **SAID))
        for section in settings.channel
        for kind, words in _words(section).items()
        for name, value in words.items()
    ]
    rows = await pool.fetch(WORDS, log.tenant, [key for key, _ in said])
    known = {row["key"]: _word.decode(row["document"]) for row in rows}
    for key, event in said:
        word = known.get(key)
        if word is None or not word.value or (word.from_settings and word.value != event.value):
            await _append(log, map_stream(event.channel, event.kind), event, f"{key}={event.value}@{now.isoformat()}", now)


def _words(section: ChannelSection) -> Mapping[str, Mapping[str, str]]:
    return {
        "carrier": section.carriers,
        "method": section.methods,
        "reason": section.reasons,
        "sku": section.skus,
        "bundle": section.recipes,
    }


async def _append(log: Log, stream: str, event: Event, external_id: str, now: Any) -> None:
    await log.append(Append(stream=stream, facts=(own_fact(log.tenant, event, external_id, now),)))
