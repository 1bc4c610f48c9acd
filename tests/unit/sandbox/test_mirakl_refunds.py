"""Money that goes back and units that are taken off: limits, tax modes, commissions, and that nothing is idempotent."""

from typing import Any

import pytest

from ops.sandbox.mirakl.state import RefusedError
from tests.unit.sandbox.market import Market, message, told

GBP = {"currency_iso_code": "GBP"}


def vat(amount: float, code: str = "GB-VAT") -> list[dict[str, Any]]:
    return [{"code": code, "amount": amount}]


def line_of(market: Market, order: str, n: int = 0, **query: Any) -> dict[str, Any]:
    shown: dict[str, Any] = market.shown(order, **query)["order_lines"][n]
    return shown


# ---------------------------------------------------------------------------------------------------------------- refunds


def test_the_same_refund_twice_is_two_refunds() -> None:
    """There is no key and no memory: whoever does not know whether a call arrived has to read."""
    market = Market()
    order = market.to_ship()
    answers = [told(market.refund(order, 2.5)) for _ in range(2)]
    refunds = line_of(market, order)["refunds"]
    assert [one["refunds"][0]["refund_id"] for one in answers] == [refund["id"] for refund in refunds]
    assert len({refund["id"] for refund in refunds}) == 2 and sum(refund["amount"] for refund in refunds) == 5


def test_a_refund_takes_its_time_and_ends_with_a_transaction() -> None:
    market = Market(refund_tax_confirmation=True, refund_delay=60)
    order = market.to_ship()
    market.refund(order)
    seen = []
    for _ in range(4):
        refund = line_of(market, order)["refunds"][0]
        seen.append((refund["refund_state"], "transaction_number" in refund))
        market.later(60)
    states = ["WAITING_REFUND_TAX_CONFIRMATION", "WAITING_REFUND", "WAITING_REFUND_PAYMENT", "REFUNDED"]
    assert seen == list(zip(states, [False, False, False, True], strict=True))
    market.until(days=1)
    assert len(line_of(market, order)["refunds"]) == 1


def test_a_refund_does_not_lower_what_the_line_shows() -> None:
    market = Market()
    order = market.gone()
    before = line_of(market, order)
    market.refund(order, 3.0, quantity=1)
    after = line_of(market, order)
    assert before["can_refund"] and not after["can_refund"], "which asks for the full amount"
    assert [after[name] for name in ("quantity", "price", "total_price")] == [before[name] for name in ("quantity", "price", "total_price")]


@pytest.mark.parametrize(("shown", "state"), [(True, "REFUNDED"), (False, "SHIPPED")])
def test_a_line_that_is_paid_back_whole_says_so_or_not(shown: bool, state: str) -> None:
    market = Market(refunded_lines=shown, refund_delay=10)
    order = market.gone()
    line = market.line(order)
    for n in (0, 1):
        whole = market.line(order, n)
        told(market.refund(order, whole.price / 100, n, shipping_amount=whole.shipping_price / 100, taxes=vat(whole.taxes[0].amount / 100)))
    assert line_of(market, order)["order_line_state"] == "SHIPPED" and market.shown(order)["fully_refunded"]
    market.later(60)
    assert line_of(market, order)["order_line_state"] == state and market.shown(order)["order_state"] == "SHIPPED"
    assert "lower than the remaining amount" in message(market.refund(order, 0.01)) and line.refunds


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"amount": 1000.0}, "lower than the remaining amount"),
        ({"shipping_amount": 3.01}, "lower than the remaining amount"),
        ({"amount": -1.0}, "greater than or equal to zero"),
        ({"amount": 0.0}, "greater than zero"),
        ({"amount": 1e300}, "check the field datatype"),
        ({"amount": "much"}, "Validation failed"),
        ({"quantity": 3}, "remaining quantity 2"),
        ({"quantity": -1}, "remaining quantity 2"),
        ({"reason_code": "21"}, "not available to shops"),
        ({"reason_code": "30"}, "not found"),
        ({"taxes": vat(900.0)}, "lower than the remaining amount"),
        ({"amount": 1.0, "taxes": vat(2.0)}, "do not fit"),
        ({"taxes": vat(0.1, "MARS")}, "does not exist"),
        ({"taxes": [*vat(0.1), *vat(0.1)]}, "given twice"),
        ({"fees": [{"code": "GIFT_WRAP", "amount": 1}]}, "does not exist"),
        ({"currency_iso_code": "EUR"}, "must be GBP"),
        ({"excluded_from_shipment": True}, "excluded from shipments"),
    ],
)
def test_what_a_refund_may_not_ask_for(wrong: dict[str, Any], says: str) -> None:
    market = Market()
    order = market.to_ship()
    assert says in message(market.refund(order, **wrong)) and not market.line(order).refunds


