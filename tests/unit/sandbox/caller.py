"""A sandbox on a real port, somebody who calls it, and somebody who listens to it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
from aiohttp import web

from engine.ports import AcceleratedClock, Clock, TcpNet
from ops.sandbox.face import Sandbox, serve_sandbox
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.world import World
from tests.unit.sandbox.desk import START

PLAN = Plan(skus=4, offers_open="at_stock", warehouse=Warehouse(pick_seconds=60))


class Caller:
    """Both systems and the levers, as a program outside asks them."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox, self.session = sandbox, session

    async def graph(self, query: str, **variables: Any) -> Any:
        url = f"{self.sandbox.shopify_url}/admin/api/2026-10/graphql.json"
        headers = {"X-Shopify-Access-Token": self.sandbox.token}
        async with self.session.post(url, json={"query": query, "variables": variables}, headers=headers) as reply:
            return json.loads(await reply.read())

    async def mirakl(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": self.sandbox.key}
        async with self.session.request(method, self.sandbox.mirakl_url + path, headers=headers, **more) as reply:
            return reply.status, await reply.read()

    async def lever(self, name: str, /, method: str = "POST", **asked: Any) -> tuple[int, Any]:
        async with self.session.request(method, f"{self.sandbox.url}/sandbox/{name}", json=asked if method == "POST" else None) as reply:
            return reply.status, await reply.json()

    @property
    def variant(self) -> str:
        return f"gid://shopify/ProductVariant/{next(iter(self.sandbox.world.shop.variants))}"


@asynccontextmanager
async def served(plan: Plan = PLAN, speed: float = 600.0, clock: Clock | None = None) -> AsyncIterator[Caller]:
    """A world on a real port; its time is accelerated, unless there is a clock."""
    world = World(plan, 1, START)
    async with (
        serve_sandbox(world, clock or AcceleratedClock(START, speed), TcpNet()) as sandbox,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
    ):
        yield Caller(sandbox, session)


@asynccontextmanager
async def receiver(*statuses: int) -> AsyncIterator[tuple[str, Any]]:
    """Somebody who listens for webhooks: answers with these statuses in turn, then with 200. Hands over what comes in."""
    send, receive = anyio.create_memory_object_stream[tuple[bytes, dict[str, str]]](99)
    answers = list(statuses)

    async def heard(request: web.Request) -> web.Response:
        await send.send((await request.read(), dict(request.headers)))
        return web.Response(status=answers.pop(0) if answers else 200)

    app = web.Application()
    app.router.add_post("/hooks", heard)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hooks", receive
    finally:
        await runner.cleanup()
        send.close()
        receive.close()
