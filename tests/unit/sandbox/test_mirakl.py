"""The marketplace: orders and their states, OR11's pages and overlap, stock files, the contract, the ceilings."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from ops.sandbox.mirakl.state import Switches
from ops.sandbox.plan import Plan
from ops.sandbox.wire import Request
from tests.unit.sandbox.desk import START, Desk

OPEN = Plan(skus=6, offers_open="at_stock", least_stock=500, most_stock=600)


def switched(**switches: Any) -> Desk:
    return Desk(Plan(skus=6, offers_open="at_stock", least_stock=500, most_stock=600, mirakl=Switches(**switches)))


# ---------------------------------------------------------------- an order's way


def test_an_order_waits_is_accepted_debited_and_shipped() -> None:
    desk = Desk(OPEN)
    order = desk.bought()
    seen = [desk.world.account.orders[order].state]
    assert desk.accept(order).status == 204
    for seconds in (0, 20, 40):
        desk.later(seconds)
        seen.append(desk.world.account.orders[order].state)
    tracking = {"carrier_code": "RM", "tracking_number": "AB1"}
    assert desk.mirakl("PUT", f"/api/orders/{order}/tracking", tracking).status == 204
    assert desk.mirakl("PUT", f"/api/orders/{order}/ship").status == 204
    seen.append(desk.world.account.orders[order].state)
    desk.later(hours=72)
    seen.append(desk.world.account.orders[order].state)
    desk.later(hours=336)
    seen.append(desk.world.account.orders[order].state)
    assert seen == ["WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT", "SHIPPING", "SHIPPED", "RECEIVED", "CLOSED"]


def test_addresses_appear_with_shipping_and_not_before() -> None:
    desk = Desk(OPEN)
    order = desk.bought()

    def customer() -> Any:
        return desk.asked("/api/orders", order_ids=order)["orders"][0]["customer"]

    assert customer()["shipping_address"] is None and customer()["lastname"]
    desk.accept(order)
    desk.later(30)
    assert customer()["shipping_address"] is None
    desk.later(60)
    assert "PII-1-" in customer()["shipping_address"]["street_1"]


def test_or_before_where_the_operator_shows_them() -> None:
    desk = switched(addresses_before_acceptance=True)
    desk.bought()
    assert desk.asked("/api/orders")["orders"][0]["customer"]["shipping_address"]


@pytest.mark.parametrize("call", ["ship", "accept"])
def test_a_state_conflict_is_400_with_free_text(call: str) -> None:
    desk = Desk(OPEN)
    order = desk.shippable()
    assert desk.mirakl("PUT", f"/api/orders/{order}/ship").status == 204
    again = desk.mirakl("PUT", f"/api/orders/{order}/ship") if call == "ship" else desk.accept(order)
    body = json.loads(again.body)
    assert again.status == 400 and body["status"] == 400 and "SHIPPED" in body["message"] and set(body) == {"status", "message"}


def two_lines(desk: Desk) -> str:
    lines = [(desk.sku(0), 1), (desk.sku(0), 2)]  # the same SKU twice stays two lines
    buyer = desk.world.buy(desk.clock.at)
    assert buyer is not None
    known = next(iter(desk.world.account.orders.values())).buyer
    desk.world.apply(
        "mirakl.place", {"lines": lines, "buyer": {name: getattr(known, name) for name in known.__struct_fields__}}, desk.clock.at
    )
    return list(desk.world.account.orders)[-1]


def decide(desk: Desk, order: str, *accepted: bool) -> Any:
    lines = desk.world.account.orders[order].lines
    decisions = [{"id": line.id, "accepted": said} for line, said in zip(lines, accepted, strict=False)]
    return desk.mirakl("PUT", f"/api/orders/{order}/accept", {"order_lines": decisions})


def test_lines_are_accepted_and_refused_each_for_itself() -> None:
    desk = Desk(OPEN)
    order = two_lines(desk)
    assert decide(desk, order, True, False).status == 204
    desk.later(120)
    assert [line.state for line in desk.world.account.orders[order].lines] == ["SHIPPING", "REFUSED"]
    desk.mirakl("PUT", f"/api/orders/{order}/ship")
    assert [line.state for line in desk.world.account.orders[order].lines] == ["SHIPPED", "REFUSED"]


def test_all_lines_refused_is_an_order_refused_whose_prices_stay() -> None:
    desk = Desk(OPEN)
    order = two_lines(desk)
    decide(desk, order, False, False)
    shown = desk.asked("/api/orders", order_ids=order)["orders"][0]
    assert shown["order_state"] == "REFUSED" and shown["total_price"] > 0


@pytest.mark.parametrize(
    ("accepted", "word"),
    [((True,), "ORDER_LINE_ACCEPTANCE_DECISION_MISSING"), ((True, False), "ORDER_PARTIAL_ACCEPTANCE_DISABLED")],
)
def test_decisions_must_be_whole(accepted: tuple[bool, ...], word: str) -> None:
    desk = switched(partial_acceptance=False)
    order = two_lines(desk)
    refused = decide(desk, order, *accepted)
    assert refused.status == 400 and word in refused.body.decode()
    assert desk.world.account.orders[order].state == "WAITING_ACCEPTANCE"


def test_a_line_twice_or_unknown_is_refused() -> None:
    desk = Desk(OPEN)
    order = desk.bought()
    first = desk.world.account.orders[order].lines[0].id
    for lines in ([first, first], [first, "nobody's"]):
        refused = desk.mirakl("PUT", f"/api/orders/{order}/accept", {"order_lines": [{"id": one, "accepted": True} for one in lines]})
        assert refused.status == 400
    assert desk.mirakl("PUT", "/api/orders/none/accept", {"order_lines": []}).status == 404


def test_an_order_nobody_decides_on_is_refused_by_itself() -> None:
    desk = switched(acceptance_hours=4)
    order = desk.bought()
    desk.later(hours=4)
    is_ = desk.world.account.orders[order]
    assert (is_.state, is_.reason) == ("REFUSED", "ACCEPTANCE_TIMEOUT")


def test_an_order_accepted_by_the_platform_has_no_decision_date() -> None:
    desk = switched(acceptance="AUTOMATIC")
    desk.bought()
    desk.later(60)
    shown = desk.asked("/api/orders")["orders"][0]
    assert shown["order_state"] == "SHIPPING" and shown["acceptance_decision_date"] is None


@pytest.mark.parametrize(
    ("tracking", "status"),
    [
        ({"carrier_code": "rm", "tracking_number": "1"}, 400),
        ({"carrier_code": "RM"}, 400),
        ({"carrier_code": "OTHER"}, 204),
        ({"carrier_name": "Mule", "carrier_url": "https://mule.example/1", "tracking_number": "1"}, 204),
        ({"tracking_number": "1"}, 400),
        ({"carrier_code": 7}, 400),
    ],
)
def test_tracking_wants_a_carrier_of_the_list_or_a_name(tracking: dict[str, Any], status: int) -> None:
    desk = Desk(OPEN)
    assert desk.mirakl("PUT", f"/api/orders/{desk.shippable()}/tracking", tracking).status == status


def test_where_tracking_is_mandatory_nothing_ships_without() -> None:
    desk = switched(mandatory_tracking=True, alternative_carriers=False)
    order = desk.shippable()
    assert desk.mirakl("PUT", f"/api/orders/{order}/ship").status == 400
    assert desk.mirakl("PUT", f"/api/orders/{order}/tracking", {"carrier_name": "Mule", "tracking_number": "1"}).status == 400
    assert desk.mirakl("PUT", f"/api/orders/{order}/tracking", {"carrier_code": "RM", "tracking_number": "1"}).status == 204
    assert desk.mirakl("PUT", f"/api/orders/{order}/ship").status == 204


def test_references_are_set_in_batches_and_failures_stand_beside_successes() -> None:
    desk = Desk(OPEN)
    order = desk.bought()
    wanted = [{"order_id": name, "references": {"order_reference_for_seller": "#1001"}} for name in (order, "none")]
    reply = desk.mirakl("PUT", "/api/orders", {"orders": wanted})
    assert reply.status == 200
    first, second = json.loads(reply.body)["updated_orders"]
    assert first["updated"]["references"]["order_reference_for_seller"] == "#1001" and second["errors"][0]["code"] == "NOT_FOUND"
    assert desk.asked("/api/orders", order_references_for_seller="#1001")["total_count"] == 1


# ---------------------------------------------------------------- reading orders


def one_a_second(desk: Desk, orders: int) -> list[str]:
    placed = []
    for _ in range(orders):
        desk.later(1)
        placed.append(desk.bought())
    return placed


def test_pages_are_of_ten_unless_asked_and_of_a_hundred_at_most() -> None:
    desk = Desk(OPEN)
    placed = one_a_second(desk, 25)
    first = desk.asked("/api/orders")
    assert first["total_count"] == 25 and [order["order_id"] for order in first["orders"]] == placed[:10]
    seen = [order["order_id"] for offset in (0, 10, 20) for order in desk.asked("/api/orders", offset=offset)["orders"]]
    assert seen == placed, "by creation, ascending"
    assert desk.mirakl("GET", "/api/orders", max=101).status == 400
    assert len(desk.asked("/api/orders", max=100)["orders"]) == 25
    assert 'rel="next"' in desk.mirakl("GET", "/api/orders").headers["Link"]
    assert [order["order_id"] for order in desk.asked("/api/orders", order="desc", max=1)["orders"]] == placed[-1:]


def test_a_page_shifts_when_orders_before_it_leave_the_filter() -> None:
    desk = Desk(OPEN)
    placed = one_a_second(desk, 4)
    waiting = {"order_state_codes": "WAITING_ACCEPTANCE", "max": 2}
    first = desk.asked("/api/orders", **waiting)["orders"]
    desk.accept(placed[0])
    second = desk.asked("/api/orders", offset=2, **waiting)["orders"]
    seen = [order["order_id"] for order in [*first, *second]]
    assert placed[2] not in seen, "whoever pages by state misses one"


def test_the_start_of_a_window_is_quietly_moved_back() -> None:
    desk = switched(update_overlap=300)
    order = desk.bought()
    desk.later(299)
    assert desk.asked("/api/orders", start_update_date=desk.clock.at.isoformat())["orders"][0]["order_id"] == order
    desk.later(2)
    assert desk.asked("/api/orders", start_update_date=desk.clock.at.isoformat())["orders"] == []
    assert desk.asked("/api/orders", end_update_date=START.isoformat())["total_count"] == 1
    assert desk.asked("/api/orders", end_update_date=(START - timedelta(seconds=1)).isoformat())["total_count"] == 0


def test_a_misspelt_filter_means_all_orders() -> None:
    desk = Desk(OPEN)
    desk.bought()
    assert desk.asked("/api/orders", commercial_ids="nobody")["total_count"] == 1
    assert desk.asked("/api/orders", order_ids="nobody,else")["total_count"] == 0


@pytest.mark.parametrize(
    "query",
    [
        {"order_state_codes": "SHIPPING,NONSENSE"},
        {"start_update_date": "yesterday"},
        {"start_update_date": "2026-11-23T08:00:00"},
        {"customer_debited": "perhaps"},
        {"max": "ten"},
        {"offset": "-1"},
        {"order_tax_mode": "NET"},
        {"shop_id": "x"},
        {"order_ids": ",".join(["x"] * 101)},
    ],
)
def test_parameters_that_do_not_fit_the_contract_are_400(query: dict[str, Any]) -> None:
    assert Desk(OPEN).mirakl("GET", "/api/orders", **query).status == 400


def test_prices_hold_tax_or_do_not_as_asked_and_add_up() -> None:
    desk = Desk(OPEN)
    for _ in range(20):
        desk.bought()
    mixed = {mode: desk.asked("/api/orders", max=50, order_tax_mode=mode)["orders"] for mode in ("TAX_INCLUDED", "TAX_EXCLUDED")}
    for included, excluded in zip(*mixed.values(), strict=True):
        for mode, order in zip(mixed, (included, excluded), strict=True):
            assert order["order_tax_mode"] == mode
            for name in ("price", "shipping_price", "total_price", "total_commission"):
                assert order[name] == pytest.approx(sum(line[name] for line in order["order_lines"]))
        for with_tax, without in zip(included["order_lines"], excluded["order_lines"], strict=True):
            assert with_tax["price"] == pytest.approx(with_tax["price_unit"] * with_tax["quantity"])
            taxes = sum(tax["amount"] for tax in with_tax["taxes"])
            assert without["price"] == pytest.approx(with_tax["price"] - taxes)
            assert with_tax["total_commission"] == pytest.approx(with_tax["commission_fee"] + with_tax["commission_taxes"][0]["amount"])


def test_orders_are_as_varied_as_life() -> None:
    desk = Desk(Plan(skus=6, offers_open="at_stock", least_stock=900, most_stock=999))
    for _ in range(80):
        desk.bought()
    orders = list(desk.world.account.orders.values())
    buyers = [order.buyer for order in orders]
    assert any(len(order.lines) > 1 for order in orders)
    assert any(len({line.offer_sku for line in order.lines}) < len(order.lines) for order in orders)
    assert any(line.unit_price % 10 for order in orders for line in order.lines)
    assert any(not buyer.first_name.isascii() for buyer in buyers) and any(buyer.phone is None for buyer in buyers)
    assert any(buyer.alpha_3 is None for buyer in buyers) and any(buyer.address_first_name is None for buyer in buyers)
    personal = ("customer_id", "first_name", "last_name", "street_1", "city", "email")
    assert all("PII-1-" in getattr(buyer, name) for buyer in buyers for name in personal)


# ---------------------------------------------------------------- stock


HEADER = '"offer-sku";"quantity";"warehouse-code";"update-delete"\n'


def imported(desk: Desk, text: str) -> tuple[str, dict[str, Any]]:
    reply = desk.mirakl("POST", "/api/offers/stock/imports", csv=text)
    assert reply.status == 201
    number = json.loads(reply.body)["import_id"]
    assert isinstance(number, str) and reply.headers["Location"].endswith(f"/{number}/status")
    desk.later(60)
    return number, desk.asked(f"/api/offers/stock/imports/{number}/status")


def test_a_stock_file_is_accepted_first_and_imported_later() -> None:
    desk = Desk(OPEN)
    reply = desk.mirakl("POST", "/api/offers/stock/imports", csv=f'{HEADER}"{desk.sku(0)}";"7";"";""\n')
    number = json.loads(reply.body)["import_id"]
    status = f"/api/offers/stock/imports/{number}/status"
    assert desk.asked(status)["status"] == "WAITING" and desk.world.account.offers[desk.sku(0)].quantity != 7
    desk.later(60)
    assert desk.asked(status) | {"date_created": ""} == {
        "import_id": number, "shop_id": 2024, "date_created": "", "status": "COMPLETE", "has_error_report": False,
        "lines_in_error": 0, "lines_in_success": 1,
    }  # fmt: skip
    assert desk.world.account.offers[desk.sku(0)].quantity == 7


def test_what_is_wrong_with_one_line_does_not_hold_back_the_others() -> None:
    desk = Desk(OPEN)
    sku, other = desk.sku(0), desk.sku(1)
    rows = [
        f'"{sku}";"0";"";""',
        '"nobody";"5";"";""',
        f'"{other}";"-1";"";""',
        f'"{other}";"1.5";"";"update"',
        f'"{other}";"3";"LDN";""',
        '"";"1";"";""',
    ]
    number, status = imported(desk, HEADER + "\n".join(rows))
    assert (status["status"], status["lines_in_success"], status["lines_in_error"]) == ("COMPLETE", 1, 5)
    assert desk.world.account.offers[sku].quantity == 0
    report = desk.mirakl("GET", f"/api/offers/stock/imports/{number}/error_report").body.decode()
    table = list(csv.reader(io.StringIO(report), delimiter=";"))
    assert [row[0] for row in table[1:]] == ["3", "4", "5", "6", "7"] and table[1][2:4] == ["nobody", "5"]


@pytest.mark.parametrize(
    "text",
    [
        '\ufeff"offer-sku";"quantity"\r\n"{sku}";"9"\r\n',
        "offer-sku;quantity;update-delete\n{sku};9;update\n\n",
        "Offer SKU;Quantity\noffer-sku;quantity\n{sku};9\n",
        '"quantity";"offer-sku"\n"9";"{sku}"\n',
    ],
)
def test_the_csv_may_have_a_mark_labels_fewer_columns_or_another_order(text: str) -> None:
    desk = Desk(OPEN)
    _, status = imported(desk, text.replace("{sku}", desk.sku(0)))
    assert status["status"] == "COMPLETE" and desk.world.account.offers[desk.sku(0)].quantity == 9


@pytest.mark.parametrize("text", ["", "sku,quantity\nA,1\n", "offer-sku;amount\nA;1\n"])
def test_a_file_without_a_header_fails_as_a_whole(text: str) -> None:
    desk = Desk(OPEN)
    number, status = imported(desk, text)
    assert status["status"] == "FAILED" and "lines_in_success" not in status
    assert desk.mirakl("GET", f"/api/offers/stock/imports/{number}/error_report").status == 404


def test_imports_can_be_stuck_for_ever() -> None:
    desk = switched(imports_stuck=True)
    _, status = imported(desk, f'{HEADER}"{desk.sku(0)}";"7";"";""\n')
    assert status["status"] == "WAITING"


@pytest.mark.parametrize(("falls", "bought", "accepted"), [("creation", 1, 1), ("acceptance", 0, 1), ("never", 0, 0)])
def test_when_an_order_lowers_its_offer_is_a_switch(falls: Any, bought: int, accepted: int) -> None:
    desk = switched(quantity_falls=falls)
    offer = desk.world.account.offers[desk.sku(0)]
    before = offer.quantity
    order = desk.bought(desk.sku(0))
    assert before - offer.quantity == bought
    desk.accept(order)
    assert before - offer.quantity == accepted


@pytest.mark.parametrize("returns", [True, False])
def test_and_whether_it_is_given_back_is_another(returns: bool) -> None:
    desk = switched(quantity_returns=returns)
    offer = desk.world.account.offers[desk.sku(0)]
    before = offer.quantity
    desk.accept(desk.bought(desk.sku(0)), accepted=False)
    assert before - offer.quantity == (0 if returns else 1)


def test_only_what_is_shown_can_be_bought() -> None:
    desk = Desk(OPEN)
    imported(desk, f'{HEADER}"{desk.sku(0)}";"1";"";""\n')
    assert desk.world.buy(desk.clock.at, sku=desk.sku(0), quantity=2) is None
    assert desk.world.buy(desk.clock.at, sku=desk.sku(0)) is not None
    assert desk.world.buy(desk.clock.at, sku=desk.sku(0)) is None


# ---------------------------------------------------------------- the contract, the key, the ceilings


def test_a_wrong_key_is_401_as_mirakl_says_it() -> None:
    reply = Desk(OPEN).mirakl("GET", "/api/version", key="another")
    assert (reply.status, json.loads(reply.body)) == (401, {"status": 401, "message": "Unauthorized"})


def test_another_shop_is_not_ours_to_see() -> None:
    desk = Desk(OPEN)
    assert desk.mirakl("GET", "/api/orders", shop_id=2025).status == 403
    assert desk.mirakl("GET", "/api/orders", shop_id=2024).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/nonsense", None, 404),
        ("DELETE", "/api/orders", None, 405),
        ("PUT", "/api/orders", {"orders": []}, 400),
        ("PUT", "/api/orders", {"orders": [{}]}, 400),
        ("PUT", "/api/orders", None, 415),
        ("PUT", "/api/orders/x/accept", {"order_lines": [{"id": "x"}]}, 400),
        ("POST", "/api/offers/stock/imports", {"file": "text"}, 415),
        ("PUT", "/api/orders/refund", {"refunds": []}, 200),
        ("PUT", "/api/orders/refund", {"nonsense": []}, 400),
    ],
)
def test_what_the_contract_refuses_is_refused(method: str, path: str, body: Any, status: int) -> None:
    assert Desk(OPEN).mirakl(method, path, body).status == status


def test_a_form_without_its_file_is_refused() -> None:
    desk = Desk(OPEN)
    headers = {"authorization": desk.sandbox.key, "content-type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n'
    assert desk.sandbox.mirakl(Request("POST", "/api/offers/stock/imports", headers=headers, body=body)).status == 400


def test_calls_beyond_the_published_ceiling_are_counted() -> None:
    desk = Desk(OPEN)
    desk.asked("/api/orders")
    desk.later(58)
    desk.asked("/api/orders")
    [violation] = desk.world.account.violations
    assert (violation.operation, violation.calls, violation.per) == ("OR11", 2, 60)
    desk.later(60)
    desk.asked("/api/orders")
    assert len(desk.world.account.violations) == 1
    desk.asked("/api/version")
    desk.asked("/api/version")
    assert len(desk.world.account.violations) == 1, "no ceiling is published for it"


def test_and_answered_with_429_where_so_switched() -> None:
    desk = switched(enforce_ceilings=True)
    desk.asked("/api/orders")
    desk.later(10)
    refused = desk.mirakl("GET", "/api/orders")
    assert refused.status == 429 and 49 <= int(refused.headers["Retry-After"]) <= 51


def test_an_external_partner_may_call_every_quarter_of_an_hour() -> None:
    desk = switched(external_partner=True)
    desk.asked("/api/orders")
    desk.later(600)
    desk.asked("/api/orders")
    assert desk.world.account.violations[0].per == 900


def test_whether_further_pages_are_calls_of_their_own_is_a_switch() -> None:
    desk = switched(pages_count=False)
    desk.asked("/api/orders", offset=0)
    desk.asked("/api/orders", offset=10)
    assert desk.world.account.violations == []
