"""Where Shopify's own answer is not known, differs from shop to shop, or can be worse than usual: each with its positions."""

from typing import Literal

from msgspec import Struct, field


class Noise(Struct, forbid_unknown_fields=True):
    """How badly webhooks travel. Probabilities for each delivery."""

    latency: float = 0.5  # seconds
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # held back long enough for later ones to overtake
    delay: float = 0.0  # held back for `delay_seconds`
    delay_seconds: float = 900.0
    coalesce: float = 0.0  # melts into one that is still on its way about the same thing


class Switches(Struct, forbid_unknown_fields=True):
    # orders and who finds them
    duplicate_metafield: Literal["refuse", "create_without"] = "refuse"  # orderCreate with a taken unique id
    index_lag: float = 5.0  # seconds until the search index knows of a change
    lookup_lag: float = 0.0  # the same for orderByIdentifier
    visible_days: int | None = 60  # how far back orders go without read_all_orders
    source_name: Literal["kept", "attributed", "ignored"] = "kept"  # a free sourceName; attributed: only a defined handle is taken
    source_in_webhooks: bool = True  # whether bodies tell the sourceIdentifier
    longest_tag: int = 40  # characters, on orders
    most_tags: int = 250
    metafield_touches_order: bool = True  # whether a metafield's change moves updated_at and fires orders/updated
    shipping_from_variant: bool = False  # whether a line that does not say requiresShipping takes its variant's word for it
    orders_per_minute: int | None = None  # orderCreate on development shops: 5

    # from order to parcel
    routing_delay: float = 3.0  # seconds from an order to its fulfilment orders
    claims_at: Literal["routed", "first"] = "routed"  # the location that loses stock: where it ships from, or the first one
    partly_fulfilled: Literal["IN_PROGRESS", "OPEN"] = "IN_PROGRESS"  # status of a fulfilment order of which some has left
    digital_goods: Literal["unfulfilled", "not_required"] = "unfulfilled"  # how an order without goods to ship is shown

    # cancellations, refunds, returns: how they end
    cancel_delay: float = 2.0  # seconds until a cancellation job has run
    cancel_fails: float = 0.0  # share of cancellation jobs that fail at last, for no visible reason
    cancel_leaves_refund: bool = False  # whether a cancellation without money back leaves a refund of lines behind
    restock_unclaimed: bool = False  # whether restocking adds units that the order never claimed (BYPASS)
    manual_refunds: Literal["moved", "pending", "failed", "refused"] = "moved"  # on gateways that Shopify does not know
    refund_delay: float = 0.0  # seconds until a refund's money has moved
    return_closes: Literal["by_itself", "by_hand"] = "by_itself"  # once all of it is processed
    returns_process_body: Literal["empty", "full"] = "empty"

    # idempotency keys
    refund_key_errors: Literal["user_error", "top_level"] = "user_error"  # where those without a code show
    key_life_from: Literal["first_use", "last_use"] = "first_use"
    key_busy: float = 0.0  # seconds for which the first call under a key still runs
    keyed_failure: float = 0.0  # share of keyed calls that fail inside, and burn their key

    # stock
    stale_entries: Literal["all_or_nothing", "entry_by_entry"] = "all_or_nothing"
    unset_quantities: Literal["zero", "missing"] = "zero"  # a quantity that nobody ever set

    # access and answers
    grant_denied: list[str] = []  # root fields that a client-credentials token may not ask for
    protected_data: Literal["granted", "null", "denied"] = "granted"  # names, addresses, e-mail, phone
    frozen: bool = False  # the shop has not paid: 402
    bucket: float = 2000.0  # points of query cost
    restore_rate: float = 100.0  # points a second
    decimals: Literal["shortest", "scaled", "mixed"] = "shortest"  # 43.0, 43.00, or now this and now that
    odd_fields: list[str] = []  # as Type.field: an enum answers a value that nobody has heard of, anything else null

    # bulk operations
    bulk_seconds: float = 8.0  # from start to finish
    bulk_at_once: int = 5
    bulk_fails: float = 0.0  # share of jobs that break off half-way

    webhooks: Noise = field(default_factory=Noise)
