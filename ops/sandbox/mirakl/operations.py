"""Every change that a seller account knows, by its name, and what happens by itself when it falls due."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl import ceilings, orders, stock
from ops.sandbox.mirakl.state import Account

# name -> what does it; each takes the account, the operation's arguments by name, and the time
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "place": orders.place,
    "OR21": orders.accept,
    "OR04": orders.set_reference,
    "OR23": orders.track,
    "OR24": orders.ship,
    "STO01": stock.upload,
    "called": ceilings.count,
}


# name in the agenda -> what does it; each takes the account, that name, what it is about, and the time
FALLS_DUE: Mapping[str, Callable[[Account, str, str, datetime], None]] = {
    **dict.fromkeys(("acceptance_timeout", "debit", "pay", "receive", "close"), orders.fall_due),
    **dict.fromkeys(("start_import", "finish_import"), stock.fall_due),
}


def perform(account: Account, operation: str, arguments: Mapping[str, Any], at: datetime) -> Any:
    return OPERATIONS[operation](account, **arguments, at=at)


def advance(account: Account, until: datetime) -> bool:
    """Lets the next due thing happen, at its own time. False if nothing is due by then."""
    due = account.agenda.pop(until)
    if due is None:
        return False
    FALLS_DUE[due.what](account, due.what, str(due.ref), due.at)
    return True
