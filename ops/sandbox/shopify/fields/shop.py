"""The shop itself, what the app may do, metafield definitions, webhook subscriptions."""

from typing import Any

from ops.sandbox.shopify import access
from ops.sandbox.shopify.connections import page
from ops.sandbox.shopify.fields.table import QUANTITIES, Call, fields, plain, version, when
from ops.sandbox.shopify.state import (
    APP_ID,
    SHOP_ID,
    VERSION,
    Definition,
    Problem,
    gid,
    namespace_of,
)

plain(
    "Shop",
    id=lambda shop: gid("Shop", SHOP_ID),
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


def _installation(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    scopes = [{"handle": scope, "description": scope.replace("_", " ")} for scope in call.shop.scopes]
    app = {"id": gid("App", APP_ID), "handle": "crossdock", "title": "Crossdock", "webhookApiVersion": VERSION}
    return {"id": gid("AppInstallation", APP_ID + 2), "app": app, "accessScopes": scopes}


def _versions(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    stable = access.stable_versions(call.at)
    others = [access.candidate(call.at), "unstable"]
    return [version(handle) for handle in stable] + [version(handle) | {"supported": False} for handle in others]


plain(
    "QueryRoot",
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
    currentAppInstallation=_installation,
    publicApiVersions=_versions,
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
    namespace = namespace_of(asked["namespace"]) if asked.get("namespace") else None
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
    filter=lambda known: known.filter,
    name=lambda known: known.name,
    includeFields=lambda known: known.include_fields,
    metafieldNamespaces=lambda known: known.metafield_namespaces,
    apiVersion=lambda known: version(VERSION),
    createdAt=lambda known: when(known.created_at),
    updatedAt=lambda known: when(known.updated_at),
)
