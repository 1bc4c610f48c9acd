"""Every crash point of what the engine does: it is killed before and after each message of a flow, and the next one has to make it good.

A life is one world and one database in which engine after engine is killed, each at the next message of the same kind of work; so a crash
costs a start and one piece of work, not a whole world. At the end of a life everything must be as if nobody had ever been killed.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from ops.demo.settings import BUFFER
from ops.sandbox.mirakl.registry import RETURN_REASONS
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.people import person
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.shopify.sales import Order as ShopOrder
from ops.sandbox.shopify.state import APP_ID
from ops.simulate.options import Options
from ops.simulate.play import BrokenError, Engine, Play
from ops.simulate.store import AT_WORK

# It has read how the marketplace is configured (what of that may be asked for once a day only, its successor could not ask again), and has
# published a first file of quantities.
DOWN = 0.02  # seconds of the loop until the next engine is there
UNITS = 500  # in an order whose units are paid back or sent back one by one
WORLD = Options(
    plan=Plan(
        skus=4,
        locations=1,
        least_stock=50_000,
        most_stock=60_000,
        offers_open="at_stock",
        mirakl=Switches(returns=True, returns_accepted="automatically"),
        warehouse=Warehouse(pick_seconds=20.0),
    ),
    lease_seconds=0.3,
)

Done: TypeAlias = Callable[[], bool]  # looks at the world, not at the engine


@dataclass
class Point:
    """Where an engine was killed: at which message of its flow."""

    flow: str
    message: int
    side: str  # before, after
    what: str

    def __str__(self) -> str:
        return f"{self.flow}, {self.side} message {self.message}: {' '.join(self.what.split())[:60]}"


def changes(message: str) -> bool:
    """Whether it may change something, here or there; else a crash after it is the same as one before the next."""
    if message.startswith("http"):
        return True
    text = message.removeprefix("db").strip().upper()
    return "APPEND_EVENTS" in text or not (
        text == "" or text.startswith(("SELECT", "BEGIN", "SET ", "RESET", "ROLLBACK", "LISTEN", "UNLISTEN"))
    )


# ---------------------------------------------------------------- six flows: each sets something off and tells when it is done


async def ingest(play: Play) -> Done:
    """Bought on the marketplace; until it is in the log."""
    name = _bought(play)
    stream = f"order-asos:{name}"
    return lambda: bool(play.ask(f"SELECT 1 FROM crossdock.events WHERE stream = '{stream}' LIMIT 1"))  # noqa: S608 - a name of the sandbox


async def accept(play: Play) -> Done:
    """In the log; until the marketplace has been told that it will be sent."""
    await play.until(await ingest(play), "ingest")
    name = _newest(play)
    return lambda: play.world.account.orders[name].state != "WAITING_ACCEPTANCE"


async def create_and_ship(play: Play) -> Done:
    """Accepted; until it has been created in Shopify, and what left there has left on the marketplace."""
    await play.until(await accept(play), "accept")
    order = play.world.account.orders[_newest(play)]
    return lambda: order.state == "SHIPPED" and bool(order.seller_reference)


async def import_stock(play: Play) -> Done:
    """Somebody finds another number of them on the shelf; until the marketplace shows it."""
    sku = min(play.world.account.offers)
    units = 1_000 + int(play.clock.monotonic()) % 9_000
    play.sandbox.apply("shopify.stock", {"sku": sku, "quantity": units, "location": None})
    return lambda: play.world.account.offers[sku].quantity == units - BUFFER


async def refund(play: Play) -> Done:
    """A unit is paid back in Shopify; until it is on the marketplace."""
    order, name = await _large(play)
    line = order.lines[0]
    _act(play, "shopify", "staffRefund", order=order.id, lines=[(line.id, 1)], restock=False)
    told = play.world.account.orders[name].lines[0].refunds
    asked = len(order.refunds)
    return lambda: len(told) >= asked


async def send_back(play: Play) -> Done:
    """A buyer on the marketplace asks to send a unit back; until Shopify expects it."""
    order, name = await _large(play)
    there = play.world.account.orders[name]
    if there.state == "SHIPPED":
        _act(play, "mirakl", "customer_receives", order_id=name)
    back = {"order_line_id": there.lines[0].id, "quantity": 1, "reason_code": RETURN_REASONS[0]}
    asked = {"order_commercial_id": there.commercial_id, "method_code": "RETURN_METHOD_BY_MAIL", "return_lines": [back]}
    _act(play, "mirakl", "request_return", returns=[asked])
    number = sum(each.order_id == name for each in play.world.account.returns.values())
    return lambda: len(order.returns) >= number


Flow: TypeAlias = Callable[[Play], Coroutine[Any, Any, Done]]
FLOWS: dict[str, Flow] = {
    "ingest": ingest,
    "accept": accept,
    "create and ship": create_and_ship,
    "stock import": import_stock,
    "refund": refund,
    "return": send_back,
}


def _act(play: Play, system: str, do: str, **given: Any) -> Any:
    play.world.advance(play.clock.now())
    return play.sandbox.apply(f"act.{system}", {"do": do, "given": given})


def _bought(play: Play, quantity: int = 1) -> str:
    account = play.world.account
    buyer = msgspec.to_builtins(person(account.seed, len(account.orders)))
    return str(_act(play, "mirakl", "place", lines=[(max(account.offers), quantity)], buyer=buyer, options={"split": False}))


def _newest(play: Play) -> str:
    return max(play.world.account.orders.values(), key=lambda order: order.created_at).id


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
    """The course of a play in which engines are killed at one message of the flow after the other: `most` of them, from message `first`
    on, every `stride`th. `double`: the engine that should make it good is killed as well, at its own message of that number."""

    flow: str
    first: int = 1
    most: int = 1_000_000
    stride: int = 1
    double: Callable[[int], int] | None = None
    points: list[Point] = field(default_factory=list)
    longest: int = 0  # messages of a flow in which nobody was killed: there are no more points

    async def __call__(self, play: Play) -> None:
        engine = play.start_engine()
        await play.until(lambda: bool(play.ask(AT_WORK)), "the engine is at work")
        if self.flow in ("refund", "return"):
            await _large(play)
        message, side = self.first, "before"
        while len(self.points) < self.most:
            done = await FLOWS[self.flow](play)
            began = engine.process.messages
            self._arm(engine, message, side)
            await play.until(lambda engine=engine, done=done: not engine.process.alive or done(), f"{self.flow} {message}")  # type: ignore[misc]
            if engine.process.alive:
                self.longest = engine.process.messages - began
                engine.process.on_message = None
                break
            await play.wait(DOWN)
            engine = await self._next(play)
            await play.until(done, str(self.points[-1]))
            side, message = ("after", message) if side == "before" and changes(self.points[-1].what) else ("before", message + self.stride)
        await play.until_settled(minutes=600)

    async def _next(self, play: Play) -> Engine:
        engine = play.start_engine()
        if self.double is not None:
            self._arm(engine, self.double(len(self.points)), "before", "double")
            await play.until(lambda: not engine.process.alive, "the second crash")
            await play.wait(DOWN)
            engine = play.start_engine()
        return engine

    def _arm(self, engine: Engine, message: int, side: str, flow: str = "") -> None:
        """It dies at that message from now on."""
        process, at = engine.process, engine.process.messages + message

        def dies(what: str) -> str | None:
            if process.messages != at:
                return None
            self.points.append(Point(flow or self.flow, message, side, what))
            return side

        process.on_message = dies


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
