"""The goods of a new world: the same variants in the shop and on offer at the marketplace."""

from collections.abc import Iterator
from datetime import datetime

from ops.sandbox.chance import choose, digits, happens, whole
from ops.sandbox.mirakl import offers
from ops.sandbox.mirakl.goods import Offer
from ops.sandbox.mirakl.registry import CARRIERS
from ops.sandbox.mirakl.state import Account
from ops.sandbox.plan import Awkward, Plan
from ops.sandbox.shopify import products, stock
from ops.sandbox.shopify.state import Shop, Variant

GARMENTS = (
    "Linen Shirt",
    "Ribbed Tee",
    "Wool Coat",
    "Pleated Skirt",
    "Raw Denim",
    "Canvas Tote",
    "Merino Jumper",
    "Swim Shorts",
    "Silk Scarf",
)
COLOURS = ("Ecru", "Navy", "Forest", "Rust", "Black", "Écru Chiné", "Sky", "Plum")
SIZES = ("XS", "S", "M", "L", "XL", "UK 6", "UK 8½", "One Size")
PENNIES = (99, 0, 50, 49, 1, 95, 33)  # what prices end in, odd ones too
PLACES = (("Leeds warehouse", "Leeds", "LS9 8AA"), ("Bristol shop", "Bristol", "BS1 3XD"), ("Glasgow shop", "Glasgow", "G1 2FF"))


def stock_shelves(plan: Plan, shop: Shop, account: Account, at: datetime) -> None:
    """Fills both systems. What a SKU costs differs between the two sides, as it does in life."""
    for n in range(plan.locations):
        name, city, code = PLACES[n % len(PLACES)]
        products.add_location(shop, name, city, code, at)
    account.carriers = list(CARRIERS)
    for n in range(plan.skus):
        variant = _variant(shop, n, sku_of(n), at)
        units = whole(shop.seed, plan.least_stock, plan.most_stock, "stock", n)
        _spread(plan, shop, variant, units, at)
        offered = stock.available(shop, variant.item_id) if plan.offers_open == "at_stock" else 0
        _offer(account, shop, variant, n, offered)
    for n, (kind, sku) in enumerate(_awkward(plan.awkward), plan.skus):
        variant = _variant(shop, n, sku, at)
        _spread(plan, shop, variant, 5, at)
        if kind == "untracked":
            shop.items[variant.item_id].tracked = False
        elif kind == "negative":
            level = next(iter(shop.levels[variant.item_id].values()))
            level.available = -2
        elif kind == "archived":
            shop.products[variant.product_id].status = "ARCHIVED"
        if kind not in ("shared", "nameless"):
            _offer(account, shop, variant, n, stock.available(shop, variant.item_id) if plan.offers_open == "at_stock" else 0)


def _awkward(wanted: Awkward) -> Iterator[tuple[str, str | None]]:
    """Kind and SKU of each variant; a shared one is there twice."""
    yield from (("shared", f"HT-TWICE{_nth(n)}") for n in range(wanted.shared) for _ in range(2))
    yield from (("nameless", None) for _ in range(wanted.nameless))
    for kind in ("untracked", "negative", "archived"):
        yield from ((kind, f"HT-{kind.upper()}{_nth(n)}") for n in range(getattr(wanted, kind)))


def _nth(n: int) -> str:
    return f"-{n + 1}" if n else ""


def sku_of(n: int) -> str:
    """Upper case and plain, but now and then not."""
    match n % 12:
        case 7:
            return f"HT {1000 + n} m"
        case 11:
            return f"ht_{1000 + n}.É"
    return f"HT-{1000 + n}-{'SML'[n % 3]}"


def _variant(shop: Shop, n: int, sku: str | None, at: datetime) -> Variant:
    seed = shop.seed
    title = f"{choose(seed, COLOURS, 'colour', n)} {choose(seed, GARMENTS, 'garment', n)}"
    product = products.add_product(shop, title, "Harbour & Thread", f"product-{n}", at)
    return products.add_variant(
        shop,
        product,
        sku,
        at,
        title=choose(seed, SIZES, "size", n),
        price=whole(seed, 6, 180, "pounds", n) * 100 + choose(seed, PENNIES, "pennies", n),
        barcode=f"50{digits(seed, 11, 'ean', n)}" if happens(seed, 0.9, "has ean", n) else None,
    )


def _spread(plan: Plan, shop: Shop, variant: Variant, units: int, at: datetime) -> None:
    """Most of it at the first location; every fourth item is kept there only."""
    first, *others = shop.locations
    elsewhere = units // 4 if others and variant.id % 4 else 0
    stock.add_level(shop, variant.item_id, first, units - elsewhere, at)
    if elsewhere:
        stock.add_level(shop, variant.item_id, others[variant.id % len(others)], elsewhere, at)


def _offer(account: Account, shop: Shop, variant: Variant, n: int, quantity: int) -> None:
    sku, product = variant.sku or "", shop.products[variant.product_id]
    dearer = whole(shop.seed, 0, 3, "dearer", n) * 100 + choose(shop.seed, (0, 0, 1, 7, 50), "odd", n)
    offer = Offer(
        id=23_000_000 + 7 * n,
        sku=sku,
        product_sku=f"{150_000_000 + 13 * n}",
        title=f"{product.title} - {variant.title}",
        category=product.title.rpartition(" ")[2],
        ean=variant.barcode or f"50{digits(shop.seed, 11, 'ean', n)}",
        price=variant.price + dearer,
        quantity=max(0, quantity),
        created_at=account.created_at,
        updated_at=account.created_at,
    )
    offers.put(account, offer, account.created_at)
    account.moved.append((sku, "the start"))
