"""The referee: each rule with a world that keeps it and one that breaks it, and the call that did."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from click.testing import CliRunner

from ops.__main__ import main
from ops.sandbox.faults import Fault
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.money import rest_text
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.referee.case import Conventions, Finding
from ops.sandbox.referee.rules import RULES, judge
from ops.sandbox.truth import truth
from tests.unit.sandbox.connector import Connector
from tests.unit.sandbox.desk import Desk, an_order, money

PLAN = Plan(
    skus=6,
    locations=1,
    offers_open="at_stock",
    least_stock=50,
    most_stock=60,
    warehouse=Warehouse(pick_seconds=10**6),
    mirakl=Switches(multi_shipment=False, receive_hours=900.0),
)
State = dict[str, Any]


def traded(orders: int = 2, buffer: int = 0) -> tuple[Desk, list[str]]:
    """A world in which some orders went all the way round, and nothing is wrong."""
    desk = Desk(PLAN)
    bought = [desk.bought() for _ in range(orders)]
    Connector(desk, buffer).bring_round(*bought)
    return desk, bought


def found(desk: Desk, change: Callable[[State], None] | None = None, **told: Any) -> list[Finding]:
    state = truth(desk.world)
    if change is not None:
        change(state)
    return judge(state, Conventions(**{"settled": True} | told))


def parcel_of(desk: Desk, order_id: str) -> int:
    return next(order for order in desk.shop.orders.values() if order.metafields[0].value == order_id).fulfillments[0]


def rules(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


def test_a_world_in_which_all_is_well_breaks_no_rule() -> None:
    desk, _ = traded()
    assert found(desk) == [] and found(desk, settled=False) == []
    assert len({rule.__name__ for rule in RULES}) == len(RULES) >= 17


# ---------------------------------------------------------------- orders


def test_o1_an_order_is_there_once() -> None:
    desk, (first, _) = traded()
    desk.create(sourceIdentifier=first)
    [twice] = [finding for finding in found(desk) if finding.rule == "O1"]
    assert twice.subject == first and "#1001 and as #1003" in twice.says and twice.call is not None and "orderCreate" in twice.call


def test_o1_what_one_request_made_twice_is_for_a_person_until_one_is_cancelled() -> None:
    desk, (first, _) = traded()
    desk.create(sourceIdentifier=first)
    [broken] = [finding for finding in found(desk) if finding.rule == "O1"]
    assert broken.level == "broken"
    [one, other] = [call for call in desk.world.calls.calls if call.operation == "orderCreate"][::2]
    other.number = one.number
    [finding] = [finding for finding in found(desk) if finding.rule == "O1"]
    assert (finding.subject, finding.level) == (first, "open") and "asked twice" in finding.says

    def cancelled(state: State) -> None:
        state["shopify"]["orders"][-1]["cancelled_at"] = state["now"]

    assert "O1" not in rules(found(desk, cancelled))


def test_o1_a_copy_that_was_cancelled_before_the_next_was_made_is_none() -> None:
    desk, (first, _) = traded()

    def cancelled_first(state: State) -> None:
        copy = state["shopify"]["orders"][0]
        state["shopify"]["orders"].append(copy | {"id": "gid://shopify/Order/1", "created_at": "2026-11-23T09:00:00Z"})
        copy["cancelled_at"] = "2026-11-23T08:59:00Z"

    assert "O1" not in rules(found(desk, cancelled_first, settled=False)) and first


def test_o1_in_the_end_none_is_missing() -> None:
    desk, _ = traded()
    missing = desk.bought()
    desk.accept(missing)
    desk.later(120)
    assert [(finding.rule, finding.subject) for finding in found(desk) if finding.rule == "O1"] == [("O1", missing)]
    assert "O1" not in rules(found(desk, settled=False)), "it may still come"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"taxLines": []}, "tax:"),
        ({"shippingLines": []}, "shipping:"),
        ({"shippingAddress": {"city": "Elsewhere"}}, "city of the address differs"),
    ],
)
def test_o2_a_copy_is_the_same(changed: dict[str, Any], says: str) -> None:
    desk = Desk(PLAN)
    connector = Connector(desk)
    orders = [desk.bought() for _ in range(8)]
    order = next(name for name in orders if sum(line.shipping_price for line in desk.world.account.orders[name].lines))
    desk.accept(order)
    desk.later(120)
    connector.create(order, **changed)
    [finding] = [finding for finding in found(desk, settled=False) if finding.rule == "O2"]
    assert finding.subject == order and says in finding.says and "PII" not in finding.says and finding.call is not None


def test_o2_no_line_is_missing() -> None:
    desk, (first, _) = traded()

    def lose_a_unit(state: State) -> None:
        state["shopify"]["orders"][0]["lines"][0]["quantity"] += 1

    [finding] = found(desk, lose_a_unit)
    assert (finding.rule, finding.subject) == ("O2", first) and "in Shopify" in finding.says


def test_o2_no_unit_is_edited_away() -> None:
    desk, (first, _) = traded()

    def edit(state: State) -> None:
        copy = state["shopify"]["orders"][0]
        copy["edited"] = True
        copy["lines"][0]["current_quantity"] -= 1

    [finding] = found(desk, edit)
    assert (finding.rule, finding.subject, finding.level) == ("O2", first, "open") and "edited in Shopify" in finding.says


def test_o3_none_is_there_without_its_marketplace_order() -> None:
    desk, _ = traded()
    desk.create(name="stray")
    [finding] = [finding for finding in found(desk, settled=False) if finding.rule == "O3"]
    assert finding.subject == "stray" and finding.call is not None


def test_o4_nothing_leaves_for_an_order_that_is_cancelled() -> None:
    desk, (first, _) = traded()

    def cancel_before(state: State) -> None:
        state["shopify"]["orders"][0]["cancelled_at"] = "2026-11-23T08:00:01Z"

    assert ("O4", first) in [(finding.rule, finding.subject) for finding in found(desk, cancel_before)]


def test_o5_an_order_is_answered_once_and_in_time() -> None:
    desk, (first, _) = traded()
    late = desk.bought()
    desk.later(hours=49)
    assert [(finding.rule, finding.subject) for finding in found(desk, settled=False) if finding.rule == "O5"] == [("O5", late)]

    def twice(state: State) -> None:
        accepted = next(call for call in state["calls"] if call["operation"] == "OR21" and first in call["changes"][0]["about"])
        state["calls"].append(accepted | {"number": 999})

    [finding] = [finding for finding in found(desk, twice, settled=False) if finding.subject == first]
    assert finding.says == "answered 2 times" and finding.call is not None and "call 999" in finding.call


def test_o6_what_is_cancelled_there_is_cancelled_here() -> None:
    desk, _ = traded()
    order = desk.bought()
    desk.accept(order)
    desk.later(120)
    Connector.create(Connector(desk), order)
    desk.later(60)  # until it is routed to the warehouse
    desk.world.apply("mirakl.operator_cancel", {"order_id": order}, desk.clock.at)
    [finding] = [finding for finding in found(desk) if finding.rule == "O6"]
    assert finding.subject == order and "still to be packed" in finding.says and finding.level == "broken"


def test_o6_what_is_cancelled_here_is_told_there() -> None:
    desk, _ = traded()
    order = desk.bought()
    desk.accept(order)
    desk.later(120)
    Connector.create(Connector(desk), order)

    def cancelled(state: State) -> None:
        state["shopify"]["orders"][-1]["cancelled_at"] = state["now"]

    [finding] = [finding for finding in found(desk, cancelled) if finding.rule == "O6"]
    assert finding.subject == order and "does not know" in finding.says


# ---------------------------------------------------------------- parcels


def test_f1_nothing_is_said_to_have_left_before_it_has() -> None:
    desk = Desk(PLAN)
    connector, order = Connector(desk), desk.bought()
    desk.accept(order)
    desk.later(120)
    connector.create(order)
    desk.mirakl("PUT", f"/api/orders/{order}/tracking", {"carrier_name": "Evri", "tracking_number": "1"})
    desk.mirakl("PUT", f"/api/orders/{order}/ship")
    desk.later(10)
    desk.world.apply("actors.hurry", {}, desk.clock.at)
    desk.later(10)
    broken = [finding for finding in found(desk, settled=False) if finding.rule == "F1"]
    assert [finding.call is not None and finding.call.split()[3] for finding in broken] == ["OR23", "OR24"], "though it left later"


def test_f1_nor_what_is_not_in_shopify_at_all() -> None:
    desk = Desk(PLAN)
    order = desk.shippable()
    desk.mirakl("PUT", f"/api/orders/{order}/ship")
    assert [finding.says for finding in found(desk, settled=False)] == ["told as shipped, and not in Shopify at all"]


def test_f2_what_is_said_to_have_left_has() -> None:
    desk, (first, _) = traded()

    def less(state: State) -> None:
        for line in state["shopify"]["orders"][0]["fulfillments"][0]["lines"]:
            line["quantity"] -= 1

    assert {(finding.rule, finding.subject) for finding in found(desk, less)} == {("F1", first), ("F2", first)}


def test_f3_the_last_number_is_told() -> None:
    desk, (first, _) = traded()
    parcel = parcel_of(desk, first)
    desk.world.apply(
        "shopify.fulfillmentTrackingInfoUpdate",
        {"fulfillment": f"gid://shopify/Fulfillment/{parcel}", "tracking": {"company": "Evri", "number": "NEW"}},
        desk.clock.at,
    )
    [finding] = found(desk)
    assert (finding.rule, finding.subject) == ("F3", first) and finding.call is not None and "OR23" in finding.call
    assert found(desk, settled=False) == []


def test_f3_a_parcel_is_told_once_and_none_is_left_out() -> None:
    desk, (first, second) = traded()

    def twice(state: State) -> None:
        order = state["mirakl"]["orders"][0]
        units = {line["order_line_id"]: line["quantity"] for line in order["lines"]}
        shipment = {"state": "SHIPPED", "tracking": {"number": order["tracking"]["number"]}, "units": units}
        order["shipments"] = [shipment, shipment]

    assert ("F3", first) in [(finding.rule, finding.subject) for finding in found(desk, twice)]

    def untold(state: State) -> None:
        order = next(order for order in state["mirakl"]["orders"] if order["order_id"] == second)
        order["state"] = "SHIPPING"
        for line in order["lines"]:
            line["state"] = "SHIPPING"

    assert [(finding.rule, finding.subject) for finding in found(desk, untold)] == [("F3", second)]


def test_f4_a_parcel_taken_back_after_all_is_for_a_person() -> None:
    desk, (first, _) = traded()
    parcel = parcel_of(desk, first)
    desk.later(60)
    desk.world.apply("shopify.fulfillmentCancel", {"fulfillment": f"gid://shopify/Fulfillment/{parcel}"}, desk.clock.at)
    findings = found(desk, settled=False)
    assert [(finding.rule, finding.subject, finding.level) for finding in findings] == [("F4", first, "open")]


# ---------------------------------------------------------------- stock


def test_i2_no_more_is_put_on_offer_than_there_is() -> None:
    desk, _ = traded()
    desk.later(hours=1)
    sku = desk.sku()
    there = desk.available()
    desk.mirakl("POST", "/api/offers/stock/imports", csv=f"offer-sku;quantity\n{sku};{there + 3}\n")
    desk.later(60)
    [finding] = found(desk, settled=False)
    assert (finding.rule, finding.subject) == ("I2", sku) and str(there + 3) in finding.says
    assert finding.call is not None and "STO01" in finding.call


def test_i2_a_number_may_be_as_old_as_is_agreed() -> None:
    desk, _ = traded()
    desk.later(hours=1)
    sku, there = desk.sku(), desk.available()
    desk.world.apply("shopify.stock", {"sku": sku, "quantity": 1}, desk.clock.at)
    desk.later(120)
    desk.mirakl("POST", "/api/offers/stock/imports", csv=f"offer-sku;quantity\n{sku};{there}\n")
    desk.later(60)
    assert found(desk, settled=False, staleness=600.0) == []
    assert rules(found(desk, settled=False, staleness=60.0)) == {"I2"}
    assert rules(found(desk, settled=False, staleness=600.0, buffer=1)) == {"I2"}, "for the buffer is kept back too"


def test_i4_in_the_end_the_offer_is_what_there_is() -> None:
    desk, _ = traded(buffer=3)
    assert found(desk, buffer=3) == []
    assert rules(found(desk)) == {"I4"}, "where no buffer is agreed"
    desk.later(hours=1)
    desk.world.apply("shopify.stock", {"sku": desk.sku(), "quantity": 1}, desk.clock.at)
    assert [(finding.rule, finding.subject) for finding in found(desk, buffer=3)] == [("I4", desk.sku())]


def test_i5_no_stock_file_touches_a_price() -> None:
    desk, _ = traded()
    sku = desk.sku()

    def dearer(state: State) -> None:
        state["mirakl"]["offers"][sku]["price"] = "9999.00"

    assert [(finding.rule, finding.subject) for finding in found(desk, dearer)] == [("I5", sku)]


def test_i7_nobody_could_buy_what_had_long_been_gone() -> None:
    desk, _ = traded()
    sku = desk.sku()
    desk.world.apply("shopify.stock", {"sku": sku, "quantity": 0}, desk.clock.at)
    desk.later(300)
    soon = desk.bought(sku=sku)
    assert "I7" not in rules(found(desk, settled=False))
    desk.later(600)
    late = desk.bought(sku=sku)
    [finding] = [finding for finding in found(desk, settled=False) if finding.rule == "I7"]
    assert finding.subject == late != soon and finding.call is not None and "STO01" in finding.call


# ---------------------------------------------------------------- refunds


def pay_back(desk: Desk, order_id: str, amount: int) -> None:
    """OR28: so much of the first line's price; minor units."""
    line = desk.world.account.orders[order_id].lines[0]
    wanted = {"order_line_id": line.id, "amount": amount / 100, "quantity": 0, "reason_code": "15", "shipping_amount": 0}
    reply = desk.mirakl("PUT", "/api/orders/refund", {"refunds": [wanted]})
    assert reply.status == 200, reply.body


