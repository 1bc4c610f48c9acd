"""What OR11 answers to whom, what an order looks like, and orders in files."""

import io
import json
import zipfile
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.sandbox.mirakl import search
from ops.sandbox.mirakl.answers import ANSWERS
from ops.sandbox.mirakl.ceilings import CEILINGS
from ops.sandbox.mirakl.sale import Order
from ops.sandbox.wire import Reply
from tests.unit.sandbox.desk import START
from tests.unit.sandbox.market import Market, told

EXPORT = "/api/orders/async-export"


# ------------------------------------------------------------------------------------------------------------------- OR11


def test_links_lead_through_all_pages_with_the_filters_kept() -> None:
    market = Market(channels=("UK", "DE"))
    orders = [market.placed() for _ in range(25)]
    query: dict[str, Any] = {"order_state_codes": "WAITING_ACCEPTANCE", "customer_debited": False}
    seen: list[str] = []
    while True:
        reply = market.mirakl("GET", "/api/orders", **query)
        seen += [one["order_id"] for one in told(reply)["orders"]]
        link = next((link for link in reply.headers.get("Link", "").split(", ") if 'rel="next"' in link), None)
        if link is None:
            break
        query = dict(parse_qsl(urlsplit(link[1 : link.index(">")]).query))
        assert query["customer_debited"] == "false"
    assert seen == orders and 'rel="previous"' in reply.headers["Link"]


def test_pages_shift_when_what_they_are_cut_from_changes() -> None:
    market = Market()
    orders = [market.placed() for _ in range(12)]
    first = market.asked("/api/orders", order_state_codes="WAITING_ACCEPTANCE")["orders"]
    market.accept(orders[0])
    second = market.asked("/api/orders", order_state_codes="WAITING_ACCEPTANCE", offset=10)["orders"]
    missed = set(orders) - {one["order_id"] for one in [*first, *second]}
    assert missed == {orders[10]}, "it has moved to the page that was read already"


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    moments = st.integers(-60, 900).map(lambda seconds: (START + timedelta(seconds=seconds)).isoformat())
    states = st.lists(st.sampled_from(["STAGING", "WAITING_ACCEPTANCE", "SHIPPING", "SHIPPED", "CANCELED", "CLOSED"]), min_size=1)
    asked: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "order_state_codes": states,
                "order_ids": st.lists(st.sampled_from(["first", "last", "hidden", "nobody"]), min_size=1),
                "order_references_for_seller": st.lists(st.sampled_from(["#1", "#2", "#9"]), min_size=1),
                "order_references_for_customer": st.just(["PO-1"]),
                "channel_codes": st.lists(st.sampled_from(["UK", "DE"]), min_size=1),
                "only_null_channel": st.booleans(),
                "fulfillment_center_code": st.lists(st.sampled_from(["DEFAULT", "HUB-NORTH"]), min_size=1),
                "payment_workflow": st.sampled_from(["PAY_ON_ACCEPTANCE", "PAY_ON_DELIVERY"]),
                "has_incident": st.booleans(),
                "customer_debited": st.booleans(),
                **dict.fromkeys(("start_date", "end_date", "start_update_date", "end_update_date"), moments),
            },
        )
    )
    return asked


def crowd(staging_shown: bool) -> Market:
    """Orders of every kind, a minute apart."""
    market = Market(staging_shown=staging_shown, staging_seconds=30, update_overlap=120.0, channels=("UK", "DE"))
    for n in range(14):
        chosen = {"workflow": "PAY_ON_DELIVERY"} if n % 4 == 3 else {}
        order = market.placed(centre="HUB-NORTH" if n % 5 == 4 else "DEFAULT", customer_reference="PO-1" if n % 3 else None, **chosen)
        market.later(60 if n < 13 else 1)
        if n % 5 != 4 and n < 12:
            market.accept(order)
            if n % 2:
                market.later(61)
                market.ship(order)
        if n in (3, 5):
            market.does("open_incident", order_line_id=market.line(order).id)
            market.does("hide", order_id=order, hidden=n == 5)
        if n in (1, 7, 8):
            market.does("OR04", order_id=order, reference="#1" if n < 8 else "#2")
        if n == 10:
            market.does("customer_cancel", order_id=order)
    return market


