"""The sandbox as an HTTP server on loopback: both systems, the truth about them, and levers to move them.

POST /shopify/admin/api/{version}/graphql.json      the shop
     /mirakl/api/…                                  the marketplace
GET  /sandbox/state                                 the whole truth of both
POST /sandbox/buy       {sku?, quantity?, website?} a buyer comes now
POST /sandbox/stock     {sku, available, location?} the merchant has counted
POST /sandbox/ship      {order?}                    the warehouse picks now: for one order's global id, or all that waits
POST /sandbox/switches  {shopify: {…}, mirakl: {…}} see the Switches of both
POST /sandbox/faults    {operation, action, …}      see faults.py; DELETE takes all of them back
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
import msgspec
from aiohttp import web

from engine.ports import Clock, Net
from ops.sandbox.faults import Fault, Faults
from ops.sandbox.mirakl.api import Api
from ops.sandbox.shopify import webhooks
from ops.sandbox.shopify.graph import Graph
from ops.sandbox.shopify.state import Delivery, number_of
from ops.sandbox.truth import truth
from ops.sandbox.wire import RefusalError, Reply, Request
from ops.sandbox.world import World

TOKEN = "shpat_sandbox"  # noqa: S105 - what the sandbox asks for, and no secret
WEBHOOK_SECRET = "hush-sandbox"  # noqa: S105
API_KEY = "mirakl-sandbox-key"
LARGEST_BODY = 32 * 1024 * 1024  # a stock file of some hundred thousand lines
WEBHOOK_LIMIT = 5.0  # seconds in which a receiver must answer
LONGEST_SLEEP = 3600.0  # simulated seconds without looking at the clock
POSTING_AT_ONCE = 20


class Sandbox:
    """A world and its addresses."""

    def __init__(self, world: World, clock: Clock, *, token: str = TOKEN, secret: str = WEBHOOK_SECRET, key: str = API_KEY) -> None:
        self.world, self.clock = world, clock
        self.token, self.secret, self.key = token, secret, key
        self.faults = Faults()
        self.url = ""
        contracts = resources.files("schemas") / "contracts"
        self.graph = Graph((contracts / "shopify.graphql").read_text(), token)
        self.api = Api((contracts / "mirakl.openapi.json").read_text(), key)
        self._posting: set[int] = set()
        self._changed = anyio.Event()

    @property
    def shopify_url(self) -> str:
        return f"{self.url}/shopify"

    @property
    def mirakl_url(self) -> str:
        return f"{self.url}/mirakl"

    def truth(self) -> dict[str, Any]:
        self.world.advance(self.clock.now())
        return truth(self.world)

    # ------------------------------------------------------------------------------------------------------ the systems

    def shopify(self, request: Request) -> Reply:
        """Answers at once: no network, no waiting. Faults are the server's business."""
        at = self._now()
        return self.graph.answer(self.world.shop, request, at, lambda op, arguments: self.apply(f"shopify.{op}", arguments))

    def mirakl(self, request: Request) -> Reply:
        at = self._now()
        return self.api.answer(self.world.account, request, at, lambda op, arguments: self.apply(f"mirakl.{op}", arguments))

    def _now(self) -> Any:
        self.world.advance(self.clock.now())
        return self.world.now

    def apply(self, op: str, arguments: dict[str, Any]) -> Any:
        try:
            return self.world.apply(op, arguments, self.world.now)
        finally:
            self.wake()

    def wake(self) -> None:
        """Something new may be due: the one who waits for time to pass looks again."""
        self._changed.set()
        self._changed = anyio.Event()

    # ------------------------------------------------------------------------------------------------- what runs by itself

    async def run(self, net: Net) -> None:
        """Lets time pass, and posts webhooks, until cancelled."""
        limit = aiohttp.ClientTimeout(total=WEBHOOK_LIMIT)
        slots = anyio.CapacityLimiter(POSTING_AT_ONCE)
        async with aiohttp.ClientSession(connector=net.connector(), timeout=limit) as session, anyio.create_task_group() as group:
            while True:
                self.world.advance(self.clock.now())
                for delivery in self.world.deliveries_due():
                    if delivery.id not in self._posting:
                        self._posting.add(delivery.id)
                        group.start_soon(self._post, session, slots, delivery)
                await self._wait()

    async def _wait(self) -> None:
        """Until something falls due, or something new may have."""
        changed, due = self._changed, self.world.next_due(beside=self._posting)
        seconds = (due - self.clock.now()).total_seconds() if due else LONGEST_SLEEP
        async with anyio.create_task_group() as group:

            async def doze() -> None:
                await self.clock.sleep(min(LONGEST_SLEEP, max(0.0, seconds)))
                changed.set()

            group.start_soon(doze)
            await changed.wait()
            group.cancel_scope.cancel()

    async def _post(self, session: aiohttp.ClientSession, slots: anyio.CapacityLimiter, delivery: Delivery) -> None:
        """One attempt; what came of it is an operation of the world."""
        async with slots:
            arrived = delivery.id in self.world.shop.deliveries and await self._arrives(session, delivery)
            self.world.advance(self.clock.now())
            self.apply("shopify.webhookDelivered" if arrived else "shopify.webhookNotDelivered", {"delivery": delivery.id})
            self._posting.discard(delivery.id)

    async def _arrives(self, session: aiohttp.ClientSession, delivery: Delivery) -> bool:
        uri, body, headers = webhooks.post(self.world.shop, delivery, self.secret)
        if urlsplit(uri).hostname not in webhooks.LOOPBACK:
            return False
        try:
            async with session.post(uri, data=body, headers=headers, allow_redirects=False) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


# -------------------------------------------------------------------------------------------------------------- the server


