"""The checks of every invariant on a real day: nothing is broken, and each of them has looked at something."""

from pathlib import Path

import pytest

from ops.sandbox.scenario import read_scenario
from ops.simulate.invariants.evidence import Evidence, gather, witness
from ops.simulate.invariants.table import CHECKED, watch
from tests.conftest import Database
from tests.house import House, house

pytestmark = pytest.mark.anyio

# What a day without accidents gives no occasion to judge.
IDLE = frozenset({"F4", "O6", "R3", "R4", "L2", "X1", "L4"})


async def evidence_of(built: House, posted: object, *, settled: bool) -> Evidence:
    return await gather(
        built.pool,
        built.log,
        settings=built.settings,
        now=built.clock.now(),
        truth=built.sandbox.truth(),
        metrics=[engine.metrics for engine in built.engines],
        posted=posted,
        settled=settled,
        skew=30.0,
    )


async def test_nothing_is_broken_on_a_real_day(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, plan=read_scenario("demo"), seed=4, speed=200.0) as built:
        posted, watched = witness(built.sandbox), watch(built.settings)
        await built.until_settled(patience=180.0)
        assert watched.look(await evidence_of(built, posted, settled=False)) == []
        await built.until_settled(patience=60.0)
        found = watched.quiet(await evidence_of(built, posted, settled=True))
        assert [str(breach) for breach in found] == []
        assert {name for name in CHECKED if not watched.judged[name]} <= IDLE
