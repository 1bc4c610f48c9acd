"""`crossdock simulate`: the seeds that once showed something, a few more, and what is said of one that does not hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ops.__main__ import main
from ops.simulate import command
from ops.simulate.command import Wanted, kept_seeds, narrowed, one, shrunk
from ops.simulate.memory import MemoryStore
from ops.simulate.options import Options, swarm
from ops.simulate.play import BrokenError, Outcome, Play, play
from ops.simulate.store import PostgresStore, Store
from ops.simulate.trouble import troubled
from tests.simulation.tally import tally


@pytest.mark.parametrize(("tier", "seed"), [(tier, seed) for tier in (1, 2) for seed in kept_seeds(tier)])
def test_what_was_found_once_holds_now(tier: int, seed: int, play_store: PostgresStore) -> None:
    store: Store = MemoryStore() if tier == 1 else play_store
    result = one(seed, Wanted(seed, seed, tier=tier, shrink=False), store)
    tally(result.seen)
    assert not result.broken, f"{result.broken}\n{result.again}"


def test_a_seed_is_one_play_whatever_the_hash_seed() -> None:
    code = "from ops.simulate.command import *; print(one(103, Wanted(103, 103), MemoryStore()).digest)"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]
        for hash_seed in ("1", "4711")
    }
    assert len(told) == 1


def test_every_seed_draws_its_own_part() -> None:
    drawn = [swarm(seed) for seed in range(200)]
    assert len({json.dumps(sorted(options.plan.faults)) for options in drawn}) > 150
    assert {options.engines for options in drawn} == {1, 2}
    assert any(options.troubles.crashes for options in drawn) and any(not options.plan.faults for options in drawn)


def test_a_failure_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if an order were lost whenever a reply is cut after the third fault."""

    def pretend(seed: int, options: Options, *_: object, **__: object) -> Outcome:
        breaks = "cut" in options.plan.faults and options.budget >= 3
        broken = BrokenError("O1", "an order", "is lost") if breaks else None
        return Outcome(seed=seed, broken=broken, digest="", world_seconds=0, loop_steps=0, orders=0, seen={"fault cut": 40})  # type: ignore[arg-type]

    monkeypatch.setattr(command, "play", pretend)
    options = next(options for options in map(swarm, range(100)) if "cut" in options.plan.faults and len(options.plan.faults) > 8)
    without, budget = shrunk(pretend(1, options), options, MemoryStore())
    left = narrowed(options, without, budget)
    assert "cut" in left.plan.faults and len(left.plan.faults) < len(options.plan.faults)


def test_what_is_broken_is_said_with_its_story_and_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A play in which somebody says that the first order that was shipped should not have been."""

    async def spoilt(it: Play) -> None:
        await troubled(it)
        raise BrokenError("F1", next(iter(it.world.account.orders)), "planted")

    monkeypatch.setattr(command, "play", lambda seed, options, store, *_, **__: play(seed, options, store, course=spoilt))
    monkeypatch.setattr(command, "REGRESSIONS", tmp_path / "none")
    (tmp_path / "none").write_text("")
    told = CliRunner().invoke(main, ["simulate", "--seeds", "101..101", "--no-shrink"])
    assert told.exit_code == 1
    for said in ("seed 101: F1", "planted", "bought:", "options {", "again: crossdock simulate --seeds 101..101 --tier 1"):
        assert said in told.stdout


def test_seeds_the_wrong_way_round_are_refused_beside_kept_plays() -> None:
    told = CliRunner().invoke(main, ["simulate", "--seeds", "4..3"])
    assert told.exit_code == 3 and "the lower one comes first" in told.output


def test_a_play_of_nothing_holds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "REGRESSIONS", tmp_path / "none")
    (tmp_path / "none").write_text("")
    for words, said in (
        (["--without", "crashs"], "no class of faults is called so"),
        (["--only", "-1"], "there are 0 kept plays"),
    ):
        told = CliRunner().invoke(main, ["simulate", *words])
        assert told.exit_code == 3 and said in told.output


OTHER = """#!{python}
import os, sys, time
words = sys.argv
seeds = words[words.index("--only") + 1].split(",")
here = os.path.dirname(__file__)
open(os.path.join(here, "words"), "a").write(" ".join(words[3:]) + "\\n")
deadline = time.monotonic() + 60
while "1" in seeds and not os.path.exists(os.path.join(here, "others are done")) and time.monotonic() < deadline:
    time.sleep(0.01)
for seed in seeds:
    if seed == {dies_at!r}:
        os._exit(9)
    print('{{"seed":%s,"orders":1,"world_seconds":1,"digest":"%s"}}' % (seed, "x" * 100_000), flush=True)
if "1" not in seeds:
    open(os.path.join(here, "others are done"), "w").close()
"""


def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, dies_at: str = "") -> Path:
    """In the place of this interpreter: the process that has seed 1 waits until the other has said more than a pipe holds."""
    stand_in = tmp_path / "python"
    stand_in.write_text(OTHER.format(python=sys.executable, dies_at=dies_at))
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    return tmp_path / "words"


def test_all_processes_are_listened_to_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = others(tmp_path, monkeypatch)
    told = CliRunner().invoke(
        main, ["simulate", "--seeds", "1..6", "--jobs", "2", "--json", "--without", "cut,refused", "--budget", "7", "--no-shrink"]
    )
    assert told.exit_code == 0, told.output
    seeds = [json.loads(line)["seed"] for line in told.stdout.splitlines()]
    assert sorted(seeds) == sorted([*kept_seeds(1), *range(1, 7)])
    lines = words.read_text().splitlines()
    assert len(lines) == 2 and all("--without cut,refused --budget 7 --no-shrink" in line for line in lines)  # as it was asked for here
    assert seeds[-1] == 5  # of the process that had to wait


def test_a_process_that_dies_is_not_taken_for_plays_that_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    others(tmp_path, monkeypatch, dies_at="4")
    told = CliRunner().invoke(main, ["simulate", "--seeds", "1..6", "--jobs", "2", "--json"])
    assert told.exit_code == 3 and "had not played the seeds [4" in told.output
