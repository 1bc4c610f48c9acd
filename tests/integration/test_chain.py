"""Whatever is done to a stored log, its chain tells."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from engine import chain
from engine.chain import GENESIS, Verified
from engine.errors import ChainError
from engine.log import Append, Log
from schemas.envelope import Fact
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven
from schemas.values import ChannelId, OrderId
from tests.conftest import Database
from tests.examples import NOON
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

EVENTS = 9


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as made:
        for number in range(1, EVENTS + 1):
            told = DeliveryAddressGiven(channel=ChannelId("asos"), order_id=OrderId(f"é{number}"))
            sealed: dict[str, Any] = {"personal": DeliveryAddress(first_name="Zoë"), "subject": f"asos:{number}"} if number % 2 else {}
            cause = UUID(int=number - 1) if number % 3 else None
            fact = Fact(event=told, event_id=UUID(int=number), occurred_at=NOON, causation_id=cause, actor="mirakl:asos", **sealed)
            await made.log.append(Append(stream=f"s{number % 2}", facts=(fact,)))
        yield made


async def verify(engine: Machine, after: int = 0) -> Verified:
    return await chain.verify(engine.pool, TENANT, after)


KEPT = {  # what is not made by the database itself
    "events": "tenant, position, stream, version, event_id, type, schema_version, data, subject, sealed, occurred_at, recorded_at,"
    " correlation_id, causation_id, actor, hash",
    "heads": "tenant, position, hash",
}


@asynccontextmanager
async def tampered(database: Database, *statements: str) -> AsyncIterator[Any]:
    """The log as somebody left it who may do anything; afterwards as it was."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        for table, columns in KEPT.items():
            await admin.execute(f"CREATE TEMPORARY TABLE kept_{table} AS SELECT {columns} FROM crossdock.{table}")
        for statement in statements:
            assert not (await admin.execute(statement)).endswith(" 0")
        yield admin
        for table, columns in KEPT.items():
            await admin.execute(f"DELETE FROM crossdock.{table}")
            await admin.execute(f"INSERT INTO crossdock.{table} ({columns}) SELECT {columns} FROM kept_{table}")
    finally:
        await admin.close()


async def test_a_log_that_nobody_touched_verifies(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await verify(engine)
    assert (whole.position, whole.events) == (EVENTS, EVENTS)
    assert whole.hash == (await engine.log.read(EVENTS - 1))[0].hash
    assert (await verify(engine, after=4)) == Verified(EVENTS, whole.hash, EVENTS - 4)
    assert (await verify(engine, after=EVENTS)) == Verified(EVENTS, whole.hash, 0)
    monkeypatch.setattr(chain, "PAGE_EVENTS", 2)
    told: list[tuple[int, int]] = []
    assert await chain.verify(engine.pool, TENANT, progress=lambda at, of: told.append((at, of))) == whole
    assert told == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]


async def test_an_empty_log_verifies(database: Database) -> None:
    async with machine(database) as engine:
        assert await verify(engine) == Verified(0, GENESIS, 0)


async def test_events_in_hand_verify_without_a_database(engine: Machine) -> None:
    """What an auditor takes away proves itself."""
    events = await engine.log.read(0)
    assert chain.check(map(chain.link, events), Verified(0, GENESIS, 0)) == await verify(engine)
    with pytest.raises(ChainError, match="position 4 was altered"):
        chain.check(map(chain.link, [*events[:3], replace(events[3], actor="nobody"), *events[4:]]), Verified(0, GENESIS, 0))


COLUMNS = {
    "stream": "'elsewhere'",
    "version": "99",
    "event_id": "'00000000-0000-0000-0000-0000000000ff'",
    "type": "'unheard_of'",
    "schema_version": "2",
    "data": "(data::text || ' ')::json",
    "subject": "'asos:another'",
    "sealed": "set_byte(sealed, 20, 255 - get_byte(sealed, 20))",
    "occurred_at": "occurred_at + interval '1 microsecond'",
    "recorded_at": "recorded_at - interval '1 day'",
    "correlation_id": "'00000000-0000-0000-0000-0000000000ff'",
    "causation_id": "'00000000-0000-0000-0000-0000000000ff'",
    "actor": "'somebody else'",
    "hash": "sha256('forged')",
}


async def test_the_table_has_no_column_that_is_not_proved(engine: Machine) -> None:
    columns = await engine.pool.fetch("SELECT attname FROM pg_attribute WHERE attrelid = 'crossdock.events'::regclass AND attnum > 0")
    assert {row["attname"] for row in columns} == COLUMNS.keys() | {"tenant", "position", "shard"}  # which is made of the stream, always


