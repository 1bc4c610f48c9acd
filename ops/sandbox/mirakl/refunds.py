"""Money that goes back to the customer, by the seller's call or the operator's hand.

Nothing here asks whether it was asked for before: the same call twice pays twice, as long as there is money left.
"""

from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.chance import digits
from ops.sandbox.mirakl import ledger, orders
from ops.sandbox.mirakl.amounts import Wanted, commission_on, left, read_part
from ops.sandbox.mirakl.registry import check_reason
from ops.sandbox.mirakl.sale import Fee, Line, Order, Origin, Refund, Tax
from ops.sandbox.mirakl.state import Account, RefusedError

STATES = ("WAITING_REFUND_TAX_CONFIRMATION", "WAITING_REFUND", "WAITING_REFUND_PAYMENT", "REFUNDED")
REFUNDABLE = ("SHIPPING", *orders.LEFT)


def is_refundable(account: Account, order: Order, line: Line, by: Origin = "seller") -> bool:
    """Whether anything of it could be paid back now, as far as states go."""
    states = REFUNDABLE + (("CLOSED",) if by == "operator" or account.switches.refund_after_closed else ())
    return line.state in states and (line.debited_at is not None or order.workflow == "NO_CUSTOMER_PAYMENT_CONFIRMATION")


def refund(account: Account, refunds: list[dict[str, Any]], order_tax_mode: str | None, at: datetime, by: Origin = "seller") -> list[str]:
    """OR28: all of the list or nothing of it. Returns the ids of the refunds, in the order of the list."""
    mode = order_tax_mode or account.switches.tax_mode
    if account.switches.order_level_taxes and mode != account.switches.tax_mode:
        raise RefusedError(400, f"The order tax mode must be {account.switches.tax_mode}")
    made: list[tuple[Order, Line, Refund]] = []
    try:
        for asked in refunds:
            order, line = orders.known_line(account, str(asked["order_line_id"]))
            made.append((order, line, _refund(account, order, line, asked, mode, by=by, at=at)))
    except RefusedError:
        for _, line, refund in reversed(made):
            line.refunds.remove(refund)
        raise
    _begin(account, made, at)
    return [refund.id for _, _, refund in made]


def _begin(account: Account, made: list[tuple[Order, Line, Refund]], at: datetime) -> None:
    """They get their numbers, and the money gets under way."""
    groups: dict[str, str] = {}
    for order, line, refund in made:
        account.last_refund += 1
        refund.id = f"{1100 + account.last_refund}"
        refund.group = groups.setdefault(order.id, f"{5100 + account.last_refund}")
        _exclude(account, line, refund, at)
        line.updated_at = at
        orders.settle(account, order, at)
        account.agenda.put(at + timedelta(seconds=account.switches.refund_delay), "refund", f"{line.id}/{refund.id}")


def _refund(account: Account, order: Order, line: Line, asked: dict[str, Any], mode: str, *, by: Origin, at: datetime) -> Refund:
    if not is_refundable(account, order, line, by):
        raise RefusedError(400, f"The order line with id '{line.id}' cannot be refunded, its status is '{line.state}'")
    check_reason(str(asked["reason_code"]), "REFUND", shop=by == "seller")
    part = read_part(account, order, line, asked, mode)
    excluded = bool(asked.get("excluded_from_shipment"))
    taken = sum(refund.quantity for refund in line.refunds if refund.excluded and not refund.id)  # earlier in the same call
    if excluded and not 0 < part.quantity <= line.to_ship - taken:
        raise RefusedError(400, f"The quantity excluded from shipments must be between 1 and {line.to_ship - taken}")
    made = _made(account, line, part, str(asked["reason_code"]), by=by, at=at, excluded=excluded)
    line.refunds.append(made)
    return made


def _made(account: Account, line: Line, part: Wanted, reason: str, *, by: Origin, at: datetime, excluded: bool) -> Refund:
    fee, tax = commission_on(line, part.amount, part.shipping_amount)
    return Refund(
        id="",
        group="",
        origin=by,
        created_at=at,
        reason=reason,
        amount=part.amount,
        shipping_amount=part.shipping_amount,
        quantity=part.quantity,
        taxes=part.taxes,
        shipping_taxes=part.shipping_taxes,
        fees=part.fees,
        commission=fee,
        commission_tax=tax,
        state=STATES[0 if account.switches.refund_tax_confirmation else 1],
        excluded=excluded,
    )


def _exclude(account: Account, line: Line, refund: Refund, at: datetime) -> None:
    """Units that were paid back and will not leave: what becomes of the line is not documented."""
    if not refund.excluded or account.switches.excluded_units == "ignored":
        return
    line.excluded += refund.quantity
    orders.give_back(account, line, refund.quantity, at, wanted=account.switches.quantity_returns_on_refund)
    if line.to_ship == 0 and line.prepared == 0 and line.state == "SHIPPING":
        if line.shipped:
            orders.move([line], "SHIPPED", at)
        else:
            orders.move([line], "REFUNDED" if account.switches.excluded_units == "line_refunded" else "CLOSED", at)


def by_operator(
    account: Account,
    order_line_id: str,
    at: datetime,
    *,
    share: float = 1.0,
    shipping: bool = True,
    quantity: int = 0,
    excluded: bool = False,
    reason: str = "21",
    return_id: str | None = None,
) -> str:
    """The operator pays back that share of what is left of a line's price, and all that is left of its shipping or nothing of it.

    Returns the refund's id. Shipping alone is a share of 0. `excluded`: the units are not shipped any more.
    """
    order, line = orders.known_line(account, order_line_id)
    if not is_refundable(account, order, line, "operator"):
        raise RefusedError(400, f"The order line with id '{line.id}' cannot be refunded, its status is '{line.state}'")
    check_reason(reason, "REFUND", shop=False)
    rest = left(line)

    def part_of(amount: int) -> int:
        return round(amount * share)

    part = Wanted(
        part_of(rest.amount),
        rest.shipping_amount if shipping else 0,
        min(quantity, line.to_ship if excluded else rest.quantity),
        [Tax(tax.code, part_of(tax.amount), tax.rate, tax.rule) for tax in rest.taxes if part_of(tax.amount)],
        [tax for tax in rest.shipping_taxes if shipping and tax.amount],
        [Fee(fee.code, fee.amount) for fee in rest.fees if share >= 1.0 and fee.amount],
    )
    if part.total <= 0:
        raise RefusedError(400, f"Nothing is left to refund on the order line with id '{line.id}'")
    made = _made(account, line, part, reason, by="operator", at=at, excluded=excluded and part.quantity > 0)
    made.return_id = return_id
    line.refunds.append(made)
    _begin(account, [(order, line, made)], at)
    return made.id


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    """A refund goes on to its next state, and in the last one the money has moved."""
    line_id, _, number = ref.rpartition("/")
    order = account.orders[account.book.of_line[line_id]]
    line = next(line for line in order.lines if line.id == line_id)
    refund = next(refund for refund in line.refunds if refund.id == number)
    refund.state = STATES[STATES.index(refund.state) + 1]
    if refund.state == "REFUNDED":
        refund.paid_at, refund.transaction = at, f"RF{digits(account.seed, 9, 'refund', refund.id)}"
        ledger.refunded(account, order, line, refund, at)
    else:
        account.agenda.put(at + timedelta(seconds=account.switches.refund_delay), what, ref)
    line.updated_at = at
    account.book.touch(order, at)
