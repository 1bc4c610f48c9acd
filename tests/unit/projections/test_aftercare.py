"""Cancelations, refunds and returns in both directions (R139-R141; invariants O6, R1-R4): once, to the penny, never echoed.

The table is to be read as documentation: given what had happened, when this comes, then so much is asked and told.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from projections.aftercare import Aftercare, aftercare
from projections.aftercare_policy import policy
from projections.allocation import share
from projections.rules import Channel, OrderRules
from schemas.commands import Command, LineRefund, RecordShopRefund, RefundLines, Remind
from schemas.events import Event
from schemas.events.aftercare import (
    RefundedUnits,
    RefundPushed,
    RefundSeen,
    RefundsMatched,
    ReturnAnswered,
    ReturnedUnits,
    ReturnSeen,
    ShopRefundRecorded,
    ShopRefundSeen,
    ShopReturnSeen,
)
from schemas.events.commands import CommandIssued
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved
from schemas.events.orders import OrderDebited, ShopOrderCancelled
from schemas.values import LineId, Money, OrderLine, ShopId, Sku, Tax
from tests.examples import (
    CHANNEL,
    KEY,
    NOON,
    ORDER,
    confirmed,
    created,
    fulfilled,
    line,
    line_state,
    market_cancelation,
    placed,
    refused,
    reminded,
    shop_seen,
    state,
)
from tests.spec import Spec, spec

LINE = LineId(f"{ORDER}-1")
STREAM = f"order-{CHANNEL}:{ORDER}"
SHOP_REFUND = ShopId("gid://shopify/Refund/1")
SHOP_RETURN = ShopId("gid://shopify/Return/1")
ZERO = Money(0, "GBP")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OF: dict[str, Any] = {"channel": CHANNEL, "order_id": ORDER}


def life(channel: Channel | None = None) -> Spec[Aftercare]:
    return spec(aftercare, policy(lambda _: channel or Channel()))


def asked(story: Spec[Aftercare]) -> list[str]:
    return [str(command.__struct_config__.tag) for command in story.asked if not isinstance(command, Remind)]


def told(story: Spec[Aftercare]) -> list[str]:
    signs: list[str] = []
    for note in story.told:
        match note:
            case ExceptionOpened(code=code):
                signs.append(code)
            case ExceptionClosed(key=key):
                signs.append(f"-{key.partition(':')[0]}")
            case RefundsMatched():
                signs.append("matched")
    return signs


def shop_refund(units: int = 1, amount: int = 2450, refund: str = SHOP_REFUND, **more: Any) -> ShopRefundSeen:
    restock = more.pop("restock", "RETURN")
    lines = (RefundedUnits(line_id=LINE, quantity=units, amount=Money(amount, "GBP"), tax=ZERO, restock=restock),) if units else ()
    fields: dict[str, Any] = {"lines": lines, "shipping": ZERO, "shipping_tax": ZERO, "other": ZERO, "created_at": NOON}
    return ShopRefundSeen(refund=ShopId(refund), **OF | fields | more)


def market_refund(amount: int = 2450, refund: str = "R1", **more: Any) -> RefundSeen:
    fields: dict[str, Any] = {"amount": Money(amount, "GBP"), "shipping_amount": ZERO, "quantity": 1, "state": "REFUNDED"}
    return RefundSeen(sku=Sku("TEE-RED-M"), refund=refund, **OF | {"line_id": LINE} | fields | more)


def later_refund() -> ShopRefundSeen:
    """After the order was cancelled in Shopify."""
    return shop_refund(2, 4900, created_at=NOON + 5 * HOUR)


def taxed_back(other: int = 0) -> ShopRefundSeen:
    """A whole line of 24.50 and 4.90 on top."""
    lines = (RefundedUnits(line_id=LINE, quantity=1, amount=Money(2450, "GBP"), tax=Money(490, "GBP"), restock="RETURN"),)
    return shop_refund(lines=lines, other=Money(other, "GBP"))


def market_return(state_: str, **more: Any) -> ReturnSeen:
    return ReturnSeen(return_id="T1", state=state_, **OF | {"lines": (ReturnedUnits(line_id=LINE, quantity=1),)} | more)


def shop_return(received: int = 0) -> ShopReturnSeen:
    lines = (ReturnedUnits(line_id=LINE, quantity=1),)
    return ShopReturnSeen(
        return_id=SHOP_RETURN, status="OPEN", lines=lines, received={LINE: received} if received else {}, mirrors="T1", **OF
    )


def issued(command: Command) -> CommandIssued:
    return CommandIssued(command_id=UUID(int=1), command=command)  # type: ignore[arg-type]


TWO = line(quantity=2)
PAID = [placed(TWO), state("SHIPPING"), OrderDebited(at=NOON, **OF), created(), shop_seen(units={LINE: 2})]
UNPAID = [placed(TWO, payment_workflow="PAY_ON_SHIPMENT"), state("SHIPPING"), created(), shop_seen(units={LINE: 2})]
SHORT = [placed(line(1), line(2)), state("SHIPPING"), OrderDebited(at=NOON, **OF), line_state("CANCELED", 2)]
LEFT = [*PAID, fulfilled({LINE: 2}), state("SHIPPED")]
CANCELLED = shop_seen(cancelled_at=NOON, updated_at=NOON + HOUR, units={})
ALL_BACK = market_refund(4900, quantity=2)
WHOLE = RefundPushed(refund="cancel", refunds=("R1",), **OF)
OURS = RefundPushed(refund=SHOP_REFUND, refunds=("R1",), **OF)
STOPPED = ShopOrderCancelled(shop_order=ShopId("o"), **OF)
TAKEN_BACK = [*PAID, fulfilled({LINE: 2}, status="CANCELLED", updated_at=NOON + HOUR), fulfilled({LINE: 2})]
BACK = [*LEFT, market_return("IN_PROGRESS"), shop_return()]
TWICE = [*LEFT, market_return("IN_PROGRESS", lines=(ReturnedUnits(line_id=LINE, quantity=1),) * 2), shop_return()]
LESS = Money(-1000, "GBP")
NOTED = [market_refund(1000), shop_refund(0, refund="gid://shopify/Refund/9", mirrors="R1")]
TAX = (Tax(code="VAT", amount=Money(490, "GBP"), rate="20"),)
NET = [placed(line(taxes=TAX), taxes_included=False), *LEFT[1:-2], fulfilled(), state("SHIPPED")]
NOTED_NET = [market_refund(1000, quantity=0, taxes=(Tax(code="VAT", amount=Money(200, "GBP")),)), NOTED[1]]
TOLD = issued(RefundLines(refund=SHOP_REFUND, reason="refund", taxes_included=True, lines=(), known=(), **OF))
RACED = [*LEFT, shop_refund(2, 4900), TOLD]
OVERTAKEN = refused("refund_lines", "somebody else was there first", "known", SHOP_REFUND)

TABLE: list[tuple[str, Sequence[Event], Event, list[str], list[str]]] = [
    # what it shows                                     given                      when                     asked, told
    ("refunded in Shopify: the marketplace gives it back", LEFT, shop_refund(), ["refund_lines"], []),
    ("refunded before the order left: likewise", PAID, shop_refund(restock="CANCEL"), ["refund_lines"], []),
    ("the same refund read again", [*LEFT, shop_refund()], shop_refund(), [], []),
    ("a second refund of the other unit", [*LEFT, shop_refund()], shop_refund(refund="gid://shopify/Refund/2"), ["refund_lines"], []),
    ("money for no line, of an order with one: that line", LEFT, shop_refund(0, other=Money(500, "GBP")), ["refund_lines"], []),
    ("more than is left: finance", LEFT, shop_refund(2, 9999), [], ["X50"]),
    ("shipping that nobody paid", LEFT, shop_refund(0, shipping=Money(350, "GBP")), [], ["X50"]),
    ("through a gateway that moves money: finance", LEFT, shop_refund(moved_money=True), [], ["X53"]),
    ("nothing of worth", LEFT, shop_refund(0), [], []),
    ("goods back, and no money", LEFT, shop_refund(other=Money(-2450, "GBP")), [], []),
    ("a reason that nobody mapped", [*LEFT, shop_refund()], refused("refund_lines", "unmapped: x", "reason", SHOP_REFUND), [], ["X49"]),
    ("somebody refunded there meanwhile", [*LEFT, shop_refund()], refused("refund_lines", "R9 is new", "refund", SHOP_REFUND), [], ["X53"]),
    ("the marketplace will not", [*LEFT, shop_refund()], refused("refund_lines", "no", "", SHOP_REFUND), [], ["X52"]),
    ("refunded on the marketplace: recorded in Shopify", LEFT, market_refund(), ["record_shop_refund"], []),
    ("its state changes: recorded once", [*LEFT, market_refund(state="WAITING_REFUND")], market_refund(), [], []),
    ("recorded: nothing is echoed", [*LEFT, market_refund()], shop_refund(mirrors="R1"), [], []),
    ("ours: nothing is recorded back", [*LEFT, shop_refund(), OURS], market_refund(), [], []),
    ("Shopify will not record it", [*LEFT, market_refund()], refused("record_shop_refund", "no", "", "R1"), [], ["X54"]),
    ("units cancelled on the marketplace: recorded", PAID, market_cancelation(), ["record_shop_refund"], []),
    ("a line cancelled before it came into Shopify: nothing to record", [*SHORT, market_cancelation(number=2)], created(), [], []),
    ("nor if Shopify was quicker", [*SHORT, created()], market_cancelation(number=2), [], []),
    ("nor of what is paid back for it", [*SHORT, created()], market_refund(line_id=LineId(f"{ORDER}-2")), [], []),
    ("the line beside it: recorded", [*SHORT, created()], market_refund(), ["record_shop_refund"], []),
    ("a parcel that was taken back, and then an older reading of it: not left", TAKEN_BACK, market_return("IN_PROGRESS"), [], []),
    ("cancelled there at our word: nothing to record", [*PAID, STOPPED], market_cancelation(), [], []),
    ("cancelled in Shopify after the payment: refunded whole", PAID, CANCELLED, ["refund_lines"], []),
    ("cancelled in Shopify before the payment: cancelled", UNPAID, CANCELLED, ["cancel_order"], []),
    ("and that is refused, since it was paid meanwhile: refunded", [*UNPAID, CANCELLED], refused("cancel_order"), ["refund_lines"], []),
    ("cancelled in Shopify after it left: CX", LEFT, CANCELLED, [], ["X48"]),
    ("cancelled by us because the marketplace did: nothing", [*PAID, STOPPED], CANCELLED, [], []),
    ("cancelled in Shopify, all of it is refunded there by now", [*PAID, CANCELLED, ALL_BACK], state("CLOSED"), [], []),
    ("the cancelation's own refund in Shopify is not a second one", [*PAID, CANCELLED], shop_refund(2, 4900, restock="CANCEL"), [], []),
    ("nor is a later one", [*PAID, CANCELLED], later_refund(), [], []),
    ("not even once all is refunded and the order closed", [*PAID, CANCELLED, WHOLE, state("CLOSED")], later_refund(), [], []),
    ("cancelled after it left: its own refund is for CX", [*LEFT, CANCELLED], shop_refund(2, 4900, created_at=NOON + MINUTE), [], []),
    ("refunded in Shopify instead: the marketplace gives it back", [*LEFT, CANCELLED], later_refund(), ["refund_lines"], []),
    ("units taken off before the payment, where sellers may not", UNPAID, shop_refund(restock="CANCEL"), [], ["X48"]),
    ("and then it is paid: refunded", [*UNPAID, shop_refund(restock="CANCEL")], OrderDebited(at=NOON, **OF), ["refund_lines"], ["-X48"]),
    ("all units taken off before the payment: cancelled", UNPAID, shop_refund(2, 4900, restock="CANCEL"), ["cancel_order"], []),
    ("both sides refund the same: one refund", [*LEFT, market_refund()], shop_refund(), [], ["matched"]),
    ("both sides refund, not the same", [*LEFT, market_refund(1000)], shop_refund(), ["refund_lines"], []),
    ("a part refunded there: the rest is told", [*LEFT, market_refund(1000)], shop_refund(2, 4900), ["refund_lines"], ["matched"]),
    ("the other way round: likewise", [*LEFT, shop_refund(2, 4900), TOLD], market_refund(1000), [], []),
    ("and ours is refused for it: asked anew", [*RACED, market_refund(1000)], OVERTAKEN, ["refund_lines"], ["matched"]),
    ("refused before the reason is seen: asked anew then", [*RACED, OVERTAKEN], market_refund(1000), ["refund_lines"], ["matched", "-X53"]),
    ("refused for one that was not seen: finance, for now", RACED, OVERTAKEN, [], ["X53"]),
    ("paid less by what was refunded before", [*LEFT, *NOTED], shop_refund(2, 4900, other=LESS), ["refund_lines"], []),
    ("paid less than that: finance", [*LEFT, *NOTED], shop_refund(2, 4900, other=Money(-1100, "GBP")), [], ["X51"]),
    ("paid whole although a part was refunded: the rest", [*LEFT, *NOTED], shop_refund(2, 4900), ["refund_lines"], []),
    ("paid more than was ever due: finance", [*LEFT, *NOTED], shop_refund(2, 5000), [], ["X50"]),
    ("taxes on top: all of it back, on no line", NET, shop_refund(0, other=Money(2940, "GBP")), ["refund_lines"], []),
    ("taxes on top: more than all of it", NET, shop_refund(0, other=Money(2941, "GBP")), [], ["X51"]),
    ("taxes on top: goods back, and no money", NET, taxed_back(-2940), [], []),
    ("taxes on top: paid less by what was refunded before", [*NET, *NOTED_NET], taxed_back(-1200), ["refund_lines"], []),
    ("taxes on top: paid less by more than that", [*NET, *NOTED_NET], taxed_back(-1100), [], ["X51"]),
    ("a refund on its way for long", [*LEFT, market_refund(state="WAITING_REFUND", at=NOON)], reminded(NOON + 72 * HOUR), [], ["X56"]),
    ("a return is asked for: CX answers", LEFT, market_return("WAITING_ACCEPTANCE"), [], ["X57"]),
    ("a return is on its way: recorded", LEFT, market_return("IN_PROGRESS"), ["record_shop_return"], []),
    ("its goods are back: the marketplace learns it", BACK, shop_return(1), ["answer_return"], []),
    ("half of a line that is listed twice is back: not yet", TWICE, shop_return(1), [], []),
    ("and the other half", [*TWICE, shop_return(1)], shop_return(2), ["answer_return"], []),
    ("received: said to be sound", [*BACK, shop_return(1)], ReturnAnswered(return_id="T1", answer="received", **OF), ["answer_return"], []),
    ("received there and nothing refunded", LEFT, market_return("RECEIVED"), [], ["X57"]),
    ("the goods do not come back", [*LEFT, market_return("IN_PROGRESS", at=NOON)], reminded(NOON + timedelta(days=30)), [], ["X58"]),
    ("refused on the marketplace: nothing is asked of it", [*PAID, state("CANCELED")], shop_refund(), [], []),
]  # fmt: skip


@pytest.mark.parametrize(("history", "event", "commands", "notes"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_follows(history: Sequence[Event], event: Event, commands: list[str], notes: list[str]) -> None:
    story = life().given(*history).when(event)
    assert (asked(story), told(story)) == (commands, notes)


@pytest.mark.parametrize(("history", "event"), [row[1:3] for row in TABLE], ids=[row[0] for row in TABLE])
def test_whatever_is_heard_twice_asks_and_tells_nothing_more(history: Sequence[Event], event: Event) -> None:
    story = life().given(*history, event)
    story.given(*(note for note in story.told)).when(event)
    assert asked(story) == []


# ---------------------------------------------------------------- to the penny


def pushed(*events: Event, channel: Channel | None = None) -> RefundLines:
    story = life(channel).given(*events[:-1]).when(events[-1])
    [command] = [each for each in story.asked if isinstance(each, RefundLines)]
    return command


def test_a_refund_carries_lines_amounts_and_what_was_known_before() -> None:
    command = pushed(*LEFT, market_refund(1000, "R0"), shop_refund())
    assert command == RefundLines(
        refund=SHOP_REFUND,
        reason="refund",
        taxes_included=True,
        lines=(LineRefund(line_id=LINE, amount=Money(2450, "GBP"), shipping_amount=ZERO, quantity=1),),
        known=("R0",),
        **OF,
    )


def test_what_both_sides_refunded_is_told_once() -> None:
    def back(*events: Event) -> list[tuple[int, int, int]]:
        return [(part.quantity, part.amount.minor, part.shipping_amount.minor) for part in pushed(*events).lines]

    theirs, rest = market_refund(1000, quantity=0), RefundsMatched(refund=SHOP_REFUND, refunds=("R1",), rest=True, **OF)
    assert back(*LEFT, theirs, shop_refund(2, 4900)) == [(2, 3900, 0)]
    assert back(*RACED, OVERTAKEN, theirs) == [(2, 3900, 0)]
    assert back(*RACED, theirs, rest, OVERTAKEN) == [(2, 3900, 0)]
    carried = [*LEFT, placed(replace(TWO, shipping_price=Money(500, "GBP")))]
    postage = market_refund(1000, shipping_amount=Money(500, "GBP"), quantity=0)
    assert back(*carried, postage, shop_refund(2, 4900, shipping=Money(500, "GBP"))) == [(2, 3900, 0)]
    assert back(*LEFT, theirs, shop_refund(2, 4900, other=LESS)) == [(2, 3900, 0)]
    assert back(*LEFT, *NOTED, shop_refund(2, 4900))[0][1:] == (3900, 0)
    assert back(*carried, theirs, shop_refund(2, 4900, other=Money(-500, "GBP"))) == [(2, 3900, 500)]  # all that was left to pay


def test_of_a_part_that_both_refunded_no_record_is_asked_for() -> None:
    story = life().given(*LEFT, shop_refund(2, 4900)).when(market_refund(1000))
    assert [(note.refunds, note.rest) for note in story.told if isinstance(note, RefundsMatched)] == [(("R1",), True)]
    assert "record_shop_refund" not in asked(story)


def test_what_will_not_follow_is_taken_out_of_what_is_to_be_shipped() -> None:
    assert [part.not_to_ship for part in pushed(*PAID, shop_refund(restock="CANCEL")).lines] == [True]
    assert [part.not_to_ship for part in pushed(*LEFT, shop_refund()).lines] == [False]


def test_one_unit_that_left_and_one_that_will_not_are_told_apart() -> None:
    half = [*PAID, fulfilled({LINE: 1})]
    whole = shop_refund(2, 4899)
    parts = tuple(
        RefundedUnits(line_id=LINE, quantity=1, amount=Money(a, "GBP"), tax=ZERO, restock=r)
        for a, r in ((2449, "CANCEL"), (2450, "RETURN"))
    )
    staying, gone = pushed(*half, replace(whole, lines=parts)).lines
    assert (staying.not_to_ship, staying.quantity, staying.amount.minor) == (True, 1, 2449)
    assert (gone.not_to_ship, gone.quantity, gone.amount.minor) == (False, 1, 2450)


def test_units_that_a_refund_leaves_on_the_order_are_still_to_be_shipped() -> None:
    """Neither restocked nor taken off: the warehouse packs them, paid back or not."""
    assert [part.not_to_ship for part in pushed(*PAID, shop_refund(restock="NO_RESTOCK")).lines] == [False]


def taxed(price: int, tax: int, quantity: int, shipping: int = 0, shipping_tax: int = 0) -> OrderLine:
    return line(
        quantity=quantity,
        price=price // quantity,
        taxes=(Tax(code="VAT", amount=Money(tax, "GBP")),),
        shipping_price=Money(shipping, "GBP"),
        shipping_taxes=(Tax(code="VAT", amount=Money(shipping_tax, "GBP")),) if shipping_tax else (),
    )


def test_parts_add_up_to_the_whole_to_the_penny() -> None:
    """Three units with a tax that cannot be divided by three: the last part takes what is left."""
    sold = placed(taxed(3000, 500, 3))
    history = [sold, *LEFT[1:]]
    first = pushed(*history, shop_refund(1, 1000))
    assert [tax.amount.minor for tax in first.lines[0].taxes] == [167]
    taken = market_refund(1000, "R1", taxes=first.lines[0].taxes)
    known = [*history, shop_refund(1, 1000), RefundPushed(refund=SHOP_REFUND, refunds=("R1",), **OF), taken]
    last = pushed(*known, shop_refund(2, 2000, "gid://shopify/Refund/2"))
    assert [tax.amount.minor for tax in last.lines[0].taxes] == [333]


@given(st.integers(1, 2940), st.integers(0, 490))
def test_with_taxes_on_top_an_amount_is_parted_to_the_penny(minor: int, first: int) -> None:
    taxes = tuple(Tax(code=code, amount=Money(tax, "GBP")) for code, tax in (("STATE", first), ("CITY", 490 - first)))
    [part] = pushed(placed(line(taxes=taxes), taxes_included=False), *NET[1:], shop_refund(0, other=Money(minor, "GBP"))).lines
    assert part.amount.minor + sum(tax.amount.minor for tax in part.taxes) == minor
    assert abs(part.amount.minor * 1.2 - minor) <= 1
    assert all(0 <= some.amount.minor <= tax.amount.minor for some, tax in zip(part.taxes, taxes, strict=True))


def test_with_taxes_on_top_money_beside_a_line_is_parted_too() -> None:
    half = replace(taxed_back().lines[0], amount=Money(1225, "GBP"), tax=Money(245, "GBP"))
    [part] = pushed(*NET, shop_refund(lines=(half,), other=Money(600, "GBP"))).lines
    assert (part.quantity, part.amount.minor, [tax.amount.minor for tax in part.taxes]) == (1, 1725, [345])


def test_shipping_goes_back_on_the_line_that_paid_for_it() -> None:
    history = [placed(taxed(4900, 0, 2, shipping=350, shipping_tax=58)), *LEFT[1:]]
    [part] = pushed(*history, shop_refund(0, shipping=Money(350, "GBP"))).lines
    assert (part.amount, part.shipping_amount.minor, [tax.amount.minor for tax in part.shipping_taxes]) == (ZERO, 350, [58])


def test_money_for_no_line_of_an_order_with_two_is_for_a_person() -> None:
    two = placed(line(1), line(2, sku="CAP"))
    assert told(life().given(two, *LEFT[1:]).when(shop_refund(0, other=Money(500, "GBP")))) == ["X51"]


def test_what_is_on_no_line_is_said_as_people_would_say_it() -> None:
    two = placed(line(1), line(2, sku="CAP"))
    for units, other, words in ((0, 500, "5.00 of it are on no line"), (1, -500, "it pays 5.00 less than its lines come to")):
        [note] = life().given(two, *LEFT[1:]).when(shop_refund(units, other=Money(other, "GBP"))).told
        assert isinstance(note, ExceptionOpened) and note.summary.endswith(f": {words}"), note


def test_taxes_on_top_are_recorded_with_the_rest() -> None:
    story = life().given(placed(TWO, taxes_included=False), *LEFT[1:])
    story.when(market_refund(taxes=(Tax(code="VAT", amount=Money(490, "GBP")),)))
    [command] = [each for each in story.asked if isinstance(each, RecordShopRefund)]
    assert (command.amount.minor, command.restock, command.lines) == (2940, "NO_RESTOCK", {LINE: 1})


PART, REST = market_refund(500), market_refund(4400, "R2", quantity=2)
OVER = [*PAID, line_state("REFUNDED")]
NOTED_PART = ShopRefundRecorded(mirrors="R1", refund=SHOP_REFUND, **OF)


@pytest.mark.parametrize(
    ("history", "event", "units", "restock"),
    [
        (LEFT, market_refund(), 1, "NO_RESTOCK"),
        (LEFT, PART, 0, "NO_RESTOCK"),  # a gesture that names a unit
        ([*LEFT, PART, NOTED_PART], REST, 2, "NO_RESTOCK"),
        (LEFT, market_refund(4900, quantity=0), 0, "NO_RESTOCK"),  # its goods may still come back
        (OVER, market_refund(4900, quantity=0), 2, "CANCEL"),
        (OVER, market_refund(4900, quantity=2), 2, "CANCEL"),
        (OVER, market_refund(500, quantity=0), 0, "NO_RESTOCK"),
        ([*OVER, PART, NOTED_PART], market_refund(4400, "R2", quantity=0), 2, "CANCEL"),
        ([*OVER, market_refund(), NOTED_PART], market_refund(2450, "R2", quantity=0), 1, "CANCEL"),
        ([*OVER, market_cancelation(), market_refund(500, "R8")], market_refund(1950, "R12", quantity=0), 1, "CANCEL"),
        ([*OVER, market_refund(4900)], market_refund(0, "R2", shipping_amount=Money(350, "GBP")), 0, "NO_RESTOCK"),
        (PAID, market_refund(4900, quantity=2), 2, "CANCEL"),
        ([*PAID, line_state("SHIPPING")], market_refund(4900, quantity=2), 0, "NO_RESTOCK"),
    ],
)
def test_units_follow_the_money(history: list[Event], event: RefundSeen, units: int, restock: str) -> None:
    """What the marketplace says of units is informative: amounts tell."""
    [command] = [each for each in life().given(*history).when(event).asked if isinstance(each, RecordShopRefund)]
    assert (sum(command.lines.values()), command.restock) == (units, restock)


def test_units_still_in_the_house_are_put_back() -> None:
    story = life().given(*PAID).when(market_cancelation())
    [command] = [each for each in story.asked if isinstance(each, RecordShopRefund)]
    assert command.restock == "CANCEL"


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4000)), max_size=5))
def test_never_more_than_was_paid(refunds: list[tuple[int, int]]) -> None:
    """R2: whatever is refunded in Shopify, the marketplace is never asked for more than is left of the line."""
    sold, story = placed(line(quantity=3, price=1000)), life()
    story.given(sold, *LEFT[1:])
    total = units = 0
    for number, (quantity, amount) in enumerate(refunds):
        story.given().when(shop_refund(quantity, amount, f"gid://shopify/Refund/{number}"))
        for command in story.asked:
            if isinstance(command, RefundLines):
                [part] = command.lines
                total, units = total + part.amount.minor, units + part.quantity
                seen = market_refund(part.amount.minor, f"R{number}", quantity=part.quantity)
                story.given(RefundPushed(refund=command.refund, refunds=(f"R{number}",), **OF), seen)
    assert total <= 3000 and units <= 3


# ---------------------------------------------------------------- one thing at a time


def test_what_is_new_while_our_own_refund_is_under_way_is_not_taken_for_a_strangers() -> None:
    story = life().given(*LEFT).when(shop_refund())
    [command] = [each for each in story.asked if isinstance(each, RefundLines)]
    story.given(issued(command)).when(market_refund())  # the poll was quicker than the answer
    assert asked(story) == []
    story.given(RefundPushed(refund=SHOP_REFUND, refunds=("R1",), **OF)).when(confirmed("refund_lines", SHOP_REFUND))
    assert asked(story) == []


def test_a_strangers_refund_is_recorded_once_ours_is_over() -> None:
    story = life().given(*LEFT).when(shop_refund())
    [command] = [each for each in story.asked if isinstance(each, RefundLines)]
    story.given(issued(command)).when(market_refund(1000, "R7"))
    story.when(RefundPushed(refund=SHOP_REFUND, refunds=("R1",), **OF), confirmed("refund_lines", SHOP_REFUND))
    assert asked(story) == ["record_shop_refund"]


def test_a_person_may_settle_a_refund_elsewhere() -> None:
    story = life().given(*LEFT, shop_refund(2, 9999))
    story.when(ExceptionResolved(key=f"X50:{STREAM}:{SHOP_REFUND}", subject=STREAM, reason="refunded by hand"))
    assert (asked(story), told(story)) == ([], ["-X50"])
    story.given().when(market_refund())
    assert asked(story) == ["record_shop_refund"]  # what came of that is seen, and recorded like any other


def test_sellers_who_may_take_units_off_do_so() -> None:
    story = life(Channel(rules=OrderRules(partial_cancelation=True))).given(*UNPAID).when(shop_refund(restock="CANCEL"))
    assert asked(story) == ["cancel_units"]


def test_recorded_by_our_own_answer_is_recorded() -> None:
    story = life().given(*LEFT, market_refund()).when(ShopRefundRecorded(mirrors="R1", refund=SHOP_REFUND, **OF), market_refund(state="X"))
    assert asked(story) == []


def test_a_share_needs_living_lines() -> None:
    story = life().given(*PAID, state("SHIPPED"))
    row = story.rows[KEY]
    stranger = RefundedUnits(line_id=LineId("other"), quantity=1, amount=Money(1, "GBP"), tax=ZERO)
    assert share(row, shop_refund(lines=(stranger,))).code == "X50"


def test_a_refund_of_several_lines_that_both_sides_made_is_told_once() -> None:
    """Or, after a log was restored to an earlier state, that is our own and not remembered."""
    two = [placed(line(1, quantity=2), line(2, "MUG", quantity=2, price=900)), created(), state("SHIPPED")]
    units = [RefundedUnits(line_id=LineId(f"{ORDER}-{n}"), quantity=1, amount=Money(m, "GBP"), tax=ZERO) for n, m in ((1, 2450), (2, 900))]
    seen = replace(shop_refund(), lines=tuple(units))
    there = [market_refund(), replace(market_refund(900, "R2"), line_id=LineId(f"{ORDER}-2"), sku=Sku("MUG"))]
    story = life().given(*two, *there).when(seen)
    assert asked(story) == [] and [note.refunds for note in story.told if isinstance(note, RefundsMatched)] == [("R1", "R2")]
    assert asked(life().given(*two, there[0]).when(seen)) == ["refund_lines"], "one of them is not the other"
    odd = replace(there[1], amount=Money(700, "GBP"))
    assert asked(life().given(*two, there[0], odd).when(seen)) == ["refund_lines"]
