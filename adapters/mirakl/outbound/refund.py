"""Money back to the buyer: OR28, which does it again whenever it is asked again."""

from collections.abc import Sequence

from adapters.mirakl import answers, wire
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import REFUND_LINES
from adapters.mirakl.outbound.money import given, item, judged, lines_of, reason_of, takes_the_rest, tax_mode
from adapters.mirakl.translate.story import SEPARATOR
from engine.adapter import Answer, Done, Effect, Refused, Task
from engine.errors import UnknownOutcomeError
from schemas.commands import RefundLines
from schemas.events.aftercare import RefundPushed


async def refund_lines(client: Client, tasks: Sequence[Task[RefundLines]]) -> Sequence[Answer]:
    """All lines in one call. Tax mode and currency are always said: what they default to is the platform's affair."""
    [task] = tasks
    command = task.command
    reason = await reason_of(client, command)
    if isinstance(reason, Refused):
        return [reason]
    allowed = client.platform.refund_reasons if client.platform is not None else ()
    if allowed and reason not in allowed:
        return [Refused(f"{reason} is no reason that {command.channel} takes from a seller: it knows {', '.join(allowed)}", field="reason")]
    refunds = [item(line, reason) | ({"excluded_from_shipment": True} if line.not_to_ship else {}) for line in command.lines]
    body = {"order_tax_mode": tax_mode(command), "refunds": refunds}
    reply = await client.send(REFUND_LINES, json=body, expect="json")
    made = client.read(REFUND_LINES, reply, answers.RefundsMade).refunds or ()
    ids = [str(each.refund_id) for each in made if each.refund_id is not None]
    if len(ids) < len(command.lines):
        raise UnknownOutcomeError("fewer refunds than were asked for", target=client.http.target, endpoint=REFUND_LINES.code)
    return [_pushed(command, tuple(ids))]


async def look_refunded(client: Client, task: Task[RefundLines]) -> Done | Refused | None:
    """Whether it is done, or somebody else refunded these lines since this was decided.

    A first call that gives back all that is left of its lines does not wait for OR11, which answers once a minute: it cannot be done twice.
    """
    command, currency = task.command, task.command.lines[0].amount.currency

    def refunds(order: wire.Order | None) -> tuple[Done | Refused | None, bool]:
        """The verdict, and whether nothing fresher is needed."""
        lines = lines_of(client, order, command)
        if isinstance(lines, Refused):
            return lines, False
        shown = {line: given(client, there.refunds, currency) for line, there in lines.items()}
        found = judged(command, shown, called=task.called)
        if isinstance(found, tuple):
            return _pushed(command, found), True
        return found, found is not None or takes_the_rest(command, lines, shown)

    if not task.called and (seen := client.seen(command.order_id)) is not None:
        verdict, enough = refunds(seen)
        if enough:
            return verdict
    read = client.order if task.called else client.order_soon
    return refunds(await read(command.order_id, task.command_id))[0]


def _pushed(command: RefundLines, refunds: tuple[str, ...]) -> Done:
    event = RefundPushed(
        channel=command.channel,
        order_id=command.order_id,
        refund=command.refund,
        refunds=refunds,
        not_to_ship={line.line_id: line.quantity for line in command.lines if line.not_to_ship},
        leaving={line.line_id: line.quantity for line in command.lines if line.quantity and not line.not_to_ship},
    )
    return Done((Effect(event, f"{command.order_id}{SEPARATOR}{command.refund}"),))
