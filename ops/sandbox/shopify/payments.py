"""Money of an order: payments told of, refunds asked of a gateway, and what becomes of them. A manual gateway moves none by itself."""

from datetime import datetime, timedelta
from typing import Literal

from ops.sandbox.shopify import totals
from ops.sandbox.shopify.state import Bag, Order, Shop, Transaction
from ops.sandbox.shopify.webhooks import emit, touch


def tell(shop: Shop, order: Order, money: Transaction, at: datetime) -> None:
    """Of a new transaction; of a tender transaction too, where money has moved."""
    emit(shop, "order_transactions/create", (order.id, money.id), at)
    if money.status == "SUCCESS" and money.kind in (*totals.PAID, "REFUND"):
        number = shop.new_id()
        shop.tenders[number] = (order.id, money.id)
        emit(shop, "tender_transactions/create", (number,), at)


def give_back(shop: Shop, order: Order, paid: Transaction, amount: Bag, at: datetime) -> Transaction:
    """Asks the gateway of a payment to return so much of it."""
    fate = shop.switches.manual_refunds if paid.is_manual else "moved"
    status = {"moved": "SUCCESS", "pending": "PENDING", "failed": "FAILURE"}[fate]
    later = shop.switches.refund_delay if fate == "moved" else 0.0
    money = Transaction(
        id=shop.new_id(),
        kind="REFUND",
        status="PENDING" if later else status,
        gateway=paid.gateway,
        amount=amount,
        created_at=at,
        processed_at=at,
        test=paid.test,
        parent_id=paid.id,
        error="GENERIC_ERROR" if status == "FAILURE" else None,
    )
    order.transactions.append(money)
    if later:
        shop.agenda.put(at + timedelta(seconds=later), "settle", f"{order.id}/{money.id}")
    return money


def settle(shop: Shop, order: Order, money: Transaction, status: Literal["SUCCESS", "FAILURE"], at: datetime) -> None:
    """What was pending has moved, or has not. There is no webhook for a transaction that changes."""
    if money.status != "PENDING":
        return
    money.status, money.processed_at = status, at
    money.error = "GENERIC_ERROR" if status == "FAILURE" else None
    if status == "SUCCESS":
        number = shop.new_id()
        shop.tenders[number] = (order.id, money.id)
        emit(shop, "tender_transactions/create", (number,), at)
    order.financial_status = totals.financial_status(order)
    touch(shop, order, at)
