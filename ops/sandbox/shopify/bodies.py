"""What stands in a webhook: bodies of the older, REST-shaped kind, with numbers for ids and texts for money."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.sandbox.money import rest_text
from ops.sandbox.shopify import totals
from ops.sandbox.shopify.state import (
    NOTHING,
    WEB_STORE_ID,
    Bag,
    Fulfillment,
    Level,
    Line,
    Order,
    ShippingLine,
    Shop,
    TaxLine,
    gid,
)

Body = dict[str, Any]
REST_FULFILLMENT = {"UNFULFILLED": None, "PARTIALLY_FULFILLED": "partial", "FULFILLED": "fulfilled"}
COUNTRIES = {"GB": "United Kingdom", "IE": "Ireland", "FR": "France", "DE": "Germany", "PL": "Poland", "US": "United States"}


def local(at: datetime | None) -> str | None:
    """Whole seconds in the shop's own time, London: an hour ahead of UTC between the last Sundays of March and October."""
    if at is None:
        return None
    summer = _last_sunday(at.year, 3) <= at < _last_sunday(at.year, 10)
    shown = at.replace(microsecond=0, tzinfo=None) + timedelta(hours=summer)
    return f"{shown.isoformat()}{'+01:00' if summer else '+00:00'}"


def _last_sunday(year: int, month: int) -> datetime:
    end = datetime(year, month, 31, 1, tzinfo=UTC)
    return end - timedelta(days=(end.weekday() + 1) % 7)


def written(body: Mapping[str, Any], fields: list[str]) -> str:
    """The text that is signed: compact, its slashes escaped, so that whoever serialises it again gets another signature."""
    shown = {name: body[name] for name in body if not fields or name in fields}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")


def order_body(shop: Shop, order: Order) -> Body:
    def money(name: str, bag: Bag) -> Body:
        return {name: rest_text(bag.shop, order.currency), f"{name}_set": _set(order, bag)}

    subtotal, total, tax, shipping = totals.subtotal(order), totals.total(order), totals.tax(order), totals.shipping(order)
    gone = order.cancelled_at is not None
    return {
        "id": order.id,
        "admin_graphql_api_id": gid("Order", order.id),
        "app_id": order.app_id,
        "browser_ip": None,
        "buyer_accepts_marketing": False,
        "cancel_reason": (order.cancel_reason or "").lower() or None if gone else None,
        "cancelled_at": local(order.cancelled_at),
        "cart_token": None,
        "checkout_token": None,
        "client_details": None,
        "closed_at": None,
        "confirmation_number": None,
        "confirmed": True,
        "contact_email": order.email,
        "created_at": local(order.created_at),
        "currency": order.currency,
        "current_shipping_price_set": _set(order, NOTHING if gone else shipping),
        **money("current_subtotal_price", totals.current_subtotal(order)),
        **money("current_total_discounts", NOTHING),
        **money("current_total_price", totals.current_total(order)),
        **money("current_total_tax", NOTHING if gone else tax),
        "customer_locale": None,
        "device_id": None,
        "discount_codes": [],
        "duties_included": False,
        "email": order.email or "",
        "estimated_taxes": False,
        "financial_status": order.financial_status.lower(),
        "fulfillment_status": REST_FULFILLMENT[totals.fulfillment_status(order)],
        "landing_site": None,
        "location_id": None,
        "merchant_of_record_app_id": None,
        "name": order.name,
        "note": order.note,
        "note_attributes": [{"name": name, "value": value} for name, value in order.attributes],
        "number": order.number - 1000,
        "order_number": order.number,
        "order_status_url": f"https://{shop.domain}/orders/{order.number}",
        "payment_gateway_names": sorted({paid.gateway for paid in order.transactions}),
        "phone": order.phone,
        "po_number": order.po_number,
        "presentment_currency": order.presentment_currency,
        "processed_at": local(order.processed_at),
        "reference": order.source_identifier if order.app_id == WEB_STORE_ID else None,
        "referring_site": None,
        "source_identifier": order.source_identifier,
        "source_name": order.source_name,
        "source_url": None,
        **money("subtotal_price", subtotal),
        "tags": ", ".join(order.tags),
        "tax_exempt": False,
        "tax_lines": [_tax(order, line) for line in totals.all_taxes(order)],
        "taxes_included": order.taxes_included,
        "test": order.test,
        "token": f"{order.id:032x}",
        **money("total_discounts", NOTHING),
        **money("total_line_items_price", subtotal),
        "total_outstanding": rest_text(totals.outstanding(order).shop, order.currency),
        **money("total_price", total),
        "total_shipping_price_set": _set(order, shipping),
        **money("total_tax", tax),
        "total_tip_received": rest_text(0, order.currency),
        "total_weight": 0,
        "updated_at": local(order.updated_at),
        "user_id": None,
        "billing_address": _address(order.billing_address),
        "discount_applications": [],
        "fulfillments": [fulfillment_body(shop, shop.fulfillments[number]) for number in order.fulfillments],
        "line_items": [_line(shop, order, line, line.quantity) for line in order.lines],
        "payment_terms": None,
        "refunds": [],
        "shipping_address": _address(order.shipping_address),
        "shipping_lines": [_shipping_line(order, line) for line in order.shipping_lines],
        "returns": [],
        "line_item_groups": [],
    }


