"""Orders into Shopify: once each, though Shopify offers no key that would make it so."""

from collections.abc import Sequence

from msgspec.structs import replace

from adapters.shopify import translate, wire
from adapters.shopify.client import TARGET, Client, refused
from adapters.shopify.endpoints import (
    ID_SET,
    JOB,
    ORDER_BY_ID,
    ORDER_CANCEL,
    ORDER_TERMS,
    ORDERS_BY_TAG,
    SHOP_PROBE,
    Operation,
)
from adapters.shopify.inbound import variants_of
from engine.adapter import Answer, Done, Effect, Refused, Task
from engine.errors import AdapterError, AuthError, ErasedError, RejectedError, UnavailableError, UnknownOutcomeError
from schemas.commands import CreateShopOrder, Lane
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.orders import DeliveryAddress
from schemas.values import Sku

QUIET = 600.0  # seconds an order may stay invisible after a lost answer; index lags of minutes have been seen
JOB_LOOKS = (1.0, 2.0, 4.0, 8.0)  # seconds before each look at a cancellation that works in the background


class OrderCreation:
    """orderCreate takes no idempotency key. What keeps it to one order: a unique id on each, a look before asking, and time."""

    def __init__(self, create: Operation, *, relay_email: bool) -> None:
        self._create, self._relay_email = create, relay_email
        self._currency = ""  # of the shop's books; never changes once it has sold something

    async def look(self, client: Client, task: Task[CreateShopOrder]) -> Done | Refused | None:
        """Adopt the order that has this id; refused where that is not the order we were asked for.

        After an earlier call of ours the search is asked too, for orders that came to be without their id.
        """
        command = task.command
        holder = await _holder(client, command)
        twins = await _without_id(client, command) if task.attempt > 1 else []
        if holder is None:
            if not twins:
                return None
            holder = twins.pop(0)  # the oldest
            await _give_id(client, command, holder.id)
        try:
            effects = await _adopted(client, command, holder)
        except RejectedError as error:
            return Refused(error.detail, error.field)
        for twin in twins:
            effects += await _cancelled(client, command, twin, holder)
        return Done(tuple(effects))

    async def perform(self, client: Client, tasks: Sequence[Task[CreateShopOrder]]) -> Sequence[Answer]:
        [task] = tasks
        return [await self._perform(client, task)]

    async def _perform(self, client: Client, task: Task[CreateShopOrder]) -> Answer:
        command = task.command
        try:
            address = await task.opened(DeliveryAddress)
        except ErasedError:
            address = None
        if address is None:
            return Refused("no delivery address is known", "address")
        self._currency = self._currency or (await client.ask(SHOP_PROBE, {}, wire.ShopProbe, lane=Lane.CREATE)).shop.currency_code
        if command.currency != self._currency:
            return Refused(f"the order is in {command.currency}, the shop keeps its books in {self._currency}", "currency")
        variants = await _variants(client, command)
        if isinstance(variants, Refused):
            return variants
        variables = translate.creation(command, address, variants, relay_email=self._relay_email)
        payload = (await client.ask(self._create, variables, wire.OrderCreate)).order_create
        if payload.user_errors:
            return await self._refusal(client, task, payload.user_errors)
        if payload.order is None:
            raise self._unknown("neither an order nor a refusal")
        try:
            return Done(tuple(await _settled(client, command, payload.order)))
        except (AdapterError, ValueError) as error:  # there is an order now, whatever else could not be learnt
            raise self._unknown(f"created, but {error}") from error

    async def _refusal(self, client: Client, task: Task[CreateShopOrder], errors: list[wire.UserError]) -> Answer:
        detail, field = refused(errors)
        if any("metafields" in (error.field or ()) and error.code in ("INVALID", "TAKEN") for error in errors):
            found = await self.look(client, task)
            if found is None:
                raise self._unknown("another order has this id, and cannot be seen yet")
            return found
        if detail == "SHOP_DORMANT":
            raise AuthError(detail, target=TARGET, endpoint=self._create.name)
        return Refused(detail, field)

    def _unknown(self, detail: str) -> UnknownOutcomeError:
        return UnknownOutcomeError(detail, target=TARGET, endpoint=self._create.name)


# ---------------------------------------------------------------- looking


async def _holder(client: Client, command: CreateShopOrder) -> wire.OrderMarks | None:
    return (await client.ask(ORDER_BY_ID, {"value": command.order_id}, wire.OrderByIdentifier)).order_by_identifier


async def _without_id(client: Client, command: CreateShopOrder) -> list[wire.OrderMarks]:
    """Live orders that we made for this one, and that did not get its id; the oldest first. The tag may be shared, the attributes not."""
    found = (await client.ask(ORDERS_BY_TAG, {"query": translate.search_for_twins(command.order_id)}, wire.Orders[wire.OrderMarks])).orders
    wanted = {(translate.CHANNEL, command.channel), (translate.ORDER, command.order_id)}
    return [
        marks
        for marks in sorted(found.nodes, key=lambda marks: (marks.created_at, marks.id))
        if marks.cancelled_at is None
        and marks.marketplace_order_id is None
        and wanted <= {(one.key, one.value) for one in marks.custom_attributes}
    ]


