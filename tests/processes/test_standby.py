"""An asynchronous standby that was cut off is promoted: the log is whole, and shorter than what was acknowledged. (E9, D12; T12)"""

from pathlib import Path

import pytest

from ops.postgres import EmbeddedPostgres
from ops.sandbox.referee.case import Case, Conventions
from tests.processes.beings import Nursery
from tests.processes.rig import PLAN, Rig, rig
from tests.processes.standby import Standby

pytestmark = pytest.mark.anyio

SLOW = PLAN.replace("pick_seconds = 120.0", "pick_seconds = 1800.0")  # orders stand in Shopify for a while before they leave
HEAD = "SELECT coalesce(max(position), 0) FROM crossdock.events"


async def copies(house: Rig) -> dict[str, int]:
    """Shopify orders of each marketplace order."""
    return {name: len(found) for name, found in Case(await house.state(), Conventions()).copies.items()}


async def test_what_a_promoted_standby_does_not_know_is_adopted_and_not_done_twice(
    directory: Path, nursery: Nursery, server: EmbeddedPostgres
) -> None:
    async with rig(directory, nursery, server, plan=SLOW) as house:
        engine = await house.started()
        known = [await house.buy() for _ in range(2)]

        async def all_there(orders: list[str]) -> bool:
            return (await copies(house)).keys() >= set(orders)

        await house.until(lambda: all_there(known), "the first orders are in Shopify")
        standby = await Standby.of(server, directory / "standby")
        try:
            await standby.cut_off()
            forgotten = [await house.buy() for _ in range(4)]
            await house.until(lambda: all_there(forgotten), "the others are there too")
            async with house.asking() as conn:
                acknowledged = await conn.fetchval(HEAD)
            server.stop(immediately=True)
            await standby.promote()
            house.postgres, house.wire.upstream = standby, standby.socket
            house.wire.hang_up()
            async with house.asking() as conn:
                left = await conn.fetchval(HEAD)
            assert 0 < left < acknowledged, "some of what was acknowledged is gone"
            house.kill(engine)
            await house.started()
            await house.post("/sandbox/ship")  # the warehouse picks what waits there, once
            truth = await house.settled()
            assert await copies(house) == dict.fromkeys([each["order_id"] for each in truth["mirakl"]["orders"]], 1)
            assert len(truth["mirakl"]["orders"]) == 6
            assert (await house.crossdock("verify"))["verified"] and (await house.crossdock("replay", "--verify"))["equal"]
            house.figures |= {"events acknowledged": acknowledged, "gone": acknowledged - left, "orders": 6, "duplicates": 0}
        finally:
            standby.stop()
