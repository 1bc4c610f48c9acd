"""An outside system that will not be prepared: people are told, and it is asked no more often than it can bear."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.alarm import Alarm
from engine.errors import AdapterError, AuthError, RejectedError, ThrottledError, UnavailableError
from engine.ports import SystemClock
from ops.service import Ports, Service
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from tests.conftest import Database
from tests.machine import machine

pytestmark = pytest.mark.anyio


class Unprepared:
    """An outside system that fails so often, each time in this way."""

    target = "shopify"

    def __init__(self, fails: int, error: AdapterError, looked: Callable[[], None]) -> None:
        self.fails, self.error, self.looked = fails, error, looked

    async def prepare(self) -> None:
        if self.fails:
            self.fails -= 1
            raise self.error
        self.looked()


@pytest.mark.parametrize(
    ("error", "code", "pauses"),
    [
        (AuthError("ACCESS_DENIED"), "X76", [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]),
        (RejectedError("no such namespace"), "X79", [60.0, 120.0]),
        (UnavailableError("not reached"), "X78", [0.2, 1.0, 2.0, 5.0, 5.0]),
        (UnavailableError("not reached"), "", [0.2, 1.0, 2.0, 5.0]),
        (ThrottledError("too fast", retry_after=30.0), "", [30.0, 30.0]),
    ],
)
async def test_whoever_is_not_prepared_is_told_of_until_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: AdapterError, code: str, pauses: list[float]
) -> None:
    port: Any = None
    it, paused, in_the_way = Service(port, {}, Ports(SystemClock(), port, port, port, port), bytes(32)), list[float](), list[Any]()

    async def pause(_: Service, seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr(Service, "_pause", pause)
    it._missing.clear()
    async with machine(database) as engine:
        adapter: Any = Unprepared(len(pauses), error, lambda: in_the_way.append(dict(it._in_the_way(engine.log))))
        async with engine.lease(adapter.target) as fence:
            await it._prepared(adapter, Alarm(engine.log, engine.clock, adapter.target, "shopify:prepare"), fence)
        told = await engine.events()
        assert in_the_way == [{}], "webhooks are taken all the same"
    assert paused == pauses
    match told:
        case [ExceptionOpened() as opened, ExceptionClosed() as closed]:
            assert (opened.code, opened.key, closed.key) == (code, f"{code}:shopify:prepare", opened.key)
            assert opened.summary == f"shopify is not prepared: {error.detail}"
        case _:
            assert (told, code) == ([], "")
