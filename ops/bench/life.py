"""What is written and read: an order's life of eight events, three lines long, as appends."""

from datetime import UTC, datetime, timedelta

from engine.log import Append
from schemas.envelope import Fact, event_id
from schemas.events import Event
from schemas.events.orders import (
    DeliveryAddress,
    DeliveryAddressGiven,
    FulfilmentSeen,
    OrderAccepted,
    OrderPlaced,
    OrderShipped,
    OrderStateChanged,
    ShopLine,
    ShopOrderCreated,
)
from schemas.streams import order_stream
from schemas.values import ChannelId, LineId, Money, OrderId, OrderLine, ShopId, Sku, TenantId

TENANT, CHANNEL = TenantId("bench"), ChannelId("asos")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVENTS_AN_ORDER = 8


def life(number: int) -> list[Event]:
    """The eight events of one order's life, three lines long."""
    order = OrderId(f"{number:08d}-A")
    lines = tuple(
        OrderLine(
            line_id=LineId(f"{order}-{n}"),
            sku=Sku(f"SKU-{(number * 7 + n) % 9973:05d}"),
            quantity=1 + n % 2,
            unit_price=Money(2450, "GBP"),
            price=Money(2450 * (1 + n % 2), "GBP"),
            shipping_price=Money(0, "GBP"),
            title="Organic cotton tee, crew neck, red",
        )
        for n in range(3)
    )
    placed = OrderPlaced(
        channel=CHANNEL,
        order_id=order,
        commercial_id=f"{number:08d}",
        placed_at=NOON,
        currency="GBP",
        taxes_included=True,
        lines=lines,
        total=Money(9800, "GBP"),
        shipping_method="STD",
        shipping_label="Standard delivery",
        ship_by=NOON + timedelta(days=2),
    )
    shop = ShopOrderCreated(
        channel=CHANNEL,
        order_id=order,
        shop_order=ShopId(f"gid://shopify/Order/{number}"),
        name=f"ASOS-{order}",
        total=Money(9800, "GBP"),
        lines=tuple(
            ShopLine(line_id=each.line_id, item=ShopId(f"gid://shopify/LineItem/{number}{n}"), sku=each.sku, quantity=each.quantity)
            for n, each in enumerate(lines)
        ),
        created_at=NOON,
    )
    parcel = FulfilmentSeen(
        channel=CHANNEL,
        order_id=order,
        fulfilment=ShopId(f"gid://shopify/Fulfillment/{number}"),
        status="SUCCESS",
        updated_at=NOON,
        units={each.line_id: each.quantity for each in lines},
        carrier="Royal Mail",
        tracking_number=f"AB{number:09d}GB",
        tracking_url=f"https://www.royalmail.com/track-your-item#/tracking-results/AB{number:09d}GB",
    )
    accepted = OrderAccepted(channel=CHANNEL, order_id=order, accepted=tuple(each.line_id for each in lines))
    given = DeliveryAddressGiven(channel=CHANNEL, order_id=order, country_code="GB")
    shipped = OrderShipped(channel=CHANNEL, order_id=order, carrier_code="RM", tracking_number=parcel.tracking_number)
    state = [OrderStateChanged(channel=CHANNEL, order_id=order, state=name) for name in ("WAITING_ACCEPTANCE", "SHIPPING")]
    return [placed, state[0], accepted, given, state[1], shop, parcel, shipped]


def fact(number: int, place: int, event: Event, *, sealed: bool = False) -> Fact:
    address = None
    if sealed and isinstance(event, DeliveryAddressGiven):
        address = DeliveryAddress(first_name="Ann", last_name="Example", street_1="1 Example Street", city="Leeds", zip_code="LS1 1AA")
    return Fact(
        event=event,
        event_id=event_id(TENANT, "bench", f"{number}:{place}", "bench"),
        occurred_at=NOON,
        personal=address,
        subject=f"order-{number}" if address else "",
    )


def append_of(number: int, *, sealed: bool = False) -> Append:
    """An order's whole life; with its address sealed beside it, where that is to be measured too."""
    facts = tuple(fact(number, place, event, sealed=sealed) for place, event in enumerate(life(number)))
    return Append(stream=order_stream(CHANNEL, OrderId(f"{number:08d}-A")), facts=facts, expected=0)


def singles(number: int) -> list[Append]:
    """An order's life, event by event."""
    whole = append_of(number)
    return [Append(stream=whole.stream, facts=(each,), expected=version) for version, each in enumerate(whole.facts)]
