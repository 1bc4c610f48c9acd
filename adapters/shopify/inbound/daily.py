"""Once a day, orders are listed in bulk: returns and holds come and go without moving the date that the sweep goes by.

Its result may be of any size: it is read as a stream, some orders at a time. What it says is old by then, so it only tells which orders to
read again.
"""

from contextlib import aclosing
from datetime import datetime, timedelta

import msgspec
import structlog

from adapters.download import Download
from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client
from adapters.shopify.endpoints import BULK_GET, BULK_ORDERS, BULK_SINCE
from adapters.shopify.inbound import bulk
from adapters.shopify.inbound.orders import Orders
from engine.adapter import Heard, Sight
from engine.errors import RejectedError
from schemas.commands import Lane
from schemas.values import Instant

LOOKED_AT = timedelta(days=120)  # from an order's making: returns come within weeks, and what is older is settled
RECENT = timedelta(hours=48)  # an order that changed since is read again, though the sweep should have told
AT_ONCE = 50  # orders read again in one poll; a restart goes on after them
EVERY = 30.0  # seconds between two looks at what is under way
AGAIN_AFTER = timedelta(hours=1)  # when the next one is begun after one that failed

# Of an order that nobody has anything left to do with.
_SENT = frozenset({"FULFILLED", "RESTOCKED", "FULFILLMENT_NOT_REQUIRED"})

log = structlog.get_logger()


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where it has got to: the cursor, as JSON."""

    due: Instant  # when the next one is begun
    operation: str = ""  # the one that is under way
    began: Instant | None = None
    line: int = 0  # of its result, read up to here


class DailySweep:
    name, target, every = "shopify:orders:daily", TARGET, EVERY

    def __init__(self, orders: Orders, client: Client, files: Download, daily: float) -> None:
        """`daily`: seconds from one to the next."""
        self._orders, self._client, self._files, self._daily = orders, client, files, timedelta(seconds=daily)

    async def poll(self, cursor: str | None) -> Sight:
        now = self._client.clock.now()
        at = msgspec.json.decode(cursor, type=Progress) if cursor else Progress(due=now)
        if at.operation:
            heard, at = await self._follow(at, now)
            return Sight(heard, msgspec.json.encode(at).decode())
        return Sight([], msgspec.json.encode(await self._begin(at, now) if now >= at.due else at).decode())

    async def _begin(self, at: Progress, now: Instant) -> Progress:
        """Others may run theirs, and five at once are all there can be: then later."""
        query = BULK_ORDERS.replace(BULK_SINCE, (now - LOOKED_AT).isoformat(timespec="seconds").replace("+00:00", "Z"))
        operation = await bulk.begin(self._client, query)
        if operation is None:
            return Progress(due=now + timedelta(seconds=EVERY))
        return Progress(due=now + self._daily, operation=operation, began=now)

    async def _follow(self, at: Progress, now: Instant) -> tuple[list[Heard], Progress]:
        found = await bulk.stands(self._client, at.operation)
        if bulk.is_running(found):
            return [], at
        if found is None or found.status != "COMPLETED":
            log.warning("a bulk operation failed", status=found.status if found else "gone", code=found.error_code if found else None)
            return [], Progress(due=now + AGAIN_AFTER)
        if found.url is None:  # nothing to list
            return [], Progress(due=at.due)
        orders, line = await self._next(found.url, at)
        heard: list[Heard] = []
        for order in orders:
            heard += await self._orders.facts(order, Lane.CATALOGUE)
        return heard, Progress(due=at.due) if line is None else msgspec.structs.replace(at, line=line)

    async def _next(self, address: str, at: Progress) -> tuple[list[str], int | None]:
        """The orders to read again from that line on, and the line after them; None: that was all."""
        wanted: list[str] = []
        place = 0
        async with aclosing(self._files.lines(address)) as lines:
            async for line in lines:
                place += 1
                if place <= at.line:
                    continue
                try:
                    order = msgspec.json.decode(line, type=wire.bulk.BulkOrder)
                except (msgspec.DecodeError, RecursionError) as error:
                    raise RejectedError("a line of a bulk result does not fit", target=TARGET, endpoint=BULK_GET.name) from error
                if is_worth_a_look(order, at.began or at.due):
                    wanted.append(order.id)
                if len(wanted) == AT_ONCE:
                    return wanted, place
        return wanted, None


def is_worth_a_look(order: wire.bulk.BulkOrder, now: datetime) -> bool:
    """Whether something may have become of it that its date does not tell: it has a return, or somebody may hold it or let it go."""
    waits = order.cancelled_at is None and order.display_fulfillment_status not in _SENT
    return waits or order.return_status != "NO_RETURN" or order.updated_at >= now - RECENT
