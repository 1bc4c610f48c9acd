"""What is known of each SKU: what Shopify holds of it, what is sold and not yet in Shopify, what each channel was told and shows.

How much of it a channel should show is said in projections/desired.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.kinds import opened
from projections.recipes import Recipe, read_recipe
from schemas.commands import PublishStock
from schemas.events import Event, Note
from schemas.events.aftercare import UnitsCanceled
from schemas.events.commands import CommandIssued
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionRetried
from schemas.events.inventory import OffersRead, PaceMeasured, StockCounted, StockFileLost, StockImportFinished, VariantSeen
from schemas.events.orders import LineStateChanged, OrderPlaced, OrderTermsChanged, ShopOrderCreated
from schemas.events.people import MappingSet
from schemas.streams import stock_stream
from schemas.values import ChannelId, Instant, Money, ShopId, Sku

# The units of a line in one of these states are no longer owed by the shelf: they left it, or never will.
RELEASED = frozenset({"REFUSED", "CANCELED", "REFUNDED", "SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED"})
# And of these, on the way: if they are known to be claimed in Shopify, the count that says so releases them. An older one has them yet.
LEFT = frozenset({"SHIPPED", "TO_COLLECT"})
DELETED = "DELETED"  # see VariantSeen
NOT_FOR_SALE = frozenset({"ARCHIVED", "DRAFT", DELETED})
HOURS = 3  # of sales that are remembered: the busiest of them is the pace

K = TypeVar("K", bound=str)
T = TypeVar("T")


class Variant(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is sold under the SKU, as last seen in Shopify."""

    status: str
    sells_beyond_zero: bool = False
    tags: tuple[str, ...] = ()
    product_type: str = ""
    rivals: tuple[ShopId, ...] = ()  # items that have the SKU, where it is several


