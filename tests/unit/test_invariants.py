"""Each check of an invariant: what keeps it is passed, and what breaks it is named, with what it is about."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from engine.metrics import Metrics
from engine.runner import encode
from engine.vault import NOTHING
from ops.sandbox.truth import truth
from ops.service import PROJECTIONS
from ops.settings import ChannelSection, SecretRef, Settings, ShopifySection, TenantSettings
from ops.simulate.invariants import calls, engine, log, orders, people, stock
from ops.simulate.invariants.calls import unmeasured
from ops.simulate.invariants.evidence import Breach, Check, Document, Evidence, Outage, Posted
from ops.simulate.invariants.table import CHECKED, CHECKS, INVARIANTS
from projections.exceptions import Trouble
from projections.kinds import opened
from schemas.commands import AcceptOrder, CreateShopOrder, PublishStock, SetSellerReference, ShipOrder
from schemas.envelope import Envelope
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandRefused, CommandUnknown
from schemas.events.inventory import StockImportFinished, StockModeSet
from schemas.events.people import OrderHeld
from schemas.events.privacy import SubjectErased
from schemas.values import LineId, Money, OrderId, ShopId, Sku
from tests import examples as ex
from tests.examples import CHANNEL, NOON, ORDER
from tests.history import STREAM, History, rehashed
from tests.unit.sandbox.desk import Desk
from tests.unit.sandbox.test_referee import parcel_of, traded

NOWHERE = SecretRef(env="NOWHERE")
SETTINGS = Settings(
    tenant=TenantSettings(id="test"),
    shopify=ShopifySection(shop="test.myshopify.com", access_token=NOWHERE, webhook_secret=NOWHERE, webhook_path=NOWHERE),
    channel=[ChannelSection(id=str(CHANNEL), base_url="https://test.mirakl.net", api_key=NOWHERE, shop_id=1, buffer=3)],
)
ACCEPT = AcceptOrder(channel=CHANNEL, order_id=ORDER, accepted=(LineId(f"{ORDER}-1"),))
REFER = SetSellerReference(channel=CHANNEL, order_id=ORDER, reference="1001")
SHIP = ShipOrder(channel=CHANNEL, order_id=ORDER, fulfilments=(ShopId("gid://shopify/Fulfillment/1"),), carrier="Royal Mail")
TEE = Sku("TEE-RED-M")


def seen(kind: type[Check], told: Sequence[Envelope]) -> list[Breach]:
    check = kind(SETTINGS)
    found = [breach for envelope in told for breach in check.see(envelope)]
    assert check.judged
    assert {breach.invariant for breach in found} <= {kind.invariant}
    return found


def ordered() -> History:
    history = History()
    placed = history.tell(ex.placed())
    history.tell(ex.state("WAITING_ACCEPTANCE"))
    accept = history.issue(ACCEPT, placed)
    history.answer(CommandConfirmed, accept)
    shipping = history.tell(ex.state("SHIPPING"))
    history.issue(REFER, shipping)
    left = history.tell(ex.fulfilled())
    ship = history.issue(SHIP, left)
    history.answer(CommandConfirmed, ship)
    return history


def file(units: int, as_of: int, mode: str = "normal", step: int = 0) -> PublishStock:
    return PublishStock(channel=CHANNEL, quantities={TEE: units}, as_of=as_of, mode=mode, step=step)


# ---------------------------------------------------------------- the table


def test_every_invariant_is_checked_or_says_where_it_is_seen_or_why_not_yet() -> None:
    names = [one.id for one in INVARIANTS]
    assert len(names) == len(set(names))
    assert set(names) >= CHECKED
    assert [one.id for one in INVARIANTS if one.id not in CHECKED and not one.elsewhere and not one.not_yet] == []
    assert [one.id for one in INVARIANTS if one.id in CHECKED and one.not_yet] == []


def test_every_command_that_must_not_be_done_twice_says_for_how_long_it_does_not_show() -> None:
    assert unmeasured() == set()


@pytest.mark.parametrize(
    "kind", [kind for kind in CHECKS if kind.see is not Check.see], ids=lambda kind: f"{kind.invariant}-{kind.__name__}"
)
def test_a_log_in_which_all_is_well_breaks_nothing(kind: type[Check]) -> None:
    check = kind(SETTINGS)
    assert [breach for told in ordered().log for breach in check.see(told)] == []


# ---------------------------------------------------------------- of the log alone


def without(told: Sequence[Envelope]) -> list[Envelope]:
    return [*told[:2], *told[3:]]


def exchanged(told: Sequence[Envelope]) -> list[Envelope]:
    return [told[1], told[0], *told[2:]]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (log.Positions, without),
        (log.Positions, exchanged),
        (log.Versions, lambda told: [replace(told[0], version=2), *told[1:]]),
        (log.Hashes, lambda told: [replace(told[0], data='{"type":"order_placed"}'), *told[1:]]),
        (log.Hashes, lambda told: [told[0], *rehashed(told[1:])]),
        (log.Identities, lambda told: [*told, replace(told[-1], position=len(told) + 1)]),
        (log.Identities, lambda told: [*told, replace(told[0], position=len(told) + 1, event_id=UUID(int=7))]),
        (log.Identities, lambda told: [*told[:2], replace(told[2], causation_id=told[1].event_id), *told[3:]]),
        (log.Causes, lambda told: told[1:]),
        (log.Causes, lambda told: [*told[:2], replace(told[2], causation_id=None), *told[3:]]),
        (log.Causes, lambda told: [*told[:3], replace(told[3], correlation_id=UUID(int=7)), *told[4:]]),
        (log.Outcomes, lambda told: [*told, replace(told[3], position=99)]),
        (log.Outcomes, lambda told: [told[0], told[1], *told[3:]]),
    ],
)
def test_a_log_that_was_tampered_with_is_found_out(kind: type[Check], change: Callable[[Sequence[Envelope]], Sequence[Envelope]]) -> None:
    assert seen(kind, change(ordered().log))


def test_e9_what_was_the_end_once_stays_in_it() -> None:
    told = ordered().log
    check = log.Prefix(SETTINGS)
    assert list(check.look(evidence(told[:5]))) == [] == list(check.look(evidence(told)))
    [shorter] = list(check.look(evidence(told[:7])))
    assert "had come so far" in shorter.says
    other = History()
    for _ in told:
        other.tell(ex.placed())
    assert {breach.invariant for breach in check.look(evidence(other.log))} == {"E9"}


def test_e10_what_people_do_says_who_did_it() -> None:
    history = History()
    history.tell(OrderHeld(channel=CHANNEL, order_id=ORDER, reason="a call"), actor="ann")
    assert seen(log.Causes, history.log) == []
    history.tell(OrderHeld(channel=CHANNEL, order_id=ORDER, reason=""), actor="ann")
    history.tell(OrderHeld(channel=CHANNEL, order_id=ORDER, reason="a call"))
    assert [breach.subject for breach in seen(log.Causes, history.log)] == [STREAM, STREAM]


def test_c2_a_buried_command_may_be_answered_later_and_an_unknown_one_must_be() -> None:
    history = History()
    key = history.issue(ACCEPT, history.tell(ex.placed()))
    history.answer(CommandBuried, key, attempt=1)
    history.answer(CommandConfirmed, key, attempt=2)
    check = log.Outcomes(SETTINGS)
    assert [breach for told in history.log for breach in check.see(told)] == []
    waiting = outbox_row(key, unknown_since=NOON)
    assert [breach.subject for breach in check.quiet(evidence(history.log, outbox=[waiting]))] == [STREAM, STREAM]
    lost = History()
    lost.issue(ACCEPT, lost.tell(ex.placed()))
    check = log.Outcomes(SETTINGS)
    assert [breach for told in lost.log for breach in check.see(told)] == []
    assert ["no outcome" in breach.says for breach in check.quiet(evidence(lost.log))] == [True]


def test_c5_a_deposed_leader_tells_nothing() -> None:
    history = History()
    key = history.issue(ACCEPT, history.tell(ex.placed()))
    history.answer(CommandUnknown, key, attempt=1)
    history.answer(CommandUnknown, key, attempt=2)
    assert seen(log.Epochs, history.log) == []
    history.answer(CommandBuried, key, attempt=1)
    assert len(seen(log.Epochs, history.log)) == 1
    check = log.Epochs(SETTINGS)
    assert list(check.look(evidence([], leases={"shopify": 2}))) == []
    assert [breach.subject for breach in check.look(evidence([], leases={"shopify": 1}))] == ["shopify"]


def test_c7_nobody_overtakes_but_remarks_are_overtaken() -> None:
    history = History()
    placed, shipping = history.tell(ex.placed()), history.tell(ex.state("SHIPPING"))
    history.issue(ACCEPT, placed)
    second = history.issue(SHIP, shipping)
    history.answer(CommandConfirmed, second)
    [overtaken] = seen(log.Turns, history.log)
    assert overtaken.subject == STREAM and "ship_order" in overtaken.says and "accept_order" in overtaken.says
    history = History()
    placed, shipping = history.tell(ex.placed()), history.tell(ex.state("SHIPPING"))
    history.issue(REFER, placed)
    history.answer(CommandConfirmed, history.issue(SHIP, shipping))
    assert seen(log.Turns, history.log) == []


# ---------------------------------------------------------------- orders


def test_o4_news_that_comes_late_moves_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    history = ordered()
    history.tell(ex.state("WAITING_ACCEPTANCE"))
    history.tell(ex.line_state("SHIPPED"))
    history.tell(ex.line_state("SHIPPING"))
    assert seen(orders.States, history.log) == []
    monkeypatch.setattr("projections.orders.RANKS", dict.fromkeys(("WAITING_ACCEPTANCE", "SHIPPING", "SHIPPED"), 0))
    assert [breach.subject for breach in seen(orders.States, history.log)] == [STREAM, STREAM]


def test_o5_every_line_is_answered_for_and_none_twice() -> None:
    history = History()
    placed = history.tell(ex.placed(ex.line(1), ex.line(2)))
    history.issue(ACCEPT, placed)
    assert ["1 lines are not answered" in breach.says for breach in seen(orders.Answers, history.log)] == [True]
    history = History()
    both = AcceptOrder(channel=CHANNEL, order_id=ORDER, accepted=ACCEPT.accepted, refused=ACCEPT.accepted)
    history.issue(both, history.tell(ex.placed()))
    assert len(seen(orders.Answers, history.log)) == 1


def test_f1_no_parcel_is_told_that_is_not_known_to_have_left() -> None:
    for before in ((), (ex.fulfilled(status="ERROR"),), (ex.fulfilled(), ex.fulfilled(status="CANCELLED"))):
        history = History()
        placed = history.tell(ex.placed())
        for event in before:
            history.tell(event)
        history.issue(SHIP, placed)
        assert [breach.subject for breach in seen(orders.Parcels, history.log)] == [ORDER]


# ---------------------------------------------------------------- stock


def counted_and_sold() -> History:
    history = History()
    history.tell(ex.counted(10), "stock-TEE-RED-M")
    history.tell(ex.placed(ex.line(quantity=2)))
    return history


def test_i1_no_more_than_is_counted_less_what_is_sold_and_kept_back() -> None:
    for units, as_of, breaks in ((5, 2, False), (6, 2, True), (7, 1, False), (8, 1, True), (1, 0, True)):
        history = counted_and_sold()
        history.issue(file(units, as_of), history.log[0])
        assert bool(seen(stock.Quantities, history.log)) == breaks, (units, as_of)


def test_i1_what_a_count_contains_is_not_owed_twice() -> None:
    history = counted_and_sold()
    history.tell(ex.counted(8, read_at=NOON + timedelta(minutes=1), settled=(ex.KEY,)), "stock-TEE-RED-M")
    history.issue(file(5, 3), history.log[0])
    assert seen(stock.Quantities, history.log) == []
    history.issue(file(6, 3), history.log[1])
    assert len(seen(stock.Quantities, history.log)) == 1


def test_i1_what_is_cancelled_is_free_again_and_what_left_is_not() -> None:
    for event, units in ((ex.line_state("CANCELED"), 7), (ex.line_state("SHIPPED"), 5), (ex.market_cancelation(1), 6)):
        history = counted_and_sold()
        history.tell(ex.created())
        history.tell(event)
        history.issue(file(units, 4), history.log[0])
        assert seen(stock.Quantities, history.log) == []
        history.issue(file(units + 1, 4), history.log[1])
        assert len(seen(stock.Quantities, history.log)) == 1, event


def test_i1_what_others_ship_is_not_owed() -> None:
    history = counted_and_sold()
    history.tell(ex.relabelled(ex.line(quantity=2), fulfilled_by="HUB"))
    history.issue(file(7, 3), history.log[0])
    assert seen(stock.Quantities, history.log) == []


def test_i3_one_file_at_a_time_and_none_older_than_the_one_before() -> None:
    history = counted_and_sold()
    history.issue(file(5, 2), history.log[0])
    history.tell(ex.import_finished(5), f"offers-{CHANNEL}")
    history.issue(file(4, 2), history.log[1])
    assert seen(stock.Files, history.log) == []
    history.issue(file(3, 1), history.log[3])
    assert ["is under way" in breach.says for breach in seen(stock.Files, history.log)] == [True, False]


@pytest.mark.parametrize(
    ("mode", "step", "units", "said", "breaks"),
    [
        ("normal", 0, 6, "normal", False),
        ("hold", 0, 5, "hold", False),
        ("hold", 0, 6, "hold", True),
        ("normal", 0, 5, "hold", True),
        ("zero", 0, 0, "zero", False),
        ("zero", 0, 1, "zero", True),
        ("decay", 1, 5, "decay", False),
        ("decay", 2, 3, "decay", True),
    ],
)
def test_i6_in_a_careful_mode_care_is_taken(mode: str, step: int, units: int, said: str, *, breaks: bool) -> None:
    history = History()
    history.tell(ex.counted(10), "stock-TEE-RED-M")
    history.tell(StockImportFinished(channel=CHANNEL, import_id="1", status="COMPLETE", quantities={TEE: 5}), f"offers-{CHANNEL}")
    history.tell(StockModeSet(channel=CHANNEL, mode=said, step=step), f"offers-{CHANNEL}")
    history.issue(file(units, 3, mode, step), history.log[0])
    assert bool(seen(stock.Modes, history.log)) == breaks


def test_i6_a_shop_that_cannot_be_read_calls_for_care() -> None:
    history = counted_and_sold()
    history.issue(file(5, 2), history.log[0], at=NOON + timedelta(hours=3))
    check = stock.Modes(SETTINGS)
    assert [breach for told in history.log for breach in check.see(told)] == []
    away = Outage("shopify", NOON, NOON + timedelta(hours=4))
    assert [breach.subject for breach in check.look(evidence(history.log, outages=[away]))] == [CHANNEL]
    brief = Outage("shopify", NOON + timedelta(hours=2.5), NOON + timedelta(hours=4))
    assert list(check.look(evidence(history.log, outages=[brief]))) == []


# ---------------------------------------------------------------- with the truth of both systems


def evidence(events: Sequence[Envelope], world: Desk | None = None, **more: Any) -> Evidence:
    desk = world or Desk()
    fields: dict[str, Any] = {"settings": SETTINGS, "now": desk.clock.at, "truth": truth(desk.world), "log": events}
    return Evidence(**fields | more)


COMMAND = UUID(int=1)


def outbox_row(key: UUID = COMMAND, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "command_id": key,
        "tag": "accept_order",
        "subject": STREAM,
        "state": "waiting",
        "target": "mirakl:asos",
        "body": "{}",
    }
    return row | {"unknown_since": None, "issued_at": NOON, "due_at": NOON, "epoch": 1, "attempt": 1} | more


def accepted() -> tuple[Desk, History, str]:
    """An order that was accepted as it should be."""
    desk, history = Desk(), History()
    order = desk.bought()
    desk.later(5)
    lines = tuple(LineId(line.id) for line in desk.world.account.orders[order].lines)
    placed = history.tell(ex.placed(order_id=order), f"order-{CHANNEL}:{order}", desk.clock.at)
    command = AcceptOrder(channel=CHANNEL, order_id=OrderId(order), accepted=lines)
    desk.later(5)
    key = history.issue(command, placed, desk.clock.at)
    desk.later(5)
    assert desk.accept(order).status == 204
    desk.later(5)
    history.answer(CommandConfirmed, key, desk.clock.at)
    return desk, history, order


def looked(kind: type[Check], found: Evidence) -> list[Breach]:
    check = kind(SETTINGS)
    for told in found.log:
        assert list(check.see(told)) == []
    breaches = [*check.look(found), *check.quiet(found)]
    assert check.judged
    return breaches


def test_every_call_has_its_intent_and_every_outcome_its_call() -> None:
    desk, history, order = accepted()
    stream = f"order-{CHANNEL}:{order}"
    assert looked(calls.Asked, evidence(history.log, desk)) == [] == looked(calls.Before, evidence(history.log, desk))
    assert [breach.subject for breach in looked(calls.Asked, evidence(history.log[:1], desk))] == [stream], "nobody had decided on it"
    late = [history.log[0], replace(history.log[1], recorded_at=desk.clock.at), history.log[2]]
    assert ["before its intent" in breach.says for breach in looked(calls.Before, evidence(late, desk))] == [True]
    fresh = Desk()
    fresh.bought()
    assert ["nothing was done" in breach.says for breach in looked(calls.Before, evidence(history.log, fresh))] == [True]
    early = [*history.log[:2], replace(history.log[2], recorded_at=history.log[1].recorded_at)]
    assert ["nothing was done" in breach.says for breach in looked(calls.Before, evidence(early, desk))] == [True]


def test_what_no_command_asks_for_is_nobodys() -> None:
    desk, history, order = accepted()
    shipment = {"order_id": order, "tracking": {"carrier_name": "x", "tracking_number": "1"}, "shipment_lines": []}
    desk.mirakl("POST", "/api/shipments", {"shipments": [shipment]})
    desk.world.calls.calls[-1].changes[:] = [replace(desk.world.calls.calls[0].changes[0], op="mirakl.OF24")]
    assert [breach.subject for breach in looked(calls.Asked, evidence(history.log, desk))] == ["mirakl.OF24"]


def test_c3_nothing_is_asked_again_before_it_would_show() -> None:
    desk, history = Desk(), History()
    order = desk.shippable()
    desk.later(5)
    placed = history.tell(ex.placed(order_id=order), f"order-{CHANNEL}:{order}", desk.clock.at)
    create = creation(order)
    key = history.issue(create, placed, desk.clock.at)
    history.answer(CommandUnknown, key, desk.clock.at + timedelta(seconds=1))
    for wait, breaks in ((59, True), (700, False)):
        told, later = history.log, desk_at(order, wait)
        done = replace(told[-1], event=confirmed(key, order), position=4, recorded_at=later.clock.at + timedelta(seconds=1))
        found = looked(calls.Retries, evidence([*told, done], later))
        assert [breach.subject for breach in found] == ([f"order-{CHANNEL}:{order}"] if breaks else [])


def desk_at(order: str, wait: float) -> Desk:
    """The same world, in which the order is created so much later."""
    desk = Desk()
    assert desk.shippable() == order
    desk.later(5 + wait)
    desk.create(sourceIdentifier=order)
    return desk


def confirmed(key: UUID, order: str) -> CommandConfirmed:
    return CommandConfirmed(command_id=key, command="create_shop_order", subject=f"order-{CHANNEL}:{order}", attempt=2)


def creation(order: str) -> CreateShopOrder:
    terms = ex.placed()
    return CreateShopOrder(
        channel=CHANNEL,
        order_id=OrderId(order),
        placed_at=NOON,
        currency="GBP",
        taxes_included=True,
        lines=terms.lines,
        total=Money(2450, "GBP"),
    )


def test_l4_calls_are_not_many_more_than_there_is_to_do() -> None:
    desk, history, _ = accepted()
    assert looked(calls.Bounded, evidence(history.log, desk)) == []
    desk.world.calls.counted["mirakl OR21"] = 500
    stubborn = outbox_row(attempt=400, issued_at=desk.clock.at - timedelta(hours=1))
    assert [breach.subject for breach in looked(calls.Bounded, evidence(history.log, outbox=[stubborn]))] == [STREAM]
    assert [breach.subject for breach in looked(calls.Bounded, evidence(history.log, desk))] == ["mirakl.OR21"]


def test_e5_an_order_that_is_long_there_is_in_the_log() -> None:
    desk, history, order = accepted()
    desk.later(hours=1)
    assert looked(engine.Received, evidence(history.log, desk)) == []
    assert [breach.subject for breach in looked(engine.Received, evidence([], desk))] == [order]


def test_e5_a_webhook_that_was_taken_is_in_the_log_and_x1_a_forged_one_is_not_taken() -> None:
    body = b'{"id": 7, "admin_graphql_api_id": "gid://shopify/InventoryItem/7"}'
    taken = Posted("inventory_items/update", body, NOON, signed=True, taken=True)
    [missing] = looked(engine.Received, evidence([], posted=[taken]))
    assert missing.subject == "inventory_items/update"
    assert looked(engine.Signed, evidence([], posted=[replace(taken, signed=False, taken=False)])) == []
    assert len(looked(engine.Signed, evidence([], posted=[replace(taken, signed=False)]))) == 1


def rebuilt(told: Sequence[Envelope]) -> dict[str, dict[str, Document]]:
    found = evidence(told)
    return {projection.name: engine.folded(projection, found, len(told), 2) for projection in PROJECTIONS}


def test_e6_what_stands_in_the_tables_is_what_the_log_says() -> None:
    told = ordered().log
    rows = rebuilt(told)
    checkpoints = dict.fromkeys(rows, len(told))
    assert looked(engine.Rebuilt, evidence(told, rows=rows, checkpoints=checkpoints)) == []
    row = rows["orders"][ex.KEY]
    rows["orders"][ex.KEY] = Document(row.position, row.text.replace("SHIPPING", "SHIPPED"))
    [differs] = looked(engine.Rebuilt, evidence(told, rows=rows, checkpoints=checkpoints))
    assert differs.subject == f"orders {ex.KEY}" and "at state" in differs.says
    rows["orders"][ex.KEY] = Document(1, row.text)
    assert ["position" in breach.says for breach in looked(engine.Rebuilt, evidence(told, rows=rows, checkpoints=checkpoints))] == [True]
    del rows["orders"][ex.KEY]
    assert len(looked(engine.Rebuilt, evidence(told, rows=rows, checkpoints=checkpoints))) == 1


def test_l1_in_the_end_nothing_waits_and_every_fold_has_caught_up() -> None:
    told = ordered().log
    clock = outbox_row(target="clock")
    assert looked(engine.Settled, evidence(told, outbox=[clock], checkpoints={"orders": len(told)})) == []
    found = looked(
        engine.Settled, evidence(told, outbox=[outbox_row()], checkpoints={"orders": len(told) - 1}, now=NOON + timedelta(hours=1))
    )
    assert [breach.subject for breach in found] == [STREAM, "orders"]


def trouble(code: str, subject: str = STREAM, **more: Any) -> dict[str, dict[str, Document]]:
    fields: dict[str, Any] = {"key": f"{code}:{subject}", "code": code, "subject": subject, "open": True}
    one = Trouble(**fields | more)
    return {"exceptions": {one.key: Document(1, encode(one).decode())}}


def test_l2_what_is_stuck_is_said_and_what_is_not_is_not() -> None:
    buried = outbox_row(state="buried", due_at=Desk().clock.at - timedelta(minutes=5))
    assert [breach.subject for breach in looked(engine.Told, evidence([], outbox=[buried]))] == [STREAM]
    history = History()
    history.tell(opened("X84", STREAM, "given up"), at=buried["due_at"])
    assert looked(engine.Told, evidence(history.log, outbox=[buried])) == []
    earlier = [replace(history.log[0], recorded_at=buried["due_at"] - timedelta(hours=1))]
    assert len(looked(engine.Told, evidence(earlier, outbox=[buried]))) == 1, "that was something else"
    assert ["nothing was given up" in breach.says for breach in looked(engine.Told, evidence([], rows=trouble("X84")))] == [True]
    assert [
        "every system answers" in breach.says for breach in looked(engine.Told, evidence([], rows=trouble("X78", "target-shopify")))
    ] == [True]


def test_what_only_a_person_can_settle_does_not_go_unsaid() -> None:
    desk, (first, _) = traded()
    desk.later(60)
    desk.world.apply("shopify.fulfillmentCancel", {"fulfillment": f"gid://shopify/Fulfillment/{parcel_of(desk, first)}"}, desk.clock.at)
    silent = next(kind for kind in CHECKS if kind.__name__ == "SilenceOfF4")
    stream = f"order-{CHANNEL}:{first}"
    assert [breach.subject for breach in looked(silent, evidence([], desk, settled=True))] == [first]
    assert looked(silent, evidence([], desk, settled=True, rows=trouble("X44", stream))) == []
    assert len(looked(silent, evidence([], desk, settled=True, rows=trouble("X37", stream)))) == 1, "another thing is said of it"
    assert (
        looked(silent, evidence([], desk, settled=True, rows=trouble("X44", stream, open=False, closed_because="settled by a person: x")))
        == []
    )


def test_l5_every_worker_runs_and_every_source_is_read() -> None:
    metrics, desk = Metrics(), Desk()
    metrics.tasks_alive.labels("exceptions").set(1)
    metrics.leader.labels("test", "mirakl:asos").set(1)
    metrics.poll_last_success.labels("test", "mirakl:asos:orders").set(desk.clock.at.timestamp() - 100)
    assert looked(engine.Progress, evidence([], desk, metrics=[metrics])) == []
    metrics.tasks_alive.labels("exceptions").set(0)
    metrics.poll_last_success.labels("test", "mirakl:asos:orders").set(desk.clock.at.timestamp() - 1000)
    assert [breach.subject for breach in looked(engine.Progress, evidence([], desk, metrics=[metrics]))] == [
        "mirakl:asos:orders",
        "exceptions",
    ]


def test_p1_nobody_is_named_anywhere() -> None:
    told = ordered().log
    assert looked(people.Private, evidence(told, told={"the engine's log": "order 1 accepted"})) == []
    canary = "PII-1-7"
    for broken in (
        evidence([replace(told[0], data=f'{{"name": "{canary}"}}'), *told[1:]]),
        evidence(told, outbox=[outbox_row(body=f'{{"name": "{canary}"}}')]),
        evidence(told, rows={"orders": {"1": Document(1, f'"{canary}"')}}),
        evidence(told, told={"the engine's log": f"Dear {canary}"}),
    ):
        [found] = looked(people.Private, broken)
        assert canary not in f"{found}"


def test_p2_and_p4_who_is_erased_is_gone_and_nobody_else_is() -> None:
    history = History()
    history.tell(ex.placed(), subject=STREAM, sealed=b"a sealed thing")
    history.tell(SubjectErased(subject=STREAM, reason="asked for"))
    history.tell(ex.state("SHIPPED"), subject=STREAM, sealed=NOTHING)
    keys = {STREAM: (False, True), "order-asos:2": (True, False)}
    sound = evidence(history.log, keys=keys)
    assert looked(people.Erased, sound) == looked(people.Apart, sound) == []
    [back] = looked(people.Erased, evidence(history.log, keys=keys | {STREAM: (True, True)}))
    assert back.subject == STREAM
    [gone] = looked(people.Apart, evidence(history.log, keys=keys | {"order-asos:2": (False, False)}))
    assert gone.subject == "order-asos:2"
    history.tell(ex.state("CLOSED"), stream="order-asos:2", subject="order-asos:2", sealed=NOTHING)
    [withheld] = looked(people.Apart, evidence(history.log, keys=keys))
    history.tell(ex.state("CLOSED"), subject=STREAM, sealed=b"sealed again")
    [sealed] = looked(people.Erased, evidence(history.log, keys=keys))
    assert (withheld.subject, sealed.subject) == ("order-asos:2", STREAM)


def test_a_refusal_is_an_end() -> None:
    history = History()
    key = history.issue(ACCEPT, history.tell(ex.placed()))
    history.answer(CommandRefused, key)
    assert seen(log.Outcomes, history.log) == []
