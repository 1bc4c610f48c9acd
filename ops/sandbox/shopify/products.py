"""The catalogue as it is put there and as people change it: archived products, renamed SKUs, deleted variants, places opened and closed."""

from datetime import datetime
from typing import Literal

from ops.sandbox.shopify.state import Item, Location, Problem, Product, RefusedError, Shop, Variant
from ops.sandbox.shopify.webhooks import emit

Status = Literal["ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED"]


def add_location(shop: Shop, name: str, city: str, code: str, at: datetime, *, service: str | None = None) -> Location:
    location = Location(shop.new_id(), name, city, code, updated_at=at, service=service)
    shop.locations[location.id] = location
    emit(shop, "locations/create", (location.id,), at)
    return location


def add_product(shop: Shop, title: str, vendor: str, handle: str, at: datetime, *, status: Status = "ACTIVE") -> Product:
    product = Product(shop.new_id(), title, vendor, handle, created_at=at, updated_at=at, status=status)
    shop.products[product.id] = product
    emit(shop, "products/create", (product.id,), at)
    return product


def add_variant(
    shop: Shop, product: Product, sku: str | None, at: datetime, *, title: str, price: int, barcode: str | None = None, tracked: bool = True
) -> Variant:
    """With an inventory item of its own that is stocked nowhere yet."""
    item, number = shop.new_id(), shop.new_id()
    variant = Variant(number, product.id, item, sku, title, price, barcode, created_at=at, updated_at=at)
    shop.variants[number] = variant
    shop.items[item] = Item(item, number, sku, created_at=at, updated_at=at, tracked=tracked)
    shop.levels[item] = {}
    product.variants.append(number)
    _shelve(shop, sku, number)
    emit(shop, "inventory_items/create", (item,), at)
    return variant


def _shelve(shop: Shop, sku: str | None, variant: int) -> None:
    if sku is not None:
        shop.skus.setdefault(sku, []).append(variant)
        shop.sku_words.setdefault(sku.lower(), []).append(variant)


def _unshelve(shop: Shop, sku: str | None, variant: int) -> None:
    if sku is None:
        return
    for shelf, word in ((shop.skus, sku), (shop.sku_words, sku.lower())):
        shelf[word].remove(variant)
        if not shelf[word]:
            del shelf[word]


# ------------------------------------------------------------------------------------------------------------ by people


def set_status(shop: Shop, product: int, status: Status, at: datetime) -> None:
    known = shop.products.get(product)
    if known is None:
        raise RefusedError(Problem(("product",), "there is no such product"))
    known.status = status
    _changed(shop, known, at)


def rename_sku(shop: Shop, variant: int, sku: str | None, at: datetime) -> None:
    """Orders keep the SKU that they were placed with."""
    known = _variant(shop, variant)
    item = shop.items[known.item_id]
    _unshelve(shop, known.sku, variant)
    known.sku = item.sku = sku
    _shelve(shop, sku, variant)
    known.updated_at = item.updated_at = at
    emit(shop, "inventory_items/update", (item.id,), at)
    _changed(shop, shop.products[known.product_id], at)


def delete_variant(shop: Shop, variant: int, at: datetime) -> None:
    """Its item and levels go with it; lines of orders lose their variant and keep everything else. The last one takes the product along."""
    known = _variant(shop, variant)
    product = shop.products[known.product_id]
    _unshelve(shop, known.sku, variant)
    del shop.variants[variant]
    product.variants.remove(variant)
    for location, level in shop.levels.pop(known.item_id).items():
        shop.stocked[location].pop(level.id)
    emit(shop, "inventory_items/delete", (known.item_id,), at)
    del shop.items[known.item_id]
    if product.variants:
        _changed(shop, product, at)
    else:
        del shop.products[product.id]
        emit(shop, "products/delete", (product.id,), at)


def set_tracked(shop: Shop, variant: int, *, tracked: bool, at: datetime) -> None:
    item = shop.items[_variant(shop, variant).item_id]
    item.tracked, item.updated_at = tracked, at
    emit(shop, "inventory_items/update", (item.id,), at)


def set_policy(shop: Shop, variant: int, policy: Literal["DENY", "CONTINUE"], at: datetime) -> None:
    known = _variant(shop, variant)
    known.policy, known.updated_at = policy, at
    _changed(shop, shop.products[known.product_id], at)


def set_location(shop: Shop, location: int, at: datetime, *, active: bool | None = None, online: bool | None = None) -> None:
    """Opened or closed, for the website or altogether. Refused while orders wait to be sent from there."""
    known = shop.locations.get(location)
    if known is None:
        raise RefusedError(Problem(("location",), "there is no such location"))
    if active is False:
        held = (level.committed for levels in shop.levels.values() if (level := levels.get(location)) is not None)
        if any(held) or sum(one.active for one in shop.locations.values()) == 1:
            raise RefusedError(Problem(("location",), "orders wait to be sent from there"))
    known.updated_at = at
    if online is not None and online != known.fulfills_online_orders:
        known.fulfills_online_orders = online
        emit(shop, "locations/update", (location,), at)
    if active is not None and active != known.active:
        known.active = active
        emit(shop, "locations/activate" if active else "locations/deactivate", (location,), at)


def _changed(shop: Shop, product: Product, at: datetime) -> None:
    product.updated_at = at
    emit(shop, "products/update", (product.id,), at)


def _variant(shop: Shop, variant: int) -> Variant:
    known = shop.variants.get(variant)
    if known is None:
        raise RefusedError(Problem(("variant",), "there is no such variant"))
    return known
