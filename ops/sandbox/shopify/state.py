"""What a Shopify shop holds. Ids are whole numbers above 2^53, as Shopify's own can be; amounts are minor units; times are UTC."""

from datetime import datetime

from msgspec import Struct, field

from ops.sandbox.agenda import Agenda
from ops.sandbox.shopify.goods import Adjustment, Item, Level, Location, Product, Variant
from ops.sandbox.shopify.sales import (
    NOTHING,
    Bag,
    Fulfillment,
    FulfillmentLine,
    FulfillmentOrder,
    FulfillmentOrderLine,
    Job,
    Line,
    Metafield,
    Order,
    Refund,
    Return,
    ReverseDelivery,
    ReverseOrder,
    ShippingLine,
    TaxLine,
    Transaction,
)
from ops.sandbox.shopify.switches import Noise, Switches
from ops.sandbox.wire import RefusalError

__all__ = [  # the one page from which the rooms of this shop take what they speak of
    "NOTHING", "Adjustment", "Bag", "Fulfillment", "FulfillmentLine", "FulfillmentOrder", "FulfillmentOrderLine", "Item", "Job",
    "Level", "Line", "Location", "Metafield", "Noise", "Order", "Product", "Refund", "Return", "ReverseDelivery", "ReverseOrder",
    "ShippingLine", "Switches", "TaxLine", "Transaction", "Variant",
]  # fmt: skip

VERSION = "2026-10"
FIRST_ID = 9_007_199_254_741_001  # one above 2^53, and then some: whoever keeps ids as floats mixes them up
APP_ID = 9_007_199_254_740_995
SHOP_ID = APP_ID + 1
USER_ID = APP_ID + 3  # the person at the merchant's desk
APP_NAMESPACE = f"app--{APP_ID}"  # what $app stands for
WEB_STORE_ID = 580_111  # the app that orders of the shop's own website carry

SCOPES = (
    "read_orders write_orders read_all_orders read_customers write_customers read_merchant_managed_fulfillment_orders "
    "write_merchant_managed_fulfillment_orders read_assigned_fulfillment_orders write_assigned_fulfillment_orders "
    "read_third_party_fulfillment_orders write_third_party_fulfillment_orders read_fulfillments write_fulfillments read_returns "
    "write_returns read_inventory write_inventory read_locations read_products write_order_edits"
)


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


class Attribution(Struct):
    """An order attribution definition."""

    id: int
    handle: str
    display_name: str
    icon: str | None = None


class Customer(Struct):
    id: int
    email: str | None
    phone: str | None = None


class Subscription(Struct):
    id: int
    topic: str  # as the API's enum says it: ORDERS_CREATE
    uri: str
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    filter: str | None = None
    include_fields: list[str] = []
    metafield_namespaces: list[str] = []
    ends: bool = False  # the app was uninstalled: nothing new is told
    told: dict[str, str] = {}  # subject -> the body last sent of it, where include_fields let an unchanged one be dropped


class Delivery(Struct):
    """A webhook on its way: due at `due`, tried `attempts` times."""

    id: int
    subscription_id: int  # 0: a privacy topic, which is declared in the app's configuration and not subscribed to
    topic: str  # as the header says it: orders/create
    webhook_id: str
    event_id: str
    triggered_at: datetime
    due: datetime
    subject: tuple[int, ...]  # whose state the body shows
    body: str | None = None  # None until it is first sent, where the body is built only then
    attempts: int = 0
    meddled: bool = False  # somebody on the way has done something to it already


class KeyUse(Struct):
    """An idempotency key, what was asked under it and what came of it."""

    operation: str
    fingerprint: str
    first_at: datetime
    at: datetime  # the moment from which its life is counted
    result: int = 0
    failed: bool = False


class Bulk(Struct):
    """A bulk operation. Its result is written in slices, each as things stand at its own moment."""

    id: int
    type: str  # QUERY, MUTATION
    text: str
    created_at: datetime
    status: str = "CREATED"  # RUNNING, COMPLETED, FAILED, CANCELING, CANCELED, EXPIRED
    error: str | None = None
    completed_at: datetime | None = None
    upload: str | None = None  # of a mutation: where its variables were put
    group: bool = False  # children right behind their parent
    steps: int = 0
    cursors: dict[str, str] = {}  # root connection -> how far it has been read
    ended: list[str] = []  # roots that have been read to their end
    objects: int = 0
    roots: int = 0
    result: list[str] = []  # lines of JSON

    @property
    def active(self) -> bool:
        return self.status in ("CREATED", "RUNNING", "CANCELING")


