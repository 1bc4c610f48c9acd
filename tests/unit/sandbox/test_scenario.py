"""Scenario files: those that come along, what is refused and how it is told, and that a world does what its file says."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.errors import StartupError
from ops.__main__ import main
from ops.sandbox.buyers import next_buyer
from ops.sandbox.faults import KINDS
from ops.sandbox.plan import Burst, Plan
from ops.sandbox.scenario import library, read_scenario
from ops.sandbox.scene import Actors
from ops.sandbox.world import World
from tests.unit.sandbox.desk import START

GUIDE = Path(__file__).resolve().parents[3] / "ops" / "sandbox" / "scenarios" / "README.md"


@pytest.mark.parametrize("name", [name for name, _ in library()])
def test_each_that_comes_along_makes_a_world(name: str) -> None:
    plan = read_scenario(name)
    assert plan.about and plan.about.endswith(".")
    world = World(plan, 1, START)
    world.advance(START + timedelta(hours=2))
    assert world.actors.placed + world.actors.sold + world.actors.turned_away > 0 and f"`{name}`" in GUIDE.read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("skus = 3\ncolour = 'red'\n", "line 2: colour: not a part of a scenario"),
        ("skus = 'many'\n", "line 1: skus: Expected `int`, got `str`"),
        ("\nskus = 0\n", "line 2: skus: Expected `int` >= 1"),
        ("[warehouse]\npartial = 1.5\n", "line 2: warehouse.partial: Expected `float` <= 1.0"),
        ("[[burst]]\nstart = 1.0\nhours = 1.0\nfactor = 2.0\n\n[[burst]]\nstart = 1.0\nhours = -1.0\n", "line 8: burst[1].hours: Expected"),
        ("[[burst]]\nstart = 1.0\nhours = 1.0\n", "line 1: burst[0].factor: missing: it must be set"),
        ("[shopify]\nindex_lag = 3.0\nindex_leg = 3.0\n", "line 3: shopify.index_leg: not a part of a scenario"),
        ("[shopify.webhooks]\nlatancy = 3.0\n", "line 2: shopify.webhooks.latancy: not a part of a scenario"),
        ("[mirakl]\nacceptance = 'PERHAPS'\n", "line 2: mirakl.acceptance: 'PERHAPS': one of "),
        ("currency = 'XXX'\n", "line 1: currency: 'XXX': one of EUR, GBP"),
        ("d2c_share = 1.0\n", "line 1: d2c_share: Expected `float` <= 0.95"),
        ("[faults]\ncut = 0.1\nsplit = 0.1\n", "line 3: faults.split: no fault is called that"),
        ("[faults]\ncut = 2\n", "line 2: faults.cut: a share of calls, from 0 to 1"),
        ("[faults]\ncut = true\n", "line 2: faults.cut: a share of calls, from 0 to 1"),
        ("skus = \n", "not TOML"),
    ],
)
def test_what_is_wrong_is_told_by_name_and_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(StartupError, match=re.escape(told)):
        read_scenario(str(path))


def test_one_that_there_is_not_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"no scenario is called 'sunday': there are .*black-friday"):
        read_scenario("sunday")
    with pytest.raises(StartupError, match="cannot be read"):
        read_scenario(str(tmp_path / "missing.toml"))


def test_the_command_lists_scenarios_and_faults() -> None:
    listed = CliRunner().invoke(main, ["sandbox", "--list"])
    assert listed.exit_code == 0 and all(name in listed.output for name, _ in library())
    faults = CliRunner().invoke(main, ["sandbox", "--faults"])
    assert faults.exit_code == 0 and all(name in faults.output for name in KINDS)
    assert CliRunner().invoke(main, ["sandbox", "--step", "--speed", "3"]).exit_code == 2
    assert CliRunner().invoke(main, ["sandbox", "--scenario", "sunday"]).exit_code == 3
    assert CliRunner().invoke(main, ["sandbox", "--start", "2026-11-27T08:00:00"]).exit_code == 2, "without an offset it is no moment"


def test_the_bad_day_has_every_fault_there_is() -> None:
    assert set(read_scenario("bad-day").faults) == set(KINDS)


# ---------------------------------------------------------------- rushes


def arrivals(*bursts: Burst, buyers: int = 3000) -> list[float]:
    """Hours at which buyers come, one a minute where nothing is said."""
    actors = Actors(seed=1, plan=Plan(buyer_gap=60.0, burst=bursts), began=START)
    at, hours = START, []
    for n in range(buyers):
        next_buyer(actors, n, at)
        due = actors.agenda.pop(START + timedelta(days=9))
        assert due is not None
        at = due.at
        hours.append((at - START).total_seconds() / 3600)
    return hours


def test_a_rush_brings_its_factor_and_no_more() -> None:
    hours = arrivals(Burst(start=2.0, hours=1.0, factor=10.0), Burst(start=5.0, hours=0.5, factor=0.1))
    within = [sum(low <= hour < low + width for hour in hours) / width for low, width in ((0, 2), (2, 1), (3, 2), (5, 0.5), (5.5, 4))]
    assert [round(rate / 60) for rate in within] == [1, 10, 1, 0, 1]
    assert hours == arrivals(Burst(start=2.0, hours=1.0, factor=10.0), Burst(start=5.0, hours=0.5, factor=0.1))


def test_a_long_wait_ends_early_when_a_rush_begins_in_it() -> None:
    quiet, rushed = arrivals(buyers=1)[0], arrivals(Burst(start=0.0, hours=99.0, factor=4.0), buyers=1)[0]
    assert rushed == pytest.approx(quiet / 4, rel=0.01)


def test_baskets_are_filled_as_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "skus = 30\nleast_stock = 900\nmost_stock = 999\nmarketplace_orders = 30\nbuyer_gap = 10.0\noffers_open = 'at_stock'\n"
        "[basket]\nhuge = 0.2\nlines = [2]\nquantities = [7]\nsame_sku = 1.0\ntest = 0.5\n"
    )
    world = World(read_scenario(str(path)), 3, START)
    world.advance(START + timedelta(hours=3))
    orders = [*world.account.orders.values()]
    assert len(orders) == 30 and {len(order.lines) for order in orders} >= {2} and any(len(order.lines) > 100 for order in orders)
    assert all(len({line.offer_sku for line in order.lines}) == 1 for order in orders if len(order.lines) == 2)
    assert {line.quantity for order in orders for line in order.lines if len(order.lines) == 2} == {7}
    tests = [order.test for order in world.shop.orders.values()]
    assert any(tests) and not all(tests)


def test_awkward_variants_are_as_many_as_the_file_says() -> None:
    world = World(read_scenario("awkward-catalogue"), 1, START)
    shop, offers = world.shop, world.account.offers
    variants = [variants for sku, variants in shop.skus.items() if sku.startswith("HT-TWICE")]
    assert [len(each) for each in variants] == [2, 2, 2]
    assert sum(variant.sku is None for variant in shop.variants.values()) == 3
    assert sum(not item.tracked for item in shop.items.values()) == 3
    assert sum(level.available < 0 for levels in shop.levels.values() for level in levels.values()) == 3
    archived = [product.id for product in shop.products.values() if product.status == "ARCHIVED"]
    assert len(archived) == 3 and "HT-ARCHIVED" in offers and "HT-TWICE" not in offers


def test_a_currency_without_decimals_reaches_both_sides() -> None:
    world = World(read_scenario("yen"), 1, START)
    assert (world.shop.currency, world.account.currency) == ("JPY", "JPY")
