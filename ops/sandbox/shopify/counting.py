"""Quantities counted, set, adjusted, moved and stocked: by the app's mutations and by people in the merchant's admin."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ops.sandbox.shopify.goods import OTHERS
from ops.sandbox.shopify.keys import once
from ops.sandbox.shopify.state import Adjustment, Level, Problem, RefusedError, Shop, number_of
from ops.sandbox.shopify.stock import level_of, move
from ops.sandbox.shopify.webhooks import emit

# The reasons that Shopify lists for a change of quantities.
REASONS = (
    "correction cycle_count_available damaged movement_canceled movement_created movement_received movement_updated other promotion "
    "quality_control received reservation_created reservation_deleted reservation_updated restock safety_stock shrinkage"
)
LARGEST = 1_000_000_000  # units; beyond it Shopify refuses

Change = tuple[Level, str, int]  # a level (id 0: not yet stocked there), the quantity's name, the difference
Input = dict[str, Any]


# -------------------------------------------------------------------------------------------------------- the app's words


def set_quantities(shop: Shop, wanted: Input, key: str | None, at: datetime) -> int:
    """Absolute quantities, compared first where asked to. Returns the adjustment's number."""

    def change() -> int:
        if wanted["name"] not in ("available", "on_hand"):
            raise RefusedError(Problem(("input", "name"), "The quantity name must be either 'available' or 'on_hand'.", "INVALID_NAME"))

        def read(entry: Input, level: Level, where: tuple[str, ...]) -> Change | Problem:
            present: int = getattr(level, wanted["name"])
            if "changeFromQuantity" not in entry:
                return Problem((*where, "changeFromQuantity"), "changeFromQuantity must be given.", "COMPARE_QUANTITY_REQUIRED")
            if entry["changeFromQuantity"] not in (None, present):
                return _stale(where)
            if abs(entry["quantity"]) > LARGEST:
                code = "INVALID_QUANTITY_TOO_HIGH" if entry["quantity"] > 0 else "INVALID_QUANTITY_TOO_LOW"
                return Problem((*where, "quantity"), "The quantity is beyond what can be counted.", code)
            return level, "available", entry["quantity"] - present

        return _adjust(shop, wanted, "quantities", read, at)

    return once(shop, "inventorySetQuantities", wanted, key=key, at=at, do=change)


def adjust_quantities(shop: Shop, wanted: Input, key: str | None, at: datetime) -> int:
    """Differences. Returns the adjustment's number."""

    def change() -> int:
        name = wanted["name"]
        if name not in ("available", *OTHERS):
            raise RefusedError(Problem(("input", "name"), "The specified quantity name is invalid.", "INVALID_QUANTITY_NAME"))
        ledger = name != "available"
        if any(bool(entry.get("ledgerDocumentUri")) != ledger for entry in wanted["changes"]):
            message = "A ledger document URI is required, except when adjusting available."
            raise RefusedError(
                Problem(("input", "changes"), message, "INVALID_QUANTITY_DOCUMENT" if ledger else "INVALID_AVAILABLE_DOCUMENT")
            )

        def read(entry: Input, level: Level, where: tuple[str, ...]) -> Change | Problem:
            present = level.available if name == "available" else level.others.get(name, 0)
            if entry.get("changeFromQuantity") not in (None, present):
                return _stale(where)
            return level, name, entry["delta"]

        return _adjust(shop, wanted, "changes", read, at)

    return once(shop, "inventoryAdjustQuantities", wanted, key=key, at=at, do=change)


def _stale(where: tuple[str, ...]) -> Problem:
    message = "The quantity has changed since it was read."
    return Problem((*where, "changeFromQuantity"), message, "CHANGE_FROM_QUANTITY_STALE")


def _adjust(
    shop: Shop, wanted: Input, entries: str, read: Callable[[Input, Level, tuple[str, ...]], Change | Problem], at: datetime
) -> int:
    """All entries or none; or those that are not stale, where so switched."""
    problems: list[Problem] = []
    if wanted["reason"] not in REASONS.split():
        problems.append(Problem(("input", "reason"), "The specified reason is invalid.", "INVALID_REASON"))
    changes: list[Change] = []
    seen: set[tuple[str, str]] = set()
    for n, entry in enumerate(wanted[entries]):
        where = ("input", entries, str(n))
        pair = (entry["inventoryItemId"], entry["locationId"])
        if pair in seen and entries == "quantities":
            code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
            problems.append(Problem((*where, "locationId"), "The combination of inventoryItemId and locationId must be unique.", code))
            continue
        seen.add(pair)
        level = _level(shop, entry, where, at)
        change = level if isinstance(level, Problem) else read(entry, level, where)
        if isinstance(change, Problem):
            problems.append(change)
        else:
            changes.append(change)
    forgiven = shop.switches.stale_entries == "entry_by_entry" and bool(changes)
    if any(not forgiven or problem.code != "CHANGE_FROM_QUANTITY_STALE" for problem in problems):
        raise RefusedError(*problems)
    return _group(shop, wanted["reason"], wanted.get("referenceDocumentUri"), changes, at)


