"""A TOML file decoded strictly into a Struct: what is wrong with it is told with its name, its line and the mend."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import msgspec.inspect

from engine.errors import StartupError

T = TypeVar("T")
Steps = list[str | int]
Wording = Callable[[Steps, str], str | None]  # a better sentence for what is wrong there; None: what was said is good enough
Look = Callable[[dict[str, Any]], tuple[Steps, str] | None]  # what is wrong with the tree, where no type can say it

_PATH = re.compile(r" - at `(?P<key>key in )?\$(?P<path>[^`]*)`")
_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]")
_KEY = re.compile(r"\s*([\w-]+|\"[^\"]+\")\s*=")
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+|\.\.\.)\]")
ANY_KEY = "..."  # how msgspec writes a key that people name freely


def read_declared(path: Path, kind: type[T], wording: Wording, *, unknown: str, look: Look | None = None) -> tuple[T, str]:
    """The file's contents and its text. StartupError names the line, the key and the mend; `unknown` is what a strange key is told."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StartupError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StartupError(f"{path}: not TOML: {error}") from None
    if look is not None and (seen := look(tree)) is not None:
        raise wrong(path, text, *seen)
    try:
        return msgspec.convert(tree, kind), text
    except msgspec.ValidationError as error:
        steps, sentence = _read(str(error), unknown)
        better = None if steps and steps[-1] == ANY_KEY else wording(steps, sentence)  # what people name freely is worded like nothing else
        steps = _named(tree, kind, steps, str(error))
        if choices := _choices(kind, steps):
            sentence = f"{sentence.removeprefix('Invalid enum value ')}: one of {', '.join(choices)}"
        raise wrong(path, text, steps, better or sentence) from None


def wrong(path: Path, text: str, steps: Steps, sentence: str) -> StartupError:
    """The error that says so, with the line on which that key stands."""
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
    return StartupError(f"{path}, line {line_of(text, steps)}: {name}: {sentence}")


def _read(message: str, unknown: str) -> tuple[Steps, str]:
    """msgspec's sentence, and the key it is about."""
    found = _PATH.search(message)
    steps: Steps = [name or (index if index == ANY_KEY else int(index)) for name, index in _STEP.findall(found["path"])] if found else []
    sentence = message[: found.start()] if found else message
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", sentence):
        return [*steps, missing[1]], "missing: it must be set"
    if strange := re.fullmatch(r"Object contains unknown field `(.+)`", sentence):
        return [*steps, strange[1]], unknown
    return steps, sentence


def _named(tree: Any, kind: Any, steps: Steps, message: str) -> Steps:
    """With each freely named key by its name: that of the value which, alone in its table, is refused in the same words."""
    named: Steps = []
    table: Any = tree
    for step in steps:
        named.append(_guilty(tree, kind, table, message) if step == ANY_KEY else step)
        table = table[named[-1]] if isinstance(step, int) or named[-1] in table else {}
    return named


def _guilty(tree: Any, kind: Any, table: dict[str, Any], message: str) -> str:
    """Halves what stands in the table, within its tree, until there is one."""
    there, keys = dict(table), list(table)
    while len(keys) > 1:
        half = keys[: len(keys) // 2]
        table.clear()
        table.update({key: there[key] for key in half})
        keys = half if _refusal(tree, kind) == message else keys[len(half) :]
    table.clear()
    table.update({key: there[key] for key in keys})
    return keys[0]


def _refusal(tree: Any, kind: Any) -> str:
    try:
        msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _choices(kind: Any, steps: Steps) -> list[str]:
    """What may stand there, where there is a choice."""
    found: Any = msgspec.inspect.type_info(kind)
    for step in steps:
        match found:
            case msgspec.inspect.StructType(fields=fields):
                found = next((field.type for field in fields if field.encode_name == step), None)
            case msgspec.inspect.DictType(value_type=inner):
                found = inner
            case msgspec.inspect.ListType(item_type=inner) | msgspec.inspect.VarTupleType(item_type=inner):
                found = inner
    return [str(value) for value in found.values] if isinstance(found, msgspec.inspect.LiteralType) else []


def line_of(text: str, steps: Steps) -> int:
    """The line where a key stands, or else that of the innermost table that should hold it."""
    table: Steps = []
    arrays: dict[tuple[str | int, ...], int] = {}  # the place of an array of tables -> index of the one we are in
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            place = table = []
            names = [part.strip('" ') for part in header[2].split(".")]
            for nth, name in enumerate(names, 1):
                path = (*table, name)
                if header[1] == "[[" and nth == len(names):
                    arrays[path] = arrays.get(path, -1) + 1
                place = table = [*path, arrays[path]] if path in arrays else [*path]
        elif key := _KEY.match(line):
            place = [*table, key[1].strip('"')]
        else:
            continue
        if len(place) > depth and place == steps[: len(place)]:
            best, depth = number, len(place)
    return best
