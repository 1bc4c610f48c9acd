"""What must hold of stock, whatever happens: seven invariants, judged by what the world and the log say, not by the engine's own rows."""

from collections.abc import Mapping
from datetime import timedelta

from projections.stock import troubles
from schemas.commands import PublishStock
from schemas.events.inventory import OffersRead, StockImportFinished, StockModeSet
from schemas.events.orders import LineStateChanged, OrderPlaced
from schemas.values import ChannelId, Instant, ShopId, Sku
from tests.simulation.engine import Engine
from tests.simulation.readers import SHOP, Counted
from tests.simulation.trade import GHOST, MADE_OF, RULES, Import, Order, Trade

PRICE = "19.99"
GRACE = timedelta(minutes=5)  # in which one that has just started need not be more careful than whoever went before


class BrokenError(AssertionError):
    """An invariant does not hold; it is named first."""

    def __init__(self, invariant: str, why: str) -> None:
        super().__init__(f"{invariant}: {why}")
        self.invariant = invariant


class Watch:
    """Judges as things happen. `only` some invariants, where others are bound to break too."""

    def __init__(self, only: frozenset[str] = frozenset()) -> None:
        self._only = only
        self.seen: dict[str, int] = {}  # how often each was judged
        self.met: set[str] = set()  # what has to come about for that to mean anything

    def _holds(self, invariant: str, holds: bool, why: str) -> None:
        if not self._only or invariant in self._only:
            self.seen[invariant] = self.seen.get(invariant, 0) + 1
            if not holds:
                raise BrokenError(invariant, why)

    # ------------------------------------------------------------ a file is decided on

    def published(self, command: PublishStock, engine: Engine) -> None:
        channel, log = command.channel, Known(engine, command.as_of)
        for offer, units in command.quantities.items():
            made_of = MADE_OF[channel].get(offer, {offer: 1})
            for part, each in made_of.items():
                there = log.left(channel, part)
                self._holds("I1", units * each <= there, f"{units} of {offer} on {channel}, of {part} no more than {there} are free: {log}")
                best = log.best_since_counted(channel, part, engine.trade)
                self._holds("I2", units * each <= best, f"{units} of {offer} on {channel}, and there were never more than {best} {part}")
            if units > log.told(channel, offer):
                self.met.add("a rise")
                self._rise(channel, offer, made_of, log, engine.trade)
            self._degraded(command, offer, min(log.left(channel, part) // each for part, each in made_of.items()), log, engine)

    def _rise(self, channel: ChannelId, offer: Sku, made_of: Mapping[Sku, int], log: "Known", trade: Trade) -> None:
        """What was sold there before the counts that it rests on has been heard of: else a buffer could be used up before it counts."""
        for part in made_of:
            if (raised := log.raised_at(part)) is not None:
                unheard = [
                    o.key for o in trade.orders.values() if o.channel == channel and o.placed_at <= raised and o.key not in log.placed
                ]
                self._holds("I7", not unheard, f"{offer} rises on {channel}, and {unheard} were bought before its stock was counted")

    def _degraded(self, command: PublishStock, offer: Sku, free: int, log: "Known", engine: Engine) -> None:
        units = command.quantities[offer]
        mode, step = log.mode(command.channel, engine.files.position)
        what = f"{units} of {offer} on {command.channel} in mode {mode} {step}"
        self._holds("I6", (command.mode, command.step) == (mode, step), f"{what}: the file says {command.mode} {command.step}")
        called = called_for(command.channel, engine)
        as_called = (mode, step) == called
        if called[0] != "blackout" and engine.trade.now - engine.began < GRACE:
            as_called = care((mode, step)) <= care(called)
        self._holds("I6", as_called, f"{what}: {called} is called for")
        if mode != "normal":
            self.met.add(mode)
            self._holds("I6", units <= log.told(command.channel, offer), f"{what}: it had been told {log.told(command.channel, offer)}")
        if mode in ("zero", "blackout"):
            self._holds("I6", units == 0, what)
        if mode == "decay":
            self._holds("I6", units <= free >> step, f"{what}, and {free} are free")

    # ------------------------------------------------------------ a file is sent, worked on

    def sent(self, channel: ChannelId, trade: Trade) -> None:
        *before, last = trade.imports[channel]
        open_ = [each.import_id for each in before if each.status == "QUEUED" and not each.given_up and each.command != last.command]
        self._holds("I3", not open_, f"{last.import_id} is sent while {open_} are under way")

    def applying(self, taken: Import, before: Mapping[Sku, int]) -> None:
        """`before`: the positions on which the numbers rested that it overwrites."""
        stale = [line["offer-sku"] for line in taken.lines if before.get(Sku(line["offer-sku"]), 0) > taken.as_of]
        self._holds("I3", taken.given_up or not stale, f"{taken.import_id} puts older numbers over newer ones: {stale}")

    # ------------------------------------------------------------ somebody buys

    def bought(self, order: Order, engine: Engine) -> None:
        trade = engine.trade
        shown = next(offer for sale, offer in trade.sales if sale is order)
        if not shown.import_id:
            return  # somebody in the back office answers for it
        this = (order.channel, order.sku, shown.import_id)
        log = Known(engine, shown.as_of)
        for part in order.needs:
            owed = sum(each.needs.get(part, 0) for each in trade.orders.values() if each.owes)
            short = owed - at_places(order.channel, trade.levels[part])
            counted = log.counted(part)
            if counted is None:
                self._holds("I7", False, f"{part} was sold before anybody had counted it")
                continue
            meanwhile = sum(
                drain.units
                for drain in trade.drains
                if drain.sku == part
                and drain.offer != this  # what is bought of the number itself, it was there for
                and (drain.at > counted.taken_at or (drain.order and drain.order not in log.placed))
            )
            buffer = RULES[order.channel].buffer or 0
            self.met |= {"an oversell beyond the buffer"} if short > 0 else set()
            why = f"{short} {part} oversold by {order.key}; {meanwhile} had gone since the count, and {buffer} are kept back"
            self._holds("I7", short <= 0 or meanwhile > buffer, why)

    # ------------------------------------------------------------ at any time, and when all is quiet

    def always(self, trade: Trade) -> None:
        for channel, offers in trade.offers.items():
            for sku, offer in offers.items():
                self._holds("I5", offer.price == PRICE, f"{sku} on {channel} costs {offer.price}")

    def quiet(self, engine: Engine) -> None:
        trade = engine.trade
        for channel, offers in trade.offers.items():
            files = trade.imports[channel]
            self.met |= {"a file that failed" for each in files if each.status == "FAILED"}
            self.met |= {"a file that was given up" for each in files if each.given_up}
            self.met |= {"a file sent twice"} if len({each.command for each in files}) < len(files) else set()
            for sku, offer in offers.items():
                free = []
                for part, each in MADE_OF[channel][sku].items():
                    owed = sum(order.needs.get(part, 0) for order in trade.orders.values() if order.owes)
                    there = at_places(channel, trade.levels[part]) - (RULES[channel].buffer or 0) - owed
                    free.append(max(0, there) // each)
                self._holds("I4", offer.quantity == min(free), f"{channel} shows {offer.quantity} of {sku}, and should {min(free)}")
            told = {key.split(":")[0] for key, trouble in troubles(engine.stock.rows[GHOST]).items() if channel in trouble.summary}
            self._holds("I4", told == {"X10"}, f"of {GHOST}, which {channel} does not take, somebody is told {told or 'nothing'}")


def at_places(channel: ChannelId, levels: Mapping[ShopId, int]) -> int:
    return sum(units for place, units in levels.items() if RULES[channel].counts(place))


def care(mode: tuple[str, int]) -> tuple[int, int]:
    return ("normal", "hold", "decay", "zero", "blackout").index(mode[0]), mode[1]


def called_for(channel: ChannelId, engine: Engine) -> tuple[str, int]:
    """The mode, by the time and by what was last read when."""
    now, rules = engine.trade.now, RULES[channel]
    if channel in engine.blackouts and engine.blackouts[channel].starts <= now < engine.blackouts[channel].ends:
        return "blackout", 0
    orders = _minutes(now, engine.readers.whole.get(channel)) - rules.stale_orders_minutes
    shop = _minutes(now, engine.readers.whole.get(SHOP)) - rules.stale_shop_minutes
    called = {policy: late for policy, late in ((rules.stale_orders, orders), (rules.stale_shop, shop)) if late >= 0}
    if "zero" in called:
        return "zero", 0
    if "decay" in called:
        return "decay", min(30, 1 + int(called["decay"] // rules.decay_minutes))
    return ("hold", 0) if called else ("normal", 0)


def _minutes(now: Instant, then: Instant | None) -> float:
    """Since then; if that never was, nothing is late."""
    return (now - then).total_seconds() / 60 if then is not None else 0.0


class Known:
    """What the log says up to a position, read anew."""

    def __init__(self, engine: Engine, as_of: int) -> None:
        self._events = [(envelope.event, envelope.event_id, envelope.position) for envelope in engine.book.envelopes]
        self._as_of, self._engine = as_of, engine
        upto = self._events[:as_of]
        self.counts = [each for each in engine.readers.counts if each.position <= as_of]
        self.placed = {f"{event.channel}:{event.order_id}": event for event, _, _ in upto if isinstance(event, OrderPlaced)}
        self.gone = {f"{e.channel}:{e.order_id}" for e, _, _ in upto if isinstance(e, LineStateChanged) and e.state == "CANCELED"}

    def __str__(self) -> str:
        return f"as of {self._as_of}, ordered {sorted(self.placed)}, cancelled {sorted(self.gone)}"

    def counted(self, sku: Sku) -> Counted | None:
        return max((each for each in self.counts if each.sku == sku), key=lambda each: each.read_at, default=None)

    def left(self, channel: ChannelId, sku: Sku) -> int:
        """Of the newest count: less the buffer, less what was bought and is not out of that count yet."""
        newest = self.counted(sku)
        if newest is None:
            return 0
        orders = self._engine.trade.orders
        owed = sum(orders[name].needs.get(sku, 0) for name in self.placed if name not in self.gone and name not in newest.inside)
        return max(0, at_places(channel, newest.levels) - (RULES[channel].buffer or 0) - owed)

    def best_since_counted(self, channel: ChannelId, sku: Sku, trade: Trade) -> int:
        """The most that there truly was at any moment since the newest count."""
        newest = self.counted(sku)
        if newest is None:
            return 0
        found, standing = [], 0
        for at, levels in trade.history[sku]:
            if at <= newest.taken_at:
                standing = at_places(channel, levels)
            else:
                found.append(at_places(channel, levels))
        return max(0, max([standing, *found]) - (RULES[channel].buffer or 0))

    def raised_at(self, sku: Sku) -> Instant | None:
        before: Counted | None = None
        raised = None
        for count in self.counts:
            if count.sku == sku and (before is None or count.read_at >= before.read_at):
                if before is None or any(units > before.levels.get(place, 0) for place, units in count.levels.items()):
                    raised = count.taken_at
                before = count
        return raised

    def told(self, channel: ChannelId, offer: Sku) -> int:
        """The most that it may show by what is known: what was applied last, and whatever may have been applied since."""
        most = 0
        for event, _, _ in self._events[: self._as_of]:
            match event:
                case StockImportFinished(quantities=quantities) if event.channel == channel and offer in quantities:
                    if offer not in event.refused and event.status != "FAILED":
                        most = quantities[offer] if event.status == "COMPLETE" else max(most, quantities[offer])
                case OffersRead(quantities=quantities) if event.channel == channel and offer in quantities:
                    most = max(most, quantities[offer])
        return most

    def mode(self, channel: ChannelId, upto: int) -> tuple[str, int]:
        said = [event for event, _, _ in self._events[:upto] if isinstance(event, StockModeSet) and event.channel == channel]
        return (said[-1].mode, said[-1].step) if said else ("normal", 0)
