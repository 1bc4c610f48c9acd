"""A shop of the sandbox behind a real socket, and our adapter before it; answers may get lost on the way."""

import copy
import functools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from aiohttp import web

from adapters.http import Secret
from adapters.shopify import Shopify, ShopifySettings
from engine.adapter import Answer, Done, Maps, Task
from engine.metrics import Metrics
from engine.ports import SystemRng, TcpNet
from ops.sandbox.shopify import operations, products
from ops.sandbox.shopify.cost import Bucket
from ops.sandbox.shopify.graph import Graph
from ops.sandbox.shopify.state import Item, Location, Shop
from ops.sandbox.shopify.stock import add_level
from ops.sandbox.wire import Reply, Request
from schemas.commands import Command, CreateShopOrder
from schemas.events.orders import DeliveryAddress, ShopOrderCreated
from schemas.values import ChannelId, LineId, Money, OrderId, OrderLine, ShopId, Sku, TenantId
from tests.loopback import NOW, OpenDoor, StillClock, loopback

SDL = (Path(__file__).parents[3] / "schemas" / "contracts" / "shopify.graphql").read_text()
TENANT = TenantId("t1")
SHOP = "harbour-and-thread.myshopify.com"
TOKEN = "shpat_of_the_test"
ADDRESS = DeliveryAddress(
    first_name="Ann", last_name="Example", street_1="1 Example Street", city="Leeds", zip_code="LS1 1AA", country="UK", country_code="GB"
)


@dataclass
class PassingClock(StillClock):
    """Waiting for points costs no time of ours."""

    def loop_seconds(self, seconds: float) -> float:
        self.time += timedelta(seconds=seconds, microseconds=1)  # or else the last billionth of a point would be waited for forever
        return 0.0


@dataclass
class Shopfront:
    shop: Shop
    clock: PassingClock
    adapter: Shopify
    metrics: Metrics
    url: str = ""
    asked: list[str] = field(default_factory=list)  # operations, in order
    sent: list[dict[str, Any]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)  # operations whose next answer is lost, after they took effect
    unheard: set[str] = field(default_factory=set)  # operations that are lost on the way there, once each
    before: dict[str, Callable[[], Any]] = field(default_factory=dict)  # operation -> what happens in the shop just before it, once
    instead: dict[str, tuple[int, Any]] = field(default_factory=dict)  # operation -> what is answered instead, once

    def pass_time(self, seconds: float) -> None:
        """Let the shop do what is due by then."""
        self.clock.time += timedelta(seconds=seconds)
        while operations.advance(self.shop, self.clock.time):
            pass

    def do(self, operation: str, **arguments: Any) -> Any:
        return operations.perform(self.shop, operation, arguments, self.clock.time)


def _written(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers={**reply.headers, "Content-Type": reply.kind})


@functools.cache
def _graph() -> Graph:
    """Reading the schema takes longer than any test."""
    return Graph(SDL, TOKEN)


@asynccontextmanager
async def shopfront(maps: Maps | None = None, **settings: Any) -> AsyncIterator[Shopfront]:
    shop = Shop(seed=1, created_at=NOW)
    graph, clock, metrics = copy.copy(_graph()), PassingClock(), Metrics()
    graph._bucket = Bucket()

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.method == "GET":  # a file
            question = Request("GET", request.path.removeprefix("/shopify"), headers=headers)
            return _written(graph.answer(shop, question, clock.time, lambda operation, arguments: None))
        asked = json.loads(body)
        front.asked.append(asked["operationName"])
        front.sent.append(asked["variables"])
        front.pass_time(0.0)
        if (instead := front.instead.pop(asked["operationName"], None)) is not None:
            return web.json_response(instead[1], status=instead[0])
        if asked["operationName"] in front.unheard:
            front.unheard.remove(asked["operationName"])
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if (meanwhile := front.before.pop(asked["operationName"], None)) is not None:
            meanwhile()
        reply = graph.answer(
            shop,
            Request("POST", request.path, headers=headers, body=body),
            clock.time,
            lambda operation, arguments: operations.perform(shop, operation, arguments, clock.time),
        )
        if asked["operationName"] in front.lost:
            front.lost.remove(asked["operationName"])
            assert request.transport is not None
            request.transport.abort()
        return _written(reply)

    async with loopback(answer) as server:
        chosen: dict[str, Any] = {
            "shop": SHOP,
            "access_token": Secret(TOKEN),
            "webhook_secrets": (Secret("hush"),),
            "webhook_token": Secret("an-unguessable-piece-of-32-signs"),
            "callback_url": "http://127.0.0.1:1/webhooks",
            "base_url": server.url,
        }
        adapter = Shopify(
            ShopifySettings(**chosen | settings),
            tenant=TENANT,
            net=TcpNet(),
            clock=clock,
            rng=SystemRng(),
            admission=OpenDoor(),
            metrics=metrics,
            maps=maps,
        )
        front = Shopfront(shop, clock, adapter, metrics, server.url)
        try:
            yield front
        finally:
            await adapter.aclose()


