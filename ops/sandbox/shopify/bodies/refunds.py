"""Refunds and money. In a refund's lines `subtotal` and `total_tax` are JSON numbers; everything else that is money is text."""

from ops.sandbox.money import major, rest_text
from ops.sandbox.shopify import totals
from ops.sandbox.shopify.bodies.lines import line_body
from ops.sandbox.shopify.bodies.writing import Body, local, money_set
from ops.sandbox.shopify.sales import NOTHING, Bag, Order, Refund, RefundLine, Transaction
from ops.sandbox.shopify.state import USER_ID, Shop, gid


def refund_body(shop: Shop, refund: Refund) -> Body:
    order = shop.orders[refund.order_id]
    money = {one.id: one for one in order.transactions}
    return {
        "id": refund.id,
        "admin_graphql_api_id": gid("Refund", refund.id),
        "order_id": order.id,
        "created_at": local(refund.created_at),
        "note": refund.note,
        "user_id": None if refund.by_app else USER_ID,
        "processed_at": local(refund.processed_at),
        "restock": any(line.restocked for line in refund.lines),
        "duties": [],
        "total_duties_set": money_set(order, NOTHING),
        "return": {"id": refund.return_id, "admin_graphql_api_id": gid("Return", refund.return_id)} if refund.return_id else None,
        "refund_shipping_lines": [_shipping(order, refund)] if refund.shipping_id else [],
        "order_adjustments": [
            {
                "id": one.id,
                "amount": rest_text(one.amount.shop, order.currency),
                "amount_set": money_set(order, one.amount),
                "kind": "refund_discrepancy",
                "order_id": order.id,
                "reason": "Pending refund discrepancy" if one.reason.startswith("PENDING") else "Refund discrepancy",
                "refund_id": refund.id,
                "tax_amount": rest_text(0, order.currency),
                "tax_amount_set": money_set(order, NOTHING),
            }
            for one in refund.adjustments
        ],
        "transactions": [transaction_body(shop, order, money[number]) for number in refund.transactions],
        "refund_line_items": [_line(shop, order, line) for line in refund.lines],
    }


def _shipping(order: Order, refund: Refund) -> Body:
    carried = order.shipping_lines[0]
    return {
        "id": refund.shipping_id,
        "shipping_line": {"id": carried.id, "title": carried.title},
        "subtotal_amount_set": money_set(order, refund.shipping),
    }


def _line(shop: Shop, order: Order, line: RefundLine) -> Body:
    sold = order.line(line.line_id)
    assert sold is not None
    return {
        "id": line.id,
        "line_item_id": line.line_id,
        "location_id": line.location_id,
        "quantity": line.quantity,
        "restock_type": line.restock_type.lower(),
        "subtotal": _number(line.subtotal, order),
        "subtotal_set": money_set(order, line.subtotal),
        "total_tax": _number(line.tax, order),
        "total_tax_set": money_set(order, line.tax),
        "line_item": line_body(shop, order, sold, sold.quantity),
    }


def _number(bag: Bag, order: Order) -> int | float:
    """Whole amounts come without decimals."""
    amount = major(bag.shop, order.currency)
    return int(amount) if amount == int(amount) else float(amount)


def transaction_body(shop: Shop, order: Order, money: Transaction) -> Body:
    """`amount` is in the buyer's currency; in total_unsettled_set the currency's key is another than everywhere else."""
    unsettled = {"amount": "0.0", "currency": "XXX"}
    if money.status == "PENDING":
        unsettled = {"amount": rest_text(money.amount.presentment, order.presentment_currency), "currency": order.presentment_currency}
    return {
        "id": money.id,
        "admin_graphql_api_id": gid("OrderTransaction", money.id),
        "order_id": order.id,
        "kind": money.kind.lower(),
        "gateway": money.gateway,
        "status": money.status.lower(),
        "message": None,
        "created_at": local(money.created_at),
        "test": money.test,
        "authorization": money.authorization,
        "location_id": None,
        "user_id": None,
        "parent_id": money.parent_id,
        "processed_at": local(money.processed_at),
        "device_id": None,
        "error_code": money.error.lower() if money.error else None,
        "source_name": order.source_name,
        "receipt": {},
        "amount": rest_text(money.amount.presentment, order.presentment_currency),
        "currency": order.presentment_currency,
        "payment_id": payment_id(order, money),
        "total_unsettled_set": {"presentment_money": unsettled, "shop_money": unsettled},
        "manual_payment_gateway": money.is_manual,
        "amount_rounding": None,
        "payment_details": None,
    }


def payment_id(order: Order, money: Transaction) -> str:
    return f"#{order.number}.{order.transactions.index(money) + 1}"


def tender_body(shop: Shop, tender: int) -> Body:
    number, transaction = shop.tenders[tender]
    order = shop.orders[number]
    money = next(one for one in order.transactions if one.id == transaction)
    return {
        "id": tender,
        "order_id": order.id,
        "amount": rest_text(signed(money).presentment, order.presentment_currency),
        "currency": order.presentment_currency,
        "user_id": None,
        "test": money.test,
        "processed_at": local(money.processed_at),
        "remote_reference": money.authorization,
        "payment_details": None,
        "payment_method": "other" if money.is_manual else "credit_card",
    }


def signed(money: Transaction) -> Bag:
    """What goes back is less than nothing."""
    return money.amount if money.kind in totals.PAID else NOTHING - money.amount
