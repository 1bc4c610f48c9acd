"""`crossdock sandbox`: both systems on loopback, until Ctrl-C; and what there is to know before."""

import gc
import signal
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from engine.errors import StartupError
from engine.ports import AcceleratedClock, Clock, SystemClock, TcpNet
from ops.paper import paper
from ops.sandbox.face import API_KEY, TOKEN, WEBHOOK_SECRET, serve_sandbox
from ops.sandbox.faults import KINDS
from ops.sandbox.plan import Plan
from ops.sandbox.scenario import library, read_scenario
from ops.sandbox.soak import soak
from ops.sandbox.steps import SteppedClock
from ops.sandbox.world import World
from ops.sentences import so_many

BEGINNING = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)  # of a world whose time is stepped: so that it is the same one tomorrow


def planned(scenario: str, orders: int | None, offers: str | None) -> Plan:
    """The scenario, with what was asked for beside it. StartupError as read_scenario."""
    plan = read_scenario(scenario) if scenario else Plan()
    if orders is not None:
        plan = replace(plan, marketplace_orders=orders)
    if offers is not None:
        plan = replace(plan, offers_open="at_stock" if offers == "stock" else "at_zero")
    return plan


async def stand_alone(
    plan: Plan,
    *,
    port: int,
    seed: int,
    data: Path | None,
    speed: float | None,
    start: datetime | None = None,
    certificate: Path | None = None,
) -> int:
    """`speed` None: time stands still until it is stepped. `start` None: now; where time stands still, always the same moment."""
    console = Console(highlight=False, soft_wrap=True)
    now = start or (BEGINNING if speed is None else SystemClock().now())
    gc.disable()  # a world is made of a million things, and not one of them is rubbish
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        world = World.open(data / "sandbox.journal", plan, seed, now)
    else:
        world = World(plan, seed, now)
    gc.freeze()
    gc.enable()
    clock: Clock = SystemClock()
    if speed is None:
        clock = SteppedClock(max(world.now, now))
    elif speed != 1.0 or start is not None or world.now > now + timedelta(seconds=1):
        clock = AcceleratedClock(max(world.now, now), speed)
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            tls.load_cert_chain(certificate)
        except OSError as error:
            why = "it holds no certificate with its key" if isinstance(error, ssl.SSLError) else error.strerror
            raise StartupError(f"--certificate {certificate}: {why}") from None
    async with serve_sandbox(world, clock, TcpNet(), port=port, tls=tls) as sandbox:
        told = world.actors.plan  # of the journal, if there was one
        about = told.about or ("Buyers come by themselves." if told.marketplace_orders else "Nothing happens here by itself.")
        console.print(f"[bold]{about}[/]  seed {world.shop.seed}, {so_many(told.skus, 'SKU')}")
        console.print(f"Shopify  {sandbox.shopify_url}   token {TOKEN}, webhook secret {WEBHOOK_SECRET}, shop {world.shop.domain}")
        console.print(f"Mirakl   {sandbox.mirakl_url}   key {API_KEY}, shop_id {world.account.shop_id}")
        console.print(f"Page     {sandbox.url}   to watch both, and to buy, fulfil and refund by hand: open it in a browser")
        console.print(f"Levers   {sandbox.url}/sandbox/   the same for programs: read it first")
        console.print(f"Truth    {sandbox.url}/sandbox/state   judged by: crossdock referee {sandbox.url}")
        passes = (
            "stands still: POST /sandbox/step"
            if speed is None
            else "passes as it does"
            if speed == 1.0
            else f"passes {speed:g} times as fast"
        )
        console.print(f"Time     {passes}. Ctrl-C ends it{', and --data brings it back' if data else ''}.")
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                break
    world.close()
    return 0


def print_scenarios() -> int:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, _ in library():
        plan = read_scenario(name)
        table.add_row(f"[bold]{name}[/]", plan.about)
    paper().print(table)
    return 0


def print_faults() -> int:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("fault", "hits", "takes effect", "what is seen"):
        table.add_column(heading, no_wrap=heading == "fault")
    for name, kind in KINDS.items():
        hits = {"any": "", "read": "reads", "change": "changes"}[kind.hits]
        effect = "" if kind.where == "webhook" else {"never": "no", "always": "yes", "either": "either way"}[kind.effect]
        table.add_row(name, " ".join(filter(None, (kind.where.replace("any", "both"), kind.only or hits))), effect, kind.says)
    paper().print(table)
    return 0


def soak_all(seeds: Iterable[int]) -> int:
    """Exit code 1 if a class of faults was never met, or a seed came out in two ways."""
    result = soak(seeds)
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("fault")
    table.add_column("met", justify="right")
    for name in KINDS:
        table.add_row(name, str(result.met.get(name, 0)), style=None if result.met.get(name) else "red")
    console = paper()
    console.print(table)
    console.print(
        f"{so_many(result.seeds, 'seed')}, {so_many(result.calls, 'call')}, {so_many(result.orders, 'order')}, "
        f"{so_many(sum(result.met.values()), 'fault')} of {len(KINDS)} classes"
    )
    for problem in result.problems:
        console.print(f"[red]✗[/] {problem}")
    return 1 if result.problems else 0
