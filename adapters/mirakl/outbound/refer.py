"""Our order's name on theirs: OR04."""

from collections.abc import Mapping, Sequence

from adapters.http import scrub
from adapters.mirakl import answers
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import SET_REFERENCES
from adapters.mirakl.translate.story import SEPARATOR
from engine.adapter import Answer, Done, Effect, Refused, Task
from schemas.commands import SetSellerReference
from schemas.events.orders import SellerReferenceSet

LONGEST_REFERENCE = 2000  # characters


async def set_seller_reference(client: Client, tasks: Sequence[Task[SetSellerReference]]) -> Sequence[Answer]:
    """OR04 answers 200 whatever became of each order: errors stand beside it."""
    names = {task.command.order_id: task.command.reference for task in tasks if _is_reference(task.command.reference)}
    told: dict[str, answers.UpdatedOrder] = {}
    if names:
        orders = [{"order_id": order, "references": {"order_reference_for_seller": name}} for order, name in names.items()]
        reply = await client.send(SET_REFERENCES, json={"orders": orders}, expect="json")
        answer = client.read(SET_REFERENCES, reply, answers.UpdatedOrders)
        told = {str(order.order_id): order for order in answer.updated_orders or ()}
    return [_referenced(task.command, told) for task in tasks]


def _is_reference(text: str) -> bool:
    return bool(text.strip()) and len(text) <= LONGEST_REFERENCE


def _referenced(command: SetSellerReference, told: Mapping[str, answers.UpdatedOrder]) -> Answer:
    if not _is_reference(command.reference):
        return Refused(f"a reference has 1 to {LONGEST_REFERENCE} characters", field="order_reference_for_seller")
    if (order := told.get(command.order_id)) is None:
        return Refused("the answer does not name this order")
    for error in order.errors or ():
        return Refused(scrub(": ".join(part for part in (error.code, error.message) if part)) or "no reason given", field=error.field or "")
    event = SellerReferenceSet(channel=command.channel, order_id=command.order_id, reference=command.reference)
    return Done((Effect(event, f"{command.order_id}{SEPARATOR}{command.reference}"),))
