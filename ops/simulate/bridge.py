"""Real asyncpg on a real Postgres inside the virtual-time loop: what the database answers is the database's own, when it arrives is not.

A request is written to a blocking socket and its whole answer read at once; only its delivery waits, for a delay drawn from the seed. So
one session works at a time, and in the same order in every run. A statement that waits for another session's lock (pg_blocking_pids tells)
is parked until that session has gone on. News (NOTIFY) is fetched from those who listen right after each transaction that may have
sent some.
"""

import asyncio
import contextvars
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from ops.simulate.loop import PROCESS, Process, SimLoop

Fate = Literal["", "reset_before", "reset_after", "hole", "serialization", "deadlock", "full"]
REFUSALS = {  # what the server says instead of doing it
    "serialization": (b"40001", b"could not serialize access"),
    "deadlock": (b"40P01", b"deadlock detected"),
    "full": (b"53100", b"could not extend file: no space left on device"),
}
HALF_OPEN = 30.0  # seconds of the loop, after which the server gives up a session whose client it cannot reach (PostgresDb says so)
LATENCY = (0.0002, 0.003)  # seconds of the loop, for a request and its answer together
GLANCE = 0.008  # real seconds without an answer, after which it may be that a lock is waited for
REAPED_WITHIN = 5.0  # real seconds
PROTOCOL, CANCEL = 196608, 80877102
CHANGES = (b"INSERT", b"UPDATE", b"DELETE", b"CREATE", b"ALTER", b"DROP")  # what changes rows also says how many
NOISY = (b"crossdock.append_", b"pg_notify", b"notify ")  # statements that may send news
ANSWERS = {b"P": b"1", b"B": b"2", b"C": b"3", b"D": b"Tn", b"E": b"CIs"}  # the last message that answers each; an error answers all


class HopelessError(Exception):
    """Sessions wait for each other's locks in a ring, and would for ever."""


