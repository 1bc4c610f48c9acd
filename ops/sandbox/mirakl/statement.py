"""TL02 and TL03: which lines of the log are asked for, and how a line looks."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ops.sandbox.mirakl.finance import Entry, Finance
from ops.sandbox.mirakl.seek import Turn
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import number

LISTS = {  # parameter -> the field that must be among its values; each may be given several times or with commas
    "seller_billing_cycle_id": "cycle",
    "order_id": "order",
    "order_line_id": "line",
    "payment_state": "state",
    "transaction_type": "type",
}
ELSEWHERE = {"shop_model": "MARKETPLACE", "pay_out_psp_codes": "NOT_SPECIFIED"}  # the same for every line here


def page(account: Account, turn: Turn) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A page of TL02 and its tokens. By creation, or by last update; the latest first unless asked otherwise."""
    finance = account.finance
    by_update = str(turn.asked.get("sort", "")).startswith("lastUpdated")
    keys = _keys(finance, turn.asked, by_update)
    wanted = _wanted(account, turn.asked)

    def fits(key: int) -> bool:
        entry = finance.entries[(finance.changes[key][1] if by_update else key) - 1]
        return (not by_update or entry.change == key) and wanted(entry)  # an older change is not where the line stands now

    chosen, tokens = turn.page(keys, fits, descending=turn.descending(default=True))
    places = [finance.changes[key][1] if by_update else key for key in chosen]
    return [row(account, finance.entries[n - 1]) for n in places], tokens


