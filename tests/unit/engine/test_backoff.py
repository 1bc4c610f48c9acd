"""Waits are bounded, retries are few, and an outage is told from one bad request."""

from hypothesis import given
from hypothesis import strategies as st

from engine.backoff import BASE, CAP, Breaker, RetryBudget, full_jitter

chances = st.floats(0.0, 1.0, exclude_max=True)


@given(st.integers(0, 10_000), chances)
def test_a_wait_lies_between_nothing_and_its_bound(failures: int, chance: float) -> None:
    assert 0.0 <= full_jitter(failures, chance) <= min(CAP, BASE * 2.0 ** min(failures, 1_000))


def test_the_bound_doubles_up_to_a_cap() -> None:
    assert [full_jitter(failures, 1.0, base=1.0, cap=10.0) for failures in range(1, 6)] == [2.0, 4.0, 8.0, 10.0, 10.0]


def test_chance_spreads_over_the_whole_wait() -> None:
    assert full_jitter(3, 0.25) == full_jitter(3, 1.0) / 4


@given(st.lists(st.tuples(st.sampled_from(["call", "retry"]), st.floats(0.0, 5.0)), max_size=300))
def test_retries_stay_within_a_tenth_of_the_calls_and_the_spare_ones(steps: list[tuple[str, float]]) -> None:
    now, calls, retries = 0.0, 0, 0
    budget = RetryBudget(now)
    for step, pause in steps:
        now += pause
        if step == "call":
            budget.called(now)
            calls += 1
        elif budget.spend(now):
            retries += 1
    leaked = RetryBudget.SPARE * (now / RetryBudget.HALF_LIFE * 2 + 1)  # what comes back while nobody calls
    assert retries <= RetryBudget.SHARE * calls + leaked + 1


def test_an_empty_budget_fills_again_with_calls_and_with_time() -> None:
    budget = RetryBudget(0.0)
    assert [budget.spend(0.0) for _ in range(6)] == [True] * 5 + [False]
    budget.called(0.0, 9)
    assert not budget.spend(0.0)
    budget.called(0.0, 1)
    assert budget.spend(0.0)
    assert not budget.spend(0.0)
    assert budget.spend(RetryBudget.HALF_LIFE)


def test_the_ratio_is_of_late() -> None:
    budget = RetryBudget(0.0)
    assert budget.ratio(0.0) == 0.0
    budget.called(0.0, 10)
    budget.spend(0.0)
    assert budget.ratio(0.0) == 0.1
    budget.called(RetryBudget.HALF_LIFE * 10, 10)
    assert budget.ratio(RetryBudget.HALF_LIFE * 10) < 0.001


def test_one_bad_request_opens_nothing() -> None:
    breaker = Breaker(3, base=1.0, cap=8.0)
    for _ in range(10):
        breaker.failed("the same")
    seen = [breaker.open]
    breaker.failed("another")
    assert [*seen, breaker.open] == [False, True]


def test_failures_between_answers_open_nothing() -> None:
    breaker = Breaker(3, base=1.0, cap=8.0)
    for whose in range(10):
        breaker.failed(whose)
        breaker.failed(whose)
        breaker.succeeded()
    assert not breaker.open


def test_probes_come_further_and_further_apart() -> None:
    breaker = Breaker(1, base=1.0, cap=8.0)
    breaker.failed(None)
    assert [breaker.pause(1.0) for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert breaker.pause(0.0) == 4.0
    breaker.succeeded()
    assert breaker.pause(1.0) == 1.0
    assert not breaker.open
