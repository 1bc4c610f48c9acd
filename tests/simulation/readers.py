"""Who reads the shop and the marketplaces: what was read at one moment reaches the log at another, or never."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from engine.adapter import Heard
from engine.inbox import news
from schemas.events.inventory import OffersRead
from schemas.values import ChannelId, Instant, ShopId, Sku
from tests.simulation.book import Book
from tests.simulation.heard import counted, created, moved, of_channel, placed
from tests.simulation.trade import BOX, GHOST, MUG, RULES, Order, Trade

SHOP = "shop"  # the source whose cursor says when it was last read whole; of the orders it is the channel's name


@dataclass
class Reading:
    """What was read of the outside, on its way into the log."""

    heard: list[Heard]
    counts: dict[UUID, "Counted"] = field(default_factory=dict)  # by the id of the event
    swept: list["Counted"] = field(default_factory=list)  # by a sweep that has not ended
    began: Instant | None = None  # a poll, or a sweep

    def tell(self, heard: Heard, count: "Counted") -> None:
        self.heard.append(heard)
        self.counts[heard.fact.event_id] = count


@dataclass(frozen=True)
class Counted:
    """A count that was news. One that says what the last one said is none, and leaves no trace: what was read before it and arrives after
    it is believed until the next one. Here, too: what holds must hold by what the log has.
    """

    sku: Sku
    levels: Mapping[ShopId, int]
    read_at: Instant  # as the engine knows it; of a sweep, when it began
    taken_at: Instant  # in truth
    inside: frozenset[str]  # orders whose units are out of it: the world knows, the engine does not
    position: int = 0  # in the log


class Readers:
    """Each reads one thing at a time, and begins now what arrives later."""

    def __init__(self, trade: Trade, book: Book) -> None:
        self.trade, self.book = trade, book
        self.counts: list[Counted] = []
        self.created: list[Order] = []  # whose creation we have heard of, and whose items are to be counted
        self.whole: dict[str, Instant] = {}  # the cursors: by source, when it was last read whole
        self.began: dict[str, Instant] = {}  # likewise: when that reading, of a channel the poll of its orders, had begun
        self.start()

    def start(self) -> None:
        """As a new process: what was read and had not arrived is lost."""
        self.readings: dict[str, Reading] = {}  # by who reads

    def poll(self, channel: ChannelId) -> None:
        """Begin a poll of its orders. The engine sees to it that none lasts."""
        self.trade.tick()
        heard = []
        for order in self.trade.orders.values():
            if order.channel == channel:
                heard += [placed(order), *([moved(order, self.trade.now)] if order.state != "SHIPPING" else [])]
        self.readings[channel] = Reading(heard, began=self.trade.now)

    def count(self, *skus: Sku) -> None:
        """Begin to count, as a hint has it done; items of orders that are known to stand in Shopify are counted, too."""
        if "hints" in self.readings:
            return
        self.trade.tick()
        skus = tuple(dict.fromkeys((*skus, *(part for order in self.created for part in order.needs))))
        reading = self.readings["hints"] = Reading([])
        for sku in skus:
            settled = [order for order in self.created if sku in order.needs]
            reading.tell(counted(sku, self.trade.levels[sku], self.trade.now, settled), self._take(sku, self.trade.now))

    def sweep(self) -> None:
        """Have everything counted by a bulk operation: some of it is, at once."""
        if "sweep" not in self.readings:
            self.trade.tick()
            self.readings["sweep"] = Reading([], swept=[self._take(MUG, self.trade.now)], began=self.trade.now)

    def end_sweep(self) -> None:
        """The rest is counted; when what was, nobody can tell."""
        reading = self.readings.get("sweep")
        if reading is None or not reading.swept:
            return
        self.trade.tick()
        began = reading.swept[0].read_at
        for count in (*reading.swept, self._take(BOX, began), self._take(GHOST, began)):
            reading.tell(counted(count.sku, count.levels, began, read_by=self.trade.now), count)
        reading.swept = []

    def _take(self, sku: Sku, read_at: Instant) -> Counted:
        inside = frozenset(key for key, order in self.trade.orders.items() if order.claimed)
        return Counted(sku, dict(self.trade.levels[sku]), read_at, self.trade.now, inside)

    def read_offers(self, channel: ChannelId) -> None:
        who = f"offers {channel}"
        if who in self.readings:
            return
        self.trade.tick()
        event = OffersRead(
            channel=channel,
            read_at=self.trade.now,
            quantities={sku: offer.quantity for sku, offer in self.trade.offers[channel].items()},
        )
        self.readings[who] = Reading([of_channel(event, channel, f"read@{self.trade.now.isoformat()}", self.trade.now)])

    async def arrive(self, who: str) -> None:
        """What was read is committed."""
        if who == "sweep":
            self.end_sweep()
        reading = self.readings.pop(who, None)
        if reading is None:
            return
        self.trade.tick()
        log: Any = self.book
        for heard in await news(log, reading.heard):
            if self.book.append(heard) and (count := reading.counts.get(heard.fact.event_id)) is not None:
                self.counts.append(replace(count, position=len(self.book.envelopes)))
        if who in RULES or who == "sweep":
            self.whole[SHOP if who == "sweep" else who] = self.trade.now
        if reading.began is not None:
            self.began[SHOP if who == "sweep" else who] = reading.began
        if who == "hints":
            told = {order for heard in reading.heard for order in getattr(heard.fact.event, "settled", ())}
            self.created = [order for order in self.created if order.key not in told]

    def hear_created(self, order: Order) -> None:
        if self.book.append(created(order, self.trade.now)):
            self.created.append(order)

    def knows(self, order: Order) -> bool:
        """That it stands in Shopify."""
        return created(order, self.trade.now).fact.event_id in self.book.ids
