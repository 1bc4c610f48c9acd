"""What a channel may show (R4, R8, R92, R94; invariants I1, I3)."""

from hypothesis import given
from hypothesis import strategies as st

from projections.inventory import Rules, Stock, desired, inventory, publication, publications, settle
from schemas.commands import PublishStock, SettleStockImport
from schemas.events import Event
from schemas.events.commands import CommandBuried, CommandIssued
from schemas.events.inventory import StockImportStarted
from schemas.values import ChannelId, ShopId, Sku
from tests.examples import CHANNEL, HERE, KEY, counted, import_finished, line, line_state, placed
from tests.spec import spec

SKU = "TEE-RED-M"
RULES = Rules()


def row(*events: Event) -> Stock:
    return spec(inventory).given(*events).rows[SKU]


def test_units_are_reserved_from_first_sight_and_freed_by_the_count_that_contains_them() -> None:
    assert desired(row(counted(10), placed(line(quantity=3))), RULES) == 7
    assert desired(row(counted(10), placed(line(quantity=3)), counted(7)), RULES) == 4  # claimed in Shopify, perhaps: never too much
    assert desired(row(counted(10), placed(line(quantity=3)), counted(7, settled=(KEY,))), RULES) == 7


def test_an_order_heard_twice_is_reserved_once() -> None:
    assert desired(row(counted(10), placed(), placed()), RULES) == 9


def test_the_same_sku_on_two_lines_is_owed_twice() -> None:
    assert desired(row(counted(10), placed(line(1, quantity=2), line(2))), RULES) == 7


def test_a_refused_line_gives_its_units_back() -> None:
    assert desired(row(counted(10), placed(line(quantity=3)), line_state("REFUSED")), RULES) == 10


def test_buffer_floor_and_chosen_locations_are_kept_back() -> None:
    elsewhere = ShopId("gid://shopify/Location/2")
    stock = row(counted(levels={HERE: 10, elsewhere: 5}))
    assert desired(stock, Rules(buffer=2, floor=3)) == 10
    assert desired(stock, Rules(locations=(elsewhere,))) == 5
    assert desired(row(counted(-4)), RULES) == 0


def test_a_file_holds_only_news_and_zeros_come_first() -> None:
    rows = [
        Stock(sku=Sku("rises"), levels={HERE: 9}, shown={CHANNEL: 1}),
        Stock(sku=Sku("same"), levels={HERE: 5}, shown={CHANNEL: 5}),
        Stock(sku=Sku("gone"), levels={HERE: 0}, shown={CHANNEL: 4}),
        Stock(sku=Sku("falls"), levels={HERE: 2}, shown={CHANNEL: 4}),
        Stock(sku=Sku("uncounted")),
        Stock(sku=Sku("untracked"), levels={HERE: 5}, tracked=False),
        Stock(sku=Sku("unwanted"), levels={HERE: 5}, refused={CHANNEL: 5}),
    ]
    command = publication(rows, CHANNEL, RULES, as_of=7, limit=10)
    assert command == PublishStock(channel=CHANNEL, quantities={Sku("gone"): 0, Sku("falls"): 2, Sku("rises"): 9}, as_of=7)
    assert list(command.quantities) == ["gone", "falls", "rises"]
    first = publication(rows, CHANNEL, RULES, as_of=7, limit=1)
    assert first is not None and first.quantities == {"gone": 0}


def test_no_news_makes_no_file() -> None:
    assert publication([row(counted(5), issued(), import_finished(5))], CHANNEL, RULES, as_of=1, limit=10) is None


def test_what_a_channel_refused_is_offered_again_only_when_it_changes() -> None:
    refused = row(counted(5), import_finished(5, refused={SKU: "unknown offer"}))
    assert publication([refused], CHANNEL, RULES, as_of=1, limit=10) is None
    again = inventory.evolve(refused, counted(4))
    assert publication([again], CHANNEL, RULES, as_of=1, limit=10) is not None


def test_a_failed_file_applied_nothing() -> None:
    assert row(counted(5), issued(), import_finished(5, status="FAILED")).shown == {}


def test_after_a_sale_what_the_channel_shows_is_unknown_until_told_anew() -> None:
    """Whether the sale came before or after the file was applied, the next file sets it right."""
    sold_after = row(counted(6), issued(), import_finished(5), placed())
    sold_meanwhile = row(counted(6), issued(), placed(), import_finished(5))
    for stock in (sold_after, sold_meanwhile):
        assert stock.shown == {}
        assert publication([stock], CHANNEL, RULES, as_of=1, limit=10) == PublishStock(channel=CHANNEL, quantities={Sku(SKU): 5}, as_of=1)


def issued() -> CommandIssued:
    command = PublishStock(channel=CHANNEL, quantities={Sku(SKU): 5}, as_of=1)
    return CommandIssued(command_id="00000000-0000-0000-0000-000000000001", command=command)  # type: ignore[arg-type]


def test_one_file_is_under_way_until_it_is_finished_or_given_up() -> None:
    story = spec(publications, settle).given(issued()).then_row(CHANNEL, under_way=True, import_id=None)
    started = StockImportStarted(channel=CHANNEL, import_id="77", quantities={Sku(SKU): 5})
    story.when(started).then_asked(SettleStockImport(channel=CHANNEL, import_id="77", quantities={Sku(SKU): 5}))
    story.when(import_finished(5)).then_row(CHANNEL, under_way=False)
    buried = CommandBuried(command_id=issued().command_id, command="publish_stock", subject="offers-asos", attempt=8, detail="x")
    spec(publications).given(issued()).when(buried).then_row(ChannelId("asos"), under_way=False)


@given(st.lists(st.sampled_from([counted(3), counted(9), counted(0, settled=(KEY,)), placed(line(quantity=2)), line_state("SHIPPED")])))
def test_never_more_than_the_last_count(events: list[Event]) -> None:
    """I1: whatever came before, no more is shown than was last counted."""
    rows = spec(inventory).given(*events, counted(4)).rows
    assert 0 <= desired(rows[SKU], RULES) <= 4
