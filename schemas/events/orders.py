"""The life of a marketplace order up to its parcels, on both sides. Stream: order-{channel}:{order_id}."""

from typing import Literal

from msgspec import Struct

from schemas.events.base import Event, Note, Personal
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, LineId, Money, OrderId, OrderLine, ShopId, Sku


class OrderPlaced(Event, tag="order_placed"):
    """A buyer's order reached a channel. It is not ours to ship until it is accepted and its payment stands.

    Source  Mirakl OR11, first sight in any state
    """

    channel: ChannelId
    order_id: OrderId
    commercial_id: str
    placed_at: Instant  # the marketplace's clock
    currency: str
    taxes_included: bool  # False: taxes come on top of the prices
    lines: tuple[OrderLine, ...]
    total: Money  # what the buyer pays: prices, shipping and, where not included, taxes
    shipping_method: str = ""  # shipping_type_code
    shipping_label: str = ""
    ship_by: Instant | None = None  # shipping_deadline
    test: bool = False
    deliver_by: Instant | None = None  # delivery_date.latest
    stated_total: Money | None = None  # what the marketplace itself says it adds up to; None where it does not say
    storefront: str = ""  # channel.code: which of the marketplace's shop fronts
    fulfilled_by: str = ""  # fulfillment.center.code; "" and DEFAULT: the seller
    payment_workflow: str = ""  # PAY_ON_ACCEPTANCE, PAY_ON_SHIPMENT …; "": not said

    @property
    def ours_to_ship(self) -> bool:
        """False: the operator's own fulfilment centre does it, from a shelf of its own."""
        return self.fulfilled_by in ("", "DEFAULT")


class OrderTermsChanged(Event, tag="order_terms_changed"):
    """The marketplace now shows an order with other terms than those first recorded.

    Source  Mirakl OR11, when a repeat of OrderPlaced differs from the one in the log
    """

    channel: ChannelId
    order_id: OrderId
    terms: OrderPlaced


class OrderStateChanged(Event, tag="order_state_changed"):
    """An order reached a state, in the marketplace's own words (an open list: WAITING_ACCEPTANCE, SHIPPING, SHIPPED …).

    Source  Mirakl OR11, order_state
    """

    channel: ChannelId
    order_id: OrderId
    state: str
    reason: str | None = None
    at: Instant | None = None  # when it was last changed, by the marketplace's clock


class LineStateChanged(Event, tag="line_state_changed"):
    """One line of an order reached a state. Source  Mirakl OR11, order_line_state."""

    channel: ChannelId
    order_id: OrderId
    line_id: LineId
    sku: Sku
    state: str
    reason: str | None = None


class DeliveryAddress(Personal, tag="delivery_address"):
    """Where an order goes and who waits for it. Every field may be missing."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    street_1: str = ""
    street_2: str = ""
    city: str = ""
    zip_code: str = ""
    state: str = ""
    country: str = ""  # as the marketplace writes it
    country_code: str = ""  # ISO 3166 alpha-2, "" when it could not be told
    phone: str = ""
    email: str = ""  # the marketplace's relay address
    notes: str = ""


class DeliveryAddressGiven(Event, tag="delivery_address_given"):
    """The marketplace disclosed where an order goes; the address itself is sealed beside this event, as DeliveryAddress.

    Source  Mirakl OR11, customer.shipping_address; again whenever it differs from every one given before
    """

    channel: ChannelId
    order_id: OrderId
    country_code: str = ""  # for routing and tax; names nobody
    lacks: tuple[str, ...] = ()  # fields without which nothing can be delivered: name, street, city, zip_code, country
    po_box: bool = False


class BuyerFlagged(Event, tag="buyer_flagged"):
    """The buyer of an order is on the list of those at whom a person wants to look first. Source  the settings' blocklist."""

    channel: ChannelId
    order_id: OrderId
    entry: str  # the entry's own name, as in the settings; names nobody


