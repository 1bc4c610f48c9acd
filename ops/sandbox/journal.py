"""The file a world comes back from: one line for each operation, written before it is carried out and before anyone hears of it."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct


class Entry(Struct, frozen=True):
    at: datetime
    op: str
    arguments: dict[str, Any]


DECODER = msgspec.json.Decoder(Entry)


class Journal:
    """Survives the death of its process, not that of its machine: lines are handed to the system, not forced to the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        kept = sum(len(line) for line in _whole_lines(path)) if path.exists() else 0
        self._file: BinaryIO = path.open("ab", buffering=0)
        os.truncate(self._file.fileno(), kept)  # a last line that was torn was never answered for

    def append(self, entry: Entry) -> None:
        self._file.write(msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Entry]:
    """What was written, in order; without a last line that was torn."""
    if path.exists():
        yield from map(DECODER.decode, _whole_lines(path))


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line
