"""A Postgres for plays: brought along, migrated once, and quiet."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.migrate import migrate
from ops.postgres import EmbeddedPostgres
from ops.simulate.bridge import Monitor
from ops.simulate.store import PostgresStore

TEMPLATE = "crossdock_play_template"


@contextmanager
def own_server() -> Iterator[PostgresStore]:
    """One that nothing outlives: what a crash of the machine would take, nobody will miss."""
    with tempfile.TemporaryDirectory(prefix="crossdock-simulate-") as directory, EmbeddedPostgres(Path(directory), durable=False) as server:
        yield prepared(server)


def prepared(server: EmbeddedPostgres) -> PostgresStore:
    """Plays on that server, which nobody else must be using for anything that counts: it is told to leave off what it does by itself."""
    admin = server.url("postgres")
    monitor = Monitor(admin)
    try:
        monitor.query("ALTER SYSTEM SET autovacuum = off")  # when it comes, and what it locks, nobody could repeat
        monitor.query("SELECT pg_reload_conf()")
        monitor.query(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
        monitor.query(f"CREATE DATABASE {TEMPLATE}")
    finally:
        monitor.close()
    asyncio.run(migrate(server.url(TEMPLATE)))
    return PostgresStore(admin, TEMPLATE)
