"""What an answer holds that is new to us: counted, never in the way."""

from typing import Any

import msgspec
from msgspec import Raw

from adapters.mirakl import wire


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Known from the contract and passed over: not used here, so not declared above.
PASSED_OVER = {
    "order": _words(
        """customer_directly_pays_seller discount_campaigns fully_refunded has_invoice invoice_details leadtime_to_ship
        order_refunds order_state_reason_label order_taxes paymentType payment_duration payment_type price
        promotions quote_id references shipping_carrier_standard_code shipping_price shipping_pudo_id shipping_type_standard_code
        shipping_zone_code shipping_zone_label total_commission transaction_date transaction_number"""
    ),
    "line": _words(
        """can_refund category_code category_label commission_fee commission_rate_vat commission_taxes commission_vat created_date
        debited_date description eco_contributions measurement offer_id offer_state_code order_line_additional_fields order_line_index
        order_line_state_reason_label price_additional_info product_medias product_shop_sku product_sku purchase_information received_date
        shipping_from shipping_price_additional_unit shipping_price_amount_breakdown shipping_price_unit tax_legal_notice
        total_commission total_price"""
    ),
    "address": frozenset({"civility"}),
}
KNOWN = {
    name: PASSED_OVER[name] | set(kind.__struct_fields__)
    for name, kind in (("order", wire.Order), ("line", wire.OrderLine), ("address", wire.Address))
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
