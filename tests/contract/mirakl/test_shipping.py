"""Parcels: whole orders by OR23 and OR24, one by one by ST01, found again by ST11, told anew by ST23."""

from typing import Any

import msgspec
import pytest

from engine.adapter import Done, Effect, Refused
from engine.errors import RejectedError, UnavailableError, UnknownOutcomeError
from schemas.commands import ShipOrder
from schemas.events.channels import PlatformSeen
from schemas.events.orders import OrderShipped, ShipmentMade, TrackingCorrected
from schemas.values import ShopId
from tests.contract.mirakl.asking import ASOS, CORRECT, FIRST, FULFILMENT, ORDER, PARCEL, SECOND, SHIP
from tests.contract.mirakl.marketplace import HANG_UP, Asked, account, refusal
from tests.contract.mirakl.payloads import order

pytestmark = pytest.mark.anyio

FOUND = f"{ORDER}:{FULFILMENT}"  # what is found is the parcel's, since an order may have had another before
SHIPPED = OrderShipped(
    channel=ASOS,
    order_id=ORDER,
    carrier_code="RM",
    tracking_number="AB1",
    fulfilments=(FULFILMENT,),
    carrier=" royal MAIL",
    tracking_url="https://rm.test/AB1",
)


# ---------------------------------------------------------------- the carrier


@pytest.mark.parametrize("carrier", ["Royal Mail Special", "RM", "", "  ", "jo@example.com"])
@pytest.mark.parametrize("command", [SHIP, PARCEL, CORRECT], ids=lambda command: type(command).__name__)
async def test_a_carrier_is_never_guessed(command: Any, carrier: str):
    async with account() as it:
        [answer] = await it.perform(msgspec.structs.replace(command, carrier=carrier))
        assert isinstance(answer, Refused) and answer.field == "carrier"
        assert answer.word == carrier.strip() and (carrier.strip() in answer.detail or "jo@" in carrier)
        assert "jo@" not in answer.detail and it.marketplace.asked == []


async def test_a_carrier_they_do_not_list_is_told_by_name_and_address():
    local = {"carrier": "local bike", "tracking_number": "9", "tracking_url": "https://bike.test/9"}
    async with account() as it:
        it.marketplace.says("OR23", 204)
        it.marketplace.says("OR24", 204)
        for code in ("ST01", "ST23"):
            it.marketplace.says(code, {"shipment_success": [{"id": "ship-1"}]})
        for command in (SHIP, PARCEL, CORRECT):
            assert isinstance((await it.perform(msgspec.structs.replace(command, **local)))[0], Done)
        whole, made, told = (asked.body for asked in it.marketplace.asked if asked.body)
        name = {"carrier_name": "Local Bike Ltd", "tracking_number": "9"}
        assert whole == name | {"carrier_url": "https://bike.test/9"}
        assert made["shipments"][0]["tracking"] == told["shipments"][0]["tracking"] == name | {"tracking_url": "https://bike.test/9"}
        it.mirakl.client.platform = PlatformSeen(channel=ASOS, multi_shipment=False, own_carriers=False)
        [answer] = await it.perform(msgspec.structs.replace(SHIP, **local))
        assert isinstance(answer, Refused) and answer.field == "carrier" and "local bike" in answer.detail


# ---------------------------------------------------------------- the whole order


async def test_an_order_is_tracked_and_then_shipped():
    async with account() as it:
        it.marketplace.says("OR23", 204)
        it.marketplace.says("OR24", 204)
        [done] = await it.perform(SHIP)
        tracked, shipped = it.marketplace.asked
    assert (tracked.code, tracked.body) == ("OR23", {"carrier_code": "RM", "tracking_number": "AB1"})
    assert (shipped.code, shipped.body, shipped.path) == ("OR24", None, {"order_id": ORDER})
    assert done == Done((Effect(SHIPPED, ORDER),))


async def test_what_is_not_tracked_is_not_shipped():
    async with account() as it:
        it.marketplace.says("OR23", HANG_UP)
        with pytest.raises(UnknownOutcomeError):
            await it.perform(SHIP)
        it.marketplace.says("OR23", refusal(400, "no such carrier"))
        assert await it.perform(SHIP) == [Refused("no such carrier")]
        assert it.marketplace.of("OR24") == []


@pytest.mark.parametrize("refuses", ["OR23", "OR24"])
async def test_where_tracking_is_demanded_and_missing_the_refusal_says_so(refuses: str):
    blind = ShipOrder(channel=ASOS, order_id=ORDER, fulfilments=(), carrier="DPD")
    async with account() as it:
        it.marketplace.says("OR23", 204)
        it.marketplace.says("OR24", 204)
        it.marketplace.says(refuses, refusal(400, "The shipping method requires Tracking details"))
        [answer] = await it.perform(blind)
        assert isinstance(answer, Refused) and answer.field == "tracking"
        [answer] = await it.perform(SHIP)
        assert isinstance(answer, Refused) and answer.field == "", "there was one: it is something else"


