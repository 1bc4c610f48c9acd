"""What is heard and how far it was read are one commit; and one bad hint keeps nobody from being read."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import anyio
import asyncpg
import pytest
from msgspec.structs import replace as struct

from engine import inbox, poller
from engine.adapter import Heard, Sight
from engine.alarm import Alarm
from engine.errors import AuthError, LeaseLostError, RejectedError, ThrottledError, UnavailableError
from engine.log import Append, Verdict
from engine.poller import GIVE_UP, PATIENCE, Following, Poller
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionRetried
from schemas.events.orders import OrderStateChanged
from schemas.events.shop import ShopNotified
from schemas.values import ShopId
from tests.conftest import Database
from tests.examples import placed, state
from tests.machine import TENANT, Machine, heard, machine

pytestmark = pytest.mark.anyio

TARGET = "shopify"
FAILS: dict[str, Exception] = {
    "down": UnavailableError("not reached"),
    "slow": ThrottledError("too fast", retry_after=30.0),
    "no": RejectedError("no such filter"),
    "key": AuthError("no such key"),
    "bug": KeyError("Jane Doe, 1 High Street"),
}


@dataclass
class Orders:
    """A source that hears one more state of an order with each poll."""

    name: str = "shopify:orders"
    target: str = TARGET
    every: float = 60.0
    stream: str = "order-asos:1"
    script: deque[Any] = field(default_factory=deque)  # how the next polls fail, or what they hear
    polls: list[str | None] = field(default_factory=list)  # the cursors
    again: float | None = None  # what its sights say

    async def poll(self, cursor: str | None) -> Sight:
        self.polls.append(cursor)
        step = self.script.popleft() if self.script else "ok"
        if isinstance(step, str) and step in FAILS:
            raise FAILS[step]
        number = int(cursor or 0) + 1
        told = step if isinstance(step, list) else [heard(self.stream, state(f"S{number}"), f"{number}")]
        return Sight(told, str(number), self.again)


@dataclass
class Resources:
    """A reader of what webhooks hint at; some things it cannot read."""

    name: str = "shopify:orders:hints"
    target: str = TARGET
    bad: dict[str, Exception] = field(default_factory=dict)
    down: Exception | None = None
    reads: list[list[str]] = field(default_factory=list)

    def follows(self, event: Event) -> bool:
        return isinstance(event, ShopNotified)

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        about = [hint.event.about[0] for hint in hints if isinstance(hint.event, ShopNotified)]
        self.reads.append(list(about))
        if self.down:
            raise self.down
        for each in about:
            if each in self.bad:
                raise self.bad[each]
        return [heard("order-asos:1", state(f"read {each}"), f"read:{each}") for each in about]


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as it:
        yield it


def polling(engine: Machine, source: Orders) -> Poller:
    return Poller(
        pool=engine.pool,
        log=engine.log,
        source=source,
        standing=engine.standing(),
        clock=engine.clock,
        rng=engine.rng,
        metrics=engine.metrics,
    )


def following(engine: Machine, reader: Resources) -> Following:
    return Following(
        pool=engine.pool,
        log=engine.log,
        reader=reader,
        standing=engine.standing(),
        clock=engine.clock,
        rng=engine.rng,
        metrics=engine.metrics,
    )


@asynccontextmanager
async def running(engine: Machine, it: Poller | Following) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(engine.lease(TARGET).lead, it.run)
        yield
        group.cancel_scope.cancel()


async def cursor(engine: Machine) -> str | None:
    found: str | None = await engine.pool.fetchval("SELECT cursor FROM crossdock.cursors WHERE tenant = $1", TENANT)
    return found


def stands_at(engine: Machine, wanted: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return int(await cursor(engine) or 0) >= wanted

    return reached


def polled(source: Orders, count: int) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return len(source.polls) >= count

    return enough


async def drained(it: Poller, source: Orders) -> None:
    """Until the script is at its end, and committed."""
    while source.script or not await it.nudge():
        await anyio.sleep(0.01)
        await it.nudge()


async def states(engine: Machine) -> list[str]:
    return [event.state for event in await engine.events() if isinstance(event, OrderStateChanged)]


async def of(engine: Machine, kind: type[Any]) -> list[Any]:
    return [event for event in await engine.events() if isinstance(event, kind)]


def some(engine: Machine, kind: type[Event]) -> Callable[[], Awaitable[bool]]:
    async def told() -> bool:
        return bool(await of(engine, kind))

    return told


async def hint(engine: Machine, *names: str) -> None:
    for name in names:
        await engine.append(f"hint-orders/updated:{name}", ShopNotified(topic="orders/updated", about=(ShopId(name),)))


async def pass_time(engine: Machine, seconds: float) -> None:
    engine.clock.jump(seconds)
    engine.log.ring()
    await anyio.sleep(0.03)


# ---------------------------------------------------------------- sources


async def test_facts_and_cursor_are_committed_and_the_next_poll_goes_on(engine: Machine) -> None:
    source = Orders(every=0.01)
    async with running(engine, polling(engine, source)):
        await engine.until(stands_at(engine, 3))
    assert source.polls[:3] == [None, "1", "2"]
    assert (await states(engine))[:3] == ["S1", "S2", "S3"]
    assert engine.metrics.poll_runs.labels(TENANT, source.name, "ok")._value.get() >= 2
    assert engine.metrics.poll_last_success.labels(TENANT, source.name)._value.get() > 0


@pytest.mark.parametrize("it", ["poller", "reader"])
async def test_how_old_a_cursor_is_shows_while_nothing_is_read_and_as_long_as_we_lead(engine: Machine, it: str) -> None:
    source, reader = Orders(every=1e6), Resources()

    def age() -> float | None:
        name = source.name if it == "poller" else reader.name
        return engine.metrics.registry.get_sample_value("crossdock_cursor_age_seconds", {"tenant": TENANT, "source": name})

    async def young() -> bool:
        return (shown := age()) is not None and shown < 60

    await hint(engine, "a")
    async with running(engine, polling(engine, source) if it == "poller" else following(engine, reader)):
        await engine.until(young)
        reader.down = UnavailableError("not reached")
        await hint(engine, "b")
        await engine.until(lambda: _beyond(reader, 1 if it == "reader" else -1))
        engine.clock.jump(600)
        assert (age() or 0) >= 600
        await pass_time(engine, 600)
        assert (age() or 0) >= 1200
    assert age() is None


async def test_a_source_hears_whenever_it_has_become_ours(engine: Machine) -> None:
    @dataclass
    class Resumed(Orders):
        resumed: list[int] = field(default_factory=list)

        def resume(self) -> None:
            self.resumed.append(len(self.polls))

    source = Resumed(every=0.01)
    it = polling(engine, source)
    for polls in (2, 4):
        async with running(engine, it):
            await engine.until(stands_at(engine, polls))
    assert len(source.resumed) == 2 and source.resumed[0] == 0 and source.resumed[1] >= 2


async def test_a_sight_may_say_when_there_is_more(engine: Machine) -> None:
    source = Orders(again=0.0)
    async with running(engine, polling(engine, source)):
        await engine.until(stands_at(engine, 3), seconds=0.9)  # a minute is a second to this clock
    assert source.polls[:3] == [None, "1", "2"]


async def test_what_a_slow_source_has_read_is_in_the_log_before_its_poll_is_over(engine: Machine) -> None:
    @dataclass
    class Slow(Orders):
        tell: Callable[[Sequence[Heard]], Awaitable[None]] | None = None
        goes_on: anyio.Event = field(default_factory=anyio.Event)

        async def poll(self, cursor: str | None) -> Sight:
            assert self.tell is not None
            page = [heard(self.stream, state("S1"), "1")]
            await self.tell(page)
            await self.goes_on.wait()
            return Sight([*page, heard(self.stream, state("S2"), "2")], "2")

    source = Slow()
    async with running(engine, polling(engine, source)):
        await engine.until(lambda: there(engine, 1))
        assert await cursor(engine) is None
        source.goes_on.set()
        await engine.until(stands_at(engine, 2))
    assert await states(engine) == ["S1", "S2"]


async def there(engine: Machine, position: int) -> bool:
    return await engine.log.head() >= position


async def test_a_crash_before_the_commit_leaves_neither_and_the_poll_is_repeated(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Orders()
    append, crashes = inbox.append_heard, list[int]()

    async def crash(*arguments: Any) -> None:
        await append(*arguments)
        if not crashes:
            crashes.append(1)
            raise asyncpg.ConnectionDoesNotExistError

    monkeypatch.setattr(poller, "append_heard", crash)
    it = polling(engine, source)
    async with running(engine, it):
        await engine.until(polled(source, 1))
        assert await it.nudge() or await it.nudge()
    assert source.polls[:2] == [None, None]
    assert (await states(engine))[:1] == ["S1"]


async def test_whoever_lost_the_lease_moves_no_cursor(engine: Machine) -> None:
    stale = await engine.lease(TARGET).acquire()
    await engine.pool.execute("UPDATE crossdock.leases SET holder = NULL")
    await engine.lease(TARGET).acquire()
    for told in ([heard("order-asos:1", state("S"), "1")], list[Heard]()):
        source = Orders(script=deque([told]))
        with pytest.raises(LeaseLostError):
            await polling(engine, source).run(stale)
    assert await cursor(engine) is None
    assert await engine.log.head() == 0


async def test_no_news_is_dropped_and_a_change_is_kept(engine: Machine) -> None:
    def told(*names: str) -> list[Heard]:
        return [
            heard("order-asos:1", state(name), f"{number}:{name}", same=lambda last, name=name: last.state == name)
            for number, name in enumerate(names, start=len(source.polls))
        ]

    source = Orders(stream="order-asos:2")
    it = polling(engine, source)
    async with running(engine, it):
        for names in (("A", "A", "B"), ("B",), ("B", "A")):
            source.script.append(told(*names))
            await drained(it, source)
    heard_of = [name for name in await states(engine) if name in "AB"]
    assert heard_of == ["A", "B", "A"]


async def test_what_was_true_last_is_told_last_though_two_hear_of_it_at_once(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that began earlier looks at what is known; before it tells, a hint tells of a later moment. Then it is as the sweep said."""

    def told(name: str, minute: int) -> list[Heard]:
        it = heard("order-asos:1", state(name), f"{minute}:{name}", same=lambda last: last.state == name)
        return [replace(it, fact=struct(it.fact, occurred_at=it.fact.occurred_at + timedelta(minutes=minute)))]

    look, looked = inbox.news, anyio.Event()

    async def slowly(log: Any, heard: Sequence[Heard]) -> list[Heard]:
        found = await look(log, heard)
        if not looked.is_set():
            looked.set()
            await anyio.sleep(0.3)
        return found

    monkeypatch.setattr(poller, "news", slowly)
    fence = await engine.lease(TARGET).acquire()
    sweep, hints = polling(engine, Orders()), following(engine, Resources())
    async with anyio.create_task_group() as group:
        group.start_soon(sweep._place.move, fence, told("22", 1), None)
        await looked.wait()
        await hints._place.move(fence, told("23", 2), None)
    await sweep._place.move(fence, told("22", 3), None)
    assert await states(engine) == ["22", "23", "22"]


