"""Who is told of what, and the telling: subscriptions, deliveries on their way, signatures.

A delivery is data until the face has posted it; what came of that is an operation again. The body is what things were when they happened,
save for stock levels, whose body is built when it is sent: two quick changes then both show the last value.
"""

import base64
import hashlib
import hmac
import uuid
from bisect import bisect_left, bisect_right, insort
from collections.abc import Container
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from ops.sandbox.chance import happens, whole
from ops.sandbox.shopify import index, search
from ops.sandbox.shopify.bodies import Body, body_of, written
from ops.sandbox.shopify.state import (
    VERSION,
    Delivery,
    NotSimulatedError,
    Order,
    Problem,
    RefusedError,
    Shop,
    Subscription,
    namespace_of,
    number_of,
)

GAPS = (10, 30, 60, 300, 1200, 2400, 3600, 6800)  # seconds before each of the eight retries: four hours in all
BUILT_WHEN_SENT = "inventory_levels/update"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
NAMESPACE = uuid.UUID("3d0a2c7e-5a64-5f0e-9a52-6b1c1c5a7d10")


def enum_of(topic: str) -> str:
    return topic.upper().replace("/", "_")


# ------------------------------------------------------------------------------------------------------------- what is told


def touch(shop: Shop, order: Order, at: datetime) -> None:
    """The order has changed: its date moves, whoever listens is told, and the search index will learn of it."""
    order.updated_at = at
    emit(shop, "orders/updated", (order.id,), at)
    index.learn(shop, order, at)


def emit(shop: Shop, topic: str, subject: tuple[int, ...], at: datetime) -> None:
    """Puts a delivery on its way to each subscription of the topic, as well or badly as the switches say."""
    if not shop.subscriptions:
        return
    asked = enum_of(topic)
    listening = [known for known in shop.subscriptions.values() if known.topic == asked and not known.ends]
    if not listening:
        return
    body = None if topic == BUILT_WHEN_SENT else body_of(shop, topic, subject)
    for subscription in listening:
        if body is not None and not _wanted(subscription, body):
            continue
        _send(shop, subscription, topic, subject, text=None if body is None else _text(shop, subscription, body), at=at)


def _send(shop: Shop, subscription: Subscription, topic: str, subject: tuple[int, ...], *, text: str | None, at: datetime) -> None:
    noise, seed = shop.switches.webhooks, shop.seed
    number = shop.new_id()
    if text is not None and subscription.include_fields:
        named = "/".join(map(str, subject[:1]))
        if subscription.told.get(named) == text:
            return  # what is no news is dropped, without a word
        subscription.told[named] = text
    if happens(seed, noise.drop, "drop", number):
        shop.webhooks_lost += 1
        return
    if happens(seed, noise.coalesce, "coalesce", number) and _melt(shop, subscription, topic, subject, text=text, at=at):
        shop.webhooks_coalesced += 1
        return
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
        body=text,
    )
    _put(shop, delivery)
    if happens(seed, noise.duplicate, "duplicate", number):
        _repeat(shop, delivery)


def put_private(shop: Shop, topic: str, body: Body, at: datetime) -> None:
    """A privacy topic goes to the address that the app's configuration names, and to nobody where it names none."""
    if shop.privacy_uri is None:
        return
    number = shop.new_id()
    webhook_id = str(uuid.uuid5(NAMESPACE, f"{shop.seed}:{number}"))
    event_id = str(uuid.uuid5(NAMESPACE, f"{shop.seed}:event:{shop.event}"))
    due = at + timedelta(seconds=shop.switches.webhooks.latency)
    _put(shop, Delivery(number, 0, topic, webhook_id, event_id, at, due, (), written(body, [])))


def _wanted(subscription: Subscription, body: Body) -> bool:
    """Whether the filter lets it through: terms on the body's own fields, nested ones with dots."""
    return all(search.compared_text(_field(body, term.field), term.sign, term.value) for term in search.terms(subscription.filter))


def _field(body: Body, name: str) -> Any:
    found: Any = body
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text(shop: Shop, subscription: Subscription, body: Body) -> str:
    if subscription.metafield_namespaces and (order := shop.orders.get(body.get("id", 0))) is not None:
        body = body | {
            "metafields": [
                {"namespace": one.namespace, "key": one.key, "value": one.value, "type": one.type, "owner_id": order.id}
                for one in order.metafields
                if one.namespace in subscription.metafield_namespaces
            ]
        }
    return written(body, subscription.include_fields)


def _melt(shop: Shop, subscription: Subscription, topic: str, subject: tuple[int, ...], *, text: str | None, at: datetime) -> bool:
    """One about the same thing is still on its way: from now on it tells the newer state."""
    for delivery in shop.deliveries.values():
        if (delivery.subscription_id, delivery.topic, delivery.subject) == (subscription.id, topic, subject) and not delivery.attempts:
            delivery.body, delivery.triggered_at = text, at
            return True
    return False


