"""Who publishes a channel's stock does so as long as it leads, and does not end when it is not alone."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from engine.errors import ConflictError, LeaseLostError
from engine.inbox import own_fact
from engine.log import Append, Fence
from engine.outbox import issue
from engine.runner import advance
from ops.lateness import CHANGES, KINDS
from ops.publisher import Publisher
from projections.publications import publications
from projections.stock import inventory
from projections.stock_rules import Rules
from schemas.events.inventory import StockCounted
from schemas.streams import stock_stream
from schemas.values import ChannelId, ShopId, Sku
from tests.conftest import Database
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

ASOS, MUG, NEAR = ChannelId("asos"), Sku("MUG"), ShopId("gid://shopify/Location/1")


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    """None of a SKU is left, and the channel was not told."""
    async with machine(database, projections=[inventory, publications]) as it:
        none = StockCounted(sku=MUG, item=ShopId("gid://shopify/InventoryItem/1"), levels={NEAR: 0}, read_at=it.clock.now())
        await it.log.append(Append(stream=stock_stream(MUG), facts=(own_fact(TENANT, none, "1", it.clock.now()),)))
        await fold(it)
        yield it


async def fold(engine: Machine) -> None:
    await advance(engine.pool, engine.log, inventory)
    await advance(engine.pool, engine.log, publications)


def publisher(engine: Machine) -> Publisher:
    async def polled() -> bool:
        return True

    return Publisher(engine.pool, engine.log, ASOS, Rules(), "", engine.clock, engine.metrics, polled, "shop", "orders")


async def told(engine: Machine) -> bool:
    return await engine.tags() == ["stock_counted", "command_issued"]


async def elected(engine: Machine) -> Fence:
    """Whoever was before is not heard any more."""
    lease = engine.lease("mirakl:asos")
    fence = await lease.acquire()
    await lease.release(fence)
    return fence


async def test_who_leads_no_more_puts_nothing_on_offer(engine: Machine) -> None:
    stale, current = await elected(engine), await elected(engine)
    it = publisher(engine)
    with anyio.fail_after(60), pytest.raises(BaseExceptionGroup) as lost:
        await it.run(stale, 60.0)
    assert lost.group_contains(LeaseLostError)
    assert await engine.tags() == ["stock_counted"]
    assert await engine.pool.fetchval("SELECT count(*) FROM crossdock.outbox") == 0
    async with anyio.create_task_group() as group:
        group.start_soon(it.run, current, 60.0)
        await engine.until(lambda: told(engine))
        group.cancel_scope.cancel()


async def test_what_a_channel_shows_wrongly_is_told_only_by_who_publishes(engine: Machine) -> None:
    place = {"tenant": TENANT, "channel": ASOS}
    names = ("stock_unpublished", "stock_waiting_for_poll", "stock_degraded_skus", "import_age_seconds")
    series = [
        *((name, place) for name in names),
        *(("stock_oldest_unpublished_seconds", {**place, "change": change}) for change in CHANGES),
        *(("reconcile_drift", {**place, "kind": kind}) for kind in KINDS),
    ]

    def shown() -> set[float | None]:
        return {engine.metrics.registry.get_sample_value(f"crossdock_{name}", labels) for name, labels in series}

    it = publisher(engine)
    for _ in range(2):
        async with anyio.create_task_group() as group:
            group.start_soon(it.run, await elected(engine), 60.0)
            with anyio.fail_after(60):
                while None in shown():
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        assert shown() == {None}
        await fold(engine)


async def test_a_file_that_somebody_else_is_issuing_does_not_end_the_publishing(engine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = list[int]()

    async def at_the_same_moment(*arguments: Any) -> int:
        if not refused:
            refused.append(1)
            raise ConflictError("offers-asos", 0, 1)
        return await issue(*arguments)

    monkeypatch.setattr("ops.publisher.issue", at_the_same_moment)
    async with anyio.create_task_group() as group:
        group.start_soon(publisher(engine).run, await elected(engine), 60.0)
        await engine.until(lambda: told(engine))
        group.cancel_scope.cancel()
    assert refused
