"""Every projection folded in memory at once, and what its policies would have asked; by whatever code is loaded under their names."""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from engine.codec import decode, to_json
from engine.log import Page
from engine.projection import Policy, Projection
from engine.rebuild import Packed
from engine.runner import Rows
from ops.book import platform_of
from ops.service import PROJECTIONS, policies
from projections.rules import Channel, OrderRules, Platform
from schemas.events import Event
from schemas.events.channels import PlatformSeen, RulesApplied
from schemas.values import ChannelId

NOBODY = UUID(int=0)
_rules = msgspec.json.Decoder(dict[ChannelId, OrderRules], strict=False)


class Rules:
    """By which rules a channel is judged, as the log has told so far: as `projections.rules.Channels`."""

    def __init__(self) -> None:
        self._rules: dict[ChannelId, OrderRules] = {}
        self._platforms: dict[ChannelId, Platform] = {}

    def __call__(self, channel: ChannelId) -> Channel:
        return Channel(rules=self._rules.get(channel, OrderRules()), platform=self._platforms.get(channel, Platform()))

    def hear(self, event: Event) -> None:
        match event:
            case RulesApplied(rules=rules):
                self._rules = _rules.decode(rules)
            case PlatformSeen(channel=channel):
                self._platforms[channel] = platform_of(event)


class Folding:
    """All of them, from the first event on. `modules`: of projections that are not among ours."""

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self._rules = Rules()
        deciding = {projection.name: asked for projection, asked in policies(self._rules).items()}
        self._folds: list[tuple[Packed[Any], Sequence[Policy[Any]]]] = [
            (Packed(Rows(projection)), deciding.get(projection.name, ())) for projection in (*PROJECTIONS, *_found_in(modules))
        ]

    def fold(self, after: int, events: Sequence[tuple[str, int, str]]) -> Iterator[tuple[int, list[bytes]]]:
        """The next events, as stored; each position at which something would have been asked, and what. Raises SchemaError."""
        part: list[Event] = []
        for place, (tag, schema_version, text) in enumerate(events, 1):
            part.append(decode(tag, schema_version, text))
            if isinstance(part[-1], RulesApplied | PlatformSeen) or place == len(events):
                yield from self._fold(after + place - len(part), part)
                self._rules.hear(part[-1])  # from the next one on
                part = []

    def _fold(self, after: int, events: Sequence[Event]) -> Iterator[tuple[int, list[bytes]]]:
        ids = [NOBODY] * len(events)
        page = Page(after=after, last=after + len(events), events=events, recorded_at=None, event_ids=ids, correlation_ids=ids)
        asked: dict[int, list[bytes]] = {}
        for packed, following in self._folds:
            for intent in packed.rows.fold(page, following):
                asked.setdefault(intent.position, []).append(to_json(intent.command))
            packed.tidy()
        for position in sorted(asked):
            yield position, sorted(asked[position])

    def rows(self) -> Iterator[tuple[str, str, int, bytes]]:
        """Every row: projection, key, position of what changed it last, document; by projection and key."""
        for packed, _ in sorted(self._folds, key=lambda each: each[0].rows.projection.name):
            packed.pack()
            for key in sorted(packed.packed):
                yield packed.rows.projection.name, key, packed.rows.changed[key], packed.packed[key]


def _found_in(modules: Sequence[str]) -> Iterator[Projection[Any]]:
    for name in modules:
        yield from (each for each in vars(importlib.import_module(name)).values() if isinstance(each, Projection))
