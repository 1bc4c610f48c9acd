"""The policy of an order: what is asked, told and awaited because its row changed, by the rules as they are at that moment."""

from collections.abc import Iterator

from engine.projection import Policy
from projections import order_steps, order_troubles, tracking
from projections.acceptance import decision
from projections.levels import Levels
from projections.orders import TOLD_BY_OTHERS, Order
from projections.rules import Channel, Channels
from schemas.events import Note
from schemas.events.exceptions import ExceptionClosed
from schemas.events.orders import TrackingDropped


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
    """A decision with its inputs, whenever it is another one; that what could not be read was read; that a number is on no parcel now."""
    decided = decision(now, channel)
    if decided is not None and decided != decision(was, channel):
        yield decided
    for key in sorted(was.told & now.told):
        if key.startswith(TOLD_BY_OTHERS) and _is_read(key, was, now):
            yield ExceptionClosed(key=key, reason="read since", subject=now.stream)
    if now.parcels is not was.parcels:
        after = {tracking.of(number) for number in _numbers(now)}
        for number in sorted(_numbers(was)):
            if tracking.of(number) not in after:
                yield TrackingDropped(channel=now.channel, order_id=now.order_id, tracking_number=number)


def _is_read(key: str, was: Order, now: Order) -> bool:
    """What could not be: one of its refunds, or the order itself."""
    _, of_refund, refund = key.partition(f":{now.stream}:refund:")
    if of_refund:
        return refund in now.paid_back and now.paid_back is not was.paid_back
    return now.terms is not was.terms


def _numbers(order: Order) -> set[str]:
    return {parcel.tracking_number for parcel in order.parcels.values() if parcel.status == "SUCCESS" and parcel.tracking_number}
