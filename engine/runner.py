"""Carries folds forward, batch by batch: a batch's rows, its checkpoint and the commands it leads to are committed together."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeAlias, TypeVar

import asyncpg
import msgspec
from msgspec import Struct

from engine.alarm import Alarm
from engine.errors import ConflictError, SchemaError
from engine.line import Line
from engine.log import Log, Page
from engine.metrics import Metrics
from engine.outbox import Connection, Intent, issue
from engine.ports import DATABASE_REFUSES, Clock
from engine.projection import Policy, Projection
from schemas.events import UnknownEvent, tag_of
from schemas.values import Instant, TenantId

S = TypeVar("S", bound=Struct)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

BATCH = 1_000  # events in one commit: more gains little, and makes those who wait for the rows wait longer
CHUNK = 5_000  # rows in one statement
PATIENCE = 5  # times in a row that the database refuses a batch before people are told: a table may be changing hands
INDEXING = 600.0  # seconds of the event loop for a table or an index to be made, its lock waited for
TICK = 1.0  # seconds of the event loop; how late a wake-up that went astray is made good

# Sets in order, and keys of maps too: equal documents are equal texts, whichever way they came about.
encode = msgspec.json.Encoder(order="deterministic").encode

WAIT_LONG = "SET lock_timeout = '600s'"
WAIT_AS_BEFORE = "RESET lock_timeout"
STANDS = "SELECT position, swaps FROM crossdock.checkpoints WHERE tenant = $1 AND name = $2"
BEGIN = "INSERT INTO crossdock.checkpoints (tenant, name, position, swaps) VALUES ($1, $2, 0, 0) ON CONFLICT (tenant, name) DO NOTHING"


class Table:
    """A table of documents, and what it is asked. Its name is ours and checked: the one place where a statement is put together."""

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,58}", name):
            raise ValueError(f"not a table's name: {name!r}")
        self.name = name

        def sql(text: str) -> str:
            return text.replace("{table}", f"projections.{name}")

        def columns(document: str) -> str:
            return f'tenant text NOT NULL, key text COLLATE "C" NOT NULL, document {document} NOT NULL, position bigint NOT NULL'

        self.make = sql(f"CREATE TABLE IF NOT EXISTS {{table}} ({columns('json')}, PRIMARY KEY (tenant, key))")
        # Whether it is JSON is looked at when it takes the place of the living rows, not while a rebuild is waited for.
        self.make_shadow = sql(f"CREATE UNLOGGED TABLE {{table}} ({columns('text')})")
        self.index = sql(f"CREATE UNIQUE INDEX IF NOT EXISTS {name}_key ON {{table}} (tenant, key)")
        self.drop = sql("DROP TABLE IF EXISTS {table}")
        self.read = sql("SELECT key, document FROM {table} WHERE tenant = $1 AND key = any($2::text[]) ORDER BY key")
        self.named = sql("SELECT key, document, position FROM {table} WHERE tenant = $1 AND strpos(key, $2) > 0 ORDER BY key")
        # Rows and checkpoint at once. The row lock is the lease: held by one worker, given up by commit, crash or disconnection alike.
        # Where no command depends on it ($9), nobody waits for the disk: rows and checkpoint that a crash takes are folded again.
        self.move = sql("""
            WITH taken AS (
                SELECT name FROM crossdock.checkpoints
                WHERE tenant = $1 AND name = $5 AND position = $6 AND swaps = $7
                    AND ($9 OR set_config('synchronous_commit', 'off', true) IS NOT NULL)
                FOR UPDATE SKIP LOCKED
            ), put AS (
                INSERT INTO {table} (tenant, key, document, position)
                SELECT $1, new.key, new.document::json, new.position
                FROM taken, unnest($2::text[], $3::text[], $4::bigint[]) AS new (key, document, position)
                ON CONFLICT (tenant, key) DO UPDATE SET document = excluded.document, position = excluded.position
            )
            UPDATE crossdock.checkpoints c SET position = $8 FROM taken WHERE c.tenant = $1 AND c.name = taken.name RETURNING c.position
        """)
        self.put = sql("""
            INSERT INTO {table} (tenant, key, document, position)
            SELECT $1, new.key, new.document::json, new.position
            FROM unnest($2::text[], $3::text[], $4::bigint[]) AS new (key, document, position)
            ON CONFLICT (tenant, key) DO UPDATE SET document = excluded.document, position = excluded.position
        """)
        self.empty = sql("DELETE FROM {table} WHERE tenant = $1")
        self.count = sql("SELECT count(*) FROM {table} WHERE tenant = $1")
        self.lines = sql('SELECT key, position, document FROM {table} WHERE tenant = $1 ORDER BY key COLLATE "C"')

    def index_by(self, by: str, what: str) -> str:
        return f"CREATE INDEX IF NOT EXISTS {self.name}_{by} ON projections.{self.name} {what}"

    def fill_from(self, other: "Table") -> str:
        return (
            f"INSERT INTO projections.{self.name} (tenant, key, document, position) "  # noqa: S608 - both names are checked
            f"SELECT tenant, key, document::json, position FROM projections.{other.name} WHERE tenant = $1 ORDER BY key"
        )

    def difference_from(self, other: "Table") -> str:
        return f"""
            SELECT coalesce(mine.key, theirs.key) AS key, mine.document AS mine, theirs.document AS theirs,
                mine.position AS my_position, theirs.position AS their_position
            FROM (SELECT * FROM projections.{self.name} WHERE tenant = $1) mine
            FULL JOIN (SELECT * FROM projections.{other.name} WHERE tenant = $1) theirs ON mine.key = theirs.key
            WHERE mine.document::text IS DISTINCT FROM theirs.document::text OR mine.position IS DISTINCT FROM theirs.position
            ORDER BY 1 LIMIT 1
        """  # noqa: S608 - as above


async def ensure_tables(conn: Connection, projections: Iterable[Projection[Any]]) -> None:
    """Make the tables and indexes that are missing, however long that takes among many rows. Two processes at once may both try."""
    await conn.execute(WAIT_LONG)
    for projection in projections:
        table = Table(projection.name)
        for statement in (table.make, *(table.index_by(by, what) for by, what in projection.indexes)):
            with suppress(asyncpg.UniqueViolationError, asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError):  # the other was quicker
                await conn.execute(statement, timeout=INDEXING)
    await conn.execute(WAIT_AS_BEFORE)


# ---------------------------------------------------------------- the fold


@cache
def _decoder(state: type[S]) -> "msgspec.json.Decoder[S]":
    return msgspec.json.Decoder(state)


@cache
def table_of(name: str) -> "Table":
    """Put together once: a batch is folded in less time than its statements are written."""
    return Table(name)


@dataclass
class Rows(Generic[S]):
    """Documents of a projection in memory, and which of them a fold has changed, by which event last."""

    projection: Projection[S]
    documents: dict[str, S] = field(default_factory=dict)  # key -> document
    changed: dict[str, int] = field(default_factory=dict)  # key -> position

    def __post_init__(self) -> None:
        self.decode: Callable[[bytes | str], S] = _decoder(self.projection.state).decode
        self.missing = self.projection.initial  # makes the document of a key that is not here

    def touched(self, page: Page) -> list[tuple[str, ...]]:
        """The keys that each event of a page concerns."""
        keys, found = self.projection.keys, list[tuple[str, ...]]()
        try:
            found.extend(tuple(keys(event)) for event in page.events)  # how far it came tells which event is at fault
        except Exception as error:
            raise self._poison(page, len(found), error) from error
        return found

    async def load(self, conn: Any, table: Table, tenant: TenantId, touched: Iterable[Iterable[str]]) -> None:
        """Read the documents of these keys that are not here yet."""
        missing = sorted({key for keys in touched for key in keys} - self.documents.keys())
        for start in range(0, len(missing), CHUNK):
            for key, document in await conn.fetch(table.read, tenant, missing[start : start + CHUNK]):
                self.documents[key] = self.decode(document)

    def fold(self, page: Page, policies: Sequence[Policy[S]] = (), touched: Sequence[Sequence[str]] | None = None) -> list[Intent]:
        """Fold a page; ask the policies about each change, around the one event that made it. `touched`: where it is known already."""
        keys, evolve, missing = self.projection.keys, self.projection.evolve, self.missing
        documents, changed, intents = self.documents, self.changed, list[Intent]()
        positions = page.places
        place = -1
        try:
            for place, event in enumerate(page.events):
                for key in touched[place] if touched else keys(event):
                    was = documents.get(key)
                    if was is None:
                        was = missing(key)
                    now = evolve(was, event)
                    if now is was or now == was:
                        continue
                    documents[key] = now
                    changed[key] = positions[place]
                    if policies:
                        asked = (command for policy in policies for command in policy(was, now))
                        cause, story = page.event_ids[place], page.correlation_ids[place]
                        intents.extend(Intent(command, cause, changed[key], story) for command in asked)
        except Exception as error:
            raise self._poison(page, place, error) from error
        return intents

    def _poison(self, page: Page, place: int, error: Exception) -> SchemaError:
        event = page.events[place]
        tag = event.tag if isinstance(event, UnknownEvent) else tag_of(event)
        return SchemaError(f"{self.projection.name} cannot fold the {tag} at position {page.places[place]}: {type(error).__name__}")

    def json(self, key: str) -> bytes:
        return encode(self.documents[key])

    def arrays(self) -> Iterator[tuple[list[str], list[str], list[int]]]:
        """Keys, documents and positions of what was changed, some thousand at a time; the first of them may be empty."""
        keys = sorted(self.changed)
        for start in range(0, max(len(keys), 1), CHUNK):
            some = keys[start : start + CHUNK]
            yield some, [self.json(key).decode() for key in some], [self.changed[key] for key in some]

    async def store(self, conn: Connection, table: Table, tenant: TenantId) -> None:
        if self.changed:
            for arrays in self.arrays():
                await conn.execute(table.put, tenant, *arrays)
            self.changed.clear()


# ---------------------------------------------------------------- carried forward


async def advance(
    pool: Pool,
    log: Log,
    projection: Projection[S],
    policies: Sequence[Policy[S]] = (),
    *,
    clock: Clock | None = None,
    limit: int = BATCH,
) -> int:
    """Fold the next batch; rows, checkpoint and commands are committed together or not at all.

    Without policies this is a replay, and sends nothing; with them it takes a clock. Returns how many events were folded: none when there
    are none, or another worker is at it. Raises SchemaError, and stays before it, at an event that cannot be folded.
    """
    page = await _Carrier(pool, log, projection, policies, clock, limit).advance()
    return len(page.events) if page else 0


@dataclass
class _Carrier(Generic[S]):
    """Folds batch after batch, and remembers where it stands; that it still stands there is checked when a batch is committed."""

    pool: Pool
    log: Log
    projection: Projection[S]
    policies: Sequence[Policy[S]]
    clock: Clock | None
    limit: int
    stands: tuple[int, int] | None = None  # position and swaps; None: to be looked up
    line: Line = field(init=False)

    def __post_init__(self) -> None:
        self.line = Line(self.pool)

    async def advance(self) -> Page | None:
        """The batch that was folded; None where another worker is at it."""
        stands, self.stands = self.stands or await self.look_up(), None
        page = await self.log.page(stands[0], self.limit, ids=bool(self.policies), line=self.line)
        if not page.events or await self._fold(page, stands[1]):
            self.stands = (page.last, stands[1])
            return page
        return None

    async def look_up(self) -> tuple[int, int]:
        place = (self.log.tenant, self.projection.name)
        found = await self.pool.fetchrow(STANDS, *place)
        if found is None:
            await self.pool.execute(BEGIN, *place)
        return (found["position"], found["swaps"]) if found else (0, 0)

    async def _fold(self, page: Page, swaps: int) -> bool:
        """Fold and commit a page; False: somebody moved the checkpoint, or is moving it."""
        table, rows, tenant = table_of(self.projection.name), Rows(self.projection), self.log.tenant
        touched = rows.touched(page)
        await rows.load(self.line, table, tenant, touched)
        intents = rows.fold(page, self.policies, touched)
        first, *more = rows.arrays()
        move = (table.move, tenant, *first, self.projection.name, page.after, swaps, page.last, bool(intents))
        if not intents and not more:
            return await self.line.fetchval(*move) is not None
        issued = 0
        async with self.pool.acquire() as conn, conn.transaction():
            if await conn.fetchval(*move) is None:
                return False
            for arrays in more:
                await conn.execute(table.put, tenant, *arrays)
            if intents:
                if self.clock is None:
                    raise TypeError("policies decide at a time: hand in a clock")
                issued = await issue(conn, self.log, intents, self.clock.now())
        self.log.ring(issued)
        return True


class Runner(Generic[S]):
    """Carries one projection of one tenant forward as the log grows."""

    def __init__(
        self,
        pool: Pool,
        log: Log,
        projection: Projection[S],
        policies: Sequence[Policy[S]] = (),
        *,
        clock: Clock,
        metrics: Metrics,
        limit: int = BATCH,
    ) -> None:
        self._log, self._clock, self._limit = log, clock, limit
        self._carrier = _Carrier(pool, log, projection, policies, clock, limit)
        self._position = metrics.projection_position.labels(log.tenant, projection.name)
        self._lag = metrics.projection_lag_seconds.labels(log.tenant, projection.name)
        self._alarm = Alarm(log, clock, "projections", f"projection:{projection.name}")
        self._stuck = f"the projection {projection.name} stands still: the database refuses what it would write"
        self._refusals = 0  # in a row
        self._clear = False  # nobody is told that it stands still, for all we know

    async def run(self) -> None:
        """Fold until cancelled. Raises SchemaError at an event that cannot be folded: mend the fold, or write an upcaster."""
        async with self._log.listen() as wake:
            while True:
                try:
                    more = await self.advance() == self._limit
                except ConflictError:
                    more = False  # a command of ours is being issued elsewhere at this moment
                if not more:
                    await wake(TICK)

    async def advance(self) -> int:
        """Fold the next batch, as the function does; returns how many events were folded. While the database refuses it, the lag grows and
        people are told (X84).
        """
        try:
            page = await self._carrier.advance()
        except DATABASE_REFUSES:
            await self._refused()
            raise
        if page is None:
            return 0
        more = len(page.events) == self._limit
        self._position.set(page.last)
        self._show_lag(page.recorded_at if more else None)
        self._refusals = 0
        if not self._clear:
            await self._tell({})
            self._clear = True
        return len(page.events)

    async def _refused(self) -> None:
        self._refusals += 1
        self._clear = False
        position, _ = await self._carrier.look_up()
        for waiting in await self._log.read(position, 1):
            self._show_lag(waiting.recorded_at)
        if self._refusals >= PATIENCE:
            await self._tell({"X84": self._stuck})

    def _show_lag(self, oldest: Instant | None) -> None:
        self._lag.set((self._clock.now() - oldest).total_seconds() if oldest else 0.0)

    async def _tell(self, troubles: Mapping[str, str]) -> None:
        """Every engine folds: another one may have told it before, or told that it is over."""
        self._alarm.forget()
        await self._alarm.show(None, troubles)
