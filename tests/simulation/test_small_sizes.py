"""Plays in which everything that is done a number at a time is done one to four at a time: pages, batches, files, chunks.

Forty orders never fill a page of a thousand. Here they fill hundreds, so that what happens between two of them is met.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from engine.dispatcher import Dispatcher
from engine.log import Log
from engine.runner import Runner
from ops.simulate.command import Wanted, one, summary
from ops.simulate.memory import MemoryStore
from tests.simulation.tally import tally
from tests.thorough import THOROUGH

FROM = 5_000  # the first seed
SEEDS = 3
SMALL = {
    "engine.chain": {"PAGE_EVENTS": 7},
    "engine.log": {"SOUGHT_AT_ONCE": 9, "PAGE_EVENTS": 7, "GROUP_EVENTS": 2},
    "engine.erasure": {"AT_ONCE": 1},
    "engine.runner": {"CHUNK": 2},
    "engine.poller": {"PAGE": 3, "HINTS": 2, "MOST_ASIDE": 3},
    "adapters.shopify.inbound.daily": {"AT_ONCE": 2},
    "adapters.shopify.inbound.sweep": {"AT_ONCE": 3},
    "adapters.shopify.inbound.paging": {"NODES_A_CALL": 2},
    "adapters.shopify.inbound.changes": {"ORDERS_A_PAGE": 2},
    "adapters.shopify.inbound.variants": {"SKUS_A_CALL": 2},
    "adapters.mirakl.client": {"ASKED_TOGETHER": 2},
    "adapters.mirakl.inbound.returns": {"PAGE": 2},
    "adapters.mirakl.inbound.offers": {"AT_ONCE": 3},
    "adapters.mirakl.inbound.sweep": {"AT_ONCE": 2},
    "adapters.mirakl.inbound.orders": {"PAGE": 4, "SHARED": 1, "FITS": 2, "FITS_LONG": 15},
    "ops.pace": {"AT_ONCE": 2},
    "ops.publisher": {"FILE_ROWS": 3, "BATCH": 2},
    "ops.evidence.sealer": {"PAGES": 1},
}
BY_DEFAULT: tuple[tuple[Callable[..., Any], str, int], ...] = (
    (Runner.__init__, "limit", 3),
    (Dispatcher.__init__, "width", 2),
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, sizes in SMALL.items():
        for name, size in sizes.items():
            monkeypatch.setattr(import_module(module), name, size)
    for function, name, size in BY_DEFAULT:
        defaults = function.__kwdefaults__ or {}
        assert name in defaults, f"{function.__qualname__} has no {name} by default"
        monkeypatch.setitem(defaults, name, size)
    monkeypatch.setattr(Log.read, "__defaults__", (7,))


@pytest.mark.usefixtures("small")
def test_plays_come_right_whatever_the_sizes(figure: Callable[[str], None]) -> None:
    results = [one(seed, Wanted(seed, seed, shrink=False), MemoryStore()) for seed in range(FROM, FROM + SEEDS * THOROUGH)]
    for result in results:
        tally(result.seen)
    figure(f"one to four at a time, {summary(results, 1)}")
    assert [f"{result.broken}\n{result.again}" for result in results if result.broken] == []
