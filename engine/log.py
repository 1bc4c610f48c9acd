"""The log of one tenant: append, read, follow."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Literal
from uuid import UUID

import anyio
import anyio.lowlevel
import asyncpg
from msgspec import Struct

from engine import codec
from engine.bell import Bell, Wake
from engine.errors import ConflictError, EventIdConflictError, LeaseLostError, SchemaError
from engine.group import GroupCommit
from engine.line import Line
from engine.metrics import Metrics
from engine.ports import Clock
from engine.together import Together
from engine.vault import Key, Vault
from schemas.envelope import Envelope, Fact
from schemas.events import Event, Personal, tag_of
from schemas.values import Instant, TenantId

GROUP_EVENTS = 1_000  # in one commit, unless a single append brings more; larger groups gain nothing
RESEND_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)  # seconds of the event loop; a database that restarts is back within these
RESEND_SECONDS = 15.0  # likewise; after which it is not sent again, and whoever waits is told
ACTOR = "engine"  # where nobody else is said to have told; migrations/0006_append.sql knows it too
SOUGHT_AT_ONCE = 50_000  # events looked through by one statement, which takes about a tenth of a second
PAGE_EVENTS = 4_000  # some 2 MB: as fast as larger ones, and small enough for anybody's memory


class Fence(Struct, frozen=True):
    """Append only while this lease is in this epoch."""

    lease: str
    epoch: int


class Append(Struct, frozen=True, kw_only=True):
    """Events for one stream: all of them or none."""

    stream: str
    facts: tuple[Fact, ...]
    expected: int | None = None  # version the stream must be at, 0 for a new one; None: wherever it is
    fence: Fence | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of an append.

    `duplicate` is as good as `appended`: every event of it was in the log before. By the other three nothing was added.
    """

    outcome: Literal["appended", "duplicate", "mismatch", "conflict", "fenced"]
    append: Append
    first: int | None  # positions of the first and last event that was new; of a duplicate, where they are; of a mismatch, of the known one
    last: int | None
    version: int  # the stream's, now
    known_event: UUID | None = None  # of a mismatch: it is in the log with another body …
    known_data: str | None = None  # … which is this

    def raise_if_refused(self) -> "Verdict":
        """Raises ConflictError, LeaseLostError or EventIdConflictError; returns itself where the events are in the log."""
        match self.outcome:
            case "conflict":
                raise ConflictError(self.append.stream, self.append.expected or 0, self.version)
            case "fenced":
                lease = self.append.fence.lease if self.append.fence else ""
                raise LeaseLostError(f"the lease {lease} is in another epoch; nothing was appended to {self.append.stream}")
            case "mismatch":
                assert self.known_event is not None and self.known_data is not None and self.first is not None
                offered = next(fact.event for fact in self.append.facts if fact.event_id == self.known_event)
                raise EventIdConflictError(self.known_event, self.first, self.known_data, codec.encode(offered)[2])
        return self


class Page(Struct, frozen=True, kw_only=True):
    """A run of events, in order, without a gap."""

    after: int  # the position before its first event
    last: int  # the position of its last one; `after` where the page is empty
    events: Sequence[Event]
    recorded_at: Instant | None  # of its last one
    positions: Sequence[int] = ()  # of each, where they are not all of the run: some shards only
    event_ids: Sequence[UUID] = ()  # where asked for
    correlation_ids: Sequence[UUID] = ()

    @property
    def places(self) -> Sequence[int]:
        """The position of each event."""
        return self.positions or range(self.after + 1, self.last + 1)


class _Parcel(Struct, frozen=True):
    """An append as it is sent."""

    append: Append
    stream: str
    rows: Sequence[tuple[Any, ...]]  # an event's arguments, in the order of APPEND


APPEND = """
SELECT reached, verdicts, first_positions, last_positions, stream_versions, known_events, known_data
FROM crossdock.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""

# The short way, which nearly all that comes alone can go; null: it could not, and nothing was added.
APPEND_ONE = "SELECT crossdock.append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"

HEAD = "SELECT position FROM crossdock.heads WHERE tenant = $1"

READ = """
SELECT position, stream, version, event_id, type, schema_version, data, subject, sealed, occurred_at, recorded_at,
    correlation_id, causation_id, actor, hash