async def test_a_column_altered_anywhere_is_found(engine: Machine, database: Database) -> None:
    for column, value in COLUMNS.items():
        async with tampered(database, f"UPDATE crossdock.events SET {column} = {value} WHERE position = 5"):
            with pytest.raises(ChainError) as raised:
                await verify(engine)
            assert raised.value.position == 5, column
            assert ("has another hash" if column == "hash" else "was altered") in raised.value.what, column
            with pytest.raises(ChainError):
                chain.check(map(chain.link, await engine.log.read(0)), Verified(0, GENESIS, 0))
    await verify(engine)


async def test_nothing_is_not_the_same_as_an_empty_something(engine: Machine, database: Database) -> None:
    for position, column, empty in ((3, "causation_id", "'00000000-0000-0000-0000-000000000000'"), (4, "sealed", "''")):
        change = f"UPDATE crossdock.events SET {column} = {empty} WHERE position = {position} AND {column} IS NULL"
        async with tampered(database, change):
            with pytest.raises(ChainError, match=f"position {position} was altered"):
                await verify(engine)


async def test_text_cannot_be_moved_from_one_column_to_the_next(engine: Machine, database: Database) -> None:
    change = "UPDATE crossdock.events SET actor = substr(actor, 1, 5), subject = substr(actor, 6) || subject WHERE position = 5"
    async with tampered(database, change):
        with pytest.raises(ChainError, match="position 5"):
            await verify(engine)


TAMPERINGS = {
    "taken out": (["DELETE FROM crossdock.events WHERE position = 5"], 5, "is missing"),
    "the first taken out": (["DELETE FROM crossdock.events WHERE position = 1"], 1, "is missing"),
    "the end cut off": (["DELETE FROM crossdock.events WHERE position > 6"], 7, "is missing"),
    "all taken out": (["DELETE FROM crossdock.events"], 1, "is missing"),
    "put in beyond the head": (
        [
            "INSERT INTO crossdock.events SELECT tenant, 10, stream, 10, gen_random_uuid(), type, schema_version, data, subject, sealed,"
            " occurred_at, recorded_at, correlation_id, causation_id, actor, hash FROM crossdock.events WHERE position = 9"
        ],
        10,
        "is beyond the head",
    ),
    "two swapped": (
        [
            "UPDATE crossdock.events SET position = 100 WHERE position = 3",
            "UPDATE crossdock.events SET position = 3 WHERE position = 5",
            "UPDATE crossdock.events SET position = 5 WHERE position = 100",
        ],
        3,
        "has another hash",
    ),
    "closed up after one was taken out": (
        ["DELETE FROM crossdock.events WHERE position = 9", "UPDATE crossdock.heads SET position = 8"],
        8,
        "has another hash than the head",
    ),
    "another head": (["UPDATE crossdock.heads SET hash = sha256('forged')"], 9, "has another hash than the head"),
    "no head": (["DELETE FROM crossdock.heads"], 1, "is beyond the head"),
}


async def test_rows_taken_out_put_in_or_moved_are_found(engine: Machine, database: Database) -> None:
    for how, (statements, position, what) in TAMPERINGS.items():
        async with tampered(database, *statements):
            with pytest.raises(ChainError) as raised:
                await verify(engine)
            assert (raised.value.position, raised.value.what[: len(what)]) == (position, what), how
    await verify(engine)


async def test_a_rewritten_history_shows_against_a_hash_kept_elsewhere(engine: Machine, database: Database) -> None:
    """Who may alter everything can forge a chain that holds; its end is then another one."""
    kept = await verify(engine)
    events = await engine.log.read(0)
    follows, forged = events[3].hash, []
    for event in [replace(events[4], actor="nobody"), *events[5:]]:
        forged.append(chain.link(event).hash_after(follows))
        follows = forged[-1]
    async with tampered(database, "UPDATE crossdock.events SET actor = 'nobody' WHERE position = 5") as admin:
        for position, digest in enumerate(forged, 5):
            await admin.execute("UPDATE crossdock.events SET hash = $2 WHERE position = $1", position, digest)
        await admin.execute("UPDATE crossdock.heads SET hash = $1", follows)
        assert (await verify(engine)).hash != kept.hash


async def test_a_trusted_position_that_is_not_there_is_named(engine: Machine) -> None:
    with pytest.raises(ChainError, match="position 12 is missing"):
        await verify(engine, after=12)


async def test_appending_goes_on_while_it_is_verified(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "PAGE_EVENTS", 1)
    log: Log = engine.log
    page = chain._page
    number = 100

    async def and_append(*arguments: Any) -> bytes:
        nonlocal number
        number += 1
        told = DeliveryAddressGiven(channel=ChannelId("asos"), order_id=OrderId("late"))
        await log.append(Append(stream="late", facts=(Fact(event=told, event_id=UUID(int=number), occurred_at=NOON),)))
        return await page(*arguments)

    monkeypatch.setattr(chain, "_page", and_append)
    assert (await verify(engine)).position == EVENTS
    assert await log.head() > EVENTS
