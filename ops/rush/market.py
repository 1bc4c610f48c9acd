"""A shop and a marketplace on Black Friday, modelled: who wants what, what there is, what is shown; and whose doing an oversold unit is.

Wishes and deliveries come from the seed alone, so two connectors meet the same day. What is modelled: both systems, their delays, refusals
and imports, and the way of an order. No network, no database; seconds since midnight.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import accumulate, count, pairwise
from math import log
from typing import Any, Protocol

from msgspec import Struct

from engine.ports import SeededRng

GRACE = 65.0  # seconds: a file a minute is all that is allowed, and it has to be sent
POLL = 60.0  # seconds between two looks at the orders, which is all that is allowed, too
ACCEPT, PAID, CREATE = 2.0, 60.0, 3.0  # seconds: to accept an order; until its payment stands; to create it in Shopify
WAY = POLL + ACCEPT + PAID + POLL + CREATE + 5.0  # seconds from buying to being in Shopify, at most, for who polls as often as is allowed
DAY = 86_400.0


class Plan(Struct, frozen=True, kw_only=True):
    """How much of everything."""

    hours: float = 24.0
    skus: int = 10_000
    changes: float = 50.0  # a second: the shop's own sales, deliveries, recounts
    quiet: float = 10.0  # orders a minute on the marketplace
    rush: float = 200.0  # at the peak
    least, most = 5, 40  # units of a SKU at first
    throttled: float = 0.02  # share of reads in Shopify that have to wait
    refused: float = 0.005  # share of calls that Mirakl refuses as too many, though they are not
    lost: float = 0.01  # share of webhooks that never come
    buffer: int = 3  # units kept back, by either connector


class Connector(Protocol):
    listens: bool  # to webhooks

    def begin(self) -> None: ...

    def hinted(self, item: int) -> None:
        """A level has changed, says Shopify."""
        ...


@dataclass
class Order:
    number: int
    item: int
    units: int
    at: float
    short: float | None  # since when there had not been enough of it, if that was so when it was bought
    excuse: str = ""  # unheard, refused: what kept the connector from knowing, or from saying so
    claimed: bool = False


@dataclass
class Tally:
    changes: int = 0
    orders: int = 0
    units: int = 0
    lost: int = 0  # wishes for what was there, beyond the buffer, and was not shown
    raced: int = 0  # units sold twice within the time that the ceilings leave to nobody
    overtaken: int = 0  # units that the shop's own customers took while the order was on its way, which was no longer than it must be
    unheard: int = 0  # after a change of which Shopify's webhook never came
    refused: int = 0  # after a file or a poll that the marketplace refused as one too many, though it was not
    ours: int = 0  # every other unit that was sold and not there: the connector's doing
    zeros: list[float] = field(default_factory=list)  # seconds from the last unit until none was shown, without the import
    missed: list[float] = field(default_factory=list)  # the same, where Shopify's webhook of that last unit never came
    files: list[float] = field(default_factory=list)  # when each was sent
    polls: list[float] = field(default_factory=list)
    imports: list[float] = field(default_factory=list)  # how long each took

    @property
    def oversold(self) -> int:
        return self.raced + self.overtaken + self.unheard + self.refused + self.ours


class Chance(SeededRng):
    def one(self, options: Sequence[int]) -> int:
        return options[int(self.uniform(0.0, len(options)))]

    def happens(self, share: float) -> bool:
        return self.uniform(0.0, 1.0) < share

    def wait(self, mean: float) -> float:
        """Seconds until something that happens at random."""
        return -mean * log(1.0 - self.uniform(0.0, 1.0))


class Market:
    """`left` is the truth: what Shopify has, less what is sold and not yet claimed there."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan, self.tally, self.now = plan, Tally(), 0.0
        self.chance = Chance(3 * seed)  # of wishes and deliveries: the same day for everybody
        self.wire = Chance(3 * seed + 1)  # of delays, which each connector meets in its own order
        start = Chance(3 * seed + 2)
        self.shelf = [int(start.uniform(plan.least, plan.most + 1)) for _ in range(plan.skus)]
        self.pending = [0] * plan.skus
        self.shown = [0] * plan.skus
        self.orders: list[Order] = []
        self.connector: Connector | None = None
        self._gone: dict[int, float] = {}  # item -> since when what is left is no more than the buffer, while some is shown
        self._short: dict[int, float] = {}  # item -> since when nothing is left
        self._unheard: set[int] = set()  # items whose last change no hint told of
        self._missed: set[int] = set()  # items of _gone of which no hint told that they went
        self._refused_at = -DAY
        self._import = 0.0  # how long the last file took
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._turns = count()
        self._likes = list(accumulate(1.0 / (place + 20) ** 0.7 for place in range(plan.skus)))  # some are liked much more than others

    # ------------------------------------------------------------ time

    def at(self, seconds: float, work: Callable[[], None]) -> None:
        """In so many seconds."""
        heappush(self._agenda, (self.now + seconds, next(self._turns), work))

    def run(self, told: Callable[[float], None] = lambda _: None) -> Tally:
        assert self.connector is not None
        self.connector.begin()
        self.at(0.0, self._change)
        self.at(0.0, self._wish)
        end, said = self.plan.hours * 3600, 0.0
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, work = heappop(self._agenda)
            work()
            if self.now - said >= 600.0:
                said = self.now
                told(self.now)
        self._agenda.clear()
        for order in self.orders:  # what is on its way when the day ends arrives, too
            if not order.claimed:
                self.claim(order)
        return self.tally

    # ------------------------------------------------------------ the shop

    def left(self, item: int) -> int:
        return self.shelf[item] - self.pending[item]

    def _liked(self) -> int:
        return bisect(self._likes, self.chance.uniform(0.0, self._likes[-1]))

    def _change(self) -> None:
        """One of the shop's own: sold, if there is any; else, or now and then, delivered."""
        item, what, units = self._liked(), self.chance.uniform(0.0, 1.0), self.chance.one((1, 1, 1, 2, 3))
        self.tally.changes += 1
        if what < 0.55 and self.shelf[item] > 0:
            self._move(item, -min(units, self.shelf[item]))
        else:
            self._move(item, units)
        self.at(self.chance.wait(1.0 / self.plan.changes), self._change)

    def _move(self, item: int, units: int) -> None:
        self.shelf[item] += units
        before = item in self._gone
        self._watch(item)
        assert self.connector is not None
        if self.wire.happens(self.plan.lost):
            self._unheard.add(item)
            if item in self._gone and not before:
                self._missed.add(item)
        else:
            self._unheard.discard(item)
            self.connector.hinted(item)

    def swept(self) -> None:
        """Everything has been read."""
        self._unheard.clear()

    def claim(self, order: Order) -> None:
        """An order has come to Shopify, and takes its units: here it shows whether they are there."""
        order.claimed = True
        short = order.units - max(0, self.shelf[order.item])
        self.pending[order.item] -= order.units
        if short > 0:
            self._blame(order, min(short, order.units))
        self._move(order.item, -order.units)

    def _blame(self, order: Order, units: int) -> None:
        """Why it was sold, and not there: by when the connector could have known, and what was in its way."""
        if order.short is None:
            in_time, kind, excuse = self.now - order.at <= WAY, "overtaken", "refused" if self._refused_at >= order.at else ""
        else:
            in_time, kind, excuse = order.at - order.short <= GRACE + self._import, "raced", order.excuse
        cause = kind if in_time else excuse or "ours"
        setattr(self.tally, cause, getattr(self.tally, cause) + units)

    def _watch(self, item: int) -> None:
        """Remember since when there is nothing left, and since when nothing should be shown."""
        left = self.left(item)
        if left <= 0:
            self._short.setdefault(item, self.now)
        else:
            self._short.pop(item, None)
        if left <= self.plan.buffer and self.shown[item] > 0:
            self._gone.setdefault(item, self.now)
        else:
            self._gone.pop(item, None)
            self._missed.discard(item)

    # ------------------------------------------------------------ the marketplace

    def _rate(self) -> float:
        """Orders a minute: from quiet to the rush and back, the peak two thirds into the day."""
        part = self.now / (self.plan.hours * 3600)
        slope = part / (2 / 3) if part < 2 / 3 else (1 - part) / (1 / 3)
        return self.plan.quiet + (self.plan.rush - self.plan.quiet) * max(0.0, slope)

    def _wish(self) -> None:
        assert self.connector is not None
        item, units = self._liked(), self.chance.one((1, 1, 1, 1, 2))
        if self.shown[item] >= units:
            since = self._short.get(item, self.now if self.left(item) < units else None)
            late = since is not None and self._refused_at >= since - POLL
            excuse = "unheard" if self.connector.listens and item in self._unheard else "refused" if late else ""
            order = Order(len(self.orders), item, units, self.now, since, excuse)
            self.orders.append(order)
            self.tally.orders += 1
            self.tally.units += units
            self.shown[item] -= units
            self.pending[item] += units
            self._watch(item)
        elif self.left(item) - self.plan.buffer >= units:
            self.tally.lost += 1
        self.at(self.chance.wait(60.0 / self._rate()), self._wish)

    def send(self, quantities: dict[int, int], ended: Callable[[bool], None]) -> None:
        """STO01: taken, and applied after a while; or refused as one too many. `ended` is called when it is over."""
        if self._refuses():
            ended(False)
            return
        self.tally.files.append(self.now)
        wait, run = self.wire.uniform(2.5, 7.5), self.wire.uniform(2.5, 7.5)

        def apply() -> None:
            assert self.connector is not None
            for item, units in quantities.items():
                since = self._gone.get(item)
                self.shown[item] = units
                if units == 0 and since is not None:
                    told = self.tally.missed if item in self._missed and self.connector.listens else self.tally.zeros
                    told.append(self.now - since - wait - run)
                self._watch(item)
            self._import = wait + run
            self.tally.imports.append(wait + run)
            ended(True)

        self.at(wait + run, apply)

    def poll(self, place: int) -> list[Order] | None:
        """OR11: the orders after that place; None: refused as one too many."""
        self.tally.polls.append(self.now)
        return None if self._refuses() else self.orders[place:]

    def _refuses(self) -> bool:
        if refused := self.wire.happens(self.plan.refused):
            self._refused_at = self.now
        return refused


def summary(tally: Tally) -> dict[str, Any]:
    zeros = sorted(tally.zeros)
    return {
        "changes": tally.changes,
        "orders": tally.orders,
        "units": tally.units,
        "lost": tally.lost,
        "oversold": tally.oversold,
        "raced": tally.raced,
        "overtaken": tally.overtaken,
        "unheard": tally.unheard,
        "refused": tally.refused,
        "ours": tally.ours,
        "zeros": len(zeros),
        "zero_p50": zeros[len(zeros) // 2] if zeros else None,
        "zero_p99": zeros[int(len(zeros) * 0.99)] if zeros else None,
        "zero_max": zeros[-1] if zeros else None,
        "missed": len(tally.missed),
        "missed_max": max(tally.missed, default=None),
        "files": len(tally.files),
        "closest_files": _closest(tally.files),
        "closest_polls": _closest(tally.polls),
        "import_mean": sum(tally.imports) / len(tally.imports) if tally.imports else None,
    }


def _closest(moments: list[float]) -> float | None:
    return min((later - earlier for earlier, later in pairwise(moments)), default=None)
