"""What may be asked for one command, as its class allows; and what the answer, or the want of one, means for it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from engine.adapter import Admission, Done, Effect, NotYet, Performer, Refused, Task
from engine.backoff import CAP, Breaker, RetryBudget, full_jitter
from engine.errors import AdapterError, AuthError, ErasedError, RejectedError, ThrottledError, UnavailableError, UnknownOutcomeError
from engine.outbox import Claimed, PutBack
from engine.ports import DATABASE_AWAY, Clock, Rng
from schemas.commands import Command, LookFirst, StateGuarded
from schemas.events import Event
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandRefused, CommandUnknown
from schemas.values import Instant

GIVE_UP = 12  # failures in a row: with the waits between them, about half an hour
STALE = "waited so long that it may not be true any more"
GIVE_UP_ON_A_BUG = 3  # tries of something that raises what nobody foresaw; trying helps only if the data changes
LOOKS = (
    2.0,
    5.0,
    15.0,
    60.0,
)  # seconds after a call whose answer was lost; then twice as far apart each time, until the quiet time is over


class Held(Struct, frozen=True):
    """A command in our hands, ready to be carried out."""

    claimed: Claimed
    command: Command
    task: Task[Any]

    @property
    def unknown_since(self) -> Instant | None:
        """No later than this did the last call leave whose answer was lost."""
        known = [when for when in (self.claimed.unknown_since, self.claimed.lost_at) if when is not None]
        return max(known) if known else None


class Outcome(Struct, frozen=True):
    """What came of it, to be recorded: effects and events in this order, and the row put back, or taken out."""

    claimed: Claimed
    state: str  # confirmed, refused, unknown, buried, retried, deferred
    effects: tuple[Effect, ...] = ()
    events: tuple[Event, ...] = ()
    back: PutBack | None = None  # None: it is over


class Standing:
    """How an outside system takes our calls: whether it is there, takes our key, and how many retries it can bear.

    One for all that calls it: polls that fail are a witness to an outage, so that a single command is not given up because of one. That it
    is over, only a command can tell: reading may work where writing does not.
    """

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock, self._rng = clock, rng
        self.outage = Breaker(5, base=5.0, cap=120.0)
        self.key = Breaker(1, base=60.0, cap=900.0)
        self._budget = RetryBudget(clock.monotonic())
        self._paused_until = 0.0

    @property
    def probing(self) -> bool:
        """In trouble: one call at a time, to see whether it is over."""
        return self.outage.open or self.key.open

    @property
    def troubles(self) -> dict[str, str]:
        """By exception code, each with a line for people."""
        said = {"X76": "our key is refused; commands wait", "X78": "nothing is answered; commands wait"}
        return {code: said[code] for code, breaker in (("X76", self.key), ("X78", self.outage)) if breaker.open}

    @property
    def pause(self) -> float:
        """Seconds until the next probe; 0: now."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    @property
    def retry_ratio(self) -> float:
        return self._budget.ratio(self._clock.monotonic())

    def called(self, commands: int) -> None:
        self._budget.called(self._clock.monotonic(), commands)

    def answered(self) -> None:
        self.outage.succeeded()
        self.key.succeeded()

    def unanswered(self, whose: object) -> bool:
        """Whether it counts against the command. It does not while nobody is answered."""
        self.outage.failed(whose)
        self._rest(self.outage)
        return not self.outage.open

    def refused_key(self) -> None:
        self.key.failed(None)
        self._rest(self.key)

    def retry_at(self, failures: int) -> datetime:
        """When to try again: after a backoff, or, with no retry left in the budget, much later."""
        chance = self._rng.uniform(0.0, 1.0)
        affordable = self._budget.spend(self._clock.monotonic())
        wait = full_jitter(failures, chance) if affordable else CAP * (0.5 + 0.5 * chance)
        return self._clock.now() + timedelta(seconds=wait)

    def _rest(self, breaker: Breaker) -> None:
        if breaker.open and self.pause == 0.0:
            self._paused_until = self._clock.monotonic() + breaker.pause(self._rng.uniform(0.0, 1.0))


