"""Listens to both adapters at work, and keeps each kind of call with what was answered.

    python -m tests.recorded.listen             plays four days of trade against the sandbox, runs the contract tests, and adds calls of a
                                                shape that calls.jsonl has not got yet, and histories that are not there
    python -m tests.recorded.listen TEST …      listens to these tests instead

What is there is never altered.
"""

import asyncio
import contextlib
import contextvars
import dataclasses
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from adapters import download, http
from adapters.mirakl import Mirakl
from adapters.shopify import Shopify
from engine.adapter import Endpoint, Task
from engine.migrate import migrate
from ops import service
from ops.postgres import EmbeddedPostgres
from schemas.envelope import Envelope
from schemas.events import tag_of
from tests.recorded.calls import CALLS, FILE, Answered, Asked, Call, kept_calls
from tests.recorded.record import history_file, write_history
from tests.trade.test_both_at_once import KINDS, ORDERS, day_of

LONGEST, BEARABLE = 60_000, 9_000  # bytes of answers in a call that is kept, at most and where there is a choice
KEPT_HEADERS = ("Content-Type", "Date")

_under_way: contextvars.ContextVar[list[Answered] | None] = contextvars.ContextVar("answers of the call under way", default=None)
_answer: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("the answer being read", default=None)


class Tap:
    """Listens to adapters at work."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def on(self, adapter: Any) -> Any:
        """The same adapter, listened to."""
        name = "shopify" if adapter.target == "shopify" else "mirakl" if adapter.target.startswith("mirakl") else ""
        if not name:
            return adapter
        for source in adapter.sources:
            source.poll = self._poll(name, source.name, source.poll)
        for reader in adapter.readers:
            reader.read = self._read(name, reader.name, reader.read)
        for kind in ("prepare", "probe"):
            setattr(adapter, kind, self._at_start(name, kind, getattr(adapter, kind)))
        adapter.performs = {
            kind: dataclasses.replace(
                performer,
                perform=self._perform(name, tag_of(kind), performer.perform),
                look=self._look(name, tag_of(kind), performer.look) if performer.look else None,
            )
            for kind, performer in adapter.performs.items()
        }
        return adapter

    async def _heard(self, work: Callable[[], Awaitable[Any]], of: Callable[[list[Answered]], Call]) -> Any:
        answers = list[Answered]()
        token = _under_way.set(answers)
        try:
            return await work()
        finally:
            _under_way.reset(token)
            if answers and (call := of(answers)).size <= LONGEST:
                self.calls.append(call)

    def _at_start(self, adapter: str, kind: str, work: Any) -> Any:
        async def tapped() -> Any:
            return await self._heard(work, lambda answers: Call(adapter, kind, kind, answers))

        return tapped

    def _poll(self, adapter: str, name: str, poll: Any) -> Any:
        async def tapped(cursor: str | None) -> Any:
            return await self._heard(lambda: poll(cursor), lambda answers: Call(adapter, "poll", name, answers, cursor=cursor))

        return tapped

    def _read(self, adapter: str, name: str, read: Any) -> Any:
        async def tapped(hints: Sequence[Envelope]) -> Any:
            events = [envelope.event for envelope in hints]
            return await self._heard(lambda: read(hints), lambda answers: Call(adapter, "read", name, answers, hints=events))  # type: ignore[arg-type]

        return tapped

    def _perform(self, adapter: str, name: str, perform: Any) -> Any:
        async def tapped(client: Any, tasks: Sequence[Task[Any]]) -> Any:
            asked = [_asked(each) for each in tasks]
            return await self._heard(lambda: perform(client, tasks), lambda answers: Call(adapter, "perform", name, answers, tasks=asked))

        return tapped

    def _look(self, adapter: str, name: str, look: Any) -> Any:
        async def tapped(client: Any, task: Task[Any]) -> Any:
            asked = [_asked(task)]
            return await self._heard(lambda: look(client, task), lambda answers: Call(adapter, "look", name, answers, tasks=asked))

        return tapped


def _asked(task: Task[Any]) -> Asked:
    return Asked(task.command_id, task.command, task.attempt, task.called)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Every answer that is read is put down with the call that it belongs to."""
    answered, read, lines = http.Http._answer, http._read, download.Download.lines

    async def _answered(self: Any, endpoint: Endpoint, response: Any, expect: Any, most: int) -> Any:
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        token = _answer.set({"code": endpoint.code, "status": response.status, "headers": headers})
        try:
            return await answered(self, endpoint, response, expect, most)
        finally:
            _answer.reset(token)

    async def _whole(response: Any, most: int = http.MAX_BODY) -> bytes:
        body = await read(response, most)
        answers, about = _under_way.get(), _answer.get()
        if answers is not None and about is not None:
            answers.append(Answered(body=body.decode(errors="replace"), **about))
        return body

    async def _lines(self: Any, address: str) -> AsyncGenerator[bytes, None]:
        found = list[bytes]()
        async for line in lines(self, address):
            found.append(line)
            yield line
        if (answers := _under_way.get()) is not None:
            answers.append(Answered(FILE, 200, {}, b"\n".join(found).decode()))

    http.Http._answer, http._read, download.Download.lines = _answered, _whole, _lines  # type: ignore[method-assign]
    try:
        yield
    finally:
        http.Http._answer, http._read, download.Download.lines = answered, read, lines  # type: ignore[method-assign]


