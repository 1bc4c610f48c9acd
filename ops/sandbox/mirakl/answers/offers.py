"""OF*, STO*: what is on offer, and stock files on their way."""

from typing import Any

from ops.sandbox.mirakl import stock
from ops.sandbox.mirakl.answers.call import DEFAULT_PAGE, Answer, Call, json
from ops.sandbox.mirakl.contract import Contract
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import Account, Import, Offer, RefusedError
from ops.sandbox.money import number
from ops.sandbox.wire import Reply


def _list_offers(call: Call) -> Reply:
    wanted = call.values.get("sku")
    found = [offer for offer in call.account.offers.values() if wanted in (None, offer.sku)]
    size, offset = call.values.get("max", DEFAULT_PAGE), call.values.get("offset", 0)
    shown = [_offer(call.contract, call.account, offer) for offer in found[offset : offset + size]]
    return json({"offers": shown, "total_count": len(found)})


def _offer_quantity(call: Call) -> Reply:
    wanted = str(call.values["offer"])
    for offer in call.account.offers.values():
        if str(offer.id) == wanted:
            return json({"offer_id": offer.id, "quantity": offer.quantity})
    raise RefusedError(404, f"Offer with identifier '{wanted}' not found")


def _import_stock(call: Call) -> Reply:
    number = call.change("STO01", {"text": call.parts["file"]})
    return json({"import_id": number}, 201, {"Location": f"/api/offers/stock/imports/{number}/status"})


def _import_status(call: Call) -> Reply:
    found = call.account.imports.get(str(call.values["import_id"]))
    if found is None:
        raise RefusedError(404, f"Import with identifier '{call.values['import_id']}' not found")
    return json(_status(call.account, found))


def _import_errors(call: Call) -> Reply:
    found = call.account.imports.get(str(call.values["import_id"]))
    if found is None or not found.errors:
        raise RefusedError(404, f"No error report for the import with identifier '{call.values['import_id']}'")
    return Reply(200, stock.error_report(found).encode(), kind="text/csv; charset=utf-8")


def _offer(contract: Contract, account: Account, offer: Offer) -> dict[str, Any]:
    price = number(offer.price, account.currency)
    pricing = {"price": price, "unit_origin_price": price, "volume_prices": [], "context": {}}
    blank: dict[str, Any] = contract.blank_answer("OF21", "offers")
    return blank | {
        "offer_id": offer.id,
        "shop_sku": offer.sku,
        "product_sku": offer.product_sku,
        "product_title": offer.title,
        "product_references": [{"reference": offer.ean, "reference_type": "EAN"}],
        "category_code": offer.category,
        "category_label": offer.category,
        "currency_iso_code": account.currency,
        "quantity": offer.quantity,
        "active": offer.quantity > 0,
        "inactivity_reasons": [] if offer.quantity else ["ZERO_QUANTITY"],
        "price": price,
        "total_price": price,
        "applicable_pricing": pricing,
        "all_prices": [pricing],
        "state_code": "11",
        "description": None,
        "logistic_class": {"code": "S", "label": "Small"},
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "min_shipping_type": "STD",
        "min_shipping_zone": "UK",
        "shipping_deadline": None,
        "max_order_quantity": None,
    }


def _status(account: Account, found: Import) -> dict[str, Any]:
    counted = {"lines_in_error": len(found.errors), "lines_in_success": found.applied} if found.status == "COMPLETE" else {}
    return {
        "import_id": found.id,
        "shop_id": account.shop_id,
        "date_created": moment(found.created_at),
        "status": found.status,
        "has_error_report": bool(found.errors),
        **counted,
    }


ANSWERS: dict[str, Answer] = {
    "OF21": _list_offers,
    "OF26": _offer_quantity,
    "STO01": _import_stock,
    "STO02": _import_status,
    "STO03": _import_errors,
}
