"""An order of OR11 into facts: what was sold, and all that has become of it since."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw

from adapters.mirakl import wire
from adapters.mirakl.translate.addresses import address
from adapters.mirakl.translate.aftercare import cancelations, refunds
from adapters.mirakl.translate.buyers import flags
from adapters.mirakl.translate.lines import line_of
from adapters.mirakl.translate.story import Place, Story, fingerprint, unreadable
from adapters.mirakl.translate.values import (
    LARGEST,
    UnreadableError,
    amount,
    currency,
    instant,
    maybe_instant,
    name,
    optional_instant,
    text,
)
from engine.adapter import Heard
from schemas.events.orders import (
    LineStateChanged,
    OrderDebited,
    OrderPlaced,
    OrderSignalled,
    OrderStateChanged,
    OrderTermsChanged,
    TrackingShown,
)
from schemas.values import Instant, Money, OrderLine


def hear(raw: bytes | Raw, place: Place, seen_at: Instant, odd: list[str] | None = None) -> list[Heard]:
    """What an order says. One that cannot be read is an exception, with the payload sealed beside it.

    Fields that cannot be read and are not needed are passed over, and join `odd`.
    """
    try:
        return list(_facts(wire.read(raw, wire.Order), place, [] if odd is None else odd))
    except msgspec.DecodeError as error:
        return [unreadable(raw, place, seen_at, UnreadableError(wire.where(error) or "order", "is of an unexpected type"))]
    except UnreadableError as error:
        return [unreadable(raw, place, seen_at, error)]


def _facts(order: wire.Order, place: Place, odd: list[str]) -> Iterator[Heard]:
    story = Story(place, name(order.order_id, "order_id"), odd)
    placed = _placed(order, story)
    at = instant(order.last_updated_date, "last_updated_date", missing=placed.placed_at)
    yield from _terms(placed, story, at)
    yield from flags(order, story, placed.placed_at)
    for number, (line, ours) in enumerate(zip(order.order_lines or (), placed.lines, strict=True)):
        yield _line_state(line, ours, story, f"order_lines[{number}]", at)
        yield from cancelations(line, ours, story, f"order_lines[{number}]", at)
        yield from refunds(line, ours, story, f"order_lines[{number}]", at)
    yield from address(order, story, at)
    yield from _marks(order, story, at)
    # The order's own state comes last: what a policy does because of it, it does knowing all the rest.
    state, reason = name(order.order_state, "order_state"), text(order.order_state_reason_code) or None
    yield story.moved(OrderStateChanged(channel=place.channel, order_id=story.order_id, state=state, reason=reason), at)


def _terms(placed: OrderPlaced, story: Story, at: Instant) -> Iterator[Heard]:
    """The order once; its terms again whenever they are others than those told last."""
    terms = OrderTermsChanged(channel=placed.channel, order_id=placed.order_id, terms=placed)
    changed = story.fact(terms, at, fingerprint(terms), at.isoformat())
    yield story.heard(placed, placed.placed_at, same=lambda _: True, otherwise=changed)
    yield Heard(
        story.stream,
        changed,
        same=lambda last: (last.terms if isinstance(last, OrderTermsChanged) else last) == placed,
        beside=OrderPlaced,
    )


def _line_state(line: wire.OrderLine, ours: OrderLine, story: Story, where: str, at: Instant) -> Heard:
    moved = LineStateChanged(
        channel=story.channel,
        order_id=story.order_id,
        line_id=ours.line_id,
        sku=ours.sku,
        state=name(line.order_line_state, f"{where}.order_line_state"),
        reason=text(line.order_line_state_reason_code) or None,
    )
    return story.version(moved, instant(line.last_updated_date, f"{where}.last_updated_date", missing=at), ours.line_id, part="line_id")


def _marks(order: wire.Order, story: Story, at: Instant) -> Iterator[Heard]:
    """What stands on the order itself: paid, trouble, tracking."""
    channel, order_id = story.channel, story.order_id
    if order.customer_debited_date:
        debited_at = instant(order.customer_debited_date, "customer_debited_date")
        yield story.heard(OrderDebited(channel=channel, order_id=order_id, at=debited_at), debited_at, same=lambda _: True)
    signalled = OrderSignalled(
        channel=channel,
        order_id=order_id,
        incident=bool(order.has_incident),
        message=bool(order.has_customer_message),
        can_cancel=bool(order.can_cancel),
        can_ship=bool(order.can_shop_ship),
    )
    yield story.moved(signalled, at)
    tracking = TrackingShown(
        channel=channel,
        order_id=order_id,
        carrier_code=text(order.shipping_carrier_code),
        carrier=text(order.shipping_company),
        tracking_number=text(order.shipping_tracking),
        tracking_url=text(order.shipping_tracking_url),
    )
    if tracking.carrier_code or tracking.carrier or tracking.tracking_number or tracking.tracking_url:
        yield story.version(tracking, at)


# ---------------------------------------------------------------- what was sold


def _placed(order: wire.Order, story: Story) -> OrderPlaced:
    place, code = story.place, currency(order.currency_iso_code)
    lines = tuple(line_of(line, f"order_lines[{number}]", code, story.odd) for number, line in enumerate(order.order_lines or ()))
    if not lines:
        raise UnreadableError("order_lines", "is empty")
    ids = [line.line_id for line in lines]
    for number, line_id in enumerate(ids):
        if line_id in ids[:number]:
            raise UnreadableError(f"order_lines[{number}].order_line_id", "is there twice")
    taxes = [tax.amount.minor for line in lines for tax in (*line.taxes, *line.shipping_taxes)]
    included = _taxes_included(order.order_tax_mode or place.tax_mode, taxed=any(taxes))
    total = sum(_with_fees(line) for line in lines) + (0 if included else sum(taxes))
    if total > LARGEST:
        raise UnreadableError("order_lines", "add up to more than any order")
    return OrderPlaced(
        channel=place.channel,
        order_id=story.order_id,
        commercial_id=name(order.commercial_id, "commercial_id"),
        placed_at=instant(order.created_date, "created_date"),
        currency=code,
        taxes_included=included,
        lines=lines,
        total=Money(total, code),
        shipping_method=text(order.shipping_type_code),
        shipping_label=text(order.shipping_type_label),
        test=_is_test(order, place.test_field),
        ship_by=maybe_instant(order.shipping_deadline, "shipping_deadline"),
        deliver_by=optional_instant(order.delivery_date.latest, "delivery_date.latest", story.odd) if order.delivery_date else None,
        stated_total=_stated_total(order, code, beside=0 if included else sum(taxes)),
        storefront=text(order.channel.code) if order.channel else "",
        fulfilled_by=text(order.fulfillment.center.code) if order.fulfillment and order.fulfillment.center else "",
        payment_workflow=text(order.payment_workflow),
    )


def _is_test(order: wire.Order, field: str) -> bool:
    """An operator's additional field may say so; a boolean comes as such or as text."""
    said = [bytes(each.value) for each in order.order_additional_fields or () if field and str(each.code) == field]
    return any(value in (b"true", b'"true"') for value in said)


def _with_fees(line: OrderLine) -> int:
    return line.price.minor + line.shipping_price.minor + sum(fee.amount.minor for fee in line.fees)


def _stated_total(order: wire.Order, code: str, *, beside: int) -> Money | None:
    """`total_price` as it was before anything was canceled, and the taxes that it leaves out; None where it is not said."""
    shown = amount(order.total_price, "total_price", code, missing=-1)
    if shown.minor < 0:
        return None
    return Money(shown.minor + sum(_canceled(order.order_lines or (), code)) + beside, code)


def _canceled(lines: Iterable[wire.OrderLine], code: str) -> Iterator[int]:
    for line in lines:
        for each in line.cancelations or ():
            parts = (each.amount, each.shipping_amount, *(fee.amount for fee in each.fees or ()))
            yield sum(amount(part, "cancelations", code, missing=0).minor for part in parts)


def _taxes_included(mode: str, *, taxed: bool) -> bool:
    """Without taxes both modes say the same; with them, the mode must be known."""
    if mode in ("TAX_INCLUDED", "TAX_EXCLUDED"):
        return mode == "TAX_INCLUDED"
    if mode or taxed:
        raise UnreadableError("order_tax_mode", "is of an unknown kind" if mode else "is missing")
    return True
