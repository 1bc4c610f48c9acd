"""Whatever sellers, customers and the operator do in whatever order: what is sold, shipped, cancelled and paid back fits together.

Fifty worlds, each with switches of its own, in each of which anybody does anything; the seed of a world is the test's own number.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest

from ops.sandbox.chance import choose
from ops.sandbox.journal import read
from ops.sandbox.mirakl.orders import WAY
from ops.sandbox.mirakl.sale import Line, Order, Tax
from ops.sandbox.mirakl.state import Account
from ops.sandbox.wire import RefusalError
from ops.sandbox.world import World
from tests.unit.sandbox.market import Market

T = TypeVar("T")
WORLDS, STEPS = 50, 60
FIXED: dict[str, Any] = {"partial_cancelation": "open", "returns": True, "close_hours": 48.0, "receive_hours": 24.0}
SWITCHES: dict[str, Sequence[Any]] = {
    "multi_shipment": (True, False),
    "payment_workflow": (
        *("PAY_ON_ACCEPTANCE", "PAY_ON_SHIPMENT", "PAY_ON_DELIVERY", "PAY_ON_DUE_DATE", "NO_CUSTOMER_PAYMENT_CONFIRMATION"),
        *("PAY_ON_ACCEPTANCE", "PAY_ON_SHIPMENT"),
    ),
    "acceptance": ("AUTOMATIC", "NOT_AUTOMATIC", "BOTH"),
    "tax_mode": ("TAX_INCLUDED", "TAX_EXCLUDED"),
    "tax_rule": ("NONE", "PROPORTIONAL_TO_AMOUNT"),
    "missing_refund_taxes": ("refused", "not_refunded"),
    "excluded_units": ("line_closed", "line_refunded", "ignored"),
    "cancelled_keeps_prices": (True, False),
    "prepared_until_debited": (True, False),
    "quantity_falls": ("creation", "acceptance", "never"),
    "quantity_returns": (True, False),
    "quantity_returns_on_refund": (True, False),
    "refund_after_closed": (True, False),
    "reception_refunds": (True, False),
    "debits_refused": (0.0, 0.0, 0.3),
    "staging_seconds": (0.0, 0.0, 600.0),
    "other_centres": (0.0, 0.0, 0.2),
    "fees": (0.0, 0.7),
    "several_taxes": (0.0, 0.5),
    "promotions": (0.0, 0.5),
    "split_orders": (0.0, 0.5),
    "incident_holds": (True, False),
}
MODES = ("TAX_INCLUDED", "TAX_EXCLUDED")


class Lives:
    """Everybody does what they like; what is refused is refused, and changes nothing."""

    seen: ClassVar[set[str]] = set()  # what any world has come to

    def __init__(self, seed: int, journal: Path | None = None) -> None:
        self.seed, self.drawn = seed, 0
        self.market = Market(seed=seed, journal=journal, **FIXED, **{name: self.any(options) for name, options in SWITCHES.items()})
        self.furthest: dict[str, int] = {}
        self.sold: dict[str, tuple[int, int]] = {}
        self.offered = sum(offer.quantity for offer in self.account.offers.values())
        self.buys()

    def any(self, options: Sequence[T]) -> T:
        self.drawn += 1
        return choose(self.seed, options, "life", self.drawn)

    @property
    def account(self) -> Account:
        account: Account = self.market.account
        return account

    def does(self, operation: str, **arguments: Any) -> None:
        before = self._all()
        try:
            self.market.does(operation, **arguments)
            self.seen.add(operation)
        except RefusalError:
            assert self._all() == before, f"{operation} was refused, and changed something"

    def _all(self) -> bytes:
        account = self.account
        return msgspec.json.encode((account.orders, account.offers, account.shipments, account.returns, account.finance))

    def order(self) -> Order:
        return self.any(list(self.account.orders.values())[-4:])

    def line(self) -> Line:
        """A line of one of the last orders, once that has gone some steps of the usual way."""
        order = self.order()
        for _ in range(0 if order.hidden else self.any((0, 0, 1, 2, 3, 4))):
            match order.state:
                case "WAITING_ACCEPTANCE" if order.ours:
                    self.does("OR21", order_id=order.id, decisions=[{"id": line.id, "accepted": True} for line in order.lines])
                case "SHIPPING":
                    self.does("operator_ship", order_id=order.id)
                case "SHIPPED":
                    self.does("customer_receives", order_id=order.id)
                case _:
                    self.market.later(700 if order.state == "STAGING" else 70)
        return self.any(order.lines)

    # ------------------------------------------------------------------------------------------------------ what anybody does

    def step(self) -> None:
        self.any(
            (
                *(self.buys, self.waits, self.decides, self.decides, self.acts, self.acts, self.sends, self.sends, self.handles_a_parcel),
                *(self.refunds, self.refunds, self.cancels_a_part, self.cancels_a_part, self.operator_refunds, self.operator_cancels),
                *(self.complains, self.resolves, self.sends_back, self.handles_a_return, self.disappears),
            )
        )()

    def buys(self) -> None:
        basket = [(n, self.any((1, 1, 2, 3))) for n in range(self.any((1, 2, 3)))]
        order = self.market.order(self.market.placed(*basket, shipping_prices=[300, 120], tax_rates=["20", "5"]))
        for number in self.account.book.by_commercial_id[order.commercial_id]:
            for line in self.account.orders[number].lines:
                self.sold[line.id] = line.quantity, line.total

    def waits(self) -> None:
        self.market.later(self.any((10, 70, 70, 700, 3600 * 13, 3600 * 30, 3600 * 60, 3600 * 24 * 31)))

    def decides(self) -> None:
        order, refused = self.order(), self.any((0, 1, 9, 9, 9))
        decisions = [{"id": line.id, "accepted": n != refused} for n, line in enumerate(order.lines)]
        self.does("OR21", order_id=order.id, decisions=decisions)
        self.market.later(70)

    def acts(self) -> None:
        how = self.any(
            (
                *("OR24", "OR24", "OR29", "customer_cancel", "operator_cancel", "refuse_debit", "confirm_debit"),
                *("release_staging", "refuse_staging", "operator_ship", "operator_receive", "operator_close"),
            )
        )
        self.does(how, order_id=self.order().id)

    def sends(self) -> None:
        line = self.line()
        lines = [{"order_line_id": line.id, "quantity": self.any((1, 1, 2, 3))}]
        wanted = {"order_id": self.account.book.of_line[line.id], "shipped": self.any((True, False)), "shipment_lines": lines}
        self.does("ST01", shipments=[wanted])

    def handles_a_parcel(self) -> None:
        if parcels := list(self.account.shipments)[-4:]:
            self.does(self.any(("ST24", "ST24", "ST06")), shipments=[{"id": self.any(parcels)}])

    def part(self, line: Line, mode: str) -> dict[str, Any]:
        """Some of a line, taxes and fees in proportion."""
        share = self.any((0.1, 0.34, 0.5, 1.0, 1.0, 1.2))

        def text(amount: int) -> str:
            return f"{int(amount * share) / 100:.2f}"

        def without(amount: int, taxes: list[Tax]) -> int:
            return amount - sum(tax.amount for tax in taxes) * (mode == "TAX_EXCLUDED")

        return {
            "order_line_id": line.id,
            "amount": text(without(line.price, line.taxes)),
            "shipping_amount": text(without(line.shipping_price, line.shipping_taxes)),
            "taxes": [{"code": tax.code, "amount": text(tax.amount)} for tax in line.taxes],
            "shipping_taxes": [{"code": tax.code, "amount": text(tax.amount)} for tax in line.shipping_taxes],
            "fees": [{"code": fee.code, "amount": text(fee.amount)} for fee in line.fees],
        }

    def refunds(self) -> None:
        mode, (units, excluded) = self.any(MODES), self.any(((0, False), (0, False), (1, True), (2, True)))
        wanted = self.part(self.line(), mode) | {"reason_code": "15", "quantity": units, "excluded_from_shipment": excluded}
        self.does("OR28", refunds=[wanted] * self.any((1, 1, 2)), order_tax_mode=mode)

    def cancels_a_part(self) -> None:
        mode, line = self.any(MODES), self.line()
        wanted = self.part(line, mode) | {"reason_code": "30", "quantity": self.any((0, 1, line.quantity))}
        self.does("OR30", cancelations=[wanted], order_tax_mode=mode)

    def operator_refunds(self) -> None:
        self.does("operator_refund", order_line_id=self.line().id, share=self.any((0.0, 0.3, 1.0)), shipping=self.any((True, False)))

    def operator_cancels(self) -> None:
        self.does("operator_cancel_line", order_line_id=self.line().id, quantity=self.any((None, 1, 2)))

    def complains(self) -> None:
        self.does("open_incident", order_line_id=self.line().id)

    def resolves(self) -> None:
        there = [(order.id, line.id) for order in self.account.orders.values() for line in order.lines if line.incident]
        order, line = self.any(there or [("nobody", "nobody")])
        self.does("OR64", order_id=order, line_id=line, reason_code="51")

    def sends_back(self) -> None:
        line = self.line()
        order = self.account.orders[self.account.book.of_line[line.id]]
        back = [{"order_line_id": line.id, "quantity": self.any((1, 2)), "reason_code": "RETURN_CHANGED_MIND"}]
        wanted = {"order_commercial_id": order.commercial_id, "method_code": "RETURN_METHOD_BY_MAIL", "accepted": True}
        self.does("request_return", returns=[wanted | {"return_lines": back}])

    def handles_a_return(self) -> None:
        if returns := list(self.account.returns)[-3:]:
            self.does(self.any(("RT25", "RT27", "RT29")), returns=[{"id": self.any(returns)}])

    def disappears(self) -> None:
        self.does("hide", order_id=self.order().id, hidden=self.any((True, False, False)))

    # --------------------------------------------------------------------------------------------------------- what must hold

    def all_holds(self, *, read: bool) -> None:
        self.units_fit_together()
        self.nobody_gets_back_more_than_was_paid()
        self.lines_only_go_forward_and_orders_sum_them_up()
        self.indexes_know_every_order()
        self.no_unit_is_offered_twice()
        if read:
            self.what_is_answered_adds_up()

    def units_fit_together(self) -> None:
        for order in self.account.orders.values():
            self.seen.add(order.state)
            for line in order.lines:
                ordered, total = self.sold[line.id]
                assert ordered == line.quantity + sum(one.quantity for one in line.cancelations)
                assert line.quantity >= 0 and min(line.shipped, line.prepared, line.excluded, line.to_ship) >= 0
                assert line.shipped <= line.quantity, "shipped ≤ ordered − cancelled"
                packed = sum(self.account.shipments[number].units.get(line.id, 0) for number in self._waiting(order))
                assert line.prepared == packed
                assert total == line.total + sum(one.total for one in line.cancelations)

    def _waiting(self, order: Order) -> list[str]:
        waiting = ("SHIPPING", "READY_FOR_PICK_UP", "SHIPMENT_PREPARED")
        return [number for number in order.shipments if self.account.shipments[number].state in waiting]

    def nobody_gets_back_more_than_was_paid(self) -> None:
        for order in self.account.orders.values():
            back = sum(refund.total for line in order.lines for refund in line.refunds)
            if order.workflow != "NO_CUSTOMER_PAYMENT_CONFIRMATION":
                assert back <= order.paid
            for line in order.lines:
                assert sum(refund.amount for refund in line.refunds) <= line.price
                assert sum(refund.shipping_amount for refund in line.refunds) <= line.shipping_price
                assert sum(refund.quantity for refund in line.refunds) <= line.quantity or any(one.excluded for one in line.refunds)
                for tax in line.taxes:
                    assert 0 <= sum(t.amount for refund in line.refunds for t in refund.taxes if t.code == tax.code) <= tax.amount

    def lines_only_go_forward_and_orders_sum_them_up(self) -> None:
        for order in self.account.orders.values():
            for line in order.lines:
                way = len(WAY) if not line.alive else WAY.index(line.state)
                assert way >= self.furthest.get(line.id, 0), f"{line.state} after {self.furthest[line.id]}"
                self.furthest[line.id] = way
            alive = [WAY.index(line.state) for line in order.lines if line.alive]
            assert (
                order.state == ("CLOSED" if WAY[min(alive)] == "REFUNDED" else WAY[min(alive)])
                if alive
                else order.state in ("REFUSED", "CANCELED")
            )

    def indexes_know_every_order(self) -> None:
        book, orders = self.account.book, [order for order in self.account.orders.values() if not order.hidden]
        assert book.shown == [order.number for order in orders]
        assert {state: numbers for state, numbers in book.by_state.items() if numbers} == {
            state: [order.number for order in orders if order.state == state] for state in {order.state for order in orders}
        }
        assert book.by_update == sorted((order.updated_at, order.number) for order in orders)
        assert book.debited == [order.number for order in self.account.orders.values() if order.debited_at]
        assert book.in_trouble == [o.number for o in self.account.orders.values() if any(line.incident for line in o.lines)]

    def no_unit_is_offered_twice(self) -> None:
        offered = sum(offer.quantity for offer in self.account.offers.values())
        lowered = sum(line.lowered for order in self.account.orders.values() for line in order.lines)
        assert offered + lowered <= self.offered and all(line.lowered >= 0 for o in self.account.orders.values() for line in o.lines)

    def what_is_answered_adds_up(self) -> None:
        """I2 to I5, I7 and I8, as it is read, in both tax modes; every answer fits the contract as well."""
        for mode in ("TAX_INCLUDED", "TAX_EXCLUDED"):
            reply = self.market.mirakl("GET", "/api/orders", order_tax_mode=mode, order="desc", max=4)
            for order in json.loads(reply.body, parse_float=lambda text: round(float(text) * 100) / 100)["orders"]:
                for line in order["order_lines"]:
                    _adds_up(line, mode)
                for name in ("price", "shipping_price", "total_price", "total_commission"):
                    assert abs(order[name] - sum(line[name] for line in order["order_lines"])) < 0.001


def _adds_up(line: dict[str, Any], mode: str) -> None:
    fees, tax = sum(fee["amount"] for fee in line["fees"]), line["commission_taxes"][0]["amount"]
    assert abs(line["total_price"] - line["price"] - line["shipping_price"] - fees) < 0.001
    assert abs(line["total_commission"] - line["commission_fee"] - tax) < 0.001 and abs(tax - line["commission_fee"] * 0.2) < 0.0051
    if mode == "TAX_INCLUDED":
        assert abs(line["commission_fee"] - (line["price"] + line["shipping_price"]) * 0.2) < 0.0051, "of what is left"
    for given in [*line["refunds"], *line["cancelations"]]:
        assert abs(given["commission_total_amount"] - given["commission_amount"] - given["commission_taxes"][0]["amount"]) < 0.001
    for amount, taxes, of_line, all_taxes in (
        ("amount", "taxes", "price", "taxes"),
        ("shipping_amount", "shipping_taxes", "shipping_price", "shipping_taxes"),
    ):
        back = sum(refund[amount] for refund in line["refunds"])
        tax_back = sum(tax["amount"] for refund in line["refunds"] for tax in refund[taxes])
        paid_tax = sum(tax["amount"] for tax in line[all_taxes])
        with_tax = mode == "TAX_EXCLUDED"
        assert back + tax_back * with_tax <= line[of_line] + paid_tax * with_tax + 0.001 and tax_back <= paid_tax + 0.001
        assert line[of_line] >= 0 and paid_tax >= 0


@pytest.mark.parametrize("seed", range(WORLDS))
def test_whatever_happens_it_fits_together(seed: int) -> None:
    lives = Lives(seed)
    for n in range(STEPS):
        lives.step()
        lives.all_holds(read=n % 5 == 0)


@pytest.mark.parametrize("seed", range(0, WORLDS, 10))
def test_and_comes_back_from_its_journal(seed: int, tmp_path: Path) -> None:
    lives = Lives(seed, tmp_path / "journal")
    for _ in range(STEPS):
        lives.step()
    lives.market.close()
    assert World.rebuilt(read(tmp_path / "journal")).snapshot() == lives.market.world.snapshot()


def test_and_the_worlds_have_seen_all_of_it() -> None:
    """A law about what never happens says nothing. Runs after the others, or runs them."""
    for seed in range(WORLDS if len(Lives.seen) < 25 else 0):
        test_whatever_happens_it_fits_together(seed)
    assert {"SHIPPING", "SHIPPED", "RECEIVED", "CLOSED", "CANCELED", "REFUSED"} <= Lives.seen
    assert {"OR28", "OR29", "OR30", "OR64", "ST01", "ST06", "ST24", "RT25", "RT29", "request_return", "hide"} <= Lives.seen
    assert {"operator_refund", "operator_cancel", "operator_cancel_line", "customer_cancel", "confirm_debit", "refuse_debit"} <= Lives.seen