async def test_the_same_fact_told_otherwise_becomes_another_fact_or_an_exception(engine: Machine) -> None:
    otherwise = heard("order-asos:1", state("OTHERWISE"), "terms:2").fact
    source = Orders(
        script=deque(
            [
                [heard("order-asos:1", placed(), "order"), heard("order-asos:2", placed(), "other")],
                [
                    heard("order-asos:1", placed(commercial_id="9"), "order", otherwise=otherwise),
                    heard("order-asos:2", placed(commercial_id="9"), "other"),
                ],
                [heard("order-asos:2", placed(commercial_id="9"), "other")],
            ]
        )
    )
    it = polling(engine, source)
    async with running(engine, it):
        await engine.until(polled(source, 1))
        await it.nudge()
        await it.nudge()
    assert "OTHERWISE" in await states(engine)
    [opened] = await of(engine, ExceptionOpened)  # once, however often it is heard
    assert (opened.code, opened.subject) == ("X79", "order-asos:2")
    assert int(await cursor(engine) or 0) >= 3  # the cursor went on
    assert engine.metrics.event_id_conflict.labels(TENANT)._value.get() == 3


async def test_failures_leave_the_cursor_and_are_told_when_they_last(engine: Machine) -> None:
    source = Orders(script=deque(["down"] * PATIENCE))
    it = polling(engine, source)
    async with running(engine, it):
        await engine.until(polled(source, 1))
        while source.script:
            assert await of(engine, ExceptionOpened) == []
            assert not await it.nudge()
        assert await cursor(engine) is None
        [opened] = await of(engine, ExceptionOpened)
        assert (opened.code, opened.key) == ("X78", "X78:shopify:orders")
        assert await it.nudge()
        await engine.until(some(engine, ExceptionClosed))


