"""What the people of a world have done so far, what they act upon, and whose turn comes when."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field

from ops.sandbox.agenda import Agenda
from ops.sandbox.chance import wait
from ops.sandbox.mirakl import operations as mirakl
from ops.sandbox.mirakl.state import Account
from ops.sandbox.plan import Plan
from ops.sandbox.shopify import operations as shopify
from ops.sandbox.shopify.state import Shop
from ops.sandbox.wire import RefusalError

FAR = 10**6  # people who come when they are sent have numbers from here on


class Actors(Struct, kw_only=True):
    """Who has done what so far, and whose turn comes when."""

    seed: int
    plan: Plan
    began: datetime
    agenda: Agenda = field(default_factory=Agenda)
    placed: int = 0  # marketplace orders
    sold: int = 0  # orders on the shop's own website
    turned_away: int = 0  # buyers who found nothing to buy
    restocked: int = 0
    sent: int = 0  # buyers who did not come by themselves
    parcels: dict[int, int] = {}  # fulfilment orders that have come in, and how many parcels of them have left, without the last
    handled: dict[str, int] = {}  # what the warehouse did beside sending parcels, and how often
    tries: dict[str, int] = {}  # of acts whose time has not come yet
    acts: dict[str, int] = {}  # what else was done, and how often
    refused: dict[str, int] = {}  # what somebody tried to do and was not let


class Scene(Struct):
    """The people and what they act upon."""

    actors: Actors
    shop: Shop
    account: Account
    on_offer: list[str] = []  # what the marketplace shows, to choose from: never less than it was

    def skus(self) -> list[str]:
        if len(self.on_offer) != len(self.account.offers):
            self.on_offer = list(self.account.offers)
        return self.on_offer

    def shopify(self, op: str, arguments: Mapping[str, Any], at: datetime) -> Any:
        """What people are refused they leave be; it is counted. Then None is returned."""
        try:
            return shopify.perform(self.shop, op, arguments, at)
        except RefusalError:
            self.actors.refused[op] = self.actors.refused.get(op, 0) + 1

    def mirakl(self, op: str, arguments: Mapping[str, Any], at: datetime) -> Any:
        try:
            return mirakl.perform(self.account, op, arguments, at)
        except RefusalError:
            self.actors.refused[op] = self.actors.refused.get(op, 0) + 1


def after(actors: Actors, what: str, ref: int | str, mean: float, at: datetime, *question: object) -> None:
    """Somebody's turn comes, in about so many seconds."""
    actors.agenda.put(at + timedelta(seconds=wait(actors.seed, mean, what, ref, *question)), what, ref)
