"""The world: people who act by plan, a journal it comes back from, chance that depends on nothing but its question."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.sandbox.chance import choose, fraction, wait, whole
from ops.sandbox.journal import Journal, read
from ops.sandbox.mirakl.state import RefusedError
from ops.sandbox.money import graph_text, minor, rest_text
from ops.sandbox.plan import Awkward, Plan, Warehouse
from ops.sandbox.shopify.state import Noise, Switches, gid
from ops.sandbox.truth import truth
from ops.sandbox.world import World
from tests.unit.sandbox.desk import DEFINE, DEFINITION, START, SUBSCRIBE, Desk, an_order, marketplace_id

Closing = Callable[[Any], Any]

BUSY = Plan(
    skus=8,
    offers_open="at_stock",
    marketplace_orders=12,
    buyer_gap=60,
    restocks=3,
    restock_gap=120,
    warehouse=Warehouse(pick_seconds=300, partial=0.4, late_tracking=0.3, corrected_tracking=0.3),
    shopify=Switches(webhooks=Noise(drop=0.2, duplicate=0.2, reorder=0.2, delay=0.1)),
)


@pytest.fixture
def close() -> Iterator[Callable[[Any], Any]]:
    """Closes at the end what it is given, and hands it on."""
    with contextlib.ExitStack() as stack:
        yield lambda thing: stack.enter_context(contextlib.closing(thing))


def lively(desk: Desk) -> None:
    """Something of everything, refusals too."""
    desk.data(DEFINE, definition=DEFINITION)
    desk.data(SUBSCRIBE, topic="ORDERS_CREATE", subscription={"uri": "http://127.0.0.1:1/hooks"})
    desk.data(SUBSCRIBE, topic="INVENTORY_LEVELS_UPDATE", subscription={"uri": "http://127.0.0.1:1/hooks"})
    for n in range(6):
        desk.later(97)
        desk.create(metafields=marketplace_id(f"A-{n // 2}"))
        for order in list(desk.world.account.orders):
            desk.accept(order)
            desk.mirakl("PUT", f"/api/orders/{order}/ship")
        desk.mirakl("POST", "/api/offers/stock/imports", csv=f"offer-sku;quantity\n{desk.sku(n)};{n}\nnobody;1\n")
        desk.asked("/api/orders")
        for delivery in desk.world.deliveries_due():
            desk.world.apply(f"shopify.webhook{'' if n % 2 else 'Not'}Delivered", {"delivery": delivery.id}, desk.clock.at)
    desk.world.buy(desk.clock.at, website=True)
    desk.world.apply("actors.hurry", {"order": None}, desk.clock.at)
    desk.later(0)
    desk.world.switch("shopify", desk.clock.at, duplicate_metafield="create_without")
    desk.create(metafields=marketplace_id("A-0"))


# ---------------------------------------------------------------- coming back


def test_a_world_comes_back_from_its_journal_exactly(tmp_path: Path, close: Closing) -> None:
    desk = close(Desk(BUSY, seed=7, journal=tmp_path / "world.jsonl"))
    lively(desk)
    again = close(World.open(tmp_path / "world.jsonl", Plan(), 1, START))
    assert again.snapshot() == desk.world.snapshot()
    assert len(desk.shop.orders) > 6 and desk.world.account.orders and desk.shop.fulfillments


def test_and_what_comes_later_is_the_same_in_both(tmp_path: Path, close: Closing) -> None:
    desk = close(Desk(BUSY, seed=7, journal=tmp_path / "world.jsonl"))
    lively(desk)
    again = World.rebuilt(read(tmp_path / "world.jsonl"))
    for world in (desk.world, again):
        world.advance(START + timedelta(days=2))
    assert again.snapshot() == desk.world.snapshot() and again.actors.placed == 12


def test_a_torn_last_line_is_forgotten_and_the_next_one_is_whole(tmp_path: Path, close: Closing) -> None:
    path = tmp_path / "world.jsonl"
    desk = close(Desk(BUSY, seed=7, journal=path))
    lively(desk)
    whole = path.read_bytes()
    before_last = World.rebuilt(list(read(path))[:-1])
    path.write_bytes(whole[:-9])
    again = close(World.open(path, Plan(), 1, START))
    assert again.snapshot() == before_last.snapshot()
    again.buy(START + timedelta(days=1))
    assert World.rebuilt(read(path)).snapshot() == again.snapshot()


def test_what_somebody_may_have_seen_happen_does_not_unhappen(tmp_path: Path, close: Closing) -> None:
    path = tmp_path / "world.jsonl"
    desk = close(Desk(Plan(skus=2), journal=path))
    order = desk.created()
    desk.later(3)
    assert order.fulfillment_orders, "routed, by nothing but time, and seen"
    again = close(World.open(path, Plan(), 1, START))
    assert again.shop.orders[order.id].fulfillment_orders == order.fulfillment_orders and again.now == desk.world.now


def test_the_line_is_written_before_anything_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, close: Closing) -> None:
    path = tmp_path / "world.jsonl"
    desk = close(Desk(Plan(skus=2), journal=path))

    perform = World._perform

    def killed(world: World, op: str, arguments: dict[str, Any]) -> Any:
        if op == "shopify.orderCreate":
            raise KeyboardInterrupt
        return perform(world, op, arguments)

    monkeypatch.setattr(World, "_perform", killed)
    with pytest.raises(KeyboardInterrupt):
        desk.create()
    monkeypatch.undo()
    assert desk.shop.orders == {}
    assert len(close(World.open(path, Plan(), 1, START)).shop.orders) == 1


KILLED = """
import sys
from pathlib import Path
from ops.sandbox.plan import Plan
from ops.sandbox.world import World
from tests.unit.sandbox.desk import START
world = World.open(Path(sys.argv[1]), Plan(skus=9, offers_open="at_stock", least_stock=900, most_stock=999), 1, START)
while True:
    print(world.buy(START), flush=True)
