"""Commands go out once, whatever happens to the answer, the process or the lease; and what came of them is in the log."""

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import anyio
import asyncpg
import pytest

from engine import outbox, perform
from engine.adapter import Answer, Done, Effect, Endpoint, NotYet, Performer, Refused, Task
from engine.alarm import Alarm
from engine.dispatcher import Dispatcher
from engine.errors import AuthError, RejectedError, ThrottledError, UnavailableError, UnknownOutcomeError
from engine.lease import Lease
from engine.limits import Limits
from engine.log import Append
from schemas.commands import AcceptOrder, Command, CreateShopOrder, Remind, SetSellerReference
from schemas.envelope import Fact, event_id
from schemas.events import Event
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.orders import DeliveryAddress, OrderAccepted, SellerReferenceSet
from schemas.values import ChannelId, LineId, Money, OrderId
from tests.conftest import Database
from tests.examples import address, state
from tests.machine import QUICK, TENANT, Machine, machine

pytestmark = pytest.mark.anyio

MIRAKL, SHOPIFY, CHANNEL = "mirakl:asos", "shopify", ChannelId("asos")
BATCHED = Endpoint("batched", "PUT", "/batched", calls=1_000, per=1.0, batch=8)


def reference(order: str = "1") -> SetSellerReference:
    return SetSellerReference(channel=CHANNEL, order_id=OrderId(order), reference="A")


def acceptance(order: str = "1") -> AcceptOrder:
    return AcceptOrder(channel=CHANNEL, order_id=OrderId(order), accepted=(LineId("1"),))


def creation(order: str = "1") -> CreateShopOrder:
    return CreateShopOrder(
        channel=CHANNEL,
        order_id=OrderId(order),
        placed_at=datetime(2026, 11, 20, tzinfo=UTC),
        currency="GBP",
        taxes_included=True,
        lines=(),
        total=Money(0, "GBP"),
    )


RAISED: dict[str, Exception] = {
    "never": UnknownOutcomeError("no answer"),
    "down": UnavailableError("not reached"),
    "slow": ThrottledError("too fast", retry_after=30.0),
    "no": RejectedError("bad field", field="carrier"),
    "key": AuthError("no such key"),
    "bug": KeyError("Jane Doe, 1 High Street"),
    "away": asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
}
ANSWERED: dict[str, Answer] = {"refused": Refused("not this one", field="reference"), "later": NotYet(15.0)}


def named(task: Task[Any]) -> str:
    return f"{type(task.command).__name__} {task.command.order_id}"


@dataclass
class World:
    """The outside: does as the script says, call by call, and well when the script is at its end."""

    script: deque[str] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)  # tag and order
    looks: int = 0
    called_by_then: bool = False  # what the last look was told
    done: list[str] = field(default_factory=list)  # effects, each as often as it happened
    hidden: bool = False  # from looks: the index lags
    busy: str = ""  # what cannot be looked for now
    bad: str = ""  # the order it refuses whole batches for
    ill: str = ""  # the order for which it gives no answer, ever
    reached: anyio.Event = field(default_factory=anyio.Event)
    go_on: anyio.Event = field(default_factory=anyio.Event)
    under_way: int = 0
    most: int = 0  # at once
    found: list[Any] = field(default_factory=list)
    endpoint: Endpoint = QUICK  # of SetSellerReference
    fresh: float = math.inf  # likewise, seconds

    async def act(self, client: Limits, tasks: Sequence[Task[Any]]) -> Sequence[Any]:
        await client.admit(self.endpoint if isinstance(tasks[0].command, SetSellerReference) else QUICK)
        self.calls += [named(task) for task in tasks]
        if self.bad in {task.command.order_id for task in tasks}:
            raise RejectedError("not this one", field="order")
        if self.ill in {task.command.order_id for task in tasks}:
            raise RAISED["down"]
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return [await self._one(task, self.script.popleft() if self.script else "ok") for task in tasks]
        finally:
            self.under_way -= 1

    async def _one(self, task: Task[Any], step: str) -> Any:
        if step in RAISED:
            raise RAISED[step]
        if step in ANSWERED:
            return ANSWERED[step]
        if step == "address":
            self.found.append(await task.opened(DeliveryAddress))
        self.done.append(named(task))
        if step == "lost":
            raise UnknownOutcomeError("no answer")
        if step == "hang":
            self.reached.set()
            await self.go_on.wait()
        return self._effect(task)

    async def look(self, _client: Any, task: Task[Any]) -> Done | None:
        self.looks += 1
        self.called_by_then = task.called
        if self.busy == named(task):
            raise RAISED["slow"]
        if self.hidden or named(task) not in self.done:
            return None
        return self._effect(task)

    def _effect(self, task: Task[Any]) -> Done:
        order = task.command.order_id
        event: Event = (
            OrderAccepted(channel=CHANNEL, order_id=order, accepted=(LineId("1"),))
            if isinstance(task.command, AcceptOrder)
            else SellerReferenceSet(channel=CHANNEL, order_id=order, reference="A")
        )
        return Done((Effect(event, f"{type(task.command).__name__}:{order}", datetime(2026, 11, 20, tzinfo=UTC)),))

    def performs(self) -> Mapping[type[Command], Performer[Any]]:
        return {
            SetSellerReference: Performer(self.act, self.endpoint, fresh=self.fresh),
            AcceptOrder: Performer(self.act, QUICK, look=self.look),
            CreateShopOrder: Performer(self.act, QUICK, look=self.look, quiet=600.0),
        }


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as it:
        yield it


