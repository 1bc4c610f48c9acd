"""What goes wrong with money and goods that go back."""

from ops.sandbox.mirakl.registry import RETURN_REASONS
from ops.simulate.provocations.orders import tried_again
from ops.simulate.provocations.stage import MINUTE, Stage, provokes

UNMAPPED = 3  # a return reason of Shopify's


def lines_of(stage: Stage, order: str) -> list[tuple[int, int]]:
    copy = stage.copy(order)
    assert copy is not None
    return [(line.id, line.current) for line in copy.lines if line.current]


@provokes("X48")
async def what_has_left_is_cancelled(stage: Stage) -> None:
    """An order was dispatched by hand on the marketplace, and then it is cancelled in Shopify."""
    order = await stage.bought()
    copy = await stage.copied(order)
    stage.act("mirakl", "operator_ship", order_id=order)
    stage.act("shopify", "staffCancel", order=copy.id)
    trouble = await stage.trouble("X48", order)
    for line in stage.order(order).alive:
        stage.act("mirakl", "operator_refund", order_line_id=line.id, share=1.0, shipping=True)
    await stage.cured("X48", trouble.subject)


@provokes("X49", channel={"reasons": {"cancel": "15", "refund": "17", "cancelation": "31"}})
async def a_reason_is_new(stage: Stage) -> None:
    """Goods come back for a reason that nobody has mapped."""
    order, copy, _ = await stage.shipped()
    number = stage.act("shopify", "staffReturn", order=copy.id, lines=lines_of(stage, order)[:1], reason=UNMAPPED)
    stage.act("shopify", "staffProcessReturn", number=number)
    trouble = await stage.trouble("X49", order)
    _, _, word = trouble.waits_for.split(":", 2)
    await stage.desk.map("reason", stage.settings.channel[0].id, word, "16", "a new code", replace=True)
    await stage.cured("X49", order)


@provokes("X50")
async def more_is_paid_back_than_is_left(stage: Stage) -> None:
    """Both sides pay the postage back at one moment, and not the same sum; in the end the marketplace pays everything."""
    order, copy, _ = await stage.shipped(shipping_prices=(500,))
    [line] = stage.order(order).lines
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=0.0, shipping=True)
    stage.act("shopify", "staffRefund", order=copy.id, shipping=200, restock=False)
    trouble = await stage.trouble("X50", order)
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=1.0, shipping=True)
    await stage.resolve(trouble)
    await stage.cured("X50", order)


@provokes("X51")
async def money_goes_back_for_no_line(stage: Stage) -> None:
    """Shopify pays the price of one line of two back, and does not say which it is for."""
    order, copy, _ = await stage.shipped(lines=2)
    line = stage.order(order).lines[0]
    stage.act("shopify", "staffRefund", order=copy.id, amount=line.price, note="A gesture")
    trouble = await stage.trouble("X51", order)
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=1.0, shipping=False)
    await stage.wait(10 * MINUTE)
    if (now := (await stage.troubles())[trouble.key]).open:
        await stage.resolve(now)
    await stage.cured("X51", order)


@provokes("X52")
async def a_refund_is_refused(stage: Stage) -> None:
    """The marketplace will not take a refund, for no reason."""
    order, copy, _ = await stage.shipped()
    stage.spoil("OR28", "http_400")
    stage.act("shopify", "staffRefund", order=copy.id, lines=lines_of(stage, order)[:1])
    await tried_again(stage, "X52", order)


@provokes("X53")
async def both_pay_at_once(stage: Stage) -> None:
    """The answer to our refund is lost, and meanwhile somebody at the marketplace refunds too."""
    order, copy, _ = await stage.shipped(quantity=2)
    [line] = stage.order(order).lines
    stage.spoil("OR28", "reset_before")
    number = copy.lines[0].id
    stage.act("shopify", "staffRefund", order=copy.id, lines=[(number, 1)])
    await stage.until(lambda: stage.sandbox.world.calls.faults.get("reset_before"), "the answer is lost")
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=0.3, shipping=False)
    trouble = await stage.trouble("X53", order)
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=1.0, shipping=True)
    await stage.wait(20 * MINUTE)
    for one in list((await stage.troubles()).values()):
        if one.open and one.subject == trouble.subject:
            await stage.resolve(one)
    await stage.cured("X53", order)


@provokes("X54", outcomes=("command B refused",))
async def a_record_is_refused(stage: Stage) -> None:
    """Shopify will not note what the marketplace paid back, for no reason."""
    order, _, _ = await stage.shipped()
    stage.spoil("refundCreate", "user_errors")
    [line] = stage.order(order).lines
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=0.25, shipping=False)
    await tried_again(stage, "X54")


@provokes("X56", rules={"refund_hours": 0.5})
async def a_refund_is_long_on_its_way(stage: Stage) -> None:
    """The operator does not pay out."""
    order, _, _ = await stage.shipped()
    stage.switch("mirakl", refund_delay=3600.0)
    [line] = stage.order(order).lines
    stage.act("mirakl", "operator_refund", order_line_id=line.id, share=0.25, shipping=False)
    await stage.trouble("X56", order)
    stage.switch("mirakl", refund_delay=60.0)
    await stage.cured("X56", order)


async def _returned(stage: Stage) -> tuple[str, str]:
    """An order that was received, and a return of it that the buyer asks for."""
    order, _, _ = await stage.shipped()
    stage.act("mirakl", "operator_receive", order_id=order)
    [line] = stage.order(order).lines
    back = {"order_line_id": line.id, "quantity": 1, "reason_code": RETURN_REASONS[0]}
    asked = {"order_commercial_id": stage.order(order).commercial_id, "method_code": "RETURN_METHOD_BY_MAIL", "return_lines": [back]}
    stage.act("mirakl", "request_return", returns=[asked])
    return order, str(await stage.until(lambda: next(iter(stage.order(order).returns), None), "the return is there"))


@provokes("X57", mirakl={"returns": True})
async def a_return_waits_for_an_answer(stage: Stage) -> None:
    """A buyer asks to send something back; somebody at the portal agrees."""
    order, number = await _returned(stage)
    await stage.trouble("X57", order)
    stage.act("mirakl", "RT21", returns=[{"id": number, "accepted": True}])
    await stage.cured("X57", order)


@provokes("X58", rules={"return_days": 0.1}, mirakl={"returns": True, "returns_accepted": "automatically"})
async def goods_do_not_come_back(stage: Stage) -> None:
    """A return was agreed to, and nothing comes."""
    order, number = await _returned(stage)
    await stage.trouble("X58", order)
    stage.act("mirakl", "miss_return", returns=[{"id": number}])
    await stage.cured("X58", order)
