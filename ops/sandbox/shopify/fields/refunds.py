"""Refunds, what one would come to, and tender transactions."""

from typing import Any

from graphql import GraphQLError

from ops.sandbox.money import minor
from ops.sandbox.shopify import refunds, search, totals
from ops.sandbox.shopify.bodies.refunds import signed
from ops.sandbox.shopify.connections import browse, in_order, page
from ops.sandbox.shopify.fields.orders import visible_order
from ops.sandbox.shopify.fields.table import Call, Field, decimal, fields, money, plain, when
from ops.sandbox.shopify.refunds import Suggestion
from ops.sandbox.shopify.sales import NOTHING, Bag, Order, Refund, RefundLine, Transaction
from ops.sandbox.shopify.state import gid, number_of

Pair = tuple[Order, RefundLine]


def _order_of(refund: Refund, call: Call) -> Order:
    return call.shop.orders[refund.order_id]


def _money_of(refund: Refund, call: Call) -> list[tuple[Order, Transaction]]:
    order = _order_of(refund, call)
    known = {one.id: one for one in order.transactions}
    return [(order, known[number]) for number in refund.transactions]


def _refunded(refund: Refund, call: Call, asked: dict[str, Any]) -> Any:
    """Money that has moved, not what was asked for."""
    moved = totals.summed(one.amount for _, one in _money_of(refund, call) if one.status == "SUCCESS")
    return money(_order_of(refund, call), moved)


def _shipping_lines(refund: Refund, call: Call, asked: dict[str, Any]) -> Any:
    order = _order_of(refund, call)
    if not refund.shipping_id:
        return page({}, asked)
    shown = {
        "id": gid("RefundShippingLine", refund.shipping_id),
        "shippingLine": (order, order.shipping_lines[0]),
        "subtotalAmountSet": money(order, refund.shipping),
        "taxAmountSet": money(order, refund.shipping_tax),
    }
    return page({refund.shipping_id: shown}, asked)


def _adjustments(refund: Refund, call: Call, asked: dict[str, Any]) -> Any:
    order = _order_of(refund, call)
    shown = {
        one.id: {
            "id": gid("OrderAdjustment", one.id),
            "reason": one.reason,
            "amountSet": money(order, one.amount),
            "taxAmountSet": money(order, NOTHING),
        }
        for one in refund.adjustments
    }
    return page(shown, asked)


plain(
    "Refund",
    id=lambda refund: gid("Refund", refund.id),
    legacyResourceId=lambda refund: str(refund.id),
    createdAt=lambda refund: when(refund.created_at),
    processedAt=lambda refund: when(refund.processed_at),
    updatedAt=lambda refund: when(refund.updated_at),
    note=lambda refund: refund.note,
)
fields(
    "Refund",
    order=lambda refund, call, asked: _order_of(refund, call),
    totalRefundedSet=_refunded,
    refundLineItems=lambda refund, call, asked: page({line.id: (_order_of(refund, call), line) for line in refund.lines}, asked),
    refundShippingLines=_shipping_lines,
    orderAdjustments=_adjustments,
    transactions=lambda refund, call, asked: page(in_order(_money_of(refund, call)), asked),
)
fields("Refund", **{"return": lambda refund, call, asked: call.shop.returns.get(refund.return_id)})


def _unit_price(pair: Pair) -> Bag:
    order, line = pair
    sold = order.line(line.line_id)
    return sold.price if sold else NOTHING


def _sold(pair: Pair, call: Call, asked: dict[str, Any]) -> Any:
    order, line = pair
    return order, order.line(line.line_id)


AMOUNTS = {"price": _unit_price, "subtotal": lambda pair: pair[1].subtotal, "totalTax": lambda pair: pair[1].tax}


def _bagged(read: Any) -> Field:
    return lambda pair, call, asked: money(pair[0], read(pair))


def _plainly(read: Any) -> Field:
    return lambda pair, call, asked: decimal(read(pair).shop, pair[0].currency, call)


plain(
    "RefundLineItem",
    id=lambda pair: gid("RefundLineItem", pair[1].id) if pair[1].id else None,
    quantity=lambda pair: pair[1].quantity,
    restockType=lambda pair: pair[1].restock_type,
    restocked=lambda pair: pair[1].restocked,
)
fields(
    "RefundLineItem",
    lineItem=_sold,
    location=lambda pair, call, asked: call.shop.locations.get(pair[1].location_id),
    **{f"{name}Set": _bagged(read) for name, read in AMOUNTS.items()},
    **{name: _plainly(read) for name, read in AMOUNTS.items()},
)


