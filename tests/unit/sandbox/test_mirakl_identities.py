"""Whatever happens in an honest world, its books add up, at every cycle: any order of events, any terms."""

import contextlib
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ops.sandbox.mirakl.state import Switches
from ops.sandbox.plan import Plan
from ops.sandbox.wire import RefusalError
from tests.unit.sandbox.desk import Desk
from tests.unit.sandbox.identities import Books

TERMS = st.fixed_dictionaries(
    {},
    optional={
        "payable_after": st.sampled_from(["SHIPPED", "RECEIVED"]),
        "payable_days": st.sampled_from([0.0, 5.0]),
        "ledger_taxes": st.sampled_from(["tax_mode", "apart", "within"]),
        "tax_mode": st.sampled_from(["TAX_INCLUDED", "TAX_EXCLUDED"]),
        "payment_workflow": st.sampled_from(
            ["PAY_ON_ACCEPTANCE", "PAY_ON_SHIPMENT", "PAY_ON_DELIVERY", "PAY_ON_DUE_DATE", "NO_CUSTOMER_PAYMENT_CONFIRMATION"]
        ),
        "taxes_remitted_by_operator": st.booleans(),
        "fees_remitted_by_operator": st.booleans(),
        "operator_pays_shipping": st.booleans(),
        "operator_paid_shipping": st.sampled_from(["debit", "credit"]),
        "zero_lines": st.booleans(),
        "lines_per_tax_code": st.booleans(),
        "amount_sign": st.sampled_from(["signed", "positive"]),
        "payment_line_state": st.sampled_from(["PAID", "NOT_APPLICABLE"]),
        "billing_days": st.sampled_from([(1, 11, 21), (1,), (28,)]),
        "billing_hours": st.sampled_from([0.0, 100.0]),
        "empty_cycles": st.booleans(),
        "payout_hours": st.sampled_from([0.0, 24.0, 200.0]),
        "invoice_hours": st.sampled_from([0.0, 72.0]),
        "payouts_fail": st.sampled_from(["", "INCOMPLETE_KYC"]),
        "negative_cycles": st.sampled_from(["carried_over", "to_operator"]),
        "subscription": st.sampled_from([0, 99, 5000]),
        "fee_on_order": st.sampled_from([0, 33]),
        "late_penalty": st.sampled_from([0, 101]),
        "penalty_as": st.sampled_from(["SELLER_PENALTY_FEE", "MANUAL_INVOICE"]),
        "reserve_rate": st.sampled_from(["0", "7.5"]),
        "reserve_target": st.sampled_from([0, 300]),
        "reserve_cycles": st.sampled_from([0, 1, 2]),
        "multi_shipment": st.booleans(),
        "partial_cancelation": st.sampled_from(["open", "closed_400"]),
        "fees": st.sampled_from([0.0, 0.5]),
        "several_taxes": st.sampled_from([0.0, 0.5]),
        "promotions": st.sampled_from([0.0, 0.5]),
        "tax_rule": st.sampled_from(["NONE", "PROPORTIONAL_TO_AMOUNT"]),
        "commission_on_shipping": st.booleans(),
        "excluded_units": st.sampled_from(["line_closed", "line_refunded", "ignored"]),
        "refund_after_closed": st.booleans(),
    },
)
REFUNDABLE = ("SHIPPING", "SHIPPED", "RECEIVED", "CLOSED")
PENNIES = st.integers(min_value=1, max_value=4000)


