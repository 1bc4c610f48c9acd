"""What others write is printed as they wrote it: square brackets in it are no instructions to the terminal."""

from uuid import UUID

import pytest

from ops.desk import print_troubles
from ops.report import paper
from ops.trace import Step, print_story
from projections.exceptions import Trouble

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
