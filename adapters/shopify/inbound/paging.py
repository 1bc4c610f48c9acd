"""Lists that come in pages."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.endpoints import NODES_A_CALL

T = TypeVar("T")


async def whole(page: wire.frame.Page[T], more: Callable[[str | None], Awaitable[wire.frame.Page[T] | None]]) -> wire.frame.Page[T]:
    """A list with all its pages, beginning with the one that is there; None from `more`: what it is a list of is gone."""
    while page.page_info.has_next_page:
        following = await more(page.page_info.end_cursor)
        if following is None:
            break
        page = replace(following, nodes=[*page.nodes, *following.nodes])
    return page


def batches(ids: list[str]) -> list[list[str]]:
    """As many as one call of `nodes(ids:)` takes."""
    return [ids[start : start + NODES_A_CALL] for start in range(0, len(ids), NODES_A_CALL)]
