"""The platform, the daily sweep and the hourly count against a marketplace that has a state."""

from datetime import timedelta

import pytest

from engine.errors import RejectedError
from ops.sandbox.faults import Fault
from schemas.events.channels import OrdersCounted, PlatformSeen
from schemas.events.orders import OrderPlaced
from tests.contract.mirakl.round_trip import ASOS, round_trip

pytestmark = pytest.mark.anyio


async def test_the_platform_is_seen_as_it_is_configured():
    async with round_trip(multi_shipment=True, returns=True, alternative_carriers=False, tracking_mandatory_for=("EXP",)) as it:
        [seen] = await it.poll("platform")
        assert isinstance(seen, PlatformSeen)
        assert seen == PlatformSeen(
            channel=ASOS,
            multi_shipment=True,
            acceptance="NOT_AUTOMATIC",
            tax_mode="TAX_INCLUDED",
            returns=True,
            own_carriers=False,
            carriers=("DHLX", "DPDUK", "EVRI", "OTHER", "RM", "UPS", "YODEL", "ups-gb"),
            tracked_methods=("EXP",),
            methods=("EXP", "OPD", "PUP", "STD"),
            refund_reasons=("15", "16", "17"),
        )
        assert await it.poll("platform", hours=1) == []


async def test_a_sweep_hears_every_order_that_changed_file_by_file():
    async with round_trip(export_items=2) as it:
        sold = {(await it.sold()).order_id for _ in range(5)}
        found: list[str] = []
        polls = 0
        while not it.cursors.get("sweep") or "asked" in it.cursors["sweep"]:
            found += [event.order_id for event in await it.poll("sweep", seconds=10) if isinstance(event, OrderPlaced)]
            polls += 1
            assert polls < 20
        assert sold <= set(found) and len(found) == len(set(found))
        assert await it.poll("sweep", hours=1) == [], "the next one is tomorrow"


async def test_an_export_that_fails_or_goes_lost_begins_anew():
    async with round_trip(exports_fail=True) as it:
        await it.sold()
        await it.poll("sweep")
        await it.poll("sweep", minutes=1)
        assert "asked" not in it.cursors["sweep"] and "due" in it.cursors["sweep"]
        it.world.switch("mirakl", it.clock.time, exports_fail=False)
        heard = [event for minutes in (20, 1, 1) for event in await it.poll("sweep", minutes=minutes)]
        assert any(isinstance(event, OrderPlaced) for event in heard)


async def test_while_another_export_is_made_ours_is_refused():
    async with round_trip() as it:
        it.happens("OR13", asked={"start_date": "2026-08-01T00:00:00Z", "end_date": "2026-08-13T00:00:00Z"})
        with pytest.raises(RejectedError):
            await it.poll("sweep")
        await it.poll("sweep", minutes=1)
        assert "asked" in it.cursors["sweep"]


async def test_after_a_file_that_broke_off_another_is_asked_for():
    """It can be had once."""
    async with round_trip() as it:
        placed = await it.sold()
        await it.poll("sweep")
        it.sandbox.faults.add(Fault("OR15", "cut"))
        heard = [event for minutes in (1, 1, 16, 1, 1) for event in await it.poll("sweep", minutes=minutes)]
        assert placed.order_id in [event.order_id for event in heard if isinstance(event, OrderPlaced)]


async def test_the_hours_that_are_over_are_counted():
    async with round_trip() as it:
        await it.poll("count")
        sold = [await it.sold() for _ in range(3)]
        it.clock.time += timedelta(hours=1, minutes=31)
        await it.poll()
        [counted] = await it.poll("count")
        assert isinstance(counted, OrdersCounted)
        assert counted.until - counted.since == timedelta(hours=1)
        within = [placed for placed in sold if counted.since <= placed.placed_at < counted.until]
        assert counted.count == len(within) == 3
