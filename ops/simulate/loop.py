"""An event loop in virtual time: no sockets, no threads, no waiting. The same seed runs the same callbacks in the same order.

Time stands still while anything can run, and jumps to the next timer when nothing can. What falls due at the same moment runs in an order
drawn from the seed; what was called "soon" keeps its order, which asyncio promises and libraries rely on (asyncpg's callback that clears a
time-out must run before whoever waited sets the next one). Every task belongs to a process (`Process`); when that is killed, nothing of it
runs any more, not even a `finally`.
"""

import asyncio
import contextvars
import gc
import heapq
import random
import sys
import time
import warnings
import weakref
from asyncio import base_events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from itertools import count
from typing import Any, Protocol, cast

from aiohttp import connector as aiohttp_connector
from aiohttp import web_app as aiohttp_app
from anyio._backends import _asyncio as anyio_asyncio
from anyio._core import _eventloop as anyio_eventloop
from asyncpg import connection as asyncpg_connection

# What three libraries keep to themselves, and a simulation has to set.
CLOCK, COUNTER, SCOPE = cast("Any", aiohttp_connector), cast("Any", asyncpg_connection), cast("Any", anyio_asyncio.CancelScope)
# Where two of them remember a world for ever: of each task the scope that it is in, which knows the task; and of each request's handler the
# application, which knows everything.
STATES, HANDLERS = cast("Any", anyio_asyncio)._task_states, cast("Any", aiohttp_app)._cached_build_middleware

# What idles moves time by this much at least. Without it whoever asks to be woken after 1e-17 seconds (aiolimiter does) waits for ever,
# for the sum is what it was before.
QUANTUM = 1e-6
SPINS = (
    64  # steps at one moment, after which time moves on: who spins until something happens (anyio's cancellation does) must see it happen
)
CANCELLED_TIMERS = 100  # of them, and more than of others, are swept out of the heap; as asyncio does


class DeadlockError(Exception):
    """Nothing can run, and no timer is set: every task waits for ever. The text shows where each stands."""


class Process:
    """What dies together. Its tasks and callbacks are those that were begun inside of `run`."""

    def __init__(self, name: str) -> None:
        self.name, self.alive = name, True
        # Asked before each message leaves: whether it dies "before", or "after" it, or if that has "changed" something in the database.
        self.on_message: Callable[[str], str | None] | None = None
        self.messages = 0  # that it has sent, to the database and by HTTP
        self.frozen: list[Any] | None = None  # stopped, as by SIGSTOP: what it would have run meanwhile
        self.main: asyncio.Task[Any] | None = None
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<{self.name}{'' if self.alive else ', dead'}>"

    def sends(self, where: str) -> str | None:
        """It is about to send a message there. Whether it dies "before" it has left, or "after", before anything is heard of it."""
        self.messages += 1
        return self.on_message(where) if self.on_message is not None else None


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)  # None: those who watch, and never die


