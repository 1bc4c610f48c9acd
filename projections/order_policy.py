"""The policy of an order: what is asked, told and awaited because its row changed, by the rules as they are at that moment."""

from collections.abc import Iterator

from engine.projection import Policy
from projections import order_steps, order_troubles, tracking
from projections.acceptance import decision
from projections.levels import Levels
from projections.orders import Order
from projections.rules import Channel, Channels
from schemas.events import Note
from schemas.events.exceptions import ExceptionClosed


def policy(channels: Channels) -> Policy[Order]:
    """By the rules of each order's channel."""

    def of(order: Order) -> Channel:
        return channels(order.channel)

    return Levels[Order](
        wants=lambda order: order_steps.wants(order, of(order)),
        troubles=lambda order: order_troubles.troubles(order, of(order)),
        deadlines=lambda order: order_steps.deadlines(order, of(order)),
        notes=lambda was, now: _notes(was, now, of(now)),
    ).decide


def _notes(was: Order, now: Order, channel: Channel) -> Iterator[Note]:
    """A decision with its inputs, whenever it is another one; and what could not be read of it is over once it is read."""
    decided = decision(now, channel)
    if decided is not None and decided != decision(was, channel):
        yield decided
    numbers = {tracking.of(parcel.tracking_number) for parcel in now.parcels.values() if parcel.status == "SUCCESS"}
    for key in sorted(was.told & now.told):
        if key.startswith("X79:") and _is_read(key, was, now):
            yield ExceptionClosed(key=key, reason="read since", subject=now.stream)
        if key.startswith(f"{tracking.TWICE}:") and key.rpartition(":")[2] not in numbers:
            yield ExceptionClosed(key=key, reason="another number since", subject=now.stream)


def _is_read(key: str, was: Order, now: Order) -> bool:
    """What could not be: one of its refunds, or the order itself."""
    _, of_refund, refund = key.partition(f":{now.stream}:refund:")
    if of_refund:
        return refund in now.paid_back and now.paid_back is not was.paid_back
    return now.terms is not was.terms
