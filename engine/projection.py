"""What a fold is: pure, from events into documents, one row a key. And what a policy is: pure, from a row's change into commands."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct

from schemas.commands import Command
from schemas.events import Event, Note

S = TypeVar("S", bound=Struct)

Policy = Callable[[S, S], Iterable[Command | Note]]
"""decide(was, now): what the world must now be asked, and what must be told, because this row changed. Live only, never in a replay."""


@dataclass(frozen=True)
class Projection(Generic[S]):
    """A fold of a tenant's log into `(tenant, key) -> document`, in the table `projections.{name}`.

    `keys` names the rows an event concerns; `initial` makes the row that is not there yet; `evolve` folds one event into one row and
    accepts whatever is recorded: twice, late, or of a kind it has never met. A changed fold is a new name.

    `indexes`: by what else than its key a row is looked up, each by its name, as SQL says it after the table's name.

    `by_stream`: each row is made of the events of one stream, so that several processes can fold some streams each.
    """

    name: str
    state: type[S]
    initial: Callable[[str], S]
    keys: Callable[[Event], Iterable[str]]
    evolve: Callable[[S, Event], S]
    indexes: tuple[tuple[str, str], ...] = ()
    by_stream: bool = False