class Bridge:
    """The way from one play to one Postgres server. `fate` is asked for each request, by session."""

    def __init__(self, loop: SimLoop, url: str, seed: int, *, latency: tuple[float, float] = LATENCY) -> None:
        self.loop, self._chance, self._latency = loop, random.Random(f"database {seed}"), latency
        self.address = address_of(url)
        self.monitor = Monitor(url)
        self._sessions: dict[Session, None] = {}
        self._parked: list[Session] = []
        self.fate: Callable[[Session, bytes], Fate] = lambda _session, _data: ""
        self.seen: Callable[[str, int, int], None] = lambda _what, _connection, _size: None
        self.connections = self.requests = self.waits = 0
        self.rung = False  # there may be news
        self.shut = False  # nobody gets in: the server is being started again
        loop.wires.append(self)

    def carries(self, address: object) -> bool:
        return bool(address == self.address)

    def answers_within(self, latency: tuple[float, float]) -> None:
        """Seconds of the loop: at least, at most."""
        self._latency = latency

    def delay(self) -> float:
        return self._chance.uniform(*self._latency)

    async def listen(self, factory: Any, host: str, port: int) -> Any:
        raise NotImplementedError

    async def connect(self, factory: Callable[[], asyncio.BaseProtocol], address: Any) -> tuple[asyncio.Transport, Any]:
        await self.loop.pass_time(self.delay())
        if self.shut:
            raise ConnectionRefusedError(111, "the database is not up")
        self.connections += 1
        protocol = factory()
        session = Session(self, self.connections, address, protocol)
        self._sessions[session] = None
        protocol.connection_made(session)
        return session, protocol

    def close(self) -> None:
        """Whatever is still connected is cut."""
        self._end(list(self._sessions))
        self.monitor.close()

    # ------------------------------------------------------------ sessions that end

    def cut(self, process: Process) -> None:
        self._end([session for session in self._sessions if session.process is process])
        self.settle()

    def drop_all(self) -> None:
        """As when the server is stopped at once: every session is lost, none of their transactions is committed."""
        sessions = list(self._sessions)
        self._end(sessions)
        for session in sessions:
            session.lose(ConnectionResetError(104, "the database went away"))

    def _end(self, sessions: "list[Session]") -> None:
        """Close them, and wait until the server has noticed: what they held is free then."""
        for session in sessions:
            self._sessions.pop(session, None)
            if session in self._parked:
                self._parked.remove(session)
            session.closed = True
            session.socket.close()
        self.monitor.reap([session.pid for session in sessions if session.pid])

    def leave(self, session: "Session") -> None:
        if session in self._sessions:
            self._end([session])
            self.settle()

    # ------------------------------------------------------------ locks and news

    def park(self, session: "Session") -> None:
        self.waits += 1
        self._parked.append(session)
        waiting = {each.pid for each in self._parked}
        ahead = [set(self.monitor.blockers(each.pid)) for each in self._parked]
        if all(pids and pids <= waiting for pids in ahead):  # whom nobody blocks has its lock, and only has not answered yet
            raise HopelessError(f"{len(waiting)} sessions wait for each other: {[each.doing[:80] for each in self._parked]}")

    def is_blocked(self, session: "Session") -> bool:
        return bool(session.pid and self.monitor.blockers(session.pid))

    def settle(self) -> None:
        """Let those go on who waited for what is free now, the longest wait first; then tell the news, theirs too: they may have been
        quicker than anybody who asks for it."""
        moved = True
        while moved and self._parked:
            moved = False
            for session in list(self._parked):
                if session in self._parked and not self.is_blocked(session):
                    self._parked.remove(session)
                    session.pump()
                    moved = True
        if self.rung:
            self.rung = False
            self.spread_news()

    def spread_news(self) -> None:
        for session in list(self._sessions):
            if session.listens and not session.wanted and not session.in_transaction and not session.swallows:
                session.fetch_news()

    def cancel(self, pid: int) -> None:
        """What a cancel request does: it finds the session waiting for a lock, or too late."""
        for session in list(self._parked):
            if session.pid == pid:
                self._parked.remove(session)
                self.monitor.query(f"SELECT pg_cancel_backend({pid})")
                session.pump(to_the_end=True)
        self.settle()


