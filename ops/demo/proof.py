"""The end state of a demo: both truths side by side, judged from outside, and the log that explains them."""

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from engine.errors import EngineError
from engine.log import Log
from engine.metrics import Metrics
from engine.ports import PostgresDb, SystemClock, SystemRng
from engine.rebuild import compare, discard, rebuild
from engine.vault import Vault
from ops.database import Database, master_key_of
from ops.evidence import folder_of
from ops.evidence.audit import audit
from ops.sandbox.face import Sandbox
from ops.sandbox.referee.case import SHIPPED, Case, Conventions, is_over
from ops.sandbox.referee.rules import judge
from ops.sentences import so_many
from ops.service import PROJECTIONS
from ops.settings import ChannelSection, Settings
from projections.desired import desired, shelf_of
from projections.publications import offers_made_of
from projections.stock import Stock
from schemas.values import ChannelId

COUNT_EVENTS = "SELECT type, count(*) AS number FROM crossdock.events WHERE tenant = $1 GROUP BY type ORDER BY type"
UNKNOWN = "SELECT count(*) FROM crossdock.outbox WHERE tenant = $1 AND unknown_since IS NOT NULL"
# What waits for its moment, and remarks that wait for a person, are no work.
WAITING = "SELECT count(*) FROM crossdock.outbox WHERE tenant = $1 AND target <> 'clock' AND state = 'waiting'"
OPEN = "SELECT count(*) FROM projections.exceptions WHERE tenant = $1 AND document->>'open' = 'true'"
STOCK = "SELECT document FROM projections.inventory WHERE tenant = $1 ORDER BY key"


class Result(Struct, frozen=True, kw_only=True):
    """What the end state is; `holds` says whether it is what it should be."""

    orders_placed: int
    orders_in_shopify: int
    orders_given_up: int  # refused or cancelled before they could be brought into Shopify
    duplicates: int
    shipped_in_mirakl: int
    orders_over: int  # shipped, or nothing of them is to leave any more
    refunds_in_mirakl: int
    refunds_in_shopify: int  # of marketplace orders
    oversold_units: int
    vanished_units: int  # there when they were sold, and counted away by people before the order was in Shopify
    stock_mismatches: int
    rules_broken: tuple[str, ...]  # what the referee found
    for_people: int  # what the referee found that nobody broke and only a person can settle
    events: int
    commands_confirmed: int
    commands_unknown: int
    exceptions_open: int
    lenient: bool  # some things wait for a person here, and may
    chain_verified: bool
    checkpoints: int  # signed while it went on; all of this log
    rebuild_equal: bool
    seconds: float = 0.0

    def claims(self) -> dict[str, bool]:
        in_place = self.orders_in_shopify + self.orders_given_up == self.orders_placed
        called_off = self.orders_over - self.shipped_in_mirakl
        signed = so_many(self.checkpoints, "checkpoint")
        left = "left to a person" if self.lenient else "open"
        return {
            f"{self.orders_in_shopify} of {so_many(self.orders_placed, 'marketplace order')} in Shopify, {self.orders_given_up} came to "
            "nothing before": in_place or self.lenient,
            f"{self.duplicates} of them twice": self.duplicates == 0,
            f"{self.shipped_in_mirakl} confirmed to the marketplace with their tracking, {called_off} called off": self.orders_over
            == self.orders_placed
            or self.lenient,
            f"{so_many(self.refunds_in_mirakl, 'refund')} on the marketplace, {self.refunds_in_shopify} in Shopify, none twice": True,
            f"{so_many(self.oversold_units, 'unit')} sold and not there, {self.vanished_units} counted away by people after the sale": (
                self.oversold_units == 0
            ),
            f"{so_many(self.stock_mismatches, 'SKU')} shown otherwise than the formula says": self.stock_mismatches == 0 or self.lenient,
            f"{so_many(len(self.rules_broken), 'rule')} broken, says the referee": not self.rules_broken,
            f"{so_many(self.commands_confirmed, 'command')} confirmed, {self.commands_unknown} with an unknown outcome": (
                self.commands_unknown == 0
            ),
            f"{so_many(self.exceptions_open, 'exception')} {left}, for {so_many(self.for_people, 'thing')} that only a person can settle": (
                self.exceptions_open <= self.for_people or self.lenient
            ),
            f"the hash chain of {so_many(self.events, 'event')} verified, and what was signed in {signed}": (
                self.chain_verified and self.checkpoints > 0
            ),
            "every projection folded again equals the live one": self.rebuild_equal,
        }

    @property
    def holds(self) -> bool:
        return all(self.claims().values())


class State(Struct, frozen=True):
    """How far it is."""

    waiting: int  # commands in the outbox
    open: int  # exceptions
    ahead: int  # things that people have still to do
    over: int  # marketplace orders of which nothing is to be done any more
    broken: int  # rules, were this the end
    settled: bool


