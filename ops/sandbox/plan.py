"""What a world starts with and what is going to happen in it."""

from typing import Literal

from msgspec import Struct, field

from ops.sandbox.mirakl.state import Switches as MiraklSwitches
from ops.sandbox.shopify.state import Switches as ShopifySwitches


class Warehouse(Struct, frozen=True):
    """How parcels leave."""

    pick_seconds: float = 1800.0  # on average, from the fulfilment order to the parcel
    partial: float = 0.0  # share of orders that leave in two parcels
    late_tracking: float = 0.0  # share of parcels whose tracking number follows later
    corrected_tracking: float = 0.0  # share of parcels whose tracking number is replaced later


class Plan(Struct, frozen=True, kw_only=True):
    skus: int = 40
    locations: int = 2
    least_stock: int = 20  # units of a SKU at the start, over all locations
    most_stock: int = 60
    offers_open: Literal["at_zero", "at_stock"] = "at_zero"  # what the marketplace offers before the first stock file
    awkward_catalogue: bool = False  # with a SKU that two variants share, a variant without one, and one that is not tracked
    marketplace_orders: int = 0  # how many buyers place before they stop
    buyer_gap: float = 60.0  # mean seconds between buyers, on both sides together
    d2c_share: float = 0.3  # of buyers, who go to the shop's own website
    restocks: int = 0
    restock_gap: float = 900.0  # mean seconds between them
    warehouse: Warehouse = field(default_factory=Warehouse)
    shopify: ShopifySwitches = field(default_factory=ShopifySwitches)
    mirakl: MiraklSwitches = field(default_factory=MiraklSwitches)
