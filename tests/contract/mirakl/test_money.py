"""Refunds and cancelations: exact to the penny, looked for by what was known before, never taken for somebody else's."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.adapter import Done, Effect, Refused
from engine.errors import ThrottledError, UnavailableError, UnknownOutcomeError
from schemas.commands import LineRefund
from schemas.events.aftercare import MarketOrderCanceled, RefundPushed, UnitsGivenUp
from schemas.events.channels import PlatformSeen
from schemas.values import Money, Tax
from tests.contract.mirakl.asking import ASOS, BACK, CANCEL, FIRST, GIVE_UP, ORDER, REFUND, SECOND
from tests.contract.mirakl.marketplace import Account, account, task
from tests.contract.mirakl.payloads import Payload, line, order

pytestmark = pytest.mark.anyio

OTHER = LineRefund(line_id=SECOND, amount=Money(0, "GBP"), shipping_amount=Money(1, "GBP"))
BOTH = msgspec.structs.replace(REFUND, lines=(BACK, OTHER))
REST = msgspec.structs.replace(REFUND, lines=(msgspec.structs.replace(BACK, amount=Money(4900, "GBP")),))
LEAVING = {BACK.line_id: BACK.quantity}
DID = RefundPushed(channel=ASOS, order_id=ORDER, refund=REFUND.refund, refunds=("1120",), leaving=LEAVING)
PUSHED = Done((Effect(DID, f"{ORDER}\x1f{REFUND.refund}"),))


def refund(identity: str, amount: float = 24.5, shipping: float = 0) -> Payload:
    return {"id": identity, "amount": amount, "shipping_amount": shipping, "quantity": None}


def shows(it: Account, *refunds: Payload, **more: Any) -> None:
    it.marketplace.says("OR11", {"orders": [order(line(1, refunds=list(refunds)), line(2, **more))], "total_count": 1})


# ---------------------------------------------------------------- refund


async def test_a_refund_says_everything():
    split = msgspec.structs.replace(
        BACK,
        taxes=(
            Tax(code="VAT", amount=Money(400, "GBP")),
            Tax(code="VAT", amount=Money(8, "GBP"), remitted_by_operator=True),
            Tax(code="ECO", amount=Money(0, "GBP")),
        ),
        shipping_taxes=(Tax(code="VAT", amount=Money(66, "GBP")),),
        shipping_amount=Money(395, "GBP"),
    )
    async with account() as it:
        it.marketplace.says("OR28", {"refunds": [{"refund_id": "1120", "order_line_id": FIRST}, {"refund_id": 1121}]})
        staying = msgspec.structs.replace(split, not_to_ship=True)
        [done] = await it.perform(msgspec.structs.replace(REFUND, lines=(staying, OTHER), taxes_included=False))
        [asked] = it.marketplace.asked
    first = {
        "order_line_id": FIRST,
        "amount": Decimal("24.50"),
        "shipping_amount": Decimal("3.95"),
        "currency_iso_code": "GBP",
        "quantity": 1,
        "reason_code": "17",
        "taxes": [{"code": "VAT", "amount": Decimal("4.08")}, {"code": "ECO", "amount": 0}],
        "shipping_taxes": [{"code": "VAT", "amount": Decimal("0.66")}],
        "excluded_from_shipment": True,
    }
    second = {
        "order_line_id": SECOND,
        "amount": 0,
        "shipping_amount": Decimal("0.01"),
        "currency_iso_code": "GBP",
        "quantity": 0,
        "reason_code": "17",
    }
    assert asked.body == {"order_tax_mode": "TAX_EXCLUDED", "refunds": [first, second]}
    event = RefundPushed(channel=ASOS, order_id=ORDER, refund=REFUND.refund, refunds=("1120", "1121"), not_to_ship={FIRST: 1})
    assert done == Done((Effect(event, f"{ORDER}\x1f{REFUND.refund}"),)), "its number counts within the order"


@pytest.mark.parametrize(("currency", "written"), [("JPY", "90071992547409"), ("KWD", "90071992547.409")])
async def test_amounts_are_written_exactly_in_any_currency(currency: str, written: str):
    lines = (LineRefund(line_id=FIRST, amount=Money(90071992547409, currency), shipping_amount=Money(7, currency)),)
    async with account() as it:
        it.marketplace.says("OR28", {"refunds": [{"refund_id": "1"}]})
        await it.perform(msgspec.structs.replace(REFUND, lines=lines))
        [item] = it.marketplace.asked[0].body["refunds"]
    assert str(item["amount"]) == written


@pytest.mark.parametrize("command", [REFUND, GIVE_UP], ids=lambda command: type(command).__name__)
async def test_a_reason_is_never_guessed(command: Any):
    async with account() as it:
        [answer] = await it.perform(msgspec.structs.replace(command, reason="DEFECTIVE"))
        assert isinstance(answer, Refused) and answer.field == "reason" and answer.word == "DEFECTIVE" in answer.detail
        assert it.marketplace.asked == []


async def test_a_reason_that_a_seller_may_not_give_is_not_tried():
    async with account() as it:
        it.mirakl.client.platform = PlatformSeen(channel=ASOS, multi_shipment=False, refund_reasons=("15", "16"))
        [answer] = await it.perform(REFUND)
        assert isinstance(answer, Refused) and answer.field == "reason" and "15, 16" in answer.detail and it.marketplace.asked == []


@pytest.mark.parametrize(
    "answer", [{}, {"refunds": []}, {"refunds": [{"refund_id": None}]}, {"refunds": 7}, {"refunds": [{"refund_id": "1"}]}]
)
async def test_an_answer_without_every_number_is_an_unknown_outcome(answer: dict[str, Any]):
    async with account() as it:
        it.marketplace.says("OR28", answer)
        with pytest.raises(UnknownOutcomeError):
            await it.perform(BOTH)


# ---------------------------------------------------------------- look


def unlike(names: str) -> Refused:
    return Refused(f"what was found is not what was asked for: {names}", field="refund")


def foreign(names: str) -> Refused:
    return Refused(f"somebody else was there first: {names}", field="known")


@pytest.mark.parametrize(
    ("there", "called", "seen"),
    [
        ([], False, None),
        ([refund("1119")], False, None),
        ([refund("1119"), refund("1120")], False, foreign("1120")),
        ([refund("1120", 1)], False, foreign("1120")),
        ([], True, None),
        ([refund("1119")], True, None),
        ([refund("1119"), refund("1120")], True, PUSHED),
        ([refund("1120"), refund("1121")], True, PUSHED),
        ([refund("1118", 3), refund("1120")], True, PUSHED),
        ([refund("1120", 24.49)], True, unlike("1120")),
        ([refund("1120", 24.5, 1)], True, unlike("1120")),
    ],
)
async def test_what_was_not_there_before_is_ours_or_foreign(there: list[Payload], called: bool, seen: Any):
    async with account() as it:
        shows(it, *there)
        assert await it.look(REFUND, called=called) == seen


async def test_a_refund_of_several_lines_is_there_whole_or_a_person_must_say():
    async with account() as it:
        shows(it, refund("1120"), refunds=[refund("1121", 0, 0.01)])
        found = await it.look(BOTH, called=True)
        assert isinstance(found, Done) and found.effects[0].event.refunds == ("1120", "1121")  # type: ignore[attr-defined]
        shows(it, refund("1120"))
        assert await it.look(BOTH, called=True) == unlike("1120")


async def test_nothing_is_concluded_from_an_order_that_is_not_shown_or_not_readable():
    async with account() as it:
        for orders in ([], [order(line(1, refunds=[refund("1120") | {"amount": "x"}]))], [order(order_lines=7)]):
            it.marketplace.says("OR11", {"orders": orders, "total_count": len(orders)})
            with pytest.raises(UnavailableError):
                await it.look(REFUND, called=True)
        it.marketplace.says("OR11", {"orders": [order(line(2))], "total_count": 1})
        assert await it.look(REFUND) == Refused(f"the order has no line {FIRST}", field="lines")


async def polled(it: Account, cursor: str | None = None) -> int:
    await it.source("orders").poll(cursor)
    return len(it.marketplace.asked)


async def test_what_is_left_of_a_line_goes_back_without_waiting_for_or11():
    """It cannot be done twice, whoever else tries: more than is left is refused."""
    async with account() as it:
        shows(it)
        calls = await polled(it)
        assert await it.look(REST) is None and len(it.marketplace.asked) == calls
        assert await it.look(REFUND) is None and len(it.marketplace.asked) == calls + 1, "half of it could be given back twice"
        assert await it.look(REST, called=True) is None and len(it.marketplace.asked) == calls + 2, "after a call only the present counts"


async def test_half_of_a_line_goes_back_once_the_next_poll_has_shown_it():
    """A call of its own would take the poll's turn. Only a poll that began after the first look counts, and its word is not older."""
    async with account() as it:
        shows(it)
        calls, asked = await polled(it), task(REFUND)
        look = it.mirakl.performs[type(REFUND)].look
        assert look is not None
        with pytest.raises(ThrottledError, match="next poll"):
            await look(it.mirakl.client, asked)
        assert await polled(it) == calls + 1
        assert await look(it.mirakl.client, asked) is None and len(it.marketplace.asked) == calls + 1
        with pytest.raises(ThrottledError, match="next poll"):
            await look(it.mirakl.client, asked)  # each answer once
        shows(it, refund("1120"))
        await polled(it)
        assert await look(it.mirakl.client, asked) == foreign("1120")


