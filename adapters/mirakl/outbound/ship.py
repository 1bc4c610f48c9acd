"""Parcels, and where they are: OR23 and OR24 for a whole order, ST01 and ST23 where a marketplace takes several shipments an order."""

from collections.abc import Sequence

from adapters.http import scrub
from adapters.mirakl import answers, wire
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import LIST_SHIPMENTS, MAKE_SHIPMENTS, SHIP_ORDER, TRACK_ORDER, TRACK_SHIPMENTS
from adapters.mirakl.outbound.carriers import Carrier, carrier_of
from adapters.mirakl.translate.values import UnreadableError, units
from engine.adapter import Answer, Done, Effect, Refused, Task
from engine.errors import RejectedError, UnavailableError, UnknownOutcomeError
from schemas.commands import CorrectTracking, ShipOrder, ShipParcel
from schemas.events.orders import OrderShipped, ShipmentMade, TrackingCorrected

LEFT = frozenset({"SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED"})
NEVER_LEFT = frozenset({"REFUNDED", "CANCELED", "REFUSED"})  # lines
PAGE, PAGES = 100, 20  # shipments of one order; beyond, the list has no end


# ---------------------------------------------------------------- the whole order


async def ship_order(client: Client, tasks: Sequence[Task[ShipOrder]]) -> Sequence[Answer]:
    """OR23 changes no state and may be repeated; OR24 ships the whole order, once."""
    [task] = tasks
    command = task.command
    carrier = await carrier_of(client, command.channel, command.carrier)
    if isinstance(carrier, Refused):
        return [carrier]
    where, body = {"order_id": command.order_id}, carrier.tracking(command.tracking_number, command.tracking_url, "carrier_url")
    try:
        await client.send(TRACK_ORDER, path=where, json=body, expect="nothing")
        await client.send(SHIP_ORDER, path=where, expect="nothing")
    except RejectedError as error:
        return [_refused(error.detail, error.field, command.tracking_number)]
    return [Done((Effect(_shipped(command, carrier.code), command.order_id),))]


async def look_shipped(client: Client, task: Task[ShipOrder]) -> Done | None:
    order = await client.once(task.command.order_id, task.command_id, _has_left)
    return None if order is None else _found_shipped(task.command, order)


def _has_left(order: wire.Order) -> bool:
    """An order that was refunded whole is closed as well, though nothing of it ever left: then no line says when it did."""
    living = [line for line in order.order_lines or () if line.order_line_state not in NEVER_LEFT]
    return order.order_state in LEFT and any(order.order_state != "CLOSED" or line.shipped_date for line in living)


def _found_shipped(command: ShipOrder, order: wire.Order) -> Done:
    """Of the command's own parcels: where they went out under a new label, an earlier command may have shipped the order already."""
    code, number = str(order.shipping_carrier_code or ""), str(order.shipping_tracking or "")
    by_somebody_else = OrderShipped(  # as they tell it
        channel=command.channel,
        order_id=command.order_id,
        carrier_code=code,
        tracking_number=number,
        fulfilments=command.fulfilments,
        carrier=str(order.shipping_company or ""),
        tracking_url=str(order.shipping_tracking_url or ""),
    )
    event = _shipped(command, code) if number == command.tracking_number else by_somebody_else
    return Done((Effect(event, ":".join((command.order_id, *command.fulfilments))),))


def _shipped(command: ShipOrder, carrier_code: str) -> OrderShipped:
    return OrderShipped(
        channel=command.channel,
        order_id=command.order_id,
        carrier_code=carrier_code,
        tracking_number=command.tracking_number,
        fulfilments=command.fulfilments,
        carrier=command.carrier,
        tracking_url=command.tracking_url,
    )


def _refused(detail: str, field: str, tracking_number: str) -> Refused:
    """Where a method or a carrier demands a tracking number, and there is none, they say so in words of their own."""
    return Refused(detail, field="tracking" if not tracking_number and "tracking" in detail.casefold() else field)


# ---------------------------------------------------------------- one parcel


async def ship_parcel(client: Client, tasks: Sequence[Task[ShipParcel]]) -> Sequence[Answer]:
    """ST01 makes another shipment each time it is asked, and answers 201 even where it made none."""
    [task] = tasks
    command = task.command
    carrier = await carrier_of(client, command.channel, command.carrier)
    if isinstance(carrier, Refused):
        return [carrier]
    shipment = {
        "order_id": command.order_id,
        "invoice_reference": reference(command),
        "shipped": True,
        "shipment_lines": [{"order_line_id": line, "quantity": quantity} for line, quantity in sorted(command.units.items())],
        "tracking": carrier.tracking(command.tracking_number, command.tracking_url, "tracking_url"),
    }
    try:
        reply = await client.send(MAKE_SHIPMENTS, json={"shipments": [shipment]}, expect="json")
    except RejectedError as error:
        return [_single(client) if error.status == 404 else _refused(error.detail, error.field, command.tracking_number)]
    told = client.read(MAKE_SHIPMENTS, reply, answers.ParcelsMade)
    for made in told.shipment_success or ():
        if made.id is not None:
            return [_made(command, str(made.id), carrier)]
    for fault in told.shipment_errors or ():
        return [_refused(scrub(fault.message or "") or "no reason given", "", command.tracking_number)]
    raise UnknownOutcomeError("neither made nor refused", target=client.http.target, endpoint=MAKE_SHIPMENTS.code)