@pytest.mark.parametrize(
    ("state", "left_at", "found"),
    [
        ("SHIPPED", None, True),
        ("TO_COLLECT", None, True),
        ("RECEIVED", None, True),
        ("CLOSED", "2026-08-13T12:00:00Z", True),
        ("CLOSED", None, False),  # paid back before it left
        ("SHIPPING", None, False),
        ("CANCELED", None, False),
        (None, None, False),
    ],
)
async def test_whether_an_order_was_shipped_is_seen_by_its_state(state: str | None, left_at: str | None, found: bool):
    async with account() as it:
        there = order(order_state=state, shipping_carrier_code="RM", shipping_tracking="AB1")
        there["order_lines"] = [line | {"shipped_date": left_at} for line in there["order_lines"]]
        it.marketplace.says("OR11", {"orders": [there], "total_count": 1})
        seen = await it.look(SHIP)
    assert seen == (Done((Effect(SHIPPED, FOUND),)) if found else None)


async def test_what_somebody_else_shipped_is_told_as_they_show_it():
    theirs = {"shipping_carrier_code": None, "shipping_company": "Pony", "shipping_tracking": "P7", "shipping_tracking_url": "u"}
    async with account() as it:
        it.marketplace.says("OR11", {"orders": [order(order_state="SHIPPED", **theirs)], "total_count": 1})
        seen = await it.look(SHIP)
    event = OrderShipped(
        channel=ASOS, order_id=ORDER, carrier_code="", tracking_number="P7", fulfilments=(FULFILMENT,), carrier="Pony", tracking_url="u"
    )
    assert seen == Done((Effect(event, FOUND),))


async def test_a_parcel_with_a_new_label_is_no_contradiction_of_the_first():
    """The first was taken back while nobody knew whether it had been told; both are found shipped, and each is a fact of its own."""
    again = msgspec.structs.replace(SHIP, fulfilments=(ShopId("gid://shopify/Fulfillment/77"),), tracking_number="AB2")
    async with account() as it:
        for command in (SHIP, again):
            there = order(order_state="SHIPPED", shipping_carrier_code="RM", shipping_tracking=command.tracking_number)
            it.marketplace.says("OR11", {"orders": [there], "total_count": 1})
        first, second = await it.look(SHIP), await it.look(again)
    assert isinstance(first, Done) and isinstance(second, Done)
    assert first.effects[0].external_id != second.effects[0].external_id


# ---------------------------------------------------------------- one parcel


def made(shipment: str = "ship-1", code: str = "RM") -> Done:
    event = ShipmentMade(
        channel=ASOS,
        order_id=ORDER,
        shipment=shipment,
        fulfilment=FULFILMENT,
        units={FIRST: 1, SECOND: 2},
        carrier="Royal Mail",
        carrier_code=code,
        tracking_number="AB1",
    )
    return Done((Effect(event, shipment),))


def parcel(**more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": "ship-1",
        "order_id": ORDER,
        "invoice_reference": "4711",
        "status": "SHIPPED",
        "shipment_lines": [{"order_line_id": SECOND, "quantity": 2}, {"order_line_id": FIRST, "quantity": 1}],
        "tracking": {"carrier_code": "RM", "tracking_number": "AB1"},
    }
    return fields | more


async def test_a_parcel_is_told_with_the_fulfilments_number():
    async with account() as it:
        it.marketplace.says("ST01", {"shipment_success": [{"id": "ship-1"}], "shipment_errors": []})
        [done] = await it.perform(PARCEL)
        [asked] = it.marketplace.asked
    assert asked.body == {
        "shipments": [
            {
                "order_id": ORDER,
                "invoice_reference": "4711",
                "shipped": True,
                "shipment_lines": [{"order_line_id": FIRST, "quantity": 1}, {"order_line_id": SECOND, "quantity": 2}],
                "tracking": {"carrier_code": "RM", "tracking_number": "AB1"},
            }
        ]
    }
    assert done == made()


