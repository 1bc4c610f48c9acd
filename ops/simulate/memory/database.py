"""A server and what it keeps, in memory: one process, one thread, everything in an order of its own making.

Committed is what is here when a session ends, whatever becomes of the engine: sessions may be cut, the server restarted, its disk filled.
`copy` is a base backup. The tables are those of the migrations; that they answer as Postgres does is proved statement by statement, side
by side, by tests/simulation/test_memory.py.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from ops.simulate.memory.documents import Documents, Made
from ops.simulate.memory.events import TenantLog
from ops.simulate.memory.locks import Locks, Waiting
from ops.simulate.memory.outbox import Outbox
from ops.simulate.memory.tables import Slot, Snapshot, Table

if TYPE_CHECKING:
    from ops.simulate.memory.faults import Weather
    from ops.simulate.memory.session import Session


class Lease(NamedTuple):
    epoch: int
    holder: UUID | None
    beat: int


class Cursor(NamedTuple):
    cursor: str
    committed_at: datetime


class Key(NamedTuple):
    wrapped: bytes | None  # None: destroyed
    created_at: datetime
    erased_at: datetime | None = None


class Checkpoint(NamedTuple):
    position: int
    swaps: int


class Database:
    """`weather` says what befalls each statement; without it, nothing does. `at_once`: an answer does not even take a turn of the loop."""

    def __init__(self, weather: "Weather | None" = None, *, at_once: bool = False) -> None:
        self.weather, self.at_once = weather, at_once
        self.leases: Table[str, Lease] = Table("leases")
        self.cursors: Table[str, Cursor] = Table("cursors")
        self.keys: Table[str, Key] = Table("keys")
        self.checkpoints: Table[str, Checkpoint] = Table("checkpoints")
        self.calls: Table[tuple[str, str], datetime] = Table("calls")  # of target and endpoint
        self.tiles: Table[tuple[int, int], bytes] = Table("tiles")  # by level and number
        self.outbox = Outbox()
        self.catalogue: Table[str, Made] = Table("catalogue")
        self.logs: dict[str, TenantLog] = {}
        self._begin_sessions()

    def _begin_sessions(self) -> None:
        self.locks = Locks()
        self.sessions: dict[int, Session] = {}  # by process id
        self.ears: dict[str, dict[int, Session]] = {}  # channel -> who listens
        self.snapshots: list[Snapshot] = []
        self._graves: list[tuple[Table[Any, Any], str, Any, Slot[Any]]] = []
        self._pids = 0
        self.up = True

    def log(self, tenant: str) -> TenantLog:
        found = self.logs.get(tenant)
        if found is None:
            found = self.logs[tenant] = TenantLog()
        return found

    # ------------------------------------------------------------ sessions

    def admit(self, session: "Session") -> int:
        """Its process id."""
        self._pids += 1
        self.sessions[self._pids] = session
        return self._pids

    def wake(self, served: Iterable[Waiting]) -> None:
        """Whoever waited for a lock goes on."""
        for waiting in served:
            waiting.who.waiting = None
            if waiting.who.session is not None:
                waiting.who.session.go_on()

    def tell(self, channel: str, payload: str) -> None:
        """NOTIFY, at commit."""
        for session in list(self.ears.get(channel, {}).values()):
            session.hear(channel, payload)

    def stop(self) -> None:
        """An immediate stop: every session is cut, what was committed stays. Nobody is let in until `start`."""
        self.up = False
        for session in list(self.sessions.values()):
            session.cut()

    def start(self) -> None:
        self.up = True

    # ------------------------------------------------------------ what is seen, and what nobody sees any more

    def take_snapshot(self) -> Snapshot:
        snapshot = Snapshot({tenant: log.ends for tenant, log in self.logs.items()})
        self.snapshots.append(snapshot)
        return snapshot

    def drop_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.remove(snapshot)
        if not self.snapshots:
            graves, self._graves = self._graves, []
            for grave in graves:
                self.bury(*grave)

    def bury(self, table: Table[Any, Any], tenant: str, key: Any, slot: Slot[Any]) -> None:
        """A row is gone, and with it its place; but not before those who began earlier have ended."""
        if self.snapshots:
            self._graves.append((table, tenant, key, slot))
        elif slot.committed is None and slot.owner is None and table.slot(tenant, key) is slot:
            table.forget(tenant, key)

    def copy(self) -> "Database":
        """Another server with the same committed rows: a backup, restored. Takes no session along."""
        made = Database(self.weather)
        for name in ("leases", "cursors", "keys", "checkpoints", "calls", "tiles", "outbox"):
            _fill(getattr(made, name), getattr(self, name))
        for name, there in self.catalogue.committed(""):
            table = Documents(name, constraint=there.table.constraint)
            _fill(table, there.table)
            made.catalogue.make("", name, Made(table)).committed = Made(table)
        for tenant, log in self.logs.items():
            fresh = made.log(tenant)
            fresh.begun = log.begun
            for event in log.events[: log.ends]:
                fresh.add(event)
            fresh.ends = log.ends
        return made


def _fill(into: Table[Any, Any], table: Table[Any, Any]) -> None:
    for tenant in table.slots:
        for key, row in table.committed(tenant):
            into.make(tenant, key, row).committed = row
