"""What there is of an item, and whose SKU it is."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.translate.marks import fact, number, quoted, sku_of
from engine.adapter import Heard
from schemas.events import Event
from schemas.events.exceptions import ExceptionOpened
from schemas.events.inventory import StockCounted
from schemas.streams import stock_stream
from schemas.values import Instant, ShopId, Sku, TenantId


def counted(tenant: TenantId, item: wire.stock.Item, read_at: Instant, settled: Sequence[str] = ()) -> Heard:
    """What there is of an item whose levels are all there. Saying what the last count said is no news, unless it settles orders."""
    event = StockCounted(
        sku=sku_of(item),
        item=ShopId(item.id),
        levels=dict(sorted(levels(item).items())) if item.tracked else {},
        read_at=read_at,
        tracked=item.tracked,
        settled=tuple(settled),
    )

    def same(last: Event) -> bool:
        return isinstance(last, StockCounted) and replace(last, read_at=read_at, settled=()) == event

    return Heard(stock_stream(event.sku), fact(tenant, event, f"{event.sku}@{read_at.isoformat()}", read_at), same=same)


def levels(item: wire.stock.Stocked) -> dict[ShopId, int]:
    """Units available at each location. A quantity that was never set is unknown, not zero; an inactive level sells nothing."""
    found: dict[ShopId, int] = {}
    for level in item.inventory_levels.nodes:
        units = next((one.quantity for one in level.quantities if one.name == "available"), None)
        if level.is_active and units is not None:
            found[ShopId(level.location.id)] = units
    return found


def ambiguous(tenant: TenantId, sku: Sku, items: Iterable[str], read_at: Instant) -> Heard:
    """Several things are sold under one SKU: nobody can say how many there are. Told once a day while it lasts."""
    named = sorted(items)
    trouble = ExceptionOpened(
        key=f"X02:{sku}",
        code="X02",
        subject=stock_stream(sku),
        summary=f"SKU {sku} is that of several inventory items in Shopify: {', '.join(number(item) for item in named)}",
        field="sku",
        owner="ECOM",
    )
    return Heard(stock_stream(sku), fact(tenant, trouble, f"{sku}@{','.join(named)}@{read_at.date()}", read_at))


def one_item_each(tenant: TenantId, heard: Iterable[Heard], read_at: Instant) -> list[Heard]:
    """Shopify takes `A` and `A ` for two SKUs; we do not, and neither does whoever packs them."""
    said: dict[str, dict[str, Heard]] = {}  # stream -> item -> its count, or another trouble by its own name
    for one in heard:
        whose = one.fact.event.item if isinstance(one.fact.event, StockCounted) else str(one.fact.event_id)
        said.setdefault(one.stream, {})[whose] = one
    kept: list[Heard] = []
    for of_stream in said.values():
        counts = {item: one.fact.event for item, one in of_stream.items() if isinstance(one.fact.event, StockCounted)}
        if len(counts) > 1:
            kept.append(ambiguous(tenant, next(iter(counts.values())).sku, counts, read_at))
        else:
            kept += of_stream.values()
    return kept


def for_sale(variant: wire.stock.Variant | wire.stock.Offer) -> bool:
    """Whether its product is: an archived one may share its SKU with whatever replaced it."""
    return variant.product.status not in ("ARCHIVED", "DRAFT")


def search_for_skus(skus: Iterable[Sku]) -> str:
    """The index compares without case, and may know more than asked for: whoever reads the answer compares again."""
    return " OR ".join(f"sku:{quoted(sku)}" for sku in skus)
