"""Parcels of an order, where the operator lets it leave in several: ST*.

Lists are answered item by item: what was refused stands beside what was done. Nothing asks whether a parcel was announced before.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.mirakl import carriers, ledger, orders
from ops.sandbox.mirakl.registry import BY_OPERATOR, PICK_UP, SHIPMENT_FIELDS, needs_tracking
from ops.sandbox.mirakl.sale import Line, Order, Shipment, Tracking
from ops.sandbox.mirakl.state import Account, RefusedError, identifier

Outcome = dict[str, list[Any]]  # "success": ids; "errors": what was refused, with its message
WAITS = ("SHIPPING", "READY_FOR_PICK_UP")  # to be handed over
UNDER_WAY = ("SHIPPED", "TO_COLLECT")


def _expect_shipments(account: Account) -> None:
    if not account.switches.multi_shipment:
        raise RefusedError(404, "Not Found")


# ------------------------------------------------------------------------------------------------------------------- ST01


def create(account: Account, shipments: list[dict[str, Any]], at: datetime) -> Outcome:
    """ST01: each shipment for itself. Created is not shipped, unless it says so."""
    _expect_shipments(account)
    for asked in shipments:
        if not re.fullmatch(r"[0-9a-zA-Z_-]*", asked.get("invoice_reference") or ""):
            raise RefusedError(400, "Validation failed for the body.shipments.invoice_reference: it must match [0-9a-zA-Z_-]*")
    outcome: Outcome = {"success": [], "errors": []}
    for asked in shipments:
        try:
            outcome["success"].append(_create(account, asked, at).id)
        except RefusedError as refused:
            outcome["errors"].append({"order_id": asked["order_id"], "message": str(refused)})
    return outcome


def _create(account: Account, asked: dict[str, Any], at: datetime) -> Shipment:
    order = orders.known(account, asked["order_id"])
    orders.expect_ours(order)
    if order.state != "SHIPPING":
        raise RefusedError(400, f"The order status must be 'SHIPPING' but it is '{order.state}'.")
    units, packages = _units(order, asked["shipment_lines"])
    leaves = bool(asked.get("shipped"))
    tracking = _tracking(account, asked.get("tracking") or {})
    if leaves:
        _expect_tracking(account, order, tracking)
    warehouse = ((asked.get("shipping_from") or {}).get("warehouse") or {}).get("code")
    _expect_warehouse(account, warehouse)
    information = _information(asked.get("shipment_additional_information") or [])
    shipment = _pack(account, order, units, tracking, at)
    shipment.invoice_reference, shipment.warehouse = asked.get("invoice_reference"), warehouse
    shipment.packages, shipment.information = packages, information
    if leaves:
        _hand_over(account, order, shipment, at)
    return shipment


def _units(order: Order, listed: list[dict[str, Any]]) -> tuple[dict[str, int], dict[str, str]]:
    """Units and packages by order line. Raises RefusedError where a line is not one to be shipped, or too many of it."""
    by_id = {line.id: line for line in order.lines}
    units: dict[str, int] = {}
    packages: dict[str, str] = {}
    for one in listed:
        line = by_id.get(one["order_line_id"]) if one.get("order_line_id") else _by_sku(order, one.get("offer_sku"))
        if line is None:
            raise RefusedError(400, f"The order line '{one.get('order_line_id') or one.get('offer_sku')}' does not exist in the order")
        units[line.id] = units.get(line.id, 0) + one["quantity"]
        if one.get("package_reference"):
            packages[line.id] = one["package_reference"]
    for number, quantity in units.items():
        line = by_id[number]
        left = line.to_ship if line.state == "SHIPPING" else 0
        if quantity > left:
            raise RefusedError(400, f"The quantity {quantity} of the order line '{line.id}' exceeds the quantity to ship {left}")
    return units, packages


def _by_sku(order: Order, sku: str | None) -> Line | None:
    """Two lines of one SKU cannot be told apart by it."""
    found = [line for line in order.lines if line.offer_sku == sku]
    if len(found) > 1:
        raise RefusedError(400, f"Several order lines have the offer SKU '{sku}', the order line id is mandatory")
    return found[0] if found else None


def _tracking(account: Account, asked: dict[str, Any]) -> Tracking:
    given = {name: value for name, value in asked.items() if value}
    return carriers.read(account, given, url="tracking_url", is_one_of="the shipment") if given else Tracking()


def _expect_tracking(account: Account, order: Order, tracking: Tracking) -> None:
    if needs_tracking(account.switches, order.shipping_type) and not tracking.number:
        raise RefusedError(400, f"Tracking information is mandatory for the shipping method '{order.shipping_type}'")


def _expect_warehouse(account: Account, code: str | None) -> None:
    if code and code not in account.switches.warehouses:
        raise RefusedError(400, f"The warehouse with code '{code}' does not exist")


def _information(listed: list[dict[str, Any]]) -> dict[str, tuple[str, object]]:
    for one in listed:
        if SHIPMENT_FIELDS.get(one["code"]) != one["type"]:
            raise RefusedError(400, f"The additional information '{one['code']}' of type '{one['type']}' does not exist")
    return {one["code"]: (one["type"], one["value"]) for one in listed}


def _pack(account: Account, order: Order, units: dict[str, int], tracking: Tracking, at: datetime) -> Shipment:
    """It holds its units from now on, and waits to be handed over."""
    number = account.last_shipment = account.last_shipment + 1
    shipment = Shipment(
        id=identifier(account.seed, "shipment", number),
        order_id=order.id,
        number=number,
        created_at=at,
        updated_at=at,
        state="SHIPPING",
        debit="NOT_STARTED" if order.workflow == "PAY_ON_SHIPMENT" else "NO_DEBIT",
        units=units,
        tracking=tracking,
    )
    for line in order.lines:
        line.prepared += units.get(line.id, 0)
    account.shipments[shipment.id] = shipment
    order.shipments.append(shipment.id)
    account.book.touch(order, at)
    return shipment


# ---------------------------------------------------------------------------------------------------- on their way


def _hand_over(account: Account, order: Order, shipment: Shipment, at: datetime) -> None:
    """The seller says that it has left. Where the debit is awaited first, it has not quite."""
    debit_awaited = order.workflow == "PAY_ON_SHIPMENT" and shipment.debit == "NOT_STARTED"
    if debit_awaited and not account.switches.debits_stuck:
        account.agenda.put(at + timedelta(seconds=account.switches.debit_delay), "shipment_debit", shipment.id)
    if debit_awaited and account.switches.prepared_until_debited:
        shipment.state, shipment.updated_at = "SHIPMENT_PREPARED", at
        account.book.touch(order, at)
    else:
        _left(account, order, shipment, at)


def _left(account: Account, order: Order, shipment: Shipment, at: datetime) -> None:
    shipment.state, shipment.shipped_at, shipment.updated_at = "SHIPPED", at, at
    if shipment.tracking != Tracking():
        order.tracking = shipment.tracking
    for line in order.lines:
        units = shipment.units.get(line.id, 0)
        line.prepared -= units
        line.shipped += units
        if units and line.state == "SHIPPING" and not line.to_ship and not line.prepared:
            orders.move([line], "SHIPPED", at)
            line.shipped_at = at
    if order.shipping_type == PICK_UP:
        account.agenda.put(at + timedelta(hours=account.switches.collect_hours), "shipment_collect", shipment.id)
    account.agenda.put(at + timedelta(hours=account.switches.receive_hours), "shipment_receive", shipment.id)
    orders.settle(account, order, at)


def ship_order(account: Account, order_id: str, at: datetime) -> None:
    """OR24: the whole order has left. What was packed goes as it was packed, all else in one parcel more."""
    order = orders.known(account, order_id)
    orders.expect_ours(order)
    orders.expect(order, "ship", "SHIPPING")
    _expect_tracking(account, order, order.tracking)
    _ship_all(account, order, at)


def _ship_all(account: Account, order: Order, at: datetime) -> None:
    if not account.switches.multi_shipment and not order.shipments:
        orders.ship_all(account, order, at)
        return
    for shipment in [account.shipments[number] for number in order.shipments]:
        if shipment.state in WAITS:
            _hand_over(account, order, shipment, at)
    units = {line.id: line.to_ship for line in order.alive if line.state == "SHIPPING" and line.to_ship}
    if units:
        known = any(account.shipments[number].tracking == order.tracking for number in order.shipments)  # then it is that parcel's
        _hand_over(account, order, _pack(account, order, units, Tracking() if known else order.tracking, at), at)


def ship_by_operator(account: Account, order_id: str, at: datetime) -> None:
    """In the back office, whoever fulfils it and whatever is known of the parcel."""
    order = account.orders[order_id]
    orders.expect(order, "ship", "SHIPPING")
    _ship_all(account, order, at)


def receive(account: Account, shipment_id: str, at: datetime) -> None:
    """One parcel has arrived."""
    shipment = account.shipments[shipment_id]
    _expect(shipment, "received", *UNDER_WAY)
    shipment.state, shipment.updated_at = "RECEIVED", at
    _follow(account, account.orders[shipment.order_id], "RECEIVED", at)


def _follow(account: Account, order: Order, state: str, at: datetime) -> None:
    """Lines all of whose parcels have come so far are there too."""
    parcels = [account.shipments[number] for number in order.shipments]
    behind = ("SHIPPING", "READY_FOR_PICK_UP", "SHIPMENT_PREPARED", "SHIPPED") + (("TO_COLLECT",) if state == "RECEIVED" else ())
    for line in order.alive:
        waits = any(parcel.state in behind for parcel in parcels if line.id in parcel.units)
        if line.state in UNDER_WAY and orders.WAY.index(line.state) < orders.WAY.index(state) and not waits:
            orders.move([line], state, at)
            line.received_at = at if state == "RECEIVED" else None
    orders.settle(account, order, at)


def _debited(account: Account, order: Order, shipment: Shipment, at: datetime) -> None:
    shipment.debit, shipment.debited_at, shipment.updated_at = "DEBIT_OK", at, at
    if shipment.state == "SHIPMENT_PREPARED":
        _left(account, order, shipment, at)
    parcels = [account.shipments[number] for number in order.shipments]
    for line in order.alive:
        all_paid = all(parcel.debit == "DEBIT_OK" for parcel in parcels if line.id in parcel.units)
        if line.state in (*orders.LEFT, "CLOSED") and line.debited_at is None and all_paid:
            line.debited_at = at
    order.paid = sum(line.total for line in order.alive if line.debited_at)
    if order.debited_at is None and all(line.debited_at for line in order.alive):
        order.debited_at = at
        account.book.paid(order)
    ledger.debited(account, order, at)
    account.book.touch(order, at)


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    shipment = account.shipments.get(ref)
    if shipment is None:
        return
    order = account.orders[shipment.order_id]
    match what, shipment.state, shipment.debit:
        case "shipment_collect", "SHIPPED", _:
            shipment.state, shipment.updated_at = "TO_COLLECT", at
            _follow(account, order, "TO_COLLECT", at)
        case "shipment_receive", "SHIPPED" | "TO_COLLECT", _:
            receive(account, shipment.id, at)
        case "shipment_debit", _, "NOT_STARTED":
            shipment.debit, shipment.updated_at = "WAITING_DEBIT_CONFIRMATION", at
            account.agenda.put(at + timedelta(seconds=account.switches.payment_delay), "shipment_debit", shipment.id)
        case "shipment_debit", _, "WAITING_DEBIT_CONFIRMATION":
            _debited(account, order, shipment, at)


# ------------------------------------------------------------------------------------------------------- the other calls


def _each(account: Account, listed: list[dict[str, Any]], act: Callable[[Order, Shipment, dict[str, Any]], None], at: datetime) -> Outcome:
    """Each shipment of the list for itself."""
    _expect_shipments(account)
    outcome: Outcome = {"success": [], "errors": []}
    for asked in listed:
        shipment = account.shipments.get(asked["id"])
        try:
            if shipment is None or account.orders[shipment.order_id].hidden:
                raise RefusedError(404, f"Shipment with identifier '{asked['id']}' not found")
            order = account.orders[shipment.order_id]
            act(order, shipment, asked)
            if shipment.id in account.shipments:
                shipment.updated_at = at
            outcome["success"].append(asked["id"])
        except RefusedError as refused:
            outcome["errors"].append({"id": asked["id"], "message": str(refused)})
    return outcome


def _expect(shipment: Shipment, doing: str, *states: str) -> None:
    if shipment.state not in states:
        wanted = " or ".join(f"'{state}'" for state in states)
        raise RefusedError(400, f"The shipment cannot be {doing}: its status must be {wanted} but it is '{shipment.state}'.")


def track(account: Account, shipments: list[dict[str, Any]], at: datetime) -> Outcome:
    """ST23: another carrier or number, also when it has left."""

    def act(order: Order, shipment: Shipment, asked: dict[str, Any]) -> None:
        _expect(shipment, "tracked", *WAITS, "SHIPMENT_PREPARED", *orders.LEFT)
        shipment.tracking = _tracking(account, asked["tracking"])
        if shipment.state not in WAITS:
            order.tracking = shipment.tracking
        account.book.touch(order, at)

    return _each(account, shipments, act, at)


def hand_over(account: Account, shipments: list[dict[str, Any]], at: datetime) -> Outcome:
    """ST24: what was packed has left."""

    def act(order: Order, shipment: Shipment, asked: dict[str, Any]) -> None:
        _expect(shipment, "shipped", *WAITS)
        _expect_tracking(account, order, shipment.tracking)
        _hand_over(account, order, shipment, at)

    return _each(account, shipments, act, at)


def ready(account: Account, shipments: list[dict[str, Any]], at: datetime) -> Outcome:
    """ST26: the operator's carrier may come."""

    def act(order: Order, shipment: Shipment, asked: dict[str, Any]) -> None:
        _expect(shipment, "ready for pick-up", "SHIPPING")
        if order.shipping_type != BY_OPERATOR:
            raise RefusedError(400, f"The shipping method '{order.shipping_type}' is not delivered by the operator")
        shipment.state = "READY_FOR_PICK_UP"

    return _each(account, shipments, act, at)


