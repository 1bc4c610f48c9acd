"""Many small worlds in memory, each with its own faults and a simple client: is every class of faults met, is a seed one world only?"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ops.sandbox.chance import choose, happens, whole
from ops.sandbox.faults import KINDS
from ops.sandbox.plan import Awkward, Merchandise, Operator, Plan, Service, Warehouse
from ops.sandbox.referee.rules import judge
from ops.sandbox.systems import API_KEY, TOKEN, Systems
from ops.sandbox.truth import truth
from ops.sandbox.wire import Reply, Request
from ops.sandbox.world import World

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
ROUNDS = 30  # of the client, one a ROUND
ROUND = 120.0  # seconds
SHARE = 0.2  # of the classes, in one world
RATES = (0.005, 0.02, 0.06)
RARE = 8.0  # times as often, where only one operation can be hit, or webhooks, of which there are few

SUBSCRIBE = """mutation Subscribe($topic: WebhookSubscriptionTopic!, $subscription: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $subscription) { webhookSubscription { id } userErrors { message } } }"""
CREATE = """mutation OrderCreate($order: OrderCreateOrderInput!) {
  orderCreate(order: $order) { order { id } userErrors { field message } } }"""
RECENT = """query Recent($after: String) { orders(first: 50, after: $after, sortKey: CREATED_AT) {
  pageInfo { hasNextPage endCursor } nodes { id createdAt sourceIdentifier displayFulfillmentStatus fulfillments(first: 5) {
    status trackingInfo(first: 1) { company number } } } } }"""
VARIANTS = "query Variants { productVariants(first: 50) { nodes { id sku } } }"


WORLD_RULES = ("R2", "L1", "L2", "L3", "L4")  # of the referee's, those that no connector can break


class Result(Struct):
    seeds: int = 0
    calls: int = 0
    orders: int = 0
    met: dict[str, int] = {}
    problems: list[str] = []


def soak(seeds: Iterable[int], *, twice: int = 1) -> Result:
    """Every seed, and each `twice`-th once more, which must come out in the same way."""
    result = Result()
    for seed in seeds:
        world = lived(seed)
        if result.seeds % twice == 0 and world.digest() != lived(seed).digest():
            result.problems.append(f"seed {seed} came out in two ways")
        result.problems += [f"seed {seed}: {problem}" for problem in contradictions(world)]
        result.seeds += 1
        result.calls += world.calls.last
        result.orders += len(world.account.orders) + len(world.shop.orders)
        for name, times in world.calls.faults.items():
            result.met[name] = result.met.get(name, 0) + times
    result.problems += [f"never met: {name}" for name in KINDS if not result.met.get(name)]
    return result


def contradictions(world: World) -> Iterator[str]:
    """What cannot be in a world, whatever went wrong on the wire and whatever the client did."""
    promised: dict[int | None, int] = {}
    for order in world.shop.orders.values():
        for line in order.lines:
            promised[line.item_id] = promised.get(line.item_id, 0) + line.claimed
            if line.claimed < 0 or line.fulfilled < 0 or line.fulfilled + line.cancelled > line.quantity:
                yield f"{order.name} has a line of {line.quantity}, {line.fulfilled} sent, {line.cancelled} cancelled, {line.claimed} held"
    for item, levels in world.shop.levels.items():
        committed = sum(level.committed for level in levels.values())
        if committed != promised.get(item, 0):
            yield f"{committed} of item {item} are committed, and orders claim {promised.get(item, 0)}"
    for sold in world.account.orders.values():
        for part in sold.lines:
            if part.shipped + part.prepared + part.excluded > part.quantity:
                yield f"{sold.id} has a line of {part.quantity}, {part.shipped} shipped, {part.prepared} packed, {part.excluded} given up"
    yield from (f"{finding.rule} {finding.subject}: {finding.says}" for finding in judge(truth(world)) if finding.rule in WORLD_RULES)


def lived(seed: int) -> World:
    """A world of that seed after an hour with the client."""
    world = World(swarm(seed), seed, START)
    client = Client(Systems(world), seed)
    for round_ in range(ROUNDS):
        client.live(START + timedelta(seconds=ROUND * round_))
    return world


def swarm(seed: int) -> Plan:
    """A small world in which some things go wrong, others never do: each seed has its own."""
    faults = {}
    for name, kind in KINDS.items():
        if happens(seed, SHARE, "swarm", name):
            faults[name] = min(1.0, choose(seed, RATES, "swarm rate", name) * (RARE if kind.only or kind.where == "webhook" else 1.0))
    some = {name: 0.2 for name in Service.__struct_fields__ if name not in ("after", "restocks") and happens(seed, 0.5, "swarm", name)}
    others = {name: 0.2 for name in Operator.__struct_fields__ if name != "after" and happens(seed, 0.5, "swarm operator", name)}
    return Plan(
        skus=whole(seed, 3, 10, "swarm skus"),
        locations=whole(seed, 1, 3, "swarm locations"),
        offers_open="at_stock",
        marketplace_orders=whole(seed, 4, 12, "swarm orders"),
        buyer_gap=150.0,
        restocks=2,
        restock_gap=600.0,
        awkward=Awkward(shared=1, nameless=1, untracked=1, negative=1, archived=1),
        warehouse=Warehouse(pick_seconds=300.0, partial=0.3, late_tracking=0.2, corrected_tracking=0.2, taken_back=0.1, held=0.2),
        service=replace(Service(after=600.0), **some),
        operator=replace(Operator(after=600.0), **others),
        merchandise=Merchandise(recounts=2, transfers=2, renames=1, archives=1, gap=600.0),
        faults=faults,
    )


class Client:
    """Knows just enough to ask for everything; when something goes wrong it shrugs and tries again in the next round."""

    def __init__(self, systems: Systems, seed: int) -> None:
        self._systems, self._seed = systems, seed
        self._at = START
        self._created: set[str] = set()
        self._imports: list[str] = []
        self._variants: dict[str, str] = {}

    def live(self, at: datetime) -> None:
        self._at = at
        self._take_webhooks(at)
        if not self._variants:
            self._subscribe()
            self._variants = {node["sku"]: node["id"] for node in self._nodes(self._graph(VARIANTS), "productVariants") if node.get("sku")}
        offset = 0
        for _ in range(3):
            page = self._mirakl("GET", "/api/orders", max="5", offset=str(offset))
            for order in page.get("orders") or []:
                self._forward(order)
            offset += 5
            if offset >= page.get("total_count", 0):
                break
        self._ship(self._nodes(self._graph(RECENT), "orders"))
        self._publish(at)

    def _subscribe(self) -> None:
        for topic in ("ORDERS_CREATE", "FULFILLMENTS_CREATE", "INVENTORY_LEVELS_UPDATE"):
            self._graph(SUBSCRIBE, topic=topic, subscription={"uri": "http://127.0.0.1:9/hooks"})

    def _take_webhooks(self, at: datetime) -> None:
        """One attempt each; now and then the answer is no."""
        for delivery in self._systems.world.deliveries_due():
            for post in self._systems.posts(delivery.id, at):
                if post.genuine:
                    arrived = not happens(self._seed, 0.1, "not taken", delivery.id, delivery.attempts)
                    self._systems.posted(delivery.id, at, arrived=arrived)

    def _forward(self, order: dict[str, Any]) -> None:
        name, state = order.get("order_id", ""), order.get("order_state")
        if state == "WAITING_ACCEPTANCE":
            decisions = [{"id": line["order_line_id"], "accepted": True} for line in order["order_lines"]]
            self._mirakl("PUT", f"/api/orders/{name}/accept", {"order_lines": decisions})
        elif state == "SHIPPING" and name not in self._created:
            currency = order.get("currency_iso_code", "GBP")
            lines = [
                {
                    "variantId": self._variants.get(line["offer_sku"]),
                    "title": "?",
                    "quantity": line["quantity"],
                    "requiresShipping": True,
                    "priceSet": {"shopMoney": {"amount": str(line["price_unit"]), "currencyCode": currency}},
                }
                for line in order["order_lines"]
            ]
            wanted: dict[str, Any] = {"currency": currency, "taxesIncluded": True, "sourceIdentifier": name, "lineItems": lines}
            if self._graph(CREATE, order=wanted):
                self._created.add(name)

    def _ship(self, orders: list[dict[str, Any]]) -> None:
        for order in orders:
            parcels = [parcel for parcel in order.get("fulfillments") or [] if parcel["status"] == "SUCCESS"]
            name = order.get("sourceIdentifier")
            if name in self._created and parcels and order.get("displayFulfillmentStatus") == "FULFILLED":
                tracking = (parcels[0]["trackingInfo"] or [{}])[0]
                told: dict[str, Any] = {"carrier_name": tracking.get("company") or "?", "tracking_number": tracking.get("number")}
                self._mirakl("PUT", f"/api/orders/{name}/tracking", told)
                self._mirakl("PUT", f"/api/orders/{name}/ship")
                self._created.discard(name)
                self._created.add(f"{name} shipped")

    def _publish(self, at: datetime) -> None:
        """A file now and then, with a SKU in it that nobody knows."""
        for known in self._imports[-2:]:
            self._mirakl("GET", f"/api/offers/stock/imports/{known}/status")
            self._mirakl("GET", f"/api/offers/stock/imports/{known}/error_report")
        if happens(self._seed, 0.4, "publishes", at):
            rows = "".join(f'"{sku}";{whole(self._seed, 0, 9, sku, at)}\n' for sku in [*self._variants, "nobody"])
            made = self._mirakl("POST", "/api/offers/stock/imports", csv=f"offer-sku;quantity\n{rows}")
            if number := made.get("import_id"):
                self._imports.append(str(number))

    # ---------------------------------------------------------------------------------------------------------- asking

    def _graph(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"x-shopify-access-token": TOKEN, "content-type": "application/json"}
        answer = self._read("shopify", Request("POST", "/admin/api/2026-10/graphql.json", (), headers, body))
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    def _nodes(self, data: dict[str, Any], name: str) -> list[dict[str, Any]]:
        return list((data.get(name) or {}).get("nodes") or [])

    def _mirakl(self, method: str, path: str, body: Any = None, *, csv: str | None = None, **query: str) -> dict[str, Any]:
        headers, raw = {"authorization": API_KEY}, b""
        if csv is not None:
            headers["content-type"] = "multipart/form-data; boundary=x"
            raw = f'--x\r\nContent-Disposition: form-data; name="file"; filename="s.csv"\r\n\r\n{csv}\r\n--x--\r\n'.encode()
        elif body is not None:
            headers["content-type"] = "application/json"
            raw = json.dumps(body).encode()
        return self._read("mirakl", Request(method, path, tuple(query.items()), headers, raw))

    def _read(self, system: str, request: Request) -> dict[str, Any]:
        """What was answered, if it got here and can be read."""
        out = self._systems.exchange(system, request, self._at)
        if out.manner not in ("plain", "close") or out.reply.status >= 300 or out.reply.headers.get("Content-Encoding"):
            return {}
        return _object(out.reply)


def _object(reply: Reply) -> dict[str, Any]:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
