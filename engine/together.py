"""One reading for all who ask for the same at the same moment."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import anyio

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")

PATIENCE = 1.0  # seconds of the event loop to wait for somebody else's reading; its connection may not answer any more


class Together(Generic[K, A]):
    """Who asks while the same is being read waits for what is found. Where nothing comes of that, each reads by himself."""

    def __init__(self) -> None:
        self._under_way: dict[K, _Reading[A]] = {}

    def __contains__(self, key: K) -> bool:
        """Whether it is being read."""
        return key in self._under_way

    async def read(self, key: K, work: Callable[[], Awaitable[A]]) -> A:
        """What the work finds, be it begun by this caller or by another one before."""
        under_way = self._under_way.get(key)
        if under_way is not None:
            with anyio.move_on_after(PATIENCE):
                await under_way.over.wait()
            for answer in under_way.found:
                return answer
            return await work()
        mine = self._under_way[key] = _Reading()
        try:
            answer = await work()
            mine.found = (answer,)
            return answer
        finally:
            del self._under_way[key]
            mine.over.set()


class _Reading(Generic[A]):
    def __init__(self) -> None:
        self.found: tuple[A, ...] = ()  # one, or none: it failed, or whoever read was cancelled
        self.over = anyio.Event()
