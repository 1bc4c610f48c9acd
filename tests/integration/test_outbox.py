"""Commands not yet answered for: put once, claimed in turn, one of each subject, and only by whoever leads."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from engine import outbox
from engine.log import Fence
from engine.outbox import Claimed, PutBack
from schemas.commands import AcceptOrder, Command, Lane, PublishStock, Remind, SetSellerReference, ShipOrder
from schemas.envelope import Envelope
from schemas.values import ChannelId, LineId, OrderId, ShopId, Sku
from tests.conftest import Database
from tests.examples import state
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

TARGET, CHANNEL = "mirakl:asos", ChannelId("asos")
TAGS = ["accept_order", "ship_order", "set_seller_reference", "publish_stock"]


def reference(order: str = "1", name: str = "A") -> SetSellerReference:
    return SetSellerReference(channel=CHANNEL, order_id=OrderId(order), reference=name)


def acceptance(order: str) -> AcceptOrder:
    return AcceptOrder(channel=CHANNEL, order_id=OrderId(order), accepted=(LineId("1"),))


def dispatch(order: str) -> ShipOrder:
    return ShipOrder(channel=CHANNEL, order_id=OrderId(order), fulfilments=(ShopId("gid://shopify/Fulfillment/1"),), carrier="Royal Mail")


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as it:
        yield it


@pytest.fixture
async def fence(engine: Machine) -> Fence:
    return await engine.lease(TARGET).acquire()


@pytest.fixture
async def cause(engine: Machine) -> Envelope:
    [envelope] = await engine.append("order-asos:1", state("SHIPPING"))
    return envelope


async def claim(engine: Machine, fence: Fence, *, limit: int = 100, **more: Any) -> list[Claimed]:
    async with engine.pool.acquire() as conn:
        return await outbox.claim(conn, TENANT, fence, more.pop("tags", TAGS), engine.clock.now(), limit=limit, **more)


async def finish(engine: Machine, fence: Fence, *claimed: Claimed) -> int:
    async with engine.pool.acquire() as conn:
        return len(await outbox.finish(conn, TENANT, fence, [(each.command_id, each.attempt) for each in claimed]))


def back(engine: Machine, claimed: Claimed, **more: Any) -> PutBack:
    plain = PutBack(claimed.command_id, claimed.attempt, engine.clock.now(), claimed.failures, claimed.halvings, claimed.unknown_since)
    return replace(plain, **more)


async def put_back(engine: Machine, fence: Fence, *back: PutBack) -> int:
    async with engine.pool.acquire() as conn:
        return len(await outbox.put_back(conn, TENANT, fence, back))


async def test_a_command_is_an_event_and_a_row(engine: Machine, cause: Envelope) -> None:
    [key] = await engine.issue(reference(), cause=cause)
    [issued] = await engine.log.read(cause.position)
    assert (issued.stream, issued.causation_id, issued.correlation_id) == ("order-asos:1", cause.event_id, cause.correlation_id)
    assert (issued.event.command_id, issued.event.command) == (key, reference())  # type: ignore[attr-defined]
    row = await engine.row(key)
    assert (row["target"], row["tag"], row["class"], row["subject"], row["state"]) == (
        TARGET,
        "set_seller_reference",
        "A",
        "order-asos:1",
        "waiting",
    )


async def test_a_command_is_put_once_however_often_it_is_issued(engine: Machine, fence: Fence, cause: Envelope) -> None:
    await engine.issue(reference(), reference(), cause=cause)
    await engine.issue(reference(), cause=cause)
    [claimed] = await claim(engine, fence)
    assert await finish(engine, fence, claimed) == 1
    assert await engine.issue(reference(), cause=cause) == []  # answered for already: a replay asks nobody again
    assert await engine.tags() == ["order_state_changed", "command_issued"]


async def test_one_subject_cannot_be_asked_the_same_in_two_ways(engine: Machine, cause: Envelope) -> None:
    with pytest.raises(ValueError, match="in two ways"):
        await engine.issue(reference(name="A"), reference(name="B"), cause=cause)
    assert await engine.pool.fetchval("SELECT count(*) FROM crossdock.outbox") == 0


async def test_of_a_subject_one_is_in_flight_the_oldest_first_and_remarks_last(engine: Machine, fence: Fence) -> None:
    """C7. A name that a marketplace will not take must not keep a parcel from being told."""
    first, second = await engine.append("order-asos:1", state("SHIPPING"), state("SHIPPED"))
    await engine.issue(dispatch("1"), cause=second)  # comes first by lane, and was put first
    await engine.issue(acceptance("1"), reference(), cause=first)
    for expected in ("accept_order", "ship_order", "set_seller_reference"):
        [claimed] = await claim(engine, fence)
        assert claimed.tag == expected
        assert await claim(engine, fence) == []  # single flight
        await finish(engine, fence, claimed)


async def test_the_oldest_is_the_oldest_over_all_outside_systems(engine: Machine, fence: Fence) -> None:
    first, second = await engine.append("order-asos:1", state("SHIPPING"), state("SHIPPED"))
    await engine.issue(acceptance("1"), cause=first)
    await engine.pool.execute("UPDATE crossdock.outbox SET target = 'shopify'")
    await engine.issue(dispatch("1"), cause=second)
    assert await claim(engine, fence) == []


async def test_lanes_go_first_until_others_have_waited_long_enough(engine: Machine, fence: Fence) -> None:
    causes = [(await engine.append(f"order-asos:{n}", state("SHIPPING")))[0] for n in range(4)]
    await engine.issue(reference("0"), cause=causes[0])
    await engine.issue(dispatch("1"), cause=causes[1])
    assert [each.tag for each in await claim(engine, fence, limit=1)] == ["ship_order"]
    engine.clock.jump(outbox.LANE_SECONDS * 60 - 5)  # 60 lanes lie between the two
    await engine.issue(dispatch("2"), cause=causes[2])
    assert [each.subject for each in await claim(engine, fence, limit=1)] == ["order-asos:2"]
    engine.clock.jump(10)
    await engine.issue(dispatch("3"), cause=causes[3])
    assert [each.tag for each in await claim(engine, fence, limit=1)] == ["set_seller_reference"]


async def test_only_what_is_asked_for_and_not_in_hand_is_claimed(engine: Machine, fence: Fence, cause: Envelope) -> None:
    [key] = await engine.issue(reference(), cause=cause)
    assert await claim(engine, fence, tags=["ship_order"]) == []
    assert await claim(engine, fence, but=[key]) == []
    assert len(await claim(engine, fence)) == 1


async def test_a_row_put_back_falls_due_when_told(engine: Machine, fence: Fence, cause: Envelope) -> None:
    await engine.issue(reference(), cause=cause)
    [first] = await claim(engine, fence)
    assert (first.attempt, first.lost_at) == (1, None)
    due_at = engine.clock.now() + timedelta(seconds=60)
    assert await put_back(engine, fence, back(engine, first, due_at=due_at, failures=1)) == 1
    assert await claim(engine, fence) == []
    async with engine.pool.acquire() as conn:
        assert await outbox.next_due(conn, TENANT, TARGET, TAGS, [], now=engine.clock.now()) == due_at
    engine.clock.jump(61)
    [second] = await claim(engine, fence)
    assert (second.attempt, second.failures, second.lost_at) == (2, 1, None)
    assert await finish(engine, fence, first) == 0  # the token of an earlier attempt opens nothing
    assert await put_back(engine, fence, back(engine, first)) == 0
    assert await finish(engine, fence, second) == 1


async def test_what_is_not_due_yet_is_not_queued_and_a_retry_is_as_late_as_it_was(engine: Machine, cause: Envelope) -> None:
    """Reminders set for weeks ahead must not hide the command that is stuck today."""

    async def queued() -> list[tuple[str, int, float]]:
        now = engine.clock.now()
        rows = await engine.pool.fetch(outbox.QUEUE, TENANT, now, timedelta(seconds=outbox.LANE_SECONDS))
        return [(row["state"], row["depth"], round((now - row["due_since"]).total_seconds())) for row in rows]

    at = engine.clock.now() + timedelta(days=3)
    await engine.issue(Remind(channel=CHANNEL, about="order-asos:1", at=at), cause=cause)
    engine.clock.jump(2 * 86400)
    assert await queued() == []
    await engine.issue(reference(), cause=cause)
    engine.clock.jump(600)
    assert await queued() == [("waiting", 1, 600)]
    clock, tomorrow = await engine.lease("clock").acquire(), engine.clock.now() + timedelta(days=1)
    engine.clock.jump(86400)
    [due] = await claim(engine, clock, tags=["remind"])
    await put_back(engine, clock, back(engine, due, due_at=tomorrow + timedelta(days=1)))
    await engine.pool.execute("DELETE FROM crossdock.outbox WHERE tag <> 'remind'")
    assert await queued() == [("waiting", 1, 600)]


@pytest.mark.parametrize("analyzed", [False, True])
async def test_reminders_for_weeks_ahead_are_not_gone_through(
    engine: Machine, database: Database, cause: Envelope, *, analyzed: bool
) -> None:
    """Each order has one, and whatever is committed has the clock's dispatcher look for what is due."""
    fence, tags, number = await engine.lease("clock").acquire(), ["remind"], 500
    first = engine.clock.now() + timedelta(days=2)
    await engine.issue(
        *(Remind(channel=CHANNEL, about=f"order-asos:{n}", at=first + timedelta(minutes=n)) for n in range(number)), cause=cause
    )
    if analyzed:
        admin = await asyncpg.connect(database.admin_url)
        await admin.execute("ANALYZE crossdock.outbox")
        await admin.close()

    now = engine.clock.now()
    last_turn = now + timedelta(seconds=outbox.LANE_SECONDS * max(Lane))
    claiming: tuple[Any, ...] = (outbox.CLAIM, TENANT, "clock", fence.epoch, tags, now, now, 100, [], Lane.CATALOGUE, last_turn)
    for statement, *arguments in (claiming, (outbox.NEXT_DUE, TENANT, "clock", tags, [], last_turn)):
        plan = await engine.pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)
        assert _looked_at(json.loads(plan)[0]["Plan"]) <= 5, plan
    async with engine.pool.acquire() as conn:
        assert await outbox.next_due(conn, TENANT, "clock", tags, [], now=engine.clock.now()) == first
    assert await claim(engine, fence, tags=tags) == []
    engine.clock.jump(2 * 86400 + 150)
    assert [each.subject for each in await claim(engine, fence, tags=tags)] == [
        f"clock-order-asos:{n}@{(first + timedelta(minutes=n)).isoformat()}" for n in range(3)
    ]


