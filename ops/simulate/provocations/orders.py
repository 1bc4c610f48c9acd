"""What keeps an order from Shopify: each brought about, and ended as its owner would end it."""

from typing import Any

from ops.simulate.provocations.stage import HOUR, MINUTE, Stage, provokes


@provokes("X01")
async def a_sku_is_renamed_under_an_order(stage: Stage) -> None:
    """Somebody renames a variant, and a moment later it is bought under its old name."""
    sku = await stage.sku()
    variant = stage.shop.skus[sku][0]
    stage.act("shopify", "staffRename", variant=variant, sku=f"{sku}-OLD")
    order = stage.place((sku, 1))
    await stage.trouble("X01", order)
    stage.act("shopify", "staffRename", variant=variant, sku=sku)
    await stage.cured("X01", order)


@provokes("X02")
async def two_variants_have_one_sku(stage: Stage) -> None:
    """A variant is given the SKU of another one."""
    sku = await stage.sku()
    other = await stage.sku(but=[sku])
    variant = stage.shop.skus[other][0]
    stage.act("shopify", "staffRename", variant=variant, sku=sku)
    await stage.trouble("X02", sku)
    stage.act("shopify", "staffRename", variant=variant, sku=other)
    await stage.cured("X02", sku)


@provokes("X09", rules={"price_tolerance": 60})
async def a_price_slips(stage: Stage) -> None:
    """Somebody at the back office forgets a nought, and it is bought before it is seen."""
    sku = await stage.sku()
    price = stage.account.offers[sku].price
    stage.act("mirakl", "edit_offer", sku=sku, price=max(1, price // 10))
    order = stage.place((sku, 1))
    stage.act("mirakl", "edit_offer", sku=sku, price=price)
    await stage.trouble("X09", order)
    await stage.release(order)
    await stage.cured("X09", order)


@provokes("X14")
async def the_last_units_are_gone(stage: Stage) -> None:
    """A recount finds none, and at that moment some are bought; then they turn up."""
    sku = await stage.sku(2)
    stage.act("shopify", "stock", sku=sku, quantity=0)
    order = stage.place((sku, 2))
    await stage.trouble("X14", order)
    stage.act("shopify", "stock", sku=sku, quantity=40)
    await stage.cured("X14", order)


@provokes("X21", shop={"map_methods": True}, channel={"methods": {"STD": "Standard", "EXP": "Express", "PUP": "Collect"}})
async def a_shipping_method_is_new(stage: Stage) -> None:
    """The marketplace sells by a method that nobody has mapped."""
    order = await stage.bought(shipping_type="OPD")
    await stage.trouble("X21", order)
    await stage.desk.map("method", stage.settings.channel[0].id, "OPD", "Courier", "a new contract", replace=True)
    await stage.cured("X21", order)


@provokes("X22")
async def an_address_lacks_its_postcode(stage: Stage) -> None:
    """A buyer leaves the postcode out."""
    order = await stage.bought(buyer={"zip_code": ""})
    await stage.trouble("X22", order)
    await stage.release(order)
    await stage.cured("X22", order)


@provokes("X24", rules={"accept_hours": 5.0, "accept_warning_hours": 4.0})
async def nobody_decides(stage: Stage) -> None:
    """An order is held, and its time runs out."""
    order = await stage.bought(test=True)
    await stage.trouble("X24", order)
    await stage.release(order)
    await stage.cured("X24", order)


@provokes("X25", rules={"debit_hours": 0.5})
async def a_payment_is_stuck(stage: Stage) -> None:
    """The payment of an order does not come through, until the operator sees to it."""
    stage.switch("mirakl", debits_stuck=True)
    order = await stage.bought()
    await stage.until(lambda: stage.order(order).state.startswith("WAITING_DEBIT"), f"{order} waits for its payment")
    stage.switch("mirakl", debits_stuck=False)
    await stage.trouble("X25", order)
    stuck = [one.id for one in stage.account.orders.values() if one.state.startswith("WAITING_DEBIT")]
    for one in stuck:
        stage.act("mirakl", "confirm_debit", order_id=one)
    await stage.cured("X25", order)


@provokes("X26", rules={"short_stock": "refuse"})
async def no_part_of_an_order_may_be_taken(stage: Stage) -> None:
    """One line of two is gone, and the marketplace takes all or nothing."""
    here, gone = await stage.sku(), ""
    gone = await stage.sku(but=[here])
    stage.switch("mirakl", partial_acceptance=False)
    stage.act("shopify", "stock", sku=gone, quantity=0)
    order = stage.place((here, 1), (gone, 1))
    await stage.trouble("X26", order)
    stage.act("shopify", "stock", sku=gone, quantity=40)
    await stage.release(order)
    await stage.cured("X26", order)
    stage.switch("mirakl", partial_acceptance=True)


@provokes("X27", outcomes=("command C refused",))
async def an_acceptance_is_refused(stage: Stage) -> None:
    """The marketplace will not take an acceptance, for no reason."""
    stage.spoil("OR21", "http_400")
    order = await stage.bought()
    await tried_again(stage, "X27")
    await stage.copied(order)


@provokes("X28", outcomes=("command D refused",))
async def an_order_is_refused_by_the_shop(stage: Stage) -> None:
    """Shopify will not create an order, for no reason."""
    stage.spoil("orderCreate", "user_errors")
    await stage.bought()
    await tried_again(stage, "X28")


async def tried_again(stage: Stage, code: str, about: str = "") -> None:
    """A person has looked, and lets it be asked again."""
    trouble = await stage.trouble(code, about)
    await stage.retry(trouble)
    await stage.cured(code, trouble.subject)


@provokes("X31")
async def a_total_does_not_add_up(stage: Stage) -> None:
    """For once, the marketplace shows a total that its lines do not come to."""

    def dearer(shown: dict[str, Any]) -> None:
        shown["total_price"] = float(shown["total_price"]) + 5.0

    order = await stage.bought()
    await stage.until(lambda: stage.order(order).state == "SHIPPING", f"{order} is to be shipped")
    stage.heard_otherwise(order, dearer)
    await stage.trouble("X31", order)
    await stage.cured("X31", order)


@provokes("X33", rules={"currency": "GBP"})
async def an_order_comes_in_euros(stage: Stage) -> None:
    """For once, the marketplace shows an order in another currency."""

    def foreign(shown: dict[str, Any]) -> None:
        shown["currency_iso_code"] = "EUR"

    order = await stage.bought()
    stage.heard_otherwise(order, foreign)
    await stage.trouble("X33", order)
    await stage.cured("X33", order)


@provokes("X34", rules={"orphan_minutes": 5.0})
async def an_order_is_long_on_its_way(stage: Stage) -> None:
    """The answer to a creation is lost, and until it is sure that nothing was done, nothing is done."""
    stage.spoil("orderCreate", "reset_before")
    await stage.bought()
    trouble = await stage.trouble("X34")
    await stage.cured("X34", trouble.subject)


@provokes("X35")
async def an_order_is_marked_as_ours(stage: Stage) -> None:
    """Somebody in the shop puts our tag on an order of the website, and cancels it when asked."""
    website = stage.act("shopify", "checkout", lines=[[await stage.sku(), 1]], address={}, email="")
    stage.act("shopify", "staffTag", order=website, tags=["crossdock"])
    await stage.trouble("X35", str(website))
    stage.act("shopify", "staffCancel", order=website)
    await stage.cured("X35", str(website))


@provokes("X60")
async def an_incident_is_opened(stage: Stage) -> None:
    """A buyer complains, and is content in the end."""
    order = await stage.bought()
    await stage.copied(order)
    [line] = stage.order(order).lines
    stage.act("mirakl", "open_incident", order_line_id=line.id)
    await stage.trouble("X60", order)
    stage.act("mirakl", "close_incident", order_id=order, line_id=line.id, reason_code="52")
    await stage.cured("X60", order)


@provokes("X61", rules={"message_hours": 0.5})
async def a_buyer_waits_for_an_answer(stage: Stage) -> None:
    """A buyer writes, and nobody answers for long."""
    order = await stage.bought()
    await stage.copied(order)
    stage.act("mirakl", "customer_message", order_id=order, body="Where is it?")
    trouble = await stage.trouble("X61", order)
    await stage.resolve(trouble)
    await stage.cured("X61", order)


@provokes("X79")
async def an_order_cannot_be_read(stage: Stage) -> None:
    """For once, an order comes without its lines."""

    def broken(shown: dict[str, Any]) -> None:
        shown["order_lines"] = "none"

    order = await stage.bought()
    stage.heard_otherwise(order, broken)
    await stage.trouble("X79", order)
    await stage.until(lambda: stage.copy(order), f"{order} is in Shopify", patience=12 * HOUR)
    await stage.cured("X79", order)


@provokes("X80")
async def a_state_is_new(stage: Stage) -> None:
    """For once, an order is in a state that nobody has heard of."""

    def odd(shown: dict[str, Any]) -> None:
        shown["order_state"] = "ON_THE_MOON"

    order = await stage.bought()
    await stage.copied(order)
    stage.heard_otherwise(order, odd)
    await stage.trouble("X80", order)
    await stage.wait(5 * MINUTE)
    stage.pack(await stage.copied(order))
    await stage.cured("X80", order)


@provokes("X94")
async def an_order_is_edited(stage: Stage) -> None:
    """Somebody adds a gift to an order in Shopify."""
    order = await stage.bought()
    copy = await stage.copied(order)
    stage.act("shopify", "staffEdit", order=copy.id, add=[[await stage.sku(), 1]])
    await stage.trouble("X94", order)
    await stage.release(order)
    await stage.cured("X94", order)


@provokes("X94")
async def a_unit_is_edited_away(stage: Stage) -> None:
    """Somebody takes a unit off an order in Shopify."""
    order = await stage.bought(2)
    copy = await stage.copied(order)
    [line] = copy.lines
    stage.act("shopify", "staffEdit", order=copy.id, quantities={str(line.id): 1})
    await stage.trouble("X94", order)
    await stage.release(order)
    await stage.cured("X94", order)


@provokes("X95")
async def a_test_order_comes(stage: Stage) -> None:
    """A test order is held until somebody has looked at it."""
    order = await stage.bought(test=True)
    await stage.trouble("X95", order)
    await stage.release(order)
    await stage.cured("X95", order)
