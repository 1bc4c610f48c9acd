"""How fast things sell, and how late it is shown, as measured from what was folded (R127)."""

from datetime import timedelta

from ops.pace import AT_ONCE, Pacing
from projections.stock import Pace, Stock
from schemas.values import Sku
from tests.examples import CHANNEL, NOON

HOUR = timedelta(hours=1)


def row(sku: str, told: Pace | None = None, **sold: int) -> Stock:
    """`T12=3`: three were sold between twelve and one."""
    hours = {f"{NOON:%Y-%m-%d}{hour}": units for hour, units in sold.items()}
    return Stock(sku=Sku(sku), sold={CHANNEL: hours}, pace={CHANNEL: told} if told else {})


def measured(*rows: Stock, seconds: float = 75.0, every: float = 60.0, later: timedelta = timedelta()) -> dict[str, tuple[int, int]]:
    pacing = Pacing(CHANNEL, every)
    pacing.looked({each.sku: each for each in rows})
    pacing.applied(seconds)
    return {sku: (units, event.seconds) for event in pacing.measured(NOON + later) for sku, units in event.hourly.items()}


def test_the_busiest_of_the_last_hours_is_the_pace_and_what_sells_no_more_is_told_once() -> None:
    assert measured(row("A", T10=9, T11=2, T12=1), row("B", T08=50)) == {"A": (9, 150)}
    assert measured(row("A", Pace(hourly=9, seconds=150), T10=9), later=3 * HOUR) == {"A": (0, 150)}
    assert measured(row("A", Pace(hourly=0, seconds=120), T08=9)) == {}


def test_only_what_is_another_than_was_told_is_told() -> None:
    told = Pace(hourly=9, seconds=150)
    assert measured(row("A", told, T12=9)) == {}
    assert measured(row("A", told, T12=9), seconds=89.0) == {}, "rounded up"
    assert measured(row("A", told, T12=9), seconds=91.0) == {"A": (9, 180)}
    assert measured(row("A", told, T12=10)) == {"A": (10, 150)}


def test_the_slowest_file_of_late_counts_and_without_one_nothing_is_told() -> None:
    pacing = Pacing(CHANNEL, 60.0)
    pacing.looked({Sku("A"): row("A", T12=9)})
    assert list(pacing.measured(NOON)) == []
    for seconds in (300.0, *[30.0] * 11):
        pacing.applied(seconds)
    assert [event.seconds for event in pacing.measured(NOON)] == [360]
    assert list(pacing.measured(NOON + timedelta(minutes=9))) == [], "too soon"
    pacing.applied(30.0)
    assert [event.seconds for event in pacing.measured(NOON + timedelta(minutes=10))] == [90]


def test_many_are_told_in_helpings_that_can_be_told_apart() -> None:
    pacing = Pacing(CHANNEL, 60.0)
    pacing.looked({Sku(f"S-{number}"): row(f"S-{number}", T12=1) for number in range(AT_ONCE + 1)})
    pacing.applied(30.0)
    events = list(pacing.measured(NOON))
    assert [len(event.hourly) for event in events] == [AT_ONCE, 1] and len({event.part for event in events}) == 2
