"""A second server that follows the first without being waited for; cut off, promoted, it knows less than was acknowledged. (T12)"""

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path

import asyncpg

from ops.postgres import SUPERUSER, EmbeddedPostgres, program

PATIENCE = 60.0  # seconds for whatever the server is waited for


class Standby(EmbeddedPostgres):
    """Follows from `start` until `cut_off`; `promote` makes it a server of its own."""

    def _answers(self) -> bool:
        """A server that follows says "standby" where another says "ready"."""
        pid = self._cluster / "postmaster.pid"
        lines = pid.read_text().splitlines() if pid.exists() else []
        return len(lines) > 7 and lines[7].strip() in ("ready", "standby")

    @classmethod
    async def of(cls, primary: EmbeddedPostgres, directory: Path) -> "Standby":
        """A copy of a server that runs, started, and streaming."""
        cluster, owner = primary.directory / "cluster", (primary.directory / "cluster").stat()
        with (cluster / "pg_hba.conf").open("a") as rules:
            rules.write("local replication all peer map=us\n")
        with (cluster / "pg_ident.conf").open("a") as names:  # it comes as the user that servers run as
            names.write(f'us "{cluster.owner()}" all\n')
        conn = await asyncpg.connect(primary.url())
        try:
            await conn.execute("SELECT pg_reload_conf()")
            directory.mkdir(mode=0o711)
            await asyncio.to_thread(_copy, primary, directory / "cluster")
            if os.geteuid() == 0:
                for path in (directory / "cluster", *(directory / "cluster").rglob("*")):
                    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
            standby = cls(directory)
            standby.start()
            deadline = time.monotonic() + PATIENCE
            while await conn.fetchval("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != 1:
                assert time.monotonic() < deadline, f"the standby does not follow: {(directory / 'postgres.log').read_text()[-600:]}"
                await asyncio.sleep(0.05)
        finally:
            await conn.close()
        return standby

    async def cut_off(self) -> None:
        """Nothing reaches it any more; the primary does not mind."""
        await self._execute("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        conn = await asyncpg.connect(self.url())
        try:
            while await conn.fetchval("SELECT count(*) FROM pg_stat_wal_receiver"):
                await asyncio.sleep(0.02)
        finally:
            await conn.close()

    async def promote(self) -> None:
        await self._execute("SELECT pg_promote(wait => true)")

    async def _execute(self, *statements: str) -> None:
        conn = await asyncpg.connect(self.url())
        try:
            for statement in statements:
                await conn.execute(statement)
        finally:
            await conn.close()


def _copy(primary: EmbeddedPostgres, to: Path) -> None:
    where = f"host={primary.socket} user={SUPERUSER}"
    command = [str(program("pg_basebackup")), "-D", str(to), "-d", where, "-R", "-X", "stream", "-c", "fast"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(to, ignore_errors=True)
    assert done.returncode == 0, done.stderr
