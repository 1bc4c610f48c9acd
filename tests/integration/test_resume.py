"""What a person's word does to commands that wait in a log that was restored: nothing of it may be done twice, and nothing forgotten."""

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.shopify.inbound.sweep import Progress
from engine.codec import to_json
from engine.rebuild import rebuild, swap
from ops.evidence.guard import is_resumed, rolled_back
from ops.evidence.reread import read_anew
from ops.evidence.resume import say_resumed, unread, waiting
from ops.service import PROJECTIONS
from ops.settings import ChannelSection, SecretRef, Settings, ShopifySection, TenantSettings
from projections.kinds import opened
from schemas.commands import AcceptOrder, Command, LineRefund, PublishStock, RecordShopRefund, RefundLines, Remind
from schemas.events import Event, tag_of
from schemas.events.aftercare import RefundedUnits, RefundSeen, ShopRefundSeen
from schemas.events.commands import CommandIssued, CommandRefused
from schemas.events.people import LogResumed
from schemas.streams import LOG, offers_stream, order_stream
from schemas.values import ChannelId, LineId, Money, OrderId, ShopId, Sku
from tests.conftest import Database
from tests.examples import CHANNEL, NOON, created, line, placed, shop_seen, state
from tests.integration.test_evidence import notary_of
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

SECRET = SecretRef(env="NONE")
SETTINGS = Settings(
    tenant=TenantSettings(id=TENANT),
    shopify=ShopifySection(shop="acme.myshopify.com", access_token=SECRET, webhook_secret=SECRET, webhook_path=SECRET),
    channel=[ChannelSection(id=CHANNEL, base_url="https://asos.mirakl.net", api_key=SECRET, shop_id=1)],
)
ZERO, PRICE = Money(0, "GBP"), Money(2450, "GBP")
OLD, OURS, FOREIGN, NEW = "a1 our refund", "b2 our record", "c3 foreign", "d4 not known"


def of(order: str) -> dict[str, Any]:
    return {"channel": CHANNEL, "order_id": OrderId(order)}


def sold(order: str, *events: Event) -> list[Event]:
    """An order of two units, put into Shopify and dispatched."""
    lines = (replace(line(quantity=2), line_id=LineId(f"{order}-1")),)
    return [replace(event, order_id=OrderId(order)) for event in (placed(*lines), created(), state("SHIPPED"), *events)]


def back(order: str, refund: str) -> RefundSeen:
    return RefundSeen(
        **of(order), line_id=LineId(f"{order}-1"), sku=Sku("TEE-RED-M"), refund=refund, amount=PRICE, shipping_amount=ZERO, quantity=1
    )


def shop_back(order: str) -> ShopRefundSeen:
    unit = RefundedUnits(line_id=LineId(f"{order}-1"), quantity=1, amount=PRICE, tax=ZERO)
    money: dict[str, Any] = {"shipping": ZERO, "shipping_tax": ZERO, "other": ZERO}
    return ShopRefundSeen(**of(order), refund=ShopId(f"gid://shopify/Refund/{order[1]}"), lines=(unit,), created_at=NOON, **money)


def give_back(order: str, *known: str) -> RefundLines:
    lines = (LineRefund(line_id=LineId(f"{order}-1"), amount=PRICE, shipping_amount=ZERO, quantity=1),)
    return RefundLines(
        **of(order), refund=f"gid://shopify/Refund/{order[1]}", reason="refund", taxes_included=True, lines=lines, known=known
    )


def record(order: str, mirrors: str) -> RecordShopRefund:
    lines = {LineId(f"{order}-1"): 1}
    return RecordShopRefund(
        **of(order),
        shop_order=ShopId("gid://shopify/Order/1"),
        mirrors=mirrors,
        lines=lines,
        restock="NO_RESTOCK",
        amount=PRICE,
        shipping=ZERO,
    )


async def hear(engine: Machine, order: str, *events: Event) -> None:
    await engine.append(order_stream(ChannelId(CHANNEL), OrderId(order)), *events)


async def ask(engine: Machine, *commands: Command) -> None:
    [cause] = await engine.append("cause", state("SHIPPING"))
    await engine.issue(*commands, cause=cause)


async def outbox(engine: Machine) -> dict[str, Any]:
    rows = await engine.pool.fetch("SELECT tag, subject, body, unknown_since FROM crossdock.outbox ORDER BY tag")
    return {f"{row['tag']} {row['subject'].partition(':')[2][:2]}".strip(): row for row in rows}


async def fold(engine: Machine) -> None:
    """As far as an engine would have come by now."""
    for projection in PROJECTIONS:
        await swap(engine.pool, engine.log, projection, await rebuild(engine.pool, engine.log, projection, upto=await engine.log.head()))


