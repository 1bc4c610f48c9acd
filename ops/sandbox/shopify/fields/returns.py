"""Returns, what could be returned, the goods on their way back."""

from typing import Any

from ops.sandbox.shopify import returns, totals
from ops.sandbox.shopify.connections import in_order, page
from ops.sandbox.shopify.fields.orders import visible_order
from ops.sandbox.shopify.fields.table import Call, Field, fields, money, plain, when
from ops.sandbox.shopify.sales import Fulfillment, FulfillmentLine, Order, ReturnLine, ReverseLine
from ops.sandbox.shopify.state import Return, ReverseOrder, Shop, gid, number_of

Pair = tuple[Return, ReturnLine]


def _by_number(records: dict[int, Any], numbers: list[int]) -> dict[int, Any]:
    return {number: records[number] for number in numbers}


plain(
    "Return",
    id=lambda found: gid("Return", found.id),
    name=lambda found: found.name,
    status=lambda found: found.status,
    createdAt=lambda found: when(found.created_at),
    closedAt=lambda found: when(found.closed_at),
    requestApprovedAt=lambda found: when(found.approved_at),
    totalQuantity=lambda found: sum(line.quantity for line in found.lines),
    decline=lambda found: found.decline_reason and {"reason": found.decline_reason, "note": found.decline_note},
)
fields(
    "Return",
    order=lambda found, call, asked: call.shop.orders[found.order_id],
    returnLineItems=lambda found, call, asked: page({line.id: (found, line) for line in found.lines}, asked),
    refunds=lambda found, call, asked: page(_by_number(call.shop.refunds, found.refunds), asked),
    reverseFulfillmentOrders=lambda found, call, asked: page(_by_number(call.shop.reverse_orders, found.reverse_orders), asked),
)


def _shipped(shop: Shop, line: ReturnLine) -> tuple[Fulfillment, FulfillmentLine]:
    parcel = shop.fulfillments[line.fulfillment_id]
    return parcel, next(one for one in parcel.lines if one.id == line.fulfillment_line_id)


def _reason(number: int) -> dict[str, Any]:
    _, handle, name, _ = returns.REASONS[number - 1]
    return {"id": gid("ReturnReasonDefinition", number), "handle": handle, "name": name, "deleted": False}


def _fee(pair: Pair, call: Call, asked: dict[str, Any]) -> Any:
    found, line = pair
    if line.restocking_fee is None:
        return None
    order = call.shop.orders[found.order_id]
    sold = order.line(line.line_id)
    assert sold is not None
    worth = totals.part(totals.line_total(sold), line.quantity, sold.quantity)
    amount = totals.part(worth, round(line.restocking_fee * 100), 10_000)
    return {"id": gid("RestockingFee", line.id), "percentage": line.restocking_fee, "amountSet": money(order, amount)}


plain(
    "ReturnLineItem",
    id=lambda pair: gid("ReturnLineItem", pair[1].id),
    quantity=lambda pair: pair[1].quantity,
    processedQuantity=lambda pair: pair[1].processed,
    unprocessedQuantity=lambda pair: pair[1].quantity - pair[1].processed,
    processableQuantity=lambda pair: pair[1].quantity - pair[1].processed,
    refundedQuantity=lambda pair: pair[1].refunded,
    refundableQuantity=lambda pair: pair[1].quantity - pair[1].refunded,
    returnReason=lambda pair: returns.REASONS[pair[1].reason - 1][3],
    returnReasonDefinition=lambda pair: _reason(pair[1].reason),
    returnReasonNote=lambda pair: pair[1].note,
    customerNote=lambda pair: pair[1].customer_note,
)
fields(
    "ReturnLineItem",
    fulfillmentLineItem=lambda pair, call, asked: _shipped(call.shop, pair[1]),
    restockingFee=_fee,
)
plain(
    "ReverseFulfillmentOrder",
    id=lambda back: gid("ReverseFulfillmentOrder", back.id),
    status=lambda back: back.status,
)
fields(
    "ReverseFulfillmentOrder",
    lineItems=lambda back, call, asked: page({line.id: (back, line) for line in back.lines}, asked),
    order=lambda back, call, asked: visible_order(call, call.shop.returns[back.return_id].order_id),
)


def _dispositions(pair: tuple[ReverseOrder, ReverseLine], call: Call, asked: dict[str, Any]) -> Any:
    return [
        {
            "id": gid("ReverseFulfillmentOrderDisposition", one.id),
            "type": one.type,
            "quantity": one.quantity,
            "location": call.shop.locations.get(one.location_id or 0),
            "createdAt": when(one.created_at),
        }
        for one in pair[1].dispositions
    ]


def _asked_back(pair: tuple[ReverseOrder, ReverseLine], call: Call, asked: dict[str, Any]) -> Any:
    back, line = pair
    return _shipped(call.shop, next(one for one in call.shop.returns[back.return_id].lines if one.id == line.return_line_id))


