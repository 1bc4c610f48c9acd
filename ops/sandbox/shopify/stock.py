"""Quantities and how they move when goods are ordered, sent and taken back. How they are counted and set is in counting.py."""

from datetime import datetime

from ops.sandbox.shopify.goods import OTHERS
from ops.sandbox.shopify.sales import FulfillmentOrderLine
from ops.sandbox.shopify.state import Level, Line, Shop
from ops.sandbox.shopify.webhooks import emit


def add_level(shop: Shop, item: int, location: int, available: int, at: datetime) -> Level:
    """The item is stocked there from now on."""
    level = Level(shop.new_id(), item, location, created_at=at, updated_at=at, available=available)
    shop.levels.setdefault(item, {})[location] = level
    shop.moved.append(item)
    shop.stocked.setdefault(location, {})[level.id] = item
    return level


def level_of(shop: Shop, item: int, location: int, at: datetime) -> Level:
    """Where it was not stocked, it is from now on: from zero."""
    known = shop.levels.get(item, {}).get(location)
    if known is not None:
        if not known.active:
            known.active = True
            emit(shop, "inventory_levels/connect", (item, location), at)
        return known
    made = add_level(shop, item, location, 0, at)
    emit(shop, "inventory_levels/connect", (item, location), at)
    return made


def available(shop: Shop, item: int) -> int:
    """What the website would sell: over all active locations that ship online orders."""
    return sum(
        level.available
        for location, level in shop.levels.get(item, {}).items()
        if level.active and shop.locations[location].active and shop.locations[location].fulfills_online_orders
    )


def shipping_location(shop: Shop, item: int | None, quantity: int) -> int:
    """The first location that has all the units, else the one that has most: which one Shopify takes nobody documents."""
    open_ones = [location.id for location in shop.locations.values() if location.active and location.fulfills_online_orders]
    has = {location: level.available for location, level in shop.levels.get(item or 0, {}).items() if level.active}
    enough = (location for location in open_ones if has.get(location, 0) >= quantity)
    return next(enough, None) or max(open_ones or shop.locations, key=lambda location: has.get(location, -quantity))


def move(shop: Shop, level: Level, at: datetime, *, available: int = 0, committed: int = 0, **others: int) -> None:
    """Every change of a quantity goes through here."""
    before = level.available
    level.available += available
    level.committed += committed
    for name, units in others.items():
        assert name in OTHERS, name
        level.others[name] = level.others.get(name, 0) + units
    level.updated_at = at
    shop.moved.append(level.item_id)
    if available:
        emit(shop, "inventory_levels/update", (level.item_id, level.location_id), at)
        _cross_zero(shop, level, before, at)


def _cross_zero(shop: Shop, level: Level, before: int, at: datetime) -> None:
    """A variant that comes to be for sale, or ceases to be, is told of."""
    if (before > 0) == (level.available > 0):
        return
    item = shop.items.get(level.item_id)
    if item is None or item.variant_id not in shop.variants:
        return
    elsewhere = sum(other.available for other in shop.levels[level.item_id].values() if other is not level)
    was, is_ = before + elsewhere > 0, level.available + elsewhere > 0
    if was != is_:
        emit(shop, "variants/in_stock" if is_ else "variants/out_of_stock", (item.variant_id,), at)


# ------------------------------------------------------------------------------------------------------- claimed and sent


def claim(shop: Shop, line: Line, quantity: int, at: datetime, *, sold_at: datetime, beside: bool = False) -> None:
    """An order's units leave what is for sale; they are still on the shelf. May go below zero. `beside`: where the line claims already."""
    if line.item_id is None or line.item_id not in shop.items or not shop.items[line.item_id].tracked:
        return
    if shop.switches.claims_at == "first":
        line.location_id = next(iter(shop.locations))
    elif not (beside and line.claimed):
        line.location_id = shipping_location(shop, line.item_id, quantity)
    assert line.location_id is not None
    level = level_of(shop, line.item_id, line.location_id, at)
    short = max(0, quantity - max(0, available(shop, line.item_id)))
    vanished = _vanished(shop, line.item_id, short, sold_at)
    level.oversold, level.vanished = level.oversold + short - vanished, level.vanished + vanished
    line.claimed += quantity
    move(shop, level, at, available=-quantity, committed=quantity)


