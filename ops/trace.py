"""The whole story of one order or one SKU: what was heard, decided, asked and answered, by whom and why, on both clocks."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from engine.log import Log
from schemas.commands import AcceptOrder, Command, CreateShopOrder, PublishStock, SetSellerReference, SettleStockImport, ShipOrder
from schemas.envelope import Envelope
from schemas.events import Event, tag_of
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.inventory import StockCounted, StockImportFinished, StockImportStarted
from schemas.events.orders import (
    DeliveryAddressGiven,
    FulfilmentSeen,
    LineStateChanged,
    OrderAccepted,
    OrderPlaced,
    OrderShipped,
    OrderStateChanged,
    OrderTermsChanged,
    SellerReferenceSet,
    ShopOrderCreated,
    ShopOrderSeen,
)
from schemas.streams import offers_stream, order_stream, stock_stream
from schemas.values import ChannelId, OrderId, Sku, TenantId

# Either side's number: the marketplace's own, or Shopify's id (whole, or its last part) or name.
FIND_ORDER = """
SELECT key FROM projections.orders
WHERE tenant = $1 AND (document->>'order_id' = $2 OR document->>'shop_name' = $2 OR document->>'shop_order' = $2
    OR document->>'shop_order' = 'gid://shopify/Order/' || $2)
ORDER BY key"""


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
    places = {envelope.event_id: envelope.position for envelope in found}
    issued = {envelope.event.command_id: envelope.event.command for envelope in found if isinstance(envelope.event, CommandIssued)}
    return [
        Step(
            position=envelope.position,
            recorded_at=_time(envelope.recorded_at.isoformat(timespec="milliseconds")),
            occurred_at=_time(envelope.occurred_at.isoformat(timespec="milliseconds")),
            who=envelope.actor,
            what=describe(envelope.event, issued, Sku(name)),
            why=places.get(envelope.causation_id) if envelope.causation_id else None,
            type=tag_of(envelope.event),
            event=msgspec.to_builtins(envelope.event),
            event_id=envelope.event_id,
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
    table = Table(title=f"The story of {name}", title_justify="left", header_style="bold")
    for heading, style in (
        ("#", "cyan"),
        ("our clock", ""),
        ("their clock", ""),
        ("who", "magenta"),
        ("what", ""),
        ("because of #", "cyan"),
    ):
        table.add_column(heading, style=style, no_wrap=heading != "what", justify="right" if heading.endswith("#") else "left")
    for step in steps:
        ours, theirs = step.recorded_at[:19].replace("T", " "), step.occurred_at[11:19]
        table.add_row(str(step.position), ours, theirs, step.who, step.what, str(step.why or ""))
    console.print(table)


def describe(event: Event, issued: Mapping[UUID, Command], sku: Sku) -> str:
    """An event in one plain sentence; of files of quantities, only what they say of `sku`."""
    match event:
        case OrderPlaced(lines=lines, total=total):
            return f"bought: {', '.join(f'{line.quantity} x {line.sku}' for line in lines)} for {total} {total.currency}"
        case OrderTermsChanged(terms=terms):
            return f"terms changed: now {terms.total} {terms.total.currency}"
        case OrderStateChanged(state=state):
            return f"the marketplace says {state}"
        case LineStateChanged(line_id=line, state=state):
            return f"line {line} is {state}"
        case DeliveryAddressGiven(country_code=country):
            return f"an address was given (sealed{f'; {country}' if country else ''})"
        case OrderAccepted(accepted=accepted, refused=refused):
            return f"accepted: {len(accepted)} lines" + (f", refused: {len(refused)}" if refused else "")
        case ShopOrderCreated(name=name, total=total):
            return f"stands in Shopify as {name}, {total} {total.currency}"
        case SellerReferenceSet(reference=reference):
            return f"the marketplace knows it as {reference}"
        case ShopOrderSeen(fulfilment_status=fulfilment, financial_status=money, cancelled_at=cancelled):
            return "Shopify shows it " + ("cancelled" if cancelled else f"{fulfilment.lower() or 'open'}, {money.lower()}")
        case FulfilmentSeen(status=status, units=units, carrier=carrier, tracking_number=number):
            return f"fulfilment {status}: {sum(units.values())} units, {carrier or 'no carrier'} {number}".rstrip()
        case OrderShipped(carrier_code=carrier, tracking_number=number):
            return f"the marketplace was told it left: {carrier} {number}".rstrip()
        case StockCounted(levels=levels, settled=settled):
            told = f" (contains {', '.join(settled)})" if settled else ""
            return f"Shopify counts {sum(levels.values())} available{told}"
        case StockImportStarted(import_id=number, channel=channel):
            return f"{channel} took the file as import {number}"
        case StockImportFinished(import_id=number, channel=channel, status=status, refused=refused, quantities=quantities):
            verdict = f"refused: {refused[sku]}" if sku in refused else f"{quantities.get(sku, 0)} units"
            return f"{channel} finished import {number}: {status}, {verdict}"
        case CommandIssued(command=command):
            return f"asked: {_wish(command, sku)}"
        case CommandConfirmed(command_id=key, command=tag, attempt=attempt, found=found):
            how = "found done already" if found else "done"
            return f"{how}: {_wish(issued[key], sku) if key in issued else tag}" + (f" (attempt {attempt})" if attempt > 1 else "")
        case CommandRefused(command=tag, detail=detail):
            return f"refused: {tag}: {detail}"
        case CommandUnknown(command=tag, attempt=attempt, detail=detail):
            return f"no answer to {tag} (attempt {attempt}): {detail}"
        case CommandBuried(command=tag, attempt=attempt, detail=detail):
            return f"given up: {tag} after attempt {attempt}: {detail}"
        case ExceptionOpened(code=code, owner=owner, summary=summary):
            return f"{code} for {owner}: {summary}"
        case ExceptionClosed(reason=reason):
            return f"closed: {reason}"
    return tag_of(event).replace("_", " ")


def _wish(command: Command, sku: Sku) -> str:
    match command:
        case AcceptOrder(accepted=accepted, refused=refused):
            return f"accept {len(accepted)} lines" + (f", refuse {len(refused)}" if refused else "")
        case CreateShopOrder(total=total):
            return f"create it in Shopify for {total} {total.currency}"
        case SetSellerReference(reference=reference):
            return f"tell the marketplace our name for it, {reference}"
        case ShipOrder(carrier=carrier, tracking_number=number):
            return f"tell the marketplace it left, {carrier} {number}".rstrip()
        case PublishStock(channel=channel, quantities=quantities):
            return f"show {quantities.get(sku, 0)} on {channel}"
        case SettleStockImport(channel=channel, import_id=number):
            return f"follow import {number} of {channel}"
    return tag_of(command).replace("_", " ")


def _concerns(event: Event, sku: Sku) -> bool:
    match event:
        case StockImportStarted(quantities=quantities) | StockImportFinished(quantities=quantities):
            return sku in quantities
        case CommandIssued(command=PublishStock(quantities=quantities) | SettleStockImport(quantities=quantities)):
            return sku in quantities
    return False


def _time(text: str) -> str:
    return text.replace("+00:00", "Z")
