"""A marketplace desk: orders brought to any state, and each of a seller's calls on them."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from ops.sandbox.mirakl.sale import Line, Order
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.people import person
from ops.sandbox.plan import Plan
from ops.sandbox.wire import Reply
from tests.unit.sandbox.desk import Desk


class Market(Desk):
    def __init__(self, seed: int = 1, journal: Path | None = None, **switches: Any) -> None:
        plan = Plan(skus=6, offers_open="at_stock", least_stock=500, most_stock=600, mirakl=Switches(**switches))
        super().__init__(plan, seed=seed, journal=journal)
        self.buyers = 0

    @property
    def account(self) -> Any:
        return self.world.account

    def does(self, operation: str, **arguments: Any) -> Any:
        """What a customer or the operator does, or a seller without a network."""
        return self.world.apply(f"mirakl.{operation}", arguments, self.clock.at)

    def placed(self, *lines: tuple[int, int], **options: Any) -> str:
        """An order of these offers, each its place in the catalogue and its units; two of the first and one of the second."""
        self.buyers += 1
        basket = [(self.sku(n), units) for n, units in lines or ((0, 2), (1, 1))]
        buyer = msgspec.to_builtins(person(1, self.buyers))
        plain = {"tax_rates": ["20"], "shipping_prices": [300, 0], "shipping_type": "STD"}
        order: str = self.does("place", lines=basket, buyer=buyer, options=plain | options)
        return order

    def order(self, order_id: str) -> Order:
        found: Order = self.account.orders[order_id]
        return found

    def line(self, order_id: str, n: int = 0) -> Line:
        return self.order(order_id).lines[n]

    def to_ship(self, *lines: tuple[int, int], **options: Any) -> str:
        """An order that is accepted and waits to be shipped; debited where its workflow does that first."""
        order = self.placed(*lines, **options)
        if self.order(order).state == "WAITING_ACCEPTANCE":
            assert self.accept(order).status == 204
        self.later(61)
        assert self.order(order).state == "SHIPPING"
        return order

    def gone(self, *lines: tuple[int, int], **options: Any) -> str:
        order = self.to_ship(*lines, **options)
        assert self.ship(order).status == 204
        return order

    def arrived(self, *lines: tuple[int, int], **options: Any) -> str:
        order = self.gone(*lines, **options)
        self.does("customer_receives", order_id=order)
        return order

    def shown(self, order_id: str, **query: Any) -> dict[str, Any]:
        [found] = self.asked("/api/orders", order_ids=order_id, **query)["orders"]
        told: dict[str, Any] = found
        return told

    def until(self, **later: float) -> None:
        self.later(timedelta(**later).total_seconds())

    # ---------------------------------------------------------------------------------------------------- the seller's calls

    def track(self, order_id: str) -> Reply:
        return self.mirakl("PUT", f"/api/orders/{order_id}/tracking", {"carrier_code": "RM", "tracking_number": "AB1"})

    def ship(self, order_id: str) -> Reply:
        return self.mirakl("PUT", f"/api/orders/{order_id}/ship")

    def cancel(self, order_id: str) -> Reply:
        return self.mirakl("PUT", f"/api/orders/{order_id}/cancel")

    def cancel_part(self, order_id: str, amount: float, quantity: int = 1, n: int = 0, **more: Any) -> Reply:
        wanted = self._part(order_id, amount, n, "30") | {"quantity": quantity} | more
        return self.mirakl("PUT", "/api/orders/cancel", {"cancelations": [wanted]})

    def refund(self, order_id: str, amount: float = 1.0, n: int = 0, mode: str | None = None, **more: Any) -> Reply:
        body = {"refunds": [self._part(order_id, amount, n, "15") | more]} | ({"order_tax_mode": mode} if mode else {})
        return self.mirakl("PUT", "/api/orders/refund", body)

    def _part(self, order_id: str, amount: float, n: int, reason: str) -> dict[str, Any]:
        return {"order_line_id": self.line(order_id, n).id, "amount": amount, "shipping_amount": 0, "reason_code": reason}

    def send(self, order_id: str, units: Mapping[int, int] | None = None, **more: Any) -> dict[str, Any]:
        """ST01 of one parcel: units by the line's place, or all that there is to ship."""
        lines = self.order(order_id).lines
        units = {n: line.to_ship for n, line in enumerate(lines) if line.to_ship} if units is None else units
        wanted = {
            "order_id": order_id,
            "shipped": True,
            "shipment_lines": [{"order_line_id": lines[n].id, "quantity": quantity} for n, quantity in units.items()],
            "tracking": {"carrier_code": "RM", "tracking_number": "AB1"},
        }
        reply = self.mirakl("POST", "/api/shipments", {"shipments": [wanted | more]})
        assert reply.status == 201
        told: dict[str, Any] = json.loads(reply.body)
        return told


def told(reply: Reply, status: int = 200) -> Any:
    assert reply.status == status, reply.body
    return json.loads(reply.body)


def message(reply: Reply, status: int = 400) -> str:
    return str(told(reply, status)["message"])
