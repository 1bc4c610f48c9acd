"""The child of `crossdock replay --with`: folds the events that it reads, with changed code where it is given some. It has no way out.

Neither network nor database is handed to it: events come in through standard input, rows and commands leave through standard output. And
whatever would open another way after all, from the changed code too, is refused by the interpreter itself.

    in     a frame a page: (position before it, [(tag, schema version, text), …])
    out    a frame for each event that something was asked because of: (position, [JSON, …]); then one for each row: (projection, key,
           position, JSON), by projection and key; at last which modules were other than ours
"""

import importlib.machinery
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import msgspec

OURS = Path(__file__).resolve().parent.parent
CHANGEABLE = ("projections", "schemas")  # and what a fold is: the rest of the engine never decides what is in a row
WAYS_OUT = ("socket.", "subprocess.", "shutil.", *(f"os.{way}" for way in ("system", "exec", "fork", "posix_spawn", "spawn")))
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
LENGTH = 4  # bytes before each frame


class NotChangedError(Exception):
    """What was given holds nothing that could fold otherwise."""


class Overlay:
    """Finds a module in the changed code, if it is there; else Python goes on to ours."""

    def __init__(self, path: Path) -> None:
        self.files = dict(_modules(path))
        self.changed = sorted(name for name, file in self.files.items() if _differs(name, file))
        if not self.files:
            raise NotChangedError(f"{path} is neither a checkout, nor a directory called projections, nor a file of one")

    def find_spec(self, name: str, _path: object = None, _target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        file = self.files.get(name)
        if file is None:
            return None
        places = [str(file.parent), str(OURS / name.replace(".", "/"))] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)


def _modules(path: Path) -> Iterator[tuple[str, Path]]:
    """The modules of ours that stand in a checkout, in a package, or are one file."""
    if path.is_file():
        if path.suffix == ".py":
            yield f"projections.{path.stem}", path
        return
    root = path.parent if path.name in CHANGEABLE else path
    for room in CHANGEABLE:
        for file in sorted((root / room).rglob("*.py")):
            *way, last = file.relative_to(root).with_suffix("").parts
            yield ".".join(way if last == "__init__" else [*way, last]), file
    if (root / "engine" / "projection.py").is_file():
        yield "engine.projection", root / "engine" / "projection.py"


def _differs(name: str, file: Path) -> bool:
    plain = OURS / name.replace(".", "/")
    ours = plain / "__init__.py" if file.name == "__init__.py" else plain.with_suffix(".py")
    return not ours.is_file() or ours.read_bytes() != file.read_bytes()


def no_way_out(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to leave the process, and to write a file."""
    if event.startswith(WAYS_OUT) or event in CHANGES:
        raise PermissionError(f"a replay has no way out: {event}")
    if event == "open" and arguments[2] & WRITING:
        raise PermissionError("a replay writes no file")


# ---------------------------------------------------------------- frames


def framed(value: Any) -> bytes:
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(LENGTH) + body


def frames(stream: IO[bytes]) -> Iterator[Any]:
    """Every frame until the end; half a frame ends it too."""
    while len(length := stream.read(LENGTH)) == LENGTH:
        body = stream.read(int.from_bytes(length))
        if len(body) < int.from_bytes(length):
            return
        yield msgspec.msgpack.decode(body)


# ---------------------------------------------------------------- the fold


def main(path: str) -> None:
    with os.fdopen(os.dup(1), "wb") as told:
        os.dup2(2, 1)  # whatever the changed code prints is not part of the answer
        overlay = Overlay(Path(path)) if path else None
        if overlay is not None:
            sys.meta_path.insert(0, overlay)
        sys.dont_write_bytecode = True
        sys.addaudithook(no_way_out)
        from ops.folding import Folding  # noqa: PLC0415 - the first import of anything that may be changed

        folding = Folding(_unknown_projections(overlay.files if overlay else {}))
        for after, events in frames(sys.stdin.buffer):
            for asked in folding.fold(after, events):
                told.write(framed(asked))
        for row in folding.rows():
            told.write(framed(row))
        told.write(framed(overlay.changed if overlay else []))


def _unknown_projections(files: Mapping[str, Path]) -> Sequence[str]:
    """Modules that only the changed code has: they may hold a projection under a new name."""
    import projections  # noqa: PLC0415

    ours = {f"projections.{each.name}" for each in pkgutil.iter_modules([str(OURS / "projections")])}
    return sorted(name for name in files if name.startswith(f"{projections.__name__}.") and name not in ours)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as error:  # noqa: BLE001 - the changed code may fail in any way; whoever tries it is told how, and where
        cause = error.__cause__ or error
        *_, (frame, number) = traceback.walk_tb(cause.__traceback__)
        because = f" ({cause})" if cause is not error else ""
        sys.exit(" ".join(f"{type(error).__name__}: {error}{because}, at {frame.f_code.co_filename}:{number}".split()))
