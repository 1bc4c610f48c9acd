"""One request being answered, and the forms an answer takes."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ops.sandbox.mirakl import shapes
from ops.sandbox.mirakl.contract import Asked, Contract
from ops.sandbox.mirakl.sale import Order
from ops.sandbox.mirakl.state import Account, RefusedError, Switches
from ops.sandbox.wire import Reply

ENCODER = msgspec.json.Encoder(decimal_format="number")
DEFAULT_PAGE = 10

T = TypeVar("T")
Change = Callable[[str, dict[str, Any]], Any]


class Rendered:
    """Orders as JSON, kept until they change: a page is mostly of orders that have been shown before."""

    MOST = 4000

    def __init__(self) -> None:
        self._switches: Switches | None = None
        self._kept: dict[tuple[str, str], tuple[int, msgspec.Raw]] = {}

    def order(self, account: Account, order: Order, tax_mode: str) -> msgspec.Raw:
        if self._switches is not account.switches:
            self._switches = account.switches
            self._kept.clear()
        known = self._kept.get((order.id, tax_mode))
        if known is not None and known[0] == order.revision:
            return known[1]
        made = msgspec.Raw(ENCODER.encode(shapes.order(account, order, tax_mode)))
        while len(self._kept) >= self.MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[order.id, tax_mode] = (order.revision, made)
        return made


class Call:
    """One request being answered: the account as it is, the moment, and the one way to change anything."""

    def __init__(
        self, contract: Contract, account: Account, asked: Asked, at: datetime, *, change: Change, base: str, rendered: Rendered
    ) -> None:
        self.contract, self.account, self.at, self.change = contract, account, at, change
        self.base = base  # under which the marketplace is reached
        self.rendered = rendered
        self.values, self.body, self.parts, self.files = asked.values, asked.body, asked.parts, asked.files


Answer = Callable[[Call], Reply]


def refusal(status: int, message: str, headers: Mapping[str, str], errors: Sequence[Mapping[str, str]] | None = None) -> Reply:
    return Reply(status, ENCODER.encode({"status": status, "message": message} | ({"errors": errors} if errors else {})), headers)


def json(answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, ENCODER.encode(answer), headers or {})


def nothing() -> Reply:
    return Reply(204)


# ----------------------------------------------------------------------------------------------------------------- pages


def seek_page(
    call: Call,
    search: Callable[[Mapping[str, Any]], Sequence[T]],
    key: Callable[[T], int],
    show: Callable[[T], Any],
    *,
    default: int = DEFAULT_PAGE,
    descending: bool = False,
) -> Reply:
    """A page of what `search` finds, in ascending order of `key`, where a token says how to go on.

    With a token all other parameters are passed over: it holds those of the first call. What is added behind the last page that was
    read comes with the next one.
    """
    values: Mapping[str, Any] = call.values
    after: int | None = None
    if (token := values.get("page_token")) is not None:
        values, after = _told(token)
    direction = str(values.get("sort", "")).rpartition(",")[2].upper()
    down = direction == "DESC" if direction in ("ASC", "DESC") else descending
    found = list(search(values))
    if down:
        found.reverse()
    size = values.get("limit", default)
    first = 0 if after is None else next((n for n, one in enumerate(found) if (key(one) < after if down else key(one) > after)), len(found))
    page = found[first : first + size]
    answer: dict[str, Any] = {"data": [show(one) for one in page]}
    if first + size < len(found):
        answer["next_page_token"] = _token(values, key(page[-1]))
    if first:
        answer["previous_page_token"] = _token(values, key(found[first - size - 1]) if first > size else None)
    return json(answer)


def _token(values: Mapping[str, Any], after: int | None) -> str:
    kept = {name: value for name, value in values.items() if name != "page_token"}
    return base64.urlsafe_b64encode(msgspec.json.encode([kept, after])).decode().rstrip("=")


def _told(token: str) -> tuple[dict[str, Any], int | None]:
    try:
        values, after = msgspec.json.decode(
            base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=tuple[dict[str, Any], int | None]
        )
    except (binascii.Error, msgspec.DecodeError, ValueError):
        raise RefusedError(400, "The page token is not valid") from None
    return values, after
