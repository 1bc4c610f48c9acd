"""Kinds of exceptions come about in plays, and end as their owners end them; and nothing that must hold is broken by that.

CROSSDOCK_THOROUGH=2 plays every provocation there is; otherwise those that once could not come about.
"""

import pytest

from ops.simulate.provocations import PROVOCATIONS, Provocation
from tests.simulation.tally import provoked
from tests.thorough import THOROUGH

ONCE_IMPOSSIBLE = ("X25", "X26", "X34", "X54", "X61")
# It is judged as soon as the exception is over, and not when all work is.
UNFINISHED = frozenset({"L1", "C2", "F3", "I4", "O1", "R3", "R4", "L5", "L2", "O6"})


@pytest.mark.parametrize(
    "provocation",
    [one for one in PROVOCATIONS.values() if THOROUGH > 1 or set(one.codes) & set(ONCE_IMPOSSIBLE)],
    ids=lambda one: "-".join([*one.codes, one.name]),
)
def test_it_comes_about_and_ends(provocation: Provocation) -> None:
    outcome, found = provoked(provocation)
    assert outcome.broken is None
    assert {f"exception {code}" for code in provocation.codes} <= outcome.seen.keys()
    assert [str(breach) for breach in found if breach.invariant not in UNFINISHED] == []
