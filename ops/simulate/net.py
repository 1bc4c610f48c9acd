"""The network between processes, in memory: connections take time, and may be cut, or swallow what is sent from some moment on."""

import asyncio
import contextvars
import random
import re
from collections import deque
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any, Literal

import aiohttp
from aiohttp.helpers import ceil_timeout

from ops.simulate.loop import PROCESS, Process, SimLoop

Fate = Literal["", "reset_before", "reset_after", "hole"]
HOST = "127.0.0.1"
FIRST_PORT = 20_000
LATENCY = (0.02, 0.15)  # seconds of the world, one way: else a world that is played fast would be one of slow wires
OPERATION = re.compile(rb'"((?:query|mutation) \w+)')

Address = tuple[str, int]


class Network:
    """All that listens, and what goes on between. `fate` is asked for each write, by who sends and to whom."""

    def __init__(self, loop: SimLoop, seed: int, *, speed: float = 1.0) -> None:
        """`speed`: seconds of the world for each of the loop's."""
        self.loop, self._chance = loop, random.Random(f"network {seed}")
        self._latency = (LATENCY[0] / speed, LATENCY[1] / speed)
        self._listeners: dict[Address, _Listener] = {}
        self._ends: dict[End, None] = {}
        self._ports = iter(range(FIRST_PORT, 65_000))
        self.fate: Callable[[End, Any], Fate] = lambda _end, _data: ""
        self.seen: Callable[[str, int, int], None] = lambda _what, _connection, _size: None
        self.connections = 0
        loop.wires.insert(0, self)

    def delay(self) -> float:
        return self._chance.uniform(*self._latency)

    def carries(self, address: object) -> bool:
        return isinstance(address, tuple)

    async def listen(self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> Any:
        address = (host, port or next(self._ports))
        if address in self._listeners:
            raise OSError(98, "somebody listens there already")
        self._listeners[address] = _Listener(self, factory, address)
        return self._listeners[address]

    async def connect(
        self, factory: Callable[[], asyncio.BaseProtocol], address: Any, far: Callable[[Any], Any] = lambda factory: factory()
    ) -> tuple[asyncio.Transport, Any]:
        """`far` makes the other end's protocol of what whoever listens gave for it."""
        await self.loop.pass_time(self.delay())
        listener = self._listeners.get(address)
        if listener is None:
            raise ConnectionRefusedError(111, f"nobody listens at {address[0]}:{address[1]}")
        self.connections += 1
        near, there = (End(self, self.connections, address, context) for context in (contextvars.copy_context(), listener.context))
        near.peer, there.peer = there, near
        there.begin(listener.context.run(far, listener.factory))
        protocol = factory()
        near.begin(protocol)
        return near, protocol

    def forget(self, address: Address) -> None:
        self._listeners.pop(address, None)

    def cut(self, process: Process) -> None:
        for address, listener in list(self._listeners.items()):
            if listener.context.get(PROCESS) is process:
                self.forget(address)
        for end in list(self._ends):
            if end.process is process:
                end.vanish()

    def keep(self, end: "End") -> None:
        self._ends[end] = None

    def drop(self, end: "End") -> None:
        self._ends.pop(end, None)


class _Listener:
    """What `create_server` gives: as much of it as aiohttp asks for."""

    def __init__(self, network: Network, factory: Callable[[], asyncio.BaseProtocol], address: Address) -> None:
        self._network, self.factory, self.address = network, factory, address
        self.context = contextvars.copy_context()

    @property
    def sockets(self) -> tuple["_Listener", ...]:
        return (self,)

    def getsockname(self) -> Address:
        return self.address

    def close(self) -> None:
        self._network.forget(self.address)

    async def wait_closed(self) -> None:
        """It is."""

    def is_serving(self) -> bool:
        return True


class End(asyncio.Transport):
    """One end of a connection. What is written arrives at the other one later, in its order, whole pieces at a time."""

    peer: "End"

    def __init__(self, network: Network, number: int, address: Address, context: Context) -> None:
        super().__init__({"peername": address, "sockname": (HOST, number)})
        self._network, self._loop, self.number, self.address, self.context = network, network.loop, number, address, context
        self.process = context.get(PROCESS)
        self._protocol: Any = None
        self._closing = self._lost = self._swallows = self._paused = False
        self._latest = 0.0  # when the last thing that was sent arrives
        self._held: list[Any] = []  # while reading is paused
        self.inbox: deque[Callable[[], None]] = deque()  # what is on its way here, in its order

    def begin(self, protocol: Any) -> None:
        self._protocol = protocol
        self._network.keep(self)
        self.context.copy().run(protocol.connection_made, self)

    # ------------------------------------------------------------ as a transport

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is always room."""

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._send(None)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        if self._held:
            self._loop.call_soon(self._release, context=self.context)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def write(self, data: Any) -> None:
        if data:
            self.tell(bytes(data), len(data), _said(bytes(data)))

    def tell(self, data: Any, size: int, called: str) -> None:
        """Whatever it is that travels."""
        if self._closing or (self.process is not None and not self.process.alive):
            return
        dies = self.process.sends(f"http {called}") if self.process is not None else None
        if dies == "before":
            self._loop.kill(self.process)  # type: ignore[arg-type]
            return
        self._network.seen("http", self.number, size)
        match self._network.fate(self, data):
            case "reset_before":
                self.abort()
            case "reset_after":
                self._send(data)
                self.abort()
            case "hole":
                self._swallows = True  # TCP skips nothing: of what follows nothing arrives either
            case _:
                self._send(data)
        if dies == "after":
            self._loop.kill(self.process)  # type: ignore[arg-type]

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._sends(self.peer.ended)
            self._lose(None)

    def abort(self) -> None:
        if not self._closing:
            self.vanish()
            self._lose(ConnectionResetError(104, "reset"))

    # ------------------------------------------------------------ underneath

    def vanish(self) -> None:
        """Nothing of it is left at this end; the other one finds out."""
        self._closing = True
        self._network.drop(self)
        self._sends(self.peer.was_reset)

    def _sends(self, what: Callable[[], None]) -> None:
        peer = self.peer
        peer.inbox.append(what)
        self._latest = max(self._loop.time() + self._network.delay(), self._latest)
        self._loop.call_at(self._latest, peer.arrives, context=peer.context)

    def arrives(self) -> None:
        self.inbox.popleft()()

    def _send(self, data: Any) -> None:
        if not self._swallows:
            self._sends(partial(self.peer.receive, data))

    def receive(self, data: Any) -> None:
        if self._closing:
            return
        if self._paused or self._held:
            self._held.append(data)
        elif data is None:
            self.ended()
        else:
            self._protocol.data_received(data)

    def _release(self) -> None:
        while self._held and not self._paused and not self._closing:
            data = self._held.pop(0)
            if data is None:
                self.ended()
            else:
                self._protocol.data_received(data)

    def ended(self) -> None:
        """The other end is closed."""
        if self._held:
            self._held.append(None)
        elif not self._closing and not self._protocol.eof_received():
            self.close()

    def was_reset(self) -> None:
        if not self._closing:
            self._closing = True
            self._lose(ConnectionResetError(104, "reset by the other end"))

    def _lose(self, error: Exception | None) -> None:
        self._network.drop(self)
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._protocol.connection_lost, error, context=self.context)


def _said(data: bytes) -> str:
    """What a request is about: of one in GraphQL the operation, of another one its first line."""
    operation = OPERATION.search(data)
    return (operation[1] if operation else data[:200].partition(b"\r\n")[0].partition(b" HTTP/")[0]).decode("latin-1")


class _Connector(aiohttp.BaseConnector):
    """aiohttp's way into the network: the address, without names and sockets."""

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:  # noqa: ASYNC109 - aiohttp's
        try:
            async with ceil_timeout(timeout.sock_connect, ceil_threshold=timeout.ceil_threshold):
                _, protocol = await self._loop.create_connection(self._factory, req.url.raw_host, req.url.port)
        except OSError as error:
            if error.errno is None and isinstance(error, TimeoutError):
                raise
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return protocol


class SimNet:
    """The port Net, in here: aiohttp as it is."""

    def session(self, **options: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=_Connector(limit=50), **options)
