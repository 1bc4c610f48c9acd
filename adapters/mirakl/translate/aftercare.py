"""What was taken off or given back: cancelations, refunds and returns into facts."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Raw

from adapters.mirakl import wire
from adapters.mirakl.translate.lines import fees_of, taxes_of
from adapters.mirakl.translate.story import Place, Story, fingerprint, unreadable
from adapters.mirakl.translate.values import UnreadableError, amount, fine, instant, maybe_instant, name, optional_instant, text, units
from engine.adapter import Heard
from schemas.events.aftercare import RefundSeen, ReturnedUnits, ReturnSeen, UnitsCanceled
from schemas.values import Instant, LineId, OrderLine

HALF = Decimal("0.5")  # of a minor unit: by so much an amount may be rounded, where the price of a unit is finer


def cancelations(line: wire.OrderLine, ours: OrderLine, story: Story, at: str, updated_at: Instant) -> Iterator[Heard]:
    """Each once; one that came to say something else, again."""
    unit_price = fine(line.price_unit, f"{at}.price_unit", ours.price.currency)
    for number, each in enumerate(line.cancelations or ()):
        where, currency = f"{at}.cancelations[{number}]", ours.price.currency
        event = UnitsCanceled(
            channel=story.channel,
            order_id=story.order_id,
            line_id=ours.line_id,
            sku=ours.sku,
            cancelation=name(each.id, f"{where}.id"),
            amount=amount(each.amount, f"{where}.amount", currency, missing=0),
            shipping_amount=amount(each.shipping_amount, f"{where}.shipping_amount", currency, missing=0),
            quantity=_canceled_units(each, where, currency, unit_price),
            taxes=taxes_of(each.taxes or (), f"{where}.taxes", currency),
            shipping_taxes=taxes_of(each.shipping_taxes or (), f"{where}.shipping_taxes", currency),
            fees=fees_of(each.fees or (), f"{where}.fees", currency),
            reason=text(each.reason_code),
            at=optional_instant(each.created_date, f"{where}.created_date", story.odd),
        )
        when = event.at or updated_at
        otherwise = story.fact(event, when, ours.line_id, event.cancelation, fingerprint(event))
        yield story.heard(event, when, ours.line_id, event.cancelation, otherwise=otherwise)


def _canceled_units(each: wire.Cancelation, where: str, currency: str, unit_price: Decimal) -> int:
    """Where a cancelation of money does not say how many units went, the amount tells: the line could not have been read otherwise."""
    said = units(each.quantity, f"{where}.quantity", missing=0)
    canceled = amount(each.amount, f"{where}.amount", currency, missing=0).minor
    return said or (int((canceled + HALF) / unit_price) if unit_price else 0)


def refunds(line: wire.OrderLine, ours: OrderLine, story: Story, at: str, updated_at: Instant) -> Iterator[Heard]:
    """Each once in each of its states; one that cannot be read is an exception by itself, as long as it has a name."""
    for number, each in enumerate(line.refunds or ()):
        where = f"{at}.refunds[{number}]"
        refund = name(each.id, f"{where}.id")
        try:
            event = _refund(each, refund, where, ours, story)
        except UnreadableError as error:
            yield story.passed_over("refund", refund, msgspec.json.encode(each), error, updated_at)
        else:
            yield story.heard(event, updated_at, ours.line_id, refund, fingerprint(event))


def _refund(each: wire.Refund, refund: str, where: str, ours: OrderLine, story: Story) -> RefundSeen:
    """Its quantity is informative only; amounts tell."""
    currency = ours.price.currency
    return RefundSeen(
        channel=story.channel,
        order_id=story.order_id,
        line_id=ours.line_id,
        sku=ours.sku,
        refund=refund,
        amount=amount(each.amount, f"{where}.amount", currency, missing=0),
        shipping_amount=amount(each.shipping_amount, f"{where}.shipping_amount", currency, missing=0),
        quantity=units(each.quantity, f"{where}.quantity", missing=0),
        taxes=taxes_of(each.taxes or (), f"{where}.taxes", currency),
        shipping_taxes=taxes_of(each.shipping_taxes or (), f"{where}.shipping_taxes", currency),
        fees=fees_of(each.fees or (), f"{where}.fees", currency),
        reason=text(each.reason_code),
        state=text(each.refund_state) or text(each.state),
        at=optional_instant(each.created_date, f"{where}.created_date", story.odd),
    )


def hear_return(raw: bytes | Raw, place: Place, seen_at: Instant) -> list[Heard]:
    """What a return of RT11 says; one that cannot be read is an exception, with the payload sealed beside it."""
    try:
        return [_return(wire.read(raw, wire.Return), place, seen_at)]
    except msgspec.DecodeError as error:
        return [unreadable(raw, place, seen_at, UnreadableError(wire.where(error) or "return", "is of an unexpected type"), "return")]
    except UnreadableError as error:
        return [unreadable(raw, place, seen_at, error, "return")]


def _return(theirs: wire.Return, place: Place, seen_at: Instant) -> Heard:
    story = Story(place, name(theirs.order_id, "order_id"), [])
    created_at = maybe_instant(theirs.date_created, "date_created")
    lines = tuple(
        ReturnedUnits(
            line_id=LineId(name(line.order_line_id, f"return_lines[{number}].order_line_id")),
            quantity=units(line.quantity, f"return_lines[{number}].quantity"),
            reason=text(line.reason_code) or text(theirs.reason_code),
        )
        for number, line in enumerate(theirs.return_lines or ())
    )
    if not lines:
        raise UnreadableError("return_lines", "is empty")
    event = ReturnSeen(
        channel=place.channel,
        order_id=story.order_id,
        return_id=name(theirs.id, "id"),
        state=name(theirs.state, "state"),
        lines=lines,
        rma=text(theirs.rma),
        tracking_number=text(theirs.tracking.tracking_number) if theirs.tracking else "",
        at=created_at,
    )
    at = instant(theirs.last_updated, "last_updated", missing=created_at or seen_at)
    return story.version(event, at, event.return_id, part="return_id")
