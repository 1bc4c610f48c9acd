"""What the cancelations, refunds and returns of an order call for at any moment: on the other side, once, and never back."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from projections.aftercare import CANCEL, Aftercare, Gone, Return, ShopRefund
from projections.allocation import by_line, comes_to, everything, left, parted, share, too_much, with_taxes
from projections.levels import step_of
from projections.orders import DEAD, GONE
from projections.rules import Channel, hours
from schemas.commands import AnswerReturn, CancelOrder, CancelUnits, Command, LineRefund, RecordShopRefund, RecordShopReturn, RefundLines
from schemas.events.aftercare import RefundsMatched, ShopRefundSeen
from schemas.values import Instant, LineId, Money, OrderLine, ShopId

OF_THE_CANCELATION = timedelta(minutes=1)
WAITING = "WAITING_REFUND"  # how the states begin in which money is on its way
COMING_BACK = frozenset({"IN_PROGRESS", "ACCEPTED"})
OVER = frozenset({"CLOSED", "CANCELED", "REFUSED", "DECLINED", "NO_RECEPTION"})


def wants(row: Aftercare, channel: Channel) -> dict[str, Command]:
    """Step -> the command for it."""
    return {row.steps.name(step_of(command)): command for command in wanted(row, channel)}


def wanted(row: Aftercare, channel: Channel) -> Iterator[Command]:
    """The commands for all steps that are called for."""
    if row.terms is None or row.shop_order is None or row.state in DEAD:
        return
    matched, parts = matches(row), overlaps(row)
    yield from _cancelled_in_the_shop(row, channel)
    for refund in to_push(row):
        if refund.seen.refund not in matched:
            yield from _push(row, channel, refund, parts)
    if not row.under_way:  # what is new on the marketplace may be our own doing
        paired = {one for twins in (*matched.values(), *parts.values()) for one in twins}
        for name, gone in to_record(row).items():
            if name not in paired:
                yield _record(row, name, gone)
    yield from _returns(row, channel)


# ---------------------------------------------------------------- from Shopify to the marketplace


def to_push(row: Aftercare) -> list[ShopRefund]:
    """Shopify refunds of which the marketplace knows nothing yet; without those that are the cancelation's own."""
    return [refund for _, refund in sorted(row.shop_refunds.items()) if not refund.pushed and not _is_of_the_cancelation(row, refund.seen)]


def _is_of_the_cancelation(row: Aftercare, seen: ShopRefundSeen) -> bool:
    """Whoever cancels an order in Shopify makes a refund by that, at about that moment. A later one says the same again, unless the order
    had left and the cancelation itself gives nothing back.
    """
    if row.shop_cancelled_at is None or seen.created_at < row.shop_cancelled_at - OF_THE_CANCELATION:
        return False
    told = row.cancelled_by_us or row.market_cancelled or row.all_refunded or f"refund_lines:{CANCEL}" in row.under_way
    return told or row.state not in GONE or seen.created_at <= row.shop_cancelled_at + OF_THE_CANCELATION


def paid(row: Aftercare) -> bool:
    """Whether money was taken that can go back: it is given back then, not canceled."""
    workflow = row.terms.payment_workflow if row.terms else ""
    return row.debited or row.state in GONE or (row.state == "SHIPPING" and workflow in ("", "PAY_ON_ACCEPTANCE"))


def _cancelled_in_the_shop(row: Aftercare, channel: Channel) -> Iterator[Command]:
    if row.shop_cancelled_at is None or row.cancelled_by_us or row.state in GONE or row.market_cancelled:
        return
    if not paid(row) and "cancel_order" not in row.steps.refused:
        yield CancelOrder(channel=row.channel, order_id=row.order_id)
        return
    lines = everything(row)
    if lines and not any(step.startswith("refund_lines:") for step in row.under_way.keys() - {f"refund_lines:{CANCEL}"}):
        yield _refund(row, CANCEL, "cancel", lines, {line.line_id: _unpacked(row, line.line_id) for line in lines})


def _push(row: Aftercare, channel: Channel, refund: ShopRefund, parts: Mapping[ShopId, tuple[str, ...]]) -> Iterator[Command]:
    shared = share(row, refund.seen, parts.get(refund.seen.refund, ()))
    if shared.code or refund.seen.moved_money:
        return
    if not shared.lines:
        return
    unshipped = all(unit.restock == "CANCEL" for unit in refund.seen.lines) and bool(refund.seen.lines) and row.state not in GONE
    reason = refund.seen.reason or ("cancel" if unshipped else "refund")
    if paid(row):
        yield _refund(row, refund.seen.refund, reason, shared.lines, _taken_off(refund.seen))
    elif shared.lines == everything(row):
        yield CancelOrder(channel=row.channel, order_id=row.order_id)
    elif channel.rules.partial_cancelation:
        yield CancelUnits(**_money_back(row, refund.seen.refund, reason, shared.lines), known=tuple(sorted(row.cancelations)))