def staff_refunds(desk: Desk, order_id: str, amount: int) -> None:
    copy = next(order for order in desk.shop.orders.values() if order.metafields[0].value == order_id)
    desk.world.apply("shopify.staffRefund", {"order": copy.id, "amount": amount}, desk.clock.at)


def paid_round() -> tuple[Desk, str]:
    """A pair whose Shopify order was paid, so that it can be paid back."""
    desk = Desk(PLAN)
    connector, order = Connector(desk), desk.bought()
    desk.accept(order)
    desk.later(120)
    total = sum(line.total for line in desk.world.account.orders[order].lines)
    paid = {"kind": "SALE", "status": "SUCCESS", "gateway": "marketplace", "amountSet": money(rest_text(total, "GBP"))}
    connector.create(order, transactions=[paid])
    desk.later(10)
    desk.world.apply("actors.hurry", {}, desk.clock.at)
    desk.later(1)
    connector.tell_shipped(order)
    connector.publish()
    desk.later(60)
    assert found(desk) == []
    return desk, order


def test_r1_what_shopify_pays_back_is_told_once() -> None:
    desk, order = paid_round()
    staff_refunds(desk, order, 150)
    pay_back(desk, order, 150)
    assert found(desk) == []
    pay_back(desk, order, 150)
    [finding] = found(desk)
    assert (finding.rule, finding.subject, finding.says) == ("R1", order, "3.00 told, 1.50 paid back in Shopify")
    assert finding.call is not None and "OR28" in finding.call and f"call {desk.world.calls.last}" in finding.call


