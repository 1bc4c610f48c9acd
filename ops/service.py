"""Builds everything once, wires it, and runs it in one task group; stops within 25 seconds of being asked, and correctly at any moment."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import Any

import anyio
import structlog
from aiohttp import web
from anyio.abc import TaskGroup

from adapters.mirakl import Blocked, Mirakl, MiraklSettings
from adapters.shopify import Shopify, ShopifySettings
from adapters.shopify.inbound.sweep import StockSweep
from engine.adapter import Adapter, Admission, Endpoint
from engine.alarm import Alarm
from engine.dispatcher import Dispatcher
from engine.errors import AdapterError, AuthError, RejectedError, StartupError, ThrottledError
from engine.lease import Lease
from engine.limits import Limits
from engine.log import Fence, Log
from engine.metrics import Metrics
from engine.migrate import check_schema, prove_privileges
from engine.perform import Standing
from engine.poller import PATIENCE, PROBE, Following, Poller
from engine.ports import DATABASE_AWAY, Clock, Db, Ids, Net, Rng
from engine.projection import Policy, Projection
from engine.reminders import Reminders
from engine.runner import Runner, ensure_tables
from engine.vault import Vault, blocklist_key
from ops.book import Book, apply_settings, rules_of
from ops.evidence import folder_of
from ops.evidence.guard import Guard, RestoredError
from ops.evidence.sealer import LEASE as EVIDENCE
from ops.evidence.sealer import Sealer
from ops.oversells import Oversells
from ops.privacy import EVERY as PRIVACY_SECONDS
from ops.privacy import Privacy
from ops.publisher import Publisher
from ops.settings import ChannelSection, Settings, ShopifySection, reveal
from ops.watch import watch
from ops.web.operations import operations_routes
from ops.web.webhooks import webhook_routes
from projections import (
    aftercare,
    aftercare_policy,
    coverage,
    exceptions,
    mappings,
    order_policy,
    orders,
    publications,
    stock,
    strays,
    tracking,
)
from projections.rules import Channels
from schemas.values import ChannelId, TenantId

PROJECTIONS: tuple[Projection[Any], ...] = (
    orders.orders,
    aftercare.aftercare,
    stock.inventory,
    publications.publications,
    mappings.mappings,
    tracking.tracking,
    strays.strays,
    coverage.coverage,
    exceptions.exceptions,
)


BY_RULES = (orders.orders, aftercare.aftercare)  # whose policies need to know how the marketplaces are configured


def policies(channels: Channels) -> Mapping[Projection[Any], tuple[Policy[Any], ...]]:
    """What follows from each projection's rows, by the rules of their channels."""
    return {
        orders.orders: (order_policy.policy(channels),),
        aftercare.aftercare: (aftercare_policy.policy(channels),),
        stock.inventory: (stock.decide,),
        publications.publications: (publications.settle, publications.watch),
        mappings.mappings: (mappings.decide,),
        tracking.tracking: (tracking.decide,),
        strays.strays: (strays.decide,),
        coverage.coverage: (coverage.decide,),
        exceptions.exceptions: (),
    }


LEASE_SECONDS = 15.0  # of the event loop: how long a dead engine's work waits for another
DRAIN_SECONDS = 20.0  # of the event loop: calls under way may end; those that do not are unknown, and settled after the restart
CLOSE_SECONDS = 3.0  # of the event loop, for the database's connections to end
EXTERNAL_PARTNER = 900.0  # seconds between two calls of OR11 with such a key; whoever polls that seldom has one
PULSE = 2.0  # seconds of the event loop between two looks at the database and at how late the loop is
REFUSED = 15.0  # seconds of the event loop for which we are not ready after the database refused to write; by then it is asked again
PAUSES = (0.2, 1.0, 2.0, 5.0)  # seconds of the event loop between two tries of a worker whose database or marketplace is away

logger = structlog.get_logger()


@dataclass(frozen=True)
class Ports:
    """The five ways out."""

    clock: Clock
    ids: Ids
    rng: Rng
    net: Net
    db: Db


class Unmetered:
    """No limiter: for `crossdock check`, which a person runs and which calls each endpoint once."""

    async def admit(self, endpoint: Endpoint) -> None:
        """At once."""

    def settled(self, endpoint: Endpoint) -> None:
        """Nobody counts."""

    def hold(self, endpoint: Endpoint, seconds: float) -> None:
        """Nobody asks twice."""


