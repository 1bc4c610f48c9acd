"""Orders as the JSON that is answered.

As at Mirakl's, keys that the contract requires may be null, dates come with and without milliseconds, whole numbers stand among decimals.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ops.sandbox.chance import happens
from ops.sandbox.mirakl import cancelations, refunds
from ops.sandbox.mirakl.amounts import is_paid_back, paid_back, tax_of
from ops.sandbox.mirakl.amounts import shown as in_mode
from ops.sandbox.mirakl.registry import INVOICE, REASONS, SHIPPING_TYPES
from ops.sandbox.mirakl.sale import Cancelation, Line, Order, Part, Promotion, Refund, Tax
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import number

SUMMED = ("price", "shipping_price", "total_price", "total_commission")  # over lines, the dead ones too
REASON_LABELS = {code: label for code, label, *_ in REASONS} | {
    "REFUSED": "Rejected",
    "ACCEPTANCE_TIMEOUT": "Automatically rejected",
    "DEBIT_REFUSED": "Debit refused",
    "CANCELED": "Canceled",
}
Shown = Callable[[int], Decimal]


def moment(at: datetime | None, *, milliseconds: bool = False) -> str | None:
    """ISO 8601 in UTC."""
    if at is None:
        return None
    text = at.isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return text.replace("+00:00", "Z")


def order(account: Account, order: Order, tax_mode: str) -> dict[str, Any]:
    switches = account.switches
    lines = [_line(account, order, line, tax_mode) for line in order.lines]
    address = shipping_address(order) if switches.addresses_before_acceptance or order.shipping_at is not None else None
    buyer, alive = order.buyer, order.alive
    return {
        "acceptance_decision_date": moment(order.accepted_at),
        "can_cancel": cancelations.can_cancel(order),
        "can_shop_ship": order.state == "SHIPPING" and order.ours,
        "channel": order.channel and {"code": order.channel, "label": order.channel.title()},
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
        "fulfillment": {"center": {"code": order.centre}},
        "fully_refunded": bool(alive) and any(line.refunds for line in alive) and all(paid_back(line) >= line.total for line in alive),
        "has_customer_message": order.customer_wrote,
        "has_incident": any(line.incident for line in order.lines),
        "has_invoice": any(account.documents[known].type == INVOICE for known in order.documents),
        "last_updated_date": moment(order.updated_at, milliseconds=True),
        "leadtime_to_ship": 2,
        "order_additional_fields": _fields(order.fields),
        "order_id": order.id,
        "order_lines": lines,
        "order_refunds": _order_refunds(order) if switches.order_level_taxes else None,
        "order_state": order.state,
        "order_state_reason_code": order.reason,
        "order_state_reason_label": REASON_LABELS.get(order.reason or ""),
        "order_tax_mode": tax_mode,
        "order_taxes": _sums(order, (tax for line in alive for tax in [*line.taxes, *line.shipping_taxes]))
        if switches.order_level_taxes
        else None,
        "paymentType": None,
        "payment_type": None,
        "payment_workflow": order.workflow,
        **({"payment_duration": switches.payment_days} if order.workflow == "PAY_ON_DUE_DATE" else {}),
        **{name: sum((line[name] for line in lines), Decimal(0)) for name in SUMMED},
        "promotions": {
            "applied_promotions": [_promotion(order, promotion) for line in order.lines for promotion in line.promotions],
            "total_deduced_amount": number(sum(one.deduced for line in order.lines for one in line.promotions), order.currency),
        },
        "quote_id": None,
        "references": {"order_reference_for_customer": order.customer_reference, "order_reference_for_seller": order.seller_reference},
        "shipping_carrier_code": order.tracking.carrier_code,
        "shipping_carrier_standard_code": order.tracking.carrier_standard_code,
        "shipping_company": order.tracking.carrier_name,
        "shipping_deadline": moment(order.shipping_deadline, milliseconds=True),
        "shipping_pudo_id": f"PUDO-{order.number % 97}" if order.shipping_type == "PUP" else None,
        "shipping_tracking": order.tracking.number,
        "shipping_tracking_url": order.tracking.url,
        "shipping_type_code": order.shipping_type,
        "shipping_type_label": SHIPPING_TYPES[order.shipping_type],
        "shipping_zone_code": "UK",
        "shipping_zone_label": "United Kingdom",
        **({"transaction_date": moment(order.debited_at), "transaction_number": order.transaction} if order.transaction else {}),
    }


def shipping_address(order: Order) -> dict[str, Any]:
    buyer = order.buyer
    return {
        "additional_info": buyer.more,
        "city": buyer.city,
        "civility": None,
        "company": buyer.company,
        "company_2": None,
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


def line_state(account: Account, line: Line) -> str:
    """As it is shown: an open incident and a full refund stand before how far it has come."""
    if line.incident:
        return "INCIDENT_OPEN"
    if account.switches.refunded_lines and line.alive and is_paid_back(line, settled=True):
        return "REFUNDED"
    return line.state


def _line(account: Account, order: Order, line: Line, tax_mode: str) -> dict[str, Any]:
    def shown(amount: int) -> Decimal:
        return number(amount, order.currency)

    without = tax_mode == "TAX_EXCLUDED"
    price = in_mode(line.price, line.taxes, tax_mode)
    shipping = in_mode(line.shipping_price, line.shipping_taxes, tax_mode)
    fees = sum(fee.amount for fee in line.fees)
    campaign = next((promotion.campaign for promotion in line.promotions if promotion.campaign), None)
    named = happens(account.seed, 0.5, "product shop sku", line.id)
    state = line_state(account, line)
    return {
        "can_refund": not line.refunds and line.total > 0 and refunds.is_refundable(account, order, line),
        "cancelations": [cancelation(account, order, one, tax_mode) for one in line.cancelations],
        "category_code": line.category,
        "category_label": line.category,
        "commission_fee": shown(line.commission),
        "commission_rate_vat": Decimal(line.commission_rate),
        "commission_taxes": [{"amount": shown(line.commission_tax), "code": "TAXDEFAULT", "rate": Decimal(line.commission_rate)}],
        "commission_vat": shown(line.commission_tax),
        "created_date": moment(line.created_at),
        "debited_date": moment(line.debited_at),
        "description": None,
        **({"discount_campaign": {"identifier": campaign}} if campaign else {}),
        "fees": [{"amount": shown(fee.amount), "code": fee.code} for fee in line.fees],
        "last_updated_date": moment(line.updated_at, milliseconds=True),
        "offer_id": line.offer_id,
        "offer_sku": line.offer_sku,
        "offer_state_code": "11",
        "order_line_additional_fields": _fields(line.fields),
        "order_line_id": line.id,
        "order_line_index": line.index,
        "order_line_state": state,
        "order_line_state_reason_code": line.incident.reason if line.incident else line.reason,
        "order_line_state_reason_label": REASON_LABELS.get((line.incident.reason if line.incident else line.reason) or ""),
        "origin_unit_price": shown(line.origin_unit_price - line.unit_tax * without),
        "price": shown(price),
        "price_additional_info": None,
        **_breakdown(account, order, "price_amount_breakdown", line.price, line.taxes, tax_mode=tax_mode),
        "price_unit": shown(line.unit_price - line.unit_tax * without),
        "product_medias": [{"media_url": f"/media/product/image/{line.product_sku}", "mime_type": None, "type": "SMALL"}],
        **({"product_shop_sku": line.offer_sku} if named else {}),
        "product_sku": line.product_sku,
        "product_title": line.title,
        "promotions": [_promotion(order, promotion) for promotion in line.promotions],
        "quantity": line.quantity,
        "received_date": moment(line.received_at),
        "refunds": [refund(account, order, one, tax_mode) for one in line.refunds],
        "shipped_date": moment(line.shipped_at),
        "shipping_price": shown(shipping),
        "shipping_price_additional_unit": None,
        **_breakdown(account, order, "shipping_price_amount_breakdown", line.shipping_price, line.shipping_taxes, tax_mode=tax_mode),
        "shipping_price_unit": None,
        "shipping_taxes": taxes(account, order, line.shipping_taxes, rules=True),
        "taxes": taxes(account, order, line.taxes, rules=True),
        "total_commission": shown(line.commission + line.commission_tax),
        "total_price": shown(price + shipping + fees),
    }


# --------------------------------------------------------------------------------------------------------- parts of a line


def taxes(account: Account, order: Order, listed: Iterable[Tax], *, rules: bool = False) -> list[dict[str, Any]]:
    remitted = account.switches.taxes_remitted_by_operator

    def shown(tax: Tax) -> dict[str, Any]:
        amount = number(tax.amount, order.currency)
        return {
            "amount": amount,
            **(
                {"amount_breakdown": {"parts": [part(amount, payable=not remitted)]}}
                if remitted or account.switches.amount_breakdowns
                else {}
            ),
            "code": tax.code,
            "rate": Decimal(tax.rate),
            **({"tax_calculation_rule": tax.rule} if rules else {}),
        }

    return [shown(tax) for tax in listed]


def part(amount: Decimal, *, payable: bool = True) -> dict[str, Any]:
    return {"amount": amount, "commissionable": payable, "debitable_from_customer": True, "payable_to_shop": payable}


def _breakdown(account: Account, order: Order, name: str, amount: int, of_it: list[Tax], *, tax_mode: str) -> dict[str, Any]:
    """Tax included, what is tax is a part of its own: somebody else may be owed it."""
    if not account.switches.amount_breakdowns:
        return {}
    tax = tax_of(of_it)
    parts = [part(number(amount - tax, order.currency))]
    if tax_mode == "TAX_INCLUDED" and tax:
        parts.append(part(number(tax, order.currency), payable=not account.switches.taxes_remitted_by_operator))
    return {name: {"parts": parts}}


def _given(account: Account, order: Order, given: Part, tax_mode: str) -> dict[str, Any]:
    """What a refund and a cancelation tell alike."""

    def shown(amount: int) -> Decimal:
        return number(amount, order.currency)

    return {
        "amount": shown(in_mode(given.amount, given.taxes, tax_mode)),
        **_breakdown(account, order, "amount_breakdown", given.amount, given.taxes, tax_mode=tax_mode),
        "commission_amount": shown(given.commission),
        "commission_taxes": [{"amount": shown(given.commission_tax), "code": "TAXDEFAULT"}],
        "commission_total_amount": shown(given.commission + given.commission_tax),
        "created_date": moment(given.created_at),
        "fees": [{"amount": shown(fee.amount), "code": fee.code} for fee in given.fees],
        "id": given.id,
        "quantity": given.quantity,
        "reason_code": given.reason,
        "shipping_amount": shown(in_mode(given.shipping_amount, given.shipping_taxes, tax_mode)),
        **_breakdown(account, order, "shipping_amount_breakdown", given.shipping_amount, given.shipping_taxes, tax_mode=tax_mode),
        "shipping_taxes": taxes(account, order, given.shipping_taxes),
        "taxes": taxes(account, order, given.taxes),
    }


def cancelation(account: Account, order: Order, given: Cancelation, tax_mode: str) -> dict[str, Any]:
    return _given(account, order, given, tax_mode)


def refund(account: Account, order: Order, given: Refund, tax_mode: str) -> dict[str, Any]:
    return _given(account, order, given, tax_mode) | {
        "commission_tax_amount": number(given.commission_tax, order.currency),
        "order_refund_id": given.group,
        **({"quantity": None} if not given.quantity and given.origin == "operator" else {}),
        "refund_state": given.state,
        "state": given.state,
        **({"transaction_date": moment(given.paid_at), "transaction_number": given.transaction} if given.paid_at else {}),
    }


def _promotion(order: Order, promotion: Promotion) -> dict[str, Any]:
    value = Decimal(promotion.value)
    amounts = promotion.kind in ("AMOUNT_OFF", "REDUCED_UNIT_PRICE")
    name = {"AMOUNT_OFF": "amount_off", "PERCENTAGE_OFF": "percentage_off", "FREE_ITEMS": "free_items_quantity"}
    return {
        "apportioned": promotion.apportioned,
        **({"campaign": {"identifier": promotion.campaign}} if promotion.campaign else {}),
        "configuration": {
            name.get(promotion.kind, "reduced_unit_price"): number(int(value), order.currency) if amounts else int(value),
            "internal_description": f"Promotion {promotion.id}",
            "type": promotion.kind,
        },
        "deduced_amount": number(promotion.deduced, order.currency),
        "id": promotion.id,
        **({"offered_quantity": int(value)} if promotion.kind == "FREE_ITEMS" else {}),
        **({"promo_code": promotion.code} if promotion.code else {}),
    }


def _fields(fields: dict[str, tuple[str, object]]) -> list[dict[str, Any]]:
    return [{"code": code, "type": kind, "value": value} for code, (kind, value) in fields.items()]


def _sums(order: Order, listed: Iterable[Tax]) -> list[dict[str, Any]]:
    """Taxes by code and rate."""
    sums: dict[tuple[str, str], int] = {}
    for tax in listed:
        sums[tax.code, tax.rate] = sums.get((tax.code, tax.rate), 0) + tax.amount
    return [{"code": code, "rate": Decimal(rate), "total_amount": number(amount, order.currency)} for (code, rate), amount in sums.items()]


def _order_refunds(order: Order) -> list[dict[str, Any]]:
    groups: dict[str, list[Tax]] = {}
    for line in order.lines:
        for refund in line.refunds:
            groups.setdefault(refund.group, []).extend([*refund.taxes, *refund.shipping_taxes])
    return [{"order_refund_id": group, "taxes": _sums(order, listed)} for group, listed in groups.items()]
