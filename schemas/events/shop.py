"""What Shopify tells us unasked. Stream: hint-{topic}:{resource}."""

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
    """A Shopify order carries our marks but belongs to no marketplace order in the log. Source  Shopify order(id)."""

    shop_order: ShopId
    channel: ChannelId | None = None
    order_id: OrderId | None = None
