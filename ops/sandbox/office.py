"""Customer service in Shopify, the marketplace's operator and its buyers, and those who look after the catalogue.

An act is decided in full (system, operation, arguments) and carried out as decided. An act whose time has not come yet, such as a refund of
what has not left, is tried again later, a few times.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ops.sandbox.chance import choose, fraction, happens, whole
from ops.sandbox.mirakl.registry import RETURN_REASONS
from ops.sandbox.scene import Actors, Scene, after
from ops.sandbox.shopify import returns
from ops.sandbox.shopify.state import Order

SERVICE = ("cancels", "refunds", "refunds_part", "refunds_amount", "refunds_shipping", "returns", "forgets")
OPERATOR = ("cancels", "refunds", "refunds_part", "returns", "incidents", "messages", "ships")
MERCHANDISE = ("recounts", "transfers", "renames", "archives")
TRIES = 8  # of an act whose time has not come yet
LEFT = ("SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED")
MESSAGES = ("Where is my parcel?", "Can I change the address?", "It does not fit.", "Please leave it with the neighbours.")
LATER = "later"  # decided: not yet
REASONS = ("CUSTOMER", "INVENTORY", "STAFF", "FRAUD", "OTHER")  # Shopify's for cancellations

Act = list[Any]  # system, operation, arguments


def begin(actors: Actors, at: datetime) -> None:
    for what in MERCHANDISE:
        if getattr(actors.plan.merchandise, what):
            after(actors, what, 1, actors.plan.merchandise.gap, at)


def meet_order(actors: Actors, order: int, at: datetime) -> None:
    """What customer service will have to do with an order in Shopify, all of it drawn at once."""
    for what in SERVICE:
        if happens(actors.seed, getattr(actors.plan.service, what), "service", what, order):
            after(actors, f"service {what}", order, actors.plan.service.after, at)


def meet_marketplace_order(actors: Actors, order: str, at: datetime) -> None:
    for what in OPERATOR:
        if happens(actors.seed, getattr(actors.plan.operator, what), "operator", what, order):
            after(actors, f"operator {what}", order, actors.plan.operator.after, at)


# ---------------------------------------------------------------------------------------------------------- deciding


def decide(scene: Scene, what: str, ref: int | str, at: datetime) -> Act | str | None:
    """An act; LATER; None if it has become pointless."""
    who, _, doing = what.partition(" ")
    match who:
        case "service":
            order = scene.shop.orders.get(int(ref))
            return _served(scene, doing, order, at) if order is not None else None
        case "return":
            return _return_goes_on(scene, int(ref))
        case "operator":
            return _operated(scene, doing, str(ref), at)
        case "incident":
            return _incident_ends(scene, str(ref))
    return _looked_after(scene, what, int(ref))


def _served(scene: Scene, doing: str, order: Order, at: datetime) -> Act | str | None:
    seed, service = scene.actors.seed, scene.actors.plan.service
    if doing == "forgets":
        return ["shopify", "redact", {"order": order.id}]
    restock = happens(seed, service.restocks, "restock", doing, order.id)
    left = any(line.fulfilled for line in order.lines)
    if order.cancelled_at is not None:
        return None
    if doing == "cancels":
        arguments = {"order": order.id, "reason": choose(seed, REASONS, "cancel reason", order.id), "restock": restock}
        return None if left else ["shopify", "staffCancel", arguments]
    if not left:
        return LATER
    open_lines = [(line.id, min(line.current, line.fulfilled)) for line in order.lines if min(line.current, line.fulfilled) > 0]
    if not open_lines:
        return None
    one = choose(seed, open_lines, "which line", doing, order.id)
    some = [one[0], whole(seed, 1, one[1], "units", doing, order.id)]
    match doing:
        case "refunds":
            lines = [[line.id, line.current] for line in order.lines if line.current > 0]
            return ["shopify", "staffRefund", {"order": order.id, "lines": lines, "restock": restock, "shipping": _shipping(scene, order)}]
        case "refunds_part":
            return ["shopify", "staffRefund", {"order": order.id, "lines": [some], "restock": restock}]
        case "refunds_amount":
            price = next(line.price.presentment for line in order.lines if line.id == one[0])
            amount = max(1, int(price * (0.05 + 0.45 * fraction(seed, "how much", order.id))))
            return ["shopify", "staffRefund", {"order": order.id, "amount": amount, "note": "A gesture"}]
        case "refunds_shipping":
            shipping = _shipping(scene, order)
            return ["shopify", "staffRefund", {"order": order.id, "shipping": shipping, "restock": False}] if shipping else None
    back = {line.id: _returnable(scene, order, line.id) for line in order.lines}
    can = [[line, whole(seed, 1, units, "units back", order.id, line)] for line, units in back.items() if units]
    if not can:
        return None
    some = choose(seed, can, "which line back", order.id)
    returned = {"order": order.id, "lines": [some], "reason": whole(seed, 1, 10, "return reason", order.id), "requested": True}
    return ["shopify", "staffReturn", returned]


def _returnable(scene: Scene, order: Order, line: int) -> int:
    parcels = [scene.shop.fulfillments[number] for number in order.fulfillments]
    sent = [(parcel, shipped) for parcel in parcels if parcel.status == "SUCCESS" for shipped in parcel.lines if shipped.line_id == line]
    return sum(max(0, returns.returnable(order, parcel, shipped)) for parcel, shipped in sent)


def _shipping(scene: Scene, order: Order) -> int:
    """What was paid for shipping and has not been paid back, in the buyer's minor units."""
    back = sum(scene.shop.refunds[number].shipping.presentment for number in order.refunds)
    return max(0, sum(line.price.presentment for line in order.shipping_lines) - back)


