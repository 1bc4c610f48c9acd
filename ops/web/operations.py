"""/metrics, /livez and /readyz: for those who keep it running. None of them waits for the database."""

from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from engine.metrics import Metrics


def operations_routes(metrics: Metrics, ready: Callable[[], Mapping[str, str]]) -> web.Application:
    """`ready()` names what stands in the way, {check: why}; nothing means ready."""

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})  # the loop answered; no dependency is asked, lest its outage restarts us

    async def readiness(_: web.Request) -> web.Response:
        missing = dict(ready())
        return web.json_response({"ready": not missing, "missing": missing}, status=503 if missing else 200)

    app = web.Application()
    app.add_routes([web.get("/metrics", scrape), web.get("/livez", alive), web.get("/readyz", readiness)])
    return app
