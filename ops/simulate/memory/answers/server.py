"""What is asked of the server itself: settings, its migrations, what the engine's login may do, whether it is there."""

from functools import partial
from hashlib import sha256
from typing import Any

from engine import line, migrate, runner
from ops.simulate.memory.errors import error
from ops.simulate.memory.registry import answers, register
from ops.simulate.memory.transaction import Transaction


@answers(line, "PLAN_ONCE", writes=False)
def plan_once(_: Transaction) -> int:
    """There is nothing to plan."""
    return 0


@answers(line, "PLAN_AS_BEFORE", writes=False)
def plan_as_before(_: Transaction) -> int:
    return 0


@answers(runner, "WAIT_LONG", writes=False)
def wait_long(_: Transaction) -> int:
    """A table is made in no time."""
    return 0


@answers(runner, "WAIT_AS_BEFORE", writes=False)
def wait_as_before(_: Transaction) -> int:
    return 0


@answers(migrate, "IS_MIGRATED", "?column?")
def is_migrated(_: Transaction) -> list[tuple[bool]]:
    """From the beginning: the tables are those of every migration in the directory."""
    return [(True,)]


@answers(migrate, "APPLIED", "name sha256")
def applied(_: Transaction) -> list[tuple[str, str]]:
    return [(path.name, sha256(path.read_bytes()).hexdigest()) for path in sorted(migrate.MIGRATIONS.glob("*.sql"))]


def _refuse(_: Transaction, *, what: str) -> int:
    raise error("42501", f"permission denied: {what}")


def _undone(_: Transaction) -> int:
    raise error("22012", "division by zero")


def _allow(_: Transaction, *, found: Any) -> Any:
    return found


register("SELECT 1", "ops.service pulse", partial(_allow, found=[(1,)]), "?column?")
for _what, _text in migrate.FORBIDDEN.items():
    register(_text + migrate.UNDO, f"engine.migrate.FORBIDDEN {_what}", partial(_refuse, what=_what))
for _what, _text in migrate.NEEDED.items():
    register(_text + migrate.UNDO, f"engine.migrate.NEEDED {_what}", _undone)
