"""Folds a projection anew beside its living rows, compares the two, and swaps them.

Nothing is decided here and nothing sent: policies are not even handed in.
"""

import asyncio
import gc
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeVar

import anyio
import msgspec
from msgspec import Struct

from engine.errors import EngineError, SchemaError
from engine.log import Log, Page
from engine.outbox import Connection
from engine.ports import DATABASE_AWAY
from engine.projection import Projection
from engine.runner import BEGIN, CHUNK, STANDS, Pool, Rows, Table, encode
from schemas.values import TenantId

S = TypeVar("S", bound=Struct)

PATIENCE = 600.0  # seconds of the event loop for a statement about a whole table
FRESH = 100  # rows that are documents because an event of theirs was folded just now: few, since what the processor has at hand is quicker
KEPT = 8_000  # rows that stay documents because they are wanted again and again: some 4 kB each, a third of that as JSON
MOST_BYTES = 16 * 1024 * 1024  # of JSON in memory; beyond, rows are written, and read again when touched
SHARDS = 16  # as migrations/0003_shards.sql makes them
AT_ONCE = 2_000  # events decoded and folded before what the database has sent is looked at: it stops sending at some hundred kB
LINES = 500  # rows handed to COPY at once
AWAIT = "SELECT position, swaps FROM crossdock.checkpoints WHERE tenant = $1 AND name = $2 FOR UPDATE"
SWAPPED = "UPDATE crossdock.checkpoints SET position = $3, swaps = swaps + 1 WHERE tenant = $1 AND name = $2"
ALONE = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
NOT_ALONE = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"


@dataclass(frozen=True)
class Rebuilt:
    """A projection folded from the first event, in a table beside the living one."""

    table: str  # in the schema `projections`; gone with the next rebuild of the same projection and tenant
    position: int  # of the last event in it
    rows: int


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


Elsewhere = Callable[[str, int, Sequence[int]], Awaitable["Part"]]
"""Has `fold_part` done by another process: into this table, up to this position, these shards."""


async def rebuild(
    pool: Pool,
    log: Log,
    projection: Projection[S],
    *,
    upto: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    most_bytes: int = MOST_BYTES,
    elsewhere: Sequence[Elsewhere] = (),
) -> Rebuilt:
    """Fold the log from its first event into a table beside the living one, which is not touched.

    Up to a position; if none is given, to where the living projection stands, or to the log's end where it has not begun. `progress` is
    told how far it is, and how far it goes. Takes three connections. Raises EngineError if the same is being rebuilt already.

    With other processes `elsewhere`, each folds its share of the streams; that takes a projection that is `by_stream`.
    """
    tenant = log.tenant
    if elsewhere and not projection.by_stream:
        raise EngineError(f"a row of {projection.name} is made of several streams: one process has to fold them all")
    if upto is None:
        upto = await pool.fetchval(STANDS, tenant, projection.name) or await log.head()
    shadow = _shadow(projection, tenant)
    async with pool.acquire() as conn:
        if not await conn.fetchval(ALONE, shadow.name):
            raise EngineError(f"{projection.name} of {tenant} is being rebuilt already")
        try:
            await conn.execute(shadow.drop)
            await conn.execute(shadow.make_shadow)
            fold = partial(fold_part, pool, log, projection, table=shadow.name, upto=upto, progress=progress, most_bytes=most_bytes)
            if not elsewhere:
                part = await fold(shards=None)
                return Rebuilt(shadow.name, upto, part.rows)
            mine, *others = (range(first, SHARDS, len(elsewhere) + 1) for first in range(len(elsewhere) + 1))
            parts = await _all_of(
                fold(shards=mine), *(other(shadow.name, upto, shards) for other, shards in zip(elsewhere, others, strict=True))
            )
            if (found := sum(part.events for part in parts)) != upto:
                raise SchemaError(f"{upto - found} events are missing from the log up to position {upto}: run `crossdock verify`")
            await conn.execute(shadow.index, timeout=PATIENCE)  # a key that two of them have made would show
            return Rebuilt(shadow.name, upto, sum(part.rows for part in parts))
        finally:
            with anyio.CancelScope(shield=True), suppress(*DATABASE_AWAY):
                await conn.fetchval(NOT_ALONE, shadow.name)


