"""A person's word that work may go on in a log that was restored to an earlier state, and what must be settled before anything leaves.

What waits to be sent may have been sent in what is gone. So each command counts as asked for with its answer lost: it is looked for before
it is asked again, as its class allows. Three kinds need more than that:

- a file of quantities is dropped: its numbers are old, and the next one has today's;
- money back on the marketplace: refunds that were heard of since the restore may be this command's own, so they are not known to it;
- a record in Shopify of such a refund is dropped where, with both sides read again, the refund turns out to be our own.

And an order that was put into Shopify in what is gone, and has moved on since, is asked for once more: it is found there, and known again.
"""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from adapters.shopify.inbound.sweep import whole_at
from engine.codec import to_json
from engine.inbox import own_fact
from engine.log import Append, Log
from engine.outbox import Intent, issue, issued_event
from engine.ports import RandomIds
from ops.book import Book
from ops.evidence.guard import ROLLED_BACK, Rollback
from ops.settings import Settings
from projections.aftercare import Aftercare
from projections.aftercare_steps import wanted
from projections.levels import step_of
from projections.order_steps import creation
from projections.orders import Order
from schemas.commands import AnyCommand, CancelUnits, PublishStock, RecordShopRefund, RefundLines
from schemas.envelope import Envelope, Fact, event_id
from schemas.events import Event, tag_of
from schemas.events.aftercare import RefundSeen, UnitsCanceled
from schemas.events.commands import CommandRefused
from schemas.events.exceptions import ExceptionOpened, ExceptionResolved
from schemas.events.people import LogResumed
from schemas.streams import LOG
from schemas.values import Instant

ORDERS, STOCK = "shopify:orders", "shopify:stock"  # sources
FILE, MONEY, RECORD = tag_of(PublishStock), (tag_of(RefundLines), tag_of(CancelUnits)), tag_of(RecordShopRefund)

WAITING = """
SELECT tag, count(*) AS number FROM crossdock.outbox WHERE tenant = $1 AND state = 'waiting' AND target <> 'clock' GROUP BY tag ORDER BY tag
"""
READ_AT = "SELECT name, cursor, committed_at FROM crossdock.cursors WHERE tenant = $1 AND name = any($2::text[]) ORDER BY name"
# Orders that were seen in Shopify since, and of which the log does not know that they were created there.
UNKNOWN = """
SELECT o.document, seen.event_id, seen.position, seen.correlation_id
FROM (
    SELECT DISTINCT ON (e.stream) e.stream, e.event_id, e.position, e.correlation_id FROM crossdock.events AS e
    WHERE e.tenant = $1 AND e.position > $2 AND e.type = 'shop_order_seen' ORDER BY e.stream, e.position
) AS seen
JOIN projections.orders AS o ON o.tenant = $1 AND 'order-' || o.key = seen.stream
WHERE o.document->>'shop_order' IS NULL
    AND NOT EXISTS (
        SELECT FROM crossdock.outbox AS b WHERE b.tenant = $1 AND b.subject = seen.stream AND b.tag = 'create_shop_order'
    )
ORDER BY seen.stream
"""
BEHIND = """
SELECT c.name FROM crossdock.checkpoints AS c JOIN crossdock.heads AS h ON h.tenant = c.tenant
WHERE c.tenant = $1 AND c.position < h.position ORDER BY c.name
"""
DOUBT = """
UPDATE crossdock.outbox SET unknown_since = greatest(unknown_since, $2) WHERE tenant = $1 AND state = 'waiting' AND target <> 'clock'
"""
ASKED = """
SELECT command_id, tag, subject, body, attempt, correlation_id FROM crossdock.outbox
WHERE tenant = $1 AND state = 'waiting' AND tag = any($2::text[]) ORDER BY command_id FOR UPDATE
"""
ROW = "SELECT document FROM projections.aftercare WHERE tenant = $1 AND key = $2"
REWRITE = "UPDATE crossdock.outbox SET body = $3::json WHERE tenant = $1 AND command_id = $2"
DROP = "DELETE FROM crossdock.outbox WHERE tenant = $1 AND command_id = any($2::uuid[])"

_command = msgspec.json.Decoder(AnyCommand)
_row = msgspec.json.Decoder(Aftercare)
_order = msgspec.json.Decoder(Order)


class Waiting(Struct, frozen=True):
    """Commands of one kind."""

    tag: str
    number: int


async def waiting(pool: Any, log: Log) -> list[Waiting]:
    """What would be sent."""
    return [Waiting(row["tag"], row["number"]) for row in await pool.fetch(WAITING, log.tenant)]


