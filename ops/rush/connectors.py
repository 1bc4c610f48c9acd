"""Two connectors for the modelled day: ours, by the engine's own folds and arithmetic; and one that copies everything now and then.

Of ours these are the real thing: the events, `projections.stock` and `projections.publications` folded over them, `difference` and
`desired`, the order of a file's lines, the rule that a rise waits for a poll of the orders. Modelled are the log (which nobody keeps), the
publisher's timetable, the readers and the way of an order through acceptance, payment and creation.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from uuid import UUID

from ops.publisher import FILE_ROWS
from ops.rush.market import ACCEPT, CREATE, PAID, POLL, Market, Order
from projections import publications, stock
from projections.desired import NORMAL
from projections.publications import Difference, News, Publication, difference
from projections.stock import Stock
from projections.stock_rules import Rules
from schemas.commands import PublishStock
from schemas.events import Event
from schemas.events.commands import CommandIssued
from schemas.events.inventory import StockCounted, StockImportFinished, StockImportStarted
from schemas.events.orders import OrderPlaced
from schemas.values import ChannelId, LineId, Money, OrderId, OrderLine, ShopId, Sku

MIDNIGHT = datetime(2026, 11, 27, tzinfo=UTC)
CHANNEL, PLACE = ChannelId("asos"), ShopId("gid://shopify/Location/1")
NOTHING = Money(0, "GBP")
FILE = 60.0  # seconds between two files, which is all that is allowed
SETTLE = 15.0  # seconds between two looks at a file
SWEEP = 900.0  # seconds between two sweeps
HINT = (0.3, 2.5)  # seconds from a change until its hint has led to a reading
THROTTLED = (1.0, 6.0)  # seconds more where Shopify wants us to wait


class Ours:
    listens = True

    def __init__(self, market: Market) -> None:
        self._market, self._rules = market, Rules(buffer=market.plan.buffer)
        self._rows: dict[Sku, Stock] = {}
        self._standing = Publication(channel=CHANNEL)
        self._changed: set[Sku] = set()
        self._news: dict[Sku, News] = {}
        self._waiting: set[Sku] = set()
        self._reading: set[int] = set()
        self._heard = self._position = 0
        self._next = 0.0
        self._orders_at: datetime | None = None
        self._weighed_at: datetime | None = None
        self._paying: list[tuple[float, Order]] = []  # from when on the poll shows them as paid

    def begin(self) -> None:
        self._market.at(0.0, self._sweep)
        self._market.at(1.0, self._poll)
        self._market.at(2.0, self._look)

    # ------------------------------------------------------------ what is heard

    def _moment(self, seconds: float) -> datetime:
        return MIDNIGHT + timedelta(seconds=seconds)

    def _tell(self, event: Event) -> None:
        self._position += 1
        for key in stock.keys(event):
            sku = Sku(key)
            was = self._rows.get(sku) or stock.initial(key)
            now = stock.evolve(was, event)
            if now is not was:
                self._rows[sku] = now
                self._changed.add(sku)
        for _ in publications.keys(event):
            self._standing = publications.evolve(self._standing, event)

    def hinted(self, item: int) -> None:
        if item in self._reading:
            return
        self._reading.add(item)
        wire = self._market.wire
        more = wire.uniform(*THROTTLED) if wire.happens(self._market.plan.throttled) else 0.0
        self._market.at(wire.uniform(*HINT) + more, lambda: self._read(item))

    def _read(self, item: int, settled: tuple[str, ...] = ()) -> None:
        self._reading.discard(item)
        sku, levels = sku_of(item), {PLACE: self._market.shelf[item]}
        row = self._rows.get(sku)
        if row is None or row.levels != levels or settled:
            at = self._moment(self._market.now)
            self._tell(StockCounted(sku=sku, item=ShopId(str(item)), levels=levels, read_at=at, settled=settled))

    def _sweep(self) -> None:
        """Finds what no hint told of."""
        for item in range(self._market.plan.skus):
            self._read(item)
        self._market.swept()
        self._market.at(SWEEP, self._sweep)

    def _poll(self) -> None:
        market = self._market
        seen, began = market.poll(self._heard), market.now
        if seen is not None:
            for order in seen:
                self._tell(placed(order, self._moment(order.at)))
                market.at(ACCEPT + PAID, lambda order=order: self._paying.append((market.now, order)))  # type: ignore[misc]
            self._heard += len(seen)
            self._orders_at = self._moment(began)
            ready, self._paying = self._paying, []
            for _, order in ready:
                market.at(CREATE, lambda order=order: self._create(order))  # type: ignore[misc]
        market.at(POLL, self._poll)

    def _create(self, order: Order) -> None:
        self._market.claim(order)
        self._market.at(self._market.wire.uniform(*HINT), lambda: self._read(order.item, (f"{CHANNEL}:{order.number}",)))

    # ------------------------------------------------------------ what is told

    def _look(self) -> None:
        """Once a second, as the publisher does."""
        if self._market.now >= self._next and not self._standing.under_way:
            again = self._waiting if self._orders_at != self._weighed_at else set()
            offers = self._changed | again
            found = difference(sorted(offers), CHANNEL, {sku: self._rows[sku] for sku in offers}, self._rules, orders_at=self._orders_at)
            self._waiting = (self._waiting - offers) | set(found.waiting)
            for sku in offers:
                self._news.pop(sku, None)
            self._news.update((line.sku, line) for line in found.news)
            self._changed, self._weighed_at = set(), self._orders_at
            if self._news:
                self._publish()
        self._market.at(1.0, self._look)

    def _publish(self) -> None:
        first = Difference(tuple(nsmallest(FILE_ROWS, self._news.values())))
        command = first.command(CHANNEL, limit=FILE_ROWS, as_of=self._position, rules="", mode=NORMAL, orders_at=self._orders_at)
        for sku in command.quantities:
            del self._news[sku]
        self._next = self._market.now + FILE
        self._tell(CommandIssued(command_id=UUID(int=self._position), command=command))
        self._send(command)

    def _send(self, command: PublishStock) -> None:
        number = str(self._position)

        def ended(applied: bool) -> None:
            if not applied:  # refused as one too many: the dispatcher sends it again when it may
                self._next = self._market.now + 2 * FILE
                self._market.at(FILE, lambda: self._send(command))
                return
            self._market.at(SETTLE - self._market.now % SETTLE, lambda: self._finish(number, command))

        self._tell(StockImportStarted(channel=CHANNEL, import_id=number, quantities=command.quantities))
        self._market.send({item_of(sku): units for sku, units in command.quantities.items()}, ended)

    def _finish(self, number: str, command: PublishStock) -> None:
        told_at = self._moment(self._market.now)
        self._tell(
            StockImportFinished(channel=CHANNEL, import_id=number, status="COMPLETE", quantities=command.quantities, told_at=told_at)
        )


class Snapshot:
    """Copies all quantities, less the buffer, every quarter of an hour, and then fetches the orders. Knows nothing in between."""

    every, listens = 900.0, False

    def __init__(self, market: Market) -> None:
        self._market, self._heard = market, 0

    def begin(self) -> None:
        self._market.at(0.0, self._turn)

    def hinted(self, item: int) -> None:
        """Nobody listens."""

    def _turn(self) -> None:
        market = self._market
        there = {item: max(0, units - market.plan.buffer) for item, units in enumerate(market.shelf)}
        again: Callable[[bool], None] = lambda applied: None if applied else market.at(FILE, lambda: market.send(there, again))  # noqa: E731
        market.send(there, again)
        for order in market.poll(self._heard) or ():
            self._heard += 1
            market.at(ACCEPT + PAID + self.every, lambda order=order: market.claim(order))  # type: ignore[misc]
        market.at(self.every, self._turn)


def sku_of(item: int) -> Sku:
    return Sku(f"SKU-{item:05d}")


def item_of(sku: Sku) -> int:
    return int(sku[4:])


def placed(order: Order, at: datetime) -> OrderPlaced:
    line = OrderLine(
        line_id=LineId("1"), sku=sku_of(order.item), quantity=order.units, unit_price=NOTHING, price=NOTHING, shipping_price=NOTHING
    )
    return OrderPlaced(
        channel=CHANNEL,
        order_id=OrderId(str(order.number)),
        commercial_id=str(order.number),
        placed_at=at,
        currency="GBP",
        taxes_included=True,
        lines=(line,),
        total=NOTHING,
    )
