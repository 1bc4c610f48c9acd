"""A shop in the middle of its trade: its website sells, its warehouse ships, an app created orders and cancelled one."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.sandbox.face import TOKEN, Sandbox
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.shopify.fields.nodes import KINDS
from ops.sandbox.shopify.state import Switches, gid
from ops.sandbox.wire import Request
from ops.sandbox.world import World
from tests.loopback import StillClock

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
KEPT = 12  # ids of one kind: enough to be met, few enough to be met again


class _Sandbox(Sandbox):
    """Notices when something is changed."""

    changed = False

    def apply(self, op: str, arguments: dict[str, Any]) -> Any:
        self.changed = True
        return super().apply(op, arguments)


class Shopkeeping:
    """Every document meets the same shop: what one changed is taken back before the next."""

    def __init__(self) -> None:
        plan = Plan(
            skus=6,
            offers_open="at_stock",
            marketplace_orders=12,
            d2c_share=0.7,
            buyer_gap=900.0,
            awkward_catalogue=True,
            warehouse=Warehouse(partial=0.3, late_tracking=0.2),
            shopify=Switches(bucket=1e9),
        )
        clock = StillClock(START)
        self.sandbox = _Sandbox(World(plan, 7, START), clock)
        clock.time += timedelta(hours=12)
        self.sandbox.truth()
        self._as_it_was = copy.deepcopy(self.sandbox.world)

    def ask(self, query: Any, variables: Any = None) -> Any:
        """The answer, which comes with 200 whatever is wrong with the document."""
        if self.sandbox.changed:
            self.sandbox.world, self.sandbox.changed = copy.deepcopy(self._as_it_was), False
        body = json.dumps({"query": query, "variables": variables}).encode()
        reply = self.sandbox.shopify(Request("POST", "/admin/api/2026-10/graphql.json", (), {"x-shopify-access-token": TOKEN}, body))
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def ids(self) -> list[str]:
        shop = self.sandbox.world.shop
        return [gid(kind, number) for kind, (_, things) in KINDS.items() for number in list(things(shop))[:KEPT]]
