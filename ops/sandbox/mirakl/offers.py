"""Offers on the shelf: put there, sold from, changed by files and by other people, taken away."""

from bisect import bisect_left, insort
from datetime import datetime
from typing import Any

from ops.sandbox.mirakl import prices
from ops.sandbox.mirakl.goods import Offer, Price
from ops.sandbox.mirakl.state import Account, RefusedError

SHOP_STATES = ("OPEN", "CLOSE", "SUSPENDED", "TERMINATED")


def put(account: Account, offer: Offer, at: datetime) -> None:
    """A new offer, or one that comes back."""
    account.gone.pop(offer.sku, None)
    offer.deleted = False
    account.offers[offer.sku] = offer
    shelf = account.shelf
    shelf.by_id[offer.id] = offer.sku
    shelf.by_product.setdefault(offer.product_sku, []).append(offer.sku)
    insort(shelf.by_price, (offer.price, offer.id))
    _look_ahead(account, offer, at)


def known(account: Account, sku: str) -> Offer:
    if sku not in account.offers:
        raise RefusedError(404, f"Offer with SKU '{sku}' not found")
    return account.offers[sku]


def inactivity(account: Account, offer: Offer, at: datetime) -> list[str]:
    """Why it cannot be bought; nothing where it can."""
    found = list(offer.stopped)
    if shop_state(account, at) != "OPEN":
        found.append("SHOP_NOT_OPEN")
    if (offer.sells_from and at < offer.sells_from) or (offer.sells_until and at >= offer.sells_until):
        found.append("OUT_OF_AVAILABILITY_PERIOD")
    if offer.quantity <= 0:
        found.append("ZERO_QUANTITY")
    return found


def for_sale(account: Account, sku: str, at: datetime) -> int:
    """Units of it that a buyer is shown: none where the offer is not active."""
    offer = account.offers.get(sku)
    return 0 if offer is None or inactivity(account, offer, at) else offer.quantity


def shop_state(account: Account, at: datetime) -> str:
    """By the operator's hand, or closed for the holidays."""
    away = account.closed_from is not None and account.closed_from <= at and (account.closed_until is None or at < account.closed_until)
    return "CLOSE" if away and account.shop_state == "OPEN" else account.shop_state


# ------------------------------------------------------------------------------------------------------------- quantities


def take(account: Account, sku: str, units: int, at: datetime, why: str) -> int:
    """Lowers the offer for an order; by no more than is there. Returns by how many units."""
    offer = account.offers.get(sku)
    taken = min(units, offer.quantity) if offer else 0
    if offer and taken:
        left = taken
        for code, there in offer.warehouses.items():
            offer.warehouses[code] = there - min(there, left)
            left -= min(there, left)
        offer.quantity, offer.updated_at = offer.quantity - taken, at
        account.moved.append((sku, why))
    return taken


def give_back(account: Account, sku: str, units: int, at: datetime, why: str) -> None:
    """Units of an order that are free again; the first warehouse has them."""
    offer = account.offers.get(sku)
    if offer and units:
        for code in list(offer.warehouses)[:1]:
            offer.warehouses[code] += units
        offer.quantity, offer.updated_at = offer.quantity + units, at
        account.moved.append((sku, why))


def set_quantity(account: Account, offer: Offer, quantity: int | None, at: datetime, *, why: str, warehouse: str | None = None) -> None:
    """What a file says: of a warehouse, or of all there is. None: the offer is in that warehouse no longer."""
    before = offer.quantity, dict(offer.warehouses)
    if warehouse is None:
        offer.quantity, offer.warehouses = quantity or 0, {}
    else:
        if quantity is None:
            offer.warehouses.pop(warehouse, None)
        else:
            offer.warehouses[warehouse] = quantity
        offer.quantity = sum(offer.warehouses.values())
    account.moved.append((offer.sku, why))
    if (offer.quantity, offer.warehouses) != before or account.switches.unchanged_touches:
        offer.updated_at = at


# ----------------------------------------------------------------------------------------------------------------- prices


