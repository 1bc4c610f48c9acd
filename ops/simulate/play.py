"""One play: a world, engines on a database, a chaos phase, a heal phase, and what must hold at every step and in the end.

    outcome = play(seed, options, store, [watcher, …])

`store` makes the database: `PostgresStore` (tier 2), or one in memory (tier 1); anything with `open(loop, seed)`, a context manager that
gives something with a `db`, the port Db. If sessions of a killed process must end there, it adds itself to `loop.wires` and its
`cut` is called.
A watcher is asked after each request that either system has answered (`stepped`), and once all is quiet (`settled`); it raises BrokenError.
"""

import hashlib
import logging
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import anyio
import structlog
from msgspec.structs import replace

from engine.codec import encode
from engine.errors import StartupError
from engine.log import Log
from engine.metrics import Metrics
from engine.ports import DATABASE_AWAY, AcceleratedClock, Net, SeededRng
from engine.vault import Vault
from ops.demo.settings import configure
from ops.sandbox.face import Sandbox, serve_sandbox
from ops.sandbox.world import World
from ops.service import Ports, Service
from ops.settings import Settings, read_settings
from ops.simulate import rare
from ops.simulate.direct import DirectNet
from ops.simulate.loop import Process, SimLoop, running
from ops.simulate.net import Network, SimNet
from ops.simulate.options import Options
from ops.simulate.settled import look
from ops.simulate.store import OnPostgres, Store, Stored
from ops.trace import story
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import OrderStateChanged

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
WEBHOOKS, OPERATIONS = 18_080, 19_464  # ports of the first place
MASTER = bytes(range(32))  # it guards nobody
PATIENCE = 60.0  # seconds of the loop
PRIVACY = 0.1  # likewise, between two looks of an engine at who wants to be forgotten
GLANCE = 0.01  # likewise, between two looks at the world
LOOK_EVERY = 60.0  # seconds of the world between two looks at whether all is quiet


class BrokenError(AssertionError):
    """An invariant does not hold: `invariant` as reliability names it, `subject` an order, a SKU or what else is concerned."""

    def __init__(self, invariant: str, subject: str, says: str) -> None:
        super().__init__(f"{invariant} {subject}: {says}")
        self.invariant, self.subject, self.says = invariant, subject, says


Course: TypeAlias = Callable[["Play"], Coroutine[Any, Any, None]]


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
    orders: int  # bought, on both sides; what the connector makes of one is not another
    seen: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)  # where it is broken: of the order that it is about


