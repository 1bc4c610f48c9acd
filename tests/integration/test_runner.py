"""A fold carried forward, and folded anew: the same rows whatever happens on the way, and each command once."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import anyio
import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from engine import rebuild as rebuilding
from engine import runner
from engine.errors import EngineError, SchemaError
from engine.ports import PostgresDb
from engine.projection import Projection
from engine.rebuild import Elsewhere, Part, compare, discard, fold_part, rebuild, swap
from engine.runner import Runner, advance, ensure_tables
from schemas.commands import Command, SetSellerReference
from schemas.events import Event
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.orders import OrderStateChanged
from schemas.values import ChannelId, OrderId
from tests.conftest import Database
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

CHANNEL = ChannelId("asos")


class Tally(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was heard of an order: counted, so that whatever is folded twice shows."""

    states: dict[str, int] = {}
    seen: frozenset[str] = frozenset()
    number: int = 0


def evolve(tally: Tally, event: Event) -> Tally:
    match event:
        case OrderStateChanged(state="POISON"):
            raise ZeroDivisionError
        case OrderStateChanged(state="NOTHING"):
            return replace(tally)
        case OrderStateChanged(state=state):
            states = tally.states | {state: tally.states.get(state, 0) + 1}
            return replace(tally, states=states, seen=tally.seen | {state}, number=tally.number + 1)
    return tally


def keys(event: Event) -> Iterable[str]:
    return (event.order_id, "all") if isinstance(event, OrderStateChanged) else ()


tallies = Projection(name="tallies", state=Tally, initial=lambda _key: Tally(), keys=keys, evolve=evolve)


def decide(was: Tally, now: Tally) -> Iterator[Command]:
    """Asks at every third event of a row, and once more where that is a ninth."""
    if now.number % 3 == 0:
        yield SetSellerReference(channel=CHANNEL, order_id=OrderId(f"{was.number}"), reference="third")
    if now.number % 9 == 0:
        yield SetSellerReference(channel=CHANNEL, order_id=OrderId(f"{was.number}-b"), reference="ninth")


def moved(order: str, state: str) -> OrderStateChanged:
    return OrderStateChanged(channel=CHANNEL, order_id=OrderId(order), state=state)


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as it:
        async with it.pool.acquire() as conn:
            await ensure_tables(conn, [tallies])
        yield it


async def fill(engine: Machine, count: int = 40) -> None:
    for number in range(count):
        await engine.append(f"order-asos:{number % 7}", moved(f"{number % 7}", f"S{number % 4}"))


async def fold(engine: Machine, limit: int = 1_000, *policies: Any) -> int:
    folded = 0
    while found := await advance(engine.pool, engine.log, tallies, policies, clock=engine.clock, limit=limit):
        folded += found
    return folded


async def rows(engine: Machine, table: str = "tallies") -> dict[str, tuple[str, int]]:
    found = await engine.pool.fetch(f"SELECT key, document, position FROM projections.{table} WHERE tenant = $1 ORDER BY key", TENANT)
    return {row["key"]: (row["document"], row["position"]) for row in found}


async def outbox(engine: Machine) -> list[Any]:
    return [tuple(row) for row in await engine.pool.fetch("SELECT command_id, subject, issued_after FROM crossdock.outbox ORDER BY 1")]


async def forget(engine: Machine) -> None:
    """As if the projection had never been."""
    await engine.pool.execute("DELETE FROM projections.tallies")
    await engine.pool.execute("DELETE FROM crossdock.checkpoints")


async def checkpoint(engine: Machine) -> int:
    found: int = await engine.pool.fetchval("SELECT position FROM crossdock.checkpoints WHERE tenant = $1", TENANT)
    return found


# ---------------------------------------------------------------- carried forward


