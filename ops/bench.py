"""`crossdock bench`: how fast log, replay and dispatch are here, as ratios to what this machine's Postgres can do at all, in the same run.

Raw limits: one INSERT per durable transaction by pgbench on n connections; COPY OUT of the log by psql; an INSERT of the same batch from
arrays; a queue table claimed and deleted 100 rows a transaction. Each figure is taken beside its raw limit, several times; the median
counts.
"""

import asyncio
import contextlib
import gc
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio
import msgspec
import uvloop
from msgspec import Struct
from msgspec.structs import replace
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from engine import chain, codec
from engine.adapter import Done, Endpoint, Performer, Task
from engine.dispatcher import Dispatcher
from engine.lease import Lease
from engine.limits import Limits
from engine.log import Append, Log
from engine.metrics import Metrics
from engine.migrate import migrate
from engine.outbox import Intent, issue
from engine.perform import Standing
from engine.ports import PostgresDb, RandomIds, SystemClock, SystemRng
from engine.rebuild import Part, discard, fold_part, rebuild
from engine.runner import Runner, advance, ensure_tables
from engine.vault import Vault
from ops.bench_load import load
from ops.bench_publish import publish
from ops.database import as_engine
from ops.postgres import ENGINE, EmbeddedPostgres, program
from ops.report import print_json
from projections.orders import orders
from schemas.commands import SetSellerReference
from schemas.envelope import Fact, event_id
from schemas.events import Event
from schemas.events.orders import (
    DeliveryAddress,
    DeliveryAddressGiven,
    FulfilmentSeen,
    OrderAccepted,
    OrderPlaced,
    OrderShipped,
    OrderStateChanged,
    ShopLine,
    ShopOrderCreated,
)
from schemas.streams import order_stream
from schemas.values import ChannelId, LineId, Money, OrderId, OrderLine, ShopId, Sku, TenantId

TENANT, CHANNEL = TenantId("bench"), ChannelId("asos")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MASTER = bytes(range(32))
EVENTS_AN_ORDER = 8
clock = SystemClock()


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    seconds: float  # of each append measurement
    log: int  # events folded
    commands: int
    items: int  # of a shop's first load
    skus: int  # of the shop of which is published
    channels: int


PARTS = ("append", "project", "replay", "dispatch", "torture")
AT_SIZE = ("load", "publish")  # minutes each, and some GB of memory: only when asked for
NO_COMPILER = "not measured: to slow the disk down takes Linux and a C compiler (apt install gcc)"
FULL, QUICK = Size(3, 3.0, 1_000_000, 20_000, 200_000, 100_000, 5), Size(1, 1.0, 80_000, 2_000, 10_000, 5_000, 2)


class Row(Struct, kw_only=True):
    """One figure. `ratio` is `ours` over `raw`, or the figure itself where the page measures it so."""

    what: str
    ours: float | None
    unit: str
    raw: float | None = None
    ratio: float | None = None
    must: float | None = None
    aim: float | None = None
    less_is_better: bool = False
    note: str = ""

    @property
    def meets(self) -> str:
        measured = self.ratio if self.ratio is not None else self.ours
        if measured is None or self.must is None or self.aim is None:
            return ""
        sign = -1 if self.less_is_better else 1
        return "aim" if sign * measured >= sign * self.aim else "must" if sign * measured >= sign * self.must else "short"


# ---------------------------------------------------------------- what is written and read