@contextlib.asynccontextmanager
async def serve_sandbox(
    world: World,
    clock: Clock,
    net: Net,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str = TOKEN,
    secret: str = WEBHOOK_SECRET,
    key: str = API_KEY,
) -> AsyncIterator[Sandbox]:
    """Serves a world until the block is left; its address is in `url`. Port 0 takes a free one."""
    sandbox = Sandbox(world, clock, token=token, secret=secret, key=key)
    runner = web.AppRunner(application(sandbox), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        sandbox.url = f"http://{host}:{runner.addresses[0][1]}"
        async with anyio.create_task_group() as group:
            group.start_soon(sandbox.run, net)
            yield sandbox
            group.cancel_scope.cancel()
    finally:
        await runner.cleanup()


def application(sandbox: Sandbox) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_route("*", "/shopify{path:/.*}", _system(sandbox, sandbox.shopify, sandbox.graph.names))
    app.router.add_route("*", "/mirakl{path:/.*}", _system(sandbox, sandbox.mirakl, sandbox.api.names))
    levers = Levers(sandbox)
    app.router.add_get("/sandbox/state", levers.state)
    app.router.add_post("/sandbox/buy", levers.buy)
    app.router.add_post("/sandbox/stock", levers.stock)
    app.router.add_post("/sandbox/ship", levers.ship)
    app.router.add_post("/sandbox/switches", levers.switches)
    app.router.add_post("/sandbox/faults", levers.fault)
    app.router.add_delete("/sandbox/faults", levers.no_faults)
    return app


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _system(sandbox: Sandbox, answer: Callable[[Request], Reply], names: Callable[[Request], set[str]]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        asked = Request(
            request.method,
            request.match_info["path"],
            tuple(request.query.items()),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            base=f"{request.scheme}://{request.host}{request.path.removesuffix(request.match_info['path'])}",
        )
        fault = sandbox.faults.meet(names(asked))
        if fault is None:
            return _response(answer(asked), sandbox.world.now)
        reply = answer(asked) if fault.takes_effect or fault.action in ("cut", "delay") else Reply(fault.status)
        match fault.action:
            case "delay":
                await sandbox.clock.sleep(fault.seconds)
            case "reply":
                reply = Reply(fault.status, fault.body.encode(), fault.headers, fault.headers.get("Content-Type", "text/html"))
            case "cut":
                return await _half(request, reply)
            case "drop":
                _hang_up(request)
        return _response(reply, sandbox.world.now)

    return handle


def _response(reply: Reply, now: datetime) -> web.Response:
    """Dated by the world's clock, as everything else in it."""
    headers = {name: value for name, value in reply.headers.items() if name != "Content-Type"}
    headers["Date"] = format_datetime(now, usegmt=True)
    return web.Response(status=reply.status, body=reply.body, headers=headers | ({"Content-Type": reply.kind} if reply.body else {}))


async def _half(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.kind})
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    _hang_up(request)
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


class Levers:
    """The handles of the world itself."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._world = sandbox, sandbox.world

    async def state(self, request: web.Request) -> web.Response:
        return _json(self._sandbox.truth())

    async def buy(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        try:
            wanted = msgspec.convert(asked, Purchase)
        except msgspec.ValidationError as error:
            return _json({"error": str(error)}, 400)
        bought = self._world.buy(self._sandbox.clock.now(), website=wanted.website, sku=wanted.sku, quantity=wanted.quantity)
        self._sandbox.wake()
        return _json({"order": bought}) if bought is not None else _json({"error": "nothing of that is for sale"}, 409)

    async def stock(self, request: web.Request) -> web.Response:
        try:
            counted = msgspec.convert(await _asked(request), Count)
        except msgspec.ValidationError as error:
            return _json({"error": str(error)}, 400)
        location = number_of(counted.location, "Location") if counted.location else None
        return self._apply("shopify.stock", {"sku": counted.sku, "quantity": counted.available, "location": location})

    async def ship(self, request: web.Request) -> web.Response:
        order = (await _asked(request)).get("order")
        return self._apply("actors.hurry", {"order": number_of(str(order), "Order") if order else None})

    def _apply(self, op: str, arguments: dict[str, Any]) -> web.Response:
        self._world.advance(self._sandbox.clock.now())
        try:
            return _json({"done": True, "result": self._sandbox.apply(op, arguments)})
        except RefusalError as refused:
            return _json({"error": str(refused)}, 409)

    async def switches(self, request: web.Request) -> web.Response:
        try:
            for system, values in (await _asked(request)).items():
                self._world.switch(system, self._sandbox.clock.now(), **values)
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        self._sandbox.wake()
        return _json({"shopify": self._world.shop.switches, "mirakl": self._world.account.switches})

    async def fault(self, request: web.Request) -> web.Response:
        try:
            fault = msgspec.convert(await _asked(request), Fault)
        except msgspec.ValidationError as error:
            return _json({"error": str(error)}, 400)
        self._sandbox.faults.add(fault)
        return _json({"done": True}, 201)

    async def no_faults(self, request: web.Request) -> web.Response:
        self._sandbox.faults.clear()
        return _json({"done": True})


class Purchase(msgspec.Struct, forbid_unknown_fields=True):
    sku: str | None = None
    quantity: int = 1
    website: bool = False


class Count(msgspec.Struct, forbid_unknown_fields=True):
    sku: str
    available: int
    location: str | None = None


async def _asked(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request; nothing is an empty one."""
    try:
        asked = await request.json() if request.body_exists else {}
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise web.HTTPBadRequest(text="a JSON object is wanted")
    return asked


def _json(answer: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(answer), content_type="application/json")
