"""Who the seller is and how well it does; lists; and that every answer about offers and money is as the contract says."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ops.sandbox.mirakl.contract import Contract
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.plan import Plan
from ops.trim_contracts import CONTRACTS
from tests.unit.sandbox.desk import Desk
from tests.unit.sandbox.test_mirakl_money import FIRST_CYCLE, desk_with, does, refund, sent, sold, until

PUBLISHED = os.environ.get("CROSSDOCK_CONTRACTS", "")  # a folder with the full documents, which are not part of the project
DOCUMENTS = [CONTRACTS / "mirakl.openapi.json"] + ([Path(PUBLISHED, "mirakl-seller.openapi.json")] if PUBLISHED else [])


# --------------------------------------------------------------------------------------------------------- the scorecard


def score(desk: Desk, **query: Any) -> dict[str, dict[str, Any]]:
    """Figure -> period -> value."""
    told = desk.asked("/api/account/statistics", **query)
    return {name: {one["period"]: one["value"] for one in values} for name, values in told.items() if isinstance(values, list)}


def test_the_scorecard_counts_what_happened() -> None:
    desk = desk_with(acceptance_hours=4, ship_hours=10)
    shipped = sent(desk)
    refund(desk, shipped, "1.00")
    late = sold(desk)
    desk.accept(desk.bought(), accepted=False)
    desk.bought()
    desk.later(hours=12)
    sent(desk, late)
    told = {name: values["ALL_SINCE_BEGINNING"] for name, values in score(desk).items()}
    lines = [line for order in desk.world.account.orders.values() for line in order.lines]
    refused = sum(line.state == "REFUSED" for line in lines)
    timed_out = sum(line.reason == "ACCEPTANCE_TIMEOUT" for line in lines)
    accepted = len(lines) - refused
    assert refused > timed_out > 0
    assert told["approval_rate"] == pytest.approx(accepted / len(lines), abs=1e-4)
    assert told["auto_refused_rate"] == pytest.approx(timed_out / len(lines), abs=1e-4)
    assert told["refund_rate"] == pytest.approx(1 / accepted, abs=1e-4)
    assert told["late_shipment_rate"] == 0.5 and told["valid_tracking_rate"] == 1
    assert told["orders_count"] == 2 and told["consecutive_refused_orders_count"] == 2
    assert told["cancelation_rate"] == told["incident_rate"] == told["return_rate"] == 0
    assert desk.asked("/api/account")["approval_rate"] == told["approval_rate"]


def test_and_forgets_by_periods() -> None:
    desk = desk_with()
    sold(desk)
    desk.later(hours=24 * 40)
    told = score(desk, periods="ALL_SINCE_BEGINNING,LAST_MONTH")["orders_count"]
    assert told == {"ALL_SINCE_BEGINNING": 1, "LAST_MONTH": 0}
    assert "offers_count" not in score(desk, channel_code="UK"), "only of the whole shop"


def test_a_parcel_without_a_number_that_can_be_followed_counts_against_the_seller() -> None:
    desk = desk_with()
    order = sold(desk)
    assert desk.mirakl("PUT", f"/api/orders/{order}/ship").status == 204
    assert score(desk)["valid_tracking_rate"]["ALL_SINCE_BEGINNING"] == 0


# ----------------------------------------------------------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("switches", "where", "value"),
    [
        ({"channel_pricing": "MULTI"}, ("pricing", "channel_pricing"), "MULTI"),
        ({"volume_pricing": True}, ("pricing", "volume_pricing"), True),
        ({"scheduled_pricing": True}, ("pricing", "scheduled_pricing"), True),
        ({"discount_period_required": True}, ("pricing", "discount_period_required"), True),
        ({"payment_confirmation": True}, ("payment_confirmation",), True),
        ({"report_delimiter": ","}, ("operator_csv_delimiter",), "COMMA"),
        ({"taxes_remitted_by_operator": True}, ("tax_collection", "tax_collection_by_operator"), True),
        ({"currency": "JPY"}, ("offer_prices_decimals",), "0"),
        ({"currency": "EUR"}, ("multi_currency",), True),
        ({"returns": True}, ("returns", "marketplace"), True),
        ({"multi_shipment": True}, ("shipment", "multi_shipment"), True),
    ],
)
def test_the_platform_says_truly_what_its_switches_are(switches: dict[str, Any], where: tuple[str, ...], value: Any) -> None:
    def told(**switches: Any) -> Any:
        found = desk_with(**switches).asked("/api/platform/configuration")["features"]
        for step in where:
            found = found[step]
        return found

    assert told(**switches) == value != told()


def test_reasons_come_by_type() -> None:
    desk = desk_with()
    every = desk.asked("/api/reasons")["reasons"]
    assert [reason["type"] for reason in every] == sorted(reason["type"] for reason in every)
    refunds = desk.asked("/api/reasons/REFUND")["reasons"]
    assert {reason["code"] for reason in refunds} == {reason["code"] for reason in every if reason["type"] == "REFUND"} != set()
    closing = desk.asked("/api/reasons/incident_close")["reasons"]
    assert {reason["code"] for reason in closing} == {
        one["code"] for one in every if one["type"] == "INCIDENT_CLOSE" and one["is_shop_right"]
    }
    assert desk.mirakl("GET", "/api/reasons/NONSENSE").status == 400
    assert desk.asked("/api/reasons/messaging")["reasons"] and desk.asked("/api/reasons/incident_open")["reasons"] == []


def test_currencies_channels_and_taxes_follow_the_switches() -> None:
    desk = desk_with(currency="EUR", channels=("UK", "DE"), tax_rule="PROPORTIONAL_TO_AMOUNT")
    codes = {one["code"]: one["platform_default"] for one in desk.asked("/api/currencies")["currencies"]}
    assert codes == {"GBP": True, "EUR": False}
    assert [one["code"] for one in desk.asked("/api/channels")["channels"]] == ["DE", "UK"], "sorted"
    assert {one["tax_calculation_rule"] for one in desk.asked("/api/orders/taxes")["taxes"]} == {"PROPORTIONAL_TO_AMOUNT"}
    used = {tax.code for n in range(20) for line in desk.world.account.orders[desk.bought()].lines for tax in line.taxes if n >= 0}
    assert used <= {one["code"] for one in desk.asked("/api/orders/taxes")["taxes"]}


# ----------------------------------------------------------------------------------------------------------- the contract

READS = {
    "A01": "/api/account",
    "A21": "/api/account/statistics",
    "PC01": "/api/platform/configuration",
    "CH11": "/api/channels",
    "CUR01": "/api/currencies",
    "SH11": "/api/shipping/zones",
    "SH12": "/api/shipping/types",
    "SH21": "/api/shipping/carriers",
    "SH31": "/api/shipping/logistic_classes",
    "SH42": "/api/shipping/configuration/shop",
    "SH52": "/api/shipping/charges/shop",
    "RE01": "/api/reasons",
    "RE02": "/api/reasons/REFUND",
    "RE11": "/api/reasons/incident_open",
    "RE12": "/api/reasons/incident_close",
    "RE14": "/api/reasons/messaging",
    "OR75": "/api/orders/taxes",
    "OF21": "/api/offers",
    "PRI02": "/api/offers/pricing/imports",
    "TL02": "/api/sellerpayment/transactions_logs",
    "SBC11": "/api/seller-billing-cycles",
    "IV01": "/api/invoices",
}


MORE: dict[str, dict[str, Any]] = {"TL02": {"limit": 2000}, "IV01": {"type": "ALL"}}  # than what is answered by default


def a_busy_account() -> tuple[Desk, dict[str, Any]]:
    """With something of everything in its books; and what it answered to calls that are not plain reads."""
    terms = Switches(
        payable_after="SHIPPED",
        taxes_remitted_by_operator=True,
        operator_pays_shipping=True,
        subscription=100,
        reserve_rate="5",
        fee_on_order=10,
        warehouses=["LDS"],
        channels=("UK", "DE"),
        channel_pricing="MULTI",
        volume_pricing=True,
    )
    desk = Desk(Plan(skus=6, offers_open="at_stock", least_stock=500, most_stock=600, mirakl=terms))
    for _ in range(4):
        sent(desk)
    refund(desk, next(iter(desk.world.account.orders)), "1.00")
    does(desk, "penalise", amount=100)
    does(desk, "manual_document", kind="MANUAL_CREDIT", amount=100, description="Goodwill")
    does(desk, "one_off", amount=-200, description="Labels", quantity=2, reference="L-1")
    until(desk, FIRST_CYCLE, days=2)
    sold(desk)
    answered: dict[str, Any] = {}
    header = "offer-sku;price;discount-price;discount-end-date;channels;price-ranges\n"
    prices = f"{header}{desk.sku()};20;15;2027-01-01;;5|18\n{desk.sku()};22;;;DE;\nnobody;1;;;;\n"
    files = (
        ("STO01", "/api/offers/stock/imports", f"offer-sku;quantity;warehouse-code\n{desk.sku()};3;LDS\n"),
        ("PRI01", READS["PRI02"], prices),
    )
    for code, path, text in files:
        answered[code] = json.loads(desk.mirakl("POST", path, csv=text).body)
    for code, path in (("OF52", "/api/offers/export/async"), ("TL03", f"{READS['TL02']}/async")):
        kind = {"export_type": "application/json"} if code == "OF52" else {}
        answered[code] = json.loads(desk.mirakl("POST", path, kind).body)
    desk.later(60)
    number = answered["STO01"]["import_id"]
    answered["STO02"] = desk.asked(f"/api/offers/stock/imports/{number}/status")
    answered["OF26"] = desk.asked(f"/api/offers/{desk.asked('/api/offers')['offers'][0]['offer_id']}/quantity")
    answered["OF53"] = desk.asked(f"/api/offers/export/async/status/{answered['OF52']['tracking_id']}")
    answered["TL04"] = desk.asked(f"{READS['TL02']}/async/status/{answered['TL03']['tracking_id']}")
    for code, status in (("OF54", "OF53"), ("TL05", "TL04")):
        path, _, file = str(answered[status]["urls"][0]).partition("?file=")
        reply = desk.mirakl("GET", path, file=file) if file else desk.mirakl("GET", path)
        answered[code] = json.loads(reply.body)
    for code, path in READS.items():
        answered[code] = desk.asked(path, **MORE.get(code, {}))
    return desk, answered


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_answer_fits_the_contract_but_for_nulls(document: Path) -> None:
    contract = Contract(document.read_text())
    _, answered = a_busy_account()
    assert len(answered["TL02"]["data"]) > 20 and answered["SBC11"]["data"] and len(answered["IV01"]["invoices"]) == 2
    for code, answer in answered.items():
        operation = next(one for one in contract.operations if one.code == code)
        [(status, response)] = operation.spec["responses"].items()
        assert status in ("200", "201")
        pointer = f"{operation.pointer}/responses/{status}/content/application~1json/schema"
        items = answer if code in ("OF54", "TL05") else [answer]  # of a file, the contract tells what one item is
        wrong = [error for item in items for error in contract.errors(pointer, item) if error.instance is not None]
        assert wrong == [], (code, response)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_and_tells_of_nothing_that_the_contract_does_not_know(document: Path) -> None:
    contract = Contract(document.read_text())
    _, answered = a_busy_account()
    unknown: dict[str, set[str]] = {}
    for code, answer in answered.items():
        operation = next(one for one in contract.operations if one.code == code)
        schema = next(iter(operation.spec["responses"].values()))["content"]["application/json"]["schema"]
        for item in answer if code in ("OF54", "TL05") else [answer]:
            unknown.setdefault(code, set()).update(strangers(contract.document, schema, item))
    told = {code: names for code, names in unknown.items() if names}
    # an automatic invoice is a shape of its own in the published document, which names its further fields there
    assert told == {"IV01": {"summary", "start_time", "end_time", "seller_billing_cycle_id", "payment_voucher_number"}}


def strangers(document: Any, schema: Any, value: Any) -> set[str]:
    """Names in the answer that the schema has no property for."""
    properties: dict[str, Any] = {}
    items: Any = None
    todo = [schema]
    while todo:
        part = todo.pop()
        if "$ref" in part:
            node = document
            for step in part["$ref"].removeprefix("#/").split("/"):
                node = node[step]
            todo.append(node)
        todo += part.get("allOf", ())
        properties |= part.get("properties", {})
        items = part.get("items", items)
    if isinstance(value, list) and items is not None:
        return set().union(*(strangers(document, items, one) for one in value))
    if isinstance(value, dict) and properties:
        found = {name for name, one in value.items() if name not in properties and one is not None}
        return found.union(*(strangers(document, properties[name], one) for name, one in value.items() if name in properties))
    return set()
