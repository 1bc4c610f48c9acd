"""The kept connection, when the server ends its session."""

import asyncio
from typing import Any

import anyio
import asyncpg
import pytest
from asyncpg.pool import PoolConnectionProxy

from engine.line import KEEP_SECONDS, PLAN_AS_BEFORE, Line
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
    with anyio.fail_after(20):  # there is but one connection: it hangs if nobody gave it back
        async with asyncpg.create_pool(database.engine_url, min_size=1, max_size=1) as pool:
            line = Line(pool)
            session = [await line.fetchval("SELECT pg_backend_pid()") for _ in range(2)][-1]
            await asyncio.sleep(3 * KEEP_SECONDS)
            async with pool.acquire() as conn:
                assert await conn.fetchval("SELECT pg_backend_pid()") != session
                assert await conn.fetchval("SHOW enable_seqscan") == "on"
