"""Our commands into calls to Mirakl, and what came of them."""

from collections.abc import Mapping
from typing import Any

from adapters.mirakl.endpoints import (
    ACCEPT_ORDER,
    ACCEPT_RETURNS,
    CANCEL_ORDER,
    CANCEL_UNITS,
    IMPORT_STATUS,
    IMPORT_STOCK,
    MAKE_SHIPMENTS,
    REFUND_LINES,
    SET_REFERENCES,
    SHIP_ORDER,
    TRACK_SHIPMENTS,
)
from adapters.mirakl.outbound.accept import accept_order, look_accepted
from adapters.mirakl.outbound.cancel import cancel_order, cancel_units, look_canceled, look_given_up
from adapters.mirakl.outbound.refer import set_seller_reference
from adapters.mirakl.outbound.refund import look_refunded, refund_lines
from adapters.mirakl.outbound.returns import answer_return, look_answered
from adapters.mirakl.outbound.ship import correct_tracking, look_for_parcel, look_shipped, ship_order, ship_parcel
from adapters.mirakl.outbound.stock import FRESH, publish_stock, settle_stock_import
from engine.adapter import Performer
from schemas.commands import (
    AcceptOrder,
    AnswerReturn,
    CancelOrder,
    CancelUnits,
    Command,
    CorrectTracking,
    PublishStock,
    RefundLines,
    SetSellerReference,
    SettleStockImport,
    ShipOrder,
    ShipParcel,
)

# Seconds for which what a lost call did may not show yet. None is published; money waits longer: it cannot be called back.
SHIPMENTS_LAG, MONEY_LAG = 120.0, 300.0

PERFORMS: Mapping[type[Command], Performer[Any]] = {
    AcceptOrder: Performer(accept_order, ACCEPT_ORDER, look=look_accepted),
    SetSellerReference: Performer(set_seller_reference, SET_REFERENCES),
    ShipOrder: Performer(ship_order, SHIP_ORDER, look=look_shipped),
    ShipParcel: Performer(ship_parcel, MAKE_SHIPMENTS, look=look_for_parcel, quiet=SHIPMENTS_LAG),
    CorrectTracking: Performer(correct_tracking, TRACK_SHIPMENTS),
    CancelOrder: Performer(cancel_order, CANCEL_ORDER, look=look_canceled),
    CancelUnits: Performer(cancel_units, CANCEL_UNITS, look=look_given_up, quiet=MONEY_LAG),
    RefundLines: Performer(refund_lines, REFUND_LINES, look=look_refunded, quiet=MONEY_LAG),
    AnswerReturn: Performer(answer_return, ACCEPT_RETURNS, look=look_answered),
    PublishStock: Performer(publish_stock, IMPORT_STOCK, fresh=FRESH),
    SettleStockImport: Performer(settle_stock_import, IMPORT_STATUS),
}
