"""asyncpg's own Connection and Pool, with a session in memory where the protocol would be.

So what is tried in simulation is asyncpg's: its pool, its transactions, its listeners, what it does when a connection goes.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from typing import Any

import asyncpg
from asyncpg import connect_utils

from ops.simulate.memory import copying
from ops.simulate.memory.database import Database
from ops.simulate.memory.session import Session

COMMAND_TIMEOUT = 10.0  # seconds of the event loop; as engine.ports.PostgresDb has it
SIZE = 20  # connections of a pool at most; likewise

_NOWHERE = connect_utils._ConnectionParameters(  # noqa: SLF001 - asyncpg's constructor asks for them
    user="crossdock_engine",
    password=None,
    database="crossdock",
    ssl=None,
    sslmode=None,
    ssl_negotiation=None,  # type: ignore[arg-type]
    server_settings=None,
    target_session_attrs=None,  # type: ignore[arg-type]
    krbsrvname=None,
    gsslib=None,
)


class Connection(asyncpg.Connection):
    """Sends statements to a session instead of a socket; the rest is inherited."""

    __slots__ = ()
    _protocol: Session

    async def _execute(
        self, query: str, args: Sequence[Any], limit: int, timeout: float | None, *, return_status: bool = False, **_: Any
    ) -> Any:
        answer = await self._protocol.ask(query, args, timeout)
        rows = answer.rows[:limit] if limit else answer.rows
        return (rows, answer.status.encode(), True) if return_status else rows

    async def _executemany(self, query: str, args: Iterable[Sequence[Any]], timeout: float | None, *_: Any, **__: Any) -> None:
        """All or none."""
        async with self.transaction():
            for each in args:
                await self._protocol.ask(query, each, timeout)

    async def _get_statement(self, query: str, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"nothing is prepared in memory, and no cursor opened: {query}")

    async def copy_from_query(  # type: ignore[override]
        self,
        query: str,
        *args: Any,
        output: Callable[[bytes], Awaitable[None]],
        timeout: float | None = None,
        format: str = "text",  # noqa: A002 - asyncpg's word
    ) -> str:
        answer = await self._protocol.ask(query, args, timeout)
        await output(copying.binary(answer.rows) if format == "binary" else copying.text(answer.rows))
        return f"COPY {len(answer.rows)}"

    async def copy_to_table(  # type: ignore[override]
        self,
        table_name: str,
        *,
        source: AsyncIterable[bytes],
        columns: Sequence[str],
        schema_name: str,
        timeout: float | None = None,
    ) -> str:
        records = list(copying.read(b"".join([chunk async for chunk in source])))
        return await self._copy_in(schema_name, table_name, columns, records, timeout)

    async def copy_records_to_table(  # type: ignore[override]
        self,
        table_name: str,
        *,
        records: Iterable[Sequence[Any]],
        columns: Sequence[str],
        schema_name: str,
        timeout: float | None = None,
    ) -> str:
        return await self._copy_in(schema_name, table_name, columns, list(records), timeout)

    async def _copy_in(self, schema: str, table: str, columns: Sequence[str], records: Sequence[Any], timeout: float | None) -> str:
        answer = await self._protocol.ask(copying.INTO.format(schema=schema, table=table), (columns, records), timeout)
        return f"COPY {answer.status.split()[-1]}"


class MemoryDb:
    """engine.ports.Db on a database in memory."""

    def __init__(self, database: Database, *, size: int = SIZE, command_timeout: float = COMMAND_TIMEOUT) -> None:
        self.database, self._size, self._command_timeout = database, size, command_timeout

    async def connect(self, *_: object, **__: object) -> Connection:
        """The pool says where to; there is but one place."""
        loop = asyncio.get_running_loop()
        if not self.database.up:
            raise ConnectionRefusedError(111, "Connection refused")
        if self.database.weather is not None and (refusal := self.database.weather.refusal()) is not None:
            raise refusal
        session = Session(self.database, loop, self._command_timeout)
        config = connect_utils._ClientConfiguration(  # noqa: SLF001 - as above
            command_timeout=self._command_timeout,
            statement_cache_size=0,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
        )
        connection = Connection(session, None, loop, ("memory", 0), config, _NOWHERE)  # type: ignore[arg-type]
        session.set_connection(connection)
        return connection

    async def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        return await asyncpg.create_pool(  # noqa: TID251 - this is a Db
            min_size=1, max_size=self._size, reset=_leave_as_it_is, connect=self.connect, connection_class=Connection
        )


async def _leave_as_it_is(_conn: object) -> None:
    """As engine.ports.PostgresDb does."""