async def unread(pool: Any, log: Log, settings: Settings) -> list[str]:
    """What has not been read again since the restore was noticed, or is not thought through yet: then what came of the events that are gone
    is not all known.
    """
    noticed = await _noticed(log)
    sources = [ORDERS, STOCK, *(f"mirakl:{channel.id}:orders" for channel in settings.channel)]
    read: dict[str, Instant | None] = {
        row["name"]: whole_at(row["cursor"]) if row["name"] == STOCK else row["committed_at"]
        for row in await pool.fetch(READ_AT, log.tenant, sources)
    }
    missing = [name for name in sources if noticed is None or (when := read.get(name)) is None or when <= noticed.recorded_at]
    return missing + [row["name"] for row in await pool.fetch(BEHIND, log.tenant)]


async def _noticed(log: Log) -> Envelope | None:
    """Where an engine told of the restore: whatever is behind that was heard since."""
    told = await log.read_stream(LOG)
    return next((each for each in reversed(told) if isinstance(each.event, ExceptionOpened) and each.event.key == ROLLED_BACK), None)


async def say_resumed(pool: Any, log: Log, settings: Settings, found: Rollback, *, now: Instant, actor: str, reason: str) -> None:
    """Commits the word together with what follows from it for what waits. Engines hear of it at once."""
    lost, kept = found.lost.checkpoint, found.kept.checkpoint.size if found.kept else 0
    resumed = LogResumed(kept=kept, lost_size=lost.size, lost_root=lost.root.hex(), lost_at=lost.time, reason=reason)
    settled = ExceptionResolved(key=ROLLED_BACK, subject=LOG, reason=reason)
    facts = tuple(_said(log, event, now, actor) for event in (resumed, settled))
    book, told = Book(pool, log, settings), await _noticed(log)
    noticed = told.position if told is not None else found.head
    await book.refresh()
    async with pool.acquire() as conn, conn.transaction():
        await issue(conn, log, [_again(row) for row in await conn.fetch(UNKNOWN, log.tenant, noticed)], now)
    async with pool.acquire() as conn, conn.transaction():
        rows = await conn.fetch(ASKED, log.tenant, [FILE, RECORD, *MONEY])
        dropped = [row for row in rows if row["tag"] == FILE]
        for row in rows:
            if row["tag"] in MONEY:
                await _forget(conn, log, row, noticed)
            elif row["tag"] == RECORD and not await _is_wanted(conn, log, book, row):
                dropped.append(row)
        await conn.execute(DROP, log.tenant, [row["command_id"] for row in dropped])
        await conn.execute(DOUBT, log.tenant, now)
        for verdict in await log.append_in(conn, [*(_refused(log, row, now) for row in dropped), Append(stream=LOG, facts=facts)]):
            verdict.raise_if_refused()
    log.ring()


def _again(row: Any) -> Intent:
    order = _order.decode(row["document"])
    return Intent(creation(order), row["event_id"], row["position"], row["correlation_id"])


async def _forget(conn: Any, log: Log, row: Any, noticed: int) -> None:
    """What was heard of since the restore is not known to a command that gives money back: it may be what that made."""
    command = _command.decode(row["body"])
    assert isinstance(command, RefundLines | CancelUnits)
    before = {_money_back(each.event) for each in await log.read_stream(row["subject"]) if each.position < noticed}
    known = tuple(one for one in command.known if one in before)
    if known != command.known:
        await conn.execute(REWRITE, log.tenant, row["command_id"], to_json(replace(command, known=known)).decode())


def _money_back(event: Event) -> str:
    """By which name the marketplace knows what it gave back; "" for any other event."""
    match event:
        case RefundSeen(refund=name) | UnitsCanceled(cancelation=name):
            return name
    return ""


async def _is_wanted(conn: Any, log: Log, book: Book, row: Any) -> bool:
    """Whether an order calls for this record, now that both sides are read again."""
    document = await conn.fetchval(ROW, log.tenant, row["subject"].removeprefix("order-"))
    if document is None:
        return False
    order = _row.decode(document)
    return step_of(_command.decode(row["body"])) in {step_of(command) for command in wanted(order, book(order.channel))}


def _refused(log: Log, row: Any, now: Instant) -> Append:
    command = _command.decode(row["body"])
    event = CommandRefused(
        command_id=row["command_id"],
        command=row["tag"],
        subject=row["subject"],
        part=command.part,
        attempt=row["attempt"],
        detail="the log was restored to an earlier state, and this is not called for any more",
    )
    cause = issued_event(log.tenant, row["command_id"])
    fact = own_fact(log.tenant, event, f"{row['command_id']}:restored", now, correlation_id=row["correlation_id"], causation_id=cause)
    return Append(stream=row["subject"], facts=(fact,))


def _said(log: Log, event: Event, now: Instant, actor: str) -> Fact:
    identity = event_id(log.tenant, "desk", str(RandomIds().new()), tag_of(event))
    return Fact(event=event, event_id=identity, occurred_at=now, actor=actor)
