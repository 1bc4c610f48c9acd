"""Where is it measured? In a database of its own on a server that keeps what it acknowledges, and by one clock."""

import contextlib
import gc
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engine.log import Log
from engine.metrics import Metrics
from engine.migrate import migrate
from engine.ports import PostgresDb, SystemClock, SystemRng
from engine.runner import ensure_tables
from engine.vault import Vault
from ops.bench.life import TENANT
from ops.database import as_engine
from ops.postgres import ENGINE, EmbeddedPostgres
from projections.orders import orders

MASTER = bytes(range(32))
clock = SystemClock()


@dataclass(frozen=True)
class Server:
    """Where databases can be made."""

    owner_url: str
    engine_url: Callable[[str], str]  # of a database, from its owner's
    embedded: bool


def server_of(postgres: EmbeddedPostgres) -> Server:
    return Server(postgres.url("postgres"), lambda owner: postgres.url(urlsplit(owner).path.strip("/"), ENGINE), embedded=True)


@contextlib.contextmanager
def server_at(url: str) -> Iterator[Server]:
    """The one that is there; without a URL one brought along."""
    if url:
        yield Server(url, as_engine, embedded=False)
        return
    with scratch() as directory, EmbeddedPostgres(directory / "postgres") as postgres:
        yield server_of(postgres)


@dataclass
class Place:
    """A database with a log in it, and a pool as the engine."""

    owner_url: str
    engine_url: str
    pool: Any
    log: Log
    vault: Vault
    embedded: bool
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 40)))

    async def execute(self, statement: str) -> None:
        """As the owner."""
        conn = await PostgresDb(self.owner_url, command_timeout=600.0).connect()
        try:
            await conn.execute(statement)
        finally:
            await conn.close()


@contextlib.asynccontextmanager
async def place(server: Server) -> AsyncIterator[Place]:
    """A database on that server, dropped afterwards."""
    name = f"crossdock_bench_{SystemRng().token(4).hex()}"
    admin = await PostgresDb(server.owner_url, command_timeout=600.0).connect()
    try:
        if (durable := await admin.fetchval("SELECT current_setting('fsync')")) != "on":
            raise RuntimeError(f"fsync is {durable}: nothing measured here would mean anything")
        await admin.execute(f"CREATE DATABASE {name}")
        mine = urlunsplit(urlsplit(server.owner_url)._replace(path=f"/{name}"))
        try:
            await migrate(mine)
            async with opened(server.engine_url(mine), size=12, owner_url=mine, embedded=server.embedded) as where:
                async with where.pool.acquire() as conn:
                    await ensure_tables(conn, [orders])
                yield where
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@contextlib.asynccontextmanager
async def opened(engine_url: str, *, size: int = 20, owner_url: str = "", embedded: bool = False) -> AsyncIterator[Place]:
    """A database that is there. `size`: connections at most; without `owner_url` nothing can be executed as the owner."""
    pool = await PostgresDb(engine_url, size=size, command_timeout=600.0).pool()
    try:
        vault = Vault(pool, TENANT, MASTER)
        yield Place(owner_url, engine_url, pool, Log(pool, TENANT, vault, clock, Metrics()), vault, embedded)
    finally:
        await pool.close()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory on the disk that is here, which the server's user may pass; gone afterwards."""
    near = Path.cwd() if os.access(Path.cwd(), os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-", dir=near) as name:
        directory = Path(name)
        directory.chmod(0o711)
        (directory / "postgres").mkdir(mode=0o711)
        yield directory


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """What was made to be measured with is out of the garbage collector's sight: looking through it is not ours to time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def timed(work: Awaitable[Any]) -> float:
    began = clock.monotonic()
    await work
    return clock.monotonic() - began
