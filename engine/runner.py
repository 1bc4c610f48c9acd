"""Carries folds forward, batch by batch; folds them anew beside the living rows, compares, and swaps.

A batch's rows, its checkpoint and the commands it leads to are committed together or not at all. Anew, nothing is decided and nothing
sent: policies are not even handed in.
"""

import gc
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

import anyio
import asyncpg
import msgspec
from msgspec import Struct

from engine.errors import ConflictError, EngineError, SchemaError
from engine.log import Log, Page
from engine.metrics import Metrics
from engine.outbox import Connection, Intent, issue
from engine.ports import DATABASE_AWAY, Clock
from engine.projection import Policy, Projection
from schemas.events import UnknownEvent, tag_of
from schemas.values import TenantId

S = TypeVar("S", bound=Struct)
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

BATCH = 1_000  # events in one commit: more gains little, and makes those who wait for the rows wait longer
MOST_ROWS = 250_000  # documents in memory during a rebuild; beyond, they are spilled and read again when touched
CHUNK = 5_000  # rows in one statement
TICK = 1.0  # seconds of the event loop; how late a wake-up that went astray is made good
RETRIES = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds of the event loop between tries while the database is away; the last one again and again

# Sets in order, and keys of maps too: equal documents are equal texts, whichever way they came about.
_encode = msgspec.json.Encoder(order="deterministic").encode

POSITION = "SELECT position FROM crossdock.checkpoints WHERE tenant = $1 AND name = $2"
# The row lock is the lease: held by one worker, given up by commit, crash or disconnection alike.
TAKE_CHECKPOINT = "SELECT position FROM crossdock.checkpoints WHERE tenant = $1 AND name = $2 FOR UPDATE SKIP LOCKED"
AWAIT_CHECKPOINT = "SELECT position FROM crossdock.checkpoints WHERE tenant = $1 AND name = $2 FOR UPDATE"
MAKE_CHECKPOINT = "INSERT INTO crossdock.checkpoints (tenant, name, position) VALUES ($1, $2, 0) ON CONFLICT (tenant, name) DO NOTHING"
SET_CHECKPOINT = "UPDATE crossdock.checkpoints SET position = $3 WHERE tenant = $1 AND name = $2"
ALONE = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
NOT_ALONE = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"


