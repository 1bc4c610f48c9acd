"""The list of orders is read whole, however it moves while it is read; and the cursor passes only what was heard."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from adapters.mirakl.inbound.orders import LEAST, Cursor, polled_at, written
from engine.adapter import Endpoint, Heard
from engine.errors import UnavailableError
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import OrderPlaced, OrderStateChanged
from tests.contract.mirakl.marketplace import Account, Asked, account
from tests.contract.mirakl.payloads import Payload, line, order
from tests.loopback import NOW

pytestmark = pytest.mark.anyio


def numbered(number: int, **more: Any) -> Payload:
    return order(line(order_line_id=f"{number}-1"), order_id=f"{number:05}-A", commercial_id=f"{number:05}", **more)


class Orders:
    """The list behind OR11: changed, if a test says so, before the n-th call is answered."""

    def __init__(self, *numbers: int, page: int = 100) -> None:
        self.numbers, self.page, self.calls = list(numbers), page, 0
        self.changes: dict[int, Callable[[], None]] = {}
        self.more: dict[str, Any] = {}  # said instead of the truth

    async def answer(self, asked: Asked) -> web.Response:
        self.calls += 1
        self.changes.get(self.calls, lambda: None)()
        offset, size = int(asked.query["offset"]), min(self.page, int(asked.query["max"]))
        assert (asked.query["sort"], asked.query["order"]) == ("dateCreated", "asc")
        there = sorted(self.numbers)
        told = {"orders": [numbered(number) for number in there[offset : offset + size]], "total_count": len(there)} | self.more
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    def drop(self, *numbers: int) -> Callable[[], None]:
        def change() -> None:
            self.numbers = [number for number in self.numbers if number not in numbers]

        return change

    def add(self, *numbers: int) -> Callable[[], None]:
        return lambda: self.numbers.extend(numbers)


async def polled(it: Account, orders: Orders | None = None, cursor: str | None = None) -> tuple[list[int], str]:
    """The orders that a poll heard of, and its cursor."""
    if orders is not None:
        it.marketplace.says("OR11", orders.answer)
    sight = await it.source("orders").poll(cursor)
    placed = [each.fact.event for each in sight.heard if isinstance(each.fact.event, OrderPlaced)]
    return [int(event.commercial_id) for event in placed], sight.cursor


@pytest.mark.parametrize(("count", "page"), [(0, 100), (1, 100), (100, 100), (101, 100), (250, 100), (37, 10), (3, 1), (5, 2)])
async def test_all_pages_are_read(count: int, page: int):
    async with account() as it:
        heard, _ = await polled(it, Orders(*range(count), page=page))
        assert heard == list(range(count))
        assert {asked.query["max"] for asked in it.marketplace.asked} == {"100"}


async def test_what_a_page_shows_is_told_before_the_next_is_asked_for():
    """Each page may be a minute later than the one before, and new orders may come as quickly as they are read."""
    async with account() as it:
        orders, told = Orders(*range(25), page=10), list[tuple[int, int]]()

        async def tell(heard: Sequence[Heard]) -> None:
            told.append((sum(isinstance(each.fact.event, OrderPlaced) for each in heard), orders.calls))

        it.source("orders").tell = tell
        heard, _ = await polled(it, orders)
        assert heard == list(range(25)) and (told[0][0], sum(count for count, _ in told)) == (10, 24)
        assert [calls for _, calls in told] == list(range(1, orders.calls))


async def test_one_page_is_one_call():
    async with account() as it:
        orders = Orders(*range(100))
        await polled(it, orders)
        assert orders.calls == 1


@pytest.mark.parametrize("counts", [True, False])
async def test_where_a_list_is_one_call_its_further_pages_wait_for_nobody(counts: bool):
    async with account(pages_count=counts) as it:
        orders = Orders(*range(250))
        heard, _ = await polled(it, orders)
        assert heard == list(range(250)) and orders.calls == 3
        assert it.door.admitted == it.door.answered == ["OR11"] * (3 if counts else 1)


async def test_an_order_that_leaves_the_list_hides_no_other():
    async with account() as it:
        orders = Orders(*range(250))
        orders.changes = {2: orders.drop(3), 3: orders.drop(*range(10, 15))}
        heard, _ = await polled(it, orders)
        assert heard == list(range(250)) and orders.calls == 3, "what left was heard before, and nothing slipped by"


async def test_when_too_many_leave_the_list_is_read_again():
    async with account() as it:
        orders = Orders(*range(250))
        orders.changes = {2: orders.drop(*range(40))}
        heard, _ = await polled(it, orders)
        assert sorted(heard) == list(range(250)) and orders.calls == 2 + 3


async def test_an_order_that_comes_late_is_heard_too():
    async with account() as it:
        orders = Orders(*range(1, 151))
        orders.changes = {2: orders.add(0)}
        heard, _ = await polled(it, orders)
        assert sorted(heard) == list(range(151)) and orders.calls == 4


async def test_a_list_that_only_grows_is_heard_as_far_as_it_was_when_begun():
    """While hundreds of orders are accepted, each pass meets more of them: those joined after it was begun, and are the next poll's."""
    async with account() as it:
        orders = Orders(*range(1000, 1250))
        orders.changes = {3 * walk + 2: orders.add(walk) for walk in range(3)}
        heard, _ = await polled(it, orders)
        assert sorted(heard) == [0, 1, *range(1000, 1250)] and orders.calls == 9