def reference(command: ShipParcel) -> str:
    """The fulfilment's number: ST11 shows it again, so that a shipment of ours is known by it. `[0-9a-zA-Z_-]`."""
    return command.fulfilment.rpartition("/")[2]


async def look_for_parcel(client: Client, task: Task[ShipParcel]) -> Done | Refused | None:
    """By our reference; or by tracking number, lines and quantities, where somebody typed it in by hand."""
    command = task.command
    try:
        parcels = [parcel for parcel in await _parcels(client, command.order_id) if parcel.status != "CANCELED" and parcel.id is not None]
    except RejectedError as error:
        if error.status == 404:
            return _single(client)
        raise
    ours = [parcel for parcel in parcels if str(parcel.invoice_reference or "") == reference(command)]
    if not ours and command.tracking_number:
        ours = [parcel for parcel in parcels if not parcel.invoice_reference and _is_same(parcel, command)]
    if not ours:
        return None
    tracking = ours[0].tracking or answers.ShipmentTracking()
    return _made(command, str(ours[0].id), Carrier(code=str(tracking.carrier_code or "")))


def _is_same(parcel: answers.Parcel, command: ShipParcel) -> bool:
    number = str((parcel.tracking and parcel.tracking.tracking_number) or "")
    try:
        lines = [(str(line.order_line_id), units(line.quantity, "quantity")) for line in parcel.shipment_lines or ()]
    except UnreadableError:
        return False
    return number == command.tracking_number and sorted(lines) == sorted(command.units.items())


async def _parcels(client: Client, order_id: str) -> list[answers.Parcel]:
    found: list[answers.Parcel] = []
    query: tuple[tuple[str, str], ...] = (("order_id", order_id), ("limit", str(PAGE)))
    for _ in range(PAGES):
        page = client.read(LIST_SHIPMENTS, await client.send(LIST_SHIPMENTS, query=query, expect="json"), answers.ParcelPage)
        if page.data is None:
            raise UnavailableError("a list of shipments without shipments", target=client.http.target, endpoint=LIST_SHIPMENTS.code)
        found += [parcel for parcel in page.data if str(parcel.order_id) == order_id]
        if not page.next_page_token:
            return found
        query = (("page_token", page.next_page_token), ("limit", str(PAGE)))
    raise UnavailableError("the list of shipments has no end", target=client.http.target, endpoint=LIST_SHIPMENTS.code)


def _single(client: Client) -> Refused:
    return Refused(f"{client.place.channel} takes one shipment an order", field="multi_shipment")


def _made(command: ShipParcel, shipment: str, carrier: Carrier) -> Done:
    event = ShipmentMade(
        channel=command.channel,
        order_id=command.order_id,
        shipment=shipment,
        fulfilment=command.fulfilment,
        units=command.units,
        carrier=command.carrier,
        carrier_code=carrier.code,
        tracking_number=command.tracking_number,
        tracking_url=command.tracking_url,
    )
    return Done((Effect(event, shipment),))


# ---------------------------------------------------------------- new tracking


async def correct_tracking(client: Client, tasks: Sequence[Task[CorrectTracking]]) -> Sequence[Answer]:
    """ST23 for a shipment, OR23 for a whole order; both say what is so from now on."""
    [task] = tasks
    command = task.command
    carrier = await carrier_of(client, command.channel, command.carrier)
    if isinstance(carrier, Refused):
        return [carrier]
    try:
        if not command.shipment:
            body = carrier.tracking(command.tracking_number, command.tracking_url, "carrier_url")
            await client.send(TRACK_ORDER, path={"order_id": command.order_id}, json=body, expect="nothing")
            return [_corrected(task)]
        tracking = carrier.tracking(command.tracking_number, command.tracking_url, "tracking_url")
        body = {"shipments": [{"id": command.shipment, "tracking": tracking}]}
        reply = await client.send(TRACK_SHIPMENTS, json=body, expect="json")
    except RejectedError as error:
        if command.shipment and error.status == 404:
            return [_single(client)]
        return [_refused(error.detail, error.field, command.tracking_number)]
    told = client.read(TRACK_SHIPMENTS, reply, answers.ParcelsMade)
    if any(str(made.id) == command.shipment for made in told.shipment_success or ()):
        return [_corrected(task)]
    why = next((scrub(fault.message or "") for fault in told.shipment_errors or ()), "") or "the answer does not name this shipment"
    return [_refused(why, "", command.tracking_number)]


def _corrected(task: Task[CorrectTracking]) -> Done:
    """The same tracking may be set again later, so the fact is known by what asked for it."""
    command = task.command
    event = TrackingCorrected(
        channel=command.channel,
        order_id=command.order_id,
        fulfilment=command.fulfilment,
        carrier=command.carrier,
        tracking_number=command.tracking_number,
        tracking_url=command.tracking_url,
    )
    return Done((Effect(event, str(task.command_id)),))
