"""Bulk operations: queries read in slices, mutations line by line, results as files, limits and failures."""

import json
from typing import Any

import pytest

from ops.sandbox.shopify.state import gid
from ops.sandbox.wire import Request
from tests.unit.sandbox.storefront import Storefront, documents

ITEMS = "{ inventoryItems { edges { node { __typename id sku inventoryLevels { edges { node { __typename id } } } } } } }"
ADD = documents()["TagsAdd"]


def begun(shop: Storefront, query: str = ITEMS) -> str:
    return str(shop.ask("BulkRunQuery", query=query)["bulkOperation"]["id"])


def read(shop: Storefront, operation: str) -> Any:
    return shop.ask("BulkOperationGet", id=operation)


def lines(shop: Storefront, address: str) -> list[dict[str, Any]]:
    reply = shop.get(address.removeprefix(f"https://{shop.shop.domain}"))
    assert reply.status == 200
    return [json.loads(line) for line in reply.body.splitlines()]


def test_a_query_is_read_to_its_end_and_children_come_after_their_parents() -> None:
    shop = Storefront(skus=20)
    operation = begun(shop)
    assert read(shop, operation)["status"] == "CREATED"
    shop.later(3)
    running = read(shop, operation)
    assert running["status"] == "RUNNING" and running["url"] is None and 0 < int(running["rootObjectCount"]) < 20
    shop.later(10)
    done = read(shop, operation)
    assert done["status"] == "COMPLETED" and done["completedAt"] and int(done["fileSize"]) > 0
    found = lines(shop, done["url"])
    items = [row for row in found if "__parentId" not in row]
    assert [row["sku"] for row in items] == [variant.sku for variant in shop.shop.variants.values()]
    assert len(found) == int(done["objectCount"]) == 20 + sum(map(len, shop.shop.levels.values()))
    seen: set[str] = set()
    for row in found:
        assert row.get("__parentId") is None or row["__parentId"] in seen
        seen.add(row["id"])


def test_grouped_children_follow_their_parent_at_once() -> None:
    shop = Storefront(skus=5)
    document = (
        "mutation M($q: String!) { bulkOperationRunQuery(query: $q, groupObjects: true) { bulkOperation { id } userErrors { code } } }"
    )
    operation = shop.data(document, q=ITEMS)["bulkOperation"]["id"]
    shop.later(20)
    parent = None
    for row in lines(shop, read(shop, operation)["url"]):
        parent = row["id"] if "__parentId" not in row else parent
        assert row.get("__parentId") in (None, parent)


def test_a_long_job_mixes_moments() -> None:
    shop = Storefront(skus=9)
    operation = begun(shop, "{ inventoryItems { edges { node { id sku tracked } } } }")
    shop.later(3)
    for variant in shop.shop.variants:
        shop.staff("staffTrackItem", variant=variant, tracked=False)
    shop.later(20)
    assert {row["tracked"] for row in lines(shop, read(shop, operation)["url"])} == {True, False}


def test_nothing_found_is_no_file() -> None:
    shop = Storefront()
    operation = begun(shop, "{ orders { edges { node { id } } } }")
    shop.later(20)
    assert read(shop, operation)["status"] == "COMPLETED" and read(shop, operation)["url"] is None


def test_a_result_is_kept_for_seven_days() -> None:
    shop = Storefront()
    operation = begun(shop)
    shop.later(20)
    path = read(shop, operation)["url"].removeprefix(f"https://{shop.shop.domain}")
    shop.later(hours=7 * 24)
    assert read(shop, operation)["url"] is None and shop.get(path).status == 404


def test_a_result_is_served_where_the_question_was_asked() -> None:
    shop = Storefront()
    operation = begun(shop)
    shop.later(20)
    headers = {"x-shopify-access-token": shop.sandbox.token, "host": "127.0.0.1:8080"}
    body = json.dumps({"query": documents()["BulkOperationGet"], "variables": {"id": operation}}).encode()
    answer = json.loads(shop.sandbox.shopify(Request("POST", "/admin/api/2026-10/graphql.json", headers=headers, body=body)).body)
    assert answer["data"]["bulkOperation"]["url"].startswith("http://127.0.0.1:8080/shopify/storage/results/")


@pytest.mark.parametrize(
    "query",
    [
        "{ shop { id } }",
        "mutation { orderClose(input: {id: 1}) { order { id } } }",
        "{ nonsense }",
        "query A { orders { edges { node { id } } } } query B { orders { edges { node { id } } } }",
        "{ nodes(ids: []) { id } orders { edges { node { id } } } }",
        "{ " + " ".join(f"a{n}: orders {{ edges {{ node {{ id }} }} }}" for n in range(6)) + " }",
        (
            "{ orders { edges { node { returns { edges { node { reverseFulfillmentOrders { nodes { "
            "lineItems { nodes { id } } } } } } } } } } }"
        ),
    ],
)
def test_what_is_no_bulk_query_is_refused(query: str) -> None:
    assert Storefront().refused("BulkRunQuery", query=query)[0]["code"] == "INVALID"


