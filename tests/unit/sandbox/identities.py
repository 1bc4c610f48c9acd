"""What must add up between the ledger, the orders, the cycles, the invoices and the balances: read through the API, as a seller can.

Each identity has a name; `broken` says which do not hold. Amounts are decimals with tax, as they came.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.unit.sandbox.desk import Desk

ORDER = ("ORDER_AMOUNT", "ORDER_SHIPPING_AMOUNT", "ORDER_FEE_AMOUNT")
PENNY = Decimal("0.01")
USUAL_RATE = Decimal(20)  # percent, of a VAT line that is not there to say it
TERMS = (  # of S1, each with its tax
    *("total_payable_orders", "total_refund_orders", "total_commissions", "total_refund_commissions", "total_subscription"),
    *("total_other_credits", "total_other_invoices", "total_seller_fees_on_orders", "total_seller_penalty_fees", "total_fee"),
    *("total_refund_fee", "total_fee_operator_remitted", "total_refund_fee_operator_remitted"),
    *("total_operator_paid_shipping_charges", "total_refund_operator_paid_shipping_charges"),
)
SINGLE = ("total_operator_remitted_taxes", "total_refund_operator_remitted_taxes", "reserve_funding", "reserve_settlement")
INVOICED = (
    *("total_commissions", "total_refund_commissions", "total_subscription"),
    *("total_seller_fees_on_orders", "total_seller_penalty_fees"),
)


class Books:
    """Everything a seller can read about its money at one moment."""

    def __init__(self, desk: Desk) -> None:
        self.rows = list(read_ledger(desk))
        self.cycles = list(seek(desk, "/api/seller-billing-cycles", limit=1000))
        self.invoices = read(desk, "/api/invoices", max=100, type="ALL")["invoices"]
        self.balances = read(desk, "/api/account")["payment_details"]
        self.orders = list(_orders(desk))
        self.remitted = read(desk, "/api/platform/configuration")["features"]["tax_collection"]["tax_collection_by_operator"]

    def broken(self) -> set[str]:
        checks = {
            "L1": self._cycles_sum_to_nothing,
            "L2": self._lines_match_orders,
            "L3": self._vat_follows_fees,
            "L4": self._balances_match_states,
            "L5": self._remitted_taxes_cancel_out,
            "S1": self._summaries_add_up,
            "S2": self._invoices_add_up,
            "S3": self._payouts_match_lines,
        }
        return {name for name, holds in checks.items() if not holds()}

    def _cycles_sum_to_nothing(self) -> bool:
        return all(total(self._of(cycle)) == 0 for cycle in self.cycles if cycle["pay_out"]["state"] == "PAID")

    def _payouts_match_lines(self) -> bool:
        for cycle in self.cycles:
            due = cycle["amount_transferred_to_seller"] - cycle["amount_transferred_to_operator"]
            paid = [row for row in self._of(cycle) if row["type"] == "PAYMENT"]
            if total(row for row in self._of(cycle) if row["type"] != "PAYMENT") != due:
                return False
            if cycle["pay_out"]["state"] == "PAID" and total(paid) != -due:
                return False
        return True

    def _lines_match_orders(self) -> bool:
        found: dict[tuple[str, str | None, str], Decimal] = defaultdict(Decimal)
        for row in self.rows:
            about = row["entities"]
            if "order_line" in about and not row["type"].startswith("OPERATOR"):
                kind = row["type"].removesuffix("_TAX")
                found[about["order_line"]["id"], about.get("refund", {}).get("id"), kind] += signed(row)
        expected: dict[tuple[str, str | None, str], Decimal] = defaultdict(Decimal)
        for order in self.orders:
            for line in order["order_lines"]:
                if is_booked(order, line):
                    expected.update(_of_line(line))
                for refund in line["refunds"]:
                    if refund["state"] == "REFUNDED":
                        expected.update(_of_refund(line, refund))
        return all(found[key] == expected[key] for key in found.keys() | expected.keys())

    def _vat_follows_fees(self) -> bool:
        found: dict[tuple[str, str | None, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for row in self.rows:
            if row["type"] in ("COMMISSION_FEE", "COMMISSION_VAT", "REFUND_COMMISSION_FEE", "REFUND_COMMISSION_VAT"):
                about = row["entities"]
                key = about["order_line"]["id"], about.get("refund", {}).get("id"), row["type"][:6]
                found[key][row["type"][-3:]] += signed(row)
                if row["type"].endswith("VAT"):
                    found[key]["rate"] = about["shop_tax"]["rate"]
        return all(
            abs(each["VAT"]) == (abs(each["FEE"]) * each.get("rate", USUAL_RATE) / 100).quantize(PENNY, ROUND_HALF_UP)
            for each in found.values()
            if each["FEE"] or each["VAT"]
        )

    def _balances_match_states(self) -> bool:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for row in self.rows:
            if row["type"] != "PAYMENT":
                sums[row["payment_state"]] += signed(row)
        shown = {name: self.balances[f"{name.lower()}_balance"] for name in ("PENDING", "PAYABLE", "PAID", "RESERVE")}
        return all(shown[name] == (-sums[name] if name == "RESERVE" else sums[name]) for name in shown)

    def _remitted_taxes_cancel_out(self) -> bool:
        found: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
        for row in self.rows:
            kind = row["type"].removeprefix("OPERATOR_REMITTED_")
            if kind.removeprefix("REFUND_") in ("ORDER_AMOUNT_TAX", "ORDER_SHIPPING_AMOUNT_TAX"):
                about = row["entities"]
                found[about["order_line"]["id"], about.get("refund", {}).get("id"), kind, about["order_tax"]["code"]] += signed(row)
        return not self.remitted or not any(found.values())

    def _summaries_add_up(self) -> bool:
        for invoice in self.invoices:
            if "summary" in invoice:
                told = invoice["summary"]
                terms = sum((told[f"{term}_incl_tax"] for term in TERMS), Decimal(0)) + sum((told[name] for name in SINGLE), Decimal(0))
                if told["amount_transferred"] - told["amount_transferred_to_operator"] != terms:
                    return False
        return True

    def _invoices_add_up(self) -> bool:
        for invoice in self.invoices:
            if "summary" not in invoice:
                continue
            one_offs = [row for row in self.rows if row.get("seller_billing_cycle_id") == invoice["seller_billing_cycle_id"]]
            one_offs = [row for row in one_offs if row["type"].startswith("INVOICEABLE_ONE_OFF")]
            for form in ("excl", "incl"):
                items = total(row for row in one_offs if form == "incl" or not row["type"].endswith("_TAX"))
                charged = -sum((invoice["summary"][f"{term}_{form}_tax"] for term in INVOICED), Decimal(0)) - items
                if invoice[f"total_amount_{form}_taxes"] != charged:
                    return False
        return True

    def _of(self, cycle: dict[str, Any]) -> list[dict[str, Any]]:
        return [row for row in self.rows if row.get("seller_billing_cycle_id") == cycle["id"]]


def is_booked(order: dict[str, Any], line: dict[str, Any]) -> bool:
    """Whether the line's sale must be in the ledger by now."""
    if line["order_line_state"] in ("REFUSED", "CANCELED"):
        return False
    if order["payment_workflow"] == "NO_CUSTOMER_PAYMENT_CONFIRMATION":
        left = order["order_state"] in ("SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED")
        return left or any(refund["state"] == "REFUNDED" for refund in line["refunds"])
    return line["debited_date"] is not None


