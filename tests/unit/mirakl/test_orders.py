"""What an order says, fact by fact."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from adapters.mirakl.translate.buyers import buyer_mark
from adapters.mirakl.translate.orders import hear
from adapters.mirakl.translate.story import Place
from schemas.envelope import event_id
from schemas.events.aftercare import UnitsCanceled
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import (
    BuyerFlagged,
    DeliveryAddressGiven,
    LineStateChanged,
    OrderDebited,
    OrderPlaced,
    OrderSignalled,
    OrderStateChanged,
    OrderTermsChanged,
    TrackingShown,
)
from schemas.values import ChannelId, Discount, Fee, LineId, Money, OrderId, OrderLine, Sku, Tax, TenantId
from tests.contract.mirakl.payloads import CANCELED, having, line, order, without
from tests.loopback import NOW
from tests.unit.mirakl.telling import PLACE, placed, refused, the_line, told

# ---------------------------------------------------------------- facts


def test_an_order_is_placed_stands_somewhere_and_goes_somewhere():
    facts = told(order())
    assert [type(each.fact.event) for each in facts] == [
        OrderPlaced, OrderTermsChanged, LineStateChanged, DeliveryAddressGiven, OrderDebited, OrderSignalled, OrderStateChanged,
    ]  # fmt: skip
    assert {each.stream for each in facts} == {"order-asos:00012345-A"}
    assert facts[0].fact.event == OrderPlaced(
        channel=ChannelId("asos"),
        order_id=OrderId("00012345-A"),
        commercial_id="00012345",
        placed_at=datetime(2026, 8, 13, 8, 30, tzinfo=UTC),
        currency="GBP",
        taxes_included=True,
        lines=(
            OrderLine(
                line_id=LineId("00012345-A-1"),
                sku=Sku("TEE-RED-M"),
                quantity=2,
                unit_price=Money(2450, "GBP"),
                price=Money(4900, "GBP"),
                shipping_price=Money(395, "GBP"),
                taxes=(Tax(code="VAT", amount=Money(817, "GBP"), rate="20"),),
                shipping_taxes=(Tax(code="VAT", amount=Money(66, "GBP"), rate="20"),),
                title="Tee, red, M",
            ),
        ),
        total=Money(5295, "GBP"),
        shipping_method="STD",
        shipping_label="Standard",
        ship_by=datetime(2026, 8, 15, 22, 59, 59, 999000, tzinfo=UTC),
        stated_total=Money(5295, "GBP"),
        storefront="UK",
        fulfilled_by="DEFAULT",
    )


def test_a_fact_has_the_same_id_whenever_it_is_heard():
    first, later = told(order()), told(order())
    assert [each.fact for each in first] == [each.fact for each in later]
    assert first[0].fact.event_id == event_id(TenantId("t"), "mirakl:asos", "00012345-A", "order_placed")
    assert {each.fact.correlation_id for each in first} == {first[0].fact.event_id}
    assert {each.fact.actor for each in first} == {"mirakl:asos"}
    other = told(order(), Place(TenantId("t"), ChannelId("other"), "TAX_INCLUDED"))
    assert not {each.fact.event_id for each in first} & {each.fact.event_id for each in other}


def test_what_is_shown_of_an_order_has_the_date_of_its_last_change():
    facts = told(order(line(order_line_state="SHIPPED", last_updated_date="2026-08-13T10:00:00+0200")))
    at = {type(each.fact.event).__name__: each.fact.occurred_at.isoformat() for each in facts}
    assert at == {
        "OrderPlaced": "2026-08-13T08:30:00+00:00",
        "OrderTermsChanged": "2026-08-13T08:41:07.250000+00:00",
        "LineStateChanged": "2026-08-13T08:00:00+00:00",
        "DeliveryAddressGiven": "2026-08-13T08:41:07.250000+00:00",
        "OrderDebited": "2026-08-13T08:40:00.500000+00:00",
        "OrderSignalled": "2026-08-13T08:41:07.250000+00:00",
        "OrderStateChanged": "2026-08-13T08:41:07.250000+00:00",
    }


def test_since_when_it_is_so_is_told_once():
    """Deadlines rest on it: a payment that is stuck, an order that is not in Shopify, a parcel that does not arrive, a buyer who waits."""
    first, later = order(has_customer_message=True), order(has_customer_message=True, last_updated_date="2026-08-13T10:00:00Z")
    known = {type(each.fact.event): each.fact.event for each in told(first)}
    for each in told(later):
        event = each.fact.event
        if isinstance(event, OrderStateChanged | OrderSignalled):
            assert event.at == datetime(2026, 8, 13, 10, 0, tzinfo=UTC)
            assert each.same is not None and each.same(known[type(event)]), "the order was touched, and this is as it was"
    for each in told(order(order_state="SHIPPED", has_incident=True, last_updated_date="2026-08-13T10:00:00Z")):
        if isinstance(each.fact.event, OrderStateChanged | OrderSignalled):
            assert each.same is not None and not each.same(known[type(each.fact.event)])


def test_what_stands_on_the_order_itself_is_told():
    tracked = order(
        shipping_carrier_code="RM", shipping_company="Royal Mail", shipping_tracking="AB1", shipping_tracking_url="https://rm.test/AB1",
        has_incident=True, has_customer_message=True, can_cancel=True, can_shop_ship=False,
    )  # fmt: skip
    events = {type(each.fact.event): each.fact.event for each in told(tracked)}
    here: dict[str, Any] = {"channel": ChannelId("asos"), "order_id": OrderId("00012345-A")}
    touched = datetime(2026, 8, 13, 8, 41, 7, 250_000, tzinfo=UTC)
    assert events[OrderSignalled] == OrderSignalled(**here, incident=True, message=True, can_cancel=True, at=touched)
    assert events[OrderStateChanged] == OrderStateChanged(**here, state="SHIPPING", at=touched)
    assert events[OrderDebited] == OrderDebited(**here, at=datetime(2026, 8, 13, 8, 40, 0, 500000, tzinfo=UTC))
    assert events[TrackingShown] == TrackingShown(
        **here, carrier_code="RM", carrier="Royal Mail", tracking_number="AB1", tracking_url="https://rm.test/AB1"
    )
    assert not any(isinstance(each.fact.event, OrderDebited) for each in told(order(customer_debited_date=None)))


# ---------------------------------------------------------------- whom somebody wants to look at first


def test_a_blocked_buyer_is_told_by_the_name_of_the_entry_alone():
    def flagged(*said: str, **more: Any) -> list[str]:
        place = msgspec.structs.replace(PLACE, blocklist={buyer_mark(b"k", text): f"entry {n}" for n, text in enumerate(said)})
        place = msgspec.structs.replace(place, blocklist_key=b"k")
        return [each.fact.event.entry for each in told(order(**more), place) if isinstance(each.fact.event, BuyerFlagged)]

    assert flagged("ROBIN@example.com") == ["entry 0"]
    assert flagged("nobody", "X1Y2Z3@uk.notification.mirakl.net") == ["entry 1"]
    assert flagged("example|zz1 1zz", "robin@example.com") == ["entry 0", "entry 1"]
    assert flagged("example|ZZ9") == flagged() == []
    assert flagged("robin@example.com", customer=None) == []


# ---------------------------------------------------------------- money


def test_the_total_is_what_the_buyer_pays():
    two = (line(1), line(2, quantity=1, price=24.5, shipping_price=0))
    assert placed(order(*two)).total == Money(4900 + 395 + 2450, "GBP")
    excluded = placed(order(*two, order_tax_mode="TAX_EXCLUDED"))
    assert not excluded.taxes_included and excluded.total == Money(4900 + 395 + 2450 + 2 * (817 + 66), "GBP")


def test_amounts_keep_the_scale_of_their_currency():
    yen = line(price=4900, price_unit=2450, shipping_price=500, taxes=[], shipping_taxes=[])
    assert placed(order(yen, currency_iso_code="JPY", total_price=5400)).total == Money(5400, "JPY")
    dinar = line(price=4.1255, price_unit=2.0625, shipping_price=0, taxes=[], shipping_taxes=[])
    assert refused(order(dinar, currency_iso_code="KWD")) == "order_lines[0].price"


@pytest.mark.parametrize(
    ("unit", "quantity", "price", "rounded"), [(8.3333, 3, 25, 833), (16.6667, 3, 50, 1667), (24.505, 2, 49.01, 2451), (0.014, 5, 0.07, 1)]
)
def test_the_price_of_a_unit_may_be_finer_than_the_currency(unit: float, quantity: int, price: float, rounded: int):
    """Else the whole order would be unseen; what is charged is the line's price, to the penny."""
    sold = the_line(price_unit=unit, quantity=quantity, price=price)
    assert (sold.unit_price, sold.quantity, str(sold.price)) == (Money(rounded, "GBP"), quantity, f"{price:.2f}")
    gone = CANCELED | {"quantity": None, "amount": price}
    facts = [each.fact.event for each in told(order(line(price_unit=unit, quantity=0, price=0, cancelations=[gone])))]
    assert isinstance(facts[0], OrderPlaced) and facts[0].lines[0].quantity == quantity, "the amounts tell"
    assert [event.quantity for event in facts if isinstance(event, UnitsCanceled)] == [quantity]


