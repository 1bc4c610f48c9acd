"""A desk to try the sandbox from: a world, a clock that is moved by hand, and both addresses without a network."""

import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops.sandbox.face import API_KEY, TOKEN, Sandbox
from ops.sandbox.mirakl import conformity
from ops.sandbox.mirakl.contract import Contract
from ops.sandbox.plan import Plan
from ops.sandbox.shopify.state import Level, Order, Shop, number_of
from ops.sandbox.wire import Reply, Request
from ops.sandbox.world import World

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
GBP = "GBP"

ORDER_FIELDS = """
  id name createdAt updatedAt processedAt cancelledAt tags sourceIdentifier displayFinancialStatus displayFulfillmentStatus
  marketplaceOrderId: metafield(namespace: "$app", key: "mirakl_order_id") { value }
  totalPriceSet { shopMoney { amount currencyCode } } totalTaxSet { shopMoney { amount } }
  lineItems(first: 50) { nodes { id sku quantity requiresShipping unfulfilledQuantity customAttributes { key value } } }
"""
CREATE = f"""mutation OrderCreate($order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput) {{
  orderCreate(order: $order, options: $options) {{ order {{ {ORDER_FIELDS} }} userErrors {{ code field message }} }} }}"""
LOOK_UP = f"""query OrderByMarketplaceId($value: String!) {{
  orderByIdentifier(identifier: {{ customId: {{ namespace: "$app", key: "mirakl_order_id", value: $value }} }}) {{ {ORDER_FIELDS} }} }}"""
SEARCH = """query OrdersSearch($query: String!) { orders(first: 10, query: $query, sortKey: UPDATED_AT) { nodes { id name updatedAt } } }"""
READ = f"query OrderGet($id: ID!) {{ order(id: $id) {{ {ORDER_FIELDS} fulfillmentOrders(first: 5) {{ nodes {{ id status \
  lineItems(first: 9) {{ nodes {{ id remainingQuantity }} }} }} }} }} }}"
DEFINE = """mutation Define($definition: MetafieldDefinitionInput!) { metafieldDefinitionCreate(definition: $definition) {
  createdDefinition { namespace key type { name } capabilities { uniqueValues { enabled } } } userErrors { code field message } } }"""
FULFIL = """mutation FulfillmentCreate($fulfillment: FulfillmentInput!) { fulfillmentCreate(fulfillment: $fulfillment) {
  fulfillment { id status trackingInfo(first: 5) { company number url } } userErrors { field message } } }"""
SUBSCRIBE = """mutation Subscribe($topic: WebhookSubscriptionTopic!, $subscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $subscription) {
    webhookSubscription { id topic uri } userErrors { field message } } }"""
SET = """mutation Set($input: InventorySetQuantitiesInput!, $key: String!) { inventorySetQuantities(input: $input) @idempotent(key: $key) {
  inventoryAdjustmentGroup { id changes { name delta quantityAfterChange } } userErrors { code field message } } }"""

DEFINITION = {"name": "Mirakl order id", "namespace": "$app", "key": "mirakl_order_id", "ownerType": "ORDER", "type": "id"}


PUBLISHED = os.environ.get("CROSSDOCK_CONTRACTS", "")  # a folder with the full documents, which are not part of the project


@functools.cache
def published() -> Contract:
    return Contract(Path(PUBLISHED, "mirakl-seller.openapi.json").read_text())


def _part(name: str, file: str | None, content: bytes) -> bytes:
    named = f'; filename="{file}"' if file is not None else ""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"


