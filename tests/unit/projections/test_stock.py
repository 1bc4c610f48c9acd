"""What is known of a SKU (R4, R8, R92, R94): reservations, counts, what a channel was told, and what it was read to show."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.desired import desired
from projections.stock import Stock, decide, inventory
from projections.stock_rules import Rules
from schemas.commands import PublishStock
from schemas.events import Event
from schemas.events.commands import CommandIssued
from schemas.events.exceptions import ExceptionRetried
from schemas.events.inventory import OffersRead, VariantSeen
from schemas.events.people import MappingSet
from schemas.values import ShopId, Sku
from tests.examples import CHANNEL, KEY, NOON, counted, created, import_finished, line, line_state, market_cancelation, placed, relabelled
from tests.spec import Spec, spec

SKU = Sku("TEE-RED-M")
ITEM, OTHER = ShopId("gid://shopify/InventoryItem/1"), ShopId("gid://shopify/InventoryItem/2")


def story(*events: Event) -> Spec[Stock]:
    return spec(inventory, decide).given(*events)


def units(*events: Event, sku: Sku = SKU) -> int:
    rows = {Sku(key): row for key, row in story(*events).rows.items()}
    worked = desired(sku, CHANNEL, rows, Rules())
    assert worked is not None
    return worked.units


def issued(quantity: int = 5) -> CommandIssued:
    command = PublishStock(channel=CHANNEL, quantities={SKU: quantity}, as_of=1)
    return CommandIssued(command_id="00000000-0000-0000-0000-000000000001", command=command)  # type: ignore[arg-type]


def later(minutes: float, quantity: int, **more: Any) -> Event:
    return counted(quantity, read_at=NOON + timedelta(minutes=minutes), **more)


def read(quantity: int, minutes: float = 10, **more: object) -> OffersRead:
    fields = {"channel": CHANNEL, "read_at": NOON + timedelta(minutes=minutes), "quantities": {SKU: quantity}}
    return OffersRead(**fields | more)  # type: ignore[arg-type]


def mapped(name: str, value: str, kind: str = "sku") -> MappingSet:
    return MappingSet(channel=CHANNEL, kind=kind, name=name, value=value)


# ---------------------------------------------------------------- reservations: no unit twice, none not at all

CLAIMED = [counted(10), placed(line(quantity=3)), created()]
FIVE = [counted(10), placed(line(quantity=5))]
THEIRS = placed(line(quantity=5), fulfilled_by="HUB")
TWO = (line(1, quantity=2), line(2))
TWO_LINES = [counted(10), placed(*TWO)]


@pytest.mark.parametrize(
    ("events", "left"),
    [
        pytest.param([counted(10), placed(line(quantity=3))], 7, id="from first sight"),
        pytest.param([placed(line(quantity=3)), counted(10)], 7, id="though seen before any count"),
        pytest.param([counted(10), placed(line(quantity=3)), later(1, 7)], 4, id="claimed in Shopify, perhaps: never too much"),
        pytest.param([counted(10), placed(line(quantity=3)), later(1, 7, settled=(KEY,))], 7, id="freed by the count that contains it"),
        pytest.param([counted(10), placed(), placed()], 9, id="heard twice, reserved once"),
        pytest.param([*TWO_LINES], 7, id="two lines of one SKU are both owed"),
        pytest.param([*TWO_LINES, line_state("REFUSED", 2), relabelled(*TWO)], 8, id="new terms bring back nothing that was refused"),
        pytest.param([*TWO_LINES, line_state("REFUSED", 2), line_state("CANCELED")], 10, id="given back line by line"),
        pytest.param(
            [later(2, 9), later(1, 10, settled=("asos:1",)), later(1.5, 10)], 10, id="after one that was overtaken, the last word counts"
        ),
        pytest.param([counted(10), placed(line(quantity=3)), line_state("REFUSED")], 10, id="refused: given back"),
        pytest.param([*FIVE, market_cancelation(4)], 9, id="cancelled on the marketplace unit by unit"),
        pytest.param([*FIVE, market_cancelation(4), market_cancelation(4)], 9, id="heard twice, taken off once"),
        pytest.param([*FIVE, market_cancelation(1, cancelation="C2"), market_cancelation(2)], 8, id="each cancelation for itself"),
        pytest.param([*FIVE, market_cancelation(4), market_cancelation(2)], 7, id="as it was told last"),
        pytest.param([*FIVE, market_cancelation(4), relabelled(line(quantity=5))], 9, id="terms are as first sold: less what is cancelled"),
        pytest.param([*FIVE, market_cancelation(7), relabelled(line(quantity=5))], 10, id="never below nothing"),
        pytest.param([*TWO_LINES, line_state("REFUSED"), market_cancelation(2)], 9, id="of a refused line there is nothing to take off"),
        pytest.param([counted(10), THEIRS], 10, id="not ours to ship: off another shelf"),
        pytest.param([counted(10), placed(line(quantity=5), fulfilled_by="DEFAULT")], 5, id="the seller under its other name"),
        pytest.param([counted(10), THEIRS, relabelled(line(quantity=5))], 5, id="ours to ship after all"),
        pytest.param([counted(10), THEIRS, market_cancelation(4), relabelled(line(quantity=5))], 9, id="less what was cancelled before"),
        pytest.param([*FIVE, relabelled(line(quantity=5), fulfilled_by="HUB")], 10, id="no longer ours to ship"),
        pytest.param([counted(10), THEIRS, line_state("SHIPPED"), relabelled(line(quantity=5))], 10, id="it has left from there"),
        pytest.param(
            [counted(10), placed(line(quantity=3)), later(2, 7, settled=(KEY,)), later(1, 10)], 7, id="a stale count moves nothing"
        ),
        pytest.param([counted(-4)], 0, id="below zero there is nothing"),
        pytest.param([*CLAIMED, line_state("SHIPPED")], 7, id="on its way, and in the last count yet"),
        pytest.param([*CLAIMED, line_state("SHIPPED"), later(1, 7, settled=(KEY,))], 7, id="until a count does not contain it"),
        pytest.param([*CLAIMED, line_state("SHIPPED"), line_state("RECEIVED")], 10, id="though that should never come"),
        pytest.param([*CLAIMED, line_state("CANCELED")], 10, id="cancelled: put back"),
        pytest.param([counted(10), placed(line(quantity=3)), line_state("SHIPPED")], 10, id="dispatched by hand: not ours to count"),
    ],
)
def test_units_are_reserved_until_shopify_shows_them_committed(events: list[Event], left: int) -> None:
    assert units(*events) == left


@pytest.mark.parametrize(
    "end", [(line_state("REFUSED"),), (market_cancelation(4, cancelation="C2"),), (later(1, 9, settled=(KEY,)), market_cancelation(1))]
)
@pytest.mark.parametrize("sold", [FIVE[1], THEIRS], ids=["ours to ship", "not ours"])
def test_of_an_order_that_is_owed_nothing_more_nothing_is_kept(sold: Event, end: tuple[Event, ...]) -> None:
    row = story(counted(10), sold, market_cancelation(1), created(), *end).rows[SKU]
    assert (row.reserved, row.elsewhere, row.canceled, row.claimed) == ({}, {}, {}, ())


OLD = Sku("OLD")


@pytest.mark.parametrize("sku", [SKU, OLD])
def test_what_is_sold_under_a_mapped_name_is_owed_by_the_sku_it_is_mapped_to(sku: Sku) -> None:
    sold = [counted(10), mapped("OLD", SKU), placed(line(sku="OLD", quantity=3))]
    assert units(*sold, sku=sku) == 7
    assert units(*sold, later(1, 7, settled=(KEY,), sold_as=(OLD,)), sku=sku) == 7
    assert units(*sold, line_state("CANCELED", sku="OLD"), sku=sku) == 10


def test_a_bundle_is_as_many_as_its_scarcest_part_and_owes_each_of_them() -> None:
    box = Sku("BOX")
    there = [counted(7), counted(5, sku="BOX"), mapped("SET", f"2 x {SKU} + 1 x BOX", "bundle")]
    assert units(*there, sku=Sku("SET")) == 3
    sold = [*there, placed(line(sku="SET", quantity=2))]
    assert [units(*sold, sku=sku) for sku in (Sku("SET"), SKU, box)] == [1, 3, 3]
    half = [*sold, later(1, 3, settled=(KEY,), sold_as=(Sku("SET"),))]  # one part's count contains it, the other's does not yet
    assert [units(*half, sku=sku) for sku in (Sku("SET"), SKU, box)] == [1, 3, 3]
    whole = [*half, later(2, 3, sku="BOX", settled=(KEY,), sold_as=(Sku("SET"),))]
    assert [units(*whole, sku=sku) for sku in (Sku("SET"), SKU, box)] == [1, 3, 3]
    assert story(*whole).rows["SET"].reserved == {}


@given(
    st.lists(
        st.sampled_from([counted(3), counted(9), counted(0, settled=(KEY,)), placed(line(quantity=2)), line_state("SHIPPED"), read(9)])
    )
)
def test_never_more_than_the_last_count(events: list[Event]) -> None:
    """I1: whatever came before, no more is shown than was last counted."""
    assert 0 <= units(*events, later(1, 4)) <= 4


# ---------------------------------------------------------------- what a channel shows


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        pytest.param([issued(), import_finished(5)], {CHANNEL: 5}, id="applied"),
        pytest.param([issued()], {}, id="on its way: unknown"),
        pytest.param([issued(), import_finished(5, status="FAILED")], {}, id="failed"),
        pytest.param([issued(), import_finished(5, status="STUCK")], {}, id="given up on: it may be applied yet"),
        pytest.param([issued(), import_finished(5), placed()], {}, id="sold since: whether that lowered it is not published"),
        pytest.param([issued(), placed(), import_finished(5)], {}, id="sold meanwhile"),
        pytest.param([issued(), import_finished(5), read(5)], {CHANNEL: 5}, id="read as told"),
        pytest.param([issued(), import_finished(5), read(6)], {}, id="read otherwise: told anew"),
        pytest.param([issued(), import_finished(5), read(5, deleted=(SKU,))], {}, id="no offer any more"),
        pytest.param(
            [issued(), import_finished(5, told_at=NOON + timedelta(minutes=20)), read(6, minutes=10)],
            {CHANNEL: 5},
            id="read before it was applied: says nothing",
        ),
    ],
)
def test_what_a_channel_shows_is_known_only_while_nothing_touched_it(events: list[Event], shown: dict[str, int]) -> None:
    assert story(counted(6), *events).rows[SKU].shown == shown


# ---------------------------------------------------------------- what waits for somebody


def opened_by(*events: Event) -> list[str]:
    told = story().when(*events).told
    return [str(getattr(note, "key", "")).partition(":")[0] + type(note).__name__.removeprefix("Exception") for note in told]


def test_each_trouble_is_opened_and_closed_with_its_cause() -> None:
    def seen(status: str, *rivals: ShopId) -> VariantSeen:
        return VariantSeen(sku=SKU, item=ITEM, status=status, read_at=NOON, rivals=rivals)

    applied = [issued(), import_finished(5)]
    assert opened_by(read(3), counted(3)) == ["X03Opened", "X03Closed"]
    assert opened_by(counted(5), *applied, seen("ARCHIVED"), seen("ACTIVE")) == ["X08Opened", "X08Closed"]
    assert opened_by(seen("ACTIVE", ITEM, OTHER), counted(5), seen("ACTIVE")) == ["X02Opened", "X02Closed"]
    assert opened_by(counted(5), *applied, seen("DELETED"), seen("ACTIVE")) == ["X07Opened", "X07Closed"]
    assert opened_by(counted(5), *applied, read(9), read(9), issued(), import_finished(5), read(5, 20)) == ["X19Opened", "X19Closed"]
    assert opened_by(counted(5), *applied, issued(4), import_finished(4), read(5)) == ["X12Opened"]
    assert opened_by(counted(9), *applied, read(9), issued(9), import_finished(9)) == ["X19Opened", "X19Closed"], "nothing changes there"
    odd = [counted(5), *applied, read(9)]
    assert opened_by(*odd, read(9, 15), placed(line(1, SKU, 2)), read(7, 20)) == ["X19Opened", "X19Opened"], "it stays until told anew"
    assert opened_by(*odd, placed(line(1, SKU, 2)), read(3, 20)) == ["X19Opened", "X19Closed"]
    told = import_finished(5, told_at=NOON + timedelta(minutes=15))
    assert opened_by(*odd, issued(), told, placed(line(1, SKU, 2)), read(7, 20)) == ["X19Opened", "X19Closed"], "nobody knows since when"
    assert opened_by(counted(5), *applied, read(4)) == []  # as a rule a sale that we are about to hear of
    assert opened_by(counted(5), *applied, later(1, 5, tracked=False), later(2, 5)) == ["X15Opened", "X15Closed"]
    refused = import_finished(5, refused={SKU: "unknown offer"})
    assert opened_by(counted(5), issued(), refused, import_finished(5)) == ["X10Opened", "X10Closed"]
    assert opened_by(counted(5), issued(), refused, read(7), read(5, 20)) == ["X10Opened", "X10Closed"], "so much was sold meanwhile"
    again = ExceptionRetried(key=f"X10:stock-{SKU}:{CHANNEL}", subject=f"stock-{SKU}", reason="mended")
    assert opened_by(counted(5), issued(), refused, again, issued(), refused) == ["X10Opened", "X10Closed", "X10Opened"]