class Shown(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a channel showed of the offer when it was read back."""

    quantity: int
    read_at: Instant
    active: bool = True
    deleted: bool = False
    odd: int | None = None  # what we believed instead; None: it was as we believed
    price: Money | None = None  # of one unit, where it was not
    ours: bool = False  # it was what an earlier file of ours had said


class Pace(Struct, frozen=True, kw_only=True, gc=False):
    """How fast it sells on a channel, and how long a change takes to be shown."""

    hourly: int  # units
    seconds: int


class Stock(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is known of one SKU, be it Shopify's, an offer's or, as a rule, both. Key: the SKU."""

    sku: Sku
    item: ShopId | None = None
    tracked: bool = True
    levels: dict[ShopId, int] | None = None  # location -> available units, as last counted; None: never counted
    read_at: Instant | None = None  # of that count
    overtaken: bool = False  # what was told of last was a count older than that
    raised_at: Instant | None = None  # of the last one that found more at some location than the one before
    variant: Variant | None = None  # None: never seen
    recipes: dict[ChannelId, Recipe] = {}  # what an offer of that name is made of, where it is not just this SKU
    # order -> line -> units sold on a channel that Shopify does not show as claimed yet; 0: that line's are owed no more
    reserved: dict[str, dict[str, int]] = {}
    elsewhere: dict[str, dict[str, int]] = {}  # likewise, of orders that are not ours to ship: they take nothing off this shelf
    canceled: dict[str, dict[str, dict[str, int]]] = {}  # of these, order -> line -> the marketplace's cancelation -> units it took off
    claimed: tuple[str, ...] = ()  # those of these orders that stand in Shopify, as we were told
    contained: dict[str, tuple[Sku, ...]] = {}  # order -> those of its recipe whose count contains it, while others do not
    sold: dict[ChannelId, dict[str, int]] = {}  # hour (as in 2026-11-27T18) -> units; the latest hours
    pace: dict[ChannelId, Pace] = {}
    sent: dict[ChannelId, int] = {}  # what a file under way says
    shown: dict[ChannelId, int] = {}  # what a channel applied last, and no order has touched since
    applied: dict[ChannelId, int] = {}  # what it applied last, whatever was sold since: it shows no more than that
    applied_at: dict[ChannelId, Instant] = {}  # when we were told so
    before: dict[ChannelId, int] = {}  # what it had applied before that
    seen: dict[ChannelId, Shown] = {}  # what it was read to show
    refused: dict[ChannelId, int] = {}  # the quantity a channel would not take; asked again only when another is wanted
    why: dict[ChannelId, str] = {}  # and what it said

    @property
    def doubted(self) -> bool:
        """Whether nobody can say how many there are, since several things have the SKU."""
        return self.variant is not None and bool(self.variant.rivals)

    def recipe(self, channel: ChannelId) -> Mapping[Sku, int]:
        """Units of Shopify's SKUs in one unit of the offer."""
        return self.recipes.get(channel) or {self.sku: 1}

    def held(self, order: str) -> dict[str, int] | None:
        """What is to come of each line of an order, whoever ships it; None: it is over, or was never heard of."""
        return self.reserved.get(order) or self.elsewhere.get(order)

    def most(self, channel: ChannelId) -> int | None:
        """Units that the channel may show at most; None: nobody knows."""
        known = [units for units in (self.applied.get(channel), self.sent.get(channel)) if units is not None]
        return max(known, default=None)

    def is_offered(self, channel: ChannelId) -> bool:
        """Whether the channel is known to have such an offer."""
        seen = self.seen.get(channel)
        return channel in self.applied or (seen is not None and not seen.deleted)


def channel_of(order: str) -> ChannelId:
    """Of the key of an order."""
    return ChannelId(order.partition(":")[0])


def keys(event: Event) -> Iterable[str]:
    match event:
        case StockCounted(sku=sku, sold_as=sold_as):
            return dict.fromkeys((sku, *sold_as))
        case LineStateChanged(sku=sku) | UnitsCanceled(sku=sku) | VariantSeen(sku=sku):
            return (sku,)
        case OrderPlaced(lines=lines):
            return dict.fromkeys(line.sku for line in lines)
        case OrderTermsChanged(terms=terms):
            return dict.fromkeys(line.sku for line in terms.lines)
        case ShopOrderCreated(lines=lines):
            return dict.fromkeys(line.sold_as or line.sku for line in lines)
        case StockImportFinished(quantities=quantities) | CommandIssued(command=PublishStock(quantities=quantities)):
            return quantities
        case StockFileLost(quantities=quantities):
            return quantities
        case OffersRead(quantities=quantities):
            return quantities
        case PaceMeasured(hourly=hourly):
            return hourly
        case MappingSet(kind="sku" | "bundle", name=name):
            return (name,)
        case ExceptionRetried(key=key, subject=subject) if key.startswith(f"X10:{subject}:") and subject.startswith(stock_stream(Sku(""))):
            return (subject.removeprefix(stock_stream(Sku(""))),)
    return ()


def initial(key: str) -> Stock:
    return Stock(sku=Sku(key))


def evolve(stock: Stock, event: Event) -> Stock:
    match event:
        case StockCounted():
            return _counted(stock, event)
        case VariantSeen():
            return replace(
                stock,
                variant=Variant(
                    status=event.status,
                    sells_beyond_zero=event.sells_beyond_zero,
                    tags=event.tags,
                    product_type=event.product_type,
                    rivals=event.rivals,
                ),
            )
        case OrderPlaced():
            return _sold(_reserve(stock, event), event) if stock.held(order_of(event)) is None else _reserve(stock, event)
        case OrderTermsChanged(terms=terms):
            return _reserve(stock, terms) if stock.held(order_of(terms)) is not None else stock
        case ShopOrderCreated(channel=channel, order_id=order_id):
            order = f"{channel}:{order_id}"
            return replace(stock, claimed=tuple(sorted({*stock.claimed, order}))) if stock.held(order) is not None else stock
        case LineStateChanged(line_id=line, state=state) if state in RELEASED:
            order = f"{event.channel}:{event.order_id}"
            lines = stock.held(order) or {}
            if not lines.get(line) or (state in LEFT and order in stock.claimed):
                return stock
            return _owing(stock, order, lines | {line: 0}, ours=order in stock.reserved)
        case UnitsCanceled():
            return _canceled(stock, event)
        case MappingSet(channel=channel):
            recipe = read_recipe(event.kind, event.value)
            return replace(stock, recipes=stock.recipes | {channel: recipe} if recipe else without(stock.recipes, channel))
        case PaceMeasured(channel=channel, seconds=seconds, hourly=hourly):
            return replace(stock, pace=stock.pace | {channel: Pace(hourly=hourly[stock.sku], seconds=seconds)})
        case CommandIssued(command=PublishStock(channel=channel, quantities=quantities)):
            # From here to its end nobody knows what the channel shows; if its answer is lost, not even then.
            return replace(stock, sent=stock.sent | {channel: quantities[stock.sku]}, shown=without(stock.shown, channel))
        case ExceptionRetried(key=key):  # what the channel would not take is asked for again
            channel = ChannelId(key.rpartition(":")[2])
            return replace(stock, refused=without(stock.refused, channel), why=without(stock.why, channel))
        case StockImportFinished():
            return _finished(stock, event)
        case StockFileLost():
            return _lost(stock, event)
        case OffersRead():
            return _seen(stock, event)
    return stock


def _counted(stock: Stock, event: StockCounted) -> Stock:
    """A count moves nothing that a later one said; what it contains, it contains.

    Only those that settle orders come into the log though a later one is there; then the one after it is the last word, whatever the clocks
    say by which they were read: it is what the next reading is compared with, and would be no news.
    """
    now = stock
    last_word = stock.read_at is None or event.read_at >= stock.read_at or (stock.overtaken and not event.settled)
    if event.sku == stock.sku and not last_word:
        now = replace(stock, overtaken=stock.overtaken or bool(event.settled))
    elif event.sku == stock.sku:
        known = stock.levels or {}
        raised = stock.levels is None or any(units > known.get(place, 0) for place, units in event.levels.items())
        now = replace(
            stock,
            item=event.item,
            tracked=event.tracked,
            levels=event.levels,
            read_at=event.read_at,
            raised_at=(event.read_by or event.read_at) if raised else stock.raised_at,
            overtaken=False,
        )
    for order in event.settled:
        if now.held(order) is not None:
            recipe = now.recipe(channel_of(order))
            contained = {*now.contained.get(order, ()), event.sku} & recipe.keys()
            if contained == recipe.keys():
                now = _owing(now, order, {}, ours=False)
            elif contained:
                now = replace(now, contained=now.contained | {order: tuple(sorted(contained))})
    return now


def _owing(stock: Stock, order: str, lines: dict[str, int], *, ours: bool) -> Stock:
    """With so much to come of an order, which is ours to ship or is not; nothing of any line: it is over."""
    reserved, elsewhere = without(stock.reserved, order), without(stock.elsewhere, order)
    if any(lines.values()):
        held = {order: lines}
        return replace(stock, reserved=reserved | held if ours else reserved, elsewhere=elsewhere if ours else elsewhere | held)
    return replace(
        stock,
        reserved=reserved,
        elsewhere=elsewhere,
        canceled=without(stock.canceled, order),
        claimed=tuple(each for each in stock.claimed if each != order),
        contained=without(stock.contained, order),
    )


def order_of(order: OrderPlaced) -> str:
    return f"{order.channel}:{order.order_id}"


def _reserve(stock: Stock, order: OrderPlaced) -> Stock:
    """Set, not added: hearing it twice holds it once. What is owed no more stays so, whatever else its terms say now.

    Whether and when a marketplace lowers an offer for its own sale is not published: after one, what it shows is unknown until told anew.
    """
    known, canceled = stock.held(order_of(order)) or {}, stock.canceled.get(order_of(order), {})
    lines: dict[str, int] = {}
    for line in order.lines:
        if line.sku == stock.sku:
            left = line.quantity - sum(canceled.get(line.line_id, {}).values())
            lines[line.line_id] = 0 if known.get(line.line_id) == 0 else max(0, left)
    return replace(
        _owing(stock, order_of(order), lines, ours=order.ours_to_ship),
        sent=without(stock.sent, order.channel),
        shown=without(stock.shown, order.channel),
    )


def _canceled(stock: Stock, event: UnitsCanceled) -> Stock:
    """Each cancelation takes off what it said last, however often it was heard. Of a line that is owed no more there is nothing to take."""
    order, line = f"{event.channel}:{event.order_id}", event.line_id
    lines, known = stock.held(order) or {}, stock.canceled.get(order, {})
    taken = known.get(line, {})
    more = event.quantity - taken.get(event.cancelation, 0)
    if not lines.get(line) or not more:
        return stock
    told = replace(stock, canceled=stock.canceled | {order: known | {line: taken | {event.cancelation: event.quantity}}})
    return _owing(told, order, lines | {line: max(0, lines[line] - more)}, ours=order in stock.reserved)


def _sold(stock: Stock, order: OrderPlaced) -> Stock:
    """Remember how much was sold in the hour."""
    hour = f"{order.placed_at:%Y-%m-%dT%H}"
    units = sum(line.quantity for line in order.lines if line.sku == stock.sku)
    hours = stock.sold.get(order.channel, {})
    hours = hours | {hour: hours.get(hour, 0) + units}
    return replace(stock, sold=stock.sold | {order.channel: dict(sorted(hours.items())[-HOURS:])})


def _finished(stock: Stock, event: StockImportFinished) -> Stock:
    channel, units = event.channel, event.quantities[stock.sku]
    untouched, sent = channel in stock.sent, without(stock.sent, channel)
    if stock.sku in event.refused:
        why = stock.why | {channel: event.refused[stock.sku]}
        return replace(stock, sent=sent, refused=stock.refused | {channel: units}, why=why)
    if event.status == "FAILED":
        return replace(stock, sent=sent)
    if event.status != "COMPLETE":
        return _perhaps(stock, channel, units, sent)
    last = stock.applied.get(channel)
    taken = replace(
        stock,
        sent=sent,
        applied=stock.applied | {channel: units},
        applied_at=stock.applied_at | {channel: event.told_at} if event.told_at is not None else stock.applied_at,
        before=stock.before | {channel: last} if last is not None else stock.before,
        refused=without(stock.refused, channel),
        why=without(stock.why, channel),
        seen=_agreed(stock.seen, channel, units),
    )
    return replace(taken, shown=stock.shown | {channel: units}) if untouched else taken


def _agreed(seen: dict[ChannelId, Shown], channel: ChannelId, told: int) -> dict[ChannelId, Shown]:
    """What was found odd is so no more once just that is told: nothing changes there, so nothing need be read."""
    last = seen.get(channel)
    if last is None or last.odd is None or last.quantity != told:
        return seen
    return seen | {channel: replace(last, odd=None, price=None, ours=False)}


def _lost(stock: Stock, event: StockFileLost) -> Stock:
    sent = without(stock.sent, event.channel)
    return _perhaps(stock, event.channel, event.quantities[stock.sku], sent) if event.applied else replace(stock, sent=sent)


def _perhaps(stock: Stock, channel: ChannelId, units: int, sent: dict[ChannelId, int]) -> Stock:
    """It may have been applied, or may be yet."""
    applied = stock.applied | {channel: max(units, stock.applied.get(channel, units))}
    return replace(stock, sent=sent, shown=without(stock.shown, channel), applied=applied)


def _seen(stock: Stock, event: OffersRead) -> Stock:
    """What is shown otherwise than was applied last is told anew by the next file. A reading that may be older than that says nothing."""
    channel, units, last = event.channel, event.quantities[stock.sku], stock.seen.get(event.channel)
    if stock.sku in event.deleted:
        gone = Shown(quantity=units, read_at=event.read_at, active=False, deleted=True)
        return replace(
            stock,
            seen=stock.seen | {channel: gone},
            shown=without(stock.shown, channel),
            applied=without(stock.applied, channel),
            refused=without(stock.refused, channel),
            why=without(stock.why, channel),
        )
    active, at = stock.sku not in event.inactive, stock.applied_at.get(channel)
    if channel in stock.sent or (at is not None and event.read_at < at):
        return stock
    if stock.refused.get(channel) == units:  # so much was sold that it shows what it would not take
        stock = replace(stock, refused=without(stock.refused, channel), why=without(stock.why, channel))
    believed = stock.shown.get(channel)
    odd = believed if believed is not None and units != believed else None
    ours = odd is not None and stock.before.get(channel) == units
    if believed is None and last is not None and _is_still_odd(last, units, at):
        odd, ours = last.odd, last.ours
    if last is not None and (last.quantity, last.active, last.deleted, last.odd) == (units, active, False, odd):
        return stock
    price = event.prices.get(stock.sku) if odd is not None else None
    shown = Shown(quantity=units, read_at=event.read_at, active=active, odd=odd, price=price, ours=ours)
    now = replace(stock, seen=stock.seen | {channel: shown})
    if odd is None or believed is None:
        return now
    return replace(now, shown=without(now.shown, channel), applied=now.applied | {channel: units})


def _is_still_odd(last: Shown, units: int, applied_at: Instant | None) -> bool:
    """Nothing was told since it was found otherwise, and it still is: as it was then, or less by what was sold."""
    if last.odd is None or (applied_at is not None and applied_at >= last.read_at):
        return False
    return units == last.quantity or last.odd < units < last.quantity


def without(known: dict[K, T], key: K) -> dict[K, T]:
    return {name: value for name, value in known.items() if name != key} if key in known else known


# ---------------------------------------------------------------- what waits for somebody


def decide(was: Stock, now: Stock) -> Iterator[Note]:
    """What a channel will not take of it waits for somebody; and what could not be counted is over once it is."""
    before, after = troubles(was), troubles(now)
    for key, trouble in after.items():
        if before.get(key) != trouble:
            yield trouble
    for key in before:
        if key not in after:
            yield ExceptionClosed(key=key, reason=_OVER[key[:3]], subject=stock_stream(now.sku))


_OVER = {
    "X02": "one thing has it again",
    "X03": "there is a variant now, or no offer",
    "X07": "there is a variant again, or no offer",
    "X08": "it is for sale again, or not on offer",
    "X10": "taken since, or asked for again",
    "X12": "shown as it should be",
    "X19": "shown as it should be",
    "X15": "counted again",
}


def troubles(stock: Stock) -> dict[str, ExceptionOpened]:
    """What is wrong with a SKU, by the key of the exception."""
    return {trouble.key: trouble for trouble in _troubles(stock)}


def _troubles(stock: Stock) -> Iterator[ExceptionOpened]:
    stream, sku = stock_stream(stock.sku), stock.sku
    if stock.variant is not None and stock.variant.rivals:
        named = ", ".join(item.rpartition("/")[2] for item in stock.variant.rivals)
        yield opened("X02", stream, f"SKU {sku} is that of several inventory items in Shopify: {named}", field="sku")
    for channel in sorted(stock.refused):
        summary = f"{channel} does not take the stock of {sku}: {stock.why.get(channel, '')}"
        yield opened("X10", stream, summary, part=channel, field=sku)
    for channel, seen in sorted(stock.seen.items()):
        if seen.deleted:
            continue
        if stock.levels is None and not stock.doubted and channel not in stock.recipes:
            yield opened("X03", stream, f"{channel} has an offer {sku}, and Shopify no variant", part=channel, field=sku)
        if seen.odd is not None and seen.quantity > seen.odd:  # fewer: as a rule a sale that we are about to hear of
            code = "X12" if seen.ours else "X19"
            summary = f"{channel} shows {seen.quantity} of {sku}, and had been told {seen.odd}"
            yield opened(code, stream, summary, part=channel, field=sku)
    offered = sorted(channel for channel in stock.seen.keys() | stock.applied.keys() if stock.is_offered(channel))
    if offered and stock.variant is not None and stock.variant.status in NOT_FOR_SALE:
        code, status = "X07" if stock.variant.status == DELETED else "X08", stock.variant.status.lower()
        yield opened(code, stream, f"{sku} is {status} in Shopify, and on offer on {', '.join(offered)}")
    if offered and not stock.tracked:
        yield opened("X15", stream, f"Shopify does not count {sku}, which is on offer on {', '.join(offered)}")


inventory = Projection(
    name="inventory",
    state=Stock,
    initial=initial,
    keys=keys,
    evolve=evolve,
    indexes=(
        ("item", "(tenant, (document->>'item'))"),
        ("position", "(tenant, position, key)"),  # whoever looks at what has changed does so every second
        ("recipes", "(tenant, key) WHERE document->>'recipes' IS NOT NULL"),
    ),
)
