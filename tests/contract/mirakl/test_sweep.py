"""The daily export: asked for with both dates, followed at the published rates, each file read once, begun anew where it is lost."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.mirakl.inbound import sweep
from engine.adapter import Sight
from engine.errors import RejectedError, UnavailableError, UnknownOutcomeError
from schemas.events.exceptions import ExceptionOpened
from schemas.events.orders import OrderPlaced
from tests.contract.mirakl.marketplace import FILES, HANG_UP, Account, account, refusal, text
from tests.contract.mirakl.payloads import Payload, line, order

pytestmark = pytest.mark.anyio


def numbered(*numbers: int) -> Payload:
    return {"orders": [order(line(order_line_id=f"{n}-1"), order_id=f"{n:05}-A", commercial_id=f"{n:05}") for n in numbers]}


class Sweep:
    """The source with its cursor, and what it has heard."""

    def __init__(self, it: Account) -> None:
        self.it, self.source = it, it.source("sweep")
        self.cursor: str | None = None
        self.heard: list[int] = []

    async def poll(self, **after: float) -> Sight:
        """And once more at once, where it was only written down that a file is about to be asked for."""
        self.it.clock.time += timedelta(**after)
        sight: Sight = await self.source.poll(self.cursor)
        taken, self.cursor = self.taken, sight.cursor
        if self.taken and not taken:
            sight = await self.source.poll(self.cursor)
            self.cursor = sight.cursor
        self.heard += [int(each.fact.event.commercial_id) for each in sight.heard if isinstance(each.fact.event, OrderPlaced)]
        return sight

    @property
    def taken(self) -> bool:
        return bool(self.at.get("asked", {}).get("taken"))

    @property
    def at(self) -> Any:
        return msgspec.json.decode(self.cursor or "{}")


def ready(it: Account, *files: str) -> None:
    """An export that is there at once."""
    it.marketplace.says("OR13", {"tracking_id": "t-1"})
    it.marketplace.says("OR14", {"status": "COMPLETED", "urls": [f"https://other.test{FILES}{name}?sig=a%2Fb" for name in files]})


async def test_an_export_is_asked_for_with_both_dates():
    async with account(first_look_days=2) as it:
        ready(it)
        them = Sweep(it)
        assert (await them.poll()).heard == () and them.source.every == 10.0
        body = {"start_update_date": "2026-08-11T09:00:00Z", "end_update_date": "2026-08-13T09:00:00Z"}
        assert it.marketplace.asked[0].body == body | {"megabytes_per_chunk": 10, "order_tax_mode": "TAX_INCLUDED"}


async def test_it_is_followed_until_it_is_there_and_read_file_by_file():
    async with account() as it:
        ready(it, "a", "b")
        it.marketplace.says("OR14", {"status": "PENDING"}, {"status": "SLEEPING"}, it.marketplace.answers["OR14"][0])
        it.marketplace.says("OR15", numbered(1, 2), numbered(3))
        them = Sweep(it)
        for _ in range(3):
            await them.poll(seconds=10)
            assert them.heard == [] and them.source.every == 10.0
        await them.poll(seconds=10)
        assert them.heard == [1, 2] and them.at["asked"]["file"] == 1
        await them.poll(seconds=10)
        await them.poll(seconds=10)
        assert them.heard == [1, 2, 3] and them.at == {"swept": "2026-08-13T09:00:10Z", "due": "2026-08-14T09:00:10Z"}
        assert [asked.path["file"] for asked in it.marketplace.of("OR15")] == ["a", "b"], "at our own host, whichever it named"
        assert them.source.every == pytest.approx(86350.0)


async def test_a_file_is_heard_in_helpings_and_downloaded_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sweep, "AT_ONCE", 3)
    async with account() as it:
        ready(it, "a")
        it.marketplace.says("OR15", numbered(*range(8)))
        them = Sweep(it)
        await them.poll()
        for upto in (3, 6, 8):
            await them.poll(seconds=1)
            assert them.heard == list(range(upto))
        assert len(it.marketplace.of("OR15")) == 1 and len(it.marketplace.of("OR14")) == 1
        await them.poll(seconds=10)
        assert "asked" not in them.at and them.source._export._file is None


async def test_after_a_restart_between_two_files_it_goes_on_where_it_was():
    async with account() as it:
        ready(it, "a", "b")
        it.marketplace.says("OR15", numbered(*range(5)))
        before = Sweep(it)
        await before.poll()
        await before.poll(seconds=10)
    async with account() as it:
        ready(it, "a", "b")
        it.marketplace.says("OR15", numbered(7))
        them = Sweep(it)
        them.cursor = before.cursor
        for _ in range(2):
            await them.poll(seconds=10)
        assert before.heard + them.heard == [*range(5), 7] and it.marketplace.of("OR13") == []
        assert [asked.path["file"] for asked in it.marketplace.of("OR15")] == ["b"]


@pytest.mark.parametrize("heard", [False, True], ids=["before its answer", "amid what it brought"])
async def test_a_file_that_somebody_stopped_at_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch, heard: bool):
    """Each file may be had once, and nobody knows whether the one who stopped had asked: another export is asked for."""
    monkeypatch.setattr(sweep, "AT_ONCE", 3)
    async with account() as it:
        ready(it, "a")
        it.marketplace.says("OR15", numbered(*range(5)))
        before = Sweep(it)
        await before.poll()
        if heard:
            await before.poll(seconds=10)
        else:
            before.cursor = (await before.source.poll(before.cursor)).cursor
        assert before.taken and before.heard == ([0, 1, 2] if heard else [])
    async with account() as it:
        ready(it, "a")
        it.marketplace.says("OR15", numbered(*range(5)))
        them = Sweep(it)
        them.cursor = before.cursor
        await them.poll(seconds=10)
        assert it.marketplace.of("OR15") == [] and "asked" not in them.at
        await them.poll(minutes=16)
        for _ in range(2):
            await them.poll(seconds=10)
        assert them.heard == [*range(5)] and len(it.marketplace.of("OR13")) == 1


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("OR14", {"status": "FAILED", "error": {"code": "1"}}),
        ("OR14", {"status": "CANCELED"}),
        ("OR14", refusal(404, "no such export")),
        ("OR15", refusal(410, "gone")),
        ("OR14", {"status": "COMPLETED", "urls": ["javascript:1"]}),
    ],
)
async def test_an_export_that_is_lost_begins_anew(code: str, answer: Any):
    async with account() as it:
        ready(it, "a")
        it.marketplace.says("OR15", 404)
        it.marketplace.says(code, answer)
        them = Sweep(it)
        them.cursor = '{"swept":"2026-08-12T09:00:00Z"}'
        await them.poll()
        await them.poll(seconds=10)
        assert them.at == {"swept": "2026-08-12T09:00:00Z", "due": "2026-08-13T09:15:10Z"} and them.source.every == 900.0
        await them.poll(minutes=14)
        assert len(it.marketplace.of("OR13")) == 1
        await them.poll(minutes=2)
        assert it.marketplace.of("OR13")[1].body["start_update_date"] == "2026-08-11T09:00:00Z", "from the last whole one, and a day more"


async def test_an_export_that_never_comes_is_given_up():
    async with account() as it:
        ready(it)
        it.marketplace.says("OR14", {"status": "PENDING"})
        them = Sweep(it)
        await them.poll()
        await them.poll(hours=5)
        assert "asked" in them.at
        await them.poll(hours=2)
        assert "asked" not in them.at


@pytest.mark.parametrize("bad", [503, text(b"<html>", "text/html"), {"orders": 7}])
async def test_a_file_whose_answer_was_lost_is_asked_for_in_another_export(bad: Any):
    """Each file may be had once: asked for again it is refused for ever."""
    async with account() as it:
        ready(it, "a")
        it.marketplace.says("OR15", bad, numbered(1))
        them = Sweep(it)
        await them.poll()
        await them.poll(seconds=10)
        assert "asked" not in them.at and len(it.marketplace.of("OR15")) == 1
        await them.poll(minutes=16)
        await them.poll(seconds=10)
        assert them.heard == [1] and len(it.marketplace.of("OR13")) == 2


async def test_an_order_that_cannot_be_read_holds_up_no_other():
    async with account() as it:
        ready(it, "a")
        it.marketplace.says("OR15", {"orders": [order(currency_iso_code=None), *numbered(2)["orders"]]})
        them = Sweep(it)
        await them.poll()
        sight = await them.poll(seconds=10)
        assert isinstance(sight.heard[0].fact.event, ExceptionOpened) and them.heard == [2]
        quarantined = it.metrics.registry.get_sample_value("crossdock_quarantined_total", {"source": "mirakl", "type": "OR15"})
        assert quarantined == 1


async def test_an_export_that_may_have_been_taken_moves_no_cursor():
    async with account() as it:
        them = Sweep(it)
        answers: tuple[tuple[Any, type[Exception]], ...] = (
            (HANG_UP, UnknownOutcomeError),
            ({}, UnavailableError),
            (refusal(400, "Only one export request can be created"), RejectedError),
        )
        for answer, error in answers:
            it.marketplace.says("OR13", answer)
            with pytest.raises(error):
                await them.poll()
        assert them.cursor is None