CROWDS = {shown: crowd(shown) for shown in (True, False)}


def plainly(market: Market, order: Order, asked: dict[str, Any]) -> bool:
    """What the filters say, one by one, without any index."""

    def within(is_: datetime, name: str, earlier: float = 0.0) -> bool:
        since, until = asked.get(f"start_{name}"), asked.get(f"end_{name}")
        after = since is None or is_ >= datetime.fromisoformat(since) - timedelta(seconds=earlier)
        return after and (until is None or is_ <= datetime.fromisoformat(until))

    channel = order.channel is None if asked.get("only_null_channel") else order.channel in asked.get("channel_codes", (order.channel,))
    return (
        not order.hidden
        and (order.state != "STAGING" or market.account.switches.staging_shown)
        and order.state in asked.get("order_state_codes", (order.state,))
        and order.id in asked.get("order_ids", (order.id,))
        and order.seller_reference in asked.get("order_references_for_seller", (order.seller_reference,))
        and order.customer_reference in asked.get("order_references_for_customer", (order.customer_reference,))
        and channel
        and order.centre in asked.get("fulfillment_center_code", (order.centre,))
        and order.workflow == asked.get("payment_workflow", order.workflow)
        and any(line.incident for line in order.lines) == asked.get("has_incident", any(line.incident for line in order.lines))
        and (order.debited_at is not None) == asked.get("customer_debited", order.debited_at is not None)
        and within(order.created_at, "date")
        and within(order.updated_at, "update_date", market.account.switches.update_overlap)
    )


@settings(max_examples=300)
@given(asked=filters(), shown=st.booleans())
def test_every_filter_lets_through_what_it_says_by_whatever_index(asked: dict[str, Any], shown: bool) -> None:
    market = CROWDS[shown]
    ids = list(market.account.orders)
    named = {"first": ids[0], "last": ids[-1], "hidden": ids[5], "nobody": "nobody"}
    asked = asked | ({"order_ids": [named[one] for one in asked["order_ids"]]} if "order_ids" in asked else {})
    found = [ids[number - 1] for number in search.find(market.account, asked)]
    assert found == [order.id for order in market.account.orders.values() if plainly(market, order, asked)]


def test_the_crowd_has_something_of_everything() -> None:
    orders = list(CROWDS[True].account.orders.values())
    assert {order.state for order in orders} >= {"STAGING", "WAITING_ACCEPTANCE", "SHIPPING", "SHIPPED", "CANCELED"}
    assert len({order.channel for order in orders}) == len({order.workflow for order in orders}) == 2


# ---------------------------------------------------------------------------------------------------- what orders look like


@pytest.mark.parametrize("rounding", ["unit", "line"])
@pytest.mark.parametrize("mode", ["TAX_INCLUDED", "TAX_EXCLUDED"])
def test_sums_hold_in_every_order(mode: str, rounding: Any) -> None:
    """I1 to I5, and promotions and fees; where tax is rounded by the line, the unit price may miss by a penny a unit."""
    market = Market(promotions=0.6, fees=0.5, several_taxes=0.4, tax_rounding=rounding, amount_breakdowns=True)
    for n in range(25):
        market.placed((n % 6, 1 + n % 4), ((n + 1) % 6, 3), tax_rates=["20", "5"], shipping_prices=[299, 101])
    for order in market.asked("/api/orders", max=100, order_tax_mode=mode)["orders"]:
        for line in order["order_lines"]:
            slack = 0.005 if rounding == "unit" or mode == "TAX_INCLUDED" else 0.01 * line["quantity"]
            assert line["price"] == pytest.approx(line["price_unit"] * line["quantity"], abs=slack)
            fees = sum(fee["amount"] for fee in line["fees"])
            assert line["total_price"] == pytest.approx(line["price"] + line["shipping_price"] + fees)
            assert line["total_commission"] == pytest.approx(
                line["commission_fee"] + sum(tax["amount"] for tax in line["commission_taxes"])
            )
            assert line["commission_taxes"][0]["amount"] == pytest.approx(line["commission_fee"] * 0.2, abs=0.0051)
            for name in ("price", "shipping_price"):
                assert sum(part["amount"] for part in line[f"{name}_amount_breakdown"]["parts"]) == pytest.approx(line[name])
            deduced = sum(promotion["deduced_amount"] for promotion in line["promotions"])
            off = (line["origin_unit_price"] - line["price_unit"]) * line["quantity"]
            assert deduced == pytest.approx(off, abs=0.01) and (deduced > 0) == bool(line["promotions"])
        for name in ("price", "shipping_price", "total_price", "total_commission"):
            assert order[name] == pytest.approx(sum(line[name] for line in order["order_lines"]))
    lines = [line for order in market.asked("/api/orders", max=100)["orders"] for line in order["order_lines"]]
    promotions = [one for line in lines for one in line["promotions"]]
    assert len({one["configuration"]["type"] for one in promotions}) >= 3 and {"campaign" in one for one in promotions} == {True, False}
    assert any(line["fees"] for line in lines) and any(len(line["taxes"]) == 2 for line in lines)


