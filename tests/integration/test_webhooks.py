"""The receiver, before a real log: nothing unsigned gets in, nothing signed gets lost, nothing is answered 200 that is not kept."""

import asyncio
import base64
import hashlib
import hmac
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from adapters.http import Secret
from engine.log import Append, Log
from engine.metrics import Metrics
from engine.ports import PostgresDb, SystemClock
from engine.vault import Vault
from ops.web import webhooks
from ops.web.webhooks import webhook_routes
from schemas.envelope import Envelope, event_id
from schemas.events import tag_of
from schemas.events.exceptions import ExceptionOpened, RawPayload
from schemas.events.privacy import PrivacyAsked
from schemas.events.shop import ShopNotified
from schemas.values import ShopId, TenantId
from tests.conftest import Database
from tests.contract.shopify.payloads import ASKER, BIG, HERE, PRIVATE, READ, UNREADABLE, body

pytestmark = pytest.mark.anyio

TENANT, SHOP, TOKEN = TenantId("t1"), "harbour-and-thread.myshopify.com", "an-unguessable-piece-of-32-signs"
CURRENT = "hush"
ORDER = body({"id": BIG, "updated_at": "2026-08-13T10:00:00+01:00"})
ASKED = {"customer": ASKER, "orders_to_redact": []}
SAMPLES = os.environ.get("CROSSDOCK_SAMPLES")  # a folder with bodies that Shopify published, which are not part of the project


@dataclass(frozen=True)
class Settings:
    shop: str = SHOP
    webhook_token: Secret = Secret(TOKEN)  # noqa: RUF009 - immutable
    webhook_secrets: tuple[Secret, ...] = (Secret("hush"), Secret("was-hush"))
    api_version: str = "2026-10"


@dataclass
class Receiver:
    url: str
    log: Log
    vault: Vault
    metrics: Metrics
    session: aiohttp.ClientSession = field(repr=False)

    async def post(self, raw: bytes, *, topic: str = "orders/updated", path: str = TOKEN, **headers: Any) -> int:
        """The status of a delivery, signed well unless told otherwise; a header of None is left out."""
        given: dict[str, Any] = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-SHA256": sign(raw),
            "X-Shopify-Shop-Domain": SHOP,
            "X-Shopify-API-Version": "2026-10",
        }
        given |= {f"X-Shopify-{name.replace('_', '-')}": value for name, value in headers.items()}
        sent: dict[str, str] = {name: value for name, value in given.items() if value is not None}
        async with self.session.post(f"{self.url}/webhooks/{path}", data=io.BytesIO(raw), headers=sent) as response:
            assert await response.read() == b"", "an answer says nothing"
            return response.status

    async def heard(self) -> list[Envelope]:
        return await self.log.read(0)

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"crossdock_{name}", labels) or 0.0


def sign(raw: bytes, secret: str = CURRENT) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), raw, hashlib.sha256)).decode()


@pytest.fixture
async def receiver(database: Database) -> AsyncIterator[Receiver]:
    async with receiving(database) as here:
        yield here


