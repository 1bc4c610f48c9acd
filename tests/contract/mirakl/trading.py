"""A seller account in the middle of its trade: orders in every state, files imported, something to be found under most names."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ops.sandbox.plan import Plan
from ops.sandbox.systems import API_KEY
from ops.sandbox.wire import Request
from tests.contract.forgetful import Forgetful

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
KEPT = 12  # values of one name: enough to be met, few enough to be met again
STOCK_FILE = b"offer-sku;quantity;update-delete\r\nHT-1000-S;5;\r\nnone-of-ours;1;\r\n"


class Trading(Forgetful):
    def __init__(self) -> None:
        super().__init__(Plan(skus=8, offers_open="at_stock", marketplace_orders=24, d2c_share=0.1, buyer_gap=600.0), START)
        self._trade()
        self.keep()

    def get(self, path: str, **query: str) -> Any:
        reply = self.ask("mirakl", Request("GET", path, tuple(query.items()), {"authorization": API_KEY}))
        return json.loads(reply.body) if reply.status == 200 and reply.kind.startswith("application/json") and reply.body else None

    def _send(self, method: str, path: str, body: Any, kind: str = "application/json") -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.ask("mirakl", Request(method, path, (), {"authorization": API_KEY, "content-type": kind}, raw))

    def _trade(self) -> None:
        """Three days: most orders are accepted, some shipped and received, one refused, the latest wait; two stock files come."""
        account = self.world.account
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n\r\n%b\r\n--b--\r\n' % STOCK_FILE
        for hour in range(2, 72, 2):
            self.pass_time(hours=2)
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
        found: dict[str, list[Any]] = {"import_id": list(self.world.account.imports)}
        contract = self.systems.api.contract
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