def test_the_tax_mode_is_what_the_answer_says_or_else_what_was_asked_for():
    platform = Place(TenantId("t"), ChannelId("asos"), "")
    assert placed(without("order_tax_mode"), Place(TenantId("t"), ChannelId("asos"), "TAX_EXCLUDED")).taxes_included is False
    assert refused(without("order_tax_mode"), platform) == "order_tax_mode"
    assert placed(order(line(taxes=None, shipping_taxes=[]), order_tax_mode=None), platform).taxes_included is True, (
        "without taxes both say the same"
    )


def test_what_the_operator_pays_to_the_state_is_marked():
    parts = [{"amount": 5, "payable_to_shop": False}, {"amount": 3.17, "payable_to_shop": False}]
    remitted = {"amount": 8.17, "code": "VAT", "amount_breakdown": {"parts": parts}}
    [tax] = the_line(taxes=[remitted]).taxes
    assert tax.remitted_by_operator and tax.rate is None
    breakdowns: tuple[Any, ...] = (
        None,
        {"parts": []},
        {"parts": [*parts, {"amount": 0, "payable_to_shop": True}]},
        {"parts": [{"payable_to_shop": None}]},
    )
    for breakdown in breakdowns:
        [tax] = the_line(taxes=[remitted | {"amount_breakdown": breakdown}]).taxes
        assert not tax.remitted_by_operator


