"""Orders into Shopify: once each, though Shopify offers no key that would make it so."""

from collections.abc import Sequence

from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, refused
from adapters.shopify.endpoints import ID_SET, ORDER_BY_ID, ORDER_TERMS, ORDERS_BY_TAG, Operation
from adapters.shopify.inbound.assessing import shop_sku
from adapters.shopify.inbound.paging import whole
from adapters.shopify.inbound.variants import variants_of
from adapters.shopify.outbound.cancellation import cancel
from adapters.shopify.outbound.holds import hold
from adapters.shopify.shop import Books
from adapters.shopify.translate import creation, marks, stock
from engine.adapter import Answer, Done, Effect, Maps, Refused, Task
from engine.errors import AdapterError, AuthError, ErasedError, RejectedError, UnavailableError, UnknownOutcomeError
from schemas.commands import CreateShopOrder, Lane
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from schemas.events.orders import DeliveryAddress, ShopOrderHeld
from schemas.values import Sku

QUIET = 600.0  # seconds an order may stay invisible after a lost answer; index lags of minutes have been seen
ROUTING_LOOKS = (1.0, 2.0, 4.0)  # seconds before each look for the fulfilment orders of an order that is to wait


class OrderCreation:
    """orderCreate takes no idempotency key. What keeps it to one order: a unique id on each, a look before asking, and time.

    `key` is that of address digests. With `map_methods` a shipping method that nobody has mapped is refused; without, it goes by its label.
    """

    def __init__(self, create: Operation, books: Books, maps: Maps, *, key: bytes, map_methods: bool, relay_email: bool) -> None:
        self._create, self._books, self._maps, self._key = create, books, maps, key
        self._map_methods, self._relay_email = map_methods, relay_email

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
            effects = await self._adopted(client, command, holder)
        except RejectedError as error:
            return Refused(error.detail, error.field)
        for twin in twins:
            effects += await _cancelled(client, command, twin, holder)
        return Done((*effects, *await _held(client, task, holder.id)))

    async def perform(self, client: Client, tasks: Sequence[Task[CreateShopOrder]]) -> Sequence[Answer]:
        [task] = tasks
        return [await self._perform(client, task)]

    async def _perform(self, client: Client, task: Task[CreateShopOrder]) -> Answer:
        command = task.command
        if no := _impossible(command):
            return no
        try:
            address = await task.opened(DeliveryAddress)
        except ErasedError:
            address = None
        if address is None:
            return Refused("no delivery address is known", "address")
        currency = await self._books.currency()
        if command.currency != currency:
            return Refused(f"the order is in {command.currency}, the shop keeps its books in {currency}", "currency")
        method = await self._method(command)
        if method is None:
            return Refused(
                f"shipping method {command.shipping_method} is not mapped", "method", command.shipping_method or command.shipping_label
            )
        variants = await self._variants(client, command)
        if isinstance(variants, Refused):
            return variants
        variables = creation.creation(command, address, variants, method=method, key=self._key, relay_email=self._relay_email)
        payload = (await client.ask(self._create, variables, wire.orders.OrderCreate)).order_create
        if payload.user_errors:
            return await self._refusal(client, task, payload.user_errors)
        if payload.order is None:
            raise self._unknown("neither an order nor a refusal")
        try:
            effects = await self._settled(client, command, payload.order)
        except (AdapterError, ValueError) as error:  # there is an order now, whatever else could not be learnt
            raise self._unknown(f"created, but {error}") from error
        return Done((*effects, *await _held(client, task, payload.order.id)))

    async def _refusal(self, client: Client, task: Task[CreateShopOrder], errors: list[wire.frame.UserError]) -> Answer:
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

    # ------------------------------------------------------------ whose word is whose

    async def _method(self, command: CreateShopOrder) -> str | None:
        """The title of the shipping line; None: it must be mapped, and is not."""
        code = command.shipping_method or command.shipping_label
        mapped = await self._maps.find(command.channel, "method", code) if code else None
        if mapped is None and code and self._map_methods:
            return None
        return mapped or command.shipping_label or command.shipping_method or "Shipping"

    async def _names(self, command: CreateShopOrder) -> dict[Sku, Sku]:
        """What Shopify calls each SKU."""
        skus = dict.fromkeys(Sku(line.sku.strip()) for line in command.lines)
        return {sku: shop_sku(await self._maps.find(command.channel, "sku", sku), sku) for sku in skus}

    async def _variants(self, client: Client, command: CreateShopOrder) -> dict[Sku, wire.stock.Variant] | Refused:
        """The variant of each SKU: the one that is for sale, or else the only one there is. Never a choice between several."""
        names = await self._names(command)
        there = await variants_of(client, dict.fromkeys(names.values()), Lane.CREATE)
        chosen: dict[Sku, wire.stock.Variant] = {}
        for index, line in enumerate(command.lines):
            sku = Sku(line.sku.strip())
            candidates = [variant for variant in there[names[sku]] if stock.for_sale(variant)] or there[names[sku]]
            said = f"SKU {sku}" if names[sku] == sku else f"SKU {sku}, here {names[sku]},"
            if not candidates:
                return Refused(f"{said} unknown in Shopify", f"lines.{index}.sku", sku)
            if len(candidates) > 1:
                return Refused(f"{said} is that of {len(candidates)} variants in Shopify", f"lines.{index}.sku", sku)
            chosen[sku] = candidates[0]
        return chosen

    # ------------------------------------------------------------ making sure

    async def _settled(self, client: Client, command: CreateShopOrder, order: wire.orders.OrderTerms) -> list[Effect]:
        """After orderCreate: this order is the one, or whoever has the id is, and this one is taken back."""
        if order.marketplace_order_id is None or order.marketplace_order_id.value != command.order_id:
            holder = await _holder(client, command)
            if holder is not None and holder.id != order.id:
                return [*await self._adopted(client, command, holder), *await _cancelled(client, command, order, holder)]
            await _give_id(client, command, order.id)
        return await self._told(command, await _whole(client, order.id, order))

    async def _adopted(self, client: Client, command: CreateShopOrder, holder: wire.orders.OrderMarks) -> list[Effect]:
        try:
            return await self._told(command, await _whole(client, holder.id), ours=False)
        except ValueError as error:
            raise RejectedError(f"{holder.name} in Shopify has this order's id, but no readable total", field="total") from error

    async def _told(self, command: CreateShopOrder, terms: wire.orders.OrderTerms, *, ours: bool = True) -> list[Effect]:
        """The order as an event, and beside it what a person must know: another total is for finance.

        RejectedError if an order that was found is another than the one asked for.
        """
        created = Effect(creation.created(command, terms), terms.id, occurred_at=terms.created_at)
        different = creation.difference(command, terms, await self._names(command))
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