async def test_rows_and_checkpoint_are_there_after_a_batch(engine: Machine) -> None:
    await fill(engine, 5)
    assert await advance(engine.pool, engine.log, tallies, limit=3) == 3
    assert await checkpoint(engine) == 3
    assert await advance(engine.pool, engine.log, tallies, limit=3) == 2
    assert await advance(engine.pool, engine.log, tallies, limit=3) == 0
    document, position = (await rows(engine))["all"]
    assert (msgspec.json.decode(document)["number"], position) == (5, 5)


async def test_a_row_keeps_the_position_of_what_last_changed_it(engine: Machine) -> None:
    await engine.append("order-asos:1", moved("1", "A"), moved("1", "NOTHING"))
    await fold(engine)
    assert (await rows(engine))["1"][1] == 1


@given(sizes=st.lists(st.integers(1, 17), min_size=1, max_size=6))
@settings(max_examples=12, suppress_health_check=list(HealthCheck), database=None)
async def test_any_batching_gives_the_same_rows_and_commands(engine: Machine, sizes: list[int]) -> None:
    await forget(engine)
    if await engine.log.head() == 0:
        await fill(engine)
    await fold(engine, 1_000, decide)
    expected, asked, told = await rows(engine), await outbox(engine), await engine.log.head()
    assert len(asked) > 10
    await forget(engine)
    turn = 0
    while await advance(engine.pool, engine.log, tallies, (decide,), clock=engine.clock, limit=sizes[turn % len(sizes)]):
        turn += 1
    assert await rows(engine) == expected
    assert await outbox(engine) == asked
    assert await engine.log.head() == told  # no command is issued twice


async def test_a_command_is_caused_by_the_one_event_that_made_the_difference(engine: Machine) -> None:
    await engine.append("order-asos:1", *(moved("1", "A") for _ in range(4)))
    await fold(engine, 1_000, decide)
    [issued] = await engine.log.read(4)
    third = (await engine.log.read(2, 1))[0]
    assert (issued.causation_id, issued.correlation_id) == (third.event_id, third.correlation_id)
    assert issued.event.command.order_id == "2"  # type: ignore[attr-defined]


async def test_after_a_restored_checkpoint_nothing_is_asked_again(engine: Machine) -> None:
    await fill(engine, 9)
    await fold(engine, 1_000, decide)
    told = await engine.log.head()
    await engine.pool.execute("DELETE FROM crossdock.outbox")  # all answered for
    await forget(engine)
    await fold(engine, 4, decide)
    assert await engine.log.head() == told
    assert await outbox(engine) == []


async def test_a_crash_at_commit_leaves_all_or_nothing(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(engine, 9)

    async def crash(*_arguments: Any) -> int:
        raise asyncpg.ConnectionDoesNotExistError

    with monkeypatch.context() as broken:
        broken.setattr(runner, "issue", crash)
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await fold(engine, 1_000, decide)
    assert await rows(engine) == {}
    assert await checkpoint(engine) == 0
    await fold(engine, 1_000, decide)
    assert (await engine.tags()).count("command_issued") == len(await outbox(engine)) == 4


async def test_two_workers_fold_everything_once(engine: Machine) -> None:
    await fill(engine, 60)
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(fold, engine, 3, decide)
    await fold(engine, 1_000, decide)  # either may have found the other at it, and gone
    document, _ = (await rows(engine))["all"]
    assert msgspec.json.decode(document)["number"] == 60
    assert (await engine.tags()).count("command_issued") == len(await outbox(engine))


@pytest.mark.parametrize("policies", [(), (decide,)])
async def test_a_batch_is_dropped_where_another_worker_was_quicker(
    engine: Machine, monkeypatch: pytest.MonkeyPatch, policies: tuple[Any, ...]
) -> None:
    await fill(engine, 9)
    meanwhile(monkeypatch, lambda: advance(engine.pool, engine.log, tallies, policies, clock=engine.clock, limit=5))
    assert await advance(engine.pool, engine.log, tallies, policies, clock=engine.clock, limit=3) == 0
    assert await checkpoint(engine) == 5
    await fold(engine, 1_000, *policies)
    assert msgspec.json.decode((await rows(engine))["all"][0])["number"] == 9


async def test_a_batch_is_dropped_where_its_rows_were_swapped_meanwhile(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(engine, 9)
    await advance(engine.pool, engine.log, tallies, limit=4)
    rebuilt = await rebuild(engine.pool, engine.log, tallies)
    await engine.pool.execute("UPDATE projections.tallies SET document = '{}'")  # spoilt, and read so
    meanwhile(monkeypatch, lambda: swap(engine.pool, engine.log, tallies, rebuilt))
    assert await advance(engine.pool, engine.log, tallies) == 0
    await fold(engine)
    assert msgspec.json.decode((await rows(engine))["all"][0])["number"] == 9


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[Any]]) -> None:
    """Once, between the reading of rows and their commit."""
    load, happened = runner.Rows.load, list[bool]()

    async def interrupted(self: Any, *arguments: Any) -> None:
        await load(self, *arguments)
        if not happened:
            happened.append(True)
            await happens()

    monkeypatch.setattr(runner.Rows, "load", interrupted)


