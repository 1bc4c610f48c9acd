"""Our commands into calls to Mirakl, and what came of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from adapters.http import scrub
from adapters.mirakl import translate, wire
from adapters.mirakl.endpoints import (
    ACCEPT_ORDER,
    IMPORT_ERRORS,
    IMPORT_STATUS,
    IMPORT_STOCK,
    SET_REFERENCES,
    SHIP_ORDER,
    TRACK_ORDER,
    Client,
)
from adapters.mirakl.translate import SEPARATOR
from engine.adapter import Answer, Done, Effect, NotYet, Performer, Refused, Task
from engine.errors import UnavailableError, UnknownOutcomeError
from schemas.commands import AcceptOrder, Command, PublishStock, SetSellerReference, SettleStockImport, ShipOrder
from schemas.events.inventory import StockImportFinished, StockImportStarted
from schemas.events.orders import OrderAccepted, OrderShipped, SellerReferenceSet
from schemas.values import Sku

# What a line is in once we promised it, and nothing else: a buyer may cancel what was never accepted.
PROMISED = frozenset(
    {
        "WAITING_DEBIT",
        "WAITING_DEBIT_PAYMENT",
        "SHIPPING",
        "SHIPPED",
        "TO_COLLECT",
        "RECEIVED",
        "CLOSED",
        "REFUNDED",
        "WAITING_REFUND",
        "WAITING_REFUND_PAYMENT",
        "INCIDENT_OPEN",
        "INCIDENT_CLOSED",
    }
)
LEFT = frozenset({"SHIPPED", "TO_COLLECT", "RECEIVED", "CLOSED"})
AT_WORK = frozenset({"WAITING", "RUNNING", "QUEUED", "PENDING"})  # on a stock file; the last two: an SDK's, and other operations'
LONGEST_REFERENCE = 2000  # characters


# ---------------------------------------------------------------- accept


async def accept_order(client: Client, tasks: Sequence[Task[AcceptOrder]]) -> Sequence[Answer]:
    """OR21 takes no idempotency key; what is done already is refused with a 400 in free words, so that only looking tells."""
    [task] = tasks
    command = task.command
    body = translate.decisions(command.accepted, command.refused)
    await client.send(ACCEPT_ORDER, path={"order_id": command.order_id}, json=body, expect="nothing")
    return [_accepted(command)]


async def look_accepted(client: Client, task: Task[AcceptOrder]) -> Done | None:
    command = task.command
    order = await client.order(command.order_id)
    lines = (order.order_lines or ()) if order is not None else ()
    states = {str(line.order_line_id): line.order_line_state for line in lines}
    promised = all(states.get(line) in PROMISED for line in command.accepted)
    refused = all(states.get(line) == "REFUSED" for line in command.refused)
    return _accepted(command) if promised and refused else None


def _accepted(command: AcceptOrder) -> Done:
    event = OrderAccepted(channel=command.channel, order_id=command.order_id, accepted=command.accepted, refused=command.refused)
    return Done((Effect(event, command.order_id),))


# ---------------------------------------------------------------- seller reference


async def set_seller_reference(client: Client, tasks: Sequence[Task[SetSellerReference]]) -> Sequence[Answer]:
    """OR04 answers 200 whatever became of each order: errors stand beside it."""
    names = {task.command.order_id: task.command.reference for task in tasks if _is_reference(task.command.reference)}
    told: dict[str, wire.UpdatedOrder] = {}
    if names:
        reply = await client.send(SET_REFERENCES, json=translate.references(names), expect="json")
        answer = client.read(SET_REFERENCES, reply, wire.UpdatedOrders)
        told = {str(order.order_id): order for order in answer.updated_orders or ()}
    return [_referenced(task.command, told) for task in tasks]


def _is_reference(text: str) -> bool:
    return bool(text.strip()) and len(text) <= LONGEST_REFERENCE


def _referenced(command: SetSellerReference, told: Mapping[str, wire.UpdatedOrder]) -> Answer:
    if not _is_reference(command.reference):
        return Refused(f"a reference has 1 to {LONGEST_REFERENCE} characters", field="order_reference_for_seller")
    if (order := told.get(command.order_id)) is None:
        return Refused("the answer does not name this order")
    for error in order.errors or ():
        return Refused(scrub(": ".join(part for part in (error.code, error.message) if part)) or "no reason given", field=error.field or "")
    event = SellerReferenceSet(channel=command.channel, order_id=command.order_id, reference=command.reference)
    return Done((Effect(event, f"{command.order_id}{SEPARATOR}{command.reference}"),))


# ---------------------------------------------------------------- ship


async def ship_order(client: Client, tasks: Sequence[Task[ShipOrder]]) -> Sequence[Answer]:
    """OR23 changes no state and may be repeated; OR24 ships the whole order, once."""
    [task] = tasks
    command = task.command
    carrier_code = client.carriers.get(command.carrier.strip().casefold())
    if carrier_code is None:
        named = f"the carrier {scrub(command.carrier)!r}" if command.carrier.strip() else "a fulfilment without a carrier"
        return [Refused(f"{named} has no code: add it to the carriers of {command.channel}, with a code from SH21", field="carrier")]
    where, body = {"order_id": command.order_id}, translate.tracking(carrier_code, command.tracking_number)
    await client.send(TRACK_ORDER, path=where, json=body, expect="nothing")
    await client.send(SHIP_ORDER, path=where, expect="nothing")
    return [_shipped(command, carrier_code, command.tracking_number)]


async def look_shipped(client: Client, task: Task[ShipOrder]) -> Done | None:
    order = await client.order(task.command.order_id)
    if order is None or order.order_state not in LEFT:
        return None
    return _shipped(task.command, str(order.shipping_carrier_code or ""), str(order.shipping_tracking or ""))


def _shipped(command: ShipOrder, carrier_code: str, tracking_number: str) -> Done:
    event = OrderShipped(channel=command.channel, order_id=command.order_id, carrier_code=carrier_code, tracking_number=tracking_number)
    return Done((Effect(event, command.order_id),))


# ---------------------------------------------------------------- stock


async def publish_stock(client: Client, tasks: Sequence[Task[PublishStock]]) -> Sequence[Answer]:
    """STO01 touches quantities and nothing else. Taken is not done: `settle_stock_import` follows the file to its end."""
    [task] = tasks
    command, file = task.command, translate.stock_file(task.command.quantities)

    def form() -> aiohttp.FormData:
        data = aiohttp.FormData()
        data.add_field("file", file, filename="stock.csv", content_type="text/csv")
        return data

    reply = await client.send(IMPORT_STOCK, form=form, expect="json")
    import_id = str(client.read(IMPORT_STOCK, reply, wire.ImportAccepted).import_id or "")
    if not import_id:
        raise UnknownOutcomeError("a file was taken without an import_id", target=client.http.target, endpoint=IMPORT_STOCK.code)
    event = StockImportStarted(channel=command.channel, import_id=import_id, quantities=command.quantities)
    return [Done((Effect(event, import_id),))]


async def settle_stock_import(client: Client, tasks: Sequence[Task[SettleStockImport]]) -> Sequence[Answer]:
    """COMPLETE with lines in error is normal: success is per line. A status we do not know is an end, and kept as it is."""
    [task] = tasks
    command, path = task.command, {"import_id": task.command.import_id}
    reply = await client.send(IMPORT_STATUS, path=path, expect="json")
    told = client.read(IMPORT_STATUS, reply, wire.ImportStatus)
    if not told.status:
        raise UnavailableError("an import without a status", target=client.http.target, endpoint=IMPORT_STATUS.code, field="status")
    if told.status in AT_WORK:
        return [NotYet(client.settle_every)]
    if told.status not in ("COMPLETE", "FAILED"):
        client.metrics.schema_unknown_enum.labels("mirakl", "STO02").inc()
    refused = translate.unwritable(command.quantities)  # these were left out of the file
    if told.has_error_report:
        refused |= await _refused_lines(client, path)
    event = StockImportFinished(
        channel=command.channel,
        import_id=command.import_id,
        status=told.status,
        quantities=command.quantities,
        refused=refused,
    )
    return [Done((Effect(event, command.import_id),))]


async def _refused_lines(client: Client, path: Mapping[str, str]) -> dict[Sku, str]:
    report = await client.send(IMPORT_ERRORS, path=path, expect="text")
    try:
        refused = translate.error_report(report.body)
    except translate.UnreadableError as error:
        raise UnavailableError(str(error), target=client.http.target, endpoint=IMPORT_ERRORS.code) from None
    return {sku: scrub(reason) or "no reason given" for sku, reason in refused.items()}


PERFORMS: Mapping[type[Command], Performer[Any]] = {
    AcceptOrder: Performer(accept_order, ACCEPT_ORDER, look=look_accepted),
    SetSellerReference: Performer(set_seller_reference, SET_REFERENCES),
    ShipOrder: Performer(ship_order, SHIP_ORDER, look=look_shipped),
    PublishStock: Performer(publish_stock, IMPORT_STOCK),
    SettleStockImport: Performer(settle_stock_import, IMPORT_STATUS),
}
