"""The pen: how a line gets into the books, and the few ways in which it may change."""

import uuid
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl.finance import Entry, PaymentState
from ops.sandbox.mirakl.state import Account, RefusedError

NAMESPACE = uuid.UUID("0d1c9d86-7c3e-5d0a-9f0e-8b9a64a52f11")


def identity(account: Account, what: str, n: object) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{account.seed}:{account.shop_id}:{what}:{n}"))


def write(account: Account, kind: str, amount: int, state: PaymentState, at: datetime, **about: Any) -> Entry:
    """A new line. What it is `about` are fields of `Entry`."""
    finance = account.finance
    n = len(finance.entries) + 1
    finance.balance += amount
    entry = Entry(
        n=n,
        id=identity(account, "entry", n),
        type=kind,
        amount=amount,
        balance=finance.balance,
        created_at=at,
        updated_at=at,
        state=state,
        **about,
    )
    finance.entries.append(entry)
    if entry.order is not None:
        finance.by_order.setdefault(entry.order, []).append(n)
    if entry.line is not None:
        finance.by_line.setdefault(entry.line, []).append(n)
    if entry.cycle is None and state in ("PAYABLE", "RESERVE"):
        finance.payable.append(n)
    _count(account, entry, amount)
    _changed(account, entry, at)
    return entry


def move(account: Account, entry: Entry, at: datetime, state: PaymentState) -> None:
    """Onwards to another payment state."""
    if entry.state == state:
        return
    _count(account, entry, -entry.amount)
    entry.state = state
    _count(account, entry, entry.amount)
    if state == "PAYABLE" and entry.cycle is None:
        account.finance.payable.append(entry.n)
    _changed(account, entry, at)


def file(account: Account, entry: Entry, at: datetime, cycle: str | None = None, document: str | None = None) -> None:
    """Into a cycle, or under a document; what has a document keeps it."""
    if cycle is not None:
        entry.cycle = cycle
    if document is not None and entry.document is None:
        entry.document, entry.document_at = document, at
    _changed(account, entry, at)


def restate(account: Account, entry: str, amount: int, at: datetime) -> None:
    """The line says another amount from now on, under the same id; what it was summed into stays as it was."""
    found = lookup(account, entry)
    _count(account, found, amount - found.amount)
    found.amount = amount
    _changed(account, found, at)


def lose(account: Account, entry: str, at: datetime) -> None:
    """The line stays in every sum and is never shown again."""
    found = lookup(account, entry)
    found.lost = True
    _changed(account, found, at)


def lookup(account: Account, entry: str) -> Entry:
    found = next((one for one in account.finance.entries if one.id == entry), None)
    if found is None:
        raise RefusedError(404, f"Transaction with identifier '{entry}' not found")
    return found


def of_order(account: Account, order: str) -> list[Entry]:
    finance = account.finance
    return [finance.entries[n - 1] for n in finance.by_order.get(order, ())]


def _count(account: Account, entry: Entry, amount: int) -> None:
    where = "PAYMENT" if entry.type == "PAYMENT" else entry.state
    account.finance.sums[where] = account.finance.sums.get(where, 0) + amount


def _changed(account: Account, entry: Entry, at: datetime) -> None:
    entry.updated_at, entry.change = at, len(account.finance.changes)
    account.finance.changes.append((at, entry.n))
