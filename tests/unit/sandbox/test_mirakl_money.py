"""The marketplace's books: what orders bring, when it is due, cycles, payouts, invoices; and what is wrong with them on demand."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ops.sandbox.mirakl.state import Switches
from ops.sandbox.mirakl.summary import PUBLISHED
from ops.sandbox.plan import Plan
from tests.unit.sandbox.desk import Desk
from tests.unit.sandbox.identities import Books, read, read_ledger, seek, signed, total

LEDGER = "/api/sellerpayment/transactions_logs"
CYCLES = "/api/seller-billing-cycles"
OPERATORS_FEE = "OPERATOR_REMITTED_ORDER_FEE_AMOUNT"
FIRST_CYCLE = datetime(2026, 12, 1, tzinfo=UTC)


def desk_with(**switches: Any) -> Desk:
    return Desk(Plan(skus=6, offers_open="at_stock", least_stock=500, most_stock=600, mirakl=Switches(**switches)))


def sold(desk: Desk) -> str:
    """An order that the buyer has paid for."""
    return desk.shippable()


def sent(desk: Desk, order: str | None = None) -> str:
    """And that has left."""
    order = order or sold(desk)
    assert desk.mirakl("PUT", f"/api/orders/{order}/tracking", {"carrier_code": "RM", "tracking_number": "AB1"}).status == 204
    assert desk.mirakl("PUT", f"/api/orders/{order}/ship").status == 204
    return order


def until(desk: Desk, at: datetime, **later: float) -> None:
    desk.later((at - desk.clock.at + timedelta(**later)).total_seconds())


def does(desk: Desk, operation: str, **arguments: Any) -> Any:
    return desk.world.apply(f"mirakl.{operation}", arguments, desk.clock.at)


def types(desk: Desk, **query: Any) -> list[str]:
    return [row["type"] for row in read_ledger(desk, **query)]


def refund(desk: Desk, order: str, amount: str, **more: Any) -> None:
    line = desk.world.account.orders[order].lines[0].id
    wanted = {"order_line_id": line, "amount": float(amount), "shipping_amount": 0, "reason_code": "17", "currency_iso_code": "GBP"}
    reply = desk.mirakl("PUT", "/api/orders/refund", {"order_tax_mode": "TAX_INCLUDED", "refunds": [wanted | more]})
    assert reply.status == 200, reply.body
    desk.later(hours=1)


# ------------------------------------------------------------------------------------------------------- what orders bring


def test_nothing_is_booked_until_the_buyer_has_paid() -> None:
    desk = desk_with()
    order = desk.bought()
    desk.accept(order)
    assert types(desk) == []
    desk.later(120)
    assert set(types(desk)) == {"ORDER_AMOUNT", "ORDER_SHIPPING_AMOUNT", "COMMISSION_FEE", "COMMISSION_VAT"}
    assert {row["payment_state"] for row in read_ledger(desk)} == {"PENDING"}
    assert {row["entities"]["order"]["id"] for row in read_ledger(desk)} == {order}


@pytest.mark.parametrize("event", ["SHIPPED", "RECEIVED"])
def test_when_money_is_due_is_a_switch(event: Any) -> None:
    desk = desk_with(payable_after=event, receive_hours=24)
    sent(desk)
    states = {row["payment_state"] for row in read_ledger(desk)}
    assert states == ({"PAYABLE"} if event == "SHIPPED" else {"PENDING"})
    desk.later(hours=24)
    assert {row["payment_state"] for row in read_ledger(desk)} == {"PAYABLE"}


def test_days_may_pass_before_it_is_due() -> None:
    desk = desk_with(payable_after="SHIPPED", payable_days=3)
    sent(desk)
    desk.later(hours=71)
    assert {row["payment_state"] for row in read_ledger(desk)} == {"PENDING"}
    desk.later(hours=1)
    assert {row["payment_state"] for row in read_ledger(desk)} == {"PAYABLE"}


@pytest.mark.parametrize("mode", ["apart", "within", "tax_mode"])
def test_taxes_stand_beside_the_amount_or_within_it(mode: Any) -> None:
    desk = desk_with(ledger_taxes=mode)
    for _ in range(8):
        sold(desk)
    beside = any(kind == "ORDER_AMOUNT_TAX" for kind in types(desk))
    assert beside == (mode == "apart") and Books(desk).broken() == set()


def test_taxes_that_the_operator_remits_are_credited_and_taken_back() -> None:
    desk = desk_with(taxes_remitted_by_operator=True, payable_after="SHIPPED")
    orders = [sent(desk) for _ in range(6)]
    refund(desk, orders[0], "1.00")
    kinds = types(desk)
    assert kinds.count("OPERATOR_REMITTED_ORDER_AMOUNT_TAX") == kinds.count("ORDER_AMOUNT_TAX") > 0
    until(desk, FIRST_CYCLE, days=2)
    assert Books(desk).broken() == set()


@pytest.mark.parametrize(("way", "sign"), [("debit", -1), ("credit", 1)])
def test_shipping_that_the_operator_pays_is_a_debit_or_a_credit(way: Any, sign: int) -> None:
    desk = desk_with(operator_pays_shipping=True, operator_paid_shipping=way, payable_after="SHIPPED")
    for _ in range(8):
        sent(desk)
    paid = [row for row in read_ledger(desk) if row["type"] == "OPERATOR_PAID_ORDER_SHIPPING_AMOUNT"]
    assert paid and all(signed(row) * sign > 0 for row in paid)
    until(desk, FIRST_CYCLE, days=2)
    assert Books(desk).broken() == set()


@pytest.mark.parametrize("how", ["signed", "positive"])
def test_the_sign_of_amount_is_a_switch_and_the_pair_is_not(how: Any) -> None:
    desk = desk_with(amount_sign=how)
    sold(desk)
    debits = [row for row in read_ledger(desk) if row["amount_debited"]]
    assert debits and all((row["amount"] < 0) == (how == "signed") for row in debits)
    assert all(row["amount_credited"] >= 0 and row["amount_debited"] >= 0 for row in read_ledger(desk))


@pytest.mark.parametrize(("written", "per_code"), [(False, False), (True, False), (True, True)])
def test_lines_of_nothing_are_written_or_not_or_for_each_tax_code(written: bool, per_code: bool) -> None:
    desk = desk_with(zero_lines=written, lines_per_tax_code=per_code)
    for _ in range(6):
        sold(desk)
    nothing = [row for row in read_ledger(desk) if not signed(row)]
    assert bool(nothing) == written
    by_line = [(row["type"], row["entities"]["order_line"]["id"]) for row in nothing]
    assert (len(by_line) > len(set(by_line))) == per_code
    assert Books(desk).broken() == set()


def test_a_refund_brings_the_commission_back() -> None:
    desk = desk_with(payable_after="SHIPPED")
    order = sent(desk)
    refund(desk, order, "2.50")
    back = {row["type"]: signed(row) for row in read_ledger(desk) if "refund" in row["entities"]}
    assert back["REFUND_ORDER_AMOUNT"] == Decimal("-2.50") and back["REFUND_COMMISSION_FEE"] == Decimal("0.50")
    assert Books(desk).broken() == set()


def test_a_refund_before_the_order_is_due_waits_with_it() -> None:
    desk = desk_with()
    order = sold(desk)
    refund(desk, order, "1.00")
    assert {row["payment_state"] for row in read_ledger(desk)} == {"PENDING"}
    sent(desk, order)
    desk.later(hours=80)
    assert {row["payment_state"] for row in read_ledger(desk)} == {"PAYABLE"}


def test_an_open_incident_holds_the_money_back() -> None:
    desk = desk_with(payable_after="RECEIVED", receive_hours=24)
    order = sent(desk)
    line = desk.world.account.orders[order].lines[0].id
    does(desk, "open_incident", order_line_id=line)
    desk.later(hours=30)
    assert {row["payment_state"] for row in read_ledger(desk)} == {"PENDING"}
    does(desk, "close_incident", order_id=order, line_id=line, reason_code="51")
    assert {row["payment_state"] for row in read_ledger(desk)} == {"PAYABLE"}


@pytest.mark.parametrize(
    ("workflow", "booked"),
    [
        ("PAY_ON_ACCEPTANCE", "SHIPPING"),
        ("PAY_ON_SHIPMENT", "SHIPPED"),
        ("NO_CUSTOMER_PAYMENT_CONFIRMATION", "SHIPPED"),
        ("PAY_ON_DELIVERY", "RECEIVED"),
        ("PAY_ON_DUE_DATE", "CLOSED"),
    ],
)
def test_an_order_is_booked_when_its_buyer_pays(workflow: Any, booked: str) -> None:
    desk = desk_with(payment_workflow=workflow, receive_hours=24, close_hours=48, payment_days=4, payable_after="SHIPPED")
    order = sold(desk)
    seen: dict[str, bool] = {"SHIPPING": bool(types(desk))}
    sent(desk, order)
    for state, hours in (("SHIPPED", 1), ("RECEIVED", 24), ("CLOSED", 24 * 6)):
        desk.later(hours=hours)
        assert desk.world.account.orders[order].state == state
        seen[state] = bool(types(desk))
    assert next(state for state, there in seen.items() if there) == booked
    assert {row["payment_state"] for row in read_ledger(desk)} <= {"PAYABLE", "PAID"}, "what is paid late is due at once"
    assert Books(desk).broken() == set()


@pytest.mark.parametrize("remitted", [True, False])
def test_fees_of_buyers_are_lines_of_their_own(remitted: bool) -> None:
    desk = desk_with(fees=1.0, fees_remitted_by_operator=remitted, payable_after="SHIPPED")
    order = sent(desk)
    fees = {name: total(row for row in read_ledger(desk) if row["type"] == name) for name in ("ORDER_FEE_AMOUNT", OPERATORS_FEE)}
    paid = sum(fee.amount for line in desk.world.account.orders[order].lines for fee in line.fees)
    assert fees == {"ORDER_FEE_AMOUNT": Decimal(paid) / 100, OPERATORS_FEE: -Decimal(paid) / 100 if remitted else 0} and paid
    does(desk, "operator_refund", order_line_id=desk.world.account.orders[order].lines[0].id)
    desk.later(hours=1)
    assert "REFUND_ORDER_FEE_AMOUNT" in types(desk)
    until(desk, FIRST_CYCLE, days=2)
    assert Books(desk).broken() == set()


# ------------------------------------------------------------------------------------------------------------------ cycles


def test_a_cycle_takes_what_is_due_and_the_bank_is_paid_a_day_later() -> None:
    desk = desk_with(payable_after="SHIPPED")
    sent(desk)
    waiting = sold(desk)
    until(desk, FIRST_CYCLE)
    [cycle] = seek(desk, CYCLES)
    assert cycle["date_created"] == "2026-12-01T00:00:00Z" and cycle["pay_out"] == {"state": "TO_PAY"}
    rows = list(read_ledger(desk, seller_billing_cycle_id=cycle["id"]))
    assert total(rows) == cycle["amount_transferred_to_seller"] > 0
    assert all(row["entities"]["order"]["id"] != waiting and row["payment_state"] == "PAYABLE" for row in rows)
    desk.later(hours=24)
    [cycle] = seek(desk, CYCLES)
    assert cycle["pay_out"]["state"] == "PAID" and cycle["pay_out"]["reference"]
    rows = list(read_ledger(desk, seller_billing_cycle_id=cycle["id"]))
    [payment] = [row for row in rows if row["type"] == "PAYMENT"]
    assert signed(payment) == -cycle["amount_transferred_to_seller"] and total(rows) == 0
    assert payment["entities"]["transaction_info"]["number"] == cycle["pay_out"]["reference"]
    assert {row["payment_state"] for row in rows} == {"PAID"}
    assert Books(desk).broken() == set()


@pytest.mark.parametrize("mode", ["apart", "within"])
def test_a_summary_tells_amounts_with_and_without_tax_however_lines_do(mode: Any) -> None:
    desk = desk_with(payable_after="SHIPPED", ledger_taxes=mode)
    for _ in range(6):
        sent(desk)
    until(desk, FIRST_CYCLE)
    told = next(seek(desk, CYCLES))["summary"]
    for form, tax_mode in (("incl", "TAX_INCLUDED"), ("excl", "TAX_EXCLUDED")):
        orders = read(desk, "/api/orders", order_tax_mode=tax_mode)["orders"]
        assert told[f"total_payable_orders_{form}_tax"] == sum(order["total_price"] for order in orders)
        lines = [line for order in orders for line in order["order_lines"]]
        charged = sum(line["commission_fee" if form == "excl" else "total_commission"] for line in lines)
        assert told[f"total_commissions_{form}_tax"] == -charged
    assert told["total_payable_orders_incl_tax"] > told["total_payable_orders_excl_tax"]


def test_lines_change_after_they_were_written() -> None:
    desk = desk_with(payable_after="SHIPPED", invoice_hours=6)
    sent(desk)
    before = {row["id"]: row for row in read_ledger(desk)}
    until(desk, FIRST_CYCLE, hours=12)
    after = {row["id"]: row for row in read_ledger(desk)}
    assert before.keys() == after.keys()
    for number, row in after.items():
        was = before[number]
        assert row["last_updated"] > was["last_updated"] and row["date_created"] == was["date_created"]
        assert "seller_billing_cycle_id" not in was and row["seller_billing_cycle_id"]
        assert "accounting_document_number" not in was and row["accounting_document_creation_date"] == "2026-12-01T06:00:00.000Z"


@pytest.mark.parametrize(
    ("switches", "days"),
    [
        ({}, ["2026-12-01", "2026-12-11", "2026-12-21", "2027-01-01"]),
        ({"billing_days": (1,)}, ["2026-12-01", "2027-01-01"]),
        ({"billing_days": (31,)}, ["2026-11-30", "2026-12-31"]),
        ({"billing_hours": 400}, ["2026-12-10", "2026-12-26"]),
    ],
)
def test_cycles_come_on_their_days(switches: dict[str, Any], days: list[str]) -> None:
    desk = desk_with(empty_cycles=True, **switches)
    until(desk, datetime(2027, 1, 2, tzinfo=UTC))
    assert [cycle["date_created"][:10] for cycle in seek(desk, CYCLES)] == days


def test_a_calendar_that_is_changed_holds_from_then_on() -> None:
    desk = desk_with(empty_cycles=True)
    desk.world.switch("mirakl", desk.clock.at, billing_days=[25])
    until(desk, datetime(2026, 12, 26, tzinfo=UTC))
    assert [cycle["date_created"][:10] for cycle in seek(desk, CYCLES)] == ["2026-11-25", "2026-12-25"]


def test_less_than_nothing_is_carried_over() -> None:
    desk = desk_with(payable_after="SHIPPED", subscription=3000)
    until(desk, FIRST_CYCLE, hours=1)
    assert list(seek(desk, CYCLES)) == []
    assert read(desk, "/api/account")["payment_details"]["payable_balance"] == Decimal("-36.00")
    for _ in range(5):
        sent(desk)
    until(desk, datetime(2026, 12, 13, tzinfo=UTC))
    [cycle] = seek(desk, CYCLES)
    assert cycle["summary"]["total_subscription_incl_tax"] == Decimal("-36.00") and Books(desk).broken() == set()


def test_or_is_asked_for() -> None:
    desk = desk_with(subscription=3000, negative_cycles="to_operator")
    until(desk, FIRST_CYCLE, days=2)
    [cycle] = seek(desk, CYCLES)
    assert (cycle["amount_transferred_to_seller"], cycle["amount_transferred_to_operator"]) == (0, 36)
    assert Books(desk).broken() == set()


def test_the_subscription_is_charged_once_a_month() -> None:
    desk = desk_with(subscription=1000, negative_cycles="to_operator", empty_cycles=True)
    until(desk, datetime(2027, 1, 2, tzinfo=UTC))
    assert types(desk).count("SUBSCRIPTION_FEE") == 2 and len(list(seek(desk, CYCLES))) == 4


@pytest.mark.parametrize("reason", ["INCOMPLETE_KYC", "AWAITING_INVOICE_CHECK"])
def test_a_payout_that_fails_is_tried_again(reason: Any) -> None:
    desk = desk_with(payable_after="SHIPPED", payouts_fail=reason)
    sent(desk)
    until(desk, FIRST_CYCLE, days=2)
    [cycle] = seek(desk, CYCLES)
    assert cycle["pay_out"] == {"state": "FAILED", "failure_reason": reason}
    assert read(desk, "/api/invoices", payment_status="FAILED")["invoices"][0]["payment"]["failure_reason"] == reason
    desk.world.switch("mirakl", desk.clock.at, payouts_fail="")
    desk.later(hours=24)
    assert next(seek(desk, CYCLES))["pay_out"]["state"] == "PAID" and Books(desk).broken() == set()


def test_a_reserve_is_held_back_up_to_its_target_and_given_back() -> None:
    desk = desk_with(payable_after="SHIPPED", reserve_rate="10", reserve_target=500, reserve_cycles=2)
    for _ in range(3):
        for _ in range(4):
            sent(desk)
        desk.later(hours=24 * 10)
    kinds = types(desk)
    assert "RESERVE_FUNDING" in kinds and read(desk, "/api/account")["payment_details"]["reserve_balance"] <= Decimal("5.00")
    desk.later(hours=24 * 30)
    sent(desk)
    desk.later(hours=24 * 12)
    assert "RESERVE_SETTLEMENT" in types(desk) and Books(desk).broken() == set()


def test_the_operator_gives_the_reserve_back_when_it_likes() -> None:
    desk = desk_with(payable_after="SHIPPED", reserve_rate="50")
    sent(desk)
    until(desk, FIRST_CYCLE, days=2)
    assert read(desk, "/api/account")["payment_details"]["reserve_balance"] > 0
    does(desk, "release_reserve")
    assert read(desk, "/api/account")["payment_details"]["reserve_balance"] == 0
    desk.later(hours=24 * 11)
    assert len(list(seek(desk, CYCLES))) == 2 and Books(desk).broken() == set()


def test_other_charges_and_credits_are_lines_and_documents() -> None:
    desk = desk_with(payable_after="SHIPPED", fee_on_order=40, late_penalty=250, ship_hours=1)
    order = sold(desk)
    desk.later(hours=2)
    sent(desk, order)
    does(desk, "penalise", amount=300)
    does(desk, "manual_document", kind="MANUAL_CREDIT", amount=1000, description="Goodwill")
    does(desk, "manual_document", kind="MANUAL_INVOICE", amount=700, description="Photography", order=order)
    does(desk, "one_off", amount=-200, description="Labels", quantity=2, reference="L-1")
    does(desk, "one_off", amount=90, description="Prize")
    kinds = types(desk)
    assert kinds.count("SELLER_PENALTY_FEE") == 2, "one of them for shipping late"
    for kind in ("SELLER_FEE_ON_ORDER", "MANUAL_CREDIT", "MANUAL_INVOICE", "INVOICEABLE_ONE_OFF_DEBIT", "INVOICEABLE_ONE_OFF_CREDIT"):
        assert kind in kinds and (f"{kind}_TAX" in kinds or f"{kind}_VAT" in kinds)
    assert types(desk, other_reference="L-1") == ["INVOICEABLE_ONE_OFF_DEBIT", "INVOICEABLE_ONE_OFF_DEBIT_TAX"]
    until(desk, FIRST_CYCLE, days=2)
    documents = read(desk, "/api/invoices", type="ALL")["invoices"]
    assert [one["type"] for one in documents] == ["MANUAL_CREDIT", "MANUAL_INVOICE", "AUTO_INVOICE"]
    assert {one["seller_billing_cycle_id"] for one in documents} == {next(seek(desk, CYCLES))["id"]}
    assert Books(desk).broken() == set()


@pytest.mark.parametrize(("form", "kind"), [("SELLER_PENALTY_FEE", "SELLER_PENALTY_FEE"), ("MANUAL_INVOICE", "MANUAL_INVOICE")])
def test_what_a_penalty_is_called_is_a_switch(form: Any, kind: str) -> None:
    desk = desk_with(penalty_as=form)
    does(desk, "penalise", amount=300)
    assert types(desk)[0] == kind


def test_invoices_are_those_of_cycles_unless_all_are_asked_for() -> None:
    desk = desk_with(payable_after="SHIPPED")
    sent(desk)
    does(desk, "manual_document", kind="MANUAL_INVOICE", amount=700, description="Photography")
    until(desk, FIRST_CYCLE, days=2)
    [invoice] = read(desk, "/api/invoices")["invoices"]
    assert invoice["type"] == "AUTO_INVOICE" and invoice["payment"]["state"] == "PAID"
    assert read(desk, "/api/invoices", type="ALL")["total_count"] == 2
    file = desk.mirakl("GET", f"/api/invoices/{int(invoice['invoice_id'])}")
    assert file.body.startswith(b"%PDF-") and file.body.rstrip().endswith(b"%%EOF") and file.kind == "application/octet-stream"
    assert desk.mirakl("GET", "/api/invoices/1").status == 404


def test_where_payments_are_confirmed_documents_wait_for_the_operator() -> None:
    desk = desk_with(payable_after="SHIPPED", payment_confirmation=True)
    sent(desk)
    until(desk, FIRST_CYCLE, days=2)
    [invoice] = read(desk, "/api/invoices")["invoices"]
    assert invoice["payment"]["state"] == "PENDING" and next(seek(desk, CYCLES))["pay_out"]["state"] == "PAID"
    does(desk, "confirm_document", invoice_id=int(invoice["invoice_id"]))
    assert read(desk, "/api/invoices")["invoices"][0]["payment"]["state"] == "PAID"


# ----------------------------------------------------------------------------------------------------------- what is wrong


def settled(**switches: Any) -> Desk:
    """A cycle that was paid, and orders that are pending still."""
    desk = desk_with(payable_after="SHIPPED", taxes_remitted_by_operator=True, subscription=100, **switches)
    for _ in range(4):
        sent(desk)
    until(desk, FIRST_CYCLE, days=2)
    for _ in range(4):
        sold(desk)
    assert Books(desk).broken() == set()
    return desk


def an_entry(desk: Desk, kind: str, state: str) -> dict[str, Any]:
    return next(row for row in read_ledger(desk) if row["type"] == kind and row["payment_state"] == state and signed(row))


@pytest.mark.parametrize(
    ("kind", "state", "broken"),
    [
        ("ORDER_AMOUNT", "PAID", {"L1", "L2", "L4", "S3"}),
        ("ORDER_AMOUNT", "PENDING", {"L2", "L4"}),
        ("COMMISSION_VAT", "PENDING", {"L2", "L3", "L4"}),
        ("SUBSCRIPTION_FEE", "PAID", {"L1", "L4", "S3"}),
        ("OPERATOR_REMITTED_ORDER_AMOUNT_TAX", "PENDING", {"L4", "L5"}),
    ],
)
def test_a_line_that_is_missing_is_missed(kind: str, state: str, broken: set[str]) -> None:
    desk = settled()
    does(desk, "lose_entry", entry=an_entry(desk, kind, state)["id"])
    assert Books(desk).broken() == broken


@pytest.mark.parametrize(("state", "broken"), [("PENDING", {"L2"}), ("PAID", {"L1", "L2", "S3"})])
def test_a_line_that_is_restated_keeps_its_id(state: str, broken: set[str]) -> None:
    desk = settled()
    row = an_entry(desk, "ORDER_AMOUNT", state)
    does(desk, "restate_entry", entry=row["id"], amount=1)
    [now] = [one for one in read_ledger(desk) if one["id"] == row["id"]]
    assert signed(now) == Decimal("0.01") and now["last_updated"] > row["last_updated"]
    assert Books(desk).broken() == broken


def test_a_commission_that_is_wrong_is_wrong_on_the_ledger_alone() -> None:
    desk = settled()
    does(desk, "overcharge", amount=37)
    sent(desk)
    assert Books(desk).broken() == {"L2"}
    until(desk, FIRST_CYCLE, days=12)
    assert Books(desk).broken() == {"L2"}, "it is paid out as it was charged"


def test_a_type_that_nobody_published_is_in_no_summary() -> None:
    desk = settled()
    does(desk, "book", kind="LOYALTY_BONUS", amount=500)
    assert "LOYALTY_BONUS" in types(desk)
    until(desk, FIRST_CYCLE, days=12)
    assert Books(desk).broken() == {"S1"}


def test_a_summary_and_an_invoice_can_be_wrong_each_by_itself() -> None:
    desk = settled()
    cycle = next(seek(desk, CYCLES))["id"]
    does(desk, "miscount_cycle", cycle=cycle, key="total_payable_orders_incl_tax", amount=5)
    assert Books(desk).broken() == {"S1"}
    does(desk, "miscount_cycle", cycle=cycle, key="total_payable_orders_incl_tax", amount=-5)
    does(desk, "misprint_document", invoice_id=int(read(desk, "/api/invoices")["invoices"][0]["invoice_id"]), amount=5)
    assert Books(desk).broken() == {"S2"}


def test_every_published_type_can_be_had() -> None:
    desk = desk_with()
    contract = desk.sandbox.api.contract
    operation = next(one for one in contract.operations if one.code == "TL02")
    parameter = next(one for one in operation.spec["parameters"] if one["name"] == "transaction_type")
    published = set(parameter["schema"]["items"]["enum"])
    assert published == PUBLISHED
    for kind in sorted(published):
        does(desk, "book", kind=kind, amount=10)
    assert set(types(desk)) == published
    assert types(desk, transaction_type="RESERVE_FUNDING") == ["RESERVE_FUNDING"]


# ----------------------------------------------------------------------------------------------------------- how it is read


def test_the_log_may_be_closed_to_a_key() -> None:
    desk = desk_with(ledger_role=False)
    assert desk.mirakl("GET", LEDGER, limit=1).status == 403


def test_pages_go_on_as_they_were_asked_for_first() -> None:
    desk = desk_with()
    for _ in range(4):
        sold(desk)
    every = [row["id"] for row in read_ledger(desk)]
    first = read(desk, LEDGER, limit=3, transaction_type="ORDER_AMOUNT", sort="dateCreated,ASC")
    second = read(desk, LEDGER, page_token=first["next_page_token"], limit=9, transaction_type="COMMISSION_FEE")
    assert len(first["data"]) == 3 and {row["type"] for row in second["data"]} == {"ORDER_AMOUNT"}, "the token says all there is to say"
    assert "previous_page_token" not in first
    back = read(desk, LEDGER, page_token=second["previous_page_token"])
    assert back["data"] == first["data"] and "previous_page_token" not in back
    seen = [row["id"] for row in read_ledger(desk, limit=7)]
    assert seen == every and [row["id"] for row in seek(desk, LEDGER, limit=5)] == every[::-1], "the latest first unless asked otherwise"
    assert desk.mirakl("GET", LEDGER, page_token="bm9uc2Vuc2U=").status == 400
    assert desk.mirakl("GET", LEDGER, limit=2001).status == 400
    assert len(read(desk, LEDGER)["data"]) == 10


def test_by_last_update_each_line_comes_once_where_it_stands_now() -> None:
    desk = desk_with(payable_after="SHIPPED")
    orders = [sold(desk) for _ in range(3)]
    desk.later(hours=1)
    since = desk.clock.at
    sent(desk, orders[0])
    changed = list(read_ledger(desk, sort="lastUpdated,ASC", last_updated_from=since.isoformat()))
    assert {row["entities"]["order"]["id"] for row in changed} == {orders[0]}
    every = [row["id"] for row in read_ledger(desk, sort="lastUpdated,DESC", limit=4)]
    assert len(every) == len(set(every)) == len(types(desk))
    assert set(every[: len(changed)]) == {row["id"] for row in changed}


def test_filters_narrow_the_log() -> None:
    desk = desk_with(payable_after="SHIPPED")
    one = sent(desk)
    since = desk.clock.at.isoformat()
    other = sold(desk)
    desk.mirakl("PUT", "/api/orders", {"orders": [{"order_id": one, "references": {"order_reference_for_seller": "#1"}}]})
    line = desk.world.account.orders[one].lines[0].id

    def orders(**query: Any) -> set[str]:
        return {row["entities"]["order"]["id"] for row in read_ledger(desk, **query)}

    assert orders(order_id=one) == orders(order_line_id=line) == orders(payment_state="PAYABLE") == {one}
    assert orders(order_reference_for_seller="#1") == {one} and orders(order_id=f"{one},{other}") == {one, other}
    assert orders(date_created_from=since) == {other}
    assert types(desk, order_id="nobody") == types(desk, shop_model="DROPSHIP") == types(desk, order_reference_for_customer="x") == []
    assert types(desk, accounting_document_number="1") == types(desk, transaction_date_from=desk.clock.at.isoformat()) == []


@pytest.mark.parametrize("form", ["JSON", "NDJSON"])
def test_the_log_can_be_exported(form: str) -> None:
    desk = desk_with(export_delay=30)
    for _ in range(3):
        sold(desk)
    asked = {"format": form, "transaction_type": ["ORDER_AMOUNT"], "items_per_chunk": 2}
    tracking = json.loads(desk.mirakl("POST", f"{LEDGER}/async", asked).body)["tracking_id"]
    status = f"{LEDGER}/async/status/{tracking}"
    assert read(desk, status)["status"] == "PENDING"
    desk.later(30)
    told = read(desk, status)
    assert told["status"] == "COMPLETED" and len(told["urls"]) > 1

    def files() -> list[Any]:
        addresses = [str(url).partition("?file=") for url in told["urls"]]
        return [desk.mirakl("GET", path, file=file) for path, _, file in addresses]

    lines = [line for reply in files() for line in (json.loads(reply.body) if form == "JSON" else map(json.loads, reply.body.splitlines()))]
    assert [line["id"] for line in lines] == [row["id"] for row in read_ledger(desk, transaction_type="ORDER_AMOUNT")]
    desk.later(hours=25)
    assert {reply.status for reply in files()} == {410}, "files are not kept for ever"


def test_a_world_that_comes_back_has_the_same_books(tmp_path: Any) -> None:
    plan = Plan(skus=6, offers_open="at_stock", mirakl=Switches(payable_after="SHIPPED", subscription=100, reserve_rate="5"))
    desk = Desk(plan, journal=tmp_path / "journal")
    order = sent(desk)
    does(desk, "penalise", amount=100, order=order)
    desk.world.switch("mirakl", desk.clock.at, billing_days=[28])
    desk.mirakl("POST", "/api/offers/pricing/imports", csv=f"offer-sku;price\n{desk.sku()};7\n")
    desk.mirakl("POST", "/api/offers/stock/imports", csv=f"offer-sku;quantity\n{desk.sku()};7\n")
    desk.mirakl("POST", f"{LEDGER}/async", {})
    does(desk, "delete_offer", sku=desk.sku(1))
    until(desk, FIRST_CYCLE, days=2)
    desk.mirakl("POST", "/api/offers/export/async", {})
    desk.later(60)
    before = desk.world.snapshot()
    desk.close()
    again = Desk(plan, journal=tmp_path / "journal")
    account = again.world.account
    assert again.world.snapshot() == before and account.finance.cycles and account.offers[desk.sku()].price == 700
    assert [extract.status for extract in account.extracts.values()] == ["COMPLETED", "COMPLETED"]
    again.close()
