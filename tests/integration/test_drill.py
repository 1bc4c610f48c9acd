"""The restore drill: what is backed up comes back, and whatever does not is named. At 100,000 events, and at few with something spoilt."""

import base64
import gzip
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest

from engine.errors import StartupError
from engine.rebuild import rebuild, swap
from engine.runner import advance
from ops.backup import KEYS, LOG, MANIFEST, back_up
from ops.bench.life import append_of
from ops.drill import drill
from ops.service import PROJECTIONS
from tests.conftest import Database
from tests.house import settings_of
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

MANY, FEW = 100_000, 400  # events


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database, projections=PROJECTIONS) as it:
        yield it


async def fill(engine: Machine, events: int, first: int = 1) -> None:
    """A log of orders' lives, every address sealed."""
    numbers = iter(range(first, first + events // 8))
    while some := [append_of(number, sealed=True) for number in islice(numbers, 250)]:
        async with engine.pool.acquire() as conn, conn.transaction():
            await engine.log.append_in(conn, some)


async def fold(engine: Machine) -> None:
    """As the engine carries them forward."""
    for projection in PROJECTIONS:
        while await advance(engine.pool, engine.log, projection):
            pass


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Path:
    return settings_of(database, tmp_path)


async def drilled(settings: Path, capsys: pytest.CaptureFixture[str], **how: Any) -> tuple[int, Any]:
    code = await drill(settings, "", {}, as_json=True, **how)
    return code, json.loads(capsys.readouterr().out)


def wrong(report: Any) -> dict[str, list[str]]:
    return {step["name"]: step["wrong"] for step in report["steps"] if step["wrong"]}


async def test_a_log_of_a_hundred_thousand_events_comes_back(engine: Machine, settings: Path, figure: Callable[[str], None]) -> None:
    """By the command that people give."""
    await fill(engine, MANY)
    for projection in PROJECTIONS:
        await swap(engine.pool, engine.log, projection, await rebuild(engine.pool, engine.log, projection))
    done = await anyio.run_process([sys.executable, "-m", "ops", "drill", "--config", str(settings), "--json"], check=False, stderr=None)
    report = json.loads(done.stdout)
    assert (done.returncode, wrong(report)) == (0, {})
    assert report["position"] == MANY and report["log_bytes"] > 1_000_000
    steps = ", ".join(f"{step['name']} {step['seconds']:.1f} s" for step in report["steps"])
    figure(f"restore drill: {MANY:,} events, {report['log_bytes'] / 2**20:.1f} MiB, {report['seconds']:.1f} s: {steps}")


async def test_the_engine_may_go_on_while_it_is_backed_up(engine: Machine, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that are behind the log, commands in the outbox, a log that has grown since: all of one moment."""
    await fill(engine, FEW)
    await fold(engine)
    await fill(engine, FEW, first=1_000)
    await advance(engine.pool, engine.log, PROJECTIONS[0], limit=3)
    kept = settings.parent / "kept"
    code, report = await drilled(settings, capsys, keep=kept)
    assert (code, wrong(report)) == (0, {})
    await fill(engine, FEW, first=2_000)
    await fold(engine)
    code, report = await drilled(settings, capsys, backup=kept)
    assert (code, wrong(report), report["position"]) == (0, {}, 2 * FEW)


# ---------------------------------------------------------------- what does not come back as it was


def spoil(directory: Path, line: str, change: Callable[[bytes], bytes]) -> None:
    """Change the one line of a dump in which something like this stands; `line` is a pattern."""
    found = 0
    for path in sorted(directory.glob("*.dat.gz")):
        lines = gzip.decompress(path.read_bytes()).split(b"\n")
        places = [place for place, text in enumerate(lines) if re.search(line.encode(), text)]
        if places and not found:
            lines[places[0]] = change(lines[places[0]])
            path.write_bytes(gzip.compress(b"\n".join(lines)))
        found += len(places)
    assert found, f"nothing in {directory} is like {line}"


@pytest.fixture
async def kept(engine: Machine, database: Database, settings: Path) -> Path:
    """A backup that would come back."""
    await fill(engine, FEW)
    await fold(engine)
    await engine.pool.execute("INSERT INTO crossdock.cursors VALUES ($1, 'poll', 'as far as this', '2026-11-20T12:00:00Z')", TENANT)
    directory = settings.parent / "kept"
    await back_up(database.owner_url, TENANT, PROJECTIONS, directory, sync=False)
    return directory


async def test_whatever_was_altered_or_cut_in_a_backup_is_named(kept: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(kept / LOG, rf'^{TENANT}\t9\torder-.*"order_placed"', lambda line: line.replace(b'"sku":"SKU-', b'"sku":"SKV-'))
    spoil(kept / LOG, rf"^{TENANT}\tasos:00000007-A\t", lambda line: line.replace(b"SHIPPING", b"SHIPPED_"))  # a row of orders
    spoil(kept / LOG, "as far as this", lambda line: line.replace(b"as far as this", b"further on"))
    spoil(kept / KEYS, rf"^{TENANT}\torder-7\t", lambda line: line.replace(b"order-7\t", b"order-7b\t"))
    code, report = await drilled(settings, capsys, backup=kept)
    found = wrong(report)
    assert code == 1 and not report["holds"]
    assert "position 9 was altered" in found["chain"][0]
    assert "table cursors" in found["tables"][0]
    assert any("the rows of" in what for what in found["rows"])
    assert "sealed parts" in found["sealed"][0]
    assert found["rebuild"]

    largest = max((kept / LOG).glob("*.dat.gz"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-2_000])
    code, report = await drilled(settings, capsys, backup=kept)
    assert code == 1 and "pg_restore failed" in wrong(report)["restore"][0]

    with pytest.raises(StartupError, match="not empty"):
        await drilled(settings, capsys, keep=kept)
    with pytest.raises(StartupError, match="holds no keys"):
        await drilled(settings, capsys, backup=kept, keys=settings.parent)
    (kept / MANIFEST).write_text("{}")
    with pytest.raises(StartupError, match="holds no backup"):
        await drilled(settings, capsys, backup=kept)


async def test_a_log_that_is_another_now_is_named(
    kept: Path, engine: Machine, database: Database, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tail was cut off and written anew since, by somebody who may do everything; and rows were spoilt that are live."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute("UPDATE crossdock.events SET hash = sha256(hash) WHERE tenant = $1 AND position = $2", TENANT, FEW)
        await admin.execute("UPDATE projections.orders SET position = position - 1 WHERE key = 'asos:00000009-A'")
    finally:
        await admin.close()
    code, report = await drilled(settings, capsys, backup=kept)
    assert (code, list(wrong(report))) == (1, ["same log"])
    code, report = await drilled(settings, capsys)  # of how it is now
    assert code == 1 and set(wrong(report)) == {"chain", "same log", "rebuild", "checkpoints"}
    assert "orders, folded from nothing" in wrong(report)["rebuild"][0]


async def test_with_the_keys_of_today_an_old_backup_opens_nobody_who_was_erased_since(
    kept: Path, database: Database, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute("DELETE FROM crossdock.keys WHERE tenant = $1 AND subject = 'order-5'", TENANT)
    finally:
        await admin.close()
    today = settings.parent / "today"
    code, report = await drilled(settings, capsys, keep=today)
    assert (code, wrong(report)) == (0, {})
    code, report = await drilled(settings, capsys, backup=kept, keys=today / KEYS)
    assert (code, wrong(report)) == (0, {})
    [opened] = [step["seen"] for step in report["steps"] if step["name"] == "sealed"]
    assert opened == f"{FEW // 8 - 1} sealed parts open, the keys of 1 are gone"
    (settings.parent / "key").write_text(base64.b64encode(bytes(31) + b"1").decode())
    code, report = await drilled(settings, capsys, backup=kept)
    assert (code, list(wrong(report))) == (1, ["sealed"])
    assert "the master key is not the one" in wrong(report)["sealed"][0]
