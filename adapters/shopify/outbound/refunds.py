"""What the marketplace refunded or canceled, written down in Shopify. No money moves: it went over the gateway that moves none."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from msgspec.structs import replace

from adapters.shopify import wire
from adapters.shopify.client import TARGET, Client, UnfitError
from adapters.shopify.endpoints import REFUND_BASIS, REFUND_CREATE, REFUND_GET, REFUND_IDS, REFUND_TRANSACTIONS, SHELF_LINES, SHELVES
from adapters.shopify.inbound.paging import whole
from adapters.shopify.translate import marks
from adapters.shopify.translate.aftercare import is_through_us, refund_note
from engine.adapter import Answer, Done, Effect, NotYet, Refused, Task
from engine.errors import UnknownOutcomeError
from schemas.commands import RecordShopRefund
from schemas.events.aftercare import ShopRefundRecorded
from schemas.values import Money, ShopId

KEY_LIVES = timedelta(hours=20)  # Shopify keeps a key for 24 hours from its first use; after that it would do it again
MOST_KEYS = 5  # tries with a new key where Shopify says that the last one is burnt
ROUTING = 5.0  # seconds until the next look for the fulfilment orders of a new order
PATIENCE = timedelta(hours=1)  # within which an order is routed

_BURNT, _BUSY, _OTHER = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "IDEMPOTENCY_CONCURRENT_REQUEST", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"


class RefundRecords:
    """refundCreate remembers its key for a day. Our note on each record outlives that, and is looked for before every call."""

    async def look(self, client: Client, task: Task[RecordShopRefund]) -> Done | Refused | None:
        command = task.command
        named = (await client.ask(REFUND_IDS, {"id": command.shop_order}, wire.orders.OrderNode[wire.refunds.RefundNotes])).order
        if named is None:
            return Refused("there is no such order", "shop_order")
        wanted = refund_note(command)
        found = next((one for one in named.refunds if (one.note or "").partition("\n")[0].strip() == wanted), None)
        if found is None:
            return None
        refund = (await client.ask(REFUND_GET, {"id": found.id}, wire.refunds.RefundNode[wire.refunds.Refund])).refund
        if refund is None:
            raise UnknownOutcomeError("a refund is gone while it is read", target=TARGET, endpoint=REFUND_GET.name)
        return await _told(client, task, refund.id, refund.transactions)

    async def perform(self, client: Client, tasks: Sequence[Task[RecordShopRefund]]) -> Sequence[Answer]:
        [task] = tasks
        return [await self.look(client, task) or await self._perform(client, task)]

    async def _perform(self, client: Client, task: Task[RecordShopRefund]) -> Answer:
        wanted = await _input(client, task)
        if isinstance(wanted, Refused | NotYet):
            return wanted
        for key in _keys(client, task):
            made = await self._ask(client, wanted, key)
            if isinstance(made, Refused):
                return made
            if made is not None:
                return await _told(client, task, made.id, made.transactions)
            if (found := await self.look(client, task)) is not None:  # burnt, but for all we know done
                return found
        raise UnknownOutcomeError("every key is burnt", target=TARGET, endpoint=REFUND_CREATE.name)

    @staticmethod
    async def _ask(client: Client, wanted: dict[str, Any], key: UUID) -> wire.refunds.MadeRefund | Refused | None:
        """None: this key is burnt. Whatever else is said of the key leaves the outcome unknown."""
        try:
            payload = (await client.ask(REFUND_CREATE, {"input": wanted, "key": str(key)}, wire.refunds.RefundCreate)).refund_create
        except UnknownOutcomeError as error:
            if _BURNT in error.detail:
                return None
            raise
        if not payload.user_errors:
            if payload.refund is None:
                raise UnknownOutcomeError("neither a refund nor a refusal", target=TARGET, endpoint=REFUND_CREATE.name)
            return payload.refund
        no = payload.user_errors[0]
        about_key = _about_key(no)
        if about_key == _BURNT:
            return None
        if about_key:
            raise UnknownOutcomeError(about_key, target=TARGET, endpoint=REFUND_CREATE.name)
        return refusal(no)


def refusal(no: wire.refunds.KeyedError) -> Refused:
    """More than is left of a transaction is somebody else's refund; all else has another cause."""
    field = ".".join(no.field or ())
    return Refused(f"{no.code or 'refused'} at {field or 'its whole'}", "refund" if field.startswith("transactions") else field)