def _repeat(shop: Shop, delivery: Delivery) -> None:
    """The same once more, half of the time under a webhook id of its own."""
    number = shop.new_id()
    fresh = happens(shop.seed, 0.5, "fresh id", number)
    again = Delivery(
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
    _put(shop, again)


# ------------------------------------------------------------------------------------------------------------ on its way


def _put(shop: Shop, delivery: Delivery) -> None:
    shop.deliveries[delivery.id] = delivery
    insort(shop.post, (delivery.due, delivery.id))


def _take(shop: Shop, number: int) -> Delivery | None:
    delivery = shop.deliveries.pop(number, None)
    if delivery is not None:
        del shop.post[bisect_left(shop.post, (delivery.due, number))]
    return delivery


def due(shop: Shop, at: datetime) -> list[Delivery]:
    """In the order in which they fall due."""
    return [shop.deliveries[number] for _, number in shop.post[: bisect_right(shop.post, (at, 2**80))]]


def next_due(shop: Shop, beside: Container[int] = ()) -> datetime | None:
    """When the next one falls due, save those named."""
    return next((when for when, number in shop.post if number not in beside), None)


def post(shop: Shop, delivery: Delivery, secret: str) -> tuple[str, bytes, dict[str, str]]:
    """Where to, what, and the headers, signed over the very bytes."""
    subscription = shop.subscriptions.get(delivery.subscription_id)
    text = delivery.body
    if text is None:
        text = written(body_of(shop, delivery.topic, delivery.subject), subscription.include_fields if subscription else [])
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
    if subscription is None:
        return shop.privacy_uri or "", body, headers
    if subscription.name:
        headers["X-Shopify-Name"] = subscription.name
    return subscription.uri, body, headers


def hold(shop: Shop, delivery: int, seconds: float, at: datetime) -> None:
    """Somebody on the way keeps it for so long; once."""
    if (held := _take(shop, delivery)) is not None:
        held.due, held.meddled = at + timedelta(seconds=seconds), True
        _put(shop, held)


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
    _put(shop, again)


def lose(shop: Shop, delivery: int, at: datetime) -> None:
    """It never arrives, and nobody at Shopify knows."""
    if (lost := _take(shop, delivery)) is not None:
        shop.webhooks_lost += 1
        _bury(shop, lost.subscription_id)


def delivered(shop: Shop, delivery: int, at: datetime) -> None:
    if (found := _take(shop, delivery)) is not None:
        shop.webhooks_sent += 1
        _bury(shop, found.subscription_id)


def not_delivered(shop: Shop, delivery: int, at: datetime) -> None:
    """Tried again after the next gap; after the last one the subscription is gone, and all that was on its way to it.

    What the app's configuration declares is never taken away: there only the delivery is lost.
    """
    missed = shop.deliveries.get(delivery)
    if missed is None:
        return
    if missed.attempts < len(GAPS):
        _take(shop, delivery)
        missed.due = at + timedelta(seconds=GAPS[missed.attempts])
        missed.attempts += 1
        _put(shop, missed)
    elif missed.subscription_id:
        _forget(shop, missed.subscription_id)
    else:
        _take(shop, delivery)
        shop.webhooks_lost += 1


def _forget(shop: Shop, subscription: int) -> None:
    shop.subscriptions.pop(subscription, None)
    gone = [delivery.id for delivery in shop.deliveries.values() if delivery.subscription_id == subscription]
    shop.webhooks_lost += len(gone)
    for number in gone:
        _take(shop, number)


def _bury(shop: Shop, subscription: int) -> None:
    """A subscription that ends with its app is gone once its last delivery is."""
    known = shop.subscriptions.get(subscription)
    if known is not None and known.ends and all(one.subscription_id != subscription for one in shop.deliveries.values()):
        del shop.subscriptions[subscription]


# --------------------------------------------------------------------------------------------------------- subscriptions


def subscribe(shop: Shop, topic: str, wanted: dict[str, Any], at: datetime) -> int:
    uri = _address(wanted)
    made = Subscription(id=0, topic=topic, uri=uri, created_at=at, updated_at=at)
    _fill(made, wanted)
    for known in shop.subscriptions.values():
        if (known.topic, known.uri, known.name, known.filter) == (topic, uri, made.name, made.filter):
            raise RefusedError(Problem(("webhookSubscription", "callbackUrl"), "Address for this topic has already been taken"))
    made.id = shop.new_id()
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
    if wanted.get("format", "JSON") != "JSON" or wanted.get("metafields"):
        raise NotSimulatedError("webhook subscriptions with another format than JSON, or with metafields, are not simulated")
    if urlsplit(uri).hostname not in LOOPBACK:
        raise RefusedError(Problem(("webhookSubscription", "callbackUrl"), "Address is invalid: the sandbox posts to this machine only"))
    return str(uri)


def _fill(subscription: Subscription, wanted: dict[str, Any]) -> None:
    subscription.name = wanted.get("name", subscription.name)
    if "filter" in wanted:
        search.terms(wanted["filter"])  # what cannot be read is said at once
        subscription.filter = wanted["filter"] or None
    subscription.include_fields = list(wanted.get("includeFields") or subscription.include_fields)
    spaces = wanted.get("metafieldNamespaces") or []
    subscription.metafield_namespaces = [namespace_of(one) for one in spaces] or subscription.metafield_namespaces
