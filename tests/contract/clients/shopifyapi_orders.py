"""ShopifyAPI against the address in SHOP: creates an order, ships it, lists orders. Prints what it saw as JSON."""

import json
import os
import time

import shopify

# It makes the address of a shop's name and its domain: so 127.0.0.1 is the shop "127" of "0.0.1".
host, port = os.environ["SHOP"].split(":")
shop, domain = host.split(".", 1)
shopify.Session.setup(protocol="http", myshopify_domain=domain, port=port)
shopify.ShopifyResource.activate_session(shopify.Session(shop, "2026-10", os.environ["TOKEN"]))
client = shopify.GraphQL()


def ask(document, **variables):
    answer = json.loads(client.execute(document, variables))
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


[variant] = ask("{ productVariants(first: 1) { nodes { id sku } } }")["productVariants"]["nodes"]
created = ask(
    """mutation Create($order: OrderCreateOrderInput!) { orderCreate(order: $order) { order { id name } userErrors { message } } }""",
    order={"currency": "GBP", "lineItems": [{"variantId": variant["id"], "quantity": 2}], "tags": ["foreign"]},
)["orderCreate"]
routed: list[dict[str, str]] = []
while not routed:  # that is Shopify's business, and takes it a moment
    time.sleep(0.1)
    order = ask("query Get($id: ID!) { order(id: $id) { fulfillmentOrders(first: 1) { nodes { id } } } }", id=created["order"]["id"])
    routed = order["order"]["fulfillmentOrders"]["nodes"]
shipped = ask(
    """mutation Ship($fulfillment: FulfillmentInput!) { fulfillmentCreate(fulfillment: $fulfillment) {
      fulfillment { id status } userErrors { message } } }""",
    fulfillment={
        "lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": routed[0]["id"]}],
        "trackingInfo": {"company": "Royal Mail", "number": "AB123456789GB"},
    },
)["fulfillmentCreate"]
listed = ask("""{ orders(first: 50, query: "tag:foreign") { nodes { id tags } } }""")["orders"]["nodes"]
print(json.dumps({"created": created, "shipped": shipped, "listed": listed}))
