"""What becomes of an order after all: cancelations, refunds and returns, on both sides. Stream: order-{channel}:{order_id}.

Marketplace amounts are in the order's own tax mode: where taxes are not included, they come beside.
"""

from msgspec import Struct

from schemas.events.base import Event, Note
from schemas.streams import order_stream
from schemas.values import ChannelId, Fee, Instant, LineId, Money, OrderId, ShopId, Sku, Tax


class UnitsCanceled(Event, tag="units_canceled"):
    """The marketplace took units or money off a line before they were shipped. Source  Mirakl OR11, order_lines[].cancelations[]."""

    channel: ChannelId
    order_id: OrderId
    line_id: LineId
    sku: Sku
    cancelation: str  # the marketplace's id
    amount: Money
    shipping_amount: Money
    quantity: int = 0
    taxes: tuple[Tax, ...] = ()
    shipping_taxes: tuple[Tax, ...] = ()
    fees: tuple[Fee, ...] = ()
    reason: str = ""  # the marketplace's code
    at: Instant | None = None


class RefundSeen(Event, tag="refund_seen"):
    """Money goes back to the buyer of one line; told again when its state changes. Source  Mirakl OR11, order_lines[].refunds[]."""

    channel: ChannelId
    order_id: OrderId
    line_id: LineId
    sku: Sku
    refund: str  # the marketplace's id, unique for each line
    amount: Money
    shipping_amount: Money
    quantity: int = 0  # informative: amounts tell
    taxes: tuple[Tax, ...] = ()
    shipping_taxes: tuple[Tax, ...] = ()
    fees: tuple[Fee, ...] = ()
    reason: str = ""
    state: str = ""  # WAITING_REFUND, REFUNDED …; an open list
    at: Instant | None = None


class ReturnedUnits(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Units of one line that are to come back, or came."""

    line_id: LineId
    quantity: int
    reason: str = ""  # the side's own code


class ReturnSeen(Event, tag="return_seen"):
    """A return as the marketplace shows it; told again when it changes. Source  Mirakl RT11."""

    channel: ChannelId
    order_id: OrderId
    return_id: str
    state: str  # WAITING_ACCEPTANCE, IN_PROGRESS, RECEIVED …; an open list
    lines: tuple[ReturnedUnits, ...]
    rma: str = ""
    tracking_number: str = ""
    at: Instant | None = None


class ReturnAnswered(Event, tag="return_answered"):
    """The marketplace knows what we say of a return: accepted, received, compliant or not. Source  Mirakl RT21, RT25, RT26."""

    channel: ChannelId
    order_id: OrderId
    return_id: str
    answer: str  # accepted, received, compliant


class RefundedUnits(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One line of a Shopify refund."""

    line_id: LineId
    quantity: int
    amount: Money  # price of these units, tax included where the order's prices include it
    tax: Money  # of which, or beside it, as the order's prices go
    restock: str = ""  # CANCEL, RETURN, NO_RESTOCK


class ShopRefundSeen(Event, tag="shop_refund_seen"):
    """A refund as Shopify records it. That it moved money is not said: ours never do. Source  Shopify order(id).refunds."""

    channel: ChannelId
    order_id: OrderId
    refund: ShopId
    lines: tuple[RefundedUnits, ...]
    shipping: Money  # as the lines' amounts
    shipping_tax: Money
    other: Money  # what is neither a line nor shipping: an amount-only refund; may be negative
    created_at: Instant  # Shopify's clock
    mirrors: str = ""  # the marketplace's refund or cancelation of which this is our own record; "": it began in Shopify
    return_id: ShopId | None = None
    reason: str = ""  # of its return, as Shopify calls it
    moved_money: bool = False  # through a gateway that is not the marketplace's: somebody paid the buyer twice

    @property
    def without_money(self) -> bool:
        """Only goods came back, or units went off the order; `other` is with the taxes, and amounts are so or not, as the order's are."""
        minor = sum(unit.amount.minor for unit in self.lines) + self.shipping.minor + self.other.minor
        return 0 in (minor, minor + sum(unit.tax.minor for unit in self.lines) + self.shipping_tax.minor)


class ShopReturnSeen(Event, tag="shop_return_seen"):
    """A return as Shopify shows it; told again when it changes. Source  Shopify order(id).returns."""

    channel: ChannelId
    order_id: OrderId
    return_id: ShopId
    status: str  # REQUESTED, OPEN, CLOSED, CANCELED, DECLINED; an open list
    lines: tuple[ReturnedUnits, ...]
    received: dict[LineId, int] = {}  # units that are back: disposed of in any way but MISSING
    mirrors: str = ""  # the marketplace's return of which this is our record; "": it began in Shopify


class MarketOrderCanceled(Event, tag="market_order_canceled"):
    """The marketplace gave the whole order up at our word. Source  Mirakl OR29, or its effect re-read."""

    channel: ChannelId
    order_id: OrderId


class UnitsGivenUp(Event, tag="units_given_up"):
    """The marketplace took these units off at our word. Source  Mirakl OR30, or its effect re-read."""

    channel: ChannelId
    order_id: OrderId
    refund: str  # what began it: a Shopify refund, or `cancel`
    cancelations: tuple[str, ...]


class RefundPushed(Event, tag="refund_pushed"):
    """The marketplace refunds at our word. Source  Mirakl OR28, or its effect re-read."""

    channel: ChannelId
    order_id: OrderId
    refund: str  # what began it: a Shopify refund, or `cancel`
    refunds: tuple[str, ...]  # the marketplace's ids
    not_to_ship: dict[LineId, int] = {}  # units that will not follow
    leaving: dict[LineId, int] = {}  # units that have left, or will all the same


class ShopRefundRecorded(Event, tag="shop_refund_recorded"):
    """Shopify holds a record of what the marketplace refunded or canceled; no money moved. Source  Shopify refundCreate."""

    channel: ChannelId
    order_id: OrderId
    mirrors: str  # the marketplace's id
    refund: ShopId


class ShopReturnRecorded(Event, tag="shop_return_recorded"):
    """Shopify holds a record of the marketplace's return. Source  Shopify returnCreate, or its effect re-read."""

    channel: ChannelId
    order_id: OrderId
    mirrors: str
    return_id: ShopId


class RefundsMatched(Note, tag="refunds_matched"):
    """Both sides refunded the same thing at about the same time, each by its own people: the marketplace's need no record in Shopify."""

    channel: ChannelId
    order_id: OrderId
    refund: ShopId
    refunds: tuple[str, ...]
    rest: bool = False  # they are a part of the Shopify refund only: what is left of it is still to be pushed

    @property
    def stream(self) -> str:
        return order_stream(self.channel, self.order_id)

    @property
    def part(self) -> str:
        return self.refund
