"""`crossdock serve`: the engine for real, until it is told to stop."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import structlog

from engine.metrics import Metrics
from engine.migrate import migrate
from engine.ports import PostgresDb, RandomIds, SystemClock, SystemRng, TcpNet
from ops.database import master_key_of, open_database
from ops.logs import configure_logs
from ops.service import Ports, Service
from ops.settings import read_settings

STOP_SECONDS = 25.0  # from SIGTERM to the end, whatever is under way; correctness does not depend on it


async def serve(path: Path, url: str, environment: Mapping[str, str]) -> int:
    settings = read_settings(path)
    clock, metrics = SystemClock(), Metrics()
    configure_logs(clock, metrics)
    with open_database(settings, environment, url=url) as database:
        if database.directory is not None:
            await migrate(database.owner_url)  # nobody else could
        ports = Ports(clock, RandomIds(), SystemRng(), TcpNet(), PostgresDb(database.engine_url))
        service = Service(settings, environment, ports, master_key_of(settings, environment), metrics)
        stop_on_signals(service)
        await service.run()
    return 0


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
