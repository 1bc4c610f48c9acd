"""Parcels: announced, handed over, corrected, unpacked, received; that nothing is idempotent, and 201 says little."""

from typing import Any

import pytest

from tests.unit.sandbox.market import Market, told


def shipping(**switches: Any) -> Market:
    return Market(**{"multi_shipment": True, **switches})


def parcels(market: Market, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = market.asked("/api/shipments", **query)["data"]
    return found


def each(market: Market, operation: str, *ids: str, **more: Any) -> tuple[list[str], list[str]]:
    """The ids for which it was done, and what was said of the others."""
    method, path = {"ST06": ("PUT", "delete"), "ST23": ("POST", "tracking"), "ST24": ("PUT", "ship"), "ST26": ("PUT", "ready_for_pick_up")}[
        operation
    ]
    answer = told(market.mirakl(method, f"/api/shipments/{path}", {"shipments": [{"id": one} | more for one in ids]}))
    return [one["id"] for one in answer["shipment_success"]], [one["message"] for one in answer["shipment_errors"]]


def test_where_there_are_no_shipments_they_are_not_found() -> None:
    market = Market()
    order = market.to_ship()
    wanted = {"shipments": [{"order_id": order, "shipment_lines": [{"quantity": 1, "order_line_id": market.line(order).id}]}]}
    assert market.mirakl("POST", "/api/shipments", wanted).status == 404
    for path in ("/api/shipments", "/api/shipments/items_to_ship"):
        assert market.mirakl("GET", path).status == 404
    for path in ("/api/shipments/ship", "/api/shipments/delete"):
        assert market.mirakl("PUT", path, {"shipments": [{"id": "x"}]}).status == 404
    assert not market.asked("/api/platform/configuration")["features"]["shipment"]["multi_shipment"] and market.ship(order).status == 204


def test_everything_refused_is_201_all_the_same() -> None:
    market = shipping()
    order = market.arrived()
    market.until(hours=336)
    answer = market.send(order, {0: 1})
    assert answer["shipment_success"] == []
    assert answer["shipment_errors"] == [{"order_id": order, "message": "The order status must be 'SHIPPING' but it is 'CLOSED'."}]


def test_the_same_parcel_twice_is_two_parcels_until_the_units_run_out() -> None:
    market = shipping()
    order = market.to_ship((0, 3), (1, 1))
    for _ in range(2):
        assert market.send(order, {0: 1}, invoice_reference="F-1")["shipment_errors"] == []
    known = parcels(market, order_id=order)
    assert [one["invoice_reference"] for one in known] == ["F-1", "F-1"], "an echo is all there is to know it by"
    assert "exceeds the quantity to ship 1" in market.send(order, {0: 2})["shipment_errors"][0]["message"]
    assert market.order(order).state == "SHIPPING"
    market.send(order)
    assert [line.state for line in market.order(order).lines] == ["SHIPPED", "SHIPPED"] and market.order(order).state == "SHIPPED"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"order_id": "nobody"}, "not found"),
        ({"shipment_lines": [{"order_line_id": "nobody", "quantity": 1}]}, "does not exist in the order"),
        ({"shipment_lines": [{"offer_sku": "nobody", "quantity": 1}]}, "does not exist in the order"),
        ({"tracking": {"carrier_code": "rm", "tracking_number": "1"}}, "'rm' not found"),
        ({"tracking": {"carrier_code": "RM"}}, "tracking number is mandatory"),
        ({"tracking": {"tracking_number": "1"}}, "carrier name of the shipment is mandatory"),
        ({"tracking": {"carrier_name": "Mule", "tracking_number": "1"}}, "one of the marketplace's"),
        ({"tracking": {}}, "mandatory for the shipping method"),
        ({"shipping_from": {"warehouse": {"code": "NOWHERE"}}}, "does not exist"),
        ({"shipment_additional_information": [{"code": "x", "type": "STRING", "value": {}}]}, "does not exist"),
    ],
)
def test_a_parcel_that_is_refused_holds_no_other_back(more: dict[str, Any], says: str) -> None:
    market = shipping(alternative_carriers=False, mandatory_tracking=True)
    order, other = market.to_ship(), market.to_ship()
    line = {"order_line_id": market.line(order).id, "quantity": 1}
    good = {"order_id": order, "shipped": True, "shipment_lines": [line], "tracking": {"carrier_code": "RM", "tracking_number": "1"}}
    fine = good | {"order_id": other, "shipment_lines": [{"order_line_id": market.line(other).id, "quantity": 1}]}
    answer = told(market.mirakl("POST", "/api/shipments", {"shipments": [good | more, fine]}), 201)
    assert says in answer["shipment_errors"][0]["message"] and [one["order_id"] for one in answer["shipment_success"]] == [other]


