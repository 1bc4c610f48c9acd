"""The table of commands that are not answered for, and how its rows are found."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from ops.simulate.memory.tables import Slot, Table


class Command(Struct, frozen=True, kw_only=True, gc=False):
    """A row of crossdock.outbox, without its tenant."""

    command_id: UUID
    target: str
    tag: str
    class_: str
    lane: int
    turn: datetime
    subject: str
    issued_after: int
    nth: int
    body: str
    correlation_id: UUID
    issued_at: datetime
    due_at: datetime
    attempt: int = 0
    epoch: int = 0
    failures: int = 0
    halvings: int = 0
    called_at: datetime | None = None
    unknown_since: datetime | None = None
    state: str = "waiting"
    last_error: str = ""


Slots = dict[UUID, Slot[Command]]


class Outbox(Table[UUID, Command]):
    """What is for one target, and what is of one subject, stands together: neither ever changes."""

    def __init__(self) -> None:
        super().__init__("outbox")
        self.of_target: dict[tuple[str, str], Slots] = {}
        self.of_subject: dict[tuple[str, str], Slots] = {}
        self._shelves: dict[tuple[str, UUID], tuple[str, str]] = {}  # where it stands: its target and subject

    def make(self, tenant: str, key: UUID, row: Command) -> Slot[Command]:
        slot = super().make(tenant, key, row)
        self.of_target.setdefault((tenant, row.target), {})[key] = slot
        self.of_subject.setdefault((tenant, row.subject), {})[key] = slot
        self._shelves[tenant, key] = (row.target, row.subject)
        return slot

    def forget(self, tenant: str, key: UUID) -> None:
        super().forget(tenant, key)
        target, whose = self._shelves.pop((tenant, key))
        del self.of_target[tenant, target][key]
        subject = self.of_subject[tenant, whose]
        del subject[key]
        if not subject:
            del self.of_subject[tenant, whose]
