"""OR28, OR30: parts of lines refunded and cancelled."""

from typing import Any

from ops.sandbox.mirakl import shapes
from ops.sandbox.mirakl.answers.call import Answer, Call, json
from ops.sandbox.mirakl.sale import Line, Order
from ops.sandbox.wire import Reply


def _refund(call: Call) -> Reply:
    """OR28. Nothing in it says that it was asked before."""
    mode = call.body.get("order_tax_mode")
    made: list[str] = call.change("OR28", {"refunds": call.body["refunds"], "order_tax_mode": mode})
    shown = mode or call.account.switches.tax_mode
    answered = []
    for number, asked in zip(made, call.body["refunds"], strict=True):
        order, line = _line(call, asked["order_line_id"])
        refund = next(refund for refund in line.refunds if refund.id == number)
        told = _told(shapes.refund(call.account, order, refund, shown), order, line, "refund_id")
        answered.append(told | {"excluded_from_shipment": refund.excluded, "order_refund_id": refund.group})
    return json({"order_tax_mode": shown, "refunds": answered})


def _cancel(call: Call) -> Reply:
    """OR30."""
    mode = call.body.get("order_tax_mode")
    made: list[str] = call.change("OR30", {"cancelations": call.body["cancelations"], "order_tax_mode": mode})
    shown = mode or call.account.switches.tax_mode
    answered = []
    for number, asked in zip(made, call.body["cancelations"], strict=True):
        order, line = _line(call, asked["order_line_id"])
        given = next(one for one in line.cancelations if one.id == number)
        answered.append(_told(shapes.cancelation(call.account, order, given, shown), order, line, "cancelation_id"))
    return json({"order_tax_mode": shown, "cancelations": answered})


def _line(call: Call, line_id: str) -> tuple[Order, Line]:
    order = call.account.orders[call.account.book.of_line[line_id]]
    return order, next(line for line in order.lines if line.id == line_id)


KEPT = (
    "amount",
    "amount_breakdown",
    "fees",
    "quantity",
    "reason_code",
    "shipping_amount",
    "shipping_amount_breakdown",
    "shipping_taxes",
    "taxes",
)


def _told(shown: dict[str, Any], order: Order, line: Line, name: str) -> dict[str, Any]:
    told = {key: value for key, value in shown.items() if key in KEPT}
    return told | {"currency_iso_code": order.currency, "order_line_id": line.id, name: shown["id"]}


ANSWERS: dict[str, Answer] = {"OR28": _refund, "OR30": _cancel}
