"""The log under everything that may befall it: nothing lost, nothing doubled, nothing out of order, and every verdict as promised."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import anyio
import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import chain, codec
from engine.errors import ConflictError, EventIdConflictError, LeaseLostError, SchemaError
from engine.log import LAST, Append, Fence, Log, Verdict
from engine.metrics import Metrics
from engine.ports import PostgresDb, SystemClock
from engine.vault import Vault
from schemas.envelope import NAMESPACE, Fact
from schemas.events import Event, UnknownEvent, tag_of
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved
from schemas.events.inventory import StockModeSet
from schemas.events.orders import DeliveryAddress, DeliveryAddressGiven, LineStateChanged, OrderStateChanged
from schemas.upcasters import UPCASTERS
from schemas.values import ChannelId, LineId, OrderId, Sku, TenantId
from tests.conftest import Database
from tests.examples import NOON
from tests.machine import TENANT

pytestmark = pytest.mark.anyio

MASTER = bytes(32)


@asynccontextmanager
async def open_log(database: Database, tenant: str = TENANT, size: int = 10) -> AsyncIterator[Log]:
    """A log as one process has it: nothing is shared with another but the database."""
    pool = await PostgresDb(database.engine_url, size=size).pool()
    try:
        yield Log(pool, TenantId(tenant), Vault(pool, TenantId(tenant), MASTER), SystemClock(), Metrics())
    finally:
        with anyio.move_on_after(5, shield=True):
            await pool.close()
        pool.terminate()


@pytest.fixture
async def log(database: Database) -> AsyncIterator[Log]:
    async with open_log(database) as opened:
        yield opened


def fact(name: str, state: str = "SHIPPING", **more: Any) -> Fact:
    event = OrderStateChanged(channel=ChannelId("asos"), order_id=OrderId(name), state=state)
    return Fact(event=event, event_id=uuid5(NAMESPACE, name), occurred_at=NOON, **more)


def append(stream: str, *names: str, **more: Any) -> Append:
    return Append(stream=stream, facts=tuple(fact(name) for name in names), **more)


async def append_all(log: Log, *appends: Append) -> list[Verdict]:
    async with log._pool.acquire() as conn, conn.transaction():
        return await log.append_in(conn, appends)


# ---------------------------------------------------------------- what is put in comes out


async def test_an_event_is_read_as_it_was_appended(log: Log) -> None:
    cause, story = uuid5(NAMESPACE, "cause"), uuid5(NAMESPACE, "story")
    told = fact("a", "RÉCEPTIONNÉ ✓", correlation_id=story, causation_id=cause, actor="mirakl:asos")
    verdict = await log.append(Append(stream="order-asos:a", facts=(told, fact("b"))))
    assert (verdict.outcome, verdict.first, verdict.last, verdict.version) == ("appended", 1, 2, 2)
    first, second = await log.read(0)
    assert (first.position, first.stream, first.version, first.tenant) == (1, "order-asos:a", 1, TENANT)
    assert (first.event, first.event_id, first.occurred_at) == (told.event, told.event_id, NOON)
    assert (first.correlation_id, first.causation_id, first.actor) == (story, cause, "mirakl:asos")
    assert (second.correlation_id, second.causation_id, second.sealed) == (second.event_id, None, None)
    assert await log.read_stream("order-asos:a", after=1) == [second] == await log.read(1)


async def test_text_that_no_database_takes_is_mended_and_kept(log: Log) -> None:
    event = OrderStateChanged(channel=ChannelId("asos"), order_id=OrderId("a\0b"), state="half \ud800 and \ud83d\ude00", reason="\\u0000")
    await log.append(Append(stream="order-\0asos:\udc00", facts=(Fact(event=event, event_id=UUID(int=1), occurred_at=NOON, actor="\0me"),)))
    [envelope] = await log.read(0)
    assert envelope.event == OrderStateChanged(
        channel=ChannelId("asos"), order_id=OrderId("ab"), state="half \ufffd and \U0001f600", reason="\\u0000"
    )
    assert (envelope.stream, envelope.actor) == ("order-asos:\ufffd", "me")
    assert await log.read_stream("order-\0asos:\udc00") == [envelope]


async def test_the_last_of_a_kind_is_found_in_many_streams_at_once(log: Log) -> None:
    await append_all(log, append("one", "a", "b"), append("two", "c"), append("one", "d"))
    found = await log.last([("one", ""), ("two", ""), ("three", "")], OrderStateChanged)
    assert {stream: envelope.event_id for (stream, _), envelope in found.items()} == {"one": fact("d").event_id, "two": fact("c").event_id}
    assert await log.last([("one", "")], DeliveryAddressGiven) == {}


async def test_the_last_of_a_part_is_told_from_the_last_of_all(log: Log) -> None:
    def moved(line: str, state: str) -> Fact:
        event = LineStateChanged(channel=ChannelId("asos"), order_id=OrderId("1"), line_id=LineId(line), sku=Sku("S"), state=state)
        return Fact(event=event, event_id=uuid5(NAMESPACE, f"{line}{state}"), occurred_at=NOON)

    await log.append(Append(stream="one", facts=(moved("1", "SHIPPING"), moved("2", "SHIPPING"), moved("1", "SHIPPED"))))
    found = await log.last([("one", "1"), ("one", "2"), ("one", "3")], LineStateChanged, "line_id")
    states = {part: event.state for (_, part), envelope in found.items() if isinstance(event := envelope.event, LineStateChanged)}
    assert states == {"1": "SHIPPED", "2": "SHIPPING"}


@pytest.mark.parametrize(
    ("kind", "field"), [(StockModeSet, ""), (ExceptionOpened, "key"), (ExceptionClosed, "key"), (ExceptionResolved, "key")]
)
async def test_what_seldom_happens_is_not_looked_for_in_the_whole_stream(log: Log, kind: type[Event], field: str) -> None:
    """Where it never did, a long one takes longer than any answer is waited for."""
    await log.append(append("offers-asos", *(f"{number}" for number in range(50))))
    async with log._pool.acquire() as conn, conn.transaction():
        await conn.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN {LAST}", TENANT, ["offers-asos"], [""], tag_of(kind), field))
    assert "using events_seldom" in plan, plan


async def test_tenants_are_apart(database: Database) -> None:
    async with open_log(database, "one") as one, open_log(database, "two") as two:
        for log in (one, two):
            assert (await log.append(append("s", "a", "b", expected=0))).first == 1
        await two.append(append("s", "c", expected=2))
        assert (await one.head(), await two.head()) == (2, 3)
        assert [(e.tenant, e.position) for e in await one.read(0)] == [("one", 1), ("one", 2)]


# ---------------------------------------------------------------- verdicts


async def test_a_repeat_is_no_news(log: Log) -> None:
    await log.append(append("s", "a", "b", expected=0))
    for again in (append("s", "a", "b", expected=0), append("s", "b"), append("elsewhere", "a")):
        assert (await log.append(again)).outcome == "duplicate"
    assert await log.head() == 2
    part = await log.append(append("s", "a", "c", "b", expected=2))
    assert (part.outcome, part.first, part.last, part.version) == ("appended", 3, 3, 3)
    whole = await log.append(append("s", "c", "a", expected=0))
    assert (whole.outcome, whole.first, whole.last) == ("duplicate", 3, 1)


async def test_one_id_with_two_bodies_is_an_error_that_carries_both(log: Log) -> None:
    await log.append(append("s", "a"))
    other = Append(stream="s", facts=(fact("new"), fact("a", "CLOSED")))
    with pytest.raises(EventIdConflictError) as raised:
        await log.append(other)
    error = raised.value
    assert (error.event_id, error.position) == (fact("a").event_id, 1)
    assert '"state":"SHIPPING"' in error.stored and '"state":"CLOSED"' in error.offered
    assert await log.head() == 1, "all of an append or nothing"
    assert log._metrics.registry.get_sample_value("crossdock_event_id_conflict_total", {"tenant": TENANT}) == 1
    [verdict] = await append_all(log, other)
    assert (verdict.outcome, verdict.first) == ("mismatch", 1)


async def test_another_kind_of_event_under_the_same_id_is_another_body(log: Log) -> None:
    await log.append(append("s", "a"))
    event = DeliveryAddressGiven(channel=ChannelId("asos"), order_id=OrderId("a"))
    with pytest.raises(EventIdConflictError):
        await log.append(Append(stream="s", facts=(Fact(event=event, event_id=fact("a").event_id, occurred_at=NOON),)))


async def test_a_fact_told_in_a_newer_shape_is_the_same_fact(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await log.append(append("s", "a"))
    with monkeypatch.context() as patch:
        patch.setattr(OrderStateChanged, "schema_version", 2)
        verdict = await log.append(Append(stream="s", facts=(fact("a", "told otherwise by a newer version"),)))
        assert verdict.outcome == "duplicate"
        await log.append(append("s", "b"))
    with pytest.raises(EventIdConflictError):
        await log.append(Append(stream="s", facts=(fact("b", "told otherwise by an older version"),)))


async def test_what_was_expected_of_a_stream_holds_or_nothing_is_appended(log: Log) -> None:
    await log.append(append("s", "a", expected=0))
    with pytest.raises(ConflictError) as raised:
        await log.append(append("s", "b", expected=0))
    assert (raised.value.stream, raised.value.expected, raised.value.actual) == ("s", 0, 1)
    await log.append(append("s", "b", expected=1))
    assert await log.head() == 2


async def test_only_the_current_epoch_of_a_lease_appends(log: Log) -> None:
    await set_epoch(log, 4)
    await log.append(append("s", "a", fence=Fence("shopify", 4)))
    for stale in (Fence("shopify", 3), Fence("shopify", 5), Fence("nobody's", 1)):
        for names in ("b", "a"):  # a repeat too: what was done under a lost lease is dropped, whatever it is
            with pytest.raises(LeaseLostError):
                await log.append(append("s", names, fence=stale))
    assert await log.head() == 1


async def test_a_lease_cannot_change_hands_between_the_look_and_the_commit(log: Log) -> None:
    await set_epoch(log, 1)
    async with log._pool.acquire() as ours, log._pool.acquire() as theirs, ours.transaction():
        [verdict] = await log.append_in(ours, [append("s", "a", fence=Fence("shopify", 1))])
        assert verdict.outcome == "appended"
        async with theirs.transaction():
            await theirs.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await theirs.execute("UPDATE crossdock.leases SET epoch = 2 WHERE tenant = $1", TENANT)
    await set_epoch(log, 2)
    with pytest.raises(LeaseLostError):
        await log.append(append("s", "b", fence=Fence("shopify", 1)))


async def set_epoch(log: Log, epoch: int) -> None:
    await log._pool.execute(
        "INSERT INTO crossdock.leases (tenant, name, epoch, beat) VALUES ($1, 'shopify', $2, 0) ON CONFLICT (tenant, name)"
        " DO UPDATE SET epoch = $2",
        TENANT,
        epoch,
    )


async def test_an_append_brings_something(log: Log) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await log.append(Append(stream="s", facts=()))
    async with log._pool.acquire() as conn:
        assert await log.append_in(conn, []) == []


class Told(NamedTuple):
    """An append of the model: a few streams, ids and bodies, so that they meet."""

    stream: str
    facts: tuple[tuple[str, str], ...]  # id, body
    expected: int | None
    epoch: int | None


class Model:
    """What the log promises, in as many words."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []  # stream, id, body; the position is the place

    def version(self, stream: str) -> int:
        return sum(event[0] == stream for event in self.events)

    def append(self, told: Told) -> tuple[str, int | None]:
        """The outcome, and the first position it names."""
        if told.epoch not in {None, 1}:
            return "fenced", None
        known = {name: (position, body) for position, (_, name, body) in enumerate(self.events, 1)}
        fresh: dict[str, tuple[int, str]] = {}
        for name, body in told.facts:
            if name in known | fresh:
                position, stored = (known | fresh)[name]
                if stored != body:
                    return "mismatch", position
            else:
                fresh[name] = (len(self.events) + len(fresh) + 1, body)
        if not fresh:
            return "duplicate", known[told.facts[0][0]][0]
        if told.expected not in {None, self.version(told.stream)}:
            return "conflict", None
        first = len(self.events) + 1
        self.events += [(told.stream, name, body) for name, (_, body) in fresh.items()]
        return "appended", first


