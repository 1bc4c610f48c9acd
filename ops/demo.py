"""`crossdock demo`: a morning's trade in accelerated time on real parts, and the proof of its end state."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import msgspec
from msgspec import Struct
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.chain import verify as verify_chain
from engine.errors import EngineError
from engine.log import Log
from engine.metrics import Metrics
from engine.migrate import migrate
from engine.ports import AcceleratedClock, PostgresDb, RandomIds, SystemClock, SystemRng, TcpNet
from engine.rebuild import compare, discard, rebuild
from engine.vault import Vault
from ops.database import Database, master_key_of, open_database
from ops.logs import configure_logs
from ops.report import print_json
from ops.sandbox.face import API_KEY, TOKEN, WEBHOOK_SECRET, Sandbox, serve_sandbox
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.world import World
from ops.service import PROJECTIONS, Ports, Service
from ops.settings import ChannelSection, Settings, read_settings
from projections.inventory import Stock, desired
from schemas.values import ChannelId

CHANNEL = ChannelId("asos")
BUYER_GAP = 8.0  # simulated seconds between buyers, on both sides together
PICK_SECONDS = 240.0  # simulated, from the order in Shopify to the parcel
LEASE_SECONDS = 3.0  # real: how long a demo that follows a killed one waits
PATIENCE = 240.0  # real seconds without any progress, after which something must be wrong
CARRIERS = {"Royal Mail": "RM", "Evri": "EVRI", "DPD UK": "DPDUK", "DPD": "DPDUK", "UPS": "ups-gb", "DHL Express": "DHLX", "Yodel": "YODEL"}

COUNT_EVENTS = "SELECT type, count(*) AS number FROM crossdock.events WHERE tenant = $1 GROUP BY type ORDER BY type"
UNKNOWN = "SELECT count(*) FROM crossdock.outbox WHERE tenant = $1 AND unknown_since IS NOT NULL"
WAITING = "SELECT count(*) FROM crossdock.outbox WHERE tenant = $1"
OPEN = "SELECT count(*) FROM projections.exceptions WHERE tenant = $1 AND document->>'open' = 'true'"
STOCK = "SELECT document FROM projections.inventory WHERE tenant = $1 ORDER BY key"


@dataclass(frozen=True)
class DemoOptions:
    orders: int
    seed: int
    data: Path | None
    database: str
    speed: float
    as_json: bool


class Result(Struct, kw_only=True):
    """What the end state is; `holds` says whether it is what it should be."""

    orders_placed: int
    orders_in_shopify: int
    duplicates: int
    shipped_in_mirakl: int
    oversold_units: int
    stock_mismatches: int
    events: int
    commands_confirmed: int
    commands_unknown: int
    exceptions_open: int
    chain_verified: bool
    rebuild_equal: bool
    seconds: float

    def claims(self) -> dict[str, bool]:
        return {
            f"{self.orders_in_shopify} of {self.orders_placed} marketplace orders are in Shopify": self.orders_in_shopify
            == self.orders_placed,
            f"{self.duplicates} of them twice": self.duplicates == 0,
            f"{self.shipped_in_mirakl} confirmed to the marketplace, with their tracking": self.shipped_in_mirakl == self.orders_placed,
            f"{self.oversold_units} units sold that were not there": self.oversold_units == 0,
            f"{self.stock_mismatches} SKUs shown otherwise than the formula says": self.stock_mismatches == 0,
            f"{self.commands_confirmed} commands confirmed, {self.commands_unknown} with an unknown outcome": self.commands_unknown == 0,
            f"{self.exceptions_open} exceptions open": self.exceptions_open == 0,
            f"the hash chain of {self.events} events verified": self.chain_verified,
            "every projection folded again equals the live one": self.rebuild_equal,
        }

    @property
    def holds(self) -> bool:
        return all(self.claims().values())


async def play(options: DemoOptions) -> int:
    began = SystemClock().monotonic()
    console = Console(stderr=True, highlight=False)
    with ExitStack() as stack:
        directory = options.data
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossdock-demo-")))
            directory.chmod(0o711)  # the database's own user passes through
        directory.mkdir(parents=True, exist_ok=True)
        configure_logs(SystemClock(), stream=stack.enter_context((directory / "demo.log").open("a", encoding="utf-8")))
        console.print("Bringing a Postgres, a Shopify and a Mirakl along …")
        result, trace = await _Demo(options, directory, console).play()
    result.seconds = round(SystemClock().monotonic() - began, 1)
    if options.as_json:
        print_json(result)
    else:
        _print_result(Console(highlight=False), result, trace, options.data)
    return 0 if result.holds else 1


class _Demo:
    def __init__(self, options: DemoOptions, directory: Path, console: Console) -> None:
        self._options, self._directory, self._console = options, directory, console
        self._metrics = Metrics()

    async def play(self) -> tuple[Result, str]:
        """The end state, and an order worth tracing."""
        options, now = self._options, SystemClock().now()
        plan = Plan(
            marketplace_orders=options.orders,
            buyer_gap=BUYER_GAP,
            restocks=max(3, options.orders // 10),
            restock_gap=120.0,
            warehouse=Warehouse(pick_seconds=PICK_SECONDS),
        )
        world = World.open(self._directory / "sandbox.journal", plan, options.seed, now)
        clock = AcceleratedClock(max(world.now, now), options.speed)
        async with serve_sandbox(world, clock, TcpNet()) as sandbox:
            path = configure(self._directory, sandbox)
            settings = read_settings(path)
            with open_database(settings, os.environ, url=options.database) as database:
                await migrate(database.owner_url)
                await self._trade(settings, database, sandbox, clock)
                result = await self._prove(settings, database, sandbox)
        orders = sandbox.truth()["mirakl"]["orders"]
        world.close()
        return result, orders[0]["order_id"] if orders else ""

    # ------------------------------------------------------------ trade

    async def _trade(self, settings: Settings, database: Database, sandbox: Sandbox, clock: AcceleratedClock) -> None:
        """Run the engine until everything that was bought has gone all the way round."""
        ports = Ports(clock, RandomIds(), SystemRng(), TcpNet(), PostgresDb(database.engine_url))
        service = Service(settings, os.environ, ports, master_key_of(settings, os.environ), self._metrics, lease_seconds=LEASE_SECONDS)
        async with anyio.create_task_group() as group:
            group.start_soon(service.run)
            await service.started.wait()
            await self._watch(settings, database, sandbox)
            service.stop()

    async def _watch(self, settings: Settings, database: Database, sandbox: Sandbox) -> None:
        watching = await PostgresDb(database.engine_url).connect()
        progress = Progress(
            TextColumn("orders all the way round"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=self._console
        )
        task = progress.add_task("", total=self._options.orders)
        clock, last, since = SystemClock(), None, SystemClock().monotonic()
        try:
            with Live(console=self._console, refresh_per_second=4, transient=True) as live:
                while True:
                    truth = sandbox.truth()
                    waiting = await watching.fetchval(WAITING, settings.tenant_id)
                    states = Counter(order["state"] for order in truth["mirakl"]["orders"])
                    progress.update(task, completed=states["SHIPPED"])
                    live.update(Group(_board(truth, waiting), progress))
                    settled = waiting == 0 and not mismatches(truth, await stock_rows(watching, settings), settings.channel[0])
                    if truth["actors"]["turns_ahead"] == 0 and settled and states["SHIPPED"] == len(truth["mirakl"]["orders"]):
                        return
                    progressed = (states, waiting, truth["now"] and len(truth["mirakl"]["imports"]))
                    if progressed != last:
                        last, since = progressed, clock.monotonic()
                    if clock.monotonic() - since > PATIENCE:
                        return  # what is missing is told by the proof
                    await clock.sleep(0.25)
        finally:
            await watching.close()

    # ------------------------------------------------------------ prove

    async def _prove(self, settings: Settings, database: Database, sandbox: Sandbox) -> Result:
        truth, tenant = sandbox.truth(), settings.tenant_id
        pool = await PostgresDb(database.engine_url, command_timeout=120.0).pool()
        try:
            log = Log(pool, tenant, Vault(pool, tenant, master_key_of(settings, os.environ)), SystemClock(), self._metrics)
            counts = {row["type"]: row["number"] for row in await pool.fetch(COUNT_EVENTS, tenant)}
            async with pool.acquire() as conn:
                wrong = mismatches(truth, await stock_rows(conn, settings), settings.channel[0])
            placed = truth["mirakl"]["orders"]
            ids = Counter(marketplace_id(order) for order in truth["shopify"]["orders"] if order["by_app"] and not order["cancelled_at"])
            return Result(
                orders_placed=len(placed),
                orders_in_shopify=sum(ids[order["order_id"]] > 0 for order in placed),
                duplicates=sum(number - 1 for number in ids.values()),
                shipped_in_mirakl=sum(order["state"] == "SHIPPED" and bool(order["tracking"]) for order in placed),
                oversold_units=truth["shopify"]["oversold_units"],
                stock_mismatches=len(wrong),
                events=sum(counts.values()),
                commands_confirmed=counts.get("command_confirmed", 0),
                commands_unknown=await pool.fetchval(UNKNOWN, tenant),
                exceptions_open=await pool.fetchval(OPEN, tenant),
                chain_verified=await _verified(pool, settings),
                rebuild_equal=await _rebuilds_equal(pool, log),
                seconds=0.0,
            )
        finally:
            await pool.close()


async def _verified(pool: Any, settings: Settings) -> bool:
    try:
        await verify_chain(pool, settings.tenant_id)
    except EngineError:
        return False
    return True


async def _rebuilds_equal(pool: Any, log: Log) -> bool:
    equal = True
    for projection in PROJECTIONS:
        rebuilt = await rebuild(pool, log, projection)
        found = await compare(pool, log, projection, rebuilt)
        equal &= found.live == found.rebuilt
        await discard(pool, rebuilt)
    return equal


async def stock_rows(conn: Any, settings: Settings) -> list[Stock]:
    return [msgspec.json.decode(row["document"], type=Stock) for row in await conn.fetch(STOCK, settings.tenant_id)]


def mismatches(truth: Mapping[str, Any], rows: list[Stock], channel: ChannelSection) -> list[str]:
    """SKUs whose quantity on the marketplace is not what the formula makes of Shopify's own levels."""
    known = {row.sku: row for row in rows}
    wrong = []
    for sku, offer in truth["mirakl"]["offers"].items():
        there = truth["shopify"]["stock"].get(sku, {"available": 0})["available"]
        row = known.get(sku)
        if (
            row is None
            or max(0, there - channel.buffer - channel.floor) != offer["quantity"]
            or desired(row, channel.stock_rules) != offer["quantity"]
        ):
            wrong.append(sku)
    return wrong


