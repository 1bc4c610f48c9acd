"""What each channel is told of its quantities: which of them are news, the file that is under way, and the mode that the channel is in."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.desired import NORMAL, Mode, Shelf, Worked, desired, shelf_of
from projections.kinds import opened
from projections.stock import Stock
from projections.stock_rules import Rules
from schemas.commands import Command, PublishStock, SettleStockImport
from schemas.events import Event, Note
from schemas.events.commands import CommandBuried, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionClosed
from schemas.events.inventory import PaceMeasured, StockFileLost, StockImportFinished, StockImportStarted, StockModeSet
from schemas.streams import offers_stream
from schemas.values import ChannelId, Instant, Sku

# Whose turn is first in a file. Zeros: nobody may buy what is not there. Back from zero: nobody can buy what is.
TO_ZERO, FALLS, FROM_ZERO, RISES = range(4)


class News(Struct, frozen=True, order=True):
    """One line of the next file."""

    turn: int
    sku: Sku
    units: int


class Difference(Struct, frozen=True):
    """What a channel should be told at this moment, and what must wait until its orders have been polled once more."""

    news: tuple[News, ...]  # in the order of their turns
    waiting: tuple[Sku, ...] = ()
    careful: frozenset[Sku] = frozenset()  # of which less is shown than there is to sell, because of the mode

    def command(self, channel: ChannelId, *, limit: int, as_of: int, rules: str, mode: Mode, orders_at: Instant | None) -> PublishStock:
        quantities = {line.sku: line.units for line in self.news[:limit]}
        return PublishStock(
            channel=channel, quantities=quantities, as_of=as_of, rules=rules, mode=mode.name, step=mode.step, orders_at=orders_at
        )


def difference(
    offers: Iterable[Sku],
    channel: ChannelId,
    rows: Mapping[Sku, Stock],
    rules: Rules,
    *,
    mode: Mode = NORMAL,
    orders_at: Instant | None,
    under_way: bool = False,
) -> Difference:
    """Of these offers, those that a channel shows otherwise than it should. `orders_at`: when the last whole poll of its orders began.

    `under_way`: a file is; what it says counts as shown.
    """
    news: list[News] = []
    waiting: list[Sku] = []
    careful: set[Sku] = set()
    made_of = offers_made_of(rows)
    for sku in offers:
        shelf = shelf_of(sku, channel, rows, made_of)
        worked = desired(sku, channel, shelf, rules, mode)
        stock = shelf.get(sku) or Stock(sku=sku)
        if worked is not None and not mode.rises and _is_less(worked, stock, channel, desired(sku, channel, shelf, rules)):
            careful.add(sku)
        shown = stock.sent[channel] if under_way and channel in stock.sent else stock.shown.get(channel)
        if worked is None or worked.units == shown or worked.units == stock.refused.get(channel):
            continue
        most, units = stock.most(channel), worked.units
        if units == 0:
            news.append(News(TO_ZERO, sku, units))
        elif most is not None and units <= most:
            news.append(News(FALLS, sku, units))
        elif mode.rises and rests_on_less_than_polled(sku, channel, shelf, orders_at):
            news.append(News(RISES if most else FROM_ZERO, sku, units))
        else:
            waiting.append(sku)
    return Difference(tuple(sorted(news)), tuple(waiting), frozenset(careful))


def _is_less(worked: Worked, stock: Stock, channel: ChannelId, normal: Worked | None) -> bool:
    """Whether the mode keeps something back: units, or a rise."""
    return normal is not None and (worked.units < normal.units or worked.units > (stock.most(channel) or 0))


def rests_on_less_than_polled(offer: Sku, channel: ChannelId, shelf: Shelf, orders_at: Instant | None) -> bool:
    """Whether whatever was sold before the counts that raised it, and before the reading that found it odd, has been heard of."""
    stock = shelf.get(offer) or Stock(sku=offer)
    parts = [shelf[part] for part in stock.recipe(channel) if part in shelf]
    moments = [part.raised_at for part in parts if part.raised_at is not None]
    if (seen := stock.seen.get(channel)) is not None and seen.odd is not None:
        moments.append(seen.read_at)
    return orders_at is not None and all(moment <= orders_at for moment in moments)


class Publication(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The file of quantities a channel is working on. Key: the channel. At most one is under way."""

    channel: ChannelId
    under_way: bool = False
    import_id: str | None = None  # None while the file is being sent
    quantities: dict[Sku, int] = {}
    lost: str = ""  # why nothing will be heard of the file under way
    maybe: bool = False  # it may have been applied all the same
    failed: str = ""  # why the last file came to nothing; "": it did not
    files: int = 0  # that have come to an end
    mode: str = "normal"
    step: int = 0
    because: str = ""  # of the mode
    seconds: int = 0  # until a change is shown, as measured last


