"""Goods that come back: every path of a return, and that no money moves by it unless the operator does it so."""

import itertools
from typing import Any

import pytest

from tests.unit.sandbox.market import Market, told

REASON, METHOD = "RETURN_PDNT_TOO_BIG", "RETURN_METHOD_BY_MAIL"


def asked_for(market: Market, order: str, quantity: int = 1, n: int = 0, **more: Any) -> dict[str, Any]:
    line = {"order_line_id": market.line(order, n).id, "quantity": quantity, "reason_code": REASON}
    return {"order_commercial_id": market.order(order).commercial_id, "method_code": METHOD, "return_lines": [line]} | more


def create(market: Market, order: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = told(market.mirakl("POST", "/api/returns", {"returns": [asked_for(market, order, **more)]}))
    return answer


def begun(market: Market, order: str, **more: Any) -> str:
    [made] = create(market, order, **more)["return_success"]
    return str(made["id"])


def does(market: Market, operation: str, number: str) -> bool:
    """Whether it was done."""
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "accept": ("accept", {"accepted": True}),
        "refuse": ("accept", {"accepted": False, "rejection_reason_code": "RETURN_REJECTION_NOT_ELIGIBLE"}),
        "receive": ("receive", {}),
        "close": ("close", {}),
        "cancel": ("cancel", {}),
    }
    path, more = calls[operation]
    answer = told(market.mirakl("PUT", f"/api/returns/{path}", {"returns": [{"id": number} | more]}))
    return bool(answer["return_success"])


def state(market: Market, number: str) -> str:
    [found] = market.asked("/api/returns", return_id=number)["data"]
    return str(found["state"])


TABLE = """
                    accept      refuse  receive   close  cancel
WAITING_ACCEPTANCE  IN_PROGRESS REFUSED -         -      CANCELED
IN_PROGRESS         -           -       RECEIVED  -      CANCELED
NO_RECEPTION        -           -       RECEIVED  CLOSED -
RECEIVED            -           -       -         CLOSED -
CLOSED              -           -       -         -      -
REFUSED             -           -       -         -      -
CANCELED            -           -       -         -      -
"""
HEADER, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
WAY = {  # how a return comes there
    "WAITING_ACCEPTANCE": (),
    "IN_PROGRESS": ("accept",),
    "NO_RECEPTION": ("accept", "miss"),
    "RECEIVED": ("accept", "receive"),
    "CLOSED": ("accept", "receive", "close"),
    "REFUSED": ("refuse",),
    "CANCELED": ("cancel",),
}


@pytest.mark.parametrize(
    ("from_", "operation", "to"),
    [(row[0], operation, to) for row, (n, operation) in itertools.product(ROWS, enumerate(HEADER)) for to in [row[n + 1]]],
)
def test_where_a_return_goes_from_each_state(from_: str, operation: str, to: str) -> None:
    market = Market(returns=True)
    number = begun(market, market.arrived())
    for step in WAY[from_]:
        if step == "miss":
            market.does("miss_return", returns=[{"id": number}])
        else:
            assert does(market, step, number)
    assert state(market, number) == from_
    assert does(market, operation, number) == (to != "-") and state(market, number) == (from_ if to == "-" else to)


def test_where_there_are_no_returns_they_are_not_found() -> None:
    market = Market()
    order = market.arrived()
    assert market.mirakl("POST", "/api/returns", {"returns": [asked_for(market, order)]}).status == 404
    assert market.mirakl("GET", "/api/returns").status == market.mirakl("GET", "/api/returns/items_to_return").status == 404


@pytest.mark.parametrize(
    ("rule", "accepted", "becomes"),
    [
        ("by_hand", None, "WAITING_ACCEPTANCE"),
        ("automatically", None, "IN_PROGRESS"),
        ("by_hand", True, "IN_PROGRESS"),
        ("automatically", False, "WAITING_ACCEPTANCE"),
    ],
)
def test_who_accepts_a_return(rule: Any, accepted: bool | None, becomes: str) -> None:
    market = Market(returns=True, returns_accepted=rule)
    more = {} if accepted is None else {"accepted": accepted}
    assert state(market, begun(market, market.arrived(), **more)) == becomes


def test_a_return_asked_for_by_the_customer_moves_no_money() -> None:
    market = Market(returns=True)
    order = market.arrived()
    [number] = market.does("request_return", returns=[asked_for(market, order)])["success"]
    for step in ("accept", "receive", "close"):
        does(market, step, number)
    assert market.line(order).refunds == [] and market.account.returns[number].requested_by == "customer"


def test_or_the_operator_refunds_what_came_back_by_itself() -> None:
    market = Market(returns=True, reception_refunds=True)
    order = market.arrived((0, 2))
    number = begun(market, order)
    does(market, "accept", number)
    does(market, "receive", number)
    [refund] = market.line(order).refunds
    assert (refund.amount, refund.quantity, refund.origin, refund.return_id) == (market.line(order).unit_price, 1, "operator", number)
    assert market.shown(order)["order_lines"][0]["refunds"][0]["reason_code"] == "17"


