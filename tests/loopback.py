"""A marketplace on loopback that answers as a test tells it, and what an Http needs to talk to it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from adapters.http import Http, Secret
from engine.adapter import Endpoint
from engine.metrics import Metrics
from engine.ports import TcpNet

NOW = datetime(2026, 8, 13, 9, 0, tzinfo=UTC)


@dataclass
class StillClock:
    """A clock that moves only when told; sleeping moves it."""

    time: datetime = NOW
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)

    def loop_seconds(self, seconds: float) -> float:
        return seconds


@dataclass
class OpenDoor:
    """A limiter that admits everything and remembers it."""

    admitted: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    held: list[tuple[str, float]] = field(default_factory=list)

    async def admit(self, endpoint: Endpoint) -> None:
        self.admitted.append(endpoint.code)

    def settled(self, endpoint: Endpoint) -> None:
        self.answered.append(endpoint.code)

    def hold(self, endpoint: Endpoint, seconds: float) -> None:
        self.held.append((endpoint.code, seconds))


@dataclass(frozen=True)
class Call:
    method: str
    path: str  # as it came, percent signs and all; without the query
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Loopback:
    """The server: what it was asked, and what it does about it."""

    url: str
    answer: Answer
    calls: list[Call] = field(default_factory=list)


@asynccontextmanager
async def loopback(answer: Answer) -> AsyncIterator[Loopback]:
    here = Loopback("", answer)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        body = await request.read()
        path = request.raw_path.partition("?")[0]
        here.calls.append(Call(request.method, path, tuple(request.query.items()), request.headers.copy(), body))
        return await here.answer(request)

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield here
    finally:
        await runner.cleanup()


@asynccontextmanager
async def calling(base_url: str, **options: Any) -> AsyncIterator[Http]:
    """An Http for that address; ports and limiter may be given by name."""
    settings: dict[str, Any] = {
        "target": "mirakl:test",
        "net": TcpNet(),
        "clock": StillClock(),
        "admission": OpenDoor(),
        "metrics": Metrics(),
        "headers": lambda: {"Authorization": Secret("key-of-the-test").reveal()},
        "connect_seconds": 1.0,
        "total_seconds": 1.0,
    }
    http = Http(base_url=base_url, **settings | options)
    try:
        yield http
    finally:
        await http.aclose()


def json_answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """The same JSON to whoever asks. Bytes go out as they are."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=raw, content_type="application/json", headers=headers)

    return answer