TOLD = st.builds(
    Told,
    stream=st.sampled_from("st"),
    facts=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xxxy")), min_size=1, max_size=3).map(tuple),
    expected=st.sampled_from((None, None, None, 0, 1, 2, 3)),
    epoch=st.sampled_from((None, None, None, 1, 2)),
)


@given(groups=st.lists(st.lists(TOLD, min_size=1, max_size=6), min_size=1, max_size=5), number=st.uuids())
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
async def test_groups_of_appends_are_judged_as_one_after_the_other_would_be(log: Log, groups: list[list[Told]], number: UUID) -> None:
    tenant = TenantId(str(number))
    tried = Log(log._pool, tenant, Vault(log._pool, tenant, MASTER), SystemClock(), Metrics())
    await log._pool.execute("DELETE FROM crossdock.leases WHERE tenant = $1", tenant)
    await log._pool.execute("INSERT INTO crossdock.leases (tenant, name, epoch, beat) VALUES ($1, 'lease', 1, 0)", tenant)
    model = Model()
    if await tried.head():
        return  # the same number twice
    for group in groups:
        appends = [
            Append(
                stream=told.stream,
                facts=tuple(fact(name, body) for name, body in told.facts),
                expected=told.expected,
                fence=Fence("lease", told.epoch) if told.epoch else None,
            )
            for told in group
        ]
        judged = [(verdict.outcome, verdict.first) for verdict in await append_all(tried, *appends)]
        assert judged == [model.append(told) for told in group]
    stored = [(e.stream, e.event.order_id, e.event.state) for e in await tried.read(0) if isinstance(e.event, OrderStateChanged)]
    assert stored == model.events
    versions = Counter[str]()
    for envelope in await tried.read(0):
        versions[envelope.stream] += 1
        assert envelope.version == versions[envelope.stream]
    await chain.verify(log._pool, tenant)


