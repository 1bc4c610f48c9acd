"""Calls: no more of them than is published."""

from collections.abc import Iterator

from ops.sandbox.referee.case import Case, Finding


def within_the_ceilings(case: Case) -> Iterator[Finding]:
    """C4: no operation of Mirakl is called more often than its published maximum."""
    for broken in case.state["mirakl"]["violations"]:
        says = f"{broken['calls']} calls within {broken['per']:.0f} s at {broken['at']}"
        yield Finding(rule="C4", subject=broken["operation"], says=says)


RULES = (within_the_ceilings,)