@pytest.mark.parametrize(
    ("said", "rate"), [(20, "20"), (20.0, "20"), (5.5, "5.5"), ("20.50", "20.5"), (0, "0"), (None, None), (1e22, None)]
)
def test_a_rate_reads_the_same_however_it_is_written(said: object, rate: str | None):
    assert the_line(taxes=[{"amount": 1, "code": "VAT", "rate": said}]).taxes[0].rate == rate


@pytest.mark.parametrize(
    ("more", "deadline"),
    [
        ({}, datetime(2026, 8, 15, 22, 59, 59, 999000, tzinfo=UTC)),
        ({"order_lines": 7}, datetime(2026, 8, 15, 22, 59, 59, 999000, tzinfo=UTC)),
        ({"order_state": None}, datetime(2026, 8, 15, 22, 59, 59, 999000, tzinfo=UTC)),
        ({"shipping_deadline": "2026-08-15"}, None),
        ({"shipping_deadline": ["2026-08-15T22:59:59.999Z"]}, None),
        ({"shipping_deadline": None}, None),
        ({"order_state": "SHIPPED"}, None),
    ],
)
def test_what_cannot_be_read_has_the_deadline_of_its_dispatch(more: dict[str, Any], deadline: datetime | None):
    """(R96)"""
    opened = told(order(currency_iso_code=None, **more))[0].fact.event
    assert isinstance(opened, ExceptionOpened) and (opened.deadline, opened.severity) == (deadline, 2)