plain(
    "ReverseFulfillmentOrderLineItem",
    id=lambda pair: gid("ReverseFulfillmentOrderLineItem", pair[1].id),
    totalQuantity=lambda pair: pair[1].total,
)
fields("ReverseFulfillmentOrderLineItem", dispositions=_dispositions, fulfillmentLineItem=_asked_back)
plain("ReverseDelivery", id=lambda delivery: gid("ReverseDelivery", delivery.id))


# ------------------------------------------------------------------------------------------------- what could be returned


def _returnable(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    order = visible_order(call, number_of(asked["orderId"], "Order"))
    if order is None:
        return page({}, asked)
    parcels = (call.shop.fulfillments[number] for number in order.fulfillments)
    rows = {parcel.id: (order, parcel) for parcel in parcels if _left(order, parcel)}
    return page(rows, asked)


def _returnable_parcel(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    parcel = call.shop.fulfillments.get(number_of(asked["id"], "ReturnableFulfillment"))
    order = visible_order(call, parcel.order_id) if parcel else None
    return (order, parcel) if order is not None and parcel is not None and _left(order, parcel) else None


def _left(order: Order, parcel: Fulfillment) -> list[tuple[Fulfillment, FulfillmentLine, int]]:
    found = [(parcel, line, returns.returnable(order, parcel, line)) for line in parcel.lines]
    return [row for row in found if row[2]]


plain(
    "ReturnableFulfillment",
    id=lambda pair: gid("ReturnableFulfillment", pair[1].id),
    fulfillment=lambda pair: pair[1],
)
fields("ReturnableFulfillment", returnableFulfillmentLineItems=lambda pair, call, asked: page(in_order(_left(*pair)), asked))
plain(
    "ReturnableFulfillmentLineItem",
    quantity=lambda row: row[2],
    fulfillmentLineItem=lambda row: row[:2],
)


def _reasons(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    handles, ids = asked.get("handles"), asked.get("ids")
    shown = {
        number: _reason(number)
        for number, handle, *_ in returns.REASONS
        if (not handles or handle in handles) and (not ids or gid("ReturnReasonDefinition", number) in ids)
    }
    return page(shown, asked)


def _return(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    found = call.shop.returns.get(number_of(asked["id"], "Return"))
    return found if found is not None and visible_order(call, found.order_id) is not None else None


fields(
    "QueryRoot",
    returnableFulfillment=_returnable_parcel,
    returnableFulfillments=_returnable,
    returnReasonDefinitions=_reasons,
    reverseFulfillmentOrder=lambda _, call, asked: call.shop.reverse_orders.get(number_of(asked["id"], "ReverseFulfillmentOrder")),
    **{"return": _return},
)


# ------------------------------------------------------------------------------------------------------------------ asked


def _done(operation: str, read: Any) -> Field:
    """A mutation that answers its return; `read` takes the operation's arguments from what was asked."""

    def do(_: Any, call: Call, asked: dict[str, Any]) -> Any:
        number, problems = call.attempt(operation, **read(asked))
        return {"return": call.shop.returns[number] if number else None, "userErrors": problems}

    return do


def _disposed(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    numbers, problems = call.attempt("reverseFulfillmentOrderDispose", wanted=asked["dispositionInputs"])
    shown = []
    for number in dict.fromkeys(numbers or ()):
        back = call.shop.reverse_orders[call.shop.reverse_lines[number]]
        shown.append((back, next(line for line in back.lines if line.id == number)))
    return {"reverseFulfillmentOrderLineItems": None if problems else shown, "userErrors": problems}


def _delivered(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    number, problems = call.attempt(
        "reverseDeliveryCreateWithShipping",
        reverse_order=asked["reverseFulfillmentOrderId"],
        lines=asked["reverseDeliveryLineItems"],
        tracking=asked.get("trackingInput"),
        label=asked.get("labelInput"),
    )
    return {"reverseDelivery": call.shop.reverse_deliveries[number] if number else None, "userErrors": problems}


fields(
    "Mutation",
    returnCreate=_done("returnCreate", lambda asked: {"wanted": asked["returnInput"]}),
    returnApproveRequest=_done("returnApproveRequest", lambda asked: {"number": asked["input"]["id"]}),
    returnDeclineRequest=_done(
        "returnDeclineRequest",
        lambda asked: {
            "number": asked["input"]["id"],
            "reason": asked["input"]["declineReason"],
            "note": asked["input"].get("declineNote"),
        },
    ),
    returnProcess=_done("returnProcess", lambda asked: {"wanted": asked["input"]}),
    returnClose=_done("returnClose", lambda asked: {"number": asked["id"]}),
    returnCancel=_done("returnCancel", lambda asked: {"number": asked["id"]}),
    reverseFulfillmentOrderDispose=_disposed,
    reverseDeliveryCreateWithShipping=_delivered,
)
