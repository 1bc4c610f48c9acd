"""OF*, STO*, PRI*: what is on offer; files of stock and prices on their way; exports."""

from collections.abc import Sequence
from typing import Any

from ops.sandbox.mirakl import extracts, imports, offer_shapes, offers, seek
from ops.sandbox.mirakl.answers.call import DEFAULT_PAGE, Answer, Call, json, neighbours
from ops.sandbox.mirakl.goods import Extract, Import, Offer
from ops.sandbox.mirakl.invoices import within
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply

OFFERS_FILE = "/api/offers/export/async/files/{id}/{n}"


def _list_offers(call: Call) -> Reply:
    """OF21: the cheapest first unless asked otherwise; at most a hundred at a time."""
    values, account = call.values, call.account
    found = _chosen(call)
    size, offset = values.get("max", DEFAULT_PAGE), values.get("offset", 0)
    blank = call.contract.blank_answer("OF21", "offers")
    channel = values.get("pricing_channel_code")
    shown = [offer_shapes.listed(account, blank, _offer(call, one), call.at, channel) for one in found[offset : offset + size]]
    links = neighbours(call, "/api/offers", size, offset, len(found))
    return json({"offers": shown, "total_count": len(found)}, headers=links)


def _chosen(call: Call) -> Sequence[tuple[int, int]]:
    """Places on the shelf."""
    values, account = call.values, call.account
    shelf = account.shelf
    found: Sequence[tuple[int, int]] = shelf.by_price
    if "sku" in values or "product_id" in values:
        skus = [values["sku"]] if "sku" in values else shelf.by_product.get(values["product_id"], [])
        there = (account.offers[sku] for sku in skus if sku in account.offers)
        found = sorted((one.price, one.id) for one in there if values.get("product_id") in (None, one.product_sku))
    conditions = values.get("offer_state_codes")
    if values.get("favorite") or (conditions and offer_shapes.CONDITION not in str(conditions).split(",")):
        return []
    if str(values.get("sort", "")).startswith("productTitle"):
        found = sorted(found, key=lambda place: (_offer(call, place).title, place))
    return found[::-1] if values.get("order") == "desc" else found


def _offer(call: Call, place: tuple[int, int]) -> Offer:
    return call.account.offers[call.account.shelf.by_id[place[1]]]


def _offer_quantity(call: Call) -> Reply:
    """OF26: none where it is not available."""
    sku = call.account.shelf.by_id.get(call.values["offer"])
    if sku is None:
        raise RefusedError(404, f"Offer with identifier '{call.values['offer']}' not found")
    return json({"offer_id": call.values["offer"], "quantity": offers.for_sale(call.account, sku, call.at)})


# ------------------------------------------------------------------------------------------------------------------ files


def _import_stock(call: Call) -> Reply:
    number = call.change("STO01", {"text": call.parts["file"]})
    return json({"import_id": number}, 201, {"Location": f"/api/offers/stock/imports/{number}/status"})


def _import_prices(call: Call) -> Reply:
    number = call.change("PRI01", {"text": call.parts["file"]})
    return json({"import_id": number, "importId": number}, 201, {"Location": f"/api/offers/pricing/imports?import_id={number}"})


def _known(call: Call, kind: str) -> Import:
    found = call.account.imports.get(str(call.values["import_id"]))
    if found is None or found.kind != kind:
        raise RefusedError(404, f"Import with identifier '{call.values['import_id']}' not found")
    return found


def _stock_status(call: Call) -> Reply:
    found = _known(call, "stock")
    counted = {"lines_in_error": len(found.errors), "lines_in_success": found.applied} if found.status == "COMPLETE" else {}
    return json(
        {
            "import_id": found.id,
            "shop_id": call.account.shop_id,
            "date_created": moment(found.created_at),
            "status": found.status,
            "has_error_report": bool(found.errors),
            **counted,
        }
    )


def _price_imports(call: Call) -> Reply:
    """PRI02: a list, the latest first unless asked otherwise."""
    account, turn = call.account, seek.turn(call.values)
    asked, every = turn.asked, list(account.imports.values())

    def wanted(n: int) -> bool:
        one = every[n]
        return (
            one.kind == "price"
            and one.id in (asked.get("import_id") or (one.id,))
            and asked.get("status") in (None, one.status)
            and "API" in (asked.get("origins") or ("API",))
            and within(one.created_at, asked)
        )

    chosen, tokens = turn.page(range(len(every)), wanted, descending=turn.descending(default=True))
    return json({"data": [_price_import(call, every[n]) for n in chosen], **tokens})


def _price_import(call: Call, found: Import) -> dict[str, Any]:
    return {
        "import_id": found.id,
        "shop_id": call.account.shop_id,
        "date_created": moment(found.created_at),
        "status": found.status,
        "reason_status": found.reason,
        "origin": "API",
        "has_error_report": bool(found.errors),
        "lines_in_error": len(found.errors),
        "lines_in_success": found.applied,
        "offers_in_error": found.offers_in_error,
        "offers_updated": found.offers_updated,
    }


def _error_report(kind: str) -> Answer:
    def answer(call: Call) -> Reply:
        found = _known(call, kind)
        if not found.errors or call.account.switches.report_missing:
            raise RefusedError(404, f"No error report for the import with identifier '{found.id}'")
        charset = call.account.switches.report_charset.removesuffix("-sig")
        return Reply(200, imports.error_report(call.account, found), kind=f"text/csv; charset={charset}")

    return answer


# ---------------------------------------------------------------------------------------------------------------- exports


def _export_offers(call: Call) -> Reply:
    return json({"tracking_id": call.change("OF52", {"asked": call.body})})


def _export_status(call: Call) -> Reply:
    return json(status(call, extract(call, "OF52"), OFFERS_FILE))


def extract(call: Call, operation: str) -> Extract:
    found = call.account.extracts.get(call.values["tracking_id"])
    if found is None or found.operation != operation:
        raise RefusedError(404, f"Export with identifier '{call.values['tracking_id']}' not found")
    return found


def status(call: Call, found: Extract, path: str) -> dict[str, Any]:
    """Of an export, with the addresses of its files; they come when all is there."""
    shown: dict[str, Any] = {"status": found.status, "last_updated": moment(found.updated_at)}
    if found.status == "FAILED":
        shown["error"] = {"code": "TECHNICAL_ERROR", "detail": "The export could not be generated"}
    if found.status == "COMPLETED":
        shown["urls"] = [call.base + path.format(id=found.id, n=n) for n in range(1, len(found.files) + 1)]
    return shown


def _offers_file(call: Call) -> Reply:
    content, kind = extracts.file_of(call.account, "OF52", call.values["tracking_id"], call.values["number"])
    return Reply(200, content, kind=f"{kind}; charset=utf-8")


ANSWERS: dict[str, Answer] = {
    "OF21": _list_offers,
    "OF26": _offer_quantity,
    "OF52": _export_offers,
    "OF53": _export_status,
    "OF54": _offers_file,
    "STO01": _import_stock,
    "STO02": _stock_status,
    "STO03": _error_report("stock"),
    "PRI01": _import_prices,
    "PRI02": _price_imports,
    "PRI03": _error_report("price"),
}
