"""Where a play keeps its database: tier 2 on a real Postgres, a database of its own for each play."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from engine.ports import Db, PostgresDb
from ops.database import as_engine
from ops.simulate.bridge import Bridge, Monitor
from ops.simulate.loop import SimLoop

CONNECTIONS = 13  # of each engine: ten that are kept, as engine/ports.py says, and three; opening them is what a start costs most

# Whether an engine is at work: it has heard of the shop, and a stock file of its is finished.
AT_WORK = """SELECT 1 FROM crossdock.events WHERE type = 'stock_import_finished'
    AND EXISTS (SELECT FROM crossdock.events WHERE type = 'platform_seen') LIMIT 1"""


class Stored(Protocol):
    """The database of one play. Its sessions end with their process (`SimLoop.kill` tells the wires)."""

    @property
    def db(self) -> Db:
        """The port, for an engine or for whoever watches."""
        ...

    def ask(self, sql: str) -> list[str]:
        """The first column of what it answers at once, from beside the play."""
        ...


class Store(Protocol):
    """Makes databases, migrated and empty."""

    def open(self, loop: SimLoop, seed: int) -> AbstractContextManager[Stored]:
        """One for a play in that loop, gone afterwards."""
        ...


class OnPostgres:
    """One play's database on a real server, through the bridge."""

    def __init__(self, url: str, bridge: Bridge) -> None:
        self.url, self.bridge = url, bridge
        self.db: Db = PostgresDb(as_engine(url), size=CONNECTIONS)

    def ask(self, sql: str) -> list[str]:
        return self.bridge.monitor.query(sql)


class PostgresStore:
    """Copies of a migrated template on that server, by a login that may create databases and needs no password."""

    def __init__(self, admin_url: str, template: str, name: str = "play") -> None:
        self.admin_url, self.template, self._name = admin_url, template, f"crossdock_{name}"

    @contextmanager
    def open(self, loop: SimLoop, seed: int) -> Iterator[OnPostgres]:
        admin = Monitor(self.admin_url)
        try:
            admin.query(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
            admin.query(f"CREATE DATABASE {self._name} TEMPLATE {self.template}")
            url = urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{self._name}"))
            bridge = Bridge(loop, url, seed)
            try:
                yield OnPostgres(url, bridge)
            finally:
                bridge.close()
        finally:
            admin.query(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")
            admin.close()