def set_prices(account: Account, offer: Offer, wanted: list[Price], at: datetime) -> None:
    """These and no others; or, where prices are approved, these as soon as they are."""
    if account.switches.price_approval:
        offer.waiting_prices = wanted
    else:
        offer.prices, offer.waiting_prices = wanted, []
        _reprice(account, offer, at)
        _look_ahead(account, offer, at)


def approve_prices(account: Account, sku: str, at: datetime) -> None:
    """The operator lets the waiting prices of an offer apply."""
    offer = known(account, sku)
    if not offer.waiting_prices:
        raise RefusedError(409, f"No price of {sku} waits for approval")
    offer.prices, offer.waiting_prices = offer.waiting_prices, []
    _reprice(account, offer, at)
    _look_ahead(account, offer, at)


def fall_due(account: Account, what: str, ref: str, at: datetime) -> None:
    """A discount begins or ends."""
    if ref in account.offers:
        _reprice(account, account.offers[ref], at)


def _look_ahead(account: Account, offer: Offer, at: datetime) -> None:
    for turn in prices.turns(offer, at):
        account.agenda.put(turn, "price_turns", offer.sku)


def _reprice(account: Account, offer: Offer, at: datetime) -> None:
    by_price, price = account.shelf.by_price, prices.listed(offer)[0].each(at)
    offer.updated_at = at
    if price != offer.price:
        del by_price[bisect_left(by_price, (offer.price, offer.id))]
        offer.price = price
        insort(by_price, (price, offer.id))


# ----------------------------------------------------------------------------------------------------------- other people


def edit(account: Account, sku: str, at: datetime, **changes: Any) -> None:
    """Somebody in the back office: `quantity`, `price` (minor units), `stopped` (reasons), `sells_from`, `sells_until`."""
    offer = known(account, sku)
    if unknown := changes.keys() - {"quantity", "price", "stopped", "sells_from", "sells_until"}:
        raise RefusedError(400, f"An offer has no {', '.join(sorted(unknown))} to be edited")
    if "quantity" in changes:
        set_quantity(account, offer, int(changes["quantity"]), at, why="somebody edited it")
    if "price" in changes:
        offer.prices = [Price(int(changes["price"])), *prices.listed(offer)[1:]]
        _reprice(account, offer, at)
        account.moved.append((sku, "somebody edited it"))
    if "stopped" in changes:
        offer.stopped = list(changes["stopped"])
    for name in ("sells_from", "sells_until"):
        if name in changes:
            setattr(offer, name, datetime.fromisoformat(changes[name]) if changes[name] else None)
    offer.updated_at = at


def delete(account: Account, sku: str, at: datetime) -> None:
    """Gone for good; a differential export still tells of it."""
    offer = known(account, sku)
    del account.offers[sku]
    shelf = account.shelf
    del shelf.by_id[offer.id]
    shelf.by_product[offer.product_sku].remove(sku)
    del shelf.by_price[bisect_left(shelf.by_price, (offer.price, offer.id))]
    offer.deleted, offer.updated_at = True, at
    account.gone[sku] = offer


def restore(account: Account, sku: str, at: datetime) -> None:
    """A deleted offer is made again, under its old number and with nothing in stock."""
    if sku not in account.gone:
        raise RefusedError(404, f"Offer with SKU '{sku}' not found")
    offer = account.gone[sku]
    offer.quantity, offer.warehouses, offer.updated_at = 0, {}, at
    put(account, offer, at)


def close_shop(account: Account, at: datetime, state: str | None = None, closed_from: str | None = None, until: str | None = None) -> None:
    """The operator suspends or opens the shop again, or the seller goes on holiday. Every offer is touched."""
    if state is not None:
        if state not in SHOP_STATES:
            raise RefusedError(400, f"A shop cannot be {state}")
        account.shop_state = state
    account.closed_from = datetime.fromisoformat(closed_from) if closed_from else None
    account.closed_until = datetime.fromisoformat(until) if until else None
    for offer in account.offers.values():
        offer.updated_at = at
