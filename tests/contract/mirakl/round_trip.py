"""The adapter, a marketplace that has a state, and a clock that both live by."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import anyio

from adapters.http import Secret
from adapters.mirakl import Mirakl, MiraklSettings
from engine.adapter import Done, Refused
from engine.metrics import Metrics
from engine.ports import TcpNet
from ops.sandbox.face import API_KEY, Sandbox, serve_sandbox
from ops.sandbox.plan import Plan
from ops.sandbox.world import World
from schemas.commands import AcceptOrder, ShipOrder
from schemas.events import Event
from schemas.events.orders import OrderPlaced, OrderStateChanged
from schemas.values import ChannelId, OrderId, Sku, TenantId
from tests.contract.mirakl.marketplace import task, until_heard
from tests.loopback import NOW, OpenDoor, StillClock

ASOS = ChannelId("asos")


class Waiting(StillClock):
    """The sandbox's view of a clock that somebody else moves."""

    def __init__(self, clock: StillClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.time

    async def sleep(self, seconds: float) -> None:
        await anyio.Event().wait()


class Round:
    def __init__(self, sandbox: Sandbox, mirakl: Mirakl, clock: StillClock) -> None:
        self.sandbox, self.mirakl, self.clock = sandbox, mirakl, clock
        self.world = sandbox.world
        self.cursors: dict[str, str] = {}

    async def poll(self, name: str = "orders", **after: float) -> list[Event]:
        """What a source hears next, so much later; on and on, where it goes on at once."""
        self.clock.time += timedelta(**after)
        source = next(source for source in self.mirakl.sources if source.name == f"mirakl:asos:{name}")
        heard = list[Event]()
        while True:
            sight = await source.poll(self.cursors.get(name))
            self.cursors[name] = sight.cursor
            heard += [each.fact.event for each in sight.heard]
            if sight.again != 0.0:
                return heard

    async def of(self, kind: type, order_id: str = "", name: str = "orders", **after: float) -> list[Any]:
        self.clock.time += timedelta(**after)
        heard = await self.poll(name)
        return [event for event in heard if isinstance(event, kind) and order_id in ("", event.order_id)]  # type: ignore[attr-defined]

    async def state(self, *, minutes: float = 0.0) -> str:
        return next(event.state for event in await self.poll(minutes=minutes) if isinstance(event, OrderStateChanged))

    async def perform(self, command: Any) -> Any:
        [answer] = await self.mirakl.performs[type(command)].perform(self.mirakl.client, [task(command)])
        return answer

    async def look(self, command: Any, *, called: bool = False) -> Done | Refused | None:
        found: Done | Refused | None = await until_heard(self.mirakl, task(command, called=called))
        return found

    def happens(self, operation: str, **arguments: Any) -> Any:
        """What somebody else does at the marketplace now."""
        return self.world.apply(f"mirakl.{operation}", arguments, self.clock.time)

    def sku(self) -> Sku:
        return Sku(min(self.world.account.offers))

    async def sold(self, units: int = 1) -> OrderPlaced:
        """Somebody bought, and we heard of it."""
        self.world.account.offers[self.sku()].quantity = 50
        order_id = self.world.buy(self.clock.now(), sku=self.sku(), quantity=units)
        placed = [event for event in await self.poll(seconds=1) if isinstance(event, OrderPlaced) and event.order_id == order_id]
        return placed[0]

    async def to_ship(self, units: int = 1) -> OrderPlaced:
        """Sold, accepted and paid: ours to ship."""
        placed = await self.sold(units)
        assert isinstance(await self.perform(accepting(placed)), Done)
        assert await self.state(minutes=5) == "SHIPPING"
        return placed

    def theirs(self, order_id: OrderId) -> Any:
        return self.world.account.orders[order_id]


@asynccontextmanager
async def round_trip(settings: dict[str, Any] | None = None, **switches: Any) -> AsyncIterator[Round]:
    clock = StillClock(NOW)
    world = World(Plan(), 1, NOW)
    if switches:
        world.switch("mirakl", NOW, **switches)
    async with serve_sandbox(world, Waiting(clock), TcpNet()) as sandbox:
        fields: dict[str, Any] = {
            "channel": ASOS,
            "base_url": sandbox.mirakl_url,
            "api_key": Secret(API_KEY),
            "shop_id": world.account.shop_id,
            "carriers": {"Royal Mail": "RM", "Pony": "name:Pony Express", "Yodel": "YODEL"},
            "reasons": {"refund": "17", "cancel": "15", "cancelation": "30"},
            "tax_mode": world.account.switches.tax_mode,
        }
        mirakl = Mirakl(
            MiraklSettings(**fields | (settings or {})),
            tenant=TenantId("t"),
            net=TcpNet(),
            clock=clock,
            admission=OpenDoor(),
            metrics=Metrics(),
        )
        try:
            yield Round(sandbox, mirakl, clock)
        finally:
            await mirakl.aclose()


def accepting(placed: OrderPlaced) -> AcceptOrder:
    return AcceptOrder(channel=ASOS, order_id=placed.order_id, accepted=tuple(line.line_id for line in placed.lines))


def shipping(placed: OrderPlaced, **more: Any) -> ShipOrder:
    fields: dict[str, Any] = {"carrier": "Royal Mail", "tracking_number": "AB123456789GB"}
    return ShipOrder(channel=ASOS, order_id=placed.order_id, fulfilments=(), **fields | more)
