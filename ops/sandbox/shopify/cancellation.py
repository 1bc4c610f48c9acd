"""Orders cancelled: asked for, accepted, and done by a job that runs later and may find that it cannot."""

from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.chance import happens
from ops.sandbox.shopify import refunds, routing, totals
from ops.sandbox.shopify.refunds import Taken, Wish
from ops.sandbox.shopify.state import Job, Order, Problem, RefusedError, Shop, number_of
from ops.sandbox.shopify.webhooks import emit, touch

LONGEST_NOTE = 255
ACTIVE = ("REQUESTED", "OPEN")  # a return in one of these keeps its order from being cancelled


def cancel_order(shop: Shop, order_id: str, wanted: dict[str, Any], at: datetime, *, by_app: bool = True) -> int:
    """Accepted is not done: the job runs later, and may find that a parcel has left meanwhile. Returns the job's number."""
    order = shop.orders.get(number_of(order_id, "Order"))
    if order is None:
        raise RefusedError(Problem(("orderId",), "Order does not exist", "NOT_FOUND"))
    if len(wanted.get("staffNote") or "") > LONGEST_NOTE:
        raise RefusedError(Problem(("staffNote",), f"Staff note is too long (maximum is {LONGEST_NOTE} characters)", "INVALID"))
    if says := _hindrance(shop, order):
        raise RefusedError(Problem(("orderId",), says, "INVALID"))
    method = wanted.get("refundMethod") or {}
    if method.get("storeCreditRefund") is not None:
        code = "STORE_CREDIT_REFUND_MISSING_CUSTOMER"
        raise RefusedError(Problem(("refundMethod", "storeCreditRefund"), "Store credit needs a customer account", code))
    refund = bool(method.get("originalPaymentMethodsRefund") or wanted.get("refund"))
    job = Job(shop.new_id(), order.id, wanted["reason"], wanted["restock"], refund, by_app, wanted.get("staffNote"))
    shop.jobs[job.id] = job
    shop.agenda.put(at + timedelta(seconds=shop.switches.cancel_delay), "cancel", job.id)
    return job.id


def _hindrance(shop: Shop, order: Order) -> str | None:
    """Why the order cannot be cancelled as things stand."""
    if order.cancelled_at is not None:
        return "Order has already been cancelled"
    if any(line.fulfilled for line in order.lines):
        return "Cannot cancel an order with fulfillments"
    if any(shop.returns[number].status in ACTIVE for number in order.returns):
        return "Cannot cancel an order with active returns"
    if any(held.kind == "AUTHORIZATION" and held.status == "PENDING" for held in order.transactions):
        return "Cannot cancel an order with a pending payment authorization"
    return None


def run(shop: Shop, job: Job, at: datetime) -> None:
    """The job's turn. Done without the order's `cancelled_at`: it has failed."""
    order = shop.orders.get(job.order_id)
    broken = happens(shop.seed, shop.switches.cancel_fails, "cancel fails", job.id)
    says = "Order does not exist" if order is None else "Internal error" if broken else _hindrance(shop, order)
    if order is None or says:
        job.status, job.error = "FAILED", says
        return
    left = [
        Taken(line, line.unfulfilled, "CANCEL", line.location_id or next(iter(shop.locations))) for line in order.lines if line.unfulfilled
    ]
    left = [Taken(one.line, min(one.quantity, one.line.current), one.restock_type, one.location_id) for one in left if one.line.current]
    wish = Wish(order, by_app=job.by_app, moves_stock=job.restock)
    if job.refund:
        paid = [one for one in order.transactions if one.kind in totals.PAID and one.status == "SUCCESS"]
        wish.money = [(one, back) for one in paid if (back := totals.refundable(order, one)).presentment > 0]
        wish.shipping = totals.shipping(order) - totals.refunded_shipping(shop, order)
    if job.refund or shop.switches.cancel_leaves_refund:
        wish.lines = left
    try:
        refunds.check(shop, wish)
    except RefusedError as refused:
        job.status, job.error = "FAILED", str(refused)
        return
    order.cancelled_at = at
    order.cancel_reason, order.staff_note = job.reason, job.note
    if wish.lines or wish.money:
        refunds.carry_out(shop, wish, at)
    for line in order.lines:
        if rest := line.unfulfilled:
            line.dropped += min(rest, line.current)
            routing.take_off(shop, order, line, rest, at, restock=job.restock)
    for number in order.fulfillment_orders:
        parcel = shop.fulfillment_orders[number]
        if parcel.status == "CLOSED" and parcel.updated_at == at and not any(line.total for line in parcel.lines):
            parcel.status = "CANCELLED"
            emit(shop, "fulfillment_orders/cancelled", (parcel.id,), at)
    order.financial_status = totals.financial_status(order)
    job.status = "SUCCEEDED"
    touch(shop, order, at)
    emit(shop, "orders/cancelled", (order.id,), at)