async def days(tap: Tap, histories: dict[str, list[Envelope]]) -> None:
    """Four days on which everybody works on the same orders at the same time, each on a marketplace of another kind."""
    built_adapters = service.adapters_of
    service.adapters_of = lambda *arguments, **more: [tap.on(each) for each in built_adapters(*arguments, **more)]
    with tempfile.TemporaryDirectory(prefix="crossdock-calls-") as room, EmbeddedPostgres(Path(room) / "postgres", durable=False) as server:
        for place, kind in enumerate(KINDS):
            admin = server.url("postgres")
            await _execute(admin, f"CREATE DATABASE day_{place}")
            await migrate(server.url(f"day_{place}"))
            directory = Path(room) / f"day-{place}"
            directory.mkdir()
            async with day_of(server.url(f"day_{place}", "crossdock_engine"), directory, kind, place, ORDERS) as built:
                envelopes = await built.log.read(0, await built.log.head())
            histories[kind.replace(" ", "-")] = envelopes


async def _execute(url: str, statement: str) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()


def chosen(calls: Sequence[Call], known: Sequence[Call]) -> list[Call]:
    """One of each shape that is not known yet: the longest of bearable length, for there is something in it."""
    shapes = {call.shape for call in known}
    best: dict[tuple[str, ...], Call] = {}
    for call in calls:
        if call.shape not in shapes:
            before = best.setdefault(call.shape, call)
            best[call.shape] = max(before, call, key=lambda each: size if (size := each.size) <= BEARABLE else -size)
    return [best[shape] for shape in sorted(best)]


class Listening:
    """A plugin for pytest: taps every adapter that a test makes."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def pytest_sessionstart(self) -> None:
        for kind in (Shopify, Mirakl):
            made = kind.__init__

            def make(adapter: Any, *arguments: Any, made: Any = made, **more: Any) -> None:
                made(adapter, *arguments, **more)
                self._tap.on(adapter)

            kind.__init__ = make  # type: ignore[assignment,method-assign]


def main(tests: Sequence[str]) -> None:
    tap, histories = Tap(), dict[str, list[Envelope]]()
    quietly = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    with listening():
        if not tests:
            asyncio.run(days(tap, histories))
        pytest.main([*quietly, *(tests or ("tests/contract/shopify", "tests/contract/mirakl"))], plugins=[Listening(tap)])
    known = kept_calls()
    new = chosen(tap.calls, known)
    with CALLS.open("ab") as file:
        file.writelines(msgspec.json.encode(call) + b"\n" for call in new)
    for name, envelopes in histories.items():
        if not history_file(name).exists():
            write_history(name, envelopes)
    told = Counter(call.shape[:3] for call in (*known, *new))
    sys.stdout.write(f"{len(tap.calls):,} calls heard, {len(new)} of a new shape, {len(told)} kinds kept\n")


if __name__ == "__main__":
    main(sys.argv[1:])
