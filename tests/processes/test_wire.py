"""A wire to Postgres that goes quiet: nothing waits for ever, and what was done twice is there once. (reliability.md §3; T8)"""

import time

import pytest

from tests.processes.rig import Rig

pytestmark = pytest.mark.anyio

COMMAND_SECONDS = 10.0  # engine.ports.PostgresDb: how long a statement is waited for


@pytest.mark.parametrize("statement", ["append_events", "^COMMIT", "crossdock.outbox"])
async def test_an_answer_that_never_comes_frees_the_engine(house: Rig, statement: str) -> None:
    engine = await house.started()
    await house.buy()
    await house.settled()
    house.wire.ask("silence", statement)
    await house.buy()
    await house.until(lambda: house.wire.met.get("silence"), "somebody waits for an answer")
    silent = time.monotonic()
    await house.prove()
    took = time.monotonic() - silent
    house.figures = {"seconds until all was well": round(took, 1)} | house.figures
    assert took < 2.5 * COMMAND_SECONDS
    assert await house.gauge(engine, "crossdock_leader", target="shopify") == 1
