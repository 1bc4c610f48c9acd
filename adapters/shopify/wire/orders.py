"""An order and its parcels, and what is asked of them."""

from typing import Generic

from adapters.shopify.wire.frame import Attribute, Count, MetafieldValue, MoneyBag, Page, Ref, Refusals, T, UserError, Wire, Zoned


class OrderMarks(Wire, frozen=True):
    id: str
    name: str
    created_at: Zoned
    updated_at: Zoned
    cancelled_at: Zoned | None
    tags: list[str]
    source_identifier: str | None
    custom_attributes: list[Attribute]
    marketplace_order_id: MetafieldValue | None


class LineItem(Wire, frozen=True):
    id: str
    sku: str | None
    quantity: int
    original_unit_price_set: MoneyBag
    custom_attributes: list[Attribute]


class OrderTerms(OrderMarks, frozen=True):
    total_price_set: MoneyBag
    line_items: Page[LineItem]


class ShippedLineItem(Wire, frozen=True):
    id: str
    custom_attributes: list[Attribute]


class FulfillmentLine(Wire, frozen=True):
    quantity: int | None
    line_item: ShippedLineItem


class Tracking(Wire, frozen=True):
    company: str | None
    number: str | None
    url: str | None


class Fulfillment(Wire, frozen=True):
    id: str
    status: str
    updated_at: Zoned
    tracking_info: list[Tracking]
    fulfillment_line_items: Page[FulfillmentLine]


class StandingLine(Wire, frozen=True):
    id: str
    current_quantity: int  # after refunds and edits
    custom_attributes: list[Attribute]


class Hold(Wire, frozen=True):
    id: str
    handle: str | None
    reason: str
    held_by_requesting_app: bool


class FulfillmentOrder(Wire, frozen=True):
    id: str
    status: str
    fulfillment_holds: list[Hold]


class Address(Wire, frozen=True):
    """Every field may be missing, or hidden from us."""

    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    zip: str | None = None


class OrderState(OrderMarks, frozen=True):
    display_financial_status: str | None
    display_fulfillment_status: str
    total_price_set: MoneyBag
    shipping_address: Address | None
    address_digest: MetafieldValue | None
    line_items: Page[StandingLine]
    fulfillment_orders: Page[FulfillmentOrder]
    fulfillments_count: Count | None
    fulfillments: list[Fulfillment]
    refunds: list[Ref]  # whether there are any
    returns: Page[Ref]


class OrderNode(Wire, Generic[T], frozen=True):
    order: T | None


class OrderByIdentifier(Wire, frozen=True):
    order_by_identifier: OrderMarks | None


class Orders(Wire, Generic[T], frozen=True):
    orders: Page[T]


class OrderCreatePayload(Wire, frozen=True):
    order: OrderTerms | None
    user_errors: list[UserError]


class OrderCreate(Wire, frozen=True):
    order_create: OrderCreatePayload


class JobState(Wire, frozen=True):
    id: str
    done: bool


class JobResult(Wire, frozen=True):
    status: str  # STARTED, SUCCEEDED, FAILED
    errors: list[UserError]


class OrderCancelPayload(Wire, frozen=True):
    job: JobState | None
    job_result: JobResult | None
    order_cancel_user_errors: list[UserError]


class OrderCancel(Wire, frozen=True):
    order_cancel: OrderCancelPayload


class Cancelled(Wire, frozen=True):
    cancelled_at: Zoned | None


class JobAnswer(Wire, frozen=True):
    job: JobState | None
    order: Cancelled | None


class FulfillmentNode(Wire, Generic[T], frozen=True):
    fulfillment: T | None


class FulfillmentLines(Wire, frozen=True):
    fulfillment_line_items: Page[FulfillmentLine]


class FulfillmentRefs(Wire, frozen=True):
    fulfillments: list[Ref]


class OrderVersion(Wire, frozen=True):
    id: str
    updated_at: Zoned


class PartOfOrder(Wire, frozen=True):
    """A fulfilment, a fulfilment order, a refund, a return, a transaction: whichever was asked for."""

    order: Ref | None = None
    whose: Ref | None = None  # the order, where it may be missing
    order_id: str | None = None


class StandingLines(Wire, frozen=True):
    line_items: Page[StandingLine]


class FulfillmentOrders(Wire, frozen=True):
    cancelled_at: Zoned | None
    fulfillment_orders: Page[FulfillmentOrder]


class TagsAdd(Wire, frozen=True):
    tags_add: Refusals


class HoldPlace(Wire, frozen=True):
    fulfillment_order_hold: Refusals


class HoldRelease(Wire, frozen=True):
    fulfillment_order_release_hold: Refusals
