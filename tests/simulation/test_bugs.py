"""The checks of the checks: a bug is planted for each invariant, and its own check finds it, within fifty seeds.

Each is planted alone. CROSSDOCK_THOROUGH=2 plays without them, too; those that are in the database are played on a Postgres.
"""

import pytest

from ops.simulate.invariants.table import CHECKED, INVARIANTS
from ops.simulate.memory.store import MemoryStore
from ops.simulate.store import PostgresStore
from tests.simulation.bugs import BUGS, Bug
from tests.simulation.planting import breaches_of, first_seed
from tests.thorough import THOROUGH

SEEDS = range(1, 51)
# It is judged before its end, and some scenes leave a system in trouble.
UNFINISHED = frozenset({"L1", "L5", "C2", "F3", "I4", "O1", "O5", "R3", "R4"})
# No connector can break these; or it takes a machine's accidents, and then it is seen elsewhere.
NOT_PLANTED = {
    "C5": "tests/integration/test_lease.py and test_processes.py: two engines, one of them frozen",
}


def named(bug: Bug) -> str:
    return f"{bug.invariant}-{bug.name}"


def test_every_invariant_that_is_checked_has_a_bug_that_breaks_it() -> None:
    assert CHECKED - {bug.invariant for bug in BUGS} == NOT_PLANTED.keys()
    assert {bug.invariant for bug in BUGS} <= {one.id for one in INVARIANTS}
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bug", [bug for bug in BUGS if not bug.postgres], ids=named)
def test_a_planted_bug_is_found_by_its_own_invariant(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    found = first_seed(bug, SEEDS, MemoryStore())
    assert found is not None, f"{bug.invariant} holds in {len(SEEDS)} plays, and should not"


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.postgres], ids=named)
def test_a_bug_that_is_in_the_database_is_found_too(bug: Bug, monkeypatch: pytest.MonkeyPatch, play_store: PostgresStore) -> None:
    bug.plant(monkeypatch)
    assert first_seed(bug, SEEDS, play_store) is not None


@pytest.mark.skipif(THOROUGH == 1, reason="as many plays again")
@pytest.mark.parametrize("bug", [bug for bug in BUGS if not bug.tamper and not bug.sql], ids=named)
def test_without_the_bug_nothing_is_broken(bug: Bug) -> None:
    assert [str(breach) for breach in breaches_of(bug, 1, MemoryStore()) if breach.invariant not in UNFINISHED] == []
