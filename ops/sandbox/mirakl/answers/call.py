"""One request being answered, and the forms an answer takes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from ops.sandbox.mirakl import seek, shapes
from ops.sandbox.mirakl.contract import Asked, Contract
from ops.sandbox.mirakl.sale import Order
from ops.sandbox.mirakl.state import Account, Switches
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


def neighbours(call: Call, path: str, size: int, offset: int, total: int) -> dict[str, str]:
    """The Link header of a page of a list that is paged by offset."""
    kept = {name: str(value).lower() if isinstance(value, bool) else value for name, value in call.values.items()}

    def link(rel: str, offset: int) -> str:
        return f'<{call.base}{path}?{urlencode(kept | {"max": size, "offset": offset}, doseq=True)}>; rel="{rel}"'

    links = [link("previous", max(0, offset - size))] if offset else []
    links += [link("next", offset + size)] if offset + size < total else []
    return {"Link": ", ".join(links)} if links else {}


def seek_page(
    call: Call,
    search: Callable[[Mapping[str, Any]], Sequence[T]],
    key: Callable[[T], int],
    show: Callable[[T], Any],
    *,
    limit: int = seek.DEFAULT_LIMIT,
    descending: bool = False,
) -> Reply:
    """A page of what `search` finds, in ascending order of `key`. With a token, what is searched for is what the first call asked."""
    turn = seek.turn({"limit": limit, **call.values})
    found = {key(one): one for one in search(turn.asked)}
    page, tokens = turn.page(list(found), lambda _: True, descending=turn.descending(descending))
    return json({"data": [show(found[one]) for one in page], **tokens})
