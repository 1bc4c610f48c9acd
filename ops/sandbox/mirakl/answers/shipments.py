"""ST*: parcels, and what is still to be sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.mirakl import shapes
from ops.sandbox.mirakl.answers.call import Answer, Call, json, seek_page
from ops.sandbox.mirakl.sale import Order, Shipment, Tracking
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.wire import Reply


def _expect_shipments(call: Call) -> None:
    if not call.account.switches.multi_shipment:
        raise RefusedError(404, "Not Found")


def _create(call: Call) -> Reply:
    """ST01: 201, whatever became of the list."""
    outcome = call.change("ST01", {"shipments": call.body["shipments"]})
    made = [_shipment(call, call.account.shipments[number]) for number in outcome["success"]]
    return json({"shipment_errors": outcome["errors"], "shipment_success": made}, 201)


def _each(operation: str) -> Answer:
    def answer(call: Call) -> Reply:
        outcome = call.change(operation, {"shipments": call.body["shipments"]})
        return json({"shipment_errors": outcome["errors"], "shipment_success": [{"id": number} for number in outcome["success"]]})

    return answer


def _set_origin(call: Call) -> Reply:
    """ST07."""
    outcome = call.change("ST07", {"shipments": call.body["shipments"]})
    made = [{"id": number, **_origin(call.account.shipments[number])} for number in outcome["success"]]
    return json({"shipment_errors": outcome["errors"], "shipment_success": made})


def _inform(call: Call) -> Reply:
    """ST31."""
    outcome = call.change("ST31", {"shipments": call.body["shipments"]})
    refused = [
        {"errors": [{"code": "INVALID", "field": "shipment_additional_information", "message": one["message"]}], "shipment_id": one["id"]}
        for one in outcome["errors"]
    ]
    made = [
        {"shipment_additional_information": _information(call.account.shipments[number]), "shipment_id": number}
        for number in outcome["success"]
    ]
    return json({"shipment_update_errors": refused, "shipment_update_success": made})


# ------------------------------------------------------------------------------------------------------------------- ST11


def _list(call: Call) -> Reply:
    _expect_shipments(call)

    def search(values: Mapping[str, Any]) -> Sequence[Shipment]:
        account = call.account
        if (orders := values.get("order_id")) is not None:
            of_orders = [account.orders[one] for one in dict.fromkeys(orders) if one in account.orders]
            found = sorted((account.shipments[n] for order in of_orders for n in order.shipments), key=lambda one: one.number)
        else:
            found = list(account.shipments.values())
        since, until = (values.get(name) for name in ("last_updated_from", "last_updated_to"))
        return [
            one
            for one in found
            if not account.orders[one.order_id].hidden
            and one.state in values.get("shipment_state_code", (one.state,))
            and one.debit in values.get("shipment_customer_debit_state_code", (one.debit,))
            and (since is None or one.updated_at >= datetime.fromisoformat(since))
            and (until is None or one.updated_at <= datetime.fromisoformat(until))
        ]

    return seek_page(call, search, lambda one: one.number, lambda one: _shipment(call, one))


def _shipment(call: Call, shipment: Shipment) -> dict[str, Any]:
    lines = {line.id: line for line in call.account.orders[shipment.order_id].lines}
    paid = shipment.debited_at
    return {
        "created_date": moment(shipment.created_at),
        "id": shipment.id,
        **({"invoice_reference": shipment.invoice_reference} if shipment.invoice_reference else {}),
        "last_updated_date": moment(shipment.updated_at, milliseconds=True),
        "order_id": shipment.order_id,
        **({"payment_details": {"customer_debited_date": moment(paid), "transaction_date": moment(paid)}} if paid else {}),
        "shipment_additional_information": _information(shipment),
        "shipment_lines": [
            {
                "offer_sku": lines[number].offer_sku,
                "order_line_id": number,
                "quantity": units,
                **({"package_reference": shipment.packages[number]} if number in shipment.packages else {}),
            }
            for number, units in shipment.units.items()
        ],
        **({"shipped_date": moment(shipment.shipped_at)} if shipment.shipped_at else {}),
        **_origin(shipment),
        "status": shipment.state,
        "status_customer_debit": shipment.debit,
        **({"tracking": _tracking(call, shipment)} if shipment.tracking != Tracking() else {}),
    }


def _origin(shipment: Shipment) -> dict[str, Any]:
    return {"shipping_from": {"warehouse": {"code": shipment.warehouse}}} if shipment.warehouse else {}


def _information(shipment: Shipment) -> list[dict[str, Any]]:
    return [{"code": code, "type": kind, "value": value} for code, (kind, value) in shipment.information.items()]


def _tracking(call: Call, shipment: Shipment) -> dict[str, Any]:
    """What the seller said, and what the carrier's systems have told since."""
    tracking = shipment.tracking
    said = {
        "carrier_code": tracking.carrier_code,
        "carrier_name": tracking.carrier_name,
        "carrier_standard_code": tracking.carrier_standard_code,
        "tracking_number": tracking.number,
        "tracking_url": tracking.url,
    }
    passed = _milestones(call, shipment) if tracking.number and tracking.carrier_standard_code else []
    validity = "MISSING_TRACKING" if not tracking.number else "UNCOVERED" if not tracking.carrier_standard_code else "UNVERIFIED"
    return {
        **{name: value for name, value in said.items() if value},
        "milestones": [{"occurrence_date": _at(at), "type": kind} for kind, at in passed],
        "validity_status": "VERIFIED" if passed else validity,
    }


