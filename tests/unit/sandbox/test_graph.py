"""The shop's GraphQL address: what is refused before anything happens, what a document costs, who may ask."""

import json

import pytest

from ops.sandbox.plan import Plan
from ops.sandbox.shopify.graph import prepare
from ops.sandbox.shopify.state import Switches
from ops.sandbox.wire import Request
from tests.unit.sandbox.desk import CREATE, SET, Desk, an_order

PROBE = "query ShopProbe { shop { name currencyCode } publicApiVersions { handle supported } }"
DEAR = "query P { productVariants(first: 250) { nodes { id product { id } inventoryItem { id } } } }"


def test_a_wrong_token_is_401_and_nothing_is_said() -> None:
    reply = Desk().post({"query": PROBE}, token="another")
    assert reply.status == 401 and b"Harbour" not in reply.body


@pytest.mark.parametrize(
    ("asked", "served"), [("2026-10", "2026-10"), ("2026-07", "2026-07"), ("2019-04", "2026-01"), ("nonsense", "2026-01")]
)
def test_an_unknown_version_is_served_by_the_oldest_and_only_a_header_says_so(asked: str, served: str) -> None:
    reply = Desk().post({"query": PROBE}, version=asked)
    assert reply.status == 200 and reply.headers["X-Shopify-API-Version"] == served and reply.headers["X-Request-Id"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'"text"', b"\xff", b'{"query": null'])
def test_what_is_no_question_is_400(body: bytes) -> None:
    desk = Desk()
    headers = {"x-shopify-access-token": desk.sandbox.token}
    assert desk.sandbox.shopify(Request("POST", "/admin/api/2026-10/graphql.json", headers=headers, body=body)).status == 400


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("query { shop { nonsense } }", "undefinedField"),
        ("query { shop(id: 1) { name } }", "argumentNotAccepted"),
        ("query { order { id } }", "missingRequiredArguments"),
        ("query { shop { name }", None),
        ("query A { shop { name } } query B { shop { name } }", None),
    ],
)
def test_a_document_that_does_not_fit_is_answered_with_200_and_errors(document: str, code: str | None) -> None:
    answer = Desk().graph(document)
    assert "data" not in answer
    assert answer["errors"][0].get("extensions", {}).get("code") == code


def test_variables_that_do_not_fit_say_where() -> None:
    desk = Desk()
    order = an_order(desk.variant())
    order["lineItems"][0]["quantity"] = "two"
    answer = desk.graph(CREATE, order=order)
    assert "code" not in answer["errors"][0]["extensions"] and "quantity" in answer["errors"][0]["extensions"]["problems"][0]["explanation"]
    assert desk.shop.orders == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"processedAt": "yesterday"},
        {"processedAt": "2026-11-20T09:15:00"},
        {"shippingAddress": {"countryCode": "GBR"}},
        {"transactions": [{"amountSet": {"shopMoney": {"amount": "NaN", "currencyCode": "GBP"}}}]},
        {"transactions": [{"amountSet": {"shopMoney": {"amount": "twelve", "currencyCode": "GBP"}}}]},
        {"financialStatus": "paid"},
        {"nonsense": 1},
    ],
)
def test_scalars_and_enums_take_only_what_they_are(changed: dict[str, object]) -> None:
    desk = Desk()
    answer = desk.graph(CREATE, order=an_order(desk.variant(), **changed))
    assert "errors" in answer and "data" not in answer and desk.shop.orders == {}


def test_every_answer_tells_what_it_cost() -> None:
    cost = Desk().graph(PROBE)["extensions"]["cost"]
    assert cost["requestedQueryCost"] == 2 and cost["throttleStatus"]["maximumAvailable"] == 2000


def test_a_document_beyond_a_thousand_points_is_refused_before_it_runs() -> None:
    dear = DEAR.replace(
        "product { id }", "product { id } again: product { id } more: inventoryItem { id variants(first: 5) { nodes { id } } }"
    )
    answer = Desk().graph(dear)
    assert answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED" and "data" not in answer


def test_an_empty_bucket_throttles_with_200_and_refills_with_time() -> None:
    desk = Desk(Plan(skus=250, shopify=Switches(bucket=800, restore_rate=50)))
    assert "data" in desk.graph(DEAR)
    throttled = desk.graph(DEAR)
    assert throttled["errors"][0]["extensions"]["code"] == "THROTTLED" and "data" not in throttled
    cost = throttled["extensions"]["cost"]
    assert cost["actualQueryCost"] is None
    desk.later((cost["requestedQueryCost"] - cost["throttleStatus"]["currentlyAvailable"]) / 50)
    assert "data" in desk.graph(DEAR)


def test_what_was_asked_for_too_much_is_given_back() -> None:
    desk = Desk(Plan(skus=1, shopify=Switches(bucket=800, restore_rate=50)))
    cost = desk.graph(DEAR)["extensions"]["cost"]
    assert cost["requestedQueryCost"] == 750 and cost["actualQueryCost"] < 10 and cost["throttleStatus"]["currentlyAvailable"] > 790


def test_a_throttled_mutation_did_not_happen() -> None:
    desk = Desk(Plan(skus=1, shopify=Switches(bucket=15, restore_rate=1)))
    desk.create()
    answer = desk.graph(CREATE, order=an_order(desk.variant()))
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED" and len(desk.shop.orders) == 1


def test_a_document_is_parsed_once() -> None:
    desk = Desk()
    desk.graph(PROBE)
    before = prepare.cache_info()
    desk.graph(PROBE)
    after = prepare.cache_info()
    assert after.misses == before.misses and after.hits > before.hits


def test_a_request_is_known_by_its_fields_and_by_its_name() -> None:
    desk = Desk()
    body = json.dumps({"query": SET.replace("mutation Set", "mutation StockSet"), "variables": {}}).encode()
    assert desk.sandbox.graph.names(Request("POST", "/", body=body)) == {"StockSet", "inventorySetQuantities"}
    assert desk.sandbox.graph.names(Request("POST", "/", body=b"nonsense")) == set()
