"""Every command becomes calls that the published contract accepts; every answer to one becomes an outcome."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import pytest

from adapters.mirakl import endpoints
from adapters.mirakl.outbound import PERFORMS
from engine.adapter import Done, Effect, Endpoint, NotYet, Refused
from engine.errors import AuthError, RejectedError, ThrottledError, UnavailableError, UnknownOutcomeError
from schemas.commands import (
    AcceptOrder,
    AnswerReturn,
    CancelOrder,
    CancelUnits,
    Command,
    CorrectTracking,
    LookFirst,
    PublishStock,
    RefundLines,
    SetSellerReference,
    SettleStockImport,
    ShipOrder,
    ShipParcel,
    StateGuarded,
)
from schemas.events.inventory import StockImportFinished, StockImportStarted
from schemas.events.orders import OrderAccepted, SellerReferenceSet
from schemas.values import OrderId, Sku
from tests.contract.mirakl.asking import ASOS, CANCEL, CORRECT, FIRST, GIVE_UP, ORDER, PARCEL, RECEIVED, REFUND, SECOND, SHIP
from tests.contract.mirakl.marketplace import CONTRACT, HANG_UP, Account, Asked, account, refusal, task, text
from tests.contract.mirakl.payloads import line, order, written
from tests.loopback import NOW

pytestmark = pytest.mark.anyio

ACCEPT = AcceptOrder(channel=ASOS, order_id=ORDER, accepted=(FIRST,), refused=(SECOND,))
REFER = SetSellerReference(channel=ASOS, order_id=ORDER, reference="#1001")
STOCK = {Sku("TEE-RED-M"): 3, Sku('B;"x"'): 0}
PUBLISH = PublishStock(channel=ASOS, quantities=STOCK, as_of=1)
SETTLE = SettleStockImport(channel=ASOS, import_id="2001", quantities=STOCK)
WRITES: Mapping[type[Command], tuple[Any, str]] = {  # what is asked, and the call that changes something
    AcceptOrder: (ACCEPT, "OR21"),
    SetSellerReference: (REFER, "OR04"),
    ShipOrder: (SHIP, "OR24"),
    ShipParcel: (PARCEL, "ST01"),
    CorrectTracking: (CORRECT, "ST23"),
    CancelOrder: (CANCEL, "OR29"),
    CancelUnits: (GIVE_UP, "OR30"),
    RefundLines: (REFUND, "OR28"),
    AnswerReturn: (RECEIVED, "RT25"),
    PublishStock: (PUBLISH, "STO01"),
}


def test_every_endpoint_is_one_of_the_contract():
    ours = [value for value in vars(endpoints).values() if isinstance(value, Endpoint)]
    assert len(ours) == 31
    theirs = {operation.code: (operation.method, path) for path, operation in _operations()}
    called = {each.code.removesuffix(" full"): (each.method, each.path) for each in ours}  # two ceilings, one call
    assert called == {code: theirs[code] for code in called}
    assert {each.code for each in ours if each.reads} == {each.code for each in ours if each.method == "GET"}


def _operations() -> list[tuple[str, Any]]:
    codes = {methods[method]["operationId"]: path for path, methods in CONTRACT.document["paths"].items() for method in methods}
    return [(codes[operation.code], operation) for operation in CONTRACT.operations]


def test_every_command_for_a_marketplace_is_performed_and_tried_here():
    assert set(PERFORMS) == {*WRITES, SettleStockImport}
    look = {kind for kind, performer in PERFORMS.items() if performer.look}
    assert look == {kind for kind in PERFORMS if issubclass(kind, StateGuarded | LookFirst)}
    assert {kind for kind, performer in PERFORMS.items() if performer.quiet} == {kind for kind in look if issubclass(kind, LookFirst)}


@pytest.mark.parametrize("kind", WRITES, ids=lambda kind: kind.__name__)
async def test_a_lost_answer_is_an_unknown_outcome_and_the_call_went_out_once(kind: type[Command]):
    command, code = WRITES[kind]
    async with account() as it:
        it.marketplace.says("OR23", 204)
        it.marketplace.says(code, HANG_UP)
        with pytest.raises(UnknownOutcomeError):
            await it.perform(command)
        assert len(it.marketplace.of(code)) == 1


@pytest.mark.parametrize("kind", WRITES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("status", "error"), [(401, AuthError), (429, ThrottledError), (503, UnknownOutcomeError)])
async def test_a_refusal_is_one_error_whatever_was_asked(kind: type[Command], status: int, error: type[Exception]):
    command, code = WRITES[kind]
    async with account() as it:
        it.marketplace.says("OR23", 204)
        it.marketplace.says(code, refusal(status, "no"))
        with pytest.raises(error):
            await it.perform(command)


@pytest.mark.parametrize("kind", WRITES, ids=lambda kind: kind.__name__)
async def test_a_no_is_a_refusal_in_their_words(kind: type[Command]):
    command, code = WRITES[kind]
    async with account() as it:
        it.marketplace.says("OR23", 204)
        it.marketplace.says(code, refusal(400, "no, ask jo@example.com"))
        try:
            [answer] = await it.perform(command)
        except RejectedError as error:
            answer = Refused(error.detail)
        assert answer == Refused("no, ask …")


# ---------------------------------------------------------------- accept


async def test_an_order_is_accepted_line_by_line():
    async with account() as it:
        it.marketplace.says("OR21", 204)
        [done] = await it.perform(ACCEPT)
        [asked] = it.marketplace.asked
    assert asked.path == {"order_id": ORDER}
    assert asked.body == {"order_lines": [{"id": FIRST, "accepted": True}, {"id": SECOND, "accepted": False}]}
    assert done == Done((Effect(OrderAccepted(channel=ASOS, order_id=ORDER, accepted=(FIRST,), refused=(SECOND,)), ORDER),))


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("ORDER_PARTIAL_ACCEPTANCE_DISABLED", "partial_acceptance"),
        ("ORDER_INVALID_STATE", "state"),
        ("ORDER_FULFILLED_UNAUTHORIZED", "fulfilled_by"),
        ("ORDER_LINE_ACCEPTANCE_DECISION_MISSING", "lines"),
        ("ORDER_LINE_DUPLICATE_ID", "lines"),
        ("ORDER_LINE_NOT_FOUND", "lines"),
        ("ORDER_LINE_NULL_ELEMENT", "lines"),
        ("ORDER_NOT_FOUND", "order_id"),
        ("VALIDATION_ERROR", ""),
    ],
)
async def test_every_published_refusal_says_where_to_look(code: str, field: str):
    wrapped = {"errors": [{"code": code, "message": "no"}]}
    async with account() as it:
        for answer in (refusal(400, f"{code}: no"), text(json.dumps(wrapped).encode(), "application/json", status=400)):
            it.marketplace.says("OR21", answer)
            assert await it.perform(ACCEPT) == [Refused(f"{code}: no", field=field)]


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("WAITING_DEBIT", "REFUSED", True),
        ("WAITING_DEBIT_PAYMENT", "REFUSED", True),
        ("SHIPPING", "REFUSED", True),
        ("CLOSED", "REFUSED", True),
        ("WAITING_ACCEPTANCE", "WAITING_ACCEPTANCE", False),
        ("STAGING", "REFUSED", False),
        ("REFUSED", "REFUSED", False),
        ("CANCELED", "REFUSED", False),
        ("SHIPPING", "SHIPPING", False),
        ("SHIPPING", "CANCELED", False),
        ("TELEPORTED", "REFUSED", False),
        (None, None, False),
    ],
)
async def test_whether_an_order_was_accepted_is_seen_by_its_lines(first: str | None, second: str | None, found: bool):
    async with account() as it:
        there = order(line(1, order_line_state=first), line(2, order_line_state=second))
        it.marketplace.says("OR11", {"orders": [order(order_id="another"), there], "total_count": 2})
        seen = await it.look(ACCEPT)
        assert it.marketplace.asked[0].query["order_ids"] == ORDER
    accepted = OrderAccepted(channel=ASOS, order_id=ORDER, accepted=(FIRST,), refused=(SECOND,))
    assert seen == (Done((Effect(accepted, ORDER),)) if found else None)


async def test_what_the_last_poll_showed_is_not_asked_for_again():
    async with account() as it:
        done = order(line(1, order_line_state="WAITING_DEBIT"), line(2, order_line_state="REFUSED"))
        it.marketplace.says("OR11", {"orders": [done], "total_count": 1})
        await it.source("orders").poll(None)
        assert isinstance(await it.look(ACCEPT), Done) and len(it.marketplace.asked) == 1
        other = AcceptOrder(channel=ASOS, order_id=ORDER, accepted=(FIRST, SECOND))
        assert await it.look(other) is None and len(it.marketplace.asked) == 2, "that it is not so is only known from asking"


def held_back(it: Account, monkeypatch: pytest.MonkeyPatch) -> anyio.Event:
    """A limiter that lets nobody go before this is set."""
    admit, gate = it.door.admit, anyio.Event()

    async def wait(endpoint: Endpoint) -> None:
        await gate.wait()
        await admit(endpoint)

    monkeypatch.setattr(it.door, "admit", wait)
    return gate


async def test_those_who_look_at_the_same_time_are_asked_for_together(monkeypatch: pytest.MonkeyPatch):
    """One waits for the limiter; the others come back, and find their answers there."""
    ids = [f"{number:05}-A" for number in range(130)]

    async def shown(asked: Asked) -> dict[str, Any]:
        wanted = asked.query["order_ids"].split(",")
        lines = [line(1, order_line_state="SHIPPING"), line(2, order_line_state="REFUSED")]
        return {"orders": [order(*lines, order_id=each) for each in wanted if each != ids[7]], "total_count": len(wanted)}

    async with account() as it:
        gate = held_back(it, monkeypatch)
        it.marketplace.says("OR11", shown)
        found: dict[str, Any] = {}
        look = it.mirakl.performs[AcceptOrder].look
        assert look is not None

        async def asks(number: int) -> None:
            command = AcceptOrder(channel=ASOS, order_id=OrderId(ids[number]), accepted=(FIRST,), refused=(SECOND,))
            try:
                found[ids[number]] = await look(it.mirakl.client, replace(task(command), command_id=UUID(int=number)))
            except ThrottledError as error:
                later[number] = error.retry_after

        later: dict[int, float] = {}
        async with anyio.create_task_group() as group:
            for number in range(130):
                group.start_soon(asks, number)
            await anyio.wait_all_tasks_blocked()
            assert len(later) == 129 and set(later.values()) == {2.0}
            gate.set()
        for number in list(later):
            await asks(number)
        assert [len(asked.query["order_ids"].split(",")) for asked in it.marketplace.asked] == [100, 30]
        assert [each for each in ids if found[each] is None] == [ids[7]]


async def test_an_answer_is_of_after_the_question_and_given_once():
    async with account() as it:
        it.marketplace.says("OR11", {"orders": [], "total_count": 0})
        for calls in (1, 2):
            assert await it.look(ACCEPT) is None and len(it.marketplace.asked) == calls


async def test_whoever_gives_up_looking_leaves_the_others_their_turn(monkeypatch: pytest.MonkeyPatch):
    async with account() as it:
        it.marketplace.says("OR11", {"orders": [order(line(1, order_line_state="SHIPPING"))], "total_count": 1})
        gate, first = held_back(it, monkeypatch), anyio.CancelScope()

        async def look() -> None:
            with first:
                await it.look(AcceptOrder(channel=ASOS, order_id=ORDER, accepted=(FIRST,)))

        async with anyio.create_task_group() as group:
            group.start_soon(look)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ThrottledError):
                await it.look(AcceptOrder(channel=ASOS, order_id=ORDER, accepted=(FIRST,)))
            first.cancel()
            await anyio.wait_all_tasks_blocked()
            gate.set()
            assert await it.look(AcceptOrder(channel=ASOS, order_id=ORDER, accepted=(FIRST,))) is not None
        assert len(it.marketplace.asked) == 1


async def test_an_order_that_is_not_there_was_not_accepted():
    async with account() as it:
        for orders in ([], [order(order_id="another")], [order(line(1))], [{"order_id": ORDER, "order_lines": None}]):
            it.marketplace.says("OR11", {"orders": orders, "total_count": len(orders)})
            assert await it.look(ACCEPT) is None


async def test_an_order_that_cannot_be_read_tells_nothing():
    async with account() as it:
        it.marketplace.says("OR11", {"orders": [order(order_lines=7)], "total_count": 1})
        with pytest.raises(UnavailableError) as unread:
            await it.look(ACCEPT)
        assert unread.value.field == "order_lines"


# ---------------------------------------------------------------- seller reference


async def test_references_go_together_and_are_answered_one_by_one():
    names = {"A": "#1", "B": "#2", "C": "#3", "D": "", "E": "x" * 2001}
    commands = [SetSellerReference(channel=ASOS, order_id=OrderId(name), reference=text) for name, text in names.items()]
    problem = {"code": "NOT_FOUND", "field": "order_id", "message": "no order of jo@example.com"}
    async with account() as it:
        it.marketplace.says("OR04", {"updated_orders": [{"order_id": "B", "errors": [problem]}, {"order_id": "A", "errors": []}]})
        answers = await it.perform(*commands)
        [asked] = it.marketplace.asked
    assert asked.body == {"orders": [{"order_id": n, "references": {"order_reference_for_seller": names[n]}} for n in "ABC"]}
    event = SellerReferenceSet(channel=ASOS, order_id=OrderId("A"), reference="#1")
    assert answers[0] == Done((Effect(event, "A\x1f#1"),))
    assert answers[1] == Refused("NOT_FOUND: no order of …", field="order_id")
    assert answers[2] == Refused("the answer does not name this order")
    assert all(isinstance(answer, Refused) and answer.field == "order_reference_for_seller" for answer in answers[3:])


async def test_without_a_usable_reference_nothing_is_asked():
    async with account() as it:
        [answer] = await it.perform(SetSellerReference(channel=ASOS, order_id=ORDER, reference=" "))
        assert isinstance(answer, Refused) and it.marketplace.asked == []


def test_as_many_go_together_as_the_contract_allows():
    schema = CONTRACT.document["components"]["schemas"]["OR04_Request"]["properties"]["orders"]
    assert schema["maxItems"] == PERFORMS[SetSellerReference].endpoint.batch == 100


# ---------------------------------------------------------------- stock


async def test_a_stock_file_is_taken():
    async with account() as it:
        it.marketplace.says("STO01", {"import_id": 2001})
        [done] = await it.perform(PUBLISH)
        [asked] = it.marketplace.asked
    assert asked.file == (
        '"offer-sku";"quantity";"warehouse-code";"update-delete"\r\n"TEE-RED-M";"3";"";"update"\r\n"B;""x""";"0";"";"update"\r\n'
    )
    assert done == Done((Effect(StockImportStarted(channel=ASOS, import_id="2001", quantities=STOCK), "2001"),))


