"""Orders as the JSON that is answered.

As at Mirakl's, keys that the contract requires may be null, dates come with and without milliseconds, whole numbers stand among decimals.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ops.sandbox.chance import happens
from ops.sandbox.mirakl.sale import Line, Order, Tax
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import number

EARLY = ("STAGING", "WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT")  # the addresses are not shown yet
SUMMED = ("price", "shipping_price", "total_price", "total_commission")  # over lines, the refused ones too
REASON_LABELS = {"REFUSED": "Rejected", "ACCEPTANCE_TIMEOUT": "Automatically rejected"}


def moment(at: datetime | None, *, milliseconds: bool = False) -> str | None:
    if at is None:
        return None
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z" if milliseconds else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def order(account: Account, order: Order, tax_mode: str) -> dict[str, Any]:
    lines = [_line(account, order, line, tax_mode) for line in order.lines]
    buyer = order.buyer
    shown = account.switches.addresses_before_acceptance or (order.state not in EARLY and order.debited_at is not None)
    address = _address(order) if shown else None
    return {
        "acceptance_decision_date": moment(order.accepted_at),
        "can_cancel": order.state in ("WAITING_DEBIT", "WAITING_DEBIT_PAYMENT"),
        "can_shop_ship": order.state == "SHIPPING",
        "channel": None,
        "commercial_id": order.commercial_id,
        "created_date": moment(order.created_at),
        "currency_iso_code": order.currency,
        "customer": {
            "billing_address": address and {name: value for name, value in address.items() if name != "additional_info"},
            "civility": None,
            "customer_id": buyer.customer_id,
            "firstname": buyer.first_name,
            "lastname": buyer.last_name,
            "locale": "en_GB" if buyer.alpha_2 == "GB" else None,
            "shipping_address": address,
        },
        "customer_debited_date": moment(order.debited_at, milliseconds=True),
        "customer_directly_pays_seller": False,
        "customer_notification_email": buyer.email,
        "delivery_date": {
            "earliest": moment(order.shipping_deadline, milliseconds=True),
            "latest": moment(order.shipping_deadline + timedelta(days=3), milliseconds=True),
        },
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "fully_refunded": False,
        "has_customer_message": False,
        "has_incident": False,
        "has_invoice": False,
        "last_updated_date": moment(order.updated_at, milliseconds=True),
        "leadtime_to_ship": 2,
        "order_additional_fields": [],
        "order_id": order.id,
        "order_lines": lines,
        "order_refunds": None,
        "order_state": order.state,
        "order_state_reason_code": order.reason,
        "order_state_reason_label": REASON_LABELS.get(order.reason or ""),
        "order_tax_mode": tax_mode,
        "order_taxes": None,
        "paymentType": None,
        "payment_type": None,
        "payment_workflow": "PAY_ON_ACCEPTANCE",
        **{name: sum((line[name] for line in lines), Decimal(0)) for name in SUMMED},
        "promotions": {"applied_promotions": [], "total_deduced_amount": 0},
        "quote_id": None,
        "references": {"order_reference_for_customer": None, "order_reference_for_seller": order.seller_reference},
        "shipping_carrier_code": order.tracking.carrier_code,
        "shipping_carrier_standard_code": order.tracking.carrier_standard_code,
        "shipping_company": order.tracking.carrier_name,
        "shipping_deadline": moment(order.shipping_deadline, milliseconds=True),
        "shipping_pudo_id": None,
        "shipping_tracking": order.tracking.number,
        "shipping_tracking_url": order.tracking.url,
        "shipping_type_code": order.shipping_type,
        "shipping_type_label": {"STD": "Standard", "EXP": "Express"}[order.shipping_type],
        "shipping_zone_code": "UK",
        "shipping_zone_label": "United Kingdom",
    }


def _address(order: Order) -> dict[str, Any]:
    buyer = order.buyer
    return {
        "additional_info": buyer.more,
        "city": buyer.city,
        "company": buyer.company,
        "country": buyer.country,
        "country_iso_code": buyer.alpha_3,
        "lastname": buyer.last_name,
        "phone": buyer.phone,
        "phone_secondary": buyer.phone_secondary,
        "state": buyer.state,
        "street_1": buyer.street_1,
        "street_2": buyer.street_2 or "",
        "zip_code": buyer.zip_code,
        **({"firstname": buyer.address_first_name} if buyer.address_first_name else {}),  # missing, not null
    }


def _line(account: Account, order: Order, line: Line, tax_mode: str) -> dict[str, Any]:
    def shown(amount: int) -> Decimal:
        return number(amount, order.currency)

    taxes, shipping_taxes = sum(tax.amount for tax in line.taxes), sum(tax.amount for tax in line.shipping_taxes)
    without = tax_mode == "TAX_EXCLUDED"
    price, shipping = line.price - taxes * without, line.shipping_price - shipping_taxes * without
    named = happens(account.seed, 0.5, "product shop sku", line.id)
    return {
        "can_refund": line.state in ("SHIPPING", "SHIPPED", "RECEIVED"),
        "cancelations": [],
        "category_code": line.category,
        "category_label": line.category,
        "commission_fee": shown(line.commission),
        "commission_rate_vat": Decimal(line.commission_rate),
        "commission_taxes": [{"amount": shown(line.commission_tax), "code": "TAXDEFAULT", "rate": Decimal(line.commission_rate)}],
        "commission_vat": shown(line.commission_tax),
        "created_date": moment(line.created_at),
        "debited_date": moment(line.debited_at),
        "description": None,
        "fees": [],
        "last_updated_date": moment(line.updated_at, milliseconds=True),
        "offer_id": line.offer_id,
        "offer_sku": line.offer_sku,
        "offer_state_code": "11",
        "order_line_additional_fields": [],
        "order_line_id": line.id,
        "order_line_index": line.index,
        "order_line_state": line.state,
        "order_line_state_reason_code": line.reason,
        "order_line_state_reason_label": REASON_LABELS.get(line.reason or ""),
        "origin_unit_price": shown(line.unit_price if not without else round(price / line.quantity)),
        "price": shown(price),
        "price_additional_info": None,
        "price_unit": shown(line.unit_price if not without else round(price / line.quantity)),
        "product_medias": [{"media_url": f"/media/product/image/{line.product_sku}", "mime_type": None, "type": "SMALL"}],
        **({"product_shop_sku": line.offer_sku} if named else {}),
        "product_sku": line.product_sku,
        "product_title": line.title,
        "promotions": [],
        "quantity": line.quantity,
        "received_date": moment(line.received_at),
        "refunds": [],
        "shipped_date": moment(line.shipped_at),
        "shipping_price": shown(shipping),
        "shipping_price_additional_unit": None,
        "shipping_price_unit": None,
        "shipping_taxes": [_tax(order, tax) for tax in line.shipping_taxes],
        "taxes": [_tax(order, tax) for tax in line.taxes],
        "total_commission": shown(line.commission + line.commission_tax),
        "total_price": shown(price + shipping),
    }


def _tax(order: Order, tax: Tax) -> dict[str, Any]:
    return {"amount": number(tax.amount, order.currency), "code": tax.code, "rate": Decimal(tax.rate), "tax_calculation_rule": "NONE"}
