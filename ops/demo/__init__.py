"""`crossdock demo`: trade in accelerated time on real parts, and the proof of its end state.

settings.py  the configuration it writes    board.py  what a person sees meanwhile    proof.py  the end state, and what is claimed of it
"""

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from msgspec.structs import replace
from rich.console import Console
from rich.live import Live

from engine.metrics import Metrics
from engine.migrate import migrate
from engine.ports import AcceleratedClock, PostgresDb, RandomIds, SystemClock, SystemRng, TcpNet
from ops.database import Database, master_key_of, open_database
from ops.demo.board import Board, print_result
from ops.demo.proof import Result, is_settled, prove
from ops.demo.settings import configure
from ops.logs import configure_logs
from ops.report import print_json
from ops.sandbox.face import Sandbox, serve_sandbox
from ops.sandbox.plan import Plan
from ops.sandbox.scenario import read_scenario
from ops.sandbox.world import World
from ops.sentences import so_many
from ops.service import Ports, Service
from ops.settings import Settings, read_settings

SPEED = 200.0  # times real time: an hour of trade in twenty seconds
LEASE_SECONDS = 3.0  # real: how long a demo that follows a killed one waits
PATIENCE = 120.0  # real seconds without anything moving, after which something must be wrong
LOOK_EVERY = 0.25  # real seconds between two looks
MOSTLY = 9.0  # times as long as a glance took, between two of them: the time is the engine's


@dataclass(frozen=True)
class DemoOptions:
    orders: int | None  # None: as the scenario says
    seed: int
    data: Path | None
    database: str
    speed: float
    as_json: bool
    scenario: str = "demo"  # one of the library's, or a file


async def play(options: DemoOptions) -> int:
    began = SystemClock().monotonic()
    console = Console(stderr=True, highlight=False)
    with ExitStack() as stack:
        directory = options.data
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossdock-demo-")))
            directory.chmod(0o711)  # the database's own user passes through
        directory.mkdir(parents=True, exist_ok=True)
        configure_logs(SystemClock(), stream=stack.enter_context((directory / "demo.log").open("a", encoding="utf-8")))
        console.print("Bringing a Postgres, a Shopify and a Mirakl along …")
        result, order = await _Demo(options, directory, console).play()
    result = replace(result, seconds=round(SystemClock().monotonic() - began, 1))
    if options.as_json:
        print_json(result)
    else:
        print_result(result, order, options.data)
    return 0 if result.holds else 1


def begun_otherwise(world: World, plan: Plan, seed: int) -> str | None:
    """What a world plays that was begun with another plan or seed; None where it is what was asked for."""
    if (world.actors.plan, world.shop.seed) == (plan, seed):
        return None
    return f"{so_many(world.actors.plan.marketplace_orders, 'order')} with seed {world.shop.seed}"


class _Demo:
    def __init__(self, options: DemoOptions, directory: Path, console: Console) -> None:
        self._options, self._directory, self._console = options, directory, console
        self._lenient = options.scenario != "demo"
        self._metrics = Metrics()

    async def play(self) -> tuple[Result, str]:
        """The end state, and an order worth tracing."""
        options, now = self._options, SystemClock().now()
        plan = read_scenario(options.scenario)
        if options.orders is not None:
            plan = replace(plan, marketplace_orders=options.orders)
        world = World.open(self._directory / "sandbox.journal", plan, options.seed, now)
        if (said := begun_otherwise(world, plan, options.seed)) is not None:
            self._console.print(f"Playing on with what was begun in {self._directory}, {said}. Another --data begins anew.", soft_wrap=True)
        clock = AcceleratedClock(max(world.now, now), options.speed)
        async with serve_sandbox(world, clock, TcpNet()) as sandbox:
            settings = read_settings(configure(self._directory, sandbox))
            with open_database(settings, os.environ, url=options.database) as database:
                await migrate(database.owner_url)
                await self._trade(settings, database, sandbox, clock)
                result = await prove(settings, database, sandbox, self._metrics, lenient=self._lenient)
        orders = sandbox.truth()["mirakl"]["orders"]
        world.close()
        return result, orders[0]["order_id"] if orders else ""

    async def _trade(self, settings: Settings, database: Database, sandbox: Sandbox, clock: AcceleratedClock) -> None:
        """Run the engine until everything that was bought has come to its end."""
        ports = Ports(clock, RandomIds(), SystemRng(), TcpNet(), PostgresDb(database.engine_url))
        service = Service(settings, os.environ, ports, master_key_of(settings, os.environ), self._metrics, lease_seconds=LEASE_SECONDS)
        async with anyio.create_task_group() as group:
            group.start_soon(service.run)
            await service.started.wait()
            await self._watch(settings, database, sandbox)
            service.stop()

    async def _watch(self, settings: Settings, database: Database, sandbox: Sandbox) -> None:
        watching = await PostgresDb(database.engine_url).connect()
        clock, moved, since = SystemClock(), None, SystemClock().monotonic()
        board = Board(self._console, sandbox.world.actors.plan.marketplace_orders)
        try:
            with Live(console=self._console, refresh_per_second=4, transient=True) as live:
                while True:
                    looked = clock.monotonic()
                    glance = sandbox.glance()
                    took = clock.monotonic() - looked
                    state = await is_settled(watching, settings, sandbox, glance, lenient=self._lenient)
                    live.update(board.shown(glance, state))
                    if state.settled:
                        return
                    now: Any = (state, board.done)
                    if now != moved:
                        moved, since = now, clock.monotonic()
                    if clock.monotonic() - since > PATIENCE:
                        return  # what is missing is told by the proof
                    await clock.sleep(max(LOOK_EVERY, MOSTLY * took))
        finally:
            await watching.close()
