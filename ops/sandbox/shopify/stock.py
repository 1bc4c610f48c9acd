"""Quantities and how they move. In every room of this file on_hand = available + committed before and after."""

import json
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.shopify.state import Adjustment, KeyUse, Level, Line, Problem, RefusedError, Shop, number_of
from ops.sandbox.shopify.webhooks import emit

KEY_LIFE = timedelta(hours=24)
# The reasons that Shopify lists for a change of quantities.
REASONS = (
    "correction cycle_count_available damaged movement_canceled movement_created movement_received movement_updated other promotion "
    "quality_control received reservation_created reservation_deleted reservation_updated restock safety_stock shrinkage"
)


def add_level(shop: Shop, item: int, location: int, available: int, at: datetime) -> Level:
    level = Level(shop.new_id(), item, location, created_at=at, updated_at=at, available=available, on_hand=available)
    shop.levels.setdefault(item, {})[location] = level
    shop.moved.append(item)
    return level


def available(shop: Shop, item: int) -> int:
    """What the website would sell: over all active locations that ship online orders."""
    return sum(
        level.available
        for location, level in shop.levels.get(item, {}).items()
        if shop.locations[location].active and shop.locations[location].fulfills_online_orders
    )


def shipping_location(shop: Shop, item: int | None, quantity: int) -> int:
    """The first location that has all the units, else the one that has most: which one Shopify takes nobody documents."""
    open_ones = [location.id for location in shop.locations.values() if location.active and location.fulfills_online_orders]
    has = {location: level.available for location, level in shop.levels.get(item or 0, {}).items()}
    enough = (location for location in open_ones if has.get(location, 0) >= quantity)
    return next(enough, None) or max(open_ones, key=lambda location: has.get(location, -quantity))


def claim(shop: Shop, line: Line, at: datetime) -> None:
    """An order's units leave what is for sale; they are still on the shelf. May go below zero."""
    if line.item_id is None or not shop.items[line.item_id].tracked:
        return
    line.location_id = shipping_location(shop, line.item_id, line.quantity)
    level = shop.levels[line.item_id].get(line.location_id) or add_level(shop, line.item_id, line.location_id, 0, at)
    level.oversold += max(0, line.quantity - max(0, available(shop, line.item_id)))
    line.claimed = line.quantity
    _move(shop, level, at, available=-line.quantity, committed=line.quantity)


def ship(shop: Shop, line: Line, quantity: int, at: datetime) -> int:
    """Units leave the shelf, those that were ever claimed; returns how many."""
    moved = min(quantity, line.claimed)
    if moved and line.item_id is not None and line.location_id is not None:
        line.claimed -= moved
        _move(shop, shop.levels[line.item_id][line.location_id], at, committed=-moved)
    return moved


def unship(shop: Shop, line: Line, quantity: int, at: datetime) -> None:
    """A cancelled fulfilment: the units are back on the shelf, still promised to their order."""
    if quantity and line.item_id is not None and line.location_id is not None:
        line.claimed += quantity
        _move(shop, shop.levels[line.item_id][line.location_id], at, committed=quantity)


def release(shop: Shop, line: Line, at: datetime, *, restock: bool) -> None:
    """What an order no longer needs: for sale again, or gone."""
    moved = line.claimed
    if moved and line.item_id is not None and line.location_id is not None:
        line.claimed = 0
        _move(shop, shop.levels[line.item_id][line.location_id], at, available=moved if restock else 0, committed=-moved)


def _move(shop: Shop, level: Level, at: datetime, *, available: int = 0, committed: int = 0) -> None:
    level.available += available
    level.committed += committed
    level.on_hand += available + committed
    level.updated_at = at
    shop.moved.append(level.item_id)
    if available:
        emit(shop, "inventory_levels/update", (level.item_id, level.location_id), at)


def stock_sku(shop: Shop, sku: str, quantity: int, at: datetime, location: int | None = None) -> int:
    """Someone counted in the merchant's admin: what is for sale at a location is now this much. Returns the difference."""
    variants = shop.skus.get(sku)
    if not variants:
        raise RefusedError(Problem(("sku",), f"no variant has the SKU {sku!r}"))
    item = shop.variants[variants[0]].item_id
    where = location or next(iter(shop.levels[item]))
    level = shop.levels[item].get(where)
    if level is None:
        raise RefusedError(Problem(("location",), "the item is not stocked there"))
    difference = quantity - level.available
    _move(shop, level, at, available=difference)
    return difference


