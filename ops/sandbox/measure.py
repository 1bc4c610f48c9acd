"""`crossdock sandbox --measure`: how soon a large world is there, and how many requests a second it answers on one core.

The sandbox is a process of its own, on a core of its own where the system lets us choose; who asks is this process, on another. The mix is
what a connector asks for most: pages of orders, single orders, stock levels, acceptances.
"""

import itertools
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import psutil
from anyio.streams.buffered import BufferedByteReceiveStream
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from engine.ports import Clock, SystemClock, TcpNet
from ops.sandbox.systems import API_KEY, TOKEN

SCENARIO = "full-shelves"
ASKING, SECONDS = 8, 10.0  # connections, and how long they ask
START, RATE = 5.0, 500.0  # what is promised: seconds until the first answer, requests a second
LONGEST_LINE = 1000
UNTHROTTLED = {"shopify": {"bucket": 1e9}}

ORDER = """query OrderGet($id: ID!) { order(id: $id) {
  id name updatedAt cancelledAt tags sourceIdentifier displayFinancialStatus displayFulfillmentStatus totalPriceSet { shopMoney { amount } }
  lineItems(first: 20) { nodes { id sku quantity unfulfilledQuantity } }
  fulfillments(first: 5) { id status updatedAt trackingInfo(first: 3) { company number url } } } }"""
LEVELS = """query ItemLevels($id: ID!) { inventoryItem(id: $id) { id sku tracked updatedAt
  inventoryLevels(first: 10) { nodes { location { id } quantities(names: ["available", "on_hand", "committed"]) { name quantity } } } } }"""


class Answered(Struct):
    """How long each request of one kind took, in seconds."""

    kind: str
    seconds: list[float] = []


class Measured(Struct, kw_only=True):
    started: float  # seconds from nothing to the first answer
    seconds: float
    kinds: list[Answered]
    memory: int  # bytes, of the sandbox

    @property
    def rate(self) -> float:
        return sum(len(kind.seconds) for kind in self.kinds) / self.seconds


async def measure(as_json: bool = False) -> int:
    """Prints what was seen. Exit code 1 where it falls short of what is promised."""
    measured = await _measure(SystemClock())
    if as_json:
        Console(soft_wrap=True).print_json(data=_plain(measured))
    else:
        _print(measured, Console(highlight=False))
    return 0 if measured.started < START and measured.rate >= RATE else 1


async def _measure(clock: Clock) -> Measured:
    began = clock.monotonic()
    async with _sandbox() as (url, process), TcpNet().session() as session:
        desk = Desk(session, url)
        await desk.mirakl("/api/version")
        started = clock.monotonic() - began
        await desk.lever("switches", UNTHROTTLED)
        kinds = await _mix(desk)
        began = clock.monotonic()
        async with anyio.create_task_group() as group:
            for n in range(ASKING):
                group.start_soon(_ask, kinds, n, clock, began + SECONDS)
        return Measured(
            started=started,
            seconds=clock.monotonic() - began,
            kinds=[kind.answered for kind in kinds],
            memory=psutil.Process(process).memory_info().rss,
        )


@asynccontextmanager
async def _sandbox() -> AsyncIterator[tuple[str, int]]:
    """The address and the process of a sandbox that has just come up."""
    command = [sys.executable, "-m", "ops", "sandbox", "--scenario", SCENARIO, "--port", "0"]
    async with await anyio.open_process(command, stderr=None) as process:
        try:
            _pin(process.pid)
            assert process.stdout is not None
            lines = BufferedByteReceiveStream(process.stdout)
            while not (line := (await lines.receive_until(b"\n", LONGEST_LINE)).decode()).startswith("Mirakl"):
                pass
            yield line.split()[1].removesuffix("/mirakl"), process.pid
        finally:
            process.terminate()


