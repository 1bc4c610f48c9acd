"""Billing cycles: on their days they take what is due, hold back, invoice, and some time later pay."""

import calendar
from datetime import datetime, timedelta

from ops.sandbox.mirakl import bookkeeping, charges, summary
from ops.sandbox.mirakl.bookkeeping import identity
from ops.sandbox.mirakl.finance import Cycle, Document, Entry
from ops.sandbox.mirakl.state import Account, RefusedError

RETRY = timedelta(days=1)  # after a payout that failed


def begin(account: Account, at: datetime) -> None:
    """The first cycle is on the calendar."""
    account.finance.cycle_start = at
    _plan(account, at)


def replan(account: Account, at: datetime) -> None:
    """The calendar may have been changed: what was planned by the old one will find that it is not wanted any more."""
    if account.finance.next_cycle is not None and _next(account, at) != account.finance.next_cycle:
        _plan(account, at)


def _plan(account: Account, after: datetime) -> None:
    finance = account.finance
    finance.next_cycle = _next(account, after)
    account.agenda.put(finance.next_cycle, "bill", _name(finance.next_cycle))


def _name(at: datetime) -> str:
    return at.isoformat()


def _next(account: Account, after: datetime) -> datetime:
    """The first calendar moment later than that."""
    switches = account.switches
    if switches.billing_hours:
        start, step = account.created_at, timedelta(hours=switches.billing_hours)
        return start + ((after - start) // step + 1) * step
    year, month = after.year, after.month
    while True:
        last = calendar.monthrange(year, month)[1]
        days = sorted({min(day, last) for day in switches.billing_days})
        for day in days:
            if (at := datetime(year, month, day, tzinfo=after.tzinfo)) > after:
                return at
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    match what:
        case "bill":
            if account.finance.next_cycle is not None and ref == _name(account.finance.next_cycle):
                bill(account, at)
                _plan(account, at)
        case "invoice":
            _invoice(account, account.finance.cycles[ref], at)
        case "pay_out":
            _pay_out(account, account.finance.cycles[ref], at)


def bill(account: Account, at: datetime) -> str | None:
    """One run. Returns the cycle's id; None where nothing was due, or where less than nothing is carried over."""
    finance, switches = account.finance, account.switches
    number = len(finance.cycles) + 1
    charges.subscribe(account, at)
    if switches.reserve_cycles:
        charges.release(account, at, number - switches.reserve_cycles)
    due = sum(finance.entries[n - 1].amount for n in finance.payable)
    if not finance.payable and not switches.empty_cycles:
        return None
    if due < 0 and switches.negative_cycles == "carried_over":
        return None
    charges.hold_back(account, due, number, at)
    taken, finance.payable = finance.payable, []
    cycle = Cycle(
        id=identity(account, "cycle", number),
        voucher=f"{number:06d}",
        started_at=finance.cycle_start or account.created_at,
        created_at=at,
        entries=taken,
    )
    entries = [finance.entries[n - 1] for n in taken]
    total = sum(entry.amount for entry in entries)
    cycle.to_seller, cycle.to_operator = max(0, total), max(0, -total)
    cycle.summary = summary.of(entries)
    finance.cycles[cycle.id], finance.cycle_start = cycle, at
    for entry in entries:
        bookkeeping.file(account, entry, at, cycle=cycle.id)
    for made in finance.documents:
        if made.cycle is None and made.type != "AUTO_INVOICE":
            made.cycle = cycle.id
    _soon(account, "invoice", cycle.id, at, switches.invoice_hours)
    _soon(account, "pay_out", cycle.id, at, switches.payout_hours)
    return cycle.id


def _soon(account: Account, what: str, cycle: str, at: datetime, hours: float) -> None:
    if hours:
        account.agenda.put(at + timedelta(hours=hours), what, cycle)
    else:
        fall_due(account, what, cycle, at)


def _invoice(account: Account, cycle: Cycle, at: datetime) -> None:
    entries = _entries(account, cycle)
    made = charges.document(account, "AUTO_INVOICE", summary.invoice_details(entries), at, cycle.id)
    for entry in entries:
        bookkeeping.file(account, entry, at, document=made.number)


def _pay_out(account: Account, cycle: Cycle, at: datetime) -> None:
    """Money moves: to the seller's bank, or from it."""
    switches = account.switches
    if cycle.state == "PAID":
        return
    if switches.payouts_fail:
        cycle.state, cycle.failure = "FAILED", switches.payouts_fail
        account.agenda.put(at + RETRY, "pay_out", cycle.id)
        return
    cycle.state, cycle.failure, cycle.paid_at = "PAID", None, at
    cycle.reference = f"PO-{account.shop_id}-{cycle.voucher}"
    for entry in _entries(account, cycle):
        if entry.state == "PAYABLE":
            bookkeeping.move(account, entry, at, "PAID")
    if paid := cycle.to_seller - cycle.to_operator:
        document = next((made for made in account.finance.documents if made.cycle == cycle.id and made.type == "AUTO_INVOICE"), None)
        about = {"document": document.number, "document_at": document.created_at} if document else {}
        entry = bookkeeping.write(
            account, "PAYMENT", -paid, switches.payment_line_state, at, cycle=cycle.id,
            transaction=cycle.reference, transaction_at=at, **about,
        )  # fmt: skip
        cycle.entries.append(entry.n)


def _entries(account: Account, cycle: Cycle) -> list[Entry]:
    return [account.finance.entries[n - 1] for n in cycle.entries]


# ------------------------------------------------------------------------------------------------------- people's doing


def confirm(account: Account, invoice_id: int, at: datetime) -> None:
    """The operator says that a document is paid."""
    _document(account, invoice_id).confirmed = True


def miscount(account: Account, cycle: str, key: str, amount: int, at: datetime) -> None:
    """A line of the cycle's summary says so much too much."""
    if cycle not in account.finance.cycles:
        raise RefusedError(404, f"Billing cycle with identifier '{cycle}' not found")
    totals = account.finance.cycles[cycle].summary
    totals[key] = totals.get(key, 0) + amount


def misprint(account: Account, invoice_id: int, amount: int, at: datetime) -> None:
    """A document's total, without tax, says so much too much."""
    _document(account, invoice_id).total += amount


def _document(account: Account, invoice_id: int) -> Document:
    found = next((one for one in account.finance.documents if one.invoice_id == invoice_id), None)
    if found is None:
        raise RefusedError(404, f"Accounting document with identifier '{invoice_id}' not found")
    return found
