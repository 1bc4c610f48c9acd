"""What Shopify sends, field for field: GraphQL answers as our documents select them, and of webhook bodies what says whom they are about.

Ids and money are text or whole numbers, never floats. Values of open lists (states) are text: a new one never breaks a decode.
"""

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Raw, Struct

T = TypeVar("T")
N = TypeVar("N")

Zoned = Annotated[datetime, Meta(tz=True)]
Id = int | str | None  # in webhooks: a number, or a GID, or its digits


def _name(field: str) -> str:
    """`total_price_set` for totalPriceSet; a final underscore keeps a field from being a word of Python's."""
    head, *tail = field.rstrip("_").split("_")
    return head + "".join(part.capitalize() for part in tail)


class Wire(Struct, frozen=True, rename=_name):
    """Fields we do not know are passed over."""


# ---------------------------------------------------------------- the frame of every answer


class ThrottleStatus(Wire, frozen=True):
    maximum_available: float  # points; whole or broken numbers at random
    currently_available: float
    restore_rate: float  # points a second


class Cost(Wire, frozen=True):
    requested_query_cost: float | None = None
    actual_query_cost: float | None = None
    throttle_status: ThrottleStatus | None = None


class SearchWarning(Wire, frozen=True):
    field: str | None = None
    message: str | None = None


class Search(Wire, frozen=True):
    warnings: list[SearchWarning] | None = None


class Extensions(Wire, frozen=True):
    cost: Cost | None = None
    search: list[Search] | None = None


class Problem(Wire, frozen=True):
    """Why a variable was not taken. Its words quote the value: never to be passed on."""

    path: list[str | int] = []


class ErrorExtensions(Wire, frozen=True):
    code: str | None = None
    request_id: str | None = None
    problems: list[Problem] | None = None
    required_access: str | None = None


class Error(Wire, frozen=True):
    path: list[str | int] | None = None
    locations: list[Raw] | None = None
    extensions: ErrorExtensions | None = None


class Answer(Wire, frozen=True):
    data: Raw = Raw()  # empty: no data at all, nothing was executed; "null": execution came to nothing
    errors: list[Error] | str | None = None
    extensions: Extensions | None = None


class UserError(Wire, frozen=True):
    """A mutation understood and refused. Decide on the code; the message is for people, and may quote what we sent."""

    field: list[str] | None = None
    code: str | None = None


class Refusals(Wire, frozen=True):
    user_errors: list[UserError]


class PageInfo(Wire, frozen=True):
    has_next_page: bool
    end_cursor: str | None = None


class Page(Wire, Generic[T], frozen=True):
    nodes: list[T]
    page_info: PageInfo


# ---------------------------------------------------------------- values


class MoneyV2(Wire, frozen=True):
    amount: str
    currency_code: str


class MoneyBag(Wire, frozen=True):
    shop_money: MoneyV2


class Attribute(Wire, frozen=True):
    key: str
    value: str | None = None


class Ref(Wire, frozen=True):
    id: str


class Count(Wire, frozen=True):
    count: int


class MetafieldValue(Wire, frozen=True):
    value: str


# ---------------------------------------------------------------- orders


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


# ---------------------------------------------------------------- what becomes of an order


class RefundLine(Wire, frozen=True):
    quantity: int
    restock_type: str
    line_item: ShippedLineItem
    subtotal_set: MoneyBag
    total_tax_set: MoneyBag


class ShippingSource(Wire, frozen=True):
    source: str | None


class RefundShipping(Wire, frozen=True):
    shipping_line: ShippingSource
    subtotal_amount_set: MoneyBag
    tax_amount_set: MoneyBag


class Transaction(Wire, frozen=True):
    id: str
    kind: str
    status: str
    gateway: str | None
    amount_set: MoneyBag


class Refund(Wire, frozen=True):
    id: str
    note: str | None
    processed_at: Zoned
    return_: Ref | None
    refund_line_items: Page[RefundLine]
    refund_shipping_lines: Page[RefundShipping]
    transactions: Page[Transaction]


class ReasonDefinition(Wire, frozen=True):
    id: str
    handle: str
    deleted: bool


class ReturnedLine(Wire, frozen=True):
    line_item: ShippedLineItem


class ReturnLine(Wire, frozen=True):
    quantity: int
    return_reason_note: str
    return_reason_definition: ReasonDefinition | None
    fulfillment_line_item: ReturnedLine | None = None  # of an item that was never fulfilled here there is none


class Disposition(Wire, frozen=True):
    type: str
    quantity: int


class ReverseLine(Wire, frozen=True):
    total_quantity: int
    fulfillment_line_item: ReturnedLine | None
    dispositions: list[Disposition]


