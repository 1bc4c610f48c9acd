"""Every change that a seller account knows, by its name, and what happens by itself when it falls due."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl import bookkeeping, ceilings, charges, cycles, extracts, imports, ledger, offers, orders
from ops.sandbox.mirakl.state import Account

# name -> what does it; each takes the account, the operation's arguments by name, and the time
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "place": orders.place,
    "OR21": orders.accept,
    "OR04": orders.set_reference,
    "OR23": orders.track,
    "OR24": orders.ship,
    "STO01": imports.upload_stock,
    "PRI01": imports.upload_prices,
    "OF52": extracts.ask_for_offers,
    "TL03": extracts.ask_for_ledger,
    # what other people do to offers and money
    "edit_offer": offers.edit,
    "delete_offer": offers.delete,
    "restore_offer": offers.restore,
    "approve_prices": offers.approve_prices,
    "shop": offers.close_shop,
    "resume_import": imports.resume,
    "penalise": charges.penalise,
    "manual_document": charges.manual,
    "one_off": charges.one_off,
    "book": charges.book,
    "release_reserve": charges.release,
    "confirm_document": cycles.confirm,
    "bill": cycles.bill,
    # what is wrong in the marketplace's books
    "lose_entry": bookkeeping.lose,
    "restate_entry": bookkeeping.restate,
    "overcharge": charges.overcharge,
    "miscount_cycle": cycles.miscount,
    "misprint_document": cycles.misprint,
    "called": ceilings.count,
}


# name in the agenda -> what does it; each takes the account, that name, what it is about, and the time
FALLS_DUE: Mapping[str, Callable[[Account, str, str, datetime], None]] = {
    **dict.fromkeys(("acceptance_timeout", "debit", "pay", "receive", "close"), orders.fall_due),
    **dict.fromkeys(("start_import", "finish_import"), imports.fall_due),
    **dict.fromkeys(("make_export", "drop_export"), extracts.fall_due),
    **dict.fromkeys(("bill", "invoice", "pay_out"), cycles.fall_due),
    "price_turns": offers.fall_due,
    "money_due": ledger.fall_due,
}


def begin(account: Account, at: datetime) -> None:
    """What a new account has on its calendar."""
    cycles.begin(account, at)


def switched(account: Account, at: datetime) -> None:
    """Switches were moved: what hung may go on, what was planned may be planned anew."""
    imports.resume_all(account, at)
    cycles.replan(account, at)


def perform(account: Account, operation: str, arguments: Mapping[str, Any], at: datetime) -> Any:
    return OPERATIONS[operation](account, **arguments, at=at)


def advance(account: Account, until: datetime) -> bool:
    """Lets the next due thing happen, at its own time. False if nothing is due by then."""
    due = account.agenda.pop(until)
    if due is None:
        return False
    FALLS_DUE[due.what](account, due.what, str(due.ref), due.at)
    return True
