"""Makes the trouble that a play's options ask for, during the chaos; and the heal phase after it, with somebody at the desk."""

from collections.abc import Callable
from random import Random
from typing import Any

import anyio

from engine.errors import EngineError
from engine.ports import DATABASE_AWAY
from ops.desk import Desk
from ops.simulate.bridge import Bridge, Session
from ops.simulate.memory.faults import Asked, Strike
from ops.simulate.net import End
from ops.simulate.options import START_PATIENCE
from ops.simulate.play import Engine, Play
from ops.simulate.store import AT_WORK

SOON = 0.2  # seconds of the loop, at most, until an engine that ended is started again
CLERK = 5 * 60.0  # seconds of the world between two looks of the person at the desk
CHAOS = 600.0  # seconds of the world that it lasts at least
SHELF = 200  # units of a SKU that somebody puts there, once there is nothing left of anything: more than the website sells meanwhile


class Trouble:
    """The course of a play: chaos for as long as people act, then healing."""

    def __init__(self, play: Play) -> None:
        self._play, self._troubles = play, play.options.troubles
        self._chance = Random(f"trouble {play.seed}")
        self._left = play.options.budget
        self.calm = not play.options.from_start

    async def run(self) -> None:
        play = self._play
        for place in range(play.options.engines):
            play.start_engine(place)
        self._meddle()
        async with anyio.create_task_group() as group:
            group.start_soon(self._look_after)
            if self.calm:
                await play.until(lambda: bool(play.ask(AT_WORK)), "the engine is at work", START_PATIENCE)
                self.calm = False
            async with anyio.create_task_group() as chaos:
                for kind, number in (
                    ("crash", self._troubles.crashes),
                    ("pause", self._troubles.pauses),
                    ("restart", self._troubles.restarts),
                ):
                    for _ in range(number):
                        chaos.start_soon(getattr(self, f"_{kind}"))
                await self._until_people_are_done()
                chaos.cancel_scope.cancel()
            self._heal()
            group.start_soon(self._at_the_desk)
            await play.until_settled(play.options.heal_minutes)
            group.cancel_scope.cancel()

    async def _until_people_are_done(self) -> None:
        play = self._play
        end = play.clock.monotonic() + play.options.chaos_minutes * 60
        while play.clock.monotonic() < end and (play.world.actors.agenda.entries or play.clock.monotonic() < CHAOS):
            await play.wait(0.1)

    # ------------------------------------------------------------ what goes wrong

    def _spends(self, what: str) -> bool:
        """Whether one more may go wrong; then it does, and is counted."""
        if self.calm or self._left <= 0:
            return False
        self._left -= 1
        self._play.seen[f"fault {what}"] += 1
        return True

    def _fate(self, where: str, rates: dict[str, float]) -> Callable[..., Any]:
        def fate(_at: End | Session | None, _data: bytes) -> Any:
            drawn = self._chance.random()
            for name, rate in rates.items():
                if drawn < rate:
                    return name if self._spends(f"{where}_{name}") else ""
                drawn -= rate
            return ""

        return fate

    def _meddle(self) -> None:
        play = self._play
        if self._troubles.wire:
            play.network.fate = self._fate("wire", self._troubles.wire)
        if self._troubles.database and (bridge := self._bridge) is not None:
            bridge.fate = self._fate("database", self._troubles.database)
        elif self._troubles.database:
            stored: Any = play.stored
            stored.database.weather = _Storm(stored.database.weather, self._fate("database", self._troubles.database))
        faults, meet = play.sandbox.faults, play.sandbox.faults.meet

        def met(asked: Any, number: int, at: Any) -> Any:
            return None if self.calm or self._left <= 0 else meet(asked, number, at)

        faults.meet = met  # type: ignore[method-assign]

    @property
    def _bridge(self) -> Bridge | None:
        return getattr(self._play.stored, "bridge", None)

    def _heal(self) -> None:
        """From here on everything works."""
        self.calm = self._play.healing = True
        self._play.sandbox.faults.clear()
        for engine in self._play.engines:
            engine.process.on_message = None

    async def _sometime(self) -> None:
        """While people are at work."""
        await self._play.wait(self._play.clock.loop_seconds(self._chance.uniform(6.0, CHAOS)))

    def _any_engine(self) -> Engine | None:
        alive = [engine for engine in self._play.engines if engine.process.alive and engine.process.frozen is None]
        return self._chance.choice(alive) if alive else None

    async def _crash(self) -> None:
        await self._sometime()
        engine, side = self._any_engine(), self._chance.choice(("before", "after"))
        if engine is None or not self._spends("process_killed"):
            return
        at = engine.process.messages + self._chance.randint(1, 60)
        engine.process.on_message = lambda _: side if engine.process.messages >= at else None

    async def _pause(self) -> None:
        await self._sometime()
        engine = self._any_engine()
        if engine is None or not self._spends("process_stopped"):
            return
        self._play.loop.freeze(engine.process)
        with anyio.CancelScope(shield=True):
            await self._play.loop.pass_time(self._play.options.lease_seconds * self._chance.uniform(0.5, 3.0))
            self._play.loop.thaw(engine.process)

    async def _restart(self) -> None:
        await self._sometime()
        bridge = self._bridge
        if bridge is None or not self._spends("database_restarted"):
            return
        bridge.shut = True
        bridge.drop_all()
        with anyio.CancelScope(shield=True):
            await self._play.loop.pass_time(self._chance.uniform(0.05, 3.0))
            bridge.shut = False

    # ------------------------------------------------------------ what makes it good

    async def _look_after(self) -> None:
        """Whoever ended is started again, as systemd would."""
        play = self._play
        while True:
            await play.loop.pass_time(self._chance.uniform(0.02, SOON))
            for place in range(play.options.engines):
                last = [engine for engine in play.engines if engine.place == place][-1]
                if not last.process.alive:
                    play.start_engine(place)

    async def _at_the_desk(self) -> None:
        """Somebody who tries again what was refused, now that the cause is gone, each once; and refuses what was sold and is not there."""
        play, tried = self._play, set[str]()
        while True:
            await play.clock.sleep(CLERK)
            self._fill_the_shelves()
            desk = Desk(play.pool, play.log, play.settings, play.clock.now(), "clerk", ids=play.ids)
            try:
                troubles = await desk.troubles(closed=False)
            except DATABASE_AWAY:  # its tables too, where no engine has come to its first start yet
                continue
            for trouble in troubles:
                if trouble.key not in tried:
                    tried.add(trouble.key)
                    play.seen["person tried again"] += 1
                    try:
                        await desk.retry(trouble.key, "the cause is gone")
                        if trouble.code == "X14":
                            await desk.refuse(trouble.subject.rpartition(":")[2], "sold more than there is")
                    except EngineError:
                        play.seen["person could not try again"] += 1

    def _fill_the_shelves(self) -> None:
        """Where everything went on the website while nothing could be shown on the marketplace, its buyers would look in for ever."""
        world, sandbox = self._play.world, self._play.sandbox
        wait = any(due.what == "buyer" for due in world.actors.agenda.entries)
        if wait and not any(offer.quantity for offer in world.account.offers.values()):
            world.advance(self._play.clock.now())
            for sku, variants in sorted(world.shop.skus.items()):
                if len(variants) == 1:
                    self._play.seen["person filled a shelf"] += 1
                    sandbox.apply("act.shopify", {"do": "stock", "given": {"sku": sku, "quantity": SHELF}})


class _Storm:
    """The same troubles for a database in memory."""

    STRIKES = {
        "reset_before": Strike("lost_before"),
        "reset_after": Strike("lost_after"),
        "hole": Strike("mute_before"),
        "serialization": Strike("error", sqlstate="40001"),
        "deadlock": Strike("error", sqlstate="40P01"),
        "full": Strike("error", sqlstate="53100"),
    }

    def __init__(self, before: Any, fate: Callable[..., str]) -> None:
        self._fate, self.latency, self.refusal = fate, before.latency, before.refusal

    def strike(self, _: Asked) -> Strike | None:
        return self.STRIKES.get(self._fate(None, b""))


async def troubled(play: Play) -> None:
    """The course for `play(…, course=troubled)`."""
    await Trouble(play).run()
