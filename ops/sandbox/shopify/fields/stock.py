"""Locations, products, and what is where."""

from typing import Any

from graphql import GraphQLError

from ops.sandbox.shopify import search, stock
from ops.sandbox.shopify.connections import browse, page
from ops.sandbox.shopify.fields.table import QUANTITIES, Call, decimal, fields, plain, when
from ops.sandbox.shopify.state import (
    Item,
    Level,
    Location,
    Problem,
    Variant,
    gid,
    number_of,
)


def _levels_there(location: Location, call: Call, asked: dict[str, Any]) -> Any:
    there = call.shop.stocked.get(location.id, {})
    asked_for = call.found("inventoryLevels", asked.get("query"), LEVEL_FILTERS)

    def read(number: int) -> Level:
        return call.shop.levels[there[number]][location.id]

    def holds(level: Level) -> bool:
        return (level.active or asked["includeInactive"]) and (asked_for is None or asked_for(level))

    return browse(list(there), read, asked, holds)


def service_of(location: Location) -> dict[str, Any]:
    name = location.service or "manual"
    return {
        "id": gid("FulfillmentService", location.id),
        "handle": name,
        "serviceName": name.replace("-", " ").title(),
        "type": "THIRD_PARTY" if location.service else "MANUAL",
        "inventoryManagement": False,
    }


plain(
    "Location",
    id=lambda location: gid("Location", location.id),
    legacyResourceId=lambda location: str(location.id),
    name=lambda location: location.name,
    isActive=lambda location: location.active,
    fulfillsOnlineOrders=lambda location: location.fulfills_online_orders,
    shipsInventory=lambda location: location.fulfills_online_orders,
    isFulfillmentService=lambda location: location.service is not None,
    fulfillmentService=lambda location: service_of(location) if location.service else None,
    address=lambda location: {
        "countryCode": "GB",
        "country": "United Kingdom",
        "city": location.city,
        "zip": location.zip,
    },
    updatedAt=lambda location: when(location.updated_at),
)
fields(
    "Location",
    isPrimary=lambda location, call, asked: location.id == next(iter(call.shop.locations)),
    inventoryLevels=_levels_there,
)

LEVEL_FILTERS: dict[str, search.Filter] = {
    "id": search.number(lambda level: int(level.id)),
    "inventory_item_id": search.number(lambda level: int(level.item_id)),
    "updated_at": search.time(lambda level: level.updated_at),
    "created_at": search.time(lambda level: level.created_at),
}
ITEM_FILTERS: dict[str, search.Filter] = {
    "id": search.number(lambda item: int(item.id)),
    "sku": search.text(lambda item: item.sku),
    "updated_at": search.time(lambda item: item.updated_at),
    "created_at": search.time(lambda item: item.created_at),
}
VARIANT_FILTERS: dict[str, search.Filter] = {
    "id": search.number(lambda variant: int(variant.id)),
    "sku": search.text(lambda variant: variant.sku),
    "barcode": search.text(lambda variant: variant.barcode),
    "product_id": search.number(lambda variant: int(variant.product_id)),
    "updated_at": search.time(lambda variant: variant.updated_at),
}