async def test_a_refused_key_is_told_once_and_probed_slowly(engine: Machine) -> None:
    source = Orders(script=deque(["key"] * 3), every=0.01)
    async with running(engine, polling(engine, source)):
        await engine.until(some(engine, ExceptionOpened))
        await anyio.sleep(0.1)
        assert len(source.polls) == 1
    assert [event.code for event in await of(engine, ExceptionOpened)] == ["X76"]


@pytest.mark.parametrize(("step", "code"), [("no", "X79"), ("bug", "X84")])
async def test_other_failures_are_told_without_a_word_too_many(engine: Machine, step: str, code: str) -> None:
    source = Orders(script=deque([step] * 5))
    it = polling(engine, source)
    async with running(engine, it):
        await drained(it, source)
        await engine.until(some(engine, ExceptionOpened))
    [opened] = await of(engine, ExceptionOpened)
    assert opened.code == code
    assert "Jane" not in opened.summary


async def test_a_nudge_returns_when_a_poll_that_began_after_it_is_committed(engine: Machine) -> None:
    source = Orders()
    it = polling(engine, source)
    assert not await it.nudge()  # nobody polls
    async with running(engine, it):
        await engine.until(stands_at(engine, 1))
        assert await it.nudge()
        assert await cursor(engine) == "2"


