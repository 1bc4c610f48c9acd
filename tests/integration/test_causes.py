"""A day's trade, and then its whole log: every call belongs to an intent, every intent to what caused it, every outcome to its intent."""

from pathlib import Path

import pytest

from engine.log import Log
from ops.sandbox.scenario import read_scenario
from ops.trace import story
from schemas.envelope import Envelope
from schemas.values import ChannelId
from tests.causes import dangling, unanswered, unasked
from tests.conftest import Database
from tests.house import House, house

pytestmark = pytest.mark.anyio

CHANNELS = [ChannelId("asos")]


async def whole(log: Log) -> list[Envelope]:
    found: list[Envelope] = []
    while page := await log.read(len(found)):
        found += page
    return found


async def unexplained(built: House, order: str) -> list[str]:
    """What was asked for an order, of which its own trace does not name the cause; and what came of nothing in it."""
    async with built.pool.acquire() as conn:
        steps = await story(conn, built.log, built.settings.tenant_id, CHANNELS, order)
    assert steps, f"{order} has no trace"
    return [f"{order}, {step.position} {step.what}" for step in steps if step.type.startswith("command_") and step.why is None]


async def test_no_id_of_a_whole_day_leads_nowhere(database: Database, tmp_path: Path) -> None:
    async with house(database.engine_url, tmp_path, plan=read_scenario("demo"), seed=4, speed=200.0) as built:
        await built.until_settled(patience=180.0)
        log, truth = await whole(built.log), built.sandbox.truth()
        assert [envelope.position for envelope in log] == list(range(1, len(log) + 1))
        assert list(dangling(built.settings.tenant_id, log)) == []
        assert list(unanswered(log)) == []
        assert list(unasked(log, truth)) == []
        for order in truth["mirakl"]["orders"]:
            assert await unexplained(built, order["order_id"]) == []