async def _whole(client: Client, order: str, begun: wire.OrderTerms | None = None) -> wire.OrderTerms:
    """An order with all its lines, beginning with what was read of it already."""
    terms = begun
    while terms is None or terms.line_items.page_info.has_next_page:
        after = terms.line_items.page_info.end_cursor if terms else None
        more = (await client.ask(ORDER_TERMS, {"id": order, "after": after}, wire.OrderNode[wire.OrderTerms])).order
        if more is None:
            raise UnavailableError("an order is gone while it is read", target=TARGET, endpoint=ORDER_TERMS.name)
        before = terms.line_items.nodes if terms else []
        terms = replace(more, line_items=replace(more.line_items, nodes=[*before, *more.line_items.nodes]))
    return terms


async def _variants(client: Client, command: CreateShopOrder) -> dict[Sku, str] | Refused:
    """The variant of each SKU: the one that is for sale, or else the only one there is. Never a choice between several."""
    found: dict[Sku, str] = {}
    for index, line in enumerate(command.lines):
        sku = Sku(line.sku.strip())
        if sku in found:
            continue
        there = await variants_of(client, sku, Lane.CREATE) if sku else []
        candidates = [variant for variant in there if translate.for_sale(variant)] or there
        if not candidates:
            return Refused(f"SKU {sku} unknown in Shopify", f"lines.{index}.sku")
        if len(candidates) > 1:
            return Refused(f"SKU {sku} is that of {len(candidates)} variants in Shopify", f"lines.{index}.sku")
        found[sku] = candidates[0].id
    return found


# ---------------------------------------------------------------- making sure


async def _settled(client: Client, command: CreateShopOrder, order: wire.OrderTerms) -> list[Effect]:
    """After orderCreate: this order is the one, or whoever has the id is, and this one is taken back."""
    if order.marketplace_order_id is None or order.marketplace_order_id.value != command.order_id:
        holder = await _holder(client, command)
        if holder is not None and holder.id != order.id:
            return [*await _adopted(client, command, holder), *await _cancelled(client, command, order, holder)]
        await _give_id(client, command, order.id)
    return _told(command, await _whole(client, order.id, order))


async def _adopted(client: Client, command: CreateShopOrder, holder: wire.OrderMarks) -> list[Effect]:
    try:
        return _told(command, await _whole(client, holder.id), ours=False)
    except ValueError as error:
        raise RejectedError(f"{holder.name} in Shopify has this order's id, but no readable total", field="total") from error


def _told(command: CreateShopOrder, terms: wire.OrderTerms, *, ours: bool = True) -> list[Effect]:
    """The order as an event, and beside it what a person must know. Another total is for finance: the buyer's goods do not wait for it.

    RejectedError if an order that was found is another than the one asked for.
    """
    created = Effect(translate.created(command, terms), terms.id, occurred_at=terms.created_at)
    different = translate.difference(command, terms)
    if different is None:
        return [created]
    detail, field = different
    if not ours and field != "total":
        raise RejectedError(f"{terms.name} in Shopify has this order's id, but {detail}", target=TARGET, field=field)
    trouble = ExceptionOpened(
        key=f"X31:{command.subject}",
        code="X31",
        subject=command.subject,
        summary=f"{terms.name} stands in Shopify, but {detail}",
        field=field,
        owner="FIN",
    )
    return [created, Effect(trouble, f"{terms.id}:X31")]


async def _give_id(client: Client, command: CreateShopOrder, order: str) -> None:
    """Put the marketplace's id on an order that has none. RejectedError where Shopify will not: then another order has it."""
    metafield = {"ownerId": order, "namespace": "$app", "key": "mirakl_order_id", "type": "id", "value": command.order_id}
    payload = (await client.ask(ID_SET, {"metafields": [metafield]}, wire.MetafieldsSet)).metafields_set
    if payload.user_errors:
        detail, field = refused(payload.user_errors)
        raise RejectedError(f"its id could not be given: {detail}", target=TARGET, endpoint=ID_SET.name, field=field)


async def _cancelled(client: Client, command: CreateShopOrder, twin: wire.OrderMarks, holder: wire.OrderMarks) -> list[Effect]:
    """Take back an order that was made twice. What became of that is told either way; it never stands in the way of the other order."""
    trouble = ExceptionOpened(
        key=f"X30:{twin.id}",
        code="X30",
        subject=command.subject,
        summary=f"{twin.name} ({translate.number(twin.id)}) is a second Shopify order for the one of {holder.name}: cancel it",
        owner="OPS",
        severity=1,
    )
    effects = [Effect(trouble, f"{twin.id}:X30")]
    try:
        if await _cancel(client, twin, holder):
            effects.append(Effect(ExceptionClosed(key=trouble.key, reason="cancelled, its stock put back"), f"{twin.id}:X30:closed"))
    except AdapterError:
        pass  # the exception stays open for a person
    return effects


async def _cancel(client: Client, twin: wire.OrderMarks, holder: wire.OrderMarks) -> bool:
    note = f"Made twice: the marketplace order is in {holder.name}"
    payload = (await client.ask(ORDER_CANCEL, {"orderId": twin.id, "staffNote": note}, wire.OrderCancel)).order_cancel
    if payload.order_cancel_user_errors or payload.job is None:
        return False
    for seconds in JOB_LOOKS:
        await client.clock.sleep(seconds)
        answer = await client.ask(JOB, {"id": payload.job.id, "orderId": twin.id}, wire.JobAnswer)
        if answer.order is not None and answer.order.cancelled_at is not None:
            return True
        if answer.job is None or answer.job.done:
            return False  # over without a date: it failed
    return False