@pytest.mark.parametrize("answer", [{}, {"import_id": None}, {"import_id": [1]}])
async def test_a_file_without_a_number_may_have_been_taken(answer: dict[str, Any]):
    async with account() as it:
        it.marketplace.says("STO01", answer)
        with pytest.raises(UnknownOutcomeError):
            await it.perform(PUBLISH)


@pytest.mark.parametrize("status", ["WAITING", "RUNNING", "QUEUED"])
async def test_a_file_at_work_is_asked_about_later(status: str):
    async with account(settle_every=20.0) as it:
        it.marketplace.says("STO02", {"import_id": "2001", "status": status, "has_error_report": False})
        assert await it.perform(SETTLE) == [NotYet(20.0)]
        assert it.marketplace.asked[0].path == {"import_id": "2001"}


@pytest.mark.parametrize("status", ["WAITING", "RUNNING"])
async def test_a_file_at_work_for_too_long_is_given_up(status: str):
    async with account(settle_within=600.0) as it:
        it.marketplace.says("STO02", {"import_id": "2001", "status": status, "has_error_report": True})
        it.clock.time += timedelta(seconds=599)
        assert await it.perform(SETTLE) == [NotYet(15.0)]
        it.clock.time += timedelta(seconds=1)
        [answer] = await it.perform(SETTLE)
        assert answer.effects[0].event.status == "STUCK"
        assert it.marketplace.of("STO03") == [], "there is no report of what is not over"


