"""Brings a database to this version's tables, and refuses one that it does not understand.

Migrations are plain numbered SQL files. Each is applied once, in order, in a transaction of its own, and recorded with its digest.
"""

import hashlib
from pathlib import Path
from typing import Any

import asyncpg

from engine.errors import StartupError
from engine.ports import Clock, PostgresDb, SystemClock

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x63726F7373646F63  # "crossdoc"; of the database, not of a tenant
PATIENCE = 600.0  # seconds for one migration, and for another process's to end

WAIT_LONG = "SELECT set_config('lock_timeout', '600s', false)"
TAKE_LOCK = "SELECT pg_advisory_lock($1)"
IS_MIGRATED = "SELECT to_regclass('crossdock.migrations') IS NOT NULL"
APPLIED = "SELECT name, sha256 FROM crossdock.migrations ORDER BY name"
RECORD = "INSERT INTO crossdock.migrations (name, sha256, applied_at) VALUES ($1, $2, $3)"


async def migrate(url: str, clock: Clock | None = None, directory: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing and return the names of what was applied; a second process waits for the first, and then has nothing to do.

    `url` is that of a login that may make roles and schemas. Raises StartupError if the database is newer, or a file was altered.
    """
    files = _files(directory)
    conn = await PostgresDb(url, command_timeout=PATIENCE).connect()
    try:
        await conn.execute(WAIT_LONG)
        await conn.execute(TAKE_LOCK, LOCK)  # given back by closing
        applied = await _applied(conn)
        _refuse_strangers(applied, files)
        missing = [name for name in files if name not in applied]
        for name in missing:
            async with conn.transaction():
                await conn.execute(files[name].decode())
                await conn.execute("SET LOCAL ROLE crossdock_owner")
                await conn.execute(RECORD, name, _digest(files[name]), (clock or SystemClock()).now())
        return missing
    finally:
        await conn.close()


async def check_schema(conn: Any, directory: Path = MIGRATIONS) -> str:
    """Raise StartupError unless the database is exactly at this version; return the name of its last migration."""
    files = _files(directory)
    applied = await _applied(conn)
    _refuse_strangers(applied, files)
    if missing := [name for name in files if name not in applied]:
        raise StartupError(f"the database is older than this version: {', '.join(missing)} not applied. Run `crossdock migrate`.")
    return max(files)


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.glob("[0-9][0-9][0-9][0-9]_*.sql"))}


async def _applied(conn: Any) -> dict[str, str]:
    if not await conn.fetchval(IS_MIGRATED):
        return {}
    return {row["name"]: row["sha256"] for row in await conn.fetch(APPLIED)}


def _refuse_strangers(applied: dict[str, str], files: dict[str, bytes]) -> None:
    if newer := sorted(applied.keys() - files.keys()):
        raise StartupError(
            f"the database is newer than this version: it has {newer[-1]}, this version ends at {max(files)}. "
            "Install the version that migrated it, or a later one."
        )
    for name, digest in applied.items():
        if _digest(files[name]) != digest:
            raise StartupError(f"{name} was altered after it was applied here. Restore the file and write a new migration.")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ---------------------------------------------------------------- what the engine's login may do

UNDO = "; SELECT 1/0"  # sent along: one transaction with the attempt, which fails whatever became of that
FORBIDDEN = {  # none of these does anything where it is allowed after all: each is rolled back
    "insert events": "INSERT INTO crossdock.events (tenant) SELECT tenant FROM crossdock.events WHERE false",
    "update events": "UPDATE crossdock.events SET actor = actor WHERE false",
    "delete events": "DELETE FROM crossdock.events WHERE false",
    "truncate events": "TRUNCATE crossdock.events",
    "alter events": "ALTER TABLE crossdock.events ADD COLUMN proof integer",
    "drop events": "DROP TABLE crossdock.events CASCADE",
    "insert heads": "INSERT INTO crossdock.heads SELECT * FROM crossdock.heads WHERE false",
    "update heads": "UPDATE crossdock.heads SET position = position WHERE false",
    "delete heads": "DELETE FROM crossdock.heads WHERE false",
    "truncate heads": "TRUNCATE crossdock.heads",
    "alter heads": "ALTER TABLE crossdock.heads ADD COLUMN proof integer",
    "update migrations": "UPDATE crossdock.migrations SET sha256 = sha256 WHERE false",
    "create tables beside the log": "CREATE TABLE crossdock.proof ()",
    "replace append_events": "DROP FUNCTION crossdock.append_events",
    "replace append_one": "DROP FUNCTION crossdock.append_one",
    "switch off triggers and rules": "SET LOCAL session_replication_role = replica",
}
NEEDED = {
    "read events": "SELECT position FROM crossdock.events WHERE false",
    "read heads": "SELECT position FROM crossdock.heads WHERE false",
    "append": (
        "SELECT * FROM crossdock.append_events"
        "('', '2000-01-01Z', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', true)"
    ),
    "append one": "SELECT crossdock.append_one('', null, '', 0, null, null, null, '', 1, '', '', null, null, null, null, '')",
}


# Of a statement that ended so, nobody knows whether it would have been allowed: begin again.
NO_ANSWER = (
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.OperatorInterventionError,
)


async def prove_privileges(conn: Any) -> None:
    """Try everything that the engine must not be able to do to the log, and what it must; raise StartupError naming what went wrong.

    Nothing is changed: each attempt is rolled back, and those on rows concern none.
    """
    could = [what for what, statement in FORBIDDEN.items() if await _may(conn, statement)]
    if could:
        raise StartupError(f"this login can {', '.join(could)}. Run the engine as crossdock_engine, which cannot.")
    cannot = [what for what, statement in NEEDED.items() if not await _may(conn, statement)]
    if cannot:
        raise StartupError(f"this login cannot {', '.join(cannot)}. Run the engine as crossdock_engine, and `crossdock migrate` first.")


async def _may(conn: Any, statement: str) -> bool:
    """Whether the server lets us; an attempt that fails for another reason was let through, unless the server was in no state to say."""
    try:
        await conn.execute(statement + UNDO)
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.UndefinedTableError,
        asyncpg.UndefinedFunctionError,
        asyncpg.InvalidSchemaNameError,
    ):
        return False
    except NO_ANSWER:
        raise
    except asyncpg.PostgresError:
        return True
    raise AssertionError("what undoes an attempt always fails")
