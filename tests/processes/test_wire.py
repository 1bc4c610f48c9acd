"""A wire to Postgres that goes quiet: nothing waits for ever, and what was done twice is there once. (reliability.md §3; T8)"""

import time

import pytest

from tests.processes.rig import Rig
from tests.thorough import THOROUGH

pytestmark = pytest.mark.anyio

COMMAND_SECONDS = 10.0  # engine.ports.PostgresDb: how long a statement is waited for, and then, within a pool, for its cancellation
TRADE_SECONDS = 15.0  # for an order to come in and leave
STATEMENTS = ["crossdock.append_", "^COMMIT", "crossdock.outbox"]


@pytest.mark.parametrize("statement", STATEMENTS if THOROUGH > 1 else STATEMENTS[:1])
async def test_an_answer_that_never_comes_frees_the_engine(house: Rig, statement: str) -> None:
    engine = await house.started()
    await house.buy()
    await house.settled()
    house.wire.ask("silence", statement)
    await house.buy()
    await house.until(lambda: house.wire.met.get("silence"), "somebody waits for an answer")
    silent, before = time.monotonic(), len(house.acknowledged)
    await house.until(lambda: len(house.acknowledged) > before, "webhooks are taken in again", COMMAND_SECONDS + TRADE_SECONDS)
    await house.prove()
    took = time.monotonic() - silent
    house.figures = {"seconds until all was well": round(took, 1)} | house.figures
    assert COMMAND_SECONDS <= took < 2 * COMMAND_SECONDS + TRADE_SECONDS
    assert await house.gauge(engine, "crossdock_leader", target="shopify") == 1
