"""What people do in the admin, and what the app finds afterwards; cancellations; quantities; what the references leave open."""

from pathlib import Path
from typing import Any

import pytest

from ops.sandbox.journal import Journal, read
from ops.sandbox.shopify.goods import Level
from ops.sandbox.shopify.state import RefusedError, gid
from ops.sandbox.truth import truth
from ops.sandbox.world import World
from tests.unit.sandbox.desk import START, an_order
from tests.unit.sandbox.storefront import Storefront

# ---------------------------------------------------------------- cancelling


def cancelled(shop: Storefront, order_id: str, **more: Any) -> Any:
    return shop.ask("OrderCancel", **{"orderId": order_id, "reason": "CUSTOMER", "restock": True} | more)


@pytest.mark.parametrize(
    ("restock", "refund", "leaves", "refunds"), [(True, True, False, 1), (False, False, False, 0), (True, False, True, 1)]
)
def test_a_cancellation_restocks_and_pays_back_as_it_is_told(*, restock: bool, refund: bool, leaves: bool, refunds: int) -> None:
    shop = Storefront(cancel_leaves_refund=leaves)
    order, parcel = shop.routed(2)
    before = shop.available()
    made = cancelled(shop, gid("Order", order.id), restock=restock, refundMethod={"originalPaymentMethodsRefund": refund})
    assert made["jobResult"]["status"] == "STARTED"
    shop.later(5)
    assert order.cancelled_at and parcel.status == "CANCELLED" and shop.available() - before == (2 if restock else 0)
    assert sum(level.committed for level in shop.levels()) == 0 and len(order.refunds) == refunds
    assert order.financial_status == ("REFUNDED" if refund else "PAID")
    read = shop.ask("OrderGet", id=gid("Order", order.id))
    assert read["cancelReason"] == "CUSTOMER" and read["currentTotalPriceSet"]["shopMoney"]["amount"] == "0.0"
    assert shop.refused("OrderCancel", orderId=gid("Order", order.id), reason="OTHER", restock=True)[0]["code"] == "INVALID"


def test_a_job_can_fail_at_last_for_no_reason_that_shows() -> None:
    shop = Storefront(cancel_fails=1.0)
    order = shop.sold(1)
    job = cancelled(shop, gid("Order", order.id))["job"]["id"]
    shop.later(5)
    assert shop.ask("JobStatus", id=job)["done"] and order.cancelled_at is None
    assert [one.status for one in shop.shop.jobs.values()] == ["FAILED"]


def test_money_that_no_gateway_gives_back_fails_the_job() -> None:
    shop = Storefront(manual_refunds="refused")
    order = shop.sold(1)
    cancelled(shop, gid("Order", order.id), refundMethod={"originalPaymentMethodsRefund": True})
    shop.later(5)
    assert order.cancelled_at is None and order.lines[0].cancelled == 0
    cancelled(shop, gid("Order", order.id))
    shop.later(5)
    assert order.cancelled_at


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"orderId": gid("Order", 1)}, "NOT_FOUND"),
        ({"staffNote": "x" * 256}, "INVALID"),
        ({"refundMethod": {"storeCreditRefund": {}}}, None),
    ],
)
def test_what_cannot_be_cancelled_is_refused_at_once(asked: dict[str, Any], code: str | None) -> None:
    shop = Storefront()
    order = gid("Order", shop.sold(1).id)
    errors = shop.refused("OrderCancel", **{"orderId": order, "reason": "OTHER", "restock": True} | asked)
    assert errors[0]["code"] == (code or "STORE_CREDIT_REFUND_MISSING_CUSTOMER")


@pytest.mark.parametrize(("inflates", "gained"), [(False, 0), (True, 2)])
def test_whether_restocking_what_was_never_claimed_adds_stock_is_a_switch(*, inflates: bool, gained: int) -> None:
    shop = Storefront(restock_unclaimed=inflates)
    before = shop.available()
    made = shop.create(options={"inventoryBehaviour": "BYPASS"})
    shop.later(5)
    cancelled(shop, made["order"]["id"])
    shop.later(5)
    assert shop.available() - before == gained


# ---------------------------------------------------------------- edited


