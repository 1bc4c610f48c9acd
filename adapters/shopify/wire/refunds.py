"""Refunds, and what they are taken from."""

from typing import Generic

from adapters.shopify.wire.frame import Attribute, MoneyBag, Page, Ref, T, UserError, Wire, Zoned
from adapters.shopify.wire.orders import ShippedLineItem


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