@pytest.fixture
def world() -> World:
    return World()


def dispatcher(engine: Machine, world: World, target: str = MIRAKL, **more: Any) -> Dispatcher:
    limits = engine.limits(target)
    given: dict[str, Any] = {
        "pool": engine.pool,
        "log": engine.log,
        "vault": engine.vault,
        "target": target,
        "performs": world.performs(),
        "client": limits,
        "limits": limits,
        "standing": engine.standing(),
        "clock": engine.clock,
        "metrics": engine.metrics,
    }
    return Dispatcher(**given | more)


@asynccontextmanager
async def running(
    engine: Machine, world: World, target: str = MIRAKL, *, again: Dispatcher | None = None, **more: Any
) -> AsyncIterator[Dispatcher]:
    """A dispatcher at work, killed where the block ends; `again`: one that was at work before."""
    it = again or dispatcher(engine, world, target, **more)
    async with anyio.create_task_group() as group:
        group.start_soon(engine.lease(target).lead, it.run)
        yield it
        group.cancel_scope.cancel()


async def ask(engine: Machine, *commands: Any) -> list[UUID]:
    keys: list[UUID] = []
    for command in commands:
        [cause] = await engine.append(command.subject, state("SHIPPING"))
        keys += await engine.issue(command, cause=cause)
    return keys


def told(engine: Machine, kind: type[Event], count: int = 1) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return sum(isinstance(event, kind) for event in await engine.events()) >= count

    return enough


async def all_of(engine: Machine, kind: type[Any]) -> list[Any]:
    return [event for event in await engine.events() if isinstance(event, kind)]


async def waiting(engine: Machine) -> int:
    found: int = await engine.pool.fetchval("SELECT count(*) FROM crossdock.outbox")
    return found


async def pass_time(engine: Machine, seconds: float) -> None:
    engine.clock.jump(seconds)
    engine.log.ring()


def put_back(engine: Machine, key: UUID, failures: int) -> Callable[[], Awaitable[bool]]:
    async def done() -> bool:
        row = await engine.row(key)
        return row is not None and row["called_at"] is None and row["failures"] == failures and row["attempt"] > 0

    return done


# ---------------------------------------------------------------- the plain way


async def test_what_is_asked_is_done_and_told(engine: Machine, world: World) -> None:
    [key] = await ask(engine, acceptance())
    async with running(engine, world):
        await engine.until(told(engine, CommandConfirmed))
    assert world.calls == ["AcceptOrder 1"]
    assert await waiting(engine) == 0
    cause, issued, accepted, confirmed = await engine.log.read(0)
    assert isinstance(accepted.event, OrderAccepted)
    assert confirmed.event == CommandConfirmed(command_id=key, command="accept_order", subject="order-asos:1", attempt=1)
    for outcome in (accepted, confirmed):
        assert (outcome.stream, outcome.causation_id, outcome.correlation_id) == ("order-asos:1", issued.event_id, cause.correlation_id)
    assert accepted.event_id == event_id(TENANT, MIRAKL, "AcceptOrder:1", "order_accepted")
    assert (accepted.actor, confirmed.actor) == (MIRAKL, "engine")


async def test_a_command_put_while_it_waits_goes_out_at_once(engine: Machine, world: World) -> None:
    async with running(engine, world):
        await engine.until(lambda: _leads(engine))
        began = engine.clock.monotonic()
        await ask(engine, acceptance())
        await engine.until(told(engine, CommandConfirmed))
        assert engine.clock.monotonic() - began < 0.9  # long before the tick


async def _leads(engine: Machine) -> bool:
    return bool(await engine.pool.fetchval("SELECT count(*) FROM crossdock.leases WHERE holder IS NOT NULL"))


async def test_many_go_out_in_batches_and_none_twice(engine: Machine, world: World) -> None:
    await ask(engine, *(reference(f"{n}") for n in range(30)))
    world.endpoint = BATCHED
    async with running(engine, world):
        await engine.until(told(engine, CommandConfirmed, 30))
    assert sorted(world.calls) == sorted({f"SetSellerReference {n}" for n in range(30)})


