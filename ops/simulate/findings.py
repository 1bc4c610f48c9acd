"""Which findings of the referee are held against the connector: not what nobody can judge, nor what a person has been told of."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from ops.sandbox.referee.case import Case, Conventions, Finding, is_over
from projections.exceptions import Trouble

# What one side knew at the moment of a call, and whether somebody was in time: where a second of the machine is the better part of an hour,
# that cannot be asked.
OF_THE_MOMENT, FASTEST = frozenset({"F1", "I2", "I7", "O5"}), 1000.0
# Of these, what is not known to anybody yet may be in a moment: asked in the end only.
OF_THE_END = frozenset({"F1"})
# Judged by how old the counts were that files rested on, which the log alone says.
BY_THE_LOG = frozenset({"I2", "I7"})


class Accidents(Struct, frozen=True):
    """What has befallen engines so far."""

    stopped: bool = False  # one was, as by SIGSTOP, and went on
    clocks_differ: bool = False  # there are two, and one's wall clock is not the other's
    mute: bool = False  # the database left a statement without an answer


NONE = Accidents()

# One side may not have followed the other in the end, which is for a person to settle: as long as such an exception of that order is open.
# A parcel is told when all that is owed has left: it waits, too, for a refund of the rest that a person must lay on lines (X50, X51).
TOLD_BY = {
    "O6": frozenset({"X42", "X44", "X47", "X48", "X84"}),
    "F1": frozenset({"X44"}),  # the parcel was taken back a moment before it was told of
    "F3": frozenset({"X31", "X36", "X37", "X38", "X39", "X42", "X43", "X44", "X50", "X51", "X80", "X84", "X94", "X95"}),
    "R3": frozenset({"X53", "X54", "X84"}),
    "R4": frozenset({"X48", "X49", "X50", "X51", "X52", "X53", "X84"}),
}


def can_be_judged(rule: str, pace: float) -> bool:
    """`pace`: seconds of the world for each of the event loop's."""
    return pace <= FASTEST or rule not in OF_THE_MOMENT


def is_an_accident(finding: Finding, accidents: Accidents) -> bool:
    """Whether no engine could have done otherwise. One that is stopped between being let through by the limiter and calling calls late, and
    so too soon before the next; and when the last call was, an engine tells its successor by its own wall clock."""
    return finding.rule == "C4" and (accidents.stopped or accidents.clocks_differ)


def is_told(finding: Finding, troubles: Iterable[Trouble]) -> bool:
    """Whether one of these exceptions is open, of that order, and of a kind that says so."""
    codes = TOLD_BY.get(finding.rule, frozenset())
    return any(trouble.open and trouble.code in codes and is_about(trouble, finding.subject) for trouble in troubles)


def held_back(truth: Mapping[str, Any], troubles: Iterable[Trouble]) -> set[str]:
    """SKUs of which units are kept for orders that are not in Shopify, and of which a person has been told: so many less are shown."""
    case, known = Case(truth, Conventions(settled=True)), [trouble for trouble in troubles if trouble.open]
    waiting = [order for order in case.orders if order["order_id"] not in case.copies and not is_over(order)]
    told = [order for order in waiting if any(is_about(trouble, order["order_id"]) for trouble in known)]
    return {line["sku"] for order in told for line in order["lines"]}


def is_about(trouble: Trouble, order: str) -> bool:
    return trouble.subject.endswith(f":{order}")
