"""Webhooks: who is told, what stands in them, how they are signed, and how badly they can travel."""

import base64
import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from ops.sandbox.plan import Plan
from ops.sandbox.shopify import webhooks
from ops.sandbox.shopify.bodies import local
from ops.sandbox.shopify.state import Delivery, Noise, Switches, gid
from tests.unit.sandbox.desk import SUBSCRIBE, Desk, line, money

HERE = "http://127.0.0.1:9/hooks"


def listening(*topics: str, noise: Noise | None = None, seed: int = 1, **extra: Any) -> Desk:
    desk = Desk(Plan(skus=6, offers_open="at_stock", shopify=Switches(webhooks=noise or Noise(latency=0))), seed=seed)
    for topic in topics or ("ORDERS_CREATE",):
        made = desk.data(SUBSCRIBE, topic=topic, subscription={"uri": HERE} | extra)
        assert made["userErrors"] == []
    return desk


def sent(desk: Desk) -> list[tuple[str, Any, dict[str, str]]]:
    """What is due, posted: topic, body, headers."""
    posted = []
    for delivery in desk.world.deliveries_due():
        _, body, headers = webhooks.post(desk.shop, delivery, "hush")
        posted.append((delivery.topic, json.loads(body), headers))
        desk.world.apply("shopify.webhookDelivered", {"delivery": delivery.id}, desk.clock.at)
    return posted


def only(desk: Desk) -> Delivery:
    [delivery] = desk.shop.deliveries.values()
    return delivery


def hmac_by_hand(key: bytes, message: bytes) -> str:
    """RFC 2104, from its text."""
    key = key.ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return base64.b64encode(sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()).decode()


def test_the_signature_is_over_the_raw_bytes() -> None:
    published = '{"id":820982911946154508,"admin_graphql_api_id":"gid:\\/\\/shopify\\/Order\\/820982911946154508","note":"café"}'
    assert hmac_by_hand(b"hush", published.encode()) == "oaDEL/JUzhishameUIqukOz1fI8TG10sTCvPGYPnlVA=", "the published example"
    desk = listening()
    desk.created(note="café / ☕")
    uri, body, headers = webhooks.post(desk.shop, only(desk), "hush")
    assert uri == HERE and headers["X-Shopify-Hmac-SHA256"] == hmac_by_hand(b"hush", body)
    assert json.dumps(json.loads(body)).encode() != body, "written in a way that nobody writes it again by accident"


def test_the_headers_say_what_and_whose_it_is() -> None:
    desk = listening(name="orders-new")
    desk.created()
    [(_, _, headers)] = sent(desk)
    assert headers["X-Shopify-Topic"] == "orders/create" and headers["X-Shopify-Shop-Domain"] == desk.shop.domain
    assert headers["X-Shopify-API-Version"] == "2026-10" and headers["X-Shopify-Name"] == "orders-new"
    assert headers["X-Shopify-Webhook-Id"] != headers["X-Shopify-Event-Id"]
    assert headers["X-Shopify-Triggered-At"] == "2026-11-23T08:00:00.000000000Z"


def test_an_order_is_told_with_numbers_for_ids_and_texts_for_money() -> None:
    desk = listening()
    order = desk.created(
        lineItems=[
            line(desk, taxLines=[{"title": "VAT", "rate": "0.2", "priceSet": money("8")}], properties=[{"name": "_line", "value": "1"}])
        ],
        shippingAddress={"firstName": "Ann", "lastName": "Example", "countryCode": "GB"},
        tags=["b", "a"],
    )
    [(_, body, _)] = sent(desk)
    assert body["id"] == order.id and body["admin_graphql_api_id"] == gid("Order", order.id)
    assert body["total_price"] == "48.00" and body["total_tax_set"]["shop_money"] == {"amount": "8.00", "currency_code": "GBP"}
    assert body["line_items"][0]["properties"] == [{"name": "_line", "value": "1"}] and body["line_items"][0]["tax_lines"][0]["rate"] == 0.2
    assert body["tags"] == "a, b" and body["shipping_address"]["name"] == "Ann Example" and body["fulfillment_status"] is None
    assert body["created_at"] == "2026-11-23T08:00:00+00:00" and body["updated_at"].endswith("+00:00")


def test_one_event_may_fire_many_webhooks() -> None:
    desk = listening(
        "ORDERS_CREATE", "INVENTORY_LEVELS_UPDATE", "ORDERS_UPDATED", "FULFILLMENTS_CREATE", "FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE"
    )
    desk.created()
    posted = sent(desk)
    assert sorted(topic for topic, _, _ in posted) == ["inventory_levels/update", "orders/create"]
    assert len({headers["X-Shopify-Event-Id"] for _, _, headers in posted}) == 1
    desk.later(3)
    [(topic, body, _)] = sent(desk)
    assert topic == "fulfillment_orders/order_routing_complete" and body["fulfillment_order"]["status"] == "open"
    desk.world.apply("actors.hurry", {}, desk.clock.at)
    desk.later(0)
    posted = sent(desk)
    assert [topic for topic, _, _ in posted] == ["fulfillments/create", "orders/updated"]
    assert posted[0][1]["tracking_company"] and posted[0][1]["line_items"][0]["quantity"] == 2
    assert posted[1][1]["fulfillment_status"] == "fulfilled" and posted[1][1]["fulfillments"][0]["status"] == "success"


