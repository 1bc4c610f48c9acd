"""Whether a waiting order is taken: the rules look at it line by line, and the first that has something against a line decides."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Literal

from projections.orders import Order
from projections.rules import Channel, OrderRules, hours
from schemas.events.orders import AcceptanceDecided, Assessed, LineVerdict
from schemas.values import Instant, LineId, OrderLine, Sku

LAST_CALL = timedelta(minutes=30)  # before the marketplace may refuse by itself: what is still held then goes by the rule for it
SOUND = "sound"
HOLDING = frozenset({"held", "buyer", "test", "currency", "address", "twins", "price"})  # rules that never refuse by themselves


def accept_by(order: Order, rules: OrderRules) -> Instant | None:
    """When the marketplace may refuse it by itself, as far as anybody told us."""
    return None if order.terms is None else order.terms.placed_at + hours(rules.accept_hours)


def decision(order: Order, channel: Channel) -> AcceptanceDecided | None:
    """What the rules say of it now, with their inputs; None: nothing is to be decided, or Shopify has not been asked yet."""
    if not order.waits_for_acceptance or channel.platform.automatic:
        return None
    lines = tuple(_verdicts(order, channel.rules))
    if len(lines) < len(order.wanted):
        return None
    outcome = _outcome(order, channel.rules, lines)
    return AcceptanceDecided(channel=order.channel, order_id=order.order_id, outcome=outcome, lines=lines)


def short_by(lines: Sequence[OrderLine], assessed: Mapping[LineId, Assessed]) -> Iterator[tuple[OrderLine, int]]:
    """Lines of which there were not so many for the channel, and how many units were missing, as Shopify had it."""
    taken: dict[Sku, int] = {}
    for line in lines:
        seen = assessed.get(line.line_id)
        if seen is not None and seen.available is not None and not seen.oversell:
            missing = min(line.quantity, line.quantity - (seen.available - taken.get(seen.sku, 0)))
            taken[seen.sku] = taken.get(seen.sku, 0) + line.quantity
            if missing > 0:
                yield line, missing


def _outcome(order: Order, rules: OrderRules, lines: tuple[LineVerdict, ...]) -> Literal["accept", "refuse", "partly", "hold"]:
    against = [verdict for verdict in lines if not verdict.take]
    if not against:
        return "accept"
    mixed = len(against) < len(lines)
    if any(verdict.rule in HOLDING or not _refuses(verdict.rule, rules) for verdict in against) or (mixed and not rules.partial):
        return _at_last_call(order, rules)
    return "partly" if mixed else "refuse"


def _at_last_call(order: Order, rules: OrderRules) -> Literal["accept", "refuse", "hold"]:
    """What is held stays so until its time has nearly run out; then people have been warned, and the rule for that decides."""
    by = accept_by(order, rules)
    if rules.at_deadline == "wait" or by is None or order.clock is None or order.clock < by - LAST_CALL:
        return "hold"
    return rules.at_deadline


def _refuses(rule: str, rules: OrderRules) -> bool:
    return rule == "person" or {"stock": rules.short_stock, "sku": rules.unknown_sku}.get(rule) == "refuse"


def _verdicts(order: Order, rules: OrderRules) -> Iterator[LineVerdict]:
    """One for each line; none for a line that Shopify has not been asked about."""
    taken: dict[Sku, int] = {}
    whole = _against_the_order(order, rules)
    for line in order.wanted:
        if whole is not None:
            rule, detail = whole
            yield LineVerdict(line_id=line.line_id, take=rule == "released", rule=rule, detail=detail)
        elif (seen := order.assessed.get(line.line_id)) is not None:
            rule, detail = _against_the_line(line, seen, rules, taken)
            yield LineVerdict(line_id=line.line_id, take=rule == SOUND, rule=rule, detail=detail)


def _against_the_order(order: Order, rules: OrderRules) -> tuple[str, str] | None:
    """The rule that decides all lines alike; None: each goes by its own."""
    terms = order.terms
    assert terms is not None  # it waits for acceptance
    if order.refusal_asked:
        return "person", "refused by a person"
    if order.held:
        return "held", order.held
    if order.cleared:
        return "released", "released by a person"
    if order.flagged:
        return "buyer", f"on the list as {order.flagged}"
    if terms.test and rules.test_orders == "hold":
        return "test", "a test order"
    if rules.currency and terms.currency != rules.currency:
        return "currency", f"{terms.currency}, not {rules.currency}"
    if order.address_given and (why := undeliverable(order, rules)):
        return "address", why
    return None


def undeliverable(order: Order, rules: OrderRules) -> str:
    """Why nothing can be sent there; "": it can."""
    if order.lacks:
        return f"the address lacks {', '.join(order.lacks)}"
    if order.po_box and not rules.po_boxes:
        return "a post office box"
    if rules.countries and order.country_code not in rules.countries:
        return f"no delivery to {order.country_code or 'a country that cannot be told'}"
    return ""


def _against_the_line(line: OrderLine, seen: Assessed, rules: OrderRules, taken: dict[Sku, int]) -> tuple[str, str]:
    """The rule that has something against it, and the numbers; `taken` is what lines before it take of each SKU."""
    if seen.variants == 0:
        return "sku", f"SKU {seen.sku} is unknown in Shopify"
    if seen.variants > 1:
        return "twins", f"SKU {seen.sku} is that of {seen.variants} variants in Shopify"
    there = seen.available - taken.get(seen.sku, 0) if seen.available is not None else None
    if there is not None:
        taken[seen.sku] = taken.get(seen.sku, 0) + line.quantity
        if rules.check_stock and not seen.oversell and there < line.quantity and rules.short_stock != "accept":
            return "stock", f"{line.quantity} of {seen.sku} sold, {max(there, 0)} there"
    if rules.price_tolerance is not None and seen.price is not None and seen.price.currency == line.unit_price.currency:
        least = seen.price.minor * (100 - rules.price_tolerance)
        if line.unit_price.minor * 100 < least:
            return "price", f"{seen.sku} sold at {line.unit_price}, {seen.price} in Shopify"
    return SOUND, f"{line.quantity} of {seen.sku}, {'untracked' if there is None else f'{max(there, 0)} there'}"
