"""What `crossdock serve` shows in a terminal."""

from io import StringIO

import anyio
import pytest
from rich.console import Console

from engine.metrics import Metrics
from ops.serve import LOOK_EVERY, shown

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("terminal", [True, False])
async def test_how_far_a_sweep_is_can_be_seen_while_it_is_under_way(terminal):
    written, metrics = StringIO(), Metrics()
    async with shown(Console(file=written, force_terminal=terminal, width=100), metrics, "t1"):
        metrics.stock_sweep_total.labels("t1").set(200_000)
        metrics.stock_sweep_items.labels("t1").set(40_000)
        await anyio.sleep(LOOK_EVERY * 3)
    assert ("items of the shop counted" in written.getvalue() and "40000/200000" in written.getvalue()) is terminal
    assert terminal or written.getvalue() == ""


async def test_and_not_when_it_is_over():
    written, metrics = StringIO(), Metrics()
    async with shown(Console(file=written, force_terminal=True, width=100), metrics, "t1"):
        metrics.stock_sweep_total.labels("t1").set(200_000)
        metrics.stock_sweep_items.labels("t1").set(200_000)
        await anyio.sleep(LOOK_EVERY * 3)
    assert "200000" not in written.getvalue()
