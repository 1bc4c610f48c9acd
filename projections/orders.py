"""One row a marketplace order, both systems in one place, from the sale to the parcel. What follows from it: order_steps.py."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from projections.levels import OF_STEPS, Steps
from schemas.commands import (
    AcceptOrder,
    CancelShopOrder,
    CorrectTracking,
    CreateShopOrder,
    HoldShopOrder,
    ReleaseShopOrder,
    SetSellerReference,
    ShipOrder,
    ShipParcel,
    SignalOnOrder,
)
from schemas.events import Event, tag_of
from schemas.events.aftercare import RefundPushed, RefundSeen, ShopRefundSeen, UnitsCanceled
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandRefused
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved, ExceptionRetried
from schemas.events.orders import (
    Assessed,
    BuyerFlagged,
    DeliveryAddressGiven,
    FulfilmentSeen,
    LinesAssessed,
    LineStateChanged,
    OrderAccepted,
    OrderDebited,
    OrderPlaced,
    OrderShipped,
    OrderSignalled,
    OrderStateChanged,
    OrderTermsChanged,
    SellerReferenceSet,
    ShipmentMade,
    ShopOrderCancelled,
    ShopOrderCreated,
    ShopOrderHeld,
    ShopOrderReleased,
    ShopOrderSeen,
    ShopOrderTagged,
    TrackingCorrected,
    TrackingShown,
)
from schemas.events.people import OrderHeld, OrderRefusalAsked, OrderReleased, ReminderDue
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, ShopId

# Where an order may go: never to a lower rank, however late or often the news comes. Mirakl seller API, order states, 2026-08-13.
RANKS = {
    "STAGING": 0,
    "WAITING_ACCEPTANCE": 1,
    "WAITING_DEBIT": 2,
    "WAITING_DEBIT_PAYMENT": 3,
    "SHIPPING": 4,
    "SHIPPED": 5,
    "TO_COLLECT": 6,
    "RECEIVED": 7,
    "CLOSED": 8,
    "REFUSED": 9,
    "CANCELED": 9,
}
PAID_BACK = frozenset({"REFUNDED", "CLOSED"})
DEAD = frozenset({"REFUSED", "CANCELED"})  # lines that will never be shipped; their prices stay filled in, and count in no sum
GONE = frozenset({"SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED"})  # orders that left, whoever said so
ANSWER = tag_of(AcceptOrder)
TOLD_BY_OTHERS = "X79:"  # what could not be read of it
# The commands that the policy of this row asks for.
TAGS = frozenset(
    map(
        tag_of,
        (
            AcceptOrder,
            CreateShopOrder,
            SetSellerReference,
            SignalOnOrder,
            ShipOrder,
            ShipParcel,
            CorrectTracking,
            HoldShopOrder,
            ReleaseShopOrder,
            CancelShopOrder,
        ),
    )
)


class Parcel(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One Shopify fulfilment, as last read; and what the marketplace was told of it."""

    status: str
    updated_at: Instant
    units: dict[LineId, int]
    carrier: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    told: bool = False
    shipment: str = ""  # the marketplace's id of it; "" where it is the whole order
    told_tracking: tuple[str, str, str] = ("", "", "")  # carrier, number, address

    @property
    def tracking(self) -> tuple[str, str, str]:
        return (self.carrier, self.tracking_number, self.tracking_url)


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is known of one marketplace order. Key: {channel}:{order_id}."""

    channel: ChannelId
    order_id: OrderId
    terms: OrderPlaced | None = None  # None: news of the order came before the order itself
    state: str = ""  # the marketplace's word; the furthest it has reached
    state_at: Instant | None = None  # since when, by its clock
    odd_state: str = ""  # a state nobody has told us about: everything is held until somebody does
    lines: dict[LineId, str] = {}  # line -> the marketplace's state of it
    address_given: bool = False
    country_code: str = ""
    lacks: tuple[str, ...] = ()  # what the address lacks
    po_box: bool = False
    flagged: str = ""  # the entry of the blocklist that the buyer is on
    debited: bool = False
    incident: bool = False
    message: bool = False
    message_at: Instant | None = None  # since when the buyer waits for an answer
    assessed: dict[LineId, Assessed] = {}  # how Shopify sees the lines
    assessed_at: Instant | None = None
    held: str = ""  # why a person wants it to wait
    cleared: bool = False  # a person has let it go on: the rules hold nothing any more
    refusal_asked: bool = False
    accepted: bool = False
    shop_order: ShopId | None = None
    shop_name: str = ""
    shop_total: Money | None = None
    shop_updated_at: Instant | None = None
    shop_cancelled_at: Instant | None = None
    shop_units: dict[LineId, int] = {}  # units that stand on the Shopify order
    shop_refunds: dict[ShopId, dict[LineId, int]] = {}  # Shopify refund -> units of which it says what became
    short_since: Instant | None = None  # by Shopify's clock; None: no unit left the Shopify order but by a refund
    shop_strangers: int = 0  # units there that no marketplace line knows
    shop_address_moved: bool = False
    on_hold: bool = False  # our hold is on its fulfilment orders
    tags: tuple[str, ...] = ()  # signals that we gave
    cancelled_by_us: bool = False
    reference_set: bool = False
    canceled: dict[str, tuple[LineId, int]] = {}  # the marketplace's cancelation -> line and units
    staying: dict[LineId, int] = {}  # units that were paid back at our word and will not follow
    leaving: frozenset[LineId] = frozenset()  # lines that left, or will, although they are paid back
    paid_back: dict[str, tuple[LineId, int]] = {}  # the marketplace's refund -> line and minor units of its price
    parcels: dict[ShopId, Parcel] = {}
    shipped: bool = False  # we told the marketplace that the whole order left
    tracked: bool = False  # the marketplace shows a tracking number, whoever entered it
    steps: Steps = Steps()
    told: frozenset[str] = frozenset()  # open exceptions that others told of it, and that it closes itself
    clock: Instant | None = None  # the last moment that we were reminded of

    @property
    def stream(self) -> str:
        return order_stream(self.channel, self.order_id)

    @property
    def wanted(self) -> tuple[OrderLine, ...]:
        """The lines that are still to be shipped or were, as first sold."""
        if self.terms is None:
            return ()
        return tuple(line for line in self.terms.lines if self.lines.get(line.line_id, "") not in DEAD)

    @property
    def owed(self) -> dict[LineId, int]:
        """Units of each line that were sold and are to leave, or have left: not canceled since, nor paid back instead."""
        over = PAID_BACK if self.state == "SHIPPING" else ()  # meanwhile, and they had not left
        units = {
            line.line_id: line.quantity for line in self.wanted if self.lines.get(line.line_id) not in over or line.line_id in self.leaving
        }
        for line, units_ in self.staying.items():
            if line in units:
                units[line] -= units_
        for line, canceled in self.canceled.values():
            if line in units:
                units[line] -= canceled
        return {line: left for line, left in units.items() if left > 0}

    @property
    def taken_off(self) -> dict[LineId, int]:
        """Units of each line that an edit took off the Shopify order, and that are owed all the same."""
        if self.shop_updated_at is None:
            return {}
        off, owed = {}, self.owed
        for line in self.wanted:
            refunded = sum(units.get(line.line_id, 0) for units in self.shop_refunds.values())
            short = min(line.quantity - refunded, owed.get(line.line_id, 0)) - self.shop_units.get(line.line_id, 0)
            if short > 0:
                off[line.line_id] = short
        return off

    @property
    def total(self) -> Money | None:
        """What Shopify must arrive at: prices, shipping and fees of the lines that live, and their taxes where these come on top."""
        if self.terms is None:
            return None
        total = Money(0, self.terms.currency)
        for line in self.wanted:
            total = total + line.price + line.shipping_price
            for fee in line.fees:
                total = total + fee.amount
            if not self.terms.taxes_included:
                for tax in (*line.taxes, *line.shipping_taxes):
                    total = total + tax.amount
        return total

    @property
    def ours_to_ship(self) -> bool:
        return self.terms is not None and self.terms.ours_to_ship

    @property
    def waits_for_acceptance(self) -> bool:
        return self.terms is not None and self.state == "WAITING_ACCEPTANCE" and not self.odd_state and self.ours_to_ship

    @property
    def shippable(self) -> bool:
        """Ours to fulfil: paid or needing no payment yet, and we know where it goes."""
        return self.state == "SHIPPING" and self.address_given and bool(self.wanted) and not self.odd_state and self.ours_to_ship

    @property
    def dead(self) -> bool:
        """Nothing of it will ever be shipped."""
        return self.state in DEAD or (self.terms is not None and bool(self.lines) and not self.wanted)

    @property
    def called_off(self) -> bool:
        """Dead, or closed because it was paid back line by line before the marketplace was told of any parcel, by us or by hand."""
        if self.dead or self.state not in GONE or self.shipped or self.tracked or any(parcel.told for parcel in self.parcels.values()):
            return self.dead
        back: dict[LineId, int] = {}
        for line, minor in self.paid_back.values():
            back[line] = back.get(line, 0) + minor
        return bool(self.wanted) and all(back.get(line.line_id, 0) >= line.price.minor for line in self.wanted)

    @property
    def left_untracked(self) -> bool:
        """It was dispatched on the marketplace by hand, and left here; the marketplace has no number for it."""
        told = self.tracked or self.shipped or any(parcel.told for parcel in self.parcels.values())
        return self.state in ("SHIPPED", "TO_COLLECT", "RECEIVED") and not told and self.left_the_house

    @property
    def packed(self) -> dict[LineId, int]:
        """Units in fulfilments that Shopify confirms."""
        units: dict[LineId, int] = {}
        for parcel in self.parcels.values():
            if parcel.status == "SUCCESS":
                for line, count in parcel.units.items():
                    units[line] = units.get(line, 0) + count
        return units

    @property
    def left_the_house(self) -> bool:
        """Every unit that is owed is in a fulfilment that Shopify confirms."""
        if self.shop_order is None or not self.owed:
            return False
        packed = self.packed
        return all(packed.get(line, 0) >= units for line, units in self.owed.items())


def row_of(channel: ChannelId, order_id: OrderId) -> str:
    return f"{channel}:{order_id}"


# ---------------------------------------------------------------- the fold


def _placed(order: Order, event: OrderPlaced) -> Order:
    return replace(order, terms=event)


def _terms_changed(order: Order, event: OrderTermsChanged) -> Order:
    return replace(order, terms=event.terms)


def _state_changed(order: Order, event: OrderStateChanged) -> Order:
    state = event.state
    if state not in RANKS:
        return replace(order, odd_state=state, state_at=event.at)
    if RANKS[state] < RANKS.get(order.state, -1):
        return order
    return replace(order, state=state, odd_state="", state_at=order.state_at if state == order.state else event.at)


def _line_moved(order: Order, event: LineStateChanged) -> Order:
    if RANKS.get(event.state, 99) < RANKS.get(order.lines.get(event.line_id, ""), -1):
        return order
    left = event.state in PAID_BACK and order.packed.get(event.line_id, 0) > 0
    leaving = order.leaving | {event.line_id} if left else order.leaving
    return replace(order, lines=order.lines | {event.line_id: event.state}, leaving=leaving)


def _addressed(order: Order, event: DeliveryAddressGiven) -> Order:
    return replace(order, address_given=True, country_code=event.country_code, lacks=event.lacks, po_box=event.po_box)


def _fulfilled(order: Order, event: FulfilmentSeen) -> Order:
    known = order.parcels.get(event.fulfilment)
    if known is not None and known.updated_at > event.updated_at:
        return order
    parcel = Parcel(
        status=event.status,
        updated_at=event.updated_at,
        units=event.units,
        carrier=event.carrier,
        tracking_number=event.tracking_number,
        tracking_url=event.tracking_url,
        told=known.told if known else False,
        shipment=known.shipment if known else "",
        told_tracking=known.told_tracking if known else ("", "", ""),
    )
    return replace(order, parcels=order.parcels | {event.fulfilment: parcel})


def _shop_seen(order: Order, event: ShopOrderSeen) -> Order:
    if order.shop_updated_at is not None and order.shop_updated_at > event.updated_at:
        return order
    seen = replace(
        order,
        shop_updated_at=event.updated_at,
        shop_cancelled_at=event.cancelled_at,
        shop_units=event.units,
        shop_strangers=event.strangers,
        shop_address_moved=event.address_moved,
    )
    return _dated(seen)


def _shop_refunded(order: Order, event: ShopRefundSeen) -> Order:
    """An edit that takes units off may leave a refund of them behind, without money: of such units it says nothing."""
    edit = not event.mirrors and not event.moved_money and event.without_money
    units: dict[LineId, int] = {}
    for part in event.lines:
        if not (edit and part.restock == "CANCEL"):
            units[part.line_id] = units.get(part.line_id, 0) + part.quantity
    return _dated(replace(order, shop_refunds=order.shop_refunds | {event.refund: units})) if units else order


def _dated(order: Order) -> Order:
    """A refund is told right after the units that it took off."""
    return replace(order, short_since=(order.short_since or order.shop_updated_at) if order.taken_off else None)


def _told(order: Order, fulfilment: ShopId, tracking: tuple[str, str, str], shipment: str | None) -> Order:
    parcel = order.parcels.get(fulfilment)
    if parcel is None:
        return order
    told = replace(parcel, told=True, told_tracking=tracking, shipment=parcel.shipment if shipment is None else shipment)
    return replace(order, parcels=order.parcels | {fulfilment: told})


def _order_shipped(order: Order, event: OrderShipped) -> Order:
    for fulfilment in event.fulfilments:
        order = _told(order, fulfilment, (event.carrier, event.tracking_number, event.tracking_url), None)
    return replace(order, shipped=True)


def _shipment_made(order: Order, event: ShipmentMade) -> Order:
    return _told(order, event.fulfilment, (event.carrier, event.tracking_number, event.tracking_url), event.shipment)


def _corrected(order: Order, event: TrackingCorrected) -> Order:
    return _told(order, event.fulfilment, (event.carrier, event.tracking_number, event.tracking_url), None)


def _assessed(order: Order, event: LinesAssessed) -> Order:
    if order.assessed_at is not None and order.assessed_at > event.read_at:
        return order
    return replace(order, assessed=event.lines, assessed_at=event.read_at)


def _signalled(order: Order, event: OrderSignalled) -> Order:
    since = (order.message_at or event.at) if event.message else None
    return replace(order, incident=event.incident, message=event.message, message_at=since)


def _canceled(order: Order, event: UnitsCanceled) -> Order:
    return replace(order, canceled=order.canceled | {event.cancelation: (event.line_id, event.quantity)})


def _paid_back(order: Order, event: RefundPushed) -> Order:
    staying = {line: order.staying.get(line, 0) + units for line, units in event.not_to_ship.items()}
    return replace(order, staying=order.staying | staying, leaving=order.leaving | event.leaving.keys())


def _refunded(order: Order, event: RefundSeen) -> Order:
    return replace(order, paid_back=order.paid_back | {event.refund: (event.line_id, event.amount.minor)})


def _stepped(order: Order, event: Event) -> Order:
    steps = order.steps.after(event, TAGS)
    return order if steps is order.steps else replace(order, steps=steps)


def _released(order: Order, _event: OrderReleased) -> Order:
    return _said_anew(replace(order, held="", cleared=True))


def _refusal_asked(order: Order, _event: OrderRefusalAsked) -> Order:
    return _said_anew(replace(order, refusal_asked=True))


def _said_anew(order: Order) -> Order:
    """A person has decided: an answer that the marketplace would not take is given once more, as decided now."""
    return replace(order, steps=order.steps.let_on([ANSWER])) if ANSWER in order.steps.refused else order


def _opened(order: Order, event: ExceptionOpened) -> Order:
    return replace(order, told=order.told | {event.key}) if event.key.startswith(TOLD_BY_OTHERS) else order


def _closed(order: Order, event: ExceptionClosed) -> Order:
    return replace(order, told=order.told - {event.key}) if event.key in order.told else order


def _created(order: Order, event: ShopOrderCreated) -> Order:
    return replace(order, shop_order=event.shop_order, shop_name=event.name, shop_total=event.total)


def _reminded(order: Order, event: ReminderDue) -> Order:
    return order if order.clock is not None and order.clock >= event.at else replace(order, clock=event.at)


_FOLDS: Mapping[type[Event], Callable[[Order, Any], Order]] = {
    OrderPlaced: _placed,
    OrderTermsChanged: _terms_changed,
    OrderStateChanged: _state_changed,
    LineStateChanged: _line_moved,
    DeliveryAddressGiven: _addressed,
    BuyerFlagged: lambda order, event: replace(order, flagged=event.entry),
    OrderDebited: lambda order, _: replace(order, debited=True),
    OrderSignalled: _signalled,
    LinesAssessed: _assessed,
    OrderAccepted: lambda order, _: replace(order, accepted=True),
    ShopOrderCreated: _created,
    SellerReferenceSet: lambda order, _: replace(order, reference_set=True),
    ShopOrderSeen: _shop_seen,
    ShopRefundSeen: _shop_refunded,
    FulfilmentSeen: _fulfilled,
    OrderShipped: _order_shipped,
    ShipmentMade: _shipment_made,
    TrackingCorrected: _corrected,
    TrackingShown: lambda order, event: replace(order, tracked=bool(event.tracking_number)),
    UnitsCanceled: _canceled,
    RefundSeen: _refunded,
    RefundPushed: _paid_back,
    ShopOrderHeld: lambda order, _: replace(order, on_hold=True),
    ShopOrderReleased: lambda order, _: replace(order, on_hold=False),
    ShopOrderCancelled: lambda order, _: replace(order, cancelled_by_us=True),
    ShopOrderTagged: lambda order, event: replace(order, tags=tuple(sorted({*order.tags, *event.tags}))),
    OrderHeld: lambda order, event: replace(order, held=event.reason or "held"),
    OrderReleased: _released,
    OrderRefusalAsked: _refusal_asked,
    **dict.fromkeys(OF_STEPS, _stepped),
    ExceptionOpened: _opened,
    ExceptionClosed: _closed,
    ReminderDue: _reminded,
}
# These name a stream, not an order.
_BY_STREAM: Mapping[type[Event], str] = {
    **dict.fromkeys(
        (CommandConfirmed, CommandRefused, CommandBuried, ExceptionRetried, ExceptionResolved, ExceptionOpened, ExceptionClosed), "subject"
    ),
    ReminderDue: "about",
}
_PREFIX = order_stream(ChannelId(""), OrderId("")).partition(":")[0]


def keys(event: Event) -> Iterable[str]:
    kind = type(event)
    if kind in _BY_STREAM:
        stream: str = getattr(event, _BY_STREAM[kind])
        return (stream.removeprefix(_PREFIX),) if stream.startswith(_PREFIX) else ()
    return (f"{event.channel}:{event.order_id}",) if kind in _FOLDS else ()  # type: ignore[attr-defined]


def initial(key: str) -> Order:
    channel, _, order_id = key.partition(":")
    return Order(channel=ChannelId(channel), order_id=OrderId(order_id))


def evolve(order: Order, event: Event) -> Order:
    fold = _FOLDS.get(type(event))
    return fold(order, event) if fold else order


orders = Projection(name="orders", state=Order, initial=initial, keys=keys, evolve=evolve, by_stream=True)
