"""Buyers: when they come, what they put into their basket, and the buying itself."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ops.sandbox.chance import choose, happens, wait
from ops.sandbox.mirakl import offers as on_offer
from ops.sandbox.mirakl import operations as mirakl
from ops.sandbox.people import Person, person
from ops.sandbox.plan import Burst
from ops.sandbox.scene import FAR, Actors, Scene
from ops.sandbox.shopify import operations as shopify
from ops.sandbox.shopify import stock

HUGE = 250  # lines
GLANCES = 12  # at the shelf, before all of it is looked through


def next_buyer(actors: Actors, n: int, at: datetime) -> None:
    """Quiet hours and rushes alike: a wait is counted in quiet seconds, of which a rush has more to the second."""
    quiet = wait(actors.seed, actors.plan.buyer_gap, "buyer", n)
    actors.agenda.put(_after(at, quiet, actors.plan.burst, actors.began), "buyer", n)


def _after(at: datetime, quiet: float, bursts: tuple[Burst, ...], began: datetime) -> datetime:
    edges = sorted({began + timedelta(hours=hours) for burst in bursts for hours in (burst.start, burst.start + burst.hours)})
    for edge in (edge for edge in edges if edge > at):
        factor = _factor(at, bursts, began)
        spent = (edge - at).total_seconds() * factor
        if spent >= quiet:
            return at + timedelta(seconds=quiet / factor)
        at, quiet = edge, quiet - spent
    return at + timedelta(seconds=quiet / _factor(at, bursts, began))


def _factor(at: datetime, bursts: tuple[Burst, ...], began: datetime) -> float:
    hours = (at - began).total_seconds() / 3600
    return max((burst.factor for burst in bursts if burst.start <= hours < burst.start + burst.hours), default=1.0)


def goes_to_website(actors: Actors, n: int) -> bool:
    return happens(actors.seed, actors.plan.d2c_share, "website", n)


def basket(scene: Scene, n: int, at: datetime, *, website: bool, sku: str | None = None, quantity: int = 1) -> dict[str, Any] | None:
    """What a buyer puts into it: only what is shown as for sale there. None if there is nothing."""
    seed, shop, offers, habits = scene.actors.seed, scene.shop, scene.account.offers, scene.actors.plan.basket

    def shown(wanted: str) -> int:
        if wanted not in offers:
            return 0
        if not website:
            return on_offer.for_sale(scene.account, wanted, at)
        return stock.available(shop, shop.variants[shop.skus[wanted][0]].item_id) if shop.skus.get(wanted) else 0

    lines: list[tuple[str, int]] = []
    if sku is not None:
        lines = [(sku, quantity)] if shown(sku) >= quantity else []
    else:
        size = HUGE if happens(seed, habits.huge, "huge", n) else choose(seed, habits.lines, "lines", n)
        taken: dict[str, int] = {}
        for index in range(size):
            chosen = _browse(scene, scene.skus(), shown, n, index)
            if chosen is None:
                break
            if lines and happens(seed, habits.same_sku, "same again", n, index):
                chosen = lines[0][0]  # two lines of one SKU are two lines
            left = shown(chosen) - taken.get(chosen, 0)
            if left > 0:
                units = min(left, choose(seed, habits.quantities, "quantity", n, index))
                taken[chosen] = taken.get(chosen, 0) + units
                lines.append((chosen, units))
    test = website and happens(seed, habits.test, "test order", n)
    bought = {"website": website, "lines": lines, "buyer": msgspec.to_builtins(person(seed, n))} | ({"test": True} if test else {})
    return bought if lines else None


def _browse(scene: Scene, skus: list[str], shown: Callable[[str], int], *question: object) -> str | None:
    """Something that is for sale: soon found where most is, looked for everywhere where little is."""
    for glance in range(GLANCES if skus else 0):
        sku = choose(scene.actors.seed, skus, "sku", *question, glance)
        if shown(sku) > 0:
            return sku
    on_sale = [sku for sku in skus if shown(sku) > 0]
    return choose(scene.actors.seed, on_sale, "sku", *question) if on_sale else None


def buy(scene: Scene, n: int, bought: dict[str, Any] | None, at: datetime) -> str | int | None:
    """Returns the order's id or number; None if there was nothing to buy, or not any more."""
    actors = scene.actors
    made = _bought(scene, bought, at)
    if n >= FAR:
        actors.sent = n - FAR
    elif actors.placed < actors.plan.marketplace_orders and n != actors.plan.buyers:
        next_buyer(actors, n + 1, at)
    return made


def _bought(scene: Scene, bought: dict[str, Any] | None, at: datetime) -> str | int | None:
    actors = scene.actors
    if bought is None:
        actors.turned_away += 1
        return None
    if not bought["website"]:
        order: str = mirakl.perform(scene.account, "place", {"lines": bought["lines"], "buyer": bought["buyer"]}, at)
        actors.placed += 1
        return order
    buyer = msgspec.convert(bought["buyer"], Person)
    address = {
        "firstName": buyer.address_first_name or buyer.first_name,
        "lastName": buyer.last_name,
        "company": buyer.company,
        "address1": buyer.street_1,
        "address2": buyer.street_2,
        "city": buyer.city,
        "zip": buyer.zip_code,
        "countryCode": buyer.alpha_2,
        "phone": buyer.phone,
    }
    known = {"lines": bought["lines"], "address": address, "email": buyer.email} | ({"test": True} if bought.get("test") else {})
    number: int | None = shopify.perform(scene.shop, "checkout", known, at)
    actors.sold += number is not None
    actors.turned_away += number is None
    return number
