"""What goes wrong with SKUs, counts and files of quantities."""

from ops.simulate.provocations.stage import HOUR, MINUTE, Stage, provokes


@provokes("X03")
async def an_offer_has_no_variant(stage: Stage) -> None:
    """The marketplace has an offer of something that the shop has never had. Only at the very beginning."""
    sku = max(stage.account.offers)
    variant = stage.shop.skus[sku][0]
    stage.act("shopify", "staffDeleteVariant", variant=variant)
    await stage.trouble("X03", sku)
    stage.act("mirakl", "delete_offer", sku=sku)
    await stage.cured("X03", sku)


@provokes("X07")
async def a_variant_is_deleted(stage: Stage) -> None:
    """Somebody deletes a variant that is on offer."""
    sku = await stage.sku()
    stage.act("shopify", "staffDeleteVariant", variant=stage.shop.skus[sku][0])
    await stage.trouble("X07", sku)
    stage.act("mirakl", "delete_offer", sku=sku)
    await stage.cured("X07", sku)


@provokes("X08")
async def a_product_is_archived(stage: Stage) -> None:
    """Somebody archives a product that is on offer, and takes it back."""
    sku = await stage.sku()
    product = stage.shop.variants[stage.shop.skus[sku][0]].product_id
    stage.act("shopify", "staffProduct", product=product, status="ARCHIVED")
    await stage.trouble("X08", sku)
    stage.act("shopify", "staffProduct", product=product, status="ACTIVE")
    await stage.cured("X08", sku)


def _recount(stage: Stage, sku: str, more: int) -> None:
    item = stage.item(sku)
    there = sum(level.available for level in stage.shop.levels[item.id].values())
    place = next(iter(stage.shop.levels[item.id]))
    here = stage.shop.levels[item.id][place].available
    stage.act("shopify", "stock", sku=sku, quantity=max(0, here + more) if there else 30, location=place)


@provokes("X10")
async def a_line_of_a_file_is_refused(stage: Stage) -> None:
    """Somebody deletes an offer, and before we hear of that a file names it; then the offer is made again."""
    sku = await stage.sku()
    stage.act("mirakl", "delete_offer", sku=sku)
    _recount(stage, sku, -1)
    await stage.trouble("X10", sku)
    stage.act("mirakl", "restore_offer", sku=sku)
    await stage.wait(10 * MINUTE)
    _recount(stage, sku, +5)
    await stage.cured("X10", sku)


@provokes("X11")
async def a_file_comes_to_nothing(stage: Stage) -> None:
    """A whole file is spoilt on the way."""
    sku = await stage.sku()
    stage.spoil("STO01", "import_refused")
    _recount(stage, sku, -1)
    await stage.trouble("X11")
    await stage.wait(5 * MINUTE)
    _recount(stage, sku, +3)
    await stage.cured("X11")


@provokes("X12")
async def a_quantity_falls_back(stage: Stage) -> None:
    """The marketplace shows once more what it had been told before."""
    sku = await stage.sku(6)
    before = stage.account.offers[sku].quantity
    _recount(stage, sku, -4)
    await stage.until(lambda: stage.account.offers[sku].quantity < before, "less is shown")
    await stage.wait(10 * MINUTE)  # until it is known to be
    stage.act("mirakl", "edit_offer", sku=sku, quantity=before)
    await stage.trouble("X12", sku, HOUR)
    await stage.cured("X12", sku)


@provokes("X15")
async def something_is_not_counted(stage: Stage) -> None:
    """Somebody switches the counting of something off, and on again."""
    sku = await stage.sku()
    variant = stage.shop.skus[sku][0]
    stage.act("shopify", "staffTrackItem", variant=variant, tracked=False)
    await stage.trouble("X15", sku)
    stage.act("shopify", "staffTrackItem", variant=variant, tracked=True)
    await stage.cured("X15", sku)


@provokes("X19")
async def somebody_edits_a_quantity(stage: Stage) -> None:
    """Somebody at the back office shows more than we say."""
    sku = await stage.sku()
    await stage.wait(15 * MINUTE)  # until what is shown is known to be ours
    stage.act("mirakl", "edit_offer", sku=sku, quantity=stage.account.offers[sku].quantity + 7)
    await stage.trouble("X19", sku)
    await stage.cured("X19", sku)
