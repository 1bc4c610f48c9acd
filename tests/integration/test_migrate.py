"""Bringing a database to this version: twice at once, by an ordinary login, and never backwards."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import anyio
import asyncpg
import pytest

from engine.errors import StartupError
from engine.migrate import MIGRATIONS, check_schema, migrate
from ops.postgres import EmbeddedPostgres
from tests.conftest import Database, Server

pytestmark = pytest.mark.anyio

NAMES = sorted(path.name for path in MIGRATIONS.glob("*.sql"))


@pytest.fixture
async def empty(postgres: Server) -> AsyncIterator[str]:
    """The name of a database with nothing in it."""
    name = f"crossdock_empty_{secrets.token_hex(4)}"
    await postgres.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Any]:
    conn = await asyncpg.connect(database.admin_url)
    yield conn
    await conn.close()


async def test_everything_is_applied_in_order_and_once(postgres: Server, empty: str) -> None:
    assert await migrate(postgres.url(empty)) == NAMES
    assert await migrate(postgres.url(empty)) == []


async def test_two_that_start_at_once_do_not_collide(postgres: Server, empty: str) -> None:
    applied: list[list[str]] = []

    async def start() -> None:
        applied.append(await migrate(postgres.url(empty)))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(start)
    assert sorted(applied) == [[], [], [], NAMES]


async def test_two_databases_of_a_new_server_may_be_migrated_at_once(tmp_path: Path) -> None:
    """They share their roles. On a server that has none yet they both make them, and one comes second."""
    with EmbeddedPostgres(tmp_path / "new", durable=False) as server:
        admin = await asyncpg.connect(server.url())
        await admin.execute("CREATE DATABASE twin")
        await admin.close()
        async with anyio.create_task_group() as group:
            group.start_soon(migrate, server.url())
            group.start_soon(migrate, server.url("twin"))


async def test_it_takes_no_superuser(postgres: Server) -> None:
    """A login that may make roles, and a database of its own, are enough; the roles may be there already, and be another's to give."""
    login = f"crossdock_migrator_{secrets.token_hex(4)}"
    await postgres.execute(
        f"CREATE ROLE {login} LOGIN CREATEROLE",
        f"CREATE DATABASE {login} OWNER {login}",
        f"GRANT crossdock_owner, crossdock_engine TO {login} WITH ADMIN OPTION",
    )
    try:
        parts = urlsplit(postgres.url(login))
        url = urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("role", login)])))
        assert await migrate(url) == NAMES
    finally:
        await postgres.execute(f"DROP DATABASE {login} WITH (FORCE)", f"DROP ROLE {login}")


async def test_a_newer_database_is_refused_by_name(database: Database, connection: Any) -> None:
    await connection.execute("INSERT INTO crossdock.migrations VALUES ('0999_tomorrow.sql', 'x', '2030-01-01Z')")
    with pytest.raises(StartupError, match=r"newer than this version.*0999_tomorrow\.sql.*Install"):
        await check_schema(connection)
    with pytest.raises(StartupError, match=r"0999_tomorrow\.sql"):
        await migrate(database.admin_url)


async def test_an_older_or_empty_database_is_refused_with_what_to_do(postgres: Server, empty: str, connection: Any) -> None:
    assert await check_schema(connection) == NAMES[-1]
    await connection.execute("DELETE FROM crossdock.migrations WHERE name = $1", NAMES[-1])
    with pytest.raises(StartupError, match=f"older.*{NAMES[-1]}.*crossdock migrate"):
        await check_schema(connection)
    bare = await asyncpg.connect(postgres.url(empty))
    with pytest.raises(StartupError, match="older"):
        await check_schema(bare)
    await bare.close()