def life(number: int) -> list[Event]:
    """The eight events of one order's life, three lines long."""
    order = OrderId(f"{number:08d}-A")
    lines = tuple(
        OrderLine(
            line_id=LineId(f"{order}-{n}"),
            sku=Sku(f"SKU-{(number * 7 + n) % 9973:05d}"),
            quantity=1 + n % 2,
            unit_price=Money(2450, "GBP"),
            price=Money(2450 * (1 + n % 2), "GBP"),
            shipping_price=Money(0, "GBP"),
            title="Organic cotton tee, crew neck, red",
        )
        for n in range(3)
    )
    placed = OrderPlaced(
        channel=CHANNEL,
        order_id=order,
        commercial_id=f"{number:08d}",
        placed_at=NOON,
        currency="GBP",
        taxes_included=True,
        lines=lines,
        total=Money(9800, "GBP"),
        shipping_method="STD",
        shipping_label="Standard delivery",
        ship_by=NOON + timedelta(days=2),
    )
    shop = ShopOrderCreated(
        channel=CHANNEL,
        order_id=order,
        shop_order=ShopId(f"gid://shopify/Order/{number}"),
        name=f"ASOS-{order}",
        total=Money(9800, "GBP"),
        lines=tuple(
            ShopLine(line_id=each.line_id, item=ShopId(f"gid://shopify/LineItem/{number}{n}"), sku=each.sku, quantity=each.quantity)
            for n, each in enumerate(lines)
        ),
        created_at=NOON,
    )
    parcel = FulfilmentSeen(
        channel=CHANNEL,
        order_id=order,
        fulfilment=ShopId(f"gid://shopify/Fulfillment/{number}"),
        status="SUCCESS",
        updated_at=NOON,
        units={each.line_id: each.quantity for each in lines},
        carrier="Royal Mail",
        tracking_number=f"AB{number:09d}GB",
        tracking_url=f"https://www.royalmail.com/track-your-item#/tracking-results/AB{number:09d}GB",
    )
    accepted = OrderAccepted(channel=CHANNEL, order_id=order, accepted=tuple(each.line_id for each in lines))
    given = DeliveryAddressGiven(channel=CHANNEL, order_id=order, country_code="GB")
    shipped = OrderShipped(channel=CHANNEL, order_id=order, carrier_code="RM", tracking_number=parcel.tracking_number)
    state = [OrderStateChanged(channel=CHANNEL, order_id=order, state=name) for name in ("WAITING_ACCEPTANCE", "SHIPPING")]
    return [placed, state[0], accepted, given, state[1], shop, parcel, shipped]


def fact(number: int, place: int, event: Event, *, sealed: bool = False) -> Fact:
    address = None
    if sealed and isinstance(event, DeliveryAddressGiven):
        address = DeliveryAddress(first_name="Ann", last_name="Example", street_1="1 Example Street", city="Leeds", zip_code="LS1 1AA")
    return Fact(
        event=event,
        event_id=event_id(TENANT, "bench", f"{number}:{place}", "bench"),
        occurred_at=NOON,
        personal=address,
        subject=f"order-{number}" if address else "",
    )


def append_of(number: int, *, sealed: bool = False) -> Append:
    """An order's whole life; with its address sealed beside it, where that is to be measured too."""
    facts = tuple(fact(number, place, event, sealed=sealed) for place, event in enumerate(life(number)))
    return Append(stream=order_stream(CHANNEL, OrderId(f"{number:08d}-A")), facts=facts, expected=0)


# ---------------------------------------------------------------- where


@dataclass
class Place:
    """A database of its own, migrated, with a pool as the engine."""

    owner_url: str
    engine_url: str
    pool: Any
    log: Log
    vault: Vault
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 40)))

    async def execute(self, statement: str) -> None:
        """As the owner."""
        conn = await PostgresDb(self.owner_url, command_timeout=600.0).connect()
        try:
            await conn.execute(statement)
        finally:
            await conn.close()


@contextlib.asynccontextmanager
async def place(owner_url: str, engine_url: Callable[[str], str], name: str) -> AsyncIterator[Place]:
    """A database on that server, dropped afterwards."""
    admin = await PostgresDb(owner_url, command_timeout=600.0).connect()
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        mine = urlunsplit(urlsplit(owner_url)._replace(path=f"/{name}"))
        try:
            await migrate(mine)
            engine = engine_url(mine)
            pool = await PostgresDb(engine, size=12, command_timeout=600.0).pool()
            try:
                async with pool.acquire() as conn:
                    await ensure_tables(conn, [orders])
                vault = Vault(pool, TENANT, MASTER)
                yield Place(mine, engine, pool, Log(pool, TENANT, vault, clock, Metrics()), vault)
            finally:
                await pool.close()
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """What was made to be measured with is out of the garbage collector's sight: looking through it is not ours to time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def timed(work: Awaitable[Any]) -> float:
    began = clock.monotonic()
    await work
    return clock.monotonic() - began


async def run_tool(name: str, url: str, *arguments: str) -> str:
    """One of Postgres's own programs, against that database."""
    pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = await asyncio.create_subprocess_exec(str(program(name)), *arguments, url, **pipes)  # type: ignore[arg-type]
    told, complaint = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"{name}: {complaint.decode().strip()}")
    return told.decode()


# ---------------------------------------------------------------- append


