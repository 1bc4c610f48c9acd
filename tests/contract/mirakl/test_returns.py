"""Returns: heard by RT11 where the marketplace runs them, answered by RT21, RT25 and RT26."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from engine.adapter import Done, Effect, Refused
from engine.errors import UnavailableError, UnknownOutcomeError
from schemas.events.aftercare import ReturnAnswered, ReturnSeen
from schemas.events.channels import PlatformSeen
from schemas.events.exceptions import ExceptionOpened
from tests.contract.mirakl.asking import ASOS, FIRST, ORDER, RECEIVED, SECOND
from tests.contract.mirakl.marketplace import Account, Asked, account
from tests.contract.mirakl.payloads import RETURN, Payload

pytestmark = pytest.mark.anyio


def answered(answer: str) -> Done:
    event = ReturnAnswered(channel=ASOS, order_id=ORDER, return_id="ret-1", answer=answer)
    return Done((Effect(event, f"ret-1:{answer}"),))


def saying(answer: str, *lines: Any) -> Any:
    return msgspec.structs.replace(RECEIVED, answer=answer, lines=lines)


@pytest.mark.parametrize(
    ("command", "code", "body"),
    [
        (saying("accepted"), "RT21", {"id": "ret-1", "accepted": True}),
        (saying("received"), "RT25", {"id": "ret-1"}),
        (saying("compliant", FIRST), "RT26", {"id": "ret-1", "return_lines": [{"order_line_id": FIRST, "compliant": True}]}),
    ],
)
async def test_each_answer_is_a_call_of_its_own(command: Any, code: str, body: Payload):
    async with account() as it:
        it.marketplace.says(code, {"return_success": [{"id": "ret-1"}], "return_errors": []})
        assert await it.perform(command) == [answered(command.answer)]
        assert it.marketplace.asked[0].body == {"returns": [body]}
        it.marketplace.says(code, {"return_errors": [{"id": "ret-1", "message": "The return of jo@example.com is CLOSED"}]})
        assert await it.perform(command) == [Refused("The return of … is CLOSED")]
        nothings: tuple[Payload, ...] = ({}, {"return_success": [{"id": "another"}]}, {"return_success": 7})
        for nothing in nothings:
            it.marketplace.says(code, nothing)
            with pytest.raises(UnknownOutcomeError):
                await it.perform(command)


async def test_what_is_compliant_is_read_where_it_is_not_said():
    async with account() as it:
        it.marketplace.says("RT26", {"return_success": [{"id": "ret-1"}]})
        it.marketplace.says("RT11", {"data": [RETURN | {"id": "another", "return_lines": []}, RETURN]})
        assert await it.perform(saying("compliant")) == [answered("compliant")]
        [lines] = [each["return_lines"] for each in it.marketplace.of("RT26")[0].body["returns"]]
        assert [each["order_line_id"] for each in lines] == [FIRST, SECOND]
        it.marketplace.says("RT11", {"data": []})
        with pytest.raises(UnavailableError):
            await it.perform(saying("compliant"))
        assert len(it.marketplace.of("RT26")) == 1


async def test_nobody_is_told_what_no_call_can_say():
    async with account() as it:
        [answer] = await it.perform(saying("eaten"))
        assert isinstance(answer, Refused) and answer.field == "answer" and it.marketplace.asked == []


@pytest.mark.parametrize(
    ("answer", "more", "seen"),
    [
        ("accepted", {"state": "IN_PROGRESS"}, True),
        ("accepted", {"state": "RECEIVED"}, True),
        ("accepted", {"state": "WAITING_ACCEPTANCE"}, False),
        ("accepted", {"state": "REFUSED"}, False),
        ("received", {"state": "IN_PROGRESS"}, False),
        ("received", {"state": "CLOSED"}, True),
        ("received", {"state": None}, False),
        ("compliant", {}, False),
        ("compliant", {"return_lines": [{"order_line_id": FIRST, "compliance": [{"compliant": True}]}]}, True),
        ("compliant", {"return_lines": [{"order_line_id": FIRST, "compliance": [{"compliant": True}, {"compliant": False}]}]}, False),
        ("compliant", {"return_lines": []}, False),
    ],
)
async def test_whether_it_was_said_is_seen_by_the_return(answer: str, more: Payload, seen: bool):
    async with account() as it:
        it.marketplace.says("RT11", {"data": [RETURN | more]})
        assert await it.look(saying(answer)) == (answered(answer) if seen else None)
        assert it.marketplace.asked[0].query["return_id"] == "ret-1"
        it.marketplace.says("RT11", {"data": []})
        assert await it.look(saying(answer)) is None


# ---------------------------------------------------------------- heard


def runs_returns(it: Account, *, returns: bool = True) -> None:
    it.mirakl.client.platform = PlatformSeen(channel=ASOS, multi_shipment=False, returns=returns)


async def test_returns_are_heard_by_the_date_of_their_last_change():
    async with account(first_look_days=2) as it:
        runs_returns(it)
        it.marketplace.says("RT11", {"data": [RETURN, RETURN | {"id": "ret-2", "state": None}]})
        source = it.source("returns")
        sight = await source.poll(None)
        assert [type(each.fact.event) for each in sight.heard] == [ReturnSeen, ExceptionOpened]
        assert sight.cursor == '{"until":"2026-08-13T09:00:00Z"}' and source.every == 900.0
        assert it.marketplace.asked[-1].query["return_last_updated_from"] == "2026-08-11T09:00:00Z"
        it.clock.time += timedelta(minutes=15)
        await source.poll(sight.cursor)
        assert it.marketplace.asked[-1].query["return_last_updated_from"] == "2026-08-13T08:30:00Z"


async def test_all_pages_of_returns_are_read():
    async def answer(asked: Asked) -> Payload:
        number = int(asked.query.get("page_token", 0))
        return {"data": [RETURN | {"id": f"ret-{number}"}], "next_page_token": str(number + 1) if number < 2 else None}

    async with account() as it:
        runs_returns(it)
        it.marketplace.says("RT11", answer)
        sight = await it.source("returns").poll(None)
        assert [each.fact.event.return_id for each in sight.heard] == ["ret-0", "ret-1", "ret-2"]
        bad: tuple[Payload, ...] = ({"data": None}, {"data": [], "next_page_token": "for ever"})
        for each in bad:
            it.marketplace.says("RT11", each)
            with pytest.raises(UnavailableError):
                await it.source("returns").poll(None)


async def test_where_there_are_no_returns_nobody_asks():
    async with account() as it:
        source = it.source("returns")
        assert (await source.poll(None)).cursor == "" and source.every == 60.0, "not known yet"
        runs_returns(it, returns=False)
        assert (await source.poll("")).cursor == "" and source.every == 900.0
        assert it.marketplace.asked == []
        runs_returns(it)
        it.marketplace.says("RT11", {"data": []})
        await source.poll("")
        assert it.marketplace.asked[-1].query["return_last_updated_from"] == "2026-07-30T09:00:00Z", "from the first look on"
