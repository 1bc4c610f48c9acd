"""Two tenants in one database: both come to their end, and whatever one would see of the other is found."""

import pytest
from msgspec.structs import replace

from ops.simulate.command import company, judge_of
from ops.simulate.memory import MemoryStore
from ops.simulate.neighbour import Apart
from ops.simulate.options import Options, swarm
from ops.simulate.play import BrokenError, Play, play
from ops.simulate.trouble import troubled
from tests.simulation.tally import tally

SEED = 3


def options() -> Options:
    return replace(swarm(SEED, (4, 6)), beside=True)


def test_two_tenants_come_to_their_end_and_are_judged_each_by_itself() -> None:
    watcher = judge_of(options())
    outcome = play(SEED, options(), MemoryStore(), [watcher], course=troubled, together=company(options()))
    tally(outcome.seen, watcher.seen)
    assert outcome.broken is None
    assert outcome.seen["judged X3"] == 2 and outcome.seen["tenant beside"] == 1


def test_what_one_would_see_of_the_other_is_found() -> None:
    """As if its own people, and then its own events, were another tenant's."""

    async def looked_at(it: Play) -> None:
        await troubled(it)
        with pytest.raises(BrokenError, match="X3"):
            await Apart(it).settled(it)

    assert play(SEED, replace(options(), beside=False), MemoryStore(), course=looked_at).broken is None