def _looked_at(plan: dict[str, Any]) -> int:
    """Rows, but for those that are found again, by key, to be changed."""
    rows = 0
    if plan.get("Relation Name") == "outbox" and plan["Alias"] != "o":
        rows = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return rows + sum(map(_looked_at, plan.get("Plans", ())))


async def test_a_claim_nobody_answered_for_was_lost(engine: Machine, fence: Fence, cause: Envelope) -> None:
    await engine.issue(reference(), cause=cause)
    await claim(engine, fence)
    engine.clock.jump(outbox.CLAIM_SECONDS + 1)
    [again] = await claim(engine, fence)
    assert again.lost_at is not None
    assert again.attempt == 2


async def test_a_new_epoch_takes_over_at_once_and_shuts_the_old_one_out(engine: Machine, fence: Fence, cause: Envelope) -> None:
    await engine.issue(reference(), cause=cause)
    [held] = await claim(engine, fence)
    await engine.pool.execute("UPDATE crossdock.leases SET holder = NULL")
    current = await engine.lease(TARGET).acquire()
    [other] = await engine.append("order-asos:2", state("SHIPPING"))
    await engine.issue(reference("2"), cause=other)
    assert await claim(engine, fence) == []  # due, and not for the old one
    assert await finish(engine, fence, held) == 0
    assert await put_back(engine, fence, back(engine, held)) == 0
    async with engine.pool.acquire() as conn:
        await outbox.rescue(conn, TENANT, fence, engine.clock.now())
        assert [each.subject for each in await claim(engine, current)] == ["order-asos:2"]  # the old one can rescue nothing
        await outbox.rescue(conn, TENANT, current, engine.clock.now())
    [rescued] = await claim(engine, current)
    assert rescued.lost_at is not None
    assert await finish(engine, current, rescued) == 1


