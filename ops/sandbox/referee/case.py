"""The truth of a sandbox, put in order for whoever judges it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct

LIVE = ("SHIPPING", "SHIPPED", "RECEIVED", "CLOSED", "TO_COLLECT")  # a line that the buyer has paid for and is to have
SHIPPED = ("SHIPPED", "RECEIVED", "CLOSED", "TO_COLLECT")
NEVER = ("REFUSED", "CANCELED")
NOTHING = Decimal(0)

Row = Mapping[str, Any]


class Conventions(Struct, frozen=True, kw_only=True):
    """What the judge has to be told of a connector."""

    settled: bool = False  # all work is said to be done: what is missing is missing for good
    buffer: int = 0  # units that are kept back from each SKU
    staleness: float = 600.0  # seconds for which a quantity may stand after it has ceased to be true
    order_id: tuple[str, ...] = ("metafield", "source", "tag")  # where Mirakl's order id is kept; the first place that has one


class Finding(Struct, frozen=True, kw_only=True):
    """A rule and what is wrong with it. `open`: nobody broke it, but a person must know."""

    rule: str
    subject: str  # an order, a SKU, an operation
    says: str
    level: Literal["broken", "open"] = "broken"
    call: str | None = None  # that broke it, where one did and is still remembered


class Case:
    def __init__(self, state: Row, conventions: Conventions) -> None:
        self.state, self.told = state, conventions
        self.orders: list[Row] = state["mirakl"]["orders"]  # on the marketplace
        self.shop: list[Row] = state["shopify"]["orders"]

    @cached_property
    def by_id(self) -> dict[str, Row]:
        return {order["order_id"]: order for order in self.orders}

    @cached_property
    def copies(self) -> dict[str, list[Row]]:
        """Shopify's orders by the marketplace order they are said to be, as they were created."""
        found: dict[str, list[Row]] = {}
        for order in sorted(self.shop, key=lambda order: (moment(order["created_at"]), order["id"])):
            if (name := self.marketplace_id(order)) is not None:
                found.setdefault(name, []).append(order)
        return found

    def pairs(self) -> Iterator[tuple[Row, Row]]:
        """Marketplace orders and what they are in Shopify: the first copy that lives, or the first."""
        for name, copies in self.copies.items():
            if name in self.by_id:
                yield self.by_id[name], next((copy for copy in copies if not copy["cancelled_at"]), copies[0])

    def marketplace_id(self, order: Row) -> str | None:
        if not order["by_app"]:
            return None
        for place in self.told.order_id:
            kind, _, name = place.partition(":")
            for value in _kept(order, kind, name):
                if value in self.by_id or (name and value):
                    return value
        return None

    @cached_property
    def calls(self) -> dict[str, list[Row]]:
        """Calls with an effect, by what they changed, oldest first."""
        found: dict[str, list[Row]] = {}
        for call in self.state["calls"]:
            for about in dict.fromkeys(name for change in call["changes"] if change["refused"] is None for name in change["about"]):
                found.setdefault(about, []).append(call)
        return found

    def effective(self, about: str, *ops: str) -> list[Row]:
        """Calls by which one of these operations took effect on that."""
        return [
            call
            for call in self.calls.get(about, [])
            if any(change["op"] in ops and change["refused"] is None and about in change["about"] for change in call["changes"])
        ]

    def creation(self, order: Row) -> str | None:
        """The call that made an order in Shopify."""
        return described(self.created_by(order))

    def created_by(self, order: Row) -> Row | None:
        return next(iter(self.effective(order["id"].rpartition("/")[2], "shopify.orderCreate")), None)


PLACES = ("metafield", "source", "tag", "attribute")  # where an order id may be kept in Shopify


def _kept(order: Row, kind: str, name: str) -> Iterator[str]:
    match kind:
        case "metafield":
            yield from (value for key, value in order["metafields"].items() if not name or key == name or key.endswith(f".{name}"))
        case "source":
            yield order["source_identifier"] or ""
        case "tag":
            yield from (tag.removeprefix(name) for tag in order["tags"] if tag.startswith(name))
        case "attribute":
            yield from (value for key, value in order["attributes"].items() if not name or key == name)


def described(call: Row | None) -> str | None:
    if call is None:
        return None
    more = "".join(f", {name} {call[key]}" for name, key in (("request", "request_id"), ("fault", "fault")) if call[key])
    return f"call {call['number']}: {call['system']} {call['operation']} at {call['at']}{more}"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def amount(text: str) -> Decimal:
    return Decimal(text)


def came_to(line: Row) -> Decimal:
    """What a marketplace order line costs, less what was canceled of it."""
    return amount(line["price"]) + amount(line["shipping_price"]) + sum((amount(fee["amount"]) for fee in line["fees"]), NOTHING)


def due(line: Row) -> int:
    """Units of a marketplace order line that the buyer is to have, or has."""
    return 0 if line["state"] in NEVER else line["quantity"] - line["excluded"]


def is_over(order: Row) -> bool:
    """Whether nothing of it is to leave any more, and nothing has."""
    return not any(due(line) or line["shipped"] for line in order["lines"])


def units(lines: Any, quantity: Any = lambda line: line["quantity"]) -> dict[str, int]:
    """Units of each SKU."""
    found: dict[str, int] = {}
    for line in lines:
        found[line["sku"]] = found.get(line["sku"], 0) + quantity(line)
    return {sku: number for sku, number in found.items() if number}
