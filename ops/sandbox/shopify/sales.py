"""An order and all that comes of it: parcels, refunds, returns. Amounts are minor units in two currencies; times are UTC."""

from datetime import datetime
from typing import Literal

from msgspec import Struct


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
    """`quantity` was ordered. Of it, some has left, some came off before it could, some was paid back: refunded overlaps with both."""

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
    variant_title: str | None = None
    discount: Bag = NOTHING  # on the whole line
    taxes: list[TaxLine] = []
    properties: list[tuple[str, str]] = []
    location_id: int | None = None  # where its units were claimed
    claimed: int = 0  # units committed for it and not yet shipped
    off_shelf: int = 0  # units that left the stock for it, and are not back
    written_off: int = 0  # units claimed for it that are gone without having been sent: cancelled, and not restocked
    fulfilled: int = 0
    cancelled: int = 0  # units that came off the order before they left
    dropped: int = 0  # of those, the ones that no refund tells of: edited away, or cancelled without one
    refunded: int = 0  # units that refunds tell of
    returned: int = 0  # fulfilled units that refunds or returns took back

    @property
    def unfulfilled(self) -> int:
        return self.quantity - self.fulfilled - self.cancelled

    @property
    def current(self) -> int:
        return self.quantity - self.refunded - self.dropped


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
    parent_id: int | None = None
    refund_id: int | None = None
    error: str | None = None

    @property
    def is_manual(self) -> bool:
        """Whether its gateway is but a name, for money that moves elsewhere."""
        return self.gateway != "shopify_payments"


class Metafield(Struct):
    id: int
    namespace: str
    key: str
    type: str
    value: str
    created_at: datetime
    updated_at: datetime


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
    routed: bool = False
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    staff_note: str | None = None
    closed_at: datetime | None = None
    financial_status: str = "PENDING"
    edited: bool = False
    test: bool = False
    tags: list[str] = []
    source_name: str | None = None
    source_identifier: str | None = None
    attribution: str | None = None  # handle of an order attribution definition
    customer_id: int | None = None
    email: str | None = None
    phone: str | None = None
    note: str | None = None
    po_number: str | None = None
    attributes: list[tuple[str, str]] = []
    shipping_address: dict[str, str | None] | None = None
    billing_address: dict[str, str | None] | None = None
    redacted: bool = False  # the shop has erased whose it was
    discount_code: str | None = None
    taxes: list[TaxLine] = []  # of the whole order; then its lines have none
    lines: list[Line] = []
    shipping_lines: list[ShippingLine] = []
    transactions: list[Transaction] = []
    metafields: list[Metafield] = []
    fulfillment_orders: list[int] = []
    fulfillments: list[int] = []
    refunds: list[int] = []
    returns: list[int] = []

    def line(self, number: int) -> Line | None:
        return next((line for line in self.lines if line.id == number), None)


# ---------------------------------------------------------------------------------------------------------------- parcels


class Hold(Struct):
    id: int
    reason: str
    notes: str | None
    handle: str
    by_app: bool  # ours; else a person's


class FulfillmentOrderLine(Struct):
    id: int
    line_id: int
    total: int
    remaining: int
    claimed: int = 0  # of what remains, units committed at `claimed_at`
    claimed_at: int | None = None


class FulfillmentOrder(Struct):
    id: int
    order_id: int
    location_id: int
    method: Literal["SHIPPING", "NONE"]
    lines: list[FulfillmentOrderLine]
    created_at: datetime
    updated_at: datetime
    status: str = "OPEN"
    holds: list[Hold] = []
    fulfill_at: datetime | None = None  # not before then
    moved_to: int | None = None  # closed because its lines went to that one

    @property
    def remaining(self) -> int:
        return sum(line.remaining for line in self.lines)


class FulfillmentLine(Struct):
    id: int
    line_id: int
    order_line_id: int  # of the fulfilment order
    fulfillment_order_id: int
    quantity: int
    off_shelf: int  # of the quantity, what had been claimed and so left the stock
    in_returns: int = 0  # units that returns, not cancelled or declined, ask back


class FulfillmentEvent(Struct):
    id: int
    status: str
    happened_at: datetime


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
    events: list[FulfillmentEvent] = []


# ------------------------------------------------------------------------------------------------ money back, goods back


class RefundLine(Struct):
    id: int
    line_id: int
    quantity: int
    restock_type: str  # CANCEL, RETURN, NO_RESTOCK
    restocked: bool
    location_id: int | None
    subtotal: Bag
    tax: Bag


class OrderAdjustment(Struct):
    """What bridges the gap between a refund's lines and its money."""

    id: int
    reason: str
    amount: Bag


class Refund(Struct):
    """A record of what was taken back. Whether money moved, its transactions tell."""

    id: int
    order_id: int
    created_at: datetime
    processed_at: datetime
    updated_at: datetime
    note: str | None
    by_app: bool
    lines: list[RefundLine] = []
    shipping_id: int = 0
    shipping: Bag = NOTHING
    shipping_tax: Bag = NOTHING
    transactions: list[int] = []
    adjustments: list[OrderAdjustment] = []
    discrepancy: str | None = None  # the reason that was given for one
    return_id: int | None = None


class ReturnLine(Struct):
    id: int
    line_id: int
    fulfillment_id: int
    fulfillment_line_id: int
    quantity: int
    reason: int  # a return reason definition
    note: str = ""
    customer_note: str | None = None
    restocking_fee: float | None = None  # per cent
    processed: int = 0
    refunded: int = 0


class Disposition(Struct):
    id: int
    type: str  # RESTOCKED, NOT_RESTOCKED, PROCESSING_REQUIRED, MISSING
    quantity: int
    location_id: int | None
    created_at: datetime


class ReverseLine(Struct):
    id: int
    return_line_id: int
    total: int
    dispositions: list[Disposition] = []


class ReverseOrder(Struct):
    """A reverse fulfilment order: the goods on their way back."""

    id: int
    return_id: int
    lines: list[ReverseLine]
    status: str = "OPEN"


class ReverseDelivery(Struct):
    id: int
    reverse_order_id: int
    lines: list[tuple[int, int]]  # line of the reverse order, quantity
    number: str | None = None
    url: str | None = None
    label: str | None = None


class Return(Struct):
    id: int
    order_id: int
    name: str
    status: str  # REQUESTED, OPEN, CLOSED, CANCELED, DECLINED
    created_at: datetime
    by_app: bool
    lines: list[ReturnLine] = []
    closed_at: datetime | None = None
    approved_at: datetime | None = None
    decline_reason: str | None = None
    decline_note: str | None = None
    refunds: list[int] = []
    reverse_orders: list[int] = []


class Job(Struct):
    """A cancellation under way."""

    id: int
    order_id: int
    reason: str
    restock: bool
    refund: bool
    by_app: bool
    note: str | None = None
    status: str = "STARTED"  # SUCCEEDED, FAILED
    error: str | None = None

    @property
    def done(self) -> bool:
        return self.status != "STARTED"