def delete(account: Account, shipments: list[dict[str, Any]], at: datetime) -> Outcome:
    """ST06: what has not left is unpacked."""

    def act(order: Order, shipment: Shipment, asked: dict[str, Any]) -> None:
        _expect(shipment, "deleted", *WAITS)
        for line in order.lines:
            line.prepared -= shipment.units.get(line.id, 0)
        order.shipments.remove(shipment.id)
        del account.shipments[shipment.id]
        account.book.touch(order, at)

    return _each(account, shipments, act, at)


def set_origin(account: Account, shipments: list[dict[str, Any]], at: datetime) -> Outcome:
    """ST07: from which warehouse."""

    def act(order: Order, shipment: Shipment, asked: dict[str, Any]) -> None:
        _expect_warehouse(account, asked["shipping_from"]["warehouse"]["code"])
        shipment.warehouse = asked["shipping_from"]["warehouse"]["code"]

    return _each(account, shipments, act, at)


def inform(account: Account, shipments: list[dict[str, Any]], at: datetime) -> Outcome:
    """ST31: the operator's own fields of a shipment."""

    def act(order: Order, shipment: Shipment, asked: dict[str, Any]) -> None:
        shipment.information |= _information(asked["shipment_additional_information"])

    return _each(account, shipments, act, at)
