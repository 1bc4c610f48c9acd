"""Refunds: units, money and what bridges them; suggestions; keys; what a gateway makes of it."""

from typing import Any

import pytest

from ops.sandbox.shopify.state import gid
from tests.unit.sandbox.storefront import Storefront


def refund(shop: Storefront, wanted: dict[str, Any], key: str = "k") -> Any:
    return shop.ask("RefundCreate", input=wanted, idempotencyKey=key)["refund"]


def amount(bag: Any) -> str:
    return str(bag["shopMoney"]["amount"])


@pytest.mark.parametrize(("restock", "back_on_sale"), [("NO_RESTOCK", 0), ("RETURN", 1)])
def test_what_was_sent_comes_back_to_the_shelf_only_where_it_is_restocked(restock: str, back_on_sale: int) -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    before = shop.available()
    made = refund(shop, shop.refund_input(order, lines=[shop.unit(order, restock)], amount="24.00"))
    line = order.lines[0]
    assert (line.fulfilled, line.unfulfilled, line.refunded, line.current) == (2, 0, 1, 1)
    assert shop.available() - before == back_on_sale
    assert made["refundLineItems"]["nodes"][0]["restockType"] == restock and made["orderAdjustments"]["nodes"] == []


def test_what_waits_is_cancelled_and_leaves_its_fulfilment_order() -> None:
    shop = Storefront()
    order, parcel = shop.routed(3)
    before = shop.available()
    refund(shop, shop.refund_input(order, lines=[shop.unit(order, "CANCEL", 2)], amount="48.00"))
    assert parcel.remaining == order.lines[0].unfulfilled == 1 and shop.available() - before == 2
    refund(shop, shop.refund_input(order, lines=[shop.unit(order, "CANCEL")], amount="24.00"), "another")
    assert parcel.status == "CLOSED" and order.lines[0].current == 0


def test_without_restocking_units_that_wait_still_wait() -> None:
    shop = Storefront()
    order, parcel = shop.routed(2)
    refund(shop, shop.refund_input(order, lines=[shop.unit(order)], amount="24.00"))
    assert parcel.remaining == 2 and order.lines[0].current == 1


@pytest.mark.parametrize(
    ("lines", "money"),
    [
        ([("CANCEL", 3)], None),  # more than there is
        ([("RETURN", 1)], None),  # nothing has been sent
        ([("CANCEL", 1), ("NO_RESTOCK", 2)], None),
        ([("NO_RESTOCK", 0)], None),
        ([("CANCEL", 1)], "51.61"),  # a penny more than was paid
        ([], "0.00"),
        ([], None),
    ],
)
def test_no_more_is_refunded_than_there_is(lines: list[tuple[str, int]], money: str | None) -> None:
    shop = Storefront()
    order, _ = shop.routed(2)
    units = [shop.unit(order, kind, quantity) for kind, quantity in lines]
    shop.refused("RefundCreate", input=shop.refund_input(order, lines=units, amount=money), idempotencyKey="k")
    assert order.refunds == [] and order.lines[0].refunded == 0 and len(order.transactions) == 1


def test_over_refunding_is_done_when_it_is_asked_for() -> None:
    shop = Storefront()
    order, _ = shop.routed(2)
    refund(shop, shop.refund_input(order, amount="60.00", allowOverRefunding=True))
    assert order.financial_status == "REFUNDED"


def test_the_location_is_needed_where_goods_are_restocked() -> None:
    shop = Storefront()
    order = shop.fulfilled(1)
    bare = {name: value for name, value in shop.unit(order, "RETURN").items() if name != "locationId"}
    assert "location" in shop.refused("RefundCreate", input=shop.refund_input(order, lines=[bare]), idempotencyKey="k")[0]["message"]


@pytest.mark.parametrize(
    ("lines", "money", "gap"),
    [(1, "24.00", None), (1, "20.00", "4.0"), (0, "5.00", "-5.0"), (1, None, "24.0")],
    ids=["even", "less money than goods", "money alone", "goods alone"],
)
def test_an_adjustment_bridges_goods_and_money(lines: int, money: str | None, gap: str | None) -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    made = refund(shop, shop.refund_input(order, lines=[shop.unit(order)] * lines, amount=money))
    assert [(one["reason"], amount(one["amountSet"])) for one in made["orderAdjustments"]["nodes"]] == (
        [("REFUND_DISCREPANCY", gap)] if gap else []
    )
    assert amount(shop.ask("OrderGet", id=gid("Order", order.id))["totalOutstandingSet"]) == "0.0", "the books are even all the same"