async def test_a_list_that_never_holds_still_is_no_list():
    async with account() as it:
        orders = Orders(*range(1000, 1250))
        orders.changes = {2 * call: orders.add(call) for call in range(1, 20)}
        orders.changes |= {2 * call + 1: orders.drop(*range(1000 + 40 * call, 1040 + 40 * call)) for call in range(1, 4)}
        with pytest.raises(UnavailableError, match="hold still"):
            await polled(it, orders)


@pytest.mark.parametrize(
    "more", [{"orders": [], "total_count": 3}, {"orders": None}, {"total_count": None}, {"orders": 7}, {"orders": [], "total_count": 10**9}]
)
async def test_a_list_that_shows_nothing_of_what_it_counts_is_no_list(more: dict[str, Any]):
    async with account() as it:
        orders = Orders(1, 2, 3)
        orders.more = more
        with pytest.raises(UnavailableError):
            await polled(it, orders)
        assert orders.calls <= 3


async def test_where_only_the_count_is_wrong_the_orders_are_heard():
    async with account() as it:
        orders = Orders(1, 2, 3)
        orders.more = {"total_count": 5}
        assert (await polled(it, orders))[0] == [1, 2, 3]
        orders = Orders(1, 2, 2, 3)
        assert (await polled(it, orders))[0] == [1, 2, 3]
        assert orders.calls == 2


async def test_a_list_that_repeats_itself_ends():
    async with account() as it:
        orders = Orders(*range(50))

        async def always_the_first_page(asked: Asked) -> web.Response:
            return await orders.answer(Asked(asked.code, asked.path, asked.query | {"offset": "0"}, None, None))

        orders.more = {"total_count": 500}
        it.marketplace.says("OR11", always_the_first_page)
        heard, _ = await polled(it)
        assert heard == list(range(50)) and orders.calls == 4


async def test_an_order_that_cannot_be_read_holds_up_no_other():
    async with account() as it:
        told = {"orders": [numbered(1), numbered(2) | {"currency_iso_code": None}, {}, numbered(3)], "total_count": 4}
        it.marketplace.says("OR11", told)
        sight = await it.source("orders").poll(None)
        opened = [each for each in sight.heard if isinstance(each.fact.event, ExceptionOpened)]
        assert [each.stream for each in opened] == ["order-asos:00002-A", "channel-asos"]
        assert (await polled(it))[0] == [1, 3]
        quarantined = it.metrics.registry.get_sample_value("crossdock_quarantined_total", {"source": "mirakl", "type": "OR11"})
        assert quarantined == 4


