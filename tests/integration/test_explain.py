"""Every number that a week of trade has told is reckoned again, from the log alone (R93); one that was not reckoned so is named.

CROSSDOCK_THOROUGH=2 explains each of them by itself; else a part of them are, and all are recomputed at once.
"""

import hashlib
import io
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from rich.console import Console

from adapters.mirakl.inbound.orders import Cursor
from adapters.mirakl.translate.stock import stock_file
from engine.adapter import Heard
from engine.inbox import news, own_fact
from engine.log import Append
from engine.runner import _Carrier, ensure_tables
from ops.explain import Asked, explain, print_asked
from ops.publisher import Publisher
from ops.recompute import recompute
from projections.publications import publications, settle
from projections.stock import inventory
from projections.stock_rules import Layer, Place, Rules
from schemas.commands import PublishStock, SettleStockImport
from schemas.events import Event
from schemas.events.channels import RulesApplied
from schemas.events.commands import CommandIssued
from schemas.events.inventory import OffersRead, PaceMeasured, StockImportFinished, StockImportStarted, StockModeSet, VariantSeen
from schemas.streams import SETTINGS, offers_stream, stock_stream
from schemas.values import ChannelId, ShopId, Sku
from tests.conftest import Database
from tests.examples import NOON
from tests.machine import JumpClock, Machine, machine
from tests.simulation.heard import counted, created, moved, placed, recipe_set
from tests.simulation.trade import ASOS, BOX, FAR, MADE_OF, MUG, NEAR, OTHER, SET, TWIN, Order, Trade
from tests.thorough import THOROUGH

pytestmark = pytest.mark.anyio

RULES = (
    {ASOS: Rules(buffer=2), OTHER: Rules(buffer=1, locations=(NEAR,), min_to_list=2)},
    {
        ASOS: Rules(percent=20, tags={"fragile": Layer(buffer=3, floor=1)}, velocity=True, continue_selling=4),
        OTHER: Rules(places={FAR: Place(on=False), NEAR: Place(buffer=1)}, skus={MUG: Layer(max_listed=5)}),
    },
)
NEVER_STALE = NOON + timedelta(days=1_000)
POLLED = """
INSERT INTO crossdock.cursors (tenant, name, cursor, committed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, name) DO UPDATE SET cursor = excluded.cursor
"""
SAMPLE = 12  # of so many numbers, one is explained by itself


class TradeClock(JumpClock):
    def __init__(self, trade: Trade) -> None:
        super().__init__()
        self.trade = trade

    def now(self) -> datetime:
        return self.trade.now

    def monotonic(self) -> float:
        return (self.trade.now - NOON).total_seconds()