def test_an_edit_changes_lines_parcels_and_stock_together() -> None:
    shop = Storefront()
    order, parcel = shop.routed(3)
    line, before = order.lines[0], shop.available()
    shop.staff("staffEdit", order=order.id, quantities={str(line.id): 1}, add=[[shop.sku(1), 2]], address={"city": "York"})
    assert (line.current, line.unfulfilled, parcel.remaining) == (1, 1, 1) and shop.available() - before == 2
    assert order.lines[1].quantity == 2 and len(order.fulfillment_orders) == 2
    read = shop.ask("OrderGet", id=gid("Order", order.id))
    assert read["edited"] and read["shippingAddress"]["city"] == "York" and read["totalOutstandingSet"]["shopMoney"]["amount"] != "0.0"
    with pytest.raises(RefusedError):
        shop.staff("staffEdit", order=order.id, quantities={str(line.id): -1})


def test_an_order_can_be_deleted_once_it_is_over() -> None:
    shop = Storefront()
    order = shop.fulfilled(1)
    with pytest.raises(RefusedError):
        shop.staff("staffDelete", order=order.id)
    shop.staff("staffClose", order=order.id)
    shop.staff("staffDelete", order=order.id)
    assert shop.ask("OrderGet", id=gid("Order", order.id)) is None
    shop.later(10)
    assert shop.ask("OrdersSearch", query=f"name:'{order.name}'", first=5)["nodes"] == []
    assert truth(shop.world)["shopify"]["orders"] == []


# ---------------------------------------------------------------- the catalogue


def test_a_renamed_sku_is_found_by_its_new_name_and_orders_keep_the_old_one() -> None:
    shop = Storefront()
    order, old = shop.sold(1), shop.sku()
    shop.staff("staffRename", variant=order.lines[0].variant_id, sku="New-1")
    assert shop.ask("InventoryItemsBySku", query=f"sku:'{old}'", first=5)["nodes"] == []
    assert len(shop.ask("InventoryItemsBySku", query="sku:'new-1'", first=5)["nodes"]) == 1
    assert shop.ask("OrderGet", id=gid("Order", order.id))["lineItems"]["nodes"][0]["sku"] == old


def test_a_deleted_variant_leaves_a_line_without_one_that_can_still_be_sent_and_refunded() -> None:
    shop = Storefront()
    order, parcel = shop.routed(2)
    shop.staff("staffDeleteVariant", variant=order.lines[0].variant_id)
    read = shop.ask("OrderGet", id=gid("Order", order.id))["lineItems"]["nodes"][0]
    assert read["variant"] is None and read["sku"]
    shop.staff("staffFulfil", parcel=parcel.id)
    shop.staff("staffRefund", order=order.id, lines=[[order.lines[0].id, 1]])
    assert order.lines[0].refunded == 1


def test_an_archived_product_shows_as_archived() -> None:
    shop = Storefront()
    product = next(iter(shop.shop.products))
    shop.staff("staffProduct", product=product, status="ARCHIVED")
    assert shop.ask("VariantsPage", first=1)["nodes"][0]["product"]["status"] == "ARCHIVED"


def test_a_place_from_which_orders_are_to_be_sent_cannot_be_closed() -> None:
    shop = Storefront()
    _, parcel = shop.routed(1)
    with pytest.raises(RefusedError):
        shop.staff("staffLocation", location=parcel.location_id, active=False)
    shop.staff("staffFulfil", parcel=parcel.id)
    shop.staff("staffLocation", location=parcel.location_id, active=False)
    levels = shop.ask("InventoryItemLevels", id=gid("InventoryItem", shop.levels()[0].item_id), first=5)["inventoryLevels"]["nodes"]
    assert parcel.location_id not in [level["location"]["id"] for level in levels]


# ---------------------------------------------------------------- quantities


def shown(shop: Storefront, item: int) -> dict[str, int]:
    level = shop.ask("InventoryItemLevels", id=gid("InventoryItem", item), first=1)["inventoryLevels"]["nodes"][0]
    return {one["name"]: one["quantity"] for one in level["quantities"]}


def test_what_is_set_aside_stays_on_hand_and_is_not_for_sale() -> None:
    shop = Storefront()
    level = shop.levels()[0]
    before = shown(shop, level.item_id)
    shop.staff("staffSetAside", sku=shop.sku(), name="damaged", quantity=2)
    shop.staff("staffSetAside", sku=shop.sku(), name="incoming", quantity=9)
    after = shown(shop, level.item_id)
    assert after["available"] == before["available"] - 2 and after["on_hand"] == before["on_hand"] and after["incoming"] == 9
    with pytest.raises(RefusedError):
        shop.staff("staffSetAside", sku=shop.sku(), name="damaged", quantity=-3)


def test_a_quantity_that_nobody_set_is_zero_or_missing() -> None:
    for way, there in (("zero", True), ("missing", False)):
        shop = Storefront(unset_quantities=way)
        assert ("damaged" in shown(shop, shop.levels()[0].item_id)) == there


