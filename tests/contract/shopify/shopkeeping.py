"""A shop in the middle of its trade: its website sells, its warehouse ships, an app created orders and cancelled one."""

import json
from datetime import UTC, datetime
from typing import Any

from ops.sandbox.plan import Awkward, Plan, Warehouse
from ops.sandbox.shopify.fields.nodes import KINDS
from ops.sandbox.shopify.state import Switches, gid
from ops.sandbox.systems import TOKEN
from ops.sandbox.wire import Request
from tests.contract.forgetful import Forgetful

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
KEPT = 12  # ids of one kind: enough to be met, few enough to be met again


class Shopkeeping(Forgetful):
    def __init__(self) -> None:
        plan = Plan(
            skus=6,
            offers_open="at_stock",
            marketplace_orders=12,
            d2c_share=0.7,
            buyer_gap=900.0,
            awkward=Awkward(shared=1, nameless=1, untracked=1, negative=1, archived=1),
            warehouse=Warehouse(partial=0.3, late_tracking=0.2),
            shopify=Switches(bucket=1e9),
        )
        super().__init__(plan, START)
        self.pass_time(hours=12)
        self.keep()

    def answer(self, query: Any, variables: Any = None) -> Any:
        """The answer, which comes with 200 whatever is wrong with the document."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        reply = self.ask("shopify", Request("POST", "/admin/api/2026-10/graphql.json", (), {"x-shopify-access-token": TOKEN}, body))
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def ids(self) -> list[str]:
        shop = self.world.shop
        return [gid(kind, number) for kind, (_, things) in KINDS.items() for number in list(things(shop))[:KEPT]]
