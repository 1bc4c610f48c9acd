"""Refunds and returns as Shopify records them, and the notes by which our own records are known again."""

import hashlib
import re
from collections.abc import Mapping

import msgspec

from adapters.shopify import wire
from adapters.shopify.translate.creation import fee_source, gateway
from adapters.shopify.translate.marks import amount, fact, marketplace_line
from adapters.shopify.translate.reading import Owner
from engine.adapter import Heard
from schemas.commands import RecordShopRefund, RecordShopReturn
from schemas.events import Event
from schemas.events.aftercare import RefundedUnits, ReturnedUnits, ShopRefundSeen, ShopReturnSeen
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, LineId, Money, ShopId, TenantId

CANCELLATION = "Mirakl: "  # how the staff note of each of our cancellations begins
BY_CANCELLATION = "cancel"  # what a refund mirrors that Shopify made itself while it cancelled an order at our word

_OF_REFUND = re.compile(r"Mirakl (?:refund|cancelation) (.+)")
_OF_RETURN = re.compile(r"Mirakl return (.+?)(?: \(reason .*\))?")


# ---------------------------------------------------------------- our own notes


def refund_note(command: RecordShopRefund) -> str:
    """What came off before it left is a cancelation there, and a refund here all the same."""
    return f"Mirakl {'cancelation' if command.restock == 'CANCEL' else 'refund'} {command.mirrors}"


def return_note(command: RecordShopReturn) -> str:
    return f"Mirakl return {command.mirrors}" + (f" (reason {command.reason})" if command.reason else "")


def mirrored_refund(note: str | None) -> str:
    """The marketplace's id in a note of ours; "" for any other note."""
    return _mirrored(_OF_REFUND, note)


def mirrored_return(note: str | None) -> str:
    return _mirrored(_OF_RETURN, note)


def _mirrored(pattern: re.Pattern[str], note: str | None) -> str:
    """A person may have written below it."""
    found = pattern.fullmatch((note or "").partition("\n")[0].strip())
    return found[1].strip() if found else ""


# ---------------------------------------------------------------- refunds


def refund_seen(
    tenant: TenantId, refund: wire.refunds.Refund, order: wire.returns.OrderAftercare, whose: Owner, returns: Mapping[str, ShopReturnSeen]
) -> Heard:
    """A refund whose lines and transactions are all there. `returns` are those of its order, by id.

    What somebody meant to give back is what the transactions say, whether the money moved or not: through our gateway none does, and
    Shopify books their difference to the lines in ways of its own. So `other` is what they come to beyond lines and shipping, taxes
    included. A line that was added by hand is passed over: the marketplace knows no such line.
    """
    channel, order_id = whose
    nothing = Money(0, order.currency_code)

    def given(net: wire.frame.MoneyBag, tax: wire.frame.MoneyBag) -> Money:
        """What the buyer gets back for it."""
        return amount(net) if order.taxes_included else amount(net) + amount(tax)

    lines: dict[tuple[LineId, str], RefundedUnits] = {}
    explained = nothing
    for line in refund.refund_line_items.nodes:
        explained += given(line.subtotal_set, line.total_tax_set)
        of = marketplace_line(line.line_item.custom_attributes)
        if of is not None:
            before = lines.get((of, line.restock_type), RefundedUnits(line_id=of, quantity=0, amount=nothing, tax=nothing))
            lines[of, line.restock_type] = RefundedUnits(
                line_id=of,
                quantity=before.quantity + line.quantity,
                amount=before.amount + amount(line.subtotal_set),
                tax=before.tax + amount(line.total_tax_set),
                restock=line.restock_type,
            )
    shipping = shipping_tax = nothing
    for part in refund.refund_shipping_lines.nodes:
        if part.shipping_line.source != fee_source(channel):
            explained += given(part.subtotal_amount_set, part.tax_amount_set)
            shipping, shipping_tax = shipping + amount(part.subtotal_amount_set), shipping_tax + amount(part.tax_amount_set)
    back = [one for one in refund.transactions.nodes if one.kind == "REFUND"]
    meant = sum((amount(one.amount_set) for one in back if is_through_us(one, channel) or one.status not in _FAILED), nothing)
    of_return = returns.get(refund.return_.id) if refund.return_ else None
    event = ShopRefundSeen(
        channel=channel,
        order_id=order_id,
        refund=ShopId(refund.id),
        lines=tuple(sorted(lines.values(), key=lambda one: (one.line_id, one.restock))),
        shipping=shipping,
        shipping_tax=shipping_tax,
        other=meant - explained,
        created_at=wire.frame.utc(refund.processed_at),
        mirrors=mirrored_refund(refund.note) or (BY_CANCELLATION if _of_our_cancellation(refund, order) else ""),
        return_id=ShopId(refund.return_.id) if refund.return_ else None,
        reason=next((one.reason for one in of_return.lines if one.reason), "") if of_return else "",
        moved_money=any(one.status == "SUCCESS" and amount(one.amount_set).minor and not is_through_us(one, channel) for one in back),
    )
    return Heard(order_stream(channel, order_id), fact(tenant, event, f"{refund.id}@{_digest(event)}", event.created_at))


