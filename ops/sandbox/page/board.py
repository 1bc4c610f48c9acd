"""What the page shows of a world: a page of orders, of stock, of calls; how close the throttles are. Plain data, and nothing is changed.

Rows are found anew each time, so that nothing has to be kept in step with the world; 10,000 orders take some hundredths of a second.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any, Literal

from msgspec import Struct

from ops.sandbox.calls import Call
from ops.sandbox.mirakl import ceilings, offers, reveal_orders
from ops.sandbox.mirakl import sale as mirakl
from ops.sandbox.money import rest_text
from ops.sandbox.shopify import reveal, stock, totals
from ops.sandbox.shopify.sales import Order
from ops.sandbox.shopify.state import APP_ID, gid
from ops.sandbox.world import World

ROWS = 20  # on a page
REMEMBERED = 500  # calls looked through
LAST = 40  # of a list that only its end is shown of
FEW = 8
LEAVING = ("WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT", "SHIPPING")


class View(Struct, frozen=True, kw_only=True):
    """What somebody looks at. Texts are looked for in ids, names, states and SKUs; pages count from 0."""

    show: Literal["all", "missing", "twice", "open", "cancelled", "refunded", "website"] = "all"
    find: str = ""
    page: int = 0
    chosen: str = ""  # an order: the marketplace's id or Shopify's global one
    sku: str = ""
    differs: bool = False  # of the stock only where more or less is on offer than there is
    stock_page: int = 0
    wrong: bool = False  # of the calls only those that were refused or met a fault


class Pair(Struct):
    """A marketplace order and what it is in the shop; or an order of the shop that is of no marketplace."""

    sold: mirakl.Order | None
    copies: list[Order]

    @property
    def key(self) -> str:
        return self.sold.id if self.sold else gid("Order", self.copies[0].id)

    @property
    def at(self) -> datetime:
        return self.sold.created_at if self.sold else self.copies[0].created_at


def board(world: World, view: View) -> dict[str, Any]:
    """All of it, as far as that view goes. Personal data is in it."""
    return {
        "now": world.now,
        "next_due": world.next_due(),
        "seed": world.shop.seed,
        "about": world.actors.plan.about,
        "locations": [{"id": gid("Location", place.id), "name": place.name} for place in world.shop.locations.values() if place.active],
        **_orders(world, view),
        "stock": _stock(world, view),
        "calls": _calls(world, view),
        "throttles": {"ceilings": _ceilings(world), "broken": world.account.violations[: -FEW - 1 : -1]},
    }


# -------------------------------------------------------------------------------------------------------------- orders


def pairs(world: World) -> Iterator[Pair]:
    """The newest first."""
    sold = {order.id: Pair(order, []) for order in world.account.orders.values()}
    others = []
    for order in world.shop.orders.values():
        pair = next((sold[name] for name in _names(order) if name in sold), None)
        if pair is not None:
            pair.copies.append(order)
        else:
            others.append(Pair(None, [order]))
    return merge(reversed(sold.values()), reversed(others), key=lambda pair: pair.at, reverse=True)


def _names(order: Order) -> Iterator[str]:
    """Wherever a connector may keep the marketplace's id, in the order in which the referee looks."""
    if order.app_id == APP_ID:
        yield from (field.value for field in order.metafields)
        yield order.source_identifier or ""
        yield from order.tags


def _orders(world: World, view: View) -> dict[str, Any]:
    every = list(pairs(world))
    counted = {
        "marketplace": len(world.account.orders),
        "shop": len(world.shop.orders),
        "matched": sum(1 for pair in every if pair.sold and pair.copies),
    }
    words = view.find.casefold().split()
    found = [pair for pair in every if _is(pair, view.show) and (not words or _holds(_texts(pair), words))]
    chosen = next((pair for pair in every if pair.key == view.chosen), None) if view.chosen else None
    return {
        "counted": counted,
        "orders": _page([_row(world, pair) for pair in _part(found, view.page)], len(found)),
        "chosen": _whole(world, chosen) if chosen else None,
    }


