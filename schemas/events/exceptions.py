"""What cannot go on by itself, and whom it waits for. Stream: that of its subject."""

from schemas.events.base import Event, Personal


class ExceptionOpened(Event, tag="exception_opened"):
    """Something needs a person or a repair. Opened once for each key; opening it again while it is open changes nothing."""

    key: str  # code:subject[:field]; the same trouble has the same key
    code: str  # X01 … X95
    subject: str  # the stream it concerns
    summary: str  # one line, for people; names ids and fields, never a person
    field: str = ""  # where in the payload or the settings
    owner: str = "ENG"  # OPS, FIN, ECOM, CX, ENG
    severity: int = 2  # 1 now … 4 housekeeping


class ExceptionClosed(Event, tag="exception_closed"):
    """The cause is gone, or a person said so."""

    key: str
    reason: str


class RawPayload(Personal, tag="raw_payload"):
    """A payload that could not be read, as it came, beside the exception it caused."""

    body: str