def settled(status: str, refused: dict[str, str] | None = None) -> list[Done]:
    said = {Sku(sku): why for sku, why in (refused or {}).items()}
    event = StockImportFinished(channel=ASOS, import_id="2001", status=status, quantities=STOCK, refused=said, told_at=NOW)
    return [Done((Effect(event, "2001"),))]


async def test_a_file_ends_line_by_line():
    async with account() as it:
        it.marketplace.says("STO02", {"status": "COMPLETE", "has_error_report": None})
        assert await it.perform(SETTLE) == settled("COMPLETE")
        assert it.marketplace.of("STO03") == []
        it.marketplace.says("STO02", {"status": "COMPLETE", "has_error_report": True})
        it.marketplace.says(
            "STO03", text(b'line;why;offer-sku\r\n3;"No such offer, ask jo@example.com";"B;""x""";0\r\n', "application/octet-stream")
        )
        assert await it.perform(SETTLE) == settled("COMPLETE", {'B;"x"': "No such offer, ask …"})
        it.marketplace.says("STO02", {"status": "FAILED", "has_error_report": False})
        assert await it.perform(SETTLE) == settled("FAILED")


async def test_an_end_we_do_not_know_is_kept_as_it_is():
    async with account() as it:
        it.marketplace.says("STO02", {"status": "EVAPORATED"})
        assert await it.perform(SETTLE) == settled("EVAPORATED")
        labels = {"source": "mirakl", "type": "STO02"}
        assert it.metrics.registry.get_sample_value("crossdock_schema_unknown_enum_total", labels) == 1