def _refund(row: Aftercare, began: str, reason: str, lines: tuple[LineRefund, ...], staying: Mapping[LineId, int]) -> RefundLines:
    """With the units told apart that will not follow."""
    parts = tuple(part for line in lines for part in parted(line, staying.get(line.line_id, 0)))
    return RefundLines(**_money_back(row, began, reason, parts), known=tuple(sorted(row.refunds)))


def _taken_off(seen: ShopRefundSeen) -> dict[LineId, int]:
    """Units that a Shopify refund takes off the order. All others are packed as if they had not been paid back, or are packed already."""
    units: dict[LineId, int] = {}
    for unit in seen.lines:
        if unit.restock == "CANCEL":
            units[unit.line_id] = units.get(unit.line_id, 0) + unit.quantity
    return units


def _unpacked(row: Aftercare, line: LineId) -> int:
    """Units of a line that were sold and are still in the house, and might leave it."""
    if row.state in GONE or line not in row.sold:
        return 0
    off = sum(gone.quantity for gone in row.cancelations.values() if gone.line == line)
    return row.sold[line].quantity - off - row.staying.get(line, 0) - row.packed.get(line, 0)


def _money_back(row: Aftercare, began: str, reason: str, lines: tuple[LineRefund, ...]) -> dict[str, Any]:
    assert row.terms is not None
    return {
        "channel": row.channel,
        "order_id": row.order_id,
        "refund": began,
        "reason": reason,
        "taxes_included": row.terms.taxes_included,
        "lines": lines,
    }


# ---------------------------------------------------------------- from the marketplace to Shopify


def to_record(row: Aftercare) -> dict[str, Gone]:
    """What the marketplace took back or off by itself, and Shopify does not know. A cancelled Shopify order needs no such record, nor a
    line that was canceled before it came into Shopify.
    """
    if row.shop_cancelled_at is not None or row.cancelled_by_us:
        return {}
    return {
        name: gone
        for name, gone in sorted({**row.cancelations, **row.refunds}.items())
        if not gone.ours and not gone.recorded and not (name in row.cancelations and row.market_cancelled)
        if not _was_never_there(row, gone.line)
    }


def _was_never_there(row: Aftercare, line: LineId) -> bool:
    return row.lines.get(line) in DEAD and bool(row.shop_lines) and line not in row.shop_lines


def _record(row: Aftercare, name: str, gone: Gone) -> RecordShopRefund:
    assert row.shop_order is not None
    units, restock = _goods(row, name, gone)
    return RecordShopRefund(
        channel=row.channel,
        order_id=row.order_id,
        shop_order=row.shop_order,
        mirrors=name,
        lines=units,
        restock=restock,
        amount=worth(row, gone),
        shipping=with_taxes(row, gone.shipping, gone.shipping_taxes),
    )


def _goods(row: Aftercare, name: str, gone: Gone) -> tuple[dict[LineId, int], str]:
    """The units of it in Shopify, and whether they go back on the shelf. While the line is still to be shipped, a refund is money only:
    taking its units off the order would keep them from leaving.
    """
    sold = row.sold.get(gone.line)
    unpacked = (sold.quantity if sold else 0) - row.packed.get(gone.line, 0)
    units = _paid_for(row, sold, name) if name in row.refunds and sold else gone.quantity
    if units <= 0 or (name in row.refunds and row.lines.get(gone.line) == "SHIPPING"):
        return {}, "NO_RESTOCK"
    return {gone.line: units}, "CANCEL" if unpacked >= units else "NO_RESTOCK"


def _paid_for(row: Aftercare, line: OrderLine, name: str) -> int:
    """Units whose price a refund comes to, alone or as the last of its line. What it shows itself is informative: a gesture of goodwill may
    name a unit, and a refund of all that had not left may name none.
    """
    refunds = sorted(
        ((one, gone) for one, gone in row.refunds.items() if gone.line == line.line_id),
        key=lambda each: (not (each[1].ours or each[1].recorded), len(each[0]), each[0]),
    )
    taken = [gone for gone in row.cancelations.values() if gone.line == line.line_id]
    there = line.quantity - sum(gone.quantity for gone in taken)
    for one, gone in refunds:
        taken.append(gone)
        last = gone.amount.minor > 0 and left(line, taken).amount.minor <= 0
        units = gone.quantity if last or gone.ours or gone.amount.minor * line.quantity >= line.price.minor * gone.quantity else 0
        if last and row.lines.get(line.line_id) == "REFUNDED":  # before it left: of what is not packed, nothing will follow
            units = max(units, line.quantity - row.packed.get(line.line_id, 0))
        units = min(units, there)
        if one == name:
            return units
        there -= units
    return 0


def worth(row: Aftercare, gone: Gone) -> Money:
    """What the buyer gets back of it in all."""
    return with_taxes(row, gone.amount, gone.taxes) + with_taxes(row, gone.shipping, gone.shipping_taxes)


# ---------------------------------------------------------------- both at once


