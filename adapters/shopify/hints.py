"""Webhooks into hints: what Shopify tells unasked, and what to read again because of it. Pure."""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from adapters.shopify import wire
from adapters.shopify.translate.marks import CHANNEL, ORDER, TAG, fact
from engine.adapter import Heard
from schemas.events.exceptions import ExceptionOpened, RawPayload
from schemas.events.shop import ShopNotified
from schemas.values import Instant, ShopId, TenantId


@dataclass(frozen=True)
class Ignored:
    """Read, and deliberately not for us."""

    reason: str


def _own(kind: str) -> Callable[[wire.webhooks.Notice], Iterator[str]]:
    def about(notice: wire.webhooks.Notice) -> Iterator[str]:
        yield from gids(kind, notice)

    return about


def _of_order(kind: str) -> Callable[[wire.webhooks.Notice], Iterator[str]]:
    """A part of an order: the order first, however it is spelled, then the part."""

    def about(notice: wire.webhooks.Notice) -> Iterator[str]:
        yield from gids("Order", notice.order_id, notice.order)
        yield from gids(kind, notice)

    return about


def _edited_order(notice: wire.webhooks.Notice) -> Iterator[str]:
    yield from gids("Order", notice.order_edit.order_id if notice.order_edit else None)


def _fulfilment_orders(notice: wire.webhooks.Notice) -> Iterator[str]:
    merges = notice.fulfillment_order_merges
    yield from gids(
        "FulfillmentOrder",
        notice.fulfillment_order,
        notice.original_fulfillment_order,
        notice.moved_fulfillment_order,
        notice.submitted_fulfillment_order,
        notice.remaining_fulfillment_order,
        notice.replacement_fulfillment_order,
        *(merge.fulfillment_order for merge in (merges if isinstance(merges, list) else [merges]) if merge),
    )


def _stocked_item(notice: wire.webhooks.Notice) -> Iterator[str]:
    yield from gids("InventoryItem", notice.inventory_item_id)


def _items_of_product(notice: wire.webhooks.Notice) -> Iterator[str]:
    """Of its first hundred variants; a sweep reads the others."""
    yield from gids("InventoryItem", *(variant.inventory_item_id for variant in notice.variants or ()))


def _return(notice: wire.webhooks.Notice) -> Iterator[str]:
    yield from gids("Return", notice.return_)


def _nothing(_notice: wire.webhooks.Notice) -> Iterator[str]:
    yield from ()


# What a webhook of each family is about. Shopify, webhook topics and their bodies, 2026-10.
_ABOUT: Mapping[str, Callable[[wire.webhooks.Notice], Iterator[str]]] = {
    "orders": _own("Order"),
    "orders/edited": _edited_order,
    "fulfillments": _of_order("Fulfillment"),
    "fulfillment_orders": _fulfilment_orders,
    "fulfillment_holds": _fulfilment_orders,
    "refunds": _of_order("Refund"),
    "order_transactions": _of_order("OrderTransaction"),
    "returns": _of_order("Return"),
    "reverse_fulfillment_orders": _own("ReverseFulfillmentOrder"),
    "reverse_deliveries": _return,
    "inventory_levels": _stocked_item,
    "inventory_items": _own("InventoryItem"),
    "products": _items_of_product,
    "locations": _own("Location"),
    "app": _nothing,  # the topic alone says it
    "shop": _nothing,
}
_MAY_NAME_NOTHING = ("app", "shop", "returns/process", "products")

# Topics that tell us nothing we act on: each with the reason, which is a metric's label.
_NOT_FOR_US = {
    "products/create": "inventory items tell it",
    "products/delete": "inventory items tell it",
    "variants": "inventory levels tell it",
    "fulfillment_events": "carriers are not followed",
    "tender_transactions": "order transactions tell it",
    "bulk_operations": "asked after until they are over",
}
_DIGITS = re.compile(r"[1-9][0-9]{0,19}", re.ASCII)
_GID = re.compile(r"gid://shopify/([A-Za-z]{1,64})/([A-Za-z0-9_-]{1,64})(?:\?[\w=&-]{0,64})?", re.ASCII)


# The header is not signed: a topic outside this list is no stream and no metric's label, whoever sends it.
_CHANGES = {
    "orders": "create updated cancelled edited delete paid fulfilled partially_fulfilled",
    "fulfillments": "create update",
    "fulfillment_events": "create delete",
    "fulfillment_holds": "added released",
    "fulfillment_orders": "order_routing_complete moved split merged cancelled placed_on_hold hold_released rescheduled progress_reported "
    "fulfillment_request_submitted fulfillment_request_accepted fulfillment_request_rejected scheduled_fulfillment_order_ready "
    "cancellation_request_submitted cancellation_request_accepted cancellation_request_rejected fulfillment_service_failed_to_complete",
    "refunds": "create",
    "order_transactions": "create",
    "tender_transactions": "create",
    "returns": "request approve decline update process cancel close reopen",
    "reverse_fulfillment_orders": "dispose",
    "reverse_deliveries": "attach_deliverable",
    "inventory_levels": "update connect disconnect",
    "inventory_items": "create update delete",
    "products": "create update delete",
    "variants": "in_stock out_of_stock",
    "locations": "create update activate deactivate delete",
    "bulk_operations": "finish",
    "app": "uninstalled scopes_update",
    "shop": "update redact",
    "customers": "data_request redact",
}
KNOWN = frozenset(f"{family}/{change}" for family, changes in _CHANGES.items() for change in changes.split())


