"""What an order does to the books: one function for each thing that happens to it. The order side calls them and does no sums."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ops.sandbox.mirakl import bookkeeping, charges
from ops.sandbox.mirakl.books import PaymentState
from ops.sandbox.mirakl.sale import Line, Order, Tax
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import share

SHOP_TAXES = ("TAXDEFAULT", "TAXLOCAL")  # the second is on nothing, and is written only where lines come by tax code


def debited(account: Account, order: Order, at: datetime) -> None:
    """The buyer has paid, or owes it: what the order brings and costs, as it stands now. Pending until it is due."""
    account.books.due[order.id] = False
    for line in order.lines:
        if line.state not in ("REFUSED", "CANCELED"):
            _sale(account, order, line, at)
    charges.on_order(account, order.id, at)


def shipped(account: Account, order: Order, at: datetime) -> None:
    """The whole order has left. Where nobody is debited before, it is booked now."""
    if order.id not in account.books.due:
        debited(account, order, at)
    if at > order.shipping_deadline:
        charges.late(account, order.id, at)
    if account.switches.payable_after == "SHIPPED":
        _wait_until_due(account, order.id, at)


def received(account: Account, order: Order, at: datetime) -> None:
    if account.switches.payable_after == "RECEIVED":
        _wait_until_due(account, order.id, at)


def closed(account: Account, order: Order, at: datetime) -> None:
    """Nothing more will happen to it: what is pending still, is due."""
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
    if order not in account.books.due or any(line.state == "INCIDENT_OPEN" for line in account.orders[order].lines):
        return
    account.books.due[order] = True
    for entry in bookkeeping.of_order(account, order):
        if entry.state == "PENDING":
            bookkeeping.move(account, entry, at, "PAYABLE")


def refunded(
    account: Account,
    order: Order,
    line: Line,
    refund: str,
    at: datetime,
    *,
    amount: int,
    shipping_amount: int,
    taxes: Iterable[Tax],
    shipping_taxes: Iterable[Tax],
    commission: int,
    commission_tax: int,
) -> None:
    """Money goes back to the buyer. Amounts hold their taxes; nothing is due before the order itself is."""
    told = _Told(account, order, line, at, refund)
    told.amount("REFUND_ORDER_AMOUNT", -amount, taxes)
    told.amount("REFUND_ORDER_SHIPPING_AMOUNT", -shipping_amount, shipping_taxes)
    if account.switches.commission_refunded:
        told.commission("REFUND_COMMISSION", commission, commission_tax, line.commission_rate)


def _sale(account: Account, order: Order, line: Line, at: datetime) -> None:
    told = _Told(account, order, line, at)
    told.amount("ORDER_AMOUNT", line.price, line.taxes)
    told.amount("ORDER_SHIPPING_AMOUNT", line.shipping_price, line.shipping_taxes)
    fee, tax = line.commission, line.commission_tax
    if wrong := account.books.wrong_commission:
        account.books.wrong_commission = 0
        fee += wrong
        tax = share(fee, Decimal(line.commission_rate) / 100)
    told.commission("COMMISSION", -fee, -tax, line.commission_rate)


class _Told:
    """Lines about one order line, and perhaps one refund of it."""

    def __init__(self, account: Account, order: Order, line: Line, at: datetime, refund: str | None = None) -> None:
        self.account, self.at, self.switches = account, at, account.switches
        self.state: PaymentState = "PAYABLE" if account.books.due.get(order.id) else "PENDING"
        self.about: dict[str, Any] = {"order": order.id, "line": line.id, "refund": refund}
        mode = self.switches.ledger_taxes
        self.apart = mode == "apart" or (mode == "tax_mode" and self.switches.tax_mode == "TAX_EXCLUDED")

    def write(self, type: str, amount: int, **about: Any) -> None:
        """A line of nothing is written or not, or written for each tax code, as the switches say."""
        if amount or self.switches.zero_lines:
            bookkeeping.write(self.account, type, amount, self.state, self.at, **self.about, **about)
        if not amount and self.switches.zero_lines and self.switches.lines_per_tax_code:
            bookkeeping.write(self.account, type, 0, self.state, self.at, **self.about, **about | {"shop_tax": SHOP_TAXES[1]})

    def amount(self, type: str, amount: int, taxes: Iterable[Tax]) -> None:
        """What the buyer pays or is paid, signed, tax included; taxes that the operator remits are shown, and taken back."""
        taxes, sign = list(taxes), -1 if type.startswith("REFUND") else 1
        held = sign * sum(tax.amount for tax in taxes)
        remitted = self.switches.taxes_remitted_by_operator
        if not (self.apart or remitted):
            self.write(type, amount, within=held)
        else:
            self.write(type, amount - held)
            for tax in taxes:
                self.write(f"{type}_TAX", sign * tax.amount, tax=tax.code, tax_rate=tax.rate)
        if remitted:
            for tax in taxes:
                self.write(f"OPERATOR_REMITTED_{type}_TAX", -sign * tax.amount, tax=tax.code, tax_rate=tax.rate)
        if "SHIPPING" in type and amount and self.switches.operator_pays_shipping:
            self._operator_paid(type, amount, held, [(tax, sign * tax.amount) for tax in taxes])

    def _operator_paid(self, type: str, amount: int, held: int, taxes: list[tuple[Tax, int]]) -> None:
        """Shipping that the operator pays for: taken back from the shop, or given on top. Tax it remits was taken back before."""
        way = -1 if self.switches.operator_paid_shipping == "debit" else 1
        if not (self.apart or self.switches.taxes_remitted_by_operator):
            self.write(f"OPERATOR_PAID_{type}", way * amount, within=way * held)
            return
        self.write(f"OPERATOR_PAID_{type}", way * (amount - held))
        for tax, part in () if self.switches.taxes_remitted_by_operator else taxes:
            self.write(f"OPERATOR_PAID_{type}_TAX", way * part, tax=tax.code, tax_rate=tax.rate)

    def commission(self, type: str, fee: int, tax: int, rate: str) -> None:
        """What the operator takes, or gives back: signed."""
        self.write(f"{type}_FEE", fee)
        if tax or self.switches.zero_lines:
            about = {"shop_tax": SHOP_TAXES[0], "tax_rate": rate}
            bookkeeping.write(self.account, f"{type}_VAT", tax, self.state, self.at, **self.about, **about)
