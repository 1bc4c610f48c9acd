"""Orders on the marketplace: placed by buyers, accepted, tracked and shipped by the seller, debited, received and closed by themselves."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import convert

from ops.sandbox.chance import choose, happens, whole
from ops.sandbox.mirakl.registry import SHIPPING_TYPES
from ops.sandbox.mirakl.sale import Line, Order, Tax, Tracking
from ops.sandbox.mirakl.state import Account, RefusedError
from ops.sandbox.money import share, tax_within
from ops.sandbox.people import Person

SHIPPING_PRICES = (0, 0, 295, 350, 499, 599)
TAX_RATES = (Decimal(20), Decimal(20), Decimal(20), Decimal(0), Decimal(5))  # percent; most of it standard rate
COMMISSION, COMMISSION_TAX = Decimal("0.2"), Decimal("0.2")
NUMBERINGS = ("{n:09d}", "ASOS-{n:06d}", "{n:04d}-XK-{n:05d}", "D{n:08d}")  # commercial ids can hold dashes themselves


# ---------------------------------------------------------------------------------------------------------------- placing


def place(account: Account, lines: list[tuple[str, int]], buyer: dict[str, Any], at: datetime) -> str:
    """A buyer has ordered these offers, each line its own SKU and quantity. Only what is shown can be bought."""
    wanted: dict[str, int] = {}
    for sku, quantity in lines:
        wanted[sku] = wanted.get(sku, 0) + quantity
    for sku, quantity in wanted.items():
        if sku not in account.offers or account.offers[sku].quantity < quantity:
            raise RefusedError(409, f"{quantity} of {sku} are not on offer")
    account.last_order += 1
    seed, number = account.seed, account.last_order
    commercial = choose(seed, NUMBERINGS, "numbering", number).format(n=1000 + number)
    order = Order(
        id=f"{commercial}-A",
        commercial_id=commercial,
        number=number,
        state="WAITING_ACCEPTANCE",
        created_at=at,
        updated_at=at,
        shipping_deadline=at + timedelta(hours=account.switches.ship_hours),
        currency=account.currency,
        buyer=convert(buyer, Person),
        lines=[],
        shipping_type=choose(seed, list(SHIPPING_TYPES), "shipping type", number),
    )
    for index, (sku, quantity) in enumerate(lines, 1):
        order.lines.append(_line(account, order, index, sku, quantity))
    account.orders[order.id] = order
    if account.switches.quantity_falls == "creation":
        _lower(account, order)
    if account.switches.acceptance == "AUTOMATIC":
        _accepted(account, order, at)
    else:
        account.agenda.put(at + timedelta(hours=account.switches.acceptance_hours), "acceptance_timeout", order.id)
    return order.id


def _line(account: Account, order: Order, index: int, sku: str, quantity: int) -> Line:
    seed, offer, n = account.seed, account.offers[sku], order.number
    rate = choose(seed, TAX_RATES, "tax", n, index)
    shipping = choose(seed, SHIPPING_PRICES, "shipping", n) if index == 1 else 0
    price = offer.price * quantity
    commission = share(price + shipping, COMMISSION)
    long = happens(seed, 0.3, "line id", n)
    return Line(
        id=str(10**23 + n * 10**6 + index) if long else f"{order.id}-{index}",
        index=index,
        offer_id=offer.id,
        offer_sku=sku,
        product_sku=offer.product_sku,
        title=offer.title,
        category=offer.category,
        quantity=quantity,
        unit_price=offer.price,
        price=price,
        shipping_price=shipping,
        taxes=_taxes(price, rate),
        shipping_taxes=_taxes(shipping, rate),
        commission=commission,
        commission_tax=share(commission, COMMISSION_TAX),
        commission_rate="20.0",
        state=order.state,
        created_at=order.created_at,
        updated_at=order.created_at,
    )


def _taxes(price: int, rate: Decimal) -> list[Tax]:
    return [Tax("GB-VAT", tax_within(price, rate / 100), f"{rate}")] if price and rate else []


def _lower(account: Account, order: Order) -> None:
    for line in order.lines:
        if line.state != "REFUSED":
            offer = account.offers[line.offer_sku]
            line.lowered = min(line.quantity, offer.quantity)
            offer.quantity -= line.lowered
            account.moved.append((offer.sku, f"order {order.id}"))


def _give_back(account: Account, line: Line) -> None:
    if account.switches.quantity_returns:
        account.offers[line.offer_sku].quantity += line.lowered
        account.moved.append((line.offer_sku, f"refused line {line.id}"))
    line.lowered = 0


# ------------------------------------------------------------------------------------------------------- the seller's word


def known(account: Account, order: str) -> Order:
    if order not in account.orders:
        raise RefusedError(404, f"Order with identifier '{order}' not found")
    return account.orders[order]


def _expect(order: Order, doing: str, *states: str) -> None:
    if order.state not in states:
        wanted = " or ".join(f"'{state}'" for state in states)
        raise RefusedError(400, f"Cannot {doing} the order with id '{order.id}'. Its status must be {wanted} but it is '{order.state}'.")


def accept(account: Account, order_id: str, decisions: list[dict[str, Any]], at: datetime) -> None:
    """OR21: a decision for each waiting line, all units of it or none."""
    order = known(account, order_id)
    _expect(order, "accept or refuse lines of", "WAITING_ACCEPTANCE")
    decided = {decision["id"]: bool(decision["accepted"]) for decision in decisions}
    waiting = {line.id: line for line in order.lines if line.state == "WAITING_ACCEPTANCE"}
    if len(decided) != len(decisions):
        raise RefusedError(400, "ORDER_LINE_DUPLICATE_ID: the order lines list contains duplicate order line IDs")
    if unknown := sorted(decided.keys() - waiting.keys()):
        raise RefusedError(400, f"ORDER_LINE_NOT_FOUND: {', '.join(unknown)} of order {order.id}")
    if missing := sorted(waiting.keys() - decided.keys()):
        raise RefusedError(400, f"ORDER_LINE_ACCEPTANCE_DECISION_MISSING: {', '.join(missing)} of order {order.id}")
    if len(set(decided.values())) > 1 and not account.switches.partial_acceptance:
        raise RefusedError(400, "ORDER_PARTIAL_ACCEPTANCE_DISABLED: all lines must be accepted or refused together")
    order.accepted_at = at
    account.agenda.drop("acceptance_timeout", order.id)
    for number, line in waiting.items():
        if not decided[number]:
            _refuse(account, line, "REFUSED", at)
    if any(decided.values()):
        _accepted(account, order, at)
    else:
        order.state, order.reason, order.updated_at = "REFUSED", "REFUSED", at


def _refuse(account: Account, line: Line, reason: str, at: datetime) -> None:
    line.state, line.reason, line.updated_at = "REFUSED", reason, at
    _give_back(account, line)


def _accepted(account: Account, order: Order, at: datetime) -> None:
    if account.switches.quantity_falls == "acceptance":
        _lower(account, order)
    _move(order, "WAITING_DEBIT", at)
    account.agenda.put(at + timedelta(seconds=account.switches.debit_delay), "debit", order.id)


def _move(order: Order, state: str, at: datetime) -> None:
    """The order and those of its lines that still live."""
    order.state, order.updated_at = state, at
    for line in order.lines:
        if line.state not in ("REFUSED", "CANCELED"):
            line.state, line.updated_at = state, at


def set_reference(account: Account, order_id: str, reference: str, at: datetime) -> None:
    """OR04: the seller's own number for the order."""
    order = known(account, order_id)
    if order.seller_reference != reference:
        order.seller_reference, order.updated_at = reference, at