async def test_what_no_file_can_hold_is_told_as_refused():
    odd = {Sku("A\nB"): 3, Sku("C"): 1}
    async with account() as it:
        it.marketplace.says("STO01", {"import_id": "2001"})
        it.marketplace.says("STO02", {"status": "COMPLETE"})
        [started] = await it.perform(PublishStock(channel=ASOS, quantities=odd, as_of=1))
        [finished] = await it.perform(SettleStockImport(channel=ASOS, import_id="2001", quantities=odd))
        assert "A\n" not in (it.marketplace.of("STO01")[0].file or "")
    assert started.effects[0].event.quantities == odd
    assert finished.effects[0].event.refused == {"A\nB": "is no SKU that a file can hold"}


@pytest.mark.parametrize("report", [text(b"<html>", "text/html"), 503])
async def test_a_report_that_is_not_there_is_not_one_without_errors(report: Any):
    async with account() as it:
        it.marketplace.says("STO02", {"status": "COMPLETE", "has_error_report": True})
        it.marketplace.says("STO03", report)
        with pytest.raises(UnavailableError):
            await it.perform(SETTLE)


@pytest.mark.parametrize("report", [text(b""), text(b"PK\x03\x04"), text(b"line;why;offer-sku\r\n")])
async def test_a_report_that_cannot_be_read_is_asked_for_again_and_given_up_in_the_end(report: Any):
    """The marketplace does answer: this is no outage, in which everything else would wait."""
    async with account(settle_within=600.0) as it:
        it.marketplace.says("STO02", {"status": "COMPLETE", "has_error_report": True})
        it.marketplace.says("STO03", report)
        it.clock.time += timedelta(seconds=599)
        assert await it.perform(SETTLE) == [NotYet(60.0)]
        it.clock.time += timedelta(seconds=61)
        [answer] = await it.perform(SETTLE)
        assert (answer.effects[0].event.status, answer.effects[0].event.refused) == ("STUCK", {})


