"""A marketplace on loopback that answers as told and checks each request against the published contract; and an account on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from adapters.http import Secret
from adapters.mirakl import Mirakl, MiraklSettings
from engine.adapter import Task
from engine.errors import ThrottledError
from engine.metrics import Metrics
from engine.ports import TcpNet
from ops.sandbox.mirakl.contract import Contract
from ops.sandbox.wire import Request
from ops.trim_contracts import CONTRACTS
from schemas.values import ChannelId, TenantId
from tests.loopback import NOW, OpenDoor, StillClock, loopback

CONTRACT = Contract((CONTRACTS / "mirakl.openapi.json").read_text())
SHOP = 2024
FILES = "/api/files/"  # where an export lies
DATE = "Thu, 13 Aug 2026 09:00:00 GMT"


@dataclass(frozen=True)
class Asked:
    """One request that the contract accepts."""

    code: str
    path: dict[str, str]
    query: dict[str, str]
    body: Any  # JSON, decoded; None without one
    file: str | None  # of a form


HANG_UP = web.Response()  # the call arrived; its answer does not
Reply = web.StreamResponse | dict[str, Any] | list[Any] | int
Answer = Callable[[Asked], Awaitable[Reply]] | Reply


@dataclass
class Marketplace:
    """`answers`: for each operation what it answers, once each and the last one for good: a dict is JSON, a number a bare status."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # what the contract would not have
    url: str = ""
    files: str = "OR15"  # of which operation they are: orders, or offers

    def says(self, code: str, *answers: Answer) -> None:
        self.answers[code] = list(answers)

    def of(self, code: str) -> list[Asked]:
        return [each for each in self.asked if each.code == code]

    async def _file(self, path: str) -> web.StreamResponse:
        """What an export put there: asked for at its own address, which no contract names."""
        it = Asked(self.files, {"file": path.removeprefix(FILES)}, {}, None, None)
        self.asked.append(it)
        waiting = self.answers[self.files]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        reply = await answer(it) if callable(answer) else answer
        if isinstance(reply, web.StreamResponse):
            return reply
        return web.Response(status=reply) if isinstance(reply, int) else web.json_response(reply)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = tuple(request.query.items())
        if request.path.startswith(FILES):
            return await self._file(request.path)
        asked = Request(request.method, request.path, query, headers, await request.read())
        try:
            operation, path = CONTRACT.find(asked.method, asked.path)
            checked = CONTRACT.check(operation, path, asked)
        except Exception as error:  # noqa: BLE001 - the test is told of it, whatever it is
            self.wrong.append(f"{asked.method} {asked.path}: {error}")
            return web.Response(status=500)
        declared = {parameter["name"] for parameter in operation.spec["parameters"]}
        self.wrong += [f"{operation.code}: no parameter {name}" for name, _ in query if name not in declared]
        lists = {parameter["name"] for parameter in operation.spec["parameters"] if parameter["schema"].get("type") == "array"}
        twice = sorted(name for name in declared - lists if [key for key, _ in query].count(name) > 1)
        self.wrong += [f"{operation.code}: {name} is given twice" for name in twice]
        if dict(query).get("shop_id") != str(SHOP) or headers.get("authorization") != "the-key":
            self.wrong.append(f"{operation.code}: whose shop is it?")
        if asked.body and "requestBody" not in operation.spec:
            self.wrong.append(f"{operation.code}: a body where none is wanted")
        it = Asked(
            operation.code,
            path,
            {name: ",".join(value for key, value in query if key == name) for name, _ in query},
            checked.body,
            checked.parts.get("file"),
        )
        self.asked.append(it)
        waiting = self.answers[operation.code]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        reply = await answer(it) if callable(answer) else answer
        if reply is HANG_UP:
            assert request.transport is not None
            request.transport.abort()
        if isinstance(reply, web.StreamResponse):
            return reply
        if isinstance(reply, int):
            return web.Response(status=reply, headers={"Date": DATE})
        return web.Response(body=msgspec.json.encode(reply), content_type="application/json", headers={"Date": DATE})


@dataclass
class Account:
    """An adapter wired to the marketplace, and what it was given."""

    mirakl: Mirakl
    marketplace: Marketplace
    clock: StillClock
    door: OpenDoor
    metrics: Metrics

    async def perform(self, *commands: Any) -> Any:
        """What the performer of these commands answers; they are of one kind."""
        return await self.mirakl.performs[type(commands[0])].perform(self.mirakl.client, [task(command) for command in commands])

    async def look(self, command: Any, *, called: bool = False) -> Any:
        """What is found by somebody who comes back until he hears; no poll comes meanwhile."""
        return await until_heard(self.mirakl, task(command, called=called))

    def source(self, name: str) -> Any:
        return next(source for source in self.mirakl.sources if source.name == f"mirakl:asos:{name}")


async def until_heard(mirakl: Any, asked: Task[Any]) -> Any:
    look = mirakl.performs[type(asked.command)].look
    assert look is not None
    while True:
        try:
            return await look(mirakl.client, asked)
        except ThrottledError as error:
            if "poll" not in error.detail:
                raise


def task(command: Any, *, called: bool = False) -> Task[Any]:
    async def nothing_sealed(_kind: type[Any]) -> None:
        return None

    return Task(command_id=UUID(int=7), command=command, attempt=1, called=called, issued_at=NOW, opened=nothing_sealed)


@asynccontextmanager
async def account(**changes: Any) -> AsyncIterator[Account]:
    """Leaving it, everything asked must have been as the contract says."""
    marketplace, clock, door, metrics = Marketplace(), StillClock(), OpenDoor(), Metrics()
    async with loopback(marketplace.answer) as server:
        fields: dict[str, Any] = {
            "channel": ChannelId("asos"),
            "base_url": server.url,
            "api_key": Secret("the-key"),
            "shop_id": SHOP,
            "carriers": {"Royal Mail": "RM", "DPD": "DPDUK", "Local Bike": "name:Local Bike Ltd"},
            "reasons": {"refund": "17"},
        }
        mirakl = Mirakl(
            MiraklSettings(**fields | changes), tenant=TenantId("t"), net=TcpNet(), clock=clock, admission=door, metrics=metrics
        )
        marketplace.url = server.url
        try:
            yield Account(mirakl, marketplace, clock, door, metrics)
        finally:
            await mirakl.aclose()
        assert marketplace.wrong == []
        counted = [each.code for each in marketplace.asked if changes.get("pages_count", True) or each.query.get("offset", "0") == "0"]
        assert counted == [code.removesuffix(" full") for code in door.admitted]


def refusal(status: int, message: str) -> Answer:
    async def answer(_asked: Asked) -> web.StreamResponse:
        return web.Response(
            status=status, body=msgspec.json.encode({"status": status, "message": message}), content_type="application/json"
        )

    return answer


def text(body: bytes, kind: str = "text/csv", *, status: int = 200) -> Answer:
    async def answer(_asked: Asked) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": kind}, status=status)

    return answer
