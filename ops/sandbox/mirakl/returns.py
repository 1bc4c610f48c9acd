"""Goods that come back: asked for, accepted, on their way, received, looked at, closed. No money moves by it.

WAITING_ACCEPTANCE -> IN_PROGRESS | REFUSED | CANCELED
IN_PROGRESS        -> RECEIVED | NO_RECEPTION | CANCELED
NO_RECEPTION       -> RECEIVED | CLOSED
RECEIVED           -> CLOSED
"""

import contextlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.mirakl import carriers, orders, refunds
from ops.sandbox.mirakl.amounts import is_paid_back
from ops.sandbox.mirakl.registry import RETURN_ADDRESS, RETURN_METHODS, RETURN_REASONS
from ops.sandbox.mirakl.sale import Line, Order, Origin, Return, ReturnLine, Tracking
from ops.sandbox.mirakl.shipments import Outcome
from ops.sandbox.mirakl.state import Account, RefusedError, identifier

ALIVE = ("WAITING_ACCEPTANCE", "IN_PROGRESS", "RECEIVED", "NO_RECEPTION", "CLOSED")  # their units cannot come back once more
PATHS: dict[str, tuple[str, ...]] = {  # where it comes to -> from where
    "IN_PROGRESS": ("WAITING_ACCEPTANCE",),
    "REFUSED": ("WAITING_ACCEPTANCE",),
    "RECEIVED": ("IN_PROGRESS", "NO_RECEPTION"),
    "NO_RECEPTION": ("IN_PROGRESS",),
    "CLOSED": ("RECEIVED", "NO_RECEPTION"),
    "CANCELED": ("WAITING_ACCEPTANCE", "IN_PROGRESS"),
}


def _expect_returns(account: Account) -> None:
    if not account.switches.returns:
        raise RefusedError(404, "Not Found")


def returnable(account: Account, order: Order, line: Line, at: datetime) -> int:
    """Units that have arrived, are not on their way back, and are within their window."""
    window = timedelta(days=account.switches.return_days)
    if line.received_at is None or at > line.received_at + window:
        return 0
    back = sum(
        returned.quantity
        for number in order.returns
        if account.returns[number].state in ALIVE
        for returned in account.returns[number].lines
        if returned.order_line_id == line.id
    )
    return max(0, line.shipped - back)


# ------------------------------------------------------------------------------------------------------------ beginning


def create(account: Account, returns: list[dict[str, Any]], at: datetime, by: Origin = "seller") -> Outcome:
    """RT01, and what a customer asks for in the shop front: each for itself, and one for each order."""
    _expect_returns(account)
    outcome: Outcome = {"success": [], "errors": []}
    for asked in returns:
        try:
            outcome["success"].append(_create(account, asked, by, at).id)
        except RefusedError as refused:
            outcome["errors"].append({"order_commercial_id": asked["order_commercial_id"], "message": str(refused)})
    return outcome


def _create(account: Account, asked: dict[str, Any], by: Origin, at: datetime) -> Return:
    order, lines = _lines(account, asked, at)
    if asked["method_code"] not in RETURN_METHODS:
        raise RefusedError(400, f"The return method '{asked['method_code']}' is not available")
    if not re.fullmatch(r"[0-9a-zA-Z_-]*", asked.get("rma") or ""):
        raise RefusedError(400, "The RMA must match [0-9a-zA-Z_-]+")
    accepted = asked.get("accepted")
    if accepted is None:
        accepted = account.switches.returns_accepted == "automatically"
    account.last_return += 1
    made = Return(
        id=identifier(account.seed, "return", account.last_return),
        order_id=order.id,
        number=account.last_return,
        requested_by=by,
        created_at=at,
        updated_at=at,
        state="IN_PROGRESS" if accepted else "WAITING_ACCEPTANCE",
        method=asked["method_code"],
        reason=asked.get("reason_code") or lines[0].reason,
        lines=lines,
        rma=asked.get("rma"),
        description=asked.get("description"),
        label_url=asked.get("label_url"),
        address=dict(RETURN_ADDRESS),
    )
    account.returns[made.id] = made
    order.returns.append(made.id)
    return made


def _lines(account: Account, asked: dict[str, Any], at: datetime) -> tuple[Order, list[ReturnLine]]:
    """The order that they are of, and what is to come back of it."""
    found: Order | None = None
    lines: dict[str, ReturnLine] = {}
    for one in asked["return_lines"]:
        order, line = orders.known_line(account, one["order_line_id"])
        if order.commercial_id != asked["order_commercial_id"] or found not in (None, order):
            raise RefusedError(400, f"The order line '{line.id}' does not belong to the order '{asked['order_commercial_id']}'")
        if line.id in lines:
            raise RefusedError(400, f"The order line '{line.id}' is given twice")
        if one["reason_code"] not in RETURN_REASONS:
            raise RefusedError(400, f"The return reason '{one['reason_code']}' does not exist")
        there = returnable(account, order, line, at)
        if one["quantity"] > there:
            raise RefusedError(400, f"The quantity {one['quantity']} of the order line '{line.id}' exceeds the returnable quantity {there}")
        found, lines[line.id] = order, ReturnLine(line.id, one["quantity"], one["reason_code"])
    assert found is not None  # a return without lines is against the contract
    return found, list(lines.values())


# ----------------------------------------------------------------------------------------------------------- moving along


