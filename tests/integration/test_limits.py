"""The last call of a slow endpoint is in the database before it leaves."""

import anyio
import pytest

from engine.adapter import Endpoint
from tests.conftest import Database
from tests.machine import machine

pytestmark = pytest.mark.anyio

ORDERS = Endpoint("OR11", "GET", "/api/orders", calls=1, per=60.0)


async def test_the_last_call_outlives_the_process_and_binds_the_next(database: Database) -> None:
    async with machine(database) as engine:
        await engine.limits("mirakl:asos").admit(ORDERS)
        again = engine.limits("mirakl:asos")
        with anyio.move_on_after(0.2) as waiting:
            await again.admit(ORDERS)
        assert waiting.cancelled_caught
        await again.load()
        assert again.wait(ORDERS) > 55
        await engine.limits("mirakl:zalando").admit(ORDERS)  # another seller account: another ceiling
        engine.clock.jump(66)
        with anyio.fail_after(30):
            await again.admit(ORDERS)


async def test_of_two_processes_at_once_one_waits(database: Database) -> None:
    async with machine(database) as engine:
        through: list[int] = []

        async def admit(number: int) -> None:
            await engine.limits("mirakl:asos").admit(ORDERS)
            through.append(number)

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(admit, number)
            await anyio.sleep(0.3)
            group.cancel_scope.cancel()
        assert len(through) == 1