class Performing:
    """Carries out what a dispatcher has claimed; touches neither outbox nor log."""

    def __init__(
        self, client: Any, limits: Admission, standing: Standing, clock: Clock, earlier: Callable[[Held], Awaitable[Instant | None]]
    ) -> None:
        """`earlier`: when another command's call for the same thing was last told of; None: never."""
        self._client, self._limits, self._standing, self._clock, self._earlier = client, limits, standing, clock, earlier

    async def carry_out(self, batch: Sequence[Held], performer: Performer[Any]) -> list[Outcome]:
        """One outcome for each. Raises nothing but cancellation: then nothing is known of what was under way."""
        outcomes: list[Outcome] = []
        ready: list[Held] = []
        for held in batch:
            if (self._clock.now() - held.task.issued_at).total_seconds() > performer.fresh:
                outcomes.append(self._over(held, "refused", CommandRefused, detail=STALE))
                continue
            outcome = await self._look(held, performer) if self._must_look(held) else None
            if outcome is not None:
                outcomes.append(outcome)
            else:
                ready.append(held)
        if ready:
            outcomes += await self._perform(ready, performer)
        return outcomes

    # ------------------------------------------------------------ look

    @staticmethod
    def _must_look(held: Held) -> bool:
        return isinstance(held.command, LookFirst) or (isinstance(held.command, StateGuarded) and held.unknown_since is not None)

    async def _look(self, held: Held, performer: Performer[Any]) -> Outcome | None:
        """None: it is not done, and may be asked for now."""
        assert performer.look is not None  # the dispatcher refuses to begin without
        looked_at = self._clock.now()  # what is found by then counts, however long the answer takes
        try:
            found = await performer.look(self._client, held.task)
            earlier = await self._earlier(held) if found is None and isinstance(held.command, LookFirst) else None
        except Exception as error:  # noqa: BLE001 - every failure has an outcome
            return self._not_seen(held, performer, error)
        self._standing.answered()
        if isinstance(found, Refused):
            return self._over(held, "refused", CommandRefused, detail=found.detail, field=found.field, word=found.word)
        if found is not None:
            return self._confirmed(held, found, found=True)
        calls = [when for when in (held.unknown_since, earlier) if when is not None]
        if isinstance(held.command, LookFirst) and calls:  # what one of them has done may not be found yet
            unknown_since = max(calls)
            elapsed = (looked_at - unknown_since).total_seconds()
            if elapsed < performer.quiet:
                return self._deferred(held, unknown_since + timedelta(seconds=next_look(elapsed, performer.quiet)))
        return None

    def _not_seen(self, held: Held, performer: Performer[Any], error: Exception) -> Outcome:
        match error:
            case ThrottledError(retry_after=seconds):  # of what was looked at: the command's own endpoint is free
                return self._deferred(held, self._clock.now() + timedelta(seconds=seconds))
            case AuthError() | ErasedError():
                return self._troubled(held, performer, error)
            case RejectedError():
                self._standing.answered()
                return self._retried(held, f"looking: {error.detail}", counts=True)
            case AdapterError():
                return self._retried(held, f"looking: {error.detail}", counts=self._standing.unanswered(held.claimed.command_id))
            case _ if isinstance(error, DATABASE_AWAY):
                return self._retried(held, f"looking: {type(error).__name__}", counts=False)
        return self._retried(held, f"looking: {type(error).__name__}", counts=True, limit=GIVE_UP_ON_A_BUG)

    # ------------------------------------------------------------ perform

    async def _perform(self, batch: Sequence[Held], performer: Performer[Any]) -> list[Outcome]:
        self._standing.called(len(batch))
        try:
            answers = await performer.perform(self._client, [held.task for held in batch])
            pairs = list(zip(batch, answers, strict=True))
        except RejectedError as error:
            self._standing.answered()
            if len(batch) == 1:
                return [await self._refused(batch[0], performer, Refused(error.detail, error.field))]
            return [self._halved(held, error.detail) for held in batch]
        except Exception as error:  # noqa: BLE001 - every failure has an outcome
            return [self._troubled(held, performer, error, alone=len(batch) == 1) for held in batch]
        self._standing.answered()
        outcomes = []
        for held, answer in pairs:
            match answer:
                case Done():
                    outcomes.append(self._confirmed(held, answer))
                case Refused():
                    outcomes.append(await self._refused(held, performer, answer))
                case NotYet(seconds=seconds):
                    outcomes.append(self._deferred(held, self._clock.now() + timedelta(seconds=seconds), answered=True))
        return outcomes

    def _troubled(self, held: Held, performer: Performer[Any], error: Exception, *, alone: bool = True) -> Outcome:
        whose = held.claimed.command_id
        match error:
            case ThrottledError(retry_after=seconds):
                self._limits.hold(performer.endpoint, seconds)
                return self._deferred(held, self._clock.now() + timedelta(seconds=seconds))
            case AuthError():
                self._standing.refused_key()
                return self._deferred(held, self._clock.now())
            case UnavailableError():
                return self._retried(held, error.detail, counts=self._standing.unanswered(whose))
            case UnknownOutcomeError():
                return self._unknown(held, error.detail, counts=self._standing.unanswered(whose))
            case ErasedError():
                return self._over(held, "refused", CommandRefused, detail="what it needs to know of a person was erased")
            case _ if isinstance(error, DATABASE_AWAY):  # ours, which is asked before the call and after it
                return self._unknown(held, type(error).__name__, counts=False)
        # A bug of ours, after the call for all we know. Its text is not ours to show: it may hold what a person wrote.
        return self._unknown(held, type(error).__name__, counts=True, limit=GIVE_UP_ON_A_BUG if alone else GIVE_UP, halve=not alone)

    # ------------------------------------------------------------ outcomes

    def _confirmed(self, held: Held, done: Done, *, found: bool = False) -> Outcome:
        return self._over(held, "confirmed", CommandConfirmed, effects=done.effects, found=found)

    async def _refused(self, held: Held, performer: Performer[Any], said: Refused) -> Outcome:
        """A second asking is refused too, where the first took effect: so look before believing it."""
        if performer.look is not None:
            try:
                found = await performer.look(self._client, replace(held.task, called=True))
            except Exception as error:  # noqa: BLE001 - every failure has an outcome
                return self._not_seen(held, performer, error)
            if isinstance(found, Done):
                return self._confirmed(held, found, found=True)
        return self._over(held, "refused", CommandRefused, detail=said.detail, field=said.field, word=said.word)

    def _over(self, held: Held, state: str, kind: type[Event], *, effects: tuple[Effect, ...] = (), **fields: Any) -> Outcome:
        return Outcome(held.claimed, state, effects, (self._event(held, kind, **fields),))

    def _deferred(self, held: Held, due_at: datetime, *, answered: bool = False) -> Outcome:
        """Not an attempt."""
        failures = 0 if answered else held.claimed.failures
        return Outcome(held.claimed, "deferred", back=self._back(held, due_at, failures, None if answered else held.unknown_since))

    def _halved(self, held: Held, detail: str) -> Outcome:
        """Somebody in the batch is not liked: each half is asked for by itself, so that the others get through."""
        back = self._back(held, self._clock.now(), held.claimed.failures, held.unknown_since, detail=detail, halve=True)
        return Outcome(held.claimed, "retried", back=back)

    def _retried(self, held: Held, detail: str, *, counts: bool, limit: int = GIVE_UP) -> Outcome:
        failures = held.claimed.failures + int(counts)
        if failures >= limit:
            back = self._back(held, self._clock.now(), failures, held.unknown_since, detail=detail, buried=True)
            return Outcome(held.claimed, "buried", (), (self._event(held, CommandBuried, detail=detail),), back)
        due_at = self._standing.retry_at(failures) if counts else self._clock.now()  # in an outage, probes are paced for all together
        return Outcome(held.claimed, "retried", back=self._back(held, due_at, failures, held.unknown_since, detail=detail))

    def _unknown(self, held: Held, detail: str, *, counts: bool, limit: int = GIVE_UP, halve: bool = False) -> Outcome:
        now, failures = self._clock.now(), held.claimed.failures + int(counts)
        lost = self._event(held, CommandUnknown, detail=detail)
        if failures >= limit:
            back = self._back(held, now, failures, now, detail=detail, buried=True)
            return Outcome(held.claimed, "buried", (), (lost, self._event(held, CommandBuried, detail=detail)), back)
        due_at = self._standing.retry_at(failures) if counts else now
        if isinstance(held.command, LookFirst):
            due_at = now + timedelta(seconds=LOOKS[0])
        return Outcome(held.claimed, "unknown", (), (lost,), self._back(held, due_at, failures, now, detail=detail, halve=halve))

    @staticmethod
    def _event(held: Held, kind: type[Event], **fields: Any) -> Event:
        claimed = held.claimed
        story = {"command_id": claimed.command_id, "command": claimed.tag, "subject": claimed.subject, "attempt": claimed.attempt}
        return kind(**story, part=held.command.part, **fields)

    @staticmethod
    def _back(
        held: Held,
        due_at: datetime,
        failures: int,
        unknown_since: Instant | None,
        *,
        detail: str = "",
        halve: bool = False,
        buried: bool = False,
    ) -> PutBack:
        return PutBack(
            command_id=held.claimed.command_id,
            attempt=held.claimed.attempt,
            due_at=due_at,
            failures=failures,
            halvings=held.claimed.halvings + int(halve),
            unknown_since=unknown_since,
            buried=buried,
            last_error=detail,
        )


def next_look(elapsed: float, quiet: float) -> float:
    """Seconds after the lost call at which to look next, so many having passed; the last look is when the quiet time is over."""
    upcoming = next((moment for moment in LOOKS if moment > elapsed), LOOKS[-1])
    while upcoming <= elapsed:
        upcoming *= 2.0
    return min(upcoming, quiet)