def _is(pair: Pair, show: str) -> bool:
    sold, copies = pair.sold, pair.copies
    match show:
        case "missing":
            return sold is not None and not copies and sold.state not in ("REFUSED", "CANCELED")
        case "twice":
            return sold is not None and len(copies) > 1
        case "open":
            if sold is not None:
                return sold.state in LEAVING
            return any(copy.cancelled_at is None and totals.fulfillment_status(copy) != "FULFILLED" for copy in copies)
        case "cancelled":
            return (sold is not None and sold.state in ("REFUSED", "CANCELED")) or any(copy.cancelled_at for copy in copies)
        case "refunded":
            return any(copy.refunds for copy in copies) or (sold is not None and any(line.refunds for line in sold.lines))
        case "website":
            return sold is None
    return True


def _texts(pair: Pair) -> Iterator[str]:
    if pair.sold:
        yield from (pair.sold.id, pair.sold.state, pair.sold.buyer.first_name, pair.sold.buyer.last_name)
        yield from (line.offer_sku for line in pair.sold.lines)
    for copy in pair.copies:
        address = copy.shipping_address or {}
        yield from (copy.name, copy.financial_status, address.get("firstName") or "", address.get("lastName") or "")
        yield from (line.sku or "" for line in copy.lines)


def _holds(texts: Iterable[str], words: list[str]) -> bool:
    text = "\n".join(texts).casefold()
    return all(word in text for word in words)


def _row(world: World, pair: Pair) -> dict[str, Any]:
    return {
        "key": pair.key,
        "at": pair.at,
        "marketplace": _sold(world, pair.sold) if pair.sold else None,
        "shop": [_copy(world, copy) for copy in pair.copies],
    }


def _sold(world: World, order: mirakl.Order) -> dict[str, Any]:
    parcels = [world.account.shipments[number].tracking for number in order.shipments] or [order.tracking]
    refunds = [refund for line in order.lines for refund in line.refunds]
    return {
        "id": order.id,
        "state": order.state,
        "buyer": f"{order.buyer.first_name} {order.buyer.last_name}",
        "total": f"{rest_text(sum(line.total for line in order.lines), order.currency)} {order.currency}",
        "units": [[line.offer_sku, line.quantity] for line in order.lines[:LAST]],
        "parcels": [[one.carrier_name or one.carrier_code, one.number] for one in parcels if one.number or one.carrier_name],
        "refunds": len(refunds),
        "refunded": rest_text(sum(refund.total for refund in refunds), order.currency),
    }


def _copy(world: World, order: Order) -> dict[str, Any]:
    shop = world.shop
    address = order.shipping_address or {}
    sent = [shop.fulfillments[number] for number in order.fulfillments if shop.fulfillments[number].status == "SUCCESS"]
    return {
        "id": gid("Order", order.id),
        "name": order.name,
        "buyer": " ".join(filter(None, (address.get("firstName"), address.get("lastName")))),
        "paid": order.financial_status,
        "sent": totals.fulfillment_status(order),
        "cancelled": order.cancelled_at is not None,
        "total": f"{rest_text(totals.total(order).shop, order.currency)} {order.currency}",
        "units": [[line.sku, line.quantity] for line in order.lines[:LAST]],
        "parcels": [[parcel.company, ", ".join(parcel.numbers)] for parcel in sent],
        "refunds": len(order.refunds),
        "refunded": rest_text(totals.refunded(order).shop, order.currency),
    }


def _whole(world: World, pair: Pair) -> dict[str, Any]:
    """As the truth has it, and the calls that changed it."""
    names = {pair.key, *(str(copy.id) for copy in pair.copies), *(gid("Order", copy.id) for copy in pair.copies)}
    calls = [call for call in world.calls.calls[-REMEMBERED:] if any(name in names for change in call.changes for name in change.about)]
    return {
        "key": pair.key,
        "marketplace": reveal_orders.one_order(world.account, pair.sold) if pair.sold else None,
        "shop": [reveal.one_order(world.shop, copy) for copy in pair.copies],
        "calls": [_call(call) for call in calls[-LAST:]],
    }