@dataclass
class Week:
    """Trade, heard and told; the log, the folds and the publishers are the real ones, and everything is done at once when it is due."""

    engine: Machine
    trade: Trade
    rng: random.Random = field(default_factory=lambda: random.Random(12))
    publishers: dict[ChannelId, Publisher] = field(default_factory=dict)
    performed: int = 0  # commands of the log up to here
    folded: int = 0
    polled: dict[str, str] = field(default_factory=dict)  # order -> the state that was heard last

    async def hear(self, *heard: Heard) -> None:
        for each in await news(self.engine.log, heard):
            await self.engine.log.append(Append(stream=each.stream, facts=(each.fact,)))

    async def tell(self, stream: str, event: Event) -> None:
        """What has no id of its own outside."""
        self.trade.tick()
        fact = own_fact(self.engine.log.tenant, event, f"{stream}@{self.trade.now.isoformat()}", self.trade.now)
        await self.engine.log.append(Append(stream=stream, facts=(fact,)))

    async def apply_rules(self, rules: dict[ChannelId, Rules]) -> None:
        """As at a start with new settings."""
        text = msgspec.json.encode(rules, order="sorted").decode()
        digest = hashlib.sha256(text.encode()).hexdigest()
        await self.tell(SETTINGS, RulesApplied(digest=digest, rules="{}", stock=text))
        for channel, of_channel in rules.items():
            self.publishers[channel] = Publisher(
                self.engine.pool,
                self.engine.log,
                channel,
                of_channel,
                digest,
                self.engine.clock,
                self.engine.metrics,
                self._poll(channel),
                shop_source="shop",  # it has no cursor here: the modes of the week are told
                orders_source=channel,
            )

    def _poll(self, channel: ChannelId) -> Any:
        async def poll() -> bool:
            await self.poll(channel)
            return True

        return poll

    async def poll(self, channel: ChannelId) -> None:
        self.trade.tick()
        began = self.trade.now
        fresh = [order for order in self.trade.orders.values() if order.channel == channel and self.polled.get(order.key) != order.state]
        for order in fresh:
            await self.hear(placed(order), *([moved(order, order.placed_at)] if order.state != "SHIPPING" else []))
            self.polled[order.key] = order.state
        cursor = msgspec.json.encode(Cursor(until=began, began=began)).decode()
        await self.engine.pool.execute(POLLED, self.engine.log.tenant, channel, cursor, NEVER_STALE)

    def __post_init__(self) -> None:
        shared = (self.engine.clock, 1_000)
        self.carriers = (
            _Carrier(self.engine.pool, self.engine.log, inventory, (), *shared),
            _Carrier(self.engine.pool, self.engine.log, publications, (settle,), *shared),
        )

    async def fold(self) -> None:
        while (head := await self.engine.log.head()) > self.folded:
            for carrier in self.carriers:
                await carrier.advance()
            self.folded = head

    async def perform(self) -> None:
        """Every file is taken, worked on and followed to its end; now and then one fails, or is given up."""
        while fresh := await self.engine.log.read(self.performed):
            self.performed = fresh[-1].position
            for envelope in fresh:
                match envelope.event:
                    case CommandIssued(command_id=key, command=PublishStock(channel=channel, quantities=quantities, as_of=as_of)):
                        number = self.trade.take(channel, stock_file(quantities), str(key), as_of)
                        started = StockImportStarted(channel=channel, import_id=number, quantities=quantities)
                        await self.tell(offers_stream(channel), started)
                    case CommandIssued(command=SettleStockImport(channel=channel, import_id=number, quantities=quantities)):
                        there = self.trade.apply(channel, fails=self.rng.random() < 0.05)
                        assert there is not None
                        status = "STUCK" if self.rng.random() < 0.05 else there.status
                        ended = StockImportFinished(
                            channel=channel,
                            import_id=number,
                            status=status,
                            quantities=quantities,
                            refused=there.refused,
                            told_at=self.trade.now,
                        )
                        await self.tell(offers_stream(channel), ended)
            await self.fold()

    async def turn(self) -> None:
        """Up to an hour of it."""
        rng, trade = self.rng, self.trade
        trade.tick(rng.uniform(300, 1500))
        for _ in range(rng.randrange(4)):
            self.happen()
        claimed = [order for order in trade.orders.values() if order.owes and rng.random() < 0.3]
        for order in claimed:
            trade.claim(order)
            await self.hear(created(order, trade.now))
        await self.count(claimed)
        await self.decide()
        for channel, publisher in self.publishers.items():
            if rng.random() < 0.7:
                await self.poll(channel)
            await self.fold()
            if await publisher.publish():
                await self.perform()
            if publisher._wanted.is_set():
                await publisher.poll_orders()
        if rng.random() < 0.2:
            channel = rng.choice([ASOS, OTHER])
            shown = {sku: offer.quantity for sku, offer in trade.offers[channel].items()}
            await self.tell(offers_stream(channel), OffersRead(channel=channel, read_at=trade.now, quantities=shown))

    def happen(self) -> None:
        rng, trade = self.rng, self.trade
        orders: Sequence[Order] = list(trade.orders.values())
        sku, channel = rng.choice([MUG, BOX]), rng.choice([ASOS, OTHER])
        match rng.randrange(8):
            case 0 | 1 | 2:
                trade.buy(channel, rng.choice(list(MADE_OF[channel])), rng.randint(1, 3))
            case 3:
                trade.move(sku, rng.choice([NEAR, FAR]), -rng.randint(1, 3))
            case 4:
                trade.move(sku, rng.choice([NEAR, FAR]), rng.randint(1, 12))
            case 5:
                trade.transfer(sku, rng.randint(-2, 2))
            case 6:
                for order in [order for order in orders if order.claimed and order.state == "SHIPPING"][:2]:
                    trade.ship(order)
            case 7:
                for order in [order for order in orders if order.state == "SHIPPING"][:1]:
                    trade.cancel(order)

    async def count(self, claimed: Sequence[Order]) -> None:
        self.trade.tick()
        for sku, levels in self.trade.levels.items():
            settled = [order for order in claimed if sku in order.needs]
            if settled or self.rng.random() < 0.6:
                await self.hear(counted(sku, levels, self.trade.now, settled))

    async def decide(self) -> None:
        """What else moves a number."""
        rng, trade, channel = self.rng, self.trade, self.rng.choice([ASOS, OTHER])
        mode, step = rng.choice([("normal", 0)] * 4 + [("hold", 0), ("decay", 1), ("decay", 2), ("zero", 0), ("blackout", 0)])
        match rng.randrange(24):
            case 0 | 1 | 2:
                await self.tell(offers_stream(channel), StockModeSet(channel=channel, mode=mode, step=step, because="a test"))
            case 3:
                sku, tags = rng.choice([MUG, BOX]), rng.choice([(), ("fragile",)])
                beyond, status = rng.random() < 0.3, rng.choice(["ACTIVE", "ACTIVE", "ARCHIVED"])
                seen = VariantSeen(sku=sku, item=ShopId("i"), status=status, read_at=trade.now, sells_beyond_zero=beyond, tags=tags)
                await self.tell(stock_stream(sku), seen)
            case 4:
                pace = PaceMeasured(channel=ASOS, seconds=rng.randint(60, 900), hourly={MUG: rng.randint(0, 60), BOX: rng.randint(0, 9)})
                await self.tell(offers_stream(ASOS), pace)
            case 5:
                await self.hear(recipe_set(ASOS, SET, rng.choice(["2 x MUG + 1 x BOX", "1 x MUG + 1 x BOX", "3 x BOX"]), trade.now))
            case 6:
                await self.apply_rules(rng.choice(RULES))


