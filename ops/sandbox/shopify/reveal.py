"""A shop as it is, for the truth that a referee compares. Amounts are texts with the scale of their currency; personal data is in it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ops.sandbox.money import rest_text
from ops.sandbox.shopify import refunds, totals
from ops.sandbox.shopify.sales import Bag, Job, Order, Refund, Return, TaxLine
from ops.sandbox.shopify.state import APP_ID, Bulk, Shop, Subscription, gid


def orders(shop: Shop, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """In the order of their creation. `since`: those of which anything changed then or later."""
    return (one_order(shop, order) for order in shop.orders.values() if since is None or _changed(shop, order) >= since)


def _changed(shop: Shop, order: Order) -> datetime:
    """When anything of it last did."""
    parcels = [shop.fulfillments[number].updated_at for number in order.fulfillments]
    waiting = [shop.fulfillment_orders[number].updated_at for number in order.fulfillment_orders]
    return max([order.created_at, order.updated_at, *parcels, *waiting])


def one_order(shop: Shop, order: Order) -> dict[str, Any]:
    def text(bag: Bag) -> str:
        return rest_text(bag.shop, order.currency)

    def taxes(lines: list[TaxLine]) -> list[dict[str, Any]]:
        return [{"title": tax.title, "rate": tax.rate, "amount": text(tax.amount)} for tax in lines]

    skus = {line.id: line.sku for line in order.lines}
    return {
        "id": gid("Order", order.id),
        "name": order.name,
        "by_app": order.app_id == APP_ID,
        "created_at": order.created_at,
        "cancelled_at": order.cancelled_at,
        "financial_status": order.financial_status,
        "fulfillment_status": totals.fulfillment_status(order),
        "currency": order.currency,
        "taxes_included": order.taxes_included,
        "total": text(totals.total(order)),
        "current_total": text(totals.current_total(shop, order)),
        "received": text(totals.received(order)),
        "refunded": text(totals.refunded(order)),
        "outstanding": text(totals.outstanding(shop, order)),
        "return_status": totals.return_status(shop, order),
        "closed_at": order.closed_at,
        "cancel_reason": order.cancel_reason,
        "edited": order.edited,
        "tax": text(totals.tax(order)),
        "shipping": text(totals.shipping(order)),
        "test": order.test,
        "attributes": dict(order.attributes),
        "tags": order.tags,
        "source_name": order.source_name,
        "source_identifier": order.source_identifier,
        "email": order.email,
        "metafields": {f"{field.namespace}.{field.key}": field.value for field in order.metafields},
        "shipping_address": order.shipping_address,
        "redacted": order.redacted,
        "lines": [
            {
                "id": gid("LineItem", line.id),
                "sku": line.sku,
                "quantity": line.quantity,
                "current_quantity": line.current,
                "refunded": line.refunded,
                "returned": line.returned,
                "unit_price": text(line.price),
                "discount": text(line.discount),
                "taxes": taxes(line.taxes),
                "requires_shipping": line.requires_shipping,
                "claimed": line.claimed,
                "fulfilled": line.fulfilled,
                "cancelled": line.cancelled,
                "properties": dict(line.properties),
            }
            for line in order.lines
        ],
        "shipping_lines": [{"title": line.title, "price": text(line.price), "taxes": taxes(line.taxes)} for line in order.shipping_lines],
        "fulfillments": [
            {
                "id": gid("Fulfillment", parcel.id),
                "status": parcel.status,
                "created_at": parcel.created_at,
                "updated_at": parcel.updated_at,
                "company": parcel.company,
                "numbers": parcel.numbers,
                "urls": parcel.urls,
                "location": shop.locations[parcel.location_id].name,
                "events": [{"status": event.status, "at": event.happened_at} for event in parcel.events],
                "lines": [
                    {"line": gid("LineItem", line.line_id), "sku": skus[line.line_id], "quantity": line.quantity} for line in parcel.lines
                ],
            }
            for parcel in (shop.fulfillments[number] for number in order.fulfillments)
        ],
        "fulfillment_orders": [
            {
                "id": gid("FulfillmentOrder", one.id),
                "status": one.status,
                "location": shop.locations[one.location_id].name,
                "remaining": one.remaining,
                "holds": [{"reason": hold.reason, "handle": hold.handle, "by": "app" if hold.by_app else "person"} for hold in one.holds],
                "lines": [
                    {"line": gid("LineItem", line.line_id), "sku": skus[line.line_id], "remaining": line.remaining} for line in one.lines
                ],
            }
            for one in (shop.fulfillment_orders[number] for number in order.fulfillment_orders)
        ],
        "transactions": [
            {
                "id": gid("OrderTransaction", money.id),
                "kind": money.kind,
                "status": money.status,
                "gateway": money.gateway,
                "amount": text(money.amount),
                "parent": gid("OrderTransaction", money.parent_id) if money.parent_id else None,
                "refund": gid("Refund", money.refund_id) if money.refund_id else None,
                "at": money.processed_at,
            }
            for money in order.transactions
        ],
        "refunds": [_refund(order, shop.refunds[number], skus) for number in order.refunds],
        "returns": [_return(shop.returns[number], skus) for number in order.returns],
    }


def _refund(order: Order, refund: Refund, skus: dict[int, str | None]) -> dict[str, Any]:
    """`by`: whether the app made it or a person. `total`: its money, or of a mere record what its lines and shipping come to."""

    def text(bag: Bag) -> str:
        return rest_text(bag.shop, order.currency)

    money = {one.id: one for one in order.transactions}
    moved = totals.summed(money[number].amount for number in refund.transactions if money[number].status != "FAILURE")
    return {
        "id": gid("Refund", refund.id),
        "created_at": refund.created_at,
        "by": "app" if refund.by_app else "person",
        "note": refund.note,
        "return": gid("Return", refund.return_id) if refund.return_id else None,
        "lines": [
            {
                "line": gid("LineItem", line.line_id),
                "sku": skus[line.line_id],
                "quantity": line.quantity,
                "restock_type": line.restock_type,
                "subtotal": text(line.subtotal),
                "tax": text(line.tax),
            }
            for line in refund.lines
        ],
        "total": text(moved if moved.shop else refunds.worth(order, refund)),
        "shipping": text(refund.shipping),
        "money": text(totals.summed(money[number].amount for number in refund.transactions if money[number].status == "SUCCESS")),
        "pending": text(totals.summed(money[number].amount for number in refund.transactions if money[number].status == "PENDING")),
        "adjustments": [{"reason": one.reason, "amount": text(one.amount)} for one in refund.adjustments],
    }


def _return(found: Return, skus: dict[int, str | None]) -> dict[str, Any]:
    return {
        "id": gid("Return", found.id),
        "name": found.name,
        "status": found.status,
        "by": "app" if found.by_app else "person",
        "created_at": found.created_at,
        "closed_at": found.closed_at,
        "refunds": [gid("Refund", number) for number in found.refunds],
        "lines": [
            {
                "line": gid("LineItem", line.line_id),
                "sku": skus[line.line_id],
                "quantity": line.quantity,
                "processed": line.processed,
                "refunded": line.refunded,
                "note": line.note,
            }
            for line in found.lines
        ],
    }


def cancellation(job: Job) -> dict[str, Any]:
    told = {"order": gid("Order", job.order_id), "status": job.status, "error": job.error, "by": "app" if job.by_app else "person"}
    return told | {"id": gid("Job", job.id), "reason": job.reason, "restock": job.restock, "refund": job.refund}


def bulk(job: Bulk) -> dict[str, Any]:
    told = {"type": job.type, "status": job.status, "error": job.error, "objects": job.objects}
    return told | {"id": gid("BulkOperation", job.id), "created_at": job.created_at, "completed_at": job.completed_at}


def subscription(known: Subscription) -> dict[str, Any]:
    return {"id": gid("WebhookSubscription", known.id), "topic": known.topic, "uri": known.uri, "name": known.name}


def stock(shop: Shop, variant: int) -> dict[str, Any]:
    levels = list(shop.levels[shop.variants[variant].item_id].values())
    shown = ("available", "committed", "on_hand", "oversold")
    return {name: sum(getattr(level, name) for level in levels) for name in shown} | {
        "tracked": shop.items[shop.variants[variant].item_id].tracked,
        "locations": {shop.locations[level.location_id].name: level.available for level in levels},
        "levels": [
            {
                "location": gid("Location", level.location_id),
                "active": level.active,
                "available": level.available,
                "committed": level.committed,
                "on_hand": level.on_hand,
                **level.others,
            }
            for level in levels
        ],
    }