# ---------------------------------------------------------------- readers


async def test_hints_are_read_together_in_order_and_the_cursor_follows(engine: Machine) -> None:
    reader = Resources()
    await engine.append("order-asos:9", state("S"))
    await hint(engine, "a", "b")
    async with running(engine, following(engine, reader)):
        await engine.until(stands_at(engine, 3))
        await hint(engine, "c")
        await engine.until(stands_at(engine, 6))
    assert reader.reads == [["a", "b"], ["c"]]
    assert await states(engine) == ["S", "read a", "read b", "read c"]
    reader.reads.clear()
    await hint(engine, "d")
    async with running(engine, following(engine, reader)):
        await engine.until(stands_at(engine, 8))
    assert reader.reads == [["d"]]  # a successor goes on from there


@pytest.mark.parametrize("bad", [(), ("a", "b")])
async def test_what_a_hint_led_to_is_read_again_when_its_commit_was_lost(
    engine: Machine, monkeypatch: pytest.MonkeyPatch, bad: Sequence[str]
) -> None:
    """Also where it had been set aside, or was just about to be passed over."""
    reader = Resources(bad={name: RejectedError("not now") for name in bad})
    append, crashes = inbox.append_heard, list[int]()

    async def crash(conn: Any, log: Any, heard: Sequence[Heard], *more: Any) -> int:
        if heard and len(crashes) < 3:
            crashes.append(1)
            raise asyncpg.ConnectionDoesNotExistError
        return await append(conn, log, heard, *more)

    monkeypatch.setattr(poller, "append_heard", crash)
    await hint(engine, "a", "b")
    async with running(engine, following(engine, reader)):
        for _ in range(GIVE_UP + 2):
            await pass_time(engine, 100)
        reader.bad.clear()
        await engine.until(lambda: _crashed(engine, crashes))
        await hint(engine, "c")
        await engine.until(lambda: _read(engine, "c"))
        assert {"read a", "read b"} <= set(await states(engine)) or len(await of(engine, ExceptionOpened)) == len(bad)
    assert len(crashes) == 3


