"""Engines, the server and its backends, killed one after another in the middle of trade: nothing acknowledged is lost, nothing is doubled.

Everything is a process of its own and dies by its own signal. CROSSDOCK_THOROUGH=20 kills twenty times as many.
(R3, R104; E5, C2, C3, C5; T6-T8)
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress

import asyncpg
import pytest

from tests.processes.rig import SPEED, Rig
from tests.thorough import THOROUGH

pytestmark = pytest.mark.anyio

KILLS = {
    "kill -9 of an engine": 40,
    "SIGTERM": 10,
    "immediate stop of Postgres": 6,
    "kill -9 of a backend": 6,
    "connection cut after its commit": 14,
}
WAIT = 0.5  # seconds between two kills, at most
UNDER_WAY = 0.25  # seconds that the calls which matter most take
AFTER = 180.0  # seconds for what is left to be done, on a machine with other things to do
AWAY = 0.5  # seconds that Postgres is away, at most
SEATS = 2  # engines at once: one leads, or neither, while the other is on its way


async def test_nothing_is_lost_or_doubled_whoever_is_killed(house: Rig) -> None:
    chance = random.Random(int(os.environ.get("CROSSDOCK_SEED", "1")))
    steps = [what for what, number in KILLS.items() for _ in range(number * THOROUGH)]
    chance.shuffle(steps)
    killed: Counter[str] = Counter()
    for operation in ("OrderCreate", "OR21", "OR24"):  # whoever is killed is often killed amid one of these
        await house.post("/sandbox/faults", operation=operation, action="delay", seconds=UNDER_WAY * SPEED, count=None)
    began = time.monotonic()
    async with house.manned(SEATS):
        for step in steps:
            await asyncio.sleep(chance.uniform(0.0, WAIT))
            await house.buy(website=chance.random() < 0.3)
            await kill(house, step, chance)
            killed[step] += 1
        killing = time.monotonic() - began
        await house.prove(AFTER)
    assert [await engine.being.terminated() for engine in house.engines if engine.up] == [0] * SEATS
    killed["connection cut after its commit"] = house.wire.met.get("cut_after", 0)
    house.figures = {"kills": sum(killed.values()), "seconds of killing": round(killing)} | dict(killed) | house.figures
    assert killed == {what: number * THOROUGH for what, number in KILLS.items()}


async def kill(house: Rig, step: str, chance: random.Random) -> None:
    match step:
        case "kill -9 of an engine":
            if chance.random() < 0.5:  # one that is at work; else whoever is there, though it may have just begun
                await house.until(lambda: house.leaders("mirakl:asos"), "somebody leads")
            leading = await house.leaders("mirakl:asos")
            house.kill(chance.choice([each for each in leading if each in house.engines] or house.engines))
        case "SIGTERM":
            await terminate(house, chance)
        case "immediate stop of Postgres":
            house.postgres.stop(immediately=True)
            await asyncio.sleep(chance.uniform(0.0, AWAY))
            house.postgres.start()
        case "kill -9 of a backend":
            await kill_backend(house, chance)
        case _:
            house.wire.ask("cut_after", skip=chance.randrange(5))


async def terminate(house: Rig, chance: random.Random) -> None:
    """One that is at work drains, and goes of its own accord."""
    up = await house.until(lambda: [engine for engine in house.engines if engine.up], "an engine is up")
    engine = chance.choice(up)
    house.engines.remove(engine)
    code = await engine.being.terminated()
    assert code == 0, f"{engine.being.said.name} ended with {code}"


async def kill_backend(house: Rig, chance: random.Random) -> None:
    """The server ends every other session too, and recovers."""

    async def some() -> list[int]:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            async with house.asking() as conn:
                rows = await conn.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = 'crossdock' ORDER BY pid")
                return [row["pid"] for row in rows]
        return []

    pids = await house.until(some, "a session of the engine's")
    os.kill(chance.choice(pids), signal.SIGKILL)
