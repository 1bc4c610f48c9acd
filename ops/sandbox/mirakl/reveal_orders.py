"""Orders as they are, for the truth that a referee compares: what was sold, what left, what was given back, by whom.

Amounts are texts with the scale of their currency, tax included. Personal data is in it.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl.sale import Fee, Line, Order, Part, Refund, Return, Shipment, Tax, Thread
from ops.sandbox.mirakl.shapes import line_state
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import rest_text


def orders(account: Account, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """In the order of their creation; those that are hidden too, and they say so. `since`: those that changed then or later."""
    return (one_order(account, order) for order in account.orders.values() if since is None or order.updated_at >= since)


def one_order(account: Account, order: Order) -> dict[str, Any]:
    def text(amount: int) -> str:
        return rest_text(amount, order.currency)

    return {
        "order_id": order.id,
        "commercial_id": order.commercial_id,
        "state": order.state,
        "reason": order.reason,
        "hidden": order.hidden,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "accepted_at": order.accepted_at,
        "shipping_at": order.shipping_at,
        "shipping_deadline": order.shipping_deadline,
        "debited_at": order.debited_at,
        "workflow": order.workflow,
        "paid": text(order.paid),
        "channel": order.channel,
        "centre": order.centre,
        "shipping_type": order.shipping_type,
        "test": "test-order" in order.fields,
        "seller_reference": order.seller_reference,
        "currency": order.currency,
        "total": text(sum(line.total for line in order.lines)),
        "tax": text(sum(tax.amount for line in order.lines for tax in [*line.taxes, *line.shipping_taxes])),
        "shipping": text(sum(line.shipping_price for line in order.lines)),
        "tracking": order.tracking,
        "buyer": order.buyer,
        "lines": [_line(account, order, line) for line in order.lines],
        "shipments": [_shipment(account.shipments[number]) for number in order.shipments],
        "returns": [_return(account.returns[number]) for number in order.returns],
        "threads": [_thread(account.threads[number]) for number in order.threads],
        "documents": [
            {"id": one.id, "name": one.name, "type": one.type, "by": one.by}
            for one in (account.documents[number] for number in order.documents)
        ],
    }


def _line(account: Account, order: Order, line: Line) -> dict[str, Any]:
    def text(amount: int) -> str:
        return rest_text(amount, order.currency)

    taken_off = sum(one.quantity for one in line.cancelations)
    return {
        "order_line_id": line.id,
        "sku": line.offer_sku,
        "quantity": line.quantity,
        "ordered": line.quantity + taken_off,
        "cancelled": taken_off + line.quantity * (not line.alive),  # refused ones too: the units are the seller's again
        "shipped": line.shipped,
        "prepared": line.prepared,
        "excluded": line.excluded,
        "unit_price": text(line.unit_price),
        "price": text(line.price),
        "shipping_price": text(line.shipping_price),
        "taxes": _taxes(order, line.taxes),
        "shipping_taxes": _taxes(order, line.shipping_taxes),
        "fees": _fees(order, line.fees),
        "promotions": line.promotions,
        "commission": text(line.commission + line.commission_tax),
        "state": line.state,
        "shown_state": line_state(account, line),
        "reason": line.reason,
        "debited_at": line.debited_at,
        "shipped_at": line.shipped_at,
        "received_at": line.received_at,
        "refunds": [_refund(order, one) for one in line.refunds],
        "cancelations": [_part(order, one) for one in line.cancelations],
        "incidents": line.incidents,
    }


def _taxes(order: Order, listed: Iterable[Tax]) -> list[dict[str, Any]]:
    return [{"code": tax.code, "rate": tax.rate, "amount": rest_text(tax.amount, order.currency)} for tax in listed]


def _fees(order: Order, listed: Iterable[Fee]) -> list[dict[str, Any]]:
    return [{"code": fee.code, "amount": rest_text(fee.amount, order.currency)} for fee in listed]


def _part(order: Order, given: Part) -> dict[str, Any]:
    def text(amount: int) -> str:
        return rest_text(amount, order.currency)

    return {
        "id": given.id,
        "origin": given.origin,
        "created_at": given.created_at,
        "reason": given.reason,
        "quantity": given.quantity,
        "amount": text(given.amount),
        "shipping_amount": text(given.shipping_amount),
        "total": text(given.total),
        "taxes": _taxes(order, given.taxes),
        "shipping_taxes": _taxes(order, given.shipping_taxes),
        "fees": _fees(order, given.fees),
        "commission": text(given.commission + given.commission_tax),
    }


def _refund(order: Order, given: Refund) -> dict[str, Any]:
    more = {
        "group": given.group,
        "state": given.state,
        "excluded": given.excluded,
        "return_id": given.return_id,
        "paid_at": given.paid_at,
        "transaction": given.transaction,
    }
    return _part(order, given) | more


def _shipment(parcel: Shipment) -> dict[str, Any]:
    return {
        "id": parcel.id,
        "state": parcel.state,
        "debit": parcel.debit,
        "created_at": parcel.created_at,
        "shipped_at": parcel.shipped_at,
        "invoice_reference": parcel.invoice_reference,
        "tracking": parcel.tracking,
        "units": parcel.units,
    }


def _return(one: Return) -> dict[str, Any]:
    return {
        "id": one.id,
        "state": one.state,
        "requested_by": one.requested_by,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "rma": one.rma,
        "lines": one.lines,
    }


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "id": thread.id,
        "topic": thread.topic,
        "messages": [{"id": one.id, "at": one.at, "by": one.by, "to": one.to, "body": one.body} for one in thread.messages],
    }