def _query(query: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            yield name, str(one).lower() if isinstance(one, bool) else str(one)


class HandClock:
    """Time stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody moves this clock while somebody sleeps")

    def loop_seconds(self, seconds: float) -> float:
        return seconds


class Desk:
    def __init__(self, plan: Plan | None = None, seed: int = 1, journal: Path | None = None) -> None:
        plan = plan or Plan(skus=6, offers_open="at_stock")
        self.clock = HandClock()
        self.world = World.open(journal, plan, seed, START) if journal else World(plan, seed, START)
        self.sandbox = Sandbox(self.world, self.clock)

    def close(self) -> None:
        self.world.close()

    @property
    def shop(self) -> Shop:
        return self.world.shop

    def later(self, seconds: float = 0.0, *, hours: float = 0.0) -> None:
        self.clock.at += timedelta(seconds=seconds, hours=hours)
        self.world.advance(self.clock.at)

    # -------------------------------------------------------------------------------------------------------- Shopify

    def post(self, body: Any, *, version: str = "2026-10", token: str = TOKEN) -> Reply:
        path = f"/admin/api/{version}/graphql.json"
        headers = {"x-shopify-access-token": token, "content-type": "application/json"}
        return self.sandbox.shopify(Request("POST", path, headers=headers, body=json.dumps(body).encode()))

    def graph(self, query: str, /, **variables: Any) -> dict[str, Any]:
        reply = self.post({"query": query, "variables": variables})
        assert reply.status == 200
        answer: dict[str, Any] = json.loads(reply.body)
        return answer

    def data(self, query: str, /, **variables: Any) -> Any:
        """What the one field of the document answered."""
        answer = self.graph(query, **variables)
        assert "errors" not in answer, answer["errors"]
        [field] = answer["data"].values()
        return field

    def variant(self, n: int = 0) -> str:
        return f"gid://shopify/ProductVariant/{list(self.shop.variants)[n]}"

    def sku(self, n: int = 0) -> str:
        return list(self.shop.variants.values())[n].sku or ""

    def levels(self, n: int = 0) -> list[Level]:
        return list(self.shop.levels[list(self.shop.variants.values())[n].item_id].values())

    def available(self, n: int = 0) -> int:
        return sum(level.available for level in self.levels(n))

    def create(self, options: Mapping[str, Any] | None = None, **order: Any) -> dict[str, Any]:
        """orderCreate, answered as payload. Claims stock unless told otherwise."""
        answer: dict[str, Any] = self.data(
            CREATE,
            order=an_order(self.variant(), **order),
            options={"inventoryBehaviour": "DECREMENT_IGNORING_POLICY"} if options is None else options,
        )
        return answer

    def created(self, **order: Any) -> Order:
        made = self.create(**order)
        assert made["userErrors"] == []
        return self.shop.orders[number_of(made["order"]["id"], "Order")]

    # --------------------------------------------------------------------------------------------------------- Mirakl

    def mirakl(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = API_KEY,
        csv: str | None = None,
        form: Sequence[tuple[str, str | None, bytes]] = (),
        **query: Any,
    ) -> Reply:
        """`form`: its parts, each with its name, its file's name if it is one, and its content. A list in the query is given several times.

        Every answer is held against the contract, and against the published one too where it is there.
        """
        headers, raw = {"authorization": key}, b""
        if csv is not None:
            form = [("file", "s.csv", csv.encode())]
        if form:
            headers["content-type"] = "multipart/form-data; boundary=x"
            raw = b"".join(_part(*part) for part in form) + b"--x--\r\n"
        elif body is not None:
            headers["content-type"] = "application/json"
            raw = json.dumps(body).encode()
        asked = Request(method, path, tuple(_query(query)), headers, raw)
        reply = self.sandbox.mirakl(asked)
        if key == API_KEY and reply.status < 400:
            for contract in (self.sandbox.api.contract, *([published()] if PUBLISHED else [])):
                problems = conformity.problems(contract, asked, reply)
                assert not problems, problems[:5]
        return reply

    def asked(self, path: str, **query: Any) -> Any:
        reply = self.mirakl("GET", path, **query)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def bought(self, sku: str | None = None, quantity: int = 1) -> str:
        order = self.world.buy(self.clock.at, sku=sku, quantity=quantity)
        assert isinstance(order, str)
        return order

    def accept(self, order_id: str, accepted: bool = True) -> Reply:
        lines = [{"id": line.id, "accepted": accepted} for line in self.world.account.orders[order_id].lines]
        return self.mirakl("PUT", f"/api/orders/{order_id}/accept", {"order_lines": lines})

    def shippable(self) -> str:
        """A marketplace order that waits to be shipped."""
        order = self.bought()
        assert self.accept(order).status == 204
        self.later(120)
        return order


def an_order(variant: str, **changed: Any) -> dict[str, Any]:
    """A good orderCreate input of one line, two units of 24.00, tax included."""
    money = {"shopMoney": {"amount": "24.00", "currencyCode": GBP}}
    line = {"variantId": variant, "quantity": 2, "requiresShipping": True, "priceSet": money}
    return {"currency": GBP, "taxesIncluded": True, "lineItems": [line]} | changed


def line(desk: Desk, n: int = 0, **changed: Any) -> dict[str, Any]:
    """A line of an orderCreate input."""
    made: dict[str, Any] = an_order(desk.variant(n))["lineItems"][0] | changed
    return made


def money(amount: str, currency: str = GBP) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def marketplace_id(value: str) -> list[dict[str, str]]:
    return [{"namespace": "$app", "key": "mirakl_order_id", "type": "id", "value": value}]
