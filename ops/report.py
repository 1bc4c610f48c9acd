"""What the command line shows of a log: status, traces, numbers explained, migrations."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from engine.errors import StartupError
from engine.migrate import migrate
from engine.reminders import Reminders
from ops.database import open_database, open_log, position_at
from ops.explain import explain as explain_sku
from ops.explain import print_asked
from ops.paper import paper
from ops.recompute import print_checked, recompute
from ops.sentences import so_many
from ops.settings import read_settings
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
