"""An order of ours and its parcels, as they stand in Shopify."""

from collections.abc import Iterable

from adapters.shopify import wire
from adapters.shopify.translate.address import moved
from adapters.shopify.translate.marks import HANDLE, amount, fact, marketplace_line
from engine.adapter import Heard
from schemas.events import Event
from schemas.events.orders import FulfilmentSeen, ShopOrderSeen
from schemas.events.shop import ShopOrderOrphaned
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, LineId, OrderId, ShopId, TenantId

Owner = tuple[ChannelId, OrderId]

LONGEST_NUMBER = 200  # characters; a label's address, pasted where its number belongs, is longer, and too long to be looked up by
OVER = frozenset({"CLOSED", "CANCELLED", "INCOMPLETE"})  # states of a fulfilment order of which nothing is left to do


def order_seen(tenant: TenantId, state: wire.orders.OrderState, whose: Owner, read_at: Instant, key: bytes) -> Heard:
    """An order whose lines and fulfilment orders are all there.

    Holds come and go without moving `updatedAt`, so each reading is a fact of its own, dropped while it says the same as the last.
    """
    channel, order_id = whose
    units: dict[LineId, int] = {}
    strangers = 0
    for line in state.line_items.nodes:
        of = marketplace_line(line.custom_attributes)
        if of is None:
            strangers += line.current_quantity
        else:
            units[of] = units.get(of, 0) + line.current_quantity
    event = ShopOrderSeen(
        channel=channel,
        order_id=order_id,
        shop_order=ShopId(state.id),
        updated_at=wire.frame.utc(state.updated_at),
        cancelled_at=wire.frame.utc(state.cancelled_at) if state.cancelled_at else None,
        financial_status=state.display_financial_status or "",
        fulfilment_status=state.display_fulfillment_status,
        total=amount(state.total_price_set),
        units=dict(sorted(units.items())),
        strangers=strangers,
        holds=tuple(sorted(_holds(state.fulfillment_orders.nodes))),
        address_moved=moved(key, state.address_digest, state.shipping_address),
    )
    seen = fact(tenant, event, f"{state.id}@{event.updated_at.isoformat()}@{read_at.isoformat()}", event.updated_at)

    def same(last: Event) -> bool:
        """Or older: two readings at about the same time may arrive in the wrong order."""
        return last == event or (isinstance(last, ShopOrderSeen) and last.updated_at > event.updated_at)

    return Heard(order_stream(channel, order_id), seen, same=same, part="shop_order", beside=ShopOrderOrphaned)


def _holds(parcels: Iterable[wire.orders.FulfillmentOrder]) -> set[str]:
    return {
        HANDLE if is_ours(hold) else hold.reason for parcel in parcels if parcel.status not in OVER for hold in parcel.fulfillment_holds
    }


def is_ours(hold: wire.orders.Hold) -> bool:
    """Another app may use our handle: handles are unique for each app alone."""
    return hold.held_by_requesting_app and hold.handle == HANDLE


def fulfilment_seen(tenant: TenantId, parcel: wire.orders.Fulfillment, whose: Owner) -> Heard:
    """A parcel group whose lines are all there. Times are in whole seconds, so what can be edited is part of the fact's id."""
    channel, order_id = whose
    units: dict[LineId, int] = {}
    for shipped in parcel.fulfillment_line_items.nodes:
        line = marketplace_line(shipped.line_item.custom_attributes)
        if line is not None:  # else added by hand in Shopify: the marketplace knows no such line
            units[line] = units.get(line, 0) + (shipped.quantity or 0)
    tracking = sorted(parcel.tracking_info, key=lambda one: not _number(one))  # one with a number first, else in their order
    first = tracking[0] if tracking else wire.orders.Tracking(None, None, None)
    event = FulfilmentSeen(
        channel=channel,
        order_id=order_id,
        fulfilment=ShopId(parcel.id),
        status=parcel.status,
        updated_at=wire.frame.utc(parcel.updated_at),
        units=dict(sorted(units.items())),
        carrier=(first.company or "").strip(),
        tracking_number=_number(first),
        tracking_url=(first.url or "").strip(),
        further_numbers=tuple(_number(one) for one in tracking[1:] if _number(one)),
    )
    version = (parcel.id, event.updated_at.isoformat(), event.status, event.carrier, event.tracking_number, event.tracking_url)
    seen = fact(tenant, event, "@".join((*version, *event.further_numbers)), event.updated_at)
    return Heard(order_stream(channel, order_id), seen, same=lambda last: last == event, part="fulfilment")


def _number(tracking: wire.orders.Tracking) -> str:
    """What is too long to be a number is none, so that its parcel waits for a better one where the marketplace wants one (X37)."""
    number = (tracking.number or "").strip()
    return number if len(number) <= LONGEST_NUMBER else ""
