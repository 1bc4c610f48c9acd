"""What an order does to the books: one function for each thing that happens to it. The order side calls them and does no sums."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ops.sandbox.mirakl import bookkeeping, charges
from ops.sandbox.mirakl.finance import PaymentState
from ops.sandbox.mirakl.sale import Fee, Line, Order, Refund, Tax
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import share

STEPS = {"SHIPPED": 1, "TO_COLLECT": 1, "RECEIVED": 2, "CLOSED": 3}  # of an order that has left
SHOP_TAXES = ("TAXDEFAULT", "TAXLOCAL")  # the second is on nothing, and is written only where lines come by tax code


def debited(account: Account, order: Order, at: datetime) -> None:
    """The buyer has paid for some lines: what they bring and cost, as they stand now. Pending until the order is due."""
    _book(account, order, [line for line in order.alive if line.debited_at is not None], at)


def entered(account: Account, order: Order, at: datetime) -> None:
    """The order has come to another state. What is due may be due by that."""
    finance, reached = account.finance, STEPS.get(order.state, 0)
    if not reached:
        return
    if order.id not in finance.left:
        finance.left[order.id] = True
        if order.workflow == "NO_CUSTOMER_PAYMENT_CONFIRMATION":  # nobody is ever debited
            _book(account, order, order.alive, at)
        if order.state != "CLOSED" and at > order.shipping_deadline:
            charges.late(account, order.id, at)
    if reached == STEPS["CLOSED"]:
        due(account, order.id, at)
    elif reached >= STEPS[account.switches.payable_after] and order.id not in finance.ripe:
        finance.ripe[order.id] = False
        _wait_until_due(account, order.id, at)


def resolved(account: Account, order: Order, at: datetime) -> None:
    """An incident is over: what it held back is due."""
    if account.finance.held.pop(order.id, False):
        due(account, order.id, at)


def _wait_until_due(account: Account, order: str, at: datetime) -> None:
    if days := account.switches.payable_days:
        account.agenda.put(at + timedelta(days=days), "money_due", order)
    else:
        due(account, order, at)


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    due(account, ref, at)


def due(account: Account, order: str, at: datetime) -> None:
    """The next cycle pays for it. An open incident holds it back."""
    finance = account.finance
    if account.switches.incident_holds and any(line.incident for line in account.orders[order].lines):
        finance.held[order] = True
        return
    finance.ripe[order] = True
    for entry in bookkeeping.of_order(account, order):
        if entry.state == "PENDING":
            bookkeeping.move(account, entry, at, "PAYABLE")


def refunded(account: Account, order: Order, line: Line, refund: Refund, at: datetime) -> None:
    """Money has gone back to the buyer, and commission to the shop. Nothing is due before the order itself is."""
    _book(account, order, [line], at)  # where nobody was debited, there is something to take off now
    told = _Told(account, order, line, at, refund.id)
    told.amount("REFUND_ORDER_AMOUNT", -refund.amount, refund.taxes)
    told.amount("REFUND_ORDER_SHIPPING_AMOUNT", -refund.shipping_amount, refund.shipping_taxes)
    told.fees("REFUND_ORDER_FEE_AMOUNT", -1, refund.fees)
    told.commission("REFUND_COMMISSION", refund.commission, refund.commission_tax, line.commission_rate)


def _book(account: Account, order: Order, lines: Iterable[Line], at: datetime) -> None:
    booked = account.finance.booked
    new = [line for line in lines if line.id not in booked]
    first = not any(line.id in booked for line in order.lines)
    for line in new:
        booked[line.id] = True
        _sale(account, order, line, at)
    if new and first:
        charges.on_order(account, order.id, at)


def _sale(account: Account, order: Order, line: Line, at: datetime) -> None:
    told = _Told(account, order, line, at)
    told.amount("ORDER_AMOUNT", line.price, line.taxes)
    told.amount("ORDER_SHIPPING_AMOUNT", line.shipping_price, line.shipping_taxes)
    told.fees("ORDER_FEE_AMOUNT", 1, line.fees)
    fee, tax = line.commission, line.commission_tax
    if wrong := account.finance.wrong_commission:
        account.finance.wrong_commission = 0
        fee += wrong
        tax = share(fee, Decimal(line.commission_rate) / 100)
    told.commission("COMMISSION", -fee, -tax, line.commission_rate)


class _Told:
    """Lines about one order line, and perhaps one refund of it."""

    def __init__(self, account: Account, order: Order, line: Line, at: datetime, refund: str | None = None) -> None:
        self.account, self.at, self.switches = account, at, account.switches
        self.state: PaymentState = "PAYABLE" if account.finance.ripe.get(order.id) else "PENDING"
        self.about: dict[str, Any] = {"order": order.id, "line": line.id, "refund": refund}
        mode = self.switches.ledger_taxes
        self.remitted = self.switches.taxes_remitted_by_operator
        self.apart = self.remitted or mode == "apart" or (mode == "tax_mode" and self.switches.tax_mode == "TAX_EXCLUDED")

    def write(self, kind: str, amount: int, **about: Any) -> None:
        """A line of nothing is written or not, or written for each tax code, as the switches say."""
        if amount or self.switches.zero_lines:
            self._write(kind, amount, **about)
        if not amount and self.switches.zero_lines and self.switches.lines_per_tax_code:
            self._write(kind, 0, **about | {"shop_tax": SHOP_TAXES[1]})

    def _write(self, kind: str, amount: int, **about: Any) -> None:
        bookkeeping.write(self.account, kind, amount, self.state, self.at, **self.about, **about)

    def amount(self, kind: str, amount: int, taxes: Iterable[Tax]) -> None:
        """What the buyer pays or is paid, signed, tax included; taxes that the operator remits are shown, and taken back."""
        sign = -1 if kind.startswith("REFUND") else 1
        parts = [(tax, sign * tax.amount) for tax in taxes]
        self._with_taxes(kind, amount, parts)
        if self.remitted:
            for tax, part in parts:
                self._write(f"OPERATOR_REMITTED_{kind}_TAX", -part, tax=tax.code, tax_rate=tax.rate)
        if "SHIPPING" in kind and amount and self.switches.operator_pays_shipping:
            way = -1 if self.switches.operator_paid_shipping == "debit" else 1
            net = amount - sum(part for _, part in parts) if self.remitted else amount  # remitted tax was taken back already
            self._with_taxes(f"OPERATOR_PAID_{kind}", way * net, [] if self.remitted else [(tax, way * part) for tax, part in parts])

    def _with_taxes(self, kind: str, amount: int, parts: list[tuple[Tax, int]]) -> None:
        """An amount that holds those taxes: they stand beside it, or stay within."""
        held = sum(part for _, part in parts)
        if not self.apart:
            self.write(kind, amount, within=held)
            return
        self.write(kind, amount - held)
        for tax, part in parts:
            self._write(f"{kind}_TAX", part, tax=tax.code, tax_rate=tax.rate)

    def fees(self, kind: str, sign: int, fees: Iterable[Fee]) -> None:
        """What buyers pay on top."""
        for fee in fees:
            self._write(kind, sign * fee.amount, fee=fee.code)
            if self.switches.fees_remitted_by_operator:
                self._write(f"OPERATOR_REMITTED_{kind}", -sign * fee.amount, fee=fee.code)

    def commission(self, kind: str, fee: int, tax: int, rate: str) -> None:
        """What the operator takes, or gives back: signed."""
        self.write(f"{kind}_FEE", fee)
        if tax or self.switches.zero_lines:
            self._write(f"{kind}_VAT", tax, shop_tax=SHOP_TAXES[0], tax_rate=rate)
