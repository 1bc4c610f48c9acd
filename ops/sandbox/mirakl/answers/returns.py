"""RT*: goods that come back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl.answers.call import Answer, Call, json, seek_page
from ops.sandbox.mirakl.registry import RETURN_METHODS, RETURN_REASONS
from ops.sandbox.mirakl.returns import returnable
from ops.sandbox.mirakl.sale import Line, Order, Return, Tracking
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply


def _whole(operation: str) -> Answer:
    """Answered with the returns themselves."""

    def answer(call: Call) -> Reply:
        outcome = call.change(operation, {"returns": call.body["returns"]})
        made = [_return(call.account.returns[number], call) for number in outcome["success"]]
        return json({"return_errors": outcome["errors"], "return_success": made})

    return answer


def _each(operation: str) -> Answer:
    """Answered with their ids."""

    def answer(call: Call) -> Reply:
        outcome = call.change(operation, {"returns": call.body["returns"]})
        return json({"return_errors": outcome["errors"], "return_success": [{"id": number} for number in outcome["success"]]})

    return answer


def _expect_returns(call: Call) -> None:
    if not call.account.switches.returns:
        raise RefusedError(404, "Not Found")


def _list(call: Call) -> Reply:
    """RT11."""
    _expect_returns(call)

    def search(values: Mapping[str, Any]) -> Sequence[Return]:
        account = call.account
        ids = values.get("return_id")
        found = account.returns.values() if ids is None else [account.returns[one] for one in dict.fromkeys(ids) if one in account.returns]
        return sorted((one for one in found if _wanted(account.orders[one.order_id], one, values)), key=lambda one: one.number)

    return seek_page(call, search, lambda one: one.number, lambda one: _return(one, call))


def _wanted(order: Order, one: Return, values: Mapping[str, Any]) -> bool:
    def within(is_: datetime, what: str) -> bool:
        since, until = values.get(f"{what}_from"), values.get(f"{what}_to")
        return (since is None or is_ >= datetime.fromisoformat(since)) and (until is None or is_ <= datetime.fromisoformat(until))

    return (
        not order.hidden
        and one.state in values.get("return_state", (one.state,))
        and order.commercial_id in values.get("order_commercial_id", (order.commercial_id,))
        and one.rma in values.get("return_rma", (one.rma,))
        and order.buyer.customer_id in values.get("customer_id", (order.buyer.customer_id,))
        and ("order_line_id" not in values or any(line.order_line_id in values["order_line_id"] for line in one.lines))
        and within(one.created_at, "return_creation_date")
        and within(one.updated_at, "return_last_updated")
    )


def _return(one: Return, call: Call) -> dict[str, Any]:
    order, tracking = call.account.orders[one.order_id], one.tracking
    said = {
        "carrier_code": tracking.carrier_code,
        "carrier_name": tracking.carrier_name,
        "carrier_standard_code": tracking.carrier_standard_code,
        "tracking_number": tracking.number,
        "tracking_url": tracking.url,
    }
    optional = {
        "description": one.description,
        "label_url": one.label_url,
        "reason_code": one.reason,
        "rejection_reason_code": one.rejection,
        "rma": one.rma,
        "tracking": {name: value for name, value in said.items() if value} if tracking != Tracking() else None,
    }
    return {
        "date_created": moment(one.created_at),
        "documents": [],
        "id": one.id,
        "last_updated": moment(one.updated_at, milliseconds=True),
        "method_code": one.method,
        "order_commercial_id": order.commercial_id,
        "order_id": order.id,
        "return_address": one.address,
        "return_lines": [
            {
                "order_line_id": line.order_line_id,
                "quantity": line.quantity,
                "reason_code": line.reason,
                **({"compliance": [_compliance(line.compliant, line.problem, line.problem_text)]} if line.compliant is not None else {}),
            }
            for line in one.lines
        ],
        "state": one.state,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _compliance(compliant: bool, problem: str | None, text: str | None) -> dict[str, Any]:
    told = {"compliant": compliant, "non_compliance_additional_info": text, "non_compliance_reason_code": problem}
    return {name: value for name, value in told.items() if value is not None}


def _to_return(call: Call) -> Reply:
    """RT12: by line, for the orders or lines that are named. Nothing named: nothing found."""
    _expect_returns(call)
    account = call.account

    def search(values: Mapping[str, Any]) -> Sequence[tuple[Order, Line]]:
        lines, orders = values.get("order_line_id"), values.get("order_commercial_id")
        ids = [account.book.of_line[one] for one in lines or () if one in account.book.of_line]
        ids += [number for one in orders or () for number in account.book.by_commercial_id.get(one, ())]
        found = sorted((account.orders[one] for one in dict.fromkeys(ids)), key=lambda order: order.number)
        return [
            (order, line)
            for order in found
            if not order.hidden and order.commercial_id in (orders or (order.commercial_id,))
            for line in order.lines
            if line.id in (lines or (line.id,)) and returnable(account, order, line, call.at)
        ]

    def show(one: tuple[Order, Line]) -> dict[str, Any]:
        order, line = one
        return {
            "available_return_methods": list(RETURN_METHODS),
            "available_return_reasons": list(RETURN_REASONS),
            "order_commercial_id": order.commercial_id,
            "order_line_id": line.id,
            "return_window": account.switches.return_days,
            "returnable_quantity": returnable(account, order, line, call.at),
        }

    return seek_page(call, search, lambda one: one[0].number * 1000 + one[1].index, show)


ANSWERS: dict[str, Answer] = {
    "RT11": _list,
    "RT12": _to_return,
    **{operation: _whole(operation) for operation in ("RT01", "RT04")},
    **{operation: _each(operation) for operation in ("RT21", "RT25", "RT26", "RT27", "RT29")},
}