FROM crossdock.events WHERE tenant = $1 AND position > $2 AND position <= $3 ORDER BY position
"""

READ_STREAM = """
SELECT position, stream, version, event_id, type, schema_version, data, subject, sealed, occurred_at, recorded_at,
    correlation_id, causation_id, actor, hash
FROM crossdock.events WHERE tenant = $1 AND stream = $2 AND version > $3 ORDER BY version
"""

READ_NAMING = """
SELECT position, stream, version, event_id, type, schema_version, data, subject, sealed, occurred_at, recorded_at,
    correlation_id, causation_id, actor, hash
FROM crossdock.events
WHERE tenant = $1 AND position > $2 AND position <= $3
    AND EXISTS (SELECT FROM unnest($4::text[]) AS sought (name) WHERE strpos(data::text, sought.name) > 0)
ORDER BY position
"""

READ_SEALED = """
SELECT position, stream, version, event_id, type, schema_version, data, subject, sealed, occurred_at, recorded_at,
    correlation_id, causation_id, actor, hash
FROM crossdock.events WHERE tenant = $1 AND position > $2 AND position <= $3 AND sealed IS NOT NULL ORDER BY position
"""

LAST = """
SELECT s.part, e.position, e.stream, e.version, e.event_id, e.type, e.schema_version, e.data, e.subject, e.sealed, e.occurred_at,
    e.recorded_at, e.correlation_id, e.causation_id, e.actor, e.hash
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS s (stream, part, place)
CROSS JOIN LATERAL (
    SELECT * FROM crossdock.events
    WHERE tenant = $1 AND stream = s.stream AND type = $4 AND ($5 = '' OR data ->> $5 = s.part)
    ORDER BY version DESC LIMIT 1
) AS e
ORDER BY s.place
"""

# One text of many events, to be decoded by one call. $4 and $5 are codec.RAISED and codec.CURRENT.
PAGE = """
SELECT
    count(*) AS found,
    max(position) AS last,
    max(recorded_at) AS recorded_at,
    bool_or(CASE WHEN schema_version = 1 THEN type = any($4) ELSE type || ':' || schema_version <> all($5) END) AS outdated,
    json_agg(data) AS data
FROM (
    SELECT position, recorded_at, schema_version, type, data
    FROM crossdock.events WHERE tenant = $1 AND position > $2 AND position <= $3 ORDER BY position
) AS page
"""

PAGE_WITH_IDS = """
SELECT
    count(*) AS found,
    max(position) AS last,
    max(recorded_at) AS recorded_at,
    bool_or(CASE WHEN schema_version = 1 THEN type = any($4) ELSE type || ':' || schema_version <> all($5) END) AS outdated,
    json_agg(data) AS data,
    array_agg(event_id) AS event_ids,
    array_agg(correlation_id) AS correlation_ids
FROM (
    SELECT position, recorded_at, schema_version, type, data, event_id, correlation_id
    FROM crossdock.events WHERE tenant = $1 AND position > $2 AND position <= $3 ORDER BY position
) AS page
"""

PAGE_OF_SHARDS = """
SELECT
    count(*) AS found,
    max(recorded_at) AS recorded_at,
    bool_or(CASE WHEN schema_version = 1 THEN type = any($4) ELSE type || ':' || schema_version <> all($5) END) AS outdated,
    json_agg(data) AS data,
    array_agg(position) AS positions