@pytest.mark.parametrize(("limit", "code"), [(5, "LIMIT_REACHED"), (1, "OPERATION_IN_PROGRESS")])
def test_no_more_than_so_many_run_at_once(limit: int, code: str) -> None:
    shop = Storefront(bulk_at_once=limit)
    for _ in range(limit):
        begun(shop)
    assert shop.refused("BulkRunQuery", query=ITEMS)[0]["code"] == code
    shop.later(20)
    begun(shop)


def test_a_job_that_is_cancelled_keeps_what_it_has() -> None:
    shop = Storefront(skus=9)
    operation = begun(shop)
    shop.later(3)
    assert shop.ask("BulkCancel", id=operation)["bulkOperation"]["status"] == "CANCELING"
    shop.later(20)
    found = read(shop, operation)
    assert found["status"] == "CANCELED" and found["url"] is None and len(lines(shop, found["partialDataUrl"])) > 0
    assert "cannot be canceled" in shop.refused("BulkCancel", id=operation)[0]["message"]


def test_a_job_that_fails_leaves_a_part() -> None:
    shop = Storefront(skus=9, bulk_fails=1.0)
    operation = begun(shop)
    shop.later(20)
    found = read(shop, operation)
    assert (found["status"], found["errorCode"], found["url"]) == ("FAILED", "INTERNAL_SERVER_ERROR", None)
    assert 0 < len([row for row in lines(shop, found["partialDataUrl"]) if "sku" in row]) < 9


def test_a_scope_that_is_missing_fails_the_job() -> None:
    shop = Storefront()
    operation = begun(shop, "{ orders { edges { node { id } } } }")
    shop.staff("scopes", scopes=["read_products"])
    shop.later(20)
    assert read(shop, operation)["errorCode"] == "ACCESS_DENIED"


# ---------------------------------------------------------------- mutations


def staged(shop: Storefront, rows: list[dict[str, Any]], method: str = "POST") -> str:
    """Puts a file where the shop says; returns the path to name."""
    asked = {"filename": "a.jsonl", "mimeType": "text/jsonl", "resource": "BULK_MUTATION_VARIABLES", "httpMethod": method}
    [target] = shop.ask("StagedUploadForBulkMutation", input=[asked])["stagedTargets"]
    content = "\n".join(map(json.dumps, rows))
    path = target["url"].removeprefix(f"https://{shop.shop.domain}")
    if method == "PUT":
        assert shop.sandbox.shopify(Request("PUT", path, body=content.encode())).status == 200
        return str(target["resourceUrl"])
    parts = [(one["name"], one["value"]) for one in target["parameters"]] + [("file", content)]
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts) + "--x--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert shop.sandbox.shopify(Request("POST", path, headers=headers, body=body.encode())).status == 201
    return str(next(value for name, value in parts if name == "key"))


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_mutation_is_done_for_each_line(method: str) -> None:
    shop = Storefront()
    orders = [shop.sold(1) for _ in range(4)]
    rows = [{"id": gid("Order", order.id), "tags": ["bulk"]} for order in orders]
    path = staged(shop, [*rows, {"id": gid("Order", 1), "tags": ["bulk"]}], method)
    operation = shop.ask("BulkRunMutation", mutation=ADD, stagedUploadPath=path)["bulkOperation"]["id"]
    shop.later(20)
    found = lines(shop, read(shop, operation)["url"])
    assert [row["__lineNumber"] for row in found] == [0, 1, 2, 3, 4] and all(order.tags == ["bulk"] for order in orders)
    assert [bool(row["data"]["tagsAdd"]["userErrors"]) for row in found] == [False, False, False, False, True]


def test_what_was_never_put_there_cannot_be_read() -> None:
    shop = Storefront()
    assert shop.refused("BulkRunMutation", mutation=ADD, stagedUploadPath="tmp/1/bulk/a.jsonl")[0]["code"] == "NO_SUCH_FILE"
    assert shop.sandbox.shopify(Request("PUT", "/storage/uploads/tmp/1/bulk/a.jsonl", body=b"{}")).status == 403


@pytest.mark.parametrize(
    "mutation", [ITEMS, "mutation { nonsense }", documents()["RefundCreate"].replace("@idempotent(key: $idempotencyKey)", "")]
)
def test_what_is_no_bulk_mutation_is_refused(mutation: str) -> None:
    shop = Storefront()
    assert shop.refused("BulkRunMutation", mutation=mutation, stagedUploadPath=staged(shop, [{}]))[0]["code"] == "INVALID_MUTATION"