class Session(asyncio.Transport):
    """One connection to the server, as asyncpg's transport."""

    def __init__(self, bridge: Bridge, number: int, address: Any, protocol: Any) -> None:
        super().__init__({"peername": address, "socket": None})
        self._bridge, self._loop, self.number, self._protocol = bridge, bridge.loop, number, protocol
        self._context: Context = contextvars.copy_context()
        self.process = PROCESS.get()
        self.socket = connected(bridge.address)
        # By the kernel: Python's own time-out would cost a call of it before each other one.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, int(GLANCE * 1e6)))
        self.pid = 0
        self.closed = self._lost = self.swallows = False
        self.listens = self.in_transaction = False
        self.wanted: deque[bytes] = deque()  # what ends each answer that is still to come: any of these kinds of message
        self.doing = b""  # the statement that is asked
        self._within: dict[str, None] = {}  # statements of the transaction
        self._texts: dict[bytes, bytes] = {}  # prepared statement -> its text
        self._rings = False  # the transaction may have sent some
        self._owed: list[bytes] = []  # answers since the last sync, of which a flush asks for
        self._begun = self._changes = False
        self._outgoing = self._incoming = b""
        self._answer: list[bytes] = []
        self._latest = 0.0
        self._inbox: deque[bytes] = deque()  # on its way to the client

    # ------------------------------------------------------------ as a transport

    def is_closing(self) -> bool:
        return self.closed

    def get_protocol(self) -> Any:
        return self._protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is always room."""

    def pause_reading(self) -> None:
        """What was answered is here already."""

    def resume_reading(self) -> None:
        """Likewise."""

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def abort(self) -> None:
        if self.closed:
            return
        if self.swallows:  # the server is not told either: what is open there stays open
            self.closed = True
            self._loop.call_later(HALF_OPEN, self._bridge.leave, self, context=contextvars.Context())
        else:
            self._bridge.leave(self)
        self.lose(None)

    close = abort

    def write(self, data: Any) -> None:
        if self.closed or (self.process is not None and not self.process.alive):
            return
        data, introduces = bytes(data), not self._begun
        if self._read_requests(data):
            return
        dies = self.process.sends(f"db {self._called()}") if self.process is not None and self.wanted else None
        if dies == "before":
            self._loop.kill(self.process)  # type: ignore[arg-type]
            return
        fate = self._bridge.fate(self, data) if self.wanted else ""
        if fate == "reset_before":
            self._bridge.leave(self)
            self.lose(ConnectionResetError(104, "reset"))
            return
        if fate in REFUSALS and not introduces and len(self.wanted) == 1 and b"Z" in self.wanted[0]:
            self._refuse(*REFUSALS[fate])
            return
        self.swallows |= fate == "hole"
        if not self.swallows:
            self.socket.sendall(data)
        self._bridge.requests += 1
        self._bridge.seen("db", self.number, 0 if introduces else len(data))  # a database's name is no part of what happens
        if fate == "reset_after":
            self.pump(deliver=False)
            self._bridge.leave(self)
            self.lose(ConnectionResetError(104, "reset"))
            return
        if not self.swallows:
            self.pump(deliver=dies != "after", unless_changed=dies == "changed")
        if dies == "after" or (dies == "changed" and self.has_changed):
            self._loop.kill(self.process)  # type: ignore[arg-type]
        self._bridge.settle()

    def _called(self) -> str:
        """What is asked; of a commit, what it is that it makes last: what was written."""
        called = self.doing.decode(errors="replace")
        if called.startswith("BEGIN"):
            self._within.clear()
        elif called.startswith("COMMIT"):
            return f"{called} of {'; '.join(self._within)}"
        elif self.in_transaction and (not called.lstrip().startswith("SELECT") or "crossdock.append_" in called):
            self._within[called] = None
        return called

    def _refuse(self, code: bytes, text: bytes) -> None:
        """As if the server had: nothing is done, and an open transaction can only be rolled back."""
        self.wanted.clear()
        fields = b"SERROR\0VERROR\0C" + code + b"\0M" + text + b"\0\0"
        ready = b"Z" + struct.pack("!i", 5) + (b"E" if self.in_transaction else b"I")
        self._bridge.seen("refusal", self.number, 0)
        self._deliver(b"E" + struct.pack("!i", len(fields) + 4) + fields + ready)

    # ------------------------------------------------------------ what is asked

    def _read_requests(self, data: bytes) -> bool:
        """Find out what is to be answered, and by what. True where nothing goes to the server as it is."""
        self._outgoing += data
        while True:
            head = 1 if self._begun else 0
            if len(self._outgoing) < head + 4:
                return False
            length = struct.unpack_from("!i", self._outgoing, head)[0] + head
            if len(self._outgoing) < length:
                return False
            message, self._outgoing = self._outgoing[:length], self._outgoing[length:]
            if not self._begun:
                self._begun = True
                code = struct.unpack_from("!i", message, 4)[0]
                if code == CANCEL:
                    self._bridge.cancel(struct.unpack_from("!i", message, 8)[0])
                    self._bridge.leave(self)
                    self.lose(None)
                    return True
                assert code == PROTOCOL, "the bridge speaks no TLS"
                self.wanted.append(b"Z")
            elif self._read_request(message[:1], message[5:]):
                return True

    def _read_request(self, kind: bytes, body: bytes) -> bool:
        match kind:
            case b"X":
                self.abort()
                return True
            case b"Q":
                self._statement(b"", body)
                self._rings |= is_noisy(body)
                self.wanted.append(b"ZG")  # G: it wants to be given a copy
            case b"P":
                name, _, text = body.partition(b"\0")
                self._statement(name, text)
            case b"B":
                name = body.split(b"\0", 2)[1]
                self.doing = self._texts.get(name, b"")
                self._rings |= is_noisy(self.doing)
            case b"H":
                self.wanted.extend(self._owed)
                self._owed.clear()
            case b"S" | b"c" | b"f":
                self._owed.clear()
                self.wanted.append(b"Z")
            case b"p":
                self.wanted.append(b"Z")
        if kind in ANSWERS:
            self._owed.append(ANSWERS[kind])
        return False

    def _statement(self, name: bytes, text: bytes) -> None:
        self.doing = self._texts[name] = text
        small = text[:20].lower()
        if small.startswith(b"listen"):
            self.listens = True
        elif small.startswith(b"unlisten"):
            self.listens = False

    # ------------------------------------------------------------ what is answered

    @property
    def has_changed(self) -> bool:
        """Whether the last request has, for good."""
        return self._changes and not self.in_transaction

    def pump(self, *, deliver: bool = True, to_the_end: bool = False, unless_changed: bool = False) -> None:
        """Read until all is answered that was asked; or park, if it waits for somebody else."""
        self._changes = False
        while self.wanted:
            try:
                data = self.socket.recv(1 << 16)
            except BlockingIOError:
                if not to_the_end and self._bridge.is_blocked(self):
                    self._bridge.park(self)
                    return
                continue
            if not data:
                self._bridge.leave(self)
                self.lose(ConnectionResetError(104, "the server hung up"))
                return
            self._take(data)
        answer, self._answer = b"".join(self._answer), []
        if answer and deliver and not (unless_changed and self.has_changed):
            self._deliver(answer)
        if self._rings and not self.in_transaction:
            self._rings, self._bridge.rung = False, True

    def fetch_news(self) -> None:
        """Ask for nothing: what comes before the answer is news."""
        self.socket.sendall(b"S\0\0\0\4")
        self.wanted.append(b"Z")
        began = time.perf_counter()
        while self.wanted:
            try:
                data = self.socket.recv(1 << 16)
            except BlockingIOError:
                if time.perf_counter() - began > REAPED_WITHIN:
                    raise
                continue
            if not data:
                self._bridge.leave(self)
                self.lose(ConnectionResetError(104, "the server hung up"))
                return
            self._take(data)
        news = b"".join(message for message in self._answer if message[:1] == b"A")
        self._answer = []
        if news:
            self._deliver(news)

    def _take(self, data: bytes) -> None:
        self._incoming += data
        at, have = 0, len(self._incoming)
        while have - at >= 5:
            length = struct.unpack_from("!i", self._incoming, at + 1)[0] + 1
            if have - at < length:
                break
            message = self._incoming[at : at + length]
            at += length
            kind = message[:1]
            if kind == b"K":
                self.pid = struct.unpack_from("!i", message, 5)[0]
            if kind == b"C":
                self._changes |= is_change(message[5:-1], self.doing)
            if kind == b"s":  # asked for one row, it does not say what it has done; but a row there is
                self._changes |= is_change(b"UPDATE 1" if b"UPDATE" in self.doing or b"INSERT" in self.doing else b"", self.doing)
            if kind == b"Z":
                self.in_transaction = message[5:6] != b"I"
            self._answered(kind, message)
            self._answer.append(message)
        self._incoming = self._incoming[at:]

    def _answered(self, kind: bytes, message: bytes) -> None:
        if not self.wanted:
            return
        if kind == b"E":  # answers everything up to the next sync
            while self.wanted and b"Z" not in self.wanted[0]:
                self.wanted.popleft()
        elif kind == b"R":
            if struct.unpack_from("!i", message, 5)[0] not in (0, 12):
                self.wanted.popleft()  # it wants to be told a password first
        elif kind in self.wanted[0]:
            self.wanted.popleft()

    def _deliver(self, data: bytes) -> None:
        self._latest = max(self._loop.time() + self._bridge.delay(), self._latest)
        self._inbox.append(data)
        self._loop.call_at(self._latest, self._arrive, context=self._context)

    def _arrive(self) -> None:
        data = self._inbox.popleft()
        if not self.closed:
            self._bridge.seen("answer", self.number, len(data))
            self._protocol.data_received(data)

    def lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._protocol.connection_lost, error, context=self._context)


def is_change(done: bytes, statement: bytes) -> bool:
    """Whether the server says, of what it has done, that something is otherwise now."""
    word, _, number = done.partition(b" ")
    return word == b"COMMIT" or b"crossdock.append_" in statement or (word in CHANGES and number.split()[-1:] != [b"0"])


def is_noisy(text: bytes) -> bool:
    """Whether a statement may send news."""
    small = text.lower()
    return any(word in small for word in NOISY)


# ---------------------------------------------------------------- the server, from beside


def address_of(url: str) -> Any:
    """What asyncpg asks the loop to connect to: the path of a socket, or host and port."""
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    host = asked["host"][0] if "host" in asked else parts.hostname or "localhost"
    port = parts.port or 5432
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def connected(address: Any) -> socket.socket:
    if isinstance(address, str):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.connect(address)
    else:
        made = socket.create_connection(address)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class Monitor:
    """A session beside the play, by a login that needs no password: who waits for whom, and who is still there."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = connected(address_of(url))
        self._buffer = b""
        user, database = unquote(parts.username or "postgres"), unquote(parts.path.lstrip("/")) or "postgres"
        told = b"user\0" + user.encode() + b"\0database\0" + database.encode() + b"\0\0"
        self._socket.sendall(struct.pack("!ii", len(told) + 8, PROTOCOL) + told)
        self._rows()

    def close(self) -> None:
        self._socket.close()

    def query(self, sql: str) -> list[str]:
        """The first column of each row."""
        told = sql.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!i", len(told) + 4) + told)
        return self._rows()

    def blockers(self, pid: int) -> list[int]:
        """Sessions whose locks that one waits for."""
        [found] = self.query(f"SELECT array_to_string(pg_blocking_pids({pid}), ',')")
        return [int(each) for each in found.split(",") if each]

    def reap(self, pids: list[int]) -> None:
        """Wait until these sessions are no more; who sleeps on a lock does not notice that nobody is there, and is told."""
        if not pids:
            return
        these, tries, began = ",".join(map(str, pids)), 0, time.perf_counter()
        while self.query(f"SELECT pid FROM pg_stat_activity WHERE pid IN ({these}) ORDER BY pid"):  # noqa: S608 - numbers
            tries += 1
            if tries == 4:
                self.query(f"SELECT pg_terminate_backend(pid) FROM unnest(ARRAY[{these}]) pid ORDER BY 1")  # noqa: S608 - numbers
            if time.perf_counter() - began > REAPED_WITHIN:
                raise TimeoutError("sessions of a dead process do not end")
            time.sleep(0.0003)

    def _rows(self) -> list[str]:
        rows: list[str] = []
        while True:
            kind, body = self._message()
            if kind == b"D":
                length = struct.unpack_from("!i", body, 2)[0]
                rows.append(body[6 : 6 + length].decode() if length >= 0 else "")
            elif kind == b"E":
                raise RuntimeError(body.replace(b"\0", b" ").decode(errors="replace"))
            elif kind == b"R" and struct.unpack_from("!i", body)[0] != 0:
                raise RuntimeError("the simulator's own login must need no password")
            elif kind == b"Z":
                return rows

    def _message(self) -> tuple[bytes, bytes]:
        while True:
            if len(self._buffer) >= 5:
                length = struct.unpack_from("!i", self._buffer, 1)[0] + 1
                if len(self._buffer) >= length:
                    message, self._buffer = self._buffer[:length], self._buffer[length:]
                    return message[:1], message[5:]
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server hung up on the monitor")
            self._buffer += data
