"""Group commit: while one group is on its way, whoever comes gathers in the next.

A task carries the groups for as long as somebody waits, and ends by itself.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio

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
        self._carrier: asyncio.Task[None] | None = None

    async def commit(self, parcel: P) -> A:
        """The answer to this parcel. Who is cancelled leaves the queue, or, once the parcel was sent, waits for the answer first."""
        mine: _Waiting[P, A] = _Waiting(parcel)
        self._queue.append(mine)
        if self._carrier is None:
            self._carrier = asyncio.create_task(self._carry())
        try:
            return await mine.answer
        except asyncio.CancelledError:
            if mine in self._queue:
                self._queue.remove(mine)
            else:
                with anyio.CancelScope(shield=True):
                    await mine.wait_out()
            raise

    async def _carry(self) -> None:
        group: list[_Waiting[P, A]] = []
        try:
            while self._queue:
                group = self._next()
                await self._answer(group)
                await asyncio.sleep(0)  # noqa: TID251 - a turn: who was answered can join the next, and a commit costs the same for one more
        finally:
            self._carrier = None
            for waiting in (*group, *self._queue):  # some are left where the event loop is closing: nobody else cancels a carrier
                waiting.abandon()
            self._queue.clear()

    def _next(self) -> "list[_Waiting[P, A]]":
        group = [self._queue.popleft()]
        weight = self._size(group[0].parcel)
        while self._queue and weight + self._size(self._queue[0].parcel) <= self._limit:
            weight += self._size(self._queue[0].parcel)
            group.append(self._queue.popleft())
        return group

    async def _answer(self, group: "Sequence[_Waiting[P, A]]") -> None:
        try:
            answers = await self._send([waiting.parcel for waiting in group])
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            if len(group) > 1 and self._divides(error):
                for waiting in group:
                    await self._answer([waiting])
            else:
                for waiting in group:
                    waiting.refuse(error)
        else:
            for waiting, answer in zip(group, answers, strict=True):
                waiting.accept(answer)


class _Waiting(Generic[P, A]):
    """A parcel and the answer to it. Futures, not events and scopes: with many callers those cost more than all else here."""

    __slots__ = ("_answered", "_over", "answer", "parcel")

    def __init__(self, parcel: P) -> None:
        self.parcel = parcel
        self.answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()  # cancelled with its caller
        self._answered = False
        self._over: asyncio.Event | None = None  # set with the answer, where the caller was cancelled before

    def accept(self, answer: A) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)
        self._end()

    def refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
        self._end()

    def abandon(self) -> None:
        self.answer.cancel()
        self._end()

    async def wait_out(self) -> None:
        """Until it is answered, although the caller was cancelled."""
        if not self._answered:
            self._over = asyncio.Event()
            await self._over.wait()
        elif not self.answer.cancelled():
            self.answer.exception()  # nobody will ask for it any more

    def _end(self) -> None:
        self._answered = True
        if self._over is not None:
            self._over.set()