class ReverseOrder(Wire, frozen=True):
    id: str
    line_items: Page[ReverseLine]


class Return(Wire, frozen=True):
    id: str
    status: str
    return_line_items: Page[ReturnLine]
    reverse_fulfillment_orders: Page[ReverseOrder]


class Cancellation(Wire, frozen=True):
    staff_note: str | None


class OrderAftercare(Wire, frozen=True):
    id: str
    currency_code: str
    taxes_included: bool
    cancellation: Cancellation | None
    refunds: list[Refund]
    returns: Page[Return]


# ---------------------------------------------------------------- answers, by the document that asked


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


class Nodes(Wire, Generic[T], frozen=True):
    nodes: list[T | None]  # null: there is no such thing any more


class StandingLines(Wire, frozen=True):
    line_items: Page[StandingLine]


class FulfillmentOrders(Wire, frozen=True):
    cancelled_at: Zoned | None
    fulfillment_orders: Page[FulfillmentOrder]


class OrderReturns(Wire, frozen=True):
    returns: Page[Return]


class RefundNote(Wire, frozen=True):
    id: str
    note: str | None


class RefundNotes(Wire, frozen=True):
    refunds: list[RefundNote]


class RefundNode(Wire, Generic[T], frozen=True):
    refund: T | None


class RefundLines(Wire, frozen=True):
    refund_line_items: Page[RefundLine]


class RefundShippings(Wire, frozen=True):
    refund_shipping_lines: Page[RefundShipping]


class RefundTransactions(Wire, frozen=True):
    transactions: Page[Transaction]


class ReturnNode(Wire, Generic[T], frozen=True):
    return_: T | None


class ReturnLines(Wire, frozen=True):
    return_line_items: Page[ReturnLine]


class ReverseOrders(Wire, frozen=True):
    reverse_fulfillment_orders: Page[ReverseOrder]


class ReverseNode(Wire, frozen=True):
    reverse_fulfillment_order: ReverseOrder | None


# ---------------------------------------------------------------- what is asked of an order


class TagsAdd(Wire, frozen=True):
    tags_add: Refusals


class HoldPlace(Wire, frozen=True):
    fulfillment_order_hold: Refusals


class HoldRelease(Wire, frozen=True):
    fulfillment_order_release_hold: Refusals


class RefundableLine(Wire, frozen=True):
    id: str
    quantity: int
    refundable_quantity: int
    unfulfilled_quantity: int
    custom_attributes: list[Attribute]


class RefundBasis(Wire, frozen=True):
    cancelled_at: Zoned | None
    transactions: list[Transaction]
    line_items: Page[RefundableLine]


class Shelf(Wire, frozen=True):
    location: Ref | None


class ShelvedLine(Wire, frozen=True):
    remaining_quantity: int
    line_item: Ref


class ShelfOrder(Wire, frozen=True):
    id: str
    status: str
    assigned_location: Shelf
    line_items: Page[ShelvedLine]


class Shelves(Wire, frozen=True):
    fulfillment_orders: Page[ShelfOrder]


class ShelfLinesOf(Wire, frozen=True):
    line_items: Page[ShelvedLine]


class ShelfNode(Wire, frozen=True):
    fulfillment_order: ShelfLinesOf | None


class MadeRefund(Wire, frozen=True):
    id: str
    note: str | None
    transactions: Page[Transaction]


class KeyedError(UserError, frozen=True):
    message: str = ""  # read for one thing only: whether it is about the key. Never to be passed on


class RefundCreatePayload(Wire, frozen=True):
    refund: MadeRefund | None
    user_errors: list[KeyedError]


class RefundCreate(Wire, frozen=True):
    refund_create: RefundCreatePayload


class ShippedLine(Wire, frozen=True):
    id: str
    line_item: ShippedLineItem


class ReturnableLine(Wire, frozen=True):
    quantity: int
    fulfillment_line_item: ShippedLine


class Returnable(Wire, frozen=True):
    id: str
    returnable_fulfillment_line_items: Page[ReturnableLine]


class Returnables(Wire, frozen=True):
    returnable_fulfillments: Page[Returnable]


class ReturnableRest(Wire, frozen=True):
    returnable_fulfillment: Returnable | None


class NotedLine(Wire, frozen=True):
    return_reason_note: str


class NotedLines(Wire, frozen=True):
    nodes: list[NotedLine]


class NotedReturn(Wire, frozen=True):
    id: str
    status: str
    return_line_items: NotedLines


class ReturnNotes(Wire, frozen=True):
    returns: Page[NotedReturn]


class ReasonDefinitions(Wire, frozen=True):
    nodes: list[ReasonDefinition]