def test_an_unknown_line_is_404_and_a_list_is_done_whole_or_not() -> None:
    market = Market()
    order = market.to_ship()
    good = {"order_line_id": market.line(order).id, "amount": 1, "shipping_amount": 0, "reason_code": "15"}
    bad, unknown = good | {"amount": 10**6}, good | {"order_line_id": "nobody"}
    for refunds, status in (([good, bad], 400), ([good, unknown], 404)):
        assert market.mirakl("PUT", "/api/orders/refund", {"refunds": refunds}).status == status
    assert market.line(order).refunds == [] and market.account.last_refund == 0
    other = good | {"order_line_id": market.line(order, 1).id}
    made = told(market.mirakl("PUT", "/api/orders/refund", {"refunds": [good, other]}))["refunds"]
    assert made[0]["order_refund_id"] == made[1]["order_refund_id"], "made together"


@pytest.mark.parametrize("mode", ["TAX_INCLUDED", "TAX_EXCLUDED"])
@pytest.mark.parametrize("platform", ["TAX_INCLUDED", "TAX_EXCLUDED"])
def test_a_refund_is_read_and_shown_in_its_own_tax_mode(mode: str, platform: Any) -> None:
    market = Market(tax_mode=platform)
    order = market.to_ship()
    answer = told(market.refund(order, 6.0, mode=mode, taxes=vat(1.0)))
    assert answer["order_tax_mode"] == mode and answer["refunds"][0]["amount"] == 6.0
    excluded = mode == "TAX_EXCLUDED"
    assert market.line(order).refunds[0].amount == (700 if excluded else 600)
    for shown, amount in (("TAX_INCLUDED", 7 if excluded else 6), ("TAX_EXCLUDED", 6 if excluded else 5)):
        refund = line_of(market, order, order_tax_mode=shown)["refunds"][0]
        assert (refund["amount"], refund["taxes"][0]["amount"]) == (amount, 1)
    assert told(market.refund(order, 1.0))["order_tax_mode"] == platform


@pytest.mark.parametrize(("missing", "status"), [("refused", 400), ("not_refunded", 200)])
def test_a_tax_that_nobody_names_is_not_refunded_or_missed(missing: Any, status: int) -> None:
    market = Market(missing_refund_taxes=missing)
    order = market.to_ship()
    assert market.refund(order, 6.0).status == status
    assert [refund.taxes for refund in market.line(order).refunds] == ([[]] if status == 200 else [])


@pytest.mark.parametrize("several", [False, True])
def test_where_taxes_are_proportional_nobody_has_to_name_them(several: bool) -> None:
    market = Market(tax_rule="PROPORTIONAL_TO_AMOUNT")
    order = market.to_ship(several_taxes=several)
    line = market.line(order)
    half = line.price // 2
    told(market.refund(order, half / 100, taxes=vat(0.01) if not several else []))
    told(market.refund(order, (line.price - half) / 100, shipping_amount=3.0))
    back = {tax.code: sum(t.amount for r in line.refunds for t in r.taxes if t.code == tax.code) for tax in line.taxes}
    assert back == {tax.code: tax.amount for tax in line.taxes} and len(back) == 1 + several
    assert all(abs(refund.taxes[0].amount * line.price - line.taxes[0].amount * refund.amount) <= line.price for refund in line.refunds)