def keys(event: Event) -> Iterable[str]:
    match event:
        case (
            CommandIssued(command=PublishStock(channel=channel))
            | StockImportStarted(channel=channel)
            | StockImportFinished(channel=channel)
            | StockFileLost(channel=channel)
            | StockModeSet(channel=channel)
            | PaceMeasured(channel=channel)
        ):
            return (channel,)
        case CommandUnknown(command="publish_stock", subject=subject):
            return (subject.removeprefix(offers_stream(ChannelId(""))),)
        case CommandRefused(command="publish_stock" | "settle_stock_import", subject=subject):
            return (subject.removeprefix(offers_stream(ChannelId(""))),)
        case CommandBuried(command="publish_stock" | "settle_stock_import", subject=subject):
            return (subject.removeprefix(offers_stream(ChannelId(""))),)
    return ()


def evolve(row: Publication, event: Event) -> Publication:
    match event:
        case CommandIssued(command=PublishStock(quantities=quantities)):
            return replace(row, under_way=True, import_id=None, quantities=quantities)
        case StockImportStarted(import_id=import_id, quantities=quantities):
            return replace(row, under_way=True, import_id=import_id, quantities=quantities)
        case StockImportFinished(status=status):
            return _ended(row, "" if status == "COMPLETE" else f"it ended as {status}")
        case CommandRefused(command=tag, detail=detail) | CommandBuried(command=tag, detail=detail) if row.under_way:
            return replace(row, lost=detail, maybe=row.maybe or isinstance(event, CommandBuried) or tag != "publish_stock")
        case CommandUnknown(command="publish_stock") if row.under_way:
            return replace(row, maybe=True)
        case StockFileLost(why=why):
            return _ended(row, why)
        case StockModeSet(mode=mode, step=step, because=because):
            return replace(row, mode=mode, step=step, because=because)
        case PaceMeasured(seconds=seconds):
            return replace(row, seconds=seconds)
    return row


def _ended(row: Publication, failed: str) -> Publication:
    return replace(row, under_way=False, import_id=None, quantities={}, failed=failed, files=row.files + 1, lost="", maybe=False)


def settle(was: Publication, now: Publication) -> Iterator[Command | Note]:
    """A file that was taken must be followed to its end; of one that is lost, its SKUs must hear."""
    if now.import_id is not None and now.import_id != was.import_id:
        yield SettleStockImport(channel=now.channel, import_id=now.import_id, quantities=now.quantities)
    if now.lost and not was.lost:
        yield StockFileLost(channel=now.channel, quantities=now.quantities, why=now.lost, applied=now.maybe)


def watch(was: Publication, now: Publication) -> Iterator[Note]:
    """A file that came to nothing waits for somebody until one goes through."""
    stream = offers_stream(now.channel)
    if now.failed and (now.failed, now.files) != (was.failed, was.files):
        yield opened("X11", stream, f"a file of quantities for {now.channel} came to nothing: {now.failed}")
    if was.failed and not now.failed and not now.under_way:
        yield ExceptionClosed(key=f"X11:{stream}", reason="a later file went through", subject=stream)


publications = Projection(
    name="publications",
    state=Publication,
    initial=lambda key: Publication(channel=ChannelId(key)),
    keys=keys,
    evolve=evolve,
)


def offers_made_of(rows: Mapping[Sku, Stock]) -> dict[Sku, set[Sku]]:
    """For each of Shopify's SKUs, the offers that have it in a recipe of any channel."""
    found: dict[Sku, set[Sku]] = {}
    for row in rows.values():
        for recipe in row.recipes.values():
            for part in recipe:
                found.setdefault(part, set()).add(row.sku)
    return found
