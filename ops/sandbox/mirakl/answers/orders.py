"""OR*: orders listed, decided on, tracked, shipped."""

from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.mirakl import shapes
from ops.sandbox.mirakl.answers.call import DEFAULT_PAGE, Answer, Call, json, nothing
from ops.sandbox.mirakl.orders import known
from ops.sandbox.mirakl.sale import Order
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply


def _list_orders(call: Call) -> Reply:
    """OR11: by creation, at most a hundred at a time."""
    values, account = call.values, call.account
    found = sorted((order for order in account.orders.values() if _wanted(call, order)), key=lambda order: (order.created_at, order.id))
    if values.get("order") == "desc":
        found.reverse()
    size, offset = values.get("max", DEFAULT_PAGE), values.get("offset", 0)
    mode = values.get("order_tax_mode", account.switches.tax_mode)
    shown = [shapes.order(account, order, mode) for order in found[offset : offset + size]]
    links = []
    if offset:
        links.append(f'</api/orders?max={size}&offset={max(0, offset - size)}>; rel="previous"')
    if offset + size < len(found):
        links.append(f'</api/orders?max={size}&offset={offset + size}>; rel="next"')
    return json({"orders": shown, "total_count": len(found)}, headers={"Link": ", ".join(links)} if links else {})


def _wanted(call: Call, order: Order) -> bool:
    values = call.values
    overlap = timedelta(seconds=call.account.switches.update_overlap)  # taken off on purpose, and never said

    def given(name: str, is_: object) -> bool:
        return name not in values or is_ in values[name]

    def after(name: str, is_: datetime, earlier: timedelta = timedelta(0)) -> bool:
        return name not in values or is_ >= datetime.fromisoformat(values[name]) - earlier

    def before(name: str, is_: datetime) -> bool:
        return name not in values or is_ <= datetime.fromisoformat(values[name])

    return (
        given("order_ids", order.id)
        and given("order_references_for_seller", order.seller_reference)
        and given("order_references_for_customer", None)
        and given("order_state_codes", order.state)
        and (given("channel_codes", None) or bool(values.get("only_null_channel")))
        and given("fulfillment_center_code", "DEFAULT")
        and values.get("payment_workflow") in (None, "PAY_ON_ACCEPTANCE")
        and values.get("has_incident") in (None, False)
        and values.get("customer_debited") in (None, order.debited_at is not None)
        and after("start_date", order.created_at)
        and before("end_date", order.created_at)
        and after("start_update_date", order.updated_at, overlap)
        and before("end_update_date", order.updated_at)
    )


def _accept(call: Call) -> Reply:
    call.change("OR21", {"order_id": call.values["order_id"], "decisions": call.body["order_lines"]})
    return nothing()


def _set_references(call: Call) -> Reply:
    """OR04: each order for itself; what went wrong stands beside it in a 200."""
    updated: list[dict[str, Any]] = []
    for wanted in call.body["orders"]:
        reference = (wanted.get("references") or {}).get("order_reference_for_seller")
        try:
            order = known(call.account, wanted["order_id"])
            if reference is not None:
                call.change("OR04", {"order_id": order.id, "reference": reference})
            shown = {"references": {"order_reference_for_seller": order.seller_reference}}
            updated.append({"order_id": order.id, "errors": [], "updated": shown})
        except RefusedError as refused:
            problem = {"code": "NOT_FOUND", "field": "order_id", "message": str(refused)}
            updated.append({"order_id": wanted["order_id"], "errors": [problem]})
    return json({"updated_orders": updated})


def _track(call: Call) -> Reply:
    call.change("OR23", {"order_id": call.values["order_id"], "wanted": call.body})
    return nothing()


def _ship(call: Call) -> Reply:
    call.change("OR24", {"order_id": call.values["order_id"]})
    return nothing()


ANSWERS: dict[str, Answer] = {
    "OR11": _list_orders,
    "OR21": _accept,
    "OR04": _set_references,
    "OR23": _track,
    "OR24": _ship,
}
