"""Giving up what is not shipped yet: OR29 for the whole order, OR30 for units of it."""

from collections.abc import Sequence

from adapters.mirakl import answers
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import CANCEL_ORDER, CANCEL_UNITS
from adapters.mirakl.outbound.money import given, item, judged, lines_of, reason_of, tax_mode
from adapters.mirakl.translate.story import SEPARATOR
from engine.adapter import Answer, Done, Effect, Refused, Task
from engine.errors import UnknownOutcomeError
from schemas.commands import CancelOrder, CancelUnits
from schemas.events.aftercare import MarketOrderCanceled, UnitsGivenUp


async def cancel_order(client: Client, tasks: Sequence[Task[CancelOrder]]) -> Sequence[Answer]:
    """OR29 has no body, and works while nobody has paid."""
    [task] = tasks
    await client.send(CANCEL_ORDER, path={"order_id": task.command.order_id}, expect="nothing")
    return [_canceled(task.command)]


async def look_canceled(client: Client, task: Task[CancelOrder]) -> Done | None:
    order = await client.once(task.command.order_id, task.command_id, lambda order: order.order_state == "CANCELED")
    return None if order is None else _canceled(task.command)


def _canceled(command: CancelOrder) -> Done:
    return Done((Effect(MarketOrderCanceled(channel=command.channel, order_id=command.order_id), command.order_id),))


async def cancel_units(client: Client, tasks: Sequence[Task[CancelUnits]]) -> Sequence[Answer]:
    """OR30, where the operator lets sellers. It does it again whenever it is asked again."""
    [task] = tasks
    command = task.command
    reason = await reason_of(client, command)
    if isinstance(reason, Refused):
        return [reason]
    body = {"order_tax_mode": tax_mode(command), "cancelations": [item(line, reason) for line in command.lines]}
    reply = await client.send(CANCEL_UNITS, json=body, expect="json")
    made = client.read(CANCEL_UNITS, reply, answers.CancelationsMade).cancelations or ()
    ids = [str(each.cancelation_id) for each in made if each.cancelation_id is not None]
    if len(ids) < len(command.lines):
        raise UnknownOutcomeError("fewer cancelations than were asked for", target=client.http.target, endpoint=CANCEL_UNITS.code)
    return [_given_up(command, tuple(ids))]


async def look_given_up(client: Client, task: Task[CancelUnits]) -> Done | Refused | None:
    """Whether it is done, or somebody else canceled on these lines since this was decided."""
    command, currency = task.command, task.command.lines[0].amount.currency
    read = client.order if task.called else client.order_soon
    lines = lines_of(client, await read(command.order_id, task.command_id), command)
    if isinstance(lines, Refused):
        return lines
    shown = {line: given(client, there.cancelations, currency) for line, there in lines.items()}
    found = judged(command, shown, called=task.called)
    return _given_up(command, found) if isinstance(found, tuple) else found


def _given_up(command: CancelUnits, cancelations: tuple[str, ...]) -> Done:
    event = UnitsGivenUp(channel=command.channel, order_id=command.order_id, refund=command.refund, cancelations=cancelations)
    return Done((Effect(event, f"{command.order_id}{SEPARATOR}{command.refund}"),))
