"""What the engine thinks of stock, in memory: its own folds, policies, publisher and news, over a log that is a list.

What is real: projections/, ops/publisher.py, engine/inbox.py's `news`, the adapters' translations of counts and files. What stands in for
the database answers the publisher's statements, each by its name; what stands in for a dispatcher and its pollers is moved by hand. The
publisher sees the trade's time, and when the shop and the orders were last read whole: in which mode a channel is, it says itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, TypeAlias, TypeVar, cast
from uuid import UUID

import anyio
import msgspec

from adapters.mirakl.translate.stock import stock_file
from adapters.shopify.inbound.sweep import Progress
from adapters.shopify.translate import stock as shop_stock
from engine.adapter import Heard
from engine.inbox import news
from engine.metrics import Metrics
from engine.outbox import issued_event
from ops import publisher as publishing
from ops.publisher import Publisher
from projections.publications import publications, settle
from projections.stock import inventory
from projections.stock_rules import Window
from schemas.commands import AnyCommand, Command, PublishStock, SettleStockImport
from schemas.envelope import Envelope, Fact, command_id, event_id
from schemas.events import Event, Note, tag_of
from schemas.events.commands import CommandIssued, CommandRefused
from schemas.events.inventory import OffersRead, StockImportFinished, StockImportStarted
from schemas.events.orders import LineStateChanged, OrderPlaced, ShopLine, ShopOrderCreated
from schemas.events.people import MappingSet
from schemas.streams import map_stream, offers_stream, order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, ShopId, Sku, TenantId
from tests.examples import NOON
from tests.simulation.trade import BOX, GHOST, MUG, RECIPES, RULES, Import, Order, Trade

TENANT = TenantId("acme")
SHOP = "shop"  # the source whose cursor says when it was last read whole; of the orders it is the channel's name
PACE = 3.0  # seconds between two files of a channel
T = TypeVar("T")


# ---------------------------------------------------------------- what is heard


def placed(order: Order) -> Heard:
    line = OrderLine(
        line_id=LineId(f"{order.order_id}-1"),
        sku=order.sku,
        quantity=order.quantity,
        unit_price=Money(1999, "GBP"),
        price=Money(1999 * order.quantity, "GBP"),
        shipping_price=Money(0, "GBP"),
    )
    event = OrderPlaced(
        channel=order.channel,
        order_id=OrderId(order.order_id),
        commercial_id=order.order_id,
        placed_at=order.placed_at,
        currency="GBP",
        taxes_included=True,
        lines=(line,),
        total=line.price,
    )
    return _of_order(order, event, "placed", order.placed_at)


def moved(order: Order, at: Instant) -> Heard:
    line = LineId(f"{order.order_id}-1")
    event = LineStateChanged(channel=order.channel, order_id=OrderId(order.order_id), line_id=line, sku=order.sku, state=order.state)
    return _of_order(order, event, order.state, at)


def created(order: Order, at: Instant) -> Heard:
    """One of Shopify's lines for each of the parts, as it is made of a bundle."""
    line = ShopLine(line_id=LineId(f"{order.order_id}-1"), item=ShopId("gid://shopify/LineItem/1"), sku=order.sku, quantity=order.quantity)
    event = ShopOrderCreated(
        channel=order.channel,
        order_id=OrderId(order.order_id),
        shop_order=ShopId(f"gid://shopify/Order/{order.order_id}"),
        name=order.order_id,
        total=Money(1999, "GBP"),
        lines=(line,),
        created_at=at,
    )
    return _of_order(order, event, "created", at)


def _of_order(order: Order, event: Event, what: str, at: Instant) -> Heard:
    identity = event_id(TENANT, "test", f"{order.key}:{what}", tag_of(event))
    stream = order_stream(order.channel, OrderId(order.order_id))
    return Heard(stream, Fact(event=event, event_id=identity, occurred_at=at))


