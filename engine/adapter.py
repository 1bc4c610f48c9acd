"""What an adapter must be: sources that are polled, readers that follow hints, performers that carry out commands."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable
from uuid import UUID

from msgspec import Struct

from schemas.commands import Command
from schemas.envelope import Envelope, Fact
from schemas.events import Event, Personal
from schemas.values import ChannelId, Instant

C = TypeVar("C", bound=Command)
P = TypeVar("P", bound=Personal)


class Endpoint(Struct, frozen=True):
    """One call of a marketplace and its published ceiling: at most `calls` in any `per` seconds. The comment beside it names the source."""

    code: str  # the marketplace's own name for it: OR11, orderCreate
    method: str
    path: str  # with {placeholders}
    calls: int
    per: float  # seconds
    batch: int = 1  # how many commands one call carries
    reads: bool = False  # True: repeating it changes nothing, whatever happened to the first answer

    @property
    def interval(self) -> float:
        """Seconds between two calls when spread evenly, which keeps the ceiling in every window."""
        return self.per / self.calls


@dataclass(frozen=True)
class Heard:
    """A fact on its way to its stream.

    `same` is given the last event of this type in the stream: True drops this fact as no news, unless what is sealed beside it differs.
    Where there is a `same`, a fact that occurred before that last event is dropped too: a stale answer moves nothing.
    """

    stream: str
    fact: Fact
    same: Callable[[Event], bool] | None = None
    part: str = ""  # a field of the event: the last one of which that field is the same is meant, as of one line or one refund
    beside: type[Event] | None = None  # another type that tells of the same thing: the last of either is meant
    otherwise: Fact | None = None  # appended instead when the fact's id is in the log with another body


@dataclass(frozen=True)
class Sight:
    """What one poll saw. `cursor` and facts are committed together; the cursor passes only what is in `heard`."""

    heard: Sequence[Heard]
    cursor: str
    again: float | None = None  # seconds until the next poll; None: as the source has it


class Source(Protocol):
    """Something that is asked again and again: Mirakl's order list, Shopify's stock."""

    name: str  # of its cursor: mirakl:asos:orders
    target: str  # whose dispatcher lease it is polled under
    every: float  # seconds between two polls

    async def poll(self, cursor: str | None) -> Sight:
        """Everything since the cursor, with overlap; None is the first time. Raises AdapterError."""
        ...


@runtime_checkable
class SlowSource(Source, Protocol):
    """A source whose poll may take minutes: what it has read is told meanwhile, and with the cursor once more; then it is no news."""

    tell: Callable[[Sequence[Heard]], Awaitable[None]] | None  # set by whoever polls it


@runtime_checkable
class ResumedSource(Source, Protocol):
    """A source that goes about it otherwise where others may have polled it before, or nobody."""

    def resume(self) -> None:
        """It is ours to poll from now on."""
        ...


class Reader(Protocol):
    """Something that reads a marketplace again because an event says so. Follows the log from its own cursor, in order."""

    name: str  # of its cursor: shopify:orders
    target: str

    def follows(self, event: Event) -> bool:
        """Whether that is a hint for it."""
        ...

    async def read(self, hints: Sequence[Envelope]) -> Sequence[Heard]:
        """What the hinted things look like now; several hints of one thing are read once. Raises AdapterError."""
        ...


@dataclass(frozen=True)
class Effect:
    """One thing a call changed, to become an event in the command's stream (or in `stream`)."""

    event: Event
    external_id: str  # the marketplace's own id for it; its event id is derived from this
    occurred_at: Instant | None = None  # the marketplace's clock, where it told us
    stream: str | None = None


@dataclass(frozen=True)
class Done:
    """Confirmed, with what it changed."""

    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The marketplace said no to this one command of a batch, and will again."""

    detail: str
    field: str = ""
    word: str = ""  # the word for which there is no mapping, where that is all that is wanting


@dataclass(frozen=True)
class NotYet:
    """Nothing to say yet: ask again in so many seconds. Not an attempt."""

    seconds: float


Answer = Done | Refused | NotYet


@dataclass(frozen=True)
class Task(Generic[C]):
    """One command in the hands of a performer."""

    command_id: UUID  # the idempotency key
    command: C
    attempt: int  # from 1
    called: bool  # whether a call of it may have reached the marketplace before
    issued_at: Instant
    opened: Callable[[type[Any]], Awaitable[Any]]  # opened(DeliveryAddress): the last one sealed in the command's stream, or None


@dataclass(frozen=True)
class Performer(Generic[C]):
    """How one kind of command is carried out.

    `perform` answers for each task, in order; it raises AdapterError for all of them at once. `look` says whether the effect is there
    already (Done), cannot come to be (Refused) or is not there (None); StateGuarded and LookFirst commands need it. `quiet` is how long,
    in seconds, an effect may stay invisible to `look` after a call whose answer was lost. `fresh` is for how long, in seconds since it was
    issued, it may be asked for at all: what is older is refused, and whoever issued it decides anew.
    """

    perform: Callable[[Any, Sequence[Task[C]]], Awaitable[Sequence[Answer]]]
    endpoint: Endpoint
    look: Callable[[Any, Task[C]], Awaitable[Done | Refused | None]] | None = None
    quiet: float = 0.0
    fresh: float = math.inf


class Maps(Protocol):
    """Whose word is whose: what people or the settings say one side's carrier, method, reason or SKU is called on the other."""

    async def find(self, channel: ChannelId, kind: str, name: str) -> str | None:
        """None: nobody has said. See schemas.events.people.MappingSet."""
        ...


class Admission(Protocol):
    """The limiter as a client meets it: one for each outside system, and it outlives restarts."""

    async def admit(self, endpoint: Endpoint) -> None:
        """Return when a call may go out; the call is then counted, durably where the ceiling is a slow one.

        Raises ThrottledError where that would be tomorrow: of some things one call a day is allowed.
        """
        ...

    def settled(self, endpoint: Endpoint) -> None:
        """The call is over, however it ended: it may have arrived as late as now."""
        ...

    def hold(self, endpoint: Endpoint, seconds: float) -> None:
        """The marketplace asked for a pause."""
        ...


@dataclass(frozen=True)
class Finding:
    """One thing that `crossdock check` looked at."""

    what: str  # "scope read_orders", "carrier map"
    ok: bool
    detail: str = ""  # what was seen
    fix: str = ""  # what to do about it, where not ok


class Adapter(Protocol):
    """One outside system, wired up: what the service asks of an adapter, whichever it is."""

    target: str  # mirakl:asos, shopify
    client: Any  # handed to the performers
    sources: Sequence[Source]
    readers: Sequence[Reader]
    performs: Mapping[type[Command], Performer[Any]]

    async def probe(self) -> Sequence[Finding]:
        """Look at everything that must be in place before work starts; changes nothing."""
        ...

    async def prepare(self) -> None:
        """Put in place what is ours to put there (a metafield definition, webhook subscriptions); safe to repeat."""
        ...

    async def aclose(self) -> None: ...
