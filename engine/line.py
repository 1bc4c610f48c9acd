"""A connection that is kept for as long as there is something to say on it: borrowing one anew for each append costs a tenth of it."""

import asyncio
from typing import Any

import anyio
import asyncpg

KEEP_SECONDS = 0.05  # of the event loop: unused for so long (or twice), it goes back to the pool
RELEASE_SECONDS = 5.0  # for giving back a connection that may be half open


class Line:
    """One user at a time. Nothing needs closing: what is not used goes back by itself."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._kept: Any = None
        self._used = False  # since the timer last looked
        self._timer: asyncio.TimerHandle | None = None
        self._giving_back: asyncio.Task[None] | None = None

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        """Rows of a statement of its own transaction."""
        conn, self._kept = self._kept, None
        if conn is None or _is_gone(conn):
            conn = await self._pool.acquire()
        try:
            rows = await conn.fetch(statement, *arguments)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._pool.release(conn, timeout=RELEASE_SECONDS)
            raise
        self._kept, self._used = conn, True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEEP_SECONDS, self._look)
        return rows

    def _look(self) -> None:
        self._timer = None
        if self._used and self._kept is not None:
            self._used = False
            self._timer = asyncio.get_running_loop().call_later(KEEP_SECONDS, self._look)
        elif self._kept is not None:
            conn, self._kept = self._kept, None
            self._giving_back = asyncio.create_task(self._pool.release(conn, timeout=RELEASE_SECONDS))


def _is_gone(conn: Any) -> bool:
    try:
        return bool(conn.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool noticed first, and took it back
