"""Pages of a list: first, after, last, before, reverse, and cursors that belong to one order of things."""

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLError

LARGEST_PAGE = 250

Key = tuple[str | int, ...]


def page(found: Sequence[tuple[Key, Any]], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One page of what was found; it comes sorted by key, and each key is there once."""
    first, last = arguments.get("first"), arguments.get("last")
    if (first is None) == (last is None):
        raise GraphQLError("you must provide one of first or last")
    size = first if first is not None else last
    assert size is not None
    if not 0 <= size <= LARGEST_PAGE:
        raise GraphQLError(f"{size} is not between 0 and {LARGEST_PAGE}")
    keys = [key for key, _ in found]
    after, before = arguments.get("after"), arguments.get("before")
    if arguments.get("reverse"):
        after, before = before, after
    low = bisect_right(keys, _key(after)) if after else 0
    high = bisect_left(keys, _key(before)) if before else len(keys)
    from_the_start = (first is not None) != bool(arguments.get("reverse"))
    kept = list(found[low : min(high, low + size)] if from_the_start else found[max(low, high - size) : high])
    start = low if from_the_start else max(low, high - size)
    has_more = {"before": start > 0, "after": start + len(kept) < len(keys)}
    if arguments.get("reverse"):
        kept.reverse()
        has_more = {"before": has_more["after"], "after": has_more["before"]}
    cursors = [_cursor(key) for key, _ in kept]
    nodes = [node for _, node in kept]
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


def by_id(things: Mapping[int, Any]) -> list[tuple[Key, Any]]:
    """Ids only grow, so what was added last is last."""
    return [((number,), thing) for number, thing in things.items()]


def in_order(things: Sequence[Any]) -> list[tuple[Key, Any]]:
    return [((number,), thing) for number, thing in enumerate(things)]


def _cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode()


def _key(cursor: str) -> Key:
    try:
        return tuple(json.loads(base64.urlsafe_b64decode(cursor)))
    except (ValueError, TypeError):
        raise GraphQLError(f"{cursor} is not a valid cursor") from None
