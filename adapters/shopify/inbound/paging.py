"""Lists that come in pages."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.client import TARGET
from adapters.shopify.endpoints import NODES_A_CALL
from engine.errors import UnavailableError

T = TypeVar("T")


async def whole(page: wire.frame.Page[T], more: Callable[[str | None], Awaitable[wire.frame.Page[T] | None]]) -> wire.frame.Page[T]:
    """A list with all its pages, beginning with the one that is there; None from `more`: what it is a list of is gone."""
    while page.page_info.has_next_page:
        following = await more(page.page_info.end_cursor)
        if following is None:
            break
        check_that_it_goes_on(page.page_info, following.page_info)
        page = replace(following, nodes=[*page.nodes, *following.nodes])
    return page


def check_that_it_goes_on(before: wire.frame.PageInfo, page: wire.frame.PageInfo) -> None:
    """UnavailableError where another page is promised, and it would be this one again: whoever believed that would ask for ever."""
    if page.has_next_page and page.end_cursor == before.end_cursor:
        raise UnavailableError("a list goes round in a circle", target=TARGET, field="pageInfo")


def batches(ids: list[str]) -> list[list[str]]:
    """As many as one call of `nodes(ids:)` takes."""
    return [ids[start : start + NODES_A_CALL] for start in range(0, len(ids), NODES_A_CALL)]
