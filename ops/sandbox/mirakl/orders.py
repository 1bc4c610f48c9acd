"""An order's way: checked, accepted, debited, shipped, received, closed; by the seller's word, the operator's, or by itself.

Lines have states; the order's own sums them up.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.chance import digits, happens, whole
from ops.sandbox.mirakl import carriers, ledger, offers
from ops.sandbox.mirakl.registry import PICK_UP
from ops.sandbox.mirakl.sale import Line, Order
from ops.sandbox.mirakl.state import Account, RefusedError

WAY = (  # a line's states, in the order in which it goes through them
    *("STAGING", "WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT", "SHIPPING", "SHIPPED", "TO_COLLECT", "RECEIVED"),
    *("CLOSED", "REFUNDED"),
)
BEFORE_SHIPPING = ("WAITING_DEBIT", "WAITING_DEBIT_PAYMENT", "SHIPPING")
LEFT = ("SHIPPED", "TO_COLLECT", "RECEIVED")
DEBITED_LATER = ("PAY_ON_SHIPMENT", "PAY_ON_DELIVERY", "PAY_ON_DUE_DATE")


# ------------------------------------------------------------------------------------------------------------- what is there


def known(account: Account, order: str) -> Order:
    found = account.orders.get(order)
    if found is None or found.hidden or (found.state == "STAGING" and not account.switches.staging_shown):
        raise RefusedError(404, f"Order with identifier '{order}' not found")
    return found


def known_line(account: Account, line: str) -> tuple[Order, Line]:
    order = account.book.of_line.get(line)
    if order is None or account.orders[order].hidden:
        raise RefusedError(404, f"Order line with identifier '{line}' not found")
    found = known(account, order)
    return found, next(one for one in found.lines if one.id == line)


def expect(order: Order, doing: str, *states: str) -> None:
    if order.state not in states:
        wanted = " or ".join(f"'{state}'" for state in states)
        raise RefusedError(400, f"Cannot {doing} the order with id '{order.id}'. Its status must be {wanted} but it is '{order.state}'.")


def expect_ours(order: Order) -> None:
    if not order.ours:
        raise RefusedError(400, f"ORDER_FULFILLED_UNAUTHORIZED: the order with id '{order.id}' is fulfilled by '{order.centre}'")


# ------------------------------------------------------------------------------------------------------------ moving along


def move(lines: Iterable[Line], state: str, at: datetime, reason: str | None = None) -> None:
    for line in lines:
        line.state, line.reason, line.updated_at = state, reason or line.reason, at


def settle(account: Account, order: Order, at: datetime) -> None:
    """The order's state follows from its lines: that of the one which is furthest behind, the dead ones left out."""
    alive = order.alive
    if alive:
        order_state = min((line.state for line in alive), key=WAY.index)
        order_state = "CLOSED" if order_state == "REFUNDED" else order_state
    else:
        order_state = "CANCELED" if any(line.state == "CANCELED" for line in order.lines) else "REFUSED"
        order.reason = next((line.reason for line in order.lines if line.state == order_state), None)
    was = order.state
    account.book.move(order, order_state)
    account.book.touch(order, at)
    if order_state != was:
        _entered(account, order, at)
        ledger.entered(account, order, at)


def _entered(account: Account, order: Order, at: datetime) -> None:
    """What follows by itself from the state that an order has just come to. Of several parcels, each is on its way for itself."""
    switches, agenda = account.switches, account.agenda
    match order.state:
        case "SHIPPED" if not order.shipments:
            if order.workflow == "PAY_ON_SHIPMENT" and order.debited_at is None:
                ask_for_debit(account, order, at)
            if order.shipping_type == PICK_UP:
                agenda.put(at + timedelta(hours=switches.collect_hours), "collect", order.id)
            agenda.put(at + timedelta(hours=switches.receive_hours), "receive", order.id)
        case "RECEIVED":
            if order.debited_at is None and order.workflow == "PAY_ON_DELIVERY":
                ask_for_debit(account, order, at)
            elif order.debited_at is None and order.workflow == "PAY_ON_DUE_DATE" and not switches.debits_stuck:
                agenda.put(at + timedelta(days=switches.payment_days), "debit", order.id)
            agenda.put(at + timedelta(hours=switches.close_hours), "close", order.id)


def advance_all(account: Account, order: Order, state: str, at: datetime) -> None:
    """Those of its lines that still live and are not further on already."""
    move([line for line in order.alive if WAY.index(line.state) < WAY.index(state)], state, at)
    settle(account, order, at)


def lower(account: Account, order: Order, at: datetime) -> None:
    for line in order.alive:
        line.lowered = offers.take(account, line.offer_sku, line.quantity, at, f"order {order.id}")


