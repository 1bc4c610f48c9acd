"""A day's trade, and then all the invariants of it; and that the trace of each order names its causes."""

from pathlib import Path

import pytest

from ops.sandbox.scenario import read_scenario
from ops.simulate.invariants.evidence import Evidence, gather, witness
from ops.simulate.invariants.table import CHECKED, watch
from ops.trace import story
from schemas.values import ChannelId
from tests.conftest import Database
from tests.house import House, house

pytestmark = pytest.mark.anyio

CHANNELS = [ChannelId("asos")]
# What a day without accidents, on which nobody asks to be forgotten, gives no occasion to judge.
IDLE = frozenset({"F4", "O6", "R3", "R4", "L2", "X1", "L4", "P2", "P4"})
LASTING = frozenset({"E1", "E2", "E3", "E9"})  # what holds of a log at any moment, whoever else is at work


async def unexplained(built: House, order: str) -> list[str]:
    """What was asked for an order, of which its own trace does not name the cause; and what came of nothing in it."""
    async with built.pool.acquire() as conn:
        steps = await story(conn, built.log, built.settings.tenant_id, CHANNELS, order)
    assert steps, f"{order} has no trace"
    return [f"{order}, {step.position} {step.what}" for step in steps if step.type.startswith("command_") and step.why is None]


async def test_a_whole_day_breaks_nothing_and_no_id_of_it_leads_nowhere(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, plan=read_scenario("demo"), seed=4, speed=200.0) as built:
        posted, watched = witness(built.sandbox), watch(built.settings)

        async def seen(*, settled: bool) -> Evidence:
            return await gather(
                built.pool,
                built.log,
                settings=built.settings,
                now=built.clock.now(),
                truth=built.sandbox.truth(),
                metrics=[engine.metrics for engine in built.engines],
                posted=posted,
                settled=settled,
                skew=10.0,  # seconds at this speed: what the two of us have looked at differs by as much
            )

        await built.until_on_offer()
        assert [str(breach) for breach in watched.look(await seen(settled=False)) if breach.invariant in LASTING] == []
        await built.until_settled(patience=180.0)
        found = await seen(settled=True)
        assert [str(breach) for breach in watched.quiet(found)] == []
        assert {name for name in CHECKED if not watched.judged[name]} <= IDLE
        for order in found.case.orders:
            assert await unexplained(built, order["order_id"]) == []
