"""Which orders a tracking number stands on: one number on two orders is a slip of the hand. Key: the number, without case and blanks."""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.kinds import opened
from schemas.events import Event
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import FulfilmentSeen
from schemas.streams import order_stream

TWICE = "X38"


class Number(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One tracking number."""

    number: str
    orders: tuple[str, ...] = ()  # their streams, in the order in which they came


def of(number: str) -> str:
    return "".join(number.split()).casefold()


def keys(event: Event) -> Iterable[str]:
    return (of(event.tracking_number),) if isinstance(event, FulfilmentSeen) and event.tracking_number and event.status == "SUCCESS" else ()


def evolve(row: Number, event: Event) -> Number:
    if not isinstance(event, FulfilmentSeen):
        return row
    stream = order_stream(event.channel, event.order_id)
    return row if stream in row.orders else replace(row, orders=(*row.orders, stream))


def decide(was: Number, now: Number) -> Iterator[ExceptionOpened]:
    """Told of the order that came later; closed by the order itself, once it has another number (orders.py)."""
    for stream in now.orders[max(1, len(was.orders)) :]:
        first = now.orders[0].removeprefix("order-")
        summary = f"the tracking number of a parcel of {stream.removeprefix('order-')} stands on {first} too"
        yield opened(TWICE, stream, summary, part=now.number, field="tracking")


tracking = Projection(name="tracking", state=Number, initial=lambda key: Number(number=key), keys=keys, evolve=evolve)
