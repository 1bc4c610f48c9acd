"""The whole truth of both systems as plain data: what a referee, a demo or a person compares."""

from typing import Any

import msgspec

from ops.sandbox.mirakl import state as mirakl
from ops.sandbox.money import rest_text
from ops.sandbox.shopify import state as shopify
from ops.sandbox.shopify import totals
from ops.sandbox.shopify.state import APP_ID, Shop, gid
from ops.sandbox.world import World


def truth(world: World) -> dict[str, Any]:
    """Amounts are texts with the scale of their currency, times ISO 8601 in UTC. Personal data is in it."""
    shop, account, actors = world.shop, world.account, world.actors
    found: dict[str, Any] = msgspec.to_builtins(
        {
            "now": world.now,
            "seed": shop.seed,
            "shopify": {
                "orders": [_order(shop, order) for order in shop.orders.values()],
                "stock": {sku: _stock(shop, variants[0]) for sku, variants in shop.skus.items() if len(variants) == 1},
                "oversold_units": sum(level.oversold for levels in shop.levels.values() for level in levels.values()),
                "cancellations": [_cancellation(job) for job in shop.jobs.values()],
                "bulk_operations": [_bulk(job) for job in shop.bulk.values()],
                "scopes": shop.scopes,
                "uninstalled_at": shop.uninstalled_at,
                "metafield_definitions": list(shop.definitions.values()),
                "webhooks": {
                    "subscriptions": [_subscription(known) for known in shop.subscriptions.values()],
                    "under_way": len(shop.deliveries),
                    "delivered": shop.webhooks_sent,
                    "lost": shop.webhooks_lost,
                    "coalesced": shop.webhooks_coalesced,
                },
                "switches": shop.switches,
            },
            "mirakl": {
                "orders": [_marketplace_order(order) for order in account.orders.values()],
                "offers": {offer.sku: _offer(account, offer) for offer in account.offers.values()},
                "imports": [_import(found) for found in account.imports.values()],
                "calls": account.called,
                "violations": account.violations,
                "switches": account.switches,
            },
            "actors": {
                "marketplace_orders_planned": actors.plan.marketplace_orders,
                "marketplace_orders_placed": actors.placed,
                "website_orders_placed": actors.sold,
                "buyers_turned_away": actors.turned_away,
                "restocks": actors.restocked,
                "turns_ahead": len(actors.agenda.entries),
            },
        }
    )
    return found


def _order(shop: Shop, order: shopify.Order) -> dict[str, Any]:
    def text(bag: shopify.Bag) -> str:
        return rest_text(bag.shop, order.currency)

    def taxes(lines: list[shopify.TaxLine]) -> list[dict[str, Any]]:
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
        "tags": order.tags,
        "source_name": order.source_name,
        "source_identifier": order.source_identifier,
        "email": order.email,
        "metafields": {f"{field.namespace}.{field.key}": field.value for field in order.metafields},
        "shipping_address": order.shipping_address,
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


def _refund(order: shopify.Order, refund: shopify.Refund, skus: dict[int, str | None]) -> dict[str, Any]:
    """`by`: whether the app made it or a person."""

    def text(bag: shopify.Bag) -> str:
        return rest_text(bag.shop, order.currency)

    money = {one.id: one for one in order.transactions}
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
        "shipping": text(refund.shipping),
        "money": text(totals.summed(money[number].amount for number in refund.transactions if money[number].status == "SUCCESS")),
        "pending": text(totals.summed(money[number].amount for number in refund.transactions if money[number].status == "PENDING")),
        "adjustments": [{"reason": one.reason, "amount": text(one.amount)} for one in refund.adjustments],
    }


def _return(found: shopify.Return, skus: dict[int, str | None]) -> dict[str, Any]:
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


def _cancellation(job: shopify.Job) -> dict[str, Any]:
    told = {"order": gid("Order", job.order_id), "status": job.status, "error": job.error, "by": "app" if job.by_app else "person"}
    return told | {"id": gid("Job", job.id), "reason": job.reason, "restock": job.restock, "refund": job.refund}


def _bulk(job: shopify.Bulk) -> dict[str, Any]:
    told = {"type": job.type, "status": job.status, "error": job.error, "objects": job.objects}
    return told | {"id": gid("BulkOperation", job.id), "created_at": job.created_at, "completed_at": job.completed_at}


def _subscription(known: shopify.Subscription) -> dict[str, Any]:
    return {"id": gid("WebhookSubscription", known.id), "topic": known.topic, "uri": known.uri, "name": known.name}


def _offer(account: mirakl.Account, offer: mirakl.Offer) -> dict[str, Any]:
    return {"quantity": offer.quantity, "price": rest_text(offer.price, account.currency), "updated_at": offer.updated_at}


def _stock(shop: Shop, variant: int) -> dict[str, Any]:
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


def _marketplace_order(order: mirakl.Order) -> dict[str, Any]:
    def text(amount: int) -> str:
        return rest_text(amount, order.currency)

    return {
        "order_id": order.id,
        "commercial_id": order.commercial_id,
        "state": order.state,
        "reason": order.reason,
        "created_at": order.created_at,
        "updated_at": order.updated_at,
        "seller_reference": order.seller_reference,
        "currency": order.currency,
        "total": text(sum(line.price + line.shipping_price for line in order.lines)),
        "tax": text(sum(tax.amount for line in order.lines for tax in [*line.taxes, *line.shipping_taxes])),
        "shipping": text(sum(line.shipping_price for line in order.lines)),
        "tracking": order.tracking,
        "buyer": order.buyer,
        "lines": [
            {
                "order_line_id": line.id,
                "sku": line.offer_sku,
                "quantity": line.quantity,
                "unit_price": text(line.unit_price),
                "price": text(line.price),
                "shipping_price": text(line.shipping_price),
                "taxes": [{"code": tax.code, "rate": tax.rate, "amount": text(tax.amount)} for tax in line.taxes],
                "shipping_taxes": [{"code": tax.code, "rate": tax.rate, "amount": text(tax.amount)} for tax in line.shipping_taxes],
                "commission": text(line.commission + line.commission_tax),
                "state": line.state,
                "reason": line.reason,
            }
            for line in order.lines
        ],
    }


def _import(found: mirakl.Import) -> dict[str, Any]:
    return {
        "import_id": found.id,
        "status": found.status,
        "created_at": found.created_at,
        "completed_at": found.completed_at,
        "applied": found.applied,
        "errors": found.errors,
    }
