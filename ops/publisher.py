"""Drains the difference between what a channel should show and what it shows: one file at a time, as often as the channel allows."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import asyncpg
import msgspec
import structlog

from engine.log import Log
from engine.outbox import Intent, issue
from engine.ports import Clock
from projections.inventory import Publication, Rules, Stock, inventory, publication, publications
from schemas.values import ChannelId

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

FOLDED = "SELECT name, position FROM crossdock.checkpoints WHERE tenant = $1 AND name = any($2::text[]) ORDER BY name"
CHANGED = "SELECT document, position FROM projections.inventory WHERE tenant = $1 AND position > $2 ORDER BY key"
UNDER_WAY = "SELECT document FROM projections.publications WHERE tenant = $1 AND key = $2"

FILE_ROWS = 10_000  # no limit is published; a file of this size is read and applied within a minute
LOOK_EVERY = 1.0  # seconds between two looks at the rows, when nothing woke us
LOOKS = 30  # at folds that lag, before the next round begins anew

_stock = msgspec.json.Decoder(Stock)
_publication = msgspec.json.Decoder(Publication)
log_ = structlog.get_logger()


class Publisher:
    """For one channel. Level-triggered: whatever was missed, the next round sees the difference again.

    `ask_orders` polls the channel's orders, so that no file is built on sales we could have known of.
    """

    def __init__(
        self,
        pool: Pool,
        log: Log,
        channel: ChannelId,
        rules: Rules,
        *,
        clock: Clock,
        ask_orders: Callable[[], Awaitable[Any]],
    ) -> None:
        self._pool, self._log, self._tenant, self._channel = pool, log, log.tenant, channel
        self._rules, self._clock, self._ask_orders = rules, clock, ask_orders
        self._settled = 0  # every row up to this position shows what it should
        self._need = 0  # how far the folds must have come: past our own last file, and past the orders polled for the next

    async def run(self, every: float) -> None:
        """Publish whenever there is a difference, at most once in `every` seconds."""
        self._need = await self._log.head()  # a file issued before we began is in the rows
        async with self._log.listen() as wake:
            while True:
                published = await self.publish()
                await (self._clock.sleep(every) if published else wake(LOOK_EVERY))

    async def publish(self) -> bool:
        """Issue one file, if there is news and none is under way; its intent is committed, the dispatcher does the rest."""
        if not await self._decide(issuing=False):
            return False
        await self._ask_orders()
        self._need = await self._log.head()
        async with self._log.listen() as wake:
            for _ in range(LOOKS):
                if await self._folded() >= self._need:
                    return await self._decide(issuing=True)
                await wake(LOOK_EVERY)
        return False

    async def _folded(self) -> int:
        """How far both folds have come; -1 before they began."""
        rows = await self._pool.fetch(FOLDED, self._tenant, [inventory.name, publications.name])
        return min((row["position"] for row in rows), default=-1) if len(rows) > 1 else -1

    async def _decide(self, *, issuing: bool) -> bool:
        """Whether there is something to send that nobody is sending yet; `issuing` sends it."""
        async with self._pool.acquire() as conn, conn.transaction():
            as_of = await self._folded()
            if as_of < self._need:
                return False
            current = await conn.fetchval(UNDER_WAY, self._tenant, self._channel)
            if current is not None and _publication.decode(current).under_way:
                return False
            changed = await conn.fetch(CHANGED, self._tenant, self._settled)
            stocks = [_stock.decode(row["document"]) for row in changed]
            command = publication(stocks, self._channel, self._rules, as_of=as_of, limit=FILE_ROWS)
            if command is None:
                self._settled = max((row["position"] for row in changed), default=self._settled)
            if command is None or not issuing:
                return command is not None
            [last] = await self._log.read(as_of - 1, limit=1)
            intent = Intent(command=command, cause=last.event_id, position=last.position, correlation_id=last.event_id)
            await issue(conn, self._log, [intent], self._clock.now())
        self._need = await self._log.head()
        log_.info("stock published", channel=self._channel, offers=len(command.quantities), as_of=as_of)
        return True