def test_a_tax_that_the_operator_remits_says_that_it_is_not_the_shop_s() -> None:
    market = Market(taxes_remitted_by_operator=True)
    tax = market.shown(market.placed())["order_lines"][0]["taxes"][0]
    assert [part["payable_to_shop"] for part in tax["amount_breakdown"]["parts"]] == [False]
    assert market.asked("/api/platform/configuration")["features"]["tax_collection"]["tax_collection_by_operator"]


def test_a_basket_can_become_two_orders_of_one_commercial_order() -> None:
    market = Market(split_orders=1.0)
    order = market.placed((0, 1), (1, 1), (2, 1))
    orders = market.asked("/api/orders")["orders"]
    assert [len(one["order_lines"]) for one in orders] == [2, 1] and len({one["commercial_id"] for one in orders}) == 1
    assert orders[0]["order_id"] == order and orders[1]["order_id"].endswith("-B")


def test_an_order_may_have_250_lines() -> None:
    market = Market()
    order = market.placed(*[(n % 6, 1) for n in range(250)])
    shown = market.shown(order)
    assert len({line["order_line_id"] for line in shown["order_lines"]}) == 250 and shown["order_lines"][249]["order_line_index"] == 250
    assert market.accept(order).status == 204


def test_which_shapes_buyers_have() -> None:
    """What is required and null, what is missing, and an identifier that is an e-mail address."""
    market = Market(addresses_before_acceptance=True, pick_up=0.3, test_orders=0.3, channels=("UK", "DE"))
    for n in range(60):
        market.placed(shipping_type=None if n % 2 else "EXP")
    orders = [one for offset in (0, 50) for one in market.asked("/api/orders", max=50, offset=offset)["orders"]]
    addresses = [one["customer"]["shipping_address"] for one in orders]
    assert {address["country_iso_code"] for address in addresses} > {None, "GBR", "DEU"}
    assert {"GB", "GBR", "United Kingdom", "Polska"} <= {address["country"] for address in addresses}
    assert {"firstname" in address for address in addresses} == {address["phone"] is None for address in addresses} == {True, False}
    assert any("@" in one["customer"]["customer_id"] for one in orders) and all("@" in one["customer_notification_email"] for one in orders)
    assert any(one["shipping_pudo_id"] for one in orders) and any(one["order_additional_fields"] for one in orders)
    assert {one["channel"]["code"] for one in orders} == {"UK", "DE"}
    assert {("product_shop_sku" in line) for one in orders for line in one["order_lines"]} == {True, False}


@pytest.mark.parametrize(("falls", "steps"), [("creation", [2, 2, 0]), ("acceptance", [0, 2, 0]), ("never", [0, 0, 0])])
def test_when_an_order_lowers_its_offer_is_a_switch(falls: Any, steps: list[int]) -> None:
    market = Market(quantity_falls=falls)
    offer = market.account.offers[market.sku(0)]
    before, seen = offer.quantity, []
    order = market.placed((0, 2))
    seen.append(before - offer.quantity)
    market.accept(order)
    seen.append(before - offer.quantity)
    market.cancel(order)
    assert [*seen, before - offer.quantity] == steps