async def test_a_line_in_which_no_sku_was_read_is_nobodys():
    async with account() as it:
        it.marketplace.says("STO02", {"status": "COMPLETE", "has_error_report": True})
        it.marketplace.says("STO03", text(b'line;why;offer-sku\r\n6;"The offer SKU is mandatory";"";5\r\n7;"No such offer";B;1\r\n'))
        assert await it.perform(SETTLE) == settled("COMPLETE", {"B": "No such offer"})
        it.marketplace.says("STO03", text(b'line;why;offer-sku\r\n6;"The offer SKU is mandatory";"";5\r\n'))
        it.clock.time += timedelta(seconds=60)
        [answer] = await it.perform(SETTLE)
        assert (answer.effects[0].event.status, answer.effects[0].event.refused) == ("COMPLETE", {})


async def test_an_import_without_a_status_is_not_settled():
    async with account() as it:
        for answer in ({}, {"status": None}, {"status": 7}):
            it.marketplace.says("STO02", answer)
            with pytest.raises(UnavailableError):
                await it.perform(SETTLE)


# ---------------------------------------------------------------- the rest of what is asked


async def test_the_tax_mode_is_always_asked_for_or_never():
    async def nothing(_asked: Asked) -> dict[str, Any]:
        return {"orders": [], "total_count": 0}

    for mode in ("TAX_EXCLUDED", ""):
        async with account(tax_mode=mode) as it:
            it.marketplace.says("OR11", nothing)
            await it.look(SHIP)
            await it.source("orders").poll(None)
            assert {asked.query.get("order_tax_mode", "") for asked in it.marketplace.asked} == {mode}
            assert not any("locale" in asked.query for asked in it.marketplace.asked)


def test_a_good_order_is_one_by_the_contract():
    pointer = "/components/schemas/OR11_Response_200_Orders"
    errors = CONTRACT.errors(pointer, json.loads(written(order())))
    assert [error.json_path for error in errors if error.validator not in ("required", "type")] == []