def marker(secret: str) -> Callable[[bytes], str]:
    """By what a body is known again, whoever brings it: a digest keyed with the app's secret, so that nobody can try out whose it was."""
    return lambda body: hmac.digest(secret.encode(), b"mark\0" + body, hashlib.sha256).hex()


def hint(topic: str, body: bytes, *, tenant: TenantId, shop: str, received_at: Instant, mark: Callable[[bytes], str]) -> Heard | Ignored:
    """What a webhook says to read again. The body is signed; the topic and all other headers are not, hence a hint and never a fact.

    The event is made of the shop, the topic and the body's bytes alone, so that a redelivery, under whatever headers, is the same event;
    `mark` is of `marker`, for there is a person in most bodies.
    Of people nothing is kept, save, sealed, a body that cannot be read: then the fact is an exception that names the field.
    """
    family = topic.partition("/")[0]
    if topic not in KNOWN:
        return Ignored("topic unknown")
    if reason := _NOT_FOR_US.get(topic) or _NOT_FOR_US.get(family):
        return Ignored(reason)
    # The published body of returns/process is {}: each is the same as every other, so those of one minute are one.
    moment = f"@{received_at:%Y-%m-%dT%H:%M}" if topic == "returns/process" else ""
    identity = f"{shop}:{topic}{moment}:{mark(body)}"
    try:
        notice = msgspec.json.decode(body, type=wire.webhooks.Notice)
        about = tuple(dict.fromkeys(ShopId(gid) for gid in (_ABOUT.get(topic) or _ABOUT[family])(notice)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return unreadable(topic, body, tenant=tenant, identity=identity, at=received_at, field=place(error))
    if family == "products":
        identity = f"{shop}:{topic}@{_quarter(received_at)}:{mark(_for_sale(notice))}"
    if any(named and named.lower() != shop.lower() for named in (notice.shop_domain, notice.myshopify_domain)):
        return Ignored("another shop")
    if not about and family not in _MAY_NAME_NOTHING and topic not in _MAY_NAME_NOTHING:
        if notice.admin_graphql_api_id:
            return Ignored("body of another topic")
        return unreadable(topic, body, tenant=tenant, identity=identity, at=received_at, field="id")
    if family == "orders" and _is_plainly_not_ours(notice):
        return Ignored("not a marketplace order")
    stream = f"hint-{topic}:{about[0].rpartition('/')[2] if about else shop}"
    return Heard(stream, fact(tenant, ShopNotified(topic=topic, about=about), identity, _instant(notice.updated_at) or received_at))


def _for_sale(notice: wire.webhooks.Notice) -> bytes:
    """What of a product decides how much of it is shown. The rest changes with every sale, and the levels tell that."""
    variants = [(variant.inventory_item_id, variant.inventory_policy) for variant in notice.variants or ()]
    return msgspec.json.encode((notice.id, notice.admin_graphql_api_id, notice.status, notice.tags, notice.product_type, variants))


def _quarter(moment: Instant) -> str:
    """Of an hour. What is changed and changed back within one is found by a sweep, which comes as often."""
    return f"{moment:%Y-%m-%dT%H}:{moment.minute // 15}"


def gids(kind: str, *named: wire.webhooks.Body | int | str | None) -> Iterator[str]:
    """Global ids of that kind. Where a thing has both spellings the GID counts: numbers above 2^53 have been seen rounded."""
    for one in named:
        for spelled in (one.admin_graphql_api_id, one.id) if isinstance(one, wire.webhooks.Body) else (one,):
            text = str(spelled if spelled is not None else "")
            if _DIGITS.fullmatch(text):
                yield f"gid://shopify/{kind}/{text}"
                break
            if (found := _GID.fullmatch(text)) and found[1] == kind:
                yield f"gid://shopify/{kind}/{found[2]}"
                break
            if found:
                break  # of another kind: the number beside it is that thing's too


def _is_plainly_not_ours(notice: wire.webhooks.Notice) -> bool:
    """A whole order that bears no mark of ours. A body that does not show its tags and attributes is not judged."""
    if notice.tags is None or notice.note_attributes is None:
        return False
    tags = notice.tags.split(",") if isinstance(notice.tags, str) else notice.tags
    names = {one.name for one in notice.note_attributes} if isinstance(notice.note_attributes, list) else set()
    return TAG not in {tag.strip().lower() for tag in tags} and not names & {CHANNEL, ORDER}


def unreadable(
    topic: str, body: bytes, *, tenant: TenantId, identity: str, at: Instant, field: str, deadline: Instant | None = None
) -> Heard:
    """An exception that names the topic and the field, with the body sealed beside it."""
    digest = identity.rpartition(":")[2]
    stream = f"hint-{topic}:{digest[:16]}"
    trouble = ExceptionOpened(
        key=f"X79:{stream}",
        code="X79",
        subject=stream,
        summary=f"a signed webhook of topic {topic} cannot be read",
        field=field,
        deadline=deadline,
    )
    raw = RawPayload(body=body.decode("utf-8", "replace"))
    return Heard(stream, fact(tenant, trouble, identity, at, personal=raw, subject=f"webhook-{digest}"))


def place(error: Exception) -> str:
    """Where in a body the trouble is: msgspec's path; "" for a body that is no JSON object at all. Its words may quote the body."""
    found = re.search(r" - at `\$\.?([\w.\[\]]{0,100})`$", str(error)) if isinstance(error, msgspec.ValidationError) else None
    return found[1] if found else ""


def _instant(text: str | None) -> Instant | None:
    try:
        said = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return wire.frame.utc(said) if said.tzinfo else None
