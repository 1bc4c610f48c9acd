"""What happened before a world begins: orders of past weeks, in whatever state they have come to.

Nobody's connector was there yet. The shop's warehouse shipped what its website sold, and a clerk looked after the marketplace's orders by
hand, in its back office. All of it follows from the plan and the seed, so that not a line of it needs to stand in a journal.
"""

import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ops.sandbox.agenda import Agenda
from ops.sandbox.chance import fraction, happens, wait
from ops.sandbox.mirakl.registry import CARRIERS
from ops.sandbox.shopify import stock
from ops.sandbox.warehouse import tracking
from ops.sandbox.wire import RefusalError

if TYPE_CHECKING:
    from ops.sandbox.world import World

ACCEPTS_AFTER, SHIPS_AFTER = 6 * 3600.0, 24 * 3600.0  # seconds, on average: from the order, and from its acceptance
REFUSED = 0.02  # of orders: the clerk could not find what was bought


def live_through(world: "World", until: datetime) -> None:
    """From where the world stands to its beginning: the plan says how many buyers come."""
    plan, seed, begun = world.actors.plan, world.shop.seed, world.now
    for offer in world.account.offers.values():  # the marketplace shows what there is, whatever it will show at the beginning
        offer.quantity = max(
            0, sum(stock.available(world.shop, world.shop.variants[v].item_id) for v in world.shop.skus.get(offer.sku, ()))
        )
    clerk = _Clerk(world)
    for n in range(plan.past.orders):
        at = begun + (until - begun) * ((n + fraction(seed, "past", n)) / plan.past.orders)
        clerk.work(at)
        bought = world.buy(at, website=happens(seed, plan.d2c_share, "past website", n))
        if isinstance(bought, str):
            clerk.receive(bought, at)
    clerk.work(until)
    world.advance(until)
    world.actors.placed = world.actors.sold = world.actors.turned_away = 0  # counted from the beginning
    if plan.offers_open == "at_zero":
        for offer in world.account.offers.values():
            offer.quantity = 0


class _Clerk:
    """Accepts orders and ships them when they get round to it."""

    def __init__(self, world: "World") -> None:
        self._world, self._pile = world, Agenda()

    def receive(self, order: str, at: datetime) -> None:
        self._later(at, ACCEPTS_AFTER, "accept", order)

    def work(self, until: datetime) -> None:
        while (due := self._pile.pop(until)) is not None:
            with contextlib.suppress(RefusalError):  # it was accepted by itself, or is not paid for yet
                (self._accept if due.what == "accept" else self._ship)(str(due.ref), due.at)

    def _later(self, at: datetime, mean: float, what: str, order: str) -> None:
        self._pile.put(at + timedelta(seconds=wait(self._world.shop.seed, mean, "clerk", what, order)), what, order)

    def _accept(self, order: str, at: datetime) -> None:
        self._later(at, SHIPS_AFTER, "ship", order)
        takes = not happens(self._world.shop.seed, REFUSED, "past refusal", order)
        decisions = [{"id": line.id, "accepted": takes} for line in self._world.account.orders[order].lines]
        self._world.apply("mirakl.OR21", {"order_id": order, "decisions": decisions}, at)

    def _ship(self, order: str, at: datetime) -> None:
        number = tracking(self._world.actors, self._world.account.orders[order].number, "past")["number"]
        carrier = {"carrier_code": CARRIERS[0].code, "tracking_number": number}
        self._world.apply("mirakl.OR23", {"order_id": order, "wanted": carrier}, at)
        self._world.apply("mirakl.OR24", {"order_id": order}, at)
