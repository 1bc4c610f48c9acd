"""Real asyncpg on a real Postgres in virtual time: locks, news, copies, dead lines, killed processes."""

from collections.abc import Iterator
from typing import Any

import anyio
import asyncpg
import pytest

from engine.migrate import prove_privileges
from ops.simulate.bridge import HopelessError
from ops.simulate.loop import Process, SimLoop, running
from ops.simulate.store import OnPostgres, PostgresStore


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    with running(SimLoop(1)) as made:
        yield made


@pytest.fixture
def stored(loop: SimLoop, play_store: PostgresStore) -> Iterator[OnPostgres]:
    with play_store.open(loop, 1) as made:
        yield made


def test_who_waits_for_a_lock_waits_in_virtual_time(loop: SimLoop, stored: OnPostgres) -> None:
    got: list[tuple[str, float]] = []

    async def holder() -> None:
        conn = await stored.db.connect()
        async with conn.transaction():
            await conn.execute("SELECT pg_advisory_xact_lock(7)")
            await anyio.sleep(5)
        await conn.close()

    async def waiter(name: str, after: float) -> None:
        conn = await stored.db.connect()
        await anyio.sleep(after)
        async with conn.transaction():
            await conn.execute("SELECT pg_advisory_xact_lock(7)")
            got.append((name, loop.time()))
        await conn.close()

    async def work() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(holder)
            group.start_soon(waiter, "second", 2.0)
            group.start_soon(waiter, "first", 1.0)

    loop.run_until_complete(work())
    assert [name for name, _ in got] == ["first", "second"] and got[0][1] == pytest.approx(5.0, abs=0.1)
    assert stored.bridge.waits >= 2


SLOW = "UPDATE crossdock.leases SET beat = 1; SELECT pg_sleep(0.1)"
BOTH = "SELECT pg_advisory_xact_lock(7); SELECT pg_sleep(0.03); UPDATE crossdock.leases SET beat = 2"


def test_who_has_its_lock_and_is_slow_is_waited_for(loop: SimLoop, stored: OnPostgres) -> None:
    """It was taken for a ring when two were freed at once and the first met a row of the second (tier 2, seed 1002, a busy machine)."""

    async def waiter(statement: str, after: float) -> None:
        conn = await stored.db.connect()
        await anyio.sleep(after)
        await conn.execute(statement)
        await conn.close()

    async def work() -> int:
        conn = await stored.db.connect()
        await conn.execute("INSERT INTO crossdock.leases (tenant, name, epoch, holder, beat) VALUES ('t', 'n', 0, NULL, 0)")
        async with anyio.create_task_group() as group:
            group.start_soon(waiter, BOTH, 1.0)
            group.start_soon(waiter, SLOW, 2.0)
            async with conn.transaction():
                await conn.execute(BOTH)
                await anyio.sleep(5)
        found = await conn.fetchval("SELECT beat FROM crossdock.leases")
        await conn.close()
        return int(found)

    assert loop.run_until_complete(work()) == 2


def test_a_ring_of_locks_is_told(loop: SimLoop, stored: OnPostgres) -> None:
    async def work() -> None:
        one, other = await stored.db.connect(), await stored.db.connect()
        await one.execute("BEGIN; SELECT pg_advisory_xact_lock(7)")
        await other.execute("BEGIN; SELECT pg_advisory_xact_lock(8)")
        async with anyio.create_task_group() as group:
            group.start_soon(one.execute, "SELECT pg_advisory_xact_lock(8)")
            group.start_soon(other.execute, "SELECT pg_advisory_xact_lock(7)")

    with pytest.raises(BaseExceptionGroup) as caught:
        loop.run_until_complete(work())
    assert caught.group_contains(HopelessError)


