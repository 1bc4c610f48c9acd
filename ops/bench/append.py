"""How fast is an append? By 1, 8 and 32 writers, over as many clients' bare INSERTs; on a slow disk; and a thousand events at once."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

import anyio

from engine import codec
from engine.log import Append
from engine.ports import PostgresDb
from ops.bench.life import EVENTS_AN_ORDER, NOON, append_of, singles
from ops.bench.place import Place, clock, place, scratch, server_of, settled, timed
from ops.bench.raw import RAW_TABLE, fsync_seconds, raw_inserts
from ops.bench.row import Row, ratio
from ops.bench.size import Size
from ops.postgres import EmbeddedPostgres

RAW_BATCH = """
    INSERT INTO raw_batch
    SELECT 'bench', p, s, v, e, t, n, d::json, u, z, o, $13, c, null, a, decode(repeat('00', 32), 'hex')
    FROM unnest(
        $1::bigint[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::int[], $7::text[], $8::text[], $9::bytea[], $10::timestamptz[],
        $11::uuid[], $12::text[]
    ) AS new (p, s, v, e, t, n, d, u, z, o, c, a)"""
PACE = {1: 1_500, 8: 6_000, 32: 10_000}  # appends for each second of measuring: about what a small machine does


async def rows(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    told("appending")
    await where.execute(RAW_TABLE.format(name="raw_limit"))
    found = [
        await _appends(where, size, writers, what=f"append, {writers} writer{'s' * (writers > 1)}, over raw@{writers}", must=must, aim=aim)
        for writers, must, aim in ((1, 0.45, 0.60), (8, 0.80, 1.1), (32, 1.3, 1.8))
    ]
    if where.embedded:
        found += [await _slow_disk(size), await _sleepy_disk()]
    return [*found, await _batches(where, size)]


async def _appends(where: Place, size: Size, writers: int, *, what: str, must: float | None, aim: float | None) -> Row:
    await _our_appends(where, writers, 1_000)
    ours, raw = [], []
    for _ in range(size.rounds):
        await where.execute("CHECKPOINT")  # none in the middle
        raw.append(await raw_inserts(where, writers, size.seconds))
        await where.execute("CHECKPOINT")
        ours.append(await _our_appends(where, writers, int(PACE[writers] * size.seconds)))
    return ratio(what, ours, raw, must=must, aim=aim)


async def _our_appends(where: Place, writers: int, number: int) -> float:
    """Appends a second of one event each, by so many writers of this process; streams of eight, each at its expected version."""
    work = [singles(next(where.numbers)) for _ in range(max(writers, number // EVENTS_AN_ORDER))]  # made beforehand: it is not ours to time
    shares = [[append for order in work[writer::writers] for append in order] for writer in range(writers)]

    async def write(share: Sequence[Append]) -> None:
        for append in share:
            await where.log.append(append)

    with settled():
        began = clock.monotonic()
        async with anyio.create_task_group() as group:
            for share in shares:
                group.start_soon(write, share)
        return sum(len(share) for share in shares) / (clock.monotonic() - began)


NO_COMPILER = "not measured: to slow the disk down takes Linux and a C compiler (apt install gcc)"
# Every fsync a millisecond slower, as on a disk behind a network. What it takes the place of, it does first.
SLOW_FSYNC = """
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static int later(long result) { struct timespec wait = {0, 1000000}; nanosleep(&wait, 0); return result; }
int fsync(int file) { return later(syscall(SYS_fsync, file)); }
int fdatasync(int file) { return later(syscall(SYS_fdatasync, file)); }
"""


async def _slow_disk(size: Size) -> Row:
    """Appends by 32 writers on a server of our own whose every fsync takes a millisecond longer; that needs a C compiler."""
    row = Row(what="the same with every fsync 1 ms slower", ours=None, unit="/s", must=1.1, aim=1.4, note=NO_COMPILER)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return row
    with scratch() as directory:
        library = directory / "slow_fsync.so"
        build = await asyncio.create_subprocess_exec(
            compiler, "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", str(library), stdin=subprocess.PIPE
        )
        await build.communicate(SLOW_FSYNC.encode())
        if build.returncode:
            return row
        with EmbeddedPostgres(directory / "postgres", environment={"LD_PRELOAD": str(library)}) as postgres:
            async with place(server_of(postgres)) as where:
                await where.execute(RAW_TABLE.format(name="raw_limit"))
                if await raw_inserts(where, 1, 1) > 1 / 0.001:
                    return row  # it was not listened to
                return await _appends(where, size, 32, what=row.what, must=row.must, aim=row.aim)


SLEEPY = 3  # times as slow
ASLEEP = "it sleeps between writes: bare inserts side by side keep it awake, and each group of appends pays for waking it"


async def _sleepy_disk() -> Row:
    """Whether an fsync takes longer where nothing was written just before: as a small machine in a cloud may have it."""
    with scratch() as directory:
        at_once, later = [await fsync_seconds(directory, pause) * 1e6 for pause in (0.0, 0.001)]
    what, note = "fsync after a millisecond's pause, over one at once", ASLEEP if later > SLEEPY * at_once else ""
    return Row(what=what, ours=later, unit="us", raw=at_once, ratio=later / at_once, note=note, less_is_better=True)


async def _batches(where: Place, size: Size) -> Row:
    """A thousand events in one transaction: 125 orders, against the same rows inserted from arrays."""
    await where.execute(RAW_TABLE.format(name="raw_batch"))
    owner = await PostgresDb(where.owner_url).connect()
    ours, raw, done = [], [], 0
    try:
        for _ in range(max(5, size.rounds * 7)):
            numbers = [next(where.numbers) for _ in range(1000 // EVENTS_AN_ORDER)]
            group = [append_of(number) for number in numbers]
            bare = [
                (
                    append.stream,
                    at,
                    each.event_id,
                    *codec.encode(each.event),
                    each.subject,
                    bytes(150) if each.personal else None,
                    each.occurred_at,
                    each.event_id,
                    each.actor,
                )
                for append in group
                for at, each in enumerate(append.facts, 1)
            ]
            positions = range(done, done := done + len(bare))
            raw.append(len(bare) / await timed(owner.execute(RAW_BATCH, positions, *zip(*bare, strict=True), NOON)))

            async def append(group: Sequence[Append] = group) -> None:
                async with where.pool.acquire() as conn, conn.transaction():
                    await where.log.append_in(conn, group)

            ours.append(len(bare) / await timed(append()))
    finally:
        await owner.close()
    return ratio("append in batches of 1,000, over INSERT from arrays", ours, raw, must=0.50, aim=0.65)
