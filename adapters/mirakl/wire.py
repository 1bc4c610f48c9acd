"""What Mirakl says of orders, returns and offers, field for field of what we use.

Any key may be absent or null, whatever the contract calls required.
Amounts and quantities stay the literal they came as (`Raw`): ints and floats alternate for one field, and neither is trusted. Codes and
states are open lists, hence text. Ids come as text or as whole numbers.
"""

import re
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

Text = str | int | None
Amount = Raw  # b"" where absent, b"null" where null
NONE = Raw()
T = TypeVar("T")


class Part(Struct):
    """A part of an amount, and whom it concerns."""

    payable_to_shop: bool | None = None
    debitable_from_customer: bool | None = None


class Breakdown(Struct):
    parts: list[Part] | None = None


class Tax(Struct):
    code: Text = None
    amount: Amount = NONE
    rate: Amount = NONE
    amount_breakdown: Breakdown | None = None


class Fee(Struct):
    code: Text = None
    amount: Amount = NONE


class Cancelation(Struct):
    """What was taken off a line since it was sold; the line shows what is left."""

    id: Text = None
    amount: Amount = NONE
    shipping_amount: Amount = NONE
    quantity: Amount = NONE
    taxes: list[Tax] | None = None
    shipping_taxes: list[Tax] | None = None
    fees: list[Fee] | None = None
    reason_code: Text = None
    created_date: str | None = None


class Refund(Struct):
    """What is given back of a line; the line shows what it was without it."""

    id: Text = None
    amount: Amount = NONE
    shipping_amount: Amount = NONE
    quantity: Amount = NONE
    taxes: list[Tax] | None = None
    shipping_taxes: list[Tax] | None = None
    fees: list[Fee] | None = None
    reason_code: Text = None
    refund_state: str | None = None
    state: str | None = None  # of older answers
    created_date: str | None = None


class Campaign(Struct):
    identifier: Text = None


class Promotion(Struct):
    """Taken off a line's price already. With a campaign it is the operator's, without one the seller's own."""

    id: Text = None
    deduced_amount: Amount = NONE
    campaign: Campaign | None = None


class OrderLine(Struct):
    order_line_id: Text = None
    order_line_state: str | None = None
    order_line_state_reason_code: Text = None
    offer_sku: Text = None
    product_title: str | None = None
    quantity: Amount = NONE
    price_unit: Amount = NONE
    origin_unit_price: Amount = NONE
    price: Amount = NONE
    price_amount_breakdown: Breakdown | None = None
    shipping_price: Amount = NONE
    taxes: list[Tax] | None = None
    shipping_taxes: list[Tax] | None = None
    fees: list[Fee] | None = None
    promotions: list[Promotion] | None = None
    discount_campaign: Campaign | None = None
    cancelations: list[Cancelation] | None = None
    refunds: list[Refund] | None = None
    shipped_date: str | None = None
    last_updated_date: str | None = None


class Address(Struct):
    firstname: Text = None
    lastname: Text = None
    company: Text = None
    company_2: Text = None
    street_1: Text = None
    street_2: Text = None
    additional_info: Text = None
    city: Text = None
    zip_code: Text = None
    state: Text = None
    country: Text = None
    country_iso_code: Text = None
    phone: Text = None
    phone_secondary: Text = None


class Customer(Struct):
    customer_id: Text = None
    firstname: Text = None
    lastname: Text = None
    shipping_address: Address | None = None


class Channel(Struct):
    code: Text = None


class Center(Struct):
    code: Text = None


class Fulfilment(Struct):
    center: Center | None = None


class AdditionalField(Struct):
    """What the operator has added to orders; `value` is of any type."""

    code: Text = None
    value: Raw = NONE


class DeliveryDate(Struct):
    latest: str | None = None


class Order(Struct):
    order_id: Text = None
    commercial_id: Text = None
    created_date: str | None = None
    last_updated_date: str | None = None
    acceptance_decision_date: str | None = None
    currency_iso_code: str | None = None
    order_tax_mode: str | None = None
    order_state: str | None = None
    order_state_reason_code: Text = None
    order_lines: list[OrderLine] | None = None
    total_price: Amount = NONE
    payment_workflow: Text = None
    channel: Channel | None = None
    fulfillment: Fulfilment | None = None
    customer: Customer | None = None
    customer_notification_email: str | None = None
    customer_debited_date: str | None = None
    delivery_date: DeliveryDate | None = None
    order_additional_fields: list[AdditionalField] | None = None
    shipping_deadline: str | None = None
    shipping_type_code: Text = None
    shipping_type_label: Text = None
    shipping_carrier_code: Text = None
    shipping_company: Text = None
    shipping_tracking: Text = None
    shipping_tracking_url: Text = None
    can_cancel: bool | None = None
    can_shop_ship: bool | None = None
    has_incident: bool | None = None
    has_customer_message: bool | None = None


class OrderPage(Struct):
    """OR11. Each order is read by itself, so that one that cannot be read does not take its page along."""

    orders: list[Raw] | None = None
    total_count: int | None = None


class ReturnTracking(Struct):
    tracking_number: Text = None


class Compliance(Struct):
    compliant: bool | None = None


class ReturnLine(Struct):
    order_line_id: Text = None
    quantity: Amount = NONE
    reason_code: Text = None
    compliance: list[Compliance] | None = None


class Return(Struct):
    """RT11."""

    id: Text = None
    order_id: Text = None
    state: str | None = None
    reason_code: Text = None
    rma: Text = None
    return_lines: list[ReturnLine] | None = None
    tracking: ReturnTracking | None = None
    date_created: str | None = None
    last_updated: str | None = None


class ReturnPage(Struct):
    """RT11. Each return is read by itself, as orders are."""

    data: list[Raw] | None = None
    next_page_token: str | None = None


class OfferPrice(Struct):
    """One of an offer's prices. Without a context it is everybody's."""

    origin_price: Amount = NONE
    context: Raw = NONE


class Offer(Struct):
    """OF54, in JSON."""

    shop_sku: Text = None
    quantity: Amount = NONE
    active: bool | None = None
    deleted: bool | None = None
    currency_iso_code: str | None = None
    prices: list[OfferPrice] | None = None


def read(body: bytes | Raw, kind: type[T]) -> T:
    """Decode, or raise msgspec.ValidationError; `where` tells where."""
    return msgspec.json.decode(body, type=kind)


def where(error: msgspec.DecodeError) -> str:
    """The field that a decoder stumbled over: order_lines[...].offer_sku."""
    at = re.search(r"at `\$\.?(.*)`$", str(error))
    return at[1] if at else ""


def touched(raw: bytes | Raw) -> datetime | None:
    """When an order changed last; None where it does not say so readably."""
    try:
        said = msgspec.json.decode(raw, type=_Touched).last_updated_date
        return said.astimezone(UTC) if said is not None and said.tzinfo is not None else None
    except (msgspec.DecodeError, OverflowError):
        return None


class _Touched(Struct):
    last_updated_date: datetime | None = None


def identity(raw: bytes | Raw, field: str = "order_id") -> str | None:
    """The order_id, or another text, of an order that may be unreadable otherwise; None where even that is missing."""
    try:
        value = msgspec.json.decode(raw, type=dict[str, Raw]).get(field, NONE)
        found = msgspec.json.decode(value, type=str | int) if bytes(value) else ""
    except msgspec.DecodeError:
        return None
    return str(found) or None