async def test_each_command_that_waits_is_settled_by_what_was_heard_since(database: Database, tmp_path: Any) -> None:
    async with machine(database, projections=PROJECTIONS) as engine:
        # Signed by an engine that is gone, of a longer log than this one.
        notary = notary_of(engine, tmp_path)
        await hear(engine, OLD, *sold(OLD, back(OLD, "R0")))
        kept = await notary.sealer.seal()
        forked = kept.note.split("\n\n")[0].replace(f"\n{kept.checkpoint.size}\n", "\n1000\n") + "\n"
        notary.folder.put(forked)
        found = await rolled_back(engine.pool, engine.log, notary.folder)
        assert found is not None and found.kept is not None and found.kept.path == kept.path and found.lost.checkpoint.size == 1000
        assert len(await unread(engine.pool, engine.log, SETTINGS)) >= 3, "no engine has noticed, so nothing was read again"

        await engine.append(LOG, opened("X96", LOG, found.summary))
        await hear(engine, OLD, back(OLD, "R1"), shop_back(OLD))
        await hear(engine, OURS, *sold(OURS, back(OURS, "R2"), shop_back(OURS)))
        await hear(engine, FOREIGN, *sold(FOREIGN, back(FOREIGN, "R3")))
        await hear(engine, NEW, *[event for event in sold(NEW) if tag_of(event) != "shop_order_created"])
        await hear(engine, NEW, replace(shop_seen(), order_id=OrderId(NEW)))
        await ask(
            engine,
            give_back(OLD, "R0", "R1"),
            record(OURS, "R2"),
            record(FOREIGN, "R3"),
            AcceptOrder(**of("e5"), accepted=(LineId("1"),)),
            PublishStock(channel=ChannelId(CHANNEL), quantities={Sku("TEE-RED-M"): 5}, as_of=1),
            Remind(channel=ChannelId(CHANNEL), about="order-asos:e5", at=NOON),
        )
        assert sum(each.number for each in await waiting(engine.pool, engine.log)) == 5
        await fold(engine)
        now = engine.clock.now() + timedelta(seconds=1)
        assert not await is_resumed(engine.log, found.lost)
        await say_resumed(engine.pool, engine.log, SETTINGS, found, now=now, actor="person:ops", reason="the standby")

        rows = await outbox(engine)
        assert set(rows) == {"accept_order e5", "create_shop_order d4", "record_shop_refund c3", "refund_lines a1", "remind e5"}
        assert {name: row["unknown_since"] for name, row in rows.items()} == dict.fromkeys(rows, now) | {"remind e5": None}
        assert json.loads(rows["refund_lines a1"]["body"])["known"] == ["R0"], "R1 may be what this command made"
        refused = {event.subject: event for event in await engine.events() if isinstance(event, CommandRefused)}
        assert set(refused) == {offers_stream(ChannelId(CHANNEL)), order_stream(ChannelId(CHANNEL), OrderId(OURS))}
        issued = [event.command for event in await engine.events() if isinstance(event, CommandIssued)]
        assert to_json(issued[-1]).decode() == rows["create_shop_order d4"]["body"]
        told = await engine.log.read_stream(LOG)
        assert [each.actor for each in told if isinstance(each.event, LogResumed)] == ["person:ops"]
        assert await is_resumed(engine.log, found.lost) and await rolled_back(engine.pool, engine.log, notary.folder) is None
        assert (await notary.audit()).lost == 1


async def test_a_reading_that_was_under_way_begins_anew(database: Database, tmp_path: Any) -> None:
    """Its result tells how things stood before the log was restored, long ago perhaps; and would be believed."""
    asked = {"tracking_id": "x", "at": NOON.isoformat()}
    cursors = {
        "shopify:stock": {"whole": NOON.isoformat(), "operation": "gid://shopify/BulkOperation/1", "began": NOON.isoformat(), "line": 7},
        "mirakl:asos:offers": {"read": NOON.isoformat(), "due": NOON.isoformat(), "asked": asked},
        "mirakl:asos:sweep": {"swept": NOON.isoformat(), "asked": asked | {"since": NOON.isoformat(), "until": NOON.isoformat()}},
        "mirakl:asos:orders": {"until": NOON.isoformat()},
        "shopify:orders": NOON.isoformat(),
    }
    async with machine(database) as engine:
        for name, cursor in cursors.items():
            text = cursor if isinstance(cursor, str) else json.dumps(cursor)
            await engine.pool.execute("INSERT INTO crossdock.cursors VALUES ($1, $2, $3, $4)", TENANT, name, text, NOON)
        await read_anew(engine.pool, engine.log)
        found = dict(await engine.pool.fetch("SELECT name, cursor FROM crossdock.cursors"))
        assert found.pop("shopify:orders") == cursors["shopify:orders"]
        left = {name: sorted(json.loads(cursor)) for name, cursor in found.items()}
        assert left == {
            "shopify:stock": ["whole"],
            "mirakl:asos:offers": ["read"],
            "mirakl:asos:sweep": ["swept"],
            "mirakl:asos:orders": ["until"],
        }


async def test_nothing_is_resumed_before_both_sides_were_read_again(database: Database, tmp_path: Any) -> None:
    async with machine(database, projections=PROJECTIONS) as engine:
        await engine.append(LOG, opened("X96", LOG, "restored"))
        later = engine.clock.now() + timedelta(seconds=5)
        sources = {"shopify:orders": "x", f"mirakl:{CHANNEL}:orders": "x", "shopify:stock": to_json(Progress(whole=NOON)).decode()}
        for name, cursor in sources.items():
            missing = await unread(engine.pool, engine.log, SETTINGS)
            assert name in missing, missing
            await engine.pool.execute("INSERT INTO crossdock.cursors VALUES ($1, $2, $3, $4)", TENANT, name, cursor, later)
        assert await unread(engine.pool, engine.log, SETTINGS) == ["shopify:stock"], "it has read on, but not all of it"
        whole = to_json(Progress(whole=later)).decode()
        await engine.pool.execute("UPDATE crossdock.cursors SET cursor = $1 WHERE name = 'shopify:stock'", whole)
        assert await unread(engine.pool, engine.log, SETTINGS) == []
        await engine.pool.execute("INSERT INTO crossdock.checkpoints VALUES ($1, 'orders', 0, 0)", TENANT)
        assert await unread(engine.pool, engine.log, SETTINGS) == ["orders"], "it is not thought through"