def test_shipping_is_refunded_once() -> None:
    shop = Storefront()
    order = shop.fulfilled(1)
    made = refund(shop, shop.refund_input(order, amount="3.60", shipping={"amount": "3.60"}))
    [line] = made["refundShippingLines"]["nodes"]
    assert amount(line["subtotalAmountSet"]) == "3.6" and amount(line["taxAmountSet"]) == "0.6" and not made["orderAdjustments"]["nodes"]
    read = shop.ask("OrderGet", id=gid("Order", order.id))
    assert amount(read["totalRefundedShippingSet"]) == "3.6" and amount(read["currentTotalPriceSet"]) == "24.0"
    shop.refused("RefundCreate", input=shop.refund_input(order, amount="1.00", shipping={"amount": "1.00"}), idempotencyKey="again")


def test_pennies_of_parts_add_up_to_the_whole() -> None:
    shop = Storefront()
    order = shop.fulfilled(7)
    order.lines[0].taxes[0].amount = order.lines[0].price  # 24.00 of tax on seven units
    for n in range(7):
        refund(shop, shop.refund_input(order, lines=[shop.unit(order)]), str(n))
    taxes = [shop.shop.refunds[number].lines[0].tax.shop for number in order.refunds]
    assert sum(taxes) == 2400 and set(taxes) == {342, 343}


