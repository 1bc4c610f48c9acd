"""Money that goes back to a buyer: once on each side, never more than was paid, and never there and back again.

Refunds of a pair are compared by what they come to: a connector may tell one refund of three lines as three, or three as one. What is taken
off before it was paid is a cancelation on the marketplace and a refund in Shopify; of a whole order, its lines may keep their prices.
"""

from collections.abc import Iterator
from decimal import Decimal

from ops.sandbox.referee.case import NEVER, NOTHING, Case, Finding, Row, amount, came_to, described

OPS = ("mirakl.OR28",)
REFUNDABLE = ("SHIPPED", "RECEIVED", "TO_COLLECT")  # without a question, whatever the platform's switches are


def no_more_than_was_paid(case: Case) -> Iterator[Finding]:
    """R2: of no line more is paid back than it came to."""
    for order in case.orders:
        for line in order["lines"]:
            back = sum((amount(refund["total"]) for refund in line["refunds"]), NOTHING)
            paid = came_to(line) + sum((amount(part["total"]) for part in line["cancelations"]), NOTHING)
            if back > paid:
                calls = case.effective(order["order_id"], *OPS) or case.effective(line["order_line_id"], *OPS)
                says = f"{back} of {paid} {order['currency']} were paid back for line {line['order_line_id']}"
                yield Finding(rule="R2", subject=order["order_id"], says=says, call=described(calls[-1] if calls else None))


def once_and_never_back(case: Case) -> Iterator[Finding]:
    """R1: what Shopify pays back is told once. R3: what the marketplace pays back is noted once, and never told to it. R4: all is told."""
    for order, copy in case.pairs():
        if copy["currency"] != order["currency"]:
            continue
        ours, theirs = _by(order, "refunds", seller=True), _by(order, "refunds", "cancelations", seller=False)
        off, dead = (
            _by(order, "cancelations", seller=True),
            sum((came_to(line) for line in order["lines"] if line["state"] in NEVER), NOTHING),
        )
        staff, app = _shopify(copy, by_app=False), _shopify(copy, by_app=True)
        calls = [call for line in order["lines"] for call in case.effective(line["order_line_id"], *OPS)]
        last = described(calls[-1] if calls else None)
        told, name = f"{ours} told, {staff} paid back in Shopify", order["order_id"]
        if ours > staff:
            echoed = theirs and app and ours - staff == theirs
            yield Finding(rule="R3" if echoed else "R1", subject=name, says=told + (", the rest an echo" if echoed else ""), call=last)
        if app > theirs + dead:
            yield Finding(rule="R3", subject=name, says=f"{theirs} paid back there, {app} noted in Shopify", call=_noted(case, copy))
        if case.told.settled:
            same, finished = _twice(order, copy)
            if ours + off + dead + same + finished < staff:
                sure = any(line["state"] in REFUNDABLE for line in order["lines"])
                yield Finding(rule="R4", subject=name, says=told, level="broken" if sure else "open", call=last)
            elif ours + off + dead + same < staff and any(_on_no_line(refund) for refund in copy["refunds"]):
                yield Finding(rule="R4", subject=name, says=f"{told}, some of it on no line", level="open")
            if app + max(staff - ours - off, NOTHING) < theirs - _never_here(order, copy) and not copy["cancelled_at"]:
                yield Finding(rule="R3", subject=name, says=f"{theirs} paid back there, {app} noted in Shopify", level="open")


def _never_here(order: Row, copy: Row) -> Decimal:
    """What was taken off lines that were over before the order came into Shopify."""
    skus = {line["sku"] for line in copy["lines"]}
    gone = [line for line in order["lines"] if line["state"] in NEVER and line["sku"] not in skus]
    return sum((amount(part["total"]) for line in gone for part in line["cancelations"] if part["origin"] != "seller"), NOTHING)


def _twice(order: Row, copy: Row) -> tuple[Decimal, Decimal]:
    """How much both sides' own people paid back, each on their side: the same sum; and, beside that, what may be the same, for it is of a
    line of whose goods nothing is left. (Its shipping may be left: a buyer who sends goods back has had that.)
    """
    staff = [amount(refund["total"]) for refund in copy["refunds"] if refund["by"] != "app"]
    for told in (amount(part["total"]) for line in order["lines"] for part in line["refunds"] if part["origin"] == "seller"):
        if told in staff:  # it stands there because of that one, and not beside it
            staff.remove(told)
    same = finished = NOTHING
    for line in order["lines"]:
        done = sum((amount(refund["amount"]) for refund in line["refunds"]), NOTHING) >= amount(line["price"])
        for total in (amount(part["total"]) for part in [*line["refunds"], *line["cancelations"]] if part["origin"] != "seller"):
            if total in staff:
                staff.remove(total)
                same += total
            elif done:
                finished += total
    return same, finished


def _on_no_line(refund: Row) -> bool:
    """Money that Shopify's people gave back for nothing that they named."""
    return refund["by"] != "app" and not refund["lines"] and amount(refund["total"]) > amount(refund["shipping"])


def _by(order: Row, *kinds: str, seller: bool) -> Decimal:
    parts = (part for line in order["lines"] for kind in kinds for part in line[kind])
    return sum((amount(part["total"]) for part in parts if (part["origin"] == "seller") == seller), NOTHING)


def _shopify(copy: Row, *, by_app: bool) -> Decimal:
    return sum((amount(refund["total"]) for refund in copy["refunds"] if (refund["by"] == "app") == by_app), NOTHING)


def _noted(case: Case, copy: Row) -> str | None:
    calls = case.effective(copy["id"], "shopify.refundCreate")
    return described(calls[-1] if calls else None)


RULES = (no_more_than_was_paid, once_and_never_back)
