"""COPY's two formats: of the rows that a query gave, and of the lines that are to become rows."""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from ops.simulate.memory.rows import Row

INTO = "COPY INTO {schema}.{table}"  # no SQL: the name by which the memory knows it

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_count, _size = struct.Struct(">h").pack, struct.Struct(">i").pack
_ESCAPED = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_escape = str.maketrans(_ESCAPED)
_MEANT = {escaped[1]: plain for plain, escaped in _ESCAPED.items()}


def text(rows: Sequence[Row]) -> bytes:
    """A line a row."""
    return "".join("\t".join(map(_text, row)) + "\n" for row in rows).encode()


def _text(value: Any) -> str:
    return "\\N" if value is None else str(value).translate(_escape)


def binary(rows: Sequence[Row]) -> bytes:
    """Of rows whose values are bytes already, as the wire has them."""
    parts = [SIGNATURE]
    for row in rows:
        parts.append(_count(len(row)))
        for value in row:
            parts += [_size(-1)] if value is None else [_size(len(value)), value]
    return b"".join([*parts, _count(-1)])


def read(lines: bytes) -> Iterator[list[str | None]]:
    """Back into values."""
    for line in lines.decode().split("\n")[:-1]:
        yield [None if value == "\\N" else _meant(value) for value in line.split("\t")]


def _meant(value: str) -> str:
    if "\\" not in value:
        return value
    characters = iter(value)
    return "".join(_MEANT.get(after := next(characters), after) if each == "\\" else each for each in characters)
