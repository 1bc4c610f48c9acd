"""Goods that the marketplace says are coming back, written down in Shopify, so that whoever opens the parcel knows of it."""

from collections.abc import Sequence

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, refused
from adapters.shopify.endpoints import RETURN_CREATE, RETURN_NOTES, RETURN_REASONS, RETURNABLE_LINES, RETURNABLE_REST
from adapters.shopify.inbound.paging import whole
from adapters.shopify.translate.aftercare import mirrored_return, return_note
from adapters.shopify.translate.marks import marketplace_line
from engine.adapter import Answer, Done, Effect, Refused, Task
from engine.errors import RejectedError, UnknownOutcomeError
from schemas.commands import RecordShopReturn
from schemas.events.aftercare import ShopReturnRecorded
from schemas.values import LineId, ShopId

QUIET = 60.0  # seconds; an order's returns are read by its id, not by the search index
REASONS = ("other", "unknown")  # which of Shopify's reasons to give: the marketplace's own code stands in the note


class ReturnRecords:
    """returnCreate takes no key: our note on each line of the return is looked for before every call."""

    def __init__(self) -> None:
        self._reason = ""  # the definition's id, once it is known

    async def look(self, client: Client, task: Task[RecordShopReturn]) -> Done | Refused | None:
        """Whatever became of that return since: it was recorded. One that was canceled is a person's word."""
        command = task.command

        async def page(after: str | None) -> wire.frame.Page[wire.returns.NotedReturn] | None:
            answer = await client.ask(
                RETURN_NOTES, {"id": command.shop_order, "after": after}, wire.orders.OrderNode[wire.returns.ReturnNotes]
            )
            return answer.order.returns if answer.order else None

        first = await page(None)
        if first is None:
            return Refused("there is no such order", "shop_order")
        for goods in (await whole(first, page)).nodes:
            if any(mirrored_return(line.return_reason_note) == command.mirrors for line in goods.return_line_items.nodes):
                return _recorded(task, goods.id)
        return None

    async def perform(self, client: Client, tasks: Sequence[Task[RecordShopReturn]]) -> Sequence[Answer]:
        [task] = tasks
        command = task.command
        there = await _returnable(client, command.shop_order)
        reason, note = await self._definition(client), return_note(command)
        lines = []
        for line_id, units in sorted(command.lines.items()):
            left = units
            for item, quantity in there.get(line_id, ()):
                taken = min(left, quantity)
                if taken:
                    asked = {"fulfillmentLineItemId": item, "quantity": taken, "returnReasonDefinitionId": reason, "returnReasonNote": note}
                    lines.append(asked)
                    left -= taken
            if left:
                return [Refused(f"{units} units of line {line_id} are to come back, and {units - left} have left and can", "return")]
        payload = (
            await client.ask(RETURN_CREATE, {"input": {"orderId": command.shop_order, "returnLineItems": lines}}, wire.returns.ReturnCreate)
        ).return_create
        if payload.user_errors:
            detail, field = refused(payload.user_errors)
            return [Refused(f"{detail} at {field}" if field else detail, "return")]
        if payload.return_ is None:
            raise UnknownOutcomeError("neither a return nor a refusal", target=TARGET, endpoint=RETURN_CREATE.name)
        return [_recorded(task, payload.return_.id)]

    async def _definition(self, client: Client) -> str:
        if not self._reason:
            known = (await client.ask(RETURN_REASONS, {}, wire.returns.ReturnReasons)).return_reason_definitions.nodes
            handles = {one.handle.lower(): one.id for one in known if not one.deleted}
            found = next((handles[handle] for handle in REASONS if handle in handles), None)
            if found is None:
                raise RejectedError("the shop has no return reason `other`", target=TARGET, endpoint=RETURN_REASONS.name, field="return")
            self._reason = found
        return self._reason


async def _returnable(client: Client, order: ShopId) -> dict[LineId, list[tuple[str, int]]]:
    """Marketplace line -> lines of its parcels, with the units that have left and are in no return yet."""

    async def page(after: str | None) -> wire.frame.Page[wire.returns.Returnable]:
        return (await client.ask(RETURNABLE_LINES, {"id": order, "after": after}, wire.returns.Returnables)).returnable_fulfillments

    found: dict[LineId, list[tuple[str, int]]] = {}
    for parcel in (await whole(await page(None), page)).nodes:

        async def lines(after: str | None, parcel: str = parcel.id) -> wire.frame.Page[wire.returns.ReturnableLine] | None:
            rest = (await client.ask(RETURNABLE_REST, {"id": parcel, "after": after}, wire.returns.ReturnableRest)).returnable_fulfillment
            return rest.returnable_fulfillment_line_items if rest else None

        for line in (await whole(parcel.returnable_fulfillment_line_items, lines)).nodes:
            of = marketplace_line(line.fulfillment_line_item.line_item.custom_attributes)
            if of is not None:
                found.setdefault(of, []).append((line.fulfillment_line_item.id, line.quantity))
    return found


def _recorded(task: Task[RecordShopReturn], found: str) -> Done:
    command = task.command
    event = ShopReturnRecorded(channel=command.channel, order_id=command.order_id, mirrors=command.mirrors, return_id=ShopId(found))
    return Done((Effect(event, f"{found}:mirrors"),))
