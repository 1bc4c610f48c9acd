"""What there is to sell, and what the channels have been told. Streams: stock-{sku}, offers-{channel}."""

from schemas.events.base import Event, Note
from schemas.streams import offers_stream
from schemas.values import ChannelId, Instant, Money, ShopId, Sku


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
    sold_as: tuple[Sku, ...] = ()  # other SKUs under which these orders bought: offers that are mapped to this SKU, or contain it
    read_by: Instant | None = None  # our clock, when the answer was known to be there; None: moments after `read_at`


class VariantSeen(Event, tag="variant_seen"):
    """What is sold under a SKU, as far as it decides how much of it may be shown. Stream: stock-{sku}.

    Source  Shopify productVariant and its product, beside each count
    """

    sku: Sku
    item: ShopId
    status: str  # of the product: ACTIVE, ARCHIVED, DRAFT, UNLISTED; an open list. DELETED, ours: nothing has the SKU any more
    read_at: Instant
    sells_beyond_zero: bool = False  # inventoryPolicy CONTINUE
    tags: tuple[str, ...] = ()  # of the product, sorted
    product_type: str = ""
    rivals: tuple[ShopId, ...] = ()  # items that have the SKU, where it is several: then nobody can say how many there are


class OffersRead(Event, tag="offers_read"):
    """What a channel shows of some of its offers: one event for each helping of a file. Stream: offers-{channel}.

    Source  Mirakl OF52, OF53, OF54
    """

    channel: ChannelId
    read_at: Instant  # our clock, before the export was asked for: what was applied later need not be in it
    quantities: dict[Sku, int]  # units
    inactive: tuple[Sku, ...] = ()  # of these, those that nobody can buy
    deleted: tuple[Sku, ...] = ()  # of these, those that are no offers any more
    prices: dict[Sku, Money] = {}  # of one unit


class StockImportStarted(Event, tag="stock_import_started"):
    """A channel took a file of quantities and works on it. Source  Mirakl STO01 (201)."""

    channel: ChannelId
    import_id: str
    quantities: dict[Sku, int]  # units, absolute


class StockImportFinished(Event, tag="stock_import_finished"):
    """A channel has worked through a file of quantities; what it refused is named line by line. Source  Mirakl STO02, STO03."""

    channel: ChannelId
    import_id: str
    status: str  # COMPLETE, FAILED; STUCK: given up on, ours; an open list: only COMPLETE is known to have applied anything
    quantities: dict[Sku, int]  # what the file said, refused lines too
    refused: dict[Sku, str] = {}  # SKU -> the channel's reason
    told_at: Instant | None = None  # our clock, when we were told


class StockFileLost(Note, tag="stock_file_lost"):
    """Nothing will be heard any more of a file of quantities. Stream: offers-{channel}."""

    channel: ChannelId
    quantities: dict[Sku, int]  # what the file said
    why: str
    applied: bool  # it may have been, or may be yet; False: it was refused as a whole

    @property
    def stream(self) -> str:
        return offers_stream(self.channel)


class StockModeSet(Note, tag="stock_mode_set"):
    """From here on a channel is shown less than the arithmetic says, or again what it says: a decision, and why it was taken.

    Stream: offers-{channel}. Told by the publisher, which alone looks at the clock.
    """

    channel: ChannelId
    mode: str  # normal; hold: nothing rises; decay: half as much with each step; zero; blackout: nothing is on offer
    because: str = ""  # "": everything is as it should be
    step: int = 0  # of a decay, from 1

    @property
    def stream(self) -> str:
        return offers_stream(self.channel)


class PaceMeasured(Note, tag="pace_measured"):
    """How fast some SKUs sell on a channel, and how long a change takes to be shown there. Stream: offers-{channel}.

    Source  our own log, over the hours before
    """

    channel: ChannelId
    seconds: int  # from a change that has just missed a file until the next one is applied; the slowest of late
    hourly: dict[Sku, int]  # units sold in the busiest of the last hours; SKUs whose pace is another than was told last

    @property
    def stream(self) -> str:
        return offers_stream(self.channel)

    @property
    def part(self) -> str:
        return next(iter(self.hourly), "")