def _pin(sandbox: int) -> None:
    """One core for the sandbox, the others for who asks."""
    if hasattr(os, "sched_setaffinity") and len(cores := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(sandbox, cores[:1])
        os.sched_setaffinity(0, cores[1:])


class Desk:
    """The two systems and the levers, for one who asks."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def mirakl(self, path: str, *, body: Any = None, **query: str | int) -> Any:
        method, key = "GET" if body is None else "PUT", {"Authorization": API_KEY}
        params = {name: str(value) for name, value in query.items()}
        async with self._session.request(method, f"{self._url}/mirakl{path}", params=params, json=body, headers=key) as answer:
            text = await answer.text()
            answer.raise_for_status()
            return json.loads(text) if text else None

    async def shopify(self, query: str, **variables: Any) -> Any:
        address, token = f"{self._url}/shopify/admin/api/2026-10/graphql.json", {"X-Shopify-Access-Token": TOKEN}
        async with self._session.post(address, json={"query": query, "variables": variables}, headers=token) as answer:
            said = json.loads(await answer.text())
            if "errors" in said:
                raise RuntimeError(said["errors"])
            return said["data"]

    async def lever(self, name: str, body: Any) -> Any:
        async with self._session.post(f"{self._url}/sandbox/{name}", json=body) as answer:
            answer.raise_for_status()
            return await answer.json()


class Kind:
    """One kind of request. `ask` is timed, `prepare` is not."""

    def __init__(self, name: str, share: int, ask: Callable[[Any], Awaitable[Any]], prepare: Callable[[], Awaitable[Any]]) -> None:
        self.share, self.ask, self.prepare = share, ask, prepare
        self.answered = Answered(name)


async def _mix(desk: Desk) -> list[Kind]:
    """What is asked, and how often of twenty times."""
    sample = [await desk.mirakl("/api/orders", max=100, offset=offset) for offset in (0, 3000, 6000)]
    ids = itertools.cycle(order["order_id"] for page in sample for order in page["orders"])
    dates = itertools.cycle(order["last_updated_date"] for page in sample for order in page["orders"])
    shop = await desk.shopify("{ orders(first: 250) { nodes { id } } inventoryItems(first: 250) { nodes { id } } }")
    orders, items = (itertools.cycle(node["id"] for node in shop[name]["nodes"]) for name in ("orders", "inventoryItems"))

    async def given(values: Iterator[str]) -> str:
        return next(values)

    async def bought() -> tuple[str, Any]:
        order = (await desk.lever("buy", {}))["order"]
        [shown] = (await desk.mirakl("/api/orders", order_ids=order))["orders"]
        return f"/api/orders/{order}/accept", {
            "order_lines": [{"id": line["order_line_id"], "accepted": True} for line in shown["order_lines"]]
        }

    return [
        Kind("OR11, 10 of what changed", 5, lambda since: desk.mirakl("/api/orders", start_update_date=since), lambda: given(dates)),
        Kind(
            "OR11, 100 of what changed", 1, lambda since: desk.mirakl("/api/orders", start_update_date=since, max=100), lambda: given(dates)
        ),
        Kind("OR11, one by its id", 1, lambda order: desk.mirakl("/api/orders", order_ids=order), lambda: given(ids)),
        Kind("OrderGet", 6, lambda order: desk.shopify(ORDER, id=order), lambda: given(orders)),
        Kind("ItemLevels", 6, lambda item: desk.shopify(LEVELS, id=item), lambda: given(items)),
        Kind("OR21", 1, lambda accepting: desk.mirakl(accepting[0], body=accepting[1]), bought),
    ]


async def _ask(kinds: Sequence[Kind], n: int, clock: Clock, until: float) -> None:
    """One connection, from its own place in the mix on."""
    turns = [kind for kind in kinds for _ in range(kind.share)]
    for turn in itertools.count(n * 7):
        kind = turns[turn * 3 % len(turns)]  # 3 and 20 have no common factor: kinds alternate, and none is left out
        asked = await kind.prepare()
        began = clock.monotonic()
        if began >= until:
            return
        await kind.ask(asked)
        kind.answered.seconds.append(clock.monotonic() - began)


# ------------------------------------------------------------------------------------------------------------- what is shown


def _plain(measured: Measured) -> dict[str, Any]:
    return {
        "started_seconds": round(measured.started, 2),
        "requests_per_second": round(measured.rate),
        "memory_bytes": measured.memory,
        "kinds": {kind.kind: _times(kind) for kind in measured.kinds},
    }


def _times(kind: Answered) -> dict[str, float]:
    if len(kind.seconds) < 2:
        return {"requests": len(kind.seconds)}
    cuts = statistics.quantiles(kind.seconds, n=100)
    return {"requests": len(kind.seconds), "median_ms": round(cuts[49] * 1000, 2), "p99_ms": round(cuts[98] * 1000, 2)}


def _print(measured: Measured, console: Console) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("asked")
    for heading in ("requests", "median ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for kind in measured.kinds:
        table.add_row(kind.kind, *map(str, _times(kind).values()))
    console.print(table)
    console.print(f"{measured.started:.2f} s until the first answer (promised: {START:g})")
    console.print(f"{measured.rate:.0f} requests a second over {ASKING} connections (promised: {RATE:g}), {measured.memory // 2**20} MiB")
