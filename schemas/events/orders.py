"""The life of a marketplace order, on both sides. Stream: order-{channel}:{order_id}."""

from msgspec import Struct

from schemas.events.base import Event, Personal
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


class FulfilmentSeen(Event, tag="fulfilment_seen"):
    """One parcel group of an order, as read from Shopify. Source  Shopify order(id).fulfillments, after a webhook or a sweep."""

    channel: ChannelId
    order_id: OrderId
    fulfilment: ShopId
    status: str  # SUCCESS, CANCELLED, ERROR, FAILURE …; an open list
    updated_at: Instant  # Shopify's clock
    units: dict[LineId, int]  # marketplace line -> units in this parcel group
    carrier: str = ""  # as written in Shopify
    tracking_number: str = ""
    tracking_url: str = ""


class OrderShipped(Event, tag="order_shipped"):
    """The marketplace was told that the whole order left, with its tracking. Source  Mirakl OR23 then OR24, or their effect re-read."""

    channel: ChannelId
    order_id: OrderId
    carrier_code: str
    tracking_number: str
