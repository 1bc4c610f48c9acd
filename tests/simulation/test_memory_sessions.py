"""What the database in memory does to its sessions: waits, deadlocks, time-outs, cancelled statements, cuts, restarts, and every fault.

Where Postgres can be asked the same, it is: twice the same story, and the same end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from engine import rebuild, runner
from engine.bell import CHANNEL
from engine.log import APPEND
from ops.simulate.loop import PROCESS, Process, SimLoop, running
from ops.simulate.memory import Asked, Database, MemoryDb, MemoryStore, Strike
from ops.simulate.memory.faults import Calm
from ops.simulate.memory.store import InMemory
from ops.simulate.options import plain
from ops.simulate.play import play
from tests.conftest import Database as OnServer
from tests.simulation.calls import NOON
from tests.simulation.twins import memory_of, postgres_of

TENANT = "acme"
PLACE = (TENANT, "orders")
OTHER = (TENANT, "inventory")


# ---------------------------------------------------------------- the same story, twice


async def told(story: Callable[[Any, Any], Awaitable[Any]], database: OnServer) -> None:
    """To both; it must end the same. A story gets two sessions, and a third time is not told to it."""
    theirs, ours = await postgres_of(database.engine_url, database.admin_url), await memory_of()
    try:
        assert await story(*ours.connections[:2]) == await story(*theirs.connections[:2])
    finally:
        theirs.terminate()
        for connection in ours.connections:
            connection.terminate()
        await asyncio.sleep(0)


def appended(number: int) -> tuple[Any, ...]:
    """The arguments of an append of one event."""
    nothing = (None,) * 3
    return (TENANT, NOON, ["s"], None, *nothing, [UUID(int=number)], ["t"], None, ["{}"], None, None, [NOON], *nothing, True)


@pytest.mark.anyio
async def test_news_is_told_at_commit_and_once(database: OnServer) -> None:
    async def story(one: Any, two: Any) -> list[Any]:
        heard: list[Any] = []

        def hear(_connection: Any, _pid: int, channel: str, payload: object) -> None:
            heard.append((channel, payload))

        await two.add_listener(CHANNEL, hear)
        async with one.transaction():
            await one.fetchrow(APPEND, *appended(1))
            await one.fetchrow(APPEND, *appended(1))  # a duplicate, of which there is no news
            await one.fetchrow(APPEND, *appended(2))
            await asyncio.sleep(0.05)
            heard.append("committed")
        await asyncio.sleep(0.05)
        with suppress(ZeroDivisionError):
            async with one.transaction():
                await one.fetchrow(APPEND, *appended(3))
                raise ZeroDivisionError
        await one.fetchrow(APPEND, *appended(4))
        await asyncio.sleep(0.05)
        await two.remove_listener(CHANNEL, hear)
        await one.fetchrow(APPEND, *appended(5))
        await asyncio.sleep(0.05)
        return heard

    await told(story, database)


@pytest.mark.anyio
async def test_of_two_who_wait_for_each_other_the_first_is_refused(database: OnServer) -> None:
    async def story(one: Any, two: Any) -> list[Any]:
        for place in (PLACE, OTHER):
            await one.execute(runner.BEGIN, *place)
        transactions = [one.transaction(), two.transaction()]
        for transaction in transactions:
            await transaction.start()
        await one.fetchrow(rebuild.AWAIT, *PLACE)
        await two.fetchrow(rebuild.AWAIT, *OTHER)
        first = asyncio.create_task(one.fetchrow(rebuild.AWAIT, *OTHER))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(two.fetchrow(rebuild.AWAIT, *PLACE))
        found: Any = await asyncio.gather(first, second, return_exceptions=True)
        after = [type(await _refusal(one.fetchval(runner.STANDS, *PLACE)))]
        for transaction in transactions:
            await transaction.rollback()
        return [type(found[0]), tuple(found[1]), *after]

    await told(story, database)


@pytest.mark.anyio
async def test_whoever_is_cancelled_while_waiting_has_lost_the_transaction(database: OnServer) -> None:
    async def story(one: Any, two: Any) -> list[Any]:
        await one.execute(runner.BEGIN, *PLACE)
        mine, theirs = one.transaction(), two.transaction()
        await mine.start()
        await theirs.start()
        await one.fetchrow(rebuild.AWAIT, *PLACE)
        waiting = asyncio.create_task(two.fetchrow(rebuild.AWAIT, *PLACE))
        await asyncio.sleep(0.5)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        refused = type(await _refusal(two.fetchval(runner.STANDS, *PLACE)))
        await theirs.rollback()
        late = type(await _refusal(two.fetchrow(rebuild.AWAIT, *PLACE, timeout=0.2)))
        await mine.rollback()
        return [refused, late, tuple(await two.fetchrow(rebuild.AWAIT, *PLACE))]

    await told(story, database)


async def _refusal(statement: Awaitable[Any]) -> BaseException | None:
    try:
        await statement
    except (asyncpg.PostgresError, TimeoutError) as error:
        return error
    return None


@pytest.mark.anyio
async def test_what_a_session_was_about_is_undone_when_it_is_cut(database: OnServer) -> None:
    async def story(one: Any, two: Any) -> list[Any]:
        lost: list[str] = []
        one.add_termination_listener(lambda _: lost.append("lost"))
        await one.transaction().start()
        await one.execute(runner.BEGIN, *PLACE)
        waiting = asyncio.create_task(two.execute(runner.BEGIN, *PLACE))
        await asyncio.sleep(0.05)
        one.terminate()
        made = await waiting
        await asyncio.sleep(0)
        return [made, lost, one.is_closed()]

    await told(story, database)


# ---------------------------------------------------------------- faults


class Struck(Calm):
    """The next statement of this name is struck, once."""

    def __init__(self, name: str, strike: Strike) -> None:
        super().__init__("a test")
        self.name, self.next = name, strike
        self.met: list[Asked] = []

    def strike(self, asked: Asked) -> Strike | None:
        if asked.name != self.name or self.met:
            return None
        self.met.append(asked)
        return self.next


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    with running(SimLoop(1)) as made:
        yield made


BEGIN = "engine.runner.BEGIN"
FAULTS = [  # what is struck, by what; what whoever asked is told; whether it is done all the same
    (BEGIN, Strike("slow", 5.0), None, True),
    (BEGIN, Strike("lost_before"), asyncpg.ConnectionDoesNotExistError, False),
    (BEGIN, Strike("lost_after"), asyncpg.ConnectionDoesNotExistError, True),
    (BEGIN, Strike("mute_before"), TimeoutError, False),
    (BEGIN, Strike("mute_after"), TimeoutError, True),
    (BEGIN, Strike("error", sqlstate="40001"), asyncpg.SerializationError, False),
    (BEGIN, Strike("error", sqlstate="40P01"), asyncpg.DeadlockDetectedError, False),
    (BEGIN, Strike("error", sqlstate="53100"), asyncpg.DiskFullError, False),
    (BEGIN, Strike("error", sqlstate="57014"), asyncpg.QueryCanceledError, False),
    ("COMMIT", Strike("error", sqlstate="40001"), asyncpg.SerializationError, False),
    ("COMMIT", Strike("lost_before"), asyncpg.ConnectionDoesNotExistError, False),
    ("COMMIT", Strike("lost_after"), asyncpg.ConnectionDoesNotExistError, True),
]


@pytest.mark.parametrize(("name", "strike", "expected", "done"), FAULTS)
def test_each_fault_does_what_it_says(loop: SimLoop, name: str, strike: Strike, expected: type[Exception] | None, done: bool) -> None:
    async def work() -> None:
        weather = Struck(name, strike)
        pool = await MemoryDb(Database(weather)).pool()
        error: BaseException | None = None
        try:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(runner.BEGIN, *PLACE)
        except Exception as raised:  # noqa: BLE001
            error = raised
        if name == BEGIN and strike.kind != "error" and error is not None:  # the end of its block finds the connection closed, and says so
            assert type(error) is asyncpg.InterfaceError
            error = error.__context__
        assert (type(error) if error else None) == expected
        found = await pool.fetchrow(runner.STANDS, *PLACE)
        # In a transaction of its own a lost statement takes all with it; only COMMIT says that it was done.
        assert (found is not None) == (done and (error is None or name == "COMMIT"))
        assert weather.met[0].commits == (name == "COMMIT")
        async with pool.acquire() as connection, connection.transaction():  # and the session is fit for the next
            await connection.execute(runner.BEGIN, *OTHER)
        await pool.close()

    loop.run_until_complete(work())


@pytest.mark.parametrize(("name", "strike", "expected", "done"), [fault for fault in FAULTS if fault[0] == BEGIN])
def test_a_statement_by_itself_is_done_or_not_as_the_fault_says(
    loop: SimLoop, name: str, strike: Strike, expected: type[Exception] | None, done: bool
) -> None:
    async def work() -> None:
        weather = Struck(name, strike)
        pool = await MemoryDb(Database(weather)).pool()
        error = None
        try:
            await pool.execute(runner.BEGIN, *PLACE)
        except Exception as raised:  # noqa: BLE001
            error = raised
        assert (type(error) if error else None) == expected
        assert (await pool.fetchrow(runner.STANDS, *PLACE) is not None) == done
        assert weather.met == [Asked(name, writes=True, commits=True)]
        await pool.close()

    loop.run_until_complete(work())


def test_a_restart_cuts_everybody_and_keeps_what_was_committed(loop: SimLoop) -> None:
    async def work() -> None:
        database = Database(Calm("a test"))
        pool = await MemoryDb(database).pool()
        await pool.execute(runner.BEGIN, *PLACE)
        connection = await pool.acquire()
        await connection.transaction().start()
        await connection.execute(runner.BEGIN, *OTHER)
        asking = asyncio.create_task(connection.execute(runner.BEGIN, TENANT, "third"))
        await asyncio.sleep(0.0001)  # its answer is on the way
        database.stop()
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await asking
        with pytest.raises(ConnectionRefusedError):
            await pool.fetchrow(runner.STANDS, *PLACE)
        database.start()
        assert await pool.fetchval(runner.STANDS, *PLACE) == 0
        assert await pool.fetchrow(runner.STANDS, *OTHER) is None
        await pool.close()

    loop.run_until_complete(work())


def test_nobody_waits_for_ever(loop: SimLoop) -> None:
    """For a lock 8 s, and for whoever holds one and asks nothing more 30 s; as engine/ports.py sets it."""

    async def work() -> list[float]:
        database = Database()
        one, two, three = [await MemoryDb(database, command_timeout=60.0).connect() for _ in range(3)]
        await one.execute(runner.BEGIN, *PLACE)
        await one.transaction().start()
        await one.fetchrow(rebuild.AWAIT, *PLACE)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await two.fetchrow(rebuild.AWAIT, *PLACE)
        times = [loop.time()]
        while True:
            with suppress(asyncpg.LockNotAvailableError):
                await three.fetchrow(rebuild.AWAIT, *PLACE)
                break
        times.append(loop.time())
        with pytest.raises(asyncpg.InterfaceError, match="closed"):
            await one.fetchrow(runner.STANDS, *PLACE)
        for connection in (two, three):
            await connection.close()
        return times

    assert loop.run_until_complete(work()) == pytest.approx([8.0, 30.0], abs=0.1)


def test_what_a_dead_process_held_is_free(loop: SimLoop) -> None:
    async def work() -> None:
        stored = InMemory(Database())
        loop.wires.append(stored)
        process, held = Process("engine"), asyncio.Event()

        async def engine() -> None:
            PROCESS.set(process)
            connection = await stored.db.connect()
            await connection.transaction().start()
            await connection.execute(runner.BEGIN, *PLACE)
            held.set()
            await asyncio.sleep(1000)

        loop.spawn(process, engine)
        await held.wait()
        other = await stored.db.connect()
        waiting = asyncio.create_task(other.execute(runner.BEGIN, *PLACE))
        await asyncio.sleep(1)
        assert not waiting.done()
        loop.kill(process)
        assert await waiting == "INSERT 0 1"
        await other.close()

    loop.run_until_complete(work())


def test_a_copy_has_what_was_committed_and_goes_its_own_way(loop: SimLoop) -> None:
    async def work() -> None:
        database = Database()
        one = await MemoryDb(database).connect()
        table = runner.Table("orders")
        await one.execute(table.make)
        await one.execute(table.put, TENANT, ["a"], ["{}"], [1])
        await one.fetchrow(APPEND, *appended(1))
        await one.transaction().start()
        await one.fetchrow(APPEND, *appended(2))
        restored = database.copy()
        two = await MemoryDb(restored).connect()
        assert await two.fetchval(APPEND, *appended(3)) == 2
        assert len(await two.fetch(table.read, TENANT, ["a"])) == 1
        await two.execute(table.put, TENANT, ["a"], ['{"x":1}'], [2])
        assert (await one.fetch(table.read, TENANT, ["a"]))[0]["document"] == "{}"
        for connection in (one, two):
            connection.terminate()

    loop.run_until_complete(work())


# ---------------------------------------------------------------- whole plays


def test_orders_travel_all_the_way_round_in_memory() -> None:
    """And the same seed is the same play."""
    first, again = (play(1, plain(1), MemoryStore()) for _ in range(2))
    assert first.broken is None
    assert first.orders == 4
    assert again.digest == first.digest
