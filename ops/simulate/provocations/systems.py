"""What goes wrong with a system as a whole, and commands of each class in each outcome."""

from collections.abc import Iterable

from ops.simulate.provocations.aftercare import lines_of
from ops.simulate.provocations.orders import tried_again
from ops.simulate.provocations.stage import HOUR, MINUTE, PROVOCATIONS, Provocation, Stage, provokes


@provokes("X18")
async def a_subscription_is_gone(stage: Stage) -> None:
    """Shopify has taken a subscription away."""
    gone = await stage.until(lambda: next(iter(stage.shop.subscriptions), None), "there are subscriptions")
    await stage.wait(10 * MINUTE)
    stage.sandbox.apply("shopify.webhookSubscriptionDelete", {"subscription": f"gid://shopify/WebhookSubscription/{gone}"})
    await stage.trouble("X18")
    await stage.cured("X18")


@provokes("X76")
async def a_key_is_refused(stage: Stage) -> None:
    """For a while, the marketplace does not know our key."""
    stage.spoil("OR11", "http_401", count=2)
    await stage.trouble("X76")
    await stage.cured("X76")


@provokes("X78")
async def a_system_is_away(stage: Stage) -> None:
    """For a while, the marketplace does not answer."""
    stage.spoil("OR11", "http_503", count=8)
    await stage.trouble("X78")
    await stage.cured("X78")


@provokes("X90")
async def people_ask(stage: Stage) -> None:
    """A buyer wants to know what is held of them, which a person tells; another wants to be forgotten, and is."""
    curious, shy = await stage.bought(), await stage.bought()
    copies = [await stage.copied(order) for order in (curious, shy)]
    hook = await stage.until(lambda: next(iter(stage.shop.subscriptions.values()), None), "there are subscriptions")
    stage.act("shopify", "privacyAddress", uri=hook.uri)
    stage.act("shopify", "dataRequest", order=copies[0].id)
    stage.act("shopify", "redact", order=copies[1].id)
    await stage.resolve(await stage.trouble("X90"))
    await stage.cured("X90")
    await stage.erased(shy)


async def _given_up(stage: Stage, operation: str, about: str = "") -> None:
    """A person lets what was given up try again, and now it works."""
    trouble = await stage.trouble("X84", about, patience=48 * HOUR)
    stage.mend(operation)
    await stage.retry(trouble)
    await stage.cured("X84", trouble.subject)


@provokes("X84", outcomes=("command A buried",))
async def a_reference_is_given_up(stage: Stage) -> None:
    """For hours, the marketplace does not take the name of an order."""
    stage.spoil("OR04", "http_503", count=None)
    await _given_up(stage, "OR04", await stage.bought())


@provokes("X84", outcomes=("command B buried",))
async def a_record_is_given_up(stage: Stage) -> None:
    """For hours, Shopify notes no refund."""
    order, _, _ = await stage.shipped()
    stage.spoil("refundCreate", "http_503", count=None)
    [line] = stage.order(order).lines
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=0.25, shipping=False)
    await _given_up(stage, "refundCreate", order)


@provokes("X84", outcomes=("command C buried",))
async def a_hold_is_given_up(stage: Stage) -> None:
    """For hours, Shopify puts nothing on hold."""
    order = await stage.bought()
    await stage.copied(order)
    stage.spoil("fulfillmentOrderHold", "http_503", count=None)
    await stage.desk.hold(order, "a call")
    await _given_up(stage, "fulfillmentOrderHold", order)
    await stage.release(order)


@provokes("X84", outcomes=("command D buried",))
async def a_refund_is_given_up(stage: Stage) -> None:
    """For hours, the marketplace takes no refund."""
    order, copy, _ = await stage.shipped()
    stage.spoil("OR28", "http_503", count=None)
    stage.act("shopify", "staffRefund", order=copy.id, lines=lines_of(stage, order)[:1])
    await _given_up(stage, "OR28", order)


@provokes("X28", outcomes=("command A refused",))
async def a_reference_is_refused(stage: Stage) -> None:
    """The marketplace will not take the name of an order, for no reason."""
    stage.spoil("OR04", "http_400")
    await stage.bought()
    await tried_again(stage, "X28")


@provokes("X30", shopify={"duplicate_metafield": "create_without"}, outcomes=("fault sent_twice",))
async def an_order_is_made_twice(stage: Stage) -> None:
    """Something on the way sends a creation twice, and Shopify makes both."""
    stage.spoil("orderCreate", "sent_twice")
    order = await stage.bought()
    await stage.trouble("X30", order, was=True)
    await stage.cured("X30", order)


@provokes(outcomes=("command A confirmed", "command A unknown"))
async def the_answer_to_a_reference_is_lost(stage: Stage) -> None:
    """The marketplace has taken the name of an order, and the answer never comes."""
    stage.spoil("OR04", "reset_after")
    order = await stage.bought()
    await stage.until(lambda: stage.order(order).seller_reference, f"{order} has its reference")


@provokes(outcomes=("command B confirmed", "command B unknown"))
async def the_answer_to_a_record_is_lost(stage: Stage) -> None:
    """Shopify has noted a refund, and the answer never comes."""
    order, copy, _ = await stage.shipped()
    stage.spoil("refundCreate", "reset_after")
    [line] = stage.order(order).lines
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=0.25, shipping=False)
    await stage.until(lambda: copy.refunds, "it is noted in Shopify")


@provokes(outcomes=("command C confirmed", "command C unknown", "command C found"))
async def the_answer_to_an_acceptance_is_lost(stage: Stage) -> None:
    """The marketplace has taken an acceptance, and the answer never comes; another is answered."""
    stage.spoil("OR21", "reset_after")
    await stage.copied(await stage.bought())
    await stage.copied(await stage.bought())


@provokes(outcomes=("command D confirmed", "command D unknown", "command D found"))
async def the_answer_to_a_creation_is_lost(stage: Stage) -> None:
    """Shopify has created an order, and the answer never comes; another is answered."""
    stage.spoil("orderCreate", "reset_after")
    await stage.copied(await stage.bought())
    await stage.copied(await stage.bought())


def bringing(wanted: Iterable[str]) -> list[Provocation]:
    """Those that bring about one of these: `exception X44`, `command A buried`."""
    return [one for one in PROVOCATIONS.values() if not {*(f"exception {code}" for code in one.codes), *one.outcomes}.isdisjoint(wanted)]
