"""One play: a world, engines on a database, a chaos phase, a heal phase, and what must hold at every step and in the end.

    outcome = play(seed, options, store, [watcher, …])

`store` makes the database: `PostgresStore` (tier 2), or one in memory (tier 1); anything with `open(loop, seed)`, a context manager that
gives something with a `db`, the port Db. If sessions of a killed process must end there, it adds itself to `loop.wires` and its
`cut` is called.
A watcher is asked after each request that either system has answered (`stepped`), and once all is quiet (`settled`); it raises BrokenError.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import anyio
import structlog

from engine.log import Log
from engine.metrics import Metrics
from engine.ports import AcceleratedClock, SeededRng
from engine.vault import Vault
from ops.demo.proof import State, is_settled
from ops.demo.settings import configure
from ops.sandbox.face import Sandbox, serve_sandbox
from ops.sandbox.world import World
from ops.service import Ports, Service
from ops.settings import Settings, read_settings
from ops.simulate.loop import Process, SimLoop, running
from ops.simulate.net import Network, SimNet
from ops.simulate.options import Options
from ops.simulate.store import Store, Stored

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
MASTER = bytes(range(32))  # it guards nobody
LEASE_SECONDS = 2.0  # of the loop: how long a dead engine's work waits for another
LOOK_EVERY = 60.0  # seconds of the world between two looks at whether all is quiet
EVENTS = "SELECT position, type, stream, md5(data::text) AS data FROM crossdock.events WHERE tenant = $1 ORDER BY position"


class BrokenError(AssertionError):
    """An invariant does not hold: `invariant` as reliability names it, `subject` an order, a SKU or what else is concerned."""

    def __init__(self, invariant: str, subject: str, says: str) -> None:
        super().__init__(f"{invariant} {subject}: {says}")
        self.invariant, self.subject, self.says = invariant, subject, says


class Watcher(Protocol):
    """What must hold."""

    def stepped(self, play: "Play") -> None:
        """After each request that either system has answered."""

    async def settled(self, play: "Play") -> None:
        """Once all is quiet, the engines still running."""
        ...


@dataclass
class Outcome:
    """What came of a play."""

    seed: int
    broken: BrokenError | None
    digest: str  # of everything that was sent, and when, and of the log: the same for the same seed
    world_seconds: float
    loop_steps: int
    orders: int
    seen: Counter[str] = field(default_factory=Counter)


class SimClock(AcceleratedClock):
    """The world's time, by the loop's."""

    def __init__(self, loop: SimLoop, start: datetime, speed: float) -> None:
        super().__init__(start, speed)
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.time() * self._speed


class SimIds:
    def __init__(self, rng: SeededRng) -> None:
        self._rng = rng

    def new(self) -> UUID:
        return UUID(bytes=self._rng.token(16), version=4)


@dataclass
class Engine:
    """One engine, as its own process."""

    process: Process
    service: Service


class Play:
    """Everything there is, for watchers and for whoever makes trouble."""

    def __init__(
        self, seed: int, options: Options, *, loop: SimLoop, network: Network, stored: Stored, watchers: Sequence[Watcher]
    ) -> None:
        self.seed, self.options, self.loop, self.network, self.stored = seed, options, loop, network, stored
        self.watchers = watchers
        self.clock = SimClock(loop, START, options.speed)
        self.world = World(options.plan, seed, START)
        self.sandbox: Sandbox = None  # type: ignore[assignment] # from the beginning of `run`
        self.settings: Settings = None  # type: ignore[assignment]
        self.pool: Any = None  # of whoever watches
        self.engines: list[Engine] = []
        self.seen: Counter[str] = Counter()
        self.digest = hashlib.sha256()
        self._failed: BaseException | None = None
        self.ended = anyio.Event()

    # ------------------------------------------------------------ for watchers

    @property
    def tenant(self) -> str:
        return self.settings.tenant.id

    @property
    def log(self) -> Log:
        tenant = self.settings.tenant_id
        return Log(self.pool, tenant, Vault(self.pool, tenant, MASTER), self.clock, Metrics())

    def truth(self) -> dict[str, Any]:
        return self.sandbox.truth()

    def note(self, what: str, connection: int, size: int) -> None:
        """Into the trace."""
        self.digest.update(f"{self.loop.time():.6f} {what} {connection} {size}\n".encode())

    # ------------------------------------------------------------ the course of it

    async def run(self, directory: Path) -> None:
        async with AsyncExitStack() as stack:
            serving = anyio.Event()
            self.loop.spawn(Process("world"), lambda: self._serve(serving))
            await serving.wait()
            self.settings = self._configured(directory)
            self.pool = await self.stored.db.pool()
            stack.push_async_callback(self.pool.close)
            for _ in range(self.options.engines):
                self.start_engine()
            await self._until_settled()
            for watcher in self.watchers:
                await watcher.settled(self)
            for row in await self.pool.fetch(EVENTS, self.tenant):
                self.digest.update(f"{row['position']} {row['type']} {row['stream']} {row['data']}\n".encode())
            self.digest.update(self.world.snapshot())

    async def _serve(self, serving: anyio.Event) -> None:
        async with serve_sandbox(self.world, self.clock, SimNet()) as self.sandbox:
            exchange = self.sandbox.systems.exchange

            def watched(system: str, request: Any, at: datetime) -> Any:
                out = exchange(system, request, at)
                if out.fault:
                    self.seen[f"fault {out.fault}"] += 1
                self.stepped()
                return out

            self.sandbox.systems.exchange = watched  # type: ignore[method-assign]
            serving.set()
            await anyio.Event().wait()

    def stepped(self) -> None:
        if self._failed is None:
            try:
                for watcher in self.watchers:
                    watcher.stepped(self)
            except BrokenError as broken:
                self.fail(broken)

    def fail(self, error: BaseException) -> None:
        """The play is over: something does not hold."""
        if self._failed is None:
            self._failed = error
            self.ended.set()

    def _configured(self, directory: Path) -> Settings:
        secrets = directory / "secrets"
        secrets.mkdir(mode=0o700)
        for name, text in (("webhook_path", f"{self.seed:032x}"), ("tenant", f"play-{self.seed}")):
            (secrets / name).touch(mode=0o600)
            (secrets / name).write_text(text)
        return read_settings(configure(directory, self.sandbox))

    def start_engine(self) -> Engine:
        """One more, as its own process would be: nothing is shared but database and marketplaces."""
        number = len(self.engines)
        rng = SeededRng(self.seed * 1000 + number)
        ports = Ports(self.clock, SimIds(rng), rng, SimNet(), self.stored.db)
        engine = Engine(Process(f"engine {number}"), Service(self.settings, {}, ports, MASTER, Metrics(), lease_seconds=LEASE_SECONDS))
        self.engines.append(engine)
        self.loop.spawn(engine.process, lambda: self._run_engine(engine))
        return engine

    async def _run_engine(self, engine: Engine) -> None:
        try:
            await engine.service.run()
        except Exception as error:  # noqa: BLE001 - a bug that ends the engine is what we are looking for
            self.fail(error)

    async def _until_settled(self) -> None:
        state: State | None = None
        deadline = self.clock.monotonic() + (self.options.chaos_minutes + self.options.heal_minutes) * 60
        while self.clock.monotonic() < deadline:
            with anyio.move_on_after(self.clock.loop_seconds(LOOK_EVERY)):
                await self.ended.wait()
            if self._failed is not None:
                raise self._failed
            async with self.pool.acquire() as conn:
                state = await is_settled(conn, self.settings, self.truth(), lenient=False)
            if state.settled:
                return
        raise BrokenError("L1", "the end", f"not reached: {state}")


def play(seed: int, options: Options, store: Store, watchers: Sequence[Watcher] = ()) -> Outcome:
    """Play it to its end. What is broken is in the outcome; another error is the simulator's own, or the database's."""
    with played(seed, options, store, watchers) as (it, directory):
        broken = None
        try:
            it.loop.run_until_complete(it.run(directory))
        except BrokenError as error:
            broken = error
        return Outcome(
            seed=seed,
            broken=broken,
            digest=it.digest.hexdigest(),
            world_seconds=it.clock.monotonic(),
            loop_steps=it.loop.steps,
            orders=len(it.world.account.orders) + len(it.world.shop.orders),
            seen=it.seen,
        )


@contextmanager
def played(seed: int, options: Options, store: Store, watchers: Sequence[Watcher]) -> Iterator[tuple[Play, Path]]:
    """A play that is about to begin; all of it is gone afterwards."""
    loop = SimLoop(seed, shuffle=options.shuffle)
    structlog.configure(processors=[lambda *_: ""], logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="crossdock-play-") as directory, running(loop), store.open(loop, seed) as stored:
        network = Network(loop, seed)
        it = Play(seed, options, loop=loop, network=network, stored=stored, watchers=watchers)
        network.seen = it.note
        if (bridge := getattr(stored, "bridge", None)) is not None:
            bridge.seen = it.note
        yield it, Path(directory)
