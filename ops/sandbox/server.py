"""How answers go out over a real connection, the bad ones included. With levers.py the one place that knows aiohttp's server."""

import os
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime

from aiohttp import web

from engine.errors import StartupError
from engine.ports import Clock
from ops.sandbox.systems import Exchange
from ops.sandbox.wire import Reply, Request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answers = Callable[[str, Request], Exchange]
PIECES = 20  # in which a trickling reply comes
FLOOD = 200  # MiB that stand before a reply
MIB = b" " * (1 << 20)


class Door:
    """Where the server listens. It can be shut for a while: then connections are refused."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._site: web.TCPSite | None = None
        self._runner: web.AppRunner | None = None
        self._place = ("", 0)

    async def open(self, runner: web.AppRunner, host: str, port: int) -> str:
        self._runner = runner
        self._site = web.TCPSite(runner, host, port, ssl_context=self._tls)
        try:
            await self._site.start()
        except OSError as error:
            raise StartupError(
                f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}. Give another port, or 0 for any"
            ) from None
        self._place = (host, int(runner.addresses[0][1]))
        return f"{'https' if self._tls else 'http'}://{host}:{self._place[1]}"

    async def shut(self, clock: Clock, seconds: float) -> None:
        if self._site is None or self._runner is None:
            return  # it is shut already, or nobody serves
        site, self._site = self._site, None
        await site.stop()
        try:
            await clock.sleep(seconds)
        finally:
            await self.open(self._runner, *self._place)


def add_systems(app: web.Application, answers: Answers, now: Callable[[], datetime], clock: Clock, door: Door) -> None:
    """Each under its name; and under the paths that both really have, for a client that can be told a host and nothing more."""
    for system, root in (("shopify", "admin"), ("mirakl", "api")):
        for prefix, path in ((f"/{system}", "{path:/.*}"), ("", f"/{{path:{root}/.*}}")):
            app.router.add_route("*", prefix + path, _system(system, answers, now, clock, door, prefix=prefix))


def _system(system: str, answers: Answers, now: Callable[[], datetime], clock: Clock, door: Door, *, prefix: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        asked = Request(
            request.method,
            request.path.removeprefix(prefix),
            tuple(request.query.items()),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            base=f"{request.scheme}://{request.host}{prefix}",
        )
        out = answers(system, asked)
        response = _response(out.reply, now())
        match out.manner:
            case "refuse":
                _hang_up(request)
                await door.shut(clock, out.seconds)
            case "reset":
                _hang_up(request)
            case "hole":
                await clock.sleep(out.seconds)
                _hang_up(request)
            case "cut":
                await _in_pieces(request, out.reply, [out.reply.body[: len(out.reply.body) // 2]])
                _hang_up(request)
            case "trickle":
                size = max(1, -(-len(out.reply.body) // PIECES))
                pieces = [out.reply.body[at : at + size] for at in range(0, len(out.reply.body), size)]
                return await _in_pieces(request, out.reply, pieces, clock, out.seconds / PIECES)
            case "flood":
                return await _in_pieces(request, out.reply, [*[MIB] * FLOOD, out.reply.body])
            case "close":
                await response.prepare(request)
                await response.write_eof()
                if request.transport is not None:
                    request.transport.close()
            case _ if out.seconds:
                await clock.sleep(out.seconds)
        return response

    return handle


def _response(reply: Reply, now: datetime) -> web.Response:
    """Dated by the world's clock, as everything else in it, unless it says otherwise."""
    headers = {name: value for name, value in reply.headers.items() if name != "Content-Type"}
    headers.setdefault("Date", format_datetime(now, usegmt=True))
    return web.Response(status=reply.status, body=reply.body, headers=headers | ({"Content-Type": reply.kind} if reply.body else {}))


async def _in_pieces(
    request: web.Request, reply: Reply, pieces: list[bytes], clock: Clock | None = None, seconds: float = 0.0
) -> web.StreamResponse:
    """The length is what it should have been, or what all of it comes to if that is more."""
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.kind})
    response.content_length = max(len(reply.body), sum(map(len, pieces)))
    try:
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            if clock is not None:
                await clock.sleep(seconds)
    except (ConnectionError, OSError):
        pass  # they have had enough of it
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
