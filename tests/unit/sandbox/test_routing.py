"""Fulfilment orders held, released, moved, split, merged, put off; what is claimed goes with them."""

from typing import Any

import pytest

from ops.sandbox.shopify.sales import FulfillmentOrder
from ops.sandbox.shopify.state import gid
from tests.unit.sandbox.storefront import Storefront


def parcel_id(parcel: FulfillmentOrder) -> str:
    return gid("FulfillmentOrder", parcel.id)


def units(parcel: FulfillmentOrder, quantity: int, n: int = 0) -> dict[str, Any]:
    return {"id": gid("FulfillmentOrderLineItem", parcel.lines[n].id), "quantity": quantity}


def everywhere(shop: Storefront) -> None:
    """Every item is stocked at every location."""
    for item, levels in shop.shop.levels.items():
        for place in shop.shop.locations:
            if place not in levels:
                shop.world.apply(
                    "shopify.inventoryActivate",
                    {"item": gid("InventoryItem", item), "location": gid("Location", place), "key": f"{item}/{place}"},
                    shop.clock.at,
                )


def fulfil(shop: Storefront, parcel: FulfillmentOrder) -> Any:
    return shop.payload("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": parcel_id(parcel)}]})


def test_what_is_held_cannot_be_sent_until_it_is_released() -> None:
    shop = Storefront()
    _, parcel = shop.routed(2)
    held = shop.ask("FulfillmentOrderHold", id=parcel_id(parcel), fulfillmentHold={"reason": "AWAITING_PAYMENT", "handle": "debit"})
    assert held["fulfillmentOrder"]["status"] == "ON_HOLD" and held["remainingFulfillmentOrder"] is None
    assert {one["action"] for one in held["fulfillmentOrder"]["supportedActions"]} == {"HOLD", "RELEASE_HOLD"}
    assert "on_hold" in fulfil(shop, parcel)["userErrors"][0]["message"]
    shop.ask("FulfillmentOrderReleaseHold", id=parcel_id(parcel), holdIds=[held["fulfillmentHold"]["id"]])
    assert parcel.status == "OPEN" and fulfil(shop, parcel)["userErrors"] == []


def test_a_hold_does_not_change_the_order_s_date() -> None:
    shop = Storefront()
    order, parcel = shop.routed(1)
    before = order.updated_at
    shop.later(60)
    shop.staff("staffHold", parcel=parcel.id)
    assert order.updated_at == before
    assert shop.ask("OrderGet", id=gid("Order", order.id))["displayFulfillmentStatus"] == "ON_HOLD"


def test_a_handle_holds_once_and_ten_holds_are_enough() -> None:
    shop = Storefront()
    _, parcel = shop.routed(1)
    for n in range(10):
        shop.ask("FulfillmentOrderHold", id=parcel_id(parcel), fulfillmentHold={"reason": "OTHER", "handle": str(n)})
    again = shop.refused("FulfillmentOrderHold", id=parcel_id(parcel), fulfillmentHold={"reason": "OTHER", "handle": "3"})
    assert again[0]["code"] == "DUPLICATE_FULFILLMENT_HOLD_HANDLE"
    beyond = shop.refused("FulfillmentOrderHold", id=parcel_id(parcel), fulfillmentHold={"reason": "OTHER", "handle": "x"})
    assert beyond[0]["code"] == "FULFILLMENT_ORDER_HOLD_LIMIT_REACHED"
    shop.staff("staffHold", parcel=parcel.id)  # a person's are another matter


def test_only_the_holds_that_are_named_are_released_and_without_a_name_all_are() -> None:
    shop = Storefront()
    _, parcel = shop.routed(1)
    mine = shop.ask("FulfillmentOrderHold", id=parcel_id(parcel), fulfillmentHold={"reason": "OTHER", "handle": "mine"})
    shop.staff("staffHold", parcel=parcel.id, reason="HIGH_RISK_OF_FRAUD")
    shop.ask("FulfillmentOrderReleaseHold", id=parcel_id(parcel), holdIds=[mine["fulfillmentHold"]["id"]])
    assert [hold.reason for hold in parcel.holds] == ["HIGH_RISK_OF_FRAUD"] and parcel.status == "ON_HOLD"
    shop.ask("FulfillmentOrderReleaseHold", id=parcel_id(parcel), holdIds=[])
    assert parcel.status == "OPEN"
    shop.refused("FulfillmentOrderReleaseHold", id=parcel_id(parcel), holdIds=[])


