"""Who may ask and for what: versions that retire, tokens that end, scopes that shrink, orders that are too old, data that is protected."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.sandbox.shopify import access, products
from ops.sandbox.shopify.access import CLIENT_ID, FIRST_REFRESH
from ops.sandbox.shopify.state import SCOPES, gid
from ops.sandbox.wire import Reply, Request
from tests.unit.sandbox.desk import SET, line
from tests.unit.sandbox.storefront import Storefront, documents

PROBE = "{ shop { id } }"


@pytest.mark.parametrize(
    ("at", "versions", "next_one"),
    [
        (datetime(2026, 11, 23, tzinfo=UTC), ["2026-01", "2026-04", "2026-07", "2026-10"], "2027-01"),
        (datetime(2026, 10, 1, 16, 59, tzinfo=UTC), ["2025-10", "2026-01", "2026-04", "2026-07"], "2026-10"),
        (datetime(2026, 10, 1, 17, 0, tzinfo=UTC), ["2026-01", "2026-04", "2026-07", "2026-10"], "2027-01"),
        (datetime(2027, 2, 1, tzinfo=UTC), ["2026-04", "2026-07", "2026-10", "2027-01"], "2027-04"),
    ],
)
def test_versions_come_and_go_by_the_calendar(at: datetime, versions: list[str], next_one: str) -> None:
    assert access.stable_versions(at) == versions and access.candidate(at) == next_one
    assert [access.served(asked, at) for asked in (versions[2], next_one, "unstable")] == [versions[2], next_one, "unstable"]
    assert {access.served(asked, at) for asked in ("", "2019-04", "latest", "2026-1")} == {versions[0]}


def test_a_version_that_retires_is_served_by_an_older_one_from_then_on() -> None:
    shop = Storefront()
    assert shop.post({"query": PROBE}, version="2026-01").headers["X-Shopify-API-Version"] == "2026-01"
    shop.later(hours=24 * 60)
    assert shop.post({"query": PROBE}, version="2026-01").headers["X-Shopify-API-Version"] == "2026-04"


def test_before_2026_04_a_key_may_be_left_out() -> None:
    shop = Storefront()
    level = shop.levels()[0]
    entry = {"inventoryItemId": gid("InventoryItem", level.item_id), "locationId": gid("Location", level.location_id), "quantity": 7}
    wanted = {"name": "available", "reason": "correction", "quantities": [entry | {"changeFromQuantity": None}]}
    body = {"query": SET.replace("@idempotent(key: $key)", "").replace(", $key: String!", ""), "variables": {"input": wanted}}
    assert "@idempotent" in json.loads(shop.post(body, version="2026-04").body)["errors"][0]["message"] and level.available != 7
    shop.post(body, version="2026-01")
    assert level.available == 7


def test_what_is_to_go_is_named_in_a_header() -> None:
    shop = Storefront()
    order = shop.sold(1)
    document = "query Q($id: ID!) { order(id: $id) { id totalPrice } }"
    reply = shop.post({"query": document, "variables": {"id": gid("Order", order.id)}})
    assert "Order.totalPrice" in reply.headers["X-Shopify-API-Deprecated-Reason"]
    assert "X-Shopify-API-Deprecated-Reason" not in shop.post({"query": PROBE}).headers


def test_the_debug_header_tells_what_each_field_costs() -> None:
    shop = Storefront()
    headers = {"x-shopify-access-token": shop.sandbox.token, "shopify-graphql-cost-debug": "1"}
    body = json.dumps({"query": "{ shop { id } productVariants(first: 10) { nodes { id product { id } } } }"}).encode()
    cost = json.loads(shop.sandbox.shopify(Request("POST", "/admin/api/2026-10/graphql.json", headers=headers, body=body)).body)
    fields = {one["path"][0]: one["requestedTotalCost"] for one in cost["extensions"]["cost"]["fields"]}
    assert fields == {"shop": 1, "productVariants": 20} and cost["extensions"]["cost"]["requestedQueryCost"] == 21


# ---------------------------------------------------------------- tokens


def grant(shop: Storefront, **asked: str) -> Reply:
    given = {"client_id": CLIENT_ID, "client_secret": shop.sandbox.systems.secret} | asked
    body = "&".join(f"{name}={value}" for name, value in given.items()).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return shop.sandbox.shopify(Request("POST", "/admin/oauth/access_token", headers=headers, body=body))


def test_client_credentials_open_for_a_day() -> None:
    shop = Storefront()
    made = json.loads(grant(shop, grant_type="client_credentials").body)
    assert made["expires_in"] == 86399 and "write_orders" in made["scope"] and "refresh_token" not in made
    assert shop.post({"query": PROBE}, token=made["access_token"]).status == 200
    shop.later(86399)
    assert shop.post({"query": PROBE}, token=made["access_token"]).status == 401
    assert json.loads(grant(shop, grant_type="client_credentials").body)["access_token"] != made["access_token"]


def test_offline_tokens_end_within_the_hour_and_each_refresh_serves_once() -> None:
    shop = Storefront()
    first = json.loads(grant(shop, grant_type="refresh_token", refresh_token=FIRST_REFRESH).body)
    assert shop.post({"query": PROBE}, token=first["access_token"]).status == 200
    second = json.loads(grant(shop, grant_type="refresh_token", refresh_token=first["refresh_token"]).body)
    assert grant(shop, grant_type="refresh_token", refresh_token=first["refresh_token"]).status == 400
    assert grant(shop, grant_type="refresh_token", refresh_token=FIRST_REFRESH).status == 400
    shop.later(3600)
    assert shop.post({"query": PROBE}, token=second["access_token"]).status == 401
    shop.later(hours=24 * 90)
    assert grant(shop, grant_type="refresh_token", refresh_token=second["refresh_token"]).status == 400


@pytest.mark.parametrize(
    ("asked", "status"),
    [({"client_secret": "wrong"}, 401), ({"client_id": "wrong"}, 401), ({"grant_type": "password"}, 400), ({}, 400)],
)
def test_nobody_else_is_granted_anything(asked: dict[str, str], status: int) -> None:
    assert grant(Storefront(), **asked).status == status


def test_what_a_client_credentials_token_may_not_do_is_a_switch() -> None:
    shop = Storefront(grant_denied=["orderCreate", "protected"])
    order = shop.sold(1, shippingAddress={"city": "Leeds"})
    token = json.loads(grant(shop, grant_type="client_credentials").body)["access_token"]
    create = {"query": "mutation M($o: OrderCreateOrderInput!) { orderCreate(order: $o) { order { id } } }"}
    refused = json.loads(shop.post(create | {"variables": {"o": {"lineItems": [line(shop)]}}}, token=token).body)
    assert refused["errors"][0]["extensions"]["code"] == "ACCESS_DENIED" and len(shop.shop.orders) == 1
    read = {"query": "query Q($id: ID!) { order(id: $id) { shippingAddress { city } } }", "variables": {"id": gid("Order", order.id)}}
    assert json.loads(shop.post(read, token=token).body)["data"]["order"]["shippingAddress"] is None
    assert json.loads(shop.post(read).body)["data"]["order"]["shippingAddress"] == {"city": "Leeds"}


def test_a_frozen_shop_is_402() -> None:
    assert Storefront(frozen=True).post({"query": PROBE}).status == 402


# ---------------------------------------------------------------- scopes


def without(shop: Storefront, *scopes: str) -> None:
    shop.staff("scopes", scopes=[scope for scope in SCOPES.split() if scope not in scopes])


@pytest.mark.parametrize(
    ("document", "scopes", "variables"),
    [
        ("OrderGet", ("read_orders", "write_orders"), {"id": gid("Order", 1)}),
        ("ReturnGet", ("read_returns", "write_returns"), {"id": gid("Return", 1)}),
        ("OrderClose", ("write_orders",), {"input": {"id": gid("Order", 1)}}),
        ("VariantsPage", ("read_products",), {"first": 1}),
        ("Locations", ("read_locations",), {"first": 1}),
    ],
)
def test_what_nobody_granted_is_denied_in_its_place(document: str, scopes: tuple[str, ...], variables: dict[str, Any]) -> None:
    shop = Storefront()
    without(shop, *scopes)
    answer = shop.say(document, **variables)
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED" and scopes[0] in answer["errors"][0]["message"]


def test_to_write_is_to_read() -> None:
    shop = Storefront()
    without(shop, "read_orders")
    assert shop.ask("OrderGet", id=gid("Order", shop.sold(1).id))


def test_missing_scopes_hide_fulfilment_orders_without_a_word() -> None:
    shop = Storefront()
    order, parcel = shop.routed(2)
    without(shop, "read_merchant_managed_fulfillment_orders", "write_merchant_managed_fulfillment_orders")
    assert shop.ask("OrderFulfillmentOrders", id=gid("Order", order.id), first=5)["fulfillmentOrders"]["nodes"] == []
    assert shop.ask("FulfillmentOrderGet", id=gid("FulfillmentOrder", parcel.id)) is None
    assert shop.ask("OrderGet", id=gid("Order", order.id))["lineItems"]["nodes"][0]["unfulfilledQuantity"] == 2


def test_those_of_another_fulfilment_service_have_a_scope_of_their_own() -> None:
    shop = Storefront(locations=1)
    place = products.add_location(shop.shop, "Third party", "Hull", "HU1", shop.clock.at, service="other-logistics")
    parcel = shop.routed(1)[1]
    parcel.location_id = place.id
    without(shop, "read_third_party_fulfillment_orders", "write_third_party_fulfillment_orders")
    assert shop.ask("FulfillmentOrderGet", id=gid("FulfillmentOrder", parcel.id)) is None


def test_without_read_all_orders_orders_older_than_sixty_days_are_not_there() -> None:
    shop = Storefront()
    one = gid("Order", shop.sold(1, tags=["old"]).id)
    shop.later(hours=24 * 60)
    assert shop.ask("OrderGet", id=one) and len(shop.ask("OrdersSearch", query="tag:old", first=5)["nodes"]) == 1
    without(shop, "read_all_orders")
    assert shop.ask("OrderGet", id=one) is None and shop.ask("OrdersSearch", query="tag:old", first=5)["nodes"] == []


@pytest.mark.parametrize("way", ["null", "denied"])
def test_protected_data_is_null_or_denied(way: str) -> None:
    shop = Storefront(protected_data=way)
    order = shop.sold(1, email="a@example.com", shippingAddress={"city": "Leeds"})
    answer = shop.say("OrderGet", id=gid("Order", order.id))
    codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
    assert answer["data"]["order"]["email"] is None and answer["data"]["order"]["shippingAddress"] is None
    assert codes == (set() if way == "null" else {"ACCESS_DENIED"})


# ---------------------------------------------------------------- odd answers


def test_decimals_are_written_in_one_way_or_another() -> None:
    seen = {}
    for way in ("shortest", "scaled", "mixed"):
        shop = Storefront(decimals=way)
        read = shop.ask("OrderGet", id=gid("Order", shop.sold(2).id))
        found = {read[name]["shopMoney"]["amount"] for name in ("totalPriceSet", "subtotalPriceSet", "totalTaxSet", "netPaymentSet")}
        seen[way] = {text[-1] == "0" and text[-3] == "." for text in found}
    assert seen == {"shortest": {False}, "scaled": {True}, "mixed": {True, False}}


def test_a_field_can_be_made_to_answer_null_or_what_nobody_has_heard_of() -> None:
    shop = Storefront(odd_fields=["Order.displayFulfillmentStatus", "LineItem.sku", "FulfillmentOrder.status"])
    order, _ = shop.routed(1)
    read = shop.ask("OrderGet", id=gid("Order", order.id))
    assert read["displayFulfillmentStatus"] == "NEVER_HEARD_OF" and read["lineItems"]["nodes"][0]["sku"] is None
    assert (
        shop.ask("OrderFulfillmentOrders", id=gid("Order", order.id), first=1)["fulfillmentOrders"]["nodes"][0]["status"]
        == "NEVER_HEARD_OF"
    )


def test_documents_have_names() -> None:
    assert "OrderGet" in documents()
