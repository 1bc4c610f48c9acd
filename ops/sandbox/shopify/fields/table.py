"""The table of fields, what a resolver is handed, and a few ways of writing."""

from collections.abc import Callable, Container, Mapping
from datetime import datetime
from typing import Any, Protocol

from graphql import GraphQLError

from ops.sandbox.chance import choose
from ops.sandbox.money import graph_text, rest_text
from ops.sandbox.shopify import search
from ops.sandbox.shopify.state import (
    Bag,
    BrokenError,
    Order,
    Problem,
    RefusedError,
    Shop,
)

QUANTITIES = {  # name -> what it is part of, what it is made of
    "available": (["on_hand"], []),
    "committed": (["on_hand"], []),
    "damaged": (["on_hand"], []),
    "incoming": ([], []),
    "on_hand": ([], ["available", "committed", "damaged", "quality_control", "reserved", "safety_stock"]),
    "quality_control": (["on_hand"], []),
    "reserved": (["on_hand"], []),
    "safety_stock": (["on_hand"], []),
}


class Slices(Protocol):
    """How far each root connection of a bulk operation has been read."""

    def next(self, root: str, read: Callable[[str | None], dict[str, Any]]) -> dict[str, Any]: ...


class Call:
    """One document being answered: the shop as it is, the moment, and the one way to change anything."""

    def __init__(
        self,
        shop: Shop,
        at: datetime,
        change: Callable[[str, dict[str, Any]], Any],
        *,
        base: str = "",
        denied: Container[str] = (),
        slices: "Slices | None" = None,
    ) -> None:
        self.shop, self.at, self._change = shop, at, change
        self.base = base  # the address under which files are served
        self.denied = denied  # root fields that the caller's token does not open
        self.slices = slices  # how far a bulk operation has read; None: this is none
        self.odd = frozenset(shop.switches.odd_fields)
        self.objects = 0  # resolved so far: the actual cost
        self.searches: list[dict[str, Any]] = []  # warnings for extensions.search

    def attempt(self, operation: str, **arguments: Any) -> tuple[Any, list[Problem]]:
        """Does it, or tells why not."""
        try:
            return self._change(operation, arguments), []
        except RefusedError as refused:
            return None, list(refused.problems)
        except BrokenError as broken:
            request = f"{self.shop.event:032x}"
            raise GraphQLError(str(broken), extensions={"code": "INTERNAL_SERVER_ERROR", "requestId": request}) from None

    def found(self, field: str, query: str | None, filters: Mapping[str, search.Filter]) -> Callable[[Any], bool] | None:
        """A test for what a search asks for; None where it asks for nothing that is known."""
        test, warnings = search.chosen(query, filters)
        if warnings:
            self.searches.append({"path": [field], "query": query, "warnings": warnings})
        return test


Field = Callable[[Any, Call, dict[str, Any]], Any]
FIELDS: dict[tuple[str, str], Field] = {}


def plain(kind: str, /, **readers: Callable[[Any], Any]) -> None:
    """Fields that need no more than the thing itself."""
    fields(kind, **{name: _reading(reader) for name, reader in readers.items()})


def _reading(reader: Callable[[Any], Any]) -> Field:
    return lambda thing, call, asked: reader(thing)


def fields(kind: str, /, **resolvers: Field) -> None:
    FIELDS.update({(kind, name): resolver for name, resolver in resolvers.items()})


def when(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def money(order: Order, bag: Bag) -> dict[str, Any]:
    return {"shopMoney": (bag.shop, order.currency), "presentmentMoney": (bag.presentment, order.presentment_currency)}


def decimal(amount: int, currency: str, call: Call) -> str:
    """43.0, as Shopify writes it; or 43.00, where so switched."""
    way = call.shop.switches.decimals
    if way == "mixed":
        way = choose(call.shop.seed, ("shortest", "scaled"), "decimals", amount)
    return graph_text(amount, currency) if way == "shortest" else rest_text(amount, currency)


plain("MoneyV2", currencyCode=lambda pair: pair[1])
fields("MoneyV2", amount=lambda pair, call, asked: decimal(pair[0], pair[1], call))


def version(handle: str) -> dict[str, Any]:
    return {"handle": handle, "displayName": handle, "supported": True}


def limited(things: list[Any], asked: dict[str, Any]) -> list[Any]:
    return things if asked.get("first") is None else things[: asked["first"]]