async def _crashed(engine: Machine, crashes: list[int]) -> bool:
    await pass_time(engine, 100)
    return len(crashes) == 3


async def test_a_long_log_without_hints_is_looked_through_once(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "PAGE", 5)
    for number in range(12):
        await engine.append(f"order-asos:{number}", state("S"))
    async with running(engine, following(engine, Resources())):
        await engine.until(stands_at(engine, 10))


async def test_a_poison_hint_holds_up_the_others_for_one_try_and_is_passed_over(engine: Machine) -> None:
    reader = Resources(bad={"b": RejectedError("no such order")})
    await hint(engine, "a", "b", "c")
    async with running(engine, following(engine, reader)):
        await engine.until(lambda: _read(engine, "c"))
        assert reader.reads[:4] == [["a", "b", "c"], ["a"], ["b"], ["c"]]
        await engine.until(stands_at(engine, 1))
        assert await cursor(engine) == "1"  # before the one that is not read
        await hint(engine, "d")
        await engine.until(lambda: _read(engine, "d"))
        await engine.until(some(engine, ExceptionOpened), passing=100)
        [opened] = await of(engine, ExceptionOpened)
        assert (opened.code, opened.subject) == ("X79", "hint-orders/updated:b")
        assert reader.reads.count(["b"]) == GIVE_UP
        await engine.until(stands_at(engine, 4))
        reader.bad.clear()
        await hint(engine, "b")
        await engine.until(some(engine, ExceptionClosed))
    assert (await of(engine, ExceptionClosed))[0].key == opened.key


async def test_what_is_passed_over_again_by_a_successor_is_told_once_each_time(engine: Machine) -> None:
    """It begins before what its predecessor had passed over, where an older hint was set aside; and may be told another reason."""
    await hint(engine, "a")

    async def pass_over(reason: str) -> list[str]:
        reader, head = Resources(bad={"a": RejectedError(reason)}), await engine.log.head()
        await engine.pool.execute("UPDATE crossdock.cursors SET cursor = '0' WHERE tenant = $1", TENANT)
        async with running(engine, following(engine, reader)):
            await engine.until(stands_at(engine, head), passing=100)
        return [event.key for event in await of(engine, ExceptionOpened)]

    key = "X79:hint-orders/updated:a:shopify:orders:hints"
    assert await pass_over("no such order") == [key]
    assert await pass_over("gone") == [key]
    async with running(engine, following(engine, Resources())):
        await hint(engine, "a")
        await engine.until(some(engine, ExceptionClosed))
    assert await pass_over("gone again") == [key, key]


async def test_only_who_passed_a_hint_over_can_say_that_it_is_read(engine: Machine) -> None:
    """Two follow the same stream. What one cannot read, the other's reading does not heal; and a person can have it read again."""
    mine, other = Resources(bad={"a": RejectedError("no such order")}), Resources(name="shopify:stock:hints", bad={})
    await hint(engine, "a")
    async with running(engine, following(engine, mine)):
        await engine.until(some(engine, ExceptionOpened), passing=100)
    async with running(engine, following(engine, other)):
        await engine.until(lambda: _read(engine, "a"))
    [opened] = await of(engine, ExceptionOpened)
    assert await of(engine, ExceptionClosed) == []
    assert opened.next_step == "retry once its cause is gone"
    retried = ExceptionRetried(key=opened.key, subject=opened.subject, reason="try now")
    await engine.append(opened.subject, retried)
    mine.bad.clear()
    async with running(engine, following(engine, mine)):
        await engine.until(some(engine, ExceptionClosed))
    assert mine.reads[-1] == ["a"]
    assert [closed.key for closed in await of(engine, ExceptionClosed)] == [opened.key]


