"""Replay as people use it: rebuilt equals live from wherever it goes on, the state as of any moment, and what changed code would do."""

import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine import rebuild as rebuilding
from engine.errors import EngineError, StartupError
from engine.log import Append, Log
from engine.projection import Projection
from engine.rebuild import MOST_BYTES, digest, discard, rebuild
from engine.runner import advance
from ops.bench.life import append_of
from ops.database import open_log, position_at
from ops.refold import OURS
from ops.replay import replay
from ops.replay_with import replay_with
from ops.service import PROJECTIONS
from ops.settings import read_settings
from schemas.envelope import Fact, event_id
from schemas.events import Event, tag_of
from tests.conftest import Database
from tests.house import settings_of
from tests.machine import TENANT, Machine, machine
from tests.recorded import record

pytestmark = pytest.mark.anyio

HISTORY = "history-plain"
EVENTS = [line.event for line in record.lines_of(record.histories()[HISTORY])]
AT_ONCE = ((1, 250), (7, 600), (1_000, len(EVENTS)))  # batch, and how far with it


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database, projections=PROJECTIONS) as it:
        yield it


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Path:
    return settings_of(database, tmp_path)


async def write(engine: Machine, events: list[Event]) -> None:
    """In one stream: where an event stands is what counts here."""
    facts = [
        Fact(event=event, event_id=event_id(TENANT, "test", f"{engine.clock.now()} {place}", tag_of(event)), occurred_at=engine.clock.now())
        for place, event in enumerate(events)
    ]
    async with engine.pool.acquire() as conn, conn.transaction():
        await engine.log.append_in(conn, [Append(stream="history", facts=tuple(facts))])


async def digest_of(engine: Machine, table: str) -> str:
    async with engine.pool.acquire() as conn:
        return await digest(conn, table, TENANT)


async def rebuilt(engine: Machine, projection: Projection[Any], upto: int, most_bytes: int = MOST_BYTES) -> str:
    anew = await rebuild(engine.pool, engine.log, projection, upto=upto, most_bytes=most_bytes)
    try:
        return await digest_of(engine, anew.table)
    finally:
        await discard(engine.pool, anew)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
async def test_rebuilt_equals_live_whatever_the_batches_and_wherever_it_goes_on(engine: Machine, projection: Projection[Any]) -> None:
    """One event a commit, then seven, then a thousand, each from the rows that the one before left: equal in Postgres and in memory."""
    await write(engine, EVENTS)
    live = ""
    for limit, upto in AT_ONCE:
        while await engine.pool.fetchval("SELECT max(position) FROM crossdock.checkpoints WHERE name = $1", projection.name) != upto:
            at = await engine.pool.fetchval("SELECT max(position) FROM crossdock.checkpoints WHERE name = $1", projection.name) or 0
            assert await advance(engine.pool, engine.log, projection, limit=min(limit, upto - at))
        live = await digest_of(engine, projection.name)
        assert live == await rebuilt(engine, projection, upto) == record.digest_of(record.folded(projection, EVENTS[:upto]))
    assert live == record.recorded().histories[HISTORY].digests[projection.name]