# ----------------------------------------------------------------------------------------------------------- OR13 to OR15


def export(market: Market, **asked: Any) -> Reply:
    window = {"start_update_date": START.isoformat(), "end_update_date": (START + timedelta(days=9)).isoformat()}
    return market.mirakl("POST", EXPORT, window | asked)


def exported(market: Market, **asked: Any) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    tracking = told(export(market, **asked))["tracking_id"]
    assert told(market.mirakl("GET", f"{EXPORT}/status/{tracking}"))["status"] == "PENDING"
    market.later(30)
    status = market.asked(f"{EXPORT}/status/{tracking}")
    return status, [market.asked(url)["orders"] for url in status.get("urls", ())]


def test_an_export_has_the_orders_as_they_were_in_files() -> None:
    market = Market(export_items=2)
    orders = [market.placed() for _ in range(5)]
    shown = market.asked("/api/orders", order_tax_mode="TAX_EXCLUDED")["orders"]
    status, files = exported(market, order_tax_mode="TAX_EXCLUDED")
    assert status["status"] == "COMPLETED" and [len(file) for file in files] == [2, 2, 1]
    assert [one for file in files for one in file] == shown
    market.accept(orders[0])
    assert market.asked(status["urls"][0])["orders"][0]["order_state"] == "WAITING_ACCEPTANCE", "a file does not change"
    assert market.mirakl("GET", status["urls"][0][:-1] + "9").status == 410
    assert market.mirakl("GET", f"{EXPORT}/status/nothing").status == 404


def test_an_export_is_filtered_and_empty_is_a_file_too() -> None:
    market = Market()
    market.placed()
    assert exported(market, order_state_codes=["SHIPPED"])[1] == [[]]
    market.later(300)
    late = {"start_date": (START + timedelta(days=1)).isoformat(), "end_date": (START + timedelta(days=2)).isoformat()}
    assert exported(market, **late)[1] == [[]] and len(exported(market)[1][0]) == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"end_update_date": None},
        {"start_update_date": None, "end_update_date": None},
        {"start_date": START.isoformat()},
        {"items_per_chunk": 10},
        {"megabytes_per_chunk": 5},
    ],
)
def test_an_export_needs_whole_date_pairs_and_files_of_some_size(asked: dict[str, Any]) -> None:
    market = Market()
    window = {"start_update_date": START.isoformat(), "end_update_date": START.isoformat()} | asked
    assert market.mirakl("POST", EXPORT, {name: value for name, value in window.items() if value is not None}).status == 400


@pytest.mark.parametrize(("switch", "status"), [("exports_fail", "FAILED"), ("exports_cancelled", "CANCELED")])
def test_exports_are_one_at_a_time_and_may_fail(switch: str, status: str) -> None:
    switched: dict[str, Any] = {switch: True}
    market = Market(**switched)
    export(market)
    assert export(market).status == 400
    market.later(30)
    assert exported(market)[0]["status"] == status, "and the next one may begin"


# ----------------------------------------------------------------------------------------------------------- the ceilings


@pytest.mark.parametrize(("how", "header"), [("seconds", "300"), ("missing", None), ("garbage", "soon")])
def test_too_many_calls_are_429_with_a_date_or_without(how: Any, header: str | None) -> None:
    market = Market(multi_shipment=True, enforce_ceilings=True, retry_after=how)
    path = "/api/shipments/items_to_ship"
    assert market.mirakl("GET", path).status == 200
    late = market.mirakl("GET", path)
    assert late.status == 429 and late.headers.get("Retry-After") == (header if how != "seconds" else "301")
    market.until(minutes=5)
    assert market.mirakl("GET", path).status == 200


def test_a_full_export_and_each_file_have_ceilings_of_their_own() -> None:
    market = Market()
    for seconds, breaks in ((0, 0), (300, 0), (10, 1)):
        market.later(seconds)
        export(market)
        assert len(market.account.violations) == breaks
    market.later(300)
    created = {"start_date": START.isoformat(), "end_date": START.isoformat()}
    market.mirakl("POST", EXPORT, created)
    market.until(hours=12)
    tracking = told(market.mirakl("POST", EXPORT, created))["tracking_id"]
    market.until(hours=12)
    assert [one.operation for one in market.account.violations] == ["OR13", "OR13"], "a full one only once a day"
    [url] = market.asked(f"{EXPORT}/status/{tracking}")["urls"]
    for _ in range(2):
        market.asked(url)
    market.asked(f"{EXPORT}/status/{tracking}")
    assert [one.operation for one in market.account.violations[2:]] == ["OR15", "OR14"]


