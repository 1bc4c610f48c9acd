"""The policy of what comes after: commands to either side, and what waits for somebody."""

from collections.abc import Iterator

from engine.projection import Policy
from projections import aftercare_steps as steps
from projections.aftercare import Aftercare
from projections.allocation import everything, share
from projections.kinds import opened
from projections.levels import Levels, Refusal, step_of
from projections.orders import DEAD, GONE
from projections.rules import Channel, Channels
from schemas.events.exceptions import ExceptionOpened
from schemas.values import Instant

_BY_STEP = {
    "cancel_order": "X48",
    "cancel_units": "X48",
    "refund_lines": "X52",
    "answer_return": "X57",
    "record_shop_refund": "X54",
    "record_shop_return": "X57",
}
_BY_FIELD = {"reason": ("X49", "reason"), "refund": ("X53", ""), "known": ("X53", ""), "amount": ("X50", "")}


def policy(channels: Channels) -> Policy[Aftercare]:
    """By the rules of each order's channel."""

    def of(row: Aftercare) -> Channel:
        return channels(row.channel)

    return Levels[Aftercare](
        wants=lambda row: steps.wants(row, of(row)),
        troubles=lambda row: troubles(row, of(row)),
        deadlines=lambda row: steps.deadlines(row, of(row)),
        notes=steps.notes,
    ).decide


def troubles(row: Aftercare, channel: Channel) -> dict[str, ExceptionOpened]:
    """Key -> exception; without those that a person has settled elsewhere."""
    found = (*_of_steps(row, channel), *_of_refunds(row, channel), *_of_returns(row, channel))
    return {trouble.key: trouble for trouble in found if trouble.key not in row.steps.settled}


def _of_steps(row: Aftercare, channel: Channel) -> Iterator[ExceptionOpened]:
    """Steps that were refused and are called for all the same."""
    called_for = {step_of(command) for command in steps.wanted(row, channel)}
    for step, refusal in row.steps.refused.items():
        tag = step.partition(":")[0]
        if step not in called_for:
            continue
        code, kind = _sorted(tag, refusal)
        yield opened(
            code,
            row.stream,
            f"{tag.replace('_', ' ')} of {row.order_id}: {refusal.detail}",
            part=step,
            field=refusal.field,
            waits_for=f"{kind}:{row.channel}:{refusal.word}" if kind and refusal.word else "",
        )


def _sorted(tag: str, refusal: Refusal) -> tuple[str, str]:
    return ("X84", "") if refusal.buried else _BY_FIELD.get(refusal.field, (_BY_STEP.get(tag, "X52"), ""))


def _of_refunds(row: Aftercare, channel: Channel) -> Iterator[ExceptionOpened]:
    if row.terms is None:
        return
    if row.shop_cancelled_at is not None and not row.cancelled_by_us and row.state in GONE and everything(row):
        yield opened("X48", row.stream, f"order {row.order_id} was cancelled in Shopify after it had left")
    matched, parts = steps.matches(row), steps.overlaps(row)
    for refund in steps.to_push(row) if row.state not in DEAD else ():
        seen = refund.seen
        if seen.refund in matched or f"refund_lines:{seen.refund}" in row.under_way:
            continue
        shared = share(row, seen, parts.get(seen.refund, ()))
        if seen.moved_money:
            summary = f"a Shopify refund of order {row.order_id} paid the buyer, whom the marketplace pays"
            yield opened("X53", row.stream, summary, part=seen.refund, at_stake=row.terms.total)
        elif shared.code:
            summary = f"a Shopify refund of order {row.order_id} cannot be told to the marketplace: {shared.why}"
            yield opened(shared.code, row.stream, summary, part=seen.refund, at_stake=seen.other + seen.shipping)
        elif not steps.paid(row) and not channel.rules.partial_cancelation and shared.lines != everything(row):
            summary = f"units of order {row.order_id} were taken off in Shopify; the marketplace takes that after the payment only"
            yield opened("X48", row.stream, summary, part=seen.refund)
    for name, since in steps.stuck(row, channel).items():
        if _reached(row, since):
            gone = row.refunds[name]
            yield opened(
                "X56", row.stream, f"refund {name} of order {row.order_id} is on its way for long", part=name, at_stake=gone.amount
            )


def _of_returns(row: Aftercare, channel: Channel) -> Iterator[ExceptionOpened]:
    for name, back in row.returns.items():
        if back.state == "WAITING_ACCEPTANCE" and "accepted" not in back.answered:
            yield opened("X57", row.stream, f"return {name} of order {row.order_id} waits for our answer", part=name)
        if back.state == "RECEIVED" and row.terms is not None and _unrefunded(row, name):
            yield opened("X57", row.stream, f"return {name} of order {row.order_id} was received, and nothing was refunded", part=name)
    for name, since in steps.overdue(row, channel).items():
        if _reached(row, since):
            yield opened("X58", row.stream, f"the goods of return {name} of order {row.order_id} did not come back", part=name)


def _unrefunded(row: Aftercare, name: str) -> bool:
    lines = {line.line_id for line in row.returns[name].lines}
    return not any(gone.line in lines for gone in row.refunds.values()) and not row.under_way


def _reached(row: Aftercare, moment: Instant) -> bool:
    return row.clock is not None and row.clock >= moment
