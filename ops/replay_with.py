"""`crossdock replay --with PATH`: what would be otherwise, order by order, had changed code folded the log and decided about it.

The log is read in a session that cannot write, and handed to two processes without any way out (ops/refold.py): one folds with our code,
one with the changed. What they say is compared line by line, so that a long log takes no more memory here than a short one.
"""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any

import anyio
import msgspec
from anyio.abc import Process
from msgspec import Struct
from rich.console import Console

from engine.errors import EngineError, SchemaError
from engine.log import PAGE_EVENTS
from ops.database import Opened, open_log, position_at
from ops.paper import paper
from ops.progress import Told, progress_bar
from ops.refold import OURS, NotChangedError, Overlay, framed, frames
from ops.report import print_json
from ops.sentences import so_many
from ops.settings import read_settings

STORED = """
SELECT type, schema_version, data::text AS data
FROM crossdock.events WHERE tenant = $1 AND position > $2 AND position <= $3 ORDER BY position
"""
SHOWN = 400  # characters of a value


class Change(Struct, frozen=True):
    """A place in a row that would read otherwise."""

    projection: str
    key: str
    field: str  # the path to it, as in lines.2.quantity; empty: the row as a whole
    now: Any
    then: Any


class Asked(Struct, frozen=True):
    """An event because of which something else would have been asked."""

    subject: str  # the stream
    position: int
    no_longer: tuple[Any, ...]  # commands
    newly: tuple[Any, ...]


class Otherwise(Struct, frozen=True):
    """All that changed code would change, as far as the log goes."""

    position: int
    modules: tuple[str, ...]  # in which the code there is other than ours
    rows: int
    rows_changed: int
    commands_changed: int
    changes: tuple[Change, ...]
    asked: tuple[Asked, ...]


async def replay_with(changed: Path, path: Path, url: str, environment: Mapping[str, str], *, only: str, until: str, as_json: bool) -> int:
    """Exit code 1 if anything would be otherwise."""
    try:
        Overlay(changed.resolve())
    except NotChangedError as error:
        raise EngineError(str(error)) from None
    async with open_log(read_settings(path), environment, url, read_only=True) as opened:
        upto = await position_at(opened, until, "--until") if until else await opened.log.head()
        with progress_bar(Console(stderr=True)) as bar:
            found = await fold_both(opened, changed.resolve(), upto, bar("folding"))
    if only:
        found = msgspec.structs.replace(found, changes=tuple(each for each in found.changes if each.projection == only), asked=())
    if as_json:
        print_json(found)
    else:
        _print(paper(), found)
    return 1 if found.changes or found.asked else 0


async def fold_both(opened: Opened, changed: Path, upto: int, told: Told) -> Otherwise:
    """Raises EngineError where the changed code cannot be loaded, or cannot fold what is recorded."""
    with tempfile.TemporaryFile() as ours, tempfile.TemporaryFile() as theirs:
        async with _folding(ours, "") as here, _folding(theirs, str(changed)) as there:
            for after in range(0, upto, PAGE_EVENTS):
                to = min(after + PAGE_EVENTS, upto)
                rows = await opened.pool.fetch(STORED, opened.log.tenant, after, to)
                if len(rows) != to - after:
                    raise SchemaError(f"events are missing from the log after position {after}: run `crossdock verify`")
                page = (after, [tuple(row) for row in rows])
                await here.feed(page)
                await there.feed(page)
                told(to, upto)
            await here.finish()
            await there.finish()
        ours.seek(0)
        theirs.seek(0)
        return _compared(upto, frames(ours), frames(theirs))


class _Child:
    """A process that folds."""

    def __init__(self, process: Process, said: IO[bytes], whose: str) -> None:
        self._process, self._said, self._whose = process, said, whose

    async def feed(self, page: Any) -> None:
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(framed(page))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self.finish()  # it has ended, and this says why: the rest of a long log need not be read

    async def finish(self) -> None:
        assert self._process.stdin is not None
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._process.stdin.aclose()
        if await self._process.wait() != 0:
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise EngineError(f"{self._whose} does not fold: {lines[-1]}")


@asynccontextmanager
async def _folding(told: IO[bytes], changed: str) -> AsyncIterator[_Child]:
    words = [sys.executable, "-m", "ops.refold", changed]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(OURS), "PYTHONHASHSEED": "0"}  # nothing of ours: no secret, no address
    with tempfile.TemporaryFile() as said:
        process = await anyio.open_process(words, stdout=told, stderr=said, env=environment, cwd="/")
        try:
            yield _Child(process, said, changed or "the code here")
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()


