"""An offer, its prices, and files on their way. Amounts are minor units, tax included; times are UTC."""

from datetime import datetime
from typing import Literal

from msgspec import Struct


class Price(Struct, frozen=True):
    """One line of an offer's prices. Without channels, customers or dates it is the default one."""

    price: int
    discount: int | None = None
    discount_from: datetime | None = None
    discount_until: datetime | None = None
    ranges: tuple[tuple[int, int], ...] = ()  # from so many units, so much each; the first unit is `price`
    discount_ranges: tuple[tuple[int, int], ...] = ()
    channels: tuple[str, ...] = ()
    starts: datetime | None = None
    ends: datetime | None = None
    organisations: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def default(self) -> bool:
        return not (self.channels or self.starts or self.ends or self.organisations or self.groups)

    def reduced(self, at: datetime) -> bool:
        """Whether the discount runs."""
        begun = self.discount_from is None or self.discount_from <= at
        over = self.discount_until is not None and self.discount_until <= at
        return (self.discount is not None or bool(self.discount_ranges)) and begun and not over

    def each(self, at: datetime, quantity: int = 1) -> int:
        """What one of so many units costs."""
        best = self.price
        for ladder in (((1, self.price), *self.ranges), ((1, self.discount), *self.discount_ranges) if self.reduced(at) else ()):
            best = next((price for threshold, price in reversed(ladder) if threshold <= quantity and price is not None), best)
        return best


class Offer(Struct, kw_only=True):
    id: int
    sku: str  # shop_sku: the seller's own
    product_sku: str  # the operator's
    title: str
    category: str
    ean: str
    price: int  # of one unit, now, by the default price: moves when a discount begins or ends
    prices: list[Price] = []  # the default one first; none: `price` is all there is
    waiting_prices: list[Price] = []  # until the operator approves them
    quantity: int
    warehouses: dict[str, int] = {}  # code -> units, where quantities are given by warehouse
    created_at: datetime
    updated_at: datetime
    stopped: list[str] = []  # reasons for which others have taken it off sale
    sells_from: datetime | None = None
    sells_until: datetime | None = None
    channels: list[str] = []
    deleted: bool = False


class LineError(Struct, frozen=True):
    number: int  # of the line in the file, the header being the first
    message: str
    text: str  # the line itself


class Import(Struct, kw_only=True):
    """A file on its way. Counts are known when it is complete; the text is kept until then."""

    id: str
    kind: Literal["stock", "price"] = "stock"
    created_at: datetime
    text: str
    mark: str = ""  # of its content, to know it again
    starts_at: datetime
    status: Literal["WAITING", "RUNNING", "COMPLETE", "FAILED"] = "WAITING"
    stuck: bool = False
    completed_at: datetime | None = None
    reason: str = ""  # why it failed as a whole
    applied: int = 0
    offers_updated: int = 0
    offers_in_error: int = 0
    errors: list[LineError] = []
    header: str = ""


class Extract(Struct, kw_only=True):
    """An asynchronous export: asked for, ready later, its files fetched one by one."""

    id: str
    operation: str  # OF52 or TL03
    asked: str  # what was asked for, as JSON
    created_at: datetime
    updated_at: datetime
    status: Literal["PENDING", "COMPLETED", "FAILED", "CANCELED"] = "PENDING"
    kind: str = "application/json"  # of the files
    files: list[bytes] = []  # compressed; gone when they have been kept long enough


class Shelf(Struct):
    """Offers by whatever they are looked for. `offers.py` keeps it true."""

    by_id: dict[int, str] = {}  # offer id -> SKU
    by_product: dict[str, list[str]] = {}  # the operator's SKU -> ours
    by_price: list[tuple[int, int]] = []  # (price now, offer id), ascending