# ---------------------------------------------------------------- many at once


async def test_many_writers_in_several_processes_lose_and_double_nothing(database: Database) -> None:
    writers, each = 12, 25
    async with open_log(database) as one, open_log(database) as two, open_log(database, size=2) as three:

        async def write(log: Log, writer: str) -> None:
            for place in range(each):
                await log.append(append(f"own-{writer}", f"{writer}:{place}", expected=place))
                await log.append(append(f"shared-{place % 3}", f"{writer}:{place}:shared"))
                await log.append(append("heard by all", f"all:{place}"))

        async with anyio.create_task_group() as group:
            for number, log in enumerate((one, two, three)):
                for writer in range(writers):
                    group.start_soon(write, log, f"{number}-{writer}")
        events = await one.read(0, 10_000)
    assert len(events) == 3 * writers * each * 2 + each
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    assert len({e.event_id for e in events}) == len(events)
    for stream in {e.stream for e in events}:
        assert [e.version for e in events if e.stream == stream] == list(range(1, sum(e.stream == stream for e in events) + 1))
    assert chain.check(map(chain.link, events), chain.Verified(0, chain.GENESIS, 0)).events == len(events)


async def test_appends_of_one_process_share_commits(log: Log) -> None:
    sent: list[int] = []
    send = log._send

    async def counted(parcels: Sequence[Any]) -> list[Verdict]:
        sent.append(len(parcels))
        return await send(parcels)

    log._group._send = counted
    async with anyio.create_task_group() as group:
        for number in range(200):
            group.start_soon(log.append, append(f"s{number}", str(number)))
    assert sum(sent) == 200 and len(sent) <= 3, "the first goes at once; the others gathered meanwhile"