def test_whoever_is_killed_lets_go_of_its_locks_and_commits_nothing(loop: SimLoop, stored: OnPostgres) -> None:
    process = Process("victim")

    async def victim() -> None:
        conn = await stored.db.connect()
        async with conn.transaction():
            await conn.execute("SELECT pg_advisory_xact_lock(7)")
            await conn.execute("INSERT INTO crossdock.leases (tenant, name, epoch, holder, beat) VALUES ('t', 'n', 0, NULL, 0)")
            await anyio.sleep(60)

    async def work() -> Any:
        conn = await stored.db.connect()
        loop.spawn(process, victim)
        await anyio.sleep(1)
        loop.kill(process)
        await conn.execute("SELECT pg_advisory_xact_lock(7)")
        found = await conn.fetchval("SELECT count(*) FROM crossdock.leases")
        await conn.close()
        return found

    assert loop.run_until_complete(work()) == 0
    assert loop.time() < 2


MAKE = "INSERT INTO crossdock.leases (tenant, name, epoch, holder, beat) VALUES ('t', $1, 0, NULL, 0) ON CONFLICT DO NOTHING RETURNING name"


@pytest.mark.parametrize("how", ["fetch", "fetchval", "execute", "in a transaction"])
def test_who_is_to_die_when_something_has_changed_lives_until_then(loop: SimLoop, stored: OnPostgres, how: str) -> None:
    process, lived = Process("victim"), list[str]()
    process.on_message = lambda _: "changed"

    async def victim() -> None:
        conn = await stored.db.connect()
        await conn.fetchval("SELECT count(*) FROM crossdock.leases")
        lived.append("asked")
        if how == "in a transaction":
            async with conn.transaction():
                await conn.fetchval(MAKE, "fresh")
                lived.append("not for good")
        else:
            await getattr(conn, how)(MAKE, "known")
            lived.append("known already")
            await getattr(conn, how)(MAKE, "fresh")
        lived.append("heard of it")

    async def work() -> int:
        conn = await stored.db.connect()
        await conn.execute(MAKE, "known")
        loop.spawn(process, victim)
        await anyio.sleep(1)
        found = await conn.fetchval("SELECT count(*) FROM crossdock.leases")
        await conn.close()
        return int(found)

    assert loop.run_until_complete(work()) == 2
    assert not process.alive
    assert lived == ["asked", "not for good" if how == "in a transaction" else "known already"]


def test_news_arrive_and_copies_are_made(loop: SimLoop, stored: OnPostgres) -> None:
    heard: list[object] = []

    async def work() -> bytes:
        ear, mouth = await stored.db.connect(), await stored.db.connect()
        await ear.add_listener("crossdock", lambda *said: heard.append(said[-1]))
        async with mouth.transaction():
            await mouth.execute("SELECT pg_notify('crossdock', 'one')")
            await anyio.sleep(1)
            assert heard == []
        await anyio.sleep(1)
        taken = bytearray()

        async def take(data: bytes) -> None:
            taken.extend(data)

        await mouth.copy_from_query("SELECT generate_series(1, 3)", output=take)
        await ear.close()
        await mouth.close()
        return bytes(taken)

    assert loop.run_until_complete(work()) == b"1\n2\n3\n"
    assert heard == ["one"]


@pytest.mark.parametrize("request_number", range(2, 7))
def test_a_dead_line_ends_with_the_time_out(loop: SimLoop, stored: OnPostgres, request_number: int) -> None:
    asked = 0

    def fate(*_: object) -> Any:
        nonlocal asked
        asked += 1
        return "hole" if asked == request_number else ""

    async def work() -> None:
        conn = await stored.db.connect()
        for _ in range(3):
            await conn.fetchrow("SELECT $1::json AS a, $2::interval[] AS b", "1", [])  # an array that has to be looked up

    stored.bridge.fate = fate
    with pytest.raises(TimeoutError):
        loop.run_until_complete(work())
    assert loop.time() == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(("fate", "error"), [("full", asyncpg.DiskFullError), ("deadlock", asyncpg.DeadlockDetectedError)])
def test_a_server_in_trouble_is_not_a_login_that_may(loop: SimLoop, stored: OnPostgres, fate: Any, error: type[Exception]) -> None:
    """A start that met a full disk said that the login can insert events (tier 2, seed 2)."""

    async def work() -> None:
        conn = await stored.db.connect()
        stored.bridge.fate = lambda session, _: fate if session.doing.startswith(b"INSERT INTO crossdock.events") else ""
        await prove_privileges(conn)

    with pytest.raises(error):
        loop.run_until_complete(work())
