"""The people of a world: buyers on both sides, the merchant who restocks, the warehouse that ships.

Each acts in two steps: `decide` looks at the world and makes up its mind, `carry_out` does what was decided. Only the decision, with all
its particulars, is journalled; a world that is rebuilt carries out and never decides.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct, field

from ops.sandbox.agenda import Agenda, Due
from ops.sandbox.chance import choose, digits, happens, wait, whole
from ops.sandbox.mirakl import offers as on_offer
from ops.sandbox.mirakl import operations as mirakl
from ops.sandbox.mirakl.state import Account
from ops.sandbox.people import Person, person
from ops.sandbox.plan import Plan
from ops.sandbox.shopify import operations as shopify
from ops.sandbox.shopify import stock
from ops.sandbox.shopify.state import FulfillmentOrder, Shop, gid

CARRIERS = {  # as Shopify spells them -> how their numbers look, where they can be followed
    "Royal Mail": ("{letters}{nine}GB", "https://www.royalmail.com/track-your-item#/tracking-results/{number}"),
    "Evri": ("H00{nine}{nine}", None),
    "DPD UK": ("155{nine}{two}", "https://www.dpd.co.uk/apps/tracking/?reference={number}"),
    "UPS": ("1Z{letters}{nine}{two}", "https://www.ups.com/track?tracknum={number}"),
    "DHL Express": ("{nine}{two}", None),
}
FAR = 10**6  # people who come when they are sent have numbers from here on


class Actors(Struct, kw_only=True):
    """Who has done what so far, and whose turn comes when."""

    seed: int
    plan: Plan
    agenda: Agenda = field(default_factory=Agenda)
    placed: int = 0  # marketplace orders
    sold: int = 0  # orders on the shop's own website
    turned_away: int = 0  # buyers who found nothing to buy
    restocked: int = 0
    sent: int = 0  # buyers who did not come by themselves


class Scene(Struct):
    """The people and what they act upon."""

    actors: Actors
    shop: Shop
    account: Account


def begin(actors: Actors, at: datetime) -> None:
    if actors.plan.marketplace_orders:
        _next(actors, "buyer", 1, actors.plan.buyer_gap, at)
    if actors.plan.restocks:
        _next(actors, "restock", 1, actors.plan.restock_gap, at)


def _next(actors: Actors, what: str, n: int, mean: float, at: datetime) -> None:
    actors.agenda.put(at + timedelta(seconds=wait(actors.seed, mean, what, n)), what, n)


def notice(scene: Scene, at: datetime) -> None:
    """The warehouse takes up the fulfilment orders that have come in; those that need no shipping are not its business."""
    actors, shop = scene.actors, scene.shop
    for number in shop.ready:
        if shop.fulfillment_orders[number].method == "SHIPPING":
            _next(actors, "pick", number, actors.plan.warehouse.pick_seconds, at)
    shop.ready.clear()


# ---------------------------------------------------------------------------------------------------------------- deciding


def decide(scene: Scene, due: Due) -> dict[str, Any]:
    """What the one whose turn it is will do."""
    actors, shop, ref = scene.actors, scene.shop, int(due.ref)
    match due.what:
        case "buyer":
            website = happens(actors.seed, actors.plan.d2c_share, "website", ref)
            return {"n": ref, "basket": basket(scene, ref, due.at, website=website)}
        case "restock":
            sku = choose(actors.seed, list(scene.account.offers), "restock", ref)
            level = next(iter(shop.levels[shop.variants[shop.skus[sku][0]].item_id].values()))
            return {"n": ref, "sku": sku, "available": max(0, level.available) + whole(actors.seed, 3, 25, "restocked by", ref)}
        case "pick":
            return {"n": ref, "parcel": _parcel(actors, shop.fulfillment_orders[ref])}
    return {"n": ref, "tracking": tracking(actors.seed, ref, due.what)}


def basket(scene: Scene, n: int, at: datetime, *, website: bool, sku: str | None = None, quantity: int = 1) -> dict[str, Any] | None:
    """What a buyer puts into it: only what is shown as for sale there. None if there is nothing."""
    seed, shop, offers = scene.actors.seed, scene.shop, scene.account.offers

    def shown(wanted: str) -> int:
        if wanted not in offers:
            return 0
        return (
            stock.available(shop, shop.variants[shop.skus[wanted][0]].item_id) if website else on_offer.for_sale(scene.account, wanted, at)
        )

    lines: list[tuple[str, int]] = []
    if sku is not None:
        lines = [(sku, quantity)] if shown(sku) >= quantity else []
    else:
        for index in range(choose(seed, (1, 1, 1, 2, 2, 3, 4), "lines", n)):
            chosen = _browse(scene, list(offers), shown, n, index)
            if chosen is None:
                break
            if lines and happens(seed, 0.15, "same again", n, index):
                chosen = lines[0][0]  # two lines of one SKU are two lines
            left = shown(chosen) - sum(units for known, units in lines if known == chosen)
            if left > 0:
                lines.append((chosen, min(left, choose(seed, (1, 1, 1, 2, 3), "quantity", n, index))))
    return {"website": website, "lines": lines, "buyer": msgspec.to_builtins(person(seed, n))} if lines else None


def _browse(scene: Scene, skus: list[str], shown: Callable[[str], int], *question: object) -> str | None:
    """Something that is for sale: soon found where most is, looked for everywhere where little is."""
    for glance in range(12):
        sku = choose(scene.actors.seed, skus, "sku", *question, glance)
        if shown(sku) > 0:
            return sku
    on_sale = [sku for sku in skus if shown(sku) > 0]
    return choose(scene.actors.seed, on_sale, "sku", *question) if on_sale else None


def _parcel(actors: Actors, order: FulfillmentOrder) -> dict[str, Any] | None:
    """All that remains, or a part of it. None if there is nothing to do any more."""
    remaining = [(line.id, line.remaining) for line in order.lines if line.remaining]
    if order.status not in ("OPEN", "IN_PROGRESS") or not remaining:
        return None
    seed, ways = actors.seed, actors.plan.warehouse
    units = sum(quantity for _, quantity in remaining)
    in_parts = order.status == "OPEN" and units > 1 and happens(seed, ways.partial, "partial", order.id)
    if in_parts:
        first, quantity = remaining[0]
        remaining = [(first, max(1, quantity // 2))]
    late = happens(seed, ways.late_tracking, "late", order.id)
    return {
        "lines": remaining,
        "more_to_come": in_parts,
        "tracking": None if late else tracking(seed, order.id, order.status),
        "label_follows": late,
        "label_changes": not late and happens(seed, ways.corrected_tracking, "corrected", order.id),
    }


def tracking(seed: int, n: int, what: str) -> dict[str, Any]:
    company = choose(seed, list(CARRIERS), "carrier", n, what)
    pattern, url = CARRIERS[company]
    letters = "".join(choose(seed, "ABCDEFGHJKLMNPRSTUVWXYZ", "letter", n, what, at) for at in range(2))
    number = pattern.format(letters=letters, nine=digits(seed, 9, "number", n, what), two=digits(seed, 2, "check", n, what))
    return {"company": company, "number": number} | ({"url": url.format(number=number)} if url else {})


# ------------------------------------------------------------------------------------------------------------ carrying out


def carry_out(scene: Scene, what: str, arguments: dict[str, Any], at: datetime) -> Any:
    """Does what was decided. For a purchase, returns the order's id or number."""
    actors, shop = scene.actors, scene.shop
    n = arguments.get("n", 0)
    actors.agenda.drop(what, n)
    match what:
        case "buyer":
            bought = _buy(scene, arguments["basket"], at)
            if n >= FAR:
                actors.sent = n - FAR
            elif actors.placed < actors.plan.marketplace_orders:
                _next(actors, "buyer", n + 1, actors.plan.buyer_gap, at)
            return bought
        case "restock":
            if n < actors.plan.restocks:
                _next(actors, "restock", n + 1, actors.plan.restock_gap, at)
            actors.restocked += 1
            return shopify.perform(shop, "stock", {"sku": arguments["sku"], "quantity": arguments["available"]}, at)
        case "pick":
            return _pick(actors, n, arguments["parcel"], shop, at)
        case "label" | "relabel":
            changed = {"fulfillment": gid("Fulfillment", n), "tracking": arguments["tracking"]}
            if shop.fulfillments[n].status == "SUCCESS":
                shopify.perform(shop, "fulfillmentTrackingInfoUpdate", changed, at)
        case "hurry":
            _hurry(actors, arguments.get("order"), shop, at)
    return None