def counted(sku: Sku, levels: Mapping[ShopId, int], at: Instant, settled: Sequence[Order] = (), *, read_by: Instant | None = None) -> Heard:
    """As the reader of items tells it; `read_by`: as a sweep does, which only knows between which moments it was."""
    nodes = [
        SimpleNamespace(is_active=True, location=SimpleNamespace(id=place), quantities=[SimpleNamespace(name="available", quantity=units)])
        for place, units in levels.items()
    ]
    item: Any = SimpleNamespace(
        id=f"gid://shopify/InventoryItem/{sku}", sku=sku, tracked=True, inventory_levels=SimpleNamespace(nodes=nodes)
    )
    names = sorted(order.key for order in settled)
    return shop_stock.counted(TENANT, item, at, names, sorted({order.sku for order in settled}), read_by=read_by)


def recipe_set(channel: ChannelId, offer: Sku, value: str, at: Instant) -> Heard:
    event = MappingSet(channel=channel, kind="bundle", name=offer, value=value, reason="a test")
    identity = event_id(TENANT, "test", f"{channel}:{offer}={value}@{at.isoformat()}", tag_of(event))
    return Heard(map_stream(channel, "bundle"), Fact(event=event, event_id=identity, occurred_at=at))


Told: TypeAlias = CommandRefused | OffersRead | StockImportStarted | StockImportFinished


def of_channel(event: Told, channel: ChannelId, what: str, at: Instant) -> Heard:
    identity = event_id(TENANT, "test", f"{channel}:{what}", tag_of(event))
    return Heard(offers_stream(channel), Fact(event=event, event_id=identity, occurred_at=at))


# ---------------------------------------------------------------- the log, the rows and the publisher's database


@dataclass
class Book:
    """A tenant's log."""

    tenant: TenantId = TENANT
    envelopes: list[Envelope] = field(default_factory=list)
    ids: set[UUID] = field(default_factory=set)
    told: dict[tuple[str, type[Event]], Envelope] = field(default_factory=dict)

    def append(self, heard: Heard, at: Instant) -> bool:
        fact = heard.fact
        if fact.event_id in self.ids:
            return False
        self.ids.add(fact.event_id)
        envelope = Envelope(
            tenant=TENANT,
            position=len(self.envelopes) + 1,
            stream=heard.stream,
            version=len(self.envelopes) + 1,
            event_id=fact.event_id,
            event=fact.event,
            schema_version=1,
            occurred_at=fact.occurred_at,
            recorded_at=at,
            correlation_id=fact.event_id,
            causation_id=None,
            actor="test",
            subject="",
            sealed=None,
            data="",
            hash=b"",
        )
        self.envelopes.append(envelope)
        self.told[heard.stream, type(fact.event)] = envelope
        return True

    async def head(self) -> int:
        return len(self.envelopes)

    async def last(self, places: Sequence[tuple[str, str]], kind: type[Event], field: str = "") -> dict[tuple[str, str], Envelope]:
        return {place: self.told[place[0], kind] for place in places if (place[0], kind) in self.told}

    async def opened(self, envelopes: Sequence[Envelope]) -> list[None]:
        return [None] * len(envelopes)

    def ring(self, position: int | None = None) -> None:
        """Nobody sleeps."""


@dataclass
class Fold:
    """A projection's rows, and how far they have come."""

    projection: Any
    rows: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)  # key -> position
    position: int = 0

    def forward(self, envelope: Envelope) -> list[tuple[Any, Any]]:
        """The rows that the next event changed: before and after."""
        changes = []
        for key in self.projection.keys(envelope.event):
            was = self.rows.get(key) or self.projection.initial(key)
            now = self.projection.evolve(was, envelope.event)
            if now != was:
                self.rows[key], self.changed[key] = now, envelope.position
                changes.append((was, now))
        self.position = envelope.position
        return changes


