"""Offers, files and money as they are, for the truth that a referee compares. Amounts are texts with the scale of their currency."""

from datetime import datetime
from typing import Any

from ops.sandbox.mirakl import account as balances
from ops.sandbox.mirakl import offers as on_offer
from ops.sandbox.mirakl.finance import Cycle, Document, Entry
from ops.sandbox.mirakl.goods import Import, Offer
from ops.sandbox.mirakl.invoices import payment_state
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import rest_text


def offers(account: Account, at: datetime) -> dict[str, Any]:
    """By SKU; the deleted ones are there too, and say so."""
    return {offer.sku: _offer(account, offer, at) for offer in (*account.gone.values(), *account.offers.values())}


def _offer(account: Account, offer: Offer, at: datetime) -> dict[str, Any]:
    return {
        "offer_id": offer.id,
        "quantity": offer.quantity,
        "warehouses": offer.warehouses,
        "price": rest_text(offer.price, account.currency),
        "prices": offer.prices,
        "waiting_prices": offer.waiting_prices,
        "inactivity": on_offer.inactivity(account, offer, at),
        "deleted": offer.deleted,
        "updated_at": offer.updated_at,
    }


def imports(account: Account) -> list[dict[str, Any]]:
    return [_import(found) for found in account.imports.values()]


def _import(found: Import) -> dict[str, Any]:
    return {
        "import_id": found.id,
        "kind": found.kind,
        "status": found.status,
        "stuck": found.stuck,
        "reason": found.reason,
        "created_at": found.created_at,
        "completed_at": found.completed_at,
        "applied": found.applied,
        "errors": found.errors,
    }


def ledger(account: Account) -> list[dict[str, Any]]:
    """Every line, those that are never shown too."""
    return [_entry(account, entry) for entry in account.finance.entries]


def _entry(account: Account, entry: Entry) -> dict[str, Any]:
    about = {name: getattr(entry, name) for name in ("order", "line", "refund", "cycle", "document", "manual", "transaction")}
    return {
        "id": entry.id,
        "type": entry.type,
        "amount": rest_text(entry.amount, account.currency),
        "payment_state": entry.state,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        **({"lost": True} if entry.lost else {}),
        **{name: value for name, value in about.items() if value is not None},
    }


def money(account: Account) -> dict[str, Any]:
    """What was paid out and invoiced, and where the rest stands."""
    finance = account.finance
    return {
        "balances": {name: f"{value}" for name, value in balances.balances(account).items() if name != "sub_balances"},
        "next_cycle": finance.next_cycle,
        "cycles": [_cycle(account, cycle) for cycle in finance.cycles.values()],
        "documents": [_document(account, document) for document in finance.documents],
    }


def _cycle(account: Account, cycle: Cycle) -> dict[str, Any]:
    return {
        "id": cycle.id,
        "voucher": cycle.voucher,
        "created_at": cycle.created_at,
        "to_seller": rest_text(cycle.to_seller, account.currency),
        "to_operator": rest_text(cycle.to_operator, account.currency),
        "state": cycle.state,
        "failure": cycle.failure,
        "reference": cycle.reference,
        "paid_at": cycle.paid_at,
        "lines": len(cycle.entries),
        "summary": {name: rest_text(amount, account.currency) for name, amount in cycle.summary.items() if amount},
    }


def _document(account: Account, document: Document) -> dict[str, Any]:
    run = account.finance.cycles[document.cycle] if document.cycle else None
    return {
        "number": document.number,
        "type": document.type,
        "created_at": document.created_at,
        "cycle": document.cycle,
        "total": rest_text(document.total, account.currency),
        "tax": rest_text(document.tax, account.currency),
        "payment": payment_state(document, run),
    }