def test_r2_no_line_is_paid_back_beyond_its_price() -> None:
    desk, order = paid_round()

    def too_much(state: State) -> None:
        line = state["mirakl"]["orders"][0]["lines"][0]
        line["refunds"] = [{"origin": "operator", "total": line["price"]}, {"origin": "operator", "total": "9.99"}]

    assert ("R2", order) in [(finding.rule, finding.subject) for finding in found(desk, too_much, settled=False)]


def test_r3_what_the_marketplace_pays_back_is_noted_once_and_never_told_to_it() -> None:
    desk, order = paid_round()
    line = desk.world.account.orders[order].lines[0]
    desk.world.apply("mirakl.operator_refund", {"order_line_id": line.id, "share": 0.5, "shipping": False}, desk.clock.at)
    [unnoted] = found(desk)
    assert (unnoted.rule, unnoted.subject, unnoted.level) == ("R3", order, "open") and found(desk, settled=False) == []
    back = line.refunds[0].total

    def note(state: State) -> None:
        refund = {"id": "gid://shopify/Refund/1", "by": "app", "total": rest_text(back, "GBP")}
        state["shopify"]["orders"][0]["refunds"].append(refund)

    def note_twice(state: State) -> None:
        note(state)
        note(state)

    assert found(desk, note) == []
    assert [(finding.rule, finding.level) for finding in found(desk, note_twice)] == [("R3", "broken")]
    pay_back(desk, order, back)
    [echo] = found(desk, note)
    assert (echo.rule, echo.level) == ("R3", "broken") and "echo" in echo.says and echo.call is not None and "OR28" in echo.call


