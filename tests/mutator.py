"""Breaks payloads, as whoever sends them never should; from a seed, and quickly."""

import random
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

# What stands where something else was: each a literal, for no encoder writes most of them.
LITERALS = tuple(
    Raw(literal)
    for literal in (
        b"null",
        b"true",
        b"0",
        b"-1",
        b"1e400",
        b"-0.0",
        b"43.005",
        b"NaN",
        b"-Infinity",
        b"1" * 400,
        b"9" * 5_000,
        b"9007199254740993",
        b"1e-7",
        b'""',
        b'" "',
        b'"0"',
        b'"NaN"',
        b'"1_0"',
        b'"-0.00"',
        '"١٢"'.encode(),
        rb'"\ud800"',
        rb'"\u0000"',
        rb'"\u202e\u0007\n"',
        '"👩‍👩‍👧 Ł ﷽ \u2028"'.encode(),
        b'"gid://shopify/Order/1"',
        b'"9999-12-31T23:59:59Z"',
        b'"0001-01-01T00:00:00+14:00"',
        b'"2026-02-30T10:00:00Z"',
        b"\"=cmd|'/c calc'!A1\"",
        b'"http://169.254.169.254/latest/"',
        b"[]",
        b"{}",
        b"[[]]",
        b'{"":null}',
        b"[null]",
        b"[{}]",
        b'"' + b"x" * 9_000 + b'"',
        b'"' + "é".encode() * 20_000 + b'"',
        b"[" * 60 + b"]" * 60,
        b"[" * 3_000 + b"]" * 3_000,
        b'{"a":' * 90 + b"1" + b"}" * 90,
    )
)
DATES = (
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30T10:00:00Z",
    "2026-11-20T24:00:00Z",
    "2026-11-20T12:00:00",
    "2026-11-20T12:00:00.123456789Z",
    "2026-11-20",
    "1970-01-01T00:00:00Z",
    "20261120T120000Z",
    "yesterday",
    "",
)
BYTES = (b"\xff", b"\x00", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"', b"{", b"]", b",", b"\\", b";", b"\r\n", b"-", b"e9")
PAGES = (b"", b"null", b"[]", b"{}", b'""', b"0", b"<html>502</html>", b"{" * 200, b"[" * 100_000, b'{"a":1}{"b":2}', b"\xff\xfe{\x00}\x00")


class Mutator:
    """`random` decides all; the same seed breaks the same things in the same way."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def json(self, body: bytes) -> bytes:
        """One to three things broken in a JSON document; now and then the text itself."""
        chance = self._random
        if chance.random() < 0.15:
            return self.text(body)
        try:
            tree = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.text(body)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            tree = self._break(tree)
        try:
            return msgspec.json.encode(tree)
        except UnicodeEncodeError:
            return self.text(body)

    def text(self, body: bytes) -> bytes:
        """Something broken in the bytes."""
        chance, size = self._random, len(body)
        at = chance.randrange(size + 1)
        match chance.randrange(8):
            case 0:
                return body[:at]
            case 1:
                return body[:at] + chance.choice(BYTES) + body[at:]
            case 2:
                return body[:at] + chance.randbytes(chance.choice((1, 2, 9))) + body[at + chance.choice((0, 1, 5)) :]
            case 3:
                return body[:at] + body[min(size, at + chance.randrange(1, 40)) :]
            case 4:
                to = min(size, at + chance.randrange(1, 60))
                return body[:to] + body[at:to] + body[to:]
            case 5:
                return chance.choice(PAGES)
            case 6:
                return chance.choice(BYTES) + body
        half = size // 2
        return body[half:] + body[:half]

    # ------------------------------------------------------------ in the tree

    def _break(self, tree: Any) -> Any:
        """Walk down from the top, and break something where the way ends."""
        chance = self._random
        place, way = tree, list[tuple[Any, Any]]()
        while isinstance(place, dict | list) and place and (not way or chance.random() < 0.85):
            key: Any = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
            way.append((place, key))
            place = place[key]
        if not way:
            return self._other(tree)
        holder, key = way[-1]
        match chance.randrange(10):
            case 0 | 1:
                del holder[key]
            case 2 | 3 | 4 | 5:
                holder[key] = self._other(place)
            case 6:
                holder[key] = [place, place]
            case 7 if isinstance(holder, dict):
                holder[self._name(key)] = holder.pop(key)
            case 8 if isinstance(holder, dict):
                return self._twice(tree, holder, key)
            case _:
                other, other_key = chance.choice(way)
                if isinstance(other, dict):
                    other["crossdock_never_heard_of_it"] = place
                else:
                    other[other_key] = self._other(place)
        return tree

    def _other(self, value: Any) -> Any:
        chance = self._random
        match value:
            case str() if value[:2] == "20" and value[4:5] == "-" and chance.random() < 0.6:
                return chance.choice(DATES)
            case str() if chance.random() < 0.5:
                return chance.choice(
                    (value * 2, value[: len(value) // 2], f"{value}\u0301", value.upper(), f" {value}", chance.randrange(1 << 40))
                )
            case bool() if chance.random() < 0.3:
                return not value
            case int() | float() if chance.random() < 0.5:
                return chance.choice((-value, value * 1_000_003, f"{value}", value + 1, chance.uniform(-1e9, 1e9)))
            case list() if value and chance.random() < 0.5:
                return value * chance.choice((2, 12)) if len(value) < 12 else value[:1]
        return chance.choice(LITERALS)

    def _name(self, key: str) -> str:
        return self._random.choice((key.upper(), f"{key}_", key[:-1], "", "\u0000", "__class__"))

    def _twice(self, tree: Any, holder: dict[str, Any], key: str) -> Any:
        """The same key twice, with two values: the last may win, or none."""
        members = [*holder.items(), (key, self._other(holder[key]))]
        self._random.shuffle(members)
        parts = [msgspec.json.encode(name) + b":" + msgspec.json.encode(value) for name, value in members]
        written = Raw(b"{" + b",".join(parts) + b"}")
        return written if holder is tree else _replaced(tree, holder, written)

    def one_of(self, some: Sequence[Any]) -> Any:
        return self._random.choice(some)


def _replaced(tree: Any, old: Any, new: Any) -> Any:
    """The same tree with another value in the place of this very one."""
    waiting = [tree]
    while waiting:
        here = waiting.pop()
        members = list(here.items()) if isinstance(here, dict) else list(enumerate(here))
        for key, value in members:
            if value is old:
                here[key] = new
                return tree
            if isinstance(value, dict | list):
                waiting.append(value)
    return tree
