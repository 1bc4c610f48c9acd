"""How many orders the log has of each hour, beside how many the channel says there were: proof that none was missed."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.kinds import opened
from schemas.events import Event, Note
from schemas.events.channels import OrdersCounted
from schemas.events.exceptions import ExceptionClosed
from schemas.events.orders import OrderPlaced
from schemas.streams import channel_stream
from schemas.values import ChannelId, Instant

HOUR = timedelta(hours=1)


class Count(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the channel said of a span."""

    until: Instant
    number: int


class Day(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One day of one channel, by the marketplace's clock. Key: {channel}:{day}."""

    channel: ChannelId
    day: str  # 2026-11-20
    heard: dict[str, int] = {}  # hour -> orders placed in it that are in the log
    counted: dict[str, Count] = {}  # the beginning of a span -> what the channel said

    @property
    def missing(self) -> Mapping[str, tuple[int, int]]:
        """The beginning of each span of which the log has fewer orders: what was said, and what there is.

        A span that goes on into the next day, as older versions counted, says nothing: those hours are in another row.
        """
        found = {}
        for since, count in self.counted.items():
            begins = Instant.fromisoformat(since)
            if (count.until - HOUR).date() > begins.date():
                continue
            here = sum(self.heard.get(hour, 0) for hour in _hours(begins, count.until))
            if here < count.number:
                found[since] = (count.number, here)
        return found


def _hours(since: Instant, until: Instant) -> Iterator[str]:
    while since < until:
        yield f"{since:%H}"
        since += HOUR


def keys(event: Event) -> Iterable[str]:
    match event:
        case OrderPlaced(channel=channel, placed_at=at) | OrdersCounted(channel=channel, since=at):
            return (f"{channel}:{at:%Y-%m-%d}",)
    return ()


def initial(key: str) -> Day:
    channel, _, day = key.partition(":")
    return Day(channel=ChannelId(channel), day=day)


def evolve(row: Day, event: Event) -> Day:
    match event:
        case OrderPlaced(placed_at=at):
            hour = f"{at:%H}"
            return replace(row, heard=row.heard | {hour: row.heard.get(hour, 0) + 1})
        case OrdersCounted(since=since, until=until, count=number):
            return replace(row, counted=row.counted | {since.isoformat(): Count(until=until, number=number)})
    return row


def decide(was: Day, now: Day) -> Iterator[Note]:
    """A gap waits for somebody until the log has what was counted."""
    stream, before, after = channel_stream(now.channel), was.missing, now.missing
    for since, (said, here) in after.items():
        if before.get(since) != (said, here):
            until = now.counted[since].until
            summary = f"{now.channel} counts {said} orders from {since[:16]} to {until:%Y-%m-%dT%H:%M}, the log has {here}"
            yield opened("X34", stream, summary, part=since)
    for since in before:
        if since not in after:
            yield ExceptionClosed(key=f"X34:{stream}:{since}", reason="all of them were heard since", subject=stream)


coverage = Projection(name="coverage", state=Day, initial=initial, keys=keys, evolve=evolve)