def test_every_operation_of_the_contract_is_answered() -> None:
    assert {operation.code for operation in Market().sandbox.api.contract.operations} == set(ANSWERS)


def test_every_ceiling_is_of_an_operation_that_is_there() -> None:
    known = {operation.code for operation in Market().sandbox.api.contract.operations}
    assert {name.partition(" ")[0] for name in CEILINGS} <= known


# ------------------------------------------------------------------------------------------------------ files and messages


def upload(market: Market, order: str, *files: tuple[str, str], content: bytes = b"%PDF") -> dict[str, Any]:
    described = {"order_documents": [{"file_name": name, "type_code": kind} for name, kind in files]}
    form = [("files", name, content) for name, _ in files] + [("order_documents", None, json.dumps(described).encode())]
    answer: dict[str, Any] = told(market.mirakl("POST", f"/api/orders/{order}/documents", form=form))
    return answer


def test_documents_are_put_there_listed_fetched_and_taken_away() -> None:
    market = Market()
    order, other = market.placed(), market.placed()
    assert not market.shown(order)["has_invoice"]
    assert upload(market, order, ("invoice.pdf", "CUSTOMER_INVOICE"), ("note.txt", "OTHER")) == {"errors_count": 0, "order_documents": []}
    upload(market, other, ("invoice.pdf", "CUSTOMER_INVOICE"), content=b"\x00\xff")
    assert market.shown(order)["has_invoice"]
    listed = market.asked("/api/orders/documents", order_ids=f"{order},{other}")
    assert listed["total_count"] == 3 and [one["file_size"] for one in listed["order_documents"]] == [4, 4, 2]
    numbers = [one["id"] for one in listed["order_documents"]]
    single = market.mirakl("GET", "/api/orders/documents/download", document_ids=numbers[2])
    assert single.body == b"\x00\xff" and 'filename="invoice.pdf"' in single.headers["Content-Disposition"]

    def names(**query: Any) -> list[str]:
        packed = market.mirakl("GET", "/api/orders/documents/download", **query)
        return zipfile.ZipFile(io.BytesIO(packed.body)).namelist()

    assert names(order_ids=other) == [f"{other}/invoice.pdf"] and len(names(document_ids=f"{numbers[0]},{numbers[1]}")) == 2
    assert names(order_ids=f"{order},{other}", document_codes="OTHER") == [f"{order}/note.txt"]
    assert market.mirakl("GET", "/api/orders/documents/download").status == 400
    assert market.mirakl("DELETE", f"/api/orders/documents/{numbers[0]}").status == 204 and not market.shown(order)["has_invoice"]
    assert market.mirakl("DELETE", f"/api/orders/documents/{numbers[0]}").status == 404
    assert market.mirakl("GET", "/api/orders/documents/download", document_ids=numbers[0]).status == 404


@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [
        ("réçu.pdf", "OTHER", "file_name"),
        ("virus.exe", "OTHER", "file_name"),
        ("invoice.pdf", "OTHER", "file_name"),
        ("bill.pdf", "SYSTEM_DELIVERY_BILL", "type_code"),
        ("chat.pdf", "SYSTEM_MESSAGE_ATTACHMENT", "type_code"),
        ("x.pdf", "NONSENSE", "type_code"),
    ],
)
def test_a_document_that_is_refused_holds_no_other_back(name: str, kind: str, field: str) -> None:
    market = Market()
    order = market.placed()
    upload(market, order, ("invoice.pdf", "CUSTOMER_INVOICE"))
    answer = upload(market, order, (name, kind), ("good.pdf", "OTHER"))
    assert answer["errors_count"] == 1 and answer["order_documents"][0]["errors"][0]["field"] == field
    assert market.asked("/api/orders/documents", order_ids=order)["total_count"] == 2