async def test_a_foreign_refund_that_a_poll_has_shown_needs_no_call():
    async with account() as it:
        shows(it, refund("1120", 10))
        calls = await polled(it)
        assert await it.look(REFUND) == foreign("1120") and len(it.marketplace.asked) == calls


async def test_what_was_polled_before_a_gap_counts_for_nothing():
    async with account() as it:
        shows(it)
        await polled(it)
        it.marketplace.says("OR11", {"orders": [], "total_count": 0})
        it.clock.time = it.clock.time.replace(hour=19)
        calls = await polled(it, '{"until":"2026-08-13T09:10:00Z"}')
        assert await it.look(REST) is None and len(it.marketplace.asked) == calls, "it joins up: nothing has changed since"
        it.clock.time = it.clock.time.replace(day=15)
        calls = await polled(it, '{"until":"2026-08-14T20:00:00Z"}')
        shows(it)
        assert await it.look(REST) is None and len(it.marketplace.asked) == calls + 1


# ---------------------------------------------------------------- cancel


async def test_units_are_given_up_before_they_are_paid():
    given = Done((Effect(UnitsGivenUp(channel=ASOS, order_id=ORDER, refund="cancel", cancelations=("77",)), f"{ORDER}\x1fcancel"),))
    item = {
        "order_line_id": FIRST,
        "amount": 24.5,
        "shipping_amount": 0,
        "currency_iso_code": "GBP",
        "quantity": 1,
        "reason_code": "17",
        "taxes": [{"code": "VAT", "amount": Decimal("4.08")}],
    }
    async with account() as it:
        it.marketplace.says("OR30", {"cancelations": [{"cancelation_id": 77, "order_line_id": FIRST}]})
        assert await it.perform(GIVE_UP) == [given]
        assert it.marketplace.asked[0].body == {"order_tax_mode": "TAX_INCLUDED", "cancelations": [item]}
        it.marketplace.says("OR30", {"cancelations": []})
        with pytest.raises(UnknownOutcomeError):
            await it.perform(GIVE_UP)


