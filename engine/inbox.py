"""What was heard, on its way into the log: repeats are dropped, contradictions are kept beside what they contradict."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypedDict, Unpack
from uuid import UUID

from msgspec.structs import replace as struct

from engine.adapter import Heard
from engine.log import Append, Fence, Log, Verdict
from schemas.envelope import Envelope, Fact, event_id
from schemas.events import Event, Personal, tag_of
from schemas.events.exceptions import ExceptionOpened
from schemas.values import Instant, TenantId


class Story(TypedDict, total=False):
    """What an event belongs to, and what caused it."""

    correlation_id: UUID
    causation_id: UUID


class _Last(NamedTuple):
    """What was told last of something: in the log, or earlier among what was heard."""

    event: Event
    occurred_at: Instant
    place: int  # tells which of two was told later
    told: Envelope | Fact


async def news(log: Log, heard: Sequence[Heard]) -> list[Heard]:
    """Without what says no more than the last event of its kind in its stream, be that in the log or among these; or is older than that."""
    wanted: dict[tuple[type[Event], str], dict[tuple[str, str], None]] = {}
    for each in heard:
        if each.same is not None:
            for kind in _kinds(each):
                wanted.setdefault((kind, each.part), {})[each.stream, _part(each)] = None
    last: dict[tuple[str, type[Event], str, str], _Last] = {}
    for (kind, field), places in wanted.items():
        for (stream, value), envelope in (await log.last(list(places), kind, field)).items():
            last[stream, kind, field, value] = _Last(envelope.event, envelope.occurred_at, envelope.version, envelope)
    opened = await _opened(log, heard, last)
    kept = []
    for number, each in enumerate(heard, max((each.place for each in last.values()), default=0) + 1):
        known = _known(each, last)
        if each.same is None or known is None or not _is_no_news(each, each.same, known, opened):
            it = each if each.same is None or known is None else _instead(log.tenant, each, known)
            kept.append(it)
            last[it.stream, type(it.fact.event), it.part, _part(it)] = _Last(it.fact.event, it.fact.occurred_at, number, it.fact)
    return kept


def _instead(tenant: TenantId, heard: Heard, known: _Last) -> Heard:
    """Of the same moment as what it contradicts: one of the two was told wrongly.

    It may say what stood there before that, and would be taken for the fact that was told then, had it no id of its own.
    """
    if heard.fact.occurred_at != known.occurred_at:
        return heard
    identity = event_id(tenant, "instead", f"{heard.fact.event_id}:{known.told.event_id}", tag_of(heard.fact.event))
    return replace(heard, fact=struct(heard.fact, event_id=identity))


def _kinds(heard: Heard) -> Iterator[type[Event]]:
    yield type(heard.fact.event)
    if heard.beside is not None:
        yield heard.beside


def _known(heard: Heard, last: Mapping[tuple[str, type[Event], str, str], _Last]) -> _Last | None:
    found = [last.get((heard.stream, kind, heard.part, _part(heard))) for kind in _kinds(heard)]
    return max((each for each in found if each is not None), key=lambda each: each.place, default=None)


def _is_no_news(heard: Heard, same: Callable[[Event], bool], known: _Last, opened: Mapping[UUID, Personal | None]) -> bool:
    if heard.fact.occurred_at < known.occurred_at:
        return True
    if not same(known.event):
        return False
    if heard.fact.personal is None:
        return True
    if isinstance(known.told, Fact):
        return heard.fact.personal == known.told.personal
    sealed = opened.get(known.told.event_id)
    return sealed is None or sealed == heard.fact.personal  # of an erased person nothing is told again


async def _opened(log: Log, heard: Sequence[Heard], last: Mapping[tuple[str, type[Event], str, str], _Last]) -> dict[UUID, Personal | None]:
    """What is sealed beside those events to which something sealed is to be compared."""
    known = [_known(each, last) for each in heard if each.same is not None and each.fact.personal is not None]
    envelopes = [each.told for each in known if each is not None and isinstance(each.told, Envelope)]
    if not envelopes:
        return {}
    return dict(zip((each.event_id for each in envelopes), await log.opened(envelopes), strict=True))


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