async def test_no_more_calls_are_under_way_than_allowed(engine: Machine, world: World) -> None:
    world.script.extend(["hang"] * 3)
    await ask(engine, *(acceptance(f"{n}") for n in range(9)))
    async with running(engine, world, width=3):
        await world.reached.wait()
        await anyio.sleep(0.2)
        assert world.under_way == 3
        world.go_on.set()
        await engine.until(told(engine, CommandConfirmed, 9))
    assert world.most == 3


async def test_who_waits_at_one_endpoint_keeps_nobody_from_another(engine: Machine, world: World) -> None:
    world.script.extend(["hang"] * 3)
    world.endpoint = Endpoint("other", "PUT", "/other", calls=1_000, per=1.0)
    await ask(engine, *(acceptance(f"{n}") for n in range(9)))
    async with running(engine, world, width=3):
        await world.reached.wait()
        while world.under_way < 3:
            await anyio.sleep(0.01)
        await ask(engine, *(reference(f"{n}") for n in range(10, 15)))
        await engine.until(told(engine, CommandConfirmed, 5))
        assert world.under_way == 3
        world.go_on.set()
        await engine.until(told(engine, CommandConfirmed, 14))
    assert 3 < world.most <= 6  # three that hang, and three of the others


async def test_one_refused_of_a_batch_is_over_and_the_others_are_done(engine: Machine, world: World) -> None:
    world.script.extend(["ok", "refused", "ok"])
    keys = await ask(engine, *(reference(f"{n}") for n in range(3)))
    world.endpoint = BATCHED
    async with running(engine, world):
        await engine.until(told(engine, CommandConfirmed, 2))
        await engine.until(told(engine, CommandRefused))
    [refused] = await all_of(engine, CommandRefused)
    assert (refused.command_id, refused.detail, refused.field) == (keys[1], "not this one", "reference")
    assert await waiting(engine) == 0


async def test_a_poison_in_a_batch_keeps_nobody_else(engine: Machine, world: World) -> None:
    world.bad = "3"
    await ask(engine, *(reference(f"{n}") for n in range(8)))
    world.endpoint = BATCHED
    async with running(engine, world):
        await engine.until(told(engine, CommandConfirmed, 7))
        await engine.until(told(engine, CommandRefused))
    assert [event.subject for event in await all_of(engine, CommandRefused)] == ["order-asos:3"]
    assert sorted(world.done) == sorted(f"SetSellerReference {n}" for n in range(8) if n != 3)


async def test_not_yet_is_asked_again_and_is_no_failure(engine: Machine, world: World) -> None:
    world.script.append("later")
    [key] = await ask(engine, reference())
    async with running(engine, world):
        await engine.until(put_back(engine, key, 0))
        assert len(world.calls) == 1
        await pass_time(engine, 16)
        await engine.until(told(engine, CommandConfirmed))
    assert len(world.calls) == 2


# ---------------------------------------------------------------- what people told is opened for who needs it


async def test_a_performer_opens_the_last_address_sealed_in_the_stream(engine: Machine, world: World) -> None:
    for number, city in enumerate(("Leeds", "York")):
        fact = Fact(
            event=address(),
            event_id=event_id(TENANT, MIRAKL, f"{number}", "delivery_address_given"),
            occurred_at=engine.clock.now(),
            personal=DeliveryAddress(city=city),
            subject="order-asos:1",
        )
        await engine.log.append(Append(stream="order-asos:1", facts=(fact,)))
    world.script.extend(["address", "address"])
    await ask(engine, acceptance("1"), acceptance("2"))
    async with running(engine, world):
        await engine.until(told(engine, CommandConfirmed, 2))
        assert len(world.found) == 2
        assert DeliveryAddress(city="York") in world.found
        assert None in world.found
        await engine.erase("order-asos:1")
        world.script.append("address")
        await ask(engine, reference("1"))
        await engine.until(told(engine, CommandRefused))
    assert "erased" in (await all_of(engine, CommandRefused))[0].detail


# ---------------------------------------------------------------- lost answers, class by class


async def test_a_repeatable_command_is_sent_again(engine: Machine, world: World) -> None:
    world.script.append("lost")
    [key] = await ask(engine, reference())
    async with running(engine, world):
        await engine.until(put_back(engine, key, 1))
        await pass_time(engine, 10)
        await engine.until(told(engine, CommandConfirmed))
    assert world.calls == ["SetSellerReference 1"] * 2
    [unknown] = await all_of(engine, CommandUnknown)
    assert (unknown.attempt, unknown.detail) == (1, "no answer")
    [confirmed] = await all_of(engine, CommandConfirmed)
    assert (confirmed.attempt, confirmed.found) == (2, False)


