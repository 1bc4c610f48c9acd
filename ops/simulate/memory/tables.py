"""Rows that are committed, and beside each the one that a transaction has written and nobody else sees."""

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from ops.simulate.memory.transaction import Transaction

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class Slot(Generic[R]):
    """The place of one row, by its key. None: there is no such row."""

    __slots__ = ("committed", "owner", "pending")

    def __init__(self) -> None:
        self.committed: R | None = None
        self.pending: R | None = None  # what `owner` has made of it
        self.owner: Transaction | None = None


class Snapshot:
    """What was committed at a moment: whatever is committed later leaves here what it replaced."""

    __slots__ = ("before", "logs")

    def __init__(self, logs: dict[str, int]) -> None:
        self.before: dict[Slot[Any], Any] = {}
        self.logs = logs  # tenant -> where its log ended


class Table(Generic[K, R]):
    """Rows of all tenants, each by its key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.slots: dict[str, dict[K, Slot[R]]] = {}  # tenant -> key -> slot

    def slot(self, tenant: str, key: K) -> Slot[R] | None:
        part = self.slots.get(tenant)
        return None if part is None else part.get(key)

    def make(self, tenant: str, key: K, row: R) -> Slot[R]:
        """The place of a row that is about to be; `row`, for those who find rows by what is in them."""
        part = self.slots.get(tenant)
        if part is None:
            part = self.slots[tenant] = {}
        slot = part[key] = Slot()
        return slot

    def forget(self, tenant: str, key: K) -> None:
        """Its place is of no use to anybody any more."""
        del self.slots[tenant][key]

    def committed(self, tenant: str) -> Iterator[tuple[K, R]]:
        """Every row, as somebody outside sees it."""
        for key, slot in self.slots.get(tenant, {}).items():
            if slot.committed is not None:
                yield key, slot.committed
