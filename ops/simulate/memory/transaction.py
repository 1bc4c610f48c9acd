"""What one transaction sees, has locked and has written, until it is committed or rolled back.

A statement is a plain function that runs at one moment. Where a lock is not free it raises Wait before it has written anything, and is run
again from the beginning once the lock is its own. As in Postgres, it then still sees what was committed when it began, but of a row
that it has locked, the latest.
"""

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ops.simulate.memory.errors import error
from ops.simulate.memory.locks import LOOK, NO_KEY_UPDATE, UPDATE, Wait, Waiting
from ops.simulate.memory.tables import Slot, Snapshot, Table

if TYPE_CHECKING:
    from ops.simulate.memory.database import Database
    from ops.simulate.memory.events import TenantLog
    from ops.simulate.memory.session import Session

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


class Transaction:
    """`alone`: of one statement, which begins and ends at one moment. Its locks are only written down where it has to wait."""

    def __init__(
        self, database: "Database", session: "Session | None", *, alone: bool, repeatable: bool = False, readonly: bool = False
    ) -> None:
        self.database, self.session, self.alone, self.repeatable, self.readonly = database, session, alone, repeatable, readonly
        self.held: dict[Hashable, None] = {}  # keys of locks, in the order of taking
        self.wanted: list[tuple[Hashable, int]] = []  # by a transaction of one statement, and not written down
        self.written: dict[Slot[Any], tuple[Table[Any, Any], str, Any]] = {}  # in the order of writing
        self.logs: dict[str, TenantLog] = {}  # that have events of ours at their end
        self.notices: dict[tuple[str, str], None] = {}  # channel and payload; the same one twice is told once
        self.snapshot: Snapshot | None = None
        self.waiting: Waiting | None = None
        self.failed = False

    # ------------------------------------------------------------ locks

    def lock(self, key: Hashable, strength: int, *, skip: bool = False) -> bool:
        """Hold it until the end. Raises Wait where somebody else does; with `skip`, says so."""
        if not self.database.locks.is_free(self, key, strength):
            if skip:
                return False
            raise Wait(key, strength)
        if strength != LOOK:
            if self.alone:
                self.wanted.append((key, strength))
            else:
                self.database.locks.hold(self, key, strength)
                self.held[key] = None
        return True

    def stand_by(self) -> None:
        """About to wait: what is locked is held meanwhile, and what is seen stays as it is."""
        for key, strength in self.wanted:
            self.database.locks.hold(self, key, strength)
            self.held[key] = None
        self.wanted.clear()
        self.alone = False

    def look(self) -> None:
        """See from now on only what is committed at this moment."""
        if self.snapshot is None:
            self.snapshot = self.database.take_snapshot()

    def look_up(self) -> None:
        """See what is committed, whenever that was."""
        if self.snapshot is not None and not self.repeatable:
            self.database.drop_snapshot(self.snapshot)
            self.snapshot = None

    # ------------------------------------------------------------ reading

    def get(self, table: Table[K, R], tenant: str, key: K) -> R | None:
        """The row as this statement sees it."""
        slot = table.slot(tenant, key)
        return None if slot is None else self.seen(slot)

    def seen(self, slot: Slot[R]) -> R | None:
        if slot.owner is self:
            return slot.pending
        if self.snapshot is not None and slot in self.snapshot.before:
            return self.snapshot.before[slot]  # type: ignore[no-any-return]
        return slot.committed

    def scan(self, table: Table[K, R], tenant: str) -> Iterator[tuple[K, R]]:
        """Every row, in no order that means anything."""
        for key, slot in table.slots.get(tenant, {}).items():
            row = self.seen(slot)
            if row is not None:
                yield key, row

    def locked(self, table: Table[K, R], tenant: str, key: K, strength: int, *, skip: bool = False) -> R | None:
        """A row that is seen, locked, as it is now. None where it is gone; with `skip`, also where somebody else has it."""
        slot = table.slot(tenant, key)
        if slot is None or self.seen(slot) is None:
            return None
        if not self.lock((table.name, tenant, key), strength, skip=skip):
            return None
        if slot.owner is self:
            return slot.pending
        if self.repeatable and self.snapshot is not None and slot in self.snapshot.before:
            raise error("40001", "could not serialize access due to concurrent update")
        return slot.committed

    def standing(self, table: Table[K, R], tenant: str, key: K) -> R | None:
        """The row that a new one of this key runs into, seen or not. Waits for whoever is about to make, change or delete it."""
        slot = table.slot(tenant, key)
        if slot is None:
            return None
        if slot.owner is self:
            return slot.pending
        if slot.owner is not None:
            self.lock((table.name, tenant, key), LOOK)
        return slot.committed

    # ------------------------------------------------------------ writing

    def put(self, table: Table[K, R], tenant: str, key: K, row: R) -> None:
        """Make or replace a row."""
        slot = table.slot(tenant, key)
        if slot is None or slot.owner is not self:
            self.lock((table.name, tenant, key), UPDATE if slot is None else NO_KEY_UPDATE)
            if slot is None:
                slot = table.make(tenant, key, row)
            self._write(slot, table, tenant, key)
        slot.pending = row

    def delete(self, table: Table[K, R], tenant: str, key: K) -> None:
        slot = table.slot(tenant, key)
        assert slot is not None
        self.lock((table.name, tenant, key), UPDATE)
        if slot.owner is not self:
            self._write(slot, table, tenant, key)
        slot.pending = None

    def _write(self, slot: Slot[Any], table: Table[Any, Any], tenant: str, key: Any) -> None:
        slot.owner = self
        self.written[slot] = (table, tenant, key)

    def notify(self, channel: str, payload: str) -> None:
        """Told to whoever listens, once this is committed."""
        self.notices[channel, payload] = None

    # ------------------------------------------------------------ the end

    def commit(self) -> None:
        snapshots = self.database.snapshots
        for slot, (table, tenant, key) in self.written.items():
            for snapshot in snapshots:
                if snapshot is not self.snapshot:
                    snapshot.before.setdefault(slot, slot.committed)
            slot.committed, slot.pending, slot.owner = slot.pending, None, None
            if slot.committed is None:
                self.database.bury(table, tenant, key, slot)
        for log in self.logs.values():
            log.commit()
        self._end()
        for channel, payload in self.notices:
            self.database.tell(channel, payload)

    def roll_back(self) -> None:
        for slot, (table, tenant, key) in self.written.items():
            slot.pending, slot.owner = None, None
            if slot.committed is None:
                self.database.bury(table, tenant, key, slot)
        for log in self.logs.values():
            log.roll_back()
        self._end()

    def _end(self) -> None:
        if self.snapshot is not None:
            self.database.drop_snapshot(self.snapshot)
            self.snapshot = None
        self.written, self.logs = {}, {}
        if self.held:
            held, self.held = self.held, {}
            self.database.wake(self.database.locks.release(self, held))