class Table:
    """A table of documents, and what it is asked. Its name is ours and checked: the one place where a statement is put together."""

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
            raise ValueError(f"not a table's name: {name!r}")
        self.name = name

        def sql(text: str) -> str:
            return text.replace("{table}", f"projections.{name}")

        columns = 'tenant text NOT NULL, key text COLLATE "C" NOT NULL, document json NOT NULL, position bigint NOT NULL'
        self.make = sql(f"CREATE TABLE IF NOT EXISTS {{table}} ({columns}, PRIMARY KEY (tenant, key))")
        self.make_shadow = sql(f"CREATE UNLOGGED TABLE {{table}} ({columns})")
        self.index = sql("ALTER TABLE {table} ADD PRIMARY KEY (tenant, key)")
        self.drop = sql("DROP TABLE IF EXISTS {table}")
        self.read = sql("SELECT key, document FROM {table} WHERE tenant = $1 AND key = any($2::text[]) ORDER BY key")
        self.put = sql("""
            INSERT INTO {table} (tenant, key, document, position)
            SELECT $1, new.key, new.document::json, new.position
            FROM unnest($2::text[], $3::text[], $4::bigint[]) AS new (key, document, position)
            ON CONFLICT (tenant, key) DO UPDATE SET document = excluded.document, position = excluded.position
        """)
        self.empty = sql("DELETE FROM {table} WHERE tenant = $1")
        self.count = sql("SELECT count(*) FROM {table} WHERE tenant = $1")
        self.lines = sql('SELECT key, position, document FROM {table} WHERE tenant = $1 ORDER BY key COLLATE "C"')

    def fill_from(self, other: "Table") -> str:
        return (
            f"INSERT INTO projections.{self.name} (tenant, key, document, position) "  # noqa: S608 - both names are checked
            f"SELECT tenant, key, document, position FROM projections.{other.name} WHERE tenant = $1 ORDER BY key"
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
    """Make the tables that are missing. Two processes at once may both try."""
    for projection in projections:
        with suppress(asyncpg.UniqueViolationError, asyncpg.DuplicateTableError):  # the other one was quicker
            await conn.execute(Table(projection.name).make)


# ---------------------------------------------------------------- the fold


@dataclass
class Rows(Generic[S]):
    """Documents of a projection in memory, and which of them a fold has changed, by which event last."""

    projection: Projection[S]
    documents: dict[str, S] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)  # key -> position

    def fold(self, page: Page, policies: Sequence[Policy[S]] = ()) -> list[Intent]:
        """Fold a page; ask the policies about each change, around the one event that made it."""
        keys, initial, evolve = self.projection.keys, self.projection.initial, self.projection.evolve
        documents, changed, intents = self.documents, self.changed, list[Intent]()
        position, event = page.after, None
        try:
            for event in page.events:
                position += 1
                for key in keys(event):
                    was = documents.get(key)
                    if was is None:
                        was = initial(key)
                    now = evolve(was, event)
                    if now is was or now == was:
                        continue
                    documents[key] = now
                    changed[key] = position
                    for policy in policies:
                        place = position - page.after - 1
                        for command in policy(was, now):
                            intents.append(Intent(command, page.event_ids[place], position, page.correlation_ids[place]))
        except Exception as error:
            tag = event.tag if isinstance(event, UnknownEvent) else tag_of(event)
            what = f"{self.projection.name} cannot fold the {tag} at position {position}"
            raise SchemaError(f"{what}: {type(error).__name__}") from error
        return intents

    async def load(self, conn: Connection, table: Table, tenant: TenantId, page: Page) -> None:
        """Read the documents that a page concerns and that are not here yet."""
        wanted = {key for event in page.events for key in self.projection.keys(event)}
        missing = sorted(wanted - self.documents.keys())
        decode = msgspec.json.Decoder(self.projection.state).decode
        for start in range(0, len(missing), CHUNK):
            for key, document in await conn.fetch(table.read, tenant, missing[start : start + CHUNK]):
                self.documents[key] = decode(document)

    async def store(self, conn: Connection, table: Table, tenant: TenantId) -> None:
        keys = sorted(self.changed)
        for start in range(0, len(keys), CHUNK):
            some = keys[start : start + CHUNK]
            texts = [_encode(self.documents[key]).decode() for key in some]
            await conn.execute(table.put, tenant, some, texts, [self.changed[key] for key in some])
        self.changed.clear()

    async def copy(self, conn: Connection, table: Table, tenant: TenantId) -> None:
        """The same for a table that has none of these yet; the fastest there is."""
        records = ((tenant, key, _encode(self.documents[key]).decode(), position) for key, position in self.changed.items())
        columns = ("tenant", "key", "document", "position")
        await conn.copy_records_to_table(table.name, schema_name="projections", records=records, columns=columns)


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
    page = await _advance(pool, log, projection, policies, clock=clock, limit=limit)
    return len(page.events) if page else 0


async def _advance(
    pool: Pool, log: Log, projection: Projection[S], policies: Sequence[Policy[S]], *, clock: Clock | None, limit: int
) -> Page | None:
    """The batch that was folded; None where it is another worker's."""
    tenant, name = log.tenant, projection.name
    position = await pool.fetchval(POSITION, tenant, name)
    if position is None:
        await pool.execute(MAKE_CHECKPOINT, tenant, name)
    page = await log.page(position or 0, limit, ids=bool(policies))
    if not page.events:
        return page
    async with pool.acquire() as conn, conn.transaction():
        if await conn.fetchval(TAKE_CHECKPOINT, tenant, name) != page.after:
            return None
        rows, table, issued = Rows(projection), Table(name), 0
        await rows.load(conn, table, tenant, page)
        intents = rows.fold(page, policies)
        await rows.store(conn, table, tenant)
        await conn.execute(SET_CHECKPOINT, tenant, name, page.last)
        if intents:
            if clock is None:
                raise TypeError("policies decide at a time: hand in a clock")
            issued = await issue(conn, log, intents, clock.now())
    if issued:
        log.ring(issued)
    return page


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
        self._pool, self._log, self._projection, self._policies = pool, log, projection, policies
        self._clock, self._metrics, self._limit = clock, metrics, limit

    async def run(self) -> None:
        """Fold until cancelled. Raises SchemaError at an event that cannot be folded: mend the fold, or write an upcaster."""
        failures = 0
        async with self._log.listen() as wake:
            while True:
                try:
                    if not await self._step():
                        await wake(TICK)
                    failures = 0
                except (*DATABASE_AWAY, ConflictError):
                    failures += 1
                    if failures > len(RETRIES):
                        raise
                    await wake(RETRIES[failures - 1])

    async def _step(self) -> bool:
        """Fold a batch; whether there may be more."""
        page = await _advance(self._pool, self._log, self._projection, self._policies, clock=self._clock, limit=self._limit)
        if page is None:
            return False
        place = (self._log.tenant, self._projection.name)
        more = len(page.events) == self._limit
        behind = (self._clock.now() - page.recorded_at).total_seconds() if more and page.recorded_at else 0.0
        self._metrics.projection_position.labels(*place).set(page.last)
        self._metrics.projection_lag_seconds.labels(*place).set(behind)
        return more


