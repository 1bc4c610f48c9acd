"""Returns from request to their end, and what they do to the goods, the money and the order."""

from typing import Any

import pytest

from ops.sandbox.shopify.sales import Order
from ops.sandbox.shopify.state import gid
from tests.unit.sandbox.storefront import Storefront

REASON = gid("ReturnReasonDefinition", 4)


def wanted(shop: Storefront, order: Order, quantity: int = 1, **more: Any) -> dict[str, Any]:
    shipped = shop.shop.fulfillments[order.fulfillments[0]].lines[0]
    unit = {"fulfillmentLineItemId": gid("FulfillmentLineItem", shipped.id), "quantity": quantity, "returnReasonDefinitionId": REASON}
    return {"orderId": gid("Order", order.id), "returnLineItems": [unit | more]}


def opened(shop: Storefront, order: Order, quantity: int = 1) -> Any:
    return shop.ask("ReturnCreate", returnInput=wanted(shop, order, quantity, returnReasonNote="Mirakl return R-1"))["return"]


def reverse_line(sent: Any) -> str:
    return str(sent["reverseFulfillmentOrders"]["nodes"][0]["lineItems"]["nodes"][0]["id"])


def processing(
    shop: Storefront, sent: Any, quantity: int = 1, money: str | None = None, disposition: str | None = "RESTOCKED"
) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": sent["returnLineItems"]["nodes"][0]["id"], "quantity": quantity}
    if disposition:
        kind = {"reverseFulfillmentOrderLineItemId": reverse_line(sent), "quantity": quantity, "dispositionType": disposition}
        entry["dispositions"] = [kind | ({"locationId": shop.place()} if disposition == "RESTOCKED" else {})]
    made: dict[str, Any] = {"returnId": sent["id"], "returnLineItems": [entry]}
    if money is not None:
        order = next(order for order in shop.shop.orders.values() if gid("Order", order.id) == sent["order"]["id"])
        parent = gid("OrderTransaction", order.transactions[0].id)
        one = {"parentId": parent, "transactionAmount": {"amount": money, "currencyCode": "GBP"}}
        made["financialTransfer"] = {"issueRefund": {"orderTransactions": [one]}}
    return made


def test_only_what_was_sent_can_come_back_and_only_once() -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    shop.refused("ReturnCreate", returnInput=wanted(shop, order, 3))
    opened(shop, order)
    assert shop.refused("ReturnCreate", returnInput=wanted(shop, order, 2))[0]["code"] == "INVALID"
    [row] = shop.ask("ReturnableFulfillments", orderId=gid("Order", order.id), first=5)["nodes"]
    assert row["returnableFulfillmentLineItems"]["nodes"][0]["quantity"] == 1
    opened(shop, order)
    assert shop.ask("ReturnableFulfillments", orderId=gid("Order", order.id), first=5)["nodes"] == []


def test_what_was_refunded_cannot_come_back() -> None:
    shop = Storefront()
    order = shop.fulfilled(1)
    shop.ask("RefundCreate", input=shop.refund_input(order, lines=[shop.unit(order, "RETURN")]), idempotencyKey="k")
    shop.refused("ReturnCreate", returnInput=wanted(shop, order))


def test_a_reason_is_needed() -> None:
    shop = Storefront()
    order = shop.fulfilled(1)
    assert shop.refused("ReturnCreate", returnInput=wanted(shop, order, returnReasonDefinitionId=None))[0]["code"] == "BLANK"
    unknown = gid("ReturnReasonDefinition", 99)
    assert shop.refused("ReturnCreate", returnInput=wanted(shop, order, returnReasonDefinitionId=unknown))[0]["code"] == "NOT_FOUND"
    old = wanted(shop, order, returnReasonDefinitionId=None, returnReason="SIZE_TOO_SMALL")
    made = shop.ask("ReturnCreate", returnInput=old)["return"]
    assert made["returnLineItems"]["nodes"][0]["returnReasonDefinition"]["handle"] == "size-too-small"


def test_making_a_return_does_not_touch_its_order() -> None:
    shop = Storefront()
    order = shop.fulfilled(1)
    before = order.updated_at
    shop.later(60)
    opened(shop, order)
    assert order.updated_at == before
    assert shop.ask("OrderReturns", id=gid("Order", order.id), first=5)["returnStatus"] == "IN_PROGRESS"


def test_an_order_with_an_active_return_cannot_be_cancelled() -> None:
    shop = Storefront()
    order, parcel = shop.routed(2)
    sent = shop.staff("staffFulfil", parcel=parcel.id, lines=[[parcel.lines[0].id, 1]])
    opened(shop, order)
    shop.refused("FulfillmentCancel", id=gid("Fulfillment", sent))
    shop.refused("OrderCancel", orderId=gid("Order", order.id), reason="OTHER", restock=True)


@pytest.mark.parametrize(
    ("disposition", "back_on_sale"), [("RESTOCKED", 1), ("NOT_RESTOCKED", 0), ("MISSING", 0), ("PROCESSING_REQUIRED", 0)]
)
def test_goods_come_back_to_the_shelf_where_they_are_restocked(disposition: str, back_on_sale: int) -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    sent, before = opened(shop, order), shop.available()
    done = shop.ask("ReturnProcess", input=processing(shop, sent, disposition=disposition))["return"]
    assert shop.available() - before == back_on_sale and done["status"] == "CLOSED"
    [back] = done["reverseFulfillmentOrders"]["nodes"]
    assert back["status"] == "CLOSED" and back["lineItems"]["nodes"][0]["dispositions"][0]["type"] == disposition


