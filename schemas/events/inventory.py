"""What there is to sell, and what the channels have been told. Streams: stock-{sku}, offers-{channel}."""

from schemas.events.base import Event
from schemas.values import ChannelId, Instant, ShopId, Sku


class StockCounted(Event, tag="stock_counted"):
    """What Shopify held of one SKU when it was read.

    Source  Shopify inventoryItem.inventoryLevels, after a webhook, an order or a sweep
    """

    sku: Sku
    item: ShopId
    levels: dict[ShopId, int]  # location -> available units; may be negative; a level never set is left out
    read_at: Instant  # our clock, before the request left: what we asked for earlier is in these numbers
    tracked: bool = True
    settled: tuple[
        str, ...
    ] = ()  # marketplace orders ({channel}:{order_id}) that stood in Shopify before this reading: their units are in it


class StockImportStarted(Event, tag="stock_import_started"):
    """A channel took a file of quantities and works on it. Source  Mirakl STO01 (201)."""

    channel: ChannelId
    import_id: str
    quantities: dict[Sku, int]  # units, absolute


class StockImportFinished(Event, tag="stock_import_finished"):
    """A channel has worked through a file of quantities; what it refused is named line by line. Source  Mirakl STO02, STO03."""

    channel: ChannelId
    import_id: str
    status: str  # COMPLETE, FAILED; an open list: only COMPLETE applied anything
    quantities: dict[Sku, int]  # what the file said, refused lines too
    refused: dict[Sku, str] = {}  # SKU -> the channel's reason
