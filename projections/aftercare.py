"""One row an order: what was canceled, refunded and sent back, on both sides. What follows from it: aftercare_steps.py.

A marketplace refund that we did not ask for began there, and is recorded in Shopify; a Shopify refund that records nothing began there, and
is asked of the marketplace. So nothing is echoed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.levels import OF_STEPS, Steps, step_of
from projections.orders import RANKS
from schemas.commands import AnswerReturn, CancelOrder, CancelUnits, RecordShopRefund, RecordShopReturn, RefundLines
from schemas.events import Event, tag_of
from schemas.events.aftercare import (
    MarketOrderCanceled,
    RefundPushed,
    RefundSeen,
    RefundsMatched,
    ReturnAnswered,
    ReturnedUnits,
    ReturnSeen,
    ShopRefundRecorded,
    ShopRefundSeen,
    ShopReturnRecorded,
    ShopReturnSeen,
    UnitsCanceled,
    UnitsGivenUp,
)
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused
from schemas.events.exceptions import ExceptionResolved, ExceptionRetried
from schemas.events.orders import (
    FulfilmentSeen,
    LineStateChanged,
    OrderDebited,
    OrderPlaced,
    OrderStateChanged,
    OrderTermsChanged,
    ShopOrderCancelled,
    ShopOrderCreated,
    ShopOrderSeen,
)
from schemas.events.people import ReminderDue
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, ShopId, Tax

TAGS = frozenset(map(tag_of, (CancelOrder, CancelUnits, RefundLines, AnswerReturn, RecordShopRefund, RecordShopReturn)))
MONEY_BACK = (CancelOrder, CancelUnits, RefundLines)
CANCEL = "cancel"  # what begins a refund of everything: the Shopify order was cancelled


class Gone(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A refund or a cancelation of one line, as the marketplace shows it. Amounts as the line's own."""

    line: LineId
    quantity: int
    amount: Money
    shipping: Money
    taxes: tuple[Tax, ...] = ()
    shipping_taxes: tuple[Tax, ...] = ()
    reason: str = ""
    state: str = ""
    at: Instant | None = None
    ours: bool = False  # it was asked for by us
    recorded: bool = False  # Shopify holds a record of it, or needs none


