"""The marketplace's books: whether they add up. A connector cannot break them; somebody in finance must know where they are wrong."""

from collections.abc import Iterator
from decimal import Decimal

from ops.sandbox.referee.case import Case, Finding, Row, amount


def _entries(case: Case) -> list[Row]:
    """Lines as they are shown."""
    return [entry for entry in case.state["mirakl"]["ledger"] if not entry.get("lost")]


def cycles_add_up(case: Case) -> Iterator[Finding]:
    """L1: what a cycle pays out is the sum of its lines; all of them together, the payment included, are nothing."""
    sums: dict[str, Decimal] = {}
    paid: dict[str, bool] = {}
    for entry in _entries(case):
        if cycle := entry.get("cycle"):
            sums[cycle] = sums.get(cycle, Decimal(0)) + amount(entry["amount"])
            paid[cycle] = paid.get(cycle, False) or entry["type"] == "PAYMENT"
    for cycle in case.state["mirakl"]["money"]["cycles"]:
        out = amount(cycle["to_seller"]) - amount(cycle["to_operator"])
        rest = sums.get(cycle["id"], Decimal(0)) - (Decimal(0) if paid.get(cycle["id"]) else out)
        if rest:
            yield Finding(rule="L1", subject=f"cycle {cycle['id']}", says=f"its lines and what it paid out differ by {rest}", level="open")


def orders_are_booked_in_full(case: Case) -> Iterator[Finding]:
    """L2: what the books say an order's goods came to is what the order says."""
    booked: dict[str, Decimal] = {}
    for entry in _entries(case):
        if entry["type"] in ("ORDER_AMOUNT", "ORDER_AMOUNT_TAX") and (line := entry.get("line")):
            booked[line] = booked.get(line, Decimal(0)) + amount(entry["amount"])
    for order in case.orders:
        for line in order["lines"]:
            found, price = booked.get(line["order_line_id"]), amount(line["price"])
            if found is not None and found != price:
                says = f"line {line['order_line_id']} is booked with {found}, and cost {price}"
                yield Finding(rule="L2", subject=order["order_id"], says=says, level="open")


def commissions_are_as_agreed(case: Case) -> Iterator[Finding]:
    """L3: an order is charged the commission that its lines tell, tax included."""
    charged: dict[str, Decimal] = {}
    for entry in _entries(case):
        if entry["type"] in ("COMMISSION_FEE", "COMMISSION_VAT") and (line := entry.get("line")):
            charged[line] = charged.get(line, Decimal(0)) - amount(entry["amount"])
    for order in case.orders:
        for line in order["lines"]:
            found, agreed = charged.get(line["order_line_id"]), amount(line["commission"])
            if found is not None and found != agreed:
                says = f"line {line['order_line_id']} is charged {found} of commission, and tells {agreed}"
                yield Finding(rule="L3", subject=order["order_id"], says=says, level="open")


def balances_are_the_sums(case: Case) -> Iterator[Finding]:
    """L4: what the account says is pending and payable is the sum of the lines that are."""
    balances = case.state["mirakl"]["money"]["balances"]
    for state in ("PENDING", "PAYABLE"):
        lines = sum((amount(entry["amount"]) for entry in _entries(case) if entry["payment_state"] == state), Decimal(0))
        shown = amount(balances[f"{state.lower()}_balance"])
        if lines != shown:
            yield Finding(rule="L4", subject=f"{state.lower()} balance", says=f"{shown} shown, the lines come to {lines}", level="open")


RULES = (cycles_add_up, orders_are_booked_in_full, commissions_are_as_agreed, balances_are_the_sums)
