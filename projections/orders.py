"""One row a marketplace order, both systems in one place; and what each side must be told next."""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from schemas.commands import AcceptOrder, Command, CreateShopOrder, SetSellerReference, ShipOrder
from schemas.events import Event
from schemas.events.orders import (
    DeliveryAddressGiven,
    FulfilmentSeen,
    LineStateChanged,
    OrderAccepted,
    OrderPlaced,
    OrderShipped,
    OrderStateChanged,
    OrderTermsChanged,
    SellerReferenceSet,
    ShopOrderCreated,
    ShopOrderSeen,
)
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
DEAD = frozenset({"REFUSED", "CANCELED"})  # lines that will never be shipped; their prices stay filled in, and count in no sum


class Parcel(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One Shopify fulfilment, as last read."""

    status: str
    updated_at: Instant
    units: dict[LineId, int]
    carrier: str = ""
    tracking_number: str = ""
    tracking_url: str = ""


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is known of one marketplace order. Key: {channel}:{order_id}."""

    channel: ChannelId
    order_id: OrderId
    terms: OrderPlaced | None = None  # None: news of the order came before the order itself
    state: str = ""  # the marketplace's word; the furthest it has reached
    odd_state: str = ""  # a state nobody has told us about: everything is held until somebody does
    lines: dict[LineId, str] = {}  # line -> the marketplace's state of it
    address_given: bool = False
    country_code: str = ""
    accepted: bool = False
    shop_order: ShopId | None = None
    shop_name: str = ""
    shop_total: Money | None = None
    shop_updated_at: Instant | None = None
    shop_cancelled_at: Instant | None = None
    reference_set: bool = False
    parcels: dict[ShopId, Parcel] = {}
    shipped: bool = False  # we told the marketplace so

    @property
    def wanted(self) -> tuple[OrderLine, ...]:
        """The lines that are still to be shipped or were."""
        if self.terms is None:
            return ()
        return tuple(line for line in self.terms.lines if self.lines.get(line.line_id, "") not in DEAD)

    @property
    def waits_for_acceptance(self) -> bool:
        return self.terms is not None and self.state == "WAITING_ACCEPTANCE" and not self.odd_state

    @property
    def shippable(self) -> bool:
        """Ours to fulfil: paid or needing no payment yet, and we know where it goes."""
        return self.state == "SHIPPING" and self.address_given and bool(self.wanted) and not self.odd_state

    @property
    def left_the_house(self) -> bool:
        """Every unit is in a fulfilment that Shopify confirms."""
        if self.shop_order is None or not self.wanted:
            return False
        packed: dict[LineId, int] = {}
        for parcel in self.parcels.values():
            if parcel.status == "SUCCESS":
                for line, units in parcel.units.items():
                    packed[line] = packed.get(line, 0) + units
        return all(packed.get(line.line_id, 0) >= line.quantity for line in self.wanted)


def row_of(channel: ChannelId, order_id: OrderId) -> str:
    return f"{channel}:{order_id}"


# Every event that says which order it is about.
_OF_AN_ORDER = frozenset(
    {
        OrderPlaced,
        OrderTermsChanged,
        OrderStateChanged,
        LineStateChanged,
        DeliveryAddressGiven,
        OrderAccepted,
        ShopOrderCreated,
        SellerReferenceSet,
        ShopOrderSeen,
        FulfilmentSeen,
        OrderShipped,
    }
)


def keys(event: Event) -> Iterable[str]:
    return (f"{event.channel}:{event.order_id}",) if type(event) in _OF_AN_ORDER else ()  # type: ignore[attr-defined]


def initial(key: str) -> Order:
    channel, _, order_id = key.partition(":")
    return Order(channel=ChannelId(channel), order_id=OrderId(order_id))


def evolve(order: Order, event: Event) -> Order:
    match event:
        case OrderStateChanged(state=state):
            if state not in RANKS:
                return replace(order, odd_state=state)
            if RANKS[state] < RANKS.get(order.state, -1):
                return order
            return replace(order, state=state, odd_state="")
        case LineStateChanged(line_id=line, state=state):
            if RANKS.get(state, 99) < RANKS.get(order.lines.get(line, ""), -1):
                return order
            return replace(order, lines=order.lines | {line: state})
        case FulfilmentSeen(fulfilment=fulfilment):
            known = order.parcels.get(fulfilment)
            if known is not None and known.updated_at > event.updated_at:
                return order
            parcel = Parcel(
                status=event.status,
                updated_at=event.updated_at,
                units=event.units,
                carrier=event.carrier,
                tracking_number=event.tracking_number,
                tracking_url=event.tracking_url,
            )
            return replace(order, parcels=order.parcels | {fulfilment: parcel})
        case ShopOrderSeen():
            if order.shop_updated_at is not None and order.shop_updated_at > event.updated_at:
                return order
            return replace(order, shop_updated_at=event.updated_at, shop_cancelled_at=event.cancelled_at)
        case OrderPlaced():
            return replace(order, terms=event)
        case OrderTermsChanged(terms=terms):
            return replace(order, terms=terms)
        case DeliveryAddressGiven(country_code=country_code):
            return replace(order, address_given=True, country_code=country_code)
        case OrderAccepted():
            return replace(order, accepted=True)
        case ShopOrderCreated(shop_order=shop_order, name=name, total=total):
            return replace(order, shop_order=shop_order, shop_name=name, shop_total=total)
        case SellerReferenceSet():
            return replace(order, reference_set=True)
        case OrderShipped():
            return replace(order, shipped=True)
    return order


def decide(was: Order, now: Order) -> Iterator[Command]:
    """What each side must be told because this order changed. Each command is asked for once: when its reason first holds."""
    if now.waits_for_acceptance and not was.waits_for_acceptance:
        yield AcceptOrder(channel=now.channel, order_id=now.order_id, accepted=tuple(line.line_id for line in now.wanted))
    if now.shippable and not was.shippable and now.shop_order is None:
        yield _creation(now)
    if now.shop_order is not None and was.shop_order is None:
        yield SetSellerReference(channel=now.channel, order_id=now.order_id, reference=now.shop_name)
    if now.state == "SHIPPING" and now.left_the_house and not (was.state == "SHIPPING" and was.left_the_house):
        yield _dispatch(now)


def _creation(order: Order) -> CreateShopOrder:
    terms = order.terms
    assert terms is not None  # shippable says so
    lines = order.wanted
    total = Money(0, terms.currency)
    for line in lines:
        total = total + line.price + line.shipping_price
        if not terms.taxes_included:
            for tax in (*line.taxes, *line.shipping_taxes):
                total = total + tax.amount
    return CreateShopOrder(
        channel=order.channel,
        order_id=order.order_id,
        placed_at=terms.placed_at,
        currency=terms.currency,
        taxes_included=terms.taxes_included,
        lines=lines,
        total=total,
        shipping_method=terms.shipping_method,
        shipping_label=terms.shipping_label,
        ship_by=terms.ship_by,
        test=terms.test,
    )


def _dispatch(order: Order) -> ShipOrder:
    parcels = {fulfilment: parcel for fulfilment, parcel in order.parcels.items() if parcel.status == "SUCCESS"}
    tracked = [parcel for parcel in parcels.values() if parcel.tracking_number]
    last = max(tracked or parcels.values(), key=lambda parcel: parcel.updated_at)
    return ShipOrder(
        channel=order.channel,
        order_id=order.order_id,
        fulfilments=tuple(sorted(parcels)),
        carrier=last.carrier,
        tracking_number=last.tracking_number,
        tracking_url=last.tracking_url,
    )


orders = Projection(name="orders", state=Order, initial=initial, keys=keys, evolve=evolve)
