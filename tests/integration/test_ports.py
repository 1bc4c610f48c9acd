"""What a connection to the database knows before it is asked anything."""

from typing import Any

import asyncpg
import pytest

from engine.ports import ARRAYS, PostgresDb
from tests.conftest import Database

pytestmark = pytest.mark.anyio

NUMBERS = """
SELECT a.oid::int, e.typname::text, e.oid::int FROM pg_type a JOIN pg_type e ON e.oid = a.typelem
WHERE a.oid = any($1::int[]::oid[]) AND a.typlen = -1 AND a.typdelim = ',' ORDER BY 1
"""


async def test_the_numbers_of_arrays_are_the_servers(database: Database) -> None:
    conn = await PostgresDb(database.engine_url).connect()
    try:
        assert [tuple(row) for row in await conn.fetch(NUMBERS, [number for number, _, _ in ARRAYS])] == list(ARRAYS)
    finally:
        await conn.close()


@pytest.mark.parametrize("name", [name for _, name, _ in ARRAYS])
async def test_no_connection_looks_arrays_up(database: Database, name: str) -> None:
    asked: list[str] = []

    async def ask(conn: Any) -> None:
        conn.add_query_logger(lambda record: asked.append(record.query))
        assert await conn.fetchval(f"SELECT $1::{name}[] || ARRAY[]::{name}[]", []) == []

    db = PostgresDb(database.engine_url)
    conn = await db.connect()
    try:
        await ask(conn)
    finally:
        await conn.close()
    pool: asyncpg.Pool[asyncpg.Record] = await db.pool()
    async with pool, pool.acquire() as one, pool.acquire() as other:
        await ask(one)
        await ask(other)
    assert len(asked) == 3
