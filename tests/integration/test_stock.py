"""What a channel shows follows Shopify, whoever changes either side (R4, R8, R22, R64, R81, R90, R91; invariants I4, I6)."""

from pathlib import Path

import anyio
import pytest

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