# ---------------------------------------------------------------- folded anew


@dataclass(frozen=True)
class Rebuilt:
    """A projection folded from the first event, in a table beside the living one."""

    table: str  # in the schema `projections`; gone with the next rebuild of the same projection and tenant
    position: int  # of the last event in it
    rows: int
    digest: str


@dataclass(frozen=True)
class Difference:
    """The first place where two tables disagree."""

    key: str
    field: str  # the path to it, as in lines.2.quantity; empty: the row as a whole
    live: Any
    rebuilt: Any


@dataclass(frozen=True)
class Comparison:
    """The living rows beside rebuilt ones, at the same position."""

    position: int
    live: str  # digests
    rebuilt: str
    difference: Difference | None


async def rebuild(
    pool: Pool,
    log: Log,
    projection: Projection[S],
    *,
    upto: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    most_rows: int = MOST_ROWS,
) -> Rebuilt:
    """Fold the log from its first event into a table beside the living one, which is not touched.

    Up to a position; if none is given, to where the living projection stands, or to the log's end where it has not begun. `progress` is
    told how far it is, and how far it goes. Takes two connections. Raises EngineError if the same is being rebuilt already.
    """
    tenant = log.tenant
    if upto is None:
        upto = await pool.fetchval(POSITION, tenant, projection.name) or await log.head()
    shadow = _shadow(projection, tenant)
    async with pool.acquire() as conn:
        if not await conn.fetchval(ALONE, shadow.name):
            raise EngineError(f"{projection.name} of {tenant} is being rebuilt already")
        collecting = gc.isenabled()
        gc.disable()  # events and documents hold no cycles, and looking for some takes a third of a rebuild
        try:
            await conn.execute(shadow.drop)
            await conn.execute(shadow.make_shadow)
            rows, spilled = Rows(projection), False
            async with aclosing(log.pages(0, upto)) as pages:
                async for page in pages:
                    if spilled:
                        await rows.load(conn, shadow, tenant, page)
                    rows.fold(page)
                    if progress:
                        progress(page.last, upto)
                    if len(rows.documents) > most_rows:
                        if not spilled:
                            await conn.execute(shadow.index)
                        spilled = True
                        await rows.store(conn, shadow, tenant)
                        rows.documents.clear()
            if spilled:
                await rows.store(conn, shadow, tenant)
            else:
                await rows.copy(conn, shadow, tenant)
                await conn.execute(shadow.index)
            count = await conn.fetchval(shadow.count, tenant)
            return Rebuilt(shadow.name, upto, count, await digest(conn, shadow.name, tenant))
        finally:
            if collecting:
                gc.enable()
            with anyio.CancelScope(shield=True), suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
                await conn.fetchval(NOT_ALONE, shadow.name)


async def compare(pool: Pool, log: Log, projection: Projection[S], rebuilt: Rebuilt) -> Comparison:
    """Bring the rebuilt rows to where the living ones stand, and compare. Holds up the projection meanwhile; changes nothing."""
    tenant, shadow = log.tenant, Table(rebuilt.table)
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            position = await _meet(conn, log, projection, rebuilt)
            digests = await digest(conn, projection.name, tenant), await digest(conn, shadow.name, tenant)
            difference = None
            if digests[0] != digests[1]:
                difference = await first_difference(conn, projection.name, shadow.name, tenant)
            return Comparison(position, *digests, difference)
        finally:
            with anyio.CancelScope(shield=True):
                await transaction.rollback()


