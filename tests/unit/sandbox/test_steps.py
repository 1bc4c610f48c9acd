"""Time that is stepped, and one world only for a seed: in two processes, under two hash seeds, and after a kill."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from engine.ports import TcpNet
from ops.sandbox.face import Sandbox, serve_sandbox
from ops.sandbox.faults import Fault
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.steps import SteppedClock
from ops.sandbox.systems import Systems
from ops.sandbox.world import World
from tests.unit.sandbox.caller import Caller, receiver, served
from tests.unit.sandbox.desk import CREATE, START, SUBSCRIBE, an_order

pytestmark = pytest.mark.anyio

PLAN = Plan(skus=4, offers_open="at_stock", marketplace_orders=6, buyer_gap=60.0, warehouse=Warehouse(pick_seconds=60.0))


@asynccontextmanager
async def stepped(plan: Plan = PLAN) -> AsyncIterator[Caller]:
    async with (
        serve_sandbox(World(plan, 1, START), SteppedClock(START), TcpNet()) as sandbox,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
    ):
        yield Caller(sandbox, session)


async def test_nothing_moves_by_itself() -> None:
    async with stepped() as caller:
        world = caller.sandbox.world
        before = world.digest()
        await anyio.sleep(0.1)
        assert world.digest() == before and world.now == START
        assert (await caller.lever("step", seconds=90))[1]["now"] == "2026-11-23T08:01:30Z"
        placed = world.actors.placed + world.actors.sold
        assert (await caller.lever("step", until="2026-11-23T10:00:00Z"))[0] == 200
        assert world.actors.placed + world.actors.sold > placed and world.now == START + timedelta(hours=2)
        assert (await caller.lever("step", until="2026-11-23T09:00:00Z"))[1]["now"] == "2026-11-23T10:00:00Z", "never backwards"
        assert (await caller.lever("step", minutes=3))[0] == 400


async def test_where_time_passes_it_is_not_stepped() -> None:
    async with served() as caller:
        assert (await caller.lever("step", seconds=90))[0] == 409


async def test_webhooks_are_posted_while_stepping_one_after_another() -> None:
    async with receiver(500) as (url, heard), stepped(Plan(skus=2)) as caller:
        await caller.graph(SUBSCRIBE, topic="ORDERS_CREATE", subscription={"uri": url})
        await caller.graph(CREATE, order=an_order(caller.variant))
        await anyio.sleep(0.05)
        assert heard.statistics().current_buffer_used == 0
        await caller.lever("step", seconds=5)
        assert heard.statistics().current_buffer_used == 1
        await caller.lever("step", seconds=10)
        assert heard.statistics().current_buffer_used == 2, "and again after ten seconds, since it was not taken"
        assert caller.sandbox.world.shop.webhooks_sent == 1


async def test_a_late_reply_waits_for_somebody_to_step() -> None:
    async with stepped(Plan(skus=2)) as caller, anyio.create_task_group() as group:
        caller.sandbox.faults.add(Fault("V01", "delay", seconds=60))
        answered: list[int] = []

        async def ask() -> None:
            answered.append((await caller.mirakl("GET", "/api/version"))[0])

        group.start_soon(ask)
        await anyio.sleep(0.1)
        assert answered == []
        with anyio.fail_after(60):
            while not answered:
                await caller.lever("step", seconds=30)
        assert answered == [200]


def test_sleepers_wake_in_the_order_of_their_time() -> None:
    async def main() -> list[int]:
        clock, woken = SteppedClock(START), list[int]()

        async def doze(seconds: int) -> None:
            await clock.sleep(seconds)
            woken.append(seconds)

        async with anyio.create_task_group() as group:
            for seconds in (30, 10, 20, 0):
                group.start_soon(doze, seconds)
            await anyio.sleep(0.01)
            clock.move(START + timedelta(seconds=20))
            await anyio.sleep(0.01)
            assert clock.monotonic() == 20.0
            clock.move(START + timedelta(seconds=40))
        return woken

    assert anyio.run(main) == [0, 10, 20, 30]


# ---------------------------------------------------------------- one seed, one world

LIVED = """
import sys
from ops.sandbox.soak import lived
for seed in map(int, sys.argv[1:]):
    world = lived(seed)
    print(seed, world.digest(), world.calls.last, len(world.account.orders))
"""


def test_a_seed_is_one_world_in_any_process() -> None:
    told = []
    for hashed in ("0", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": hashed, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
        ran = subprocess.run([sys.executable, "-c", LIVED, "3", "4", "5"], env=environment, capture_output=True, text=True, check=True)
        told.append(ran.stdout)
    assert told[0] == told[1] and len({line.split()[1] for line in told[0].splitlines()}) == 3


def test_a_world_that_was_killed_comes_back_with_its_calls_and_faults(tmp_path: Path) -> None:
    from ops.sandbox import soak  # noqa: PLC0415

    path = tmp_path / "world.jsonl"
    world = World.open(path, soak.swarm(11), 11, START)
    client = soak.Client(Systems(world), 11)
    for round_ in range(20):
        client.live(START + timedelta(seconds=120 * round_))
    world.close()
    again = World.open(path, Plan(), 1, START)
    again.close()
    assert again.digest() == world.digest() and again.calls.last == world.calls.last > 50 and again.calls.faults


async def test_the_same_over_a_real_port_is_the_same_world() -> None:
    digests = []
    for _ in range(2):
        async with stepped() as caller:
            await told_the_same(caller)
            digests.append(caller.sandbox.world.digest())
    assert digests[0] == digests[1]


async def told_the_same(caller: Any) -> None:
    sandbox: Sandbox = caller.sandbox
    for _ in range(10):
        await caller.lever("step", seconds=120)
        _, page = await caller.mirakl("GET", "/api/orders?max=100")
        assert page
        for order in list(sandbox.world.account.orders.values()):
            if order.state == "WAITING_ACCEPTANCE":
                lines = [{"id": line.id, "accepted": True} for line in order.lines]
                await caller.mirakl("PUT", f"/api/orders/{order.id}/accept", json={"order_lines": lines})
