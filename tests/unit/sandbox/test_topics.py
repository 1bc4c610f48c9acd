"""Every topic is told, in the shape in which Shopify tells it; filters, coalescing, private topics, and the end of an installation."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ops.sandbox.shopify import webhooks
from ops.sandbox.shopify.state import Noise, gid
from tests.unit.sandbox.storefront import Storefront

HERE = "http://127.0.0.1:9/hooks"
SAMPLES = os.environ.get(
    "CROSSDOCK_SAMPLES", ""
)  # a folder with published sample bodies, topic__event.json, which are not part of the project
TOPICS = (
    "ORDERS_CREATE ORDERS_UPDATED ORDERS_CANCELLED ORDERS_EDITED ORDERS_DELETE ORDERS_PAID ORDERS_FULFILLED ORDERS_PARTIALLY_FULFILLED "
    "FULFILLMENTS_CREATE FULFILLMENTS_UPDATE FULFILLMENT_EVENTS_CREATE FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE FULFILLMENT_ORDERS_MOVED "
    "FULFILLMENT_ORDERS_SPLIT FULFILLMENT_ORDERS_MERGED FULFILLMENT_ORDERS_CANCELLED FULFILLMENT_ORDERS_PLACED_ON_HOLD "
    "FULFILLMENT_ORDERS_HOLD_RELEASED FULFILLMENT_ORDERS_RESCHEDULED FULFILLMENT_HOLDS_ADDED FULFILLMENT_HOLDS_RELEASED REFUNDS_CREATE "
    "ORDER_TRANSACTIONS_CREATE TENDER_TRANSACTIONS_CREATE RETURNS_REQUEST RETURNS_APPROVE RETURNS_DECLINE RETURNS_UPDATE RETURNS_PROCESS "
    "RETURNS_CANCEL RETURNS_CLOSE RETURNS_REOPEN REVERSE_FULFILLMENT_ORDERS_DISPOSE REVERSE_DELIVERIES_ATTACH_DELIVERABLE "
    "INVENTORY_LEVELS_UPDATE INVENTORY_LEVELS_CONNECT INVENTORY_LEVELS_DISCONNECT INVENTORY_ITEMS_UPDATE INVENTORY_ITEMS_DELETE "
    "PRODUCTS_UPDATE PRODUCTS_DELETE VARIANTS_IN_STOCK VARIANTS_OUT_OF_STOCK LOCATIONS_UPDATE LOCATIONS_ACTIVATE LOCATIONS_DEACTIVATE "
    "BULK_OPERATIONS_FINISH APP_SCOPES_UPDATE APP_UNINSTALLED"
)
PRIVATE = ("customers/data_request", "customers/redact", "shop/redact")


def listening(*topics: str, noise: Noise | None = None, switches: dict[str, Any] | None = None, **subscription: Any) -> Storefront:
    shop = Storefront(webhooks=noise or Noise(latency=0), **switches or {})
    for topic in topics:
        shop.ask("WebhookSubscriptionCreate", topic=topic, subscription={"uri": HERE} | subscription)
    return shop


def told(shop: Storefront) -> list[tuple[str, Any]]:
    """What is due, posted: topic and body."""
    found = []
    for delivery in webhooks.due(shop.shop, shop.clock.at):
        uri, body, headers = webhooks.post(shop.shop, delivery, "hush")
        assert uri and headers["X-Shopify-Topic"] == delivery.topic
        found.append((delivery.topic, json.loads(body)))
        shop.staff("webhookDelivered", delivery=delivery.id)
    return found


def a_life(shop: Storefront) -> None:
    """All that there are topics for happens once."""
    there = list(shop.shop.locations)
    parted, parcel = shop.routed(4)
    shop.staff("staffHold", parcel=parcel.id)
    shop.staff("staffRelease", parcel=parcel.id)
    rest = shop.staff("staffSplit", parcel=parcel.id, lines=[[parcel.lines[0].id, 1]])
    shop.staff("staffMerge", parcels=[parcel.id, rest])
    shop.staff("staffSchedule", parcel=parcel.id, until=None)
    for place in there:
        for item in shop.shop.items:
            wanted = {"item": gid("InventoryItem", item), "location": gid("Location", place), "key": f"{item}/{place}"}
            if place not in shop.shop.levels[item]:
                shop.staff("inventoryActivate", **wanted)
    moved = shop.staff("staffMove", parcel=parcel.id, location=next(place for place in there if place != parcel.location_id))
    line = shop.shop.fulfillment_orders[moved].lines[0].id
    sent = shop.staff("staffFulfil", parcel=moved, lines=[[line, 1]])
    shop.staff("staffFulfil", parcel=moved)
    shop.staff("carrierEvent", fulfillment=sent, status="DELIVERED")
    shop.staff("staffTrack", fulfillment=sent, tracking={"company": "DPD", "number": "1"})
    shop.staff("staffRefund", order=parted.id, lines=[[parted.lines[0].id, 1]], note="Late")
    some = [[parted.lines[0].id, 1]]
    shop.staff("staffDeclineReturn", number=shop.staff("staffReturn", order=parted.id, lines=some, requested=True))
    shop.staff("staffCancelReturn", number=shop.staff("staffReturn", order=parted.id, lines=some, requested=True))
    number = shop.staff("staffReturn", order=parted.id, lines=some)
    back = shop.shop.reverse_orders[shop.shop.returns[number].reverse_orders[0]]
    shop.ask("ReverseDeliveryCreateWithShipping", reverseFulfillmentOrderId=gid("ReverseFulfillmentOrder", back.id), lines=[])
    shop.staff("staffProcessReturn", number=number)
    shop.staff("staffReopenReturn", number=number)
    number = shop.staff("staffReturn", order=parted.id, lines=[[parted.lines[0].id, 2]])
    shop.staff("staffReduceReturn", number=number, line=shop.shop.returns[number].lines[0].id, quantity=1)
    dropped, _ = shop.routed(1)
    shop.staff("staffEdit", order=dropped.id, quantities={str(dropped.lines[0].id): 3})
    shop.staff("staffCancel", order=dropped.id)
    shop.later(5)
    shop.staff("staffDelete", order=dropped.id)
    sku, variant = shop.sku(3), list(shop.shop.variants)[3]
    levels = shop.shop.levels[shop.shop.variants[variant].item_id]
    for units in (0, 5):
        for place in list(levels):
            shop.staff("stock", sku=sku, quantity=units, location=place)
    shop.staff("staffDisconnect", sku=sku, location=there[0])
    shop.staff("staffRename", variant=variant, sku="NEW")
    shop.staff("staffDeleteVariant", variant=variant)
    shop.staff("staffLocation", location=there[1], online=False)
    shop.staff("staffLocation", location=there[1], active=False)
    shop.staff("staffLocation", location=there[1], active=True)
    shop.ask("BulkRunQuery", query="{ orders { edges { node { id } } } }")
    shop.later(20)
    shop.staff("scopes", scopes=["read_orders", "write_orders"])
    shop.staff("dataRequest", order=parted.id)
    shop.staff("redact", order=parted.id)
    shop.staff("uninstall")
    shop.later(hours=48)


@pytest.fixture(scope="module")
def life() -> dict[str, Any]:
    """The first body of each topic."""
    shop = listening(*TOPICS.split())
    shop.staff("privacyAddress", uri=HERE)
    a_life(shop)
    bodies: dict[str, Any] = {}
    for topic, body in told(shop):
        bodies.setdefault(topic, body)
    assert shop.shop.subscriptions == {}, "they end with the app"
    return bodies


def test_every_topic_is_told(life: dict[str, Any]) -> None:
    assert {webhooks.enum_of(topic) for topic in life if topic not in PRIVATE} == set(TOPICS.split())
    assert set(PRIVATE) <= life.keys()


def test_bodies_have_their_own_spelling_of_what_they_are_about(life: dict[str, Any]) -> None:
    assert isinstance(life["refunds/create"]["refund_line_items"][0]["subtotal"], int | float), "JSON numbers, there only"
    assert life["refunds/create"]["transactions"][0]["total_unsettled_set"]["shop_money"].keys() == {"amount", "currency"}
    assert (
        life["fulfillment_orders/moved"]["moved_fulfillment_order"]["status"] == "open"
        and "order_id" not in life["fulfillment_orders/moved"]
    )
    assert "order" in life["returns/request"] and "order_id" in life["returns/close"] and life["returns/process"] == {}
    assert life["returns/update"].keys() == {"admin_graphql_api_id", "return_line_items", "restocking_fees", "return_shipping_fees"}
    assert life["orders/delete"].keys() == {"id"} and life["inventory_levels/disconnect"].keys() == {"inventory_item_id", "location_id"}
    assert life["orders/edited"]["order_edit"]["line_items"]["additions"][0]["delta"] == 2
    assert life["bulk_operations/finish"]["status"] == "completed" and life["app/scopes_update"]["shop_id"].startswith("gid://")
    assert life["customers/redact"]["orders_to_redact"] and life["customers/data_request"]["data_request"]["id"]
    assert life["shop/redact"].keys() == {"shop_id", "shop_domain"} and life["app/uninstalled"]["myshopify_domain"]


def _keys(sample: Any, body: Any) -> set[str]:
    """Those of a sample that a body lacks, at any depth."""
    if isinstance(sample, dict) and isinstance(body, dict):
        return {key for key in sample if key not in body}.union(*(_keys(sample[key], body[key]) for key in sample.keys() & body.keys()))
    if isinstance(sample, list) and isinstance(body, list) and sample and body:
        return _keys(sample[0], body[0])
    return set()


if SAMPLES:

    def test_bodies_have_the_keys_that_the_published_samples_have(life: dict[str, Any]) -> None:
        missing = {}
        for file in sorted(Path(SAMPLES).glob("*.json")):
            topic = file.stem.replace("__", "/")
            if topic in life:  # checkout_id went with 2026-04, and an order may have no customer
                missing[topic] = sorted(_keys(json.loads(file.read_text()), life[topic]) - {"checkout_id", "customer"})
        assert {topic: keys for topic, keys in missing.items() if keys} == {}


def test_a_process_body_can_be_a_full_one() -> None:
    shop = listening("RETURNS_PROCESS", switches={"returns_process_body": "full"})
    order = shop.fulfilled(1)
    number = shop.staff("staffReturn", order=order.id, lines=[[order.lines[0].id, 1]])
    shop.staff("staffProcessReturn", number=number)
    assert told(shop)[0][1]["order_id"] == order.id


def test_what_a_webhook_says_of_an_order_s_source_is_a_switch() -> None:
    for shown, value in ((True, "A-1"), (False, None)):
        shop = listening("ORDERS_CREATE", switches={"source_in_webhooks": shown})
        shop.sold(1, sourceIdentifier="A-1")
        assert told(shop)[0][1]["source_identifier"] == value


@pytest.mark.parametrize(
    ("filter_", "heard"), [("test:true", 0), ("test:false", 1), ("total_price:>=30", 0), ("tags:mirakl", 1), ("name:#1*", 1)]
)
def test_a_filter_lets_through_what_it_names(filter_: str, heard: int) -> None:
    shop = listening("ORDERS_CREATE", filter=filter_)
    shop.sold(1, tags=["mirakl"])
    assert len(told(shop)) == heard


def test_a_body_that_says_nothing_new_is_dropped() -> None:
    shop = listening("ORDERS_UPDATED", includeFields=["id", "note"])
    order = shop.sold(1)
    for note in ("a", "a", "b"):
        shop.ask("OrderUpdate", input={"id": gid("Order", order.id), "note": note})
    assert [body["note"] for _, body in told(shop)] == ["a", "b"]


def test_metafields_come_along_where_they_are_asked_for() -> None:
    shop = listening("ORDERS_CREATE", metafieldNamespaces=["$app"])
    shop.sold(1, metafields=[{"namespace": "$app", "key": "k", "type": "single_line_text_field", "value": "v"}])
    assert told(shop)[0][1]["metafields"][0]["value"] == "v"


def test_what_is_on_its_way_can_melt_into_one() -> None:
    shop = listening("ORDERS_UPDATED", noise=Noise(latency=60, coalesce=1.0))
    order = shop.sold(1)
    for note in ("a", "b", "c"):
        shop.ask("OrderUpdate", input={"id": gid("Order", order.id), "note": note})
    shop.later(60)
    assert [body["note"] for _, body in told(shop)] == ["c"] and shop.shop.webhooks_coalesced == 2


@pytest.mark.parametrize("touches", [True, False])
def test_whether_a_metafield_s_change_is_told_is_a_switch(touches: bool) -> None:
    shop = listening("ORDERS_UPDATED", switches={"metafield_touches_order": touches})
    order = shop.sold(1)
    field = {"ownerId": gid("Order", order.id), "namespace": "$app", "key": "k", "type": "single_line_text_field", "value": "v"}
    shop.ask("MetafieldsSet", metafields=[field])
    assert len(told(shop)) == touches


# ---------------------------------------------------------------- private topics and the end


def test_private_topics_outlive_any_number_of_failures() -> None:
    shop = Storefront(webhooks=Noise(latency=0))
    shop.staff("privacyAddress", uri=HERE)
    shop.staff("dataRequest", order=shop.sold(1, email="a@example.com").id)
    for _ in range(9):
        [delivery] = shop.shop.deliveries.values()
        shop.staff("webhookNotDelivered", delivery=delivery.id)
        shop.later(hours=3)
    assert shop.shop.deliveries == {} and shop.shop.privacy_uri == HERE


def test_what_is_redacted_is_gone_here_too() -> None:
    shop = Storefront()
    order = shop.sold(1, email="a@example.com", shippingAddress={"city": "Leeds"})
    shop.staff("redact", order=order.id)
    assert order.email is None and order.shipping_address is None


def test_an_app_that_is_thrown_out_is_told_last_of_all_and_finds_its_token_dead() -> None:
    shop = listening("APP_UNINSTALLED", "ORDERS_CREATE")
    shop.staff("privacyAddress", uri=HERE)
    shop.staff("uninstall")
    assert [topic for topic, _ in told(shop)] == ["app/uninstalled"]
    assert shop.post({"query": "{ shop { id } }"}).status == 401
    shop.later(hours=47)
    assert told(shop) == []
    shop.later(hours=1)
    assert [topic for topic, _ in told(shop)] == ["shop/redact"]
