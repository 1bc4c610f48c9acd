"""The whole order, as every orders/ topic tells it, and what an edit tells."""

from ops.sandbox.money import rest_text
from ops.sandbox.shopify import totals
from ops.sandbox.shopify.bodies.lines import line_body, shipping_line_body
from ops.sandbox.shopify.bodies.parcels import fulfillment_body
from ops.sandbox.shopify.bodies.refunds import refund_body
from ops.sandbox.shopify.bodies.returns import return_body
from ops.sandbox.shopify.bodies.writing import Body, address, local, money_set, tax
from ops.sandbox.shopify.sales import NOTHING, Bag, Order
from ops.sandbox.shopify.state import USER_ID, WEB_STORE_ID, Shop, gid

REST_FULFILLMENT = {"UNFULFILLED": None, "PARTIALLY_FULFILLED": "partial", "FULFILLED": "fulfilled", "RESTOCKED": "restocked"}


def order_body(shop: Shop, order: Order) -> Body:
    def money(name: str, bag: Bag) -> Body:
        return {name: rest_text(bag.shop, order.currency), f"{name}_set": money_set(order, bag)}

    subtotal, shipping = totals.subtotal(order), totals.shipping(order)
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
        "closed_at": local(order.closed_at),
        "confirmation_number": None,
        "confirmed": True,
        "contact_email": order.email,
        "created_at": local(order.created_at),
        "currency": order.currency,
        "current_shipping_price_set": money_set(order, NOTHING if gone else shipping - totals.refunded_shipping(shop, order)),
        **money("current_subtotal_price", totals.current_subtotal(order)),
        **money("current_total_discounts", NOTHING if gone else totals.discounts(order)),
        **money("current_total_price", totals.current_total(shop, order)),
        **money("current_total_tax", totals.current_tax(shop, order)),
        "customer_locale": None,
        "device_id": None,
        "discount_codes": _codes(order),
        "duties_included": False,
        "email": order.email or "",
        "estimated_taxes": False,
        "financial_status": order.financial_status.lower(),
        "fulfillment_status": REST_FULFILLMENT[totals.fulfillment_status(order)],
        "current_total_additional_fees_set": None,
        "current_total_duties_set": None,
        "landing_site": None,
        "landing_site_ref": None,
        "location_id": None,
        "merchant_business_entity_id": None,
        "merchant_of_record_app_id": None,
        "name": order.name,
        "note": order.note,
        "note_attributes": [{"name": name, "value": value} for name, value in order.attributes],
        "number": order.number - 1000,
        "order_number": order.number,
        "original_total_additional_fees_set": None,
        "original_total_duties_set": None,
        "order_status_url": f"https://{shop.domain}/orders/{order.number}",
        "payment_gateway_names": sorted({paid.gateway for paid in order.transactions}),
        "phone": order.phone,
        "po_number": order.po_number,
        "presentment_currency": order.presentment_currency,
        "processed_at": local(order.processed_at),
        "reference": order.source_identifier if order.app_id == WEB_STORE_ID else None,
        "referring_site": None,
        "source_identifier": order.source_identifier if shop.switches.source_in_webhooks else None,
        "source_name": order.source_name,
        "source_url": None,
        **money("subtotal_price", subtotal),
        "tags": ", ".join(order.tags),
        "tax_exempt": False,
        "tax_lines": [tax(order, line) for line in totals.all_taxes(order)],
        "taxes_included": order.taxes_included,
        "test": order.test,
        "token": f"{order.id:032x}",
        **money("total_discounts", totals.discounts(order)),
        **money("total_line_items_price", totals.gross(order)),
        "total_cash_rounding_payment_adjustment_set": money_set(order, NOTHING),
        "total_cash_rounding_refund_adjustment_set": money_set(order, NOTHING),
        "total_outstanding": rest_text(totals.outstanding(shop, order).shop, order.currency),
        **money("total_price", totals.total(order)),
        "total_shipping_price_set": money_set(order, shipping),
        **money("total_tax", totals.tax(order)),
        "total_tip_received": rest_text(0, order.currency),
        "total_weight": 0,
        "updated_at": local(order.updated_at),
        "user_id": None,
        "billing_address": address(order.billing_address),
        "discount_applications": [],
        "fulfillments": [fulfillment_body(shop, shop.fulfillments[number]) for number in order.fulfillments],
        "line_items": [line_body(shop, order, line, line.quantity) for line in order.lines],
        "payment_terms": None,
        "refunds": [refund_body(shop, shop.refunds[number]) for number in order.refunds],
        "shipping_address": address(order.shipping_address),
        "shipping_lines": [shipping_line_body(order, line) for line in order.shipping_lines],
        "returns": [return_body(shop, shop.returns[number]) for number in order.returns],
        "line_item_groups": [],
        **_customer(shop, order),
    }


def _customer(shop: Shop, order: Order) -> Body:
    """Nothing at all for an order that has none."""
    known = shop.customers.get(order.customer_id or 0)
    return {"customer": {"id": known.id, "email": known.email, "phone": known.phone, "note": None, "tags": ""}} if known else {}


def _codes(order: Order) -> list[Body]:
    if order.discount_code is None:
        return []
    return [{"code": order.discount_code, "amount": rest_text(totals.discounts(order).shop, order.currency), "type": "fixed_amount"}]


def edit_body(shop: Shop, order: Order, edit: int, changes: tuple[int, ...]) -> Body:
    """Differences only. `changes`: how many additions, 0, then line and difference of each addition and each removal."""
    added, _, *flat = changes
    pairs = [{"id": line, "delta": delta} for line, delta in zip(flat[::2], flat[1::2], strict=True)]
    nothing: dict[str, list[Body]] = {"additions": [], "removals": []}
    return {
        "order_edit": {
            "id": edit,
            "app_id": None,
            "created_at": local(order.updated_at),
            "committed_at": local(order.updated_at),
            "notify_customer": False,
            "order_id": order.id,
            "staff_note": "",
            "user_id": USER_ID,
            "line_items": {"additions": pairs[:added], "removals": pairs[added:]},
            "discounts": {"line_item": nothing},
            "shipping_lines": nothing,
        }
    }