def test_the_books_follow_each_refund() -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    one = gid("Order", order.id)
    refund(shop, shop.refund_input(order, lines=[shop.unit(order)], amount="24.00"))
    read = shop.ask("OrderGet", id=one)
    assert read["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    assert (amount(read["totalReceivedSet"]), amount(read["totalRefundedSet"]), amount(read["netPaymentSet"])) == ("51.6", "24.0", "27.6")
    assert amount(read["currentTotalPriceSet"]) == "27.6" and amount(read["totalPriceSet"]) == "51.6"
    refund(shop, shop.refund_input(order, lines=[shop.unit(order)], amount="27.60", shipping={"fullRefund": True}), "rest")
    assert shop.ask("OrderGet", id=one)["displayFinancialStatus"] == "REFUNDED"


# ---------------------------------------------------------------- suggestions


def test_what_is_suggested_is_accepted_and_even() -> None:
    shop = Storefront()
    order = shop.fulfilled(3)
    lines = [shop.unit(order, "RETURN", 2)]
    found = shop.ask("SuggestedRefund", orderId=gid("Order", order.id), lines=lines, shippingAmount="1.80")["suggestedRefund"]
    assert (
        amount(found["amountSet"]) == "49.8" and amount(found["maximumRefundableSet"]) == "75.6" and amount(found["totalTaxSet"]) == "8.3"
    )
    [money] = found["suggestedTransactions"]
    made = refund(shop, shop.refund_input(order, lines=lines, amount=amount(money["amountSet"]), shipping={"amount": "1.80"}))
    assert made["orderAdjustments"]["nodes"] == []


def test_a_full_refund_is_suggested_in_full_and_never_beyond_what_is_left() -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    one = gid("Order", order.id)
    assert amount(shop.ask("SuggestedRefund", orderId=one, full=True)["suggestedRefund"]["amountSet"]) == "51.6"
    refund(shop, shop.refund_input(order, amount="50.00"))
    assert amount(shop.ask("SuggestedRefund", orderId=one, full=True)["suggestedRefund"]["amountSet"]) == "1.6"


# ---------------------------------------------------------------- keys


def test_under_one_key_a_refund_is_made_once() -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    wanted = shop.refund_input(order, lines=[shop.unit(order)], amount="24.00")
    assert refund(shop, wanted)["id"] == refund(shop, wanted)["id"] and len(order.refunds) == 1
    other = shop.refund_input(order, lines=[shop.unit(order)], amount="20.00")
    assert "other parameters" in shop.refused("RefundCreate", input=other, idempotencyKey="k")[0]["message"]
    shop.later(hours=24)
    refund(shop, wanted)
    assert len(order.refunds) == 2, "after a day it is a new key"


def test_where_a_key_s_error_shows_is_a_switch() -> None:
    shop = Storefront(refund_key_errors="top_level")
    order = shop.fulfilled(2)
    refund(shop, shop.refund_input(order, amount="1.00"))
    answer = shop.say("RefundCreate", input=shop.refund_input(order, amount="2.00"), idempotencyKey="k")
    assert answer["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" and len(order.refunds) == 1


def test_a_key_that_is_in_use_is_told_apart() -> None:
    shop = Storefront(key_busy=3.0)
    order = shop.fulfilled(2)
    wanted = shop.refund_input(order, amount="1.00")
    refund(shop, wanted)
    assert "in progress" in shop.refused("RefundCreate", input=wanted, idempotencyKey="k")[0]["message"]
    shop.later(3)
    refund(shop, wanted)
    assert len(order.refunds) == 1


def test_a_key_whose_call_broke_is_burnt() -> None:
    shop = Storefront(keyed_failure=1.0)
    order = shop.fulfilled(2)
    wanted = shop.refund_input(order, amount="1.00")
    answer = shop.say("RefundCreate", input=wanted, idempotencyKey="k")
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR" and order.refunds == []
    shop.world.switch("shopify", shop.clock.at, keyed_failure=0.0)
    assert "use a new one" in shop.refused("RefundCreate", input=wanted, idempotencyKey="k")[0]["message"]
    refund(shop, wanted, "new")


def test_a_refused_call_leaves_its_key_free() -> None:
    shop = Storefront()
    order = shop.fulfilled(1)
    shop.refused("RefundCreate", input=shop.refund_input(order, amount="99.00"), idempotencyKey="k")
    refund(shop, shop.refund_input(order, amount="9.00"))


@pytest.mark.parametrize(("way", "refunds"), [("first_use", 2), ("last_use", 1)])
def test_from_which_use_a_key_s_day_is_counted_is_a_switch(way: str, refunds: int) -> None:
    shop = Storefront(key_life_from=way)
    order = shop.fulfilled(2)
    wanted = shop.refund_input(order, amount="1.00")
    for _ in range(3):
        refund(shop, wanted)
        shop.later(hours=13)
    assert len(order.refunds) == refunds


# ---------------------------------------------------------------- what a gateway makes of it


@pytest.mark.parametrize(
    ("fate", "status", "reason"),
    [("moved", "SUCCESS", None), ("pending", "PENDING", "PENDING_REFUND_DISCREPANCY"), ("failed", "FAILURE", "REFUND_DISCREPANCY")],
)
def test_a_manual_gateway_s_refunds_end_as_switched(fate: str, status: str, reason: str | None) -> None:
    shop = Storefront(manual_refunds=fate)
    order = shop.fulfilled(2)
    made = refund(shop, shop.refund_input(order, lines=[shop.unit(order)], amount="24.00"))
    assert made["transactions"]["nodes"][0]["status"] == status
    assert [one["reason"] for one in made["orderAdjustments"]["nodes"]] == ([reason] if reason else [])
    assert amount(made["totalRefundedSet"]) == ("24.0" if fate == "moved" else "0.0")
    assert (order.financial_status == "PARTIALLY_REFUNDED") == (fate == "moved")


def test_or_are_refused() -> None:
    shop = Storefront(manual_refunds="refused")
    order = shop.fulfilled(2)
    shop.refused("RefundCreate", input=shop.refund_input(order, amount="1.00"), idempotencyKey="k")


def test_money_may_move_later_than_its_refund() -> None:
    shop = Storefront(refund_delay=60.0)
    order = shop.fulfilled(2)
    made = refund(shop, shop.refund_input(order, lines=[shop.unit(order)], amount="24.00"))
    assert made["transactions"]["nodes"][0]["status"] == "PENDING" and order.financial_status == "PAID"
    shop.later(60)
    made = shop.ask("RefundGet", id=made["id"])
    assert made["transactions"]["nodes"][0]["status"] == "SUCCESS" and made["orderAdjustments"]["nodes"] == []
    assert order.financial_status == "PARTIALLY_REFUNDED"


def test_in_another_currency_the_buyer_s_amounts_count() -> None:
    shop = Storefront()

    def both(pounds: str, euros: str) -> dict[str, Any]:
        return {"shopMoney": {"amount": pounds, "currencyCode": "GBP"}, "presentmentMoney": {"amount": euros, "currencyCode": "EUR"}}

    lines = [{"variantId": shop.variant(), "quantity": 2, "requiresShipping": True, "priceSet": both("24.00", "30.00")}]
    paid = [{"kind": "SALE", "gateway": "asos Marketplace", "amountSet": both("48.00", "60.00")}]
    order = shop.created(lineItems=lines, transactions=paid, presentmentCurrency="EUR")
    wanted = shop.refund_input(order, lines=[shop.unit(order)], amount="30.00")
    assert "urrency" in shop.refused("RefundCreate", input=wanted, idempotencyKey="k")[0]["message"]
    made = refund(shop, wanted | {"currency": "EUR"})
    assert made["totalRefundedSet"] == {
        "shopMoney": {"amount": "24.0", "currencyCode": "GBP"},
        "presentmentMoney": {"amount": "30.0", "currencyCode": "EUR"},
    }
