"""Who holds which lock, and who waits: row locks in their four strengths, advisory locks, and deadlocks.

What is held is compatible by Postgres' table (13.3.2 Row-Level Locks). Whoever waits is served in the order of asking. Of Postgres that
is true of advisory locks; of row locks it is one of the orders that may be.
"""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.simulate.memory.transaction import Transaction

# Strengths, and with which of them each conflicts. LOOK asks whether somebody is writing the row, and holds nothing.
LOOK, KEY_SHARE, SHARE, NO_KEY_UPDATE, UPDATE = 0, 1, 2, 4, 8
CONFLICTS = {
    LOOK: NO_KEY_UPDATE | UPDATE,
    KEY_SHARE: UPDATE,
    SHARE: NO_KEY_UPDATE | UPDATE,
    NO_KEY_UPDATE: SHARE | NO_KEY_UPDATE | UPDATE,
    UPDATE: KEY_SHARE | SHARE | NO_KEY_UPDATE | UPDATE,
}


class Wait(Exception):  # noqa: N818 - no error: whoever catches it waits, and begins the statement again
    """A lock is not free."""

    def __init__(self, key: Hashable, strength: int) -> None:
        self.key, self.strength = key, strength


@dataclass(eq=False)
class Waiting:
    """Somebody who is to be told once his lock is his."""

    who: "Transaction"
    key: Hashable
    strength: int
    granted: bool = False


@dataclass
class _Lock:
    held: "dict[Transaction, int]" = field(default_factory=dict)  # in what strengths
    queue: "deque[Waiting]" = field(default_factory=deque)


class Locks:
    """Of one server."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, _Lock] = {}

    def is_free(self, who: "Transaction", key: Hashable, strength: int) -> bool:
        """Whether nobody else holds it in a way that conflicts."""
        lock = self._locks.get(key)
        if lock is None:
            return True
        mask = CONFLICTS[strength]
        return not any(held & mask for holder, held in lock.held.items() if holder is not who)

    def hold(self, who: "Transaction", key: Hashable, strength: int) -> None:
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = _Lock()
        lock.held[who] = lock.held.get(who, 0) | strength

    def wait(self, who: "Transaction", key: Hashable, strength: int) -> Waiting:
        """Stand in the queue."""
        waiting = Waiting(who, key, strength)
        self._locks[key].queue.append(waiting)
        return waiting

    def give_up(self, waiting: Waiting) -> list[Waiting]:
        """Leave the queue. Returns who may go on because of that."""
        lock = self._locks[waiting.key]
        lock.queue.remove(waiting)
        return self._serve(waiting.key, lock)

    def release(self, who: "Transaction", keys: "dict[Hashable, None]") -> list[Waiting]:
        """Give these back. Returns who may go on: in the order of the locks, then of asking."""
        served = []
        for key in keys:
            lock = self._locks.get(key)
            if lock is not None and lock.held.pop(who, None) is not None:
                served += self._serve(key, lock)
        return served

    def _serve(self, key: Hashable, lock: _Lock) -> list[Waiting]:
        served: list[Waiting] = []
        while lock.queue and self.is_free(lock.queue[0].who, key, lock.queue[0].strength):
            waiting = lock.queue.popleft()
            waiting.granted = True
            if waiting.strength != LOOK:
                self.hold(waiting.who, key, waiting.strength)
                waiting.who.held[key] = None
            served.append(waiting)
        if not lock.held and not lock.queue:
            del self._locks[key]
        return served

    def in_the_way(self, waiting: Waiting) -> "Iterator[Transaction]":
        """Whom he waits for: those who hold it against him, and those before him in the queue who will."""
        lock = self._locks[waiting.key]
        mask = CONFLICTS[waiting.strength]
        yield from (holder for holder, held in lock.held.items() if holder is not waiting.who and held & mask)
        for other in lock.queue:
            if other is waiting:
                return
            if other.strength & mask and other.who is not waiting.who:
                yield other.who

    def is_deadlocked(self, waiting: Waiting) -> bool:
        """Whether he waits, over others who wait, for himself."""
        seen: set[int] = set()
        ahead = list(self.in_the_way(waiting))
        while ahead:
            who = ahead.pop()
            if who is waiting.who:
                return True
            if id(who) not in seen and who.waiting is not None:
                seen.add(id(who))
                ahead += self.in_the_way(who.waiting)
        return False
