"""A disk that is full: nothing is promised that cannot be kept, what can be read is read, and with room again all goes on. (T11)"""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from ops.postgres import EmbeddedPostgres
from tests.processes.beings import Nursery
from tests.processes.rig import rig
from tests.thorough import THOROUGH

pytestmark = pytest.mark.anyio

DISK = 200 * 1024 * 1024  # bytes; the cluster and its log of 16 MiB pieces fit in well
LEFT = 32 * 1024  # bytes that are still free when it is "full"
OUTAGE = 3600.0  # simulated seconds that it may last; until its end nobody can hear of what is sold


@pytest.fixture
def disk(directory: Path) -> Iterator[Path]:
    """A small one, which only root can make."""
    where = directory / "disk"
    where.mkdir(mode=0o711)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=711", "tmpfs", str(where)], check=True)
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def fill(disk: Path) -> Path:
    """With a file that takes all the room but a little."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - LEFT))
    return ballast


@pytest.mark.needs(root=True)
async def test_a_full_disk_puts_everything_off_and_loses_nothing(directory: Path, nursery: Nursery, cluster: Path, disk: Path) -> None:
    """Tables cannot grow: the server refuses, and says so (53100)."""
    subprocess.run(["cp", "-a", str(cluster), str(disk / "postgres")], check=True)
    wal = directory / "wal"  # on another disk, so that it is the tables that are short of room
    subprocess.run(["cp", "-a", str(disk / "postgres" / "cluster" / "pg_wal"), str(wal)], check=True)
    shutil.rmtree(disk / "postgres" / "cluster" / "pg_wal")
    (disk / "postgres" / "cluster" / "pg_wal").symlink_to(wal)
    with EmbeddedPostgres(disk / "postgres") as server:
        async with rig(directory, nursery, server) as house:
            engine = await house.started()
            house.staleness += OUTAGE
            await house.buy()
            await house.settled()
            ballast = fill(disk)

            async def refused() -> bool:
                await house.buy(website=True)
                await asyncio.sleep(0.2)
                return house.refused >= 5 and await house.gauge(engine, "crossdock_db_errors_total", sqlstate_class="53") > 0

            await house.until(refused, "the disk is full, and webhooks are put off")
            assert await house.lost() == []
            status = await house.crossdock("status", expect=None)
            assert status["log_position"] > 0  # reading goes on
            async with house.http.get(f"{engine.operations}/livez") as answer:
                assert answer.status == 200

            async def stands_in_the_way() -> str:
                async with house.http.get(f"{engine.operations}/readyz") as answer:
                    told = await answer.json()
                    assert (answer.status == 200) == told["ready"]
                    return str(told["missing"].get("database", ""))

            async def ready() -> bool:
                return not await stands_in_the_way()

            assert await house.until(stands_in_the_way, "it is not ready, and says why") == "DiskFullError"
            ballast.unlink()
            await house.prove()
            await house.until(ready, "it is ready again")
            assert await engine.being.terminated() == 0, "the same process has come through"


@pytest.mark.needs(root=True)
@pytest.mark.skipif(THOROUGH == 1, reason="the other way to run out of room is enough for a day")
async def test_a_server_whose_own_log_finds_no_room_stops_and_loses_nothing(
    directory: Path, nursery: Nursery, cluster: Path, disk: Path
) -> None:
    """The write-ahead log cannot grow: the server itself ends, and comes back when there is room."""
    subprocess.run(["cp", "-a", str(cluster), str(disk / "postgres")], check=True)
    server = EmbeddedPostgres(disk / "postgres")
    server.start()
    try:
        async with rig(directory, nursery, server) as house:
            engine = await house.started()
            house.staleness += OUTAGE
            await house.buy()
            await house.settled()
            ballast = fill(disk)
            async with house.asking() as conn:
                pieces = await conn.fetchval("SELECT count(*) FROM pg_ls_waldir()")
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):  # it ends amid one of these
                    for _ in range(pieces + 1):
                        await conn.execute("SELECT pg_logical_emit_message(true, 'test', 'x'); SELECT pg_switch_wal()")

            async def refused() -> bool:
                await house.buy(website=True)
                await asyncio.sleep(0.2)
                return house.refused >= 5

            await house.until(refused, "the server is gone, and webhooks are put off")
            ballast.unlink()
            server.stop(immediately=True)
            server.start()
            await house.prove()
            assert await engine.being.terminated() == 0, "the same process has come through"
    finally:
        server.stop()