# --------------------------------------------------------------------------------------------------------------- stock


def _stock(world: World, view: View) -> dict[str, Any]:
    words = view.sku.casefold().split()
    skus = [sku for sku in {**world.account.offers, **world.shop.skus} if not words or _holds([sku], words)]
    if view.differs:
        skus = [sku for sku in skus if _for_sale(world, sku) != (world.account.offers[sku].quantity if sku in world.account.offers else 0)]
    return _page([_shelf(world, sku) for sku in _part(skus, view.stock_page)], len(skus))


def _for_sale(world: World, sku: str) -> int:
    """Units in the shop; of a SKU that several variants share, those of all."""
    return sum(stock.available(world.shop, world.shop.variants[variant].item_id) for variant in world.shop.skus.get(sku, ()))


def _shelf(world: World, sku: str) -> dict[str, Any]:
    items = [world.shop.variants[variant].item_id for variant in world.shop.skus.get(sku, ())]
    levels = [level for item in items for level in world.shop.levels.get(item, {}).values()]
    offer = world.account.offers.get(sku)
    return {
        "sku": sku,
        "variants": len(items),
        "tracked": all(world.shop.items[item].tracked for item in items),
        "available": _for_sale(world, sku),
        "committed": sum(level.committed for level in levels),
        "on_hand": sum(level.on_hand for level in levels),
        "offered": None if offer is None else offer.quantity,
        "price": None if offer is None else f"{rest_text(offer.price, world.account.currency)} {world.account.currency}",
        "off_sale": [] if offer is None else offers.inactivity(world.account, offer, world.now),
    }


# ------------------------------------------------------------------------------------------------- calls and throttles


def _calls(world: World, view: View) -> dict[str, Any]:
    ledger = world.calls
    # Reads and changes are kept apart, each in the order of their numbers.
    last = merge(reversed(ledger.calls[-REMEMBERED:]), reversed(ledger.reads[-REMEMBERED:]), key=lambda call: call.number, reverse=True)
    told = map(_call, last)
    return {
        "last": list(islice((call for call in told if not view.wrong or call["wrong"]), LAST)),
        "made": ledger.last,
        "by_operation": sorted(ledger.counted.items(), key=lambda known: -known[1])[:LAST],
        "faults": ledger.faults,
    }


def _call(call: Call) -> dict[str, Any]:
    refused = [change.refused for change in call.changes if change.refused]
    return {
        "number": call.number,
        "at": call.at,
        "system": call.system,
        "operation": call.operation,
        "status": call.status,
        "fault": call.fault,
        "refused": refused[0] if refused else None,
        "wrong": bool(refused or call.fault or call.status is None or call.status >= 400),
    }


def _ceilings(world: World) -> list[dict[str, Any]]:
    """Of each operation that has one and was called: how much of it is used; where each address is counted by itself, of the fullest."""
    account, now = world.account, world.now
    broken = Counter(violation.operation for violation in account.violations)
    shown: dict[tuple[str, float], dict[str, Any]] = {}
    for name, moments in account.calls.items():
        operation, _, more = name.partition(" ")
        kind = f"{operation} full" if more.split(" ")[0] == "full" else operation
        for calls, per in ceilings.ceilings(account, kind):
            used = sum(1 for at in moments if (now - at).total_seconds() < per)
            known = shown.setdefault((kind, per), {"operation": kind, "calls": calls, "per": per, "used": 0, "broken": broken[operation]})
            known["used"] = max(known["used"], used)
    return [shown[key] for key in sorted(shown)]


# --------------------------------------------------------------------------------------------------------------- pages


def _part(rows: list[Any], page: int) -> list[Any]:
    """Beyond the last page is the last page."""
    first = min(max(0, page) * ROWS, max(0, len(rows) - 1) // ROWS * ROWS)
    return rows[first : first + ROWS]


def _page(rows: list[Any], total: int) -> dict[str, Any]:
    return {"rows": rows, "total": total, "pages": max(1, -(-total // ROWS))}
