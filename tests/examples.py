"""One good example of each thing; a test names only what matters to it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from schemas.envelope import Envelope
from schemas.events import Event
from schemas.events.aftercare import UnitsCanceled
from schemas.events.commands import CommandConfirmed, CommandRefused
from schemas.events.inventory import StockCounted, StockImportFinished
from schemas.events.orders import (
    Assessed,
    DeliveryAddressGiven,
    FulfilmentSeen,
    LinesAssessed,
    LineStateChanged,
    OrderPlaced,
    OrderStateChanged,
    OrderTermsChanged,
    ShopLine,
    ShopOrderCreated,
    ShopOrderSeen,
)
from schemas.events.people import ReminderDue
from schemas.values import ChannelId, LineId, Money, OrderId, OrderLine, ShopId, Sku, TenantId

CHANNEL, ORDER = ChannelId("asos"), OrderId("00012345-A")
KEY = f"{CHANNEL}:{ORDER}"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HERE = ShopId("gid://shopify/Location/9007199254740993")


def envelope(event: Event, place: int = 1) -> Envelope:
    """As the log gives it to a reader, who looks at nothing but the event and its ids."""
    return Envelope(
        tenant=TenantId("t1"),
        position=place,
        stream=f"hint-{place}",
        version=1,
        event_id=UUID(int=place),
        event=event,
        schema_version=1,
        occurred_at=NOON,
        recorded_at=NOON,
        correlation_id=UUID(int=place),
        causation_id=None,
        actor="shopify",
        subject="",
        sealed=None,
        data="",
        hash=b"",
    )


def line(number: int = 1, sku: str = "TEE-RED-M", quantity: int = 1, price: int = 2450, **more: Any) -> OrderLine:
    return OrderLine(
        line_id=LineId(f"{ORDER}-{number}"),
        sku=Sku(sku),
        quantity=quantity,
        unit_price=Money(price, "GBP"),
        price=Money(price * quantity, "GBP"),
        shipping_price=more.pop("shipping_price", Money(0, "GBP")),
        **more,
    )


def placed(*lines: OrderLine, **more: Any) -> OrderPlaced:
    lines = lines or (line(),)
    total = sum(each.price.minor + each.shipping_price.minor for each in lines)
    fields: dict[str, Any] = {
        "channel": CHANNEL,
        "order_id": ORDER,
        "commercial_id": "00012345",
        "placed_at": NOON,
        "currency": "GBP",
        "taxes_included": True,
        "lines": lines,
        "total": Money(total, "GBP"),
    }
    return OrderPlaced(**fields | more)


def relabelled(*lines: OrderLine, **more: Any) -> OrderTermsChanged:
    return OrderTermsChanged(channel=CHANNEL, order_id=ORDER, terms=placed(*lines, **{"shipping_label": "Express"} | more))


def state(name: str) -> OrderStateChanged:
    return OrderStateChanged(channel=CHANNEL, order_id=ORDER, state=name)


def line_state(name: str, number: int = 1, sku: str = "TEE-RED-M") -> LineStateChanged:
    return LineStateChanged(channel=CHANNEL, order_id=ORDER, line_id=LineId(f"{ORDER}-{number}"), sku=Sku(sku), state=name)


def market_cancelation(quantity: int = 1, amount: int = 2450, cancelation: str = "C1", number: int = 1) -> UnitsCanceled:
    return UnitsCanceled(
        channel=CHANNEL,
        order_id=ORDER,
        line_id=LineId(f"{ORDER}-{number}"),
        sku=Sku("TEE-RED-M"),
        cancelation=cancelation,
        quantity=quantity,
        amount=Money(amount, "GBP"),
        shipping_amount=Money(0, "GBP"),
    )


def address() -> DeliveryAddressGiven:
    return DeliveryAddressGiven(channel=CHANNEL, order_id=ORDER, country_code="GB")


def assessed(available: int | None = 10, line: str = f"{ORDER}-1", sku: str = "TEE-RED-M", **more: Any) -> LinesAssessed:
    fields: dict[str, Any] = {"variants": 1, "available": available, "price": Money(2450, "GBP")}
    seen = Assessed(**{"sku": Sku(sku)} | fields | more)
    return LinesAssessed(channel=CHANNEL, order_id=ORDER, lines={LineId(line): seen}, read_at=NOON)


def shop_seen(**more: Any) -> ShopOrderSeen:
    fields: dict[str, Any] = {"channel": CHANNEL, "order_id": ORDER, "shop_order": ShopId("gid://shopify/Order/1"), "updated_at": NOON}
    return ShopOrderSeen(**fields | {"units": {LineId(f"{ORDER}-1"): 1}} | more)


def reminded(at: datetime) -> ReminderDue:
    return ReminderDue(about=f"order-{CHANNEL}:{ORDER}", at=at)


def refused(command: str, detail: str = "no", field: str = "", part: str = "", word: str = "") -> CommandRefused:
    subject = f"order-{CHANNEL}:{ORDER}"
    return CommandRefused(
        command_id=UUID(int=1), command=command, subject=subject, attempt=1, detail=detail, field=field, word=word, part=part
    )


def confirmed(command: str, part: str = "") -> CommandConfirmed:
    return CommandConfirmed(command_id=UUID(int=1), command=command, subject=f"order-{CHANNEL}:{ORDER}", attempt=1, part=part)


def created(**more: Any) -> ShopOrderCreated:
    fields: dict[str, Any] = {
        "channel": CHANNEL,
        "order_id": ORDER,
        "shop_order": ShopId("gid://shopify/Order/1"),
        "name": "ASOS-00012345-A",
        "total": Money(2450, "GBP"),
        "lines": (ShopLine(line_id=LineId(f"{ORDER}-1"), item=ShopId("gid://shopify/LineItem/1"), sku=Sku("TEE-RED-M"), quantity=1),),
        "created_at": NOON,
    }
    return ShopOrderCreated(**fields | more)


def fulfilled(units: dict[str, int] | None = None, **more: Any) -> FulfilmentSeen:
    fields: dict[str, Any] = {
        "channel": CHANNEL,
        "order_id": ORDER,
        "fulfilment": ShopId("gid://shopify/Fulfillment/1"),
        "status": "SUCCESS",
        "updated_at": NOON,
        "units": {LineId(key): value for key, value in (units or {f"{ORDER}-1": 1}).items()},
        "carrier": "Royal Mail",
        "tracking_number": "AB123456789GB",
    }
    return FulfilmentSeen(**fields | more)


def counted(units: int = 10, sku: str = "TEE-RED-M", **more: Any) -> StockCounted:
    fields: dict[str, Any] = {"sku": Sku(sku), "item": ShopId("gid://shopify/InventoryItem/1"), "levels": {HERE: units}, "read_at": NOON}
    return StockCounted(**fields | more)


def import_finished(units: int, sku: str = "TEE-RED-M", **more: Any) -> StockImportFinished:
    fields: dict[str, Any] = {"channel": CHANNEL, "import_id": "1", "status": "COMPLETE", "quantities": {Sku(sku): units}}
    return StockImportFinished(**fields | more)
