"""Workers are begun again while what they need is away; once the service was asked to stop, they are not."""

from typing import Any

import anyio
import pytest

from engine.alarm import Alarm
from engine.errors import UnavailableError
from engine.log import Fence
from engine.ports import SystemClock
from ops.service import Ports, Service

pytestmark = pytest.mark.anyio

MOMENT = 0.3  # seconds: some tries, where nothing keeps them apart


class Away:
    """An outside system that refuses every connection at once; and a worker, likewise."""

    target = "shopify"

    def __init__(self) -> None:
        self.tries = 0

    async def prepare(self) -> None:
        self.tries += 1
        raise UnavailableError("not reached")

    async def work(self) -> None:
        self.tries += 1
        raise ConnectionRefusedError


def service() -> Service:
    settings: Any = None
    port: Any = None
    return Service(settings, {}, Ports(SystemClock(), port, port, port, port), bytes(32))


@pytest.mark.parametrize("loop", ["kept", "prepared"])
async def test_whoever_is_asked_to_stop_tries_no_more(loop: str):
    it, away = service(), Away()
    adapter: Any = away
    log: Any = None
    alarm, fence = Alarm(log, SystemClock(), away.target, away.target), Fence(away.target, 1)
    with anyio.fail_after(10 * MOMENT):
        async with anyio.create_task_group() as group:
            if loop == "kept":
                group.start_soon(it._keep, "projection orders", away.work)
            else:
                group.start_soon(it._prepared, adapter, alarm, fence)
            await anyio.sleep(MOMENT)
            before = away.tries
            it.stop()
    assert before >= 1 and away.tries == before


async def test_what_is_being_drained_gets_its_time_while_others_give_up():
    it, away, ended = service(), Away(), anyio.Event()

    async def drained() -> None:
        await it._stop.wait()
        await anyio.sleep(MOMENT)
        ended.set()

    with anyio.fail_after(10 * MOMENT):
        async with anyio.create_task_group() as group:
            group.start_soon(it._keep, "shopify", away.work)
            group.start_soon(it._keep, "mirakl:asos", drained)
            await anyio.sleep(MOMENT)
            it.stop()
    assert ended.is_set()
