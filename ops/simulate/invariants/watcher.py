"""Looks on while a play is played, and judges it by every invariant."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from prometheus_client import generate_latest

from engine.metrics import Metrics
from engine.ports import DATABASE_AWAY
from ops.simulate.invariants.evidence import Breach, Evidence, Outage, Posted, Watch, gather, witness
from ops.simulate.invariants.table import watch
from ops.simulate.play import BrokenError, Play
from ops.simulate.seen import of
from ops.simulate.settled import accidents
from schemas.envelope import Envelope

LOOK = 25  # calls that changed something, between two looks of the referee
TRIES = 5
AGAIN = (120.0, 180.0, 600.0, 900.0, 900.0, 900.0)  # seconds of the world between two looks at the end: L1's half hour, a sweep's quarters


class Invariants:
    """A watcher of one play. `only` some invariants, where others are bound to break too.

    With every request that is answered, as cheap as can be: after so many changes the referee judges from outside. `looked`, now and
    then: what came into the log since, event by event, and everything that leaves a trace. `settled`, at the end: all of it.
    """

    def __init__(self, only: frozenset[str] = frozenset(), *, skew: float = 0.0) -> None:
        self.only, self.skew = only, skew
        self.outages: list[Outage] = []
        self.seen: Counter[str] = Counter()
        self._watch: Watch | None = None
        self._posted: Sequence[Posted] = ()
        self._log: list[Envelope] = []
        self._changes = 0

    def attend(self, play: Play) -> Watch:
        """From now on every webhook is noted. The first look does so too."""
        if self._watch is None:
            self._watch, self._posted = watch(play.settings, self.only), witness(play.sandbox)
        return self._watch

    def stepped(self, play: Play) -> None:
        if play.pool is None:
            return  # nobody has asked anything yet
        watching, changes = self.attend(play), len(play.world.calls.calls)
        if changes - self._changes >= LOOK:
            self._changes = changes
            _raise(watching.judge(self._outside(play)))

    def _outside(self, play: Play) -> Evidence:
        """What is seen without the log."""
        known: dict[str, Any] = {"truth": play.truth(), "pace": play.options.speed, "accidents": accidents(play)}
        return Evidence(settings=play.settings, now=play.clock.now(), log=(), **known)

    async def looked(self, play: Play) -> None:
        """Raises BrokenError."""
        _raise(await self.looks(play))

    async def looks(self, play: Play) -> list[Breach]:
        """The same, and everything that it finds."""
        return self.attend(play).look(await self._evidence(play, settled=False))

    async def settled(self, play: Play) -> None:
        """What does not hold may be what people did at the last moment, of which we are about to hear: so it is looked at again."""
        watching, found = self.attend(play), await self._evidence(play, settled=True)
        breaches = watching.quiet(found)
        for seconds in AGAIN:
            if not breaches:
                break
            await play.wait(play.clock.loop_seconds(seconds))
            found = await self._evidence(play, settled=True)
            breaches = watching.quiet(found)
        _raise(breaches)
        self._count(watching, found)

    async def breaches(self, play: Play) -> list[Breach]:
        """Everything that does not hold at the end, and not the first of it alone."""
        watching, found = self.attend(play), await self._evidence(play, settled=True)
        breaches = watching.quiet(found)
        self._count(watching, found)
        return breaches

    def _count(self, watching: Watch, found: Evidence) -> None:
        self.seen = of(found)
        self.seen.update({f"judged {name}": times for name, times in watching.judged.items() if times})
        self.seen.update({f"passed-over {name}": times for name, times in watching.passed_over.items()})

    async def _evidence(self, play: Play, *, settled: bool) -> Evidence:
        """Whoever watches is cut off like everybody else, and asks again."""
        for _ in range(TRIES):
            with suppress(*DATABASE_AWAY):
                return await self._gathered(play, settled=settled)
            await play.wait(1.0)
        return await self._gathered(play, settled=settled)

    async def _gathered(self, play: Play, *, settled: bool) -> Evidence:
        found = await gather(
            play.pool,
            play.log,
            () if settled else self._log,  # at the end all of it is read once more: it may have been rewritten
            settings=play.settings,
            now=play.clock.now(),
            truth=play.truth(),
            metrics=(living := [engine.service.metrics for engine in play.engines if engine.process.alive]),
            told={"a line of the log": "\n".join(play.said), **(_shown(living) if settled else {})},
            posted=tuple(self._posted),  # what comes while the log is read need not be in it
            outages=self.outages,
            skew=self.skew,
            pace=play.options.speed,
            accidents=accidents(play),
            settled=settled,
        )
        self._log = list(found.log)
        return found


def _shown(metrics: Sequence[Metrics]) -> dict[str, str]:
    return {f"metrics {number}": generate_latest(one.registry).decode() for number, one in enumerate(metrics)}


def _raise(found: Sequence[Breach]) -> None:
    for breach in found:
        raise BrokenError(breach.invariant, breach.subject, breach.says)