_FAILED = frozenset({"FAILURE", "ERROR"})


def is_through_us(transaction: wire.refunds.Transaction, channel: ChannelId) -> bool:
    """Whether it ran over the gateway that moves no money."""
    return (transaction.gateway or "").strip().casefold() == gateway(channel).casefold()


def _of_our_cancellation(refund: wire.refunds.Refund, order: wire.returns.OrderAftercare) -> bool:
    """Some cancellations leave a refund of all lines behind, without a note and without money."""
    staff_note = order.cancellation.staff_note if order.cancellation else None
    return not refund.note and not refund.transactions.nodes and (staff_note or "").startswith(CANCELLATION)


def _digest(event: Event) -> str:
    return hashlib.sha256(msgspec.json.encode(event)).hexdigest()[:16]


# ---------------------------------------------------------------- goods that come back


def return_seen(tenant: TenantId, goods: wire.returns.Return, whose: Owner, read_at: Instant) -> Heard:
    """A return whose lines and dispositions are all there. It is closed and opened again without a date that says so, hence each reading
    is a fact of its own, dropped while it says of this return what the last one said."""
    channel, order_id = whose
    asked: dict[tuple[LineId, str], int] = {}
    notes = []
    for line in goods.return_line_items.nodes:
        notes.append(line.return_reason_note)
        of = marketplace_line(line.fulfillment_line_item.line_item.custom_attributes) if line.fulfillment_line_item else None
        if of is not None:
            reason = line.return_reason_definition.handle if line.return_reason_definition else ""
            asked[of, reason] = asked.get((of, reason), 0) + line.quantity
    received: dict[LineId, int] = {}
    for parcel in goods.reverse_fulfillment_orders.nodes:
        for coming in parcel.line_items.nodes:
            of = marketplace_line(coming.fulfillment_line_item.line_item.custom_attributes) if coming.fulfillment_line_item else None
            units = sum(one.quantity for one in coming.dispositions if one.type != "MISSING")
            if of is not None and units:
                received[of] = received.get(of, 0) + min(units, coming.total_quantity)
    event = ShopReturnSeen(
        channel=channel,
        order_id=order_id,
        return_id=ShopId(goods.id),
        status=goods.status,
        lines=tuple(ReturnedUnits(line_id=of, quantity=units, reason=reason) for (of, reason), units in sorted(asked.items())),
        received=dict(sorted(received.items())),
        mirrors=next((found for note in notes if (found := mirrored_return(note))), ""),
    )
    seen = fact(tenant, event, f"{goods.id}@{read_at.isoformat()}", read_at)
    return Heard(order_stream(channel, order_id), seen, same=lambda last: last == event, part="return_id")
