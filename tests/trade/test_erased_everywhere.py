"""Every personal field of the sandbox bears a canary. Once all are erased none is found: not in the database, in any output, or in a backup
of before (P1, P2, P3).
"""

import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import msgspec
import pytest
from prometheus_client import generate_latest

from engine.chain import verify
from engine.errors import ErasedError
from engine.log import Log
from engine.metrics import Metrics
from engine.ports import PostgresDb, SystemClock
from engine.rebuild import compare, discard, rebuild
from engine.vault import Vault
from ops.erase import disclose, erase_named, show_receipts
from ops.logs import configure_logs
from ops.report import trace
from ops.service import PROJECTIONS
from schemas.envelope import Envelope
from schemas.events import Personal
from schemas.events.exceptions import RawPayload
from schemas.events.orders import DeliveryAddress
from tests.conftest import Database, Server
from tests.dumps import back_up, back_up_keys, dumped, restore
from tests.house import MASTER, PATIENCE, House, house
from tests.integration.test_webhooks import sign

pytestmark = pytest.mark.anyio

SEED = 7
CANARY = f"PII-{SEED}-"
ENVIRONMENT = {"CROSSDOCK_MASTER_KEY": base64.b64encode(MASTER).decode()}


async def opened(log: Log) -> list[tuple[Envelope, Personal | None]]:
    """Everything that was ever sealed, and what can be read of it."""
    sealed = [envelope async for envelope in log.sealed(await log.head())]
    return list(zip(sealed, await log.opened(sealed), strict=True))


def found_in(text: bytes | str) -> list[str]:
    """The surroundings of the first canaries."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    places = [place for place in range(len(text)) if text.startswith(CANARY, place)] if CANARY in text else []
    return [text[max(0, place - 60) : place + 40] for place in places[:5]]


@asynccontextmanager
async def restored(postgres: Server, name: str, *files: Path) -> AsyncIterator[str]:
    """A database made of these backups."""
    await postgres.execute(f"CREATE DATABASE {name}")
    try:
        for file in files:
            restore(file, postgres.url(name))
        yield postgres.engine_url(name)
    finally:
        await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def readable(built: House, url: str) -> str:
    """All that can be read of people in another database, with today's master key."""
    pool = await PostgresDb(url).pool()
    try:
        tenant = built.settings.tenant_id
        log = Log(pool, tenant, Vault(pool, tenant, MASTER), SystemClock(), Metrics())
        await verify(pool, tenant)
        return str([personal for _, personal in await opened(log)])
    finally:
        await pool.close()


async def post(built: House, topic: str, body: dict[str, Any]) -> None:
    """A webhook, signed as Shopify's."""
    raw, shop = msgspec.json.encode(body), built.sandbox.world.shop
    headers = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": shop.domain,
        "X-Shopify-Hmac-SHA256": sign(raw, built.sandbox.systems.secret),
    }
    async with aiohttp.ClientSession() as session, session.post(address_of(built), data=raw, headers=headers) as response:
        assert response.status == 200


def address_of(built: House) -> str:
    token = Path(built.settings.shopify.webhook_path.file).read_text(encoding="ascii")
    return f"{built.engines[0].webhooks_url}/webhooks/{token}"