# ------------------------------------------------------------------------------------------------------------ suggestions


def _suggested(order: Order, call: Call, asked: dict[str, Any]) -> Any:
    left = totals.shipping(order) - totals.refunded_shipping(call.shop, order)
    lines = [refunds.taken(order, one) for one in asked.get("refundLineItems") or []]
    shipping = NOTHING
    if asked.get("suggestFullRefund"):
        lines = [refunds.Taken(line, line.current, "NO_RESTOCK", None) for line in order.lines if line.current]
        shipping = left
    elif asked.get("refundShipping"):
        shipping = left
    elif asked.get("shippingAmount"):
        wanted = min(left.presentment, minor(asked["shippingAmount"], order.presentment_currency))
        shipping = totals.part(left, wanted, left.presentment)
    lines = [one for one in lines if 0 < one.quantity <= one.line.current]
    return order, refunds.suggest(call.shop, order, lines, shipping)


fields("Order", suggestedRefund=_suggested)
SUGGESTED = {"amount": "amount", "maximumRefundable": "most", "subtotal": "subtotal"}


def _of(name: str) -> Any:
    return lambda pair: getattr(pair[1], name)


def _transactions(pair: tuple[Order, Suggestion]) -> list[dict[str, Any]]:
    order, suggestion = pair
    return [
        {
            "kind": "SUGGESTED_REFUND",
            "gateway": paid.gateway,
            "formattedGateway": paid.gateway.replace("_", " ").title(),
            "accountNumber": None,
            "amountSet": money(order, amount),
            "maximumRefundableSet": money(order, totals.refundable(order, paid)),
            "parentTransaction": (order, paid),
        }
        for paid, amount in suggestion.money
    ]


plain(
    "SuggestedRefund",
    totalTaxSet=lambda pair: money(pair[0], pair[1].tax),
    refundLineItems=lambda pair: [(pair[0], line) for line in pair[1].lines],
    suggestedTransactions=_transactions,
    shipping=lambda pair: {
        "amountSet": money(pair[0], pair[1].shipping),
        "maximumRefundableSet": money(pair[0], pair[1].most_shipping),
        "taxSet": money(pair[0], pair[1].shipping_tax),
    },
)
fields(
    "SuggestedRefund",
    totalTaxes=_plainly(_of("tax")),
    **{f"{name}Set": _bagged(_of(kept)) for name, kept in SUGGESTED.items()},
    **{name: _plainly(_of(kept)) for name, kept in SUGGESTED.items()},
)


# ------------------------------------------------------------------------------------------------------------------ asked


def _create(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    number, problems = call.attempt("refundCreate", wanted=asked["input"], key=asked["idempotent"])
    if call.shop.switches.refund_key_errors == "top_level":
        for problem in problems:
            if problem.code is not None:
                raise GraphQLError(problem.message, extensions={"code": problem.code})
    refund = call.shop.refunds[number] if number else None
    order = call.shop.orders.get(number_of(asked["input"]["orderId"], "Order"))
    return {"refund": refund, "order": order, "userErrors": problems}


def _refund(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    found = call.shop.refunds.get(number_of(asked["id"], "Refund"))
    return found if found is not None and visible_order(call, found.order_id) is not None else None


TENDER_FILTERS: dict[str, search.Filter] = {
    "id": search.number(lambda row: int(row[0])),
    "processed_at": search.time(lambda row: row[2].processed_at),
    "test": search.text(lambda row: str(row[2].test).lower()),
    "order_id": search.number(lambda row: int(row[1].id)),
}


def _tender(call: Call, number: int) -> tuple[int, Order, Transaction]:
    order_id, transaction = call.shop.tenders[number]
    order = call.shop.orders[order_id]
    return number, order, next(one for one in order.transactions if one.id == transaction)


def _tenders(_: Any, call: Call, asked: dict[str, Any]) -> Any:
    holds = call.found("tenderTransactions", asked.get("query"), TENDER_FILTERS)
    return browse(list(call.shop.tenders), lambda number: _tender(call, number), asked, holds)


fields("QueryRoot", refund=_refund, tenderTransactions=_tenders)
fields("Mutation", refundCreate=_create)
plain(
    "TenderTransaction",
    id=lambda row: gid("TenderTransaction", row[0]),
    amount=lambda row: (signed(row[2]).presentment, row[1].presentment_currency),
    order=lambda row: row[1],
    paymentMethod=lambda row: "other" if row[2].is_manual else "credit_card",
    processedAt=lambda row: when(row[2].processed_at),
    remoteReference=lambda row: row[2].authorization,
    test=lambda row: row[2].test,
)
