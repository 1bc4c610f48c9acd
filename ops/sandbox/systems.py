"""Both systems behind their addresses, without a network: a request in, what goes out for it, faults included; webhooks too."""

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import resources
from typing import Any

from msgspec import Struct

from ops.sandbox.chance import whole
from ops.sandbox.distort import Manner, Scene
from ops.sandbox.faults import Asked, Faults, Met
from ops.sandbox.mirakl.api import Api
from ops.sandbox.shopify import webhooks
from ops.sandbox.shopify.graph import Graph
from ops.sandbox.shopify.state import Delivery
from ops.sandbox.wire import Reply, Request
from ops.sandbox.world import World

TOKEN = "shpat_sandbox"  # noqa: S105 - what the sandbox asks for, and no secret
WEBHOOK_SECRET = "hush-sandbox"  # noqa: S105
API_KEY = "mirakl-sandbox-key"
REQUEST_IDS = ("X-Request-Id", "X-Correlation-Id")
DAY, FOUR_HOURS = 86400.0, 14400.0  # seconds


class Exchange(Struct):
    """What goes out in answer to a request, and how it travels. `seconds` are simulated."""

    reply: Reply
    manner: Manner = "plain"
    seconds: float = 0.0
    fault: str | None = None


class Post(Struct):
    """One webhook as it is posted. What comes of it matters to Shopify only if it posted it itself."""

    uri: str
    body: bytes
    headers: Mapping[str, str]
    genuine: bool = True


class Systems:
    """One shop's address and one seller account's, over one world."""

    def __init__(self, world: World, *, token: str = TOKEN, secret: str = WEBHOOK_SECRET, key: str = API_KEY) -> None:
        self.world, self.secret = world, secret
        self.token, self.key = token, key
        contracts = resources.files("schemas") / "contracts"
        self.graph = Graph((contracts / "shopify.graphql").read_text(), token, secret)
        self.api = Api((contracts / "mirakl.openapi.json").read_text(), key)
        self.faults = Faults(world.shop.seed, world.actors.plan.faults)
        mutations = self.graph.schema.mutation_type
        self._mutations = frozenset(mutations.fields) if mutations else frozenset()

    # ------------------------------------------------------------------------------------------------------- requests

    def exchange(self, system: str, request: Request, at: datetime) -> Exchange:
        """Answers at once: whoever carries the answer sees to manner and seconds."""
        world = self.world
        world.advance(at)
        asked = self._asked(system, request)
        number = world.apply("calls.begin", {"system": system, "operation": _operation(asked)}, world.now)
        met = self.faults.meet(asked, number, world.now)
        out = Exchange(self._answer(system, request)) if met is None else self._spoilt(system, request, number, met)
        if self.faults.armed and out.fault is None:
            self.faults.remember(out.reply)
        request_id = next((out.reply.headers[name] for name in REQUEST_IDS if name in out.reply.headers), None)
        world.apply("calls.end", {"status": out.reply.status, "request_id": request_id, "fault": out.fault}, world.now)
        return out

    def _asked(self, system: str, request: Request) -> Asked:
        if system == "shopify":
            names = frozenset(self.graph.names(request))
            return Asked(system, names, names.isdisjoint(self._mutations), request.path)
        return Asked(system, frozenset(self.api.names(request)), request.method == "GET", request.path)

    def _answer(self, system: str, request: Request) -> Reply:
        world = self.world
        change: Callable[[str, dict[str, Any]], Any] = lambda op, arguments: world.apply(f"{system}.{op}", arguments, world.now)  # noqa: E731
        if system == "shopify":
            return self.graph.answer(world.shop, request, world.now, change)
        return self.api.answer(world.account, request, world.now, change)

    def _spoilt(self, system: str, request: Request, number: int, met: Met) -> Exchange:
        """A fault that finds nothing to take hold of is not met."""
        kind, world = met.kind, self.world
        if met.name == "sent_twice":
            self._answer(system, request)
            return Exchange(self._answer(system, request), fault=met.name)
        if kind.request is not None:
            changed = kind.request(request, world.shop.seed, number)
            return Exchange(self._answer(system, changed), fault=met.name if changed != request else None)
        reply = self._answer(system, request) if met.effect else Reply(503)
        spoilt = kind.spoil and kind.spoil(Scene(request, reply, world.now, world.shop.seed, number, self.faults.shown))
        if spoilt is None:
            return Exchange(reply if met.effect else self._answer(system, request))
        return Exchange(spoilt.reply, spoilt.manner, spoilt.seconds, met.name)

    # ------------------------------------------------------------------------------------------------------- webhooks

    def posts(self, number: int, at: datetime) -> list[Post]:
        """What is posted now of a delivery that is due; nothing if it is lost or held back."""
        world = self.world
        world.advance(at)
        if (delivery := world.shop.deliveries.get(number)) is None:
            return []
        met = None
        if not delivery.meddled and not delivery.attempts:
            met = self.faults.meet(Asked("webhook", frozenset({delivery.topic}), reads=False), number, world.now)
        if met is not None and not self._travels(delivery, met.name):
            return []
        uri, body, headers = webhooks.post(world.shop, delivery, self.secret)
        sent = [Post(uri, body, headers)]
        match met.name if met else "":
            case "webhook_forged":
                sent.insert(0, Post(uri, body.replace(b'"id":', b'"id":1', 1), headers, genuine=False))
            case "webhook_replayed":
                fresh = {"X-Shopify-Webhook-Id": f"replayed-{number}", "X-Shopify-Event-Id": f"replayed-{number}"}
                sent.append(Post(uri, body, {**headers, **fresh, "X-Shopify-Topic": "orders/paid"}, genuine=False))
        return sent

    def _travels(self, delivery: Delivery, fault: str) -> bool:
        """What the fault does to it. False if it is not posted now."""
        world, seed = self.world, self.world.shop.seed
        world.apply("calls.met", {"fault": fault}, world.now)

        def change(op: str, **more: Any) -> None:
            world.apply(f"shopify.{op}", {"delivery": delivery.id} | more, world.now)

        match fault:
            case "webhook_lost":
                change("webhookLost")
                return False
            case "webhook_overtaken":
                change("webhookHeld", seconds=float(whole(seed, 20, 90, "overtaken", delivery.id)))
                return False
            case "webhook_late":
                change("webhookHeld", seconds=DAY)
                return False
            case "webhook_twice":
                change("webhookRepeated", seconds=float(whole(seed, 0, 5, "twice", delivery.id)))
            case "webhook_new_id":
                change("webhookRepeated", seconds=float(whole(seed, 0, 5, "twice", delivery.id)), fresh=True)
            case "webhook_redelivered":
                change("webhookRepeated", seconds=FOUR_HOURS)
        return True

    def posted(self, number: int, at: datetime, *, arrived: bool) -> None:
        """What came of it, as far as Shopify knows."""
        self.world.apply("shopify.webhookDelivered" if arrived else "shopify.webhookNotDelivered", {"delivery": number}, at)


def _operation(asked: Asked) -> str:
    """Of GraphQL the fields, without the document's own name, which begins with a capital by custom."""
    names = sorted(asked.names)
    return " ".join([name for name in names if name[:1].islower()] or names) if asked.system == "shopify" else " ".join(names)
