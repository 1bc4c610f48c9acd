"""Calls of both adapters with what was answered, as tests/recorded/listen.py heard them; made again, to answers of our own.

A call here is what the engine makes of an adapter: a poll, a reading after hints, a command performed, a look whether it was done.
"""

import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from multidict import CIMultiDict

from adapters import download, http
from adapters.mirakl import Mirakl, MiraklSettings
from adapters.shopify import Shopify, ShopifySettings
from engine.adapter import Endpoint, Task
from engine.metrics import Metrics
from engine.ports import SeededRng, TcpNet
from schemas.commands import AnyCommand
from schemas.events import AnyEvent, tag_of
from schemas.events.orders import DeliveryAddress
from schemas.values import ChannelId, TenantId
from tests.contract.shopify.shopfront import PassingClock
from tests.examples import envelope
from tests.loopback import NOW, OpenDoor

CALLS = Path(__file__).parent / "calls.jsonl"
FILE = "file"  # the code of what is downloaded from elsewhere
MOST_ASKED = 300  # answers to one call; more, and it asks for ever
HOME = "http://127.0.0.1:9"
METRICS = Metrics()
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
                return await reader.read([envelope(hint, place) for place, hint in enumerate(call.hints, 1)])
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
        async def exchange(endpoint: Endpoint, _url: Any, _json: Any, _form: Any, expect: Any, *, most: int, counts: bool) -> Any:
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


def _task(asked: Asked) -> Task[Any]:
    async def opened(kind: type[Any]) -> Any:
        return ADDRESS if kind is DeliveryAddress else None

    return Task(asked.command_id, asked.command, asked.attempt, asked.called, NOW, opened)
