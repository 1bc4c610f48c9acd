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
