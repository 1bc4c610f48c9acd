"""What adapters look up: what of a SKU is not an order's to have, and as what an item was counted (R8, R33, R93; invariant I1)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from engine.runner import advance, ensure_tables
from ops.book import FIND_COUNTED_AS, Book
from ops.publisher import NEXT, RECIPES
from ops.settings import ChannelSection, SecretRef, Settings, ShopifySection, TenantSettings
from projections.orders import orders
from projections.stock import inventory
from projections.stock_rules import Layer, Rules
from schemas.events import Event
from schemas.events.inventory import VariantSeen
from schemas.events.orders import OrderPlaced
from schemas.events.people import MappingSet
from schemas.streams import map_stream, order_stream, stock_stream
from schemas.values import ChannelId, OrderId, ShopId, Sku
from tests.conftest import Database
from tests.examples import CHANNEL, NOON, counted, line, placed
from tests.machine import TENANT, Machine, machine

pytestmark = pytest.mark.anyio

MUG, BOX, OTHER = Sku("MUG"), Sku('BOX "Ä"'), ChannelId("other")
SECRET = SecretRef(env="X")
FLOORS = Rules(skus={BOX: Layer(floor=0)}, tags={"gift": Layer(floor=4)})


def section(channel: ChannelId, **more: Any) -> ChannelSection:
    return ChannelSection(id=channel, base_url="https://a.mirakl.net", api_key=SECRET, shop_id=1, **more)


SETTINGS = Settings(
    tenant=TenantSettings(id=TENANT),
    shopify=ShopifySection(shop="a.myshopify.com", access_token=SECRET, webhook_secret=SECRET, webhook_path=SECRET),
    channel=[section(CHANNEL, floor=2, buffer=50, stock=FLOORS), section(OTHER)],
)


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Machine]:
    async with machine(database) as it:
        async with it.pool.acquire() as conn:
            await ensure_tables(conn, [orders, inventory])
        yield it


def item(number: int) -> ShopId:
    return ShopId(f"gid://shopify/InventoryItem/{number}")


def bought(order: str, sku: str, units: int, minutes: int = 0, channel: ChannelId = CHANNEL) -> OrderPlaced:
    at = NOON + timedelta(minutes=minutes)
    return placed(line(1, sku, units), order_id=OrderId(order), channel=channel, placed_at=at)


def stream_of(event: Event) -> str:
    match event:
        case OrderPlaced(channel=channel, order_id=order):
            return order_stream(channel, order)
        case MappingSet(channel=channel, kind=kind):
            return map_stream(channel, kind)
    return stock_stream(event.sku)  # type: ignore[attr-defined]


async def book_of(engine: Machine, *events: Event) -> Book:
    """What is known once these are folded."""
    for event in events:
        await engine.append(stream_of(event), event)
    while await advance(engine.pool, engine.log, orders) + await advance(engine.pool, engine.log, inventory):
        pass
    return Book(engine.pool, engine.log, SETTINGS)


async def test_earlier_orders_hold_what_they_bought_under_whatever_name_and_on_whichever_channel(engine: Machine) -> None:
    book = await book_of(
        engine,
        MappingSet(channel=CHANNEL, kind="bundle", name="SET", value=f"2 x MUG + 1 x {BOX}"),
        MappingSet(channel=CHANNEL, kind="sku", name="OLD", value="MUG"),
        MappingSet(channel=CHANNEL, kind="sku", name="MUGS", value="MUGSHOT"),
        MappingSet(channel=OTHER, kind="bundle", name="SET", value="9 x MUG"),
        bought("1", "MUG", 1, minutes=1),
        bought("2", "SET", 3, minutes=2),
        bought("3", "OLD", 5, minutes=3),
        bought("4", "SET", 1, minutes=4, channel=OTHER),
        bought("5", "MUGS", 100, minutes=5),
        bought("6", "MUG", 1, minutes=9),
    )
    assert await book.spoken_for(OTHER, OrderId("of another day"), [MUG, BOX]) == {MUG: 1 + 6 + 5 + 9 + 1, BOX: 3}
    assert await book.spoken_for(OTHER, OrderId("4"), [MUG]) == {MUG: 1 + 6 + 5}, "who bought first is served first"
    assert await book.recipe(CHANNEL, Sku("SET")) == {MUG: 2, BOX: 1} and await book.recipe(OTHER, MUG) == {MUG: 1}
    book = await book_of(engine, counted(30, sku="MUG", settled=(f"{CHANNEL}:2",), sold_as=(Sku("SET"),)))
    assert await book.spoken_for(OTHER, OrderId("of another day"), [MUG, BOX]) == {MUG: 1 + 5 + 9 + 1, BOX: 3}, "one count contains it"


async def test_what_is_for_the_shops_own_customers_is_nobody_elses_and_buffers_are_there_for_orders(engine: Machine) -> None:
    tagged = VariantSeen(sku=Sku("CUP"), item=item(1), status="ACTIVE", read_at=NOON, tags=("Gift",))
    book = await book_of(engine, tagged)
    assert await book.spoken_for(CHANNEL, OrderId("1"), [MUG, BOX, Sku("CUP")]) == {MUG: 2, BOX: 0, "CUP": 4}
    assert await book.spoken_for(OTHER, OrderId("1"), [MUG]) == {MUG: 0}


async def test_an_item_is_known_by_every_sku_that_it_was_counted_under_and_that_is_not_gone(engine: Machine) -> None:
    book = await book_of(
        engine,
        counted(1, sku="A", item=item(1)),
        counted(1, sku="B", item=item(1)),
        counted(1, sku="C", item=item(2)),
        counted(1, sku="D", item=item(3)),
        VariantSeen(sku=Sku("D"), item=item(3), status="DELETED", read_at=NOON),
    )
    assert await book.counted_as([item(1), item(3)]) == {"A": item(1), "B": item(1)}
    assert await book.counted_as([]) == {}
    assert await book.counted_after(Sku(""), 2) == {"A": item(1), "B": item(1)}
    assert await book.counted_after(Sku("B"), 2) == {"C": item(2)}


@pytest.mark.parametrize(
    ("statement", "arguments", "index"),
    [
        (FIND_COUNTED_AS, (TENANT, [item(1)]), "inventory_item"),
        (NEXT, (TENANT, 1, "", 10), "inventory_position"),
        (RECIPES, (TENANT,), "inventory_recipes"),
    ],
)
async def test_no_row_is_looked_for_by_reading_all_of_them(engine: Machine, statement: str, arguments: tuple[Any, ...], index: str) -> None:
    await book_of(engine, *(counted(1, sku=f"S-{number}", item=item(number)) for number in range(1, 30)))
    async with engine.pool.acquire() as conn, conn.transaction():
        await conn.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN {statement}", *arguments))
    assert f"using {index}" in plan, plan
