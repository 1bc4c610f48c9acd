"""What the operator charges or gives beside orders' own money: penalties, fees, subscription, manual documents, one-offs, the reserve."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ops.sandbox.mirakl import bookkeeping
from ops.sandbox.mirakl.finance import Detail, Document, Item
from ops.sandbox.mirakl.state import Account, RefusedError
from ops.sandbox.money import share

TAX_CODE = "TAXDEFAULT"
PAY_DAYS = 30  # until a document is to be paid


def on_order(account: Account, order: str, at: datetime) -> None:
    """The fee that some operators take on each order."""
    if fee := account.switches.fee_on_order:
        _charge(account, "SELLER_FEE_ON_ORDER", "TAX", -fee, at, order=order, seller_fee="HANDLING")


def late(account: Account, order: str, at: datetime) -> None:
    if fee := account.switches.late_penalty:
        penalise(account, fee, at, order, "LATE_SHIPMENT")


def penalise(account: Account, amount: int, at: datetime, order: str | None = None, code: str = "PENALTY") -> None:
    """A penalty without tax, for an order or for none; as a fee of its own or as an invoice, as the operator does it."""
    if account.switches.penalty_as == "MANUAL_INVOICE":
        manual(account, "MANUAL_INVOICE", amount, f"Penalty {code}", at, order=order)
    else:
        _charge(account, "SELLER_PENALTY_FEE", "TAX", -amount, at, order=order, seller_fee=code)


def subscribe(account: Account, at: datetime) -> None:
    """Once a month, with the first cycle of it."""
    month = f"{at:%Y-%m}"
    if account.switches.subscription and account.finance.subscribed != month:
        account.finance.subscribed = month
        _charge(account, "SUBSCRIPTION", "VAT", -account.switches.subscription, at)


def manual(account: Account, kind: str, amount: int, description: str, at: datetime, *, order: str | None = None) -> str:
    """MANUAL_CREDIT or MANUAL_INVOICE, without tax: a document and its lines. Returns the document's number."""
    if kind not in ("MANUAL_CREDIT", "MANUAL_INVOICE"):
        raise RefusedError(400, f"No such document: {kind}")
    sign = 1 if kind == "MANUAL_CREDIT" else -1
    tax = shop_tax(account, amount)
    made = document(account, kind, [Detail(description, amount, tax, order=order, on=at)], at)
    about = {"manual": made.number, "document": made.number, "document_at": at}
    _charge(account, kind, "VAT", sign * amount, at, **about)
    return made.number


def one_off(account: Account, amount: int, description: str, at: datetime, *, quantity: int = 1, reference: str | None = None) -> None:
    """An item to be invoiced, without tax: a debit below zero, else a credit."""
    kind = "INVOICEABLE_ONE_OFF_CREDIT" if amount >= 0 else "INVOICEABLE_ONE_OFF_DEBIT"
    item = Item(description, quantity, abs(amount) // quantity, at, reference)
    _charge(account, kind, "TAX", amount, at, item=item)


def book(account: Account, kind: str, amount: int, at: datetime, *, order: str | None = None, line: str | None = None) -> str:
    """A line of any type, known to the contract or not, due at once: credited above zero, debited below. Returns its id."""
    return bookkeeping.write(account, kind, amount, "PAYABLE", at, order=order, line=line).id


def hold_back(account: Account, paid: int, cycle: int, at: datetime) -> None:
    """The part of a cycle that goes into the reserve."""
    switches, held = account.switches, -account.finance.sums.get("RESERVE", 0)
    wanted = share(paid, Decimal(switches.reserve_rate) / 100)
    if switches.reserve_target:
        wanted = min(wanted, switches.reserve_target - held)
    if paid > 0 and wanted > 0:
        bookkeeping.write(account, "RESERVE_FUNDING", -wanted, "RESERVE", at)
        account.finance.reserved.append((cycle, wanted))


def release(account: Account, at: datetime, held_since: int | None = None) -> None:
    """What was held back up to that cycle is given back, with the next one; all of it without a cycle."""
    finance = account.finance
    given = [held for held in finance.reserved if held_since is None or held[0] <= held_since]
    if total := sum(amount for _, amount in given):
        bookkeeping.write(account, "RESERVE_SETTLEMENT", total, "RESERVE", at)
    finance.reserved = [held for held in finance.reserved if held not in given]


def overcharge(account: Account, amount: int, at: datetime) -> None:
    """The next line that is sold costs so much more commission than its order says."""
    account.finance.wrong_commission = amount


def shop_tax(account: Account, amount: int) -> int:
    return share(amount, Decimal(account.switches.shop_tax) / 100)


def document(account: Account, kind: Any, details: list[Detail], at: datetime, cycle: str | None = None) -> Document:
    """A new invoice or credit, numbered on."""
    n = len(account.finance.documents) + 1
    made = Document(
        invoice_id=400 + n,
        id=bookkeeping.identity(account, "document", n),
        number=f"{n:012d}",
        type=kind,
        created_at=at,
        due_at=at + timedelta(days=PAY_DAYS),
        details=details,
        total=sum(detail.amount for detail in details),
        tax=sum(detail.tax for detail in details),
        cycle=cycle,
        confirmed=not account.switches.payment_confirmation,
    )
    account.finance.documents.append(made)
    return made


def _charge(account: Account, kind: str, tax_type: str, amount: int, at: datetime, **about: Any) -> None:
    """An amount without tax, and the tax on it beside: due at once."""
    fee = f"{kind}_FEE" if kind == "SUBSCRIPTION" else kind
    bookkeeping.write(account, fee, amount, "PAYABLE", at, **about)
    tax = {"shop_tax": TAX_CODE, "tax_rate": account.switches.shop_tax}
    bookkeeping.write(account, f"{kind}_{tax_type}", shop_tax(account, amount), "PAYABLE", at, **about, **tax)
