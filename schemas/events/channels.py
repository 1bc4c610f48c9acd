"""What is known of a channel or of the shop as a whole. Streams: channel-{channel}, settings."""

from schemas.events.base import Event
from schemas.values import ChannelId, Instant


class PlatformSeen(Event, tag="platform_seen"):
    """How a marketplace is configured, as far as it decides what may be asked of it. Source  Mirakl PC01, SH12, SH21, RE01."""

    channel: ChannelId
    multi_shipment: bool
    acceptance: str = ""  # AUTOMATIC, NOT_AUTOMATIC, BOTH
    tax_mode: str = ""
    returns: bool = False
    own_carriers: bool = True  # carriers that it does not list may be named
    carriers: tuple[str, ...] = ()  # codes
    tracked_methods: tuple[str, ...] = ()  # shipping types that demand a tracking number
    methods: tuple[str, ...] = ()
    refund_reasons: tuple[str, ...] = ()  # codes that a seller may give


class OrdersCounted(Event, tag="orders_counted"):
    """How many orders a channel says were placed in a span of time. Source  Mirakl OR11, total_count."""

    channel: ChannelId
    since: Instant
    until: Instant
    count: int


class RulesApplied(Event, tag="rules_applied"):
    """From here on the engine decides by these rules. Stream: settings. Source  the settings file, at start."""

    digest: str  # SHA-256 of the rules below
    rules: str  # JSON; no secrets
    stock: str = ""  # JSON: by channel, how much of the stock it may show