async def test_the_connection_of_appends_goes_back_when_there_are_none_as_it_came(database: Database) -> None:
    async with open_log(database, size=1) as log:
        for number in range(3):
            await log.append(append("s", str(number)))
        with anyio.fail_after(60):
            async with log._pool.acquire() as conn:
                assert await conn.fetchval("SHOW plan_cache_mode") == "force_custom_plan"
        await log.append(append("s", "again"))
        with anyio.fail_after(60):
            assert await log.head() == 4


async def test_a_connection_that_dies_on_the_way_loses_and_doubles_nothing(database: Database) -> None:
    """Sessions are killed while many write; every append ends well by itself, and is there once."""
    admin = await asyncpg.connect(database.admin_url)
    written: list[UUID] = []
    async with open_log(database) as log:

        async def write(writer: int) -> None:
            for place in range(30):
                one = append(f"s{writer}", f"{writer}:{place}", expected=place)
                await log.append(one)
                written.append(one.facts[0].event_id)

        async def kill() -> None:
            while len(written) < 450:
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'crossdock'"
                )
                reached = len(written) + 40
                while len(written) < min(reached, 450):
                    await anyio.sleep(0.002)

        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            for writer in range(16):
                group.start_soon(write, writer)
        await admin.close()
        events = await log.read(0, 10_000)
        assert Counter(e.event_id for e in events) == Counter(written)
        assert [e.position for e in events] == list(range(1, 481))
        assert (await chain.verify(log._pool, TENANT)).events == 480