def _of_line(line: dict[str, Any]) -> dict[tuple[str, str | None, str], Decimal]:
    amounts = {
        "ORDER_AMOUNT": line["price"],
        "ORDER_SHIPPING_AMOUNT": line["shipping_price"],
        "ORDER_FEE_AMOUNT": sum((fee["amount"] for fee in line["fees"]), Decimal(0)),
        "COMMISSION_FEE": -line["commission_fee"],
        "COMMISSION_VAT": -sum((tax["amount"] for tax in line["commission_taxes"]), Decimal(0)),
    }
    return {(line["order_line_id"], None, kind): amount for kind, amount in amounts.items()}


def _of_refund(line: dict[str, Any], refund: dict[str, Any]) -> dict[tuple[str, str | None, str], Decimal]:
    amounts = {
        "REFUND_ORDER_AMOUNT": -refund["amount"],
        "REFUND_ORDER_SHIPPING_AMOUNT": -refund["shipping_amount"],
        "REFUND_ORDER_FEE_AMOUNT": -sum((fee["amount"] for fee in refund.get("fees") or []), Decimal(0)),
        "REFUND_COMMISSION_FEE": refund["commission_amount"],
        "REFUND_COMMISSION_VAT": sum((tax["amount"] for tax in refund["commission_taxes"]), Decimal(0)),
    }
    return {(line["order_line_id"], refund["id"], kind): amount for kind, amount in amounts.items()}


# ------------------------------------------------------------------------------------------------------------- reading


def read(desk: Desk, path: str, **query: Any) -> Any:
    """Numbers as decimals, from their literals."""
    reply = desk.mirakl("GET", path, **query)
    assert reply.status == 200, reply.body
    return json.loads(reply.body, parse_float=Decimal, parse_int=Decimal)


def seek(desk: Desk, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """Every row of a list that is paged by tokens."""
    while True:
        page = read(desk, path, **query)
        yield from page["data"]
        if "next_page_token" not in page:
            return
        query = {"page_token": page["next_page_token"]}


def read_ledger(desk: Desk, **query: Any) -> Iterator[dict[str, Any]]:
    return seek(desk, "/api/sellerpayment/transactions_logs", **{"limit": 2000, "sort": "dateCreated,ASC"} | query)


def _orders(desk: Desk) -> Iterator[dict[str, Any]]:
    offset = 0
    while True:
        page = read(desk, "/api/orders", max=100, offset=offset, order_tax_mode="TAX_INCLUDED")
        yield from page["orders"]
        offset += 100
        if offset >= page["total_count"]:
            return


def signed(row: dict[str, Any]) -> Decimal:
    credited, debited = row["amount_credited"], row["amount_debited"]
    assert isinstance(credited, Decimal) and isinstance(debited, Decimal)
    return credited - debited


def total(rows: Iterable[dict[str, Any]]) -> Decimal:
    return sum(map(signed, rows), Decimal(0))
