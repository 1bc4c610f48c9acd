"""Seek pagination: a page is found by what stood last on the one before, and a token freezes what was asked for.

Rows are known by whole numbers that ascend as they are sorted; `keys` are those in question, ascending.
"""

import base64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from ops.sandbox.mirakl.state import RefusedError

DEFAULT_LIMIT = 10


class Turn(Struct, frozen=True):
    """Which page is wanted of what."""

    asked: dict[str, Any]  # the parameters of the first call; those that come with a token are ignored
    after: int | None = None
    before: int | None = None

    def descending(self, default: bool) -> bool:
        way = str(self.asked.get("sort", "")).partition(",")[2].upper()
        return way == "DESC" if way in ("ASC", "DESC") else default

    def page(self, keys: Sequence[int], wanted: Callable[[int], bool], *, descending: bool) -> tuple[list[int], dict[str, str]]:
        """The keys of this page, and the tokens of its neighbours where it has any."""
        limit = self.asked.get("limit", DEFAULT_LIMIT)
        back = self.before is not None
        from_ = self.before if back else self.after
        upwards = descending if back else not descending
        found: list[int] = []
        if upwards:
            at = 0 if from_ is None else bisect_right(keys, from_)
            step, end = 1, len(keys)
        else:
            at = (len(keys) if from_ is None else bisect_left(keys, from_)) - 1
            step, end = -1, -1
        while at != end and len(found) <= limit:
            if wanted(keys[at]):
                found.append(keys[at])
            at += step
        further, found = len(found) > limit, found[:limit]
        if back:
            found.reverse()
        tokens = {}
        if found and (back or further):
            tokens["next_page_token"] = self._token(after=found[-1])
        if found and (further if back else self.after is not None):
            tokens["previous_page_token"] = self._token(before=found[0])
        return found, tokens

    def _token(self, **at: int) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode({"asked": self.asked} | at)).decode()


def turn(values: Mapping[str, Any]) -> Turn:
    """Raises RefusedError with 400 for a token that is none."""
    token = values.get("page_token")
    if token is None:
        return Turn(dict(values))
    try:
        return msgspec.json.decode(base64.b64decode(str(token), altchars=b"-_", validate=True), type=Turn)
    except (ValueError, msgspec.DecodeError):
        raise RefusedError(400, "The page token is not valid") from None
