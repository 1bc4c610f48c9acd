"""Measures how fast things sell on a channel and how long a change takes to be shown there: what a buffer against both rests on."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from projections.stock import HOURS, Pace, Stock
from schemas.events.inventory import PaceMeasured
from schemas.values import ChannelId, Instant, Sku

EVERY = timedelta(minutes=10)  # between two measurements: the pace is one of hours
FILES = 12  # of late, whose slowest counts
ROUND = 30  # seconds, to which it is rounded up: each difference is told anew for all that sells
AT_ONCE = 1_000  # SKUs in one event


@dataclass
class Pacing:
    """Of one channel."""

    channel: ChannelId
    every: float = 0.0  # seconds between two files: a change may have just missed one
    _sells: dict[Sku, tuple[dict[str, int], Pace | None]] = field(default_factory=dict)  # units by the hour, and what was told
    _seconds: deque[float] = field(default_factory=lambda: deque(maxlen=FILES))
    _next: Instant | None = None

    def looked(self, rows: Mapping[Sku, Stock]) -> None:
        """These rows have changed."""
        for sku, row in rows.items():
            sold, told = row.sold.get(self.channel), row.pace.get(self.channel)
            if sold or told:
                self._sells[sku] = (sold or {}, told)

    def applied(self, seconds: float) -> None:
        """A file took so long from being decided on."""
        self._seconds.append(seconds)

    def measured(self, now: Instant) -> Iterator[PaceMeasured]:
        """What is to be told: SKUs whose pace is another than was told last; nothing before a file was timed, or too soon."""
        if not self._seconds or (self._next is not None and now < self._next):
            return
        self._next = now + EVERY
        seconds = -int(-(max(self._seconds) + self.every) // ROUND) * ROUND
        since = f"{now - timedelta(hours=HOURS):%Y-%m-%dT%H}"
        news: dict[Sku, int] = {}
        for sku, (sold, told) in sorted(self._sells.items()):
            hourly = max((units for hour, units in sold.items() if hour > since), default=0)
            if (hourly or told is not None) and (told is None or told.hourly != hourly or (hourly and told.seconds != seconds)):
                news[sku] = hourly
        skus = list(news)
        for start in range(0, len(skus), AT_ONCE):
            some = skus[start : start + AT_ONCE]
            yield PaceMeasured(channel=self.channel, seconds=seconds, hourly={sku: news[sku] for sku in some})