def _return_goes_on(scene: Scene, number: int) -> Act | None:
    """A return asked for is approved or declined; what has come is inspected and paid back."""
    found, seed = scene.shop.returns.get(number), scene.actors.seed
    if found is None or found.status in ("CANCELED", "DECLINED", "CLOSED"):
        return None
    if found.status == "REQUESTED":
        if happens(seed, 0.15, "declined", number):
            return ["shopify", "staffDeclineReturn", {"number": number, "reason": "OTHER", "note": "Worn"}]
        return ["shopify", "staffApproveReturn", {"number": number}]
    restock = happens(seed, scene.actors.plan.service.restocks, "restock return", number)
    return ["shopify", "staffProcessReturn", {"number": number, "disposition": "RESTOCKED" if restock else "NOT_RESTOCKED"}]


def _operated(scene: Scene, doing: str, number: str, at: datetime) -> Act | str | None:
    seed, order = scene.actors.seed, scene.account.orders.get(number)
    if order is None or not order.alive or not order.ours:
        return None
    left = [line for line in order.alive if line.shipped or line.state in LEFT]
    one = choose(seed, left or order.alive, "which line", doing, number)
    match doing:
        case "cancels":
            by = choose(seed, ("operator_cancel", "customer_cancel"), "who cancels", number)
            return None if left else ["mirakl", by, {"order_id": number}]
        case "ships":
            return ["mirakl", "operator_ship", {"order_id": number}] if order.state == "SHIPPING" else None if left else LATER
        case "messages":
            body = choose(seed, MESSAGES, "message", number)
            return ["mirakl", "customer_message", {"order_id": number, "body": f"{body} {order.buyer.first_name}"}]
    if not left:
        return LATER
    match doing:
        case "refunds":
            return ["mirakl", "operator_refund", {"order_line_id": one.id, "share": 1.0, "shipping": True}]
        case "refunds_part":
            part = choose(seed, (0.1, 0.25, 0.5), "which part", number)
            return ["mirakl", "operator_refund", {"order_line_id": one.id, "share": part, "shipping": False}]
        case "incidents":
            return ["mirakl", "open_incident", {"order_line_id": one.id}]
    if one.state not in ("RECEIVED", "CLOSED"):
        return LATER
    back = {"order_line_id": one.id, "quantity": 1, "reason_code": choose(seed, RETURN_REASONS, "why back", number)}
    asked = {"order_commercial_id": order.commercial_id, "method_code": "RETURN_METHOD_BY_MAIL", "return_lines": [back]}
    return ["mirakl", "request_return", {"returns": [asked]}]


