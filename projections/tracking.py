"""Which orders a tracking number stands on: one number on two orders is a slip of the hand. Key: the number, without case and blanks."""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.kinds import opened
from schemas.events import Event, Note
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.orders import FulfilmentSeen, TrackingDropped
from schemas.streams import order_stream

TWICE = "X38"


class Number(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One tracking number."""

    number: str
    orders: tuple[str, ...] = ()  # their streams, in the order in which they came


def of(number: str) -> str:
    return "".join(number.split()).casefold()


def keys(event: Event) -> Iterable[str]:
    match event:
        case FulfilmentSeen(status="SUCCESS", tracking_number=number) | TrackingDropped(tracking_number=number) if number:
            return (of(number),)
    return ()


def evolve(row: Number, event: Event) -> Number:
    match event:
        case FulfilmentSeen(channel=channel, order_id=order_id) if (stream := order_stream(channel, order_id)) not in row.orders:
            return replace(row, orders=(*row.orders, stream))
        case TrackingDropped(channel=channel, order_id=order_id) if (stream := order_stream(channel, order_id)) in row.orders:
            return replace(row, orders=tuple(each for each in row.orders if each != stream))
    return row


def decide(was: Number, now: Number) -> Iterator[Note]:
    """Told of each order but the first, until that number stands on one alone."""
    before, after = _troubles(was), _troubles(now)
    for stream, trouble in after.items():
        if before.get(stream) != trouble:
            yield trouble
    for stream, trouble in before.items():
        if stream not in after:
            yield ExceptionClosed(key=trouble.key, reason="another number since, here or on the other order", subject=stream)


def _troubles(row: Number) -> dict[str, ExceptionOpened]:
    found = {}
    for stream in row.orders[1:]:
        first = row.orders[0].removeprefix("order-")
        summary = f"the tracking number of a parcel of {stream.removeprefix('order-')} stands on {first} too"
        found[stream] = opened(TWICE, stream, summary, part=row.number, field="tracking")
    return found


tracking = Projection(name="tracking", state=Number, initial=lambda key: Number(number=key), keys=keys, evolve=evolve)
