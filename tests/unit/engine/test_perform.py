"""When to look for a lost call: soon and often at first, and once more when the quiet time is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.perform import next_look


def test_looks_come_at_two_five_fifteen_and_sixty_seconds_and_then_twice_as_far_each_time() -> None:
    looks, elapsed = [], 0.0
    while elapsed < 600.0:
        elapsed = next_look(elapsed, 600.0)
        looks.append(elapsed)
    assert looks == [2.0, 5.0, 15.0, 60.0, 120.0, 240.0, 480.0, 600.0]


@given(st.floats(0.0, 10_000.0), st.floats(0.001, 10_000.0))
def test_the_next_look_is_later_and_never_after_the_quiet_time(elapsed: float, quiet: float) -> None:
    if elapsed < quiet:
        assert elapsed < next_look(elapsed, quiet) <= quiet


def test_a_clock_that_was_set_back_does_not_hold_up_the_first_look() -> None:
    assert next_look(-3_600.0, 600.0) == pytest.approx(2.0)