# ---------------------------------------------------------------- compare


def _compared(upto: int, ours: Iterator[Any], theirs: Iterator[Any]) -> Otherwise:
    asked, changes, modules = list[Asked](), list[Change](), list[str]()
    rows = changed = 0
    for place, mine, other in _paired(ours, theirs):
        match place:
            case (0, position):
                asked += _asked_otherwise(position, mine, other)
            case (1, projection, key):
                rows += 1
                here = list(_changes(projection, key, mine, other))
                changed += bool(here)
                changes += here
            case _:
                modules = other or []
    commands = sum(len(each.no_longer) + len(each.newly) for each in asked)
    return Otherwise(upto, tuple(modules), rows, changed, commands, tuple(changes), tuple(asked))


def _placed(frame: Any) -> tuple[tuple[Any, ...], Any]:
    """Where a frame stands in the order that both sides write in, and what it says."""
    match frame:
        case [int() as position, commands]:
            return (0, position), commands
        case [str() as projection, str() as key, int(), document]:
            return (1, projection, key), document
    return (2,), frame


def _paired(ours: Iterator[Any], theirs: Iterator[Any]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Both, side by side; None on the side where there is nothing."""
    mine, other = next(ours, None), next(theirs, None)
    while mine is not None or other is not None:
        here, mine_says = _placed(mine) if mine is not None else ((3,), None)
        there, other_says = _placed(other) if other is not None else ((3,), None)
        place = min(here, there)
        yield place, mine_says if here == place else None, other_says if there == place else None
        if here == place:
            mine = next(ours, None)
        if there == place:
            other = next(theirs, None)


def _asked_otherwise(position: int, mine: Sequence[bytes] | None, other: Sequence[bytes] | None) -> Iterator[Asked]:
    no_longer, newly = list(mine or []), list[bytes]()
    for command in other or []:
        if command in no_longer:
            no_longer.remove(command)
        else:
            newly.append(command)
    if no_longer or newly:
        before, after = ([msgspec.json.decode(each) for each in commands] for commands in (no_longer, newly))
        yield Asked(_subject(*before, *after), position, tuple(before), tuple(after))


def _subject(*commands: Mapping[str, Any]) -> str:
    for command in commands:
        if "order_id" in command:
            return f"{command.get('channel', '')}:{command['order_id']}"
    return str(commands[0].get("channel", ""))


def _changes(projection: str, key: str, mine: bytes | None, other: bytes | None) -> Iterator[Change]:
    if mine == other:
        return
    now, then = (msgspec.json.decode(each) if each is not None else None for each in (mine, other))
    if now is None or then is None:
        yield Change(projection, key, "", now, then)
        return
    yield from (Change(projection, key, field, one, another) for field, one, another in differences(now, then))


def differences(mine: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two documents disagree: the path to each place, as in lines.2.quantity, and both values; None where there is none."""
    match mine, theirs:
        case dict(), dict():
            pairs = [(str(key), mine.get(key), theirs.get(key)) for key in sorted(mine.keys() | theirs.keys())]
        case list(), list() if len(mine) == len(theirs):
            pairs = [(str(place), *both) for place, both in enumerate(zip(mine, theirs, strict=True))]
        case _:
            if mine != theirs:
                yield path, mine, theirs
            return
    for step, one, other in pairs:
        yield from differences(one, other, f"{path}.{step}" if path else step)


# ---------------------------------------------------------------- for a person


def _print(console: Console, found: Otherwise) -> None:
    console.print(f"Other than here: {', '.join(found.modules)}." if found.modules else "The code there is the same as here.")
    subjects: dict[str, list[str]] = {}
    for change in found.changes:
        place = f"{change.projection} {change.field}".rstrip()
        subjects.setdefault(change.key, []).append(f"{place}: {_shown(change.now)} → {_shown(change.then)}")
    for asked in found.asked:
        lines = subjects.setdefault(asked.subject, [])
        lines += (f"after position {asked.position:,} no longer asked: {_shown(command)}" for command in asked.no_longer)
        lines += (f"after position {asked.position:,} asked as well: {_shown(command)}" for command in asked.newly)
    for subject in sorted(subjects):
        console.print(f"[bold]{subject or 'everything'}[/]", highlight=False)
        for line in subjects[subject]:
            console.print(f"  {line}", markup=False)
    console.print(
        f"As of position {found.position:,}: {found.rows_changed:,} of {found.rows:,} rows and {so_many(found.commands_changed, 'command')}"
        " would be otherwise. Nothing was changed, nothing was sent."
    )


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