def _milestones(call: Call, shipment: Shipment) -> list[tuple[str, datetime]]:
    if shipment.shipped_at is None:
        return []
    way = timedelta(hours=call.account.switches.receive_hours)
    stages = (("IN_TRANSIT", 0.2), ("OUT_FOR_DELIVERY", 0.9))
    passed = [(kind, at) for kind, part in stages if (at := shipment.shipped_at + way * part) <= call.at]
    return passed + ([("DELIVERED", shipment.updated_at)] if shipment.state in ("RECEIVED", "CLOSED") else [])


def _at(at: datetime) -> dict[str, str]:
    return {"date": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M}", "offset": "Z"}


# ------------------------------------------------------------------------------------------------------------------- ST12


def _to_ship(call: Call) -> Reply:
    """ST12: units that no shipment holds yet."""
    _expect_shipments(call)

    def search(values: Mapping[str, Any]) -> Sequence[Order]:
        account = call.account
        numbers = account.book.in_states(("SHIPPING",))
        found = [account.orders[account.book.ids[number - 1]] for number in numbers]
        orders, centres = values.get("order_id"), values.get("fulfillment_center_code")
        since, until = (values.get(name) for name in ("shipping_date_from", "shipping_date_to"))
        return [
            one
            for one in found
            if (orders is None or one.id in orders)
            and (centres is None or one.centre in centres)
            and (since is None or (one.shipping_at or one.created_at) >= datetime.fromisoformat(since))
            and (until is None or (one.shipping_at or one.created_at) <= datetime.fromisoformat(until))
            and any(line.state == "SHIPPING" and line.to_ship for line in one.lines)
        ]

    return seek_page(call, search, lambda order: order.number, _items)


def _items(order: Order) -> dict[str, Any]:
    return {
        "fulfillment": {"center": {"code": order.centre}},
        "order_id": order.id,
        "references": {"order_reference_for_customer": order.customer_reference, "order_reference_for_seller": order.seller_reference},
        "shipment_lines": [
            {"offer_sku": line.offer_sku, "order_line_id": line.id, "product_title": line.title, "quantity": line.to_ship}
            for line in order.lines
            if line.state == "SHIPPING" and line.to_ship
        ],
        "shipping_address": shapes.shipping_address(order),
        "shipping_date": moment(order.shipping_at),
        "shipping_deadline": moment(order.shipping_deadline, milliseconds=True),
        "shipping_type_code": order.shipping_type,
    }


ANSWERS: dict[str, Answer] = {
    "ST01": _create,
    "ST07": _set_origin,
    "ST11": _list,
    "ST12": _to_ship,
    "ST31": _inform,
    **{operation: _each(operation) for operation in ("ST06", "ST23", "ST24", "ST26")},
}