async def _all_of(*work: Awaitable["Part"]) -> Sequence["Part"]:
    """What each of them gives. Where one fails, the others are stopped first."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.gather(*tasks, return_exceptions=True)


class Part(Struct, frozen=True):
    """What one process has folded of a rebuild."""

    events: int
    rows: int


async def fold_part(
    pool: Pool,
    log: Log,
    projection: Projection[S],
    *,
    table: str,
    upto: int,
    shards: Sequence[int] | None,
    progress: Callable[[int, int], None] | None = None,
    most_bytes: int = MOST_BYTES,
) -> Part:
    """Fold the streams of these shards (None: all) from the first event into a table made by `rebuild`."""
    events, collecting = 0, gc.isenabled()
    gc.disable()  # events and documents hold no cycles, and looking for some takes a third of a rebuild
    try:
        async with pool.acquire() as conn:
            anew = _Anew(Rows(projection), conn, Table(table), log.tenant, most_bytes)
            try:
                async with aclosing(log.pages(0, upto, AT_ONCE, shards=shards)) as pages:
                    async for page in pages:
                        await anew.fold(page)
                        events += len(page.events)
                        if progress:
                            progress(page.last, upto)
                return Part(events, await anew.finish())
            finally:
                await anew.stop()
    finally:
        if collecting:
            gc.enable()


@dataclass
class Packed(Generic[S]):
    """The rows of a fold from nothing, most of them packed as JSON, which takes a third of the room.

    A row that is wanted again after it was packed is kept as a document from then on, until there are too many of those.
    """

    rows: Rows[S]  # its documents are those touched lately
    packed: dict[str, bytes] = field(default_factory=dict, kw_only=True)  # key -> JSON
    size: int = field(default=0, kw_only=True)  # of these, in bytes
    kept: dict[str, S] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        self.rows.missing = self._wanted

    def tidy(self) -> None:
        """Between two pages."""
        if len(self.rows.documents) > FRESH:
            self._put_away()
            if len(self.kept) > KEPT:
                self.pack()

    def pack(self) -> None:
        """All of them."""
        self._put_away()
        for key, document in self.kept.items():
            self._pack(key, document)
        self.kept.clear()

    def _put_away(self) -> None:
        changed, kept = self.rows.changed, self.kept
        for key, document in self.rows.documents.items():
            if key in kept:
                kept[key] = document
            elif key in changed:  # else it was only read
                self._pack(key, document)
        self.rows.documents.clear()

    def _pack(self, key: str, document: S) -> None:
        self.packed[key] = text = encode(document)
        self.size += len(text)

    def _wanted(self, key: str) -> S:
        document = self.kept.get(key)
        if document is None:
            text = self.packed.pop(key, None)
            if text is None:
                return self.rows.projection.initial(key)
            self.size -= len(text)
            document = self.kept[key] = self.rows.decode(text)
        return document


@dataclass
class _Anew(Packed[S]):
    """The same, and when what is packed is too much, in the table."""

    conn: Connection
    shadow: Table
    tenant: TenantId
    most: int  # bytes packed
    written: set[str] = field(default_factory=set)  # keys in the table, or on their way there
    writing: asyncio.Task[None] | None = None  # beside the fold, one at a time

    async def fold(self, page: Page) -> None:
        touched = None
        if self.written:
            touched = self.rows.touched(page)
            here = self.rows.documents, self.packed, self.kept
            back = [key for key in self.written.intersection(chain.from_iterable(touched)) if not any(key in some for some in here)]
            if back:
                await self._has_written()
                await self.conn.execute(self.shadow.index, timeout=PATIENCE)
                await self.rows.load(self.conn, self.shadow, self.tenant, [back])
        self.rows.fold(page, (), touched)
        self.tidy()
        if self.size > self.most:
            self.pack()
            await self._write()

    async def finish(self) -> int:
        """Write what is left; how many rows there are."""
        self.pack()
        await self._write()
        await self._has_written()
        return len(self.written)

    async def stop(self) -> None:
        """Leave the connection alone."""
        if self.writing is not None:
            self.writing.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(self.writing, return_exceptions=True)

    async def _write(self) -> None:
        """All that is packed goes into the table and out of memory, while the fold goes on."""
        await self._has_written()
        again = [key for key in self.packed if key in self.written]
        self.written.update(self.packed)
        self.writing = asyncio.create_task(self._put(self.packed, self.rows.changed, again))
        self.packed, self.rows.changed, self.size = {}, {}, 0

    async def _has_written(self) -> None:
        if self.writing is not None:
            await self.writing
            self.writing = None

    async def _put(self, packed: dict[str, bytes], changed: Mapping[str, int], again: Sequence[str]) -> None:
        for start in range(0, len(again), CHUNK):
            some = again[start : start + CHUNK]
            texts, positions = [packed.pop(key).decode() for key in some], [changed[key] for key in some]
            await self.conn.execute(self.shadow.put, self.tenant, some, texts, positions, timeout=PATIENCE)
        columns, lines = ("tenant", "key", "position", "document"), self._lines(packed, changed)
        await self.conn.copy_to_table(self.shadow.name, schema_name="projections", columns=columns, source=lines, timeout=PATIENCE)

    async def _lines(self, packed: Mapping[str, bytes], changed: Mapping[str, int]) -> AsyncIterator[bytes]:
        """What is packed, as COPY reads it, some hundred kB at a time."""
        whose = _escaped(self.tenant)
        lines: list[bytes] = []
        for key, text in packed.items():
            lines.append(b"%b\t%b\t%d\t%b\n" % (whose, _escaped(key), changed[key], text.replace(b"\\", b"\\\\")))
            if len(lines) == LINES:
                yield b"".join(lines)
                lines.clear()
        yield b"".join(lines)


def _escaped(text: str) -> bytes:
    """As COPY writes it."""
    return text.encode().replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\r", b"\\r")


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
        await conn.execute(live.empty, tenant, timeout=PATIENCE)
        await conn.execute(live.fill_from(shadow), tenant, timeout=PATIENCE)
        await conn.execute(SWAPPED, tenant, projection.name, position)
        await conn.execute(shadow.drop)
    log.ring()
    return position


async def discard(pool: Pool, rebuilt: Rebuilt) -> None:
    """Drop what was rebuilt."""
    await pool.execute(Table(rebuilt.table).drop)


async def _meet(conn: Connection, log: Log, projection: Projection[S], rebuilt: Rebuilt) -> int:
    """Lock the checkpoint and fold what came since into the rebuilt rows, most of it before locking; all in the caller's transaction."""
    tenant, name, shadow, position = log.tenant, projection.name, Table(rebuilt.table), rebuilt.position
    await conn.execute(BEGIN, tenant, name)
    for statement in (STANDS, AWAIT):
        stands = await conn.fetchval(statement, tenant, name) or position
        if stands < position:
            raise EngineError(f"{name} stands at {stands} and was rebuilt to {position}: let it come that far first")
        async with aclosing(log.pages(position, stands)) as pages:
            async for page in pages:
                await conn.execute(shadow.index, timeout=PATIENCE)
                rows = Rows(projection)
                touched = rows.touched(page)
                await rows.load(conn, shadow, tenant, touched)
                rows.fold(page, (), touched)
                await rows.store(conn, shadow, tenant)
        position = stands
    return position