@pytest.mark.parametrize(("texts", "how"), [(("a", "b"), "fetchrow"), (("a",), "fetchval")])
async def test_a_group_is_sent_again_when_its_commit_is_not_heard_of(
    log: Log, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], how: str
) -> None:
    """The commit took place and its answer was lost: the ids tell."""
    await log.append(append("before", "so that there is a head", expected=0))
    fetch = getattr(asyncpg.Connection, how)
    lost: list[str] = []

    async def fetch_and_lose(conn: Any, query: str, *arguments: Any, **more: Any) -> Any:
        row = await fetch(conn, query, *arguments, **more)
        if "crossdock.append_" in query and not lost:
            lost.append(query)
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return row

    monkeypatch.setattr(asyncpg.Connection, how, fetch_and_lose)
    verdict = await log.append(append("s", *texts, expected=0))
    assert lost and (verdict.outcome, verdict.first) == ("duplicate", 2)
    assert await log.head() == 1 + len(texts)


async def test_who_says_that_nothing_comes_twice_is_not_believed(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller spares the function a look; the keys of the log have the last word."""
    arguments = log._arguments
    monkeypatch.setattr(log, "_arguments", lambda parcels: [*arguments(parcels)[:-1], True])
    twice = append("s", "a", "b", expected=0)
    async with log._pool.acquire() as conn:
        for appends in ([twice, append("s", "c", expected=0)], [append("t", "a", expected=0), append("s", "a", expected=0)]):
            with pytest.raises(asyncpg.UniqueViolationError):
                await log.append_in(conn, appends)
    assert await log.head() == 0


async def test_an_append_that_cannot_be_sent_fails_alone(log: Log) -> None:
    bad = Append(stream="s", facts=(Fact(event=fact("bad").event, event_id=UUID(int=7), occurred_at="yesterday"),))  # type: ignore[arg-type]
    failed: list[BaseException] = []

    async def try_it() -> None:
        try:
            await log.append(bad)
        except asyncpg.DataError as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(log.append, append("s", str(number)))
            if number % 3 == 0:
                group.start_soon(try_it)
    assert len(failed) == 4 and await log.head() == 10


@pytest.mark.parametrize("known", ["empty", "short"])
async def test_a_plan_made_on_a_short_log_reads_no_more_of_a_long_one(known: str, database: Database) -> None:
    """Without this a busy first minute grows slower with every event, until somebody analyses the table."""
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("ALTER TABLE crossdock.events SET (autovacuum_enabled = off)")
    async with open_log(database, size=1) as early, open_log(database) as other:
        if known == "short":
            await append_all(other, append("first", "first"))
            await admin.execute("ANALYZE crossdock.events")
        await admin.close()
        for number in range(8):  # enough for a plan to become the one that stays
            await append_all(early, append(f"early-{number}", f"early-{number}"), append(f"early-{number}", f"later-{number}"))
            await append_all(early, append(f"early-{number}", f"early-{number}"))
        for batch in range(3):
            await append_all(other, *(append(f"s{number // 8}", f"{batch}:{number}") for number in range(1_000)))
        async with early._pool.acquire() as conn:
            read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'events'"
            for appends in ([append("s1", "x")], [append("s2", "y"), append("s3", "z")], [append("s2", "y"), append("s3", "0:5", "new")]):
                async with conn.transaction():
                    before = await conn.fetchval(read)
                    await early.append_in(conn, appends)
                    assert await conn.fetchval(read) - before < 20


# ---------------------------------------------------------------- cancellation


async def test_who_is_cancelled_before_being_sent_leaves_no_trace_and_holds_nobody_up(log: Log) -> None:
    async with log._pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await log.append_in(other, [append("s", "holds the lock")])
        async with anyio.create_task_group() as group:
            group.start_soon(log.append, append("s", "sent, and waits for the lock"))
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0.05) as scope:
                await log.append(append("s", "given up"))
            assert scope.cancelled_caught
            group.start_soon(log.append, append("s", "after it"))
            await anyio.wait_all_tasks_blocked()
            await transaction.commit()
    assert {str(getattr(e.event, "order_id", "")) for e in await log.read(0)} == {
        "holds the lock",
        "sent, and waits for the lock",
        "after it",
    }


async def test_who_is_cancelled_after_being_sent_goes_when_it_is_durable(log: Log) -> None:
    async with log._pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await log.append_in(other, [append("s", "holds the lock")])

        async def release() -> None:
            await anyio.sleep(0.2)
            await transaction.commit()

        async with anyio.create_task_group() as group:
            group.start_soon(release)
            with anyio.move_on_after(0.05) as scope:
                await log.append(append("s", "sent"))
            assert scope.cancel_called
            assert await log.head() == 2


# ---------------------------------------------------------------- pages, for folds


async def test_pages_hold_what_reading_one_by_one_gives(log: Log) -> None:
    for batch in range(4):
        await append_all(log, *(append(f"s{number % 7}", f"{batch}:{number}") for number in range(25)))
    envelopes = await log.read(0)
    page = await log.page(10, 5, ids=True)
    assert (page.after, page.last, page.recorded_at) == (10, 15, envelopes[14].recorded_at)
    assert list(page.events) == [e.event for e in envelopes[10:15]]
    assert list(page.event_ids) == [e.event_id for e in envelopes[10:15]]
    assert list(page.correlation_ids) == [e.correlation_id for e in envelopes[10:15]]
    assert (await log.page(90, 50, upto=95)).last == 95
    empty = await log.page(100)
    assert (empty.last, list(empty.events), empty.recorded_at) == (100, [], None)
    folded: list[Event] = []
    async with aclosing(log.pages(3, 97, limit=10)) as pages:
        async for page in pages:
            assert page.after == 3 + len(folded)
            folded += page.events
    assert folded == [e.event for e in envelopes[3:97]]


async def test_events_of_a_newer_version_are_passed_over_and_counted(log: Log, database: Database) -> None:
    await append_all(log, append("s", "a"), append("s", "b"), append("s", "c"))
    await tamper(database, """UPDATE crossdock.events SET type = 'moon_landed', data = '{"type":"moon_landed"}' WHERE position = 2""")
    await tamper(database, "UPDATE crossdock.events SET schema_version = 9 WHERE position = 3")
    page = await log.page(0)
    assert page.events == [fact("a").event, UnknownEvent(tag="moon_landed"), UnknownEvent(tag="order_state_changed")]
    assert [e.event for e in await log.read(0)] == page.events
    assert log._metrics.registry.get_sample_value("crossdock_event_undecodable_total", {"source": "log", "type": "moon_landed"}) == 2


async def test_old_shapes_in_a_page_are_taken_to_todays(log: Log, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be decoded as they are, and wrongly, if nobody looked at their version."""
    await append_all(log, append("s", "a"), append("s", "b"), append("s", "c"))
    monkeypatch.setitem(codec.VERSIONS, "order_state_changed", 2)
    monkeypatch.setitem(UPCASTERS, ("order_state_changed", 1), lambda document: document | {"state": "told anew"})
    monkeypatch.setattr(codec, "RAISED", ["order_state_changed"])
    monkeypatch.setattr(codec, "CURRENT", ["order_state_changed:2"])
    await tamper(database, "UPDATE crossdock.events SET schema_version = 2 WHERE position = 2")
    page = await log.page(0)
    assert (
        page.events
        == [fact("a", "told anew").event, fact("b").event, fact("c", "told anew").event]
        == [envelope.event for envelope in await log.read(0)]
    )
    assert (await log.page(1, 1)).events == [fact("b").event]
    await tamper(database, "UPDATE crossdock.events SET schema_version = 3 WHERE position = 2")
    assert (await log.page(1, 1)).events == [UnknownEvent(tag="order_state_changed")]


async def test_a_stored_event_that_fits_no_schema_stops_the_fold(log: Log, database: Database) -> None:
    await append_all(log, append("s", "a"), append("s", "b"))
    await tamper(database, """UPDATE crossdock.events SET data = '{"type":"order_state_changed"}' WHERE position = 2""")
    with pytest.raises(SchemaError, match="order_state_changed"):
        await log.page(0)
    assert len((await log.page(0, 1)).events) == 1


async def test_a_missing_event_is_never_folded_over(log: Log, database: Database) -> None:
    await append_all(log, *(append("s", str(number)) for number in range(6)))
    await tamper(database, "DELETE FROM crossdock.events WHERE position IN (1, 4)")
    for after in (0, 2):
        with pytest.raises(SchemaError, match="missing"):
            await log.page(after)
    assert (await log.page(4)).last == 6
    for limit in (1, 2, 3, 100):
        for after in (0, 2, 3):
            with pytest.raises(SchemaError, match="missing"):
                async with aclosing(log.pages(after, 6, limit)) as pages:
                    [page async for page in pages]


async def test_pages_end_where_the_log_ends(log: Log) -> None:
    await append_all(log, *(append("s", str(number)) for number in range(6)))
    for upto, limit in ((6, 3), (6, 4), (9, 3), (9, 4), (100, 100), (0, 3)):
        async with aclosing(log.pages(0, upto, limit)) as pages:
            assert sum([len(page.events) async for page in pages]) == min(6, upto)


async def tamper(database: Database, statement: str) -> None:
    admin = await asyncpg.connect(database.admin_url)
    try:
        assert await admin.execute(statement) not in {"UPDATE 0", "DELETE 0"}
    finally:
        await admin.close()


# ---------------------------------------------------------------- following


async def test_a_follower_wakes_at_a_commit_of_this_process_or_another(database: Database) -> None:
    async with open_log(database) as one, open_log(database) as two, open_log(database, "other") as other, one.listen() as wake:
        await wake(0.05)  # listens from here on
        assert not await wake(0.01), "nothing has happened"
        await one.append(append("s", "a"))
        assert await wake(5) and not await wake(0.01)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(two.append, append("s", "b"))
                assert await wake(30)
        await other.append(append("s", "a"))
        assert not await wake(0.1), "another tenant's"


async def test_what_was_committed_before_the_wait_is_not_slept_through(log: Log) -> None:
    async with log.listen() as wake:
        await wake(0.01)
        await log.append(append("s", "a"))
        await log.append(append("s", "b"))
        assert await wake(5)
        assert await log.head() == 2


async def test_a_follower_needs_no_notification(database: Database) -> None:
    """The listening connection is killed again and again: every event is still read, and then it listens again."""
    admin = await asyncpg.connect(database.admin_url)
    async with open_log(database) as reader, open_log(database) as writer, reader.listen() as wake:
        await wake(0.05)
        seen = 0
        for number in range(5):
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND query LIKE 'LISTEN%'"
            )
            await writer.append(append("s", str(number)))
            with anyio.fail_after(60):
                while seen <= number:
                    await wake(0.02)
                    seen += len(await reader.read(seen))
        while await wake(0.2):
            pass
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(writer.append, append("s", "at last"))
                assert await wake(30), "it listens again"
    await admin.close()


