"""What a shop sells and where it lies: locations, products, variants, inventory items and their levels."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

OTHERS = ("damaged", "incoming", "quality_control", "reserved", "safety_stock")  # quantities besides available and committed
UNSELLABLE = tuple(name for name in OTHERS if name != "incoming")  # they lie on the shelf and are not for sale


class Location(Struct):
    id: int
    name: str
    city: str
    zip: str
    updated_at: datetime
    active: bool = True
    fulfills_online_orders: bool = True
    service: str | None = None  # handle of the fulfilment service that it belongs to; None: the merchant's own


class Product(Struct):
    id: int
    title: str
    vendor: str
    handle: str
    created_at: datetime
    updated_at: datetime
    status: Literal["ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED"] = "ACTIVE"
    variants: list[int] = []


class Variant(Struct):
    id: int
    product_id: int
    item_id: int
    sku: str | None
    title: str
    price: int
    barcode: str | None
    created_at: datetime
    updated_at: datetime
    taxable: bool = True
    policy: Literal["DENY", "CONTINUE"] = "DENY"


class Item(Struct):
    """An inventory item."""

    id: int
    variant_id: int
    sku: str | None
    created_at: datetime
    updated_at: datetime
    tracked: bool = True
    requires_shipping: bool = True


class Level(Struct):
    """The units of one item at one location."""

    id: int
    item_id: int
    location_id: int
    created_at: datetime
    updated_at: datetime
    available: int = 0  # may be negative
    committed: int = 0
    others: dict[str, int] = {}  # of OTHERS, those that were ever set
    active: bool = True
    oversold: int = 0  # units ever claimed that were not available anywhere when they were sold
    counted_away: list[tuple[datetime, int]] = []  # units that people found to be fewer, and when
    vanished: int = 0  # units ever claimed that had been there when they were sold, and were counted away since

    @property
    def on_hand(self) -> int:
        return self.available + self.committed + sum(self.others.get(name, 0) for name in UNSELLABLE)


class Adjustment(Struct):
    """A group of changed quantities, as one inventory mutation made them."""

    id: int
    reason: str
    reference: str | None
    created_at: datetime
    changes: list[tuple[str, int, int, int, int]]  # name, item, location, delta, quantity after