def mirakl_of(channel: ChannelSection, environment: Mapping[str, str], blocklist_key: bytes = b"") -> MiraklSettings:
    return MiraklSettings(
        channel=ChannelId(channel.id),
        base_url=channel.base_url,
        api_key=reveal(channel.api_key, f"channel {channel.id}: api_key", environment),
        shop_id=channel.shop_id,
        carriers=channel.carriers,
        reasons=channel.reasons,
        blocklist=[Blocked(name=buyer.name, mark=buyer.mark) for buyer in channel.blocklist],
        blocklist_key=blocklist_key,
        orders_every=channel.orders_every,
        orders_ceiling=EXTERNAL_PARTNER if channel.orders_every >= EXTERNAL_PARTNER else 60.0,
        pages_count=channel.pages_count,
        first_look_days=channel.first_look_days,
        settle_every=channel.settle_every,
        settle_within=channel.stock.import_minutes * 60,
        offers_every=channel.offers_every,
    )


def shopify_of(
    shop: ShopifySection, environment: Mapping[str, str], here: str = "", channels: Sequence[ChannelSection] = ()
) -> ShopifySettings:
    """`here` is where our own webhooks listen: a sandbox on this machine reaches that without being told an address."""
    secrets = [reveal(shop.webhook_secret, "shopify.webhook_secret", environment)]
    if shop.previous_webhook_secret is not None:
        secrets.append(reveal(shop.previous_webhook_secret, "shopify.previous_webhook_secret", environment))
    token = reveal(shop.webhook_path, "shopify.webhook_path", environment)
    if len(token.reveal()) < 32:  # 128 bits in hexadecimal
        raise StartupError("shopify.webhook_path: at least 32 characters that nobody can guess (openssl rand -hex 16)")
    return ShopifySettings(
        shop=shop.shop,
        access_token=reveal(shop.access_token, "shopify.access_token", environment),
        webhook_secrets=tuple(secrets),
        webhook_token=token,
        callback_url=shop.callback_url or (f"{here}/webhooks" if here and (shop.base_url or "").startswith("http://") else ""),
        base_url=shop.base_url or "",
        api_version=shop.api_version,
        sweep_every=shop.sweep_every,
        orders_per_minute=shop.orders_per_minute,
        relay_email=shop.relay_email,
        map_methods=shop.map_methods,
        locations={ChannelId(channel.id): channel.stock_rules.counts for channel in channels},
    )


@dataclass
class Wiring:
    """What adapters are built from."""

    tenant: TenantId
    ports: Ports
    metrics: Metrics
    admission: Callable[[str], Admission]  # for an outside system
    book: Book | None = None  # None: only what the settings say
    blocklist_key: bytes = b""  # engine.vault.blocklist_key, where orders are heard


def adapters_of(settings: Settings, environment: Mapping[str, str], wiring: Wiring, here: str = "") -> list[Adapter]:
    """One for each outside system. StartupError where a secret is missing."""
    ports, metrics = wiring.ports, wiring.metrics
    shared: dict[str, Any] = {"tenant": wiring.tenant, "net": ports.net, "clock": ports.clock, "metrics": metrics}
    shop = Shopify(
        shopify_of(settings.shopify, environment, here, settings.channel),
        rng=ports.rng,
        admission=wiring.admission(Shopify.target),
        maps=wiring.book,
        **shared,
    )
    if wiring.book is not None:
        shop.lines.waiting, shop.lines.spoken_for, shop.lines.recipes = wiring.book.waiting, wiring.book.spoken_for, wiring.book.recipe
        shop.counts.known = wiring.book
    channels = [
        Mirakl(
            mirakl_of(channel, environment, wiring.blocklist_key),
            admission=wiring.admission(f"mirakl:{channel.id}"),
            maps=wiring.book,
            **shared,
        )
        for channel in settings.channel
    ]
    if wiring.book is not None:
        for each in channels:
            each.offers.shop_known = wiring.book.shop_known
    return [Reminders(), shop, *channels]