@dataclass
class TradeClock:
    trade: Trade

    def now(self) -> Instant:
        return self.trade.now

    def monotonic(self) -> float:
        return (self.trade.now - NOON).total_seconds()

    def loop_seconds(self, seconds: float) -> float:
        return seconds


class Database:
    """Answers what the publisher asks, as the tables would."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Database"]:
        yield self

    @asynccontextmanager
    async def transaction(self, **_: Any) -> AsyncIterator[None]:
        yield

    async def fetch(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        stock = self._engine.stock
        match statement:
            case publishing.FOLDED:
                return [{"name": fold.projection.name, "position": fold.position} for fold in (stock, self._engine.files)]
            case publishing.NEXT:
                _, after, key, limit = arguments
                places = sorted((place, name) for name, place in stock.changed.items() if (place, name) > (after, key))
                return [self._row(name, position=place) for place, name in places[:limit]]
            case publishing.ROWS:
                return [self._row(name) for name in sorted(arguments[1]) if name in stock.rows]
            case publishing.RECIPES:
                return [self._row(name) for name in sorted(stock.rows) if stock.rows[name].recipes]
            case publishing.READ_AT:
                return [self._cursor(name, at) for name, at in sorted(self._engine.whole.items()) if name in arguments[1]]
            case publishing.HEARD_AT:
                told = [self._engine.book.envelopes[position - 1] for position in sorted(arguments[1])]
                return [{"position": each.position, "type": tag_of(each.event), "recorded_at": each.recorded_at} for each in told]
        raise NotImplementedError(f"the publisher asks what this database does not know: {statement}")

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        assert statement == publishing.UNDER_WAY, f"the publisher asks what this database does not know: {statement}"
        files, key = self._engine.files, arguments[1]
        return {"document": msgspec.json.encode(files.rows[key]), "position": files.changed[key]} if key in files.rows else None

    def _cursor(self, name: str, at: Instant) -> dict[str, Any]:
        """The shop's has been committed since, as it is many times before it is whole once more."""
        if name != SHOP:
            return {"name": name, "cursor": "", "committed_at": at}
        return {"name": name, "cursor": msgspec.json.encode(Progress(whole=at)).decode(), "committed_at": self._engine.trade.now}

    def _row(self, name: str, **more: Any) -> dict[str, Any]:
        return {"key": name, "document": msgspec.json.encode(self._engine.stock.rows[name]), **more}


class ByHand(Publisher):
    """Its files go into the list of what is to be done; the statement that does so is left out, the derived key is not."""

    engine: "Engine"

    async def _issue(self, whats: Sequence[Command | Note], as_of: int) -> None:
        cause = self.engine.book.envelopes[as_of - 1].event_id
        issued = [self.engine.issue(what, cause) for what in whats][-1]
        self._need = max(self._need, issued) or await self.log.head()


# ---------------------------------------------------------------- the engine


@dataclass
class Reading:
    """What was read of the outside, on its way into the log."""

    heard: list[Heard]
    counts: dict[UUID, "Counted"] = field(default_factory=dict)  # by the id of the event
    swept: list["Counted"] = field(default_factory=list)  # by a sweep that has not ended

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


