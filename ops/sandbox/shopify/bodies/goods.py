"""Levels, items, variants, products, locations."""

from ops.sandbox.money import rest_text
from ops.sandbox.shopify.bodies.writing import Body, local
from ops.sandbox.shopify.goods import Item, Level, Location, Product, Variant
from ops.sandbox.shopify.state import Shop, gid


def level_body(level: Level, *, tracked: bool) -> Body:
    """What is not counted has no quantity."""
    return {
        "inventory_item_id": level.item_id,
        "location_id": level.location_id,
        "available": level.available if tracked else None,
        "updated_at": local(level.updated_at),
        "admin_graphql_api_id": f"{gid('InventoryLevel', level.id)}?inventory_item_id={level.item_id}",
    }


def item_body(item: Item) -> Body:
    return {
        "id": item.id,
        "sku": item.sku or "",
        "created_at": local(item.created_at),
        "updated_at": local(item.updated_at),
        "requires_shipping": item.requires_shipping,
        "cost": None,
        "country_code_of_origin": None,
        "province_code_of_origin": None,
        "harmonized_system_code": None,
        "tracked": item.tracked,
        "country_harmonized_system_codes": [],
        "weight_value": 0.0,
        "weight_unit": "kg",
        "admin_graphql_api_id": gid("InventoryItem", item.id),
    }


def variant_body(shop: Shop, variant: Variant) -> Body:
    units = sum(level.available for level in shop.levels[variant.item_id].values())
    return {
        "id": variant.id,
        "product_id": variant.product_id,
        "title": variant.title,
        "price": rest_text(variant.price, shop.currency),
        "position": shop.products[variant.product_id].variants.index(variant.id) + 1,
        "inventory_policy": variant.policy.lower(),
        "compare_at_price": None,
        "option1": variant.title,
        "option2": None,
        "option3": None,
        "created_at": local(variant.created_at),
        "updated_at": local(variant.updated_at),
        "taxable": variant.taxable,
        "barcode": variant.barcode,
        "sku": variant.sku,
        "inventory_item_id": variant.item_id,
        "inventory_quantity": units,
        "old_inventory_quantity": units,
        "admin_graphql_api_id": gid("ProductVariant", variant.id),
        "image_id": None,
    }


def product_body(shop: Shop, product: Product) -> Body:
    variants = [shop.variants[number] for number in product.variants]
    return {
        "admin_graphql_api_id": gid("Product", product.id),
        "body_html": None,
        "created_at": local(product.created_at),
        "handle": product.handle,
        "id": product.id,
        "product_type": "",
        "published_at": local(product.created_at) if product.status == "ACTIVE" else None,
        "template_suffix": None,
        "title": product.title,
        "updated_at": local(product.updated_at),
        "vendor": product.vendor,
        "status": product.status.lower(),
        "published_scope": "global",
        "tags": "",
        "variants": [variant_body(shop, variant) for variant in variants[:100]],
        "options": [],
        "images": [],
        "image": None,
        "media": [],
        "variant_gids": [
            {"admin_graphql_api_id": gid("ProductVariant", variant.id), "updated_at": f"{variant.updated_at:%Y-%m-%dT%H:%M:%S}.000Z"}
            for variant in variants
        ],
        "has_variants_that_requires_components": False,
        "category": None,
    }


def location_body(location: Location) -> Body:
    nowhere = dict.fromkeys(("address1", "address2", "province", "phone", "province_code"))
    return {
        "id": location.id,
        "name": location.name,
        **nowhere,
        "city": location.city,
        "zip": location.zip,
        "country": "GB",
        "created_at": local(location.updated_at),
        "updated_at": local(location.updated_at),
        "country_code": "GB",
        "country_name": "United Kingdom",
        "legacy": location.service is not None,
        "active": location.active,
        "admin_graphql_api_id": gid("Location", location.id),
    }
