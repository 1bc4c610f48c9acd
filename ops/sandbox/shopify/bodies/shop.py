"""The shop itself, the app in it, and its bulk operations."""

from ops.sandbox.shopify.bodies.writing import Body, local
from ops.sandbox.shopify.state import SHOP_ID, Bulk, Shop, gid

# What else Shopify tells of a shop; here nobody has filled it in.
LEFT_OUT = (
    "province address1 address2 zip city source phone latitude longitude province_code auto_configure_tax_inclusivity county_taxes "
    "google_apps_domain google_apps_login_enabled password_enabled"
)


def shop_body(shop: Shop) -> Body:
    return {
        **dict.fromkeys(LEFT_OUT.split()),
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
        "primary_locale": "en",
        "shop_owner": "Owner",
        "money_format": "£{{amount}}",
        "money_with_currency_format": "£{{amount}} GBP",
        "money_in_emails_format": "£{{amount}}",
        "money_with_currency_in_emails_format": "£{{amount}} GBP",
        "tax_shipping": True,
        "has_discounts": False,
        "has_gift_cards": False,
        "eligible_for_payments": True,
        "requires_extra_payments_agreement": False,
        "has_storefront": True,
        "finances": True,
        "checkout_api_supported": True,
        "setup_required": False,
        "pre_launch_enabled": False,
        "marketing_sms_consent_enabled_at_checkout": False,
        "transactional_sms_disabled": False,
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