class OrderDebited(Event, tag="order_debited"):
    """The buyer's money was taken. Source  Mirakl OR11, customer_debited_date."""

    channel: ChannelId
    order_id: OrderId
    at: Instant  # the marketplace's clock


class OrderSignalled(Event, tag="order_signalled"):
    """What the marketplace says of an order beside its state, when it changes. Source  Mirakl OR11."""

    channel: ChannelId
    order_id: OrderId
    incident: bool = False  # has_incident
    message: bool = False  # has_customer_message
    can_cancel: bool = False
    can_ship: bool = False  # can_shop_ship
    at: Instant | None = None  # when the order was last changed, by the marketplace's clock


class TrackingShown(Event, tag="tracking_shown"):
    """The tracking that the marketplace shows of a whole order. Source  Mirakl OR11, after OR23 by us or by hand."""

    channel: ChannelId
    order_id: OrderId
    carrier_code: str = ""
    carrier: str = ""
    tracking_number: str = ""
    tracking_url: str = ""


class Assessed(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What Shopify has of one line's SKU."""

    sku: Sku  # as looked for: the line's, or what it is mapped to
    variants: int  # how many are for sale under it; 1 is what it should be
    variant: ShopId | None = None
    price: Money | None = None  # of one unit, in the shop's currency, tax as the shop shows it
    available: int | None = None  # units at the chosen locations, less what is kept back; None: not tracked
    oversell: bool = False  # the shop sells it beyond zero


class LinesAssessed(Event, tag="lines_assessed"):
    """How an order's lines look from Shopify: what acceptance rests on. Source  Shopify productVariants, when the order is first seen."""

    channel: ChannelId
    order_id: OrderId
    lines: dict[LineId, Assessed]
    read_at: Instant  # our clock


class LineVerdict(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Whether one line is taken, and the rule that said so."""

    line_id: LineId
    take: bool
    rule: str  # sound, stock, price, sku, address, buyer, test, currency …
    detail: str = ""  # the numbers that were compared


class AcceptanceDecided(Note, tag="acceptance_decided"):
    """The rules looked at a waiting order. Beside it stands the command to accept or refuse, or an exception where a person must say."""

    channel: ChannelId
    order_id: OrderId
    outcome: Literal["accept", "refuse", "partly", "hold"]
    lines: tuple[LineVerdict, ...]

    @property
    def stream(self) -> str:
        return order_stream(self.channel, self.order_id)


class OrderAccepted(Event, tag="order_accepted"):
    """We promised these lines to the buyer and refused those. Source  Mirakl OR21 (204), or its effect re-read by OR11."""

    channel: ChannelId
    order_id: OrderId
    accepted: tuple[LineId, ...]
    refused: tuple[LineId, ...] = ()


class ShopLine(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A marketplace line as it stands in Shopify."""

    line_id: LineId  # the marketplace's
    item: ShopId  # Shopify's LineItem
    sku: Sku
    quantity: int  # units claimed
    sold_as: Sku = Sku("")  # the offer that was bought, where it is called otherwise


class ShopOrderCreated(Event, tag="shop_order_created"):
    """The marketplace order exists in Shopify. Source  orderCreate, or orderByIdentifier when it was there already."""

    channel: ChannelId
    order_id: OrderId
    shop_order: ShopId
    name: str  # as people see it in Shopify
    total: Money
    lines: tuple[ShopLine, ...]
    created_at: Instant  # Shopify's clock


class SellerReferenceSet(Event, tag="seller_reference_set"):
    """The marketplace knows our Shopify order's name. Source  Mirakl OR04."""

    channel: ChannelId
    order_id: OrderId
    reference: str


class ShopOrderSeen(Event, tag="shop_order_seen"):
    """How an order of ours stood in Shopify when it was last read. Source  Shopify order(id), after a webhook or a sweep."""

    channel: ChannelId
    order_id: OrderId
    shop_order: ShopId
    updated_at: Instant  # Shopify's clock
    cancelled_at: Instant | None = None
    financial_status: str = ""
    fulfilment_status: str = ""
    total: Money | None = None
    units: dict[LineId, int] = {}  # marketplace line -> units that still stand on the order
    strangers: int = 0  # units that belong to no marketplace line: added by hand
    holds: tuple[str, ...] = ()  # reasons for which fulfilment orders are held, ours among them as HANDLE
    address_moved: bool = False  # the shipping address is not the one that we gave


FULFILMENT_STATUSES = frozenset({"CANCELLED", "ERROR", "FAILURE", "OPEN", "PENDING", "SUCCESS"})  # Admin API, FulfillmentStatus, 2026-10


class FulfilmentSeen(Event, tag="fulfilment_seen"):
    """One parcel group of an order, as read from Shopify. Source  Shopify order(id).fulfillments, after a webhook or a sweep."""

    channel: ChannelId
    order_id: OrderId
    fulfilment: ShopId
    status: str  # one of FULFILMENT_STATUSES, or what Shopify has added to them since
    updated_at: Instant  # Shopify's clock
    units: dict[LineId, int]  # marketplace line -> units in this parcel group
    carrier: str = ""  # as written in Shopify
    tracking_number: str = ""
    tracking_url: str = ""
    further_numbers: tuple[str, ...] = ()  # of the other parcels in the group


class TrackingDropped(Note, tag="tracking_dropped"):
    """No confirmed parcel of an order has this tracking number any more: it was corrected, or the parcel cancelled."""

    channel: ChannelId
    order_id: OrderId
    tracking_number: str  # as it was written in Shopify

    @property
    def stream(self) -> str:
        return order_stream(self.channel, self.order_id)

    @property
    def part(self) -> str:
        return self.tracking_number


class OrderShipped(Event, tag="order_shipped"):
    """The marketplace was told that the whole order left, with its tracking. Source  Mirakl OR23 then OR24, or their effect re-read."""

    channel: ChannelId
    order_id: OrderId
    carrier_code: str
    tracking_number: str
    fulfilments: tuple[ShopId, ...] = ()
    carrier: str = ""  # as written in Shopify
    tracking_url: str = ""


class ShipmentMade(Event, tag="shipment_made"):
    """The marketplace was told of one parcel. Source  Mirakl ST01, or its effect re-read by ST11."""

    channel: ChannelId
    order_id: OrderId
    shipment: str  # the marketplace's id
    fulfilment: ShopId
    units: dict[LineId, int]
    carrier: str  # as written in Shopify
    carrier_code: str  # as the marketplace knows it; "" for one that it does not list
    tracking_number: str
    tracking_url: str = ""


class TrackingCorrected(Event, tag="tracking_corrected"):
    """The marketplace knows the new tracking of a parcel that had left. Source  Mirakl ST23 or OR23."""

    channel: ChannelId
    order_id: OrderId
    fulfilment: ShopId
    carrier: str  # as written in Shopify
    tracking_number: str
    tracking_url: str = ""


class ShopOrderHeld(Event, tag="shop_order_held"):
    """The warehouse is asked to wait: the fulfilment orders are on hold under our handle. Source  Shopify fulfillmentOrderHold."""

    channel: ChannelId
    order_id: OrderId


class ShopOrderReleased(Event, tag="shop_order_released"):
    """Our hold is gone. Source  Shopify fulfillmentOrderReleaseHold."""

    channel: ChannelId
    order_id: OrderId


class ShopOrderCancelled(Event, tag="shop_order_cancelled"):
    """Our Shopify order was cancelled because the marketplace's was. Source  Shopify orderCancel, its job done."""

    channel: ChannelId
    order_id: OrderId
    shop_order: ShopId


class ShopOrderTagged(Event, tag="shop_order_tagged"):
    """Shopify shows these tags on our order. Source  Shopify tagsAdd."""

    channel: ChannelId
    order_id: OrderId
    tags: tuple[str, ...]
