"""OR*: orders listed, decided on, tracked, shipped, cancelled; their references and fields; incidents resolved."""

import re
from collections.abc import Mapping
from typing import Any

from ops.sandbox.mirakl import search
from ops.sandbox.mirakl.answers.call import DEFAULT_PAGE, Answer, Call, json, neighbours, nothing
from ops.sandbox.mirakl.orders import known
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply


def _list(call: Call) -> Reply:
    """OR11: by creation, at most a hundred at a time. Pages shift when what they are cut from changes between two calls."""
    values, account = call.values, call.account
    found = search.find(account, values)
    size, offset = values.get("max", DEFAULT_PAGE), values.get("offset", 0)
    mode = values.get("order_tax_mode", account.switches.tax_mode)
    if values.get("order") == "desc":
        shown = found[max(0, len(found) - offset - size) : max(0, len(found) - offset)][::-1]
    else:
        shown = found[offset : offset + size]
    orders = [call.rendered.order(account, account.orders[account.book.ids[number - 1]], mode) for number in shown]
    return json({"orders": orders, "total_count": len(found)}, headers=neighbours(call, "/api/orders", size, offset, len(found)))


# ------------------------------------------------------------------------------------------------------- decided, and sent


def _accept(call: Call) -> Reply:
    call.change("OR21", {"order_id": call.values["order_id"], "decisions": call.body["order_lines"]})
    return nothing()


def problem_code(operation: str, refused: RefusedError) -> list[Mapping[str, str]] | None:
    """The published codes of OR21, as a list beside the message: in which envelope they come is not documented. None elsewhere."""
    if operation != "OR21":
        return None
    code, found, text = str(refused).partition(": ")
    if not (found and re.fullmatch(r"[A-Z_]+", code)):
        null = "]: None is not" in str(refused)  # an element, not a field of one
        invalid = "ORDER_LINE_NULL_ELEMENT" if null else "VALIDATION_ERROR"
        code, text = "ORDER_NOT_FOUND" if refused.status == 404 else invalid, str(refused)
    return [{"code": code, "field": "order_lines", "message": text}]


def _track(call: Call) -> Reply:
    call.change("OR23", {"order_id": call.values["order_id"], "wanted": call.body})
    return nothing()


def _ship(call: Call) -> Reply:
    call.change("OR24", {"order_id": call.values["order_id"]})
    return nothing()


def _cancel(call: Call) -> Reply:
    call.change("OR29", {"order_id": call.values["order_id"]})
    return nothing()


def _resolve(call: Call) -> Reply:
    call.change("OR64", {"order_id": call.values["order_id"], "line_id": call.values["line"], "reason_code": call.body["reason_code"]})
    return nothing()


# ----------------------------------------------------------------------------------------------------- references, fields


def _set_references(call: Call) -> Reply:
    """OR04: each order for itself; what went wrong stands beside it in a 200. What is not sent stays, null takes away."""
    updated: list[dict[str, Any]] = []
    for wanted in call.body["orders"]:
        references = wanted.get("references") or {}
        try:
            order = known(call.account, wanted["order_id"])
            if "order_reference_for_seller" in references:
                reference = references["order_reference_for_seller"]
                if reference is not None and not reference.strip():
                    raise RefusedError(400, "The order reference for seller may not be blank")
                call.change("OR04", {"order_id": order.id, "reference": reference})
            shown = {"references": {"order_reference_for_seller": order.seller_reference}}
            updated.append({"order_id": order.id, "errors": [], "updated": shown})
        except RefusedError as refused:
            code, field = ("NOT_FOUND", "order_id") if refused.status == 404 else ("INVALID", "references.order_reference_for_seller")
            updated.append({"order_id": wanted["order_id"], "errors": [{"code": code, "field": field, "message": str(refused)}]})
    return json({"updated_orders": updated})


def _set_fields(call: Call) -> Reply:
    """OR31: all of it or nothing; what was wrong comes back in a 200 with what was sent."""
    body, order_id = call.body, call.values["order_id"]
    order = known(call.account, order_id)
    fields = body.get("order_additional_fields") or []
    lines = {line["order_line_id"]: line.get("order_line_additional_fields") or [] for line in body.get("order_lines") or []}
    try:
        call.change("OR31", {"order_id": order_id, "fields": fields, "lines": lines})
    except RefusedError as refused:
        errors = [{"code": "INVALID", "field": "order_additional_fields", "message": str(refused)}]
        return json({"order_update_errors": {"errors": errors, "input": body}})
    of_lines = [{"order_line_additional_fields": _fields(line.fields), "order_line_id": line.id} for line in order.lines]
    return json({"order_update_result": {"order_additional_fields": _fields(order.fields), "order_lines": of_lines}})


def _fields(fields: Mapping[str, tuple[str, object]]) -> list[dict[str, Any]]:
    return [{"code": code, "type": kind, "value": value} for code, (kind, value) in fields.items()]


ANSWERS: dict[str, Answer] = {
    "OR11": _list,
    "OR21": _accept,
    "OR23": _track,
    "OR24": _ship,
    "OR29": _cancel,
    "OR64": _resolve,
    "OR04": _set_references,
    "OR31": _set_fields,
}
