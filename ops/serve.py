"""`crossdock serve`: the engine for real, until it is told to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO, cast

import anyio
import structlog
from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.metrics import Metrics
from engine.migrate import check_schema, migrate
from engine.ports import PostgresDb, RandomIds, SystemClock, SystemRng, TcpNet
from ops.database import master_key_of, open_database, prove_master_key
from ops.logs import configure_logs
from ops.service import Ports, Service
from ops.settings import Settings, read_settings

LOOK_EVERY = 0.25  # seconds between two looks at the sweep, in a terminal
STOP_SECONDS = 25.0  # from SIGTERM to the end, whatever is under way; correctness does not depend on it


async def serve(path: Path, url: str, environment: Mapping[str, str]) -> int:
    settings = read_settings(path)
    clock, metrics, console = SystemClock(), Metrics(), Console(stderr=True, highlight=False)
    configure_logs(clock, metrics, stream=cast("TextIO", FileProxy(console, sys.stderr)) if console.is_terminal else None)
    with open_database(settings, environment, url=url) as database:
        if database.directory is not None:
            await migrate(database.owner_url)  # nobody else could
        ports = Ports(clock, RandomIds(), SystemRng(), TcpNet(), PostgresDb(database.engine_url))
        await prove_key(ports, settings, environment)
        service = Service(settings, environment, ports, master_key_of(settings, environment), metrics)
        stop_on_signals(service)
        async with shown(console, metrics, settings.tenant.id):
            await service.run()
    return 0


async def prove_key(ports: Ports, settings: Settings, environment: Mapping[str, str]) -> None:
    """Raises StartupError, also where the database is not at this version."""
    conn = await ports.db.connect()
    try:
        await check_schema(conn)
        await prove_master_key(conn, settings, environment)
    finally:
        await conn.close()


@asynccontextmanager
async def shown(console: Console, metrics: Metrics, tenant: str) -> AsyncIterator[None]:
    """In a terminal: how far the sweep of the stock is, while it is under way."""
    if not console.is_terminal:
        yield
        return
    columns = (TextColumn("items of the shop counted"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task("", visible=False)

        async def follow() -> None:
            while True:
                told, total = (_value(metrics, name, tenant) for name in ("stock_sweep_items", "stock_sweep_total_items"))
                progress.update(task, completed=told, total=total, visible=told < total)
                await SystemClock().sleep(LOOK_EVERY)

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            yield
            group.cancel_scope.cancel()


def _value(metrics: Metrics, name: str, tenant: str) -> float:
    return metrics.registry.get_sample_value(f"crossdock_{name}", {"tenant": tenant}) or 0.0


def stop_on_signals(service: Service) -> None:
    """SIGTERM or SIGINT drains; a second one, or 25 seconds, ends it where it stands."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        structlog.get_logger().info("stopping")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, os._exit, 1)
        loop.call_later(STOP_SECONDS, os._exit, 1)
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
