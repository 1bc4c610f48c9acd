"""What is on offer: activity and its reasons, prices and discounts, stock and price files with all their moods, exports."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from ops.sandbox.mirakl import offers as on_offer
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.plan import Plan
from ops.sandbox.wire import RefusalError
from tests.unit.sandbox.desk import START, Desk

STOCK = "/api/offers/stock/imports"
PRICES = "/api/offers/pricing/imports"
HEADER = '"offer-sku";"quantity";"warehouse-code";"update-delete"\n'


def desk_with(**switches: Any) -> Desk:
    return Desk(Plan(skus=6, offers_open="at_stock", least_stock=500, most_stock=600, mirakl=Switches(**switches)))


def does(desk: Desk, operation: str, **arguments: Any) -> Any:
    return desk.world.apply(f"mirakl.{operation}", arguments, desk.clock.at)


def offer(desk: Desk, n: int = 0, **query: Any) -> Any:
    [found] = desk.asked("/api/offers", sku=desk.sku(n), **query)["offers"]
    return found


def quantity(desk: Desk, n: int = 0) -> int:
    """As OF26 tells it."""
    told: int = desk.asked(f"/api/offers/{offer(desk, n)['offer_id']}/quantity")["quantity"]
    return told


def upload(desk: Desk, text: str, path: str = STOCK) -> str:
    reply = desk.mirakl("POST", path, csv=text)
    assert reply.status == 201
    number: str = json.loads(reply.body)["import_id"]
    return number


def status(desk: Desk, number: str) -> Any:
    return desk.asked(f"{STOCK}/{number}/status")


def report(desk: Desk, number: str, path: str = STOCK) -> Any:
    return desk.mirakl("GET", f"{path}/{number}/error_report")


# --------------------------------------------------------------------------------------------------------------- activity


def test_an_offer_says_why_it_is_not_active() -> None:
    desk = desk_with()
    assert offer(desk)["active"] and offer(desk)["inactivity_reasons"] == []
    does(desk, "edit_offer", sku=desk.sku(), quantity=0)
    assert offer(desk)["inactivity_reasons"] == ["ZERO_QUANTITY"] and not offer(desk)["active"]
    does(desk, "edit_offer", sku=desk.sku(), quantity=5, stopped=["PRODUCT_STATUS_REJECTED"])
    assert offer(desk)["inactivity_reasons"] == ["PRODUCT_STATUS_REJECTED"] and offer(desk)["quantity"] == 5
    assert quantity(desk) == 0, "nothing is available of what is not active"
    assert desk.world.buy(desk.clock.at, sku=desk.sku()) is None
    with pytest.raises(RefusalError):
        does(desk, "place", lines=[(desk.sku(), 1)], buyer={})


def test_an_offer_sells_within_its_dates() -> None:
    desk = desk_with()
    until = START + timedelta(hours=1)
    does(desk, "edit_offer", sku=desk.sku(), sells_until=until.isoformat())
    assert offer(desk)["active"]
    desk.later(hours=1)
    assert (
        offer(desk)["inactivity_reasons"] == ["OUT_OF_AVAILABILITY_PERIOD"] and offer(desk)["available_end_date"] == "2026-11-23T09:00:00Z"
    )


def test_a_shop_that_is_suspended_sells_nothing() -> None:
    desk = desk_with()
    does(desk, "shop", state="SUSPENDED")
    assert offer(desk)["inactivity_reasons"] == ["SHOP_NOT_OPEN"]
    told = desk.asked("/api/account")
    assert told["shop_state"] == "SUSPENDED" and told["suspension_type"] == "MANUAL" and told["offers_count"] == 0
    assert desk.world.buy(desk.clock.at) is None
    does(desk, "shop", state="OPEN")
    assert offer(desk)["active"] and desk.world.buy(desk.clock.at)


def test_holidays_begin_and_end_by_themselves() -> None:
    desk = desk_with()
    does(desk, "shop", closed_from=(START + timedelta(days=1)).isoformat(), until=(START + timedelta(days=2)).isoformat())
    states = []
    for _ in range(3):
        states.append((desk.asked("/api/account")["shop_state"], offer(desk)["active"]))
        desk.later(hours=24)
    assert states == [("OPEN", True), ("CLOSE", False), ("OPEN", True)]


def test_other_people_edit_delete_and_restore() -> None:
    desk = desk_with()
    number = offer(desk)["offer_id"]
    does(desk, "edit_offer", sku=desk.sku(), price=1234)
    assert offer(desk)["price"] == 12.34
    does(desk, "delete_offer", sku=desk.sku())
    assert desk.asked("/api/offers", sku=desk.sku())["offers"] == [] and desk.asked("/api/offers")["total_count"] == 5
    assert desk.mirakl("GET", f"/api/offers/{number}/quantity").status == 404
    wrong = upload(desk, f"{HEADER}{desk.sku()};1;;\n")
    desk.later(60)
    assert "does not exist" in report(desk, wrong).body.decode()
    does(desk, "restore_offer", sku=desk.sku())
    assert offer(desk)["offer_id"] == number and offer(desk)["quantity"] == 0
    for operation in ("edit_offer", "delete_offer", "restore_offer"):
        with pytest.raises(RefusalError):
            does(desk, operation, sku="nobody's")


def test_an_order_of_an_offer_that_is_gone_gives_nothing_back() -> None:
    desk = desk_with()
    order = desk.bought(desk.sku())
    does(desk, "delete_offer", sku=desk.sku())
    desk.accept(order, accepted=False)
    assert desk.world.account.gone[desk.sku()].quantity >= 0


def test_the_list_is_by_price_unless_asked_otherwise() -> None:
    desk = desk_with()
    prices = [one["total_price"] for one in desk.asked("/api/offers")["offers"]]
    assert prices == sorted(prices) and len(prices) == 6
    assert [one["total_price"] for one in desk.asked("/api/offers", order="desc")["offers"]] == prices[::-1]
    titles = [one["product_title"] for one in desk.asked("/api/offers", sort="productTitle")["offers"]]
    assert titles == sorted(titles)
    assert [one["total_price"] for one in desk.asked("/api/offers", max=2, offset=2)["offers"]] == prices[2:4]
    assert 'rel="next"' in desk.mirakl("GET", "/api/offers", max=2).headers["Link"]
    product = offer(desk)["product_sku"]
    assert [one["shop_sku"] for one in desk.asked("/api/offers", product_id=product)["offers"]] == [desk.sku()]
    assert desk.asked("/api/offers", offer_state_codes="10")["offers"] == desk.asked("/api/offers", favorite="true")["offers"] == []


# ------------------------------------------------------------------------------------------------------------- stock files


def test_an_older_file_can_win() -> None:
    seen = set()
    for seed in range(12):
        desk = Desk(Plan(skus=2, mirakl=Switches(import_wait=60, import_run=60)), seed=seed)
        for n in (1, 2):
            upload(desk, f"{HEADER}{desk.sku()};{n};;\n")
            desk.later(10)
        desk.later(600)
        seen.add(offer(desk)["quantity"])
    assert seen == {1, 2}


@pytest.mark.parametrize("terms", [{"imports_serial": True}, {"import_spread": 0.0}])
def test_unless_files_run_one_after_another_or_all_take_as_long(terms: dict[str, Any]) -> None:
    for seed in range(12):
        desk = Desk(Plan(skus=2, mirakl=Switches(import_wait=60, import_run=60, **terms)), seed=seed)
        for n in (1, 2, 3):
            upload(desk, f"{HEADER}{desk.sku()};{n};;\n")
            desk.later(10)
        desk.later(1200)
        assert offer(desk)["quantity"] == 3


@pytest.mark.parametrize("where", ["WAITING", "RUNNING"])
def test_files_hang_until_somebody_sees_to_it(where: Any) -> None:
    desk = desk_with(imports_stuck=True, stuck_at=where)
    first, second = upload(desk, f"{HEADER}{desk.sku()};7;;\n"), upload(desk, f"{HEADER}{desk.sku(1)};8;;\n")
    desk.later(hours=5)
    assert {status(desk, number)["status"] for number in (first, second)} == {where}
    does(desk, "resume_import", import_id=first)
    desk.later(60)
    assert (status(desk, first)["status"], status(desk, second)["status"]) == ("COMPLETE", where)
    desk.world.switch("mirakl", desk.clock.at, imports_stuck=False)
    desk.later(60)
    assert status(desk, second)["status"] == "COMPLETE" and (quantity(desk), quantity(desk, 1)) == (7, 8)
    with pytest.raises(RefusalError):
        does(desk, "resume_import", import_id=first)


def test_chance_lets_some_hang_some_fail_and_some_lines_be_refused() -> None:
    desk = desk_with(import_stuck=0.2, import_fails=0.2, line_fails=0.3)
    numbers = []
    for _ in range(40):
        numbers.append(upload(desk, f"{HEADER}{desk.sku()};7;;\n{desk.sku(1)};8;;\n"))
        desk.later(60)
    seen = {(told["status"], told.get("lines_in_error")) for told in (status(desk, number) for number in numbers)}
    assert seen == {("WAITING", None), ("FAILED", None), ("COMPLETE", 0), ("COMPLETE", 1), ("COMPLETE", 2)}


def test_a_file_can_be_too_long() -> None:
    desk = desk_with(import_rows=2)
    rows = [f"{desk.sku(n)};1;;\n" for n in range(3)]
    fits, too_long = upload(desk, HEADER + "".join(rows[:2])), upload(desk, HEADER + "".join(rows))
    desk.later(60)
    assert status(desk, fits)["status"] == "COMPLETE" and status(desk, too_long)["status"] == "FAILED"


@pytest.mark.parametrize("accepted", [True, False])
def test_whether_zero_is_a_quantity_is_a_switch(accepted: bool) -> None:
    desk = desk_with(zero_quantity=accepted)
    number = upload(desk, f"{HEADER}{desk.sku()};0;;\n")
    desk.later(60)
    assert status(desk, number)["lines_in_error"] == (0 if accepted else 1)
    assert (quantity(desk) == 0) == accepted


@pytest.mark.parametrize(("said", "errors", "left"), [("last_wins", 0, 2), ("refused", 1, 1)])
def test_an_offer_twice_in_a_file(said: Any, errors: int, left: int) -> None:
    desk = desk_with(repeated_lines=said)
    number = upload(desk, f"{HEADER}{desk.sku()};1;;\n{desk.sku()};2;;\n")
    desk.later(60)
    assert (status(desk, number)["lines_in_error"], quantity(desk)) == (errors, left)


@pytest.mark.parametrize(("said", "same"), [("new_import", False), ("same_import", True)])
def test_the_same_file_again(said: Any, same: bool) -> None:
    desk = desk_with(identical_files=said)
    numbers = [upload(desk, f"{HEADER}{desk.sku()};1;;\n") for _ in range(2)]
    assert (len(set(numbers)) == 1) == same
    assert upload(desk, f"{HEADER}{desk.sku()};2;;\n") not in numbers


def test_quantities_by_warehouse_make_up_the_whole() -> None:
    desk = desk_with(warehouses=["LDS", "BRS"])
    sku = desk.sku()
    number = upload(desk, f"{HEADER}{sku};3;LDS;\n{sku};4;BRS;\n{sku};5;NOWHERE;\n")
    desk.later(60)
    assert status(desk, number)["lines_in_error"] == 1 and offer(desk)["quantity"] == 7
    assert offer(desk)["warehouses"] == [{"code": "LDS", "quantity": 3}, {"code": "BRS", "quantity": 4}]
    desk.bought(sku, 4)
    assert offer(desk)["warehouses"] == [{"code": "LDS", "quantity": 0}, {"code": "BRS", "quantity": 3}]
    upload(desk, f"{HEADER}{sku};;LDS;delete\n")
    desk.later(60)
    assert offer(desk)["warehouses"] == [{"code": "BRS", "quantity": 3}] and offer(desk)["quantity"] == 3
    upload(desk, f"{HEADER}{sku};9;;\n")
    desk.later(60)
    assert offer(desk)["quantity"] == 9 and "warehouses" not in offer(desk), "a quantity for all of it"


def test_error_reports_differ_in_language_charset_and_form() -> None:
    desk = desk_with(report_locale="fr_FR", report_charset="iso-8859-1", report_delimiter=",", report_quotes="needed")
    number = upload(desk, f'{HEADER}"{"Écru; 1"}";"-1";"";""\n')
    desk.later(60)
    told = report(desk, number)
    assert told.kind == "text/csv; charset=iso-8859-1"
    rows = list(csv.reader(io.StringIO(told.body.decode("iso-8859-1"))))
    assert rows[0][:2] == ["numéro-ligne", "message-erreur"]
    assert rows[1][0] == "2" and "n'existe pas" in rows[1][1] and rows[1][2:4] == ["Écru; 1", "-1"]


def test_a_report_that_is_announced_may_be_missing() -> None:
    desk = desk_with(report_missing=True)
    number = upload(desk, f"{HEADER}nobody;1;;\n")
    desk.later(60)
    assert status(desk, number)["has_error_report"] and report(desk, number).status == 404


@pytest.mark.parametrize(("touches", "moved"), [(True, True), (False, False)])
def test_whether_a_line_that_changes_nothing_moves_the_offer_is_a_switch(touches: bool, moved: bool) -> None:
    desk = desk_with(unchanged_touches=touches)
    before = desk.world.account.offers[desk.sku()]
    stamp = before.updated_at
    upload(desk, f"{HEADER}{desk.sku()};{before.quantity};;\n")
    desk.later(60)
    assert (desk.world.account.offers[desk.sku()].updated_at > stamp) == moved


def test_lines_may_hold_whatever_csv_can() -> None:
    desk = desk_with()
    awkward = ['A"B', "C;D", "E\nF", "G\u2028H", "=cmd()", "Ïñ\u0000x"]
    quoted = [f'"{sku.replace(chr(34), chr(34) * 2)}";"1";"";""' for sku in awkward]
    number = upload(desk, HEADER + "\r\n".join([*quoted, f'"{desk.sku()}";"6";"";""']))
    desk.later(60)
    assert (status(desk, number)["lines_in_error"], quantity(desk)) == (6, 6)
    rows = list(csv.reader(io.StringIO(report(desk, number).body.decode(), newline=""), delimiter=";"))
    assert [row[2] for row in rows[1:]] == awkward and [row[0] for row in rows[1:]] == ["2", "3", "4", "6", "7", "8"]


# ------------------------------------------------------------------------------------------------------------- price files


def priced(desk: Desk, text: str) -> Any:
    """What became of a price file."""
    number = upload(desk, text, PRICES)
    desk.later(60)
    [told] = desk.asked(PRICES, import_id=number)["data"]
    return told


def test_all_prices_of_an_offer_are_replaced() -> None:
    desk = desk_with(channels=("UK", "DE"), channel_pricing="MULTI")
    header = "offer-sku;price;channels\n"
    told = priced(desk, f"{header}{desk.sku()};20.50;\n{desk.sku()};22;DE\n{desk.sku(1)};9.99;\n")
    assert (told["status"], told["lines_in_success"], told["offers_updated"], told["has_error_report"]) == ("COMPLETE", 3, 2, False)
    assert [price["price"] for price in offer(desk)["all_prices"]] == [20.5, 22]
    assert offer(desk, pricing_channel_code="DE")["applicable_pricing"]["price"] == 22 and offer(desk)["price"] == 20.5
    assert "context" not in offer(desk)["all_prices"][0] and offer(desk)["all_prices"][1]["context"]["channel_codes"] == ["DE"]
    priced(desk, f"{header}{desk.sku()};21;\n")
    assert [price["price"] for price in offer(desk)["all_prices"]] == [21], "the one that was not sent is gone"


def test_a_buyer_pays_the_price_of_his_channel() -> None:
    desk = desk_with(channels=("UK", "DE"), channel_pricing="MULTI")
    priced(desk, f"offer-sku;price;channels\n{desk.sku()};20;\n{desk.sku()};22;DE\n")
    desk.bought(desk.sku())
    buyer = next(iter(desk.world.account.orders.values())).buyer
    known = {name: getattr(buyer, name) for name in buyer.__struct_fields__}
    for channel, price in (("DE", 2200), ("UK", 2000)):
        order = does(desk, "place", lines=[(desk.sku(), 1)], buyer=known, options={"channel": channel})
        assert desk.world.account.orders[order].lines[0].unit_price == price


def test_a_discount_runs_between_its_dates() -> None:
    desk = desk_with()
    begins, ends = START + timedelta(hours=2), START + timedelta(hours=4)
    header = "offer-sku;price;discount-price;discount-start-date;discount-end-date\n"
    priced(desk, f"{header}{desk.sku()};20;15.5;{begins.isoformat()};{ends.isoformat()}\n")
    shown = []
    for _ in range(3):
        found = offer(desk)
        shown.append((found["price"], found["applicable_pricing"]["unit_origin_price"]))
        assert desk.world.account.offers[desk.sku()].price == found["price"] * 100, "what a buyer pays is what is shown"
        desk.later(hours=2)
    assert shown == [(20, 20), (15.5, 20), (20, 20)]
    told = offer(desk)["discount"]
    assert told["discount_price"] == 15.5 and told["end_date"] == "2026-11-23T12:00:00Z"


def test_a_price_can_be_scheduled() -> None:
    desk = desk_with(scheduled_pricing=True)
    begins, ends = START + timedelta(hours=2), START + timedelta(hours=4)
    header = "offer-sku;price;start-date;end-date\n"
    assert priced(desk, f"{header}{desk.sku()};20;;\n{desk.sku()};12;{begins.isoformat()};{ends.isoformat()}\n")["lines_in_error"] == 0
    shown = []
    for _ in range(3):
        shown.append(offer(desk)["applicable_pricing"]["price"])
        desk.later(hours=2)
    assert shown == [20, 12, 20]


def test_more_units_may_cost_less_each() -> None:
    desk = desk_with(volume_pricing=True)
    header = "offer-sku;price;price-ranges;discount-price;discount-ranges\n"
    priced(desk, f'{header}{desk.sku()};20;"5|18,10|16";19;"10|14"\n')
    steps = offer(desk)["applicable_pricing"]["volume_prices"]
    assert [(step["quantity_threshold"], step["price"], step["unit_origin_price"]) for step in steps] == [
        (1, 19, 20),
        (5, 19, 18),
        (10, 14, 16),
    ]


@pytest.mark.parametrize(
    ("terms", "line", "problem"),
    [
        ({}, "nobody;5;;;;;", "does not exist"),
        ({}, ";5;;;;;", "mandatory"),
        ({}, "{sku};;;;;;", "mandatory"),
        ({}, "{sku};five;;;;;", "not a number"),
        ({}, "{sku};5.123;;;;;", "not valid"),
        ({}, "{sku};NaN;;;;;", "not"),
        ({}, "{sku};0;;;;;", "greater than zero"),
        ({}, "{sku};5;6;;;;", "lower than the price"),
        ({}, "{sku};5;4;2026-12-02;2026-12-01;;", "before its end"),
        ({}, "{sku};5;4;tomorrow;;;", "date"),
        ({"discount_period_required": True}, "{sku};5;4;;;;", "mandatory"),
        ({}, "{sku};5;;;;DE;", "not enabled"),
        ({"channel_pricing": "MULTI", "channels": ("UK",)}, "{sku};5;;;;DE;", "channel with code DE"),
        ({"channel_pricing": "SINGLE", "channels": ("UK", "DE")}, "{sku};5;;;;UK|DE;", "one channel"),
        ({"channel_pricing": "MULTI", "channels": ("UK",)}, "{sku};5;;;;UK;", "default price"),
        ({}, "{sku};5;;;;;2|4", "Volume pricing"),
        ({}, "{sku};5;;;;;;;;", "too many columns"),
    ],
)
def test_a_price_that_cannot_be_is_refused_with_all_of_its_offer(terms: dict[str, Any], line: str, problem: str) -> None:
    desk = desk_with(**terms)
    before = [offer(desk, n)["price"] for n in (0, 1)]
    header = "offer-sku;price;discount-price;discount-start-date;discount-end-date;channels;price-ranges\n"
    number = upload(desk, f"{header}{line.replace('{sku}', desk.sku())}\n{desk.sku(1)};7;;;;;\n", PRICES)
    desk.later(60)
    [told] = desk.asked(PRICES, import_id=number)["data"]
    assert (told["lines_in_error"], told["offers_in_error"], told["offers_updated"]) == (1, 1, 1)
    assert problem in report(desk, number, PRICES).body.decode()
    assert [offer(desk, n)["price"] for n in (0, 1)] == [before[0], 7]


def test_one_bad_price_holds_back_the_others_of_its_offer() -> None:
    desk = desk_with(channels=("UK", "DE"), channel_pricing="MULTI")
    before = offer(desk)["all_prices"]
    number = upload(desk, f"offer-sku;price;channels\n{desk.sku()};8;\n{desk.sku()};x;DE\n", PRICES)
    desk.later(60)
    rows = list(csv.reader(io.StringIO(report(desk, number, PRICES).body.decode()), delimiter=";"))
    assert [row[0] for row in rows[1:]] == ["2", "3"] and offer(desk)["all_prices"] == before


def test_an_offer_has_fifty_prices_at_most() -> None:
    desk = desk_with(scheduled_pricing=True)
    rows = [f"{desk.sku()};{9 + n};2027-01-01;2027-02-01\n" for n in range(50)]
    told = priced(desk, f"offer-sku;price;start-date;end-date\n{desk.sku()};8;;\n{''.join(rows)}")
    assert told["lines_in_error"] == 51 and told["offers_updated"] == 0
    told = priced(desk, f"offer-sku;price;start-date;end-date\n{desk.sku()};8;;\n{''.join(rows[:49])}")
    assert told["lines_in_error"] == 0 and len(offer(desk)["all_prices"]) == 50


def test_prices_may_have_to_be_approved_first() -> None:
    desk = desk_with(price_approval=True)
    before = offer(desk)["price"]
    assert priced(desk, f"offer-sku;price\n{desk.sku()};7.77\n")["offers_updated"] == 1
    assert offer(desk)["price"] == before
    does(desk, "approve_prices", sku=desk.sku())
    assert offer(desk)["price"] == 7.77


def test_price_imports_are_a_list() -> None:
    desk = desk_with()
    numbers = [upload(desk, f"offer-sku;price\n{desk.sku()};{n}\n", PRICES) for n in (1, 2, 3)]
    upload(desk, f"{HEADER}{desk.sku()};1;;\n")
    first = desk.asked(PRICES, limit=2)
    second = desk.asked(PRICES, page_token=first["next_page_token"])
    assert [one["import_id"] for one in first["data"] + second["data"]] == numbers[::-1] and "next_page_token" not in second
    assert desk.asked(PRICES, status="COMPLETE")["data"] == desk.asked(PRICES, origins="FTP")["data"] == []
    assert report(desk, "2001", PRICES).status == 404 and desk.mirakl("GET", f"{STOCK}/{numbers[0]}/status").status == 404


# ----------------------------------------------------------------------------------------------------------------- exports


def exported(desk: Desk, **asked: Any) -> list[Any]:
    """The files of an export."""
    tracking = json.loads(desk.mirakl("POST", "/api/offers/export/async", asked).body)["tracking_id"]
    desk.later(60)
    told = desk.asked(f"/api/offers/export/async/status/{tracking}")
    assert told["status"] == "COMPLETED"
    replies = [desk.mirakl("GET", url) for url in told["urls"]]
    assert all(reply.status == 200 for reply in replies)
    if asked.get("export_type") == "application/json":
        return [json.loads(reply.body) for reply in replies]
    return [list(csv.DictReader(io.StringIO(reply.body.decode()), delimiter=";")) for reply in replies]


def skus(files: list[Any]) -> list[str]:
    return [row["shop_sku"] for rows in files for row in rows]


def test_a_full_export_tells_of_what_sells() -> None:
    desk = desk_with()
    does(desk, "edit_offer", sku=desk.sku(), quantity=0)
    does(desk, "delete_offer", sku=desk.sku(1))
    everything = [desk.sku(n) for n in range(6)]
    assert skus(exported(desk, export_type="application/json")) == everything[2:]
    desk.later(60)
    assert skus(exported(desk, export_type="application/json", include_inactive_offers=True)) == [everything[0], *everything[2:]]


def test_a_differential_one_tells_of_what_changed_the_idle_and_the_deleted_too() -> None:
    desk = desk_with()
    desk.later(60)
    since = desk.clock.at.isoformat()
    desk.later(1)
    does(desk, "edit_offer", sku=desk.sku(3), quantity=0)
    desk.later(1)
    does(desk, "delete_offer", sku=desk.sku(1))
    desk.bought(desk.sku(2))
    [rows] = exported(desk, export_type="application/json", last_request_date=since)
    assert {row["shop_sku"]: (row["active"], row["deleted"]) for row in rows} == {
        desk.sku(3): (False, False),
        desk.sku(1): (False, True),
        desk.sku(2): (True, False),
    }


def test_files_hold_no_more_than_was_asked_or_than_the_operator_lets_them() -> None:
    desk = desk_with(export_items=4)
    assert [len(rows) for rows in exported(desk, export_type="application/json")] == [4, 2]
    assert [len(rows) for rows in exported(desk)] == [4, 2]
    assert desk.mirakl("POST", "/api/offers/export/async", {"items_per_chunk": 5}).status == 400, "the contract wants more than that"


def test_csv_has_columns_of_its_own_which_can_be_chosen_and_renamed() -> None:
    desk = desk_with()
    [rows] = exported(desk)
    assert {row["shop-sku"] for row in rows} == {desk.sku(n) for n in range(6)} and rows[0]["deleted"] == "false"
    [rows] = exported(desk, include_fields=["shop-sku", "quantity"], rename_fields={"shop-sku": "sku"})
    assert list(rows[0]) == ["sku", "quantity"]
    [rows] = exported(desk, export_type="application/json", include_fields=["shop_sku"])
    assert rows[0] == {"shop_sku": desk.sku()}


def test_the_same_export_again_is_the_earlier_one() -> None:
    desk = desk_with(export_repeats=60)

    def asked(**body: Any) -> str:
        tracking: str = json.loads(desk.mirakl("POST", "/api/offers/export/async", body).body)["tracking_id"]
        return tracking

    first = asked()
    desk.later(30)
    assert asked() == first != asked(include_inactive_offers=True)
    desk.later(40)
    assert asked() != first


def test_an_export_can_fail_and_its_files_are_not_kept_for_ever() -> None:
    desk = desk_with(export_keeps=3600)
    tracking = json.loads(desk.mirakl("POST", "/api/offers/export/async", {}).body)["tracking_id"]
    path = f"/api/offers/export/async/status/{tracking}"
    assert desk.asked(path)["status"] == "PENDING" and "urls" not in desk.asked(path)
    desk.later(60)
    [url] = desk.asked(path)["urls"]
    assert desk.mirakl("GET", url).status == 200
    desk.later(hours=1)
    assert desk.mirakl("GET", url).status == 410
    desk.world.switch("mirakl", desk.clock.at, exports_fail=True)
    tracking = json.loads(desk.mirakl("POST", "/api/offers/export/async", {}).body)["tracking_id"]
    desk.later(60)
    assert desk.asked(f"/api/offers/export/async/status/{tracking}")["status"] == "FAILED"
    assert desk.mirakl("GET", "/api/offers/export/async/status/nobody").status == 404


# ------------------------------------------------------------------------------------------------------------ the shelf


def test_the_shelf_is_in_order_whatever_happens() -> None:
    desk = desk_with()
    account = desk.world.account
    for n, price in enumerate((900, 100, 500)):
        does(desk, "edit_offer", sku=desk.sku(n), price=price)
    does(desk, "delete_offer", sku=desk.sku(1))
    priced(desk, f"offer-sku;price\n{desk.sku(4)};3\n")
    assert account.shelf.by_price == sorted((one.price, one.id) for one in account.offers.values())
    assert account.shelf.by_id == {one.id: one.sku for one in account.offers.values()}
    assert on_offer.for_sale(account, desk.sku(1), desk.clock.at) == 0