async def test_a_follower_outlives_a_database_that_is_not_there(database: Database) -> None:
    async with open_log(database) as log, log.listen() as wake:
        await log._pool.close()
        assert not await wake(0.05)
        assert not await wake(0.05)


# ---------------------------------------------------------------- sealed parts, from the log's side


async def test_a_sealed_part_is_the_same_bytes_when_it_is_heard_again(log: Log) -> None:
    told = DeliveryAddressGiven(channel=ChannelId("asos"), order_id=OrderId("a"))
    address = DeliveryAddress(first_name="Zoë", city="Łódź")
    heard = Fact(event=told, event_id=UUID(int=1), occurred_at=NOON, personal=address, subject="asos:a")
    assert (await log.append(Append(stream="s", facts=(heard,)))).outcome == "appended"
    assert (await log.append(Append(stream="s", facts=(heard,)))).outcome == "duplicate"
    [verdict] = await append_all(log, Append(stream="s", facts=(heard,)))
    assert verdict.outcome == "duplicate"
    moved = Fact(event=told, event_id=UUID(int=1), occurred_at=NOON, personal=DeliveryAddress(first_name="Ann"), subject="asos:a")
    with pytest.raises(EventIdConflictError):
        await log.append(Append(stream="s", facts=(moved,)))
    async with log._pool.acquire() as conn:
        await log._vault.erase(conn, ["asos:a"], NOON)
    for again in (heard, moved):
        assert (await log.append(Append(stream="s", facts=(again,)))).outcome == "duplicate", "it cannot be compared any more"
    assert await log.head() == 1


async def test_keys_made_in_a_transaction_go_with_it(log: Log) -> None:
    heard = Fact(
        event=DeliveryAddressGiven(channel=ChannelId("asos"), order_id=OrderId("a")),
        event_id=UUID(int=1),
        occurred_at=NOON,
        personal=DeliveryAddress(first_name="Zoë"),
        subject="asos:a",
    )
    async with log._pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await log.append_in(conn, [Append(stream="s", facts=(heard,))])
        await transaction.rollback()
    assert await log._pool.fetchval("SELECT count(*) FROM crossdock.keys") == 0
    await log.append(Append(stream="s", facts=(heard,)))
    [envelope] = await log.read(0)
    assert await log._vault.open(envelope) == heard.personal
