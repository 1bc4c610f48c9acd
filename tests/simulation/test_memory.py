"""The database in memory answers as Postgres does: any statements, in any order, on several sessions at once, byte for byte.

CROSSDOCK_THOROUGH=20 tries twenty times as many.
"""

import ast
import asyncio
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from engine import lease
from ops.simulate.memory.registry import KNOWN, UnknownStatementError, find
from tests.conftest import Database
from tests.simulation import calls, twins
from tests.simulation.calls import Call, Draw
from tests.simulation.twins import SESSIONS, Postgres, Twins, emptied, memory_of, postgres_of

THOROUGH = int(os.environ.get("CROSSDOCK_THOROUGH", "1"))
SESSION = st.integers(0, SESSIONS - 1)
SEED = st.integers(0, 2**32)
TOURS, LONG = 3, 600
HOLDER = UUID(int=1)
REPOSITORY = Path(__file__).resolve().parents[2]
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|SET|RESET)\b")
LEFT_OUT = {("ops", "bench"), ("ops", "sandbox"), ("ops", "rush")}  # no part of an engine
NOT_SERVED = {Path("engine/migrate.py"), Path("ops/simulate/bridge.py")}  # a database in memory is born migrated
# Compared elsewhere, or no answer of Postgres': what the engine may not do, a name for COPY, what is put together for a rebuild.
ELSEWHERE = ("engine.migrate.FORBIDDEN", "engine.migrate.NEEDED", "copy_to_table", "ops.service pulse", "runner.Table", "ops.simulate")
READONLY = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"


class Conformance(RuleBasedStateMachine):
    loop: asyncio.AbstractEventLoop
    postgres: Postgres  # its sessions are used again and again
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

    @rule(seed=SEED, steps=st.integers(5, 40))
    def weave(self, seed: int, steps: int) -> None:
        """All of it, in any order."""
        rng = random.Random(f"{seed} {self.drawn}")
        for _ in range(steps):
            session, chance, more = rng.randrange(SESSIONS), rng.random(), rng.getrandbits(32)
            if chance < 0.12:
                self.begin(session, READONLY if chance < 0.02 else "BEGIN;")
            elif chance < 0.3:
                self.end(session, rng.choice(["COMMIT;", "COMMIT;", "ROLLBACK;"]))
            elif chance < 0.9:
                self.write(session, more, narrowly=chance < 0.6)
            else:
                self.read(session, more)

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
        except BaseException:
            self.run(self.postgres.renew())  # nobody knows what its sessions are doing
            raise
        finally:
            for connection in self.twins.memory.connections:
                connection.terminate()

    def finish(self) -> None:
        for _ in range(2):  # who waits, after whom he waits for
            for session in sorted(self.begun):
                if self.is_free(session):
                    del self.begun[session]
                    self.ask(session, Call("COMMIT", "COMMIT;", (), "execute"))
        draw = self.draw(0)
        for call in calls.shadow(draw):
            self.ask(0, call)
        for call in calls.every_read(draw):
            if draw.rng.random() < 0.3 or self.drawn > LONG:
                self.ask(0, call)
        self.run(self.twins.compare())


MUST_BE_MET = {  # a comparison that never meets something proves nothing of it
    *(statement.name for statement in KNOWN.values() if not statement.name.startswith(ELSEWHERE)),
    *("a wait", "a wait that ended"),
    *("all appended", "appended", "duplicate", "mismatch", "conflict", "fenced"),
    *(f"{name}, not in vain" for name in twins.SOMETHING),
    *("InFailedSQLTransactionError", "ReadOnlySQLTransactionError", "InvalidTextRepresentationError", "InvalidParameterValueError"),
    "UndefinedTableError",
}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def theirs(database: Database, loop: asyncio.AbstractEventLoop) -> Iterator[Postgres]:
    """Where the same is asked."""
    postgres = loop.run_until_complete(postgres_of(database.engine_url, database.admin_url))
    yield postgres
    postgres.terminate()
    loop.run_until_complete(asyncio.sleep(0))


def compare(loop: asyncio.AbstractEventLoop, postgres: Postgres, *, examples: int, shrinks: bool = True) -> Counter[str]:
    """Raises where the two differ. Returns what was met."""
    here: Any = type("Here", (Conformance,), {"loop": loop, "postgres": postgres, "seen": Counter()})
    for tour in range(TOURS):  # long ones, so that all is met; those of Hypothesis are short, and say where it went wrong
        long = here()
        try:
            long.elect(epochs=1)
            long.weave(seed=tour, steps=LONG)
        finally:
            long.teardown()
    run_state_machine_as_test(
        here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=6,
            deadline=None,
            derandomize=THOROUGH == 1,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
        ),
    )
    return here.seen  # type: ignore[no-any-return]


def test_the_memory_answers_as_postgres_does(theirs: Postgres, loop: asyncio.AbstractEventLoop) -> None:
    seen = compare(loop, theirs, examples=15 * THOROUGH)
    assert MUST_BE_MET - seen.keys() == set()


# ---------------------------------------------------------------- that every statement is known


def statements() -> Iterator[tuple[str, str]]:
    """Module and text of every constant in the product that is SQL."""
    for room in ("engine", "ops", "adapters"):
        for path in sorted((REPOSITORY / room).rglob("*.py")):
            if path.relative_to(REPOSITORY).parts[:2] in LEFT_OUT or path.relative_to(REPOSITORY) in NOT_SERVED:
                continue
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and SQL.match(str(node.value.value)):
                    yield str(path.relative_to(REPOSITORY)), str(node.value.value)


def test_every_statement_of_the_product_is_known() -> None:
    """One that is not is named; so is one whose text is put together in a place where nobody looks."""
    unknown = [(where, text) for where, text in statements() if text not in KNOWN]
    assert unknown == []
    assert sum(1 for _ in statements()) > 80


def test_a_statement_that_nobody_knows_is_named() -> None:
    with pytest.raises(UnknownStatementError, match="SELECT 42"):
        find("SELECT 42")
