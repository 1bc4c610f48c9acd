"""Returns in their three spellings of the order's id, what became of goods that came back, and their parcels."""

from ops.sandbox.shopify.bodies.writing import Body
from ops.sandbox.shopify.sales import Return, ReverseDelivery, ReverseOrder
from ops.sandbox.shopify.state import Shop, gid


def return_body(shop: Shop, found: Return) -> Body:
    """As returns/request and returns/approve tell it, and orders do."""
    return {
        "id": found.id,
        "admin_graphql_api_id": gid("Return", found.id),
        "status": found.status.lower(),
        "order": {"id": found.order_id, "admin_graphql_api_id": gid("Order", found.order_id)},
        "total_return_line_items": len(found.lines),
        "name": found.name,
        "return_line_items": [
            {
                "id": line.id,
                "admin_graphql_api_id": gid("ReturnLineItem", line.id),
                "fulfillment_line_item": {
                    "id": line.fulfillment_line_id,
                    "admin_graphql_api_id": gid("FulfillmentLineItem", line.fulfillment_line_id),
                    "line_item": {"id": line.line_id, "admin_graphql_api_id": gid("LineItem", line.line_id)},
                },
                "quantity": line.quantity,
                "return_reason_note": line.note,
                "customer_note": line.customer_note,
            }
            for line in found.lines
        ],
        "return_shipping_fees": [],
        "exchange_line_items": [],
        "total_exchange_line_items": 0,
    }


def told_return(shop: Shop, topic: str, found: Return, changed: tuple[int, ...]) -> Body:
    known = {"id": found.id, "admin_graphql_api_id": gid("Return", found.id)}
    match topic:
        case "returns/request" | "returns/approve":
            return return_body(shop, found)
        case "returns/decline":
            order = {"id": found.order_id, "admin_graphql_api_id": gid("Order", found.order_id)}
            declined = {"reason": (found.decline_reason or "").lower(), "note": found.decline_note}
            return known | {"status": "declined", "order": order, "decline": declined}
        case "returns/update":
            line, quantity = changed
            fewer = [{"admin_graphql_api_id": gid("ReturnLineItem", line), "delta": quantity}]
            nothing: dict[str, list[Body]] = {"updates": [], "removals": []}
            return {
                "admin_graphql_api_id": gid("Return", found.id),
                "return_line_items": {"removals": fewer},
                "restocking_fees": nothing,
                "return_shipping_fees": nothing,
            }
        case "returns/process" if shop.switches.returns_process_body == "empty":
            return {}
    return known | {"order_id": found.order_id, "status": found.status.lower()}


def disposed_body(back: ReverseOrder, dispositions: tuple[int, ...]) -> Body:
    told = [(line, one) for line in back.lines for one in line.dispositions if one.id in dispositions]
    return {
        "id": back.id,
        "admin_graphql_api_id": gid("ReverseFulfillmentOrder", back.id),
        "dispositions": [
            {
                "reverse_fulfillment_order_line_item": {
                    "id": line.id,
                    "admin_graphql_api_id": gid("ReverseFulfillmentOrderLineItem", line.id),
                },
                "reverse_delivery_line_item": None,
                "type": one.type.lower(),
                "location": {"id": one.location_id, "admin_graphql_api_id": gid("Location", one.location_id)} if one.location_id else None,
                "quantity": one.quantity,
            }
            for line, one in told
        ],
        "total_dispositions": len(told),
    }


def delivery_body(shop: Shop, delivery: ReverseDelivery) -> Body:
    number = shop.reverse_orders[delivery.reverse_order_id].return_id
    return {
        "id": delivery.id,
        "admin_graphql_api_id": gid("ReverseDelivery", delivery.id),
        "return": {"id": number, "admin_graphql_api_id": gid("Return", number)},
        "shipping_deliverable": {
            "tracking": {"carrier_name": None, "tracking_number": delivery.number, "tracking_url": delivery.url},
            "label": {"public_file_url": delivery.label, "created_at": None},
        },
    }
