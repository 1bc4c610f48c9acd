"""What the streams are called."""

from schemas.values import ChannelId, OrderId, Sku


def order_stream(channel: ChannelId, order_id: OrderId) -> str:
    """Everything of one marketplace order: both systems, commands and people's actions."""
    return f"order-{channel}:{order_id}"


def stock_stream(sku: Sku) -> str:
    """What was counted of one SKU."""
    return f"stock-{sku}"


def offers_stream(channel: ChannelId) -> str:
    """What a channel was told of its quantities."""
    return f"offers-{channel}"


def map_stream(channel: ChannelId, kind: str) -> str:
    """Whose word is whose."""
    return f"map-{channel}:{kind}"


def channel_stream(channel: ChannelId) -> str:
    """What is known of a channel as a whole."""
    return f"channel-{channel}"


SETTINGS = "settings"  # by which rules the engine decides
LOG = "log"  # what is told of the log itself