def _incident_ends(scene: Scene, number: str) -> Act | None:
    """Of an order line that has one open."""
    for order in scene.account.orders.values():
        for line in order.lines:
            if line.id == number and line.incident is not None:
                return ["mirakl", "close_incident", {"order_id": order.id, "line_id": line.id, "reason_code": "52"}]
    return None


def _looked_after(scene: Scene, what: str, n: int) -> Act | None:
    seed, shop = scene.actors.seed, scene.shop
    items = [item for item in shop.items.values() if item.tracked and item.sku is not None and len(shop.skus.get(item.sku, ())) == 1]
    if not items:
        return None
    item = choose(seed, items, what, "item", n)
    levels = list(shop.levels[item.id].values())
    match what:
        case "recounts":
            level = choose(seed, levels, what, "level", n)
            found = max(0, level.available + whole(seed, -4, 4, what, "found", n))
            return ["shopify", "stock", {"sku": item.sku, "quantity": found, "location": level.location_id}]
        case "transfers":
            full = [level for level in levels if level.available > 0 and shop.locations[level.location_id].active]
            others = [place.id for place in shop.locations.values() if place.active and full and place.id != full[0].location_id]
            if not others:
                return None
            moved = {"sku": item.sku, "origin": full[0].location_id, "destination": choose(seed, others, what, "where to", n)}
            return ["shopify", "staffTransfer", moved | {"quantity": whole(seed, 1, full[0].available, what, "units", n)}]
        case "renames":
            return ["shopify", "staffRename", {"variant": item.variant_id, "sku": f"{item.sku}-NEW{n}"}]
    return ["shopify", "staffProduct", {"product": shop.variants[item.variant_id].product_id, "status": "ARCHIVED"}]


# ------------------------------------------------------------------------------------------------------- carrying out


def carry_out(scene: Scene, what: str, ref: int | str, decided: dict[str, Any], at: datetime) -> Any:
    act, tries = decided["act"], decided["tries"]
    actors = scene.actors
    result = None
    if isinstance(act, list):
        system, op, arguments = act
        result = (scene.shopify if system == "shopify" else scene.mirakl)(op, arguments, at)
        actors.acts[op] = actors.acts.get(op, 0) + 1
        for follows, about, mean in _what_follows(scene, op, arguments, result):
            after(actors, follows, about, mean, at)
    elif act == LATER and tries < TRIES:
        actors.tries[f"{what} {ref}"] = tries + 1
        patience = actors.plan.operator.after if what.startswith("operator") else actors.plan.service.after
        if what == "operator returns":  # nobody sends back what has not arrived
            patience = max(patience, scene.account.switches.receive_hours * 1800)
        after(actors, what, ref, patience, at, "again", tries)
        return None
    actors.tries.pop(f"{what} {ref}", None)
    if what in MERCHANDISE and int(ref) < getattr(actors.plan.merchandise, what):
        after(actors, what, int(ref) + 1, actors.plan.merchandise.gap, at)
    return result


def _what_follows(scene: Scene, op: str, arguments: dict[str, Any], result: Any) -> Iterator[tuple[str, int | str, float]]:
    """Whose turn comes next because of it."""
    plan = scene.actors.plan
    if op == "staffReturn" and isinstance(result, int):
        yield "return goes on", result, plan.service.after
    elif op == "staffApproveReturn":
        yield "return goes on", arguments["number"], plan.service.after
    elif op == "open_incident":
        yield "incident ends", arguments["order_line_id"], plan.operator.after
