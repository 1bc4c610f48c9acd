"""A wire to Postgres that can be cut: TCP on one end, the server's socket on the other, and somebody in between who reads along.

What goes wrong is asked for by what is on its way: the next statement whose text matches.
"""

import asyncio
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Action = Literal[
    "cut_after",  # it was carried out, and the answer is lost
    "cut_before",  # it never reached the server
    "silence",  # it was carried out; no answer ever comes, and nothing is closed
]
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # Postgres protocol 3, "SSLRequest"


@dataclass
class Cut:
    """One fault that waits for its statement."""

    action: Action
    statement: re.Pattern[bytes]
    skip: int = 0  # of them go well before


@dataclass
class Wire:
    """Listens at `port`; the server's socket is in `upstream`, and may change."""

    upstream: Path
    port: int = 0
    waiting: list[Cut] = field(default_factory=list)
    met: dict[str, int] = field(default_factory=dict)  # action -> how often
    _server: asyncio.Server | None = None
    _open: set["_Session"] = field(default_factory=set)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._met, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        """Every session, as a switch that loses its power would."""
        for session in list(self._open):
            session.end()

    def ask(self, action: Action, statement: str = r"crossdock\.append_|^COMMIT", *, skip: int = 0) -> None:
        self.waiting.append(Cut(action, re.compile(statement.encode()), skip))

    def due(self, statement: bytes) -> Action | None:
        """What happens to this statement now."""
        for cut in self.waiting:
            if cut.statement.search(statement):
                if cut.skip:
                    cut.skip -= 1
                    continue
                self.waiting.remove(cut)
                self.met[cut.action] = self.met.get(cut.action, 0) + 1
                return cut.action
        return None

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(str(self.upstream / ".s.PGSQL.5432"))
        except OSError:
            writer.close()  # as if nobody listened
            return
        session = _Session(self, reader, writer, up_reader, up_writer)
        self._open.add(session)
        try:
            await session.carry()
        finally:
            self._open.discard(session)


class _Session:
    def __init__(
        self,
        wire: Wire,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        self._wire, self._reader, self._writer, self._up_reader, self._up_writer = wire, reader, writer, up_reader, up_writer
        self._prepared: dict[bytes, bytes] = {}  # name -> text
        self._armed: Action | None = None

    def end(self) -> None:
        for writer in (self._writer, self._up_writer):
            with suppress(RuntimeError):  # the event loop is closing
                writer.transport.abort()

    async def carry(self) -> None:
        there, back = asyncio.ensure_future(self._there()), asyncio.ensure_future(self._back())
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.end()
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)

    async def _there(self) -> None:
        """From us to the server. Ends when either is gone, or is to be."""
        buffer, started = b"", False
        while data := await self._reader.read(65536):
            buffer += data
            if not started:
                if len(buffer) < 8 or len(buffer) < struct.unpack("!i", buffer[:4])[0]:
                    continue
                size = struct.unpack("!i", buffer[:4])[0]
                self._up_writer.write(buffer[:size])
                started, buffer = buffer[:size] != SSL_REQUEST, buffer[size:]
            for statement, message in self._messages(buffer):
                buffer = buffer[len(message) :]
                if self._armed is None and statement is not None and (action := self._wire.due(statement)) is not None:
                    if action == "cut_before":
                        return
                    self._armed = action
                self._up_writer.write(message)
            await self._up_writer.drain()

    def _messages(self, buffer: bytes) -> Iterator[tuple[bytes | None, bytes]]:
        """Whole messages, each with the text of the statement that it has carried out, if it has one carried out."""
        at = 0
        while len(buffer) >= at + 5 and len(buffer) >= at + 1 + struct.unpack_from("!i", buffer, at + 1)[0]:
            size = 1 + struct.unpack_from("!i", buffer, at + 1)[0]
            kind, body = buffer[at : at + 1], buffer[at + 5 : at + size]
            statement: bytes | None = None
            if kind == b"P":
                name, text, _ = body.split(b"\0", 2)
                self._prepared[name] = text
            elif kind == b"B":
                _, name, _ = body.split(b"\0", 2)
                statement = self._prepared.get(name)
            elif kind == b"Q":
                statement = body.rstrip(b"\0")
            yield statement, buffer[at : at + size]
            at += size

    async def _back(self) -> None:
        """From the server to us."""
        while data := await self._up_reader.read(65536):
            match self._armed:
                case "cut_after":
                    return  # the answer has come as far as here: whatever it answers is done
                case "silence":
                    continue
            self._writer.write(data)
            await self._writer.drain()