async def test_who_finds_another_at_it_waits_for_nobody(engine: Machine) -> None:
    await fill(engine, 3)
    await fold(engine, 1)
    await fill(engine, 3)
    async with engine.pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT FROM crossdock.checkpoints FOR UPDATE")
        assert await advance(engine.pool, engine.log, tallies) == 0
    assert await fold(engine) == 3


async def test_a_poison_event_stops_the_fold_before_it_and_says_where(engine: Machine) -> None:
    await engine.append("order-asos:1", moved("1", "A"), moved("1", "POISON"), moved("1", "B"))
    with pytest.raises(SchemaError, match=r"tallies cannot fold the order_state_changed at position 2: ZeroDivisionError"):
        await fold(engine)
    assert await checkpoint(engine) == 0
    assert await advance(engine.pool, engine.log, tallies, limit=1) == 1
    with pytest.raises(SchemaError):
        await fold(engine)
    assert await checkpoint(engine) == 1


async def test_a_runner_follows_the_log(engine: Machine) -> None:
    await fill(engine, 5)
    follower = Runner(engine.pool, engine.log, tallies, (decide,), clock=engine.clock, metrics=engine.metrics, limit=2)
    async with anyio.create_task_group() as group:
        group.start_soon(follower.run)
        await engine.until(lambda: _stands_at(engine, 5))
        await fill(engine, 6)
        await engine.until(lambda: _folded_all(engine))
        await engine.until(lambda: _without_lag(engine))  # the gauges are set once the fold is committed
        group.cancel_scope.cancel()
    assert msgspec.json.decode((await rows(engine))["all"][0])["number"] == 11
    assert engine.metrics.projection_position.labels(TENANT, "tallies")._value.get() == await engine.log.head()


async def test_what_the_database_refuses_for_good_is_told_and_its_lag_grows_until_it_is_mended(engine: Machine, database: Database) -> None:
    def lag() -> float:
        return (
            engine.metrics.registry.get_sample_value("crossdock_projection_lag_seconds", {"tenant": TENANT, "projection": "tallies"}) or 0.0
        )

    def one() -> Runner[Tally]:
        return Runner(engine.pool, engine.log, tallies, clock=engine.clock, metrics=engine.metrics)

    async def told() -> list[Event]:
        return [event for event in await engine.events() if not isinstance(event, OrderStateChanged)]

    admin = await asyncpg.connect(database.admin_url)
    first, other = one(), one()
    await admin.execute("ALTER TABLE projections.tallies ADD CONSTRAINT short CHECK (length(document::text) < 60)")
    await engine.append("order-asos:1", moved("1", "A" * 60))
    for refusals in range(1, runner.PATIENCE + 2):
        engine.clock.jump(60.0)
        await engine.append("order-asos:1", moved("1", "B"))
        for each in (first, other):
            with pytest.raises(asyncpg.CheckViolationError):
                await each.advance()
        assert refusals * 60.0 <= lag() < refusals * 60.0 + 60.0
        assert len(await told()) == (refusals >= runner.PATIENCE)
    [opened] = await told()
    assert isinstance(opened, ExceptionOpened)
    assert (opened.code, opened.key, opened.subject) == ("X84", "X84:projection:tallies", "target-projections")
    await admin.execute("ALTER TABLE projections.tallies DROP CONSTRAINT short")
    await admin.close()
    for each in (one(), first, other):
        await each.advance()
    assert lag() == 0.0
    [_, closed] = await told()
    assert isinstance(closed, ExceptionClosed) and closed.key == opened.key