# A bare insert of the same row into the same table with the same keys: everything that an append does, except what makes it one.
RAW_TABLE = "CREATE TABLE {name} (LIKE crossdock.events INCLUDING ALL EXCLUDING GENERATED); ALTER TABLE {name} DROP COLUMN shard"
RAW_INSERT = """INSERT INTO raw_limit VALUES ('bench', :p, 'order-asos-' || (:p)::bigint / 8, (:p)::bigint % 8 + 1,
    md5((:p)::bigint::text)::uuid, 'order_placed', 1, '{data}', '', null, '2026-01-01Z', '2026-01-01Z', md5((:p)::bigint::text)::uuid, null,
    'engine', '\\x0000000000000000000000000000000000000000000000000000000000000000') ON CONFLICT DO NOTHING;
"""
RAW_BATCH = """
    INSERT INTO raw_batch
    SELECT 'bench', p, s, v, e, t, n, d::json, u, z, o, $13, c, null, a, decode(repeat('00', 32), 'hex')
    FROM unnest(
        $1::bigint[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::int[], $7::text[], $8::text[], $9::bytea[], $10::timestamptz[],
        $11::uuid[], $12::text[]
    ) AS new (p, s, v, e, t, n, d, u, z, o, c, a)"""


async def raw_inserts(where: Place, clients: int, seconds: float) -> float:
    """Transactions a second of one INSERT each, as pgbench does them."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        text = json.dumps({"type": "order_placed", "filler": "x" * 440})
        script.write("\\set p random(1, 1000000000000000)\n")
        script.write(RAW_INSERT.replace("{data}", text))
        script.flush()
        how = ("-n", "-M", "prepared", "-f", script.name, "-c", str(clients), "-T", str(max(1, int(seconds))))
        told = await run_tool("pgbench", where.owner_url, *how)
    return float(next(line.split("=")[1].split()[0] for line in told.splitlines() if line.startswith("tps")))


async def our_appends(where: Place, writers: int, number: int) -> float:
    """Appends a second of one event each, by so many writers of this process; streams of eight, each at its expected version."""
    work = [
        _singles(next(where.numbers)) for _ in range(max(writers, number // EVENTS_AN_ORDER))
    ]  # made beforehand: it is not ours to time
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


def _singles(number: int) -> list[Append]:
    """An order's life, event by event."""
    whole = append_of(number)
    return [Append(stream=whole.stream, facts=(each,), expected=version) for version, each in enumerate(whole.facts)]


# Every fsync a millisecond slower, as on a disk behind a network. What it takes the place of, it does first.
SLOW_FSYNC = """
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static int later(long result) { struct timespec wait = {0, 1000000}; nanosleep(&wait, 0); return result; }
int fsync(int file) { return later(syscall(SYS_fsync, file)); }
int fdatasync(int file) { return later(syscall(SYS_fdatasync, file)); }
"""


