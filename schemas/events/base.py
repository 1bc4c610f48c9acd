"""What every event is, and what may be said about a person beside it."""

from typing import ClassVar, dataclass_transform

from msgspec import Struct


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Event(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, gc=False):
    """A fact, in our own words: past tense, no personal data, never edited.

    The tag is stored for ever; the class may be renamed. A new field has a default; when a field is renamed or split, `schema_version`
    goes up by one and `upcasters.py` gains a step. Defaults are not stored. Nothing here can be part of a cycle, so the garbage collector
    need not look (`gc=False`, here and in what events are made of): a rebuild is twice as fast for it.
    """

    schema_version: ClassVar[int] = 1


class Note(Event, frozen=True):
    """Something that a policy has to tell rather than to ask: an exception, a decision with its inputs. Recorded beside its commands."""

    @property
    def stream(self) -> str:
        """Where it belongs."""
        raise NotImplementedError

    @property
    def part(self) -> str:
        """Tells it from other notes of its kind in that stream, made because of the same event."""
        return ""


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Personal(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What is said of a person beside an event: stored sealed under the subject's own key, and gone when that key is destroyed."""


class UnknownEvent(Event, tag="unknown_event"):
    """An event written by a newer version than this one: kept in the log, passed over by folds, counted."""

    tag: str  # as stored
