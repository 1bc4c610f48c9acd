"""The handles of the world itself, under /sandbox/: HELP is what a stranger reads there."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from ops.sandbox.faults import KINDS, Fault
from ops.sandbox.mirakl import operations as mirakl
from ops.sandbox.page import add_page
from ops.sandbox.shopify import operations as shopify
from ops.sandbox.shopify.state import number_of
from ops.sandbox.steps import SteppedClock
from ops.sandbox.truth import told
from ops.sandbox.wire import RefusalError

if TYPE_CHECKING:
    from ops.sandbox.face import Sandbox

HELP = """\
A Shopify and a Mirakl to try things on. Nothing here is real; everything here is meant to go wrong.

  Shopify  {shopify}/admin/api/2026-10/graphql.json   X-Shopify-Access-Token: {token}
  Mirakl   {mirakl}/api/…                             Authorization: {key}
  It is {now} here.

GET    /                                                a page to watch all of it and to do the same by hand, in a browser
GET    /sandbox/state                                   the whole truth of both; ?since=TIME: only the orders that changed since
GET    /sandbox/calls                                   the last calls; ?order=ID: those that changed that order
POST   /sandbox/buy       {{sku?, quantity?, website?}}   a buyer comes now
POST   /sandbox/stock     {{sku, available, location?}}   the merchant has counted
POST   /sandbox/ship      {{order?}}                      the warehouse picks now: for one order's global id, or all that waits
POST   /sandbox/act       {{system, do, …}}               anything else that people do in either system: GET lists it
GET    /sandbox/switches                                what can be switched, and how it stands
POST   /sandbox/switches  {{shopify: {{…}}, mirakl: {{…}}}}   switch it
GET    /sandbox/faults                                  what can go wrong, and how often it has
POST   /sandbox/faults    {{operation, action, …}}        let it go wrong: operation OR24, orderCreate, * …; count, skip, takes_effect
DELETE /sandbox/faults                                  take those back
POST   /sandbox/step      {{seconds}} or {{until}}          let time pass, where it does not by itself (--step)

