"""The database in memory answers as Postgres does: any statements, in any order, on several sessions at once, byte for byte.

CROSSDOCK_THOROUGH=20 tries twenty times as many.
"""

import ast
import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from msgspec.structs import replace

from engine import lease, log, vault
from ops.evidence import resume
from ops.simulate.memory import answers, append
from ops.simulate.memory.append import append_events, append_one
from ops.simulate.memory.events import hash_after
from ops.simulate.memory.registry import KNOWN, UnknownStatementError, find
from ops.simulate.memory.transaction import Transaction
from tests.conftest import Database
from tests.simulation import calls, stories, twins
from tests.simulation.calls import Call, Draw
from tests.simulation.twins import SESSIONS, Postgres, Twins, emptied, memory_of, postgres_of
from tests.thorough import THOROUGH

SESSION = st.integers(0, SESSIONS - 1)
SEED = st.integers(0, 2**32)
TOURS, LONG = 3, 600
HOLDER = UUID(int=1)
REPOSITORY = Path(__file__).resolve().parents[2]
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|SET|RESET)\b")
LEFT_OUT = {("ops", "bench"), ("ops", "sandbox"), ("ops", "rush"), ("ops", "simulate")}  # no part of an engine
NOT_SERVED = {
    Path("engine/migrate.py"),  # a database in memory is born migrated
    *(Path("ops/backup.py"), Path("ops/drill.py")),  # work by Postgres' own programs, as pg_dump
}
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
        if not self.twins.blocked and not (self.begun.get(session) and call.name.startswith("engine.log.APPEND")):
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
            elif chance < 0.9 and not (self.begun.get(session) and chance < 0.8):  # what only reads is ended by the first write
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
        with self.cleared():
            self.finish()

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Where it goes wrong, nobody knows what Postgres' sessions are doing: there are others then."""
        try:
            yield
        except BaseException:
            self.run(self.postgres.renew())
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
        for call in stories.all_of(draw):
            self.ask(0, call)
        for call in calls.every_read(draw):
            if draw.rng.random() < 0.3 or self.drawn > LONG:
                self.ask(0, call)
        self.run(self.twins.compare())


MUST_BE_MET = {  # a comparison that never meets something proves nothing of it
    *(statement.name for statement in KNOWN.values() if not statement.name.startswith(ELSEWHERE)),
    *("a wait", "a wait that ended"),
    *("all appended", "appended", "duplicate", "mismatch", "conflict", "fenced", "one appended", "one not appended"),
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


def machine(loop: asyncio.AbstractEventLoop, theirs: Postgres) -> Any:
    return type("Here", (Conformance,), {"loop": loop, "postgres": theirs, "seen": Counter()})


def tour(here: Any, seeds: range) -> None:
    """Long ways, on which all is met."""
    for seed in seeds:
        long = here()
        with long.cleared():
            long.elect(epochs=1)
            long.weave(seed=seed, steps=LONG)
            long.finish()


def test_the_memory_answers_as_postgres_does(theirs: Postgres, loop: asyncio.AbstractEventLoop) -> None:
    here = machine(loop, theirs)
    tour(here, range(TOURS))
    run_state_machine_as_test(  # short ways, and where it goes wrong, a shorter one
        here,
        settings=settings(
            max_examples=15 * THOROUGH,
            stateful_step_count=6,
            derandomize=THOROUGH == 1,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )
    assert MUST_BE_MET - here.seen.keys() == set()


# ---------------------------------------------------------------- that a difference is seen


def _forgetting(real: Callable[..., Any], *, places: tuple[int, ...]) -> Callable[..., Any]:
    """As it would be without some of its arguments."""

    def append(*arguments: Any) -> Any:
        return real(*(None if place in places else argument for place, argument in enumerate(arguments)))

    return append


def _always(value: object) -> Callable[..., Any]:
    return lambda *_, **__: value


def _only_naming(_tx: Transaction, _tenant: str, subjects: list[str], _now: datetime) -> list[tuple[str]]:
    return [(subject,) for subject in subjects]


def _sealing_again(*arguments: Any) -> list[tuple[str, bytes]]:
    return [(subject, wrapped or b"again") for subject, wrapped in answers.vault.find_or_add_keys(*arguments)]


def _never_skipping(real: Callable[..., Any]) -> Callable[..., Any]:
    def locked(*arguments: Any, skip: bool = False, **more: Any) -> Any:
        return real(*arguments, **more)

    return locked


LATE = {"all see what is not committed", "a snapshot moves along", "row locks are not held"}  # caught too, but it takes a while
PLANTED: dict[str, tuple[Any, str, Any]] = {  # what is wrong: where it is, and what stands there instead
    "an append checks no version": (KNOWN, log.APPEND, replace(KNOWN[log.APPEND], answer=_forgetting(append_events, places=(5,)))),
    "an append asks for no lease": (KNOWN, log.APPEND, replace(KNOWN[log.APPEND], answer=_forgetting(append_events, places=(6, 7)))),
    "one event checks no version": (KNOWN, log.APPEND_ONE, replace(KNOWN[log.APPEND_ONE], answer=_forgetting(append_one, places=(4,)))),
    "one event asks for no lease": (KNOWN, log.APPEND_ONE, replace(KNOWN[log.APPEND_ONE], answer=_forgetting(append_one, places=(5,)))),
    "an append links to nothing": (append, "hash_after", lambda _, position, version, digest: hash_after(b"", position, version, digest)),
    "a fact is the same whatever it says": (append, "_is_same", _always(True)),
    "whoever led once may claim for ever": (answers.outbox, "is_held", _always(True)),
    "an erasure destroys no key": (KNOWN, vault.ERASE, replace(KNOWN[vault.ERASE], answer=_only_naming)),
    "who is erased gets another key": (KNOWN, vault.FIND_OR_ADD_KEYS, replace(KNOWN[vault.FIND_OR_ADD_KEYS], answer=_sealing_again)),
    "nothing is doubted": (KNOWN, resume.DOUBT, replace(KNOWN[resume.DOUBT], answer=_always(0))),
    "who should pass by waits": (Transaction, "locked", _never_skipping(Transaction.locked)),
    "a rollback keeps what was written": (Transaction, "roll_back", Transaction.commit),
    "all see what is not committed": (Transaction, "seen", lambda _, slot: slot.pending if slot.owner is not None else slot.committed),
    "a snapshot moves along": (Transaction, "look", _always(None)),
    "row locks are not held": (Transaction, "lock", _always(True)),
}


@pytest.mark.parametrize("what", [what for what in PLANTED if THOROUGH > 1 or what not in LATE])
def test_a_difference_is_seen(what: str, theirs: Postgres, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, wrong = PLANTED[what]
    here = machine(loop, theirs)
    if isinstance(where, dict):
        monkeypatch.setitem(where, name, wrong)
    else:
        monkeypatch.setattr(where, name, wrong)
    with pytest.raises(AssertionError):
        tour(here, range(30))


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
