"""Whatever is sent, in whatever state: it is read, or refused in our own words, and soon.

CROSSDOCK_THOROUGH=20 tries twenty times as much.
"""

import os
from collections.abc import Callable

import pytest

from engine.errors import AdapterError
from tests.contract import fuzz
from tests.recorded.calls import Stage, kept_calls

pytestmark = pytest.mark.anyio

THOROUGH = int(os.environ.get("CROSSDOCK_THOROUGH", "1"))
BODIES, ANSWERS = 170_000 * THOROUGH, 34_000 * THOROUGH
SEED = 20261125


def passed(tried: fuzz.Tried, figure: Callable[[str], None]) -> None:
    figure(f"decoder fuzz: {tried.tell()}")
    kinds: dict[tuple[str, str], fuzz.Found] = {}
    for each in tried.found:
        kinds.setdefault((each.what, each.error[:60]), each)
    assert not kinds, "\n".join(map(str, kinds.values()))


def test_no_broken_body_is_more_than_is_refused(figure: Callable[[str], None]) -> None:
    passed(fuzz.break_bodies(BODIES, SEED, fuzz.cases()), figure)


async def test_no_broken_answer_is_more_than_is_refused(figure: Callable[[str], None]) -> None:
    passed(await fuzz.break_answers(ANSWERS, SEED), figure)


async def test_unbroken_answers_are_read() -> None:
    """Or else a fuzz that only ever sees refusals would be content."""
    stage = Stage(kept_calls())
    refused = list[str]()
    with stage.files():
        for call in kept_calls():
            try:
                await stage.play(call, [answer.body.encode() for answer in call.answers])
            except AdapterError as error:
                if all(answer.status < 300 for answer in call.answers):
                    refused.append(f"{call.shape}: {error}")
    assert len(refused) <= len(kept_calls()) // 10, "\n".join(refused)
