"""HTTP between the processes of a play, handed over as it is: what aiohttp would write on one side and read on the other is a value.

Everything else is as on the wire (net.py): messages travel on connections that are kept, take their time, are lost before or after they
have arrived, or swallowed; processes die before and after them. Sides that are called are aiohttp's applications, unchanged; sides that
call see as much of a `ClientSession` as they use. A play in memory costs a fifth less by it; tier 2 speaks real HTTP.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import Any, NamedTuple, Self, cast

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ops.simulate.net import Address, End, Network

KEEP = 15.0  # seconds of the loop for which a connection that nobody uses is kept, as aiohttp keeps it
TOTAL = 300.0  # seconds of the loop for a call, unless said otherwise; likewise


class Asked(NamedTuple):
    """A request on its way."""

    method: str
    url: URL
    headers: CIMultiDictProxy[str]
    body: bytes


class Told(NamedTuple):
    """A piece of an answer; the first one says what it is."""

    status: int
    headers: CIMultiDictProxy[str]
    piece: bytes
    last: bool


class DirectNet:
    """The port Net."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def session(self, **options: Any) -> aiohttp.ClientSession:
        return cast("aiohttp.ClientSession", _Session(self._network, **options))


# ---------------------------------------------------------------- who calls


class _Near:
    """The calling end of a connection."""

    def __init__(self) -> None:
        self.end: End = None  # type: ignore[assignment] # from the beginning
        self.lost = False
        self.unused_since = 0.0
        self._error: Exception | None = None
        self._news: deque[Told] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, end: End) -> None:
        self.end = end

    def data_received(self, told: Told) -> None:
        self._news.append(told)
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.lost, self._error = True, error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def hear(self, loop: asyncio.AbstractEventLoop, until: float) -> Told:
        """What is told next. Raises TimeoutError, or what aiohttp says of a connection that is lost."""
        while not self._news:
            if self.lost:
                raise aiohttp.ServerDisconnectedError if self._error is None else aiohttp.ClientOSError(*self._error.args)
            if loop.time() >= until:
                raise TimeoutError
            self._waiter = loop.create_future()
            timer = loop.call_at(until, self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        return self._news.popleft()


class _Session:
    """As much of aiohttp.ClientSession as the product and the sandbox use."""

    def __init__(
        self,
        network: Network,
        *,
        timeout: aiohttp.ClientTimeout | None = None,
        headers: Mapping[str, str] | None = None,
        middlewares: Sequence[Any] = (),
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
        **_: Any,
    ) -> None:
        self._network, self._loop = network, network.loop
        self._total = TOTAL if timeout is None or timeout.total is None else timeout.total
        self._silence = timeout.sock_read if timeout is not None and timeout.sock_read is not None else self._total
        self._headers, self._middlewares, self._traces = headers or {}, middlewares, trace_configs
        for trace in trace_configs:
            trace.freeze()
        self._kept: dict[Address, list[_Near]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        for kept in self._kept.values():
            for near in kept:
                near.end.close()
        self._kept.clear()

    def get(self, url: Any, **more: Any) -> "_Call":
        return self.request("GET", url, **more)

    def post(self, url: Any, **more: Any) -> "_Call":
        return self.request("POST", url, **more)

    def request(
        self, method: str, url: Any, *, headers: Mapping[str, str] | None = None, data: Any = None, trace_request_ctx: Any = None, **_: Any
    ) -> "_Call":
        return _Call(partial(self._ask, method, URL(url), headers or {}, data, trace_request_ctx))

    async def _ask(self, method: str, url: URL, headers: Mapping[str, str], data: Any, asked_for: Any) -> "_Answer":
        sent: CIMultiDict[str] = CIMultiDict({"Host": f"{url.raw_host}:{url.port}", "Accept": "*/*", **self._headers})
        sent.update(headers)
        body = data or b""
        if isinstance(data, aiohttp.FormData):
            form, written = data(), _Collected()
            await form.write(written)
            body = bytes(written.body)
            sent["Content-Type"] = form.headers["Content-Type"] if form.headers and "Content-Type" in form.headers else form.content_type
        sent["Content-Length"] = str(len(body))
        asked = Asked(method, url, CIMultiDictProxy(sent), body)
        contexts = [trace.trace_config_ctx(trace_request_ctx=asked_for) for trace in self._traces]
        handle: Callable[[Any], Awaitable[_Answer]] = partial(self._exchange, contexts)
        for middleware in reversed(self._middlewares):
            handle = partial(middleware, handler=handle)
        return await handle(asked)

    async def _exchange(self, contexts: Sequence[Any], asked: Asked) -> "_Answer":
        until = self._loop.time() + self._total
        address = (asked.url.raw_host or "", asked.url.port or 0)
        near = self._unused(address)
        signals = [trace.on_connection_reuseconn if near is not None else trace.on_connection_create_end for trace in self._traces]
        if near is None:
            near = await self._connected(address)
        try:
            for signal, context in zip(signals, contexts, strict=True):
                await cast("Any", signal).send(self, context, None)
            near.end.tell(asked, len(asked.body), f"{asked.method} {asked.url.raw_path_qs}")
            told = await self.hear(near, until)
        except BaseException:
            near.end.close()
            raise
        answer = _Answer(self, address, near, told, until)
        if told.last:
            answer.release()
        return answer

    def _unused(self, address: Address) -> _Near | None:
        kept = self._kept.get(address)
        while kept:
            near = kept.pop()
            if near.lost or near.end.is_closing():
                continue
            if self._loop.time() - near.unused_since <= KEEP:
                return near
            near.end.close()
        return None

    async def _connected(self, address: Address) -> _Near:
        near = _Near()
        try:
            await self._network.connect(lambda: near, address, far=_Far)  # type: ignore[arg-type, return-value]
        except OSError as error:
            raise aiohttp.ClientConnectorError(cast("Any", SimpleNamespace(host=address[0], port=address[1], ssl=True)), error) from error
        return near

    def keep(self, address: Address, near: _Near) -> None:
        near.unused_since = self._loop.time()
        self._kept.setdefault(address, []).append(near)

    async def hear(self, near: _Near, until: float) -> Told:
        """What is told next, in time for the whole and after no longer silence than agreed. Raises as _Near does."""
        return await near.hear(self._loop, min(until, self._loop.time() + self._silence))


class _Call:
    """`async with` it, for the answer."""

    def __init__(self, ask: Callable[[], Awaitable["_Answer"]]) -> None:
        self._ask = ask
        self._answer: _Answer | None = None

    async def __aenter__(self) -> "_Answer":
        self._answer = await self._ask()
        return self._answer

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        assert self._answer is not None
        self._answer.release()


class _Answer:
    """aiohttp.ClientResponse."""

    def __init__(self, session: _Session, address: Address, near: _Near, told: Told, until: float) -> None:
        self._session, self._address, self._near, self._until = session, address, near, until
        self._told: Told | None = told
        self._over = told.last
        self._released = False
        self.status, self.headers, self.content = told.status, told.headers, self

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip().lower()

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        """Raises ClientPayloadError where it is cut short, TimeoutError."""
        while (told := self._told) is not None:
            if told.piece:
                yield told.piece
            self._over, self._told = told.last, None
            if not told.last:
                try:
                    self._told = await self._session.hear(self._near, self._until)
                except aiohttp.ClientError as error:
                    raise aiohttp.ClientPayloadError("the answer is not complete") from error

    def release(self) -> None:
        """The connection can be used again, if all has been heard; else nobody waits for the rest."""
        if self._released:
            return
        self._released = True
        if self._over and not self._near.lost:
            self._session.keep(self._address, self._near)
        else:
            self._near.end.close()


# ---------------------------------------------------------------- who is called


class _Far:
    """The end that is called, in the place of aiohttp's RequestHandler. `server` is aiohttp's: an application and its requests."""

    ssl_context = None
    peername = sockname = ("127.0.0.1", 0)

    def __init__(self, server: Any) -> None:
        self._server = server
        self.transport: End | None = None
        self._tasks: dict[asyncio.Task[None], None] = {}

    def connection_made(self, end: End) -> None:
        self.transport = end

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        self.transport = None

    def data_received(self, asked: Asked) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(asked))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _answer(self, asked: Asked) -> None:
        path = URL(asked.url.raw_path_qs, encoded=True)
        message = RawRequestMessage(asked.method, str(path), HttpVersion11, asked.headers, (), False, None, False, False, path)
        writer = _Pieces(self)
        request = self._server.request_factory(message, EMPTY_PAYLOAD, self, writer, asyncio.current_task())
        request._read_bytes = asked.body  # noqa: SLF001 - read already
        try:
            response = await self._server.request_handler(request)
        except web.HTTPException as error:
            response = error
        except Exception:  # noqa: BLE001 - as aiohttp answers it
            response = web.Response(status=500)
        if not response.prepared and isinstance(response, web.Response) and isinstance(response.body, bytes | None):
            body = response.body or b""
            response.headers["Content-Length"] = str(len(body))
            self.tell(Told(response.status, CIMultiDictProxy(response.headers), body, last=True))
        elif self.transport is not None:
            await response.prepare(request)
            await response.write_eof()

    def tell(self, told: Told) -> None:
        if self.transport is not None:
            self.transport.tell(told, len(told.piece), f"HTTP {told.status}")


class _Writer(AbstractStreamWriter):
    async def drain(self) -> None:
        """There is always room."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        raise NotImplementedError("nobody packs here")

    def enable_chunking(self) -> None:
        """Pieces are pieces."""

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """They have none."""


class _Collected(_Writer):
    """A form, as bytes."""

    def __init__(self) -> None:
        self.body = bytearray()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.body += chunk

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.body += chunk


class _Pieces(_Writer):
    """An answer that a handler writes itself."""

    def __init__(self, far: _Far) -> None:
        self._far = far
        self._status = 0
        self._headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        self._status, self._headers = int(status_line.split()[1]), CIMultiDictProxy(headers)

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self._far.tell(Told(self._status, self._headers, bytes(chunk), last=False))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self._far.tell(Told(self._status, self._headers, bytes(chunk), last=True))