def test_an_order_has_fifty_documents_and_the_operator_s_stay() -> None:
    market = Market()
    order = market.placed()
    bill = {"file_name": "bill.pdf", "type_code": "SYSTEM_DELIVERY_BILL"}
    assert market.does("operator_document", order_id=order, files=[["bill.pdf", "JVBERg=="]], described=[bill]) == []
    assert upload(market, order, *[(f"{n}.pdf", "OTHER") for n in range(50)])["errors_count"] == 1
    number = market.asked("/api/orders/documents", order_ids=order)["order_documents"][0]["id"]
    assert market.mirakl("DELETE", f"/api/orders/documents/{number}").status == 403


def written(market: Market, path: str, part: str, body: dict[str, Any], *files: tuple[str, bytes]) -> Reply:
    form = [("files", name, content) for name, content in files] + [(part, None, json.dumps(body).encode())]
    return market.mirakl("POST", path, form=form)


def test_a_customer_writes_and_is_answered() -> None:
    market = Market()
    order = market.placed()
    thread, _ = market.does("customer_message", order_id=order, body="Where is it?", topic="Parcel")
    assert market.shown(order)["has_customer_message"]
    [listed] = market.asked("/api/inbox/threads", entity_type="MMP_ORDER", entity_id=f"{order},other")["data"]
    assert listed["id"] == thread and listed["metadata"]["shop_reply_needed_since"] and "messages" not in listed
    to = [{"type": "CUSTOMER"}]
    said = written(market, f"/api/inbox/threads/{thread}/message", "message_input", {"body": "Soon!", "to": to}, ("map.png", b"\x89PNG"))
    assert told(said, 201)["thread_id"] == thread
    read = market.asked(f"/api/inbox/threads/{thread}")
    assert [message["from"]["type"] for message in read["messages"]] == ["CUSTOMER_USER", "SHOP_USER"]
    assert read["metadata"]["shop_reply_needed_since"] is None and read["topic"] == {"type": "FREE_TEXT", "value": "Parcel"}
    attachment = read["messages"][1]["attachments"][0]
    got = market.mirakl("GET", f"/api/inbox/threads/{attachment['id']}/download")
    assert got.body == b"\x89PNG" and attachment["size"] == 4
    market.does("operator_message", order_id=order, body="We help")
    assert len(market.asked("/api/inbox/threads", with_messages=True)["data"][0]["messages"]) == 3
    old = market.asked("/api/messages", order_id=order, received="ALL")
    assert [one["from_type"] for one in old["messages"]] == ["OPERATOR", "SHOP", "CUSTOMER"] and old["total_count"] == 3
    assert market.asked("/api/messages")["total_count"] == 2 and market.asked("/api/messages", received="FALSE")["total_count"] == 1
    wrong = {"body": "Soon!", "to": [{"type": "SHOP"}]}
    assert written(market, f"/api/inbox/threads/{thread}/message", "message_input", wrong).status == 400
    assert written(market, "/api/inbox/threads/none/message", "message_input", wrong).status == 404
    assert market.mirakl("GET", "/api/inbox/threads", entity_id=order).status == 400


def test_the_shop_writes_to_the_operator() -> None:
    market = Market()
    body = {"body": "My account", "entity": {"type": "SELLER_OPERATOR"}, "topic": {"type": "REASON_CODE", "value": "63"}}
    thread = told(written(market, "/api/inbox/threads", "thread_input", body), 201)["thread_id"]
    assert written(market, "/api/inbox/threads", "thread_input", body | {"entity": {"type": "MMP_ORDER"}}).status == 400
    assert written(market, "/api/inbox/threads", "thread_input", body | {"body": "x"}).status == 400
    [listed] = market.asked("/api/inbox/threads", entity_type="SELLER_OPERATOR")["data"]
    assert listed["id"] == thread and [one["type"] for one in listed["authorized_participants"]] == ["SHOP", "OPERATOR"]
    assert market.asked("/api/inbox/threads", updated_since=(START + timedelta(days=1)).isoformat())["data"] == []
    assert market.mirakl("GET", "/api/inbox/threads/nothing").status == market.mirakl("GET", "/api/inbox/threads/x/download").status == 404
