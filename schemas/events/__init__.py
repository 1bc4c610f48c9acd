"""Every event there is, and its name in the log."""

from typing import Any, get_args

from schemas.events.aftercare import (
    MarketOrderCanceled,
    RefundPushed,
    RefundSeen,
    RefundsMatched,
    ReturnAnswered,
    ReturnSeen,
    ShopRefundRecorded,
    ShopRefundSeen,
    ShopReturnRecorded,
    ShopReturnSeen,
    UnitsCanceled,
    UnitsGivenUp,
)
from schemas.events.base import Event, Note, Personal, UnknownEvent
from schemas.events.channels import OrdersCounted, PlatformSeen, RulesApplied
from schemas.events.commands import CommandBuried, CommandConfirmed, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.exceptions import ExceptionAssigned, ExceptionClosed, ExceptionOpened, ExceptionResolved, ExceptionRetried, RawPayload
from schemas.events.inventory import (
    OffersRead,
    PaceMeasured,
    StockCounted,
    StockFileLost,
    StockImportFinished,
    StockImportStarted,
    StockModeSet,
    VariantSeen,
)
from schemas.events.orders import (
    AcceptanceDecided,
    BuyerFlagged,
    DeliveryAddress,
    DeliveryAddressGiven,
    FulfilmentSeen,
    LinesAssessed,
    LineStateChanged,
    OrderAccepted,
    OrderDebited,
    OrderPlaced,
    OrderShipped,
    OrderSignalled,
    OrderStateChanged,
    OrderTermsChanged,
    SellerReferenceSet,
    ShipmentMade,
    ShopOrderCancelled,
    ShopOrderCreated,
    ShopOrderHeld,
    ShopOrderReleased,
    ShopOrderSeen,
    ShopOrderTagged,
    TrackingCorrected,
    TrackingDropped,
    TrackingShown,
)
from schemas.events.people import LogResumed, MappingSet, OrderHeld, OrderRefusalAsked, OrderReleased, Redriven, ReminderDue
from schemas.events.privacy import PrivacyAnswered, PrivacyAsked, PrivacyAsker, SubjectDisclosed, SubjectErased
from schemas.events.shop import ShopNotified, ShopOrderOrphaned

AnyEvent = (
    OrderPlaced
    | OrderTermsChanged
    | OrderStateChanged
    | LineStateChanged
    | DeliveryAddressGiven
    | BuyerFlagged
    | OrderDebited
    | OrderSignalled
    | TrackingShown
    | LinesAssessed
    | AcceptanceDecided
    | OrderAccepted
    | ShopOrderCreated
    | SellerReferenceSet
    | ShopOrderSeen
    | FulfilmentSeen
    | TrackingDropped
    | OrderShipped
    | ShipmentMade
    | TrackingCorrected
    | ShopOrderHeld
    | ShopOrderReleased
    | ShopOrderCancelled
    | ShopOrderTagged
    | UnitsCanceled
    | RefundSeen
    | ReturnSeen
    | ReturnAnswered
    | ShopRefundSeen
    | ShopReturnSeen
    | MarketOrderCanceled
    | UnitsGivenUp
    | RefundPushed
    | ShopRefundRecorded
    | ShopReturnRecorded
    | RefundsMatched
    | StockCounted
    | VariantSeen
    | OffersRead
    | StockModeSet
    | PaceMeasured
    | StockImportStarted
    | StockImportFinished
    | StockFileLost
    | ShopNotified
    | ShopOrderOrphaned
    | PlatformSeen
    | OrdersCounted
    | RulesApplied
    | CommandIssued
    | CommandConfirmed
    | CommandRefused
    | CommandUnknown
    | CommandBuried
    | ExceptionOpened
    | ExceptionClosed
    | ExceptionAssigned
    | ExceptionRetried
    | ExceptionResolved
    | OrderHeld
    | OrderReleased
    | OrderRefusalAsked
    | LogResumed
    | MappingSet
    | Redriven
    | ReminderDue
    | SubjectErased
    | SubjectDisclosed
    | PrivacyAsked
    | PrivacyAnswered
)
AnyPersonal = DeliveryAddress | RawPayload | PrivacyAsker


def tag_of(kind: Any) -> str:
    """The name under which a class (or an object) of ours is stored."""
    return str(kind.__struct_config__.tag)


EVENTS: dict[str, type[Event]] = {tag_of(kind): kind for kind in get_args(AnyEvent)}
PERSONAL: dict[str, type[Personal]] = {tag_of(kind): kind for kind in get_args(AnyPersonal)}

__all__ = ["EVENTS", "PERSONAL", "AnyEvent", "AnyPersonal", "Event", "Note", "Personal", "UnknownEvent", "tag_of"]
