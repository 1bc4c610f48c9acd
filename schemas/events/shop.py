"""What Shopify tells us unasked, and of orders that nobody follows. Stream: hint-{topic}:{resource}, or the order's where one is named."""

from schemas.events.base import Event
from schemas.values import ChannelId, Instant, OrderId, ShopId


class ShopNotified(Event, tag="shop_notified"):
    """Shopify says that something changed: a signed hint to read it again, never a fact by itself. Source  a webhook."""

    topic: str  # orders/updated
    about: tuple[ShopId, ...]  # what to read again: Order, Fulfillment, InventoryItem GIDs; empty: the topic alone says it
    webhook_id: str = ""
    triggered_at: Instant | None = None  # Shopify's clock
    api_version: str = ""


class ShopOrderOrphaned(Event, tag="shop_order_orphaned"):
    """A Shopify order carries our marks without the id that only we can give it. Source  Shopify order(id)."""

    shop_order: ShopId
    channel: ChannelId | None = None  # whose order it says it is
    order_id: OrderId | None = None
    name: str = ""  # as people see it in Shopify
    twin_of: str = ""  # the name of the Shopify order that has the id; "": none has
    cancelled: bool = False
