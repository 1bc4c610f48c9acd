"""The database in memory answers as Postgres does: any statements, in any order, on several sessions at once, byte for byte.

CROSSDOCK_THOROUGH=20 tries twenty times as many.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from engine import lease
from ops.simulate.memory.registry import KNOWN
from tests.conftest import Database
from tests.simulation import calls
from tests.simulation.calls import Call, Draw
from tests.simulation.twins import SESSIONS, Postgres, Twins, emptied, memory_of, postgres_of

THOROUGH = int(os.environ.get("CROSSDOCK_THOROUGH", "1"))
SESSION = st.integers(0, SESSIONS - 1)
SEED = st.integers(0, 2**32)
HOLDER = UUID(int=1)
READONLY = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"


class Conformance(RuleBasedStateMachine):
    loop: asyncio.AbstractEventLoop
    postgres: Postgres
    seen: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.run(emptied(self.postgres))
        self.twins = Twins(self.postgres, self.run(memory_of()))
        self.twins.seen = self.seen
        self.drawn = 0
        self.begun: dict[int, bool] = {}  # session -> whether nothing can be written

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def ask(self, session: int, call: Call) -> None:
        self.run(self.twins.ask(session, call))

    def is_free(self, session: int) -> bool:
        return session not in self.twins.blocked

    def draw(self, seed: int, *, narrowly: bool = False) -> Draw:
        """Hypothesis likes to repeat itself; where that is, makes it something else."""
        self.drawn += 1
        return Draw(f"{seed} {self.drawn}", self.twins.memory.database, narrowly=narrowly)

    @initialize(epochs=st.integers(0, 2))
    def elect(self, epochs: int) -> None:
        """Leases to be fenced by, or none."""
        for target in ("shopify", "mirakl:a"):
            for _ in range(epochs):
                self.ask(0, Call("engine.lease.MAKE", lease.MAKE, ("acme", target), "execute"))
                row = dict(self.twins.memory.database.leases.committed("acme"))[target]
                self.ask(0, Call("engine.lease.TAKE", lease.TAKE, ("acme", target, HOLDER, row.epoch, row.beat, row.holder)))

    @rule(session=SESSION, beginning=st.sampled_from(["BEGIN;", "BEGIN;", "BEGIN;", READONLY]))
    def begin(self, session: int, beginning: str) -> None:
        if session not in self.begun and self.is_free(session):
            self.begun[session] = beginning == READONLY
            self.ask(session, Call("BEGIN", beginning, (), "execute"))

    @rule(pick=SESSION, how=st.sampled_from(["COMMIT;", "COMMIT;", "ROLLBACK;"]))
    def end(self, pick: int, how: str) -> None:
        open_ = [session for session in sorted(self.begun) if self.is_free(session)]
        if open_:
            session = open_[pick % len(open_)]
            del self.begun[session]
            self.ask(session, Call("COMMIT", how, (), "execute"))

    @rule(session=SESSION, seed=SEED)
    def write(self, session: int, seed: int, *, narrowly: bool = False) -> None:
        """One waits at a time: in which order several would be served, Postgres leaves open."""
        call = calls.write(self.draw(seed, narrowly=narrowly))
        if not self.twins.blocked and not (self.begun.get(session) and call.name == "engine.log.APPEND"):
            self.ask(session, call)

    @rule(session=SESSION, seeds=st.lists(SEED, min_size=2, max_size=5))
    def write_several(self, session: int, seeds: list[int]) -> None:
        for seed in seeds:
            self.write(session, seed)

    @rule(seeds=st.lists(SEED, min_size=3, max_size=8))
    def collide(self, seeds: list[int]) -> None:
        """Two transactions at the same rows."""
        for place, seed in enumerate(seeds):
            self.begin(place % 2, "BEGIN;")
            self.write(place % 2, seed, narrowly=True)

    @rule(session=SESSION, seed=SEED)
    def read(self, session: int, seed: int) -> None:
        if self.is_free(session):
            self.ask(session, calls.read(self.draw(seed)))

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            for side in (self.twins.postgres, self.twins.memory):
                for task in side.asking:
                    if task is not None:
                        task.cancel()
            for connection in self.twins.memory.connections:
                connection.terminate()

    def finish(self) -> None:
        for _ in range(2):  # who waits, after whom he waits for
            for session in sorted(self.begun):
                if self.is_free(session):
                    del self.begun[session]
                    self.ask(session, Call("COMMIT", "COMMIT;", (), "execute"))
        draw = self.draw(len(self.twins.memory.database.logs))
        for call in (*calls.every_read(draw), *calls.shadow(draw)):
            self.ask(0, call)
        self.run(self.twins.compare())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_the_memory_answers_as_postgres_does(database: Database, loop: asyncio.AbstractEventLoop) -> None:
    class Here(Conformance):
        pass

    Here.loop, Here.postgres = loop, loop.run_until_complete(postgres_of(database.engine_url, database.admin_url))
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Here,
            settings=settings(
                max_examples=30 * THOROUGH,
                stateful_step_count=60,
                deadline=None,
                derandomize=THOROUGH == 1,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, *([] if os.environ.get("NOSHRINK") else [Phase.shrink])],
                report_multiple_bugs=False,
            ),
        )
        for k, v in sorted(Here.seen.items()):
            print(k, v)
        print(sum(Here.seen.values()))
    finally:
        for connection in (*Here.postgres.connections, Here.postgres.admin):
            connection.terminate()
        loop.run_until_complete(asyncio.sleep(0))
