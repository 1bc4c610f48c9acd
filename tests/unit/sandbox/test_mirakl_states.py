"""State by state, what each call on an order is answered; and the states that follow by themselves."""

from typing import Any

import msgspec
import pytest

from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply
from tests.unit.sandbox.market import Market, message, told

LATER = "PAY_ON_DELIVERY"  # a workflow in which SHIPPING comes before the debit


def in_state(state: str) -> tuple[Market, str]:
    """A market, and an order in that state; PAID_LATER is SHIPPING before the debit."""
    workflow = LATER if state == "PAID_LATER" else "PAY_ON_ACCEPTANCE"
    market = Market(partial_cancelation="open", staging_seconds=60.0 if state == "STAGING" else 0.0, payment_workflow=workflow)
    order = market.placed(shipping_type="PUP" if state == "TO_COLLECT" else "STD")
    if state in ("STAGING", "WAITING_ACCEPTANCE"):
        return market, order
    market.accept(order, accepted=state != "REFUSED")
    match state:
        case "WAITING_DEBIT_PAYMENT":
            market.later(20)
        case "SHIPPING" | "PAID_LATER":
            market.later(61)
        case "SHIPPED" | "TO_COLLECT" | "RECEIVED" | "CLOSED":
            market.later(61)
            market.ship(order)
            market.until(hours={"SHIPPED": 0, "TO_COLLECT": 24, "RECEIVED": 72, "CLOSED": 72 + 336}[state])
        case "CANCELED":
            market.cancel(order)
    return market, order


def call(market: Market, operation: str, order: str) -> Reply:
    calls: dict[str, Any] = {
        "OR21": market.accept,
        "OR23": market.track,
        "OR24": market.ship,
        "OR28": market.refund,
        "OR29": market.cancel,
        "OR30": lambda order: market.cancel_part(order, market.line(order).unit_price / 100),
    }
    reply: Reply = calls[operation](order)
    return reply


TABLE = """
                       OR21 OR23 OR24 OR28 OR29 OR30
STAGING                 400  400  400  400  400  400
WAITING_ACCEPTANCE      204  400  400  400  400  400
WAITING_DEBIT           400  400  400  400  204  400
WAITING_DEBIT_PAYMENT   400  400  400  400  204  400
SHIPPING                400  204  204  200  400  400
PAID_LATER              400  204  204  400  204  200
SHIPPED                 400  204  400  200  400  400
TO_COLLECT              400  204  400  200  400  400
RECEIVED                400  204  400  200  400  400
CLOSED                  400  400  400  400  400  400
REFUSED                 400  400  400  400  400  400
CANCELED                400  400  400  400  400  400
"""
HEADER, *ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(
    ("state", "operation", "status"),
    [(state, operation, int(status)) for state, *statuses in ROWS for operation, status in zip(HEADER, statuses, strict=True)],
)
def test_what_a_call_is_answered_in_each_state(state: str, operation: str, status: int) -> None:
    market, order = in_state(state)
    assert market.order(order).state == {"PAID_LATER": "SHIPPING"}.get(state, state)
    before = msgspec.json.encode((market.order(order), market.account.offers))
    reply = call(market, operation, order)
    assert reply.status == status, reply.body
    if status == 400:
        assert set(told(reply, 400)) == {"status", "message"}
        assert market.order(order).state in message(reply) or operation in ("OR28", "OR30", "OR29")
        assert msgspec.json.encode((market.order(order), market.account.offers)) == before, "a refusal changes nothing"


@pytest.mark.parametrize("operation", HEADER)
def test_an_order_that_nobody_knows_is_404(operation: str) -> None:
    market, order = in_state("SHIPPING")
    market.does("hide", order_id=order, hidden=True)
    assert call(market, operation, order).status == 404, "nor one that is gone"
    market.does("hide", order_id=order, hidden=False)
    assert call(market, operation, order).status != 404, "until it is back"


def test_what_is_sent_again_after_it_was_done_is_a_conflict() -> None:
    """OR21, OR24 and OR29 are repeated safely by whoever reads the order in between; they themselves do not tell."""
    market, order = in_state("SHIPPING")
    assert [market.ship(order).status for _ in range(2)] == [204, 400] and market.order(order).state == "SHIPPED"
    market, order = in_state("WAITING_DEBIT")
    assert [market.cancel(order).status for _ in range(2)] == [204, 400] and market.order(order).state == "CANCELED"


# ------------------------------------------------------------------------------------------------------- ways of paying


