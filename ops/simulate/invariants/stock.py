"""What must hold of every file of quantities, by what the log says up to the position that it rests on. Reliability: I1, I3, I4, I6."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from ops.demo.proof import mismatches
from ops.settings import Settings
from ops.simulate.findings import held_back
from ops.simulate.invariants.evidence import Breach, Check, Evidence
from projections.stock import LEFT, RELEASED, Stock
from projections.stock_rules import Rules
from schemas.commands import PublishStock
from schemas.envelope import Envelope
from schemas.events.aftercare import UnitsCanceled
from schemas.events.commands import CommandIssued
from schemas.events.inventory import OffersRead, StockCounted, StockFileLost, StockImportFinished, StockModeSet, VariantSeen
from schemas.events.orders import LineStateChanged, OrderPlaced, OrderTermsChanged, ShopOrderCreated
from schemas.events.people import MappingSet
from schemas.values import ChannelId, Sku

GRACE = timedelta(minutes=15)  # in which an engine that has just started need not be more careful, and a late poll may yet come


class Ledger:
    """What the log says of the units of each SKU, with the position of each word."""

    def __init__(self) -> None:
        self.counts: dict[Sku, list[tuple[int, StockCounted]]] = {}
        self.overtaken: set[Sku] = set()  # whose last count in the log is older than the newest: the one after it is the last word
        self.sold: dict[Sku, dict[tuple[str, str], list[tuple[int, int]]]] = {}  # SKU -> order, line -> position, units
        self.freed: dict[tuple[str, str], list[tuple[int, str]]] = {}  # order, line -> position, state
        self.canceled: dict[tuple[str, str], list[tuple[int, str, int]]] = {}  # order, line -> position, cancelation, units
        self.created: dict[str, int] = {}  # order -> position
        self.inside: dict[tuple[str, Sku], int] = {}  # order, SKU -> position of the first count that contains it
        self.odd: set[Sku] = set()  # mapped, made of others, or sold beyond zero: other rules than subtraction

    def take(self, told: Envelope) -> None:
        event, position = told.event, told.position
        match event:
            case StockCounted():
                before = self.counts.setdefault(event.sku, [])
                later = not before or event.read_at >= before[-1][1].read_at
                if later or (event.sku in self.overtaken and not event.settled):
                    before.append((position, event))
                    self.overtaken.discard(event.sku)
                elif event.settled:
                    self.overtaken.add(event.sku)
                for order in event.settled:
                    self.inside.setdefault((order, event.sku), position)
            case OrderPlaced():
                self._order(event, position)
            case OrderTermsChanged(terms=terms):
                self._order(terms, position)
            case LineStateChanged(line_id=line, state=state) if state in RELEASED:
                self.freed.setdefault((f"{event.channel}:{event.order_id}", line), []).append((position, state))
            case UnitsCanceled(line_id=line):
                told_of = self.canceled.setdefault((f"{event.channel}:{event.order_id}", line), [])
                told_of.append((position, event.cancelation, event.quantity))
            case ShopOrderCreated(channel=channel, order_id=order_id):
                self.created.setdefault(f"{channel}:{order_id}", position)
            case MappingSet(kind="sku" | "bundle", name=name):
                self.odd.add(Sku(name))
            case VariantSeen(sku=sku) if event.sells_beyond_zero or event.rivals:
                self.odd.add(sku)

    def _order(self, order: OrderPlaced, position: int) -> None:
        for line in order.lines:
            key = (f"{order.channel}:{order.order_id}", line.line_id)
            units = line.quantity if order.ours_to_ship else 0
            self.sold.setdefault(line.sku, {}).setdefault(key, []).append((position, units))

    def there(self, sku: Sku, upto: int, rules: Rules) -> int | None:
        """Units by the newest count; None: nobody knows, or Shopify does not count them."""
        known = [count for position, count in self.counts.get(sku, ()) if position <= upto]
        if not known:
            return 0
        newest = known[-1]
        return sum(units for place, units in newest.levels.items() if rules.counts(place)) if newest.tracked else None

    def owed(self, sku: Sku, upto: int) -> int:
        """Units sold on the marketplace that no count contains yet, and that are still to leave the shelf."""
        owed = 0
        for (order, line), told in self.sold.get(sku, {}).items():
            units = [number for position, number in told if position <= upto]
            if units and self.inside.get((order, sku), upto + 1) > upto and not self._is_free(order, line, upto):
                canceled = {name: number for position, name, number in self.canceled.get((order, line), ()) if position <= upto}
                owed += max(0, units[-1] - sum(canceled.values()))
        return owed

    def _is_free(self, order: str, line: str, upto: int) -> bool:
        for position, state in self.freed.get((order, line), ()):
            if position <= upto and (state not in LEFT or self.created.get(order, upto + 1) > position):
                return True
        return False


class Quantities(Check):
    """I1: of no SKU more is published than the newest count holds, less what is kept back and what is sold and not in that count."""

    invariant = "I1"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.ledger = Ledger()
        self.rules = {ChannelId(channel.id): channel.stock_rules for channel in settings.channel}

    def see(self, told: Envelope) -> Iterator[Breach]:
        self.ledger.take(told)
        match told.event:
            case CommandIssued(command=PublishStock(channel=channel, quantities=quantities, as_of=as_of)):
                rules = self.rules.get(channel, Rules())
                kept = 0 if rules.tags or rules.types or rules.skus else (rules.buffer or 0) + (rules.floor or 0)
                for sku, units in quantities.items():
                    there = self.ledger.there(sku, as_of, rules)
                    if sku in self.ledger.odd or there is None:
                        continue
                    self.judged += 1
                    owed = self.ledger.owed(sku, as_of)
                    if units > max(0, there - kept - owed):
                        how = f"{there} were counted, {owed} are sold, {kept} are kept back"
                        yield self.breach(sku, f"{units} are published at position {told.position} when {how}")


class Files(Check):
    """I3: one file at a time, each resting on more of the log than the one before."""

    invariant = "I3"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.under_way: dict[ChannelId, tuple[UUID, int]] = {}
        self.as_of: dict[ChannelId, int] = {}

    def see(self, told: Envelope) -> Iterator[Breach]:
        match told.event:
            case CommandIssued(command=PublishStock(channel=channel, as_of=as_of), command_id=command):
                self.judged += 1
                if channel in self.under_way:
                    since = self.under_way[channel][1]
                    yield self.breach(
                        channel, f"a file is decided on at position {told.position} while that of position {since} is under way"
                    )
                if as_of < self.as_of.get(channel, 0):
                    yield self.breach(channel, f"a file rests on position {as_of}, and the one before on {self.as_of[channel]}")
                self.under_way[channel], self.as_of[channel] = (command, told.position), as_of
            case StockImportFinished(channel=channel) | StockFileLost(channel=channel):
                self.under_way.pop(channel, None)


class Shelves(Check):
    """I4: in the end the marketplace shows of each SKU what the formula makes of Shopify's own levels."""

    invariant = "I4"

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        if "inventory" not in evidence.rows:
            return
        self.judged += len(evidence.truth["mirakl"]["offers"])
        kept = held_back(evidence.truth, evidence.troubles)
        for sku in [one for one in mismatches(evidence.truth, stock_of(evidence), evidence.channels[0]) if one not in kept]:
            offer = evidence.truth["mirakl"]["offers"][sku]
            yield self.breach(sku, f"{offer['quantity']} are on offer, which is not what the formula says")


