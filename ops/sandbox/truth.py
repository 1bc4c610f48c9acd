"""The whole truth of both systems as plain data: what a referee, a demo or a person compares."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from ops.sandbox.mirakl import offers, reveal, reveal_orders
from ops.sandbox.money import rest_text
from ops.sandbox.shopify import refunds, sales, totals
from ops.sandbox.shopify import state as shopify
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
            "orders": reveal_orders.orders(account, since),
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
            "prices": {sku: rest_text(price, account.currency) for sku, price in world.history.prices.items()},
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
        "refunds": [_refund(order, shop.refunds[number]) for number in order.refunds],
        "returns": [
            {"id": gid("Return", one.id), "status": one.status, "by_app": one.by_app}
            for one in (shop.returns[number] for number in order.returns)
        ],
        "fulfillment_orders": [
            {"id": gid("FulfillmentOrder", one.id), "status": one.status, "remaining": sum(line.remaining for line in one.lines)}
            for one in (shop.fulfillment_orders[number] for number in order.fulfillment_orders)
        ],
    }


def _refund(order: sales.Order, refund: sales.Refund) -> dict[str, Any]:
    """`total`: the money that has moved or is going to; of a mere record, what its lines and shipping come to."""

    def text(bag: sales.Bag) -> str:
        return rest_text(bag.shop, order.currency)

    skus = {line.id: line.sku for line in order.lines}
    moved = [one.amount for one in order.transactions if one.refund_id == refund.id and one.kind == "REFUND" and one.status != "FAILURE"]
    return {
        "id": gid("Refund", refund.id),
        "by_app": refund.by_app,
        "created_at": refund.created_at,
        "total": text(totals.summed(moved) if moved else refunds.worth(order, refund)),
        "money_moved": bool(moved),
        "shipping": text(refund.shipping),
        "lines": [
            {"sku": skus[line.line_id], "quantity": line.quantity, "restock": line.restock_type, "restocked": line.restocked}
            for line in refund.lines
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
