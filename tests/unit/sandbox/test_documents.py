"""Every document that Crossdock sends, or will need to, is answered: one long day in a shop, from the definition to the last return."""

import json
import os
from pathlib import Path

import pytest

from ops.sandbox.shopify.graph import Graph
from ops.sandbox.shopify.state import gid
from tests.unit.sandbox.desk import DEFINITION, marketplace_id, money
from tests.unit.sandbox.storefront import Storefront, documents

PUBLISHED = os.environ.get("CROSSDOCK_CONTRACTS", "")  # a folder with the full documents, which are not part of the project


def stock_day(shop: Storefront) -> None:
    """The shop, its places and goods; quantities set, adjusted, activated."""
    probe = shop.say("ShopProbe")["data"]
    granted = [scope["handle"] for scope in probe["currentAppInstallation"]["accessScopes"]]
    assert probe["shop"]["currencyCode"] == "GBP" and "write_orders" in granted
    places = shop.ask("Locations", first=5)["nodes"]
    assert len(places) == 2 and places[0]["isActive"]
    variant = shop.ask("VariantsPage", first=2)["nodes"][0]
    [item] = shop.ask("InventoryItemsBySku", query=f"sku:'{variant['sku']}'", first=5)["nodes"]
    assert item["id"] == variant["inventoryItem"]["id"]
    level = shop.ask("InventoryItemLevels", id=item["id"], first=5)["inventoryLevels"]["nodes"][0]
    units = {one["name"]: one["quantity"] for one in level["quantities"]}
    assert units["on_hand"] == units["available"] + units["committed"]
    there = shop.ask("LocationInventoryPage", locationId=places[0]["id"], first=5)["inventoryLevels"]
    assert there["pageInfo"]["hasNextPage"] and len(there["nodes"]) == 5
    pair = {"inventoryItemId": item["id"], "locationId": places[0]["id"]}
    entry = pair | {"quantity": 50, "changeFromQuantity": units["available"]}
    wanted = {"name": "available", "reason": "correction", "referenceDocumentUri": "gid://crossdock/Count/1", "quantities": [entry]}
    made = shop.ask("InventorySetQuantities", input=wanted, idempotencyKey="s")["inventoryAdjustmentGroup"]
    assert made["changes"][0]["quantityAfterChange"] == 50
    change = {"name": "available", "reason": "restock", "changes": [pair | {"delta": 1, "changeFromQuantity": 50}]}
    made = shop.ask("InventoryAdjustQuantities", input=change, idempotencyKey="a")["inventoryAdjustmentGroup"]
    assert made["changes"][0]["quantityAfterChange"] == 51
    lonely = next(number for number, levels in shop.shop.levels.items() if len(levels) == 1)
    [elsewhere] = [number for number in shop.shop.locations if number not in shop.shop.levels[lonely]]
    added = {"inventoryItemId": gid("InventoryItem", lonely), "locationId": gid("Location", elsewhere), "available": 3}
    assert shop.ask("InventoryActivate", **added, idempotencyKey="i")["inventoryLevel"]["quantities"][0]["quantity"] == 3


