"""Every event there is, and its name in the log."""

from typing import Any, get_args

from schemas.events.base import Event, Personal, UnknownEvent
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened, RawPayload
from schemas.events.inventory import StockCounted, StockImportFinished, StockImportStarted
from schemas.events.orders import (
    DeliveryAddress,
    DeliveryAddressGiven,
    FulfilmentSeen,
    LineStateChanged,
    OrderAccepted,
    OrderPlaced,
    OrderShipped,
    OrderStateChanged,
    OrderTermsChanged,
    SellerReferenceSet,
    ShopOrderCreated,
    ShopOrderSeen,
)
from schemas.events.shop import ShopNotified, ShopOrderOrphaned

AnyEvent = (
    OrderPlaced
    | OrderTermsChanged
    | OrderStateChanged
    | LineStateChanged
    | DeliveryAddressGiven
    | OrderAccepted
    | ShopOrderCreated
    | SellerReferenceSet
    | ShopOrderSeen
    | FulfilmentSeen
    | OrderShipped
    | StockCounted
    | StockImportStarted
    | StockImportFinished
    | ShopNotified
    | ShopOrderOrphaned
    | CommandIssued
    | CommandConfirmed
    | CommandRefused
    | CommandUnknown
    | CommandBuried
    | ExceptionOpened
    | ExceptionClosed
)
AnyPersonal = DeliveryAddress | RawPayload


def tag_of(kind: Any) -> str:
    """The name under which a class (or an object) of ours is stored."""
    return str(kind.__struct_config__.tag)


EVENTS: dict[str, type[Event]] = {tag_of(kind): kind for kind in get_args(AnyEvent)}
PERSONAL: dict[str, type[Personal]] = {tag_of(kind): kind for kind in get_args(AnyPersonal)}

__all__ = ["EVENTS", "PERSONAL", "AnyEvent", "AnyPersonal", "Event", "Personal", "UnknownEvent", "tag_of"]
