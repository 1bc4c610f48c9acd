"""What of an order waits for somebody: each trouble as long as its cause lasts, and no longer."""

from collections.abc import Iterator

from projections.acceptance import accept_by, decision
from projections.kinds import opened
from projections.levels import Refusal, step_of
from projections.order_steps import (
    confirmed,
    debit_late,
    edited,
    late,
    orphaned,
    overpacked,
    reached,
    taken_off,
    totals_differ,
    unanswered,
    unreceived,
    untracked_since,
    wanted,
    warehouse_waits,
    withheld,
)
from projections.orders import GONE, Order
from projections.rules import Channel, hours
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import FULFILMENT_STATUSES
from schemas.values import Money

_BY_RULE = {  # which exception it is when a rule of acceptance holds a line
    "sku": "X01",
    "twins": "X02",
    "stock": "X14",
    "price": "X09",
    "address": "X22",
    "currency": "X33",
    "buyer": "X95",
    "test": "X95",
    "held": "X95",
}
_BY_FIELD = {  # which one it is when a step is refused because of a field; a mapping of that kind would let it go on
    "carrier": ("X36", "carrier"),
    "method": ("X21", "method"),
    "tracking": ("X37", ""),
    "currency": ("X33", ""),
    "total": ("X31", ""),
    "partial_acceptance": ("X26", ""),
}
_BY_STEP = {
    "accept_order": "X27",
    "create_shop_order": "X28",
    "set_seller_reference": "X28",
    "signal_on_order": "X28",
    "hold_shop_order": "X28",
    "release_shop_order": "X28",
    "cancel_shop_order": "X47",
    "ship_order": "X39",
    "ship_parcel": "X39",
    "correct_tracking": "X39",
}


def troubles(order: Order, channel: Channel) -> dict[str, ExceptionOpened]:
    """Key -> exception; without those that a person has settled elsewhere."""
    found = (
        *_of_acceptance(order, channel),
        *_of_creation(order, channel),
        *_of_the_parcel(order, channel),
        *_of_the_state(order, channel),
    )
    return {trouble.key: trouble for trouble in (*found, *_of_steps(order, channel)) if trouble.key not in order.steps.settled}


def _of_steps(order: Order, channel: Channel) -> Iterator[ExceptionOpened]:
    """Steps that were refused and are called for all the same."""
    called_for = {step_of(command) for command in wanted(order, channel)}
    for step, refusal in order.steps.refused.items():
        if step not in called_for:
            continue
        tag = step.partition(":")[0]
        code, kind = _sorted(tag, refusal)
        yield opened(
            code,
            order.stream,
            f"{tag.replace('_', ' ')} of {order.order_id}: {refusal.detail}",
            part=step,
            field=refusal.field,
            deadline=order.terms.ship_by if order.terms else None,
            at_stake=order.total,
            waits_for=f"{kind}:{order.channel}:{refusal.word}" if kind and refusal.word else "",
        )


def _sorted(tag: str, refusal: Refusal) -> tuple[str, str]:
    """The kind of exception, and the kind of mapping that would heal it."""
    if refusal.buried:
        return "X84", ""
    if refusal.field.endswith(".sku"):
        return "X01", "sku"
    return _BY_FIELD.get(refusal.field, (_BY_STEP.get(tag, "X28"), ""))


def _of_acceptance(order: Order, channel: Channel) -> Iterator[ExceptionOpened]:
    decided, by = decision(order, channel), accept_by(order, channel.rules)
    if decided is not None and decided.outcome == "hold":
        against = [verdict for verdict in decided.lines if not verdict.take]
        for rule in dict.fromkeys(verdict.rule for verdict in against):
            details = list(dict.fromkeys(verdict.detail for verdict in against if verdict.rule == rule))
            unknown = [
                line.sku for line in order.wanted if line.line_id in {verdict.line_id for verdict in against if verdict.rule == "sku"}
            ]
            yield opened(
                _BY_RULE.get(rule, "X26"),
                order.stream,
                f"order {order.order_id} waits for a decision: {'; '.join(details)}",
                part="accept_order",
                deadline=by,
                at_stake=order.total,
                waits_for=f"sku:{order.channel}:{unknown[0]}" if rule == "sku" else "",
            )
    warned = by is not None and reached(order, by - hours(channel.rules.accept_warning_hours))
    if order.waits_for_acceptance and not channel.platform.automatic and warned and (decided is None or decided.outcome == "hold"):
        why = "Shopify has not been read" if decided is None else "it is held"
        yield opened("X24", order.stream, f"order {order.order_id} is not accepted yet: {why}", deadline=by, at_stake=order.total)


