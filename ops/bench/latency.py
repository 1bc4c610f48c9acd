"""`crossdock bench --only latency`: how soon each side knows, in real time. The engine is a process of its own, the sandbox is both sides.

Taken from the sandbox's own moments, so from outside: an order that became shippable until it stands in Shopify; a fulfilment in Shopify
until the marketplace knows it; a refund in Shopify until the marketplace has it. First on a calm day with hundreds of SKUs; then with
50,000, whose quantities all wait to be published: at one file a minute, for longer than the trade goes on; then on Black Friday, when
fifty quantities a second change in Shopify and two hundred orders a minute come in.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from engine.ports import SystemClock, TcpNet
from ops.bench.row import Row
from ops.demo.settings import configure
from ops.sandbox.face import Sandbox, serve_sandbox
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.plan import Basket, Merchandise, Plan, Service, Warehouse
from ops.sandbox.referee.case import Conventions
from ops.sandbox.referee.rules import judge
from ops.sandbox.shopify.state import APP_ID
from ops.sandbox.shopify.switches import Switches as ShopifySwitches
from ops.sandbox.world import World

EDGES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 65.0, 120.0)  # seconds; of the histogram's bins
WIDE = 24  # of a bar for all of them
LEAD = 120.0  # seconds of changes before and after the orders: the engine begins amid them
START = 900.0  # seconds that the engine may take to begin, with all SKUs to read
PATIENCE = 420.0  # seconds after the last order in which everything must have come over
ONE_SECOND = timedelta(seconds=1)  # by which the moment of a debit, when an order becomes shippable, is drawn later than it is


class Day(Struct, frozen=True, kw_only=True):
    """What goes on."""

    name: str
    skus: int
    buyer_every: float = 10.0  # seconds: nine thousand orders a day
    haste: int = 1  # times as many orders, of as many buyers the sooner
    changes: float = 0.0  # of quantities in Shopify, a second
    pages_count: bool = True  # whether each page of orders is a call: then no more than a hundred a minute can be heard of


DAYS = (
    Day(name="a calm day", skus=200),
    Day(name="50,000 quantities wait", skus=50_000),
    Day(name="Black Friday", skus=10_000, buyer_every=0.3, haste=4, changes=50.0, pages_count=False),
)
ORDERS, FEWER = 100, 30  # of a whole and of a quick measurement, on a calm day


class Timed(Struct, frozen=True, kw_only=True):
    """One kind of news. `waits`: seconds, from the one side to the other."""

    what: str
    waits: list[float]
    most: float | None  # seconds, at p99; None: nothing was promised
    missing: int  # of which the other side never knew

    def quantile(self, share: float) -> float:
        return sorted(self.waits)[min(len(self.waits) - 1, int(len(self.waits) * share))] if self.waits else 0.0


class Run(Struct, frozen=True, kw_only=True):
    day: Day
    orders: int
    waiting: tuple[int, int]  # quantities that waited to be published, as trade began and as it ended
    timed: list[Timed]
    broken: list[str]  # by the referee's word


def scene(day: Day, orders: int, past: datetime) -> World:
    """Parcels leave some twenty seconds after an order comes in, and many are paid back as long after that."""
    plan = Plan(
        skus=day.skus,
        locations=1,
        least_stock=60,
        most_stock=90,
        offers_open="at_stock",
        basket=Basket(lines=(1, 1, 2)),
        warehouse=Warehouse(pick_seconds=20.0),
        service=Service(refunds=0.6, refunds_part=0.2, restocks=0.0, after=20.0),
        merchandise=Merchandise(recounts=int(day.changes * (LEAD + orders * day.buyer_every)), gap=1.0 / (day.changes or 1.0)),
        shopify=ShopifySwitches(bucket=20_000.0, restore_rate=1000.0),  # Shopify Plus: with less, 50,000 SKUs are read for twenty minutes
        mirakl=Switches(debit_delay=1.0, payment_delay=2.0, pages_count=day.pages_count),
    )
    return World(plan, 1, past)


async def measure(day: Day, orders: int, told: Callable[[str], None]) -> Run:
    world = scene(day, orders, SystemClock().now())
    with tempfile.TemporaryDirectory(prefix="crossdock-latency-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # the database's own user passes through
        async with serve_sandbox(world, SystemClock(), TcpNet()) as sandbox:
            configure(directory, sandbox)
            with (directory / "engine.log").open("w") as log:
                engine = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "ops", "serve", "--data", name, stdout=log, stderr=subprocess.STDOUT
                )
                try:
                    return await _trade(sandbox, day, orders, told)
                finally:
                    engine.terminate()
                    await engine.wait()


async def _trade(sandbox: Sandbox, day: Day, orders: int, told: Callable[[str], None]) -> Run:
    world, clock = sandbox.world, SystemClock()
    told(f"{day.name}: the engine begins")
    with anyio.fail_after(START):
        while not world.account.imports:  # all of it was read, and the first file is there
            await clock.sleep(0.5)
    waiting = [_unpublished(world)]
    for number in range(orders):
        told(f"{day.name}: order {number} of {orders}")
        world.buy(clock.now())
        sandbox.wake()
        await clock.sleep(day.buyer_every)
    waiting.append(_unpublished(world))
    with anyio.move_on_after(PATIENCE):
        while world.actors.agenda.entries or any(timed.missing for timed in timings(world)):
            told(f"{day.name}: until all is told")
            await clock.sleep(1.0)
            world.advance(clock.now())
    broken = [f"{one.rule} {one.subject}: {one.says}" for one in judge(sandbox.truth(), Conventions(buffer=3)) if one.level == "broken"]
    return Run(day=day, orders=orders, waiting=(waiting[0], waiting[1]), timed=timings(world), broken=broken)


def _unpublished(world: World) -> int:
    """Offers whose quantity is still that of the beginning."""
    return sum(offer.quantity > 0 and not _moved(world, sku) for sku, offer in world.account.offers.items())


def _moved(world: World, sku: str) -> bool:
    return any(move.why.startswith("import") for move in world.history.offers.get(sku, ()))


def timings(world: World) -> list[Timed]:
    """As far as things have come."""
    shop, account = world.shop, world.account
    copies = {order.source_identifier: order for order in shop.orders.values() if order.app_id == APP_ID}
    created: list[float] = []
    shipped: list[float] = []
    whole: list[float] = []
    part: list[float] = []
    missing = [0, 0, 0, 0]
    for order in account.orders.values():
        copy = copies.get(order.id)
        if order.debited_at is None or copy is None:
            missing[0] += 1
            continue
        created.append((copy.created_at - order.debited_at + ONE_SECOND).total_seconds())
        parcels = [shop.fulfillments[number] for number in copy.fulfillments]
        left = [line.shipped_at for line in order.lines if line.shipped_at is not None]
        if parcels and left:
            shipped.append((max(left) - max(parcel.created_at for parcel in parcels)).total_seconds())
        missing[1] += bool(parcels) and not left
        theirs = sorted(refund.created_at for line in order.lines for refund in line.refunds)
        ours = sorted((shop.refunds[number] for number in copy.refunds), key=lambda refund: refund.created_at)
        if len(ours) != 1:  # a second one would be told with, or after, the first
            continue
        everything = sum(one.quantity for one in ours[0].lines) == sum(line.quantity for line in copy.lines)
        if theirs:
            (whole if everything else part).append((theirs[-1] - ours[0].created_at).total_seconds())
        else:
            missing[2 if everything else 3] += 1
    return [
        Timed(what="shippable there, stands in Shopify", waits=created, most=65.0, missing=missing[0]),
        Timed(what="fulfilled in Shopify, shipped there", waits=shipped, most=10.0, missing=missing[1]),
        Timed(what="paid back in Shopify in full, refunded there", waits=whole, most=10.0, missing=missing[2]),
        Timed(what="paid back in Shopify in part, refunded there", waits=part, most=None, missing=missing[3]),
    ]


async def rows(told: Callable[[str], None], orders: int) -> tuple[list[Row], Callable[[Console], None]]:
    """Figures, and what shows how they are spread."""
    runs = [await measure(day, orders * day.haste, told) for day in DAYS]
    found = [
        Row(
            what=f"{timed.what}: p99, {run.day.name}",
            ours=timed.quantile(0.99) if timed.waits else None,
            unit="s",
            must=timed.most,
            aim=timed.most,
            less_is_better=True,
            note=f"{len(timed.waits)} of them, p50 {timed.quantile(0.5):.1f} s" + (f", {timed.missing} never" if timed.missing else ""),
        )
        for run in runs
        for timed in run.timed
    ]
    return found, partial(_print, runs)


def _print(runs: Sequence[Run], console: Console) -> None:
    """Each kind of news, the days beside each other."""
    for kinds in zip(*(run.timed for run in runs), strict=True):
        table = Table(title=kinds[0].what, title_justify="left", header_style="bold")
        table.add_column("within", justify="right")
        for run in runs:
            table.add_column(f"{run.day.name}: {run.waiting[0]:,} to {run.waiting[1]:,} quantities wait")
        for place, (edge, _) in enumerate(histogram([])):
            counts = [(histogram(timed.waits)[place][1], len(timed.waits)) for timed in kinds]
            table.add_row(edge, *(f"{'█' * -(-WIDE * count // (all_ or 1))} {count or ''}".strip() for count, all_ in counts))
        console.print(table)
    for run in runs:
        console.print(*(f"{run.day.name}: {finding}" for finding in run.broken[:20]), sep="\n", end="\n" if run.broken else "")


def histogram(waits: Sequence[float]) -> list[tuple[str, int]]:
    """How many there are up to each edge, and beyond the last."""
    edges = [0.0, *EDGES, float("inf")]
    names = [f"≤ {edge:g} s" for edge in EDGES] + [f"> {EDGES[-1]:g} s"]
    return [(name, sum(low < max(wait, 1e-9) <= high for wait in waits)) for name, low, high in zip(names, edges, edges[1:], strict=False)]