def test_r4_in_the_end_every_refund_is_told() -> None:
    desk, order = paid_round()
    staff_refunds(desk, order, 150)
    assert [(finding.rule, finding.subject, finding.level) for finding in found(desk)] == [("R4", order, "broken")]
    assert found(desk, settled=False) == []


def test_what_both_sides_pay_back_by_themselves_need_not_be_told() -> None:
    desk, order = paid_round()
    line = desk.world.account.orders[order].lines[0]
    desk.world.apply("mirakl.operator_refund", {"order_line_id": line.id, "share": 0.5, "shipping": False}, desk.clock.at)
    part, whole = line.refunds[0].total, line.total
    assert 0 < part < whole

    def refunded(staff: int, seller: int = 0, *, of: Sequence[str] = ("a line",)) -> Callable[[State], None]:
        def as_if(state: State) -> None:
            refund = {"id": "gid://shopify/Refund/1", "by": "staff", "total": rest_text(staff, "GBP"), "lines": of, "shipping": "0.00"}
            state["shopify"]["orders"][0]["refunds"].append(refund)
            if seller:
                text = rest_text(seller, "GBP")
                state["mirakl"]["orders"][0]["lines"][0]["refunds"].append({"origin": "seller", "amount": text, "total": text})

        return as_if

    def rules(change: Callable[[State], None]) -> list[str]:
        return [finding.rule for finding in found(desk, change)]

    assert rules(refunded(part)) == []  # the same sum
    assert rules(refunded(whole, whole - part)) == []  # and the rest of the line was told
    goods = line.price
    assert part < goods < whole
    assert rules(refunded(goods, goods - part)) == []  # and the rest of the goods: nobody pays back the shipping
    [asked] = found(desk, refunded(goods, goods - part, of=()))
    assert (asked.rule, asked.level) == ("R4", "open"), "money for nothing that is named may be for something else"
    assert rules(refunded(whole, goods - part)) == ["R4"]
    assert rules(refunded(whole, whole - part - 1)) == ["R4"]
    assert rules(refunded(part + 1)) == ["R4"]
    assert rules(refunded(part - 1)) == ["R4", "R3"], "less than the marketplace did, and of a line of which something is left"

    def gesture(state: State) -> None:
        refunded(part, part)(state)
        refund = {"id": "gid://shopify/Refund/2", "by": "staff", "total": "0.33", "lines": (), "shipping": "0.00"}
        state["shopify"]["orders"][0]["refunds"].append(refund)
        app = {"id": "gid://shopify/Refund/3", "by": "app", "total": rest_text(part, "GBP"), "lines": ()}
        state["shopify"]["orders"][0]["refunds"].append(app)

    assert rules(gesture) == ["R4"], "what was told of one in Shopify is no second one of both sides"


