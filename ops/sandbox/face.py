"""The sandbox as an HTTP server on loopback: both systems, and webhooks that are posted when they fall due."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
from aiohttp import web

from engine.ports import Clock, Net
from ops.sandbox.levers import add_levers
from ops.sandbox.mirakl.api import Api
from ops.sandbox.server import Door, add_systems
from ops.sandbox.shopify import webhooks
from ops.sandbox.shopify.graph import Graph
from ops.sandbox.steps import SteppedClock
from ops.sandbox.systems import API_KEY, TOKEN, WEBHOOK_SECRET, Exchange, Post, Systems
from ops.sandbox.truth import truth
from ops.sandbox.wire import Reply, Request
from ops.sandbox.world import World

__all__ = ["API_KEY", "TOKEN", "WEBHOOK_SECRET", "Sandbox", "serve_sandbox"]

LARGEST_BODY = 32 * 1024 * 1024  # a stock file of some hundred thousand lines
WEBHOOK_LIMIT = 5.0  # seconds in which a receiver must answer
LONGEST_SLEEP = 3600.0  # simulated seconds without looking at the clock
POSTING_AT_ONCE = 20


class Sandbox:
    """A world, its clock and its addresses."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        token: str = TOKEN,
        secret: str = WEBHOOK_SECRET,
        key: str = API_KEY,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.world, self.clock = world, clock
        self.systems = Systems(world, token=token, secret=secret, key=key)
        self.token, self.key, self.faults = token, key, self.systems.faults
        self.url = ""
        self.witness: Callable[[Post, bool], None] = lambda _post, _arrived: None  # sees each webhook, and whether it was answered with 2xx
        self.door = Door(tls)
        self._posting: set[int] = set()
        self._changed = anyio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._stepping = anyio.Lock()

    @property
    def shopify_url(self) -> str:
        return f"{self.url}/shopify"

    @property
    def mirakl_url(self) -> str:
        return f"{self.url}/mirakl"

    @property
    def graph(self) -> Graph:
        return self.systems.graph

    @property
    def api(self) -> Api:
        return self.systems.api

    def truth(self) -> dict[str, Any]:
        self.world.advance(self.clock.now())
        return truth(self.world)

    # ------------------------------------------------------------------------------------------------------ the systems

    def exchange(self, system: str, request: Request) -> Exchange:
        try:
            return self.systems.exchange(system, request, self.clock.now())
        finally:
            self.wake()

    def shopify(self, request: Request) -> Reply:
        """Answers at once: no network, no waiting."""
        return self.exchange("shopify", request).reply

    def mirakl(self, request: Request) -> Reply:
        return self.exchange("mirakl", request).reply

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
        """Lets time pass, and posts webhooks, until cancelled. A stepped clock lets nothing pass by itself."""
        limit = aiohttp.ClientTimeout(total=WEBHOOK_LIMIT)
        slots = anyio.CapacityLimiter(POSTING_AT_ONCE)
        async with net.session(timeout=limit) as session, anyio.create_task_group() as group:
            self._session = session
            while isinstance(self.clock, SteppedClock):
                await self._changed.wait()
            while True:
                self.world.advance(self.clock.now())
                for delivery in self.world.deliveries_due():
                    if delivery.id not in self._posting:
                        self._posting.add(delivery.id)
                        group.start_soon(self._post_one_of, slots, delivery.id)
                await self._wait()

    async def step(self, until: datetime) -> None:
        """Moves a stepped clock, from one thing that is due to the next; webhooks are posted one after another."""
        assert isinstance(self.clock, SteppedClock)
        async with self._stepping:
            while (due := self.world.next_due()) is not None and due <= until:
                self.clock.move(due)
                self.world.advance(self.clock.now())
                for delivery in self.world.deliveries_due():
                    await self._post(delivery.id)
            self.clock.move(until)
            self.world.advance(self.clock.now())

    async def _wait(self) -> None:
        """Until something falls due, or something new may have."""
        due = self.world.next_due(beside=self._posting)
        seconds = max(0.0, (due - self.clock.now()).total_seconds()) if due else LONGEST_SLEEP
        with anyio.move_on_after(self.clock.loop_seconds(min(LONGEST_SLEEP, seconds))):
            await self._changed.wait()

    async def _post_one_of(self, slots: anyio.CapacityLimiter, delivery: int) -> None:
        async with slots:
            await self._post(delivery)
        self._posting.discard(delivery)

    async def _post(self, delivery: int) -> None:
        """One attempt; what came of it is an operation of the world."""
        for post in self.systems.posts(delivery, self.clock.now()):
            arrived = await self._arrives(post)
            self.witness(post, arrived)
            if post.genuine:
                self.systems.posted(delivery, self.clock.now(), arrived=arrived)
        self.wake()

    async def _arrives(self, post: Post) -> bool:
        if urlsplit(post.uri).hostname not in webhooks.LOOPBACK or self._session is None:
            return False
        try:
            async with self._session.post(post.uri, data=post.body, headers=post.headers, allow_redirects=False) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


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
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Sandbox]:
    """Serves a world until the block is left; its address is in `url`. Port 0 takes a free one."""
    sandbox = Sandbox(world, clock, token=token, secret=secret, key=key, tls=tls)
    runner = web.AppRunner(application(sandbox), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        sandbox.url = await sandbox.door.open(runner, host, port)
        async with anyio.create_task_group() as group:
            group.start_soon(sandbox.run, net)
            yield sandbox
            group.cancel_scope.cancel()
    finally:
        await runner.cleanup()


def application(sandbox: Sandbox) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BODY)
    add_systems(app, sandbox.exchange, lambda: sandbox.world.now, sandbox.clock, sandbox.door)
    add_levers(app, sandbox)
    return app