@pytest.mark.parametrize(
    ("workflow", "seen"),
    [
        ("PAY_ON_ACCEPTANCE", [("WAITING_DEBIT", False), ("SHIPPING", True), ("SHIPPED", True), ("RECEIVED", True)]),
        ("PAY_ON_SHIPMENT", [("SHIPPING", False), ("SHIPPING", False), ("SHIPPED", True), ("RECEIVED", True)]),
        ("PAY_ON_DELIVERY", [("SHIPPING", False), ("SHIPPING", False), ("SHIPPED", False), ("RECEIVED", True)]),
        ("PAY_ON_DUE_DATE", [("SHIPPING", False), ("SHIPPING", False), ("SHIPPED", False), ("RECEIVED", False)]),
        ("NO_CUSTOMER_PAYMENT_CONFIRMATION", [("SHIPPING", False), ("SHIPPING", False), ("SHIPPED", False), ("RECEIVED", False)]),
    ],
)
def test_when_an_order_is_debited(workflow: Any, seen: list[tuple[str, bool]]) -> None:
    market = Market(payment_workflow=workflow, payment_days=10)
    order = market.placed()

    def look() -> tuple[str, bool]:
        shown = market.shown(order)
        assert shown["payment_workflow"] == workflow
        assert (shown["customer"]["shipping_address"] is not None) == (shown["order_state"] in ("SHIPPING", "SHIPPED", "RECEIVED"))
        return shown["order_state"], shown["customer_debited_date"] is not None

    market.accept(order)
    found = [look()]
    market.later(61)
    found.append(look())
    market.ship(order)
    market.later(61)
    found.append(look())
    market.does("operator_receive", order_id=order)
    market.later(61)
    found.append(look())
    assert found == seen
    market.until(days=10)
    assert look()[1] == (workflow != "NO_CUSTOMER_PAYMENT_CONFIRMATION"), "and on its due date"


def test_a_debit_that_is_refused_cancels_what_has_not_left() -> None:
    market = Market(debits_refused=1.0)
    order = market.placed()
    stock = market.account.offers[market.sku(0)].quantity
    market.accept(order)
    market.later(61)
    assert (market.order(order).state, market.order(order).reason) == ("CANCELED", "DEBIT_REFUSED")
    assert market.account.offers[market.sku(0)].quantity == stock + 2 and market.shown(order)["total_price"] > 0


def test_a_debit_that_is_stuck_waits_for_the_operator() -> None:
    market = Market(debits_stuck=True)
    order = market.placed()
    market.accept(order)
    market.until(days=9)
    assert market.order(order).state == "WAITING_DEBIT"
    market.does("confirm_debit", order_id=order)
    assert market.order(order).state == "SHIPPING" and market.order(order).debited_at
    other = market.placed()
    market.accept(other)
    market.does("refuse_debit", order_id=other)
    assert market.order(other).state == "CANCELED"


def test_goods_that_have_left_stay_gone_though_the_debit_is_refused() -> None:
    market = Market(debits_refused=1.0, payment_workflow="PAY_ON_SHIPMENT")
    order = market.gone()
    market.later(61)
    assert market.order(order).state == "SHIPPED" and market.order(order).debited_at is None and market.order(order).refusals == 1


# ----------------------------------------------------------------------------------------------------- before acceptance


@pytest.mark.parametrize("shown", [True, False])
def test_orders_are_staged_and_shown_then_or_not(shown: bool) -> None:
    market = Market(staging_seconds=300, staging_shown=shown)
    order = market.placed()
    assert market.asked("/api/orders")["total_count"] == market.asked("/api/orders", order_state_codes="STAGING")["total_count"] == shown
    assert market.ship(order).status == (400 if shown else 404)
    market.later(300)
    assert market.shown(order)["order_state"] == "WAITING_ACCEPTANCE" and market.accept(order).status == 204


def test_the_operator_releases_or_refuses_what_is_staged() -> None:
    market = Market(staging_seconds=9999)
    first, second = market.placed(), market.placed()
    market.does("release_staging", order_id=first)
    market.does("refuse_staging", order_id=second)
    market.later(20000)
    assert [market.order(one).state for one in (first, second)] == ["WAITING_ACCEPTANCE", "CANCELED"]


@pytest.mark.parametrize(("acceptance", "states"), [("AUTOMATIC", {"SHIPPING"}), ("BOTH", {"SHIPPING", "WAITING_ACCEPTANCE"})])
def test_the_platform_accepts_all_or_some_by_itself(acceptance: Any, states: set[str]) -> None:
    market = Market(acceptance=acceptance)
    orders = [market.placed() for _ in range(20)]
    market.later(61)
    assert {market.order(one).state for one in orders} == states
    assert all(market.shown(one)["acceptance_decision_date"] is None for one in orders)
    platform = market.asked("/api/platform/configuration")["features"]["order_workflows"]["order_acceptance"]
    assert platform == acceptance