def test_a_part_can_be_held_and_the_rest_is_sent() -> None:
    shop = Storefront()
    order, parcel = shop.routed(3)
    asked = {"reason": "OTHER", "handle": "h", "fulfillmentOrderLineItems": [units(parcel, 1)]}
    held = shop.ask("FulfillmentOrderHold", id=parcel_id(parcel), fulfillmentHold=asked)
    rest = shop.shop.fulfillment_orders[order.fulfillment_orders[1]]
    assert held["remainingFulfillmentOrder"] == {"id": parcel_id(rest), "status": "OPEN"}
    assert (parcel.status, parcel.remaining, rest.remaining) == ("ON_HOLD", 1, 2)
    assert fulfil(shop, rest)["userErrors"] == [] and order.lines[0].fulfilled == 2


# ---------------------------------------------------------------- moved


def test_a_move_makes_a_new_fulfilment_order_and_takes_the_claim_along() -> None:
    shop = Storefront()
    everywhere(shop)
    _, parcel = shop.routed(2)
    [there] = [place for place in shop.shop.locations if place != parcel.location_id]
    before = {level.location_id: (level.available, level.committed) for level in shop.levels()}
    moved = shop.ask("FulfillmentOrderMove", id=parcel_id(parcel), newLocationId=gid("Location", there))
    assert moved["originalFulfillmentOrder"] == {"id": parcel_id(parcel), "status": "CLOSED"}
    assert moved["movedFulfillmentOrder"]["id"] != parcel_id(parcel) and moved["remainingFulfillmentOrder"] is None
    after = {level.location_id: (level.available, level.committed) for level in shop.levels()}
    here = parcel.location_id
    assert after[here] == (before[here][0] + 2, before[here][1] - 2) and after[there] == (before[there][0] - 2, before[there][1] + 2)
    assert moved["movedFulfillmentOrder"]["lineItems"]["nodes"][0]["remainingQuantity"] == 2


def test_a_part_can_move() -> None:
    shop = Storefront()
    everywhere(shop)
    order, parcel = shop.routed(3)
    [there] = [place for place in shop.shop.locations if place != parcel.location_id]
    moved = shop.ask("FulfillmentOrderMove", id=parcel_id(parcel), newLocationId=gid("Location", there), lineItems=[units(parcel, 1)])
    assert moved["remainingFulfillmentOrder"] == {"id": parcel_id(parcel), "status": "OPEN"} and parcel.remaining == 2
    assert len(order.fulfillment_orders) == 2


def test_what_cannot_move_does_not() -> None:
    shop = Storefront()
    _, parcel = shop.routed(2)
    here = gid("Location", parcel.location_id)
    shop.refused("FulfillmentOrderMove", id=parcel_id(parcel), newLocationId=here)
    lonely = next(n for n, item in enumerate(shop.shop.items) if len(shop.shop.levels[item]) == 1)
    line = {"variantId": shop.variant(lonely), "quantity": 1, "requiresShipping": True}
    other = shop.created(lineItems=[line])
    shop.later(5)
    parcel = shop.shop.fulfillment_orders[other.fulfillment_orders[0]]
    [there] = [place for place in shop.shop.locations if place != parcel.location_id]
    errors = shop.refused("FulfillmentOrderMove", id=parcel_id(parcel), newLocationId=gid("Location", there))
    assert "not stocked" in errors[0]["message"]
    fulfil(shop, parcel)
    shop.refused("FulfillmentOrderMove", id=parcel_id(parcel), newLocationId=gid("Location", there))


# ---------------------------------------------------------------- split, merged, put off


