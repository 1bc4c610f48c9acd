"""What goes into a channel's next file, and what has to wait (R22, R33, R85-R88; invariants I1, I3)."""

from datetime import timedelta
from typing import Any

import pytest

from projections.desired import NORMAL, Mode
from projections.publications import Difference, difference, publications, settle, watch
from projections.stock import Shown, Stock, inventory
from projections.stock_rules import Rules
from schemas.commands import PublishStock, SettleStockImport
from schemas.events import Event
from schemas.events.commands import CommandBuried, CommandIssued, CommandRefused, CommandUnknown
from schemas.events.inventory import StockFileLost, StockImportStarted, StockModeSet
from schemas.values import Instant, Sku
from tests.examples import CHANNEL, HERE, NOON, import_finished
from tests.spec import spec

SKU = Sku("TEE-RED-M")
BEFORE, AFTER = NOON - timedelta(minutes=1), NOON + timedelta(minutes=1)


def row(sku: str, units: int, shown: int | None = None, **more: object) -> Stock:
    told = {} if shown is None else {"shown": {CHANNEL: shown}, "applied": {CHANNEL: shown}}
    counted = {"levels": {HERE: units}, "read_at": NOON, "raised_at": NOON}
    return Stock(sku=Sku(sku), **counted | told | more)  # type: ignore[arg-type]


def found(*rows: Stock, orders_at: Instant | None = AFTER, mode: Mode = NORMAL) -> Difference:
    return difference([each.sku for each in rows], CHANNEL, {each.sku: each for each in rows}, Rules(), mode=mode, orders_at=orders_at)


ROWS = (
    row("rises", 9, 1),
    row("same", 5, 5),
    row("gone", 0, 4),
    row("back", 3, 0),
    row("falls", 2, 4),
    row("new", 7),
    row("unwanted", 5, refused={CHANNEL: 5}),
    Stock(sku=Sku("uncounted")),
)


def test_a_file_holds_only_news_zeros_first() -> None:
    news = found(*ROWS).news
    assert [(line.sku, line.units) for line in news] == [("gone", 0), ("falls", 2), ("back", 3), ("new", 7), ("rises", 9)]
    command = Difference(news).command(CHANNEL, limit=2, as_of=7, rules="r", mode=NORMAL, orders_at=AFTER)
    assert command == PublishStock(channel=CHANNEL, quantities={Sku("gone"): 0, Sku("falls"): 2}, as_of=7, rules="r", orders_at=AFTER)
    assert list(command.quantities) == ["gone", "falls"]


def test_what_rises_waits_for_a_poll_that_began_after_the_count() -> None:
    for orders_at in (None, BEFORE):
        held = found(*ROWS, orders_at=orders_at)
        assert [line.sku for line in held.news] == ["gone", "falls"]
        assert held.waiting == ("rises", "back", "new")
    assert found(*ROWS, orders_at=NOON).waiting == ()


def test_a_count_that_only_lowered_it_does_not_hold_up_a_rise() -> None:
    """On a busy day there is always a newer count."""
    assert found(row("busy", 9, 1, read_at=AFTER), orders_at=NOON).waiting == ()


def test_what_was_sold_meanwhile_is_no_rise() -> None:
    """What it shows is unknown, but no more than it had applied."""
    assert found(row("sold", 4, applied={CHANNEL: 5}), orders_at=None).waiting == ()
    assert found(row("lost", 4, sent={CHANNEL: 5}), orders_at=None).waiting == ()  # nobody knows what became of that file


def test_less_than_believed_may_be_a_sale_so_it_is_healed_after_the_next_poll() -> None:
    odd = row("odd", 5, applied={CHANNEL: 4}, seen={CHANNEL: Shown(quantity=4, read_at=AFTER, odd=5)})
    assert found(odd, orders_at=NOON).waiting == ("odd",)
    assert found(odd, orders_at=AFTER).waiting == ()


def test_without_news_nothing_rises() -> None:
    held = found(*ROWS, mode=Mode("hold"))
    assert ([line.sku for line in held.news], held.waiting) == (["gone", "falls"], ("rises", "back", "new"))


def issued() -> CommandIssued:
    command = PublishStock(channel=CHANNEL, quantities={SKU: 5}, as_of=1)
    return CommandIssued(command_id="00000000-0000-0000-0000-000000000001", command=command)  # type: ignore[arg-type]


def test_one_file_is_under_way_until_it_is_finished_or_given_up() -> None:
    story = spec(publications, settle).given(issued()).then_row(CHANNEL, under_way=True, import_id=None)
    started = StockImportStarted(channel=CHANNEL, import_id="77", quantities={SKU: 5})
    story.when(started).then_asked(SettleStockImport(channel=CHANNEL, import_id="77", quantities={SKU: 5}))
    story.when(import_finished(5)).then_row(CHANNEL, under_way=False)


GIVEN_UP: dict[str, Any] = {"command_id": issued().command_id, "subject": "offers-asos", "attempt": 8, "detail": "x"}


@pytest.mark.parametrize(
    ("over", "applied"),
    [
        (CommandRefused(command="publish_stock", **GIVEN_UP), False),
        (CommandBuried(command="publish_stock", **GIVEN_UP), True),
        (CommandBuried(command="settle_stock_import", **GIVEN_UP), True),
        (CommandRefused(command="settle_stock_import", **GIVEN_UP), True),
    ],
)
def test_of_a_file_that_is_lost_its_skus_hear_before_the_next(over: Event, applied: bool) -> None:
    lost = StockFileLost(channel=CHANNEL, quantities={SKU: 5}, why="x", applied=applied)
    story = spec(publications, settle).given(issued()).when(over).then_told(lost).then_row(CHANNEL, under_way=True)
    story.when(lost).then_told(lost).then_row(CHANNEL, under_way=False, failed="x", quantities={})


def test_a_file_whose_answer_was_lost_may_have_been_applied_though_it_is_refused_later() -> None:
    unknown = CommandUnknown(command="publish_stock", **GIVEN_UP)
    lost = StockFileLost(channel=CHANNEL, quantities={SKU: 5}, why="x", applied=True)
    spec(publications, settle).given(issued(), unknown).when(CommandRefused(command="publish_stock", **GIVEN_UP)).then_told(lost)


def test_what_a_refused_file_said_is_not_what_is_shown() -> None:
    """Else a rise would be taken for a fall, and go out in `hold`, and before the orders were polled."""
    was = row(SKU, 5, sent={CHANNEL: 5}, applied={CHANNEL: 0})
    for applied, news in ((False, ()), (True, (SKU,))):
        lost = StockFileLost(channel=CHANNEL, quantities={SKU: 5}, why="x", applied=applied)
        now = inventory.evolve(was, lost)
        told = found(now, orders_at=None, mode=Mode("hold"))
        assert (now.sent, tuple(line.sku for line in told.news)) == ({}, news)


def test_each_file_that_comes_to_nothing_is_told_and_the_next_that_goes_through_ends_it() -> None:
    stuck = import_finished(5, status="STUCK")
    story = spec(publications, watch).when(issued(), stuck, issued(), stuck, issued(), import_finished(5))
    assert [type(note).__name__ for note in story.told] == ["ExceptionOpened", "ExceptionOpened", "ExceptionClosed"]


def test_a_mode_outlasts_the_files() -> None:
    decay = StockModeSet(channel=CHANNEL, mode="decay", step=2, because="Shopify cannot be read")
    spec(publications).given(decay, issued(), import_finished(5)).then_row(CHANNEL, mode="decay", step=2)