def test_an_order_that_others_fulfil_is_not_the_shop_s() -> None:
    market = Market(receive_hours=72)
    order = market.placed(centre="OPERATOR-01")
    assert "ORDER_FULFILLED_UNAUTHORIZED" in message(market.accept(order))
    market.later(61)
    shown = market.shown(order)
    assert not shown["can_shop_ship"] and shown["fulfillment"]["center"]["code"] == "OPERATOR-01" and shown["order_state"] == "SHIPPING"
    assert market.ship(order).status == market.track(order).status == 400
    market.until(hours=24)
    assert market.order(order).state == "SHIPPED", "the operator's own warehouse has sent it"
    assert market.asked("/api/orders", fulfillment_center_code=["OPERATOR-01", "X"])["total_count"] == 1


@pytest.mark.parametrize("where", ["in_message", "in_errors"])
def test_the_codes_of_or21_come_in_either_envelope(where: Any) -> None:
    market = Market(refusal_codes=where, partial_acceptance=False)
    order = market.placed()
    path, lines = f"/api/orders/{order}/accept", [line.id for line in market.order(order).lines]

    def code(wanted: Any, path: str = path, status: int = 400) -> str:
        body = told(market.mirakl("PUT", path, {"order_lines": wanted}), status)
        assert ("errors" in body) == (where == "in_errors")
        return str(body["errors"][0]["code"] if where == "in_errors" else body["message"].partition(":")[0])

    def decisions(*accepted: bool, ids: list[str] = lines) -> list[dict[str, Any]]:
        return [{"id": one, "accepted": said} for one, said in zip(ids, accepted, strict=False)]

    assert code(decisions(True)) == "ORDER_LINE_ACCEPTANCE_DECISION_MISSING"
    assert code(decisions(True, True, ids=[lines[0]] * 2)) == "ORDER_LINE_DUPLICATE_ID"
    assert code(decisions(True, True, True, ids=[*lines, "x"])) == "ORDER_LINE_NOT_FOUND"
    assert code(decisions(True, False)) == "ORDER_PARTIAL_ACCEPTANCE_DISABLED"
    if where == "in_errors":
        assert code([None]) == "ORDER_LINE_NULL_ELEMENT" and code([{"id": "x"}]) == "VALIDATION_ERROR"
        assert code(decisions(True, True), "/api/orders/nobody/accept", 404) == "ORDER_NOT_FOUND"
    market.accept(order)
    assert code(decisions(True, True)) == "ORDER_INVALID_STATE"


# ---------------------------------------------------------------------------------------------- who else acts on an order


@pytest.mark.parametrize("state", ["STAGING", "WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT", "PAID_LATER"])
@pytest.mark.parametrize("who", ["customer_cancel", "operator_cancel"])
def test_an_order_that_is_not_paid_is_cancelled_whole_by_others(state: str, who: str) -> None:
    market, order = in_state(state)
    market.does(who, order_id=order)
    market.until(days=3)
    assert market.order(order).state == "CANCELED" and not market.line(order).refunds and market.order(order).debited_at is None


@pytest.mark.parametrize(("excluded", "state"), [("line_closed", "CLOSED"), ("line_refunded", "CLOSED"), ("ignored", "SHIPPING")])
def test_one_that_is_paid_is_refunded_and_will_not_be_shipped(excluded: Any, state: str) -> None:
    market = Market(excluded_units=excluded, multi_shipment=True)
    order = market.to_ship()
    market.does("operator_cancel", order_id=order)
    shown = market.shown(order)
    assert shown["fully_refunded"] and shown["order_state"] == state and shown["can_shop_ship"] == (state == "SHIPPING")
    left = [item["order_id"] for item in market.asked("/api/shipments/items_to_ship")["data"]]
    assert left == ([order] if state == "SHIPPING" else []), "the interplay is not documented"


@pytest.mark.parametrize("state", ["SHIPPED", "RECEIVED", "CLOSED", "REFUSED", "CANCELED"])
def test_what_has_left_or_is_over_is_cancelled_by_nobody(state: str) -> None:
    market, order = in_state(state)
    with pytest.raises(RefusedError):
        market.does("customer_cancel", order_id=order)


def test_the_back_office_ships_receives_and_closes() -> None:
    market = Market(mandatory_tracking=True)
    order = market.to_ship()
    assert "mandatory" in message(market.ship(order))
    market.does("operator_ship", order_id=order)
    market.does("operator_receive", order_id=order)
    market.does("operator_close", order_id=order)
    assert market.order(order).state == "CLOSED" and market.line(order).received_at


def test_tracking_can_be_mandatory_for_some_methods_only() -> None:
    market = Market(tracking_mandatory_for=("EXP",))
    plain, express = market.to_ship(), market.to_ship(shipping_type="EXP")
    assert [market.ship(one).status for one in (plain, express)] == [204, 400]
    types = {one["code"]: one["mandatory_tracking"] for one in market.asked("/api/shipping/types")["shipping_types"]}
    assert types["EXP"] and not types["STD"]
    market.track(express)
    assert market.ship(express).status == 204


