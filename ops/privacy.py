"""Does what Shopify's privacy webhooks ask: forgets people by itself, and lets nobody forget those who want to know what is held."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from msgspec import Struct
from msgspec.structs import replace

from engine.erasure import erase, erase_all, mend, subjects_of
from engine.errors import EngineError, EventIdConflictError
from engine.inbox import Story, own_fact
from engine.log import Append, Log
from engine.metrics import Metrics
from engine.ports import Clock
from engine.vault import Vault
from projections.kinds import opened
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved
from schemas.events.privacy import PrivacyAnswered, PrivacyAsked, PrivacyAsker

EVERY = 5.0  # seconds of the event loop between two looks; thirty days are allowed
PATIENCE = 3600.0  # seconds that an erasure may be under way before people are told

# The tags stand here, for only then is the index used that holds nothing else.
UNANSWERED = """
SELECT stream FROM crossdock.events asked
WHERE tenant = $1 AND type = 'privacy_asked' AND NOT EXISTS (
    SELECT FROM crossdock.events WHERE tenant = $1 AND stream = asked.stream AND type = 'privacy_answered'
)
ORDER BY position
"""
OURS = """
SELECT 'order-' || key AS stream FROM projections.orders WHERE tenant = $1 AND document->>'shop_order' = any($2::text[]) ORDER BY key
"""
FOLDED = "SELECT position FROM crossdock.checkpoints WHERE tenant = $1 AND name = 'orders'"
SEALED = "SELECT count(*) FROM crossdock.events WHERE tenant = $1 AND stream = $2 AND sealed IS NOT NULL"

REASON = "asked for through Shopify"

logger = structlog.get_logger()


class Request(Struct, frozen=True):
    """One that is not answered yet."""

    asked: PrivacyAsked
    envelope: Envelope
    told: bool  # to people
    settled: bool  # by a person, elsewhere

    @property
    def key(self) -> str:
        """Of the exception that tells of it."""
        return f"X90:{self.asked.request}"


async def unanswered(pool: Any, log: Log) -> list[Request]:
    """The oldest first."""
    found = []
    for row in await pool.fetch(UNANSWERED, log.tenant):
        events = await log.read_stream(row["stream"])
        told = any(isinstance(each.event, ExceptionOpened) for each in events)
        settled = any(isinstance(each.event, ExceptionResolved) for each in events)
        found += [Request(each.event, each, told, settled) for each in events if isinstance(each.event, PrivacyAsked)]
    return found


async def concerned(pool: Any, log: Log, request: Request) -> dict[str, int]:
    """Whom it is about: every subject of the orders that are named and are ours, and of the e-mail address. How much is sealed of each."""
    streams = [row["stream"] for row in await pool.fetch(OURS, log.tenant, list(request.asked.orders))]
    subjects = {stream: await pool.fetchval(SEALED, log.tenant, stream) for stream in streams}
    [asker] = await log.opened([request.envelope])
    if isinstance(asker, PrivacyAsker):
        subjects |= await subjects_of(log, asker.email)
    return subjects


async def answer(log: Log, request: Request, *events: Event, clock: Clock, actor: str = "engine") -> None:
    """Tell what was done about it, in its own stream. Whoever else has told it already is believed."""
    stream, cause = request.asked.request, request.envelope.event_id
    story, now = Story(causation_id=cause, correlation_id=cause), clock.now()
    facts = tuple(
        replace(own_fact(log.tenant, event, f"{stream}:{getattr(event, 'key', '')}", now, **story), actor=actor) for event in events
    )
    with suppress(EventIdConflictError):
        await log.append(Append(stream=stream, facts=facts))


class Privacy:
    """Runs in every engine; two that do the same at once do it once."""

    def __init__(self, pool: Any, log: Log, vault: Vault, clock: Clock, metrics: Metrics, *, every: float = EVERY) -> None:
        self._pool, self._log, self._vault, self._clock, self._metrics, self._every = pool, log, vault, clock, metrics, every

    async def run(self) -> None:
        """Until cancelled."""
        if differed := await mend(self._pool, self._log, self._vault, self._clock):
            logger.warning("erasures made good after a restore", subjects=differed)
        while True:
            await self.look()
            await self._clock.sleep(self._every / self._clock.loop_seconds(1.0))

    async def look(self) -> None:
        """Do what is asked and not yet done."""
        for request in await unanswered(self._pool, self._log):
            try:
                await self._do(request)
            except EngineError as error:
                logger.warning("a privacy request cannot be carried out", request=request.asked.request, error=type(error).__name__)
                await self._tell(request, f"it fails with {type(error).__name__}")
        left = await unanswered(self._pool, self._log)
        ages = [(self._clock.now() - request.asked.asked_at).total_seconds() for request in left]
        self._metrics.erasure_oldest_seconds.labels(self._log.tenant).set(max(ages, default=0.0))

    async def _do(self, request: Request) -> None:
        asked, stream = request.asked, request.asked.request
        if request.settled:
            await self._forget(request, {})
            await self._answer(request, PrivacyAnswered(request=stream, subjects=0, reason="settled by a person"))
        elif asked.kind == "disclose":
            await self._tell(request, f"crossdock disclose {stream} --out FILE, and hand that over")
        elif asked.kind == "erase_all":
            number = await erase_all(self._pool, self._log, self._vault, self._clock, by="shopify", reason=REASON, cause=request.envelope)
            told = opened("X90", stream, "the shop has removed us and everything personal is erased: stop the engine", part="gone")
            await self._answer(request, PrivacyAnswered(request=stream, subjects=number), told)
        elif (await self._pool.fetchval(FOLDED, self._log.tenant) or 0) >= request.envelope.position:
            subjects = await concerned(self._pool, self._log, request)
            await self._forget(request, subjects)
            await self._answer(request, PrivacyAnswered(request=stream, subjects=len(subjects)))
        elif (self._clock.now() - asked.asked_at).total_seconds() > PATIENCE:
            await self._tell(request, "the orders are not folded up to it yet")

    async def _forget(self, request: Request, subjects: Mapping[str, int]) -> None:
        """These, and who it was that asked."""
        asker = {request.asked.request: 1} if request.envelope.sealed is not None else {}
        if every := {**subjects, **asker}:
            await erase(self._pool, self._log, self._vault, self._clock, every, by="shopify", reason=REASON, cause=request.envelope)

    async def _answer(self, request: Request, *events: Event) -> None:
        closed = ExceptionClosed(key=request.key, reason="answered", subject=request.asked.request)
        await answer(self._log, request, *events, *([closed] if request.told and not request.settled else []), clock=self._clock)

    async def _tell(self, request: Request, what: str) -> None:
        """A person, once."""
        if request.told:
            return
        asks = "wants to know what is held of them" if request.asked.kind == "disclose" else "wants to be forgotten"
        trouble = opened("X90", request.asked.request, f"somebody {asks}: {what}", deadline=request.asked.due_at)
        await answer(self._log, request, trouble, clock=self._clock)
