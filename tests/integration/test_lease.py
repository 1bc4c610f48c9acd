"""One acts at a time, by election; and whoever was passed over can do nothing any more."""

from collections.abc import AsyncIterator

import anyio
import pytest

from engine import outbox
from engine.errors import LeaseLostError
from engine.log import Append, Fence
from schemas.commands import SetSellerReference
from schemas.envelope import Fact, event_id
from schemas.values import OrderId
from tests.conftest import Database
from tests.examples import CHANNEL, state
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as it:
        yield it


async def test_the_first_to_come_leads_and_the_second_waits(engine: Machine) -> None:
    first, second = engine.lease("shopify"), engine.lease("shopify")
    async with first as fence:
        assert fence == Fence("shopify", 1)
        with anyio.move_on_after(0.3) as waiting:
            await second.acquire()
        assert waiting.cancelled_caught
    assert await second.acquire() == Fence("shopify", 2)  # given back: taken at once


async def test_another_outside_system_has_a_lease_of_its_own(engine: Machine) -> None:
    async with engine.lease("shopify"), engine.lease("mirakl:asos") as fence:
        assert fence.epoch == 1


async def test_a_beat_that_stands_still_for_a_ttl_ends_the_lease(engine: Machine) -> None:
    frozen = await engine.lease("shopify").acquire()  # nobody beats for it
    async with anyio.create_task_group() as group:
        taken: list[Fence] = []

        async def challenge() -> None:
            taken.append(await engine.lease("shopify", ttl=5.0).acquire())

        group.start_soon(challenge)
        await anyio.sleep(0.2)
        engine.clock.jump(4.0)
        await anyio.sleep(0.2)
        assert not taken
        engine.clock.jump(2.0)
    assert taken[0].epoch == frozen.epoch + 1


async def test_a_beat_goes_on_while_the_block_runs(engine: Machine) -> None:
    async with engine.lease("shopify", ttl=0.3), anyio.create_task_group() as group:
        with anyio.move_on_after(1.0) as waiting:
            await engine.lease("shopify", ttl=0.5).acquire()
        assert waiting.cancelled_caught
        group.cancel_scope.cancel()


async def test_whoever_was_passed_over_cannot_renew_append_issue_or_give_back(engine: Machine) -> None:
    lease = engine.lease("shopify")
    stale = await lease.acquire()
    await engine.pool.execute("UPDATE crossdock.leases SET holder = NULL")
    other = engine.lease("shopify")
    current = await other.acquire()
    with pytest.raises(LeaseLostError):
        await lease.renew(stale)
    fact = Fact(event=state("SHIPPING"), event_id=event_id(TENANT, "test", "1", "x"), occurred_at=engine.clock.now())
    with pytest.raises(LeaseLostError):
        await engine.log.append(Append(stream="order-asos:1", facts=(fact,), fence=stale))
    assert await engine.log.head() == 0
    [cause] = await engine.append("order-asos:1", state("SHIPPING"), fence=current)
    command = SetSellerReference(channel=CHANNEL, order_id=OrderId("1"), reference="A")
    with pytest.raises(LeaseLostError):
        await engine.issue(command, cause=cause, fence=stale)
    await lease.release(stale)
    await other.renew(current)  # still theirs
    assert len(await engine.issue(command, cause=cause, fence=current)) == 1


async def test_who_relies_on_the_epoch_holds_up_an_election_but_no_beat(engine: Machine) -> None:
    """Else a busy dispatcher would lose its lease for being busy."""
    command = SetSellerReference(channel=CHANNEL, order_id=OrderId("1"), reference="A")
    lease = engine.lease(command.target)
    fence = await lease.acquire()
    [cause] = await engine.append("order-asos:1", state("SHIPPING"))
    await engine.issue(command, cause=cause)
    async with engine.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        assert await outbox.claim(conn, TENANT, fence, ["set_seller_reference"], engine.clock.now(), limit=1)
        with anyio.fail_after(60):
            await lease.renew(fence)
            await lease.release(fence)
        with anyio.move_on_after(0.3) as waiting:
            await engine.lease(command.target).acquire()
        assert waiting.cancelled_caught
        await transaction.commit()
    with anyio.fail_after(60):
        # The one who gave up waiting may have been elected at that very moment: then its silence is waited out.
        assert (await engine.lease(command.target, ttl=0.3).acquire()).epoch > fence.epoch


async def test_losing_the_lease_stops_the_work_and_it_starts_again_in_a_new_epoch(engine: Machine) -> None:
    epochs: list[int] = []
    lease = engine.lease("shopify", ttl=0.3)
    done = anyio.Event()

    async def work(fence: Fence) -> None:
        epochs.append(fence.epoch)
        if len(epochs) == 1:
            await engine.pool.execute("UPDATE crossdock.leases SET epoch = epoch + 1, holder = NULL, beat = beat + 1")
            await anyio.sleep_forever()
        done.set()

    with anyio.fail_after(60):
        await lease.lead(work)
    assert epochs == [1, 3]
    assert done.is_set()


async def test_losing_the_database_for_a_ttl_loses_the_lease(engine: Machine) -> None:
    with pytest.raises(BaseExceptionGroup) as lost, anyio.fail_after(60):  # noqa: PT012 - the block is what is tested
        async with engine.lease("shopify", ttl=0.6):
            engine.pool.terminate()
            await anyio.sleep_forever()
    assert lost.group_contains(LeaseLostError)
