"""What cannot go on by itself, and whom it waits for. Stream: that of its subject."""

from schemas.events.base import Event, Note, Personal
from schemas.values import Instant, Money


class ExceptionOpened(Note, tag="exception_opened"):
    """Something needs a person or a repair. Opened once for each key; opening it again while it is open brings it up to date."""

    key: str  # code:subject[:part]; the same trouble has the same key
    code: str  # X01 … X97
    subject: str  # the stream it concerns
    summary: str  # one line, for people: what happened and why; names ids and fields, never a person
    field: str = ""  # where in the payload or the settings
    owner: str = "ENG"  # OPS, FIN, ECOM, CX, ENG
    severity: int = 2  # 1 now … 4 housekeeping
    next_step: str = ""  # what the owner does about it, in the system where the cause is
    deadline: Instant | None = None  # after which it costs money or standing
    at_stake: Money | None = None  # what is lost if nothing is done
    waits_for: str = ""  # {kind}:{channel}:{name} of a mapping that would let it go on

    @property
    def stream(self) -> str:
        return self.subject

    @property
    def part(self) -> str:
        return self.key


class ExceptionClosed(Note, tag="exception_closed"):
    """The cause is gone, or a person said so."""

    key: str
    reason: str
    subject: str = ""  # the stream it concerns

    @property
    def stream(self) -> str:
        return self.subject

    @property
    def part(self) -> str:
        return self.key


class ExceptionAssigned(Event, tag="exception_assigned"):
    """A person, or a role, is to look after it. Stream: that of its subject."""

    key: str
    to: str
    reason: str


class ExceptionRetried(Event, tag="exception_retried"):
    """A person believes that it works now: what was refused or given up is asked for again. Stream: that of its subject."""

    key: str
    subject: str
    reason: str


class ExceptionResolved(Event, tag="exception_resolved"):
    """A person has settled it elsewhere: it is closed, and what was refused is not asked for again. Stream: that of its subject."""

    key: str
    subject: str
    reason: str


class RawPayload(Personal, tag="raw_payload"):
    """A payload that could not be read, as it came, beside the exception it caused."""

    body: str
