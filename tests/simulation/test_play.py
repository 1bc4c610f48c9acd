"""Whole plays on a real Postgres: an order travels all the way round in virtual time, and the same seed is the same play."""

import gc
import json
import os
import subprocess
import sys
import warnings

import pytest

from engine.errors import StartupError
from engine.ports import DATABASE_AWAY, PostgresDb
from ops.simulate.memory import MemoryStore
from ops.simulate.net import Network
from ops.simulate.options import plain
from ops.simulate.play import leaves, play
from ops.simulate.store import PostgresStore

AGAIN = """
import json, sys
from ops.simulate.options import plain
from ops.simulate.play import play
from ops.simulate.store import PostgresStore
print(json.dumps(play(2, plain(2), PostgresStore(sys.argv[1], sys.argv[2], "again")).digest))
"""


def test_orders_travel_all_the_way_round(play_store: PostgresStore) -> None:
    outcome = play(1, plain(1), play_store)
    assert outcome.broken is None
    assert outcome.orders >= 4


def test_the_same_seed_is_the_same_play_in_another_process_too(play_store: PostgresStore) -> None:
    here = play(2, plain(2), play_store).digest
    command = [sys.executable, "-c", AGAIN, play_store.admin_url, play_store.template]
    told = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "4711"}, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout.splitlines()[-1]) == here


def test_nothing_is_left_of_a_play_but_of_the_last() -> None:
    """Nor has it anything to say when it is let go of, which may be in the middle of anything."""
    before = _worlds()
    for seed in (1, 2, 3):
        assert play(seed, plain(seed), MemoryStore()).broken is None
    assert _worlds() <= before + 1
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        gc.collect()
    assert said == []


def _worlds() -> int:
    gc.collect()
    return sum(type(each) is Network for each in gc.get_objects())


@pytest.mark.anyio
async def test_a_start_for_want_of_a_database_is_told_from_a_bug() -> None:
    for port, is_away in (("1", True), ("port", False)):
        with pytest.raises(StartupError) as caught:
            _ = await PostgresDb(f"postgresql://nobody@127.0.0.1:{port}/nothing").pool()
        [why] = leaves(ExceptionGroup("an engine", [caught.value]))
        assert isinstance(why, DATABASE_AWAY) is is_away, why