@asynccontextmanager
async def receiving(database: Database, log: Any = None) -> AsyncIterator[Receiver]:
    pool = await PostgresDb(database.engine_url).pool()
    metrics, vault = Metrics(), Vault(pool, TENANT, bytes(32))
    own = Log(pool, TENANT, vault, SystemClock(), metrics)
    runner = web.AppRunner(webhook_routes(log or own, Settings(), metrics, SystemClock(), TENANT), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Receiver(f"http://127.0.0.1:{runner.addresses[0][1]}", own, vault, metrics, session)
    finally:
        await runner.cleanup()
        await pool.close()


# ---------------------------------------------------------------- who may speak


async def test_a_signed_webhook_is_in_the_log_when_it_is_answered(receiver: Receiver):
    assert await receiver.post(ORDER) == 200
    [envelope] = await receiver.heard()
    assert envelope.event == ShopNotified(topic="orders/updated", about=(ShopId(f"gid://shopify/Order/{BIG}"),))
    assert envelope.stream == f"hint-orders/updated:{BIG}" and envelope.actor == "shopify"
    assert receiver.counted("webhook_requests_total", tenant="t1", topic="orders/updated", outcome="appended") == 1


async def test_the_signature_is_over_the_bytes_as_they_came(receiver: Receiver):
    """The known answer: one line, escaped slashes, UTF-8."""
    raw = b'{"id":820982911946154508,"admin_graphql_api_id":"gid:\\/\\/shopify\\/Order\\/820982911946154508","note":"caf\xc3\xa9"}'
    assert len(raw) == 108
    assert await receiver.post(raw, Hmac_SHA256="oaDEL/JUzhishameUIqukOz1fI8TG10sTCvPGYPnlVA=") == 200
    assert await receiver.post(raw.replace(b"\\/", b"/"), Hmac_SHA256="oaDEL/JUzhishameUIqukOz1fI8TG10sTCvPGYPnlVA=") == 401


FLIPPED = base64.b64encode(
    bytes([hmac.digest(b"hush", ORDER, hashlib.sha256)[0] ^ 1]) + hmac.digest(b"hush", ORDER, hashlib.sha256)[1:]
).decode()
FORGED: list[tuple[str, dict[str, Any], str]] = [
    ("no signature", {"Hmac_SHA256": None}, "signature missing"),
    ("an empty one", {"Hmac_SHA256": ""}, "signature missing"),
    ("one bit of it flipped", {"Hmac_SHA256": FLIPPED}, "signature wrong"),
    ("cut", {"Hmac_SHA256": sign(ORDER)[:-1]}, "signature wrong"),
    ("longer", {"Hmac_SHA256": sign(ORDER) + "="}, "signature wrong"),
    ("in hexadecimal", {"Hmac_SHA256": hmac.digest(b"hush", ORDER, hashlib.sha256).hex()}, "signature wrong"),
    ("no base64 at all", {"Hmac_SHA256": "%%%"}, "signature wrong"),
    ("letters that are none", {"Hmac_SHA256": "ünïcödé✓"}, "signature wrong"),
    ("by a stranger's secret", {"Hmac_SHA256": sign(ORDER, "hash")}, "signature wrong"),
    ("by no secret", {"Hmac_SHA256": sign(ORDER, "")}, "signature wrong"),
    ("of another body", {"Hmac_SHA256": sign(ORDER + b" ")}, "signature wrong"),
    ("for another shop", {"Shop_Domain": "other.myshopify.com"}, "shop"),
    ("for no shop", {"Shop_Domain": None}, "shop"),
]


@pytest.mark.parametrize(("why", "headers", "reason"), FORGED, ids=[row[0] for row in FORGED])
async def test_what_is_not_from_our_shop_is_not_let_in_and_not_told_why(receiver: Receiver, why, headers, reason):
    assert await receiver.post(ORDER, **headers) == 401
    assert await receiver.heard() == []
    assert receiver.counted("webhook_rejected_total", reason=reason) == 1


async def test_every_single_bit_of_the_body_counts(receiver: Receiver):
    for place in range(0, len(ORDER) * 8, 7):
        raw = bytearray(ORDER)
        raw[place // 8] ^= 1 << place % 8
        assert await receiver.post(bytes(raw), Hmac_SHA256=sign(ORDER)) == 401
    assert await receiver.heard() == []


async def test_two_signatures_are_none(receiver: Receiver):
    headers = [("X-Shopify-Hmac-SHA256", sign(ORDER)), ("X-Shopify-Hmac-SHA256", "x"), ("X-Shopify-Shop-Domain", SHOP)]
    async with receiver.session.post(f"{receiver.url}/webhooks/{TOKEN}", data=ORDER, headers=headers) as response:
        assert response.status == 401


@pytest.mark.parametrize("path", ["", "guess", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%FF"])
async def test_only_the_unguessable_path_leads_in(receiver: Receiver, path):
    assert await receiver.post(ORDER, path=path) == 404 if path else True
    assert await receiver.heard() == []


async def test_while_a_secret_is_changed_both_are_good_and_it_shows_which_is_used(receiver: Receiver):
    assert await receiver.post(ORDER, Hmac_SHA256=sign(ORDER, "was-hush")) == 200
    assert await receiver.post(ORDER) == 200
    assert receiver.counted("webhook_signed_total", secret="previous") == receiver.counted("webhook_signed_total", secret="current") == 1


async def test_nothing_is_parsed_before_it_is_trusted(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "heard", lambda *_, **__: pytest.fail("parsed"))
    assert await receiver.post(ORDER, Hmac_SHA256="x") == 401


# ---------------------------------------------------------------- what is said twice, or under another name


async def test_a_redelivery_under_whatever_headers_is_one_event(receiver: Receiver):
    assert await receiver.post(ORDER, Webhook_Id="1", Event_Id="1", Triggered_At="2026-08-13T09:00:00.123456789Z") == 200
    assert await receiver.post(ORDER, Webhook_Id="1", Event_Id="1", Triggered_At="2026-08-13T09:00:00.123456789Z") == 200
    assert await receiver.post(ORDER, Webhook_Id="2", Event_Id=None, Triggered_At="garbage", Test="true", API_Version="2026-07") == 200
    assert len(await receiver.heard()) == 1
    assert receiver.counted("webhook_requests_total", tenant="t1", topic="orders/updated", outcome="duplicate") == 2
    assert receiver.counted("api_version_mismatch_total", target="shopify webhooks") == 1


async def test_many_at_once_of_the_same_are_one_event(receiver: Receiver):
    assert await asyncio.gather(*[receiver.post(ORDER) for _ in range(30)]) == [200] * 30
    assert len(await receiver.heard()) == 1


async def test_a_replay_under_another_topic_is_at_most_another_hint(receiver: Receiver):
    order = body({"id": BIG, "admin_graphql_api_id": f"gid://shopify/Order/{BIG}"})
    for topic in (
        "orders/updated",
        "orders/cancelled",
        "refunds/create",
        "inventory_items/update",
        "app/uninstalled",
        "nonsense",
        "a" * 3000,
    ):
        assert await receiver.post(order, topic=topic) == 200
    events = [envelope.event for envelope in await receiver.heard()]
    assert all(isinstance(event, ShopNotified) for event in events)
    assert {event.about for event in events if isinstance(event, ShopNotified)} == {(f"gid://shopify/Order/{BIG}",), ()}


async def test_a_body_of_another_shop_under_our_name_is_read_and_left(receiver: Receiver):
    raw = body({"shop_domain": "other.myshopify.com", "orders_to_redact": [1]})
    assert await receiver.post(raw, topic="customers/redact") == 200
    assert await receiver.heard() == []


# ---------------------------------------------------------------- whatever is said


@pytest.mark.parametrize(("why", "raw"), UNREADABLE)
async def test_what_cannot_be_read_is_kept_sealed_beside_an_exception(receiver: Receiver, why, raw):
    assert await receiver.post(raw) == 200
    [envelope] = await receiver.heard()
    assert isinstance(envelope.event, ExceptionOpened) and envelope.event.code == "X79", why
    assert await receiver.vault.open(envelope) == RawPayload(body=raw.decode("utf-8", "replace").replace("\0", ""))
    assert "canary" not in envelope.data


@pytest.mark.parametrize(("topic", "raw"), [("orders/updated", ORDER), ("orders/updated", b"{"), ("customers/redact", body(HERE | ASKED))])
async def test_nobody_without_our_secret_can_try_out_whose_body_it_was(receiver: Receiver, topic: str, raw: bytes):
    """Neither by the event's id nor by the names of its stream and subject."""
    assert await receiver.post(raw, topic=topic) == 200
    [envelope] = await receiver.heard()
    plain, day = hashlib.sha256(raw).hexdigest(), envelope.recorded_at.date()
    for identity in (f"{SHOP}:{topic}:{plain}", f"{SHOP}:{topic}@{day}:{plain}"):
        assert envelope.event_id != event_id(TENANT, "shopify", identity, tag_of(envelope.event))
    assert plain[:12] not in f"{envelope.stream} {envelope.subject} {envelope.data}"


async def test_every_body_ends_as_a_fact_or_is_left_on_purpose_and_no_person_is_in_the_log(receiver: Receiver):
    for topic, content, _ in [*READ, *PRIVATE]:
        if topic.isprintable():
            assert await receiver.post(body(content), topic=topic) == 200
    heard = await receiver.heard()
    assert len(heard) > 40
    assert not [envelope for envelope in heard if "canary" in envelope.data.lower()]


PUBLISHED = sorted(Path(SAMPLES, "shopify").glob("*.json")) if SAMPLES else []  # bodies from elsewhere, where somebody has some


if PUBLISHED:

    @pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
    async def test_a_published_body_ends_as_a_fact_or_is_left_on_purpose(receiver: Receiver, file: Path):
        topic = file.stem.replace("__", "/")
        assert await receiver.post(file.read_bytes(), topic=topic) == 200
        heard = await receiver.heard()
        ignored = receiver.counted("webhook_requests_total", tenant="t1", topic=topic, outcome="ignored")
        assert bool(heard) != bool(ignored), topic
        assert all(isinstance(envelope.event, ShopNotified | PrivacyAsked) for envelope in heard), topic


# ---------------------------------------------------------------- when something is in the way


class Away:
    """A log that does not answer, or says that its database is gone."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error, self.asked, self.release = error, 0, asyncio.Event()

    async def append(self, _append: Append) -> Any:
        self.asked += 1
        if self._error is not None:
            raise self._error
        await self.release.wait()
        raise OSError


@pytest.mark.parametrize(
    "error", [OSError("gone"), asyncpg.PostgresConnectionError("gone"), asyncpg.InterfaceError("closed"), TimeoutError()]
)
async def test_without_a_commit_there_is_no_200(database: Database, error):
    async with receiving(database, Away(error)) as receiver:
        assert await receiver.post(ORDER) == 503
        assert await receiver.post(body(HERE | ASKED), topic="customers/redact") == 503
        assert await receiver.post(body({"id": 1}), topic="products/delete") == 200, "what is left on purpose needs no log"
        assert receiver.counted("webhook_requests_total", tenant="t1", topic="orders/updated", outcome="unavailable") == 1


async def test_a_log_that_does_not_answer_is_not_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "COMMIT_SECONDS", 0.05)
    monkeypatch.setattr(webhooks, "PENDING", 3)
    away = Away()
    async with receiving(database, away) as receiver:
        assert [await receiver.post(ORDER) for _ in range(5)] == [503] * 5
        assert away.asked == 3, "those under way are bounded"
        away.release.set()


async def test_a_database_that_is_gone_means_503_and_one_that_is_back_means_200(receiver: Receiver, database: Database, postgres: Any):
    assert await receiver.post(ORDER) == 200
    await postgres.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
    await postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'")
    later = body({"id": BIG + 1})
    assert await receiver.post(later) == 503
    await postgres.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")
    assert await receiver.post(later) == 200
    assert len(await receiver.heard()) == 2


async def test_a_flood_is_turned_away_and_costs_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "BURST", 5.0)
    monkeypatch.setattr(webhooks, "A_SECOND", 0.001)
    statuses = [await receiver.post(ORDER) for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3
    assert receiver.counted("webhook_rejected_total", reason="flood") == 3


async def test_too_large_a_body_is_not_read(receiver: Receiver):
    assert await receiver.post(b"x" * (2 * 1024 * 1024 + 1)) == 413
    assert receiver.counted("webhook_rejected_total", reason="size") == 1


async def test_a_body_that_trickles_is_not_waited_for(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "READ_SECONDS", 0.1)
    host, port = receiver.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST /webhooks/{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()


async def test_a_packed_body_is_not_unpacked(receiver: Receiver):
    headers = {"Content-Encoding": "gzip", "X-Shopify-Hmac-SHA256": sign(b"x"), "X-Shopify-Shop-Domain": SHOP}
    async with receiver.session.post(f"{receiver.url}/webhooks/{TOKEN}", data=b"x", headers=headers) as response:
        assert response.status in (400, 415)
    assert await receiver.heard() == []


async def test_only_posts_are_taken(receiver: Receiver):
    async with receiver.session.get(f"{receiver.url}/webhooks/{TOKEN}") as response:
        assert response.status == 405
