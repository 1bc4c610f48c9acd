"""Refunds, cancelations and returns against a marketplace that pays twice when asked twice, with answers lost and other hands at work."""

from typing import Any

import msgspec
import pytest

from engine.adapter import Done, Refused
from engine.errors import RejectedError, UnknownOutcomeError
from ops.sandbox.faults import Fault
from schemas.commands import AnswerReturn, CancelUnits, LineRefund, RefundLines
from schemas.events.aftercare import RefundSeen, ReturnSeen, UnitsCanceled
from schemas.events.orders import OrderPlaced
from schemas.values import Money
from tests.contract.mirakl.round_trip import ASOS, Round, accepting, round_trip, shipping

pytestmark = pytest.mark.anyio


def back(placed: OrderPlaced, units: int) -> LineRefund:
    """So many units of its only line, with their share of its taxes."""
    line = placed.lines[0]
    return LineRefund(
        line_id=line.line_id,
        amount=line.unit_price * units,
        shipping_amount=Money(0, placed.currency),
        quantity=units,
        taxes=tuple(
            msgspec.structs.replace(tax, amount=Money(tax.amount.minor * units // line.quantity, placed.currency)) for tax in line.taxes
        ),
    )


def refunding(placed: OrderPlaced, units: int = 1, **more: Any) -> RefundLines:
    fields: dict[str, Any] = {"refund": "gid://shopify/Refund/1", "reason": "refund", "known": ()}
    return RefundLines(
        channel=ASOS, order_id=placed.order_id, taxes_included=placed.taxes_included, lines=(back(placed, units),), **fields | more
    )


async def shipped(it: Round, units: int = 2) -> OrderPlaced:
    placed = await it.to_ship(units)
    assert isinstance(await it.perform(shipping(placed)), Done)
    await it.poll(minutes=5)
    return placed


@pytest.mark.parametrize("tax_mode", ["TAX_INCLUDED", "TAX_EXCLUDED"])
@pytest.mark.parametrize("currency", ["GBP", "EUR"])
async def test_a_refund_is_heard_as_it_was_asked_for(tax_mode: str, currency: str):
    async with round_trip(tax_mode=tax_mode, currency=currency) as it:
        placed = await shipped(it)
        assert placed.taxes_included == (tax_mode == "TAX_INCLUDED") and placed.stated_total is not None
        command = refunding(placed)
        assert await it.look(command) is None
        done = await it.perform(command)
        [made] = done.effects[0].event.refunds
        [seen] = await it.of(RefundSeen, placed.order_id, seconds=1)
        [asked] = command.lines
        assert (seen.refund, seen.amount, seen.shipping_amount, seen.quantity) == (made, asked.amount, asked.shipping_amount, 1)
        assert sum(tax.amount.minor for tax in seen.taxes) == sum(tax.amount.minor for tax in asked.taxes)
        states = [seen.state]
        for _ in range(4):
            states += [event.state for event in await it.of(RefundSeen, placed.order_id, minutes=5)]
        assert states[0] == "WAITING_REFUND" and states[-1] == "REFUNDED"


@pytest.mark.parametrize("takes_effect", [True, False])
@pytest.mark.parametrize("action", ["drop", "cut"])
async def test_a_refund_whose_answer_was_lost_is_made_once(takes_effect: bool, action: Any):
    async with round_trip() as it:
        placed = await shipped(it)
        command = refunding(placed)
        it.sandbox.faults.add(Fault("OR28", action, takes_effect=takes_effect))
        with pytest.raises(UnknownOutcomeError):
            await it.perform(command)
        seen = await it.look(command, called=True)
        if takes_effect or action == "cut":
            assert isinstance(seen, Done)
        else:
            assert seen is None and isinstance(await it.perform(command), Done)
        [line] = it.theirs(placed.order_id).lines
        assert len(line.refunds) == 1


async def test_an_operator_who_refunds_in_between_stops_us():
    async with round_trip() as it:
        placed = await shipped(it)
        command = refunding(placed)
        foreign = it.happens("operator_refund", order_line_id=placed.lines[0].line_id, share=0.25, shipping=False)
        seen = await it.look(command)
        assert isinstance(seen, Refused) and seen.field == "known" and foreign in seen.detail
        again = msgspec.structs.replace(command, known=(foreign,))
        assert await it.look(again) is None, "decided knowing of it"


async def test_an_operator_who_refunds_while_our_answer_is_lost_is_told_from_us():
    async with round_trip() as it:
        placed = await shipped(it)
        command = refunding(placed)
        it.sandbox.faults.add(Fault("OR28", "drop", takes_effect=False))
        with pytest.raises(UnknownOutcomeError):
            await it.perform(command)
        it.happens("operator_refund", order_line_id=placed.lines[0].line_id, share=0.25, shipping=False)
        seen = await it.look(command, called=True)
        assert isinstance(seen, Refused) and seen.field == "refund", "not our amount: a person must say"
    async with round_trip() as it:
        placed = await shipped(it)
        it.sandbox.faults.add(Fault("OR28", "drop", takes_effect=True))
        with pytest.raises(UnknownOutcomeError):
            await it.perform(refunding(placed))
        it.happens("operator_refund", order_line_id=placed.lines[0].line_id, share=0.25, shipping=False)
        assert isinstance(await it.look(refunding(placed), called=True), Done)


async def test_all_that_is_left_cannot_go_back_twice():
    """Upon this rests that a refund of it needs no fresh look."""
    async with round_trip() as it:
        placed = await shipped(it)
        command = refunding(placed, placed.lines[0].quantity)
        it.happens("operator_refund", order_line_id=placed.lines[0].line_id, share=0.1, shipping=False)
        assert await it.look(command) is None, "the last poll does not know of it"
        with pytest.raises(RejectedError):
            await it.perform(command)
        assert isinstance(await it.look(msgspec.structs.replace(command), called=True), Refused)
        [line] = it.theirs(placed.order_id).lines
        assert len(line.refunds) == 1


def staying(command: RefundLines) -> RefundLines:
    return msgspec.structs.replace(command, lines=tuple(msgspec.structs.replace(line, not_to_ship=True) for line in command.lines))


async def test_units_that_are_out_of_stock_are_paid_back_and_not_shipped():
    async with round_trip() as it:
        placed = await it.to_ship(2)
        assert isinstance(await it.perform(staying(refunding(placed, 2, reason="cancel"))), Done)
        [line] = it.theirs(placed.order_id).lines
        assert line.refunds[0].excluded and line.to_ship == 0


async def test_where_the_currency_is_not_the_platforms_it_is_said():
    async with round_trip(currency="EUR", platform_currency="GBP") as it:
        placed = await shipped(it)
        assert placed.currency == "EUR" and isinstance(await it.perform(refunding(placed)), Done)


# ---------------------------------------------------------------- units that nobody has paid for


@pytest.mark.parametrize("takes_effect", [True, False])
async def test_units_are_given_up_once(takes_effect: bool):
    async with round_trip(partial_cancelation="open", payment_workflow="PAY_ON_SHIPMENT") as it:
        placed = await it.sold(3)
        await it.perform(accepting(placed))
        await it.poll(minutes=5)
        command = CancelUnits(
            channel=ASOS,
            order_id=placed.order_id,
            refund="cancel",
            reason="cancel",
            taxes_included=placed.taxes_included,
            lines=(back(placed, 1),),
            known=(),
        )
        assert await it.look(command) is None
        it.sandbox.faults.add(Fault("OR30", "drop", takes_effect=takes_effect))
        with pytest.raises(UnknownOutcomeError):
            await it.perform(command)
        seen = await it.look(command, called=True)
        if takes_effect:
            assert isinstance(seen, Done)
        else:
            assert seen is None and isinstance(await it.perform(command), Done)
        heard = await it.poll(seconds=1)
        [canceled] = [event for event in heard if isinstance(event, UnitsCanceled)]
        assert (canceled.quantity, canceled.amount) == (1, placed.lines[0].unit_price)
        [again] = [event for event in heard if isinstance(event, OrderPlaced) and event.order_id == placed.order_id]
        assert again == placed, "as first sold, whatever was canceled since"


async def test_where_sellers_may_not_cancel_units_they_are_told_so():
    async with round_trip(partial_cancelation="closed_400", payment_workflow="PAY_ON_SHIPMENT") as it:
        placed = await it.sold(2)
        await it.perform(accepting(placed))
        await it.poll(minutes=5)
        fields = {
            field: getattr(refunding(placed), field)
            for field in ("channel", "order_id", "refund", "reason", "taxes_included", "lines", "known")
        }
        with pytest.raises(RejectedError):
            await it.perform(CancelUnits(**fields))


# ---------------------------------------------------------------- goods that come back


async def test_a_return_is_heard_and_answered():
    async with round_trip(returns=True) as it:
        placed = await shipped(it)
        await it.poll("platform")
        it.happens("customer_receives", order_id=placed.order_id)
        line = placed.lines[0].line_id
        asked = {
            "order_commercial_id": placed.commercial_id,
            "method_code": "RETURN_METHOD_BY_MAIL",
            "return_lines": [{"order_line_id": line, "quantity": 1, "reason_code": "RETURN_PDNT_TOO_BIG"}],
        }
        it.happens("request_return", returns=[asked])
        [seen] = await it.of(ReturnSeen, name="returns", seconds=1)
        assert seen.state == "WAITING_ACCEPTANCE" and seen.lines[0].line_id == line
        answer = AnswerReturn(channel=ASOS, order_id=placed.order_id, return_id=seen.return_id, answer="accepted")
        assert await it.look(answer) is None
        for said, state in (("accepted", "IN_PROGRESS"), ("received", "RECEIVED"), ("compliant", "RECEIVED")):
            command = msgspec.structs.replace(answer, answer=said)
            it.sandbox.faults.add(Fault({"accepted": "RT21", "received": "RT25", "compliant": "RT26"}[said], "drop", takes_effect=True))
            with pytest.raises(UnknownOutcomeError):
                await it.perform(command)
            assert isinstance(await it.look(command), Done)
            [seen] = await it.of(ReturnSeen, name="returns", minutes=15)
            assert seen.state == state
        assert isinstance(await it.perform(answer), Refused), "it cannot be accepted any more"