def test_with_order_level_taxes_the_platform_s_mode_is_the_only_one() -> None:
    market = Market(order_level_taxes=True, tax_mode="TAX_EXCLUDED", payment_workflow="PAY_ON_DELIVERY", partial_cancelation="open")
    order = market.to_ship()
    assert "must be TAX_EXCLUDED" in message(market.refund(order, 1.0, mode="TAX_INCLUDED"))
    assert "must not be provided" in message(market.cancel_part(order, 1.0, 0, taxes=vat(0.2)))
    told(market.cancel_part(order, 1.0, 0))
    assert line_of(market, order)["cancelations"][0]["taxes"][0]["amount"] == 0.2
    market.ship(order)
    market.does("customer_receives", order_id=order)
    market.later(61)
    told(market.refund(order, 1.0))
    shown = market.shown(order)
    assert shown["order_refunds"][0]["taxes"] == [{"code": "GB-VAT", "rate": 20, "total_amount": 0.2}]
    assert shown["order_taxes"][0]["total_amount"] == sum(tax.amount for n in (0, 1) for tax in _taxes(market, order, n)) / 100


def _taxes(market: Market, order: str, n: int) -> list[Any]:
    return [*market.line(order, n).taxes, *market.line(order, n).shipping_taxes]


def test_amounts_need_their_currency_where_the_shop_has_another_one() -> None:
    market = Market(currency="PLN", platform_currency="EUR")
    order = market.to_ship()
    assert message(market.refund(order)) == "The currency ISO code is mandatory."
    assert told(market.refund(order, currency_iso_code="PLN"))["refunds"][0]["currency_iso_code"] == "PLN"
    assert market.asked("/api/platform/configuration")["features"]["multi_currency"] is True


def test_a_currency_without_decimals() -> None:
    market = Market(currency="JPY", platform_currency="JPY")
    order = market.to_ship()
    told(market.refund(order, 150))
    shown = line_of(market, order)
    assert (
        market.line(order).refunds[0].amount == 150 and shown["price"] == market.line(order).price and shown["refunds"][0]["amount"] == 150
    )


@pytest.mark.parametrize("on_shipping", [True, False])
def test_commission_comes_back_with_the_refund(on_shipping: bool) -> None:
    market = Market(commission_on_shipping=on_shipping)
    order = market.to_ship()
    market.refund(order, 10.0, shipping_amount=3.0)
    refund = line_of(market, order)["refunds"][0]
    assert refund["commission_amount"] == pytest.approx(2.6 if on_shipping else 2.0)
    assert refund["commission_total_amount"] == pytest.approx(refund["commission_amount"] + refund["commission_taxes"][0]["amount"])
    assert refund["commission_tax_amount"] == pytest.approx(refund["commission_amount"] * 0.2)


@pytest.mark.parametrize(("after_closed", "status"), [(False, 400), (True, 200)])
def test_the_operator_refunds_after_the_end_and_the_shop_may_or_may_not(after_closed: bool, status: int) -> None:
    market = Market(refund_after_closed=after_closed)
    order = market.arrived()
    market.until(hours=336)
    assert market.refund(order).status == status
    market.does("operator_refund", order_line_id=market.line(order).id, share=0.5)
    refund = line_of(market, order)["refunds"][-1]
    assert market.line(order).refunds[-1].origin == "operator" and refund["quantity"] is None and refund["reason_code"] == "21"


def test_the_operator_refunds_a_share_the_shipping_alone_or_the_rest() -> None:
    market = Market(fees=1.0)
    order = market.gone()
    line = market.line(order)
    market.does("operator_refund", order_line_id=line.id, share=0.0)
    assert (line.refunds[0].amount, line.refunds[0].shipping_amount) == (0, 300)
    market.does("operator_refund", order_line_id=line.id, share=0.25, shipping=False, quantity=1)
    market.does("operator_refund", order_line_id=line.id)
    assert sum(refund.total for refund in line.refunds) == line.total and line.refunds[1].amount == round(line.price * 0.25)
    with pytest.raises(RefusedError):
        market.does("operator_refund", order_line_id=line.id)


def test_fees_are_refunded_by_their_code() -> None:
    market = Market()
    order = market.to_ship(fees=True)
    n, line = next((n, line) for n, line in enumerate(market.order(order).lines) if line.fees)
    fee = line.fees[0]
    too_much = [{"code": fee.code, "amount": (fee.amount + 1) / 100}]
    assert "must be lower" in message(market.refund(order, 0, n, fees=too_much))
    told(market.refund(order, 0, n, fees=[{"code": fee.code, "amount": fee.amount / 100}]))
    shown = line_of(market, order, n)
    assert shown["refunds"][0]["fees"] == [{"code": fee.code, "amount": fee.amount / 100}]
    assert shown["total_price"] == pytest.approx(shown["price"] + shown["shipping_price"] + sum(one["amount"] for one in shown["fees"]))