async def test_a_success_code_is_no_success():
    async with account() as it:
        said = "The order status must be 'SHIPPING' but it is 'CLOSED'."
        it.marketplace.says("ST01", {"shipment_success": [], "shipment_errors": [{"order_id": ORDER, "message": said}]})
        assert await it.perform(PARCEL) == [Refused(said)]
        it.marketplace.says("ST01", {"shipment_errors": [{"message": "tracking_number is mandatory"}]})
        blind = msgspec.structs.replace(PARCEL, tracking_number="")
        assert await it.perform(blind) == [Refused("tracking_number is mandatory", field="tracking")]
        nothings: tuple[dict[str, Any], ...] = ({}, {"shipment_success": [{}], "shipment_errors": None}, {"shipment_success": 7})
        for nothing in nothings:
            it.marketplace.says("ST01", nothing)
            with pytest.raises(UnknownOutcomeError):
                await it.perform(PARCEL)


async def test_where_orders_go_in_one_shipment_the_refusal_says_so():
    async with account() as it:
        for code in ("ST01", "ST11", "ST23"):
            it.marketplace.says(code, refusal(404, "Not Found"))
        [performed], [corrected] = await it.perform(PARCEL), await it.perform(CORRECT)
        looked = await it.look(PARCEL)
        assert performed == corrected == looked == Refused("asos takes one shipment an order", field="multi_shipment")


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, True),
        ({"tracking": None, "shipment_lines": None}, True),
        ({"invoice_reference": None}, True),
        ({"invoice_reference": "4712"}, False),
        ({"invoice_reference": None, "tracking": {"tracking_number": "AB2"}}, False),
        ({"invoice_reference": None, "shipment_lines": [{"order_line_id": FIRST, "quantity": 1}]}, False),
        ({"invoice_reference": None, "shipment_lines": [{"order_line_id": FIRST, "quantity": "x"}]}, False),
        ({"status": "CANCELED"}, False),
        ({"order_id": "another"}, False),
    ],
)
async def test_a_parcel_is_found_by_our_number_or_by_what_is_in_it(more: dict[str, Any], found: bool):
    async with account() as it:
        it.marketplace.says("ST11", {"data": [parcel(id="other", invoice_reference="1"), parcel(**more)]})
        seen = await it.look(PARCEL)
        assert it.marketplace.asked[0].query["order_id"] == ORDER
    code = "RM" if more.get("tracking", "there") else ""
    assert seen == (made(code=code) if found else None)


async def test_without_a_number_of_their_own_two_parcels_are_not_taken_for_one():
    async with account() as it:
        it.marketplace.says("ST11", {"data": [parcel(invoice_reference=None, tracking=None)]})
        assert await it.look(msgspec.structs.replace(PARCEL, tracking_number="")) is None


async def test_all_pages_of_shipments_are_looked_through():
    async def answer(asked: Asked) -> dict[str, Any]:
        if "page_token" in asked.query:
            assert asked.query["page_token"] == "next"
            return {"data": [parcel()], "next_page_token": None}
        return {"data": [parcel(id="other", invoice_reference="1")], "next_page_token": "next"}

    async with account() as it:
        it.marketplace.says("ST11", answer)
        assert await it.look(PARCEL) == made()
        bad: tuple[Any, ...] = ({"data": None}, {"data": [], "next_page_token": "for ever"}, 503)
        for each in bad:
            it.marketplace.says("ST11", each)
            with pytest.raises(UnavailableError):
                await it.look(PARCEL)
        it.marketplace.says("ST11", refusal(400, "no"))
        with pytest.raises(RejectedError):
            await it.look(PARCEL)


# ---------------------------------------------------------------- new tracking


async def test_new_tracking_is_told_of_a_shipment_or_of_the_order():
    event = TrackingCorrected(
        channel=ASOS, order_id=ORDER, fulfilment=FULFILMENT, carrier="DPD", tracking_number="CD2", tracking_url="https://dpd.test/CD2"
    )
    tracking = {"carrier_code": "DPDUK", "tracking_number": "CD2"}
    async with account() as it:
        it.marketplace.says("ST23", {"shipment_success": [{"id": "ship-1"}]})
        it.marketplace.says("OR23", 204)
        [one], [whole] = await it.perform(CORRECT), await it.perform(msgspec.structs.replace(CORRECT, shipment=""))
        assert it.marketplace.of("ST23")[0].body == {"shipments": [{"id": "ship-1", "tracking": tracking}]}
        assert it.marketplace.of("OR23")[0].body == tracking
    assert one.effects[0].event == whole.effects[0].event == event


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"shipment_errors": [{"id": "ship-1", "message": "Shipment not found"}]}, "Shipment not found"),
        ({"shipment_success": [{"id": "another"}]}, "the answer does not name this shipment"),
        ({}, "the answer does not name this shipment"),
    ],
)
async def test_new_tracking_may_be_refused_in_a_success(answer: dict[str, Any], why: str):
    async with account() as it:
        it.marketplace.says("ST23", answer)
        assert await it.perform(CORRECT) == [Refused(why)]
