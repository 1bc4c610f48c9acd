"""Webhooks become hints: what to read again, and nothing of anybody."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.shopify.hints import Ignored, hint
from engine.adapter import Heard
from schemas.events.exceptions import ExceptionOpened, RawPayload
from schemas.events.shop import ShopNotified
from schemas.values import TenantId
from tests.contract.shopify.payloads import READ, UNREADABLE, body
from tests.loopback import NOW

SHOP = "harbour-and-thread.myshopify.com"


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def heard(topic: str, raw: bytes, tenant: str = "t1", shop: str = SHOP) -> Heard | Ignored:
    return hint(topic, raw, tenant=TenantId(tenant), shop=shop, received_at=NOW, mark=digest)


@pytest.mark.parametrize(("topic", "content", "expected"), READ, ids=[f"{n}-{row[0]}" for n, row in enumerate(READ)])
def test_each_body_is_a_hint_or_deliberately_none(topic, content, expected):
    result = heard(topic, body(content))
    if isinstance(expected, str):
        assert result == Ignored(expected)
        return
    assert isinstance(result, Heard) and result.stream.startswith(f"hint-{topic}:")
    if expected is None:
        assert isinstance(result.fact.event, ExceptionOpened) and result.fact.event.code == "X79"
        assert isinstance(result.fact.personal, RawPayload) and result.fact.subject
        return
    assert result.fact.event == ShopNotified(topic=topic, about=expected)
    assert result.fact.personal is None and b"canary" not in msgspec.json.encode(result.fact).lower()


@pytest.mark.parametrize(("why", "raw"), UNREADABLE)
def test_a_body_that_cannot_be_read_is_an_exception_with_its_bytes_sealed_beside_it(why, raw):
    result = heard("orders/updated", raw)
    assert isinstance(result, Heard), why
    assert isinstance(result.fact.event, ExceptionOpened) and result.fact.event.key == f"X79:{result.stream}"
    assert result.fact.personal == RawPayload(body=raw.decode("utf-8", "replace"))


def test_an_exception_names_the_field_and_quotes_nothing():
    result = heard("orders/updated", body({"id": 1, "order": {"id": ["pii-canary"]}}))
    assert isinstance(result, Heard) and isinstance(result.fact.event, ExceptionOpened)
    assert result.fact.event.field == "order.id"
    assert "canary" not in str(msgspec.structs.asdict(result.fact.event))


def test_the_same_bytes_are_the_same_fact_whoever_brings_them_and_whenever():
    raw = body({"id": 1, "updated_at": "2026-08-13T10:00:00+01:00"})
    once, again = (
        heard("orders/updated", raw),
        hint("orders/updated", raw, tenant=TenantId("t1"), shop=SHOP, received_at=NOW.replace(year=2027), mark=digest),
    )
    assert isinstance(once, Heard) and isinstance(again, Heard)
    assert once.fact.event_id == again.fact.event_id and once.fact.event == again.fact.event
    assert once.fact.occurred_at.isoformat() == "2026-08-13T09:00:00+00:00"


def test_another_tenant_shop_topic_or_byte_is_another_fact():
    raw = body({"id": 1})
    ids = {
        result.fact.event_id
        for result in (
            heard("orders/updated", raw),
            heard("orders/updated", raw, tenant="t2"),
            heard("orders/updated", raw, shop="other.myshopify.com"),
            heard("orders/create", raw),
            heard("orders/updated", raw + b" "),
        )
        if isinstance(result, Heard)
    }
    assert len(ids) == 5


def test_a_product_is_news_when_what_decides_how_much_is_shown_has_changed():
    def product(**more: object) -> bytes:
        variant = {"inventory_item_id": 7, "inventory_policy": "deny", "inventory_quantity": more.pop("quantity", 5)}
        variant |= {"inventory_policy": more.pop("policy")} if "policy" in more else {}
        return body({"id": 1, "status": "active", "tags": "a, b", "product_type": "Tee", "variants": [variant], **more})

    def ids(*bodies: bytes) -> int:
        return len({result.fact.event_id for raw in bodies if isinstance(result := heard("products/update", raw), Heard)})

    assert ids(product(), product(quantity=4), product(updated_at="2026-08-13T12:00:00Z", title="T")) == 1
    changes = [product(status="draft"), product(tags="a"), product(product_type=""), product(policy="continue"), product(id=2)]
    assert ids(product(), *changes) == 6


topics = st.sampled_from(sorted({row[0] for row in READ}))
words = st.text("aZ9é:/\x00", max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "id",
        "admin_graphql_api_id",
        "order_id",
        "order",
        "order_edit",
        "return",
        "inventory_item_id",
        "tags",
        "note_attributes",
        "shop_domain",
    ]
)


@given(topics, st.dictionaries(fields, json_values, max_size=4))
def test_nothing_that_is_json_makes_it_stumble(topic, content):
    assert isinstance(heard(topic, body(content)), Heard | Ignored)


@given(topics, st.binary(max_size=200))
def test_nothing_at_all_makes_it_stumble(topic, raw):
    assert isinstance(heard(topic, raw), Heard | Ignored)
