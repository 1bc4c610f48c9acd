"""The same statements to a real Postgres and to the memory, side by side: every answer, error and wait, and in the end all rows."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import asyncpg

from engine.runner import Table
from ops.service import PROJECTIONS
from ops.simulate.memory import Database, MemoryDb
from ops.simulate.memory.shards import shard_of
from tests.simulation.calls import UNORDERED, Call

SESSIONS = 3
SOON = 0.004  # seconds within which a statement that waits for nothing is mostly answered
LOOKS = 500  # at a session that waits where none should
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'"
TABLES = {  # with their keys
    "events": "tenant, position",
    "heads": "tenant",
    "leases": "tenant, name",
    "cursors": "tenant, name",
    "keys": "tenant, subject",
    "checkpoints": "tenant, name",
    "outbox": "tenant, command_id",
    "calls": "tenant, target, endpoint",
    "tiles": "tenant, level, nth",
}
SOMETHING = {  # what does or finds nothing mostly, unless it is drawn well
    *(f"engine.outbox.{constant}" for constant in ("CLAIM", "FINISH", "PUT_BACK")),
    *("engine.lease.TAKE", "engine.lease.BEAT", "engine.limits.COUNT_CALL", "engine.poller.SAVE_CURSOR", "runner.Table.move"),
    *("engine.vault.ERASE", "engine.vault.FIND_ERASED", "engine.log.READ_SEALED"),
    *(f"engine.erasure.{constant}" for constant in ("RESURRECTED", "UNTOLD", "LIVING", "EVER")),
    *(f"ops.privacy.{constant}" for constant in ("UNANSWERED", "OURS", "FOLDED")),
    *(f"engine.tiles.{constant}" for constant in ("EDGE", "FIND", "PUT", "FORGET")),
    "ops.evidence.guard.HEED_CALLS",
    *(f"ops.evidence.resume.{constant}" for constant in ("WAITING", "UNKNOWN", "BEHIND", "DOUBT", "ASKED", "ROW", "REWRITE", "DROP")),
}
Rows = list[tuple[Any, ...]]
C = TypeVar("C")


class Answer(NamedTuple):
    """What came of a call, in a form in which two can be compared."""

    rows: Any
    error: tuple[Any, ...] | None = None


async def asked(connection: Any, call: Call) -> Answer:
    """Errors are told apart as the product does: by class and constraint."""
    try:
        match call.how:
            case "fetch":
                rows = await connection.fetch(call.text, *call.arguments)
                found = [tuple(zip(row.keys(), map(_plain, row.values()), strict=True)) for row in rows]
                return Answer(sorted(found, key=repr) if call.name in UNORDERED else found)
            case "execute":
                return Answer(await connection.execute(call.text, *call.arguments))
        chunks: list[bytes] = []

        async def take(chunk: bytes) -> None:
            chunks.append(bytes(chunk))

        status = await connection.copy_from_query(call.text, *call.arguments, output=take, format=call.how)
        return Answer((status, b"".join(chunks)))
    except asyncpg.PostgresError as error:
        return Answer(None, (type(error), error.sqlstate, error.constraint_name))


def _plain(value: Any) -> Any:
    """With its time zone, where it has one."""
    return value.isoformat() if hasattr(value, "isoformat") else value


class Side(Generic[C]):
    """A few sessions with one of the two."""

    def __init__(self, connections: Sequence[C]) -> None:
        self.connections = list(connections)
        self.asking: list[asyncio.Task[Answer] | None] = [None] * len(connections)

    @property
    def waiting(self) -> list[int]:
        return [session for session, task in enumerate(self.asking) if task is not None]

    def ask(self, session: int, call: Call) -> None:
        self.asking[session] = asyncio.get_running_loop().create_task(asked(self.connections[session], call))

    async def is_blocked(self, session: int) -> bool:
        raise NotImplementedError

    async def settle(self, expected: Collection[int] | None = None) -> dict[int, Answer]:
        """Whoever was answered. The others wait for a lock; where others do than are expected to, it is looked at again for a while: a
        server's process is not there as soon as its lock is.
        """
        answers: dict[int, Answer] = {}
        looks = 0
        while waiting := [(session, task) for session, task in enumerate(self.asking) if task is not None]:
            await asyncio.wait([task for _, task in waiting], timeout=SOON)
            done = [session for session, task in waiting if task.done()]
            for session in done:
                task, self.asking[session] = self.asking[session], None
                assert task is not None
                answers[session] = task.result()
            left = [session for session, _ in waiting if session not in done]
            if not done and all([await self.is_blocked(session) for session in left]):
                looks += 1
                if expected is None or set(left) == set(expected) or looks > LOOKS:
                    break
        return answers


class Postgres(Side[Any]):
    def __init__(self, connections: Sequence[Any], admin: Any, connect: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(connections)
        self.admin, self._connect = admin, connect

    async def renew(self) -> None:
        """Other sessions, which have begun nothing."""
        for connection in self.connections:
            connection.terminate()
        await asyncio.gather(*(task for task in self.asking if task is not None), return_exceptions=True)
        super().__init__([await self._connect() for _ in self.connections])

    def terminate(self) -> None:
        for connection in (*self.connections, self.admin):
            connection.terminate()

    async def is_blocked(self, session: int) -> bool:
        return bool(await self.admin.fetchval(BLOCKED, self.connections[session].get_server_pid()))

    async def tables(self) -> dict[str, Rows]:
        found = {}
        for table, key in TABLES.items():
            rows = await self.admin.fetch(f"SELECT * FROM crossdock.{table} ORDER BY {key}")
            found[table] = [tuple(map(_plain, row.values())) for row in rows]
        for made in await self.admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'projections' ORDER BY 1"):
            rows = await self.admin.fetch(f"SELECT * FROM projections.{made['tablename']} ORDER BY tenant, key")
            found[made["tablename"]] = [tuple(row.values()) for row in rows]
        return found


class Memory(Side[Any]):
    def __init__(self, connections: Sequence[Any], database: Database) -> None:
        super().__init__(connections)
        self.database = database

    async def is_blocked(self, session: int) -> bool:
        transaction = self.connections[session]._protocol.transaction
        return transaction is not None and transaction.waiting is not None

    async def tables(self) -> dict[str, Rows]:
        return tables_of(self.database)


def tables_of(database: Database) -> dict[str, Rows]:
    """All that is committed, as SELECT * would give it."""
    events: Rows = []
    heads: Rows = []
    for tenant, log in sorted(database.logs.items()):
        committed = log.events[: log.ends]
        events += [(tenant, *map(_plain, event), shard_of(event["stream"])) for event in committed]
        if log.begun:
            heads.append((tenant, log.ends, committed[-1]["hash"] if committed else bytes(32)))
    found = {
        "events": events,
        "heads": heads,
        "leases": _table(database.leases, lambda key, row: (key, *row)),
        "cursors": _table(database.cursors, lambda key, row: (key, *row)),
        "keys": _table(database.keys, lambda key, row: (key, *row)),
        "checkpoints": _table(database.checkpoints, lambda key, row: (key, *row)),
        "outbox": _table(database.outbox, lambda _, row: tuple(getattr(row, field) for field in row.__struct_fields__)),
        "calls": _table(database.calls, lambda key, at: (*key, at)),
        "tiles": _table(database.tiles, lambda key, hashes: (*key, hashes)),
    }
    for name, made in database.catalogue.committed(""):
        found[name] = _table(made.table, lambda key, row: (key, row.text, row.position))
    return found


def _table(table: Any, values: Any) -> Rows:
    return [
        (tenant, *map(_plain, values(key, row)))
        for tenant in sorted(table.slots)
        for key, row in sorted(table.committed(tenant), key=lambda pair: pair[0])
    ]


class Twins:
    """Both, from the same empty tables on."""

    def __init__(self, postgres: Postgres, memory: Memory) -> None:
        self.postgres, self.memory = postgres, memory
        self.seen: Counter[str] = Counter()

    @property
    def blocked(self) -> list[int]:
        return self.postgres.waiting

    async def ask(self, session: int, call: Call) -> dict[int, Answer]:
        """Asks both, and compares what everybody is answered; who is not in the answer waits for a lock, on both sides."""
        for side in (self.postgres, self.memory):
            side.ask(session, call)
        ours = await self.memory.settle()
        theirs = await self.postgres.settle(self.memory.waiting)
        assert ours == theirs, f"session {session}: {call}\nPostgres: {theirs}\nmemory:   {ours}"
        self._note(session, call, theirs)
        return theirs

    def _note(self, session: int, call: Call, answers: dict[int, Answer]) -> None:
        """What there was of everything: a test that never meets something proves nothing of it."""
        self.seen[call.name] += 1
        if session not in answers:
            self.seen["a wait"] += 1
        for asker, answer in answers.items():
            if asker != session:
                self.seen["a wait that ended"] += 1
            if answer.error is not None:
                self.seen[answer.error[0].__name__] += 1
            elif call.name in SOMETHING and asker == session and answer.rows and not str(answer.rows).endswith(" 0"):
                self.seen[f"{call.name}, not in vain"] += 1
            if call.name == "engine.log.APPEND" and asker == session and answer.rows:
                verdicts = dict(answer.rows[0])["verdicts"]
                self.seen.update(verdicts or ["all appended"])
            if call.name == "engine.log.APPEND_ONE" and asker == session and answer.rows:
                self.seen["one appended" if dict(answer.rows[0])["append_one"] else "one not appended"] += 1

    async def compare(self) -> None:
        """Every row of every table."""
        theirs, ours = await self.postgres.tables(), await self.memory.tables()
        for name, rows in theirs.items():
            assert ours.get(name, []) == rows, f"{name}\nPostgres: {rows}\nmemory:   {ours.get(name)}"
        assert ours.keys() == theirs.keys()


async def postgres_of(engine_url: str, admin_url: str) -> Postgres:
    """Sessions of the engine's login, on a migrated database, with the tables of every projection."""
    from engine.ports import PostgresDb  # noqa: PLC0415 - the port itself

    db = PostgresDb(engine_url)
    connections = [await db.connect() for _ in range(SESSIONS)]
    await made(connections[0])
    return Postgres(connections, await asyncpg.connect(admin_url), db.connect)


async def memory_of() -> Memory:
    database = Database()
    db = MemoryDb(database)
    connections = [await db.connect() for _ in range(SESSIONS)]
    await made(connections[0])
    return Memory(connections, database)


async def made(connection: Any) -> None:
    """The tables of projections."""
    for projection in PROJECTIONS:
        table = Table(projection.name)
        for statement in (table.make, *(table.index_by(by, what) for by, what in projection.indexes)):
            await connection.execute(statement)


async def emptied(postgres: Postgres) -> None:
    for connection in postgres.connections:
        await connection.execute("SELECT pg_advisory_unlock_all()")
    names = [*(f"crossdock.{table}" for table in TABLES), *(f"projections.{projection.name}" for projection in PROJECTIONS)]
    await postgres.admin.execute(f"TRUNCATE {', '.join(names)}; DROP TABLE IF EXISTS projections.shadow_orders_of_a_test")
