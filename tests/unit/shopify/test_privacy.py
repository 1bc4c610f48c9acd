"""Who wants to know, and who wants to be forgotten: heard as that, and by nobody else's leave."""

import hashlib
import hmac
from datetime import timedelta

import msgspec
import pytest

from adapters.shopify.hints import Ignored
from adapters.shopify.privacy import TOPICS, request
from engine.adapter import Heard
from schemas.events.exceptions import ExceptionOpened, RawPayload
from schemas.events.privacy import PrivacyAsked, PrivacyAsker
from schemas.values import Instant, TenantId
from tests.contract.shopify.payloads import ASKER, HERE, PRIVATE, body
from tests.loopback import NOW

SHOP = "harbour-and-thread.myshopify.com"


def heard(topic: str, raw: bytes, at: Instant = NOW, key: bytes = b"k") -> Heard | Ignored:
    return request(
        topic, raw, tenant=TenantId("t1"), shop=SHOP, received_at=at, mark=lambda text: hmac.digest(key, text, hashlib.sha256).hex()
    )


@pytest.mark.parametrize(("topic", "content", "expected"), PRIVATE, ids=[f"{n}-{row[0]}" for n, row in enumerate(PRIVATE)])
def test_each_body_asks_for_what_its_topic_says_or_for_nothing(topic, content, expected):
    result = heard(topic, body(content))
    if isinstance(expected, str):
        assert result == Ignored(expected)
        return
    assert isinstance(result, Heard)
    assert b"canary" not in msgspec.json.encode(msgspec.structs.replace(result.fact, personal=None)).lower()
    if expected is None:
        assert isinstance(result.fact.event, ExceptionOpened) and result.fact.event.deadline == NOW + timedelta(days=30)
        assert isinstance(result.fact.personal, RawPayload) and result.fact.subject
        return
    due = NOW + timedelta(days=30)
    assert result.fact.event == PrivacyAsked(request=result.stream, kind=TOPICS[topic], orders=expected, asked_at=NOW, due_at=due)
    email = content.get("customer", {}).get("email")
    assert result.fact.personal == (PrivacyAsker(email=email) if email else None)
    assert result.fact.subject == (result.stream if email else "")


def test_a_redelivery_is_the_same_request_and_whoever_asks_again_another_day_asks_anew():
    raw = body({**HERE, "customer": ASKER})
    results = [heard("customers/redact", raw, at) for at in (NOW, NOW + timedelta(hours=4), NOW + timedelta(days=1))]
    first, again, later = (result.fact.event_id for result in results if isinstance(result, Heard))
    assert first == again != later


def test_without_the_key_nobody_can_try_out_who_it_was():
    raw = body({**HERE, "customer": ASKER})
    mine, others = heard("customers/redact", raw), heard("customers/redact", raw, key=b"guess")
    assert isinstance(mine, Heard) and isinstance(others, Heard)
    assert mine.fact.event_id != others.fact.event_id and mine.stream != others.stream
