"""Erases people: destroys their keys and records that it was done, in one commit; and puts right what a restored backup has undone."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.inbox import Story, own_fact
from engine.log import Append, Log
from engine.ports import Clock
from engine.vault import Vault
from schemas.envelope import Envelope
from schemas.events import Personal
from schemas.events.exceptions import RawPayload
from schemas.events.orders import DeliveryAddress
from schemas.events.privacy import SubjectErased
from schemas.values import Instant

# Sealed again though the log says erased: an older copy of the keys was put back.
RESURRECTED = """
SELECT DISTINCT k.subject FROM crossdock.events e
JOIN crossdock.keys k ON k.tenant = e.tenant AND k.subject = e.stream
WHERE e.tenant = $1 AND e.type = 'subject_erased' AND k.wrapped IS NOT NULL ORDER BY k.subject
"""
# Erased though the log does not say so: an older copy of the log was put back.
UNTOLD = """
SELECT k.subject FROM crossdock.keys k
WHERE k.tenant = $1 AND k.wrapped IS NULL
    AND NOT EXISTS (SELECT FROM crossdock.events e WHERE e.tenant = $1 AND e.stream = k.subject AND e.type = 'subject_erased')
ORDER BY k.subject
"""
LIVING = "SELECT subject FROM crossdock.keys WHERE tenant = $1 AND wrapped IS NOT NULL ORDER BY subject LIMIT $2"

EVER = "SELECT stream FROM crossdock.events WHERE tenant = $1 AND type = 'subject_erased' ORDER BY position"

AT_ONCE = 500  # subjects in one commit


class Erased(Struct, frozen=True, kw_only=True):
    """What is known of one subject's erasure."""

    subject: str
    position: int  # of the event that tells of it
    event_id: UUID
    digest: str  # the log's hash there, in hexadecimal: of all that was before it, and it
    erased_at: Instant
    by: str
    reason: str
    sealed: int  # events whose sealed part is lost by it
    before: bool  # it was erased already


async def erase(
    pool: Any, log: Log, vault: Vault, clock: Clock, subjects: Mapping[str, int], *, by: str, reason: str, cause: Envelope | None = None
) -> list[Erased]:
    """Erase these, all of them or none: the keys go and the log tells of it in one commit. `subjects` says how much is sealed of each.

    Safe to repeat, whatever became of it the first time: what was erased stays told as it was told then.
    """
    told = await log.last([(subject, "") for subject in subjects], SubjectErased)
    now = clock.now()
    appends = []
    for subject, sealed in sorted(subjects.items()):
        if (subject, "") not in told:
            fact = own_fact(log.tenant, SubjectErased(subject=subject, reason=reason, sealed=sealed), subject, now, **_story(cause))
            appends.append(Append(stream=subject, facts=(replace(fact, actor=by),)))
    async with pool.acquire() as conn, conn.transaction():
        await vault.erase(conn, subjects, now)  # also of those that are told of: an older copy of the keys may be back
        verdicts = await log.append_in(conn, appends)
    if reached := max((verdict.last or 0 for verdict in verdicts if verdict.outcome == "appended"), default=0):
        log.ring(reached)
    known = await log.last([(subject, "") for subject in subjects], SubjectErased)
    return [_erased(known[subject, ""], before=(subject, "") in told) for subject in sorted(subjects)]


async def erase_all(pool: Any, log: Log, vault: Vault, clock: Clock, *, by: str, reason: str, cause: Envelope | None = None) -> int:
    """Erase every subject of the tenant, some at a time; returns how many. Cut off, it goes on where it was when it is asked again."""
    erased = 0
    while rows := await pool.fetch(LIVING, log.tenant, AT_ONCE):
        subjects = dict.fromkeys((row["subject"] for row in rows), 0)
        erased += len(await erase(pool, log, vault, clock, subjects, by=by, reason=reason, cause=cause))
    return erased


async def all_erased(pool: Any, log: Log) -> list[Erased]:
    """Everybody who ever was, in the order of it."""
    places = [(row["stream"], "") for row in await pool.fetch(EVER, log.tenant)]
    known = await log.last(places, SubjectErased)
    return [_erased(known[place], before=True) for place in places]


async def mend(pool: Any, log: Log, vault: Vault, clock: Clock) -> int:
    """After a restore, of the log or of the keys: what one of the two knows to be erased is so in the other. Returns how many differed."""
    back = [row["subject"] for row in await pool.fetch(RESURRECTED, log.tenant)]
    untold = [row["subject"] for row in await pool.fetch(UNTOLD, log.tenant)]
    found = [*back, *untold]
    for start in range(0, len(found), AT_ONCE):
        subjects = dict.fromkeys(found[start : start + AT_ONCE], 0)
        await erase(pool, log, vault, clock, subjects, by="engine", reason="erased before the log was restored")
    return len(found)


def _story(cause: Envelope | None) -> Story:
    return Story(causation_id=cause.event_id, correlation_id=cause.correlation_id) if cause is not None else Story()


def _erased(told: Envelope, *, before: bool) -> Erased:
    assert isinstance(told.event, SubjectErased)
    return Erased(
        subject=told.event.subject,
        position=told.position,
        event_id=told.event_id,
        digest=told.hash.hex(),
        erased_at=told.recorded_at,
        by=told.actor,
        reason=told.event.reason,
        sealed=told.event.sealed,
        before=before,
    )


# ---------------------------------------------------------------- whose it is


async def subjects_of(log: Log, email: str) -> dict[str, int]:
    """The subjects that have this e-mail address, and how many events have something sealed of each. Opens all that is sealed in the log:
    an index would be one more thing that knows who somebody is.
    """
    email, theirs, number = email.strip().casefold(), set(), Counter[str]()
    apart = re.compile(rf"(?<![\w.+-]){re.escape(email)}(?![\w-]|\.\w)")
    page: list[Envelope] = []
    async for envelope in log.sealed(await log.head()):
        number[envelope.subject] += 1
        page.append(envelope)
        if len(page) == AT_ONCE:
            theirs |= await _named(log, page, email, apart)
            page = []
    theirs |= await _named(log, page, email, apart)
    return {subject: number[subject] for subject in sorted(theirs)}


async def _named(log: Log, page: list[Envelope], email: str, apart: re.Pattern[str]) -> set[str]:
    opened = await log.opened(page)
    return {envelope.subject for envelope, personal in zip(page, opened, strict=True) if _names(personal, email, apart)}


def _names(personal: Personal | None, email: str, apart: re.Pattern[str]) -> bool:
    match personal:
        case DeliveryAddress(email=theirs):
            return theirs.strip().casefold() == email
        case RawPayload(body=body):
            return apart.search(body.casefold()) is not None or apart.search(_unescaped(body).casefold()) is not None
    return False


def _unescaped(body: str) -> str:
    """JSON with its escapes resolved, for an address may be written with some; "" where it is none."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body)).decode()
    except (msgspec.DecodeError, RecursionError):
        return ""
