"""Once a day all orders are listed in bulk, and those whose date tells nothing are read again."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.shopify import wire
from adapters.shopify.inbound.daily import AT_ONCE, Progress, is_worth_a_look
from engine.adapter import Sight
from engine.errors import RejectedError, UnavailableError
from schemas.events.aftercare import ShopReturnSeen
from schemas.events.orders import ShopOrderCreated, ShopOrderSeen
from tests.contract.shopify.shopfront import Shopfront, command, made, order_of, shopfront, stock
from tests.contract.shopify.test_reading import said
from tests.loopback import NOW

pytestmark = pytest.mark.anyio


async def orders(front: Shopfront, count: int) -> list[ShopOrderCreated]:
    stock(front.shop, "TEE-RED-M", 1000)
    await front.adapter.prepare()
    return [await made(front, command(order_id=f"A-{number}")) for number in range(count)]


def sweep(front: Shopfront) -> Any:
    return next(source for source in front.adapter.sources if source.name == "shopify:orders:daily")


async def run(front: Shopfront, cursor: str | None = None) -> Sight:
    """A whole one: begun, waited for, read to its end."""
    source = sweep(front)
    sight = await source.poll(cursor)
    heard = list(sight.heard)
    for _ in range(50):
        front.pass_time(source.every)
        sight = await source.poll(sight.cursor)
        heard += sight.heard
        if not msgspec.json.decode(sight.cursor, type=Progress).operation:
            return Sight(heard, sight.cursor)
    raise AssertionError("it never ends")


async def test_holds_and_returns_that_moved_no_date_are_found():
    async with shopfront() as front:
        held, back, quiet, plain = await orders(front, 4)
        for created in (back, quiet):
            front.do("staffFulfil", parcel=order_of(front, created).fulfillment_orders[0])
        front.pass_time(3 * 86_400)
        front.do("staffHold", parcel=order_of(front, held).fulfillment_orders[0])
        front.do("staffReturn", order=order_of(front, back).id, lines=[(order_of(front, back).lines[0].id, 1)])
        front.pass_time(600)
        assert (await front.adapter.sources[0].poll((front.clock.time).isoformat())).heard == [], "the sweep goes by a date"
        told = said(await run(front))
        seen = {event.order_id: event for event in told if isinstance(event, ShopOrderSeen)}
        assert set(seen) == {held.order_id, back.order_id, plain.order_id}, "what left, and has no return, is left alone"
        assert seen[held.order_id].holds == ("OTHER",)
        assert [event.order_id for event in told if isinstance(event, ShopReturnSeen)] == [back.order_id]


async def test_one_a_day_and_its_result_is_read_some_orders_at_a_time():
    async with shopfront() as front:
        await orders(front, AT_ONCE + 7)
        source, steps = sweep(front), []
        sight = await source.poll(None)
        for _ in range(8):
            front.pass_time(source.every)
            sight = await source.poll(sight.cursor)
            steps.append(len(sight.heard))
        assert [step for step in steps if step] == [AT_ONCE, 7]
        assert front.asked.count("BulkRun") == 1
        front.pass_time(86_400)
        await source.poll(sight.cursor)
        assert front.asked.count("BulkRun") == 2


async def test_a_restart_in_the_middle_goes_on_where_the_cursor_stands():
    async with shopfront() as front:
        await orders(front, AT_ONCE + 3)
        source = sweep(front)
        begun = await source.poll(None)
        front.pass_time(60)
        first = await source.poll(begun.cursor)
        assert len(first.heard) == AT_ONCE
        second = await source.poll(first.cursor)  # by whom it does not matter: all there is to know is the cursor
        whole = {event.order_id for event in (*said(first), *said(second))}
        assert len(second.heard) == 3 and len(whole) == AT_ONCE + 3


async def test_without_orders_there_is_nothing_to_read_and_another_app_may_be_in_the_way():
    async with shopfront() as front:
        assert (await run(front)).heard == []
        front.shop.switches.bulk_at_once = 0
        front.clock.time += timedelta(days=2)
        sight = await sweep(front).poll(None)
        at = msgspec.json.decode(sight.cursor, type=Progress)
        assert not at.operation and at.due == front.clock.time + timedelta(seconds=30)


async def test_one_that_fails_is_begun_again_in_an_hour():
    async with shopfront() as front:
        await orders(front, 3)
        front.shop.switches.bulk_fails = 1.0
        sight = await run(front)
        at = msgspec.json.decode(sight.cursor, type=Progress)
        assert sight.heard == [] and at.due == front.clock.time + timedelta(hours=1)


async def test_a_file_that_is_gone_or_odd_or_elsewhere_is_no_answer():
    async with shopfront() as front:
        await orders(front, 1)
        source = sweep(front)
        begun = await source.poll(None)
        front.pass_time(60)
        done = {"id": "gid://shopify/BulkOperation/1", "status": "COMPLETED", "errorCode": None}
        for url, error in (
            (f"{front.url}/shopify/storage/results/404.jsonl", UnavailableError),
            ("http://elsewhere.example/1.jsonl", RejectedError),
            ("file:///etc/passwd", RejectedError),
            ("https://", RejectedError),
        ):
            front.instead["BulkGet"] = (200, {"data": {"bulkOperation": done | {"url": url}}})
            with pytest.raises(error) as caught:
                await source.poll(begun.cursor)
            assert "elsewhere" not in str(caught.value) and "404.jsonl" not in str(caught.value), "an address is a secret"


def order(**more: Any) -> wire.bulk.BulkOrder:
    fields: dict[str, Any] = {
        "id": "gid://shopify/Order/1",
        "updated_at": NOW - timedelta(days=9),
        "cancelled_at": None,
        "display_fulfillment_status": "FULFILLED",
        "return_status": "NO_RETURN",
    }
    return wire.bulk.BulkOrder(**fields | more)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (order(), False),
        (order(display_fulfillment_status="UNFULFILLED"), True),
        (order(display_fulfillment_status="ON_HOLD"), True),
        (order(display_fulfillment_status="A_STATE_OF_TOMORROW"), True),
        (order(display_fulfillment_status="UNFULFILLED", cancelled_at=NOW - timedelta(days=9)), False),
        (order(return_status="IN_PROGRESS"), True),
        (order(return_status="RETURNED"), True),
        (order(updated_at=NOW - timedelta(hours=47)), True),
    ],
)
def test_an_order_is_read_again_where_its_date_may_not_tell_what_became_of_it(found, expected):
    assert is_worth_a_look(found, NOW) is expected
