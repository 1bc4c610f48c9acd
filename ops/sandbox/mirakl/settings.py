"""The answers that hardly ever change: who the seller is, how the platform is set up, carriers, reasons, currencies."""

from typing import Any

import msgspec

from ops.sandbox.mirakl.contract import Contract
from ops.sandbox.mirakl.registry import REASONS, SHIPPING_TYPES
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import Account

VERSION = {"version": "3.412"}


def account(contract: Contract, shop: Account) -> dict[str, Any]:
    """A01. Balances are zero: this account has seen no payout yet."""
    blank: dict[str, Any] = contract.blank_answer("A01")
    return blank | {
        "shop_id": shop.shop_id,
        "shop_name": shop.shop_name,
        "shop_state": "OPEN",
        "currency_iso_code": shop.currency,
        "date_created": moment(shop.created_at),
        "last_updated_date": moment(shop.created_at),
        "is_professional": True,
        "offers_count": len(shop.offers),
        "orders_count": len(shop.orders),
        "domains": ["product"],
        "shipping_types": list(SHIPPING_TYPES),
        "shipping_zones": ["UK"],
    }


def statistics(shop: Account) -> dict[str, Any]:
    """A21, as far as it can be told from the orders."""
    refused = sum(order.state == "REFUSED" for order in shop.orders.values())
    orders = len(shop.orders)
    return {
        "shop_id": shop.shop_id,
        "orders_count": [{"period": "ALL_TIME", "value": orders}],
        "offers_count": [{"period": "ALL_TIME", "value": len(shop.offers)}],
        "approval_rate": [{"period": "ALL_TIME", "value": (orders - refused) * 100 // orders if orders else 100}],
    }


def platform(contract: Contract, shop: Account) -> dict[str, Any]:
    """PC01: the switches that decide the flow."""
    answer: dict[str, Any] = contract.blank_answer("PC01")
    switches, features = shop.switches, answer["features"]
    features["order_workflows"] |= {
        "order_acceptance": switches.acceptance,
        "shipping_and_billing_details_before_acceptance": switches.addresses_before_acceptance,
    }
    features["shipment"] |= {"multi_shipment": switches.multi_shipment}
    features["returns"] |= {"marketplace": False}
    features["pricing"] |= {"channel_pricing": "DISABLED"}
    features["tax_collection"] |= {"activated": "NONE"}
    features |= {
        "disable_seller_alternative_carrier": not switches.alternative_carriers,
        "order_tax_mode": switches.tax_mode,
        "offer_prices_decimals": "2",
        "operator_csv_delimiter": "SEMICOLON",
        "lead_time_to_ship_by_sellers_enabled": "DISABLED",
    }
    answer["modules"] |= {"offer_management": True, "order_management": True}
    answer["platform_configuration"]["platform_model"] |= {"marketplace": True}
    return answer | {"platform_name": "Sandbox", "tenant_name": "sandbox", "timezone": "Europe/London"}


def carriers(shop: Account) -> dict[str, Any]:
    return {"carriers": [msgspec.to_builtins(carrier) for carrier in shop.carriers]}


def shipping_types(shop: Account) -> dict[str, Any]:
    return {
        "shipping_types": [
            {
                "code": code,
                "label": label,
                "description": None,
                "click_and_collect": False,
                "delivery_by_operator": False,
                "mandatory_tracking": shop.switches.mandatory_tracking,
            }
            for code, label in SHIPPING_TYPES.items()
        ]
    }


def reasons() -> dict[str, Any]:
    shown = [{"code": code, "label": label, "type": kind, "is_shop_right": ours} for code, label, kind, ours in REASONS]
    return {"reasons": shown, "total_count": len(shown)}
