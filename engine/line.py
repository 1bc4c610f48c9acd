"""A connection that is kept for as long as there is something to say on it.

Borrowing one anew for each append, and planning the same call anew, would cost a fifth of it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import anyio
import asyncpg

from engine.ports import DATABASE_AWAY

KEEP_SECONDS = 0.05  # of the event loop: unused for so long (or twice), it goes back to the pool
RELEASE_SECONDS = 5.0  # for giving back a connection that may be half open

# Planned once, when nobody knows how long the tables will be: so never by reading one from end to end.
PLAN_ONCE = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"
PLAN_AS_BEFORE = "RESET plan_cache_mode; RESET enable_seqscan"


class Line:
    """A few statements of one transaction each, one user at a time. Nothing needs closing: what is not used goes back by itself."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._kept: Any = None
        self._uses = 0  # of this connection since it was borrowed
        self._used = False  # since the timer last looked
        self._timer: asyncio.TimerHandle | None = None
        self._giving_back: asyncio.Task[None] | None = None

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        """All rows of the statement."""
        return await self._ask("fetch", statement, arguments)  # type: ignore[no-any-return]

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        """The first row of the statement; None where there is none."""
        return await self._ask("fetchrow", statement, arguments)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        """The first value of the first row."""
        return await self._ask("fetchval", statement, arguments)

    async def _ask(self, how: str, statement: str, arguments: Sequence[Any]) -> Any:
        conn, self._kept = self._kept, None
        if conn is None or _is_gone(conn):
            conn, self._uses = await self._pool.acquire(), 0
        self._uses += 1
        try:
            if self._uses == 2:  # for a single one it is not worth the way
                await conn.execute(PLAN_ONCE)
            answer = await getattr(conn, how)(statement, *arguments)
        except TimeoutError:  # whoever does not answer this does not answer that either: nothing is asked of it any more
            _end(conn)
            await self._give_back(conn, self._uses)
            raise
        except BaseException:
            await self._give_back(conn, self._uses)
            raise
        self._kept, self._used = conn, True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEEP_SECONDS, self._look)
        return answer

    def _look(self) -> None:
        self._timer = None
        if self._kept is None:
            return
        if self._used:
            self._used = False
            self._timer = asyncio.get_running_loop().call_later(KEEP_SECONDS, self._look)
        else:
            conn, self._kept = self._kept, None
            self._giving_back = asyncio.create_task(self._give_back(conn, self._uses))  # by then another may be in use

    async def _give_back(self, conn: Any, uses: int) -> None:
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(RELEASE_SECONDS):
                    if uses > 1:
                        await conn.execute(PLAN_AS_BEFORE)
            except DATABASE_AWAY:
                _end(conn)  # cut off in the middle of something: the pool opens another
            await self._pool.release(conn, timeout=RELEASE_SECONDS)


def _end(conn: Any) -> None:
    with suppress(asyncpg.InterfaceError):  # the pool noticed first
        conn.terminate()


def _is_gone(conn: Any) -> bool:
    try:
        return bool(conn.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool noticed first, and took it back