FROM (
    SELECT position, recorded_at, schema_version, type, data
    FROM crossdock.events WHERE tenant = $1 AND position > $2 AND position <= $3 AND shard = any($6) ORDER BY position
) AS page
"""

PAGE_SLOWLY = """
SELECT type, schema_version, data FROM crossdock.events
WHERE tenant = $1 AND position > $2 AND position <= $3 AND ($4::smallint[] IS NULL OR shard = any($4)) ORDER BY position
"""


class Log:
    """The log of one tenant, as this process sees it. `bell` may be shared by the logs of all tenants on the same pool."""

    def __init__(self, pool: Any, tenant: TenantId, vault: Vault, clock: Clock, metrics: Metrics, *, bell: Bell | None = None) -> None:
        self.tenant = tenant
        self._pool, self._vault, self._clock, self._metrics = pool, vault, clock, metrics
        self._bell = bell or Bell(pool)
        self._position, self._conflicts = metrics.log_position.labels(tenant), metrics.event_id_conflict.labels(tenant)
        self._seconds = metrics.log_append_seconds
        self._group = GroupCommit(
            self._send,
            lambda error: not _is_passing(error),
            size=lambda parcel: len(parcel.rows),
            limit=GROUP_EVENTS,
        )
        self._line = Line(pool)
        self._reading = Together[tuple[int, int, int, bool], Page]()
        # Held from the look at what was told last to the commit of what is news: else somebody's later news comes in between, and what was
        # told last is not what was true last.
        self.hearing = anyio.Lock()
        self.refused: tuple[float, str] | None = None  # when (monotonic) and by which error an append failed, if the last one did

    # ------------------------------------------------------------ append

    async def append(self, append: Append) -> Verdict:
        """Append and commit; on return it is durable. Raises ConflictError, LeaseLostError or EventIdConflictError.

        When the database goes away the append is sent again, for the event ids tell what had been committed. When it stays away the
        database's own error is raised, and the append may or may not be in the log: append it again.
        """
        if any(fact.personal is not None for fact in append.facts):
            [parcel] = await self._pack([append])
        else:
            parcel = self._packed(append, {})
        verdict = await self._group.commit(parcel)
        if verdict.outcome == "mismatch":
            self._conflicts.inc()
        return verdict.raise_if_refused()

    async def append_in(self, conn: Any, appends: Sequence[Append]) -> list[Verdict]:
        """Append in the caller's transaction, to be committed with it; a verdict for each append, and no error for a refused one.

        From here to its commit nobody else appends for this tenant: take row locks (a checkpoint's) before, never after, and change no
        lease in the same transaction. Call `ring` after the commit.
        """
        if not appends:
            return []
        _, verdicts = await self._ask(conn, await self._pack(appends, conn))
        self._conflicts.inc(sum(verdict.outcome == "mismatch" for verdict in verdicts))
        return verdicts

    def ring(self, position: int | None = None) -> None:
        """Wake those of this process who follow the log; those who were told of a position already are left alone."""
        self._bell.ring(self.tenant, position)

    async def _pack(self, appends: Sequence[Append], conn: Any = None) -> list[_Parcel]:
        subjects = {codec.clean(fact.subject) for append in appends for fact in append.facts if fact.personal is not None}
        keys = await self._vault.keys_for(subjects, self._clock.now(), conn) if subjects else {}
        return [self._packed(append, keys) for append in appends]

    def _packed(self, append: Append, keys: Mapping[str, Key | None]) -> _Parcel:
        if not append.facts:
            raise ValueError("an append brings at least one fact")
        stream = codec.clean(append.stream)
        return _Parcel(append, stream, [self._row(stream, fact, keys) for fact in append.facts])

    def _row(self, stream: str, fact: Fact, keys: Mapping[str, Key | None]) -> tuple[Any, ...]:
        tag, schema_version, data = codec.encode(fact.event)
        subject, sealed = codec.clean(fact.subject), None
        if fact.personal is not None:
            sealed = self._vault.seal(keys[subject], stream, fact.event_id, fact.personal)
        actor = codec.clean(fact.actor)
        return fact.event_id, tag, schema_version, data, subject, sealed, fact.occurred_at, fact.correlation_id, fact.causation_id, actor

    def _arguments(self, parcels: Sequence[_Parcel]) -> list[Any]:
        """Of APPEND. A column in which nothing is out of the ordinary is not sent: encoding takes longer than anything else here."""
        appends = [parcel.append for parcel in parcels]
        fences = [append.fence for append in appends]
        fenced = any(fences)
        ids, tags, versions, data, subjects, sealed, occurred, correlations, causes, actors = zip(
            *[row for parcel in parcels for row in parcel.rows], strict=True
        )
        return [
            self.tenant,
            self._clock.now(),
            [parcel.stream for parcel in parcels],
            None if len(ids) == len(parcels) else [len(append.facts) for append in appends],
            _unless_all(None, [append.expected for append in appends]),
            [fence and fence.lease for fence in fences] if fenced else None,
            [fence and fence.epoch for fence in fences] if fenced else None,
            ids,
            tags,
            _unless_all(1, versions),
            data,
            _unless_all("", subjects),
            _unless_all(None, sealed),
            occurred,
            _unless_all(None, correlations),
            _unless_all(None, causes),
            _unless_all(ACTOR, actors),
            len(set(ids)) == len(ids) and len({parcel.stream for parcel in parcels}) == len(parcels),
        ]

    async def _ask(self, conn: Any, parcels: Sequence[_Parcel]) -> tuple[int | None, list[Verdict]]:
        """Where the log ends now, None if nothing was added; and what became of each. `conn`: a connection or a line."""
        if len(parcels) == 1 and len(parcels[0].rows) == 1:
            [parcel] = parcels
            append, [row] = parcel.append, parcel.rows
            lease, epoch = (append.fence.lease, append.fence.epoch) if append.fence else (None, None)
            place = await conn.fetchval(APPEND_ONE, self.tenant, self._clock.now(), parcel.stream, append.expected, lease, epoch, *row)
            if place is not None:
                position, version = place
                return position, [Verdict(outcome="appended", append=append, first=position, last=position, version=version)]
        answer = await conn.fetchrow(APPEND, *self._arguments(parcels))
        return answer["reached"], _verdicts(parcels, answer)

    async def _send(self, parcels: Sequence[_Parcel]) -> list[Verdict]:
        """One commit. Sent again while the error is one that passes."""
        began = self._clock.monotonic()
        pauses = iter(RESEND_PAUSES)
        answer = None
        while answer is None:
            try:
                answer = await self._ask(self._line, parcels)
            except Exception as error:
                pause = next(pauses, None)
                if pause is None or not _is_passing(error) or self._since(began) > RESEND_SECONDS:
                    self.refused = (self._clock.monotonic(), type(error).__name__)
                    raise
                await self._clock.sleep(pause / self._clock.loop_seconds(1.0))  # played fast or not, a database needs its time
        self._seconds.observe(self._since(began))
        self.refused = None
        reached, verdicts = answer
        if reached:
            self._position.set(reached)
            self._bell.ring(self.tenant, reached)
        return verdicts

    def _since(self, began: float) -> float:
        """In seconds of the event loop."""
        return self._clock.loop_seconds(self._clock.monotonic() - began)

    # ------------------------------------------------------------ read

    async def head(self) -> int:
        """The last position; 0 while the log is empty."""
        async with self._pool.acquire() as conn:
            return await conn.fetchval(HEAD, self.tenant) or 0

    async def read(self, after: int, limit: int = PAGE_EVENTS) -> list[Envelope]:
        """The events after a position, whole."""
        return await self._envelopes(READ, after, after + limit)

    async def read_stream(self, stream: str, after: int = 0) -> list[Envelope]:
        """The events of a stream after a version, whole."""
        return await self._envelopes(READ_STREAM, codec.clean(stream), after)

    async def naming(self, names: Collection[str], upto: int) -> AsyncGenerator[Envelope, None]:
        """Every event up to a position in whose body one of these names stands, as a text or a key. Looks through the whole log."""
        sought = [codec.to_json(name).decode() for name in names]
        for after in range(0, upto, SOUGHT_AT_ONCE):
            for envelope in await self._envelopes(READ_NAMING, after, min(after + SOUGHT_AT_ONCE, upto), sought):
                yield envelope

    async def sealed(self, upto: int) -> AsyncGenerator[Envelope, None]:
        """Every event up to a position beside which something is sealed. Looks through the whole log."""
        for after in range(0, upto, PAGE_EVENTS):
            for envelope in await self._envelopes(READ_SEALED, after, min(after + PAGE_EVENTS, upto)):
                yield envelope

    async def last(self, places: Sequence[tuple[str, str]], kind: type[Event], field: str = "") -> dict[tuple[str, str], Envelope]:
        """The last event of a kind for each (stream, part) that has one: its `field` reads like the part. Without a field any will do."""
        streams, parts = zip(*sorted(set(places)), strict=True) if places else ((), ())
        async with self._pool.acquire() as conn:
            rows = await conn.fetch(LAST, self.tenant, streams, parts, tag_of(kind), field)
        return {(row["stream"], row["part"]): self._envelope(row) for row in rows}

    async def page(
        self, after: int, limit: int = PAGE_EVENTS, upto: int | None = None, *, ids: bool = False, line: Line | None = None
    ) -> Page:
        """The next events for a fold, at most `limit` and none after `upto`; with their ids and correlation ids if asked for.

        A commit wakes all who follow, and all ask for the same: it is read and decoded once. Who has heard of a later commit reads anew.
        Raises SchemaError if one cannot be read, or is missing. Those that only a newer version of us knows are UnknownEvents.
        """
        place = (after, after + limit if upto is None else min(after + limit, upto), self._bell.rings)
        ids = ids or (*place, True) in self._reading

        async def read() -> Page:
            return await self._page(await self._fetch(*place[:2], ids=ids, line=line), after, ids=ids)

        return await self._reading.read((*place, ids), read)

    async def pages(
        self, after: int, upto: int, limit: int = PAGE_EVENTS, *, shards: Sequence[int] | None = None
    ) -> AsyncGenerator[Page, None]:
        """Every page from a position to another; the next one is on its way while this one is decoded and folded.

        Close it (`contextlib.aclosing`). Raises as `page` does; but of some shards only, nothing shows whether one is missing: whoever
        has folded all of them must count.
        """
        if after >= upto:
            return
        to = min(after + limit, upto)
        coming = asyncio.create_task(self._fetch(after, to, shards=shards))
        try:
            while after < upto:
                row, following = await coming, min(to + limit, upto)
                if to < upto:
                    coming = asyncio.create_task(self._fetch(to, following, shards=shards))
                    await anyio.lowlevel.checkpoint()  # it sets out before we decode
                page = await (self._page(row, after) if shards is None else self._page_of_shards(row, after, to, shards))
                if page.events:
                    yield page
                if page.last < to:
                    if (head := await self.head()) > page.last:
                        raise _missing(page.last, min(head, to))
                    return
                after, to = to, following
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await coming

    async def _fetch(
        self, after: int, to: int, *, ids: bool = False, line: Line | None = None, shards: Sequence[int] | None = None
    ) -> Mapping[str, Any]:
        bounds = (self.tenant, after, to, codec.RAISED, codec.CURRENT)
        if shards is not None:
            row: Mapping[str, Any] = await self._pool.fetchrow(PAGE_OF_SHARDS, *bounds, shards)
        else:
            row = await (line or self._pool).fetchrow(PAGE_WITH_IDS if ids else PAGE, *bounds)
        return row

    async def _page_of_shards(self, row: Mapping[str, Any], after: int, to: int, shards: Sequence[int]) -> Page:
        events = None if row["outdated"] else codec.decode_page(row["data"] or "[]")
        if events is None:
            events = await self._one_by_one(after, to, shards)
        return Page(after=after, last=to, events=events, recorded_at=row["recorded_at"], positions=row["positions"] or ())

    async def _page(self, row: Mapping[str, Any], after: int, *, ids: bool = False) -> Page:
        last = row["last"] or after
        if row["found"] != last - after:
            raise _missing(after, last)
        events = None if row["outdated"] else codec.decode_page(row["data"] or "[]")
        return Page(
            after=after,
            last=last,
            events=await self._one_by_one(after, last) if events is None else events,
            recorded_at=row["recorded_at"],
            event_ids=row["event_ids"] or () if ids else (),
            correlation_ids=row["correlation_ids"] or () if ids else (),
        )

    async def opened(self, envelopes: Sequence[Envelope]) -> list[Personal | None]:
        """What is sealed beside each of these; None: nothing, or its key is gone."""
        return await self._vault.open_all(envelopes)

    async def erased(self, envelopes: Sequence[Envelope]) -> set[UUID]:
        """Those of these events beside which something was sealed that nobody can read any more."""
        sealed = [envelope for envelope in envelopes if envelope.sealed is not None]
        gone = await self._vault.erased({envelope.subject for envelope in sealed}) if sealed else set()
        return {envelope.event_id for envelope in sealed if envelope.subject in gone}

    def listen(self) -> AbstractAsyncContextManager[Wake]:
        """`async with log.listen() as wake:`, then `await wake(seconds)` returns at the next commit, or after so many seconds."""
        return self._bell.listen(self.tenant)

    async def _one_by_one(self, after: int, last: int, shards: Sequence[int] | None = None) -> list[Event]:
        async with self._pool.acquire() as conn:
            rows = await conn.fetch(PAGE_SLOWLY, self.tenant, after, last, shards)
        return [codec.decode(row["type"], row["schema_version"], row["data"], self._metrics) for row in rows]

    async def _envelopes(self, statement: str, *arguments: Any) -> list[Envelope]:
        async with self._pool.acquire() as conn:
            rows = await conn.fetch(statement, self.tenant, *arguments)
        return [self._envelope(row) for row in rows]

    def _envelope(self, row: Mapping[str, Any]) -> Envelope:
        return Envelope(
            tenant=self.tenant,
            position=row["position"],
            stream=row["stream"],
            version=row["version"],
            event_id=row["event_id"],
            event=codec.decode(row["type"], row["schema_version"], row["data"], self._metrics),
            schema_version=row["schema_version"],
            occurred_at=row["occurred_at"],
            recorded_at=row["recorded_at"],
            correlation_id=row["correlation_id"],
            causation_id=row["causation_id"],
            actor=row["actor"],
            subject=row["subject"],
            sealed=row["sealed"],
            data=row["data"],
            hash=row["hash"],
        )


def _unless_all(value: object, column: Sequence[Any]) -> Sequence[Any] | None:
    return None if column.count(value) == len(column) else column


def _verdicts(parcels: Sequence[_Parcel], row: Mapping[str, Any]) -> list[Verdict]:
    """The answer of APPEND, told apart."""
    _, outcomes, firsts, lasts, versions, known_events, known_data = row.values()
    if outcomes is not None:
        columns = zip(parcels, outcomes, firsts, lasts, versions, known_events, known_data, strict=True)
        return [
            Verdict(outcome=outcome, append=parcel.append, first=first, last=last, version=version, known_event=event, known_data=data)
            for parcel, outcome, first, last, version, event, data in columns
        ]
    verdicts, last = [], row["reached"] - sum(len(parcel.rows) for parcel in parcels)
    for parcel, version in zip(parcels, versions, strict=True):
        first, last = last + 1, last + len(parcel.rows)
        verdicts.append(Verdict(outcome="appended", append=parcel.append, first=first, last=last, version=version))
    return verdicts


def _missing(after: int, upto: int) -> SchemaError:
    return SchemaError(f"events are missing from the log after position {after}, up to {upto}: run `crossdock verify`")


def _is_passing(error: Exception) -> bool:
    """Whether the same call may well succeed in a moment: a lost connection, a restart, a lock. What it had done, its ids tell."""
    match error:
        case asyncpg.InterfaceError():
            return not isinstance(error, ValueError)  # an argument that cannot be sent at all
        case (
            asyncpg.PostgresConnectionError()
            | asyncpg.OperatorInterventionError()
            | asyncpg.TransactionRollbackError()
            | asyncpg.LockNotAvailableError()
            | asyncpg.TooManyConnectionsError()
            | asyncpg.InternalClientError()  # its session has just been ended, and it knows only half of it
            | OSError()
        ):
            return True
    return False
