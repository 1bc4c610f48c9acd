"""The warehouse and its carriers: what is picked when, in how many parcels, under which numbers; what is held, moved, split, taken back."""

from datetime import datetime
from typing import Any

from ops.sandbox.chance import choose, digits, happens, whole
from ops.sandbox.scene import Actors, Scene, after
from ops.sandbox.shopify.state import FulfillmentOrder, Shop, gid

CARRIERS = {  # as Shopify spells them -> how their numbers look, where they can be followed
    "Royal Mail": ("{letters}{nine}GB", "https://www.royalmail.com/track-your-item#/tracking-results/{number}"),
    "Evri": ("H00{nine}{nine}", None),
    "DPD UK": ("155{nine}{two}", "https://www.dpd.co.uk/apps/tracking/?reference={number}"),
    "UPS": ("1Z{letters}{nine}{two}", "https://www.ups.com/track?tracknum={number}"),
    "DHL Express": ("{nine}{two}", None),
}
UNLISTED = {"Pigeon & Sons": ("PS-{nine}", None), "Dad's van": ("{two}", None)}  # whom no marketplace knows
HOLDS = ("OTHER", "INVENTORY_OUT_OF_STOCK", "INCORRECT_ADDRESS", "HIGH_RISK_OF_FRAUD")
OPEN = ("OPEN", "IN_PROGRESS")


def take_up(actors: Actors, parcel: FulfillmentOrder, at: datetime) -> None:
    """A fulfilment order has come in. What needs no shipping is not the warehouse's business."""
    if parcel.method != "SHIPPING":
        return
    ways, seed = actors.plan.warehouse, actors.seed
    after(actors, "pick", parcel.id, ways.pick_seconds, at)
    for what, share in (("hold", ways.held), ("move", ways.moved), ("split", ways.split)):
        if happens(seed, share, what, parcel.id):
            after(actors, what, parcel.id, ways.pick_seconds / 4, at)


# ---------------------------------------------------------------------------------------------------------- deciding