class ShopRefund(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A Shopify refund that is not our own record of something."""

    seen: ShopRefundSeen
    pushed: bool = False  # the marketplace did it, or needs not
    within: tuple[str, ...] = ()  # the marketplace's own refunds that are a part of it


class Return(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A return as the marketplace shows it."""

    state: str
    lines: tuple[ReturnedUnits, ...]
    at: Instant | None = None
    recorded: ShopId | None = None  # what it is in Shopify
    answered: frozenset[str] = frozenset()  # what we said of it


class ShopReturn(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A return as Shopify shows it."""

    status: str
    lines: tuple[ReturnedUnits, ...]
    received: dict[LineId, int] = {}
    mirrors: str = ""


class Aftercare(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Key: {channel}:{order_id}."""

    channel: ChannelId
    order_id: OrderId
    terms: OrderPlaced | None = None
    state: str = ""
    lines: dict[LineId, str] = {}  # line -> the marketplace's state of it
    debited: bool = False
    shop_order: ShopId | None = None
    shop_lines: frozenset[LineId] = frozenset()  # that the Shopify order was made with; none: not known
    shop_cancelled_at: Instant | None = None
    cancelled_by_us: bool = False
    market_cancelled: bool = False  # at our word
    all_refunded: bool = False  # at our word, since the Shopify order was cancelled
    parcels: dict[ShopId, dict[LineId, int]] = {}  # confirmed by Shopify
    parcels_read: dict[ShopId, Instant] = {}  # as of when, whatever became of them
    cancelations: dict[str, Gone] = {}
    refunds: dict[str, Gone] = {}
    staying: dict[LineId, int] = {}  # units that were paid back and will not follow
    shop_refunds: dict[ShopId, ShopRefund] = {}
    returns: dict[str, Return] = {}
    shop_returns: dict[ShopId, ShopReturn] = {}
    under_way: dict[str, tuple[str, ...]] = {}  # steps that give money back, asked for and not answered yet -> what was known then
    steps: Steps = Steps()
    clock: Instant | None = None

    @property
    def stream(self) -> str:
        return order_stream(self.channel, self.order_id)

    @property
    def sold(self) -> dict[LineId, OrderLine]:
        return {line.line_id: line for line in self.terms.lines} if self.terms else {}

    @property
    def taxes_on_top(self) -> bool:
        """Amounts are without their taxes; the buyer pays these as well."""
        return self.terms is not None and not self.terms.taxes_included

    @property
    def packed(self) -> dict[LineId, int]:
        units: dict[LineId, int] = {}
        for parcel in self.parcels.values():
            for line, count in parcel.items():
                units[line] = units.get(line, 0) + count
        return units

    @property
    def taken(self) -> list[Gone]:
        """All that went back or off, whoever began it."""
        return [*self.cancelations.values(), *self.refunds.values()]


# ---------------------------------------------------------------- the fold


def _state_changed(row: Aftercare, event: OrderStateChanged) -> Aftercare:
    return row if RANKS.get(event.state, -1) < RANKS.get(row.state, -1) else replace(row, state=event.state)


def _line_moved(row: Aftercare, event: LineStateChanged) -> Aftercare:
    return replace(row, lines=row.lines | {event.line_id: event.state})


def _created(row: Aftercare, event: ShopOrderCreated) -> Aftercare:
    return replace(row, shop_order=event.shop_order, shop_lines=frozenset(line.line_id for line in event.lines))


def _shop_seen(row: Aftercare, event: ShopOrderSeen) -> Aftercare:
    return replace(row, shop_cancelled_at=event.cancelled_at) if event.cancelled_at != row.shop_cancelled_at else row


def _fulfilled(row: Aftercare, event: FulfilmentSeen) -> Aftercare:
    read = row.parcels_read.get(event.fulfilment)
    if read is not None and read > event.updated_at:
        return row
    others = {fulfilment: units for fulfilment, units in row.parcels.items() if fulfilment != event.fulfilment}
    parcels = others | {event.fulfilment: event.units} if event.status == "SUCCESS" else others
    return replace(row, parcels=parcels, parcels_read=row.parcels_read | {event.fulfilment: event.updated_at})


def _canceled(row: Aftercare, event: UnitsCanceled) -> Aftercare:
    known = row.cancelations.get(event.cancelation)
    gone = _gone(event, known)
    return _known_by_now(replace(row, cancelations=row.cancelations | {event.cancelation: gone}))


def _refunded(row: Aftercare, event: RefundSeen) -> Aftercare:
    known = row.refunds.get(event.refund)
    gone = replace(_gone(event, known), state=event.state)
    return _known_by_now(replace(row, refunds=row.refunds | {event.refund: gone}))


def _gone(event: UnitsCanceled | RefundSeen, known: Gone | None) -> Gone:
    return Gone(
        line=event.line_id,
        quantity=event.quantity,
        amount=event.amount,
        shipping=event.shipping_amount,
        taxes=event.taxes,
        shipping_taxes=event.shipping_taxes,
        reason=event.reason,
        at=(known.at if known else None) or event.at,
        ours=known.ours if known else False,
        recorded=known.recorded if known else False,
    )


def _ours(gone: Mapping[str, Gone], ids: Iterable[str], nowhere: Gone | None) -> dict[str, Gone]:
    """These were asked for by us; one that was not seen yet is kept as such until it is."""
    found = dict(gone)
    for one in ids:
        if one in found:
            found[one] = replace(found[one], ours=True)
        elif nowhere is not None:
            found[one] = nowhere
    return found


def _pushed(row: Aftercare, event: RefundPushed | UnitsGivenUp) -> Aftercare:
    refund = row.shop_refunds.get(ShopId(event.refund))
    shop_refunds = row.shop_refunds | ({ShopId(event.refund): replace(refund, pushed=True)} if refund else {})
    nowhere = _unseen(row)
    if isinstance(event, RefundPushed):
        staying = row.staying | {line: row.staying.get(line, 0) + units for line, units in event.not_to_ship.items()}
        refunds = _ours(row.refunds, event.refunds, nowhere)
        row = replace(row, all_refunded=row.all_refunded or event.refund == CANCEL)
        return _known_by_now(replace(row, shop_refunds=shop_refunds, refunds=refunds, staying=staying))
    return _known_by_now(replace(row, shop_refunds=shop_refunds, cancelations=_ours(row.cancelations, event.cancelations, nowhere)))


def _unseen(row: Aftercare) -> Gone | None:
    if row.terms is None:
        return None
    nothing = Money(0, row.terms.currency)
    return Gone(line=LineId(""), quantity=0, amount=nothing, shipping=nothing, ours=True)


def _shop_refunded(row: Aftercare, event: ShopRefundSeen) -> Aftercare:
    if event.mirrors:
        return _recorded(row, event.mirrors)
    known = row.shop_refunds.get(event.refund)
    refund = replace(known, seen=event) if known else ShopRefund(seen=event)
    return replace(row, shop_refunds=row.shop_refunds | {event.refund: refund})


def _recorded(row: Aftercare, mirrors: str) -> Aftercare:
    if mirrors in row.refunds:
        return replace(row, refunds=row.refunds | {mirrors: replace(row.refunds[mirrors], recorded=True)})
    if mirrors in row.cancelations:
        return replace(row, cancelations=row.cancelations | {mirrors: replace(row.cancelations[mirrors], recorded=True)})
    return row


def _matched(row: Aftercare, event: RefundsMatched) -> Aftercare:
    for refund in event.refunds:
        row = _recorded(row, refund)
    known = row.shop_refunds.get(event.refund)
    if known is None:
        return row
    matched = replace(known, within=event.refunds) if event.rest else replace(known, pushed=True)
    return replace(row, shop_refunds=row.shop_refunds | {event.refund: matched})


def _returned(row: Aftercare, event: ReturnSeen) -> Aftercare:
    known = row.returns.get(event.return_id)
    seen = Return(
        state=event.state,
        lines=event.lines,
        at=event.at,
        recorded=known.recorded if known else None,
        answered=known.answered if known else frozenset(),
    )
    return replace(row, returns=row.returns | {event.return_id: seen})


def _answered(row: Aftercare, event: ReturnAnswered) -> Aftercare:
    known = row.returns.get(event.return_id)
    if known is None:
        return row
    return replace(row, returns=row.returns | {event.return_id: replace(known, answered=known.answered | {event.answer})})


def _shop_returned(row: Aftercare, event: ShopReturnSeen) -> Aftercare:
    seen = ShopReturn(status=event.status, lines=event.lines, received=event.received, mirrors=event.mirrors)
    row = replace(row, shop_returns=row.shop_returns | {event.return_id: seen})
    return _return_recorded(row, event.mirrors, event.return_id)


def _return_recorded(row: Aftercare, mirrors: str, shop_return: ShopId) -> Aftercare:
    known = row.returns.get(mirrors)
    return replace(row, returns=row.returns | {mirrors: replace(known, recorded=shop_return)}) if known else row


def _issued(row: Aftercare, event: CommandIssued) -> Aftercare:
    known = event.command.known if isinstance(event.command, (RefundLines, CancelUnits)) else ()
    return replace(row, under_way=row.under_way | {step_of(event.command): known})


def _stepped(row: Aftercare, event: Event) -> Aftercare:
    steps = row.steps.after(event, TAGS)
    if steps is not row.steps:
        row = replace(row, steps=steps)
    match event:
        case CommandConfirmed() | CommandRefused() | CommandBuried() if (step := step_of(event)) in row.under_way:
            over = replace(row, under_way={other: known for other, known in row.under_way.items() if other != step})
            there = row.cancelations if event.command == tag_of(CancelUnits) else row.refunds
            return _known_by_now(over, {step}) if there.keys() - set(row.under_way[step]) else over
        case ExceptionRetried(key=key):  # one that was given up is revived, and so under way again
            return row if not key.startswith("X84:") else replace(row, under_way=row.under_way | dict.fromkeys(_named(key), ()))
        case ExceptionResolved(key=key):
            return _by_hand(row, key)
    return row


def _known_by_now(row: Aftercare, steps: Collection[str] = ()) -> Aftercare:
    """What somebody else gave back is known: steps (none named: all) that were refused for it are asked for anew, in its knowledge."""
    again = [step for step, refusal in row.steps.refused.items() if refusal.field == "known" and step in (steps or row.steps.refused)]
    return replace(row, steps=row.steps.let_on(again)) if again else row


def _named(key: str) -> frozenset[str]:
    return frozenset(f"{tag}{key.rpartition(f':{tag}')[2]}" for tag in map(tag_of, MONEY_BACK) if f":{tag}" in key)


def _by_hand(row: Aftercare, key: str) -> Aftercare:
    """A person settled a refund elsewhere: nothing of it is to be asked for any more, on either side."""
    for refund, known in row.shop_refunds.items():
        if key.endswith(f":{refund}"):
            row = replace(row, shop_refunds=row.shop_refunds | {refund: replace(known, pushed=True)})
    for gone in (*row.refunds, *row.cancelations):
        if key.endswith(f":{gone}"):
            row = _recorded(row, gone)
    return row


def _reminded(row: Aftercare, event: ReminderDue) -> Aftercare:
    return row if row.clock is not None and row.clock >= event.at else replace(row, clock=event.at)


_FOLDS: Mapping[type[Event], Callable[[Aftercare, Any], Aftercare]] = {
    OrderPlaced: lambda row, event: replace(row, terms=event),
    OrderTermsChanged: lambda row, event: replace(row, terms=event.terms),
    OrderStateChanged: _state_changed,
    LineStateChanged: _line_moved,
    OrderDebited: lambda row, _: replace(row, debited=True),
    ShopOrderCreated: _created,
    ShopOrderSeen: _shop_seen,
    ShopOrderCancelled: lambda row, _: replace(row, cancelled_by_us=True),
    MarketOrderCanceled: lambda row, _: replace(row, market_cancelled=True),
    FulfilmentSeen: _fulfilled,
    UnitsCanceled: _canceled,
    RefundSeen: _refunded,
    RefundPushed: _pushed,
    UnitsGivenUp: _pushed,
    ShopRefundSeen: _shop_refunded,
    ShopRefundRecorded: lambda row, event: _recorded(row, event.mirrors),
    RefundsMatched: _matched,
    ReturnSeen: _returned,
    ReturnAnswered: _answered,
    ShopReturnSeen: _shop_returned,
    ShopReturnRecorded: lambda row, event: _return_recorded(row, event.mirrors, event.return_id),
    ReminderDue: _reminded,
    **dict.fromkeys(OF_STEPS, _stepped),
}
_BY_STREAM: Mapping[type[Event], str] = {
    **dict.fromkeys((CommandConfirmed, CommandRefused, CommandBuried, ExceptionRetried, ExceptionResolved), "subject"),
    ReminderDue: "about",
}
_PREFIX = order_stream(ChannelId(""), OrderId("")).partition(":")[0]


def keys(event: Event) -> Iterable[str]:
    kind = type(event)
    if kind in _BY_STREAM:
        stream: str = getattr(event, _BY_STREAM[kind])
        return (stream.removeprefix(_PREFIX),) if stream.startswith(_PREFIX) else ()
    if isinstance(event, CommandIssued):
        command = event.command
        return (f"{command.channel}:{command.order_id}",) if isinstance(command, MONEY_BACK) else ()
    return (f"{event.channel}:{event.order_id}",) if kind in _FOLDS else ()  # type: ignore[attr-defined]


def initial(key: str) -> Aftercare:
    channel, _, order_id = key.partition(":")
    return Aftercare(channel=ChannelId(channel), order_id=OrderId(order_id))


def evolve(row: Aftercare, event: Event) -> Aftercare:
    if isinstance(event, CommandIssued):
        return _issued(row, event)
    fold = _FOLDS.get(type(event))
    return fold(row, event) if fold else row


aftercare = Projection(name="aftercare", state=Aftercare, initial=initial, keys=keys, evolve=evolve, by_stream=True)
