"""What falls due when: a queue that is data, in the order in which things happen."""

from bisect import insort
from datetime import datetime

from msgspec import Struct


class Due(Struct, order=True, frozen=True):
    at: datetime
    seq: int  # unique in its agenda; what was put first happens first
    what: str
    ref: int | str


class Agenda(Struct):
    entries: list[Due] = []  # in their order: moving a few thousand pointers along costs less than keeping a heap that is searched
    seq: int = 0

    def put(self, at: datetime, what: str, ref: int | str) -> None:
        self.seq += 1
        insort(self.entries, Due(at, self.seq, what, ref))

    @property
    def next_at(self) -> datetime | None:
        return self.entries[0].at if self.entries else None

    def pop(self, until: datetime) -> Due | None:
        """The first entry that is due by then, taken off; None if there is none."""
        return self.entries.pop(0) if self.entries and self.entries[0].at <= until else None

    def drop(self, what: str, ref: int | str) -> None:
        """Takes off the earliest entry of that name, if there is one: mostly it is the very first."""
        for n, entry in enumerate(self.entries):
            if entry.ref == ref and entry.what == what:
                del self.entries[n]
                return