async def test_what_is_new_is_counted():
    async with account() as it:
        new = numbered(1, hologram=1, order_state="TELEPORTING", delivery_date={"latest": "2026-08-18"})
        it.marketplace.says("OR11", {"orders": [new], "total_count": 1})
        assert (await polled(it))[0] == [1]
        for name, count in (("crossdock_schema_unknown_fields_total", 2), ("crossdock_schema_unknown_enum_total", 1)):
            assert it.metrics.registry.get_sample_value(name, {"source": "mirakl", "type": "OR11"}) == count


# ---------------------------------------------------------------- the cursor


def answering(date: str | None) -> Callable[[Asked], Awaitable[web.Response]]:
    async def answer(_asked: Asked) -> web.Response:
        headers = {"Date": date} if date is not None else {}
        return web.Response(body=b'{"orders":[],"total_count":0}', content_type="application/json", headers=headers)

    return answer


async def window(it: Account, cursor: str | None) -> tuple[str, str]:
    """From when a poll with that cursor asks, and up to where it has heard. It asks for everything until now, however late now is."""
    sight = await it.source("orders").poll(cursor)
    query = it.marketplace.asked[-1].query
    assert "end_update_date" not in query
    assert sight.cursor is not None and polled_at(sight.cursor) == it.clock.time
    return query["start_update_date"], written(msgspec.json.decode(sight.cursor, type=Cursor).until)


async def test_a_poll_reaches_back_beyond_the_last_one():
    async with account(first_look_days=2, order_overlap=1800.0) as it:
        it.marketplace.says("OR11", answering("Thu, 13 Aug 2026 09:00:03 GMT"))
        assert await window(it, None) == ("2026-08-11T09:00:00Z", "2026-08-13T09:00:00Z")
        it.clock.time = NOW + timedelta(minutes=5, microseconds=7)
        it.marketplace.says("OR11", answering("Thu, 13 Aug 2026 09:05:00 GMT"))
        assert await window(it, '{"until":"2026-08-13T09:00:00Z"}') == (
            "2026-08-13T08:30:00Z",
            "2026-08-13T09:05:00Z",
        )


@pytest.mark.parametrize(
    ("gap", "counts", "reaches"),  # seconds between two changes of orders; minutes that a long poll, and the next, reach back
    [
        (60.0, True, (30.0, 30.0)),  # half an hour of them is less than a page
        (20.0, True, (30.0, 15.0)),  # Mirakl's own five minutes, and 60 orders: 20 minutes
        (9.0, True, (30.0, 4.0)),
        (3.0, True, (18.0, 2.0)),  # 460 orders, of which Mirakl's five minutes have a hundred
        (3.0, False, (30.0, 2.0)),
    ],
)
async def test_a_poll_reaches_back_no_further_than_a_page_goes(gap: float, counts: bool, reaches: tuple[float, float]):
    async with account(order_overlap=1800.0, pages_count=counts) as it:
        moments = [NOW - timedelta(seconds=gap * number) for number in range(int(2400 / gap))]
        told = [numbered(number, last_updated_date=f"{at:%Y-%m-%dT%H:%M:%SZ}") for number, at in enumerate(moments)]

        async def answer(asked: Asked) -> web.Response:
            since, offset = asked.query["start_update_date"], int(asked.query["offset"])
            rows = [each for each in told if each["last_updated_date"] >= since]
            body = {"orders": rows[offset : offset + 100], "total_count": len(rows)}
            return web.Response(body=msgspec.json.encode(body), content_type="application/json")

        it.marketplace.says("OR11", answer)
        _, cursor = await polled(it)

        async def minutes() -> float:
            """How far back the next poll reaches, from NOW."""
            before = len(it.marketplace.asked)
            await polled(it, cursor=cursor)
            return (NOW - datetime.fromisoformat(it.marketplace.asked[before].query["start_update_date"])).total_seconds() / 60

        assert (await minutes(), await minutes()) == pytest.approx(reaches, abs=0.2)
        it.clock.time += timedelta(minutes=31)
        assert await minutes() >= reaches[0] - 0.2, "and once in a while further"