class SimClock(AcceleratedClock):
    """The world's time, by the loop's."""

    def __init__(self, loop: SimLoop, start: datetime, speed: float, skew: float = 0.0) -> None:
        """`skew`: seconds by which it is ahead of the world."""
        super().__init__(start, speed)
        self._loop, self._skew = loop, timedelta(seconds=skew)

    def now(self) -> datetime:
        return super().now() + self._skew

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
    place: int


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
        self._metrics = Metrics()
        self.engines: list[Engine] = []
        self.seen: Counter[str] = Counter()
        self.ids = SimIds(SeededRng(seed))  # for people
        self.net: Net = SimNet() if isinstance(stored, OnPostgres) else DirectNet(network)
        self.digest = hashlib.sha256()
        self._failed: BaseException | None = None
        self.ended = anyio.Event()
        self.story: list[str] = []
        self.healing = False  # nothing goes wrong any more
        self.base = 0  # added to the ports of all its places
        self.said: list[str] = []  # lines of the engines' logs that name a person

    # ------------------------------------------------------------ for watchers

    @property
    def tenant(self) -> str:
        return self.settings.tenant.id

    @property
    def log(self) -> Log:
        tenant = self.settings.tenant_id
        return Log(self.pool, tenant, Vault(self.pool, tenant, MASTER), self.clock, self._metrics)

    def truth(self) -> dict[str, Any]:
        return self.sandbox.truth()

    def ask(self, sql: str) -> list[str]:
        """The first column of what the database answers at once, from beside the play: no time passes, and nothing is traced."""
        return self.stored.ask(sql)

    def note(self, what: str, connection: int, size: int) -> None:
        """Into the trace."""
        self.digest.update(f"{self.loop.time():.6f} {what} {connection} {size}\n".encode())

    # ------------------------------------------------------------ the course of it

    async def run(self, directory: Path, course: Course) -> None:
        """Put everything in its place, let the course happen, and look at what came of it. Engines are the course's to start."""
        async with AsyncExitStack() as stack:
            serving = anyio.Event()
            self.loop.spawn(Process("world"), lambda: self._serve(serving))
            await serving.wait()
            self.settings = rare.configured(self._configured(directory), self.options.rare, self.seed)
            hook = f"http://127.0.0.1:{WEBHOOKS + self.base}/webhooks/{self.seed:032x}"  # at the first place
            self.sandbox.apply("act.shopify", {"do": "privacyAddress", "given": {"uri": hook}})
            rare.meddle(self)
            self.pool = await self.stored.db.pool()
            stack.push_async_callback(self.pool.close)
            try:
                await course(self)
            except (BrokenError, BaseExceptionGroup) as error:
                await self._tell_story(next((leaf for leaf in leaves(error) if isinstance(leaf, BrokenError)), None))
                raise
            for watcher in self.watchers:
                await watcher.settled(self)
            await self._read_log()
            self.digest.update(self.world.snapshot())

    async def _tell_story(self, broken: "BrokenError | None") -> None:
        """Of the order or SKU that is concerned, from the log, as `crossdock trace` does; of anything else the log's end."""
        if broken is None:
            return
        with anyio.move_on_after(60.0):
            log = self.log
            async with self.pool.acquire() as conn:
                steps = await story(conn, log, self.settings.tenant_id, self.settings.channel_ids, broken.subject)
            self.story = [f"{step.position} {step.occurred_at[:19]} {step.what}" for step in steps][-60:]

    async def _read_log(self) -> None:
        """Into the digest; and what has been seen, into the counts."""
        log, position = self.log, 0
        while page := await log.read(position):
            position = page[-1].position
            for envelope in page:
                tag, _, data = encode(envelope.event)
                self.digest.update(f"{envelope.position} {tag} {envelope.stream} {data}\n".encode())
                match envelope.event:
                    case CommandConfirmed(command=command) | CommandRefused(command=command) | CommandUnknown(command=command):
                        self.seen[f"{tag.replace('_', ' ')} {command}"] += 1
                    case CommandBuried(command=command):
                        self.seen[f"command buried {command}"] += 1
                    case ExceptionOpened(code=code):
                        self.seen[f"exception {code}"] += 1
                    case OrderStateChanged(state=state):
                        self.seen[f"order {state}"] += 1

    async def _serve(self, serving: anyio.Event) -> None:
        async with serve_sandbox(self.world, self.clock, self.net) as self.sandbox:
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

    def start_engine(self, place: int = 0) -> Engine:
        """One more, as its own process would be: nothing is shared but database and marketplaces. `place`: the machine that it runs on, by
        whose address Shopify reaches it; not two at once."""
        number = len(self.engines)
        port = self.base + place
        web = replace(self.settings.web, webhooks=f"127.0.0.1:{WEBHOOKS + port}", operations=f"127.0.0.1:{OPERATIONS + port}")
        settings = replace(self.settings, web=web)
        rng = (rare.ExtremeRng if "jitter" in self.options.rare else SeededRng)(self.seed * 1000 + number)
        clock = SimClock(self.loop, START, self.options.speed, 0.0 if place else self.options.troubles.skew)
        ports = Ports(clock, SimIds(rng), rng, self.net, self.stored.db)
        lease = self.options.lease_seconds
        service = Service(settings, {}, ports, MASTER, Metrics(), lease_seconds=lease, privacy_seconds=PRIVACY)
        engine = Engine(Process(f"engine {number}"), service, place)
        self.engines.append(engine)
        self.loop.spawn(engine.process, lambda: self._run_engine(engine))
        return engine

    async def _run_engine(self, engine: Engine) -> None:
        try:
            await engine.service.run()
        except Exception as error:  # noqa: BLE001 - a bug that ends the engine is what we are looking for
            if all(isinstance(leaf, (*DATABASE_AWAY, TimeoutError)) for leaf in leaves(error)):
                self.seen["engine ended without a database"] += 1  # and is started again, by whoever looks after it
            else:
                self.fail(BrokenError("bug", engine.process.name, "".join(traceback.format_exception(error))[-3000:]))
        if engine.process.alive:
            self.loop.kill(engine.process)

    async def wait(self, seconds: float) -> None:
        """So many of the loop. Raises what has been found broken meanwhile."""
        with anyio.move_on_after(seconds):
            await self.ended.wait()
        if self._failed is not None:
            raise self._failed

    async def until(self, holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Until it holds, at most so many seconds of the loop: then L1 is broken."""
        deadline = self.loop.time() + seconds
        while not holds():
            if self.loop.time() > deadline:
                raise BrokenError("L1", what, f"not within {seconds:.0f} s")
            await self.wait(GLANCE)

    async def until_settled(self, minutes: float) -> None:
        """Until everybody has done what was to be done and both sides agree; within so many minutes of the world, else L1 is broken."""
        deadline = self.clock.monotonic() + minutes * 60
        while self.clock.monotonic() < deadline:
            await self.wait(self.clock.loop_seconds(LOOK_EVERY))
            with suppress(*DATABASE_AWAY):  # whoever watches is cut off like everybody else, and looks again
                if (await look(self)).settled:
                    return
        state = await look(self, whole=True)
        wrong = state.wrong
        rule, subject, says = [*wrong[0].split(maxsplit=2), "", ""][:3] if wrong else ("L1", "the end", f"not reached: {state}")
        raise BrokenError(rule, subject.rstrip(":"), f"{says}; and {len(wrong) - 1} more: {wrong[1:4]}" if len(wrong) > 1 else says)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """What went wrong; also where StartupError says it of a start."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    elif isinstance(error, StartupError) and error.__context__ is not None:
        yield error.__context__
    else:
        yield error


def note_said(it: Play, line: tuple[Any, ...]) -> str:
    """What an engine writes into its log. Nothing is kept but what should not have been written."""
    if f"PII-{it.seed}-" in (text := str(line[1:])):
        it.said.append(text[:300])
    return ""


def note_library(it: Play, told: dict[str, Any]) -> None:
    """What a library leaves lying in the loop; it would be a line in a log."""
    it.seen[f"left in the loop: {type(told.get('exception')).__name__}"] += 1


async def plainly(play: Play) -> None:
    """The engines run until all is done."""
    for _ in range(play.options.engines):
        play.start_engine()
    await play.until_settled(play.options.chaos_minutes + play.options.heal_minutes)
    play.healing = True


def play(
    seed: int,
    options: Options,
    store: Store,
    watchers: Sequence[Watcher] = (),
    course: Course = plainly,
    *,
    together: Callable[["Play", Path, Course], Coroutine[Any, Any, None]] = Play.run,
) -> Outcome:
    """Play it to its end. What is broken is in the outcome; another error is the simulator's own, or the database's.

    `together`: how it is run, if not alone (ops/simulate/neighbour.py).
    """
    with played(seed, options, store, watchers) as (it, directory):
        broken = None
        try:
            it.loop.run_until_complete(together(it, directory, course))
        except (BrokenError, BaseExceptionGroup) as error:
            broken = next((leaf for leaf in leaves(error) if isinstance(leaf, BrokenError)), None)
            if broken is None:
                raise
        return Outcome(
            seed=seed,
            broken=broken,
            digest=it.digest.hexdigest(),
            world_seconds=it.clock.monotonic(),
            loop_steps=it.loop.steps,
            orders=it.world.actors.placed + it.world.actors.sold,
            seen=it.seen,
            story=it.story,
        )


@contextmanager
def played(seed: int, options: Options, store: Store, watchers: Sequence[Watcher]) -> Iterator[tuple[Play, Path]]:
    """A play that is about to begin; all of it is gone afterwards."""
    loop = SimLoop(seed)
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)
    structlog.configure(processors=[lambda *said: note_said(it, said)], logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="crossdock-play-") as directory, running(loop), store.open(loop, seed) as stored:
        network = Network(loop, seed, speed=options.speed)
        loop.set_exception_handler(lambda _, told: note_library(it, told))
        it = Play(seed, options, loop=loop, network=network, stored=stored, watchers=watchers)
        network.seen = it.note
        if (bridge := getattr(stored, "bridge", None)) is not None:
            bridge.seen = it.note
            bridge.answers_within(options.answers)
        if (database := getattr(stored, "database", None)) is not None:
            database.weather.answers_within(options.answers)
        yield it, Path(directory)