def _keys(client: Client, task: Task[RecordShopRefund]) -> Iterator[UUID]:
    """The same for as long as Shopify remembers it, whoever asks; then another. After a burnt key comes the next, in the same order."""
    generation = (client.clock.now() - task.issued_at) // KEY_LIVES
    for burnt in range(MOST_KEYS):
        yield uuid5(task.command_id, f"refund {generation} {burnt}")


def _about_key(error: wire.refunds.KeyedError) -> str:
    """What Shopify says of our key; this payload has no codes, so the words must do. "": it is about something else."""
    said = f"{error.code or ''} {error.message}".upper()
    if "IDEMPOTEN" not in said:
        return ""
    if _BURNT in said or "PREVIOUS ATTEMPT" in said:
        return _BURNT
    return _BUSY if _BUSY in said or "PROGRESS" in said else _OTHER


# ---------------------------------------------------------------- what is to be written down


async def _input(client: Client, task: Task[RecordShopRefund]) -> dict[str, Any] | Refused | NotYet:
    command = task.command
    basis = await _basis(client, command.shop_order)
    if basis is None:
        return Refused("there is no such order", "shop_order")
    sale = next((one for one in basis.transactions if _is_sale(one) and is_through_us(one, command.channel)), None)
    if command.amount.minor and sale is None:
        return Refused("the order has no sale through our gateway from which it could be taken", "refund")
    left = _left(basis, command)
    if command.amount.minor > left.minor:
        return Refused(f"{command.amount} {command.amount.currency} is to go back, and only {left} is left", "refund")
    wanted: dict[str, Any] = {
        "orderId": command.shop_order,
        "note": refund_note(command),
        "notify": False,
        "currency": command.amount.currency,
        "transactions": [],
    }
    if command.lines:
        lines = await _lines(client, task, basis)
        if isinstance(lines, Refused | NotYet):
            return lines
        wanted["refundLineItems"] = lines
    if command.shipping.minor:
        wanted["shipping"] = {"amount": str(command.shipping)}
    if command.amount.minor and sale is not None:
        wanted["transactions"] = [
            {
                "orderId": command.shop_order,
                "kind": "REFUND",
                "gateway": sale.gateway,
                "parentId": sale.id,
                "amount": str(command.amount),
            }
        ]
    return wanted


def _is_sale(transaction: wire.refunds.Transaction) -> bool:
    return transaction.kind in ("SALE", "CAPTURE") and transaction.status == "SUCCESS"


def _left(basis: wire.refunds.RefundBasis, command: RecordShopRefund) -> Money:
    """What was paid through our gateway and is not given back yet."""
    left = Money(0, command.amount.currency)
    for one in basis.transactions:
        if is_through_us(one, command.channel):
            if _is_sale(one):
                left += _amount(one.amount_set)
            elif one.kind == "REFUND" and one.status in _STANDING:
                left -= _amount(one.amount_set)
    return left


_STANDING = frozenset({"SUCCESS", "PENDING", "AWAITING_RESPONSE"})  # of a transaction: it is meant, and has not failed


async def _lines(client: Client, task: Task[RecordShopRefund], basis: wire.refunds.RefundBasis) -> list[dict[str, Any]] | Refused | NotYet:
    """Units as items of the order. Those to be canceled come off the shelf that they were to leave from; what has left is only noted."""
    command = task.command
    shelves = await _shelves(client, command.shop_order) if command.restock == "CANCEL" else {}
    wanted: list[dict[str, Any]] = []
    for line_id, units in sorted(command.lines.items()):
        items = [item for item in basis.line_items.nodes if marks.marketplace_line(item.custom_attributes) == line_id]
        refundable = sum(item.refundable_quantity for item in items)
        if refundable < units:
            return Refused(f"{units} units of line {line_id} are to go back, and {refundable} are left", "refund")
        left = units
        for item in items:
            taken = min(left, item.refundable_quantity)
            left -= taken
            off_shelf = min(taken, item.unfulfilled_quantity) if command.restock == "CANCEL" else 0
            for place, there in shelves.get(item.id, {}).items():
                part = min(off_shelf, there)
                if part:
                    wanted.append(_item(item.id, part, "CANCEL", place))
                    off_shelf, taken = off_shelf - part, taken - part
            if off_shelf and not shelves and client.clock.now() - task.issued_at < PATIENCE:
                return NotYet(ROUTING)  # it has no place yet
            if off_shelf:
                return Refused(f"line {line_id} is in no fulfilment order that could be canceled", "refund")
            if taken:
                wanted.append(_item(item.id, taken, "NO_RESTOCK", None))
    return wanted


