"""A log made up for a test: envelopes with their places, ids, causes and hashes, as the database would give them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid5

from msgspec.structs import replace

from engine.chain import GENESIS, link
from engine.codec import encode
from engine.outbox import issued_event
from schemas.commands import AnyCommand, Command
from schemas.envelope import NAMESPACE, Envelope, command_id
from schemas.events import Event, tag_of
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused, CommandUnknown
from schemas.values import TenantId
from tests.examples import CHANNEL, NOON, ORDER

TENANT = TenantId("test")
STREAM = f"order-{CHANNEL}:{ORDER}"


class History:
    """Grows by what is told; everything is a second later than the one before, unless a time is given."""

    def __init__(self) -> None:
        self.log: list[Envelope] = []
        self.versions: dict[str, int] = {}

    def tell(self, event: Event, stream: str = STREAM, at: datetime | None = None, **more: Any) -> Envelope:
        position = len(self.log) + 1
        version = self.versions[stream] = self.versions.get(stream, 0) + 1
        event_id = more.pop("event_id", None) or uuid5(NAMESPACE, f"{position}")
        _, schema_version, data = encode(event)
        cause = more.get("causation_id")
        stories = {told.event_id: told.correlation_id for told in self.log}
        fields: dict[str, Any] = {
            "tenant": TENANT,
            "position": position,
            "stream": stream,
            "version": version,
            "event_id": event_id,
            "event": event,
            "schema_version": schema_version,
            "occurred_at": at or NOON + timedelta(seconds=position),
            "recorded_at": at or NOON + timedelta(seconds=position),
            "correlation_id": stories.get(cause, event_id) if cause else event_id,
            "causation_id": None,
            "actor": "engine",
            "subject": "",
            "sealed": None,
            "data": data,
            "hash": b"",
        }
        told = Envelope(**fields | more)
        told = replace(told, hash=link(told).hash_after(self.log[-1].hash if self.log else GENESIS))
        self.log.append(told)
        return told

    def issue(self, command: Command, cause: Envelope, at: datetime | None = None) -> UUID:
        key = command_id(TENANT, tag_of(command), command.subject, cause.event_id, command.part)
        issued = CommandIssued(command_id=key, command=cast(AnyCommand, command))
        self.tell(issued, command.subject, at, event_id=issued_event(TENANT, key), causation_id=cause.event_id)
        return key

    def answer(self, kind: type[Event], key: UUID, at: datetime | None = None, **fields: Any) -> Envelope:
        issued = next(told for told in self.log if isinstance(told.event, CommandIssued) and told.event.command_id == key)
        command = cast(CommandIssued, issued.event).command
        more = {} if kind is CommandConfirmed else {"detail": "no"}
        fields = {"attempt": 1, "subject": command.subject, "command": tag_of(command), "part": command.part} | more | fields
        return self.tell(kind(command_id=key, **fields), command.subject, at, causation_id=issued.event_id)


def rehashed(log: Sequence[Envelope]) -> list[Envelope]:
    """As whoever altered it, and can compute, would leave it."""
    found: list[Envelope] = []
    for told in log:
        found.append(replace(told, hash=link(told).hash_after(found[-1].hash if found else GENESIS)))
    return found


__all__ = ["CommandBuried", "CommandRefused", "CommandUnknown", "History", "STREAM", "TENANT", "rehashed"]
