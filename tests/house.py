"""The whole house for a test: both systems served over HTTP, a real Postgres, and as many engines as are wanted, in accelerated time."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import structlog
from anyio.abc import TaskGroup
from msgspec.structs import replace

from engine.log import Log
from engine.metrics import Metrics
from engine.ports import AcceleratedClock, PostgresDb, RandomIds, SeededRng, SystemClock, TcpNet
from engine.vault import Vault
from ops.demo.settings import configure
from ops.sandbox.face import Sandbox, serve_sandbox
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.referee.case import Case, Conventions
from ops.sandbox.world import World
from ops.service import Ports, Service
from ops.settings import ChannelSection, Settings, read_settings

MASTER = bytes(range(32))
SPEED = 120.0  # two minutes a second: a poll every half second
PATIENCE = 60.0  # real seconds for whatever a test waits for


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
        service = Service(self.settings, {}, ports, MASTER, Metrics(), lease_seconds=lease_seconds)
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

    def order(self, order_id: str) -> dict[str, Any]:
        """As the marketplace has it."""
        [found] = [order for order in self.sandbox.truth()["mirakl"]["orders"] if order["order_id"] == order_id]
        return dict(found)

    def copies(self) -> Counter[str]:
        """Live Shopify orders by their marketplace order: each should be there once."""
        copies = Case(self.sandbox.truth(), Conventions()).copies
        return Counter(name for name, found in copies.items() for copy in found if not copy["cancelled_at"])

    async def until(self, holds: Callable[[], Any], what: str) -> None:
        """Wait, in real time, for the world to come to be so."""
        with anyio.move_on_after(PATIENCE) as scope:
            while not holds():
                await anyio.sleep(0.02)
        assert not scope.cancelled_caught, f"not within {PATIENCE:.0f} s: {what}"

    async def until_answered(self) -> None:
        """Until the outbox is empty: every command has an outcome."""
        with anyio.move_on_after(PATIENCE) as scope:
            while await self.pool.fetchval("SELECT count(*) FROM crossdock.outbox WHERE tenant = $1 AND target <> 'clock'", self.tenant):
                await anyio.sleep(0.02)
        assert not scope.cancelled_caught, f"commands not answered for within {PATIENCE:.0f} s"

    async def until_on_offer(self) -> None:
        """Until the first file of quantities was applied, so that there is something to buy."""
        await self.until(lambda: any(offer["quantity"] for offer in self.sandbox.truth()["mirakl"]["offers"].values()), "offers are open")

    async def until_shipped(self, *orders: str) -> None:
        await self.until(lambda: all(self.order(order)["state"] == "SHIPPED" for order in orders), f"{', '.join(orders)} shipped")

    async def count(self, tag: str) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM crossdock.events WHERE tenant = $1 AND type = $2", self.tenant, tag))

    async def open_exceptions(self) -> list[str]:
        rows = await self.pool.fetch(
            "SELECT document->>'code' AS code, document->>'summary' AS summary FROM projections.exceptions"
            " WHERE tenant = $1 AND document->>'open' = 'true' ORDER BY key",
            self.tenant,
        )
        return [f"{row['code']}: {row['summary']}" for row in rows]


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
) -> AsyncIterator[House]:
    """`change`: what is otherwise in the channel's settings than in the demo's."""
    now = SystemClock().now()
    world = World(plan or Plan(skus=6, warehouse=Warehouse(pick_seconds=60.0)), seed, now)
    clock = AcceleratedClock(now, speed)
    structlog.configure(processors=[lambda *_: ""], logger_factory=structlog.ReturnLoggerFactory())
    pool = await asyncpg.create_pool(engine_url, min_size=1, max_size=3)
    try:
        async with serve_sandbox(world, clock, TcpNet()) as sandbox, anyio.create_task_group() as group:
            settings = read_settings(configure(directory, sandbox))
            settings = replace(settings, channel=[change(section) for section in settings.channel])
            built = House(sandbox, settings, engine_url, clock, pool, group)
            for _ in range(engines):
                await built.engine()
            yield built
            group.cancel_scope.cancel()
    finally:
        await pool.close()
        structlog.reset_defaults()