async def _stands_at(engine: Machine, position: int) -> bool:
    return (await engine.pool.fetchval("SELECT max(position) FROM crossdock.checkpoints") or 0) >= position


async def _without_lag(engine: Machine) -> bool:
    return bool(engine.metrics.projection_lag_seconds.labels(TENANT, "tallies")._value.get() == 0)


async def _folded_all(engine: Machine) -> bool:
    return await _stands_at(engine, await engine.log.head())


# ---------------------------------------------------------------- folded anew


by_order = Projection(
    name="tallies", state=Tally, initial=lambda _key: Tally(), keys=lambda event: list(keys(event))[:1], evolve=evolve, by_stream=True
)


def beside(engine: Machine, projection: Projection[Tally]) -> Elsewhere:
    async def fold(table: str, upto: int, shards: Sequence[int]) -> Part:
        return await fold_part(engine.pool, engine.log, projection, table=table, upto=upto, shards=shards)

    return fold


async def test_several_can_fold_anew_together(engine: Machine) -> None:
    """Each its share of the streams; together all of them, or nothing."""
    await fill(engine, 50)
    alone = await rebuild(engine.pool, engine.log, by_order)
    whole = await rows(engine, alone.table)
    for others in (1, 2):
        together = await rebuild(engine.pool, engine.log, by_order, elsewhere=[beside(engine, by_order)] * others)
        assert (await rows(engine, together.table), together) == (whole, alone)

    async def idle(_table: str, _upto: int, _shards: Sequence[int]) -> Part:
        return Part(0, 0)

    with pytest.raises(SchemaError, match="are missing"):
        await rebuild(engine.pool, engine.log, by_order, elsewhere=[idle])
    with pytest.raises(EngineError, match="several streams"):
        await rebuild(engine.pool, engine.log, tallies, elsewhere=[beside(engine, tallies)])
    wrongly = dataclasses.replace(tallies, by_stream=True)
    with pytest.raises(asyncpg.UniqueViolationError):
        await rebuild(engine.pool, engine.log, wrongly, elsewhere=[beside(engine, wrongly)])


async def test_folded_anew_equals_carried_forward(engine: Machine) -> None:
    await fill(engine, 50)
    await fold(engine, 7, decide)
    seen: list[tuple[int, int]] = []
    rebuilt = await rebuild(engine.pool, engine.log, tallies, progress=lambda at, of: seen.append((at, of)))
    assert await rows(engine, rebuilt.table) == await rows(engine)
    assert rebuilt.rows == 8
    assert seen[-1] == (await engine.log.head(),) * 2
    comparison = await compare(engine.pool, engine.log, tallies, rebuilt)
    assert comparison.live == comparison.rebuilt
    assert comparison.difference is None
    assert len(await outbox(engine)) == (await engine.tags()).count("command_issued")  # nobody was asked again


@pytest.mark.parametrize(("most_bytes", "kept"), [(0, 2), (200, 2), (200, 20), (10_000, 2), (10_000, 1_000)])
async def test_more_rows_than_memory_holds_give_the_same(
    engine: Machine, monkeypatch: pytest.MonkeyPatch, most_bytes: int, kept: int
) -> None:
    await fill(engine, 50)
    whole = await rebuild(engine.pool, engine.log, tallies)
    paging = engine.log.pages
    monkeypatch.setattr(engine.log, "pages", lambda after, upto, _limit, shards=None: paging(after, upto, 5, shards=shards))
    monkeypatch.setattr(rebuilding, "FRESH", 2)
    monkeypatch.setattr(rebuilding, "KEPT", kept)
    spilled = await rebuild(engine.pool, engine.log, tallies, most_bytes=most_bytes)
    assert spilled == whole


