"""The shop itself, the app in it, and its bulk operations."""

from ops.sandbox.shopify.bodies.writing import Body, local
from ops.sandbox.shopify.state import SHOP_ID, Bulk, Shop, gid


def shop_body(shop: Shop) -> Body:
    return {
        "id": SHOP_ID,
        "name": shop.name,
        "email": "owner@example.com",
        "domain": shop.domain,
        "country": "GB",
        "country_code": "GB",
        "country_name": "United Kingdom",
        "created_at": local(shop.created_at),
        "updated_at": local(shop.created_at),
        "currency": shop.currency,
        "customer_email": "owner@example.com",
        "timezone": "(GMT+00:00) London",
        "iana_timezone": "Europe/London",
        "money_format": "£{{amount}}",
        "weight_unit": "kg",
        "taxes_included": shop.taxes_included,
        "plan_display_name": "Grow",
        "plan_name": "professional",
        "myshopify_domain": shop.domain,
        "multi_location_enabled": len(shop.locations) > 1,
        "primary_location_id": next(iter(shop.locations), None),
        "enabled_presentment_currencies": [shop.currency],
    }


def scopes_body(shop: Shop) -> Body:
    """Here the shop's id is a global one."""
    return {
        "id": 1,
        "shop_id": gid("Shop", SHOP_ID),
        "previous": list(shop.former_scopes),
        "current": list(shop.scopes),
        "updated_at": f"{shop.scopes_at or shop.created_at:%Y-%m-%dT%H:%M:%S}.000Z",
    }


def bulk_body(job: Bulk) -> Body:
    return {
        "admin_graphql_api_id": gid("BulkOperation", job.id),
        "completed_at": local(job.completed_at),
        "created_at": local(job.created_at),
        "error_code": job.error.lower() if job.error else None,
        "status": job.status.lower(),
        "type": job.type.lower(),
    }