@pytest.mark.parametrize("events", [1, 7, 1_000])
async def test_a_rebuild_takes_pages_of_any_size(engine: Machine, monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    await write(engine, EVENTS[:300])
    paging = Log.pages
    monkeypatch.setattr(Log, "pages", lambda log, after, upto, _limit, shards=None: paging(log, after, upto, events, shards=shards))
    for projection in PROJECTIONS:
        assert await rebuilt(engine, projection, 300) == record.digest_of(record.folded(projection, EVENTS[:300])), projection.name


@pytest.mark.parametrize(("most_bytes", "kept"), [(0, 1), (3_000, 1), (3_000, 10), (MOST_BYTES, 1), (MOST_BYTES, 1_000)])
async def test_a_rebuild_takes_more_rows_than_it_keeps_at_hand(
    engine: Machine, monkeypatch: pytest.MonkeyPatch, most_bytes: int, kept: int
) -> None:
    """A row that was packed, and that an event then named without changing it, was lost: a stock of 10,000 SKUs came back with 2,690."""
    await write(engine, EVENTS)
    paging = Log.pages
    monkeypatch.setattr(Log, "pages", lambda log, after, upto, _limit, shards=None: paging(log, after, upto, 7, shards=shards))
    monkeypatch.setattr(rebuilding, "FRESH", 1)
    monkeypatch.setattr(rebuilding, "KEPT", kept)
    recorded = record.recorded().histories[HISTORY].digests
    for projection in PROJECTIONS:
        assert await rebuilt(engine, projection, len(EVENTS), most_bytes) == recorded[projection.name], projection.name


# ---------------------------------------------------------------- as of any moment


async def shown(settings: Path, capsys: pytest.CaptureFixture[str], **how: Any) -> tuple[int, Any]:
    code = await replay(settings, "", {}, as_json=True, **({"only": "", "until": ""} | how))
    return code, json.loads(capsys.readouterr().out)


async def test_the_state_as_of_any_moment_is_shown(engine: Machine, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for events in (EVENTS[:400], EVENTS[400:]):
        await write(engine, events)
        engine.clock.jump(60.0)
    orders = PROJECTIONS[0]
    key = next(iter(record.folded(orders, EVENTS[:400]).documents))
    number = key.rpartition(":")[2]
    for until, upto in (("200", 200), ("400", 400), ((engine.clock.now() - timedelta(seconds=90)).isoformat(), 400)):
        code, found = await shown(settings, capsys, only="orders", until=until, show=number)
        [row] = found["rows"]
        expected = record.folded(orders, EVENTS[:upto])
        assert (code, row["key"], row["changed_at"]) == (0, key, expected.changed[key])
        assert row["document"] == json.loads(expected.json(key))
    code, found = await shown(settings, capsys, until="400", show=number)
    assert "orders" in {row["projection"] for row in found["rows"]}
    code, found = await shown(settings, capsys, until="0", show=number)
    assert (code, found["rows"]) == (1, [])
    words = ["replay", "--config", str(settings), "--projection", "orders", "--until", "400", "--show", number]
    told = (await anyio.run_process([sys.executable, "-m", "ops", *words])).stdout.decode()
    assert key in told and '"state"' in told and "as of position 400" in told


# ---------------------------------------------------------------- with changed code


def changed(directory: Path, module: str, was: str, becomes: str) -> Path:
    """That module of projections/ with something else in it, in a directory of its own."""
    text = (OURS / "projections" / f"{module}.py").read_text()
    assert was in text
    path = directory / "changed" / "projections" / f"{module}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(was, becomes))
    return path.parent.parent


@pytest.fixture
async def lives(engine: Machine) -> Machine:
    """Twenty orders, from their purchase to their parcel."""
    numbers = iter(range(1, 21))
    async with engine.pool.acquire() as conn, conn.transaction():
        await engine.log.append_in(conn, [append_of(number) for number in islice(numbers, 20)])
    return engine


async def otherwise(settings: Path, capsys: pytest.CaptureFixture[str], path: Path, **how: Any) -> tuple[int, Any]:
    code = await replay_with(path, settings, "", {}, as_json=True, **({"only": "", "until": ""} | how))
    return code, json.loads(capsys.readouterr().out)


async def everything(engine: Machine) -> list[Any]:
    """All that a replay must leave alone."""
    counts = "SELECT (SELECT count(*) FROM crossdock.events), (SELECT count(*) FROM crossdock.outbox), (SELECT count(*) FROM pg_tables)"
    return [*await engine.pool.fetchrow(counts), *[await digest_of(engine, projection.name) for projection in PROJECTIONS]]


async def test_the_same_code_would_do_the_same(lives: Machine, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for room in ("projections", "schemas", "engine"):
        shutil.copytree(OURS / room, tmp_path / "checkout" / room)
    before = await everything(lives)
    code, found = await otherwise(settings, capsys, tmp_path / "checkout")
    assert (code, found["modules"], found["changes"], found["asked"]) == (0, [], [], [])
    assert found["position"] == 160 and found["rows"] >= 40
    assert await everything(lives) == before


async def test_what_a_changed_fold_and_a_changed_policy_would_do_is_told_order_by_order(
    lives: Machine, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed(
        tmp_path,
        "orders",
        "return replace(order, shipped=True)",
        'print("not an answer"); return replace(order, shipped=not order.order_id.endswith("7-A"))',
    )
    changed(
        tmp_path,
        "order_steps",
        "yield SetSellerReference(**identity, reference=order.shop_name)",
        'yield SetSellerReference(**identity, reference="x")',
    )
    before = await everything(lives)
    code, found = await otherwise(settings, capsys, path)
    assert code == 1 and found["modules"] == ["projections.order_steps", "projections.orders"]
    assert {change["key"] for change in found["changes"]} == {"asos:00000007-A", "asos:00000017-A"}
    [one] = [each for each in found["changes"] if each["key"] == "asos:00000007-A" and each["field"] == "shipped"]
    assert (one["now"], one["then"]) == (True, None)
    [asked] = [each for each in found["asked"] if each["subject"] == "asos:00000003-A"]
    assert asked["no_longer"][0]["reference"] == "ASOS-00000003-A" and asked["newly"][0]["reference"] == "x"
    assert {each["subject"] for each in found["asked"]} == {f"asos:{number:08d}-A" for number in range(1, 21)}
    assert await everything(lives) == before

    words = ["replay", "--config", str(settings), "--with", str(path)]
    done = await anyio.run_process([sys.executable, "-m", "ops", *words], check=False)
    told = done.stdout.decode()
    assert done.returncode == 1
    assert "Other than here: projections.order_steps, projections.orders" in told
    assert "no longer asked" in told and "Nothing was changed, nothing was sent." in told


HARMS = (
    ("import socket; socket.create_connection(('127.0.0.1', 9))", "no way out: socket"),
    ("open('{directory}/left-behind', 'w')", "writes no file"),
    ("1 / 0", r"ZeroDivisionError.* at \S*/changed/projections/orders.py:\d+$"),
)


async def test_what_a_clock_that_went_back_recorded_later_was_not_known_before(engine: Machine, settings: Path) -> None:
    """As beside a demo, which plays faster than the clock of whoever holds an order in it."""
    began = engine.clock.now()
    for events in (EVENTS[:10], EVENTS[10:20]):
        await write(engine, events)
        engine.clock.jump(60.0)
    engine.clock.jump(-110.0)
    await write(engine, EVENTS[20:30])
    async with open_log(read_settings(settings), {}, "") as opened:
        for seconds, position in ((-1, 0), (30, 10), (90, 30)):
            assert await position_at(opened, (began + timedelta(seconds=seconds)).isoformat(), "--until") == position


async def test_what_is_shown_as_a_moment_is_one(engine: Machine, settings: Path) -> None:
    async with open_log(read_settings(settings), {}, "") as opened:
        for text in ("2026-11-26", "2026-11-26Z", "2026-11-26T12:00", "2026-11-26 12:00:00"):
            with pytest.raises(StartupError, match=re.escape(text)) as refused:
                await position_at(opened, text, "--at")
            await position_at(opened, str(refused.value).split("as in ")[1], "--at")


@pytest.mark.usefixtures("lives")
@pytest.mark.parametrize(("harm", "said"), HARMS)
async def test_changed_code_has_no_way_out(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str, said: str
) -> None:
    harm = harm.replace("{directory}", str(tmp_path))
    path = changed(tmp_path, "orders", "    return replace(order, shipped=True)", f"    {harm}\n    return replace(order, shipped=True)")
    with pytest.raises(EngineError, match=said):
        await otherwise(settings, capsys, path)
    assert not (tmp_path / "left-behind").exists()


async def test_what_holds_no_projections_is_refused(lives: Machine, settings: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="neither a checkout"):
        await replay_with(tmp_path, settings, "", {}, only="", until="", as_json=False)


async def test_a_projection_under_a_new_name_is_folded_beside_the_old(
    lives: Machine, settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed(tmp_path, "orders", 'Projection(name="orders"', 'Projection(name="orders_2"')
    (path / "projections" / "orders.py").rename(path / "projections" / "orders_anew.py")
    code, found = await otherwise(settings, capsys, path)
    assert code == 1 and {(change["projection"], change["now"]) for change in found["changes"]} == {("orders_2", None)}
    assert len(found["changes"]) == 20
