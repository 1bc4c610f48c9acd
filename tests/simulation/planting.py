"""Plays a planted bug until its invariant breaks, seed by seed."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from engine.ports import SeededRng
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.wire import RefusalError
from ops.settings import Settings
from ops.simulate import play as plays
from ops.simulate.invariants.evidence import Breach
from ops.simulate.invariants.watcher import Invariants
from ops.simulate.options import Options
from ops.simulate.provocations import NotReachedError, Stage
from ops.simulate.store import Store
from tests.simulation.bugs import Bug

LOOK = 600.0  # seconds of the world between two looks
SPEED = 240.0
SHELVES = {"skus": 6, "locations": 1, "least_stock": 40, "most_stock": 60}


class Planted(plays.Play):
    """A day of a bug: its scene, for so long as it takes to show; judged by everything, and not to its end."""

    bug: Bug
    found: list[Breach]

    def _configured(self, directory: Path) -> Settings:
        settings = super()._configured(directory)
        [channel] = settings.channel
        return replace(settings, channel=[replace(channel, stock=replace(channel.stock, **self.bug.stock))])

    async def _until_settled(self) -> None:
        watcher = Invariants()
        async with anyio.create_task_group() as group:
            group.start_soon(self._scene)
            ends = self.clock.monotonic() + self.bug.minutes * 60
            self.found = []
            try:
                while self.clock.monotonic() < ends and not self._shows():
                    await self.clock.sleep(LOOK)
                    watcher.outages = list(self.bug.outages(self.world.now)) if self.bug.outages else []
                    self.found = await watcher.looks(self)
                if not self._shows():
                    self.found = await watcher.breaches(self)
            finally:
                group.cancel_scope.cancel()

    def _shows(self) -> bool:
        if self._failed is not None:
            raise self._failed
        return any(breach.invariant == self.bug.invariant for breach in self.found)

    async def _scene(self) -> None:
        if self.bug.scene is not None:
            stage = Stage(self.sandbox, self.clock, self.settings, self.pool, self.log, plays.SimIds(SeededRng(self.seed)))
            with suppress(NotReachedError, RefusalError):
                await self.bug.scene(stage)


def plan_of(bug: Bug) -> Plan:
    plan = Plan(**SHELVES | {"warehouse": Warehouse(pick_seconds=600.0)} | dict(bug.plan))
    return replace(plan, mirakl=replace(plan.mirakl, **bug.mirakl), shopify=replace(plan.shopify, **bug.shopify))


def breaches_of(bug: Bug, seed: int, store: Store) -> list[Breach]:
    """What is broken at that seed, with the bug planted or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plays, "Play", type(bug.name, (Planted,), {"bug": bug}))
        with plays.played(seed, Options(plan=plan_of(bug), speed=SPEED, engines=bug.engines), store, ()) as (play, directory):
            play.loop.run_until_complete(play.run(directory))
        assert isinstance(play, Planted)
        return play.found


def first_seed(bug: Bug, seeds: Iterable[int], store: Store) -> tuple[int, list[Breach]] | None:
    """The first at which its own invariant breaks."""
    for seed in seeds:
        found = breaches_of(bug, seed, store)
        if any(breach.invariant == bug.invariant for breach in found):
            return seed, found
    return None
