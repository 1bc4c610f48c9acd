"""What a channel shows follows Shopify, whoever changes either side (R4, R8, R22, R64, R81, R90, R91; invariants I4, I6)."""

from pathlib import Path

import anyio
import pytest

from engine.inbox import own_fact
from engine.log import Append
from ops.sandbox.faults import Fault
from schemas.events.orders import LinesAssessed
from schemas.events.people import MappingSet
from schemas.streams import map_stream, order_stream
from schemas.values import ChannelId, OrderId
from tests.conftest import Database
from tests.house import PATIENCE, House, house

pytestmark = pytest.mark.anyio


def shown(built: House, sku: str) -> int:
    return int(built.sandbox.truth()["mirakl"]["offers"][sku]["quantity"])


def there(built: House, sku: str) -> int:
    """By the formula: what Shopify has, less the buffer of the house."""
    return max(0, int(built.sandbox.truth()["shopify"]["stock"][sku]["available"]) - 3)


async def until_told(built: House, *codes: str) -> None:
    """Until there has been an exception of each kind, open or over."""
    with anyio.fail_after(PATIENCE):
        while True:
            rows = await built.pool.fetch("SELECT document->>'code' AS code FROM projections.exceptions WHERE tenant = $1", built.tenant)
            if set(codes) <= {row["code"] for row in rows}:
                return
            await anyio.sleep(0.05)


async def ready(built: House) -> list[str]:
    await built.until_on_offer()
    skus = sorted(sku for sku, offer in built.sandbox.truth()["mirakl"]["offers"].items() if offer["quantity"] > 4)
    await built.until(lambda: all(shown(built, sku) == there(built, sku) for sku in skus), "all is shown as it should be")
    return skus


