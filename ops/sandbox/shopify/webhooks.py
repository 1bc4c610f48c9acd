"""Who is told of what, and the telling: subscriptions, deliveries on their way, signatures.

A delivery is data until the face has posted it; what came of that is an operation again. The body is what things were when they happened,
save for stock levels, whose body is built when it is sent: two quick changes then both show the last value.
"""

import base64
import hashlib
import hmac
import uuid
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from ops.sandbox.chance import happens, whole
from ops.sandbox.shopify.bodies import body_of, written
from ops.sandbox.shopify.state import VERSION, Delivery, NotSimulatedError, Order, Problem, RefusedError, Shop, Subscription, number_of

GAPS = (10, 30, 60, 300, 1200, 2400, 3600, 6800)  # seconds before each of the eight retries: four hours in all
BUILT_WHEN_SENT = "inventory_levels/update"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
NAMESPACE = uuid.UUID("3d0a2c7e-5a64-5f0e-9a52-6b1c1c5a7d10")


def enum_of(topic: str) -> str:
    return topic.upper().replace("/", "_")


def emit(shop: Shop, topic: str, subject: tuple[int, ...], at: datetime) -> None:
    """Puts a delivery on its way to each subscription of the topic, as well or badly as the switches say."""
    noise, seed = shop.switches.webhooks, shop.seed
    for subscription in [known for known in shop.subscriptions.values() if known.topic == enum_of(topic)]:
        number = shop.new_id()
        if happens(seed, noise.drop, "drop", number):
            shop.webhooks_lost += 1
            continue
        body = None if topic == BUILT_WHEN_SENT else written(body_of(shop, topic, subject), subscription.include_fields)
        delay = noise.latency
        if happens(seed, noise.reorder, "reorder", number):
            delay += whole(seed, 2, 20, "how late", number)
        if happens(seed, noise.delay, "delay", number):
            delay += noise.delay_seconds
        delivery = Delivery(
            id=number,
            subscription_id=subscription.id,
            topic=topic,
            webhook_id=str(uuid.uuid5(NAMESPACE, f"{seed}:{number}")),
            event_id=str(uuid.uuid5(NAMESPACE, f"{seed}:event:{shop.event}")),
            triggered_at=at,
            due=at + timedelta(seconds=delay),
            subject=subject,
            body=body,
        )
        shop.deliveries[number] = delivery
        if happens(seed, noise.duplicate, "duplicate", number):
            _repeat(shop, delivery)


def touch(shop: Shop, order: Order, at: datetime) -> None:
    """The order has changed: its date moves, and whoever listens is told."""
    if at - order.updated_at >= timedelta(seconds=shop.switches.index_lag):
        order.seen_as_of = order.updated_at
    order.updated_at = at
    emit(shop, "orders/updated", (order.id,), at)


def _repeat(shop: Shop, delivery: Delivery) -> None:
    """The same once more, half of the time under a webhook id of its own."""
    number = shop.new_id()
    fresh = happens(shop.seed, 0.5, "fresh id", number)
    shop.deliveries[number] = Delivery(
        id=number,
        subscription_id=delivery.subscription_id,
        topic=delivery.topic,
        webhook_id=str(uuid.uuid5(NAMESPACE, f"{shop.seed}:{number}")) if fresh else delivery.webhook_id,
        event_id=delivery.event_id,
        triggered_at=delivery.triggered_at,
        due=delivery.due + timedelta(seconds=whole(shop.seed, 0, 5, "repeat", number)),
        subject=delivery.subject,
        body=delivery.body,
    )


def due(shop: Shop, at: datetime) -> list[Delivery]:
    waiting = [delivery for delivery in shop.deliveries.values() if delivery.due <= at]
    return sorted(waiting, key=lambda delivery: (delivery.due, delivery.id))


def post(shop: Shop, delivery: Delivery, secret: str) -> tuple[str, bytes, dict[str, str]]:
    """Where to, what, and the headers, signed over the very bytes."""
    subscription = shop.subscriptions[delivery.subscription_id]
    text = delivery.body or written(body_of(shop, delivery.topic, delivery.subject), subscription.include_fields)
    body = text.encode()
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": delivery.topic,
        "X-Shopify-Hmac-SHA256": base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode(),
        "X-Shopify-Shop-Domain": shop.domain,
        "X-Shopify-API-Version": VERSION,
        "X-Shopify-Webhook-Id": delivery.webhook_id,
        "X-Shopify-Event-Id": delivery.event_id,
        "X-Shopify-Triggered-At": f"{delivery.triggered_at:%Y-%m-%dT%H:%M:%S.%f}000Z",
    }
    if subscription.name:
        headers["X-Shopify-Name"] = subscription.name
    return subscription.uri, body, headers


