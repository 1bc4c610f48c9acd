"""Items, variants and how many there are."""

from typing import Generic

from msgspec import Raw

from adapters.shopify.wire.frame import Page, Ref, T, Wire


class Quantity(Wire, frozen=True):
    name: str
    quantity: int | None = None


class Level(Wire, frozen=True):
    is_active: bool
    location: Ref
    quantities: list[Quantity]


class Stocked(Wire, frozen=True):
    """An inventory item, as far as it says how many there are."""

    id: str
    tracked: bool
    inventory_levels: Page[Level]


class Goods(Wire, frozen=True):
    """A product, as far as it decides how much of it is shown."""

    status: str
    tags: list[str]
    product_type: str


class Sold(Wire, frozen=True):
    """A variant that draws on an item."""

    inventory_policy: str  # CONTINUE: sold beyond zero
    product: Goods


class SoldAs(Wire, frozen=True):
    nodes: list[Sold]


class Item(Stocked, frozen=True):
    sku: str | None
    duplicate_sku_count: int
    variants: SoldAs | None = None  # null: of an item without a variant


class Items(Wire, frozen=True):
    inventory_items: Page[Raw]  # each is read by itself, so that an odd one does not hide the others


class ItemNodes(Wire, frozen=True):
    nodes: list[Raw]  # "null": there is no such thing any more


class ItemLevels(Wire, frozen=True):
    inventory_levels: Page[Level]


class ItemNode(Wire, frozen=True):
    inventory_item: ItemLevels | None


class StockedVariant(Wire, frozen=True):
    inventory_item: Ref


class BoughtLine(Wire, frozen=True):
    variant: StockedVariant | None  # null: the variant is gone


class BoughtLines(Wire, frozen=True):
    line_items: Page[BoughtLine]


class ProductState(Wire, frozen=True):
    status: str


class Variant(Wire, frozen=True):
    id: str
    sku: str | None
    product: ProductState
    inventory_item: Ref


class Variants(Wire, Generic[T], frozen=True):
    product_variants: Page[T]


class Offer(Wire, frozen=True):
    """A variant with all that acceptance rests on."""

    id: str
    sku: str | None
    price: str  # of one unit, in the shop's currency
    inventory_policy: str  # CONTINUE: sold beyond zero
    product: ProductState
    inventory_item: Stocked