def test_what_can_come_back_is_what_arrived_within_its_window() -> None:
    market = Market(returns=True, return_days=14, close_hours=9999)
    order = market.gone((0, 3))
    commercial = market.order(order).commercial_id

    def returnable() -> list[int]:
        data = market.asked("/api/returns/items_to_return", order_commercial_id=commercial)["data"]
        return [item["returnable_quantity"] for item in data]

    assert returnable() == [] and "exceeds the returnable quantity 0" in create(market, order)["return_errors"][0]["message"]
    market.until(hours=72)
    assert returnable() == [3]
    number = begun(market, order, quantity=2)
    assert returnable() == [1] and create(market, order, quantity=2)["return_errors"]
    does(market, "cancel", number)
    assert returnable() == [3]
    assert market.asked("/api/returns/items_to_return", order_line_id=market.line(order).id)["data"][0]["return_window"] == 14
    assert market.asked("/api/returns/items_to_return")["data"] == []
    market.until(days=14, seconds=1)
    assert returnable() == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"order_commercial_id": "other"}, "does not belong"),
        ({"method_code": "RETURN_METHOD_HOME_PICKUP"}, "not available"),
        ({"return_lines": [{"order_line_id": "nobody", "quantity": 1, "reason_code": REASON}]}, "not found"),
        ({"rma": "R 1"}, "must match"),
    ],
)
def test_a_return_that_is_refused_holds_no_other_back(wrong: dict[str, Any], says: str) -> None:
    market = Market(returns=True)
    order = market.arrived((0, 2))
    wanted = asked_for(market, order)
    answer = told(market.mirakl("POST", "/api/returns", {"returns": [wanted | wrong, wanted]}))
    assert says in answer["return_errors"][0]["message"] and len(answer["return_success"]) == 1
    twice = wanted | {"return_lines": wanted["return_lines"] * 2}
    strange = wanted | {"return_lines": [wanted["return_lines"][0] | {"reason_code": "RETURN_WHIM"}]}
    answer = told(market.mirakl("POST", "/api/returns", {"returns": [twice, strange]}))
    assert [one["message"].rpartition("' ")[2] for one in answer["return_errors"]] == ["is given twice", "does not exist"]


def test_compliance_is_told_line_by_line_of_what_was_received() -> None:
    market = Market(returns=True)
    order = market.arrived((0, 1), (1, 1))
    lines = [asked_for(market, order, n=n)["return_lines"][0] for n in (0, 1)]
    number = begun(market, order, return_lines=lines)
    judged = [
        {"order_line_id": lines[0]["order_line_id"], "compliant": True},
        {
            "order_line_id": lines[1]["order_line_id"],
            "compliant": False,
            "non_compliance_reason_code": "RETURN_NON_COMPLIANT_WRONG_PRODUCT",
        },
    ]

    def judge(return_lines: list[dict[str, Any]]) -> list[str]:
        answer = told(market.mirakl("PUT", "/api/returns/compliance", {"returns": [{"id": number, "return_lines": return_lines}]}))
        return [one["message"] for one in answer["return_errors"]]

    assert "must be 'RECEIVED'" in judge(judged)[0]
    does(market, "accept", number)
    does(market, "receive", number)
    assert "mandatory" in judge([{"order_line_id": lines[0]["order_line_id"], "compliant": False}])[0]
    assert "not part of the return" in judge([{"order_line_id": "nobody", "compliant": True}])[0] and judge(judged) == []
    shown = market.asked("/api/returns", return_id=number)["data"][0]["return_lines"]
    assert [line["compliance"][0]["compliant"] for line in shown] == [True, False]


def test_a_return_is_changed_field_by_field_while_it_is_under_way() -> None:
    market = Market(returns=True)
    number = begun(market, market.arrived(), rma="R-1", description="too big")

    def update(**more: Any) -> tuple[list[dict[str, Any]], list[str]]:
        answer = told(market.mirakl("PUT", "/api/returns", {"returns": [{"id": number} | more]}))
        return answer["return_success"], [one["message"] for one in answer["return_errors"]]

    [shown], _ = update(label_url="https://labels.example/1", method_code="RETURN_METHOD_IN_STORE")
    assert shown["rma"] == "R-1" and shown["label_url"] and shown["method_code"] == "RETURN_METHOD_IN_STORE"
    address = {"street1": "1 Hub Way", "city": "Derby", "zip_code": "DE1 1AA", "country_iso_code": "GBR"}
    [shown], _ = update(tracking={"carrier_name": "Mule", "tracking_number": "7"}, return_address={"address": address})
    assert shown["tracking"]["tracking_number"] == "7" and shown["return_address"] == address
    does(market, "accept", number)
    assert update(method_code=METHOD)[1] == ["The return method cannot be updated"] and update(rma="R-2")[0][0]["rma"] == "R-2"
    does(market, "receive", number)
    assert "RECEIVED" in update(rma="R-3")[1][0]


def test_returns_are_listed_by_every_filter() -> None:
    market = Market(returns=True)
    orders = [market.arrived() for _ in range(3)]
    numbers = [begun(market, order, rma=f"R-{n}") for n, order in enumerate(orders)]
    market.until(hours=1)
    does(market, "accept", numbers[1])

    def found(**query: Any) -> list[int]:
        return [numbers.index(one["id"]) for one in market.asked("/api/returns", **query)["data"]]

    since = market.clock.at.isoformat()
    order = market.order(orders[2])
    assert found() == [0, 1, 2] and found(sort="date_created,DESC") == [2, 1, 0]
    assert found(return_id=[numbers[2], "nobody"]) == found(order_commercial_id=order.commercial_id) == found(return_rma="R-2") == [2]
    assert found(order_line_id=market.line(orders[2]).id) == found(customer_id=order.buyer.customer_id) == [2]
    assert found(return_state="IN_PROGRESS") == found(return_last_updated_from=since) == [1]
    assert found(return_creation_date_from=since) == [] and found(return_creation_date_to=since) == [0, 1, 2]
    market.does("hide", order_id=orders[0], hidden=True)
    assert found() == [1, 2] and market.mirakl("PUT", "/api/returns/close", {"returns": [{"id": numbers[0]}]}).status == 200
    assert state(market, numbers[1]) == "IN_PROGRESS"
