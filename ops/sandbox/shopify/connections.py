"""Pages of a list: first, after, last, before, reverse, and cursors that belong to one order of things."""

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphql import GraphQLError

LARGEST_PAGE = 250
PARTS = 3  # slices in which a bulk operation reads a list

Key = int | tuple[str | int, ...]


def page(things: Mapping[Any, Any], arguments: Mapping[str, Any], holds: Callable[[Any], bool] | None = None) -> dict[str, Any]:
    """One page of the things that hold. Their keys come in ascending order, as ids do, which only grow."""
    return browse(list(things), things.__getitem__, arguments, holds)


def browse(
    keys: Sequence[Any], read: Callable[[Any], Any], arguments: Mapping[str, Any], holds: Callable[[Any], bool] | None = None
) -> dict[str, Any]:
    """The same for keys in a row and what they stand for. Forwards it looks no further than the page."""
    if holds is None:
        return cut(keys, read, arguments)
    if arguments.get("first") is not None and not arguments.get("before") and not arguments.get("reverse"):
        return _leaf_through(keys, read, arguments, holds)
    return cut([key for key in keys if holds(read(key))], read, arguments)


def _size(arguments: Mapping[str, Any], present: int) -> tuple[int | None, int | None]:
    """How many are wanted from the start, or from the end. A bulk operation reads the whole, or a part of it."""
    if arguments.get("whole"):
        return present, None
    if arguments.get("part"):
        return -(-present // PARTS) or 1, None
    first, last = arguments.get("first"), arguments.get("last")
    if (first is None) == (last is None):
        raise GraphQLError("you must provide one of first or last")
    size = first if first is not None else last
    assert size is not None
    if not 0 <= size <= LARGEST_PAGE:
        raise GraphQLError(f"{size} is not between 0 and {LARGEST_PAGE}")
    return first, last


def _leaf_through(
    keys: Sequence[Any], read: Callable[[Any], Any], arguments: Mapping[str, Any], holds: Callable[[Any], bool]
) -> dict[str, Any]:
    """The same from the front, without looking further than the page and the one after it."""
    first, _ = _size(arguments, len(keys))
    assert first is not None
    after = arguments.get("after")
    found: list[Any] = []
    for at in range(_place(bisect_right, keys, after) if after else 0, len(keys)):
        if holds(read(keys[at])):
            found.append(keys[at])
            if len(found) > first:
                break
    return _page(found[:first], read, before=bool(after), after=len(found) > first)


def cut(keys: Sequence[Any], read: Callable[[Any], Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One page of keys that are in ascending order, and what they stand for."""
    first, last = _size(arguments, len(keys))
    size = first if first is not None else last
    assert size is not None
    after, before = arguments.get("after"), arguments.get("before")
    if arguments.get("reverse"):
        after, before = before, after
    low = _place(bisect_right, keys, after) if after else 0
    high = _place(bisect_left, keys, before) if before else len(keys)
    from_the_start = (first is not None) != bool(arguments.get("reverse"))
    kept = list(keys[low : min(high, low + size)] if from_the_start else keys[max(low, high - size) : high])
    start = low if from_the_start else max(low, high - size)
    has_more = {"before": start > 0, "after": start + len(kept) < len(keys)}
    if arguments.get("reverse"):
        kept.reverse()
        has_more = {"before": has_more["after"], "after": has_more["before"]}
    return _page(kept, read, before=has_more["before"], after=has_more["after"])


def _page(kept: Sequence[Any], read: Callable[[Any], Any], *, before: bool, after: bool) -> dict[str, Any]:
    cursors = [_cursor(key) for key in kept]
    nodes = [read(key) for key in kept]
    return {
        "nodes": nodes,
        "edges": [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)],
        "pageInfo": {
            "hasNextPage": after,
            "hasPreviousPage": before,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def in_order(things: Sequence[Any]) -> dict[int, Any]:
    return dict(enumerate(things))


def _cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode()


def _place(bisect: Callable[[Sequence[Any], Any], int], keys: Sequence[Any], cursor: str) -> int:
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor))
        return bisect(keys, tuple(key) if isinstance(key, list) else key)
    except (ValueError, TypeError):  # TypeError: a cursor of another order of things
        raise GraphQLError(f"{cursor} is not a valid cursor") from None
