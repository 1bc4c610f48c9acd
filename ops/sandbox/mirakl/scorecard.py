"""A21: how well the seller has done, counted from what happened. Rates are shares between 0 and 1."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

from ops.sandbox.mirakl import offers
from ops.sandbox.mirakl.sale import Line, Order
from ops.sandbox.mirakl.shapes import moment
from ops.sandbox.mirakl.state import Account
from ops.sandbox.money import number

PERIODS = {  # days back; None: from the beginning
    "ALL_SINCE_BEGINNING": None,
    "LAST_MONTH": 30,
    "LAST_THREE_MONTHS": 91,
    "LAST_SIX_MONTHS": 182,
    "LAST_YEAR": 365,
}
UNDECIDED = ("STAGING", "WAITING_ACCEPTANCE")


class Score(Struct):
    """Counts of one period."""

    orders: int = 0  # accepted, in part at least
    debited: int = 0
    accepted: int = 0  # lines
    refused: int = 0
    timed_out: int = 0
    cancelled: int = 0
    refunded: int = 0
    incidents: int = 0
    returned: int = 0
    returnable: int = 0
    shipped: int = 0  # orders
    late: int = 0
    tracked: int = 0
    decisions: int = 0
    decision_seconds: float = 0.0
    shipping_seconds: float = 0.0
    sales: int = 0  # of accepted lines, without shipping
    shipping: int = 0

    @property
    def approval_rate(self) -> Decimal:
        return _rate(self.accepted, self.accepted + self.refused, otherwise=1)

    @property
    def approval_delay(self) -> int:
        return round(self.decision_seconds / self.decisions) if self.decisions else 0


def whole(account: Account) -> Score:
    """From the beginning."""
    return _scored(account, account.orders.values())


def statistics(account: Account, asked: dict[str, Any], at: datetime) -> dict[str, Any]:
    """A21 of the periods asked for; of a channel, if one is named."""
    wanted = [name for name in str(asked.get("periods") or ",".join(PERIODS)).split(",") if name in PERIODS]
    channel = asked.get("channel_code")
    orders = [order for order in account.orders.values() if channel is None or order.channel == channel]
    figures: dict[str, list[dict[str, Any]]] = {}
    for period in wanted:
        days = PERIODS[period]
        chosen = orders if days is None else [order for order in orders if order.created_at >= at - timedelta(days=days)]
        for name, value in _figures(account, chosen, at, by_channel=channel is not None).items():
            figures.setdefault(name, []).append({"period": period, "value": value})
    return {"shop_id": account.shop_id, "channel": channel, "last_updated_date": moment(at), **figures}


def _figures(account: Account, orders: list[Order], at: datetime, *, by_channel: bool) -> dict[str, Any]:
    score = _scored(account, orders)
    found: dict[str, Any] = {
        "approval_delay": score.approval_delay,
        "approval_rate": score.approval_rate,
        "auto_refused_rate": _rate(score.timed_out, score.accepted + score.refused),
        "average_cart": number(score.sales // score.orders if score.orders else 0, account.currency),
        "average_cart_with_shipping": number((score.sales + score.shipping) // score.orders if score.orders else 0, account.currency),
        "cancelation_rate": _rate(score.cancelled, score.accepted),
        "evaluations_count": 0,
        "incident_rate": _rate(score.incidents, score.accepted),
        "late_shipment_rate": _rate(score.late, score.orders),
        "orders_count": score.debited,
        "refund_rate": _rate(score.refunded, score.accepted),
        "return_rate": _rate(score.returned, score.returnable),
        "shipping_delay": round(score.shipping_seconds / score.shipped) if score.shipped else 0,
        "total_revenue": number(score.sales + score.shipping, account.currency),
        "valid_tracking_rate": _rate(score.tracked, score.shipped, otherwise=1),
    }
    if not by_channel:
        found["consecutive_refused_orders_count"] = _refused_in_a_row(orders)
        found["offers_count"] = sum(not offers.inactivity(account, offer, at) for offer in account.offers.values())
    return found


def _refused_in_a_row(orders: list[Order]) -> int:
    count = 0
    for order in reversed(orders):
        if order.state == "REFUSED":
            count += 1
        elif order.state not in UNDECIDED:
            break
    return count


def _rate(some: int, all_: int, otherwise: int = 0) -> Decimal:
    return round(Decimal(some) / all_, 4).normalize() if all_ else Decimal(otherwise)


def _scored(account: Account, orders: Iterable[Order]) -> Score:
    score = Score()
    for order in orders:
        accepted = [line for line in order.lines if _was_accepted(order, line)]
        refused = [line for line in order.lines if line.state == "REFUSED"]
        score.orders += bool(accepted)
        score.debited += order.debited_at is not None
        score.accepted += len(accepted)
        score.refused += len(refused)
        score.timed_out += sum(line.reason == "ACCEPTANCE_TIMEOUT" for line in refused)
        if order.accepted_at is not None:
            score.decisions += 1
            score.decision_seconds += (order.accepted_at - order.created_at).total_seconds()
        returned = {line.order_line_id for one in order.returns for line in account.returns[one].lines}
        for line in accepted:
            score.cancelled += line.state == "CANCELED" or bool(line.cancelations)
            score.refunded += bool(line.refunds)
            score.incidents += bool(line.incidents)
            score.returnable += line.received_at is not None
            score.returned += line.id in returned
            if line.state != "CANCELED":
                score.sales += line.price
                score.shipping += line.shipping_price
        if left := [line.shipped_at for line in accepted if line.shipped_at is not None]:
            score.shipped += 1
            score.late += max(left) > order.shipping_deadline
            score.shipping_seconds += (max(left) - (order.shipping_at or order.created_at)).total_seconds()
            score.tracked += _has_tracking(account, order)
    return score


def _was_accepted(order: Order, line: Line) -> bool:
    if line.state in ("REFUSED", *UNDECIDED):
        return False
    return line.state != "CANCELED" or order.accepted_at is not None or order.shipping_at is not None


def _has_tracking(account: Account, order: Order) -> bool:
    """A number that the marketplace can follow: on every parcel, or on the order where it has none."""
    parcels = [account.shipments[one].tracking for one in order.shipments] or [order.tracking]
    return all(parcel.number and parcel.carrier_code for parcel in parcels)
