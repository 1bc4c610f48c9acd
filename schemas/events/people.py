"""What people decide, and what the clock tells. The envelope's `actor` says who; a reason is always given."""

from schemas.events.base import Event, Note
from schemas.streams import order_stream
from schemas.values import ChannelId, Instant, OrderId


class OrderHeld(Event, tag="order_held"):
    """A person wants an order to wait: nothing is accepted, created or shipped of it. Stream: the order's."""

    channel: ChannelId
    order_id: OrderId
    reason: str


class OrderReleased(Event, tag="order_released"):
    """A person lets a held order go on, and answers for it: what the rules had held is taken. Stream: the order's."""

    channel: ChannelId
    order_id: OrderId
    reason: str


class OrderRefusalAsked(Event, tag="order_refusal_asked"):
    """A person refuses what waits for acceptance of an order. Stream: the order's."""

    channel: ChannelId
    order_id: OrderId
    reason: str


class LogResumed(Event, tag="log_resumed"):
    """A person lets work go on in a log that does not continue what was signed of it: it was restored to an earlier state. Stream: log."""

    kept: int  # events, of the last checkpoint that the log does continue; 0: of none
    lost_size: int  # events, of the newest checkpoint, which it does not
    lost_root: str  # its root, in hexadecimal
    lost_at: Instant  # when it was signed
    reason: str


class MappingSet(Event, tag="mapping_set"):
    """One side's word has another on the other side. Stream: map-{channel}:{kind}.

    `kind` is sku (offer SKU -> Shopify SKU), carrier (company as written in Shopify -> carrier code), method (shipping type code ->
    title of the Shopify shipping line), reason (cancel, refund, or a Shopify return reason -> RE01 code) or bundle (offer SKU -> what it
    is made of, as in "2 x MUG + 1 x BOX").
    """

    channel: ChannelId
    kind: str
    name: str  # compared without case and without blanks around it, except SKUs
    value: str  # "": the mapping is taken away
    reason: str = ""
    from_settings: bool = False  # False: a person set it, and the settings do not overrule that


class Redriven(Note, tag="redriven"):
    """What an order waited for is there: a step that was refused is asked for again. Stream: the order's."""

    channel: ChannelId
    order_id: OrderId
    key: str  # of the exception that is over or tried again
    because: str

    @property
    def stream(self) -> str:
        return order_stream(self.channel, self.order_id)

    @property
    def part(self) -> str:
        return self.key


class ReminderDue(Event, tag="reminder_due"):
    """The moment has come that a policy wanted to be told of. Stream: the one it concerns."""

    about: str  # that stream
    at: Instant  # the moment, not when it was told
