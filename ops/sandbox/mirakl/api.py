"""What Mirakl answers: the key, the ceilings, the contract, then the operation."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ops.sandbox.mirakl import settings, shapes, stock
from ops.sandbox.mirakl.contract import Asked, Contract
from ops.sandbox.mirakl.orders import known
from ops.sandbox.mirakl.state import Account, Order, RefusedError
from ops.sandbox.wire import Reply, Request

NAMESPACE = uuid.UUID("5d2f8b1e-0a6d-5c43-9f3c-2f6f5a1b7c90")
ENCODER = msgspec.json.Encoder(decimal_format="number")
DEFAULT_PAGE = 10

Change = Callable[[str, dict[str, Any]], Any]


class Call:
    """One request being answered: the account as it is, the moment, and the one way to change anything."""

    def __init__(self, contract: Contract, account: Account, asked: Asked, at: datetime, change: Change) -> None:
        self.contract, self.account, self.at, self.change = contract, account, at, change
        self.values, self.body, self.parts = asked.values, asked.body, asked.parts


class Api:
    """One seller account's address."""

    def __init__(self, openapi: str, key: str) -> None:
        self.contract = Contract(openapi)
        self._key = key
        self._requests = 0

    def names(self, request: Request) -> set[str]:
        """The code of the operation, for whoever wants it to fail."""
        try:
            return {self.contract.find(request.method, request.path)[0].code}
        except RefusedError:
            return set()

    def answer(self, account: Account, request: Request, at: datetime, change: Change) -> Reply:
        self._requests += 1
        headers = {"X-Correlation-Id": str(uuid.uuid5(NAMESPACE, f"{account.seed}:{self._requests}"))}
        if request.header("authorization") != self._key:
            return _refused(401, "Unauthorized", headers)
        try:
            operation, path = self.contract.find(request.method, request.path)
            headers["Mirakl-Api-Code"] = operation.code
            further_page = request.first("offset") not in (None, "0") or request.first("page_token") is not None
            if account.switches.pages_count or not further_page:
                wait = change("called", {"operation": operation.code})
                if wait is not None and account.switches.enforce_ceilings:
                    return _refused(429, "Too Many Requests", headers | {"Retry-After": str(int(wait) + 1)})
            asked = self.contract.check(operation, path, request)
            if asked.values.get("shop_id", account.shop_id) != account.shop_id:
                raise RefusedError(403, f"The user has no access to the shop {asked.values['shop_id']}")
            if (answers := ANSWERS.get(operation.code)) is None:
                raise RefusedError(501, f"{operation.code} is not simulated")
            reply = answers(Call(self.contract, account, asked, at, change))
        except RefusedError as refused:
            return _refused(refused.status, str(refused), headers)
        return Reply(reply.status, reply.body, {**headers, **reply.headers}, reply.kind)


def _refused(status: int, message: str, headers: Mapping[str, str]) -> Reply:
    return Reply(status, ENCODER.encode({"status": status, "message": message}), headers)


def _json(answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, ENCODER.encode(answer), headers or {})


def _nothing() -> Reply:
    return Reply(204)


# ----------------------------------------------------------------------------------------------------------------- orders


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
    return _json({"orders": shown, "total_count": len(found)}, headers={"Link": ", ".join(links)} if links else {})


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
    return _nothing()


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
    return _json({"updated_orders": updated})


def _track(call: Call) -> Reply:
    call.change("OR23", {"order_id": call.values["order_id"], "wanted": call.body})
    return _nothing()


def _ship(call: Call) -> Reply:
    call.change("OR24", {"order_id": call.values["order_id"]})
    return _nothing()


# ------------------------------------------------------------------------------------------------------ offers and stock


def _list_offers(call: Call) -> Reply:
    wanted = call.values.get("sku")
    found = [offer for offer in call.account.offers.values() if wanted in (None, offer.sku)]
    size, offset = call.values.get("max", DEFAULT_PAGE), call.values.get("offset", 0)
    shown = [shapes.offer(call.contract, call.account, offer) for offer in found[offset : offset + size]]
    return _json({"offers": shown, "total_count": len(found)})


def _offer_quantity(call: Call) -> Reply:
    wanted = str(call.values["offer"])
    for offer in call.account.offers.values():
        if str(offer.id) == wanted:
            return _json({"offer_id": offer.id, "quantity": offer.quantity})
    raise RefusedError(404, f"Offer with identifier '{wanted}' not found")


def _import_stock(call: Call) -> Reply:
    number = call.change("STO01", {"text": call.parts["file"]})
    return _json({"import_id": number}, 201, {"Location": f"/api/offers/stock/imports/{number}/status"})


def _import_status(call: Call) -> Reply:
    found = call.account.imports.get(str(call.values["import_id"]))
    if found is None:
        raise RefusedError(404, f"Import with identifier '{call.values['import_id']}' not found")
    return _json(shapes.import_status(call.account, found))


def _import_errors(call: Call) -> Reply:
    found = call.account.imports.get(str(call.values["import_id"]))
    if found is None or not found.errors:
        raise RefusedError(404, f"No error report for the import with identifier '{call.values['import_id']}'")
    return Reply(200, stock.error_report(found).encode(), kind="text/csv; charset=utf-8")


ANSWERS: dict[str, Callable[[Call], Reply]] = {
    "OR11": _list_orders,
    "OR21": _accept,
    "OR04": _set_references,
    "OR23": _track,
    "OR24": _ship,
    "OF21": _list_offers,
    "OF26": _offer_quantity,
    "STO01": _import_stock,
    "STO02": _import_status,
    "STO03": _import_errors,
    "V01": lambda call: _json(settings.VERSION),
    "A01": lambda call: _json(settings.account(call.contract, call.account)),
    "A21": lambda call: _json(settings.statistics(call.account)),
    "PC01": lambda call: _json(settings.platform(call.contract, call.account)),
    "SH21": lambda call: _json(settings.carriers(call.account)),
    "SH12": lambda call: _json(settings.shipping_types(call.account)),
    "RE01": lambda call: _json(settings.reasons()),
    "CH11": lambda call: _json({"channels": []}),
    "CUR01": lambda call: _json(
        {"currencies": [{"code": call.account.currency, "label": call.account.currency, "platform_default": True}]}
    ),
}
