"""Hears what is new outside: sources are asked again and again, readers follow the hints in the log.

What was heard and how far it was read are committed together, under the lease's epoch. So nothing is passed over, and what is heard
twice says so by its id.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import anyio
import anyio.lowlevel
import asyncpg
from msgspec.structs import replace as struct

from engine.adapter import Heard, Reader, ResumedSource, SlowSource, Source
from engine.alarm import Alarm
from engine.backoff import Breaker, full_jitter
from engine.errors import AdapterError, AuthError, LeaseLostError, RejectedError, ThrottledError
from engine.inbox import append_heard, news, own_fact
from engine.log import Fence, Log
from engine.metrics import Metrics
from engine.perform import Standing
from engine.ports import DATABASE_AWAY, Clock, Rng
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved, ExceptionRetried
from schemas.values import Instant

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

FIND_CURSOR = "SELECT cursor, committed_at FROM crossdock.cursors WHERE tenant = $1 AND name = $2"
SAVE_CURSOR = """
WITH held AS (
    SELECT epoch FROM crossdock.leases WHERE tenant = $1 AND name = $5 AND epoch = $6 FOR KEY SHARE
)
INSERT INTO crossdock.cursors (tenant, name, cursor, committed_at) SELECT $1, $2, $3, $4 FROM held
ON CONFLICT (tenant, name) DO UPDATE SET cursor = excluded.cursor, committed_at = excluded.committed_at
RETURNING cursor
"""

TICK = 1.0  # seconds of the event loop; how late a wake-up that went astray is made good
PATIENCE = 5  # failures in a row before people are told
PROBE = (60.0, 900.0)  # seconds between two polls with a key that is refused: at first, and at most

PAGE = 1_000  # events looked through at once for hints
HINTS = 50  # read in one go; half a page of Shopify's `nodes`
MOST_ASIDE = 100  # hints that failed and are tried again by themselves; beyond, no new ones are taken
GIVE_UP = 5  # tries of a hint by itself
DATABASE_CAP = 10.0  # seconds between two tries while our own database is away: it is asked by nobody else


class _Place:
    """Where one source or reader has got to; and the one way on."""

    def __init__(self, pool: Pool, log: Log, what: Source | Reader, clock: Clock, metrics: Metrics) -> None:
        self._pool, self._log, self._name, self._clock, self._metrics = pool, log, what.name, clock, metrics
        self.alarm = Alarm(log, clock, what.target, what.name)

    def shown(self) -> AbstractContextManager[None]:
        """In here its age is to be seen."""
        return self._metrics.kept((self._metrics.cursor_age_seconds, (self._log.tenant, self._name)))

    def reached(self, at: Instant) -> None:
        """Then the cursor was committed, or nothing was new. How long ago that is grows by itself, also where nobody asks any more."""
        age = self._metrics.cursor_age_seconds.labels(self._log.tenant, self._name)
        age.set_function(lambda: (self._clock.now() - at) / timedelta(seconds=1))

    async def load(self) -> str | None:
        row = await self._pool.fetchrow(FIND_CURSOR, self._log.tenant, self._name)
        if row is None:
            return None
        self.reached(row["committed_at"])
        cursor: str = row["cursor"]
        return cursor

    async def move(self, fence: Fence, heard: Sequence[Heard], cursor: str | None) -> None:
        """Commit facts and cursor together; the facts alone, where there is no cursor yet. Raises LeaseLostError."""
        if any(each.same is not None for each in heard):
            async with self._log.hearing:
                fresh = await self._commit(fence, await news(self._log, heard), cursor)
        else:
            fresh = await self._commit(fence, heard, cursor)
        self._metrics.poll_items.labels(self._log.tenant, self._name).inc(fresh)

    async def _commit(self, fence: Fence, fresh: Sequence[Heard], cursor: str | None) -> int:
        now = self._clock.now()
        async with self._pool.acquire() as conn, conn.transaction():
            if cursor is not None:
                place = (self._log.tenant, self._name, cursor, now, fence.lease, fence.epoch)
                if await conn.fetchval(SAVE_CURSOR, *place) is None:
                    raise LeaseLostError(f"{self._name}: epoch {fence.epoch} is over")
            position = await append_heard(conn, self._log, fresh, fence, now)
        if cursor is not None:
            self.reached(now)
        if position:
            self._log.ring(position)
        return len(fresh)

    def count(self, outcome: str) -> None:
        self._metrics.poll_runs.labels(self._log.tenant, self._name, outcome).inc()
        if outcome == "ok":
            self._metrics.poll_last_success.labels(self._log.tenant, self._name).set(self._clock.now().timestamp())


class Poller:
    """Asks one source, every so often. Runs under the lease of its outside system."""

    def __init__(self, *, pool: Pool, log: Log, source: Source, standing: Standing, clock: Clock, rng: Rng, metrics: Metrics) -> None:
        self.source = source
        self._place = _Place(pool, log, source, clock, metrics)
        self._standing, self._clock, self._rng = standing, clock, rng
        self._rung = anyio.Event()
        self._asked: list[_Asked] = []
        self._running = False
        self._failures = 0

    async def nudge(self) -> bool:
        """Poll now. Returns when a poll that began after this has ended: whether it was committed. False at once where nobody polls."""
        await anyio.lowlevel.checkpoint()
        if not self._running:
            return False
        asked = _Asked()
        self._asked.append(asked)
        self._rung.set()
        await asked.answered.wait()
        return asked.committed

    async def run(self, fence: Fence) -> None:
        """Poll until cancelled. Raises LeaseLostError."""
        self._running = True
        self._place.alarm.forget()
        if isinstance(self.source, ResumedSource):
            self.source.resume()
        try:
            with self._place.shown():
                while True:
                    self._rung = anyio.Event()
                    asked, self._asked = self._asked, []
                    try:
                        wait = await self._poll(fence)
                    finally:
                        for each in asked:
                            each.answer(committed=self._failures == 0)
                    with anyio.move_on_after(self._clock.loop_seconds(wait)):
                        await self._rung.wait()
        finally:
            self._running = False
            for each in self._asked:
                each.answer(committed=False)

    async def _poll(self, fence: Fence) -> float:
        """One poll; returns seconds until the next."""
        self._failures += 1
        try:
            if isinstance(self.source, SlowSource):
                self.source.tell = lambda heard: self._place.move(fence, heard, None)
            sight = await self.source.poll(await self._place.load())
            await self._place.move(fence, sight.heard, sight.cursor)
            await self._place.alarm.show(fence, {})
        except ThrottledError as error:
            self._place.count("throttled")
            return max(error.retry_after, 1.0)
        except AuthError:
            self._place.count("auth")
            await self._place.alarm.show(fence, {"X76": f"our key is refused for {self.source.name}"})
            return min(PROBE[0] * 2.0 ** (min(self._failures, 32) - 1), PROBE[1])
        except DATABASE_AWAY:
            self._place.count("database")
            return max(full_jitter(self._failures, self._rng.uniform(0.0, 1.0), cap=DATABASE_CAP), 1.0)
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - a source that fails must not take the others with it
            await self._failed(fence, error)
        else:
            self._failures = 0
            self._place.count("ok")
            return self.source.every if sight.again is None else sight.again
        return max(full_jitter(self._failures, self._rng.uniform(0.0, 1.0)), 1.0)

    async def _failed(self, fence: Fence, error: Exception) -> None:
        name = self.source.name
        match error:
            case RejectedError():
                self._place.count("rejected")
                await self._place.alarm.show(fence, {"X79": f"{name} is refused: {error.detail}"})
            case AdapterError():
                self._place.count("unavailable")
                self._standing.unanswered(name)
                if self._failures >= PATIENCE:
                    await self._place.alarm.show(fence, {"X78": f"{name} gets no answer: {error.detail}"})
            case _:
                self._place.count("failed")
                if self._failures >= PATIENCE:
                    await self._place.alarm.show(fence, {"X84": f"{name} keeps failing: {type(error).__name__}"})


class _Asked:
    """Somebody who waits for a poll."""

    def __init__(self) -> None:
        self.answered = anyio.Event()
        self.committed = False

    def answer(self, *, committed: bool) -> None:
        self.committed = committed
        self.answered.set()


@dataclass(frozen=True)
class _Aside:
    """A hint that failed by itself."""

    hint: Envelope
    tries: int
    due: float  # monotonic


class Following:
    """Reads again what the log hints at, in order. A hint that fails is set aside and tried by itself, in the end passed over: it holds up
    the others for no more than one try. Runs under the lease of its outside system.
    """

    def __init__(self, *, pool: Pool, log: Log, reader: Reader, standing: Standing, clock: Clock, rng: Rng, metrics: Metrics) -> None:
        self.reader = reader
        self._log, self._standing, self._clock, self._rng = log, standing, clock, rng
        self._clear = False  # nobody is told of any trouble of ours, for all we know
        self._place = _Place(pool, log, reader, clock, metrics)
        self._at = self._saved = 0  # looked through up to here; the cursor in the database
        self._aside: dict[int, _Aside] = {}  # by position
        self._outage = Breaker(PATIENCE, base=5.0, cap=60.0)
        self._probe_at = 0.0  # monotonic
        self._refusals = 0  # of our key, in a row

    async def run(self, fence: Fence) -> None:
        """Follow until cancelled. Raises LeaseLostError."""
        with self._place.shown():
            await self._follow(fence)

    async def _follow(self, fence: Fence) -> None:
        self._outage.succeeded()
        self._place.alarm.forget()
        loaded = False
        async with self._log.listen() as wake:
            while True:
                wait = 0.0
                try:
                    if not loaded:
                        self._at = self._saved = int(await self._place.load() or 0)
                        self._aside.clear()
                        self._outage.succeeded()  # what was to be probed with is not set aside any more: it is read again
                        loaded, self._clear = True, False
                    if await self._step(fence):
                        continue
                except ThrottledError as error:
                    self._place.count("throttled")
                    wait = error.retry_after
                except AuthError:
                    self._place.count("auth")
                    wait = min(PROBE[0] * 2.0 ** min(self._refusals, 32), PROBE[1])
                    self._refusals += 1
                    await self._place.alarm.show(fence, {"X76": f"our key is refused for {self.reader.name}"})
                except DATABASE_AWAY:
                    self._place.count("database")
                    loaded = False  # what was read since the last commit is not in the log: read it again
                await (self._clock.sleep(wait) if wait else wake(TICK))

    async def _step(self, fence: Fence) -> bool:
        """Read what is next; False: there is nothing to do at this moment."""
        now = self._clock.monotonic()
        if self._outage.open:
            if now < self._probe_at or not self._aside:
                return False
            await self._alone(fence, min(self._aside.values(), key=lambda each: (each.due, each.hint.position)).hint)  # each in its turn
            return True
        for each in [each for each in self._aside.values() if each.due <= now]:
            await self._alone(fence, each.hint)
        if len(self._aside) >= MOST_ASIDE:
            return False
        hints, through = await self._next()
        if hints:
            await self._together(fence, hints, through)
        elif through == self._at:
            await self._all_clear(fence)
            if not self._aside:
                self._place.reached(self._clock.now())
            return False
        self._at = through
        if self._cursor != self._saved and (hints or self._cursor - self._saved >= PAGE):
            await self._move(fence, ())
        return True

    async def _together(self, fence: Fence, hints: Sequence[Envelope], through: int) -> None:
        try:
            heard = await self.reader.read(hints)
        except (ThrottledError, AuthError, *DATABASE_AWAY):
            raise
        except Exception as error:  # noqa: BLE001 - one of them, or all: each is asked for by itself
            if len(hints) == 1:
                await self._failed(fence, hints[0], error)
            else:
                for hint in hints:
                    await self._alone(fence, hint)
        else:
            await self._read(fence, hints, heard, through)

    async def _next(self) -> tuple[list[Envelope], int]:
        """The next hints, and up to where these are all."""
        page = await self._log.page(self._at, PAGE)
        found = [page.after + place for place, event in enumerate(page.events, 1) if self._is_for_us(event)]
        if not found:
            return [], page.last
        taken = found[:HINTS]
        envelopes = await self._log.read(taken[0] - 1, taken[-1] - taken[0] + 1)
        hints = [await self._hint(each) for each in envelopes if self._is_for_us(each.event)]
        return [each for each in hints if each is not None], taken[-1] if len(taken) < len(found) else page.last

    def _is_for_us(self, event: Event) -> bool:
        return self.reader.follows(event) or self._is_wanted_again(event)

    def _is_wanted_again(self, event: Event) -> bool:
        """Whether a person wants that to be read which was passed over."""
        return isinstance(event, ExceptionRetried) and event.key == self._key(event.subject)

    async def _hint(self, envelope: Envelope) -> Envelope | None:
        """Itself, or the one that is wanted again, in its place."""
        if not self._is_wanted_again(envelope.event):
            return envelope
        earlier = [each for each in await self._log.read_stream(envelope.stream) if each.position < envelope.position]
        hints = [each for each in earlier if self.reader.follows(each.event)]
        return struct(hints[-1], position=envelope.position) if hints else None

    async def _alone(self, fence: Fence, hint: Envelope) -> None:
        try:
            heard = await self.reader.read([hint])
        except (ThrottledError, AuthError, *DATABASE_AWAY):
            raise
        except Exception as error:  # noqa: BLE001 - set aside, and told in the end
            await self._failed(fence, hint, error)
        else:
            self._aside.pop(hint.position, None)
            await self._read(fence, [hint], heard, self._at)

    async def _read(self, fence: Fence, hints: Sequence[Envelope], heard: Sequence[Heard], through: int) -> None:
        self._at = through
        await self._move(fence, [*heard, *await self._healed(hints)])
        self._outage.succeeded()
        self._refusals = 0
        self._place.count("ok")
        self._clear = False
        await self._all_clear(fence)

    async def _all_clear(self, fence: Fence) -> None:
        """Where nothing is left to be read, nothing is refused either: told again, if it could not be told when it was read."""
        if not self._clear:
            await self._place.alarm.show(fence, {})
            self._clear = True

    async def _failed(self, fence: Fence, hint: Envelope, error: Exception) -> None:
        """Set a hint aside; pass it over when it has had its tries. In an outage they do not count."""
        self._place.count("rejected" if isinstance(error, RejectedError) else "failed")
        counts, said = True, error.detail if isinstance(error, AdapterError) else type(error).__name__
        if isinstance(error, AdapterError) and not isinstance(error, RejectedError):
            self._outage.failed(hint.position)
            self._standing.unanswered(hint.position)
            counts = not self._outage.open
        if self._outage.open:
            self._probe_at = self._clock.monotonic() + self._outage.pause(self._rng.uniform(0.0, 1.0))
            await self._place.alarm.show(fence, {"X78": f"{self.reader.name} gets no answer: {said}"})
        tries = (self._aside[hint.position].tries if hint.position in self._aside else 0) + int(counts)
        wait = full_jitter(tries, self._rng.uniform(0.0, 1.0))
        self._aside[hint.position] = _Aside(hint, tries, self._clock.monotonic() + wait)
        if tries >= GIVE_UP:
            told = await self._given_up(hint, said)
            del self._aside[hint.position]
            await self._move(fence, told)

    async def _given_up(self, hint: Envelope, said: str) -> list[Heard]:
        """That it is passed over; nothing where that is known, since a successor may have begun before it, and be told otherwise."""
        opened, over = (await self._passed_over([hint.stream])).get(hint.stream, (None, None))
        if opened and not over:
            return []
        summary = f"{self.reader.name} cannot read what {hint.stream} hints at: {said}"
        event = ExceptionOpened(
            key=self._key(hint.stream),
            code="X79",
            subject=hint.stream,
            summary=summary,
            next_step="retry once its cause is gone",
        )
        identity = f"{self.reader.name}:{hint.event_id}:{over.event_id}" if over else f"{self.reader.name}:{hint.event_id}"
        return [Heard(hint.stream, own_fact(self._log.tenant, event, identity, self._clock.now()))]

    async def _healed(self, hints: Sequence[Envelope]) -> list[Heard]:
        """What is read again now, after it had been passed over."""
        healed = []
        for stream, (opened, over) in sorted((await self._passed_over({hint.stream for hint in hints})).items()):
            if not over:
                event = ExceptionClosed(key=self._key(stream), reason="it could be read again", subject=stream)
                healed.append(Heard(stream, own_fact(self._log.tenant, event, str(opened.event_id), self._clock.now())))
        return healed

    async def _passed_over(self, streams: Collection[str]) -> dict[str, tuple[Envelope, Envelope | None]]:
        """Of each that ever was: the last time that it was told, and what put an end to that, be it a person's word."""
        opened = await self._log.last([(stream, self._key(stream)) for stream in streams], ExceptionOpened, "key")
        found: dict[str, tuple[Envelope, Envelope | None]] = {place[0]: (envelope, None) for place, envelope in opened.items()}
        for kind in (ExceptionClosed, ExceptionResolved) if opened else ():
            for (stream, _), over in (await self._log.last(list(opened), kind, "key")).items():
                if over.position > found[stream][0].position:
                    found[stream] = (found[stream][0], over)
        return found

    def _key(self, stream: str) -> str:
        """Of what this reader has passed over: what another one cannot read is not healed by what this one can."""
        return f"X79:{stream}:{self.reader.name}"

    @property
    def _cursor(self) -> int:
        """Before the oldest hint that is set aside."""
        return min([*self._aside, self._at + 1]) - 1

    async def _move(self, fence: Fence, heard: Sequence[Heard]) -> None:
        cursor = self._cursor
        await self._place.move(fence, heard, str(cursor))
        self._saved = cursor
