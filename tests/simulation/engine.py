"""What the engine thinks of stock, in memory: its own folds, policies and publishers, turned by hand in the trade's time.

What is real: projections/, ops/publisher.py, engine/inbox.py's `news`, the adapters' translations of counts and files. What stands in:
book.py   the log and its folds    database.py    where the publisher finds the model's rows    heard.py   facts, as adapters tell them
readers.py   pollers and sweeps    dispatcher.py  what is sent of what is issued
The publisher sees when the shop and the orders were last read whole: in which mode a channel is, it says itself.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

import anyio

from engine.adapter import Heard
from engine.metrics import Metrics
from engine.outbox import issued_event
from ops.publisher import Publisher
from ops.simulate.memory import MemoryDb
from projections.publications import publications, settle
from projections.stock import inventory
from projections.stock_rules import Window
from schemas.commands import AnyCommand, Command, PublishStock
from schemas.envelope import Fact, command_id
from schemas.events import Event, Note, tag_of
from schemas.events.commands import CommandIssued
from schemas.values import ChannelId, Instant
from tests.examples import NOON
from tests.simulation.book import TENANT, Book, Fold
from tests.simulation.database import OnePool, Shelf
from tests.simulation.dispatcher import Dispatcher
from tests.simulation.heard import recipe_set
from tests.simulation.readers import SHOP, Readers
from tests.simulation.trade import RECIPES, RULES, Trade

METRICS = Metrics()
PACE = 3.0  # seconds between two files of a channel
T = TypeVar("T")


@dataclass
class TradeClock:
    trade: Trade

    def now(self) -> Instant:
        return self.trade.now

    def monotonic(self) -> float:
        return (self.trade.now - NOON).total_seconds()

    def loop_seconds(self, seconds: float) -> float:
        return seconds


class ByHand(Publisher):
    """Its files go into the list of what is to be done; the statement that does so is left out, the derived key is not."""

    engine: "Engine"

    async def _issue(self, whats: Sequence[Command | Note], as_of: int) -> None:
        cause = self.engine.book.envelopes[as_of - 1].event_id
        issued = [self.engine.issue(what, cause) for what in whats][-1]
        self._need = max(self._need, issued) or await self.log.head()


class Engine:
    def __init__(self, trade: Trade, watch: Callable[[PublishStock, "Engine"], None] = lambda _command, _engine: None) -> None:
        self.trade, self.watch = trade, watch
        self.book = Book(trade)
        self.stock, self.files = Fold(inventory), Fold(publications)
        self.readers, self.dispatcher = Readers(trade, self.book), Dispatcher(trade, self.book)
        self.blackouts: dict[ChannelId, Window] = {}
        self.shelf = Shelf(self.book, self.stock, self.files)
        self.loop = asyncio.new_event_loop()
        self.pool: Any = OnePool(self.run(MemoryDb(self.shelf.database).connect()))
        for channel, recipes in RECIPES.items():
            for offer, value in recipes.items():
                self.book.append(recipe_set(channel, offer, value, trade.now))
        self.start()

    def start(self) -> None:
        """As a new process: the log, the rows and the outbox are what is left of the one before."""
        self.began = self.trade.now
        self.readers.start()
        self.asked: dict[ChannelId, asyncio.Future[bool]] = {}
        self.polling: dict[ChannelId, asyncio.Task[None]] = {}
        self.shelf.update(self.readers.whole, self.readers.began)
        clock: Any = TradeClock(self.trade)
        log: Any = self.book
        self.publishers: dict[ChannelId, ByHand] = {}
        for channel, rules in RULES.items():
            made = ByHand(
                self.pool,
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
            made.engine, made._need = self, len(self.book.envelopes)
            self.run(made.begin())
            self._obey(made)
            self.publishers[channel] = made

    def crash(self) -> None:
        for task in self.polling.values():
            task.cancel()
        self._let_run()
        self.start()

    def close(self) -> None:
        self.crash()
        self.pool.terminate()
        self._let_run()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def _let_run(self) -> None:
        """Whatever waits in the loop, until it waits for something else."""
        for _ in range(3):
            self.run(asyncio.sleep(0))

    def issue(self, what: Command | Note, cause: UUID) -> int:
        """Returns the position of its intent; 0 where it was issued before."""
        place = what.stream if isinstance(what, Note) else what.subject
        key = command_id(TENANT, tag_of(what), place, cause, what.part)
        event: Event = what if isinstance(what, Note) else CommandIssued(command_id=key, command=cast(AnyCommand, what))
        identity = key if isinstance(what, Note) else issued_event(TENANT, key)
        if not self.book.append(Heard(place, Fact(event=event, event_id=identity, occurred_at=self.trade.now))):
            return 0
        if isinstance(what, Command):
            self.dispatcher.todo.append((key, what))
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
        before = len(self.dispatcher.todo)
        self.shelf.update(self.readers.whole, self.readers.began)
        publisher = self.publishers[channel]
        published = self.run(publisher.publish())
        if published:
            publisher._next = publisher.clock.monotonic() + PACE
        for _, command in self.dispatcher.todo[before:]:
            if isinstance(command, PublishStock):
                self.watch(command, self)
        return published

    # ------------------------------------------------------------ reading

    async def _ask(self, channel: ChannelId) -> bool:
        self.asked[channel] = asyncio.get_running_loop().create_future()
        return await self.asked[channel]

    def poll(self, channel: ChannelId) -> None:
        """Begin a poll of its orders; for the publisher, where that waits for one."""
        if channel in self.readers.readings:
            return
        if self.publishers[channel]._wanted.is_set():
            self.publishers[channel]._wanted = anyio.Event()
            self.polling[channel] = self.loop.create_task(self.publishers[channel].poll_orders())
            self._let_run()
        self.readers.poll(channel)

    def arrive(self, who: str) -> None:
        """What was read is committed; a publisher that asked for it hears so."""
        read = who in self.readers.readings
        self.run(self.readers.arrive(who))
        if read and who in self.asked:
            channel = ChannelId(who)
            self.asked.pop(channel).set_result(True)
            self._let_run()
            self.polling.pop(channel, None)

    # ------------------------------------------------------------ the owner

    def black_out(self, channel: ChannelId, minutes: float) -> None:
        """Nothing is to be on offer from now on for so long."""
        self.trade.tick()
        self.blackouts[channel] = Window(name="stock-taking", starts=self.trade.now, ends=self.trade.now + timedelta(minutes=minutes))
        self._obey(self.publishers[channel])

    def _obey(self, publisher: Publisher) -> None:
        if publisher.channel in self.blackouts:
            publisher.rules = publisher.rules.without(blackouts=(self.blackouts[publisher.channel],))
