"""Every error, sorted by what to do about it.

EngineError
├── ConflictError            the stream has moved on          read again, decide again
├── EventIdConflictError     one event id, two bodies         keep both, open an exception
├── SchemaError              stored bytes fit no schema       stop that projection; write an upcaster
├── ChainError               the log is not as it was         send nothing more; preserve it; compare with what is kept elsewhere
├── LeaseLostError           another worker took it           drop the result
├── ErasedError              the key of a subject is gone     go on without what was sealed
├── StartupError             this must not run as it is       say what and how to mend it; exit
└── AdapterError             a marketplace (target, endpoint, request_id) …
    ├── UnavailableError     … does not answer                wait with backoff; counts as an attempt
    ├── ThrottledError       … finds us too fast              wait `retry_after`; not an attempt
    ├── UnknownOutcomeError  … may have done it               look before asking again
    ├── RejectedError        … said no, and will again        record the refusal as an event; bury
    └── AuthError            … refuses our key                hold that channel's commands; page someone

No message carries personal data or a secret: they end in logs and events.
"""

from uuid import UUID


class EngineError(Exception):
    """The root of the tree."""


class ConflictError(EngineError):
    """The stream is not at the version that was expected; nothing was appended."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


class EventIdConflictError(EngineError):
    """An event id is in the log already, with another body; nothing was appended. Carries both bodies, sealed parts aside."""

    def __init__(self, event_id: UUID, position: int, stored: str, offered: str) -> None:
        super().__init__(f"event {event_id} is in the log at position {position} with another body")
        self.event_id, self.position, self.stored, self.offered = event_id, position, stored, offered


class SchemaError(EngineError):
    """Stored bytes fit no schema of this version."""


class ChainError(EngineError):
    """The log is not as it was when it was written. Names the first position that shows it."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(f"position {position} {what}")
        self.position, self.what = position, what


class LeaseLostError(EngineError):
    """Another worker took the lease; what was done under it must be dropped."""


class ErasedError(EngineError):
    """The subject's key was destroyed: what was sealed under it is gone for good."""


class StartupError(EngineError):
    """Crossdock must not run like this; the message says what is wrong and how to mend it."""


class AdapterError(EngineError):
    """A marketplace call failed.

    `detail` is the marketplace's code or scrubbed words; `field` names what it does not like, where it says so.
    """

    def __init__(
        self, detail: str, *, target: str = "", endpoint: str = "", request_id: str = "", status: int = 0, field: str = ""
    ) -> None:
        place = " ".join(part for part in (target, endpoint, f"HTTP {status}" if status else "") if part)
        super().__init__(f"{place}: {detail}" if place else detail)
        self.detail, self.field, self.status = detail, field, status
        self.target, self.endpoint, self.request_id = target, endpoint, request_id


class UnavailableError(AdapterError):
    """It does not answer, and surely did nothing (or was only read)."""


class ThrottledError(AdapterError):
    """It finds us too fast and did nothing. `retry_after` in seconds, clamped to 1 s .. 15 min where the marketplace named it."""

    def __init__(
        self, detail: str, *, retry_after: float, target: str = "", endpoint: str = "", request_id: str = "", status: int = 0
    ) -> None:
        super().__init__(detail, target=target, endpoint=endpoint, request_id=request_id, status=status)
        self.retry_after = retry_after


class UnknownOutcomeError(AdapterError):
    """The call went out and its answer did not come, or cannot be read: it may have been done."""


class RejectedError(AdapterError):
    """It said no, and will say no again to the same request."""


class AuthError(AdapterError):
    """It refuses our key or misses a permission."""