def decide_pick(actors: Actors, order: FulfillmentOrder) -> dict[str, Any] | None:
    """All that remains, or a part of it. None if there is nothing to do any more; a hold is waited for."""
    remaining = [(line.id, line.remaining) for line in order.lines if line.remaining]
    if order.status == "ON_HOLD":
        return {"waits": True}
    if order.status not in OPEN or not remaining:
        return None
    seed, ways = actors.seed, actors.plan.warehouse
    units = sum(quantity for _, quantity in remaining)
    sent = actors.parcels[order.id]
    parts = whole(seed, 2, ways.parcels, "parcels", order.id) if happens(seed, ways.partial, "partial", order.id) else 1
    in_parts = units > 1 and sent + 1 < parts
    if in_parts:
        first, quantity = remaining[0]
        remaining = [(first, max(1, quantity // 2))]
    late = happens(seed, ways.late_tracking, "late", order.id)
    turn = f"{order.status}:{sent}" if sent > 1 else order.status
    return {
        "lines": remaining,
        "more_to_come": in_parts,
        "tracking": None if late else tracking(actors, order.id, turn),
        "label_follows": late,
        "label_changes": not late and happens(seed, ways.corrected_tracking, "corrected", order.id),
    }


def tracking(actors: Actors, n: int, what: str) -> dict[str, Any]:
    seed = actors.seed
    unlisted = happens(seed, actors.plan.warehouse.unlisted_carriers, "unlisted", n, what)
    known = UNLISTED if unlisted else CARRIERS
    company = choose(seed, list(known), "carrier", n, what)
    pattern, url = known[company]
    letters = "".join(choose(seed, "ABCDEFGHJKLMNPRSTUVWXYZ", "letter", n, what, at) for at in range(2))
    number = pattern.format(letters=letters, nine=digits(seed, 9, "number", n, what), two=digits(seed, 2, "check", n, what))
    return {"company": company, "number": number} | ({"url": url.format(number=number)} if url else {})


def decide_handling(scene: Scene, what: str, number: int) -> list[Any] | None:
    """Operation and arguments of what is done to a fulfilment order, or to a parcel that has left; None if there is nothing to be done."""
    shop, seed = scene.shop, scene.actors.seed
    if what == "take_back":
        return ["staffUnfulfil", {"fulfillment": number}] if shop.fulfillments[number].status == "SUCCESS" else None
    parcel = shop.fulfillment_orders[number]
    if what == "release":
        return ["staffRelease", {"parcel": number}] if parcel.status == "ON_HOLD" else None
    if parcel.status != "OPEN":
        return None
    if what == "hold":
        return [
            "staffHold",
            {"parcel": number, "reason": choose(seed, ("OTHER", "INVENTORY_OUT_OF_STOCK", "INCORRECT_ADDRESS"), "why", number)},
        ]
    if what == "move":
        lines = {line.id: line.item_id for line in shop.orders[parcel.order_id].lines}
        items = [lines[waiting.line_id] for waiting in parcel.lines]
        others = [
            place.id
            for place in shop.locations.values()
            if place.active and place.id != parcel.location_id and all(place.id in shop.levels.get(item or 0, ()) for item in items)
        ]
        return ["staffMove", {"parcel": number, "location": choose(seed, others, "where to", number)}] if others else None
    units = [(line.id, line.remaining) for line in parcel.lines if line.remaining]
    if sum(quantity for _, quantity in units) < 2:
        return None
    line, quantity = units[0]
    return ["staffSplit", {"parcel": number, "lines": [[line, max(1, quantity // 2)]]}]


# ------------------------------------------------------------------------------------------------------- carrying out


def pick(scene: Scene, n: int, parcel: dict[str, Any] | None, at: datetime) -> int | None:
    """A parcel leaves. Returns the fulfilment's number."""
    actors, ways = scene.actors, scene.actors.plan.warehouse
    if parcel is None:
        return None
    if parcel.get("waits"):
        after(actors, "pick", n, ways.pick_seconds, at)
        return None
    lines = [{"id": gid("FulfillmentOrderLineItem", line), "quantity": quantity} for line, quantity in parcel["lines"]]
    wanted: dict[str, Any] = {
        "lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": gid("FulfillmentOrder", n), "fulfillmentOrderLineItems": lines}]
    }
    if parcel["tracking"]:
        wanted["trackingInfo"] = parcel["tracking"]
    number = scene.shopify("fulfillmentCreate", {"wanted": wanted}, at)
    if not isinstance(number, int):
        return None
    if parcel["more_to_come"]:
        actors.parcels[n] += 1
        after(actors, "pick", n, ways.pick_seconds, at)
    if parcel["label_follows"]:
        after(actors, "label", number, ways.pick_seconds / 2, at)
    if parcel["label_changes"]:
        after(actors, "relabel", number, ways.pick_seconds, at)
    if happens(actors.seed, ways.taken_back, "taken back", number):
        after(actors, "take_back", number, ways.pick_seconds, at)
    return number


def label(scene: Scene, n: int, tracked: dict[str, Any], at: datetime) -> None:
    if scene.shop.fulfillments[n].status == "SUCCESS":
        scene.shopify("fulfillmentTrackingInfoUpdate", {"fulfillment": gid("Fulfillment", n), "tracking": tracked}, at)


def handle(scene: Scene, what: str, n: int, wanted: list[Any] | None, at: datetime) -> None:
    if wanted is not None:
        scene.shopify(wanted[0], wanted[1], at)
        scene.actors.handled[wanted[0]] = scene.actors.handled.get(wanted[0], 0) + 1
        if what == "hold":
            after(scene.actors, "release", n, scene.actors.plan.warehouse.pick_seconds, at)


def hurry(actors: Actors, shop: Shop, order: int | None, at: datetime) -> None:
    """The warehouse drops everything and picks now: for one order, or for all."""
    for due in sorted(actors.agenda.entries):
        if due.what == "pick" and order in (None, shop.fulfillment_orders[int(due.ref)].order_id):
            actors.agenda.drop("pick", due.ref)
            actors.agenda.put(at, "pick", due.ref)
