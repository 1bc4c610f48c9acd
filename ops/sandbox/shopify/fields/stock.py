"""Locations, products, and what is where."""

from typing import Any

from graphql import GraphQLError

from ops.sandbox.money import graph_text
from ops.sandbox.shopify import search, stock
from ops.sandbox.shopify.connections import page
from ops.sandbox.shopify.fields.table import QUANTITIES, Call, fields, plain, when
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
    there = (at[location.id] for at in call.shop.levels.values() if location.id in at)
    holds = call.found("inventoryLevels", asked.get("query"), LEVEL_FILTERS)
    return page({level.id: level for level in sorted(there, key=lambda level: level.id)}, asked, holds)


plain(
    "Location",
    id=lambda location: gid("Location", location.id),
    legacyResourceId=lambda location: str(location.id),
    name=lambda location: location.name,
    isActive=lambda location: location.active,
    fulfillsOnlineOrders=lambda location: location.fulfills_online_orders,
    shipsInventory=lambda location: location.fulfills_online_orders,
    isFulfillmentService=lambda location: False,
    fulfillmentService=lambda location: None,
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


def _variants(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    _sorted_by_id("productVariants", asked)
    holds = call.found("productVariants", asked.get("query"), VARIANT_FILTERS)
    return page(call.shop.variants, asked, holds)


def _items(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    holds = call.found("inventoryItems", asked.get("query"), ITEM_FILTERS)
    return page(call.shop.items, asked, holds)


def _item_levels(item: Item, call: Call, asked: dict[str, Any]) -> Any:
    levels = [level for place, level in call.shop.levels[item.id].items() if call.shop.locations[place].active or asked["includeInactive"]]
    holds = call.found("inventoryLevels", asked.get("query"), LEVEL_FILTERS)
    return page({level.id: level for level in sorted(levels, key=lambda level: level.id)}, asked, holds)


def _quantities(level: Level, call: Call, asked: dict[str, Any]) -> Any:
    present = {"available": level.available, "committed": level.committed, "on_hand": level.on_hand}
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
    isActive=lambda level: True,
    createdAt=lambda level: when(level.created_at),
    updatedAt=lambda level: when(level.updated_at),
)
fields(
    "InventoryLevel",
    location=lambda level, call, asked: call.shop.locations[level.location_id],
    item=lambda level, call, asked: call.shop.items[level.item_id],
    quantities=_quantities,
)


def _on_hand_everywhere(variant: Variant, call: Call) -> int:
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
    price=lambda variant, call, asked: graph_text(variant.price, call.shop.currency),
    inventoryQuantity=lambda variant, call, asked: _on_hand_everywhere(variant, call),
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
                "item": call.shop.items[item],
                "location": call.shop.locations[location],
                "ledgerDocumentUri": None,
            }
            for name, item, location, delta, after in group.changes
        ],
    }
    return {"inventoryAdjustmentGroup": shown, "userErrors": problems}


fields(
    "Mutation",
    inventorySetQuantities=lambda _, call, asked: _adjusted(
        call, *call.attempt("inventorySetQuantities", wanted=asked["input"], key=asked["idempotent"])
    ),
    inventoryAdjustQuantities=lambda _, call, asked: _adjusted(
        call, *call.attempt("inventoryAdjustQuantities", wanted=asked["input"], key=asked["idempotent"])
    ),
)
