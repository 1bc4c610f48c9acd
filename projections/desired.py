"""How much of an offer a channel should show, and why: an arithmetic to be read line by line. The clock reaches it as a mode."""

from collections.abc import Iterable, Mapping
from math import ceil

from msgspec import Struct

from projections.stock import DELETED, NOT_FOR_SALE, Stock, channel_of
from projections.stock_rules import Layer, Rules
from schemas.values import ChannelId, Sku

HOUR = 3600


class Mode(Struct, frozen=True, omit_defaults=True):
    """What the clock has to say: see StockModeSet."""

    name: str = "normal"
    step: int = 0

    @property
    def rises(self) -> bool:
        """Whether anything may be shown more of than before."""
        return self.name == "normal"


NORMAL = Mode()


class Term(Struct, frozen=True, omit_defaults=True):
    """One line of the arithmetic."""

    name: str  # level, available, reserved, buffer, floor, …
    value: int  # units added; of caps and rules that settle the matter, what is left after them
    rule: str = ""  # which rule, or fact, made it so
    sku: Sku = Sku("")  # of Shopify's; "": of the offer as a whole
    evidence: str = ""  # which parts of what is known it rests on, with blanks between: see ops/explain.py


class Worked(Struct, frozen=True):
    """The number, and how it came about."""

    units: int
    terms: tuple[Term, ...]


Shelf = Mapping[Sku, Stock]
"""The rows that an offer's number rests on: its own, those it is made of, and every other offer made of the same."""


def related(offer: Sku, channel: ChannelId, rows: Mapping[Sku, Stock], made_of: Mapping[Sku, Iterable[Sku]]) -> set[Sku]:
    """The SKUs of its shelf. `made_of`: for each of Shopify's SKUs, the offers, of any channel, that have it in a recipe."""
    parts = rows[offer].recipe(channel).keys() if offer in rows else {offer}
    return {offer, *parts, *(other for part in parts for other in made_of.get(part, ()))}


def shelf_of(offer: Sku, channel: ChannelId, rows: Mapping[Sku, Stock], made_of: Mapping[Sku, Iterable[Sku]]) -> Shelf:
    """Of these rows, those that its number rests on: what an offer costs to work out must not grow with the catalogue."""
    return {sku: rows[sku] for sku in related(offer, channel, rows, made_of) if sku in rows}


def desired(offer: Sku, channel: ChannelId, shelf: Shelf, rules: Rules, mode: Mode = NORMAL) -> Worked | None:
    """None: there is nothing of it to sell, and the channel is not known to offer it: nothing to say."""
    stock = shelf.get(offer) or Stock(sku=offer)
    terms: list[Term] = []
    units: int | None = None
    recipe = stock.recipe(channel)
    if all(_says_nothing(shelf.get(part), rules) for part in recipe) and not stock.is_offered(channel):
        return None
    for part, each in recipe.items():
        there = _part(part, channel, shelf, rules, terms)
        if each > 1 or len(recipe) > 1:
            there //= each
            terms.append(Term("units of the offer", there, f"{each} x {part} in each", part, "recipe"))
        units = there if units is None else min(units, there)
    units = units or 0
    if len(recipe) > 1:
        terms.append(Term("bundle", units, f"the scarcest of {len(recipe)} parts", evidence="recipe"))
    units = _listed(units, next(iter(recipe)) if len(recipe) == 1 else offer, shelf, rules, terms)
    units = _moded(units, mode, terms)
    return Worked(units, tuple(terms))


def _says_nothing(stock: Stock | None, rules: Rules) -> bool:
    """Nobody counts it, or wants it sold; if a channel should have an offer of it all the same, its own list will say so."""
    if stock is None or (stock.levels is None and not stock.doubted):
        return True
    gone = stock.variant is not None and stock.variant.status in NOT_FOR_SALE
    return not stock.doubted and (gone or (not stock.tracked and not rules.untracked))


def _part(part: Sku, channel: ChannelId, shelf: Shelf, rules: Rules, terms: list[Term]) -> int:
    """Units of one of Shopify's SKUs that the channel may sell."""
    stock = shelf.get(part)
    if stock is None or (stock.levels is None and not stock.doubted):
        return _settled(terms, part, 0, "no variant in Shopify has this SKU: X03", "levels")
    if stock.doubted:
        return _settled(terms, part, 0, "several variants in Shopify have this SKU: X02", "variant")
    if stock.variant is not None and stock.variant.status in NOT_FOR_SALE:
        gone = stock.variant.status == DELETED
        rule = "no variant has this SKU any more: X07" if gone else f"the product is {stock.variant.status.lower()}: X08"
        return _settled(terms, part, 0, rule, "variant")
    if not stock.tracked:
        return _settled(terms, part, rules.untracked, "Shopify does not count it: rule untracked", "levels rules")
    there = _available(stock, rules, terms)
    owed = _owed(part, shelf, terms)
    kept = _kept(stock, channel, there, rules, terms)
    left = max(0, there - owed - kept)
    beyond = rules.continue_selling
    if stock.variant is not None and stock.variant.sells_beyond_zero and beyond is not None and left < beyond:
        return _settled(terms, part, beyond, "sold beyond zero in Shopify: rule continue_selling", "variant rules")
    terms.append(Term("left", left, "never below zero", part))
    return left