@pytest.mark.parametrize(("workflow", "status"), [("PAY_ON_DELIVERY", 400), ("NO_CUSTOMER_PAYMENT_CONFIRMATION", 200)])
def test_nothing_is_refunded_that_nobody_has_paid_save_where_nobody_ever_says(workflow: Any, status: int) -> None:
    market = Market(payment_workflow=workflow)
    assert market.refund(market.to_ship()).status == status


@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.parametrize("how", ["line_closed", "line_refunded"])
def test_units_that_are_out_of_stock_are_refunded_and_left_out(how: Any, returns: bool) -> None:
    market = Market(excluded_units=how, multi_shipment=True, quantity_returns_on_refund=returns)
    order = market.to_ship()
    offer, line = market.account.offers[market.sku(0)], market.line(order)
    before = offer.quantity
    market.refund(order, line.unit_price / 100, quantity=1, excluded_from_shipment=True)
    [item] = market.asked("/api/shipments/items_to_ship", order_id=order)["data"]
    assert item["shipment_lines"][0]["quantity"] == 1 and offer.quantity == before + returns
    assert market.send(order, {0: 2})["shipment_errors"][0]["message"].endswith("exceeds the quantity to ship 1")
    market.refund(order, line.unit_price / 100, quantity=1, excluded_from_shipment=True)
    assert (line.state, market.order(order).state) == ("CLOSED" if how == "line_closed" else "REFUNDED", "SHIPPING")
    market.send(order)
    assert market.order(order).state == "SHIPPED" and (line.shipped, line.excluded) == (0, 2)


# ----------------------------------------------------------------------------------------------------------- cancelations


def later(**switches: Any) -> Market:
    return Market(**{"payment_workflow": "PAY_ON_DELIVERY", "partial_cancelation": "open", **switches})


def test_a_cancelation_lowers_what_the_line_shows_and_adds_up_to_what_was_sold() -> None:
    market = later()
    order = market.to_ship()
    was, line = line_of(market, order), market.line(order)
    stock = market.account.offers[market.sku(0)].quantity
    part: dict[str, Any] = {"taxes": vat(line.unit_tax / 100), "shipping_amount": 1.2, "shipping_taxes": vat(0.2)}
    answer = told(market.cancel_part(order, line.unit_price / 100, 1, **part))
    now = line_of(market, order)
    [given] = now["cancelations"]
    assert answer["cancelations"][0]["cancelation_id"] == given["id"] and now["quantity"] == 1
    for name, of in (("price", "amount"), ("shipping_price", "shipping_amount"), ("commission_fee", "commission_amount")):
        assert now[name] + given[of] == pytest.approx(was[name])
    assert now["taxes"][0]["amount"] + given["taxes"][0]["amount"] == pytest.approx(was["taxes"][0]["amount"])
    assert now["total_commission"] == pytest.approx(now["commission_fee"] + now["commission_taxes"][0]["amount"])
    assert now["price"] == pytest.approx(now["price_unit"] * now["quantity"])
    assert market.account.offers[market.sku(0)].quantity == stock + 1


def test_the_same_cancelation_twice_is_two_until_nothing_is_left() -> None:
    market = later(excluded_units="ignored")
    order = market.to_ship((0, 3))
    line = market.line(order)
    wanted: dict[str, Any] = {"amount": line.unit_price / 100, "taxes": vat(line.unit_tax / 100)}
    for _ in range(2):
        told(market.cancel_part(order, **wanted))
    assert line.quantity == 1 and "whole remaining amount" in message(market.cancel_part(order, **wanted)), "its shipping is left"
    told(market.cancel_part(order, **wanted, shipping_amount=3, shipping_taxes=vat(0.5)))
    assert (line.state, line.price, market.order(order).state) == ("CANCELED", 0, "CANCELED")
    assert market.cancel_part(order, **wanted).status == 400


