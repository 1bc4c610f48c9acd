"""When checkpoints are made, where they go, and what is done when they cannot be, or when the log is not as it was."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest
from msgspec.structs import replace

from engine.errors import StartupError
from ops.evidence.guard import ALTERED, RestoredError
from ops.evidence.sealer import LEASE
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, ExceptionResolved
from schemas.streams import LOG
from tests.conftest import Database
from tests.integration.test_evidence import Notary, notary_of
from tests.machine import TENANT, machine

pytestmark = pytest.mark.anyio

COPY = "import shutil, sys; shutil.copy(sys.argv[2], sys.argv[1] + '/')"


@pytest.fixture
async def notary(database: Database, tmp_path: Path) -> AsyncIterator[Notary]:
    async with machine(database) as engine:
        yield notary_of(engine, tmp_path / "evidence")


@asynccontextmanager
async def running(notary: Notary, **settings: Any) -> AsyncIterator[None]:
    notary.sealer.settings = replace(notary.sealer.settings, **settings)
    notary.sealer.projections = ()
    await notary.guard.begin()
    async with anyio.create_task_group() as group:
        group.start_soon(notary.engine.lease(LEASE).lead, notary.sealer.run)
        group.start_soon(notary.guard.run)
        yield
        group.cancel_scope.cancel()


async def until(holds: Any) -> None:
    with anyio.fail_after(60):
        while not holds():
            await anyio.sleep(0.02)


async def hours_until(notary: Notary, holds: Any) -> None:
    with anyio.fail_after(60):
        while not holds():
            notary.engine.clock.jump(3_600.0)
            await anyio.sleep(0.1)


def sizes(notary: Notary) -> list[int]:
    return [kept.checkpoint.size for kept in notary.folder.all()]


def measured(notary: Notary, name: str, **labels: str) -> float:
    return notary.engine.metrics.registry.get_sample_value(f"crossdock_{name}", {"tenant": TENANT, **labels}) or 0.0


async def troubles(notary: Notary, code: str) -> list[str]:
    told = []
    for event in await notary.engine.events():
        match event:
            case ExceptionOpened(code=opened) if opened == code:
                told.append("opened")
            case ExceptionClosed(key=key) if key.startswith(code):
                told.append("closed")
    return told


async def test_a_checkpoint_is_made_every_five_minutes_or_after_so_many_events(notary: Notary) -> None:
    clock = notary.engine.clock
    await notary.hear(5)
    async with running(notary, events=50):
        await until(lambda: sizes(notary) == [5])
        await notary.hear(49)
        clock.jump(290.0)
        await anyio.sleep(0.3)
        assert sizes(notary) == [5]
        clock.jump(10.0)
        await until(lambda: sizes(notary) == [5, 54])
        await notary.hear(50)
        clock.jump(2.0)  # it looks once a second
        await until(lambda: sizes(notary) == [5, 54, 104])
        clock.jump(120.0)
        await until(lambda: measured(notary, "checkpoint_age_seconds") > 120)
        assert measured(notary, "log_verified_position") == 104
    assert (await notary.audit()).compared == 3


async def test_the_hook_is_given_each_checkpoint_and_its_failure_holds_nothing_up(notary: Notary, tmp_path: Path) -> None:
    elsewhere, clock = tmp_path / "elsewhere", notary.engine.clock
    async with running(notary, hook=[sys.executable, "-c", COPY, str(elsewhere)]):
        await until(lambda: measured(notary, "checkpoint_failures_total", place="hook") == 1)
        await notary.hear(5)
        clock.jump(301.0)
        await until(lambda: measured(notary, "checkpoint_failures_total", place="hook") == 2)
        assert await troubles(notary, "X97") == ["opened"] and len(sizes(notary)) == 2 and notary.guard.allows
        elsewhere.mkdir()
        clock.jump(301.0)
        await until(lambda: len(list(elsewhere.iterdir())) == 3)
        await until(lambda: len(sizes(notary)) == 3)
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == {
        kept.path.name: kept.path.read_bytes() for kept in notary.folder.all()
    }


async def test_a_folder_that_cannot_be_written_is_an_exception_until_it_can(notary: Notary) -> None:
    clock, place = notary.engine.clock, notary.folder.directory / "checkpoints"
    place.write_text("no directory")
    async with running(notary):
        await until(lambda: measured(notary, "checkpoint_failures_total", place="folder") == 1)
        clock.jump(301.0)
        await until(lambda: measured(notary, "checkpoint_failures_total", place="folder") == 2)
        assert await troubles(notary, "X97") == ["opened"] and notary.guard.allows
        place.unlink()
        clock.jump(301.0)
        await until(lambda: sizes(notary))
        with anyio.fail_after(60):
            while await troubles(notary, "X97") != ["opened", "closed"]:
                await anyio.sleep(0.05)


async def test_a_key_that_nobody_vouched_for_is_refused_at_the_start(notary: Notary) -> None:
    await notary.hear(3)
    await notary.sealer.seal()
    with pytest.raises(StartupError, match="previous_signing_key"):
        await notary_of(notary.engine, notary.folder.directory.parent, 9).guard.begin()
    await notary_of(notary.engine, notary.folder.directory.parent, 1, 9).guard.begin()
    await notary_of(notary.engine, notary.folder.directory.parent, 9).guard.begin()


async def test_an_engine_under_which_an_older_log_is_put_begins_anew(notary: Notary) -> None:
    """It remembers how far it had folded, read and published: all of that is of another log."""
    await notary.hear(5)
    kept = await notary.sealer.seal()
    await notary.guard.begin()
    await notary.guard.look()
    notary.folder.put(kept.note.split("\n\n")[0].replace("\n5\n", "\n9\n") + "\n")  # as another engine signed it of the log that is gone
    with pytest.raises(RestoredError, match="of 9 events is not how this log goes on after 5"):
        await notary.guard.look()
    again = notary_of(notary.engine, notary.folder.directory.parent).guard
    await again.begin()
    assert not again.allows and await troubles(notary, "X96") == ["opened"] and measured(notary, "log_rollback_detected") == 1
    await again.look()


async def test_a_tree_that_somebody_has_written_in_is_made_anew(notary: Notary) -> None:
    await notary.hear(300)
    await notary.sealer.seal()
    await notary.engine.pool.execute("UPDATE crossdock.tiles SET hashes = overlay(hashes placing sha256('forged') from 33)")
    await notary.hear(10)
    assert (await notary.sealer.seal()).checkpoint.size == 310
    assert (await notary.audit()).compared == 2


async def test_an_event_altered_under_a_running_engine_stops_all_sending(notary: Notary, database: Database) -> None:
    """Until a person resolves it: there may be a reason that we cannot know."""
    await notary.hear(20)
    admin = await asyncpg.connect(database.admin_url)
    async with running(notary):
        await until(lambda: measured(notary, "log_verified_position") == 20)
        await admin.execute("UPDATE crossdock.events SET actor = 'nobody' WHERE position = 7")
        await admin.close()
        await hours_until(notary, lambda: not notary.guard.allows)
        assert "position 7 was altered" in notary.guard.missing["log"]
        assert await troubles(notary, "X86") == ["opened"]
        failures = measured(notary, "log_verify_failures_total")
        assert failures >= 1
        settled = ExceptionResolved(key=ALTERED, subject=LOG, reason="a test")
        await notary.engine.append(LOG, settled)
        notary.engine.clock.jump(10.0)
        await until(lambda: notary.guard.allows)
        await hours_until(notary, lambda: measured(notary, "log_verify_failures_total") > failures)
        await anyio.sleep(0.2)
        assert notary.guard.allows and await troubles(notary, "X86") == ["opened"]
