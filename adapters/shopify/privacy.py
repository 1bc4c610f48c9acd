"""The three privacy topics into what is to be done: tell what is held of a person, forget them, forget the whole shop. Pure.

Other webhooks are hints, whose facts are read again. These cannot be read again anywhere, so the topic, which nobody signed, counts only
where the signed body is of that topic too.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import msgspec

from adapters.shopify import wire
from adapters.shopify.hints import Ignored, gids, hint, place, unreadable
from adapters.shopify.translate.marks import SOURCE, fact
from engine.adapter import Heard
from schemas.envelope import event_id
from schemas.events import tag_of
from schemas.events.privacy import PrivacyAsked, PrivacyAsker
from schemas.values import Instant, ShopId, TenantId

Kind = Literal["disclose", "erase", "erase_all"]
TOPICS: dict[str, Kind] = {"customers/data_request": "disclose", "customers/redact": "erase", "shop/redact": "erase_all"}
WITHIN = timedelta(days=30)  # of being asked. Shopify, privacy law compliance, 2026-10


def heard(topic: str, body: bytes, *, tenant: TenantId, shop: str, received_at: Instant, mark: Callable[[bytes], str]) -> Heard | Ignored:
    """Whatever a webhook tells: what it asks for, or else what it hints at. `mark` is of `hints.marker`."""
    read = request if topic in TOPICS else hint
    return read(topic, body, tenant=tenant, shop=shop, received_at=received_at, mark=mark)


def request(topic: str, body: bytes, *, tenant: TenantId, shop: str, received_at: Instant, mark: Callable[[bytes], str]) -> Heard | Ignored:
    """What a webhook of a privacy topic asks for. A plain digest of so short a body would give the e-mail away.

    The event is made of the body's bytes and the day: a redelivery is the same event, and whoever asks again later asks anew.
    """
    identity = f"{shop}:{topic}@{received_at.date()}:{mark(body)}"
    try:
        notice = msgspec.json.decode(body, type=wire.webhooks.PrivacyNotice)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        due_at = received_at + WITHIN
        return unreadable(topic, body, tenant=tenant, identity=identity, at=received_at, field=place(error), deadline=due_at)
    if notice.shop_domain and notice.shop_domain.lower() != shop.lower():
        return Ignored("another shop")
    if _kind(notice) != TOPICS[topic]:
        return Ignored("body of another topic")
    stream = f"privacy-{event_id(tenant, SOURCE, identity, tag_of(PrivacyAsked)).hex[:12]}"
    named = gids("Order", *(notice.orders_requested or ()), *(notice.orders_to_redact or ()))
    asked = PrivacyAsked(
        request=stream,
        kind=TOPICS[topic],
        orders=tuple(dict.fromkeys(ShopId(gid) for gid in named)),
        asked_at=received_at,
        due_at=received_at + WITHIN,
    )
    email = (notice.customer.email or "") if notice.customer else ""
    asker = PrivacyAsker(email=email.strip()) if email.strip() else None
    return Heard(stream, fact(tenant, asked, identity, received_at, personal=asker, subject=stream if asker else ""))


def _kind(notice: wire.webhooks.PrivacyNotice) -> Kind | None:
    """Of which topic a body is, by what stands in it and nowhere else."""
    if not notice.shop_domain or notice.id is not None or notice.admin_graphql_api_id is not None:
        return None
    if notice.orders_requested is not None or notice.data_request is not None:
        return "disclose" if notice.orders_to_redact is None else None
    if notice.orders_to_redact is not None or notice.customer is not None:
        return "erase"
    return "erase_all"