def stock_of(evidence: Evidence) -> list[Stock]:
    return evidence.decoded("inventory", Stock)


class Modes(Check):
    """I6: in want of news a channel shows the safe quantity: nothing rises, or falls by half, or is nothing; and the log says which."""

    invariant = "I6"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.said: dict[ChannelId, list[tuple[int, str, int]]] = {}  # position, mode, step
        self.shown: dict[tuple[ChannelId, Sku], int] = {}  # the most that it may show
        self.files: list[Envelope] = []
        self.ledger = Ledger()
        self.rules = {ChannelId(channel.id): channel.stock_rules for channel in settings.channel}

    def see(self, told: Envelope) -> Iterator[Breach]:
        self.ledger.take(told)
        match told.event:
            case StockModeSet(channel=channel, mode=mode, step=step):
                self.said.setdefault(channel, []).append((told.position, mode, step))
            case StockImportFinished() as ended:
                self._ended(ended)
            case OffersRead(channel=channel, quantities=quantities):
                for sku, units in quantities.items():
                    self.shown[channel, sku] = max(units, self.shown.get((channel, sku), 0))
            case CommandIssued(command=PublishStock() as file):
                self.judged += 1
                self.files.append(told)
                yield from self._is_safe(told, file)

    def _ended(self, file: StockImportFinished) -> None:
        for sku, units in file.quantities.items():
            if sku not in file.refused and file.status != "FAILED":
                before = self.shown.get((file.channel, sku), 0)
                self.shown[file.channel, sku] = units if file.status == "COMPLETE" else max(units, before)

    def _is_safe(self, told: Envelope, file: PublishStock) -> Iterator[Breach]:
        modes = [(mode, step) for position, mode, step in self.said.get(file.channel, ()) if position <= file.as_of]
        mode, step = modes[-1] if modes else ("normal", 0)
        if (file.mode, file.step) != (mode, step):
            yield self.breach(file.channel, f"the file of position {told.position} says {file.mode} {file.step}, the log {mode} {step}")
        for sku, units in file.quantities.items():
            shown = self.shown.get((file.channel, sku), 0)
            if mode != "normal" and units > shown:
                yield self.breach(sku, f"{units} are published in mode {mode} at position {told.position}, where {shown} were shown")
            if mode in ("zero", "blackout") and units:
                yield self.breach(sku, f"{units} are published in mode {mode} at position {told.position}")
            if mode == "decay" and sku not in self.ledger.odd and (free := self._free(file, sku)) is not None and units > free >> step:
                yield self.breach(sku, f"{units} are published in step {step} of a decay at position {told.position}, and {free} are free")

    def _free(self, file: PublishStock, sku: Sku) -> int | None:
        there = self.ledger.there(sku, file.as_of, self.rules.get(file.channel, Rules()))
        return None if there is None else max(0, there - self.ledger.owed(sku, file.as_of))

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        rules = evidence.channels[0].stock_rules
        for outage in evidence.outages:
            minutes = rules.stale_shop_minutes if outage.system == "shopify" else rules.stale_orders_minutes
            careful_from = outage.since + timedelta(minutes=minutes) + GRACE
            for told in self.files:
                file = told.event.command  # type: ignore[attr-defined]
                if careful_from < told.recorded_at < outage.until and file.mode == "normal":
                    yield self.breach(
                        file.channel, f"a file is decided on at position {told.position} as ever, and {outage.system} was not readable"
                    )


CHECKS: tuple[type[Check], ...] = (Quantities, Files, Shelves, Modes)