def _vanished(shop: Shop, item: int, short: int, sold_at: datetime) -> int:
    """How many of these were there when they were sold and have been counted away since. A unit is counted away from one order only."""
    found = 0
    for level in shop.levels[item].values():
        for place, (when, units) in enumerate(level.counted_away):
            if when > sold_at:
                taken = min(units, short - found)
                level.counted_away[place] = (when, units - taken)
                found += taken
    return found


def ship(shop: Shop, line: Line, waiting: FulfillmentOrderLine, quantity: int, at: datetime) -> int:
    """Units leave the shelf, those that were ever claimed; returns how many."""
    moved = min(quantity, waiting.claimed)
    if moved:
        waiting.claimed -= moved
        line.claimed -= moved
        line.off_shelf += moved
        if (level := _shelf(shop, line, waiting.claimed_at)) is not None:
            move(shop, level, at, committed=-moved)
    return moved


def unship(shop: Shop, line: Line, waiting: FulfillmentOrderLine, quantity: int, at: datetime, *, location: int) -> None:
    """A cancelled fulfilment: the units are back on the shelf, still promised to their order."""
    if quantity and line.item_id in shop.items:
        assert line.item_id is not None
        line.off_shelf -= quantity
        line.claimed += quantity
        waiting.claimed, waiting.claimed_at = quantity, location
        move(shop, level_of(shop, line.item_id, location, at), at, committed=quantity)


def shift(shop: Shop, line: Line, waiting: FulfillmentOrderLine, location: int, at: datetime) -> None:
    """A fulfilment order moves: what it claims is promised at the new place, and for sale again at the old one."""
    level = _shelf(shop, line, waiting.claimed_at)
    if waiting.claimed and level is not None and waiting.claimed_at != location:
        assert line.item_id is not None
        move(shop, level, at, available=waiting.claimed, committed=-waiting.claimed)
        move(shop, level_of(shop, line.item_id, location, at), at, available=-waiting.claimed, committed=waiting.claimed)
        waiting.claimed_at = location


# -------------------------------------------------------------------------------------------------- no longer needed, back


def release(shop: Shop, line: Line, waiting: FulfillmentOrderLine | None, quantity: int, at: datetime, *, restock: bool) -> None:
    """Units that an order no longer needs: for sale again, or gone. `waiting`: None before the order was routed."""
    held = line.claimed if waiting is None else waiting.claimed
    where = line.location_id if waiting is None else waiting.claimed_at
    moved = min(quantity, held)
    if moved:
        line.claimed -= moved
        if waiting is not None:
            waiting.claimed -= moved
        if (level := _shelf(shop, line, where)) is not None:
            line.written_off += 0 if restock else moved
            move(shop, level, at, available=moved if restock else 0, committed=-moved)
    if restock and quantity > moved and shop.switches.restock_unclaimed and _counted(shop, line):
        assert line.item_id is not None
        place = where or shipping_location(shop, line.item_id, 0)
        move(shop, level_of(shop, line.item_id, place, at), at, available=quantity - moved)


def take_back(shop: Shop, line: Line, quantity: int, location: int, at: datetime) -> None:
    """Goods that had left are on the shelf again and for sale: those that had left the stock, or all."""
    units = min(quantity, line.off_shelf)
    line.off_shelf -= units
    if shop.switches.restock_unclaimed:
        units = quantity
    if units and _counted(shop, line):
        assert line.item_id is not None
        move(shop, level_of(shop, line.item_id, location, at), at, available=units)


def _shelf(shop: Shop, line: Line, location: int | None) -> Level | None:
    """None where there is none any more: the variant was deleted, and its levels with it."""
    return shop.levels.get(line.item_id or 0, {}).get(location or 0)


def _counted(shop: Shop, line: Line) -> bool:
    return line.item_id in shop.items and shop.items[line.item_id].tracked