def _locations(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    shown = [location for location in call.shop.locations.values() if location.active or asked["includeInactive"]]
    if asked["sortKey"] == "ID":
        return page({location.id: location for location in shown}, asked)
    return page({(one.name, one.id): one for one in sorted(shown, key=lambda one: (one.name, one.id))}, asked)


def _sorted_by_id(field: str, asked: dict[str, Any]) -> None:
    if asked.get("sortKey", "ID") != "ID":
        raise GraphQLError(f"{field} sorted by {asked['sortKey']} is not simulated", extensions={"code": "NOT_SIMULATED"})


def _of_sku(call: Call, query: str | None) -> list[int] | None:
    """The variants of the SKU that a search names, without case; None where it names none in full."""
    for term in search.terms(query):
        if term.field == "sku" and not term.sign and not term.value.endswith("*"):
            return sorted(call.shop.sku_words.get(term.value.lower(), []))
    return None


def _variants(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    _sorted_by_id("productVariants", asked)
    query, variants = asked.get("query"), call.shop.variants
    holds = call.found("productVariants", query, VARIANT_FILTERS)
    named = _of_sku(call, query)
    return browse(list(variants) if named is None else named, variants.__getitem__, asked, holds)


def _items(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    query, items = asked.get("query"), call.shop.items
    holds = call.found("inventoryItems", query, ITEM_FILTERS)
    named = _of_sku(call, query)
    numbers = list(items) if named is None else sorted(call.shop.variants[number].item_id for number in named)
    return browse(numbers, items.__getitem__, asked, holds)


def _item_levels(item: Item, call: Call, asked: dict[str, Any]) -> Any:
    known = call.shop.levels.get(item.id, {}).items()
    levels = [level for place, level in known if (level.active and call.shop.locations[place].active) or asked["includeInactive"]]
    holds = call.found("inventoryLevels", asked.get("query"), LEVEL_FILTERS)
    return page({level.id: level for level in sorted(levels, key=lambda level: level.id)}, asked, holds)


def _quantities(level: Level, call: Call, asked: dict[str, Any]) -> Any:
    present = {"available": level.available, "committed": level.committed, "on_hand": level.on_hand, **level.others}
    missing = call.shop.switches.unset_quantities == "missing"
    for name in asked["names"]:
        if name not in QUANTITIES:
            raise GraphQLError(f"{name} is not a quantity name", extensions={"code": "INVALID"})
    return [
        {
            "id": f"gid://shopify/InventoryQuantity/{level.id}?name={name}",
            "name": name,
            "quantity": present.get(name, 0),
            "updatedAt": when(level.updated_at) if name in present else None,
        }
        for name in asked["names"]
        if name in present or not missing
    ]


fields(
    "QueryRoot",
    location=lambda _, call, asked: call.shop.locations.get(
        number_of(asked["id"], "Location") if asked.get("id") else next(iter(call.shop.locations))
    ),
    locations=_locations,
    productVariants=_variants,
    inventoryItem=lambda _, call, asked: call.shop.items.get(number_of(asked["id"], "InventoryItem")),
    inventoryItems=_items,
)
plain(
    "InventoryItem",
    id=lambda item: gid("InventoryItem", item.id),
    legacyResourceId=lambda item: str(item.id),
    sku=lambda item: item.sku,
    tracked=lambda item: item.tracked,
    requiresShipping=lambda item: item.requires_shipping,
    createdAt=lambda item: when(item.created_at),
    updatedAt=lambda item: when(item.updated_at),
)
fields(
    "InventoryItem",
    duplicateSkuCount=lambda item, call, asked: len(call.shop.skus.get(item.sku or "", [])) - 1 if item.sku else 0,
    inventoryLevels=_item_levels,
    variants=lambda item, call, asked: page({item.variant_id: call.shop.variants[item.variant_id]}, asked),
)
plain(
    "InventoryLevel",
    id=lambda level: f"{gid('InventoryLevel', level.id)}?inventory_item_id={level.item_id}",
    isActive=lambda level: level.active,
    createdAt=lambda level: when(level.created_at),
    updatedAt=lambda level: when(level.updated_at),
)
fields(
    "InventoryLevel",
    location=lambda level, call, asked: call.shop.locations[level.location_id],
    item=lambda level, call, asked: call.shop.items[level.item_id],
    quantities=_quantities,
)


def _available_everywhere(variant: Variant, call: Call) -> int:
    return sum(level.available for level in call.shop.levels[variant.item_id].values())


plain(
    "ProductVariant",
    id=lambda variant: gid("ProductVariant", variant.id),
    legacyResourceId=lambda variant: str(variant.id),
    sku=lambda variant: variant.sku,
    barcode=lambda variant: variant.barcode,
    title=lambda variant: variant.title,
    taxable=lambda variant: variant.taxable,
    inventoryPolicy=lambda variant: variant.policy,
    createdAt=lambda variant: when(variant.created_at),
    updatedAt=lambda variant: when(variant.updated_at),
)
fields(
    "ProductVariant",
    displayName=lambda variant, call, asked: f"{call.shop.products[variant.product_id].title} - {variant.title}",
    price=lambda variant, call, asked: decimal(variant.price, call.shop.currency, call),
    position=lambda variant, call, asked: call.shop.products[variant.product_id].variants.index(variant.id) + 1,
    inventoryQuantity=lambda variant, call, asked: _available_everywhere(variant, call),
    sellableOnlineQuantity=lambda variant, call, asked: stock.available(call.shop, variant.item_id),
    availableForSale=lambda variant, call, asked: stock.available(call.shop, variant.item_id) > 0 or variant.policy == "CONTINUE",
    product=lambda variant, call, asked: call.shop.products[variant.product_id],
    inventoryItem=lambda variant, call, asked: call.shop.items[variant.item_id],
)
plain(
    "Product",
    id=lambda product: gid("Product", product.id),
    legacyResourceId=lambda product: str(product.id),
    title=lambda product: product.title,
    handle=lambda product: product.handle,
    status=lambda product: product.status,
    vendor=lambda product: product.vendor,
    productType=lambda product: "",
    tags=lambda product: [],
    totalVariants=lambda product: len(product.variants),
    createdAt=lambda product: when(product.created_at),
    updatedAt=lambda product: when(product.updated_at),
)


def _adjusted(call: Call, number: int | None, problems: list[Problem]) -> dict[str, Any]:
    group = call.shop.adjustments[number] if number else None
    shown = group and {
        "id": gid("InventoryAdjustmentGroup", group.id),
        "createdAt": when(group.created_at),
        "reason": group.reason,
        "referenceDocumentUri": group.reference,
        "changes": [
            {
                "name": name,
                "delta": delta,
                "quantityAfterChange": after,
                "item": call.shop.items.get(item),
                "location": call.shop.locations.get(location),
                "ledgerDocumentUri": None,
            }
            for name, item, location, delta, after in group.changes
        ],
    }
    return {"inventoryAdjustmentGroup": shown, "userErrors": problems}


def _activated(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    done, problems = call.attempt(
        "inventoryActivate",
        item=asked["inventoryItemId"],
        location=asked["locationId"],
        available=asked.get("available"),
        on_hand=asked.get("onHand"),
        key=asked["idempotent"],
    )
    return {"inventoryLevel": call.shop.levels[done[0]][done[1]] if done else None, "userErrors": problems}


fields(
    "Mutation",
    inventoryActivate=_activated,
    inventorySetQuantities=lambda _, call, asked: _adjusted(
        call, *call.attempt("inventorySetQuantities", wanted=asked["input"], key=asked["idempotent"])
    ),
    inventoryAdjustQuantities=lambda _, call, asked: _adjusted(
        call, *call.attempt("inventoryAdjustQuantities", wanted=asked["input"], key=asked["idempotent"])
    ),
)
