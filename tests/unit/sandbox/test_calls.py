"""The ledger of calls: who asked, what it changed, what was refused; the history of quantities; and the truth that tells both."""

import json
from datetime import datetime, timedelta

import msgspec

from ops.sandbox import calls, history
from ops.sandbox.calls import Call, Ledger
from ops.sandbox.faults import Fault
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.truth import told, truth
from tests.unit.sandbox.desk import START, Desk, marketplace_id


def last(desk: Desk) -> Call:
    return desk.world.calls.calls[-1]


def test_a_call_is_kept_with_what_it_changed() -> None:
    desk = Desk()
    order = desk.bought()
    desk.accept(order)
    call = last(desk)
    assert (call.system, call.operation, call.at, call.status, call.fault) == ("mirakl", "OR21", START, 204, None)
    assert call.request_id and [(change.op, change.about[0], change.refused) for change in call.changes] == [("mirakl.OR21", order, None)]
    desk.accept(order)
    assert last(desk).status == 400 and list(last(desk).effects) == [] and "WAITING_DEBIT" in str(last(desk).changes[0].refused)


def test_an_order_made_in_shopify_is_named_by_the_call() -> None:
    desk = Desk()
    made = desk.created(metafields=marketplace_id("A-1"))
    assert last(desk).operation == "orderCreate" and last(desk).changes[0].about == [str(made.id)]
    desk.create(lineItems=[])
    assert last(desk).status == 200 and last(desk).changes[0].refused


def test_reads_are_counted_and_soon_forgotten() -> None:
    desk = Desk()
    for _ in range(700):
        desk.asked("/api/version")
    ledger = desk.world.calls
    assert ledger.counted == {"mirakl V01": 700} and ledger.calls == []
    assert calls.KEEP_READS <= len(ledger.reads) < calls.KEEP_READS * 5 // 4 and ledger.reads[-1].number == 700


def test_a_call_that_was_never_answered_for_is_kept_all_the_same() -> None:
    ledger = Ledger()
    ledger.begin("mirakl", "OR24", START)
    ledger.note("mirakl.OR24", {"order_id": "A-1"})
    ledger.begin("mirakl", "OR11", START)
    assert [(call.operation, call.status) for call in ledger.calls] == [("OR24", None)]


def test_memory_is_bounded() -> None:
    ledger = Ledger()
    for number in range(calls.KEEP + calls.KEEP // 4 + 10):
        ledger.begin("mirakl", "OR24", START)
        ledger.note("mirakl.OR24", {"order_id": f"A-{number}"})
        ledger.end(204)
    assert calls.KEEP <= len(ledger.calls) < calls.KEEP * 5 // 4 and ledger.calls[-1].changes[0].about[0].startswith("A-")


def test_quantities_are_remembered_on_both_sides_with_their_reason() -> None:
    desk = Desk(Plan(skus=3, least_stock=20, most_stock=20, offers_open="at_stock"))
    sku = desk.sku()
    order = desk.bought(sku=sku, quantity=2)
    desk.mirakl("POST", "/api/offers/stock/imports", csv=f"offer-sku;quantity\n{sku};9\n")
    desk.later(60)
    desk.world.apply("shopify.stock", {"sku": sku, "quantity": 4}, desk.clock.at)
    moves = desk.world.history
    number = next(iter(desk.world.account.imports))
    assert [(move.quantity, move.why) for move in moves.offers[sku]] == [(20, "the start"), (18, f"order {order}"), (9, f"import {number}")]
    assert moves.counts[sku][-1].available == desk.available() and moves.counts[sku][-1].at == desk.clock.at
    for quantity in range(history.KEEP + 5):
        desk.world.apply("shopify.stock", {"sku": sku, "quantity": quantity}, desk.clock.at)
    assert len(moves.counts[sku]) == history.KEEP


def test_the_truth_is_told_in_pieces_that_are_the_whole() -> None:
    desk = Desk()
    for _ in range(3):
        desk.bought()
    desk.create()
    desk.sandbox.faults.add(Fault("V01", "http_503"))
    desk.mirakl("GET", "/api/version")
    whole = json.loads(b"".join(told(desk.world)))
    assert whole == json.loads(msgspec.json.encode(truth(desk.world))) and whole["faults"] == {"http_503": 1}
    assert len(whole["mirakl"]["orders"]) == 3 and len(whole["calls"]) == 1


def test_only_what_changed_since_is_told() -> None:
    desk = Desk(Plan(skus=6, offers_open="at_stock", warehouse=Warehouse(pick_seconds=10**7)))
    first, second = desk.bought(), desk.bought()
    made = desk.created()
    desk.later(3600)
    since: datetime = desk.clock.at
    desk.accept(second)
    desk.later(1)
    found = truth(desk.world, since)
    assert [order["order_id"] for order in found["mirakl"]["orders"]] == [second] != [first]
    assert found["shopify"]["orders"] == [] and [call["operation"] for call in found["calls"]] == ["OR21"]
    assert found["history"]["counts"] == found["history"]["offers"] == {} and truth(desk.world)["history"]["counts"]
    assert desk.world.now - made.created_at > timedelta(hours=1)
    desk.world.apply("actors.hurry", {"order": made.id}, desk.clock.at)
    desk.later(1)
    assert [order["name"] for order in truth(desk.world, since)["shopify"]["orders"]] == [made.name]