def test_a_split_keeps_what_is_named_and_begins_anew_for_the_rest() -> None:
    shop = Storefront()
    order, parcel = shop.routed(3, 1)
    asked = [{"fulfillmentOrderId": parcel_id(parcel), "fulfillmentOrderLineItems": [units(parcel, 1)]}]
    [cut] = shop.ask("FulfillmentOrderSplit", splits=asked)["fulfillmentOrderSplits"]
    assert cut["fulfillmentOrder"]["id"] == parcel_id(parcel) and cut["replacementFulfillmentOrder"] is None
    rest = next(one for one in shop.shop.fulfillment_orders.values() if parcel_id(one) == cut["remainingFulfillmentOrder"]["id"])
    assert parcel.remaining == 1 and rest.remaining == 3 and sum(line.claimed for line in rest.lines) == 3
    assert order.lines[0].unfulfilled + order.lines[1].unfulfilled == 4


def test_one_that_has_begun_is_replaced() -> None:
    shop = Storefront()
    _, parcel = shop.routed(4)
    shop.staff("staffFulfil", parcel=parcel.id, lines=[[parcel.lines[0].id, 1]])
    asked = [{"fulfillmentOrderId": parcel_id(parcel), "fulfillmentOrderLineItems": [units(parcel, 1)]}]
    [cut] = shop.ask("FulfillmentOrderSplit", splits=asked)["fulfillmentOrderSplits"]
    assert cut["fulfillmentOrder"]["status"] == "CLOSED" and cut["replacementFulfillmentOrder"]["status"] == "OPEN"


@pytest.mark.parametrize(("quantity", "code"), [(2, "GREATER_THAN"), (3, "INVALID_LINE_ITEM_QUANTITY"), (0, "INVALID_LINE_ITEM_QUANTITY")])
def test_something_must_go_and_something_must_stay(quantity: int, code: str) -> None:
    shop = Storefront()
    _, parcel = shop.routed(2)
    asked = [{"fulfillmentOrderId": parcel_id(parcel), "fulfillmentOrderLineItems": [units(parcel, quantity)]}]
    assert shop.refused("FulfillmentOrderSplit", splits=asked)[0]["code"] == code


def test_what_was_split_can_be_merged() -> None:
    shop = Storefront()
    order, parcel = shop.routed(3)
    rest = shop.staff("staffSplit", parcel=parcel.id, lines=[[parcel.lines[0].id, 1]])
    shop.staff("staffMerge", parcels=[parcel.id, rest])
    assert parcel.remaining == 3 and shop.shop.fulfillment_orders[rest].status == "CLOSED" and order.lines[0].claimed == 3
    shown = shop.ask("OrderFulfillmentOrders", id=gid("Order", order.id), first=5)["fulfillmentOrders"]["nodes"]
    assert len(shown) == 2, "closed ones are still listed"


def test_what_is_put_off_waits_for_its_day() -> None:
    shop = Storefront()
    order, parcel = shop.routed(1)
    shop.staff("staffSchedule", parcel=parcel.id, until="2026-11-24T08:00:00Z")
    assert parcel.status == "SCHEDULED" and "scheduled" in fulfil(shop, parcel)["userErrors"][0]["message"]
    assert shop.ask("OrderGet", id=gid("Order", order.id))["displayFulfillmentStatus"] == "SCHEDULED"
    shop.later(hours=24)
    assert parcel.status == "OPEN" and fulfil(shop, parcel)["userErrors"] == []


def test_partly_sent_a_fulfilment_order_stays_open_under_one_name_or_another() -> None:
    for status in ("IN_PROGRESS", "OPEN"):
        shop = Storefront(partly_fulfilled=status)
        _, parcel = shop.routed(2)
        shop.staff("staffFulfil", parcel=parcel.id, lines=[[parcel.lines[0].id, 1]])
        assert parcel.status == status and fulfil(shop, parcel)["userErrors"] == []


@pytest.mark.parametrize(("claims_at", "same"), [("routed", True), ("first", False)])
def test_which_location_loses_the_stock_is_a_switch(claims_at: str, same: bool) -> None:
    shop = Storefront(claims_at=claims_at)
    everywhere(shop)
    first, second = shop.shop.locations
    shop.staff("stock", sku=shop.sku(), quantity=0, location=first)
    shop.staff("stock", sku=shop.sku(), quantity=9, location=second)
    _, parcel = shop.routed(2)
    levels = {level.location_id: level for level in shop.levels()}
    assert parcel.location_id == second and levels[second if same else first].committed == 2
    fulfil(shop, parcel)
    assert sum(level.committed for level in shop.levels()) == 0