class Engine:
    def __init__(self, trade: Trade, watch: Callable[[PublishStock, "Engine"], None] = lambda _command, _engine: None) -> None:
        self.trade, self.watch = trade, watch
        self.book = Book()
        self.stock, self.files = Fold(inventory), Fold(publications)
        self.todo: list[tuple[UUID, Command]] = []  # the outbox
        self.counts: list[Counted] = []
        self.created: list[Order] = []  # whose creation we have heard of, and whose items are to be counted
        self.whole: dict[str, Instant] = {}  # the cursors: by source, when it was last read whole
        self.blackouts: dict[ChannelId, Window] = {}
        self.loop = asyncio.new_event_loop()
        for channel, recipes in RECIPES.items():
            for offer, value in recipes.items():
                self.append(recipe_set(channel, offer, value, trade.now))
        self.start()

    def start(self) -> None:
        """As a new process: the log, the rows and the outbox are what is left of the one before."""
        self.began = self.trade.now
        self.readings: dict[str, Reading] = {}  # by who reads; one at a time each
        self.asked: dict[ChannelId, asyncio.Future[bool]] = {}
        self.polling: dict[ChannelId, asyncio.Task[None]] = {}
        clock: Any = TradeClock(self.trade)
        log: Any = self.book
        self.publishers: dict[ChannelId, ByHand] = {}
        for channel, rules in RULES.items():
            made = ByHand(
                Database(self),  # type: ignore[arg-type]
                log,
                channel,
                rules,
                "rules",
                clock,
                METRICS,
                lambda channel=channel: self._ask(channel),  # type: ignore[misc]
                shop_source=SHOP,
                orders_source=channel,
            )
            made.engine, made._need, made._began = self, len(self.book.envelopes), self.trade.now
            self._obey(made)
            self.publishers[channel] = made

    def crash(self) -> None:
        for task in self.polling.values():
            task.cancel()
        self._settle()
        self.start()

    def close(self) -> None:
        self.crash()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def _settle(self) -> None:
        for _ in range(3):
            self.run(asyncio.sleep(0))

    def append(self, heard: Heard) -> bool:
        return self.book.append(heard, self.trade.now)

    def issue(self, what: Command | Note, cause: UUID) -> int:
        """Returns the position of its intent; 0 where it was issued before."""
        place = what.stream if isinstance(what, Note) else what.subject
        key = command_id(TENANT, tag_of(what), place, cause, what.part)
        event: Event = what if isinstance(what, Note) else CommandIssued(command_id=key, command=cast(AnyCommand, what))
        identity = key if isinstance(what, Note) else issued_event(TENANT, key)
        if not self.append(Heard(place, Fact(event=event, event_id=identity, occurred_at=self.trade.now))):
            return 0
        if isinstance(what, Command):
            self.todo.append((key, what))
        return len(self.book.envelopes)

    # ------------------------------------------------------------ folding and publishing

    def fold(self, which: Fold, events: int = 10_000) -> None:
        for envelope in self.book.envelopes[which.position : which.position + events]:
            for was, now in which.forward(envelope):
                if which is self.files:
                    for command in settle(was, now):
                        self.issue(command, envelope.event_id)

    def fold_all(self) -> None:
        while self.stock.position < len(self.book.envelopes) or self.files.position < len(self.book.envelopes):
            self.fold(self.stock)
            self.fold(self.files)

    def publish(self, channel: ChannelId) -> bool:
        before = len(self.todo)
        publisher = self.publishers[channel]
        published = self.run(publisher.publish())
        if published:
            publisher._next = publisher.clock.monotonic() + PACE
        for _, command in self.todo[before:]:
            if isinstance(command, PublishStock):
                self.watch(command, self)
        return published

    # ------------------------------------------------------------ reading

    async def _ask(self, channel: ChannelId) -> bool:
        self.asked[channel] = asyncio.get_running_loop().create_future()
        return await self.asked[channel]

    def poll(self, channel: ChannelId) -> None:
        """Begin a poll of its orders; for the publisher, where that waits for one."""
        if channel in self.readings:
            return
        if self.publishers[channel]._wanted.is_set():
            self.publishers[channel]._wanted = anyio.Event()
            self.polling[channel] = self.loop.create_task(self.publishers[channel].poll_orders())
            self._settle()
        self.trade.tick()
        heard = []
        for order in self.trade.orders.values():
            if order.channel == channel:
                heard += [placed(order), *([moved(order, self.trade.now)] if order.state != "SHIPPING" else [])]
        self.readings[channel] = Reading(heard)

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
            self.readings["sweep"] = Reading([], swept=[self._take(MUG, self.trade.now)])

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

    def arrive(self, who: str) -> None:
        """What was read is committed."""
        if who == "sweep":
            self.end_sweep()
        reading = self.readings.pop(who, None)
        if reading is None:
            return
        self.trade.tick()
        log: Any = self.book
        for heard in self.run(news(log, reading.heard)):
            if self.append(heard) and (count := reading.counts.get(heard.fact.event_id)) is not None:
                self.counts.append(replace(count, position=len(self.book.envelopes)))
        if who in RULES or who == "sweep":
            self.whole[SHOP if who == "sweep" else who] = self.trade.now
        if who == "hints":
            told = {order for heard in reading.heard for order in getattr(heard.fact.event, "settled", ())}
            self.created = [order for order in self.created if order.key not in told]
        if who in self.asked:
            channel = ChannelId(who)
            self.asked.pop(channel).set_result(True)
            self._settle()
            self.polling.pop(channel, None)

    def hear_created(self, order: Order) -> None:
        if self.append(created(order, self.trade.now)):
            self.created.append(order)

    def knows(self, order: Order) -> bool:
        """That it stands in Shopify."""
        return created(order, self.trade.now).fact.event_id in self.book.ids

    # ------------------------------------------------------------ performing

    def send(self, channel: ChannelId, *, lost: bool = False) -> None:
        """STO01, for the oldest file that waits."""
        found = next((each for each in self.todo if isinstance(each[1], PublishStock) and each[1].channel == channel), None)
        if found is None:
            return
        key, command = found
        assert isinstance(command, PublishStock)
        import_id = self.trade.take(channel, stock_file(command.quantities), str(key), command.as_of)
        if not lost:
            self.todo.remove(found)
            event = StockImportStarted(channel=channel, import_id=import_id, quantities=command.quantities)
            self.append(of_channel(event, channel, import_id, self.trade.now))

    def refuse(self, channel: ChannelId) -> bool:
        """STO01 says no to the oldest file that waits, unless it had taken it before."""
        found = next((each for each in self.todo if isinstance(each[1], PublishStock) and each[1].channel == channel), None)
        if found is None or any(each.command == str(found[0]) for each in self.trade.imports[channel]):
            return False
        self.trade.tick()
        self.todo.remove(found)
        event = CommandRefused(
            command_id=found[0], command=tag_of(found[1]), subject=found[1].subject, attempt=1, detail="no such file is wanted"
        )
        self.append(of_channel(event, channel, str(found[0]), self.trade.now))
        return True

    def settle(self, channel: ChannelId, *, give_up: bool = False) -> None:
        """STO02 and STO03."""
        found = next((each for each in self.todo if isinstance(each[1], SettleStockImport) and each[1].channel == channel), None)
        if found is None:
            return
        self.trade.tick()
        command = found[1]
        assert isinstance(command, SettleStockImport)
        there = self.import_of(channel, command.import_id)
        if there.status == "QUEUED" and not give_up:
            return
        status = "STUCK" if there.status == "QUEUED" else there.status
        there.given_up = status == "STUCK"
        self.todo.remove(found)
        event = StockImportFinished(
            channel=channel,
            import_id=command.import_id,
            status=status,
            quantities=command.quantities,
            refused=there.refused,
            told_at=self.trade.now,
        )
        self.append(of_channel(event, channel, command.import_id, self.trade.now))

    def import_of(self, channel: ChannelId, import_id: str) -> Import:
        return next(each for each in self.trade.imports[channel] if each.import_id == import_id)

    def black_out(self, channel: ChannelId, minutes: float) -> None:
        """Nothing is to be on offer from now on for so long."""
        self.trade.tick()
        self.blackouts[channel] = Window(name="stock-taking", starts=self.trade.now, ends=self.trade.now + timedelta(minutes=minutes))
        self._obey(self.publishers[channel])

    def _obey(self, publisher: Publisher) -> None:
        if publisher.channel in self.blackouts:
            publisher.rules = publisher.rules.without(blackouts=(self.blackouts[publisher.channel],))


METRICS = Metrics()