def _set(order: Order, bag: Bag) -> Body:
    return {
        "shop_money": {"amount": rest_text(bag.shop, order.currency), "currency_code": order.currency},
        "presentment_money": {
            "amount": rest_text(bag.presentment, order.presentment_currency),
            "currency_code": order.presentment_currency,
        },
    }


def _tax(order: Order, tax: TaxLine) -> Body:
    return {
        "title": tax.title,
        "price": rest_text(tax.amount.shop, order.currency),
        "rate": float(tax.rate),
        "channel_liable": tax.channel_liable,
        "price_set": _set(order, tax.amount),
    }


def _line(shop: Shop, order: Order, line: Line, quantity: int) -> Body:
    shipped = {0: None, line.quantity: "fulfilled"}.get(line.fulfilled, "partial")
    return {
        "id": line.id,
        "admin_graphql_api_id": gid("LineItem", line.id),
        "attributed_staffs": [],
        "current_quantity": line.quantity - line.cancelled,
        "fulfillable_quantity": line.unfulfilled,
        "fulfillment_service": "manual",
        "fulfillment_status": shipped,
        "gift_card": False,
        "grams": 0,
        "name": line.title,
        "price": rest_text(line.price.shop, order.currency),
        "price_set": _set(order, line.price),
        "product_exists": line.variant_id in shop.variants,
        "product_id": line.product_id,
        "properties": [{"name": name, "value": value} for name, value in line.properties],
        "quantity": quantity,
        "requires_shipping": line.requires_shipping,
        "sales_line_item_group_id": None,
        "sku": line.sku,
        "taxable": line.taxable,
        "title": line.title,
        "total_discount": rest_text(0, order.currency),
        "total_discount_set": _set(order, NOTHING),
        "variant_id": line.variant_id,
        "variant_inventory_management": "shopify",
        "variant_title": None,
        "vendor": line.vendor,
        "tax_lines": [_tax(order, tax) for tax in line.taxes],
        "duties": [],
        "discount_allocations": [],
    }


def _shipping_line(order: Order, line: ShippingLine) -> Body:
    price = rest_text(line.price.shop, order.currency)
    return {
        "id": line.id,
        "carrier_identifier": None,
        "code": line.code,
        "current_discounted_price_set": _set(order, line.price),
        "discounted_price": price,
        "discounted_price_set": _set(order, line.price),
        "is_removed": False,
        "phone": None,
        "price": price,
        "price_set": _set(order, line.price),
        "requested_fulfillment_service_id": None,
        "source": line.source,
        "title": line.title,
        "tax_lines": [_tax(order, tax) for tax in line.taxes],
        "discount_allocations": [],
    }


def _address(address: Mapping[str, str | None] | None) -> Body | None:
    if address is None:
        return None
    first, last, code = address.get("firstName"), address.get("lastName"), address.get("countryCode")
    return {
        "first_name": first,
        "address1": address.get("address1"),
        "phone": address.get("phone"),
        "city": address.get("city"),
        "zip": address.get("zip"),
        "province": address.get("province"),
        "country": address.get("country") or COUNTRIES.get(code or "", code),
        "last_name": last,
        "address2": address.get("address2"),
        "company": address.get("company"),
        "latitude": None,
        "longitude": None,
        "name": " ".join(part for part in (first, last) if part),
        "country_code": code,
        "province_code": address.get("provinceCode"),
    }


def fulfillment_body(shop: Shop, fulfillment: Fulfillment) -> Body:
    order = shop.orders[fulfillment.order_id]
    lines = {line.id: line for line in order.lines}
    return {
        "id": fulfillment.id,
        "admin_graphql_api_id": gid("Fulfillment", fulfillment.id),
        "order_id": order.id,
        "status": fulfillment.status.lower(),
        "created_at": local(fulfillment.created_at),
        "service": "manual",
        "updated_at": local(fulfillment.updated_at),
        "tracking_company": fulfillment.company,
        "shipment_status": None,
        "location_id": fulfillment.location_id,
        "origin_address": None,
        "email": order.email or "",
        "destination": _address(order.shipping_address),
        "line_items": [_line(shop, order, lines[shipped.line_id], shipped.quantity) for shipped in fulfillment.lines],
        "tracking_number": fulfillment.numbers[0] if fulfillment.numbers else None,
        "tracking_numbers": list(fulfillment.numbers),
        "tracking_url": fulfillment.urls[0] if fulfillment.urls else None,
        "tracking_urls": list(fulfillment.urls),
        "receipt": {},
        "name": fulfillment.name,
    }


def level_body(level: Level) -> Body:
    return {
        "inventory_item_id": level.item_id,
        "location_id": level.location_id,
        "available": level.available,
        "updated_at": local(level.updated_at),
        "admin_graphql_api_id": f"{gid('InventoryLevel', level.id)}?inventory_item_id={level.item_id}",
    }


def body_of(shop: Shop, topic: str, subject: tuple[int, ...]) -> Body:
    """What a webhook of that topic says about its subject as things stand."""
    match topic.partition("/")[0], subject:
        case "orders", (order,):
            return order_body(shop, shop.orders[order])
        case "fulfillments", (fulfillment,):
            return fulfillment_body(shop, shop.fulfillments[fulfillment])
        case "inventory_levels", (item, location):
            return level_body(shop.levels[item][location])
        case "fulfillment_orders", (order,):
            is_ = shop.fulfillment_orders[order]
            return {"fulfillment_order": {"id": gid("FulfillmentOrder", is_.id), "status": is_.status.lower()}}
    raise ValueError(f"nothing tells what {topic} says")
