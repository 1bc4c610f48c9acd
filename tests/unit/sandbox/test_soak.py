"""Two hundred worlds with a little of everything wrong in each: every class of faults is met, and a seed is one world."""

import pytest

from ops.sandbox import soak
from ops.sandbox.faults import KINDS
from tests.thorough import THOROUGH


def test_every_class_of_faults_is_met_in_two_hundred_seeds() -> None:
    result = soak.soak(range(1, 201), twice=1 if THOROUGH > 1 else 4)
    assert result.problems == []
    assert set(result.met) == set(KINDS) and result.seeds == 200 and result.calls > 20_000
    print("\n".join(f"{name:24} {result.met[name]}" for name in KINDS))  # noqa: T201 - the table, for whoever asks with -s


def test_a_class_that_is_never_met_is_told() -> None:
    assert any(problem.startswith("never met: ") for problem in soak.soak([1]).problems)


def test_a_seed_that_comes_out_in_two_ways_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = iter([soak.lived(1), soak.lived(2)])
    monkeypatch.setattr(soak, "lived", lambda _seed: next(worlds))
    assert "seed 1 came out in two ways" in soak.soak([1]).problems


def test_a_world_that_contradicts_itself_is_told() -> None:
    world = soak.lived(1)
    assert list(soak.contradictions(world)) == []
    next(iter(next(iter(world.shop.levels.values())).values())).committed += 1
    next(iter(world.shop.orders.values())).lines[0].fulfilled = -1
    next(iter(world.account.orders.values())).lines[0].shipped = 10**6
    assert len(list(soak.contradictions(world))) >= 3
