"""What became of a command, from intent to outcome. Stream: the command's subject."""

from uuid import UUID

from schemas.commands import AnyCommand
from schemas.events.base import Event


class CommandIssued(Event, tag="command_issued"):
    """A policy or a person decided to ask a marketplace for something. Committed before any call."""

    command_id: UUID  # the idempotency key
    command: AnyCommand


class CommandConfirmed(Event, tag="command_confirmed"):
    """It is done; what it changed is told by the events beside this one."""

    command_id: UUID
    command: str  # its tag
    subject: str
    attempt: int
    part: str = ""  # which of the subject's commands of that tag
    found: bool = False  # True: by looking, not by an answer to our call


class CommandRefused(Event, tag="command_refused"):
    """The marketplace said no, and will again. The command is over; an exception is open on its subject."""

    command_id: UUID
    command: str
    subject: str
    attempt: int
    detail: str  # the marketplace's code or words, scrubbed
    field: str = ""  # which of our fields it does not like
    word: str = ""  # which of our words means nothing there, for want of a mapping
    part: str = ""


class CommandUnknown(Event, tag="command_unknown"):
    """A call was made and its outcome is not known. The command goes on as its class says."""

    command_id: UUID
    command: str
    subject: str
    attempt: int
    detail: str
    part: str = ""


class CommandBuried(Event, tag="command_buried"):
    """Tried as often as we may; a person must look."""

    command_id: UUID
    command: str
    subject: str
    attempt: int
    detail: str
    part: str = ""