def test_what_is_taken_off_before_it_was_paid_is_a_refund_in_shopify() -> None:
    desk, order = paid_round()
    price = rest_text(desk.world.account.orders[order].lines[0].total, "GBP")

    def cancelled(origin: str, by: str, state_of_line: str = "CANCELED") -> list[tuple[str, str]]:
        def as_if(state: State) -> None:
            [line] = state["mirakl"]["orders"][0]["lines"]
            line["cancelations"], line["state"] = [{"origin": origin, "total": price}], state_of_line
            line["price"] = line["shipping_price"] = "0.00"
            state["shopify"]["orders"][0]["refunds"].append({"id": "gid://shopify/Refund/1", "by": by, "total": price})

        return [(one.rule, one.level) for one in found(desk, as_if) if one.rule.startswith("R")]

    assert cancelled("operator", "app") == [] == cancelled("seller", "staff")
    assert cancelled("seller", "app") == [("R3", "broken")]  # an echo of our own


def test_what_is_taken_off_before_it_came_into_shopify_is_not_noted_there() -> None:
    desk, order = paid_round()

    def with_a_line(sku: str | None) -> Callable[[State], None]:
        def change(state: State) -> None:
            [line] = state["mirakl"]["orders"][0]["lines"]
            off = {
                "state": "CANCELED",
                "price": "0.00",
                "shipping_price": "0.00",
                "cancelations": [{"origin": "operator", "total": "9.00"}],
            }
            state["mirakl"]["orders"][0]["lines"].append(line | off | {"order_line_id": f"{order}-9", "sku": sku or line["sku"]})

        return change

    assert rules(found(desk, with_a_line("ANOTHER"))) == set()
    assert rules(found(desk, with_a_line(None))) == {"R3"}