# ---------------------------------------------------------------- as first sold


def test_what_was_canceled_is_put_back():
    whole = placed(order())
    left = line(quantity=1, price=24.5, taxes=[{"amount": 4.09, "code": "VAT", "rate": 20.0}], cancelations=[CANCELED])
    half = order(left, total_price=28.45)
    assert placed(half) == whole
    assert placed(having("order_lines.0.cancelations.0.quantity", None, half)) == whole, "its quantity is informative only"


def test_a_line_canceled_whole_is_as_it_was_sold():
    gone = CANCELED | {"amount": 49, "quantity": 2, "shipping_amount": 3.95, "taxes": [{"amount": 8.17, "code": "VAT"}]}
    gone["shipping_taxes"] = [{"amount": 0.66, "code": "VAT"}]
    canceled = the_line(
        quantity=0, price=0, shipping_price=0, taxes=[], shipping_taxes=[], cancelations=[gone], order_line_state="CANCELED"
    )
    sold = the_line()
    assert (canceled.quantity, canceled.price, canceled.shipping_price) == (sold.quantity, sold.price, sold.shipping_price)
    assert canceled.taxes[0].amount == sold.taxes[0].amount and canceled.shipping_taxes[0].amount == sold.shipping_taxes[0].amount


def test_a_cancelation_of_money_alone_takes_no_units():
    rebate = CANCELED | {"amount": 0, "shipping_amount": 3.95, "quantity": 0, "taxes": []}
    assert the_line(shipping_price=0, cancelations=[rebate]).quantity == 2


def test_refunds_take_nothing_off():
    assert the_line(refunds=[{"id": "1", "amount": 24.5, "quantity": 1}]) == the_line()


def test_lines_of_one_sku_stay_apart():
    lines = placed(order(*(line(number, quantity=1, price=24.5) for number in range(1, 7)))).lines
    assert len({each.line_id for each in lines}) == 6 and {each.sku for each in lines} == {"TEE-RED-M"}


# ---------------------------------------------------------------- what else was paid, and what was not


def test_fees_are_paid_too():
    wrapped = line(fees=[{"code": "GIFT", "amount": 1.5}, {"code": "ECO", "amount": 0.1}, {"code": "GIFT", "amount": 1}], total_price=55.55)
    sold = placed(order(wrapped, total_price=55.55))
    assert sold.lines[0].fees == (Fee(code="GIFT", amount=Money(250, "GBP")), Fee(code="ECO", amount=Money(10, "GBP")))
    assert sold.total == sold.stated_total == Money(5555, "GBP")
    half = CANCELED | {"fees": [{"code": "GIFT", "amount": 2.5}]}
    left = line(quantity=1, price=24.5, taxes=[{"amount": 4.09, "code": "VAT", "rate": 20.0}], fees=[{"code": "ECO", "amount": 0.1}])
    again = placed(order(left | {"cancelations": [half]}, total_price=28.55))
    assert (again.total, again.stated_total) == (sold.total, sold.stated_total)
    assert sorted(fee.code for fee in again.lines[0].fees) == ["ECO", "GIFT"]


def test_what_they_say_it_adds_up_to_is_told_and_not_believed():
    assert placed(order()).stated_total == placed(order()).total
    assert placed(order(total_price=52.94)).stated_total == Money(5294, "GBP")
    assert placed(without("total_price")).stated_total is None
    excluded = placed(order(order_tax_mode="TAX_EXCLUDED"))
    assert excluded.stated_total == excluded.total == Money(5295 + 817 + 66, "GBP"), "what it leaves out is added"


