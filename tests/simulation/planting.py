"""Plays a planted bug until its invariant breaks, seed by seed."""

from collections.abc import Iterable
from contextlib import suppress

import anyio
from msgspec.structs import replace

from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.wire import RefusalError
from ops.simulate.invariants.evidence import Breach
from ops.simulate.invariants.watcher import Invariants
from ops.simulate.options import Options
from ops.simulate.play import BrokenError, Play, play
from ops.simulate.provocations import NotReachedError, Stage
from ops.simulate.store import Store
from tests.simulation.bugs import Bug

LOOK = 600.0  # seconds of the world between two looks
SPEED = 240.0
SHELVES = {"skus": 6, "locations": 1, "least_stock": 40, "most_stock": 60}


class Course:
    """A day of a bug: its scene, for so long as it takes to show; judged by everything, and not to its end."""

    def __init__(self, bug: Bug) -> None:
        self.bug = bug
        self.found: list[Breach] = []

    async def __call__(self, it: Play) -> None:
        [channel] = it.settings.channel
        it.settings = replace(it.settings, channel=[replace(channel, stock=replace(channel.stock, **self.bug.stock))])
        if self.bug.sql:
            it.ask(self.bug.sql)
        for place in range(it.options.engines):
            it.start_engine(place)
        watcher = Invariants()
        async with anyio.create_task_group() as group:
            group.start_soon(self._scene, it)
            ends = it.clock.monotonic() + self.bug.minutes * 60
            while it.clock.monotonic() < ends and not self.shows:
                await it.wait(it.clock.loop_seconds(LOOK))
                watcher.outages = self.bug.outages(it.world.now) if self.bug.outages else []
                self.found = await watcher.looks(it)
                if self.bug.tamper:
                    it.ask(self.bug.tamper)
                    self.found = await watcher.breaches(it)
                    break
            if not self.shows and not self.bug.tamper:
                self.found = await watcher.breaches(it)
            group.cancel_scope.cancel()

    @property
    def shows(self) -> bool:
        return any(breach.invariant == self.bug.invariant for breach in self.found)

    async def _scene(self, it: Play) -> None:
        if self.bug.scene is not None:
            stage = Stage(it.sandbox, it.clock, it.settings, it.pool, it.log, it.ids)
            with suppress(NotReachedError, RefusalError):
                await self.bug.scene(stage)


def plan_of(bug: Bug) -> Plan:
    plan = Plan(**SHELVES | {"warehouse": Warehouse(pick_seconds=600.0)} | dict(bug.plan))
    return replace(plan, mirakl=replace(plan.mirakl, **bug.mirakl), shopify=replace(plan.shopify, **bug.shopify))


def breaches_of(bug: Bug, seed: int, store: Store) -> list[Breach]:
    """What is broken at that seed, with the bug planted or not."""
    course = Course(bug)
    outcome = play(seed, Options(plan=plan_of(bug), speed=SPEED, engines=bug.engines), store, (), course)
    if isinstance(outcome.broken, BrokenError):
        return [Breach(outcome.broken.invariant, outcome.broken.subject, outcome.broken.says)]
    return course.found


def first_seed(bug: Bug, seeds: Iterable[int], store: Store) -> tuple[int, list[Breach]] | None:
    """The first at which its own invariant breaks."""
    for seed in seeds:
        found = breaches_of(bug, seed, store)
        if any(breach.invariant == bug.invariant for breach in found):
            return seed, found
    return None
