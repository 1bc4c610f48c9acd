"""The whole house for a test: both systems served over HTTP, a real Postgres, and as many engines as are wanted, in accelerated time."""

import base64
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import msgspec
import structlog
from anyio.abc import TaskGroup
from msgspec.structs import replace

from adapters.mirakl.inbound.orders import polled_at
from engine.log import Log
from engine.metrics import Metrics
from engine.ports import AcceleratedClock, PostgresDb, RandomIds, SeededRng, SystemClock, TcpNet
from engine.vault import Vault
from ops.demo.proof import mismatches, stock_rows
from ops.demo.settings import BUFFER, configure
from ops.desk import Desk
from ops.sandbox.face import Sandbox, serve_sandbox
from ops.sandbox.people import person
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.referee.case import Case, Conventions, Finding
from ops.sandbox.referee.rules import judge
from ops.sandbox.shopify.sales import Order as ShopOrder
from ops.sandbox.shopify.state import APP_ID
from ops.sandbox.world import World
from ops.service import Ports, Service
from ops.settings import ChannelSection, Settings, read_settings
from tests.conftest import Database
from tests.machine import TENANT

MASTER = bytes(range(32))
SPEED = 120.0  # two minutes a second: a poll every half second
PATIENCE = 180.0  # real seconds for whatever a test waits for: as long as a busy machine might take