def give_back(account: Account, line: Line, units: int, at: datetime, *, wanted: bool) -> None:
    """The offer rises again by what this line had lowered it, where the marketplace does that."""
    back = min(units, line.lowered)
    if wanted:
        offers.give_back(account, line.offer_sku, back, at, f"line {line.id} given back")
    line.lowered -= back


# ------------------------------------------------------------------------------------------------- staging and acceptance


def begin(account: Account, order: Order, at: datetime) -> None:
    if account.switches.quantity_falls == "creation":
        lower(account, order, at)
    if order.state == "STAGING":
        account.agenda.put(at + timedelta(seconds=account.switches.staging_seconds), "release", order.id)
    else:
        _wait_for_acceptance(account, order, at)


def _wait_for_acceptance(account: Account, order: Order, at: datetime) -> None:
    switches = account.switches
    by_itself = switches.acceptance == "AUTOMATIC" or not order.ours
    if switches.acceptance == "BOTH":
        by_itself = by_itself or happens(account.seed, switches.automatic_share, "accepted automatically", order.number)
    if by_itself:
        accepted(account, order, at)
    else:
        account.agenda.put(at + timedelta(hours=switches.acceptance_hours), "acceptance_timeout", order.id)


def release_staging(account: Account, order_id: str, at: datetime) -> None:
    """The operator's check is passed."""
    order = account.orders[order_id]
    expect(order, "release", "STAGING")
    advance_all(account, order, "WAITING_ACCEPTANCE", at)
    _wait_for_acceptance(account, order, at)


def refuse_staging(account: Account, order_id: str, at: datetime) -> None:
    """The operator's check is not passed: the order never was."""
    order = account.orders[order_id]
    expect(order, "refuse", "STAGING")
    cancel_all(account, order, "FRAUD", at)


def accept(account: Account, order_id: str, decisions: list[dict[str, Any]], at: datetime) -> None:
    """OR21: a decision for each waiting line, all units of it or none."""
    order = known(account, order_id)
    expect_ours(order)
    if order.state != "WAITING_ACCEPTANCE":
        raise RefusedError(400, f"ORDER_INVALID_STATE: the order with id '{order.id}' is '{order.state}'")
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
    _refuse(account, [line for line in waiting.values() if not decided[line.id]], "REFUSED", at)
    if any(decided.values()):
        accepted(account, order, at)
    else:
        settle(account, order, at)


def _refuse(account: Account, lines: list[Line], reason: str, at: datetime) -> None:
    move(lines, "REFUSED", at, reason)
    for line in lines:
        give_back(account, line, line.quantity, at, wanted=account.switches.quantity_returns)


def accepted(account: Account, order: Order, at: datetime) -> None:
    if account.switches.quantity_falls == "acceptance":
        lower(account, order, at)
    if order.workflow == "PAY_ON_ACCEPTANCE":
        advance_all(account, order, "WAITING_DEBIT", at)
        ask_for_debit(account, order, at)
    else:
        _to_shipping(account, order, at)


def _to_shipping(account: Account, order: Order, at: datetime) -> None:
    order.shipping_at = at
    advance_all(account, order, "SHIPPING", at)
    if not order.ours:  # the operator's own warehouse sees to it
        account.agenda.put(at + timedelta(hours=account.switches.ship_hours / 2), "centre_ships", order.id)


# ------------------------------------------------------------------------------------------------------------ the debit


def ask_for_debit(account: Account, order: Order, at: datetime) -> None:
    if not account.switches.debits_stuck:
        account.agenda.put(at + timedelta(seconds=account.switches.debit_delay), "debit", order.id)


def refuse_debit(account: Account, order_id: str, at: datetime) -> None:
    """The customer's bank says no: an order that has not left is cancelled."""
    order = account.orders[order_id]
    if order.debited_at is not None or order.workflow == "NO_CUSTOMER_PAYMENT_CONFIRMATION":
        raise RefusedError(400, f"The order with id '{order.id}' has no debit under way")
    account.agenda.drop("debit", order.id)
    account.agenda.drop("pay", order.id)
    order.refusals += 1
    if order.state in BEFORE_SHIPPING and order.workflow == "PAY_ON_ACCEPTANCE":
        cancel_all(account, order, "DEBIT_REFUSED", at)
    else:
        account.book.touch(order, at)


def debited(account: Account, order: Order, at: datetime) -> None:
    """The customer has paid for what is left of the order."""
    seed = account.seed
    order.debited_at = at + timedelta(milliseconds=whole(seed, 0, 999, "debited", order.number))
    order.paid = sum(line.total for line in order.alive)
    order.transaction = f"TX{digits(seed, 10, 'debit', order.number)}"
    for line in order.alive:
        line.debited_at = order.debited_at
    account.book.paid(order)
    ledger.debited(account, order, at)