async def is_settled(conn: Any, settings: Settings, sandbox: Sandbox, glance: Mapping[str, Any], *, lenient: bool) -> State:
    """Whether everybody has done what was to be done, both sides agree, and we have heard of it. The whole truth is asked for only where
    nothing is under way, for it takes a second where there are ten thousand SKUs."""
    tenant, orders = settings.tenant_id, glance["mirakl"]["orders"]
    waiting, open_ = await conn.fetchval(WAITING, tenant), await conn.fetchval(OPEN, tenant)
    over = sum(order["state"] in SHIPPED or is_over(order) for order in orders)
    ahead = glance["actors"]["turns_ahead"]
    if waiting or ahead or glance["shopify"]["webhooks"]["under_way"]:
        return State(waiting, open_, ahead, over, -1, settled=False)
    truth = sandbox.truth()
    broken = len(_found(truth, settings, "broken", settled=True))
    agree = not mismatches(truth, await stock_rows(conn, settings), settings.channel[0])
    heard = lenient or open_ <= len(_found(truth, settings, "open", settled=True))  # the end of an incident, say
    return State(waiting, open_, ahead, over, broken, settled=agree and heard and broken == 0 and over + open_ >= len(orders))


def _found(truth: Mapping[str, Any], settings: Settings, level: str, *, settled: bool) -> list[str]:
    channel = settings.channel[0]
    told = Conventions(settled=settled, buffer=channel.buffer + channel.floor)
    return [f"{found.rule} {found.subject}: {found.says}" for found in judge(truth, told) if found.level == level]


async def prove(settings: Settings, database: Database, sandbox: Sandbox, metrics: Metrics, *, lenient: bool) -> Result:
    truth, tenant = sandbox.truth(), settings.tenant_id
    pool = await PostgresDb(database.engine_url, command_timeout=120.0).pool()
    try:
        log = Log(pool, tenant, Vault(pool, tenant, master_key_of(settings, os.environ)), SystemClock(), metrics)
        counts = {row["type"]: row["number"] for row in await pool.fetch(COUNT_EVENTS, tenant)}
        async with pool.acquire() as conn:
            wrong = mismatches(truth, await stock_rows(conn, settings), settings.channel[0])
        case = Case(truth, Conventions(settled=True))
        alive = Counter(name for name, copies in case.copies.items() for copy in copies if not copy["cancelled_at"])
        there = [order for order in case.orders if order["order_id"] in case.copies]
        return Result(
            orders_placed=len(case.orders),
            orders_in_shopify=len(there),
            orders_given_up=sum(is_over(order) for order in case.orders if order["order_id"] not in case.copies),
            duplicates=sum(number - 1 for number in alive.values()),
            shipped_in_mirakl=sum(order["state"] in SHIPPED for order in case.orders),
            orders_over=sum(order["state"] in SHIPPED or is_over(order) for order in case.orders),
            refunds_in_mirakl=sum(len(line["refunds"]) for order in case.orders for line in order["lines"]),
            refunds_in_shopify=sum(len(copy["refunds"]) for copies in case.copies.values() for copy in copies),
            oversold_units=truth["shopify"]["oversold_units"],
            vanished_units=truth["shopify"]["vanished_units"],
            stock_mismatches=len(wrong),
            rules_broken=tuple(_found(truth, settings, "broken", settled=not lenient)),
            for_people=len(_found(truth, settings, "open", settled=True)),
            events=sum(counts.values()),
            commands_confirmed=counts.get("command_confirmed", 0),
            commands_unknown=await pool.fetchval(UNKNOWN, tenant),
            exceptions_open=await pool.fetchval(OPEN, tenant),
            lenient=lenient,
            chain_verified=(signed := await _verified(pool, log, settings)) is not None,
            checkpoints=signed or 0,
            rebuild_equal=await _rebuilds_equal(pool, log),
        )
    finally:
        await pool.close()


async def _verified(pool: Any, log: Log, settings: Settings) -> int | None:
    """The checkpoints that the log was compared with; None: it is not as it was."""
    folder = folder_of(settings, os.environ, SystemRng())
    try:
        return (await audit(pool, log, folder.all() if folder is not None else ())).compared
    except EngineError:
        return None


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
    known, rules, name = {row.sku: row for row in rows}, channel.stock_rules, ChannelId(channel.id)
    made_of, wrong = offers_made_of(known), []
    for sku, offer in truth["mirakl"]["offers"].items():
        if offer["deleted"]:
            continue
        there = truth["shopify"]["stock"].get(sku, {"available": 0})["available"]
        worked = desired(sku, name, shelf_of(sku, name, known, made_of), rules)
        units = worked.units if worked is not None else 0
        if sku not in known or max(0, there - channel.buffer - channel.floor) != offer["quantity"] or units != offer["quantity"]:
            wrong.append(sku)
    return wrong