async def test_a_cancelation_has_a_reason_of_its_own():
    async with account(reasons={"refund": "17", "Cancelation": "30"}) as it:
        it.marketplace.says("OR30", {"cancelations": [{"cancelation_id": 77}]})
        it.marketplace.says("OR28", {"refunds": [{"refund_id": 1}]})
        await it.perform(GIVE_UP)
        await it.perform(REFUND)
        canceled, refunded = it.marketplace.asked
    assert canceled.body["cancelations"][0]["reason_code"] == "30" and refunded.body["refunds"][0]["reason_code"] == "17"


async def test_whether_units_were_given_up_is_seen_by_the_line():
    there = {"id": 77, "amount": 24.5, "shipping_amount": 0, "quantity": 1}
    async with account() as it:
        it.marketplace.says("OR11", {"orders": [order(line(1, quantity=1, price=24.5, cancelations=[there]))], "total_count": 1})
        found = await it.look(GIVE_UP, called=True)
        assert isinstance(found, Done) and found.effects[0].event.cancelations == ("77",)  # type: ignore[attr-defined]
        assert await it.look(GIVE_UP) == foreign("77")
        it.marketplace.says("OR11", {"orders": [order()], "total_count": 1})
        assert await it.look(GIVE_UP, called=True) is None


async def test_an_order_is_given_up_whole():
    canceled = Done((Effect(MarketOrderCanceled(channel=ASOS, order_id=ORDER), ORDER),))
    async with account() as it:
        it.marketplace.says("OR29", 204)
        assert await it.perform(CANCEL) == [canceled]
        [asked] = it.marketplace.asked
        assert (asked.path, asked.body) == ({"order_id": ORDER}, None)


@pytest.mark.parametrize(("state", "found"), [("CANCELED", True), ("REFUSED", False), ("SHIPPING", False), (None, False)])
async def test_whether_an_order_was_given_up_is_seen_by_its_state(state: str | None, found: bool):
    async with account() as it:
        it.marketplace.says("OR11", {"orders": [order(order_state=state)], "total_count": 1})
        assert (await it.look(CANCEL) is not None) == found
