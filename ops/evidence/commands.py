"""`crossdock evidence`, `crossdock verify` and `crossdock resume`."""

import getpass
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from engine.errors import EngineError
from engine.metrics import Metrics
from engine.ports import SystemRng
from ops.database import Opened, open_log
from ops.evidence import folder_of
from ops.evidence.audit import audit
from ops.evidence.bundle import consistency_bundle, order_bundle
from ops.evidence.folder import Folder, Kept
from ops.evidence.guard import Guard, Rollback, rolled_back
from ops.evidence.keys import is_signed
from ops.evidence.resume import Waiting, say_resumed, unread, waiting
from ops.evidence.sealer import Sealer
from ops.evidence.verify import ForgedError, verify_consistency, verify_order
from ops.paper import paper
from ops.progress import progress_bar
from ops.report import print_json, write_new
from ops.sentences import so_many
from ops.service import PROJECTIONS
from ops.settings import Settings, read_settings
from ops.trace import find_orders

Environment = Mapping[str, str]


class EvidenceError(EngineError):
    """What was asked for cannot be proved; the message says why."""


def _folder(settings: Settings, environment: Environment) -> Folder:
    folder = folder_of(settings, environment, SystemRng())
    if folder is None:
        raise EvidenceError("no checkpoints are kept: set [evidence] directory and signing_key")
    return folder


async def order_evidence(name: str, out: Path, path: Path, url: str, environment: Environment, *, opened: bool) -> int:
    settings = read_settings(path)
    async with open_log(settings, environment, url) as found:
        folder = _folder(settings, environment)
        async with found.pool.acquire() as conn:
            streams = await find_orders(conn, found.log, found.log.tenant, settings.channel_ids, name)
        if len(streams) != 1:
            what = f"{len(streams)} orders are" if streams else "no order is"
            raise EvidenceError(f"{what} called {name}: give the number of one, of either side")
        kept = await _covering(settings, found, folder, max(each.position for each in await found.log.read_stream(streams[0])))
        bundle = await order_bundle(found.pool, found.log, folder, kept, name=name, streams=streams, now=found.clock.now(), opened=opened)
        keys = [folder.keys[-1].key]
    _proved(lambda: verify_order(bundle, keys, is_signed))
    write_new(out, bundle, indent=1, private=opened)
    _print_written(out, folder, f"{so_many(len(bundle['events']), 'event')} of {name}, proved against {kept.path.name}")
    return 0


async def _covering(settings: Settings, found: Opened, folder: Folder, position: int) -> Kept:
    """The newest checkpoint, if that has this event; else one that is made now."""
    if await rolled_back(found.pool, found.log, folder) is not None:
        raise EvidenceError("the log does not continue the newest checkpoint: see `crossdock verify`")
    newest = folder.newest()
    if newest is not None and newest.checkpoint.size >= position:
        return newest
    folder.prepare(found.clock.now())
    guard = Guard(found.pool, found.log, folder, found.clock, Metrics())
    return await Sealer(found.pool, found.log, folder, guard, settings.evidence, PROJECTIONS, found.clock, Metrics()).seal()


async def consistency_evidence(old: Path, new: Path, path: Path, url: str, environment: Environment, *, out: Path | None) -> int:
    """Of two checkpoint files, wherever they were kept."""
    settings = read_settings(path)
    async with open_log(settings, environment, url) as found:
        folder = _folder(settings, environment)
        older, newer = folder.read(old), folder.read(new)
        if older.checkpoint.size > newer.checkpoint.size:
            raise EvidenceError(f"{old} has more events than {new}: give the older one first")
        bundle = await consistency_bundle(found.pool, found.log, folder, older, newer)
        keys = folder.trusted()
    _proved(lambda: verify_consistency(bundle, keys, is_signed))
    said = f"the log of {newer.checkpoint.size:,} events begins with that of {older.checkpoint.size:,}"
    if out is not None:
        write_new(out, bundle, indent=1)
        _print_written(out, folder, said)
    else:
        paper().print(f"[green]It holds[/]: {said}")
    return 0


