"""What the quantities of a SKU have been of late, on both sides: so that somebody can say what was known when a number was published."""

from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from ops.sandbox.mirakl.state import Account
from ops.sandbox.shopify.state import Shop
from ops.sandbox.shopify.stock import available

T = TypeVar("T")
KEEP = 40  # moves of a SKU, on each side


class Count(Struct, frozen=True, array_like=True):
    at: datetime
    available: int  # over all locations from which online orders are shipped


class Offered(Struct, frozen=True, array_like=True):
    at: datetime
    quantity: int
    why: str  # import 2001, order A-1, …


class History(Struct):
    counts: dict[str, list[Count]] = {}
    offers: dict[str, list[Offered]] = {}
    prices: dict[str, int] = {}  # of an offer when it was first seen; minor units

    def counted(self, shop: Shop, item: int, at: datetime) -> None:
        sku = shop.items[item].sku
        if sku is not None and len(shop.skus.get(sku, ())) == 1:
            _keep(self.counts.setdefault(sku, []), Count(at, available(shop, item)))

    def offered(self, account: Account, sku: str, why: str, at: datetime) -> None:
        if sku in account.offers:
            self.prices.setdefault(sku, account.offers[sku].price)
            _keep(self.offers.setdefault(sku, []), Offered(at, account.offers[sku].quantity, why))


def _keep(moves: list[T], move: T) -> None:
    moves.append(move)
    if len(moves) > KEEP:
        del moves[0]
