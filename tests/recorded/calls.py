"""Calls of both adapters as they were made in a day's trade and in tests, with what was answered; and the same calls made again, to
answers of our own.

    python -m tests.recorded.calls      plays those days against the sandbox, runs the contract tests, listens to both, and adds calls of a
                                        kind that calls.jsonl has not got yet; or listens to the tests that are named

A call here is what the engine makes of an adapter: a poll, a reading after hints, a command performed, a look whether it was done.
"""

import asyncio
import contextlib
import contextvars
import dataclasses
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from multidict import CIMultiDict

from adapters import download, http
from adapters.mirakl import Mirakl, MiraklSettings
from adapters.shopify import Shopify, ShopifySettings
from engine.adapter import Endpoint, Task
from engine.metrics import Metrics
from engine.ports import SeededRng, TcpNet
from schemas.commands import AnyCommand
from schemas.envelope import Envelope
from schemas.events import AnyEvent, tag_of
from schemas.events.orders import DeliveryAddress
from schemas.values import ChannelId, TenantId
from tests.contract.shopify.shopfront import PassingClock
from tests.loopback import NOW, OpenDoor

CALLS = Path(__file__).parent / "calls.jsonl"
FILE = "file"  # the code of what is downloaded from elsewhere
LONGEST, BEARABLE = 60_000, 9_000  # bytes of answers in a call that is kept, at most and where there is a choice
KEPT_HEADERS = ("Content-Type", "Date")
MOST_ASKED = 300  # answers to one call; more, and it asks for ever
HOME = "http://127.0.0.1:9"
ADDRESS = DeliveryAddress(
    first_name="Ann", last_name="Example", street_1="1 Example Street", city="Leeds", zip_code="LS1 1AA", country="UK", country_code="GB"
)


class Answered(msgspec.Struct, frozen=True):
    """What an outside system answered to one request."""

    code: str  # of the endpoint, or the operation's name
    status: int
    headers: dict[str, str]
    body: str


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command in hand."""

    command_id: UUID
    command: AnyCommand
    attempt: int
    called: bool


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    adapter: str  # shopify, mirakl
    kind: str  # poll, read, perform, look; prepare, probe
    name: str  # of the source or reader, or the command's tag
    answers: list[Answered]
    cursor: str | None = None
    hints: list[AnyEvent] = []
    tasks: list[Asked] = []

    @property
    def size(self) -> int:
        return sum(len(answer.body) for answer in self.answers)

    @property
    def shape(self) -> tuple[str, ...]:
        """Calls of the same shape are of the same kind."""
        return (self.adapter, self.kind, self.name, *sorted({f"{answer.code} {answer.status}" for answer in self.answers}))


def kept_calls() -> list[Call]:
    return [msgspec.json.decode(line, type=Call) for line in CALLS.read_bytes().splitlines()] if CALLS.exists() else []


# ---------------------------------------------------------------- made again


class EndlessError(BaseException):
    """Asks for ever. Nothing of ours catches it."""


class _Content:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), size):
            yield self._body[start : start + size]


class _Response:
    """As much of an answer as ours looks at."""

    def __init__(self, answer: Answered, body: bytes) -> None:
        self.status, self.headers, self.content = answer.status, CIMultiDict(answer.headers), _Content(body)
        self.content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


class EveryWord:
    """Maps in which everything has a word."""

    async def find(self, _channel: ChannelId, kind: str, name: str) -> str | None:
        return {"reason": "17", "carrier": "RM"}.get(kind, name)


class Stage:
    """Both adapters, whose requests are answered from here. Fresh for each call: nothing is remembered from the one before."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._everywhere: dict[str, Answered] = {}
        for call in calls:
            for answer in call.answers:
                self._everywhere.setdefault(answer.code, answer)
        self.asked = 0
        self._left: dict[str, list[tuple[Answered, bytes]]] = {}

    async def play(self, call: Call, bodies: Sequence[bytes]) -> Any:
        """The same call, answered with these bodies in the place of those recorded. Raises whatever the adapter raises."""
        left: dict[str, list[tuple[Answered, bytes]]] = defaultdict(list)
        for answer, body in zip(call.answers, bodies, strict=True):
            left[answer.code].append((answer, body))
        self._left, self.asked = left, 0
        adapter: Any = self._shopify() if call.adapter == "shopify" else self._mirakl()
        match call.kind:
            case "poll":
                [source] = [source for source in adapter.sources if source.name == call.name]
                return await source.poll(call.cursor)
            case "read":
                [reader] = [reader for reader in adapter.readers if reader.name == call.name]
                return await reader.read([_envelope(hint, place) for place, hint in enumerate(call.hints, 1)])
            case "prepare" | "probe":
                return await getattr(adapter, call.kind)()
        performer = next(performer for kind, performer in adapter.performs.items() if tag_of(kind) == call.name)
        tasks = [_task(asked) for asked in call.tasks]
        if call.kind == "look":
            return await performer.look(adapter.client, tasks[0])
        return await performer.perform(adapter.client, tasks)

    def _next(self, code: str) -> tuple[Answered, bytes] | None:
        self.asked += 1
        if self.asked > MOST_ASKED:
            raise EndlessError(code)
        waiting = self._left.get(code)
        if waiting:
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]
        answer = self._everywhere.get(code)
        return (answer, answer.body.encode()) if answer else None

    def answering(self, of: http.Http) -> http.Http:
        async def exchange(endpoint: Endpoint, _url: Any, _json: Any, _form: Any, expect: Any, *, most: int) -> Any:
            found = self._next(endpoint.code)
            if found is None:
                raise of._unanswered(endpoint, "no answer (of a kind that was never recorded)")
            return await of._answer(endpoint, _Response(*found), expect, most)  # type: ignore[arg-type]

        of._exchange = exchange  # type: ignore[assignment,method-assign]
        return of

    def _shared(self) -> dict[str, Any]:
        return {"tenant": TenantId("t"), "net": TcpNet(), "clock": PassingClock(), "admission": OpenDoor(), "metrics": METRICS}

    def _mirakl(self) -> Mirakl:
        settings = MiraklSettings(channel=ChannelId("asos"), base_url=HOME, api_key=http.Secret("key"), shop_id=2024)
        adapter = Mirakl(settings, maps=EveryWord(), **self._shared())
        self.answering(adapter.client.http)
        return adapter

    def _shopify(self) -> Shopify:
        settings = ShopifySettings(
            shop="harbour-and-thread.myshopify.com",
            access_token=http.Secret("token"),
            webhook_secrets=(http.Secret("hush"),),
            webhook_token=http.Secret("an-unguessable-piece-of-32-signs"),
            callback_url=f"{HOME}/webhooks",
            base_url=HOME,
        )
        adapter = Shopify(settings, rng=SeededRng(1), maps=EveryWord(), **self._shared())
        self.answering(adapter.client._http)
        return adapter

    @contextlib.contextmanager
    def files(self) -> Iterator[None]:
        """What is downloaded comes from here, too."""

        async def lines(_self: Any, _address: str) -> AsyncGenerator[bytes, None]:
            found = self._next(FILE)
            for line in found[1].split(b"\n") if found else ():
                if line.strip():
                    yield download.mended(line)

        there = download.Download.lines
        download.Download.lines = lines  # type: ignore[assignment,method-assign]
        try:
            yield
        finally:
            download.Download.lines = there  # type: ignore[method-assign]


