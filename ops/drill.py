"""Does what is backed up come back? Backs up, restores into an empty server, and compares everything there with what it must be."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from engine.chain import verify as verify_chain
from engine.errors import ChainError, EngineError, StartupError
from engine.log import Log
from engine.metrics import Metrics
from engine.migrate import check_schema, prove_privileges
from engine.ports import PostgresDb, SystemClock, SystemRng
from engine.rebuild import digest, discard, rebuild
from engine.vault import Vault
from ops.backup import KEYS, READABLE, Manifest, back_up, folded, read_manifest, require_keys, restore, tables
from ops.database import Opened, master_key_of, share_database
from ops.evidence import folder_of
from ops.evidence.audit import audit
from ops.paper import out
from ops.postgres import DATABASE, ENGINE, EmbeddedPostgres
from ops.progress import Told, progress_bar
from ops.report import print_json
from ops.service import PROJECTIONS
from ops.settings import Settings, read_settings

Environment = Mapping[str, str]
OPENED_AT_ONCE = 2_000  # sealed parts

HASH_AT = "SELECT encode(hash, 'hex') FROM crossdock.events WHERE tenant = $1 AND position = $2"

clock = SystemClock()


class Step(Struct, frozen=True):
    """A part of the drill, and what it found."""

    name: str
    seconds: float
    seen: str
    wrong: tuple[str, ...] = ()  # what is not as it must be


class Report(Struct, frozen=True):
    """What came back of a backup."""

    holds: bool
    made_at: str
    position: int
    hash: str
    log_bytes: int
    keys_bytes: int
    seconds: float
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Restored:
    """A backup that is back, in a server of its own; what it must be; and the log it was made from."""

    opened: Opened
    manifest: Manifest
    live_url: str  # of the engine's role
    settings: Settings
    environment: Environment
    bar: Callable[[str], Told]
    later_keys: bool = False  # than the backup: people may have been erased since


Found = tuple[str, Sequence[str]]  # what was seen, what is wrong
Check = Callable[[Restored], Awaitable[Found]]


# ---------------------------------------------------------------- what must hold of what came back


async def version(restored: Restored) -> Found:
    async with restored.opened.pool.acquire() as conn:
        last = await check_schema(conn)
        await prove_privileges(conn)
    return f"{last}; the engine may append and read", ()


async def chain(restored: Restored) -> Found:
    manifest, log = restored.manifest, restored.opened.log
    verified = await verify_chain(restored.opened.pool, log.tenant, progress=restored.bar("chain"))
    wrong = [] if (verified.position, verified.hash.hex()) == (manifest.position, manifest.hash) else ["the log ends otherwise than it did"]
    return f"{verified.events:,} events, the last hash is {verified.hash.hex()[:16]}…", wrong


async def same_log(restored: Restored) -> Found:
    """The log that is live has gone on from there, and is no other."""
    conn = await PostgresDb(restored.live_url, command_timeout=120.0).connect()
    try:
        live = await conn.fetchval(HASH_AT, restored.manifest.tenant, restored.manifest.position)
    finally:
        await conn.close()
    wrong = [] if live == restored.manifest.hash else ["the live log has another event at the backup's last position, or none"]
    return f"the live log has the same event at {restored.manifest.position:,}", wrong


async def sealed(restored: Restored) -> Found:
    """What is sealed opens with the master key, but where its key is gone."""
    log, manifest = restored.opened.log, restored.manifest
    told, opened, erased = restored.bar("sealed"), 0, 0
    for after in range(0, manifest.position, OPENED_AT_ONCE):
        envelopes = [each for each in await log.read(after, OPENED_AT_ONCE) if each.sealed is not None]
        parts = await log.opened(envelopes)
        opened += sum(part is not None for part in parts)
        erased += sum(part is None for part in parts)
        told(min(after + OPENED_AT_ONCE, manifest.position), manifest.position)
    wrong = list[str]()
    if opened + erased != manifest.sealed:
        wrong.append(f"{manifest.sealed:,} events had something sealed beside them, and {opened + erased:,} have")
    if (keyed := await restored.opened.pool.fetchval(READABLE, log.tenant, column=1)) != opened:
        wrong.append(f"{keyed:,} sealed parts have a key, and {opened:,} open")
    if opened > manifest.readable:
        wrong.append(f"{opened:,} sealed parts open, and only {manifest.readable:,} did: somebody who was erased is back")
    if opened < manifest.readable and not restored.later_keys:
        wrong.append(f"{manifest.readable - opened:,} sealed parts that did open do not")
    return f"{opened:,} sealed parts open, the keys of {erased:,} are gone", wrong


async def every_table(restored: Restored) -> Found:
    async with restored.opened.pool.acquire() as conn:
        found = await tables(conn)
    must = restored.manifest.tables
    wrong = [f"table {name} is not what it was" for name in sorted(must.keys() | found.keys()) if must.get(name) != found.get(name)]
    return f"{len(found)} tables beside the log", wrong


async def rows(restored: Restored) -> Found:
    async with restored.opened.pool.acquire() as conn:
        found = await folded(conn, restored.manifest.tenant, PROJECTIONS)
    must = restored.manifest.projections
    wrong = [
        f"the rows of {name} are not what they were" for name in sorted(must.keys() | found.keys()) if must.get(name) != found.get(name)
    ]
    return f"{sum(each.rows for each in found.values()):,} rows of {len(found)} projections", wrong


async def rebuilt(restored: Restored) -> Found:
    """Each projection folded from the restored log, from nothing: the same rows as were live at that position."""
    pool, log, wrong, events = restored.opened.pool, restored.opened.log, list[str](), 0
    for projection in PROJECTIONS:
        if (must := restored.manifest.projections.get(projection.name)) is None:
            continue  # had not begun
        anew = await rebuild(pool, log, projection, upto=must.position, progress=restored.bar(projection.name))
        async with pool.acquire() as conn:
            if await digest(conn, anew.table, log.tenant) != must.digest:
                wrong.append(f"{projection.name}, folded from nothing to position {must.position:,}, is not what was live")
        await discard(pool, anew)
        events += must.position
    return f"{len(restored.manifest.projections)} projections from {events:,} events", wrong


async def checkpoints(restored: Restored) -> Found:
    """Each signed checkpoint that is kept outside and is not of later is a beginning of this log."""
    folder = folder_of(restored.settings, restored.environment, SystemRng())
    kept = [each for each in folder.all() if each.checkpoint.size <= restored.manifest.position] if folder else []
    return f"{(await audit(restored.opened.pool, restored.opened.log, kept)).compared} signed checkpoints", ()


CHECKS: tuple[tuple[str, Check], ...] = (
    ("version", version),
    ("chain", chain),
    ("same log", same_log),
    ("sealed", sealed),
    ("tables", every_table),
    ("rows", rows),
    ("rebuild", rebuilt),
    ("checkpoints", checkpoints),
)


# ---------------------------------------------------------------- the drill


async def drill(
    path: Path,
    url: str,
    environment: Environment,
    *,
    keep: Path | None = None,
    backup: Path | None = None,
    keys: Path | None = None,
    as_json: bool = False,
) -> int:
    """Exit code 1 if anything differs.

    `backup`: one made earlier; `keys`: others than lie beside it, of a later day; `keep`: where to leave the new one.
    """
    settings = read_settings(path)
    if keys is not None:
        require_keys(keys)
    with progress_bar(Console(stderr=True)) as bar, share_database(settings, environment, url=url) as live:
        async with _room() as room:
            began, steps = clock.monotonic(), list[Step]()
            if backup is None:
                backup = keep or room / "backup"
                bar("backing up")
                manifest = await back_up(live.owner_url, settings.tenant_id, PROJECTIONS, backup, sync=keep is not None)
                size = manifest.log_bytes + manifest.keys_bytes
                steps.append(
                    Step("back up", clock.monotonic() - began, f"{size / 2**20:,.1f} MiB, of these {manifest.keys_bytes:,} bytes keys")
                )
            else:
                manifest = read_manifest(backup)
            if manifest.tenant != settings.tenant_id:
                raise StartupError(f"the backup is of {manifest.tenant}, the settings are of {settings.tenant_id}")
            bar("restoring")
            restoring = clock.monotonic()
            try:
                vault_of = partial(Vault, tenant=settings.tenant_id, master=master_key_of(settings, environment))
                async with _restored(room, backup, keys or backup / KEYS, manifest, vault_of) as opened:
                    steps.append(Step("restore", clock.monotonic() - restoring, "into an empty server"))
                    steps += await checked(
                        Restored(opened, manifest, live.engine_url, settings, environment, bar, later_keys=keys is not None)
                    )
            except NotBackError as error:
                steps.append(Step("restore", clock.monotonic() - restoring, "", (str(error),)))
            report = _report(manifest, steps, clock.monotonic() - began)
    if as_json:
        print_json(report)
    else:
        _print(out(as_json=False), report)
    return 0 if report.holds else 1


class NotBackError(EngineError):
    """The backup does not go into an empty server."""


async def checked(restored: Restored, checks: Sequence[tuple[str, Check]] = CHECKS) -> list[Step]:
    """Everything that must hold, also after something that does not."""
    steps = list[Step]()
    for name, check in checks:
        began = clock.monotonic()
        try:
            seen, wrong = await check(restored)
        except ChainError as error:
            seen, wrong = "", (f"the chain is broken: {error}",)
        except EngineError as error:
            seen, wrong = "", (str(error),)
        steps.append(Step(name, clock.monotonic() - began, seen, tuple(wrong)))
    return steps


@asynccontextmanager
async def _room() -> AsyncIterator[Path]:
    """A directory for the drill, which the server's user may pass."""
    with tempfile.TemporaryDirectory(prefix="crossdock-drill-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory


@asynccontextmanager
async def _restored(room: Path, backup: Path, keys: Path, manifest: Manifest, vault_of: Callable[[Any], Vault]) -> AsyncIterator[Opened]:
    """The backup in a server of its own, as the engine sees it."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(room / "postgres", durable=False))
        try:
            await restore(server.url(), backup, keys, manifest)
        except EngineError as error:
            raise NotBackError(str(error)) from None
        pool = await PostgresDb(server.url(DATABASE, ENGINE), size=6, command_timeout=120.0).pool()
        stack.push_async_callback(_close, pool)
        vault = vault_of(pool)
        yield Opened(pool, Log(pool, manifest.tenant, vault, clock, Metrics()), vault, clock)


async def _close(pool: Any) -> None:
    with anyio.CancelScope(shield=True):
        await pool.close()


def _report(manifest: Manifest, steps: Sequence[Step], seconds: float) -> Report:
    return Report(
        holds=not any(step.wrong for step in steps),
        made_at=manifest.made_at.isoformat(timespec="seconds"),
        position=manifest.position,
        hash=manifest.hash,
        log_bytes=manifest.log_bytes,
        keys_bytes=manifest.keys_bytes,
        seconds=seconds,
        steps=tuple(steps),
    )


def _print(console: Console, report: Report) -> None:
    table = Table(header_style="bold")
    for heading in ("step", "seconds", "", "what"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for step in report.steps:
        table.add_row(
            step.name, f"{step.seconds:.2f}", "[red]wrong[/]" if step.wrong else "[green]ok[/]", "\n".join((step.seen, *step.wrong)).strip()
        )
    console.print(table)
    what = f"backup of {report.made_at}, position {report.position:,}, {report.seconds:.1f} s"
    console.print(f"[green]All of it came back[/]: {what}" if report.holds else f"[red]It did not come back as it was[/]: {what}")