def _level(shop: Shop, entry: Input, where: tuple[str, ...], at: datetime) -> Level | Problem:
    """Since 2026-10 an item may be adjusted where it was not stocked before: there it starts from zero."""
    item, location = number_of(entry["inventoryItemId"], "InventoryItem"), number_of(entry["locationId"], "Location")
    if item not in shop.items:
        return Problem((*where, "inventoryItemId"), "The specified inventory item could not be found.", "INVALID_INVENTORY_ITEM")
    if location not in shop.locations:
        return Problem((*where, "locationId"), "The specified location could not be found.", "INVALID_LOCATION")
    return shop.levels[item].get(location) or Level(0, item, location, created_at=at, updated_at=at)


def _group(shop: Shop, reason: str, reference: str | None, changes: list[Change], at: datetime) -> int:
    group = Adjustment(shop.new_id(), reason, reference, created_at=at, changes=[])
    for level, name, delta in changes:
        stocked = level_of(shop, level.item_id, level.location_id, at)
        move(shop, stocked, at, **{name: delta})
        after = stocked.available if name == "available" else stocked.others[name]
        group.changes.append((name, stocked.item_id, stocked.location_id, delta, after))
        if name != "incoming":
            group.changes.append(("on_hand", stocked.item_id, stocked.location_id, delta, stocked.on_hand))
    shop.adjustments[group.id] = group
    return group.id


def activate(
    shop: Shop, item: str, location: str, key: str | None, at: datetime, *, available: int | None = None, on_hand: int | None = None
) -> tuple[int, int]:
    """The item is stocked there. Returns item and location."""

    def change() -> int:
        number, place = number_of(item, "InventoryItem"), number_of(location, "Location")
        if number not in shop.items:
            raise RefusedError(Problem(("inventoryItemId",), "The product couldn't be stocked because it does not exist."))
        if place not in shop.locations or not shop.locations[place].active:
            raise RefusedError(Problem(("locationId",), "The product couldn't be stocked because the location does not exist."))
        known = shop.levels[number].get(place)
        if known is not None and known.active and (available is not None or on_hand is not None):
            raise RefusedError(Problem(("available",), "Not allowed to set available quantity when the item is already active there."))
        level = level_of(shop, number, place, at)
        if units := available if available is not None else on_hand:
            move(shop, level, at, available=units)
        return level.id

    asked = [item, location, available, on_hand]
    once(shop, "inventoryActivate", asked, key=key, at=at, do=change)
    return number_of(item, "InventoryItem"), number_of(location, "Location")


# ------------------------------------------------------------------------------------------------------------ by people


def stock_sku(shop: Shop, sku: str, quantity: int, at: datetime, location: int | None = None) -> int:
    """Someone counted in the merchant's admin: what is for sale at a location is now this much. Returns the difference."""
    level = _of_sku(shop, sku, location)
    difference = quantity - level.available
    if difference < 0:
        level.counted_away.append((at, -difference))
    move(shop, level, at, available=difference)
    return difference


def set_aside(shop: Shop, sku: str, name: str, quantity: int, at: datetime, *, location: int | None = None) -> int:
    """Units go from what is for sale to damaged, reserved, quality_control or safety_stock; or back, if negative.

    `incoming` comes from nowhere. Returns how many lie there now.
    """
    if name not in OTHERS:
        raise RefusedError(Problem(("name",), f"{name} is not a quantity that can be set aside"))
    level = _of_sku(shop, sku, location)
    if level.others.get(name, 0) + quantity < 0:
        raise RefusedError(Problem(("quantity",), "there are not so many"))
    move(shop, level, at, available=0 if name == "incoming" else -quantity, **{name: quantity})
    return level.others[name]


def transfer(shop: Shop, sku: str, *, origin: int, destination: int, quantity: int, at: datetime) -> None:
    """Units for sale are carried from one location to another."""
    level = _of_sku(shop, sku, origin)
    if destination not in shop.locations or destination == origin:
        raise RefusedError(Problem(("destination",), "there is no such other location"))
    if not 0 < quantity <= level.available:
        raise RefusedError(Problem(("quantity",), "there are not so many"))
    move(shop, level, at, available=-quantity)
    move(shop, level_of(shop, level.item_id, destination, at), at, available=quantity)


def disconnect(shop: Shop, sku: str, location: int, at: datetime) -> None:
    """The item is not stocked there any more. Refused while something of it is promised to an order."""
    level = _of_sku(shop, sku, location)
    if level.committed:
        raise RefusedError(Problem(("location",), "units there are promised to orders"))
    level.active = False
    move(shop, level, at, available=-level.available, **{name: -units for name, units in level.others.items()})
    emit(shop, "inventory_levels/disconnect", (level.item_id, location), at)


def _of_sku(shop: Shop, sku: str, location: int | None) -> Level:
    variants = shop.skus.get(sku)
    if not variants:
        raise RefusedError(Problem(("sku",), f"no variant has the SKU {sku!r}"))
    levels = shop.levels[shop.variants[variants[0]].item_id]
    level = levels.get(location) if location else next(iter(levels.values()), None)
    if level is None:
        raise RefusedError(Problem(("location",), "the item is not stocked there"))
    return level
