"""The engine killed at every message of six flows, on a real Postgres: nothing twice, nothing lost.

As many points as LEAST says are gone through, the first ones first. CROSSDOCK_THOROUGH=2 goes on until there is nothing new, and dies where
nothing has changed since somebody died, too.
"""

from collections.abc import Callable

import pytest

from ops.simulate.crash import FLOWS, WORLD, Life, NothingTwice, Point, changes, told
from ops.simulate.play import play
from ops.simulate.store import PostgresStore
from tests.thorough import THOROUGH

SEED = 7 if THOROUGH == 1 else 7 + THOROUGH
LEAST = {"ingest, accept, create and ship": 330, "stock import": 100, "refund": 100, "return": 90}  # crash points of each
DOUBLES = 40

points: dict[Point, None] = {}
doubles = 0


@pytest.mark.parametrize("flow", FLOWS)
def test_the_next_engine_makes_it_good(flow: str, play_store: PostgresStore, figure: Callable[[str], None]) -> None:
    global doubles  # noqa: PLW0603 - told of all flows together
    life = Life(flow, every=True) if THOROUGH > 1 else Life(flow, most=LEAST[flow])
    outcome = play(SEED, WORLD, play_store, [NothingTwice()], course=life)
    assert outcome.broken is None, f"{outcome.broken}; last killed: {next(reversed(life.points), None)}\n" + "\n".join(outcome.story)
    assert life.whole or THOROUGH == 1, "there are points at which nobody has died yet"
    assert len(life.points) >= LEAST[flow], "fewer than there were"
    assert {point.flow for point in life.points} == set(flow.split(", "))
    points.update(life.points)
    doubles += life.doubles
    figure(f"crash points, {flow}: {len(life.points)}, and {life.doubles} more in who makes it good; {life.passes} times gone through")


def test_there_are_as_many_as_there_were(figure: Callable[[str], None]) -> None:
    """Of all flows together."""
    if not points:
        pytest.skip("the flows were not gone through")
    figure(f"crash points: {len(points)} of six flows, double crashes: {doubles}, lost or twice: 0")
    assert len(points) >= sum(LEAST.values()) >= 600
    assert doubles >= DOUBLES


@pytest.mark.parametrize(
    ("message", "may"),
    [
        ("db SELECT 1", False),
        ("db \nSELECT reached FROM crossdock.append_events($1)", True),
        ("db SELECT crossdock.append_one($1)", True),
        ("db COMMIT;", True),
        ("db BEGIN;", False),
        ("db WITH held AS (SELECT 1) UPDATE t SET a = 1", True),
        ("http mutation OrderCreate", True),
        ("http query OrderGet", False),
        ("http PUT /api/orders/1/accept", True),
        ("http GET /api/orders", False),
    ],
)
def test_what_may_change_something(message: str, may: bool) -> None:
    assert changes(message) is may


def test_a_message_is_the_same_whatever_it_is_about() -> None:
    assert told("http PUT /api/orders/31f0-9a/accept") == told("http PUT /api/orders/77ab-01/accept")
