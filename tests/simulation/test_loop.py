"""The virtual-time loop and the network in it, by themselves."""

import asyncio
from collections.abc import Iterator

import anyio
import pytest
from aiohttp import web
from aiolimiter import AsyncLimiter

from ops.sandbox.face import serve_sandbox
from ops.sandbox.plan import Plan
from ops.sandbox.world import World
from ops.simulate.loop import DeadlockError, Process, SimLoop, running
from ops.simulate.net import Network, SimNet
from ops.simulate.play import START, SimClock

DAY = 86_400.0


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    with running(SimLoop(1)) as made:
        yield made


def test_a_day_passes_at_once(loop: SimLoop) -> None:
    async def work() -> float:
        await asyncio.gather(*(anyio.sleep(DAY) for _ in range(10)))
        return asyncio.get_running_loop().time()

    assert loop.run_until_complete(work()) == pytest.approx(DAY, abs=0.001)


def test_who_asks_for_less_time_than_there_is_gets_on(loop: SimLoop) -> None:
    async def work() -> None:
        limiter = AsyncLimiter(1, 3.0)
        for _ in range(50):
            await limiter.acquire()

    loop.run_until_complete(work())
    assert loop.time() == pytest.approx(147, abs=1)


def test_who_spins_sees_time_go_by(loop: SimLoop) -> None:
    """anyio asks a shielded task at every step whether it can be cancelled now."""

    async def work() -> None:
        async with anyio.create_task_group() as group:

            async def shielded() -> None:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(60)

            group.start_soon(shielded)
            await anyio.sleep(1)
            group.cancel_scope.cancel()

    loop.run_until_complete(work())
    assert loop.time() == pytest.approx(60, abs=0.1)


def test_nothing_left_to_wait_for_is_told_with_its_place(loop: SimLoop) -> None:
    async def stuck() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError, match="stuck"):
        loop.run_until_complete(stuck())


def order_of(seed: int) -> list[int]:
    found: list[int] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for number in range(20):
            loop.call_at(1.0, found.append, number)
        await anyio.sleep(2)

    with running(SimLoop(seed)) as made:
        made.run_until_complete(work())
    return found


def test_the_seed_decides_who_goes_first() -> None:
    assert order_of(1) == order_of(1)
    assert len({tuple(order_of(seed)) for seed in range(5)}) == 5


def test_what_is_called_soon_keeps_its_order(loop: SimLoop) -> None:
    found: list[int] = []

    async def work() -> None:
        for number in range(50):
            asyncio.get_running_loop().call_soon(found.append, number)
        await anyio.sleep(1)

    loop.run_until_complete(work())
    assert found == list(range(50))


def test_a_killed_process_does_nothing_any_more(loop: SimLoop) -> None:
    done: list[str] = []
    process, network = Process("victim"), Network(loop, 1)

    async def victim() -> None:
        try:
            async with SimNet().session() as session:
                for _ in range(100):
                    async with session.get(address[0]) as answer:
                        done.append(await answer.text())
        finally:
            done.append("finally")

    address: list[str] = []

    async def work() -> None:
        runner = web.AppRunner(app := web.Application())

        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="yes")

        app.router.add_get("/", answer)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        process.on_message = lambda _: "after" if process.messages == 4 else None
        loop.spawn(process, victim)
        await anyio.sleep(10)
        await runner.cleanup()

    loop.run_until_complete(work())
    assert done == ["yes"] * 3 and network.connections == 1


def test_the_sandbox_sleeps_until_something_is_due(loop: SimLoop) -> None:
    """Between two things that fall due by themselves it must not be busy."""
    Network(loop, 1)
    clock = SimClock(loop, START, 1.0)

    async def work() -> None:
        async with serve_sandbox(World(Plan(marketplace_orders=30, restocks=10), 1, START), clock, SimNet()):
            await anyio.sleep(7200)

    loop.run_until_complete(work())
    assert loop.steps < 5_000
