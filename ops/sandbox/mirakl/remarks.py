"""What the seller writes on an order: its own reference, and the fields that the operator has made for it."""

from datetime import datetime
from typing import Any

from ops.sandbox.mirakl.orders import known
from ops.sandbox.mirakl.registry import FIELDS
from ops.sandbox.mirakl.state import Account, RefusedError


def set_reference(account: Account, order_id: str, reference: str | None, at: datetime) -> None:
    """OR04: the seller's own number for the order."""
    order = known(account, order_id)
    if order.seller_reference != reference:
        account.book.refer(order, reference)
        account.book.touch(order, at)


def set_fields(account: Account, order_id: str, fields: list[dict[str, Any]], lines: dict[str, list[dict[str, Any]]], at: datetime) -> None:
    """OR31: the operator's own fields; null and nothing take one away. All of it or nothing."""
    order = known(account, order_id)
    by_id = {line.id: line for line in order.lines}
    for line_id, of_line in lines.items():
        if line_id not in by_id:
            raise RefusedError(404, f"Order line with identifier '{line_id}' not found")
        for field in of_line:
            _check_field(field)
    for field in fields:
        _check_field(field)
    for field in fields:
        _put_field(order.fields, field)
    for line_id, of_line in lines.items():
        for field in of_line:
            _put_field(by_id[line_id].fields, field)
    account.book.touch(order, at)


def _check_field(field: dict[str, Any]) -> None:
    if field["code"] not in FIELDS:
        raise RefusedError(400, f"The custom field with code '{field['code']}' does not exist")


def _put_field(fields: dict[str, tuple[str, object]], field: dict[str, Any]) -> None:
    value = field.get("value")
    if value in (None, ""):
        fields.pop(field["code"], None)
    else:
        fields[field["code"]] = (FIELDS[field["code"]], value if isinstance(value, list) else str(value))
