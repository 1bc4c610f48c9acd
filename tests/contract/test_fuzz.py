"""Whatever is sent, in whatever state: it is read, or refused in our own words, and soon.

CROSSDOCK_THOROUGH=20 tries twenty times as much.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import process_time
from typing import Any

import msgspec
import pytest
import structlog

from adapters import http
from adapters.mirakl import endpoints as market_endpoints
from adapters.mirakl.translate import values
from adapters.shopify import endpoints as shop_endpoints
from adapters.shopify import hints
from adapters.shopify.inbound import paging
from engine import codec
from engine.adapter import Endpoint
from engine.errors import AdapterError
from schemas.events import EVENTS
from schemas.values import Money
from tests.contract import fuzz
from tests.recorded.calls import Stage, kept_calls
from tests.thorough import THOROUGH

pytestmark = pytest.mark.anyio

BODIES, ANSWERS = 181_000 * THOROUGH, 20_000 * THOROUGH
SEED = 20261125


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    structlog.configure(processors=[lambda *_: ""], logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


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


def test_every_call_there_is_was_recorded() -> None:
    """Of both systems; but for the second pages of four lists that are hardly ever that long."""
    recorded = {answer.code for call in kept_calls() for answer in call.answers}
    shop = {each.name for each in vars(shop_endpoints).values() if isinstance(each, shop_endpoints.Operation)}
    market = {each.code for each in vars(market_endpoints).values() if isinstance(each, Endpoint)}
    assert (shop | market) - recorded <= {"RefundShipping", "RefundTransactions", "ReverseOrders", "ShelfLines"}


# ---------------------------------------------------------------- it finds what is planted


def _float(raw: Any, _field: str, code: str) -> Money:
    return Money(round(float(bytes(raw)) * 100), code)


def _slow(body: bytes) -> tuple[str, str]:
    until = process_time() + (0.08 if len(body) > 5_000 else 0.0)
    while process_time() < until:
        pass
    return "", ""


PLANTED: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a date beyond reckoning": ("order", lambda it: it.setattr(values, "LATEST", datetime.max.replace(tzinfo=UTC))),
    "an amount by way of a float": ("amount", lambda it: it.setattr(fuzz, "amount", _float)),
    "a stored event decoded bare": (
        "stored order_placed",
        lambda it: it.setattr(codec, "decode", lambda tag, _version, text: msgspec.json.decode(text, type=EVENTS[tag])),
    ),
    "a webhook's date taken on trust": (
        "webhook orders/updated",
        lambda it: it.setattr(hints, "_instant", lambda text: datetime.fromisoformat(text or "2026-08-13T10:00:00+01:00")),
    ),
    "a reader that takes its time": ("refusal", lambda it: it.setattr(http, "complaint", _slow)),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_bug_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named, plant = PLANTED[what]
    plant(monkeypatch)
    chosen = [case for case in fuzz.cases() if case.name == named]
    assert fuzz.break_bodies(10_000, SEED, chosen, enough=1).found


async def test_a_list_without_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "check_that_it_goes_on", lambda *_: None)
    calls = [call for call in kept_calls() if (call.kind, call.name) == ("poll", "shopify:orders")]
    found = (await fuzz.break_answers(2_000, SEED, calls, enough=1)).found
    assert found[0].error == "asks for ever"
