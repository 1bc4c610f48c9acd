"""Orders found: through the search index, which lags, by terms that must all hold, in the order that is asked for."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from graphql import GraphQLError

from ops.sandbox.shopify import access, search, totals
from ops.sandbox.shopify.connections import browse, cut
from ops.sandbox.shopify.fields.table import Call
from ops.sandbox.shopify.index import written
from ops.sandbox.shopify.search import Term
from ops.sandbox.shopify.state import APP_NAMESPACE, Order, Shelf, Shop

LAST_ID = 2**80  # above every id
FEW = 200  # so many are sorted at once; among more, a page is soon found in the order of changes
INDEXED = ("name", "tag", "source_identifier", "sku")  # besides metafields: fields whose every word the index knows

Known = tuple[Order, Shelf]


def found_orders(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    shop, query = call.shop, asked.get("query")
    filters = _filters(shop)
    terms = search.terms(query)
    holds = call.found("orders", query, filters)
    scans_changes = asked["sortKey"] == "UPDATED_AT" and not asked.get("reverse")
    words = [word for term in terms if (word := _word(term, filters)) is not None]
    candidates: Sequence[int] = shop.index.ids
    if words:
        candidates = min((shop.index.by_word.get(word, []) for word in words), key=len)

    def shown(number: int) -> bool:
        order = shop.orders.get(number)
        return order is not None and access.visible(shop, order, call.at) and (holds is None or holds((order, shop.index.known[number])))

    if scans_changes and len(candidates) > FEW:
        return _by_change(shop, terms, shown, asked)
    if asked["sortKey"] in ("ID", "ORDER_NUMBER"):
        return browse(candidates, shop.orders.get, asked, lambda order: order is not None and shown(order.id))
    return _sorted(shop, [number for number in candidates if shown(number)], asked)


def _by_change(shop: Shop, terms: Iterable[Term], shown: Callable[[int], bool], asked: dict[str, Any]) -> Any:
    """A scan by date of change begins where its term says, and goes no further than its page."""
    row = shop.index.by_change
    since = [_moment(term.value) for term in terms if term.field == "updated_at" and term.sign in (">=", ">")]
    until = [_moment(term.value) for term in terms if term.field == "updated_at" and term.sign in ("<=", "<")]
    low = bisect_left(row, (written(max(since)), 0)) if since else 0
    high = bisect_right(row, (written(min(until).replace(microsecond=999_999)), LAST_ID)) if until else len(row)
    return browse(row[low:high], lambda key: shop.orders.get(key[1]), asked, lambda order: order is not None and shown(order.id))


def _sorted(shop: Shop, numbers: Iterable[int], asked: dict[str, Any]) -> Any:
    read: dict[str, Callable[[Order], tuple[str | int, ...]]] = {
        "CREATED_AT": lambda order: (written(order.created_at), order.id),
        "PROCESSED_AT": lambda order: (written(order.processed_at), order.id),
        "UPDATED_AT": lambda order: (written(shop.index.known[order.id].updated_at), order.id),
        "RELEVANCE": lambda order: (order.id,),
        "TOTAL_PRICE": lambda order: (totals.total(order).shop, order.id),
        "FINANCIAL_STATUS": lambda order: (order.financial_status, order.id),
        "FULFILLMENT_STATUS": lambda order: (totals.fulfillment_status(order), order.id),
    }
    if asked["sortKey"] not in read:
        raise GraphQLError(f"orders sorted by {asked['sortKey']} are not simulated", extensions={"code": "NOT_SIMULATED"})
    key = read[asked["sortKey"]]
    by_key = {key(shop.orders[number]): shop.orders[number] for number in numbers}
    return cut(sorted(by_key), by_key.__getitem__, asked)


def _moment(value: str) -> datetime:
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise GraphQLError(f"Invalid search value: {value}") from None
    return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)


def _word(term: Term, filters: dict[str, search.Filter]) -> str | None:
    """A term that the index can be asked for as it stands."""
    if term.sign or term.value.endswith("*") or term.field not in filters:
        return None
    if term.field in INDEXED or term.field.startswith("metafields."):
        return f"{term.field}:{term.value.lower()}"
    return None


def _filters(shop: Shop) -> dict[str, search.Filter]:
    """Of a pair: the order as it is, and what the index knows of it."""
    filters: dict[str, search.Filter] = {
        "id": search.number(lambda pair: int(pair[0].id)),
        "name": _words("name"),
        "tag": _words("tag"),
        "source_identifier": _words("source_identifier"),
        "sku": _words("sku"),
        "source_name": search.text(lambda pair: pair[0].source_name),
        "created_at": search.time(lambda pair: pair[0].created_at),
        "processed_at": search.time(lambda pair: pair[0].processed_at),
        "updated_at": search.time(lambda pair: pair[1].updated_at),
        "financial_status": search.text(lambda pair: pair[0].financial_status),
        "fulfillment_status": search.text(lambda pair: totals.fulfillment_status(pair[0])),
        "return_status": search.text(lambda pair: totals.return_status(shop, pair[0])),
        "status": search.texts(lambda pair: _statuses(pair[0])),
        "test": search.text(lambda pair: str(pair[0].test).lower()),
    }
    for known in shop.definitions.values():
        if known.filterable and known.owner_type == "ORDER":
            for namespace in sorted(_spellings(known.namespace)):
                named = f"metafields.{namespace}.{known.key}"
                filters[named] = _words(named)
    return filters


def _spellings(namespace: str) -> set[str]:
    return {namespace, namespace.replace(APP_NAMESPACE, "$app")}


def _words(field: str) -> search.Filter:
    """Against the words of the index: whole, or from their beginning where a star ends the value."""
    start = len(field) + 1

    def read(pair: Known) -> list[str]:
        return [word[start:] for word in pair[1].words if word.startswith(f"{field}:")]

    return search.texts(read)


def _statuses(order: Order) -> list[str]:
    now = "cancelled" if order.cancelled_at else "closed" if order.closed_at else "open"
    return ["any", "not_closed" if now == "open" else "", now]
