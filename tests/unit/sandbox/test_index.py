"""The search index: behind by so much, right in the end, and quick to page through."""

import pytest

from ops.sandbox.shopify.state import gid
from tests.unit.sandbox.storefront import Storefront


def found(shop: Storefront, query: str) -> int:
    return len(shop.ask("OrdersSearch", query=query, first=50)["nodes"])


def test_the_index_shows_a_tag_after_a_while_and_forgets_it_after_a_while() -> None:
    shop = Storefront(index_lag=5.0)
    order = gid("Order", shop.sold(1, tags=["a"]).id)
    shop.later(5)
    shop.ask("OrderUpdate", input={"id": order, "tags": ["b"]})
    assert (found(shop, "tag:a"), found(shop, "tag:b")) == (1, 0)
    shop.later(5)
    assert (found(shop, "tag:a"), found(shop, "tag:b")) == (0, 1)


def test_a_late_entry_does_not_undo_a_later_one() -> None:
    shop = Storefront(index_lag=60.0)
    order = gid("Order", shop.sold(1, tags=["a"]).id)
    shop.world.switch("shopify", shop.clock.at, index_lag=0.0)
    shop.ask("OrderUpdate", input={"id": order, "tags": ["b"]})
    assert found(shop, "tag:b") == 1
    shop.later(60)
    assert (found(shop, "tag:a"), found(shop, "tag:b")) == (0, 1)


@pytest.mark.parametrize("query", ["tag:mirakl updated_at:>='2026-11-01T00:00:00Z'", "updated_at:>='2026-11-01T00:00:00Z'"])
def test_a_long_scan_by_change_sees_each_order_once_and_in_order(query: str) -> None:
    """More orders than are sorted at once, in both ways of getting at them."""
    shop = Storefront(index_lag=0.0)
    for n in range(230):
        shop.later(n % 3)
        shop.create(tags=["mirakl", f"n{n}"])
    for order in list(shop.shop.orders.values())[::7]:
        shop.staff("staffTag", order=order.id, tags=["again"])
    seen: list[tuple[str, str]] = []
    after = None
    while True:
        page = shop.ask("OrdersUpdatedPage", query=query, first=40, after=after)
        seen += [(node["updatedAt"], node["id"]) for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len({number for _, number in seen}) == 230 and [at for at, _ in seen] == sorted(at for at, _ in seen)


def test_terms_that_the_index_cannot_be_asked_for_still_narrow_it() -> None:
    shop = Storefront(index_lag=0.0)
    shop.sold(1, tags=["mirakl"])
    shop.sold(1, tags=["mirakl"], paid=False)
    shop.fulfilled(1, tags=["mirakl"])
    counts = {
        query: found(shop, f"tag:mirakl {query}") for query in ("financial_status:paid", "fulfillment_status:fulfilled", "status:closed")
    }
    assert counts == {"financial_status:paid": 2, "fulfillment_status:fulfilled": 1, "status:closed": 0}
    assert found(shop, f"sku:'{shop.sku().lower()}'") == 3 and found(shop, "return_status:no_return") == 3
