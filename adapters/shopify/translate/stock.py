"""What there is of an item, and whose SKU it is."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.translate.marks import fact, quoted, sku_of
from engine.adapter import Heard
from schemas.events import Event
from schemas.events.inventory import StockCounted, VariantSeen
from schemas.streams import stock_stream
from schemas.values import Instant, ShopId, Sku, TenantId

DELETED = "DELETED"  # ours, of a SKU that nothing has any more
NOT_FOR_SALE = ("ARCHIVED", "DRAFT")  # of a product


def counted(
    tenant: TenantId,
    item: wire.stock.Item,
    read_at: Instant,
    settled: Sequence[str] = (),
    sold_as: Sequence[Sku] = (),
    *,
    read_by: Instant | None = None,
) -> Heard:
    """What there is of an item whose levels are all there. Saying what the last count said is no news.

    One that settles orders always is, be it overtaken by a later count: that they are out of the shelf, no other one will say. So the one
    after it is news, too: whether that had been overtaken, its last line in the log does not tell.
    """
    event = StockCounted(
        sku=sku_of(item),
        item=ShopId(item.id),
        levels=dict(sorted(levels(item).items())) if item.tracked else {},
        read_at=read_at,
        tracked=item.tracked,
        settled=tuple(settled),
        sold_as=tuple(name for name in sold_as if name != sku_of(item)),
        read_by=read_by,
    )

    def same(last: Event) -> bool:
        return isinstance(last, StockCounted) and not last.settled and replace(last, read_at=read_at, sold_as=(), read_by=read_by) == event

    of_item = fact(tenant, event, f"{event.sku}@{read_at.isoformat()}", read_at)
    return Heard(stock_stream(event.sku), of_item, same=None if settled else same)


def seen(tenant: TenantId, item: wire.stock.Item, read_at: Instant) -> Heard | None:
    """What is sold of an item. None: nothing is, and that is for whoever finds the item gone to say."""
    sold = item.variants.nodes if item.variants else []
    if not sold:
        return None
    variant = next((one for one in sold if one.product.status not in NOT_FOR_SALE), sold[0])
    event = VariantSeen(
        sku=sku_of(item),
        item=ShopId(item.id),
        status=variant.product.status,
        read_at=read_at,
        sells_beyond_zero=variant.inventory_policy == "CONTINUE",
        tags=tuple(sorted(variant.product.tags)),
        product_type=variant.product.product_type,
    )

    return _seen(tenant, event)


def deleted(tenant: TenantId, sku: Sku, item: ShopId, read_at: Instant) -> Heard:
    """Nothing has that SKU any more."""
    return _seen(tenant, VariantSeen(sku=sku, item=item, status=DELETED, read_at=read_at))


def _seen(tenant: TenantId, event: VariantSeen) -> Heard:
    def same(last: Event) -> bool:
        return isinstance(last, VariantSeen) and replace(last, read_at=event.read_at) == event

    identity = f"{event.sku}@{event.read_at.isoformat()}:{event.status}:{','.join(event.rivals)}"
    return Heard(stock_stream(event.sku), fact(tenant, event, identity, event.read_at), same=same)


def levels(item: wire.stock.Stocked) -> dict[ShopId, int]:
    """Units available at each location. A quantity that was never set is unknown, not zero; an inactive level sells nothing."""
    found: dict[ShopId, int] = {}
    for level in item.inventory_levels.nodes:
        units = next((one.quantity for one in level.quantities if one.name == "available"), None)
        if level.is_active and units is not None:
            found[ShopId(level.location.id)] = units
    return found


def ambiguous(tenant: TenantId, sku: Sku, items: Iterable[str], read_at: Instant) -> Heard:
    """Several things are sold under one SKU: nobody can say how many there are."""
    rivals = tuple(ShopId(item) for item in sorted(items))
    return _seen(tenant, VariantSeen(sku=sku, item=rivals[0], status="ACTIVE", read_at=read_at, rivals=rivals))


def one_item_each(tenant: TenantId, heard: Iterable[Heard], read_at: Instant) -> list[Heard]:
    """Shopify takes `A` and `A ` for two SKUs; we do not, and neither does whoever packs them."""
    said: dict[str, dict[str, Heard]] = {}  # stream -> item -> its count, or another trouble by its own name
    for one in heard:
        whose = one.fact.event.item if isinstance(one.fact.event, StockCounted) else str(one.fact.event_id)
        said.setdefault(one.stream, {})[whose] = one
    kept: list[Heard] = []
    for of_stream in said.values():
        counts = {item: one.fact.event for item, one in of_stream.items() if isinstance(one.fact.event, StockCounted)}
        if len(counts) > 1:  # and what is sold of them is nobody's to say, either
            kept.append(ambiguous(tenant, next(iter(counts.values())).sku, counts, read_at))
        else:
            kept += of_stream.values()
    return kept


def for_sale(variant: wire.stock.Variant | wire.stock.Offer) -> bool:
    """Whether its product is: an archived one may share its SKU with whatever replaced it."""
    return variant.product.status not in NOT_FOR_SALE


def search_for_skus(skus: Iterable[Sku]) -> str:
    """The index compares without case, and may know more than asked for: whoever reads the answer compares again."""
    return " OR ".join(f"sku:{quoted(sku)}" for sku in skus)