class Wires(Protocol):
    """What carries bytes: the network between processes, or the way to a database."""

    def carries(self, address: object) -> bool: ...
    async def connect(self, factory: Callable[[], asyncio.BaseProtocol], address: Any) -> tuple[asyncio.Transport, Any]: ...
    async def listen(self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> Any: ...
    def cut(self, process: Process) -> None:
        """Of a process that is no more."""


class SimTask(asyncio.Task[Any]):
    """A task with a number for a hash, so that a set of tasks is in the same order in every run."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, loop: "SimLoop", **more: Any) -> None:
        self._number = next(loop.numbers)
        self.process = PROCESS.get()
        super().__init__(coroutine, loop=loop, **more)
        if self.process is not None:
            self.process.tasks.add(self)

    def __hash__(self) -> int:
        return self._number


class SimLoop(base_events.BaseEventLoop):
    """`run_until_complete` as any other; `wires` carry what is sent."""

    # asyncio's own, which its stubs leave out
    _ready: "deque[Any]"
    _scheduled: list[Any]
    _timer_cancelled_count: int
    _stopping: bool

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._now = 0.0  # seconds
        self._chance = random.Random(seed)
        self.numbers = count(1)
        self.wires: list[Wires] = []
        self.steps = self._spins = 0
        self._died = False  # has anybody
        self._frozen: list[Process] = []
        self._graveyard: list[Any] = []  # tasks that must not come to their `finally`
        self.set_task_factory(lambda loop, coroutine, **more: SimTask(coroutine, loop=self, **more))

    def time(self) -> float:
        return self._now

    # ------------------------------------------------------------ one step after another

    def _run_once(self) -> None:
        """As asyncio's, without a selector."""
        self.steps += 1
        ready, timers = self._ready, self._scheduled
        if self._timer_cancelled_count > CANCELLED_TIMERS and self._timer_cancelled_count * 2 > len(timers):
            for handle in timers:
                handle._scheduled = not handle._cancelled
            timers = self._scheduled = [handle for handle in timers if not handle._cancelled]
            heapq.heapify(timers)
            self._timer_cancelled_count = 0
        while timers and timers[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(timers)._scheduled = False
        self._spins += 1
        if not ready and not timers and not self._stopping:
            raise DeadlockError(f"nothing can run, and nothing is due:\n{self.stacks()}")
        if timers and (not ready or self._spins > SPINS):
            self._now = max(self._now + QUANTUM, timers[0]._when)
            self._spins = 0
        due = []
        while timers and timers[0]._when <= self._now:
            handle = heapq.heappop(timers)
            handle._scheduled = False
            if not handle._cancelled:
                due.append(handle)
        if len(due) > 1:
            self._chance.shuffle(due)
        ready.extend(due)
        frozen = self._frozen
        for _ in range(len(ready)):
            handle = ready.popleft()
            process = handle._context.get(PROCESS) if self._died or frozen else None
            if handle._cancelled or (process is not None and not process.alive):
                continue
            if process is not None and process.frozen is not None:
                process.frozen.append(handle)
            else:
                handle._run()

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    async def pass_time(self, seconds: float) -> None:
        over = self.create_future()
        self.call_later(seconds, lambda: None if over.done() else over.set_result(None))
        await over

    # ------------------------------------------------------------ processes

    def spawn(self, process: Process, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Begin the work as that process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, process)
        process.main = context.run(lambda: self.create_task(work()))

    def kill(self, process: Process) -> None:
        """As `kill -9`: nothing of it runs any more, and whoever was connected to it finds the connection gone."""
        if process.alive:
            process.alive = False
            self._died = True
            self._graveyard += process.tasks
            for wires in self.wires:
                wires.cut(process)

    def freeze(self, process: Process) -> None:
        """As SIGSTOP: it does nothing until it is thawed; what is sent to it waits."""
        if process.alive and process.frozen is None:
            process.frozen = []
            self._frozen.append(process)

    def thaw(self, process: Process) -> None:
        """As SIGCONT: everything that would have happened to it meanwhile happens now."""
        if process.frozen is not None:
            waiting, process.frozen = process.frozen, None
            self._frozen.remove(process)
            self._ready.extend(waiting)

    def stacks(self) -> str:
        """Where each task stands."""
        return "\n".join(
            f"  {task.get_name()}: {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
            for task in sorted(asyncio.all_tasks(self), key=hash)
            for frame in task.get_stack(limit=3)
        )

    # ------------------------------------------------------------ the way out

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self._connect(protocol_factory, (host, port))

    async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **_: Any) -> Any:
        return await self._connect(protocol_factory, str(path))

    async def _connect(self, factory: Callable[[], asyncio.BaseProtocol], address: object) -> tuple[asyncio.Transport, Any]:
        for wires in self.wires:
            if wires.carries(address):
                return await wires.connect(factory, address)
        raise ConnectionRefusedError(111, f"nobody listens at {address}")

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self.wires[0].listen(protocol_factory, host or "127.0.0.1", port or 0)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """There are no threads: done at once, in its turn."""
        done = self.create_future()

        def work() -> None:
            if not done.cancelled():
                try:
                    done.set_result(func(*args))
                except BaseException as error:  # noqa: BLE001 - whoever awaits it is told
                    done.set_exception(error)

        self.call_soon(work)
        return done

    async def shutdown_default_executor(self) -> None:
        """There is none."""

    # ------------------------------------------------------------ the end

    def bury(self) -> None:
        """Let go of everything. What was frozen runs its `finally` now, when nothing can come of it any more, and may say what it likes."""
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            left = [*self._graveyard, *asyncio.all_tasks(self)]
            for task in left:
                task._log_destroy_pending = False
                STATES.pop(task, None)
            HANDLERS.cache_clear()
            self._graveyard.clear()
            self._ready.clear()
            self._scheduled.clear()
            self.set_exception_handler(lambda *_: None)
            if not self.is_closed():
                self.close()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for task in left:  # here, and not whenever somebody lets go of the play: then nobody expects it
                    with suppress(BaseException):
                        task.get_coro().close()
                gc.collect()
        finally:
            sys.unraisablehook = hook


class _Ordered(dict[Any, None]):
    """As much of a set as anyio asks of one, in the order in which things were added; a set's own depends on where they lie in memory."""

    def add(self, item: Any) -> None:
        self[item] = None

    def remove(self, item: Any) -> None:
        del self[item]

    def discard(self, item: Any) -> None:
        self.pop(item, None)


def _answers(loop: SimLoop) -> list[tuple[Any, str, Any]]:
    """Whose, which and what: questions that libraries ask at every step. To answer them, Python 3.11 asks the kernel who we are."""

    def running_loop() -> SimLoop | None:
        return loop if loop.is_running() else None

    def the_loop() -> SimLoop:
        if not loop.is_running():
            raise RuntimeError("no running event loop")
        return loop

    def task(loop: Any = loop) -> Any:
        return asyncio.tasks._current_tasks.get(the_loop() if loop is None else loop)  # type: ignore[attr-defined]

    return [
        (asyncio.events, "_get_running_loop", running_loop),
        *((where, "get_running_loop", the_loop) for where in (asyncio, asyncio.events, anyio_asyncio)),
        *((where, "current_task", task) for where in (asyncio, asyncio.tasks, anyio_asyncio)),
        (anyio_eventloop, "current_async_library", lambda: "asyncio"),
    ]


@cache
def _leave_aside_what_is_there() -> None:
    """Modules and what they hold need not be searched, after each play, for what it has left behind."""
    gc.freeze()


@contextmanager
def running(loop: SimLoop) -> Iterator[SimLoop]:
    """That loop as the thread's, and nothing left to the machine: what libraries take from a clock, from an address in memory or from a
    counter of the whole process is the same in every run."""
    begin, monotonic, serial = SCOPE.__init__, time.monotonic, COUNTER._uid

    def orderly(scope: Any, *arguments: Any, **more: Any) -> None:
        begin(scope, *arguments, **more)
        scope._child_scopes = _Ordered()

    collects = gc.isenabled()
    gc.disable()  # when rubbish is found, is the machine's business too
    _leave_aside_what_is_there()
    CLOCK.monotonic = time.monotonic = loop.time
    COUNTER._uid = 0
    SCOPE.__init__ = orderly
    asyncio.set_event_loop(loop)
    replaced = [(where, name, getattr(where, name)) for where, name, _ in _answers(loop)]
    for where, name, answer in _answers(loop):
        setattr(where, name, answer)
    try:
        yield loop
    finally:
        for where, name, answer in replaced:
            setattr(where, name, answer)
        asyncio.set_event_loop(None)
        loop.bury()
        SCOPE.__init__ = begin
        COUNTER._uid = serial
        CLOCK.monotonic = time.monotonic = monotonic
        if collects:
            gc.enable()