class Pass(Struct):
    """An access token that was granted for a time."""

    token: str
    kind: str  # client_credentials, offline
    ends_at: datetime
    refresh: str | None = None
    refresh_ends_at: datetime | None = None


class Shelf(Struct):
    """What the search index knows of an order: how it was a while ago."""

    updated_at: datetime
    seq: int  # of the change that it is from
    words: list[str]  # name, tag, source_identifier, sku, metafields, as field:value in lower case


class Index(Struct):
    """The search index of orders. It is behind by `index_lag`."""

    known: dict[int, Shelf] = {}  # by order
    ids: list[int] = []  # of known, in order
    by_change: list[tuple[str, int]] = []  # date of change, ISO 8601 to the microsecond, and id, in order
    by_word: dict[str, list[int]] = {}  # word -> orders, in order
    waiting: dict[int, tuple[int, Shelf | None]] = {}  # change -> order and what will be known of it; None: it is gone
    seq: int = 0


class Shop(Struct, kw_only=True):
    """Everything there is. `seed` decides what chance decides."""

    seed: int
    currency: str = "GBP"
    name: str = "Harbour & Thread"
    domain: str = "harbour-and-thread.myshopify.com"
    taxes_included: bool = True
    created_at: datetime
    switches: Switches = field(default_factory=Switches)
    scopes: list[str] = field(default_factory=SCOPES.split)
    former_scopes: list[str] = []  # before they last changed
    scopes_at: datetime | None = None
    uninstalled_at: datetime | None = None
    last_id: int = FIRST_ID
    last_number: int = 1000
    locations: dict[int, Location] = {}
    products: dict[int, Product] = {}
    variants: dict[int, Variant] = {}
    items: dict[int, Item] = {}
    levels: dict[int, dict[int, Level]] = {}  # by item, then location
    stocked: dict[int, dict[int, int]] = {}  # by location, then level: the item
    skus: dict[str, list[int]] = {}  # variants of a SKU: not always one
    sku_words: dict[str, list[int]] = {}  # the same in lower case, as searches compare
    orders: dict[int, Order] = {}
    fulfillment_orders: dict[int, FulfillmentOrder] = {}
    fulfillments: dict[int, Fulfillment] = {}
    refunds: dict[int, Refund] = {}
    returns: dict[int, Return] = {}
    reverse_orders: dict[int, ReverseOrder] = {}
    reverse_lines: dict[int, int] = {}  # line -> reverse order
    reverse_deliveries: dict[int, ReverseDelivery] = {}
    tenders: dict[int, tuple[int, int]] = {}  # tender transaction -> order and transaction
    customers: dict[int, Customer] = {}
    customer_emails: dict[str, int] = {}
    definitions: dict[int, Definition] = {}
    attributions: dict[str, Attribution] = {}
    unique_values: dict[str, int] = {}  # namespace, key and value of a unique metafield -> order
    index: Index = field(default_factory=Index)
    subscriptions: dict[int, Subscription] = {}
    deliveries: dict[int, Delivery] = {}
    post: list[tuple[datetime, int]] = []  # when each delivery is due, in order
    privacy_uri: str | None = None  # where the app's configuration wants privacy topics to go
    jobs: dict[int, Job] = {}
    bulk: dict[int, Bulk] = {}
    uploads: dict[str, str | None] = {}  # staged: key -> what was put there; None: nothing yet
    passes: dict[str, Pass] = {}  # by token
    adjustments: dict[int, Adjustment] = {}
    keys: dict[str, KeyUse] = {}
    agenda: Agenda = field(default_factory=Agenda)
    ready: list[int] = []  # fulfilment orders that nobody has looked at yet: the warehouse takes them from here
    moved: list[int] = []  # items whose quantities have moved since somebody last looked
    event: int = 0  # counts the changes that webhooks tell of
    orders_created: list[datetime] = []  # through the API, in the last minute; for orders_per_minute
    webhooks_sent: int = 0
    webhooks_lost: int = 0
    webhooks_coalesced: int = 0

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


class BrokenError(RefusalError):
    """Shopify itself fails inside: INTERNAL_SERVER_ERROR."""


def namespace_of(name: str | None) -> str:
    """What a metafield's namespace stands for: the app's own where it says $app, or nothing."""
    return APP_NAMESPACE if name in (None, "$app") else str(name).replace("$app:", f"{APP_NAMESPACE}--")


def number_of(gid: str, kind: str) -> int:
    """The number in a global id of that kind; 0, which nothing has, if it is something else."""
    prefix = f"gid://shopify/{kind}/"
    digits = gid.removeprefix(prefix).partition("?")[0]
    return int(digits) if gid.startswith(prefix) and digits.isascii() and digits.isdigit() else 0


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"