async def _read(engine: Machine, name: str) -> bool:
    return f"read {name}" in await states(engine)


async def test_in_an_outage_no_hint_is_passed_over(engine: Machine) -> None:
    reader = Resources(down=UnavailableError("not reached"))
    await hint(engine, *"abcdefgh")
    async with running(engine, following(engine, reader)):
        await engine.until(some(engine, ExceptionOpened))
        for _ in range(30):
            await pass_time(engine, 200)
        assert [event.code for event in await of(engine, ExceptionOpened)] == ["X78"]
        assert len(reader.reads) < 60
        reader.down = None
        await engine.until(lambda: _read_all(engine), passing=700)
        await engine.until(some(engine, ExceptionClosed))
    assert len(await of(engine, ExceptionClosed)) == 1


async def test_one_hint_that_is_never_answered_does_not_keep_an_outage_going(engine: Machine) -> None:
    """It is the first, and the outage has long been over: the probes are not all its own."""
    reader = Resources(down=UnavailableError("not reached"))
    await hint(engine, *"abcdefgh")
    async with running(engine, following(engine, reader)):
        await engine.until(some(engine, ExceptionOpened))
        reader.down, reader.bad["a"] = None, UnavailableError("not reached")
        await engine.until(lambda: _read_all(engine, "bcdefgh"), passing=200)
    assert "read a" not in await states(engine)


async def _read_all(engine: Machine, names: str = "abcdefgh") -> bool:
    return {f"read {name}" for name in names} <= set(await states(engine))


async def test_too_fast_waits_and_moves_nothing(engine: Machine) -> None:
    reader = Resources(down=FAILS["slow"])
    await hint(engine, "a", "b")
    async with running(engine, following(engine, reader)):
        await anyio.sleep(0.15)
        assert reader.reads == [["a", "b"]]
        reader.down = None
        await pass_time(engine, 31)
        await engine.until(stands_at(engine, 2))
    assert reader.reads == [["a", "b"], ["a", "b"]]


async def test_a_refused_key_stops_a_reader_and_is_told(engine: Machine) -> None:
    reader = Resources(down=FAILS["key"])
    await hint(engine, "a")
    async with running(engine, following(engine, reader)):
        await engine.until(some(engine, ExceptionOpened))
        reader.down = None
        await engine.until(some(engine, ExceptionClosed), passing=61)
    assert await states(engine) == ["read a"]