class ReturnReasons(Wire, frozen=True):
    return_reason_definitions: ReasonDefinitions


class ReturnCreatePayload(Wire, frozen=True):
    return_: Ref | None
    user_errors: list[UserError]


class ReturnCreate(Wire, frozen=True):
    return_create: ReturnCreatePayload


# ---------------------------------------------------------------- bulk operations


class BulkRef(Wire, frozen=True):
    bulk_operation: Ref | None
    user_errors: list[UserError]


class BulkRun(Wire, frozen=True):
    bulk_operation_run_query: BulkRef


class BulkOperation(Wire, frozen=True):
    id: str
    status: str
    error_code: str | None
    url: str | None


class BulkGet(Wire, frozen=True):
    bulk_operation: BulkOperation | None


class BulkOrder(Wire, frozen=True):
    """One line of the result."""

    id: str
    updated_at: Zoned
    cancelled_at: Zoned | None
    display_fulfillment_status: str
    return_status: str


# ---------------------------------------------------------------- stock


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


class Item(Stocked, frozen=True):
    sku: str | None
    duplicate_sku_count: int


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


# ---------------------------------------------------------------- the shop


class Plan(Wire, frozen=True):
    public_display_name: str
    partner_development: bool


class ShopFacts(Wire, frozen=True):
    id: str
    myshopify_domain: str
    currency_code: str
    plan: Plan


class Scope(Wire, frozen=True):
    handle: str


class Installation(Wire, frozen=True):
    app: Ref
    access_scopes: list[Scope]


class Version(Wire, frozen=True):
    handle: str
    supported: bool


class ShopProbe(Wire, frozen=True):
    shop: ShopFacts
    current_app_installation: Installation
    public_api_versions: list[Version]


class DefinitionType(Wire, frozen=True):
    name: str


class Enabled(Wire, frozen=True):
    enabled: bool


class DefinitionCapabilities(Wire, frozen=True):
    unique_values: Enabled


class Definition(Wire, frozen=True):
    id: str
    type: DefinitionType
    capabilities: DefinitionCapabilities


class DefinitionList(Wire, frozen=True):
    nodes: list[Definition]


class Definitions(Wire, frozen=True):
    metafield_definitions: DefinitionList


class DefinitionCreatePayload(Wire, frozen=True):
    created_definition: Definition | None
    user_errors: list[UserError]


class DefinitionCreate(Wire, frozen=True):
    metafield_definition_create: DefinitionCreatePayload


class MetafieldsSetPayload(Wire, frozen=True):
    user_errors: list[UserError]


class MetafieldsSet(Wire, frozen=True):
    metafields_set: MetafieldsSetPayload


class Subscription(Wire, frozen=True):
    id: str
    topic: str
    uri: str
    format: str
    filter: str | None
    include_fields: list[str]


class Subscriptions(Wire, frozen=True):
    webhook_subscriptions: Page[Subscription]


class SubscriptionCreate(Wire, frozen=True):
    webhook_subscription_create: Refusals


class SubscriptionDelete(Wire, frozen=True):
    webhook_subscription_delete: Refusals


# ---------------------------------------------------------------- webhook bodies: older shapes, with underscores and numbers for ids


class Body(Struct, frozen=True):
    """Of a thing named in a webhook: its id, spelled one way or the other."""

    id: Id = None
    admin_graphql_api_id: str | None = None


class Edit(Struct, frozen=True):
    order_id: Id = None


class Merge(Struct, frozen=True):
    fulfillment_order: Body | None = None


class NoteAttribute(Struct, frozen=True):
    name: str | None = None


class Notice(Body, frozen=True, rename={"return_": "return"}):
    """Everything in a webhook's body that says whom it is about and when. What it says of people is not even decoded."""

    order_id: Id = None
    order: Body | None = None
    order_edit: Edit | None = None
    return_: Body | None = None
    fulfillment_id: Id = None
    fulfillment_order: Body | None = None
    original_fulfillment_order: Body | None = None
    moved_fulfillment_order: Body | None = None
    submitted_fulfillment_order: Body | None = None
    remaining_fulfillment_order: Body | None = None
    replacement_fulfillment_order: Body | None = None
    fulfillment_order_merges: Merge | list[Merge] | None = None
    inventory_item_id: Id = None
    orders_requested: list[Id] | None = None
    orders_to_redact: list[Id] | None = None
    tags: str | list[str] | None = None
    note_attributes: list[NoteAttribute] | dict[str, Raw] | None = None  # {} has been seen for none
    updated_at: str | None = None
    shop_domain: str | None = None
    myshopify_domain: str | None = None