def hold(shop: Shop, delivery: int, seconds: float, at: datetime) -> None:
    """Somebody on the way keeps it for so long; once."""
    if (held := shop.deliveries.get(delivery)) is not None:
        held.due, held.meddled = at + timedelta(seconds=seconds), True


def repeat(shop: Shop, delivery: int, seconds: float, at: datetime, *, fresh: bool = False) -> None:
    """The same is posted once more after so long, taken or not; under an id of its own if it is to look fresh."""
    if (first := shop.deliveries.get(delivery)) is None:
        return
    first.meddled = True
    number = shop.new_id()
    again = copy(first)
    again.id, again.due, again.attempts = number, at + timedelta(seconds=seconds), 0
    if fresh:
        again.webhook_id = str(uuid.uuid5(NAMESPACE, f"{shop.seed}:{number}"))
    shop.deliveries[number] = again


def lose(shop: Shop, delivery: int, at: datetime) -> None:
    """It never arrives, and nobody at Shopify knows."""
    if shop.deliveries.pop(delivery, None) is not None:
        shop.webhooks_lost += 1


def delivered(shop: Shop, delivery: int, at: datetime) -> None:
    if shop.deliveries.pop(delivery, None) is not None:
        shop.webhooks_sent += 1


def not_delivered(shop: Shop, delivery: int, at: datetime) -> None:
    """Tried again after the next gap; after the last one the subscription is gone, and all that was on its way to it."""
    missed = shop.deliveries.get(delivery)
    if missed is None:
        return
    if missed.attempts == len(GAPS):
        _forget(shop, missed.subscription_id)
        return
    missed.due = at + timedelta(seconds=GAPS[missed.attempts])
    missed.attempts += 1


def _forget(shop: Shop, subscription: int) -> None:
    del shop.subscriptions[subscription]
    gone = [delivery.id for delivery in shop.deliveries.values() if delivery.subscription_id == subscription]
    shop.webhooks_lost += len(gone)
    for number in gone:
        del shop.deliveries[number]


def subscribe(shop: Shop, topic: str, wanted: dict[str, Any], at: datetime) -> int:
    uri = _address(wanted)
    if any(known.topic == topic and known.uri == uri and known.name == wanted.get("name") for known in shop.subscriptions.values()):
        raise RefusedError(Problem(("webhookSubscription", "callbackUrl"), "Address for this topic has already been taken"))
    made = Subscription(id=shop.new_id(), topic=topic, uri=uri, created_at=at, updated_at=at)
    _fill(made, wanted)
    shop.subscriptions[made.id] = made
    return made.id


def change_subscription(shop: Shop, subscription: str, wanted: dict[str, Any], at: datetime) -> int:
    known = _known(shop, subscription)
    if "uri" in wanted or "callbackUrl" in wanted:
        known.uri = _address(wanted)
    _fill(known, wanted)
    known.updated_at = at
    return known.id


def unsubscribe(shop: Shop, subscription: str, at: datetime) -> str:
    _forget(shop, _known(shop, subscription).id)
    return subscription


def _known(shop: Shop, subscription: str) -> Subscription:
    found = shop.subscriptions.get(number_of(subscription, "WebhookSubscription"))
    if found is None:
        raise RefusedError(Problem(("id",), "Webhook subscription does not exist"))
    return found


def _address(wanted: dict[str, Any]) -> str:
    uri = wanted.get("uri") or wanted.get("callbackUrl")
    if not uri:
        raise RefusedError(Problem(("webhookSubscription", "callbackUrl"), "Address can't be blank"))
    if wanted.get("format", "JSON") != "JSON" or wanted.get("filter") or wanted.get("metafields"):
        raise NotSimulatedError("webhook subscriptions with another format than JSON, a filter or metafields are not simulated")
    if urlsplit(uri).hostname not in LOOPBACK:
        raise RefusedError(Problem(("webhookSubscription", "callbackUrl"), "Address is invalid: the sandbox posts to this machine only"))
    return str(uri)


def _fill(subscription: Subscription, wanted: dict[str, Any]) -> None:
    subscription.name = wanted.get("name", subscription.name)
    subscription.include_fields = list(wanted.get("includeFields") or subscription.include_fields)
    subscription.metafield_namespaces = list(wanted.get("metafieldNamespaces") or subscription.metafield_namespaces)