async def test_a_file_that_was_altered_after_it_was_applied_is_refused(database: Database, connection: Any, tmp_path: Path) -> None:
    for path in MIGRATIONS.glob("*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / NAMES[0]).write_text((tmp_path / NAMES[0]).read_text() + "-- harmless\n")
    with pytest.raises(StartupError, match=f"{NAMES[0]} was altered"):
        await migrate(database.admin_url, directory=tmp_path)
    with pytest.raises(StartupError, match="altered"):
        await check_schema(connection, tmp_path)


async def test_a_migration_that_fails_leaves_what_was_before_it(database: Database, connection: Any, tmp_path: Path) -> None:
    for path in MIGRATIONS.glob("*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "0998_good.sql").write_text("SET LOCAL ROLE crossdock_owner; CREATE TABLE crossdock.good ();")
    (tmp_path / "0999_bad.sql").write_text("SET LOCAL ROLE crossdock_owner; CREATE TABLE crossdock.bad (); SELECT 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database.admin_url, directory=tmp_path)
    assert await connection.fetchval("SELECT to_regclass('crossdock.good') IS NOT NULL AND to_regclass('crossdock.bad') IS NULL")
    (tmp_path / "0999_bad.sql").write_text("SET LOCAL ROLE crossdock_owner; CREATE TABLE crossdock.bad ();")
    assert await migrate(database.admin_url, directory=tmp_path) == ["0999_bad.sql"]


async def test_what_was_put_before_gets_its_turn_from_when_it_falls_due(postgres: Server, empty: str, tmp_path: Path) -> None:
    for path in MIGRATIONS.glob("*.sql"):
        if path.name < "0008":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    await migrate(postgres.url(empty), directory=tmp_path)
    conn = await asyncpg.connect(postgres.url(empty))
    try:
        await conn.execute(
            "INSERT INTO crossdock.outbox (tenant, command_id, target, tag, class, lane, turn, subject, issued_after, nth, body,"
            " correlation_id, issued_at, due_at, attempt)"
            " SELECT 'acme', md5(n::text)::uuid, 'clock', 'remind', 'A', 10, '2026-01-01 00:02:30Z', n, n, 0,"
            " '{}', md5('')::uuid, '2026-01-01Z', due, attempt"
            " FROM (VALUES (1, timestamptz '2026-01-22Z', 0), (2, '2026-01-01Z', 0), (3, '2026-01-01 00:05Z', 1)) AS put (n, due, attempt)"
        )
        await migrate(postgres.url(empty))
        rows = await conn.fetch("SELECT turn - due_at AS after FROM crossdock.outbox ORDER BY issued_after")
        assert [row["after"].total_seconds() for row in rows] == [150, 150, -150]  # the last was put back: it keeps its turn
    finally:
        await conn.close()


async def test_a_database_of_another_encoding_is_refused(postgres: Server) -> None:
    name = f"crossdock_latin_{secrets.token_hex(4)}"
    await postgres.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(asyncpg.RaiseError, match="UTF8"):
            await migrate(postgres.url(name))
    finally:
        await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_what_is_made_belongs_to_the_owner_and_begins_with_the_tenant(connection: Any) -> None:
    strangers = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'crossdock'::regnamespace AND relowner <> 'crossdock_owner'::regrole"
        " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'crossdock'::regnamespace AND proowner <> 'crossdock_owner'::regrole"
    )
    assert strangers == []
    elsewhere = await connection.fetch(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
        " JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]"
        " WHERE t.relnamespace = 'crossdock'::regnamespace AND t.relname <> 'migrations' AND a.attname <> 'tenant'"
    )
    assert elsewhere == []


async def test_the_database_keeps_no_time_chance_or_sequence_of_its_own(connection: Any) -> None:
    """Whatever a row says was said by the engine, so that a simulation can say it too."""
    assert await connection.fetchval("SELECT count(*) FROM pg_sequences WHERE schemaname = 'crossdock'") == 0
    assert await connection.fetchval("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 0
    text = "\n".join(path.read_text() for path in MIGRATIONS.glob("*.sql")).lower()
    for word in ("now()", "current_timestamp", "clock_timestamp", "gen_random_uuid", "random()", "nextval", "create extension"):
        assert word not in text