def _settled(terms: list[Term], part: Sku, units: int, rule: str, evidence: str) -> int:
    terms.append(Term("left", units, rule, part, evidence))
    return units


def _available(stock: Stock, rules: Rules, terms: list[Term]) -> int:
    """At the locations that count; one that owes more than it has takes from the others."""
    there = 0
    for location, level in sorted((stock.levels or {}).items()):
        if not rules.counts(location):
            terms.append(Term("level", 0, f"{level} at {location}, which does not count", stock.sku, "levels rules"))
            continue
        place = rules.places.get(location)
        kept = min(place.buffer, max(0, level)) if place else 0
        there += level - kept
        rule = f"at {location}" + (f", of which {kept} are kept back there" if kept else "")
        terms.append(Term("level", level - kept, rule, stock.sku, "levels rules" if kept else "levels"))
    return there


def _owed(part: Sku, shelf: Shelf, terms: list[Term]) -> int:
    """Units sold on any channel, under any offer made of it, that Shopify does not show as claimed yet."""
    owed = 0
    for sku in sorted(shelf):
        row = shelf[sku]
        for order, lines in sorted(row.reserved.items()):
            each = row.recipe(channel_of(order)).get(part, 0)
            if each and part not in row.contained.get(order, ()):
                units = each * sum(lines.values())
                owed += units
                name = "" if sku == part else f", sold as {sku}"
                terms.append(Term("reserved", -units, f"order {order}{name}", part, f"reserved:{order}"))
    return owed


def _kept(stock: Stock, channel: ChannelId, there: int, rules: Rules, terms: list[Term]) -> int:
    """Buffer, which is the layers' or the pace's, whichever is more; and what is for the shop's own customers."""
    buffer, rule = 0, ""
    for name, layer in _layers(stock, rules):
        if layer.buffer is None and layer.percent is None:
            continue
        share = ceil(max(0, there) * (layer.percent or 0) / 100)
        buffer, rule = layer.buffer or 0, f"{name}: buffer"
        if share > buffer:
            buffer, rule = share, f"{name}: {layer.percent} per cent"
        break
    pace = stock.pace.get(channel)
    if rules.velocity and pace is not None:
        meanwhile = min(rules.velocity_cap, -(-pace.hourly * pace.seconds // HOUR))
        if meanwhile > buffer:
            buffer, rule = meanwhile, f"velocity: {pace.hourly} an hour, {pace.seconds} s until it is shown"
            terms.append(Term("buffer", -buffer, rule, stock.sku, "pace rules"))
            return buffer + _floor(stock, rules, terms)
    if buffer:
        terms.append(Term("buffer", -buffer, rule, stock.sku, "variant rules"))
    return buffer + _floor(stock, rules, terms)


def floor(stock: Stock, rules: Rules) -> tuple[str, int]:
    """The layer that says how many of one of Shopify's SKUs are for the shop's own customers, and how many."""
    name, units = _first("floor", stock, rules)
    return name, units or 0


def _floor(stock: Stock, rules: Rules, terms: list[Term]) -> int:
    name, units = floor(stock, rules)
    if units:
        terms.append(Term("floor", -units, f"{name}: for the shop's own customers", stock.sku, "variant rules"))
    return units


def _layers(stock: Stock, rules: Rules) -> Iterable[tuple[str, Layer]]:
    variant = stock.variant
    return rules.layers(stock.sku, variant.tags if variant else (), variant.product_type if variant else "")


def _first(field: str, stock: Stock, rules: Rules) -> tuple[str, int | None]:
    """The narrowest layer that says something, and what."""
    return next(((name, getattr(layer, field)) for name, layer in _layers(stock, rules) if getattr(layer, field) is not None), ("", None))


def _listed(units: int, sku: Sku, shelf: Shelf, rules: Rules, terms: list[Term]) -> int:
    stock = shelf.get(sku) or Stock(sku=sku)
    name, most = _first("max_listed", stock, rules)
    if most is not None and units > most:
        units = most
        terms.append(Term("max_listed", units, f"{name}: never more than {most}", evidence="variant rules"))
    name, least = _first("min_to_list", stock, rules)
    if least is not None and 0 < units < least:
        units = 0
        terms.append(Term("min_to_list", units, f"{name}: fewer than {least} are not listed", evidence="variant rules"))
    return units


def _moded(units: int, mode: Mode, terms: list[Term]) -> int:
    if mode.name in ("zero", "blackout"):
        units = 0
    elif mode.name == "decay":
        units >>= mode.step
    else:
        return units
    terms.append(Term(mode.name, units, f"step {mode.step}" if mode.step else "nothing is on offer", evidence="mode"))
    return units