def _buy(scene: Scene, bought: dict[str, Any] | None, at: datetime) -> str | int | None:
    actors = scene.actors
    if bought is None:
        actors.turned_away += 1
        return None
    if not bought["website"]:
        order: str = mirakl.perform(scene.account, "place", {"lines": bought["lines"], "buyer": bought["buyer"]}, at)
        actors.placed += 1
        return order
    buyer = msgspec.convert(bought["buyer"], Person)
    address = {
        "firstName": buyer.address_first_name or buyer.first_name,
        "lastName": buyer.last_name,
        "company": buyer.company,
        "address1": buyer.street_1,
        "address2": buyer.street_2,
        "city": buyer.city,
        "zip": buyer.zip_code,
        "countryCode": buyer.alpha_2,
        "phone": buyer.phone,
    }
    known = {"lines": bought["lines"], "address": address, "email": buyer.email}
    number: int | None = shopify.perform(scene.shop, "checkout", known, at)
    actors.sold += number is not None
    actors.turned_away += number is None
    return number


def _pick(actors: Actors, n: int, parcel: dict[str, Any] | None, shop: Shop, at: datetime) -> int | None:
    if parcel is None:
        return None
    lines = [{"id": gid("FulfillmentOrderLineItem", line), "quantity": quantity} for line, quantity in parcel["lines"]]
    wanted: dict[str, Any] = {
        "lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": gid("FulfillmentOrder", n), "fulfillmentOrderLineItems": lines}]
    }
    if parcel["tracking"]:
        wanted["trackingInfo"] = parcel["tracking"]
    number: int = shopify.perform(shop, "fulfillmentCreate", {"wanted": wanted}, at)
    pick_seconds = actors.plan.warehouse.pick_seconds
    if parcel["more_to_come"]:
        _next(actors, "pick", n, pick_seconds, at)
    if parcel["label_follows"]:
        _next(actors, "label", number, pick_seconds / 2, at)
    if parcel["label_changes"]:
        _next(actors, "relabel", number, pick_seconds, at)
    return number


def _hurry(actors: Actors, order: int | None, shop: Shop, at: datetime) -> None:
    """The warehouse drops everything and picks now: for one order, or for all."""
    for due in sorted(actors.agenda.entries):
        if due.what == "pick" and order in (None, shop.fulfillment_orders[int(due.ref)].order_id):
            actors.agenda.drop("pick", due.ref)
            actors.agenda.put(at, "pick", due.ref)