async def test_the_past_can_be_folded_too(engine: Machine) -> None:
    await fill(engine, 20)
    await fold(engine)
    past = await rebuild(engine.pool, engine.log, tallies, upto=10)
    assert past.position == 10
    assert msgspec.json.decode((await rows(engine, past.table))["all"][0])["number"] == 10
    await discard(engine.pool, past)


async def test_a_difference_is_found_and_named(engine: Machine) -> None:
    await fill(engine, 20)
    await fold(engine)
    rebuilt = await rebuild(engine.pool, engine.log, tallies)
    await engine.pool.execute(
        """UPDATE projections.tallies SET document = '{"states":{"S1":7},"seen":["S1"],"number":3}' WHERE key = '3'"""
    )
    found = (await compare(engine.pool, engine.log, tallies, rebuilt)).difference
    assert found is not None
    assert (found.key, found.field, found.live, found.rebuilt) == ("3", "seen", ["S1"], ["S1", "S2", "S3"])
    await engine.pool.execute("DELETE FROM projections.tallies WHERE key = '1'")
    found = (await compare(engine.pool, engine.log, tallies, rebuilt)).difference
    assert found is not None
    assert (found.key, found.field, found.live) == ("1", "", None)


async def test_swapping_under_load_loses_nothing_and_asks_nothing_twice(engine: Machine) -> None:
    await fill(engine, 30)
    await fold(engine, 1_000, decide)
    await engine.pool.execute("UPDATE projections.tallies SET document = '{}'")  # spoilt
    rebuilt = await rebuild(engine.pool, engine.log, tallies)
    follower = Runner(engine.pool, engine.log, tallies, (decide,), clock=engine.clock, metrics=engine.metrics, limit=3)

    async def write() -> None:
        for _ in range(4):
            await fill(engine, 10)

    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as load:
            load.start_soon(write)
            await swap(engine.pool, engine.log, tallies, rebuilt)
            group.start_soon(follower.run)
        await engine.until(lambda: _folded_all(engine))
        group.cancel_scope.cancel()
    again = await rebuild(engine.pool, engine.log, tallies)
    comparison = await compare(engine.pool, engine.log, tallies, again)
    assert comparison.live == comparison.rebuilt
    assert (await engine.tags()).count("command_issued") == len(await outbox(engine))


async def test_what_was_folded_since_is_folded_into_the_rebuilt_rows_too(engine: Machine) -> None:
    await fill(engine, 20)
    await fold(engine)
    rebuilt = await rebuild(engine.pool, engine.log, tallies)
    await fill(engine, 20)
    await fold(engine)
    expected = await rows(engine)
    comparison = await compare(engine.pool, engine.log, tallies, rebuilt)
    assert (comparison.position, comparison.live, comparison.difference) == (40, comparison.rebuilt, None)
    assert await swap(engine.pool, engine.log, tallies, rebuilt) == 40  # comparing changed nothing
    assert await rows(engine) == expected


async def test_a_swap_leaves_to_the_policies_what_they_have_not_seen(engine: Machine) -> None:
    await fill(engine, 10)
    assert await advance(engine.pool, engine.log, tallies, (decide,), clock=engine.clock, limit=4) == 4
    rebuilt = await rebuild(engine.pool, engine.log, tallies)
    assert rebuilt.position == 4  # where the living one stands, not where the log ends
    assert await swap(engine.pool, engine.log, tallies, rebuilt) == 4
    await fold(engine, 1_000, decide)
    asked = await outbox(engine)
    await forget(engine)
    await fold(engine, 1_000, decide)
    assert await outbox(engine) == asked