def test_a_cancelled_order_is_told_as_cancelled() -> None:
    desk = listening("ORDERS_CANCELLED")
    order = desk.created()
    desk.world.apply(
        "shopify.orderCancel", {"order_id": gid("Order", order.id), "wanted": {"reason": "CUSTOMER", "restock": True}}, desk.clock.at
    )
    desk.later(3)
    [(_, body, _)] = sent(desk)
    assert body["cancel_reason"] == "customer" and body["cancelled_at"] and body["current_total_price"] == "0.00"


def test_a_stock_level_is_told_as_it_is_when_it_is_sent() -> None:
    desk = listening("INVENTORY_LEVELS_UPDATE")
    for available in (9, 4):
        desk.world.apply("shopify.stock", {"sku": desk.sku(), "quantity": available}, desk.clock.at)
    assert [body["available"] for _, body, _ in sent(desk)] == [4, 4]


def test_what_failed_comes_again_with_the_same_id_and_body_and_growing_gaps() -> None:
    desk = listening()
    desk.created()
    first = webhooks.post(desk.shop, only(desk), "hush")
    waits = []
    for _ in range(8):
        at = desk.clock.at
        desk.world.apply("shopify.webhookNotDelivered", {"delivery": only(desk).id}, at)
        waits.append((only(desk).due - at).total_seconds())
        desk.later(waits[-1])
    assert waits == sorted(waits) and sum(waits) == pytest.approx(4 * 3600)
    assert webhooks.post(desk.shop, only(desk), "hush") == first
    desk.world.apply("shopify.webhookNotDelivered", {"delivery": only(desk).id}, desk.clock.at)
    assert desk.shop.subscriptions == {} and desk.shop.deliveries == {}, "after the eighth retry the subscription is gone"


@pytest.mark.parametrize(
    ("noise", "law"),
    [
        (Noise(latency=0, drop=0.5), lambda desk, posted: 0 < posted < 40 and desk.shop.webhooks_lost == 40 - posted),
        (Noise(latency=0, duplicate=0.5), lambda desk, posted: 40 < posted < 80),
        (Noise(latency=0), lambda desk, posted: posted == 40),
    ],
)
def test_webhooks_are_lost_and_doubled_as_switched(noise: Noise, law: Any) -> None:
    desk = listening(noise=noise)
    for _ in range(40):
        desk.created()
    desk.later(10)
    assert law(desk, len(sent(desk)))


@pytest.mark.parametrize(("noise", "seconds"), [(Noise(latency=0, reorder=0.5), 30), (Noise(latency=0, delay=0.5), 901)])
def test_webhooks_overtake_each_other_as_switched(noise: Noise, seconds: float) -> None:
    desk = listening(noise=noise)
    made = []
    for _ in range(20):
        desk.later(1)
        made.append(desk.created().id)
    desk.later(seconds)
    told = [body["id"] for _, body, _ in sent(desk)]
    assert sorted(told) == made != told


def test_a_doubled_webhook_has_its_id_twice_or_another_one() -> None:
    desk = listening(noise=Noise(latency=0, duplicate=1.0))
    for _ in range(10):
        desk.created()
    desk.later(10)
    headers = [headers for _, _, headers in sent(desk)]
    assert len(headers) == 20 and 10 < len({one["X-Shopify-Webhook-Id"] for one in headers}) < 20
    assert len({one["X-Shopify-Event-Id"] for one in headers}) == 10


def test_subscriptions_are_listed_changed_and_taken_back() -> None:
    desk = listening("ORDERS_CREATE")
    again = desk.data(SUBSCRIBE, topic="ORDERS_CREATE", subscription={"uri": HERE})
    assert "taken" in again["userErrors"][0]["message"]
    document = "query S($uri: String) { webhookSubscriptions(first: 9, uri: $uri) { nodes { id topic uri format includeFields } } }"
    [known] = desk.data(document)["nodes"]
    assert known["topic"] == "ORDERS_CREATE" and known["format"] == "JSON"
    assert desk.data(document, uri="http://127.0.0.1/other")["nodes"] == []
    change = """mutation C($id: ID!, $s: WebhookSubscriptionInput!) { webhookSubscriptionUpdate(id: $id, webhookSubscription: $s) {
      webhookSubscription { uri includeFields } userErrors { message } } }"""
    changed = desk.data(change, id=known["id"], s={"uri": f"{HERE}/2", "includeFields": ["id", "updated_at"]})
    assert changed["webhookSubscription"] == {"uri": f"{HERE}/2", "includeFields": ["id", "updated_at"]}
    order = desk.created()
    [(_, body, _)] = sent(desk)
    assert body == {"id": order.id, "updated_at": "2026-11-23T08:00:00+00:00"}
    remove = "mutation D($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { message } } }"
    assert desk.data(remove, id=known["id"])["deletedWebhookSubscriptionId"] == known["id"]
    assert desk.data(remove, id=known["id"])["userErrors"]
    desk.created()
    assert sent(desk) == []


@pytest.mark.parametrize(
    "uri", ["https://example.com/hooks", "http://10.0.0.1/", "pubsub://project:topic", "http://127.0.0.1.example.com/"]
)
def test_the_sandbox_speaks_to_its_own_machine_only(uri: str) -> None:
    made = Desk().data(SUBSCRIBE, topic="ORDERS_CREATE", subscription={"uri": uri})
    assert made["webhookSubscription"] is None and made["userErrors"]


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "2026-03-29T00:59:59+00:00"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "2026-03-29T02:00:00+01:00"),
        (datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC), "2026-10-25T01:59:59+01:00"),
        (datetime(2026, 10, 25, 1, 0, tzinfo=UTC), "2026-10-25T01:00:00+00:00"),
    ],
)
def test_times_are_london_s(at: datetime, shown: str) -> None:
    assert local(at) == shown
