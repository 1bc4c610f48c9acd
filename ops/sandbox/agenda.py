"""What falls due when: a queue that is data, in the order in which things happen."""

from bisect import bisect_left, insort
from datetime import datetime

from msgspec import Struct


class Due(Struct, order=True, frozen=True):
    at: datetime
    seq: int  # unique in its agenda; what was put first happens first
    what: str
    ref: int | str


class Agenda(Struct):
    entries: list[Due] = []  # in their order: moving a few thousand pointers along costs less than keeping a heap
    seq: int = 0
    named: dict[str, list[Due]] = {}  # the same by what and ref, since most of what is taken off was not the first, or not there

    def put(self, at: datetime, what: str, ref: int | str) -> None:
        self.seq += 1
        due = Due(at, self.seq, what, ref)
        insort(self.entries, due)
        insort(self.named.setdefault(f"{what} {ref}", []), due)

    @property
    def next_at(self) -> datetime | None:
        return self.entries[0].at if self.entries else None

    def pop(self, until: datetime) -> Due | None:
        """The first entry that is due by then, taken off; None if there is none."""
        if not self.entries or self.entries[0].at > until:
            return None
        due = self.entries[0]
        self.drop(due.what, due.ref)
        return due

    def drop(self, what: str, ref: int | str) -> None:
        """Takes off the earliest entry of that name, if there is one."""
        name = f"{what} {ref}"
        if (found := self.named.get(name)) is not None:
            del self.entries[bisect_left(self.entries, found.pop(0))]
            if not found:
                del self.named[name]