def test_o6_what_was_paid_back_whole_is_settled_whatever_it_is_called() -> None:
    desk, order = paid_round()

    def cancelled(state: State) -> None:
        copy = state["shopify"]["orders"][0]
        copy["cancelled_at"], copy["fulfillments"] = state["now"], []

    assert ("O6", "open") in [(one.rule, one.level) for one in found(desk, cancelled)]
    for line in desk.world.account.orders[order].lines:
        desk.world.apply("mirakl.operator_refund", {"order_line_id": line.id}, desk.clock.at)
    assert "O6" not in rules(found(desk, cancelled))


# ---------------------------------------------------------------- the marketplace's books


def closed_month() -> tuple[Desk, str]:
    """An order whose money has been paid out."""
    desk, (first, _) = traded()
    for name in (first,):
        desk.world.apply("mirakl.operator_receive", {"order_id": name}, desk.clock.at)
    desk.later(hours=24 * 45)
    assert truth(desk.world)["mirakl"]["money"]["cycles"], "a cycle has been billed"
    assert not {"L1", "L2", "L3", "L4"} & rules(found(desk, settled=False))
    return desk, first


def books(desk: Desk, change: Callable[[State], None]) -> list[Finding]:
    return [finding for finding in found(desk, change, settled=False) if finding.rule.startswith("L")]


def entry_of(state: State, kind: str, order: str | None = None) -> State:
    found_entry: State = next(entry for entry in state["mirakl"]["ledger"] if entry["type"] == kind and order in (None, entry.get("order")))
    return found_entry