def _of_creation(order: Order, channel: Channel) -> Iterator[ExceptionOpened]:
    if order.shippable and order.shop_order is None and (why := withheld(order, channel)):
        yield opened(
            _why_withheld(order, channel),
            order.stream,
            f"order {order.order_id} is not brought into Shopify: {why}",
            part="create_shop_order",
            deadline=order.terms.ship_by if order.terms else None,
            at_stake=order.total,
        )
    due = orphaned(order, channel)
    if due is not None and reached(order, due):
        why = "its address is not known" if not order.address_given else "see what was asked of Shopify"
        yield opened(
            "X34",
            order.stream,
            f"order {order.order_id} is to be shipped, and does not stand in Shopify: {why}",
            deadline=order.terms.ship_by if order.terms else None,
            at_stake=order.total,
        )
    if totals_differ(order) and not order.cleared:
        yield opened(
            "X31",
            order.stream,
            f"{order.shop_name} in Shopify comes to {order.shop_total}, order {order.order_id} to {order.total}",
            field="total",
            at_stake=_gap(order.shop_total, order.total),
        )
    if edited(order) and order.shop_cancelled_at is None and order.state not in GONE and not order.cleared:
        yield opened("X94", order.stream, f"{order.shop_name} holds more in Shopify than was sold", at_stake=order.total)
    due = taken_off(order, channel)
    if due is not None and reached(order, due):
        lines = ", ".join(f"{units} of line {line}" for line, units in order.taken_off.items())
        summary = (
            f"{order.shop_name} was edited in Shopify: {lines} taken off, and the marketplace was told nothing. "
            "Put them back; then refund there what is not to leave"
        )
        yield opened(
            "X94", order.stream, summary, part="units", deadline=order.terms.ship_by if order.terms else None, at_stake=order.total
        )
    if order.shop_address_moved and order.state not in GONE:
        yield opened("X94", order.stream, f"{order.shop_name} goes to another address than the marketplace gave", part="address")


def _why_withheld(order: Order, channel: Channel) -> str:
    if order.lacks or order.po_box or (channel.rules.countries and order.country_code not in channel.rules.countries):
        return "X22" if not order.held else "X95"
    if order.held or order.flagged or (order.terms and order.terms.test):
        return "X95"
    if order.terms and channel.rules.currency and order.terms.currency != channel.rules.currency:
        return "X33"
    return "X31"


def _gap(one: Money | None, other: Money | None) -> Money | None:
    return None if one is None or other is None or one.currency != other.currency else Money(abs(one.minor - other.minor), one.currency)


def _of_the_parcel(order: Order, channel: Channel) -> Iterator[ExceptionOpened]:
    terms = order.terms
    ship_by = terms.ship_by if terms else None
    for fulfilment, since in untracked_since(order, channel).items():
        if reached(order, since):
            yield opened(
                "X37",
                order.stream,
                f"a parcel of {order.shop_name} has no tracking number",
                part=fulfilment,
                field="tracking",
                deadline=ship_by,
                at_stake=order.total,
            )
    if late(order, channel):
        yield opened("X41", order.stream, f"order {order.order_id} has not left", deadline=ship_by, at_stake=order.total)
    by_hand = order.state in GONE and order.shop_order is not None and not order.shipped
    if by_hand and not order.called_off and not order.left_the_house and not any(parcel.told for parcel in order.parcels.values()):
        if order.shop_cancelled_at is None:
            yield opened("X42", order.stream, f"order {order.order_id} left, says the marketplace; {order.shop_name} is open in Shopify")
    elif order.left_untracked and channel.platform.multi_shipment and (numbers := _numbers(order)):
        summary = f"order {order.order_id} was dispatched on the marketplace by hand and without its number: {numbers}"
        yield opened("X42", order.stream, summary, part="tracking", field="tracking")
    elif too_many := overpacked(order):
        lines = ", ".join(f"{units} of line {line}" for line, units in too_many.items())
        if not order.dead:
            yield opened("X43", order.stream, f"{order.shop_name} has parcels with more than is owed: {lines}")
    for fulfilment, parcel in order.parcels.items():
        if parcel.status not in FULFILMENT_STATUSES:
            summary = f"a parcel of {order.shop_name} is in a state nobody has told us about, {parcel.status}"
            yield opened("X80", order.stream, summary, part=fulfilment, field="status", deadline=ship_by, at_stake=order.total)
        if parcel.told and parcel.status == "CANCELLED":
            yield opened(
                "X44",
                order.stream,
                f"a parcel of {order.shop_name} was cancelled in Shopify; the channel knows it as sent",
                part=fulfilment,
            )
    if order.called_off and confirmed(order) and order.shop_cancelled_at is None:
        yield opened(
            "X47",
            order.stream,
            f"order {order.order_id} was given up on the marketplace, and is packed",
            at_stake=order.total,
        )
    due = unreceived(order, channel)
    if due is not None and reached(order, due):
        yield opened("X45", order.stream, f"order {order.order_id} was not received since it left", at_stake=order.total)


def _numbers(order: Order) -> str:
    return ", ".join(parcel.tracking_number for parcel in confirmed(order).values() if parcel.tracking_number)


def _of_the_state(order: Order, channel: Channel) -> Iterator[ExceptionOpened]:
    if order.odd_state:
        summary = f"order {order.order_id} is in a state nobody has told us about, {order.odd_state}: everything about it is held"
        yield opened("X80", order.stream, summary, field="order_state")
    due = debit_late(order, channel)
    if due is not None and reached(order, due):
        yield opened("X25", order.stream, f"the payment of order {order.order_id} is not through", at_stake=order.total)
    if order.incident:
        held = " The warehouse waits." if warehouse_waits(order) else ""
        yield opened("X60", order.stream, f"an incident is open on order {order.order_id}.{held}", at_stake=order.total)
    due = unanswered(order, channel)
    if due is not None and reached(order, due):
        yield opened("X61", order.stream, f"the buyer of order {order.order_id} has written")
