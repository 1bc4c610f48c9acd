"""Given these events, when this one comes, then the row reads so and these commands follow."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from msgspec import Struct

from engine.projection import Policy, Projection
from schemas.commands import Command
from schemas.events import Event, Note

S = TypeVar("S", bound=Struct)


@dataclass
class Spec(Generic[S]):
    projection: Projection[S]
    policy: Policy[S] | None = None
    rows: dict[str, S] = field(default_factory=dict)
    asked: list[Command] = field(default_factory=list)
    told: list[Note] = field(default_factory=list)

    def fold(self, event: Event) -> None:
        for key in self.projection.keys(event):
            was = self.rows.get(key) or self.projection.initial(key)
            now = self.projection.evolve(was, event)
            self.rows[key] = now
            for what in self.policy(was, now) if self.policy else ():
                if isinstance(what, Note):
                    self.told.append(what)
                else:
                    self.asked.append(what)

    def given(self, *events: Event) -> "Spec[S]":
        for event in events:
            self.fold(event)
        self.asked.clear()
        self.told.clear()
        return self

    def when(self, *events: Event) -> "Spec[S]":
        for event in events:
            self.fold(event)
        return self

    def then_row(self, key: str, **expected: Any) -> "Spec[S]":
        row = self.rows[key]
        assert {name: getattr(row, name) for name in expected} == expected
        return self

    def then_asked(self, *commands: Command) -> "Spec[S]":
        assert self.asked == list(commands)
        return self

    def then_asked_kinds(self, kinds: Iterable[type[Command]]) -> "Spec[S]":
        assert [type(command) for command in self.asked] == list(kinds)
        return self

    def then_told(self, *notes: Note) -> "Spec[S]":
        assert self.told == list(notes)
        return self


def spec(projection: Projection[S], policy: Policy[S] | None = None) -> Spec[S]:
    return Spec(projection, policy)
