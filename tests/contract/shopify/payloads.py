"""Webhook bodies as Shopify's can be: written here by hand, and nasty. Each with what must come of it.

`about` names what is to be read again; a text is the reason why it is not for us; `None` is a body that cannot be read.
"""

import json
from typing import Any

BIG = 9007199254741995  # above 2^53: a float would make 9007199254741996 of it
ORDER = {
    "id": BIG,
    "admin_graphql_api_id": f"gid://shopify/Order/{BIG}",
    "app_id": 1,
    "name": "ASOS-00012345-A",
    "email": "pii-canary@notification.example.com",
    "tags": "asos, Crossdock, mirakl, mirakl-00012345-A",
    "note_attributes": [{"name": "Marketplace channel", "value": "asos"}, {"name": "Marketplace order", "value": "00012345-A"}],
    "updated_at": "2026-08-13T10:00:00+01:00",
    "total_price": "51.60",
    "shipping_address": {"first_name": "PII-canary", "latitude": 53.79, "phone": None},
    "customer": None,
    "line_items": [{"id": BIG + 1, "properties": {}, "price_set": {"shop_money": {"amount": "24.00", "currency_code": "GBP"}}}],
    "refunds": [{"subtotal": 10.5}],
    "a_field_of_tomorrow": [[[{"deep": True}]]],
}
D2C = ORDER | {"tags": "", "note_attributes": [{"name": "gift", "value": None}], "source_identifier": None}
FO = "gid://shopify/FulfillmentOrder"


def gid(kind: str, number: int = BIG) -> str:
    return f"gid://shopify/{kind}/{number}"


