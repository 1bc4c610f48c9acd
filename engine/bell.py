"""Wakes whoever follows the log: at a commit of this process, at a NOTIFY of another's, and after a while in any case."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from engine.ports import DATABASE_AWAY
from schemas.values import TenantId

CHANNEL = "crossdock"  # the payload is "position tenant": as far as was committed
RELEASE_SECONDS = 5.0  # for giving back a connection that may be half open

Wake = Callable[[float], Awaitable[bool]]


class Bell:
    """One listening connection for all tenants of a pool. It is opened when somebody listens, and again when it was lost."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._ears: defaultdict[str, dict[_Ear, None]] = defaultdict(dict)  # in the order of their coming, which a set would not keep
        self._told: dict[str, int] = {}  # tenant -> the position up to which all have been told
        self.rings = 0  # how often it has rung
        self._conn: Any = None
        self._opening = False

    @asynccontextmanager
    async def listen(self, tenant: TenantId) -> AsyncIterator[Wake]:
        """`await wake(seconds)` returns True as soon as something was committed since it last returned, False after so many seconds of
        the event loop. It never depends on being told: the seconds are how late one is at worst.
        """
        ear = _Ear(self)
        self._ears[tenant][ear] = None
        try:
            yield ear.wake
        finally:
            self._ears[tenant].pop(ear, None)
            if not any(self._ears.values()):
                await self._close()

    def ring(self, tenant: str, position: int | None = None) -> None:
        """Something was committed to this tenant's log, up to this position where it is known. Nobody is told of a position twice."""
        if position is not None:
            if position <= self._told.get(tenant, 0):
                return
            self._told[tenant] = position
        self.rings += 1
        for ear in self._ears.get(tenant, ()):
            ear.rung.set()

    async def attend(self) -> None:
        """See to it that somebody listens to the database; what goes wrong is tried again at the next wake."""
        if self._opening or self._conn is not None:
            return
        self._opening = True
        try:
            with suppress(*DATABASE_AWAY):
                conn = await self._pool.acquire()
                try:
                    await conn.add_listener(CHANNEL, self._heard)
                    conn.add_termination_listener(self._lost)
                    self._conn = conn
                finally:
                    if self._conn is not conn:
                        await self._release(conn)
                self._ring_all()  # what was committed while nobody listened
        finally:
            self._opening = False

    def _heard(self, _conn: Any, _pid: int, _channel: str, payload: object) -> None:
        position, tenant = str(payload).split(" ", 1)
        self.ring(tenant, int(position))

    def _lost(self, _conn: Any) -> None:
        self._conn = None
        self._ring_all()

    def _ring_all(self) -> None:
        for tenant in list(self._ears):
            self.ring(tenant)

    async def _close(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await self._release(conn)

    async def _release(self, conn: Any) -> None:
        with anyio.CancelScope(shield=True), suppress(*DATABASE_AWAY):
            try:
                if not conn.is_closed():
                    conn.remove_termination_listener(self._lost)
                    await conn.remove_listener(CHANNEL, self._heard)
            finally:  # whatever came of that: a connection that is not given back is missing for ever
                await self._pool.release(conn, timeout=RELEASE_SECONDS)


class _Ear:
    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self.rung = anyio.Event()

    async def wake(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._bell.attend()
            await self.rung.wait()
        rung = self.rung.is_set()
        if rung:
            self.rung = anyio.Event()
        return rung
