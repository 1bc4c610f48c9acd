"""Fulfilments with what carriers say of them, and fulfilment orders: these are told in small bodies, by global id, without their order."""

from ops.sandbox.shopify.bodies.lines import line_body
from ops.sandbox.shopify.bodies.writing import Body, address, local
from ops.sandbox.shopify.sales import Fulfillment, FulfillmentOrder, Hold
from ops.sandbox.shopify.state import APP_ID, SHOP_ID, Shop, gid


def fulfillment_body(shop: Shop, fulfillment: Fulfillment) -> Body:
    order = shop.orders[fulfillment.order_id]
    lines = {line.id: line for line in order.lines}
    return {
        "id": fulfillment.id,
        "admin_graphql_api_id": gid("Fulfillment", fulfillment.id),
        "order_id": order.id,
        "status": fulfillment.status.lower(),
        "created_at": local(fulfillment.created_at),
        "service": "manual",
        "updated_at": local(fulfillment.updated_at),
        "tracking_company": fulfillment.company,
        "shipment_status": fulfillment.events[-1].status.lower() if fulfillment.events else None,
        "location_id": fulfillment.location_id,
        "origin_address": None,
        "email": order.email or "",
        "destination": address(order.shipping_address),
        "line_items": [line_body(shop, order, lines[shipped.line_id], shipped.quantity) for shipped in fulfillment.lines],
        "tracking_number": fulfillment.numbers[0] if fulfillment.numbers else None,
        "tracking_numbers": list(fulfillment.numbers),
        "tracking_url": fulfillment.urls[0] if fulfillment.urls else None,
        "tracking_urls": list(fulfillment.urls),
        "receipt": {},
        "name": fulfillment.name,
    }


def event_body(shop: Shop, fulfillment: Fulfillment, number: int) -> Body:
    event = next(one for one in fulfillment.events if one.id == number)
    at = local(event.happened_at)
    nowhere = dict.fromkeys(("city", "province", "zip", "address1", "latitude", "longitude"))
    return {
        "id": event.id,
        "fulfillment_id": fulfillment.id,
        "status": event.status.lower(),
        "message": event.status.replace("_", " ").capitalize(),
        "happened_at": at,
        **nowhere,
        "country": None,
        "shop_id": SHOP_ID,
        "created_at": at,
        "updated_at": at,
        "estimated_delivery_at": None,
        "order_id": fulfillment.order_id,
        "admin_graphql_api_id": gid("FulfillmentEvent", event.id),
    }


def _short(parcel: FulfillmentOrder) -> Body:
    return {"id": gid("FulfillmentOrder", parcel.id), "status": parcel.status.lower()}


def _hold(hold: Hold) -> Body:
    return {
        "id": gid("FulfillmentHold", hold.id),
        "reason": hold.reason.lower(),
        "reason_notes": hold.notes,
        "held_by_requesting_app": hold.by_app,
        "handle": hold.handle,
        "held_by_app": {"id": gid("App", APP_ID)} if hold.by_app else None,
    }


def parcel_body(shop: Shop, topic: str, subject: tuple[int, ...]) -> Body:
    """fulfillment_orders/… and fulfillment_holds/…: the fulfilment order, then what else the topic names."""
    first, *others = subject
    parcel = shop.fulfillment_orders[first]
    other = [shop.fulfillment_orders.get(number) for number in others]
    match topic:
        case "fulfillment_holds/added" | "fulfillment_holds/released":
            held = next(one for one in parcel.holds if one.id == others[0])
            return {"fulfillment_order": {"id": gid("FulfillmentOrder", parcel.id)}, "fulfillment_hold": _hold(held)}
        case "fulfillment_orders/placed_on_hold":
            rest = shop.fulfillment_orders.get(others[1])
            lines = [
                {"id": gid("FulfillmentOrderLineItem", line.id), "quantity": line.remaining} for line in parcel.lines if line.remaining
            ]
            placed = next(one for one in parcel.holds if one.id == others[0])
            return {
                "fulfillment_order": _short(parcel) | {"fulfillment_holds": [_hold(one) for one in parcel.holds]},
                "remaining_fulfillment_order": _short(rest) if rest else None,
                "held_fulfillment_order_line_items": lines,
                "created_fulfillment_hold": _hold(placed),
            }
        case "fulfillment_orders/moved":
            moved = other[0]
            assert moved is not None
            lines = [{"id": gid("FulfillmentOrderLineItem", line.id), "quantity": line.total} for line in moved.lines]
            return {
                "original_fulfillment_order": _short(parcel) | {"assigned_location_id": gid("Location", parcel.location_id)},
                "moved_fulfillment_order": _short(moved) | {"assigned_location_id": gid("Location", moved.location_id)},
                "destination_location_id": gid("Location", moved.location_id),
                "fulfillment_order_line_items_requested": lines,
                "source_location": {"id": gid("Location", parcel.location_id)},
            }
        case "fulfillment_orders/split":
            rest, replacement = other
            assert rest is not None
            lines = [{"id": gid("FulfillmentOrderLineItem", line.id), "quantity": line.total} for line in rest.lines]
            return {
                "split_line_items": lines,
                "fulfillment_order": _short(parcel),
                "remaining_fulfillment_order": _short(rest),
                "replacement_fulfillment_order": _short(replacement) if replacement else None,
            }
        case "fulfillment_orders/merged":
            intents = [{"fulfillment_order_id": number, "fulfillment_order_line_items": []} for number in subject]
            return {"merge_intents": intents, "fulfillment_order_merges": {"fulfillment_order": _short(parcel)}}
        case "fulfillment_orders/cancelled":
            return {"fulfillment_order": _short(parcel), "replacement_fulfillment_order": None}
        case "fulfillment_orders/rescheduled":
            return {"fulfillment_order": _short(parcel) | {"fulfill_at": local(parcel.fulfill_at)}}
    return {"fulfillment_order": _short(parcel)}
