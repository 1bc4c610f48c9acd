"""The shop: what orderCreate makes of its defaults, unique ids, stock, routing, parcels, searches."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.sandbox.plan import Plan
from ops.sandbox.shopify.counting import stock_sku
from ops.sandbox.shopify.state import FIRST_ID, Switches, gid, number_of
from tests.unit.sandbox.desk import (
    DEFINE,
    DEFINITION,
    FULFIL,
    LOOK_UP,
    READ,
    SEARCH,
    SET,
    Desk,
    an_order,
    line,
    marketplace_id,
    money,
)

# ---------------------------------------------------------------- orderCreate and its defaults


def test_an_order_without_a_word_on_stock_leaves_the_stock_alone() -> None:
    desk = Desk()
    before = desk.available()
    desk.create(options={})
    assert desk.available() == before


def test_a_line_without_a_word_on_shipping_needs_none_and_no_warehouse_sees_it() -> None:
    desk = Desk()
    bare = {name: value for name, value in line(desk).items() if name != "requiresShipping"}
    order = desk.created(lineItems=[bare])
    desk.later(10)
    [parcel] = [desk.shop.fulfillment_orders[number] for number in order.fulfillment_orders]
    assert parcel.method == "NONE"
    desk.later(hours=24)
    assert order.fulfillments == []


def test_whether_the_variant_s_word_on_shipping_wins_is_a_switch() -> None:
    desk = Desk(Plan(skus=2, shopify=Switches(shipping_from_variant=True)))
    bare = {name: value for name, value in line(desk).items() if name != "requiresShipping"}
    assert desk.created(lineItems=[bare]).lines[0].requires_shipping


def test_prices_are_unit_prices_and_totals_are_computed() -> None:
    shipping = [{"title": "Standard", "priceSet": money("3.60")}]
    made = Desk().create(shippingLines=shipping)["order"]
    assert made["totalPriceSet"]["shopMoney"] == {"amount": "51.6", "currencyCode": "GBP"}


def test_tax_is_on_top_unless_it_is_said_to_be_included() -> None:
    desk = Desk()
    taxes = [{"title": "VAT", "rate": "0.2", "priceSet": money("8.00")}]
    inside = desk.create(lineItems=[line(desk, taxLines=taxes)])["order"]
    outside = desk.create(lineItems=[line(desk, taxLines=taxes)], taxesIncluded=None)["order"]
    assert inside["totalPriceSet"]["shopMoney"]["amount"] == "48.0"
    assert outside["totalPriceSet"]["shopMoney"]["amount"] == "56.0"


@pytest.mark.parametrize(
    ("changed", "where", "code"),
    [
        ({"lineItems": []}, ["order", "lineItems"], "INVALID"),
        ({"currency": "EUR"}, ["order", "currency"], "INVALID"),
        ({"tags": ["x" * 41]}, ["order", "tags"], "INVALID"),
        ({"sourceName": "web"}, ["order", "sourceName"], "INVALID"),
        ({"lineItems": [{"quantity": 1, "title": "x", "priceSet": money("1.00", "EUR")}]}, ["order", "shopMoney"], "INVALID"),
        ({"lineItems": [{"quantity": 0, "title": "x", "priceSet": money("1.00")}]}, ["order", "lineItems", "0", "quantity"], "INVALID"),
        ({"lineItems": [{"quantity": 1, "variantId": gid("ProductVariant", 1)}]}, ["order", "lineItems", "0", "variantId"], "INVALID"),
        ({"lineItems": [{"quantity": 1, "title": "no price"}]}, ["order", "lineItems", "0", "title"], "INVALID"),
        (
            {
                "lineItems": [
                    {"quantity": 1, "title": "x", "priceSet": money("1") | {"presentmentMoney": {"amount": "1", "currencyCode": "GBP"}}}
                ]
            },
            ["order", "presentmentCurrency"],
            "INVALID",
        ),
    ],
)
def test_what_shopify_refuses_is_refused_as_a_user_error(changed: dict[str, Any], where: list[str], code: str) -> None:
    desk = Desk()
    made = desk.create(**changed)
    assert made["order"] is None
    assert (where, code) in [(error["field"], error["code"]) for error in made["userErrors"]]
    assert desk.shop.orders == {}


def test_tax_lines_stand_on_the_order_or_on_its_lines_never_on_both() -> None:
    desk = Desk()
    tax = [{"title": "VAT", "rate": "0.2"}]
    assert desk.create(lineItems=[line(desk, taxLines=tax)], taxLines=tax)["userErrors"]
    whole = desk.create(taxLines=tax)["order"]
    assert whole["totalTaxSet"]["shopMoney"]["amount"] == "8.0", "a tax without an amount is computed from its rate"


def test_the_schema_itself_wants_a_rate() -> None:
    desk = Desk()
    answer = desk.graph(
        "mutation M($o: OrderCreateOrderInput!) { orderCreate(order: $o) { userErrors { code } } }",
        o=an_order(desk.variant(), taxLines=[{"title": "VAT"}]),
    )
    assert "data" not in answer and answer["errors"][0]["extensions"]["problems"]


def test_processing_in_the_future_is_now() -> None:
    desk = Desk()
    assert desk.create(processedAt="2031-01-01T00:00:00Z")["order"]["processedAt"] == "2026-11-23T08:00:00Z"
    assert desk.create(processedAt="2026-11-20T10:15:00+01:00")["order"]["processedAt"] == "2026-11-20T09:15:00Z"


def test_obeying_the_policy_an_order_that_stock_does_not_cover_is_refused() -> None:
    desk = Desk()
    many = [line(desk, quantity=desk.available() + 1)]
    refused = desk.create(options={"inventoryBehaviour": "DECREMENT_OBEYING_POLICY"}, lineItems=many)
    assert [error["code"] for error in refused["userErrors"]] == ["INVENTORY_CLAIM_FAILED"]
    assert desk.available() > 0 and desk.shop.orders == {}


def test_ignoring_the_policy_stock_goes_below_zero_and_that_is_counted() -> None:
    desk = Desk()
    many = desk.available() + 3
    desk.created(lineItems=[line(desk, quantity=many)])
    assert desk.available() == -3
    assert sum(level.oversold for level in desk.levels()) == 3


def test_units_that_people_counted_away_after_they_were_sold_are_not_oversold() -> None:
    desk = Desk()
    there, sold_at = desk.available(), desk.clock.at.isoformat()
    desk.later(60)
    stock_sku(desk.shop, next(iter(desk.shop.skus)), 0, desk.clock.at)
    desk.created(lineItems=[line(desk, quantity=1)])
    for _ in range(there + 2):
        desk.created(lineItems=[line(desk, quantity=1)], processedAt=sold_at)
    told = desk.sandbox.truth()["shopify"]
    assert (told["vanished_units"], told["oversold_units"]) == (there, 3)  # one sold after it, and two too many before


def test_what_has_no_room_yet_answers_that_it_is_not_simulated() -> None:
    desk = Desk()
    answer = desk.graph(
        "mutation M($o: OrderCreateOrderInput!) { orderCreate(order: $o) { order { id } } }",
        o=an_order(desk.variant(), fulfillmentStatus="FULFILLED"),
    )
    assert answer["errors"][0]["extensions"]["code"] == "NOT_SIMULATED" and desk.shop.orders == {}


def test_ids_are_beyond_what_a_float_can_tell_apart() -> None:
    order = Desk().created()
    assert order.id > FIRST_ID > 2**53


def test_a_development_shop_takes_five_orders_a_minute() -> None:
    desk = Desk(Plan(skus=2, shopify=Switches(orders_per_minute=5)))
    for _ in range(5):
        desk.created()
    refused = desk.graph("mutation M($o: OrderCreateOrderInput!) { orderCreate(order: $o) { order { id } } }", o=an_order(desk.variant()))
    assert refused["errors"][0]["extensions"]["code"] == "THROTTLED" and len(desk.shop.orders) == 5
    desk.later(61)
    desk.created()


# ---------------------------------------------------------------- the unique id


def test_a_definition_of_type_id_makes_values_unique_and_is_made_once() -> None:
    desk = Desk()
    made = desk.data(DEFINE, definition=DEFINITION)["createdDefinition"]
    assert made["capabilities"]["uniqueValues"]["enabled"] and made["namespace"].startswith("app--")
    assert [error["code"] for error in desk.data(DEFINE, definition=DEFINITION)["userErrors"]] == ["TAKEN"]


def test_a_definition_comes_too_late_once_there_are_values() -> None:
    desk = Desk()
    desk.created(metafields=marketplace_id("A-1"))
    assert [error["code"] for error in desk.data(DEFINE, definition=DEFINITION)["userErrors"]] == ["INVALID_CAPABILITY"]


def test_a_taken_id_refuses_the_order() -> None:
    desk = Desk()
    desk.data(DEFINE, definition=DEFINITION)
    first = desk.created(metafields=marketplace_id("A-1"))
    refused = desk.create(metafields=marketplace_id("A-1"))
    assert refused["userErrors"][0]["field"] == ["order", "metafields", "0", "value"] and list(desk.shop.orders) == [first.id]


def test_or_makes_it_without_the_id_where_so_switched() -> None:
    desk = Desk(Plan(skus=2, shopify=Switches(duplicate_metafield="create_without")))
    desk.data(DEFINE, definition=DEFINITION)
    desk.created(metafields=marketplace_id("A-1"))
    twin = desk.create(metafields=marketplace_id("A-1"))["order"]
    assert twin["marketplaceOrderId"] is None and len(desk.shop.orders) == 2


def test_the_look_up_knows_at_once_what_the_search_knows_later() -> None:
    desk = Desk()
    desk.data(DEFINE, definition=DEFINITION)
    order = desk.created(metafields=marketplace_id("A-1"), tags=["mirakl-A-1"])
    assert desk.data(LOOK_UP, value="A-1")["id"] == gid("Order", order.id)
    assert desk.data(SEARCH, query="tag:'mirakl-a-1'")["nodes"] == []
    desk.later(5)
    assert [found["id"] for found in desk.data(SEARCH, query="tag:'mirakl-a-1'")["nodes"]] == [gid("Order", order.id)]


def test_the_look_up_can_be_made_to_lag_too() -> None:
    desk = Desk(Plan(skus=2, shopify=Switches(lookup_lag=30)))
    desk.data(DEFINE, definition=DEFINITION)
    desk.created(metafields=marketplace_id("A-1"))
    assert desk.data(LOOK_UP, value="A-1") is None
    desk.later(30)
    assert desk.data(LOOK_UP, value="A-1")


def test_a_look_up_without_a_definition_is_an_error() -> None:
    assert "errors" in Desk().graph(LOOK_UP, value="A-1")


def test_an_id_can_be_given_later_and_only_once() -> None:
    desk = Desk()
    desk.data(DEFINE, definition=DEFINITION)
    first, second = desk.created(), desk.created()
    document = "mutation M($m: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $m) { metafields { value } userErrors { code } } }"

    def given_to(number: int) -> Any:
        return desk.data(document, m=[marketplace_id("A-1")[0] | {"ownerId": gid("Order", number)}])

    assert given_to(first.id)["metafields"] == [{"value": "A-1"}]
    assert given_to(second.id)["userErrors"] == [{"code": "TAKEN"}]
    assert desk.data(LOOK_UP, value="A-1")["id"] == gid("Order", first.id)


# ---------------------------------------------------------------- searching


def test_an_unknown_filter_is_lost_with_a_warning_that_is_easily_missed() -> None:
    desk = Desk()
    desk.created()
    desk.later(10)
    answer = desk.graph(SEARCH, query="sauce_identifier:'A-1'")
    assert len(answer["data"]["orders"]["nodes"]) == 1
    assert answer["extensions"]["search"][0]["warnings"][0]["field"] == "sauce_identifier"


def test_the_search_sees_an_old_date_of_change_for_a_while() -> None:
    desk = Desk()
    order = desk.created()
    desk.later(600)
    desk.world.apply(
        "shopify.orderCancel", {"order_id": gid("Order", order.id), "wanted": {"reason": "OTHER", "restock": True}}, desk.clock.at
    )
    desk.later(3)
    assert order.cancelled_at
    since = "updated_at:>='2026-11-23T08:05:00Z'"
    assert desk.data(SEARCH, query=since)["nodes"] == []
    desk.later(5)
    assert len(desk.data(SEARCH, query=since)["nodes"]) == 1


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ('source_identifier:"A \\"1\\""', 1),
        ("source_identifier:'a \"1\"'", 1),
        ("tag:mirakl AND test:false", 1),
        ("tag:mir*", 1),
        ("tag:mirakl status:cancelled", 0),
        ("created_at:<2026-11-01", 0),
        ("created_at:>2026-11-01", 1),
        ("name:'nobody'", 0),
    ],
)
def test_terms_must_all_hold(query: str, hits: int) -> None:
    desk = Desk()
    desk.created(sourceIdentifier='A "1"', tags=["mirakl"])
    desk.later(10)
    assert len(desk.data(SEARCH, query=query)["nodes"]) == hits


def test_search_words_beyond_terms_are_refused_rather_than_guessed() -> None:
    answer = Desk().graph(SEARCH, query="NOT tag:a")
    assert answer["errors"][0]["extensions"]["code"] == "NOT_SIMULATED"


# ---------------------------------------------------------------- pages


def test_pages_hang_together_forwards_and_backwards() -> None:
    desk = Desk(Plan(skus=7))
    document = """query P($first: Int, $last: Int, $after: String, $before: String, $reverse: Boolean) {
      productVariants(first: $first, last: $last, after: $after, before: $before, reverse: $reverse) {
        nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    whole = [node["id"] for node in desk.data(document, first=250)["nodes"]]
    for reverse in (False, True):
        seen: list[str] = []
        after = None
        while True:
            page = desk.data(document, first=3, after=after, reverse=reverse)
            seen += [node["id"] for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        assert seen == (whole[::-1] if reverse else whole)
    last = desk.data(document, last=2)
    assert [node["id"] for node in last["nodes"]] == whole[-2:] and last["pageInfo"]["hasPreviousPage"]
    before = desk.data(document, last=2, before=last["pageInfo"]["startCursor"])
    assert [node["id"] for node in before["nodes"]] == whole[-4:-2]


@pytest.mark.parametrize("size", [251, -1, None])
def test_a_page_has_a_size_of_at_most_250(size: int | None) -> None:
    document = "query P($first: Int) { productVariants(first: $first) { nodes { id } } }"
    assert "errors" in Desk().graph(document, first=size)


# ---------------------------------------------------------------- parcels


def waiting_lines(desk: Desk, order_id: str) -> list[tuple[str, list[tuple[str, int]]]]:
    nodes = desk.data(READ, id=order_id)["fulfillmentOrders"]["nodes"]
    return [(node["id"], [(one["id"], one["remainingQuantity"]) for one in node["lineItems"]["nodes"]]) for node in nodes]


def fulfil(desk: Desk, parcel: str, lines: list[tuple[str, int]] | None = None, **tracking: Any) -> Any:
    chosen: dict[str, Any] = {"fulfillmentOrderId": parcel}
    if lines is not None:
        chosen["fulfillmentOrderLineItems"] = [{"id": one, "quantity": quantity} for one, quantity in lines]
    return desk.data(FULFIL, fulfillment={"lineItemsByFulfillmentOrder": [chosen], "trackingInfo": tracking})


def test_fulfilment_orders_come_a_while_after_the_order() -> None:
    desk = Desk()
    order_id = desk.create()["order"]["id"]
    assert waiting_lines(desk, order_id) == []
    desk.later(3)
    [(_, [(_, remaining)])] = waiting_lines(desk, order_id)
    assert remaining == 2


def test_an_order_leaves_in_parts() -> None:
    desk = Desk()
    order_id = desk.create()["order"]["id"]
    desk.later(3)
    [(parcel, [(one, _)])] = waiting_lines(desk, order_id)
    fulfil(desk, parcel, [(one, 1)], company="Evri", number="H1")
    assert desk.data(READ, id=order_id)["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert fulfil(desk, parcel, [(one, 2)])["userErrors"], "no more than what remains"
    fulfil(desk, parcel)
    assert desk.data(READ, id=order_id)["displayFulfillmentStatus"] == "FULFILLED"
    assert fulfil(desk, parcel)["userErrors"], "closed"


def test_shipped_units_leave_the_shelf_and_a_cancelled_parcel_brings_them_back_to_a_new_fulfilment_order() -> None:
    desk = Desk()
    on_hand = sum(level.on_hand for level in desk.levels())
    order_id = desk.create()["order"]["id"]
    desk.later(3)
    [(parcel, _)] = waiting_lines(desk, order_id)
    made = fulfil(desk, parcel, company="Evri", numbers=["H1", "H2"], urls=["https://e.example/1", "https://e.example/2"])["fulfillment"]
    assert [info["number"] for info in made["trackingInfo"]] == ["H1", "H2"]
    assert sum(level.on_hand for level in desk.levels()) == on_hand - 2
    cancel = "mutation C($id: ID!) { fulfillmentCancel(id: $id) { fulfillment { status } userErrors { message } } }"
    assert desk.data(cancel, id=made["id"])["fulfillment"]["status"] == "CANCELLED"
    assert sum(level.on_hand for level in desk.levels()) == on_hand
    assert len(waiting_lines(desk, order_id)) == 2
    assert desk.data(cancel, id=made["id"])["userErrors"], "it cannot be cancelled twice"


def test_tracking_is_replaced_as_a_whole_and_number_and_numbers_exclude_each_other() -> None:
    desk = Desk()
    order_id = desk.create()["order"]["id"]
    desk.later(3)
    [(parcel, _)] = waiting_lines(desk, order_id)
    made = fulfil(desk, parcel, company="Evri", number="H1", url="https://e.example/1")["fulfillment"]
    document = """mutation T($id: ID!, $t: FulfillmentTrackingInput!) {
      fulfillmentTrackingInfoUpdate(fulfillmentId: $id, trackingInfoInput: $t) {
        fulfillment { trackingInfo(first: 5) { company number url } } userErrors { field } } }"""
    changed = desk.data(document, id=made["id"], t={"company": "UPS", "number": "1Z"})["fulfillment"]["trackingInfo"]
    assert changed == [{"company": "UPS", "number": "1Z", "url": None}]
    assert desk.data(document, id=made["id"], t={"number": "a", "numbers": ["b"]})["userErrors"]


# ---------------------------------------------------------------- cancelling


CANCEL = """mutation C($id: ID!) { orderCancel(orderId: $id, reason: OTHER, restock: true) {
  job { id done } orderCancelUserErrors { code } } }"""


def test_a_cancellation_is_accepted_first_and_done_later() -> None:
    desk = Desk()
    before = desk.available()
    order = desk.created()
    made = desk.data(CANCEL, id=gid("Order", order.id))
    assert made["job"]["done"] is False and desk.data(READ, id=gid("Order", order.id))["cancelledAt"] is None
    desk.later(3)
    assert desk.data("query J($id: ID!) { job(id: $id) { done } }", id=made["job"]["id"])["done"]
    assert order.cancelled_at and desk.available() == before
    assert desk.data(CANCEL, id=gid("Order", order.id))["orderCancelUserErrors"] == [{"code": "INVALID"}]


def test_a_cancellation_that_a_parcel_overtakes_is_done_and_has_failed() -> None:
    desk = Desk(Plan(skus=2, shopify=Switches(cancel_delay=60)))
    order_id = desk.create()["order"]["id"]
    desk.later(3)
    job = desk.data(CANCEL, id=order_id)["job"]["id"]
    [(parcel, _)] = waiting_lines(desk, order_id)
    fulfil(desk, parcel)
    desk.later(60)
    assert desk.data("query J($id: ID!) { job(id: $id) { done } }", id=job)["done"]
    assert desk.data(READ, id=order_id)["cancelledAt"] is None


# ---------------------------------------------------------------- stock


def quantities(desk: Desk, quantity: int, was: int | None, name: str = "available") -> dict[str, Any]:
    level = desk.levels()[0]
    entry = {"inventoryItemId": gid("InventoryItem", level.item_id), "locationId": gid("Location", level.location_id), "quantity": quantity}
    return {"name": name, "reason": "correction", "quantities": [entry | {"changeFromQuantity": was}]}


def test_setting_stock_compares_first_and_a_key_does_it_once() -> None:
    desk = Desk()
    level = desk.levels()[0]
    was = level.available
    stale = desk.data(SET, input=quantities(desk, 7, was + 1), key="a")
    assert [error["code"] for error in stale["userErrors"]] == ["CHANGE_FROM_QUANTITY_STALE"] and level.available == was
    done = desk.data(SET, input=quantities(desk, 7, was), key="b")["inventoryAdjustmentGroup"]
    again = desk.data(SET, input=quantities(desk, 7, was), key="b")["inventoryAdjustmentGroup"]
    assert done["id"] == again["id"] and level.available == 7
    other = desk.data(SET, input=quantities(desk, 8, 7), key="b")
    assert [error["code"] for error in other["userErrors"]] == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    desk.later(hours=24)
    desk.data(SET, input=quantities(desk, 8, 7), key="b")
    assert level.available == 8, "after a day the key is a new one"


def test_stock_mutations_want_a_key() -> None:
    document = SET.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    desk = Desk()
    assert "@idempotent" in desk.graph(document, input=quantities(desk, 7, None))["errors"][0]["message"]


def test_all_entries_or_none() -> None:
    desk = Desk()
    wanted = quantities(desk, 7, None)
    unknown = wanted["quantities"][0] | {"inventoryItemId": gid("InventoryItem", 1)}
    refused = desk.data(SET, input=wanted | {"quantities": [*wanted["quantities"], unknown]}, key="a")
    assert [error["code"] for error in refused["userErrors"]] == ["INVALID_INVENTORY_ITEM"]
    assert desk.levels()[0].available != 7


LEVER = st.one_of(
    st.tuples(st.just("order"), st.integers(0, 3), st.integers(1, 30), st.sampled_from(["BYPASS", "DECREMENT_IGNORING_POLICY"])),
    st.tuples(st.just("ship"), st.integers(0, 9), st.integers(1, 5)),
    st.tuples(st.just("unship"), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("count"), st.integers(0, 3), st.integers(0, 60)),
    st.tuples(st.just("website"), st.integers(0, 99)),
    st.tuples(st.just("wait"), st.integers(1, 600)),
)


def pull(desk: Desk, name: str, *how: Any) -> None:
    orders, parcels = list(desk.shop.orders.values()), list(desk.shop.fulfillments.values())
    if name == "order":
        n, quantity, behaviour = how
        desk.create(options={"inventoryBehaviour": behaviour}, lineItems=[line(desk, n, quantity=quantity)])
    elif name == "ship" and orders:
        n, quantity = how
        for number in orders[n % len(orders)].fulfillment_orders:
            lines = desk.shop.fulfillment_orders[number].lines
            left = [(gid("FulfillmentOrderLineItem", one.id), min(quantity, one.remaining)) for one in lines]
            fulfil(desk, gid("FulfillmentOrder", number), [one for one in left if one[1]] or None)
    elif name == "unship" and parcels:
        document = "mutation C($id: ID!) { fulfillmentCancel(id: $id) { userErrors { message } } }"
        desk.data(document, id=gid("Fulfillment", parcels[how[0] % len(parcels)].id))
    elif name == "cancel" and orders:
        desk.data(CANCEL, id=gid("Order", orders[how[0] % len(orders)].id))
    elif name == "count":
        desk.world.apply("shopify.stock", {"sku": desk.sku(how[0]), "quantity": how[1]}, desk.clock.at)
    elif name == "website":
        desk.world.buy(desk.clock.at, website=True)
    elif name == "wait":
        desk.later(how[0])


@settings(max_examples=60)
@given(st.lists(LEVER, min_size=1, max_size=25), st.integers(0, 99))
def test_no_unit_is_ever_lost_or_made(levers: list[tuple[Any, ...]], seed: int) -> None:
    desk = Desk(Plan(skus=4), seed=seed)
    for lever in levers:
        pull(desk, *lever)
        for levels in desk.shop.levels.values():
            for level in levels.values():
                assert level.on_hand == level.available + level.committed
    promised = sum(one.claimed for order in desk.shop.orders.values() for one in order.lines)
    assert promised == sum(level.committed for levels in desk.shop.levels.values() for level in levels.values())
    assert all(0 <= one.fulfilled <= one.quantity - one.cancelled for order in desk.shop.orders.values() for one in order.lines)


def test_units_sold_are_units_moved() -> None:
    desk = Desk(Plan(skus=5, offers_open="at_stock"))
    before = sum(desk.available(n) for n in range(5))
    for _ in range(12):
        desk.world.buy(desk.clock.at, website=True)
    sold = sum(one.quantity for order in desk.shop.orders.values() for one in order.lines)
    assert sold > 0 and before - sum(desk.available(n) for n in range(5)) == sold
    desk.later(hours=24)
    assert sum(level.committed for n in range(5) for level in desk.levels(n)) == 0, "the warehouse has shipped it all"
    assert sum(level.on_hand for n in range(5) for level in desk.levels(n)) == before - sold


# ---------------------------------------------------------------- reading by id


def test_nodes_are_what_their_ids_say() -> None:
    desk = Desk()
    order = desk.created()
    item = desk.levels()[0].item_id
    document = "query N($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on InventoryItem { sku } } }"
    ids = [gid("Order", order.id), gid("InventoryItem", item), gid("Order", 1), gid("Refund", 1)]
    found = desk.data(document, ids=ids)
    assert [one and one["__typename"] for one in found] == ["Order", "InventoryItem", None, None]
    assert number_of(found[1]["id"], "InventoryItem") == item and json.dumps(found[1]["sku"])