def test_carried_units_change_places() -> None:
    shop = Storefront()
    first, second = shop.shop.locations
    shop.staff("stock", sku=shop.sku(), quantity=5, location=first)
    total = shop.available()
    shop.staff("staffTransfer", sku=shop.sku(), origin=first, destination=second, quantity=5)
    assert shop.available() == total and next(one for one in shop.levels() if one.location_id == first).available == 0
    with pytest.raises(RefusedError):
        shop.staff("staffTransfer", sku=shop.sku(), origin=first, destination=second, quantity=1)


def quantity(level: Level, units: int, was: int | None) -> dict[str, Any]:
    pair = {"inventoryItemId": gid("InventoryItem", level.item_id), "locationId": gid("Location", level.location_id)}
    return pair | {"quantity": units, "changeFromQuantity": was}


@pytest.mark.parametrize(("way", "changed"), [("all_or_nothing", False), ("entry_by_entry", True)])
def test_whether_one_stale_entry_refuses_all_is_a_switch(way: str, *, changed: bool) -> None:
    shop = Storefront(stale_entries=way)
    good, bad = shop.levels(0)[0], shop.levels(1)[0]
    entries = [quantity(good, 77, good.available), quantity(bad, 77, bad.available + 1)]
    shop.payload("InventorySetQuantities", input={"name": "available", "reason": "correction", "quantities": entries}, idempotencyKey="k")
    assert (good.available == 77) == changed and bad.available != 77


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"reason": "because"}, "INVALID_REASON"),
        ({"name": "committed"}, "INVALID_QUANTITY_NAME"),
        ({"name": "damaged"}, "INVALID_QUANTITY_DOCUMENT"),
    ],
)
def test_an_adjustment_that_makes_no_sense_is_refused(changed: dict[str, str], code: str) -> None:
    shop = Storefront()
    level = shop.levels()[0]
    entry = {"inventoryItemId": gid("InventoryItem", level.item_id), "locationId": gid("Location", level.location_id), "delta": 1}
    wanted = {"name": "available", "reason": "correction", "changes": [entry]} | changed
    assert shop.refused("InventoryAdjustQuantities", input=wanted, idempotencyKey="k")[0]["code"] == code


def test_an_item_is_stocked_anew_where_it_is_adjusted() -> None:
    shop = Storefront()
    item = next(number for number, levels in shop.shop.levels.items() if len(levels) == 1)
    [place] = [number for number in shop.shop.locations if number not in shop.shop.levels[item]]
    entry = {"inventoryItemId": gid("InventoryItem", item), "locationId": gid("Location", place), "delta": 3}
    shop.ask("InventoryAdjustQuantities", input={"name": "available", "reason": "received", "changes": [entry]}, idempotencyKey="k")
    assert shop.shop.levels[item][place].available == 3


def test_what_is_not_counted_is_not_claimed() -> None:
    shop = Storefront()
    shop.staff("staffTrackItem", variant=next(iter(shop.shop.variants)), tracked=False)
    before = shop.available()
    order = shop.fulfilled(2)
    assert shop.available() == before and order.lines[0].fulfilled == 2 and order.lines[0].off_shelf == 0


# ---------------------------------------------------------------- orders as they are created


@pytest.mark.parametrize(("way", "kept"), [("kept", "asos"), ("ignored", None), ("attributed", None)])
def test_what_becomes_of_a_free_source_name_is_a_switch(way: str, kept: str | None) -> None:
    shop = Storefront(source_name=way)
    made = shop.create(sourceName="asos")
    if way == "attributed":
        assert made["userErrors"][0]["field"] == ["order", "sourceName"]
        shop.ask("OrderAttributionDefinitionUpsert", input={"handle": "asos", "displayName": "ASOS"})
        kept, made = "asos", shop.create(sourceName="asos")
    assert (made["order"]["sourceName"] == "asos") == (kept == "asos")


@pytest.mark.parametrize(
    ("code", "total"),
    [
        ({"itemFixedDiscountCode": {"code": "X", "amountSet": {"shopMoney": {"amount": "10", "currencyCode": "GBP"}}}}, "38.0"),
        ({"itemPercentageDiscountCode": {"code": "X", "percentage": 25}}, "36.0"),
    ],
)
def test_a_code_takes_something_off(code: dict[str, Any], total: str) -> None:
    shop = Storefront()
    made = shop.create(discountCode=code)["order"]
    assert made["totalPriceSet"]["shopMoney"]["amount"] == total
    assert made["lineItems"]["nodes"][0]["discountedTotalSet"]["shopMoney"]["amount"] == total


