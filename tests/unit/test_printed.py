"""What others write is printed as they wrote it, and what is to be copied stays in one piece, however narrow the terminal."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import fields, replace
from rich.console import Console

from ops.demo.board import print_result
from ops.demo.proof import Result
from ops.desk import Desk, print_troubles
from ops.explain import Asked, Basis, Explained, Line, print_asked
from ops.paper import paper
from ops.recompute import Checked, print_checked
from ops.report import queued
from ops.sentences import describe
from ops.trace import Step, print_story
from projections.exceptions import Trouble
from schemas.events.privacy import PrivacyAnswered, SubjectErased
from schemas.values import ChannelId, Sku
from tests.examples import NOON

TEXT = "Shopify refuses [bold] sizes [/x] of [TEE]"


def test_a_story_and_an_exception_are_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    at = "2026-11-20T12:00:00.000Z"
    print_story(
        paper(),
        "1",
        [Step(position=1, recorded_at=at, occurred_at=at, who="x", what=TEXT, why=None, type="t", event={}, event_id=UUID(int=1))],
    )
    assert TEXT in capsys.readouterr().out
    print_troubles(paper(), [Trouble(key="X28:a", open=True, code="X28", summary=TEXT)])
    assert TEXT in capsys.readouterr().out


def test_the_key_of_an_exception_is_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    key = f"X39:order-asos:{'1' * 60}-A:create_shop_order"
    print_troubles(Console(width=40), [Trouble(key=key, open=True, code="X39", summary="not created", owner="ENG", next_step="look")])
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [f"{key}  ENG", "not created", "look"]


@pytest.mark.parametrize("width", [40, 80])
def test_what_matters_has_room_in_a_narrow_terminal(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    at, line = "2026-11-20T12:00:00.000Z", "100000000000000001000001"
    step = Step(position=1, recorded_at=at, occurred_at=at, who="x", what=TEXT, why=None, type="t", event={}, event_id=UUID(int=1))
    print_story(Console(width=width), "1", [replace(step, what=f"line {line} is WAITING_ACCEPTANCE", who="mirakl:asos")])
    basis, sku = Basis(326, at, at, "Shopify counts 22 available (contains asos:1001-XK-01001-A)"), Sku("A")
    worked = (Line("level", 22, f"at location {line}", sku, (basis,)), Line("left", 22, "never below zero", sku, ()))
    told = {"file": basis, "sent": 22, "recomputed": 22, "agrees": True, "as_of": 1, "orders_at": "", "rules": None, "outcome": None}
    it = Explained(channel=ChannelId("asos"), lines=worked, wanted=22, **told)  # type: ignore[arg-type]
    print_asked(Console(width=width), Asked(sku=sku, position=1, channels=(it,), silent=(), known=True))
    said = capsys.readouterr().out
    assert "…" not in said and "WAITING_ACCEPTANCE" in said and said.count("In a wider terminal also:") == (2 if width == 40 else 1)
    assert "level" in said and "never below zero" in said and (line in said or width == 40)


def test_a_line_for_a_pipe_is_as_long_as_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    ones: dict[str, Any] = {each.name: 1 for each in fields(Result)} | {"rules_broken": ()}
    result, summary = Result(**ones), " ".join(["told"] * 50)
    print_result(result, "", None)
    print_troubles(paper(), [Trouble(key="X28:a", open=True, code="X28", summary=summary)])
    lines = capsys.readouterr().out.splitlines()
    assert {line[4:] for line in lines} > set(result.claims()) and f"  {summary}" in lines
    assert lines == [line.rstrip() for line in lines]


def test_reminders_are_no_commands_that_wait() -> None:
    row = {"target": "clock", "class": "A", "state": "waiting", "depth": 34}
    assert queued(row) == "34 reminders set for later"
    assert queued(row | {"target": "shopify", "class": "D", "depth": 1}) == "1 command (class D) for shopify: waiting"


@pytest.mark.anyio
async def test_what_is_urgent_is_listed_first() -> None:
    """The severity that most have is not stored, which is not to be none."""

    class Stored:
        tenant = "t"

        async def fetch(self, *_: Any) -> list[dict[str, bytes]]:
            found = (
                Trouble(key="a", open=True, severity=4),
                Trouble(key="b", open=True),
                Trouble(key="c", open=True, deadline=NOON + timedelta(hours=1)),
                Trouble(key="d", open=True, deadline=NOON),
                Trouble(key="e", open=True, severity=1),
            )
            return [{"document": msgspec.json.encode(each)} for each in found]

    stored: Any = Stored()
    desk = Desk(stored, stored, stored, NOON, "ines")
    assert [trouble.key for trouble in await desk.troubles(closed=False)] == ["e", "d", "c", "b", "a"]


def test_of_one_thing_no_more_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    one: dict[str, Any] = {each.name: 1 for each in fields(Result)} | {"rules_broken": ("O1",), "lenient": False}
    erased, answered = SubjectErased(subject="s", reason="r", sealed=1), PrivacyAnswered(request="r", subjects=1, reason="r")
    print_checked(paper(), Checked(files=1, numbers=1, agrees=True, differences=()))
    said = [*Result(**one).claims(), *(describe(event, {}, Sku("")) for event in (erased, answered)), capsys.readouterr().out]
    assert not [each for each in said if re.search(r"\b1 (marketplace |sealed )?\w+s\b", each)]