"""


def test_what_was_answered_before_kill_9_is_there_after_it(tmp_path: Path, close: Closing) -> None:
    path = tmp_path / "world.jsonl"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None
        answered = [process.stdout.readline().decode().strip() for _ in range(25)]
        process.kill()
        answered += process.stdout.read().decode().split("\n")[:-1]
    again = close(World.open(path, Plan(), 1, START))
    assert len(answered) >= 25 and set(answered) <= set(again.account.orders)


def test_a_refusal_is_repeated_as_a_refusal(tmp_path: Path, close: Closing) -> None:
    desk = close(Desk(Plan(skus=2), journal=tmp_path / "world.jsonl"))
    with pytest.raises(RefusedError):
        desk.world.apply("mirakl.OR24", {"order_id": "nobody"}, desk.clock.at)
    assert World.rebuilt(read(tmp_path / "world.jsonl")).snapshot() == desk.world.snapshot()


def test_time_never_runs_backwards() -> None:
    desk = Desk()
    desk.later(100)
    desk.world.advance(START)
    assert desk.world.now == START + timedelta(seconds=100)
    desk.clock.at = START
    assert desk.created().created_at == START + timedelta(seconds=100)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.lists(st.integers(1, 900), min_size=1, max_size=12))
def test_looking_in_between_changes_nothing(seed: int, steps: list[int]) -> None:
    """Whoever looks often and whoever looks once see the same world."""
    often, once = World(BUSY, seed, START), World(BUSY, seed, START)
    at = START
    for step in steps:
        at += timedelta(seconds=step)
        often.advance(at)
    once.advance(at)
    assert often.snapshot() == once.snapshot()


def test_the_same_seed_is_the_same_world_and_another_is_another() -> None:
    worlds = [World(BUSY, seed, START) for seed in (3, 3, 4)]
    for world in worlds:
        world.advance(START + timedelta(hours=3))
    first, same, other = (world.snapshot() for world in worlds)
    assert first == same != other


def test_an_operation_and_its_line_take_less_than_a_millisecond(tmp_path: Path, close: Closing) -> None:
    desk = close(Desk(Plan(skus=5), journal=tmp_path / "world.jsonl"))
    wanted = an_order(desk.variant())
    began = time.process_time()
    for _ in range(300):
        desk.world.apply("shopify.orderCreate", {"wanted": wanted, "options": None}, desk.clock.at)
    assert (time.process_time() - began) / 300 < 0.001


# ---------------------------------------------------------------- people


def test_buyers_stop_when_the_plan_is_fulfilled() -> None:
    world = World(BUSY, 5, START)
    world.advance(START + timedelta(days=1))
    assert world.actors.placed == len(world.account.orders) == 12
    assert world.actors.sold == len(world.shop.orders) > 0, "some went to the website"
    assert world.actors.restocked == 3


def test_buyers_find_nothing_while_nothing_is_offered_and_come_again() -> None:
    world = World(Plan(skus=3, marketplace_orders=2, buyer_gap=10, d2c_share=0), 5, START)
    world.advance(START + timedelta(minutes=10))
    assert world.actors.turned_away > 10 and world.account.orders == {}
    world.apply("mirakl.STO01", {"text": f"offer-sku;quantity\n{next(iter(world.account.offers))};9\n"}, world.now)
    world.advance(START + timedelta(minutes=20))
    assert world.actors.placed == 2


def test_nobody_buys_more_than_is_shown() -> None:
    plan = Plan(skus=2, least_stock=3, most_stock=4, offers_open="at_stock", marketplace_orders=40, buyer_gap=10)
    world = World(plan, 5, START)
    world.advance(START + timedelta(hours=2))
    assert all(offer.quantity >= 0 for offer in world.account.offers.values())
    assert sum(level.oversold for levels in world.shop.levels.values() for level in levels.values()) == 0
    assert world.actors.turned_away > 0


def test_the_warehouse_ships_everybody_s_orders_in_one_or_two_parcels_with_labels_late_or_corrected() -> None:
    desk = Desk(BUSY, seed=2)
    for _ in range(30):
        desk.world.buy(desk.clock.at, website=True)
    ours = desk.created()
    desk.later(hours=24)
    orders = list(desk.shop.orders.values())
    assert all(line.fulfilled == line.quantity for order in orders for line in order.lines) and ours.fulfillments
    parcels = [[desk.shop.fulfillments[number] for number in order.fulfillments] for order in orders]
    assert {len(of_order) for of_order in parcels} >= {1, 2}
    all_of_them = [parcel for of_order in parcels for parcel in of_order]
    assert all(parcel.company and len(parcel.numbers) == 1 for parcel in all_of_them)
    assert any(parcel.updated_at > parcel.created_at for parcel in all_of_them)
    assert len({parcel.company for parcel in all_of_them}) > 2


def test_the_warehouse_can_be_hurried_for_one_order() -> None:
    desk = Desk()
    first, second = desk.created(), desk.created()
    desk.later(4)
    desk.world.apply("actors.hurry", {"order": first.id}, desk.clock.at)
    desk.later(0)
    assert first.fulfillments and not second.fulfillments


def test_an_order_cancelled_in_time_is_not_picked() -> None:
    desk = Desk()
    order = desk.created()
    desk.later(4)
    wanted = {"order_id": gid("Order", order.id), "wanted": {"reason": "OTHER", "restock": True}}
    desk.world.apply("shopify.orderCancel", wanted, desk.clock.at)
    desk.later(hours=24)
    assert order.fulfillments == [] and order.cancelled_at


def test_switches_move_and_what_is_none_is_refused() -> None:
    desk = Desk()
    desk.world.switch("mirakl", desk.clock.at, multi_shipment=True)
    assert desk.world.account.switches.multi_shipment
    desk.world.switch("shopify", desk.clock.at, webhooks={"drop": 0.5})
    assert desk.shop.switches.webhooks == Noise(drop=0.5)
    for system, values in (("shopify", {"nonsense": 1}), ("mirakl", {"acceptance": "PERHAPS"}), ("ebay", {})):
        with pytest.raises(ValueError, match=r"switch|Invalid|system"):
            desk.world.switch(system, desk.clock.at, **values)
    plan = Plan(skus=2)
    World(plan, 1, START).switch("shopify", START, index_lag=99.0)
    assert plan.shopify.index_lag != 99, "a plan is not changed by the worlds made of it"


def test_an_awkward_catalogue_has_what_real_ones_have() -> None:
    desk = Desk(Plan(skus=2, awkward=Awkward(shared=1, nameless=1, untracked=1)))
    document = "query I($q: String!) { inventoryItems(first: 9, query: $q) { nodes { sku tracked duplicateSkuCount } } }"
    assert [item["duplicateSkuCount"] for item in desk.data(document, q="sku:HT-TWICE")["nodes"]] == [1, 1]
    assert desk.data(document, q="sku:ht-untracked")["nodes"] == [{"sku": "HT-UNTRACKED", "tracked": False, "duplicateSkuCount": 0}]
    assert any(variant.sku is None for variant in desk.shop.variants.values())


def test_the_truth_holds_both_sides_and_every_order() -> None:
    desk = Desk(BUSY, seed=7)
    lively(desk)
    told = truth(desk.world)
    assert len(told["shopify"]["orders"]) == len(desk.shop.orders) and len(told["mirakl"]["orders"]) == len(desk.world.account.orders)
    sku = desk.sku(0)
    assert told["shopify"]["stock"][sku]["available"] == desk.available(0)
    assert told["mirakl"]["offers"][sku]["quantity"] == desk.world.account.offers[sku].quantity
    order = next(order for order in told["shopify"]["orders"] if order["by_app"])
    assert order["total"] == "48.00" and order["lines"][0]["quantity"] == 2


# ---------------------------------------------------------------- chance and amounts


def test_chance_depends_on_seed_and_question_alone() -> None:
    assert fraction(1, "a", 2) == fraction(1, "a", 2) != fraction(2, "a", 2)
    drawn = [fraction(9, n) for n in range(4000)]
    assert 0 <= min(drawn) < 0.01 and 0.99 < max(drawn) < 1 and sum(drawn) / 4000 == pytest.approx(0.5, abs=0.03)
    assert {whole(1, 2, 4, n) for n in range(99)} == {2, 3, 4} and choose(1, "x", "only") == "x"
    assert sum(wait(1, 60, n) for n in range(4000)) / 4000 == pytest.approx(60, rel=0.1)


@given(st.integers(-(10**9), 10**9), st.sampled_from(["GBP", "JPY", "KWD"]))
def test_what_is_written_reads_back(amount: int, currency: str) -> None:
    assert minor(graph_text(amount, currency), currency) == minor(rest_text(amount, currency), currency) == amount
    assert "." in graph_text(amount, currency) and "E" not in graph_text(amount, currency)


def test_a_journal_holds_whole_lines_only(tmp_path: Path, close: Closing) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"at":"2026-11-23T08:00:00Z","op":"advance","arguments":{}}\n{"at":"20')
    Journal(path).close()
    assert path.read_bytes().count(b"\n") == 1 and path.read_bytes().endswith(b"\n")


def test_no_more_buyers_come_than_the_plan_has() -> None:
    world = World(Plan(skus=2, least_stock=0, most_stock=0, marketplace_orders=4, buyers=7, buyer_gap=10), 5, START)
    world.advance(START + timedelta(days=1))
    assert world.actors.turned_away == 7 and not world.actors.agenda.entries