def marketplace_id(order: Mapping[str, Any]) -> str:
    return next((value for name, value in order["metafields"].items() if name.endswith("mirakl_order_id")), f"none: {order['id']}")


# ---------------------------------------------------------------- what a person sees


def _board(truth: Mapping[str, Any], waiting: int) -> Table:
    """Both sides, side by side."""
    states = Counter(order["state"] for order in truth["mirakl"]["orders"])
    ours = [order for order in truth["shopify"]["orders"] if order["by_app"]]
    own = len(truth["shopify"]["orders"]) - len(ours)
    done = Counter(order["fulfillment_status"] for order in ours)
    board = Table(title=f"{truth['now'][:19].replace('T', ' ')} simulated", title_justify="left", header_style="bold", expand=False)
    for heading in ("on the marketplace", "", "in Shopify", ""):
        board.add_column(heading, justify="right" if not heading else "left")
    left = [
        (state.replace("_", " ").lower(), states[state]) for state in ("WAITING_ACCEPTANCE", "WAITING_DEBIT_PAYMENT", "SHIPPING", "SHIPPED")
    ]
    right = [
        ("marketplace orders", len(ours)),
        ("of them in parcels", sum(number for status, number in done.items() if status and status.lower() == "fulfilled")),
        ("the shop's own orders", own),
        ("commands in the outbox", waiting),
    ]
    for (a, b), (c, d) in zip(left, right, strict=True):
        board.add_row(a, str(b), c, str(d))
    return board