def _each(account: Account, listed: list[dict[str, Any]], act: Callable[[Return, dict[str, Any]], None], at: datetime) -> Outcome:
    """Each return of the list for itself."""
    _expect_returns(account)
    outcome: Outcome = {"success": [], "errors": []}
    for asked in listed:
        found = account.returns.get(asked["id"])
        try:
            if found is None or account.orders[found.order_id].hidden:
                raise RefusedError(404, f"Return with identifier '{asked['id']}' not found")
            act(found, asked)
            found.updated_at = at
            outcome["success"].append(found.id)
        except RefusedError as refused:
            outcome["errors"].append({"id": asked["id"], "message": str(refused)})
    return outcome


def _to(found: Return, state: str) -> None:
    if found.state not in PATHS[state]:
        wanted = " or ".join(f"'{known}'" for known in PATHS[state])
        raise RefusedError(400, f"The return cannot become '{state}': its status must be {wanted} but it is '{found.state}'.")
    found.state = state


def decide(account: Account, returns: list[dict[str, Any]], at: datetime) -> Outcome:
    """RT21: taken back, or not and why."""

    def act(found: Return, asked: dict[str, Any]) -> None:
        if not asked["accepted"] and not asked.get("rejection_reason_code"):
            raise RefusedError(400, "The rejection reason code is mandatory for a refused return")
        _to(found, "IN_PROGRESS" if asked["accepted"] else "REFUSED")
        found.rejection = None if asked["accepted"] else asked["rejection_reason_code"]

    return _each(account, returns, act, at)


def receive(account: Account, returns: list[dict[str, Any]], at: datetime) -> Outcome:
    """RT25: the parcel is there."""

    def act(found: Return, asked: dict[str, Any]) -> None:
        _to(found, "RECEIVED")
        if account.switches.reception_refunds:
            _refund(account, found, at)

    return _each(account, returns, act, at)


def miss(account: Account, returns: list[dict[str, Any]], at: datetime) -> Outcome:
    """The operator gives up waiting for it: NO_RECEPTION."""
    return _each(account, returns, lambda found, asked: _to(found, "NO_RECEPTION"), at)


def _refund(account: Account, found: Return, at: datetime) -> None:
    """The operator pays the returned units back by itself, and leaves what cannot be paid."""
    order = account.orders[found.order_id]
    for returned in found.lines:
        line = next(line for line in order.lines if line.id == returned.order_line_id)
        rest = line.quantity - sum(refund.quantity for refund in line.refunds)
        if not is_paid_back(line) and 0 < returned.quantity <= rest:
            with contextlib.suppress(RefusedError):
                part = returned.quantity / rest
                refunds.by_operator(
                    account, line.id, at, share=part, shipping=False, quantity=returned.quantity, reason="17", return_id=found.id
                )


def judge(account: Account, returns: list[dict[str, Any]], at: datetime) -> Outcome:
    """RT26: whether what came is what was sold, line by line."""

    def act(found: Return, asked: dict[str, Any]) -> None:
        if found.state != "RECEIVED":
            raise RefusedError(
                400, f"The compliance of the return cannot be given: its status must be 'RECEIVED' but it is '{found.state}'."
            )
        lines = {line.order_line_id: line for line in found.lines}
        for one in asked["return_lines"]:
            if one["order_line_id"] not in lines:
                raise RefusedError(400, f"The order line '{one['order_line_id']}' is not part of the return")
            if not one["compliant"] and not one.get("non_compliance_reason_code"):
                raise RefusedError(400, "The non-compliance reason code is mandatory for what is not compliant")
        for one in asked["return_lines"]:
            line = lines[one["order_line_id"]]
            line.compliant = one["compliant"]
            line.problem = None if line.compliant else one["non_compliance_reason_code"]
            line.problem_text = None if line.compliant else one.get("non_compliance_additional_info")

    return _each(account, returns, act, at)


def close(account: Account, returns: list[dict[str, Any]], at: datetime) -> Outcome:
    """RT27."""
    return _each(account, returns, lambda found, asked: _to(found, "CLOSED"), at)


def cancel(account: Account, returns: list[dict[str, Any]], at: datetime) -> Outcome:
    """RT29: it will not come after all."""
    return _each(account, returns, lambda found, asked: _to(found, "CANCELED"), at)


def update(account: Account, returns: list[dict[str, Any]], at: datetime) -> Outcome:
    """RT04: field by field; what is not sent stays."""

    def act(found: Return, asked: dict[str, Any]) -> None:
        if found.state not in ("WAITING_ACCEPTANCE", "IN_PROGRESS"):
            raise RefusedError(400, f"The return cannot be updated, its status is '{found.state}'")
        method = asked.get("method_code", found.method)
        if method != found.method and not (account.switches.return_method_editable and found.state == "WAITING_ACCEPTANCE"):
            raise RefusedError(400, "The return method cannot be updated")
        if method not in RETURN_METHODS:
            raise RefusedError(400, f"The return method '{method}' is not available")
        if not re.fullmatch(r"[0-9a-zA-Z_-]*", asked.get("rma") or ""):
            raise RefusedError(400, "The RMA must match [0-9a-zA-Z_-]+")
        if "tracking" in asked:
            given = asked["tracking"] or {}
            found.tracking = carriers.read(account, given, url="tracking_url", is_one_of="the return") if given else Tracking()
        found.method, found.rma, found.label_url = method, asked.get("rma", found.rma), asked.get("label_url", found.label_url)
        if address := (asked.get("return_address") or {}).get("address"):
            found.address = {name: value for name, value in address.items() if value is not None}

    return _each(account, returns, act, at)
