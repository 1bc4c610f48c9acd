"""Two tenants in one database: each with its own world, its own engines and its own judges; neither sees anything of the other.

Orders, SKUs and numbers of both worlds have the same names, so that whatever is looked up without its tenant finds the wrong one; people
have other canaries. What befalls the database befalls both; else all goes well for the second.
"""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import structlog
from msgspec.structs import replace

from ops.sandbox.plan import Plan
from ops.simulate.invariants.evidence import Evidence, gather
from ops.simulate.options import Options, Troubles
from ops.simulate.play import BrokenError, Course, Play, Watcher, note_said

NEXT = 500_000  # from the first seed to the second
BASE = 100  # from the ports of the first one's places to those of the second
ORDERS = 6  # of the second


class Apart:
    """X3: no tenant sees another's events, rows, people or commands."""

    def __init__(self, other: Play) -> None:
        self._other = other

    def stepped(self, play: Play) -> None:
        """What is seen of others stays in the log."""

    async def settled(self, play: Play) -> None:
        known: dict[str, Any] = {"settings": play.settings, "now": play.clock.now(), "truth": {}, "settled": True}
        found = await gather(play.pool, play.log, **known)
        foreign = f"PII-{self._other.seed}-"
        play.seen["judged X3"] += 1
        if (where := _named(found, foreign)) is not None:
            raise BrokenError("X3", where, f"names a person of tenant {self._other.tenant}")
        for told in found.log:
            if told.tenant != play.tenant:
                raise BrokenError("X3", told.stream, f"position {told.position} is tenant {told.tenant}'s")


class Calm:
    """Judges nothing: whoever comes after it looks at a database that no trouble of the other tenant befalls any more."""

    def __init__(self, other: Play) -> None:
        self._other = other

    def stepped(self, play: Play) -> None:
        """It is the end that is judged by what the database says."""

    async def settled(self, play: Play) -> None:
        while not self._other.healing:
            await play.wait(1.0)


def _named(found: Evidence, canary: str) -> str | None:
    """Where that text stands, in clear or sealed."""
    for told in found.log:
        if canary in told.data or canary in told.stream or canary in (found.opened.get(told.position) or ""):
            return f"{told.stream} at position {told.position}"
    for name, rows in found.rows.items():
        for key, document in rows.items():
            if canary in document.text:
                return f"{name} {key}"
    return next((row["subject"] for row in found.outbox if canary in str(row["body"])), None)


def in_company(judge: Callable[[Options], Watcher]) -> Callable[[Play, Path, Course], Coroutine[Any, Any, None]]:
    """For `play(…, together=…)`. `judge` makes the watcher of the second tenant."""

    async def together(it: Play, directory: Path, course: Course) -> None:
        options = replace(it.options, plan=quiet(it.options), troubles=Troubles(), rare=(), engines=1)
        other = Play(
            it.seed + NEXT, options, loop=it.loop, network=it.network, stored=it.stored, watchers=[Calm(it), judge(options), Apart(it)]
        )
        other.base = BASE
        it.watchers = [*it.watchers, Apart(other)]
        structlog.configure(processors=[lambda *said: note_said(it, said) + note_said(other, said)])
        (directory / "beside").mkdir()
        async with anyio.create_task_group() as group:
            group.start_soon(other.run, directory / "beside", course)
            await it.run(directory, course)
        it.digest.update(other.digest.digest())
        it.seen.update({what: times for what, times in other.seen.items() if not what.startswith("fault")})
        it.seen["tenant beside"] += 1

    return together


def quiet(options: Options) -> Plan:
    """The same trade, in small, in which nothing goes wrong at the marketplaces."""
    return replace(options.plan, marketplace_orders=min(ORDERS, options.plan.marketplace_orders), faults={})
