"""What a world starts with and what is going to happen in it: what a scenario file says."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from ops.sandbox.mirakl.state import Switches as MiraklSwitches
from ops.sandbox.shopify.state import Switches as ShopifySwitches

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
Mean = Annotated[float, Meta(gt=0)]  # seconds; a wait is drawn around it, at most six times as long
Currency = Literal["GBP", "EUR", "USD", "JPY", "KWD", "PLN", "SEK"]


class Awkward(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many variants there are of each kind that a tidy catalogue has not. The shop has them; the last three are on offer too."""

    shared: Count = 0  # SKUs that two variants share
    nameless: Count = 0  # variants without a SKU
    untracked: Count = 0  # not counted by Shopify
    negative: Count = 0  # with a level below zero
    archived: Count = 0  # their product is archived, their offer is not


class Burst(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours in which buyers come `factor` times as often."""

    start: Annotated[float, Meta(ge=0)]  # hours after the world begins
    hours: Annotated[float, Meta(gt=0)]
    factor: Annotated[float, Meta(gt=0)]


class Past(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happened before the world begins, without a connector: the warehouse and a clerk at the back office did all of it."""

    orders: Count = 0  # on both sides together, as far as there was something to buy
    days: Annotated[float, Meta(gt=0)] = 30.0  # over which they came


class Basket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What buyers put into it. Of a list each entry is as likely as any other."""

    lines: Annotated[tuple[AtLeastOne, ...], Meta(min_length=1)] = (1, 1, 1, 2, 2, 3, 4)
    quantities: Annotated[tuple[AtLeastOne, ...], Meta(min_length=1)] = (1, 1, 1, 2, 3)
    same_sku: Share = 0.15  # of further lines: one more line of the first line's SKU
    huge: Share = 0.0  # of orders: 250 lines
    test: Share = 0.0  # of website orders: test orders


class Warehouse(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How parcels leave."""

    pick_seconds: Mean = 1800.0  # from the fulfilment order to the parcel
    partial: Share = 0.0  # of orders: they leave in several parcels
    parcels: Annotated[int, Meta(ge=2)] = 2  # how many, at most
    late_tracking: Share = 0.0  # of parcels: the tracking number follows later
    corrected_tracking: Share = 0.0  # of parcels: the tracking number is replaced later
    unlisted_carriers: Share = 0.0  # of parcels: carried by somebody the marketplace has never heard of
    taken_back: Share = 0.0  # of parcels: the fulfilment is cancelled later, and what was in it is picked again
    held: Share = 0.0  # of fulfilment orders: put on hold for a while
    moved: Share = 0.0  # of fulfilment orders: given to another location
    split: Share = 0.0  # of fulfilment orders: split in two


class Service(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Customer service, working in Shopify. Shares of all orders there; each is drawn for itself."""

    cancels: Share = 0.0  # before anything has left
    refunds: Share = 0.0  # all of it, after it has left
    refunds_part: Share = 0.0  # one line
    refunds_amount: Share = 0.0  # an amount, without a word on lines
    refunds_shipping: Share = 0.0  # what the shipping cost
    restocks: Share = 0.5  # of cancellations and refunds of goods: the units go back on the shelf
    returns: Share = 0.0  # asked for, approved, received, refunded
    forgets: Share = 0.0  # whoever bought is to be erased; where the app's configuration names an address for that
    after: Mean = 7200.0  # from the order, or from its parcel


class Operator(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The marketplace's own staff, and its buyers where they act through it. Shares of marketplace orders."""

    cancels: Share = 0.0  # before anything has left
    refunds: Share = 0.0
    refunds_part: Share = 0.0
    returns: Share = 0.0  # a buyer asks to send something back
    incidents: Share = 0.0  # opened by a buyer, closed by the operator later
    messages: Share = 0.0
    ships: Share = 0.0  # somebody presses "shipped" in the back office, whatever the connector does
    after: Mean = 7200.0


class Merchandise(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The people who look after the catalogue: how often each thing is done, over all."""

    recounts: Count = 0  # a level is set to what was found on the shelf
    transfers: Count = 0  # units go from one location to another
    renames: Count = 0  # a SKU is spelt otherwise from now on
    archives: Count = 0  # a product is archived
    gap: Mean = 1800.0  # between two things of the same kind


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    about: str = ""  # one line for whoever chooses
    skus: AtLeastOne = 40
    locations: AtLeastOne = 2
    currency: Currency = "GBP"  # of the shop; the marketplace's is `mirakl.currency`
    taxes_included: bool = True  # in the shop's own prices; the marketplace's way is `mirakl.tax_mode`
    least_stock: Count = 20  # units of a SKU at the start, over all locations
    most_stock: Count = 60
    offers_open: Literal["at_zero", "at_stock"] = "at_zero"  # what the marketplace offers before the first stock file
    marketplace_orders: Count = 0  # how many buyers place before they stop
    buyers: Count = 0  # who come at most, whether they find something or not; 0: as many as it takes
    buyer_gap: Mean = 60.0  # between buyers, on both sides together
    d2c_share: Annotated[float, Meta(ge=0, le=0.95)] = 0.3  # of buyers, who go to the shop's own website
    past: Past = field(default_factory=Past)
    restocks: Count = 0
    restock_gap: Mean = 900.0  # between them
    awkward: Awkward = field(default_factory=Awkward)
    basket: Basket = field(default_factory=Basket)
    burst: tuple[Burst, ...] = ()
    warehouse: Warehouse = field(default_factory=Warehouse)
    service: Service = field(default_factory=Service)
    operator: Operator = field(default_factory=Operator)
    merchandise: Merchandise = field(default_factory=Merchandise)
    faults: dict[str, Share] = {}  # fault class -> share of the calls (or deliveries) that it can hit; see faults.py
    shopify: ShopifySwitches = field(default_factory=ShopifySwitches)
    mirakl: MiraklSwitches = field(default_factory=MiraklSwitches)