def test_a_discount_names_who_bears_it_where_that_is_said():
    own = {"id": "SUMMER", "deduced_amount": 5}
    theirs = {"id": "x", "deduced_amount": 2.5, "campaign": {"identifier": "CART10"}}
    lines = [line(promotions=[own, theirs, {"id": "NONE", "deduced_amount": 0}])]
    assert placed(order(*lines)).lines[0].discounts == (
        Discount(code="SUMMER", amount=Money(500, "GBP"), funded_by="seller"),
        Discount(code="CART10", amount=Money(250, "GBP")),
    )
    parts = [{"amount": 46.5, "payable_to_shop": True, "debitable_from_customer": True}]
    borne = [*parts, {"amount": 2.5, "payable_to_shop": True, "debitable_from_customer": False}]
    for breakdown, by in ((parts, ""), (borne, "operator")):
        [discount] = the_line(promotions=[theirs], price_amount_breakdown={"parts": breakdown}).discounts
        assert discount.funded_by == by


def test_a_discount_campaign_took_off_what_is_missing_from_the_original_price():
    campaign = {"discount_campaign": {"identifier": "SALE"}, "origin_unit_price": 30}
    assert the_line(**campaign).discounts == (Discount(code="SALE", amount=Money(1100, "GBP")),)
    both = the_line(**campaign, promotions=[{"id": "OWN", "deduced_amount": 1}]).discounts
    assert both[1] == Discount(code="SALE", amount=Money(1000, "GBP"))
    assert the_line(**campaign | {"origin_unit_price": 24.5}).discounts == ()
    fine = campaign | {"origin_unit_price": 10.4167, "price_unit": 8.3333, "quantity": 3, "price": 25}
    assert the_line(**fine).discounts == (Discount(code="SALE", amount=Money(625, "GBP")),)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"discount_campaign": {"identifier": "SALE"}, "origin_unit_price": "30,00"}, "origin_unit_price"),
        ({"promotions": [{"id": "OWN", "deduced_amount": -1}]}, "promotions[0].deduced_amount"),
        ({"promotions": [{"id": "OWN", "deduced_amount": 5}, {"id": "TWO", "deduced_amount": 1.005}]}, "promotions[1].deduced_amount"),
    ],
)
def test_a_discount_that_cannot_be_read_hides_no_order(more: dict[str, Any], field: str):
    odd: list[str] = []
    sold = hear(msgspec.json.encode(order(line(**more))), PLACE, NOW, odd)[0].fact.event
    assert isinstance(sold, OrderPlaced) and sold.lines[0].discounts == () and odd == [f"order_lines[0].{field}"]


def test_where_from_by_when_and_how_it_is_paid():
    sold = placed(
        order(
            payment_workflow="PAY_ON_SHIPMENT",
            delivery_date={"earliest": "2026-08-16T00:00:00Z", "latest": "2026-08-18T22:59:59.999Z"},
            fulfillment={"center": {"code": "OPERATOR-HUB"}},
        )
    )
    assert (sold.storefront, sold.fulfilled_by, sold.payment_workflow) == ("UK", "OPERATOR-HUB", "PAY_ON_SHIPMENT")
    assert sold.deliver_by == datetime(2026, 8, 18, 22, 59, 59, 999000, tzinfo=UTC)
    bare = placed(order(channel=None, fulfillment=None, delivery_date=None, payment_workflow=None))
    assert (bare.storefront, bare.fulfilled_by, bare.payment_workflow, bare.deliver_by) == ("", "", "", None)


@pytest.mark.parametrize(("value", "test"), [("true", True), (True, True), ("false", False), (None, False), ("yes", False)])
def test_a_test_order_is_marked_by_a_field_of_the_operators(value: object, test: bool):
    payload = order(order_additional_fields=[{"code": "gift", "value": "true"}, {"code": "test-order", "type": "BOOLEAN", "value": value}])
    assert placed(payload, msgspec.structs.replace(PLACE, test_field="test-order")).test is test
    assert placed(payload).test is False
