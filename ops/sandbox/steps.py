"""A clock that is moved by hand: nothing happens until somebody says how far."""

import heapq
from datetime import datetime, timedelta

import anyio


class SteppedClock:
    """Stands still between two moves. Whoever sleeps wakes when it has been moved past their time."""

    def __init__(self, start: datetime) -> None:
        self._start, self._now = start, start
        self._sleeping: list[tuple[datetime, int, anyio.Event]] = []
        self._sleepers = 0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return await anyio.lowlevel.checkpoint()
        self._sleepers += 1
        woken = anyio.Event()
        heapq.heappush(self._sleeping, (self._now + timedelta(seconds=seconds), self._sleepers, woken))
        return await woken.wait()

    def loop_seconds(self, seconds: float) -> float:
        return seconds

    def move(self, until: datetime) -> None:
        self._now = max(self._now, until)
        while self._sleeping and self._sleeping[0][0] <= self._now:
            heapq.heappop(self._sleeping)[2].set()
