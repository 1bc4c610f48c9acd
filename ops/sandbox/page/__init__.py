"""The sandbox's own page, for a person who watches: index.html and what it shows (board.py). And who may move the levers.

The page is one file without a dependency. It may run its own script and style and nothing else, and asks nobody but the sandbox.
"""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from ops.sandbox.page.board import View, board
from ops.sandbox.shopify.webhooks import LOOPBACK
from ops.sandbox.steps import SteppedClock

if TYPE_CHECKING:
    from ops.sandbox.face import Sandbox

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
READS = ("GET", "HEAD", "OPTIONS")
OURS = ("same-origin", "none")  # Sec-Fetch-Site of a request that the page makes, or that a person types


def add_page(app: web.Application, sandbox: "Sandbox", told: Handler) -> None:
    """`told` answers at the page's address whoever does not ask for HTML."""
    html = resources.files(__name__).joinpath("index.html").read_text()
    headers = _headers(html)

    async def page(request: web.Request) -> web.StreamResponse:
        if "text/html" not in request.headers.get("Accept", ""):
            return await told(request)
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def shown(request: web.Request) -> web.Response:
        try:
            view = msgspec.convert(dict(request.query), View, strict=False)
        except msgspec.ValidationError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.Response(body=msgspec.json.encode(_shown(sandbox, view)), content_type="application/json")

    app.router.add_get("/", page)
    app.router.add_get("/sandbox/board", shown)
    app.middlewares.append(_guard)


def _shown(sandbox: "Sandbox", view: View) -> dict[str, Any]:
    """The board, and what is not of the world: the clock, the bucket, the faults that wait."""
    clock, world = sandbox.clock, sandbox.world
    world.advance(clock.now())
    found = board(world, view)
    switches = world.shop.switches
    found["speed"] = None if isinstance(clock, SteppedClock) else round(1 / clock.loop_seconds(1.0), 3)
    bucket = {"size": switches.bucket, "rate": switches.restore_rate, "left": sandbox.graph.points(world.shop, world.now)}
    found["throttles"]["bucket"] = bucket
    found["calls"]["asked_for"] = [
        {"operation": fault.operation, "action": fault.action, "skip": fault.skip, "left": left} for fault, left in sandbox.faults.asked_for
    ]
    return found


def _headers(html: str) -> dict[str, str]:
    def hashed(tag: str) -> str:
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inside)

    policy = (
        "default-src 'none'",
        f"script-src {hashed('script')}",
        f"style-src {hashed('style')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Vary": "Accept",
    }


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Another site, open in the same browser, may not move a lever. The two systems want their keys, which it does not have."""
    if request.path.startswith("/sandbox") and request.method not in READS and not _is_ours(request.headers, request.scheme):
        return web.json_response(
            {"error": "only the page itself, at its loopback address, and programs may change anything here"}, status=403
        )
    return await handler(request)


def _is_ours(headers: Mapping[str, str], scheme: str) -> bool:
    """Browsers say where a request comes from; what says nothing of it is a program. A name that leads here by a trick is not loopback."""
    if headers.get("Sec-Fetch-Site", "none") not in OURS:
        return False
    if (origin := headers.get("Origin")) is None:
        return True
    host = headers.get("Host", "")
    return origin == f"{scheme}://{host}" and urlsplit(f"//{host}").hostname in LOOPBACK