async def test_what_was_rebuilt_further_than_the_living_rows_is_not_swapped_in(engine: Machine) -> None:
    await fill(engine, 10)
    await advance(engine.pool, engine.log, tallies, limit=4)
    ahead = await rebuild(engine.pool, engine.log, tallies, upto=8)
    with pytest.raises(EngineError, match="stands at 4 and was rebuilt to 8"):
        await swap(engine.pool, engine.log, tallies, ahead)


async def test_a_projection_that_had_not_begun_begins_where_it_was_rebuilt(engine: Machine) -> None:
    await fill(engine, 10)
    rebuilt = await rebuild(engine.pool, engine.log, tallies)
    assert await swap(engine.pool, engine.log, tallies, rebuilt) == 10
    assert await fold(engine, 1_000, decide) == 0
    assert await outbox(engine) == []  # nothing is decided about the past


async def test_the_same_is_not_rebuilt_twice_at_once(engine: Machine, database: Database) -> None:
    await fill(engine, 5)
    first = await rebuild(engine.pool, engine.log, tallies)
    other = await asyncpg.connect(database.engine_url)
    try:
        await other.fetchval("SELECT pg_advisory_lock(hashtextextended($1, 0))", first.table)
        with pytest.raises(EngineError, match="being rebuilt already"):
            await rebuild(engine.pool, engine.log, tallies)
    finally:
        await other.close()
    await rebuild(engine.pool, engine.log, tallies)


async def test_keys_of_all_kinds_are_written_as_they_are(engine: Machine) -> None:
    for name in ("tab\there", "line\nbreak\r", "back\\slash\\N", "\\.", "Ärger \u202e 😀", "a b", "A", "a"):
        await engine.append("order-asos:1", moved(name, f"state {name}"))
    await fold(engine)
    rebuilt = await rebuild(engine.pool, engine.log, tallies)
    assert await rows(engine, rebuilt.table) == await rows(engine)
    comparison = await compare(engine.pool, engine.log, tallies, rebuilt)
    assert comparison.live == comparison.rebuilt


async def test_one_tenants_rows_are_not_anothers(database: Database, engine: Machine) -> None:
    await fill(engine, 10)
    await fold(engine)
    await engine.pool.execute("INSERT INTO projections.tallies SELECT 'other', key, document, position FROM projections.tallies")
    rebuilt = await rebuild(engine.pool, engine.log, tallies)
    await swap(engine.pool, engine.log, tallies, rebuilt)
    assert await engine.pool.fetchval("SELECT count(*) FROM projections.tallies WHERE tenant = 'other'") == 8


async def test_tables_are_made_by_two_processes_at_once(database: Database) -> None:
    async def make() -> None:
        conn = await asyncpg.connect(database.engine_url)
        try:
            await ensure_tables(conn, [tallies])
        finally:
            await conn.close()

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(make)


async def test_an_index_may_take_longer_than_any_other_statement(engine: Machine, database: Database) -> None:
    indexed = dataclasses.replace(tallies, indexes=(("number", "((document->>'number'))"),))
    admin, pool = await asyncpg.connect(database.admin_url), await PostgresDb(database.engine_url, size=1, command_timeout=0.2).pool()

    async def hold() -> None:
        async with admin.transaction():
            await admin.execute("LOCK TABLE projections.tallies IN ACCESS EXCLUSIVE MODE")
            held.set()
            await anyio.sleep(0.6)

    held = anyio.Event()
    try:
        async with anyio.create_task_group() as group, pool.acquire() as conn:
            await conn.execute("SET lock_timeout = '100ms'")
            group.start_soon(hold)
            await held.wait()
            await ensure_tables(conn, [indexed])
            assert await conn.fetchval("SELECT to_regclass('projections.tallies_number') IS NOT NULL")
            assert await conn.fetchval("SHOW lock_timeout") == "8s", "as everybody else's"
    finally:
        await pool.close()
        await admin.close()


def test_a_table_has_a_plain_name() -> None:
    with pytest.raises(ValueError, match="not a table's name"):
        runner.Table('tallies"; DROP TABLE x')
