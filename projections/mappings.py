"""Whose word is whose on the other side, and which orders wait for a word that nobody has said yet. Key: {kind}:{channel}:{name}."""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from engine.projection import Projection
from schemas.events import Event
from schemas.events.exceptions import ExceptionOpened
from schemas.events.people import MappingSet, Redriven
from schemas.values import ChannelId, OrderId

KINDS = ("sku", "carrier", "method", "reason", "bundle")
SKUS = ("sku", "bundle")  # their names are SKUs


class Waiting(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An exception that the mapping would heal."""

    stream: str
    tried: str = ""  # the value with which it was let go on last: the same one again would change nothing


class Word(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One name, and what it is called on the other side."""

    kind: str
    channel: ChannelId
    name: str
    value: str = ""  # "": nobody has said
    from_settings: bool = False
    waiting: dict[str, Waiting] = {}  # by the exception's key


def key_of(kind: str, channel: str, name: str) -> str:
    """SKUs, and so bundles, are compared as written; all other names without case, and without blanks around them."""
    return f"{kind}:{channel}:{name if kind in SKUS else name.strip().casefold()}"


def keys(event: Event) -> Iterable[str]:
    match event:
        case MappingSet(channel=channel, kind=kind, name=name):
            return (key_of(kind, channel, name),)
        case ExceptionOpened(waits_for=waits_for) if waits_for:
            return (key_of(*_parts(waits_for)),)
    return ()


def _parts(text: str) -> tuple[str, str, str]:
    kind, channel, name = text.split(":", 2)
    return kind, channel, name


def initial(key: str) -> Word:
    kind, channel, name = _parts(key)
    return Word(kind=kind, channel=ChannelId(channel), name=name)


def evolve(word: Word, event: Event) -> Word:
    match event:
        case MappingSet(value=value, from_settings=from_settings):
            waiting = {key: replace(waits, tried=value or waits.tried) for key, waits in word.waiting.items()}
            return replace(word, value=value, from_settings=from_settings, waiting=waiting)
        case ExceptionOpened(key=key, subject=subject):
            # It is there already: whoever refused had looked just before.
            return replace(word, waiting=word.waiting | {key: Waiting(stream=subject, tried=word.value)})
    return word


def decide(was: Word, now: Word) -> Iterator[Redriven]:
    """Whoever waits for the word may go on, once for each value that it takes."""
    for key, waits in now.waiting.items():
        before = was.waiting.get(key)
        channel, _, order_id = waits.stream.removeprefix("order-").partition(":")
        if waits.tried and waits.tried != (before.tried if before else "") and order_id:
            because = f"{now.kind} {now.name} is {now.value}"
            yield Redriven(channel=ChannelId(channel), order_id=OrderId(order_id), key=key, because=because)


mappings = Projection(name="mappings", state=Word, initial=initial, keys=keys, evolve=evolve)
