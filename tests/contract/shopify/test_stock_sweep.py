"""Every item, by a bulk operation: told some at a time, on from wherever a crash left it, and what is gone is found to be."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.shopify.inbound import sweep
from adapters.shopify.inbound.sweep import AT_ONCE, Progress, StockSweep, progress_of, read_since, whole_at
from engine.adapter import Sight
from engine.errors import RejectedError, UnavailableError
from schemas.events.exceptions import ExceptionOpened
from schemas.events.inventory import StockCounted, VariantSeen
from schemas.events.shop import ShopNotified
from schemas.values import ShopId, Sku
from tests.contract.shopify.shopfront import TENANT, Shopfront, shopfront, stock
from tests.contract.shopify.test_reading import said
from tests.examples import envelope
from tests.loopback import NOW

pytestmark = pytest.mark.anyio


def sweep_of(front: Shopfront) -> StockSweep:
    [found] = [source for source in front.adapter.sources if isinstance(source, StockSweep)]
    return found


async def run(front: Shopfront, cursor: str | None = None, source: StockSweep | None = None) -> tuple[list[Any], list[Sight]]:
    """On to the end of one: what was told, and each poll of it."""
    source, sights, events = source or sweep_of(front), list[Sight](), list[Any]()
    before = progress_of(cursor).whole
    for _ in range(100):
        sight = await source.poll(cursor)
        sights.append(sight)
        events += said(sight)
        cursor = sight.cursor
        if progress_of(cursor).whole != before:
            return events, sights
        front.pass_time(sight.again or 0.0)
    raise AssertionError("it never ends")


def counts_of(events: Sequence[Any]) -> dict[str, StockCounted]:
    return {event.sku: event for event in events if isinstance(event, StockCounted)}


class Known:
    """What was counted before."""

    def __init__(self, before: dict[Sku, ShopId]) -> None:
        self.before = before

    async def counted_as(self, items: Sequence[str]) -> dict[Sku, ShopId]:
        return {sku: item for sku, item in self.before.items() if item in items}

    async def counted_after(self, sku: Sku, limit: int) -> dict[Sku, ShopId]:
        return dict([pair for pair in sorted(self.before.items()) if pair[0] > sku][:limit])


async def test_every_item_is_told_and_what_cannot_be_counted_is_told_apart():
    async with shopfront() as front:
        for number in range(60):
            stock(front.shop, f"SKU-{number}", number)
        stock(front.shop, None, 5)
        stock(front.shop, "GHOST", 5, tracked=False)
        stock(front.shop, "TWIN", 1), stock(front.shop, "TWIN", 2)
        stock(front.shop, "OLD", 1, status="ARCHIVED"), stock(front.shop, "OLD", 7)
        stock(front.shop, "PADDED", 1), stock(front.shop, " PADDED", 2)
        events, sights = await run(front)
        counts = counts_of(events)
        assert {f"SKU-{number}" for number in range(60)} | {"GHOST", "OLD"} == set(counts)
        assert sum(sum(event.levels.values()) for sku, event in counts.items() if sku.startswith("SKU-")) == sum(range(60))
        assert counts["GHOST"].tracked is False and counts["GHOST"].levels == {}
        assert list(counts["OLD"].levels.values()) == [7], "an archived product does not take its SKU with it"
        rivals = {event.sku: len(event.rivals) for event in events if isinstance(event, VariantSeen) and event.rivals}
        assert rivals == {"TWIN": 2, "PADDED": 2}
        assert front.metrics.stock_uncounted.labels(TENANT, "no SKU")._value.get() == 1
        assert [whole_at(sight.cursor) for sight in sights] == [None] * (len(sights) - 1) + [front.clock.time]
        assert front.asked.count("BulkRun") == 1 and front.asked.count("ItemsGet") == 1, "only what several items have is read again"
        assert front.metrics.stock_sweep_items.labels(TENANT)._value.get() == 68


async def test_a_line_may_be_as_old_as_the_question_and_as_new_as_the_answer():
    async with shopfront() as front:
        item = stock(front.shop, "TEE-RED-M", 4)
        begun = await sweep_of(front).poll(None)
        asked_at = front.clock.time
        front.pass_time(30)
        front.do("stock", sku="TEE-RED-M", quantity=2, location=next(iter(front.shop.locations)))
        [_, by_hint] = await front.adapter.readers[1].read(
            [envelope(ShopNotified(topic="", about=(ShopId(f"gid://shopify/InventoryItem/{item.id}"),)))]
        )
        found_at = front.clock.time
        events, _ = await run(front, begun.cursor)
        count = counts_of(events)["TEE-RED-M"]
        assert (count.read_at, count.read_by, list(count.levels.values())) == (asked_at, found_at, [4])
        assert by_hint.fact.occurred_at > asked_at, "so the reading that a hint led to meanwhile stands: `news` drops what is older"


async def test_what_is_told_is_bounded_and_a_crash_anywhere_costs_nothing(monkeypatch):
    monkeypatch.setattr(sweep, "AT_ONCE", 10)
    async with shopfront() as front:
        for number in range(35):
            stock(front.shop, f"SKU-{number:02}", number)
        stock(front.shop, "TWIN", 1), stock(front.shop, "TWIN", 2)
        events, sights = await run(front)
        assert max(len(sight.heard) for sight in sights) == 20, "a count and a variant of each"
        assert set(counts_of(events)) == {f"SKU-{number:02}" for number in range(35)}
        plain = [(type(event), event.sku) for event in events]
        for crash in range(len(sights) - 1):  # whoever comes next has the cursor, and nothing else
            told = [event for sight in sights[: crash + 1] for event in said(sight)]
            anew = StockSweep(front.adapter.counts, front.adapter.client, sweep_of(front)._files, 900.0)
            more, _ = await run(front, sights[crash].cursor, anew)
            assert [(type(event), event.sku) for event in (*told, *more)] == plain, crash


async def test_whoever_takes_over_reads_everything_at_once_unless_that_has_just_been_done():
    async with shopfront() as front:
        stock(front.shop, "A", 3)
        began = front.clock.time
        _, sights = await run(front)
        done, first = sights[-1].cursor, sweep_of(front)
        assert read_since(done) == began and first.every == sights[-1].again

        async def begins(source: StockSweep) -> bool:
            return bool(progress_of((await source.poll(done)).cursor).operation)

        front.pass_time(30.0)
        assert not await begins(StockSweep(front.adapter.counts, front.adapter.client, first._files, 900.0))
        front.pass_time(60.0)
        assert await begins(StockSweep(front.adapter.counts, front.adapter.client, first._files, 900.0))
        assert not await begins(first), "whoever has begun one goes on as ever"
        first.resume()
        assert await begins(first), "unless others may have been there meanwhile, or nobody"


async def test_what_was_told_and_not_committed_is_told_again(monkeypatch):
    monkeypatch.setattr(sweep, "AT_ONCE", 10)
    async with shopfront() as front:
        for number in range(25):
            stock(front.shop, f"SKU-{number:02}", number)
        source = sweep_of(front)
        _, sights = await run(front)
        told = next(place for place, sight in enumerate(sights) if sight.heard)
        once = await source.poll(sights[told - 1].cursor)
        twice = await source.poll(sights[told - 1].cursor)
        assert said(once) == said(twice) == said(sights[told]) != []


async def test_a_sku_that_nothing_has_any_more_is_told_as_deleted():
    """By a hint of the item that is gone, by one of the item that is called otherwise now, and by the sweep."""
    async with shopfront() as front:
        there = {Sku(sku): stock(front.shop, sku, 3) for sku in ("GONE", "OLD", "KEPT")}
        before = {sku: ShopId(f"gid://shopify/InventoryItem/{item.id}") for sku, item in there.items()}
        front.adapter.counts.known = Known(before)
        events, sights = await run(front)
        assert not any(event.status == "DELETED" for event in events if isinstance(event, VariantSeen))
        front.do("staffDeleteVariant", variant=there[Sku("GONE")].variant_id)
        front.do("staffRename", variant=there[Sku("OLD")].variant_id, sku="NEW")
        by_hint = said(
            await front.adapter.readers[1].read([envelope(ShopNotified(topic="inventory_items/update", about=tuple(before.values())))])
        )
        front.pass_time(900.0)
        by_sweep, _ = await run(front, sights[-1].cursor)
        for heard in (by_hint, by_sweep):
            status = {event.sku: event.status for event in heard if isinstance(event, VariantSeen)}
            assert status == {"GONE": "DELETED", "OLD": "DELETED", "NEW": "ACTIVE", "KEPT": "ACTIVE"}


async def test_what_came_after_the_question_is_not_taken_for_gone():
    async with shopfront() as front:
        stock(front.shop, "OLD", 1)
        begun = await sweep_of(front).poll(None)
        front.pass_time(20)
        young = stock(front.shop, "YOUNG", 3)
        front.adapter.counts.known = Known({Sku("YOUNG"): ShopId(f"gid://shopify/InventoryItem/{young.id}")})
        events, _ = await run(front, begun.cursor)
        assert {event.sku: event.status for event in events if isinstance(event, VariantSeen)} == {"OLD": "ACTIVE", "YOUNG": "ACTIVE"}


async def test_of_twins_that_are_all_withdrawn_one_says_so_and_none_is_counted():
    async with shopfront() as front:
        for _ in range(2):
            stock(front.shop, "OLD", 3, status="ARCHIVED")
        [seen], _ = await run(front)
        assert isinstance(seen, VariantSeen) and (seen.sku, seen.status) == ("OLD", "ARCHIVED")


async def test_an_empty_shop_is_known_too_and_another_app_may_be_in_the_way():
    async with shopfront() as front:
        front.shop.switches.bulk_at_once = 0
        sight = await sweep_of(front).poll(None)
        assert progress_of(sight.cursor) == Progress() and sight.again == 60.0
        front.shop.switches.bulk_at_once = 5
        events, sights = await run(front, sight.cursor)
        assert events == [] and sights[-1].again == 900.0


async def test_the_next_one_is_begun_when_it_is_due():
    async with shopfront() as front:
        _, sights = await run(front)
        front.pass_time(899)
        sight = await sweep_of(front).poll(sights[-1].cursor)
        assert sight.again == pytest.approx(1.0) and front.asked.count("BulkRun") == 1
        front.pass_time(1)
        await sweep_of(front).poll(sight.cursor)
        assert front.asked.count("BulkRun") == 2


async def test_the_cursor_of_an_earlier_version_says_that_the_shop_is_known():
    async with shopfront() as front:
        before = (NOW - timedelta(hours=1)).isoformat()
        assert whole_at(before) == NOW - timedelta(hours=1) and whole_at(None) is None
        _, sights = await run(front, before)
        assert front.asked.count("BulkRun") == 1 and whole_at(sights[0].cursor) == whole_at(before), (
            "and goes on being, while it is swept again"
        )


async def test_one_that_comes_to_nothing_is_told_and_another_one_begun():
    async with shopfront() as front:
        for number in range(9):
            stock(front.shop, f"SKU-{number}", number)
        front.shop.switches.bulk_fails = 1.0
        source = sweep_of(front)
        sight = await source.poll(None)
        front.pass_time(60)
        with pytest.raises(UnavailableError):
            await source.poll(sight.cursor)
        front.shop.switches.bulk_fails = 0.0
        events, _ = await run(front, sight.cursor)
        assert len(counts_of(events)) == 9 and front.asked.count("BulkRun") == 2


async def _ended(front: Shopfront) -> str:
    sight = await sweep_of(front).poll(None)
    front.pass_time(60)
    return (await sweep_of(front).poll(sight.cursor)).cursor


async def test_a_result_that_cannot_be_had_or_read_is_given_up_in_the_end():
    async with shopfront() as front:
        stock(front.shop, "A", 3)
        source, cursor = sweep_of(front), await _ended(front)
        done = {"id": "gid://shopify/BulkOperation/1", "status": "COMPLETED", "errorCode": None, "rootObjectCount": "1"}
        for _ in range(sweep.TRIES):
            front.instead["BulkGet"] = (200, {"data": {"bulkOperation": done | {"url": f"{front.url}/shopify/storage/results/404.jsonl"}}})
            with pytest.raises(UnavailableError):
                await source.poll(cursor)
        assert front.asked.count("BulkRun") == 1
        events, _ = await run(front, cursor)
        assert list(counts_of(events)) == ["A"] and front.asked.count("BulkRun") == 2


async def test_a_child_away_from_its_parent_is_no_answer():
    async def lines(*rows: dict[str, Any]) -> Any:
        for row in rows:
            yield msgspec.json.encode(row)

    item, level = {"__typename": "InventoryItem", "id": "1"}, {"__typename": "InventoryLevel", "id": "2", "__parentId": "1"}
    found = [one async for one in sweep.items_of(lines(item, level, item | {"id": "3"}))]
    assert [(one.gid, one.through, [kind for kind, _ in one.below]) for one in found] == [("1", 2, ["InventoryLevel"]), ("3", 3, [])]
    for rows in ((level,), (item, item | {"id": "3"}, level)):
        with pytest.raises(RejectedError):
            [one async for one in sweep.items_of(lines(*rows))]


async def test_an_item_that_cannot_be_read_is_set_aside_and_not_taken_for_one_that_is_gone():
    async with shopfront() as front:
        odd, _ = stock(front.shop, "A", 3), stock(front.shop, "B", 4)
        cursor = await _ended(front)
        [job] = front.shop.bulk.values()
        job.result = [line.replace('"sku":"A","tracked":true', '"sku":"A","tracked":"perhaps"') for line in job.result]
        front.adapter.counts.known = Known({Sku("A"): ShopId(f"gid://shopify/InventoryItem/{odd.id}")})
        events, _ = await run(front, cursor)
        assert [event.field for event in events if isinstance(event, ExceptionOpened)] == ["tracked"]
        assert list(counts_of(events)) == ["B"] and all(event.status == "ACTIVE" for event in events if isinstance(event, VariantSeen))


def test_a_mark_for_each_sku_is_all_that_is_held():
    assert AT_ONCE == 1_000
    seen = sweep.Seen(sorted(map(sweep._mark, (Sku("A"), Sku("é")))))
    assert Sku("A") in seen and Sku("é") in seen and Sku("B") not in seen and Sku("a") not in seen
