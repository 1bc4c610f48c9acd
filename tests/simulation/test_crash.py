"""The engine killed before and after the messages of six flows, on a real Postgres: nothing twice, nothing lost.

CROSSDOCK_THOROUGH=2 goes through every message of each flow, which is some 600 points and more and takes ten minutes and more;
without it every so-manyth.
"""

import sys

import pytest

from ops.sandbox.chance import whole
from ops.simulate.crash import FLOWS, WORLD, Life, NothingTwice, changes
from ops.simulate.play import play
from ops.simulate.store import PostgresStore
from tests.thorough import THOROUGH

STRIDES = {"ingest": 9, "accept": 9, "create and ship": 31, "stock import": 11, "refund": 11, "return": 11}
POINTS = 8  # of each flow, where not all


@pytest.mark.parametrize("flow", FLOWS)
def test_the_next_engine_makes_it_good(flow: str, play_store: PostgresStore, capsys: pytest.CaptureFixture[str]) -> None:
    life = Life(flow) if THOROUGH > 1 else Life(flow, most=POINTS, stride=STRIDES[flow])
    outcome = play(7, WORLD, play_store, [NothingTwice()], course=life)
    with capsys.disabled():
        sys.stdout.write(f"\n{flow}: {len(life.points)} crash points of {life.longest or '?'} messages ")
    assert outcome.broken is None, f"{outcome.broken}; last killed: {life.points[-1]}"
    assert life.longest or len(life.points) >= POINTS


def test_who_makes_it_good_may_be_killed_as_well(play_store: PostgresStore) -> None:
    life = Life("create and ship", most=8, stride=47, double=lambda place: whole(3, 1, 400, "second", place))
    outcome = play(3, WORLD, play_store, [NothingTwice()], course=life)
    assert outcome.broken is None, f"{outcome.broken}; last killed: {life.points[-1]}"
    assert {point.flow for point in life.points} == {"create and ship", "double"}


@pytest.mark.parametrize(
    ("message", "may"),
    [
        ("db SELECT 1", False),
        ("db \nSELECT reached FROM crossdock.append_events($1)", True),
        ("db COMMIT;", True),
        ("db BEGIN;", False),
        ("db WITH held AS (SELECT 1) UPDATE t SET a = 1", True),
        ("http POST /shopify", True),
    ],
)
def test_what_may_change_something(message: str, may: bool) -> None:
    assert changes(message) is may
