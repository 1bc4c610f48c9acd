"""Where an order is found without leafing through all of them: by state, by its last change, by what it is called."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from ops.sandbox.mirakl.sale import Order

T = TypeVar("T", int, tuple[datetime, int])


class Book(Struct):
    """Orders are held by their numbers, which count up in the order of their creation; those that are hidden are in no list."""

    ids: list[str] = []  # of all; number 1 comes first
    shown: list[int] = []  # sorted, as are the others
    by_state: dict[str, list[int]] = {}
    by_update: list[tuple[datetime, int]] = []
    by_reference: dict[str, list[int]] = {}  # the seller's
    in_trouble: list[int] = []  # with an open incident, hidden or not
    debited: list[int] = []  # hidden or not
    by_commercial_id: dict[str, list[str]] = {}
    of_line: dict[str, str] = {}  # order line -> order

    def add(self, order: Order) -> None:
        self.ids.append(order.id)
        assert len(self.ids) == order.number
        self.by_commercial_id.setdefault(order.commercial_id, []).append(order.id)
        self.of_line.update({line.id: order.id for line in order.lines})
        self._enter(order)

    def _enter(self, order: Order) -> None:
        insort(self.shown, order.number)
        insort(self.by_state.setdefault(order.state, []), order.number)
        insort(self.by_update, (order.updated_at, order.number))

    def touch(self, order: Order, at: datetime) -> None:
        """The order has changed."""
        was = order.updated_at
        order.updated_at, order.revision = at, order.revision + 1
        if not order.hidden and at != was:
            _remove(self.by_update, (was, order.number))
            insort(self.by_update, (at, order.number))

    def move(self, order: Order, state: str) -> None:
        was, order.state = order.state, state
        if not order.hidden and state != was:
            _remove(self.by_state[was], order.number)
            insort(self.by_state.setdefault(state, []), order.number)

    def hide(self, order: Order, hidden: bool) -> None:
        if hidden and not order.hidden:
            _remove(self.shown, order.number)
            _remove(self.by_state[order.state], order.number)
            _remove(self.by_update, (order.updated_at, order.number))
        elif order.hidden and not hidden:
            self._enter(order)
        order.hidden = hidden

    def trouble(self, order: Order) -> None:
        """An incident was opened on it, or is over."""
        is_, was = any(line.incident for line in order.lines), order.number in self.in_trouble
        if is_ and not was:
            insort(self.in_trouble, order.number)
        elif was and not is_:
            _remove(self.in_trouble, order.number)

    def paid(self, order: Order) -> None:
        insort(self.debited, order.number)

    def refer(self, order: Order, reference: str | None) -> None:
        if order.seller_reference:
            self.by_reference[order.seller_reference].remove(order.number)
        order.seller_reference = reference
        if reference:
            insort(self.by_reference.setdefault(reference, []), order.number)

    def in_states(self, states: Iterable[str]) -> list[int]:
        return sorted(number for state in set(states) for number in self.by_state.get(state, ()))

    def updated(self, since: datetime | None, until: datetime | None) -> list[int]:
        """Numbers of those whose last change lies between the two, both included; sorted."""
        first = 0 if since is None else bisect_left(self.by_update, (since, 0))
        last = len(self.by_update) if until is None else bisect_left(self.by_update, (until, len(self.ids) + 1))
        return sorted(number for _, number in self.by_update[first:last])


def _remove(kept: list[T], value: T) -> None:
    del kept[bisect_left(kept, value)]  # it is there