def _print_result(console: Console, result: Result, order: str, data: Path | None) -> None:
    for claim, holds in result.claims().items():
        console.print(f"  {'[green]✓[/]' if holds else '[red]✗[/]'} {claim}")
    verdict = "[green]Everything holds[/]" if result.holds else "[red]Not everything holds[/]"
    console.print(f"{verdict}, after {result.seconds:.0f} s.")
    if data is not None and order:
        console.print(f"Trace an order: ./ops/run trace --data {data} {order}")


# ---------------------------------------------------------------- its settings, as a person would write them


def configure(directory: Path, sandbox: Sandbox) -> Path:
    """The demo's own crossdock.toml, with its secrets in files beside it: read as any other."""
    secrets = directory / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    given: dict[str, Callable[[], str]] = {
        "shopify_token": lambda: TOKEN,
        "webhook_secret": lambda: WEBHOOK_SECRET,
        "webhook_path": lambda: SystemRng().token(16).hex(),
        "api_key": lambda: API_KEY,
        "tenant": lambda: f"demo-{SystemRng().token(4).hex()}",
    }
    for name, text in given.items():
        file = secrets / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(text(), encoding="ascii")
    carriers = "\n".join(f'"{company}" = "{code}"' for company, code in CARRIERS.items())
    path = directory / "crossdock.toml"
    path.write_text(
        f"""\
[tenant]
id = "{(secrets / "tenant").read_text()}"

[database]
directory = "{directory / "postgres"}"

[shopify]
shop = "{sandbox.world.shop.domain}"
base_url = "{sandbox.shopify_url}"
access_token = {{ file = "{secrets / "shopify_token"}" }}
webhook_secret = {{ file = "{secrets / "webhook_secret"}" }}
webhook_path = {{ file = "{secrets / "webhook_path"}" }}

[[channel]]
id = "{CHANNEL}"
base_url = "{sandbox.mirakl_url}"
api_key = {{ file = "{secrets / "api_key"}" }}
shop_id = {sandbox.world.account.shop_id}
buffer = 3

[channel.carriers]
{carriers}

[web]
webhooks = "127.0.0.1:0"
operations = "127.0.0.1:0"
""",
        encoding="utf-8",
    )
    return path
