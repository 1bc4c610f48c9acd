"""What OR11 last said of each order. It may be called once a minute only, so what it said is kept for who needs no fresher word."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from schemas.values import Instant

KEPT = 2_000  # orders; some 5 kB each
PATIENCE = 60  # times that somebody comes back for a poll, some seconds apart


class Sightings:
    """Of orders as the last whole poll left them: what that poll does not name has not changed since it was seen."""

    def __init__(self) -> None:
        self._orders: OrderedDict[str, bytes] = OrderedDict()
        self._until: Instant | None = None  # up to then, nothing has changed that was not seen
        self._begun = 0  # polls so far
        self._whole = 0  # the last of them that was whole
        self._waiting: OrderedDict[UUID, tuple[int, int]] = OrderedDict()  # asker -> polls begun when it came, and how often it came

    def begin(self) -> int:
        """A poll reads its first page now; returns which it is."""
        self._begun += 1
        return self._begun

    def polled(self, orders: Mapping[str, bytes], since: Instant, until: Instant, number: int) -> None:
        """A whole list of what changed since. Where it does not join up with the one before, that is forgotten."""
        if self._until is None or since > self._until:
            self._orders.clear()
        self._until, self._whole = until, number
        for order_id, raw in orders.items():
            self.saw(order_id, raw)

    def saw(self, order_id: str, raw: bytes) -> None:
        self._orders[order_id] = raw
        self._orders.move_to_end(order_id)
        while len(self._orders) > KEPT:
            self._orders.popitem(last=False)

    def soon(self, order_id: str, asker: UUID) -> Literal["seen", "wait", "ask"]:
        """Where to hear how it stands: `seen` by a poll that began after the asker first came; `wait` for that poll and come back; `ask`,
        for no poll would show it, or none comes.
        """
        begun, times = self._waiting.pop(asker, (self._begun, 0))
        if order_id not in self._orders or times >= PATIENCE:
            return "ask"
        if self._whole > begun:
            return "seen"
        self._waiting[asker] = (begun, times + 1)
        while len(self._waiting) > KEPT:
            self._waiting.popitem(last=False)
        return "wait"

    def last(self, order_id: str) -> bytes | None:
        """None: not seen, or so long ago that something may have been missed."""
        return self._orders.get(order_id)
