"""More engines than there should be: frozen and thawed, or started by mistake. One acts, whoever believes to lead. (C5)"""

import signal

import pytest

from tests.processes.rig import SPEED, Rig

pytestmark = pytest.mark.anyio

TARGETS = ("clock", "shopify", "mirakl:asos")


async def test_a_leader_that_is_frozen_and_thawed_is_told_that_its_time_is_over(house: Rig) -> None:
    """Frozen with an order on its way to Shopify: the order is there, the answer is not. Thawed, it has it, and may record nothing."""
    frozen = await house.started()
    await house.until(lambda: house.leaders("shopify"), "it leads")
    await house.post("/sandbox/faults", operation="OrderCreate", action="delay", seconds=1.5 * SPEED)
    order = await house.buy()

    async def there() -> bool:
        return any(each["source_identifier"] == order for each in (await house.state())["shopify"]["orders"])

    await house.until(there, "the order is in Shopify")
    frozen.being.send(signal.SIGSTOP)
    other = await house.started()

    async def leads() -> bool:
        return await house.gauge(other, "crossdock_leader", target="shopify") == 1

    async def shipped() -> bool:
        return all(each["state"] == "SHIPPED" for each in (await house.state())["mirakl"]["orders"])

    await house.until(leads, "the other leads")
    await house.until(shipped, "it has left, by the other's doing")
    assert await house.gauge(other, "crossdock_lease_epoch", target="shopify") == 2
    frozen.being.send(signal.SIGCONT)

    async def noticed() -> bool:
        return await house.gauge(frozen, "crossdock_lease_conflict_total", target="shopify") >= 1

    await house.until(noticed, "it notices")
    assert [await house.leaders(target) for target in TARGETS] == [[other]] * 3
    await house.buy()
    await house.prove()
    assert [await house.leaders(target) for target in TARGETS] == [[other]] * 3
    async with house.asking() as conn:
        # Whatever the thawed one knew when it was frozen is refused: its epoch is over.
        counted = await conn.fetchval("SELECT count(*) FROM crossdock.events WHERE type = 'shop_order_created'")
        epochs = [row["epoch"] for row in await conn.fetch("SELECT epoch FROM crossdock.leases ORDER BY name")]
    assert counted == 2 and epochs == [2, 2, 2]
    assert [await each.being.terminated() for each in (frozen, other)] == [0, 0]


async def test_three_engines_started_by_mistake_act_as_one(house: Rig) -> None:
    for _ in range(3):
        house.engine()
    for _ in range(6):
        await house.buy()
    truth = await house.prove()
    assert truth["mirakl"]["violations"] == []
    assert [len(await house.leaders(target)) for target in TARGETS] == [1, 1, 1]
    async with house.asking() as conn:
        assert [row["epoch"] for row in await conn.fetch("SELECT epoch FROM crossdock.leases ORDER BY name")] == [1, 1, 1]
