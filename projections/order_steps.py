"""What an order calls for at any moment: what each side must be told, and when to look at it again."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from projections.acceptance import LAST_CALL, accept_by, decision, undeliverable
from projections.levels import step_of
from projections.orders import GONE, Order, Parcel
from projections.rules import Channel, hours
from schemas.commands import (
    AcceptOrder,
    CancelShopOrder,
    Command,
    CorrectTracking,
    CreateShopOrder,
    HoldShopOrder,
    ReleaseShopOrder,
    SetSellerReference,
    ShipOrder,
    ShipParcel,
    SignalOnOrder,
)
from schemas.values import Instant, LineId, ShopId

LATE = "dispatch-now"  # the tag by which the warehouse sees what is about to be late
EDIT_STANDS = timedelta(minutes=15)  # an edit may be undone, and a cancellation makes its refund a moment before it shows
ASSESS_EVERY = timedelta(minutes=15)  # what waits for a change in Shopify of which no webhook tells is looked at again


def wants(order: Order, channel: Channel) -> dict[str, Command]:
    """Step -> the command for it. A step that was refused stays called for: it is asked again once it is let go on."""
    return {_name(order, command): command for command in wanted(order, channel)}


def _name(order: Order, command: Command) -> str:
    """New tracking is a new step; all else is called by its tag and part."""
    name = order.steps.name(step_of(command))
    if isinstance(command, CorrectTracking):
        return f"{name}={command.carrier}={command.tracking_number}={command.tracking_url}"
    return name


def wanted(order: Order, channel: Channel) -> Iterator[Command]:
    """The commands for all steps that are called for."""
    identity: dict[str, Any] = {"channel": order.channel, "order_id": order.order_id}
    decided = decision(order, channel)
    if decided is not None and decided.outcome != "hold":
        taken = {verdict.line_id: verdict.take for verdict in decided.lines}
        if decided.outcome != "partly":
            taken = dict.fromkeys(taken, decided.outcome == "accept")
        yield AcceptOrder(
            **identity,
            accepted=tuple(line for line, take in taken.items() if take),
            refused=tuple(line for line, take in taken.items() if not take),
        )
    if order.shippable and order.shop_order is None and not withheld(order, channel):
        yield creation(order)
    if order.shop_order is None:
        return
    if not order.reference_set:
        yield SetSellerReference(**identity, reference=order.shop_name)
    if order.shop_cancelled_at is None and not order.cancelled_by_us:
        yield from _in_the_shop(order, channel)
    yield from _dispatch(order, channel)


# ---------------------------------------------------------------- into Shopify


def withheld(order: Order, channel: Channel) -> str:
    """Why it is not created in Shopify though it could be; "": it is."""
    if order.held:
        return order.held
    if order.cleared:
        return ""
    if why := undeliverable(order, channel.rules):
        return why
    if order.flagged:
        return f"the buyer is on the list as {order.flagged}"
    terms = order.terms
    if terms is None:
        return ""
    if terms.test and channel.rules.test_orders == "hold":
        return "a test order"
    if channel.rules.currency and terms.currency != channel.rules.currency:
        return f"in {terms.currency}, not {channel.rules.currency}"
    if terms.stated_total is not None and terms.stated_total != terms.total:
        return f"its lines add up to {terms.total}, the marketplace says {terms.stated_total}"
    return ""


def creation(order: Order) -> CreateShopOrder:
    """As it stands now."""
    terms, total = order.terms, order.total
    assert terms is not None and total is not None  # shippable says so
    return CreateShopOrder(
        channel=order.channel,
        order_id=order.order_id,
        placed_at=terms.placed_at,
        currency=terms.currency,
        taxes_included=terms.taxes_included,
        lines=order.wanted,
        total=total,
        shipping_method=terms.shipping_method,
        shipping_label=terms.shipping_label,
        ship_by=terms.ship_by,
        test=terms.test,
        deliver_by=terms.deliver_by,
    )


def hold_reason(order: Order) -> str:
    """Why the warehouse must wait with an order that stands in Shopify; "": it need not."""
    if order.held:
        return order.held
    if order.incident and order.state == "SHIPPING":
        return "an incident is open on the marketplace"
    if totals_differ(order) and not order.cleared:
        return f"Shopify arrives at {order.shop_total}, the marketplace at {order.total}"
    return ""


def warehouse_waits(order: Order) -> bool:
    """It is held in Shopify, or about to be: what is packed in part is not."""
    in_the_shop = order.shop_cancelled_at is None and not order.cancelled_by_us
    return bool(hold_reason(order)) and in_the_shop and (order.on_hold or not order.packed)


def totals_differ(order: Order) -> bool:
    """The Shopify order was not made over the sum that the marketplace shows."""
    return order.shop_total is not None and not order.canceled and not order.dead and order.shop_total != order.total


def edited(order: Order) -> bool:
    """Somebody put more into the Shopify order than was sold."""
    sold = {line.line_id: line.quantity for line in order.terms.lines} if order.terms else {}
    return order.shop_strangers > 0 or any(units > sold.get(line, 0) for line, units in order.shop_units.items())


def _in_the_shop(order: Order, channel: Channel) -> Iterator[Command]:
    assert order.shop_order is not None
    shop: dict[str, Any] = {"channel": order.channel, "order_id": order.order_id, "shop_order": order.shop_order}
    if order.dead:
        if not order.packed:
            yield CancelShopOrder(**shop, reason=f"{order.state.lower()} on the marketplace")
        return
    reason = hold_reason(order)
    if reason and not order.on_hold and not order.packed:
        yield HoldShopOrder(**shop, reason=reason)
    if order.on_hold and not reason:
        yield ReleaseShopOrder(**shop)
    if late(order, channel) and LATE not in order.tags:
        yield SignalOnOrder(**shop, tags=(LATE,))


def late(order: Order, channel: Channel) -> bool:
    """Its promised dispatch is near, and nothing has left."""
    moment = dispatch_warning(order, channel)
    return moment is not None and reached(order, moment)


def dispatch_warning(order: Order, channel: Channel) -> Instant | None:
    """When somebody must be told that it has not left yet; None: it need not leave."""
    if order.state != "SHIPPING" or order.terms is None or order.terms.ship_by is None or order.left_the_house or not order.ours_to_ship:
        return None
    return order.terms.ship_by - hours(channel.rules.dispatch_warning_hours)


def reached(order: Order, moment: Instant) -> bool:
    return order.clock is not None and order.clock >= moment


# ---------------------------------------------------------------- back out


def needs_tracking(order: Order, channel: Channel) -> bool:
    """Nothing is dispatched blind, unless the marketplace does not demand a number and people said so for this way of shipping."""
    method = order.terms.shipping_method if order.terms else ""
    return method in channel.platform.tracked_methods or method not in channel.rules.untracked_methods


def may_dispatch(order: Order) -> bool:
    return order.state == "SHIPPING" and not order.held and not order.odd_state and (not edited(order) or order.cleared)


def confirmed(order: Order) -> dict[ShopId, Parcel]:
    """Parcels that Shopify confirms, in the order of their numbers."""
    return {fulfilment: parcel for fulfilment, parcel in sorted(order.parcels.items()) if parcel.status == "SUCCESS" and parcel.units}


def overpacked(order: Order) -> dict[LineId, int]:
    """Units in confirmed parcels beyond what is owed."""
    owed = order.owed
    return {line: units - owed.get(line, 0) for line, units in order.packed.items() if units > owed.get(line, 0)}


def _dispatch(order: Order, channel: Channel) -> Iterator[Command]:
    blind = not needs_tracking(order, channel)
    parcels = confirmed(order)
    if channel.platform.multi_shipment:
        if may_dispatch(order) and not overpacked(order):
            for fulfilment, parcel in parcels.items():
                if not parcel.told and (parcel.tracking_number or blind):
                    yield ShipParcel(
                        channel=order.channel,
                        order_id=order.order_id,
                        fulfilment=fulfilment,
                        units=parcel.units,
                        carrier=parcel.carrier,
                        tracking_number=parcel.tracking_number,
                        tracking_url=parcel.tracking_url,
                    )
        for fulfilment, parcel in parcels.items():
            if parcel.told and parcel.shipment:
                yield from _correction(order, fulfilment, parcel)
        return
    chosen = _spokesman(parcels)
    if chosen is None:
        return
    fulfilment, parcel = chosen
    if order.shipped or parcel.told or order.left_untracked:
        taken_back = not any(each.told for each in parcels.values())  # what was told has not left after all: this has, in its place
        if parcel.told or not order.shipped or taken_back:
            yield from _correction(order, fulfilment, parcel)
    elif may_dispatch(order) and order.left_the_house and (parcel.tracking_number or blind):
        yield ShipOrder(
            channel=order.channel,
            order_id=order.order_id,
            fulfilments=tuple(parcels),
            carrier=parcel.carrier,
            tracking_number=parcel.tracking_number,
            tracking_url=parcel.tracking_url,
        )


def _spokesman(parcels: dict[ShopId, Parcel]) -> tuple[ShopId, Parcel] | None:
    """Where one tracking stands for the whole order: that of the parcel that moved last, of those that have a number if any has."""
    tracked = {fulfilment: parcel for fulfilment, parcel in parcels.items() if parcel.tracking_number} or parcels
    return max(tracked.items(), key=lambda item: (item[1].updated_at, item[0]), default=None)


def _correction(order: Order, fulfilment: ShopId, parcel: Parcel) -> Iterator[Command]:
    open_ = order.state in ("SHIPPING", "SHIPPED", "TO_COLLECT", "RECEIVED")  # beyond, the marketplace takes no news of a parcel
    if open_ and parcel.tracking_number and parcel.tracking != parcel.told_tracking:
        yield CorrectTracking(
            channel=order.channel,
            order_id=order.order_id,
            fulfilment=fulfilment,
            carrier=parcel.carrier,
            shipment=parcel.shipment,
            tracking_number=parcel.tracking_number,
            tracking_url=parcel.tracking_url,
        )


# ---------------------------------------------------------------- when to look again


def deadlines(order: Order, channel: Channel) -> Iterator[Instant]:
    rules = channel.rules
    by = accept_by(order, rules)
    if order.waits_for_acceptance and by is not None and not channel.platform.automatic:
        yield by - hours(rules.accept_warning_hours)
        yield by - LAST_CALL
        decided = decision(order, channel)
        if decided is not None and decided.outcome == "hold" and order.assessed_at is not None:
            yield order.assessed_at + ASSESS_EVERY
    others = (debit_late, orphaned, taken_off, dispatch_warning, unreceived, unanswered)
    for moment in (when(order, channel) for when in others):
        if moment is not None:
            yield moment
    yield from untracked_since(order, channel).values()


def debit_late(order: Order, channel: Channel) -> Instant | None:
    if order.state in ("WAITING_DEBIT", "WAITING_DEBIT_PAYMENT") and order.state_at is not None:
        return order.state_at + hours(channel.rules.debit_hours)
    return None


def orphaned(order: Order, channel: Channel) -> Instant | None:
    """When an order that is to be shipped should stand in Shopify."""
    if order.state == "SHIPPING" and order.shop_order is None and order.ours_to_ship and order.state_at is not None:
        return order.state_at + timedelta(minutes=channel.rules.orphan_minutes)
    return None


def taken_off(order: Order, _channel: Channel) -> Instant | None:
    """When units that an edit took off the Shopify order are taken for gone: a refund, or the order's end, would have told of them."""
    waits = order.state == "SHIPPING" and order.shop_cancelled_at is None and not order.cancelled_by_us and not order.cleared
    return order.short_since + EDIT_STANDS if waits and order.short_since is not None and order.taken_off else None


def unreceived(order: Order, channel: Channel) -> Instant | None:
    if order.state == "SHIPPED" and order.state_at is not None:
        return order.state_at + timedelta(days=channel.rules.receipt_days)
    return None


def unanswered(order: Order, channel: Channel) -> Instant | None:
    """When the buyer has waited too long for an answer."""
    return order.message_at + hours(channel.rules.message_hours) if order.message_at is not None else None


def untracked_since(order: Order, channel: Channel) -> dict[ShopId, Instant]:
    """When each parcel without its number is too long so."""
    if order.state in GONE or not needs_tracking(order, channel):
        return {}
    grace = hours(channel.rules.tracking_hours)
    return {
        fulfilment: parcel.updated_at + grace
        for fulfilment, parcel in confirmed(order).items()
        if not parcel.tracking_number and not parcel.told
    }