async def test_that_all_is_well_again_is_told_though_the_database_was_away_at_that_moment(
    engine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other hint need come for it."""
    reader = Resources(down=FAILS["key"])
    show, lost = Alarm.show, list[int]()

    async def away(alarm: Alarm, fence: Any, troubles: Any) -> None:
        if not troubles and reader.reads[-1:] == [["a"]] and not reader.down and len(lost) < 1:
            lost.append(1)
            raise asyncpg.ConnectionDoesNotExistError
        await show(alarm, fence, troubles)

    monkeypatch.setattr(Alarm, "show", away)
    await hint(engine, "a")
    async with running(engine, following(engine, reader)):
        await engine.until(some(engine, ExceptionOpened))
        reader.down = None
        await engine.until(some(engine, ExceptionClosed), passing=61)
    assert lost and await states(engine) == ["read a"]


async def test_a_database_that_is_away_in_an_outage_does_not_end_the_reading(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set aside is forgotten with it, and there would be nothing left to probe with."""
    reader = Resources(down=UnavailableError("not reached"))
    show, lost = Alarm.show, list[int]()

    async def away(alarm: Alarm, fence: Any, troubles: Any) -> None:
        if troubles and len(lost) < 1:
            lost.append(1)
            raise asyncpg.ConnectionDoesNotExistError
        await show(alarm, fence, troubles)

    monkeypatch.setattr(Alarm, "show", away)
    await hint(engine, *"abcdefgh")
    async with running(engine, following(engine, reader)):
        await engine.until(lambda: _lost(lost))
        reader.down = None
        await engine.until(lambda: _read_all(engine), passing=700)


def cut_once_told(engine: Machine, monkeypatch: pytest.MonkeyPatch, told: list[Event]) -> None:
    """Of what is told of trouble, the first of each kind is committed, and the connection breaks before it says so."""
    append = engine.log.append

    async def told_and_cut(what: Append) -> Verdict:
        verdict, event = await append(what), what.facts[0].event
        if isinstance(event, ExceptionOpened | ExceptionClosed) and not any(isinstance(each, type(event)) for each in told):
            told.append(event)
            raise asyncpg.ConnectionDoesNotExistError
        return verdict

    monkeypatch.setattr(engine.log, "append", told_and_cut)


async def test_trouble_whose_telling_had_no_answer_is_told_once(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told in other words each time."""
    alarm, told = Alarm(engine.log, engine.clock, TARGET, "orders"), list[Event]()
    cut_once_told(engine, monkeypatch, told)
    for troubles in ({"X78": "not reached"}, dict[str, str]()):
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await alarm.show(None, troubles)
    for troubles in ({"X78": "HTTP 503"}, {"X78": "HTTP 504"}, {}):
        await alarm.show(None, troubles)
    assert [event.summary for event in await of(engine, ExceptionOpened)] == ["not reached", "HTTP 503"]
    assert await engine.tags() == ["exception_opened", "exception_closed"] * 2


async def test_trouble_told_while_somebody_has_none_is_over_when_it_is_over(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has none asks what was told before the trouble is told, and is answered after that."""
    alarm, read, asked = Alarm(engine.log, engine.clock, TARGET, TARGET), engine.log.read_stream, list[str]()

    async def slowly(stream: str, after: int = 0) -> list[Envelope]:
        asked.append(stream)
        found = await read(stream, after)
        if len(asked) == 2:
            await engine.clock.sleep(1.0)
        return found

    monkeypatch.setattr(engine.log, "read_stream", slowly)
    async with anyio.create_task_group() as group:
        for troubles in ({"X76": "our key is refused"}, dict[str, str]()):
            group.start_soon(alarm.show, None, troubles)
    await alarm.show(None, {})
    assert await engine.tags() == ["exception_opened", "exception_closed"]


async def test_a_reader_goes_on_after_its_outage_was_told_without_an_answer(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Wordy(Resources):
        async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
            if len(self.reads) < 30:
                self.down = UnavailableError(f"no answer to request {len(self.reads)}")
            return await super().read(hints)

    reader, told = Wordy(), list[Event]()
    cut_once_told(engine, monkeypatch, told)
    await hint(engine, *"abcdefgh")
    async with running(engine, following(engine, reader)):
        await engine.until(lambda: _lost(told), passing=61)
        await engine.until(lambda: _beyond(reader, 29), passing=61)
        reader.down = None
        await engine.until(lambda: _read_all(engine), passing=700)
    assert len(await of(engine, ExceptionOpened)) == 1


async def _beyond(reader: Resources, reads: int) -> bool:
    return len(reader.reads) > reads


async def _lost(lost: Sequence[object]) -> bool:
    return bool(lost)


async def test_hints_that_fail_do_not_pile_up_without_end(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "MOST_ASIDE", 3)
    reader = Resources(bad={f"{n}": KeyError("Jane Doe") for n in range(9)})
    await hint(engine, *(f"{n}" for n in range(9)))
    monkeypatch.setattr(poller, "HINTS", 3)
    it = following(engine, reader)
    async with running(engine, it):
        await anyio.sleep(0.3)
        assert len(it._aside) == 3
        for _ in range(30):
            await pass_time(engine, 100)
        await engine.until(stands_at(engine, 9), passing=100)
    assert len(await of(engine, ExceptionOpened)) == 9
    assert not any("Jane" in event.summary for event in await of(engine, ExceptionOpened))
