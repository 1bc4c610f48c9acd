"""Every crash point of what the engine does: it is killed before and after each message of a flow, and the next one has to make it good.

A crash point is a message (a statement, a call) at a stage of a flow, which is the last thing that the log has of it. A life is one world
and one database in which the flow is gone through again and again; the engine dies whenever it comes to a point at which none has died
yet, and the next one has to carry the flow on to its next stage before it may die in its turn. So a crash costs a start and little more. A
life is over when there is nothing new to die at: then everything must be as if nobody had ever been killed.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine import lease, line, outbox
from ops.demo.settings import BUFFER, CHANNEL
from ops.sandbox.chance import whole
from ops.sandbox.mirakl.registry import RETURN_REASONS
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.people import person
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.shopify.sales import Order as ShopOrder
from ops.sandbox.shopify.state import APP_ID
from ops.sandbox.shopify.state import Switches as Shopify
from ops.simulate.options import Options
from ops.simulate.play import BrokenError, Engine, Play
from ops.simulate.store import AT_WORK
from schemas.streams import offers_stream, order_stream, stock_stream
from schemas.values import OrderId, Sku

DOWN = 0.02  # seconds of the loop until the next engine is there
UNITS = 500  # in an order whose units are paid back or sent back one by one
START = 450  # messages of an engine's start, about: within these, who makes it good dies as well
WORLD = Options(
    plan=Plan(
        skus=4,
        locations=1,
        least_stock=50_000,
        most_stock=60_000,
        offers_open="at_stock",
        mirakl=Switches(returns=True, returns_accepted="automatically"),
        shopify=Shopify(duplicate_metafield="create_without"),  # nobody but us sees to it that an order is created once
        warehouse=Warehouse(pick_seconds=20.0),
    ),
    lease_seconds=0.3,
)

# What an engine says whatever it is at, and what changes nothing that anybody relies on.
HOUSEKEEPING = frozenset(
    " ".join(text.split()) for text in ("", "SELECT 1", lease.LOOK, lease.BEAT, outbox.QUEUE, line.PLAN_ONCE, line.PLAN_AS_BEFORE)
)

# The stage of a flow: the last thing that the log has of it, and what that is about.
LAST = """SELECT type || ' ' || coalesce(data->'command'->>'type', data->>'command', data->>'state', data->>'code', '')
    FROM crossdock.events WHERE {whose} ORDER BY position DESC LIMIT 1"""
UNANSWERED = "SELECT 1 FROM crossdock.outbox WHERE state = 'waiting' AND target <> 'clock' LIMIT 1"


@dataclass(frozen=True)
class Point:
    """Where an engine was killed: at which message, at which stage of which flow."""

    flow: str
    stage: str
    message: str
    side: str  # before, after it has left, or when it has changed something

    def __str__(self) -> str:
        return f"{self.flow}, at {self.stage or 'the beginning'}, {self.side}: {self.message[:120]}"


def changes(message: str) -> bool:
    """Whether it may change something, here or there; else a crash after it is the same as one before the next."""
    if message.startswith("http"):
        return not message.startswith(("http GET", "http query"))
    text = message.removeprefix("db").strip().upper()
    return "CROSSDOCK.APPEND_" in text or not (
        text == "" or text.startswith(("SELECT", "BEGIN", "SET ", "RESET", "ROLLBACK", "LISTEN", "UNLISTEN", "COPY"))
    )


def told(message: str) -> str:
    """The message without what is another one each time."""
    text = re.sub(r"[\w-]*\d[\w-]*", "#", " ".join(message.replace("\0", "").split()))
    return text.partition("?")[0] if text.startswith("http") else text


# ---------------------------------------------------------------- flows: each sets something off, and tells when it is done


class Flow:
    """One that is under way."""

    def __init__(self, play: Play) -> None:
        self.play = play

    async def begin(self) -> None:
        """Set it off."""

    def name(self) -> str:
        """What the engine is at."""
        raise NotImplementedError

    def whose(self) -> str:
        """Which events are its own, as a condition."""
        return "true"

    def done(self) -> bool:
        """Whether the world shows it. Looks at the world, not at the engine."""
        raise NotImplementedError


class Bought(Flow):
    """Bought on the marketplace; until it is in the log (ingest), the marketplace has been told that it will be sent (accept), and it has
    been created in Shopify, and what left there has left on the marketplace (create and ship).
    """

    async def begin(self) -> None:
        self.order = self.play.world.account.orders[_bought(self.play)]
        self._heard = False

    def name(self) -> str:
        self._heard = self._heard or bool(self.play.ask(f"SELECT 1 FROM crossdock.events WHERE {self.whose()} LIMIT 1"))  # noqa: S608 - a name of the sandbox
        return "ingest" if not self._heard else "accept" if self.order.state == "WAITING_ACCEPTANCE" else "create and ship"

    def whose(self) -> str:
        return f"stream = '{order_stream(CHANNEL, OrderId(self.order.id))}'"

    def done(self) -> bool:
        return self.order.state == "SHIPPED" and bool(self.order.seller_reference)


class Counted(Flow):
    """Somebody finds another number of them on the shelf; until the marketplace shows it."""

    async def begin(self) -> None:
        self.sku = Sku(min(self.play.world.account.offers))
        self.units = 1_000 + int(self.play.clock.monotonic()) % 9_000
        self.play.sandbox.apply("shopify.stock", {"sku": self.sku, "quantity": self.units, "location": None})

    def name(self) -> str:
        return "stock import"

    def whose(self) -> str:
        return f"stream IN ('{stock_stream(self.sku)}', '{offers_stream(CHANNEL)}')"

    def done(self) -> bool:
        return self.play.world.account.offers[self.sku].quantity == self.units - BUFFER


class Large(Flow):
    """Of an order whose units come back one by one."""

    order: ShopOrder
    there: str

    async def begin(self) -> None:
        self.order, self.there = await _large(self.play)

    def whose(self) -> str:
        return f"stream = '{order_stream(CHANNEL, OrderId(self.there))}'"


class Refund(Large):
    """A unit is paid back in Shopify; until it is on the marketplace."""

    async def begin(self) -> None:
        await super().begin()
        _act(self.play, "shopify", "staffRefund", order=self.order.id, lines=[(self.order.lines[0].id, 1)], restock=False)
        self.asked = len(self.order.refunds)

    def name(self) -> str:
        return "refund"

    def done(self) -> bool:
        return len(self.play.world.account.orders[self.there].lines[0].refunds) >= self.asked


class SentBack(Large):
    """A buyer on the marketplace asks to send a unit back; until Shopify expects it."""

    async def begin(self) -> None:
        await super().begin()
        there = self.play.world.account.orders[self.there]
        if there.state == "SHIPPED":
            _act(self.play, "mirakl", "customer_receives", order_id=self.there)
        back = {"order_line_id": there.lines[0].id, "quantity": 1, "reason_code": RETURN_REASONS[0]}
        asked = {"order_commercial_id": there.commercial_id, "method_code": "RETURN_METHOD_BY_MAIL", "return_lines": [back]}
        _act(self.play, "mirakl", "request_return", returns=[asked])
        self.asked = sum(each.order_id == self.there for each in self.play.world.account.returns.values())

    def name(self) -> str:
        return "return"

    def done(self) -> bool:
        return len(self.order.returns) >= self.asked


FLOWS: dict[str, type[Flow]] = {  # by the names of the six
    "ingest, accept, create and ship": Bought,
    "stock import": Counted,
    "refund": Refund,
    "return": SentBack,
}


def _act(play: Play, system: str, do: str, **given: Any) -> Any:
    play.world.advance(play.clock.now())
    return play.sandbox.apply(f"act.{system}", {"do": do, "given": given})


def _bought(play: Play, quantity: int = 1) -> str:
    account = play.world.account
    buyer = msgspec.to_builtins(person(account.seed, len(account.orders)))
    return str(_act(play, "mirakl", "place", lines=[(max(account.offers), quantity)], buyer=buyer, options={"split": False}))


async def _large(play: Play) -> tuple[ShopOrder, str]:
    """The order of this life whose units come back one by one."""
    if not play.world.account.orders:
        name = _bought(play, UNITS)
        await play.until(lambda: play.world.account.orders[name].state == "SHIPPED", name)
    [name] = play.world.account.orders
    return next(order for order in play.world.shop.orders.values() if order.app_id == APP_ID), name


# ---------------------------------------------------------------- a life


@dataclass
class Life:
    """The course of a play in which engines die, `most` of them at most; calls do not wait for a stage of which none has died, so that they
    come first. After every `twice`th whoever should make it good dies as well, at any message of its start.
    """

    flow: str
    most: int = 1_000_000
    every: bool = False  # before what only reads, too, and before statements that are changes by themselves
    twice: int = 12
    calm: int = 2  # times that nobody died, after which there is nothing new
    points: dict[Point, None] = field(default_factory=dict)
    doubles: int = 0
    passes: int = 0
    whole: bool = False  # there is nothing new

    async def __call__(self, play: Play) -> None:
        engine = play.start_engine()
        await play.until(lambda: bool(play.ask(AT_WORK)), "the engine is at work")
        flow, calm = FLOWS[self.flow](play), 0
        while calm < self.calm and len(self.points) < self.most:
            await play.until(lambda: not play.ask(UNANSWERED), "the last one is over")
            await flow.begin()
            before, self.passes = len(self.points), self.passes + 1
            engine = await self._go_through(play, flow, engine)
            calm = 0 if len(self.points) > before else calm + 1
        self.whole = calm == self.calm
        engine.process.on_message = None
        await play.until_settled(minutes=600)

    async def _go_through(self, play: Play, flow: Flow, engine: Engine) -> Engine:
        """Until it is done, by one engine after the other; returns the last."""
        last: str | None = None  # the stage at which somebody died

        def over() -> bool:
            return flow.done() and not play.ask(UNANSWERED)

        while True:
            self._arm(play, flow, engine, last)
            at = f"{flow.name()}: {next(reversed(self.points), '')}"
            await play.until(lambda engine=engine: not engine.process.alive or over(), at)  # type: ignore[misc]
            if engine.process.alive:
                return engine
            last = self._stage
            self.points[self._point] = None
            await play.wait(DOWN)
            engine = await self._next(play)

    async def _next(self, play: Play) -> Engine:
        engine = play.start_engine()
        if self.twice and len(self.points) % self.twice == 0:
            at = whole(play.seed, 1, START, "second", self.doubles)
            engine.process.on_message = lambda _: "before" if engine.process.messages == at else None
            await play.until(lambda: not engine.process.alive, "the second crash")
            self.doubles += 1
            await play.wait(DOWN)
            engine = play.start_engine()
        return engine

    def _arm(self, play: Play, flow: Flow, engine: Engine, last: str | None) -> None:
        """It dies where nobody has died yet, once it leads and the flow has gone on since somebody died."""
        whose = LAST.format(whose=flow.whose())
        fresh, leads, self._stage = False, False, ""

        def dies(message: str) -> str | None:
            nonlocal fresh, leads
            leads = leads or _leads(play, engine)
            if not leads or (text := told(message)).removeprefix("db ") in HOUSEKEEPING or text == "db":
                return None
            if not fresh:
                self._stage = (play.ask(whose) or [""])[0]
            fresh = not ("COMMIT" in text or "crossdock.append_" in text)
            if (self._stage == last and not text.startswith("http")) or len(self.points) >= self.most:
                return None
            for side in self._sides(text):
                point = Point(flow.name(), self._stage, text, side)
                if point not in self.points:
                    self._point = point
                    return side
            return None

        engine.process.on_message = dies

    def _sides(self, text: str) -> list[str]:
        """Where one may die. Where nothing changes, all is as it was when something had changed last: there only if at `every` point."""
        if text.startswith("http"):
            return ["before", "after"] if changes(text) else ["before"] * self.every
        commits = text.startswith("db COMMIT") and not text.endswith(" of")
        changed = commits or (changes(text) and "COMMIT" not in text)
        return [*(["before"] if self.every or commits else []), *(["changed"] if changed else [])]


def _leads(play: Play, engine: Engine) -> bool:
    """Whether it acts for every outside system."""
    if not engine.service.started.is_set():
        return False
    gauges = (engine.service.metrics.leader.labels(play.tenant, target) for target in ("clock", "shopify", f"mirakl:{CHANNEL}"))
    return all(sample.value == 1 for gauge in gauges for metric in gauge.collect() for sample in metric.samples)


@dataclass
class NothingTwice:
    """Watches that nothing is there twice while a life goes on: what the referee says in the end, at once."""

    every: int = 25  # requests between two looks
    _asked: int = 0

    def stepped(self, play: Play) -> None:
        self._asked += 1
        if self._asked % self.every == 0:
            seen: dict[str, int] = {}
            for order in play.world.shop.orders.values():
                if order.app_id == APP_ID and order.cancelled_at is None and order.source_identifier:
                    seen[order.source_identifier] = seen.get(order.source_identifier, 0) + 1
            if twice := [name for name, number in seen.items() if number > 1]:
                raise BrokenError("O1", twice[0], "stands in Shopify twice")

    async def settled(self, play: Play) -> None:
        """The course has asked the referee."""
