"""What a marketplace can be asked. The base class of a command says what may be done when its answer is lost."""

from enum import IntEnum
from typing import ClassVar, dataclass_transform

from msgspec import Struct

from schemas.streams import offers_stream, order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, ShopId, Sku


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

    @property
    def target(self) -> str:
        return "shopify"


class SetSellerReference(Repeatable, _OrderCommand, tag="set_seller_reference"):
    """Write the Shopify order's name on the marketplace order. Mirakl OR04."""

    lane = Lane.CATALOGUE
    reference: str


class ShipOrder(StateGuarded, _OrderCommand, tag="ship_order"):
    """Tell the marketplace that the whole order left. Mirakl OR23, then OR24."""

    lane = Lane.SHIP
    fulfilments: tuple[ShopId, ...]  # what was read in Shopify and stands behind this
    carrier: str  # as written in Shopify; the adapter maps it
    tracking_number: str = ""
    tracking_url: str = ""


class PublishStock(Repeatable, tag="publish_stock"):
    """Set the quantities of these offers. Mirakl STO01."""

    lane = Lane.STOCK
    quantities: dict[Sku, int]  # units, absolute
    as_of: int  # the log position the numbers rest on

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


AnyCommand = AcceptOrder | CreateShopOrder | SetSellerReference | ShipOrder | PublishStock | SettleStockImport
