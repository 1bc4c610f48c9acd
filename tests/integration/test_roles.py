"""What the engine's login may do to the log, tried and not read from a catalogue; and that start-up tries it too."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from engine.errors import StartupError
from engine.log import APPEND, APPEND_ONE
from engine.migrate import FORBIDDEN, prove_privileges
from engine.ports import SystemClock
from ops.service import Ports, Service
from tests.conftest import Database
from tests.machine import Machine, machine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as made:
        yield made


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Any]:
    conn = await asyncpg.connect(database.admin_url)
    yield conn
    await conn.close()


REFUSED = {
    **FORBIDDEN,
    "insert a whole event": (
        "INSERT INTO crossdock.events VALUES ('acme', 1, 's', 1, '00000000-0000-0000-0000-000000000001', 'x', 1, '{}', '', NULL,"
        " '2026-01-01Z', '2026-01-01Z', '00000000-0000-0000-0000-000000000001', NULL, '', '')"
    ),
    "copy into events": "COPY crossdock.events FROM STDIN",
    "lock events": "DO 'BEGIN LOCK TABLE crossdock.events IN ACCESS EXCLUSIVE MODE; END'",
    "add a trigger": "CREATE TRIGGER t BEFORE INSERT ON crossdock.events EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "add a rule": "CREATE RULE r AS ON INSERT TO crossdock.events DO INSTEAD NOTHING",
    "index events": "CREATE INDEX ON crossdock.events (actor)",
    "own events": "ALTER TABLE crossdock.events OWNER TO crossdock_engine",
    "replace the function": "CREATE OR REPLACE FUNCTION crossdock.append_events() RETURNS void LANGUAGE sql AS ''",
    "drop the schema": "DROP SCHEMA crossdock CASCADE",
    "alter leases": "ALTER TABLE crossdock.leases DROP COLUMN epoch",
    "truncate keys": "TRUNCATE crossdock.keys",
    "record a migration": "INSERT INTO crossdock.migrations VALUES ('0999', '', '2026-01-01Z')",
}


async def test_the_engine_can_only_append_and_read(engine: Machine) -> None:
    let_through = []
    for what, statement in REFUSED.items():
        try:
            await engine.pool.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        let_through.append(what)
    assert let_through == []
    await engine.pool.execute("GRANT ALL ON crossdock.events TO crossdock_engine")  # a grant of nothing is a warning, not an error …
    assert not await engine.pool.fetchval("SELECT has_table_privilege('crossdock.events', 'INSERT')")  # … and gives nothing


async def test_start_up_is_content_with_the_engines_login_and_changes_nothing(engine: Machine) -> None:
    async with engine.pool.acquire() as conn:
        await prove_privileges(conn)
    assert await engine.log.head() == 0
    assert await engine.pool.fetchval("SELECT count(*) FROM crossdock.heads") == 0


async def test_start_up_refuses_a_login_that_can_do_anything(admin: Any) -> None:
    with pytest.raises(StartupError) as raised:
        await prove_privileges(admin)
    for what in FORBIDDEN:
        assert what in str(raised.value)
    assert await admin.fetchval("SELECT to_regclass('crossdock.events') IS NOT NULL"), "every attempt is taken back"
    assert await admin.fetchval("SELECT to_regprocedure('crossdock.proof()') IS NULL")


GRANTS = {
    "insert events": "GRANT INSERT ON crossdock.events TO crossdock_engine",
    "update events": "GRANT UPDATE (actor) ON crossdock.events TO crossdock_engine",
    "delete events": "GRANT DELETE ON crossdock.events TO crossdock_engine",
    "truncate events": "GRANT TRUNCATE ON crossdock.events TO crossdock_engine",
    "update heads": "GRANT ALL ON crossdock.heads TO crossdock_engine",
    "create tables beside the log": "GRANT CREATE ON SCHEMA crossdock TO crossdock_engine",
    "alter events": "ALTER TABLE crossdock.events OWNER TO crossdock_engine",
}


async def test_start_up_names_each_right_too_many(engine: Machine, admin: Any) -> None:
    for what, grant in GRANTS.items():
        await admin.execute(grant)
        async with engine.pool.acquire() as conn:
            with pytest.raises(StartupError, match=f"this login can .*{what}.*crossdock_engine"):
                await prove_privileges(conn)


async def test_a_table_that_somebody_has_locked_proves_nothing(engine: Machine, admin: Any) -> None:
    port: Any = None
    service = Service(port, {}, Ports(SystemClock(), port, port, port, port), bytes(32))
    violation = service.metrics.db_privilege_violation
    async with engine.pool.acquire() as conn:
        await conn.execute("SET lock_timeout = '100ms'")
        async with admin.transaction():
            await admin.execute("LOCK TABLE crossdock.events IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await service._prove(conn)
        assert violation._value.get() == 0.0
        await service._prove(conn)
        await admin.execute(GRANTS["insert events"])
        with pytest.raises(StartupError):
            await service._prove(conn)
        assert violation._value.get() == 1.0


MISSING = {
    "read heads": "REVOKE SELECT ON crossdock.heads FROM crossdock_engine",
    "append": "REVOKE EXECUTE ON FUNCTION crossdock.append_events FROM crossdock_engine",
    "append one": "REVOKE EXECUTE ON FUNCTION crossdock.append_one FROM crossdock_engine",
    "read events": "REVOKE SELECT ON crossdock.events FROM crossdock_engine",
}


async def test_start_up_names_each_right_too_few(engine: Machine, admin: Any) -> None:
    for what, revocation in MISSING.items():
        await admin.execute(revocation)
        async with engine.pool.acquire() as conn:
            with pytest.raises(StartupError, match=f"cannot .*{what}"):
                await prove_privileges(conn)


async def test_nobody_else_on_the_server_may_read_or_append(admin: Any) -> None:
    await admin.execute("CREATE ROLE crossdock_stranger")
    try:
        await admin.execute("SET ROLE crossdock_stranger")
        for statement in (
            "SELECT FROM crossdock.events",
            "SELECT FROM crossdock.keys",
            "SELECT crossdock.append_events()",
            "SELECT crossdock.append_one()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await admin.execute(statement)
    finally:
        await admin.execute("RESET ROLE")
        await admin.execute("DROP ROLE crossdock_stranger")


async def test_appending_minds_no_objects_of_the_callers(engine: Machine) -> None:
    """It runs with its owner's rights: what a caller puts into its own search path must not be found."""
    async with engine.pool.acquire() as conn, conn.transaction():
        await conn.execute("CREATE TEMPORARY TABLE events (LIKE crossdock.events)")
        await conn.execute("CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'")
        await conn.execute("SET LOCAL search_path = pg_temp, crossdock, pg_catalog")
        assert "crossdock.append_events" in APPEND and "crossdock.append_one" in APPEND_ONE
        for name in ("append_events", "append_one"):
            settings = await conn.fetchval("SELECT proconfig FROM pg_proc WHERE proname = $1", name)
            assert "search_path=pg_catalog, pg_temp" in settings
