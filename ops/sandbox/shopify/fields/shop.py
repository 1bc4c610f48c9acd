"""The shop itself, what the app may do, metafield definitions, webhook subscriptions."""

from typing import Any

from ops.sandbox.shopify import metafields
from ops.sandbox.shopify.connections import page
from ops.sandbox.shopify.fields.table import QUANTITIES, Call, fields, plain, version, when
from ops.sandbox.shopify.state import (
    APP_ID,
    SUPPORTED_VERSIONS,
    VERSION,
    Definition,
    Problem,
    gid,
)

SCOPES = (
    "read_orders write_orders read_all_orders read_customers write_customers read_merchant_managed_fulfillment_orders "
    "write_merchant_managed_fulfillment_orders read_assigned_fulfillment_orders write_assigned_fulfillment_orders "
    "read_third_party_fulfillment_orders write_third_party_fulfillment_orders read_fulfillments write_fulfillments read_returns "
    "write_returns read_inventory write_inventory read_locations read_products write_order_edits"
)

plain(
    "Shop",
    id=lambda shop: gid("Shop", APP_ID + 1),
    name=lambda shop: shop.name,
    email=lambda shop: "owner@example.com",
    contactEmail=lambda shop: "owner@example.com",
    url=lambda shop: f"https://{shop.domain}",
    myshopifyDomain=lambda shop: shop.domain,
    currencyCode=lambda shop: shop.currency,
    enabledPresentmentCurrencies=lambda shop: [shop.currency],
    ianaTimezone=lambda shop: "Europe/London",
    taxesIncluded=lambda shop: shop.taxes_included,
    taxShipping=lambda shop: True,
    createdAt=lambda shop: when(shop.created_at),
    plan=lambda shop: {
        "displayName": "Grow",
        "publicDisplayName": "Grow",
        "partnerDevelopment": shop.switches.orders_per_minute is not None,
        "shopifyPlus": False,
    },
)
plain(
    "QueryRoot",
    currentAppInstallation=lambda _: {
        "id": gid("AppInstallation", APP_ID + 2),
        "app": {"id": gid("App", APP_ID), "handle": "crossdock", "title": "Crossdock", "webhookApiVersion": VERSION},
        "accessScopes": [{"handle": scope, "description": scope.replace("_", " ")} for scope in SCOPES.split()],
    },
    publicApiVersions=lambda _: [version(handle) for handle in SUPPORTED_VERSIONS],
    inventoryProperties=lambda _: {
        "quantityNames": [
            {"name": name, "displayName": name.replace("_", " ").title(), "isInUse": True, "belongsTo": above, "comprises": below}
            for name, (above, below) in QUANTITIES.items()
        ]
    },
)
fields(
    "QueryRoot",
    shop=lambda _, call, asked: call.shop,
)


def _definition(definition: Definition | None) -> dict[str, Any] | None:
    if definition is None:
        return None
    return {
        "id": gid("MetafieldDefinition", definition.id),
        "namespace": definition.namespace,
        "key": definition.key,
        "name": definition.name,
        "ownerType": definition.owner_type,
        "type": {"name": definition.type},
        "access": {"admin": definition.admin_access},
        "capabilities": {
            "uniqueValues": {"enabled": definition.unique, "eligible": True},
            "adminFilterable": {
                "enabled": definition.filterable,
                "eligible": True,
                "status": "FILTERABLE" if definition.filterable else "NOT_FILTERABLE",
            },
        },
    }


def _define(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    number, problems = call.attempt("metafieldDefinitionCreate", wanted=asked["definition"])
    return {"createdDefinition": _definition(call.shop.definitions[number]) if number else None, "userErrors": problems}


def _definitions(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    namespace = metafields.namespace_of(asked["namespace"]) if asked.get("namespace") else None
    return page(
        {
            number: _definition(known)
            for number, known in call.shop.definitions.items()
            if known.owner_type == asked["ownerType"] and namespace in (None, known.namespace) and asked.get("key") in (None, known.key)
        },
        asked,
    )


fields(
    "Mutation",
    metafieldDefinitionCreate=_define,
)
fields(
    "QueryRoot",
    metafieldDefinitions=_definitions,
)


def _subscriptions(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    topics, uri = asked.get("topics"), asked.get("uri") or asked.get("callbackUrl")
    return page(call.shop.subscriptions, asked, lambda known: (not topics or known.topic in topics) and uri in (None, known.uri))


def _subscription(call: Call, number: int | None, problems: list[Problem]) -> dict[str, Any]:
    return {"webhookSubscription": call.shop.subscriptions[number] if number else None, "userErrors": problems}


def _unsubscribe(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    gone, problems = call.attempt("webhookSubscriptionDelete", subscription=asked["id"])
    return {"deletedWebhookSubscriptionId": gone, "userErrors": problems}


fields(
    "QueryRoot",
    webhookSubscriptions=_subscriptions,
)
fields(
    "Mutation",
    webhookSubscriptionCreate=lambda _, call, asked: _subscription(
        call, *call.attempt("webhookSubscriptionCreate", topic=asked["topic"], wanted=asked["webhookSubscription"])
    ),
    webhookSubscriptionUpdate=lambda _, call, asked: _subscription(
        call, *call.attempt("webhookSubscriptionUpdate", subscription=asked["id"], wanted=asked["webhookSubscription"])
    ),
    webhookSubscriptionDelete=_unsubscribe,
)
plain(
    "WebhookSubscription",
    id=lambda known: gid("WebhookSubscription", known.id),
    legacyResourceId=lambda known: str(known.id),
    topic=lambda known: known.topic,
    uri=lambda known: known.uri,
    callbackUrl=lambda known: known.uri,
    format=lambda known: "JSON",
    filter=lambda known: None,
    name=lambda known: known.name,
    includeFields=lambda known: known.include_fields,
    metafieldNamespaces=lambda known: known.metafield_namespaces,
    apiVersion=lambda known: version(VERSION),
    createdAt=lambda known: when(known.created_at),
    updatedAt=lambda known: when(known.updated_at),
)
