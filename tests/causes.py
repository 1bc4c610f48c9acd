"""A walk over a whole log: every call has the intent it belongs to, every intent what caused it, every outcome its intent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from engine.outbox import issued_event
from schemas.envelope import Envelope
from schemas.events import tag_of
from schemas.events.aftercare import (
    MarketOrderCanceled,
    RefundPushed,
    ReturnAnswered,
    ShopRefundRecorded,
    ShopReturnRecorded,
    UnitsGivenUp,
)
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.orders import (
    OrderAccepted,
    OrderShipped,
    SellerReferenceSet,
    ShipmentMade,
    ShopOrderCancelled,
    ShopOrderCreated,
    ShopOrderHeld,
    ShopOrderReleased,
    ShopOrderTagged,
    TrackingCorrected,
)
from schemas.values import TenantId

OUTCOMES = (CommandConfirmed, CommandRefused, CommandUnknown, CommandBuried)
# What only a command of ours brings about.
EFFECTS = (
    OrderAccepted,
    ShopOrderCreated,
    SellerReferenceSet,
    OrderShipped,
    ShipmentMade,
    TrackingCorrected,
    ShopOrderHeld,
    ShopOrderReleased,
    ShopOrderCancelled,
    ShopOrderTagged,
    MarketOrderCanceled,
    UnitsGivenUp,
    RefundPushed,
    ReturnAnswered,
    ShopRefundRecorded,
    ShopReturnRecorded,
)
# The commands for which each side is called so; an order's, by its own number on the marketplace.
CALLED_FOR = {
    "mirakl.OR21": {"accept_order"},
    "mirakl.OR23": {"ship_order", "correct_tracking"},
    "mirakl.OR24": {"ship_order"},
    "mirakl.ST01": {"ship_parcel"},
    "mirakl.OR28": {"refund_lines"},
    "mirakl.OR29": {"cancel_order"},
    "mirakl.OR30": {"cancel_units"},
}


def dangling(tenant: TenantId, log: Sequence[Envelope]) -> Iterator[str]:
    """Everything in it that leads nowhere."""
    places = {envelope.event_id: envelope for envelope in log}
    issued = {envelope.event.command_id: envelope for envelope in log if isinstance(envelope.event, CommandIssued)}
    stories = {envelope.correlation_id for envelope in log if envelope.causation_id is None}
    for envelope in log:
        what = f"{envelope.position} {tag_of(envelope.event)}"
        cause = places.get(envelope.causation_id) if envelope.causation_id else None
        if envelope.causation_id is not None and (cause is None or cause.position >= envelope.position):
            yield f"{what}: its cause is not in the log before it"
        if cause is not None and cause.correlation_id != envelope.correlation_id:
            yield f"{what}: another story than its cause, {cause.position}"
        if envelope.correlation_id not in stories:
            yield f"{what}: a story that nothing began"
        match envelope.event:
            case CommandIssued() if cause is None:
                yield f"{what}: nothing caused it"
            case (
                CommandConfirmed(command_id=key)
                | CommandRefused(command_id=key)
                | CommandUnknown(command_id=key)
                | CommandBuried(command_id=key)
            ):
                intent = issued.get(key)
                if intent is None or envelope.causation_id != issued_event(tenant, key) or intent.stream != envelope.stream:
                    yield f"{what}: it answers nothing that was asked"
        if isinstance(envelope.event, EFFECTS) and (cause is None or not isinstance(cause.event, CommandIssued)):
            yield f"{what}: no command of ours brought it about"


def unanswered(log: Sequence[Envelope]) -> Iterator[str]:
    """Commands without an outcome."""
    over: set[UUID] = {envelope.event.command_id for envelope in log if isinstance(envelope.event, OUTCOMES)}
    for envelope in log:
        if isinstance(envelope.event, CommandIssued) and envelope.event.command_id not in over and envelope.event.command.target != "clock":
            yield f"{envelope.position} {tag_of(envelope.event.command)}"


def unasked(log: Sequence[Envelope], truth: Mapping[str, Any]) -> Iterator[str]:
    """Calls with an effect on an order, as the marketplace knows them, for which its story names no command."""
    asked: dict[str, set[str]] = {}
    for envelope in log:
        if isinstance(envelope.event, CommandIssued):
            order_id = str(getattr(envelope.event.command, "order_id", ""))
            asked.setdefault(order_id, set()).add(tag_of(envelope.event.command))
    of_line = {line["order_line_id"]: order["order_id"] for order in truth["mirakl"]["orders"] for line in order["lines"]}
    known = {order["order_id"] for order in truth["mirakl"]["orders"]}
    for call in truth["calls"]:
        for change in call["changes"]:
            about = {of_line.get(name, name) for name in change["about"]} & known
            wanted = CALLED_FOR.get(change["op"], set())
            if wanted and change["refused"] is None:
                yield from (f"{change['op']} of {order_id}" for order_id in sorted(about) if not asked.get(order_id, set()) & wanted)
