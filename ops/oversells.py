"""Counts units that a channel sold and that were not there for it, by what let it happen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.log import Log
from engine.metrics import Metrics
from engine.runner import BATCH
from ops.book import Book
from projections.acceptance import short_by
from projections.publications import Publication
from projections.stock import RELEASED, Stock
from projections.stock_rules import Rules
from schemas.envelope import Envelope
from schemas.events.orders import LinesAssessed, OrderPlaced, OrderStateChanged
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, OrderLine, Sku

TICK = 1.0  # seconds of the event loop; how late a wake-up that went astray is made good
PUBLICATION = "SELECT document FROM projections.publications WHERE tenant = $1 AND key = $2"

# edited: somebody else had raised what the channel showed. degraded: news was missing, and the rules let it be shown all the same.
# import, ceiling: we knew, and the file that said so was under way, or waited for its turn. unheard: nobody had told us yet.
CAUSES = ("edited", "degraded", "import", "ceiling", "unheard")

_publication = msgspec.json.Decoder(Publication)


@dataclass
class Oversells:
    """Of one channel, from now on: as each order is first compared with what Shopify has."""

    pool: Any
    log: Log
    book: Book
    channel: ChannelId
    rules: Rules
    metrics: Metrics

    async def run(self) -> None:
        """Until cancelled."""
        for cause in CAUSES:
            self.metrics.oversell.labels(self.log.tenant, cause)
        after = await self.log.head()
        async with self.log.listen() as wake:
            while True:
                page = await self.log.page(after, BATCH)
                for event in page.events:
                    if isinstance(event, LinesAssessed) and event.channel == self.channel:
                        await self._judge(event)
                if page.last == after:
                    await wake(TICK)
                after = page.last

    async def _judge(self, event: LinesAssessed) -> None:
        story = [envelope.event for envelope in await self.log.read_stream(order_stream(event.channel, event.order_id))]
        looks = [each for each in story if isinstance(each, LinesAssessed)]
        states = [each.state for each in story if isinstance(each, OrderStateChanged)]
        placed = next((each for each in story if isinstance(each, OrderPlaced)), None)
        if placed is None or not placed.ours_to_ship or looks[:1] != [event] or (states and states[-1] in RELEASED):
            return
        for line, units in short_by(placed.lines, event.lines):
            self.metrics.oversell.labels(self.log.tenant, await self._cause(placed, line)).inc(units)

    async def _cause(self, placed: OrderPlaced, line: OrderLine) -> str:
        recipe = await self.book.recipe(self.channel, line.sku)
        rows, owed = await self.book.owed([line.sku, *recipe])
        seen = rows[line.sku].seen.get(self.channel) if line.sku in rows else None
        if seen is not None and seen.odd is not None and seen.quantity > seen.odd:
            return "edited"
        document = await self.pool.fetchval(PUBLICATION, self.log.tenant, self.channel)
        standing = _publication.decode(document) if document is not None else Publication(channel=self.channel)
        if standing.mode != "normal":
            return "degraded"
        orders = {order for _, order, _ in owed} - {f"{placed.channel}:{placed.order_id}"}
        heard = await self._heard(orders, placed.placed_at)
        before = [(part, units) for part, order, units in owed if order in heard]
        if any(self._was_known(rows.get(part), each * line.quantity, before, placed.placed_at) for part, each in recipe.items()):
            return "import" if standing.under_way and line.sku in standing.quantities else "ceiling"
        return "unheard"

    async def _heard(self, orders: set[str], at: Instant) -> set[str]:
        """Those of which we had heard at that moment."""
        streams = {order: f"order-{order}" for order in sorted(orders)}
        told: Mapping[tuple[str, str], Envelope] = await self.log.last([(stream, "") for stream in streams.values()], OrderPlaced)
        return {order for order, stream in streams.items() if (stream, "") in told and told[stream, ""].recorded_at <= at}

    def _was_known(self, row: Stock | None, units: int, owed: Sequence[tuple[Sku, int]], at: Instant) -> bool:
        """Whether a count that was read before said that there were not so many."""
        if row is None or row.levels is None or row.read_at is None or row.read_at > at:
            return False
        there = sum(level for place, level in row.levels.items() if self.rules.counts(place))
        return there - sum(held for part, held in owed if part == row.sku) < units
