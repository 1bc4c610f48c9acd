"""One good example of each command about the order in payloads.py."""

from schemas.commands import AnswerReturn, CancelOrder, CancelUnits, CorrectTracking, LineRefund, RefundLines, ShipOrder, ShipParcel
from schemas.values import ChannelId, LineId, Money, OrderId, ShopId, Tax

ASOS, ORDER = ChannelId("asos"), OrderId("00012345-A")
FIRST, SECOND = LineId("00012345-A-1"), LineId("00012345-A-2")
FULFILMENT = ShopId("gid://shopify/Fulfillment/4711")

SHIP = ShipOrder(
    channel=ASOS,
    order_id=ORDER,
    fulfilments=(FULFILMENT,),
    carrier=" royal MAIL",
    tracking_number="AB1",
    tracking_url="https://rm.test/AB1",
)
PARCEL = ShipParcel(
    channel=ASOS, order_id=ORDER, fulfilment=FULFILMENT, units={FIRST: 1, SECOND: 2}, carrier="Royal Mail", tracking_number="AB1"
)
CORRECT = CorrectTracking(
    channel=ASOS,
    order_id=ORDER,
    fulfilment=FULFILMENT,
    carrier="DPD",
    shipment="ship-1",
    tracking_number="CD2",
    tracking_url="https://dpd.test/CD2",
)
CANCEL = CancelOrder(channel=ASOS, order_id=ORDER)
BACK = LineRefund(
    line_id=FIRST,
    amount=Money(2450, "GBP"),
    shipping_amount=Money(0, "GBP"),
    quantity=1,
    taxes=(Tax(code="VAT", amount=Money(408, "GBP")),),
)
REFUND = RefundLines(
    channel=ASOS, order_id=ORDER, refund="gid://shopify/Refund/1", reason="Refund ", taxes_included=True, lines=(BACK,), known=("1119",)
)
GIVE_UP = CancelUnits(channel=ASOS, order_id=ORDER, refund="cancel", reason="refund", taxes_included=True, lines=(BACK,), known=())
RECEIVED = AnswerReturn(channel=ASOS, order_id=ORDER, return_id="ret-1", answer="received")