async def test_when_an_answer_was_given_up_on_is_told_however_late_that_is_recorded(
    engine: Machine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.script.append("never")
    await ask(engine, reference())
    record, given_up = Dispatcher._record, list[datetime]()

    async def late(it: Dispatcher, fence: Any, outcomes: Any) -> None:
        if not given_up:
            given_up.append(engine.clock.now())
            engine.clock.jump(300)
        await record(it, fence, outcomes)

    monkeypatch.setattr(Dispatcher, "_record", late)
    async with running(engine, world):
        await engine.until(told(engine, CommandUnknown))  # it is due again at once: that it was put back may not be seen
    [unknown] = [each for each in await engine.log.read(0) if isinstance(each.event, CommandUnknown)]
    assert unknown.occurred_at <= given_up[0] and (unknown.recorded_at - unknown.occurred_at).total_seconds() >= 300


async def test_what_waited_until_it_was_stale_is_not_sent_any_more(engine: Machine, world: World) -> None:
    world.fresh = 300.0
    world.script.append("never")
    [key] = await ask(engine, reference())
    async with running(engine, world):
        await engine.until(put_back(engine, key, 1))
        await pass_time(engine, 301)
        await engine.until(told(engine, CommandRefused))
    assert world.calls == ["SetSellerReference 1"] and await engine.row(key) is None


@pytest.mark.parametrize("lost", ["lost", "never"])
async def test_a_state_guarded_command_is_looked_for_first(engine: Machine, world: World, lost: str) -> None:
    world.script.append(lost)
    [key] = await ask(engine, acceptance())
    async with running(engine, world):
        await engine.until(put_back(engine, key, 1))
        await pass_time(engine, 10)
        await engine.until(told(engine, CommandConfirmed))
    assert world.looks == 1
    assert len(world.calls) == (1 if lost == "lost" else 2)
    assert world.done == ["AcceptOrder 1"]
    assert (await all_of(engine, CommandConfirmed))[0].found == (lost == "lost")


async def test_a_refusal_of_what_is_done_already_is_a_confirmation(engine: Machine, world: World) -> None:
    world.done.append("AcceptOrder 1")  # by hand, in the marketplace's own pages
    world.script.append("no")
    await ask(engine, acceptance())
    async with running(engine, world):
        await engine.until(told(engine, CommandConfirmed))
    assert (await all_of(engine, CommandConfirmed))[0].found
    assert await all_of(engine, CommandRefused) == []
    assert world.called_by_then, "after a call, what is there may be ours"


async def test_a_refusal_is_told_and_the_command_is_over(engine: Machine, world: World) -> None:
    world.script.append("no")
    await ask(engine, acceptance())
    async with running(engine, world):
        await engine.until(told(engine, CommandRefused))
    [refused] = await all_of(engine, CommandRefused)
    assert (refused.detail, refused.field) == ("bad field", "carrier")
    assert await waiting(engine) == 0


async def test_what_must_not_be_done_twice_is_looked_for_before_every_call(engine: Machine, world: World) -> None:
    world.done.append("CreateShopOrder 1")  # an engine before us made it, and the log was restored
    await ask(engine, creation())
    async with running(engine, world, SHOPIFY):
        await engine.until(told(engine, CommandConfirmed))
    assert world.calls == []
    assert (await all_of(engine, CommandConfirmed))[0].found


async def test_a_look_that_must_wait_keeps_nobody_else_from_calling(engine: Machine, world: World) -> None:
    """What is too fast is the looking; the command's own endpoint is free."""
    world.busy = "CreateShopOrder 1"
    [waits, _] = await ask(engine, creation("1"), creation("2"))
    async with running(engine, world, SHOPIFY):
        await engine.until(told(engine, CommandConfirmed))
        await engine.until(put_back(engine, waits, 0))
        assert world.calls == ["CreateShopOrder 2"]
        await ask(engine, creation("3"))
        await engine.until(told(engine, CommandConfirmed, 2))
        world.busy = ""
        await pass_time(engine, 31)
        await engine.until(told(engine, CommandConfirmed, 3))
    assert world.done == ["CreateShopOrder 2", "CreateShopOrder 3", "CreateShopOrder 1"]


async def test_a_lost_creation_is_found_by_looking(engine: Machine, world: World) -> None:
    world.script.append("lost")
    [key] = await ask(engine, creation())
    async with running(engine, world, SHOPIFY):
        await engine.until(put_back(engine, key, 1))
        await pass_time(engine, 2)
        await engine.until(told(engine, CommandConfirmed))
    assert world.done == ["CreateShopOrder 1"]


async def test_what_another_command_made_a_moment_ago_is_not_made_twice(engine: Machine, world: World) -> None:
    """It was called for, then it was not, and then again, while the first command was under way: and the index lags."""
    world.hidden = True
    [cause] = await engine.append(creation().subject, state("SHIPPING"))
    await engine.issue(creation(), cause=cause)
    async with running(engine, world, SHOPIFY):
        await engine.until(told(engine, CommandConfirmed))
        [cause] = await engine.append(creation().subject, state("SHIPPING AGAIN"))
        [second] = await engine.issue(creation(), cause=cause)
        await engine.until(lambda: _looked(world, 2), passing=3)
        assert world.done == ["CreateShopOrder 1"] and (await engine.row(second))["attempt"] > 0
        world.hidden = False
        await engine.until(told(engine, CommandConfirmed, 2), passing=30)
    assert world.done == ["CreateShopOrder 1"]
    assert [event.found for event in await all_of(engine, CommandConfirmed)] == [False, True]


async def test_a_lost_creation_behind_a_lagging_index_is_not_made_twice(engine: Machine, world: World) -> None:
    world.script.append("lost")
    world.hidden = True
    [key] = await ask(engine, creation())
    async with running(engine, world, SHOPIFY):
        await engine.until(put_back(engine, key, 1))
        for seconds in (2.1, 3.1, 10.1, 45.1, 60.1, 120.1, 240.1):
            looks = world.looks
            await pass_time(engine, seconds)
            await engine.until(lambda seen=looks: _looked(world, seen))
            await engine.until(put_back(engine, key, 1))
        assert len(world.calls) == 1
        world.hidden = False
        await pass_time(engine, 121)
        await engine.until(told(engine, CommandConfirmed))
    assert world.done == ["CreateShopOrder 1"]


async def _looked(world: World, before: int) -> bool:
    return world.looks > before


async def test_a_creation_that_never_arrived_is_sent_again_after_the_quiet_time_only(engine: Machine, world: World) -> None:
    world.script.append("never")
    [key] = await ask(engine, creation())
    async with running(engine, world, SHOPIFY):
        await engine.until(put_back(engine, key, 1))
        await pass_time(engine, 597)
        await engine.until(lambda: _looked(world, 1))
        await engine.until(put_back(engine, key, 1))
        assert len(world.calls) == 1
        await pass_time(engine, 4)
        await engine.until(told(engine, CommandConfirmed))
    assert len(world.calls) == 2
    assert world.done == ["CreateShopOrder 1"]


# ---------------------------------------------------------------- crashes


@pytest.mark.parametrize(("command", "target"), [(reference(), MIRAKL), (acceptance(), MIRAKL), (creation(), SHOPIFY)])
async def test_killed_between_call_and_record(engine: Machine, world: World, command: Any, target: str) -> None:
    """The effect happened, the process did not live to say so; and its successor comes a moment later."""
    world.script.append("hang")
    await ask(engine, command)
    async with running(engine, world, target):
        await world.reached.wait()
    assert await all_of(engine, CommandConfirmed) == []
    async with running(engine, world, target):
        await engine.until(told(engine, CommandConfirmed))
    [unknown] = await all_of(engine, CommandUnknown)
    assert (unknown.attempt, "stopped" in unknown.detail) == (1, True)
    repeats = 2 if isinstance(command, SetSellerReference) else 1
    assert len(world.calls) == len(world.done) == repeats
    assert await waiting(engine) == 0


async def test_a_look_that_began_before_the_quiet_time_was_over_is_not_the_last(engine: Machine, world: World) -> None:
    """It was answered after that, by an index that did not know yet as it was asked."""
    world.script.append("lost")
    world.hidden = True
    slow = world.look

    async def look(client: Any, task: Task[Any]) -> Done | None:
        found = await slow(client, task)
        if world.looks == 2:
            world.hidden = False
            engine.clock.jump(610)
        return found

    world.look = look  # type: ignore[assignment, method-assign]
    await ask(engine, creation())
    async with running(engine, world, SHOPIFY):
        await engine.until(lambda: _looked(world, 0))
        await engine.until(told(engine, CommandConfirmed), passing=60.0)
    assert world.done == ["CreateShopOrder 1"]


async def test_killed_with_a_lagging_index_waits_out_the_quiet_time(engine: Machine, world: World) -> None:
    world.script.append("hang")
    world.hidden = True
    [key] = await ask(engine, creation())
    async with running(engine, world, SHOPIFY):
        await world.reached.wait()
    async with running(engine, world, SHOPIFY):
        await engine.until(lambda: _looked(world, 1))
        await engine.until(put_back(engine, key, 0))
        await pass_time(engine, 300)
        await engine.until(lambda: _looked(world, 2))
        world.hidden = False
        await pass_time(engine, 310)
        await engine.until(told(engine, CommandConfirmed))
    assert world.done == ["CreateShopOrder 1"]


async def test_an_outcome_is_recorded_even_when_everything_is_told_to_stop(
    engine: Machine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(engine, reference())
    record, began = Dispatcher._record, anyio.Event()

    async def slowly(self: Dispatcher, *arguments: Any) -> None:
        began.set()
        await anyio.sleep(0.2)
        await record(self, *arguments)

    monkeypatch.setattr(Dispatcher, "_record", slowly)
    async with running(engine, world):
        await began.wait()
    assert len(await all_of(engine, CommandConfirmed)) == 1
    assert await waiting(engine) == 0


async def test_a_commit_whose_answer_was_lost_records_nothing_twice(engine: Machine, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask(engine, acceptance())
    commit, tries = Dispatcher._commit, []

    async def lose(self: Dispatcher, *arguments: Any) -> None:
        tries.append(1)
        await commit(self, *arguments)
        if len(tries) == 1:
            raise ConnectionResetError

    monkeypatch.setattr(Dispatcher, "_commit", lose)
    async with running(engine, world):
        await engine.until(told(engine, CommandConfirmed))
        await engine.until(lambda: _looked_len(tries))
    assert await engine.tags() == ["order_state_changed", "command_issued", "order_accepted", "command_confirmed"]


async def _looked_len(tries: list[int]) -> bool:
    return len(tries) >= 2


async def test_stopping_waits_for_what_is_under_way(engine: Machine, world: World) -> None:
    world.script.append("hang")
    await ask(engine, acceptance("1"))
    async with anyio.create_task_group() as group:
        it = dispatcher(engine, world)
        group.start_soon(engine.lease(MIRAKL).lead, it.run)
        await world.reached.wait()
        it.stop()
        await ask(engine, acceptance("2"))
        await anyio.sleep(0.1)
        world.go_on.set()
        began = engine.clock.monotonic()
    assert engine.clock.monotonic() - began < 0.9  # as soon as it is recorded
    assert len(await all_of(engine, CommandConfirmed)) == 1
    assert await waiting(engine) == 1
    assert await engine.pool.fetchval("SELECT holder FROM crossdock.leases") is None


# ---------------------------------------------------------------- two dispatchers


async def test_a_leader_frozen_in_mid_call_records_nothing_when_it_comes_back(engine: Machine, world: World, database: Database) -> None:
    world.script.append("hang")
    [key] = await ask(engine, creation())
    async with machine(database, engine.clock) as other, anyio.create_task_group() as group:
        frozen = dispatcher(engine, world, SHOPIFY)
        old = await engine.lease(SHOPIFY).acquire()  # and never renewed

        async def leads() -> None:
            with pytest.raises(BaseExceptionGroup):  # it learns that the lease is lost
                await frozen.run(old)

        group.start_soon(leads)
        await world.reached.wait()
        fresh = World(done=world.done)
        async with anyio.create_task_group() as second:
            second.start_soon(Lease.lead, other.lease(SHOPIFY), dispatcher(other, fresh, SHOPIFY).run)
            await anyio.sleep(0.2)
            engine.clock.jump(11)  # its beat has stood still for a ttl
            await engine.until(told(engine, CommandConfirmed))
            world.go_on.set()
            await anyio.sleep(0.3)
            await ask(engine, creation("2"))
            await engine.until(told(engine, CommandConfirmed, 2))
            second.cancel_scope.cancel()
        group.cancel_scope.cancel()
    assert sorted(world.done) == ["CreateShopOrder 1", "CreateShopOrder 2"]
    first = next(event for event in await all_of(engine, CommandConfirmed) if event.command_id == key)
    assert (first.found, first.attempt) == (True, 2)


async def test_two_started_by_mistake_do_everything_once(engine: Machine, world: World, database: Database) -> None:
    await ask(engine, *(acceptance(f"{n}") for n in range(20)))
    async with machine(database, engine.clock) as other, running(engine, world, width=2), running(other, world, width=2):
        await engine.until(told(engine, CommandConfirmed, 20))
    assert sorted(world.calls) == sorted(f"AcceptOrder {n}" for n in range(20))


# ---------------------------------------------------------------- trouble outside


async def test_too_fast_is_no_attempt_and_waits_as_long_as_told(engine: Machine, world: World) -> None:
    world.script.append("slow")
    [key] = await ask(engine, acceptance())
    async with running(engine, world):
        await engine.until(put_back(engine, key, 0))
        await pass_time(engine, 20)
        await anyio.sleep(0.1)
        assert len(world.calls) == 1
        await pass_time(engine, 11)
        await engine.until(told(engine, CommandConfirmed))
    assert len(world.calls) == 2


async def test_one_that_is_never_answered_is_buried_and_revived(engine: Machine, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perform, "GIVE_UP", 3)
    monkeypatch.setattr(perform.Performing._retried, "__kwdefaults__", {"limit": 3})
    world.script.extend(["down"] * 3)
    [key] = await ask(engine, acceptance())
    async with running(engine, world):
        for failures in (1, 2):
            await engine.until(put_back(engine, key, failures))
            await pass_time(engine, 10)
        await engine.until(told(engine, CommandBuried))
        [buried] = await all_of(engine, CommandBuried)
        assert (buried.attempt, buried.detail) == (3, "not reached")
        assert (await engine.row(key))["state"] == "buried"
        async with engine.pool.acquire() as conn:
            await outbox.revive(conn, TENANT, key, engine.clock.now())
        engine.log.ring()
        await engine.until(told(engine, CommandConfirmed))
    assert await waiting(engine) == 0


@pytest.mark.parametrize(("command", "target"), [(reference, MIRAKL), (acceptance, MIRAKL), (creation, SHOPIFY)])
async def test_that_our_own_database_was_away_counts_against_no_command(
    engine: Machine, world: World, command: Callable[[], Command], target: str
) -> None:
    """Limiters and look-ups ask it in the middle of a call."""
    world.script.extend(["away"] * 5)
    await ask(engine, command())
    async with running(engine, world, target):
        with anyio.fail_after(60):
            while world.script:
                await pass_time(engine, 700)
                await anyio.sleep(0.02)
        await engine.until(told(engine, CommandConfirmed), passing=700)
    assert not await all_of(engine, CommandBuried)


async def test_a_bug_of_ours_is_buried_without_a_word_of_its_text(engine: Machine, world: World) -> None:
    world.script.extend(["bug"] * 3)
    [key] = await ask(engine, acceptance())
    async with running(engine, world):
        for failures in (1, 2):
            await engine.until(put_back(engine, key, failures))
            await pass_time(engine, 10)
        await engine.until(told(engine, CommandBuried))
    assert (await all_of(engine, CommandBuried))[0].detail == "KeyError"
    assert "Jane" not in str([tuple(row) for row in await engine.pool.fetch("SELECT * FROM crossdock.outbox")])


def recorded(engine: Machine) -> Callable[[], Awaitable[bool]]:
    """Whether nothing is under way, and what came of it is known."""

    async def done() -> bool:
        return not await engine.pool.fetchval("SELECT count(*) FROM crossdock.outbox WHERE called_at IS NOT NULL")

    return done


async def test_in_an_outage_calls_stop_and_nothing_is_given_up(engine: Machine, world: World) -> None:
    world.script.extend(["down"] * 40)
    await ask(engine, *(acceptance(f"{n}") for n in range(12)))
    async with running(engine, world):
        await engine.until(told(engine, ExceptionOpened))
        await engine.until(recorded(engine))
        stopped, world.most = len(world.calls), 0
        assert stopped <= 8 + 5
        for number in range(1, 9):
            await pass_time(engine, 130)
            with anyio.fail_after(60):
                while len(world.calls) < stopped + number:
                    await anyio.sleep(0.01)
            await engine.until(recorded(engine))
        assert len(world.calls) == stopped + 8 and world.most == 1  # one probe after the other
        assert await all_of(engine, CommandBuried) == []
        world.script.clear()
        await pass_time(engine, 130)
        await engine.until(told(engine, ExceptionClosed))
        await engine.until(told(engine, CommandConfirmed, 12), passing=700)  # some failed before it was known to be an outage
    assert [event.code for event in await all_of(engine, ExceptionOpened)] == ["X78"]
    assert len(await all_of(engine, ExceptionClosed)) == 1


async def test_one_that_is_never_answered_does_not_keep_an_outage_going(engine: Machine, world: World) -> None:
    """It is the oldest, and the outage has long been over: the probes are not all its own."""
    world.ill = "0"
    world.script.extend(["down"] * 8)
    await ask(engine, *(acceptance(f"{n}") for n in range(6)))
    async with running(engine, world, width=1):
        await engine.until(told(engine, ExceptionOpened))
        await engine.until(told(engine, CommandConfirmed, 5), passing=130)
        assert "AcceptOrder 0" not in world.done
        world.ill = "-"
        await engine.until(told(engine, CommandConfirmed, 6), passing=700)
    assert await all_of(engine, CommandBuried) == []


async def test_a_refused_key_holds_everything_and_is_told_once(engine: Machine, world: World) -> None:
    world.script.extend(["key"] * 3)
    keys = await ask(engine, *(acceptance(f"{n}") for n in range(6)))
    async with running(engine, world, width=1):
        await engine.until(told(engine, ExceptionOpened))
        assert len(world.calls) == 1
        await engine.until(lambda: _called(world, 2), passing=61)
        await engine.until(lambda: _called(world, 3), passing=125)
        assert [(await engine.row(key))["failures"] for key in keys] == [0] * 6
        await engine.until(told(engine, CommandConfirmed, 6), passing=245)
        await engine.until(told(engine, ExceptionClosed))
    [opened] = await all_of(engine, ExceptionOpened)
    assert (opened.code, opened.key, opened.subject) == ("X76", "X76:mirakl:asos", "target-mirakl:asos")
    [closed] = await all_of(engine, ExceptionClosed)
    assert closed.key == opened.key


async def _called(world: World, count: int) -> bool:
    return len(world.calls) >= count


async def test_a_successor_closes_what_its_predecessor_opened(engine: Machine, world: World) -> None:
    world.script.append("key")
    await ask(engine, acceptance())
    async with running(engine, world):
        await engine.until(told(engine, ExceptionOpened))
    async with running(engine, world):
        await engine.until(told(engine, ExceptionClosed))


async def test_who_leads_again_knows_what_was_told_meanwhile(engine: Machine, world: World) -> None:
    """It opened, another closed; what it meets then is news."""
    world.script.extend(["key", "ok", "key"])
    await ask(engine, acceptance("1"))
    async with running(engine, world) as one:
        await engine.until(told(engine, ExceptionOpened))
    async with running(engine, world):
        await engine.until(told(engine, ExceptionClosed))
    await ask(engine, acceptance("2"))
    await pass_time(engine, 125)
    async with running(engine, world, again=one):
        await engine.until(told(engine, ExceptionOpened, 2))


async def test_where_nothing_waits_nothing_is_held_up(engine: Machine, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It went through, and the database was away when that was to be told."""
    world.script.append("key")
    show, lost = Alarm.show, list[int]()

    async def away(alarm: Alarm, fence: Any, troubles: Any) -> None:
        if world.calls[1:] and not lost:
            lost.append(1)
            raise asyncpg.ConnectionDoesNotExistError
        await show(alarm, fence, troubles)

    monkeypatch.setattr(Alarm, "show", away)
    await ask(engine, acceptance())
    with suppress(BaseExceptionGroup, asyncpg.PostgresError):
        async with running(engine, world):
            await engine.until(told(engine, ExceptionOpened))
            while not lost:
                await pass_time(engine, 61)
                await anyio.sleep(0.05)
    async with running(engine, world):
        await engine.until(told(engine, ExceptionClosed))
    assert lost and await waiting(engine) == 0


async def test_a_slow_endpoint_holds_up_nobody_else(engine: Machine, world: World) -> None:
    world.endpoint = Endpoint("slow", "PUT", "/slow", calls=1, per=60.0)
    await ask(engine, reference("1"), reference("2"), acceptance("3"))
    async with running(engine, world):
        await engine.until(told(engine, CommandConfirmed))
        await pass_time(engine, 1)
        await engine.until(told(engine, CommandConfirmed, 2))
        await anyio.sleep(0.1)
        assert sorted(world.calls) == ["AcceptOrder 3", "SetSellerReference 1"]
        await pass_time(engine, 60)
        await engine.until(told(engine, CommandConfirmed, 3))


async def test_an_effect_that_contradicts_the_log_is_kept_as_an_exception(engine: Machine, world: World) -> None:
    known = Fact(
        event=OrderAccepted(channel=CHANNEL, order_id=OrderId("1"), accepted=(LineId("2"),)),
        event_id=event_id(TENANT, MIRAKL, "AcceptOrder:1", "order_accepted"),
        occurred_at=engine.clock.now(),
    )
    await engine.log.append(Append(stream="order-asos:1", facts=(known,)))
    await ask(engine, acceptance())
    async with running(engine, world):
        await engine.until(told(engine, ExceptionOpened))
    assert (await all_of(engine, ExceptionOpened))[0].code == "X79"
    assert len(await all_of(engine, CommandConfirmed)) == 1


async def test_what_this_version_cannot_read_is_buried(engine: Machine, world: World) -> None:
    [key] = await ask(engine, acceptance())
    await engine.pool.execute("""UPDATE crossdock.outbox SET body = '{"type":"accept_order"}'""")
    async with running(engine, world):
        await engine.until(told(engine, CommandBuried))
    assert world.calls == []
    assert (await engine.row(key))["state"] == "buried"


async def test_the_queue_is_measured_as_long_as_somebody_looks_at_it(engine: Machine, world: World) -> None:
    def shown(kind: str = "C") -> float | None:
        labels = {"tenant": TENANT, "class": kind, "state": "waiting"}
        return engine.metrics.registry.get_sample_value("crossdock_command_queue_depth", labels)

    world.script.append("slow")
    later = Remind(channel=CHANNEL, about="order-asos:1", at=engine.clock.now() + timedelta(days=3))
    key, _ = await ask(engine, acceptance(), later)
    async with running(engine, world):
        await engine.until(put_back(engine, key, 0))
        await pass_time(engine, 16)
        oldest = engine.metrics.command_oldest_seconds.labels(TENANT, "C", "waiting")
        await engine.until(lambda: _exceeds(oldest, 15))
        assert shown() == 1
        assert shown("A") == 0  # it is not due yet
        async with running(engine, world, "shopify"):  # it looks at the same queue
            await anyio.sleep(0.3)
        assert shown() == 1
    assert shown() is None, "another engine may have answered for it by now"


async def _exceeds(gauge: Any, value: float) -> bool:
    return bool(gauge._value.get() > value)


def test_what_must_be_looked_for_needs_a_look(world: World) -> None:
    performs: dict[type[Command], Performer[Any]] = {CreateShopOrder: replace(world.performs()[CreateShopOrder], look=None)}
    engine: Any = None
    with pytest.raises(TypeError, match="create_shop_order cannot be looked for"):
        Dispatcher(
            pool=engine,
            log=engine,
            vault=engine,
            target=SHOPIFY,
            performs=performs,
            client=None,
            limits=engine,
            standing=engine,
            clock=engine,
            metrics=engine,
        )
