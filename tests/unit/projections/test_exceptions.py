"""What waits for somebody, and when it no longer does (L2)."""

from typing import Any

import pytest
from msgspec.structs import replace

from projections import mappings, publications, stock, strays, tracking
from projections.exceptions import exceptions
from projections.order_policy import policy
from projections.orders import orders
from projections.rules import Channel
from schemas.events import Event
from schemas.events.exceptions import ExceptionAssigned, ExceptionClosed, ExceptionOpened, ExceptionResolved, ExceptionRetried
from schemas.events.orders import TrackingDropped
from schemas.events.people import MappingSet, Redriven
from schemas.events.shop import ShopOrderOrphaned
from schemas.values import OrderId, ShopId
from tests.examples import CHANNEL, NOON, ORDER, counted, created, fulfilled, import_finished, placed, shop_seen
from tests.spec import spec

SUBJECT = f"order-{CHANNEL}:{ORDER}"
KEY = f"X36:{SUBJECT}:ship_order"
WORD = "carrier:asos:royal mail"


def opened(**more: Any) -> ExceptionOpened:
    fields: dict[str, Any] = {"key": KEY, "code": "X36", "subject": SUBJECT, "summary": "unmapped", "owner": "OPS", "severity": 1}
    return ExceptionOpened(**fields | more)


CLOSED = ExceptionClosed(key=KEY, reason="its cause is gone", subject=SUBJECT)


def test_opened_brought_up_to_date_and_closed() -> None:
    story = (
        spec(exceptions).given(opened(), opened(summary="still unmapped")).then_row(KEY, open=True, summary="still unmapped", owner="OPS")
    )
    story.when(CLOSED).then_row(KEY, open=False, closed_because="its cause is gone")
    story.when(opened()).then_row(KEY, open=True, closed_because="")


def test_who_looks_after_it_stays_until_it_is_over() -> None:
    mine = ExceptionAssigned(key=KEY, to="kim", reason="on it")
    story = spec(exceptions).given(opened(), mine, opened(summary="again")).then_row(KEY, assigned_to="kim")
    story.when(CLOSED, opened()).then_row(KEY, assigned_to="")


def test_what_people_do_is_counted_and_closes() -> None:
    story = (
        spec(exceptions).given(opened(), ExceptionRetried(key=KEY, subject=SUBJECT, reason="mended")).then_row(KEY, retried=1, open=True)
    )
    story.when(ExceptionResolved(key=KEY, subject=SUBJECT, reason="by hand")).then_row(KEY, open=False)


def test_a_closing_of_nothing_leaves_no_trace() -> None:
    fresh = exceptions.initial(KEY)
    assert exceptions.evolve(fresh, CLOSED) is fresh


# ---------------------------------------------------------------- words that others wait for


def said(value: str, name: str = "Royal Mail ") -> MappingSet:
    return MappingSet(channel=CHANNEL, kind="carrier", name=name, value=value)


def waiting(number: int = 1) -> ExceptionOpened:
    return opened(key=f"X36:order-asos:{number}:ship_order", subject=f"order-asos:{number}", waits_for="carrier:asos:ROYAL MAIL")


def test_a_mapping_lets_everybody_go_on_who_waited_for_it() -> None:
    story = spec(mappings.mappings, mappings.decide).given(*(waiting(number) for number in range(500))).when(said("RM"))
    assert len(story.told) == 500
    assert story.told[0] == Redriven(channel=CHANNEL, order_id="0", key="X36:order-asos:0:ship_order", because="carrier royal mail is RM")  # type: ignore[arg-type]
    story.given().when(said("RM")).then_told()


def test_another_value_lets_them_go_on_again_the_same_does_not() -> None:
    story = spec(mappings.mappings, mappings.decide).given(waiting(), said("RM"), waiting()).when(waiting())
    story.then_told()  # refused with that very word: nothing would change
    story.when(said("ROYALMAIL"))
    assert len(story.told) == 1


def test_who_looked_just_before_the_word_was_said_goes_on_too() -> None:
    story = spec(mappings.mappings, mappings.decide).given(said("RM")).when(waiting())
    assert len(story.told) == 1


def test_a_word_that_is_taken_back_lets_nobody_go_on() -> None:
    spec(mappings.mappings, mappings.decide).given(waiting()).when(said("")).then_told().then_row(WORD, value="")


def test_skus_are_compared_as_written() -> None:
    assert mappings.key_of("sku", "asos", "Tee ") != mappings.key_of("sku", "asos", "tee")


# ---------------------------------------------------------------- tracking numbers


def test_one_number_on_two_orders_is_told_of_the_later_one() -> None:
    story = spec(tracking.tracking, tracking.decide).given(fulfilled(tracking_number="AB 1")).when(fulfilled(tracking_number="ab1"))
    assert story.told == []
    story.when(fulfilled(tracking_number="AB1", order_id="other"))
    [trouble] = story.told
    assert isinstance(trouble, ExceptionOpened)
    assert (trouble.code, trouble.subject, trouble.key) == ("X38", "order-asos:other", "X38:order-asos:other:ab1")


OTHERS = fulfilled(tracking_number="AB1", order_id="other")
DROPPED = TrackingDropped(channel=CHANNEL, order_id=ORDER, tracking_number="ab 1")


