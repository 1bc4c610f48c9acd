"""The search index of orders. It learns of a change `index_lag` after it, and shows orders as they were then; lookups do not wait."""

from bisect import bisect_left, insort
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.shopify.state import APP_NAMESPACE, Index, Order, Shelf, Shop


def learn(shop: Shop, order: Order, at: datetime) -> None:
    """The order is new, or has changed."""
    _later(shop, order.id, Shelf(order.updated_at, shop.index.seq + 1, _words(shop, order)), at)


def written(at: datetime) -> str:
    """So that texts stand in the order of their moments."""
    return at.isoformat(timespec="microseconds")


def forget(shop: Shop, order: int, at: datetime) -> None:
    _later(shop, order, None, at)


def _later(shop: Shop, order: int, shelf: Shelf | None, at: datetime) -> None:
    index = shop.index
    index.seq += 1
    index.waiting[index.seq] = (order, shelf)
    if shop.switches.index_lag <= 0:
        settle(index, index.seq)
    else:
        shop.agenda.put(at + timedelta(seconds=shop.switches.index_lag), "index", index.seq)


def settle(index: Index, change: int) -> None:
    """The change is known from now on, unless a later one is already."""
    order, shelf = index.waiting.pop(change)
    known = index.known.get(order)
    if known is not None and known.seq > change:
        return
    if known is not None:
        _take_out(index.by_change, (written(known.updated_at), order))
        for word in known.words:
            _take_out(index.by_word[word], order)
            if not index.by_word[word]:
                del index.by_word[word]
    if shelf is None:
        if known is not None:
            del index.known[order]
            _take_out(index.ids, order)
        return
    if known is None:
        insort(index.ids, order)
    index.known[order] = shelf
    insort(index.by_change, (written(shelf.updated_at), order))
    for word in shelf.words:
        insort(index.by_word.setdefault(word, []), order)


def _take_out(row: list[Any], entry: Any) -> None:
    del row[bisect_left(row, entry)]


def _words(shop: Shop, order: Order) -> list[str]:
    found = {f"name:{order.name.lower()}", *(f"tag:{tag.lower()}" for tag in order.tags)}
    found |= {f"sku:{line.sku.lower()}" for line in order.lines if line.sku}
    if order.source_identifier:
        found.add(f"source_identifier:{order.source_identifier.lower()}")
    for known in shop.definitions.values():
        if known.filterable and known.owner_type == "ORDER":
            for one in order.metafields:
                if (one.namespace, one.key) == (known.namespace, known.key):
                    named = f"metafields.{known.namespace}.{known.key}"
                    found |= {f"{named}:{one.value.lower()}", f"{named.replace(APP_NAMESPACE, '$app')}:{one.value.lower()}"}
    return sorted(found)
