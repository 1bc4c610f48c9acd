"""Folds the log again, as of any moment; compares, shows, swaps. Nothing here has a way out."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import msgspec
from rich.console import Console
from rich.markup import escape

from engine.errors import EngineError, StartupError
from engine.rebuild import Elsewhere, Part, Rebuilt, compare, digest, discard, fold_part, rebuild, swap
from engine.runner import Table, ensure_tables
from ops.database import Opened, open_log, position_at
from ops.paper import out
from ops.progress import progress_bar
from ops.report import print_json
from ops.sentences import so_many
from ops.service import PROJECTIONS
from ops.settings import read_settings

MOST_SHOWN = 20  # rows on a screen


async def replay(
    path: Path,
    url: str,
    environment: Mapping[str, str],
    *,
    only: str,
    until: str,
    show: str = "",
    verifying: bool = False,
    swapping: bool = False,
    jobs: int = 1,
    as_json: bool = False,
) -> int:
    """Exit code 1 if a projection differs from the live one, or nothing has the key that is to be shown."""
    settings = read_settings(path)
    chosen = [projection for projection in PROJECTIONS if only in ("", projection.name)]
    if not chosen:
        raise StartupError(f"no projection is called {only}: there are {', '.join(projection.name for projection in PROJECTIONS)}")
    results: dict[str, Any] = {}
    shown: list[Shown] = []
    console = out(as_json)
    async with open_log(settings, environment, url) as opened:
        async with opened.pool.acquire() as conn:
            await ensure_tables(conn, PROJECTIONS)
        upto = await position_at(opened, until, "--until") if until else None  # None: as far as the live rows have come
        with progress_bar(Console(stderr=True)) as bar:
            for projection in chosen:
                others = [_another_process(path, url, environment, projection.name)] * (jobs - 1 if projection.by_stream else 0)
                rebuilt = await rebuild(opened.pool, opened.log, projection, upto=upto, progress=bar(projection.name), elsewhere=others)
                if show:
                    shown += await _rows_of(opened, projection.name, rebuilt, show)
                results[projection.name] = await _result(opened, projection, rebuilt, verifying=verifying, swapping=swapping)
    same = all(result.get("equal", True) for result in results.values())
    if as_json:
        print_json({"equal": same if verifying else None, "projections": results} | ({"rows": shown} if show else {}))
    else:
        if show:
            _print_rows(console, show, shown)
        _print(console, results)
    return 0 if same and (shown or not show) else 1


def _another_process(path: Path, url: str, environment: Mapping[str, str], projection: str) -> Elsewhere:
    """`crossdock replay-part`, with the same settings."""

    async def fold(table: str, upto: int, shards: Sequence[int]) -> Part:
        where = ["--config", str(path), *(["--database", url] if url else [])]
        words = [sys.executable, "-m", "ops", "replay-part", *where, "--", projection, table, str(upto), *map(str, shards)]
        try:
            done = await anyio.run_process(words, stderr=None, env=dict(environment))
        except subprocess.CalledProcessError as error:
            raise EngineError(f"another process that rebuilds {projection} failed with code {error.returncode}") from None
        return msgspec.json.decode(done.stdout, type=Part)

    return fold


async def replay_part(
    path: Path, url: str, environment: Mapping[str, str], *, projection: str, table: str, upto: int, shards: Sequence[int]
) -> int:
    [chosen] = [each for each in PROJECTIONS if each.name == projection]
    async with open_log(read_settings(path), environment, url) as opened:
        part = await fold_part(opened.pool, opened.log, chosen, table=table, upto=upto, shards=shards)
    sys.stdout.buffer.write(msgspec.json.encode(part))
    return 0


class Shown(msgspec.Struct, frozen=True):
    """A row as of a position."""

    projection: str
    key: str
    changed_at: int  # position of the event that changed it last
    document: Any


async def _rows_of(opened: Opened, name: str, rebuilt: Rebuilt, named: str) -> list[Shown]:
    """The rows with that key; where none has it, those in whose key it stands."""
    rows = await opened.pool.fetch(Table(rebuilt.table).named, opened.log.tenant, named)
    exact = [row for row in rows if row["key"] == named]
    return [Shown(name, row["key"], row["position"], msgspec.json.decode(row["document"])) for row in exact or rows]


async def _result(opened: Opened, projection: Any, rebuilt: Rebuilt, *, verifying: bool, swapping: bool) -> dict[str, Any]:
    async with opened.pool.acquire() as conn:
        found = await digest(conn, rebuilt.table, opened.log.tenant)
    result: dict[str, Any] = {"position": rebuilt.position, "rows": rebuilt.rows, "digest": found}
    if verifying:
        both = await compare(opened.pool, opened.log, projection, rebuilt)
        result |= {"position": both.position, "live_digest": both.live, "digest": both.rebuilt, "equal": both.live == both.rebuilt}
        if both.difference is not None:
            result["first_difference"] = both.difference
    if swapping:
        result["swapped_at"] = await swap(opened.pool, opened.log, projection, rebuilt)
    else:
        await discard(opened.pool, rebuilt)
    return result


def _print_rows(console: Console, named: str, rows: Sequence[Shown]) -> None:
    for row in rows[:MOST_SHOWN]:
        console.print(f"[bold]{row.projection}[/] [bold]{escape(row.key)}[/], last changed at position {row.changed_at:,}")
        console.print_json(data=row.document, indent=2)
    if len(rows) > MOST_SHOWN:
        console.print(f"and {len(rows) - MOST_SHOWN:,} more: say more of the key, or --json")
    if not rows:
        console.print(f"Nothing has a key like {named} there.", markup=False)


def _print(console: Console, results: Mapping[str, Any]) -> None:
    for name, result in results.items():
        rows, start = result["rows"], result["digest"][:16]
        console.print(f"[bold]{name}[/]: {so_many(rows, 'row')} as of position {result['position']:,}, digest {start}")
        if "equal" in result:
            console.print("  [green]equal to the live rows[/]" if result["equal"] else "  [red]differs from the live rows[/]")
        if difference := result.get("first_difference"):
            place = difference.field or "the row as a whole"
            console.print(f"  first at {difference.key}, {place}: live {difference.live!r}, rebuilt {difference.rebuilt!r}")
        if "swapped_at" in result:
            console.print(f"  swapped in at position {result['swapped_at']:,}")
