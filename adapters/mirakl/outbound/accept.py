"""Taking an order's lines or refusing them: OR21."""

import re
from collections.abc import Sequence

from adapters.mirakl import wire
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import ACCEPT_ORDER
from engine.adapter import Answer, Done, Effect, Refused, Task
from engine.errors import RejectedError
from schemas.commands import AcceptOrder
from schemas.events.orders import OrderAccepted

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

# Why OR21 says no, and where to look for the cause. Seller API reference, OR21, 2026-08-13; how a code is wrapped is not published.
FIELDS = {
    "ORDER_PARTIAL_ACCEPTANCE_DISABLED": "partial_acceptance",
    "ORDER_INVALID_STATE": "state",
    "ORDER_FULFILLED_UNAUTHORIZED": "fulfilled_by",
    "ORDER_LINE_ACCEPTANCE_DECISION_MISSING": "lines",
    "ORDER_LINE_DUPLICATE_ID": "lines",
    "ORDER_LINE_NOT_FOUND": "lines",
    "ORDER_LINE_NULL_ELEMENT": "lines",
    "ORDER_NOT_FOUND": "order_id",
}
_CODE = re.compile("|".join(FIELDS))


async def accept_order(client: Client, tasks: Sequence[Task[AcceptOrder]]) -> Sequence[Answer]:
    """OR21 takes no idempotency key; what is done already is refused with a 400, so that only looking tells."""
    [task] = tasks
    command = task.command
    lines = [{"id": line, "accepted": line in command.accepted} for line in (*command.accepted, *command.refused)]  # every one that waits
    try:
        await client.send(ACCEPT_ORDER, path={"order_id": command.order_id}, json={"order_lines": lines}, expect="nothing")
    except RejectedError as error:
        code = _CODE.search(error.detail)
        return [Refused(error.detail, field=FIELDS[code[0]] if code else error.field)]
    return [_accepted(command)]


async def look_accepted(client: Client, task: Task[AcceptOrder]) -> Done | None:
    command = task.command
    return _accepted(command) if await client.once(command.order_id, task.command_id, lambda order: _is_decided(order, command)) else None


def _is_decided(order: wire.Order, command: AcceptOrder) -> bool:
    states = {str(line.order_line_id): line.order_line_state for line in order.order_lines or ()}
    promised = all(states.get(line) in PROMISED for line in command.accepted)
    return promised and all(states.get(line) == "REFUSED" for line in command.refused)


def _accepted(command: AcceptOrder) -> Done:
    event = OrderAccepted(channel=command.channel, order_id=command.order_id, accepted=command.accepted, refused=command.refused)
    return Done((Effect(event, command.order_id),))
