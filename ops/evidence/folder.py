"""Where checkpoints are kept, outside the database: one small file each, never changed.

DIRECTORY/TENANT/checkpoints/00000/00000012-4711.note   the 12th checkpoint, of 4711 events
DIRECTORY/TENANT/keys/0001-1a2b3c4d.note              each key that followed another, signed by both
DIRECTORY/TENANT/key.txt                              the public key now
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.errors import EngineError, StartupError
from ops.evidence.keys import SigningKey, is_signed, signed
from ops.evidence.verify import Checkpoint, ForgedError, Key, open_checkpoint, open_note, read_rotation
from schemas.values import Instant, TenantId

NAME = re.compile(r"(\d{8})-\d+\.note")
IN_ONE = 1_000  # files a directory


class Kept(NamedTuple):
    """A checkpoint as a file has it."""

    path: Path
    note: str
    checkpoint: Checkpoint


class FolderError(EngineError):
    """Checkpoints cannot be read or written, or are not what they should be. Names the place, and what is wrong with it."""


@contextmanager
def _told(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderError(f"{place}: {error.strerror}") from None
    except (ForgedError, ValueError) as error:
        raise FolderError(f"{place}: {error}") from None


class Folder:
    """One tenant's. Whatever is asked of it may raise FolderError."""

    def __init__(self, directory: Path, tenant: TenantId, keys: Sequence[SigningKey]) -> None:
        """`keys`: the one that signs, and before it, where that is being changed, the one that did."""
        self.directory, self.keys = directory / tenant, keys
        self._newest: Kept | None = None

    def prepare(self, now: Instant) -> None:
        """Make the directory; record the key, and where it followed another, that it did. Raises StartupError if it cannot be written."""
        try:
            with _told(self.directory):
                self.directory.mkdir(parents=True, exist_ok=True)
                self._record(now)
        except FolderError as error:
            raise StartupError(f"evidence.directory: {error}") from None

    def _record(self, now: Instant) -> None:
        if len(self.keys) == 2 and self.keys[0].key not in self.trusted():
            old, new = self.keys
            text = f"{new.key.name}/rotation\n{old.text}\n{new.text}\ntime {now.isoformat()}\n"
            number = len(self.rotations()) + 1
            write(self.directory / "keys" / f"{number:04}-{new.key.id.hex()}.note", signed(text, self.keys))
        told = self.directory / "key.txt"
        if not told.exists() or told.read_text("utf-8").strip() != self.keys[-1].text:
            write(told, self.keys[-1].text + "\n")

    def rotations(self) -> list[str]:
        """The notes by which one key followed another, in their order."""
        with _told(self.directory / "keys"):
            return [path.read_text("utf-8") for path in sorted((self.directory / "keys").glob("*.note"))]

    def trusted(self) -> list[Key]:
        """The key that signs now, and those before it: backwards only, so that nobody who has an old key can name a new one."""
        found, notes = [self.keys[-1].key], self.rotations()
        with _told(self.directory / "keys"):
            for note in reversed(notes):
                old, new, _ = read_rotation(note)
                if new in found and old not in found:
                    open_note(note, [new], is_signed)
                    open_note(note, [old], is_signed)
                    found.append(old)
        return found

    # ------------------------------------------------------------ checkpoints

    def put(self, text: str) -> Path:
        """Sign and keep a checkpoint, after all that are there. It is durable on return."""
        last = self._last()
        number = int(last.name[:8]) + 1 if last is not None else 1
        note = signed(text, self.keys[-1:])
        path = self.directory / "checkpoints" / f"{number // IN_ONE:05}" / f"{number:08}-{text.split(chr(10), 2)[1]}.note"
        with _told(path):
            write(path, note)
        return path

    def newest(self) -> Kept | None:
        """The last one; None while there is none."""
        path = self._last()
        if path is None:
            return None
        if self._newest is None or self._newest.path != path:
            self._newest = self.read(path)
        return self._newest

    @property
    def seen(self) -> Kept | None:
        """The last one as it was known when somebody looked; None: nobody has."""
        return self._newest

    def all(self) -> Iterator[Kept]:
        """From the first on."""
        keys = self.trusted()
        for directory in self._directories():
            for path in _files(directory):
                yield self.read(path, keys)

    def backwards(self) -> Iterator[Kept]:
        """From the last on."""
        keys = self.trusted()
        for path in self._paths_backwards():
            yield self.read(path, keys)

    def read(self, path: Path, keys: Sequence[Key] | None = None) -> Kept:
        keys = keys or self.trusted()
        with _told(path):
            note = path.read_text("utf-8")
            return Kept(path, note, open_checkpoint(note, keys, is_signed))

    def _last(self) -> Path | None:
        return next(self._paths_backwards(), None)

    def _paths_backwards(self) -> Iterator[Path]:
        for directory in reversed(self._directories()):
            yield from reversed(_files(directory))

    def _directories(self) -> list[Path]:
        with _told(self.directory):
            return sorted(path for path in (self.directory / "checkpoints").glob("*") if path.is_dir())


def _files(directory: Path) -> list[Path]:
    with _told(directory):
        return sorted(path for path in directory.iterdir() if NAME.fullmatch(path.name))


def write(path: Path, text: str) -> None:
    """Whole or not at all, and durable on return."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    with half.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    above = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(above)
    finally:
        os.close(above)
