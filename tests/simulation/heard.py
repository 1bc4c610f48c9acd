"""What is heard of the trade: facts, as the adapters hand them to the log."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

from adapters.shopify.translate import stock as shop_stock
from engine.adapter import Heard
from schemas.envelope import Fact, event_id
from schemas.events import Event, tag_of
from schemas.events.commands import CommandRefused
from schemas.events.inventory import OffersRead, StockImportFinished, StockImportStarted
from schemas.events.orders import LineStateChanged, OrderPlaced, ShopLine, ShopOrderCreated
from schemas.events.people import MappingSet
from schemas.streams import map_stream, offers_stream, order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, ShopId, Sku
from tests.simulation.book import TENANT
from tests.simulation.trade import Order

Told: TypeAlias = CommandRefused | OffersRead | StockImportStarted | StockImportFinished


def placed(order: Order) -> Heard:
    line = OrderLine(
        line_id=LineId(f"{order.order_id}-1"),
        sku=order.sku,
        quantity=order.quantity,
        unit_price=Money(1999, "GBP"),
        price=Money(1999 * order.quantity, "GBP"),
        shipping_price=Money(0, "GBP"),
    )
    event = OrderPlaced(
        channel=order.channel,
        order_id=OrderId(order.order_id),
        commercial_id=order.order_id,
        placed_at=order.placed_at,
        currency="GBP",
        taxes_included=True,
        lines=(line,),
        total=line.price,
    )
    return _of_order(order, event, "placed", order.placed_at)


def moved(order: Order, at: Instant) -> Heard:
    line = LineId(f"{order.order_id}-1")
    event = LineStateChanged(channel=order.channel, order_id=OrderId(order.order_id), line_id=line, sku=order.sku, state=order.state)
    return _of_order(order, event, order.state, at)


def created(order: Order, at: Instant) -> Heard:
    """One of Shopify's lines for each of the parts, as it is made of a bundle."""
    line = ShopLine(line_id=LineId(f"{order.order_id}-1"), item=ShopId("gid://shopify/LineItem/1"), sku=order.sku, quantity=order.quantity)
    event = ShopOrderCreated(
        channel=order.channel,
        order_id=OrderId(order.order_id),
        shop_order=ShopId(f"gid://shopify/Order/{order.order_id}"),
        name=order.order_id,
        total=Money(1999, "GBP"),
        lines=(line,),
        created_at=at,
    )
    return _of_order(order, event, "created", at)


def _of_order(order: Order, event: Event, what: str, at: Instant) -> Heard:
    identity = event_id(TENANT, "test", f"{order.key}:{what}", tag_of(event))
    stream = order_stream(order.channel, OrderId(order.order_id))
    return Heard(stream, Fact(event=event, event_id=identity, occurred_at=at))


def counted(sku: Sku, levels: Mapping[ShopId, int], at: Instant, settled: Sequence[Order] = (), *, read_by: Instant | None = None) -> Heard:
    """As the reader of items tells it; `read_by`: as a sweep does, which only knows between which moments it was."""
    nodes = [
        SimpleNamespace(is_active=True, location=SimpleNamespace(id=place), quantities=[SimpleNamespace(name="available", quantity=units)])
        for place, units in levels.items()
    ]
    item: Any = SimpleNamespace(
        id=f"gid://shopify/InventoryItem/{sku}", sku=sku, tracked=True, inventory_levels=SimpleNamespace(nodes=nodes)
    )
    names = sorted(order.key for order in settled)
    return shop_stock.counted(TENANT, item, at, names, sorted({order.sku for order in settled}), read_by=read_by)


def recipe_set(channel: ChannelId, offer: Sku, value: str, at: Instant) -> Heard:
    event = MappingSet(channel=channel, kind="bundle", name=offer, value=value, reason="a test")
    identity = event_id(TENANT, "test", f"{channel}:{offer}={value}@{at.isoformat()}", tag_of(event))
    return Heard(map_stream(channel, "bundle"), Fact(event=event, event_id=identity, occurred_at=at))


def of_channel(event: Told, channel: ChannelId, what: str, at: Instant) -> Heard:
    identity = event_id(TENANT, "test", f"{channel}:{what}", tag_of(event))
    return Heard(offers_stream(channel), Fact(event=event, event_id=identity, occurred_at=at))