@pytest.fixture
async def week(database: Database) -> AsyncIterator[Week]:
    trade = Trade()
    async with machine(database, TradeClock(trade)) as engine:
        async with engine.pool.acquire() as conn:
            await ensure_tables(conn, (inventory, publications))
        built = Week(engine, trade)
        await built.apply_rules(RULES[0])
        await built.hear(recipe_set(ASOS, SET, "2 x MUG + 1 x BOX", trade.now), recipe_set(OTHER, TWIN, "2 x BOX", trade.now))
        yield built


async def numbers(engine: Machine) -> list[tuple[int, PublishStock]]:
    """Every file, and where it is."""
    found, after = [], 0
    while page := await engine.log.read(after):
        after = page[-1].position
        found += [(each.position, each.event.command) for each in page if _is_file(each.event)]  # type: ignore[attr-defined]
    return found


def _is_file(event: Event) -> bool:
    return isinstance(event, CommandIssued) and isinstance(event.command, PublishStock)


async def asked(engine: Machine, channel: ChannelId, sku: Sku, position: int) -> Asked:
    return await explain(engine.pool, engine.log, [channel], sku, position)


def shown(it: Asked) -> str:
    out = io.StringIO()
    print_asked(Console(file=out, width=200), it)
    return out.getvalue()


async def test_every_number_of_a_week_is_what_the_log_makes_of_it(week: Week) -> None:
    engine, began = week.engine, week.trade.now
    while week.trade.now - began < timedelta(days=7):
        await week.turn()
    sent = await numbers(engine)
    every = [(position, command, sku) for position, command in sent for sku in command.quantities]
    checked = await recompute(engine.pool, engine.log, await engine.log.head())
    assert checked.differences == ()
    assert (checked.files, checked.numbers) == (len(sent), len(every))
    assert len(every) > 400, "a week in which something happened"
    terms: set[str] = set()
    for position, command, sku in every[:: SAMPLE if THOROUGH == 1 else 1]:
        [it] = (await asked(engine, command.channel, sku, position)).channels
        assert it.agrees and it.sent == command.quantities[sku] and it.file.position == position
        for line in it.lines:
            terms.add(line.name)
            assert all(basis.position <= max(it.as_of, position) for basis in line.behind)
            assert line.behind or line.name in ("left", "units of the offer"), f"{line.name} rests on nothing"
    assert terms >= {"level", "reserved", "buffer", "left", "bundle", "units of the offer", "min_to_list", "decay", "floor", "max_listed"}


async def test_a_number_that_was_not_reckoned_so_is_named_loudly(week: Week) -> None:
    engine = week.engine
    for _ in range(5):
        await week.turn()
    position, command = (await numbers(engine))[-1]
    sku = next(iter(command.quantities))
    wrong = msgspec.structs.replace(command, quantities={sku: command.quantities[sku] + 1})
    await week.tell(offers_stream(command.channel), CommandIssued(command_id="00000000-0000-0000-0000-000000000001", command=wrong))  # type: ignore[arg-type]
    head = await engine.log.head()
    checked = await recompute(engine.pool, engine.log, head)
    assert [(each.position, each.sku, each.sent - (each.recomputed or 0)) for each in checked.differences] == [(head, sku, 1)]
    it = await asked(engine, command.channel, sku, head)
    assert not it.channels[0].agrees
    assert "was sent" in shown(it) and "crossdock verify" in shown(it)
    before = await asked(engine, command.channel, sku, position)
    assert before.channels[0].agrees and "as it was sent" in shown(before)


async def test_what_was_never_told_or_heard_of_is_said_to_be_so(week: Week) -> None:
    engine = week.engine
    await week.hear(counted(MUG, {NEAR: 5}, week.trade.now))
    await week.fold()
    head = await engine.log.head()
    silent = await asked(engine, ASOS, MUG, head)
    assert (silent.channels, silent.silent, silent.known) == ((), (ASOS,), True)
    assert "had not been told anything of MUG" in shown(silent)
    unknown = await asked(engine, ASOS, Sku("mugg"), head)
    assert (unknown.known, unknown.near) == (False, ("MUG",))
    early = await asked(engine, ASOS, MUG, head - 1)
    assert (early.known, early.near) == (False, ()), "heard of later: no other name is meant"
