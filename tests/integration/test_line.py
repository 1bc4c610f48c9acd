"""Connections that are kept: when the server ends their session, or does not answer any more."""

import asyncio
from typing import Any

import anyio
import asyncpg
import pytest
from asyncpg.pool import PoolConnectionProxy

from engine.bell import Bell
from engine.line import KEEP_SECONDS, PLAN_AS_BEFORE, Line
from schemas.values import TenantId
from tests.conftest import Database


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("cannot switch to state 15"), asyncpg.InterfaceError("closed"), OSError()])
async def test_a_connection_that_cannot_be_given_back_whole_is_ended_and_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    """The moment of it is asyncpg's own and cannot be had on command; the pool, the connection and the server are real."""
    execute = PoolConnectionProxy.execute

    async def broken(conn: Any, statement: str, *arguments: Any, **more: Any) -> str:
        if statement == PLAN_AS_BEFORE:
            raise error
        return await execute(conn, statement, *arguments, **more)

    monkeypatch.setattr(PoolConnectionProxy, "execute", broken)
    with anyio.fail_after(60):  # there is but one connection: it hangs if nobody gave it back
        async with asyncpg.create_pool(database.engine_url, min_size=1, max_size=1) as pool:
            line = Line(pool)
            session = [await line.fetchval("SELECT pg_backend_pid()") for _ in range(2)][-1]
            await asyncio.sleep(3 * KEEP_SECONDS)
            async with pool.acquire() as conn:
                assert await conn.fetchval("SELECT pg_backend_pid()") != session
                assert await conn.fetchval("SHOW enable_seqscan") == "on"


async def test_a_connection_that_does_not_answer_is_ended_at_once(database: Database):
    """Nothing more is asked of it, not even to be as it was: that would be waited for in vain, too."""
    async with asyncpg.create_pool(database.engine_url, min_size=1, max_size=1, command_timeout=0.5) as pool:
        line = Line(pool)
        session = [await line.fetchval("SELECT pg_backend_pid()") for _ in range(2)][-1]
        began = anyio.current_time()
        with pytest.raises(TimeoutError):
            await line.fetchval("SELECT pg_sleep(30)")
        assert anyio.current_time() - began < 2.0
        assert await line.fetchval("SELECT pg_backend_pid()") != session


async def test_a_connection_that_cannot_be_left_in_peace_is_given_back_all_the_same(database: Database, monkeypatch: pytest.MonkeyPatch):
    """Whoever listens for commits and is not answered when it stops: there is but one connection, and it must not be missing."""

    async def silent(*_: Any) -> None:
        raise TimeoutError

    with anyio.fail_after(60):
        pool = await asyncpg.create_pool(database.engine_url, min_size=1, max_size=1)
        bell = Bell(pool)
        async with bell.listen(TenantId("acme")) as wake:
            await wake(0.5)
            remove = PoolConnectionProxy.remove_listener
            monkeypatch.setattr(PoolConnectionProxy, "remove_listener", _after(remove, silent))
        assert await pool.fetchval("SELECT 1") == 1
        await pool.close()


def _after(first: Any, then: Any) -> Any:
    async def both(*arguments: Any) -> None:
        await first(*arguments)
        await then()

    return both
