"""What each channel should show of each SKU, and what it does show; and the files of quantities that are under way."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.kinds import opened
from schemas.commands import Command, PublishStock, SettleStockImport
from schemas.events import Event, Note
from schemas.events.commands import CommandBuried, CommandIssued, CommandRefused
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.inventory import StockCounted, StockImportFinished, StockImportStarted
from schemas.events.orders import LineStateChanged, OrderPlaced, OrderTermsChanged
from schemas.streams import offers_stream, stock_stream
from schemas.values import ChannelId, ShopId, Sku

# The units of a line in one of these states are no longer owed by the shelf: they left it, or never will.
RELEASED = frozenset({"REFUSED", "CANCELED", "REFUNDED", "SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED"})


T = TypeVar("T")
_STOCK = stock_stream(Sku(""))


class Stock(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is known of one SKU. Key: the SKU."""

    sku: Sku
    item: ShopId | None = None
    tracked: bool = True
    levels: dict[ShopId, int] | None = None  # location -> available units, as last counted; None: never counted
    reserved: dict[str, dict[str, int]] = {}  # order -> line -> units sold on a channel that Shopify does not show as claimed yet
    sent: dict[ChannelId, int] = {}  # what a file under way says
    shown: dict[ChannelId, int] = {}  # what a channel applied last, and no order has touched since
    refused: dict[ChannelId, int] = {}  # the quantity a channel would not take; asked again only when another is wanted
    why: dict[ChannelId, str] = {}  # and what it said
    doubted: str = ""  # the open exception of a SKU that nobody can count; "": none


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of the stock a channel may show."""

    buffer: int = 0  # units kept back from each SKU, against sales we have not heard of yet
    floor: int = 0  # units kept for the shop's own customers
    locations: tuple[ShopId, ...] = ()  # whose stock counts; empty: every location


def available(stock: Stock, rules: Rules) -> int:
    """Units at the chosen locations, as Shopify counts them; may be negative."""
    levels = stock.levels or {}
    return sum(units for place, units in levels.items() if not rules.locations or place in rules.locations)


def desired(stock: Stock, rules: Rules) -> int:
    """Units a channel should show: what is there, less what is kept back, less what is sold and not yet in Shopify; never below zero."""
    owed = sum(sum(lines.values()) for lines in stock.reserved.values())
    return max(0, available(stock, rules) - rules.buffer - rules.floor - owed)


def publication(rows: Iterable[Stock], channel: ChannelId, rules: Rules, *, as_of: int, limit: int) -> PublishStock | None:
    """The file that brings a channel from what it shows to what it should; zeros first, then decreases, then the rest. None: no news."""
    news: list[tuple[int, Sku, int]] = []
    for stock in rows:
        if stock.levels is None or not stock.tracked:
            continue
        now = desired(stock, rules)
        shown = stock.shown.get(channel)
        if now == shown or stock.refused.get(channel) == now:
            continue
        urgency = 0 if now == 0 else 1 if shown is not None and now < shown else 2
        news.append((urgency, stock.sku, now))
    if not news:
        return None
    return PublishStock(channel=channel, quantities={sku: units for _, sku, units in sorted(news)[:limit]}, as_of=as_of)


def keys(event: Event) -> Iterable[str]:
    match event:
        case StockCounted(sku=sku) | LineStateChanged(sku=sku):
            return (sku,)
        case OrderPlaced(lines=lines):
            return dict.fromkeys(line.sku for line in lines)
        case OrderTermsChanged(terms=terms):
            return dict.fromkeys(line.sku for line in terms.lines)
        case StockImportFinished(quantities=quantities) | CommandIssued(command=PublishStock(quantities=quantities)):
            return quantities
        case ExceptionOpened(code="X02", subject=subject) if subject.startswith(_STOCK):
            return (subject.removeprefix(_STOCK),)
    return ()


def initial(key: str) -> Stock:
    return Stock(sku=Sku(key))


def evolve(stock: Stock, event: Event) -> Stock:
    match event:
        case StockCounted():
            reserved = stock.reserved
            if event.settled:
                reserved = {order: lines for order, lines in reserved.items() if order not in event.settled}
            return replace(stock, item=event.item, tracked=event.tracked, levels=event.levels, reserved=reserved, doubted="")
        case ExceptionOpened(key=key):
            return replace(stock, doubted=key)
        case OrderPlaced():
            return _reserve(stock, event)
        case OrderTermsChanged(terms=terms):
            return _reserve(stock, terms) if f"{terms.channel}:{terms.order_id}" in stock.reserved else stock
        case LineStateChanged(line_id=line, state=state) if state in RELEASED:
            order = f"{event.channel}:{event.order_id}"
            lines = stock.reserved.get(order)
            if lines is None or line not in lines:
                return stock
            rest = {key: units for key, units in lines.items() if key != line}
            reserved = {key: value for key, value in stock.reserved.items() if key != order} | ({order: rest} if rest else {})
            return replace(stock, reserved=reserved)
        case CommandIssued(command=PublishStock(channel=channel, quantities=quantities)):
            return replace(stock, sent=stock.sent | {channel: quantities[stock.sku]})
        case StockImportFinished(channel=channel, status=status, quantities=quantities, refused=refused):
            untouched, sent = channel in stock.sent, _without(stock.sent, channel)
            if stock.sku in refused:
                why = stock.why | {channel: refused[stock.sku]}
                return replace(stock, sent=sent, refused=stock.refused | {channel: quantities[stock.sku]}, why=why)
            if status != "COMPLETE":
                return replace(stock, sent=sent)
            taken = replace(stock, sent=sent, refused=_without(stock.refused, channel), why=_without(stock.why, channel))
            return replace(taken, shown=stock.shown | {channel: quantities[stock.sku]}) if untouched else taken
    return stock


def _reserve(stock: Stock, order: OrderPlaced) -> Stock:
    """Set, not added: hearing it twice holds it once.

    Whether and when a marketplace lowers an offer for its own sale is not published: after one, what it shows is unknown until told anew.
    """
    lines = {line.line_id: line.quantity for line in order.lines if line.sku == stock.sku}
    return replace(
        stock,
        reserved=stock.reserved | {f"{order.channel}:{order.order_id}": lines},
        sent=_without(stock.sent, order.channel),
        shown=_without(stock.shown, order.channel),
    )


def _without(of_channels: dict[ChannelId, T], channel: ChannelId) -> dict[ChannelId, T]:
    return {key: value for key, value in of_channels.items() if key != channel} if channel in of_channels else of_channels


def decide(was: Stock, now: Stock) -> Iterator[Note]:
    """What a channel will not take of it waits for somebody; and what could not be counted is over once it is."""
    stream = stock_stream(now.sku)
    for channel in sorted(now.refused.keys() | was.refused.keys()):
        key = f"X10:{stream}:{channel}"
        if channel not in now.refused:
            yield ExceptionClosed(key=key, reason="taken since", subject=stream)
        elif now.why.get(channel) != was.why.get(channel):
            summary = f"{channel} does not take the stock of {now.sku}: {now.why.get(channel, '')}"
            yield opened("X10", stream, summary, part=channel, field=now.sku)
    if was.doubted and not now.doubted:
        yield ExceptionClosed(key=was.doubted, reason="counted since", subject=stream)


inventory = Projection(name="inventory", state=Stock, initial=initial, keys=keys, evolve=evolve)


class Publication(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The file of quantities a channel is working on. Key: the channel. At most one is under way."""

    channel: ChannelId
    under_way: bool = False
    import_id: str | None = None  # None while the file is being sent
    quantities: dict[Sku, int] = {}
    failed: str = ""  # why the last file came to nothing; "": it did not


