"""Processes beside the one that measures a replay: one folds a part, one proves the log, one rebuilds and says what memory it took."""

import asyncio
import contextlib
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from msgspec.structs import replace

from engine import chain
from engine.rebuild import discard, fold_part, rebuild
from ops.bench.life import TENANT
from ops.bench.place import Place, opened
from projections.orders import orders

SEALED = """
    SELECT position, stream, event_id, subject, sealed FROM crossdock.events
    WHERE tenant = $1 AND position > $2 AND position <= $3 AND sealed IS NOT NULL ORDER BY position"""


@contextlib.asynccontextmanager
async def beside(where: Place, what: str) -> AsyncIterator[Callable[..., Awaitable[bytes]]]:
    """Another process, ready to begin: called with what it is to know, it gives its answer."""
    command = (sys.executable, "-m", "ops.bench", what, where.engine_url)
    child = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    stdin, stdout = child.stdin, child.stdout

    async def begin(*words: str) -> bytes:
        stdin.write(" ".join(words).encode() + b"\n")
        if not (answer := await stdout.readline()):
            raise RuntimeError(f"{what}: the process beside failed")
        return answer

    yield begin
    await child.wait()


async def work_beside(what: str, url: str) -> None:
    """That process: it rebuilds its part, or verifies the chain and opens everything that is sealed."""
    async with opened(url) as where:
        _say("ready")
        words = sys.stdin.readline().split()
        if what == "part":
            table, upto, *shards = words
            part = await fold_part(where.pool, where.log, orders, table=table, upto=int(upto), shards=[int(shard) for shard in shards])
            _say(msgspec.json.encode(part).decode())
        else:
            await chain.verify(where.pool, TENANT)
            await _open_all(where)
            _say("done")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _open_all(where: Place) -> None:
    """Open everything that is sealed in the log, page by page."""
    [some] = await where.log.read(0, limit=1)
    for after in range(0, await where.log.head(), 20_000):
        rows = await where.pool.fetch(SEALED, TENANT, after, after + 20_000)
        assert all(await where.vault.open_all([replace(some, **row) for row in rows]))


async def peak_memory(where: Place) -> float:
    """MiB of a process that does nothing but rebuild."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "ops.bench", "rebuild", where.engine_url, stdout=subprocess.PIPE)
    told, _ = await child.communicate()
    return float(told)


async def rebuild_alone(url: str) -> None:
    """A process that rebuilds, and says how much memory it took."""
    async with opened(url) as where:
        await discard(where.pool, await rebuild(where.pool, where.log, orders, upto=await where.log.head()))
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
