"""A seller account in the middle of its trade: orders in every state, files imported, something to be found under most names."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.sandbox.face import API_KEY, Sandbox
from ops.sandbox.plan import Plan
from ops.sandbox.wire import Reply, Request
from ops.sandbox.world import World
from tests.loopback import StillClock

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
KEPT = 12  # values of one name: enough to be met, few enough to be met again
STOCK_FILE = b"offer-sku;quantity;update-delete\r\nHT-1000-S;5;\r\nnone-of-ours;1;\r\n"


class _Sandbox(Sandbox):
    """Notices when something is changed."""

    changed = False

    def apply(self, op: str, arguments: dict[str, Any]) -> Any:
        self.changed |= op != "mirakl.called"
        return super().apply(op, arguments)


class Trading:
    """Every request meets the same world: what one changed is taken back before the next."""

    def __init__(self) -> None:
        plan = Plan(skus=8, offers_open="at_stock", marketplace_orders=24, d2c_share=0.1, buyer_gap=600.0)
        self._clock = StillClock(START)
        self.sandbox = _Sandbox(World(plan, 7, START), self._clock)
        self._trade()
        self._as_it_was = copy.deepcopy(self.sandbox.world)

    def ask(self, request: Request) -> Reply:
        if self.sandbox.changed:
            self.sandbox.world, self.sandbox.changed = copy.deepcopy(self._as_it_was), False
        return self.sandbox.mirakl(request)

    def get(self, path: str, **query: str) -> Any:
        reply = self.sandbox.mirakl(Request("GET", path, tuple(query.items()), {"authorization": API_KEY}))
        return json.loads(reply.body) if reply.status == 200 and reply.kind.startswith("application/json") and reply.body else None

    def _send(self, method: str, path: str, body: Any, kind: str = "application/json") -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.sandbox.mirakl(Request(method, path, (), {"authorization": API_KEY, "content-type": kind}, raw))

    def _trade(self) -> None:
        """Three days: most orders are accepted, some shipped and received, one refused, the latest wait; two stock files come."""
        account = self.sandbox.world.account
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n\r\n%b\r\n--b--\r\n' % STOCK_FILE
        for hour in range(0, 72, 2):
            self._clock.time = START + timedelta(hours=hour)
            self.get("/api/version")
            for order in list(account.orders.values()):
                if order.state == "WAITING_ACCEPTANCE" and order.number % 5 and order.number <= 20:
                    decisions = [{"id": line.id, "accepted": order.number != 3} for line in order.lines]
                    self._send("PUT", f"/api/orders/{order.id}/accept", {"order_lines": decisions})
                if order.state == "SHIPPING" and order.number % 3:
                    self._send("PUT", f"/api/orders/{order.id}/tracking", {"carrier_code": "RM", "tracking_number": f"T{order.number}"})
                    self._send("PUT", f"/api/orders/{order.id}/ship", None)
            if hour in (10, 20):
                self._send("POST", "/api/offers/stock/imports", form, "multipart/form-data; boundary=b")

    def known(self) -> dict[str, list[Any]]:
        """What the account's own answers show, by the names under which they show it."""
        found: dict[str, list[Any]] = {"import_id": list(self.sandbox.world.account.imports)}
        contract = self.sandbox.api.contract
        for path, methods in contract.document["paths"].items():
            if "get" in methods and "{" not in path:
                for name, value in _named(self.get(path, max="100", limit="100")):
                    there = found.setdefault(name, [])
                    if len(there) < KEPT and value not in there:
                        there.append(value)
        return found


def _named(node: Any) -> Iterator[tuple[str, Any]]:
    """Every text and number in an answer, with its name."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield key, value
        yield from _named(value)
    for value in node if isinstance(node, list) else ():
        yield from _named(value)
