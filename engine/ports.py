"""The five ways out: Clock, Ids, Rng, Net, Db. No other module of the product touches time, chance, the network or the database's wire.

With these replaced, the same code runs in virtual time against a simulated world.
"""

import random
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

import aiohttp
import anyio
import asyncpg

from engine.errors import StartupError

# The database is away, or the connection to it is: what was asked may have been done. InternalClientError is asyncpg's own word for a
# connection that was cut in the middle of an exchange.
DATABASE_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

# Of these, what it would say again of the same statement, however long one waits: SQLSTATE classes 22, 23, 42 and 54.
DATABASE_REFUSES = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SyntaxOrAccessError,
    asyncpg.ProgramLimitExceededError,
)

ARRAYS = (  # of which types we send or read any: the array's own number, its element's name and number
    (1000, "bool", 16),
    (1001, "bytea", 17),
    (1005, "int2", 21),
    (1007, "int4", 23),
    (1016, "int8", 20),
    (1185, "timestamptz", 1184),
    (2951, "uuid", 2950),
)


@runtime_checkable
class Clock(Protocol):
    """Time as the product knows it. Input/output time-outs are not its business: they run on the event loop's own clock."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; for durations only."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def loop_seconds(self, seconds: float) -> float:
        """How long these seconds last for the event loop: the same, unless time is accelerated."""
        ...


class Ids(Protocol):
    def new(self) -> uuid.UUID:
        """A fresh id, for what has no identity of its own: a person's action, an engine instance."""
        ...


class Rng(Protocol):
    def uniform(self, low: float, high: float) -> float: ...

    def token(self, size: int) -> bytes:
        """So many bytes that nobody can guess: keys."""
        ...


class Net(Protocol):
    def session(self, **options: Any) -> aiohttp.ClientSession:
        """From which HTTP calls go out, with aiohttp's options; whoever asked for it closes it."""
        ...


class Db(Protocol):
    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """One connection of its own, for listening; the caller closes it."""
        ...

    async def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """A pool, opened; the caller closes it."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))

    def loop_seconds(self, seconds: float) -> float:
        return seconds


class AcceleratedClock:
    """A clock that starts at `start` and runs `speed` times as fast as the machine's: for the demo, the sandbox and tests."""

    def __init__(self, start: datetime, speed: float) -> None:
        self._start, self._speed, self._since = start, speed, time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._since) * self._speed

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(self.loop_seconds(max(0.0, seconds)))

    def loop_seconds(self, seconds: float) -> float:
        return seconds / self._speed


class RandomIds:
    def new(self) -> uuid.UUID:
        return uuid.uuid4()


class SystemRng:
    """The system's own chance."""

    def __init__(self) -> None:
        self._random: random.Random = random.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)


class SeededRng(SystemRng):
    """Chance that repeats itself: for tests, the demo and simulations; its keys protect nobody."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)


class TcpNet:
    """The real network: at most `limit` connections, none of them shared between marketplaces' cookies or redirects."""

    def __init__(self, limit: int = 50) -> None:
        self._limit = limit

    def session(self, **options: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=self._limit, ttl_dns_cache=60), **options)


class PostgresDb:
    """A real Postgres at `url`. Statements end after 10 s, so that a half-open connection cannot hold anything for ever.

    `size`: connections of a pool at most. Under steady load each projection, the log and the bell keep one (engine/line.py), which makes
    ten; what is left is for everybody else, and must not be none.
    """

    def __init__(self, url: str, *, size: int = 20, command_timeout: float = 10.0) -> None:
        self._url, self._size, self._command_timeout = url, size, command_timeout

    def _settings(self) -> Mapping[str, Any]:
        return {
            "command_timeout": self._command_timeout,
            "timeout": 10.0,
            "server_settings": {
                "application_name": "crossdock",
                "jit": "off",  # compiling takes longer than any statement of ours
                "idle_in_transaction_session_timeout": "30000",  # ms; outlasts any transaction of ours many times
                "lock_timeout": "8000",  # ms; below command_timeout, so that the server says why
                "plan_cache_mode": "force_custom_plan",  # fresh projection tables have no statistics; 2.3 x on a rebuild
                "timezone": "UTC",
            },
        }

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        with _told_why():
            conn: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self._url, **self._settings())
        await _teach_arrays(conn)
        return conn

    async def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        with _told_why():
            return await asyncpg.create_pool(
                self._url, min_size=1, max_size=self._size, init=_teach_arrays, reset=_leave_as_it_is, **self._settings()
            )


@contextmanager
def _told_why() -> Iterator[None]:
    """StartupError where nobody lets us in. It never repeats the address, in which a password may stand."""
    try:
        yield
    except ValueError:  # also what asyncpg raises of an address
        raise StartupError("the database's address cannot be read: write it as postgresql://LOGIN@HOST:PORT/NAME") from None
    except TimeoutError:
        raise StartupError("the database does not answer: see that the address is right and the server is up") from None
    except DATABASE_AWAY as error:
        why = getattr(error, "strerror", None) or error
        raise StartupError(f"the database cannot be reached: {why}. See that the address is right and the server is up") from None


async def _teach_arrays(conn: Any) -> None:
    """Asked about an array, asyncpg has every connection look it up in the catalogue, which takes the server longer than all else that a
    connection costs. Those of Postgres' own types are the same everywhere and for ever (pg_type.dat).
    """
    nothing = dict.fromkeys(("basetype", "basetype_name", "range_subtype", "range_subtype_name", "attrtypoids", "attrnames"))
    conn._protocol.get_settings().register_data_types(  # noqa: SLF001 - what it does with the catalogue's answer; there is no other way in
        {
            **nothing,
            "oid": oid,
            "ns": "pg_catalog",
            "name": f"_{name}",
            "kind": b"b",
            "elemtype": element,
            "elemdelim": ",",
            "elemtype_name": name,
        }
        for oid, name, element in ARRAYS
    )


async def _leave_as_it_is(_conn: object) -> None:
    """What a connection needs before its next user: nothing, for nobody sets anything beyond a transaction. It saves a round trip each."""
