"""What waits for somebody: one row a trouble, open or closed, with all that its owner needs to know."""

from collections.abc import Iterable
from datetime import UTC

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from schemas.events import Event
from schemas.events.exceptions import ExceptionAssigned, ExceptionClosed, ExceptionOpened, ExceptionResolved, ExceptionRetried
from schemas.values import Instant, Money

NEVER = Instant.max.replace(tzinfo=UTC)


class Trouble(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One exception. Key: its own."""

    key: str
    open: bool = False
    code: str = ""
    subject: str = ""
    summary: str = ""
    field: str = ""
    owner: str = "ENG"
    severity: int = 2
    next_step: str = ""
    deadline: Instant | None = None
    at_stake: Money | None = None
    waits_for: str = ""
    assigned_to: str = ""
    retried: int = 0  # times that a person let it try again since it was opened
    closed_because: str = ""

    @property
    def urgency(self) -> tuple[int, Instant, str]:
        """What is to be looked at first sorts first."""
        return self.severity, self.deadline or NEVER, self.key


def keys(event: Event) -> Iterable[str]:
    match event:
        case (
            ExceptionOpened(key=key)
            | ExceptionClosed(key=key)
            | ExceptionAssigned(key=key)
            | ExceptionRetried(key=key)
            | ExceptionResolved(key=key)
        ):
            return (key,)
    return ()


def evolve(trouble: Trouble, event: Event) -> Trouble:
    match event:
        case ExceptionOpened():
            return Trouble(
                key=trouble.key,
                open=True,
                code=event.code,
                subject=event.subject,
                summary=event.summary,
                field=event.field,
                owner=event.owner,
                severity=event.severity,
                next_step=event.next_step,
                deadline=event.deadline,
                at_stake=event.at_stake,
                waits_for=event.waits_for,
                assigned_to=trouble.assigned_to if trouble.open else "",
                retried=trouble.retried if trouble.open else 0,
            )
        case ExceptionClosed(reason=reason):
            return _closed(trouble, reason)
        case ExceptionAssigned(to=to):
            return replace(trouble, assigned_to=to)
        case ExceptionRetried():
            return replace(trouble, retried=trouble.retried + 1)
        case ExceptionResolved(reason=reason):
            return _closed(trouble, f"settled by a person: {reason}")
    return trouble


def _closed(trouble: Trouble, reason: str) -> Trouble:
    return replace(trouble, open=False, closed_because=reason) if trouble.open else trouble


exceptions = Projection(name="exceptions", state=Trouble, initial=lambda key: Trouble(key=key), keys=keys, evolve=evolve)