def publication_keys(event: Event) -> Iterable[str]:
    match event:
        case (
            CommandIssued(command=PublishStock(channel=channel))
            | StockImportStarted(channel=channel)
            | StockImportFinished(channel=channel)
        ):
            return (channel,)
        case CommandRefused(command="publish_stock" | "settle_stock_import", subject=subject):
            return (subject.removeprefix(offers_stream(ChannelId(""))),)
        case CommandBuried(command="publish_stock" | "settle_stock_import", subject=subject):
            return (subject.removeprefix(offers_stream(ChannelId(""))),)
    return ()


def publication_evolve(row: Publication, event: Event) -> Publication:
    match event:
        case CommandIssued(command=PublishStock(quantities=quantities)):
            return Publication(channel=row.channel, under_way=True, quantities=quantities, failed=row.failed)
        case StockImportStarted(import_id=import_id, quantities=quantities):
            return Publication(channel=row.channel, under_way=True, import_id=import_id, quantities=quantities, failed=row.failed)
        case StockImportFinished(status=status):
            return Publication(channel=row.channel, failed="" if status == "COMPLETE" else f"it ended as {status}")
        case CommandRefused(detail=detail) | CommandBuried(detail=detail):
            return Publication(channel=row.channel, failed=detail)
    return row


def settle(was: Publication, now: Publication) -> Iterator[Command]:
    """A file that was taken must be followed to its end."""
    if now.import_id is not None and now.import_id != was.import_id:
        yield SettleStockImport(channel=now.channel, import_id=now.import_id, quantities=now.quantities)


def watch(was: Publication, now: Publication) -> Iterator[Note]:
    """A file that came to nothing waits for somebody until one goes through."""
    stream = offers_stream(now.channel)
    if now.failed and now.failed != was.failed:
        yield opened("X11", stream, f"a file of quantities for {now.channel} came to nothing: {now.failed}")
    if was.failed and not now.failed and not now.under_way:
        yield ExceptionClosed(key=f"X11:{stream}", reason="a later file went through", subject=stream)


publications = Projection(
    name="publications",
    state=Publication,
    initial=lambda key: Publication(channel=ChannelId(key)),
    keys=publication_keys,
    evolve=publication_evolve,
)