def matches(row: Aftercare) -> dict[ShopId, tuple[str, ...]]:
    """Shopify refunds that the marketplace's own people made too, neither told across: by the same sum, of the same line if of any; or by
    the same sums of several lines.
    """
    free = to_record(row) if not row.under_way else {}
    found: dict[ShopId, tuple[str, ...]] = {}
    for refund in to_push(row):
        twin = next((name for name, gone in free.items() if _same(row, refund.seen, gone)), None)
        if twins := (twin,) if twin is not None else _line_by_line(refund.seen, free):
            found[refund.seen.refund] = twins
            free = {name: gone for name, gone in free.items() if name not in twins}
    return found


def _line_by_line(seen: ShopRefundSeen, free: Mapping[str, Gone]) -> tuple[str, ...]:
    """One of these for each line of a Shopify refund, or several that come to the same; none unless all of it is there."""
    asked: dict[LineId, int] = {}
    for unit in seen.lines:
        asked[unit.line_id] = asked.get(unit.line_id, 0) + unit.amount.minor
    twins: list[str] = []
    for line, minor in asked.items():
        names = [name for name, gone in free.items() if gone.line == line]
        one = [name for name in names if free[name].amount.minor == minor][:1]
        if not one and sum(free[name].amount.minor for name in names) != minor:
            return ()
        twins += one or names
    if seen.other.minor or sum(free[name].shipping.minor for name in twins) != seen.shipping.minor:
        return ()
    return tuple(twins)


def overlaps(row: Aftercare) -> dict[ShopId, tuple[str, ...]]:
    """Shopify refunds of which the marketplace's own people made a part: of some lines they give back as much more than is left there as
    others gave back of these. What is left is told.
    """
    found = {refund.seen.refund: refund.within for refund in to_push(row) if refund.within}
    paired = {one for twins in matches(row).values() for one in twins}
    free = {name: gone for name, gone in to_record(row).items() if name not in paired} if not row.under_way else {}
    for refund in to_push(row) if free else ():
        over = too_much(row, refund.seen)
        twins = tuple(name for name, gone in free.items() if not over.keys().isdisjoint(by_line([gone])))
        if refund.seen.refund not in found and twins and over == by_line(free[name] for name in twins):
            found[refund.seen.refund] = twins
            free = {name: gone for name, gone in free.items() if name not in twins}
    return found


def _same(row: Aftercare, seen: ShopRefundSeen, gone: Gone) -> bool:
    if seen.lines and {unit.line_id for unit in seen.lines} != {gone.line}:
        return False
    return comes_to(row, seen) == worth(row, gone)


def notes(was: Aftercare, now: Aftercare) -> Iterator[RefundsMatched]:
    if now.state in DEAD:
        return
    for find, rest in ((matches, False), (overlaps, True)):
        before = find(was)
        for refund, twins in find(now).items():
            if before.get(refund) != twins:
                yield RefundsMatched(channel=now.channel, order_id=now.order_id, refund=refund, refunds=twins, rest=rest)


# ---------------------------------------------------------------- goods that come back


def _returns(row: Aftercare, channel: Channel) -> Iterator[Command]:
    assert row.shop_order is not None
    for name, back in sorted(row.returns.items()):
        if back.recorded is None and back.state in COMING_BACK and row.packed and back.lines:
            yield RecordShopReturn(
                channel=row.channel,
                order_id=row.order_id,
                shop_order=row.shop_order,
                mirrors=name,
                lines=_coming(back),
                reason=next((line.reason for line in back.lines if line.reason), ""),
            )
        if back.recorded is not None and back.state in COMING_BACK and "received" not in back.answered and _is_back(row, name):
            yield AnswerReturn(channel=row.channel, order_id=row.order_id, return_id=name, answer="received")
        if "received" in back.answered and "compliant" not in back.answered and back.state not in OVER:
            yield AnswerReturn(channel=row.channel, order_id=row.order_id, return_id=name, answer="compliant")


def _is_back(row: Aftercare, name: str) -> bool:
    """Every unit of it was put away, or at least looked at."""
    back = row.returns[name]
    record = row.shop_returns.get(back.recorded) if back.recorded else None
    return record is not None and all(record.received.get(line, 0) >= units for line, units in _coming(back).items())


def _coming(back: Return) -> dict[LineId, int]:
    """Units of each line; one may be listed twice, each time with a reason of its own."""
    units: dict[LineId, int] = {}
    for line in back.lines:
        units[line.line_id] = units.get(line.line_id, 0) + line.quantity
    return units


# ---------------------------------------------------------------- when to look again


def deadlines(row: Aftercare, channel: Channel) -> Iterator[Instant]:
    yield from stuck(row, channel).values()
    yield from overdue(row, channel).values()


def stuck(row: Aftercare, channel: Channel) -> dict[str, Instant]:
    """When each refund that is on its way should have arrived."""
    patience = hours(channel.rules.refund_hours)
    return {name: gone.at + patience for name, gone in row.refunds.items() if gone.at is not None and gone.state.startswith(WAITING)}


def overdue(row: Aftercare, channel: Channel) -> dict[str, Instant]:
    """When the goods of each return should be back."""
    patience = timedelta(days=channel.rules.return_days)
    return {name: back.at + patience for name, back in row.returns.items() if back.at is not None and back.state in COMING_BACK}
