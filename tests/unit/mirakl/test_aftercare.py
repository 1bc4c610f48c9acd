"""Cancelations, refunds and returns: each once in each of its states, to the penny."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from adapters.mirakl.translate.aftercare import hear_return
from engine.adapter import Heard
from schemas.events.aftercare import RefundSeen, ReturnedUnits, ReturnSeen, UnitsCanceled
from schemas.events.exceptions import ExceptionOpened, RawPayload
from schemas.events.orders import OrderPlaced, OrderStateChanged
from schemas.values import ChannelId, Fee, LineId, Money, OrderId, Sku, Tax
from tests.contract.mirakl.payloads import CANCELED, REFUND, RETURN, Payload, line, order
from tests.loopback import NOW
from tests.unit.mirakl.telling import PLACE, refused, told

HERE: dict[str, Any] = {
    "channel": ChannelId("asos"),
    "order_id": OrderId("00012345-A"),
    "line_id": LineId("00012345-A-1"),
    "sku": Sku("TEE-RED-M"),
}


def of(kind: type, payload: Payload) -> list[Heard]:
    return [each for each in told(payload) if isinstance(each.fact.event, kind)]


def canceled(**more: Any) -> Payload:
    return order(line(quantity=1, price=24.5, cancelations=[CANCELED | more]))


def refunded(**more: Any) -> Payload:
    return order(line(refunds=[REFUND | more]))


def test_a_cancelation_is_told_with_its_units_and_its_taxes():
    [heard] = of(UnitsCanceled, canceled())
    assert heard.fact.event == UnitsCanceled(
        **HERE,
        cancelation="77",
        amount=Money(2450, "GBP"),
        shipping_amount=Money(0, "GBP"),
        quantity=1,
        taxes=(Tax(code="VAT", amount=Money(408, "GBP")),),
        reason="34",
        at=datetime(2026, 8, 13, 9, 0, tzinfo=UTC),
    )
    assert of(UnitsCanceled, canceled(quantity=None))[0].fact.event == heard.fact.event, "where it does not say, the amount does"


def test_a_cancelation_is_one_fact_whatever_else_changes():
    first, later = of(UnitsCanceled, canceled())[0], of(UnitsCanceled, canceled() | {"last_updated_date": "2026-08-14T00:00:00Z"})[0]
    assert first.fact == later.fact
    other = of(UnitsCanceled, canceled(reason_code="35"))[0]
    assert other.fact.event_id == first.fact.event_id and other.otherwise is not None
    assert other.otherwise.event == other.fact.event != first.fact.event


def test_a_refund_is_told_to_the_penny():
    [heard] = of(RefundSeen, refunded())
    assert heard.fact.event == RefundSeen(
        **HERE,
        refund="1120",
        amount=Money(2000, "GBP"),
        shipping_amount=Money(20, "GBP"),
        quantity=1,
        taxes=(Tax(code="VAT", amount=Money(333, "GBP")),),
        shipping_taxes=(Tax(code="VAT", amount=Money(3, "GBP")),),
        fees=(Fee(code="GIFT", amount=Money(150, "GBP")),),
        reason="16",
        state="WAITING_REFUND",
        at=datetime(2026, 8, 14, 8, 0, tzinfo=UTC),
    )


def test_a_refund_is_told_again_when_its_state_changes_and_not_else():
    waiting, again = of(RefundSeen, refunded())[0], of(RefundSeen, refunded() | {"last_updated_date": "2026-08-15T00:00:00Z"})[0]
    paid = of(RefundSeen, refunded(refund_state="REFUNDED"))[0]
    assert waiting.fact.event_id == again.fact.event_id != paid.fact.event_id
    assert paid.fact.event.state == "REFUNDED"  # type: ignore[attr-defined]


def test_a_refund_may_be_of_nothing_but_shipping_and_of_no_units():
    [heard] = of(
        RefundSeen, refunded(amount=0, quantity=None, taxes=None, fees=None, shipping_amount=0.01, refund_state=None, state="REFUNDED")
    )
    event = heard.fact.event
    assert isinstance(event, RefundSeen)
    assert (event.amount, event.shipping_amount, event.quantity, event.state) == (Money(0, "GBP"), Money(1, "GBP"), 0, "REFUNDED")


def test_the_same_number_on_two_lines_is_two_refunds():
    both = of(RefundSeen, order(line(1, refunds=[REFUND]), line(2, refunds=[REFUND])))
    assert len({each.fact.event_id for each in both}) == 2


def test_what_has_no_number_is_refused_by_field():
    assert refused(refunded(id=None)) == "order_lines[0].refunds[0].id"
    assert refused(canceled(id="")) == "order_lines[0].cancelations[0].id"


def test_a_refund_that_cannot_be_read_hides_nothing_else():
    [unread] = of(ExceptionOpened, refunded(amount=1.005))
    [readable] = of(RefundSeen, order(line(refunds=[REFUND | {"amount": -1}, {"id": "7"}])))
    opened, sealed = unread.fact.event, unread.fact.personal
    assert isinstance(opened, ExceptionOpened) and isinstance(sealed, RawPayload)
    assert (opened.key, opened.field) == ("X79:order-asos:00012345-A:refund:1120", "order_lines[0].refunds[0].amount")
    assert opened.summary == "refund 1120 of order 00012345-A of asos cannot be read: order_lines[0].refunds[0].amount is no amount in GBP"
    assert '"amount":1.005' in sealed.body and "Robin" not in sealed.body
    assert readable.fact.event.refund == "7"  # type: ignore[attr-defined]
    assert {OrderPlaced, OrderStateChanged} < {type(each.fact.event) for each in told(refunded(amount=1.005))}
    [later] = of(ExceptionOpened, refunded(amount=1.005) | {"last_updated_date": "2026-08-15T00:00:00Z"})
    assert later.fact.event_id == unread.fact.event_id, "told once, however often the order changes"


@pytest.mark.parametrize("said", ["2026-08-13", "13 Aug 2026"])
def test_when_it_was_canceled_or_refunded_is_not_needed(said: str):
    assert of(UnitsCanceled, canceled(created_date=said)) and of(RefundSeen, refunded(created_date=said))


# ---------------------------------------------------------------- goods that come back


def returned(**more: Any) -> Heard:
    [heard] = hear_return(msgspec.json.encode(RETURN | more), PLACE, NOW)
    return heard


def test_a_return_is_told_in_its_orders_stream():
    heard = returned()
    assert heard.stream == "order-asos:00012345-A" and heard.part == "return_id"
    assert heard.fact.event == ReturnSeen(
        channel=ChannelId("asos"),
        order_id=OrderId("00012345-A"),
        return_id="ret-1",
        state="WAITING_ACCEPTANCE",
        lines=(
            ReturnedUnits(line_id=LineId("00012345-A-1"), quantity=1, reason="RETURN_PDNT_TOO_SMALL"),
            ReturnedUnits(line_id=LineId("00012345-A-2"), quantity=2, reason="RETURN_BROKEN_ITEM"),
        ),
        rma="RMA-1",
        tracking_number="RET1",
        at=datetime(2026, 8, 20, 8, 0, tzinfo=UTC),
    )
    assert heard.fact.occurred_at == datetime(2026, 8, 20, 9, 0, tzinfo=UTC)


def test_a_return_in_another_state_is_another_fact():
    assert returned().fact.event_id != returned(state="RECEIVED", last_updated="2026-08-25T09:00:00Z").fact.event_id


def test_a_return_that_cannot_be_read_is_an_exception_beside_the_order():
    for more, field in (
        ({"state": None}, "state"),
        ({"return_lines": []}, "return_lines"),
        ({"return_lines": [{"order_line_id": "1", "quantity": "one"}]}, "return_lines[0].quantity"),
        ({"return_lines": 7}, "return_lines"),
        ({"id": ""}, "id"),
    ):
        opened, personal = returned(**more).fact.event, returned(**more).fact.personal
        assert isinstance(opened, ExceptionOpened) and isinstance(personal, RawPayload)
        assert (opened.field, opened.key) == (field, "X79:order-asos:00012345-A:return")
    assert returned(order_id=None).stream == "channel-asos"


def test_a_return_without_dates_is_told_by_our_clock():
    heard = returned(date_created=None, last_updated=None)
    assert heard.fact.occurred_at == NOW
