"""How late a channel shows what changed: since when each offer differs, and how long it took until a file was taken, and applied."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.metrics import Metrics, Series
from projections.publications import Difference
from projections.stock import Stock
from schemas.events.inventory import StockImportFinished
from schemas.values import ChannelId, Instant, Sku, TenantId

KINDS = ("stock_more", "stock_fewer")
CHANGES = ("to_zero", "from_zero", "other", "first")  # first: it never showed any that we told


class Late(NamedTuple):
    since: Instant  # when the change was read, or heard of
    change: str


@dataclass
class Lateness:
    """Of one channel's offers. What was so before we began is late from then on."""

    metrics: Metrics
    tenant: TenantId
    channel: ChannelId
    open: dict[Sku, Late] = field(default_factory=dict)  # what the channel shows otherwise than it should, and no file under way mends
    waiting: set[Sku] = field(default_factory=set)  # of these, what must wait for a poll of the orders
    _sent: dict[Sku, Late] = field(default_factory=dict)  # in the file under way

    def looked(self, offers: Iterable[Sku], found: Difference, rows: Mapping[Sku, Stock], since: Mapping[Sku, Instant]) -> None:
        """These were looked at. `since`: of each that differs, when it came to, unless it did so before."""
        differing = {**{line.sku: line.units for line in found.news}, **dict.fromkeys(found.waiting)}
        for sku in offers:
            if sku not in differing:
                self.open.pop(sku, None)
            self.waiting.discard(sku)
        self.waiting.update(found.waiting)
        for sku, units in differing.items():
            before = self.open.get(sku)
            self.open[sku] = Late(before.since if before else since[sku], self._change(rows.get(sku), units))

    def _change(self, row: Stock | None, units: int | None) -> str:
        if row is None or self.channel not in row.applied:
            return "first"
        return "to_zero" if units == 0 else "other" if row.most(self.channel) else "from_zero"

    def sent(self, skus: Iterable[Sku], now: Instant) -> None:
        """A file of these was decided on."""
        self._sent = {sku: self.open.pop(sku) for sku in skus}
        for late in self._sent.values():
            self.metrics.stock_decided_seconds.labels(self.channel, late.change).observe(_seconds(late.since, now))

    def ended(self, finished: StockImportFinished | None, *, taken_at: Instant | None, ended_at: Instant) -> None:
        """The file under way is over; None: it never was one, or nobody knows. What it did not mend is as late as it was."""
        lines = self.metrics.import_lines
        for sku, late in self._sent.items():
            if finished is not None and taken_at is not None:
                self.metrics.stock_submitted_seconds.labels(self.channel, late.change).observe(_seconds(late.since, taken_at))
            if finished is None or finished.status != "COMPLETE":
                lines.labels(self.tenant, self.channel, "unknown" if finished is None else finished.status.lower()).inc()
                self.open[sku] = late
            elif sku in finished.refused:
                lines.labels(self.tenant, self.channel, "refused").inc()
            else:
                lines.labels(self.tenant, self.channel, "applied").inc()
                self.metrics.stock_applied_seconds.labels(self.channel, late.change).observe(_seconds(late.since, ended_at))
        self._sent = {}

    @property
    def series(self) -> list[Series]:
        """What `show` sets."""
        place, oldest = (self.tenant, self.channel), self.metrics.stock_oldest_unpublished_seconds
        plain = (self.metrics.stock_waiting, self.metrics.stock_unpublished)
        return [*((gauge, place) for gauge in plain), *((oldest, (*place, change)) for change in CHANGES)]

    def show(self, now: Instant) -> None:
        place = (self.tenant, self.channel)
        self.metrics.stock_waiting.labels(*place).set(len(self.waiting))
        self.metrics.stock_unpublished.labels(*place).set(len(self.open))
        oldest = dict.fromkeys(CHANGES, now)
        for late in (*self.open.values(), *self._sent.values()):
            oldest[late.change] = min(oldest[late.change], late.since)
        for change, since in oldest.items():
            self.metrics.stock_oldest_unpublished_seconds.labels(*place, change).set(_seconds(since, now))


def _seconds(since: Instant, now: Instant) -> float:
    return max(0.0, (now - since).total_seconds())


@dataclass
class Drift:
    """What a reading of a channel's offers found otherwise than believed."""

    metrics: Metrics
    tenant: TenantId
    channel: ChannelId
    _odd: dict[Sku, str] = field(default_factory=dict)  # which way

    @property
    def series(self) -> list[Series]:
        """What `show` sets."""
        return [(self.metrics.reconcile_drift, (self.tenant, self.channel, kind)) for kind in KINDS]

    def looked(self, rows: Mapping[Sku, Stock], *, first: bool) -> None:
        """`first`: what is odd was counted when it was found, by whoever published before us."""
        for sku, row in rows.items():
            seen = row.seen.get(self.channel)
            if seen is None or seen.odd is None:
                self._odd.pop(sku, None)
                continue
            if not first and sku not in self._odd:
                units = abs(seen.quantity - seen.odd)
                self.metrics.reconcile_drift_units.labels(self.tenant, self.channel).inc(units)
                if seen.price is not None:
                    money = self.metrics.reconcile_drift_minor_units.labels(self.tenant, self.channel, seen.price.currency)
                    money.inc(units * seen.price.minor)
            self._odd[sku] = "stock_more" if seen.quantity > seen.odd else "stock_fewer"
        self.show()

    def show(self) -> None:
        for kind in KINDS:
            number = sum(kind == each for each in self._odd.values())
            self.metrics.reconcile_drift.labels(self.tenant, self.channel, kind).set(number)
