"""Stored text <-> events, through the upcasters. Whatever text we are sent can be stored; what is stored can be read, or says why not."""

import gc
from collections.abc import Sequence
from typing import Any

import msgspec

from engine.errors import SchemaError
from engine.metrics import Metrics
from schemas.events import EVENTS, AnyEvent, Event, UnknownEvent, tag_of
from schemas.upcasters import UPCASTERS

VERSIONS = {tag: kind.schema_version for tag, kind in EVENTS.items()}
RAISED = [tag for tag, version in VERSIONS.items() if version != 1]  # tags that have left their first schema version
CURRENT = [f"{tag}:{version}" for tag, version in VERSIONS.items() if version != 1]

_encode = msgspec.json.Encoder().encode
_page = msgspec.json.Decoder(list[AnyEvent])
_decoders: dict[str, msgspec.json.Decoder[Any]] = {tag: msgspec.json.Decoder(kind) for tag, kind in EVENTS.items()}


def encode(event: Event) -> tuple[str, int, str]:
    """An event's tag, schema version and text, as stored."""
    return tag_of(event), event.schema_version, to_json(event).decode()


def to_json(value: Any) -> bytes:
    """JSON that Postgres takes: without NUL characters, and with U+FFFD where there was half a surrogate pair."""
    try:
        text = _encode(value)
    except UnicodeEncodeError:
        return _encode(_cleaned(msgspec.to_builtins(value)))
    return _encode(_cleaned(msgspec.to_builtins(value))) if b"\\u0000" in text else text


def clean(text: str) -> str:
    """The same for a text that becomes a column of its own."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case list() | tuple():
            return [_cleaned(item) for item in value]
        case dict():
            return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    return value


def decode(tag: str, schema_version: int, text: str, metrics: Metrics | None = None) -> Event:
    """An event in today's shape. One that only a newer version of us knows is an UnknownEvent, and counted.

    Raises SchemaError when the text does not fit its tag.
    """
    known = VERSIONS.get(tag, 0)
    if schema_version > known:
        if metrics:
            metrics.event_undecodable.labels(source="log", type=tag).inc()
        return UnknownEvent(tag=tag)
    try:
        if schema_version == known:
            return _decoders[tag].decode(text)  # type: ignore[no-any-return]
        return msgspec.convert(_upcast(tag, schema_version, known, msgspec.json.decode(text)), EVENTS[tag])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:  # the last: brackets in brackets, without end
        raise SchemaError(f"a stored {tag} (schema version {schema_version}) does not fit: {error}") from None


def decode_page(text: str) -> Sequence[Event] | None:
    """Many events of today's versions at once, from one JSON array; None when not all of them can be read like that."""
    collecting = gc.isenabled()
    gc.disable()  # what is made here holds no cycles; looking for them takes longer than decoding
    try:
        return _page.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    finally:
        if collecting:
            gc.enable()


def _upcast(tag: str, stored: int, today: int, document: dict[str, Any]) -> dict[str, Any]:
    for version in range(stored, today):
        step = UPCASTERS.get((tag, version))
        if step is None:
            raise SchemaError(f"no upcaster takes {tag} from schema version {version} to {version + 1}")
        document = step(document)
    return document