async def slow_disk(size: Size) -> Row:
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
        with EmbeddedPostgres(directory / "postgres", environment={"LD_PRELOAD": str(library)}) as server:
            async with place(server.url("postgres"), lambda mine: server.url(urlsplit(mine).path.strip("/"), ENGINE), "slow") as where:
                await where.execute(RAW_TABLE.format(name="raw_limit"))
                if await raw_inserts(where, 1, 1) > 1 / 0.001:
                    return row  # it was not listened to
                return await _appends(where, size, 32, row.what, row.must, row.aim)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory on the disk that is here, which the server's user may pass; gone afterwards."""
    near = Path.cwd() if os.access(Path.cwd(), os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-", dir=near) as name:
        directory = Path(name)
        directory.chmod(0o711)
        (directory / "postgres").mkdir(mode=0o711)
        yield directory


PACE = {1: 1_500, 8: 6_000, 32: 10_000}  # appends for each second of measuring: about what a small machine does


async def appends(where: Place, size: Size) -> list[Row]:
    await where.execute(RAW_TABLE.format(name="raw_limit"))
    return [
        await _appends(where, size, writers, f"append, {writers} writer{'s' * (writers > 1)}, over raw@{writers}", must, aim)
        for writers, must, aim in ((1, 0.45, 0.60), (8, 0.80, 1.1), (32, 1.3, 1.8))
    ]


async def _appends(where: Place, size: Size, writers: int, what: str, must: float | None, aim: float | None) -> Row:
    await our_appends(where, writers, 1_000)
    ours, raw = [], []
    for _ in range(size.rounds):
        await where.execute("CHECKPOINT")  # none in the middle
        raw.append(await raw_inserts(where, writers, size.seconds))
        await where.execute("CHECKPOINT")
        ours.append(await our_appends(where, writers, int(PACE[writers] * size.seconds)))
    return _ratio(what, ours, raw, "/s", must, aim)


async def batches(where: Place, size: Size) -> Row:
    """A thousand events in one transaction: 125 orders, against the same rows inserted from arrays."""
    await where.execute(RAW_TABLE.format(name="raw_batch"))
    owner = await PostgresDb(where.owner_url).connect()
    ours, raw, done = [], [], 0
    try:
        for _ in range(max(5, size.rounds * 7)):
            numbers = [next(where.numbers) for _ in range(1000 // EVENTS_AN_ORDER)]
            group = [append_of(number) for number in numbers]
            rows = [
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
            positions = range(done, done := done + len(rows))
            raw.append(len(rows) / await timed(owner.execute(RAW_BATCH, positions, *zip(*rows, strict=True), NOON)))

            async def append(group: Sequence[Append] = group) -> None:
                async with where.pool.acquire() as conn, conn.transaction():
                    await where.log.append_in(conn, group)

            ours.append(len(rows) / await timed(append()))
    finally:
        await owner.close()
    return _ratio("append in batches of 1,000, over INSERT from arrays", ours, raw, "/s", 0.50, 0.65)


def _ratio(what: str, ours: Sequence[float], raw: Sequence[float], unit: str, must: float | None, aim: float | None, note: str = "") -> Row:
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, raw, strict=True))
    return Row(what=what, ours=statistics.median(ours), raw=statistics.median(raw), ratio=ratio, unit=unit, must=must, aim=aim, note=note)


# ---------------------------------------------------------------- from append to row


async def latency(where: Place, rate: float, seconds: float) -> tuple[list[float], float]:
    """Seconds from the call of append to the row's commit, at so many appends a second; and the rate that was reached."""
    began_at: dict[int, float] = {}  # position -> when its append was called
    folded_at: dict[int, float] = {}  # and when its row was committed
    while await advance(where.pool, where.log, orders):
        pass
    base = await where.log.head()
    work = [_singles(next(where.numbers))[0] for _ in range(int(rate * seconds))]  # made beforehand: it is not ours to time

    async def fold() -> None:
        runner = Runner(where.pool, where.log, orders, clock=clock, metrics=Metrics())
        async with where.log.listen() as wake:
            while True:
                moved = await runner.advance()
                now, last = clock.monotonic(), base + len(folded_at)
                folded_at.update(dict.fromkeys(range(last + 1, last + 1 + moved), now))
                if not moved:
                    await wake(0.05)

    async def one(append: Append) -> None:
        now = clock.monotonic()
        verdict = await where.log.append(append)
        assert verdict.last is not None
        began_at[verdict.last] = now

    sent = 0
    async with anyio.create_task_group() as group:
        group.start_soon(fold)
        with settled():
            began = clock.monotonic()
            async with anyio.create_task_group() as appending:
                while sent < len(work):
                    for append in work[sent : int((clock.monotonic() - began) * rate)]:
                        appending.start_soon(one, append)
                        sent += 1
                    await clock.sleep(0.001)
            reached = sent / (clock.monotonic() - began)
            with anyio.fail_after(10):
                while len(folded_at) < sent:
                    await clock.sleep(0.01)
        group.cancel_scope.cancel()
    return [folded_at[place] - moment for place, moment in began_at.items()], reached


def _quantile(waits: Sequence[float], share: float) -> float:
    return sorted(waits)[int(len(waits) * share)]


async def latencies(where: Place, size: Size) -> list[Row]:
    await where.execute(RAW_TABLE.format(name="raw_limit"))
    slow: list[tuple[float, float, float]] = []  # of each round: raw transactions a second, p50, p99
    fast: list[tuple[float, float, float]] = []  # events a second, p50, p99
    for _ in range(size.rounds):
        await where.execute("CHECKPOINT")
        raw = await raw_inserts(where, 1, size.seconds)
        waits, _ = await latency(where, 200, size.seconds * 2)
        slow.append((raw, _quantile(waits, 0.5), _quantile(waits, 0.99)))
        waits, reached = await latency(where, 8000, size.seconds)
        fast.append((reached, _quantile(waits, 0.5), _quantile(waits, 0.99)))
    once = 1000 / statistics.median(raw for raw, _, _ in slow)
    note = f"reached {statistics.median(reached for reached, _, _ in fast):,.0f}/s"
    found = []
    for place, name, must, aim in ((1, "p50", 9.0, 7.0), (2, "p99", 22.0, 15.0)):
        ours, ratio = (statistics.median(each) for each in ((one[place] * 1000 for one in slow), (one[place] * one[0] for one in slow)))
        what = f"append to projected at 200/s, {name}, in raw@1 transactions"
        found.append(Row(what=what, ours=ours, unit="ms", raw=once, ratio=ratio, must=must, aim=aim, less_is_better=True))
    for place, name, must, aim in ((1, "p50", 3.0, 2.0), (2, "p99", 12.0, 6.5)):
        ours = statistics.median(one[place] for one in fast) * 1000
        found.append(Row(what=f"the same at 8,000/s, {name}", ours=ours, unit="ms", must=must, aim=aim, less_is_better=True, note=note))
    return found


# ---------------------------------------------------------------- replay


async def fill(where: Place, events: int, told: Callable[[str], None]) -> float:
    """A log of so many events; returns their mean size in bytes."""
    while (head := await where.log.head()) < events:
        group = [append_of(next(where.numbers), sealed=True) for _ in range(250)]
        async with where.pool.acquire() as conn, conn.transaction():
            await where.log.append_in(conn, group)
        told(f"writing a log of {events:,} events: {head:,}")
    await where.execute("VACUUM ANALYZE crossdock.events")
    return float(
        await where.pool.fetchval("SELECT avg(length(data::text)) FROM crossdock.events WHERE tenant = $1 AND position < 10000", TENANT)
    )


async def raw_out(where: Place, events: int) -> float:
    """Rows a second of COPY OUT of the log, to nowhere."""
    copy = "COPY (SELECT * FROM crossdock.events ORDER BY tenant, position) TO STDOUT"
    began = clock.monotonic()
    await run_tool("psql", where.owner_url, "-q", "-c", copy, "-o", os.devnull)
    return events / (clock.monotonic() - began)


async def replays(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    size_of_event = await fill(where, size.log, told)
    events = await where.log.head()
    raw, once, twice, proved, carried = [], [], [], [], []
    for round_ in range(size.rounds):
        told(f"replaying {events:,} events, round {round_ + 1}")
        raw.append(await raw_out(where, events))

        async def anew() -> None:
            await discard(where.pool, await rebuild(where.pool, where.log, orders, upto=events))

        once.append(events / await timed(anew()))

        async with beside(where, "part") as part:

            async def fold(table: str, upto: int, shards: Sequence[int]) -> Part:
                return msgspec.json.decode(await part(table, str(upto), *map(str, shards)), type=Part)

            async def shared() -> None:
                await discard(where.pool, await rebuild(where.pool, where.log, orders, upto=events, elsewhere=[fold]))

            twice.append(events / await timed(shared()))

        async with beside(where, "prove") as proof:
            proved.append(events / await timed(together(anew(), proof())))

        async def carry() -> None:
            while await advance(where.pool, where.log, orders, limit=1000):
                pass

        await where.execute("DELETE FROM projections.orders; DELETE FROM crossdock.checkpoints")
        carried.append(events / await timed(carry()))
    memory = await peak_memory(where)
    note = f"{size_of_event:.0f} bytes an event"
    return [
        _ratio("rebuild, one process, over raw out", once, raw, "/s", 0.50, 0.70, note),
        _ratio("rebuild, two processes, over raw out", twice, raw, "/s", 0.70, 0.90),
        _ratio("catch-up, 1,000 a commit, over raw out", carried, raw, "/s", 0.15, 0.25),
        _ratio("rebuild, chain verified and sealed opened beside it, over raw out", proved, raw, "/s", 0.30, 0.45),
        Row(what=f"peak memory of a rebuild of {events:,} events", ours=memory, unit="MiB", must=250, aim=150, less_is_better=True),
    ]


async def together(*works: Awaitable[Any]) -> None:
    await asyncio.gather(*works)


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
    pool = await PostgresDb(url, command_timeout=600.0).pool()
    vault = Vault(pool, TENANT, MASTER)
    log = Log(pool, TENANT, vault, clock, Metrics())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    words = sys.stdin.readline().split()
    if what == "part":
        table, upto, *shards = words
        part = await fold_part(pool, log, orders, table=table, upto=int(upto), shards=[int(shard) for shard in shards])
        sys.stdout.write(msgspec.json.encode(part).decode() + "\n")
    else:
        await chain.verify(pool, TENANT)
        await open_all(Place("", url, pool, log, vault))
        sys.stdout.write("done\n")
    sys.stdout.flush()
    await pool.close()


SEALED = """
    SELECT position, stream, event_id, subject, sealed FROM crossdock.events
    WHERE tenant = $1 AND position > $2 AND position <= $3 AND sealed IS NOT NULL ORDER BY position"""


async def open_all(where: Place) -> None:
    """Open everything that is sealed in the log, page by page."""
    [some] = await where.log.read(0, limit=1)
    for after in range(0, await where.log.head(), 20_000):
        rows = await where.pool.fetch(SEALED, TENANT, after, after + 20_000)
        opened = await where.vault.open_all([replace(some, **row) for row in rows])
        assert all(opened)


async def peak_memory(where: Place) -> float:
    """MiB of a process that does nothing but rebuild."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "ops.bench", "rebuild", where.engine_url, stdout=subprocess.PIPE)
    told, _ = await child.communicate()
    return float(told)


# ---------------------------------------------------------------- dispatch


async def dispatches(where: Place, size: Size) -> list[Row]:
    await where.execute(
        "CREATE TABLE raw_queue (tenant text, id bigint, body json, due_at timestamptz, attempt int, PRIMARY KEY (tenant, id))"
    )
    raw, ours = [], []
    for _ in range(size.rounds):
        raw.append(await raw_queue(where, size.commands))
        ours.append(await our_dispatch(where, size.commands))
    waits = await due_to_started(where, 200)
    return [
        _ratio("commands claimed, performed, outcome stored, over raw queue", ours, raw, "/s", 0.20, 0.40),
        Row(what="command due to started, p50", ours=statistics.median(waits) * 1000, unit="ms", must=3, aim=1.5, less_is_better=True),
    ]


async def raw_queue(where: Place, number: int) -> float:
    claim = """
        UPDATE raw_queue q SET attempt = attempt + 1, due_at = due_at + interval '1 minute' FROM (
            SELECT tenant, id FROM raw_queue WHERE tenant = 'bench' AND due_at < $1 ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
        ) due WHERE q.tenant = due.tenant AND q.id = due.id RETURNING q.id"""
    conn = await PostgresDb(where.owner_url).connect()
    try:
        rows = [("bench", n, "{}", NOON, 0) for n in range(number)]
        await conn.copy_records_to_table("raw_queue", records=rows)
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


@contextlib.asynccontextmanager
async def dispatching(where: Place, started: Callable[[Sequence[Task[Any]]], None], batch: int) -> AsyncIterator[None]:
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


async def put_commands(where: Place, number: int) -> None:
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


async def our_dispatch(where: Place, number: int) -> float:
    left, done = number, anyio.Event()

    def started(tasks: Sequence[Task[Any]]) -> None:
        nonlocal left
        left -= len(tasks)
        if left <= 0:
            done.set()

    await put_commands(where, number)
    began = clock.monotonic()
    async with dispatching(where, started, 100):
        await done.wait()
        while await where.pool.fetchval("SELECT count(*) FROM crossdock.outbox WHERE tenant = $1", TENANT):
            await clock.sleep(0.005)
        return number / (clock.monotonic() - began)


async def due_to_started(where: Place, number: int) -> list[float]:
    waits: list[float] = []
    heard = anyio.Event()

    def started(_: Sequence[Task[Any]]) -> None:
        waits.append(clock.monotonic() - asked)
        heard.set()

    asked = clock.monotonic()
    async with dispatching(where, started, 1):
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


# ---------------------------------------------------------------- at size


async def loads(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    """A shop that is new to `crossdock serve`."""
    with scratch() as directory:
        found = await load(where.pool, directory, where.engine_url, size.items, told)
    wrong = sum(abs(number - size.items) for of in ("whole", "killed") for number in found[f"events_{of}"].values())
    what = f"first load of {size.items:,} variants"
    killed = f"killed after {found['events_at_kill']:,} events, whole {found['seconds_after_kill']:,.0f} s after it came back"
    return [
        Row(
            what=f"{what}, from the start of serve", ours=found["seconds"], unit="s", note=f"of these {found['exporting']:,.0f} s Shopify's"
        ),
        Row(what="  peak memory of serve", ours=found["memory"], unit="MiB", note=f"{found['idle']:,.0f} MiB before"),
        Row(what="  its processor time", ours=found["cpu"], unit="s"),
        Row(what="  events lost or doubled by a kill -9", ours=wrong, unit="events", must=0, aim=0, less_is_better=True, note=killed),
    ]


async def publications(where: Place, size: Size, told: Callable[[str], None]) -> list[Row]:
    """Fifty changes a second, for two minutes."""
    with scratch() as directory:
        place = (directory, where.engine_url)
        found = await publish(where.pool, place, skus=size.skus, channels=size.channels, rate=50, seconds=120, told=told)
    heard, what = found["heard"], f"{size.skus:,} SKUs on {size.channels} channels: "
    rows = [
        Row(what=f"{what}changes a second", ours=found["rate"], unit="/s", note=f"{found['processor']:.0%} of a processor"),
        Row(what="  from a change to the log, p99", ours=heard.get("p99"), unit="s", note=f"p50 {heard.get('p50', 0):.1f} s"),
        Row(what="  until the readers had caught up, after the last", ours=found["caught_up_seconds"], unit="s"),
        Row(what="  peak memory of serve", ours=found["memory"], unit="MiB"),
    ]
    for channel, waits in found["to_zero"].items():
        note = f"{waits['n']} of {waits['of']}; p50 {waits.get('p50', 0):.0f} s, at most {waits.get('max', 0):.0f} s"
        rows.append(Row(what=f"  {channel}: sold out until applied, p99", ours=waits.get("p99"), unit="s", note=note))
    return rows


# ---------------------------------------------------------------- nothing lost


async def torture(where: Place, seconds: float) -> Row:
    """Four processes with 32 writers each, two of them killed in the middle and started again: every acknowledged event is there."""
    acknowledged: list[tuple[str, int]] = []

    async def writer(name: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ops.bench", "write", where.engine_url, name, str(seconds), stdout=subprocess.PIPE
        )

    async def gather(name: str, kill: bool) -> None:
        child = await writer(name)
        assert child.stdout is not None
        with anyio.move_on_after(seconds / 2 if kill else seconds * 10):
            async for line in child.stdout:
                acknowledged.append((name, int(line)))  # noqa: PERF401 - what was read when time is up must be kept
        if kill:
            child.kill()
            acknowledged.extend([(name, int(line)) async for line in child.stdout if line.endswith(b"\n")])
        await child.wait()

    before = await where.log.head()
    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(gather, f"w{number}", number < 2)
        await clock.sleep(seconds / 2 + 0.2)
        for number in range(2):
            group.start_soon(gather, f"again{number}", False)
    rows = await where.pool.fetch(
        "SELECT stream, position FROM crossdock.events WHERE tenant = $1 AND position > $2 ORDER BY position", TENANT, before
    )
    there = [row["stream"] for row in rows]
    lost = sum(f"bench-{name}-{number}" not in set_of for set_of in (frozenset(there),) for name, number in acknowledged)
    wrong = lost + (len(there) - len(set(there))) + (await where.log.head() - before - len(there))
    await chain.verify(where.pool, TENANT, before)
    note = f"{len(acknowledged):,} acknowledged, {len(there):,} in the log, two kills"
    return Row(
        what="lost, doubled or out of order: 4 processes, 32 writers each",
        ours=wrong,
        unit="",
        must=0,
        aim=0,
        less_is_better=True,
        note=note,
    )


async def write(url: str, name: str, seconds: float) -> None:
    """A process of the torture: appends, and says what was acknowledged."""
    pool = await PostgresDb(url).pool()
    log = Log(pool, TENANT, Vault(pool, TENANT, MASTER), clock, Metrics())
    numbers, until = iter(range(1 << 30)), clock.monotonic() + seconds

    async def one() -> None:
        while clock.monotonic() < until:
            number = next(numbers)
            event = life(number)[1]
            identity = event_id(TENANT, name, str(number), "bench")
            await log.append(
                Append(stream=f"bench-{name}-{number}", facts=(Fact(event=event, event_id=identity, occurred_at=NOON),), expected=0)
            )
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    async with anyio.create_task_group() as group:
        for _ in range(32):
            group.start_soon(one)
    await pool.close()


async def rebuild_alone(url: str) -> None:
    """A process that rebuilds, and says how much memory it took."""
    pool = await PostgresDb(url, command_timeout=600.0).pool()
    log = Log(pool, TENANT, Vault(pool, TENANT, MASTER), clock, Metrics())
    await discard(pool, await rebuild(pool, log, orders, upto=await log.head()))
    await pool.close()
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


# ---------------------------------------------------------------- all of it


async def measure(url: str, size: Size, parts: Collection[str], told: Callable[[str], None]) -> list[Row]:
    with contextlib.ExitStack() as stack:
        if url:
            owner = url
            engine_url: Callable[[str], str] = as_engine
        else:
            server = stack.enter_context(EmbeddedPostgres(stack.enter_context(scratch()) / "postgres"))
            owner = server.url("postgres")

            engine_url = lambda mine: server.url(urlsplit(mine).path.strip("/"), ENGINE)  # noqa: E731

        name = f"crossdock_bench_{SystemRng().token(4).hex()}"
        found: list[Row] = []
        async with place(owner, engine_url, name) as where:
            if (durable := await where.pool.fetchval("SELECT current_setting('fsync')")) != "on":
                raise RuntimeError(f"fsync is {durable}: nothing measured here would mean anything")
            if "append" in parts:
                told("appending")
                found += await appends(where, size)
                if not url:
                    found.append(await slow_disk(size))
                found.append(await batches(where, size))
        if "project" in parts:
            async with place(owner, engine_url, name) as where:
                told("appending and folding")
                found += await latencies(where, size)
        if "replay" in parts:
            async with place(owner, engine_url, name) as where:
                found += await replays(where, size, told)
        if "dispatch" in parts:
            async with place(owner, engine_url, name) as where:
                await where.log.append(append_of(next(where.numbers)))
                told("dispatching")
                found += await dispatches(where, size)
        if "load" in parts:
            async with place(owner, engine_url, name) as where:
                found += await loads(where, size, told)
        if "publish" in parts:
            async with place(owner, engine_url, name) as where:
                found += await publications(where, size, told)
        if "torture" in parts:
            async with place(owner, engine_url, name) as where:
                told("killing writers")
                found.append(await torture(where, size.seconds * 2))
        return found


async def main(url: str, *, quick: bool, only: Collection[str], as_json: bool) -> int:
    console = Console(stderr=as_json, highlight=False)
    more: list[Row] = []
    shows: list[Callable[[Console], None]] = []
    with console.status("starting") as status:
        parts = [part for part in PARTS if part in (only or PARTS)]
        found = await measure(url, QUICK if quick else FULL, parts, status.update) if parts else []
        if "latency" in only:  # takes the better part of an hour: only where it is asked for
            from ops import latency  # noqa: PLC0415 - brings the sandbox along

            more, show = await latency.rows(status.update, latency.FEWER if quick else latency.ORDERS)
            shows.append(show)
    found += more
    if as_json:
        print_json([{**{name: getattr(row, name) for name in row.__struct_fields__}, "meets": row.meets} for row in found])
    else:
        _print(console, found)
    for show in shows:
        show(console)
    return 1 if any(row.meets == "short" for row in found) else 0


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def _print(console: Console, found: Sequence[Row]) -> None:
    table = Table(header_style="bold", box=SIMPLE, pad_edge=False, padding=(0, 1))
    for heading in ("what", "ours", "raw", "ratio", "must", "aim", "meets"):
        table.add_column(heading, justify="left" if heading in ("what", "meets") else "right", no_wrap=heading != "what")
    colours = {"aim": "green", "must": "yellow", "short": "red", "": ""}
    notes: list[str] = []
    for row in found:
        meets = f"[{colours[row.meets]}]{row.meets}[/]" if row.meets else ""
        sign = ""
        if row.note:
            notes.append(f"{row.what}: {row.note}")
            sign = " *"
        ours = f"{_number(row.ours)} {row.unit}"
        table.add_row(row.what + sign, ours, _number(row.raw), _number(row.ratio), _number(row.must), _number(row.aim), meets)
    console.print(table)
    for note in notes:
        console.print(f"* {note}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", url_, name_, seconds_]:
            uvloop.run(write(url_, name_, float(seconds_)))
        case ["rebuild", url_]:
            uvloop.run(rebuild_alone(url_))
        case ["part" | "prove" as what_, url_]:
            uvloop.run(work_beside(what_, url_))
