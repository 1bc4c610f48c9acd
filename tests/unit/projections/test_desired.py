"""How much of an offer is shown, and by which rule (R2-R8, R85-R94): the arithmetic, line by line."""

from datetime import timedelta

import pytest

from projections.desired import Mode, desired
from projections.stock import Pace, Stock, Variant
from projections.stock_rules import Layer, Place, Rules
from schemas.values import ShopId, Sku
from tests.examples import CHANNEL, HERE, NOON

SKU = Sku("TEE-RED-M")
THERE = ShopId("gid://shopify/Location/2")


def stock(*units: int, **more: object) -> Stock:
    levels = dict(zip((HERE, THERE), units, strict=False))
    return Stock(sku=SKU, levels=levels, **more)  # type: ignore[arg-type]


def variant(status: str = "ACTIVE", **more: object) -> Variant:
    return Variant(status=status, **more)  # type: ignore[arg-type]


FRAGILE = Rules(buffer=1, tags={"fragile": Layer(buffer=4)}, types={"Tee": Layer(buffer=3, floor=1)})
ON_OFFER = {"applied": {CHANNEL: 3}}
BEYOND = variant(sells_beyond_zero=True)
AT_90, AT_9000 = (f"velocity: {pace} an hour, 150 s until it is shown" for pace in (90, 9000))
FAST, FASTEST = {CHANNEL: Pace(hourly=90, seconds=150)}, {CHANNEL: Pace(hourly=9000, seconds=150)}


@pytest.mark.parametrize(
    ("row", "rules", "units", "why"),
    [
        # levels
        (stock(10, 5), Rules(), 15, "left"),
        (stock(10, -4), Rules(), 6, "left"),  # what one location owes, the others must give
        (stock(10, 5), Rules(locations=(THERE,)), 5, "left"),
        (stock(10, 5), Rules(places={HERE: Place(on=False)}), 5, "left"),
        (stock(10, 5), Rules(places={HERE: Place(buffer=4)}), 11, "left"),
        (stock(2, 5), Rules(places={HERE: Place(buffer=4)}), 5, "left"),
        (stock(), Rules(), 0, "left"),  # no level was ever set
        # what is kept back: the narrowest layer that says something wins
        (stock(10), Rules(buffer=2, floor=3), 5, "channel: for the shop's own customers"),
        (stock(10), Rules(percent=25), 7, "channel: 25 per cent"),
        (stock(10), Rules(buffer=4, percent=25), 6, "channel: buffer"),
        (stock(10, variant=variant(tags=("Fragile ",))), FRAGILE, 6, "tag fragile: buffer"),
        (stock(10, variant=variant(product_type="tee")), FRAGILE, 6, "type Tee: for the shop's own customers"),
        (stock(10, variant=variant(tags=("fragile",), product_type="Tee")), FRAGILE, 5, "tag fragile: buffer"),
        (stock(10), Rules(buffer=4, skus={SKU: Layer(buffer=0)}), 10, "left"),
        (stock(2), Rules(buffer=3), 0, "channel: buffer"),
        # how much may be listed
        (stock(10), Rules(max_listed=5), 5, "channel: never more than 5"),
        (stock(2), Rules(min_to_list=3), 0, "channel: fewer than 3 are not listed"),
        (stock(3), Rules(min_to_list=3), 3, "left"),
        (stock(10), Rules(max_listed=5, skus={SKU: Layer(max_listed=8)}), 8, f"sku {SKU}: never more than 8"),
        # what Shopify does not count, or sells beyond zero, or not at all
        (stock(tracked=False), Rules(untracked=7), 7, "Shopify does not count it: rule untracked"),
        (stock(tracked=False, **ON_OFFER), Rules(), 0, "Shopify does not count it: rule untracked"),
        (stock(-3, variant=BEYOND), Rules(), 0, "left"),
        (stock(-3, variant=BEYOND), Rules(continue_selling=4), 4, "sold beyond zero in Shopify: rule continue_selling"),
        (stock(9, variant=BEYOND), Rules(continue_selling=4), 9, "left"),
        (stock(9, variant=variant("ARCHIVED"), **ON_OFFER), Rules(), 0, "the product is archived: X08"),
        (stock(9, variant=variant("DRAFT"), **ON_OFFER), Rules(), 0, "the product is draft: X08"),
        (stock(9, variant=variant(rivals=(HERE, THERE))), Rules(), 0, "several variants in Shopify have this SKU: X02"),
        (Stock(sku=SKU, applied={CHANNEL: 3}), Rules(), 0, "no variant in Shopify has this SKU: X03"),
        # how fast it sells
        (stock(50, pace=FAST), Rules(buffer=2, velocity=True), 46, AT_90),
        (stock(50, pace=FAST), Rules(buffer=2), 48, "channel: buffer"),
        (stock(50, pace=FASTEST), Rules(velocity=True, velocity_cap=20), 30, AT_9000),
        (stock(50, pace=FAST), Rules(buffer=9, velocity=True), 41, "channel: buffer"),
    ],
)  # fmt: skip
def test_one_number_and_the_rule_that_made_it(row: Stock, rules: Rules, units: int, why: str) -> None:
    worked = desired(SKU, CHANNEL, {SKU: row}, rules)
    assert worked is not None
    assert worked.units == units
    assert why in {term.rule for term in worked.terms} | {term.name for term in worked.terms}


@pytest.mark.parametrize(
    ("mode", "units"), [(Mode("hold"), 12), (Mode("decay", 1), 6), (Mode("decay", 4), 0), (Mode("zero"), 0), (Mode("blackout"), 0)]
)
def test_for_want_of_news_less_is_shown(mode: Mode, units: int) -> None:
    worked = desired(SKU, CHANNEL, {SKU: stock(12)}, Rules(), mode)
    assert worked is not None and worked.units == units


@pytest.mark.parametrize("row", [Stock(sku=SKU), stock(tracked=False), stock(9, variant=variant("ARCHIVED"))])
def test_of_what_is_not_for_sale_and_not_on_offer_nothing_is_said(row: Stock) -> None:
    assert desired(SKU, CHANNEL, {SKU: row}, Rules()) is None


def test_the_lines_add_up() -> None:
    row = stock(10, 5, reserved={"asos:1": {"a": 2}, "other:2": {"b": 1}}, raised_at=NOON - timedelta(hours=1))
    worked = desired(SKU, CHANNEL, {SKU: row}, Rules(buffer=2, floor=1))
    assert worked is not None
    *parts, left = worked.terms
    assert [(term.name, term.value) for term in parts] == [
        ("level", 5), ("level", 10), ("reserved", -2), ("reserved", -1), ("buffer", -2), ("floor", -1),
    ]  # fmt: skip
    assert sum(term.value for term in parts) == left.value == worked.units == 9