@dataclass
class Service:
    """One engine of one tenant. `run` returns after `stop`, or raises what it cannot live with."""

    settings: Settings
    environment: Mapping[str, str]
    ports: Ports
    master_key: bytes
    metrics: Metrics = field(default_factory=Metrics)
    lease_seconds: float = LEASE_SECONDS
    privacy_seconds: float = PRIVACY_SECONDS  # of the event loop, between two looks at what people ask for
    started: anyio.Event = field(default_factory=anyio.Event)  # set once the web addresses are bound and work has begun
    webhooks_url: str = ""
    operations_url: str = ""

    def __post_init__(self) -> None:
        self._stop = anyio.Event()
        self._missing: dict[str, str] = {"start": "not finished"}
        self._dispatchers: list[Dispatcher] = []
        self._guard: Guard | None = None  # where checkpoints are kept
        self._refused: tuple[float, str] | None = None  # when (monotonic) and by which error a worker was last kept from writing

    def stop(self) -> None:
        """Take on nothing more, let calls under way end, give leases back."""
        self._missing["stop"] = "asked to stop"
        self._stop.set()
        for dispatcher in self._dispatchers:
            dispatcher.stop()

    async def run(self) -> None:
        while await self._is_to_begin_anew() and not self._stop.is_set():
            logger.warning("begins anew", tenant=self.settings.tenant_id)

    async def _is_to_begin_anew(self) -> bool:
        """Work until asked to stop. True: an earlier state of the log was put in its place, and all that we remember is of another one."""
        restored = False
        try:
            await self._run()
        except* RestoredError:
            restored = True
            self._missing, self._dispatchers = {"start": "not finished"}, []
        return restored

    async def _run(self) -> None:
        ports, tenant = self.ports, self.settings.tenant_id
        async with AsyncExitStack() as stack:
            pool = await ports.db.pool()
            stack.push_async_callback(_close, pool)
            async with pool.acquire() as conn:
                schema = await check_schema(conn)
                await self._prove(conn)
                await ensure_tables(conn, PROJECTIONS)
            self.metrics.build_info.labels(version("crossdock"), schema).set(1)
            vault = Vault(pool, tenant, self.master_key)
            log = Log(pool, tenant, vault, ports.clock, self.metrics)
            limits = {target: Limits(pool, tenant, target, ports.clock, self.metrics) for target in self._targets()}
            shop = shopify_of(self.settings.shopify, self.environment)
            hooks = webhook_routes(log, shop, self.metrics, ports.clock, tenant)
            operations = operations_routes(self.metrics, lambda: self._in_the_way(log))
            self.webhooks_url = await stack.enter_async_context(_listening(hooks, self.settings.web.webhooks))
            self.operations_url = await stack.enter_async_context(_listening(operations, self.settings.web.operations))
            evidence = await self._evidence(pool, log)
            book = Book(pool, log, self.settings)
            await apply_settings(pool, log, self.settings, ports.clock)
            wiring = Wiring(tenant, ports, self.metrics, limits.__getitem__, book, blocklist_key(self.master_key))
            adapters = adapters_of(self.settings, self.environment, wiring, self.webhooks_url)
            for adapter in adapters:
                stack.push_async_callback(adapter.aclose)
            async with anyio.create_task_group() as group:
                group.start_soon(self._pulse, pool)
                group.start_soon(self._keep, "platforms", partial(book.follow, ports.clock))
                for name, work in evidence:
                    group.start_soon(self._keep, name, work)
                group.start_soon(self._keep, "exceptions", partial(watch, pool, log, self.metrics, ports.clock))
                group.start_soon(
                    self._keep, "privacy", Privacy(pool, log, vault, ports.clock, self.metrics, every=self.privacy_seconds).run
                )
                for projection, following in policies(book).items():
                    runner = Runner(pool, log, projection, following, clock=ports.clock, metrics=self.metrics)
                    work = partial(book.known, runner.run) if projection in BY_RULES else runner.run
                    group.start_soon(self._keep, f"projection {projection.name}", work)
                self._missing.pop("start")
                self.started.set()
                logger.info("started", tenant=tenant, webhooks=self.webhooks_url, operations=self.operations_url, schema=schema)
                await self._lead_all(pool, log, vault, limits, adapters)
                logger.info("drained", tenant=tenant)
                group.cancel_scope.cancel()

    def _in_the_way(self, log: Log) -> Mapping[str, str]:
        """Of being ready. A disk that is full lets us read: only who writes learns of it."""
        clock, missing = self.ports.clock, self._missing | (self._guard.missing if self._guard else {})
        for refused in (self._refused, log.refused):
            if refused is not None and clock.loop_seconds(clock.monotonic() - refused[0]) < REFUSED:
                missing.setdefault("database", refused[1])
        return missing

    def _targets(self) -> list[str]:
        return [Reminders.target, Shopify.target, *(f"mirakl:{channel.id}" for channel in self.settings.channel)]

    async def _prove(self, conn: Any) -> None:
        try:
            await prove_privileges(conn)
        except StartupError:
            self.metrics.db_privilege_violation.set(1)
            raise
        self.metrics.db_privilege_violation.set(0)

    async def _evidence(self, pool: Any, log: Log) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """What keeps checkpoints and looks after them; on return, whether anything may be sent is known."""
        ports, folder = self.ports, folder_of(self.settings, self.environment, self.ports.rng)
        if folder is None:
            logger.warning("no checkpoints are kept", mend="[evidence] directory and signing_key")
            return []
        self._guard = guard = Guard(pool, log, folder, ports.clock, self.metrics)
        await guard.begin()
        sealer = Sealer(pool, log, folder, guard, self.settings.evidence, PROJECTIONS, ports.clock, self.metrics)
        holder, ttl = ports.ids.new(), self.lease_seconds
        lease = Lease(pool, log.tenant, EVIDENCE, holder=holder, clock=ports.clock, metrics=self.metrics, ttl=ttl)
        return [("guard", guard.run), (EVIDENCE, partial(lease.lead, sealer.run))]

    def _may_send(self) -> bool:
        return self._guard is None or self._guard.allows

    # ------------------------------------------------------------ each outside system, under its lease

    async def _lead_all(self, pool: Any, log: Log, vault: Vault, limits: Mapping[str, Limits], adapters: list[Adapter]) -> None:
        """Returns when we were asked to stop and every call under way has ended, or has been given up on."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._give_up, group)
            async with anyio.create_task_group() as leading:
                for adapter in adapters:
                    leading.start_soon(self._keep, adapter.target, self._leader(pool, log, vault, limits[adapter.target], adapter))
            group.cancel_scope.cancel()

    async def _give_up(self, group: TaskGroup) -> None:
        await self._stop.wait()
        with anyio.move_on_after(DRAIN_SECONDS):
            await anyio.Event().wait()
        group.cancel_scope.cancel()

    def _leader(self, pool: Any, log: Log, vault: Vault, limits: Limits, adapter: Adapter) -> Callable[[], Awaitable[None]]:
        ports, metrics = self.ports, self.metrics
        standing = Standing(ports.clock, ports.rng)
        dispatcher = Dispatcher(
            pool=pool,
            log=log,
            vault=vault,
            target=adapter.target,
            performs=adapter.performs,
            client=adapter.client,
            limits=limits,
            standing=standing,
            clock=ports.clock,
            metrics=metrics,
            may_send=(lambda: True) if adapter.target == Reminders.target else self._may_send,
        )
        self._dispatchers.append(dispatcher)
        shared: dict[str, Any] = {
            "pool": pool,
            "log": log,
            "standing": standing,
            "clock": ports.clock,
            "rng": ports.rng,
            "metrics": metrics,
        }
        pollers = [Poller(source=source, **shared) for source in adapter.sources]
        readers = [Following(reader=reader, **shared) for reader in adapter.readers]
        publishers = [
            (
                Publisher(
                    pool,
                    log,
                    ChannelId(channel.id),
                    channel.stock_rules,
                    rules_of(self.settings).digest,
                    ports.clock,
                    metrics,
                    poller.nudge,
                    StockSweep.name,
                    poller.source.name,
                ),
                channel.publish_every,
            )
            for channel in self.settings.channel
            for poller in pollers
            if adapter.target == f"mirakl:{channel.id}" and poller.source.name == f"{adapter.target}:orders"
        ]

        book = Book(pool, log, self.settings)
        oversells = [Oversells(pool, log, book, each.channel, each.rules, metrics) for each, _ in publishers]
        preparing = Alarm(log, ports.clock, adapter.target, f"{adapter.target}:prepare")

        async def work(fence: Fence) -> None:
            if self._guard is not None:
                await self._guard.look()  # the database may have been another one until now
            await self._prepared(adapter, preparing, fence)
            if self._stop.is_set():
                return
            for publisher, _ in publishers:
                await publisher.begin()
            async with anyio.create_task_group() as group:
                for poller in pollers:
                    group.start_soon(poller.run, fence)
                for reader in readers:
                    group.start_soon(reader.run, fence)
                for publisher, every in publishers:
                    group.start_soon(publisher.run, fence, every)
                for counting in oversells:
                    group.start_soon(counting.run)
                await dispatcher.run(fence)
                group.cancel_scope.cancel()

        async def lead() -> None:
            lease = Lease(
                pool, log.tenant, adapter.target, holder=ports.ids.new(), clock=ports.clock, metrics=metrics, ttl=self.lease_seconds
            )
            async with anyio.create_task_group() as group:
                group.start_soon(self._unless_waiting, group.cancel_scope, adapter.target)
                await lease.lead(work)
                group.cancel_scope.cancel()

        return lead

    async def _unless_waiting(self, scope: anyio.CancelScope, target: str) -> None:
        """Asked to stop while another engine leads: there is nothing to drain."""
        await self._stop.wait()
        if self.metrics.registry.get_sample_value("crossdock_leader", {"tenant": self.settings.tenant.id, "target": target}) != 1:
            scope.cancel()

    async def _prepared(self, adapter: Adapter, alarm: Alarm, fence: Fence) -> None:
        """Put in place what must be there before the first order. A marketplace that is away, or refuses us, is tried again, unless we are
        asked to stop. Raises LeaseLostError.
        """
        alarm.forget()
        for attempt in count():
            try:
                await adapter.prepare()
            except AdapterError as error:
                logger.warning("not prepared", target=adapter.target, detail=error.detail)
                if code := _trouble(error, attempt):
                    await alarm.show(fence, {code: f"{adapter.target} is not prepared: {error.detail}"})
                await self._pause(self._seconds_after(error, attempt))
                if self._stop.is_set():
                    return
            else:
                await alarm.show(fence, {})
                return

    def _seconds_after(self, error: AdapterError, attempt: int) -> float:
        """Of the event loop. Who refuses us is asked as seldom as by a poll."""
        match error:
            case ThrottledError(retry_after=seconds):
                return self.ports.clock.loop_seconds(seconds)
            case AuthError() | RejectedError():
                return self.ports.clock.loop_seconds(min(PROBE[0] * 2.0 ** min(attempt, 32), PROBE[1]))
        return _pause_after(attempt)

    # ------------------------------------------------------------ workers

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a worker; while the database is away, begin it again, unless asked to stop. Anything else is a bug, and ends the process."""
        alive = self.metrics.tasks_alive.labels(name)
        for attempt in count():
            alive.set(1)
            try:
                await work()
            except* (*DATABASE_AWAY, TimeoutError) as errors:
                self.metrics.db_errors.labels(_sqlstate_class(errors)).inc()
                logger.warning("worker stopped", worker=name, error=type(_first(errors)).__name__)
                if _sqlstate_class(errors) in ("25", "53"):  # read-only, or short of something: disk, memory
                    self._refused = (self.ports.clock.monotonic(), type(_first(errors)).__name__)
            else:
                return
            finally:
                alive.set(0)
            await self._pause(_pause_after(attempt))
            if self._stop.is_set():
                return
            self.metrics.task_restarts.labels(name).inc()

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._stop.wait()

    async def _pulse(self, pool: Any) -> None:
        """Is the database there, and is the loop on time?"""
        clock = self.ports.clock
        while True:
            before = clock.monotonic()
            with anyio.move_on_after(PULSE):
                await anyio.Event().wait()
            late = clock.loop_seconds(clock.monotonic() - before) - PULSE
            self.metrics.event_loop_lag_seconds.observe(max(0.0, late))
            self.metrics.db_pool_in_use.set(pool.get_size() - pool.get_idle_size())
            asked = clock.monotonic()
            try:
                with anyio.fail_after(PULSE * 2):
                    async with pool.acquire() as conn:
                        self.metrics.db_pool_wait_seconds.observe(clock.loop_seconds(clock.monotonic() - asked))
                        await conn.fetchval("SELECT 1")
                self._missing.pop("database", None)
            except (*DATABASE_AWAY, TimeoutError) as error:
                self._missing["database"] = type(error).__name__
                self.metrics.db_errors.labels(_sqlstate_class(error)).inc()


