"""How fast are commands carried out? Claimed, performed and answered, over a queue table claimed and deleted 100 rows a transaction."""

import contextlib
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import anyio

from engine.adapter import Done, Endpoint, Performer, Task
from engine.dispatcher import Dispatcher
from engine.lease import Lease
from engine.limits import Limits
from engine.metrics import Metrics
from engine.outbox import Intent, issue
from engine.perform import Standing
from engine.ports import PostgresDb, RandomIds, SystemRng
from ops.bench.life import CHANNEL, NOON, TENANT, append_of
from ops.bench.place import Place, clock
from ops.bench.row import Row, ratio
from ops.bench.size import Size
from schemas.commands import SetSellerReference
from schemas.values import OrderId


async def rows(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    await where.log.append(append_of(next(where.numbers)))  # by which the commands are caused
    told("dispatching")
    await where.execute(
        "CREATE TABLE raw_queue (tenant text, id bigint, body json, due_at timestamptz, attempt int, PRIMARY KEY (tenant, id))"
    )
    raw, ours = [], []
    for _ in range(size.rounds):
        raw.append(await _raw_queue(where, size.commands))
        ours.append(await _our_dispatch(where, size.commands))
    waits = await _due_to_started(where, 200)
    return [
        ratio("commands claimed, performed, outcome stored, over raw queue", ours, raw, must=0.20, aim=0.40),
        Row(what="command due to started, p50", ours=statistics.median(waits) * 1000, unit="ms", must=3, aim=1.5, less_is_better=True),
    ]


async def _raw_queue(where: Place, number: int) -> float:
    claim = """
        UPDATE raw_queue q SET attempt = attempt + 1, due_at = due_at + interval '1 minute' FROM (
            SELECT tenant, id FROM raw_queue WHERE tenant = 'bench' AND due_at < $1 ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
        ) due WHERE q.tenant = due.tenant AND q.id = due.id RETURNING q.id"""
    conn = await PostgresDb(where.owner_url).connect()
    try:
        waiting = [("bench", n, "{}", NOON, 0) for n in range(number)]
        await conn.copy_records_to_table("raw_queue", records=waiting)
        await conn.execute("VACUUM ANALYZE raw_queue")  # or it is read from end to end for each hundred
        began = clock.monotonic()
        while True:
            async with conn.transaction():
                claimed = await conn.fetch(claim, NOON + timedelta(seconds=1))
                await conn.execute("DELETE FROM raw_queue WHERE tenant = 'bench' AND id = any($1)", [row["id"] for row in claimed])
            if not claimed:
                return number / (clock.monotonic() - began)
    finally:
        await conn.close()


async def _our_dispatch(where: Place, number: int) -> float:
    left, done = number, anyio.Event()

    def started(tasks: Sequence[Task[Any]]) -> None:
        nonlocal left
        left -= len(tasks)
        if left <= 0:
            done.set()

    await _put_commands(where, number)
    began = clock.monotonic()
    async with _dispatching(where, started, 100):
        await done.wait()
        while await where.pool.fetchval("SELECT count(*) FROM crossdock.outbox WHERE tenant = $1", TENANT):
            await clock.sleep(0.005)
        return number / (clock.monotonic() - began)


async def _due_to_started(where: Place, number: int) -> list[float]:
    waits: list[float] = []
    heard = anyio.Event()

    def started(_: Sequence[Task[Any]]) -> None:
        waits.append(clock.monotonic() - asked)
        heard.set()

    asked = clock.monotonic()
    async with _dispatching(where, started, 1):
        await clock.sleep(0.5)
        for _ in range(number):
            heard = anyio.Event()
            await clock.sleep(0.005)
            [last] = await where.log.read(await where.log.head() - 1, limit=1)
            command = SetSellerReference(channel=CHANNEL, order_id=OrderId(f"{next(where.numbers)}"), reference="R")
            intent = Intent(command=command, cause=last.event_id, position=last.position, correlation_id=last.event_id)
            async with where.pool.acquire() as conn, conn.transaction():
                await issue(conn, where.log, [intent], clock.now())
            asked = clock.monotonic()
            where.log.ring()
            await heard.wait()
    return waits


async def _put_commands(where: Place, number: int) -> None:
    [last] = await where.log.read(await where.log.head() - 1, limit=1)
    for start in range(0, number, 1000):
        wanted = [
            Intent(
                command=SetSellerReference(channel=CHANNEL, order_id=OrderId(f"{next(where.numbers)}"), reference="R"),
                cause=last.event_id,
                position=last.position,
                correlation_id=last.event_id,
            )
            for _ in range(start, min(start + 1000, number))
        ]
        async with where.pool.acquire() as conn, conn.transaction():
            await issue(conn, where.log, wanted, clock.now())
    where.log.ring()


@contextlib.asynccontextmanager
async def _dispatching(where: Place, started: Callable[[Sequence[Task[Any]]], None], batch: int) -> AsyncIterator[None]:
    """A dispatcher whose commands are done as soon as they are asked for."""
    target, metrics = f"mirakl:{CHANNEL}", Metrics()

    async def perform(_: Any, tasks: Sequence[Task[Any]]) -> list[Done]:
        started(tasks)
        return [Done() for _ in tasks]

    limits = Limits(where.pool, TENANT, target, clock, metrics)
    endpoint = Endpoint("BENCH", "PUT", "/", calls=1_000_000, per=1.0, batch=batch)
    dispatcher = Dispatcher(
        pool=where.pool,
        log=where.log,
        vault=where.vault,
        target=target,
        performs={SetSellerReference: Performer(perform, endpoint)},
        client=None,
        limits=limits,
        standing=Standing(clock, SystemRng()),
        clock=clock,
        metrics=metrics,
    )
    lease = Lease(where.pool, TENANT, target, holder=RandomIds().new(), clock=clock, metrics=metrics)
    async with anyio.create_task_group() as group:
        group.start_soon(lease.lead, dispatcher.run)
        yield
        dispatcher.stop()
        group.cancel_scope.cancel()