READ: list[tuple[str, Any, tuple[str, ...] | str | None]] = [
    # orders
    ("orders/create", ORDER, (gid("Order"),)),
    ("orders/updated", ORDER | {"tags": ["crossdock"]}, (gid("Order"),)),
    ("orders/updated", ORDER | {"tags": ""}, (gid("Order"),)),  # a person took the tags away: its attributes are there
    ("orders/updated", ORDER | {"note_attributes": {}}, (gid("Order"),)),
    ("orders/cancelled", {"id": BIG, "updated_at": "yesterday"}, (gid("Order"),)),  # a part of a body is not judged
    ("orders/paid", ORDER, (gid("Order"),)),
    ("orders/fulfilled", ORDER, (gid("Order"),)),
    ("orders/partially_fulfilled", ORDER, (gid("Order"),)),
    ("orders/delete", {"id": BIG}, (gid("Order"),)),
    ("orders/edited", {"order_edit": {"id": 5, "order_id": BIG, "line_items": {"additions": [{"id": 1, "delta": 1}]}}}, (gid("Order"),)),
    ("orders/create", D2C, "not a marketplace order"),
    ("orders/updated", D2C | {"note_attributes": {}}, "not a marketplace order"),
    ("orders/updated", {"id": 3, "admin_graphql_api_id": "gid://shopify/Refund/3"}, "body of another topic"),
    ("orders/updated", {"id": 9007199254741996, "admin_graphql_api_id": gid("Order")}, (gid("Order"),)),  # the number was rounded
    # parts of orders
    (
        "fulfillments/create",
        {"id": 7, "order_id": BIG, "status": "success", "email": "pii-canary@x.org"},
        (gid("Order"), gid("Fulfillment", 7)),
    ),
    (
        "fulfillments/update",
        {"id": 7, "admin_graphql_api_id": gid("Fulfillment", 7), "order_id": str(BIG)},
        (gid("Order"), gid("Fulfillment", 7)),
    ),
    ("refunds/create", {"id": 8, "order_id": BIG, "return": None, "note": "PII-canary"}, (gid("Order"), gid("Refund", 8))),
    ("order_transactions/create", {"id": 9, "order_id": BIG, "receipt": {}}, (gid("Order"), gid("OrderTransaction", 9))),
    ("fulfillment_orders/order_routing_complete", {"fulfillment_order": {"id": f"{FO}/1", "status": "open"}}, (f"{FO}/1",)),
    (
        "fulfillment_orders/moved",
        {
            "original_fulfillment_order": {"id": f"{FO}/1"},
            "moved_fulfillment_order": {"id": f"{FO}/2"},
            "source_location": {"id": "gid://x"},
        },
        (f"{FO}/1", f"{FO}/2"),
    ),
    (
        "fulfillment_orders/split",
        {
            "fulfillment_order": {"id": f"{FO}/1"},
            "remaining_fulfillment_order": {"id": f"{FO}/2"},
            "replacement_fulfillment_order": {"id": f"{FO}/3"},
        },
        (f"{FO}/1", f"{FO}/2", f"{FO}/3"),
    ),
    (
        "fulfillment_orders/merged",
        {"merge_intents": [{"fulfillment_order_id": 1}], "fulfillment_order_merges": {"fulfillment_order": {"id": f"{FO}/1"}}},
        (f"{FO}/1",),
    ),
    ("fulfillment_orders/merged", {"fulfillment_order_merges": [{"fulfillment_order": {"id": f"{FO}/1"}}]}, (f"{FO}/1",)),
    (
        "fulfillment_orders/cancelled",
        {"fulfillment_order": {"id": f"{FO}/1", "status": "cancelled"}, "replacement_fulfillment_order": None},
        (f"{FO}/1",),
    ),
    ("fulfillment_orders/placed_on_hold", {"fulfillment_order": {"id": f"{FO}/1", "fulfillment_holds": []}}, (f"{FO}/1",)),
    ("fulfillment_orders/hold_released", {"fulfillment_order": {"id": f"{FO}/1"}}, (f"{FO}/1",)),
    (
        "fulfillment_holds/added",
        {"fulfillment_order": {"id": f"{FO}/1"}, "fulfillment_hold": {"id": "gid://shopify/FulfillmentHold/1"}},
        (f"{FO}/1",),
    ),
    # returns: three spellings of their order, and none
    ("returns/close", {"id": 4, "order_id": BIG, "status": "closed"}, (gid("Order"), gid("Return", 4))),
    ("returns/request", {"id": 4, "order": {"id": BIG}, "name": None}, (gid("Order"), gid("Return", 4))),
    ("returns/approve", {"id": 4, "order": {"id": 5, "admin_graphql_api_id": gid("Order")}}, (gid("Order"), gid("Return", 4))),
    ("returns/decline", {"id": 4, "order": {"admin_graphql_api_id": gid("Order")}}, (gid("Order"), gid("Return", 4))),
    ("returns/update", {"admin_graphql_api_id": gid("Return", 4), "return_line_items": {"removals": []}}, (gid("Return", 4),)),
    ("returns/cancel", {"id": 4, "order_id": BIG}, (gid("Order"), gid("Return", 4))),
    ("returns/reopen", {"id": 4, "order_id": BIG}, (gid("Order"), gid("Return", 4))),
    ("returns/process", {}, ()),
    ("reverse_fulfillment_orders/dispose", {"id": 11, "dispositions": [{}]}, (gid("ReverseFulfillmentOrder", 11),)),
    ("reverse_deliveries/attach_deliverable", {"id": 12, "return": {"id": 4}}, (gid("Return", 4),)),
    # stock
    (
        "inventory_levels/update",
        {
            "inventory_item_id": BIG,
            "location_id": 2,
            "available": -3,
            "admin_graphql_api_id": f"gid://shopify/InventoryLevel/2?inventory_item_id={BIG}",
        },
        (gid("InventoryItem"),),
    ),
    ("inventory_levels/connect", {"inventory_item_id": BIG, "location_id": 2, "available": None}, (gid("InventoryItem"),)),
    ("inventory_levels/disconnect", {"inventory_item_id": BIG, "location_id": 2}, (gid("InventoryItem"),)),
    ("inventory_items/create", {"id": BIG, "sku": None, "tracked": False}, (gid("InventoryItem"),)),
    ("inventory_items/update", {"id": 1, "admin_graphql_api_id": gid("InventoryItem"), "cost": None}, (gid("InventoryItem"),)),
    ("inventory_items/delete", {"id": BIG}, (gid("InventoryItem"),)),
    ("products/update", {"id": 1, "status": "draft", "variants": [{"id": 2, "inventory_item_id": BIG}]}, (gid("InventoryItem"),)),
    ("products/update", {"id": 1, "status": "draft"}, ()),
    ("products/create", {"id": 1}, "inventory items tell it"),
    ("products/delete", {"id": 1}, "inventory items tell it"),
    ("variants/out_of_stock", {"id": 1}, "inventory levels tell it"),
    ("locations/update", {"id": 6, "name": "PII-canary"}, (gid("Location", 6),)),
    ("locations/deactivate", {"id": 6, "active": False}, (gid("Location", 6),)),
    ("locations/delete", {"id": 6}, (gid("Location", 6),)),
    # ourselves
    ("app/uninstalled", {"id": 1, "myshopify_domain": "harbour-and-thread.myshopify.com", "email": "pii-canary@x.org"}, ()),
    ("app/uninstalled", {"id": 1, "myshopify_domain": "other.myshopify.com"}, "another shop"),
    ("app/scopes_update", {"id": 1, "shop_id": "gid://shopify/Shop/1", "previous": [], "current": ["read_orders"]}, ()),
    (
        "bulk_operations/finish",
        {"admin_graphql_api_id": "gid://shopify/BulkOperation/1", "status": "completed"},
        "asked after until they are over",
    ),
    # what nobody told us about
    ("carts/create", {"id": "abc"}, "topic unknown"),
    ("", {"id": 1}, "topic unknown"),
    ("orders", {"id": 1}, "topic unknown"),
    ("orders/Create\n", {"id": 1}, "topic unknown"),
    ("orders/updated/again", {"id": 1}, "topic unknown"),
    ("orders/anything", {"id": 1}, "topic unknown"),  # or else a captured body could be replayed for ever
    # what cannot be read
    ("orders/updated", {"id": 8.2e17, "tags": "x"}, None),
    ("orders/updated", {"id": {"a": 1}}, None),
    ("orders/updated", {"id": -1}, None),
    ("orders/updated", {}, None),
    ("orders/edited", {"order_edit": {}}, None),
    ("fulfillment_orders/moved", {"moved_fulfillment_order": None}, None),
    ("inventory_levels/update", {"inventory_item_id": None}, None),
    ("inventory_levels/update", {"inventory_item_id": "gid://shopify/InventoryItem/1 OR 1=1"}, None),
    ("shop/update", {"id": 1, "myshopify_domain": ["x"]}, None),
]

