"""The hourly count of orders, and that it never takes a poll's turn."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from engine.errors import UnavailableError
from schemas.events.channels import OrdersCounted
from tests.contract.mirakl.marketplace import Account, account

pytestmark = pytest.mark.anyio


async def counted(it: Account, cursor: str | None, count: Any = 7) -> tuple[OrdersCounted | None, str]:
    it.marketplace.says("OR11", {"orders": [], "total_count": count})
    sight = await it.source("count").poll(cursor)
    told = [each.fact.event for each in sight.heard]
    return (told[0] if told else None), sight.cursor


async def polled(it: Account) -> None:
    it.marketplace.says("OR11", {"orders": [], "total_count": 0})
    await it.source("orders").poll(None)


def cursor(moment: str) -> str:
    return f'{{"until":"{moment}"}}'


async def test_an_hour_is_counted_once_it_is_over_and_settled():
    async with account() as it:
        first = await counted(it, None)
        assert first == (None, cursor("2026-08-13T09:00:00Z")) and it.marketplace.asked == []
        it.clock.time += timedelta(hours=1, minutes=29)
        await polled(it)
        assert (await counted(it, first[1]))[0] is None and it.source("count").every == 60.0
        it.clock.time += timedelta(minutes=1)
        await polled(it)
        told, then = await counted(it, first[1])
        assert told is not None and (told.since.isoformat(), told.until.isoformat()) == (
            "2026-08-13T09:00:00+00:00",
            "2026-08-13T10:00:00+00:00",
        )
        assert told.count == 7 and then == cursor("2026-08-13T10:00:00Z")
        query = it.marketplace.asked[-1].query
        assert (query["start_date"], query["end_date"], query["max"]) == ("2026-08-13T09:00:00.000Z", "2026-08-13T09:59:59.999Z", "1")


async def test_a_poll_is_never_kept_waiting():
    async with account() as it:
        it.clock.time += timedelta(hours=3)
        assert (await counted(it, cursor("2026-08-13T09:00:00Z")))[0] is None, "nobody has polled yet"
        await polled(it)
        it.clock.time += timedelta(seconds=200)
        assert (await counted(it, cursor("2026-08-13T09:00:00Z")))[0] is None, "the next poll is too near"
        assert it.source("count").every == 60.0
        it.clock.time += timedelta(seconds=100)
        await polled(it)
        assert (await counted(it, cursor("2026-08-13T09:00:00Z")))[0] is not None


async def test_after_a_long_time_days_are_counted_each_to_its_own_midnight():
    spans = ["2026-08-13T09:00:00Z", "2026-08-14T00:00:00Z", "2026-08-15T00:00:00Z", "2026-08-15T01:00:00Z"]
    async with account() as it:
        it.clock.time += timedelta(days=2, hours=15)
        for since, until in itertools.pairwise(spans):
            await polled(it)
            told, then = await counted(it, cursor(since))
            assert told is not None and then == cursor(until)
            assert it.marketplace.asked[-1].query["start_date"] == since.replace("Z", ".000Z")


@pytest.mark.parametrize("settings", [{"orders_every": 60.0}, {"orders_every": 900.0, "orders_ceiling": 900.0}])
async def test_where_polls_leave_no_room_a_day_is_counted_at_once(settings: dict[str, float]):
    async with account(**settings) as it:
        assert (await counted(it, None))[1] == cursor("2026-08-13T00:00:00Z")
        it.clock.time += timedelta(hours=3)
        await polled(it)
        assert (await counted(it, cursor("2026-08-13T00:00:00Z")))[0] is None
        it.clock.time += timedelta(days=1)
        await polled(it)
        told, _ = await counted(it, cursor("2026-08-13T00:00:00Z"))
        assert told is not None and told.until - told.since == timedelta(days=1)


async def test_a_list_without_its_count_counts_for_nothing():
    async with account() as it:
        it.clock.time += timedelta(hours=3)
        await polled(it)
        with pytest.raises(UnavailableError):
            await counted(it, cursor("2026-08-13T09:00:00Z"), count=None)
