"""Group commit: while one group is on its way, whoever comes gathers in the next.

Nobody works here but the callers themselves: one of those who wait carries the next group.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

P = TypeVar("P")  # a parcel: what a caller brings
A = TypeVar("A")  # the answer to it


class GroupCommit(Generic[P, A]):
    """Brings parcels to `send` a group at a time, in the order they came.

    `send` gives an answer for each parcel, or raises for all of them; when `divides(error)`, they are sent again one by one, so that only
    the one at fault fails. `size` is the weight of a parcel, `limit` that of a group.
    """

    def __init__(
        self,
        send: Callable[[Sequence[P]], Awaitable[Sequence[A]]],
        divides: Callable[[Exception], bool],
        *,
        size: Callable[[P], int],
        limit: int,
    ) -> None:
        self._send, self._divides, self._size, self._limit = send, divides, size, limit
        self._queue: deque[_Waiting[P, A]] = deque()  # not yet sent
        self._carried = False  # one of the callers carries a group, or is about to
        self._crowded = False  # lately there was more than one caller at a time

    async def commit(self, parcel: P) -> A:
        """The answer to this parcel. Who is cancelled leaves the queue, or, once the parcel was sent, waits for the answer first."""
        mine: _Waiting[P, A] = _Waiting(parcel)
        self._queue.append(mine)
        if self._carried:
            await self._wait(mine)
        else:
            self._carried = mine.carries = True
            if self._crowded:
                await anyio.lowlevel.cancel_shielded_checkpoint()  # those who were answered just now may have more to bring
        if mine.carries:
            await self._carry()
        assert mine.answer is not None
        if isinstance(mine.answer, Exception):
            raise mine.answer
        return mine.answer

    async def _wait(self, mine: "_Waiting[P, A]") -> None:
        mine.woken = woken = anyio.Event()
        try:
            await woken.wait()
        except anyio.get_cancelled_exc_class():
            if mine in self._queue:
                self._queue.remove(mine)
                if mine.carries:
                    self._hand_over()
            else:
                with anyio.CancelScope(shield=True):
                    await woken.wait()
            raise

    async def _carry(self) -> None:
        group = self._next()
        try:
            await self._answer(group)
        finally:
            self._crowded = len(group) > 1 or bool(self._queue)
            for waiting in group:
                if waiting.woken:
                    waiting.woken.set()
            self._hand_over()  # last, so that those who were answered can join: a commit costs the same for one more

    def _hand_over(self) -> None:
        self._carried = bool(self._queue)
        if self._queue:
            first = self._queue[0]
            first.carries = True
            if first.woken:
                first.woken.set()

    def _next(self) -> "list[_Waiting[P, A]]":
        group = [self._queue.popleft()]
        weight = self._size(group[0].parcel)
        while self._queue and weight + self._size(self._queue[0].parcel) <= self._limit:
            weight += self._size(self._queue[0].parcel)
            group.append(self._queue.popleft())
        return group

    async def _answer(self, group: "Sequence[_Waiting[P, A]]") -> None:
        try:
            with anyio.CancelScope(shield=True):  # it goes to its end, whoever is cancelled
                answers: Sequence[A | Exception] = await self._send([waiting.parcel for waiting in group])
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            if len(group) > 1 and self._divides(error):
                for waiting in group:
                    await self._answer([waiting])
                return
            answers = [error] * len(group)
        for waiting, answer in zip(group, answers, strict=True):
            waiting.answer = answer


class _Waiting(Generic[P, A]):
    __slots__ = ("answer", "carries", "parcel", "woken")

    def __init__(self, parcel: P) -> None:
        self.parcel = parcel
        self.woken: anyio.Event | None = None  # by an answer, or to carry; None: never waited
        self.answer: A | Exception | None = None
        self.carries = False  # the group that it is first in