def test_an_invoice_reference_is_plain_and_lists_have_their_limit() -> None:
    market = shipping()
    order = market.to_ship()
    shipment = {"order_id": order, "shipment_lines": [{"quantity": 1, "offer_sku": market.sku(0)}]}
    wrong = market.mirakl("POST", "/api/shipments", {"shipments": [shipment | {"invoice_reference": "F 1"}]})
    many = market.mirakl("POST", "/api/shipments", {"shipments": [shipment] * 1001})
    assert wrong.status == many.status == 400 and parcels(market) == []
    assert told(market.mirakl("POST", "/api/shipments", {"shipments": [shipment]}), 201)["shipment_errors"] == [], "a SKU will do"


def test_two_lines_of_a_sku_are_told_apart_by_their_ids_only() -> None:
    market = shipping()
    order = market.to_ship((0, 1), (0, 1))
    answer = market.send(order, {}, shipment_lines=[{"offer_sku": market.sku(0), "quantity": 1}])
    assert "Several order lines" in answer["shipment_errors"][0]["message"]


def test_what_is_packed_holds_its_units_and_leaves_later() -> None:
    market = shipping()
    order = market.to_ship((0, 2))
    [made] = market.send(order, {0: 1}, shipped=False)["shipment_success"]
    assert made["status"] == "SHIPPING" and market.line(order).to_ship == 1
    assert market.asked("/api/shipments/items_to_ship")["data"][0]["shipment_lines"][0]["quantity"] == 1
    market.send(order, {0: 1}, shipped=False)
    assert market.asked("/api/shipments/items_to_ship")["data"] == []
    first, second = (one["id"] for one in parcels(market))
    assert each(market, "ST24", first, "nobody") == ([first], ["Shipment with identifier 'nobody' not found"])
    assert each(market, "ST06", first, second) == ([second], [each(market, "ST06", first)[1][0]]), "what has left is not unpacked"
    assert market.order(order).state == "SHIPPING" and market.line(order).to_ship == 1
    assert market.ship(order).status == 204 and market.order(order).state == "SHIPPED" and len(parcels(market)) == 2


def test_tracking_is_corrected_after_it_has_left() -> None:
    market = shipping()
    order = market.to_ship()
    [made] = market.send(order)["shipment_success"]
    tracking = {"carrier_code": "DPDUK", "tracking_number": "9"}
    assert each(market, "ST23", made["id"], tracking=tracking) == ([made["id"]], [])
    [known] = parcels(market)
    assert known["tracking"]["tracking_url"].endswith("reference=9") and market.shown(order)["shipping_tracking"] == "9"
    assert "not found" in each(market, "ST23", made["id"], tracking={"carrier_code": "dpduk"})[1][0]


def test_the_carrier_s_systems_follow_a_known_carrier() -> None:
    market = shipping(receive_hours=100)
    order = market.to_ship()
    [made] = market.send(order)["shipment_success"]
    assert made["tracking"]["validity_status"] == "UNVERIFIED"
    market.until(hours=20)
    assert [one["type"] for one in parcels(market)[0]["tracking"]["milestones"]] == ["IN_TRANSIT"]
    market.until(hours=80)
    assert parcels(market)[0]["tracking"]["milestones"][-1]["type"] == "DELIVERED" and parcels(market)[0]["status"] == "RECEIVED"


@pytest.mark.parametrize("pick_up", [False, True])
def test_parcels_arrive_each_for_itself(pick_up: bool) -> None:
    market = shipping(receive_hours=72, collect_hours=24, close_hours=100)
    order = market.to_ship((0, 2), shipping_type="PUP" if pick_up else "STD")
    market.send(order, {0: 1})
    market.until(hours=48)
    assert [one["status"] for one in parcels(market)] == ["TO_COLLECT" if pick_up else "SHIPPED"] and market.line(order).state == "SHIPPING"
    market.send(order, {0: 1})
    market.until(hours=24)
    assert [one["status"] for one in parcels(market)] == ["RECEIVED", "TO_COLLECT" if pick_up else "SHIPPED"]
    market.does("operator_receive_shipment", shipment_id=parcels(market)[1]["id"])
    assert market.order(order).state == "RECEIVED" and market.line(order).received_at
    market.until(hours=100)
    assert {one["status"] for one in parcels(market)} == {"CLOSED"} and market.order(order).state == "CLOSED"


