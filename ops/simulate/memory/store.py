"""Where a play of tier 1 keeps its database: here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.ports import Db
from ops.simulate.loop import Process, SimLoop
from ops.simulate.memory.connection import MemoryDb
from ops.simulate.memory.database import Database
from ops.simulate.memory.faults import Calm, Weather
from ops.simulate.memory.registry import find
from ops.simulate.memory.transaction import Transaction
from ops.simulate.store import CONNECTIONS


class InMemory:
    """The database of one play. The loop tells it which processes are no more (ops.simulate.loop.Wires)."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.db: Db = MemoryDb(database, size=CONNECTIONS)

    def ask(self, sql: str) -> list[str]:
        """The first column of what it answers at once."""
        found = find(sql).answer(Transaction(self.database, None, alone=True))
        return [str(row[0]) for row in found]

    def carries(self, address: object) -> bool:
        """Nobody calls by address."""
        return False

    async def connect(self, factory: object, address: object) -> Any:
        raise ConnectionRefusedError(111, f"{factory} {address}")

    async def listen(self, factory: object, host: str, port: int) -> Any:
        raise NotImplementedError(f"{factory} {host}:{port}")

    def cut(self, process: Process) -> None:
        """Its sessions end, and what they had not committed is undone."""
        for session in list(self.database.sessions.values()):
            if session.process is process:
                session.vanish()


class MemoryStore:
    """`weather`, made for each play from its loop and seed, says what befalls its statements."""

    def __init__(self, weather: Callable[[SimLoop, int], Weather] = lambda _, seed: Calm(f"database {seed}")) -> None:
        self._weather = weather

    @contextmanager
    def open(self, loop: SimLoop, seed: int) -> Iterator[InMemory]:
        stored = InMemory(Database(self._weather(loop, seed)))
        loop.wires.append(stored)
        try:
            yield stored
        finally:
            loop.wires.remove(stored)
