"""What a marketplace can be asked. The base class of a command says what may be done when its answer is lost."""

from enum import IntEnum
from typing import ClassVar, dataclass_transform

from msgspec import Struct

from schemas.streams import offers_stream, order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, ShopId, Sku, Tax


class Lane(IntEnum):
    """Which work goes first when not all of it can. Lower goes first; the outbox adds ageing, so that none starves."""

    SHIP = 10
    ACCEPT = 10
    CREATE = 20
    REFUND = 30
    ZERO_STOCK = 40
    STOCK = 50
    FINANCE = 60
    CATALOGUE = 70


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Command(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """A request to a marketplace: imperative, absolute where it can be, without personal data (the performer opens what is sealed)."""

    lane: ClassVar[Lane]
    channel: ChannelId

    @property
    def target(self) -> str:
        """The outside system that is asked: `mirakl:{channel}` or `shopify`. One dispatcher serves it."""
        return f"mirakl:{self.channel}"

    @property
    def subject(self) -> str:
        """The stream it belongs to; at most one command is in flight for each subject."""
        raise NotImplementedError

    @property
    def part(self) -> str:
        """Tells it from other commands of its tag and subject that one event may lead to: a parcel, a refund."""
        return ""

    @property
    def not_before(self) -> Instant | None:
        """When it falls due; None: at once."""
        return None


class Repeatable(Command, frozen=True):
    """Class A. Asking again is the same as asking once: after an unknown outcome, ask again."""


class Keyed(Command, frozen=True):
    """Class B. The marketplace remembers our key for a while: after an unknown outcome, ask again with the same key."""


class StateGuarded(Command, frozen=True):
    """Class C. It can take effect only once: after an unknown outcome or a refusal, read; the wanted state is a confirmation."""


class LookFirst(Command, frozen=True):
    """Class D. Asking twice does it twice: look before asking; after an unknown outcome look, wait out the index lag, look again."""


class _OrderCommand(Command, frozen=True):
    order_id: OrderId

    @property
    def subject(self) -> str:
        return order_stream(self.channel, self.order_id)


class AcceptOrder(StateGuarded, _OrderCommand, tag="accept_order"):
    """Promise the units of these lines to the buyer, or refuse them. Mirakl OR21."""

    lane = Lane.ACCEPT
    accepted: tuple[LineId, ...]
    refused: tuple[LineId, ...] = ()


class CreateShopOrder(LookFirst, _OrderCommand, tag="create_shop_order"):
    """Bring a marketplace order into Shopify, stock claimed, nobody notified. The address is the last one sealed in its stream."""

    lane = Lane.CREATE
    placed_at: Instant
    currency: str
    taxes_included: bool
    lines: tuple[OrderLine, ...]
    total: Money  # Shopify must arrive at the same
    shipping_method: str = ""
    shipping_label: str = ""
    ship_by: Instant | None = None
    test: bool = False
    deliver_by: Instant | None = None
    hold: str = ""  # why the warehouse is to wait with it; "": it is not

    @property
    def target(self) -> str:
        return "shopify"


class SetSellerReference(Repeatable, _OrderCommand, tag="set_seller_reference"):
    """Write the Shopify order's name on the marketplace order. Mirakl OR04."""

    lane = Lane.CATALOGUE
    reference: str


class SignalOnOrder(Repeatable, _OrderCommand, tag="signal_on_order"):
    """Tag our Shopify order, where the warehouse sees it. Shopify tagsAdd."""

    lane = Lane.CATALOGUE
    shop_order: ShopId
    tags: tuple[str, ...]

    @property
    def target(self) -> str:
        return "shopify"

    @property
    def part(self) -> str:
        return ",".join(self.tags)


class ShipOrder(StateGuarded, _OrderCommand, tag="ship_order"):
    """Tell a marketplace that takes one shipment an order that the whole of it left. Mirakl OR23, then OR24."""

    lane = Lane.SHIP
    fulfilments: tuple[ShopId, ...]  # what was read in Shopify and stands behind this
    carrier: str  # as written in Shopify; the adapter maps it
    tracking_number: str = ""
    tracking_url: str = ""


class ShipParcel(LookFirst, _OrderCommand, tag="ship_parcel"):
    """Tell a marketplace that takes several shipments an order of one parcel. Mirakl ST01, the fulfilment's number as its reference."""

    lane = Lane.SHIP
    fulfilment: ShopId
    units: dict[LineId, int]
    carrier: str
    tracking_number: str = ""
    tracking_url: str = ""

    @property
    def part(self) -> str:
        return self.fulfilment


class CorrectTracking(Repeatable, _OrderCommand, tag="correct_tracking"):
    """Tell the marketplace the new tracking of what had left. Mirakl ST23 for a shipment, OR23 for a whole order."""

    lane = Lane.SHIP
    fulfilment: ShopId
    carrier: str
    shipment: str = ""  # the marketplace's id; "": the whole order
    tracking_number: str = ""
    tracking_url: str = ""

    @property
    def part(self) -> str:
        return self.fulfilment


class CancelOrder(StateGuarded, _OrderCommand, tag="cancel_order"):
    """Give the whole order up while nobody has paid. Mirakl OR29."""

    lane = Lane.REFUND


class LineRefund(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What goes back for one line, in the order's own tax mode."""

    line_id: LineId
    amount: Money
    shipping_amount: Money
    quantity: int = 0
    taxes: tuple[Tax, ...] = ()
    shipping_taxes: tuple[Tax, ...] = ()
    not_to_ship: bool = False  # excluded_from_shipment: these units will not follow


class _MoneyBack(LookFirst, _OrderCommand, frozen=True):
    lane = Lane.REFUND
    refund: str  # what began it: a Shopify refund, or `cancel`
    reason: str  # ours: cancel, refund, or a Shopify return reason; the adapter maps it
    taxes_included: bool
    lines: tuple[LineRefund, ...]
    known: tuple[
        str, ...
    ]  # the marketplace's refunds or cancelations of these lines when this was decided: whatever is new is ours or foreign

    @property
    def part(self) -> str:
        return self.refund


class CancelUnits(_MoneyBack, tag="cancel_units"):
    """Take units off an order that is not debited yet. Mirakl OR30, where the operator lets sellers."""


class RefundLines(_MoneyBack, tag="refund_lines"):
    """Give the buyer money back. Mirakl OR28, which does it again whenever it is asked again."""


class AnswerReturn(StateGuarded, _OrderCommand, tag="answer_return"):
    """Say of a return that it is accepted, received, or compliant. Mirakl RT21, RT25, RT26."""

    lane = Lane.REFUND
    return_id: str
    answer: str  # accepted, received, compliant
    lines: tuple[LineId, ...] = ()  # that are compliant; empty: all of it

    @property
    def part(self) -> str:
        return f"{self.return_id}:{self.answer}"


class _ShopCommand(_OrderCommand, frozen=True):
    shop_order: ShopId

    @property
    def target(self) -> str:
        return "shopify"


class HoldShopOrder(StateGuarded, _ShopCommand, tag="hold_shop_order"):
    """Keep the warehouse from packing it. Shopify fulfillmentOrderHold, under our handle."""

    lane = Lane.CREATE
    reason: str  # for whoever looks at the hold; names nobody


class ReleaseShopOrder(StateGuarded, _ShopCommand, tag="release_shop_order"):
    """Take our hold off, and nobody else's. Shopify fulfillmentOrderReleaseHold, with the ids of our holds."""

    lane = Lane.CREATE


class CancelShopOrder(StateGuarded, _ShopCommand, tag="cancel_shop_order"):
    """Stop an order that the marketplace gave up, its stock put back, nobody notified, no money moved. Shopify orderCancel."""

    lane = Lane.CREATE
    reason: str  # for the staff note


class RecordShopRefund(Keyed, _ShopCommand, tag="record_shop_refund"):
    """Write down in Shopify what the marketplace refunded or canceled; no money moves. Shopify refundCreate."""

    lane = Lane.REFUND
    mirrors: str  # the marketplace's refund or cancelation
    lines: dict[LineId, int]  # units; none: money only
    restock: str  # CANCEL, NO_RESTOCK: goods that come back are put away when they come
    amount: Money  # what the buyer gets back in all, taxes included
    shipping: Money  # of which for shipping

    @property
    def part(self) -> str:
        return self.mirrors


class RecordShopReturn(LookFirst, _ShopCommand, tag="record_shop_return"):
    """Write down in Shopify that goods are coming back. Shopify returnCreate, the marketplace's return in its note."""

    lane = Lane.REFUND
    mirrors: str  # the marketplace's return
    lines: dict[LineId, int]  # units
    reason: str = ""  # the marketplace's

    @property
    def part(self) -> str:
        return self.mirrors


class Remind(Repeatable, tag="remind"):
    """Tell a policy that a moment has come. Nobody outside is asked."""

    lane = Lane.ACCEPT
    about: str  # the stream that is told
    at: Instant

    @property
    def target(self) -> str:
        return "clock"

    @property
    def subject(self) -> str:
        return f"clock-{self.about}@{self.at.isoformat()}"

    @property
    def not_before(self) -> Instant | None:
        return self.at


class PublishStock(Repeatable, tag="publish_stock"):
    """Set the quantities of these offers. Mirakl STO01."""

    lane = Lane.STOCK
    quantities: dict[Sku, int]  # units, absolute
    as_of: int  # the log position the numbers rest on
    rules: str = ""  # digest of the RulesApplied by which they were made
    mode: str = "normal"  # see StockModeSet
    step: int = 0
    orders_at: Instant | None = None  # when the last whole poll of the channel's orders began; None: none since the start

    @property
    def subject(self) -> str:
        return offers_stream(self.channel)


class SettleStockImport(Repeatable, tag="settle_stock_import"):
    """Ask what became of a file of quantities until it is finished. Mirakl STO02, STO03."""

    lane = Lane.STOCK
    import_id: str
    quantities: dict[Sku, int]  # what the file said; the outcome event repeats it

    @property
    def subject(self) -> str:
        return offers_stream(self.channel)


AnyCommand = (
    AcceptOrder
    | CreateShopOrder
    | SetSellerReference
    | SignalOnOrder
    | ShipOrder
    | ShipParcel
    | CorrectTracking
    | CancelOrder
    | CancelUnits
    | RefundLines
    | AnswerReturn
    | HoldShopOrder
    | ReleaseShopOrder
    | CancelShopOrder
    | RecordShopRefund
    | RecordShopReturn
    | PublishStock
    | SettleStockImport
    | Remind
)
