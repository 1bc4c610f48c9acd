"""Goods that come back, and what became of an order after all."""

from typing import Generic

from adapters.shopify.wire.frame import Page, Ref, T, UserError, Wire
from adapters.shopify.wire.orders import ShippedLineItem
from adapters.shopify.wire.refunds import Refund


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


class OrderReturns(Wire, frozen=True):
    returns: Page[Return]


class ReturnNode(Wire, Generic[T], frozen=True):
    return_: T | None


class ReturnLines(Wire, frozen=True):
    return_line_items: Page[ReturnLine]


class ReverseOrders(Wire, frozen=True):
    reverse_fulfillment_orders: Page[ReverseOrder]


class ReverseNode(Wire, frozen=True):
    reverse_fulfillment_order: ReverseOrder | None


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