async def test_what_somebody_edits_on_the_marketplace_is_seen_told_and_put_right(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        more, fewer, *_ = await ready(built)
        built.sandbox.apply("mirakl.edit_offer", {"sku": more, "quantity": 999})
        built.sandbox.apply("mirakl.edit_offer", {"sku": fewer, "quantity": 1})
        await built.until(lambda: shown(built, more) == there(built, more), "the edit is overwritten")
        await built.until(lambda: shown(built, fewer) == there(built, fewer), "what is too few as well")
        await until_told(built, "X19")
        assert built.sandbox.truth()["mirakl"]["violations"] == []


async def test_what_is_withdrawn_in_shopify_is_shown_as_none(database: Database, tmp_path: Path) -> None:
    """Archived, deleted, or called otherwise: by a hint, or by the next sweep."""
    async with house(database.engine_url, tmp_path) as built:
        archived, deleted, renamed, *_ = await ready(built)
        shop = built.sandbox.world.shop
        variants = {variant.sku: variant for variant in shop.variants.values()}
        built.sandbox.apply("shopify.staffProduct", {"product": variants[archived].product_id, "status": "ARCHIVED"})
        built.sandbox.apply("shopify.staffDeleteVariant", {"variant": variants[deleted].id})
        built.sandbox.apply("shopify.staffRename", {"variant": variants[renamed].id, "sku": "NEW-NAME"})
        await built.until(lambda: not any(shown(built, sku) for sku in (archived, deleted, renamed)), "none of them is on offer")
        await until_told(built, "X07", "X08")


async def test_a_product_that_is_archived_is_told_by_a_hint_without_waiting_for_a_sweep(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        sku, *_ = await ready(built)
        for operation in ("ItemsPage", "BulkRun"):
            built.sandbox.faults.add(Fault(operation=operation, action="http_503", count=None))
        variant = next(each for each in built.sandbox.world.shop.variants.values() if each.sku == sku)
        for status, units in (("DRAFT", 0), ("ACTIVE", there(built, sku))):
            built.sandbox.apply("shopify.staffProduct", {"product": variant.product_id, "status": status})
            await built.until(lambda units=units: shown(built, sku) == units, f"shown as it should be of what is {status}")  # type: ignore[misc]
            await built.clock.sleep(900)  # what is changed back within a quarter of an hour is found by a sweep


async def test_a_sku_that_two_things_have_is_shown_as_none_until_one_has_it(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        one, other, *_ = await ready(built)
        variant = next(each for each in built.sandbox.world.shop.variants.values() if each.sku == other)
        built.sandbox.apply("shopify.staffRename", {"variant": variant.id, "sku": one})
        await built.until(lambda: shown(built, one) == 0, "nobody can say how many there are")
        await until_told(built, "X02")
        built.sandbox.apply("shopify.staffRename", {"variant": variant.id, "sku": other})
        await built.until(lambda: shown(built, one) == there(built, one) > 0, "there is one of them again")
        await built.until(lambda: shown(built, other) == there(built, other) > 0, "and of the other")


async def test_a_line_that_the_marketplace_refuses_is_told_and_the_rest_stands(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path) as built:
        gone, other, *_ = await ready(built)
        built.sandbox.apply("mirakl.delete_offer", {"sku": gone})
        for sku in (gone, other):
            built.sandbox.apply("shopify.stock", {"sku": sku, "quantity": 19, "location": None})
        await built.until(lambda: shown(built, other) == there(built, other), "the rest stands")
        await until_told(built, "X10")


async def test_an_order_of_a_bundle_is_assessed_by_what_it_is_made_of(database: Database, tmp_path: Path) -> None:
    """The offer of one SKU is six of another, whatever lies under its own name."""
    async with house(database.engine_url, tmp_path) as built:
        pack, part, *_ = await ready(built)
        word = MappingSet(channel=ChannelId("asos"), kind="bundle", name=pack, value=f"6 x {part}")
        fact = own_fact(built.settings.tenant_id, word, "a person's word", built.clock.now())
        await built.log.append(Append(stream=map_stream(word.channel, word.kind), facts=(fact,)))
        built.sandbox.apply("shopify.stock", {"sku": part, "quantity": 20, "location": None})
        await built.until(lambda: shown(built, part) == 17 and shown(built, pack) == 17 // 6, "both are shown by the part")
        order = built.buy(pack)
        await built.until_shipped(order)
        told = await built.log.last([(order_stream(ChannelId("asos"), OrderId(order)), "")], LinesAssessed)
        [event] = [each.event for each in told.values() if isinstance(each.event, LinesAssessed)]
        assert [line.available for line in event.lines.values()] == [20 // 6]


async def test_a_file_whose_answer_was_lost_may_overwrite_a_later_one_and_is_put_right(database: Database, tmp_path: Path) -> None:
    """No operation finds an import without its number, so that nobody can wait for its end; the next reading tells."""
    async with house(database.engine_url, tmp_path) as built:
        sku, *_ = await ready(built)
        world, now = built.sandbox.world, built.clock.now
        world.switch("mirakl", now(), import_run=2400.0, import_spread=0.0, imports_serial=False)
        built.sandbox.faults.add(Fault(operation="STO01", action="drop", takes_effect=True))
        built.sandbox.faults.add(Fault(operation="STO01", action="http_503", count=None))
        files = len(world.account.imports)
        built.sandbox.apply("shopify.stock", {"sku": sku, "quantity": 25, "location": None})
        await built.until(lambda: len(world.account.imports) > files and running(built) == 1, "a file is at work, and nobody knows")
        world.switch("mirakl", now(), import_run=5.0)
        built.sandbox.faults.clear()
        await built.until(lambda: shown(built, sku) == 22 and running(built) == 1, "the same was sent again, and applied")
        built.sandbox.apply("shopify.stock", {"sku": sku, "quantity": 5, "location": None})
        await built.until(lambda: shown(built, sku) == 2, "a later file is applied")
        await built.until(lambda: shown(built, sku) == 22, "the first one is applied at last, over that")
        await built.until(lambda: shown(built, sku) == 2, "a reading found it, and it was told anew")
        await until_told(built, "X12")
        assert await built.count("command_unknown") >= 1
        assert running(built) == 0


def running(built: House) -> int:
    return sum(each.status == "RUNNING" for each in built.sandbox.world.account.imports.values())