def set_quantities(shop: Shop, wanted: dict[str, Any], key: str, at: datetime) -> int:
    """All entries or none. Returns the adjustment's number."""
    if known := _known_key(shop, "inventorySetQuantities", wanted, key, at):
        return known
    if wanted["name"] not in ("available", "on_hand"):
        raise RefusedError(Problem(("input", "name"), "The quantity name must be either 'available' or 'on_hand'.", "INVALID_NAME"))
    entries = wanted["quantities"]
    pairs = [(entry["inventoryItemId"], entry["locationId"]) for entry in entries]
    problems = _reason_problems(wanted)
    changes: list[tuple[Level, int]] = []
    for n, entry in enumerate(entries):
        where = ("input", "quantities", str(n))
        if pairs.index(pairs[n]) != n:
            code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
            problems.append(Problem((*where, "locationId"), "The combination of inventoryItemId and locationId must be unique.", code))
        elif "changeFromQuantity" not in entry:
            problems.append(Problem((*where, "changeFromQuantity"), "changeFromQuantity must be given.", "COMPARE_QUANTITY_REQUIRED"))
        elif not isinstance(level := _level(shop, entry, where, at), Level):
            problems.append(level)
        else:
            present = level.available if wanted["name"] == "available" else level.on_hand
            stale = entry["changeFromQuantity"] not in (None, present)
            if stale:
                problems.append(Problem((*where, "changeFromQuantity"), "The quantity has changed.", "CHANGE_FROM_QUANTITY_STALE"))
            changes.append((level, entry["quantity"] - present))
    if problems:
        raise RefusedError(*problems)
    return _adjust(shop, KeyUse("inventorySetQuantities", _fingerprint(wanted), at), wanted, key, changes)


def adjust_quantities(shop: Shop, wanted: dict[str, Any], key: str, at: datetime) -> int:
    """Deltas; all entries or none. Returns the adjustment's number."""
    if known := _known_key(shop, "inventoryAdjustQuantities", wanted, key, at):
        return known
    if wanted["name"] != "available":
        raise RefusedError(Problem(("input", "name"), "The sandbox adjusts 'available' only.", "INVALID_QUANTITY_NAME"))
    problems = _reason_problems(wanted)
    changes: list[tuple[Level, int]] = []
    for n, entry in enumerate(wanted["changes"]):
        where = ("input", "changes", str(n))
        level = _level(shop, entry, where, at)
        if not isinstance(level, Level):
            problems.append(level)
        elif entry.get("changeFromQuantity") not in (None, level.available):
            problems.append(Problem((*where, "changeFromQuantity"), "The quantity has changed.", "CHANGE_FROM_QUANTITY_STALE"))
        else:
            changes.append((level, entry["delta"]))
    if problems:
        raise RefusedError(*problems)
    return _adjust(shop, KeyUse("inventoryAdjustQuantities", _fingerprint(wanted), at), wanted, key, changes)


def _level(shop: Shop, entry: dict[str, Any], where: tuple[str, ...], at: datetime) -> Level | Problem:
    """Since 2026-10 an item may be adjusted where it was not stocked before: there it starts from zero."""
    item, location = number_of(entry["inventoryItemId"], "InventoryItem"), number_of(entry["locationId"], "Location")
    if item not in shop.items:
        return Problem((*where, "inventoryItemId"), "The specified inventory item could not be found.", "INVALID_INVENTORY_ITEM")
    if location not in shop.locations:
        return Problem((*where, "locationId"), "The specified location could not be found.", "INVALID_LOCATION")
    return shop.levels[item].get(location) or Level(0, item, location, created_at=at, updated_at=at)


def _reason_problems(wanted: dict[str, Any]) -> list[Problem]:
    if wanted["reason"] in REASONS.split():
        return []
    return [Problem(("input", "reason"), "The specified reason is invalid.", "INVALID_REASON")]


def _adjust(shop: Shop, use: KeyUse, wanted: dict[str, Any], key: str, changes: list[tuple[Level, int]]) -> int:
    at = use.at
    group = Adjustment(shop.new_id(), wanted["reason"], wanted.get("referenceDocumentUri"), created_at=at, changes=[])
    for level, delta in changes:
        stocked = shop.levels[level.item_id].get(level.location_id) or add_level(shop, level.item_id, level.location_id, 0, at)
        _move(shop, stocked, at, available=delta)
        group.changes.append(("available", stocked.item_id, stocked.location_id, delta, stocked.available))
        group.changes.append(("on_hand", stocked.item_id, stocked.location_id, delta, stocked.on_hand))
    shop.adjustments[group.id] = group
    use.result = group.id
    shop.keys[key] = use
    return group.id


def _known_key(shop: Shop, operation: str, wanted: dict[str, Any], key: str, at: datetime) -> int | None:
    """What the key did before, if that was less than a day ago."""
    use = shop.keys.get(key)
    if use is None or at - use.at >= KEY_LIFE:
        return None
    if (use.operation, use.fingerprint) != (operation, _fingerprint(wanted)):
        message = "The idempotency key was used before with other parameters."
        raise RefusedError(Problem(None, message, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"))
    return use.result


def _fingerprint(wanted: dict[str, Any]) -> str:
    return json.dumps(wanted, sort_keys=True, separators=(",", ":"))
