"""Pages of a list: first, after, last, before, reverse, and cursors that belong to one order of things."""

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphql import GraphQLError

LARGEST_PAGE = 250

Key = int | tuple[str | int, ...]


def page(things: Mapping[Any, Any], arguments: Mapping[str, Any], holds: Callable[[Any], bool] | None = None) -> dict[str, Any]:
    """One page of the things that hold. Their keys come in ascending order, as ids do, which only grow."""
    first, last = arguments.get("first"), arguments.get("last")
    if (first is None) == (last is None):
        raise GraphQLError("you must provide one of first or last")
    size = first if first is not None else last
    assert size is not None
    if not 0 <= size <= LARGEST_PAGE:
        raise GraphQLError(f"{size} is not between 0 and {LARGEST_PAGE}")
    keys: list[Any] = list(things) if holds is None else [key for key, thing in things.items() if holds(thing)]
    after, before = arguments.get("after"), arguments.get("before")
    if arguments.get("reverse"):
        after, before = before, after
    low = _place(bisect_right, keys, after) if after else 0
    high = _place(bisect_left, keys, before) if before else len(keys)
    from_the_start = (first is not None) != bool(arguments.get("reverse"))
    kept = keys[low : min(high, low + size)] if from_the_start else keys[max(low, high - size) : high]
    start = low if from_the_start else max(low, high - size)
    has_more = {"before": start > 0, "after": start + len(kept) < len(keys)}
    if arguments.get("reverse"):
        kept.reverse()
        has_more = {"before": has_more["after"], "after": has_more["before"]}
    cursors = [_cursor(key) for key in kept]
    nodes = [things[key] for key in kept]
    return {
        "nodes": nodes,
        "edges": [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)],
        "pageInfo": {
            "hasNextPage": has_more["after"],
            "hasPreviousPage": has_more["before"],
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def in_order(things: Sequence[Any]) -> dict[int, Any]:
    return dict(enumerate(things))


def _cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode()


def _place(bisect: Callable[[list[Any], Any], int], keys: list[Any], cursor: str) -> int:
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor))
        return bisect(keys, tuple(key) if isinstance(key, list) else key)
    except (ValueError, TypeError):  # TypeError: a cursor of another order of things
        raise GraphQLError(f"{cursor} is not a valid cursor") from None
