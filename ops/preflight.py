"""`crossdock check`: whatever `serve` would refuse to run with, and what either system lacks, with how to mend it. Changes nothing."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

from rich.markup import escape

from engine.adapter import Finding
from engine.errors import EngineError, StartupError
from engine.metrics import Metrics
from engine.migrate import check_schema, prove_privileges
from engine.ports import PostgresDb, RandomIds, SystemClock, SystemRng, TcpNet
from engine.vault import KEY_BYTES, key_of
from ops.database import master_key_of, prove_master_key, share_database
from ops.declared import line_of
from ops.evidence import folder_of
from ops.logs import configure_logs
from ops.paper import paper
from ops.report import Environment, print_json
from ops.service import Ports, Unmetered, Wiring, adapters_of
from ops.settings import Settings, read_settings, reveal, secrets_of

KEYS = ("vault.master_key", "evidence.signing_key", "evidence.previous_signing_key")


async def check(path: Path, url: str, environment: Environment, *, as_json: bool) -> int:
    """Exit code 1 unless everything is in place."""
    settings = read_settings(path)
    ports = Ports(SystemClock(), RandomIds(), SystemRng(), TcpNet(), PostgresDb(""))
    configure_logs(ports.clock)
    wiring = Wiring(settings.tenant_id, ports, Metrics(), lambda _: Unmetered())
    found: dict[str, list[Finding]] = {
        "settings": _secrets(settings, path.read_text("utf-8"), url, environment),
        "database": await _database(settings, url, environment),
        "evidence": [_evidence(settings, environment)],
    }
    try:
        adapters = adapters_of(settings, environment, wiring)
    except StartupError as error:
        adapters = []
        fix = "mend this first: neither system was asked"
        found["systems"] = [Finding("answer", ok=False, detail=str(error), fix=fix)]
    for adapter in adapters:
        try:
            if findings := await adapter.probe():  # the clock of reminders has nothing to be asked
                found[adapter.target] = list(findings)
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


def _secrets(settings: Settings, text: str, url: str, environment: Environment) -> list[Finding]:
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


def _evidence(settings: Settings, environment: Environment) -> Finding:
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


async def _database(settings: Settings, url: str, environment: Environment) -> list[Finding]:
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
