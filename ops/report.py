"""What the command line shows of a log: status, traces, checks, migrations."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.adapter import Finding
from engine.errors import EngineError, StartupError
from engine.metrics import Metrics
from engine.migrate import check_schema, migrate, prove_privileges
from engine.ports import PostgresDb, RandomIds, SystemClock, SystemRng, TcpNet
from engine.reminders import Reminders
from engine.vault import KEY_BYTES, key_of
from ops.database import master_key_of, open_database, open_log, position_at, prove_master_key, share_database
from ops.declared import line_of
from ops.evidence import folder_of
from ops.explain import explain as explain_sku
from ops.explain import print_asked
from ops.logs import configure_logs
from ops.paper import paper
from ops.recompute import print_checked, recompute
from ops.sentences import so_many
from ops.settings import Settings, read_settings, reveal, secrets_of
from ops.trace import print_story, story
from projections.exceptions import Trouble
from schemas.values import Sku

Environment = Mapping[str, str]

CHECKPOINTS = "SELECT name, position FROM crossdock.checkpoints WHERE tenant = $1 ORDER BY name"
QUEUE = "SELECT target, class, state, count(*) AS depth FROM crossdock.outbox WHERE tenant = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
CURSORS = "SELECT name, committed_at FROM crossdock.cursors WHERE tenant = $1 ORDER BY name"
LEASES = "SELECT name, epoch, holder IS NOT NULL AS held FROM crossdock.leases WHERE tenant = $1 ORDER BY name"
OPEN = "SELECT document FROM projections.exceptions WHERE tenant = $1 AND document->>'open' = 'true' ORDER BY key"


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False) + "\n")


def write_new(path: Path, value: Any, *, indent: int, private: bool = False) -> None:
    """As JSON, to a file that is not there yet; `private`: only its owner may read it. StartupError says why it cannot be."""
    text = json.dumps(msgspec.to_builtins(value), indent=indent, ensure_ascii=False) + "\n"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StartupError(f"{path} cannot be written: {error.strerror}") from None


async def trace(name: str, path: Path, url: str, environment: Environment, *, as_json: bool) -> int:
    settings = read_settings(path)
    async with open_log(settings, environment, url) as opened:
        steps = await story(opened.pool, opened.log, settings.tenant_id, settings.channel_ids, name)
    if as_json:
        print_json({"name": name, "steps": steps})
    elif steps:
        print_story(paper(), name, steps)
    else:
        said = f"Nothing in the log is called {name}. Give an order number of either side, a Shopify order's name, or a SKU."
        paper(stderr=True).print(said, markup=False)
    return 0 if steps else 1


async def explain(sku: str, at: str, path: Path, url: str, environment: Environment, *, as_json: bool) -> int:
    """Exit code 1 where a number is not what the log makes of it, and where there is none to explain."""
    settings = read_settings(path)
    async with open_log(settings, environment, url) as opened:
        upto = await position_at(opened, at, "--at") if at else await opened.log.head()
        asked = await explain_sku(opened.pool, opened.log, settings.channel_ids, Sku(sku), upto)
    if as_json:
        print_json(asked)
    elif asked.known:
        print_asked(paper(), asked)
    else:
        near = f" Perhaps {', '.join(asked.near)}?" if asked.near else ""
        by_then = f" by {at}" if at else ""
        paper(stderr=True).print(f"Nothing had been heard of a SKU {sku}{by_then}.{near}", markup=False)
    return 0 if asked.channels and all(each.agrees for each in asked.channels) else 1


async def explain_all(at: str, path: Path, url: str, environment: Environment, *, as_json: bool) -> int:
    """Exit code 1 where a number is not what the log makes of it."""
    settings = read_settings(path)
    async with open_log(settings, environment, url) as opened:
        upto = await position_at(opened, at, "--at") if at else await opened.log.head()
        checked = await recompute(opened.pool, opened.log, upto)
    if as_json:
        print_json(checked)
    else:
        print_checked(paper(), checked)
    return 0 if checked.agrees else 1


async def status(path: Path, url: str, environment: Environment, *, as_json: bool) -> int:
    settings = read_settings(path)
    async with open_log(settings, environment, url) as opened:
        tenant, pool = settings.tenant_id, opened.pool
        head = await opened.log.head()
        troubles = [msgspec.json.decode(row["document"], type=Trouble) for row in await pool.fetch(OPEN, tenant)]
        report = {
            "tenant": tenant,
            "log_position": head,
            "projections": {
                row["name"]: {"position": row["position"], "behind": head - row["position"]}
                for row in await pool.fetch(CHECKPOINTS, tenant)
            },
            "outbox": [dict(row) for row in await pool.fetch(QUEUE, tenant)],
            "cursors": {row["name"]: row["committed_at"].isoformat(timespec="seconds") for row in await pool.fetch(CURSORS, tenant)},
            "leases": {row["name"]: {"epoch": row["epoch"], "held": row["held"]} for row in await pool.fetch(LEASES, tenant)},
            "exceptions_open": troubles,
        }
    if as_json:
        print_json(report)
    else:
        _print_status(paper(), report, troubles)
    return 1 if troubles else 0


def _print_status(console: Console, report: Mapping[str, Any], troubles: Sequence[Trouble]) -> None:
    console.print(f"Log of [bold]{report['tenant']}[/]: {so_many(report['log_position'], 'event')}")
    for name, place in report["projections"].items():
        console.print(f"  {name:<14} folded to {place['position']:,}" + (f", {place['behind']:,} behind" if place["behind"] else ""))
    for name, when in report["cursors"].items():
        console.print(f"  {name:<28} read {when}")
    for name, lease in report["leases"].items():
        console.print(f"  {name:<28} {'led' if lease['held'] else 'nobody leads'}, epoch {lease['epoch']}")
    for row in report["outbox"]:
        console.print(f"  {queued(row)}")
    if not troubles:
        console.print("[green]Nothing waits for a person.[/]")
        return
    table = Table(title=f"{so_many(len(troubles), 'exception')} open", title_justify="left", header_style="bold")
    for heading in ("code", "owner", "severity", "subject", "what"):
        table.add_column(heading, overflow="fold")
    for trouble in sorted(troubles, key=lambda trouble: trouble.urgency):
        table.add_row(trouble.code, trouble.owner, str(trouble.severity), trouble.subject, trouble.summary)
    console.print(table)


def queued(row: Mapping[str, Any]) -> str:
    """A row of QUEUE, for people."""
    if row["target"] == Reminders.target and row["state"] == "waiting":
        return f"{so_many(row['depth'], 'reminder')} set for later"
    return f"{so_many(row['depth'], 'command')} (class {row['class']}) for {row['target']}: {row['state']}"


async def bring_up_to_date(path: Path, url: str, environment: Environment) -> int:
    settings = read_settings(path)
    with open_database(settings, environment, url=url) as database:
        applied = await migrate(database.owner_url)
    for name in applied:
        paper().print(f"applied {name}")
    if not applied:
        paper().print("up to date")
    return 0


async def check(path: Path, url: str, environment: Environment, *, as_json: bool) -> int:
    """Exit code 1 unless everything is in place."""
    from ops.service import Ports, Unmetered, Wiring, adapters_of  # noqa: PLC0415 - the adapters are the heaviest thing to load

    settings = read_settings(path)
    ports = Ports(SystemClock(), RandomIds(), SystemRng(), TcpNet(), PostgresDb(""))
    configure_logs(ports.clock)
    wiring = Wiring(settings.tenant_id, ports, Metrics(), lambda _: Unmetered())
    found: dict[str, list[Finding]] = {
        "settings": _check_secrets(settings, path.read_text("utf-8"), url, environment),
        "database": await _check_database(settings, url, environment),
        "evidence": [_check_evidence(settings, environment)],
    }
    try:
        adapters = adapters_of(settings, environment, wiring)
    except StartupError as error:
        adapters = []
        fix = "mend this first: neither system was asked"
        found["systems"] = [Finding("answer", ok=False, detail=str(error), fix=fix)]
    for adapter in adapters:
        try:
            found[adapter.target] = list(await adapter.probe())
        except EngineError as error:
            found[adapter.target] = [Finding("answers", ok=False, detail=str(error), fix="see the settings of this connection")]
        finally:
            await adapter.aclose()
    found = {target: [replace(each, fix="") if each.ok else each for each in findings] for target, findings in found.items()}
    holds = all(finding.ok for findings in found.values() for finding in findings)
    if as_json:
        print_json({"ok": holds, "findings": found})
        return 0 if holds else 1
    console = paper()
    for target, findings in found.items():
        console.print(f"[bold]{target}[/]")
        for finding in findings:
            mark = "[green]ok[/]     " if finding.ok else "[red]missing[/]"
            console.print(f"  {mark} {escape(finding.what + (f': {finding.detail}' if finding.detail else ''))}")
            if finding.fix:
                console.print(f"          {escape(finding.fix)}")
    return 0 if holds else 1


KEYS = ("vault.master_key", "evidence.signing_key", "evidence.previous_signing_key")


def _check_secrets(settings: Settings, text: str, url: str, environment: Environment) -> list[Finding]:
    """Each secret without which `serve` would not run, that is not there or not of its form."""
    missing, count = list[Finding](), 0
    for name, steps, reference in secrets_of(settings):
        if (name == "database.url" and url) or (name == "database.owner_url" and reference.env and reference.env not in environment):
            continue  # another was given; the engine runs without the owner's login
        count += 1
        try:
            secret = reveal(reference, name, environment).reveal()
            if name in KEYS:
                key_of(secret, name)
        except StartupError as error:
            what = f"{KEY_BYTES} bytes in base64 (openssl rand -base64 {KEY_BYTES})" if name in KEYS else "it"
            place = f"into {reference.file}, and chmod 600 {reference.file}" if reference.file else f"into the variable {reference.env}"
            detail = f"line {line_of(text, steps)}: {str(error).removeprefix(f'{name}: ')}"
            missing.append(Finding(name, ok=False, detail=detail, fix=f"put {what} {place}, or say in the settings where else it stands"))
    if settings.vault.master_key is None and not _is_made_at_start(settings, "master.key"):
        try:
            master_key_of(settings, environment)
        except StartupError as error:
            missing.append(Finding("vault.master_key", ok=False, detail=str(error)))
    return missing or [Finding("secrets", ok=True, detail=f"{count} are there")]


def _is_made_at_start(settings: Settings, name: str) -> bool:
    """A key beside a database of our own: `serve` makes it where it is not there yet, and a check makes nothing."""
    return bool(settings.database.directory) and not Path(settings.database.directory, name).exists()


def _check_evidence(settings: Settings, environment: Environment) -> Finding:
    what, section = "checkpoints", settings.evidence
    if not (section.directory or settings.database.directory):
        return Finding(what, ok=False, fix="set [evidence] directory and signing_key: nothing proves the log otherwise")
    if section.signing_key is None and _is_made_at_start(settings, "evidence.key"):
        return Finding(what, ok=True)
    try:
        folder = folder_of(settings, environment, SystemRng())
        if folder is not None:
            folder.newest()
            _try_to_write(folder.directory)
    except EngineError as error:
        return Finding(
            what,
            ok=False,
            detail=str(error),
            fix="see [evidence] in the settings; where the key was changed, give previous_signing_key, too",
        )
    return Finding(what, ok=True)


def _try_to_write(directory: Path) -> None:
    """Raise StartupError if nothing can be kept there. Leaves nothing behind: the file has no name."""
    nearest = next(place for place in (directory, *directory.parents) if place.exists())
    try:
        with TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise StartupError(f"evidence.directory: {directory}: {error.strerror}") from None


async def _check_database(settings: Settings, url: str, environment: Environment) -> list[Finding]:
    what, fix = "answers", "see [database] in the settings"
    try:
        with share_database(settings, environment, url=url) as database:
            conn = await PostgresDb(database.engine_url).connect()
            try:
                what, fix = "version", "crossdock migrate"
                last = await check_schema(conn)
                what, fix = "privileges", "give the engine a login of its own"
                await prove_privileges(conn)
                what, fix = "master key", "give the one that this database was begun with"
                await prove_master_key(conn, settings, environment)
            finally:
                await conn.close()
    except (EngineError, OSError) as error:
        return [Finding(what, ok=False, detail=str(error), fix=fix)]
    return [
        Finding("answers", ok=True),
        Finding("version", ok=True, detail=last),
        Finding("privileges", ok=True, detail="append and read"),
        Finding("master key", ok=True),
    ]