async def test_the_buried_hold_up_nobody_and_can_be_revived(engine: Machine, fence: Fence) -> None:
    first, second = await engine.append("order-asos:1", state("SHIPPING"), state("SHIPPED"))
    [key] = await engine.issue(acceptance("1"), cause=first)
    await engine.issue(dispatch("1"), cause=second)
    [bad] = await claim(engine, fence)
    await put_back(engine, fence, back(engine, bad, buried=True, failures=12, last_error="no"))
    [next_one] = await claim(engine, fence)
    assert next_one.tag == "ship_order"
    await finish(engine, fence, next_one)
    async with engine.pool.acquire() as conn:
        assert await outbox.revive(conn, TENANT, key, engine.clock.now())
        assert not await outbox.revive(conn, TENANT, key, engine.clock.now())
    [again] = await claim(engine, fence)
    assert (again.command_id, again.attempt, again.failures) == (key, 2, 0)


async def test_other_tenants_are_not_there(engine: Machine, fence: Fence, cause: Envelope) -> None:
    await engine.issue(reference(), PublishStock(channel=CHANNEL, quantities={Sku("A"): 1}, as_of=1), cause=cause)
    await engine.pool.execute("UPDATE crossdock.outbox SET tenant = 'other' WHERE tag = 'publish_stock'")
    assert [each.tag for each in await claim(engine, fence)] == ["set_seller_reference"]


def test_each_command_has_one_class() -> None:
    def leaves(kind: type[Command]) -> list[type[Command]]:
        return [leaf for child in kind.__subclasses__() for leaf in leaves(child)] or [kind]

    letters = {kind.__name__: outbox.class_of(kind) for base in outbox.CLASSES for kind in leaves(base) if kind not in outbox.CLASSES}
    assert letters["AcceptOrder"] == "C"
    assert letters["CreateShopOrder"] == "D"
    assert letters["PublishStock"] == "A"
