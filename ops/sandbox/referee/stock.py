"""Stock: never more on offer than there is, and in the end exactly what there is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.history import KEEP
from ops.sandbox.referee.case import Case, Finding, described, moment

Moves = list[list[Any]]  # moment, quantity, …


def never_more_than_there_is(case: Case) -> Iterator[Finding]:
    """I2: a quantity that an import set was there, less the buffer, at some moment within the staleness before."""
    for sku, offers in case.state["history"]["offers"].items():
        counts = case.state["history"]["counts"].get(sku)
        for at, quantity, why in offers if counts else ():
            kind, _, number = why.partition(" ")
            most = _most(counts, moment(at), case.told.staleness) if kind == "import" and quantity else None
            if most is not None and quantity > max(0, most - case.told.buffer):
                calls = case.effective(number, "mirakl.STO01", "mirakl.OF24", "mirakl.OF01")
                says = f"{quantity} put on offer when {most} were there, of which {case.told.buffer} are kept back"
                yield Finding(rule="I2", subject=sku, says=says, call=described(calls[-1] if calls else None))


def _most(counts: Moves, at: datetime, staleness: float) -> int | None:
    """The most that was there in the time before; None if nobody remembers so far back."""
    since = at - timedelta(seconds=staleness)
    before = [count for count in counts if moment(count[0]) <= since]
    if not before and len(counts) >= KEEP:
        return None
    within = [count for count in counts if since < moment(count[0]) <= at]
    known = [*(before[-1:] or counts[:1]), *within]
    return max(int(count[1]) for count in known)


def exact_in_the_end(case: Case) -> Iterator[Finding]:
    """I4: each SKU that is the same on both sides shows what there is, less the buffer."""
    if not case.told.settled:
        return
    stock = case.state["shopify"]["stock"]
    for sku, offer in case.state["mirakl"]["offers"].items():
        if sku in stock and stock[sku].get("tracked", True):
            there = max(0, stock[sku]["available"] - case.told.buffer)
            if offer["quantity"] != there:
                yield Finding(rule="I4", subject=sku, says=f"{offer['quantity']} on offer, {there} there")


def nothing_but_quantities(case: Case) -> Iterator[Finding]:
    """I5: no stock update touched a price. Where prices were imported, edited by somebody or laid down ahead, nothing can be said."""
    history = case.state["history"]
    if any(change["op"] == "mirakl.PRI01" for call in case.state["calls"] for change in call["changes"]):
        return
    for sku, offer in case.state["mirakl"]["offers"].items():
        first = history["prices"].get(sku, offer["price"])
        by_others = offer["prices"] or any(why.startswith("somebody") for _, _, why in history["offers"].get(sku, ()))
        if offer["price"] != first and not by_others:
            calls = case.effective(sku, "mirakl.OF24", "mirakl.OF01")
            says = f"costs {offer['price']}, and did cost {first}"
            yield Finding(rule="I5", subject=sku, says=says, call=described(calls[-1] if calls else None))


def nothing_sold_that_is_not_there(case: Case) -> Iterator[Finding]:
    """I7: nobody could buy what had been gone for longer than a quantity may stand."""
    for order in case.orders:
        for line in order["lines"]:
            counts = case.state["history"]["counts"].get(line["sku"])
            most = _most(counts, moment(order["created_at"]), case.told.staleness) if counts else None
            if most is not None and line["quantity"] > max(0, most):
                says = f"{line['quantity']} of {line['sku']} were sold when at most {most} had been there for {case.told.staleness:.0f} s"
                yield Finding(rule="I7", subject=order["order_id"], says=says, call=_publication(case, line["sku"], order["created_at"]))


def _publication(case: Case, sku: str, at: str) -> str | None:
    """The call that had put it on offer."""
    imports = [
        why.partition(" ")[2]
        for when, _, why in case.state["history"]["offers"].get(sku, ())
        if why.startswith("import ") and moment(when) <= moment(at)
    ]
    calls = case.effective(imports[-1], "mirakl.STO01") if imports else []
    return described(calls[-1] if calls else None)


RULES = (never_more_than_there_is, exact_in_the_end, nothing_but_quantities, nothing_sold_that_is_not_there)