def _item(item: str, units: int, restock: str, place: str | None) -> dict[str, Any]:
    return {"lineItemId": item, "quantity": units, "restockType": restock, **({"locationId": place} if place else {})}


async def _basis(client: Client, order: ShopId) -> wire.refunds.RefundBasis | None:
    async def page(after: str | None) -> wire.refunds.RefundBasis | None:
        return (await client.ask(REFUND_BASIS, {"id": order, "after": after}, wire.orders.OrderNode[wire.refunds.RefundBasis])).order

    async def lines(after: str | None) -> wire.frame.Page[wire.refunds.RefundableLine] | None:
        more = await page(after)
        return more.line_items if more else None

    first = await page(None)
    return replace(first, line_items=await whole(first.line_items, lines)) if first else None


async def _shelves(client: Client, order: ShopId) -> Mapping[str, Mapping[str, int]]:
    """Line item -> location -> units that are still to leave from there."""

    async def page(after: str | None) -> wire.frame.Page[wire.refunds.ShelfOrder] | None:
        answer = await client.ask(SHELVES, {"id": order, "after": after}, wire.orders.OrderNode[wire.refunds.Shelves])
        return answer.order.fulfillment_orders if answer.order else None

    found: dict[str, dict[str, int]] = {}
    first = await page(None)
    for parcel in (await whole(first, page)).nodes if first else ():

        async def lines(after: str | None, parcel: str = parcel.id) -> wire.frame.Page[wire.refunds.ShelvedLine] | None:
            answer = await client.ask(SHELF_LINES, {"id": parcel, "after": after}, wire.refunds.ShelfNode)
            return answer.fulfillment_order.line_items if answer.fulfillment_order else None

        place = parcel.assigned_location.location
        for line in (await whole(parcel.line_items, lines)).nodes:
            if place is not None and line.remaining_quantity:
                at = found.setdefault(line.line_item.id, {})
                at[place.id] = at.get(place.id, 0) + line.remaining_quantity
    return found


# ---------------------------------------------------------------- what became of it


async def _told(
    client: Client, task: Task[RecordShopRefund], refund: str, transactions: wire.frame.Page[wire.refunds.Transaction]
) -> Done | Refused:
    """Done, if the record comes to the amount that the buyer got back."""
    command = task.command

    async def more(after: str | None) -> wire.frame.Page[wire.refunds.Transaction] | None:
        answer = await client.ask(
            REFUND_TRANSACTIONS, {"id": refund, "after": after}, wire.refunds.RefundNode[wire.refunds.RefundTransactions]
        )
        return answer.refund.transactions if answer.refund else None

    given = Money(0, command.amount.currency)
    for one in (await whole(transactions, more)).nodes:
        if one.kind == "REFUND" and one.status in _STANDING:
            given += _amount(one.amount_set)
    if given != command.amount:
        said = f"Shopify's record {marks.number(refund)} comes to {given}, not {command.amount} {command.amount.currency}"
        return Refused(said, "refund")
    event = ShopRefundRecorded(channel=command.channel, order_id=command.order_id, mirrors=command.mirrors, refund=ShopId(refund))
    return Done((Effect(event, f"{refund}:mirrors"),))


def _amount(bag: wire.frame.MoneyBag) -> Money:
    try:
        return marks.amount(bag)
    except ValueError:
        raise UnfitError("an amount cannot be read", target=TARGET, field="money") from None
