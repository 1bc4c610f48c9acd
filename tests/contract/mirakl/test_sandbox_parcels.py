"""Parcels and their tracking against a marketplace that has a state, with answers lost and other hands at work."""

from typing import Any

import msgspec
import pytest

from engine.adapter import Done, Refused
from engine.errors import UnknownOutcomeError
from ops.sandbox.faults import Fault
from schemas.commands import CancelOrder, CorrectTracking, ShipParcel
from schemas.events.orders import LineStateChanged, OrderPlaced, OrderStateChanged, TrackingShown
from schemas.values import ShopId
from tests.contract.mirakl.round_trip import ASOS, accepting, round_trip, shipping

pytestmark = pytest.mark.anyio


def parcel(placed: OrderPlaced, number: int, units: int, **more: Any) -> ShipParcel:
    fields: dict[str, Any] = {"carrier": "Royal Mail", "tracking_number": f"AB{number}"}
    return ShipParcel(
        channel=ASOS,
        order_id=placed.order_id,
        fulfilment=ShopId(f"gid://shopify/Fulfillment/{number}"),
        units={placed.lines[0].line_id: units},
        **fields | more,
    )


async def test_three_units_leave_in_two_parcels():
    async with round_trip(multi_shipment=True) as it:
        placed = await it.to_ship(3)
        first, second = parcel(placed, 1, 1), parcel(placed, 2, 2)
        assert await it.look(first) is None
        one = await it.perform(first)
        assert isinstance(one, Done) and await it.look(first) == one and await it.look(second) is None
        assert isinstance(await it.perform(second), Done)
        assert await it.state(minutes=5) == "SHIPPED"
        assert len(it.world.account.shipments) == 2
        over = await it.perform(parcel(placed, 3, 1))
        assert isinstance(over, Refused) and over.detail, "all units have left"


@pytest.mark.parametrize("takes_effect", [True, False])
async def test_a_parcel_whose_answer_was_lost_is_found_or_not_there(takes_effect: bool):
    async with round_trip(multi_shipment=True) as it:
        placed = await it.to_ship(2)
        command = parcel(placed, 1, 1)
        it.sandbox.faults.add(Fault("ST01", "drop", takes_effect=takes_effect))
        with pytest.raises(UnknownOutcomeError):
            await it.perform(command)
        seen = await it.look(command, called=True)
        assert isinstance(seen, Done) if takes_effect else seen is None
        assert len(it.world.account.shipments) == int(takes_effect)


async def test_new_tracking_follows_a_parcel_or_an_order():
    async with round_trip(multi_shipment=True) as it:
        placed = await it.to_ship()
        made = await it.perform(parcel(placed, 1, 1))
        shipment = made.effects[0].event.shipment
        told = CorrectTracking(
            channel=ASOS, order_id=placed.order_id, fulfilment=ShopId("gid://shopify/Fulfillment/1"), carrier="Pony", shipment=shipment,
            tracking_number="P7", tracking_url="https://pony.test/P7",
        )  # fmt: skip
        assert isinstance(await it.perform(told), Done)
        assert it.world.account.shipments[shipment].tracking.number == "P7"
        gone = await it.perform(msgspec.structs.replace(told, shipment="00000000-0000-0000-0000-000000000000"))
        assert isinstance(gone, Refused)
    async with round_trip() as it:
        placed = await it.to_ship()
        assert isinstance(await it.perform(shipping(placed)), Done)
        assert isinstance(await it.perform(msgspec.structs.replace(told, order_id=placed.order_id, shipment="")), Done)
        [shown] = await it.of(TrackingShown, placed.order_id, minutes=5)
        assert (shown.carrier, shown.tracking_number) == ("Pony Express", "P7")


async def test_where_orders_go_in_one_shipment_a_parcel_is_refused_so():
    async with round_trip() as it:
        placed = await it.to_ship()
        for answer in (await it.look(parcel(placed, 1, 1)), await it.perform(parcel(placed, 1, 1))):
            assert isinstance(answer, Refused) and answer.field == "multi_shipment"


@pytest.mark.parametrize("multi_shipment", [True, False])
async def test_where_tracking_is_demanded_the_refusal_says_so(multi_shipment: bool):
    async with round_trip(multi_shipment=multi_shipment, mandatory_tracking=True) as it:
        placed = await it.to_ship()
        blind = {"carrier": "Yodel", "tracking_number": ""}
        answer = await it.perform(parcel(placed, 1, 1, **blind) if multi_shipment else shipping(placed, **blind))
        assert isinstance(answer, Refused) and answer.field == "tracking", answer


async def test_what_was_shipped_by_hand_is_heard_and_found():
    async with round_trip() as it:
        placed = await it.to_ship()
        it.happens("operator_ship", order_id=placed.order_id)
        assert isinstance(await it.look(shipping(placed)), Done)
        assert await it.state(minutes=5) == "SHIPPED"


async def test_a_line_goes_through_an_incident_and_back():
    async with round_trip() as it:
        placed = await it.to_ship()
        await it.perform(shipping(placed))
        states = [event.state for event in await it.of(LineStateChanged, placed.order_id, minutes=5)]
        it.happens("open_incident", order_line_id=placed.lines[0].line_id)
        states += [event.state for event in await it.of(LineStateChanged, placed.order_id, minutes=5)]
        it.happens("close_incident", order_id=placed.order_id, line_id=placed.lines[0].line_id, reason_code="52")
        states += [event.state for event in await it.of(LineStateChanged, placed.order_id, minutes=5)]
        assert states[:2] == ["SHIPPED", "INCIDENT_OPEN"] and states[2] != "INCIDENT_OPEN"


@pytest.mark.parametrize("takes_effect", [True, False])
async def test_an_order_is_given_up_while_nobody_has_paid(takes_effect: bool):
    async with round_trip(debits_stuck=True) as it:
        placed = await it.sold()
        await it.perform(accepting(placed))
        command = CancelOrder(channel=ASOS, order_id=placed.order_id)
        it.sandbox.faults.add(Fault("OR29", "drop", takes_effect=takes_effect))
        with pytest.raises(UnknownOutcomeError):
            await it.perform(command)
        assert (await it.look(command) is not None) == takes_effect
        if not takes_effect:
            assert isinstance(await it.perform(command), Done)
        [state] = await it.of(OrderStateChanged, placed.order_id, seconds=1)
        assert state.state == "CANCELED"


@pytest.mark.parametrize("refusal_codes", ["in_message", "in_errors"])
async def test_partial_acceptance_may_be_switched_off(refusal_codes: str):
    async with round_trip(partial_acceptance=False, refusal_codes=refusal_codes) as it:
        buyer = msgspec.to_builtins(it.theirs((await it.sold()).order_id).buyer)
        sku, other = sorted(it.world.account.offers)[:2]
        it.world.account.offers[sku].quantity = it.world.account.offers[other].quantity = 9
        order_id = it.happens("place", lines=[(sku, 1), (other, 1)], buyer=buyer)
        [placed] = await it.of(OrderPlaced, order_id, seconds=1)
        first, second = (line.line_id for line in placed.lines)
        answer = await it.perform(msgspec.structs.replace(accepting(placed), accepted=(first,), refused=(second,)))
        assert isinstance(answer, Refused) and answer.field == "partial_acceptance"
        assert isinstance(await it.perform(accepting(placed)), Done)
