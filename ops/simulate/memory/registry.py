"""Which function answers which statement: by its text, and nothing but its text."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from ops.simulate.memory.rows import Row, row_of

Answering: TypeAlias = Callable[..., Any]
"""Takes the transaction and the statement's arguments. Gives rows, as tuples; or how many there were, where none are returned."""

F = TypeVar("F", bound=Answering)


class Statement(Struct, frozen=True):
    """One that is known."""

    name: str  # as outbox.CLAIM
    answer: Answering
    command: str  # what its status begins with
    row: type[Row]
    writes: bool  # not in a transaction that only reads
    fresh: bool  # sees after a wait what was committed meanwhile: a function of several statements


class Answer(Struct, frozen=True):
    rows: list[Row]
    status: str


class UnknownStatementError(NotImplementedError):
    """The memory is asked what it does not know."""


KNOWN: dict[str, Statement] = {}  # by text
MAKERS: list[Callable[[str], None]] = []  # each makes the statements known that are put together for a text's table, if it is one


def answers(where: ModuleType, constant: str, columns: str = "", *, writes: bool | None = None, fresh: bool = False) -> Callable[[F], F]:
    """Of a constant of that module. `columns` are those of its rows."""

    def known(function: F) -> F:
        register(getattr(where, constant), f"{where.__name__}.{constant}", function, columns, writes=writes, fresh=fresh)
        return function

    return known


def register(text: str, name: str, function: Answering, columns: str = "", *, writes: bool | None = None, fresh: bool = False) -> None:
    command = command_of(text)
    if writes is None:
        writes = command not in {"SELECT", "SET", "RESET"} or " FOR " in text
    KNOWN[text] = Statement(name, function, command, row_of(columns), writes, fresh)


def command_of(text: str) -> str:
    """The verb of the outermost statement."""
    words = _outside(text).split()
    if words[0] in {"CREATE", "DROP"}:
        return f"{words[0]} {next(word for word in words if word in {'TABLE', 'INDEX', 'FUNCTION'})}"
    if words[0] != "WITH":
        return words[0].rstrip(";")
    return next(word for word in words if word in {"SELECT", "INSERT", "UPDATE", "DELETE"})


def _outside(text: str) -> str:
    depth, kept = 0, []
    for character in "\n".join(line.split("--")[0] for line in text.splitlines()):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            kept.append(character)
    return "".join(kept)


def find(text: str) -> Statement:
    """Raises UnknownStatementError, which names it."""
    statement = KNOWN.get(text)
    if statement is None:
        for maker in MAKERS:
            maker(text)
        statement = KNOWN.get(text)
    if statement is None:
        raise UnknownStatementError(f"no function in ops/simulate/memory/answers/ answers this statement: {' '.join(text.split())}")
    return statement


def answer_of(statement: Statement, found: Sequence[tuple[Any, ...]] | int) -> Answer:
    if isinstance(found, int):
        return Answer([], _status(statement.command, found))
    row = statement.row
    rows = [each if type(each) is row else row(each) for each in found]
    return Answer(rows, _status(statement.command, len(rows)))


def _status(command: str, number: int) -> str:
    match command:
        case "INSERT":
            return f"INSERT 0 {number}"
        case "SELECT" | "UPDATE" | "DELETE":
            return f"{command} {number}"
    return command  # of several words, as DROP TABLE
