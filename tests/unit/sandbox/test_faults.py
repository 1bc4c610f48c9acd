"""Every class of faults: what is seen, whether the operation was carried out, and that the world itself is never touched by it."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from ops.sandbox import retell
from ops.sandbox.faults import KINDS, Asked, Fault, Faults
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.plan import Plan
from ops.sandbox.systems import Exchange
from ops.sandbox.wire import Request
from tests.unit.sandbox.desk import CREATE, START, SUBSCRIBE, Desk, an_order

WIRE = [name for name, kind in KINDS.items() if kind.where != "webhook"]
HOOKS = [name for name, kind in KINDS.items() if kind.where == "webhook"]
ORDERS = """query Orders($after: String) { orders(first: 5, after: $after) {
  pageInfo { hasNextPage endCursor } nodes { id createdAt displayFulfillmentStatus note } } }"""


def a_desk() -> Desk:
    """Three orders wait on the marketplace, two stand in Shopify, and a file with an error was handed in."""
    desk = Desk(Plan(skus=6, offers_open="at_stock", least_stock=500, most_stock=600, mirakl=Switches(import_wait=1, import_run=1)))
    for _ in range(3):
        desk.later(1)
        desk.bought()
    desk.create(name="first")
    desk.create(name="second")
    desk.mirakl("POST", "/api/offers/stock/imports", csv="offer-sku;quantity\nnobody;3\n")
    desk.later(60)
    return desk


def request_for(desk: Desk, name: str) -> tuple[str, Request]:
    """A call that a fault of that class can hit."""
    kind = KINDS[name]
    if kind.where == "shopify":
        body = {"query": CREATE, "variables": {"order": an_order(desk.variant())}} if kind.hits == "change" else {"query": ORDERS}
        return "shopify", graph(body)
    headers = {"authorization": desk.sandbox.key}
    match kind.only.split()[:1]:
        case ["STO01"]:
            form = '--x\r\nContent-Disposition: form-data; name="file"; filename="s.csv"\r\n\r\n'
            raw = f"{form}offer-sku;quantity\n{desk.sku()};7\n{desk.sku(1)};8\r\n--x--\r\n".encode()
            headers["content-type"] = "multipart/form-data; boundary=x"
            return "mirakl", Request("POST", "/api/offers/stock/imports", (), headers, raw)
        case ["STO02"]:
            return "mirakl", Request("GET", f"/api/offers/stock/imports/{next(iter(desk.world.account.imports))}/status", (), headers)
        case ["STO03"]:
            return "mirakl", Request("GET", f"/api/offers/stock/imports/{next(iter(desk.world.account.imports))}/error_report", (), headers)
    if kind.hits != "change" and kind.effect == "always":
        return "mirakl", Request("GET", "/api/orders", (("max", "2"), ("offset", "1")), headers)
    order = next(iter(desk.world.account.orders.values()))
    raw = json.dumps({"order_lines": [{"id": line.id, "accepted": True} for line in order.lines]}).encode()
    headers["content-type"] = "application/json"
    return "mirakl", Request("PUT", f"/api/orders/{order.id}/accept", (), headers, raw)


def graph(body: Any) -> Request:
    headers = {"x-shopify-access-token": "shpat_sandbox", "content-type": "application/json"}
    return Request("POST", "/admin/api/2026-10/graphql.json", (), headers, json.dumps(body).encode())


def systems_of(desk: Desk) -> bytes:
    """Both systems without what counts calls."""
    account = desk.world.account
    kept = {name: getattr(account, name) for name in account.__struct_fields__ if name not in ("calls", "called", "violations")}
    return msgspec.json.encode((desk.shop, kept))


def spoilt(desk: Desk, name: str, **more: Any) -> Exchange:
    system, request = request_for(desk, name)
    if name == "stale_read":  # shown once, changed since
        desk.sandbox.faults.add(Fault("*", name, skip=99))
        desk.sandbox.exchange(system, request)
        desk.accept(list(desk.world.account.orders)[1])
        desk.sandbox.faults.clear()
    desk.sandbox.faults.add(Fault("*", name, **more))
    return desk.sandbox.exchange(system, request)


@pytest.mark.parametrize("name", WIRE)
def test_each_is_met_and_counted_and_spoils_the_reply(name: str) -> None:
    desk, untouched = a_desk(), a_desk()
    system, request = request_for(untouched, name)
    expected = untouched.sandbox.exchange(system, request)
    out = spoilt(desk, name)
    assert out.fault == name and desk.world.calls.faults == {name: 1}
    assert desk.world.calls.open is None
    assert name in [call.fault for call in (*desk.world.calls.calls, *desk.world.calls.reads)]
    if KINDS[name].request is None and name != "sent_twice":
        shown = (out.reply.status, out.reply.body, out.reply.headers, out.manner, out.seconds)
        assert shown != (expected.reply.status, expected.reply.body, expected.reply.headers, expected.manner, expected.seconds)
    assert desk.sandbox.exchange(*request_for(desk, name)).fault is None, "one fault hits one call"


@pytest.mark.parametrize("name", [name for name in WIRE if KINDS[name].effect == "never"])
def test_one_that_comes_before_leaves_the_world_as_it_was(name: str) -> None:
    desk = a_desk()
    before = systems_of(desk)
    spoilt(desk, name)
    assert systems_of(desk) == before


@pytest.mark.parametrize("name", [name for name in WIRE if KINDS[name].effect == "either"])
@pytest.mark.parametrize("takes_effect", [True, False])
def test_one_that_leaves_it_open_is_told(name: str, takes_effect: bool) -> None:
    desk = a_desk()
    kind = KINDS[name]
    before = systems_of(desk)
    if kind.where == "shopify":
        desk.sandbox.faults.add(Fault("orderCreate", name, takes_effect=takes_effect))
        desk.sandbox.exchange("shopify", graph({"query": CREATE, "variables": {"order": an_order(desk.variant())}}))
    else:
        spoilt(desk, name, takes_effect=takes_effect)
    assert (systems_of(desk) != before) == takes_effect


@pytest.mark.parametrize("name", ["reset_after", "cut", "late", "keep_alive_closed", "http_502", "truncated_json", "deprecated"])
def test_one_that_comes_after_finds_it_done(name: str) -> None:
    desk = a_desk()
    desk.sandbox.faults.add(Fault("OR21", name, takes_effect=True))
    order = next(iter(desk.world.account.orders))
    desk.accept(order)
    assert desk.world.account.orders[order].state != "WAITING_ACCEPTANCE"


def test_what_cannot_be_spoilt_is_no_fault() -> None:
    desk = a_desk()
    desk.sandbox.faults.add(Fault("V01", "total_lies", count=None))
    desk.sandbox.faults.add(Fault("OR21", "truncated_json"))
    assert desk.asked("/api/version")["version"] and desk.world.calls.faults == {}
    assert desk.accept(next(iter(desk.world.account.orders))).status == 204, "there is nothing in it to be cut off"
    assert desk.world.calls.faults == {}


# ---------------------------------------------------------------- what is seen


def body_of(out: Exchange) -> Any:
    return json.loads(out.reply.body)


@pytest.mark.parametrize(
    ("name", "header"),
    [("too_many", None), ("too_many_seconds", "7"), ("too_many_zero", "0"), ("too_many_huge", "1000000000"), ("too_many_garbage", "soon")],
)
def test_retry_after_comes_in_every_way(name: str, header: str | None) -> None:
    out = spoilt(a_desk(), name)
    assert out.reply.status == 429 and out.reply.headers.get("Retry-After") == header


def test_retry_after_as_a_date_is_a_minute_ahead() -> None:
    out = spoilt(a_desk(), "too_many_date")
    assert out.reply.headers["Retry-After"] == "Mon, 23 Nov 2026 08:02:03 GMT"


def test_user_errors_come_in_the_shape_that_was_asked_for() -> None:
    answer = body_of(spoilt(a_desk(), "user_errors"))["data"]["orderCreate"]
    assert answer == {
        "order": None,
        "userErrors": [{"code": "INVALID", "field": ["input"], "message": "Something went wrong, please try again."}],
    }


def test_partial_data_has_its_errors_beside_it() -> None:
    answer = body_of(spoilt(a_desk(), "errors_and_part"))
    assert answer["data"] == {"orders": None} and answer["errors"][0]["path"] == ["orders"]
    assert body_of(spoilt(a_desk(), "null_where_none_may_be"))["data"] is None


def test_bodies_are_as_bad_as_they_are_called() -> None:
    whole = body_of(spoilt(a_desk(), "reordered_fields"))
    assert list(whole) == ["total_count", "orders"] and len(whole["orders"]) == 2
    for name in ("truncated_json", "malformed_json", "wrong_encoding", "byte_order_mark"):
        with pytest.raises(ValueError, match=r".*"):
            json.loads(spoilt(a_desk(), name).reply.body.decode())
    with pytest.raises(RecursionError):
        json.loads(spoilt(a_desk(), "deep_nesting").reply.body)
    bomb = spoilt(a_desk(), "gzip_bomb").reply
    assert bomb.headers["Content-Encoding"] == "gzip" and len(bomb.body) < 1_000_000
    swollen = gzip.decompress(bomb.body)
    assert len(swollen) > 64 * 1024 * 1024 and json.loads(swollen)["total_count"] == 3
    doubled = spoilt(a_desk(), "duplicate_keys").reply.body
    assert doubled.startswith(b'{"orders":null,"orders":[')


def test_fields_come_and_go() -> None:
    assert all(
        "introduced_last_week" in line for order in body_of(spoilt(a_desk(), "new_field"))["orders"] for line in order["order_lines"]
    )
    assert "null" not in spoilt(a_desk(), "removed_field").reply.body.decode()
    assert "PENDING_REVIEW" in spoilt(a_desk(), "unknown_value").reply.body.decode()


def test_a_county_is_no_state_of_anything() -> None:
    tree = {"returned": {"state": "OPENED"}, "to": {"city": "Leeds", "state": "Yorkshire"}}
    scene: Any = SimpleNamespace(pick=lambda names, _: names[0])
    assert retell.unknown_value(scene, tree) == tree | {"returned": {"state": "PENDING_REVIEW"}}
    assert retell.unknown_value(scene, {"to": tree["to"]}) is None


def test_pages_and_totals_lie() -> None:
    first, second, third = list(a_desk().world.account.orders)
    shifted = [order["order_id"] for order in body_of(spoilt(a_desk(), "page_shift"))["orders"]]
    assert shifted in ([first, second], [third])
    empty = body_of(spoilt(a_desk(), "empty_page"))
    assert empty["orders"] == [] and empty["total_count"] == 3
    assert body_of(spoilt(a_desk(), "total_lies"))["total_count"] != 3
    assert [order["order_id"] for order in body_of(spoilt(a_desk(), "missing_newest"))["orders"]] == [second]
    assert len(body_of(spoilt(a_desk(), "vanished"))["orders"]) == 1
    assert spoilt(a_desk(), "next_loops").reply.headers["Link"] == '</api/orders?max=2&offset=1>; rel="next"'


def test_a_stale_read_shows_what_was_shown_before() -> None:
    desk = a_desk()
    out = spoilt(desk, "stale_read")
    assert {order["order_state"] for order in body_of(out)["orders"]} == {"WAITING_ACCEPTANCE"}
    assert desk.world.account.orders[body_of(out)["orders"][0]["order_id"]].state == "WAITING_DEBIT"


@pytest.mark.parametrize(("name", "minutes"), [("clock_behind", -10), ("clock_ahead", 10)])
def test_the_marketplace_can_have_another_time(name: str, minutes: int) -> None:
    right, wrong = (body_of(spoilt(a_desk(), each))["orders"][0]["created_date"] for each in ("reordered_fields", name))
    assert datetime.fromisoformat(wrong) - datetime.fromisoformat(right) == timedelta(minutes=minutes)


def test_a_file_can_be_spoilt_on_its_way() -> None:
    desk = a_desk()
    spoilt(desk, "import_line_errors")
    spoilt(desk, "import_refused")
    desk.later(60)
    _, partly, refused = desk.world.account.imports.values()
    assert (partly.status, partly.applied, len(partly.errors)) == ("COMPLETE", 1, 1) and refused.status == "FAILED"


def test_an_import_can_look_stuck_for_two_hours_though_it_is_done() -> None:
    desk = a_desk()
    faults = Faults(5, {"import_stuck": 0.5})
    asked = [Asked("mirakl", frozenset({"STO02"}), reads=True, path=f"/api/offers/stock/imports/{number}/status") for number in range(40)]
    stuck = [faults.meet(each, 1, START) is not None for each in asked]
    assert 8 < sum(stuck) < 32
    assert stuck == [faults.meet(each, number, START) is not None for number, each in enumerate(asked)], "whichever call it is"
    assert body_of(spoilt(desk, "import_stuck"))["status"] == "RUNNING"


def test_a_request_sent_twice_is_carried_out_twice() -> None:
    desk = a_desk()
    desk.sandbox.faults.add(Fault("orderCreate", "sent_twice"))
    desk.create(name="twin")
    assert [order.name for order in desk.shop.orders.values()].count("twin") == 2


# ---------------------------------------------------------------- how often


def drawn(seed: int, rates: dict[str, float], calls: int = 4000) -> dict[str, int]:
    faults, met = Faults(seed, rates), dict.fromkeys(rates, 0)
    for number in range(calls):
        if hit := faults.meet(Asked("mirakl", frozenset({"OR11"}), reads=True), number, START):
            met[hit.name] += 1
    return met


def test_rates_are_kept_and_follow_the_seed() -> None:
    rates = {"http_503": 0.1, "cut": 0.02, "throttled": 0.5}
    met = drawn(1, rates)
    assert 320 < met["http_503"] < 480 and 40 < met["cut"] < 130 and met["throttled"] == 0, "which is Shopify's own"
    assert met == drawn(1, rates) != drawn(2, rates)


def test_one_asked_for_goes_before_one_drawn() -> None:
    faults = Faults(1, {"http_503": 1.0})
    faults.add(Fault("OR24", "cut"))
    asked = [Asked("mirakl", frozenset({name}), reads=False) for name in ("OR23", "OR24", "OR24")]
    assert [hit.name for one in asked if (hit := faults.meet(one, 1, START))] == ["http_503", "cut", "http_503"]


def test_what_there_is_not_cannot_be_asked_for() -> None:
    with pytest.raises(msgspec.ValidationError, match="no fault is called 'explode'"):
        msgspec.convert({"operation": "*", "action": "explode"}, Fault)


# ---------------------------------------------------------------- webhooks


def subscribed() -> Desk:
    desk = a_desk()
    desk.data(SUBSCRIBE, topic="ORDERS_CREATE", subscription={"uri": "http://127.0.0.1:9/hooks"})
    return desk


def posted(desk: Desk, name: str, hours: float = 30.0) -> Iterator[tuple[float, Any]]:
    """All that is posted within so long of one event, and after how many seconds."""
    desk.sandbox.faults.add(Fault("orders/create", name))
    desk.create()
    began = desk.clock.at
    while (due := desk.world.next_due()) is not None and due <= began + timedelta(hours=hours):
        desk.clock.at = due
        desk.world.advance(due)
        for delivery in desk.world.deliveries_due():
            for post in desk.sandbox.systems.posts(delivery.id, due):
                yield (due - began).total_seconds(), post
                if post.genuine:
                    desk.sandbox.systems.posted(delivery.id, due, arrived=True)


@pytest.mark.parametrize("name", HOOKS)
def test_each_webhook_fault_is_met_once_and_counted(name: str) -> None:
    desk = subscribed()
    posts = list(posted(desk, name))
    assert desk.world.calls.faults == {name: 1}
    assert len(posts) == {"webhook_lost": 0, "webhook_overtaken": 1, "webhook_late": 1}.get(name, 2)
    assert desk.world.shop.deliveries == {}


def test_webhooks_come_again_late_and_forged() -> None:
    (_, first), (_, second) = posted(subscribed(), "webhook_twice")
    assert (first.body, first.headers) == (second.body, second.headers)
    (_, first), (_, second) = posted(subscribed(), "webhook_new_id")
    assert first.body == second.body and first.headers["X-Shopify-Webhook-Id"] != second.headers["X-Shopify-Webhook-Id"]
    assert [round(after / 3600) for after, _ in posted(subscribed(), "webhook_redelivered")] == [0, 4]
    assert [round(after / 3600) for after, _ in posted(subscribed(), "webhook_late")] == [24]
    (_, forged), (_, genuine) = posted(subscribed(), "webhook_forged")
    assert forged.body != genuine.body and forged.headers == genuine.headers and not forged.genuine
    (_, genuine), (_, replayed) = posted(subscribed(), "webhook_replayed")
    assert replayed.body == genuine.body and replayed.headers["X-Shopify-Topic"] == "orders/paid" and not replayed.genuine
    assert START.tzinfo is UTC
