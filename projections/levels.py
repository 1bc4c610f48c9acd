"""Policies written as what a row calls for at any moment. What is asked, told and awaited because of a change is the difference.

A step is asked for once: when it is first called for, and again only when it ceased to be and is called for anew, or when a person or a
mapping lets a refused one go on (then its name changes).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from schemas.commands import Command, Remind
from schemas.events import Event, Note
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandRefused
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved, ExceptionRetried
from schemas.events.people import Redriven
from schemas.values import ChannelId, Instant


class Timed(Protocol):
    """What a row needs in order to be reminded."""

    @property
    def channel(self) -> ChannelId: ...
    @property
    def stream(self) -> str: ...
    @property
    def clock(self) -> Instant | None:
        """The last moment that it was reminded of; None: never yet."""
        ...


R = TypeVar("R", bound=Timed)


@dataclass(frozen=True)
class Levels(Generic[R]):
    """Three questions to a row. All are pure; `deadlines` are the moments at which the other two may answer otherwise."""

    wants: Callable[[R], Mapping[str, Command]]  # step -> what is asked for it
    troubles: Callable[[R], Mapping[str, ExceptionOpened]]  # key -> what waits for somebody
    deadlines: Callable[[R], Iterable[Instant]]
    notes: Callable[[R, R], Iterable[Note]] = lambda _was, _now: ()  # what else is told of a change

    def decide(self, was: R, now: R) -> Iterator[Command | Note]:
        """engine.projection.Policy."""
        yield from self.notes(was, now)
        yield from self._troubles(was, now)
        before = self.wants(was)
        for step, command in self.wants(now).items():
            if step not in before:
                yield command
        due = self.next_due(now)
        if due is not None and due != self.next_due(was):
            yield Remind(channel=now.channel, about=now.stream, at=due)

    def next_due(self, row: R) -> Instant | None:
        """The next moment of which it has not been reminded yet."""
        return min((at for at in self.deadlines(row) if row.clock is None or at > row.clock), default=None)

    def _troubles(self, was: R, now: R) -> Iterator[Note]:
        before, after = self.troubles(was), self.troubles(now)
        for key, trouble in after.items():
            if before.get(key) != trouble:
                yield trouble
        for key in before:
            if key not in after:
                yield ExceptionClosed(key=key, reason="its cause is gone", subject=now.stream)


# ---------------------------------------------------------------- steps


class Refusal(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A step that the other side will not take, or that was tried in vain."""

    detail: str
    field: str = ""
    word: str = ""  # for which there is no mapping
    buried: bool = False  # given up: it lies in the outbox, and is revived rather than asked for anew


class Steps(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What became of the steps of a row, where that is not what was hoped for; and what a person said to it."""

    refused: dict[str, Refusal] = {}  # step -> why it is not done
    let_go: dict[str, int] = {}  # step -> how often it was asked for anew
    settled: frozenset[str] = frozenset()  # exceptions that a person has settled elsewhere

    def name(self, step: str) -> str:
        """Under which it is asked for: another one each time that it is let go on."""
        return f"{step}#{self.let_go[step]}" if step in self.let_go else step

    def after(self, event: Event, tags: frozenset[str]) -> "Steps":
        """The same object where the event, or the command that it is about, is none of these tags' business."""
        match event:
            case CommandRefused(command=tag, detail=detail, field=field, word=word) if tag in tags:
                return replace(self, refused=self.refused | {step_of(event): Refusal(detail=detail, field=field, word=word)})
            case CommandBuried(command=tag, detail=detail) if tag in tags:
                return replace(self, refused=self.refused | {step_of(event): Refusal(detail=detail, buried=True)})
            case CommandConfirmed() if (step := step_of(event)) in self.refused:
                return replace(self, refused=_without(self.refused, {step}))
            case Redriven(key=key) | ExceptionRetried(key=key):
                return self._tried_again(key)
            case ExceptionResolved(key=key):
                return replace(self, settled=self.settled | {key})
        return self

    def _tried_again(self, key: str) -> "Steps":
        """The step that the exception names is no longer refused."""
        again = [step for step in self.refused if key.endswith(f":{step}")]
        if not again:
            return replace(self, settled=self.settled - {key}) if key in self.settled else self
        return self.let_on(again)

    def let_on(self, again: Collection[str]) -> "Steps":
        """These refused steps are asked for anew, if they are still called for."""
        anew = {step: self.let_go.get(step, 0) + 1 for step in again if not self.refused[step].buried}
        return replace(self, refused=_without(self.refused, again), let_go=self.let_go | anew)


# What tells a row of its steps.
OF_STEPS = (CommandConfirmed, CommandRefused, CommandBuried, Redriven, ExceptionRetried, ExceptionResolved)


def step_of(what: Command | CommandConfirmed | CommandRefused | CommandBuried) -> str:
    """What a step is called in a row: the command's tag, and its part where there can be several."""
    tag = str(what.__struct_config__.tag) if isinstance(what, Command) else what.command
    return f"{tag}:{what.part}" if what.part else tag


def _without(refused: Mapping[str, Refusal], gone: Collection[str]) -> dict[str, Refusal]:
    return {step: refusal for step, refusal in refused.items() if step not in gone}
