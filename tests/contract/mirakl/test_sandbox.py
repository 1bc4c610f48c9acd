"""An order and a stock file, all the way round, against a marketplace that has a state."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from adapters.http import Secret
from adapters.mirakl import Mirakl, MiraklSettings
from engine.adapter import Done, NotYet, Refused
from engine.errors import RejectedError, UnknownOutcomeError
from engine.metrics import Metrics
from engine.ports import TcpNet
from ops.sandbox.face import API_KEY, Sandbox, serve_sandbox
from ops.sandbox.faults import Fault
from ops.sandbox.plan import Plan
from ops.sandbox.world import World
from schemas.commands import AcceptOrder, PublishStock, SetSellerReference, SettleStockImport, ShipOrder
from schemas.events import Event
from schemas.events.inventory import StockImportStarted
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven, OrderPlaced, OrderStateChanged
from schemas.values import ChannelId, Sku, TenantId
from tests.contract.mirakl.marketplace import task
from tests.loopback import NOW, OpenDoor, StillClock

pytestmark = pytest.mark.anyio

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
    """The adapter, the sandbox, and a clock that both live by."""

    def __init__(self, sandbox: Sandbox, mirakl: Mirakl, clock: StillClock) -> None:
        self.sandbox, self.mirakl, self.clock = sandbox, mirakl, clock
        self.cursor: str | None = None

    async def hear(self, **after: float) -> list[Event]:
        self.clock.time += timedelta(**after)
        sight = await self.mirakl.sources[0].poll(self.cursor)
        self.cursor = sight.cursor
        return [each.fact.event for each in sight.heard]

    async def state(self, **after: float) -> str:
        return next(event.state for event in await self.hear(**after) if isinstance(event, OrderStateChanged))

    async def perform(self, command: Any) -> Any:
        [answer] = await self.mirakl.performs[type(command)].perform(self.mirakl.client, [task(command)])
        return answer

    async def look(self, command: Any) -> Done | Refused | None:
        look = self.mirakl.performs[type(command)].look
        assert look is not None
        return await look(self.mirakl.client, task(command))

    def sku(self) -> Sku:
        return Sku(min(self.sandbox.world.account.offers))

    async def sold(self) -> OrderPlaced:
        """Somebody bought, and we heard of it."""
        world = self.sandbox.world
        world.account.offers[self.sku()].quantity = 5
        order_id = world.buy(self.clock.now(), sku=self.sku())
        placed = [event for event in await self.hear(seconds=1) if isinstance(event, OrderPlaced) and event.order_id == order_id]
        return placed[0]


@asynccontextmanager
async def round_trip(**switches: Any) -> AsyncIterator[Round]:
    clock = StillClock(NOW)
    world = World(Plan(), 1, NOW)
    if switches:
        world.switch("mirakl", NOW, **switches)
    async with serve_sandbox(world, Waiting(clock), TcpNet()) as sandbox:
        settings = MiraklSettings(
            channel=ASOS,
            base_url=sandbox.mirakl_url,
            api_key=Secret(API_KEY),
            shop_id=world.account.shop_id,
            carriers={"Royal Mail": "RM"},
        )
        mirakl = Mirakl(settings, tenant=TenantId("t"), net=TcpNet(), clock=clock, admission=OpenDoor(), metrics=Metrics())
        try:
            yield Round(sandbox, mirakl, clock)
        finally:
            await mirakl.aclose()


def accepting(placed: OrderPlaced) -> AcceptOrder:
    return AcceptOrder(channel=ASOS, order_id=placed.order_id, accepted=tuple(line.line_id for line in placed.lines))


def shipping(placed: OrderPlaced) -> ShipOrder:
    return ShipOrder(channel=ASOS, order_id=placed.order_id, fulfilments=(), carrier="Royal Mail", tracking_number="AB123456789GB")


async def test_an_order_goes_all_the_way_round():
    async with round_trip() as it:
        placed = await it.sold()
        theirs = it.sandbox.world.account.orders[placed.order_id]
        assert placed.total.minor == sum(line.price + line.shipping_price for line in theirs.lines) and placed.currency == theirs.currency
        assert await it.look(accepting(placed)) is None
        assert isinstance(await it.perform(accepting(placed)), Done)
        assert await it.state(minutes=5) == "SHIPPING"
        sight = await it.mirakl.sources[0].poll(it.cursor)
        [address] = [each.fact.personal for each in sight.heard if isinstance(each.fact.event, DeliveryAddressGiven)]
        assert isinstance(address, DeliveryAddress) and address.street_1 and address.country_code
        reference = SetSellerReference(channel=ASOS, order_id=placed.order_id, reference="#1001")
        assert isinstance(await it.perform(reference), Done) and theirs.seller_reference == "#1001"
        assert await it.look(shipping(placed)) is None
        done = await it.perform(shipping(placed))
        assert theirs.state == "SHIPPED" and theirs.tracking.number == "AB123456789GB"
        assert await it.look(shipping(placed)) == done
        assert await it.state(minutes=5) == "SHIPPED"


async def test_an_answer_lost_after_the_effect_is_found_by_looking():
    async with round_trip() as it:
        placed = await it.sold()
        it.sandbox.faults.add(Fault("OR21", "drop", takes_effect=True))
        with pytest.raises(UnknownOutcomeError):
            await it.perform(accepting(placed))
        assert await it.look(accepting(placed)) is not None
        with pytest.raises(RejectedError):
            await it.perform(accepting(placed))
        it.clock.time += timedelta(minutes=5)
        it.sandbox.faults.add(Fault("OR24", "cut", takes_effect=True))
        it.sandbox.faults.add(Fault("OR24", "drop", takes_effect=True))
        for _ in range(2):
            with contextlib.suppress(UnknownOutcomeError, RejectedError):
                await it.perform(shipping(placed))
        assert await it.look(shipping(placed)) is not None


async def test_a_stock_file_goes_all_the_way_round():
    async with round_trip() as it:
        offers = it.sandbox.world.account.offers
        quantities = dict.fromkeys(map(Sku, sorted(offers)), 7) | {Sku('no;such "offer"'): 1, Sku("A\nB"): 2}
        started = await it.perform(PublishStock(channel=ASOS, quantities=quantities, as_of=1))
        [effect] = started.effects
        assert isinstance(effect.event, StockImportStarted) and effect.event.quantities == quantities
        settle = SettleStockImport(channel=ASOS, import_id=effect.event.import_id, quantities=quantities)
        assert await it.perform(settle) == NotYet(15.0)
        it.clock.time += timedelta(minutes=5)
        [settled] = (await it.perform(settle)).effects
        assert settled.event.status == "COMPLETE" and set(settled.event.refused) == {'no;such "offer"', "A\nB"}
        assert {offer.quantity for offer in offers.values()} == {7}


async def test_a_sandbox_is_a_sound_account():
    async with round_trip() as it:
        assert [finding.what for finding in await it.mirakl.probe() if not finding.ok and finding.what != "clock"] == []
