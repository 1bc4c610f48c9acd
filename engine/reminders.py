"""The clock as an outside system: what a policy wanted to be reminded of falls due like any other command, and is told as an event."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.adapter import Done, Effect, Endpoint, Finding, Performer, Reader, Source, Task
from schemas.commands import Command, Remind
from schemas.events.people import ReminderDue

TELL = Endpoint("REMIND", "", "", calls=1_000, per=1.0, batch=100)  # nobody is called: the ceiling is for form


async def remind(_client: None, tasks: Sequence[Task[Remind]]) -> Sequence[Done]:
    """Each in the stream that it is about."""
    return [Done((_told(task.command),)) for task in tasks]


def _told(command: Remind) -> Effect:
    event = ReminderDue(about=command.about, at=command.at)
    return Effect(event, f"{command.about}@{command.at.isoformat()}", occurred_at=command.at, stream=command.about)


class Reminders:
    """engine.adapter.Adapter that reaches nowhere."""

    target = "clock"
    client = None
    sources: Sequence[Source] = ()
    readers: Sequence[Reader] = ()
    performs: Mapping[type[Command], Performer[Any]] = {Remind: Performer(remind, TELL)}

    async def probe(self) -> Sequence[Finding]:
        """There is nothing to look at."""
        return ()

    async def prepare(self) -> None:
        """Nothing has to be in place."""

    async def aclose(self) -> None:
        """Nothing is open."""
