"""An order and a stock file, all the way round, against a marketplace that has a state."""

import contextlib
from datetime import timedelta

import pytest

from engine.adapter import Done, NotYet, Refused
from engine.errors import UnknownOutcomeError
from ops.sandbox.faults import Fault
from schemas.commands import PublishStock, SetSellerReference, SettleStockImport
from schemas.events.inventory import StockImportStarted
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven
from schemas.values import Sku
from tests.contract.mirakl.round_trip import ASOS, accepting, round_trip, shipping

pytestmark = pytest.mark.anyio


async def test_an_order_goes_all_the_way_round():
    async with round_trip() as it:
        placed = await it.sold()
        theirs = it.theirs(placed.order_id)
        assert placed.total.minor == sum(line.price + line.shipping_price for line in theirs.lines) and placed.currency == theirs.currency
        assert await it.look(accepting(placed)) is None
        assert isinstance(await it.perform(accepting(placed)), Done)
        assert await it.state(minutes=5) == "SHIPPING"
        sight = await it.mirakl.sources[0].poll(it.cursors["orders"])
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
        assert isinstance(await it.perform(accepting(placed)), Refused)
        it.clock.time += timedelta(minutes=5)
        it.sandbox.faults.add(Fault("OR24", "cut", takes_effect=True))
        it.sandbox.faults.add(Fault("OR24", "drop", takes_effect=True))
        for _ in range(2):
            with contextlib.suppress(UnknownOutcomeError):
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
