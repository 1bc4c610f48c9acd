"""An event and its place: as handed to the log, and as the log gives it back."""

from uuid import UUID, uuid5

from msgspec import Struct

from schemas.events.base import Event, Personal
from schemas.values import Instant, TenantId

NAMESPACE = UUID("b2f2c1f6-6a55-5f0e-9a86-3f1d9ad1a0c1")  # of every id we derive; never changes


def event_id(tenant: TenantId, source: str, external_id: str, kind: str) -> UUID:
    """The id of a fact: the same whenever and however often it is heard, after a crash or a restore too.

    `source` is the system ("mirakl:asos", "shopify"), `external_id` its own id for the fact, `kind` the event's tag.
    """
    return uuid5(NAMESPACE, f"{tenant}\x1f{source}\x1f{external_id}\x1f{kind}")


def command_id(tenant: TenantId, tag: str, subject: str, cause: UUID, part: str = "") -> UUID:
    """A command's idempotency key: the same after a replay or a restore. `part` tells several of one tag, subject and cause apart."""
    return uuid5(NAMESPACE, "\x1f".join((tenant, tag, subject, str(cause), *([part] if part else []))))


class Fact(Struct, frozen=True, kw_only=True):
    """An event on its way into the log."""

    event: Event
    event_id: UUID
    occurred_at: Instant  # their clock where they told us, else ours
    personal: Personal | None = None  # sealed under `subject`
    subject: str = ""  # whose key seals `personal`: one buyer in one order
    correlation_id: UUID | None = None  # one story, from its first event on; None: this event begins one
    causation_id: UUID | None = None  # the event that caused this one
    actor: str = "engine"  # who: engine, a source such as mirakl:asos, or a person's login


class Envelope(Struct, frozen=True, kw_only=True):
    """An event as the log holds it."""

    tenant: TenantId
    position: int  # place in the tenant's log, gapless from 1; commit order
    stream: str
    version: int  # place in its stream, from 1
    event_id: UUID
    event: Event  # UnknownEvent where this version of the code does not know the tag
    schema_version: int  # as stored
    occurred_at: Instant
    recorded_at: Instant  # our clock
    correlation_id: UUID
    causation_id: UUID | None
    actor: str
    subject: str
    sealed: bytes | None  # opened by engine.vault, lazily
    data: str  # the stored JSON text, exactly as hashed
    hash: bytes  # SHA-256 over the previous event's hash and this event
