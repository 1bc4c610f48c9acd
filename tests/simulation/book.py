"""The log, and what is folded from it, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from engine.adapter import Heard
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.values import TenantId
from tests.examples import envelope
from tests.simulation.trade import Trade

TENANT = TenantId("acme")


@dataclass
class Book:
    """A tenant's log: a list, in the trade's time."""

    trade: Trade
    tenant: TenantId = TENANT
    envelopes: list[Envelope] = field(default_factory=list)
    ids: set[UUID] = field(default_factory=set)
    told: dict[tuple[str, type[Event]], Envelope] = field(default_factory=dict)

    def append(self, heard: Heard) -> bool:
        """Whether it was news."""
        fact = heard.fact
        if fact.event_id in self.ids:
            return False
        self.ids.add(fact.event_id)
        place = len(self.envelopes) + 1
        told = replace(envelope(fact.event, place), tenant=TENANT, stream=heard.stream, version=place, event_id=fact.event_id)
        told = replace(told, occurred_at=fact.occurred_at, recorded_at=self.trade.now, correlation_id=fact.event_id)
        self.envelopes.append(told)
        self.told[heard.stream, type(fact.event)] = told
        return True

    async def head(self) -> int:
        return len(self.envelopes)

    async def last(self, places: Sequence[tuple[str, str]], kind: type[Event], field: str = "") -> dict[tuple[str, str], Envelope]:
        return {place: self.told[place[0], kind] for place in places if (place[0], kind) in self.told}

    async def opened(self, envelopes: Sequence[Envelope]) -> list[None]:
        return [None] * len(envelopes)

    def ring(self, position: int | None = None) -> None:
        """Nobody sleeps."""


@dataclass
class Fold:
    """A projection's rows, and how far they have come."""

    projection: Any
    rows: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)  # key -> position
    position: int = 0

    def forward(self, envelope: Envelope) -> list[tuple[Any, Any]]:
        """The rows that the next event changed: before and after."""
        changes = []
        for key in self.projection.keys(envelope.event):
            was = self.rows.get(key) or self.projection.initial(key)
            now = self.projection.evolve(was, envelope.event)
            if now != was:
                self.rows[key], self.changed[key] = now, envelope.position
                changes.append((was, now))
        self.position = envelope.position
        return changes