async def swap(pool: Pool, log: Log, projection: Projection[S], rebuilt: Rebuilt) -> int:
    """Put the rebuilt rows in the place of the living ones, in one transaction; returns the position at which they met.

    A living projection goes on from where it stood: what it has not folded yet, it folds with its policies. One that had not begun goes on
    from the rebuilt position: nothing is decided about what was before. Raises EngineError where the rebuilt rows are ahead.
    """
    tenant, live, shadow = log.tenant, Table(projection.name), Table(rebuilt.table)
    async with pool.acquire() as conn, conn.transaction():
        position = await _meet(conn, log, projection, rebuilt)
        await conn.execute(live.empty, tenant)
        await conn.execute(live.fill_from(shadow), tenant)
        await conn.execute(SET_CHECKPOINT, tenant, projection.name, position)
        await conn.execute(shadow.drop)
    log.ring()
    return position


async def discard(pool: Pool, rebuilt: Rebuilt) -> None:
    """Drop what was rebuilt."""
    await pool.execute(Table(rebuilt.table).drop)


async def _meet(conn: Connection, log: Log, projection: Projection[S], rebuilt: Rebuilt) -> int:
    """Lock the checkpoint and fold what came since into the rebuilt rows, most of it before locking; all in the caller's transaction."""
    tenant, name, shadow, position = log.tenant, projection.name, Table(rebuilt.table), rebuilt.position
    await conn.execute(MAKE_CHECKPOINT, tenant, name)
    for statement in (POSITION, AWAIT_CHECKPOINT):
        stands = await conn.fetchval(statement, tenant, name) or position
        if stands < position:
            raise EngineError(f"{name} stands at {stands} and was rebuilt to {position}: let it come that far first")
        async with aclosing(log.pages(position, stands)) as pages:
            async for page in pages:
                rows = Rows(projection)
                await rows.load(conn, shadow, tenant, page)
                rows.fold(page)
                await rows.store(conn, shadow, tenant)
        position = stands
    return position


def _shadow(projection: Projection[Any], tenant: TenantId) -> Table:
    return Table(f"shadow_{projection.name}_{hashlib.sha256(tenant.encode()).hexdigest()[:12]}")


# ---------------------------------------------------------------- compared


async def digest(conn: Connection, table: str, tenant: TenantId) -> str:
    """SHA-256 over a tenant's rows in the order of their keys: `key, tab, position, tab, document, newline`, as COPY writes them."""
    found = hashlib.sha256()

    async def feed(lines: bytes) -> None:
        found.update(lines)

    await conn.copy_from_query(Table(table).lines, tenant, output=feed)
    return found.hexdigest()


async def first_difference(conn: Connection, live: str, rebuilt: str, tenant: TenantId) -> Difference | None:
    """Where two tables of documents first disagree, by key; None: nowhere."""
    row = await conn.fetchrow(Table(live).difference_from(Table(rebuilt)), tenant)
    if row is None:
        return None
    if row["mine"] is None or row["theirs"] is None:
        return Difference(row["key"], "", *(text and msgspec.json.decode(text) for text in (row["mine"], row["theirs"])))
    found = _first_difference(msgspec.json.decode(row["mine"]), msgspec.json.decode(row["theirs"]))
    if found is None:  # the same document, last changed by another event
        return Difference(row["key"], "position", row["my_position"], row["their_position"])
    path, mine, theirs = found
    return Difference(row["key"], ".".join(path), mine, theirs)


def _first_difference(mine: Any, theirs: Any) -> tuple[list[str], Any, Any] | None:
    match mine, theirs:
        case dict(), dict():
            pairs = [(str(key), mine.get(key), theirs.get(key)) for key in sorted(mine.keys() | theirs.keys())]
        case list(), list() if len(mine) == len(theirs):
            pairs = [(str(place), *both) for place, both in enumerate(zip(mine, theirs, strict=True))]
        case _:
            return None if mine == theirs else ([], mine, theirs)
    for step, one, other in pairs:
        if (found := _first_difference(one, other)) is not None:
            return ([step, *found[0]], *found[1:])
    return None
