"""The people of a world: buyers on both sides, the warehouse, customer service, the operator, the catalogue's keepers.

Each acts in two steps: `decide` looks at the world and makes up its mind, `carry_out` does what was decided. Only the decision, with all
its particulars, is journalled; a world that is rebuilt carries out and never decides.
"""

from datetime import datetime
from typing import Any

from ops.sandbox import buyers, office, warehouse
from ops.sandbox.agenda import Due
from ops.sandbox.chance import choose, whole
from ops.sandbox.scene import FAR, Actors, Scene, after

__all__ = ["FAR", "Actors", "Scene", "begin", "carry_out", "decide", "notice"]

HANDLING = ("hold", "release", "move", "split", "take_back")


def begin(actors: Actors, at: datetime) -> None:
    if actors.plan.marketplace_orders:
        buyers.next_buyer(actors, 1, at)
    if actors.plan.restocks:
        after(actors, "restock", 1, actors.plan.restock_gap, at)
    office.begin(actors, at)


def notice(scene: Scene, at: datetime) -> None:
    """What has come in since somebody last looked: fulfilment orders for the warehouse, orders for customer service."""
    actors, shop = scene.actors, scene.shop
    for number in shop.ready:
        if number in actors.parcels:
            continue  # it has been on hold, say, and is ready once more
        parcel = shop.fulfillment_orders[number]
        actors.parcels[number] = 0
        warehouse.take_up(actors, parcel, at)
        if shop.orders[parcel.order_id].fulfillment_orders[0] == number:
            office.meet_order(actors, parcel.order_id, at)
    shop.ready.clear()


def decide(scene: Scene, due: Due) -> dict[str, Any]:
    """What the one whose turn it is will do."""
    actors, shop = scene.actors, scene.shop
    match due.what:
        case "buyer":
            website = buyers.goes_to_website(actors, int(due.ref))
            return {"n": due.ref, "basket": buyers.basket(scene, int(due.ref), due.at, website=website)}
        case "restock":
            sku = choose(actors.seed, scene.skus(), "restock", due.ref)
            if not shop.skus.get(sku):
                return {"n": due.ref, "sku": None, "available": 0}  # renamed, or gone
            level = next(iter(shop.levels[shop.variants[shop.skus[sku][0]].item_id].values()))
            return {"n": due.ref, "sku": sku, "available": max(0, level.available) + whole(actors.seed, 3, 25, "restocked by", due.ref)}
        case "pick":
            return {"n": due.ref, "parcel": warehouse.decide_pick(actors, shop.fulfillment_orders[int(due.ref)])}
        case "label" | "relabel":
            return {"n": due.ref, "tracking": warehouse.tracking(actors, int(due.ref), due.what)}
        case what if what in HANDLING:
            return {"n": due.ref, "wanted": warehouse.decide_handling(scene, what, int(due.ref))}
    tries = actors.tries.get(f"{due.what} {due.ref}", 0)
    return {"n": due.ref, "act": office.decide(scene, due.what, due.ref, due.at), "tries": tries}


def carry_out(scene: Scene, what: str, arguments: dict[str, Any], at: datetime) -> Any:
    """Does what was decided. For a purchase, returns the order's id or number."""
    actors = scene.actors
    n = arguments.get("n", 0)
    actors.agenda.drop(what, n)
    match what:
        case "buyer":
            bought = buyers.buy(scene, n, arguments["basket"], at)
            if isinstance(bought, str):
                office.meet_marketplace_order(actors, bought, at)
            return bought
        case "restock":
            if n < actors.plan.restocks:
                after(actors, "restock", n + 1, actors.plan.restock_gap, at)
            actors.restocked += 1
            if arguments["sku"] is not None:
                scene.shopify("stock", {"sku": arguments["sku"], "quantity": arguments["available"]}, at)
        case "pick":
            return warehouse.pick(scene, n, arguments["parcel"], at)
        case "label" | "relabel":
            warehouse.label(scene, n, arguments["tracking"], at)
        case "hurry":
            warehouse.hurry(actors, scene.shop, arguments.get("order"), at)
        case _ if what in HANDLING:
            warehouse.handle(scene, what, n, arguments["wanted"], at)
        case _:
            return office.carry_out(scene, what, n, arguments, at)
    return None