# ---------------------------------------------------------------- what is in it


def locate(shop: Shop, name: str = "Leeds") -> Location:
    return products.add_location(shop, name, name, "LS1 1AA", NOW)


def stock(shop: Shop, sku: str | None, units: int, *, status: products.Status = "ACTIVE", tracked: bool = True) -> Item:
    """One more product with one variant of that SKU, on every shelf there is."""
    if not shop.locations:
        locate(shop)
    product = products.add_product(shop, "Tee", "Harbour", "tee", NOW, status=status)
    variant = products.add_variant(shop, product, sku, NOW, title="M", price=2400, tracked=tracked)
    for location in shop.locations:
        add_level(shop, variant.item_id, location, units, NOW)
    return shop.items[variant.item_id]


# ---------------------------------------------------------------- what it is asked for


def gbp(minor: int) -> Money:
    return Money(minor, "GBP")


def command(*lines: OrderLine, order_id: str = "00012345-A", **more: Any) -> CreateShopOrder:
    lines = lines or (order_line(),)
    total = sum(line.price.minor + line.shipping_price.minor for line in lines)
    fields: dict[str, Any] = {
        "channel": ChannelId("asos"),
        "order_id": OrderId(order_id),
        "placed_at": NOW - timedelta(hours=1),
        "currency": "GBP",
        "taxes_included": True,
        "lines": lines,
        "total": gbp(total),
        "shipping_method": "STD",
        "shipping_label": "Standard",
        "ship_by": NOW + timedelta(days=2),
    }
    return CreateShopOrder(**fields | more)


def order_line(number: int = 1, sku: str = "TEE-RED-M", quantity: int = 2, price: int = 2400, **more: Any) -> OrderLine:
    fields: dict[str, Any] = {"shipping_price": gbp(360 if number == 1 else 0), "price": gbp(price * quantity)}
    return OrderLine(line_id=LineId(f"00012345-A-{number}"), sku=Sku(sku), quantity=quantity, unit_price=gbp(price), **fields | more)


def task(asked: Command, attempt: int = 1, address: DeliveryAddress | None = ADDRESS, number: int = 1) -> Task[Any]:
    async def opened(_kind: type[Any]) -> Any:
        return address

    return Task(command_id=UUID(int=number), command=asked, attempt=attempt, called=attempt > 1, issued_at=NOW, opened=opened)


async def perform(front: Shopfront, asked: Command, attempt: int = 1, **more: Any) -> Any:
    [answer] = await front.adapter.performs[type(asked)].perform(front.adapter.client, [task(asked, attempt, **more)])
    return answer


async def look(front: Shopfront, asked: Command, attempt: int = 2) -> Any:
    performer = front.adapter.performs[type(asked)]
    assert performer.look is not None
    return await performer.look(front.adapter.client, task(asked, attempt))


def events(answer: Answer | None) -> list[Any]:
    assert isinstance(answer, Done), answer
    return [effect.event for effect in answer.effects]


async def made(front: Shopfront, asked: CreateShopOrder) -> ShopOrderCreated:
    """An order of ours, in the shop and routed."""
    [created] = events(await perform(front, asked))
    front.pass_time(10)
    assert isinstance(created, ShopOrderCreated)
    return created


def number(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def order_of(front: Shopfront, created: ShopOrderCreated) -> Any:
    return front.shop.orders[number(created.shop_order)]


def asked_of(created: ShopOrderCreated) -> dict[str, Any]:
    """What every command about an order that is in the shop names."""
    return {"channel": created.channel, "order_id": created.order_id, "shop_order": ShopId(created.shop_order)}