async def test_a_cursor_is_never_beyond_their_clock_nor_ours():
    async with account() as it:
        it.marketplace.says("OR11", answering("Thu, 13 Aug 2026 08:50:00 GMT"))
        assert (await window(it, None))[1] == "2026-08-13T08:50:00Z", "theirs is ten minutes behind"
        it.marketplace.says("OR11", answering("Thu, 13 Aug 2026 09:10:00 GMT"))
        assert (await window(it, None))[1] == "2026-08-13T09:00:00Z", "theirs is ten minutes ahead"


async def test_a_clock_set_back_leaves_no_gap():
    async with account() as it:
        it.marketplace.says("OR11", answering("Thu, 13 Aug 2026 09:00:00 GMT"))
        start, _ = await window(it, '{"until":"2026-08-13T11:00:00Z"}')
        assert start == "2026-08-13T08:30:00Z"


async def test_what_happens_while_a_call_waits_for_the_limiter_is_heard_by_it(monkeypatch: pytest.MonkeyPatch):
    """The window has no end that was written before the wait, and the cursor moves with the answer."""
    async with account() as it:
        it.marketplace.says("OR11", answering("Thu, 13 Aug 2026 09:01:00 GMT"))
        admit = it.door.admit

        async def wait_a_minute(endpoint: Endpoint) -> None:
            it.clock.time += timedelta(minutes=1)
            await admit(endpoint)

        monkeypatch.setattr(it.door, "admit", wait_a_minute)
        assert await window(it, '{"until":"2026-08-13T09:00:00Z"}') == ("2026-08-13T08:30:00Z", "2026-08-13T09:01:00Z")


async def test_a_poll_that_fails_moves_nothing():
    async with account() as it:
        it.marketplace.says("OR11", 503)
        with pytest.raises(UnavailableError):
            await it.source("orders").poll('{"until":"2026-08-13T08:00:00Z"}')


async def test_how_often_is_a_setting_and_the_ceiling_is_the_keys():
    async with account(orders_every=900.0, orders_ceiling=900.0) as it:
        source = it.source("orders")
        assert (source.name, source.target, source.every) == ("mirakl:asos:orders", "mirakl:asos", 900.0)
        assert (it.mirakl.client.list_orders.calls, it.mirakl.client.list_orders.per) == (1, 900.0)
    async with account(orders_ceiling=1.0) as it:
        assert it.mirakl.client.list_orders.per == 60.0, "below what is published no setting goes"


async def test_what_a_clock_that_ran_ahead_said_does_not_outlast_it():
    """Else every change until our clock has caught up would be older than what is known, and no news."""
    async with account() as it:
        ahead = written(NOW + timedelta(minutes=10))
        order = numbered(1, order_state="WAITING_DEBIT_PAYMENT", created_date=ahead, last_updated_date=ahead)
        it.marketplace.says("OR11", {"orders": [order], "total_count": 1})
        sight = await it.source("orders").poll(None)
        moved = [each.fact for each in sight.heard if isinstance(each.fact.event, OrderStateChanged)]
        by_ours = NOW - LEAST  # which may be ahead itself of what theirs is as a rule: nothing that truly comes is older then
        assert [fact.occurred_at for fact in moved] == [by_ours]
        assert all(each.fact.occurred_at <= by_ours for each in sight.heard if each.same), "of others a repeat must be the same fact"
        told = {each.fact.event_id for each in sight.heard}
        assert {each.fact.correlation_id for each in sight.heard} <= {None, *told}, "what begins their story keeps its id"

        it.clock.time += timedelta(minutes=11)  # the same moment of theirs, ahead of us no more: what was told wrongly is put right
        again = await it.source("orders").poll(None)
        later = [each.fact for each in again.heard if isinstance(each.fact.event, OrderStateChanged)]
        assert [fact.event for fact in later] == [fact.event for fact in moved]
        assert later[0].event_id != moved[0].event_id, "what is known by its id is dropped"