def order_day(shop: Storefront) -> str:
    """An order made, found in every way, changed in every way. Returns its id."""
    defined = shop.ask("MarketplaceIdDefinitionCreate", definition=DEFINITION | {"capabilities": {"adminFilterable": {"enabled": True}}})
    assert defined["createdDefinition"]["capabilities"]["uniqueValues"]["enabled"]
    assert shop.ask("MarketplaceIdDefinitionGet", namespace="$app", key="mirakl_order_id")["nodes"][0]["type"]["name"] == "id"
    attribution = shop.ask("OrderAttributionDefinitionUpsert", input={"handle": "asos", "displayName": "ASOS"})
    assert attribution["orderAttributionDefinition"]["handle"] == "asos"
    order = shop.sold(2, 1, metafields=marketplace_id("A-1"), tags=["mirakl"], sourceIdentifier="A-1", sourceName="asos")
    one = gid("Order", order.id)
    shop.later(10)
    assert shop.ask("OrderByMarketplaceId", value="A-1", key="mirakl_order_id")["id"] == one
    assert [found["id"] for found in shop.ask("OrdersSearch", query="tag:mirakl", first=5)["nodes"]] == [one]
    assert [found["id"] for found in shop.ask("OrdersSearch", query='metafields.$app.mirakl_order_id:"A-1"', first=5)["nodes"]] == [one]
    assert len(shop.ask("OrdersUpdatedPage", query="updated_at:>='2026-11-01T00:00:00Z' tag:mirakl", first=5)["nodes"]) == 1
    read = shop.ask("OrderGet", id=one)
    assert read["totalOutstandingSet"]["shopMoney"]["amount"] == "0.0" and read["attribution"]["handle"] == "asos"
    assert read["displayFinancialStatus"] == "PAID" and read["totalPriceSet"]["shopMoney"]["amount"] == "75.6"
    assert len(shop.ask("OrderLineItemsPage", id=one, first=1)["lineItems"]["nodes"]) == 1
    assert shop.ask("OrderUpdate", input={"id": one, "note": "Gift", "tags": ["mirakl", "asos"]})["order"]["note"] == "Gift"
    shop.ask("TagsAdd", id=one, tags=["urgent"])
    shop.ask("TagsRemove", id=one, tags=["ASOS"])
    assert order.tags == ["mirakl", "urgent"]
    field = {"ownerId": one, "namespace": "$app", "key": "carrier", "type": "single_line_text_field", "value": "DPD"}
    assert shop.ask("MetafieldsSet", metafields=[field])["metafields"][0]["value"] == "DPD"
    unpaid = gid("Order", shop.sold(1, paid=False).id)
    assert shop.ask("OrderMarkAsPaid", input={"id": unpaid})["order"]["displayFinancialStatus"] == "PAID"
    assert shop.ask("OrderClose", input={"id": unpaid})["order"]["closedAt"]
    return one


def parcel_day(shop: Storefront, one: str) -> str:
    """Its fulfilment orders held, released, moved and split; parcels sent, followed, taken back. Returns the fulfilment."""
    parcels = shop.ask("OrderFulfillmentOrders", id=one, first=5)["fulfillmentOrders"]["nodes"]
    first = parcels[0]
    assert shop.ask("FulfillmentOrderGet", id=first["id"])["order"]["id"] == one
    held = shop.ask("FulfillmentOrderHold", id=first["id"], fulfillmentHold={"reason": "OTHER", "handle": "debit"})
    assert held["fulfillmentOrder"]["status"] == "ON_HOLD"
    released = shop.ask("FulfillmentOrderReleaseHold", id=first["id"], holdIds=[held["fulfillmentHold"]["id"]])
    assert released["fulfillmentOrder"]["status"] == "OPEN"
    kept = {"id": first["lineItems"]["nodes"][0]["id"], "quantity": 1}
    [cut] = shop.ask("FulfillmentOrderSplit", splits=[{"fulfillmentOrderId": first["id"], "fulfillmentOrderLineItems": [kept]}])[
        "fulfillmentOrderSplits"
    ]
    for number in list(shop.shop.locations):
        for item in list(shop.shop.items):
            if number not in shop.shop.levels[item]:
                activated = {"inventoryItemId": gid("InventoryItem", item), "locationId": gid("Location", number)}
                shop.ask("InventoryActivate", **activated, idempotencyKey=f"{item}-{number}")
    there = next(place for place in shop.shop.locations if gid("Location", place) != first["assignedLocation"]["location"]["id"])
    moved = shop.ask("FulfillmentOrderMove", id=cut["remainingFulfillmentOrder"]["id"], newLocationId=gid("Location", there))
    assert moved["movedFulfillmentOrder"]["assignedLocation"]["location"]["id"] == gid("Location", there)
    wanted = {
        "lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": first["id"], "fulfillmentOrderLineItems": [kept]}],
        "trackingInfo": {"company": "Royal Mail", "number": "AB1"},
    }
    sent = shop.ask("FulfillmentCreate", fulfillment=wanted)["fulfillment"]
    assert shop.ask("OrderFulfillments", id=one)["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    changed = shop.ask("FulfillmentTrackingInfoUpdate", fulfillmentId=sent["id"], trackingInfoInput={"company": "Evri", "number": "H2"})
    assert changed["fulfillment"]["trackingInfo"][0]["number"] == "H2"
    assert shop.ask("FulfillmentCancel", id=sent["id"])["fulfillment"]["status"] == "CANCELLED"
    assert shop.ask("FulfillmentGet", id=sent["id"])["status"] == "CANCELLED"
    for parcel in shop.ask("OrderFulfillmentOrders", id=one, first=9)["fulfillmentOrders"]["nodes"]:
        if parcel["status"] in ("OPEN", "IN_PROGRESS"):
            shop.ask("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": parcel["id"]}]})
    assert shop.ask("OrderFulfillments", id=one)["displayFulfillmentStatus"] == "FULFILLED"
    return str(sent["id"])