HERE = {"shop_id": 1, "shop_domain": "Harbour-and-Thread.myshopify.com"}
ASKER = {"id": 2, "email": "pii-canary@x.org", "phone": "555-625-1199"}

# Topic, body, and the orders that are named; a text says why it is left; None: it cannot be read.
PRIVATE: list[tuple[str, Any, tuple[str, ...] | str | None]] = [
    (
        "customers/data_request",
        {**HERE, "customer": ASKER, "orders_requested": [1, BIG], "data_request": {"id": 9}},
        (gid("Order", 1), gid("Order")),
    ),
    ("customers/data_request", {**HERE, "customer": ASKER, "data_request": {"id": 9}}, ()),
    ("customers/redact", {**HERE, "customer": ASKER, "orders_to_redact": [1]}, (gid("Order", 1),)),
    ("customers/redact", {**HERE, "customer": {"id": 2}, "orders_to_redact": []}, ()),
    ("customers/redact", {**HERE, "customer": {"email": None}}, ()),
    ("shop/redact", HERE, ()),
    ("customers/redact", {"shop_id": 1, "shop_domain": "other.myshopify.com", "orders_to_redact": [1]}, "another shop"),
    # a signed body under a topic that nobody signed
    ("shop/redact", {**HERE, "customer": ASKER, "orders_to_redact": [1]}, "body of another topic"),
    ("shop/redact", {**HERE, "customer": ASKER}, "body of another topic"),
    ("shop/redact", {**HERE, "data_request": {"id": 9}}, "body of another topic"),
    ("shop/redact", {"id": 1, "domain": "harbour-and-thread.example"}, "body of another topic"),
    ("shop/redact", {}, "body of another topic"),
    ("customers/redact", {**HERE, "customer": ASKER, "orders_requested": [1], "data_request": {"id": 9}}, "body of another topic"),
    ("customers/redact", {"id": 1, "customer": ASKER}, "body of another topic"),
    ("customers/redact", HERE, "body of another topic"),
    ("customers/data_request", {**HERE, "customer": ASKER, "orders_to_redact": [1]}, "body of another topic"),
    ("customers/redact", {"shop_domain": ["x"]}, None),
    ("customers/redact", {**HERE, "customer": "pii-canary@x.org"}, None),
]

UNREADABLE: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("no JSON", b"<html>502</html>"),
    ("cut", b'{"id": 90071992547'),
    ("a list", b"[]"),
    ("a text", b'"orders"'),
    ("null", b"null"),
    ("not UTF-8", b'{"id": 1, "tags": "\xff\xfe"}'),
    ("half a character", b'{"id": 1, "tags": "\\ud800"}'),
    ("a hundred thousand brackets", b'{"a":' + b"[" * 100_000),
    ("a number without end", b'{"id": ' + b"9" * 5_000 + b"}"),
]


def body(content: Any) -> bytes:
    """As Shopify writes it: one line, slashes escaped, UTF-8."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/").encode()
