"""Whatever both sides' people do to an order at the same time: it ends the same on both, or as an exception that says what is left to do.

The referee is the oracle, in the sandbox, from outside. CROSSDOCK_THOROUGH=20 plays twenty times as many days.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from ops.demo.settings import BUFFER
from ops.sandbox.mirakl.state import Switches
from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.referee.case import Conventions, Finding
from ops.sandbox.referee.rules import judge
from ops.trace import story
from projections.rules import OrderRules
from tests.conftest import Database
from tests.hands import Hands, all_at_once
from tests.house import House, house
from tests.thorough import THOROUGH

pytestmark = pytest.mark.anyio

ORDERS = 16  # a day
PATIENCE = 60.0  # real seconds
# What a marketplace may be like.
KINDS: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "parcels": {"multi_shipment": True, "returns": True},
    "paid late": {
        "payment_workflow": "PAY_ON_SHIPMENT",
        "partial_cancelation": "open",
        "multi_shipment": True,
        "cancelled_keeps_prices": False,
    },
    "net": {"tax_mode": "TAX_EXCLUDED", "excluded_units": "line_refunded", "returns": True},
}
# What may be left undone as long as somebody has been told: one side has not followed the other. All else is never right.
UNFINISHED = ("R4", "O6", "F3", "F4", "R3 open")


def is_told(found: Finding, waiting: list[str]) -> bool:
    """Whether it is one of those, and an exception of that order is open."""
    return (found.rule in UNFINISHED or f"{found.rule} {found.level}" in UNFINISHED) and any(found.subject in key for key in waiting)


# Refunds of ours that we asked Shopify to hold a record of: there and back again. Shopify may refuse it, so that the referee sees nothing.
ECHOED = """
SELECT asked.stream, asked.data->'command'->>'mirrors' AS mirrors
FROM crossdock.events asked
JOIN crossdock.events ours ON ours.tenant = asked.tenant AND ours.stream = asked.stream AND ours.type = 'refund_pushed'
    AND ours.data::jsonb->'refunds' ? (asked.data->'command'->>'mirrors')
WHERE asked.tenant = $1 AND asked.type = 'command_issued' AND asked.data->'command'->>'type' = 'record_shop_refund'
ORDER BY asked.position
"""


async def wrong(built: House, hands: Mapping[str, Hands]) -> list[str]:
    """All that is neither right nor known to anybody."""
    rows = await built.pool.fetch(
        "SELECT key, document->>'code' AS code FROM projections.exceptions WHERE tenant = $1 AND document->>'open' = 'true'", built.tenant
    )
    truth = built.sandbox.truth()
    busy = await built.pool.fetchval("SELECT count(*) FROM crossdock.outbox WHERE tenant = $1 AND target <> 'clock'", built.tenant)
    found = [f"{busy} commands are not answered for"] if busy else []
    found += [f"{row['stream']}: our own refund {row['mirrors']} came back" for row in await built.pool.fetch(ECHOED, built.tenant)]
    for one in judge(truth, Conventions(settled=True, buffer=BUFFER)):
        moved = one.rule == "O2" and any("move it" in did and "refused" not in did for did in hands[one.subject].done)
        if not moved and not is_told(one, [row["key"] for row in rows]):
            found.append(f"{one.level} {one.rule} {one.subject}: {one.says}")
    return found


@asynccontextmanager
async def day_of(engine_url: str, directory: Path, kind: str, seed: int, number: int) -> AsyncIterator[House]:
    """A day on a marketplace of that kind, in which people work on so many orders; as it is when nothing is wrong any more."""
    switches = Switches(**KINDS[kind])
    plan = Plan(
        skus=12,
        locations=1,
        least_stock=200,
        most_stock=300,
        offers_open="at_stock",
        mirakl=switches,
        warehouse=Warehouse(pick_seconds=1e8),
    )
    rules = {"rules": OrderRules(accept_hours=48.0, partial_cancelation=switches.partial_cancelation == "open")}
    async with house(engine_url, directory, plan=plan, seed=seed, channel=rules) as built:
        await built.until_on_offer()
        orders = [built.buy() for _ in range(number)]
        hands = await all_at_once(built, orders, seed)
        left: list[str] = []
        with anyio.move_on_after(PATIENCE):
            while left := await wrong(built, hands):
                await anyio.sleep(0.5)
        assert not left, "\n".join([f"seed {seed}", *left, *[line async for line in _stories(built, hands, left)]])
        yield built


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("day", range(THOROUGH))
async def test_both_sides_come_to_agree_whatever_their_people_do(database: Database, tmp_path: Path, kind: str, day: int) -> None:
    async with day_of(database.engine_url, tmp_path, kind, day, ORDERS):
        pass


async def _stories(built: House, hands: Mapping[str, Hands], left: list[str]) -> AsyncIterator[str]:
    """For whoever wants to know why: what people did to the orders that are wrong, and what was made of it."""
    yield from_each(await built.open_exceptions())
    for order, one in hands.items():
        if any(order in what for what in left):
            yield from_each([f"{order}:", *one.done])
            async with built.pool.acquire() as conn:
                steps = await story(conn, built.log, built.settings.tenant_id, built.settings.channel_ids, order)
            yield from_each([f"{step.position} {step.occurred_at[11:19]} {step.what} because of {step.why}" for step in steps])


def from_each(lines: list[str]) -> str:
    return "\n  ".join(lines)
