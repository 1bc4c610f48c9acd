"""What a Shopify shop holds. Ids are whole numbers above 2^53, as Shopify's own can be; amounts are minor units; times are UTC."""

from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from ops.sandbox.agenda import Agenda
from ops.sandbox.wire import RefusalError

VERSION = "2026-10"
SUPPORTED_VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
FIRST_ID = 9_007_199_254_741_001  # one above 2^53, and then some: whoever keeps ids as floats mixes them up
APP_ID = 9_007_199_254_740_995
WEB_STORE_ID = 580_111  # the app that orders of the shop's own website carry


class Location(Struct):
    id: int
    name: str
    city: str
    zip: str
    updated_at: datetime
    active: bool = True
    fulfills_online_orders: bool = True


class Product(Struct):
    id: int
    title: str
    vendor: str
    handle: str
    created_at: datetime
    updated_at: datetime
    status: str = "ACTIVE"


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
    """The units of one item at one location: on_hand = available + committed, always."""

    id: int
    item_id: int
    location_id: int
    created_at: datetime
    updated_at: datetime
    available: int = 0  # may be negative
    committed: int = 0
    on_hand: int = 0
    oversold: int = 0  # units ever claimed beyond what was available anywhere


class Bag(Struct, frozen=True):
    """One amount in the shop's currency and in the buyer's."""

    shop: int
    presentment: int

    def __add__(self, other: "Bag") -> "Bag":
        return Bag(self.shop + other.shop, self.presentment + other.presentment)

    def __sub__(self, other: "Bag") -> "Bag":
        return Bag(self.shop - other.shop, self.presentment - other.presentment)

    def times(self, quantity: int) -> "Bag":
        return Bag(self.shop * quantity, self.presentment * quantity)


NOTHING = Bag(0, 0)


class TaxLine(Struct):
    title: str
    rate: str
    amount: Bag
    channel_liable: bool | None = None


class Line(Struct):
    id: int
    variant_id: int | None
    product_id: int | None
    item_id: int | None
    sku: str | None
    title: str
    quantity: int
    price: Bag  # of one unit
    requires_shipping: bool
    taxable: bool
    vendor: str | None = None
    taxes: list[TaxLine] = []
    properties: list[tuple[str, str]] = []
    location_id: int | None = None  # where its units are, once chosen
    claimed: int = 0  # units committed for it and not yet shipped
    fulfilled: int = 0
    cancelled: int = 0  # units taken off the order

    @property
    def unfulfilled(self) -> int:
        return self.quantity - self.fulfilled - self.cancelled


class ShippingLine(Struct):
    id: int
    title: str
    price: Bag
    code: str | None = None
    source: str | None = None
    taxes: list[TaxLine] = []


class Transaction(Struct):
    id: int
    kind: str
    status: str
    gateway: str
    amount: Bag
    created_at: datetime
    processed_at: datetime
    test: bool = False
    authorization: str | None = None


class Metafield(Struct):
    id: int
    namespace: str
    key: str
    type: str
    value: str
    created_at: datetime


class Order(Struct, kw_only=True):
    id: int
    number: int
    name: str
    app_id: int
    currency: str
    presentment_currency: str
    taxes_included: bool
    created_at: datetime
    updated_at: datetime
    processed_at: datetime
    seen_as_of: datetime  # the updated_at that the search index knew before the last change
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    staff_note: str | None = None
    financial_status: str = "PENDING"
    test: bool = False
    tags: list[str] = []
    source_name: str | None = None
    source_identifier: str | None = None
    email: str | None = None
    phone: str | None = None
    note: str | None = None
    po_number: str | None = None
    attributes: list[tuple[str, str]] = []
    shipping_address: dict[str, str | None] | None = None
    billing_address: dict[str, str | None] | None = None
    taxes: list[TaxLine] = []  # of the whole order; then its lines have none
    lines: list[Line] = []
    shipping_lines: list[ShippingLine] = []
    transactions: list[Transaction] = []
    metafields: list[Metafield] = []
    fulfillment_orders: list[int] = []
    fulfillments: list[int] = []


class FulfillmentOrderLine(Struct):
    id: int
    line_id: int
    total: int
    remaining: int


class FulfillmentOrder(Struct):
    id: int
    order_id: int
    location_id: int
    method: Literal["SHIPPING", "NONE"]
    lines: list[FulfillmentOrderLine]
    created_at: datetime
    updated_at: datetime
    status: str = "OPEN"


class FulfillmentLine(Struct):
    id: int
    line_id: int
    order_line_id: int  # of the fulfilment order
    fulfillment_order_id: int
    quantity: int
    off_shelf: int  # of the quantity, what had been claimed and so left the stock


class Fulfillment(Struct):
    id: int
    order_id: int
    location_id: int
    name: str
    lines: list[FulfillmentLine]
    created_at: datetime
    updated_at: datetime
    status: str = "SUCCESS"
    company: str | None = None
    numbers: list[str] = []
    urls: list[str] = []