def track(account: Account, order_id: str, wanted: dict[str, Any], at: datetime) -> None:
    """OR23: who carries it and under which number. Changes no state."""
    order = known(account, order_id)
    _expect(order, "update the tracking of", "SHIPPING", "SHIPPED", "TO_COLLECT", "RECEIVED")
    tracking = Tracking(
        wanted.get("carrier_code"),
        wanted.get("carrier_name"),
        wanted.get("carrier_standard_code"),
        wanted.get("carrier_url"),
        wanted.get("tracking_number"),
    )
    if tracking.carrier_code:
        carrier = next((carrier for carrier in account.carriers if carrier.code == tracking.carrier_code), None)
        if carrier is None:
            raise RefusedError(400, f"Carrier with code '{tracking.carrier_code}' not found")
        if carrier.tracking_url and "{trackingId}" in carrier.tracking_url and not tracking.number:
            raise RefusedError(400, f"The tracking number is mandatory for the carrier '{carrier.code}'")
        tracking.carrier_name = carrier.label
        tracking.url = carrier.tracking_url and carrier.tracking_url.replace("{trackingId}", tracking.number or "")
    elif not tracking.carrier_name:
        raise RefusedError(400, "Either the carrier code or the carrier name is mandatory")
    elif not account.switches.alternative_carriers:
        raise RefusedError(400, "The carrier must be one of the marketplace's")
    order.tracking, order.updated_at = tracking, at


def ship(account: Account, order_id: str, at: datetime) -> None:
    """OR24: the whole order has left, whatever was in the parcel."""
    order = known(account, order_id)
    _expect(order, "ship", "SHIPPING")
    if account.switches.mandatory_tracking and not order.tracking.number:
        raise RefusedError(400, f"Tracking information is mandatory to ship the order with id '{order.id}'")
    _move(order, "SHIPPED", at)
    for line in order.lines:
        if line.state == "SHIPPED":
            line.shipped_at = at
    account.agenda.put(at + timedelta(hours=account.switches.receive_hours), "receive", order.id)


# ------------------------------------------------------------------------------------------------------ what falls due


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    order = account.orders[ref]
    match what, order.state:
        case "acceptance_timeout", "WAITING_ACCEPTANCE":
            for line in order.lines:
                _refuse(account, line, "ACCEPTANCE_TIMEOUT", at)
            order.state, order.reason, order.updated_at = "REFUSED", "ACCEPTANCE_TIMEOUT", at
        case "debit", "WAITING_DEBIT":
            _move(order, "WAITING_DEBIT_PAYMENT", at)
            account.agenda.put(at + timedelta(seconds=account.switches.payment_delay), "pay", order.id)
        case "pay", "WAITING_DEBIT_PAYMENT":
            _move(order, "SHIPPING", at)
            order.debited_at = at + timedelta(milliseconds=whole(account.seed, 0, 999, "debited", order.number))
            for line in order.lines:
                if line.state == "SHIPPING":
                    line.debited_at = at
        case "receive", "SHIPPED":
            _move(order, "RECEIVED", at)
            for line in order.lines:
                if line.state == "RECEIVED":
                    line.received_at = at
            account.agenda.put(at + timedelta(hours=account.switches.close_hours), "close", order.id)
        case "close", "RECEIVED":
            _move(order, "CLOSED", at)
