"""What was heard, on its way into the log: repeats are dropped, contradictions are kept beside what they contradict."""

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack
from uuid import UUID

from engine.adapter import Heard
from engine.log import Append, Fence, Log, Verdict
from schemas.envelope import Fact, event_id
from schemas.events import Event, tag_of
from schemas.events.exceptions import ExceptionOpened
from schemas.values import Instant, TenantId


class Story(TypedDict, total=False):
    """What an event belongs to, and what caused it."""

    correlation_id: UUID
    causation_id: UUID


async def news(log: Log, heard: Sequence[Heard]) -> list[Heard]:
    """Without what says no more than the last event of its kind in its stream, be that in the log or among these."""
    wanted: dict[tuple[type[Event], str], list[tuple[str, str]]] = {}
    for each in heard:
        if each.same is not None:
            wanted.setdefault((type(each.fact.event), each.part), []).append((each.stream, _part(each)))
    last: dict[tuple[str, type[Event], str], Event] = {}
    for (kind, field), places in wanted.items():
        for (stream, value), envelope in (await log.last(places, kind, field)).items():
            last[stream, kind, value] = envelope.event
    kept = []
    for each in heard:
        place = (each.stream, type(each.fact.event), _part(each))
        if each.same is None or place not in last or not each.same(last[place]):
            kept.append(each)
            last[place] = each.fact.event
    return kept


def _part(heard: Heard) -> str:
    return str(getattr(heard.fact.event, heard.part)) if heard.part else ""


async def append_heard(conn: Any, log: Log, heard: Sequence[Heard], fence: Fence, now: Instant) -> int:
    """Append in the caller's transaction; nothing may follow but its commit. Raises LeaseLostError.

    Returns the last position that is new, 0 if none is: to `ring` with after the commit.

    A fact whose id is in the log with another body becomes its `otherwise`; where it has none, or that is known too, an exception.
    """
    if not heard:
        return 0
    verdicts = await log.append_in(conn, [Append(stream=each.stream, facts=(each.fact,), fence=fence) for each in heard])
    second = [
        Append(stream=each.stream, facts=(each.otherwise or _contradiction(log.tenant, verdict, now),), fence=fence)
        for each, verdict in zip(heard, verdicts, strict=True)
        if _is_contradicted(verdict)
    ]
    seconds = await log.append_in(conn, second)
    third = [
        Append(stream=verdict.append.stream, facts=(_contradiction(log.tenant, verdict, now),), fence=fence)
        for verdict in seconds
        if _is_contradicted(verdict)
    ]
    thirds = [verdict.raise_if_refused() for verdict in await log.append_in(conn, third)]
    return max((verdict.last or 0 for verdict in (*verdicts, *seconds, *thirds) if verdict.outcome == "appended"), default=0)


def own_fact(tenant: TenantId, event: Event, external_id: str, now: Instant, **story: Unpack[Story]) -> Fact:
    """Something the engine itself has to tell."""
    return Fact(event=event, event_id=event_id(tenant, "crossdock", external_id, tag_of(event)), occurred_at=now, **story)


def _is_contradicted(verdict: Verdict) -> bool:
    return verdict.outcome == "mismatch" or verdict.raise_if_refused() is not verdict


def _contradiction(tenant: TenantId, verdict: Verdict, now: Instant) -> Fact:
    [fact], stream = verdict.append.facts, verdict.append.stream
    key = f"X79:{fact.event_id}"
    summary = f"{tag_of(fact.event)} was heard again and does not say what the log has at position {verdict.first}"
    return own_fact(tenant, ExceptionOpened(key=key, code="X79", subject=stream, summary=summary), key, now)