class Definition(Struct):
    id: int
    namespace: str
    key: str
    name: str
    type: str
    owner_type: str
    admin_access: str | None
    filterable: bool
    unique: bool


class Subscription(Struct):
    id: int
    topic: str  # as the API's enum says it: ORDERS_CREATE
    uri: str
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    include_fields: list[str] = []
    metafield_namespaces: list[str] = []


class Delivery(Struct):
    """A webhook on its way: due at `due`, tried `attempts` times."""

    id: int
    subscription_id: int
    topic: str  # as the header says it: orders/create
    webhook_id: str
    event_id: str
    triggered_at: datetime
    due: datetime
    subject: tuple[int, ...]  # whose state the body shows
    body: str | None = None  # None until it is first sent, where the body is built only then
    attempts: int = 0
    meddled: bool = False  # somebody has held it back already


class Job(Struct):
    id: int
    order_id: int
    restock: bool
    done: bool = False


class Adjustment(Struct):
    """A group of changed quantities, as one inventory mutation made them."""

    id: int
    reason: str
    reference: str | None
    created_at: datetime
    changes: list[tuple[str, int, int, int, int]]  # name, item, location, delta, quantity after


class KeyUse(Struct):
    """An idempotency key, what was asked under it and what came of it."""

    operation: str
    fingerprint: str
    at: datetime
    result: int = 0


class Noise(Struct, forbid_unknown_fields=True):
    """How badly webhooks travel. Probabilities for each delivery."""

    latency: float = 0.5  # seconds
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # held back long enough for later ones to overtake
    delay: float = 0.0  # held back for `delay_seconds`
    delay_seconds: float = 900.0


class Switches(Struct, forbid_unknown_fields=True):
    """Where Shopify's own answer is not known or differs from shop to shop."""

    duplicate_metafield: Literal["refuse", "create_without"] = "refuse"
    index_lag: float = 5.0  # seconds until the search index knows of a change
    lookup_lag: float = 0.0  # the same for orderByIdentifier
    routing_delay: float = 3.0  # seconds from an order to its fulfilment orders
    cancel_delay: float = 2.0  # seconds until a cancellation job has run
    shipping_from_variant: bool = False  # whether a line that does not say requiresShipping takes its variant's word for it
    orders_per_minute: int | None = None  # orderCreate on development shops: 5
    bucket: float = 2000.0  # points of query cost
    restore_rate: float = 100.0  # points a second
    webhooks: Noise = field(default_factory=Noise)


class Shop(Struct, kw_only=True):
    """Everything there is. `seed` decides what chance decides."""

    seed: int
    currency: str = "GBP"
    name: str = "Harbour & Thread"
    domain: str = "harbour-and-thread.myshopify.com"
    taxes_included: bool = True
    created_at: datetime
    switches: Switches = field(default_factory=Switches)
    last_id: int = FIRST_ID
    last_number: int = 1000
    locations: dict[int, Location] = {}
    products: dict[int, Product] = {}
    variants: dict[int, Variant] = {}
    items: dict[int, Item] = {}
    levels: dict[int, dict[int, Level]] = {}  # by item, then location
    skus: dict[str, list[int]] = {}  # variants of a SKU: not always one
    orders: dict[int, Order] = {}
    fulfillment_orders: dict[int, FulfillmentOrder] = {}
    fulfillments: dict[int, Fulfillment] = {}
    definitions: dict[int, Definition] = {}
    unique_values: dict[str, int] = {}  # namespace, key and value of a unique metafield -> order
    subscriptions: dict[int, Subscription] = {}
    deliveries: dict[int, Delivery] = {}
    jobs: dict[int, Job] = {}
    adjustments: dict[int, Adjustment] = {}
    keys: dict[str, KeyUse] = {}
    agenda: Agenda = field(default_factory=Agenda)
    ready: list[int] = []  # fulfilment orders that nobody has looked at yet: the warehouse takes them from here
    moved: list[int] = []  # items whose quantities have moved since somebody last looked
    event: int = 0  # counts the changes that webhooks tell of
    orders_created: list[datetime] = []  # through the API, in the last minute; for orders_per_minute
    webhooks_sent: int = 0
    webhooks_lost: int = 0

    def new_id(self) -> int:
        self.last_id += 1 + self.last_id % 7  # not gapless, as Shopify's are not
        return self.last_id


class Problem(Struct, frozen=True):
    """One user error."""

    field: tuple[str, ...] | None
    message: str
    code: str | None = None


class RefusedError(RefusalError):
    """The mutation ends in user errors, and does nothing."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class NotSimulatedError(RefusalError):
    """The schema allows it, the sandbox has no such room yet."""


def number_of(gid: str, kind: str) -> int:
    """The number in a global id of that kind; 0, which nothing has, if it is something else."""
    prefix = f"gid://shopify/{kind}/"
    digits = gid.removeprefix(prefix).partition("?")[0]
    return int(digits) if gid.startswith(prefix) and digits.isascii() and digits.isdigit() else 0


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"
