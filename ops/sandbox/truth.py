"""The whole truth of both systems as plain data: what a referee, a demo or a person compares."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from ops.sandbox.mirakl import offers, reveal, sale
from ops.sandbox.money import rest_text
from ops.sandbox.shopify import state as shopify
from ops.sandbox.shopify import totals
from ops.sandbox.shopify.state import APP_ID, Shop, gid
from ops.sandbox.world import World

CHUNK = 250  # orders that are written at a time


def truth(world: World, since: datetime | None = None) -> dict[str, Any]:
    """Amounts are texts with the scale of their currency, times ISO 8601 in UTC. Personal data is in it.

    With `since`, of orders and of the quantities' history only what has changed at that moment or later.
    """
    raw = _raw(world, since)
    for system in ("shopify", "mirakl"):
        raw[system]["orders"] = list(raw[system]["orders"])
    found: dict[str, Any] = msgspec.to_builtins(raw)
    return found


def told(world: World, since: datetime | None = None) -> Iterator[bytes]:
    """The same as JSON, piece by piece; the world must not move between them."""
    raw = _raw(world, since)
    orders = {system: raw[system].pop("orders") for system in ("shopify", "mirakl")}
    yield b"{"
    for system, shown in orders.items():
        yield f'"{system}":{{"orders":['.encode()
        first = True
        while some := list(islice(shown, CHUNK)):
            yield (b"" if first else b",") + msgspec.json.encode(some)[1:-1]
            first = False
        yield b"]," + msgspec.json.encode(raw.pop(system))[1:] + b","
    yield msgspec.json.encode(raw)[1:]


def _raw(world: World, since: datetime | None) -> dict[str, Any]:
    """With the orders of both sides still to be drawn."""
    shop, account, actors = world.shop, world.account, world.actors
    return {
        "now": world.now,
        "seed": shop.seed,
        "shopify": {
            "orders": (_order(shop, order) for order in shop.orders.values() if since is None or _moved(shop, order) >= since),
            "stock": {sku: _stock(shop, variants[0]) for sku, variants in shop.skus.items() if len(variants) == 1},
            "oversold_units": sum(level.oversold for levels in shop.levels.values() for level in levels.values()),
            "metafield_definitions": list(shop.definitions.values()),
            "webhooks": {
                "subscriptions": [_subscription(known) for known in shop.subscriptions.values()],
                "under_way": len(shop.deliveries),
                "delivered": shop.webhooks_sent,
                "lost": shop.webhooks_lost,
            },
            "switches": shop.switches,
        },
        "mirakl": {
            "orders": (_marketplace_order(order) for order in account.orders.values() if since is None or order.updated_at >= since),
            "offers": reveal.offers(account, world.now),
            "shop_state": offers.shop_state(account, world.now),
            "imports": reveal.imports(account),
            "ledger": reveal.ledger(account),
            "money": reveal.money(account),
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
        "history": {
            "counts": _recent(world.history.counts, since),
            "offers": _recent(world.history.offers, since),
        },
        "calls": [call for call in world.calls.calls if since is None or call.at >= since],
        "calls_counted": world.calls.counted,
        "faults": world.calls.faults,
    }


def _moved(shop: Shop, order: shopify.Order) -> datetime:
    parcels = [shop.fulfillments[number].updated_at for number in order.fulfillments]
    return max(
        [order.created_at, order.updated_at, *parcels, *(shop.fulfillment_orders[number].updated_at for number in order.fulfillment_orders)]
    )


def _recent(moves: dict[str, Any], since: datetime | None) -> dict[str, Any]:
    return moves if since is None else {sku: known for sku, known in moves.items() if known[-1].at >= since}


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
        "lines": [
            {
                "sku": line.sku,
                "quantity": line.quantity,
                "unit_price": text(line.price),
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
                "lines": [{"sku": skus[line.line_id], "quantity": line.quantity} for line in parcel.lines],
            }
            for parcel in (shop.fulfillments[number] for number in order.fulfillments)
        ],
        "fulfillment_orders": [
            {"id": gid("FulfillmentOrder", one.id), "status": one.status, "remaining": sum(line.remaining for line in one.lines)}
            for one in (shop.fulfillment_orders[number] for number in order.fulfillment_orders)
        ],
    }


def _subscription(known: shopify.Subscription) -> dict[str, Any]:
    return {"id": gid("WebhookSubscription", known.id), "topic": known.topic, "uri": known.uri, "name": known.name}


def _stock(shop: Shop, variant: int) -> dict[str, Any]:
    levels = list(shop.levels[shop.variants[variant].item_id].values())
    shown = ("available", "committed", "on_hand", "oversold")
    return {name: sum(getattr(level, name) for level in levels) for name in shown} | {
        "locations": {shop.locations[level.location_id].name: level.available for level in levels}
    }


def _marketplace_order(order: sale.Order) -> dict[str, Any]:
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
