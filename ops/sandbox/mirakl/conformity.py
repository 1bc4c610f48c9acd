"""Whether an answer is one that the contract publishes. Whoever tries a marketplace, this one or another, can ask."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from jsonschema.exceptions import ValidationError

from ops.sandbox.mirakl.contract import Contract, escaped, without_nulls
from ops.sandbox.wire import Reply, Request

FILES = ("OF54", "TL05")  # the document describes one row of them, and shows a list
# A schema for each value of `type`, by a discriminator that no validator follows, has these too; and of fields their `value`.
TOLD_BY_TYPE = {"IV01": ("payment_voucher_number", "seller_billing_cycle_id", "start_time", "end_time", "summary")}
NULL_ALL_THE_SAME = frozenset(  # required, and yet null in captured answers, or so the prose says
    (
        *("billing_address", "shipping_address", "description", "paymentType", "country_iso_code", "mime_type", "quantity"),
        *("unit_discount_price", "max_order_quantity", "shipping_deadline", "shop_reply_needed_since"),
        *("to_customer_id", "to_customer_name", "to_shop_id", "to_shop_name"),
    )
)


def problems(contract: Contract, request: Request, reply: Reply) -> list[str]:
    """What the contract has against an answer: a status that is not published, a body of another shape, a key that nobody knows.

    Null and absent mean the same, also for those required keys that NULL_ALL_THE_SAME names. Refusals have no schema.
    """
    operation, _ = contract.find(request.method, request.path)
    code = operation.code
    if reply.status >= 400:
        return []
    published = operation.spec["responses"].get(str(reply.status))
    if published is None:
        return [f"{code}: the status {reply.status} is not published"]
    kinds = published.get("content", {})
    kind = reply.kind.partition(";")[0]
    if not reply.body or kind not in kinds:
        expected = not kinds and (not reply.body or code == "V01")  # whose body is not described
        return [] if expected else [f"{code}: {kind} of {len(reply.body)} bytes, where {sorted(kinds)} are published"]
    if kind != "application/json" or code in FILES:
        return []
    pointer = f"{operation.pointer}/responses/{reply.status}/content/{escaped(kind)}/schema"
    told = json.loads(reply.body, parse_float=Decimal)
    errors = [error for error in contract.errors(pointer, without_nulls(told)) if not _is_known_null(error)]
    strangers = _strangers(contract, {"$ref": f"#{pointer}"}, told, "$")
    by_type = ("value", *TOLD_BY_TYPE.get(code, ()))
    return [f"{code}: {error.json_path}: {error.message[:200]}" for error in errors] + [
        f"{code}: {path} is not published" for path in strangers if path.rpartition(".")[2] not in by_type
    ]


def _strangers(contract: Contract, schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    """Where a value has keys of which its schema knows nothing."""
    schema = contract.resolved(schema)
    if isinstance(value, list):
        for n, item in enumerate(value):
            yield from _strangers(contract, schema.get("items", {}), item, f"{path}[{n}]")
    elif isinstance(value, dict) and (known := _properties(contract, schema)):
        for name, inner in value.items():
            if name in known:
                yield from _strangers(contract, known[name], inner, f"{path}.{name}")
            else:
                yield f"{path}.{name}"


def _properties(contract: Contract, schema: Mapping[str, Any]) -> dict[str, Any]:
    schema = contract.resolved(schema)
    known = dict(schema.get("properties", {}))
    for part in (*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())):
        known |= _properties(contract, part)
    return known


def _is_known_null(error: ValidationError) -> bool:
    return error.validator == "required" and any(f"'{name}'" in error.message for name in NULL_ALL_THE_SAME)
