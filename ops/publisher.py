"""Drains the difference between what a channel should show and what it shows: one file at a time, as often as the channel allows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import nsmallest
from typing import Any, TypeAlias

import anyio
import asyncpg
import msgspec
import structlog

from adapters.mirakl.inbound.orders import polled_at
from adapters.shopify.inbound.sweep import read_since, whole_at
from engine.errors import ConflictError
from engine.log import Fence, Log
from engine.metrics import Metrics
from engine.outbox import Intent, issue
from engine.ports import Clock
from ops.lateness import Drift, Lateness
from ops.pace import Pacing
from projections.desired import NORMAL, Mode, related
from projections.publications import Difference, News, Publication, difference, offers_made_of, publications
from projections.stock import Stock, inventory
from projections.stock_modes import is_more_careful, mode_at
from projections.stock_rules import Rules
from schemas.commands import Command
from schemas.events import Note, tag_of
from schemas.events.inventory import StockCounted, StockImportFinished, StockImportStarted, StockModeSet
from schemas.streams import offers_stream
from schemas.values import ChannelId, Instant, Sku

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

FOLDED = "SELECT name, position FROM crossdock.checkpoints WHERE tenant = $1 AND name = any($2::text[]) ORDER BY name"
NEXT = """
SELECT key, document, position FROM projections.inventory WHERE tenant = $1 AND (position, key) > ($2, $3)
ORDER BY position, key LIMIT $4
"""
ROWS = "SELECT document FROM projections.inventory WHERE tenant = $1 AND key = any($2::text[]) ORDER BY key"
RECIPES = "SELECT document FROM projections.inventory WHERE tenant = $1 AND document->>'recipes' IS NOT NULL ORDER BY key"
UNDER_WAY = "SELECT document, position FROM projections.publications WHERE tenant = $1 AND key = $2"
READ_AT = "SELECT name, cursor, committed_at FROM crossdock.cursors WHERE tenant = $1 AND name = any($2::text[]) ORDER BY name"

HEARD_AT = "SELECT position, type, recorded_at FROM crossdock.events WHERE tenant = $1 AND position = any($2::bigint[]) ORDER BY position"

FILE_ROWS = 10_000  # no limit is published; a file of this size is read and applied within a minute
LOOK_EVERY = 1.0  # seconds of the event loop between two looks at the rows, when nothing woke us
BATCH = 500  # rows looked at in one go: more would keep everything else waiting
POLL_AGAIN = 5.0  # seconds after a poll that failed, or that nobody made
GRACE = timedelta(minutes=5)  # after a start: what was not read while no engine ran is about to be
ABSENCE = timedelta(minutes=5)  # between two polls of the orders, the later of them by a successor: a longer one is no mere handing over
COUNTED = tag_of(StockCounted)

_stock = msgspec.json.Decoder(Stock)
_publication = msgspec.json.Decoder(Publication)
log_ = structlog.get_logger()


@dataclass(frozen=True)
class _Look:
    """The rows at one moment, and what follows from them."""

    as_of: int  # the log position they are folded to
    standing: Publication
    free: bool  # a file may be sent, as far as the channel's pace goes
    ended: bool  # since the look before, a file has come to its end
    mode: Mode


@dataclass
class Publisher:
    """For one channel. Level-triggered: whatever was missed, the next round sees the difference again.

    Decreases go out with the next file. What rises waits for a poll of the channel's orders that began after the count it rests on: so that
    nothing is put back on offer that was sold before. `ask_orders` has one made; of any, whoever made it, the cursor tells. And after an
    absence, in which nobody listened, it waits until the orders and Shopify's stock have been read anew.
    """

    pool: Pool
    log: Log
    channel: ChannelId
    rules: Rules
    digest: str  # of the rules, as they stand in the log
    clock: Clock
    metrics: Metrics
    ask_orders: Callable[[], Awaitable[bool]]
    shop_source: str  # whose cursor says when Shopify's stock was last read whole
    orders_source: str  # likewise of the channel's orders
    _fence: Fence | None = None  # under which we run
    _seen: int = 0  # the rows up to this position were looked at; what then differed and was not sent is in `lateness.open`
    _news: dict[Sku, News] = field(default_factory=dict)  # what of it may be sent
    _weighed_at: Instant | None = None  # which poll of the orders what waits was looked at after
    _need: int = 0  # how far the folds must have come: past our own last file
    _mode: Mode | None = None  # in which the rows were looked at
    _careful: set[Sku] = field(default_factory=set)  # of which less is shown because of it
    _made_of: dict[Sku, set[Sku]] | None = None
    _polls: list[tuple[Instant, int]] = field(default_factory=list)  # when one began, and where the log stood when we saw that it is over
    _polled_at: Instant | None = None  # the last of these
    _orders_at: Instant | None = None
    _normal_since: Instant | None = None  # no poll counts that began before
    _shop_from: Instant | None = None  # nor any before a whole reading of Shopify's stock that began later than this; None: it is told
    _wanted: anyio.Event = field(default_factory=anyio.Event)  # somebody waits for a poll
    _began: Instant | None = None
    _told: tuple[Mode, str] | None = None  # the mode that was recorded last, and why
    _looked: float = float("-inf")  # monotonic: when we looked at the rows
    _sourced: float = float("-inf")  # monotonic: when we looked at the sources
    _next: float = float("-inf")  # monotonic: when the channel takes another file
    _blocked: Instant | None = None  # since when there is news and nothing in its way but that
    _files: int | None = None  # that had come to an end when we looked
    _issued: tuple[int, Instant] | None = None  # the file under way: where its command is in the log, and since when

    def __post_init__(self) -> None:
        self.lateness = Lateness(self.metrics, self.log.tenant, self.channel)
        self.drift = Drift(self.metrics, self.log.tenant, self.channel)
        self.pacing = Pacing(self.channel) if self.rules.velocity else None

    async def begin(self) -> None:
        """Look how long nobody was here. To be called whenever the channel has become ours, before its orders are polled."""
        self._began = self.clock.now()
        [last] = [polled_at(row["cursor"]) for row in await self._read_at(self.orders_source)] or [None]
        back_after = last + ABSENCE if last is not None and self._began - last > ABSENCE else None
        self._polls, self._orders_at, self._normal_since, self._told = [], None, None, None
        self._polled_at = last if back_after is not None else None
        self._shop_from = back_after
        if last is not None and back_after is not None:
            log_.info("stock rises wait", channel=self.channel, away_seconds=round((self._began - last).total_seconds()))

    async def run(self, fence: Fence, every: float) -> None:
        """Publish whenever there is a difference, at most once in `every` seconds. Raises LeaseLostError."""
        self._fence = fence
        self._need = await self.log.head()  # a file issued before we began is in the rows
        if self.pacing is not None:
            self.pacing.every = every
        own = [(gauge, (self.log.tenant, self.channel)) for gauge in (self.metrics.stock_degraded_skus, self.metrics.import_age_seconds)]
        with self.metrics.kept(*own, *self.lateness.series, *self.drift.series):
            self.drift.show()  # as it was when we published last, if we did
            async with anyio.create_task_group() as group, self.log.listen() as wake:
                group.start_soon(self._poll)
                while True:
                    with suppress(ConflictError):  # the same is being issued elsewhere at this moment: look again
                        if await self.publish():
                            self._next = self.clock.monotonic() + every
                    wait = self.clock.loop_seconds(self._next - self.clock.monotonic())
                    await wake(min(LOOK_EVERY, wait) if wait > 0 else LOOK_EVERY)

    async def _poll(self) -> None:
        """Have the orders polled whenever something waits for that."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            await self.poll_orders()

    async def poll_orders(self) -> None:
        if await self.ask_orders():
            self._sourced = float("-inf")  # its cursor is worth a look
        else:
            await self.clock.sleep(POLL_AGAIN)

    async def publish(self) -> bool:
        """Issue one file, if there is news and none is under way; its intent is committed, the dispatcher does the rest."""
        look = await self._look()
        if look is None:
            return False
        now = self.clock.now()
        await self._learn(look, now)
        if self.pacing is not None and (paces := list(self.pacing.measured(now))):
            await self._issue(paces, look.as_of)
            return False
        if self.lateness.waiting and look.mode.rises and self._shop_from is None:
            self._wanted.set()
        if not self._news or look.standing.under_way:
            return False
        if not look.free:
            self._blocked = self._blocked or now
            return False
        command = Difference(tuple(nsmallest(FILE_ROWS, self._news.values()))).command(
            self.channel, limit=FILE_ROWS, as_of=look.as_of, rules=self.digest, mode=look.mode, orders_at=self._orders_at
        )
        await self._issue([command], command.as_of)
        self._issued = (self._need, now)
        self.lateness.sent(command.quantities, now)
        for sku in command.quantities:
            self._news.pop(sku, None)
        self.metrics.stock_ceiling_wait_seconds.labels(self.channel).observe((now - (self._blocked or now)).total_seconds())
        self._blocked = None
        log_.info("stock published", channel=self.channel, offers=len(command.quantities), as_of=command.as_of, mode=command.mode)
        return True

    async def _learn(self, look: _Look, now: Instant) -> None:
        """What became of the last file, and how things stand."""
        if look.ended:
            await self._ended()
        if not look.standing.under_way:
            self._issued = None
        elif self._issued is None:
            self._issued = (look.as_of, now)
        self.lateness.show(now)
        place = (self.log.tenant, self.channel)
        self.metrics.stock_degraded_skus.labels(*place).set(len(self._careful))
        self.metrics.import_age_seconds.labels(*place).set((now - self._issued[1]).total_seconds() if self._issued else 0.0)

    async def _ended(self) -> None:
        """When was the file that we issued taken, and applied? By the log, which has both."""
        place = (offers_stream(self.channel), "")
        after = self._issued[0] if self._issued else 0
        taken = (await self.log.last([place], StockImportStarted)).get(place)
        ended = (await self.log.last([place], StockImportFinished)).get(place)
        finished = ended.event if ended is not None and ended.position > after else None
        if self.pacing is not None and self._issued and ended is not None and finished is not None:
            self.pacing.applied((ended.recorded_at - self._issued[1]).total_seconds())
        self.lateness.ended(
            finished if isinstance(finished, StockImportFinished) else None,
            taken_at=taken.recorded_at if taken is not None and taken.position > after else None,
            ended_at=ended.recorded_at if ended is not None else self.clock.now(),
        )

    async def _look_at_sources(self) -> None:
        """How far Shopify's stock and the channel's orders have been read, and what follows."""
        if self._told is None:
            await self._recall_mode()
        read = {row["name"]: row for row in await self._read_at(self.shop_source, self.orders_source)}
        shop, orders = read.get(self.shop_source), read.get(self.orders_source)
        if self._shop_from is not None and shop is not None:
            since = read_since(shop["cursor"])
            if since is not None and since > self._shop_from:
                self._shop_from, self._need = None, max(self._need, await self.log.head())
        if orders is not None:
            await self._hear_of_poll(polled_at(orders["cursor"]))
        await self._set_mode(
            shop_at=whole_at(shop["cursor"]) if shop is not None else None,  # committed many times before it is whole
            orders_at=orders["committed_at"] if orders is not None else None,
        )

    async def _hear_of_poll(self, began: Instant | None) -> None:
        """It counts, unless the clock of an engine that ran before us was ahead of ours: then the next one does."""
        if began is None or began == self._polled_at:
            return
        self._polled_at = began
        if (self._normal_since or began) <= began <= self.clock.now():
            self._polls.append((began, await self.log.head()))

    async def _recall_mode(self) -> None:
        place = (offers_stream(self.channel), "")
        known = (await self.log.last([place], StockModeSet)).get(place)
        self._told = (NORMAL, "")
        if known is not None and isinstance(told := known.event, StockModeSet):
            self._told, self._normal_since = (Mode(told.mode, told.step), told.because), known.recorded_at

    async def _set_mode(self, *, shop_at: Instant | None, orders_at: Instant | None) -> None:
        """Record it when the clock calls for another mode, or for another reason; what is looked at next is folded past that."""
        now, before = self.clock.now(), self._told or (NORMAL, "")
        called = mode_at(now, self.rules, shop_at=shop_at, orders_at=orders_at)
        if called == before:
            return
        mode, because = called
        if mode.name != "blackout" and is_more_careful(mode, before[0]) and self._began is not None and now - self._began < GRACE:
            return
        head = await self.log.head()
        await self._issue([StockModeSet(channel=self.channel, mode=mode.name, step=mode.step, because=because)], head)
        self._told = called
        if mode == NORMAL:  # what was sold meanwhile is heard of by a poll from now on
            self._polls, self._orders_at, self._normal_since = [], None, now
        log_.warning("stock mode set", channel=self.channel, mode=mode.name, step=mode.step, because=because)

    async def _read_at(self, *sources: str) -> Sequence[asyncpg.Record]:
        rows: Sequence[asyncpg.Record] = await self.pool.fetch(READ_AT, self.log.tenant, sources)
        return rows

    async def _issue(self, whats: Sequence[Command | Note], as_of: int) -> None:
        [last] = await self.log.read(as_of - 1, limit=1)
        intents = [Intent(command=what, cause=last.event_id, position=last.position, correlation_id=last.correlation_id) for what in whats]
        async with self.pool.acquire() as conn, conn.transaction():
            issued = await issue(conn, self.log, intents, self.clock.now(), self._fence)
        self.log.ring(issued)
        self._need = max(self._need, issued) or await self.log.head()

    # ------------------------------------------------------------ what there is to say

    async def _look(self) -> _Look | None:
        """Everything at one moment; None where the folds have not come far enough, or where nothing can be sent and we have just looked.

        While a file is under way, or it is not time for another, only what has changed is looked at: so that it is known since when.
        """
        free = self.clock.monotonic() >= self._next
        just = self.clock.loop_seconds(self.clock.monotonic() - self._looked) < LOOK_EVERY
        if not free and just:
            return None
        if self.clock.loop_seconds(self.clock.monotonic() - self._sourced) >= LOOK_EVERY:
            self._sourced = self.clock.monotonic()  # before: a poll may end meanwhile, and wants another look
            await self._look_at_sources()
        async with self.pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            folded = {
                row["name"]: row["position"] for row in await conn.fetch(FOLDED, self.log.tenant, [inventory.name, publications.name])
            }
            if len(folded) < 2 or min(folded.values()) < self._need:
                return None
            current = await conn.fetchrow(UNDER_WAY, self.log.tenant, self.channel)
            if current is not None and current["position"] > folded[inventory.name]:
                return None  # its last file came to an end, and the rows do not know yet
            standing = _publication.decode(current["document"]) if current is not None else Publication(channel=self.channel)
            if standing.under_way and just:
                return None
            self._looked = self.clock.monotonic()
            ended = self._files is not None and standing.files != self._files
            self._files = standing.files
            as_of = folded[inventory.name]
            self._heard(as_of)
            mode = Mode(standing.mode, standing.step)
            first, anew = self._mode is None, mode != self._mode
            if anew:
                self._seen, self._mode, self._careful = 0, mode, set()
                self._news = {}
            async for changed in self._changed(conn):
                offers = {row.sku for row, _ in changed.values()} | await self._others(conn, [row for row, _ in changed.values()])
                await self._weigh(conn, offers, changed, standing, anew=anew)
                self.drift.looked({sku: row for sku, (row, _) in changed.items()}, first=first)
                if self.pacing is not None:
                    self.pacing.looked({sku: row for sku, (row, _) in changed.items()})
            if free and not standing.under_way and self._orders_at != self._weighed_at:
                waiting = sorted(self.lateness.waiting)
                for start in range(0, len(waiting), BATCH):
                    await self._weigh(conn, set(waiting[start : start + BATCH]), {}, standing, anew=False)
                self._weighed_at = self._orders_at
            self._seen = as_of
            return _Look(as_of, standing, free, ended, mode)

    async def _weigh(
        self, conn: Any, offers: set[Sku], changed: Mapping[Sku, tuple[Stock, int]], standing: Publication, *, anew: bool
    ) -> None:
        """Find out whether these offers differ. What does stays in `_news` or `lateness.waiting` until one of its rows changes."""
        rows = await self._rows(conn, {sku: row for sku, (row, _) in changed.items()}, offers)
        found = difference(
            sorted(offers),
            self.channel,
            rows,
            self.rules,
            mode=self._mode or NORMAL,
            orders_at=self._orders_at,
            under_way=standing.under_way,
        )
        since = await self._since(conn, found, {} if anew else changed)
        self.lateness.looked(offers, found, rows, since)
        self._careful = (self._careful - offers) | found.careful
        for sku in sorted(offers):
            self._news.pop(sku, None)
        self._news.update((line.sku, line) for line in found.news)

    async def _since(self, conn: Any, found: Difference, changed: Mapping[Sku, tuple[Stock, int]]) -> Mapping[Sku, Instant]:
        """When each of what differs, and did not before, came to: when its last count was read, or what changed it was heard."""
        now = self.clock.now()
        fresh = [sku for sku in (*(line.sku for line in found.news), *found.waiting) if sku not in self.lateness.open]
        places = {sku: changed[sku][1] for sku in fresh if sku in changed}
        heard = (
            {row["position"]: row for row in await conn.fetch(HEARD_AT, self.log.tenant, sorted(set(places.values())))} if places else {}
        )
        since = dict.fromkeys(fresh, now)
        for sku, position in places.items():
            event, read_at = heard[position], changed[sku][0].read_at
            since[sku] = read_at if event["type"] == COUNTED and read_at is not None else event["recorded_at"]
        return since

    def _heard(self, as_of: int) -> None:
        """A poll counts once what it found is in the rows, and what had been missed of the shop."""
        while self._shop_from is None and self._polls and self._polls[0][1] <= as_of:
            self._orders_at = self._polls.pop(0)[0]

    async def _changed(self, conn: Any) -> AsyncIterator[dict[Sku, tuple[Stock, int]]]:
        """The rows that did since, some at a time, each with the position of what changed it last."""
        place: tuple[int, str] = (self._seen + 1, "")
        while rows := await conn.fetch(NEXT, self.log.tenant, *place, BATCH):
            yield {Sku(row["key"]): (_stock.decode(row["document"]), row["position"]) for row in rows}
            place = (rows[-1]["position"], rows[-1]["key"])

    async def _others(self, conn: Any, changed: Sequence[Stock]) -> set[Sku]:
        """Offers whose number changes because those rows did: made of the same."""
        if self._made_of is None or any(row.recipes for row in changed):
            with_recipes = [_stock.decode(row["document"]) for row in await conn.fetch(RECIPES, self.log.tenant)]
            self._made_of = offers_made_of({row.sku: row for row in with_recipes})
        parts = {part for row in changed for recipe in ({row.sku: 1}, *row.recipes.values()) for part in recipe}
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
