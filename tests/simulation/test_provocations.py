"""Every kind of exception is brought about and ended, on real parts; those that need a world of their own, in one of their own.

CROSSDOCK_THOROUGH=1 plays them all; otherwise it is the plays of `crossdock simulate` that do.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from msgspec.structs import replace

from engine.ports import RandomIds
from ops.sandbox.plan import Plan, Warehouse
from ops.settings import ChannelSection
from ops.simulate.provocations import PROVOCATIONS, NotReachedError, Provocation, Stage
from projections.rules import OrderRules
from tests.conftest import Database
from tests.house import House, house

pytestmark = pytest.mark.anyio

ONLY = os.environ.get("PROVOKE", "").split()
SPEED = float(os.environ.get("SPEED", "240"))


def merged(chosen: Iterable[Provocation], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in chosen:
        needs: Mapping[str, Any] = getattr(one, what)
        found |= needs
    return found


async def provoked(built: House, chosen: list[Provocation]) -> dict[str, str]:
    failed: dict[str, str] = {}

    async def one(n: int, provocation: Provocation) -> None:
        stage = Stage(built.sandbox, built.clock, built.settings, built.pool, built.log, RandomIds(), pick=n * 2)
        try:
            await provocation.play(stage)
        except Exception as error:
            failed[provocation.name] = f"{type(error).__name__}: {error}"
        else:
            failed.pop(provocation.name, None)
        print(f"{provocation.name} {','.join(provocation.codes)}: {failed.get(provocation.name, 'ok')}", flush=True)

    async with anyio.create_task_group() as group:
        for n, provocation in enumerate(chosen):
            group.start_soon(one, n, provocation)
    return failed


async def test_all(database: Database, tmp_path: Path) -> None:
    chosen = [one for one in PROVOCATIONS.values() if not ONLY or one.name in ONLY or set(one.codes) & set(ONLY)]
    from ops.sandbox.mirakl.state import Switches as MiraklSwitches
    from ops.sandbox.shopify.state import Switches as ShopifySwitches

    plan = Plan(
        skus=max(12, 3 * len(chosen)),
        least_stock=40,
        most_stock=60,
        offers_open="at_stock",
        warehouse=Warehouse(pick_seconds=1e7),
        mirakl=MiraklSwitches(**merged(chosen, "mirakl")),
        shopify=ShopifySwitches(**merged(chosen, "shopify")),
    )
    rules = msgspec.convert(merged(chosen, "rules"), OrderRules)

    def change(section: ChannelSection) -> ChannelSection:
        return replace(section, rules=rules, **merged(chosen, "channel"))

    async with house(database.engine_url, tmp_path, plan=plan, speed=SPEED, change=change, shop=merged(chosen, "shop")) as built:
        failed = await provoked(built, chosen)
        print(await built.open_exceptions())
    assert failed == {}