def money_day(shop: Storefront, one: str) -> None:
    """A refund suggested and made, a return from request to its end, and another order cancelled."""
    order = next(order for order in shop.shop.orders.values() if gid("Order", order.id) == one)
    suggestion = shop.ask("SuggestedRefund", orderId=one, lines=[shop.unit(order, "RETURN")])["suggestedRefund"]
    assert suggestion["amountSet"]["shopMoney"]["amount"] == "24.0"
    given = shop.refund_input(order, lines=[shop.unit(order, "RETURN")], amount="24.00")
    made = shop.ask("RefundCreate", input=given, idempotencyKey="r")
    assert made["order"]["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    refund = shop.ask("RefundGet", id=made["refund"]["id"])
    assert refund["transactions"]["nodes"][0]["parentTransaction"] and refund["orderAdjustments"]["nodes"] == []
    assert len(shop.ask("OrderRefunds", id=one)["refunds"]) == 1
    returnable = shop.ask("ReturnableFulfillments", orderId=one, first=5)["nodes"]
    row = returnable[0]["returnableFulfillmentLineItems"]["nodes"][0]
    reason = shop.ask("ReturnReasonDefinitions", first=3)["nodes"][1]["id"]
    unit = {"fulfillmentLineItemId": row["fulfillmentLineItem"]["id"], "quantity": 1, "returnReasonDefinitionId": reason}
    sent = shop.ask("ReturnCreate", returnInput={"orderId": one, "returnLineItems": [unit | {"restockingFee": {"percentage": 10}}]})[
        "return"
    ]
    assert sent["status"] == "OPEN" and shop.ask("OrderReturns", id=one, first=5)["returnStatus"] == "IN_PROGRESS"
    back = sent["reverseFulfillmentOrders"]["nodes"][0]
    lines = [{"reverseFulfillmentOrderLineItemId": back["lineItems"]["nodes"][0]["id"], "quantity": 1}]
    assert shop.ask("ReverseDeliveryCreateWithShipping", reverseFulfillmentOrderId=back["id"], lines=lines, tracking={"number": "R1"})
    disposed = shop.ask("ReverseFulfillmentOrderDispose", inputs=[lines[0] | {"dispositionType": "RESTOCKED", "locationId": shop.place()}])
    assert disposed["reverseFulfillmentOrderLineItems"][0]["dispositions"][0]["type"] == "RESTOCKED"
    processed = {"returnId": sent["id"], "returnLineItems": [{"id": sent["returnLineItems"]["nodes"][0]["id"], "quantity": 1}]}
    parent = gid("OrderTransaction", order.transactions[0].id)
    transfer = {"issueRefund": {"orderTransactions": [{"parentId": parent, "transactionAmount": money("24.00")["shopMoney"]}]}}
    done = shop.ask("ReturnProcess", input=processed | {"financialTransfer": transfer})["return"]
    assert done["status"] == "CLOSED" and len(done["refunds"]["nodes"]) == 1
    assert shop.ask("ReturnGet", id=sent["id"])["closedAt"]
    for answer in ("ReturnApproveRequest", "ReturnDeclineRequest"):
        third = shop.fulfilled(1)
        asked = shop.staff("staffReturn", order=third.id, lines=[[third.lines[0].id, 1]], requested=True)
        more = {"declineReason": "FINAL_SALE", "declineNote": "Too late"} if answer == "ReturnDeclineRequest" else {}
        decided = shop.ask(answer, input={"id": gid("Return", asked)} | more)["return"]
        assert decided["status"] == ("OPEN" if answer == "ReturnApproveRequest" else "DECLINED")
        if answer == "ReturnApproveRequest":
            assert shop.ask("ReturnCancel", id=decided["id"])["return"]["status"] == "CANCELED"
    third = shop.fulfilled(1)
    opened = gid("Return", shop.staff("staffReturn", order=third.id, lines=[[third.lines[0].id, 1]]))
    assert shop.ask("ReturnClose", id=opened)["return"]["status"] == "CLOSED"
    fourth = gid("Order", shop.sold(1).id)
    job = shop.ask("OrderCancel", orderId=fourth, reason="CUSTOMER", restock=True, refundMethod={"originalPaymentMethodsRefund": True})[
        "job"
    ]
    assert shop.ask("JobStatus", id=job["id"])["done"] is False
    shop.later(5)
    assert shop.ask("JobStatus", id=job["id"])["done"] and shop.ask("OrderGet", id=fourth)["cancelledAt"]
    assert [paid["kind"] for paid in shop.ask("OrderTransactions", id=fourth)["transactions"]] == ["SALE", "REFUND"]
    assert shop.ask("TenderTransactionsPage", first=50)["nodes"][-1]["amount"]["amount"] == "-27.6"


def bulk_day(shop: Storefront) -> None:
    text = documents()["BulkDocumentInventory"]
    begun = shop.ask("BulkRunQuery", query=text)["bulkOperation"]["id"]
    assert shop.ask("BulkOperationsRunning", first=5, query="status:CREATED")["nodes"][0]["id"] == begun
    shop.later(10)
    done = shop.ask("BulkOperationGet", id=begun)
    assert done["status"] == "COMPLETED" and int(done["objectCount"]) > int(done["rootObjectCount"]) > 0
    begun = shop.ask("BulkRunQuery", query=documents()["BulkDocumentMarketplaceOrders"])["bulkOperation"]["id"]
    shop.ask("BulkCancel", id=begun)
    shop.later(10)
    assert shop.ask("BulkOperationGet", id=begun)["status"] == "CANCELED"
    asked = {"filename": "tags.jsonl", "mimeType": "text/jsonl", "resource": "BULK_MUTATION_VARIABLES", "httpMethod": "POST"}
    [target] = shop.ask("StagedUploadForBulkMutation", input=[asked])["stagedTargets"]
    [key] = [one["value"] for one in target["parameters"] if one["name"] == "key"]
    shop.staff("upload", key=key, content=json.dumps({"id": gid("Order", next(iter(shop.shop.orders))), "tags": ["bulk"]}))
    begun = shop.ask("BulkRunMutation", mutation=documents()["TagsAdd"], stagedUploadPath=key)["bulkOperation"]["id"]
    shop.later(10)
    assert shop.ask("BulkOperationGet", id=begun)["objectCount"] == "1"


def webhook_day(shop: Storefront) -> None:
    here = {"uri": "http://127.0.0.1:9/hooks", "format": "JSON", "name": "orders", "filter": "test:false"}
    made = shop.ask("WebhookSubscriptionCreate", topic="ORDERS_CREATE", subscription=here)["webhookSubscription"]
    assert shop.ask("WebhookSubscriptions", first=5)["nodes"][0]["id"] == made["id"]
    changed = shop.ask("WebhookSubscriptionUpdate", id=made["id"], subscription={"includeFields": ["id", "updated_at"]})
    assert changed["webhookSubscription"]["includeFields"] == ["id", "updated_at"]
    assert shop.ask("WebhookSubscriptionDelete", id=made["id"])["deletedWebhookSubscriptionId"] == made["id"]


def a_day(shop: Storefront) -> None:
    stock_day(shop)
    one = order_day(shop)
    sent = parcel_day(shop, one)
    money_day(shop, one)
    bulk_day(shop)
    webhook_day(shop)
    if "Anything" in documents():
        assert [found["__typename"] for found in shop.ask("Anything", ids=[one, sent])] == ["Order", "Fulfillment"]


def test_every_document_is_answered() -> None:
    shop = Storefront()
    a_day(shop)
    bulk = {name for name in documents() if name.startswith("BulkDocument")}  # texts for BulkRunQuery: not asked by themselves
    assert shop.documents_asked == set(documents()) - bulk


def test_every_document_is_cheap_enough_for_one_request() -> None:
    shop = Storefront()
    for name in documents():
        if not name.startswith("BulkDocument"):
            answer = shop.say(name, **dict.fromkeys(("first",), 10))
            codes = [error.get("extensions", {}).get("code") for error in answer.get("errors", [])]
            assert "MAX_COST_EXCEEDED" not in codes, name


if PUBLISHED:

    def test_the_published_schema_has_every_answer_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
        """Executed against the whole schema, an answer that did not fit it would be an error."""
        shop = Storefront()
        published = Graph(Path(PUBLISHED, "shopify-admin-2026-10.graphql").read_text(), shop.sandbox.token)
        monkeypatch.setattr(shop.sandbox, "graph", published)
        a_day(shop)