Is what a connector made of it right?   crossdock referee {url}
"""


class Levers:
    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox, self._world = sandbox, sandbox.world

    async def help(self, request: web.Request) -> web.Response:
        sandbox = self._sandbox
        self._world.advance(sandbox.clock.now())
        text = HELP.format(
            shopify=sandbox.shopify_url,
            mirakl=sandbox.mirakl_url,
            token=sandbox.token,
            key=sandbox.key,
            now=f"{self._world.now:%Y-%m-%d %H:%M:%S} UTC",
            url=sandbox.url,
        )
        return web.Response(text=text)

    async def state(self, request: web.Request) -> web.StreamResponse:
        """All of it as of one moment, handed over in pieces."""
        try:
            since = datetime.fromisoformat(request.query["since"]) if "since" in request.query else None
            self._world.advance(self._sandbox.clock.now())
            pieces = list(told(self._world, since))
        except (ValueError, TypeError):
            return _json({"error": "since is a moment with its offset: 2026-11-27T08:00:00Z"}, 400)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = sum(map(len, pieces))
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    async def calls(self, request: web.Request) -> web.Response:
        ledger, order = self._world.calls, request.query.get("order")
        if order is not None:
            found = [call for call in ledger.calls if any(order in change.about for change in call.changes)]
        else:
            found = sorted([*ledger.calls[-100:], *ledger.reads[-100:]], key=lambda call: call.number)
        return _json({"calls": found, "counted": ledger.counted})

    async def buy(self, request: web.Request) -> web.Response:
        wanted = await _wanted(request, Purchase)
        bought = self._world.buy(self._sandbox.clock.now(), website=wanted.website, sku=wanted.sku, quantity=wanted.quantity)
        self._sandbox.wake()
        return _json({"order": bought}) if bought is not None else _json({"error": "nothing of that is for sale"}, 409)

    async def stock(self, request: web.Request) -> web.Response:
        counted = await _wanted(request, Counted)
        location = number_of(counted.location, "Location") if counted.location else None
        return self._apply("shopify.stock", {"sku": counted.sku, "quantity": counted.available, "location": location})

    async def ship(self, request: web.Request) -> web.Response:
        order = (await _asked(request)).get("order")
        return self._apply("actors.hurry", {"order": number_of(str(order), "Order") if order else None})

    async def acts(self, request: web.Request) -> web.Response:
        """What people can do, as both systems say it themselves."""
        return web.Response(
            text=f"POST /sandbox/act {{do, system, …arguments}}\n\nSHOPIFY\n\n{shopify.__doc__}\n\nMIRAKL\n\n{mirakl.__doc__}"
        )

    async def act(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        system, do = asked.pop("system", None), asked.pop("do", None)
        known = {"shopify": shopify.OPERATIONS, "mirakl": mirakl.OPERATIONS}.get(str(system))
        if known is None or do not in known:
            return _json({"error": "give system, shopify or mirakl, and do: GET /sandbox/act tells what there is"}, 400)
        if system == "shopify" and do in shopify.BY_NUMBER:
            asked = _numbers(asked)
        return self._apply(f"act.{system}", {"do": do, "given": asked})

    def _apply(self, op: str, arguments: dict[str, Any]) -> web.Response:
        self._world.advance(self._sandbox.clock.now())
        try:
            return _json({"done": True, "result": self._sandbox.apply(op, arguments)})
        except RefusalError as refused:
            return _json({"error": str(refused)}, 409)

    async def switched(self, request: web.Request) -> web.Response:
        return _json({"shopify": self._world.shop.switches, "mirakl": self._world.account.switches})

    async def switches(self, request: web.Request) -> web.Response:
        try:
            for system, values in (await _asked(request)).items():
                self._world.switch(system, self._sandbox.clock.now(), **values)
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        self._sandbox.wake()
        return await self.switched(request)

    async def faults(self, request: web.Request) -> web.Response:
        met, rates = self._world.calls.faults, self._sandbox.faults.rates
        known = [
            {"action": name, "says": kind.says, "where": kind.where, "met": met.get(name, 0), "rate": rates.get(name, 0.0)}
            for name, kind in KINDS.items()
        ]
        return _json({"faults": known})

    async def fault(self, request: web.Request) -> web.Response:
        self._sandbox.faults.add(await _wanted(request, Fault))
        return _json({"done": True}, 201)

    async def no_faults(self, request: web.Request) -> web.Response:
        self._sandbox.faults.clear()
        return _json({"done": True})

    async def step(self, request: web.Request) -> web.Response:
        if not isinstance(self._sandbox.clock, SteppedClock):
            return _json({"error": "time passes by itself here: start with --step"}, 409)
        wanted = await _wanted(request, Step)
        now = self._sandbox.clock.now()
        await self._sandbox.step(max(wanted.until or now, now + timedelta(seconds=wanted.seconds)))
        return _json({"now": self._world.now, "next_due": self._world.next_due()})


class Purchase(msgspec.Struct, forbid_unknown_fields=True):
    sku: str | None = None
    quantity: int = 1
    website: bool = False


class Counted(msgspec.Struct, forbid_unknown_fields=True):
    sku: str
    available: int
    location: str | None = None


class Step(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float = 0.0
    until: datetime | None = None


def add_levers(app: web.Application, sandbox: "Sandbox") -> None:
    levers = Levers(sandbox)
    add_page(app, sandbox, told=levers.help)
    app.router.add_get("/sandbox", levers.help)
    app.router.add_get("/sandbox/", levers.help)
    app.router.add_get("/sandbox/state", levers.state)
    app.router.add_get("/sandbox/calls", levers.calls)
    app.router.add_post("/sandbox/buy", levers.buy)
    app.router.add_post("/sandbox/stock", levers.stock)
    app.router.add_post("/sandbox/ship", levers.ship)
    app.router.add_get("/sandbox/act", levers.acts)
    app.router.add_post("/sandbox/act", levers.act)
    app.router.add_get("/sandbox/switches", levers.switched)
    app.router.add_post("/sandbox/switches", levers.switches)
    app.router.add_get("/sandbox/faults", levers.faults)
    app.router.add_post("/sandbox/faults", levers.fault)
    app.router.add_delete("/sandbox/faults", levers.no_faults)
    app.router.add_post("/sandbox/step", levers.step)


def _numbers(given: Any) -> Any:
    """Global ids as the numbers in them, which are too large for some languages to write."""
    match given:
        case dict():
            return {name: _numbers(value) for name, value in given.items()}
        case list():
            return [_numbers(value) for value in given]
        case str() if given.startswith("gid://shopify/"):
            return int(number) if (number := given.rpartition("/")[2]).isdecimal() else given
    return given


async def _wanted(request: web.Request, kind: type[Any]) -> Any:
    """What was asked, in that shape."""
    try:
        return msgspec.convert(await _asked(request), kind)
    except msgspec.ValidationError as error:
        raise _bad(str(error)) from None


async def _asked(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request; nothing is an empty one."""
    try:
        asked = await request.json() if request.body_exists else {}
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise _bad("a JSON object is wanted")
    return asked


def _bad(why: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=msgspec.json.encode({"error": why}).decode(), content_type="application/json")


def _json(answer: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(answer), content_type="application/json")