def test_restocking_needs_a_place() -> None:
    shop = Storefront()
    sent = opened(shop, shop.fulfilled(1))
    line = {"reverseFulfillmentOrderLineItemId": reverse_line(sent), "quantity": 1, "dispositionType": "RESTOCKED"}
    assert shop.refused("ReverseFulfillmentOrderDispose", inputs=[line])[0]["code"] == "BLANK"


def test_a_return_is_paid_back_once() -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    sent = opened(shop, order)
    done = shop.ask("ReturnProcess", input=processing(shop, sent, money="24.00"))["return"]
    [refund] = [shop.shop.refunds[number] for number in order.refunds]
    assert done["refunds"]["nodes"] == [{"id": gid("Refund", refund.id)}] and gid("Return", refund.return_id or 0) == sent["id"]
    assert refund.lines[0].restock_type == "RETURN" and order.financial_status == "PARTIALLY_REFUNDED" and refund.adjustments == []
    assert order.lines[0].returned == order.lines[0].refunded == 1
    assert shop.refused("ReturnProcess", input=processing(shop, sent))[0]["code"] == "INVALID_STATE"


def test_too_much_money_refuses_all_of_it() -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    sent, before = opened(shop, order), shop.available()
    assert shop.refused("ReturnProcess", input=processing(shop, sent, money="52.00"))[0]["code"] == "INVALID"
    assert shop.available() == before and shop.shop.returns[order.returns[0]].lines[0].processed == 0 and order.refunds == []


def test_a_return_can_be_processed_in_parts_and_closed_by_hand() -> None:
    shop = Storefront(return_closes="by_hand")
    order = shop.fulfilled(2)
    sent = opened(shop, order, 2)
    one = gid("Order", order.id)
    for status in ("IN_PROGRESS", "INSPECTION_COMPLETE"):
        done = shop.ask("ReturnProcess", input=processing(shop, sent))["return"]
        assert done["status"] == "OPEN" and shop.ask("OrderGet", id=one)["returnStatus"] == status
    assert shop.refused("ReturnProcess", input=processing(shop, sent))[0]["code"] == "INVALID"
    assert shop.ask("ReturnClose", id=sent["id"])["return"]["closedAt"]
    assert shop.ask("OrderGet", id=one)["returnStatus"] == "RETURNED"
    assert shop.refused("ReturnClose", id=sent["id"])[0]["code"] == "INVALID_STATE"


def test_a_request_waits_for_its_approval() -> None:
    shop = Storefront()
    order = shop.fulfilled(2)
    asked = gid("Return", shop.staff("staffReturn", order=order.id, lines=[[order.lines[0].id, 1]], requested=True))
    read = shop.ask("ReturnGet", id=asked)
    assert read["status"] == "REQUESTED" and read["reverseFulfillmentOrders"]["nodes"] == [] and read["requestApprovedAt"] is None
    assert shop.ask("OrderGet", id=gid("Order", order.id))["returnStatus"] == "RETURN_REQUESTED"
    assert shop.refused("ReturnClose", id=asked)[0]["code"] == "INVALID_STATE"
    shop.ask("ReturnApproveRequest", input={"id": asked})
    assert shop.ask("ReturnGet", id=asked)["reverseFulfillmentOrders"]["nodes"][0]["status"] == "OPEN"
    assert shop.refused("ReturnApproveRequest", input={"id": asked})[0]["code"] == "INVALID_STATE"


@pytest.mark.parametrize("end", ["decline", "cancel"])
def test_what_is_declined_or_cancelled_can_be_asked_for_again(end: str) -> None:
    shop = Storefront()
    order = shop.fulfilled(1)
    asked = gid("Return", shop.staff("staffReturn", order=order.id, lines=[[order.lines[0].id, 1]], requested=True))
    shop.refused("ReturnCreate", returnInput=wanted(shop, order))
    if end == "decline":
        shop.ask("ReturnDeclineRequest", input={"id": asked, "declineReason": "RETURN_PERIOD_ENDED"})
    else:
        shop.ask("ReturnCancel", id=asked)
    assert shop.ask("OrderGet", id=gid("Order", order.id))["returnStatus"] == "NO_RETURN"
    opened(shop, order)


def test_a_return_that_has_begun_cannot_be_cancelled() -> None:
    shop = Storefront()
    sent = opened(shop, shop.fulfilled(2), 2)
    shop.ask("ReturnProcess", input=processing(shop, sent))
    assert shop.refused("ReturnCancel", id=sent["id"])[0]["code"] == "INVALID_STATE"


def test_a_return_can_be_reopened_and_made_smaller() -> None:
    shop = Storefront()
    order = shop.fulfilled(3)
    number = shop.staff("staffReturn", order=order.id, lines=[[order.lines[0].id, 3]])
    shop.staff("staffCloseReturn", number=number)
    shop.staff("staffReopenReturn", number=number)
    found = shop.shop.returns[number]
    shop.staff("staffReduceReturn", number=number, line=found.lines[0].id, quantity=2)
    assert found.status == "OPEN" and found.lines[0].quantity == 1
    [row] = shop.ask("ReturnableFulfillments", orderId=gid("Order", order.id), first=5)["nodes"]
    assert row["returnableFulfillmentLineItems"]["nodes"][0]["quantity"] == 2


def test_two_more_parcels_than_their_units_cannot_be_on_their_way() -> None:
    shop = Storefront()
    sent = opened(shop, shop.fulfilled(1))
    back = sent["reverseFulfillmentOrders"]["nodes"][0]["id"]
    lines = [{"reverseFulfillmentOrderLineItemId": reverse_line(sent), "quantity": 2}]
    assert shop.refused("ReverseDeliveryCreateWithShipping", reverseFulfillmentOrderId=back, lines=lines)[0]["code"] == "INVALID"
