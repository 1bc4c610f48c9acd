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

import pytest

from tests.processes.rig import Engine, Rig

pytestmark = pytest.mark.anyio

THOROUGH = int(os.environ.get("CROSSDOCK_THOROUGH", "1"))
KILLS = {
    "kill -9 of an engine": 42,
    "SIGTERM": 10,
    "immediate stop of Postgres": 6,
    "kill -9 of a backend": 6,
    "connection cut after its commit": 16,
}
WAIT = 0.9  # seconds between two kills, at most
AWAY = 0.5  # seconds that Postgres is away, at most
SEATS = 2  # engines at once: one leads, or neither, while the other is on its way


async def test_nothing_is_lost_or_doubled_whoever_is_killed(house: Rig) -> None:
    chance = random.Random(int(os.environ.get("CROSSDOCK_SEED", "1")))
    steps = [what for what, number in KILLS.items() for _ in range(number * THOROUGH)]
    chance.shuffle(steps)
    killed: Counter[str] = Counter()
    began = time.monotonic()
    async with house.manned(SEATS):
        for step in steps:
            await asyncio.sleep(chance.uniform(0.0, WAIT))
            await house.buy(website=chance.random() < 0.3)
            killed[step] += await kill(house, step, chance)
        killing = time.monotonic() - began
        await house.prove()
    assert [await engine.being.terminated() for engine in house.engines] == [0] * SEATS
    killed["connection cut after its commit"] = house.wire.met.get("cut_after", 0)
    house.figures = {"kills": sum(killed.values()), "seconds of killing": round(killing)} | dict(killed) | house.figures
    assert sum(killed.values()) >= 60 * THOROUGH and all(killed[what] >= 0.8 * number for what, number in KILLS.items())


async def kill(house: Rig, step: str, chance: random.Random) -> int:
    match step:
        case "kill -9 of an engine":
            house.kill(chance.choice(house.engines))
        case "SIGTERM":
            return await terminate(house, chance.choice(house.engines))
        case "immediate stop of Postgres":
            house.postgres.stop(immediately=True)
            await asyncio.sleep(chance.uniform(0.0, AWAY))
            house.postgres.start()
        case "kill -9 of a backend":
            return await kill_backend(house, chance)
        case _:
            house.wire.ask("cut_after", skip=chance.randrange(5))
            return 0  # counted when it is met
    return 1


async def terminate(house: Rig, engine: Engine) -> int:
    """It drains, or had not begun; either way it goes of its own accord."""
    up = engine.up
    house.engines.remove(engine)
    code = await engine.being.terminated()
    assert code == 0 or not up, f"{engine.being.said.name} ended with {code}"
    return int(up)


async def kill_backend(house: Rig, chance: random.Random) -> int:
    """The server ends every other session too, and recovers."""
    async with house.asking() as conn:
        rows = await conn.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = 'crossdock' ORDER BY pid")
    if not rows:
        return 0
    os.kill(chance.choice(rows)["pid"], signal.SIGKILL)
    return 1