def rows(account: Account, asked: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Everything that was asked for, by creation: an export."""
    wanted = _wanted(account, asked)
    found = (account.finance.entries[n - 1] for n in _keys(account.finance, asked, by_update=False))
    return (row(account, entry) for entry in found if wanted(entry))


def _keys(finance: Finance, asked: Mapping[str, Any], by_update: bool) -> Sequence[int]:
    """Ascending, and no more than need be looked at: places of lines, or of changes."""
    narrowest: Sequence[int] | None = None
    if lines := _listed(asked, "order_line_id"):
        narrowest = [n for line in lines for n in finance.by_line.get(line, ())]
    elif orders := _listed(asked, "order_id"):
        narrowest = [n for order in orders for n in finance.by_order.get(order, ())]
    elif cycles := _listed(asked, "seller_billing_cycle_id"):
        narrowest = [n for cycle in cycles if cycle in finance.cycles for n in finance.cycles[cycle].entries]
    if narrowest is not None:
        return sorted({finance.entries[n - 1].change if by_update else n for n in narrowest})
    since = _time(asked, "last_updated_from")
    if by_update:
        first = 0 if since is None else bisect_left(finance.changes, since, key=lambda change: change[0])
        return range(first, len(finance.changes))
    begin, end = _time(asked, "date_created_from"), _time(asked, "date_created_to")
    first = 0 if begin is None else bisect_left(finance.entries, begin, key=lambda entry: entry.created_at)
    last = len(finance.entries) if end is None else bisect_right(finance.entries, end, key=lambda entry: entry.created_at)
    return range(first + 1, last + 1)


def _wanted(account: Account, asked: Mapping[str, Any]) -> Callable[[Entry], bool]:
    lists = [(field, set(values)) for name, field in LISTS.items() if (values := _listed(asked, name))]
    nowhere = any(is_ not in values for name, is_ in ELSEWHERE.items() if (values := _listed(asked, name)))
    nowhere = nowhere or bool(_listed(asked, "order_reference_for_customer")) or "accounting_document_id" in asked
    references = set(_listed(asked, "order_reference_for_seller"))
    others = set(_listed(asked, "other_reference"))
    number = asked.get("accounting_document_number")
    times = [
        (field, _time(asked, f"{name}_from"), _time(asked, f"{name}_to"))
        for name, field in (("date_created", "created_at"), ("last_updated", "updated_at"), ("transaction_date", "transaction_at"))
    ]
    times = [each for each in times if each[1:] != (None, None)]

    def wanted(entry: Entry) -> bool:
        if entry.lost or nowhere or any(getattr(entry, field) not in values for field, values in lists):
            return False
        if references and (entry.order is None or account.orders[entry.order].seller_reference not in references):
            return False
        if others and (entry.item is None or entry.item.reference not in others):
            return False
        if number is not None and entry.document != number:
            return False
        return all(_between(getattr(entry, field), begin, end) for field, begin, end in times)

    return wanted


def _between(at: datetime | None, begin: datetime | None, end: datetime | None) -> bool:
    return at is not None and (begin is None or at >= begin) and (end is None or at <= end)


def _listed(asked: Mapping[str, Any], name: str) -> list[str]:
    return [value for text in asked.get(name) or () for value in str(text).split(",")]


def _time(asked: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(asked[name]).astimezone(UTC) if asked.get(name) else None


def row(account: Account, entry: Entry) -> dict[str, Any]:
    """A line as TL02 and TL05 tell it. What is not known of it is left out."""
    switches = account.switches

    def money(amount: int) -> Decimal:
        return number(amount, account.currency)

    def when(at: datetime | None) -> str | None:
        return moment(at, milliseconds=switches.milliseconds)

    shown = {
        "accounting_document_creation_date": when(entry.document_at),
        "accounting_document_number": entry.document,
        "seller_billing_cycle_id": entry.cycle,
    }
    return {
        "id": entry.id,
        "type": entry.type,
        "amount": money(entry.amount if switches.amount_sign == "signed" else abs(entry.amount)),
        "amount_credited": money(max(0, entry.amount)),
        "amount_debited": money(max(0, -entry.amount)),
        "balance": money(entry.balance),
        "psp_balance": money(entry.balance),
        "currency_iso_code": account.currency,
        "date_created": when(entry.created_at),
        "last_updated": when(entry.updated_at),
        "entities": _entities(account, entry),
        "pay_out_psp_code": "NOT_SPECIFIED",
        "payment_state": entry.state,
        **{name: value for name, value in shown.items() if value is not None},
    }


def _entities(account: Account, entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if entry.order is not None:
        order = account.orders[entry.order]
        found |= {
            "domain": "PRODUCT",
            "order": {
                "id": order.id,
                "commercial_id": order.commercial_id,
                "creation_date": moment(order.created_at),
                "payment_info": {"payment_type": "CARD"},
                "references": {"order_reference_for_seller": order.seller_reference},
            },
        }
    for name, is_ in (("order_line", entry.line), ("refund", entry.refund), ("shipment", entry.shipment)):
        if is_ is not None:
            found[name] = {"id": is_}
    if entry.tax is not None:
        found["order_tax"] = {"code": entry.tax, "rate": Decimal(entry.tax_rate or "0")}
    if entry.shop_tax is not None:
        found["shop_tax"] = {"code": entry.shop_tax, "rate": Decimal(entry.tax_rate or "0")}
    if entry.fee is not None:
        found["order_fee"] = {"code": entry.fee}
    if entry.seller_fee is not None:
        found["fee"] = {"code": entry.seller_fee, "refunds": [], "cancelations": []}
    if entry.item is not None:
        item = entry.item
        references = [{"type": "EXTERNAL", "value": item.reference}] if item.reference else []
        found["one_off_item"] = {
            "description": item.description,
            "quantity": item.quantity,
            "unit_price": number(item.unit_price, account.currency),
            "operation_date": f"{item.on:%Y-%m-%d}",
            "references": references,
        }
    if entry.manual is not None:
        found["manual_accounting_document"] = {"number": entry.manual, "emission_date": moment(entry.created_at)}
    if entry.transaction is not None:
        found["transaction_info"] = {"number": entry.transaction, "date": moment(entry.transaction_at)}
    return found
