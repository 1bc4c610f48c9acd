"""The whole house as processes: `crossdock serve` as often as is wanted, `crossdock sandbox`, a Postgres, and the wire and the front door
between them, all to be killed. What was promised is kept here, outside of all of them, and held against what is there in the end.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec
from aiohttp import web

from adapters.shopify.hints import Ignored, marker
from adapters.shopify.privacy import heard
from ops.demo.settings import BUFFER, channel_maps
from ops.postgres import DATABASE, EmbeddedPostgres
from ops.sandbox.face import API_KEY, TOKEN, WEBHOOK_SECRET
from ops.sandbox.referee.case import SHIPPED, Case, Conventions
from ops.sandbox.referee.rules import judge
from schemas.values import TenantId
from tests.processes.beings import Engine, Nursery
from tests.processes.wire import Wire

SPEED = 60.0  # a minute a second: a poll every second
LEASE_SECONDS = 1.0  # real: how long a dead engine's work waits for another
PATIENCE = 180.0  # real seconds for whatever is waited for: as long as a busy machine might take
TENANT, SHOP, PIECE = TenantId("killed"), "harbour-and-thread.myshopify.com", "0123456789abcdef" * 2
PLAN = """
skus = 30
least_stock = 60
most_stock = 120
offers_open = "at_stock"
[warehouse]
pick_seconds = 120.0
[mirakl]
debit_delay = 5.0
payment_delay = 5.0
ceiling_slack = 30.0
[shopify]
duplicate_metafield = "create_without"
index_lag = 30.0
lookup_lag = 10.0
"""  # Shopify takes a twin for what it is not, and finds an order late: nobody but the engine keeps it from being there twice.
# A call may be half a real second on its way, on a busy machine.


@dataclass
class Rig:
    directory: Path
    postgres: EmbeddedPostgres
    nursery: Nursery
    wire: Wire
    http: aiohttp.ClientSession
    sandbox: str = ""  # its address
    door: str = ""  # where Shopify posts its webhooks to: whichever engine is up takes them in
    engines: list[Engine] = field(default_factory=list)
    acknowledged: list[tuple[str, bytes]] = field(default_factory=list)  # webhooks that were answered with 2xx: topic and body
    refused: int = 0  # webhooks that were not
    pace: dict[str, Any] = field(default_factory=dict)
    staleness: float = 60 * SPEED  # simulated seconds for which a quantity may stand: a real minute, since everybody is killed
    figures: dict[str, Any] = field(default_factory=dict)
    _count: int = 0

    @property
    def url(self) -> str:
        """Of the database, over the wire, as its owner."""
        return f"postgresql://postgres@127.0.0.1:{self.wire.port}/{DATABASE}?sslmode=disable"

    @property
    def of(self) -> list[str]:
        return ["--config", str(self.directory / "crossdock.toml"), "--database", self.url]

    # ------------------------------------------------------------ processes

    def engine(self) -> Engine:
        """Start one more; it is up some tenths of a second later."""
        self._count += 1
        said = self.directory / f"engine-{self._count}.log"
        engine = Engine(self.nursery.begin(said, "serve", *self.of, pace=self.pace), time.monotonic())
        self.engines.append(engine)
        return engine

    async def started(self) -> Engine:
        engine = self.engine()
        await self.until(lambda: engine.up, f"{engine.being.said.name} is up")
        return engine

    def kill(self, engine: Engine) -> None:
        engine.being.kill()
        self.engines.remove(engine)

    @asynccontextmanager
    async def manned(self, seats: int) -> AsyncIterator[None]:
        """So many engines, whatever becomes of them: what has ended is started again, as whoever runs them in earnest does."""

        async def keep() -> None:
            while True:
                for engine in list(self.engines):
                    if engine.being.code is not None:
                        self.engines.remove(engine)
                while len(self.engines) < seats:
                    self.engine()
                await asyncio.sleep(0.1)

        keeping = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def crossdock(self, *args: str, expect: int | None = 0) -> Any:
        """What a command that answers in JSON has to say."""
        self._count += 1
        being = self.nursery.begin(self.directory / f"said-{self._count}", *args, *self.of, "--json")
        code = await being.ended()
        text = being.said.read_text()
        assert expect in (code, None), f"{args}: {code}\n{text[-2000:]}"
        return json.loads(text[text.index("{") :])

    # ------------------------------------------------------------ the world

    async def post(self, path: str, **body: Any) -> Any:
        async with self.http.post(f"{self.sandbox}{path}", json=body) as answer:
            return await answer.json()

    async def buy(self, **what: Any) -> str:
        return str((await self.post("/sandbox/buy", **what))["order"])

    async def state(self) -> dict[str, Any]:
        async with self.http.get(f"{self.sandbox}/sandbox/state") as answer:
            told: dict[str, Any] = msgspec.json.decode(await answer.read())
            return told

    async def gauge(self, engine: Engine, name: str, **labels: str) -> float:
        """The sum of a series over all labels but these; 0 where there is none."""
        async with self.http.get(f"{engine.operations}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [line for line in lines if line.startswith((f"{name}{{", f"{name} ")) and all(each in line for each in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    async def leaders(self, target: str) -> list[Engine]:
        """Those that say they lead."""
        found = []
        for engine in [each for each in self.engines if each.up]:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):  # it is gone
                if await self.gauge(engine, "crossdock_leader", target=target) == 1:
                    found.append(engine)
        return found

    async def until(self, holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Wait, in real time; `holds` may be a coroutine function."""
        deadline = time.monotonic() + patience
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            assert time.monotonic() < deadline, f"not within {patience:.0f} s: {what}"
            await asyncio.sleep(0.05)

    # ------------------------------------------------------------ the end state

    async def settled(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until everybody has done what was to be done, nothing waits in the outbox, and both sides agree. The truth, then."""
        found: list[str] = []
        deadline = time.monotonic() + patience
        while True:
            truth = await self.state()
            judged = judge(truth, Conventions(settled=True, buffer=BUFFER, staleness=self.staleness))
            found = [f"{each.rule} {each.subject}: {each.says}" for each in judged]
            found += [f"{order['order_id']} is {order['state']}" for order in truth["mirakl"]["orders"] if order["state"] not in SHIPPED]
            if truth["actors"]["turns_ahead"] or truth["shopify"]["webhooks"]["under_way"]:
                found.append("people or webhooks under way")
            if not found:
                async with self.asking() as conn:
                    waiting = await conn.fetchval("SELECT count(*) FROM crossdock.outbox WHERE target <> 'clock'")
                    found += [f"{waiting} commands wait"] if waiting else []
                    found += [
                        f"{row['code']}: {row['summary']}"
                        for row in await conn.fetch(
                            "SELECT document->>'code' AS code, document->>'summary' AS summary FROM projections.exceptions"
                            " WHERE document->>'open' = 'true' ORDER BY key"
                        )
                    ]
            if not found:
                return truth
            assert time.monotonic() < deadline, f"not within {patience:.0f} s: {found[:20]}\n{await self.standing()}"
            await asyncio.sleep(0.2)

    async def standing(self) -> str:
        """How things stand in the database, for whoever wonders why nothing goes on."""
        asked = (
            "SELECT tag, subject, state, attempt, failures, due_at, last_error FROM crossdock.outbox WHERE target <> 'clock' ORDER BY turn",
            "SELECT name, epoch, holder, beat FROM crossdock.leases ORDER BY name",
            "SELECT name, cursor, committed_at FROM crossdock.cursors ORDER BY name",
            "SELECT name, position FROM crossdock.checkpoints ORDER BY name",
            "SELECT endpoint, last_at FROM crossdock.calls ORDER BY last_at",
            "SELECT position, type, stream, recorded_at FROM crossdock.events ORDER BY position DESC LIMIT 20",
        )
        async with self.asking() as conn:
            rows = [str(dict(row))[:240] for statement in asked for row in await conn.fetch(statement)]
        logged = [f"{engine.being.said.name}: {line}"[:240] for engine in self.engines for line in engine.being.lines[-8:]]
        return "\n".join([f"now: {(await self.state())['now']}", *rows, *logged])

    async def prove(self, patience: float = PATIENCE) -> dict[str, Any]:
        """What was acknowledged is in the log, each order is there once and has left once, the chain and every fold are right."""
        truth = await self.settled(patience)
        copies = Case(truth, Conventions(settled=True)).copies
        assert {name: len(found) for name, found in copies.items()} == {each["order_id"]: 1 for each in truth["mirakl"]["orders"]}
        assert await self.lost() == [], "webhooks were answered with 200 and are not in the log"
        verified = await self.crossdock("verify")
        assert verified["verified"]
        replayed = await self.crossdock("replay", "--verify")
        assert replayed["equal"]
        self.figures |= {
            "orders": len(truth["mirakl"]["orders"]),
            "webhooks acknowledged": len(self.acknowledged),
            "webhooks put off": self.refused,
            "events": verified["events"],
            "duplicates": 0,
            "lost": 0,
        }
        return truth

    async def lost(self) -> list[str]:
        """Topics of webhooks that were acknowledged and of which the log knows nothing."""
        ids = {}
        for topic, body in self.acknowledged:
            told = heard(topic, body, tenant=TENANT, shop=SHOP, received_at=datetime.now(UTC), mark=marker(WEBHOOK_SECRET))
            if not isinstance(told, Ignored):
                ids[told.fact.event_id] = topic
        async with self.asking() as conn:
            rows = await conn.fetch("SELECT event_id FROM crossdock.events WHERE event_id = any($1::uuid[])", list(ids))
        return sorted(ids[each] for each in ids.keys() - {row["event_id"] for row in rows})

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Any]:
        """A connection past the wire; waited for, while the server recovers."""
        found: list[Any] = []

        async def answers() -> bool:
            with suppress(asyncpg.PostgresError, OSError):
                found.append(await asyncpg.connect(self.postgres.url()))
            return bool(found)

        await self.until(answers, "the server takes connections")
        [conn] = found
        try:
            yield conn
        finally:
            await conn.close()

    # ------------------------------------------------------------ the front door

    async def take(self, request: web.Request) -> web.Response:
        """A webhook: handed to an engine that is up, and remembered if that says it has it."""
        body, topic = await request.read(), request.headers.get("X-Shopify-Topic", "")
        for engine in reversed(self.engines):
            if not engine.up:
                continue
            headers = {name: value for name, value in request.headers.items() if name.startswith("X-Shopify-")}
            try:
                async with self.http.post(f"{engine.webhooks}{request.path}", data=body, headers=headers) as answer:
                    await answer.read()
            except (aiohttp.ClientError, OSError, TimeoutError):
                break
            if 200 <= answer.status < 300:
                self.acknowledged.append((topic, body))
            else:
                self.refused += 1
            return web.Response(status=answer.status)
        self.refused += 1
        return web.Response(status=502)


def write_settings(directory: Path, sandbox: str, door: str) -> None:
    secrets = {
        "token": TOKEN,
        "hook": WEBHOOK_SECRET,
        "piece": PIECE,
        "key": API_KEY,
        "master": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    }
    for name, text in secrets.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o600)
    (directory / "crossdock.toml").write_text(f"""
[tenant]
id = "{TENANT}"
[vault]
master_key = {{ file = "{directory / "master"}" }}
[shopify]
shop = "{SHOP}"
base_url = "{sandbox}/shopify"
callback_url = "{door}/webhooks"
access_token = {{ file = "{directory / "token"}" }}
webhook_secret = {{ file = "{directory / "hook"}" }}
webhook_path = {{ file = "{directory / "piece"}" }}
[[channel]]
id = "asos"
base_url = "{sandbox}/mirakl"
api_key = {{ file = "{directory / "key"}" }}
shop_id = 2024
buffer = {BUFFER}
{channel_maps()}[web]
webhooks = "127.0.0.1:0"
operations = "127.0.0.1:0"
""")


@asynccontextmanager
async def rig(directory: Path, nursery: Nursery, postgres: EmbeddedPostgres, *, plan: str = PLAN, seed: int = 1) -> AsyncIterator[Rig]:
    """A world, a server (running, and migrated), and no engine yet."""
    wire = Wire(postgres.socket)
    await wire.open()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=6.0)) as http:
        built = Rig(directory, postgres, nursery, wire, http)
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_post("/webhooks/{token}", built.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        built.door = f"http://127.0.0.1:{runner.addresses[0][1]}"
        (directory / "plan.toml").write_text(plan)
        sandbox = nursery.begin(
            directory / "sandbox.log",
            *("sandbox", "--port", "0", "--scenario", str(directory / "plan.toml"), "--seed", str(seed), "--speed", str(SPEED)),
        )
        try:

            def told() -> bool:
                text = sandbox.said.read_text() if sandbox.said.exists() else ""
                built.sandbox = next(
                    (line.split()[1].removesuffix("/sandbox/state") for line in text.splitlines() if line[:5] == "Truth"), ""
                )
                return bool(built.sandbox)

            await built.until(told, "the sandbox is up")
            write_settings(directory, built.sandbox, built.door)
            asked = time.monotonic()
            start = (await built.state())["now"]
            since = (asked + time.monotonic()) / 2
            built.pace = {"start": start, "since": since, "speed": SPEED, "lease_seconds": LEASE_SECONDS}
            yield built
        finally:
            for engine in built.engines:
                engine.being.kill()
            sandbox.kill()
            await runner.cleanup()
            await wire.close()