def test_customers_are_found_again_by_their_e_mail() -> None:
    shop = Storefront()
    first = shop.created(customer={"toUpsert": {"email": "a@example.com", "phone": "1"}})
    again = shop.created(customer={"toUpsert": {"email": "A@example.com"}})
    assert first.customer_id == again.customer_id
    taken = shop.create(customer={"toUpsert": {"email": "b@example.com", "phone": "1"}})
    assert "Phone" in taken["userErrors"][0]["message"]
    twice = shop.create(customer={"toUpsert": {"email": "a@example.com"}}, customerId=gid("Customer", first.customer_id or 0))
    assert twice["userErrors"][0]["code"] == "REDUNDANT_CUSTOMER_FIELDS"


def test_tags_are_a_set_without_case_and_have_their_limits() -> None:
    shop = Storefront(longest_tag=5, most_tags=3)
    order = shop.sold(1, tags=["One", "one", "two"])
    one = gid("Order", order.id)
    shop.ask("TagsAdd", id=one, tags=["ONE", "three"])
    assert order.tags == ["One", "three", "two"]
    shop.refused("TagsAdd", id=one, tags=["four"])
    shop.refused("OrderUpdate", input={"id": one, "tags": ["sixsix"]})
    shop.ask("OrderUpdate", input={"id": one, "tags": []})
    assert order.tags == []


def test_a_metafield_can_be_set_on_condition() -> None:
    shop = Storefront()
    order = gid("Order", shop.sold(1).id)
    field = {"ownerId": order, "namespace": "$app", "key": "k", "type": "single_line_text_field", "value": "1"}
    made = shop.ask("MetafieldsSet", metafields=[field | {"compareDigest": None}])["metafields"][0]
    assert shop.refused("MetafieldsSet", metafields=[field | {"compareDigest": None}])[0]["code"] == "STALE_OBJECT"
    shop.ask("MetafieldsSet", metafields=[field | {"value": "2", "compareDigest": made["compareDigest"]}])
    assert shop.refused("MetafieldsSet", metafields=[field | {"compareDigest": made["compareDigest"]}])[0]["code"] == "STALE_OBJECT"


def test_an_order_of_nothing_to_ship_is_shown_in_one_way_or_another() -> None:
    for way, status in (("unfulfilled", "UNFULFILLED"), ("not_required", "FULFILLMENT_NOT_REQUIRED")):
        shop = Storefront(digital_goods=way)
        bare = {name: value for name, value in an_order(shop.variant())["lineItems"][0].items() if name != "requiresShipping"}
        order = shop.created(lineItems=[bare])
        shop.later(5)
        assert shop.ask("OrderGet", id=gid("Order", order.id))["displayFulfillmentStatus"] == status


# ---------------------------------------------------------------- the whole of it


def test_what_people_did_is_told_apart_from_what_the_app_did() -> None:
    shop = Storefront()
    order = shop.fulfilled(3)
    shop.staff("staffRefund", order=order.id, lines=[[order.lines[0].id, 1]], note="Goodwill")
    shop.ask("RefundCreate", input=shop.refund_input(order, amount="1.00"), idempotencyKey="k")
    number = shop.staff("staffReturn", order=order.id, lines=[[order.lines[0].id, 1]])
    shop.staff("staffProcessReturn", number=number)
    [found] = truth(shop.world)["shopify"]["orders"]
    assert [(refund["by"], refund["money"]) for refund in found["refunds"]] == [("person", "24.00"), ("app", "1.00"), ("person", "24.00")]
    assert found["refunded"] == "49.00" and found["returns"][0]["status"] == "CLOSED" and found["outstanding"] == "0.00"


def test_a_shop_comes_back_from_its_journal_as_it_was(tmp_path: Path) -> None:
    shop = Storefront()
    shop.world.write_to(Journal(tmp_path / "sandbox.journal"))
    order, parcel = shop.routed(3)
    shop.staff("staffSplit", parcel=parcel.id, lines=[[parcel.lines[0].id, 1]])
    shop.staff("staffFulfil", parcel=parcel.id)
    shop.staff("staffRefund", order=order.id, lines=[[order.lines[0].id, 1]])
    shop.staff("staffSchedule", parcel=order.fulfillment_orders[1], until="2026-11-25T08:00:00+01:00")
    shop.ask("BulkRunQuery", query="{ orders { edges { node { id } } } }")
    shop.later(hours=50)
    shop.close()
    again = World(shop.world.actors.plan, shop.shop.seed, START)
    for entry in read(tmp_path / "sandbox.journal"):
        again.repeat(entry)
    assert again.snapshot() == shop.world.snapshot()