@dataclass
class House:
    sandbox: Sandbox
    settings: Settings
    engine_url: str
    clock: AcceleratedClock
    pool: Any
    group: TaskGroup
    engines: list[Service] = field(default_factory=list)

    @property
    def tenant(self) -> str:
        return self.settings.tenant.id

    @property
    def log(self) -> Log:
        tenant = self.settings.tenant_id
        return Log(self.pool, tenant, Vault(self.pool, tenant, MASTER), SystemClock(), Metrics())

    async def engine(self, *, lease_seconds: float = 2.0) -> Service:
        """Start one more engine, as its own process would be: nothing is shared but database and marketplaces."""
        ports = Ports(self.clock, RandomIds(), SeededRng(len(self.engines)), TcpNet(), PostgresDb(self.engine_url))
        service = Service(self.settings, {}, ports, MASTER, Metrics(), lease_seconds=lease_seconds, privacy_seconds=0.3)
        self.engines.append(service)
        self.group.start_soon(service.run)
        with anyio.fail_after(PATIENCE):
            await service.started.wait()
        return service

    def buy(self, sku: str | None = None, quantity: int = 1) -> str:
        bought = self.sandbox.world.buy(self.clock.now(), sku=sku, quantity=quantity)
        self.sandbox.wake()
        assert isinstance(bought, str), "nothing of that is on offer"
        return bought

    def place(self, *lines: tuple[str, int], **options: Any) -> str:
        """A buyer of just that; `options` settle what is left to chance otherwise (ops.sandbox.mirakl.buying.Options)."""
        buyer = msgspec.to_builtins(person(self.sandbox.world.shop.seed, len(self.sandbox.world.account.orders)))
        return str(self.act("mirakl", "place", lines=lines, buyer=buyer, options=options))

    def order(self, order_id: str) -> dict[str, Any]:
        """As the marketplace has it."""
        [found] = [order for order in self.sandbox.truth()["mirakl"]["orders"] if order["order_id"] == order_id]
        return dict(found)

    def copies(self) -> Counter[str]:
        """Live Shopify orders by their marketplace order: each should be there once."""
        copies = Case(self.sandbox.truth(), Conventions()).copies
        return Counter(name for name, found in copies.items() for copy in found if not copy["cancelled_at"])

    @property
    def desk(self) -> Desk:
        """Somebody at work beside the engine."""
        return Desk(self.pool, self.log, self.settings, self.clock.now(), "proof")

    def act(self, system: str, do: str, **given: Any) -> Any:
        """Somebody does something in either system. RefusalError where it cannot be."""
        self.sandbox.world.advance(self.clock.now())
        return self.sandbox.apply(f"act.{system}", {"do": do, "given": given})

    def ours(self) -> Iterator[ShopOrder]:
        """Marketplace orders as they are in Shopify."""
        return (order for order in self.sandbox.world.shop.orders.values() if order.app_id == APP_ID)

    def ours_of(self, order_id: str) -> ShopOrder:
        [found] = [order for order in self.ours() if order.source_identifier == order_id]
        return found

    def pack(self, order: ShopOrder, company: str, number: str, lines: list[tuple[int, int]] | None = None) -> list[int]:
        """The warehouse sends all that waits of an order, or those lines of its one fulfilment order. Answers the parcels."""
        shop = self.sandbox.world.shop
        waiting = [shop.fulfillment_orders[one] for one in order.fulfillment_orders]
        given = {} if lines is None else {"lines": lines}
        tracking = {"company": company, "number": number, "url": None} if number else None
        return [self.act("shopify", "staffFulfil", parcel=one.id, tracking=tracking, **given) for one in waiting if one.remaining]

    def findings(self, level: str = "broken", *, settled: bool = True) -> list[str]:
        """What the referee says of both truths."""
        told = Conventions(settled=settled, buffer=BUFFER)
        return [_said(found) for found in judge(self.sandbox.truth(), told) if found.level == level]

    async def until(self, holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
        """Wait, in real time, for the world to come to be so. Looking takes up no more than half of it."""
        with anyio.move_on_after(patience) as scope:
            while True:
                began = anyio.current_time()
                if holds():
                    break
                await anyio.sleep(max(0.02, anyio.current_time() - began))
        assert not scope.cancelled_caught, f"not within {patience:.0f} s: {what}"

    async def until_answered(self, patience: float = PATIENCE) -> None:
        """Until nothing in the outbox waits: every command has an outcome."""
        with anyio.move_on_after(patience) as scope:
            while await self.pool.fetchval("SELECT count(*) FROM crossdock.outbox WHERE tenant = $1 AND target <> 'clock'", self.tenant):
                await anyio.sleep(0.02)
        assert not scope.cancelled_caught, f"commands not answered for within {patience:.0f} s"

    async def until_on_offer(self) -> None:
        """Until the first file of quantities was applied, so that there is something to buy."""
        await self.until(lambda: any(offer["quantity"] for offer in self.sandbox.truth()["mirakl"]["offers"].values()), "offers are open")

    async def until_shipped(self, *orders: str) -> None:
        account = self.sandbox.world.account
        await self.until(lambda: all(account.orders[order].state == "SHIPPED" for order in orders), f"{', '.join(orders[:5])} … shipped")

    async def until_settled(self, patience: float = PATIENCE) -> None:
        """Until all have done what they had to do, every command is answered for, and both sides agree on orders and on stock; and until
        a poll of each channel's orders that began after that called for nothing: what people did there last may not have been heard of.
        """
        broken, before, since = list[str](), -1, self.clock.now()
        with anyio.move_on_after(patience) as scope:
            while True:
                await self.until_answered(patience)
                truth = self.sandbox.truth()
                people = truth["actors"]["turns_ahead"] + truth["shopify"]["webhooks"]["under_way"]
                async with self.pool.acquire() as conn:
                    rows = await stock_rows(conn, self.settings)
                broken = [*self.findings(), *mismatches(truth, rows, self.settings.channel[0]), *(["people"] if people else [])]
                head = await self.log.head()
                if not broken and head == before and await self._polled_since(since):
                    return
                if broken or head != before:
                    before, since = head, self.clock.now()
                await anyio.sleep(0.25)
        assert not scope.cancelled_caught, f"not within {patience:.0f} s: {broken[:10] or 'the log does not rest'}"

    async def _polled_since(self, moment: datetime) -> bool:
        names = [f"mirakl:{channel.id}:orders" for channel in self.settings.channel]
        asked = "SELECT cursor FROM crossdock.cursors WHERE tenant = $1 AND name = any($2::text[])"
        began = [polled_at(row["cursor"]) for row in await self.pool.fetch(asked, self.tenant, names)]
        return len(began) == len(names) and all(one is not None and one > moment for one in began)

    async def count(self, tag: str) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM crossdock.events WHERE tenant = $1 AND type = $2", self.tenant, tag))

    async def open_exceptions(self) -> list[str]:
        rows = await self.pool.fetch(
            "SELECT document->>'code' AS code, document->>'summary' AS summary FROM projections.exceptions"
            " WHERE tenant = $1 AND document->>'open' = 'true' ORDER BY key",
            self.tenant,
        )
        return [f"{row['code']}: {row['summary']}" for row in rows]


def _said(found: Finding) -> str:
    return f"{found.rule} {found.subject}: {found.says}" + (f" ({found.call})" if found.call else "")


@asynccontextmanager
async def house(
    engine_url: str,
    directory: Path,
    *,
    plan: Plan | None = None,
    seed: int = 1,
    engines: int = 1,
    speed: float = SPEED,
    change: Callable[[ChannelSection], ChannelSection] = lambda section: section,
    channel: Mapping[str, Any] | None = None,
    shop: Mapping[str, Any] | None = None,
) -> AsyncIterator[House]:
    """`channel` is said of the marketplace account in the settings, and `shop` of Shopify, over what the demo says; `change` has the last
    word on the channel."""
    now = SystemClock().now()
    world = World(plan or Plan(skus=6, warehouse=Warehouse(pick_seconds=60.0)), seed, now)
    clock = AcceleratedClock(now, speed)
    structlog.configure(processors=[lambda *_: ""], logger_factory=structlog.ReturnLoggerFactory())
    pool = await asyncpg.create_pool(engine_url, min_size=1, max_size=3)
    try:
        async with serve_sandbox(world, clock, TcpNet()) as sandbox, anyio.create_task_group() as group:
            settings = read_settings(configure(directory, sandbox))
            section = change(replace(settings.channel[0], **(channel or {})))
            settings = replace(settings, channel=[section], shopify=replace(settings.shopify, **(shop or {})))
            built = House(sandbox, settings, engine_url, clock, pool, group)
            for _ in range(engines):
                await built.engine()
            yield built
            group.cancel_scope.cancel()
    finally:
        await pool.close()
        structlog.reset_defaults()


def settings_of(database: Database, directory: Path) -> Path:
    """Those of somebody whose log is in a test's database, with the master key of tests.machine."""
    secrets = {"url": database.owner_url, "key": base64.b64encode(bytes(32)).decode(), "other": "x" * 32}
    for name, text in secrets.items():
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(text)
    path = directory / "crossdock.toml"
    path.write_text(f"""
[tenant]
id = "{TENANT}"
[database]
url = {{ file = "{directory / "url"}" }}
[vault]
master_key = {{ file = "{directory / "key"}" }}
[shopify]
shop = "harbour-and-thread.myshopify.com"
access_token = {{ file = "{directory / "other"}" }}
webhook_secret = {{ file = "{directory / "other"}" }}
webhook_path = {{ file = "{directory / "other"}" }}
[[channel]]
id = "asos"
base_url = "https://asos.example.com"
api_key = {{ file = "{directory / "other"}" }}
shop_id = 1
""")
    return path
