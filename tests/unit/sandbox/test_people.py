"""The people of a world: everything that a scenario can say of them is done, in time and within what the systems let them do."""

from datetime import timedelta

import pytest

from ops.sandbox.office import OPERATOR, SERVICE
from ops.sandbox.plan import Merchandise, Operator, Plan, Service, Warehouse
from ops.sandbox.scenario import read_scenario
from ops.sandbox.truth import truth
from ops.sandbox.warehouse import UNLISTED
from ops.sandbox.world import World
from tests.unit.sandbox.connector import Connector
from tests.unit.sandbox.desk import START, Desk

BUSY = Plan(
    skus=12,
    locations=3,
    offers_open="at_stock",
    least_stock=200,
    most_stock=300,
    marketplace_orders=60,
    buyer_gap=120.0,
    restocks=5,
    warehouse=Warehouse(
        pick_seconds=600.0,
        partial=0.3,
        parcels=4,
        late_tracking=0.2,
        corrected_tracking=0.2,
        unlisted_carriers=0.3,
        taken_back=0.1,
        held=0.2,
        moved=0.2,
        split=0.2,
    ),
    service=Service(**dict.fromkeys(SERVICE, 0.2), after=1800.0),
    operator=Operator(**dict.fromkeys(OPERATOR, 0.2), after=1800.0),
    merchandise=Merchandise(recounts=6, transfers=6, renames=2, archives=2),
    mirakl=read_scenario("returns-season").mirakl,
)
ACTS = (
    *("staffCancel", "staffRefund", "staffReturn", "staffApproveReturn", "staffDeclineReturn", "staffProcessReturn"),
    *("staffRename", "staffProduct", "staffTransfer", "stock"),
    *("operator_cancel", "customer_cancel", "operator_refund", "operator_ship", "open_incident", "close_incident", "customer_message"),
    "request_return",
)
HANDLED = ("staffHold", "staffRelease", "staffMove", "staffSplit", "staffUnfulfil")


@pytest.fixture(scope="module")
def lived() -> Desk:
    """Ten days with a connector that does what it should."""
    desk = Desk(BUSY, seed=4)
    connector = Connector(desk)
    while desk.clock.at < START + timedelta(days=10):
        desk.later(1800 if desk.clock.at < START + timedelta(days=2) else 6 * 3600)
        connector.go_round()
    return desk


def test_everybody_has_done_everything(lived: Desk) -> None:
    actors = lived.world.actors
    done = actors.acts
    assert [act for act in ACTS if not done.get(act)] == []
    assert actors.placed == 60 and actors.sold > 10 and actors.restocked == 5
    assert sum(actors.refused.values()) < sum(done.values()) / 10, actors.refused
    assert actors.agenda.entries == [] and actors.tries == {}, "and nothing is left to be done"


def test_parcels_leave_in_every_way(lived: Desk) -> None:
    shop = lived.shop
    parcels = [len([one for one in order.fulfillments if shop.fulfillments[one].status == "SUCCESS"]) for order in shop.orders.values()]
    assert max(parcels) >= 3 and 1 in parcels
    companies = {parcel.company for parcel in shop.fulfillments.values()}
    assert companies & set(UNLISTED) and len(companies) > 5
    assert any(parcel.status == "CANCELLED" for parcel in shop.fulfillments.values())
    assert any(parcel.updated_at > parcel.created_at and parcel.status == "SUCCESS" for parcel in shop.fulfillments.values())
    assert all(actor in lived.world.actors.handled for actor in HANDLED)
    shipped = [order for order in shop.orders.values() if order.cancelled_at is None and order.fulfillments]
    assert shipped and all(line.unfulfilled >= 0 for order in shipped for line in order.lines)


def test_both_sides_tell_what_was_given_back(lived: Desk) -> None:
    told = truth(lived.world)
    assert any(order["refunds"] for order in told["shopify"]["orders"]) and any(order["returns"] for order in told["shopify"]["orders"])
    lines = [line for order in told["mirakl"]["orders"] for line in order["lines"]]
    assert any(line["refunds"] for line in lines) and any(line["incidents"] for line in lines)
    assert any(order["returns"] for order in told["mirakl"]["orders"]) and any(order["threads"] for order in told["mirakl"]["orders"])


def test_quiet_people_do_nothing() -> None:
    world = World(Plan(skus=3), 1, START)
    world.advance(START + timedelta(days=30))
    assert world.actors.acts == {} and world.actors.handled == {} and world.calls.last == 0


def test_what_somebody_waits_for_is_tried_a_few_times_and_then_left() -> None:
    """A refund of what never leaves."""
    plan = Plan(skus=3, offers_open="at_stock", service=Service(refunds=1.0, after=60.0), warehouse=Warehouse(pick_seconds=10**8))
    desk = Desk(plan)
    desk.created()
    desk.later(hours=1)
    assert desk.world.actors.acts == {} and desk.world.actors.tries == {}
    assert [due.what for due in desk.world.actors.agenda.entries] == ["pick"]
