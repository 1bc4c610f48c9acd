"""An hourly count proves that no order was missed; a gap waits for somebody until it is closed (R78, R95)."""

from datetime import timedelta

from projections.coverage import coverage, decide
from schemas.events.channels import OrdersCounted
from schemas.events.exceptions import ExceptionClosed, ExceptionOpened
from tests.examples import CHANNEL, NOON, placed
from tests.spec import spec

HOUR = timedelta(hours=1)


def counted(number: int, hours: int = 1) -> OrdersCounted:
    return OrdersCounted(channel=CHANNEL, since=NOON, until=NOON + hours * HOUR, count=number)


def test_as_many_as_were_counted_is_no_news() -> None:
    spec(coverage, decide).given(placed(), placed(placed_at=NOON + HOUR / 2)).when(counted(2)).then_told()


def test_more_than_were_counted_is_none_either() -> None:
    spec(coverage, decide).given(placed(), placed()).when(counted(1)).then_told()


def test_fewer_than_were_counted_wait_until_they_are_heard() -> None:
    story = spec(coverage, decide).given(placed(), placed(placed_at=NOON + HOUR)).when(counted(2))
    [trouble] = story.told
    assert isinstance(trouble, ExceptionOpened)
    assert (trouble.code, trouble.subject, trouble.owner) == ("X34", "channel-asos", "OPS")
    assert trouble.summary == "asos counts 2 orders from 2026-11-20T12:00 to 2026-11-20T13:00, the log has 1"
    story.given().when(placed(placed_at=NOON + HOUR / 2))
    assert story.told == [ExceptionClosed(key=trouble.key, reason="all of them were heard since", subject="channel-asos")]


def test_a_longer_span_counts_its_hours_together() -> None:
    spec(coverage, decide).given(placed(), placed(placed_at=NOON + 3 * HOUR)).when(counted(2, hours=4)).then_told()
    assert spec(coverage, decide).given(placed(), placed(placed_at=NOON + 4 * HOUR)).when(counted(2, hours=4)).told


def test_a_span_into_the_next_day_says_nothing() -> None:
    """Twelve hours of it are in the row of another day: neither a gap nor that there is none can be told."""
    spec(coverage, decide).given(placed()).when(counted(2, hours=24)).then_told()
    assert spec(coverage, decide).given(placed()).when(counted(2, hours=12)).told