def confirm_debit(account: Account, order_id: str, at: datetime) -> None:
    """The payment has come in, however long it was stuck."""
    order = account.orders[order_id]
    expect(order, "confirm the debit of", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT")
    debited(account, order, at)
    _to_shipping(account, order, at)


# ---------------------------------------------------------------------------------------------------------- cancelation


def cancel_all(account: Account, order: Order, reason: str, at: datetime) -> None:
    """What has not left is not going to; prices and quantities stay as they were."""
    lines = [line for line in order.alive if line.state not in LEFT and line.state != "CLOSED"]
    move(lines, "CANCELED", at, reason)
    for line in lines:
        give_back(account, line, line.quantity, at, wanted=account.switches.quantity_returns)
    settle(account, order, at)


# ------------------------------------------------------------------------------------------------------- the seller's word


def track(account: Account, order_id: str, wanted: dict[str, Any], at: datetime) -> None:
    """OR23: who carries it and under which number. Changes no state."""
    order = known(account, order_id)
    expect_ours(order)
    expect(order, "update the tracking of", "SHIPPING", *LEFT)
    order.tracking = carriers.read(account, wanted, url="carrier_url", is_one_of="the order")
    account.book.touch(order, at)


def ship_all(account: Account, order: Order, at: datetime) -> None:
    """All of it has left, in one parcel that nobody describes."""
    for line in order.alive:
        if line.state == "SHIPPING":
            line.shipped += line.to_ship
            line.shipped_at = line.shipped_at or at
    advance_all(account, order, "SHIPPED", at)


def receive(account: Account, order_id: str, at: datetime) -> None:
    """The customer, the carrier or the operator says that all of it has arrived."""
    order = account.orders[order_id]
    expect(order, "receive", "SHIPPED", "TO_COLLECT")
    for number in order.shipments:
        shipment = account.shipments[number]
        if shipment.state in ("SHIPPED", "TO_COLLECT"):
            shipment.state, shipment.updated_at = "RECEIVED", at
    for line in order.alive:
        if line.state in ("SHIPPED", "TO_COLLECT"):
            line.received_at = at
    advance_all(account, order, "RECEIVED", at)


def close(account: Account, order_id: str, at: datetime) -> None:
    order = account.orders[order_id]
    expect(order, "close", "RECEIVED")
    advance_all(account, order, "CLOSED", at)
    for number in order.shipments:
        shipment = account.shipments[number]
        if shipment.state == "RECEIVED":
            shipment.state, shipment.updated_at = "CLOSED", at


# ----------------------------------------------------------------------------------------------------------- seen or not


def hide(account: Account, order_id: str, hidden: bool, at: datetime) -> None:
    """A soft deletion, or the end of it: the order is gone from every answer, and comes back as if changed."""
    order = account.orders[order_id]
    account.book.hide(order, hidden)
    account.book.touch(order, at)


# ------------------------------------------------------------------------------------------------------ what falls due


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    """What was planned happens if it still can: nobody takes it off the agenda when the order goes another way."""
    order, switches = account.orders[ref], account.switches
    match what, order.state:
        case "release", "STAGING":
            release_staging(account, order.id, at)
        case "acceptance_timeout", "WAITING_ACCEPTANCE":
            _refuse(account, order.alive, "ACCEPTANCE_TIMEOUT", at)
            settle(account, order, at)
        case "debit", _ if order.alive and order.debited_at is None:
            if order.state == "WAITING_DEBIT":
                advance_all(account, order, "WAITING_DEBIT_PAYMENT", at)
            account.agenda.put(at + timedelta(seconds=switches.payment_delay), "pay", order.id)
        case "pay", _ if order.alive and order.debited_at is None:
            if happens(account.seed, switches.debits_refused, "debit refused", order.number):
                refuse_debit(account, order.id, at)
            elif order.state == "WAITING_DEBIT_PAYMENT":
                debited(account, order, at)
                _to_shipping(account, order, at)
            else:
                debited(account, order, at)
                account.book.touch(order, at)
        case "centre_ships", "SHIPPING":
            ship_all(account, order, at)
        case "collect", "SHIPPED":
            advance_all(account, order, "TO_COLLECT", at)
        case "receive", "SHIPPED" | "TO_COLLECT":
            receive(account, order.id, at)
        case "close", "RECEIVED" if not (switches.incident_holds and any(line.incident for line in order.lines)):
            close(account, order.id, at)
