"""Kinds of exceptions come about in plays, and end as their owners end them; and nothing that must hold is broken by that.

CROSSDOCK_THOROUGH=2 plays every provocation there is; otherwise those that once could not come about.
"""

import pytest

from ops.sandbox.plan import Plan, Warehouse
from ops.simulate.invariants.evidence import Breach
from ops.simulate.invariants.watcher import Invariants
from ops.simulate.memory.store import MemoryStore
from ops.simulate.options import Options
from ops.simulate.play import Play, play
from ops.simulate.provocations import PROVOCATIONS, Provocation, Stage, configured, laid_out
from tests.thorough import THOROUGH

ONCE_IMPOSSIBLE = ("X25", "X26", "X34", "X54", "X61")
SHELVES = Plan(skus=6, least_stock=40, most_stock=60, warehouse=Warehouse(pick_seconds=3000.0))
# It is judged as soon as the exception is over, and not when all work is.
UNFINISHED = frozenset({"L1", "C2", "F3", "I4", "O1", "R3", "R4", "L5", "L2", "O6"})


class Course:
    def __init__(self, provocation: Provocation) -> None:
        self.provocation = provocation
        self.found: list[Breach] = []

    async def __call__(self, it: Play) -> None:
        it.settings = configured(it.settings, [self.provocation])
        it.start_engine()
        watcher = Invariants()
        watcher.attend(it)
        await self.provocation.play(Stage(it.sandbox, it.clock, it.settings, it.pool, it.log, it.ids))
        self.found = await watcher.breaches(it)


@pytest.mark.parametrize(
    "provocation",
    [one for one in PROVOCATIONS.values() if THOROUGH > 1 or set(one.codes) & set(ONCE_IMPOSSIBLE)],
    ids=lambda one: "-".join([*one.codes, one.name]),
)
def test_it_comes_about_and_ends(provocation: Provocation) -> None:
    course = Course(provocation)
    outcome = play(1, Options(plan=laid_out(SHELVES, [provocation])), MemoryStore(), (), course)
    assert outcome.broken is None
    assert {f"exception {code}" for code in provocation.codes} <= outcome.seen.keys()
    assert [str(breach) for breach in course.found if breach.invariant not in UNFINISHED] == []
