"""What follows from the life of one order (R34, R36, R109, R113; invariants O1, O4, F1)."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from projections.orders import RANKS, decide, initial, orders
from schemas.commands import AcceptOrder, CreateShopOrder, SetSellerReference, ShipOrder
from schemas.events import Event
from schemas.values import LineId, Money, ShopId, Tax
from tests.examples import CHANNEL, KEY, NOON, ORDER, address, created, fulfilled, line, line_state, placed, state
from tests.spec import spec

LINE = LineId(f"{ORDER}-1")


def test_a_waiting_order_is_accepted_once() -> None:
    spec(orders, decide).given(placed()).when(state("WAITING_ACCEPTANCE"), state("WAITING_ACCEPTANCE"), placed()).then_asked(
        AcceptOrder(channel=CHANNEL, order_id=ORDER, accepted=(LINE,))
    )


def test_an_order_goes_into_shopify_when_it_is_shippable_and_has_an_address() -> None:
    waiting = spec(orders, decide).given(placed(), state("WAITING_ACCEPTANCE"))
    waiting.when(state("SHIPPING")).then_asked()
    waiting.when(address(), address()).then_asked_kinds([CreateShopOrder])


def test_what_is_created_leaves_out_refused_lines_and_their_money() -> None:
    two = placed(line(1), line(2, sku="CAP", price=1000, shipping_price=Money(350, "GBP")))
    story = spec(orders, decide).given(two, line_state("REFUSED", 2, "CAP"), address()).when(state("SHIPPING"))
    [command] = story.asked
    assert isinstance(command, CreateShopOrder)
    assert [each.line_id for each in command.lines] == [LINE]
    assert command.total == Money(2450, "GBP")


def test_taxes_on_top_are_part_of_what_shopify_must_arrive_at() -> None:
    taxed = line(taxes=(Tax(code="VAT", amount=Money(490, "GBP")),), shipping_taxes=(Tax(code="VAT", amount=Money(10, "GBP")),))
    story = spec(orders, decide).given(placed(taxed, taxes_included=False), address()).when(state("SHIPPING"))
    [command] = story.asked
    assert isinstance(command, CreateShopOrder)
    assert command.total == Money(2450 + 500, "GBP")


def test_an_order_first_heard_of_when_it_is_over_is_not_created() -> None:
    spec(orders, decide).given(placed(), address()).when(state("RECEIVED")).then_asked()


def test_the_marketplace_learns_the_shopify_name() -> None:
    spec(orders, decide).given(placed(), address(), state("SHIPPING")).when(created(), created()).then_asked(
        SetSellerReference(channel=CHANNEL, order_id=ORDER, reference="ASOS-00012345-A")
    )


def test_a_confirmed_fulfilment_ships_the_order_once() -> None:
    story = spec(orders, decide).given(placed(), address(), state("SHIPPING"), created())
    story.when(fulfilled(), fulfilled(updated_at=NOON.replace(hour=13))).then_asked(
        ShipOrder(
            channel=CHANNEL,
            order_id=ORDER,
            fulfilments=(ShopId("gid://shopify/Fulfillment/1"),),
            carrier="Royal Mail",
            tracking_number="AB123456789GB",
        )
    )


def test_nothing_ships_on_a_cancelled_failed_or_partial_fulfilment() -> None:
    story = spec(orders, decide).given(placed(line(quantity=2)), address(), state("SHIPPING"), created())
    story.when(fulfilled({LINE: 1}), fulfilled({LINE: 2}, fulfilment="gid://shopify/Fulfillment/2", status="CANCELLED")).then_asked()
    story.when(fulfilled({LINE: 1}, fulfilment="gid://shopify/Fulfillment/3")).then_asked_kinds([ShipOrder])


def test_nothing_ships_before_the_order_stands_in_shopify() -> None:
    story = spec(orders, decide).given(placed(), address(), state("SHIPPING"))
    story.when(fulfilled()).then_asked()
    story.when(created()).then_asked_kinds([SetSellerReference, ShipOrder])


def test_an_older_reading_of_a_fulfilment_changes_nothing() -> None:
    story = spec(orders).given(placed(), created(), fulfilled(updated_at=NOON.replace(hour=14), status="CANCELLED"))
    story.when(fulfilled(updated_at=NOON)).then_row(KEY, left_the_house=False)


def test_a_state_nobody_told_us_about_holds_the_order() -> None:
    story = spec(orders, decide).given(placed(), address())
    story.when(state("FROZEN"), state("FROZEN")).then_asked().then_row(KEY, odd_state="FROZEN")


@given(st.permutations([state(name) for name in ("WAITING_ACCEPTANCE", "WAITING_DEBIT_PAYMENT", "SHIPPING", "SHIPPED", "RECEIVED")]))
def test_late_states_never_move_an_order_back(events: list[Event]) -> None:
    """O4: shuffled news ends in the same state."""
    spec(orders).given(placed()).when(*events).then_row(KEY, state="RECEIVED")


@given(
    st.lists(st.sampled_from([placed(), address(), state("SHIPPING"), state("SHIPPED"), created(), fulfilled(), line_state("SHIPPING")]))
)
def test_hearing_everything_twice_changes_nothing_and_asks_nothing(events: list[Event]) -> None:
    story = spec(orders, decide).given(*events)
    rows = dict(story.rows)
    story.when(*(event for event in events if not isinstance(event, type(state("SHIPPED"))))).then_asked()
    assert story.rows == rows


def test_every_rank_is_reachable_upwards_only() -> None:
    for low, high in itertools.combinations(sorted(RANKS, key=RANKS.__getitem__), 2):
        if RANKS[low] < RANKS[high]:
            row = orders.evolve(orders.evolve(initial(KEY), state(high)), state(low))
            assert row.state == high
