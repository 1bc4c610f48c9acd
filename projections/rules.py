"""By which rules a channel's orders are accepted, held and watched: what people chose, and how the marketplace is configured."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.values import ChannelId

Hours = Annotated[float, Meta(gt=0)]


class OrderRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people chose. Every default is the careful choice: where a rule is in doubt, a person is asked."""

    currency: str = ""  # the only one in which orders are taken; "": whatever the shop takes
    check_stock: bool = True  # compare with what Shopify has before promising
    short_stock: Literal["hold", "refuse", "accept"] = "hold"  # where there is too little
    unknown_sku: Literal["hold", "refuse"] = "hold"
    price_tolerance: Annotated[int, Meta(ge=0, le=100)] | None = None  # per cent below Shopify's price; None: prices are not compared
    partial_cancelation: bool = False  # the operator lets sellers take units off what is not debited yet (OR30)
    partial: bool = True  # take some lines and refuse others, where both are called for
    countries: tuple[str, ...] = ()  # ISO 3166 alpha-2 that we deliver to; empty: all
    po_boxes: bool = True  # whether we deliver there
    test_orders: Literal["hold", "accept"] = "hold"
    accept_hours: Hours = 24.0  # from the sale; then the marketplace may refuse by itself. No operation tells it: ask the operator
    accept_warning_hours: Hours = 4.0  # before that, somebody is told
    at_deadline: Literal["wait", "accept", "refuse"] = "wait"  # what becomes of what is still held by then
    debit_hours: Hours = 4.0  # that a debit may take
    orphan_minutes: Hours = 30.0  # that an order may be shippable without standing in Shopify
    dispatch_warning_hours: Hours = 6.0  # before the promised dispatch
    tracking_hours: Hours = 4.0  # that a parcel may stay without its number, where one is demanded
    untracked_methods: tuple[str, ...] = ()  # shipping types that may be dispatched without a number
    receipt_days: Hours = 21.0  # from dispatch to delivery; until then the money may not be released
    message_hours: Hours = 24.0  # that a buyer may wait for an answer
    refund_hours: Hours = 72.0  # that a refund may stay on its way
    return_days: Hours = 30.0  # that goods may take to come back


class Platform(Struct, frozen=True, kw_only=True):
    """How the marketplace is configured, as last seen."""

    multi_shipment: bool = False
    automatic: bool = False  # orders accept themselves
    returns: bool = False
    tracked_methods: frozenset[str] = frozenset()  # shipping types that demand a number


class Channel(Struct, frozen=True, kw_only=True):
    """All of it for one channel."""

    rules: OrderRules = OrderRules()
    platform: Platform = Platform()


Channels = Callable[[ChannelId], Channel]
"""A channel's rules as they are at this moment. Policies ask; folds never do."""


def hours(number: float) -> timedelta:
    return timedelta(hours=number)
