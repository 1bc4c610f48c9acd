"""The whole truth of both systems as plain data: what a referee, a demo or a person compares."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from ops.sandbox.mirakl import offers, reveal, reveal_orders
from ops.sandbox.money import rest_text
from ops.sandbox.shopify import reveal as reveal_shop
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


def glance(world: World) -> dict[str, Any]:
    """Of the truth the orders of both sides, and what is still under way: what can be asked often, however many SKUs there are."""
    raw = {
        "now": world.now,
        "shopify": {"orders": list(reveal_shop.orders(world.shop, None)), "webhooks": {"under_way": len(world.shop.deliveries)}},
        "mirakl": {"orders": list(reveal_orders.orders(world.account, None))},
        "actors": {"turns_ahead": len(world.actors.agenda.entries)},
    }
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
            "orders": reveal_shop.orders(shop, since),
            "stock": {sku: reveal_shop.stock(shop, variants[0]) for sku, variants in shop.skus.items() if len(variants) == 1},
            "oversold_units": sum(level.oversold for levels in shop.levels.values() for level in levels.values()),
            "vanished_units": sum(level.vanished for levels in shop.levels.values() for level in levels.values()),
            "cancellations": [reveal_shop.cancellation(job) for job in shop.jobs.values()],
            "bulk_operations": [reveal_shop.bulk(job) for job in shop.bulk.values()],
            "scopes": shop.scopes,
            "uninstalled_at": shop.uninstalled_at,
            "metafield_definitions": list(shop.definitions.values()),
            "webhooks": {
                "subscriptions": [reveal_shop.subscription(known) for known in shop.subscriptions.values()],
                "under_way": len(shop.deliveries),
                "delivered": shop.webhooks_sent,
                "lost": shop.webhooks_lost,
                "coalesced": shop.webhooks_coalesced,
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


def _recent(moves: dict[str, Any], since: datetime | None) -> dict[str, Any]:
    return moves if since is None else {sku: known for sku, known in moves.items() if known[-1].at >= since}
