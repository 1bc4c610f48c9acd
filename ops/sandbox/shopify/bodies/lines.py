"""Lines of an order, as bodies of orders, fulfilments and refunds show them."""

from ops.sandbox.money import rest_text
from ops.sandbox.shopify.bodies.writing import Body, money_set, tax
from ops.sandbox.shopify.sales import Line, Order, ShippingLine
from ops.sandbox.shopify.state import Shop, gid


def line_body(shop: Shop, order: Order, line: Line, quantity: int) -> Body:
    whole = line.fulfilled == line.quantity - line.cancelled
    shipped = None if not line.fulfilled else "fulfilled" if whole else "partial"
    is_there = line.variant_id in shop.variants
    off = [{"amount": rest_text(line.discount.shop, order.currency), "amount_set": money_set(order, line.discount)}]
    return {
        "id": line.id,
        "admin_graphql_api_id": gid("LineItem", line.id),
        "attributed_staffs": [],
        "current_quantity": line.current,
        "fulfillable_quantity": line.unfulfilled,
        "fulfillment_service": "manual",
        "fulfillment_status": shipped,
        "gift_card": False,
        "grams": 0,
        "name": f"{line.title} - {line.variant_title}" if line.variant_title else line.title,
        "price": rest_text(line.price.shop, order.currency),
        "price_set": money_set(order, line.price),
        "product_exists": line.product_id in shop.products,
        "product_id": line.product_id if line.product_id in shop.products else None,
        "properties": [{"name": name, "value": value} for name, value in line.properties],
        "quantity": quantity,
        "requires_shipping": line.requires_shipping,
        "sales_line_item_group_id": None,
        "sku": line.sku,
        "taxable": line.taxable,
        "title": line.title,
        "total_discount": rest_text(line.discount.shop, order.currency),
        "total_discount_set": money_set(order, line.discount),
        "variant_id": line.variant_id if is_there else None,
        "variant_inventory_management": "shopify" if is_there else None,
        "variant_title": line.variant_title,
        "vendor": line.vendor,
        "tax_lines": [tax(order, one) for one in line.taxes],
        "duties": [],
        "discount_allocations": [one | {"discount_application_index": 0} for one in off] if line.discount.shop else [],
    }


def shipping_line_body(order: Order, line: ShippingLine) -> Body:
    price = rest_text(line.price.shop, order.currency)
    return {
        "id": line.id,
        "carrier_identifier": None,
        "code": line.code,
        "current_discounted_price_set": money_set(order, line.price),
        "discounted_price": price,
        "discounted_price_set": money_set(order, line.price),
        "is_removed": False,
        "phone": None,
        "price": price,
        "price_set": money_set(order, line.price),
        "requested_fulfillment_service_id": None,
        "source": line.source,
        "title": line.title,
        "tax_lines": [tax(order, one) for one in line.taxes],
        "discount_allocations": [],
    }
