"""How the platform is set up: PC01, SH12, SH21. It says truly what the switches are."""

from typing import Any

import msgspec

from ops.sandbox.mirakl.contract import Contract
from ops.sandbox.mirakl.registry import BY_OPERATOR, PICK_UP, SHIPPING_TYPES, needs_tracking
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import SCALES

VERSION = {"version": "3.412"}


def platform(contract: Contract, shop: Account) -> dict[str, Any]:
    """PC01: the switches that decide the flow."""
    answer: dict[str, Any] = contract.blank_answer("PC01")
    switches, features = shop.switches, answer["features"]
    features["order_workflows"] |= {
        "order_acceptance": switches.acceptance,
        "shipping_and_billing_details_before_acceptance": switches.addresses_before_acceptance,
        "pay_on_shipment": switches.payment_workflow == "PAY_ON_SHIPMENT",
        "pay_on_due_date": switches.payment_workflow == "PAY_ON_DUE_DATE",
        "no_customer_payment_confirmation": switches.payment_workflow == "NO_CUSTOMER_PAYMENT_CONFIRMATION",
    }
    features["shipment"] |= {"multi_shipment": switches.multi_shipment}
    features["returns"] |= {"marketplace": switches.returns}
    features["tax_collection"] |= {
        "activated": "YES" if switches.taxes_remitted_by_operator else "NO",
        "tax_collection_by_operator": switches.taxes_remitted_by_operator,
    }
    features["promotion"] |= {"seller_promotion": switches.promotions > 0, "cart_promotion_campaign": switches.promotions > 0}
    features |= {
        "disable_seller_alternative_carrier": not switches.alternative_carriers,
        "multi_currency": switches.currency != switches.platform_currency,
        "order_tax_mode": switches.tax_mode,
        "operator_csv_delimiter": "COMMA" if switches.report_delimiter == "," else "SEMICOLON",
        "lead_time_to_ship_by_sellers_enabled": "DISABLED",
    }
    answer["modules"] |= {"offer_management": True, "order_management": True}
    answer["platform_configuration"]["platform_model"] |= {"marketplace": True}
    _offers_and_money(answer, shop)
    return answer | {"platform_name": "Sandbox", "tenant_name": "sandbox", "timezone": "Europe/London"}


def _offers_and_money(answer: dict[str, Any], shop: Account) -> None:
    switches, features = shop.switches, answer["features"]
    features["pricing"] |= {
        "channel_pricing": switches.channel_pricing,
        "discount_period_required": switches.discount_period_required,
        "scheduled_pricing": switches.scheduled_pricing,
        "volume_pricing": switches.volume_pricing,
        "volume_discount": switches.volume_pricing,
    }
    features["shop_tax_options"]["tax_identification_number"] |= {"mandatory": True}
    features |= {
        "offer_prices_decimals": str(SCALES.get(shop.currency, 2)),
        "payment_confirmation": switches.payment_confirmation,
        "kyc_status_per_seller": True,
    }


def carriers(shop: Account) -> dict[str, Any]:
    return {"carriers": [msgspec.to_builtins(carrier) for carrier in shop.carriers]}


def shipping_types(shop: Account) -> dict[str, Any]:
    return {
        "shipping_types": [
            {
                "code": code,
                "label": label,
                "description": None,
                "click_and_collect": code == PICK_UP,
                "delivery_by_operator": code == BY_OPERATOR,
                "mandatory_tracking": needs_tracking(shop.switches, code),
            }
            for code, label in SHIPPING_TYPES.items()
        ]
    }
