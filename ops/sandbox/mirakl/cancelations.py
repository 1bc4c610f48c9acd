"""Units and amounts that will neither be shipped nor paid: what a line shows is lowered by them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl import orders, refunds
from ops.sandbox.mirakl.amounts import Wanted, commission_on, is_paid_back, left, read_part, tax_of
from ops.sandbox.mirakl.registry import check_reason
from ops.sandbox.mirakl.sale import Cancelation, Fee, Line, Order, Origin, Tax
from ops.sandbox.mirakl.state import Account, RefusedError

BY_WORKFLOW = {  # states in which a shop may cancel a part, not debited
    **dict.fromkeys(orders.DEBITED_LATER, ("SHIPPING",)),
    "NO_CUSTOMER_PAYMENT_CONFIRMATION": ("SHIPPING",),
    "PAY_ON_ACCEPTANCE": (),
}


def can_cancel(order: Order) -> bool:
    """Whether OR29 would do it: nothing is paid, nothing has left."""
    gone = any(line.shipped or line.prepared for line in order.lines)
    return order.ours and order.state in orders.BEFORE_SHIPPING and order.debited_at is None and not gone


def cancel_order(account: Account, order_id: str, at: datetime, by: Origin = "seller", reason: str | None = None) -> None:
    """OR29, and what customer and operator do before the parcel leaves: all of it.

    The seller can while nothing is paid; a customer until it leaves; so can the operator, who pays back what was paid.
    """
    order = orders.known(account, order_id) if by == "seller" else account.orders[order_id]
    if by == "seller":
        orders.expect_ours(order)
        orders.expect(order, "cancel", *orders.BEFORE_SHIPPING)
        if not can_cancel(order):
            raise RefusedError(400, f"Cannot cancel the order with id '{order.id}': it has been debited")
    else:
        orders.expect(order, "cancel", "STAGING", "WAITING_ACCEPTANCE", *orders.BEFORE_SHIPPING)
        if any(line.shipped for line in order.lines):
            raise RefusedError(400, f"Cannot cancel the order with id '{order.id}': a part of it has left")
        _unpack(account, order, at)
        if order.debited_at is not None:
            for line in order.alive:
                if not is_paid_back(line):
                    refunds.by_operator(account, line.id, at, quantity=line.to_ship, excluded=True, reason="15")
            return
    if not account.switches.cancelled_keeps_prices:
        for line in order.alive:
            _cancel(account, line, left(line), reason or "CANCELED", by=by, at=at)
    orders.cancel_all(account, order, reason or "CANCELED", at)


def _unpack(account: Account, order: Order, at: datetime) -> None:
    """Shipments that wait to leave will not."""
    for number in order.shipments:
        shipment = account.shipments[number]
        if shipment.state in ("SHIPPING", "READY_FOR_PICK_UP"):
            shipment.state, shipment.updated_at = "CANCELED", at
            for line in order.lines:
                line.prepared -= shipment.units.get(line.id, 0)


def cancel(
    account: Account, cancelations: list[dict[str, Any]], order_tax_mode: str | None, at: datetime, by: Origin = "seller"
) -> list[str]:
    """OR30: parts of lines; all of the list or nothing of it. Returns the ids of the cancelations, in the order of the list."""
    switches = account.switches
    if by == "seller" and switches.partial_cancelation != "open":
        raise RefusedError(int(switches.partial_cancelation[-3:]), "Partial cancelation is not available to shops")
    mode = order_tax_mode or switches.tax_mode
    if switches.order_level_taxes and mode != switches.tax_mode:
        raise RefusedError(400, f"The order tax mode must be {switches.tax_mode}")
    lines = [str(asked["order_line_id"]) for asked in cancelations]
    if len(set(lines)) != len(lines):
        raise RefusedError(400, "An order line can be canceled only once in a call")
    no_taxes = switches.order_level_taxes and mode == "TAX_EXCLUDED"
    read: list[tuple[Order, Line, Wanted, str]] = []
    for asked, line_id in zip(cancelations, lines, strict=True):
        order, line = orders.known_line(account, line_id)
        _expect_cancelable(order, line, by)
        check_reason(str(asked["reason_code"]), "CANCELATION", shop=by == "seller")
        part = read_part(account, order, line, asked, mode, taxes_forbidden=no_taxes)
        if part.quantity > line.to_ship:
            raise RefusedError(400, f"The quantity must be lower than the quantity to ship {line.to_ship}")
        if part.quantity == line.quantity and part.total != line.total:
            raise RefusedError(400, "All units can be canceled only with the whole remaining amount")
        for amount, taxes, of_line, all_taxes in (
            (part.amount, part.taxes, line.price, line.taxes),
            (part.shipping_amount, part.shipping_taxes, line.shipping_price, line.shipping_taxes),
        ):
            if amount - tax_of(taxes) > of_line - tax_of(all_taxes):  # what is left would be less than the taxes in it
                raise RefusedError(400, "The taxes of the canceled amount must be canceled with it")
        read.append((order, line, part, str(asked["reason_code"])))
    made = [_cancel(account, line, part, reason, by=by, at=at) for _, line, part, reason in read]
    for order in {order.id: order for order, *_ in read}.values():
        _after(account, order, at)
    return made


def by_operator(account: Account, order_line_id: str, at: datetime, quantity: int | None = None, reason: str = "32") -> str:
    """The operator takes units off a line that is not paid, with their part of the price; all that is left where nothing else is said."""
    order, line = orders.known_line(account, order_line_id)
    _expect_cancelable(order, line, "operator")
    check_reason(reason, "CANCELATION", shop=False)
    units = line.to_ship if quantity is None else quantity
    if not 0 < units <= line.to_ship:
        raise RefusedError(400, f"The quantity must be between 1 and {line.to_ship}")
    whole = units == line.quantity

    def part_of(amount: int) -> int:
        return amount if whole else amount * units // line.quantity

    part = Wanted(
        part_of(line.price),
        line.shipping_price if whole else 0,
        units,
        [Tax(tax.code, part_of(tax.amount), tax.rate, tax.rule) for tax in line.taxes],
        list(line.shipping_taxes) if whole else [],
        [Fee(fee.code, fee.amount) for fee in line.fees] if whole else [],
    )
    made = _cancel(account, line, part, reason, by="operator", at=at)
    _after(account, order, at)
    return made


def _expect_cancelable(order: Order, line: Line, by: Origin) -> None:
    if line.refunds or line.debited_at is not None or order.debited_at is not None:
        raise RefusedError(400, f"The order line with id '{line.id}' cannot be canceled, it has been debited")
    states: Mapping[str, tuple[str, ...]] = BY_WORKFLOW
    allowed = states[order.workflow] if by == "seller" else ("STAGING", "WAITING_ACCEPTANCE", *orders.BEFORE_SHIPPING)
    if line.state not in allowed:
        raise RefusedError(400, f"The order line with id '{line.id}' cannot be canceled, its status is '{line.state}'")


def _cancel(account: Account, line: Line, part: Wanted, reason: str, *, by: Origin, at: datetime) -> str:
    account.last_cancelation += 1
    was = line.commission, line.commission_tax
    line.quantity -= part.quantity
    line.price -= part.amount
    line.shipping_price -= part.shipping_amount
    line.taxes = _less(line.taxes, part.taxes)
    line.shipping_taxes = _less(line.shipping_taxes, part.shipping_taxes)
    gone = {fee.code: fee.amount for fee in part.fees}
    line.fees = [Fee(fee.code, fee.amount - gone.get(fee.code, 0)) for fee in line.fees]
    line.commission, line.commission_tax = commission_on(line, line.price, line.shipping_price)
    made = Cancelation(
        id=f"{7100 + account.last_cancelation}",
        origin=by,
        created_at=at,
        reason=reason,
        amount=part.amount,
        shipping_amount=part.shipping_amount,
        quantity=part.quantity,
        taxes=[tax for tax in part.taxes if tax.amount],
        shipping_taxes=[tax for tax in part.shipping_taxes if tax.amount],
        fees=[fee for fee in part.fees if fee.amount],
        commission=was[0] - line.commission,
        commission_tax=was[1] - line.commission_tax,
    )
    line.cancelations.append(made)
    orders.give_back(account, line, part.quantity, at, wanted=account.switches.quantity_returns)
    line.updated_at = at
    if line.quantity == 0:
        orders.move([line], "CANCELED", at, reason)
    return made.id


def _less(taxes: list[Tax], gone: list[Tax]) -> list[Tax]:
    off = {tax.code: tax.amount for tax in gone}
    return [Tax(tax.code, tax.amount - off.get(tax.code, 0), tax.rate, tax.rule) for tax in taxes]


def _after(account: Account, order: Order, at: datetime) -> None:
    """What is left may have left already; or nothing is left."""
    for line in order.alive:
        if line.state == "SHIPPING" and line.shipped and not line.to_ship and not line.prepared:
            orders.move([line], "SHIPPED", at)
    orders.settle(account, order, at)