async def test_nobody_is_found_anywhere_once_they_are_erased(
    database: Database, postgres: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, lines = tmp_path / "crossdock.toml", io.StringIO()
    async with house(database.engine_url, tmp_path, seed=SEED) as built:
        configure_logs(built.clock, built.engines[0].metrics, stream=lines, level=0)
        built.act("shopify", "privacyAddress", uri=address_of(built))
        await built.until_on_offer()
        by_order, by_email, by_shopify, stays = [built.buy() for _ in range(4)]
        await built.until_shipped(by_order, by_email, by_shopify, stays)
        await post(built, "orders/updated", {"id": {"of": "nobody"}, "email": f"{CANARY}99@example.com"})
        await post(built, "customers/redact", {"shop_domain": ["no text"], "customer": {"email": f"{CANARY}98@example.com"}})

        # People write about people wherever there is room for it.
        [one, two] = [built.ours_of(order) for order in (by_order, stays)]
        built.act("mirakl", "customer_message", order_id=by_order, body=f"I am {CANARY}1")
        built.act("shopify", "staffRefund", order=one.id, lines=[[one.lines[0].id, 1]], note=f"for {CANARY}1")
        built.act("shopify", "staffReturn", order=two.id, lines=[[two.lines[0].id, 1]], note=f"from {CANARY}4")
        await built.until(lambda: any(line["refunds"] for line in built.order(by_order)["lines"]), "the refund is there too")
        assert await built.count("shop_return_seen") == 1
        await built.until_answered()

        # Before: it is all there, sealed; and an old backup with the keys of then would give it back.
        known = await opened(built.log)
        assert {type(personal) for _, personal in known} == {DeliveryAddress, RawPayload}
        for order in (by_order, by_email, by_shopify, stays):
            [*_, address] = [each for about, each in known if about.subject == f"order-asos:{order}" and isinstance(each, DeliveryAddress)]
            assert all(CANARY in text for text in (address.last_name, address.street_1, address.email))
        email = {each.subject.rpartition(":")[2]: address.email for each, address in known if isinstance(address, DeliveryAddress)}
        back_up(database.admin_url, tmp_path / "log")
        back_up_keys(database.admin_url, tmp_path / "keys")
        async with restored(postgres, f"{database.name}_then", tmp_path / "log", tmp_path / "keys") as url:
            assert found_in(await readable(built, url)), "the search finds what is there"

        # Who wants to know is told.
        built.act("shopify", "dataRequest", order=built.ours_of(by_shopify).id)
        await built.until(lambda: built.sandbox.truth()["shopify"]["webhooks"]["under_way"] == 0, "it is delivered")
        [request] = await asked_for(built)
        common: Any = {"path": settings, "url": database.engine_url, "environment": ENVIRONMENT}
        file = tmp_path / "held.json"
        assert await disclose(request, **common, reason="the buyer asks", actor="cx", out=file) == 0
        assert file.stat().st_mode & 0o777 == 0o600
        held = json.loads(file.read_text("utf-8"))["held"]
        assert [each["subject"] for each in held] == [f"order-asos:{by_shopify}"] and found_in(file.read_text("utf-8"))
        file.unlink()

        # All but one are erased, by order, by e-mail, by Shopify; and then whoever is left, with the shop.
        for name in (by_order, email[by_email], f"{CANARY}99@example.com", f"{CANARY}98@example.com"):
            assert await erase_named(name, **common, reason="asked for", actor="cx", unfinished=False, as_json=True) == 0
        built.act("shopify", "redact", order=built.ours_of(by_shopify).id)
        await until_erased(built, f"order-asos:{by_shopify}")
        left = {envelope.subject for envelope, personal in await opened(built.log) if personal is not None}
        assert left == {f"order-asos:{stays}"}, "nobody else is touched"
        await post(built, "shop/redact", {"shop_id": 1, "shop_domain": built.sandbox.world.shop.domain})
        await until_erased(built, f"order-asos:{stays}")

        # The marketplace and Shopify tell of them again, and something new besides.
        account = built.sandbox.world.account
        head = await built.log.head()
        for order in (by_order, stays):
            built.act("mirakl", "customer_receives", order_id=order)
        await built.until(lambda: all(account.orders[order].state == "RECEIVED" for order in (by_order, stays)), "received")
        await built.clock.sleep(400.0)
        told = [envelope for envelope in await built.log.read(head) if envelope.stream.startswith("order-")]
        assert told, "the engine goes on"
        assert any(text.startswith("X90: the shop has removed us") for text in await built.open_exceptions())
        sealed = await opened(built.log)
        assert [personal for _, personal in sealed if personal is not None] == []
        assert not found_in(str([envelope for envelope, _ in sealed]))

        # Nothing of anybody is in what we show, or say, or keep; and the log, the rows and the sums are as they were.
        assert await trace(by_order, settings, database.engine_url, ENVIRONMENT, as_json=True) == 0
        assert await trace(by_email, settings, database.engine_url, ENVIRONMENT, as_json=False) == 0
        assert await show_receipts(settings, database.engine_url, ENVIRONMENT, as_json=True) == 0
        assert built.findings() == []
        for engine in built.engines:
            engine.stop()
        await replayed(built)
        with pytest.raises(ErasedError) as raised:
            await Vault(built.pool, built.settings.tenant_id, MASTER).open(sealed[0][0])
        said = capsys.readouterr()
        assert '"personal": "erased"' in said.out and "), erased" in said.out and "the buyer was erased" in said.out
        everything: dict[str, bytes | str] = {
            "dump": dumped(database.admin_url),
            "metrics": generate_latest(built.engines[0].metrics.registry),
            "logs": lines.getvalue(),
            "commands": said.out + said.err,
            "errors": repr(raised.value),
        }
        assert {name: found for name, text in everything.items() if (found := found_in(text))} == {}
        assert lines.getvalue().count("\n") > 0 and b"crossdock_erasure_oldest_seconds" in generate_latest(
            built.engines[0].metrics.registry
        )

        # A backup of before, with the keys of today.
        back_up_keys(database.admin_url, tmp_path / "keys today")
        async with restored(postgres, f"{database.name}_now", tmp_path / "log", tmp_path / "keys today") as url:
            assert not found_in(await readable(built, url))


async def asked_for(built: House) -> list[str]:
    rows = await built.pool.fetch("SELECT stream FROM crossdock.events WHERE type = 'privacy_asked' ORDER BY position")
    return [row["stream"] for row in rows]


async def until_erased(built: House, subject: str) -> None:
    with anyio.fail_after(PATIENCE):
        while not await built.log.erased([each for each in await built.log.read_stream(subject) if each.sealed is not None]):
            await anyio.sleep(0.05)


async def replayed(built: House) -> None:
    await verify(built.pool, built.settings.tenant_id)
    for projection in PROJECTIONS:
        rebuilt = await rebuild(built.pool, built.log, projection)
        found = await compare(built.pool, built.log, projection, rebuilt)
        assert found.live == found.rebuilt, projection.name
        await discard(built.pool, rebuilt)