def _proved(check: Callable[[], object]) -> None:
    """Nothing is handed out that would not be believed."""
    try:
        check()
    except ForgedError as error:
        raise EvidenceError(f"it does not hold: {error}") from None


def _print_written(out: Path, folder: Folder, said: str) -> None:
    console = paper()
    console.print(f"{out}: {said}", markup=False, soft_wrap=True)
    console.print("To verify it anywhere, offline, with ops/evidence/verify.py and the log's public key:", markup=False)
    console.print(f"  python3 verify.py --key '{folder.keys[-1].text}' {out.name}", markup=False, soft_wrap=True)  # to be copied


# ---------------------------------------------------------------- verify


async def verify(path: Path, url: str, environment: Environment, *, as_json: bool) -> int:
    settings = read_settings(path)
    async with open_log(settings, environment, url) as opened:
        folder = folder_of(settings, environment, SystemRng())
        with progress_bar(Console(stderr=True)) as bar:
            found = await audit(opened.pool, opened.log, folder.all() if folder else (), progress=bar("verifying"))
    sys.stdout.flush()
    verified, newest = found.verified, found.newest
    if as_json:
        told = {"compared": found.compared, "lost": found.lost, "newest": newest.checkpoint.size if newest else None}
        chain = {"position": verified.position, "events": verified.events, "hash": verified.hash.hex()}
        print_json({"verified": True, **chain, "checkpoints": told})
        return 0
    console = paper()
    console.print(f"[green]The chain holds[/]: {so_many(verified.events, 'event')}, the last hash is {verified.hash.hex()}", soft_wrap=True)
    if newest is not None:
        when = newest.checkpoint.time.isoformat(timespec="seconds")
        signed = so_many(found.compared - found.lost, "checkpoint")
        console.print(f"It is what was signed in {signed}, the last of {newest.checkpoint.size:,} at {when}")
    elif not found.compared:
        where = f"none is in {folder.directory}" if folder else "none are kept: set [evidence] directory and signing_key"
        console.print(f"[yellow]It was compared with no signed checkpoint[/]: {where}", soft_wrap=True)
    if found.lost:
        lost = so_many(found.lost, "checkpoint")
        console.print(f"[yellow]{lost} of events that are gone[/]: a person has let work go on (crossdock resume)")
    return 0


# ---------------------------------------------------------------- resume


async def resume(reason: str, actor: str, path: Path, url: str, environment: Environment, *, anyway: bool) -> int:
    """Exit code 1 where there is nothing to resume, or where not all has been read again."""
    settings = read_settings(path)
    async with open_log(settings, environment, url) as opened:
        pool, log, folder = opened.pool, opened.log, _folder(settings, environment)
        found = await rolled_back(pool, log, folder)
        console = paper()
        if found is None:
            console.print("The log continues the newest checkpoint: nothing is held back because of it.")
            return 1
        _print_rollback(console, found, await waiting(pool, log))
        if (missing := await unread(pool, log, settings)) and not anyway:
            console.print(f"[red]Not resumed[/]: {', '.join(missing)} not yet read again by `crossdock serve`. Wait, or say --anyway.")
            return 1
        await say_resumed(pool, log, settings, found, now=opened.clock.now(), actor=f"person:{actor or getpass.getuser()}", reason=reason)
    console.print("[green]Work goes on.[/] What waits is looked for before it is asked for again.")
    return 0


def _print_rollback(console: Console, found: Rollback, waits: Sequence[Waiting]) -> None:
    """What is known of what is gone, and what would be sent."""
    lost, kept = found.lost.checkpoint, found.kept.checkpoint if found.kept else None
    console.print(f"Signed at {lost.time.isoformat(timespec='seconds')}: {lost.size:,} events. This log ends at {found.head:,}.")
    if kept is not None:
        console.print(f"It continues what was signed at {kept.time.isoformat(timespec='seconds')}: {kept.size:,} events.")
    console.print(f"What waits to be sent: {', '.join(f'{each.number} {each.tag}' for each in waits) or 'nothing'}.")
