"""What OR11 last said of each order. It may be called once a minute only, so what it said is kept for who needs no fresher word."""

from collections import OrderedDict
from collections.abc import Mapping

from schemas.values import Instant

KEPT = 2_000  # orders; some 5 kB each


class Sightings:
    """Of orders as the last whole poll left them: what that poll does not name has not changed since it was seen."""

    def __init__(self) -> None:
        self._orders: OrderedDict[str, bytes] = OrderedDict()
        self._until: Instant | None = None  # up to then, nothing has changed that was not seen

    def polled(self, orders: Mapping[str, bytes], since: Instant, until: Instant) -> None:
        """A whole list of what changed since. Where it does not join up with the one before, that is forgotten."""
        if self._until is None or since > self._until:
            self._orders.clear()
        self._until = until
        for order_id, raw in orders.items():
            self.saw(order_id, raw)

    def saw(self, order_id: str, raw: bytes) -> None:
        self._orders[order_id] = raw
        self._orders.move_to_end(order_id)
        while len(self._orders) > KEPT:
            self._orders.popitem(last=False)

    def last(self, order_id: str) -> bytes | None:
        """None: not seen, or so long ago that something may have been missed."""
        return self._orders.get(order_id)