@pytest.mark.parametrize(("prepared", "state"), [(True, "SHIPMENT_PREPARED"), (False, "SHIPPED")])
def test_paid_by_the_parcel(prepared: bool, state: str) -> None:
    market = shipping(payment_workflow="PAY_ON_SHIPMENT", prepared_until_debited=prepared)
    order = market.to_ship((0, 2))
    [first] = market.send(order, {0: 1})["shipment_success"]
    assert (first["status"], first["status_customer_debit"]) == (state, "NOT_STARTED")
    market.later(20)
    assert parcels(market)[0]["status_customer_debit"] == "WAITING_DEBIT_CONFIRMATION"
    market.later(40)
    [paid] = parcels(market)
    assert (paid["status"], paid["status_customer_debit"]) == ("SHIPPED", "DEBIT_OK") and paid["payment_details"]
    assert market.order(order).debited_at is None
    market.send(order, {0: 1})
    market.later(61)
    assert market.order(order).paid == market.line(order).total and market.shown(order)["customer_debited_date"]
    assert parcels(market, shipment_customer_debit_state_code=["NOT_STARTED"]) == []


def test_the_operator_s_carrier_comes_when_a_parcel_is_ready() -> None:
    market = shipping()
    plain, collected = market.to_ship(), market.to_ship(shipping_type="OPD")
    ids = [market.send(one, shipped=False)["shipment_success"][0]["id"] for one in (plain, collected)]
    done, wrong = each(market, "ST26", *ids)
    assert done == ids[1:] and "not delivered by the operator" in wrong[0]
    assert [one["status"] for one in parcels(market, shipment_state_code=["READY_FOR_PICK_UP"])] == ["READY_FOR_PICK_UP"]
    assert each(market, "ST24", *ids)[0] == ids


def test_origin_and_information_of_a_parcel() -> None:
    market = shipping(warehouses=["LEEDS"])
    [made] = market.send(market.to_ship())["shipment_success"]

    def put(path: str, **more: Any) -> Any:
        return told(market.mirakl("PUT", path, {"shipments": [{"id": made["id"]} | more, {"id": "nobody"} | more]}))

    origin = put("/api/shipments", shipping_from={"warehouse": {"code": "LEEDS"}})
    assert origin["shipment_success"][0]["shipping_from"]["warehouse"]["code"] == "LEEDS" and len(origin["shipment_errors"]) == 1
    note = [{"code": "parcel-note", "type": "STRING", "value": {"text": "heavy"}}]
    told_ = put("/api/shipments/additional_information", shipment_additional_information=note)
    assert (
        told_["shipment_update_success"][0]["shipment_id"] == made["id"] and told_["shipment_update_errors"][0]["shipment_id"] == "nobody"
    )
    [known] = parcels(market)
    assert known["shipping_from"]["warehouse"]["code"] == "LEEDS" and known["shipment_additional_information"][0]["code"] == "parcel-note"


@pytest.mark.parametrize("path", ["/api/shipments", "/api/shipments/items_to_ship"])
def test_lists_are_read_page_by_page_and_a_token_freezes_the_question(path: str) -> None:
    market = shipping()
    orders = [market.to_ship() for _ in range(7)]
    if path == "/api/shipments":
        for order in orders:
            market.send(order, {0: 1})
    page = market.asked(path, limit=3, order_id=orders[1:])
    seen = [one["order_id"] for one in page["data"]]
    assert "previous_page_token" not in page
    while "next_page_token" in page:
        page = market.asked(path, page_token=page["next_page_token"], order_id="ignored", limit=1)
        seen += [one["order_id"] for one in page["data"]]
    assert seen == orders[1:] and len(page["data"]) == 3
    assert market.mirakl("GET", path, page_token="nonsense").status == 400
    name = "shipping_date_from" if path.endswith("ship") else "last_updated_from"
    assert market.asked(path, **{name: market.clock.at.isoformat()})["data"] == [] or path == "/api/shipments"


def test_an_order_cancelled_takes_its_packed_parcels_along() -> None:
    market = shipping()
    order = market.to_ship((0, 2))
    market.send(order, {0: 1}, shipped=False)
    market.does("customer_cancel", order_id=order)
    assert parcels(market)[0]["status"] == "CANCELED" and market.line(order).prepared == 0 and market.line(order).excluded == 2
    assert market.order(order).state == "CLOSED"