# -------------------------------------------------------------------------------------------------------------- incidents


def resolve(market: Market, order: str, reason: str = "51") -> Reply:
    return market.mirakl("PUT", f"/api/orders/{order}/lines/{market.line(order).id}/resolve_incident", {"reason_code": reason})


@pytest.mark.parametrize("holds", [True, False])
def test_an_incident_is_shown_on_the_line_and_keeps_the_order_open_or_not(holds: bool) -> None:
    market = Market(incident_holds=holds)
    order = market.arrived()
    assert not market.shown(order)["has_incident"] and resolve(market, order).status == 400
    market.does("open_incident", order_line_id=market.line(order).id, by="operator")
    shown = market.shown(order)
    assert shown["has_incident"] and [line["order_line_state"] for line in shown["order_lines"]] == ["INCIDENT_OPEN", "RECEIVED"]
    assert shown["order_state"] == "RECEIVED" and shown["order_lines"][0]["order_line_state_reason_label"] == "Item not received"
    assert market.asked("/api/orders", has_incident=True)["total_count"] == 1
    market.until(hours=336)
    assert market.order(order).state == ("RECEIVED" if holds else "CLOSED")
    assert resolve(market, order, "52").status == resolve(market, order, "15").status == 400, "no reasons of the shop's"
    assert resolve(market, order).status == 204 and not market.shown(order)["has_incident"]
    assert market.asked("/api/orders", has_incident=False)["total_count"] == 1
    market.until(hours=336)
    assert market.order(order).state == "CLOSED"


def test_an_incident_can_be_opened_once_and_resolved_by_the_operator() -> None:
    market = Market()
    order = market.gone()
    line = market.line(order).id
    market.does("open_incident", order_line_id=line)
    with pytest.raises(RefusedError):
        market.does("open_incident", order_line_id=line)
    assert market.refund(order).status == 200, "money can go back meanwhile"
    market.does("close_incident", order_id=order, line_id=line, reason_code="52")
    assert market.mirakl("PUT", f"/api/orders/{order}/lines/nothing/resolve_incident", {"reason_code": "51"}).status == 404
    assert market.line(order).incidents[0].closed_by == "operator"


# ------------------------------------------------------------------------------------------------------------- references


def test_a_reference_is_set_found_and_taken_away() -> None:
    market = Market()
    first, second = market.placed(), market.placed()

    def refer(order: str, reference: str | None) -> list[Any]:
        body = {"orders": [{"order_id": order, "references": {"order_reference_for_seller": reference}}]}
        errors: list[Any] = told(market.mirakl("PUT", "/api/orders", body))["updated_orders"][0]["errors"]
        return errors

    assert refer(first, "#1") == refer(second, "#1") == [] and refer("nobody", "#1")[0]["code"] == "NOT_FOUND"
    assert refer(first, " ")[0]["field"].endswith("order_reference_for_seller")
    assert market.asked("/api/orders", order_references_for_seller="#1,#2")["total_count"] == 2
    assert refer(first, None) == [] and market.asked("/api/orders", order_references_for_seller="#1")["total_count"] == 1
    assert told(market.mirakl("PUT", "/api/orders", {"orders": [{"order_id": second}]}))["updated_orders"][0]["errors"] == []
    assert market.shown(second)["references"]["order_reference_for_seller"] == "#1", "what is not sent stays"
    assert market.mirakl("PUT", "/api/orders", {"orders": [{"order_id": second}] * 101}).status == 400


def test_fields_are_set_whole_or_not_at_all() -> None:
    market = Market()
    order = market.placed(test=True)
    path, line = f"/api/orders/{order}/additional_fields", market.line(order).id
    note, floor = {"code": "seller-note", "value": "fragile"}, {"code": "floor", "value": 3}
    body = {"order_additional_fields": [note], "order_lines": [{"order_line_id": line, "order_line_additional_fields": [floor]}]}
    result = told(market.mirakl("PUT", path, body))["order_update_result"]
    assert result["order_lines"][0]["order_line_additional_fields"] == [{"code": "floor", "type": "NUMERIC", "value": "3"}]
    wrong = {"order_additional_fields": [{"code": "seller-note", "value": None}, {"code": "nonsense", "value": 1}]}
    assert told(market.mirakl("PUT", path, wrong))["order_update_errors"]["input"] == wrong
    shown = {field["code"]: field["value"] for field in market.shown(order)["order_additional_fields"]}
    assert shown == {"seller-note": "fragile", "test-order": "true"}
    market.mirakl("PUT", path, {"order_additional_fields": [{"code": "seller-note", "value": ""}]})
    assert "seller-note" not in {field["code"] for field in market.shown(order)["order_additional_fields"]}
    assert market.mirakl("PUT", "/api/orders/nobody/additional_fields", {}).status == 404
