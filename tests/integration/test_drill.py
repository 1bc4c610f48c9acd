"""The restore drill: what is backed up comes back, and whatever does not is named. At 100,000 events, and at few with something spoilt."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.rebuild import rebuild, swap
from engine.runner import advance, ensure_tables
from ops.bench.life import append_of
from ops.drill import drill
from ops.service import PROJECTIONS
from tests.conftest import Database
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

MANY, FEW = 100_000, 400  # events


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as it:
        async with it.pool.acquire() as conn:
            await ensure_tables(conn, PROJECTIONS)
        yield it


async def fill(engine: Machine, events: int, first: int = 1) -> None:
    """A log of orders' lives, every address sealed."""
    numbers = iter(range(first, first + events // 8))
    while some := [append_of(number, sealed=True) for number, _ in zip(numbers, range(250), strict=False)]:
        async with engine.pool.acquire() as conn, conn.transaction():
            await engine.log.append_in(conn, some)


async def fold(engine: Machine) -> None:
    """As the engine carries them forward."""
    for projection in PROJECTIONS:
        while await advance(engine.pool, engine.log, projection):
            pass


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Path:
    """Of somebody whose log is in this test's database."""
    secrets = {"url": database.owner_url, "key": base64.b64encode(bytes(32)).decode(), "other": "x" * 32}
    for name, text in secrets.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text)
    path = tmp_path / "crossdock.toml"
    path.write_text(f"""
[tenant]
id = "{TENANT}"
[database]
url = {{ file = "{tmp_path / "url"}" }}
[vault]
master_key = {{ file = "{tmp_path / "key"}" }}
[shopify]
shop = "harbour-and-thread.myshopify.com"
access_token = {{ file = "{tmp_path / "other"}" }}
webhook_secret = {{ file = "{tmp_path / "other"}" }}
webhook_path = {{ file = "{tmp_path / "other"}" }}
[[channel]]
id = "asos"
base_url = "https://asos.example.com"
api_key = {{ file = "{tmp_path / "other"}" }}
shop_id = 1
""")
    return path


async def drilled(settings: Path, capsys: pytest.CaptureFixture[str], **how: Any) -> tuple[int, Any]:
    code = await drill(settings, "", {}, as_json=True, **how)
    return code, json.loads(capsys.readouterr().out)


def wrong(report: Any) -> dict[str, list[str]]:
    return {step["name"]: step["wrong"] for step in report["steps"] if step["wrong"]}


async def test_a_log_of_a_hundred_thousand_events_comes_back(
    engine: Machine, settings: Path, capsys: pytest.CaptureFixture[str], figure: Callable[[str], None]
) -> None:
    await fill(engine, MANY)
    for projection in PROJECTIONS:
        await swap(engine.pool, engine.log, projection, await rebuild(engine.pool, engine.log, projection))
    code, report = await drilled(settings, capsys)
    assert (code, wrong(report)) == (0, {})
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
