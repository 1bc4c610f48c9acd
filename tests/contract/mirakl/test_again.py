"""A person says that a state is known now: its orders are asked for by their ids, and by nothing else."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from engine.adapter import Heard
from schemas.envelope import Envelope
from schemas.events.exceptions import ExceptionRetried
from schemas.events.orders import OrderStateChanged
from tests.contract.mirakl.marketplace import Account, Asked, account
from tests.contract.mirakl.payloads import line, order
from tests.examples import envelope
from tests.loopback import NOW

pytestmark = pytest.mark.anyio

OURS = [f"{number:05}-A" for number in range(1, 151)]


class Marketplace:
    """OR11 by id; it knows of one order more than it is asked for, as one that overlooks the filter would."""

    def __init__(self, it: Account) -> None:
        self.asked: list[list[str]] = []
        it.marketplace.says("OR11", self.answer)

    async def answer(self, asked: Asked) -> web.Response:
        self.asked.append(asked.query["order_ids"].split(","))
        assert "start_update_date" not in asked.query and int(asked.query["max"]) >= len(self.asked[-1])
        orders = [
            order(
                line(order_line_id=f"{name}-1"),
                order_id=name,
                order_state="SHIPPING",
                last_updated_date=(NOW + timedelta(hours=1)).isoformat(),
            )
            for name in [*self.asked[-1], "99999-A"]
        ]
        return web.Response(body=msgspec.json.encode({"orders": orders, "total_count": len(orders)}), content_type="application/json")


def retried(*keys: str) -> list[Envelope]:
    """An order's exceptions; what follows the order's id in a key is a part of it."""
    subjects = [":".join(key.split(":")[1:3]) for key in keys]
    return [
        envelope(ExceptionRetried(key=key, subject=subject, reason="it is known now"), place)
        for place, (key, subject) in enumerate(zip(keys, subjects, strict=True), 1)
    ]


def told(heard: Sequence[Heard]) -> list[str]:
    return [each.fact.event.order_id for each in heard if isinstance(each.fact.event, OrderStateChanged)]


async def test_orders_of_an_unknown_state_are_heard_again_once_a_person_has_retried_them() -> None:
    async with account() as it:
        marketplace = Marketplace(it)
        [reader] = it.mirakl.readers
        assert all(reader.follows(each.event) for each in retried(f"X80:order-asos:{OURS[0]}"))
        heard = await reader.read(retried(*(f"X80:order-asos:{name}" for name in [*OURS, OURS[0]])))
        assert told(heard) == OURS
        assert [len(asked) for asked in marketplace.asked] == [100, 50], "as few calls as can be: the next poll waits for each"
        states = [each for each in heard if isinstance(each.fact.event, OrderStateChanged)]
        assert all(each.fact.occurred_at <= it.clock.now() for each in states), (
            "a clock of theirs that is ahead makes nothing old that comes later"
        )


@pytest.mark.parametrize(
    "key",
    [
        "X21:order-asos:00001-A",
        "X80:order-zalando:00001-A",
        "X80:shop-order-asos:00001-A",
        "X80:order-asos:00001-A:gid://shopify/Fulfillment/1",
    ],
)
async def test_nothing_else_that_is_retried_is_asked_for(key: str) -> None:
    async with account() as it:
        [reader], [other] = it.mirakl.readers, retried(key)
        assert not reader.follows(other.event)
