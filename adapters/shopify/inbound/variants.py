"""Whose SKU it is: every variant that has it, of products for sale and others."""

from collections.abc import Iterable

from adapters.shopify import wire
from adapters.shopify.client import Client
from adapters.shopify.endpoints import OFFERED, SKUS_A_CALL, VARIANTS_BY_SKU
from adapters.shopify.inbound.paging import whole
from adapters.shopify.translate import marks, stock
from schemas.commands import Lane
from schemas.values import Sku


async def variants_of(client: Client, skus: Iterable[Sku], lane: Lane) -> dict[Sku, list[wire.stock.Variant]]:
    """Of each SKU those that have exactly it; the search alone would take `ab-1` for `AB-1`."""
    found: dict[Sku, list[wire.stock.Variant]] = {sku: [] for sku in skus}
    for query in _queries(found):

        async def page(after: str | None, query: str = query) -> wire.frame.Page[wire.stock.Variant]:
            answer = await client.ask(VARIANTS_BY_SKU, {"query": query, "after": after}, wire.stock.Variants[wire.stock.Variant], lane=lane)
            return answer.product_variants

        for variant in (await whole(await page(None), page)).nodes:
            if (sku := marks.sku_of(variant)) in found:
                found[sku].append(variant)
    return found


async def offers_of(client: Client, skus: Iterable[Sku], lane: Lane) -> dict[Sku, list[wire.stock.Offer]]:
    """The same, with price and stock, of what is for sale."""
    found: dict[Sku, list[wire.stock.Offer]] = {sku: [] for sku in skus}
    for query in _queries(found):

        async def page(after: str | None, query: str = query) -> wire.frame.Page[wire.stock.Offer]:
            answer = await client.ask(OFFERED, {"query": query, "after": after}, wire.stock.Variants[wire.stock.Offer], lane=lane)
            return answer.product_variants

        for offer in (await whole(await page(None), page)).nodes:
            if (sku := marks.sku_of(offer)) in found and stock.for_sale(offer):
                found[sku].append(offer)
    return found


def _queries(skus: Iterable[Sku]) -> list[str]:
    """As many SKUs in a search as it bears; one that holds nothing is looked for nowhere."""
    wanted = [sku for sku in skus if sku]
    return [stock.search_for_skus(wanted[start : start + SKUS_A_CALL]) for start in range(0, len(wanted), SKUS_A_CALL)]