def _shadow(projection: Projection[Any], tenant: TenantId) -> Table:
    return Table(f"shadow_{projection.name}_{hashlib.sha256(tenant.encode()).hexdigest()[:12]}")


# ---------------------------------------------------------------- compare


async def digest(conn: Connection, table: str, tenant: TenantId) -> str:
    """SHA-256 over a tenant's rows in the order of their keys: `key, tab, position, tab, document, newline`, as COPY writes them."""
    found = hashlib.sha256()

    async def feed(lines: bytes) -> None:
        found.update(lines)

    await conn.copy_from_query(Table(table).lines, tenant, output=feed, timeout=PATIENCE)
    return found.hexdigest()


async def first_difference(conn: Connection, live: str, rebuilt: str, tenant: TenantId) -> Difference | None:
    """Where two tables of documents first disagree, by key; None: nowhere."""
    row = await conn.fetchrow(Table(live).difference_from(Table(rebuilt)), tenant, timeout=PATIENCE)
    if row is None:
        return None
    if row["mine"] is None or row["theirs"] is None:
        return Difference(row["key"], "", *(text and msgspec.json.decode(text) for text in (row["mine"], row["theirs"])))
    found = differing_at(msgspec.json.decode(row["mine"]), msgspec.json.decode(row["theirs"]))
    if found is None:  # the same document, last changed by another event
        return Difference(row["key"], "position", row["my_position"], row["their_position"])
    path, mine, theirs = found
    return Difference(row["key"], ".".join(path), mine, theirs)


def differing_at(mine: Any, theirs: Any) -> tuple[list[str], Any, Any] | None:
    """The path to the first place where two decoded documents differ, and what stands there; None: nowhere."""
    match mine, theirs:
        case dict(), dict():
            pairs = [(str(key), mine.get(key), theirs.get(key)) for key in sorted(mine.keys() | theirs.keys())]
        case list(), list() if len(mine) == len(theirs):
            pairs = [(str(place), *both) for place, both in enumerate(zip(mine, theirs, strict=True))]
        case _:
            return None if mine == theirs else ([], mine, theirs)
    for step, one, other in pairs:
        if (found := differing_at(one, other)) is not None:
            return ([step, *found[0]], *found[1:])
    return None
