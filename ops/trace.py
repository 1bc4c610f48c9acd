"""The whole story of one order or one SKU: what was heard, decided, asked and answered, by whom and why, on both clocks."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.markup import escape

from engine.log import Log
from ops.paper import Column, print_fitted
from ops.sentences import describe
from schemas.commands import (
    PublishStock,
    SettleStockImport,
)
from schemas.envelope import Envelope
from schemas.events import Event, tag_of
from schemas.events.commands import CommandIssued
from schemas.events.inventory import OffersRead, PaceMeasured, StockFileLost, StockImportFinished, StockImportStarted, StockModeSet
from schemas.streams import offers_stream, order_stream, stock_stream
from schemas.values import ChannelId, OrderId, Sku, TenantId

# Either side's number: the marketplace's own, or Shopify's id (whole, or its last part) or name.
FIND_ORDER = """
SELECT key FROM projections.orders
WHERE tenant = $1 AND (document->>'order_id' = $2 OR document->>'shop_name' = $2 OR document->>'shop_order' = $2
    OR document->>'shop_order' = 'gid://shopify/Order/' || $2)
ORDER BY key"""


COLUMNS = (
    Column("#", "cyan", figures=True),
    Column("our clock"),
    Column("theirs"),
    Column("who", "magenta"),
    Column("what", least=30),
    Column("cause #", "cyan", figures=True),
)


class Step(Struct, frozen=True, kw_only=True):
    """One line of the story."""

    position: int
    recorded_at: str  # our clock
    occurred_at: str  # theirs
    who: str
    what: str
    why: int | None  # the position of what caused it, where that is in this story
    type: str
    event: object
    event_id: UUID
    personal: Literal["", "sealed", "erased"] = ""  # what stands beside it of a person


async def story(
    conn: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", log: Log, tenant: TenantId, channels: Sequence[ChannelId], name: str
) -> list[Step]:
    """Everything in the log about an order (either side's number) or a SKU; empty when neither is known."""
    found: list[Envelope] = []
    for stream in await find_orders(conn, log, tenant, channels, name):
        found += await log.read_stream(stream)
    if not found:
        found = await log.read_stream(stock_stream(Sku(name)))
        for channel in channels:
            found += [envelope for envelope in await log.read_stream(offers_stream(channel)) if _concerns(envelope.event, Sku(name))]
    found.sort(key=lambda envelope: envelope.position)
    erased = await log.erased(found)
    places = {envelope.event_id: envelope.position for envelope in found}
    issued = {envelope.event.command_id: envelope.event.command for envelope in found if isinstance(envelope.event, CommandIssued)}
    return [
        Step(
            position=envelope.position,
            recorded_at=_time(envelope.recorded_at.isoformat(timespec="milliseconds")),
            occurred_at=_time(envelope.occurred_at.isoformat(timespec="milliseconds")),
            who=envelope.actor,
            what=describe(envelope.event, issued, Sku(name)) + (", erased" if envelope.event_id in erased else ""),
            why=places.get(envelope.causation_id) if envelope.causation_id else None,
            type=tag_of(envelope.event),
            event=msgspec.to_builtins(envelope.event),
            event_id=envelope.event_id,
            personal="" if envelope.sealed is None else "erased" if envelope.event_id in erased else "sealed",
        )
        for envelope in found
    ]


async def find_orders(
    conn: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", log: Log, tenant: TenantId, channels: Sequence[ChannelId], name: str
) -> list[str]:
    """The streams of the orders that are called so, on either side."""
    known = [f"order-{row['key']}" for row in await conn.fetch(FIND_ORDER, tenant, name)]
    unfolded = [order_stream(channel, OrderId(name)) for channel in channels]
    return list(dict.fromkeys([*known, *[stream for stream in unfolded if stream not in known and await log.read_stream(stream)]]))


def print_story(console: Console, name: str, steps: Sequence[Step]) -> None:
    console.print(f"[italic]The story of {escape(name)}[/]")
    rows = [
        (str(step.position), step.recorded_at[:19].replace("T", " "), step.occurred_at[11:19], step.who, step.what, str(step.why or ""))
        for step in steps
    ]
    print_fitted(console, COLUMNS, rows, first_out=("theirs", "who", "our clock", "cause #"))


def _concerns(event: Event, sku: Sku) -> bool:
    match event:
        case StockImportStarted(quantities=quantities) | StockImportFinished(quantities=quantities) | OffersRead(quantities=quantities):
            return sku in quantities
        case StockFileLost(quantities=quantities):
            return sku in quantities
        case PaceMeasured(hourly=hourly):
            return sku in hourly
        case StockModeSet():
            return True
        case CommandIssued(command=PublishStock(quantities=quantities) | SettleStockImport(quantities=quantities)):
            return sku in quantities
    return False


def _time(text: str) -> str:
    return text.replace("+00:00", "Z")