METRICS = Metrics()


def _envelope(event: Any, place: int) -> Envelope:
    return Envelope(
        tenant=TenantId("t"),
        position=place,
        stream=f"hint-{place}",
        version=1,
        event_id=UUID(int=place),
        event=event,
        schema_version=1,
        occurred_at=NOW,
        recorded_at=NOW,
        correlation_id=UUID(int=place),
        causation_id=None,
        actor="shopify",
        subject="",
        sealed=None,
        data="",
        hash=b"",
    )


def _task(asked: Asked) -> Task[Any]:
    async def opened(kind: type[Any]) -> Any:
        return ADDRESS if kind is DeliveryAddress else None

    return Task(asked.command_id, asked.command, asked.attempt, asked.called, NOW, opened)


# ---------------------------------------------------------------- recorded

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
            return await self._heard(
                lambda: look(client, task), lambda answers: Call(adapter, "look", name, answers, tasks=[_asked(task)])
            )  # fmt: skip

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


async def days(tap: Tap, histories: dict[str, list[dict[str, Any]]]) -> None:
    """Four days on which everybody works on the same orders at the same time, each on a marketplace of another kind."""
    import tempfile  # noqa: PLC0415

    from engine.migrate import migrate  # noqa: PLC0415
    from ops import service  # noqa: PLC0415
    from ops.postgres import EmbeddedPostgres  # noqa: PLC0415
    from tests.trade.test_both_at_once import KINDS, ORDERS, day_of  # noqa: PLC0415

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
            name = f"{kind.replace(' ', '-')}"
            histories[name] = [
                {"type": each.event.__struct_config__.tag, "schema_version": each.schema_version, "data": each.data} for each in envelopes
            ]


async def _execute(url: str, statement: str) -> None:
    import asyncpg  # noqa: PLC0415

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
    from tests.recorded.record import HERE  # noqa: PLC0415

    tap, histories = Tap(), dict[str, list[dict[str, Any]]]()
    quietly = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    with listening():
        if not tests:
            asyncio.run(days(tap, histories))
        pytest.main([*quietly, *(tests or ("tests/contract/shopify", "tests/contract/mirakl"))], plugins=[Listening(tap)])
    known = kept_calls()
    new = chosen(tap.calls, known)
    with CALLS.open("ab") as file:
        file.writelines(msgspec.json.encode(call) + b"\n" for call in new)
    for name, lines in histories.items():
        path = HERE / f"history-{name}.jsonl"
        if not path.exists():
            path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    told = Counter(call.shape[:3] for call in (*known, *new))
    sys.stdout.write(f"{len(tap.calls):,} calls heard, {len(new)} of a new shape, {len(told)} kinds kept\n")


if __name__ == "__main__":
    main(sys.argv[1:])