def test_it_is_over_once_either_order_has_another_number() -> None:
    twice = spec(tracking.tracking, tracking.decide).given(fulfilled(tracking_number="AB1"), OTHERS)
    closed = ExceptionClosed(
        key="X38:order-asos:other:ab1", reason="another number since, here or on the other order", subject="order-asos:other"
    )
    for corrected in (DROPPED, replace(DROPPED, order_id=OrderId("other"))):
        story = spec(tracking.tracking, tracking.decide).given(fulfilled(tracking_number="AB1"), OTHERS).when(corrected)
        story.then_told(closed)
    twice.given(DROPPED).when(fulfilled(tracking_number="AB1", order_id="third"))
    assert [note.summary for note in twice.told if isinstance(note, ExceptionOpened)] == [
        "the tracking number of a parcel of asos:third stands on asos:other too"
    ]


def test_a_number_that_was_corrected_before_another_order_had_it_is_told_of_neither() -> None:
    story = spec(tracking.tracking, tracking.decide).given(fulfilled(tracking_number="AB1"), DROPPED)
    story.when(OTHERS).then_told().then_row("ab1", orders=("order-asos:other",))


@pytest.mark.parametrize(
    "later",
    [fulfilled(tracking_number="AB2", updated_at=NOON.replace(hour=14)), fulfilled(status="CANCELLED", updated_at=NOON.replace(hour=14))],
    ids=["another number", "cancelled"],
)
def test_an_order_tells_that_a_number_is_on_it_no_more(later: Event) -> None:
    story = spec(orders, policy(lambda _: Channel())).given(placed(), fulfilled(tracking_number="ab 1"))
    story.when(fulfilled(tracking_number="AB1", updated_at=NOON.replace(hour=13)))
    assert [note for note in story.told if isinstance(note, TrackingDropped)] == []
    story.when(later)
    assert [note for note in story.told if isinstance(note, TrackingDropped)] == [replace(DROPPED, tracking_number="AB1")]


# ---------------------------------------------------------------- Shopify orders that nobody follows

ASTRAY = ShopOrderOrphaned(shop_order=ShopId("gid://shopify/Order/7"), channel=CHANNEL, order_id=ORDER, name="#1002")


@pytest.mark.parametrize(
    ("astray", "key", "subject", "says"),
    [
        (ASTRAY, "X35:gid://shopify/Order/7", SUBJECT, f"#1002 (7) carries the marks of order {ORDER} of asos, and not its id"),
        (replace(ASTRAY, twin_of="#1001"), "X30:gid://shopify/Order/7", SUBJECT, "which stands in #1001: cancel it"),
        (replace(ASTRAY, channel=None, order_id=None), "X35:gid://shopify/Order/7", "hint-orphan:7", "names no marketplace order"),
    ],
)
@pytest.mark.parametrize(
    "over",
    [
        replace(ASTRAY, cancelled=True),
        shop_seen(shop_order=ASTRAY.shop_order),
        created(shop_order=ASTRAY.shop_order),
    ],
    ids=["cancelled", "read with its id", "adopted"],
)
def test_an_order_that_nobody_follows_is_told_until_it_is_cancelled_or_followed(
    astray: ShopOrderOrphaned, key: str, subject: str, says: str, over: Event
) -> None:
    story = spec(strays.strays, strays.decide).given(shop_seen(shop_order=ASTRAY.shop_order)).when(astray)
    [trouble] = story.told
    assert isinstance(trouble, ExceptionOpened) and (trouble.key, trouble.subject) == (key, subject) and says in trouble.summary
    story.given().when(astray).then_told()
    story.when(over)
    [closed] = story.told
    assert isinstance(closed, ExceptionClosed) and (closed.key, closed.subject) == (key, subject)


def test_a_stray_that_proves_to_be_a_twin_is_told_as_one() -> None:
    story = spec(strays.strays, strays.decide).given(ASTRAY).when(replace(ASTRAY, twin_of="#1001"))
    assert [(type(note), note.key[:3]) for note in story.told if isinstance(note, ExceptionOpened | ExceptionClosed)] == [
        (ExceptionOpened, "X30"),
        (ExceptionClosed, "X35"),
    ]


def test_an_order_that_was_never_astray_leaves_no_trace() -> None:
    fresh = strays.strays.initial(ASTRAY.shop_order)
    assert strays.evolve(fresh, shop_seen(shop_order=ASTRAY.shop_order)) is fresh
    assert strays.evolve(fresh, replace(ASTRAY, cancelled=True)) is fresh


# ---------------------------------------------------------------- stock


def test_what_a_channel_will_not_take_waits_until_it_takes_it() -> None:
    story = spec(stock.inventory, stock.decide).given(counted(5)).when(import_finished(5, refused={"TEE-RED-M": "unknown offer"}))
    [trouble] = story.told
    assert isinstance(trouble, ExceptionOpened)
    assert (trouble.code, trouble.key, trouble.summary) == (
        "X10",
        "X10:stock-TEE-RED-M:asos",
        "asos does not take the stock of TEE-RED-M: unknown offer",
    )
    story.given().when(import_finished(6))
    [closed] = story.told
    assert isinstance(closed, ExceptionClosed) and closed.key == trouble.key


def test_a_file_that_came_to_nothing_waits_until_one_goes_through() -> None:
    story = spec(publications.publications, publications.watch).when(import_finished(5, status="FAILED"))
    [trouble] = story.told
    assert isinstance(trouble, ExceptionOpened) and trouble.key == "X11:offers-asos"
    story.given().when(import_finished(5))
    assert [type(note) for note in story.told] == [ExceptionClosed]
