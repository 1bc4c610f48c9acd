"""Both systems over a world that takes back what a request changed, before the next one: every request meets the same world."""

import copy
from datetime import datetime, timedelta
from typing import Any

from ops.sandbox.plan import Plan
from ops.sandbox.systems import Systems
from ops.sandbox.wire import Reply, Request
from ops.sandbox.world import World

COUNTED = ("mirakl.called", "calls.begin", "calls.end")  # what every request does


class _World(World):
    """Notices when something is changed."""

    changed = False

    def apply(self, op: str, arguments: dict[str, Any], at: datetime) -> Any:
        self.changed |= op not in COUNTED
        return super().apply(op, arguments, at)


class Forgetful:
    def __init__(self, plan: Plan, at: datetime) -> None:
        self.now = at
        self._world = _World(plan, 7, at)
        self._kept: _World | None = None
        self.systems = Systems(self._world)

    @property
    def world(self) -> World:
        return self._world

    def pass_time(self, **time: float) -> None:
        self.now += timedelta(**time)
        self._world.advance(self.now)

    def keep(self) -> None:
        """From here on nothing lasts."""
        self._kept = copy.deepcopy(self._world)

    def ask(self, system: str, request: Request) -> Reply:
        if self._kept is not None and self._world.changed:
            self._world = self.systems.world = copy.deepcopy(self._kept)
        return self.systems.exchange(system, request, self.now).reply
