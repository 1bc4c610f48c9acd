"""Where Shopify tells us things: checked over raw bytes, committed, and only then answered with 200.

Nothing reaches a parser before its signature is right. What is refused is counted and forgotten, and the answer says nothing.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

import structlog
from aiohttp import web

from adapters.http import Secret
from adapters.shopify.hints import KNOWN, Ignored, marker
from adapters.shopify.privacy import heard
from engine.errors import EventIdConflictError
from engine.log import Append, Log
from engine.metrics import Metrics
from engine.ports import DATABASE_AWAY, Clock
from schemas.events.exceptions import ExceptionOpened
from schemas.values import TenantId

LARGEST = 2 * 1024 * 1024  # bytes; an order of 250 lines has about 0.5 MiB
READ_SECONDS = 5.0  # of the event loop, as the next; Shopify gives up after five in all
COMMIT_SECONDS = 4.0
PENDING = 500  # appends that outlived their answer; beyond, the database is surely away
A_SECOND, BURST = 200.0, 1_000.0  # webhooks; a price import touches a thousand products at once

log = structlog.get_logger()


class WebhookSettings(Protocol):
    """What the receiver must know of a shop."""

    @property
    def shop(self) -> str: ...
    @property
    def webhook_token(self) -> Secret: ...
    @property
    def webhook_secrets(self) -> Sequence[Secret]:
        """The one in use first, then the one before it, while it is being changed."""
        ...

    @property
    def api_version(self) -> str: ...


def webhook_routes(log: Log, settings: WebhookSettings, metrics: Metrics, clock: Clock, tenant: TenantId) -> web.Application:
    """POST /webhooks/{token}. The token is the tenant's: it cannot be guessed, and it is not in any header that a stranger may set."""
    receiver = _Receiver(log, settings, metrics, clock, tenant)
    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/webhooks/{token}", receiver.receive)
    app.on_cleanup.append(receiver.settle)
    return app


class _RefusedError(Exception):
    """Not to be read; `reason` is a metric's label."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


class _Receiver:
    def __init__(self, log: Log, settings: WebhookSettings, metrics: Metrics, clock: Clock, tenant: TenantId) -> None:
        self._log, self._settings, self._metrics, self._clock, self._tenant = log, settings, metrics, clock, tenant
        self._tokens, self._at = BURST, clock.monotonic()
        self._pending: dict[asyncio.Task[str], None] = {}  # in the order of their coming

    async def receive(self, request: web.Request) -> web.Response:
        arrived = self._clock.monotonic()
        try:
            body = await self._trusted(request)
        except _RefusedError as refused:
            self._metrics.webhook_rejected.labels(refused.reason).inc()
            return web.Response(status=refused.status)
        topic = request.headers.get("X-Shopify-Topic", "")
        outcome = await self._outcome(topic, body)
        label = topic if topic in KNOWN else "other"
        self._metrics.webhook_requests.labels(self._tenant, label, outcome).inc()
        self._metrics.webhook_ack_seconds.observe(self._clock.monotonic() - arrived)
        return web.Response(status=503 if outcome == "unavailable" else 200)

    async def settle(self, _app: web.Application) -> None:
        """Let appends end that are still under way."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=COMMIT_SECONDS)
        for task in list(self._pending):
            task.cancel()

    # ------------------------------------------------------------ may it be read?

    async def _trusted(self, request: web.Request) -> bytes:
        """The raw bytes, signed for our shop. Raises _RefusedError."""
        token = request.match_info["token"].encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(token, self._settings.webhook_token.reveal().encode()):
            raise _RefusedError("path", 404)
        if not self._admitted():
            raise _RefusedError("flood", 429)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _RefusedError("encoding", 415)  # what was signed would be unpacked before we see it
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = await request.read()
        except TimeoutError:
            raise _RefusedError("slow", 408) from None
        except web.HTTPRequestEntityTooLarge:
            raise _RefusedError("size", 413) from None
        self._check_signature(request.headers.getall("X-Shopify-Hmac-SHA256", []), body)
        if request.headers.get("X-Shopify-Shop-Domain", "").lower() != self._settings.shop.lower():
            raise _RefusedError("shop", 401)
        if request.headers.get("X-Shopify-API-Version", self._settings.api_version) != self._settings.api_version:
            self._metrics.api_version_mismatch.labels("shopify webhooks").inc()
        return body

    def _check_signature(self, given: Sequence[str], body: bytes) -> None:
        """Every secret is tried, whichever fits, and in constant time: how long it takes says nothing."""
        if len(given) != 1 or not given[0]:
            raise _RefusedError("signature missing", 401)
        said = given[0].encode("utf-8", "surrogateescape")
        fits = [hmac.compare_digest(_signature(secret, body), said) for secret in self._settings.webhook_secrets if secret]
        if not any(fits):
            raise _RefusedError("signature wrong", 401)
        self._metrics.webhook_signed.labels("current" if fits[0] else "previous").inc()

    def _admitted(self) -> bool:
        now = self._clock.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._at) * A_SECOND)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    # ------------------------------------------------------------ into the log

    async def _outcome(self, topic: str, body: bytes) -> str:
        secret = next(secret for secret in self._settings.webhook_secrets if secret)
        mark = marker(secret.reveal())
        told = heard(topic, body, tenant=self._tenant, shop=self._settings.shop, received_at=self._clock.now(), mark=mark)
        if isinstance(told, Ignored):
            log.debug("webhook not for us", topic=topic[:60], reason=told.reason)
            return "ignored"
        if isinstance(told.fact.event, ExceptionOpened):
            self._metrics.quarantined.labels("shopify webhooks", topic).inc()
        if len(self._pending) >= PENDING:
            return "unavailable"
        # A commit on its way is not to be called back: whoever waits for it may go, and learns that it is not known.
        task = asyncio.create_task(self._appended(Append(stream=told.stream, facts=(told.fact,))))
        self._pending[task] = None
        task.add_done_callback(self._pending.pop)
        done, _ = await asyncio.wait({task}, timeout=COMMIT_SECONDS)
        return task.result() if done else "unavailable"

    async def _appended(self, append: Append) -> str:
        try:
            return (await self._log.append(append)).outcome
        except EventIdConflictError:
            return "duplicate"  # heard before, and understood otherwise by an older version of ours
        except (*DATABASE_AWAY, TimeoutError) as error:
            log.warning("webhook not recorded", error=type(error).__name__)
            return "unavailable"


def _signature(secret: Secret, body: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret.reveal().encode(), body, hashlib.sha256))
