"""Drains the difference between what a channel should show and what it shows: one file at a time, as often as the channel allows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import asyncpg
import msgspec
import structlog

from engine.log import Log
from engine.metrics import Metrics
from engine.outbox import Intent, issue
from engine.ports import Clock
from projections.desired import Mode, related
from projections.publications import FROM_ZERO, TO_ZERO, Difference, Publication, difference, offers_made_of, publications
from projections.stock import Stock, inventory
from projections.stock_rules import Rules
from schemas.commands import PublishStock
from schemas.values import ChannelId, Instant, Sku

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

FOLDED = "SELECT name, position FROM crossdock.checkpoints WHERE tenant = $1 AND name = any($2::text[]) ORDER BY name"
NEXT = """
SELECT key, document, position FROM projections.inventory WHERE tenant = $1 AND (position, key) > ($2, $3)
ORDER BY position, key LIMIT $4
"""
ROWS = "SELECT document FROM projections.inventory WHERE tenant = $1 AND key = any($2::text[]) ORDER BY key"
RECIPES = "SELECT document FROM projections.inventory WHERE tenant = $1 AND document->'recipes' IS NOT NULL ORDER BY key"
UNDER_WAY = "SELECT document FROM projections.publications WHERE tenant = $1 AND key = $2"

FILE_ROWS = 10_000  # no limit is published; a file of this size is read and applied within a minute
LOOK_EVERY = 1.0  # seconds of the event loop between two looks at the rows, when nothing woke us
BATCH = 2_000  # rows read at once
POLL_AGAIN = 5.0  # seconds after a poll that failed, or that nobody made

_stock = msgspec.json.Decoder(Stock)
_publication = msgspec.json.Decoder(Publication)
log_ = structlog.get_logger()


@dataclass(frozen=True)
class _Look:
    """The rows at one moment, and what follows from them."""

    as_of: int  # the log position they are folded to
    mode: Mode
    found: Difference
    rows: dict[Sku, Stock]


@dataclass
class Publisher:
    """For one channel. Level-triggered: whatever was missed, the next round sees the difference again.

    Decreases go out with the next file. What rises waits for `ask_orders`, a poll of the channel's orders that began after the count it
    rests on: so that nothing is put back on offer that was sold before.
    """

    pool: Pool
    log: Log
    channel: ChannelId
    rules: Rules
    digest: str  # of the rules, as they stand in the log
    clock: Clock
    metrics: Metrics
    ask_orders: Callable[[], Awaitable[bool]]
    _seen: int = 0  # the rows up to this position were looked at; what then differed and was not sent is in `_open`
    _open: set[Sku] = field(default_factory=set)
    _need: int = 0  # how far the folds must have come: past our own last file
    _mode: Mode | None = None  # in which the rows were looked at
    _made_of: dict[Sku, set[Sku]] | None = None
    _polls: list[tuple[Instant, int]] = field(default_factory=list)  # when a poll began, and where the log stood when it was over
    _orders_at: Instant | None = None
    _wanted: anyio.Event = field(default_factory=anyio.Event)  # somebody waits for a poll

    async def run(self, every: float) -> None:
        """Publish whenever there is a difference, at most once in `every` seconds."""
        self._need = await self.log.head()  # a file issued before we began is in the rows
        async with anyio.create_task_group() as group, self.log.listen() as wake:
            group.start_soon(self._poll)
            while True:
                published = await self.publish()
                await (self.clock.sleep(every) if published else wake(LOOK_EVERY))

    async def _poll(self) -> None:
        """Have the orders polled whenever something waits for that."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            await self.poll_orders()

    async def poll_orders(self) -> None:
        began = self.clock.now()
        if await self.ask_orders():
            self._polls.append((began, await self.log.head()))
        else:
            await self.clock.sleep(POLL_AGAIN)

    async def publish(self) -> bool:
        """Issue one file, if there is news and none is under way; its intent is committed, the dispatcher does the rest."""
        look = await self._look()
        if look is None:
            return False
        if look.found.waiting:
            self._wanted.set()
        self.metrics.stock_waiting.labels(self.log.tenant, self.channel).set(len(look.found.waiting))
        self.metrics.stock_unpublished.labels(self.log.tenant, self.channel).set(len(look.found.news) + len(look.found.waiting))
        if not look.found.news:
            return False
        command = look.found.command(
            self.channel, limit=FILE_ROWS, as_of=look.as_of, rules=self.digest, mode=look.mode, orders_at=self._orders_at
        )
        await self._issue(command)
        self._count(look, command)
        return True

    async def _issue(self, command: PublishStock) -> None:
        [last] = await self.log.read(command.as_of - 1, limit=1)
        intent = Intent(command=command, cause=last.event_id, position=last.position, correlation_id=last.correlation_id)
        async with self.pool.acquire() as conn, conn.transaction():
            issued = await issue(conn, self.log, [intent], self.clock.now())
        self.log.ring(issued)
        self._need = max(self._need, issued) or await self.log.head()
        log_.info("stock published", channel=self.channel, offers=len(command.quantities), as_of=command.as_of, mode=command.mode)

    def _count(self, look: _Look, command: PublishStock) -> None:
        now, labels = self.clock.now(), (self.log.tenant, self.channel)
        lines = self.metrics.stock_lines
        for line in look.found.news[: len(command.quantities)]:
            kind = "to_zero" if line.turn == TO_ZERO else "from_zero" if line.turn == FROM_ZERO else "other"
            lines.labels(*labels, kind).inc()
            row = look.rows.get(line.sku)
            if row is not None and row.read_at is not None and row.applied:
                self.metrics.stock_decided_seconds.labels(self.channel).observe(max(0.0, (now - row.read_at).total_seconds()))

    # ------------------------------------------------------------ what there is to say

    async def _look(self) -> _Look | None:
        """Everything at one moment; None while a file is under way, or the folds have not come far enough."""
        async with self.pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            folded = {
                row["name"]: row["position"] for row in await conn.fetch(FOLDED, self.log.tenant, [inventory.name, publications.name])
            }
            if len(folded) < 2 or min(folded.values()) < self._need:
                return None
            current = await conn.fetchval(UNDER_WAY, self.log.tenant, self.channel)
            standing = _publication.decode(current) if current is not None else Publication(channel=self.channel)
            if standing.under_way:
                return None
            as_of = folded[inventory.name]
            self._heard(as_of)
            mode = Mode(standing.mode, standing.step)
            if mode != self._mode:
                self._seen, self._mode = 0, mode
            changed = await self._changed(conn)
            offers = self._open | changed.keys() | await self._others(conn, changed)
            rows = await self._rows(conn, changed, offers)
            found = difference(sorted(offers), self.channel, rows, self.rules, mode=mode, orders_at=self._orders_at)
            self._open = {line.sku for line in found.news} | set(found.waiting)
            self._seen = as_of
            return _Look(as_of, mode, found, rows)

    def _heard(self, as_of: int) -> None:
        """A poll counts once what it found is in the rows."""
        while self._polls and self._polls[0][1] <= as_of:
            self._orders_at = self._polls.pop(0)[0]

    async def _changed(self, conn: Any) -> dict[Sku, Stock]:
        changed: dict[Sku, Stock] = {}
        place: tuple[int, str] = (self._seen + 1, "")
        while True:
            rows = await conn.fetch(NEXT, self.log.tenant, *place, BATCH)
            for row in rows:
                changed[Sku(row["key"])] = _stock.decode(row["document"])
            if len(rows) < BATCH:
                return changed
            place = (rows[-1]["position"], rows[-1]["key"])

    async def _others(self, conn: Any, changed: dict[Sku, Stock]) -> set[Sku]:
        """Offers whose number changes because those rows did: made of the same."""
        if self._made_of is None or any(row.recipes for row in changed.values()):
            with_recipes = [_stock.decode(row["document"]) for row in await conn.fetch(RECIPES, self.log.tenant)]
            self._made_of = offers_made_of({row.sku: row for row in with_recipes})
        parts = {part for row in changed.values() for recipe in ({row.sku: 1}, *row.recipes.values()) for part in recipe}
        return parts.union(*(self._made_of.get(part, ()) for part in sorted(parts)))

    async def _rows(self, conn: Any, changed: dict[Sku, Stock], offers: set[Sku]) -> dict[Sku, Stock]:
        """The shelves of these offers."""
        rows = dict(changed)
        asked: set[Sku] = set(rows)
        wanted = set(offers)
        while missing := sorted(wanted - asked):
            for row in await conn.fetch(ROWS, self.log.tenant, missing):
                stock = _stock.decode(row["document"])
                rows[stock.sku] = stock
            asked |= set(missing)
            wanted = {sku for offer in offers for sku in related(offer, self.channel, rows, self._made_of or {})}
        return rows
