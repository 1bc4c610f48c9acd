"""What is asked of the rows of stock and orders while the engine works: ops/publisher.py, ops/book.py, ops/oversells.py, ops/watch.py."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from ops import book, oversells, publisher, watch
from ops.simulate.memory.answers.log import run
from ops.simulate.memory.documents import Document, find, rows
from ops.simulate.memory.events import POSITION, RECORDED_AT, TYPE
from ops.simulate.memory.registry import answers
from ops.simulate.memory.transaction import Transaction


def one(tx: Transaction, name: str, tenant: str, key: str) -> Document | None:
    return tx.get(find(tx, name), tenant, key)


def some(tx: Transaction, name: str, tenant: str, keys: Iterable[str]) -> list[tuple[str, Document]]:
    """In the order of their keys."""
    table = find(tx, name)
    found = ((key, tx.get(table, tenant, key)) for key in sorted(set(keys)))
    return [(key, row) for key, row in found if row is not None]


def ordered(tx: Transaction, name: str, tenant: str) -> list[tuple[str, Document]]:
    """All, in the order of their keys."""
    return sorted(rows(tx, name, tenant), key=lambda pair: pair[0])


def text(found: Document | None) -> list[tuple[str]]:
    return [] if found is None else [(found.text,)]


# ---------------------------------------------------------------- the publisher


@answers(publisher, "FOLDED", "name position")
def folded(tx: Transaction, tenant: str, names: Collection[str]) -> list[tuple[str, int]]:
    found = ((name, tx.get(tx.database.checkpoints, tenant, name)) for name in sorted(set(names)))
    return [(name, row.position) for name, row in found if row is not None]


@answers(publisher, "NEXT", "key document position")
def next_(tx: Transaction, tenant: str, after: int, key: str, limit: int) -> list[tuple[str, str, int]]:
    place = (after, key)
    found = sorted((row.position, name, row.text) for name, row in rows(tx, "inventory", tenant) if (row.position, name) > place)
    return [(name, document, position) for position, name, document in found[:limit]]


@answers(publisher, "ROWS", "document")
def rows_of(tx: Transaction, tenant: str, keys: Sequence[str]) -> list[tuple[str]]:
    return [(row.text,) for _, row in some(tx, "inventory", tenant, keys)]


@answers(publisher, "RECIPES", "document")
def recipes(tx: Transaction, tenant: str) -> list[tuple[str]]:
    return [(row.text,) for _, row in ordered(tx, "inventory", tenant) if row.field("recipes") is not None]


@answers(publisher, "UNDER_WAY", "document position")
def under_way(tx: Transaction, tenant: str, channel: str) -> list[tuple[str, int]]:
    row = one(tx, "publications", tenant, channel)
    return [] if row is None else [(row.text, row.position)]


@answers(publisher, "READ_AT", "name cursor committed_at")
def read_at(tx: Transaction, tenant: str, names: Collection[str]) -> list[tuple[str, str, datetime]]:
    found = ((name, tx.get(tx.database.cursors, tenant, name)) for name in sorted(set(names)))
    return [(name, *row) for name, row in found if row is not None]


@answers(publisher, "HEARD_AT", "position type recorded_at")
def heard_at(tx: Transaction, tenant: str, positions: Collection[int]) -> list[tuple[int, str, datetime]]:
    found = (event for position in sorted(set(positions)) if position > 0 for event in run(tx, tenant, position - 1, position))
    return [(event[POSITION], event[TYPE], event[RECORDED_AT]) for event in found]


# ---------------------------------------------------------------- the book


@answers(book, "FIND_WORD", "document")
def find_word(tx: Transaction, tenant: str, key: str) -> list[tuple[str]]:
    return text(one(tx, "mappings", tenant, key))


@answers(book, "FIND_ORDER_ROW", "document")
def find_order_row(tx: Transaction, tenant: str, key: str) -> list[tuple[str]]:
    return text(one(tx, "orders", tenant, key))


@answers(book, "FIND_ORDER_ROWS", "key document")
def find_order_rows(tx: Transaction, tenant: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    return [(key, row.text) for key, row in some(tx, "orders", tenant, keys)]


@answers(book, "FIND_STOCKS", "document")
def find_stocks(tx: Transaction, tenant: str, keys: Sequence[str]) -> list[tuple[str]]:
    return [(row.text,) for _, row in some(tx, "inventory", tenant, keys)]


@answers(book, "FIND_MADE_OF", "key document")
def find_made_of(tx: Transaction, tenant: str, keys: Sequence[str], parts: Sequence[str]) -> list[tuple[str, str]]:
    def is_wanted(key: str, row: Document) -> bool:
        recipe = None if key in keys else row.field("recipes")
        return key in keys or (recipe is not None and any(part in recipe for part in parts))

    return [(key, row.text) for key, row in ordered(tx, "inventory", tenant) if is_wanted(key, row)]


def _is_sold(row: Document) -> bool:
    return row.inner("variant", "status") != "DELETED"


@answers(book, "FIND_COUNTED_AS", "key item")
def find_counted_as(tx: Transaction, tenant: str, items: Collection[str]) -> list[tuple[str, str]]:
    return [
        (key, item)
        for key, row in ordered(tx, "inventory", tenant)
        if (item := row.field("item")) is not None and item in items and _is_sold(row)
    ]


@answers(book, "NEXT_ITEMS", "key item")
def next_items(tx: Transaction, tenant: str, after: str, limit: int) -> list[tuple[str, str]]:
    return [
        (key, item)
        for key, row in ordered(tx, "inventory", tenant)
        if key > after and (item := row.field("item")) is not None and _is_sold(row)
    ][:limit]


@answers(book, "FIND_CURSOR", "cursor")
def find_cursor(tx: Transaction, tenant: str, name: str) -> list[tuple[str]]:
    row = tx.get(tx.database.cursors, tenant, name)
    return [] if row is None else [(row.cursor,)]


# ---------------------------------------------------------------- oversells, open exceptions


@answers(oversells, "PUBLICATION", "document")
def publication(tx: Transaction, tenant: str, channel: str) -> list[tuple[str]]:
    return text(one(tx, "publications", tenant, channel))


@answers(watch, "OPEN", "code severity number since")
def open_(tx: Transaction, tenant: str) -> list[tuple[Any, ...]]:
    kinds: dict[tuple[str | None, str | None], list[datetime]] = {}
    for _, row in rows(tx, "exceptions", tenant):
        if row.field("open") == "true":
            for event in run(tx, tenant, row.position - 1, row.position):
                kinds.setdefault((row.field("code"), row.field("severity")), []).append(event[RECORDED_AT])

    def place(kind: tuple[str | None, str | None]) -> tuple[Any, ...]:
        return tuple((part is None, part or "") for part in kind)  # nulls last

    return [(*kind, len(kinds[kind]), min(kinds[kind])) for kind in sorted(kinds, key=place)]