class HonestWorld(RuleBasedStateMachine):
    """People do what they do; what is refused is refused."""

    largest: ClassVar[int] = 0  # cycles that any run has seen

    def __init__(self) -> None:
        super().__init__()
        self.cycles = 0

    @initialize(terms=TERMS, seed=st.integers(1, 99))
    def begins(self, terms: dict[str, Any], seed: int) -> None:
        terms = {"receive_hours": 24, "close_hours": 48, "acceptance_hours": 6, **terms}
        self.desk = Desk(Plan(skus=4, offers_open="at_stock", least_stock=500, most_stock=600, mirakl=Switches(**terms)), seed=seed)

    def does(self, operation: str, **arguments: Any) -> None:
        with contextlib.suppress(RefusalError):
            self.desk.world.apply(f"mirakl.{operation}", arguments, self.desk.clock.at)

    def line(self, data: st.DataObject, *states: str) -> Any:
        """Of some order, in one of those states; None where there is none."""
        lines = [line for order in self.desk.world.account.orders.values() for line in order.lines if line.state in states]
        return data.draw(st.sampled_from(lines)) if lines else None

    @rule(times=st.integers(1, 3))
    def buyers_come(self, times: int) -> None:
        for _ in range(times):
            self.desk.world.buy(self.desk.clock.at)

    @rule()
    def buyers_come_and_are_accepted(self) -> None:
        self.buyers_come(2)
        self.the_seller_accepts(partly=False)
        self.desk.later(120)

    @rule(partly=st.booleans())
    def the_seller_accepts(self, partly: bool) -> None:
        for order in list(self.desk.world.account.orders.values()):
            if order.state == "WAITING_ACCEPTANCE":
                decisions = [{"id": line.id, "accepted": not (partly and line.index > 1)} for line in order.lines]
                self.desk.mirakl("PUT", f"/api/orders/{order.id}/accept", {"order_lines": decisions})

    @rule(half=st.booleans())
    def the_seller_ships(self, half: bool) -> None:
        for order in list(self.desk.world.account.orders.values()):
            if order.state != "SHIPPING":
                continue
            if self.desk.world.account.switches.multi_shipment:
                lines = [line for line in order.lines if line.to_ship and line.state == "SHIPPING"]
                there = [{"order_line_id": line.id, "quantity": max(1, line.to_ship // (1 + half))} for line in lines]
                parcel = {"order_id": order.id, "shipped": True, "shipment_lines": there, "tracking": {"carrier_code": "OTHER"}}
                self.desk.mirakl("POST", "/api/shipments", {"shipments": [parcel]})
            else:
                self.desk.mirakl("PUT", f"/api/orders/{order.id}/ship")

    @rule(data=st.data(), amount=PENNIES, shipping=st.booleans(), excluded=st.booleans())
    def the_seller_refunds(self, data: st.DataObject, amount: int, shipping: bool, excluded: bool) -> None:
        if (line := self.line(data, *REFUNDABLE)) is not None:
            back = {
                "order_line_id": line.id,
                "amount": min(amount, line.price // 2) / 100,
                "shipping_amount": 0.5 if shipping else 0,
                "reason_code": "17",
            }
            back |= {"quantity": 1, "excluded_from_shipment": excluded, "taxes": [], "shipping_taxes": []}
            self.desk.mirakl("PUT", "/api/orders/refund", {"refunds": [back]})

    @rule(data=st.data(), share=st.sampled_from([0.33, 1.0]))
    def the_operator_refunds(self, data: st.DataObject, share: float) -> None:
        if (line := self.line(data, *REFUNDABLE)) is not None:
            self.does("operator_refund", order_line_id=line.id, share=share)

    @rule(data=st.data())
    def somebody_cancels(self, data: st.DataObject) -> None:
        if (line := self.line(data, "WAITING_ACCEPTANCE", "WAITING_DEBIT", "SHIPPING")) is not None:
            self.does("operator_cancel_line", order_line_id=line.id, quantity=1)

    @rule(data=st.data())
    def an_incident_comes_and_goes(self, data: st.DataObject) -> None:
        if (line := self.line(data, *REFUNDABLE)) is not None:
            self.does("open_incident", order_line_id=line.id)
            self.desk.later(hours=data.draw(st.sampled_from([0, 30, 300])))
            order = self.desk.world.account.book.of_line[line.id]
            self.does("close_incident", order_id=order, line_id=line.id, reason_code="51")

    @rule(amount=PENNIES, what=st.sampled_from(["penalise", "MANUAL_CREDIT", "MANUAL_INVOICE", "one_off_debit", "one_off_credit"]))
    def the_operator_charges_or_gives(self, amount: int, what: str) -> None:
        match what:
            case "penalise":
                self.does("penalise", amount=amount)
            case "MANUAL_CREDIT" | "MANUAL_INVOICE":
                self.does("manual_document", kind=what, amount=amount, description="By hand")
            case _:
                self.does("one_off", amount=-amount if what == "one_off_debit" else amount, description=f"Item {amount}")

    @rule()
    def the_reserve_is_released(self) -> None:
        self.does("release_reserve")

    @rule(hours=st.sampled_from([1, 30, 120, 400]))
    def time_passes(self, hours: int) -> None:
        self.desk.later(hours=hours)

    @precondition(lambda self: len(self.desk.world.account.finance.cycles) != self.cycles)
    @invariant()
    def the_books_add_up_at_every_cycle(self) -> None:
        self.cycles = len(self.desk.world.account.finance.cycles)
        HonestWorld.largest = max(HonestWorld.largest, self.cycles)
        assert Books(self.desk).broken() == set()

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.world.switch("mirakl", self.desk.clock.at, payouts_fail="")
            self.desk.later(hours=24 * 75)
            assert Books(self.desk).broken() == set()


TestHonestWorld = HonestWorld.TestCase
TestHonestWorld.settings = settings(max_examples=60, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def test_and_the_runs_saw_cycles() -> None:
    """Runs after the machine, which is above."""
    assert HonestWorld.largest > 1  # what is drawn depends on what else was imported
