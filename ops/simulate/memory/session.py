"""One session of a client with the server: statement after statement, in and out of transactions, until either side ends it.

asyncpg takes it for its protocol: the methods that open with a word of asyncpg's are those that its Connection and Pool call.
"""

import asyncio
import types
import weakref
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from ops.simulate.loop import PROCESS, SimLoop
from ops.simulate.memory.database import Database
from ops.simulate.memory.errors import cut, error
from ops.simulate.memory.faults import Asked, Strike
from ops.simulate.memory.locks import UPDATE, Wait
from ops.simulate.memory.registry import KNOWN, Answer, Statement, answer_of, find
from ops.simulate.memory.transaction import Transaction

# Seconds of the event loop, as engine/ports.py sets them and Postgres defaults to.
LOCK_TIMEOUT = 8.0
DEADLOCK_TIMEOUT = 1.0
IDLE_IN_TRANSACTION_TIMEOUT = 30.0

CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "LISTEN", "UNLISTEN")


class Settings:
    """What the server says of itself."""

    server_version = "16.0"


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """Everybody else's turn."""
    yield


class Session:
    """A backend, and the connection to it."""

    queries_count = 0

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop, command_timeout: float | None) -> None:
        self.database, self._loop, self._command_timeout = database, loop, command_timeout
        self.pid = database.admit(self)
        self.process = PROCESS.get()  # whose it is; None: of those who watch
        self.transaction: Transaction | None = None
        self._own = Transaction(database, self, alone=False)  # holds the advisory locks of the session itself
        self._advisory = Counter[str]()  # how often it has taken each
        self._begun = False  # by BEGIN
        self._busy = self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        self._idle_since = 0.0
        self._connection: weakref.ref[Any] | None = None

    # ------------------------------------------------------------ what asyncpg asks of its protocol

    def set_connection(self, connection: Any) -> None:
        self._connection = weakref.ref(connection)

    def get_settings(self) -> Settings:
        return Settings()

    def get_server_pid(self) -> int:
        return self.pid

    def is_in_transaction(self) -> bool:
        return self._begun

    def is_connected(self) -> bool:
        return not self._closed

    def _is_cancelling(self) -> bool:
        return False

    async def _wait_for_cancellation(self, timeout: float | None = None) -> float | None:
        return timeout

    async def query(self, text: str, timeout: float | None) -> str:
        return (await self.ask(text, (), timeout)).status

    async def close(self, _timeout: float | None) -> None:
        self._end()

    def abort(self) -> None:
        self._end()

    # ------------------------------------------------------------ a statement

    async def ask(self, text: str, arguments: Sequence[Any], timeout: float | None = None) -> Answer:
        """Send it, and wait for the answer."""
        if self._closed:
            raise asyncpg.InterfaceError("cannot perform operation: connection is closed")
        if self._busy:
            raise asyncpg.InterfaceError("cannot perform operation: another operation is in progress")
        if self._begun and self._loop.time() - self._idle_since > IDLE_IN_TRANSACTION_TIMEOUT:
            self.cut()
            raise asyncpg.InterfaceError("connection is closed")
        self._busy = True
        self.queries_count += 1
        if self.process is not None and (dies := self.process.sends(f"db {text}")) is not None:
            await self._die(dies, text, arguments)
        try:
            return await self._ask(text, arguments, self._command_timeout if timeout is None else timeout)
        finally:
            self._busy = False
            if self._begun:
                self._idle_since = self._loop.time()

    async def _ask(self, text: str, arguments: Sequence[Any], timeout: float | None) -> Answer:
        statement = KNOWN.get(text)
        word = "" if statement is not None else text.split(None, 1)[0].rstrip(";")
        if statement is None and word not in CONTROL:
            statement = find(text)
        strike = None
        if self.database.weather is not None:
            strike = await self._weathered(statement, word, timeout)
        answer, failure = None, None
        try:
            if strike is not None and strike.kind == "error":
                raise error(strike.sqlstate, "as the weather has it")
            answer = self._control(word, text) if statement is None else self._perform(statement, arguments)
            while answer is None and statement is not None:
                await self._wait(timeout)
                answer = self._perform(statement, arguments)
        except Exception as raised:
            if self._closed:
                raise
            self._fail()
            if word == "COMMIT":  # done or refused, it is over
                self.transaction, self._begun = None, False
            if not isinstance(raised, asyncpg.PostgresError):
                raise
            failure = raised
        if strike is not None and strike.kind in ("lost_after", "mute_after"):
            await self._lose(strike, timeout)
        if not self.database.at_once:
            await self._hear()
        if failure is not None:
            raise failure
        assert answer is not None
        return answer

    async def _weathered(self, statement: Statement | None, word: str, timeout: float | None) -> Strike | None:
        """What befalls it; whatever of that comes before it arrives has happened."""
        assert self.database.weather is not None
        writes = statement is not None and statement.writes
        asked = Asked(statement.name if statement is not None else word, writes, word == "COMMIT" or (writes and not self._begun))
        strike = self.database.weather.strike(asked)
        if strike is not None:
            await self._before(strike, timeout)
        return strike

    async def _hear(self) -> None:
        """The answer is on its way."""
        latency = 0.0 if self.database.weather is None else self.database.weather.latency()
        if latency:
            await self._sleep(latency)
        else:
            await _turn()
            if self._closed:
                raise cut()

    async def _die(self, when: str, text: str, arguments: Sequence[Any]) -> None:
        """The process is killed before this statement has left, or after: then it is done, and nobody hears of it."""
        word = text.split(None, 1)[0].rstrip(";")
        if when == "after":
            with suppress(asyncpg.PostgresError):
                _ = self._control(word, text) if word in CONTROL else self._perform(find(text), arguments)
        assert self.process is not None and isinstance(self._loop, SimLoop)
        self._loop.kill(self.process)
        await self._loop.create_future()  # for ever

    def _perform(self, statement: Statement, arguments: Sequence[Any]) -> Answer | None:
        """At this moment. None: it has to wait for a lock, and stands in its queue."""
        tx = self.transaction
        if tx is None:
            tx = Transaction(self.database, self, alone=True)
        elif tx.failed:
            raise error("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        if tx.readonly and statement.writes:
            raise error("25006", "cannot execute this in a read-only transaction")
        if tx.repeatable:
            tx.look()
        try:
            found = statement.answer(tx, *arguments)
        except Wait as wait:
            self.transaction = tx
            tx.stand_by()
            if not statement.fresh:
                tx.look()
            tx.waiting = self.database.locks.wait(tx, wait.key, wait.strength)
            return None
        except Exception:
            self.transaction = tx
            raise
        tx.look_up()
        if not self._begun:
            self.transaction = None
            tx.commit()
        return answer_of(statement, found)

    def _fail(self) -> None:
        """The statement is undone, and with it all that is not committed: asyncpg sends no savepoints here."""
        tx = self.transaction
        if tx is None:
            return
        if tx.waiting is not None:
            waiting, tx.waiting = tx.waiting, None
            self.database.wake(self.database.locks.give_up(waiting))
        tx.roll_back()
        tx.failed = True
        if not self._begun:
            self.transaction = None

    def _control(self, word: str, text: str) -> Answer:
        match word:
            case "BEGIN":
                if "SERIALIZABLE" in text:
                    raise NotImplementedError(f"nobody asks for that: {text}")
                repeatable = "REPEATABLE READ" in text
                self.transaction = Transaction(self.database, self, alone=False, repeatable=repeatable, readonly="READ ONLY" in text)
                self._begun = True
            case "COMMIT" | "ROLLBACK":
                tx, self.transaction, self._begun = self.transaction, None, False
                if tx is not None and tx.failed:
                    word = "ROLLBACK"
                elif tx is not None:
                    (tx.commit if word == "COMMIT" else tx.roll_back)()
            case "LISTEN":
                self.database.ears.setdefault(_channel(text), {})[self.pid] = self
            case "UNLISTEN":
                self.database.ears.get(_channel(text), {}).pop(self.pid, None)
        return Answer([], word)

    # ------------------------------------------------------------ waiting

    async def _wait(self, timeout: float | None) -> None:
        """Until the lock is ours. Raises what the server says where it does not become so."""
        tx = self.transaction
        assert tx is not None and tx.waiting is not None
        waiter = self._waiter = self._loop.create_future()
        timers = [
            self._loop.call_later(DEADLOCK_TIMEOUT, self._look_for_deadlock),
            self._loop.call_later(LOCK_TIMEOUT, self._refuse, error("55P03", "canceling statement due to lock timeout")),
        ]
        if timeout is not None:
            timers.append(self._loop.call_later(timeout, self._refuse, TimeoutError()))
        for holder in self.database.locks.in_the_way(tx.waiting):
            if holder.session is not None:
                holder.session.expire_later()
        try:
            await waiter
        except asyncpg.PostgresError:
            raise
        except BaseException:  # cancelled, or out of time: the server is told to stop, and does
            if not self._closed:
                self._fail()
            raise
        finally:
            self._waiter = None
            for timer in timers:
                timer.cancel()

    def go_on(self) -> None:
        """What we waited for is ours."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _refuse(self, failure: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(failure)

    def _look_for_deadlock(self) -> None:
        tx = self.transaction
        if tx is not None and tx.waiting is not None and self.database.locks.is_deadlocked(tx.waiting):
            self._refuse(error("40P01", "deadlock detected"))

    def expire_later(self) -> None:
        """Somebody waits for us: see to it that he does not wait for ever, should nothing more be asked in this transaction."""
        if self._begun and not self._busy:
            self._loop.call_at(self._idle_since + IDLE_IN_TRANSACTION_TIMEOUT, self._expire, self._idle_since)

    def _expire(self, since: float) -> None:
        if self._begun and not self._busy and self._idle_since == since:
            self.cut()

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until the connection is cut, which is raised."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self.go_on)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    # ------------------------------------------------------------ faults

    async def _before(self, strike: Strike, timeout: float | None) -> None:
        match strike.kind:
            case "slow":
                await self._sleep(strike.seconds)
            case "lost_before" | "mute_before":
                await self._lose(strike, timeout)

    async def _lose(self, strike: Strike, timeout: float | None) -> None:
        """The connection is of no use any more. Raises what the client sees of that."""
        if strike.kind.startswith("mute"):
            self._leave()  # the server notices at some time; here, at once
            await self._sleep(timeout if timeout is not None else 3600.0)
            self.cut()
            raise TimeoutError
        await _turn()
        self.cut()
        raise cut(ConnectionResetError(104, "Connection reset by peer"))

    # ------------------------------------------------------------ the end

    def cut(self) -> None:
        """From outside: the server, or the network, ends it."""
        if self._closed:
            return
        self._closed = True
        self._leave()
        self._refuse(cut())
        connection = self._connection() if self._connection is not None else None
        if connection is not None:
            connection._cleanup()  # noqa: SLF001 - as asyncpg's own protocol does when its transport is lost

    def vanish(self) -> None:
        """The client is dead, and hears of nothing."""
        if not self._closed:
            self._closed = True
            self._leave()

    def _end(self) -> None:
        """By the client's own will."""
        if not self._closed:
            self._closed = True
            self._leave()
            self._refuse(cut())

    def _leave(self) -> None:
        """The server forgets the session; what was not committed is undone."""
        self.database.sessions.pop(self.pid, None)
        for ears in self.database.ears.values():
            ears.pop(self.pid, None)
        self._fail()
        self.transaction, self._begun = None, False
        self._own.roll_back()

    # ------------------------------------------------------------ beside statements

    def hold(self, key: str) -> bool:
        """An advisory lock of the session, to be let go as often as it was taken; False: somebody else has it."""
        if not self._own.lock(("advisory session", key), UPDATE, skip=True):
            return False
        self._advisory[key] += 1
        return True

    def let_go(self, key: str) -> bool:
        """False: it was not ours."""
        if not self._advisory[key]:
            return False
        self._advisory[key] -= 1
        if not self._advisory[key]:
            name = ("advisory session", key)
            del self._own.held[name]
            self.database.wake(self.database.locks.release(self._own, {name: None}))
        return True

    def hear(self, channel: str, payload: str) -> None:
        """A notice is on its way."""
        latency = self.database.weather.latency() if self.database.weather else 0.0
        self._loop.call_later(latency, self._heard, channel, payload)

    def _heard(self, channel: str, payload: str) -> None:
        connection = self._connection() if self._connection is not None else None
        if connection is not None and not self._closed:
            connection._process_notification(self.pid, channel, payload)  # noqa: SLF001 - as asyncpg's own protocol does


def _channel(text: str) -> str:
    return text.split(None, 1)[1].rstrip(";").strip('"')