def _impossible(command: CreateShopOrder) -> Refused | None:
    """What Shopify cannot be asked for at all."""
    for index, line in enumerate(command.lines):
        if line.quantity < 1:
            return Refused(f"line {line.line_id} has no units", f"lines.{index}.quantity")
    items = creation.items_needed(command.lines)
    if items > creation.MOST_ITEMS:
        return Refused(f"the order needs {items} lines in Shopify, which takes {creation.MOST_ITEMS}", "lines")
    return None


# ---------------------------------------------------------------- looking


async def _holder(client: Client, command: CreateShopOrder) -> wire.orders.OrderMarks | None:
    return (await client.ask(ORDER_BY_ID, {"value": command.order_id}, wire.orders.OrderByIdentifier)).order_by_identifier


async def _without_id(client: Client, command: CreateShopOrder) -> list[wire.orders.OrderMarks]:
    """Live orders that we made for this one, and that did not get its id; the oldest first. The tag may be shared, the attributes not."""
    found = (
        await client.ask(ORDERS_BY_TAG, {"query": creation.search_for_twins(command.order_id)}, wire.orders.Orders[wire.orders.OrderMarks])
    ).orders
    wanted = {(marks.CHANNEL, command.channel), (marks.ORDER, command.order_id)}
    return [
        order
        for order in sorted(found.nodes, key=lambda order: (order.created_at, order.id))
        if order.cancelled_at is None
        and order.marketplace_order_id is None
        and wanted <= {(one.key, one.value) for one in order.custom_attributes}
    ]


async def _whole(client: Client, order: str, begun: wire.orders.OrderTerms | None = None) -> wire.orders.OrderTerms:
    """An order with all its lines, beginning with what was read of it already."""

    async def terms(after: str | None) -> wire.orders.OrderTerms:
        found = (await client.ask(ORDER_TERMS, {"id": order, "after": after}, wire.orders.OrderNode[wire.orders.OrderTerms])).order
        if found is None:
            raise UnavailableError("an order is gone while it is read", target=TARGET, endpoint=ORDER_TERMS.name)
        return found

    async def lines(after: str | None) -> wire.frame.Page[wire.orders.LineItem]:
        return (await terms(after)).line_items

    first = begun or await terms(None)
    return replace(first, line_items=await whole(first.line_items, lines))


# ---------------------------------------------------------------- and then


async def _held(client: Client, task: Task[CreateShopOrder], order: str) -> list[Effect]:
    """Keep the warehouse from an order that is to wait. Where that does not succeed at once, a command of its own goes on with it."""
    command = task.command
    if not command.hold:
        return []
    for seconds in ROUTING_LOOKS:
        await client.clock.sleep(seconds)
        try:
            held = await hold(client, order, command.hold)
        except AdapterError:
            return []
        if held is True:
            event = ShopOrderHeld(channel=command.channel, order_id=command.order_id)
            return [Effect(event, f"{order}:held:{task.command_id}")]
        if isinstance(held, Refused):
            return []
    return []


async def _give_id(client: Client, command: CreateShopOrder, order: str) -> None:
    """Put the marketplace's id on an order that has none. RejectedError where Shopify will not: then another order has it."""
    metafield = {"ownerId": order, "namespace": "$app", "key": "mirakl_order_id", "type": "id", "value": command.order_id}
    payload = (await client.ask(ID_SET, {"metafields": [metafield]}, wire.shop.MetafieldsSet)).metafields_set
    if payload.user_errors:
        detail, field = refused(payload.user_errors)
        raise RejectedError(f"its id could not be given: {detail}", target=TARGET, endpoint=ID_SET.name, field=field)


async def _cancelled(
    client: Client, command: CreateShopOrder, twin: wire.orders.OrderMarks, holder: wire.orders.OrderMarks
) -> list[Effect]:
    """Take back an order that was made twice. What became of that is told either way; it never stands in the way of the other order."""
    trouble = ExceptionOpened(
        key=f"X30:{twin.id}",
        code="X30",
        subject=command.subject,
        summary=f"{twin.name} ({marks.number(twin.id)}) is a second Shopify order for the one of {holder.name}: cancel it",
        owner="OPS",
        severity=1,
    )
    effects = [Effect(trouble, f"{twin.id}:X30")]
    try:
        if await cancel(client, twin.id, f"Made twice: the marketplace order is in {holder.name}") is True:
            closed = ExceptionClosed(key=trouble.key, reason="cancelled, its stock put back", subject=command.subject)
            effects.append(Effect(closed, f"{twin.id}:X30:closed"))
    except AdapterError:
        pass  # the exception stays open for a person
    return effects