@pytest.mark.parametrize(("switch", "status"), [("closed_400", 400), ("closed_403", 403), ("open", 200)])
def test_parts_are_cancelled_by_shops_that_may(switch: Any, status: int) -> None:
    market = later(partial_cancelation=switch)
    order = market.to_ship((0, 2))
    assert market.cancel_part(order, market.line(order).unit_price / 100, taxes=vat(market.line(order).unit_tax / 100)).status == status


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"quantity": 2}, "whole remaining amount"),
        ({"quantity": 3}, "remaining quantity 2"),
        ({"quantity": 0, "amount": 0.0, "taxes": []}, "greater than zero"),
        ({"taxes": []}, ""),
        ({"reason_code": "32"}, "not available"),
        ({"reason_code": "15"}, "not found"),
        ({"amount": 9999.0}, "lower than the remaining"),
    ],
)
def test_what_a_cancelation_may_not_ask_for(wrong: dict[str, Any], says: str) -> None:
    market = later()
    order = market.to_ship()
    wanted: dict[str, Any] = {"amount": 1.0, "quantity": 0, "taxes": vat(0.1)} | wrong
    reply = market.cancel_part(order, **wanted)
    assert says in message(reply) if says else reply.status == 200
    assert bool(market.line(order).cancelations) == (not says)


def test_taxes_are_not_left_behind_and_a_line_comes_once_in_a_call() -> None:
    market = later()
    order = market.to_ship((0, 2))
    line = market.line(order)
    assert "must be canceled with it" in message(market.cancel_part(order, line.price / 100, 0))
    one = {"order_line_id": line.id, "amount": 1, "shipping_amount": 0, "quantity": 0, "reason_code": "30"}
    assert "only once" in message(market.mirakl("PUT", "/api/orders/cancel", {"cancelations": [one, one]}))


def test_what_is_packed_or_gone_is_not_cancelled() -> None:
    market = later(multi_shipment=True)
    order = market.to_ship((0, 3))
    line = market.line(order)
    wanted: dict[str, Any] = {"amount": line.unit_price * 2 / 100, "quantity": 2, "taxes": vat(line.unit_tax * 2 / 100)}
    market.send(order, {0: 1})
    market.send(order, {0: 1}, shipped=False)
    assert "quantity to ship 1" in message(market.cancel_part(order, **wanted)) and not market.shown(order)["can_cancel"]
    assert market.cancel(order).status == 400
    wanted = {"amount": line.unit_price / 100, "quantity": 1, "taxes": vat(line.unit_tax / 100)}
    told(market.cancel_part(order, **wanted))
    assert market.order(order).state == "SHIPPING", "one is packed still"
    [waiting] = [one for one in market.asked("/api/shipments", order_id=order)["data"] if one["status"] == "SHIPPING"]
    told(market.mirakl("PUT", "/api/shipments/ship", {"shipments": [{"id": waiting["id"]}]}))
    assert market.order(order).state == "SHIPPED" and line.shipped == line.quantity == 2


def test_the_last_units_cancelled_leave_an_order_that_has_shipped() -> None:
    market = later(multi_shipment=True)
    order = market.to_ship((0, 2))
    market.send(order, {0: 1})
    market.does("operator_cancel_line", order_line_id=market.line(order).id)
    assert market.order(order).state == "SHIPPED" and market.line(order).quantity == 1
    market.until(hours=72)
    assert market.order(order).state == "RECEIVED"


@pytest.mark.parametrize("keeps", [True, False])
def test_a_whole_order_cancelled_keeps_its_prices_or_moves_them(keeps: bool) -> None:
    market = Market(cancelled_keeps_prices=keeps, quantity_returns=not keeps)
    order = market.placed()
    stock = market.account.offers[market.sku(0)].quantity
    market.accept(order)
    assert market.cancel(order).status == 204
    shown = market.shown(order)
    assert shown["order_state"] == "CANCELED" and (shown["total_price"] > 0) == keeps and not shown["can_cancel"]
    assert [bool(line["cancelations"]) for line in shown["order_lines"]] == [not keeps] * 2
    assert market.account.offers[market.sku(0)].quantity == stock + (0 if keeps else 2)