def test_l1_a_cycle_is_the_sum_of_its_lines() -> None:
    desk, first = closed_month()

    def lose(state: State) -> None:
        entry_of(state, "ORDER_AMOUNT", first)["lost"] = True

    assert "L1" in rules(books(desk, lose)) and all(finding.level == "open" for finding in books(desk, lose))


def test_l2_an_order_is_booked_with_what_it_cost() -> None:
    desk, first = closed_month()

    def restate(state: State) -> None:
        entry_of(state, "ORDER_AMOUNT", first)["amount"] = "0.01"

    assert ("L2", first) in [(finding.rule, finding.subject) for finding in books(desk, restate)]


def test_l3_the_commission_is_the_one_that_was_agreed() -> None:
    desk = Desk(PLAN)
    order = desk.bought()
    desk.world.apply("mirakl.overcharge", {"amount": 100}, desk.clock.at)
    Connector(desk).bring_round(order)
    [finding] = [finding for finding in found(desk, settled=False) if finding.rule == "L3"]
    assert finding.subject == order and finding.level == "open"


def test_l4_the_balance_is_the_sum_of_the_lines() -> None:
    desk, _ = closed_month()

    def miscount(state: State) -> None:
        state["mirakl"]["money"]["balances"]["pending_balance"] = "123456.00"

    assert [finding.rule for finding in books(desk, miscount)] == ["L4"]


# ---------------------------------------------------------------- calls


def test_c4_calls_keep_to_what_is_published() -> None:
    desk, _ = traded()
    for _ in range(2):
        desk.asked("/api/orders")
    assert [(finding.rule, finding.subject) for finding in found(desk)] == [("C4", "OR11")]


# ---------------------------------------------------------------- what it must be told


@pytest.mark.parametrize(
    ("kept", "place"),
    [
        ({"sourceIdentifier": "{}"}, "source"),
        ({"tags": ["{}"]}, "tag"),
        ({"tags": ["asos-{}"]}, "tag:asos-"),
        ({"customAttributes": [{"key": "order", "value": "{}"}]}, "attribute:order"),
        ({"metafields": [{"namespace": "$app", "key": "mirakl_order_id", "type": "id", "value": "{}"}]}, "metafield:mirakl_order_id"),
    ],
)
def test_another_connector_keeps_the_id_elsewhere(kept: dict[str, Any], place: str) -> None:
    desk = Desk(PLAN)
    Connector(desk)
    order = desk.shippable()
    desk.create(**json.loads(json.dumps(an_order(desk.variant()) | kept).replace("{}", order)))
    assert "O1" not in rules(found(desk, order_id=(place,))) and "O3" not in rules(found(desk, order_id=(place,)))
    assert rules(found(desk, order_id=("attribute:nothing",))) >= {"O1", "O3"}


def test_the_fault_that_a_call_met_is_told_with_it() -> None:
    desk, (first, _) = traded()
    desk.sandbox.faults.add(Fault("orderCreate", "reset_after"))
    desk.create(sourceIdentifier=first)
    [twice] = [finding for finding in found(desk) if finding.rule == "O1"]
    assert twice.call is not None and twice.call.endswith("fault reset_after")


def test_the_command_needs_a_sandbox() -> None:
    told = CliRunner().invoke(main, ["referee", "http://127.0.0.1:9"])
    assert told.exit_code == 3 and "no sandbox answers" in told.output
    told = CliRunner().invoke(main, ["referee", "nonsense"])
    assert told.exit_code == 3 and "such as http://127.0.0.1:8800" in told.output


def test_the_command_knows_where_an_order_id_may_be_kept() -> None:
    told = CliRunner().invoke(main, ["referee", "http://127.0.0.1:9", "--order-id", "tag:asos-,note"])
    assert told.exit_code == 3 and "--order-id note: none of metafield, source, tag, attribute" in told.output