def _trouble(error: AdapterError, attempt: int) -> str:
    """The code of the exception that people are told of, if they are to be told."""
    match error:
        case AuthError():
            return "X76"
        case RejectedError():
            return "X79"
        case ThrottledError():
            return ""
    return "X78" if attempt + 1 >= PATIENCE else ""


def _pause_after(attempt: int) -> float:
    return PAUSES[min(attempt, len(PAUSES) - 1)]


async def _close(pool: Any) -> None:
    """Let go of the database, also when everything is being cancelled; connections that do not end are cut."""
    with anyio.move_on_after(CLOSE_SECONDS, shield=True) as scope:
        await pool.close()
    if scope.cancelled_caught:
        pool.terminate()


def _first(errors: BaseException) -> BaseException:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


def _sqlstate_class(error: BaseException) -> str:
    return (getattr(_first(error), "sqlstate", None) or "none")[:2]


@asynccontextmanager
async def _listening(app: web.Application, address: str) -> AsyncIterator[str]:
    """Serve until the end of the block; gives the address that was bound."""
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, host.strip("[]") or "127.0.0.1", int(port))
            await site.start()
        except OSError as error:
            raise StartupError(f"cannot listen on {address}: {error.strerror}") from None
        bound = runner.addresses[0]
        yield f"http://{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()
