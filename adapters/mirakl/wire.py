"""Mirakl's payloads, field for field of what we use. Any key may be absent or null, whatever the contract calls required.

Amounts and quantities stay the literal they came as (`Raw`): ints and floats alternate for one field, and neither is trusted. Codes and
states are open lists, hence text. Ids come as text or as whole numbers.
"""

import re
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

Text = str | int | None
Amount = Raw  # b"" where absent, b"null" where null
NONE = Raw()
T = TypeVar("T")


class Part(Struct):
    payable_to_shop: bool | None = None


class Breakdown(Struct):
    parts: list[Part] | None = None


class Tax(Struct):
    code: Text = None
    amount: Amount = NONE
    rate: Amount = NONE
    amount_breakdown: Breakdown | None = None


class Fee(Struct):
    amount: Amount = NONE


class Cancelation(Struct):
    """What was taken off a line since it was sold; the line shows what is left."""

    amount: Amount = NONE
    shipping_amount: Amount = NONE
    quantity: Amount = NONE
    taxes: list[Tax] | None = None
    shipping_taxes: list[Tax] | None = None
    fees: list[Fee] | None = None


class OrderLine(Struct):
    order_line_id: Text = None
    order_line_state: str | None = None
    order_line_state_reason_code: Text = None
    offer_sku: Text = None
    product_title: str | None = None
    quantity: Amount = NONE
    price_unit: Amount = NONE
    price: Amount = NONE
    shipping_price: Amount = NONE
    taxes: list[Tax] | None = None
    shipping_taxes: list[Tax] | None = None
    fees: list[Fee] | None = None
    cancelations: list[Cancelation] | None = None
    last_updated_date: str | None = None
    shipped_date: str | None = None
    received_date: str | None = None


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
    firstname: Text = None
    lastname: Text = None
    shipping_address: Address | None = None


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
    customer: Customer | None = None
    customer_notification_email: str | None = None
    shipping_deadline: str | None = None
    shipping_type_code: Text = None
    shipping_type_label: Text = None
    shipping_carrier_code: Text = None
    shipping_tracking: Text = None


class OrderPage(Struct):
    """OR11. Each order is read by itself, so that one that cannot be read does not take its page along."""

    orders: list[Raw] | None = None
    total_count: int | None = None


class UpdateError(Struct):
    code: str | None = None
    field: str | None = None
    message: str | None = None


class UpdatedOrder(Struct):
    order_id: Text = None
    errors: list[UpdateError] | None = None


class UpdatedOrders(Struct):
    """OR04: what went wrong stands beside each order, in a 200."""

    updated_orders: list[UpdatedOrder] | None = None


class ImportAccepted(Struct):
    import_id: Text = None


class ImportStatus(Struct):
    status: str | None = None
    has_error_report: bool | None = None


class Account(Struct):
    shop_id: Text = None
    shop_name: Text = None
    shop_state: str | None = None
    currency_iso_code: str | None = None


class Shipment(Struct):
    multi_shipment: bool | None = None


class Workflows(Struct):
    order_acceptance: str | None = None


class Features(Struct):
    shipment: Shipment | None = None
    order_workflows: Workflows | None = None
    order_tax_mode: str | None = None


class Platform(Struct):
    features: Features | None = None


class Carrier(Struct):
    code: Text = None
    label: Text = None


class Carriers(Struct):
    carriers: list[Carrier] | None = None


def read(body: bytes | Raw, kind: type[T]) -> T:
    """Decode, or raise msgspec.ValidationError; `where` tells where."""
    return msgspec.json.decode(body, type=kind)


def where(error: msgspec.DecodeError) -> str:
    """The field that a decoder stumbled over: order_lines[...].offer_sku."""
    at = re.search(r"at `\$\.?(.*)`$", str(error))
    return at[1] if at else ""


def identity(raw: bytes | Raw) -> str | None:
    """The order_id of an order that may be unreadable otherwise; None where even that is missing."""
    try:
        value = msgspec.json.decode(raw, type=dict[str, Raw]).get("order_id", NONE)
        found = msgspec.json.decode(value, type=str | int) if bytes(value) else ""
    except msgspec.DecodeError:
        return None
    return str(found) or None


# ---------------------------------------------------------------- what is new to us


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Known from the contract and passed over: not used here, so not declared above.
PASSED_OVER = {
    "order": _words(
        """can_cancel can_shop_ship channel customer_debited_date customer_directly_pays_seller delivery_date discount_campaigns fulfillment
        fully_refunded has_customer_message has_incident has_invoice invoice_details leadtime_to_ship order_additional_fields order_refunds
        order_state_reason_label order_taxes paymentType payment_duration payment_type payment_workflow price promotions quote_id references
        shipping_carrier_standard_code shipping_company shipping_price shipping_pudo_id shipping_tracking_url shipping_type_standard_code
        shipping_zone_code shipping_zone_label total_commission total_price transaction_date transaction_number"""
    ),
    "line": _words(
        """can_refund category_code category_label commission_fee commission_rate_vat commission_taxes commission_vat created_date
        debited_date description discount_campaign eco_contributions measurement offer_id offer_state_code order_line_additional_fields
        order_line_index order_line_state_reason_label origin_unit_price price_additional_info price_amount_breakdown product_medias
        product_shop_sku product_sku promotions purchase_information refunds shipping_from shipping_price_additional_unit
        shipping_price_amount_breakdown shipping_price_unit tax_legal_notice total_commission total_price"""
    ),
    "address": frozenset({"civility"}),
}
KNOWN = {
    name: PASSED_OVER[name] | set(kind.__struct_fields__) for name, kind in (("order", Order), ("line", OrderLine), ("address", Address))
}

# Order and line states; seller API reference and two SDKs, 2026-08-13. An open list: others are kept as they come, and counted.
STATES = _words(
    """STAGING WAITING_ACCEPTANCE WAITING_DEBIT WAITING_DEBIT_PAYMENT SHIPPING SHIPPED TO_COLLECT RECEIVED CLOSED REFUSED CANCELED
    INCIDENT_OPEN INCIDENT_CLOSED REFUNDED WAITING_REFUND WAITING_REFUND_PAYMENT"""
)


def strangers(raw: bytes | Raw) -> tuple[int, int]:
    """How many fields of an order, and how many of its states, are new to us. None, where it cannot be read at all."""
    try:
        order: Any = msgspec.json.decode(raw)
        lines: list[dict[str, Any]] = order.get("order_lines") or []
        address: dict[str, Any] = (order.get("customer") or {}).get("shipping_address") or {}
        fields = len(order.keys() - KNOWN["order"]) + len(address.keys() - KNOWN["address"])
        fields += sum(len(line.keys() - KNOWN["line"]) for line in lines)
        states = {order.get("order_state"), *(line.get("order_line_state") for line in lines)} - {None}
    except (msgspec.DecodeError, AttributeError, TypeError):
        return 0, 0
    return fields, len(states - STATES)
